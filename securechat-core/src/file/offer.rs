//! What is said of a file before its chunks.

use crate::crypto::aead::Cipher;
use crate::crypto::secret::Secret;
use crate::error::{ApiMisuse, InvalidMessage};
use crate::limits::{FILE_NAME_MAX, Limits, MEDIA_TYPE_MAX};
use core::fmt;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// What a receiver is told of a file, and all that is needed to open it (F2).
#[derive(Serialize, Deserialize)]
pub struct FileOffer {
    /// The file's random id, under which a relay keeps its chunks.
    pub id: [u8; 16],
    /// Its key, used for nothing else.
    pub key: Secret<32>,
    /// The cipher of its chunks.
    pub cipher: Cipher,
    /// What its root vouches for.
    pub proof: FileProof,
    /// Its size in bytes.
    pub size: u64,
    /// Its name as the sender gave it; to make a path, take what [`safe_name`](super::safe_name) leaves of it.
    pub name: String,
    /// Its media type, the sender's word.
    pub media_type: String,
}

impl FileOffer {
    /// An offer with a new id and key. Fails with `TooLarge` beyond the limits.
    pub fn new(
        cipher: Cipher,
        proof: FileProof,
        size: u64,
        name: &str,
        media_type: &str,
        limits: &Limits,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, ApiMisuse> {
        if size > limits.file_size || name.len() > FILE_NAME_MAX || media_type.len() > MEDIA_TYPE_MAX {
            return Err(ApiMisuse::TooLarge);
        }
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Ok(Self {
            id,
            key: Secret::random(rng),
            cipher,
            proof,
            size,
            name: name.to_owned(),
            media_type: media_type.to_owned(),
        })
    }

    /// A second copy, made on purpose: one travels, one is kept.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            id: self.id,
            key: self.key.duplicate(),
            cipher: self.cipher,
            proof: self.proof,
            size: self.size,
            name: self.name.clone(),
            media_type: self.media_type.clone(),
        }
    }
}

impl fmt::Debug for FileOffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FileOffer")
            .field("id", &format_args!("{:032x}", u128::from_be_bytes(self.id)))
            .field("cipher", &self.cipher)
            .field("proof", &self.proof)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What the tag t_i of a chunk is made of, and so the root: it depends on who holds the file's key (F1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum FileProof {
    /// The tags of the cipher: for a file that is offered to one user. They convince nobody of who holds the key.
    Tags = 0,
    /// The contents, which are hashed: whoever holds the key, one root has one file.
    Contents = 1,
}

impl FileProof {
    /// The proof of a number.
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::Tags),
            1 => Some(Self::Contents),
            _ => None,
        }
    }

    /// Its number.
    pub const fn id(self) -> u8 {
        self as u8
    }
}

impl From<FileProof> for u8 {
    fn from(proof: FileProof) -> Self {
        proof.id()
    }
}

impl TryFrom<u8> for FileProof {
    type Error = InvalidMessage;

    fn try_from(id: u8) -> Result<Self, InvalidMessage> {
        Self::from_id(id).ok_or(InvalidMessage::UnknownValue)
    }
}
