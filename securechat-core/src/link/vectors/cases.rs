//! Frames, offers, answers and records.

use super::framed;
use super::handshakes;
use crate::limits::REKEY_AFTER;
use crate::suite::Suite;
use crate::vectors::{In, Vectors, counting, flipped, hex, with};
use serde_json::{Value, json};

pub(super) fn frames(vectors: &mut Vectors) {
    vectors.gives("frame", "", json!({ "content": "00" }));
    vectors.gives("frame", "", json!({ "content": hex(&[0x61; 300]) }));
    let two = [framed(b"one"), framed(b"another")].concat();
    let pieces = |pieces: &[&[u8]]| pieces.iter().map(|piece| hex(piece)).collect::<Value>();
    let single = two.iter().map(|byte| hex(&[*byte])).collect::<Value>();
    for (case, limit, pieces) in [
        ("two frames at once", 8_192, pieces(&[&two])),
        ("two frames, byte by byte", 8_192, single),
        ("a frame cut in its length", 8_192, pieces(&[&two[..2], &two[2..9]])),
        ("not whole yet", 8_192, pieces(&[&two[..6]])),
        ("a length of 8,192 before admission", 8_192, pieces(&[&[0, 0, 0x20, 0]])),
        ("a length of 65,535 after it", 65_535, pieces(&[&[0, 0, 0xff, 0xff]])),
    ] {
        vectors.gives("deframe", case, json!({ "limit": limit, "pieces": pieces }));
    }
    for (case, limit, pieces) in [
        ("a length of 0", 8_192, pieces(&[&[0; 4]])),
        ("a length of 8,193 before admission", 8_192, pieces(&[&[0, 0, 0x20, 1]])),
        ("a length of 65,536", 65_535, pieces(&[&[0, 1, 0, 0]])),
        ("the largest length", 65_535, pieces(&[&[0xff; 4]])),
        ("a second frame that is too long", 8_192, pieces(&[&framed(b"one"), &[0xff], &[0xff, 0xff, 0xff]])),
    ] {
        vectors.fails("deframe", case, json!({ "limit": limit, "pieces": pieces }));
    }
}

/// `"SCHT" | 1 | suites | chosen | purpose | a message`
fn offer(version: u8, suites: &[u16], chosen: u8, purpose: u8) -> Vec<u8> {
    let ids: Vec<u8> = suites.iter().flat_map(|id| id.to_be_bytes()).collect();
    [&b"SCHT"[..], &[version, suites.len() as u8], &ids, &[chosen, purpose], &[5; 32]].concat()
}

pub(super) fn negotiation(vectors: &mut Vectors) {
    let good = offer(1, &[0x0301, 0x0a0a, 0x0101], 2, 1);
    vectors.gives("offer", "with a suite that nobody knows", json!({ "content": hex(&good) }));
    vectors.gives("offer", "16 suites", json!({ "content": hex(&offer(1, &[0x0101; 16], 15, 0)) }));
    for (case, content) in [
        ("empty", vec![]),
        ("cut", good[..13].to_vec()),
        ("another magic", [b"scht", &good[4..]].concat()),
        ("version 2", offer(2, &[0x0101], 0, 0)),
        ("no suites", offer(1, &[], 0, 0)),
        ("17 suites", offer(1, &[0x0101; 17], 0, 0)),
        ("chosen is beyond the end", offer(1, &[0x0101], 1, 0)),
        ("purpose 2", offer(1, &[0x0101], 0, 2)),
    ] {
        vectors.fails("offer", case, json!({ "content": hex(&content) }));
    }
    for content in ["01aabb", "01", "020102", "0304", "0363"] {
        vectors.gives("answer", "", json!({ "content": content }));
    }
    for content in ["", "00", "0201", "02010100", "03", "030101", "04", "53434854"] {
        vectors.fails("answer", "", json!({ "content": content }));
    }
    let header = hex(&good[..14]);
    vectors.gives("prologue", "without a retry", json!({ "offer_header": header }));
    let retried = json!({ "first_offer": hex(&good), "answer": "020301", "offer_header": header });
    vectors.gives("prologue", "after a retry", retried);
    for suite in Suite::ALL {
        for usage in ["relay", "peer", "session"] {
            vectors.gives("protocol name", "", json!({ "suite": super::suite_text(suite.id()), "use": usage }));
        }
    }
    answers(vectors);
}

/// What a responder sends for an offer.
fn answers(vectors: &mut Vectors) {
    let own = handshakes::device(2, None);
    let respond = |policy: &[&str], busy: bool, offers: &[Vec<u8>]| {
        let offers = offers.iter().map(|offer| hex(offer)).collect::<Value>();
        json!({ "purpose": "relay", "policy": policy, "busy": busy, "own": own, "offers": offers })
    };
    let (first, second) = (offer(1, &[0x0101, 0x0102], 0, 0), offer(1, &[0x0101, 0x0102], 1, 0));
    let policy = &["0102", "0101"][..];
    for (case, input) in [
        ("its own order counts: retry", respond(policy, false, std::slice::from_ref(&first))),
        ("numbers that it does not know are skipped", respond(policy, false, &[offer(1, &[0x9999, 0x0102], 0, 0)])),
        ("no common suite", respond(&["0301"], false, std::slice::from_ref(&first))),
        ("another version", respond(policy, false, &[offer(2, &[0x0102], 0, 0)])),
        ("another purpose", respond(policy, false, &[offer(1, &[0x0102], 0, 1)])),
        ("purpose 2", respond(policy, false, &[offer(1, &[0x0102], 0, 2)])),
        ("malformed", respond(policy, false, &[b"SCHT".to_vec()])),
        ("busy", respond(policy, true, std::slice::from_ref(&second))),
        ("the first offer again", respond(policy, false, &[first.clone(), first.clone()])),
        ("a second offer with fewer suites", respond(policy, false, &[first.clone(), offer(1, &[0x0102], 0, 0)])),
        (
            "a second offer in another order",
            respond(policy, false, &[first.clone(), offer(1, &[0x0102, 0x0101], 0, 0)]),
        ),
        (
            "a second offer with more suites",
            respond(policy, false, &[first, offer(1, &[0x0101, 0x0102, 0x0201], 1, 0)]),
        ),
    ] {
        vectors.gives("respond", case, input);
    }
}

pub(super) fn records(vectors: &mut Vectors) {
    for cipher in ["AESGCM", "AESCBCHMAC"] {
        let key = hex(&counting::<32>(0x60));
        for (case, number, plaintext) in [
            ("Ready", 0, "00"),
            ("data", 1, "01616263"),
            ("Close", 2, "0200"),
            ("the last before a rekey", REKEY_AFTER - 1, "0161"),
            ("the first after it", REKEY_AFTER, "0161"),
            ("after two", 2 * REKEY_AFTER + 1, "0161"),
        ] {
            let seal = json!({ "cipher": cipher, "key": key, "number": number, "plaintext": plaintext });
            let sealed = vectors.gives("seal record", case, seal)["content"].clone();
            let open = json!({ "cipher": cipher, "key": key, "number": number, "content": sealed });
            vectors.gives("open record", case, open.clone());
            vectors.fails("open record", "another number", with(&open, [("number", (number + 1).into())]));
            let bytes = In::new(&open).bytes("content");
            vectors.fails("open record", "a byte changed", with(&open, [("content", flipped(&bytes, 0))]));
        }
    }
}
