//! The one struct in which every handle tells what happened.

use crate::client::groups::{SECURECHAT_GROUP_SIZE, called};
use core::ffi::c_char;
use core::ptr::null;
use securechat_core::roster::GroupId;

/// What an event is. Kinds are added; a program passes over those that it does not know.
///
/// Each says which fields of `securechat_event` it sets; all others are zero.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, non_camel_case_types)]
pub enum securechat_event_kind {
    /// There is nothing more to tell.
    SECURECHAT_EVENT_NONE = 0,

    /// Link, client. The other side showed an identity that no pin vouches for, and the link waits: accept it, or close.
    /// `link`, `user` (empty for a relay), `fingerprint`, `expected` with SECURECHAT_FLAG_EXPECTED where another one was
    /// expected, SECURECHAT_FLAG_EXPIRED where its bundle is past its end.
    SECURECHAT_EVENT_VERIFY = 1,
    /// Link, client. Both sides are authenticated as far as the purpose asks. `link`, `code` (the suite), `user` and
    /// `fingerprint` of the other side where it showed an identity; of a bare link also `data`, the channel binding (32 bytes).
    SECURECHAT_EVENT_OPEN = 2,
    /// Link. What the other side sent in one record: `data`.
    SECURECHAT_EVENT_DATA = 3,
    /// Link, client. The other side closed the link. `link`, `code` (SECURECHAT_CLOSE_...).
    SECURECHAT_EVENT_CLOSED_BY_PEER = 4,
    /// Client. A link is over. `link`, `status`: why, when it was not an orderly close. What was not sent waits.
    SECURECHAT_EVENT_LINK_CLOSED = 5,

    /// Client. The relay did what was asked. `request`.
    SECURECHAT_EVENT_DONE = 20,
    /// Client. This device is logged in; with SECURECHAT_FLAG_LISTED if it is in its user's device list. If not, another
    /// device has to approve it.
    SECURECHAT_EVENT_LOGGED_IN = 21,
    /// Client. The relay refused a request. `request`, `code` (SECURECHAT_REFUSAL_...), `seconds` to wait before it makes
    /// sense to ask again.
    SECURECHAT_EVENT_REFUSED = 22,
    /// Client. The secret for one-time codes, to be put into an authenticator (RFC 6238): `data`. Confirm it with a code.
    SECURECHAT_EVENT_CODE_SECRET = 23,
    /// Client. One of the relay's users. `user`, `presence`; with SECURECHAT_FLAG_LAST if no more follow. Where there are none at
    /// all, `user` is empty.
    SECURECHAT_EVENT_USER = 24,
    /// Client. A user came, went or stepped away. `user`, `presence`.
    SECURECHAT_EVENT_PRESENCE = 25,

    /// Client. Keys of a user are known now. `user`, `trust`.
    SECURECHAT_EVENT_USER_FOUND = 30,
    /// Client. The relay knows no such user. `user`.
    SECURECHAT_EVENT_USER_UNKNOWN = 31,
    /// Client. The relay showed device lists of a user that break the rules; none of them counts. `user`, `status`.
    SECURECHAT_EVENT_LISTS_REFUSED = 32,
    /// Client. A user added or revoked devices by the rules. `user`, `devices` (those added), `removed`.
    SECURECHAT_EVENT_DEVICES_CHANGED = 33,
    /// Client. A user's keys changed against the rules: nothing is sent to them until securechat_client_accept_keys. `user`.
    SECURECHAT_EVENT_KEYS_CHANGED = 34,
    /// Client. A user's device no longer accepts a suite that it listed before. `user`, `device`, `code` (the suite).
    SECURECHAT_EVENT_SUITE_DROPPED = 35,
    /// Client. A user's bundle is expired. `user`, `device`.
    SECURECHAT_EVENT_BUNDLE_EXPIRED = 36,
    /// Client. A listed device has no keys that can be used; messages to it wait. `user`, `device`, `status`.
    SECURECHAT_EVENT_DEVICE_UNREACHABLE = 37,
    /// Client. Both sides hold the same device lists: the safety number can be shown. `user`.
    SECURECHAT_EVENT_LISTS_AGREE = 38,
    /// Client. A new device of this user asks to be listed: compare its fingerprint, then list it. `device`, `fingerprint`.
    SECURECHAT_EVENT_DEVICE_PROPOSED = 39,
    /// Client. This device was revoked.
    SECURECHAT_EVENT_DEVICE_REVOKED = 40,

