//! Identities of links and relays, bundles, safety numbers, addresses.

use crate::boundary::{
    Buffer, Failure, Guarded, Out, OutStruct, Result, bytes, call, free, handle, new_handle, text, with,
};
use crate::config::{Settings, securechat_config};
use crate::random::random;
use crate::status::securechat_status;
use core::ffi::c_char;
use core::ptr::null_mut;
use securechat_core::codec::{decode, encode_secret};
use securechat_core::error::ApiMisuse;
use securechat_core::identity::{self, DeviceKeys, Identity, LocalIdentity, RelayAddress, SignedBundle, UserName};
use securechat_core::link::RsaSlots;
use securechat_core::suite::KeyExchange;
use std::sync::Arc;

use securechat_status::*;

/// Bytes of an identity or a fingerprint.
pub const SECURECHAT_FINGERPRINT_SIZE: usize = 32;
/// Digits of a safety number.
pub const SECURECHAT_SAFETY_NUMBER_DIGITS: usize = 60;
/// Room for a host name with its zero byte.
pub const SECURECHAT_HOST_SIZE: usize = 256;

/// Identities: the long-term keys of a server or of one end of a link between peers.
///
/// A client makes and keeps its own. Whoever takes connections needs one, hands out its fingerprint, and keeps its exported bytes
/// as secret as any private key.
///
/// ```c
/// securechat_identity *identity = NULL;
/// assert(securechat_identity_generate(NULL, now, &identity) == SECURECHAT_OK);
///
/// uint8_t bytes[4096], bundle[4096];
/// size_t length = 0;
/// assert(securechat_identity_export(identity, bytes, sizeof bytes, &length) == SECURECHAT_OK);
/// // … keep `bytes` in a file that only this user can read, wipe them, and later:
/// securechat_identity_free(identity);
/// assert(securechat_identity_import(NULL, bytes, length, now, &identity) == SECURECHAT_OK);
///
/// securechat_bundle info;
/// assert(securechat_identity_bundle(identity, bundle, sizeof bundle, &length) == SECURECHAT_OK);
/// assert(securechat_bundle_read(bundle, length, &info, sizeof info) == SECURECHAT_OK);
/// // info.fingerprint is what clients pin
/// securechat_identity_free(identity);
/// ```
#[allow(non_camel_case_types)]
pub struct securechat_identity(Guarded<Owned>);

handle!(securechat_identity, Owned);

/// An identity, and the places for RSA operations that all its links share.
pub(crate) struct Owned {
    pub(crate) local: Arc<LocalIdentity>,
    pub(crate) rsa_slots: RsaSlots,
}

impl Owned {
    fn new(local: LocalIdentity, settings: &Settings) -> Self {
        Self { local: Arc::new(local), rsa_slots: RsaSlots::new(settings.limits.rsa_handshakes) }
    }
}

/// What a signed bundle says, after its signature was checked. It grows at its end only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_bundle {
    /// The fingerprint of the identity, for people to compare and for pins.
    pub fingerprint: [u8; 32],
    /// The identity: an Ed25519 public key.
    pub identity: [u8; 32],
    /// The name of the user, with a zero byte behind it; empty for a relay or a bare link.
    pub user: [c_char; 40],
    /// Grows with every bundle of the identity.
    pub serial: u64,
    /// When it begins to count, Unix milliseconds.
    pub not_before: u64,
    /// When it ends.
    pub not_after: u64,
    /// The number of the device.
    pub device: u32,
    /// How many suites it accepts.
    pub suite_count: u32,
}

/// An address of a relay as people hand it out. It grows at its end only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_address {
    /// A name, or an IP address without brackets, with a zero byte behind it.
    pub host: [c_char; SECURECHAT_HOST_SIZE],
    /// The fingerprint of the relay.
    pub fingerprint: [u8; 32],
    /// The port.
    pub port: u32,
    /// 1 if the address names a fingerprint, 0 if not.
    pub pinned: u32,
}

