//! Prekeys: the ephemeral keys that a device lays out in advance, so that a session can be opened while it is away (I5).

use crate::codec;
use crate::crypto::ed25519::SigningKey;
use crate::crypto::label::Label;
use crate::crypto::mlkem::{ENCAPSULATION_KEY_LEN, EncapsulationKey};
use crate::crypto::x25519;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::identity::signed::{self, serde_as_kept};
use crate::identity::{Identity, SignedBundle};
use crate::suite::{KeyExchange, Suite};
use core::fmt;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a prekey holds. Each kind is a space of ids of its own (I5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PrekeyKind {
    /// An X25519 key: patterns PK and PKkem.
    X25519 = 1,
    /// An X25519 key and an ML-KEM-768 encapsulation key: pattern PKhfs.
    Hybrid = 2,
}

impl PrekeyKind {
    /// Both kinds, in order.
    pub const ALL: [Self; 2] = [Self::X25519, Self::Hybrid];

    /// The kind that a session of this suite begins with (6).
    pub const fn for_suite(suite: Suite) -> Self {
        match suite.key_exchange {
            KeyExchange::X25519 | KeyExchange::Rsa => Self::X25519,
            KeyExchange::Hybrid => Self::Hybrid,
        }
    }

    /// Its number on the wire.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The kind of that number.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }
}

impl Serialize for PrekeyKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.id())
    }
}

impl<'de> Deserialize<'de> for PrekeyKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_id(u8::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("unknown kind of prekey"))
    }
}

/// The public half of a prekey.
///
/// | field | encoding |
/// |---|---|
/// | kind | u8: 1 X25519, 2 hybrid |
/// | id | varint u32 |
/// | X25519 key | 32 bytes |
/// | ML-KEM-768 encapsulation key | 1,184 bytes, in kind 2 only |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrekeyPublic {
    id: u32,
    x25519: x25519::PublicKey,
    mlkem: Option<EncapsulationKey>,
}

impl PrekeyPublic {
    /// A prekey: of the hybrid kind if it has an encapsulation key, otherwise of kind X25519.
    pub fn new(id: u32, x25519: x25519::PublicKey, mlkem: Option<EncapsulationKey>) -> Self {
        Self { id, x25519, mlkem }
    }

    /// What it holds.
    pub fn kind(&self) -> PrekeyKind {
        if self.mlkem.is_some() { PrekeyKind::Hybrid } else { PrekeyKind::X25519 }
    }

    /// Its id among those of its kind.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its X25519 key, `e` of the pre-message.
    pub fn x25519(&self) -> &x25519::PublicKey {
        &self.x25519
    }

    /// Its encapsulation key, `e1` of the pre-message, in the hybrid kind.
    pub fn mlkem(&self) -> Option<&EncapsulationKey> {
        self.mlkem.as_ref()
    }
}

impl Serialize for PrekeyPublic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(if self.mlkem.is_some() { 4 } else { 3 })?;
        tuple.serialize_element(&self.kind())?;
        tuple.serialize_element(&self.id)?;
        tuple.serialize_element(&self.x25519)?;
        if let Some(key) = &self.mlkem {
            tuple.serialize_element(key)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for PrekeyPublic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = PrekeyPublic;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a prekey")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PrekeyPublic, A::Error> {
                let missing = || A::Error::custom("a prekey ends too early");
                let kind: PrekeyKind = seq.next_element()?.ok_or_else(missing)?;
                let id = seq.next_element()?.ok_or_else(missing)?;
                let x25519 = seq.next_element()?.ok_or_else(missing)?;
                let mlkem = match kind {
                    PrekeyKind::X25519 => None,
                    PrekeyKind::Hybrid => Some(seq.next_element()?.ok_or_else(missing)?),
                };
                Ok(PrekeyPublic { id, x25519, mlkem })
            }
        }
        deserializer.deserialize_tuple(4, Fields)
    }
}

/// The body of a one-time prekey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Body {
    identity: Identity,
    device: u32,
    prekey: PrekeyPublic,
}

/// A one-time prekey, signed by its device (I5): label "prekey".
///
/// | field | encoding |
/// |---|---|
/// | identity | 32 bytes; the signer |
/// | device | varint u32 |
/// | prekey | [`PrekeyPublic`] |
#[derive(Clone, derive_more::Debug, PartialEq, Eq)]
pub struct SignedPrekey {
    #[debug("{} bytes", bytes.len())]
    bytes: Vec<u8>,
    body: Body,
}

/// Longest encoding of a signed prekey, in bytes.
const SIGNED_PREKEY_MAX: usize = 32 + 5 + 1 + 5 + 32 + ENCAPSULATION_KEY_LEN + signed::OVERHEAD;

impl SignedPrekey {
    /// Signs a prekey of the device with this identity key.
    pub fn sign(key: &SigningKey, device: u32, prekey: PrekeyPublic) -> Result<Self, ApiMisuse> {
        let body = Body { identity: key.verifying_key().into(), device, prekey };
        Ok(Self { bytes: signed::sign(Label::PREKEY, &codec::encode(&body), key)?, body })
    }

    /// Reads a signed prekey and checks its signature.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let body = codec::decode(signed::open(Label::PREKEY, bytes, 0, SIGNED_PREKEY_MAX)?)?;
        Ok(Self { bytes: bytes.to_vec(), body })
    }

    /// It as it travels.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 over body and signature.
    pub fn hash(&self) -> [u8; 32] {
        signed::hash(&self.bytes)
    }

    /// Who signed it and can use its private half.
    pub fn identity(&self) -> Identity {
        self.body.identity
    }

    /// The number of that device.
    pub fn device(&self) -> u32 {
        self.body.device
    }

    /// The key.
    pub fn prekey(&self) -> &PrekeyPublic {
        &self.body.prekey
    }

    /// Whether a session of `suite` with the device of `bundle` may begin with it:
    /// identity and device are the bundle's, the kind is the suite's. [`PeerMisbehaved::Prekey`] otherwise.
    pub fn check_for(&self, bundle: &SignedBundle, suite: Suite) -> Result<(), PeerMisbehaved> {
        let fits = self.identity() == bundle.identity()
            && self.device() == bundle.device()
            && self.prekey().kind() == PrekeyKind::for_suite(suite);
        if fits { Ok(()) } else { Err(PeerMisbehaved::Prekey) }
    }
}

serde_as_kept!(SignedPrekey);
