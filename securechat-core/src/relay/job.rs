//! What the relay cannot do itself and hands to its host: password hashing and the store.

use super::answer::StoreResult;
use super::store::StoreJob;
use crate::wire::Password;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Which job a result belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(super) u64);

impl JobId {
    /// The number, for hosts that keep jobs elsewhere.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The id with this number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// Something slow.
///
/// Store jobs take effect in the order in which they were handed out, and are completed in that order.
/// Hash and verify jobs may be done at any time and in any order.
#[derive(Debug)]
pub enum Job {
    /// Make a hash of a new password: Argon2id with a random salt, as a PHC string.
    Hash {
        /// The password.
        password: Password,
    },
    /// Check a password. It takes the same time whether or not the answer is yes.
    Verify {
        /// The password.
        password: Password,
        /// A PHC string, or a bcrypt hash from another system.
        hash: PasswordHash,
    },
    /// Read or change what is kept.
    Store(StoreJob),
}

impl Job {
    /// About how many bytes it keeps in memory.
    pub(super) fn weight(&self) -> usize {
        const SMALL: usize = 256;
        SMALL
            + match self {
                Self::Hash { .. } | Self::Verify { .. } => 0,
                Self::Store(job) => job.weight(),
            }
    }
}

/// The answer to a job.
#[derive(Debug)]
pub enum JobResult {
    /// The new hash.
    Hash(PasswordHash),
    /// The outcome of a check.
    Verify {
        /// Whether the password is right.
        ok: bool,
        /// Whether the hash is of an old kind (bcrypt, or other parameters) and is to be replaced.
        rehash: bool,
    },
    /// The answer of the store.
    Store(StoreResult),
    /// The job could not be done, or is of no use any more; the request is refused as `unavailable`.
    Failed,
}

/// A password hash: a PHC string or a bcrypt hash. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes the string as it is.
    pub fn new(hash: impl Into<String>) -> Self {
        Self(hash.into())
    }

    /// The string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(..)")
    }
}
