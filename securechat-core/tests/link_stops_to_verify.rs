//! PROTOCOL.md 4.2: an identity that no pin vouches for stops the link until the host decides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{ApiMisuse, Error, PeerMisbehaved};
use securechat_core::identity::{DeviceKeys, Fingerprint, LocalIdentity};
use securechat_core::limits::{BUNDLE_LIFE, DAY};
use securechat_core::link::{Link, LinkEvent, Purpose};
use securechat_core::noise::Transport;
use support::*;

/// Runs to the stop of `end`, which pins `pin`, and gives the pair with what `Verify` said: changed, expired.
fn stopped(purpose: Purpose, end: usize, pin: Option<Fingerprint>) -> (Pair, bool, bool) {
    let mut configs = configs(purpose, &[HYBRID_GCM]);
    configs[end].pin = pin;
    let mut pair = Pair::with(configs);
    pair.run().unwrap();
    match pair.events[end].pop_front() {
        Some(LinkEvent::Verify { changed, expired, .. }) => (pair, changed, expired),
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_pin_is_reported_as_a_change() {
    let (mut pair, changed, expired) = stopped(Purpose::Relay, INITIATOR, Some(fingerprint(3)));
    assert_eq!((changed, expired), (true, false));
    // Accepting the pin instead of what was shown is no way on.
    let mismatch = Err(Error::from(PeerMisbehaved::IdentityMismatch));
    assert_eq!(pair.ends[INITIATOR].accept(&fingerprint(3), NOW), mismatch);
    assert_eq!(pair.ends[INITIATOR].accept(&fingerprint(2), NOW), mismatch, "and that is final");
}

#[test]
fn refusing_ends_it_without_a_word() {
    for (purpose, end) in [(Purpose::Relay, INITIATOR), (Purpose::Peer, INITIATOR), (Purpose::Peer, RESPONDER)] {
        let (mut pair, ..) = stopped(purpose, end, None);
        pair.ends[end].refuse();
        pair.collect(end);
        assert!(pair.wires[1 - end].is_empty());
        assert_eq!(pair.feed(end, b""), Err(PeerMisbehaved::IdentityMismatch.into()));
        assert_eq!(pair.ends[1 - end].handle_end(), Err(PeerMisbehaved::Truncation.into()));
    }
}

#[test]
fn the_time_limit_counts_during_the_stop() {
    let (mut pair, ..) = stopped(Purpose::Peer, RESPONDER, None);
    assert_eq!(pair.ends[RESPONDER].poll_timeout(), Some(NOW + 10_000));
    let timeout = Err(Error::from(PeerMisbehaved::HandshakeTimeout));
    assert_eq!(pair.ends[RESPONDER].accept(&fingerprint(1), NOW + 10_000), timeout);
}

#[test]
fn a_decision_is_possible_during_the_stop_only() {
    let mut pair = Pair::new(Purpose::Peer, &[X25519_GCM]);
    let misuse = Err(Error::from(ApiMisuse::WrongState));
    assert_eq!(pair.ends[INITIATOR].accept(&fingerprint(2), NOW), misuse);
    pair.ends[INITIATOR].refuse();
    pair.run().unwrap();
    assert_eq!(pair.ends[INITIATOR].accept(&fingerprint(2), NOW), misuse);
    pair.ends[INITIATOR].refuse();
    assert!(pair.ends.iter().all(Link::is_open), "neither did anything");
}

/// A client that stopped at an answer made by hand, and the keys to what comes after it.
fn stopped_by_hand() -> (Link, Transport) {
    let (mut link, handshake, outcome) = relay_by_hand(None, identity(2).bundle.bytes());
    outcome.unwrap();
    assert!(matches!(link.poll_event(), Some(LinkEvent::Verify { .. })));
    (link, handshake.into_transport().unwrap())
}

fn record(link: &mut Link, transport: &mut Transport, plaintext: &[u8]) -> Result<(), Error> {
    let mut record = plaintext.to_vec();
    transport.sealer.seal(&mut record, 0).unwrap();
    link.handle_input(&frame(&record), NOW)
}

#[test]
fn during_the_stop_ready_and_close_count_and_nothing_else() {
    // Ready, then a decision: open at once.
    let (mut link, mut transport) = stopped_by_hand();
    record(&mut link, &mut transport, b"\x00").unwrap();
    assert!(link.poll_event().is_none() && !link.poll_transmit(&mut Vec::new()));
    link.accept(&fingerprint(2), NOW).unwrap();
    assert!(link.is_open() && matches!(link.poll_event(), Some(LinkEvent::Open { .. })));

    // Ready and Close: it is over, and nothing is answered.
    let (mut link, mut transport) = stopped_by_hand();
    record(&mut link, &mut transport, b"\x00").unwrap();
    record(&mut link, &mut transport, b"\x02\x09").unwrap();
    assert!(matches!(link.poll_event(), Some(LinkEvent::Closed { code: 9 })));
    assert!(!link.poll_transmit(&mut Vec::new()));
    assert_eq!(link.accept(&fingerprint(2), NOW), Err(ApiMisuse::Closed.into()));
    assert_eq!(link.handle_end(), Ok(()));

    // Data, a second Ready, or a Close before Ready.
    for bad in [&[&b"\x01text"[..]][..], &[b"\x00", b"\x01text"], &[b"\x00", b"\x00"], &[b"\x02\x00"]] {
        let (mut link, mut transport) = stopped_by_hand();
        let outcomes: Vec<_> = bad.iter().map(|plaintext| record(&mut link, &mut transport, plaintext)).collect();
        assert_eq!(outcomes.last(), Some(&Err(PeerMisbehaved::UnexpectedRecord.into())), "{bad:?}");
        assert!(link.poll_event().is_none());
    }
}

/// The identity of seed 2 with a bundle that began at `from`.
fn since(from: u64) -> LocalIdentity {
    let made = new_identity(2);
    let keys = DeviceKeys { identity: made.keys.identity, x25519: made.keys.x25519, rsa: made.keys.rsa };
    LocalIdentity::new(keys, None, 0, &all_suites(), vec![], from).unwrap()
}

#[test]
fn an_expired_bundle_is_for_the_host_to_decide_even_with_a_pin() {
    for (from, stops) in [(NOW - BUNDLE_LIFE, false), (NOW - BUNDLE_LIFE - 1, true)] {
        let mut configs = configs(Purpose::Relay, &[X25519_GCM]);
        configs[RESPONDER].local = Some(since(from).into());
        let mut pair = Pair::with(configs);
        pair.run().unwrap();
        assert_eq!(pair.ends[INITIATOR].is_open(), !stops);
        if stops {
            let event = pair.events[INITIATOR].pop_front();
            assert!(matches!(event, Some(LinkEvent::Verify { changed: false, expired: true, .. })), "{event:?}");
            pair.ends[INITIATOR].accept(&fingerprint(2), NOW).unwrap();
            pair.collect(INITIATOR);
            pair.run().unwrap();
            assert!(pair.ends.iter().all(Link::is_open));
        }
    }
}

#[test]
fn a_bundle_from_the_future_is_refused() {
    for (from, works) in [(NOW + DAY, true), (NOW + DAY + 1, false)] {
        let mut configs = configs(Purpose::Peer, &[X25519_GCM]);
        configs[RESPONDER].local = Some(since(from).into());
        let mut pair = Pair::with(configs);
        let expected = if works { Ok(()) } else { Err(PeerMisbehaved::BundleExpired.into()) };
        assert_eq!(pair.run(), expected);
    }
}
