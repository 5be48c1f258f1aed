//! The primitives alone: what nothing built on them can beat.

use aes::Aes256Enc;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{AesGcm, Nonce};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, UnboundKey};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use openssl::symm::{self, Crypter, Mode};

/// AES-256-GCM of the backend that is measured.
pub enum Gcm {
    /// RustCrypto's.
    RustCrypto(Box<AesGcm<Aes256Enc, U12>>),
    /// AWS-LC's.
    AwsLc(Box<LessSafeKey>),
}

impl Gcm {
    /// A key, expanded.
    #[allow(clippy::new_without_default)] // a key is no default
    pub fn new() -> Self {
        if cfg!(feature = "aws-lc") {
            Self::AwsLc(Box::new(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap())))
        } else {
            Self::RustCrypto(Box::new(AesGcm::new(&[7; 32].into())))
        }
    }

    /// Copies `data` behind four bytes of length and one of type into `wire`, as a record has them, and seals it there.
    pub fn seal(&self, n: u64, data: &[u8], wire: &mut Vec<u8>) {
        wire.clear();
        wire.extend_from_slice(&(data.len() as u32).to_be_bytes());
        wire.push(1);
        wire.extend_from_slice(data);
        match self {
            Self::RustCrypto(key) => {
                let tag = key.encrypt_inout_detached(&nonce(n), &[], (&mut wire[4..]).into()).unwrap();
                wire.extend_from_slice(&tag);
            }
            Self::AwsLc(key) => {
                let tag = key.seal_in_place_separate_tag(aws_nonce(n), Aad::empty(), &mut wire[4..]).unwrap();
                wire.extend_from_slice(tag.as_ref());
            }
        }
    }

    /// Copies what is in `wire` into a buffer of its own and opens it there.
    pub fn open(&self, n: u64, wire: &[u8]) -> Vec<u8> {
        let mut data = wire[4..].to_vec();
        match self {
            Self::RustCrypto(key) => {
                let length = data.len() - 16;
                let tag: [u8; 16] = data[length..].try_into().unwrap();
                data.truncate(length);
                key.decrypt_inout_detached(&nonce(n), &[], data.as_mut_slice().into(), (&tag).into()).unwrap();
            }
            Self::AwsLc(key) => {
                let length = key.open_in_place(aws_nonce(n), Aad::empty(), &mut data).unwrap().len();
                data.truncate(length);
            }
        }
        data
    }
}

fn nonce(n: u64) -> Nonce<U12> {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&n.to_be_bytes());
    nonce.into()
}

fn aws_nonce(n: u64) -> aws_lc_rs::aead::Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&n.to_be_bytes());
    aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce)
}

/// OpenSSL's AES-256-CBC, and its HMAC-SHA-256 over what came of it, one after the other.
pub struct OpenSsl {
    mac: PKey<Private>,
    block: usize,
}

impl OpenSsl {
    /// Keys.
    #[allow(clippy::new_without_default)] // keys are no default
    pub fn new() -> Self {
        Self { mac: PKey::hmac(&[8; 32]).unwrap(), block: symm::Cipher::aes_256_cbc().block_size() }
    }

    /// Seals `data` into `wire` behind four bytes of length.
    pub fn seal(&self, data: &[u8], wire: &mut Vec<u8>) {
        wire.clear();
        wire.resize(4 + data.len() + 2 * self.block, 0);
        wire[..4].copy_from_slice(&(data.len() as u32).to_be_bytes());
        let mut crypter = Crypter::new(symm::Cipher::aes_256_cbc(), Mode::Encrypt, &[7; 32], Some(&[1; 16])).unwrap();
        // The last block is written beyond what was asked for, so it has a place of its own until it is known.
        let mut end = [0; 32];
        let length = crypter.update(data, &mut wire[4..]).unwrap();
        let last = crypter.finalize(&mut end).unwrap();
        wire.truncate(4 + length);
        wire.extend_from_slice(&end[..last]);
        let tag = self.tag(&wire[4..]);
        wire.extend_from_slice(&tag);
    }

    /// Checks the tag and opens what is in `wire`.
    pub fn open(&self, wire: &[u8]) -> Vec<u8> {
        let (body, tag) = wire[4..].split_at(wire.len() - 36);
        assert!(openssl::memcmp::eq(&self.tag(body), tag));
        let mut data = vec![0; body.len() + self.block];
        let mut crypter = Crypter::new(symm::Cipher::aes_256_cbc(), Mode::Decrypt, &[7; 32], Some(&[1; 16])).unwrap();
        let length = crypter.update(body, &mut data).unwrap();
        let last = crypter.finalize(&mut data[length..]).unwrap();
        data.truncate(length + last);
        data
    }

    fn tag(&self, body: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        let mut signer = Signer::new(MessageDigest::sha256(), &self.mac).unwrap();
        signer.update(body).unwrap();
        signer.sign(&mut tag).unwrap();
        tag
    }
}
