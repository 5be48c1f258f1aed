//! The fast backend: AWS-LC through aws-lc-rs. It gives the bytes that the portable backend gives, with these differences.
//!
//! - **Randomness.** AWS-LC draws its own for ML-KEM's encapsulation, OAEP's seed and RSA's blinding, so what depends on
//!   these does not replay from a seed. Keys are made from the caller's randomness, and so is OAEP's message.
//! - **RSA.** There is no raw operation: the outcome of AWS-LC's OAEP, success or failure, takes the place of the
//!   comparison in PROTOCOL.md 2.2. Keys are made, and read ones checked, by the portable backend.
//! - **ML-KEM.** A private key has to be handed in expanded, so the portable backend expands the seed.
//! - **Ed25519**, and SHA-2 with all that is made of it, are not here, see [`super::dalek`] and [`super::hashes`]; neither
//!   is the single AES block that gives the IV of the CBC cipher, because aws-lc-rs keeps every AES key expanded in both
//!   directions, twice the memory.
//! - **Wiping.** AWS-LC cleanses what it frees, and aws-lc-rs wipes the buffers of keys and secrets that it owns. It leaves
//!   copies of keys that are moved on the stack.

use super::rust_crypto::{Aes256Block, MlKemKey};
use super::{Backend, Cbc, Gcm, KeptHmac, MlKemPrivate, RsaPrivate, X25519};
use crate::codec::Writer;
use crate::crypto::label::Label;
use crate::crypto::mlkem::{CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN};
use crate::crypto::rsa::PublicKey;
use crate::crypto::secret::Secret;
use crate::error::{ApiMisuse, Decrypt, InvalidMessage};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::{agreement, cipher, kem};
use rand_core::CryptoRng;
use subtle::Choice;
use zeroize::{Zeroize, Zeroizing};

/// The fast backend.
pub(crate) struct AwsLc;

impl Backend for AwsLc {
    type Mac = KeptHmac<32>;
    type Gcm = Aes256Gcm;
    type Cbc = AesCbc;
    type Block = Aes256Block;
    type X25519 = X25519Key;
    type RsaPrivate = RsaKey;
    type MlKemPrivate = ExpandedMlKemKey;
    type Mac128 = KeptHmac<16>;
    type Cbc128 = AesCbc;

    fn rsa_encrypt(key: &PublicKey, message: &[u8; 32], _rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        let info = der(SEQUENCE, &[&RSA_ALGORITHM, &der(BIT_STRING, &[&[0], key.der()])]);
        let encrypting = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&info).ok()?).ok()?;
        let mut ciphertext = vec![0; key.ciphertext_len()];
        let label = Some(Label::RSA_KEM.bytes());
        encrypting.encrypt(&OAEP_SHA256_MGF1SHA256, message, &mut ciphertext, label).ok()?;
        Some(ciphertext)
    }

    fn mlkem_encapsulate(
        key: &[u8; ENCAPSULATION_KEY_LEN],
        _rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Secret<32>), InvalidMessage> {
        let key = kem::EncapsulationKey::new(&kem::ML_KEM_768, key).map_err(|_| InvalidMessage::PublicKey)?;
        let (ciphertext, shared) = key.encapsulate().map_err(|_| InvalidMessage::PublicKey)?;
        let mut secret = Secret::zero();
        copy(shared.as_ref(), secret.as_mut_bytes());
        Ok((ciphertext.as_ref().to_vec(), secret))
    }
}

/// Copies an output of AWS-LC, which has the length that was asked for.
fn copy(from: &[u8], to: &mut [u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

/// None only if AWS-LC could not allocate; then nothing seals or opens.
pub(crate) struct Aes256Gcm(Option<LessSafeKey>);

impl Gcm for Aes256Gcm {
    fn new(key: &[u8; 32]) -> Self {
        Self(UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).ok())
    }

    fn seal(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; 16], Decrypt> {
        let key = self.0.as_ref().ok_or(Decrypt)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(ad), buffer).map_err(|_| Decrypt)?;
        tag.as_ref().try_into().map_err(|_| Decrypt)
    }

    fn open(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8], tag: &[u8; 16]) -> Result<(), Decrypt> {
        let key = self.0.as_ref().ok_or(Decrypt)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        key.open_in_place_separate_tag(nonce, Aad::from(ad), tag, buffer).map(|_| ()).map_err(|_| Decrypt)
    }
}

/// None never: the lengths of the keys are right.
pub(crate) struct AesCbc {
    encrypting: Option<EncryptingKey>,
    decrypting: Option<DecryptingKey>,
}

impl AesCbc {
    fn with(algorithm: &'static cipher::Algorithm, key: &[u8]) -> Self {
        let key = || UnboundCipherKey::new(algorithm, key);
        Self {
            encrypting: key().and_then(EncryptingKey::cbc).ok(),
            decrypting: key().and_then(DecryptingKey::cbc).ok(),
        }
    }
}

