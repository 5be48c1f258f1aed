//! What a relay says without being asked.

use super::{Bytes, EnvelopeId, Packet, USERS_PER_PAGE, at_most, messages};
use crate::codec;
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, InvalidMessage};
use crate::identity::{Identity, UserName};
use crate::roster::GroupId;
use serde::{Deserialize, Serialize};

messages! {
    /// A push.
    Push {
        /// An envelope for this device.
        Deliver(Deliver) = 0x4001;
        /// Users who appear otherwise than before; only to who watches.
        Presence(PresenceChanges) = 0x4002;
        /// A group of this user has a new entry, which may have added or removed them.
        GroupChanged(GroupHead) = 0x4003;
        /// A device of this user wants to be added (I8); to listed devices, and again at each login.
        ListProposed(ListProposed) = 0x4004;
        /// One-time prekeys of this device run out.
        PrekeysLow(PrekeysLow) = 0x4005;
        /// Something about this user's account.
        Notice(Notice) = 0x4006;
    }
}

impl Push {
    /// The message with this push. [`ApiMisuse::TooLarge`] when the body is.
    pub fn encode(&self) -> Result<SecretVec, ApiMisuse> {
        self.write(0)
    }
}

/// An envelope. One that is not transient comes again at each login until it is acknowledged (L1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliver {
    /// The sender's id for it.
    pub id: EnvelopeId,
    /// Which device sent it: the relay's word (L9).
    pub sender: Identity,
    /// Whose device that is: the relay's word (L9).
    pub user: UserName,
    /// When the relay took it, in milliseconds since 1970.
    pub sent_at: u64,
    /// Not stored: it is not acknowledged.
    pub transient: bool,
    /// The envelope.
    pub envelope: Bytes,
}

/// How long a group's log is. [`Push::GroupChanged`], and in the list of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupHead {
    /// The group.
    pub group: GroupId,
    /// The number of its newest entry.
    pub sequence: u32,
    /// The hash of that entry.
    #[serde(with = "codec::bytes")]
    pub hash: [u8; 32],
}

/// How a user appears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Presence {
    /// Not there, or does not want to seem so.
    #[default]
    Offline,
    /// Connected but not at it.
    Away,
    /// There.
    Online,
}

/// A user and how they appear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPresence {
    /// Who.
    pub user: UserName,
    /// How.
    pub presence: Presence,
}

/// [`Push::Presence`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceChanges {
    /// The newest state of each user who changed, in order of their names.
    #[serde(deserialize_with = "at_most::<_, _, USERS_PER_PAGE>")]
    pub changes: Vec<UserPresence>,
}

/// [`Push::ListProposed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListProposed {
    /// The list, signed by the new device alone.
    pub list: Bytes,
}

/// [`Push::PrekeysLow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrekeysLow {
    /// The number of the kind.
    pub kind: u8,
    /// How many are left.
    pub left: u32,
}

/// [`Push::Notice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    pub code: NoticeCode,
    /// The epoch of the user's device list now.
    pub epoch: u64,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u16", into = "u16")]
#[non_exhaustive]
pub enum NoticeCode {
    /// Another device of this user published the next device list.
    ListChanged,
    /// Somebody with the password published a new epoch 0; this device is no longer listed (I8).
    ListReplaced,
    /// A number that this implementation does not know.
    Other(u16),
}

impl From<u16> for NoticeCode {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::ListChanged,
            2 => Self::ListReplaced,
            other => Self::Other(other),
        }
    }
}

impl From<NoticeCode> for u16 {
    fn from(code: NoticeCode) -> Self {
        match code {
            NoticeCode::ListChanged => 1,
            NoticeCode::ListReplaced => 2,
            NoticeCode::Other(other) => other,
        }
    }
}
