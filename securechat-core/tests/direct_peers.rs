//! Two clients connect without a relay and go on in the same session (L6).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::client::History;
use securechat_core::event::Event;
use securechat_core::identity::UserName;
use securechat_core::suite::{Policy, Suite};
use support::net::Net;

fn talk(suite: Suite) {
    let policy = Policy::new(vec![suite]).unwrap();
    let mut net = Net::new(3, &policy);
    let (alice, bob) = (net.add("alice", &policy), net.add("bob", &policy));
    let (to_alice, to_bob) = (UserName::new("alice").unwrap(), UserName::new("bob").unwrap());
    let pin = net.hosts[bob].client.fingerprint();
    net.connect_peers(alice, bob, Some(pin));
    net.run();
    for (host, user) in [(alice, &to_bob), (bob, &to_alice)] {
        let open = |event: &Event| matches!(event, Event::LinkOpen { user: Some(peer), suite: agreed, .. } if peer == user && *agreed == suite);
        assert!(net.saw(host, open), "{suite} {:?}", net.hosts[host].events);
    }
    let hello = net.say(alice, "bob", "hello bob");
    net.say(bob, "alice", "hello alice");
    net.say(alice, "bob", "again");
    assert_eq!(net.texts(bob).len(), 2, "{suite} {:?}", net.hosts[bob].events);
    assert_eq!(net.texts(alice).len(), 1);
    assert!(net.saw(alice, |event| *event == Event::Delivered { user: to_bob.clone(), ids: vec![hello] }));

    // What is written while the connection is down arrives on the next one, which either side may begin.
    net.cut(alice);
    net.run();
    net.say(alice, "bob", "later");
    net.restart(bob, History::Continued).unwrap();
    net.connect_peers(bob, alice, None);
    net.run();
    assert_eq!(net.texts(bob).last().unwrap().1, "later");

    // A file, from the sender's disk chunk by chunk.
    let contents: Vec<u8> = (0..150_000_u32).map(|i| (i ^ (i >> 7)) as u8).collect();
    let (file, _) = net.hosts[bob].client.send_file(&to_alice, "a.bin", 150_000, "", net.now).unwrap();
    net.hosts[bob].outgoing.insert(file, contents.clone());
    net.drain(bob);
    net.run();
    net.hosts[alice].client.accept_file(&file, net.now).unwrap();
    net.drain(alice);
    net.run();
    assert!(net.saw(alice, |event| *event == Event::FileReceived { file }), "{suite} {:?}", net.hosts[alice].events);
    assert!(net.saw(bob, |event| *event == Event::FileSent { file }));
    assert_eq!(net.hosts[alice].incoming[&file], contents);

    let ours = net.hosts[alice].client.safety_number(&to_bob, net.now);
    assert!(ours.is_err());
    net.drain(alice);
    net.run();
    let ours = net.hosts[alice].client.safety_number(&to_bob, net.now).unwrap();
    assert_eq!(ours, net.hosts[bob].client.safety_number(&to_alice, net.now).unwrap());
}

#[test]
fn peers_talk_in_every_suite() {
    for suite in Suite::ALL {
        talk(suite);
    }
}

/// A peer who is asked for another's file, or for one's own by a stranger, gets nothing.
#[test]
fn a_file_goes_to_whom_it_was_offered_and_no_other() {
    let policy = Policy::default();
    let mut net = Net::new(4, &policy);
    let (alice, bob, eve) = (net.add("alice", &policy), net.add("bob", &policy), net.add("eve", &policy));
    let (to_bob, to_eve) = (UserName::new("bob").unwrap(), UserName::new("eve").unwrap());
    net.connect_peers(bob, alice, None);
    net.connect_peers(eve, alice, None);
    net.run();
    let (file, _) = net.hosts[alice].client.send_file(&to_bob, "secret", 10, "", net.now).unwrap();
    net.hosts[alice].outgoing.insert(file, b"0123456789".to_vec());
    net.drain(alice);
    net.run();
    // Eve knows the id but was not offered the file: her client does not even ask.
    assert!(net.hosts[eve].client.accept_file(&file, net.now).is_err());
    net.hosts[bob].client.accept_file(&file, net.now).unwrap();
    net.drain(bob);
    net.run();
    assert!(net.saw(bob, |event| *event == Event::FileReceived { file }));
    // An offer of the same file id to Eve does not let her fetch what went to Bob.
    net.hosts[alice].client.send_text(&to_eve, "hi", net.now).unwrap();
    net.drain(alice);
    net.run();
    assert_eq!(net.texts(eve).len(), 1);
}
