//! Ed25519 signatures (RFC 8032), always under a label.

use super::backend::signatures;
use super::label::Label;
use super::secret::Secret;
use crate::error::PeerMisbehaved;
use core::fmt;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An Ed25519 public key: 32 bytes, any of them. Those that are not a key verify nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// The key of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Verifies a signature over `label || parts`, strictly: keys and points of small order, encodings that are not
    /// canonical and an S that is not reduced are refused. Fails with [`PeerMisbehaved::BadSignature`].
    pub fn verify(&self, label: Label, parts: &[&[u8]], signature: &[u8; 64]) -> Result<(), PeerMisbehaved> {
        signatures::verify(&self.0, &message(label, parts), signature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ed25519::VerifyingKey(")?;
        super::write_hex(formatter, &self.0)?;
        formatter.write_str(")")
    }
}

/// An Ed25519 private key. In records it is its 32 bytes.
pub struct SigningKey(signatures::Ed25519);

impl SigningKey {
    /// A fresh key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::from_bytes(Secret::random(rng).as_bytes())
    }

    /// The key of these bytes, which the caller wipes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(signatures::Ed25519::new(bytes))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public key that belongs to it.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.public())
    }

    /// The signature over `label || parts`; the same each time.
    pub fn sign(&self, label: Label, parts: &[&[u8]]) -> [u8; 64] {
        self.0.sign(&message(label, parts))
    }
}

/// What is signed: `label || parts`.
fn message(label: Label, parts: &[&[u8]]) -> Vec<u8> {
    [&[label.bytes()], parts].concat().concat()
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ed25519::SigningKey({:?})", self.verifying_key())
    }
}

impl Serialize for SigningKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::codec::bytes::serialize(self.as_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(|bytes| Self::from_bytes(bytes.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::crypto::testing::rng;

    #[test]
    fn signatures_bind_label_parts_and_key() {
        let key = SigningKey::generate(&mut rng(1));
        let public = key.verifying_key();
        let signature = key.sign(Label::BUNDLE, &[b"one", b"two"]);
        assert_eq!(public.verify(Label::BUNDLE, &[b"one", b"two"], &signature), Ok(()));
        assert_eq!(public.verify(Label::BUNDLE, &[b"onetwo"], &signature), Ok(()));
        assert_eq!(public.verify(Label::BUNDLE, &[b"two", b"one"], &signature), Err(PeerMisbehaved::BadSignature));
        let other = SigningKey::generate(&mut rng(2)).verifying_key();
        assert_eq!(other.verify(Label::BUNDLE, &[b"onetwo"], &signature), Err(PeerMisbehaved::BadSignature));
        for bit in 0..512 {
            let mut changed = signature;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(public.verify(Label::BUNDLE, &[b"onetwo"], &changed), Err(PeerMisbehaved::BadSignature));
        }
    }

    /// ATTACKS.md A9: what was signed under one label never counts under another.
    #[test]
    fn a9_signatures_count_under_their_label_only() {
        let key = SigningKey::generate(&mut rng(1));
        for label in Label::ALL {
            let signature = key.sign(*label, &[b"body"]);
            for other in Label::ALL {
                let verified = key.verifying_key().verify(*other, &[b"body"], &signature);
                assert_eq!(verified.is_ok(), label == other, "{label:?} {other:?}");
            }
        }
    }

    #[test]
    fn records_hold_the_bytes() {
        let key = SigningKey::from_bytes(&[5; 32]);
        let record = codec::encode_secret(&key);
        assert_eq!(record.as_slice(), [5; 32]);
        assert_eq!(codec::decode::<SigningKey>(&record).unwrap().verifying_key(), key.verifying_key());
        assert_eq!(codec::decode::<VerifyingKey>(&codec::encode(&key.verifying_key())), Ok(key.verifying_key()));
    }

    #[test]
    fn debug_shows_the_public_key_only() {
        let key = SigningKey::from_bytes(&[0x41; 32]);
        assert_eq!(format!("{key:?}"), format!("ed25519::SigningKey({:?})", key.verifying_key()));
        assert!(!format!("{key:?}").contains("4141"));
    }
}
