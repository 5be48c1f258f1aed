//! Whom a client knows.

use super::{Owned, securechat_client, user};
use crate::boundary::{Out, OutStruct, required, with};
use crate::client::lent::{in_a_row, trust_number};
use crate::identity::{SECURECHAT_SAFETY_NUMBER_DIGITS, put_text};
use crate::status::securechat_status;
use core::ffi::c_char;
use core::ptr::null;
use securechat_core::error::ApiMisuse;
use securechat_core::identity::UserName;

/// What is known of a user. It grows at its end only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_contact {
    /// The name, with a zero byte behind it.
    pub user: [c_char; 40],
    /// With SECURECHAT_TRUST_VIOLATION: what names the keys that wait to be accepted (securechat_client_accept_keys).
    pub kept_aside: [u8; 32],
    /// The epoch of the device list that counts.
    pub epoch: u64,
    /// How far the keys are trusted: SECURECHAT_TRUST_...
    pub trust: u32,
    /// 1 if there are keys that wait to be accepted, 0 if not.
    pub has_kept_aside: u32,
    /// The identities of the user's devices, 32 bytes each, one behind the other. Borrowed until the next call that is not const.
    pub devices: *const u8,
    /// How many.
    pub devices_count: usize,
}

/// Asks the relay for a user's keys. Answer: SECURECHAT_EVENT_USER_FOUND or SECURECHAT_EVENT_USER_UNKNOWN. Sending does so by itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_look_up(
    client: *mut securechat_client,
    name: *const c_char,
    name_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and a text, by the header.
    unsafe { with("securechat_client_look_up", client, |owned| Ok(owned.client.look_up(&user(name, name_len)?, now)?)) }
}

/// Tells what is known of a user, in `contact` of `contact_size` bytes: of the one of this name, or, where `name` is NULL, of number
/// `index` of all in the order of their names.
///
/// This client's own user counts among them, with the devices of its own list. Fails with SECURECHAT_ERR_UNKNOWN_USER for a user of whom
/// nothing is known, SECURECHAT_ERR_NOT_FOUND for a number beyond the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_contact(
    client: *mut securechat_client,
    name: *const c_char,
    name_len: usize,
    index: usize,
    contact: *mut securechat_contact,
    contact_size: usize,
) -> securechat_status {
    // SAFETY: a handle, a text and a struct of the size that the caller says.
    unsafe {
        let contact = OutStruct::new(contact, contact_size, 1);
        with("securechat_client_contact", client, |owned| {
            let contact = contact?;
            let name = if name.is_null() && name_len == 0 {
                owned.client.contacts().nth(index).cloned().ok_or(ApiMisuse::NotFound)?
            } else {
                user(name, name_len)?
            };
            contact.set(&owned.contact(&name)?);
            Ok(())
        })
    }
}

/// Gives the safety number with a user: 60 digits with a zero byte behind them, equal on both sides, for people to compare.
///
/// Fails with SECURECHAT_ERR_DEVICE_LIST_OUT_OF_DATE until both sides said that they hold the same device lists, which this asks for:
/// SECURECHAT_EVENT_LISTS_AGREE tells when to try again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_safety_number(
    client: *mut securechat_client,
    name: *const c_char,
    name_len: usize,
    now: u64,
    digits: *mut c_char,
) -> securechat_status {
    // SAFETY: a handle, a text and room for 61 bytes, by the header.
    unsafe {
        let mut out = [0; SECURECHAT_SAFETY_NUMBER_DIGITS + 1];
        let digits = Out::new(digits.cast(), out);
        with("securechat_client_safety_number", client, |owned| {
            let digits = digits?;
            put_text(&mut out, owned.client.safety_number(&user(name, name_len)?, now)?.digits());
            digits.set(out);
            Ok(())
        })
    }
}

/// Marks a user as verified: people compared the safety number. Fails with SECURECHAT_ERR_VIOLATION while changed keys wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_mark_verified(
    client: *mut securechat_client,
    name: *const c_char,
    name_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and a text, by the header.
    unsafe {
        with("securechat_client_mark_verified", client, |owned| {
            Ok(owned.client.mark_verified(&user(name, name_len)?, now)?)
        })
    }
}

/// Accepts a user's changed keys, which count as seen from now on; what waited is sent. `kept_aside` (32 bytes) is that of the
/// securechat_contact on which a person decided.
///
/// Fails with SECURECHAT_ERR_NOT_FOUND when those are not, or no longer, the keys that wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_accept_keys(
    client: *mut securechat_client,
    name: *const c_char,
    name_len: usize,
    kept_aside: *const u8,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle, a text and 32 bytes, by the header.
    unsafe {
        with("securechat_client_accept_keys", client, |owned| {
            Ok(owned.client.accept_keys(&user(name, name_len)?, &required(kept_aside)?, now)?)
        })
    }
}

const NOBODY: securechat_contact = securechat_contact {
    user: [0; 40],
    kept_aside: [0; 32],
    epoch: 0,
    trust: 0,
    has_kept_aside: 0,
    devices: null(),
    devices_count: 0,
};

impl Owned {
    fn contact(&mut self, name: &UserName) -> Result<securechat_contact, ApiMisuse> {
        let known = self.client.contact(name).ok_or(ApiMisuse::UnknownUser)?;
        let mut out = NOBODY;
        put_text(&mut out.user, name.as_str());
        out.trust = trust_number(known.trust);
        out.epoch = known.epoch;
        if let Some(kept_aside) = known.kept_aside {
            (out.kept_aside, out.has_kept_aside) = (kept_aside.hash, 1);
        }
        (out.devices, out.devices_count) = self.lent.lend_devices(in_a_row(&known.devices));
        Ok(out)
    }
}
