//! Everything that a client tells the application; the C interface mirrors it one to one.

use crate::content::{Conversation, MessageId};
use crate::error::Error;
use crate::identity::{Fingerprint, Identity, Trust, UserName};
use crate::roster::GroupId;
use crate::suite::Suite;
use crate::wire::{CloseCode, Presence, RefusalCode};
use derive_more::Debug;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// One of a client's connections: to its relay or to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// The id of a file: 16 random bytes, chosen by its sender.
pub type FileId = [u8; 16];

/// What was asked of a relay, as refusals and confirmations name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestKind {
    /// The relay's own password was given.
    Enter,
    /// An account was to be made.
    Register,
    /// A login with the password.
    LogIn,
    /// A login with the device key.
    LogInByKey,
    /// Another password.
    ChangePassword,
    /// A secret for one-time codes.
    SetUpCode,
    /// The first code of that secret.
    ConfirmCode,
    /// Keys of this device were to be published.
    Publish,
    /// A device list was to be published or proposed.
    DeviceList,
    /// A user was looked up.
    LookUp,
    /// The list of users.
    Users,
    /// How this user appears to others.
    Presence,
    /// Envelopes.
    Send,
    /// A file.
    File,
    /// An entry of a group's log.
    Group,
}

/// Something that happened and that the application should know.
///
/// `Debug` shows who, which and how much, and nothing of what anybody wrote or sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The other side of a link showed an identity that is not pinned, or another than the pinned one (4.2).
    /// The link waits for [`Client::accept_link`](crate::client::Client::accept_link) or
    /// [`Client::refuse_link`](crate::client::Client::refuse_link).
    Verify {
        /// The link that waits.
        link: LinkId,
        /// The user whom the bundle names; `None` for a relay.
        user: Option<UserName>,
        /// What the other side showed, to be compared with what its owner says.
        fingerprint: Fingerprint,
        /// What was expected, when something was: if it is another, the key has changed, or someone stands in between.
        expected: Option<Fingerprint>,
        /// Whether what it showed is past its end (I4); then the link waits even where it is what was expected.
        expired: bool,
    },
    /// A link is open and its other side is authenticated.
    LinkOpen {
        /// The link.
        link: LinkId,
        /// The user at its other end; `None` for a relay.
        user: Option<UserName>,
        /// The suite that both sides agreed on.
        suite: Suite,
    },
    /// A link is over, by a close of either side or by an error. What was not sent waits for the next one.
    LinkClosed {
        /// The link.
        link: LinkId,
        /// Why, when it was not an orderly close.
        error: Option<Error>,
    },
    /// The other side closed a link and said why.
    ClosedByPeer {
        /// The link.
        link: LinkId,
        /// Why; `None` for a number that this version does not know.
        code: Option<CloseCode>,
    },
    /// The relay did what was asked: took its own password, changed the user's, confirmed a code.
    Done {
        /// What was asked.
        request: RequestKind,
    },
    /// This device is logged in.
    LoggedIn {
        /// Whether it is in its user's device list. If not, another device has to approve it (I8).
        listed: bool,
    },
    /// The relay refused a request.
    Refused {
        /// What was asked.
        request: RequestKind,
        /// Why not.
        code: RefusalCode,
        /// Seconds to wait before it makes sense to ask again.
        retry_after: u32,
    },
    /// The secret for one-time codes, to be put into an authenticator (RFC 6238); confirm it with a first code.
    CodeSecret {
        /// The shared secret, raw.
        secret: SecretBytes,
    },

    /// One page of the relay's users.
    Users {
        /// Names with presence.
        users: Vec<(UserName, Presence)>,
        /// Whether this was the last page.
        last: bool,
    },
    /// A user came, went or stepped away.
    Presence {
        /// Who.
        user: UserName,
        /// How they are now.
        presence: Presence,
    },
    /// Keys of a user are known now, after [`Client::look_up`](crate::client::Client::look_up) or on their first message.
    UserFound {
        /// Who.
        user: UserName,
        /// How far their keys are trusted.
        trust: Trust,
    },
    /// The relay knows no such user.
    UserUnknown {
        /// Who was asked for.
        user: UserName,
    },
    /// The relay showed device lists of a user that break the rules, or older ones than it showed before: none of them
    /// counts (I6, I9).
    ListsRefused {
        /// Whose lists they are said to be.
        user: UserName,
        /// What is wrong with them.
        error: Error,
    },
    /// A user added or revoked devices by the rules; the mark is kept.
    DevicesChanged {
        /// Who.
        user: UserName,
        /// The new devices.
        added: Vec<Identity>,
        /// The revoked ones.
        removed: Vec<Identity>,
    },
    /// A user's keys changed against the rules (I9): nothing is sent to them until they are accepted.
    KeysChanged {
        /// Who.
        user: UserName,
    },
    /// A user's device no longer accepts a suite that it listed before (S1).
    SuiteDropped {
        /// Who.
        user: UserName,
        /// Which device.
        device: Identity,
        /// The number of the suite.
        suite: u16,
    },
    /// A user's bundle is expired; messages are sealed to it all the same unless the user is blocked (I4).
    BundleExpired {
        /// Who.
        user: UserName,
        /// Which device.
        device: Identity,
    },
    /// A listed device has no keys that can be used; messages to it wait.
    DeviceUnreachable {
        /// Who.
        user: UserName,
        /// Which device.
        device: Identity,
        /// What is wrong with its keys.
        error: Error,
    },
    /// Both sides said that they hold the same device lists: the safety number can be shown (I10).
    ListsAgree {
        /// With whom.
        user: UserName,
    },
    /// A new device of this user asks to be listed (I8): compare the fingerprint, then approve it.
    DeviceProposed {
        /// The new device.
        device: Identity,
    },
    /// This device was revoked by another one of the user, or the list was replaced.
    DeviceRevoked,

    /// A message from a user arrived.
    Message(Message),
    /// The same user wrote from another device: the copy that it sent here (S11).
    SentCopy {
        /// To whom it was sent.
        to: Conversation,
        /// The message.
        message: Message,
    },
    /// A message of this device was accepted by the relay, or by the peer itself.
    Sent {
        /// Which.
        id: MessageId,
    },
    /// A message of this device reached a device of the user.
    Delivered {
        /// Who has it.
        user: UserName,
        /// Which.
        ids: Vec<MessageId>,
    },
    /// A message of this device was read.
    Read {
        /// By whom.
        user: UserName,
        /// Which.
        ids: Vec<MessageId>,
    },
    /// A message of this device cannot be sent.
    Failed {
        /// Which.
        id: MessageId,
        /// Why.
        error: Error,
    },
    /// A user is typing, or stopped.
    Typing {
        /// Who.
        user: UserName,
        /// Whether they began or stopped.
        active: bool,
    },
    /// A message did not open; its sender was asked to send it again where that is possible (S8, S9).
    Unopened {
        /// Who the relay says sent it: its word only (L9).
        claimed: UserName,
    },
    /// Two messages claim one place in a session (S4): a copied device state, or a forgery.
    Fork {
        /// Whose session.
        user: Option<UserName>,
    },

    /// A user offers a file. It costs nothing until it is accepted.
    FileOffered {
        /// Who.
        from: UserName,
        /// How far their keys are trusted.
        trust: Trust,
        /// Its id, for [`Client::accept_file`](crate::client::Client::accept_file).
        file: FileId,
        /// The message that carried the offer.
        id: MessageId,
        /// A safe base name (F4).
        #[debug("{} bytes", name.len())]
        name: String,
        /// Size in bytes.
        size: u64,
        /// What its sender says it is.
        #[debug("{} bytes", media_type.len())]
        media_type: String,
        /// The group in which it was offered, if it was in one.
        group: Option<InGroup>,
    },
    /// After a restart: a transfer goes on by itself. Open what is read or written again, or end it with
    /// [`Client::cancel_file`](crate::client::Client::cancel_file).
    FileResumed {
        /// Which file.
        file: FileId,
        /// To whom it goes, or from whom it comes.
        with: Conversation,
        /// Its name: as it was given, or of one that comes a safe base name (F4).
        #[debug("{} bytes", name.len())]
        name: String,
        /// Its size in bytes.
        size: u64,
        /// Bytes done.
        done: u64,
        /// Whether it is being sent.
        outgoing: bool,
    },
    /// Bytes of a file that is being sent are needed: [`Client::supply_file`](crate::client::Client::supply_file).
    FileNeed {
        /// Which file.
        file: FileId,
        /// The chunk, to be named when supplying.
        chunk: u64,
        /// Where the bytes begin.
        offset: u64,
        /// How many.
        length: usize,
    },
    /// Bytes of an accepted file, verified; in any order. They count as in when the host took them and saved after that:
    /// see [`Client::accept_file`](crate::client::Client::accept_file).
    FileChunk {
        /// Which file.
        file: FileId,
        /// Where they belong.
        offset: u64,
        /// The bytes.
        #[debug("{} bytes", data.len())]
        data: Vec<u8>,
    },
    /// How far a transfer has come.
    FileProgress {
        /// Which file.
        file: FileId,
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A file is at the relay, or with the peer, completely.
    FileSent {
        /// Which.
        file: FileId,
    },
    /// A file is whole and equal to what was offered.
    FileReceived {
        /// Which.
        file: FileId,
    },
    /// A transfer ended without success.
    FileFailed {
        /// Which.
        file: FileId,
        /// Why.
        error: Error,
    },
    /// This user is a member of a group now, or this device has just learned of it:
    /// [`Client::group`](crate::client::Client::group).
    GroupJoined {
        /// Which.
        group: GroupId,
    },
    /// The relay offers a group to everyone that this device does not know (G3): an open one, which whoever can register
    /// there reads, the relay's operator included. [`Client::join_group`](crate::client::Client::join_group).
    Lobby {
        /// Which.
        group: GroupId,
    },
    /// Somebody entitled changed a group.
    GroupChanged {
        /// Which.
        group: GroupId,
        /// Who did it.
        by: UserName,
        /// What they did.
        change: GroupChange,
    },
    /// A group's log has two entries for one place (G6): somebody who may change it showed different members different
    /// things, or their key is in other hands. Nothing is sent before
    /// [`Client::resolve_fork`](crate::client::Client::resolve_fork).
    GroupForked {
        /// Which.
        group: GroupId,
        /// The place.
        sequence: u32,
        /// Who signed the other entry.
        by: UserName,
    },
    /// What this device wanted to do to a group was not possible, or what the relay says of its log cannot be right.
    GroupRefused {
        /// Which.
        group: GroupId,
        /// Why.
        error: Error,
    },
    /// A device of a user goes on from an older copy of its state (S10): its sessions are made anew, and it may not know
    /// any more what was said since the copy was made.
    PeerRestored {
        /// Who.
        user: UserName,
        /// Which device.
        device: Identity,
    },
    /// This state was restored from an older copy: sessions are made anew (S10).
    Restored,
}

