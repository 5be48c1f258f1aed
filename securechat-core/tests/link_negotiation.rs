//! PROTOCOL.md 4.1: the responder's order decides, one retry at most, and refusals that say why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{ApiMisuse, Error, InvalidMessage, PeerMisbehaved};
use securechat_core::link::{Link, LinkConfig, Purpose, RsaSlots};
use securechat_core::suite::{Policy, Suite};
use support::*;

fn policies(initiator: &[Suite], responder: &[Suite]) -> [LinkConfig; 2] {
    let mut configs = configs(Purpose::Relay, initiator);
    configs[RESPONDER].policy = Policy::new(responder.to_vec()).unwrap();
    configs
}

/// N1, for every pair of policies out of three suites in two orders each.
#[test]
fn the_responders_order_decides() {
    let orders: Vec<Vec<Suite>> = vec![
        vec![X25519_GCM],
        vec![X25519_GCM, RSA_CBC],
        vec![RSA_CBC, X25519_GCM],
        vec![HYBRID_GCM, X25519_GCM, RSA_CBC],
        vec![RSA_CBC, HYBRID_GCM],
    ];
    for initiator in &orders {
        for responder in &orders {
            let expected = responder.iter().find(|suite| initiator.contains(suite));
            let mut pair = Pair::with(policies(initiator, responder));
            let outcome = pair.run();
            assert_eq!(pair.ends.each_ref().map(Link::suite), [expected.copied(); 2], "{initiator:?} {responder:?}");
            assert_eq!(outcome.is_ok(), expected.is_some());
        }
    }
}

/// Every refusal as both sides see it: the responder's error, the answer on the wire, the initiator's error.
fn check_refusal(mut pair: Pair, change: impl FnOnce(&mut Vec<u8>), here: Error, code: u8, there: PeerMisbehaved) {
    assert_eq!(pair.deliver(RESPONDER, change), Err(here));
    assert_eq!(pair.wires[INITIATOR], [frame(&[3, code])]);
    assert_eq!(pair.deliver(INITIATOR, |_| ()), Err(there.into()));
    assert!(pair.wires[RESPONDER].is_empty(), "N4: nothing is offered again");
}

#[test]
fn refusals_say_why() {
    let plain = || Pair::with(policies(&[X25519_GCM], &[X25519_GCM]));
    let no_common = Pair::with(policies(&[X25519_GCM], &[HYBRID_GCM, X25519_CBC]));
    check_refusal(no_common, |_| (), PeerMisbehaved::NoCommonSuite.into(), 1, PeerMisbehaved::NoCommonSuite);
    let version = InvalidMessage::Version.into();
    check_refusal(plain(), |bytes| bytes[4 + 4] = 2, version, 2, PeerMisbehaved::VersionRefused);
    let mut peer = configs(Purpose::Peer, &[X25519_GCM]);
    peer[RESPONDER].purpose = Purpose::Relay;
    check_refusal(Pair::with(peer), |_| (), PeerMisbehaved::WrongPurpose.into(), 3, PeerMisbehaved::WrongPurpose);
    let malformed = InvalidMessage::UnknownValue.into();
    check_refusal(plain(), |bytes| bytes[4] = b'X', malformed, 4, PeerMisbehaved::Refused);
    let mut busy = policies(&[X25519_GCM], &[X25519_GCM]);
    busy[RESPONDER].busy = true;
    check_refusal(Pair::with(busy), |_| (), ApiMisuse::Busy.into(), 5, PeerMisbehaved::PeerBusy);
}

#[test]
fn an_answer_of_no_known_form_ends_the_initiator() {
    for (content, error) in [
        (&b"\x00"[..], InvalidMessage::UnknownValue),
        (b"\x04", InvalidMessage::UnknownValue),
        (b"\x02\x01", InvalidMessage::Truncated),
        (b"\x02\x01\x01\x01", InvalidMessage::TrailingBytes),
        (b"\x03\x01\x01", InvalidMessage::TrailingBytes),
    ] {
        let mut pair = Pair::new(Purpose::Relay, &[X25519_GCM]);
        assert_eq!(pair.feed(INITIATOR, &frame(content)), Err(error.into()), "{content:?}");
    }
}

/// ATTACKS.md D8: handshakes that only began, each for a few bytes, keep nobody who goes on from the private operation.
#[test]
fn d8_half_open_rsa_handshakes_keep_nobody_out() {
    for purpose in PURPOSES {
        let slots = RsaSlots::new(1);
        let pair = || {
            let mut configs = configs(purpose, &[RSA_GCM]);
            configs[RESPONDER].rsa_slots = Some(slots.clone());
            Pair::with(configs)
        };
        let mut half_open = Vec::new();
        for _ in 0..50 {
            let mut begun = pair();
            assert_eq!(begun.deliver(RESPONDER, |_| ()), Ok(true));
            half_open.push(begun);
        }
        for _ in 0..3 {
            let mut honest = pair();
            honest.run().unwrap();
            assert!(honest.ends.iter().all(Link::is_open));
        }
        // Those that go on after all are served too.
        half_open.iter_mut().for_each(|begun| begun.run().unwrap());
    }
}

#[test]
fn without_a_place_an_rsa_offer_is_answered_with_busy() {
    let pair = |suite| {
        let mut configs = configs(Purpose::Relay, &[suite]);
        configs[RESPONDER].rsa_slots = Some(RsaSlots::new(0));
        Pair::with(configs)
    };
    check_refusal(pair(RSA_GCM), |_| (), ApiMisuse::Busy.into(), 5, PeerMisbehaved::PeerBusy);
    pair(X25519_GCM).run().unwrap();
}

#[test]
fn a_side_that_lacks_a_key_its_policy_needs_does_not_begin() {
    let missing = Err(Error::from(ApiMisuse::MissingKey));
    let bare = || {
        let mut config = config(Purpose::Peer, &[X25519_GCM], 1);
        config.local = None;
        config
    };
    assert_eq!(Link::initiator(bare(), rng(1), NOW).map(drop), missing);
    assert_eq!(Link::responder(bare(), rng(1), NOW).map(drop), missing);
    let mut client = bare();
    client.purpose = Purpose::Relay;
    client.policy = all_suites();
    assert!(Link::initiator(client, rng(1), NOW).is_ok(), "a relay's client shows nothing");

    let mut without_rsa = new_identity(1);
    without_rsa.keys.rsa = None;
    let mut config = config(Purpose::Relay, &[X25519_GCM, RSA_GCM], 2);
    config.local = Some(without_rsa.into());
    assert_eq!(Link::responder(config, rng(1), NOW).map(drop), missing);
}
