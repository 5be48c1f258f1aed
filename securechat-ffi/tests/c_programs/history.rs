//! What the chat client in C keeps of what was said: its marks, and that a kill loses and repeats nothing.

use crate::build::{Kit, compilers, place, root, run, with_library};
use crate::chat::{Language, Person, Relay};
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// `history.c`, compiled with these flags, prints what is to be printed.
pub fn marks(compiler: &str, flags: &[&str]) {
    let place = place(&format!("history-{compiler}-{}", flags.len()));
    let source = root().join("securechat-ffi/tests/c_programs/history.c");
    let mut command = Command::new(compiler);
    run(with_library(command.arg("-std=gnu11").args(flags), &source, &place.join("history")).arg("-lsqlite3"));
    let printed = run(Command::new(place.join("history")).arg(place.join("state")));
    let expected =
        "1970-01-01 00:00 bob (edited): first\n1970-01-01 00:00 bob (taken back): \n1970-01-01 00:00 you: mine\n";
    let (shown, rest) = printed.split_once("--\n").unwrap();
    let file = shown.strip_prefix(expected).unwrap_or_else(|| panic!("{shown}"));
    assert!(file.starts_with("20") && file.ends_with(" bob (file): data.bin\n"), "{file}");
    assert_eq!(rest, format!("{file}--\n1970-01-01 00:00 carol: stays\n"));
    nothing_readable(&place, &["frist", "nonsense", "mine", "data.bin", "carol"]);
}

/// None of these texts lies in the state in a folder.
fn nothing_readable(folder: &std::path::Path, texts: &[&str]) {
    let bytes: Vec<u8> =
        ["state", "state-wal"].iter().flat_map(|name| fs::read(folder.join(name)).unwrap_or_default()).collect();
    let found = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(found("SQLite format 3"), "a control: the database was searched");
    for text in texts {
        assert!(!found(text), "{text}");
    }
}

#[test]
fn marks_of_what_became_of_a_message() {
    for [cc, _] in compilers("the history in C") {
        marks(cc, &[]);
    }
}

/// Bob's program ends in front of its first write, in front of its second, and so on, while messages come; Alice's when she was
/// shown that hers is kept.
#[test]
fn killed_at_every_write_nothing_is_lost_and_nothing_comes_twice() {
    let kit = Kit::new("killed", compilers("the chat client in C, killed")[0], &[]);
    let place = place("killed-programs");
    let killer = place.join("killer.so");
    let source = root().join("examples/client/tests/killer.c");
    run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&killer).arg(source).arg("-ldl"));
    let server = Relay::start(&kit, Language::Rust, &place, "0");
    let start = |name: &str| Person::start(&kit, Language::C, &place, name, &server);
    let (mut alice, mut bob) = (start("alice"), start("bob"));
    alice.register();
    bob.register();
    bob.program.succeed();
    let (mut printed, mut said, mut lived) = (Vec::new(), Vec::new(), 0);
    // Until a program lives to show what came, and to write what follows from that.
    while lived < 10 {
        assert!(said.len() < 500, "it never lives");
        let text = format!("message {}.", said.len() + 1);
        alice.say("bob", &text);
        if said.len() % 20 == 0 {
            alice.program.type_line("/history bob 1");
            alice.program.expect(&format!(" you: {text}"));
            alice.program.kill();
            alice = start("alice");
            alice.program.expect("logged in");
        }
        said.push(text);
        let number = said.len().to_string();
        let preload = [("LD_PRELOAD", killer.to_str().unwrap()), ("SECURECHAT_KILL_AT", &number)];
        let mut bob = Person::start_with(&kit, Language::C, &place, "bob", &server, &preload);
        if bob.program.expect_or_end(said.last().unwrap()) {
            lived += 1;
            thread::sleep(Duration::from_millis(50));
        }
        printed.extend(bob.program.kill());
    }
    assert!(said.len() > 40, "{} writes are not all", said.len());
    alice.program.succeed();
    let mut bob = start("bob");
    bob.program.expect("logged in");
    bob.program.type_line("/history alice 1000");
    let rest = bob.program.succeed();
    printed.extend(rest.lines().map(str::to_owned));
    let mut kept: Vec<_> =
        printed.iter().filter_map(|line| line.split_once(" alice: ")).map(|(_, text)| text).collect();
    kept.sort_unstable();
    said.sort_unstable();
    assert_eq!(kept, said);
    let told = |text: &String| printed.iter().filter(|line| line.strip_prefix("alice: ") == Some(text)).count();
    assert!(said.iter().all(|text| told(text) <= 1), "{printed:#?}");
    nothing_readable(&place.join("bob"), &["message 1.", "alice"]);

    // While one has the state, another is told so.
    let mut bob = start("bob");
    bob.program.expect("logged in");
    let (status, printed) = start("bob").program.end();
    assert!(status == 1 && printed.contains("another program does"), "{printed}");
    bob.program.succeed();
    assert_eq!(server.program.terminate().0, 0);
}
