//! A client's events as C sees them, and what they point to.

use crate::client::files::{securechat_transfer, transfer_info};
use crate::client::groups::{
    SECURECHAT_CHANGE_ADD, SECURECHAT_CHANGE_ADMIN, SECURECHAT_CHANGE_NO_ADMIN, SECURECHAT_CHANGE_REMOVE,
    SECURECHAT_CHANGE_RENAME, group_info, in_words, securechat_group,
};
use crate::event::securechat_event_kind::*;
use crate::event::{
    SECURECHAT_FLAG_ACTIVE, SECURECHAT_FLAG_BEFORE_REMOVAL, SECURECHAT_FLAG_EXPECTED, SECURECHAT_FLAG_EXPIRED,
    SECURECHAT_FLAG_IN_GROUP, SECURECHAT_FLAG_LAST, SECURECHAT_FLAG_LISTED, SECURECHAT_FLAG_OURS,
    SECURECHAT_FLAG_REMOVED, securechat_event, securechat_event_kind,
};
use crate::status::securechat_status;
use securechat_core::client::{GroupInfo, Transfer};
use securechat_core::content::{Conversation, MessageId};
use securechat_core::crypto::secret::SecretVec;
use securechat_core::error::Error;
use securechat_core::event::{Event, GroupChange, InGroup, Message, MessageBody, RequestKind};
use securechat_core::identity::{Identity, Trust, UserName};
use securechat_core::roster::GroupId;
use securechat_core::wire::Presence;
use std::collections::VecDeque;
use zeroize::Zeroize;

/// Keys as they were first seen.
pub const SECURECHAT_TRUST_SEEN: u32 = 1;
/// The safety number was compared.
pub const SECURECHAT_TRUST_VERIFIED: u32 = 2;
/// The keys changed against the rules, and were not accepted.
pub const SECURECHAT_TRUST_VIOLATION: u32 = 3;

/// Not there, or does not want to seem so.
pub const SECURECHAT_PRESENCE_OFFLINE: u32 = 0;
/// Connected but not at it.
pub const SECURECHAT_PRESENCE_AWAY: u32 = 1;
/// There.
pub const SECURECHAT_PRESENCE_ONLINE: u32 = 2;

/// A text: its UTF-8, at most 16 KiB.
pub const SECURECHAT_MESSAGE_TEXT: u32 = 1;
/// Another text for an earlier message of the same user, the target.
pub const SECURECHAT_MESSAGE_EDIT: u32 = 2;
/// An earlier message of the same user, the target, is taken back.
pub const SECURECHAT_MESSAGE_DELETE: u32 = 3;
/// A reaction to the target: an emoji or a short text.
pub const SECURECHAT_MESSAGE_REACTION: u32 = 4;
/// A reaction is taken back: the same bytes for the same target.
pub const SECURECHAT_MESSAGE_UNREACT: u32 = 5;
/// What the user wants to be called.
pub const SECURECHAT_MESSAGE_PROFILE: u32 = 6;
/// A file that was offered, in copies of what other devices sent.
pub const SECURECHAT_MESSAGE_FILE: u32 = 7;
/// This user types; no data. It is never stored: who is away misses it.
pub const SECURECHAT_MESSAGE_TYPING: u32 = 8;
/// This user stopped typing; no data.
pub const SECURECHAT_MESSAGE_STOPPED_TYPING: u32 = 9;
/// Messages of the other user were shown: their ids, 16 bytes each, one behind the other.
pub const SECURECHAT_MESSAGE_READ: u32 = 10;
/// The first of the application's own kinds, which go up to 0xFFFF.
pub const SECURECHAT_MESSAGE_APPLICATION: u32 = 0x8000;

