//! Policy and limits, as one flat struct.

use crate::boundary::{OutStruct, Result, call, read_struct};
use crate::status::securechat_status;
use core::time::Duration;
use securechat_core::error::InvalidMessage;
use securechat_core::limits::{Limits, Rate};
use securechat_core::suite::{Policy, Suite};
use std::sync::Arc;

use securechat_status::*;

/// Length in bits of the RSA static key that a new identity makes, unless it is told otherwise.
const RSA_BITS: u32 = 3072;

/// Suites in a securechat_config.
pub const SECURECHAT_CONFIG_SUITES: usize = 10;

/// X25519, AES-256-GCM.
pub const SECURECHAT_SUITE_X25519_GCM: u32 = 0x0101;
/// X25519, AES-256-CBC with HMAC-SHA-256.
pub const SECURECHAT_SUITE_X25519_CBC: u32 = 0x0102;
/// RSA-wrapped keys with X25519, AES-256-GCM.
pub const SECURECHAT_SUITE_RSA_GCM: u32 = 0x0201;
/// RSA-wrapped keys with X25519, AES-256-CBC with HMAC-SHA-256.
pub const SECURECHAT_SUITE_RSA_CBC: u32 = 0x0202;
/// X25519 with ML-KEM-768, AES-256-GCM.
pub const SECURECHAT_SUITE_HYBRID_GCM: u32 = 0x0301;
/// X25519 with ML-KEM-768, AES-256-CBC with HMAC-SHA-256.
pub const SECURECHAT_SUITE_HYBRID_CBC: u32 = 0x0302;

/// Suites and bounds. Fill it with securechat_config_default, change what you want, pass it; NULL is the defaults. It grows at
/// its end only.
///
/// Sizes may be lowered, rates and counts set. A rate is `burst` at once and one more every `every` microseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_config {
    /// The size of this struct as the program knows it; securechat_config_default sets it.
    pub size: u32,
    /// Length in bits of the RSA static key that a new identity or device makes when RSA-wrapped suites are among `suites`.
    pub rsa_bits: u32,
    /// How many suites there are.
    pub suite_count: u32,
    /// SECURECHAT_SUITE_..., the preferred one first.
    pub suites: [u16; SECURECHAT_CONFIG_SUITES],
    /// Time for a handshake, the decision on a SECURECHAT_EVENT_VERIFY included, in milliseconds.
    pub handshake_timeout: u64,
    /// RSA private operations at once.
    pub rsa_handshakes: u64,
    /// Connections that a relay holds at once.
    pub connections: u64,
    /// Connections from one address.
    pub connections_per_address: u64,
    /// How long a connection may stay without a login, in milliseconds.
    pub login_timeout: u64,
    /// How long an admitted connection may stay silent, in milliseconds.
    pub idle_timeout: u64,
    /// One-time prekeys per device and kind at the relay.
    pub prekeys_per_device: u64,
    /// Envelopes that wait per device.
    pub mailbox_envelopes: u64,
    /// Bytes of envelopes that wait per device.
    pub mailbox_bytes: u64,
    /// Largest file, in bytes.
    pub file_size: u64,
    /// Bytes queued towards one connection before that reader is ended.
    pub output_queue: u64,
    /// Bytes queued towards all connections together.
    pub output_total: u64,
    /// Bytes of requests that wait for jobs, over all connections.
    pub input_total: u64,
    /// How long a connection may leave unread what waits for it, in milliseconds.
    pub stall_timeout: u64,
    /// Password hashes that a relay has under way at once.
    pub password_jobs: u64,
    /// Requests of one connection: at once.
    pub connection_burst: u64,
    /// Requests of one connection: one more every so many microseconds.
    pub connection_every: u64,
    /// Requests of one account: at once.
    pub account_burst: u64,
    /// Requests of one account: one more every so many microseconds.
    pub account_every: u64,
    /// Logins and passwords tried from one address: at once.
    pub login_burst: u64,
    /// Logins and passwords tried from one address: one more every so many microseconds.
    pub login_every: u64,
    /// Registrations from one address: at once.
    pub register_burst: u64,
    /// Registrations from one address: one more every so many microseconds.
    pub register_every: u64,
    /// Bundles, prekeys and device lists published by one account: at once.
    pub publish_burst: u64,
    /// Bundles, prekeys and device lists published by one account: one more every so many microseconds.
    pub publish_every: u64,
    /// One-time prekeys taken by one account: at once.
    pub prekey_burst: u64,
    /// One-time prekeys taken by one account: one more every so many microseconds.
    pub prekey_every: u64,
    /// Blobs of one account.
    pub blobs_per_account: u64,
    /// Bytes of the files of those blobs.
    pub blob_bytes_per_account: u64,
    /// Messages kept while a device list is fetched.
    pub waiting_messages: u64,
    /// Bytes of those messages.
    pub waiting_bytes: u64,
    /// File offers kept until they are accepted.
    pub file_offers: u64,
    /// Users whose keys a client remembers.
    pub contacts: u64,
    /// Messages that a client keeps on their way out.
    pub outgoing: u64,
}

