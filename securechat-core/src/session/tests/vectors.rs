//! A conversation computed with other tools from section 6 alone: `tests/vectors/independent/session.json`.

use super::*;
use crate::codec::Reader;
use crate::crypto::secret::Secret;
use crate::session::envelope::{Envelope, Opening};
use crate::session::handshake::derive_roots;
use crate::session::state::{Roots, Session};
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;

/// Randomness that was written down.
struct Draws(Vec<u8>);

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!()
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let drawn: Vec<u8> = self.0.drain(..out.len()).collect();
        out.copy_from_slice(&drawn);
        Ok(())
    }
}

impl TryCryptoRng for Draws {}

fn bytes(value: &Value) -> Vec<u8> {
    let digits: Vec<char> = value.as_str().unwrap().chars().collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

#[test]
fn a_conversation_computed_with_other_tools() {
    let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/independent/session.json")).unwrap();
    for vector in vectors.as_array().unwrap() {
        let suite = Suite::from_id(u16::from_str_radix(vector["suite"].as_str().unwrap(), 16).unwrap()).unwrap();
        let identity = |name: &str| Identity::from_bytes(array(&vector[name]));
        let (initiator, responder) = (identity("initiator"), identity("responder"));
        let chaining_key = Secret::from_bytes(&array(&vector["chaining_key"]));
        let roots = || derive_roots(&chaining_key, &array(&vector["hash"]), initiator, responder);
        let Roots { root, chain, session } = roots();
        assert_eq!(root.as_bytes().as_slice(), bytes(&vector["root"]));
        assert_eq!(chain.as_bytes().as_slice(), bytes(&vector["chain"]));
        assert_eq!(session.as_bytes().as_slice(), bytes(&vector["session"]));

        let opening_bytes = bytes(&vector["opening"]);
        let opening = Opening::decode(&mut Reader::new(&opening_bytes)).unwrap();
        let mut draws = Draws(bytes(&vector["first_ratchet_key"]));
        let mut alice = Session::initiator(responder, suite, 1, roots(), &opening, &mut draws).unwrap();
        let mut bob: Option<Session> = None;
        for message in vector["messages"].as_array().unwrap() {
            let (content, envelope) = (bytes(&message["content"]), bytes(&message["envelope"]));
            let mut draws = Draws(bytes(&message["draws"]));
            let (Envelope::First(_, parsed) | Envelope::Session(parsed)) = Envelope::decode(&envelope).unwrap();
            let from_alice = message["sender"] == "initiator";
            let bob = bob.get_or_insert_with(|| Session::responder(initiator, suite, 1, roots(), &parsed));
            let (sender, receiver) = if from_alice { (&mut alice, bob) } else { (bob, &mut alice) };
            assert_eq!(sender.seal(session, &content, false, &mut draws).unwrap(), envelope);
            assert!(draws.0.is_empty());
            assert_eq!(*receiver.open(&parsed, NOW).unwrap(), content);
        }
    }
}