    /// Client. A message. `user`, `device`, `trust`, `id`, `time` (sent at), `seconds` (to be forgotten after; 0: never),
    /// `message` (SECURECHAT_MESSAGE_...), and by that: `data` (the text, reaction, name or bytes), `target` (the message that is
    /// edited, deleted or reacted to), SECURECHAT_FLAG_REMOVED for a reaction taken back. An application's own kinds come with their
    /// number in `message`. In a group: `group`, SECURECHAT_FLAG_IN_GROUP, and SECURECHAT_FLAG_BEFORE_REMOVAL, which has to be shown.
    SECURECHAT_EVENT_MESSAGE = 50,
    /// Client. Another device of this user sent this. As for SECURECHAT_EVENT_MESSAGE, but `user` is whom it was sent to: a user,
    /// or a group as it is called. A file has `name` and `total`.
    SECURECHAT_EVENT_SENT_COPY = 51,
    /// Client. The relay, or the peer itself, took a message. `id`.
    SECURECHAT_EVENT_SENT = 52,
    /// Client. Messages reached a device of the user. `user`, `ids`.
    SECURECHAT_EVENT_DELIVERED = 53,
    /// Client. Messages were read. `user`, `ids`.
    SECURECHAT_EVENT_READ = 54,
    /// Client. A message cannot be sent. `id`, `status`.
    SECURECHAT_EVENT_FAILED = 55,
    /// Client. A user is typing, with SECURECHAT_FLAG_ACTIVE, or stopped. `user`.
    SECURECHAT_EVENT_TYPING = 56,
    /// Client. A message did not open; it was asked for again where that is possible. `user` is the relay's word only.
    SECURECHAT_EVENT_UNOPENED = 57,
    /// Client. Two messages claim one place in a session: a copied device state, or a forgery. `user` where it is known.
    SECURECHAT_EVENT_FORK = 58,
    /// Client. This state was restored from an older copy: sessions are made anew.
    SECURECHAT_EVENT_RESTORED = 59,

    /// Client. A user offers a file; it costs nothing until it is accepted. `user`, `trust`, `file`, `id`, `name` (a safe base
    /// name), `total` (its size), `media_type`; in a group also what a SECURECHAT_EVENT_MESSAGE has there.
    SECURECHAT_EVENT_FILE_OFFERED = 70,
    /// Client. Bytes of a file that is being sent are needed: securechat_client_supply_file. `file`, `chunk`, `offset`, `length`.
    SECURECHAT_EVENT_FILE_NEED = 71,
    /// Client. Bytes of an accepted file, verified, in any order. `file`, `offset`, `data`. Sync what was written before the records
    /// saved next are committed: from then on these bytes are not fetched again.
    SECURECHAT_EVENT_FILE_CHUNK = 72,
    /// Client. How far a transfer has come. `file`, `offset` (bytes done), `total`.
    SECURECHAT_EVENT_FILE_PROGRESS = 73,
    /// Client. A file is at the relay, or with the peer, completely. `file`.
    SECURECHAT_EVENT_FILE_SENT = 74,
    /// Client. A file is whole and equal to what was offered. `file`.
    SECURECHAT_EVENT_FILE_RECEIVED = 75,
    /// Client. A transfer ended without success. `file`, `status`.
    SECURECHAT_EVENT_FILE_FAILED = 76,
    /// Client. After a restart: a transfer goes on by itself; open what it reads or writes again, or cancel it. `file`, `user`
    /// (or a group, with `group` and SECURECHAT_FLAG_IN_GROUP), `name`, `offset` (bytes done), `total`, SECURECHAT_FLAG_OURS when it is being sent.
    SECURECHAT_EVENT_FILE_RESUMED = 77,

    /// Client. This user is a member of a group: it was created or joined here, or somebody added them. `group`, SECURECHAT_FLAG_OPEN,
    /// which has to be shown.
    SECURECHAT_EVENT_GROUP_JOINED = 80,
    /// Client. The relay offers an open group to everyone: SECURECHAT_CHANGE_JOIN. `group`, SECURECHAT_FLAG_OPEN, which has to be shown
    /// before.
    SECURECHAT_EVENT_LOBBY = 81,
    /// Client. A member changed a group. `group`, `user` (who did it), `code` (SECURECHAT_CHANGE_...), and by that `data`: the names
    /// of users with one space between, or the group's new name.
    SECURECHAT_EVENT_GROUP_CHANGED = 82,
    /// Client. A group's log has two entries for one place: somebody who may change it showed members different things, or
    /// their key is in other hands. Nothing is sent there before SECURECHAT_CHANGE_FIRST_SIDE or SECURECHAT_CHANGE_OTHER_SIDE. `group`, `user` (who
    /// signed the other entry), `total` (the place).
    SECURECHAT_EVENT_GROUP_FORKED = 83,
    /// Client. What this device did to a group was not possible, or what the relay says of it cannot be right. `group`, `status`.
    SECURECHAT_EVENT_GROUP_REFUSED = 84,

