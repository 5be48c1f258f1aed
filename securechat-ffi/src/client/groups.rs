//! Groups: who is in them, and what a client does to them.

use super::{Owned, conversation, securechat_client};
use crate::boundary::{Failure, Out, OutStruct, Result, text, with};
use crate::identity::put_text;
use crate::status::securechat_status;
use core::ffi::c_char;
use core::ptr::null;
use securechat_core::client::GroupInfo;
use securechat_core::content::Conversation;
use securechat_core::error::ApiMisuse;
use securechat_core::identity::UserName;
use securechat_core::roster::GroupId;

use securechat_status::*;

/// Room for the name by which a group is called, with zero bytes behind it.
pub const SECURECHAT_GROUP_SIZE: usize = 40;

/// In the `flags` of a securechat_group: any user of the relay may come in. Show that whoever can register there reads it, its operator
/// included.
pub const SECURECHAT_GROUP_OPEN: u32 = 1;
/// In the `flags` of a securechat_group: this user is a member.
pub const SECURECHAT_GROUP_MEMBER: u32 = 2;
/// In the `flags` of a securechat_group: this user is an admin.
pub const SECURECHAT_GROUP_ADMIN: u32 = 4;
/// In the `flags` of a securechat_group: its log was forked; nothing is sent before SECURECHAT_CHANGE_FIRST_SIDE or
/// SECURECHAT_CHANGE_OTHER_SIDE.
pub const SECURECHAT_GROUP_FORKED: u32 = 8;
/// In the `flags` of a securechat_group: something that this device did to it waits for the relay.
pub const SECURECHAT_GROUP_WAITS: u32 = 16;

/// Users become members: their names, with one space between.
pub const SECURECHAT_CHANGE_ADD: u32 = 1;
/// Users are members no longer: their names, with one space between. Whoever names their own user leaves.
pub const SECURECHAT_CHANGE_REMOVE: u32 = 2;
/// A member becomes an admin: their name.
pub const SECURECHAT_CHANGE_ADMIN: u32 = 3;
/// An admin is one no longer: their name.
pub const SECURECHAT_CHANGE_NO_ADMIN: u32 = 4;
/// Another name for the group: at most 128 bytes.
pub const SECURECHAT_CHANGE_RENAME: u32 = 5;
/// This user comes into an open group, such as the relay's lobby; nothing. SECURECHAT_EVENT_GROUP_JOINED follows.
pub const SECURECHAT_CHANGE_JOIN: u32 = 6;
/// After SECURECHAT_EVENT_GROUP_FORKED: what was known first counts; nothing.
pub const SECURECHAT_CHANGE_FIRST_SIDE: u32 = 7;
/// After SECURECHAT_EVENT_GROUP_FORKED: the other entry counts; nothing.
pub const SECURECHAT_CHANGE_OTHER_SIDE: u32 = 8;

