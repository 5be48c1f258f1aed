//! `tests/vectors/session.json`: PROTOCOL.md 6, the derivations, and a device with its sessions.

mod cases;
mod foreign;

use super::chain::kdf_chain;
use super::envelope::{Envelope, SessionMessage};
use super::handshake::{derive_roots, prologue};
use super::ratchet::kdf_root;
use super::state::salted;
use super::{OpenError, SenderCheck, Sessions};
use crate::crypto::secret::Secret;
use crate::crypto::x25519;
use crate::error::Error;
use crate::identity::{Identity, LocalIdentity, PrekeyKind, SignedBundle, SignedPrekey};
use crate::limits::Limits;
use crate::link::vectors::{draws, local, policy, suite_of, suite_text};
use crate::vectors::{In, Outcome, Script, Vectors, hex, trace};
use serde_json::{Value, json};
use std::sync::Arc;

fn secret(input: &In<'_>, name: &str) -> Secret<32> {
    Secret::from_bytes(&input.array(name))
}

fn identity(input: &In<'_>, name: &str) -> Identity {
    Identity::from_bytes(input.array(name))
}

fn the_prologue(input: &In<'_>) -> Outcome {
    let suite = suite_of(input.text("suite")).id();
    let (prekey, order) = (input.number("prekey") as u32, input.number("order") as u32);
    Ok(json!({ "prologue": hex(&prologue(suite, identity(input, "responder"), prekey, order)) }))
}

fn roots(input: &In<'_>) -> Outcome {
    let ends = ["initiator", "responder"].map(|name| identity(input, name));
    let roots = derive_roots(&secret(input, "chaining_key"), &input.array("hash"), ends[0], ends[1]);
    Ok(json!({
        "root": hex(roots.root.as_bytes()),
        "chain": hex(roots.chain.as_bytes()),
        "session": hex(roots.session.as_bytes()),
    }))
}

fn root_step(input: &In<'_>) -> Outcome {
    let (root, chain) = kdf_root(&secret(input, "root"), &secret(input, "agreed"));
    Ok(json!({ "root": hex(root.as_bytes()), "chain": hex(chain.as_bytes()) }))
}

fn chain_step(input: &In<'_>) -> Outcome {
    let (message_key, chain) = kdf_chain(secret(input, "chain"));
    Ok(json!({ "message_key": hex(message_key.as_bytes()), "chain": hex(chain.as_bytes()) }))
}

fn message_key(input: &In<'_>) -> Outcome {
    Ok(json!({ "key": hex(salted(secret(input, "message_key").as_bytes(), &input.array("salt")).as_bytes()) }))
}

fn message_shown(message: &SessionMessage<'_>) -> Value {
    json!({
        "session": hex(message.header.session.as_bytes()),
        "ratchet_key": hex(message.header.place.key.as_bytes()),
        "previous": message.header.place.previous,
        "number": message.header.place.number,
        "salt": hex(&message.header.salt),
        "ciphertext": hex(message.ciphertext),
    })
}

fn envelope(input: &In<'_>) -> Outcome {
    Ok(match Envelope::decode(&input.bytes("envelope"))? {
        Envelope::Session(message) => json!({ "message": message_shown(&message) }),
        Envelope::First(opening, message) => json!({
            "suite": suite_text(opening.suite),
            "prekey": opening.prekey,
            "order": opening.order,
            "handshake": hex(opening.handshake),
            "message": message_shown(&message),
        }),
    })
}

/// A device with its keys, prekeys and sessions.
struct Device {
    local: LocalIdentity,
    sessions: Sessions,
    now: u64,
}

impl Device {
    fn of(input: &In<'_>) -> Self {
        let (local, now) = (local(&input.object("own")), input.number("now"));
        let mut sessions = Sessions::new(policy(input), Arc::new(Limits::default()));
        sessions.note_bundle(&local.bundle);
        for prekey in input.list("prekeys") {
            let kind = PrekeyKind::from_id(prekey.number("kind") as u8).unwrap();
            let mlkem = prekey.has("mlkem_seed").then(|| Secret::from_bytes(&prekey.array("mlkem_seed")));
            let key = x25519::PrivateKey::from_bytes(&prekey.array("x25519_private"));
            sessions.prekeys.put((kind, prekey.number("id") as u32), prekey.flag("one_time"), key, mlkem, now);
        }
        Self { local, sessions, now }
    }

    fn take(&mut self, step: &In<'_>) -> Value {
        let mut rng = Script::new(if step.has("draws") { draws(step) } else { vec![] });
        if step.has("open_to") {
            trace::take_end();
            match self.open_to(step, &mut rng) {
                Ok(session) => json!({ "session": session, "handshake_end": trace::take_end() }),
                Err(_) => json!({ "fails": "not opened" }),
            }
        } else if step.has("seal") {
            let to = identity(step, "to");
            match self.sessions.seal(&to, &step.bytes("seal"), step.flag("transient"), &mut rng) {
                Ok(envelope) => json!({ "envelope": hex(&envelope) }),
                Err(_) => json!({ "fails": "not sealed" }),
            }
        } else if step.has("wait") {
            self.now += step.number("wait");
            self.sessions.handle_timeout(self.now);
            json!({})
        } else {
            self.open(step, &mut rng)
        }
    }

    fn open_to(&mut self, step: &In<'_>, rng: &mut Script) -> Result<Value, Error> {
        let bundle = SignedBundle::decode(&step.bytes("open_to"))?;
        let one_time = step.has("one_time").then(|| SignedPrekey::decode(&step.bytes("one_time"))).transpose()?;
        let id = self.sessions.open_to(&self.local, &bundle, one_time.as_ref(), false, self.now, rng)?;
        Ok(hex(id.as_bytes()))
    }

    fn open(&mut self, step: &In<'_>, rng: &mut Script) -> Value {
        let check = |_: &SignedBundle| match step.has("sender").then(|| step.text("sender")) {
            None => SenderCheck::Listed,
            Some("unknown") => SenderCheck::Unknown,
            Some(_) => SenderCheck::Refused,
        };
        match self.sessions.open(&self.local, &step.bytes("open"), &check, self.now, rng) {
            Ok(opened) => json!({
                "content": hex(&opened.content),
                "sender": hex(opened.sender.as_bytes()),
                "session": hex(opened.session.as_bytes()),
                "suite": suite_text(opened.suite.id()),
                "new_session": opened.new_session,
            }),
            Err(OpenError::Replay) => json!({ "fails": "replay" }),
            Err(OpenError::Fork { .. }) => json!({ "fails": "fork" }),
            Err(OpenError::UnknownSender(_)) => json!({ "fails": "sender to be looked up" }),
            Err(OpenError::Unopened { .. }) => json!({ "fails": "not opened" }),
        }
    }
}

/// A device through its steps. One that fails changes nothing; the next one comes all the same.
fn device(input: &In<'_>) -> Outcome {
    let mut device = Device::of(input);
    Ok(json!({ "steps": input.list("steps").iter().map(|step| device.take(step)).collect::<Vec<_>>() }))
}

#[test]
fn vectors() {
    let about = "Sessions: derivations, envelopes, and devices that open and read them. PROTOCOL.md 6.";
    Vectors::check(
        "session",
        about,
        &[
            ("session prologue", the_prologue),
            ("session roots", roots),
            ("root step", root_step),
            ("chain step", chain_step),
            ("message key", message_key),
            ("envelope", envelope),
            ("device", device),
        ],
        |vectors| {
            cases::derivations(vectors);
            cases::conversations(vectors);
            cases::openings(vectors);
            cases::envelopes(vectors);
            foreign::all(vectors);
        },
    );
}
