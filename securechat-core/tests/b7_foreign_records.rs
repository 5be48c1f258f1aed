//! ATTACKS.md B7: a record of another suite, direction or link does not open.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{Decrypt, Error};
use securechat_core::link::Purpose;
use securechat_core::suite::Suite;
use support::*;

/// The third text of `end` on an open link, after two that arrived.
fn third_text(pair: &mut Pair, end: usize) -> Vec<u8> {
    for _ in 0..2 {
        pair.send(end, b"text");
        pair.run().unwrap();
        pair.events = Default::default();
    }
    pair.send(end, b"text");
    pair.wires[1 - end].pop_front().unwrap()
}

/// Another link between the same two with the same suite and purpose: only the randomness differs.
fn again(purpose: Purpose, suite: Suite) -> Pair {
    let [initiator, responder] = configs(purpose, &[suite]);
    let ends = [
        securechat_core::link::Link::initiator(initiator, rng(200), NOW).unwrap(),
        securechat_core::link::Link::responder(responder, rng(201), NOW).unwrap(),
    ];
    let mut pair = Pair { ends, wires: Default::default(), events: Default::default(), now: NOW };
    pair.collect(INITIATOR);
    pair.run().unwrap();
    pair.events = Default::default();
    pair
}

#[test]
fn b7_another_link_suite_purpose_or_direction() {
    let links = || PURPOSES.into_iter().flat_map(|purpose| Suite::ALL.map(|suite| (purpose, suite)));
    for from in Suite::ALL.map(|suite| (Purpose::Peer, suite)) {
        for end in [INITIATOR, RESPONDER] {
            let record = third_text(&mut Pair::open(from.0, from.1), end);
            for to in links() {
                for reader in [INITIATOR, RESPONDER] {
                    let mut pair = if from == to { again(to.0, to.1) } else { Pair::open(to.0, to.1) };
                    // Both ends are at the counter that the record has, so that nothing but the key keeps it out.
                    third_text(&mut pair, 1 - reader);
                    assert_eq!(pair.feed(reader, &record), Err(Error::from(Decrypt)), "{from:?} {end} {to:?} {reader}");
                    assert!(pair.events[reader].is_empty());
                }
            }
        }
    }
}