/// Bytes for the user's eyes: wiped when dropped, never printed.
#[derive(Clone, PartialEq)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl core::fmt::Debug for SecretBytes {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("SecretBytes(..)")
    }
}

/// What was done to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupChange {
    /// Users became members.
    Added {
        /// Who.
        users: Vec<UserName>,
    },
    /// Users are members no longer: they left, or were removed.
    Removed {
        /// Who.
        users: Vec<UserName>,
    },
    /// A member became an admin, or is one no longer.
    Admin {
        /// Who.
        user: UserName,
        /// Whether they are one now.
        admin: bool,
    },
    /// It has another name.
    Renamed {
        /// The name; untrusted text.
        #[debug("{} bytes", name.len())]
        name: String,
    },
}

/// In which group a message came, and how it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InGroup {
    /// The group.
    pub group: GroupId,
    /// Its sender did not know yet of a removal that is known here (G7): who was removed may read it.
    pub before_removal: bool,
}

/// A message as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its id, chosen by the sender.
    pub id: MessageId,
    /// The user whose session opened it.
    pub from: UserName,
    /// The device whose session opened it.
    pub device: Identity,
    /// How far the user's keys are trusted.
    pub trust: Trust,
    /// When it was sent, by the sender's clock.
    pub sent_at: u64,
    /// Seconds after which it should be forgotten; 0: never.
    pub expiry: u32,
    /// The group in which it came, if it came in one.
    pub group: Option<InGroup>,
    /// What it says.
    pub body: MessageBody,
}

