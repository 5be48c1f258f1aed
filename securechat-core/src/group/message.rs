//! The layout of a group message.

use crate::codec::Reader;
use crate::crypto::aead::{AeadKey, Cipher};
use crate::crypto::ed25519::VerifyingKey;
use crate::crypto::hash::{hkdf_expand, sha256};
use crate::crypto::label::Label;
use crate::crypto::secret::Secret;
use crate::error::{Decrypt, Error, InvalidMessage, PeerMisbehaved};
use crate::identity::Identity;
use crate::limits::{ENVELOPE_MAX, GROUP_HEADER};
use crate::roster::GroupId;
use crate::session::EnvelopeKind;
use core::fmt;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// Bytes of the signature at the end.
pub(super) const SIGNATURE: usize = 64;

/// What a group message is signed under, after `sender identity ||` everything before the signature.
pub(super) const SIGNED: Label = Label::GROUP_MESSAGE;

/// The id of a sender key (G4): what a message names, and what is recomputed from who handed the key over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// First 16 bytes of
    /// `SHA-256(label "sender key id" || sender identity || group id || signing key || cipher u8)`.
    pub fn new(sender: &Identity, group: GroupId, signing: &VerifyingKey, cipher: Cipher) -> Self {
        let parts =
            [Label::SENDER_KEY_ID.bytes(), sender.as_bytes(), group.as_bytes(), signing.as_bytes(), &[cipher.id()]];
        Self(sha256(&parts).first_chunk().copied().unwrap_or_default())
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

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({self})")
    }
}

/// A group message as it came: nothing in it is to be believed before its signature was found good.
///
/// | field | bytes | |
/// |---|---|---|
/// | group id | 16 | |
/// | key id | 16 | the sender's key |
/// | number | u32 | in the chain of that key |
/// | roster sequence, hash | u32, 32 | the newest entry that the sender knows |
/// | salt | 16 | random |
/// | commit | 32 | |
/// | ciphertext | | of the padded content |
/// | signature | 64 | Ed25519 by the sender key over `label "group message" || sender identity ||` all before it |
#[derive(Clone, Copy, derive_more::Debug)]
pub struct GroupMessage<'a> {
    /// The group.
    pub group: GroupId,
    /// The sender key.
    pub key: KeyId,
    /// The message's number under that key.
    pub number: u32,
    /// The number of the newest entry that its sender knew.
    pub sequence: u32,
    /// The hash of that entry.
    #[debug(skip)]
    pub hash: [u8; 32],
    #[debug(skip)]
    salt: [u8; 16],
    #[debug(skip)]
    commit: [u8; 32],
    /// Everything before the ciphertext.
    #[debug(skip)]
    header: &'a [u8],
    #[debug("{} bytes", ciphertext.len())]
    ciphertext: &'a [u8],
    /// Everything before the signature.
    #[debug(skip)]
    signed: &'a [u8],
    #[debug(skip)]
    signature: [u8; SIGNATURE],
}

impl<'a> GroupMessage<'a> {
    /// Reads an envelope that holds a group message. Fails with `Truncated`, `OutOfBounds`, or `UnknownValue` for another
    /// kind of envelope.
    pub fn decode(envelope: &'a [u8]) -> Result<Self, InvalidMessage> {
        if envelope.len() > ENVELOPE_MAX {
            return Err(InvalidMessage::OutOfBounds);
        }
        let (kind, message) = envelope.split_first().ok_or(InvalidMessage::Truncated)?;
        if *kind != EnvelopeKind::Group as u8 {
            return Err(InvalidMessage::UnknownValue);
        }
        let (signed, signature) = message.split_last_chunk().ok_or(InvalidMessage::Truncated)?;
        let (header, ciphertext) = signed.split_at_checked(GROUP_HEADER).ok_or(InvalidMessage::Truncated)?;
        let mut reader = Reader::new(header);
        Ok(Self {
            group: GroupId::from_bytes(reader.array()?),
            key: KeyId(reader.array()?),
            number: reader.u32()?,
            sequence: reader.u32()?,
            hash: reader.array()?,
            salt: reader.array()?,
            commit: reader.array()?,
            header,
            ciphertext,
            signed,
            signature: *signature,
        })
    }

    /// Whether the sender signed it with this key.
    pub(super) fn verify(&self, sender: &Identity, signing: &VerifyingKey) -> Result<(), PeerMisbehaved> {
        signing.verify(SIGNED, &[sender.as_bytes(), self.signed], &self.signature)
    }

    /// The padded content under a message key: the commitment first, in constant time, then the tag.
    pub(super) fn open(
        &self,
        sender: &Identity,
        cipher: Cipher,
        message_key: &[u8; 32],
    ) -> Result<crate::crypto::secret::SecretVec, Error> {
        let keys = keys(message_key, &self.salt);
        let (key, commit) = halves(&keys);
        if !bool::from(commit.ct_eq(&self.commit)) {
            return Err(Decrypt.into());
        }
        Ok(AeadKey::new(cipher, key).open(0, &associated_data(sender, self.header), self.ciphertext)?)
    }
}

/// `k || commit = HKDF-Expand(mk, label "group key" || salt, 64)`
pub(super) fn keys(message_key: &[u8; 32], salt: &[u8; 16]) -> Secret<64> {
    let mut keys = Secret::zero();
    hkdf_expand(message_key, &[Label::GROUP_KEY.bytes(), salt], keys.as_mut_bytes());
    keys
}

/// The two halves of what [`keys`] gives.
pub(super) fn halves(keys: &Secret<64>) -> (&[u8; 32], &[u8; 32]) {
    let (chunks, _) = keys.as_bytes().as_chunks();
    match chunks {
        [key, commit] => (key, commit),
        _ => (&[0; 32], &[0; 32]),
    }
}

/// `label "group ad" || sender identity || everything before the ciphertext`
pub(super) fn associated_data(sender: &Identity, header: &[u8]) -> Vec<u8> {
    [Label::GROUP_AD.bytes(), sender.as_bytes(), header].concat()
}