/// Makes an identity with new keys and a bundle that holds for 90 days.
///
/// Of `config` the suites and rsa_bits count. An RSA key takes seconds to make. Free it with securechat_identity_free.
/// Fails with SECURECHAT_ERR_RANDOMNESS, SECURECHAT_ERR_PRIVATE_KEY for other lengths of RSA keys than 2048 to 4096.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_identity_generate(
    config: *const securechat_config,
    now: u64,
    identity: *mut *mut securechat_identity,
) -> securechat_status {
    // SAFETY: an out-parameter, by the header.
    let out = unsafe { Out::new(identity, null_mut()) };
    call("securechat_identity_generate", || {
        // SAFETY: a config, by the header.
        let (out, settings) = (out?, unsafe { Settings::read(config) }?);
        let with_rsa = settings.policy.suites().iter().any(|suite| suite.key_exchange == KeyExchange::Rsa);
        let keys = DeviceKeys::generate(&mut *random()?, with_rsa.then_some(settings.rsa_bits))?;
        let local = LocalIdentity::new(keys, None, 0, &settings.policy, vec![], now)?;
        out.set(new_handle(Owned::new(local, &settings)));
        Ok(())
    })
}

/// Reads what securechat_identity_export wrote.
///
/// A bundle that is past half of its life, or names other suites than `config`, is renewed: compare the serial of
/// securechat_identity_bundle and export again. A server that runs for months does so every few weeks. The fingerprint never
/// changes. Free it with securechat_identity_free. Fails with SECURECHAT_ERR_RECORD for other bytes and with
/// SECURECHAT_ERR_MISSING_KEY when `config` names an RSA-wrapped suite and there is no RSA key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_identity_import(
    config: *const securechat_config,
    data: *const u8,
    data_len: usize,
    now: u64,
    identity: *mut *mut securechat_identity,
) -> securechat_status {
    // SAFETY: an out-parameter, by the header.
    let out = unsafe { Out::new(identity, null_mut()) };
    call("securechat_identity_import", || {
        // SAFETY: a config and bytes, by the header.
        let (out, settings, data) = unsafe { (out?, Settings::read(config)?, bytes(data, data_len)?) };
        let mut local: LocalIdentity = decode(data).map_err(|_| ApiMisuse::Record)?;
        let suites: Vec<u16> = settings.policy.suites().iter().map(|suite| suite.id()).collect();
        if now >= local.renew_at() || local.bundle.bundle().suites != suites {
            local.renew(&settings.policy, vec![], 0, now)?;
        }
        out.set(new_handle(Owned::new(local, &settings)));
        Ok(())
    })
}

/// Copies the identity out, its private keys included: keep them secret, and wipe the buffer.
///
/// `length` is set to the size. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller; `(NULL, 0)` asks for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_identity_export(
    identity: *mut securechat_identity,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_identity_export", identity, |owned| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            buffer.copy(&encode_secret(&*owned.local), length)
        })
    }
}

/// Copies the identity's signed bundle out: its public half.
///
/// `length` is set to the size. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller; `(NULL, 0)` asks for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_identity_bundle(
    identity: *mut securechat_identity,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_identity_bundle", identity, |owned| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            buffer.copy(owned.local.bundle.bytes(), length)
        })
    }
}

/// Frees an identity and wipes its keys. Links and relays that were made with it keep what they need. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_identity_free(identity: *mut securechat_identity) {
    // SAFETY: a handle, by the header.
    unsafe { free(identity) }
}

/// Checks the signature of a bundle and tells what is in it, in `info` of `info_size` bytes.
///
/// It says nothing about whether the bundle is valid at this time, nor whose it should be: compare the fingerprint.
/// Fails with SECURECHAT_ERR_BAD_SIGNATURE, SECURECHAT_ERR_BUNDLE_INCONSISTENT, or a number below 200 for bytes that are none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_bundle_read(
    bundle: *const u8,
    bundle_len: usize,
    info: *mut securechat_bundle,
    info_size: usize,
) -> securechat_status {
    // SAFETY: a struct of integers without padding, of the size that the caller says.
    let info = unsafe { OutStruct::new(info, info_size, 1) };
    call("securechat_bundle_read", || {
        let info = info?;
        let mut known = securechat_bundle {
            fingerprint: [0; 32],
            identity: [0; 32],
            user: [0; 40],
            serial: 0,
            not_before: 0,
            not_after: 0,
            device: 0,
            suite_count: 0,
        };
        // SAFETY: bytes, by the header.
        let signed = SignedBundle::decode(unsafe { bytes(bundle, bundle_len) }?)?;
        let bundle = signed.bundle();
        known.fingerprint = *signed.fingerprint().as_bytes();
        known.identity = *signed.identity().as_bytes();
        put_text(&mut known.user, signed.user().map_or("", UserName::as_str));
        (known.serial, known.not_before, known.not_after) = (bundle.serial, bundle.not_before, bundle.not_after);
        known.device = bundle.device;
        known.suite_count = u32::try_from(bundle.suites.len()).unwrap_or(u32::MAX);
        info.set(&known);
        Ok(())
    })
}

