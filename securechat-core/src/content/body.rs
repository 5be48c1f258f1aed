//! The kinds of content and their bodies.

use crate::codec::{decode_prefix, encode_secret};
use crate::content::MessageId;
use crate::crypto::aead::Cipher;
use crate::crypto::ed25519::VerifyingKey;
use crate::crypto::secret::{Secret, SecretVec};
use crate::error::{ApiMisuse, InvalidMessage};
use crate::file::FileOffer;
use crate::identity::UserName;
use crate::limits::{
    CONTENT_MAX, DISPLAY_NAME_MAX, FILE_NAME_MAX, MEDIA_TYPE_MAX, REACTION_MAX, RECEIPT_IDS, TEXT_MAX,
};
use crate::roster::{ENTRY_MAX, GroupId};
use core::fmt;
use core::str::FromStr;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The numbers of the kinds. None is ever used again for something else.
pub mod kind {
    /// A text.
    pub const TEXT: u16 = 1;
    /// Another text in place of an earlier one.
    pub const EDIT: u16 = 2;
    /// An earlier message taken back.
    pub const DELETE: u16 = 3;
    /// A reaction to a message.
    pub const REACTION: u16 = 4;
    /// What became of messages at their receiver.
    pub const RECEIPT: u16 = 5;
    /// Somebody types, or stopped.
    pub const TYPING: u16 = 6;
    /// A copy, for the sender's own other devices, of what it sent.
    pub const SENT: u16 = 7;
    /// How the sender wants to be called.
    pub const PROFILE: u16 = 8;
    /// A file.
    pub const FILE_OFFER: u16 = 9;
    /// The end of a file, with the root over its chunks.
    pub const FILE_COMPLETE: u16 = 10;
    /// A sender key of a group.
    pub const GROUP_KEY: u16 = 11;
    /// What members of a group say to each other about it.
    pub const GROUP_CONTROL: u16 = 12;
    /// A request for a message that did not open (S9).
    pub const RESEND: u16 = 13;
    /// The sender's newest device list.
    pub const DEVICE_LIST: u16 = 14;
    /// The first of the numbers that are the application's.
    pub const APPLICATION: u16 = 0x8000;
}

/// What a message says. The fields of a kind are its body, a struct, in the order in which they stand here.
///
/// `Debug` shows kinds, ids and lengths, and nothing that anybody wrote.
pub enum Body {
    /// A text of at most [`TEXT_MAX`] bytes.
    Text {
        /// What was written.
        text: String,
    },
    /// Another text in place of an earlier one. It counts only from the user who sent that, in the same conversation.
    Edit {
        /// The message to change.
        target: MessageId,
        /// What it says from now on.
        text: String,
    },
    /// An earlier message taken back. It counts as an edit does.
    Delete {
        /// The message to remove.
        target: MessageId,
    },
    /// A reaction to a message, such as an emoji, of at most [`REACTION_MAX`] bytes.
    Reaction {
        /// The message that is reacted to.
        target: MessageId,
        /// The reaction.
        reaction: String,
        /// Whether it is taken back.
        removed: bool,
    },
    /// What became of messages at their receiver.
    Receipt {
        /// What became of them.
        kind: ReceiptKind,
        /// Which messages, at most [`RECEIPT_IDS`].
        ids: Vec<MessageId>,
    },
    /// The sender types, or stopped.
    Typing {
        /// Whether they type now.
        active: bool,
    },
    /// A copy for the sender's own other devices (S11). Refused from anyone outside one's own device list.
    Sent {
        /// Where the message went.
        to: Conversation,
        /// The message's content, encoded. It is never another `Sent`.
        content: SecretVec,
    },
    /// How the sender wants to be called, in at most [`DISPLAY_NAME_MAX`] bytes. It is never a check of who they are.
    Profile {
        /// The display name.
        name: String,
    },
    /// A file (section 9). It costs the receiver nothing until accepted.
    FileOffer(FileOffer),
    /// The end of a file. It counts only from the identity that sent the offer, and once.
    FileComplete {
        /// The file's id.
        file: [u8; 16],
        /// The root over its chunks (F2).
        root: [u8; 32],
    },
    /// A request for a message that did not open (S9).
    Resend {
        /// The envelope's id; of an unopened message nothing else is known.
        envelope: [u8; 16],
    },
    /// A sender key of a group, handed to one member (G4).
    GroupKey {
        /// The group.
        group: GroupId,
        /// The key that verifies.
        signing: VerifyingKey,
        /// The cipher of the messages.
        cipher: Cipher,
        /// The number of the first message that it opens.
        number: u32,
        /// The chain at that number.
        chain: Secret<32>,
    },
    /// What members tell each other about a group, beside what they write.
    GroupControl {
        /// The group.
        group: GroupId,
        /// What.
        control: GroupControl,
    },
    /// The sender's newest device list.
    DeviceList {
        /// The signed object (I1, I6).
        list: Vec<u8>,
        /// The hash of the receiver's list that the sender holds: what both hold is what a safety number needs (I10).
        yours: [u8; 32],
    },
    /// What the application says.
    Application {
        /// Its number, [`kind::APPLICATION`] or above.
        kind: u16,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A kind that this version does not know, kept as it came.
    Unknown {
        /// Its number.
        kind: u16,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// Where a message that is copied to one's own devices went.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Conversation {
    /// To all devices of a user.
    User(UserName),
    /// To all devices of all members of a group.
    Group(GroupId),
}

impl From<&UserName> for Conversation {
    fn from(user: &UserName) -> Self {
        Self::User(user.clone())
    }
}

impl From<UserName> for Conversation {
    fn from(user: UserName) -> Self {
        Self::User(user)
    }
}

impl From<GroupId> for Conversation {
    fn from(group: GroupId) -> Self {
        Self::Group(group)
    }
}

impl From<&Self> for Conversation {
    fn from(other: &Self) -> Self {
        other.clone()
    }
}

impl fmt::Display for Conversation {
    /// The user's name, or `#` and the group's id: no user's name begins with that.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(formatter),
            Self::Group(group) => write!(formatter, "#{group}"),
        }
    }
}

