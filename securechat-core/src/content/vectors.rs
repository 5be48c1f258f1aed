//! `tests/vectors/content.json`: PROTOCOL.md 7, and S12.

use super::tests::{content, every_kind};
use super::{Body, Content, GroupControl, ReceiptKind};
use crate::codec::Writer;
use crate::limits::{CONTENT_MAX, SENT_CONTENT_MAX};
use crate::padding::{pad, padded_len, unpad};
use crate::roster::ENTRY_MAX;
use crate::vectors::{In, Outcome, Vectors, hex};
use serde_json::{Value, json};

fn shown(body: &Body) -> Value {
    match body {
        Body::Text { text } => json!({ "text": text }),
        Body::Edit { target, text } => json!({ "message": hex(target.as_bytes()), "text": text }),
        Body::Delete { target } => json!({ "message": hex(target.as_bytes()) }),
        Body::Reaction { target, reaction, removed } => {
            json!({ "message": hex(target.as_bytes()), "reaction": reaction, "removed": removed })
        }
        Body::Receipt { kind, ids } => {
            let ids = ids.iter().map(|id| hex(id.as_bytes())).collect::<Vec<_>>();
            json!({ "read": *kind == ReceiptKind::Read, "messages": ids })
        }
        Body::Typing { active } => json!({ "active": active }),
        Body::Sent { to, content } => json!({ "to": to.to_string(), "content": hex(content) }),
        Body::Profile { name } => json!({ "name": name }),
        Body::FileOffer(offer) => json!({
            "file": hex(&offer.id),
            "key": hex(offer.key.as_bytes()),
            "cipher": offer.cipher.id(),
            "proof": offer.proof.id(),
            "size": offer.size,
            "name": offer.name,
            "media_type": offer.media_type,
        }),
        Body::FileComplete { file, root } => json!({ "file": hex(file), "root": hex(root) }),
        Body::GroupKey { group, signing, cipher, number, chain } => json!({
            "group": group.to_string(),
            "signing": hex(signing.as_bytes()),
            "cipher": cipher.id(),
            "number": number,
            "chain": hex(chain.as_bytes()),
        }),
        Body::GroupControl { group, control } => {
            let control = match control {
                GroupControl::KeyWanted { key } => json!({ "key_wanted": hex(key) }),
                GroupControl::EntriesWanted { sequence } => json!({ "entries_wanted": sequence }),
                GroupControl::Entries { entries } => {
                    json!({ "entries": entries.iter().map(|entry| hex(entry)).collect::<Vec<_>>() })
                }
            };
            json!({ "group": group.to_string(), "control": control })
        }
        Body::Resend { envelope } => json!({ "envelope": hex(envelope) }),
        Body::DeviceList { list, yours } => json!({ "list": hex(list), "yours": hex(yours) }),
        Body::Application { bytes, .. } => json!({ "application": hex(bytes) }),
        Body::Unknown { bytes, .. } => json!({ "unknown": hex(bytes) }),
    }
}

fn decode(input: &In<'_>) -> Outcome {
    let content = Content::decode(&input.bytes("bytes"))?;
    Ok(json!({
        "id": hex(content.id.as_bytes()),
        "sent_at": content.sent_at,
        "expiry": content.expiry,
        "kind": content.body.kind(),
        "body": shown(&content.body),
    }))
}

fn padded(input: &In<'_>) -> Outcome {
    Ok(json!({ "padded": hex(&pad(&input.bytes("content"))) }))
}

fn unpadded(input: &In<'_>) -> Outcome {
    Ok(json!({ "content": hex(unpad(&input.bytes("padded"))?) }))
}

fn padded_length(input: &In<'_>) -> Outcome {
    Ok(json!({ "padded_length": padded_len(input.number("length") as usize) }))
}

#[test]
fn vectors() {
    let about = "Contents of every kind, and their padding. PROTOCOL.md 7, S12.";
    Vectors::check(
        "content",
        about,
        &[("content", decode), ("pad", padded), ("unpad", unpadded), ("padded length", padded_length)],
        |vectors| {
            kinds(vectors);
            malformed(vectors);
            padding(vectors);
        },
    );
}

/// Content with this body, whether it is right or not.
fn with_body(kind: u16, body: &[u8]) -> Value {
    let mut bytes = vec![1; 16];
    bytes.put_u64(1_700_000_000_000);
    bytes.put_u32(60);
    bytes.put_u16(kind);
    bytes.put_prefixed(body).unwrap();
    json!({ "bytes": hex(&bytes) })
}

fn kinds(vectors: &mut Vectors) {
    for body in every_kind() {
        let (kind, bytes) = (body.kind(), body.encode());
        let case = format!("kind {kind}");
        let encoded = hex(&content(body).encode().unwrap());
        vectors.gives("content", &case, json!({ "bytes": encoded }));
        if kind < 0x8000 {
            let longer = [&bytes[..], &[1, 2, 3]].concat();
            vectors.gives("content", &format!("{case}, fields added later"), with_body(kind, &longer));
            vectors.fails("content", &format!("{case}, cut"), with_body(kind, &bytes[..bytes.len() - 1]));
        }
    }
    for kind in [0, 15, 0x7fff] {
        vectors.gives("content", "an unknown kind", with_body(kind, b"anything"));
    }
}

