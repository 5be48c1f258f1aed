//! What the shared library shows: its symbols, its soname, its size.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set to write the list of symbols anew.
const WRITE: &str = "SECURECHAT_WRITE_SYMBOLS";

/// Most bytes of the shared library as it is installed, with the default backend on x86-64. README.md has what they are; one who
/// needs more says there what for.
const SIZE_MAX: u64 = 3_050_000;

/// The library that cargo built for this test.
fn library() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().join("libsecurechat.so")
}

fn printed(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn exactly_the_listed_symbols_are_exported() {
    let shown = printed("nm", &["--dynamic", "--defined-only", "--format=posix"], &library());
    let mut names: Vec<&str> = shown.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    let found = names.join("\n") + "\n";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/symbols.txt");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let listed = std::fs::read_to_string(&golden).unwrap();
    assert!(listed.lines().all(|name| name.starts_with("securechat_")), "{listed}");
    assert_eq!(found, listed, "a symbol that is gone breaks programs; {WRITE}=1 lists those that came");
}

/// What the header declares is exported, and nothing else.
#[test]
fn the_list_is_that_of_the_header() {
    let header = include_str!("../../include/securechat.h");
    for name in include_str!("golden/symbols.txt").lines() {
        assert!(header.contains(&format!("{name}(")), "{name} is not declared");
    }
}

#[test]
fn the_soname_is_the_number_of_the_abi() {
    let shown = printed("objdump", &["-p"], &library());
    let soname = shown.lines().find_map(|line| line.trim().strip_prefix("SONAME")).map(str::trim);
    assert_eq!(soname, Some("libsecurechat.so.0"));
}

/// Of the library in the profile in which it is installed, where that was built.
#[cfg(target_arch = "x86_64")]
#[test]
fn what_is_installed_stays_small() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let built = folder.parent().unwrap().join("library/libsecurechat.so");
    if !built.exists() {
        _ = writeln!(std::io::stderr(), "SKIPPED the size of the library: README.md's first command did not build it");
        return;
    }
    let stripped = folder.join("libsecurechat.stripped");
    let to = ["--strip-unneeded", "-o", stripped.to_str().unwrap()];
    printed("strip", &to, &built);
    let size = std::fs::metadata(&stripped).unwrap().len();
    assert!(size <= SIZE_MAX, "{size} bytes, more than {SIZE_MAX} (with the default backend?): {}", built.display());
}
