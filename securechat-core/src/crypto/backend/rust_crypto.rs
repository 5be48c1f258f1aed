//! The portable backend: RustCrypto and dalek. All randomness is the caller's, so whatever it does replays from a seed.
//!
//! **Wiping.** The crates wipe keys, schedules and states when they drop them. What they leave is copies on the stack,
//! and of RSA in the heap: reading a key, and each private operation, leave its primes and numbers made from them, which
//! the crate rsa does not wipe. (Such a key is a static one, in memory for as long as the program runs anyway.)

use super::{Backend, Block, Cbc, Gcm, KeptHmac, MlKemPrivate, RsaPrivate, X25519, oaep};
use crate::crypto::label::Label;
use crate::crypto::mlkem::{CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN};
use crate::crypto::rsa::{EXPONENT, PublicKey};
use crate::crypto::secret::Secret;
use crate::error::{ApiMisuse, Decrypt, InvalidMessage};
use crypto_bigint::BoxedUint;
use rand_core::CryptoRng;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey, hazmat};
use securechat_ciphers::aes::{self, Aes128Cbc, Aes256Cbc};
use securechat_ciphers::mlkem;
use subtle::{Choice, ConstantTimeEq};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// The portable backend.
pub(crate) struct RustCrypto;

impl Backend for RustCrypto {
    type Mac = KeptHmac<32>;
    type Gcm = Aes256Gcm;
    type Cbc = AesCbc<Aes256Cbc>;
    type Block = Aes256Block;
    type X25519 = X25519Key;
    type RsaPrivate = RsaKey;
    type MlKemPrivate = MlKemKey;
    type Mac128 = KeptHmac<16>;
    type Cbc128 = AesCbc<Aes128Cbc>;

    fn rsa_encrypt(key: &PublicKey, message: &[u8; 32], rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        rsa_raw(key, &oaep::encode(message, &seed, key.ciphertext_len()))
    }

    fn mlkem_encapsulate(
        key: &[u8; ENCAPSULATION_KEY_LEN],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Secret<32>), InvalidMessage> {
        let (message, mut secret) = (Secret::<32>::random(rng), Secret::zero());
        let ciphertext = mlkem::encapsulate(key, message.as_bytes(), secret.as_mut_bytes());
        Ok((ciphertext.ok_or(InvalidMessage::PublicKey)?, secret))
    }
}

pub(crate) struct Aes256Gcm(aes::Aes256Gcm);

impl Gcm for Aes256Gcm {
    fn new(key: &[u8; 32]) -> Self {
        Self(aes::Aes256Gcm::new(key))
    }

    fn seal(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; 16], Decrypt> {
        self.0.seal(nonce, ad, buffer).ok_or(Decrypt)
    }

    fn open(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8], tag: &[u8; 16]) -> Result<(), Decrypt> {
        self.0.open(nonce, ad, buffer, tag).ok_or(Decrypt)
    }
}

pub(crate) struct AesCbc<C>(C);

macro_rules! cbc {
    ($cipher:ty, $key:literal) => {
        impl Cbc<$key> for AesCbc<$cipher> {
            fn new(key: &[u8; $key]) -> Self {
                Self(<$cipher>::new(key))
            }

            fn encrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]) {
                self.0.encrypt(iv, blocks);
            }

            fn decrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]) {
                self.0.decrypt(iv, blocks);
            }
        }
    };
}

cbc!(Aes256Cbc, 32);
cbc!(Aes128Cbc, 16);

pub(crate) struct Aes256Block(aes::Aes256Block);

impl Block for Aes256Block {
    fn new(key: &[u8; 32]) -> Self {
        Self(aes::Aes256Block::new(key))
    }

    fn encrypt(&self, block: &mut [u8; 16]) {
        self.0.encrypt(block);
    }
}

/// An X25519 private key. Multiplying by it needs nothing prepared.
pub(crate) struct X25519Key(Secret<32>);

impl X25519 for X25519Key {
    fn new(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    fn bytes(&self) -> &Secret<32> {
        &self.0
    }

    fn public(&self) -> [u8; 32] {
        x25519_dalek::PublicKey::from(&StaticSecret::from(*self.0.as_bytes())).to_bytes()
    }

    fn agree(&self, public: &[u8; 32]) -> Secret<32> {
        let private = StaticSecret::from(*self.0.as_bytes());
        Secret::from_bytes(private.diffie_hellman(&x25519_dalek::PublicKey::from(*public)).as_bytes())
    }
}

/// An expanded ML-KEM key.
pub(crate) struct MlKemKey(mlkem::DecapsulationKey);

impl MlKemKey {
    /// The key expanded, as FIPS 203 encodes it.
    #[cfg(feature = "aws-lc")]
    pub(super) fn expanded(&self) -> Zeroizing<[u8; 2400]> {
        self.0.expanded()
    }
}

impl MlKemPrivate for MlKemKey {
    fn from_seed(seed: &[u8; 64]) -> Self {
        Self(mlkem::DecapsulationKey::from_seed(seed))
    }

