//! PROTOCOL.md R4: `Close` is answered and ends a link; bytes that end without one are truncation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{ApiMisuse, Error, PeerMisbehaved};
use securechat_core::link::{LinkEvent, Purpose};
use support::*;

fn closed(pair: &mut Pair, end: usize) -> Option<u8> {
    pair.events[end].iter().find_map(|event| match event {
        LinkEvent::Closed { code } => Some(*code),
        _ => None,
    })
}

#[test]
fn close_is_answered_and_ends_both() {
    for purpose in PURPOSES {
        for end in [INITIATOR, RESPONDER] {
            let mut pair = Pair::open(purpose, X25519_GCM);
            pair.send(end, b"the last words");
            pair.ends[end].close(7).unwrap();
            assert!(!pair.ends[end].is_open());
            assert_eq!(pair.ends[end].send(b"more"), Err(ApiMisuse::Closed.into()));
            assert_eq!(pair.ends[end].close(7), Err(ApiMisuse::Closed.into()));
            // What the other side sent before it knew still arrives.
            pair.send(1 - end, b"meanwhile");
            pair.collect(end);
            pair.run().unwrap();
            assert!(matches!(pair.events[end].pop_front(), Some(LinkEvent::Data(data)) if data == b"meanwhile"));
            assert_eq!((closed(&mut pair, end), closed(&mut pair, 1 - end)), (Some(0), Some(7)));
            for end in [INITIATOR, RESPONDER] {
                assert_eq!(pair.ends[end].handle_end(), Ok(()));
                assert_eq!(pair.ends[end].send(b"more"), Err(ApiMisuse::Closed.into()));
                assert_eq!(pair.ends[end].channel_binding(), None);
            }
        }
    }
}

#[test]
fn both_may_close_at_once() {
    let mut pair = Pair::open(Purpose::Peer, X25519_GCM);
    for end in [INITIATOR, RESPONDER] {
        pair.ends[end].close(end as u8).unwrap();
        pair.collect(end);
    }
    pair.run().unwrap();
    assert_eq!((closed(&mut pair, INITIATOR), closed(&mut pair, RESPONDER)), (Some(1), Some(0)));
    assert!(pair.wires.iter().all(|wire| wire.is_empty()), "nothing is sent after one's own Close");
}

#[test]
fn an_end_without_close_is_truncation() {
    for purpose in PURPOSES {
        let truncation = Err(Error::from(PeerMisbehaved::Truncation));
        let mut pair = Pair::open(purpose, X25519_GCM);
        assert_eq!(pair.ends[INITIATOR].handle_end(), truncation);
        assert_eq!(pair.ends[INITIATOR].send(b"more"), truncation, "and that is final");
        // With part of a record in.
        let mut pair = Pair::open(purpose, X25519_GCM);
        pair.send(RESPONDER, b"text");
        pair.deliver(INITIATOR, |bytes| bytes.truncate(10)).unwrap();
        assert_eq!(pair.ends[INITIATOR].handle_end(), truncation);
        // After our own `Close`, whose answer never came.
        let mut pair = Pair::open(purpose, X25519_GCM);
        pair.ends[INITIATOR].close(0).unwrap();
        assert_eq!(pair.ends[INITIATOR].handle_end(), truncation);
        // In the handshake.
        let mut pair = Pair::new(purpose, &[X25519_GCM]);
        assert_eq!(pair.ends[INITIATOR].handle_end(), truncation);
        assert_eq!(pair.ends[RESPONDER].handle_end(), truncation);
    }
}

#[test]
fn b9_cut_at_every_byte() {
    let truncation = Err(Error::from(PeerMisbehaved::Truncation));
    let length = Pair::new(Purpose::Relay, &[X25519_GCM]).wires[RESPONDER][0].len();
    for cut in 0..length {
        let mut pair = Pair::new(Purpose::Relay, &[X25519_GCM]);
        pair.deliver(RESPONDER, |bytes| bytes.truncate(cut)).unwrap();
        assert_eq!(pair.ends[RESPONDER].handle_end(), truncation, "an offer cut at {cut}");
    }
    let mut cut = 0;
    loop {
        let mut pair = Pair::open(Purpose::Relay, X25519_GCM);
        pair.send(INITIATOR, b"text");
        pair.ends[INITIATOR].close(0).unwrap();
        pair.collect(INITIATOR);
        let bytes: Vec<u8> = pair.wires[RESPONDER].drain(..).flatten().collect();
        if cut == bytes.len() {
            break;
        }
        pair.feed(RESPONDER, &bytes[..cut]).unwrap();
        assert_eq!(pair.ends[RESPONDER].handle_end(), truncation, "records cut at {cut}");
        cut += 1;
    }
}

#[test]
fn a_link_that_is_not_open_yet_just_ends() {
    let mut pair = Pair::new(Purpose::Peer, &[X25519_GCM]);
    pair.deliver(RESPONDER, |_| ()).unwrap();
    pair.ends[RESPONDER].close(0).unwrap();
    assert_eq!(pair.ends[RESPONDER].handle_end(), Err(ApiMisuse::Closed.into()));
}
