//! Identities, their fingerprints, and the private keys of a device (I2).

use crate::crypto::ed25519::{SigningKey, VerifyingKey};
use crate::crypto::hash::sha512;
use crate::crypto::label::Label;
use crate::crypto::{rsa, x25519};
use crate::error::{ApiMisuse, InvalidMessage, PeerMisbehaved};
use core::fmt;
use core::str::FromStr;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who a device is: its Ed25519 public key.
///
/// Any 32 bytes can be written here; whether they are a key shows when a signature is checked under them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(VerifyingKey);

impl Identity {
    /// The identity with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(VerifyingKey::from_bytes(bytes))
    }

    /// The public key's bytes (RFC 8032).
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// It as the key that verifies its signatures.
    pub fn as_verifying_key(&self) -> &VerifyingKey {
        &self.0
    }

    /// The first 32 bytes of `SHA-512(label "identity" || public key)` (I2).
    pub fn fingerprint(&self) -> Fingerprint {
        let hash = sha512(&[Label::IDENTITY.bytes(), self.as_bytes()]);
        let mut fingerprint = [0; 32];
        fingerprint.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Fingerprint(fingerprint)
    }

    /// Checks this identity's signature over `label || parts`, strictly;
    /// [`PeerMisbehaved::BadSignature`] when it is not one.
    pub fn verify(&self, label: Label, parts: &[&[u8]], signature: &[u8; 64]) -> Result<(), PeerMisbehaved> {
        self.0.verify(label, parts, signature)
    }
}

impl From<VerifyingKey> for Identity {
    fn from(key: VerifyingKey) -> Self {
        Self(key)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(self.as_bytes(), formatter)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Identity({self})")
    }
}

/// What people compare and addresses carry: 32 bytes, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, formatter)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidMessage;

    /// Takes 64 lower-case hex digits and nothing else; [`InvalidMessage::UnknownValue`] otherwise.
    fn from_str(text: &str) -> Result<Self, InvalidMessage> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(InvalidMessage::UnknownValue);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::codec::bytes::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::codec::bytes::deserialize(deserializer).map(Self)
    }
}

/// The private keys of a device. They are made together and never replaced (I4).
#[derive(Serialize, Deserialize)]
pub struct DeviceKeys {
    /// Signs, and thereby is, the device's identity.
    pub identity: SigningKey,
    /// The static key of the X25519 and hybrid suites.
    pub x25519: x25519::PrivateKey,
    /// The static key of the RSA-wrapped suites.
    #[serde(with = "shared_rsa")]
    pub rsa: Option<Arc<rsa::PrivateKey>>,
}

impl DeviceKeys {
    /// Fresh keys; an RSA key of `rsa_bits` only where RSA-wrapped suites are wanted, since making one takes long.
    /// Fails when `rsa_bits` is not a size that PROTOCOL.md 2.2 allows.
    pub fn generate(rng: &mut dyn CryptoRng, rsa_bits: Option<usize>) -> Result<Self, ApiMisuse> {
        let identity = SigningKey::generate(rng);
        let x25519 = x25519::PrivateKey::generate(rng);
        let rsa = rsa_bits.map(|bits| rsa::PrivateKey::generate(bits, rng)).transpose()?.map(Arc::new);
        Ok(Self { identity, x25519, rsa })
    }

    /// The public identity of these keys.
    pub fn identity(&self) -> Identity {
        self.identity.verifying_key().into()
    }
}

impl fmt::Debug for DeviceKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DeviceKeys").field("identity", &self.identity()).finish_non_exhaustive()
    }
}

/// An optional shared RSA key as a struct field.
mod shared_rsa {
    use crate::crypto::rsa::PrivateKey;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(key: &Option<Arc<PrivateKey>>, serializer: S) -> Result<S::Ok, S::Error> {
        key.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<PrivateKey>>, D::Error> {
        Ok(Option::<PrivateKey>::deserialize(deserializer)?.map(Arc::new))
    }
}

fn write_hex(bytes: &[u8; 32], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

fn hex_digit(digit: u8) -> Result<u8, InvalidMessage> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidMessage::UnknownValue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::identity::samples;

    /// The fingerprint was computed apart from this code, with Python's hashlib.
    #[test]
    fn fingerprints_are_as_i2_says() {
        let identity = Identity::from_bytes(core::array::from_fn(|place| u8::try_from(place).unwrap()));
        let text = "675ed8e5544d2e1c91a655fc3f1539139c4092c09396ba0394290fd65726df54";
        assert_eq!(identity.fingerprint().to_string(), text);
        assert_eq!(text.parse(), Ok(identity.fingerprint()));
        assert_eq!(codec::decode(&codec::encode(&identity.fingerprint())), Ok(identity.fingerprint()));
        assert_eq!(codec::encode(&identity), identity.as_bytes());
        for bad in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &format!(" {}", &text[1..])] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(InvalidMessage::UnknownValue), "{bad:?}");
        }
    }

    #[test]
    fn keys_are_kept_as_a_record() {
        for keys in [samples::keys(1), samples::keys_with_rsa(2)] {
            let again: DeviceKeys = codec::decode(&codec::encode_secret(&keys)).unwrap();
            assert_eq!(again.identity(), keys.identity());
            assert_eq!(again.x25519.public(), keys.x25519.public());
            assert_eq!(again.rsa.map(|key| key.public().id()), keys.rsa.map(|key| key.public().id()));
        }
    }

    #[test]
    fn debug_shows_no_private_key() {
        let local = samples::local("alice", 1);
        let shown = format!("{:?} {:?}", local.keys, local);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let decimal = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        assert!(shown.contains(&local.keys.identity().to_string()));
        for secret in [local.keys.identity.as_bytes(), local.keys.x25519.as_bytes()] {
            assert!(!shown.contains(&hex(&secret[..8])) && !shown.contains(&decimal(&secret[..8])));
        }
    }
}
