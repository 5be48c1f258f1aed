//! From a passphrase to the key that wraps the vault key.

use crate::error::Error;
use argon2::{Algorithm, Argon2, Params, Version};
use securechat_core::crypto::secret::Secret;

/// Length of the salt, in bytes.
pub(crate) const SALT: usize = 16;
/// Most memory that a stored cost may ask for, in KiB: a changed file must not exhaust the machine.
const MEMORY_MAX: u32 = 1 << 20;
/// Most passes that a stored cost may ask for.
const PASSES_MAX: u32 = 64;

/// What one guess at a passphrase costs (Argon2id, RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// The least that Argon2 takes: for tests and demonstrations only.
    pub const LEAST: Self = Self { memory: 8, passes: 1, lanes: 1 };

    /// `memory u32 | passes u32 | lanes u32`.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [self.memory, self.passes, self.lanes].iter().flat_map(|value| value.to_be_bytes()).collect()
    }

    /// The inverse of [`to_bytes`](Self::to_bytes); `None` when it is not a cost, or an absurd one.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.chunks_exact(4).filter_map(|word| word.first_chunk().copied()).map(u32::from_be_bytes);
        let cost = Self { memory: words.next()?, passes: words.next()?, lanes: words.next()? };
        (bytes.len() == 12 && cost.memory <= MEMORY_MAX && cost.passes <= PASSES_MAX).then_some(cost)
    }
}

impl Default for Cost {
    /// RFC 9106, section 4, the second recommended option: 64 MiB, 3 passes, 4 lanes.
    fn default() -> Self {
        Self { memory: 64 * 1024, passes: 3, lanes: 4 }
    }
}

/// The key that a passphrase, a salt and a cost give.
pub(crate) fn derive(passphrase: &str, salt: &[u8; SALT], cost: Cost) -> Result<Secret<32>, Error> {
    if passphrase.is_empty() {
        return Err(Error::EmptyPassphrase);
    }
    let mut key = Secret::zero();
    Params::new(cost.memory, cost.passes, cost.lanes, Some(32))
        .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
        .and_then(|argon2| argon2.hash_password_into(passphrase.as_bytes(), salt, key.as_mut_bytes()))
        .map_err(|_| Error::WrongPassphrase)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passphrase_salt_and_cost_all_count() {
        let key = |passphrase, salt, cost| *derive(passphrase, &[salt; SALT], cost).unwrap().as_bytes();
        let first = key("correct horse", 1, Cost::LEAST);
        assert_eq!(first, key("correct horse", 1, Cost::LEAST));
        assert_ne!(first, key("correct horsf", 1, Cost::LEAST));
        assert_ne!(first, key("correct horse", 2, Cost::LEAST));
        assert_ne!(first, key("correct horse", 1, Cost { passes: 2, ..Cost::LEAST }));
        assert!(matches!(derive("", &[1; SALT], Cost::LEAST), Err(Error::EmptyPassphrase)));
    }

    /// Computed apart from this code, with Python's cryptography; `tests/vectors/README.md` of the core has it too.
    #[test]
    fn the_key_is_argon2id_of_the_passphrase() {
        let key = derive("correct horse", &[1; SALT], Cost::LEAST).unwrap();
        let hex: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "1e72478b938526616c9438906e0e74c3ac199561032e12fedac5f2526ef9a3b0");
    }

    /// RFC 9106, section 4: the second recommended option, as far as this crate can be asked for it.
    #[test]
    fn the_default_cost_is_the_recommended_one() {
        assert_eq!(Cost::default(), Cost { memory: 65_536, passes: 3, lanes: 4 });
    }

    #[test]
    fn a_stored_cost_is_bounded() {
        let cost = Cost::default();
        assert_eq!(Cost::from_bytes(&cost.to_bytes()), Some(cost));
        assert_eq!(Cost::from_bytes(&Cost { memory: MEMORY_MAX + 1, ..cost }.to_bytes()), None);
        assert_eq!(Cost::from_bytes(&Cost { passes: u32::MAX, ..cost }.to_bytes()), None);
        assert_eq!(Cost::from_bytes(&cost.to_bytes()[1..]), None);
        assert_eq!(Cost::from_bytes(&[cost.to_bytes(), vec![0]].concat()), None);
    }
}
