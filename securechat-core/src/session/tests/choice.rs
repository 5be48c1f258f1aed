//! Several sessions with one device: which is used, and which is superseded (S7, S8).

use super::*;
use crate::error::ApiMisuse;
use crate::limits::{DAY, HOUR};

/// Both open a session before either has heard of the other; each reads the other's first message.
fn crossed() -> (Device, Device) {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    alice.open_to(&bob);
    bob.open_to(&alice);
    let (from_alice, from_bob) = (alice.seal(&bob, b"hi"), bob.seal(&alice, b"ho"));
    assert_eq!(bob.reads(&from_alice), b"hi");
    assert_eq!(alice.reads(&from_bob), b"ho");
    (alice, bob)
}

#[test]
fn crossed_openings_settle_on_one_session() {
    let (mut alice, mut bob) = crossed();
    assert_ne!(alice.sends_in(&bob), bob.sends_in(&alice), "each uses the one that it has opened a message in");
    for _ in 0..4 {
        exchange(&mut alice, &mut bob);
        exchange(&mut bob, &mut alice);
    }
    let newest = *alice.sessions.sessions.keys().max().unwrap();
    assert_eq!(alice.sends_in(&bob), Some(newest), "equal orders, so the higher id");
    assert_eq!(bob.sends_in(&alice), Some(newest));
    assert_eq!(alice.sessions.sessions.len(), 2);
}

#[test]
fn crossed_openings_settle_whatever_arrives_first() {
    for seed in 0..10 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (mut alice, mut bob) = crossed();
        let mut wire: Vec<(bool, Vec<u8>)> = Vec::new();
        for _ in 0..30 {
            let (from_alice, from_bob) = (alice.seal(&bob, b"a"), bob.seal(&alice, b"b"));
            wire.extend([(true, from_alice), (false, from_bob)]);
            while wire.len() > 6 {
                let (to_bob, envelope) = wire.swap_remove(rand_core::Rng::next_u32(&mut rng) as usize % wire.len());
                if to_bob {
                    bob.reads(&envelope)
                } else {
                    alice.reads(&envelope)
                };
            }
        }
        let newest = alice.sessions.sessions.keys().max().copied();
        assert_eq!((alice.sends_in(&bob), bob.sends_in(&alice)), (newest, newest), "{seed}");
    }
}

#[test]
fn the_older_of_two_that_worked_both_ways_only_receives_and_is_erased_after_seven_days() {
    let (mut alice, mut bob) = established();
    let old = alice.sends_in(&bob).unwrap();
    exchange(&mut alice, &mut bob);
    let late = [alice.seal(&bob, b"late"), alice.seal(&bob, b"too late")];
    bob.try_open_to(&alice, None, true).unwrap();
    let new = exchange(&mut bob, &mut alice);
    assert_ne!(old, new);
    assert_eq!(alice.sends_in(&bob), Some(new));
    let answer = alice.seal(&bob, b"answer");
    let opened = bob.open(&answer).unwrap();
    assert_eq!(opened.superseded, [old], "the initiator has opened an answer");
    let more = bob.seal(&alice, b"more");
    assert_eq!(alice.open(&more).unwrap().superseded, [old], "the responder a key that follows its own");
    bob.advance(7 * DAY - 1);
    bob.reload();
    assert_eq!(bob.reads(&late[0]), b"late");
    assert_eq!(bob.sends_in(&alice), Some(new));
    assert_eq!(bob.sessions.poll_timeout(), Some(NOW + 7 * DAY));
    bob.advance(1);
    assert_eq!(bob.open(&late[1]).unwrap_err(), unopened(PeerMisbehaved::UnknownSession, None));
    assert!(!bob.snapshot().keys().any(|key| key.starts_with(&format!("session/{old}"))));
}

#[test]
fn a_replacement_is_used_at_once_and_comes_once_an_hour() {
    let (mut alice, mut bob) = established();
    let old = alice.sends_in(&bob).unwrap();
    assert!(alice.sessions.can_replace(&bob.identity(), alice.now));
    alice.try_open_to(&bob, None, true).unwrap();
    let new = alice.sends_in(&bob).unwrap();
    assert_ne!(new, old);
    alice.now += HOUR - 1;
    alice.reload();
    assert!(!alice.sessions.can_replace(&bob.identity(), alice.now));
    assert_eq!(alice.try_open_to(&bob, None, true), Err(ApiMisuse::TooSoon.into()));
    alice.now += 1;
    alice.try_open_to(&bob, None, true).unwrap();
    assert_ne!(alice.sends_in(&bob), Some(new));
    exchange(&mut alice, &mut bob);
    assert_eq!(bob.sends_in(&alice), alice.sends_in(&bob));
}

#[test]
fn a_session_that_was_not_answered_gives_way_to_one_that_was_heard_in() {
    let (mut alice, mut bob) = established();
    let heard = alice.sends_in(&bob);
    alice.open_to(&bob);
    assert_eq!(alice.sends_in(&bob), heard, "a newer one that nothing was opened in, and that replaces nothing");
    bob.sessions.end_device(&alice.identity(), NOW);
    assert!(!bob.sessions.can_send(&alice.identity()));
}

#[test]
fn the_order_outlives_the_sessions() {
    let (mut alice, mut bob) = established();
    for _ in 0..3 {
        alice.now += HOUR;
        alice.try_open_to(&bob, None, true).unwrap();
        exchange(&mut alice, &mut bob);
    }
    bob.sessions.end_device(&alice.identity(), NOW);
    assert_eq!(bob.sessions.devices().count(), 0);
    bob.reload();
    bob.open_to(&alice);
    let id = exchange(&mut bob, &mut alice);
    assert_eq!(alice.sessions.sessions[&id].order, 5);
    assert_eq!(alice.sends_in(&bob), Some(id));
}

/// The other side has forgotten a session with a higher order than any that it knows: it opens older ones without end,
/// unless it is told of a newer one.
#[test]
fn a_session_older_than_the_one_in_use_calls_for_a_replacement() {
    let (mut alice, mut bob) = established();
    let backup = bob.snapshot();
    // Alice was restored more often since than Bob will have been.
    for _ in 0..3 {
        alice.sessions.mark_restored(alice.now);
        alice.open_to(&bob);
        exchange(&mut alice, &mut bob);
        exchange(&mut bob, &mut alice);
    }
    bob.restore_from(backup);
    bob.sessions.mark_restored(bob.now);
    let lost = alice.seal(&bob, b"lost");
    assert_eq!(bob.refuses(&lost), PeerMisbehaved::UnknownSession.into());
    bob.try_open_to(&alice, None, true).unwrap();
    let envelope = bob.seal(&alice, b"anew");
    let opened = alice.open(&envelope).unwrap();
    assert_eq!(opened.content.as_slice(), b"anew");
    assert!(opened.new_session && opened.replacement_advised);
    assert_ne!(alice.sends_in(&bob), Some(opened.session), "it is older than the one in use");
    alice.try_open_to(&bob, None, true).unwrap();
    let id = exchange(&mut alice, &mut bob);
    assert_eq!((bob.sends_in(&alice), alice.sends_in(&bob)), (Some(id), Some(id)));
    exchange(&mut bob, &mut alice);
}
