//! Making a client, saving and restoring it, and sealing what its application keeps.

use super::{Owned, securechat_client};
use crate::boundary::{
    Buffer, Failure, Out, OutStruct, Result, bytes, call, error_text, free, new_handle, required, text, with,
};
use crate::client::lent::Lent;
use crate::config::{Settings, securechat_config};
use crate::random::random;
use crate::status::securechat_status;
use core::ffi::c_char;
use core::ptr::{null, null_mut};
use securechat_core::client::{Client, ClientConfig, History, Save};
use securechat_core::crypto::secret::Secret;
use securechat_core::error::ApiMisuse;
use securechat_core::vault::Vault;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroize;

use securechat_status::*;

/// The records are the newest that were ever saved, as far as the program knows; also for a new device.
pub const SECURECHAT_HISTORY_CONTINUED: u32 = 0;
/// The records come from a backup or a copy.
pub const SECURECHAT_HISTORY_RESTORED: u32 = 1;
/// A state of the generation that is given was saved once; records of a lower one are treated as restored.
pub const SECURECHAT_HISTORY_AT_LEAST: u32 = 2;

/// The key of the record that holds the vault key, wrapped; those of the core are 32 hex digits.
const VAULT_RECORD: &str = "vault";

/// One record of a state: a key and a value that any key-value store keeps. Its fields are for good.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_record {
    /// Its key: printable ASCII, at most 167 bytes. NULL where there is no record.
    pub key: *const c_char,
    /// The length of the key.
    pub key_len: usize,
    /// Its value; NULL to delete the record.
    pub value: *const u8,
    /// The length of the value.
    pub value_len: usize,
}

impl securechat_record {
    pub(crate) const NONE: Self = Self { key: null(), key_len: 0, value: null(), value_len: 0 };

    pub(crate) fn of(key: &str, value: Option<&[u8]>) -> Self {
        Self {
            key: key.as_ptr().cast(),
            key_len: key.len(),
            value: value.map_or(null(), <[u8]>::as_ptr),
            value_len: value.map_or(0, <[u8]>::len),
        }
    }

    /// Records that C gave.
    ///
    /// # Safety
    ///
    /// `records` names `count` records whose pointers name what their lengths say.
    pub(crate) unsafe fn read(records: *const Self, count: usize) -> Result<Vec<(String, Vec<u8>)>> {
        if count > 0 && records.is_null() {
            return Err(SECURECHAT_ERR_NULL.into());
        }
        if count > isize::MAX as usize / size_of::<Self>() {
            return Err(SECURECHAT_ERR_ARGUMENT.into());
        }
        let record = |place: usize| {
            // SAFETY: below `count`, and the caller's promise.
            let record = unsafe { records.add(place).read() };
            // SAFETY: the caller's promise.
            let (key, value) = unsafe { (text(record.key, record.key_len)?, bytes(record.value, record.value_len)?) };
            Ok((key.to_owned(), value.to_vec()))
        };
        (0..count).map(record).collect()
    }
}

/// What is known of a client itself. It grows at its end only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_client_info {
    /// The identity of this device.
    pub identity: [u8; 32],
    /// Its fingerprint, for people to compare.
    pub fingerprint: [u8; 32],
    /// How often this state was saved: kept elsewhere, it shows a restored store (SECURECHAT_HISTORY_AT_LEAST).
    pub generation: u64,
    /// How many messages wait to be taken by a relay or a peer.
    pub unsent: u64,
    /// 1 if this device has an account at a relay and logs in there by its key alone, 0 if not.
    pub registered: u32,
    /// Not used; 0.
    pub reserved: u32,
}

