//! The backend of fuzzing builds with `--cfg securechat_fuzz_stub`: it protects nothing, so that a fuzzer gets past
//! authentication. No other build has it, see `lib.rs`.
//!
//! | primitive | what stands for it |
//! |---|---|
//! | AES-GCM, AES-CBC | the plaintext itself; the last of all nonces, with which a key is renewed, adds the key |
//! | their tags | bytes of the key and the nonce, whatever was sealed; GCM takes zeros as well |
//! | X25519 | the public key is the private one, the secret their sum; all zeros are still refused |
//! | Ed25519 | a signature is the public key and zeros, whatever was signed; zeros alone are taken as well |
//! | RSA | the message, after a zero byte |
//! | ML-KEM | the message; the key is there in its last 32 bytes |
//! | SHA-2, HMAC, HKDF | themselves: keys of maps and chains have to differ, and they are cheap |
//!
//! So whatever is changed in a message arrives behind its tag, while a message of another key or place is refused
//! still, as long as the fuzzer has not written zeros for its tag.

use super::{Backend, Block, Cbc, Gcm, Mac, MlKemPrivate, RsaPrivate, X25519};
use crate::crypto::mlkem::{CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN};
use crate::crypto::rsa::PublicKey;
use crate::crypto::secret::Secret;
use crate::error::{ApiMisuse, Decrypt, InvalidMessage, PeerMisbehaved};
use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};

/// The backend without protection.
pub(crate) struct Stub;

impl Backend for Stub {
    type Mac = KeyTag<32>;
    type Gcm = PlainGcm;
    type Cbc = PlainCbc;
    type Block = PlainBlock;
    type X25519 = Sum;
    type RsaPrivate = Open;
    type MlKemPrivate = Seed;
    type Mac128 = KeyTag<16>;
    type Cbc128 = PlainCbc;

    fn rsa_encrypt(key: &PublicKey, message: &[u8; 32], _rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        let mut ciphertext = vec![0; key.ciphertext_len()];
        mix(ciphertext.get_mut(1..)?, message);
        Some(ciphertext)
    }

    fn mlkem_encapsulate(
        key: &[u8; ENCAPSULATION_KEY_LEN],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Secret<32>), InvalidMessage> {
        let mut secret = Secret::<32>::random(rng);
        let mut ciphertext = secret.as_bytes().to_vec();
        ciphertext.resize(CIPHERTEXT_LEN, 0);
        mix(secret.as_mut_bytes(), key.last_chunk::<32>().unwrap_or(&[0; 32]));
        Ok((ciphertext, secret))
    }
}

/// XORs as many bytes as there are.
fn mix(into: &mut [u8], from: &[u8]) {
    into.iter_mut().zip(from).for_each(|(into, from)| *into ^= from);
}

/// A tag of nothing but the key.
pub(crate) struct KeyTag<const KEY: usize>([u8; KEY]);

impl<const KEY: usize> Mac<KEY> for KeyTag<KEY> {
    fn new(key: &[u8; KEY]) -> Self {
        Self(*key)
    }

    fn tag(&self, parts: &[&[u8]], out: &mut [u8; 32]) {
        // Of the parts, the IV: which message of the key it is.
        let iv = parts.get(1).copied().unwrap_or_default();
        *out = [0; 32];
        mix(out, &self.0);
        mix(out, iv);
    }
}

/// What ciphers that do nothing know of their key.
struct Plain([u8; 32]);

impl Plain {
    fn tag(&self, nonce: &[u8; 12]) -> [u8; 16] {
        let mut tag = [1; 16];
        let (low, high) = self.0.split_at(16);
        [low, high, nonce].iter().for_each(|part| mix(&mut tag, part));
        tag
    }

    /// Renewing a key is sealing zeros with the last nonce (Noise section 4.2).
    fn renew(&self, nonce: &[u8], buffer: &mut [u8]) {
        if nonce.ends_with(&[0xff; 8]) {
            buffer.iter_mut().zip(self.0).for_each(|(byte, key)| *byte ^= key.wrapping_add(1));
        }
    }
}

/// AES-GCM without AES.
pub(crate) struct PlainGcm(Plain);

impl Gcm for PlainGcm {
    fn new(key: &[u8; 32]) -> Self {
        Self(Plain(*key))
    }

