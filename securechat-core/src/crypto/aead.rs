//! The two ciphers of PROTOCOL.md 2.1, as Noise cipher functions: a 32-byte key, a counter, associated data.

pub(super) mod cbc_hmac;
#[cfg(test)]
mod tests;

use super::backend::{Active, Backend, Block, Gcm};
use super::hash::hkdf_expand;
use super::label::Label;
use super::secret::SecretVec;
use crate::error::{Decrypt, InvalidMessage};
use cbc_hmac::CbcHmac;
use core::fmt;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// Length of GCM's tag, in bytes.
const GCM_TAG: usize = 16;
/// Length of the tag of the CBC cipher, in bytes.
const CBC_TAG: usize = 32;
/// Length of an AES block, in bytes.
const BLOCK: usize = 16;
/// Most that a cipher adds to a plaintext, in bytes.
pub const OVERHEAD_MAX: usize = BLOCK + CBC_TAG;

/// A cipher: the low byte of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum Cipher {
    /// AES-256-GCM.
    AesGcm = 1,
    /// AES-256-CBC with HMAC-SHA-256, encrypt-then-MAC.
    AesCbcHmac = 2,
}

impl Cipher {
    /// The cipher of a number.
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::AesGcm),
            2 => Some(Self::AesCbcHmac),
            _ => None,
        }
    }

    /// Its number.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// Length of the ciphertext of `n` bytes: `clen(n)` of PROTOCOL.md section 2.
    pub const fn ciphertext_len(self, n: usize) -> usize {
        match self {
            Self::AesGcm => n + GCM_TAG,
            Self::AesCbcHmac => BLOCK * (n / BLOCK + 1) + CBC_TAG,
        }
    }

    /// Length of the tag that ends every ciphertext.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::AesGcm => GCM_TAG,
            Self::AesCbcHmac => CBC_TAG,
        }
    }

    /// The longest plaintext whose ciphertext is not longer than `ciphertext` bytes; 0 if there is none.
    pub const fn max_plaintext(self, ciphertext: usize) -> usize {
        match self {
            Self::AesGcm => ciphertext.saturating_sub(GCM_TAG),
            Self::AesCbcHmac => (ciphertext.saturating_sub(CBC_TAG) / BLOCK * BLOCK).saturating_sub(1),
        }
    }
}

impl From<Cipher> for u8 {
    fn from(cipher: Cipher) -> Self {
        cipher.id()
    }
}

impl TryFrom<u8> for Cipher {
    type Error = InvalidMessage;

    fn try_from(id: u8) -> Result<Self, InvalidMessage> {
        Self::from_id(id).ok_or(InvalidMessage::UnknownValue)
    }
}

/// A key of either cipher, expanded once, on the heap and wiped on drop.
///
/// A pair of key and `n` must seal one plaintext only; whoever holds the key counts.
pub struct AeadKey(Key<Active>);

impl AeadKey {
    /// Expands a key, which the caller wipes.
    pub fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        Self(Key::new(cipher, key))
    }

    /// Turns `buffer[start..]` from plaintext to ciphertext; the buffer grows by the overhead.
    ///
    /// Reserve [`OVERHEAD_MAX`] bytes beforehand, and nothing is moved. A `start` beyond the end is taken as the end.
    pub fn seal_in_place(&self, n: u64, ad: &[u8], buffer: &mut Vec<u8>, start: usize) {
        self.0.seal_in_place(n, ad, buffer, start);
    }

    /// Opens a ciphertext where it lies and gives the part of it that is plaintext now.
    ///
    /// On failure, whose reason is not told, all of the buffer is wiped.
    pub fn open_in_place<'a>(&self, n: u64, ad: &[u8], buffer: &'a mut [u8]) -> Result<&'a mut [u8], Decrypt> {
        self.0.open_in_place(n, ad, buffer)
    }

    /// The ciphertext of `plaintext`.
    pub fn seal(&self, n: u64, ad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(plaintext.len() + OVERHEAD_MAX);
        buffer.extend_from_slice(plaintext);
        self.seal_in_place(n, ad, &mut buffer, 0);
        buffer
    }

    /// The plaintext of `ciphertext`.
    pub fn open(&self, n: u64, ad: &[u8], ciphertext: &[u8]) -> Result<SecretVec, Decrypt> {
        let mut buffer = SecretVec::new(ciphertext.to_vec());
        let length = self.open_in_place(n, ad, &mut buffer)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Noise's REKEY: the key that is the first 32 bytes of sealing 32 zeros with the last counter.
    #[must_use]
    pub fn rekey(&self) -> Self {
        Self(self.0.rekey())
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AeadKey({:?}, ..)", self.0.cipher())
    }
}