/// What a message says. `Debug` shows kinds, ids and lengths.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MessageBody {
    /// A text.
    Text(#[debug("{} bytes", _0.len())] String),
    /// A new text for an earlier message of the same user.
    Edit {
        /// Which.
        id: MessageId,
        /// The new text.
        #[debug("{} bytes", text.len())]
        text: String,
    },
    /// An earlier message of the same user is taken back.
    Delete {
        /// Which.
        id: MessageId,
    },
    /// A reaction to a message.
    Reaction {
        /// To which.
        id: MessageId,
        /// An emoji or a short text.
        #[debug("{} bytes", reaction.len())]
        reaction: String,
        /// Whether it is taken back.
        removed: bool,
    },
    /// What the user wants to be called, and more to show about them.
    Profile {
        /// The display name; untrusted text.
        #[debug("{} bytes", name.len())]
        name: String,
    },
    /// A file was offered; see [`Event::FileOffered`]. In copies of what other devices sent.
    File {
        /// Its name.
        #[debug("{} bytes", name.len())]
        name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// A kind that this version does not know, or that the application defined (0x8000 upwards).
    Other {
        /// The kind's number.
        kind: u16,
        /// Its bytes.
        #[debug("{} bytes", bytes.len())]
        bytes: Vec<u8>,
    },
}