impl FromStr for Conversation {
    type Err = InvalidMessage;

    fn from_str(text: &str) -> Result<Self, InvalidMessage> {
        match text.strip_prefix('#') {
            Some(group) => group.parse().map(Self::Group),
            None => UserName::new(text).map(Self::User),
        }
    }
}

/// What a member of a group asks or tells another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum GroupControl {
    /// A message came under a sender key of yours that this device has not: hand it over (G5).
    KeyWanted {
        /// The key's id.
        key: [u8; 16],
    },
    /// You named an entry that this device does not have there: show it and those before it (G6).
    EntriesWanted {
        /// Its number.
        sequence: u32,
    },
    /// Entries that you asked for, or do not know of yet (G7): at most [`ENTRIES_PER_CONTROL`], rising by one.
    Entries {
        /// Signed entries.
        entries: Vec<Vec<u8>>,
    },
}

/// Entries in one [`GroupControl::Entries`].
pub const ENTRIES_PER_CONTROL: usize = 32;

/// What became of a message at its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReceiptKind {
    /// It opened on a device.
    Delivered,
    /// It was shown to a person.
    Read,
}

impl Body {
    /// The number of its kind.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Text { .. } => kind::TEXT,
            Self::Edit { .. } => kind::EDIT,
            Self::Delete { .. } => kind::DELETE,
            Self::Reaction { .. } => kind::REACTION,
            Self::Receipt { .. } => kind::RECEIPT,
            Self::Typing { .. } => kind::TYPING,
            Self::Sent { .. } => kind::SENT,
            Self::Profile { .. } => kind::PROFILE,
            Self::FileOffer(_) => kind::FILE_OFFER,
            Self::FileComplete { .. } => kind::FILE_COMPLETE,
            Self::GroupKey { .. } => kind::GROUP_KEY,
            Self::GroupControl { .. } => kind::GROUP_CONTROL,
            Self::Resend { .. } => kind::RESEND,
            Self::DeviceList { .. } => kind::DEVICE_LIST,
            Self::Application { kind, .. } | Self::Unknown { kind, .. } => *kind,
        }
    }

    /// Whether it counts only when a session brought it, never in a group.
    pub fn only_in_sessions(&self) -> bool {
        matches!(self.kind(), kind::SENT | kind::GROUP_KEY | kind::GROUP_CONTROL | kind::RESEND | kind::DEVICE_LIST)
    }

    /// The struct of the body.
    pub(super) fn encode(&self) -> SecretVec {
        match self {
            Self::Text { text } => encode_secret(text),
            Self::Edit { target, text } => encode_secret(&(target, text)),
            Self::Delete { target } => encode_secret(target),
            Self::Reaction { target, reaction, removed } => encode_secret(&(target, reaction, removed)),
            Self::Receipt { kind, ids } => encode_secret(&(kind, ids)),
            Self::Typing { active } => encode_secret(active),
            Self::Sent { to, content } => encode_secret(&(to, content.as_slice())),
            Self::Profile { name } => encode_secret(name),
            Self::FileOffer(offer) => encode_secret(offer),
            Self::FileComplete { file, root } => encode_secret(&(file, root)),
            Self::GroupKey { group, signing, cipher, number, chain } => {
                encode_secret(&(group, signing, cipher, number, chain))
            }
            Self::GroupControl { group, control } => encode_secret(&(group, control)),
            Self::Resend { envelope } => encode_secret(envelope),
            Self::DeviceList { list, yours } => encode_secret(&(list, yours)),
            Self::Application { bytes, .. } | Self::Unknown { bytes, .. } => SecretVec::new(bytes.clone()),
        }
    }

    /// The body of a kind; it may go on after the fields that are known here.
    pub(super) fn decode(kind: u16, bytes: &[u8]) -> Result<Self, InvalidMessage> {
        let body = match kind {
            kind::TEXT => Self::Text { text: fields(bytes)? },
            kind::EDIT => fields(bytes).map(|(target, text)| Self::Edit { target, text })?,
            kind::DELETE => Self::Delete { target: fields(bytes)? },
            kind::REACTION => {
                fields(bytes).map(|(target, reaction, removed)| Self::Reaction { target, reaction, removed })?
            }
            kind::RECEIPT => fields(bytes).map(|(kind, ids)| Self::Receipt { kind, ids })?,
            kind::TYPING => Self::Typing { active: fields(bytes)? },
            kind::SENT => fields(bytes).map(|(to, content)| Self::Sent { to, content: SecretVec::new(content) })?,
            kind::PROFILE => Self::Profile { name: fields(bytes)? },
            kind::FILE_OFFER => Self::FileOffer(fields(bytes)?),
            kind::FILE_COMPLETE => fields(bytes).map(|(file, root)| Self::FileComplete { file, root })?,
            kind::GROUP_KEY => fields(bytes).map(|(group, signing, cipher, number, chain)| Self::GroupKey {
                group,
                signing,
                cipher,
                number,
                chain,
            })?,
            kind::GROUP_CONTROL => fields(bytes).map(|(group, control)| Self::GroupControl { group, control })?,
            kind::RESEND => Self::Resend { envelope: fields(bytes)? },
            kind::DEVICE_LIST => fields(bytes).map(|(list, yours)| Self::DeviceList { list, yours })?,
            kind::APPLICATION.. => Self::Application { kind, bytes: bytes.to_vec() },
            _ => Self::Unknown { kind, bytes: bytes.to_vec() },
        };
        if body.is_within_limits() { Ok(body) } else { Err(InvalidMessage::OutOfBounds) }
    }

    /// Whether this side may send it.
    pub(super) fn check_sendable(&self) -> Result<(), ApiMisuse> {
        match self {
            Self::Unknown { .. } => Err(ApiMisuse::ContentKind),
            Self::Application { kind, .. } if *kind < kind::APPLICATION => Err(ApiMisuse::ContentKind),
            _ if self.is_within_limits() => Ok(()),
            _ => Err(ApiMisuse::TooLarge),
        }
    }

    fn is_within_limits(&self) -> bool {
        match self {
            Self::Text { text } | Self::Edit { text, .. } => text.len() <= TEXT_MAX,
            Self::Reaction { reaction, .. } => reaction.len() <= REACTION_MAX,
            Self::Receipt { ids, .. } => ids.len() <= RECEIPT_IDS,
            Self::Sent { content, .. } => content.len() <= CONTENT_MAX,
            Self::Profile { name } => name.len() <= DISPLAY_NAME_MAX,
            Self::GroupControl { control: GroupControl::Entries { entries }, .. } => {
                entries.len() <= ENTRIES_PER_CONTROL && entries.iter().all(|entry| entry.len() <= ENTRY_MAX)
            }
            Self::FileOffer(offer) => offer.name.len() <= FILE_NAME_MAX && offer.media_type.len() <= MEDIA_TYPE_MAX,
            _ => true,
        }
    }
}

