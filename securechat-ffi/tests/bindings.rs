//! The programs in other languages, over the C library: each registers at the Rust relay, exchanges texts and files with the
//! Rust client, and goes on after a restart.
//!
//! `SECURECHAT_LIB` and `SECURECHAT_PROGRAMS` name the folders of the library and of the Rust programs; without them both are
//! built. Python is that of the virtual environment `python` in the target folder where there is one, and Node finds koffi in
//! `node/node_modules` there. Where a tool is missing the test says so and passes, unless `SECURECHAT_NO_SKIP` is set.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "bindings/program.rs"]
mod program;

use program::Program;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// What all programs need: the folder of the library, and that of the Rust programs.
struct Built {
    library: PathBuf,
    programs: PathBuf,
}

/// The folder of this build, `target/debug` or another.
fn folder() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

fn target() -> PathBuf {
    folder().parent().unwrap().to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let named = |name| std::env::var_os(name).map(PathBuf::from);
        let (library, programs) = (named("SECURECHAT_LIB"), named("SECURECHAT_PROGRAMS"));
        if library.is_none() || programs.is_none() {
            let mut cargo = Command::new(env!("CARGO"));
            // The default members, as they are built without this test: nothing is compiled twice.
            cargo.args(["build", "--quiet", "--target-dir"]).arg(target()).current_dir(root());
            if folder().ends_with("release") {
                cargo.arg("--release");
            }
            assert!(cargo.status().unwrap().success(), "{cargo:?}");
        }
        Built { library: library.unwrap_or_else(folder), programs: programs.unwrap_or_else(folder) }
    })
}

fn examples() -> PathBuf {
    root().join("examples")
}

/// Whether a command runs here and succeeds.
fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Says what is not tested here and why: past the harness, which shows nothing of a test that passes.
fn skip(what: &str, why: &str) {
    assert!(std::env::var_os("SECURECHAT_NO_SKIP").is_none(), "{what}: {why}");
    _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}

fn python() -> Option<PathBuf> {
    let of_target = target().join("python/bin/python");
    let python = if of_target.exists() { of_target } else { "python3".into() };
    runs(Command::new(&python).args(["-c", "import cffi"])).then_some(python)
}

/// A relay with a folder for everything that a test needs.
struct Net {
    place: TempDir,
    address: String,
    library: PathBuf,
    _relay: Program,
}

impl Net {
    fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        // As an installed library lies: programs that are linked to it look for its soname.
        let library = place.path().join("lib");
        fs::create_dir(&library).unwrap();
        let file = built().library.join("libsecurechat.so").canonicalize().unwrap();
        symlink(&file, library.join("libsecurechat.so")).unwrap();
        symlink(&file, library.join("libsecurechat.so.0")).unwrap();

        let config = place.path().join("relay.toml");
        let data = place.path().join("relay");
        let text = format!("listen = '127.0.0.1:0'\ndata = '{}'\nsuites = ['0x0301', '0x0101']\n", data.display());
        fs::write(&config, text).unwrap();
        let server = built().programs.join("securechat-server");
        let mut relay = Program::start(Command::new(server).arg("--config").arg(config));
        let address = relay.expect("    127.0.0.1:").trim().to_owned();
        Self { place, address, library, _relay: relay }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// A file to send, and its contents.
    fn file(&self, name: &str, seed: u32) -> (PathBuf, Vec<u8>) {
        let contents: Vec<u8> = (0..100_000_u32).flat_map(|at| at.wrapping_mul(seed).to_le_bytes()).collect();
        fs::write(self.path(name), &contents).unwrap();
        (self.path(name), contents)
    }

    /// What every program in another language is given.
    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("SECURECHAT_LIB", &self.library).env("LD_LIBRARY_PATH", &self.library);
        command
            .env("SECURECHAT_PASSPHRASE", "a passphrase for tests")
            .env("SECURECHAT_PASSWORD", "a password for tests")
    }

    /// The Rust client, with an account.
    fn alice(&self) -> Program {
        let mut command = Command::new(built().programs.join("securechat"));
        command.args(["--user", "alice", "--relay", &self.address, "--state"]).arg(self.path("alice"));
        command.arg("--downloads").arg(self.path("alice-downloads"));
        let mut alice = Program::start(self.environment(&mut command));
        alice.type_line("/register");
        alice.expect("logged in as alice");
        alice
    }
}

