//! Chunks, sealed and opened one by one.
//!
//! ```text
//! SALT || COMMIT = HKDF-Expand(key, label "file" || file id 16 || size u64 || cipher u8 || proof u8, 64)
//! k || commit    = HKDF-Expand(key, label "chunk" || s, 64)
//! sealed chunk   = s 16 | commit 32 | AEAD(k, 0, ad = label "chunk ad" || COMMIT || file id 16 || i u64 || last u8 || size u64, p)
//!
//! by tags        s is random, t_i = s || the first 16 bytes of the AEAD's tag
//! by contents    t_i = HMAC-SHA-256(SALT, i u64 || last u8 || p), and s is its first 16 bytes
//! ```
//!
//! A chunk has one key and a key one chunk: by contents others have another s, and by tags what is sealed again under
//! an s leaves only if it is the same.

use crate::codec::Writer;
use crate::crypto::aead::{AeadKey, Cipher};
use crate::crypto::hash::{ct_eq, hkdf_expand, hmac_sha256, sha256};
use crate::crypto::label::Label;
use crate::crypto::secret::{Secret, SecretVec, wipe};
use crate::error::{ApiMisuse, Decrypt, Error, PeerMisbehaved};
use crate::file::manifest::Manifest;
use crate::file::{FileOffer, FileProof};
use crate::limits::{CHUNK_HEADER, CHUNK_SIZE};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

const CHUNK: u64 = CHUNK_SIZE as u64;

/// What a chunk's key is derived for: s.
type Salt = [u8; 16];

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
    proof: FileProof,
}

impl Chunks {
    /// The chunks of the file that was offered.
    pub fn new(offer: &FileOffer) -> Self {
        let FileOffer { id, size, cipher, proof, .. } = *offer;
        let mut derived = Zeroizing::new([[0; 32]; 2]);
        let info = [Label::FILE.bytes(), &id, &size.to_be_bytes(), &[cipher.id(), proof.id()]];
        hkdf_expand(offer.key.as_bytes(), &info, derived.as_flattened_mut());
        let [salt, commit] = &*derived;
        Self { key: offer.key.duplicate(), salt: Secret::from_bytes(salt), commit: *commit, id, size, cipher, proof }
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

    /// Seals chunk `i` and gives its tag t_i. `known` is the one it had when it was sealed before: what the manifest has.
    ///
    /// The manifest is saved before the chunk leaves, as any state is. If it is lost nonetheless, a file by tags gives the
    /// chunk another salt and thereby another key.
    ///
    /// Fails with `NotFound` when there is no such chunk, and with `FileChanged` when it has not the length that the
    /// offered size gives it, or not the tag that is known; nothing that was sealed is left then.
    pub fn seal(
        &self,
        i: u64,
        plaintext: &[u8],
        known: Option<&[u8; 32]>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, [u8; 32]), ApiMisuse> {
        let (_, length) = self.range(i).ok_or(ApiMisuse::NotFound)?;
        if plaintext.len() != length {
            return Err(ApiMisuse::FileChanged);
        }
        let by_contents = self.contents_tag(i, plaintext);
        let salt = match by_contents.as_ref().or(known) {
            Some(tag) => salt_of(tag),
            None => {
                let mut salt = Salt::default();
                rng.fill_bytes(&mut salt);
                salt
            }
        };
        let (key, commit) = self.chunk_key(&salt);
        let mut sealed = Vec::with_capacity(CHUNK_HEADER + self.cipher.ciphertext_len(length));
        sealed.put(&salt);
        sealed.put(&commit);
        sealed.put(plaintext);
        key.seal_in_place(0, &self.associated_data(i), &mut sealed, CHUNK_HEADER);
        let tag = by_contents.unwrap_or_else(|| self.cipher_tag(&salt, &sealed));
        if known.is_some_and(|known| !ct_eq(known, &tag)) {
            wipe(&mut sealed);
            return Err(ApiMisuse::FileChanged);
        }
        Ok((sealed, tag))
    }

    /// Opens chunk `i` and gives its tag t_i.
    ///
    /// Fails with `FileMismatch` when there is no such chunk, and with `Decrypt` when it does not open, has another length
    /// than it must, is not of this key alone, or was not sealed as its contents say where they are the proof.
    pub fn open(&self, i: u64, sealed: &[u8]) -> Result<(SecretVec, [u8; 32]), Error> {
        let (_, length) = self.range(i).ok_or(PeerMisbehaved::FileMismatch)?;
        let (salt, rest) = sealed.split_first_chunk().ok_or(Decrypt)?;
        let (commit, ciphertext) = rest.split_first_chunk::<32>().ok_or(Decrypt)?;
        if ciphertext.len() != self.cipher.ciphertext_len(length) {
            return Err(Decrypt.into());
        }
        let (key, expected) = self.chunk_key(salt);
        if !ct_eq(commit, &expected) {
            return Err(Decrypt.into());
        }
        let plaintext = key.open(0, &self.associated_data(i), ciphertext)?;
        let tag = self.contents_tag(i, &plaintext).unwrap_or_else(|| self.cipher_tag(salt, ciphertext));
        if plaintext.len() != length || !ct_eq(&salt_of(&tag), salt) {
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

    /// t_i of a file by contents.
    fn contents_tag(&self, i: u64, plaintext: &[u8]) -> Option<[u8; 32]> {
        (self.proof == FileProof::Contents).then(|| {
            let mut tag = [0; 32];
            hmac_sha256(self.salt.as_bytes(), &[&i.to_be_bytes(), &[self.is_last(i)], plaintext], &mut tag);
            tag
        })
    }

    /// t_i of a file by tags; one is the end of the ciphertext.
    fn cipher_tag(&self, salt: &Salt, ciphertext: &[u8]) -> [u8; 32] {
        let body = ciphertext.len().saturating_sub(self.cipher.tag_len());
        let mut tag = [0; 32];
        tag.iter_mut().zip(salt.iter().chain(ciphertext.iter().skip(body))).for_each(|(out, byte)| *out = *byte);
        tag
    }

    /// The key of a chunk, and its commitment to that key.
    fn chunk_key(&self, salt: &Salt) -> (AeadKey, [u8; 32]) {
        let mut derived = Zeroizing::new([[0; 32]; 2]);
        hkdf_expand(self.key.as_bytes(), &[Label::CHUNK.bytes(), salt], derived.as_flattened_mut());
        let [key, commit] = &*derived;
        (AeadKey::new(self.cipher, key), *commit)
    }

    fn associated_data(&self, i: u64) -> Vec<u8> {
        let (place, size) = (i.to_be_bytes(), self.size.to_be_bytes());
        [Label::CHUNK_AD.bytes(), &self.commit, &self.id, &place, &[self.is_last(i)], &size].concat()
    }
}

/// s, with which t_i of either kind begins.
fn salt_of(tag: &[u8; 32]) -> Salt {
    tag.first_chunk().copied().unwrap_or_default()
}