/// What a program has to know of the struct: all up to the suites.
pub(crate) const CONFIG_LEAST: usize = 12 + 2 * SECURECHAT_CONFIG_SUITES;

/// Fills `config`, of `size` bytes, with the defaults: the hybrid suites, then X25519, and the bounds of PROTOCOL.md section 11.
///
/// Fails with SECURECHAT_ERR_NULL, and with SECURECHAT_ERR_ARGUMENT when `size` is smaller than the first version of the struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_config_default(config: *mut securechat_config, size: usize) -> securechat_status {
    // SAFETY: a struct of integers without padding; the caller says how much of it can be written.
    let config = unsafe { OutStruct::new(config, size, CONFIG_LEAST) };
    call("securechat_config_default", || {
        let config = config?;
        let mut defaults = defaults();
        defaults.size = u32::try_from(size).map_err(|_| SECURECHAT_ERR_ARGUMENT)?;
        config.set(&defaults);
        Ok(())
    })
}

/// What a handle is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) policy: Policy,
    pub(crate) limits: Arc<Limits>,
    pub(crate) rsa_bits: usize,
}

impl Settings {
    /// The settings that C gave; NULL is the defaults.
    ///
    /// # Safety
    ///
    /// `config` is NULL or names as many bytes as its first field says.
    pub(crate) unsafe fn read(config: *const securechat_config) -> Result<Self> {
        let mut given = defaults();
        if !config.is_null() {
            // SAFETY: the caller's promise; the first field is there in every version.
            let size = unsafe { (&raw const (*config).size).read() } as usize;
            // SAFETY: the caller's promise; a struct of integers.
            given = unsafe { read_struct(config, size, CONFIG_LEAST, given) }?;
        }
        let count = usize::try_from(given.suite_count).unwrap_or(usize::MAX);
        let numbers = given.suites.get(..count).ok_or(SECURECHAT_ERR_ARGUMENT)?;
        let suites = numbers.iter().map(|number| Suite::from_id(*number).ok_or(InvalidMessage::UnknownValue));
        let policy = Policy::new(suites.collect::<core::result::Result<_, _>>()?)?;
        Ok(Self { policy, limits: Arc::new(limits(&given)?), rsa_bits: given.rsa_bits as usize })
    }
}

/// Every bound by name: its field here is its field in the core's limits.
macro_rules! bounds {
    ($apply:ident) => {
        $apply! {
            millis: handshake_timeout, login_timeout, idle_timeout, stall_timeout;
            count: rsa_handshakes, connections, connections_per_address, prekeys_per_device, mailbox_envelopes,
                mailbox_bytes, file_size, output_queue, output_total, input_total, password_jobs, blobs_per_account,
                blob_bytes_per_account, waiting_messages, waiting_bytes, file_offers, contacts, outgoing;
            rate: connection_rate connection_burst connection_every, account_rate account_burst account_every,
                login_rate login_burst login_every, register_rate register_burst register_every,
                publish_rate publish_burst publish_every, prekey_rate prekey_burst prekey_every;
        }
    };
}

