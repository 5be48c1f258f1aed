//! Handshake patterns as data (PROTOCOL.md section 4).

use crate::suite::KeyExchange;

/// One step of a handshake message. Only rows made by tests name tokens outside this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// An ephemeral X25519 key in the clear.
    E,
    /// A static key, encrypted once there is a key: X25519, or the SHA-256 of an RSA key's DER.
    S,
    /// X25519 of both ephemeral keys.
    Ee,
    /// X25519 of the initiator's ephemeral and the responder's static key.
    Es,
    /// X25519 of the initiator's static and the responder's ephemeral key.
    Se,
    /// X25519 of both static keys.
    Ss,
    /// A secret that both sides have beforehand.
    Psk,
    /// An ephemeral ML-KEM-768 encapsulation key.
    E1,
    /// A ciphertext to the encapsulation key of `E1`, and its secret.
    Ekem1,
    /// A ciphertext to the receiver's static RSA key, and its secret.
    Skem,
    /// The sender's identity key and its signature over the transcript.
    Sig,
}

use Token::{E, E1, Ee, Ekem1, Es, S, Se, Sig, Skem};

/// A handshake pattern: who knows what beforehand, and the tokens of each message. The initiator writes the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The name inside the protocol name, modifiers included.
    pub(super) name: &'static str,
    /// What of the initiator's keys the responder knows beforehand.
    pub(super) initiator_known: &'static [Token],
    /// What of the responder's keys the initiator knows beforehand.
    pub(super) responder_known: &'static [Token],
    /// The messages, in turns.
    pub(super) messages: &'static [&'static [Token]],
}

impl Pattern {
    /// The pattern of a link to a relay: only the relay has an identity.
    pub const fn relay_link(key_exchange: KeyExchange) -> &'static Self {
        match key_exchange {
            KeyExchange::X25519 => &NX,
            KeyExchange::Rsa => &NX_KEM,
            KeyExchange::Hybrid => &NX_HFS,
        }
    }

    /// The pattern of a link between peers: both have one.
    pub const fn peer_link(key_exchange: KeyExchange) -> &'static Self {
        match key_exchange {
            KeyExchange::X25519 => &XX,
            KeyExchange::Rsa => &XX_KEM,
            KeyExchange::Hybrid => &XX_HFS,
        }
    }

    /// The pattern that opens a session to a device which may be offline: its `e` is a prekey.
    pub const fn session(key_exchange: KeyExchange) -> &'static Self {
        match key_exchange {
            KeyExchange::X25519 => &PK,
            KeyExchange::Rsa => &PK_KEM,
            KeyExchange::Hybrid => &PK_HFS,
        }
    }

    /// Any other row, for the published vectors of Noise and for interoperation; no link or session takes one.
    #[doc(hidden)]
    pub const fn of_tests(
        name: &'static str,
        initiator_known: &'static [Token],
        responder_known: &'static [Token],
        messages: &'static [&'static [Token]],
    ) -> Self {
        Self { name, initiator_known, responder_known, messages }
    }

    /// The name inside the protocol name, modifiers included.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether a `psk` stands anywhere: then every `e` also goes into the key (Noise section 9.2).
    pub(super) fn has_psk(&self) -> bool {
        self.messages.iter().any(|message| message.contains(&Token::Psk))
    }
}

const NX: Pattern =
    Pattern { name: "NX", initiator_known: &[], responder_known: &[], messages: &[&[E], &[E, Ee, S, Es]] };
const NX_HFS: Pattern = Pattern {
    name: "NXhfs",
    initiator_known: &[],
    responder_known: &[],
    messages: &[&[E, E1], &[E, Ee, Ekem1, S, Es]],
};
const NX_KEM: Pattern =
    Pattern { name: "NXkem", initiator_known: &[], responder_known: &[], messages: &[&[E], &[E, Ee, S], &[Skem]] };

const XX: Pattern =
    Pattern { name: "XX", initiator_known: &[], responder_known: &[], messages: &[&[E], &[E, Ee, S, Es], &[S, Se]] };
const XX_HFS: Pattern = Pattern {
    name: "XXhfs",
    initiator_known: &[],
    responder_known: &[],
    messages: &[&[E, E1], &[E, Ee, Ekem1, S, Es], &[S, Se]],
};
const XX_KEM: Pattern = Pattern {
    name: "XXkem",
    initiator_known: &[],
    responder_known: &[],
    messages: &[&[E], &[E, Ee, S], &[Skem, S], &[Skem]],
};

const PK: Pattern =
    Pattern { name: "PK", initiator_known: &[], responder_known: &[E, S], messages: &[&[E, Ee, Es, S, Se]] };
const PK_HFS: Pattern = Pattern {
    name: "PKhfs",
    initiator_known: &[],
    responder_known: &[E, E1, S],
    messages: &[&[E, Ee, Ekem1, Es, S, Se]],
};
const PK_KEM: Pattern =
    Pattern { name: "PKkem", initiator_known: &[], responder_known: &[E, S], messages: &[&[E, Ee, Skem, Sig]] };
