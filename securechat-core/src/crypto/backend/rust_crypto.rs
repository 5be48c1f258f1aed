//! The portable backend: RustCrypto and dalek. All randomness is the caller's, so whatever it does replays from a seed.

use super::{Backend, Block, Cbc, Gcm, Hmac, MlKemPrivate, RsaPrivate, oaep};
use crate::crypto::mlkem::{CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN};
use crate::crypto::rsa::EXPONENT;
use crate::crypto::secret::Secret;
use crate::error::{ApiMisuse, Decrypt, InvalidMessage};
use ::hmac::{KeyInit, Mac};
use aes::cipher::consts::U12;
use aes::cipher::{Array, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit};
use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut;
use crypto_bigint::BoxedUint;
use ml_kem::{Decapsulate, KeyExport};
use rand_core::CryptoRng;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey, hazmat};
use sha2::{Digest, Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// The portable backend.
pub(crate) struct RustCrypto;

impl Backend for RustCrypto {
    type Hmac = HmacSha256;
    type Gcm = Aes256Gcm;
    type Cbc = AesCbc<aes::Aes256>;
    type Block = Aes256Block;
    type RsaPrivate = RsaKey;
    type MlKemPrivate = MlKemKey;

    fn sha256(parts: &[&[u8]]) -> [u8; 32] {
        digest::<Sha256>(parts).into()
    }

    fn sha512(parts: &[&[u8]]) -> [u8; 64] {
        digest::<Sha512>(parts).into()
    }

    fn hkdf(salt: &[u8], ikm: &[u8], info: &[&[u8]], out: &mut [u8]) {
        let hkdf = hkdf::Hkdf::<Sha256>::new(Some(salt), ikm);
        // Fails on more than 255 blocks, which `hash::hkdf` excludes.
        let _ = hkdf.expand_multi_info(info, out);
    }

    fn hkdf_expand(prk: &[u8; 32], info: &[&[u8]], out: &mut [u8]) {
        if let Ok(hkdf) = hkdf::Hkdf::<Sha256>::from_prk(prk) {
            // As above; and a key of 32 bytes is long enough.
            let _ = hkdf.expand_multi_info(info, out);
        }
    }

    fn x25519_public(private: &[u8; 32]) -> [u8; 32] {
        x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*private)).to_bytes()
    }

    fn x25519(private: &[u8; 32], public: &[u8; 32]) -> Secret<32> {
        let private = x25519_dalek::StaticSecret::from(*private);
        Secret::from_bytes(private.diffie_hellman(&x25519_dalek::PublicKey::from(*public)).as_bytes())
    }

    fn rsa_encrypt(modulus: &[u8], message: &[u8; 32], rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        let key = RsaPublicKey::new(integer(modulus, 8 * u32::try_from(modulus.len()).ok()?)?, EXPONENT.into()).ok()?;
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        let encoded = oaep::encode(message, &seed, key.size());
        // Its first byte is zero, so it is below the modulus.
        let encoded = Zeroizing::new(integer(&encoded, key.n_bits_precision())?);
        let ciphertext = hazmat::rsa_encrypt(&key, &encoded).ok()?.to_be_bytes();
        ciphertext.len().checked_sub(key.size()).and_then(|excess| ciphertext.get(excess..)).map(Into::into)
    }

    fn mlkem_encapsulate(
        key: &[u8; ENCAPSULATION_KEY_LEN],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Secret<32>), InvalidMessage> {
        let key = ml_kem::ml_kem_768::EncapsulationKey::new(key.into()).map_err(|_| InvalidMessage::PublicKey)?;
        let message = Secret::<32>::random(rng);
        let (ciphertext, mut secret) = key.encapsulate_deterministic(message.as_bytes().into());
        let shared = Secret::from_bytes(secret.as_ref());
        zeroize::Zeroize::zeroize(secret.as_mut_slice());
        Ok((ciphertext.to_vec(), shared))
    }
}

fn digest<D: Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut digest = D::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}

pub(crate) struct HmacSha256(::hmac::Hmac<Sha256>);

impl Hmac for HmacSha256 {
    #[allow(clippy::expect_used)] // HMAC takes keys of any length.
    fn new(key: &[u8]) -> Self {
        Self(::hmac::Hmac::new_from_slice(key).expect("any length"))
    }

