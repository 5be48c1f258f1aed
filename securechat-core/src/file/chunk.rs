//! Chunks, sealed and opened one by one.
//!
//! ```text
//! SALT || COMMIT = HKDF-Expand(key, label "file" || file id 16 || size u64 || cipher u8, 64)
//! t_i            = HMAC-SHA-256(SALT, i u64 || last u8 || p)
//! k              = HKDF-Expand(key, label "chunk" || s, 32), where s is t_i's first 16 bytes
//! sealed chunk   = s 16 | AEAD(k, 0, ad = label "chunk ad" || COMMIT || file id 16 || i u64 || last u8 || size u64, p)
//! ```
//!
//! The key of a chunk comes from what is in it: the same bytes seal to the same chunk, others to another key.

use crate::codec::Writer;
use crate::crypto::aead::{AeadKey, Cipher};
use crate::crypto::hash::{ct_eq, hkdf_expand, hmac_sha256, sha256};
use crate::crypto::label::Label;
use crate::crypto::secret::{Secret, SecretVec};
use crate::error::{ApiMisuse, Decrypt, Error, PeerMisbehaved};
use crate::file::FileOffer;
use crate::file::manifest::Manifest;
use crate::limits::CHUNK_SIZE;

/// Bytes before a chunk's ciphertext.
const SALT_LEN: usize = 16;
const CHUNK: u64 = CHUNK_SIZE as u64;

/// The chunks of one file. It remembers none of them, so that threads can share it; what came and went is noted in
/// a [`Manifest`].
#[derive(derive_more::Debug)]
pub struct Chunks {
    key: Secret<32>,
    salt: Secret<32>,
    #[debug(skip)]
    commit: [u8; 32],
    id: [u8; 16],
    size: u64,
    cipher: Cipher,
}

impl Chunks {
    /// The chunks of the file that was offered.
    pub fn new(offer: &FileOffer) -> Self {
        let mut derived = Secret::<64>::zero();
        let info = [Label::FILE.bytes(), &offer.id, &offer.size.to_be_bytes(), &[offer.cipher.id()]];
        hkdf_expand(offer.key.as_bytes(), &info, derived.as_mut_bytes());
        let (mut salt, mut commit) = (Secret::zero(), [0; 32]);
        let (first, second) = derived.as_bytes().split_at(32);
        salt.as_mut_bytes().copy_from_slice(first);
        commit.copy_from_slice(second);
        Self { key: offer.key.duplicate(), salt, commit, id: offer.id, size: offer.size, cipher: offer.cipher }
    }

    /// How many there are; an empty file is one empty chunk.
    pub fn count(&self) -> u64 {
        self.size.div_ceil(CHUNK).max(1)
    }

    /// Where chunk `i` begins in the file, and how many bytes it has; `None` when there is no such chunk.
    pub fn range(&self, i: u64) -> Option<(u64, usize)> {
        let offset = i.checked_mul(CHUNK).filter(|_| i < self.count())?;
        let length = self.size.saturating_sub(offset).min(CHUNK);
        Some((offset, usize::try_from(length).ok()?))
    }

    /// Seals chunk `i` and gives its tag t_i.
    ///
    /// Fails with `NotFound` when there is no such chunk, and with `FileChanged` when it has not the length that the
    /// offered size gives it.
    pub fn seal(&self, i: u64, plaintext: &[u8]) -> Result<(Vec<u8>, [u8; 32]), ApiMisuse> {
        let (_, length) = self.range(i).ok_or(ApiMisuse::NotFound)?;
        if plaintext.len() != length {
            return Err(ApiMisuse::FileChanged);
        }
        let tag = self.tag(i, plaintext);
        let mut sealed = Vec::with_capacity(SALT_LEN + self.cipher.ciphertext_len(length));
        sealed.extend(tag.iter().take(SALT_LEN));
        let key = self.aead_key(&sealed);
        sealed.put(plaintext);
        key.seal_in_place(0, &self.associated_data(i), &mut sealed, SALT_LEN);
        Ok((sealed, tag))
    }

    /// Opens chunk `i` and gives its tag t_i.
    ///
    /// Fails with `FileMismatch` when there is no such chunk, and with `Decrypt` when it does not open, has another length
    /// than it must, or was not sealed as its contents say.
    pub fn open(&self, i: u64, sealed: &[u8]) -> Result<(SecretVec, [u8; 32]), Error> {
        let (_, length) = self.range(i).ok_or(PeerMisbehaved::FileMismatch)?;
        let (salt, ciphertext) = sealed.split_at_checked(SALT_LEN).ok_or(Decrypt)?;
        if ciphertext.len() != self.cipher.ciphertext_len(length) {
            return Err(Decrypt.into());
        }
        let plaintext = self.aead_key(salt).open(0, &self.associated_data(i), ciphertext)?;
        let tag = self.tag(i, &plaintext);
        let sealed_from_this = tag.get(..SALT_LEN).is_some_and(|expected| ct_eq(expected, salt));
        if plaintext.len() != length || !sealed_from_this {
            return Err(Decrypt.into());
        }
        Ok((plaintext, tag))
    }

    /// `SHA-256(label "file root" || COMMIT || file id || size u64 || cipher u8 || t_0 || t_1 …)`, once all tags are known.
    pub fn root(&self, manifest: &Manifest) -> Option<[u8; 32]> {
        let (size, cipher) = (self.size.to_be_bytes(), [self.cipher.id()]);
        let mut parts = vec![Label::FILE_ROOT.bytes(), &self.commit, &self.id, &size, &cipher];
        parts.extend(manifest.tags().filter(|_| manifest.count() == self.count())?);
        Some(sha256(&parts))
    }

    fn is_last(&self, i: u64) -> u8 {
        u8::from(i.checked_add(1) == Some(self.count()))
    }

    fn tag(&self, i: u64, plaintext: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        hmac_sha256(self.salt.as_bytes(), &[&i.to_be_bytes(), &[self.is_last(i)], plaintext], &mut tag);
        tag
    }

    fn aead_key(&self, salt: &[u8]) -> AeadKey {
        let mut key = Secret::zero();
        hkdf_expand(self.key.as_bytes(), &[Label::CHUNK.bytes(), salt], key.as_mut_bytes());
        AeadKey::new(self.cipher, key.as_bytes())
    }

    fn associated_data(&self, i: u64) -> Vec<u8> {
        let mut ad = Label::CHUNK_AD.bytes().to_vec();
        ad.put(&self.commit);
        ad.put(&self.id);
        ad.put_u64(i);
        ad.put_u8(self.is_last(i));
        ad.put_u64(self.size);
        ad
    }
}
