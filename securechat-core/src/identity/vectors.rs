//! `tests/vectors/identity.json`: PROTOCOL.md 5.

use super::signed;
use super::{
    Bundle, Identity, ListChain, PrekeyPublic, RelayAddress, SeenBundle, SignedBundle, SignedDeviceList, SignedPrekey,
    StaticKeys, UserName, safety_number,
};
use crate::crypto::ed25519::SigningKey;
use crate::crypto::label::Label;
use crate::crypto::secret::Secret;
use crate::crypto::vectors::rsa_key;
use crate::crypto::{mlkem, rsa, x25519};
use crate::error::Error;
use crate::limits::DAY;
use crate::link::vectors::{suite_of, suite_text};
use crate::vectors::{In, Outcome, Vectors, counting, flipped, hex, with};
use serde_json::{Value, json};

mod pins;

const NOW: u64 = 20_000 * DAY;

fn key(input: &In<'_>) -> SigningKey {
    SigningKey::from_bytes(&input.array("identity_private"))
}

fn identity(seed: u8) -> Identity {
    SigningKey::from_bytes(&counting(seed)).verifying_key().into()
}

fn identity_hex(identity: &Identity) -> Value {
    hex(identity.as_bytes())
}

fn fingerprint(input: &In<'_>) -> Outcome {
    Ok(json!({ "fingerprint": Identity::from_bytes(input.array("identity")).fingerprint().to_string() }))
}

fn user_name(input: &In<'_>) -> Outcome {
    UserName::new(input.text("name"))?;
    Ok(json!({}))
}

fn relay_address(input: &In<'_>) -> Outcome {
    let address: RelayAddress = input.text("address").parse()?;
    let fingerprint = address.fingerprint.map(|fingerprint| fingerprint.to_string());
    Ok(json!({ "host": address.host, "port": address.port, "fingerprint": fingerprint }))
}

fn prekey_of(input: &In<'_>) -> Result<PrekeyPublic, Error> {
    let mlkem = input.has("mlkem").then(|| mlkem::EncapsulationKey::from_bytes(&input.bytes("mlkem"))).transpose()?;
    Ok(PrekeyPublic::new(input.number("id") as u32, x25519::PublicKey::from_bytes(input.array("x25519")), mlkem))
}

fn prekey_shown(prekey: &PrekeyPublic) -> Value {
    json!({
        "kind": prekey.kind().id(),
        "id": prekey.id(),
        "x25519": hex(prekey.x25519().as_bytes()),
        "mlkem": prekey.mlkem().map(|key| hex(key.as_bytes())),
    })
}

fn sign_bundle(input: &In<'_>) -> Outcome {
    let key = key(input);
    let bundle = Bundle {
        version: 1,
        identity: key.verifying_key().into(),
        user: input.has("user").then(|| UserName::new(input.text("user")).unwrap()),
        device: input.number("device") as u32,
        serial: input.number("serial"),
        not_before: input.number("not_before"),
        not_after: input.number("not_after"),
        suites: input
            .list("suites")
            .iter()
            .map(|id| u16::from_str_radix(id.value().as_str().unwrap(), 16).unwrap())
            .collect(),
        statics: StaticKeys {
            x25519: x25519::PublicKey::from_bytes(input.array("x25519")),
            rsa: input.has("rsa").then(|| rsa::PublicKey::from_der(&input.bytes("rsa"))).transpose()?,
        },
        prekeys: input.list("prekeys").iter().map(prekey_of).collect::<Result<_, _>>()?,
    };
    Ok(json!({ "bundle": hex(bundle.sign(&key)?.bytes()) }))
}

