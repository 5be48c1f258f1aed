//! Entries of a roster: what a member did to the group, signed by their device.

use super::GroupId;
use crate::codec;
use crate::crypto::ed25519::SigningKey;
use crate::crypto::hash::sha256;
use crate::crypto::label::Label;
use crate::error::{ApiMisuse, Error, InvalidMessage, PeerMisbehaved};
use crate::identity::signed::{self, serde_as_kept};
use crate::identity::{Identity, UserName};
use crate::limits::{DEVICE_LIST_EPOCHS, DISPLAY_NAME_MAX, ROSTER_ENTRIES, USER_NAME_MAX, USERS_PER_ENTRY};
use serde::{Deserialize, Serialize};

/// Longest encoding of a signed entry, in bytes.
pub const ENTRY_MAX: usize = signed::OVERHEAD + ENTRY_FRONT + 1 + 1 + USERS_PER_ENTRY * (1 + USER_NAME_MAX);

/// Most bytes of the fields before the action: identity, group, hash, numbers, actor.
const ENTRY_FRONT: usize = 32 + 16 + 32 + 2 + 10 + 2 + 1 + USER_NAME_MAX;

/// What an entry does.
///
/// | number | action | fields |
/// |---|---|---|
/// | 0 | create | name: text of 1 to 128 bytes; open: flag; nonce: 16 random bytes |
/// | 1 | add | varint count 1 to 32, user names |
/// | 2 | remove | varint count 1 to 32, user names |
/// | 3 | admin | user name; flag: is one from now on |
/// | 4 | rename | name: text of 1 to 128 bytes |
/// | 5 | epoch | |
#[derive(Clone, derive_more::Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// A group begins, with its actor as member and admin.
    Create {
        /// What it is called.
        #[debug("{} bytes", name.len())]
        name: String,
        /// Whether any user of the relay may add themself (G3).
        open: bool,
        /// Makes two groups of one name, one actor and one moment two.
        nonce: [u8; 16],
    },
    /// These users become members.
    Add {
        /// Who, distinct.
        users: Vec<UserName>,
    },
    /// These users are members no longer. Everyone may leave.
    Remove {
        /// Who, distinct.
        users: Vec<UserName>,
    },
    /// A member becomes an admin, or is one no longer.
    Admin {
        /// Who.
        user: UserName,
        /// Whether they are one from now on.
        admin: bool,
    },
    /// Another name for the group.
    Rename {
        /// The name.
        #[debug("{} bytes", name.len())]
        name: String,
    },
    /// The actor's device list has a new epoch: what a revoked device signs under an older one counts no longer (G2).
    Epoch,
}

impl Action {
    /// Its number, as in the table above.
    pub fn number(&self) -> u8 {
        match self {
            Self::Create { .. } => 0,
            Self::Add { .. } => 1,
            Self::Remove { .. } => 2,
            Self::Admin { .. } => 3,
            Self::Rename { .. } => 4,
            Self::Epoch => 5,
        }
    }
}

/// The body of an entry.
///
/// | field | encoding |
/// |---|---|
/// | identity | 32 bytes; the signer |
/// | group | 16 bytes; zeros in the first entry |
/// | previous | 32 bytes: hash of the entry before; zeros in the first |
/// | sequence | varint u32, below 4,096 |
/// | time | varint u64, Unix milliseconds |
/// | epoch | varint u64, below 4,096 |
/// | actor | user name |
/// | action | [`Action`] |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The device that signed.
    pub identity: Identity,
    /// The group.
    pub group: GroupId,
    /// The hash of the entry before.
    pub previous: [u8; 32],
    /// Its place in the log.
    pub sequence: u32,
    /// The signer's clock.
    pub time: u64,
    /// The epoch of the actor's device list in which the signer is.
    pub epoch: u64,
    /// The user who does this.
    pub actor: UserName,
    /// What is done.
    pub action: Action,
}

impl Action {
    /// Whether names and numbers of users are within their bounds, and nobody stands twice.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let distinct =
            |users: &[UserName]| users.iter().enumerate().all(|(i, user)| !users.iter().take(i).any(|u| u == user));
        let bounded = match self {
            Self::Create { name, .. } | Self::Rename { name } => (1..=DISPLAY_NAME_MAX).contains(&name.len()),
            Self::Add { users } | Self::Remove { users } => (1..=USERS_PER_ENTRY).contains(&users.len()),
            Self::Admin { .. } | Self::Epoch => true,
        };
        match self {
            _ if !bounded => Err(InvalidMessage::OutOfBounds.into()),
            Self::Add { users } | Self::Remove { users } if !distinct(users) => Err(PeerMisbehaved::RosterEntry.into()),
            _ => Ok(()),
        }
    }
}

impl Entry {
    fn check(&self) -> Result<(), Error> {
        if self.sequence >= ROSTER_ENTRIES || self.epoch >= DEVICE_LIST_EPOCHS {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        self.action.check()
    }
}

/// An entry with its signature, which was checked: label "roster".
///
/// | field | bytes | |
/// |---|---|---|
/// | length | 2 | of the body |
/// | body | length | [`Entry`] |
/// | signature | 64 | Ed25519 over `label || body` |
#[derive(Clone, derive_more::Debug, PartialEq, Eq)]
pub struct SignedEntry {
    #[debug("{} bytes", bytes.len())]
    bytes: Vec<u8>,
    entry: Entry,
    hash: [u8; 32],
}

impl SignedEntry {
    /// Signs an entry with the identity key that it names.
    ///
    /// Fails with [`ApiMisuse::TooLarge`] when a name or a number of users is beyond its bound.
    pub fn sign(entry: Entry, key: &SigningKey) -> Result<Self, ApiMisuse> {
        entry.check().map_err(|_| ApiMisuse::TooLarge)?;
        let bytes = signed::sign(Label::ROSTER, &codec::encode(&entry), key)?;
        Ok(Self { hash: signed::hash(&bytes), bytes, entry })
    }

    /// Reads an entry: its signature first, then the form of the body.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let entry: Entry = codec::decode(signed::open(Label::ROSTER, bytes, 0, ENTRY_MAX)?)?;
        entry.check()?;
        Ok(Self { bytes: bytes.to_vec(), entry, hash: signed::hash(bytes) })
    }

    /// It as it travels.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 over body and signature (I1).
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// What it says.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The id of the group that this entry creates (G1): the first 16 bytes of
    /// `SHA-256(label "group id" || body || signature)`.
    pub fn created_group(&self) -> GroupId {
        let hash = sha256(&[Label::GROUP_ID.bytes(), self.bytes.get(2..).unwrap_or_default()]);
        GroupId::from_bytes(hash.first_chunk().copied().unwrap_or_default())
    }

    /// The group that this entry belongs to, whether or not it creates it.
    pub fn group(&self) -> GroupId {
        if self.entry.sequence == 0 { self.created_group() } else { self.entry.group }
    }
}

serde_as_kept!(SignedEntry);
