//! PROTOCOL.md's derivations, computed anew on the stack: what the engines' secrets must be.

use crate::scan::Secrets;
use securechat_core::crypto::aead::{AeadKey, Cipher, OVERHEAD_MAX};
use securechat_core::crypto::hash::{hkdf, hkdf_expand, hmac_sha256};
use securechat_core::crypto::label::Label;
use securechat_core::crypto::x25519::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

pub fn public(private: &[u8; 32]) -> PublicKey {
    PrivateKey::from_bytes(private).public()
}

/// X25519 of a private key and a public one.
pub fn agree(private: &[u8; 32], public: &PublicKey) -> [u8; 32] {
    *PrivateKey::from_bytes(private).agree(public).unwrap().as_bytes()
}

fn halves(both: &[u8; 64]) -> ([u8; 32], [u8; 32]) {
    let [left, right] = both.as_chunks().0 else { unreachable!() };
    (*left, *right)
}

/// Noise's HKDF with two outputs: chaining key and key, or the two keys of `Split`.
fn mix(chaining_key: &[u8; 32], material: &[u8]) -> ([u8; 32], [u8; 32]) {
    let mut both = [0; 64];
    hkdf(chaining_key, material, &[], &mut both);
    halves(&both)
}

/// The secrets of a handshake whose tokens mix these, in order: chaining keys, the keys of its messages, and the two
/// keys of `Split`. The transcript has no part in any of them (Noise section 5.2).
pub struct Handshake {
    pub passed: Secrets,
    pub initiators: [u8; 32],
    pub responders: [u8; 32],
}

pub fn handshake(protocol_name: &str, cipher: Cipher, mixed: &[[u8; 32]]) -> Handshake {
    let mut chaining_key = [0; 32];
    match chaining_key.get_mut(..protocol_name.len()) {
        Some(front) => front.copy_from_slice(protocol_name.as_bytes()),
        None => chaining_key = securechat_core::crypto::hash::sha256(&[protocol_name.as_bytes()]),
    }
    let mut passed = Secrets::default();
    for material in mixed {
        let key;
        (chaining_key, key) = mix(&chaining_key, material);
        passed.note("a shared secret of the handshake", material);
        passed.note("a chaining key", &chaining_key);
        passed.add(&aead("a handshake key", cipher, &key));
    }
    let (initiators, responders) = mix(&chaining_key, &[]);
    Handshake { passed, initiators, responders }
}

/// A key of a cipher, and what it is expanded to. The keys of AES's first rounds are the key itself.
pub fn aead(name: &'static str, cipher: Cipher, key: &[u8; 32]) -> Secrets {
    match cipher {
        Cipher::AesGcm => Secrets::one(name, key),
        Cipher::AesCbcHmac => {
            let mut keys = [0; 96];
            hkdf_expand(key, &[Label::CBC_HMAC.bytes()], &mut keys);
            // The first, HMAC's, is kept absorbed or as it is, depending on the backend.
            Secrets::one(name, &keys[32..])
        }
    }
}

/// What of a key is nowhere even while it is in use, and must be nowhere after: what it was expanded from.
pub fn aead_origin(cipher: Cipher, key: &[u8; 32]) -> Secrets {
    let mut all = Secrets::one("the key that was expanded", key);
    if cipher == Cipher::AesCbcHmac {
        let mut keys = [0; 96];
        hkdf_expand(key, &[Label::CBC_HMAC.bytes()], &mut keys);
        all.note("the expanded keys", &keys);
    }
    all
}

/// Noise's REKEY.
pub fn rekey(cipher: Cipher, key: &[u8; 32]) -> [u8; 32] {
    let mut zeros = Zeroizing::new(Vec::with_capacity(32 + OVERHEAD_MAX));
    zeros.resize(32, 0);
    AeadKey::new(cipher, key).seal_in_place(u64::MAX, &[], &mut zeros, 0);
    *zeros.first_chunk().unwrap()
}

/// `RK || CK` at the beginning of a session.
pub fn session_root(chaining_key: &[u8; 32], hash: &[u8; 32], identities: [&[u8; 32]; 2]) -> ([u8; 32], [u8; 32]) {
    let mut output = [0; 80];
    let [initiator, responder] = identities;
    hkdf(hash, chaining_key, &[Label::SESSION_ROOT.bytes(), initiator, responder], &mut output);
    halves(output.first_chunk().unwrap())
}

/// `KDF_RK`: the next root key, and the chain key that begins with it.
pub fn turn(root: &[u8; 32], agreed: &[u8; 32]) -> ([u8; 32], [u8; 32]) {
    let mut both = [0; 64];
    hkdf(root, agreed, &[Label::RATCHET.bytes()], &mut both);
    halves(&both)
}

/// `KDF_CK`: a message key, and the next chain key.
pub fn step(chain: &[u8; 32]) -> ([u8; 32], [u8; 32]) {
    let (mut message, mut next) = ([0; 32], [0; 32]);
    hmac_sha256(chain, &[&[1]], &mut message);
    hmac_sha256(chain, &[&[2]], &mut next);
    (message, next)
}

/// `HKDF-Expand(key, label || salt, 32)`: the keys of one message, chunk or record.
pub fn salted(key: &[u8; 32], label: Label, salt: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    hkdf_expand(key, &[label.bytes(), salt], &mut out);
    out
}
