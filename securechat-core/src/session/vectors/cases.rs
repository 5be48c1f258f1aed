//! Conversations in every suite, and envelopes that do not open.

use super::{Device, In, hex, suite_text};
use crate::crypto::ed25519::SigningKey;
use crate::crypto::secret::Secret;
use crate::crypto::vectors::rsa_key;
use crate::crypto::{mlkem, x25519};
use crate::identity::{BUNDLE_VERSION, Bundle, PrekeyPublic, SignedPrekey, StaticKeys, UserName};
use crate::limits::DAY;
use crate::suite::{KeyExchange, Suite};
use crate::vectors::{LOW_ORDER, Vectors, counting, flipped, with};
use serde_json::{Value, json};

const NOW: u64 = 20_000 * DAY;

pub(super) fn derivations(vectors: &mut Vectors) {
    let [a, b] = [0x10, 0x50].map(|first| hex(&counting::<32>(first)));
    for suite in Suite::ALL {
        let input = json!({ "suite": suite_text(suite.id()), "responder": a, "prekey": 7, "order": 300 });
        vectors.gives("session prologue", "", input);
    }
    let roots = json!({ "chaining_key": a, "hash": b, "initiator": hex(&[1; 32]), "responder": hex(&[2; 32]) });
    vectors.gives("session roots", "", roots.clone());
    let turned = with(&roots, [("initiator", hex(&[2; 32])), ("responder", hex(&[1; 32]))]);
    vectors.gives("session roots", "the other way round", turned);
    vectors.gives("root step", "", json!({ "root": a, "agreed": b }));
    let next = vectors.gives("chain step", "", json!({ "chain": a }));
    vectors.gives("chain step", "the next", json!({ "chain": next["chain"] }));
    vectors.gives("message key", "", json!({ "message_key": next["message_key"], "salt": hex(&counting::<16>(0)) }));
}

/// A user's device, whose private keys count up from small numbers, with its last-resort prekeys and one-time ones.
pub(super) struct Person {
    seed: u8,
    user: Option<&'static str>,
    rsa: &'static str,
    not_after: u64,
}

impl Person {
    pub(super) const ALICE: Self = Self { seed: 1, user: Some("alice"), rsa: "rsa3072", not_after: NOW + 90 * DAY };
    pub(super) const BOB: Self = Self { seed: 2, user: Some("bob"), rsa: "rsa2048", not_after: NOW + 90 * DAY };

    fn identity_private(&self) -> [u8; 32] {
        counting(self.seed * 16)
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.identity_private())
    }

    pub(super) fn identity(&self) -> Value {
        hex(self.signing_key().verifying_key().as_bytes())
    }

    fn agreement(&self) -> [u8; 32] {
        counting(self.seed * 16 + 0x80)
    }

    /// Of both kinds, id 1 the last resort and id 2 for one use.
    fn prekeys(&self) -> Value {
        let prekey = |kind: u8, id: u8| {
            let seed = (kind == 2).then(|| hex(&counting::<64>(self.seed + 8 * id)));
            let private = hex(&counting::<32>(self.seed * 16 + 0x40 + kind + 8 * id));
            json!({ "kind": kind, "id": id, "one_time": id == 2, "x25519_private": private, "mlkem_seed": seed })
        };
        json!([prekey(1, 1), prekey(2, 1), prekey(1, 2), prekey(2, 2)])
    }

    pub(super) fn public(&self, kind: u8, id: u8) -> PrekeyPublic {
        let prekeys = self.prekeys();
        let prekey = prekeys.as_array().unwrap().iter().find(|key| key["kind"] == kind && key["id"] == id).unwrap();
        let input = In::new(prekey);
        let mlkem = (kind == 2).then(|| {
            let seed = Secret::from_bytes(&input.array("mlkem_seed"));
            mlkem::DecapsulationKey::from_seed(&seed).encapsulation_key()
        });
        let key = x25519::PrivateKey::from_bytes(&input.array("x25519_private"));
        PrekeyPublic::new(id.into(), key.public(), mlkem)
    }

    pub(super) fn one_time(&self, kind: u8) -> Value {
        hex(SignedPrekey::sign(&self.signing_key(), self.seed.into(), self.public(kind, 2)).unwrap().bytes())
    }

    /// The bundle, which accepts one suite, or every one.
    pub(super) fn bundle(&self, suites: &[Suite]) -> Value {
        let key = self.signing_key();
        let has = |exchange| suites.iter().any(|suite| suite.key_exchange == exchange);
        let mut prekeys = Vec::new();
        if has(KeyExchange::X25519) || has(KeyExchange::Rsa) {
            prekeys.push(self.public(1, 1));
        }
        if has(KeyExchange::Hybrid) {
            prekeys.push(self.public(2, 1));
        }
        let bundle = Bundle {
            version: BUNDLE_VERSION,
            identity: key.verifying_key().into(),
            user: self.user.map(|name| UserName::new(name).unwrap()),
            device: self.seed.into(),
            serial: 1,
            not_before: self.not_after - 90 * DAY,
            not_after: self.not_after,
            suites: suites.iter().map(|suite| suite.id()).collect(),
            statics: StaticKeys {
                x25519: x25519::PrivateKey::from_bytes(&self.agreement()).public(),
                rsa: has(KeyExchange::Rsa).then(|| rsa_key(self.rsa).public().clone()),
            },
            prekeys,
        };
        hex(bundle.sign(&key).unwrap().bytes())
    }

    /// The inputs of its device, without steps.
    pub(super) fn device(&self, suites: &[Suite]) -> Value {
        let rsa = suites.iter().any(|suite| suite.key_exchange == KeyExchange::Rsa);
        json!({
            "policy": suites.iter().map(|suite| suite_text(suite.id())).collect::<Vec<_>>(),
            "now": NOW,
            "own": {
                "identity_private": hex(&self.identity_private()),
                "x25519_private": hex(&self.agreement()),
                "rsa_private_key": rsa.then_some(self.rsa),
                "bundle": self.bundle(suites),
            },
            "prekeys": self.prekeys(),
        })
    }
}

