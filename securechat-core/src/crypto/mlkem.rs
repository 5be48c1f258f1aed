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
    use crate::codec;
    use crate::crypto::hash::sha256;
    use crate::crypto::testing::{array, on_every_backend, rng};

    const SEED: &str = "7c9935a0b07694aa0c6d10e4db6b1add2fd81a25ccb148032dcd739936737f2d
                        8626ed79d451140800e03b59b956f8210e556067407d13dc90fa9e8b872bfb8f";
    const CIPHERTEXT: &[u8; CIPHERTEXT_LEN] = include_bytes!("../../tests/vectors/independent/mlkem768.ct");

    on_every_backend! {
        /// Wycheproof's mlkem_768_test, tests 2 (right) and 194 (implicit rejection).
        fn wycheproof<B>() {
            let key = B::MlKemPrivate::from_seed(&array(SEED));
            assert_eq!(
                sha256(&[key.encapsulation_key().as_slice()]),
                array("86adbca81f4fee893e2fb58fb98aa2fe188f501fed268d7f4056f8c05c4e53c4")
            );
            let mut ciphertext = *CIPHERTEXT;
            let secret = array("e7184a0975ee3470878d2d159ec83129c8aec253d4ee17b4810311d198cd0368");
            assert_eq!(*key.decapsulate(&ciphertext).unwrap().as_bytes(), secret);
            ciphertext[0] ^= 1;
            let rejected = array("d8f24fa38430a171f93f27d46c52e0bc636d0a1fd5b9571951afbf1ad0b895a5");
            assert_eq!(*key.decapsulate(&ciphertext).unwrap().as_bytes(), rejected);
        }

        fn each_decapsulates_what_the_other_encapsulated<A, B>() {
            let (a, b) = (A::MlKemPrivate::from_seed(&[1; 64]), B::MlKemPrivate::from_seed(&[1; 64]));
            assert_eq!(a.encapsulation_key(), b.encapsulation_key());
            let (ciphertext, secret) = A::mlkem_encapsulate(&a.encapsulation_key(), &mut rng(1)).unwrap();
            let mut ciphertext: [u8; CIPHERTEXT_LEN] = ciphertext.try_into().unwrap();
            assert_eq!(b.decapsulate(&ciphertext).unwrap().as_bytes(), secret.as_bytes());
            for place in [0, 500, CIPHERTEXT_LEN - 1] {
                ciphertext[place] ^= 0x10;
                let rejected = b.decapsulate(&ciphertext).unwrap();
                assert_ne!(rejected.as_bytes(), secret.as_bytes());
                assert_eq!(rejected.as_bytes(), a.decapsulate(&ciphertext).unwrap().as_bytes());
            }
        }

        /// FIPS 203 section 7.2: a coefficient of q or more, in each half of the three bytes that hold two; and every
        /// backend refuses the same by itself.
        fn keys_that_are_not_reduced_are_refused<B>() {
            let right = B::MlKemPrivate::from_seed(&[1; 64]).encapsulation_key();
            assert_eq!(EncapsulationKey::from_bytes(&*right).unwrap().as_bytes(), *right);
            for place in [0, 3, COEFFICIENTS_LEN - 3] {
                for (pattern, reduced) in [
                    ([0x00, 0x0d, 0x00], true), // q - 1, 0
                    ([0x01, 0x0d, 0x00], false), // q, 0
                    ([0x00, 0x00, 0xd0], true), // 0, q - 1
                    ([0x00, 0x10, 0xd0], false), // 0, q
                    ([0xff, 0xff, 0xff], false),
                ] {
                    let mut key = right.clone();
                    key[place..place + 3].copy_from_slice(&pattern);
                    assert_eq!(EncapsulationKey::from_bytes(&*key).is_ok(), reduced, "{pattern:02x?}");
                    assert_eq!(B::mlkem_encapsulate(&key, &mut rng(1)).is_ok(), reduced, "{pattern:02x?}");
                }
            }
        }
    }

    #[test]
    fn lengths_are_checked() {
        let key = DecapsulationKey::generate(&mut rng(1));
        let public = key.encapsulation_key();
        for length in [0, 1, ENCAPSULATION_KEY_LEN - 1] {
            assert_eq!(EncapsulationKey::from_bytes(&public.as_bytes()[..length]), Err(InvalidMessage::PublicKey));
        }
        assert!(EncapsulationKey::from_bytes(&[public.as_bytes(), &[0]].concat()).is_err());
        let (ciphertext, secret) = public.encapsulate(&mut rng(2));
        assert_eq!(key.decapsulate(&ciphertext).unwrap().as_bytes(), secret.as_bytes());
        assert!(key.decapsulate(&ciphertext[1..]).is_err() && key.decapsulate(&[]).is_err());
        assert!(key.decapsulate(&[&ciphertext[..], &[0]].concat()).is_err());
    }

    #[test]
    fn records_hold_the_seed() {
        let key = DecapsulationKey::generate(&mut rng(1));
        let record = codec::encode_secret(&key);
        assert_eq!(record.as_slice(), key.seed().as_bytes());
        let again = codec::decode::<DecapsulationKey>(&record).unwrap();
        assert_eq!(again.encapsulation_key(), key.encapsulation_key());
        let public = codec::encode(&key.encapsulation_key());
        assert_eq!(public, key.encapsulation_key().as_bytes());
        assert_eq!(codec::decode(&public), Ok(key.encapsulation_key()));
        assert!(codec::decode::<EncapsulationKey>(&[0xff; ENCAPSULATION_KEY_LEN]).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = DecapsulationKey::from_seed(&Secret::from_bytes(&[0x41; 64]));
        assert_eq!(format!("{key:?}"), "mlkem::DecapsulationKey(..)");
    }
}
