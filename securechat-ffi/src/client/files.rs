//! Files to and from users.

use super::{id_out, securechat_client, user};
use crate::boundary::{bytes, required, text, with};
use crate::status::securechat_status;
use core::ffi::c_char;

/// Offers a file of `size` bytes to a user and begins to send it, and sets `file` and `id` (16 bytes each): its number, and that of the
/// message with the offer.
///
/// Its bytes are asked for with SECURECHAT_EVENT_FILE_NEED. `name` is a name, not a path; `media_type` may be empty. Fails as
/// securechat_client_send does, with SECURECHAT_ERR_TOO_LARGE beyond 64 GiB.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_client_send_file(
    client: *mut securechat_client,
    to: *const c_char,
    to_len: usize,
    name: *const c_char,
    name_len: usize,
    size: u64,
    media_type: *const c_char,
    media_type_len: usize,
    now: u64,
    file: *mut u8,
    id: *mut u8,
) -> securechat_status {
    // SAFETY: a handle, texts and out-parameters, by the header.
    unsafe {
        let (file, id) = (id_out(file), id_out(id));
        with("securechat_client_send_file", client, |owned| {
            let (file, id) = (file?, id?);
            let (to, name) = (user(to, to_len)?, text(name, name_len)?);
            let media_type = text(media_type, media_type_len)?;
            let (number, message) = owned.client.send_file(&to, name, size, media_type, now)?;
            file.set(number);
            id.set(*message.as_bytes());
            Ok(())
        })
    }
}

/// Hands in the bytes that SECURECHAT_EVENT_FILE_NEED asked for: those of `chunk`, exactly as many.
///
/// Fails with SECURECHAT_ERR_FILE_CHANGED, and the transfer is over, when they are not those that were sent before or not as many;
/// SECURECHAT_ERR_NOT_FOUND when they were not asked for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_supply_file(
    client: *mut securechat_client,
    file: *const u8,
    chunk: u64,
    data: *const u8,
    data_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle, 16 bytes and bytes, by the header.
    unsafe {
        with("securechat_client_supply_file", client, |owned| {
            Ok(owned.client.supply_file(&required(file)?, chunk, bytes(data, data_len)?, now)?)
        })
    }
}

/// Accepts a file that was offered: its bytes come as SECURECHAT_EVENT_FILE_CHUNK, in any order, and SECURECHAT_EVENT_FILE_RECEIVED when it is
/// whole. Write them under the safe name of the offer into a new file; it counts only when it is whole.
///
/// Fails with SECURECHAT_ERR_NOT_FOUND when there is no such offer, SECURECHAT_ERR_BUSY when too many are under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_accept_file(
    client: *mut securechat_client,
    file: *const u8,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and 16 bytes, by the header.
    unsafe {
        with("securechat_client_accept_file", client, |owned| Ok(owned.client.accept_file(&required(file)?, now)?))
    }
}

/// Ends a transfer in either direction. What is at the relay of it is deleted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_cancel_file(
    client: *mut securechat_client,
    file: *const u8,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and 16 bytes, by the header.
    unsafe {
        with("securechat_client_cancel_file", client, |owned| {
            owned.client.cancel_file(&required(file)?, now);
            Ok(())
        })
    }
}
