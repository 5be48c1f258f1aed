//! X25519 key agreement (RFC 7748, PROTOCOL.md 2.2).

use super::backend::{Active, Backend};
use super::secret::Secret;
use crate::error::PeerMisbehaved;
use core::fmt;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// An X25519 public key: 32 bytes, any of them. Keys that give no secret are refused when they are used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("x25519::PublicKey(")?;
        super::write_hex(formatter, &self.0)?;
        formatter.write_str(")")
    }
}

/// An X25519 private key: 32 random bytes, clamped when used. In records it is those bytes.
#[derive(Debug, Serialize, Deserialize)]
pub struct PrivateKey(Secret<32>);

impl PrivateKey {
    /// A fresh key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// The key of these bytes, which the caller wipes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Secret::from_bytes(bytes))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        PublicKey(Active::x25519_public(self.as_bytes()))
    }

    /// The secret shared with `peer`. Fails with [`PeerMisbehaved::WeakKey`] when it is all zeros.
    pub fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, PeerMisbehaved> {
        contributory(Active::x25519(self.as_bytes(), &peer.0))
    }

    /// A second copy, made on purpose.
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }
}

/// Refuses the secret that a low-order key gives.
fn contributory(secret: Secret<32>) -> Result<Secret<32>, PeerMisbehaved> {
    if secret.as_bytes().ct_eq(&[0; 32]).into() { Err(PeerMisbehaved::WeakKey) } else { Ok(secret) }
}
