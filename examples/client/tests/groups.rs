//! Groups, with the program and a real relay.
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
use securechat_server::{Config, RunningServer, Server};
use std::fs;
use tempfile::TempDir;

fn relay(place: &TempDir, lobby: bool) -> RunningServer {
    let data = place.path().join("relay");
    // The RSA key of a new identity is slow to make, and no test here uses it.
    Server::start(Config { listen: "127.0.0.1:0".into(), data, lobby, rsa_bits: 2048, ..Config::default() }).unwrap()
}

fn start(place: &TempDir, user: &str, relay: &RunningServer, more: &[&str]) -> Program {
    Program::start(place.path(), user, &[&["--relay", &relay.address().to_string()], more].concat())
}

fn registered(place: &TempDir, user: &str, relay: &RunningServer) -> Program {
    let mut program = start(place, user, relay, &[]);
    program.type_line("/register");
    program.expect(&format!("logged in as {user}"));
    program
}

/// What `/history` shows, without the times.
fn history(program: &mut Program, with: &str) -> Vec<String> {
    program.type_line(&format!("/pm {with}"));
    program.type_line("/history 100");
    program.type_line("/devices");
    let shown = program.lines_before("this device");
    shown.into_iter().filter(|line| line.starts_with("20")).map(|line| line[17..].to_owned()).collect()
}