fn bundle(input: &In<'_>) -> Outcome {
    let signed = SignedBundle::decode(&input.bytes("bundle"))?;
    if input.has("now") {
        signed.check_validity(input.number("now"), input.number("grace"))?;
    }
    let bundle = signed.bundle();
    Ok(json!({
        "identity": identity_hex(&bundle.identity),
        "user": bundle.user.as_ref().map(UserName::as_str),
        "device": bundle.device,
        "serial": bundle.serial,
        "not_before": bundle.not_before,
        "not_after": bundle.not_after,
        "suites": bundle.suites.iter().map(|id| suite_text(*id)).collect::<Vec<_>>(),
        "x25519": hex(bundle.statics.x25519.as_bytes()),
        "rsa": bundle.statics.rsa.as_ref().map(|key| hex(key.der())),
        "prekeys": bundle.prekeys.iter().map(prekey_shown).collect::<Vec<_>>(),
        "hash": hex(&signed.hash()),
        "fingerprint": signed.fingerprint().to_string(),
        "session_peer": signed.is_session_peer(),
    }))
}

/// What was seen of an identity, and another bundle of it.
fn bundle_after(input: &In<'_>) -> Outcome {
    let mut seen = SeenBundle::new(&SignedBundle::decode(&input.bytes("seen"))?);
    let next = SignedBundle::decode(&input.bytes("bundle"))?;
    if input.flag("in_a_first_message") {
        seen.check_delayed(&next)?;
        return Ok(json!({}));
    }
    let change = seen.update(&next)?;
    Ok(json!({ "newer": change.newer, "dropped": change.dropped.iter().map(|id| suite_text(*id)).collect::<Vec<_>>() }))
}

fn sign_prekey(input: &In<'_>) -> Outcome {
    let signed = SignedPrekey::sign(&key(input), input.number("device") as u32, prekey_of(input)?)?;
    Ok(json!({ "prekey": hex(signed.bytes()) }))
}

fn prekey(input: &In<'_>) -> Outcome {
    let signed = SignedPrekey::decode(&input.bytes("prekey"))?;
    if input.has("bundle") {
        signed.check_for(&SignedBundle::decode(&input.bytes("bundle"))?, suite_of(input.text("suite")))?;
    }
    Ok(json!({
        "identity": identity_hex(&signed.identity()),
        "device": signed.device(),
        "prekey": prekey_shown(signed.prekey()),
        "hash": hex(&signed.hash()),
    }))
}

fn device_list(input: &In<'_>) -> Outcome {
    let signed = SignedDeviceList::decode(&input.bytes("list"))?;
    Ok(json!({
        "user": signed.user().as_str(),
        "epoch": signed.epoch(),
        "previous": hex(&signed.list().previous),
        "identities": signed.identities().iter().map(identity_hex).collect::<Vec<_>>(),
        "signers": signed.signers().iter().map(identity_hex).collect::<Vec<_>>(),
        "hash": hex(&signed.hash()),
    }))
}

