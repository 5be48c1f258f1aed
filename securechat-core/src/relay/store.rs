//! What a relay keeps, as jobs over any database.
//!
//! Each job is one small step that a database does in one transaction: the relay has decided everything that can be
//! decided beforehand, and the conditions that are left are named with each job. [`conformance`](super::conformance)
//! checks an implementation.

use super::answer::StoreResult;
use super::job::PasswordHash;
use crate::crypto::secret::Secret;
use crate::identity::{Identity, UserName};
use crate::roster::GroupId;
use crate::wire::{BlobId, Bytes, EnvelopeId, EnvelopeRef, Recipient};
use serde::{Deserialize, Serialize};

/// Keeps what a relay must not forget.
pub trait Store {
    /// Does the jobs in this order and answers each, in the same order.
    ///
    /// All of one call is one transaction: when this returns, every change is durable, or nothing of the call
    /// happened and every answer is [`StoreResult::Failed`]. A refusal is an answer and not a failure.
    fn run(&mut self, jobs: &[StoreJob]) -> Vec<StoreResult>;
}

/// Something to read or to change.
#[derive(Debug)]
pub enum StoreJob {
    /// What is known of a user. Answer: [`StoreResult::Account`].
    Account {
        /// Who.
        user: UserName,
    },
    /// A new user with a first device, listed. Answer: `Done`, or refused as `NameTaken` or `IdentityTaken`.
    CreateAccount(NewAccount),
    /// A user from another system: no device, no list. Answer: `Done`, or refused as `NameTaken`.
    ImportAccount {
        /// Who.
        user: UserName,
        /// The hash of their password.
        password: PasswordHash,
    },
    /// Another password hash. Answer: `Done`, or refused as `Changed` when the present one is not `expected`.
    SetPassword {
        /// Whose.
        user: UserName,
        /// The hash that it replaces.
        expected: PasswordHash,
        /// The hash from now on.
        password: PasswordHash,
    },
    /// A secret for one-time codes, and the last step used with it; replaces one before. Answer: `Done`.
    SetCode {
        /// Whose.
        user: UserName,
        /// The secret.
        secret: Secret<20>,
        /// The last step used.
        step: u64,
    },
    /// Uses a step of the one-time codes. Answer: `Done`, or refused as `Changed` when the last step used is not below it.
    UseCode {
        /// Whose.
        user: UserName,
        /// The step.
        step: u64,
    },
    /// What is known of a device. Answer: [`StoreResult::Device`].
    Device {
        /// The user who logs in with it, whether or not it is theirs.
        user: UserName,
        /// The device.
        identity: Identity,
    },
    /// A user's current device list. Answer: [`StoreResult::List`].
    CurrentList {
        /// Whose.
        user: UserName,
    },
    /// A new current device list. Answer: `Done`; refused as `Changed` when the hash of the current one is not
    /// `previous`, as `IdentityTaken` when one of the identities is a device of another user.
    ///
    /// A list of epoch 0 ends the chain before it, which is forgotten. The identities become listed devices of the
    /// user. The other devices of the user are not listed any more, and lose bundle, prekeys and waiting envelopes.
    /// A proposed list is dropped.
    PutList {
        /// Whose.
        user: UserName,
        /// The hash of the list that this one was checked against; none where there was none.
        previous: Option<[u8; 32]>,
        /// The list.
        list: StoredList,
        /// The devices that it names.
        identities: Vec<Identity>,
        /// When.
        now: u64,
    },
    /// A proposed list in place of one proposed before. Answer: `Done`.
    PutProposal {
        /// Whose.
        user: UserName,
        /// The list.
        list: Bytes,
    },
    /// The chain of lists from an epoch on. Answer: [`StoreResult::Lists`].
    Lists {
        /// Whose.
        user: UserName,
        /// The first epoch.
        from: u64,
        /// At most so many.
        count: usize,
    },
    /// The newest bundle of a device. Answer: `Done`; refused as `IdentityTaken` when it is a device of another user,
    /// as `Changed` when a bundle with this or a higher serial is there, unless it is the very same.
    ///
    /// A device that was not known is one of the user now, not listed. Of the user's devices that are not listed, the
    /// newest `unlisted` stay and the others are forgotten.
    PutBundle {
        /// Whose device.
        user: UserName,
        /// The device.
        identity: Identity,
        /// The bundle's serial.
        serial: u64,
        /// The bundle.
        bundle: Bytes,
        /// How many devices that are not listed a user may have.
        unlisted: usize,
        /// When.
        now: u64,
    },
    /// One-time prekeys. Answer: [`StoreResult::Stock`], or refused as `NotFound` when the device is not known.
    ///
    /// A prekey whose id is not above the highest ever given for its kind is passed over, as is one above `room`.
    PutPrekeys {
        /// The device.
        identity: Identity,
        /// Drops those that are there first.
        replace: bool,
        /// The prekeys, in the order given.
        prekeys: Vec<StoredPrekey>,
        /// How many of a kind a device may have.
        room: usize,
        /// When.
        now: u64,
    },
    /// The keys of listed devices; of each a one-time prekey, which is never handed out again: the one with the lowest
    /// id that was published at `fresh` or later. Answer: [`StoreResult::Keys`].
    TakeKeys {
        /// Whose.
        user: UserName,
        /// Which devices. Those that are not listed or have no bundle are left out.
        devices: Vec<Identity>,
        /// The kind of prekey; none to take none.
        kind: Option<u8>,
        /// When the oldest prekey that is still good was published.
        fresh: u64,
    },
    /// Users in order of their names. Answer: [`StoreResult::Users`].
    Users {
        /// Names after this one.
        after: String,
        /// At most so many.
        count: usize,
    },
    /// Envelopes. Answer: [`StoreResult::Sent`] with one entry for each.
    ///
    /// One for a group is one for each listed device of each member but the sender's: a mailbox that is full, or had it
    /// before, keeps it from no other. It is for nobody when there is no such group or the sender's user is no member.
    Send {
        /// The device that sends.
        sender: Identity,
        /// Its user.
        user: UserName,
        /// What it sends.
        items: Vec<StoredItem>,
        /// How many envelopes may wait for one device.
        room: usize,
        /// How many bytes of envelopes may wait for one device.
        room_bytes: u64,
        /// When.
        now: u64,
    },
    /// The envelopes that wait for a device, oldest first. Answer: [`StoreResult::Waiting`].
    Waiting {
        /// For whom.
        recipient: Identity,
        /// Only those with a number above this.
        after: u64,
        /// At most so many.
        count: usize,
        /// At most so many bytes of them, except that the first always counts.
        bytes: usize,
    },
    /// Envelopes that need not wait any more. Answer: `Done`, whether or not they waited.
    Acknowledge {
        /// For whom they waited.
        recipient: Identity,
        /// Which.
        envelopes: Vec<EnvelopeRef>,
    },
    /// A new blob. Answer: `Done`, also when the same is there; refused as `Taken` when one of that id has another
    /// owner or size, as `Full` when the owner would then have too many or too much.
    CreateBlob {
        /// Its id.
        id: BlobId,
        /// Who creates it.
        owner: UserName,
        /// The size of the file.
        size: u64,
        /// How many chunks it has.
        chunks: u32,
        /// How many blobs an owner may have.
        room: usize,
        /// How many bytes, summed over the sizes, an owner may have.
        room_bytes: u64,
        /// When.
        now: u64,
    },
    /// What is known of a blob. Answer: [`StoreResult::Blob`].
    Blob {
        /// Which.
        id: BlobId,
    },
    /// A chunk; one that is there already stays. Answer: `Done`, or refused as `NotOwner`, or as `NotFound` when there is no such
    /// blob or it has no such chunk: another one may have come under its id since the relay looked at it.
    PutChunk {
        /// Of which blob.
        id: BlobId,
        /// Who puts it.
        owner: UserName,
        /// Its place.
        index: u32,
        /// Its bytes.
        chunk: Bytes,
    },
    /// The chunks that are not there. Answer: [`StoreResult::Missing`].
    MissingChunks {
        /// Of which blob.
        id: BlobId,
        /// The first place to look at.
        from: u32,
        /// At most so many ranges.
        count: usize,
    },
    /// A chunk. Answer: [`StoreResult::Chunk`].
    Chunk {
        /// Of which blob.
        id: BlobId,
        /// Its place.
        index: u32,
    },
    /// The end of a blob and its chunks. Answer: `Done`, or refused as `NotFound` or `NotOwner`.
    DeleteBlob {
        /// Which.
        id: BlobId,
        /// Who deletes it.
        owner: UserName,
    },
    /// What is known of a group, and of who wants to change it. Answer: [`StoreResult::Group`].
    Group {
        /// Which.
        group: GroupId,
        /// The number of an entry that is asked for.
        place: u32,
        /// Whose current epoch is asked for.
        user: UserName,
    },
    /// An entry on top of a group's log. Answer: `Done`; refused as `Changed` when the newest entry or the actor's epoch is
    /// another than that which this one was checked against, as `NotFound` when a user added does not exist, as `Full` when
    /// one of them would be in more than `room` groups.
    PutEntry(NewEntry),
    /// A part of a group's log. Answer: [`StoreResult::Log`].
    Log {
        /// Of which group.
        group: GroupId,
        /// Who asks.
        user: UserName,
        /// The first entry.
        from: u32,
        /// At most so many.
        count: usize,
    },
    /// The groups in which a user is a member now, in order of their ids. Answer: [`StoreResult::Groups`].
    Groups {
        /// Who.
        user: UserName,
        /// Those after this one.
        after: GroupId,
        /// At most so many.
        count: usize,
        /// Whether the open group that was made first is looked for too.
        lobby: bool,
    },
    /// Forgets what is too old. Answer: `Done`.
    Expire {
        /// Waiting envelopes, and ids of sent ones, from before this time.
        envelopes: u64,
        /// One-time prekeys published before this time.
        prekeys: u64,
        /// Blobs created before this time.
        blobs: u64,
        /// Devices that were not listed any more, or appeared, before this time and are not listed.
        unlisted: u64,
    },
}