#[test]
fn three_people_talk_in_a_group() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, false);
    let [mut alice, mut bob, mut carol] = ["alice", "bob", "carol"].map(|user| registered(&place, user, &relay));
    alice.type_line("/new our trip");
    alice.expect("the group #our-trip is there");
    alice.type_line("/invite bob carol");
    alice.expect("you added bob, carol to #our-trip");
    for program in [&mut bob, &mut carol] {
        program.expect("you are in #our-trip now: 3 members");
    }
    // Whoever invites somebody does not choose where that one's lines go.
    bob.type_line("who reads this?");
    bob.expect("to whom?");
    alice.type_line("hello all");
    for program in [&mut bob, &mut carol] {
        program.expect("alice in #our-trip: hello all");
    }
    bob.type_line("/pm #our-trip hello alice");
    for program in [&mut alice, &mut carol] {
        program.expect("bob in #our-trip: hello alice");
    }

    let file: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(place.path().join("map.bin"), &file).unwrap();
    alice.type_line(&format!("/file #our-trip {}/map.bin", place.path().display()));
    alice.expect("map.bin is sent to #our-trip");
    for (program, user) in [(&mut bob, "bob"), (&mut carol, "carol")] {
        program.expect("alice in #our-trip offers map.bin (400.0 kB): /accept 1 takes it");
        program.type_line("/accept");
        program.expect("saved from alice in #our-trip");
        assert_eq!(fs::read(place.path().join(format!("{user}-downloads/map.bin"))).unwrap(), file);
    }

    alice.type_line("/admin bob");
    bob.expect("alice made you an admin of #our-trip");
    bob.type_line("/rename the tour");
    alice.expect("bob renamed #our-trip: the tour");
    alice.type_line("/members");
    alice.expect("in #the-tour: alice (admin), bob (admin), carol");
    alice.type_line("/remove carol");
    carol.expect("alice removed you from #the-tour");
    bob.expect("alice removed carol from #the-tour");
    alice.type_line("without carol");
    bob.expect("alice in #the-tour: without carol");
    carol.type_line("/pm #the-tour let me in");
    carol.expect("that is not for you to do in this group");
    carol.type_line("/invite carol");
    carol.type_line("/groups");
    carol.expect("you are in no group");
    let (status, printed) = carol.end();
    assert_eq!(status, 1);
    assert!(!printed.iter().any(|line| line.contains("without carol")), "{printed:#?}");

    assert_eq!(bob.end().0, 1);
    alice.type_line("are you there?");
    alice.type_line("/search hello");
    alice.expect("you in #the-tour: hello all");
    alice.expect("bob in #the-tour: hello alice");
    let mut bob = start(&place, "bob", &relay, &[]);
    bob.expect("alice in #the-tour: are you there?");
    let said = ["alice: hello all", "you: hello alice", "alice: (file) map.bin, 400.0 kB", "alice: without carol"];
    assert_eq!(history(&mut bob, "#the-tour"), [&said[..], &["alice: are you there?"]].concat());
    bob.type_line(&format!("/export {}/archive", place.path().display()));
    bob.expect("5 messages are in");
    let archive = fs::read_to_string(place.path().join("archive")).unwrap();
    assert!(archive.lines().next().unwrap().contains(r#":"the tour""#), "{archive}");
    assert!(archive.contains(r#""conversation":"group:"#), "{archive}");
    bob.type_line("/leave");
    bob.expect("you left #the-tour");
    alice.expect("bob left #the-tour");
    alice.type_line("/members");
    alice.expect("in #the-tour: alice (admin)");
    assert_eq!([alice.end().0, bob.end().0], [0, 0]);
}

/// G3: who is new lands in the lobby and is told who reads there; who was here before is told of it, and asks.
#[test]
fn g3_a_new_user_lands_in_the_lobby() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, true);
    let bob = registered(&place, "bob", &relay);
    assert_eq!(bob.end().0, 0);
    let carol = registered(&place, "carol", &relay);
    assert_eq!(carol.end().0, 0);
    let mut alice = registered(&place, "alice", &relay);
    let open = "is open: everyone who can register at this relay can read this, its operator included";
    alice.type_line("/new Lobby --open");
    alice.expect("the group #Lobby is there");
    alice.expect(&format!("#Lobby {open}"));

    let mut dave = registered(&place, "dave", &relay);
    dave.expect("you are in #Lobby now: 2 members");
    dave.expect(&format!("#Lobby {open}"));
    dave.type_line("hello everybody");
    alice.expect("dave came into #Lobby");
    alice.expect("dave in #Lobby: hello everybody");

    let mut bob = start(&place, "bob", &relay, &[]);
    bob.expect("this relay has a lobby, where everyone talks: /join; everyone who can register");
    bob.type_line("/groups");
    bob.expect("you are in no group");
    bob.type_line("/join");
    bob.type_line("me too");
    bob.expect("you are in #Lobby now: 3 members");
    for program in [&mut alice, &mut dave] {
        program.expect("bob in #Lobby: me too");
    }
    let mut carol = start(&place, "carol", &relay, &["--lobby"]);
    carol.expect("you are in #Lobby now: 4 members");
    carol.expect(&format!("#Lobby {open}"));
    carol.type_line("/leave");
    carol.expect("you left #Lobby");
    carol.type_line("/join");
    carol.type_line("/members");
    carol.expect("in #Lobby: alice (admin), bob, carol, dave");
    // The one to whom it was shown sees it again wherever the members are.
    carol.expect(&format!("#Lobby {open}"));
    carol.expect(&format!("#Lobby {open}"));
    assert_eq!(carol.end().0, 0);
    // Who is in it already only goes there.
    let mut carol = start(&place, "carol", &relay, &[]);
    carol.expect("logged in as carol");
    carol.type_line("/join");
    carol.expect("you are in #Lobby already");
    carol.type_line("back again");
    bob.expect("carol in #Lobby: back again");
    assert_eq!(carol.end().0, 0);
}

#[test]
fn what_is_refused_and_groups_of_one_name() {
    let place = tempfile::tempdir().unwrap();
    let relay = relay(&place, false);
    let [mut alice, mut bob] = ["alice", "bob"].map(|user| registered(&place, user, &relay));
    alice.type_line("/join");
    alice.expect("this relay offers no lobby");
    alice.type_line("/invite bob");
    alice.expect("of which group?");
    alice.type_line("/new friends");
    alice.type_line("/invite nobody");
    alice.expect("there is no user of that name");
    alice.type_line("/invite bob");
    bob.expect("you are in #friends now");
    alice.type_line("/invite bob");
    alice.expect("that is not for you to do in this group");
    alice.type_line("/leave");
    alice.expect("you are its only admin");
    alice.type_line("/fork keep");
    alice.expect("there is nothing to decide about #friends");
    bob.type_line("/pm #friends");
    bob.type_line("/invite alice");
    bob.expect("that is not for you to do in this group");

    // Another one of that name: from now on both are named by their ids.
    bob.type_line("/new Friends");
    let line = bob.expect("is there: /invite USER brings others in");
    let second = line.split_whitespace().find(|word| word.starts_with('#')).unwrap().to_owned();
    assert_eq!(second.len(), 9, "{line}");
    bob.type_line("/groups");
    let first = bob.expect("named friends");
    let first = first.split_whitespace().find(|word| word.starts_with('#')).unwrap().trim_end_matches(':').to_owned();
    bob.type_line(&format!("/pm {first} here"));
    alice.expect("bob in #friends: here");
    bob.type_line(&format!("/pm {second}"));
    bob.type_line("/members");
    bob.expect(&format!("in {second}: bob (admin)"));
    bob.type_line(&format!("/join {}", "0f".repeat(16)));
    bob.expect("there is no group #0f0f0f0f here that you could join");
    assert_eq!([alice.end().0, bob.end().0], [1, 1]);
}
