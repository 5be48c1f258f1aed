//! State as records.

use super::*;
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, InvalidMessage};
use crate::limits::DAY;

#[test]
fn a_conversation_survives_a_save_and_restore_between_every_step() {
    let (mut alice, mut bob) = pair(Suite::ALL[4]);
    let one_time = bob.one_time(PrekeyKind::Hybrid);
    bob.reload();
    alice.try_open_to(&bob, Some(&one_time[3]), false).unwrap();
    alice.reload();
    let mut lost = Vec::new();
    for turn in 0..60_u8 {
        lost.push(alice.seal(&bob, &[turn, 0]));
        alice.reload();
        let envelope = alice.seal(&bob, &[turn, 1]);
        alice.reload();
        assert_eq!(bob.reads(&envelope), [turn, 1]);
        bob.reload();
        assert_eq!(bob.refuses(&envelope), REPLAY);
        if turn % 3 == 0 {
            let answer = bob.seal(&alice, &[turn, 2]);
            bob.reload();
            assert_eq!(alice.reads(&answer), [turn, 2]);
            alice.reload();
        }
    }
    for (turn, envelope) in (0..).zip(&lost) {
        assert_eq!(bob.reads(envelope), [turn, 0]);
        bob.reload();
    }
    assert!(!bob.records.keys().any(|key| key.contains("skipped")), "{:?}", bob.records.keys());
    assert!(!bob.records.contains_key(&format!("prekey/2/{}", one_time[3].prekey().id())));
    bob.now += 8 * DAY;
    bob.sessions.handle_timeout(bob.now);
    bob.reload();
}

#[test]
fn records_that_were_not_written_so_are_refused() {
    let (_, mut bob) = established();
    bob.one_time(PrekeyKind::Hybrid);
    let good = bob.snapshot();
    let restored = |change: &dyn Fn(&mut Store)| {
        let (mut store, mut records) = (good.clone(), Records::default());
        change(&mut store);
        store.into_iter().for_each(|(key, value)| records.insert(key, value));
        Sessions::restore(all_suites(), Arc::new(Limits::default()), &records).map(drop)
    };
    let key = |prefix: &str| good.keys().find(|key| key.starts_with(prefix)).unwrap().clone();
    let renamed = |from: &str, to: &str| {
        restored(&|store| {
            let value = store.remove(from).unwrap();
            store.insert(to.to_owned(), value);
        })
    };
    assert_eq!(restored(&|_| ()), Ok(()));
    assert_eq!(restored(&|store| store.clear()), Ok(()), "nothing was saved yet");

    let record = Err(Error::from(ApiMisuse::Record));
    let unknown = Err(Error::from(InvalidMessage::UnknownValue));
    let (session, peer, prekey) = (key("session/"), key("peer/"), key("prekey/2/"));
    assert_eq!(restored(&|store| drop(store.remove(&peer))), record, "a session of nobody");
    assert_eq!(renamed(&peer, &peer[..peer.len() - 1]), record);
    assert_eq!(renamed(&peer, &peer.to_uppercase().replace("PEER/", "peer/")), record);
    assert_eq!(renamed(&session, &session[..session.len() - 1]), record);
    assert_eq!(renamed(&prekey, "prekey/9/1"), record, "no kind");
    assert_eq!(renamed(&prekey, "prekey/2/one"), record, "no number");
    assert_eq!(renamed(&prekey, "prekey/1/77"), unknown, "of another kind than its keys");
    assert_eq!(restored(&|store| drop(store.insert(format!("{session}/other"), SecretVec::default()))), unknown);
    assert_eq!(restored(&|store| store.get_mut("sessions/meta").unwrap()[0] += 1), record, "another version");
}
