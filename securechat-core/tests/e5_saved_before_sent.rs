//! State is saved before a ciphertext that depends on it leaves, and before a message is acknowledged (S10).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::client::History;
use securechat_core::event::Event;
use securechat_core::identity::UserName;
use securechat_core::suite::{Policy, Suite};
use support::net::Net;

fn two(seed: u64) -> (Net, usize, usize) {
    let policy = Policy::new(vec![Suite::ALL[0]]).unwrap();
    let mut net = Net::new(seed, &policy);
    let (alice, bob) = (net.register("alice", &policy), net.register("bob", &policy));
    net.say(alice, "bob", "hello");
    net.say(bob, "alice", "hello");
    (net, alice, bob)
}

#[test]
fn e5_nothing_is_transmitted_while_a_save_waits() {
    let (mut net, alice, _) = two(71);
    let bob = UserName::new("bob").unwrap();
    for round in 0..20 {
        let client = &mut net.hosts[alice].client;
        // A few texts may be unanswered at once; typing notices are not answered at all.
        if round < 3 {
            client.send_text(&bob, "a word", net.now).unwrap();
        } else {
            client.send_typing(&bob, true, net.now).unwrap();
        }
        let mut bytes = Vec::new();
        assert!(client.poll_transmit(&mut bytes).is_none() && bytes.is_empty(), "{round}");
        assert!(client.poll_save().is_some_and(|batch| !batch.is_empty()), "{round}");
        assert!(client.poll_save().is_none());
        assert!(client.poll_transmit(&mut bytes).is_some() && !bytes.is_empty(), "{round}");
    }
}

/// What came is saved before it is acknowledged, and kept until it was looked at: killed in between, it is shown once.
#[test]
fn e5_what_came_is_saved_before_it_is_acknowledged() {
    let (mut net, alice, bob) = two(72);
    for round in 0..10 {
        net.hosts[bob].deaf = true;
        let text = format!("message {round}");
        net.say(alice, "bob", &text);
        net.hosts[bob].deaf = false;
        net.restart(bob, History::Continued).unwrap();
        net.connect(bob);
        net.run();
        assert_eq!(net.texts(bob).iter().filter(|(_, shown)| *shown == text).count(), 1, "{round}");
    }
    assert!(!net.saw(bob, |event| matches!(event, Event::Unopened { .. })));
}

/// A chunk leaves when its tag is saved (F3), and not before.
#[test]
fn e5_no_chunk_leaves_before_its_tag_is_saved() {
    let (mut net, alice, _) = two(73);
    let (bob, now) = (UserName::new("bob").unwrap(), net.now);
    net.hosts[alice].client.send_file(&bob, "a", 100_000, "", now).unwrap();
    net.drain(alice);
    net.run();
    let needed = |event: &Event| match event {
        Event::FileNeed { file, chunk, length, .. } => Some((*file, *chunk, *length)),
        _ => None,
    };
    let needs: Vec<_> = net.hosts[alice].events.iter().filter_map(needed).collect();
    assert_eq!(needs.len(), 2);
    for (file, chunk, length) in needs {
        let client = &mut net.hosts[alice].client;
        client.supply_file(&file, chunk, &vec![7; length], now).unwrap();
        let mut bytes = Vec::new();
        assert!(client.poll_transmit(&mut bytes).is_none() && bytes.is_empty() && client.wants_save());
        // The page of tags, and the age of the state.
        assert_eq!(client.poll_save().unwrap().len(), 2);
        assert!(client.poll_transmit(&mut bytes).is_some() && bytes.len() > length);
    }
}
