//! What answers a request.

use super::{
    Bytes, DEVICES_PER_FETCH, ENTRIES_PER_PAGE, GROUPS_PER_PAGE, GroupHead, LISTS_PER_PAGE, Packet, RANGES_PER_PAGE,
    REFUSAL_KIND, USERS_PER_PAGE, UserPresence, at_most, messages,
};
use crate::crypto::secret::{Secret, SecretVec};
use crate::error::{ApiMisuse, InvalidMessage};
use crate::identity::Identity;
use crate::limits::{ENVELOPES_PER_SEND, REST_MAX};
use core::fmt;
use serde::{Deserialize, Serialize};

messages! {
    /// A reply: the variant is that of the request it answers.
    Reply {
        /// Both ends are there.
        Ping(Done) = 0x8001;
        /// The password was right, or none is needed.
        Enter(Done) = 0x8002;
        /// Registered and logged in.
        Register(LoggedIn) = 0x8003;
        /// Logged in.
        LogIn(LoggedIn) = 0x8004;
        /// Logged in.
        LogInDevice(LoggedIn) = 0x8005;
        /// The new password counts.
        ChangePassword(Done) = 0x8010;
        /// The secret for one-time codes, to be confirmed.
        SetUpCode(CodeSecret) = 0x8011;
        /// Logins with the password need a code from now on.
        ConfirmCode(Done) = 0x8012;
        /// The bundle is the newest one.
        PublishBundle(Done) = 0x8020;
        /// What is there now.
        PublishPrekeys(Stock) = 0x8021;
        /// The list is the current one.
        PublishList(Done) = 0x8022;
        /// The list waits for a listed device.
        ProposeList(Done) = 0x8023;
        /// A part of the chain of lists.
        FetchLists(Lists) = 0x8028;
        /// Keys of devices.
        FetchKeys(Keys) = 0x8029;
        /// A page of users.
        Users(Users) = 0x8030;
        /// The presence is set.
        SetPresence(Done) = 0x8031;
        /// What became of each envelope.
        Send(Sent) = 0x8038;
        /// They wait no longer.
        Acknowledge(Done) = 0x8039;
        /// The entry is the newest of its group's log.
        GroupEntry(Done) = 0x8040;
        /// A part of a group's log.
        GroupLog(Log) = 0x8041;
        /// Groups.
        Groups(Groups) = 0x8042;
        /// The blob is there.
        CreateBlob(Done) = 0x8050;
        /// The chunk is there.
        PutChunk(Done) = 0x8051;
        /// What is missing.
        MissingChunks(Missing) = 0x8052;
        /// The chunk.
        GetChunk(Chunk) = 0x8053;
        /// The blob is gone.
        DeleteBlob(Done) = 0x8054;
    }
}

impl Reply {
    /// The message with this reply to the request `id`. [`ApiMisuse::TooLarge`] when the body is.
    pub fn encode(&self, id: u32) -> Result<SecretVec, ApiMisuse> {
        self.write(id)
    }
}

/// Nothing more to say than that it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done;

/// What a device needs to know once it is logged in; after a restore it continues above these numbers (S10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedIn {
    /// Whether the device is in the user's current list; if not, L7 says what it may do.
    pub listed: bool,
    /// The epoch of that list; none where the account has no list yet (it came from another system).
    pub epoch: Option<u64>,
    /// The serial of this device's bundle at the relay; 0 when there is none.
    pub serial: u64,
    /// This device's prekeys at the relay.
    pub stock: Stock,
}

/// One-time prekeys at the relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// One entry for each kind, the X25519 kind first.
    #[serde(deserialize_with = "at_most::<_, _, 16>")]
    pub kinds: Vec<PrekeyStock>,
}

/// The one-time prekeys of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrekeyStock {
    /// The number of the kind.
    pub kind: u8,
    /// How many are left.
    pub left: u32,
    /// The highest id ever published for this device and kind; 0 when there was none. At login the last-resort prekey
    /// in the bundle counts too.
    pub highest: u32,
}

/// The secret of RFC 6238: SHA-1, 6 digits, 30 seconds.
#[derive(Serialize, Deserialize)]
pub struct CodeSecret {
    /// The key, 20 random bytes.
    pub secret: Secret<20>,
}

impl Clone for CodeSecret {
    fn clone(&self) -> Self {
        Self { secret: self.secret.duplicate() }
    }
}

impl fmt::Debug for CodeSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CodeSecret(..)")
    }
}

/// A part of a user's current chain of device lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lists {
    /// The current epoch, 0 also where there is no list yet. One below what the reader holds means a new epoch 0 (I9):
    /// it fetches from 0 on.
    pub epoch: u64,
    /// Signed device lists, rising by one from the epoch asked for.
    #[serde(deserialize_with = "at_most::<_, _, LISTS_PER_PAGE>")]
    pub lists: Vec<Bytes>,
    /// The epoch to go on from; 0 when nothing follows.
    pub next: u64,
}

/// Keys of those devices asked for that are in the user's current list and have a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The current epoch of the user's device list.
    pub epoch: u64,
    /// In the order asked for.
    #[serde(deserialize_with = "at_most::<_, _, DEVICES_PER_FETCH>")]
    pub devices: Vec<DeviceKeys>,
}

/// The keys of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeys {
    /// The device.
    pub identity: Identity,
    /// Its signed bundle.
    pub bundle: Bytes,
    /// A signed one-time prekey of the kind asked for, while there is one.
    pub prekey: Option<Bytes>,
}

/// A page of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// In order of their names.
    #[serde(deserialize_with = "at_most::<_, _, USERS_PER_PAGE>")]
    pub users: Vec<UserPresence>,
    /// What to ask from for the next page; empty when nothing follows.
    pub next: String,
}

