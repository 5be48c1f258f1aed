//! Ed25519 from ed25519-dalek, which serves both backends: AWS-LC's verification accepts keys of small order.

use crate::error::PeerMisbehaved;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// An Ed25519 private key with its public key, on the heap and wiped on drop.
pub(crate) struct Ed25519(Box<SigningKey>);

impl Ed25519 {
    /// The key of 32 random bytes (RFC 8032).
    pub(crate) fn new(private: &[u8; 32]) -> Self {
        Self(Box::new(SigningKey::from_bytes(private)))
    }

    /// The private key's bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public key.
    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The signature of a message.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Strict verification: the public key and R canonical and of large order, S reduced, no cofactor.
pub(crate) fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), PeerMisbehaved> {
    if !is_canonical(public) {
        return Err(PeerMisbehaved::BadSignature);
    }
    VerifyingKey::from_bytes(public)
        .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
        .map_err(|_| PeerMisbehaved::BadSignature)
}

/// Whether the y coordinate is below p = 2^255 - 19, as RFC 8032 section 5.1.3 asks and dalek does not.
fn is_canonical(point: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = point;
    *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}
