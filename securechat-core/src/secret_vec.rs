//! Bytes of any number that must not be left behind.

use core::fmt;
use core::ops::{Deref, DerefMut};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::optimization_barrier;

/// Secret bytes of any number, wiped on drop with what is reserved behind them; never printed.
///
/// As `Zeroizing<Vec<u8>>`, but wiped at the speed of memory: that one writes byte by byte, which takes half as long as
/// opening what is in it. A buffer that grows leaves copies behind; reserve first.
#[derive(Clone, Default, PartialEq, Eq)]
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
}
