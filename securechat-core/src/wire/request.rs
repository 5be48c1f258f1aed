//! What a client asks of its relay, and peers of each other (L6).

use super::{
    BlobId, Bytes, DEVICES_PER_FETCH, ENVELOPES_PER_ACKNOWLEDGE, EnvelopeId, OneTimeCode, Packet, Password, Presence,
    at_most, messages,
};
use crate::codec;
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, InvalidMessage};
use crate::identity::{Identity, UserName};
use crate::limits::{ENVELOPES_PER_SEND, PREKEYS_PER_PUBLISH};
use crate::roster::GroupId;
use serde::{Deserialize, Serialize};

messages! {
    /// A request. Each is answered once: by the reply of its kind, or by a refusal.
    Request {
        /// Shows that both ends are there. Allowed before login.
        Ping(Ping) = 0x0001;
        /// The relay's own password. Allowed before login.
        Enter(Enter) = 0x0002;
        /// A new user with its first device; logs in. Allowed before login.
        Register(Register) = 0x0003;
        /// Login of any device with the password. Allowed before login.
        LogIn(LogIn) = 0x0004;
        /// Login of a listed device with its key. Allowed before login.
        LogInDevice(LogInDevice) = 0x0005;
        /// Another password.
        ChangePassword(ChangePassword) = 0x0010;
        /// A secret for one-time codes; counts once a code of it was confirmed.
        SetUpCode(SetUpCode) = 0x0011;
        /// The first code of a secret just set up, on the same connection.
        ConfirmCode(ConfirmCode) = 0x0012;
        /// This device's newest bundle.
        PublishBundle(PublishBundle) = 0x0020;
        /// More one-time prekeys of this device.
        PublishPrekeys(PublishPrekeys) = 0x0021;
        /// The user's next device list, or a new epoch 0 (I8).
        PublishList(PublishList) = 0x0022;
        /// A device list that adds this device and waits for a listed one to sign it (I8).
        ProposeList(ProposeList) = 0x0023;
        /// A user's device lists from an epoch on.
        FetchLists(FetchLists) = 0x0028;
        /// Bundles and one-time prekeys of a user's devices.
        FetchKeys(FetchKeys) = 0x0029;
        /// The users of this relay, in order of their names.
        Users(FetchUsers) = 0x0030;
        /// How this device appears to others, and whether it wants to know how they do.
        SetPresence(SetPresence) = 0x0031;
        /// Envelopes to devices.
        Send(Send) = 0x0038;
        /// Envelopes that are safely here and can go there.
        Acknowledge(Acknowledge) = 0x0039;
        /// The next entry of a group's log, or the first one of a new group.
        GroupEntry(GroupEntry) = 0x0040;
        /// A group's log from an entry on.
        GroupLog(FetchLog) = 0x0041;
        /// The groups of this user.
        Groups(FetchGroups) = 0x0042;
        /// Room for the chunks of a file.
        CreateBlob(CreateBlob) = 0x0050;
        /// One sealed chunk.
        PutChunk(PutChunk) = 0x0051;
        /// Which chunks are not there yet.
        MissingChunks(MissingChunks) = 0x0052;
        /// One chunk; waits for it up to 30 seconds.
        GetChunk(GetChunk) = 0x0053;
        /// The end of a blob.
        DeleteBlob(DeleteBlob) = 0x0054;
    }
}

impl Request {
    /// The message with this request, under an id that is not 0. [`ApiMisuse::TooLarge`] when the body is.
    pub fn encode(&self, id: u32) -> Result<SecretVec, ApiMisuse> {
        self.write(id)
    }

    /// Whether it is allowed before login.
    pub fn before_login(&self) -> bool {
        matches!(self, Self::Ping(_) | Self::Enter(_) | Self::Register(_) | Self::LogIn(_) | Self::LogInDevice(_))
    }
}

/// [`Request::Ping`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ping;

/// [`Request::Enter`]: needed before [`Register`] and [`LogIn`] where the relay has a password of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enter {
    /// The relay's password.
    pub password: Password,
}

/// [`Request::Register`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Register {
    /// The name wanted.
    pub user: UserName,
    /// The password from now on.
    pub password: Password,
    /// The signed bundle of this device.
    pub bundle: Bytes,
    /// The user's device list of epoch 0, with this device.
    pub list: Bytes,
    /// As in [`LogInDevice`].
    #[serde(with = "codec::bytes")]
    pub signature: [u8; 64],
}

/// [`Request::LogIn`]. A device that is not in the user's list may then do only what L7 says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogIn {
    /// Who.
    pub user: UserName,
    /// The user's password.
    pub password: Password,
    /// The one-time code, where the user has set that up.
    pub code: Option<OneTimeCode>,
    /// This device.
    pub identity: Identity,
    /// As in [`LogInDevice`].
    #[serde(with = "codec::bytes")]
    pub signature: [u8; 64],
}

/// [`Request::LogInDevice`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogInDevice {
    /// Who.
    pub user: UserName,
    /// This device, which must be in the user's current list.
    pub identity: Identity,
    /// By `identity` over `label "login" || relay identity || u8 length || user || identity || channel binding`.
    #[serde(with = "codec::bytes")]
    pub signature: [u8; 64],
}

