//! What was said: through restarts and kills, searched, written to archives and read again; and the passphrase of the state.
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
use securechat_client::{Chat, Cost, State, StateOptions, Update};
use securechat_core::event::Event;
use securechat_core::identity::UserName;
use securechat_core::limits::Rate;
use securechat_server::{Config, RunningServer, Server};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

fn relay(place: &TempDir) -> RunningServer {
    let config = Config { listen: "127.0.0.1:0".into(), data: place.path().join("relay"), ..Config::default() };
    // The RSA key of a new identity is slow to make, and no test here uses it.
    let mut config = Config { rsa_bits: 2048, ..config };
    // Who is killed often logs in often.
    config.limits.login_rate = Rate::new(1_000, 1_000);
    Server::start(config).unwrap()
}

fn start(place: &TempDir, user: &str, relay: &RunningServer) -> Program {
    Program::start(place.path(), user, &["--relay", &relay.address().to_string()])
}

fn registered(place: &TempDir, user: &str, relay: &RunningServer) -> Program {
    let mut program = start(place, user, relay);
    program.type_line("/register");
    program.expect(&format!("logged in as {user}"));
    program
}

/// A task of the command line on the state of a user, with a passphrase and more variables.
fn task(place: &TempDir, user: &str, passphrase: &str, variables: &[(&str, &str)], words: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_securechat"));
    command.args(["--user", user, "--state"]).arg(place.path().join(user)).args(words);
    command.env("SECURECHAT_PASSPHRASE", passphrase).envs(variables.iter().copied());
    Program::run(command)
}

const PASSPHRASE: &str = "a passphrase for tests";
const ARCHIVE: &[(&str, &str)] = &[("SECURECHAT_ARCHIVE_PASSPHRASE", "sesame")];

fn printed_with(text: &str, (status, printed): (i32, Vec<String>), expected: i32) {
    assert!(printed.iter().any(|line| line.contains(text)), "no {text:?} in {printed:#?}");
    assert_eq!(status, expected, "{printed:#?}");
}

/// What `/history` shows of a conversation, without the times, which are checked to be some.
fn history(program: &mut Program, with: &str) -> Vec<String> {
    program.type_line(&format!("/pm {with}"));
    program.type_line("/history 1000");
    program.type_line("/devices");
    let shown = program.lines_before("this device");
    let shown = shown.into_iter().filter(|line| line.starts_with("20") && line.as_bytes()[16] == b' ');
    shown.map(|line| line[17..].to_owned()).collect()
}

/// Every byte that lies in a folder, and the names in it.
fn everything_in(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        bytes.extend(entry.file_name().as_encoded_bytes());
        bytes.extend(fs::read(entry.path()).unwrap());
    }
    bytes
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn what_was_said_is_there_after_a_restart_and_nothing_of_it_is_readable() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place);
    let mut bob = registered(&place, "bob", &relay);
    let mut alice = registered(&place, "alice", &relay);
    bob.type_line("/pm alice the Wolpertinger sleeps");
    alice.expect("bob: the Wolpertinger");
    alice.type_line("/pm bob let it");
    fs::write(place.path().join("lullaby.txt"), "x").unwrap();
    alice.type_line(&format!("/file bob {}/lullaby.txt", place.path().display()));
    bob.expect("alice: let it");
    bob.expect("alice offers lullaby.txt");
    bob.type_line("/accept");
    bob.expect("saved from alice");
    let said = ["you: the Wolpertinger sleeps", "alice: let it", "alice: (file) lullaby.txt, 1 bytes"];
    assert_eq!(history(&mut bob, "alice"), said);
    assert_eq!(bob.end().0, 0);
    let mut bob = start(&place, "bob", &relay);
    bob.expect("logged in");
    assert_eq!(history(&mut bob, "alice"), said);
    bob.type_line("/history 1");
    bob.expect("lullaby.txt");
    bob.type_line("/search wolpert");
    bob.expect("you to alice: the Wolpertinger sleeps");
    bob.type_line("/search Lullaby");
    bob.expect("alice: (file) lullaby.txt");
    bob.type_line("/search nobody said this");
    bob.expect("nothing has these words in it");
    // While it runs, with its index, and afterwards.
    let during = everything_in(&place.path().join("bob"));
    let (status, printed) = bob.end();
    assert_eq!(status, 0, "{printed:#?}");
    assert!(!printed.iter().any(|line| line.contains("may not have been shown")), "{printed:#?}");
    for bytes in [during, everything_in(&place.path().join("bob"))] {
        assert!(contains(&bytes, "SQLite format 3"), "a control: the database was searched");
        for word in ["olpertinger", "let it", "ullaby", "user:", "alice"] {
            assert!(!contains(&bytes, word), "{word}");
        }
    }
    assert_eq!(history(&mut alice, "bob").len(), 3);
}