/// Makes a client: a new device if there are no records, or else the device that was saved in them.
///
/// `user` is a name of `[a-z0-9][a-z0-9._-]{0,31}`. `key`, 32 bytes, protects the saved records: derive it from a passphrase with
/// Argon2id, or keep it in the system's key store. `records` are all that securechat_client_next_save ever gave and did not
/// delete; they are copied. `history` is SECURECHAT_HISTORY_..., `generation` goes with SECURECHAT_HISTORY_AT_LEAST. Of `config` the
/// suites, rsa_bits and the client's bounds count. Free it with securechat_client_free.
///
/// Fails with SECURECHAT_ERR_DECRYPT when `key` is not the one of these records, SECURECHAT_ERR_RECORD when they cannot be read,
/// belong to another user, or are none where `generation` says that there were some, SECURECHAT_ERR_USER_NAME, SECURECHAT_ERR_RANDOMNESS.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_client_new(
    config: *const securechat_config,
    user: *const c_char,
    user_len: usize,
    key: *const u8,
    records: *const securechat_record,
    records_count: usize,
    history: u32,
    generation: u64,
    now: u64,
    client: *mut *mut securechat_client,
) -> securechat_status {
    // SAFETY: an out-parameter, by the header.
    let out = unsafe { Out::new(client, null_mut()) };
    call("securechat_client_new", || {
        // SAFETY: by the header.
        let (out, settings, user, key, records) = unsafe {
            (
                out?,
                Settings::read(config)?,
                super::user(user, user_len)?,
                secret(key)?,
                securechat_record::read(records, records_count)?,
            )
        };
        let history = match history {
            SECURECHAT_HISTORY_CONTINUED => History::Continued,
            SECURECHAT_HISTORY_RESTORED => History::Restored,
            SECURECHAT_HISTORY_AT_LEAST => History::AtLeast(generation),
            _ => return Err(Failure::new(SECURECHAT_ERR_ARGUMENT, "no such history")),
        };
        let mut config = ClientConfig::new(user);
        (config.policy, config.limits, config.rsa_bits) = (settings.policy, settings.limits, settings.rsa_bits);
        if records.is_empty() && matches!(history, History::AtLeast(1..)) {
            return Err(Failure::new(SECURECHAT_ERR_RECORD, "there are no records of a state that was saved once"));
        }
        let owned =
            if records.is_empty() { create(config, &key, now)? } else { restore(config, &key, records, history, now)? };
        out.set(new_handle(owned));
        Ok(())
    })
}

/// Frees a client and wipes its keys. What was not saved is lost. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_free(client: *mut securechat_client) {
    // SAFETY: a handle, by the header.
    unsafe { free(client) }
}

/// The text of this client's last failure, for people: borrowed until the next call that is not const. Empty if none failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_error(client: *const securechat_client) -> *const c_char {
    // SAFETY: a handle, by the header.
    unsafe { error_text(client) }
}

/// Tells what is known of this client, in `info` of `info_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_about(
    client: *mut securechat_client,
    info: *mut securechat_client_info,
    info_size: usize,
) -> securechat_status {
    // SAFETY: a handle and a struct of integers of the size that the caller says.
    unsafe {
        let info = OutStruct::new(info, info_size, 1);
        with("securechat_client_about", client, |owned| {
            let info = info?;
            let known = securechat_client_info {
                identity: *owned.client.identity().as_bytes(),
                fingerprint: *owned.client.fingerprint().as_bytes(),
                generation: owned.client.generation(),
                unsent: owned.client.unsent() as u64,
                registered: owned.client.is_registered().into(),
                reserved: 0,
            };
            info.set(&known);
            Ok(())
        })
    }
}

/// Gives the next record to save; its key is NULL when there are no more.
///
/// All records until then are one transaction: put the values, delete where the value is NULL, make it durable, then call
/// securechat_client_save_done. Nothing comes out of securechat_client_output before that. The record is borrowed until the next call
/// that is not const.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_next_save(
    client: *mut securechat_client,
    record: *mut securechat_record,
) -> securechat_status {
    // SAFETY: a handle and an out-parameter, by the header.
    unsafe {
        let record = Out::new(record, securechat_record::NONE);
        with("securechat_client_next_save", client, |owned| {
            let record = record?;
            if owned.batch.is_none() {
                let changed = owned.client.poll_save();
                if changed.is_none() && owned.wrapped.is_none() {
                    // No save keeps anything back now: what ended links still had comes out, to be dropped.
                    owned.collect();
                    owned.ended.clear();
                    return Ok(());
                }
                owned.batch = Some(owned.wrapped.take().into_iter().chain(changed.into_iter().flatten()).collect());
                owned.given = 0;
            }
            if let Some(save) = owned.batch.as_ref().and_then(|batch| batch.get(owned.given)) {
                owned.given += 1;
                record.set(securechat_record::of(&save.key, save.value.as_deref()));
            }
            Ok(())
        })
    }
}