/// The relay's own password.
pub const SECURECHAT_REQUEST_ENTER: u32 = 1;
/// A new account.
pub const SECURECHAT_REQUEST_REGISTER: u32 = 2;
/// A login with the password.
pub const SECURECHAT_REQUEST_LOG_IN: u32 = 3;
/// A login with the device key.
pub const SECURECHAT_REQUEST_LOG_IN_BY_KEY: u32 = 4;
/// Another password.
pub const SECURECHAT_REQUEST_CHANGE_PASSWORD: u32 = 5;
/// A secret for one-time codes.
pub const SECURECHAT_REQUEST_SET_UP_CODE: u32 = 6;
/// The first code of that secret.
pub const SECURECHAT_REQUEST_CONFIRM_CODE: u32 = 7;
/// Keys of this device.
pub const SECURECHAT_REQUEST_PUBLISH: u32 = 8;
/// A device list.
pub const SECURECHAT_REQUEST_DEVICE_LIST: u32 = 9;
/// A user's keys.
pub const SECURECHAT_REQUEST_LOOK_UP: u32 = 10;
/// The list of users.
pub const SECURECHAT_REQUEST_USERS: u32 = 11;
/// How this user appears.
pub const SECURECHAT_REQUEST_PRESENCE: u32 = 12;
/// Envelopes.
pub const SECURECHAT_REQUEST_SEND: u32 = 13;
/// A file.
pub const SECURECHAT_REQUEST_FILE: u32 = 14;
/// A group, or an entry of its log.
pub const SECURECHAT_REQUEST_GROUP: u32 = 15;

/// What the last event points to; wiped when the next takes its place.
#[derive(Default)]
pub(super) struct Lent {
    user: String,
    data: Option<SecretVec>,
    name: String,
    media_type: String,
    ids: Vec<u8>,
    devices: Vec<u8>,
    removed: Vec<u8>,
    members: String,
    admins: String,
    /// Users of a page that were not told yet, and whether it is the last page.
    page: VecDeque<(UserName, Presence)>,
    last_page: bool,
}

impl Lent {
    /// The event that C is told for the client's next one.
    pub(super) fn next(&mut self, poll: impl FnOnce() -> Option<Event>) -> securechat_event {
        self.data = None;
        self.name.zeroize();
        self.media_type.zeroize();
        if let Some((user, presence)) = self.page.pop_front() {
            return self.user_of_page(&user, presence);
        }
        match poll() {
            Some(Event::Users { users, last }) => {
                (self.page, self.last_page) = (users.into(), last);
                match self.page.pop_front() {
                    Some((user, presence)) => self.user_of_page(&user, presence),
                    None => with_flag(event(SECURECHAT_EVENT_USER), SECURECHAT_FLAG_LAST, last),
                }
            }
            Some(other) => self.lend(other),
            None => event(SECURECHAT_EVENT_NONE),
        }
    }

    fn user_of_page(&mut self, user: &UserName, presence: Presence) -> securechat_event {
        let mut out = self.about(SECURECHAT_EVENT_USER, user);
        out.presence = presence_number(presence);
        with_flag(out, SECURECHAT_FLAG_LAST, self.last_page && self.page.is_empty())
    }

    /// An event about a user or a group, as it is named in calls.
    fn about_conversation(&mut self, kind: securechat_event_kind, with: &Conversation) -> securechat_event {
        self.user = with.to_string();
        let mut out = event(kind);
        out.set_user(&self.user);
        match with {
            Conversation::Group(group) => of_group(out, group),
            _ => out,
        }
    }

    /// An event about a user.
    fn about(&mut self, kind: securechat_event_kind, user: &UserName) -> securechat_event {
        user.as_str().clone_into(&mut self.user);
        let mut out = event(kind);
        out.set_user(&self.user);
        out
    }

    /// An event about a user whom not every link or session has.
    fn about_any(&mut self, kind: securechat_event_kind, user: Option<&UserName>) -> securechat_event {
        user.map_or(event(kind), |user| self.about(kind, user))
    }

    /// Identities that are lent apart from an event.
    pub(super) fn lend_devices(&mut self, devices: Vec<u8>) -> (*const u8, usize) {
        self.devices = devices;
        (self.devices.as_ptr(), self.devices.len() / 32)
    }