fn chain_of(lists: &[In<'_>]) -> Result<ListChain, Error> {
    let decode = |list: &In<'_>| SignedDeviceList::decode(&list.as_bytes());
    let mut chain = ListChain::start(decode(&lists[0])?)?;
    for list in &lists[1..] {
        chain.extend(decode(list)?)?;
    }
    Ok(chain)
}

fn list_chain(input: &In<'_>) -> Outcome {
    let chain = chain_of(&input.list("lists"))?;
    Ok(json!({ "epoch": chain.head().epoch(), "hash": hex(&chain.head().hash()), "first": hex(&chain.root()) }))
}

fn proposal(input: &In<'_>) -> Outcome {
    let [proposed, current] = ["proposed", "current"].map(|name| SignedDeviceList::decode(&input.bytes(name)));
    Ok(json!({ "new": identity_hex(&proposed?.check_proposal(&current?)?) }))
}

fn number(input: &In<'_>) -> Outcome {
    let user = |name: &str| {
        let user = input.object(name);
        let identities: Vec<_> =
            user.list("identities").iter().map(|id| Identity::from_bytes(id.as_bytes().try_into().unwrap())).collect();
        (UserName::new(user.text("name")).unwrap(), identities)
    };
    let (a, b) = (user("a"), user("b"));
    Ok(json!({ "digits": safety_number((&a.0, &a.1), (&b.0, &b.1)).digits() }))
}

#[test]
fn vectors() {
    let about = "Identities, bundles, prekeys, device lists, pins, safety numbers. PROTOCOL.md 5.";
    Vectors::check(
        "identity",
        about,
        &[
            ("fingerprint", fingerprint),
            ("user name", user_name),
            ("relay address", relay_address),
            ("sign bundle", sign_bundle),
            ("bundle", bundle),
            ("bundle after bundle", bundle_after),
            ("sign prekey", sign_prekey),
            ("prekey", prekey),
            ("device list", device_list),
            ("list chain", list_chain),
            ("proposal", proposal),
            ("safety number", number),
            ("pin", pins::pin),
        ],
        |vectors| {
            names(vectors);
            bundles(vectors);
            newer_bundles(vectors);
            prekeys(vectors);
            pins::lists(vectors);
            pins::pins(vectors);
        },
    );
}

fn names(vectors: &mut Vectors) {
    vectors.gives("fingerprint", "", json!({ "identity": hex(&counting::<32>(0)) }));
    vectors.gives("fingerprint", "", json!({ "identity": identity_hex(&identity(1)) }));
    for name in ["a", "alice", "0", "a.b_c-d", "abcdefghijklmnopqrstuvwxyz012345"] {
        vectors.gives("user name", "", json!({ "name": name }));
    }
    for name in ["", "Alice", ".a", "-a", "_a", "a b", "\u{e4}", "a/b", "abcdefghijklmnopqrstuvwxyz0123456"] {
        vectors.fails("user name", "", json!({ "name": name }));
    }
    let pin = "0123456789abcdef".repeat(4);
    for address in ["localhost:4444", "Chat.Example.org:65535", "[2001:DB8:0::1]:80", &format!("a:1#{pin}")] {
        vectors.gives("relay address", "", json!({ "address": address }));
    }
    for address in
        ["localhost", ":1", "a:0", "a:65536", "a:1#", "::1:80", "a b:1", &format!("a:1#{}", pin.to_uppercase())]
    {
        vectors.fails("relay address", "", json!({ "address": address }));
    }
    let user = |name: &str, seeds: &[u8]| json!({ "name": name, "identities": seeds.iter().map(|seed| identity_hex(&identity(*seed))).collect::<Vec<_>>() });
    for (a, b) in [
        (user("alice", &[1]), user("bob", &[2])),
        (user("bob", &[2]), user("alice", &[1])),
        (user("alice", &[1, 3, 4]), user("bob", &[2, 5])),
        (user("alice", &[4, 3, 1]), user("bob", &[5, 2])),
    ] {
        vectors.gives("safety number", "", json!({ "a": a, "b": b }));
    }
}

/// An ML-KEM key of the seed that counts up from 0x20.
fn mlkem_key() -> Value {
    let key = mlkem::DecapsulationKey::from_seed(&Secret::from_bytes(&counting(0x20)));
    hex(key.encapsulation_key().as_bytes())
}

/// The inputs of a whole bundle.
fn whole() -> Value {
    let agreement = hex(x25519::PrivateKey::from_bytes(&counting(0x81)).public().as_bytes());
    json!({
        "identity_private": hex(&counting::<32>(1)),
        "user": "alice",
        "device": 300,
        "serial": 5,
        "not_before": NOW,
        "not_after": NOW + 90 * DAY,
        "suites": ["0301", "0201", "9999"],
        "x25519": agreement,
        "rsa": hex(rsa_key("rsa2048").public().der()),
        "prekeys": [
            { "id": 6, "x25519": agreement, "mlkem": null },
            { "id": 70_000, "x25519": agreement, "mlkem": mlkem_key() },
        ],
    })
}

/// An object whose body is these bytes, rightly signed.
fn signed_body(label: Label, body: &[u8]) -> Value {
    hex(&signed::sign(label, body, &SigningKey::from_bytes(&counting(1))).unwrap())
}

fn bundles(vectors: &mut Vectors) {
    let full = whole();
    let small = with(&full, [("suites", json!(["0101"])), ("rsa", Value::Null), ("prekeys", json!([]))]);
    let relay = with(&small, [("user", Value::Null), ("device", 0.into())]);
    for (case, input) in [("whole", full.clone()), ("small", small.clone()), ("of a relay", relay)] {
        let signed = vectors.gives("sign bundle", case, input)["bundle"].clone();
        vectors.gives("bundle", case, json!({ "bundle": signed }));
    }
    let prekeys = &full["prekeys"];
    for (case, changes) in [
        ("valid for a millisecond too long", [("not_after", (NOW + 90 * DAY + 1).into())]),
        ("it ends before it begins", [("not_after", (NOW - 1).into())]),
        ("no suites", [("suites", json!([]))]),
        ("17 suites", [("suites", (0..17).map(suite_text).collect())]),
        ("a suite twice", [("suites", json!(["0301", "0301"]))]),
        ("no RSA key for its suite", [("rsa", Value::Null)]),
        ("no prekey of a kind that a suite needs", [("prekeys", json!([prekeys[1]]))]),
        ("prekeys in another order", [("prekeys", json!([prekeys[1], prekeys[0]]))]),
        ("two prekeys of a kind", [("prekeys", json!([prekeys[0], prekeys[0]]))]),
    ] {
        vectors.fails("sign bundle", case, with(&full, changes));
    }
    let signed = In::new(&sign_bundle(&In::new(&small)).unwrap()).bytes("bundle");
    let time = |now: u64, grace: u64| json!({ "bundle": hex(&signed), "now": now, "grace": grace });
    vectors.gives("bundle", "a clock that is a day behind", time(NOW - DAY, 0));
    vectors.fails("bundle", "a clock that is further behind", time(NOW - DAY - 1, 0));
    vectors.gives("bundle", "its last moment", time(NOW + 90 * DAY, 0));
    vectors.fails("bundle", "expired", time(NOW + 90 * DAY + 1, 0));
    vectors.gives("bundle", "the last moment of its grace", time(NOW + 120 * DAY, 30 * DAY));
    vectors.fails("bundle", "beyond its grace", time(NOW + 120 * DAY + 1, 30 * DAY));

    let body = signed::body(&signed).to_vec();
    let bad = |bytes: Vec<u8>| json!({ "bundle": hex(&bytes) });
    let resigned = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut body = body.clone();
        change(&mut body);
        json!({ "bundle": signed_body(Label::BUNDLE, &body) })
    };
    for place in [2, 3, 40, body.len() + 1, body.len() + 2, signed.len() - 1] {
        vectors.fails("bundle", "a changed byte", json!({ "bundle": flipped(&signed, place) }));
    }
    vectors.fails("bundle", "cut", bad(signed[..signed.len() - 1].to_vec()));
    vectors.fails("bundle", "a byte too many", bad([&signed[..], &[0]].concat()));
    vectors.fails("bundle", "empty", bad(vec![]));
    vectors.fails("bundle", "signed under another label", json!({ "bundle": signed_body(Label::PREKEY, &body) }));
    vectors.fails("bundle", "another version, signed", resigned(&|body| body[0] = 2));
    vectors.fails("bundle", "a byte after the fields, signed", resigned(&|body| body.push(0)));
    vectors.fails("bundle", "a cut body, signed", resigned(&|body| body.truncate(body.len() - 1)));
    vectors.fails("bundle", "a user name in upper case, signed", resigned(&|body| body[34] = b'A'));
    // The device number 300 is 0xac 0x02 after version, identity and user name.
    let long = resigned(&|body| {
        body[40] |= 0x80;
        body.insert(41, 0);
    });
    vectors.fails("bundle", "a varint in three bytes where two do, signed", long);
    vectors.fails("bundle", "the signer is another identity, signed", resigned(&|body| body[1..33].fill(7)));
}

