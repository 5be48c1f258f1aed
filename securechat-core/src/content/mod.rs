//! What sessions carry (PROTOCOL.md section 7).
//!
//! ```text
//! message id 16 | sent-at u64 | expiry u32 (s, 0 none) | kind u16 | u16 length | body (struct)
//! ```
//!
//! Who sent a message is never in here: it is the identity whose session opened it.

mod body;
mod fit;

use crate::crypto::secret::SecretVec;
pub use body::{Body, Conversation, ENTRIES_PER_CONTROL, GroupControl, ReceiptKind, kind};

use crate::codec::{Reader, Writer};
use crate::error::{ApiMisuse, InvalidMessage};
use crate::limits::{CONTENT_HEADER, CONTENT_MAX, SENT_CONTENT_MAX};
use core::fmt;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// One message's content.
#[derive(Debug)]
pub struct Content {
    /// The sender's choice; one seen before from the same user is shown once.
    pub id: MessageId,
    /// The sender's clock, in Unix milliseconds.
    pub sent_at: u64,
    /// Seconds after which both sides are to delete it; 0 is never.
    pub expiry: u32,
    /// What it is.
    pub body: Body,
}

impl Content {
    /// The encoding, unpadded. Fails with `TooLarge` beyond the limits, and with `ContentKind` for what nobody may send.
    pub fn encode(&self) -> Result<SecretVec, ApiMisuse> {
        Self::encode_parts(self.id, self.sent_at, self.expiry, &self.body)
    }

    /// [`encode`](Self::encode) for a body that is only borrowed.
    pub fn encode_parts(id: MessageId, sent_at: u64, expiry: u32, body: &Body) -> Result<SecretVec, ApiMisuse> {
        body.check_sendable()?;
        let kind = body.kind();
        let body = body.encode();
        let length = u16::try_from(body.len()).map_err(|_| ApiMisuse::TooLarge)?;
        let mut bytes = SecretVec::new(Vec::with_capacity(CONTENT_HEADER + body.len()));
        bytes.put(&id.0);
        bytes.put_u64(sent_at);
        bytes.put_u32(expiry);
        bytes.put_u16(kind);
        bytes.put_u16(length);
        bytes.put(&body);
        if bytes.len() > max_len(kind) { Err(ApiMisuse::TooLarge) } else { Ok(bytes) }
    }

    /// Decodes an unpadded content. Kinds that this version does not know come as [`Body::Unknown`]; bytes after the
    /// fields that it knows are skipped.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(bytes);
        let id = MessageId(reader.array()?);
        let sent_at = reader.u64()?;
        let expiry = reader.u32()?;
        let kind = reader.u16()?;
        let body = reader.prefixed()?;
        reader.finish()?;
        if bytes.len() > max_len(kind) {
            return Err(InvalidMessage::OutOfBounds);
        }
        Ok(Self { id, sent_at, expiry, body: Body::decode(kind, body)? })
    }
}

/// The longest content of a kind, in bytes.
const fn max_len(kind: u16) -> usize {
    if kind == kind::SENT { SENT_CONTENT_MAX } else { CONTENT_MAX }
}

/// The sender's 16 random bytes that name one message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// A fresh one.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self(id)
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MessageId({self})")
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
