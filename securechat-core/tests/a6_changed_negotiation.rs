//! ATTACKS.md A6: any byte changed in an offer, an answer, a suite list or a purpose makes both ends fail, and an injected
//! retry cannot choose a weaker suite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::PeerMisbehaved;
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::suite::{Policy, Suite};
use support::*;

fn policies(initiator: &[Suite], responder: &[Suite], purpose: Purpose) -> [LinkConfig; 2] {
    let mut configs = configs(purpose, initiator);
    configs[RESPONDER].policy = Policy::new(responder.to_vec()).unwrap();
    configs
}

/// Runs with a change to the byte at `place` of chunk number `chunk`, counted over both directions. Gives the length
/// of that chunk's first frame, 0 if there is none.
fn run_with_change(configs: [LinkConfig; 2], chunk: usize, place: usize, bit: usize) -> usize {
    let mut pair = Pair::with(configs);
    let mut length = 0;
    let mut number = 0;
    loop {
        let change = |bytes: &mut Vec<u8>| {
            if number == chunk {
                length = frames(bytes)[0].len(); // what follows it are records
                bytes[place] ^= 1 << bit;
            }
            number += 1;
        };
        let end = if pair.wires[RESPONDER].is_empty() { INITIATOR } else { RESPONDER };
        if !pair.deliver(end, change).unwrap_or(true) {
            break;
        }
    }
    if length > 0 {
        for end in [INITIATOR, RESPONDER] {
            assert!(!pair.ends[end].is_open(), "chunk {chunk} byte {place} bit {bit}: end {end}");
            assert!(!pair.saw_anything(end), "chunk {chunk} byte {place} bit {bit}: end {end}");
            assert!(pair.ends[end].handle_end().is_err());
        }
    }
    length
}

/// Every byte of offer and answer, and of the retry and second offer where there is one. In the long keys of
/// ML-KEM and RSA every thirteenth.
fn change_everything(configs: &dyn Fn() -> [LinkConfig; 2], chunks: usize) {
    for chunk in 0..chunks {
        let mut place = 0;
        loop {
            let length = run_with_change(configs(), chunk, place, place % 8);
            place += if length > 400 && place > 64 { 13 } else { 1 };
            assert!(length > 0, "there is a chunk {chunk}");
            if place >= length {
                break;
            }
        }
    }
}

#[test]
fn a6_offer_and_answer() {
    for purpose in PURPOSES {
        for suite in [X25519_GCM, X25519_CBC, RSA_GCM, HYBRID_GCM] {
            change_everything(&|| policies(&[suite], &[suite], purpose), 2);
        }
    }
}

#[test]
fn a6_every_bit_of_the_headers() {
    let suites = [X25519_GCM, X25519_CBC, HYBRID_GCM];
    for place in 0..4 + 8 + 2 * suites.len() {
        for bit in 0..8 {
            run_with_change(policies(&suites, &suites, Purpose::Relay), 0, place, bit);
        }
    }
    for place in 0..4 + 1 {
        for bit in 0..8 {
            run_with_change(policies(&suites, &suites, Purpose::Relay), 1, place, bit);
        }
    }
}

#[test]
fn a6_offer_retry_second_offer_and_answer() {
    let configs = || policies(&[X25519_GCM, X25519_CBC], &[X25519_CBC, X25519_GCM], Purpose::Peer);
    let mut pair = Pair::with(configs());
    pair.run().unwrap();
    assert!(pair.ends.iter().all(Link::is_open), "without a change it opens");
    assert_eq!(pair.ends.each_ref().map(Link::suite), [Some(X25519_CBC); 2]);
    change_everything(&configs, 4);
}

/// Replaces chunk after chunk towards each end by what `middle` makes of it.
fn with_middle(configs: [LinkConfig; 2], mut middle: impl FnMut(usize, Vec<u8>) -> Vec<(usize, Vec<u8>)>) -> Pair {
    let mut pair = Pair::with(configs);
    loop {
        let end = if pair.wires[RESPONDER].is_empty() { INITIATOR } else { RESPONDER };
        let Some(bytes) = pair.wires[end].pop_front() else { return pair };
        for (towards, bytes) in middle(end, bytes) {
            let _ = pair.feed(towards, &bytes);
        }
    }
}

