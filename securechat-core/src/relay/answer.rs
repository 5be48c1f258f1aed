//! What a store answers.

use super::job::PasswordHash;
use super::store::StoredList;
use crate::crypto::secret::Secret;
use crate::identity::{Identity, UserName};
use crate::wire::{Bytes, ChunkRange, EnvelopeId, EnvelopeRef, GroupHead, PrekeyStock};
use serde::{Deserialize, Serialize};

/// The answer to a store job.
#[derive(Debug)]
pub enum StoreResult {
    /// It is done.
    Done,
    /// A condition of the job does not hold; nothing was changed.
    Refused(StoreRefusal),
    /// The account, if there is one.
    Account(Option<Account>),
    /// The device.
    Device(DeviceState),
    /// The current list, if there is one.
    List(Option<StoredList>),
    /// A part of the chain; none when there is no such user.
    Lists(Option<Chain>),
    /// The prekeys that are there now: one entry for each kind that was ever published, by kind.
    Stock(Vec<PrekeyStock>),
    /// Keys; none when there is no such user.
    Keys(Option<TakenKeys>),
    /// Users.
    Users(Vec<UserName>),
    /// What became of each envelope.
    Sent(Vec<SentItem>),
    /// Envelopes that wait.
    Waiting(Waiting),
    /// The blob, if there is one.
    Blob(Option<BlobState>),
    /// Chunks that are not there; none when there is no such blob.
    Missing(Option<MissingPage>),
    /// A chunk.
    Chunk(ChunkState),
    /// The group.
    Group(GroupState),
    /// A part of its log; none when there is no such group, and when it is not open and the user was never a member.
    Log(Option<LogPage>),
    /// Groups.
    Groups(GroupPage),
    /// The transaction failed; nothing was changed.
    Failed,
}

/// Which condition does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreRefusal {
    /// There is a user of that name.
    NameTaken,
    /// An identity belongs to another user (L7).
    IdentityTaken,
    /// What was expected is not there any more, or something newer is.
    Changed,
    /// There is no such thing.
    NotFound,
    /// It belongs to another user.
    NotOwner,
    /// There is one of that id already.
    Taken,
    /// There is no room.
    Full,
}

/// What is known of a user.
#[derive(Debug)]
pub struct Account {
    /// The hash of the password.
    pub password: PasswordHash,
    /// The secret of the one-time codes and the last step used, where they are set up.
    pub code: Option<(Secret<20>, u64)>,
}

/// What is known of a device.
#[derive(Debug, Default)]
pub struct DeviceState {
    /// Whose device it is, if anyone's.
    pub owner: Option<UserName>,
    /// Whether it is in the current list of the user asked for.
    pub listed: bool,
    /// The epoch of that list, if there is one.
    pub epoch: Option<u64>,
    /// The device's bundle.
    pub bundle: Option<Bytes>,
    /// Its prekeys, as in [`StoreResult::Stock`].
    pub stock: Vec<PrekeyStock>,
    /// The list proposed for the user asked for.
    pub proposal: Option<Bytes>,
}

/// A part of a chain of device lists.
#[derive(Debug)]
pub struct Chain {
    /// The current epoch, if there is a list.
    pub epoch: Option<u64>,
    /// The lists, rising by one.
    pub lists: Vec<Bytes>,
}

/// Keys taken from a user's devices.
#[derive(Debug)]
pub struct TakenKeys {
    /// The current epoch, if there is a list.
    pub epoch: Option<u64>,
    /// In the order asked for.
    pub devices: Vec<TakenDevice>,
}

/// Keys taken from one device.
#[derive(Debug)]
pub struct TakenDevice {
    /// The device.
    pub identity: Identity,
    /// Its bundle.
    pub bundle: Bytes,
    /// The prekey.
    pub prekey: Option<Bytes>,
    /// How many of that kind are left.
    pub left: u32,
}

/// What became of one envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentItem {
    /// The epoch of the recipient's user's list; 0 when the identity is no known device. Of a group, the number of its newest
    /// entry; 0 when it is for nobody.
    pub epoch: u64,
    /// Taken, or why not.
    pub outcome: StoreOutcome,
    /// The devices that an envelope for a group is for, by members and identities, with what became of it at each.
    pub devices: Vec<(Identity, StoreOutcome)>,
}

impl SentItem {
    /// What became of an envelope for one device.
    pub fn new(epoch: u64, outcome: StoreOutcome) -> Self {
        Self { epoch, outcome, devices: Vec::new() }
    }
}

/// What became of one envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// It waits under this number, which is above all numbers before.
    Stored(u64),
    /// The recipient is listed. The envelope is transient, or the same sender sent this id to this recipient before. Or it is
    /// a group, and what became of the envelope stands with each device.
    Passed,
    /// The recipient is no device, or one that is not listed; or no group, or one of which the sender's user is no member.
    Unknown,
    /// The recipient's mailbox is full.
    Full,
}

/// Envelopes that wait for a device.
#[derive(Debug, Default)]
pub struct Waiting {
    /// By rising number.
    pub envelopes: Vec<WaitingEnvelope>,
    /// Whether others follow.
    pub more: bool,
}

/// One envelope that waits.
#[derive(Clone, Debug)]
pub struct WaitingEnvelope {
    /// Its number.
    pub number: u64,
    /// The sender's id for it.
    pub id: EnvelopeId,
    /// The device that sent it.
    pub sender: Identity,
    /// That device's user.
    pub user: UserName,
    /// When it came.
    pub sent_at: u64,
    /// The envelope.
    pub envelope: Bytes,
}

impl WaitingEnvelope {
    pub(super) fn name(&self) -> EnvelopeRef {
        EnvelopeRef { sender: self.sender, id: self.id }
    }
}

/// What is known of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobState {
    /// Who created it.
    pub owner: UserName,
    /// The size of the file.
    pub size: u64,
}

/// Chunks that are not there.
#[derive(Debug, PartialEq, Eq)]
pub struct MissingPage {
    /// Rising, and not touching each other.
    pub ranges: Vec<ChunkRange>,
    /// Where to go on, if others may follow.
    pub next: Option<u32>,
}

/// What is known of a group, and of who wants to change it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    /// The epoch of the user's current list, if there is one.
    pub epoch: Option<u64>,
    /// The roster as it was last put; none when there is no such group.
    pub roster: Option<Bytes>,
    /// The entry asked for, if it is there.
    pub entry: Option<Bytes>,
}

/// A part of a group's log.
#[derive(Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The number of the newest entry.
    pub sequence: u32,
    /// Entries, rising by one.
    pub entries: Vec<Bytes>,
}

/// Groups of a user.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct GroupPage {
    /// They, each with its newest entry.
    pub groups: Vec<GroupHead>,
    /// Whether others follow.
    pub more: bool,
    /// The open group that was made first, if it was looked for and there is one.
    pub lobby: Option<GroupHead>,
}

/// Whether a chunk is there.
#[derive(Debug, PartialEq, Eq)]
pub enum ChunkState {
    /// It is.
    There(Bytes),
    /// Not yet.
    NotYet,
    /// There is no such blob, or it has no such place.
    NotFound,
}