pub(super) fn draw(of: &str, bytes: &[u8]) -> Value {
    json!({ "of": of, "bytes": hex(bytes) })
}

/// The step that opens a session.
pub(super) fn open_to(suite: Suite, to: &Person, one_time: bool) -> Value {
    let mut draws = vec![draw("ephemeral", &counting::<32>(0x08))];
    match suite.key_exchange {
        KeyExchange::X25519 => {}
        KeyExchange::Rsa => {
            draws.push(draw("RSA m", &counting::<32>(0x28)));
            draws.push(draw("OAEP seed", &counting::<32>(0x48)));
        }
        KeyExchange::Hybrid => draws.push(draw("ML-KEM m", &counting::<32>(0x98))),
    }
    draws.push(draw("ratchet key", &counting::<32>(0x68)));
    let kind = if suite.key_exchange == KeyExchange::Hybrid { 2 } else { 1 };
    let one_time = if one_time { to.one_time(kind) } else { Value::Null };
    json!({ "open_to": to.bundle(&[suite]), "one_time": one_time, "draws": draws })
}

/// Two devices and what they do, in turns.
struct Talk {
    inputs: [Value; 2],
    devices: [Device; 2],
    steps: [Vec<Value>; 2],
    drawn: u8,
}

const ALICE: usize = 0;
const BOB: usize = 1;

impl Talk {
    fn new(suite: Suite) -> Self {
        let inputs = [Person::ALICE, Person::BOB].map(|person| person.device(&[suite]));
        let devices = inputs.each_ref().map(|input| Device::of(&In::new(input)));
        Self { inputs, devices, steps: [vec![], vec![]], drawn: 0 }
    }

    fn take(&mut self, end: usize, step: Value) -> Value {
        let result = self.devices[end].take(&In::new(&step));
        self.steps[end].push(step);
        result
    }

    /// Seals; with a new ratchet key where the direction has turned.
    fn seal(&mut self, end: usize, content: &[u8], turned: bool) -> Value {
        self.drawn += 1;
        let mut draws = Vec::new();
        if turned {
            draws.push(draw("ratchet key", &counting::<32>(0xa0 ^ self.drawn)));
        }
        draws.push(draw("salt", &counting::<16>(0xc0 ^ self.drawn)));
        let to = [Person::BOB, Person::ALICE][end].identity();
        let step = json!({ "seal": hex(content), "to": to, "draws": draws });
        self.take(end, step)["envelope"].clone()
    }

    fn open(&mut self, end: usize, envelope: &Value) -> Value {
        self.take(end, json!({ "open": envelope }))
    }

    fn reads(&mut self, end: usize, envelope: &Value) {
        let result = self.open(end, envelope);
        assert!(result.get("content").is_some(), "{result}");
    }

    fn refuses(&mut self, end: usize, envelope: &Value, why: &str) {
        assert_eq!(self.open(end, envelope)["fails"], why);
    }

