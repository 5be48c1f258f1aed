//! What the program says when something is wrong before it talks to anybody.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod program;

use program::Program;
use std::fs;
use std::net::TcpListener;
use std::process::Command;

fn printed_with(text: &str, (status, printed): (i32, Vec<String>), expected: i32) {
    assert!(printed.iter().any(|line| line.contains(text)), "no {text:?} in {printed:#?}");
    assert_eq!(status, expected, "{printed:#?}");
}

#[test]
fn a_refused_connection() {
    let place = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let program = Program::start(place.path(), "alice", &["--relay", &free.to_string()]);
    printed_with(&format!("nothing answers at {free}: is it running there"), program.end(), 3);
}

#[test]
fn a_wrong_passphrase_and_another_user() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(Program::start(place.path(), "alice", &[]).end().0, 0);
    let again = |passphrase: &str, user: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_securechat"));
        command.arg("--user").arg(user).arg("--state").arg(place.path().join("alice"));
        Program::run({
            command.env("SECURECHAT_PASSPHRASE", passphrase);
            command
        })
    };
    printed_with("this passphrase does not open the state", again("another", "alice").end(), 5);
    printed_with("belongs to alice", again("a passphrase for tests", "bob").end(), 5);
    assert_eq!(again("a passphrase for tests", "alice").end().0, 0);
}

#[test]
fn a_state_in_use_and_a_damaged_one() {
    let place = tempfile::tempdir().unwrap();
    let mut first = Program::start(place.path(), "alice", &[]);
    first.type_line("/devices");
    first.expect("this device");
    let second = Program::start(place.path(), "alice", &[]);
    printed_with("another securechat is using", second.end(), 5);
    assert_eq!(first.end().0, 0);
    fs::write(place.path().join("alice/state.db"), "this is no database, and long enough to be one".repeat(100))
        .unwrap();
    printed_with("is damaged", Program::start(place.path(), "alice", &[]).end(), 5);
}

#[test]
fn a_port_in_use() {
    let place = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let program = Program::start(place.path(), "alice", &["--listen", &address]);
    printed_with("is another program using the port?", program.end(), 3);
}

#[test]
fn commands_that_make_no_sense() {
    let place = tempfile::tempdir().unwrap();
    let mut program = Program::start(place.path(), "alice", &[]);
    for (line, sentence) in [
        ("hello?", "to whom? begin with /pm NAME or /pm #GROUP"),
        ("/nonsense", "there is no command /nonsense"),
        ("/users", "not logged in"),
        ("/new friends", "not logged in"),
        ("/join", "not logged in"),
        ("/join #friends", "there is no group #friends here: an open one is joined by its id, 32 digits"),
        ("/pm #friends hello", "you are in no group #friends: /groups lists yours"),
        ("/members", "of which group? choose one with /pm #GROUP; /groups lists yours"),
        ("/groups", "you are in no group: /new NAME makes one"),
        ("/fork both", "write /fork keep|other"),
        ("/accept 3", "there is no such offer"),
        ("/file bob /no/such/file", "/no/such/file"),
        (&format!("/approve {}", "00".repeat(32)), "no device with this fingerprint wants to join"),
        (&format!("/pm bob {}", "x".repeat(16_385)), "a text may have 16384 bytes"),
    ] {
        program.type_line(line);
        program.expect(sentence);
    }
    assert_eq!(program.end().0, 1);
}