    fn tag(&self, parts: &[&[u8]], out: &mut [u8; 32]) {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        out.copy_from_slice(mac.finalize().as_bytes());
    }
}

/// GCM needs AES in one direction only, which halves the expanded key.
pub(crate) struct Aes256Gcm(AesGcm<aes::Aes256Enc, U12>);

impl Gcm for Aes256Gcm {
    fn new(key: &[u8; 32]) -> Self {
        Self(AesGcm::new(key.into()))
    }

    fn seal(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; 16], Decrypt> {
        self.0.encrypt_inout_detached(nonce.into(), ad, buffer.into()).map(Into::into).map_err(|_| Decrypt)
    }

    fn open(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8], tag: &[u8; 16]) -> Result<(), Decrypt> {
        self.0.decrypt_inout_detached(nonce.into(), ad, buffer.into(), tag.into()).map_err(|_| Decrypt)
    }
}

pub(crate) struct AesCbc<C>(C);

macro_rules! cbc {
    ($cipher:ty, $key:literal) => {
        impl Cbc<$key> for AesCbc<$cipher> {
            fn new(key: &[u8; $key]) -> Self {
                Self(KeyInit::new(key.into()))
            }

            fn encrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]) {
                cbc::Encryptor::inner_iv_init(&self.0, iv.into())
                    .encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
            }

            fn decrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]) {
                cbc::Decryptor::inner_iv_init(&self.0, iv.into())
                    .decrypt_blocks(Array::cast_slice_from_core_mut(blocks));
            }
        }
    };
}

cbc!(aes::Aes256, 32);
#[cfg(test)]
cbc!(aes::Aes128, 16);

pub(crate) struct Aes256Block(aes::Aes256Enc);

impl Block for Aes256Block {
    fn new(key: &[u8; 32]) -> Self {
        Self(KeyInit::new(key.into()))
    }

    fn encrypt(&self, block: &mut [u8; 16]) {
        self.0.encrypt_block(block.into());
    }
}

pub(crate) struct MlKemKey(ml_kem::ml_kem_768::DecapsulationKey);

impl MlKemPrivate for MlKemKey {
    fn from_seed(seed: &[u8; 64]) -> Self {
        Self(ml_kem::ml_kem_768::DecapsulationKey::from_seed((*seed).into()))
    }

    fn encapsulation_key(&self) -> Box<[u8; ENCAPSULATION_KEY_LEN]> {
        Box::new(self.0.encapsulation_key().to_bytes().into())
    }

    fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Secret<32> {
        let mut secret = self.0.decapsulate(ciphertext.into());
        let shared = Secret::from_bytes(secret.as_ref());
        zeroize::Zeroize::zeroize(secret.as_mut_slice());
        shared
    }
}

pub(crate) struct RsaKey(RsaPrivateKey);

impl RsaPrivate for RsaKey {
    fn from_der(der: &[u8]) -> Result<Self, ApiMisuse> {
        RsaPrivateKey::from_pkcs1_der(der).map(Self).map_err(|_| ApiMisuse::PrivateKey)
    }

    fn decrypt(&self, ciphertext: &[u8], message: &mut [u8; 32], rng: &mut dyn CryptoRng) -> Choice {
        let (size, precision) = (self.0.size(), self.0.n_bits_precision());
        // A ciphertext of another length or not below the modulus is public knowledge; zero takes its place and does
        // not decode, so that the same work is done.
        let representative = integer(ciphertext, precision)
            .filter(|integer| ciphertext.len() == size && integer < self.0.n().as_ref())
            .unwrap_or_else(|| BoxedUint::zero_with_precision(precision));
        // Blinded by `rng`, and checked against faults; the error of that check leaves zeros, which do not decode.
        let decrypted = Zeroizing::new(
            hazmat::rsa_decrypt_and_check(&self.0, Some(rng), &representative)
                .unwrap_or_else(|_| BoxedUint::zero_with_precision(precision)),
        );
        let mut encoded = Zeroizing::new(decrypted.to_be_bytes());
        let excess = encoded.len().saturating_sub(size);
        encoded.get_mut(excess..).map_or(Choice::from(0), |encoded| oaep::decode(encoded, message))
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

/// A big-endian integer in storage of `precision` bits; none if it does not fit.
fn integer(bytes: &[u8], precision: u32) -> Option<BoxedUint> {
    BoxedUint::from_be_slice(bytes, precision).ok()
}
