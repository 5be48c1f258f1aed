//! AES-CBC with HMAC-SHA-256, encrypt-then-MAC: the construction of RFC 7518 section 5.2.2.
//!
//! ```text
//! E    AES-CBC(ENC_KEY, IV, plaintext with PKCS#7 padding)
//! tag  HMAC-SHA-256(MAC_KEY, ad || IV || E || bit length of ad u64), its first TAG bytes
//! ```

use super::BLOCK;
use crate::crypto::backend::{Cbc, Hmac};
use crate::error::Decrypt;
use subtle::ConstantTimeEq;

/// Both keys, expanded. `KEY` is the length of AES's key, `TAG` that of the tag: 32 and 32 in the protocol, 16 and 16
/// in RFC 7518's A128CBC-HS256.
pub(super) struct CbcHmac<M: Hmac, C: Cbc<KEY>, const KEY: usize, const TAG: usize> {
    mac: M,
    cbc: C,
}

impl<M: Hmac, C: Cbc<KEY>, const KEY: usize, const TAG: usize> CbcHmac<M, C, KEY, TAG> {
    pub(super) fn new(mac: &[u8; KEY], encryption: &[u8; KEY]) -> Self {
        Self { mac: M::new(mac), cbc: C::new(encryption) }
    }

    /// Seals `buffer[start..]`, which grows by padding and tag.
    pub(super) fn seal(&self, iv: &[u8; BLOCK], ad: &[u8], buffer: &mut Vec<u8>, start: usize) {
        let length = buffer.len().saturating_sub(start);
        let padding = BLOCK - length % BLOCK;
        buffer.reserve(padding + TAG);
        buffer.resize(buffer.len() + padding, padding as u8);
        let body = buffer.get_mut(start..).unwrap_or_default();
        self.cbc.encrypt(iv, body.as_chunks_mut().0);
        let tag = self.tag(iv, ad, body);
        buffer.extend_from_slice(&tag);
    }

    /// Opens in place and gives the length of the plaintext. The tag is checked before anything is decrypted, and
    /// every failure is the same.
    pub(super) fn open(&self, iv: &[u8; BLOCK], ad: &[u8], buffer: &mut [u8]) -> Result<usize, Decrypt> {
        let (body, tag) = buffer.split_last_chunk_mut::<TAG>().ok_or(Decrypt)?;
        if !bool::from(self.tag(iv, ad, body).ct_eq(tag)) {
            return Err(Decrypt);
        }
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
