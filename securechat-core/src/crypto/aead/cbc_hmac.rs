//! AES-CBC with HMAC-SHA-256, encrypt-then-MAC: the construction of RFC 7518 section 5.2.2.
//!
//! ```text
//! E    AES-CBC(ENC_KEY, IV, plaintext with PKCS#7 padding)
//! tag  HMAC-SHA-256(MAC_KEY, ad || IV || E || bit length of ad u64), its first TAG bytes
//! ```

use super::BLOCK;
use crate::crypto::backend::{Cbc, Mac};
use crate::error::Decrypt;
use subtle::ConstantTimeEq;

/// Both keys, expanded. `KEY` is the length of each, `TAG` that of the tag: 32 and 32 in the protocol, 16 and 16
/// in RFC 7518's A128CBC-HS256.
pub(in crate::crypto) struct CbcHmac<M: Mac<KEY>, C: Cbc<KEY>, const KEY: usize, const TAG: usize> {
    mac: M,
    cbc: C,
}

impl<M: Mac<KEY>, C: Cbc<KEY>, const KEY: usize, const TAG: usize> CbcHmac<M, C, KEY, TAG> {
    pub(in crate::crypto) fn new(mac: &[u8; KEY], encryption: &[u8; KEY]) -> Self {
        Self { mac: M::new(mac), cbc: C::new(encryption) }
    }

    /// Seals `buffer[start..]`, which grows by padding and tag.
    pub(in crate::crypto) fn seal(&self, iv: &[u8; BLOCK], ad: &[u8], buffer: &mut Vec<u8>, start: usize) {
        self.encrypt(iv, buffer, start);
        let tag = self.tag(iv, ad, buffer.get(start..).unwrap_or_default());
        buffer.extend_from_slice(&tag);
    }

    /// Pads and encrypts `buffer[start..]`; there is room for the tag afterwards.
    pub(in crate::crypto) fn encrypt(&self, iv: &[u8; BLOCK], buffer: &mut Vec<u8>, start: usize) {
        let length = buffer.len().saturating_sub(start);
        let padding = BLOCK - length % BLOCK;
        buffer.reserve(padding + TAG);
        buffer.resize(buffer.len() + padding, padding as u8);
        let body = buffer.get_mut(start..).unwrap_or_default();
        self.cbc.encrypt(iv, body.as_chunks_mut().0);
    }

    /// Opens in place and gives the length of the plaintext. The tag is checked before anything is decrypted, and
    /// every failure is the same.
    pub(in crate::crypto) fn open(&self, iv: &[u8; BLOCK], ad: &[u8], buffer: &mut [u8]) -> Result<usize, Decrypt> {
        let (body, tag) = buffer.split_last_chunk_mut::<TAG>().ok_or(Decrypt)?;
        if !bool::from(self.tag(iv, ad, body).ct_eq(tag)) {
            return Err(Decrypt);
        }
        self.decrypt(iv, body)
    }

    /// Decrypts in place and gives the length without padding.
    pub(in crate::crypto) fn decrypt(&self, iv: &[u8; BLOCK], body: &mut [u8]) -> Result<usize, Decrypt> {
        let (blocks, []) = body.as_chunks_mut() else { return Err(Decrypt) };
        self.cbc.decrypt(iv, blocks);
        unpadded(body).ok_or(Decrypt)
    }

    fn tag(&self, iv: &[u8; BLOCK], ad: &[u8], body: &[u8]) -> [u8; TAG] {
        let mut full = [0; 32];
        let bits = 8 * ad.len() as u64;
        self.mac.tag(&[ad, iv, body, &bits.to_be_bytes()], &mut full);
        let mut tag = [0; TAG];
        tag.iter_mut().zip(full).for_each(|(out, byte)| *out = byte);
        tag
    }
}

/// The length without PKCS#7 padding. The bytes are authentic, so nothing is learned from how long this takes.
fn unpadded(body: &[u8]) -> Option<usize> {
    let padding = usize::from(*body.last()?);
    let length = body.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding))?;
    body.get(length..)?.iter().all(|byte| usize::from(*byte) == padding).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::on_every_backend;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const IV: [u8; BLOCK] = [3; BLOCK];

    /// A cipher that counts how often it is asked to decrypt.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Cbc<32> for Counting {
        fn new(_key: &[u8; 32]) -> Self {
            Self::default()
        }

        fn encrypt(&self, _iv: &[u8; BLOCK], _blocks: &mut [[u8; BLOCK]]) {}

        fn decrypt(&self, _iv: &[u8; BLOCK], _blocks: &mut [[u8; BLOCK]]) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    on_every_backend! {
        /// ATTACKS.md B6: the tag is checked, in full, before anything is decrypted.
        fn b6_mac_before_decryption<B>() {
            let key = CbcHmac::<B::Mac, Counting, 32, 32>::new(&[1; 32], &[2; 32]);
            let mut sealed = b"text".to_vec();
            key.seal(&IV, b"ad", &mut sealed, 0);
            for bit in 0..8 * sealed.len() {
                let mut changed = sealed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(key.open(&IV, b"ad", &mut changed), Err(Decrypt));
            }
            assert_eq!(key.open(&[4; BLOCK], b"ad", &mut sealed.clone()), Err(Decrypt));
            for length in 0..sealed.len() {
                assert_eq!(key.open(&IV, b"ad", &mut sealed[..length].to_vec()), Err(Decrypt));
            }
            assert_eq!(key.cbc.0.load(Ordering::Relaxed), 0);
            assert_eq!(key.open(&IV, b"ad", &mut sealed), Ok(4));
            assert_eq!(key.cbc.0.load(Ordering::Relaxed), 1);
        }

        /// ATTACKS.md B6: padding that is wrong under a right tag, and bodies that are no blocks, are the same error.
        fn b6_padding_errors_are_no_other_error<B>() {
            let key = CbcHmac::<B::Mac, B::Cbc, 32, 32>::new(&[1; 32], &[2; 32]);
            let forged = |blocks: &[[u8; BLOCK]], excess: &[u8]| {
                let mut blocks = blocks.to_vec();
                key.cbc.encrypt(&IV, &mut blocks);
                let body = [blocks.as_flattened(), excess].concat();
                [&body[..], &key.tag(&IV, b"ad", &body)].concat()
            };
            let ending = |end: &[u8]| {
                let mut block = [7; BLOCK];
                block[BLOCK - end.len()..].copy_from_slice(end);
                block
            };
            assert_eq!(key.open(&IV, b"ad", &mut forged(&[ending(&[2, 2])], &[])), Ok(14));
            assert_eq!(key.open(&IV, b"ad", &mut forged(&[[16; BLOCK]], &[])), Ok(0));
            for wrong in [&[0][..], &[17], &[255], &[1, 2], &[3, 2, 3], &[16; 15]] {
                assert_eq!(key.open(&IV, b"ad", &mut forged(&[[1; BLOCK], ending(wrong)], &[])), Err(Decrypt));
            }
            for longer_than_a_block in [17, 32] {
                assert_eq!(key.open(&IV, b"ad", &mut forged(&[[longer_than_a_block; BLOCK]; 2], &[])), Err(Decrypt));
            }
            assert_eq!(key.open(&IV, b"ad", &mut forged(&[], &[])), Err(Decrypt));
            for excess in 1..BLOCK {
                assert_eq!(key.open(&IV, b"ad", &mut forged(&[[1; BLOCK]], &[1; BLOCK][..excess])), Err(Decrypt));
            }
        }
    }
}
