//! The program and a real relay.
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
use securechat_server::{Config, RunningServer, Server};
use std::fs;
use std::process::Command;
use tempfile::TempDir;

fn relay(place: &TempDir, change: impl FnOnce(&mut Config)) -> RunningServer {
    let mut config = Config { listen: "127.0.0.1:0".into(), data: place.path().join("relay"), ..Config::default() };
    // The RSA key of a new identity is slow to make, and no test here uses it.
    config.rsa_bits = 2048;
    change(&mut config);
    Server::start(config).unwrap()
}

/// Starts a user's program at this relay, with more arguments if there are any.
fn start(place: &TempDir, user: &str, relay: &RunningServer, more: &[&str]) -> Program {
    let address = relay.address().to_string();
    Program::start(place.path(), user, &[&["--relay", &address], more].concat())
}

/// The same for the first time: with an account afterwards.
fn registered(place: &TempDir, user: &str, relay: &RunningServer) -> Program {
    let mut program = start(place, user, relay, &[]);
    program.type_line("/register");
    program.expect(&format!("logged in as {user}"));
    program
}

fn ends_with(text: &str, program: Program, status: i32) {
    let (ended, printed) = program.end();
    assert!(printed.iter().any(|line| line.contains(text)), "no {text:?} in {printed:#?}");
    assert_eq!(ended, status, "{printed:#?}");
}

#[test]
fn two_programs_talk_also_while_one_is_away() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, |_| ());
    let mut alice = registered(&place, "alice", &relay);
    let mut bob = registered(&place, "bob", &relay);
    alice.type_line("/users");
    alice.expect("online: alice, bob");
    alice.type_line("/pm bob hello bob");
    bob.expect("alice: hello bob");
    bob.type_line("/pm alice hello alice");
    alice.expect("bob: hello alice");
    bob.type_line("/devices");
    let device = fingerprint(&bob.expect("this device"));

    assert_eq!(bob.end().0, 0);
    alice.expect("bob is offline");
    alice.type_line("are you there?");
    alice.type_line("/users");
    alice.expect("offline: bob");
    assert_eq!(alice.end().0, 0);

    // Neither the address nor the account has to be named again.
    let mut bob = Program::start(place.path(), "bob", &[]);
    bob.expect("logged in as bob");
    bob.expect("alice: are you there?");
    bob.type_line("/devices");
    assert_eq!(fingerprint(&bob.expect("this device")), device);
    bob.type_line("/pm alice now I am");
    assert_eq!(bob.end().0, 0);
    let mut alice = Program::start(place.path(), "alice", &[]);
    alice.expect("bob: now I am");
    relay.shutdown().unwrap();
    alice.expect("the relay stops");
}

/// ATTACKS.md C5: nothing that a program prints has a password, the passphrase or a private key in it.
#[test]
fn c5_what_the_program_prints_shows_no_secret() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, |config| config.set_server_password("doorkeeper-canary".to_owned().into()).unwrap());
    let file = |name: &str| {
        fs::write(place.path().join(name), format!("{name}-canary\n")).unwrap();
        place.path().join(name).display().to_string()
    };
    let (door, first, new) = (file("doorkeeper"), file("password"), file("new"));
    let files = ["--server-password-file", &door, "--password-file", &first, "--new-password-file", &new];
    let mut printed = Vec::new();
    let mut alice = start(&place, "alice", &relay, &files);
    alice.type_line("/register");
    alice.expect("logged in as alice");
    alice.type_line("/passwd");
    alice.type_line("/devices");
    alice.expect("this device");
    printed.extend(alice.end().1);
    // The password from before is wrong now, and the passphrase is too.
    let mut other = start(&place, "alice2", &relay, &[]);
    other.type_line("/nonsense");
    printed.extend(other.end().1);
    let mut wrong = Command::new(env!("CARGO_BIN_EXE_securechat"));
    wrong.args(["--user", "alice", "--state"]).arg(place.path().join("alice"));
    wrong.env("SECURECHAT_PASSPHRASE", "passphrase-canary").env("RUST_BACKTRACE", "1").env("RUST_LOG", "trace");
    printed.extend(Program::run(wrong).end().1);
    assert!(printed.len() > 5, "{printed:#?}");
    for line in &printed {
        for secret in ["canary", "a passphrase for tests", "password of alice"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    relay.shutdown().unwrap();
}

#[test]
fn a_script_exits_when_everything_is_sent() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, |_| ());
    assert_eq!(registered(&place, "bob", &relay).end().0, 0);
    let file: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(place.path().join("data.bin"), &file).unwrap();

    let mut alice = start(&place, "alice", &relay, &[]);
    alice.type_line("/register");
    alice.type_line("/pm bob first");
    alice.type_line("second");
    alice.type_line(&format!("/file bob {}/data.bin", place.path().display()));
    ends_with("data.bin is sent to bob", alice, 0);

    let mut bob = start(&place, "bob", &relay, &[]);
    bob.expect("alice: first");
    bob.expect("alice: second");
    bob.expect("/accept 1 takes it");
    bob.type_line("/accept");
    ends_with("saved from alice", bob, 0);
    assert_eq!(fs::read(place.path().join("bob-downloads/data.bin")).unwrap(), file);
}

