//! Compilers, and what they make of the programs.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

pub const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

/// C compilers, each with the one for C++ that belongs to it.
pub const COMPILERS: [[&str; 2]; 2] = [["gcc", "g++"], ["clang", "clang++"]];

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Where this test may leave things.
pub fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_programs").join(name);
    _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    place
}

/// Says what was not done, also where the output of a test that passes is not shown.
pub fn skipped(what: &str, why: &str) {
    _ = writeln!(std::io::stderr(), "SKIPPED {what}: {why}");
}

/// Whether a program can be run at all.
pub fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// The compilers that are there. One of them has to be.
pub fn compilers(what: &str) -> Vec<[&'static str; 2]> {
    let mut found = Vec::new();
    for pair in COMPILERS {
        match pair.iter().find(|program| !is_there(program)) {
            None => found.push(pair),
            Some(missing) => skipped(&format!("{what} with {}", pair[0]), &format!("there is no {missing}")),
        }
    }
    if found.is_empty() {
        found.push(["cc", "c++"]);
    }
    found
}

/// Runs to the end; gives what was printed. The program has to succeed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned() + &err
}

/// A folder with the libraries that cargo built for this test, under the names that linker and loader look for.
pub fn libraries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let built = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let folder = place("lib");
        let links = [
            ("libsecurechat.so", "libsecurechat.so"),
            ("libsecurechat.so", "libsecurechat.so.0"),
            ("libsecurechat.a", "libsecurechat.a"),
        ];
        for (from, to) in links {
            assert!(built.join(from).exists(), "cargo built no {from} beside this test");
            std::os::unix::fs::symlink(built.join(from), folder.join(to)).unwrap();
        }
        folder
    })
}

/// All programs, made by one compiler.
pub struct Kit {
    pub folder: PathBuf,
    /// What a program is started by, where it is not started by itself.
    pub under: Vec<String>,
}

impl Kit {
    /// Compiles all programs with more flags, if any.
    pub fn new(name: &str, [cc, cxx]: [&str; 2], flags: &[&str]) -> Self {
        let folder = place(name);
        for (compiler, standard, source) in [
            (cc, "-std=gnu11", "c/channel.c"),
            (cc, "-std=gnu11", "c/sealfile.c"),
            (cc, "-std=gnu11", "c/chat_client.c"),
            (cc, "-std=gnu11", "c/chat_server.c"),
            (cxx, "-std=c++17", "cpp/chat.cpp"),
        ] {
            let source = root().join("examples").join(source);
            let to = folder.join(source.file_stem().unwrap());
            let mut command = Command::new(compiler);
            command.arg(standard).args(flags);
            run(with_library(&mut command, &source, &to).args(["-lcrypt", "-lsqlite3"]));
        }
        Self { folder, under: Vec::new() }
    }

    /// One of the programs, to be started.
    pub fn command(&self, program: &str) -> Command {
        let path = self.folder.join(program);
        match self.under.split_first() {
            None => Command::new(path),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(path);
                command
            }
        }
    }
}

/// The arguments that compile a source and link the shared library to it.
pub fn with_library<'a>(command: &'a mut Command, source: &Path, to: &Path) -> &'a mut Command {
    command.args(WARNINGS).arg("-g").arg("-I").arg(root().join("include")).arg(source).arg("-o").arg(to);
    let mut search = OsStr::new("-Wl,-rpath,").to_owned();
    search.push(libraries());
    command.arg("-L").arg(libraries()).arg("-lsecurechat").arg(search)
}