    /// Relay. A link is open. `connection`, `code` (the suite).
    SECURECHAT_EVENT_RELAY_CONNECTED = 100,
    /// Relay. A connection is over: write what it has left, then close its socket. `connection`, `code` (SECURECHAT_CLOSE_...) with
    /// SECURECHAT_FLAG_OURS when the relay ended it, `status` when its link failed.
    SECURECHAT_EVENT_RELAY_ENDED = 101,
    /// Relay. A user registered. `connection`, `user`.
    SECURECHAT_EVENT_RELAY_REGISTERED = 102,
    /// Relay. A device logged in. `connection`, `user`, `device`, SECURECHAT_FLAG_LISTED.
    SECURECHAT_EVENT_RELAY_LOGGED_IN = 103,
    /// Relay. A login did not succeed. `connection`, `user` (as claimed), `code` (SECURECHAT_REFUSAL_...).
    SECURECHAT_EVENT_RELAY_LOGIN_REFUSED = 104,
    /// Relay. A request was refused. `connection`, `request` (its kind on the wire), `code` (SECURECHAT_REFUSAL_...).
    SECURECHAT_EVENT_RELAY_REFUSED = 105,
    /// Relay. An envelope was taken. `device` (from), `devices` (one: to), `length`,
    /// SECURECHAT_FLAG_TRANSIENT.
    SECURECHAT_EVENT_RELAY_ROUTED = 106,
    /// Relay. A user has another device list. `user`, `total` (its epoch), `length` (how many devices).
    SECURECHAT_EVENT_RELAY_LIST_PUBLISHED = 107,
    /// Relay. A device wants to be added to a user's list. `user`, `device`.
    SECURECHAT_EVENT_RELAY_LIST_PROPOSED = 108,
    /// Relay. A job failed.
    SECURECHAT_EVENT_RELAY_JOB_FAILED = 109,
    /// Relay. A connection has something to write: securechat_relay_output. It is told again when
    /// more comes. `connection`.
    SECURECHAT_EVENT_RELAY_READY = 110,
    /// Relay. An envelope for a group was taken. `device` (from), `group`, `total` (to how many devices), `length`,
    /// SECURECHAT_FLAG_TRANSIENT.
    SECURECHAT_EVENT_RELAY_GROUP_ROUTED = 111,
    /// Relay. A group has another entry. `group`, `user` and `device` (who signed it), `total` (its number), `code` (the number of
    /// what it does on the wire).
    SECURECHAT_EVENT_RELAY_GROUP_CHANGED = 112,
}

/// In `flags`: the device is in its user's device list.
pub const SECURECHAT_FLAG_LISTED: u32 = 1;
/// In `flags`: no more follow.
pub const SECURECHAT_FLAG_LAST: u32 = 2;
/// In `flags`: began, as against stopped.
pub const SECURECHAT_FLAG_ACTIVE: u32 = 4;
/// In `flags`: what was shown is past its end.
pub const SECURECHAT_FLAG_EXPIRED: u32 = 8;
/// In `flags`: taken back.
pub const SECURECHAT_FLAG_REMOVED: u32 = 16;
/// In `flags`: `expected` is set.
pub const SECURECHAT_FLAG_EXPECTED: u32 = 32;
/// In `flags`: this side did it.
pub const SECURECHAT_FLAG_OURS: u32 = 64;
/// In `flags`: it is not stored.
pub const SECURECHAT_FLAG_TRANSIENT: u32 = 128;
/// In `flags`: `group` is set.
pub const SECURECHAT_FLAG_IN_GROUP: u32 = 256;
/// In `flags`: its sender did not know yet that somebody was removed from the group; who was removed may read it.
pub const SECURECHAT_FLAG_BEFORE_REMOVAL: u32 = 512;
/// In `flags`: the group is open: whoever can register at the relay reads it, its operator included.
pub const SECURECHAT_FLAG_OPEN: u32 = 1024;

