//! Password hashes: Argon2id for our own, bcrypt for users who came from elsewhere.
//!
//! Hashes are PHC strings (`$argon2id$v=19$m=19456,t=2,p=1$…`) or bcrypt strings (`$2b$12$…`). They run on
//! worker threads, never on the thread that serves the sockets.

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};
use thiserror::Error;

/// What a password must cost whoever guesses it: OWASP's first choice for Argon2id, 19 MiB and two passes.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What a hash from elsewhere may cost us at most, so that one login cannot hold a thread or the memory for long.
const IMPORTED_MEMORY_KIB: u32 = 1024 * 1024;
const IMPORTED_PASSES: u32 = 16;
const IMPORTED_LANES: u32 = 16;
const IMPORTED_BCRYPT_COST: u32 = 16;

/// Why a hash cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HashError {
    /// It is no bcrypt string and no PHC string of Argon2id.
    #[error("it is neither a bcrypt hash ($2a$, $2b$, $2y$) nor an Argon2id hash ($argon2id$...)")]
    Unknown,
    /// Verifying it would take too long or too much memory.
    #[error("verifying it would cost more time or memory than this server gives to one login")]
    TooExpensive,
    /// The hash could not be computed: no memory, no randomness.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes a password for storage, with a fresh salt.
pub(crate) fn hash(password: &[u8]) -> Result<String, HashError> {
    let hash = hasher()?.hash_password(password).map_err(|_| HashError::Failed)?;
    Ok(hash.to_string())
}

/// Whether `password` is the one of `hash`.
pub(crate) fn verify(password: &[u8], hash: &str) -> Result<bool, HashError> {
    match check(hash)? {
        Kind::Bcrypt => bcrypt::verify(password, hash).map_err(|_| HashError::Failed),
        Kind::Argon2id { .. } => Ok(hasher()?.verify_password(password, hash).is_ok()),
    }
}

/// Whether a hash should be replaced the next time its password is at hand: all are to take the same time (L4).
pub(crate) fn needs_rehash(hash: &str) -> bool {
    !matches!(check(hash), Ok(Kind::Argon2id { memory: MEMORY_KIB, passes: PASSES, lanes: LANES }))
}

/// Checks a hash from elsewhere: known, and at a cost that this server bears.
pub(crate) fn check_imported(hash: &str) -> Result<(), HashError> {
    check(hash).map(|_| ())
}

enum Kind {
    Bcrypt,
    Argon2id { memory: u32, passes: u32, lanes: u32 },
}

fn check(hash: &str) -> Result<Kind, HashError> {
    if hash.starts_with("$2") { check_bcrypt(hash) } else { check_argon2id(hash) }
}

fn check_bcrypt(hash: &str) -> Result<Kind, HashError> {
    // $2x$ marks hashes of a faulty implementation, which need that fault to verify.
    if !["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix)) {
        return Err(HashError::Unknown);
    }
    let parts: bcrypt::HashParts = hash.parse().map_err(|_| HashError::Unknown)?;
    if parts.get_cost() > IMPORTED_BCRYPT_COST { Err(HashError::TooExpensive) } else { Ok(Kind::Bcrypt) }
}

fn check_argon2id(hash: &str) -> Result<Kind, HashError> {
    let hash = PasswordHash::new(hash).map_err(|_| HashError::Unknown)?;
    let complete = hash.salt.is_some() && hash.hash.is_some();
    if !complete || Algorithm::try_from(hash.algorithm.as_str()) != Ok(Algorithm::Argon2id) {
        return Err(HashError::Unknown);
    }
    let params = Params::try_from(&hash).map_err(|_| HashError::Unknown)?;
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    if memory > IMPORTED_MEMORY_KIB || passes > IMPORTED_PASSES || lanes > IMPORTED_LANES {
        return Err(HashError::TooExpensive);
    }
    Ok(Kind::Argon2id { memory, passes, lanes })
}

fn hasher() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashError::Failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_hashes_are_owasps() {
        let hash = hash(b"correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(verify(b"correct horse", &hash), Ok(true));
        assert_eq!(verify(b"correct hors", &hash), Ok(false));
        assert!(!needs_rehash(&hash));
    }

    #[test]
    fn salts_differ() {
        assert_ne!(hash(b"same").unwrap(), hash(b"same").unwrap());
    }

    #[test]
    fn bcrypt_verifies_and_is_to_be_replaced() {
        let hash = bcrypt::hash("old password", 4).unwrap();
        for version in ["$2a$", "$2b$", "$2y$"] {
            let hash = hash.replacen("$2b$", version, 1);
            assert_eq!(verify(b"old password", &hash), Ok(true));
            assert_eq!(verify(b"new password", &hash), Ok(false));
            assert!(needs_rehash(&hash));
        }
        assert_eq!(check_imported(&hash.replacen("$2b$", "$2x$", 1)), Err(HashError::Unknown));
    }

    /// A test vector of another implementation (OpenBSD's, from the crypt_blowfish suite).
    #[test]
    fn bcrypt_of_another_implementation() {
        assert_eq!(verify(b"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), Ok(true));
    }

    #[test]
    fn weaker_and_stronger_argon2id_is_to_be_replaced() {
        for (memory, passes) in [(8, 1), (2 * MEMORY_KIB, 3)] {
            let params = Params::new(memory, passes, 1, None).unwrap();
            let hash = Argon2::from(params).hash_password(b"pw").unwrap().to_string();
            assert_eq!(verify(b"pw", &hash), Ok(true));
            assert!(needs_rehash(&hash));
        }
    }

    #[test]
    fn unusable_hashes_are_refused_with_the_reason() {
        let expensive = bcrypt::hash("x", 4).unwrap().replacen("$04$", "$31$", 1);
        assert_eq!(check_imported(&expensive), Err(HashError::TooExpensive));
        let own = hash(b"x").unwrap();
        assert_eq!(check_imported(&own.replacen("m=19456", "m=4000000", 1)), Err(HashError::TooExpensive));
        assert_eq!(check_imported(&own.replacen("argon2id", "argon2i", 1)), Err(HashError::Unknown));
        assert_eq!(check_imported("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ"), Err(HashError::Unknown));
        for text in ["", "plain", "$2b$12$short", "$1$abc$def", "5f4dcc3b5aa765d61d8327deb882cf99"] {
            assert_eq!(check_imported(text), Err(HashError::Unknown), "{text}");
            assert_eq!(verify(b"x", text), Err(HashError::Unknown));
        }
    }
}
