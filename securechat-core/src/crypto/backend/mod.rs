//! The primitives, from one of two sources. Only the modules in here name a crypto crate; `securechat-ciphers` beside this one is
//! a part of them that stays compiled for speed where the core is compiled for size.
//!
//! [`Backend`] is what both have in common. What is built from the primitives is generic over it, so that one test
//! suite runs over both; everything else uses [`Active`].

#[cfg(feature = "aws-lc")]
#[cfg_attr(securechat_fuzz_stub, allow(dead_code))]
pub(crate) mod aws_lc;
#[cfg_attr(securechat_fuzz_stub, allow(dead_code))]
pub(crate) mod dalek;
#[cfg_attr(securechat_fuzz_stub, allow(dead_code))]
pub(crate) mod oaep;
// With the fast backend in place this one still makes and checks RSA keys; the rest of it is what tests compare with.
#[cfg_attr(any(feature = "aws-lc", securechat_fuzz_stub), allow(dead_code))]
pub(crate) mod rust_crypto;
#[cfg(securechat_fuzz_stub)]
pub(crate) mod stub;

/// SHA-2, HMAC and HKDF, which are the same in every backend.
pub(crate) use securechat_ciphers::hash as hashes;

use super::mlkem::{CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN};
use super::rsa::PublicKey;
use super::secret::Secret;
use crate::error::{ApiMisuse, Decrypt, InvalidMessage};
use rand_core::CryptoRng;
use subtle::Choice;
use zeroize::Zeroizing;

/// The backend that this build uses.
#[cfg(not(any(feature = "aws-lc", securechat_fuzz_stub)))]
pub(crate) type Active = rust_crypto::RustCrypto;
/// The backend that this build uses.
#[cfg(all(feature = "aws-lc", not(securechat_fuzz_stub)))]
pub(crate) type Active = aws_lc::AwsLc;
/// The backend of a fuzzing build that is to get past authentication.
#[cfg(securechat_fuzz_stub)]
pub(crate) type Active = stub::Stub;

/// Ed25519, which is the same in both backends.
#[cfg(not(securechat_fuzz_stub))]
pub(crate) use dalek as signatures;
#[cfg(securechat_fuzz_stub)]
pub(crate) use stub as signatures;

/// A source of primitives. The bytes are the same whichever it is.
pub(crate) trait Backend: 'static {
    type Mac: Mac<32>;
    type Gcm: Gcm;
    type Cbc: Cbc<32>;
    type Block: Block;
    type X25519: X25519;
    type RsaPrivate: RsaPrivate;
    type MlKemPrivate: MlKemPrivate;
    /// For published vectors with 128-bit keys; the protocol has none.
    type Mac128: Mac<16>;
    /// As above.
    type Cbc128: Cbc<16>;

    /// RSAES-OAEP under the label of PROTOCOL.md 2.2. None only if there is no memory.
    fn rsa_encrypt(key: &PublicKey, message: &[u8; 32], rng: &mut dyn CryptoRng) -> Option<Vec<u8>>;
    /// ML-KEM-768 encapsulation. Fails on a key that the check of FIPS 203 section 7.2 refuses.
    fn mlkem_encapsulate(
        key: &[u8; ENCAPSULATION_KEY_LEN],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Secret<32>), InvalidMessage>;
}

/// HMAC-SHA-256 under a key of `KEY` bytes that serves more than once.
pub(crate) trait Mac<const KEY: usize>: Send + Sync {
    fn new(key: &[u8; KEY]) -> Self;
    /// The tag of the parts, one after the other.
    fn tag(&self, parts: &[&[u8]], out: &mut [u8; 32]);
}

/// HMAC-SHA-256 that keeps its key instead of a state: a state has a buffer that is not written at first, which would
/// take what lies on the stack, keys among it, along to where a key is kept.
pub(crate) struct KeptHmac<const KEY: usize>(Zeroizing<[u8; KEY]>);

impl<const KEY: usize> Mac<KEY> for KeptHmac<KEY> {
    fn new(key: &[u8; KEY]) -> Self {
        Self(Zeroizing::new(*key))
    }

    fn tag(&self, parts: &[&[u8]], out: &mut [u8; 32]) {
        hashes::hmac_sha256(&*self.0, parts, out);
    }
}

/// AES-256-GCM with its key expanded.
pub(crate) trait Gcm: Send + Sync {
    fn new(key: &[u8; 32]) -> Self;
    /// Encrypts in place and gives the tag. Fails on more than 64 GiB.
    fn seal(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; 16], Decrypt>;
    /// Decrypts in place. On failure what is in the buffer is of no use; the caller wipes it.
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

/// An X25519 private key.
pub(crate) trait X25519: Send + Sync {
    fn new(bytes: Secret<32>) -> Self;
    fn bytes(&self) -> &Secret<32>;
    fn public(&self) -> [u8; 32];
    /// The shared secret (RFC 7748); all zeros for a peer's key of low order.
    fn agree(&self, public: &[u8; 32]) -> Secret<32>;
}

/// An RSA private key.
pub(crate) trait RsaPrivate: Sized + Send + Sync {
    /// The key of PKCS#1 DER that [`rust_crypto::rsa_check`] accepted.
    fn new(pkcs1: &[u8]) -> Result<Self, ApiMisuse>;
    /// RSAES-OAEP of a 32-byte message, decoded as PROTOCOL.md 2.2 says: writes something into `message` always, and
    /// gives whether it is a message. The ciphertext has the length of the modulus and is below it.
    fn decrypt(&self, ciphertext: &[u8], message: &mut [u8; 32], rng: &mut dyn CryptoRng) -> Choice;
    /// The message of any length under any label, for published vectors: not in constant time.
    fn decrypt_any(&self, ciphertext: &[u8], label: &[u8], rng: &mut dyn CryptoRng) -> Option<Vec<u8>>;
}

/// An ML-KEM-768 private key.
pub(crate) trait MlKemPrivate: Sized + Send + Sync {
    /// The key that FIPS 203 derives from a seed `d || z`.
    fn from_seed(seed: &[u8; 64]) -> Self;
    /// The public key.
    fn encapsulation_key(&self) -> Box<[u8; ENCAPSULATION_KEY_LEN]>;
    /// Decapsulation with implicit rejection. None only if there is no memory.
    fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Option<Secret<32>>;
}