fn newer_bundles(vectors: &mut Vectors) {
    let made = |input: &Value| sign_bundle(&In::new(input)).unwrap()["bundle"].clone();
    let seen = with(&whole(), [("suites", json!(["0101", "0201"])), ("prekeys", json!([]))]);
    let next = with(&seen, [("serial", 6.into())]);
    let pair =
        |bundle: &Value, late: bool| json!({ "seen": made(&seen), "bundle": made(bundle), "in_a_first_message": late });
    let lower = with(&seen, [("serial", 4.into())]);
    let fork = with(&seen, [("device", 301.into())]);
    let fewer = with(&next, [("suites", json!(["0101"])), ("rsa", Value::Null)]);
    let other_x25519 = with(&next, [("x25519", hex(&[9; 32]))]);
    let other_rsa = with(&next, [("rsa", hex(rsa_key("rsa3072").public().der()))]);
    let other_identity = with(&next, [("identity_private", hex(&counting::<32>(2)))]);
    let operation = "bundle after bundle";
    vectors.gives(operation, "the next", pair(&next, false));
    vectors.gives(operation, "the same", pair(&seen, false));
    vectors.gives(operation, "a suite less", pair(&fewer, false));
    vectors.gives(operation, "a lower serial in a first message", pair(&lower, true));
    for late in [false, true] {
        vectors.fails(operation, "an equal serial with another body", pair(&fork, late));
        vectors.fails(operation, "another X25519 key", pair(&other_x25519, late));
        vectors.fails(operation, "another RSA key", pair(&other_rsa, late));
        vectors.fails(operation, "another identity", pair(&other_identity, late));
    }
    vectors.fails(operation, "a lower serial", pair(&lower, false));
}