#[test]
fn the_relays_own_password() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, |config| config.set_server_password("sesame".to_owned().into()).unwrap());
    let file = |name: &str, text: &str| {
        fs::write(place.path().join(name), text).unwrap();
        place.path().join(name).display().to_string()
    };
    let mut alice = start(&place, "alice", &relay, &[]);
    alice.type_line("/register");
    ends_with("the relay wants its own password: give --server-password-file", alice, 1);

    let mut alice = start(&place, "alice", &relay, &["--server-password-file", &file("wrong", "sesam")]);
    alice.type_line("/register");
    ends_with("the relay's own password is wrong: ask its operator for it", alice, 4);

    let mut alice = start(&place, "alice", &relay, &["--server-password-file", &file("right", "sesame\n")]);
    alice.type_line("/register");
    ends_with("logged in as alice", alice, 0);
    // A device that the relay knows needs it no more.
    let mut alice = start(&place, "alice", &relay, &[]);
    alice.expect("logged in as alice");
    assert_eq!(alice.end().0, 0);
}

#[test]
fn a_wrong_login_an_unknown_user_and_a_taken_name() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, |_| ());
    let mut alice = registered(&place, "alice", &relay);
    alice.type_line("/pm nobody hello?");
    alice.expect("there is no user nobody here");
    alice.type_line("/verify nobody");
    alice.expect("there is no user nobody here");
    assert_eq!(alice.end().0, 1);

    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("password"), "guessed").unwrap();
    let path = elsewhere.path().join("password").display().to_string();
    let mut alice = start(&elsewhere, "alice", &relay, &["--password-file", &path]);
    alice.type_line("/login");
    ends_with("wrong name, password or code", alice, 4);
    let mut alice = start(&elsewhere, "alice", &relay, &[]);
    alice.type_line("/register");
    ends_with("this name is taken", alice, 4);
}

#[test]
fn a_password_is_changed() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, |_| ());
    fs::write(place.path().join("new"), "another password").unwrap();
    let path = place.path().join("new").display().to_string();
    assert_eq!(registered(&place, "alice", &relay).end().0, 0);
    let mut alice = start(&place, "alice", &relay, &["--new-password-file", &path]);
    alice.expect("logged in as alice");
    alice.type_line("/passwd");
    ends_with("your password is changed", alice, 0);

    let elsewhere = tempfile::tempdir().unwrap();
    let mut alice = start(&elsewhere, "alice", &relay, &["--password-file", &path]);
    alice.type_line("/login");
    ends_with("this device is new", alice, 0);
}

/// A10: a relay that is not pinned gets no password, and a relay with another key none ever.
#[test]
fn a10_the_relays_key_is_compared_and_then_pinned() {
    let place = tempfile::tempdir().unwrap();
    let first = relay(&place, |_| ());
    let place_only = first.listening().to_string();
    let mut alice = Program::start(place.path(), "alice", &["--relay", &place_only]);
    alice.type_line("/register");
    ends_with(&format!("the relay shows the fingerprint {}", first.fingerprint()), alice, 6);

    let trust = first.fingerprint().to_string();
    let mut alice = Program::start(place.path(), "alice", &["--relay", &place_only, "--trust", &trust]);
    alice.type_line("/register");
    ends_with("logged in as alice", alice, 0);
    let mut alice = Program::start(place.path(), "alice", &[]);
    alice.expect("logged in as alice");
    assert_eq!(alice.end().0, 0);

    // Another relay in its place.
    let expected = first.fingerprint();
    first.shutdown().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let second = relay(&elsewhere, |config| config.listen = place_only.clone());
    let (status, printed) = Program::start(place.path(), "alice", &[]).end();
    let sentence = format!("the key of the relay HAS CHANGED: expected {expected}, shown {}", second.fingerprint());
    assert!(printed.iter().any(|line| line.contains(&sentence)), "{printed:#?}");
    assert_eq!(status, 6);
    let (status, _) = Program::start(place.path(), "alice", &["--trust", &second.fingerprint().to_string()]).end();
    assert_eq!(status, 6, "a flag for a first contact does not override a pin");
}

