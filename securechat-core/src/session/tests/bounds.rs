//! What grows has an end (ATTACKS.md C3).

use super::*;
use crate::error::ApiMisuse;
use crate::limits::{
    DAY, ENDED_PEERS_KEPT, OPENED_PER_LAST_RESORT, ORDER_AHEAD, SESSIONS_PER_DEVICE, SKIPPED_KEPT, TRANSIENT_IN_A_ROW,
};

/// How many messages of a conversation still open when `lost` came late.
fn open_late(bob: &mut Device, late: &[Vec<u8>]) -> usize {
    late.iter().filter(|envelope| bob.open(envelope).is_ok()).count()
}

#[test]
fn c3_at_most_four_thousand_skipped_keys_are_kept() {
    let (mut alice, mut bob) = established();
    let mut late = Vec::new();
    for _ in 0..3 {
        late.extend((0..1_500).map(|_| alice.seal(&bob, b"late")));
        exchange(&mut alice, &mut bob);
        exchange(&mut bob, &mut alice);
    }
    exchange(&mut alice, &mut bob);
    bob.reload();
    assert_eq!(late.len(), SKIPPED_KEPT + 500);
    assert_eq!(open_late(&mut bob, &late[..500]), 0);
    assert_eq!(open_late(&mut bob, &late[500..]), SKIPPED_KEPT);
    assert!(!bob.snapshot().keys().any(|key| key.contains("skipped")));
}

#[test]
fn skipped_keys_are_kept_for_thirty_days() {
    let (mut alice, mut bob) = established();
    let late = [alice.seal(&bob, b"one"), alice.seal(&bob, b"two")];
    exchange(&mut alice, &mut bob);
    assert_eq!(bob.sessions.poll_timeout(), Some(NOW + 30 * DAY));
    bob.advance(30 * DAY - 1);
    bob.reload();
    assert_eq!(bob.reads(&late[0]), b"one");
    bob.advance(1);
    assert_eq!(bob.refuses(&late[1]), REPLAY, "a number that has passed and has no key");
    exchange(&mut alice, &mut bob);
}

#[test]
fn c3_at_most_eight_sessions_are_kept_per_device() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    let mut all = Vec::new();
    for _ in 0..20 {
        alice.open_to(&bob);
        all.push(alice.sends_in(&bob).unwrap());
        exchange(&mut alice, &mut bob);
    }
    for device in [&mut alice, &mut bob] {
        assert_eq!(device.sessions.sessions.len(), SESSIONS_PER_DEVICE);
        assert!(all[12..].iter().all(|id| device.sessions.sessions.contains_key(id)));
        let records = device.snapshot();
        let ids: BTreeSet<_> =
            records.keys().filter_map(|key| key.strip_prefix("session/")).map(|key| key[..32].to_owned()).collect();
        assert_eq!(ids.len(), SESSIONS_PER_DEVICE, "no record of the others is left");
    }
}

#[test]
fn superseded_sessions_go_first() {
    let (mut alice, mut bob) = established();
    let first = alice.sends_in(&bob).unwrap();
    exchange(&mut alice, &mut bob);
    // An older one that has not been answered stays, a newer that was superseded goes.
    alice.open_to(&bob);
    let second = alice.sessions.sessions.keys().copied().find(|id| *id != first).unwrap();
    let unanswered = alice.sessions.sessions.get_mut(&second).unwrap();
    unanswered.order = 0;
    for _ in 0..6 {
        alice.sessions.peers.get_mut(&bob.identity()).unwrap().note_replacement(0);
        alice.try_open_to(&bob, None, true).unwrap();
    }
    assert_eq!(alice.sessions.sessions.len(), SESSIONS_PER_DEVICE);
    alice.sessions.sessions.get_mut(&first).unwrap().superseded = Some(NOW);
    alice.open_to(&bob);
    assert!(!alice.sessions.sessions.contains_key(&first));
    assert!(alice.sessions.sessions.contains_key(&second));
    alice.open_to(&bob);
    assert!(!alice.sessions.sessions.contains_key(&second), "then the oldest");
}

