//! A group whose members are programs in C, Rust, C++ and Python.

use crate::build::{Kit, compilers, libraries, place, root, skipped};
use crate::chat::{Language, Person, Relay};
use crate::program::Program;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The chat client in Python, which registers by itself; none where Python lacks cffi.
fn python(place: &Path, user: &str, relay: &Relay) -> Option<Program> {
    let cffi = Command::new("python3").args(["-c", "import cffi"]).stderr(Stdio::null()).status();
    if !cffi.is_ok_and(|status| status.success()) {
        skipped("a member in Python", "there is no python3 with cffi");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(root().join("examples/python/binding/chat.py")).args(["--user", user, "--relay", &relay.address]);
    command.arg("--state").arg(place.join(format!("{user}.db"))).arg("--downloads").arg(place.join(user));
    command
        .env("SECURECHAT_LIB", libraries())
        .env("SECURECHAT_PASSPHRASE", "a passphrase for tests")
        .env("SECURECHAT_PASSWORD", "a password for tests")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let mut program = Program::start(command);
    program.expect("logged in as");
    Some(program)
}

#[test]
fn a_group_of_programs_in_four_languages() {
    let pair = compilers("a group of programs")[0];
    let kit = Kit::new("groups", pair, &[]);
    let place = place("groups-talk");
    let relay = Relay::start(&kit, Language::Rust, &place, "0");
    let mut people =
        [("alice", Language::Rust), ("bob", Language::C), ("dora", Language::Cpp)].map(|(name, language)| {
            let mut person = Person::start(&kit, language, &place, name, &relay);
            person.register();
            person
        });
    let [alice, bob, dora] = &mut people;
    let Some(mut carol) = python(&place, "carol", &relay) else { return };

    // The client in C makes it, and brings the others in.
    bob.program.type_line("/new a walk\u{1b}[31m");
    let made = bob.program.expect("the group is called #");
    let group = made.split([' ', ':']).find(|word| word.starts_with('#')).unwrap().to_owned();
    assert_eq!(group.len(), 33);
    bob.program.expect("you are in #");
    bob.program.type_line(&format!("/invite {group} alice carol dora"));
    bob.program.expect(" added alice carol dora");
    let shown = carol.expect("alice, bob, carol, dora");
    assert!(shown.contains(&group) && !shown.contains('\u{1b}'), "{shown:?}");
    dora.program.expect(&format!("you are in {group}"));

    // Everybody reads what one of them writes, each once.
    let said = |from: &str, text: &str| format!("{from} in {group}: {text}");
    bob.say(&group, "hello from C");
    alice.program.expect("hello from C");
    carol.expect(&said("bob", "hello from C"));
    dora.program.expect(&said("bob", "hello from C"));
    carol.type_line(&format!("/pm {group} hello from Python"));
    alice.program.expect("hello from Python");
    bob.program.expect(&said("carol", "hello from Python"));
    dora.program.expect(&said("carol", "hello from Python"));
    alice.say(&group, "hello from Rust");
    bob.program.expect(&said("alice", "hello from Rust"));
    carol.expect(&said("alice", "hello from Rust"));
    dora.program.expect(&said("alice", "hello from Rust"));
    dora.say(&group, "hello from C++");
    alice.program.expect("hello from C++");
    bob.program.expect(&said("dora", "hello from C++"));
    carol.expect(&said("dora", "hello from C++"));

    // A file is sealed once, and fetched by each.
    let file: Vec<u8> = (0..40_000_u32).flat_map(|at| at.wrapping_mul(7).to_le_bytes()).collect();
    fs::write(place.join("map.bin"), &file).unwrap();
    carol.type_line(&format!("/file {group} {}", place.join("map.bin").display()));
    dora.program.expect(&format!("carol in {group} offers map.bin"));
    assert_eq!(bob.take("map.bin"), file);
    assert_eq!(alice.take("map.bin"), file);

    // Who is removed is told, reads nothing more and cannot write.
    bob.program.type_line(&format!("/remove {group} carol"));
    carol.expect(&format!("bob in {group}: remove carol"));
    dora.say(&group, "without carol");
    bob.program.expect(&said("dora", "without carol"));
    alice.program.expect("without carol");
    carol.type_line("am I still here?");
    carol.expect("the rules of the group do not allow this");
    let printed = carol.succeed();
    assert!(!printed.contains("without carol"), "{printed}");

    // The state has the group, and the history its messages with who wrote them.
    people[1].program.type_line(&format!("/history {group}"));
    for line in [" you: hello from C", " carol: hello from Python", " carol (file): map.bin", " dora: without carol"] {
        people[1].program.expect(line);
    }
    let [alice, bob, dora] = people;
    bob.program.succeed();
    let mut bob = Person::start(&kit, Language::C, &place, "bob", &relay);
    bob.program.expect("logged in");
    bob.program.type_line("/groups");
    bob.program.expect(": alice bob dora");
    bob.say(&group, "back again");
    alice.program.end();
    dora.program.succeed();
    bob.program.succeed();
}
