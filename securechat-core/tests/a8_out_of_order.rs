//! ATTACKS.md A8: handshake messages out of order, twice, missing or after the end: one sticky error, keys gone, no panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{Error, PeerMisbehaved};
use securechat_core::identity::Fingerprint;
use securechat_core::link::{Link, Purpose};
use securechat_core::suite::Suite;
use support::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Missing,
    Twice,
    BehindTheNext,
}

/// Runs frame by frame, with a fault at frame `target` of those that go to `end`. Gives whether there was such a frame,
/// and the pair with what it reported.
fn run_with_fault(purpose: Purpose, suite: Suite, end: usize, target: usize, fault: Fault) -> Option<Pair> {
    let mut pair = Pair::new(purpose, &[suite]);
    let mut waiting: [Vec<Vec<u8>>; 2] = Default::default();
    let mut held: Option<Vec<u8>> = None;
    let mut number = 0;
    loop {
        for end in [INITIATOR, RESPONDER] {
            let bytes: Vec<u8> = pair.wires[end].drain(..).flatten().collect();
            waiting[end].extend(frames(&bytes));
        }
        let to = if waiting[RESPONDER].is_empty() { INITIATOR } else { RESPONDER };
        if waiting[to].is_empty() {
            if let Some(held) = held.take() {
                let _ = pair.feed(end, &held); // nothing came after it: it is late, not swapped
                continue;
            }
            return (number > target).then_some(pair);
        }
        let frame = waiting[to].remove(0);
        if to == end {
            number += 1;
            if number == target + 1 {
                match fault {
                    Fault::Missing => {}
                    Fault::Twice => {
                        let _ = pair.feed(to, &frame);
                        let _ = pair.feed(to, &frame);
                    }
                    Fault::BehindTheNext => held = Some(frame),
                }
                continue;
            }
        }
        let _ = pair.feed(to, &frame);
        if to == end
            && let Some(held) = held.take()
        {
            let _ = pair.feed(to, &held);
        }
    }
}

/// Every call on a link that failed gives the same error, and nothing is left of it.
fn assert_over(link: &mut Link, error: Error) {
    let nobody = Fingerprint::from_bytes([0; 32]);
    for _ in 0..2 {
        assert_eq!(link.handle_input(b"anything", NOW), Err(error));
        assert_eq!(link.handle_input(b"", NOW), Err(error));
        assert_eq!(link.handle_end(), Err(error));
        assert_eq!(link.handle_timeout(NOW), Err(error));
        assert_eq!(link.send(b"text"), Err(error));
        assert_eq!(link.accept(&nobody, NOW), Err(error));
        assert_eq!(link.close(0), Err(error));
        link.refuse();
        link.raise_frame_limit();
    }
    assert!(!link.is_open() && link.poll_timeout().is_none() && link.max_data() == 0);
    assert!(link.suite().is_none() && link.channel_binding().is_none());
    assert!(!format!("{link:?}").contains("transport"), "the keys are gone: {link:?}");
}

#[test]
fn a8_missing_twice_or_swapped() {
    for purpose in PURPOSES {
        for suite in [X25519_GCM, RSA_GCM, HYBRID_CBC] {
            for end in [INITIATOR, RESPONDER] {
                for fault in [Fault::Missing, Fault::Twice, Fault::BehindTheNext] {
                    let mut seen = 0;
                    while let Some(mut pair) = run_with_fault(purpose, suite, end, seen, fault) {
                        let what = format!("{purpose:?} {suite} {end} {fault:?} {seen}");
                        let late = pair.ends[end].is_open() && fault == Fault::BehindTheNext;
                        assert!(!pair.ends[end].is_open() || late, "{what}");
                        if !late {
                            let error = pair.ends[end].handle_end().unwrap_err();
                            assert_over(&mut pair.ends[end], error);
                        }
                        seen += 1;
                    }
                    assert!(seen >= 2, "at least a handshake message and Ready go each way");
                }
            }
        }
    }
}

#[test]
fn a8_nothing_at_all_ends_with_the_time_limit() {
    for end in [INITIATOR, RESPONDER] {
        let mut pair = Pair::new(Purpose::Peer, &[X25519_GCM]);
        let link = &mut pair.ends[end];
        assert_eq!(link.poll_timeout(), Some(NOW + 10_000));
        assert_eq!(link.handle_timeout(NOW + 9_999), Ok(()));
        let timeout = Error::from(PeerMisbehaved::HandshakeTimeout);
        assert_eq!(link.handle_timeout(NOW + 10_000), Err(timeout));
        assert_over(link, timeout);
        // A host that forgets to ask for the time does not keep it open either.
        let mut pair = Pair::new(Purpose::Peer, &[X25519_GCM]);
        pair.now = NOW + 10_000;
        assert_eq!(pair.feed(end, b""), Err(timeout));
    }
    let mut pair = Pair::open(Purpose::Peer, X25519_GCM);
    assert_eq!(pair.ends[INITIATOR].poll_timeout(), None);
    pair.now = NOW + 10_000_000;
    pair.send(INITIATOR, b"much later");
    pair.run().unwrap();
    assert_eq!(pair.data(RESPONDER), [b"much later"]);
}

#[test]
fn a8_after_the_end() {
    // A handshake message after the handshake.
    let mut pair = Pair::new(Purpose::Peer, &[X25519_GCM]);
    let offer = pair.wires[RESPONDER][0].clone();
    pair.run().unwrap();
    let error = pair.feed(RESPONDER, &offer).unwrap_err();
    assert_over(&mut pair.ends[RESPONDER], error);
    // Anything, even a single byte, after `Close`.
    let mut pair = Pair::open(Purpose::Peer, X25519_GCM);
    pair.ends[INITIATOR].close(0).unwrap();
    pair.collect(INITIATOR);
    let unexpected = Err(PeerMisbehaved::UnexpectedRecord.into());
    assert_eq!(pair.deliver(RESPONDER, |bytes| bytes.push(0)).map(drop), unexpected);
    assert_eq!(pair.feed(RESPONDER, &[]), unexpected);
}
