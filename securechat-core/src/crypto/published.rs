//! The primitives as published vectors address them, with nonces, labels and lengths of the vectors' own choosing.
//!
//! Each function is a way into the code that the typed wrappers use, behind what they add: the counter in the nonce, the
//! derived keys and IVs of the CBC cipher, the label of a signature and of OAEP. Keys of 128 bits are reached from here
//! only. It is public for `tests/vectors.rs` and is no part of the interface; nothing in this crate calls it.

use super::aead::cbc_hmac::CbcHmac;
use super::aead::{open_gcm, seal_gcm};
use super::backend::dalek::{self, Ed25519};
use super::backend::{Active, Backend, Cbc, Gcm, Mac, hashes};
use super::rsa;
use crate::error::{Decrypt, PeerMisbehaved};
use rand_core::CryptoRng;

/// AES-256-GCM: ciphertext and tag.
pub fn gcm_seal(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = plaintext.to_vec();
    seal_gcm(&<Active as Backend>::Gcm::new(key), nonce, ad, &mut buffer, 0);
    buffer
}

/// The plaintext of ciphertext and tag.
pub fn gcm_open(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, Decrypt> {
    opened(ciphertext, |buffer| open_gcm(&<Active as Backend>::Gcm::new(key), nonce, ad, buffer))
}

/// A128CBC-HS256 (RFC 7518 section 5.2.3), the same composition with shorter keys and tag.
pub struct A128CbcHs256(CbcHmac<<Active as Backend>::Mac128, <Active as Backend>::Cbc128, 16, 16>);

impl A128CbcHs256 {
    /// Of `MAC_KEY` and `ENC_KEY`, the halves of that algorithm's key.
    pub fn new(mac: &[u8; 16], encryption: &[u8; 16]) -> Self {
        Self(CbcHmac::new(mac, encryption))
    }

    /// Ciphertext and tag.
    pub fn seal(&self, iv: &[u8; 16], ad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = plaintext.to_vec();
        self.0.seal(iv, ad, &mut buffer, 0);
        buffer
    }

    /// The plaintext of ciphertext and tag.
    pub fn open(&self, iv: &[u8; 16], ad: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, Decrypt> {
        opened(ciphertext, |buffer| self.0.open(iv, ad, buffer))
    }
}

/// AES-CBC with PKCS#7 padding, which PKCS#5 also names; keys of 16 and 32 bytes, none of another length.
pub fn cbc_encrypt(key: &[u8], iv: &[u8; 16], plaintext: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = plaintext.to_vec();
    if let Ok(key) = key.try_into() {
        unauthenticated::<<Active as Backend>::Mac, <Active as Backend>::Cbc, 32>(key).encrypt(iv, &mut buffer, 0);
    } else {
        let key = key.try_into().ok()?;
        unauthenticated::<<Active as Backend>::Mac128, <Active as Backend>::Cbc128, 16>(key).encrypt(
            iv,
            &mut buffer,
            0,
        );
    }
    Some(buffer)
}

/// The plaintext; keys as in [`cbc_encrypt`].
pub fn cbc_decrypt(key: &[u8], iv: &[u8; 16], ciphertext: &[u8]) -> Option<Result<Vec<u8>, Decrypt>> {
    if let Ok(key) = key.try_into() {
        let cbc = unauthenticated::<<Active as Backend>::Mac, <Active as Backend>::Cbc, 32>(key);
        return Some(opened(ciphertext, |buffer| cbc.decrypt(iv, buffer)));
    }
    let cbc = unauthenticated::<<Active as Backend>::Mac128, <Active as Backend>::Cbc128, 16>(key.try_into().ok()?);
    Some(opened(ciphertext, |buffer| cbc.decrypt(iv, buffer)))
}

/// The composition without its tag.
fn unauthenticated<M: Mac<KEY>, C: Cbc<KEY>, const KEY: usize>(key: &[u8; KEY]) -> CbcHmac<M, C, KEY, 32> {
    CbcHmac::new(&[0; KEY], key)
}

fn opened(ciphertext: &[u8], open: impl FnOnce(&mut [u8]) -> Result<usize, Decrypt>) -> Result<Vec<u8>, Decrypt> {
    let mut buffer = ciphertext.to_vec();
    let length = open(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// The Ed25519 signature of the bare message.
pub fn ed25519_sign(private: &[u8; 32], message: &[u8]) -> [u8; 64] {
    Ed25519::new(private).sign(message)
}

/// Strict verification of an Ed25519 signature over the bare message.
pub fn ed25519_verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), PeerMisbehaved> {
    dalek::verify(public, message, signature)
}

/// RSAES-OAEP with SHA-256 and MGF1-SHA-256: the message of any length. Unlike decapsulation it tells of failure.
pub fn oaep_open(key: &rsa::PrivateKey, ciphertext: &[u8], label: &[u8], rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
    key.decrypt_any(ciphertext, label, rng)
}

/// The HMAC-SHA-1 of one-time codes.
pub fn hmac_sha1(key: &[u8; 20], message: &[u8]) -> [u8; 20] {
    hashes::hmac_sha1(key, message)
}
