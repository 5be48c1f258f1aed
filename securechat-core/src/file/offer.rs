//! What is said of a file before its chunks.

use crate::crypto::aead::Cipher;
use crate::crypto::secret::Secret;
use crate::error::ApiMisuse;
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
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
