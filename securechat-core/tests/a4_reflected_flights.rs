//! ATTACKS.md A4: a party's own flight or record, reflected to it, fails in every phase.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{Error, PeerMisbehaved};
use securechat_core::link::{Link, Purpose};
use securechat_core::suite::Suite;
use support::*;

/// Runs until `end` has written its flight number `flight`, and hands it that flight instead of the other side's.
/// `None` when it does not write so many.
fn reflect(purpose: Purpose, suite: Suite, end: usize, flight: usize) -> Option<Result<(), Error>> {
    let mut pair = Pair::new(purpose, &[suite]);
    let mut written = 0;
    loop {
        if let Some(bytes) = pair.wires[1 - end].front().cloned() {
            if written == flight {
                return Some(pair.feed(end, &bytes));
            }
            written += 1;
        }
        if !pair.deliver(1 - end, |_| ()).unwrap() && !pair.deliver(end, |_| ()).unwrap() {
            return None;
        }
    }
}

#[test]
fn a4_handshake_flights() {
    for purpose in PURPOSES {
        for suite in Suite::ALL {
            for end in [INITIATOR, RESPONDER] {
                let outcomes: Vec<_> = (0..).map_while(|flight| reflect(purpose, suite, end, flight)).collect();
                assert!(!outcomes.is_empty());
                assert!(outcomes.iter().all(Result::is_err), "{purpose:?} {suite} {end}: {outcomes:?}");
            }
        }
    }
}

#[test]
fn a4_records() {
    for suite in Suite::ALL {
        for end in [INITIATOR, RESPONDER] {
            let mut pair = Pair::open(Purpose::Peer, suite);
            pair.send(end, b"to you");
            let record = pair.wires[1 - end].pop_front().unwrap();
            assert!(pair.feed(end, &record).is_err());
            assert!(pair.events[end].is_empty());
        }
    }
}

/// Connected to itself, by whatever wiring, a party refuses its own identity.
#[test]
fn a4_own_identity() {
    for suite in Suite::ALL {
        let mut configs = configs(Purpose::Peer, &[suite]);
        configs[INITIATOR].local = configs[RESPONDER].local.clone();
        let mut pair = Pair::with(configs);
        assert_eq!(pair.run(), Err(PeerMisbehaved::OwnIdentity.into()));
        assert!(!pair.ends.iter().any(Link::is_open));
    }
}
