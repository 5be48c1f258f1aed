//! Files on their own: sealed, opened and verified chunk by chunk, over any transport and any storage.

use crate::boundary::{
    Buffer, Failure, Guarded, Out, OutStruct, bytes, call, free, handle, new_handle, required, text, with,
};
use crate::config::{Settings, securechat_config};
use crate::identity::put_text;
use crate::random::random;
use crate::status::securechat_status;
use core::ffi::c_char;
use core::ptr::null_mut;
use securechat_core::codec::{decode, encode, encode_secret};
use securechat_core::crypto::Random;
use securechat_core::crypto::aead::Cipher;
use securechat_core::error::{ApiMisuse, PeerMisbehaved};
use securechat_core::file::{FileOffer, FileOpener, FileProof, FileSealer, Manifest, Page, safe_name};
use securechat_core::limits::{CHUNK_HEADER, CHUNK_SIZE, CHUNKS_PER_RECORD};

use securechat_status::*;

/// Bytes of plaintext in every chunk of a file but the last.
pub const SECURECHAT_CHUNK_SIZE: usize = 61_440;
/// Longest sealed chunk, in bytes.
pub const SECURECHAT_SEALED_CHUNK_MAX: usize = 61_536;
/// Chunks whose state is one page of securechat_file_save.
pub const SECURECHAT_FILE_PAGE: usize = 1_024;
/// AES-256-GCM.
pub const SECURECHAT_CIPHER_AES_GCM: u32 = 1;
/// AES-256-CBC with HMAC-SHA-256.
pub const SECURECHAT_CIPHER_AES_CBC_HMAC: u32 = 2;
/// For a file whose key one other has: fast.
pub const SECURECHAT_PROOF_TAGS: u32 = 0;
/// For a file whose key several have: the contents are hashed, so that one root is one file whoever holds the key.
pub const SECURECHAT_PROOF_CONTENTS: u32 = 1;

const _: () = assert!(SECURECHAT_CHUNK_SIZE == CHUNK_SIZE && SECURECHAT_FILE_PAGE == CHUNKS_PER_RECORD);

/// Files: sealed in chunks, opened in any order, whole or not at all, over any transport and storage. A client does this by itself.
///
/// Chunk i holds SECURECHAT_CHUNK_SIZE bytes from i times as many on, the last the rest; an empty file is one empty chunk.
///
/// ```c
/// // The sender.
/// const uint8_t contents[] = "a small file";
/// securechat_file *sender = NULL, *receiver = NULL;
/// assert(securechat_file_new(NULL, SECURECHAT_CIPHER_AES_GCM, SECURECHAT_PROOF_TAGS, sizeof contents, "notes.txt", 9, "text/plain", 10,
///                            &sender) == SECURECHAT_OK);
/// uint8_t offer[2048]; // has the key: send it end to end
/// size_t offer_length = 0;
/// assert(securechat_file_offer(sender, offer, sizeof offer, &offer_length) == SECURECHAT_OK);
///
/// static uint8_t sealed[SECURECHAT_SEALED_CHUNK_MAX], opened[SECURECHAT_CHUNK_SIZE];
/// size_t sealed_length = 0, opened_length = 0;
/// assert(securechat_file_seal_chunk(sender, 0, contents, sizeof contents, sealed, sizeof sealed, &sealed_length) == SECURECHAT_OK);
/// securechat_file_info info;
/// assert(securechat_file_about(sender, &info, sizeof info) == SECURECHAT_OK && info.complete);
///
/// // The receiver: what it opened counts when the root agrees, which comes end to end too.
/// assert(securechat_file_open(NULL, SECURECHAT_FILE_RECEIVER, offer, offer_length, NULL, 0, &receiver) == SECURECHAT_OK);
/// assert(securechat_file_open_chunk(receiver, 0, sealed, sealed_length, opened, sizeof opened, &opened_length) == SECURECHAT_OK);
/// assert(opened_length == sizeof contents && memcmp(opened, contents, opened_length) == 0);
/// assert(securechat_file_finish(receiver, info.root) == SECURECHAT_OK);
/// securechat_file_free(sender);
/// securechat_file_free(receiver);
/// ```
#[allow(non_camel_case_types)]
pub struct securechat_file(Guarded<Transfer>);

