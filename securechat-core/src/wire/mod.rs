//! The typed messages of a link: requests, replies and pushes (PROTOCOL.md section 10).
//!
//! ```text
//! id u32 | kind u16 | u16 length | body (struct)
//! ```
//!
//! | kind | what it is |
//! |---|---|
//! | 0x0001 to 0x3FFF | a request; its id is not 0 and not that of another open request |
//! | 0x4000 to 0x7FFF | a push; its id is 0 |
//! | request + 0x8000 | the reply to the request of that id |
//! | 0xFFFF | the refusal of the request of that id |
//!
//! A body may have bytes after the fields that its reader knows. Signed objects travel as [`Bytes`] in their own encoding.

mod login;
mod push;
mod reply;
mod request;
mod value;

use crate::crypto::secret::SecretVec;
pub use login::LoginClaim;
pub use push::{
    Deliver, GroupHead, ListProposed, Notice, NoticeCode, PrekeysLow, Presence, PresenceChanges, Push, UserPresence,
};
pub use reply::{
    Chunk, ChunkRange, CodeSecret, DeviceKeys, Done, Groups, Keys, Lists, Log, LoggedIn, Missing, PrekeyStock, Refusal,
    RefusalCode, Reply, SendOutcome, SendResult, Sent, Stock, Users,
};
pub use request::{
    Acknowledge, ChangePassword, ConfirmCode, CreateBlob, DeleteBlob, Enter, EnvelopeRef, FetchGroups, FetchKeys,
    FetchLists, FetchLog, FetchUsers, GetChunk, GroupEntry, LogIn, LogInDevice, MissingChunks, Ping, ProposeList,
    PublishBundle, PublishList, PublishPrekeys, PutChunk, Recipient, Register, Request, Send, SendItem, SetPresence,
    SetUpCode,
};
pub use value::{BlobId, Bytes, EnvelopeId, OneTimeCode, Password};

use crate::codec::{self, Reader};
use crate::error::{ApiMisuse, InvalidMessage};
use core::fmt;
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Bytes before the body of a message.
pub const HEADER_LEN: usize = 8;
/// Longest body, in bytes: with its header and the type byte it fills a record of the cipher that leaves less room.
pub const BODY_MAX: usize = 65_487 - 1 - HEADER_LEN;
/// Longest password, in bytes.
pub const PASSWORD_MAX: usize = 256;
/// Devices named in one [`FetchKeys`].
pub const DEVICES_PER_FETCH: usize = 8;
/// Envelopes named in one [`Acknowledge`].
pub const ENVELOPES_PER_ACKNOWLEDGE: usize = 256;
/// Users in one reply or push.
pub const USERS_PER_PAGE: usize = 512;
/// Device lists in one reply.
pub const LISTS_PER_PAGE: usize = 16;
/// Ranges in one reply to [`MissingChunks`].
pub const RANGES_PER_PAGE: usize = 4_096;
/// Entries of a group's log in one reply.
pub const ENTRIES_PER_PAGE: usize = 32;
/// Groups in one reply.
pub const GROUPS_PER_PAGE: usize = 512;
/// What a reply's kind has above its request's.
pub const REPLY_BIT: u16 = 0x8000;
/// The kind of a refusal.
pub const REFUSAL_KIND: u16 = 0xFFFF;

