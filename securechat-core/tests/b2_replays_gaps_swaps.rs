//! ATTACKS.md B1, B2: on a link any gap, swap or repeat ends it; a record is accepted once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{Decrypt, Error};
use securechat_core::link::Purpose;
use securechat_core::suite::Suite;
use support::*;

/// The first five records of an end, as frames on the wire.
fn five(pair: &mut Pair, end: usize) -> Vec<Vec<u8>> {
    for number in 0..5_u8 {
        pair.send(end, &[number; 100]);
    }
    pair.wires[1 - end].drain(..).collect()
}

/// Feeds these of the five records; `accepted` of them arrive, the next one ends the link.
fn check(order: &[usize], accepted: usize) {
    for suite in Suite::ALL {
        for end in [INITIATOR, RESPONDER] {
            let mut pair = Pair::open(Purpose::Peer, suite);
            let records = five(&mut pair, end);
            let outcomes: Vec<_> = order.iter().map(|index| pair.feed(1 - end, &records[*index])).collect();
            assert_eq!(pair.data(1 - end), order[..accepted].iter().map(|n| vec![*n as u8; 100]).collect::<Vec<_>>());
            assert!(outcomes[..accepted].iter().all(Result::is_ok));
            assert!(outcomes[accepted..].iter().all(|outcome| *outcome == Err(Error::from(Decrypt))), "{outcomes:?}");
            assert!(!pair.ends[1 - end].is_open() || accepted == order.len());
        }
    }
}

#[test]
fn b2_in_order() {
    check(&[0, 1, 2, 3, 4], 5);
}

#[test]
fn b2_replay() {
    check(&[0, 0, 1], 1);
    check(&[0, 1, 2, 0, 3], 3);
}

#[test]
fn b2_gap() {
    check(&[1, 2], 0);
    check(&[0, 1, 3, 2], 2);
}

#[test]
fn b2_swap() {
    check(&[1, 0], 0);
    check(&[0, 2, 1, 3], 1);
}

#[test]
fn b1_a_thousand_replays_give_one() {
    let mut pair = Pair::open(Purpose::Relay, X25519_GCM);
    pair.send(INITIATOR, b"once");
    let record = pair.wires[RESPONDER].pop_front().unwrap();
    let accepted = (0..1_000).filter(|_| pair.feed(RESPONDER, &record).is_ok()).count();
    assert_eq!((accepted, pair.data(RESPONDER)), (1, vec![b"once".to_vec()]));
}

/// R3 through a link: both sides rekey after the same record, and a side that does not is noticed.
#[test]
fn b4_rekey_on_both_sides() {
    for suite in Suite::ALL {
        for (intervals, works) in [([3, 3], true), ([3, 4], false)] {
            let mut configs = configs(Purpose::Peer, &[suite]);
            for (config, interval) in configs.iter_mut().zip(intervals) {
                config.rekey_after = interval;
            }
            let mut pair = Pair::with(configs);
            pair.run().unwrap();
            pair.events = Default::default();
            let mut arrived = 0;
            for number in 0..20_u8 {
                pair.send(INITIATOR, &[number]);
                if pair.run().is_err() {
                    break;
                }
                arrived += pair.data(RESPONDER).len();
            }
            // `Ready` was the first of the three records under the first key.
            assert_eq!(arrived, if works { 20 } else { 2 });
        }
    }
}
