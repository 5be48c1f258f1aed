//! The relay: what a server holds. Its links, its engine and its store, behind one handle.

pub mod connections;
pub mod events;
pub mod jobs;

use crate::boundary::{Guarded, Out, call, error_text, free, handle, new_handle, read_struct, text, with};
use crate::client::state::securechat_record;
use crate::config::{Settings, securechat_config};
use crate::identity::securechat_identity;
use crate::random::random;
use crate::status::securechat_status;
use connections::Connections;
use core::ffi::c_char;
use core::ptr::{null, null_mut};
use jobs::Jobs;
use securechat_core::limits::Limits;
use securechat_core::link::{LinkConfig, Purpose};
use securechat_core::relay::{PasswordHash, Relay, RelayConfig};
use std::sync::Arc;

use securechat_status::*;

/// Relays: what a server holds, over any sockets, any password hash and any key-value store.
///
/// The program owns the sockets, the records and the passwords' hashing. After each call that is not const: do the jobs that
/// securechat_relay_next_job gives and answer them with securechat_relay_complete_job, and handle what securechat_relay_next_event
/// tells: SECURECHAT_EVENT_RELAY_READY names a connection with something to write. Call securechat_relay_tick when it is due.
/// Everything but the contents of files is held in memory; the records are what a restart begins from.
///
/// ```c
/// securechat_identity *identity = NULL;
/// assert(securechat_identity_generate(NULL, now, &identity) == SECURECHAT_OK);
/// securechat_relay_options options = {sizeof options, 1, NULL, 0, "$y$a hash of some random password", 33, 0, 0};
/// securechat_relay *relay = NULL;
/// assert(securechat_relay_new(NULL, identity, &options, NULL, 0, now, &relay) == SECURECHAT_OK);
///
/// // For each socket that is accepted: where it comes from, the same 16 bytes for the same peer.
/// uint8_t address[16] = {127, 0, 0, 1};
/// uint64_t connection = 0;
/// assert(securechat_relay_connect(relay, address, now, &connection) == SECURECHAT_OK);
///
/// // Jobs may be done at once, as here, or elsewhere: what they point to stays until they are completed.
/// securechat_job job;
/// while (securechat_relay_next_job(relay, &job, sizeof job) == SECURECHAT_OK && job.kind != SECURECHAT_JOB_NONE) {
///     if (job.kind == SECURECHAT_JOB_COMMIT) // put or delete `job.records`, as one durable transaction
///         assert(securechat_relay_complete_job(relay, job.id, SECURECHAT_OUTCOME_OK, NULL, 0, now) == SECURECHAT_OK);
///     else // hash or check a password, load a record
///         assert(securechat_relay_complete_job(relay, job.id, SECURECHAT_OUTCOME_FAILED, NULL, 0, now) == SECURECHAT_OK);
/// }
/// uint64_t next = 0;
/// assert(securechat_relay_tick(relay, now, &next) == SECURECHAT_OK && next > now);
/// assert(securechat_relay_end(relay, connection, now) == SECURECHAT_OK);
/// securechat_relay_free(relay);
/// securechat_identity_free(identity);
/// ```
#[allow(non_camel_case_types)]
pub struct securechat_relay(Guarded<Owned>);

handle!(securechat_relay, Owned);

/// A relay with its links, its store and what waits for the host.
pub(crate) struct Owned {
    relay: Relay,
    /// What new links are made with.
    link: LinkConfig,
    limits: Arc<Limits>,
    connections: Connections,
    jobs: Jobs,
    told: events::Told,
    now: u64,
}

/// What a relay is told when it starts. It grows at its end only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_relay_options {
    /// The size of this struct as the program knows it.
    pub size: u32,
    /// 1 if new users can register, 0 if not.
    pub registration_open: u32,
    /// The hash of the password that one needs to register or to log in with a password; NULL for none.
    pub server_password: *const c_char,
    /// Its length.
    pub server_password_len: usize,
    /// A hash of some random password, made as all others are: what passwords of unknown users are checked against, so that they take
    /// as long.
    pub dummy_password: *const c_char,
    /// Its length.
    pub dummy_password_len: usize,
    /// 1 if the first open group that is made here is offered to everyone as the lobby, 0 if not.
    pub lobby: u32,
    /// Not used; 0.
    pub reserved: u32,
}

/// What a program has to know of the struct: all up to the passwords.
const OPTIONS_LEAST: usize = core::mem::offset_of!(securechat_relay_options, lobby);

impl securechat_relay_options {
    /// # Safety
    ///
    /// `options` is NULL or names as many bytes as its first field says.
    unsafe fn read(options: *const Self) -> crate::boundary::Result<Self> {
        if options.is_null() {
            return Err(SECURECHAT_ERR_NULL.into());
        }
        // SAFETY: the caller's promise; the first field is there in every version.
        let size = unsafe { (&raw const (*options).size).read() } as usize;
        let none = Self {
            size: 0,
            registration_open: 0,
            server_password: null(),
            server_password_len: 0,
            dummy_password: null(),
            dummy_password_len: 0,
            lobby: 0,
            reserved: 0,
        };
        // SAFETY: the caller's promise; integers and pointers, which may have any value until they are followed.
        unsafe { read_struct(options, size, OPTIONS_LEAST, none) }
    }
}

