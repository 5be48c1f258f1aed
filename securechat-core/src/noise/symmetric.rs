//! The state that both sides build up alike: transcript hash, chaining key, and the key of the present moment
//! (Noise section 5.2).

use crate::crypto::aead::{AeadKey, Cipher};
use crate::crypto::hash::{hkdf, sha256};
use crate::crypto::secret::Secret;
use crate::error::Decrypt;
use zeroize::Zeroizing;

pub(super) struct SymmetricState {
    cipher: Cipher,
    chaining_key: Secret<32>,
    hash: [u8; 32],
    key: Option<AeadKey>,
    nonce: u64,
}

impl SymmetricState {
    /// `InitializeSymmetric`: a name of up to 32 bytes stands for itself, a longer one is hashed.
    pub(super) fn new(cipher: Cipher, protocol_name: &str) -> Self {
        let name = protocol_name.as_bytes();
        let mut hash = [0; 32];
        match hash.get_mut(..name.len()) {
            Some(front) => front.copy_from_slice(name),
            None => hash = sha256(&[name]),
        }
        Self { cipher, chaining_key: Secret::from_bytes(&hash), hash, key: None, nonce: 0 }
    }

    pub(super) fn mix_hash(&mut self, data: &[u8]) {
        self.hash = sha256(&[&self.hash, data]);
    }

    pub(super) fn mix_key(&mut self, material: &[u8]) {
        let [chaining_key, key] = derive(&self.chaining_key, material);
        self.chaining_key = chaining_key;
        self.set_key(&key);
    }

    pub(super) fn mix_key_and_hash(&mut self, material: &[u8]) {
        let [chaining_key, hashed, key] = derive(&self.chaining_key, material);
        self.chaining_key = chaining_key;
        self.mix_hash(hashed.as_bytes());
        self.set_key(&key);
    }

    fn set_key(&mut self, key: &Secret<32>) {
        self.key = Some(AeadKey::new(self.cipher, key.as_bytes()));
        self.nonce = 0;
    }

    /// How long `n` bytes are after [`Self::encrypt_and_hash`] at this moment.
    pub(super) fn sealed_len(&self, n: usize) -> usize {
        if self.key.is_some() { self.cipher.ciphertext_len(n) } else { n }
    }

    /// Appends `plaintext` to `out`, sealed as soon as there is a key.
    pub(super) fn encrypt_and_hash(&mut self, plaintext: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(plaintext);
        if let Some(key) = &self.key {
            key.seal_in_place(self.nonce, &self.hash, out, start);
            self.nonce += 1;
        }
        self.mix_hash(out.get(start..).unwrap_or_default());
    }

    /// The inverse of [`Self::encrypt_and_hash`]; on failure nothing moves.
    pub(super) fn decrypt_and_hash(&mut self, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, Decrypt> {
        let plaintext = match &self.key {
            Some(key) => {
                let plaintext = key.open(self.nonce, &self.hash, bytes)?;
                self.nonce += 1;
                plaintext
            }
            None => Zeroizing::new(bytes.to_vec()),
        };
        self.mix_hash(bytes);
        Ok(plaintext)
    }

    /// The transcript hash so far.
    pub(super) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// `Split`: the initiator's sending key, the responder's, and the final hash.
    pub(super) fn split(&self) -> (AeadKey, AeadKey, [u8; 32]) {
        let [first, second] = derive(&self.chaining_key, &[]);
        #[cfg(test)]
        crate::vectors::trace::note_end(
            self.chaining_key.as_bytes(),
            &self.hash,
            Some([first.as_bytes(), second.as_bytes()]),
        );
        (AeadKey::new(self.cipher, first.as_bytes()), AeadKey::new(self.cipher, second.as_bytes()), self.hash)
    }

    /// The final chaining key and hash, for derivations that take the place of `Split`.
    pub(super) fn into_chaining_key(self) -> (Secret<32>, [u8; 32]) {
        #[cfg(test)]
        crate::vectors::trace::note_end(self.chaining_key.as_bytes(), &self.hash, None);
        (self.chaining_key, self.hash)
    }
}

/// Noise's HKDF, which is RFC 5869 with an empty info.
fn derive<const N: usize>(chaining_key: &Secret<32>, material: &[u8]) -> [Secret<32>; N] {
    let mut outputs = Zeroizing::new([[0; 32]; N]);
    hkdf(chaining_key.as_bytes(), material, &[], outputs.as_flattened_mut());
    outputs.each_ref().map(Secret::from_bytes)
}