/// Computes the safety number of two users: 60 digits, equal on both sides, for people to compare (PROTOCOL.md I10).
///
/// Of each user the name, and the identities of the devices, 32 bytes each, one behind the other, in any order. `digits` gets 61
/// bytes, a zero byte at the end. It means something only when both sides hold the same device lists, which
/// securechat_client_safety_number makes sure of. Fails with SECURECHAT_ERR_USER_NAME, and with SECURECHAT_ERR_ARGUMENT for no
/// devices or more than 16.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_safety_number(
    user_a: *const c_char,
    user_a_len: usize,
    devices_a: *const u8,
    devices_a_count: usize,
    user_b: *const c_char,
    user_b_len: usize,
    devices_b: *const u8,
    devices_b_count: usize,
    digits: *mut c_char,
) -> securechat_status {
    // SAFETY: room for 61 bytes, by the header.
    let digits = unsafe { Out::new(digits.cast::<[c_char; SECURECHAT_SAFETY_NUMBER_DIGITS + 1]>(), [0; 61]) };
    call("securechat_safety_number", || {
        let digits = digits?;
        // SAFETY: texts and bytes, by the header.
        let (user_a, devices_a, user_b, devices_b) = unsafe {
            (
                UserName::new(text(user_a, user_a_len)?)?,
                identities(devices_a, devices_a_count)?,
                UserName::new(text(user_b, user_b_len)?)?,
                identities(devices_b, devices_b_count)?,
            )
        };
        let number = identity::safety_number((&user_a, &devices_a), (&user_b, &devices_b));
        let mut out = [0; 61];
        put_text(&mut out, number.digits());
        digits.set(out);
        Ok(())
    })
}

/// Reads `host:port#fingerprint`, an address as a relay's operator hands it out, into `address` of `address_size` bytes.
/// The fingerprint may be missing; IPv6 stands in brackets.
///
/// Fails with SECURECHAT_ERR_UNKNOWN_VALUE for a text that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_address_parse(
    from: *const c_char,
    from_len: usize,
    address: *mut securechat_address,
    address_size: usize,
) -> securechat_status {
    // SAFETY: a struct of integers without padding, of the size that the caller says.
    let address = unsafe { OutStruct::new(address, address_size, 1) };
    call("securechat_address_parse", || {
        let address = address?;
        let mut known =
            securechat_address { host: [0; SECURECHAT_HOST_SIZE], fingerprint: [0; 32], port: 0, pinned: 0 };
        // SAFETY: text, by the header.
        let parsed: RelayAddress = unsafe { text(from, from_len) }?.parse()?;
        put_text(&mut known.host, &parsed.host);
        known.port = parsed.port.into();
        if let Some(fingerprint) = parsed.fingerprint {
            known.fingerprint = *fingerprint.as_bytes();
            known.pinned = 1;
        }
        address.set(&known);
        Ok(())
    })
}

/// Writes a text that fits, with zero bytes behind it.
pub(crate) fn put_text(place: &mut [c_char], text: &str) {
    let room = place.len().saturating_sub(1);
    place.iter_mut().take(room).zip(text.bytes()).for_each(|(place, byte)| *place = byte as c_char);
}

/// Identities that stand one behind the other.
///
/// # Safety
///
/// `pointer` names `count` times 32 bytes.
unsafe fn identities(pointer: *const u8, count: usize) -> Result<Vec<Identity>> {
    if count == 0 || count > securechat_core::limits::DEVICES_PER_USER {
        return Err(Failure::new(SECURECHAT_ERR_ARGUMENT, "a user has 1 to 16 devices"));
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(pointer, count * 32) }?;
    let (identities, _) = bytes.as_chunks::<32>();
    Ok(identities.iter().map(|identity| Identity::from_bytes(*identity)).collect())
}