/// The whole talk of a program, which `command` starts as the user carol, with the Rust client.
fn talk(net: &Net, command: impl Fn() -> Command) {
    let start = || Program::start(net.environment(&mut command()));
    let mut alice = net.alice();
    let mut carol = start();
    carol.expect("logged in as carol");
    // Who comes and goes within the second in which changes are gathered was never seen.
    alice.expect("carol is online");

    carol.type_line("/pm alice hello from carol ✓");
    alice.expect("carol: hello from carol ✓");
    carol.type_line("and on");
    alice.expect("carol: and on");
    alice.type_line("/pm carol hello from alice ✓");
    carol.expect("alice: hello from alice ✓");
    alice.type_line("\u{1b}[31mred\u{202e}");
    let red = carol.expect("[31mred");
    assert!(!red.contains(['\u{1b}', '\u{202e}']), "{red:?}");

    let (path, sent) = net.file("sent.bin", 3);
    carol.type_line(&format!("/file alice {}", path.display()));
    alice.expect("/accept 1 takes it");
    alice.type_line("/accept");
    alice.expect("saved from carol");
    carol.expect("sent.bin is sent to alice");
    assert_eq!(fs::read(net.path("alice-downloads/sent.bin")).unwrap(), sent);

    // A file of that name is there already, and stays.
    let (path, received) = net.file("received.bin", 5);
    let downloads = net.path("carol-downloads");
    fs::create_dir(&downloads).unwrap();
    fs::write(downloads.join("received.bin"), "mine").unwrap();
    alice.type_line(&format!("/file carol {}", path.display()));
    carol.expect("/accept 1 takes it");
    carol.type_line("/accept 1");
    carol.expect("saved from alice");
    assert_eq!(fs::read(downloads.join("received.bin")).unwrap(), b"mine");
    assert_eq!(fs::read(downloads.join("received (1).bin")).unwrap(), received);
    assert_eq!(fs::read_dir(&downloads).unwrap().count(), 2, "no part is left");
    assert_eq!(carol.end().0, 0);

    // The state alone logs in, and the same session goes on.
    alice.expect("carol is offline");
    alice.type_line("are you there?");
    let mut carol = Program::start(net.environment(&mut command()).env("SECURECHAT_PASSWORD", "another password"));
    carol.expect("logged in as carol");
    carol.expect("alice: are you there?");
    carol.type_line("/pm alice now I am");
    alice.expect("carol: now I am");

    // The Rust client makes a group; wherever a user's name stands, what that group is called may stand too.
    alice.type_line("/new a walk");
    alice.expect("the group #a-walk is there");
    alice.type_line("/invite carol");
    let joined = carol.expect("you are in #");
    let group = joined.split_whitespace().find(|word| word.starts_with('#')).unwrap();
    assert_eq!(group.len(), 33, "{joined:?}");
    alice.type_line("hello all of you");
    carol.expect(&format!("alice in {group}: hello all of you"));
    carol.type_line(&format!("/pm {group} all of me"));
    alice.expect("carol in #a-walk: all of me");
    let (path, sent) = net.file("map.bin", 7);
    carol.type_line(&format!("/file {group} {}", path.display()));
    alice.expect("carol in #a-walk offers map.bin");
    alice.type_line("/accept");
    alice.expect("saved from carol in #a-walk");
    assert_eq!(fs::read(net.path("alice-downloads/map.bin")).unwrap(), sent);

    alice.type_line("/verify carol");
    let shown = alice.expect("safety number with carol");
    carol.type_line("/verify alice");
    let mut number = carol.expect_one_of(&["safety number with alice: ", "can show the safety number"]);
    if number.contains("can show") {
        carol.type_line("/verify alice");
        number = carol.expect("safety number with alice: ");
    }
    let digits = |line: &str| line.rsplit(": ").next().unwrap().replace(' ', "");
    assert_eq!(digits(&number), digits(&shown));
    assert_eq!(carol.end().0, 0);
    let (status, printed) = alice.end();
    assert_eq!(status, 0);
    assert!(!printed.iter().any(|line| line.contains("did not open") || line.contains("HAVE CHANGED")), "{printed:#?}");

    let mut wrong = command();
    let carol = Program::start(net.environment(&mut wrong).env("SECURECHAT_PASSPHRASE", "a wrong one"));
    let (status, printed) = carol.end();
    assert_eq!(status, 5, "{printed:#?}");
    assert!(printed.iter().all(|line| !line.contains("wrong one")), "{printed:#?}");
}