impl StoreJob {
    /// The bytes in it that a client decides on.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::CreateAccount(account) => account.bundle.len() + account.list.bytes.len(),
            Self::PutList { list, .. } => list.bytes.len(),
            Self::PutProposal { list, .. } => list.len(),
            Self::PutBundle { bundle, .. } => bundle.len(),
            Self::PutPrekeys { prekeys, .. } => prekeys.iter().map(|prekey| prekey.bytes.len()).sum(),
            Self::Send { items, .. } => items
                .iter()
                .map(|item| size_of::<StoredItem>() + item.envelope.as_ref().map_or(0, |bytes| bytes.len()))
                .sum(),
            Self::Acknowledge { envelopes, .. } => size_of_val(envelopes.as_slice()),
            Self::PutChunk { chunk, .. } => chunk.len(),
            Self::PutEntry(entry) => entry.bytes.len() + entry.roster.len(),
            _ => 0,
        }
    }
}

/// A user who registers.
#[derive(Debug)]
pub struct NewAccount {
    /// Who.
    pub user: UserName,
    /// The hash of their password.
    pub password: PasswordHash,
    /// Their first device.
    pub identity: Identity,
    /// The serial of its bundle.
    pub serial: u64,
    /// Its bundle.
    pub bundle: Bytes,
    /// The list of epoch 0, which names that device.
    pub list: StoredList,
    /// When.
    pub now: u64,
}

