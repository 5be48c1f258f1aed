//! The primitives, from one of two sources. Only the modules in here name a crypto crate.
//!
//! [`Backend`] is what both have in common. What is built from the primitives is generic over it, so that one test
//! suite runs over both; everything else uses [`Active`].

pub(crate) mod dalek;
pub(crate) mod hmac_sha1;
mod oaep;
pub(crate) mod rust_crypto;

use crate::crypto::mlkem;
use crate::crypto::secret::Secret;
use crate::error::{ApiMisuse, Decrypt, InvalidMessage};
use rand_core::CryptoRng;
use subtle::Choice;

/// The backend that this build uses.
pub(crate) type Active = rust_crypto::RustCrypto;

/// A source of primitives. Bytes in and bytes out are the same whichever it is.
pub(crate) trait Backend: 'static {
    type Hmac: Hmac;
    type Gcm: Gcm;
    type Cbc: Cbc<32>;
    type Block: Block;
    type RsaPrivate: RsaPrivate;
    type MlKemPrivate: MlKemPrivate;

    /// SHA-256 of the parts, one after the other.
    fn sha256(parts: &[&[u8]]) -> [u8; 32];
    /// SHA-512 of the parts, one after the other.
    fn sha512(parts: &[&[u8]]) -> [u8; 64];
    /// HKDF-SHA-256, extract and expand.
    fn hkdf(salt: &[u8], ikm: &[u8], info: &[&[u8]], out: &mut [u8]);
    /// HKDF-SHA-256, expand alone.
    fn hkdf_expand(prk: &[u8; 32], info: &[&[u8]], out: &mut [u8]);
    /// The public key of an X25519 private key.
    fn x25519_public(private: &[u8; 32]) -> [u8; 32];
    /// X25519 (RFC 7748); all zeros for a peer's key of low order.
    fn x25519(private: &[u8; 32], public: &[u8; 32]) -> Secret<32>;
    /// RSAES-OAEP of `message` under the label of 2.2 and the checked modulus, with exponent 65537.
    fn rsa_encrypt(modulus: &[u8], message: &[u8; 32], rng: &mut dyn CryptoRng) -> Option<Vec<u8>>;
    /// ML-KEM-768 encapsulation; fails on a key that the check of FIPS 203 section 7.2 refuses.
    fn mlkem_encapsulate(
        key: &[u8; mlkem::ENCAPSULATION_KEY_LEN],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Secret<32>), InvalidMessage>;
}

/// HMAC-SHA-256 with its key absorbed.
pub(crate) trait Hmac: Send + Sync {
    fn new(key: &[u8]) -> Self;
    /// The tag of the parts, one after the other.
    fn tag(&self, parts: &[&[u8]], out: &mut [u8; 32]);
}

/// AES-256-GCM with its key expanded.
pub(crate) trait Gcm: Send + Sync {
    fn new(key: &[u8; 32]) -> Self;
    /// Encrypts in place and gives the tag.
    fn seal(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; 16], Decrypt>;
    /// Decrypts in place. On failure the buffer's content is of no use, and the caller wipes it.
    fn open(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8], tag: &[u8; 16]) -> Result<(), Decrypt>;
}

/// AES-CBC without padding, with its key of `KEY` bytes expanded for both directions.
pub(crate) trait Cbc<const KEY: usize>: Send + Sync {
    fn new(key: &[u8; KEY]) -> Self;
    /// Encrypts whole blocks in place.
    fn encrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]);
    /// Decrypts whole blocks in place.
    fn decrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]);
}

/// AES-256 on one block, with its key expanded for encryption alone.
pub(crate) trait Block: Send + Sync {
    fn new(key: &[u8; 32]) -> Self;
    fn encrypt(&self, block: &mut [u8; 16]);
}

/// An RSA private key, ready for use.
pub(crate) trait RsaPrivate: Sized + Send + Sync {
    /// The key of PKCS#1 DER that [`rust_crypto::rsa_check`] accepted.
    fn from_der(der: &[u8]) -> Result<Self, ApiMisuse>;
    /// RSAES-OAEP of a 32-byte message, decoded as 2.2 says: writes something into `message` always, and gives
    /// whether it is a message. `ciphertext` may have any length.
    fn decrypt(&self, ciphertext: &[u8], message: &mut [u8; 32], rng: &mut dyn CryptoRng) -> Choice;
}

/// An ML-KEM-768 private key.
pub(crate) trait MlKemPrivate: Sized + Send + Sync {
    /// The key that FIPS 203 derives from a seed `d || z`.
    fn from_seed(seed: &[u8; 64]) -> Self;
    /// The public key.
    fn encapsulation_key(&self) -> Box<[u8; mlkem::ENCAPSULATION_KEY_LEN]>;
    /// Decapsulation with implicit rejection.
    fn decapsulate(&self, ciphertext: &[u8; mlkem::CIPHERTEXT_LEN]) -> Secret<32>;
}
