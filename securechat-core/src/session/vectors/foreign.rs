//! First messages and session messages that are rightly made and go beyond what is allowed.

use super::cases::{Person, draw, open_to};
use super::{Device, In, hex, identity, local};
use crate::identity::SignedBundle;
use crate::limits::{ORDER_AHEAD, SKIPPED_PER_MESSAGE};
use crate::session::envelope::Opening;
use crate::session::handshake::initiate;
use crate::session::state::Session;
use crate::suite::{KeyExchange, Suite};
use crate::vectors::{Script, Vectors, counting, with};
use serde_json::{Value, json};

pub(super) fn all(vectors: &mut Vectors) {
    // One of each key exchange.
    for suite in [Suite::ALL[0], Suite::ALL[2], Suite::ALL[4]] {
        orders(vectors, suite);
        wrong_kind(vectors, suite);
    }
    signed_by_another(vectors, Suite::ALL[2]);
    skipped(vectors, Suite::ALL[0]);
}

/// Alice's first message in a session of that order, which she would not choose herself.
fn first_of_order(suite: Suite, order: u32) -> Value {
    let device = Person::ALICE.device(&[suite]);
    let alice = local(&In::new(&device).object("own"));
    let target = json!({ "bundle": Person::BOB.bundle(&[suite]), "identity": Person::BOB.identity() });
    let bundle = SignedBundle::decode(&In::new(&target).bytes("bundle")).unwrap();
    let prekey = Person::BOB.public(if suite.key_exchange == KeyExchange::Hybrid { 2 } else { 1 }, 1);
    let mut draws = Script::new(super::draws(&In::new(&open_to(suite, &Person::BOB, false))));
    let (handshake, roots) = initiate(suite, &alice, &bundle, &prekey, order, &mut draws).unwrap();
    let opening = Opening { suite: suite.id(), prekey: prekey.id(), order, handshake: &handshake };
    let (id, bob) = (roots.session, identity(&In::new(&target), "identity"));
    let mut session = Session::initiator(bob, suite, order, roots, &opening, &mut draws).unwrap();
    hex(&session.seal(id, b"one", false, &mut Script::new([counting::<16>(0x11).to_vec()])).unwrap())
}

/// S7: at most 100,000 above the highest that there was.
fn orders(vectors: &mut Vectors, suite: Suite) {
    let steps = [ORDER_AHEAD + 1, ORDER_AHEAD, 2 * ORDER_AHEAD + 1, 2 * ORDER_AHEAD]
        .map(|order| json!({ "open": first_of_order(suite, order) }));
    let input = with(&Person::BOB.device(&[suite]), [("steps", json!(steps))]);
    let steps = vectors.gives("device", &format!("{suite}, orders that are far above"), input)["steps"].clone();
    for (step, opens) in [false, true, false, true].into_iter().enumerate() {
        assert_eq!(steps[step].get("content").is_some(), opens, "{step}");
    }
}

/// A one-time prekey that is none for the suite is not used (S1).
fn wrong_kind(vectors: &mut Vectors, suite: Suite) {
    let kind = if suite.key_exchange == KeyExchange::Hybrid { 1 } else { 2 };
    let step = with(&open_to(suite, &Person::BOB, false), [("one_time", Person::BOB.one_time(kind))]);
    let seal = json!({ "seal": hex(b"one"), "to": Person::BOB.identity(), "draws": [draw("salt", &[0x11; 16])] });
    let input = with(&Person::ALICE.device(&[suite]), [("steps", json!([step, seal]))]);
    let steps = vectors.gives("device", &format!("{suite}, a one-time prekey of another kind"), input)["steps"].clone();
    // The opening names the last resort, which has id 1.
    assert_eq!(In::new(&steps[1]).bytes("envelope")[3..7], [0, 0, 0, 1]);
}

/// The handshake is signed by another identity than that of the bundle in it.
fn signed_by_another(vectors: &mut Vectors, suite: Suite) {
    let mut forger = Person::ALICE.device(&[suite]);
    forger["own"]["identity_private"] = hex(&counting::<32>(0x77));
    let envelope = first_message(&mut Device::of(&In::new(&forger)), suite);
    let input = with(&Person::BOB.device(&[suite]), [("steps", json!([{ "open": envelope }]))]);
    let steps = vectors.gives("device", &format!("{suite}, signed by another identity"), input)["steps"].clone();
    assert_eq!(steps[0]["fails"], "not opened");
}

fn first_message(device: &mut Device, suite: Suite) -> Value {
    device.take(&In::new(&open_to(suite, &Person::BOB, false)));
    seal(device, 0)
}

fn seal(device: &mut Device, number: u32) -> Value {
    let draws = json!([draw("salt", &counting::<16>(number as u8))]);
    let step = json!({ "seal": hex(b"one"), "to": Person::BOB.identity(), "draws": draws });
    device.take(&In::new(&step))["envelope"].clone()
}

/// S3: with message 0 opened, 2,000 may be missing before the next one and 2,001 may not.
fn skipped(vectors: &mut Vectors, suite: Suite) {
    let mut alice = Device::of(&In::new(&Person::ALICE.device(&[suite])));
    let first = first_message(&mut alice, suite);
    let last: Vec<Value> = (1..=SKIPPED_PER_MESSAGE + 2).map(|number| seal(&mut alice, number)).collect();
    let [near, far] = [1, 0].map(|from_end| last[last.len() - 1 - from_end].clone());
    let steps = json!([{ "open": first }, { "open": far }, { "open": near }, { "open": far }, { "open": last[0] }]);
    let input = with(&Person::BOB.device(&[suite]), [("steps", steps)]);
    let steps = vectors.gives("device", &format!("{suite}, 2,001 and 2,000 messages missing"), input)["steps"].clone();
    for (step, opens) in [true, false, true, true, true].into_iter().enumerate() {
        assert_eq!(steps[step].get("content").is_some(), opens, "{step}");
    }
}