/// What is known of a group. It grows at its end only. What it points to is borrowed until the next call that is not const.
///
/// A group is called by `#` and 32 hex digits. Wherever a user's name says to whom something goes, that name may stand:
/// securechat_client_send and securechat_client_send_file send to all members. There are no typing notices in groups, and nobody
/// is told who read or received what.
///
/// ```c
/// // Groups are made by a device with an account. This one has none yet.
/// uint8_t key[32] = {1, 2, 3};
/// securechat_client *alice = NULL;
/// char name[SECURECHAT_GROUP_SIZE];
/// assert(securechat_client_new(NULL, "alice", 5, key, NULL, 0, SECURECHAT_HISTORY_CONTINUED, 0, now, &alice) == SECURECHAT_OK);
/// securechat_status status = securechat_client_create_group(alice, "a walk", 6, 0, now, name);
/// assert(status == SECURECHAT_ERR_NOT_LOGGED_IN);
///
/// // With one, others come in by their names, and all of them are written to by that of the group.
/// uint8_t id[16];
/// if (status == SECURECHAT_OK &&
///     securechat_client_change_group(alice, name, strlen(name), SECURECHAT_CHANGE_ADD, "bob carol", 9, now) == SECURECHAT_OK)
///     status = securechat_client_send(alice, name, strlen(name), SECURECHAT_MESSAGE_TEXT, NULL, (const uint8_t *)"hello", 5, now, id);
///
/// // All groups that are known.
/// securechat_group group;
/// size_t count = 0;
/// while (securechat_client_group(alice, NULL, 0, count, &group, sizeof group) == SECURECHAT_OK)
///     count++; // `group.members` are the names of who is in it
/// assert(count == 0);
/// securechat_client_free(alice);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_group {
    /// The name by which it is called, with zero bytes behind it.
    pub group: [c_char; SECURECHAT_GROUP_SIZE],
    /// How often it was changed, as far as is known.
    pub sequence: u32,
    /// SECURECHAT_GROUP_... put together.
    pub flags: u32,
    /// What its admins named it: what a person wrote, as in an event.
    pub name: *const c_char,
    /// Its length.
    pub name_len: usize,
    /// The names of its members, in their order, with one space between.
    pub members: *const c_char,
    /// Their length together.
    pub members_len: usize,
    /// The names of those who are admins, likewise.
    pub admins: *const c_char,
    /// Their length together.
    pub admins_len: usize,
}

/// Creates a group of this `name`, of 1 to 128 bytes, with this user as its first member and admin, and sets `group`
/// (SECURECHAT_GROUP_SIZE bytes) to the name by which it is called.
///
/// `open` is 1 if any user of the relay may come in, 0 if not. SECURECHAT_EVENT_GROUP_JOINED follows when the relay took it. Fails with
/// SECURECHAT_ERR_NOT_LOGGED_IN where this device has no account, SECURECHAT_ERR_TOO_LARGE, SECURECHAT_ERR_BUSY above 1,024 groups.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_create_group(
    client: *mut securechat_client,
    name: *const c_char,
    name_len: usize,
    open: u32,
    now: u64,
    group: *mut c_char,
) -> securechat_status {
    // SAFETY: a handle, a text and room for a group's name, by the header.
    unsafe {
        let group = Out::new(group.cast(), [0; SECURECHAT_GROUP_SIZE]);
        with("securechat_client_create_group", client, |owned| {
            let (group, name) = (group?, text(name, name_len)?);
            if open > 1 {
                return Err(SECURECHAT_ERR_ARGUMENT.into());
            }
            group.set(called(&owned.client.create_group(name, open == 1, now)?));
            Ok(())
        })
    }
}

/// Changes the group that is called `group`. `change` is SECURECHAT_CHANGE_..., and each says what `value` is.
///
/// It waits where there is no connection. SECURECHAT_EVENT_GROUP_CHANGED follows, or SECURECHAT_EVENT_GROUP_REFUSED: somebody else
/// may have been faster. Fails with SECURECHAT_ERR_NOT_FOUND for a group that is not known here or is not forked,
/// SECURECHAT_ERR_NOT_PERMITTED where an admin is needed or nothing would change, and for a last admin who would leave members behind,
/// SECURECHAT_ERR_ROSTER_FORKED, SECURECHAT_ERR_BUSY when 64 changes wait; SECURECHAT_ERR_NOT_CONNECTED and SECURECHAT_ERR_WRONG_STATE (a member
/// already) when joining.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_client_change_group(
    client: *mut securechat_client,
    group: *const c_char,
    group_len: usize,
    change: u32,
    value: *const c_char,
    value_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and texts, by the header.
    unsafe {
        with("securechat_client_change_group", client, |owned| {
            let (group, value) = (group_called(group, group_len)?, text(value, value_len)?);
            owned.change_group(&group, change, value, now)
        })
    }
}