handle!(securechat_file, Transfer);

/// Who seals.
pub const SECURECHAT_FILE_SENDER: u32 = 0;
/// Who opens.
pub const SECURECHAT_FILE_RECEIVER: u32 = 1;

/// One side of one file.
pub(crate) struct Transfer {
    offer: FileOffer,
    side: Side,
    random: Random,
}

enum Side {
    Sender(FileSealer),
    Receiver(FileOpener),
}

/// What is known of a file. It grows at its end only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_file_info {
    /// Its id.
    pub id: [u8; 16],
    /// What vouches for the whole file, once it is complete: the sender sends it end to end.
    pub root: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
    /// How many chunks it has.
    pub count: u64,
    /// How many of them were sealed or opened.
    pub present: u64,
    /// 1 if all of them were, 0 if not.
    pub complete: u32,
    /// SECURECHAT_CIPHER_...
    pub cipher: u32,
    /// SECURECHAT_PROOF_...
    pub proof: u32,
    /// Not used; 0.
    pub reserved: u32,
    /// A safe base name made of the one offered, with a zero byte behind it.
    pub name: [c_char; 256],
    /// The media type, the sender's word, with a zero byte behind it.
    pub media_type: [c_char; 256],
}

/// Begins a file of `size` bytes as its sender, with a new id and key. Free it with securechat_file_free.
///
/// `cipher` is SECURECHAT_CIPHER_..., `proof` SECURECHAT_PROOF_.... Of `config` file_size counts.
/// Fails with SECURECHAT_ERR_TOO_LARGE for a larger file, a name over 1,024 bytes, a media type over 255.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_file_new(
    config: *const securechat_config,
    cipher: u32,
    proof: u32,
    size: u64,
    name: *const c_char,
    name_len: usize,
    media_type: *const c_char,
    media_type_len: usize,
    file: *mut *mut securechat_file,
) -> securechat_status {
    // SAFETY: an out-parameter, by the header.
    let out = unsafe { Out::new(file, null_mut()) };
    call("securechat_file_new", || {
        // SAFETY: by the header.
        let (out, settings, name, media_type) =
            unsafe { (out?, Settings::read(config)?, text(name, name_len)?, text(media_type, media_type_len)?) };
        let cipher = u8::try_from(cipher).ok().and_then(Cipher::from_id).ok_or(SECURECHAT_ERR_ARGUMENT)?;
        let proof = u8::try_from(proof).ok().and_then(FileProof::from_id).ok_or(SECURECHAT_ERR_ARGUMENT)?;
        let mut random = random()?;
        let offer = FileOffer::new(cipher, proof, size, name, media_type, &settings.limits, &mut *random)?;
        let side = Side::Sender(FileSealer::new(&offer));
        out.set(new_handle(Transfer { offer, side, random }));
        Ok(())
    })
}

/// Takes part in a file that was offered: as its receiver, or as its sender who goes on after a restart.
///
/// `role` is SECURECHAT_FILE_.... `offer` is what securechat_file_offer gave. `state` are all pages that securechat_file_save gave
/// last, one behind the other; (NULL, 0) begins anew. Of `config` file_size counts. Free it with securechat_file_free.
/// Fails with SECURECHAT_ERR_LIMIT_EXCEEDED for a file larger than allowed, SECURECHAT_ERR_RECORD for pages that are not those of this file,
/// a number below 200 for bytes that are no offer.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_file_open(
    config: *const securechat_config,
    role: u32,
    offer: *const u8,
    offer_len: usize,
    state: *const u8,
    state_len: usize,
    file: *mut *mut securechat_file,
) -> securechat_status {
    // SAFETY: an out-parameter, by the header.
    let out = unsafe { Out::new(file, null_mut()) };
    call("securechat_file_open", || {
        // SAFETY: by the header.
        let (out, settings, offer, state) =
            unsafe { (out?, Settings::read(config)?, bytes(offer, offer_len)?, bytes(state, state_len)?) };
        if role > SECURECHAT_FILE_RECEIVER {
            return Err(SECURECHAT_ERR_ARGUMENT.into());
        }
        let offer: FileOffer = decode(offer)?;
        if offer.size > settings.limits.file_size {
            return Err(PeerMisbehaved::LimitExceeded.into());
        }
        let noted = Manifest::restore(FileSealer::new(&offer).count(), pages(state)?)?;
        let side = match role {
            SECURECHAT_FILE_SENDER => Side::Sender(FileSealer::resume(&offer, noted)?),
            _ => Side::Receiver(FileOpener::resume(&offer, noted, &settings.limits)?),
        };
        out.set(new_handle(Transfer { offer, side, random: random()? }));
        Ok(())
    })
}

