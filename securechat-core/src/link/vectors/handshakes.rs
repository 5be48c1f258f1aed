//! Whole links in every suite, each end of them by itself, and what must not get through.

use super::{In, framed, link_of, suite_text, take_step, taken};
use crate::crypto::ed25519::SigningKey;
use crate::crypto::vectors::rsa_key;
use crate::crypto::x25519;
use crate::identity::{BUNDLE_VERSION, Bundle, StaticKeys};
use crate::limits::DAY;
use crate::suite::{KeyExchange, Suite};
use crate::vectors::{LOW_ORDER, Vectors, counting, flipped, hex, with};
use serde_json::{Value, json};

/// The time of every case.
pub(super) const NOW: u64 = 20_000 * DAY;

/// A device without user name: its private keys count up from `number`, and its bundle accepts every suite.
pub(super) fn device(number: u8, rsa: Option<&str>) -> Value {
    device_with(number, rsa, |_| {})
}

pub(super) fn device_with(number: u8, rsa: Option<&str>, change: impl FnOnce(&mut Bundle)) -> Value {
    let identity = counting::<32>(number.wrapping_mul(16));
    let agreement = counting::<32>(number.wrapping_mul(16).wrapping_add(128));
    let key = SigningKey::from_bytes(&identity);
    let families = [Some(KeyExchange::X25519), rsa.map(|_| KeyExchange::Rsa), Some(KeyExchange::Hybrid)];
    let mut bundle = Bundle {
        version: BUNDLE_VERSION,
        identity: key.verifying_key().into(),
        user: None,
        device: 0,
        serial: 1,
        not_before: NOW - DAY,
        not_after: NOW + 89 * DAY,
        suites: Suite::ALL
            .iter()
            .filter(|suite| families.contains(&Some(suite.key_exchange)))
            .map(|s| s.id())
            .collect(),
        statics: StaticKeys {
            x25519: x25519::PrivateKey::from_bytes(&agreement).public(),
            rsa: rsa.map(|name| rsa_key(name).public().clone()),
        },
        prekeys: vec![],
    };
    change(&mut bundle);
    json!({
        "identity_private": hex(&identity),
        "x25519_private": hex(&agreement),
        "rsa_private_key": rsa,
        "bundle": hex(bundle.sign(&key).unwrap().bytes()),
    })
}

pub(super) fn fingerprint(device: &Value) -> String {
    let key = SigningKey::from_bytes(&In::new(device).array("identity_private"));
    crate::identity::Identity::from(key.verifying_key()).fingerprint().to_string()
}

/// The draws of an end, in their order: first value for the initiator.
fn draws_of(suite: Suite, purpose: &str, initiator: bool, retried: bool) -> Value {
    let at = if initiator { 0x08 } else { 0x88 };
    let draw = |of: &str, bytes: Vec<u8>| json!({ "of": of, "bytes": hex(&bytes) });
    let mut draws = Vec::new();
    if retried {
        draws.push(draw("ephemeral of the first offer", counting::<32>(at ^ 0x40).to_vec()));
    }
    draws.push(draw("ephemeral", counting::<32>(at).to_vec()));
    match (suite.key_exchange, initiator) {
        (KeyExchange::Hybrid, true) => draws.push(draw("ML-KEM seed d || z", counting::<64>(0x18).to_vec())),
        (KeyExchange::Hybrid, false) => draws.push(draw("ML-KEM m", counting::<32>(0x98).to_vec())),
        (KeyExchange::Rsa, _) if initiator || purpose == "peer" => {
            draws.push(draw("RSA m", counting::<32>(at + 0x20).to_vec()));
            draws.push(draw("OAEP seed", counting::<32>(at + 0x40).to_vec()));
        }
        _ => {}
    }
    draws.into()
}

/// The inputs of both ends, without their steps.
pub(super) fn ends(suite: Suite, purpose: &str) -> [Value; 2] {
    let rsa = suite.key_exchange == KeyExchange::Rsa;
    let [initiator, responder] = [device(1, rsa.then_some("rsa3072")), device(2, rsa.then_some("rsa2048"))];
    let peer = purpose == "peer";
    let end = |role: &str, own: Value, pin: Value| {
        json!({
            "role": role, "purpose": purpose, "policy": [suite_text(suite.id())], "now": NOW, "own": own, "pin": pin,
            "draws": draws_of(suite, purpose, role == "initiator", false),
        })
    };
    let pins = [fingerprint(&responder), fingerprint(&initiator)].map(Value::from);
    let [theirs, ours] = pins;
    [
        end("initiator", if peer { initiator } else { Value::Null }, theirs),
        end("responder", responder, if peer { ours } else { Value::Null }),
    ]
}