    fn done(self, vectors: &mut Vectors, case: &str) {
        for ((input, steps), name) in self.inputs.iter().zip(self.steps).zip(["alice", "bob"]) {
            vectors.gives("device", &format!("{case}, {name}"), with(input, [("steps", steps.into())]));
        }
    }
}

/// An envelope with a byte changed, counted from its end.
fn changed(envelope: &Value, from_end: usize) -> Value {
    let bytes = In::new(envelope).as_bytes();
    flipped(&bytes, bytes.len() - from_end)
}

pub(super) fn conversations(vectors: &mut Vectors) {
    for suite in Suite::ALL {
        for one_time in [false, true] {
            let mut talk = Talk::new(suite);
            talk.take(ALICE, open_to(suite, &Person::BOB, one_time));
            let one = talk.seal(ALICE, b"one", false);
            let two = talk.seal(ALICE, &[0x32; 300], false);
            talk.refuses(BOB, &changed(&two, 1), "not opened");
            talk.reads(BOB, &two);
            talk.reads(BOB, &one);
            talk.refuses(BOB, &one, "replay");
            let answer = talk.seal(BOB, b"answer", true);
            let second = talk.seal(BOB, b"", false);
            talk.reads(ALICE, &second);
            talk.reads(ALICE, &answer);
            if !one_time {
                turns(&mut talk, &one);
            }
            let prekey = if one_time { "a one-time prekey" } else { "the last-resort prekey" };
            talk.done(vectors, &format!("{suite}, {prekey}"));
        }
    }
}

/// More of a conversation: turns, keys that are skipped, replays and forgeries.
fn turns(talk: &mut Talk, first: &Value) {
    let [a, b, c] = [&b"a"[..], b"b", b"c"].map(|content| content.to_vec());
    let lost = talk.seal(ALICE, &a, true);
    let late = talk.seal(ALICE, &b, false);
    let here = talk.seal(ALICE, &c, false);
    talk.reads(BOB, &here);
    talk.refuses(BOB, &here, "replay");
    talk.refuses(BOB, &changed(&late, 1), "not opened");
    talk.reads(BOB, &late);
    talk.refuses(BOB, &changed(&late, 1), "fork");
    let answer = talk.seal(BOB, b"answer again", true);
    talk.reads(ALICE, &answer);
    // The turn after: a message of an old chain opens with a key that was kept.
    let next = talk.seal(ALICE, b"next", true);
    talk.reads(BOB, &next);
    talk.reads(BOB, &lost);
    talk.refuses(BOB, first, "replay");
    let transient = talk.take(ALICE, json!({
        "seal": "74", "to": Person::BOB.identity(), "transient": true, "draws": [draw("salt", &counting::<16>(0x33))],
    }));
    talk.reads(BOB, &transient["envelope"]);
    // Places of the header: session id, ratchet key, previous chain length, number, salt, ciphertext.
    let last = talk.seal(ALICE, b"last", false);
    let bytes = In::new(&last).as_bytes();
    for place in [1, 17, 52, 56, 57, 73] {
        talk.refuses(BOB, &flipped(&bytes, place), "not opened");
    }
    talk.refuses(BOB, &hex(&bytes[..bytes.len() - 1]), "not opened");
    // A number far beyond what may be skipped.
    let mut far = bytes.clone();
    far[53..57].copy_from_slice(&2_100_u32.to_be_bytes());
    talk.refuses(BOB, &hex(&far), "not opened");
    // The one who sent it has no such receiving chain.
    talk.refuses(ALICE, &last, "not opened");
    talk.reads(BOB, &last);
}