fn limits(given: &securechat_config) -> Result<Limits> {
    let mut limits = Limits::default();
    macro_rules! take {
        (millis: $($millis:ident),*; count: $($count:ident),*; rate: $($rate:ident $burst:ident $every:ident),*;) => {
            $(limits.$millis = Duration::from_millis(given.$millis);)*
            $(limits.$count = given.$count.try_into().map_err(|_| SECURECHAT_ERR_ARGUMENT)?;)*
            $(limits.$rate = rate(given.$burst, given.$every)?;)*
        };
    }
    bounds!(take);
    Ok(limits)
}

fn rate(burst: u64, every: u64) -> Result<Rate> {
    match u32::try_from(burst) {
        Ok(burst) if burst > 0 => Ok(Rate::new(burst, every)),
        _ => Err(SECURECHAT_ERR_ARGUMENT.into()),
    }
}

fn defaults() -> securechat_config {
    let limits = Limits::default();
    let policy = Policy::default();
    let mut suites = [0; SECURECHAT_CONFIG_SUITES];
    suites.iter_mut().zip(policy.suites()).for_each(|(place, suite)| *place = suite.id());
    macro_rules! give {
        (millis: $($millis:ident),*; count: $($count:ident),*; rate: $($rate:ident $burst:ident $every:ident),*;) => {
            securechat_config {
                size: size_of::<securechat_config>() as u32,
                rsa_bits: RSA_BITS,
                suite_count: policy.suites().len() as u32,
                suites,
                $($millis: u64::try_from(limits.$millis.as_millis()).unwrap_or(u64::MAX),)*
                $($count: u64::try_from(limits.$count).unwrap_or(u64::MAX),)*
                $($burst: limits.$rate.burst.into(),)*
                $($every: u64::try_from(limits.$rate.every.as_micros()).unwrap_or(u64::MAX),)*
            }
        };
    }
    bounds!(give)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_core() {
        // SAFETY: NULL is none.
        let settings = unsafe { Settings::read(core::ptr::null()) }.unwrap();
        assert_eq!(*settings.limits, Limits::default());
        assert_eq!((settings.policy, settings.rsa_bits), (Policy::default(), 3072));
    }

    #[test]
    fn what_is_set_arrives() {
        let mut config = defaults();
        config.suites[0] = 0x0202;
        config.suite_count = 1;
        config.login_timeout = 5;
        config.login_burst = 2;
        config.login_every = 9;
        // SAFETY: a whole struct.
        let settings = unsafe { Settings::read(&raw const config) }.unwrap();
        assert_eq!(settings.policy.suites(), [Suite::from_id(0x0202).unwrap()]);
        assert_eq!(settings.limits.login_timeout, Duration::from_millis(5));
        assert_eq!(settings.limits.login_rate, Rate::new(2, 9));
    }

    /// A program that was built with an older header knows less of the struct.
    #[test]
    fn an_older_program_gets_the_defaults_of_what_it_does_not_know() {
        let mut config = defaults();
        config.size = CONFIG_LEAST as u32;
        config.handshake_timeout = 1;
        // SAFETY: the size that is said is there.
        let settings = unsafe { Settings::read(&raw const config) }.unwrap();
        assert_eq!(*settings.limits, Limits::default());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |change: fn(&mut securechat_config)| {
            let mut config = defaults();
            change(&mut config);
            // SAFETY: a whole struct.
            unsafe { Settings::read(&raw const config) }.unwrap_err().status
        };
        assert_eq!(refused(|config| config.size = CONFIG_LEAST as u32 - 1), SECURECHAT_ERR_ARGUMENT);
        assert_eq!(refused(|config| config.suite_count = 11), SECURECHAT_ERR_ARGUMENT);
        assert_eq!(refused(|config| config.suite_count = 0), SECURECHAT_ERR_POLICY);
        assert_eq!(refused(|config| config.suites[1] = config.suites[0]), SECURECHAT_ERR_POLICY);
        assert_eq!(refused(|config| config.suites[0] = 0x0303), SECURECHAT_ERR_UNKNOWN_VALUE);
        assert_eq!(refused(|config| config.login_burst = 0), SECURECHAT_ERR_ARGUMENT);
    }
}
