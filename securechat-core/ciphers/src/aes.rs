//! AES: GCM, CBC and the single block.

use ::aes::cipher::consts::U12;
use ::aes::cipher::{Array, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut;

/// AES-256-GCM. It needs AES in one direction only, which halves the expanded key.
pub struct Aes256Gcm(AesGcm<::aes::Aes256Enc, U12>);

impl Aes256Gcm {
    /// The key, expanded.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(AesGcm::new(key.into()))
    }

    /// Encrypts in place and gives the tag; none on more than 64 GiB.
    pub fn seal(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) -> Option<[u8; 16]> {
        self.0.encrypt_inout_detached(nonce.into(), ad, buffer.into()).map(Into::into).ok()
    }

    /// Decrypts in place; none if the tag is another.
    pub fn open(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8], tag: &[u8; 16]) -> Option<()> {
        self.0.decrypt_inout_detached(nonce.into(), ad, buffer.into(), tag.into()).ok()
    }
}

macro_rules! cbc {
    ($(#[$doc:meta])* $name:ident, $cipher:ty, $key:literal) => {
        $(#[$doc])*
        pub struct $name($cipher);

        impl $name {
            /// The key, expanded for both directions.
            pub fn new(key: &[u8; $key]) -> Self {
                Self(KeyInit::new(key.into()))
            }

            /// Encrypts whole blocks in place.
            pub fn encrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]) {
                cbc::Encryptor::inner_iv_init(&self.0, iv.into())
                    .encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
            }

            /// Decrypts whole blocks in place.
            pub fn decrypt(&self, iv: &[u8; 16], blocks: &mut [[u8; 16]]) {
                cbc::Decryptor::inner_iv_init(&self.0, iv.into())
                    .decrypt_blocks(Array::cast_slice_from_core_mut(blocks));
            }
        }
    };
}

cbc! {
    /// AES-256-CBC without padding.
    Aes256Cbc, ::aes::Aes256, 32
}
cbc! {
    /// AES-128-CBC without padding.
    Aes128Cbc, ::aes::Aes128, 16
}

/// AES-256 on one block, for encryption alone.
pub struct Aes256Block(::aes::Aes256Enc);

impl Aes256Block {
    /// The key, expanded.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(KeyInit::new(key.into()))
    }

    /// Encrypts the block in place.
    pub fn encrypt(&self, block: &mut [u8; 16]) {
        self.0.encrypt_block(block.into());
    }
}