/// What became of each envelope of a send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// One for each envelope, in order.
    #[serde(deserialize_with = "at_most::<_, _, ENVELOPES_PER_SEND>")]
    pub results: Vec<SendResult>,
}

/// What became of one envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendResult {
    /// Taken, or why not.
    pub outcome: SendOutcome,
    /// The epoch of the recipient's user's device list; 0 when the identity was never seen here (L3).
    pub epoch: u64,
}

/// Whether the relay took an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendOutcome {
    /// Stored; or, of a transient one, handed on if its recipient is online.
    Taken,
    /// The recipient is in no current device list.
    Unknown,
    /// The recipient's mailbox is full.
    Full,
}

/// The chunks of a blob that are not there yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Rising, and not touching each other.
    #[serde(deserialize_with = "at_most::<_, _, RANGES_PER_PAGE>")]
    pub ranges: Vec<ChunkRange>,
    /// The place to go on from; 0 when nothing follows.
    pub next: u32,
}

/// A run of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRange {
    /// The first.
    pub start: u32,
    /// How many, at least 1.
    pub count: u32,
}

/// A part of a group's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The number of the newest entry.
    pub sequence: u32,
    /// Signed entries, rising by one from the one asked for.
    #[serde(deserialize_with = "at_most::<_, _, ENTRIES_PER_PAGE>")]
    pub entries: Vec<Bytes>,
    /// The entry to go on from; 0 when nothing follows.
    pub next: u32,
}

/// Groups in which a user is a member, in order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// They, each with its newest entry.
    #[serde(deserialize_with = "at_most::<_, _, GROUPS_PER_PAGE>")]
    pub groups: Vec<GroupHead>,
    /// Whether others follow after the last of these.
    pub more: bool,
    /// An open group that the relay offers to everyone (G3).
    pub lobby: Option<GroupHead>,
}

/// One sealed chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its bytes.
    pub chunk: Bytes,
}

/// Why a request was not done. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason.
    pub code: RefusalCode,
    /// Seconds after which trying again makes sense; 0 when waiting changes nothing.
    pub retry_after: u32,
}

impl Refusal {
    /// A refusal that waiting does not change.
    pub fn new(code: RefusalCode) -> Self {
        Self { code, retry_after: 0 }
    }

    /// A refusal that may not be repeated in `seconds`.
    pub fn after(code: RefusalCode, seconds: u32) -> Self {
        Self { code, retry_after: seconds }
    }

    /// How long to wait before asking again, in milliseconds: as it says, within what a client lets itself be told.
    pub fn wait(&self, at_least: u64) -> u64 {
        u64::from(self.retry_after).saturating_mul(1_000).clamp(at_least, REST_MAX)
    }

    /// The message with this refusal of the request `id`.
    pub fn encode(&self, id: u32) -> Result<SecretVec, ApiMisuse> {
        super::write(id, REFUSAL_KIND, self)
    }

    /// Reads the body of a refusal.
    pub fn decode(packet: &Packet<'_>) -> Result<Self, InvalidMessage> {
        super::read(packet.body)
    }
}

impl From<RefusalCode> for Refusal {
    fn from(code: RefusalCode) -> Self {
        Self::new(code)
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        /// The reason of a refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(from = "u16", into = "u16")]
        #[non_exhaustive]
        pub enum RefusalCode {
            $($(#[$doc])* $name,)*
            /// A number that this implementation does not know.
            Other(u16),
        }

        impl From<u16> for RefusalCode {
            fn from(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Other(other),
                }
            }
        }

        impl From<RefusalCode> for u16 {
            fn from(code: RefusalCode) -> Self {
                match code {
                    $(RefusalCode::$name => $number,)*
                    RefusalCode::Other(other) => other,
                }
            }
        }
    };
}

refusals! {
    /// The body does not decode, or a value in it is outside its limits.
    Malformed = 1;
    /// The relay does not know this kind of request.
    UnknownRequest = 2;
    /// The request does not fit what happened on this connection before: not logged in, or logged in already.
    WrongState = 3;
    /// This device may not do that: not in the current list (L7), or not the owner.
    NotAllowed = 4;
    /// The relay's own password is wrong, or has to be given first.
    ServerPassword = 5;
    /// Unknown user, wrong password, wrong code or wrong signature: there is no telling which (L4).
    Credentials = 6;
    /// The password is right, and a one-time code is needed.
    CodeNeeded = 7;
    /// The user name is taken.
    NameTaken = 8;
    /// Nobody can register here.
    RegistrationClosed = 9;
    /// More requests than the relay allows.
    RateLimited = 10;
    /// Too many failed logins.
    Locked = 11;
    /// The relay cannot do this now; nothing was changed.
    Unavailable = 12;
    /// No user of that name.
    UnknownUser = 13;
    /// No room left.
    Full = 14;
    /// The device list does not follow the current one, or is no longer the next.
    ListRefused = 15;
    /// The bundle or a prekey is not this device's, has expired, or is older than the one before.
    BundleRefused = 16;
    /// No blob or chunk of that name.
    NotFound = 17;
    /// The chunk did not come while the request waited.
    NotYet = 18;
    /// Larger than the relay allows.
    TooLarge = 19;
    /// The identity or the id belongs to another user.
    Taken = 20;
    /// The device belongs to that user, but is not, or no longer, in the current list: it cannot log in with its key.
    NotListed = 21;
    /// The rules of the group do not allow the entry.
    EntryRefused = 22;
    /// The entry does not follow the newest one of its group.
    EntryOutdated = 23;
}