const STRONG: Suite = HYBRID_GCM;
const WEAK: Suite = X25519_GCM;

fn injected_retry() -> Vec<u8> {
    frame(&[&[2], WEAK.id().to_be_bytes().as_slice()].concat())
}

#[test]
fn a6_an_injected_retry_and_the_second_offer_passed_on() {
    let both = policies(&[STRONG, WEAK], &[STRONG, WEAK], Purpose::Relay);
    let mut offers = 0;
    let mut pair = with_middle(both, |end, bytes| {
        offers += usize::from(end == RESPONDER);
        if offers == 1 { vec![(INITIATOR, injected_retry())] } else { vec![(end, bytes)] }
    });
    // The responder asks for the strong suite again, and the initiator takes no second retry.
    assert_eq!(pair.ends[INITIATOR].handle_end(), Err(PeerMisbehaved::BadRetry.into()));
    assert!(pair.ends[RESPONDER].handle_end().is_err());
}

#[test]
fn a6_an_injected_retry_and_a_second_offer_without_the_strong_suite() {
    for responder in [&[STRONG, WEAK], &[WEAK, STRONG]] {
        for strip in [true, false] {
            let both = policies(&[STRONG, WEAK], responder, Purpose::Relay);
            let mut offers = 0;
            let pair = with_middle(both, |end, bytes| {
                offers += usize::from(end == RESPONDER);
                match (end, offers) {
                    (RESPONDER, 1) => vec![(INITIATOR, injected_retry())],
                    (RESPONDER, 2) if strip => {
                        let message = &bytes[4 + offer(&[STRONG.id(), WEAK.id()], 1, Purpose::Relay).len()..];
                        let content = [offer(&[WEAK.id()], 0, Purpose::Relay).as_slice(), message].concat();
                        vec![(end, frame(&content))]
                    }
                    _ => vec![(end, bytes)],
                }
            });
            for end in [INITIATOR, RESPONDER] {
                assert!(!pair.ends[end].is_open() && !pair.saw_anything(end));
            }
        }
    }
}

#[test]
fn a6_a_retry_may_not_choose_what_was_not_offered_nor_what_was_chosen() {
    for id in [WEAK.id(), STRONG.id(), 0x0A0A] {
        let mut pair = Pair::with(policies(&[STRONG], &[STRONG], Purpose::Relay));
        let retry = frame(&[&[2], id.to_be_bytes().as_slice()].concat());
        assert_eq!(pair.feed(INITIATOR, &retry), Err(PeerMisbehaved::BadRetry.into()));
        assert!(pair.wires[RESPONDER].len() == 1, "no second offer");
    }
}

/// N2: the second offer differs from the first in the index only.
#[test]
fn a6_a_second_offer_that_differs_in_more_than_the_index_is_refused() {
    let changes: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes[4 + 6..4 + 10].rotate_left(2), // the order of the suites
        |bytes| bytes[4 + 9] = 0x0A,                 // one of them
        |bytes| bytes[4 + 10] = 0,                   // the index of the first offer
        |bytes| bytes[4 + 11] ^= 1,                  // the purpose
    ];
    for change in changes {
        let mut pair = Pair::with(policies(&[WEAK, X25519_CBC], &[X25519_CBC, WEAK], Purpose::Relay));
        assert!(pair.deliver(RESPONDER, |_| ()).unwrap());
        assert!(pair.deliver(INITIATOR, |_| ()).unwrap());
        assert!(pair.deliver(RESPONDER, change).is_err());
        assert!(pair.deliver(INITIATOR, |_| ()).is_err(), "and told so");
    }
}

#[test]
fn a6_the_relay_learns_nothing_of_a_link_that_failed() {
    let mut pair = Pair::new(Purpose::Peer, &[X25519_GCM]);
    pair.deliver(RESPONDER, |bytes| bytes[4 + 8] ^= 1).unwrap_err();
    assert!(!pair.events[RESPONDER].iter().any(|event| matches!(event, LinkEvent::Verify { .. })));
}
