//! Bytes that must not be copied about, printed or left behind.

pub use crate::secret_vec::SecretVec;
pub(crate) use crate::secret_vec::wipe;
use core::fmt;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

/// `N` secret bytes: on the heap, so that moving leaves no copy; wiped on drop; compared in constant time; never printed.
///
/// It serialises, because saved state holds secrets; a record is only ever handed out sealed.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// All zeros, to be filled in place.
    pub fn zero() -> Self {
        Self(Box::new([0; N]))
    }

    /// Fresh random bytes.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Self::zero();
        rng.fill_bytes(secret.0.as_mut_slice());
        secret
    }

    /// A copy of `bytes`, which the caller wipes if they lie elsewhere.
    pub fn from_bytes(bytes: &[u8; N]) -> Self {
        let mut secret = Self::zero();
        secret.0.copy_from_slice(bytes);
        secret
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes, to be written.
    pub fn as_mut_bytes(&mut self) -> &mut [u8; N] {
        &mut self.0
    }

    /// A second copy, made on purpose: to compute on one and keep the other.
    pub fn duplicate(&self) -> Self {
        Self::from_bytes(&self.0)
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> ConstantTimeEq for Secret<N> {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret<{N}>(..)")
    }
}

impl<const N: usize> Serialize for Secret<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::codec::bytes::serialize(&self.0, serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Secret<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes: [u8; N] = crate::codec::bytes::deserialize(deserializer)?;
        let secret = Self::from_bytes(&bytes);
        bytes.zeroize();
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::from_bytes(&[0x41; 32])), "Secret<32>(..)");
    }

    #[test]
    fn serialises_as_plain_bytes() {
        let secret = Secret::from_bytes(&[3; 4]);
        let bytes = crate::codec::encode_secret(&secret);
        assert_eq!(bytes.as_slice(), [3; 4]);
        assert!(bool::from(crate::codec::decode::<Secret<4>>(&bytes).unwrap().ct_eq(&secret)));
    }
}
