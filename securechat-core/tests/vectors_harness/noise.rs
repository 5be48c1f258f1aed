//! Handshakes and first records in the JSON of cacophony and snow.
//!
//! Both sides run: each writes exactly the bytes of the vector and reads what the other wrote.

use super::noise_patterns::pattern;
use super::{Outcome, Report, unhex};
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};
use securechat_core::crypto::secret::Secret;
use securechat_core::crypto::{ed25519, x25519};
use securechat_core::error::Error;
use securechat_core::noise::{Handshake, Keys, Pattern, RemoteKeys, RemoteStatic, Role, StaticKey, Transport};
use securechat_core::suite::Suite;
use serde_json::Value;

/// X25519, AES-256-GCM and SHA-256.
const SUITE: Suite = Suite::ALL[0];

pub fn run(file: &str, text: &str) -> Report {
    let mut report = Report::new(file);
    let parsed: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(vectors) = parsed["vectors"].as_array() else {
        report.add("file", Outcome::Fail("not JSON with vectors".into()));
        return report;
    };
    for (index, vector) in vectors.iter().enumerate() {
        let name = vector["protocol_name"].as_str().unwrap_or_default();
        report.add(format_args!("vector {index}, {name}"), outcome(name, vector));
    }
    report
}

fn outcome(name: &str, vector: &Value) -> Outcome {
    let parts: Vec<&str> = name.split('_').collect();
    let ["Noise", pattern_name, dh, cipher, hash] = parts[..] else { return Outcome::Fail("no protocol name".into()) };
    for (name, ours, reason) in
        [(dh, "25519", "DH not 25519"), (cipher, "AESGCM", "cipher not AESGCM"), (hash, "SHA256", "hash not SHA256")]
    {
        if name != ours {
            return Outcome::Skip(reason);
        }
    }
    let Some(pattern) = pattern(pattern_name) else { return Outcome::Skip("pattern or modifier not of this table") };
    match Run::new(pattern, vector).and_then(|run| run.all(vector)) {
        Ok(()) => Outcome::Pass,
        Err(wrong) => Outcome::Fail(wrong),
    }
}

/// The bytes in a field; none if it is missing.
fn bytes(vector: &Value, field: &str) -> Result<Option<Vec<u8>>, String> {
    match &vector[field] {
        Value::Null => Ok(None),
        value => value.as_str().and_then(unhex).map(Some).ok_or(format!("{field} is not hex")),
    }
}

fn key(vector: &Value, field: &str) -> Result<Option<[u8; 32]>, String> {
    let bytes = bytes(vector, field)?;
    bytes.map(|bytes| bytes.try_into().map_err(|_| format!("{field} is not 32 bytes"))).transpose()
}

fn psks(vector: &Value, field: &str) -> Result<Vec<Secret<32>>, String> {
    let psks = vector[field].as_array().into_iter().flatten();
    psks.map(|psk| key(&serde_json::json!({ "psk": psk }), "psk")?.ok_or(String::new()))
        .map(|psk| psk.map(|psk| Secret::from_bytes(&psk)))
        .collect()
}

fn told(error: Error) -> String {
    error.to_string()
}

/// Both ends before the first message.
struct Run {
    ends: [Handshake; 2],
    ephemerals: [Fixed; 2],
    /// What each end's static key is, for the other to confirm.
    statics: [Option<x25519::PublicKey>; 2],
}