    fn encapsulation_key(&self) -> Box<[u8; ENCAPSULATION_KEY_LEN]> {
        self.0.encapsulation_key()
    }

    fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Option<Secret<32>> {
        let mut secret = Secret::zero();
        self.0.decapsulate(ciphertext, secret.as_mut_bytes());
        Some(secret)
    }
}

/// An RSA private key with the precomputed values of the Chinese remainder theorem.
pub(crate) struct RsaKey(RsaPrivateKey);

impl RsaKey {
    /// The encoded message, as long as the ciphertext.
    fn encoded(&self, ciphertext: &[u8], rng: &mut dyn CryptoRng) -> Zeroizing<Vec<u8>> {
        let precision = self.0.n_bits_precision();
        let zero = || BoxedUint::zero_with_precision(precision);
        let number = integer(ciphertext, precision).unwrap_or_else(zero);
        // Blinded by `rng`, and checked against faults; what fails that check leaves zeros, which do not decode.
        let decrypted = hazmat::rsa_decrypt_and_check(&self.0, Some(rng), &number).unwrap_or_else(|_| zero());
        let decrypted = Zeroizing::new(decrypted);
        let mut encoded = Zeroizing::new(decrypted.to_be_bytes().into_vec());
        let excess = encoded.len().saturating_sub(ciphertext.len());
        encoded.drain(..excess);
        encoded
    }
}

impl RsaPrivate for RsaKey {
    fn new(pkcs1: &[u8]) -> Result<Self, ApiMisuse> {
        RsaPrivateKey::from_pkcs1_der(pkcs1).map(Self).map_err(|_| ApiMisuse::PrivateKey)
    }

    fn decrypt(&self, ciphertext: &[u8], message: &mut [u8; 32], rng: &mut dyn CryptoRng) -> Choice {
        oaep::decode(&mut self.encoded(ciphertext, rng), Label::RSA_KEM.bytes(), message)
    }

    fn decrypt_any(&self, ciphertext: &[u8], label: &[u8], rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        let encoded = self.encoded(ciphertext, rng);
        (0..encoded.len()).find_map(|length| {
            let mut message = vec![0; length];
            bool::from(oaep::decode(&mut encoded.clone(), label, &mut message)).then_some(message)
        })
    }
}

/// Generates an RSA key and gives it as PKCS#1 DER. The caller has checked the size.
pub(crate) fn rsa_generate(bits: usize, rng: &mut dyn CryptoRng) -> Result<Zeroizing<Vec<u8>>, ApiMisuse> {
    let key = RsaPrivateKey::new(rng, bits).map_err(|_| ApiMisuse::PrivateKey)?;
    to_der(&key)
}

/// Checks a private key in PKCS#1 DER: two primes, all numbers consistent with each other, in the one encoding.
/// `public` is asked about modulus and exponent (big-endian, no leading zeros) before anything is computed; what it
/// gives is the result.
pub(crate) fn rsa_check<T>(der: &[u8], public: impl FnOnce(&[u8], &[u8]) -> Option<T>) -> Result<T, ApiMisuse> {
    let parts = rsa::pkcs1::RsaPrivateKeyRef::try_from(der).map_err(|_| ApiMisuse::PrivateKey)?;
    let public = public(parts.modulus.as_bytes(), parts.public_exponent.as_bytes()).ok_or(ApiMisuse::PrivateKey)?;
    let key = RsaPrivateKey::from_pkcs1_der(der).map_err(|_| ApiMisuse::PrivateKey)?;
    if to_der(&key)?.ct_eq(der).into() { Ok(public) } else { Err(ApiMisuse::PrivateKey) }
}

fn to_der(key: &RsaPrivateKey) -> Result<Zeroizing<Vec<u8>>, ApiMisuse> {
    key.to_pkcs1_der().map(|der| der.to_bytes()).map_err(|_| ApiMisuse::PrivateKey)
}

/// The public operation on an encoded message, whose first byte is zero, so that it is below the modulus.
pub(super) fn rsa_raw(key: &PublicKey, encoded: &[u8]) -> Option<Vec<u8>> {
    let precision = 8 * u32::try_from(key.modulus().len()).ok()?;
    let raw = RsaPublicKey::new(integer(key.modulus(), precision)?, EXPONENT.into()).ok()?;
    let encoded = Zeroizing::new(integer(encoded, raw.n_bits_precision())?);
    let ciphertext = hazmat::rsa_encrypt(&raw, &encoded).ok()?.to_be_bytes();
    last(&ciphertext, key.ciphertext_len()).map(<[u8]>::to_vec)
}

/// A big-endian integer in storage of `precision` bits; none if it does not fit.
fn integer(bytes: &[u8], precision: u32) -> Option<BoxedUint> {
    BoxedUint::from_be_slice(bytes, precision).ok()
}

/// The last `length` bytes.
fn last(bytes: &[u8], length: usize) -> Option<&[u8]> {
    bytes.len().checked_sub(length).and_then(|start| bytes.get(start..))
}