/// Frees a file and wipes its key. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_file_free(file: *mut securechat_file) {
    // SAFETY: a handle, by the header.
    unsafe { free(file) }
}

/// Tells what is known of a file, in `info` of `info_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_file_about(
    file: *mut securechat_file,
    info: *mut securechat_file_info,
    info_size: usize,
) -> securechat_status {
    // SAFETY: a handle and a struct of integers of the size that the caller says.
    unsafe {
        let info = OutStruct::new(info, info_size, 1);
        with("securechat_file_about", file, |transfer| {
            info?.set(&transfer.info());
            Ok(())
        })
    }
}

/// Copies the offer out: all that is needed to open the file, its key included. Send it end to end, and wipe the buffer.
///
/// `length` is set to the size. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller; `(NULL, 0)` asks for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_file_offer(
    file: *mut securechat_file,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_file_offer", file, |transfer| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            buffer.copy(&encode_secret(&transfer.offer), length)
        })
    }
}

/// Seals chunk `index`, in any order and as often as it is needed. `data` are its bytes, exactly as many as its place gives it.
///
/// `length` is set to the size. Save the chunk's page (securechat_file_save) before the sealed chunk leaves. Fails with
/// SECURECHAT_ERR_BUFFER when `size` is smaller, and nothing is sealed; SECURECHAT_ERR_FILE_CHANGED, from then on always, for another length or
/// other bytes than when it was sealed before: offer the file anew; SECURECHAT_ERR_NOT_FOUND when there is no such chunk.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_file_seal_chunk(
    file: *mut securechat_file,
    index: u64,
    data: *const u8,
    data_len: usize,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, bytes, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_file_seal_chunk", file, |transfer| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            let data = bytes(data, data_len)?;
            let Transfer { offer, side: Side::Sender(sealer), random } = transfer else { return Err(wrong_role()) };
            let (_, plain) = sealer.chunk_range(index).ok_or(ApiMisuse::NotFound)?;
            let length = buffer.check(CHUNK_HEADER + offer.cipher.ciphertext_len(plain), length)?;
            buffer.fill(&sealer.seal_chunk(index, data, &mut **random)?, length);
            Ok(())
        })
    }
}

/// Opens chunk `index`; they may come in any order, and more than once. What is written to `buffer` belongs at `index` times
/// SECURECHAT_CHUNK_SIZE.
///
/// `length` is set to the size. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller; SECURECHAT_ERR_DECRYPT for what does not open;
/// SECURECHAT_ERR_FILE_MISMATCH when there is no such chunk, or another one was opened in its place. Nothing is written and nothing
/// has changed then.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_file_open_chunk(
    file: *mut securechat_file,
    index: u64,
    data: *const u8,
    data_len: usize,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, bytes, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_file_open_chunk", file, |transfer| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            let data = bytes(data, data_len)?;
            let Side::Receiver(opener) = &mut transfer.side else { return Err(wrong_role()) };
            let (_, plain) = opener.chunk_range(index).ok_or(PeerMisbehaved::FileMismatch)?;
            let length = buffer.check(plain, length)?;
            buffer.fill(&opener.open_chunk(index, data)?, length);
            Ok(())
        })
    }
}