impl Run {
    fn new(pattern: &'static Pattern, vector: &Value) -> Result<Self, String> {
        let end = |prefix: &str, role| -> Result<_, String> {
            let field = |name: &str| format!("{prefix}_{name}");
            let own = key(vector, &field("static"))?.map(|bytes| x25519::PrivateKey::from_bytes(&bytes));
            let public = own.as_ref().map(x25519::PrivateKey::public);
            let remote = key(vector, &field("remote_static"))?.map(x25519::PublicKey::from_bytes);
            let keys = Keys {
                local_static: own.map(StaticKey::X25519),
                remote_static: remote.map(RemoteStatic::X25519),
                psks: psks(vector, &field("psks"))?,
                ..Keys::default()
            };
            let prologue = bytes(vector, &field("prologue"))?.unwrap_or_default();
            let ephemeral = Fixed(bytes(vector, &field("ephemeral"))?.unwrap_or_default());
            let handshake = Handshake::new(pattern, SUITE, role, &prologue, keys).map_err(told)?;
            Ok((handshake, ephemeral, public))
        };
        let (initiator, one, first) = end("init", Role::Initiator)?;
        let (responder, other, second) = end("resp", Role::Responder)?;
        Ok(Self { ends: [initiator, responder], ephemerals: [one, other], statics: [first, second] })
    }

    fn all(mut self, vector: &Value) -> Result<(), String> {
        let messages = vector["messages"].as_array().ok_or("no messages")?;
        let mut messages = messages.iter().enumerate().map(|(index, message)| {
            let field = |name| bytes(message, name)?.ok_or(format!("message {index} has no {name}"));
            Ok::<_, String>((index, field("payload")?, field("ciphertext")?))
        });
        let mut handshake_messages = 0;
        while !self.ends[0].is_finished() {
            let (index, payload, ciphertext) = messages.next().ok_or("too few messages")??;
            self.message(index, &payload, &ciphertext).map_err(|wrong| format!("message {index}: {wrong}"))?;
            handshake_messages += 1;
        }
        let hash = bytes(vector, "handshake_hash")?;
        let [initiator, responder] = self.ends.map(Handshake::into_transport);
        let mut ends = [initiator.map_err(told)?, responder.map_err(told)?];
        for end in &ends {
            if hash.as_ref().is_some_and(|hash| **hash != end.hash) {
                return Err("another handshake hash".into());
            }
        }
        for message in messages {
            let (index, payload, ciphertext) = message?;
            // After a one-way pattern only the initiator writes.
            let writer = if handshake_messages == 1 { 0 } else { index % 2 };
            record(&mut ends, writer, &payload, &ciphertext).map_err(|wrong| format!("message {index}: {wrong}"))?;
        }
        Ok(())
    }

    fn message(&mut self, index: usize, payload: &[u8], ciphertext: &[u8]) -> Result<(), String> {
        let (writer, reader) = (index % 2, (index + 1) % 2);
        let carries_identity = self.ends[writer].carries_identity();
        let mut written = Vec::new();
        self.ends[writer].write(payload, &mut self.ephemerals[writer], &mut written).map_err(told)?;
        if written != ciphertext {
            return Err("another message is written".into());
        }
        let read = self.ends[reader].read(ciphertext, &mut Fixed(Vec::new())).map_err(told)?;
        if read.as_slice() != payload {
            return Err("another payload is read".into());
        }
        if carries_identity {
            let identity = &ed25519::VerifyingKey::from_bytes([0; 32]); // No vector has one.
            let x25519 = self.statics[writer].as_ref().ok_or("no static key")?;
            self.ends[reader].confirm(&RemoteKeys { identity, x25519, rsa: None }).map_err(told)?;
        }
        Ok(())
    }
}

/// A transport message.
fn record(ends: &mut [Transport; 2], writer: usize, payload: &[u8], ciphertext: &[u8]) -> Result<(), String> {
    let mut sealed = payload.to_vec();
    ends[writer].sealer.seal(&mut sealed, 0).map_err(told)?;
    if sealed != ciphertext {
        return Err("another record is sealed".into());
    }
    let opened = ends[1 - writer].opener.open(&mut sealed).map_err(told)?;
    if *opened == *payload { Ok(()) } else { Err("another payload is opened".into()) }
}

/// Randomness that is the one ephemeral key of the vector, then zeros, which give other messages.
pub struct Fixed(pub Vec<u8>);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let length = out.len();
        self.0.resize(self.0.len().max(length), 0);
        out.iter_mut().zip(self.0.drain(..length)).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}
