//! The tour as somebody sees it who runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::process::{Command, Output};

fn tour(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tour")).args(arguments).output().unwrap()
}

#[test]
fn all_of_it_holds_on_two_screens() {
    let output = tour(&["--suite", "x25519-aes-gcm"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.lines().count() <= 60, "{told}");
    for line in told.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert!(!line.chars().any(char::is_control), "colour where there is no terminal: {line:?}");
    }
}

/// The search would see it: what lies at the relay in clear, here a file that says what every password hash begins with.
#[test]
fn a_file_that_lies_at_the_relay_fails_the_tour() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a file.txt");
    fs::write(&path, "$argon2id$v=19$m=19456,t=2,p=1$").unwrap();
    let output = tour(&["--suite", "0x0101", path.to_str().unwrap()]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the file, pieces of 24 bytes"), "{told}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("it did not hold"), "{told}");
}

#[test]
fn a_file_that_is_not_there_is_a_sentence() {
    let output = tour(&["/no/such/file"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("The tour ends here: /no/such/file"));
}