fn prekeys(vectors: &mut Vectors) {
    let full = whole();
    let key =
        json!({ "identity_private": full["identity_private"], "device": 300, "id": 70_001, "x25519": full["x25519"] });
    let hybrid = with(&key, [("mlkem", mlkem_key())]);
    let bundle = sign_bundle(&In::new(&full)).unwrap()["bundle"].clone();
    let mut small = Vec::new();
    for (case, input, suite) in [("X25519", key.clone(), "0201"), ("X25519 with ML-KEM-768", hybrid, "0301")] {
        let signed = vectors.gives("sign prekey", case, input)["prekey"].clone();
        vectors.gives("prekey", case, json!({ "prekey": signed }));
        vectors.gives(
            "prekey",
            "of that bundle's device",
            json!({ "prekey": signed, "bundle": bundle, "suite": suite }),
        );
        let other = if suite == "0201" { "0301" } else { "0201" };
        vectors.fails("prekey", "of another kind", json!({ "prekey": signed, "bundle": bundle, "suite": other }));
        if small.is_empty() {
            small = In::new(&signed).as_bytes();
        }
    }
    let made = |changes: [(&str, Value); 1]| sign_prekey(&In::new(&with(&key, changes))).unwrap()["prekey"].clone();
    let foreign = made([("identity_private", hex(&counting::<32>(2)))]);
    vectors.fails("prekey", "of another identity", json!({ "prekey": foreign, "bundle": bundle, "suite": "0201" }));
    let device = made([("device", 301.into())]);
    vectors.fails("prekey", "of another device", json!({ "prekey": device, "bundle": bundle, "suite": "0201" }));
    let body = signed::body(&small).to_vec();
    for place in [2, 40, small.len() - 1] {
        vectors.fails("prekey", "a changed byte", json!({ "prekey": flipped(&small, place) }));
    }
    let resigned = |body: &[u8]| json!({ "prekey": signed_body(Label::PREKEY, body) });
    vectors.fails("prekey", "signed under another label", json!({ "prekey": signed_body(Label::BUNDLE, &body) }));
    vectors.fails("prekey", "a byte after the fields, signed", resigned(&[&body[..], &[0]].concat()));
    let mut kind = body.clone();
    kind[34] = 3;
    vectors.fails("prekey", "a kind that is not known, signed", resigned(&kind));
    kind[34] = 2;
    vectors.fails("prekey", "the other kind without its key, signed", resigned(&kind));
}