#[test]
fn python_talks() {
    let Some(python) = python() else { return skip("the Python client", "python3 cannot import cffi") };
    let net = Net::start();
    talk(&net, || {
        let mut command = Command::new(&python);
        command.arg(examples().join("python/binding/chat.py")).args(["--user", "carol", "--relay", &net.address]);
        command.arg("--state").arg(net.path("carol.db")).arg("--downloads").arg(net.path("carol-downloads"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    });
}

#[test]
fn python_runs_the_binding_and_the_smallest_example() {
    let Some(python) = python() else { return skip("the Python binding", "python3 cannot import cffi") };
    let net = Net::start();
    for (arguments, expected) in [(&["smallest.py"][..], "hello"), (&["-m", "unittest", "-v", "test_securechat"], "OK")]
    {
        let mut command = Command::new(&python);
        command.args(arguments).current_dir(examples().join("python/binding")).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut program = Program::start(net.environment(&mut command));
        program.expect(expected);
        let (status, printed) = program.end();
        assert_eq!(status, 0, "{printed:#?}");
    }
}

#[test]
fn python_shows_a_window() {
    let tkinter = |python: &PathBuf| runs(Command::new(python).args(["-c", "import tkinter"]));
    let Some(python) = python().filter(tkinter) else {
        return skip("the Python window", "python3 cannot import cffi and tkinter");
    };
    if !runs(Command::new("xvfb-run").arg("--help")) {
        return skip("the Python window", "there is no xvfb-run");
    }
    let net = Net::start();
    let mut command = Command::new("xvfb-run");
    command.arg("-a").arg(&python).args(["-m", "unittest", "-v", "test_window"]);
    command.current_dir(examples().join("python/binding")).env("PYTHONDONTWRITEBYTECODE", "1");
    let (status, printed) = Program::start(net.environment(&mut command)).end();
    assert!(status == 0 && printed.iter().any(|line| line == "OK"), "{printed:#?}");
}

#[test]
fn node_talks() {
    let modules = target().join("node/node_modules");
    let chat = examples().join("node/chat.js");
    let node = || {
        let mut command = Command::new("node");
        command.env("NODE_PATH", &modules);
        command
    };
    if !runs(node().args(["-e", "require('koffi')"]).current_dir(examples().join("node"))) {
        return skip("the Node client", "node cannot load koffi");
    }
    let net = Net::start();
    talk(&net, || {
        let mut command = node();
        command.arg(&chat).args(["carol", &net.address]).arg(net.path("carol.json")).arg(net.path("carol-downloads"));
        command
    });
}

#[test]
fn go_talks() {
    if !runs(Command::new("go").arg("version")) {
        return skip("the Go client", "there is no go");
    }
    let net = Net::start();
    let program = net.path("chat");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&program).arg(".").current_dir(examples().join("go"));
    go.env("CGO_ENABLED", "1").env("CGO_CFLAGS", format!("-I{}", root().join("include").display()));
    go.env("CGO_LDFLAGS", format!("-L{}", net.library.display()));
    assert!(go.status().unwrap().success(), "{go:?}");
    talk(&net, || {
        let mut command = Command::new(&program);
        command.args(["carol", &net.address]).arg(net.path("carol.state")).arg(net.path("carol-downloads"));
        command
    });
}

#[test]
fn java_talks() {
    let jna = std::env::var_os("JNA_JAR").map_or_else(|| "/usr/share/java/jna.jar".into(), PathBuf::from);
    if !runs(Command::new("javac").arg("-version")) || !jna.exists() {
        return skip("the Java client", "there is no javac, or no jna.jar in /usr/share/java (libjna-java)");
    }
    let net = Net::start();
    let classes = net.path("classes");
    let mut javac = Command::new("javac");
    javac.arg("-cp").arg(&jna).arg("-d").arg(&classes);
    javac.args(["Securechat.java", "Storage.java", "Transfers.java", "Chat.java"]).current_dir(examples().join("java"));
    assert!(javac.status().unwrap().success(), "{javac:?}");
    talk(&net, || {
        let mut command = Command::new("java");
        command.arg("-cp").arg(format!("{}:{}", jna.display(), classes.display())).args([
            "Chat",
            "carol",
            &net.address,
        ]);
        command.arg(net.path("carol.state")).arg(net.path("carol-downloads"));
        command
    });
}