/// One message as it arrives: its header read, its body not yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Which request this is or answers; 0 in a push.
    pub id: u32,
    /// What the body is.
    pub kind: u16,
    /// The encoded fields.
    pub body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the header; the length must be that of everything that follows.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(bytes);
        let (id, kind) = (reader.u32()?, reader.u16()?);
        let body = reader.prefixed()?;
        reader.finish()?;
        Ok(Self { id, kind, body })
    }

    /// Whether this has the number of a request. The kind may still be unknown.
    pub fn is_request(&self) -> bool {
        self.id != 0 && (0x0001..0x4000).contains(&self.kind)
    }

    /// Whether this has the number of a push. The kind may still be unknown.
    pub fn is_push(&self) -> bool {
        self.id == 0 && (0x4000..0x8000).contains(&self.kind)
    }

    /// Whether this has the number of a reply or a refusal.
    pub fn is_reply(&self) -> bool {
        self.id != 0 && self.kind > REPLY_BIT
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Packet {{ id: {}, kind: {:#06x}, {} bytes }}", self.id, self.kind, self.body.len())
    }
}

/// A message as its receiver sees it.
#[derive(Debug)]
pub enum Received {
    /// The other side asks for something.
    Request(u32, Request),
    /// The answer to the request of that id.
    Reply(u32, Reply),
    /// The request of that id was refused.
    Refused(u32, Refusal),
    /// Something that was not asked for.
    Push(Push),
    /// A kind that this implementation does not know: a request is refused, a push is passed over.
    Unknown {
        /// The id in the header.
        id: u32,
        /// The kind in the header.
        kind: u16,
    },
}

impl Received {
    /// Decodes a message, whatever it is.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        let packet = Packet::decode(bytes)?;
        let unknown = Self::Unknown { id: packet.id, kind: packet.kind };
        if packet.is_request() {
            Ok(Request::decode(&packet)?.map_or(unknown, |request| Self::Request(packet.id, request)))
        } else if packet.is_push() {
            Ok(Push::decode(&packet)?.map_or(unknown, Self::Push))
        } else if !packet.is_reply() {
            Err(InvalidMessage::UnknownValue)
        } else if packet.kind == REFUSAL_KIND {
            Ok(Self::Refused(packet.id, Refusal::decode(&packet)?))
        } else {
            Ok(Reply::decode(&packet)?.map_or(unknown, |reply| Self::Reply(packet.id, reply)))
        }
    }
}

/// Why the side that closes a link does so: the code of its `Close` record (4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum CloseCode {
    /// Nothing more to say.
    Done = 0,
    /// No login within the time limit.
    LoginTimeout = 1,
    /// Silent for too long.
    Idle = 2,
    /// What waits to be written grew beyond its bound, or was not read for too long.
    Stalled = 3,
    /// Bytes that are no message, or more requests than may be open.
    Misbehaved = 4,
    /// The relay stops.
    Shutdown = 5,
    /// The same device logged in on a newer connection.
    Replaced = 6,
    /// The device is no longer in its user's device list.
    Revoked = 7,
    /// Too many connections.
    Busy = 8,
}

impl CloseCode {
    /// The code with this number, if it is one of these.
    pub fn from_number(number: u8) -> Option<Self> {
        const ALL: [CloseCode; 9] = [
            CloseCode::Done,
            CloseCode::LoginTimeout,
            CloseCode::Idle,
            CloseCode::Stalled,
            CloseCode::Misbehaved,
            CloseCode::Shutdown,
            CloseCode::Replaced,
            CloseCode::Revoked,
            CloseCode::Busy,
        ];
        ALL.into_iter().find(|code| *code as u8 == number)
    }
}

/// Writes header and body into one buffer, sized beforehand so that no copy of a password is left behind.
fn write<T: Serialize + ?Sized>(id: u32, kind: u16, body: &T) -> Result<SecretVec, ApiMisuse> {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&id.to_be_bytes());
    header[4..6].copy_from_slice(&kind.to_be_bytes());
    let mut packet = codec::encode_secret_after(&header, body);
    let length = packet.len().saturating_sub(HEADER_LEN);
    let length = u16::try_from(length).ok().filter(|_| length <= BODY_MAX).ok_or(ApiMisuse::TooLarge)?;
    if let Some(place) = packet.get_mut(HEADER_LEN - 2..HEADER_LEN) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(packet)
}

/// Reads a body; what follows the known fields is left alone.
fn read<T: Serialize + DeserializeOwned>(body: &[u8]) -> Result<T, InvalidMessage> {
    codec::decode_prefix(body).map(|(value, _)| value)
}

/// A list of at most `N` elements; a longer one is refused before it is read.
fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>, const N: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct List<T, const N: usize>(core::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for List<T, N> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "at most {N} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = seq.next_element()? {
                if list.len() == N {
                    return Err(A::Error::invalid_length(N + 1, &self));
                }
                list.push(element);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_seq(List::<T, N>(core::marker::PhantomData))
}

/// Declares the enum of a class of messages with the kind number of each.
macro_rules! messages {
    (
        $(#[$enum_doc:meta])*
        $name:ident {
            $($(#[$doc:meta])* $variant:ident($body:ty) = $kind:literal;)*
        }
    ) => {
        $(#[$enum_doc])*
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant($body),)*
        }

        impl $name {
            /// The kind numbers in use, in order.
            pub const KINDS: &[u16] = &[$($kind),*];

            /// The kind number of this message.
            pub fn kind(&self) -> u16 {
                match self {
                    $(Self::$variant(_) => $kind,)*
                }
            }

            /// The fields, by their names.
            #[cfg(test)]
            pub(super) fn fields(&self) -> serde_json::Value {
                match self {
                    $(Self::$variant(body) => serde_json::to_value(body).unwrap(),)*
                }
            }

            fn write(&self, id: u32) -> Result<SecretVec, ApiMisuse> {
                match self {
                    $(Self::$variant(body) => super::write(id, $kind, body),)*
                }
            }

            /// Reads the body; `None` when the kind is unknown here.
            pub fn decode(packet: &Packet<'_>) -> Result<Option<Self>, InvalidMessage> {
                Ok(Some(match packet.kind {
                    $($kind => Self::$variant(super::read(packet.body)?),)*
                    _ => return Ok(None),
                }))
            }
        }
    };
}
use messages;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