/// What the two ends have to do: their own steps, in turns, after the handshake.
const TALK: [(usize, &str, &str); 5] =
    [(0, "send", "68656c6c6f"), (1, "send", "616e73776572"), (1, "send", ""), (0, "send", "ff"), (0, "close", "00")];

/// Runs both ends against each other and gives the steps of each.
pub(super) fn converse(inputs: &[Value; 2]) -> [Vec<Value>; 2] {
    let mut links = inputs.each_ref().map(|input| link_of(&In::new(input)).unwrap());
    let mut steps = [Vec::new(), Vec::new()];
    let mut talk = TALK.iter();
    loop {
        let mut moved = false;
        for from in 0..2 {
            let written = taken(&mut links[from])["writes"].clone();
            if written != "" {
                let step = json!({ "receive": written });
                take_step(&mut links[1 - from], &In::new(&step), NOW).unwrap();
                steps[1 - from].push(step);
                moved = true;
            }
        }
        if moved {
            continue;
        }
        let Some((end, what, value)) = talk.next() else { return steps };
        let step = if *what == "send" { json!({ "send": value }) } else { json!({ "close": 0 }) };
        take_step(&mut links[*end], &In::new(&step), NOW).unwrap();
        steps[*end].push(step);
    }
}

pub(super) fn all(vectors: &mut Vectors) {
    for suite in Suite::ALL {
        for purpose in ["relay", "peer"] {
            whole(vectors, suite, purpose);
        }
    }
    retries(vectors);
    identities(vectors);
    weak_keys(vectors);
    closes(vectors);
}

/// Both ends, and each of them with something changed in what it is given.
fn whole(vectors: &mut Vectors, suite: Suite, purpose: &str) {
    let inputs = ends(suite, purpose);
    let steps = converse(&inputs);
    for (end, role) in ["initiator", "responder"].into_iter().enumerate() {
        let case = format!("{suite}, {purpose}, {role}");
        vectors.gives("link", &case, with(&inputs[end], [("steps", steps[end].clone().into())]));
        let received: Vec<usize> =
            (0..steps[end].len()).filter(|at| steps[end][*at].get("receive").is_some()).collect();
        for (number, at) in received.into_iter().enumerate() {
            let bytes = In::new(&steps[end][at]).bytes("receive");
            // The initiator's first ephemeral key is whatever it is; a change of it shows to the initiator.
            let first_offer = role == "responder" && number == 0;
            let mut places = vec![bytes.len() - 1, 4 + (bytes.len() - 4) / 2, 4];
            if first_offer {
                places = vec![4];
            }
            for place in places {
                // A step may hold several frames; the change is made in the last, but the lengths stay.
                let mut taken = steps[end][..at].to_vec();
                taken.push(json!({ "receive": flipped(&bytes, place) }));
                let case = format!("{case}, step {} with byte {place} changed", at + 1);
                vectors.fails("link", &case, with(&inputs[end], [("steps", taken.into())]));
            }
        }
    }
}

fn retries(vectors: &mut Vectors) {
    let suite = Suite::ALL[1];
    let mut inputs = ends(suite, "relay");
    inputs[0]["policy"] = json!(["0101", "0102"]);
    inputs[0]["draws"] = draws_of(suite, "relay", true, true);
    inputs[1]["policy"] = json!(["0102", "0101"]);
    let steps = converse(&inputs);
    for (end, role) in ["initiator", "responder"].into_iter().enumerate() {
        let input = with(&inputs[end], [("steps", steps[end].clone().into())]);
        vectors.gives("link", &format!("a retry, {role}"), input);
    }
    for (case, answers) in [
        ("a retry for the suite that was chosen", vec!["020101"]),
        ("a retry for one that was not offered", vec!["020201"]),
        ("a second retry", vec!["020102", "020101"]),
        ("refused: no common suite", vec!["0301"]),
        ("refused: version", vec!["0302"]),
        ("refused: purpose", vec!["0303"]),
        ("refused: malformed", vec!["0304"]),
        ("refused: busy", vec!["0305"]),
        ("refused: a number that is not known", vec!["0363"]),
        ("an answer of another kind", vec!["04"]),
        ("an answer with a byte too many", vec!["02010200"]),
    ] {
        let steps =
            answers.iter().map(|answer| json!({ "receive": hex(&framed(&In::new(&json!(answer)).as_bytes())) }));
        let mut input = with(&inputs[0], [("steps", steps.collect())]);
        if answers.len() == 1 {
            input["draws"] = json!([inputs[0]["draws"][0]]);
        }
        vectors.fails("link", case, input);
    }
}

