//! Handshake messages that are rightly made and say what they must not, and frames that come during a stop.

use super::handshakes::{NOW, converse, device_with, ends, fingerprint};
use super::{In, framed, link_of, suite_of, take_step, taken};
use crate::crypto::vectors::rsa_key;
use crate::limits::DAY;
use crate::link::negotiation::prologue;
use crate::noise::{Handshake, Keys, Pattern, Role, StaticKey};
use crate::suite::{KeyExchange, Suite};
use crate::vectors::{Script, Vectors, counting, hex, with};
use crate::{crypto::aead::AeadKey, crypto::x25519, identity::SignedBundle};
use serde_json::{Value, json};
use std::sync::Arc;

const INITIATOR: usize = 0;
const RESPONDER: usize = 1;

pub(super) fn all(vectors: &mut Vectors) {
    for suite in [Suite::ALL[0], Suite::ALL[2], Suite::ALL[4]] {
        payloads(vectors, suite);
        for purpose in ["relay", "peer"] {
            keys_of_others(vectors, suite, purpose);
        }
        stops(vectors, suite);
    }
    payload_after_the_bundle(vectors);
    without_rsa_key(vectors);
}

/// What `victim` is given until it fails, when the other end does as its inputs say.
fn until_it_fails(inputs: &[Value; 2], victim: usize) -> Value {
    let mut links = inputs.each_ref().map(|input| link_of(&In::new(input)).unwrap());
    let mut given = Vec::new();
    loop {
        for from in [INITIATOR, RESPONDER] {
            let step = json!({ "receive": taken(&mut links[from])["writes"] });
            assert!(step["receive"] != "" || given.len() < 4, "it does not fail");
            if step["receive"] == "" {
                continue;
            }
            let result = take_step(&mut links[1 - from], &In::new(&step), NOW);
            if 1 - from == victim {
                given.push(step);
                if result.is_err() {
                    return given.into();
                }
            } else {
                result.unwrap();
            }
        }
    }
}

/// A payload in a message that has none: the first one, where it is in clear.
fn payloads(vectors: &mut Vectors, suite: Suite) {
    for purpose in ["relay", "peer"] {
        let inputs = ends(suite, purpose);
        let offer = In::new(&converse(&inputs)[RESPONDER][0]).bytes("receive");
        let longer = hex(&framed(&[&offer[4..], &[0x61]].concat()));
        let input = with(&inputs[RESPONDER], [("steps", json!([{ "receive": longer }]))]);
        vectors.fails("link", &format!("{suite}, {purpose}, a payload in the first message"), input);
    }
}

/// A relay's answer in an RSA-wrapped suite, with a bundle that names no RSA key.
fn without_rsa_key(vectors: &mut Vectors) {
    let suite = suite_of("0201");
    let inputs = ends(suite, "relay");
    let mut initiator = link_of(&In::new(&inputs[INITIATOR])).unwrap();
    let offer = In::new(&taken(&mut initiator)).bytes("writes");
    let own = In::new(&inputs[RESPONDER]).object("own");
    let local_static = Some(StaticKey::Rsa(Arc::new(rsa_key(own.text("rsa_private_key")))));
    let mut draws = Script::new(super::draws(&In::new(&inputs[RESPONDER])));
    let (header, message) = offer[4..].split_at(offer.len() - 36);
    let keys = Keys { local_static, ..Keys::default() };
    let pattern = Pattern::relay_link(KeyExchange::Rsa);
    let mut handshake = Handshake::new(pattern, suite, Role::Responder, &prologue(None, header), keys).unwrap();
    handshake.read(message, &mut draws).unwrap();
    let mut answer = vec![1];
    let bundle = In::new(&device_with(2, None, |_| {})).bytes("bundle");
    handshake.write(&bundle, &mut draws, &mut answer).unwrap();
    let steps = json!([{ "receive": hex(&framed(&answer)) }]);
    let input = with(&inputs[INITIATOR], [("steps", steps), ("draws", json!([inputs[INITIATOR]["draws"][0]]))]);
    vectors.fails("link", &format!("{suite}, relay, a bundle without RSA key"), input);
}