/// First messages that open no session, each at a device that has seen nothing yet.
pub(super) fn openings(vectors: &mut Vectors) {
    // One of each key exchange.
    for suite in [Suite::ALL[0], Suite::ALL[2], Suite::ALL[4]] {
        let first = first_message(&Person::ALICE, suite, &Person::BOB, false);
        let bytes = In::new(&first).as_bytes();
        let bob = Person::BOB.device(&[suite]);
        let mut case = |case: &str, input: &Value, steps: Value| {
            let out = vectors.gives("device", &format!("{suite}, {case}"), with(input, [("steps", steps)]));
            out["steps"].clone()
        };
        let mut wrong = |name: &str, envelope: Value| {
            let steps = case(name, &bob, json!([{ "open": envelope }, { "open": first }]));
            assert_eq!(
                (steps[0]["fails"].as_str(), steps[1]["content"].as_str()),
                (Some("not opened"), Some("6f6e65")),
                "{name}"
            );
        };
        // kind 1 | suite 2 | prekey id 4 | order 4 | length 2 | handshake message, its ephemeral key first
        wrong("another suite", flipped(&bytes, 2));
        wrong("another prekey", flipped(&bytes, 6));
        wrong("another order", flipped(&bytes, 10));
        wrong("another ephemeral key", flipped(&bytes, 13));
        wrong("a changed handshake message", flipped(&bytes, 100));
        let handshake = usize::from(u16::from_be_bytes([bytes[11], bytes[12]]));
        wrong("the end of the handshake message changed", flipped(&bytes, 12 + handshake));
        wrong("another session id", flipped(&bytes, 13 + handshake));
        wrong("another ratchet key", flipped(&bytes, 13 + handshake + 16));
        let put = |at: usize, point: &str| {
            let mut bytes = bytes.clone();
            bytes[at..at + 32].copy_from_slice(&In::new(&json!(point)).as_bytes());
            hex(&bytes)
        };
        wrong("an ephemeral key of low order", put(13, LOW_ORDER[2]));
        wrong("a ratchet key of low order", put(13 + handshake + 16, LOW_ORDER[0]));
        wrong("a cut envelope", hex(&bytes[..13 + handshake + 71]));
        wrong("a session message of a session that is not known", hex(&[&[2], &bytes[13 + handshake..]].concat()));
        wrong("a group's envelope", hex(&[&[3], &bytes[1..]].concat()));
        let nobody = Person { user: None, ..Person::ALICE };
        wrong("an initiator without user name", first_message(&nobody, suite, &Person::BOB, false));
        // 30 days of grace, and a millisecond.
        let old = Person { not_after: NOW - 30 * DAY - 1, ..Person::ALICE };
        wrong("an initiator whose bundle expired too long ago", first_message(&old, suite, &Person::BOB, false));

        let step = |sender: &str| json!({ "open": first, "sender": sender });
        let steps = case("the sender's list is fetched first", &bob, json!([step("unknown"), { "open": first }]));
        assert_eq!(steps[0]["fails"], "sender to be looked up");
        let steps = case("the sender is not in the list", &bob, json!([step("refused"), { "open": first }]));
        assert_eq!(steps[0]["fails"], "not opened");
        // A one-time prekey opens one session.
        let once = first_message(&Person::ALICE, suite, &Person::BOB, true);
        let other = Person { seed: 3, user: Some("carol"), ..Person::ALICE };
        let again = first_message(&other, suite, &Person::BOB, true);
        let steps = case("a one-time prekey twice", &bob, json!([{ "open": once }, { "open": again }]));
        assert_eq!(steps[1]["fails"], "not opened");
        let step = with(&open_to(suite, &Person::ALICE, false), [("draws", json!([]))]);
        let own = with(&Person::ALICE.device(&[suite]), [("steps", json!([step]))]);
        let steps = vectors.gives("device", &format!("{suite}, to oneself"), own)["steps"].clone();
        assert_eq!(steps[0]["fails"], "not opened");
    }
}

/// The first message of a session, with the content `one`.
fn first_message(from: &Person, suite: Suite, to: &Person, one_time: bool) -> Value {
    let mut device = Device::of(&In::new(&from.device(&[suite])));
    device.take(&In::new(&open_to(suite, to, one_time)));
    let seal = json!({ "seal": hex(b"one"), "to": to.identity(), "draws": [draw("salt", &counting::<16>(0x11))] });
    device.take(&In::new(&seal))["envelope"].clone()
}

pub(super) fn envelopes(vectors: &mut Vectors) {
    let first = first_message(&Person::ALICE, Suite::ALL[0], &Person::BOB, false);
    let bytes = In::new(&first).as_bytes();
    vectors.gives("envelope", "a first message", json!({ "envelope": first }));
    let handshake = usize::from(u16::from_be_bytes([bytes[11], bytes[12]]));
    let message = [&[2], &bytes[13 + handshake..]].concat();
    vectors.gives("envelope", "a session message", json!({ "envelope": hex(&message) }));
    for (case, envelope) in [
        ("empty", vec![]),
        ("kind 0", [&[0], &message[1..]].concat()),
        ("kind 3, a group's", [&[3], &message[1..]].concat()),
        ("kind 4", [&[4], &message[1..]].concat()),
        ("a cut header", message[..72].to_vec()),
        ("a cut opening", bytes[..12].to_vec()),
        ("a cut handshake message", bytes[..100].to_vec()),
    ] {
        vectors.fails("envelope", case, json!({ "envelope": hex(&envelope) }));
    }
}