/// Who the other side is: keys that are not the bundle's, pins, time.
fn identities(vectors: &mut Vectors) {
    for suite in [Suite::ALL[0], Suite::ALL[2]] {
        let rsa = (suite.key_exchange == KeyExchange::Rsa).then_some("rsa2048");
        let other = |change: &dyn Fn(&mut Value)| {
            let mut inputs = ends(suite, "relay");
            change(&mut inputs[1]["own"]);
            inputs
        };
        // The answer of a responder, which the initiator is given.
        let answer = |inputs: &[Value; 2]| {
            let mut links = inputs.each_ref().map(|input| link_of(&In::new(input)).unwrap());
            let offer = json!({ "receive": taken(&mut links[0])["writes"] });
            take_step(&mut links[1], &In::new(&offer), NOW).unwrap();
            json!([{ "receive": taken(&mut links[1])["writes"] }])
        };
        let mut initiator = ends(suite, "relay")[0].clone();
        initiator["draws"] = json!([initiator["draws"][0]]);
        let mismatch = other(&|own| {
            // Its own keys, with the bundle of keys that it has not.
            let foreign = device_with(2, rsa.map(|_| "rsa3072"), |bundle| {
                bundle.statics.x25519 = x25519::PublicKey::from_bytes([9; 32]);
            });
            own["bundle"] = foreign["bundle"].clone();
        });
        let steps = answer(&mismatch);
        vectors.fails(
            "link",
            &format!("{suite}, a static key that is not the bundle's"),
            with(&initiator, [("steps", steps)]),
        );
        let early = other(&|own| *own = device_with(2, rsa, |bundle| bundle.not_before = NOW + 2 * DAY));
        let steps = answer(&early);
        vectors.fails(
            "link",
            &format!("{suite}, a bundle that is not valid yet"),
            with(&initiator, [("steps", steps)]),
        );
        let steps = answer(&ends(suite, "relay"));
        let pinned = with(&initiator, [("steps", steps.clone()), ("pin", hex(&[0; 32]))]);
        vectors.gives("link", &format!("{suite}, another identity than the pinned one: it stops"), pinned);
        let unpinned = with(&initiator, [("steps", steps.clone()), ("pin", Value::Null)]);
        vectors.gives("link", &format!("{suite}, no pin: it stops"), unpinned.clone());
        let refused = [steps[0].clone(), json!({ "accept": hex(&[0; 32]) })];
        vectors.fails(
            "link",
            &format!("{suite}, another fingerprint is accepted"),
            with(&unpinned, [("steps", json!(refused))]),
        );
        let accepted = [steps[0].clone(), json!({ "accept": fingerprint(&ends(suite, "relay")[1]["own"]) })];
        let whole = with(&unpinned, [("steps", json!(accepted)), ("draws", ends(suite, "relay")[0]["draws"].clone())]);
        vectors.gives("link", &format!("{suite}, the host accepts: it goes on"), whole);
        let expired = other(&|own| *own = device_with(2, rsa, |bundle| bundle.not_after = NOW - 1));
        let steps = answer(&expired);
        vectors.gives(
            "link",
            &format!("{suite}, an expired bundle, pinned: it stops"),
            with(&initiator, [("steps", steps)]),
        );
        let own = with(&initiator, [("steps", answer(&ends(suite, "relay"))), ("own", device(2, rsa))]);
        vectors.fails("link", &format!("{suite}, its own identity"), own);
    }
}