/// Makes a relay: an empty one if there are no records, or else the one that was kept in them.
///
/// `identity` shows who it is; the relay keeps what it needs of it. `records` are all that SECURECHAT_JOB_COMMIT ever put and did not
/// delete, those whose key begins with "chunk/" by their key alone, with an empty value. Free it with securechat_relay_free.
/// Fails with SECURECHAT_ERR_RECORD when the records cannot be read, SECURECHAT_ERR_ARGUMENT without a dummy_password.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_relay_new(
    config: *const securechat_config,
    identity: *mut securechat_identity,
    options: *const securechat_relay_options,
    records: *const securechat_record,
    records_count: usize,
    now: u64,
    relay: *mut *mut securechat_relay,
) -> securechat_status {
    // SAFETY: an out-parameter, by the header.
    let out = unsafe { Out::new(relay, null_mut()) };
    let now = now.min(LATEST);
    call("securechat_relay_new", || {
        // SAFETY: by the header.
        let (out, settings) = unsafe { (out?, Settings::read(config)?) };
        // SAFETY: by the header.
        let options = unsafe { securechat_relay_options::read(options) }?;
        if options.registration_open > 1 || options.lobby > 1 {
            return Err(SECURECHAT_ERR_ARGUMENT.into());
        }
        // SAFETY: texts, by the header.
        let (server_password, dummy_password) = unsafe {
            (
                text(options.server_password, options.server_password_len)?,
                text(options.dummy_password, options.dummy_password_len)?,
            )
        };
        if dummy_password.is_empty() {
            return Err(SECURECHAT_ERR_ARGUMENT.into());
        }
        let mut link = LinkConfig::new(Purpose::Relay);
        (link.policy, link.limits) = (settings.policy, settings.limits.clone());
        let mut own = None;
        // SAFETY: a handle, by the header.
        let status = unsafe {
            with("securechat_relay_new", identity, |owned| {
                own = Some(owned.local.bundle.identity());
                link.local = Some(owned.local.clone());
                link.rsa_slots = Some(owned.rsa_slots.clone());
                Ok(())
            })
        };
        let own = own.ok_or(status)?;
        let config = RelayConfig {
            identity: own,
            server_password: Some(server_password).filter(|hash| !hash.is_empty()).map(PasswordHash::new),
            registration_open: options.registration_open == 1,
            lobby: options.lobby == 1,
            dummy_password: PasswordHash::new(dummy_password),
            limits: settings.limits.clone(),
        };
        // Last, so that nothing fails while what is secret in them stands outside the store.
        // SAFETY: records, by the header.
        let jobs = Jobs::restore(unsafe { securechat_record::read(records, records_count) }?)?;
        let mut owned = Owned {
            relay: Relay::new(config, random()?, now),
            link,
            limits: settings.limits,
            connections: Connections::default(),
            jobs,
            told: events::Told::default(),
            now,
        };
        owned.settle();
        out.set(new_handle(owned));
        Ok(())
    })
}

/// Frees a relay and all its connections. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_free(relay: *mut securechat_relay) {
    // SAFETY: a handle, by the header.
    unsafe { free(relay) }
}

/// The text of this relay's last failure, for people: borrowed until the next call that is not const. Empty if none failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_error(relay: *const securechat_relay) -> *const c_char {
    // SAFETY: a handle, by the header.
    unsafe { error_text(relay) }
}

/// Does what is due at `now`, and sets `next` to when to call again, in Unix milliseconds; UINT64_MAX when nothing is due and when
/// it failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_tick(
    relay: *mut securechat_relay,
    now: u64,
    next: *mut u64,
) -> securechat_status {
    // SAFETY: a handle and an out-parameter, by the header.
    unsafe {
        let next = Out::new(next, u64::MAX);
        with("securechat_relay_tick", relay, |owned| {
            let next = next?;
            owned.at(now)?;
            owned.relay.handle_timeout(owned.now);
            owned.end_late_handshakes();
            owned.settle();
            let due = owned.relay.poll_timeout().into_iter().chain(owned.connections.next_deadline()).min();
            next.set(due.unwrap_or(u64::MAX));
            Ok(())
        })
    }
}

/// Ends all connections in order, for a relay that stops: write what they have left, then free it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_shutdown(relay: *mut securechat_relay, now: u64) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe {
        with("securechat_relay_shutdown", relay, |owned| {
            owned.at(now)?;
            owned.relay.shutdown(owned.now);
            owned.settle();
            Ok(())
        })
    }
}

/// The latest time that counts, far beyond all calendars. At the very end of the numbers a timer would be due for ever.
const LATEST: u64 = 1 << 53;

impl Owned {
    /// Notes the time. Fails once a transaction failed, since the memory is ahead of the records then.
    fn at(&mut self, now: u64) -> crate::boundary::Result {
        self.now = self.now.max(now.min(LATEST));
        if self.jobs.failed { Err(SECURECHAT_ERR_STORE.into()) } else { Ok(()) }
    }

    /// Moves everything as far as it goes: output to the links, jobs to the store and to the host.
    fn settle(&mut self) {
        loop {
            while let Some((conn, output)) = self.relay.poll_output() {
                self.put_output(conn, output);
            }
            while let Some(event) = self.relay.poll_event() {
                self.tell(event);
            }
            self.jobs.take_from(&mut self.relay);
            if !self.jobs.run_stored(&mut self.relay, self.now) {
                return;
            }
        }
    }
}