macro_rules! cbc {
    ($key:literal, $algorithm:ident) => {
        impl Cbc<$key> for AesCbc {
            fn new(key: &[u8; $key]) -> Self {
                Self::with(&cipher::$algorithm, key)
            }

            fn encrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]) {
                let context = EncryptionContext::Iv128(iv.into());
                let blocks = blocks.as_flattened_mut();
                let encrypted = self.encrypting.as_ref().map(|key| key.less_safe_encrypt(blocks, context));
                // Fails on a part of a block only; what was not encrypted would not leave.
                if !matches!(encrypted, Some(Ok(_))) {
                    blocks.zeroize();
                }
            }

            fn decrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]) {
                let context = DecryptionContext::Iv128(iv.into());
                let blocks = blocks.as_flattened_mut();
                let decrypted = self.decrypting.as_ref().map(|key| key.decrypt(blocks, context).is_ok());
                // As above; zeros are no padding.
                if decrypted != Some(true) {
                    blocks.zeroize();
                }
            }
        }
    };
}

cbc!(32, AES_256);
cbc!(16, AES_128);

/// An X25519 key with AWS-LC's form of it, which holds the public key. That is none only if AWS-LC could not allocate;
/// then every agreement fails.
pub(crate) struct X25519Key {
    bytes: Secret<32>,
    key: Option<agreement::PrivateKey>,
}

impl X25519 for X25519Key {
    fn new(bytes: Secret<32>) -> Self {
        let key = agreement::PrivateKey::from_private_key(&agreement::X25519, bytes.as_bytes()).ok();
        Self { bytes, key }
    }

    fn bytes(&self) -> &Secret<32> {
        &self.bytes
    }

    fn public(&self) -> [u8; 32] {
        let public = self.key.as_ref().and_then(|key| key.compute_public_key().ok());
        public.and_then(|public| public.as_ref().try_into().ok()).unwrap_or_default()
    }

    /// AWS-LC refuses an all-zero secret by itself; so the zeros stay.
    fn agree(&self, public: &[u8; 32]) -> Secret<32> {
        let mut shared = Secret::zero();
        if let Some(key) = &self.key {
            let public = agreement::UnparsedPublicKey::new(&agreement::X25519, public);
            let _ = agreement::agree(key, public, (), |secret| {
                copy(secret, shared.as_mut_bytes());
                Ok(())
            });
        }
        shared
    }
}

/// An RSA private key as AWS-LC holds it.
pub(crate) struct RsaKey(OaepPrivateDecryptingKey);

impl RsaKey {
    /// Writes the message and gives its length; none if there is no message.
    fn open(&self, ciphertext: &[u8], label: &[u8], plaintext: &mut [u8]) -> Option<usize> {
        let opened = self.0.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, plaintext, Some(label));
        opened.map(|plaintext| plaintext.len()).ok()
    }
}

impl RsaPrivate for RsaKey {
    fn new(pkcs1: &[u8]) -> Result<Self, ApiMisuse> {
        let pkcs8 = der(SEQUENCE, &[&[INTEGER, 1, 0], &RSA_ALGORITHM, &der(OCTET_STRING, &[pkcs1])]);
        PrivateDecryptingKey::from_pkcs8(&pkcs8)
            .ok()
            .and_then(|key| OaepPrivateDecryptingKey::new(key).ok())
            .map(Self)
            .ok_or(ApiMisuse::PrivateKey)
    }

    fn decrypt(&self, ciphertext: &[u8], message: &mut [u8; 32], _rng: &mut dyn CryptoRng) -> Choice {
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        let length = self.open(ciphertext, Label::RSA_KEM.bytes(), &mut plaintext);
        copy(&plaintext, message);
        Choice::from(u8::from(length == Some(message.len())))
    }

    fn decrypt_any(&self, ciphertext: &[u8], label: &[u8], _rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        let mut plaintext = vec![0; ciphertext.len()];
        let length = self.open(ciphertext, label, &mut plaintext)?;
        plaintext.truncate(length);
        Some(plaintext)
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// `AlgorithmIdentifier { rsaEncryption, NULL }` (RFC 8017 appendix A.1).
const RSA_ALGORITHM: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

/// DER of a value of 256 to 65,535 bytes, which everything around an RSA key is.
fn der(tag: u8, content: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = content.iter().map(|part| part.len()).sum::<usize>();
    let mut out = Zeroizing::new(Vec::with_capacity(length + 4));
    out.put(&[tag, 0x82]);
    out.put_u16(length as u16);
    content.iter().for_each(|part| out.put(part));
    out
}

/// An ML-KEM private key as AWS-LC holds it, and the public key, which AWS-LC does not derive. None only if AWS-LC could
/// not allocate; then nothing decapsulates.
pub(crate) struct ExpandedMlKemKey {
    key: Option<kem::DecapsulationKey>,
    public: Box<[u8; ENCAPSULATION_KEY_LEN]>,
}

impl MlKemPrivate for ExpandedMlKemKey {
    fn from_seed(seed: &[u8; 64]) -> Self {
        let portable = MlKemKey::from_seed(seed);
        let key = kem::DecapsulationKey::new(&kem::ML_KEM_768, &*portable.expanded()).ok();
        Self { key, public: portable.encapsulation_key() }
    }

    fn encapsulation_key(&self) -> Box<[u8; ENCAPSULATION_KEY_LEN]> {
        self.public.clone()
    }

    fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Option<Secret<32>> {
        let shared = self.key.as_ref()?.decapsulate(ciphertext.as_slice().into()).ok()?;
        let mut secret = Secret::zero();
        copy(shared.as_ref(), secret.as_mut_bytes());
        Some(secret)
    }
}
