//! What must not work (ATTACKS.md B).

use super::*;
use crate::crypto::aead::Cipher;
use crate::limits::{FIRST_ENVELOPE_MAX, SENT_CONTENT_MAX};
use crate::padding::padded_len;
use crate::session::envelope::HEADER;
use rand_core::Rng;

/// Where the session message begins in a first message.
fn message_start(envelope: &[u8]) -> usize {
    assert_eq!(envelope[0], 1);
    13 + usize::from(u16::from_be_bytes([envelope[11], envelope[12]]))
}

#[test]
fn b1_a_thousand_replays_give_one() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    alice.open_to(&bob);
    let envelopes: Vec<_> = (0..3).map(|number| alice.seal(&bob, &[number])).collect();
    let mut accepted = 0;
    for turn in 0..1_000 {
        for envelope in &envelopes {
            match bob.open(envelope) {
                Ok(_) => accepted += 1,
                Err(error) => assert_eq!(error, OpenError::Replay),
            }
        }
        if turn % 100 == 0 {
            bob.reload();
        }
    }
    assert_eq!(accepted, 3);
}

#[test]
fn b1_replays_stay_replays_when_their_chain_is_over() {
    let (mut alice, mut bob) = established();
    let old: Vec<_> = (0..300_u16).map(|number| alice.seal(&bob, &number.to_be_bytes())).collect();
    for (number, envelope) in (0..300_u16).zip(&old) {
        assert_eq!(bob.reads(envelope), number.to_be_bytes());
    }
    // In the present chain, whatever of it is remembered.
    assert!(old.iter().all(|envelope| bob.refuses(envelope) == REPLAY));
    exchange(&mut bob, &mut alice);
    exchange(&mut alice, &mut bob);
    // In a chain that is over: while it is remembered, and afterwards it opens no more than a forgery.
    for (number, envelope) in old.iter().enumerate() {
        assert_eq!(bob.refuses(envelope), if number < 300 - 255 { DECRYPT } else { REPLAY }, "{number}");
    }
    exchange(&mut alice, &mut bob);
}

/// A message that came late is opened with the key that was kept for it, once: also when so many came since that its
/// place is not remembered.
#[test]
fn b1_a_late_message_opens_once_however_late_it_is_replayed() {
    let (mut alice, mut bob) = established();
    let late = alice.seal(&bob, b"late");
    exchange(&mut alice, &mut bob);
    assert_eq!(bob.reads(&late), b"late");
    for _ in 0..300 {
        exchange(&mut alice, &mut bob);
    }
    assert_eq!(bob.refuses(&late), REPLAY);
    exchange(&mut bob, &mut alice);
    exchange(&mut alice, &mut bob);
    assert_eq!(bob.refuses(&late), DECRYPT);
}

#[test]
fn b2_two_thousand_losses_do_not_wedge_a_session() {
    for cipher in [Suite::ALL[0], Suite::ALL[1]] {
        let (mut alice, mut bob) = pair(cipher);
        alice.open_to(&bob);
        exchange(&mut alice, &mut bob);
        let mut late: Vec<_> = (0..2_000_u16).map(|number| alice.seal(&bob, &number.to_be_bytes())).collect();
        exchange(&mut alice, &mut bob);
        bob.reload();
        exchange(&mut bob, &mut alice);
        exchange(&mut alice, &mut bob);
        // Any order: from both ends, a third of it never.
        let mut numbers: Vec<u16> = (0..2_000).collect();
        while late.len() > 700 {
            let place = if late.len() % 2 == 0 { 0 } else { late.len() - 1 };
            let (envelope, number) = (late.remove(place), numbers.remove(place));
            assert_eq!(bob.reads(&envelope), number.to_be_bytes());
            assert_eq!(bob.refuses(&envelope), REPLAY);
        }
        exchange(&mut alice, &mut bob);
    }
}

#[test]
fn b2_one_loss_more_is_refused_and_healed_by_a_replacement() {
    let (mut alice, mut bob) = established();
    (0..2_001).for_each(|_| drop(alice.seal(&bob, b"lost")));
    let envelope = alice.seal(&bob, b"too far");
    assert_eq!(bob.open(&envelope).unwrap_err(), unopened(PeerMisbehaved::TooManySkipped, Some(&alice)));
    bob.try_open_to(&alice, None, true).unwrap();
    exchange(&mut bob, &mut alice);
    exchange(&mut alice, &mut bob);
}