/// A signed device list as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredList {
    /// Its epoch.
    pub epoch: u64,
    /// Its hash (I1).
    pub hash: [u8; 32],
    /// The list.
    pub bytes: Bytes,
}

/// A signed one-time prekey as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPrekey {
    /// The number of its kind.
    pub kind: u8,
    /// Its id.
    pub id: u32,
    /// The prekey.
    pub bytes: Bytes,
}

/// An entry of a group's log that was checked, and what the group comes to with it.
#[derive(Debug)]
pub struct NewEntry {
    /// Of which group.
    pub group: GroupId,
    /// The number and the hash of the entry before; none when this one creates the group.
    pub before: Option<(u32, [u8; 32])>,
    /// Who did this, and under which epoch of their device list.
    pub actor: (UserName, u64),
    /// Its number.
    pub sequence: u32,
    /// Its hash (I1).
    pub hash: [u8; 32],
    /// The entry.
    pub bytes: Bytes,
    /// The roster with it, which comes back with [`StoreResult::Group`] and is not looked into.
    pub roster: Bytes,
    /// Whether the group is open (G3): the same in every entry of a group.
    pub open: bool,
    /// Users who are members from now on, and were not before.
    pub added: Vec<UserName>,
    /// Users who are members no longer.
    pub removed: Vec<UserName>,
    /// In how many groups a user may be.
    pub room: usize,
}

/// One envelope on its way into the store.
#[derive(Clone, Debug)]
pub struct StoredItem {
    /// The sender's id for it.
    pub id: EnvelopeId,
    /// Whom it is for.
    pub recipient: Recipient,
    /// The envelope; none when it is transient and only the recipients are looked up.
    pub envelope: Option<Bytes>,
}