/// The fields at the front of a body.
fn fields<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidMessage> {
    decode_prefix(bytes).map(|(fields, _)| fields)
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text } => write!(formatter, "Text({} bytes)", text.len()),
            Self::Edit { target, text } => write!(formatter, "Edit({target}, {} bytes)", text.len()),
            Self::Delete { target } => write!(formatter, "Delete({target})"),
            Self::Reaction { target, removed, .. } => write!(formatter, "Reaction({target}, removed: {removed})"),
            Self::Receipt { kind, ids } => write!(formatter, "Receipt({kind:?}, {ids:?})"),
            Self::Typing { active } => write!(formatter, "Typing({active})"),
            Self::Sent { to, content } => write!(formatter, "Sent({to:?}, {} bytes)", content.len()),
            Self::Profile { name } => write!(formatter, "Profile({} bytes)", name.len()),
            Self::FileOffer(offer) => offer.fmt(formatter),
            Self::FileComplete { file, .. } => write!(formatter, "FileComplete({})", MessageId::from_bytes(*file)),
            Self::GroupKey { group, number, .. } => write!(formatter, "GroupKey({group}, from {number})"),
            Self::GroupControl { group, control } => match control {
                GroupControl::Entries { entries } => write!(formatter, "Entries({group}, {})", entries.len()),
                other => write!(formatter, "{other:?} of {group}"),
            },
            Self::Resend { envelope } => write!(formatter, "Resend({})", MessageId::from_bytes(*envelope)),
            Self::DeviceList { list, .. } => write!(formatter, "DeviceList({} bytes)", list.len()),
            Self::Application { kind, bytes } => write!(formatter, "Application({kind:#06x}, {} bytes)", bytes.len()),
            Self::Unknown { kind, bytes } => write!(formatter, "Unknown({kind:#06x}, {} bytes)", bytes.len()),
        }
    }
}
