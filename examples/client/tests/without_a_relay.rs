//! Two programs connected directly, with `--listen` and `--peer`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod program;

use program::{Program, fingerprint};
use std::fs;
use std::path::Path;

/// Starts Alice, who listens and trusts Bob, and Bob, who knows her address.
fn alice_and_bob(place: &Path) -> (Program, Program) {
    let mut bob = Program::start(place, "bob", &[]);
    bob.type_line("/devices");
    let bobs = fingerprint(&bob.expect("this device"));
    assert_eq!(bob.end().0, 0);
    let mut alice = Program::start(place, "alice", &["--listen", "127.0.0.1:0", "--trust", &bobs]);
    let address = alice.expect("others reach you at").split_once("--peer ").unwrap().1.to_owned();
    let mut bob = Program::start(place, "bob", &["--peer", &address]);
    alice.expect("connected to bob, directly");
    bob.expect("connected to alice, directly");
    (alice, bob)
}

#[test]
fn two_programs_talk_compare_and_send_a_file() {
    let place = tempfile::tempdir().unwrap();
    let (mut alice, mut bob) = alice_and_bob(place.path());
    alice.type_line("hello bob");
    bob.expect("alice: hello bob");
    bob.type_line("/pm alice hello alice");
    alice.expect("bob: hello alice");

    alice.type_line("/verify bob");
    bob.type_line("/verify alice");
    let digits = |line: String| line.rsplit_once("): ").unwrap().1.to_owned();
    let number = digits(alice.expect("safety number with bob (not verified yet)"));
    assert_eq!(number, digits(bob.expect("safety number with alice")));
    assert_eq!(number.split(' ').count(), 12);
    alice.type_line("/verify bob yes");
    alice.expect("(verified)");
    bob.type_line("checked");
    alice.expect("bob ✓: checked");

    let file: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(place.path().join("some file.bin"), &file).unwrap();
    alice.type_line(&format!("/file bob {}/some file.bin", place.path().display()));
    bob.expect("alice offers some file.bin (200.0 kB): /accept 1 takes it");
    bob.type_line("/accept 1");
    bob.expect("saved from alice");
    alice.expect("some file.bin is sent to bob");
    assert_eq!(fs::read(place.path().join("bob-downloads/some file.bin")).unwrap(), file);

    assert_eq!(alice.end().0, 0);
    assert_eq!(bob.end().0, 0);
}

/// ATTACKS.md E4, in the bytes that the program prints.
#[test]
fn e4_no_escape_sequence_reaches_the_screen() {
    let place = tempfile::tempdir().unwrap();
    let (mut alice, mut bob) = alice_and_bob(place.path());
    alice.type_line("look \x1b[2J\x1b]0;title\x07 \u{9b}31m \u{202e}here");
    bob.expect("alice: look");
    fs::write(place.path().join("a\x1b[31m\u{202e}b.txt"), "x").unwrap();
    alice.type_line(&format!("/file bob {}/a\x1b[31m\u{202e}b.txt", place.path().display()));
    bob.expect("alice offers");
    let (_, printed) = bob.end();
    for line in &printed {
        assert!(!line.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)), "{line:?}");
    }
}

/// Who is not expected does not get in, and does not end the program either (A10, A13).
#[test]
fn a_stranger_is_refused_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut alice = Program::start(place.path(), "alice", &["--listen", "127.0.0.1:0"]);
    let address = alice.expect("others reach you at").split_once("--peer ").unwrap().1.to_owned();
    let mallory = Program::start(place.path(), "mallory", &["--peer", &address]);
    alice.expect("mallory (so it says) shows the fingerprint");
    let (status, printed) = mallory.end();
    assert_eq!(status, 3, "{printed:#?}");
    assert!(!printed.iter().any(|line| line.contains("connected to")), "{printed:#?}");
    alice.type_line("/devices");
    alice.expect("this device");
}

/// Another key than the one in the address is never talked to.
#[test]
fn another_key_than_expected_is_said_and_refused() {
    let place = tempfile::tempdir().unwrap();
    let mut alice = Program::start(place.path(), "alice", &["--listen", "127.0.0.1:0"]);
    let address = alice.expect("others reach you at").split_once("--peer ").unwrap().1.to_owned();
    let (host, _) = address.split_once('#').unwrap();
    let bob = Program::start(place.path(), "bob", &["--peer", &format!("{host}#{}", "ab".repeat(32))]);
    let (status, printed) = bob.end();
    assert_eq!(status, 6, "{printed:#?}");
    assert!(printed.iter().any(|line| line.contains("HAS CHANGED: expected abab")), "{printed:#?}");
}

#[test]
fn a_restart_is_the_same_device_in_the_same_session() {
    let place = tempfile::tempdir().unwrap();
    let (mut alice, mut bob) = alice_and_bob(place.path());
    alice.type_line("one");
    bob.expect("alice: one");
    bob.type_line("two");
    alice.expect("bob: two");
    assert_eq!(bob.end().0, 0);
    assert_eq!(alice.end().0, 0);

    // Now they know each other: nobody has to be trusted again.
    let mut alice = Program::start(place.path(), "alice", &["--listen", "127.0.0.1:0"]);
    let address = alice.expect("others reach you at").split_once("--peer ").unwrap().1.to_owned();
    let mut bob = Program::start(place.path(), "bob", &["--peer", &address]);
    bob.expect("connected to alice");
    bob.type_line("/pm alice three");
    alice.expect("bob: three");
    let (_, printed) = alice.end();
    assert!(!printed.iter().any(|line| line.contains("older copy")), "{printed:#?}");
}

/// S10: a folder that was put back is noticed, and the talk goes on in new sessions.
#[test]
fn a_state_that_was_put_back_is_noticed() {
    let place = tempfile::tempdir().unwrap();
    let (mut alice, mut bob) = alice_and_bob(place.path());
    alice.type_line("one");
    bob.expect("alice: one");
    assert_eq!(bob.end().0, 0);
    let backup = fs::read(place.path().join("bob/state.db")).unwrap();
    alice.expect("bob closed");
    assert_eq!(alice.end().0, 0);

    let mut alice = Program::start(place.path(), "alice", &["--listen", "127.0.0.1:0"]);
    let address = alice.expect("others reach you at").split_once("--peer ").unwrap().1.to_owned();
    let mut bob = Program::start(place.path(), "bob", &["--peer", &address]);
    bob.expect("connected to alice");
    bob.type_line("/pm alice two");
    alice.expect("bob: two");
    assert_eq!(bob.end().0, 0);

    fs::write(place.path().join("bob/state.db"), backup).unwrap();
    for stale in ["state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(place.path().join("bob").join(stale));
    }
    let mut bob = Program::start(place.path(), "bob", &["--peer", &address]);
    bob.expect("older copy");
    bob.expect("connected to alice");
    bob.type_line("/pm alice three");
    alice.expect("bob: three");
    alice.type_line("/pm bob four");
    bob.expect("alice: four");
    assert_eq!(bob.end().0, 0);
}