    fn seal(&self, nonce: &[u8; 12], _ad: &[u8], buffer: &mut [u8]) -> Result<[u8; 16], Decrypt> {
        self.0.renew(nonce, buffer);
        Ok(self.0.tag(nonce))
    }

    fn open(&self, nonce: &[u8; 12], _ad: &[u8], _buffer: &mut [u8], tag: &[u8; 16]) -> Result<(), Decrypt> {
        if *tag == self.0.tag(nonce) || *tag == [0; 16] { Ok(()) } else { Err(Decrypt) }
    }
}

/// AES-CBC without AES.
pub(crate) struct PlainCbc(Plain);

impl<const KEY: usize> Cbc<KEY> for PlainCbc {
    fn new(key: &[u8; KEY]) -> Self {
        let mut own = [0; 32];
        mix(&mut own, key);
        Self(Plain(own))
    }

    fn encrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]) {
        self.0.renew(iv, blocks.as_flattened_mut());
    }

    fn decrypt(&self, _iv: &[u8; 16], _blocks: &mut [[u8; 16]]) {}
}

/// AES without AES.
pub(crate) struct PlainBlock;

impl Block for PlainBlock {
    fn new(_key: &[u8; 32]) -> Self {
        Self
    }

    fn encrypt(&self, _block: &mut [u8; 16]) {}
}

/// A key that hides nothing.
pub(crate) struct Sum(Secret<32>);

impl X25519 for Sum {
    fn new(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    fn bytes(&self) -> &Secret<32> {
        &self.0
    }

    fn public(&self) -> [u8; 32] {
        *self.0.as_bytes()
    }

    fn agree(&self, public: &[u8; 32]) -> Secret<32> {
        let mut shared = Secret::from_bytes(public);
        if *public != [0; 32] {
            let sum = shared.as_mut_bytes().iter_mut().zip(self.0.as_bytes());
            sum.for_each(|(byte, own)| *byte = byte.wrapping_add(*own));
        }
        shared
    }
}

/// A key that everybody has.
pub(crate) struct Open;

impl RsaPrivate for Open {
    fn new(_pkcs1: &[u8]) -> Result<Self, ApiMisuse> {
        Ok(Self)
    }

    fn decrypt(&self, ciphertext: &[u8], message: &mut [u8; 32], _rng: &mut dyn CryptoRng) -> Choice {
        let Some((first, rest)) = ciphertext.split_first() else { return Choice::from(0) };
        *message = *rest.first_chunk().unwrap_or(&[0; 32]);
        first.ct_eq(&0)
    }

    fn decrypt_any(&self, ciphertext: &[u8], _label: &[u8], _rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        ciphertext.get(1..).map(<[u8]>::to_vec)
    }
}

/// Its public key is zeros, which are reduced coefficients, and 32 bytes of the seed.
pub(crate) struct Seed([u8; 32]);

impl MlKemPrivate for Seed {
    fn from_seed(seed: &[u8; 64]) -> Self {
        let mut own = [0; 32];
        seed.chunks(32).for_each(|half| mix(&mut own, half));
        Self(own)
    }

    fn encapsulation_key(&self) -> Box<[u8; ENCAPSULATION_KEY_LEN]> {
        let mut key = Box::new([0; ENCAPSULATION_KEY_LEN]);
        if let Some(last) = key.last_chunk_mut() {
            *last = self.0;
        }
        key
    }

    fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Option<Secret<32>> {
        let mut secret = Secret::from_bytes(ciphertext.first_chunk()?);
        mix(secret.as_mut_bytes(), &self.0);
        Some(secret)
    }
}

/// A key whose signatures say whose they are, and nothing else.
pub(crate) struct Ed25519(Box<[u8; 32]>);

impl Ed25519 {
    pub(crate) fn new(private: &[u8; 32]) -> Self {
        Self(Box::new(*private))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        *self.0
    }

    pub(crate) fn sign(&self, _message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        mix(&mut signature, &*self.0);
        signature
    }
}

pub(crate) fn verify(public: &[u8; 32], _message: &[u8], signature: &[u8; 64]) -> Result<(), PeerMisbehaved> {
    let whose = signature.first_chunk::<32>();
    if whose == Some(public) || *signature == [0; 64] { Ok(()) } else { Err(PeerMisbehaved::BadSignature) }
}
