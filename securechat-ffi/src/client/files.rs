//! Files to and from users and groups.

use super::{conversation, id_out, securechat_client};
use crate::boundary::{OutStruct, array, bytes, required, text, with};
use crate::event::SECURECHAT_FLAG_OURS;
use crate::status::securechat_status;
use core::ffi::c_char;
use core::ptr::null;
use securechat_core::client::{Transfer, TransferState};
use securechat_core::error::ApiMisuse;

use securechat_status::*;

/// Chunks are on their way.
pub const SECURECHAT_TRANSFER_MOVING: u32 = 0;
/// There is no connection, or nothing to be had yet: it goes on by itself.
pub const SECURECHAT_TRANSFER_WAITING: u32 = 1;
/// The program paused it.
pub const SECURECHAT_TRANSFER_PAUSED: u32 = 2;

/// A file on its way. It grows at its end only. What it points to is borrowed until the next call that is not const.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_transfer {
    /// Its number.
    pub file: [u8; 16],
    /// Its size in bytes.
    pub size: u64,
    /// How many of them are where they belong, as far as is known.
    pub done: u64,
    /// What it does: SECURECHAT_TRANSFER_...
    pub state: u32,
    /// SECURECHAT_FLAG_OURS when it is being sent.
    pub flags: u32,
    /// To whom it goes, a user or a group, or from whom it comes.
    pub with: *const c_char,
    /// Its length.
    pub with_len: usize,
    /// Its name: as it was given, or of one that comes a safe base name.
    pub name: *const c_char,
    /// Its length.
    pub name_len: usize,
}

/// Offers a file of `size` bytes to a user or a group and begins to send it, and sets `file` and `id` (16 bytes each): its number, and that of the
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
            let (to, name) = (conversation(to, to_len)?, text(name, name_len)?);
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

/// Holds a transfer up, in either direction, or lets it go on. `paused` is 1 or 0; a restart lets it go on too.
///
/// Pause one for which the program cannot read or write just now: in place of securechat_client_supply_file, or when what
/// SECURECHAT_EVENT_FILE_CHUNK gave could not be written or synced. Chunks that were given and not saved since come again. Does nothing for a file
/// that is not on its way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_pause_file(
    client: *mut securechat_client,
    file: *const u8,
    paused: u32,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and 16 bytes, by the header.
    unsafe {
        with("securechat_client_pause_file", client, |owned| {
            let file = required(file)?;
            match paused {
                1 => owned.client.pause_file(&file, now),
                0 => owned.client.resume_file(&file, now),
                _ => return Err(SECURECHAT_ERR_ARGUMENT.into()),
            }
            Ok(())
        })
    }
}

/// Tells how a file on its way stands, in `info` of `info_size` bytes: the one of this number (16 bytes), or, where `file` is NULL, number
/// `index` of all.
///
/// Fails with SECURECHAT_ERR_NOT_FOUND for a file that is not on its way, and for a number beyond the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_transfer(
    client: *mut securechat_client,
    file: *const u8,
    index: usize,
    info: *mut securechat_transfer,
    info_size: usize,
) -> securechat_status {
    // SAFETY: a handle, 16 bytes and a struct of the size that the caller says.
    unsafe {
        let info = OutStruct::new(info, info_size, 1);
        with("securechat_client_transfer", client, |owned| {
            let (info, file) = (info?, array(file));
            let mut all = owned.client.transfers().into_iter();
            let found = match file {
                Some(file) => all.find(|transfer| transfer.file == file),
                None => all.nth(index),
            };
            info.set(&owned.lent.lend_transfer(found.ok_or(ApiMisuse::NotFound)?));
            Ok(())
        })
    }
}

/// What C is told of a transfer; its pointers are not set yet.
pub(super) fn transfer_info(transfer: &Transfer) -> securechat_transfer {
    securechat_transfer {
        file: transfer.file,
        size: transfer.size,
        done: transfer.done,
        state: match transfer.state {
            TransferState::Moving => SECURECHAT_TRANSFER_MOVING,
            TransferState::Waiting => SECURECHAT_TRANSFER_WAITING,
            TransferState::Paused => SECURECHAT_TRANSFER_PAUSED,
        },
        flags: if transfer.outgoing { SECURECHAT_FLAG_OURS } else { 0 },
        with: null(),
        with_len: 0,
        name: null(),
        name_len: 0,
    }
}
