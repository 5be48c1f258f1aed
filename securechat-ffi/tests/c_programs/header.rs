//! The header by itself, in every standard; and its examples, as they stand there.

use crate::build::{WARNINGS, compilers, is_there, place, root, run, skipped, with_library};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn the_headers_compile_in_every_standard() {
    let place = place("standards");
    let (c, cpp, hpp) = (place.join("header.c"), place.join("header.cpp"), place.join("wrapper.cpp"));
    fs::write(&c, "#include <securechat.h>\nint main(void) { return (int)securechat_version_number() * 0; }\n")
        .unwrap();
    fs::copy(&c, &cpp).unwrap();
    fs::write(&hpp, "#include <securechat.hpp>\nint main() { return securechat::version() == 0; }\n").unwrap();
    for [cc, cxx] in compilers("the header alone") {
        let check = |compiler: &str, source: &Path, standards: &[&str]| {
            for standard in standards {
                let mut command = Command::new(compiler);
                command.arg(format!("-std={standard}")).args(WARNINGS).arg("-fsyntax-only");
                run(command.arg("-I").arg(root().join("include")).arg(source));
            }
        };
        check(cc, &c, &["c99", "c11", "c17", "c2x"]);
        check(cxx, &cpp, &["c++11", "c++14", "c++17", "c++20"]);
        check(cxx, &hpp, &["c++17", "c++20"]);
    }
}

/// Each example in the comments as a program of its own.
pub fn examples(place: &Path) -> Vec<PathBuf> {
    let header = fs::read_to_string(root().join("include/securechat.h")).unwrap();
    let mut sources = Vec::new();
    let mut lines = header.lines();
    while lines.by_ref().any(|line| line.trim() == "* ```c") {
        let body: Vec<&str> = lines
            .by_ref()
            .map(|line| line.trim_start().strip_prefix('*').unwrap())
            .take_while(|line| line.trim() != "```")
            .collect();
        let source = place.join(format!("example{}.c", sources.len() + 1));
        let text = format!(
            "#include <assert.h>\n#include <securechat.h>\n#include <string.h>\n\nstatic void example(uint64_t now) {{\n    (void)now;\n{}\n}}\n\n\
             int main(void) {{\n    example(1700000000000);\n    return 0;\n}}\n",
            body.join("\n")
        );
        fs::write(&source, text).unwrap();
        sources.push(source);
    }
    // Identity, link, client, file, relay.
    assert!(sources.len() >= 5, "{sources:?}");
    sources
}

#[test]
fn the_examples_in_the_header_compile_and_run() {
    for [cc, _] in compilers("the examples in the header") {
        for source in examples(&place(&format!("examples-{cc}"))) {
            let program = source.with_extension("");
            run(with_library(Command::new(cc).arg("-std=c99"), &source, &program));
            run(&mut Command::new(program));
        }
    }
}

/// Bindings read the header through cffi, which knows the types of stddef.h and stdint.h by itself.
#[test]
fn the_header_parses_in_cffi() {
    let python = Command::new("python3").args(["-c", "import cffi"]).stderr(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        return skipped("the header in cffi", "there is no python3 with cffi");
    }
    let place = place("cffi");
    for name in ["stddef.h", "stdint.h"] {
        fs::write(place.join(name), "").unwrap();
    }
    let mut command = Command::new("cc");
    command.args(["-E", "-P", "-nostdinc", "-I"]).arg(&place).arg(root().join("include/securechat.h"));
    fs::write(place.join("declarations"), command.output().unwrap().stdout).unwrap();
    let script = "import cffi, sys; ffi = cffi.FFI(); ffi.cdef(open(sys.argv[1]).read())\n\
                  assert ffi.sizeof('securechat_event') > 100 and ffi.typeof('securechat_client *')";
    run(Command::new("python3").args(["-c", script]).arg(place.join("declarations")));
}

/// What `abidiff` compares: a library that has nothing but the declarations of the header, as C sees them.
#[test]
fn the_abi_is_that_of_the_baseline() {
    const WRITE: &str = "SECURECHAT_WRITE_ABI";
    if let Some(missing) = ["abidw", "abidiff"].into_iter().find(|program| !is_there(program)) {
        return skipped("the ABI against its baseline", &format!("there is no {missing} (Debian's abigail-tools)"));
    }
    let place = place("abi");
    let declared = run(Command::new("cc").args(["-E", "-P"]).arg(root().join("include/securechat.h")));
    let mut source = String::from("#include <securechat.h>\n");
    for declaration in declared.split(';').map(str::trim) {
        let is_function = declaration.contains(" securechat_") || declaration.contains("*securechat_");
        if is_function && declaration.ends_with(')') && !declaration.starts_with("typedef") {
            let body = if declaration.starts_with("void ") { "{}" } else { "{ return 0; }" };
            source += &format!("{declaration} {body}\n");
        }
    }
    fs::write(place.join("abi.c"), source).unwrap();
    let library = place.join("libsecurechat.so.0");
    let mut command = Command::new("cc");
    command
        .args(["-std=c11", "-g", "-shared", "-fPIC", "-Wl,-soname,libsecurechat.so.0", "-I"])
        .arg(root().join("include"));
    run(command.arg(place.join("abi.c")).arg("-o").arg(&library));
    let baseline = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/securechat.abi");
    if std::env::var_os(WRITE).is_some() {
        let mut command = Command::new("abidw");
        command.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-architecture"]);
        run(command.arg("--out-file").arg(&baseline).arg(&library));
        // Where it was compiled is nobody's concern.
        let written = fs::read_to_string(&baseline).unwrap();
        fs::write(&baseline, written.replace(place.join("abi.c").to_str().unwrap(), "abi.c")).unwrap();
    }
    let output = Command::new("abidiff").args(["--no-architecture"]).arg(&baseline).arg(&library).output().unwrap();
    assert!(
        output.status.success(),
        "the header is not that of the baseline; {WRITE}=1 writes it anew, where nothing was taken away\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// A block of the README, as it stands there.
fn of_the_readme(language: &str) -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_readme_s_program_in_c_runs() {
    let text = of_the_readme("c");
    assert!(text.lines().count() <= 25);
    for [cc, _] in compilers("the README's program") {
        let source = place(&format!("readme-{cc}")).join("smallest.c");
        fs::write(&source, &text).unwrap();
        let program = source.with_extension("");
        run(with_library(Command::new(cc).arg("-std=c99"), &source, &program));
        assert_eq!(run(&mut Command::new(&program)), "hello\n");
    }
}

/// `tests/bindings.rs` runs it.
#[test]
fn the_readme_s_program_in_python_is_the_smallest_example() {
    let text = of_the_readme("python");
    assert!(text.lines().count() <= 25);
    assert_eq!(text, fs::read_to_string(root().join("examples/python/binding/smallest.py")).unwrap());
}