fn malformed(vectors: &mut Vectors) {
    let header = [1; 32];
    for length in [0, 15, 16, 24, 28, 31] {
        vectors.fails("content", "a cut header", json!({ "bytes": hex(&header[..length]) }));
    }
    let Value::Object(whole) = with_body(1, b"\x02hi") else { panic!() };
    let bytes = In::new(&whole.into()).bytes("bytes");
    vectors.fails("content", "a byte after it", json!({ "bytes": hex(&[&bytes[..], &[0]].concat()) }));
    let text = |length: usize| {
        let count = [(length % 128) as u8 | 0x80, (length / 128 % 128) as u8 | 0x80, (length / 128 / 128) as u8];
        let count = if length < 16_384 { &[count[0], count[1] & 0x7f] } else { &count[..] };
        [count, &vec![b'x'; length]].concat()
    };
    let reaction = |length: usize| [&[9; 16][..], &[length as u8], &vec![b'x'; length], &[0]].concat();
    let receipt =
        |count: usize| [&[0][..], &[(count % 128) as u8 | 0x80, (count / 128) as u8], &[9; 16].repeat(count)].concat();
    let offer = |cipher: u8, proof: u8, name: usize| {
        let name = [&[(name % 128) as u8 | 0x80, (name / 128) as u8][..], &vec![b'n'; name]].concat();
        [&[5; 16][..], &[6; 32], &[cipher, proof, 7], &name, &[0]].concat()
    };
    vectors.gives("content", "a reaction of 64 bytes", with_body(4, &reaction(64)));
    vectors.gives("content", "a file by contents", with_body(9, &offer(1, 1, 1_024)));
    vectors.gives("content", "a receipt for 256 messages", with_body(5, &receipt(256)));
    let sender_key = |cipher: u8| [&[7; 16][..], &[6; 32], &[cipher], b"\xac\x02", &[5; 32]].concat();
    let entries = |count: u8, length: usize| {
        let length = [(length % 128) as u8 | 0x80, (length / 128) as u8];
        let entry = [&length[..], &vec![1; usize::from(length[0] & 0x7f) + 128 * usize::from(length[1])]].concat();
        [&[7; 16][..], &[2, count], &entry.repeat(usize::from(count))].concat()
    };
    vectors.gives("content", "a sender key for AES-GCM", with_body(11, &sender_key(1)));
    vectors.gives("content", "32 entries", with_body(12, &entries(32, 128)));
    vectors.gives("content", "the longest entry", with_body(12, &entries(1, ENTRY_MAX)));
    for (case, kind, body) in [
        ("a text of 16,385 bytes", 1, text(16_385)),
        ("a text that is no UTF-8", 1, b"\x02a\xff".to_vec()),
        ("a length in two bytes where one does", 1, b"\x82\x00hi".to_vec()),
        ("an edit of 16,385 bytes", 2, [&[9; 16][..], &text(16_385)].concat()),
        ("a reaction of 65 bytes", 4, reaction(65)),
        ("a flag of 2", 4, [&[9; 16][..], b"\x01x\x02"].concat()),
        ("a receipt of another kind", 5, vec![2, 0]),
        ("a receipt for 257 messages", 5, receipt(257)),
        ("typing of 2", 6, vec![2]),
        ("sent to another kind of conversation", 7, b"\x02\x03bob\x00".to_vec()),
        ("sent to what is no user name", 7, b"\x00\x03Bob\x00".to_vec()),
        ("a display name of 129 bytes", 8, text(129)),
        ("a file in another cipher", 9, offer(3, 0, 200)),
        ("a file by another proof", 9, offer(1, 2, 200)),
        ("a file name of 1,025 bytes", 9, offer(1, 0, 1_025)),
        ("sent to a group whose id is cut", 7, [&[1][..], &[7; 15]].concat()),
        ("a sender key for cipher 0", 11, sender_key(0)),
        ("a sender key for cipher 3", 11, sender_key(3)),
        ("a sender key without its chain", 11, sender_key(1)[..51].to_vec()),
        (
            "a sender key whose number has six bytes",
            11,
            [&sender_key(1)[..49], b"\x80\x80\x80\x80\x80\x01", &[5; 32]].concat(),
        ),
        ("a key that is wanted, cut", 12, [&[7; 16][..], &[0], &[3; 15]].concat()),
        ("a word about a group of another kind", 12, [&[7; 16][..], &[3, 0]].concat()),
        ("33 entries", 12, entries(33, 128)),
        ("an entry that is longer than there are", 12, entries(1, ENTRY_MAX + 1)),
    ] {
        vectors.fails("content", case, with_body(kind, &body));
    }
    vectors.fails("content", "content of 55,001 bytes", with_body(0x8000, &[0; CONTENT_MAX - 31]));
}

fn padding(vectors: &mut Vectors) {
    for content in [&b""[..], b"one", &[0; 7], &[0x80; 7], &[1; 255], &[1; 256], &[1; 300]] {
        let padded = vectors.gives("pad", "", json!({ "content": hex(content) }));
        vectors.gives("unpad", "", padded);
    }
    vectors.gives("unpad", "padding may be of any length", json!({ "padded": "6f6e658000" }));
    for (case, padded) in [
        ("nothing", ""),
        ("zeros", "00000000"),
        ("no mark", "6f6e650000"),
        ("another byte before the zeros", "6f6e65810000"),
        ("a byte after the mark", "6f6e658001"),
    ] {
        vectors.fails("unpad", case, json!({ "padded": padded }));
    }
    let most = [CONTENT_MAX, SENT_CONTENT_MAX];
    for length in [0, 1, 254, 255, 256, 271, 272, 287, 288, 511, 512, 543, 544, 1_000, 1_023, 4_096, 16_384, 40_000]
        .iter()
        .chain(&most)
    {
        vectors.gives("padded length", "", json!({ "length": length }));
    }
}
