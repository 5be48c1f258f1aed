//! A client's account at its relay, and the devices of its user.

use super::securechat_client;
use crate::boundary::{Failure, required, text, with};
use crate::client::lent::{SECURECHAT_PRESENCE_AWAY, SECURECHAT_PRESENCE_OFFLINE, SECURECHAT_PRESENCE_ONLINE};
use crate::status::securechat_status;
use core::ffi::c_char;
use securechat_core::identity::Identity;
use securechat_core::wire::Presence;

use securechat_status::*;

/// There is no one-time code.
pub const SECURECHAT_NO_CODE: u32 = 4_294_967_295;

/// Gives the relay's own password, where it has one, before registering or logging in with a password.
///
/// Answer: SECURECHAT_EVENT_DONE or SECURECHAT_EVENT_REFUSED. Fails with SECURECHAT_ERR_NOT_CONNECTED, and with SECURECHAT_ERR_UNTRUSTED_RELAY, as
/// every function that sends a password does, while the relay's identity is neither pinned nor accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_enter(
    client: *mut securechat_client,
    password: *const c_char,
    password_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and a text, by the header.
    unsafe {
        with("securechat_client_enter", client, |owned| Ok(owned.client.enter(text(password, password_len)?, now)?))
    }
}

/// Makes an account for this user with this device, and logs in.
///
/// Answer: SECURECHAT_EVENT_LOGGED_IN or SECURECHAT_EVENT_REFUSED. Fails as securechat_client_enter does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_register(
    client: *mut securechat_client,
    password: *const c_char,
    password_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and a text, by the header.
    unsafe {
        with("securechat_client_register", client, |owned| {
            Ok(owned.client.register(text(password, password_len)?, now)?)
        })
    }
}

/// Logs in with the password: for a new device of a user who has an account. `code` is a one-time code or SECURECHAT_NO_CODE.
///
/// Answer: SECURECHAT_EVENT_LOGGED_IN or SECURECHAT_EVENT_REFUSED. Fails as securechat_client_enter does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_log_in(
    client: *mut securechat_client,
    password: *const c_char,
    password_len: usize,
    code: u32,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and a text, by the header.
    unsafe {
        with("securechat_client_log_in", client, |owned| {
            Ok(owned.client.log_in(text(password, password_len)?, some_code(code), now)?)
        })
    }
}

/// Changes the password of the account. Answer: SECURECHAT_EVENT_DONE or SECURECHAT_EVENT_REFUSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_change_password(
    client: *mut securechat_client,
    old: *const c_char,
    old_len: usize,
    new: *const c_char,
    new_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and texts, by the header.
    unsafe {
        with("securechat_client_change_password", client, |owned| {
            Ok(owned.client.change_password(text(old, old_len)?, text(new, new_len)?, now)?)
        })
    }
}

/// Asks for a secret for one-time codes (RFC 6238). `code` is one of the secret until now, or SECURECHAT_NO_CODE.
///
/// Answer: SECURECHAT_EVENT_CODE_SECRET or SECURECHAT_EVENT_REFUSED. It counts once securechat_client_confirm_code was answered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_set_up_code(
    client: *mut securechat_client,
    password: *const c_char,
    password_len: usize,
    code: u32,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and a text, by the header.
    unsafe {
        with("securechat_client_set_up_code", client, |owned| {
            Ok(owned.client.set_up_code(text(password, password_len)?, some_code(code), now)?)
        })
    }
}

/// Confirms a new secret with its first code. Answer: SECURECHAT_EVENT_DONE or SECURECHAT_EVENT_REFUSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_confirm_code(
    client: *mut securechat_client,
    code: u32,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe { with("securechat_client_confirm_code", client, |owned| Ok(owned.client.confirm_code(code, now)?)) }
}

/// Asks for the relay's users. Answer: a SECURECHAT_EVENT_USER for each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_list_users(client: *mut securechat_client, now: u64) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe { with("securechat_client_list_users", client, |owned| Ok(owned.client.request_users(now)?)) }
}

/// Says how this user appears to others: SECURECHAT_PRESENCE_...
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_set_presence(
    client: *mut securechat_client,
    presence: u32,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe {
        with("securechat_client_set_presence", client, |owned| {
            let presence = match presence {
                SECURECHAT_PRESENCE_OFFLINE => Presence::Offline,
                SECURECHAT_PRESENCE_AWAY => Presence::Away,
                SECURECHAT_PRESENCE_ONLINE => Presence::Online,
                _ => return Err(Failure::new(SECURECHAT_ERR_ARGUMENT, "no such presence")),
            };
            Ok(owned.client.set_presence(presence, now)?)
        })
    }
}

/// Adds a device of this user to its list, or takes one off it. `device` is its identity (32 bytes), `listed` 1 or 0.
///
/// Add one that asked for it (SECURECHAT_EVENT_DEVICE_PROPOSED) after its fingerprint was compared with what it shows. To one that is taken off
/// nobody sends any more. Fails with SECURECHAT_ERR_NOT_FOUND for a device that has not asked, or is not listed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_list_device(
    client: *mut securechat_client,
    device: *const u8,
    listed: u32,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and 32 bytes, by the header.
    unsafe {
        with("securechat_client_list_device", client, |owned| {
            let device = Identity::from_bytes(required(device)?);
            match listed {
                1 => Ok(owned.client.approve_device(&device, now)?),
                0 => Ok(owned.client.revoke_device(&device, now)?),
                _ => Err(SECURECHAT_ERR_ARGUMENT.into()),
            }
        })
    }
}

/// Begins the user's device list anew with this device alone, for who has lost all others. Contacts have to accept it.
///
/// Fails with SECURECHAT_ERR_WRONG_STATE on a device that is listed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_start_over(client: *mut securechat_client, now: u64) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe { with("securechat_client_start_over", client, |owned| Ok(owned.client.start_over(now)?)) }
}

fn some_code(code: u32) -> Option<u32> {
    Some(code).filter(|code| *code != SECURECHAT_NO_CODE)
}
