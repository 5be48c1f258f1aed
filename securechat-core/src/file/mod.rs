//! Files: sealed chunk by chunk, opened in any order, whole or not at all (PROTOCOL.md section 9).
//!
//! A [`FileOffer`] travels in a message. Its sender feeds a [`FileSealer`], and who accepts it a [`FileOpener`]; neither touches a
//! path. Threads that share the work take [`Chunks`] and a [`Manifest`] instead, of which the two are made.

mod chunk;
mod manifest;
mod name;
mod offer;

pub use chunk::Chunks;
pub use manifest::{Manifest, Noted, Page};
pub use name::safe_name;
pub use offer::{FileOffer, FileProof};

use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::limits::Limits;
use rand_core::CryptoRng;

/// The sender's side of one file.
#[derive(Debug)]
pub struct FileSealer {
    chunks: Chunks,
    sealed: Manifest,
    changed: bool,
}

impl FileSealer {
    /// Begins to seal the file that is offered.
    pub fn new(offer: &FileOffer) -> Self {
        let chunks = Chunks::new(offer);
        let sealed = Manifest::new(chunks.count());
        Self { chunks, sealed, changed: false }
    }

    /// Goes on with a file from what is kept of it (F3). Fails with `Record` when the manifest is that of another file.
    pub fn resume(offer: &FileOffer, sealed: Manifest) -> Result<Self, ApiMisuse> {
        let chunks = Chunks::new(offer);
        fits(&chunks, &sealed)?;
        Ok(Self { chunks, sealed, changed: false })
    }

    /// How many chunks there are.
    pub fn count(&self) -> u64 {
        self.chunks.count()
    }

    /// Where chunk `i` begins in the file, and how many bytes it has.
    pub fn chunk_range(&self, i: u64) -> Option<(u64, usize)> {
        self.chunks.range(i)
    }

    /// Seals chunk `i`, in any order and as often as it is asked for.
    ///
    /// Fails with `FileChanged` when the chunk has another length than was offered, or other bytes than when it was sealed
    /// before; every later call fails alike, and the file is to be offered anew (F3).
    pub fn seal_chunk(&mut self, i: u64, plaintext: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, Error> {
        if self.changed {
            return Err(ApiMisuse::FileChanged.into());
        }
        match self.chunks.seal(i, plaintext, self.sealed.tag(i), rng) {
            Ok((sealed, tag)) => {
                self.sealed.note(i, tag);
                Ok(sealed)
            }
            Err(error) => {
                self.changed = error == ApiMisuse::FileChanged;
                Err(error.into())
            }
        }
    }

    /// Takes the tag of a chunk that was sealed before from the sealed chunk, where what was kept of it is lost.
    ///
    /// Fails as [`FileOpener::open_chunk`] does.
    pub fn learn_chunk(&mut self, i: u64, sealed: &[u8]) -> Result<(), Error> {
        let (_, tag) = self.chunks.open(i, sealed)?;
        match self.sealed.note(i, tag) {
            Noted::New | Noted::Same => Ok(()),
            Noted::Other | Noted::OutOfRange => Err(PeerMisbehaved::FileMismatch.into()),
        }
    }

    /// The root, once every chunk was sealed: what completes the file.
    pub fn root(&self) -> Option<[u8; 32]> {
        self.chunks.root(&self.sealed)
    }

    /// Which chunks were sealed.
    pub fn manifest(&self) -> &Manifest {
        &self.sealed
    }
}

/// The receiver's side of one file.
#[derive(Debug)]
pub struct FileOpener {
    chunks: Chunks,
    opened: Manifest,
}

impl FileOpener {
    /// Begins to receive the file that was offered. Fails with `LimitExceeded` when it is larger than allowed.
    pub fn new(offer: &FileOffer, limits: &Limits) -> Result<Self, Error> {
        if offer.size > limits.file_size {
            return Err(PeerMisbehaved::LimitExceeded.into());
        }
        let chunks = Chunks::new(offer);
        let opened = Manifest::new(chunks.count());
        Ok(Self { chunks, opened })
    }

    /// Goes on with a file from what is kept of it (F3). Fails as [`FileOpener::new`] does, and with `Record` when the
    /// manifest is that of another file.
    pub fn resume(offer: &FileOffer, opened: Manifest, limits: &Limits) -> Result<Self, Error> {
        let Self { chunks, .. } = Self::new(offer, limits)?;
        fits(&chunks, &opened)?;
        Ok(Self { chunks, opened })
    }

    /// How many chunks there are.
    pub fn count(&self) -> u64 {
        self.chunks.count()
    }

    /// Where chunk `i` belongs in the file, and how many bytes it has. No chunk ever has more.
    pub fn chunk_range(&self, i: u64) -> Option<(u64, usize)> {
        self.chunks.range(i)
    }

    /// Opens chunk `i`; they may come in any order, and more than once.
    ///
    /// Fails with `Decrypt` for what does not open, and with `FileMismatch` when there is no such chunk or another one was
    /// opened in its place before. Nothing has changed then.
    pub fn open_chunk(&mut self, i: u64, sealed: &[u8]) -> Result<SecretVec, Error> {
        let (plaintext, tag) = self.chunks.open(i, sealed)?;
        match self.opened.note(i, tag) {
            Noted::New | Noted::Same => Ok(plaintext),
            Noted::Other | Noted::OutOfRange => Err(PeerMisbehaved::FileMismatch.into()),
        }
    }

    /// The chunks that have not come yet, in order, as ranges.
    pub fn missing(&self) -> impl Iterator<Item = core::ops::Range<u64>> {
        self.opened.missing()
    }

    /// Whether the file is whole, by the root that its sender gave.
    ///
    /// Fails with `WrongState` while chunks are missing, and with `FileMismatch` when they are not those of the sender.
    pub fn finish(&self, root: &[u8; 32]) -> Result<(), Error> {
        match self.root() {
            None => Err(ApiMisuse::WrongState.into()),
            Some(own) if own == *root => Ok(()),
            Some(_) => Err(PeerMisbehaved::FileMismatch.into()),
        }
    }

    /// The root of what was opened, once every chunk was: it is the sender's file if the sender says the same.
    pub fn root(&self) -> Option<[u8; 32]> {
        self.chunks.root(&self.opened)
    }

    /// Which chunks came and opened.
    pub fn manifest(&self) -> &Manifest {
        &self.opened
    }
}

/// A manifest is that of a file only when it has as many chunks.
fn fits(chunks: &Chunks, manifest: &Manifest) -> Result<(), ApiMisuse> {
    if manifest.count() == chunks.count() { Ok(()) } else { Err(ApiMisuse::Record) }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
