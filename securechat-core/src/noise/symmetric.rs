//! The state that both sides build up alike: transcript hash, chaining key, and the key of the present moment
//! (Noise section 5.2).

use crate::crypto::aead::{AeadKey, Cipher};
use crate::crypto::hash::{hkdf, sha256};
use crate::crypto::secret::{Secret, SecretVec};
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
    pub(super) fn decrypt_and_hash(&mut self, bytes: &[u8]) -> Result<SecretVec, Decrypt> {
        let plaintext = match &self.key {
            Some(key) => {
                let plaintext = key.open(self.nonce, &self.hash, bytes)?;
                self.nonce += 1;
                plaintext
            }
            None => SecretVec::new(bytes.to_vec()),
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

/// Against Noise 5.2 written out with HMAC and SHA-256.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::hmac_sha256;

    const BOTH: [Cipher; 2] = [Cipher::AesGcm, Cipher::AesCbcHmac];
    const NAME: &str = "Noise_XX_25519_AESGCM_SHA256";

    fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
        let mut tag = [0; 32];
        hmac_sha256(key, parts, &mut tag);
        tag
    }

    /// The HKDF of Noise 4.3, three outputs.
    fn noise_hkdf(chaining_key: &[u8; 32], material: &[u8]) -> [[u8; 32]; 3] {
        let key = hmac(chaining_key, &[material]);
        let first = hmac(&key, &[&[1]]);
        let second = hmac(&key, &[&first, &[2]]);
        [first, second, hmac(&key, &[&second, &[3]])]
    }

    /// The state after `mix_key`, its chaining key and its key.
    fn keyed(cipher: Cipher, material: &[u8]) -> (SymmetricState, [u8; 32], AeadKey) {
        let mut state = SymmetricState::new(cipher, NAME);
        let [chaining_key, key, _] = noise_hkdf(state.chaining_key.as_bytes(), material);
        state.mix_key(material);
        (state, chaining_key, AeadKey::new(cipher, &key))
    }

    #[test]
    fn a_name_stands_for_itself_up_to_32_bytes() {
        let long = "Noise_PKhfs_25519+MLKEM768_AESGCM_SHA256";
        for (name, hash) in [(&long[..31], None), (&long[..32], None), (&long[..33], Some(())), (long, Some(()))] {
            let expected = match hash {
                Some(()) => sha256(&[name.as_bytes()]),
                None => core::array::from_fn(|place| name.as_bytes().get(place).copied().unwrap_or(0)),
            };
            let state = SymmetricState::new(Cipher::AesGcm, name);
            assert_eq!((state.hash(), state.chaining_key.as_bytes()), (&expected, &expected));
        }
    }

    #[test]
    fn what_is_mixed_in_changes_hash_and_keys_as_noise_says() {
        for cipher in BOTH {
            let (mut state, chaining_key, key) = keyed(cipher, b"agreed");
            let name: [u8; 32] = core::array::from_fn(|place| NAME.as_bytes().get(place).copied().unwrap_or(0));
            assert_eq!((state.chaining_key.as_bytes(), state.hash()), (&chaining_key, &name));
            state.mix_hash(b"data");
            let hash = sha256(&[&name, b"data"]);
            assert_eq!(state.hash(), &hash);

            let mut out = Vec::new();
            state.encrypt_and_hash(b"", &mut out);
            assert_eq!(out, key.seal(0, &hash, b""));

            let before = *state.hash();
            let [chaining_key, hashed, key] = noise_hkdf(&chaining_key, b"psk");
            state.mix_key_and_hash(b"psk");
            let hash = sha256(&[&before, &hashed]);
            assert_eq!((state.chaining_key.as_bytes(), state.hash()), (&chaining_key, &hash));
            out.clear();
            state.encrypt_and_hash(b"", &mut out);
            assert_eq!(out, AeadKey::new(cipher, &key).seal(0, &hash, b""), "a new key begins at 0");
        }
    }

    #[test]
    fn without_a_key_data_goes_as_it_is() {
        let mut states = [(); 2].map(|()| SymmetricState::new(Cipher::AesGcm, NAME));
        let hash = sha256(&[states[0].hash(), b"text"]);
        let mut out = b"front".to_vec();
        assert_eq!(states[0].sealed_len(4), 4);
        states[0].encrypt_and_hash(b"text", &mut out);
        assert_eq!(out, b"fronttext");
        assert_eq!(states[1].decrypt_and_hash(b"text").unwrap().as_slice(), b"text");
        assert!(states.iter().all(|state| *state.hash() == hash && state.nonce == 0));
    }

    #[test]
    fn b2_each_of_several_under_one_key_has_its_counter() {
        for cipher in BOTH {
            let (mut sealing, _, key) = keyed(cipher, b"agreed");
            let (mut opening, ..) = keyed(cipher, b"agreed");
            for number in 0..4 {
                let before = *sealing.hash();
                let mut out = b"front".to_vec();
                sealing.encrypt_and_hash(b"text", &mut out);
                let sealed = out.split_off(5);
                assert_eq!((out.as_slice(), sealed.len()), (&b"front"[..], sealing.sealed_len(4)));
                assert_eq!(sealed, key.seal(number, &before, b"text"));
                assert_eq!(*sealing.hash(), sha256(&[&before, &sealed]));

                let mut forged = sealed.clone();
                forged[0] ^= 1;
                assert_eq!(opening.decrypt_and_hash(&forged), Err(Decrypt));
                assert_eq!(*opening.hash(), before, "what does not open moves nothing");
                assert_eq!(opening.decrypt_and_hash(&sealed).unwrap().as_slice(), b"text");
                assert_eq!(opening.hash(), sealing.hash());
                assert_eq!(opening.decrypt_and_hash(&sealed), Err(Decrypt), "once only");
            }
        }
    }

    #[test]
    fn the_end_gives_two_keys_or_the_chaining_key() {
        for cipher in BOTH {
            let (state, chaining_key, _) = keyed(cipher, b"agreed");
            let [first, second, _] = noise_hkdf(&chaining_key, &[]);
            let expected = *state.hash();
            let (initiator, responder, hash) = state.split();
            for (key, bytes) in [(initiator, first), (responder, second)] {
                assert_eq!(key.seal(0, b"", b"text"), AeadKey::new(cipher, &bytes).seal(0, b"", b"text"));
            }
            assert_eq!(hash, expected);
            let (key, hash) = state.into_chaining_key();
            assert_eq!((key.as_bytes(), hash), (&chaining_key, expected));
        }
    }
}
