//! `tests/vectors/wire.json`: PROTOCOL.md 10.

use super::tests::{pushes, replies, requests};
use super::{CloseCode, EnvelopeId, EnvelopeRef, HEADER_LEN, LoginClaim, Packet, Received, Refusal, RefusalCode};
use crate::codec::Writer;
use crate::crypto::ed25519::SigningKey;
use crate::error::PeerMisbehaved;
use crate::identity::{Identity, UserName};
use crate::limits::ENVELOPES_PER_SEND;
use crate::vectors::{In, Outcome, Vectors, counting, flipped, hex, with};
use serde_json::{Map, Value, json};

/// Fields as JSON shows them: runs of bytes as hex, structs as objects, enumerations by name.
fn shown(name: &str, value: Value) -> Value {
    /// Fields that are bytes even where there are none.
    const BYTES: [&str; 5] = ["envelope", "chunk", "bundle", "list", "prekey"];
    match value {
        Value::Null if name.is_empty() => json!({}),
        Value::Array(bytes) if bytes.is_empty() && BYTES.contains(&name) => hex(&[]),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_u64) => {
            hex(&items.iter().map(|item| item.as_u64().unwrap() as u8).collect::<Vec<_>>())
        }
        // Of `lists` each is a `list`.
        Value::Array(items) => {
            let each = name.strip_suffix('s').unwrap_or(name);
            items.into_iter().map(|item| shown(each, item)).collect()
        }
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name.clone(), shown(&name, value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

fn message(input: &In<'_>) -> Outcome {
    let bytes = input.bytes("bytes");
    let header = Packet::decode(&bytes)?;
    let (class, fields) = match Received::decode(&bytes)? {
        Received::Request(_, request) => ("request", shown("", request.fields())),
        Received::Reply(_, reply) => ("reply", shown("", reply.fields())),
        Received::Push(push) => ("push", shown("", push.fields())),
        Received::Refused(_, refusal) => ("refusal", shown("", serde_json::to_value(refusal).unwrap())),
        Received::Unknown { .. } => ("unknown", json!({})),
    };
    Ok(json!({ "class": class, "id": header.id, "kind": format!("{:04x}", header.kind), "fields": fields }))
}

fn close_code(input: &In<'_>) -> Outcome {
    let code = CloseCode::from_number(input.number("code") as u8);
    Ok(json!({ "meaning": code.map(|code| format!("{code:?}")) }))
}

fn claim<T>(input: &In<'_>, identity: &Identity, then: impl FnOnce(LoginClaim<'_>) -> T) -> T {
    let (relay, user) = (Identity::from_bytes(input.array("relay")), UserName::new(input.text("user")).unwrap());
    then(LoginClaim { relay: &relay, user: &user, identity, channel_binding: &input.array("channel_binding") })
}

fn login(input: &In<'_>) -> Outcome {
    let key = SigningKey::from_bytes(&input.array("private"));
    let identity = key.verifying_key().into();
    let signature = claim(input, &identity, |claim| claim.sign(&key));
    Ok(json!({ "identity": hex(identity.as_bytes()), "signature": hex(&signature) }))
}

fn login_check(input: &In<'_>) -> Outcome {
    let signature = input.bytes("signature").try_into().map_err(|_| PeerMisbehaved::BadSignature)?;
    claim(input, &Identity::from_bytes(input.array("identity")), |claim| claim.verify(&signature))?;
    Ok(json!({}))
}

#[test]
fn vectors() {
    let about = "Requests, replies, pushes, refusals; codes of Close; the signature of a login. PROTOCOL.md 10.";
    Vectors::check(
        "wire",
        about,
        &[
            ("message", message),
            ("close code", close_code),
            ("login signature", login),
            ("login signature check", login_check),
        ],
        |vectors| {
            messages(vectors);
            unknown(vectors);
            malformed(vectors);
            bounds(vectors);
            for code in 0..10 {
                vectors.gives("close code", "", json!({ "code": code }));
            }
            logins(vectors);
        },
    );
}

/// A message with this body.
fn framed(id: u32, kind: u16, body: &[u8]) -> Value {
    let mut bytes = Vec::new();
    bytes.put_u32(id);
    bytes.put_u16(kind);
    bytes.put_prefixed(body).unwrap();
    json!({ "bytes": hex(&bytes) })
}

fn messages(vectors: &mut Vectors) {
    let requests = requests().into_iter().map(|message| message.encode(8).unwrap());
    let replies = replies().into_iter().map(|message| message.encode(0x0102_0304).unwrap());
    let pushes = pushes().into_iter().map(|message| message.encode().unwrap());
    for bytes in requests.chain(replies).chain(pushes) {
        let kind = Packet::decode(&bytes).unwrap().kind;
        let input = json!({ "bytes": hex(&bytes) });
        vectors.gives("message", &format!("kind {kind:04x}"), input);
        // One byte less in the body, and in the length: the last field is cut.
        if bytes.len() > HEADER_LEN {
            let body = &bytes[HEADER_LEN..bytes.len() - 1];
            let id = Packet::decode(&bytes).unwrap().id;
            vectors.fails("message", &format!("kind {kind:04x}, cut"), framed(id, kind, body));
        }
    }
    for code in (1..=23).chain([999]) {
        let refusal = Refusal::after(RefusalCode::from(code), u32::from(code) * 100).encode(8).unwrap();
        vectors.gives("message", &format!("refusal {code}"), json!({ "bytes": hex(&refusal) }));
    }
    let body = [&[5][..], b"alice", &[0xac, 0x02]].concat();
    vectors.gives("message", "fetch lists from 300", framed(1, 0x0028, &body));
    let longer = [&body[..], &[1, 2, 3]].concat();
    vectors.gives("message", "fields added later are passed over", framed(1, 0x0028, &longer));
}

fn unknown(vectors: &mut Vectors) {
    for (case, id, kind) in [
        ("a request of an unknown kind: refused", 3, 0x0043),
        ("a push of an unknown kind: passed over", 0, 0x4007),
        ("a reply of an unknown kind", 3, 0x8043),
    ] {
        vectors.gives("message", case, framed(id, kind, b"x"));
    }
    for (case, id, kind) in [
        ("a push with an id", 3, 0x4001),
        ("a request without an id", 0, 0x0001),
        ("a reply without an id", 0, 0x8001),
        ("a refusal without an id", 0, 0xffff),
        ("kind 0", 3, 0x0000),
        ("kind 0x8000", 3, 0x8000),
    ] {
        vectors.fails("message", case, framed(id, kind, &[]));
    }
}

fn malformed(vectors: &mut Vectors) {
    let ping = [0, 0, 0, 8, 0, 1, 0, 0];
    for end in 0..ping.len() {
        vectors.fails("message", "a cut header", json!({ "bytes": hex(&ping[..end]) }));
    }
    vectors.fails("message", "a byte after the body", json!({ "bytes": hex(&[&ping[..], &[0]].concat()) }));
    vectors.fails("message", "a length beyond the end", json!({ "bytes": "0000000800010001" }));
    let lists = |name: &[u8], epoch: &[u8]| framed(1, 0x0028, &[name, epoch].concat());
    let alice = b"\x05alice";
    for (case, input) in [
        ("a varint in two bytes where one does: a length", lists(b"\x85\x00alice", &[1])),
        ("a varint in two bytes where one does: a number", lists(alice, &[0x81, 0x00])),
        ("a varint above 64 bits", lists(alice, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])),
        ("a varint that does not end", lists(alice, &[0x81; 11])),
        ("an empty user name", lists(&[0], &[1])),
        ("a user name in upper case", lists(b"\x05Alice", &[1])),
        ("a user name that begins with a dot", lists(b"\x02.a", &[1])),
        ("a user name of 33 bytes", lists(&[&[33][..], &[b'a'; 33]].concat(), &[1])),
        ("a user name that is no UTF-8", lists(b"\x02a\xff", &[1])),
        ("a name that is longer than the body", lists(b"\x7falice", &[1])),
        ("a flag of 2", framed(1, 0x0031, &[1, 2])),
        ("a presence of 3", framed(1, 0x0031, &[3, 0])),
        ("an option of 2", framed(1, 0x0011, &[1, b'a', 2, 0])),
        ("an empty password", framed(1, 0x0002, &[0])),
        ("a password of 257 bytes", framed(1, 0x0002, &[&[0x81, 0x02][..], &[b'x'; 257]].concat())),
        ("a one-time code of 1,000,000", framed(1, 0x0012, &[0xc0, 0x84, 0x3d])),
        ("a recipient of another kind", framed(1, 0x0038, &[&[1][..], &[1; 16], &[2], &[7; 32], &[0, 1, 3]].concat())),
        ("a count with nothing behind it", framed(1, 0x0038, &[0xff, 0xff, 0xff, 0xff, 0x0f])),
    ] {
        vectors.fails("message", case, input);
    }
    vectors.gives("message", "a password of 256 bytes", framed(1, 0x0002, &[&[0x80, 0x02][..], &[b'x'; 256]].concat()));
    vectors.gives("message", "the one-time code 999999", framed(1, 0x0012, &[0xbf, 0x84, 0x3d]));
}

