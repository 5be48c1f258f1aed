//! PROTOCOL.md 4.2: a bundle where a static key is sent, and nothing in any other payload.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{Error, InvalidMessage, PeerMisbehaved};
use securechat_core::link::{Link, Purpose};
use securechat_core::suite::Suite;
use support::*;

fn responder(purpose: Purpose, suite: Suite) -> Link {
    let mut config = config(purpose, &[suite], 2);
    config.pin = Some(fingerprint(1));
    Link::responder(config, rng(101), NOW).unwrap()
}

#[test]
fn nothing_in_the_first_message() {
    for purpose in PURPOSES {
        for suite in Suite::ALL {
            assert!(offer_by_hand(&mut responder(purpose, suite), purpose, suite, &[]).is_ok());
            for payload in [&[0][..], identity(1).bundle.bytes()] {
                let outcome = offer_by_hand(&mut responder(purpose, suite), purpose, suite, payload);
                assert_eq!(outcome.map(drop), Err(PeerMisbehaved::UnexpectedPayload.into()), "{purpose:?} {suite}");
            }
        }
    }
}

#[test]
fn nothing_beside_a_wrapped_secret() {
    for (payload, expected) in [(&b""[..], Ok(())), (b"x", Err(Error::from(PeerMisbehaved::UnexpectedPayload)))] {
        let mut link = responder(Purpose::Relay, RSA_GCM);
        let mut handshake = offer_by_hand(&mut link, Purpose::Relay, RSA_GCM, &[]).unwrap();
        assert!(answer_by_hand(&mut link, &mut handshake).is_empty(), "no Ready before the last message");
        let mut message = Vec::new();
        handshake.write(payload, &mut *rng(3), &mut message).unwrap();
        assert_eq!(link.handle_input(&frame(&message), NOW), expected);
    }
}

/// What a client makes of a relay that answers with this payload.
fn answered(payload: &[u8]) -> Result<(), Error> {
    relay_by_hand(Some(fingerprint(2)), payload).2
}

#[test]
fn a_bundle_beside_a_static_key() {
    let bundle = identity(2).bundle.bytes().to_vec();
    assert_eq!(answered(&bundle), Ok(()));
    assert_eq!(answered(&[]), Err(InvalidMessage::Truncated.into()));
    assert_eq!(answered(&[bundle.as_slice(), &[0]].concat()), Err(InvalidMessage::TrailingBytes.into()));
    assert_eq!(answered(identity(1).bundle.bytes()), Err(PeerMisbehaved::StaticKeyMismatch.into()));
    let mut unsigned = bundle;
    *unsigned.last_mut().unwrap() ^= 1;
    assert_eq!(answered(&unsigned), Err(PeerMisbehaved::BadSignature.into()));
}
