//! Numbers that bindings need, as constants and by name.

mod table;

use crate::boundary::{Out, call, text};
use crate::client::contacts::securechat_contact;
use crate::client::files::securechat_transfer;
use crate::client::groups::securechat_group;
use crate::client::state::{securechat_client_info, securechat_record};
use crate::config::securechat_config;
use crate::event::securechat_event;
use crate::file::securechat_file_info;
use crate::identity::{securechat_address, securechat_bundle};
use crate::relay::jobs::securechat_job;
use crate::relay::securechat_relay_options;
use crate::status::securechat_status;
use core::ffi::c_char;

use securechat_status::*;
use table::CONSTANTS;

/// The version of this header: major << 16 | minor << 8 | patch. securechat_version_number tells that of the library.
pub const SECURECHAT_VERSION_NUMBER: u32 = 0x0100;

/// Nothing more to say.
pub const SECURECHAT_CLOSE_DONE: u32 = 0;
/// No login within the time limit.
pub const SECURECHAT_CLOSE_LOGIN_TIMEOUT: u32 = 1;
/// Silent for too long.
pub const SECURECHAT_CLOSE_IDLE: u32 = 2;
/// What waited to be written grew beyond its bound, or was not read for too long.
pub const SECURECHAT_CLOSE_STALLED: u32 = 3;
/// Bytes that are no message, or more requests than may be open.
pub const SECURECHAT_CLOSE_MISBEHAVED: u32 = 4;
/// The relay stops.
pub const SECURECHAT_CLOSE_SHUTDOWN: u32 = 5;
/// The same device logged in on a newer connection.
pub const SECURECHAT_CLOSE_REPLACED: u32 = 6;
/// The device is no longer in its user's device list.
pub const SECURECHAT_CLOSE_REVOKED: u32 = 7;
/// Too many connections.
pub const SECURECHAT_CLOSE_BUSY: u32 = 8;

/// The body does not decode, or a value in it is outside its limits.
pub const SECURECHAT_REFUSAL_MALFORMED: u32 = 1;
/// The relay does not know this kind of request.
pub const SECURECHAT_REFUSAL_UNKNOWN_REQUEST: u32 = 2;
/// The request does not fit what happened on this connection before: not logged in, or logged in already.
pub const SECURECHAT_REFUSAL_WRONG_STATE: u32 = 3;
/// This device may not do that: not in the current list (L7), or not the owner.
pub const SECURECHAT_REFUSAL_NOT_ALLOWED: u32 = 4;
/// The relay's own password is wrong, or has to be given first.
pub const SECURECHAT_REFUSAL_SERVER_PASSWORD: u32 = 5;
/// Unknown user, wrong password, wrong code or wrong signature: there is no telling which (L4).
pub const SECURECHAT_REFUSAL_CREDENTIALS: u32 = 6;
/// The password is right, and a one-time code is needed.
pub const SECURECHAT_REFUSAL_CODE_NEEDED: u32 = 7;
/// The user name is taken.
pub const SECURECHAT_REFUSAL_NAME_TAKEN: u32 = 8;
/// Nobody can register here.
pub const SECURECHAT_REFUSAL_REGISTRATION_CLOSED: u32 = 9;
/// More requests than the relay allows.
pub const SECURECHAT_REFUSAL_RATE_LIMITED: u32 = 10;
/// Too many failed logins.
pub const SECURECHAT_REFUSAL_LOCKED: u32 = 11;
/// The relay cannot do this now; nothing was changed.
pub const SECURECHAT_REFUSAL_UNAVAILABLE: u32 = 12;
/// No user of that name.
pub const SECURECHAT_REFUSAL_UNKNOWN_USER: u32 = 13;
/// No room left.
pub const SECURECHAT_REFUSAL_FULL: u32 = 14;
/// The device list does not follow the current one, or is no longer the next.
pub const SECURECHAT_REFUSAL_LIST_REFUSED: u32 = 15;
/// The bundle or a prekey is not this device's, has expired, or is older than the one before.
pub const SECURECHAT_REFUSAL_BUNDLE_REFUSED: u32 = 16;
/// No blob or chunk of that name.
pub const SECURECHAT_REFUSAL_NOT_FOUND: u32 = 17;
/// The chunk did not come while the request waited.
pub const SECURECHAT_REFUSAL_NOT_YET: u32 = 18;
/// Larger than the relay allows.
pub const SECURECHAT_REFUSAL_TOO_LARGE: u32 = 19;
/// The identity or the id belongs to another user.
pub const SECURECHAT_REFUSAL_TAKEN: u32 = 20;
/// The device belongs to that user, but is not, or no longer, in the current list: it cannot log in with its key.
pub const SECURECHAT_REFUSAL_NOT_LISTED: u32 = 21;
/// The rules of the group do not allow the entry.
pub const SECURECHAT_REFUSAL_ENTRY_REFUSED: u32 = 22;
/// The entry does not follow the newest one of its group.
pub const SECURECHAT_REFUSAL_ENTRY_OUTDATED: u32 = 23;

/// The version of the library: compare it with SECURECHAT_VERSION_NUMBER, that of the header.
#[unsafe(no_mangle)]
pub extern "C" fn securechat_version_number() -> u32 {
    SECURECHAT_VERSION_NUMBER
}

/// Looks a constant of this header up by its name, for bindings that cannot read it: "SECURECHAT_EVENT_MESSAGE" and every other
/// macro and enumerator, and "sizeof securechat_event" and the sizes of the other structs.
///
/// Fails with SECURECHAT_ERR_NOT_FOUND for a name that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_constant(
    name: *const c_char,
    name_len: usize,
    value: *mut u64,
) -> securechat_status {
    // SAFETY: an out-parameter, by the header.
    let value = unsafe { Out::new(value, 0) };
    call("securechat_constant", || {
        // SAFETY: a text, by the header.
        let (value, name) = unsafe { (value?, text(name, name_len)?) };
        let row = CONSTANTS.iter().chain(SIZES).find(|(known, _)| *known == name);
        value.set(row.ok_or(SECURECHAT_ERR_NOT_FOUND)?.1);
        Ok(())
    })
}

/// Sizes of structs, as the library knows them.
const SIZES: &[(&str, u64)] = &[
    ("sizeof securechat_address", size_of::<securechat_address>() as u64),
    ("sizeof securechat_bundle", size_of::<securechat_bundle>() as u64),
    ("sizeof securechat_client_info", size_of::<securechat_client_info>() as u64),
    ("sizeof securechat_config", size_of::<securechat_config>() as u64),
    ("sizeof securechat_contact", size_of::<securechat_contact>() as u64),
    ("sizeof securechat_event", size_of::<securechat_event>() as u64),
    ("sizeof securechat_file_info", size_of::<securechat_file_info>() as u64),
    ("sizeof securechat_group", size_of::<securechat_group>() as u64),
    ("sizeof securechat_job", size_of::<securechat_job>() as u64),
    ("sizeof securechat_record", size_of::<securechat_record>() as u64),
    ("sizeof securechat_relay_options", size_of::<securechat_relay_options>() as u64),
    ("sizeof securechat_transfer", size_of::<securechat_transfer>() as u64),
];