fn bounds(vectors: &mut Vectors) {
    let item = [&[1; 16][..], &[0], &[7; 32], &[0, 1, 3]].concat();
    let varint = |count: usize| [count as u8 | 0x80, (count >> 7) as u8];
    let send = |count: usize| framed(1, 0x0038, &[&varint(count)[..], &item.repeat(count)].concat());
    vectors.gives("message", "as many envelopes as there may be", send(ENVELOPES_PER_SEND));
    vectors.fails("message", "an envelope too many", send(ENVELOPES_PER_SEND + 1));
    let to_group = [&[1][..], &[1; 16], &[1], &[6; 16], &[0, 1, 3]].concat();
    vectors.gives("message", "an envelope for a group", framed(1, 0x0038, &to_group));
    let log = |count: usize| framed(1, 0x8041, &[&[2, count as u8][..], &[1, 3].repeat(count), &[0]].concat());
    vectors.gives("message", "as many entries as may be in a reply", log(32));
    vectors.fails("message", "an entry too many", log(33));
    let head = [&[6; 16][..], &[1], &[4; 32]].concat();
    let groups = |count: usize| {
        let count_bytes = [(count % 128) as u8 | 0x80, (count / 128) as u8];
        framed(1, 0x8042, &[&count_bytes[..], &head.repeat(count), &[0, 0]].concat())
    };
    vectors.gives("message", "as many groups as may be in a reply", groups(512));
    vectors.fails("message", "a group too many", groups(513));
    let keys = |count: usize| {
        let body = [&[1, b'a', count as u8][..], &[7; 32].repeat(count), &[0]].concat();
        framed(1, 0x0029, &body)
    };
    vectors.gives("message", "as many devices as may be asked for", keys(8));
    vectors.fails("message", "a device too many", keys(9));
    let prekeys = |count: usize| framed(1, 0x0021, &[&[0, count as u8][..], &[0].repeat(count)].concat());
    vectors.gives("message", "as many prekeys as may be published", prekeys(40));
    vectors.fails("message", "a prekey too many", prekeys(41));
    let one = EnvelopeRef { sender: Identity::from_bytes([7; 32]), id: EnvelopeId([1; 16]) };
    let one = crate::codec::encode(&one);
    let acknowledge = |count: usize| {
        let count_bytes = [(count % 128) as u8 | 0x80, (count / 128) as u8];
        framed(1, 0x0039, &[&count_bytes[..], &one.repeat(count)].concat())
    };
    vectors.fails("message", "an acknowledgement too many", acknowledge(257));
    let lists = |count: usize| framed(1, 0x8028, &[&[2, count as u8][..], &[0].repeat(count), &[0]].concat());
    vectors.gives("message", "as many device lists as may be in a reply", lists(16));
    vectors.fails("message", "a device list too many", lists(17));
}

fn logins(vectors: &mut Vectors) {
    let input = json!({
        "private": hex(&counting::<32>(0x30)),
        "relay": hex(&counting::<32>(0x80)),
        "user": "alice",
        "channel_binding": hex(&counting::<32>(0xc0)),
    });
    let out = vectors.gives("login signature", "alice", input.clone());
    let signature = In::new(&out).bytes("signature");
    let mut check = with(&input, [("identity", out["identity"].clone()), ("signature", out["signature"].clone())]);
    check.as_object_mut().unwrap().remove("private");
    vectors.gives("login signature check", "right", check.clone());
    for (case, field, value) in [
        ("of another relay", "relay", hex(&[1; 32])),
        ("of another user", "user", "alicf".into()),
        ("of another link", "channel_binding", hex(&[1; 32])),
        ("of another device", "identity", hex(&[1; 32])),
        ("a changed signature", "signature", flipped(&signature, 5)),
    ] {
        vectors.fails("login signature check", case, with(&check, [(field, value)]));
    }
}