/// Says that all records that securechat_client_next_save gave are durable. Does nothing when none were given.
///
/// Fails with SECURECHAT_ERR_WRONG_STATE when it still has records of this transaction: take them first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_save_done(client: *mut securechat_client) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe {
        with("securechat_client_save_done", client, |owned| {
            if owned.batch.as_ref().is_some_and(|batch| owned.given < batch.len()) {
                return Err(Failure::new(
                    SECURECHAT_ERR_WRONG_STATE,
                    "take all records before saying that they are saved",
                ));
            }
            owned.batch = None;
            Ok(())
        })
    }
}

/// Protects the saved records with another key (32 bytes) from now on: for a changed passphrase. One record is saved anew.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_rekey(client: *mut securechat_client, key: *const u8) -> securechat_status {
    // SAFETY: a handle and 32 bytes, by the header.
    unsafe {
        with("securechat_client_rekey", client, |owned| {
            let wrapped = owned.vault.wrap(&secret(key)?, &mut *random()?);
            owned.wrapped = Some(Save { key: VAULT_RECORD.to_owned(), value: Some(wrapped) });
            Ok(())
        })
    }
}

/// Seals what the application keeps beside the client's own records, such as a history of messages: `data`, bound to `name`.
///
/// `length` is set to the size: 32 bytes more than `data`. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_client_seal(
    client: *mut securechat_client,
    name: *const c_char,
    name_len: usize,
    data: *const u8,
    data_len: usize,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, texts, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_client_seal", client, |owned| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            let (name, data) = (application_record(text(name, name_len)?), bytes(data, data_len)?);
            let length = buffer.check(data.len().saturating_add(SEALED_MORE), length)?;
            buffer.fill(&owned.vault.seal(&name, data, &mut *random()?), length);
            Ok(())
        })
    }
}

/// Opens what securechat_client_seal sealed under the same name.
///
/// `length` is set to the size: 32 bytes less than `data`. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller, and with
/// SECURECHAT_ERR_DECRYPT for anything else than what was sealed; nothing is written then.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_client_open(
    client: *mut securechat_client,
    name: *const c_char,
    name_len: usize,
    data: *const u8,
    data_len: usize,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, texts, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_client_open", client, |owned| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            let (name, data) = (application_record(text(name, name_len)?), bytes(data, data_len)?);
            buffer.copy(&owned.vault.open(&name, data)?, length)
        })
    }
}

/// What sealing adds: a salt and a tag.
const SEALED_MORE: usize = 32;

/// The name of an application's record, apart from all of the core.
fn application_record(name: &str) -> String {
    format!("application/{name}")
}

fn create(config: ClientConfig, key: &Secret<32>, now: u64) -> Result<Owned> {
    let mut rng = random()?;
    let vault_key = Secret::random(&mut *rng);
    let vault = Vault::new(vault_key.duplicate());
    let wrapped = Save { key: VAULT_RECORD.to_owned(), value: Some(vault.wrap(key, &mut *rng)) };
    let client = Client::create(config, Vault::new(vault_key), rng, now)?;
    Ok(owned(client, vault, Some(wrapped)))
}

fn restore(
    config: ClientConfig,
    key: &Secret<32>,
    mut records: Vec<(String, Vec<u8>)>,
    history: History,
    now: u64,
) -> Result<Owned> {
    let place = records.iter().position(|(key, _)| key == VAULT_RECORD).ok_or(ApiMisuse::Record)?;
    let (_, wrapped) = records.swap_remove(place);
    let (own, vault) = (Vault::unwrap(key, &wrapped)?, Vault::unwrap(key, &wrapped)?);
    Ok(owned(Client::restore(config, own, records, history, random()?, now)?, vault, None))
}

fn owned(client: Client, vault: Vault, wrapped: Option<Save>) -> Owned {
    Owned {
        client,
        vault,
        out: BTreeMap::new(),
        wrapped,
        batch: None,
        given: 0,
        undecided: BTreeSet::new(),
        ended: BTreeSet::new(),
        lent: Lent::default(),
    }
}

/// A key of 32 bytes.
///
/// # Safety
///
/// `pointer` is NULL or names 32 bytes.
unsafe fn secret(pointer: *const u8) -> Result<Secret<32>> {
    // SAFETY: the caller's promise.
    let mut copy = unsafe { required::<32>(pointer) }?;
    let secret = Secret::from_bytes(&copy);
    copy.zeroize();
    Ok(secret)
}