#[test]
fn a_second_device_is_approved_and_hears_everything() {
    let place = tempfile::tempdir().unwrap();
    let laptop_place = tempfile::tempdir().unwrap();
    let relay = relay(&place, |_| ());
    let mut phone = registered(&place, "alice", &relay);
    let mut bob = registered(&place, "bob", &relay);
    let mut laptop = start(&laptop_place, "alice", &relay, &[]);
    laptop.type_line("/login");
    let shown = fingerprint(&laptop.expect("its fingerprint"));
    assert_eq!(fingerprint(&phone.expect("/approve")), shown);
    phone.type_line(&format!("/approve {shown}"));
    phone.expect("you added a device");
    laptop.type_line("/devices");
    bob.type_line("/pm alice to all of you");
    phone.expect("bob: to all of you");
    laptop.expect("bob: to all of you");
    phone.type_line("/pm bob from the phone");
    bob.expect("alice: from the phone");
    laptop.expect("you to bob: from the phone");
    laptop.type_line("/pm bob from the laptop");
    bob.expect("alice: from the laptop");
    phone.expect("you to bob: from the laptop");

    phone.type_line(&format!("/revoke {shown}"));
    phone.expect("you removed a device");
    laptop.expect("another device of yours shut this one out");
    assert_eq!(laptop.end().0, 4);
    let mut laptop = start(&laptop_place, "alice", &relay, &[]);
    laptop.expect("this device was shut out: /login asks");
    assert_eq!(laptop.end().0, 4);
    let mut laptop = start(&laptop_place, "alice", &relay, &[]);
    laptop.type_line("/login");
    laptop.expect("this device is new");
    phone.expect("/approve");
}

/// ATTACKS.md D5, as a person sees it.
#[test]
fn d5_changed_keys_stop_the_talk_until_they_are_accepted() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, |_| ());
    let mut alice = registered(&place, "alice", &relay);
    let mut bob = registered(&place, "bob", &relay);
    alice.type_line("/pm bob one");
    bob.expect("alice: one");
    assert_eq!(bob.end().0, 0);

    let elsewhere = tempfile::tempdir().unwrap();
    let mut other = start(&elsewhere, "bob", &relay, &[]);
    other.type_line("/login");
    other.expect("this device is new");
    other.type_line("/start-over yes");
    other.type_line("/pm alice it is me");
    alice.expect("the keys of bob HAVE CHANGED");
    alice.expect("bob (KEYS CHANGED): it is me");
    alice.type_line("two");
    alice.expect("the keys of this user have changed");
    alice.type_line("/trust bob");
    alice.expect("the new keys of bob are accepted");
    alice.type_line("three");
    other.expect("alice: three");
    assert!(!other.end().1.iter().any(|line| line.contains("two")));
}

/// ATTACKS.md E3: a file that is another one after a restart is not sent on, and the program says so.
#[test]
fn e3_a_file_edited_while_it_is_sent_has_to_be_sent_anew() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, |_| ());
    let mut bob = registered(&place, "bob", &relay);
    let mut alice = registered(&place, "alice", &relay);
    let path = place.path().join("a.bin");
    fs::write(&path, vec![7; 100_000_000]).unwrap();
    alice.type_line(&format!("/file bob {}", path.display()));
    bob.expect("alice offers a.bin");
    // Killed in the middle of it.
    drop(alice);
    fs::write(&path, vec![7; 1_000]).unwrap();
    let mut alice = start(&place, "alice", &relay, &[]);
    alice.expect("a.bin to bob goes on");
    alice.expect("a.bin: the file has changed");
    alice.type_line("/transfers");
    alice.expect("nothing is on its way");
}

#[test]
fn transfers_are_listed_and_cancelled() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, |_| ());
    let mut bob = registered(&place, "bob", &relay);
    let mut alice = registered(&place, "alice", &relay);
    let path = place.path().join("a.bin");
    fs::write(&path, vec![7; 200_000_000]).unwrap();
    alice.type_line(&format!("/file bob {}", path.display()));
    bob.expect("alice offers a.bin");
    bob.type_line("/accept");
    bob.type_line("/transfers");
    bob.expect("1: a.bin from alice, ");
    alice.type_line("/transfers");
    alice.expect("1: a.bin to bob, ");
    bob.type_line("/cancel 2");
    bob.expect("no such transfer");
    bob.type_line("/cancel 1");
    bob.expect("a.bin is cancelled");
    assert_eq!(fs::read_dir(place.path().join("bob-downloads")).unwrap().count(), 0, "no part is left");
    alice.type_line("/cancel 1");
    alice.expect("a.bin is cancelled");
    for mut program in [alice, bob] {
        program.type_line("/transfers");
        program.expect("nothing is on its way");
    }
}
