//! ML-KEM-768 (FIPS 203), the post-quantum half of the hybrid suites (PROTOCOL.md 2.2).

use super::backend::{Active, Backend, MlKemPrivate};
use super::secret::Secret;
use crate::error::InvalidMessage;
use core::fmt;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Length of an encapsulation key, in bytes.
pub const ENCAPSULATION_KEY_LEN: usize = 1184;
/// Length of a ciphertext, in bytes.
pub const CIPHERTEXT_LEN: usize = 1088;

/// The prime of ML-KEM; coefficients are below it.
const Q: u16 = 3329;
/// Bytes of an encapsulation key that hold coefficients, 12 bits each; a seed of 32 bytes follows.
const COEFFICIENTS_LEN: usize = ENCAPSULATION_KEY_LEN - 32;

/// An ML-KEM-768 public key that passed the check of FIPS 203 section 7.2.
#[derive(Clone, PartialEq, Eq)]
pub struct EncapsulationKey(Box<[u8; ENCAPSULATION_KEY_LEN]>);

impl EncapsulationKey {
    /// The key of these bytes. Fails unless there are 1,184 and every coefficient is reduced (FIPS 203 section 7.2).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        let key: &[u8; ENCAPSULATION_KEY_LEN] = bytes.try_into().map_err(|_| InvalidMessage::PublicKey)?;
        if coefficients_are_reduced(key) { Ok(Self(Box::new(*key))) } else { Err(InvalidMessage::PublicKey) }
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// A ciphertext for the holder of the private key, and the secret in it.
    ///
    /// AWS-LC takes its own randomness; there `rng` is not used.
    pub fn encapsulate(&self, rng: &mut dyn CryptoRng) -> (Vec<u8>, Secret<32>) {
        // The key was checked, so this cannot fail; if it ever did, the secret would be one that nobody has.
        Active::mlkem_encapsulate(&self.0, rng).unwrap_or_else(|_| (vec![0; CIPHERTEXT_LEN], Secret::random(rng)))
    }
}

/// The modulus check: every 12-bit little-endian integer is below q.
fn coefficients_are_reduced(key: &[u8; ENCAPSULATION_KEY_LEN]) -> bool {
    key.iter().as_slice().as_chunks::<3>().0.iter().take(COEFFICIENTS_LEN / 3).all(|&[a, b, c]| {
        let first = u16::from(a) | u16::from(b & 0x0f) << 8;
        let second = u16::from(b) >> 4 | u16::from(c) << 4;
        first < Q && second < Q
    })
}

impl fmt::Debug for EncapsulationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("mlkem::EncapsulationKey(")?;
        super::write_hex(formatter, self.0.first_chunk::<8>().map_or(&[], |head| head))?;
        formatter.write_str("..)")
    }
}

impl Serialize for EncapsulationKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::codec::bytes::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for EncapsulationKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: [u8; ENCAPSULATION_KEY_LEN] = crate::codec::bytes::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(serde::de::Error::custom)
    }
}

/// An ML-KEM-768 private key, expanded from its seed. In records it is the seed.
pub struct DecapsulationKey {
    seed: Secret<64>,
    expanded: <Active as Backend>::MlKemPrivate,
}

impl DecapsulationKey {
    /// A fresh key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::from_seed(&Secret::random(rng))
    }

    /// The key that a seed `d || z` gives (FIPS 203, `ML-KEM.KeyGen_internal`).
    pub fn from_seed(seed: &Secret<64>) -> Self {
        Self { seed: seed.duplicate(), expanded: MlKemPrivate::from_seed(seed.as_bytes()) }
    }

    /// The seed that the key was made from.
    pub fn seed(&self) -> &Secret<64> {
        &self.seed
    }

    /// The public key that belongs to it.
    pub fn encapsulation_key(&self) -> EncapsulationKey {
        EncapsulationKey(self.expanded.encapsulation_key())
    }

    /// The secret in a ciphertext. Fails on a length other than [`CIPHERTEXT_LEN`] only: a ciphertext that was
    /// changed gives a secret that nobody else has (implicit rejection).
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, InvalidMessage> {
        let ciphertext = ciphertext.try_into().map_err(|_| InvalidMessage::OutOfBounds)?;
        self.expanded.decapsulate(ciphertext).ok_or(InvalidMessage::OutOfBounds)
    }
}

impl fmt::Debug for DecapsulationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("mlkem::DecapsulationKey(..)")
    }
}

impl Serialize for DecapsulationKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.seed.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DecapsulationKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(|seed| Self::from_seed(&seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::from_seed([1; 32]);
        let key = DecapsulationKey::generate(&mut rng);
        let public = EncapsulationKey::from_bytes(key.encapsulation_key().as_bytes()).unwrap();
        let (ciphertext, secret) = public.encapsulate(&mut rng);
        assert_eq!(key.decapsulate(&ciphertext).unwrap().as_bytes(), secret.as_bytes());
    }
}