#[test]
fn b3_a_forged_message_changes_nothing() {
    let (mut alice, mut bob) = established();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    for turn in 0..60_u32 {
        let genuine = alice.seal(&bob, b"genuine");
        let before = bob.snapshot();
        for _ in 0..8 {
            let mut forged = genuine.clone();
            match rng.next_u32() % 4 {
                // Another ciphertext at its place, or one far ahead, in a new chain, or of another length.
                0 => *forged.last_mut().unwrap() ^= 1,
                1 => forged[1 + 16 + 32 + 4..][..4].copy_from_slice(&(turn + rng.next_u32() % 100).to_be_bytes()),
                2 => rng.fill_bytes(&mut forged[17..49]),
                _ => forged.truncate(1 + HEADER + rng.next_u32() as usize % 200),
            }
            if forged != genuine {
                assert_eq!(bob.refuses(&forged), DECRYPT);
            }
        }
        assert_eq!(bob.snapshot(), before);
        assert_eq!(bob.reads(&genuine), b"genuine");
        if turn % 7 == 0 {
            exchange(&mut bob, &mut alice);
        }
    }
}

#[test]
fn b3_a_forgery_at_an_opened_place_is_a_fork_and_changes_nothing() {
    let (mut alice, mut bob) = established();
    let envelope = alice.seal(&bob, b"text");
    bob.reads(&envelope);
    let mut forged = envelope.clone();
    *forged.last_mut().unwrap() ^= 1;
    let before = bob.snapshot();
    let fork = bob.open(&forged).unwrap_err();
    assert_eq!(fork, OpenError::Fork { sender: alice.identity() });
    assert_eq!(fork.error(), PeerMisbehaved::Fork.into());
    assert_eq!(bob.snapshot(), before);
    assert_eq!(bob.refuses(&envelope), REPLAY);
    exchange(&mut alice, &mut bob);
}

#[test]
fn b3_a_forged_first_message_costs_no_prekey() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    let one_time = bob.one_time(PrekeyKind::X25519);
    alice.try_open_to(&bob, Some(&one_time[0]), false).unwrap();
    let genuine = alice.seal(&bob, b"genuine");
    let before = bob.snapshot();
    for place in [message_start(&genuine), message_start(&genuine) + 20, genuine.len() - 1, 30] {
        let mut forged = genuine.clone();
        forged[place] ^= 1;
        bob.open(&forged).unwrap_err();
        assert_eq!(bob.snapshot(), before);
    }
    assert_eq!(bob.reads(&genuine), b"genuine");
}

#[test]
fn b5_content_comes_only_from_what_opened() {
    let (mut alice, mut bob) = established();
    let mut envelope = alice.seal(&bob, b"plain");
    *envelope.last_mut().unwrap() ^= 1;
    let error = bob.open(&envelope).unwrap_err();
    assert_eq!(error, unopened(Decrypt, Some(&alice)));
    assert!(!format!("{error:?}{error}").contains("plain"));
}

#[test]
fn b7_nothing_opens_in_another_session_suite_or_direction() {
    let (mut alice, mut bob) = established();
    let first = alice.sends_in(&bob).unwrap();
    let in_first = alice.seal(&bob, b"text");
    alice.try_open_to(&bob, None, true).unwrap();
    let second = exchange(&mut alice, &mut bob);
    assert_ne!(first, second);
    // Moved to the other session.
    let mut moved = in_first.clone();
    moved[1..17].copy_from_slice(second.as_bytes());
    assert_eq!(bob.refuses(&moved), DECRYPT);
    // Sent back to its sender.
    assert_eq!(alice.refuses(&in_first), DECRYPT);
    // Under an id that nobody has.
    let mut unknown = in_first.clone();
    unknown[1] ^= 1;
    assert_eq!(bob.open(&unknown).unwrap_err(), unopened(PeerMisbehaved::UnknownSession, None));
    assert_eq!(bob.reads(&in_first), b"text");

    // A first message whose suite was changed to the other cipher, or to the other exchange.
    for (suite, other) in [(0, 1), (1, 0), (0, 2), (2, 0), (4, 5), (5, 4)] {
        let (mut alice, mut bob) = pair(Suite::ALL[suite]);
        alice.open_to(&bob);
        let mut envelope = alice.seal(&bob, b"text");
        envelope[1..3].copy_from_slice(&Suite::ALL[other].id().to_be_bytes());
        bob.open(&envelope).unwrap_err();
    }
}