/// Something that happened. Flat, without unions; it grows at its end only, and each `_next_event` is told the size that
/// the program knows.
///
/// Pointers are borrowed from the handle until its next call that is not const. Texts are UTF-8 with a length and no zero byte
/// at their end; what a person wrote may hold anything, so neutralise control characters before a terminal shows it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_event {
    /// What it is: SECURECHAT_EVENT_..., which also says which of the other fields are set.
    pub kind: u32,
    /// Which link of a client.
    pub link: u32,
    /// Why something failed, as a securechat_status.
    pub status: i32,
    /// A suite, a close code, a refusal code, or what was changed in a group.
    pub code: u32,
    /// What was asked: SECURECHAT_REQUEST_...
    pub request: u32,
    /// How far the user's keys are trusted: SECURECHAT_TRUST_...
    pub trust: u32,
    /// How the user appears: SECURECHAT_PRESENCE_...
    pub presence: u32,
    /// SECURECHAT_FLAG_... put together.
    pub flags: u32,
    /// The kind of a message: SECURECHAT_MESSAGE_..., or 0x8000 and above for the application's own.
    pub message: u32,
    /// Seconds: a message's expiry, or how long to wait.
    pub seconds: u32,
    /// Which connection of a relay.
    pub connection: u64,
    /// Unix milliseconds.
    pub time: u64,
    /// The number of a chunk, to be named when supplying it.
    pub chunk: u64,
    /// Bytes from the beginning of a file.
    pub offset: u64,
    /// How many bytes, or how many of something.
    pub length: u64,
    /// Bytes in all, or another large number.
    pub total: u64,
    /// A message.
    pub id: [u8; 16],
    /// A file.
    pub file: [u8; 16],
    /// The message that another one is about.
    pub target: [u8; 16],
    /// The identity of a device.
    pub device: [u8; 32],
    /// A fingerprint that was shown.
    pub fingerprint: [u8; 32],
    /// The fingerprint that was expected.
    pub expected: [u8; 32],
    /// The name of a user.
    pub user: *const c_char,
    /// Its length.
    pub user_len: usize,
    /// What was said or sent.
    pub data: *const u8,
    /// Its length.
    pub data_len: usize,
    /// The name of a file.
    pub name: *const c_char,
    /// Its length.
    pub name_len: usize,
    /// The media type of a file, its sender's word.
    pub media_type: *const c_char,
    /// Its length.
    pub media_type_len: usize,
    /// Ids of messages, 16 bytes each, one behind the other.
    pub ids: *const u8,
    /// How many.
    pub ids_count: usize,
    /// Identities of devices, 32 bytes each, one behind the other.
    pub devices: *const u8,
    /// How many.
    pub devices_count: usize,
    /// Identities of devices that are not there any more, likewise.
    pub removed: *const u8,
    /// How many.
    pub removed_count: usize,
    /// The name by which a group is called, with zero bytes behind it.
    pub group: [c_char; SECURECHAT_GROUP_SIZE],
}

/// What every program has to have room for: the kind.
pub(crate) const EVENT_LEAST: usize = size_of::<u32>();

impl securechat_event {
    /// An event of this kind, with nothing else set.
    pub(crate) const fn new(kind: securechat_event_kind) -> Self {
        Self {
            kind: kind as u32,
            link: 0,
            status: 0,
            code: 0,
            request: 0,
            trust: 0,
            presence: 0,
            flags: 0,
            message: 0,
            seconds: 0,
            connection: 0,
            time: 0,
            chunk: 0,
            offset: 0,
            length: 0,
            total: 0,
            id: [0; 16],
            file: [0; 16],
            target: [0; 16],
            device: [0; 32],
            fingerprint: [0; 32],
            expected: [0; 32],
            user: null(),
            user_len: 0,
            data: null(),
            data_len: 0,
            name: null(),
            name_len: 0,
            media_type: null(),
            media_type_len: 0,
            ids: null(),
            ids_count: 0,
            devices: null(),
            devices_count: 0,
            removed: null(),
            removed_count: 0,
            group: [0; SECURECHAT_GROUP_SIZE],
        }
    }

    pub(crate) fn flag(&mut self, flag: u32, on: bool) {
        if on {
            self.flags |= flag;
        }
    }

    pub(crate) fn set_user(&mut self, user: &str) {
        (self.user, self.user_len) = (user.as_ptr().cast(), user.len());
    }

    pub(crate) fn set_group(&mut self, group: &GroupId) {
        self.group = called(group);
    }

    pub(crate) fn set_data(&mut self, data: &[u8]) {
        (self.data, self.data_len) = (data.as_ptr(), data.len());
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        (self.name, self.name_len) = (name.as_ptr().cast(), name.len());
    }

    pub(crate) fn set_media_type(&mut self, media_type: &str) {
        (self.media_type, self.media_type_len) = (media_type.as_ptr().cast(), media_type.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No byte of it is padding, through which something of the stack could leave; and where each field stands is for good.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn the_layout_is_fixed_and_without_holes() {
        assert_eq!(size_of::<securechat_event>(), 10 * 4 + 6 * 8 + 3 * 16 + 3 * 32 + 14 * 8 + 40);
        assert_eq!(align_of::<securechat_event>(), 8);
        use core::mem::offset_of;
        let offsets = [
            offset_of!(securechat_event, kind),
            offset_of!(securechat_event, seconds),
            offset_of!(securechat_event, connection),
            offset_of!(securechat_event, total),
            offset_of!(securechat_event, id),
            offset_of!(securechat_event, device),
            offset_of!(securechat_event, user),
            offset_of!(securechat_event, data),
            offset_of!(securechat_event, removed_count),
            offset_of!(securechat_event, group),
        ];
        assert_eq!(offsets, [0, 36, 40, 80, 88, 136, 232, 248, 336, 344]);
    }
}
