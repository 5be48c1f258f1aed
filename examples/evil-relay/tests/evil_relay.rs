//! Every attack, as somebody sees it who runs the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

fn evil_relay(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_evil-relay")).args(arguments).output().unwrap()
}

/// The rows of the table that stands in a text.
fn rows(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("| ")).collect()
}

/// ATTACKS.md D6, with files and groups.
#[test]
fn d6_every_attack_of_a_relay_is_seen_or_harmless() {
    let output = evil_relay(&[]);
    let told = String::from_utf8(output.stdout).unwrap();
    let faults = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{faults}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(rows(&told), rows(&page), "README.md shows what the program prints");
    assert!(rows(&told).len() > 50);
}

#[test]
fn some_attacks_can_be_chosen_and_others_are_not_known() {
    let output = evil_relay(&["replayed", "forged"]);
    assert!(output.status.success());
    assert_eq!(rows(&String::from_utf8(output.stdout).unwrap()).len(), 3);
    let output = evil_relay(&["replayed", "no-such-attack"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("There is no attack 'no-such-attack'"));
}