/// Tells what is known of a group, in `info` of `info_size` bytes: of the one that is called `group`, or, where that is NULL, of number
/// `index` of all, also of those that this user has left.
///
/// Fails with SECURECHAT_ERR_NOT_FOUND for a group that is not known here, and for a number beyond the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_group(
    client: *mut securechat_client,
    group: *const c_char,
    group_len: usize,
    index: usize,
    info: *mut securechat_group,
    info_size: usize,
) -> securechat_status {
    // SAFETY: a handle, a text and a struct of the size that the caller says.
    unsafe {
        let info = OutStruct::new(info, info_size, 1);
        with("securechat_client_group", client, |owned| {
            let info = info?;
            let group = if group.is_null() && group_len == 0 {
                owned.client.groups().nth(index).ok_or(ApiMisuse::NotFound)?
            } else {
                group_called(group, group_len)?
            };
            let known = owned.client.group(&group).ok_or(ApiMisuse::NotFound)?;
            info.set(&owned.lent.lend_group(&group, known));
            Ok(())
        })
    }
}

impl Owned {
    fn change_group(&mut self, group: &GroupId, change: u32, value: &str, now: u64) -> Result {
        let client = &mut self.client;
        match change {
            SECURECHAT_CHANGE_ADD => client.add_to_group(group, &users(value)?, now)?,
            SECURECHAT_CHANGE_REMOVE => client.remove_from_group(group, &users(value)?, now)?,
            SECURECHAT_CHANGE_ADMIN => client.set_group_admin(group, &UserName::new(value)?, true, now)?,
            SECURECHAT_CHANGE_NO_ADMIN => client.set_group_admin(group, &UserName::new(value)?, false, now)?,
            SECURECHAT_CHANGE_RENAME => client.rename_group(group, value, now)?,
            SECURECHAT_CHANGE_JOIN => client.join_group(group, now)?,
            SECURECHAT_CHANGE_FIRST_SIDE => client.resolve_fork(group, false, now)?,
            SECURECHAT_CHANGE_OTHER_SIDE => client.resolve_fork(group, true, now)?,
            _ => return Err(Failure::new(SECURECHAT_ERR_ARGUMENT, "no such change")),
        }
        Ok(())
    }
}

/// What C is told of a group; its pointers are not set yet.
pub(super) fn group_info(group: &GroupId, known: &GroupInfo) -> securechat_group {
    let flags = [
        (known.open, SECURECHAT_GROUP_OPEN),
        (known.member, SECURECHAT_GROUP_MEMBER),
        (known.admin, SECURECHAT_GROUP_ADMIN),
        (known.forked, SECURECHAT_GROUP_FORKED),
        (known.waits, SECURECHAT_GROUP_WAITS),
    ];
    securechat_group {
        group: called(group),
        sequence: known.sequence,
        flags: flags.iter().filter(|(is_so, _)| *is_so).map(|(_, flag)| flag).sum(),
        name: null(),
        name_len: 0,
        members: null(),
        members_len: 0,
        admins: null(),
        admins_len: 0,
    }
}

/// The name by which a group is called.
pub(crate) fn called(group: &GroupId) -> [c_char; SECURECHAT_GROUP_SIZE] {
    let mut name = [0; SECURECHAT_GROUP_SIZE];
    put_text(&mut name, &Conversation::from(*group).to_string());
    name
}

/// The group of a name by which one is called.
///
/// # Safety
///
/// As for [`text`].
unsafe fn group_called(pointer: *const c_char, length: usize) -> Result<GroupId> {
    // SAFETY: the caller's promise.
    match unsafe { conversation(pointer, length) }? {
        Conversation::Group(group) => Ok(group),
        _ => Err(Failure::new(SECURECHAT_ERR_ARGUMENT, "a group is called by # and 32 hex digits")),
    }
}

/// Users whose names stand one behind the other with a space between: at least one.
fn users(names: &str) -> Result<Vec<UserName>> {
    names.split(' ').map(|name| Ok(UserName::new(name)?)).collect()
}

/// Names as [`users`] reads them.
pub(super) fn in_words<'a>(users: impl IntoIterator<Item = &'a UserName>) -> String {
    users.into_iter().map(UserName::as_str).collect::<Vec<_>>().join(" ")
}