    /// What is known of a group, lent apart from an event.
    pub(super) fn lend_group(&mut self, group: &GroupId, known: GroupInfo) -> securechat_group {
        let mut out = group_info(group, &known);
        self.members = in_words(known.members.iter().map(|(user, _)| user));
        self.admins = in_words(known.members.iter().filter(|(_, admin)| *admin).map(|(user, _)| user));
        self.name = known.name;
        (out.name, out.name_len) = (self.name.as_ptr().cast(), self.name.len());
        (out.members, out.members_len) = (self.members.as_ptr().cast(), self.members.len());
        (out.admins, out.admins_len) = (self.admins.as_ptr().cast(), self.admins.len());
        out
    }

    /// A file on its way, lent apart from an event.
    pub(super) fn lend_transfer(&mut self, transfer: Transfer) -> securechat_transfer {
        let mut out = transfer_info(&transfer);
        (self.user, self.name) = (transfer.with.to_string(), transfer.name);
        (out.with, out.with_len) = (self.user.as_ptr().cast(), self.user.len());
        (out.name, out.name_len) = (self.name.as_ptr().cast(), self.name.len());
        out
    }

    fn put_data(&mut self, out: &mut securechat_event, data: Vec<u8>) {
        out.set_data(self.data.insert(SecretVec::new(data)));
    }

    fn put_name(&mut self, out: &mut securechat_event, name: String) {
        self.name = name;
        out.set_name(&self.name);
    }

    fn put_ids(&mut self, out: &mut securechat_event, ids: &[MessageId]) {
        self.ids = ids.iter().flat_map(MessageId::as_bytes).copied().collect();
        (out.ids, out.ids_count) = (self.ids.as_ptr(), ids.len());
    }

    fn put_message(&mut self, out: &mut securechat_event, message: Message) {
        out.device = *message.device.as_bytes();
        out.trust = trust_number(message.trust);
        out.id = *message.id.as_bytes();
        out.time = message.sent_at;
        out.seconds = message.expiry;
        put_group(out, message.group);
        let (kind, target, data) = match message.body {
            MessageBody::Text(text) => (SECURECHAT_MESSAGE_TEXT, None, text.into_bytes()),
            MessageBody::Edit { id, text } => (SECURECHAT_MESSAGE_EDIT, Some(id), text.into_bytes()),
            MessageBody::Delete { id } => (SECURECHAT_MESSAGE_DELETE, Some(id), Vec::new()),
            MessageBody::Reaction { id, reaction, removed } => {
                out.flag(SECURECHAT_FLAG_REMOVED, removed);
                let kind = if removed { SECURECHAT_MESSAGE_UNREACT } else { SECURECHAT_MESSAGE_REACTION };
                (kind, Some(id), reaction.into_bytes())
            }
            MessageBody::Profile { name } => (SECURECHAT_MESSAGE_PROFILE, None, name.into_bytes()),
            MessageBody::File { name, size } => {
                out.total = size;
                self.put_name(out, name);
                (SECURECHAT_MESSAGE_FILE, None, Vec::new())
            }
            MessageBody::Other { kind, bytes } => (kind.into(), None, bytes),
            _ => (0, None, Vec::new()),
        };
        out.message = kind;
        out.target = target.map_or([0; 16], |target| *target.as_bytes());
        self.put_data(out, data);
    }

