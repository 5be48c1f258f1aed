//! What goes wrong is noticed and mends itself: messages that do not open, crashes, restored backups, bad networks
//! (S8 to S10, L1; ATTACKS.md B4, B12).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use securechat_core::client::History;
use securechat_core::event::Event;
use securechat_core::identity::UserName;
use securechat_core::relay::StoreJob;
use securechat_core::suite::{Policy, Suite};
use securechat_core::wire::Push;
use std::cell::Cell;
use std::rc::Rc;
use support::net::{Fate, Net};

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn two(seed: u64) -> (Net, usize, usize) {
    let policy = Policy::new(vec![Suite::ALL[0]]).unwrap();
    let mut net = Net::new(seed, &policy);
    let alice = net.register("alice", &policy);
    let bob = net.register("bob", &policy);
    (net, alice, bob)
}

/// Damages the next envelopes on their way from the relay; gives a counter of how many are still to be damaged.
fn damage(net: &mut Net, count: u32) -> Rc<Cell<u32>> {
    let left = Rc::new(Cell::new(count));
    let handle = left.clone();
    net.relay.on_push = Some(Box::new(move |push| {
        if let Push::Deliver(deliver) = push
            && handle.get() > 0
        {
            let mut bytes = deliver.envelope.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            deliver.envelope = bytes.into();
            handle.set(handle.get() - 1);
        }
        true
    }));
    left
}

/// S8, S9: a message that was damaged on its way is asked for, in a new session, and comes.
#[test]
fn a_damaged_message_is_sent_again() {
    let (mut net, alice, bob) = two(21);
    net.say(alice, "bob", "first");
    net.say(bob, "alice", "answer");
    let left = damage(&mut net, 1);
    let lost = net.say(alice, "bob", "damaged on its way");
    assert_eq!(left.get(), 0);
    net.advance(5_000);
    assert!(net.saw(bob, |event| *event == Event::Unopened { claimed: name("alice") }));
    let texts: Vec<String> = net.texts(bob).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["first", "damaged on its way"], "{:?}", net.hosts[bob].events);
    assert!(net.saw(alice, |event| matches!(event, Event::Delivered { ids, .. } if ids.contains(&lost))));
    net.say(alice, "bob", "and on");
    net.say(bob, "alice", "both ways");
    assert_eq!(net.texts(bob).len(), 3);
    assert_eq!(net.texts(alice).len(), 2);
}

/// S9: the same message is not given twice, however often it is asked for. Transfer of others goes on.
#[test]
fn a_message_is_sent_again_once() {
    let (mut net, alice, bob) = two(22);
    net.say(alice, "bob", "first");
    net.say(bob, "alice", "answer");
    // Every message of Alice's to Bob is damaged for a while: the repetition too.
    let damaged = Rc::new(Cell::new(0));
    let handle = damaged.clone();
    let (from, to) = (net.hosts[alice].client.identity(), name("alice"));
    net.relay.on_push = Some(Box::new(move |push| {
        if let Push::Deliver(deliver) = push
            && deliver.sender == from
            && deliver.user == to
        {
            let mut bytes = deliver.envelope.to_vec();
            bytes[40] ^= 1;
            deliver.envelope = bytes.into();
            handle.set(handle.get() + 1);
        }
        true
    }));
    net.say(alice, "bob", "never arrives");
    net.advance(2 * 3_600_000);
    // The message, its one repetition; what else is damaged are receipts, which nobody asks for.
    assert_eq!(net.texts(bob).len(), 1);
    let first = damaged.get();
    net.advance(10 * 3_600_000);
    assert_eq!(damaged.get(), first);
    net.relay.on_push = None;
    net.say(alice, "bob", "this does");
    net.advance(3_600_000);
    assert_eq!(
        net.texts(bob).last().unwrap().1,
        "this does",
        "{:#?} {:#?}",
        net.hosts[bob].events,
        net.hosts[alice].events
    );
}

/// L1: the relay may bring an envelope as often as it likes; it is shown once.
#[test]
fn b1_an_envelope_delivered_often_is_shown_once() {
    let (mut net, alice, bob) = two(23);
    net.say(alice, "bob", "hello");
    net.relay.on_job = Some(Box::new(|job| {
        if let StoreJob::Acknowledge { envelopes, .. } = job {
            envelopes.clear();
        }
    }));
    net.say(alice, "bob", "again and again");
    for _ in 0..10 {
        net.cut(bob);
        net.connect(bob);
        net.run();
    }
    assert_eq!(net.texts(bob).len(), 2);
}

/// A host that crashes after the save and before it looked at the message sees it after the restart, once.
#[test]
fn nothing_is_lost_between_save_and_event() {
    let (mut net, alice, bob) = two(24);
    net.say(alice, "bob", "hello");
    net.hosts[bob].deaf = true;
    net.say(alice, "bob", "into the crash");
    assert_eq!(net.texts(bob).len(), 1);
    net.hosts[bob].deaf = false;
    net.restart(bob, History::Continued).unwrap();
    net.connect(bob);
    net.run();
    assert_eq!(net.texts(bob).len(), 2);
    net.say(bob, "alice", "got it");
    assert_eq!(net.texts(alice).len(), 1);
    net.restart(bob, History::Continued).unwrap();
    assert_eq!(net.texts(bob).len(), 2);
}