/// Another user, whose program is this test: it can edit, take back and react.
fn carol(place: &TempDir, relay: &RunningServer) -> Chat {
    let mut options = StateOptions::new(place.path().join("carol"), PASSPHRASE.to_owned().into());
    (options.user, options.cost) = (Some(UserName::new("carol").unwrap()), Cost::LEAST);
    let (sink, updates) = mpsc::channel();
    let carol = Chat::start(State::open(options).unwrap(), move |update| _ = sink.send(update)).unwrap();
    carol.connect(relay.address().clone()).unwrap();
    let wait = |wanted: fn(&Event) -> bool| loop {
        if let Update::Event(event) = updates.recv_timeout(Duration::from_secs(60)).unwrap()
            && wanted(&event)
        {
            return;
        }
    };
    wait(|event| matches!(event, Event::LinkOpen { .. }));
    carol.call(|client, now| client.register("a password", now)).unwrap();
    wait(|event| matches!(event, Event::LoggedIn { .. }));
    carol
}

#[test]
fn marks_of_what_became_of_a_message() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place);
    let mut bob = registered(&place, "bob", &relay);
    let to = UserName::new("bob").unwrap();
    let carol = carol(&place, &relay);
    let first = carol.send_text(to.clone(), "frist").unwrap();
    let second = carol.send_text(to.clone(), "nonsense").unwrap();
    carol.send_text(to.clone(), "(edited) \u{1b}[31mforged\n    2026-12-01 00:00 bob: me").unwrap();
    let other = to.clone();
    carol.call(move |client, now| client.send_edit(&other, first, "first", now)).unwrap();
    let other = to.clone();
    carol.call(move |client, now| client.send_delete(&other, second, now)).unwrap();
    carol.call(move |client, now| client.send_reaction(&to, first, "👍", false, now)).unwrap();
    bob.expect("carol reacts: 👍");
    let shown = history(&mut bob, "carol");
    assert_eq!(shown[..2], ["carol (edited): first", "carol: (took a message back)"]);
    assert_eq!((shown.len(), shown[2].as_str()), (3, "carol: (edited) ␛[31mforged"));
    bob.type_line("/search nonsense");
    bob.expect("nothing has these words");
    bob.type_line("/search frist");
    bob.expect("nothing has these words");
    carol.stop();
}

/// Bob is killed while messages come; Alice after she was shown that hers is kept. Nothing is lost, nothing comes twice.
#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_comes_twice() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place);
    let mut bob = registered(&place, "bob", &relay);
    assert_eq!(registered(&place, "alice", &relay).end().0, 0);
    let mut printed = Vec::new();
    let mut said = Vec::new();
    for round in 0_u64..12 {
        let mut alice = start(&place, "alice", &relay);
        alice.expect("logged in");
        alice.type_line("/pm bob");
        for number in 0..5 {
            said.push(format!("message {round}-{number}."));
            alice.type_line(said.last().unwrap());
        }
        // What the history shows is kept, whatever happens now.
        alice.type_line("/history 1");
        alice.expect(&format!("you: message {round}-4."));
        // Other moments each time, from before the first message comes until all are there.
        std::thread::sleep(Duration::from_millis(round * round * 2 % 97));
        printed.extend(bob.kill());
        alice.kill();
        bob = start(&place, "bob", &relay);
        if round % 3 == 0 {
            bob.expect("logged in");
        }
    }
    // What was still to be sent is sent.
    let mut alice = start(&place, "alice", &relay);
    alice.expect("logged in");
    let own = history(&mut alice, "bob");
    assert_eq!(own, said.iter().map(|text| format!("you: {text}")).collect::<Vec<_>>());
    assert_eq!(alice.end().0, 0);
    let last = said.last().unwrap();
    if !printed.iter().any(|line: &String| line.contains(last)) {
        bob.expect(last);
    }
    let mut kept = history(&mut bob, "alice");
    let (status, rest) = bob.end();
    assert_eq!(status, 0, "{rest:#?}");
    printed.extend(rest);
    kept.sort();
    let mut expected: Vec<_> = said.iter().map(|text| format!("alice: {text}")).collect();
    expected.sort();
    assert_eq!(kept, expected);
    // Lines of the history begin with their time.
    let told = |text: &String| {
        printed.iter().filter(|line| line.starts_with("alice") && line.ends_with(text.as_str())).count()
    };
    assert!(said.iter().all(|text| told(text) <= 1), "{printed:#?}");
    let shown: usize = said.iter().map(told).sum();
    assert!(shown > said.len() / 2, "most are also seen as they come: {shown}");
}

