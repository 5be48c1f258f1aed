//! The main job, whole: two people register, find each other, talk, lose the connection, send a file, in every suite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::event::Event;
use securechat_core::identity::UserName;
use securechat_core::suite::{KeyExchange, Policy, Suite};
use support::net::Net;

/// The tour's scenario. Gives the bytes that crossed the wires.
fn tour(seed: u64, suite: Suite) -> Vec<u8> {
    let policy = Policy::new(vec![suite]).unwrap();
    let mut net = Net::new(seed, &policy);
    let alice = net.register("alice", &policy);
    let bob = net.register("bob", &policy);
    let (to_alice, to_bob) = (UserName::new("alice").unwrap(), UserName::new("bob").unwrap());

    let hello = net.say(alice, "bob", "hello bob");
    assert_eq!(net.texts(bob), [("alice".to_owned(), "hello bob".to_owned())]);
    assert!(net.saw(alice, |event| *event == Event::Sent { id: hello }));
    assert!(net.saw(alice, |event| *event == Event::Delivered { user: to_bob.clone(), ids: vec![hello] }));
    net.say(bob, "alice", "hello alice");
    assert_eq!(net.texts(alice).len(), 1);

    // Both compare the same number.
    assert!(net.hosts[alice].client.safety_number(&to_bob, net.now).is_err());
    net.drain(alice);
    net.run();
    let ours = net.hosts[alice].client.safety_number(&to_bob, net.now).unwrap();
    let theirs = net.hosts[bob].client.safety_number(&to_alice, net.now).unwrap();
    assert_eq!(ours, theirs);

    // Away and back.
    net.cut(bob);
    net.run();
    for text in ["one", "two", "three"] {
        net.say(alice, "bob", text);
    }
    assert_eq!(net.texts(bob).len(), 1);
    net.connect(bob);
    net.run();
    let texts: Vec<String> = net.texts(bob).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["hello bob", "one", "two", "three"]);

    net.hosts[alice].client.send_typing(&to_bob, true, net.now).unwrap();
    net.drain(alice);
    net.run();
    assert!(net.saw(bob, |event| *event == Event::Typing { user: to_alice.clone(), active: true }));
    net.hosts[bob].client.mark_read(&to_alice, &[hello], net.now).unwrap();
    net.drain(bob);
    net.run();
    assert!(net.saw(alice, |event| *event == Event::Read { user: to_bob.clone(), ids: vec![hello] }));

    // A file of several chunks.
    let contents: Vec<u8> = (0..200_000_u32).map(|i| (i * 7 + i / 256) as u8).collect();
    let size = contents.len() as u64;
    let (file, _) = net.hosts[alice].client.send_file(&to_bob, "notes.txt", size, "text/plain", net.now).unwrap();
    net.hosts[alice].outgoing.insert(file, contents.clone());
    net.drain(alice);
    net.run();
    assert!(net.saw(bob, |event| matches!(event, Event::FileOffered { name, .. } if name == "notes.txt")));
    net.hosts[bob].client.accept_file(&file, net.now).unwrap();
    net.drain(bob);
    net.advance(5_000);
    assert!(net.saw(bob, |event| *event == Event::FileReceived { file }), "{:?}", net.hosts[bob].events);
    assert_eq!(net.hosts[bob].incoming[&file], contents);
    assert!(net.saw(alice, |event| *event == Event::FileSent { file }));
    net.tap
}

#[test]
fn the_tour_in_every_suite() {
    for suite in Suite::ALL {
        tour(1, suite);
    }
}

/// The engines replay from a seed: every byte on every wire.
#[test]
fn the_tour_replays_from_its_seed() {
    for suite in Suite::ALL {
        // AWS-LC draws the randomness of ML-KEM and OAEP itself, so those suites replay on RustCrypto only.
        if cfg!(feature = "aws-lc") && suite.key_exchange != KeyExchange::X25519 {
            continue;
        }
        let first = tour(7, suite);
        assert!(first == tour(7, suite), "{suite}");
        assert!(first != tour(8, suite), "{suite}");
    }
}