fn weak_keys(vectors: &mut Vectors) {
    for suite in [Suite::ALL[0], Suite::ALL[2]] {
        let inputs = ends(suite, "relay");
        let steps = converse(&inputs);
        for point in LOW_ORDER {
            let point = In::new(&json!(point)).as_bytes();
            // The ephemeral key: the last 32 bytes of an offer, and the first after the byte of an answer.
            for (end, role) in ["initiator", "responder"].into_iter().enumerate() {
                let mut bytes = In::new(&steps[end][0]).bytes("receive");
                let at = if end == 0 { 5 } else { bytes.len() - 32 };
                bytes[at..at + 32].copy_from_slice(&point);
                let mut input = with(&inputs[end], [("steps", json!([{ "receive": hex(&bytes) }]))]);
                if end == 0 {
                    input["draws"] = json!([inputs[0]["draws"][0]]);
                }
                vectors.fails("link", &format!("{suite}, {role}, an ephemeral key of low order"), input);
            }
        }
    }
}

/// Order and end of records, from an initiator's view.
fn closes(vectors: &mut Vectors) {
    let suite = Suite::ALL[0];
    let inputs = ends(suite, "relay");
    let steps = converse(&inputs)[0].clone();
    let case = |vectors: &mut Vectors, name: &str, steps: Vec<Value>, good: bool| {
        let input = with(&inputs[0], [("steps", steps.into())]);
        if good {
            vectors.gives("link", name, input);
        } else {
            vectors.fails("link", name, input);
        }
    };
    let open = steps.iter().position(|step| step.get("send").is_some()).unwrap();
    let data = (open..steps.len()).find(|at| steps[*at].get("receive").is_some()).unwrap();
    let up_to = |end: usize, more: &[Value]| [&steps[..end], more].concat();
    case(vectors, "a record again", up_to(data + 1, &[steps[data].clone()]), false);
    case(vectors, "a record left out", [&steps[..data], &steps[data + 1..data + 2]].concat(), false);
    case(vectors, "the end without a Close", up_to(data, &[json!({ "end": true })]), false);
    case(
        vectors,
        "sending after one's own Close",
        up_to(open, &[json!({ "close": 5 }), json!({ "send": "00" })]),
        false,
    );
    case(vectors, "closed with a code", up_to(open, &[json!({ "close": 5 })]), true);
    case(vectors, "the end after both Closes", up_to(steps.len(), &[json!({ "end": true })]), true);
    let after = json!({ "receive": hex(&framed(&[0; 17])) });
    case(vectors, "bytes after both Closes", up_to(steps.len(), &[after]), false);
    case(vectors, "sending before Ready", vec![json!({ "send": "00" })], false);
    strange_records(vectors, &inputs[0], &steps);
}

/// Records that are rightly sealed and stand where they must not.
fn strange_records(vectors: &mut Vectors, input: &Value, steps: &[Value]) {
    let opened = with(input, [("steps", json!([steps[0]]))]);
    let end = super::one_end(&In::new(&opened)).unwrap()["handshake_end"].clone();
    let key = crate::crypto::aead::AeadKey::new(Suite::ALL[0].cipher, &In::new(&end).array("responder_key"));
    let record = |number: u64, plaintext: &[u8]| framed(&key.seal(number, &[], plaintext));
    let first = In::new(&steps[0]).bytes("receive");
    // The step holds the answer and the responder's Ready, which is the last 4 + 1 + 16 bytes.
    let answer = &first[..first.len() - 21];
    for (case, plaintext) in [
        ("data", &[1, 0x61][..]),
        ("Close", &[2, 0]),
        ("Ready and a byte", &[0, 0]),
        ("an empty record", &[]),
        ("type 3", &[3]),
    ] {
        let received = hex(&[answer, &record(0, plaintext)].concat());
        let input = with(input, [("steps", json!([{ "receive": received }]))]);
        vectors.fails("link", &format!("the first record is not Ready: {case}"), input);
    }
    for (case, plaintext) in [
        ("Ready", &[0][..]),
        ("an empty record", &[]),
        ("type 3", &[3]),
        ("Close without a code", &[2]),
        ("Close of two bytes", &[2, 0, 0]),
    ] {
        let steps = json!([steps[0], { "receive": hex(&record(1, plaintext)) }]);
        vectors.fails("link", &format!("the second record is wrong: {case}"), with(input, [("steps", steps)]));
    }
    let closed = json!([steps[0], { "receive": hex(&record(1, &[2, 7])) }]);
    vectors.gives("link", "the other side closes, and is answered", with(input, [("steps", closed)]));
}