/// Sets `first` and `count` to the first row of chunks at or after `from` that were not sealed or opened yet; `count` is 0 when there is
/// none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_file_next_missing(
    file: *mut securechat_file,
    from: u64,
    first: *mut u64,
    count: *mut u64,
) -> securechat_status {
    // SAFETY: a handle and out-parameters, by the header.
    unsafe {
        let (first, count) = (Out::new(first, 0), Out::new(count, 0));
        with("securechat_file_next_missing", file, |transfer| {
            let (first, count) = (first?, count?);
            if let Some(row) = transfer.manifest().missing().find(|row| row.end > from) {
                let start = row.start.max(from);
                first.set(start);
                count.set(row.end.saturating_sub(start));
            }
            Ok(())
        })
    }
}

/// Says whether what was opened is the sender's file, by the root (32 bytes) that came end to end.
///
/// Fails with SECURECHAT_ERR_WRONG_STATE while chunks are missing, and with SECURECHAT_ERR_FILE_MISMATCH when it is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_file_finish(file: *mut securechat_file, root: *const u8) -> securechat_status {
    // SAFETY: a handle and 32 bytes, by the header.
    unsafe {
        with("securechat_file_finish", file, |transfer| {
            let root: [u8; 32] = required(root)?;
            match transfer.root() {
                None => Err(ApiMisuse::WrongState.into()),
                Some(own) if own == root => Ok(()),
                Some(_) => Err(PeerMisbehaved::FileMismatch.into()),
            }
        })
    }
}

/// Copies page `page` of the state out, that of the SECURECHAT_FILE_PAGE chunks from `page` times as many on; `length` is 0 when none of
/// them was sealed or opened yet. It holds no key. Keep it in place of the one before.
///
/// `length` is set to the size. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller; `(NULL, 0)` asks for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_file_save(
    file: *mut securechat_file,
    page: u64,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_file_save", file, |transfer| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            let first = page.saturating_mul(SECURECHAT_FILE_PAGE as u64);
            match transfer.manifest().page_of(first) {
                Some((number, page)) => buffer.copy(&write_page(number, page), length),
                None => Ok(()),
            }
        })
    }
}

impl Transfer {
    fn manifest(&self) -> &Manifest {
        match &self.side {
            Side::Sender(sealer) => sealer.manifest(),
            Side::Receiver(opener) => opener.manifest(),
        }
    }

    fn root(&self) -> Option<[u8; 32]> {
        match &self.side {
            Side::Sender(sealer) => sealer.root(),
            Side::Receiver(opener) => opener.root(),
        }
    }

    fn info(&self) -> securechat_file_info {
        let root = self.root();
        let mut info = securechat_file_info {
            id: self.offer.id,
            root: root.unwrap_or_default(),
            size: self.offer.size,
            count: self.manifest().count(),
            present: self.manifest().present(),
            complete: root.is_some().into(),
            cipher: self.offer.cipher.id().into(),
            proof: self.offer.proof.id().into(),
            reserved: 0,
            name: [0; 256],
            media_type: [0; 256],
        };
        put_text(&mut info.name, &safe_name(&self.offer.name));
        put_text(&mut info.media_type, &self.offer.media_type);
        info
    }
}

fn wrong_role() -> Failure {
    Failure::new(SECURECHAT_ERR_WRONG_STATE, "a sender seals chunks, and a receiver opens them")
}

/// `page u64 | length u32 | the page`, big-endian.
fn write_page(number: u64, page: &Page) -> Vec<u8> {
    let page = encode(page);
    let length = u32::try_from(page.len()).unwrap_or(u32::MAX);
    [&number.to_be_bytes()[..], &length.to_be_bytes(), &page].concat()
}

/// Pages that stand one behind the other.
fn pages(mut state: &[u8]) -> Result<Vec<(u64, Page)>, ApiMisuse> {
    let mut pages = Vec::new();
    while !state.is_empty() {
        let (number, rest) = state.split_first_chunk().ok_or(ApiMisuse::Record)?;
        let (length, rest) = rest.split_first_chunk().ok_or(ApiMisuse::Record)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| ApiMisuse::Record)?;
        let (page, rest) = rest.split_at_checked(length).ok_or(ApiMisuse::Record)?;
        pages.push((u64::from_be_bytes(*number), decode(page).map_err(|_| ApiMisuse::Record)?));
        state = rest;
    }
    Ok(pages)
}