#[test]
fn an_order_too_far_ahead_fails() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    alice.open_to(&bob);
    exchange(&mut alice, &mut bob);
    for (ahead, accepted) in [(ORDER_AHEAD, true), (ORDER_AHEAD + 1, false)] {
        let highest = bob.sessions.peers[&alice.identity()].next_order().unwrap() - 1;
        let peer = alice.sessions.peers.get_mut(&bob.identity()).unwrap();
        peer.add(SessionId::from_bytes([0; 16]), highest + ahead - 1);
        alice.open_to(&bob);
        let id = *alice.sessions.sessions.iter().max_by_key(|(_, session)| session.order).unwrap().0;
        alice.sessions.sessions.retain(|other, _| *other == id);
        let envelope = alice.seal(&bob, b"text");
        match accepted {
            true => assert_eq!(bob.reads(&envelope), b"text"),
            false => assert_eq!(bob.open(&envelope).unwrap_err(), unopened(PeerMisbehaved::OrderTooFar, Some(&alice))),
        }
    }
}

#[test]
fn c3_a_last_resort_prekey_serves_one_device_a_thousand_times() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    for number in 1..OPENED_PER_LAST_RESORT as u128 {
        let session = SessionId::from_bytes(number.to_be_bytes());
        bob.sessions.prekeys.used(PrekeyKind::X25519, 1, session, alice.identity());
    }
    bob.reload();
    alice.open_to(&bob);
    exchange(&mut alice, &mut bob);
    alice.open_to(&bob);
    let envelope = alice.seal(&bob, b"one too many");
    assert_eq!(bob.open(&envelope).unwrap_err(), unopened(PeerMisbehaved::LimitExceeded, Some(&alice)));
    // Others still open theirs.
    let mut carol = Device::new(3, all_suites());
    carol.open_to(&bob);
    exchange(&mut carol, &mut bob);
}

#[test]
fn c3_the_orders_of_devices_without_sessions_are_kept_for_a_thousand() {
    let (mut alice, bob) = established();
    let mut ids = (0_u32..).map(|number| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Identity::from_bytes(bytes)
    });
    let template = alice.snapshot()[&format!("session/{}", alice.sends_in(&bob).unwrap())].clone();
    for number in 0..ENDED_PEERS_KEPT as u64 + 10 {
        let identity = ids.next().unwrap();
        let mut session = super::super::state::Session::restore(&template, core::iter::empty()).unwrap();
        session.peer = identity;
        let mut id = [0xff; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        alice.sessions.insert(SessionId::from_bytes(id), session, NOW);
        alice.sessions.end_device(&identity, NOW + number);
    }
    assert_eq!(alice.sessions.peers.len(), ENDED_PEERS_KEPT + 1);
    assert_eq!(alice.snapshot().keys().filter(|key| key.starts_with("peer/")).count(), ENDED_PEERS_KEPT + 1);
    assert!(alice.sessions.can_send(&bob.identity()));
}

#[test]
fn at_most_a_hundred_transient_messages_follow_a_stored_one() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    alice.open_to(&bob);
    let transient = |alice: &mut Device, bob: &Device| {
        alice.sessions.seal(&bob.identity(), b"typing", true, &mut alice.rng).map(drop)
    };
    let limit = Err(ApiMisuse::TransientLimit.into());
    assert_eq!(transient(&mut alice, &bob), limit, "it never opens a session");
    for _ in 0..3 {
        exchange(&mut alice, &mut bob);
        (0..TRANSIENT_IN_A_ROW).for_each(|_| transient(&mut alice, &bob).unwrap());
        assert_eq!(transient(&mut alice, &bob), limit);
        alice.reload();
        assert_eq!(transient(&mut alice, &bob), limit);
    }
    exchange(&mut bob, &mut alice);
    (0..TRANSIENT_IN_A_ROW).for_each(|_| transient(&mut alice, &bob).unwrap());
    assert_eq!(transient(&mut alice, &bob), limit, "in a new chain they are counted from its beginning");
    exchange(&mut alice, &mut bob);
}