    /// One event of the client. The core's are all here; one that it adds is told as none until it has a kind.
    #[allow(clippy::too_many_lines)]
    fn lend(&mut self, from: Event) -> securechat_event {
        match from {
            Event::Verify { link, user, fingerprint, expected, expired } => {
                let mut out = self.about_any(SECURECHAT_EVENT_VERIFY, user.as_ref());
                out.link = link.0;
                out.fingerprint = *fingerprint.as_bytes();
                if let Some(expected) = expected {
                    out.expected = *expected.as_bytes();
                    out.flag(SECURECHAT_FLAG_EXPECTED, true);
                }
                with_flag(out, SECURECHAT_FLAG_EXPIRED, expired)
            }
            Event::LinkOpen { link, user, suite } => {
                let mut out = self.about_any(SECURECHAT_EVENT_OPEN, user.as_ref());
                out.link = link.0;
                out.code = suite.id().into();
                out
            }
            Event::LinkClosed { link, error } => {
                let mut out = event(SECURECHAT_EVENT_LINK_CLOSED);
                out.link = link.0;
                out.status = error.map_or(0, status);
                out
            }
            Event::ClosedByPeer { link, code } => {
                let mut out = event(SECURECHAT_EVENT_CLOSED_BY_PEER);
                out.link = link.0;
                out.code = code.map_or(u32::MAX, |code| code as u32);
                out
            }
            Event::Done { request } => asked(SECURECHAT_EVENT_DONE, request),
            Event::LoggedIn { listed } => with_flag(event(SECURECHAT_EVENT_LOGGED_IN), SECURECHAT_FLAG_LISTED, listed),
            Event::Refused { request, code, retry_after } => {
                let mut out = asked(SECURECHAT_EVENT_REFUSED, request);
                out.code = u16::from(code).into();
                out.seconds = retry_after;
                out
            }
            Event::CodeSecret { secret } => {
                let mut out = event(SECURECHAT_EVENT_CODE_SECRET);
                self.put_data(&mut out, secret.as_bytes().to_vec());
                out
            }
            Event::Presence { user, presence } => {
                let mut out = self.about(SECURECHAT_EVENT_PRESENCE, &user);
                out.presence = presence_number(presence);
                out
            }
            Event::UserFound { user, trust } => {
                let mut out = self.about(SECURECHAT_EVENT_USER_FOUND, &user);
                out.trust = trust_number(trust);
                out
            }
            Event::UserUnknown { user } => self.about(SECURECHAT_EVENT_USER_UNKNOWN, &user),
            Event::ListsRefused { user, error } => failed(self.about(SECURECHAT_EVENT_LISTS_REFUSED, &user), error),
            Event::DevicesChanged { user, added, removed } => {
                let mut out = self.about(SECURECHAT_EVENT_DEVICES_CHANGED, &user);
                (self.devices, self.removed) = (in_a_row(&added), in_a_row(&removed));
                (out.devices, out.devices_count) = (self.devices.as_ptr(), added.len());
                (out.removed, out.removed_count) = (self.removed.as_ptr(), removed.len());
                out
            }
            Event::KeysChanged { user } => self.about(SECURECHAT_EVENT_KEYS_CHANGED, &user),
            Event::SuiteDropped { user, device, suite } => {
                let mut out = of_device(self.about(SECURECHAT_EVENT_SUITE_DROPPED, &user), &device);
                out.code = suite.into();
                out
            }
            Event::BundleExpired { user, device } => {
                of_device(self.about(SECURECHAT_EVENT_BUNDLE_EXPIRED, &user), &device)
            }
            Event::DeviceUnreachable { user, device, error } => {
                failed(of_device(self.about(SECURECHAT_EVENT_DEVICE_UNREACHABLE, &user), &device), error)
            }
            Event::ListsAgree { user } => self.about(SECURECHAT_EVENT_LISTS_AGREE, &user),
            Event::DeviceProposed { device } => {
                let mut out = of_device(event(SECURECHAT_EVENT_DEVICE_PROPOSED), &device);
                out.fingerprint = *device.fingerprint().as_bytes();
                out
            }
            Event::DeviceRevoked => event(SECURECHAT_EVENT_DEVICE_REVOKED),
            Event::Message(message) => {
                let mut out = self.about(SECURECHAT_EVENT_MESSAGE, &message.from);
                self.put_message(&mut out, message);
                out
            }
            Event::SentCopy { to, message } => {
                let mut out = self.about_conversation(SECURECHAT_EVENT_SENT_COPY, &to);
                self.put_message(&mut out, message);
                out
            }
            Event::Sent { id } => of_message(SECURECHAT_EVENT_SENT, id),
            Event::Delivered { user, ids } => {
                let mut out = self.about(SECURECHAT_EVENT_DELIVERED, &user);
                self.put_ids(&mut out, &ids);
                out
            }
            Event::Read { user, ids } => {
                let mut out = self.about(SECURECHAT_EVENT_READ, &user);
                self.put_ids(&mut out, &ids);
                out
            }
            Event::Failed { id, error } => failed(of_message(SECURECHAT_EVENT_FAILED, id), error),
            Event::Typing { user, active } => {
                with_flag(self.about(SECURECHAT_EVENT_TYPING, &user), SECURECHAT_FLAG_ACTIVE, active)
            }
            Event::Unopened { claimed } => self.about(SECURECHAT_EVENT_UNOPENED, &claimed),
            Event::Fork { user } => self.about_any(SECURECHAT_EVENT_FORK, user.as_ref()),
            Event::FileOffered { from, trust, file, id, name, size, media_type, group } => {
                let mut out = self.about(SECURECHAT_EVENT_FILE_OFFERED, &from);
                out.trust = trust_number(trust);
                out.file = file;
                out.id = *id.as_bytes();
                out.total = size;
                self.put_name(&mut out, name);
                self.media_type = media_type;
                out.set_media_type(&self.media_type);
                put_group(&mut out, group);
                out
            }
            Event::FileResumed { file, with, name, size, done, outgoing } => {
                let mut out = self.about_conversation(SECURECHAT_EVENT_FILE_RESUMED, &with);
                (out.file, out.offset, out.total) = (file, done, size);
                self.put_name(&mut out, name);
                with_flag(out, SECURECHAT_FLAG_OURS, outgoing)
            }
            Event::FileNeed { file, chunk, offset, length } => {
                let mut out = of_file(SECURECHAT_EVENT_FILE_NEED, file);
                (out.chunk, out.offset, out.length) = (chunk, offset, length as u64);
                out
            }
            Event::FileChunk { file, offset, data } => {
                let mut out = of_file(SECURECHAT_EVENT_FILE_CHUNK, file);
                (out.offset, out.length) = (offset, data.len() as u64);
                self.put_data(&mut out, data);
                out
            }
            Event::FileProgress { file, done, total } => {
                let mut out = of_file(SECURECHAT_EVENT_FILE_PROGRESS, file);
                (out.offset, out.total) = (done, total);
                out
            }
            Event::FileSent { file } => of_file(SECURECHAT_EVENT_FILE_SENT, file),
            Event::FileReceived { file } => of_file(SECURECHAT_EVENT_FILE_RECEIVED, file),
            Event::FileFailed { file, error } => failed(of_file(SECURECHAT_EVENT_FILE_FAILED, file), error),
            Event::GroupJoined { group } => of_group(event(SECURECHAT_EVENT_GROUP_JOINED), &group),
            Event::Lobby { group } => of_group(event(SECURECHAT_EVENT_LOBBY), &group),
            Event::GroupChanged { group, by, change } => {
                let mut out = of_group(self.about(SECURECHAT_EVENT_GROUP_CHANGED, &by), &group);
                let (code, value) = match change {
                    GroupChange::Added { users } => (SECURECHAT_CHANGE_ADD, in_words(&users)),
                    GroupChange::Removed { users } => (SECURECHAT_CHANGE_REMOVE, in_words(&users)),
                    GroupChange::Admin { user, admin: true } => (SECURECHAT_CHANGE_ADMIN, user.to_string()),
                    GroupChange::Admin { user, admin: false } => (SECURECHAT_CHANGE_NO_ADMIN, user.to_string()),
                    GroupChange::Renamed { name } => (SECURECHAT_CHANGE_RENAME, name),
                    _ => (0, String::new()),
                };
                out.code = code;
                self.put_data(&mut out, value.into_bytes());
                out
            }
            Event::GroupForked { group, sequence, by } => {
                let mut out = of_group(self.about(SECURECHAT_EVENT_GROUP_FORKED, &by), &group);
                out.total = sequence.into();
                out
            }
            Event::GroupRefused { group, error } => {
                failed(of_group(event(SECURECHAT_EVENT_GROUP_REFUSED), &group), error)
            }
            Event::Restored => event(SECURECHAT_EVENT_RESTORED),
            // Users are told one by one, by `next`; the core's enum may grow.
            _ => event(SECURECHAT_EVENT_NONE),
        }
    }
}