/// A key of either backend.
enum Key<B: Backend> {
    Gcm(Box<B::Gcm>),
    Cbc(Box<CbcKey<B>>),
}

/// What the CBC cipher expands its key to.
struct CbcKey<B: Backend> {
    body: CbcHmac<B::Mac, B::Cbc, 32, CBC_TAG>,
    iv: B::Block,
}

impl<B: Backend> Key<B> {
    fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        match cipher {
            Cipher::AesGcm => Self::Gcm(Box::new(B::Gcm::new(key))),
            Cipher::AesCbcHmac => Self::Cbc(Box::new(CbcKey::new(key))),
        }
    }

    fn cipher(&self) -> Cipher {
        match self {
            Self::Gcm(_) => Cipher::AesGcm,
            Self::Cbc(_) => Cipher::AesCbcHmac,
        }
    }

    fn seal_in_place(&self, n: u64, ad: &[u8], buffer: &mut Vec<u8>, start: usize) {
        let start = start.min(buffer.len());
        match self {
            Self::Gcm(key) => seal_gcm(&**key, &nonce(n), ad, buffer, start),
            Self::Cbc(key) => key.body.seal(&key.iv(n), ad, buffer, start),
        }
    }

    fn open_in_place<'a>(&self, n: u64, ad: &[u8], buffer: &'a mut [u8]) -> Result<&'a mut [u8], Decrypt> {
        let opened = match self {
            Self::Gcm(key) => open_gcm(&**key, &nonce(n), ad, buffer),
            Self::Cbc(key) => key.body.open(&key.iv(n), ad, buffer),
        };
        match opened {
            Ok(length) => buffer.get_mut(..length).ok_or(Decrypt),
            Err(Decrypt) => {
                buffer.zeroize();
                Err(Decrypt)
            }
        }
    }

    fn rekey(&self) -> Self {
        let mut buffer = Zeroizing::new(Vec::with_capacity(32 + OVERHEAD_MAX));
        buffer.resize(32, 0);
        self.seal_in_place(u64::MAX, &[], &mut buffer, 0);
        Self::new(self.cipher(), buffer.first_chunk().unwrap_or(&[0; 32]))
    }
}

/// Seals `buffer[start..]`, which grows by the tag.
pub(super) fn seal_gcm(key: &impl Gcm, nonce: &[u8; 12], ad: &[u8], buffer: &mut Vec<u8>, start: usize) {
    let plaintext = buffer.get_mut(start..).unwrap_or_default();
    // Fails beyond 64 GiB only. Then what leaves is zeros, which do not open.
    let tag = key.seal(nonce, ad, plaintext).unwrap_or_else(|_| {
        plaintext.zeroize();
        [0; GCM_TAG]
    });
    buffer.extend_from_slice(&tag);
}

/// Opens in place and gives the length of the plaintext.
pub(super) fn open_gcm(key: &impl Gcm, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) -> Result<usize, Decrypt> {
    let (body, tag) = buffer.split_last_chunk_mut::<GCM_TAG>().ok_or(Decrypt)?;
    key.open(nonce, ad, body, tag).map(|()| body.len())
}

/// GCM's nonce: `32 zero bits || n`.
fn nonce(n: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    if let Some(last) = nonce.last_chunk_mut() {
        *last = n.to_be_bytes();
    }
    nonce
}

impl<B: Backend> CbcKey<B> {
    /// `MAC_KEY || ENC_KEY || IV_KEY = HKDF-Expand(k, label "cbc-hmac", 96)`
    fn new(key: &[u8; 32]) -> Self {
        let mut keys = Zeroizing::new([[0; 32]; 3]);
        hkdf_expand(key, &[Label::CBC_HMAC.bytes()], keys.as_flattened_mut());
        let [mac, encryption, iv] = &*keys;
        Self { body: CbcHmac::new(mac, encryption), iv: Block::new(iv) }
    }

    /// `IV = AES-256(IV_KEY, 64 zero bits || n)`
    fn iv(&self, n: u64) -> [u8; BLOCK] {
        let mut iv = u128::from(n).to_be_bytes();
        self.iv.encrypt(&mut iv);
        iv
    }
}