/// Bob's program ends in front of its first write, in front of its second, and so on, while messages come.
#[cfg(target_os = "linux")]
#[test]
fn killed_at_every_write_nothing_is_lost_and_nothing_comes_twice() {
    let place = tempfile::tempdir().unwrap();
    let killer = place.path().join("killer.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/killer.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&killer).arg(source).arg("-ldl").status();
    assert!(compiled.unwrap().success());
    let relay = relay(&place);
    assert_eq!(registered(&place, "bob", &relay).end().0, 0);
    let carol = carol(&place, &relay);
    let (mut printed, mut said, mut lived) = (Vec::new(), Vec::new(), 0);
    // Until a program lives to show what came, and to write what follows from that.
    while lived < 20 {
        assert!(said.len() < 500, "it never lives");
        let text = format!("message {}.", said.len() + 1);
        carol.send_text(UserName::new("bob").unwrap(), &*text).unwrap();
        said.push(text);
        let number = said.len().to_string();
        let mut bob = task(
            &place,
            "bob",
            PASSPHRASE,
            &[("LD_PRELOAD", killer.to_str().unwrap()), ("SECURECHAT_KILL_AT", &number)],
            &[],
        );
        if bob.expect_or_end(said.last().unwrap()) {
            lived += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
        printed.extend(bob.kill());
    }
    assert!(said.len() > 60, "{} writes are not all", said.len());
    let mut bob = start(&place, "bob", &relay);
    bob.expect("logged in");
    let kept = history(&mut bob, "carol");
    printed.extend(bob.end().1);
    // In whatever order the relay brought them again, each is there once.
    let mut numbers: Vec<usize> = kept.iter().map(|line| line[15..].trim_end_matches('.').parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=said.len()), "{kept:#?}");
    let told = |text: &String| {
        printed.iter().filter(|line| line.starts_with("carol") && line.ends_with(text.as_str())).count()
    };
    assert!(said.iter().all(|text| told(text) <= 1), "{printed:#?}");
    // What was kept and not shown is told by its own word.
    let missed = said.iter().filter(|text| told(text) == 0).count();
    assert_eq!(missed > 0, printed.iter().any(|line| line.contains("may not have been shown")), "{missed}");
    carol.stop();
}

#[test]
fn an_archive_is_read_again_on_another_device() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place);
    let mut bob = registered(&place, "bob", &relay);
    let mut alice = registered(&place, "alice", &relay);
    alice.type_line("/pm bob one canary");
    alice.type_line("two");
    bob.expect("alice: two");
    bob.type_line("/pm alice three");
    alice.expect("bob: three");
    let file = |name: &str| place.path().join(name).display().to_string();
    alice.type_line(&format!("/export {}", file("readable")));
    alice.expect("3 messages are in");
    alice.type_line(&format!("/export {}", file("readable")));
    alice.expect("exists already: choose another name");
    alice.type_line(&format!("/import {}", file("readable")));
    alice.expect("nobody to ask for the archive's passphrase");
    let shown = history_of(&place, alice, &relay);
    let readable = fs::read_to_string(file("readable")).unwrap();
    let lines: Vec<&str> = readable.lines().collect();
    assert!(lines[0].starts_with(r#"{"securechat":"history","version":1,"user":"alice","records":3}"#), "{}", lines[0]);
    assert!(lines[1].ends_with(r#""text":"one canary"}}"#), "{}", lines[1]);
    let ended = task(&place, "alice", PASSPHRASE, ARCHIVE, &["export", "--encrypted", &file("sealed")]).end();
    printed_with("3 messages are in", ended, 0);
    let sealed = fs::read(file("sealed")).unwrap();
    assert!(!contains(&sealed, "canary") && !contains(&sealed, "bob"));
    #[cfg(unix)]
    for name in ["readable", "sealed"] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(file(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }

    // Another device of hers, which heard nothing of it.
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(Program::start(elsewhere.path(), "alice", &[]).end().0, 0);
    let import =
        |variables, name: &str| task(&elsewhere, "alice", PASSPHRASE, variables, &["import", &file(name)]).end();
    printed_with("no archive that can be imported", import(ARCHIVE, "readable"), 5);
    let wrong = &[("SECURECHAT_ARCHIVE_PASSPHRASE", "sesam")];
    printed_with("this passphrase does not open the archive", import(wrong, "sealed"), 5);
    fs::write(file("cut"), &sealed[..sealed.len() - 40]).unwrap();
    printed_with("is not whole, or was changed", import(ARCHIVE, "cut"), 5);
    printed_with("3 messages were new, 0 were here already", import(ARCHIVE, "sealed"), 0);
    printed_with("0 messages were new, 3 were here already", import(ARCHIVE, "sealed"), 0);
    let mut alice = Program::start(elsewhere.path(), "alice", &[]);
    assert_eq!(history(&mut alice, "bob"), shown);
    alice.type_line("/search canary");
    alice.expect("you to bob: one canary");
    assert!(!contains(&everything_in(&elsewhere.path().join("alice")), "canary"));
    printed_with("no state in", task(&elsewhere, "nobody", PASSPHRASE, ARCHIVE, &["import", "x"]).end(), 5);
}

/// Ends a program, which had a reason to fail, and shows the history in a new one.
fn history_of(place: &TempDir, alice: Program, relay: &RunningServer) -> Vec<String> {
    assert_eq!(alice.end().0, 1);
    let mut alice = start(place, "alice", relay);
    let shown = history(&mut alice, "bob");
    assert_eq!((shown.len(), alice.end().0), (3, 0));
    shown
}

#[test]
fn the_passphrase_is_changed_and_the_old_one_opens_nothing() {
    let place = tempfile::tempdir().unwrap();
    let new = &[("SECURECHAT_NEW_PASSPHRASE", "another one")];
    assert_eq!(Program::start(place.path(), "alice", &[]).end().0, 0);
    let mut alice = task(&place, "alice", PASSPHRASE, new, &[]);
    alice.type_line("/pm bob kept");
    alice.type_line("/passphrase");
    alice.expect("the passphrase is changed");
    alice.kill();
    let change = |from, to| task(&place, "alice", from, &[("SECURECHAT_NEW_PASSPHRASE", to)], &["passphrase"]).end();
    printed_with("this passphrase does not open the state", change(PASSPHRASE, "x"), 5);
    printed_with("the passphrase is changed", change("another one", "a third one"), 0);
    printed_with("this passphrase does not open the state", change("another one", "x"), 5);
    printed_with("an empty passphrase protects nothing", change("a third one", ""), 5);
    let mut alice = task(&place, "alice", "a third one", new, &[]);
    assert_eq!(history(&mut alice, "bob"), ["you: kept"]);
}

#[test]
fn killed_while_the_passphrase_changes_one_of_the_two_opens_it() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(Program::start(place.path(), "alice", &[]).end().0, 0);
    let (mut present, mut changed) = (PASSPHRASE.to_owned(), 0);
    let opens = |passphrase: &str| task(&place, "alice", passphrase, &[], &[]).end().0 == 0;
    let started = std::time::Instant::now();
    assert!(opens(&present));
    let longest = started.elapsed().as_millis() as u64 * 2;
    for round in 0..8 {
        let next = format!("passphrase {round}");
        let program = task(&place, "alice", &present, &[("SECURECHAT_NEW_PASSPHRASE", &next)], &["passphrase"]);
        std::thread::sleep(Duration::from_millis(longest * round / 8));
        program.kill();
        match (opens(&present), opens(&next)) {
            (true, false) => {}
            (false, true) => (present, changed) = (next, changed + 1),
            both => panic!("round {round}: {both:?}"),
        }
    }
    println!("changed in {changed} of 8 rounds");
}
