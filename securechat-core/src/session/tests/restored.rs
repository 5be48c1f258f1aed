//! A backup put back, a copied state (S10).

use super::*;
use crate::crypto::secret::SecretVec;
use crate::limits::HOUR;

#[test]
fn restored_sessions_only_receive_and_the_next_message_opens_a_new_one() {
    let (mut alice, mut bob) = established();
    let in_flight = [bob.seal(&alice, b"one"), bob.seal(&alice, b"two")];
    let old = bob.sends_in(&alice).unwrap();
    let backup = alice.snapshot();
    alice.restore_from(backup);
    alice.sessions.mark_restored(alice.now);
    alice.reload();
    assert!(!alice.sessions.can_send(&bob.identity()));
    assert_eq!(alice.reads(&in_flight[0]), b"one");
    assert!(!alice.sessions.can_send(&bob.identity()));
    alice.open_to(&bob);
    let new = exchange(&mut alice, &mut bob);
    assert_ne!(new, old);
    assert!(bob.sessions.sessions[&new].order > 1_000);
    assert_eq!(bob.sends_in(&alice), Some(new), "a new session is newer than any that was forgotten");
    assert_eq!(alice.reads(&in_flight[1]), b"two");
    exchange(&mut bob, &mut alice);
    exchange(&mut alice, &mut bob);
    assert_eq!((alice.sends_in(&bob), bob.sends_in(&alice)), (Some(new), Some(new)));
}

#[test]
fn b4_a_restored_backup_never_seals_under_a_key_again() {
    let (mut alice, mut bob) = established();
    let backups = [alice.snapshot(), bob.snapshot()];
    for _ in 0..20 {
        exchange(&mut alice, &mut bob);
        exchange(&mut bob, &mut alice);
    }
    for turn in 0..3 {
        for (device, backup) in [&mut alice, &mut bob].into_iter().zip(&backups) {
            device.restore_from(backup.clone());
            device.sessions.mark_restored(device.now);
            device.now += HOUR;
            // The salt would keep the keys apart; but none of the sessions is sealed in at all.
            assert!(device.sessions.devices().all(|other| !device.sessions.can_send(&other)));
        }
        if turn == 1 {
            bob.open_to(&alice);
            exchange(&mut bob, &mut alice);
        } else {
            alice.open_to(&bob);
            exchange(&mut alice, &mut bob);
        }
        for _ in 0..5 {
            exchange(&mut alice, &mut bob);
            exchange(&mut bob, &mut alice);
        }
    }
    assert!(sealed_under_distinct_keys() > 60);
}

/// Two copies of one state that both send, which a host should never do: the salt keeps their keys apart. In both
/// ciphers, and whichever side opened the session.
#[test]
fn b4_even_a_cloned_state_seals_under_other_keys() {
    for suite in [Suite::ALL[0], Suite::ALL[1]] {
        for responder in [false, true] {
            let (mut alice, mut bob) = pair(suite);
            alice.open_to(&bob);
            exchange(&mut alice, &mut bob);
            exchange(&mut bob, &mut alice);
            if !responder {
                exchange(&mut alice, &mut bob);
            }
            sealed_under_distinct_keys();
            let (cloned, other) = if responder { (&mut bob, &alice) } else { (&mut alice, &bob) };
            let copy = cloned.snapshot();
            let genuine = cloned.seal(other, b"text");
            cloned.restore_from(copy);
            let again = cloned.seal(other, b"text");
            assert_eq!(genuine[..1 + 56], again[..1 + 56], "the same place, so the same message key");
            assert_ne!(genuine[1 + 56..], again[1 + 56..]);
            assert_eq!(sealed_under_distinct_keys(), 2);
        }
    }
}

#[test]
fn a_copy_that_went_on_alone_is_a_fork_and_heals() {
    let (mut alice, mut bob) = established();
    exchange(&mut alice, &mut bob);
    let copy = alice.snapshot();
    let genuine = alice.seal(&bob, b"genuine");
    assert_eq!(bob.reads(&genuine), b"genuine");
    alice.restore_from(copy);
    let cloned = alice.seal(&bob, b"of the copy");
    assert_eq!(bob.open(&cloned).unwrap_err(), OpenError::Fork { sender: alice.identity() });
    bob.try_open_to(&alice, None, true).unwrap();
    exchange(&mut bob, &mut alice);
    exchange(&mut alice, &mut bob);
}

#[test]
fn a_state_that_lost_ratchet_turns_heals_by_a_replacement() {
    let (mut alice, mut bob) = established();
    let backup = alice.snapshot();
    exchange(&mut alice, &mut bob);
    exchange(&mut bob, &mut alice);
    exchange(&mut alice, &mut bob);
    let lost = bob.seal(&alice, b"lost");
    alice.restore_from(backup);
    alice.sessions.mark_restored(alice.now);
    assert_eq!(alice.open(&lost).unwrap_err(), unopened(Decrypt, Some(&bob)));
    alice.try_open_to(&bob, None, true).unwrap();
    exchange(&mut alice, &mut bob);
    exchange(&mut bob, &mut alice);
}

#[test]
fn records_that_are_not_ones_own_do_not_restore() {
    let (mut alice, bob) = established();
    let good = alice.snapshot();
    let id = alice.sends_in(&bob).unwrap();
    let session = format!("session/{id}");
    let changes: [(&str, Option<&[u8]>); 7] = [
        (&session, Some(&[1, 2, 3])),
        (&session, None),
        ("sessions/meta", Some(&[2, 0, 0])),
        ("session/xyz", Some(&[])),
        ("peer/00", Some(&[])),
        ("prekey/3/1", Some(&[])),
        ("prekey/1/77/00000000000000000000000000000000", Some(&[0; 32])),
    ];
    for (key, value) in changes {
        let mut records = Records::default();
        for (key, value) in &good {
            records.insert(key.clone(), value.clone());
        }
        match value {
            Some(value) => records.insert(key.to_owned(), SecretVec::new(value.to_vec())),
            None => {
                records = Records::default();
                for (other, value) in good.iter().filter(|(other, _)| other.as_str() != key) {
                    records.insert(other.clone(), value.clone());
                }
            }
        }
        let result = Sessions::restore(all_suites(), Arc::new(Limits::default()), &records);
        assert!(result.is_err(), "{key}");
    }
}