/// [`Request::ChangePassword`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangePassword {
    /// The password until now.
    pub old: Password,
    /// The password from now on.
    pub new: Password,
}

/// [`Request::SetUpCode`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetUpCode {
    /// The user's password.
    pub password: Password,
    /// A code of the secret so far, where there is one.
    pub code: Option<OneTimeCode>,
}

/// [`Request::ConfirmCode`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfirmCode {
    /// A code of the new secret.
    pub code: OneTimeCode,
}

/// [`Request::PublishBundle`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublishBundle {
    /// The signed bundle: of this user and device, with a serial above the one before (I4).
    pub bundle: Bytes,
}

/// [`Request::PublishPrekeys`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublishPrekeys {
    /// Drops those published before, as after a restore (S10).
    pub replace: bool,
    /// Signed one-time prekeys of this device, by rising id within a kind. An id that is not above all of that kind
    /// before it was published before, and is passed over.
    #[serde(deserialize_with = "at_most::<_, _, PREKEYS_PER_PUBLISH>")]
    pub prekeys: Vec<Bytes>,
}

/// [`Request::PublishList`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublishList {
    /// The signed device list: the one that follows the current one, or a new epoch 0 of this device alone.
    pub list: Bytes,
}

/// [`Request::ProposeList`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProposeList {
    /// The list after the current one with this device added, signed by it alone. It takes the place of one proposed before.
    pub list: Bytes,
}

/// [`Request::FetchLists`]. Also between peers: a peer answers for its own user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchLists {
    /// Whose.
    pub user: UserName,
    /// The first epoch wanted.
    pub from: u64,
}

/// [`Request::FetchKeys`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchKeys {
    /// Whose.
    pub user: UserName,
    /// Which devices, as the device list names them.
    #[serde(deserialize_with = "at_most::<_, _, DEVICES_PER_FETCH>")]
    pub devices: Vec<Identity>,
    /// The kind of one-time prekey wanted of each, or 0 for none. One that is handed out is never handed out again.
    pub prekey_kind: u8,
}

/// [`Request::Users`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchUsers {
    /// Names after this one; empty to begin.
    pub from: String,
}

/// [`Request::SetPresence`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetPresence {
    /// How this device appears; a user appears as the best of their devices. Online from login on.
    pub presence: Presence,
    /// Whether changes of others are pushed to this device. Not from login on.
    pub watch: bool,
}

/// [`Request::Send`]. All of it is stored or, when the relay refuses the request, none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Send {
    /// The envelopes; those for one recipient arrive in this order.
    #[serde(deserialize_with = "at_most::<_, _, ENVELOPES_PER_SEND>")]
    pub items: Vec<SendItem>,
}

/// One envelope to one recipient.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SendItem {
    /// Chosen by the sender, and the same when the send is repeated (L1).
    pub id: EnvelopeId,
    /// To whom.
    pub recipient: Recipient,
    /// Only for who is online, never stored (L2).
    pub transient: bool,
    /// 1 to 61,440 bytes.
    pub envelope: Bytes,
}

/// To whom an envelope goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Recipient {
    /// One device.
    Device(Identity),
    /// All devices of all members of a group, but the sender's own.
    Group(GroupId),
}

/// [`Request::Acknowledge`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acknowledge {
    /// The envelopes. One that does not wait is passed over.
    #[serde(deserialize_with = "at_most::<_, _, ENVELOPES_PER_ACKNOWLEDGE>")]
    pub envelopes: Vec<EnvelopeRef>,
}

/// What tells one delivered envelope from all others: ids are the sender's choice, so the sender belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EnvelopeRef {
    /// Who sent it, as the push named it.
    pub sender: Identity,
    /// The sender's id for it.
    pub id: EnvelopeId,
}

/// [`Request::GroupEntry`]. Repeating it is harmless.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupEntry {
    /// The signed entry, on top of the newest one; its signer is this device, its epoch that of the user's current list.
    pub entry: Bytes,
}

/// [`Request::GroupLog`]: by who is or was a member, and by everyone where the group is open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchLog {
    /// The group.
    pub group: GroupId,
    /// The first entry wanted.
    pub from: u32,
}

/// [`Request::Groups`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchGroups {
    /// Groups after this one; zeros to begin.
    pub from: GroupId,
}

/// [`Request::CreateBlob`]. Repeating it with the same size is harmless.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateBlob {
    /// Random, chosen by its creator.
    pub id: BlobId,
    /// The size of the file in bytes; it fixes the number of chunks and their sizes (9).
    pub size: u64,
}

/// [`Request::PutChunk`]: by the user who created the blob. A chunk that is there already stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutChunk {
    /// The blob.
    pub id: BlobId,
    /// The chunk's place, from 0.
    pub index: u32,
    /// The sealed chunk.
    pub chunk: Bytes,
}

/// [`Request::MissingChunks`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MissingChunks {
    /// The blob.
    pub id: BlobId,
    /// The first place to look at.
    pub from: u32,
}

/// [`Request::GetChunk`]. Also between peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GetChunk {
    /// The blob.
    pub id: BlobId,
    /// The chunk's place, from 0.
    pub index: u32,
}

/// [`Request::DeleteBlob`]: by the user who created it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeleteBlob {
    /// The blob.
    pub id: BlobId,
}
