//! ATTACKS.md A5: low-order points in a handshake fail on both ends. (Static keys: beside the Noise engine.)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{Error, PeerMisbehaved};
use securechat_core::suite::Suite;
use support::*;

/// Points of small order, and encodings of them that are not reduced, as little-endian hex.
const POINTS: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn points() -> impl Iterator<Item = Vec<u8>> {
    let decode = |hex: &str| {
        (0..32).map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap()).collect::<Vec<u8>>()
    };
    POINTS.into_iter().flat_map(move |hex| {
        let mut with_top_bit = decode(hex);
        with_top_bit[31] |= 0x80; // which X25519 does not look at
        [decode(hex), with_top_bit]
    })
}

/// Where the ephemeral key stands: after the length and an offer of one suite; after the length and the answer's byte.
const IN_OFFER: usize = 4 + 10;
const IN_ANSWER: usize = 4 + 1;

#[test]
fn a5_ephemeral_keys() {
    let weak = Error::from(PeerMisbehaved::WeakKey);
    for purpose in PURPOSES {
        for suite in Suite::ALL {
            for point in points() {
                let mut pair = Pair::new(purpose, &[suite]);
                let put = |bytes: &mut Vec<u8>| bytes[IN_OFFER..IN_OFFER + 32].copy_from_slice(&point);
                assert_eq!(pair.deliver(RESPONDER, put), Err(weak), "{suite}");
                assert!(pair.wires[INITIATOR].is_empty(), "the responder says nothing");

                let mut pair = Pair::new(purpose, &[suite]);
                pair.deliver(RESPONDER, |_| ()).unwrap();
                let put = |bytes: &mut Vec<u8>| bytes[IN_ANSWER..IN_ANSWER + 32].copy_from_slice(&point);
                assert_eq!(pair.deliver(INITIATOR, put), Err(weak), "{suite}");
            }
        }
    }
}