/// A payload where it is encrypted: in the third message of an RSA-wrapped relay link.
fn payload_after_the_bundle(vectors: &mut Vectors) {
    let suite = suite_of("0201");
    let inputs = ends(suite, "relay");
    let mut links = inputs.each_ref().map(|input| link_of(&In::new(input)).unwrap());
    let offer = In::new(&taken(&mut links[INITIATOR])).bytes("writes");
    let receive = json!({ "receive": hex(&offer) });
    take_step(&mut links[RESPONDER], &In::new(&receive), NOW).unwrap();
    let answer = In::new(&taken(&mut links[RESPONDER])).bytes("writes");

    let mut draws = Script::new(super::draws(&In::new(&inputs[INITIATOR])));
    let header = &offer[4..offer.len() - 32];
    let pattern = Pattern::relay_link(KeyExchange::Rsa);
    let mut handshake =
        Handshake::new(pattern, suite, Role::Initiator, &prologue(None, header), Keys::default()).unwrap();
    handshake.write(&[], &mut draws, &mut Vec::new()).unwrap();
    let bundle = handshake.read(&answer[5..], &mut draws).unwrap();
    handshake.confirm(&SignedBundle::decode(&bundle).unwrap().remote_keys()).unwrap();
    let mut message = Vec::new();
    handshake.write(b"a", &mut draws, &mut message).unwrap();
    let steps = json!([receive, { "receive": hex(&framed(&message)) }]);
    vectors.fails("link", "a payload in a message without identity", with(&inputs[RESPONDER], [("steps", steps)]));
}

/// An end that shows a bundle whose keys it has not, or one before its time.
fn keys_of_others(vectors: &mut Vectors, suite: Suite, purpose: &str) {
    let rsa = suite.key_exchange == KeyExchange::Rsa;
    let liars: &[usize] = if purpose == "peer" { &[INITIATOR, RESPONDER] } else { &[RESPONDER] };
    for &liar in liars {
        let victim = 1 - liar;
        let who = ["initiator", "responder"][liar];
        let own = ends(suite, purpose)[liar]["own"].clone();
        let name = if rsa { In::new(&own).text("rsa_private_key").to_owned() } else { String::new() };
        let mut case = |what: &str, own: Value| {
            let mut inputs = ends(suite, purpose);
            inputs[liar]["own"] = own;
            let steps = until_it_fails(&inputs, victim);
            let case = format!("{suite}, {purpose}, {what} of the {who}");
            vectors.fails("link", &case, with(&inputs[victim], [("steps", steps)]));
        };
        let number = [1, 2][liar];
        let changed = |rsa: Option<&str>| {
            device_with(number, rsa, |bundle| {
                bundle.statics.x25519 = x25519::PublicKey::from_bytes(counting::<32>(9));
            })["bundle"]
                .clone()
        };
        if rsa {
            let another = if name == "rsa2048" { "rsa3072" } else { "rsa2048" };
            case("another RSA key than the bundle's", with(&own, [("bundle", changed(Some(another)))]));
        } else {
            case("another X25519 key than the bundle's", with(&own, [("bundle", changed(None))]));
        }
        let early = device_with(number, rsa.then_some(name.as_str()), |bundle| bundle.not_before = NOW + 2 * DAY);
        case("a bundle before its time", early);
    }
}

/// Frames that come while the host has not decided (4.2).
fn stops(vectors: &mut Vectors, suite: Suite) {
    let inputs = ends(suite, "relay");
    let steps = converse(&inputs);
    let answer = In::new(&steps[INITIATOR][0]).bytes("receive");
    let unpinned = with(&inputs[INITIATOR], [("pin", Value::Null)]);
    let mut fails = |case: &str, given: &[&[u8]]| {
        let given = given.iter().map(|bytes| json!({ "receive": hex(bytes) })).collect::<Value>();
        vectors.fails("link", &format!("{suite}, {case}, while it stops"), with(&unpinned, [("steps", given)]));
    };
    if suite.key_exchange == KeyExchange::Rsa {
        // The next message of the handshake is the initiator's.
        fails("a frame out of turn", &[&answer, &framed(&[0; 32])]);
        return;
    }
    // The responder is ready, and may only close.
    let end = taken_end(&unpinned, &answer);
    let key = AeadKey::new(suite.cipher, &In::new(&end).array("responder_key"));
    let record = |plaintext: &[u8]| framed(&key.seal(1, &[], plaintext));
    fails("Ready again", &[&answer, &record(&[0])]);
    fails("data", &[&answer, &record(&[1, 0x61])]);
    fails("a forged record", &[&answer, &framed(&[0; 17])]);
    let closed = json!([{ "receive": hex(&answer) }, { "receive": hex(&record(&[2, 5])) }]);
    vectors.gives("link", &format!("{suite}, Close, while it stops"), with(&unpinned, [("steps", closed)]));
    let accept = json!({ "accept": fingerprint(&inputs[RESPONDER]["own"]) });
    let late = json!([{ "receive": hex(&answer) }, { "receive": hex(&record(&[2, 5])) }, accept]);
    vectors.fails("link", &format!("{suite}, accepted after Close"), with(&unpinned, [("steps", late)]));
}

/// What the handshake of an initiator ended with, given the answer.
fn taken_end(input: &Value, answer: &[u8]) -> Value {
    let input = with(input, [("steps", json!([{ "receive": hex(answer) }]))]);
    super::one_end(&In::new(&input)).unwrap()["handshake_end"].clone()
}
