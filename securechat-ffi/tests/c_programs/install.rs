//! `install.sh`, and what it installed, found by pkg-config: shared and static, and beside another library in Rust.

use crate::build::{WARNINGS, is_there, libraries, place, root, run, skipped};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What was installed from the libraries of this test.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = place("prefix");
        let mut command = Command::new(root().join("securechat-ffi/install.sh"));
        run(command.env("BUILD", libraries()).env("PREFIX", &prefix).env_remove("DESTDIR").env_remove("LIBDIR"));
        prefix
    })
}

fn with_prefix(command: &mut Command) -> &mut Command {
    command.env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig")).env("LD_LIBRARY_PATH", prefix().join("lib"))
}

/// What pkg-config says; `None` where it is not there.
fn pkg_config(arguments: &[&str]) -> Option<Vec<String>> {
    if !is_there("pkg-config") {
        skipped("what is installed, through pkg-config", "there is no pkg-config");
        return None;
    }
    let said = run(with_prefix(Command::new("pkg-config").args(arguments).arg("securechat")));
    Some(said.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn names_and_links_are_those_that_linker_and_loader_look_for() {
    let lib = prefix().join("lib");
    let version = env!("CARGO_PKG_VERSION");
    assert!(lib.join(format!("libsecurechat.so.{version}")).symlink_metadata().unwrap().is_file());
    assert_eq!(
        fs::read_link(lib.join("libsecurechat.so.0")).unwrap(),
        Path::new(&format!("libsecurechat.so.{version}"))
    );
    assert_eq!(fs::read_link(lib.join("libsecurechat.so")).unwrap(), Path::new("libsecurechat.so.0"));
    for header in ["securechat.h", "securechat.hpp"] {
        let installed = fs::read(prefix().join("include").join(header)).unwrap();
        assert!(installed == fs::read(root().join("include").join(header)).unwrap());
    }
}

#[test]
fn a_package_is_made_in_a_folder_of_its_own() {
    let stage = place("stage");
    let mut command = Command::new(root().join("securechat-ffi/install.sh"));
    run(command.env("BUILD", libraries()).env("DESTDIR", &stage).env("PREFIX", "/usr").env("LIBDIR", "/usr/lib/here"));
    assert!(stage.join("usr/lib/here/libsecurechat.so").exists());
    let described = fs::read_to_string(stage.join("usr/lib/here/pkgconfig/securechat.pc")).unwrap();
    assert!(
        described.contains("libdir=/usr/lib/here\n") && !described.contains(stage.to_str().unwrap()),
        "{described}"
    );
}

#[test]
fn without_the_libraries_it_says_what_to_do() {
    let empty = place("empty");
    let output = Command::new(root().join("securechat-ffi/install.sh")).env("BUILD", &empty).output().unwrap();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("two cargo commands"));
}

#[test]
fn make_and_cmake_build_the_programs() {
    if pkg_config(&["--cflags"]).is_none() {
        return;
    }
    let copy = place("examples");
    for folder in ["c", "cpp"] {
        run(Command::new("cp").arg("-R").arg(root().join("examples").join(folder)).arg(&copy));
    }
    for (folder, program, extra) in [("c", "channel", None), ("c", "channel", Some("STATIC=1")), ("cpp", "chat", None)]
    {
        if !is_there("make") {
            skipped("the Makefiles", "there is no make");
            break;
        }
        run(Command::new("make").arg("-C").arg(copy.join(folder)).arg("clean"));
        run(with_prefix(Command::new("make").arg("-C").arg(copy.join(folder)).args(extra)));
        let output = with_prefix(&mut Command::new(copy.join(folder).join(program))).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains(program), "it says how it is used: {output:?}");
        let needed = run(Command::new("objdump").arg("-p").arg(copy.join(folder).join(program)));
        assert_eq!(needed.contains("libsecurechat.so.0"), extra.is_none(), "{needed}");
    }
    for folder in ["c", "cpp"] {
        if !is_there("cmake") {
            return skipped("the CMake files", "there is no cmake");
        }
        let made = copy.join(folder).join("made");
        run(with_prefix(Command::new("cmake").arg("-S").arg(copy.join(folder)).arg("-B").arg(&made)));
        run(with_prefix(Command::new("cmake").arg("--build").arg(&made)));
    }
}

/// Another library in Rust has the same standard library in it; a program has both, and a panic in each is caught there.
#[test]
fn the_static_library_links_beside_another_one_in_rust() {
    let place = place("beside");
    let archive = prefix().join("lib/libsecurechat.a");
    let shown = run(Command::new("nm").args(["--defined-only", "--extern-only", "--format=posix"]).arg(&archive));
    let names: Vec<&str> = shown.lines().filter_map(|line| line.split_once(' ')).map(|(name, _)| name).collect();
    assert!(names.len() > 60, "{shown}");
    assert!(names.iter().all(|name| name.starts_with("securechat_")), "{shown}");

    let other = "#[unsafe(no_mangle)]\npub extern \"C\" fn other_caught(text: *const u8) -> usize {\n    \
                 let length = format!(\"{text:p}\").len();\n    std::panic::set_hook(Box::new(|_| ()));\n    \
                 usize::from(std::panic::catch_unwind(|| assert!(length == 0)).is_err())\n}\n";
    let program = "#include <securechat.h>\n#include <stddef.h>\nsize_t other_caught(const char *text);\n\
                   int main(void) {\n    securechat_identity *identity = NULL;\n    \
                   if (securechat_identity_generate(NULL, 1700000000000, &identity) != SECURECHAT_OK) return 2;\n    \
                   securechat_identity_free(identity);\n    return other_caught(\"text\") == 1 ? 0 : 3;\n}\n";
    fs::write(place.join("other.rs"), other).unwrap();
    fs::write(place.join("both.c"), program).unwrap();
    let mut command = Command::new("rustc");
    command.args(["--edition=2024", "--crate-type=staticlib", "-O", "-o"]).arg(place.join("libother.a"));
    run(command.arg(place.join("other.rs")));
    let Some(flags) = pkg_config(&["--static", "--cflags", "--libs"]) else { return };
    let mut others = flags;
    others.retain(|flag| flag != "-lsecurechat");
    for order in [[&archive, &place.join("libother.a")], [&place.join("libother.a"), &archive]] {
        let mut command = Command::new("cc");
        command.args(WARNINGS).arg(place.join("both.c")).args(order).args(&others).arg("-o").arg(place.join("both"));
        run(&mut command);
        run(&mut Command::new(place.join("both")));
    }
}