const fn event(kind: securechat_event_kind) -> securechat_event {
    securechat_event::new(kind)
}

fn with_flag(mut event: securechat_event, flag: u32, on: bool) -> securechat_event {
    event.flag(flag, on);
    event
}

fn failed(mut event: securechat_event, error: Error) -> securechat_event {
    event.status = status(error);
    event
}

fn of_device(mut event: securechat_event, device: &Identity) -> securechat_event {
    event.device = *device.as_bytes();
    event
}

fn of_group(mut event: securechat_event, group: &GroupId) -> securechat_event {
    event.set_group(group);
    event.flag(SECURECHAT_FLAG_IN_GROUP, true);
    event
}

fn put_group(event: &mut securechat_event, group: Option<InGroup>) {
    if let Some(InGroup { group, before_removal }) = group {
        *event = of_group(*event, &group);
        event.flag(SECURECHAT_FLAG_BEFORE_REMOVAL, before_removal);
    }
}

fn of_message(kind: securechat_event_kind, id: MessageId) -> securechat_event {
    let mut out = event(kind);
    out.id = *id.as_bytes();
    out
}

fn of_file(kind: securechat_event_kind, file: [u8; 16]) -> securechat_event {
    let mut out = event(kind);
    out.file = file;
    out
}

fn asked(kind: securechat_event_kind, request: RequestKind) -> securechat_event {
    let mut out = event(kind);
    out.request = match request {
        RequestKind::Enter => SECURECHAT_REQUEST_ENTER,
        RequestKind::Register => SECURECHAT_REQUEST_REGISTER,
        RequestKind::LogIn => SECURECHAT_REQUEST_LOG_IN,
        RequestKind::LogInByKey => SECURECHAT_REQUEST_LOG_IN_BY_KEY,
        RequestKind::ChangePassword => SECURECHAT_REQUEST_CHANGE_PASSWORD,
        RequestKind::SetUpCode => SECURECHAT_REQUEST_SET_UP_CODE,
        RequestKind::ConfirmCode => SECURECHAT_REQUEST_CONFIRM_CODE,
        RequestKind::Publish => SECURECHAT_REQUEST_PUBLISH,
        RequestKind::DeviceList => SECURECHAT_REQUEST_DEVICE_LIST,
        RequestKind::LookUp => SECURECHAT_REQUEST_LOOK_UP,
        RequestKind::Users => SECURECHAT_REQUEST_USERS,
        RequestKind::Presence => SECURECHAT_REQUEST_PRESENCE,
        RequestKind::Send => SECURECHAT_REQUEST_SEND,
        RequestKind::File => SECURECHAT_REQUEST_FILE,
        RequestKind::Group => SECURECHAT_REQUEST_GROUP,
        _ => 0,
    };
    out
}

fn status(error: Error) -> i32 {
    securechat_status::from(error) as i32
}

pub(super) const fn trust_number(trust: Trust) -> u32 {
    match trust {
        Trust::Seen => SECURECHAT_TRUST_SEEN,
        Trust::Verified => SECURECHAT_TRUST_VERIFIED,
        Trust::Violation => SECURECHAT_TRUST_VIOLATION,
    }
}

const fn presence_number(presence: Presence) -> u32 {
    match presence {
        Presence::Offline => SECURECHAT_PRESENCE_OFFLINE,
        Presence::Away => SECURECHAT_PRESENCE_AWAY,
        Presence::Online => SECURECHAT_PRESENCE_ONLINE,
    }
}

/// Identities one behind the other.
pub(super) fn in_a_row(identities: &[Identity]) -> Vec<u8> {
    identities.iter().flat_map(Identity::as_bytes).copied().collect()
}
