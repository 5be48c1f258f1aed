//! Bytes that must not be copied about, printed or left behind.

use core::fmt;
use core::ops::{Deref, DerefMut};
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, optimization_barrier};

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

/// Secret bytes of any number, wiped on drop with what is reserved behind them; never printed.
///
/// As `Zeroizing<Vec<u8>>`, but wiped at the speed of memory: that one writes byte by byte, which takes half as long as
/// opening what is in it. A buffer that grows leaves copies behind; reserve first.
#[derive(Default, PartialEq, Eq)]
pub struct SecretVec(Vec<u8>);

impl SecretVec {
    /// Takes in bytes.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for SecretVec {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for SecretVec {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for SecretVec {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for SecretVec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretVec({} bytes)", self.0.len())
    }
}

impl Serialize for SecretVec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SecretVec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

/// Writes zeros over all that a buffer holds or has reserved, and empties it.
pub(crate) fn wipe(bytes: &mut Vec<u8>) {
    bytes.fill(0);
    bytes.resize(bytes.capacity(), 0);
    optimization_barrier(bytes.as_slice());
    bytes.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_wiped_to_its_end() {
        let mut bytes = Vec::with_capacity(100);
        bytes.extend([0x41; 90]);
        bytes.truncate(30);
        let place = bytes.as_ptr();
        wipe(&mut bytes);
        assert!(bytes.is_empty());
        // What is reserved comes back as it is: nothing is moved.
        bytes.resize(100, 0);
        assert_eq!(bytes.as_ptr(), place);
        assert!(bytes.iter().all(|byte| *byte == 0));
        assert_eq!(format!("{:?}", SecretVec::new(vec![0x41; 3])), "SecretVec(3 bytes)");
    }

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
