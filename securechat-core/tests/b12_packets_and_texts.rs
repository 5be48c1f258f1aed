//! ATTACKS.md B12: two texts written in one packet, one text split over many packets: all arrive, once, in order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::link::{Link, Purpose};
use securechat_core::suite::Suite;
use support::*;

fn texts() -> Vec<Vec<u8>> {
    [0, 1, 2, 300, 4_000, 8_000].map(|length| vec![length as u8; length]).to_vec()
}

#[test]
fn b12_any_split_of_any_texts() {
    for suite in Suite::ALL {
        for size in [1, 2, 3, 7, 1_000, usize::MAX] {
            let mut pair = Pair::open(Purpose::Peer, suite);
            for text in texts() {
                pair.send(INITIATOR, &text);
            }
            let bytes: Vec<u8> = pair.wires[RESPONDER].drain(..).flatten().collect();
            for packet in bytes.chunks(size.min(bytes.len())) {
                pair.feed(RESPONDER, packet).unwrap();
            }
            assert_eq!(pair.data(RESPONDER), texts(), "{suite} in packets of {size}");
        }
    }
}

#[test]
fn b12_even_a_handshake_byte_by_byte_and_with_texts_behind_it() {
    for purpose in PURPOSES {
        for suite in Suite::ALL {
            let mut pair = Pair::new(purpose, &[suite]);
            while let Some(end) = [RESPONDER, INITIATOR].into_iter().find(|end| !pair.wires[*end].is_empty()) {
                for byte in pair.wires[end].pop_front().unwrap() {
                    pair.feed(end, &[byte]).unwrap();
                }
            }
            assert!(pair.ends.iter().all(Link::is_open));
        }
    }
}