#[test]
fn b9_no_bit_of_a_session_message_can_be_flipped_and_no_byte_cut() {
    for cipher in [Suite::ALL[0], Suite::ALL[1]] {
        let (mut alice, mut bob) = pair(cipher);
        alice.open_to(&bob);
        exchange(&mut alice, &mut bob);
        exchange(&mut bob, &mut alice);
        let envelope = alice.seal(&bob, b"text");
        refuses_changes(&mut bob, &envelope, 0..envelope.len(), 8);
        assert_eq!(bob.reads(&envelope), b"text");
    }
}

#[test]
fn b9_no_bit_of_a_first_message_can_be_flipped_and_no_byte_cut() {
    // Every bit in the smallest suite, one bit of every byte in another, of a part of the bytes in the dear ones.
    for (suite, step, bits) in [(0, 1, 8), (1, 1, 1), (2, 11, 1), (4, 11, 1)] {
        let policy = Policy::new(vec![Suite::ALL[suite]]).unwrap();
        let (mut alice, mut bob) = (Device::new(1, policy.clone()), Device::new(2, policy));
        alice.open_to(&bob);
        let envelope = alice.seal(&bob, b"text");
        refuses_changes(&mut bob, &envelope, (0..envelope.len()).step_by(step), bits);
        assert_eq!(bob.reads(&envelope), b"text");
        // Once the session is there, the opening around a message plays no part; the message still does.
        let again = alice.seal(&bob, b"again");
        let start = message_start(&again);
        let mut changed = again.clone();
        changed[20] ^= 1;
        changed[start - 1] ^= 1;
        assert_eq!(bob.reads(&changed), b"again");
        assert_eq!(bob.refuses(&again), REPLAY);
    }
}

/// Flips bits at these places and cuts there: nothing opens and nothing changes.
fn refuses_changes(device: &mut Device, envelope: &[u8], places: impl Iterator<Item = usize>, bits: usize) {
    let before = device.snapshot();
    let mut changed = envelope.to_vec();
    for place in places {
        for bit in 0..bits {
            let bit = (bit + place) % 8;
            changed[place] ^= 1 << bit;
            assert!(device.open(&changed).is_err(), "bit {bit} of byte {place}");
            changed[place] ^= 1 << bit;
        }
        assert!(device.open(&envelope[..place]).is_err(), "cut at {place}");
    }
    changed.push(0);
    assert!(device.open(&changed).is_err());
    assert_eq!(device.snapshot(), before);
}

#[test]
fn b11_equal_texts_give_unrelated_ciphertexts_of_equal_length() {
    for cipher in [Cipher::AesGcm, Cipher::AesCbcHmac] {
        let (mut alice, mut bob) = pair(Suite::ALL[usize::from(cipher.id()) - 1]);
        alice.open_to(&bob);
        exchange(&mut alice, &mut bob);
        exchange(&mut bob, &mut alice);
        let mut blocks = BTreeSet::new();
        for length in [0, 1, 100, 255, 256, 1_000, 16_384] {
            for _ in 0..10 {
                let envelope = alice.seal(&bob, &vec![0x55; length]);
                let ciphertext = &envelope[1 + HEADER..];
                assert_eq!(ciphertext.len(), cipher.ciphertext_len(padded_len(length)));
                for block in ciphertext.chunks_exact(16) {
                    assert!(blocks.insert(block.to_vec()), "a block came twice");
                }
            }
        }
    }
    assert_eq!(padded_len(0), padded_len(255), "a typing notice is as long as a short text");
}

#[test]
fn the_longest_content_fits_an_envelope() {
    let mut longest = 0;
    for suite in Suite::ALL {
        let (mut alice, mut bob) = pair(suite);
        alice.open_to(&bob);
        let content = vec![7; SENT_CONTENT_MAX];
        let envelope = alice.seal(&bob, &content);
        longest = longest.max(envelope.len());
        assert_eq!(bob.reads(&envelope), content);
        let one_more = vec![7; SENT_CONTENT_MAX + 1];
        let error = alice.sessions.seal(&bob.identity(), &one_more, false, &mut alice.rng).unwrap_err();
        assert_eq!(error, crate::error::ApiMisuse::TooLarge.into());
    }
    assert!(longest <= FIRST_ENVELOPE_MAX);
}