/// What was written without a connection survives a restart and is sent later.
#[test]
fn what_is_written_offline_survives_a_restart() {
    let (mut net, alice, bob) = two(25);
    net.say(alice, "bob", "hello");
    net.cut(alice);
    net.run();
    net.say(alice, "bob", "offline one");
    net.restart(alice, History::Continued).unwrap();
    net.say(alice, "bob", "offline two");
    net.restart(alice, History::Continued).unwrap();
    assert_eq!(net.hosts[alice].client.unsent(), 2);
    net.connect(alice);
    net.run();
    let texts: Vec<String> = net.texts(bob).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["hello", "offline one", "offline two"]);
    assert_eq!(net.hosts[alice].client.unsent(), 0);
}

/// S10: a restored backup makes new sessions, loses no further message, and both go on talking.
#[test]
fn b4_a_restored_backup_begins_anew() {
    for knows in [false, true] {
        let (mut net, alice, bob) = two(26);
        net.say(alice, "bob", "one");
        net.say(bob, "alice", "two");
        let backup = net.hosts[alice].records.clone();
        net.say(alice, "bob", "three");
        net.say(bob, "alice", "four");
        let newest = net.hosts[alice].client.generation();
        let history = if knows { History::AtLeast(newest) } else { History::Restored };
        net.restart_from(alice, backup, history).unwrap();
        assert!(net.saw(alice, |event| *event == Event::Restored));
        net.connect(alice);
        net.run();
        net.say(alice, "bob", "five");
        net.say(bob, "alice", "six");
        net.advance(10_000);
        let texts: Vec<String> = net.texts(bob).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["one", "three", "five"], "{:?}", net.hosts[bob].events);
        assert_eq!(net.texts(alice).last().unwrap().1, "six", "{:?}", net.hosts[alice].events);
    }
}

/// A state of the generation that the host knows is no backup.
#[test]
fn a_restart_with_the_newest_state_is_no_restore() {
    let (mut net, alice, bob) = two(27);
    net.say(alice, "bob", "one");
    let newest = net.hosts[alice].client.generation();
    net.restart(alice, History::AtLeast(newest)).unwrap();
    assert!(!net.saw(alice, |event| *event == Event::Restored));
    net.connect(alice);
    net.run();
    net.say(alice, "bob", "two");
    assert_eq!(net.texts(bob).len(), 2);
}

/// A wrong vault key, or records that were exchanged, do not restore.
#[test]
fn records_that_were_tampered_with_do_not_restore() {
    let (mut net, alice, _) = two(28);
    net.say(alice, "bob", "one");
    let records = net.hosts[alice].records.clone();
    let keys: Vec<String> = records.keys().cloned().collect();
    for pair in keys.windows(2) {
        let mut swapped = records.clone();
        let (a, b) = (swapped[&pair[0]].clone(), swapped[&pair[1]].clone());
        swapped.insert(pair[0].clone(), b);
        swapped.insert(pair[1].clone(), a);
        assert!(net.restart_from(alice, swapped, History::Continued).is_err());
    }
    net.restart_from(alice, records, History::Continued).unwrap();
}

/// A network that flips, drops, repeats, delays and cuts: links break, and every message arrives once and in order.
#[test]
fn b12_bad_weather_loses_and_repeats_nothing() {
    for seed in 0..6 {
        let (mut net, alice, bob) = two(100 + seed);
        let mut dice = ChaCha20Rng::seed_from_u64(seed);
        net.weather = Some(Box::new(move |bytes, _| match dice.next_u32() % 40 {
            0 => Fate::Drop,
            1 => Fate::Repeat,
            2 | 3 => Fate::Delay(u64::from(dice.next_u32() % 2_000)),
            4 => Fate::Cut,
            5 => Fate::Overtake,
            6 => {
                let place = dice.next_u32() as usize % bytes.len();
                bytes[place] ^= 1 << (dice.next_u32() % 8);
                Fate::Deliver
            }
            _ => Fate::Deliver,
        }));
        let reconnect = |net: &mut Net, host: usize| {
            if net.hosts[host].client.poll_timeout().is_some() && !net.is_connected(host) {
                net.connect(host);
            }
        };
        for round in 0..30 {
            for (from, to) in [(alice, "bob"), (bob, "alice")] {
                let text = format!("{to} {round}");
                net.hosts[from].client.send_text(name(to), &text, net.now).unwrap();
                net.drain(from);
                net.advance(500);
                reconnect(&mut net, alice);
                reconnect(&mut net, bob);
            }
        }
        net.weather = None;
        for _ in 0..10 {
            net.advance(60_000);
            reconnect(&mut net, alice);
            reconnect(&mut net, bob);
        }
        for (host, user) in [(alice, "alice"), (bob, "bob")] {
            let texts: Vec<String> = net.texts(host).into_iter().map(|(_, text)| text).collect();
            let expected: Vec<String> = (0..30).map(|round| format!("{user} {round}")).collect();
            assert_eq!(texts, expected, "seed {seed} {user}");
        }
    }
}

/// A store that fails for a while: nothing is acknowledged that was not stored, and it all arrives when it works again.
#[test]
fn a_failing_store_loses_nothing() {
    let (mut net, alice, bob) = two(29);
    net.say(alice, "bob", "one");
    net.relay.failing = true;
    net.say(alice, "bob", "two");
    assert!(net.saw(alice, |event| matches!(event, Event::Refused { .. })));
    net.relay.failing = false;
    net.advance(60_000);
    assert_eq!(net.texts(bob).len(), 2);
}
