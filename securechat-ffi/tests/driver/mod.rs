//! Clients, a relay and the wires between them in one process, over nothing but the functions that C has.
//!
//! A [`Net`] moves bytes until nothing moves any more, keeps what is to be saved and answers the relay's jobs. What a test
//! wants to see of it is in the events, which are copied out while what they point to is lent.
#![allow(dead_code, missing_docs, clippy::undocumented_unsafe_blocks)]

pub use securechat::client::account::*;
pub use securechat::client::contacts::*;
pub use securechat::client::files::*;
pub use securechat::client::groups::*;
pub use securechat::client::lent::*;
pub use securechat::client::links::*;
pub use securechat::client::messages::*;
pub use securechat::client::securechat_client;
pub use securechat::client::state::*;
pub use securechat::config::*;
pub use securechat::constants::*;
pub use securechat::event::securechat_event_kind::*;
pub use securechat::event::*;
pub use securechat::file::*;
pub use securechat::identity::*;
pub use securechat::link::*;
pub use securechat::relay::connections::*;
pub use securechat::relay::events::*;
pub use securechat::relay::jobs::*;
pub use securechat::relay::*;
pub use securechat::status::securechat_status::{self, *};
pub use securechat::status::*;
use std::collections::BTreeMap;
use std::ffi::CStr;
pub use std::ptr::{null, null_mut};

/// When everything begins.
pub const NOW: u64 = 1_790_000_000_000;
/// The key that protects records in these tests.
pub const KEY: [u8; 32] = [7; 32];

/// What a host keeps: records by their keys.
pub type Store = BTreeMap<String, Vec<u8>>;

/// An event with all that it points to.
pub struct Told {
    pub event: securechat_event,
    pub user: String,
    pub data: Vec<u8>,
    pub name: String,
    pub media_type: String,
    pub ids: Vec<[u8; 16]>,
    pub devices: Vec<[u8; 32]>,
    pub removed: Vec<[u8; 32]>,
    pub group: String,
}

impl Told {
    /// Copies what is lent.
    pub fn copy(event: &securechat_event) -> Self {
        let text = |pointer: *const _, length| String::from_utf8(copied::<1>(pointer, length).concat()).unwrap();
        Self {
            event: *event,
            user: text(event.user.cast(), event.user_len),
            data: copied::<1>(event.data, event.data_len).concat(),
            name: text(event.name.cast(), event.name_len),
            media_type: text(event.media_type.cast(), event.media_type_len),
            ids: copied(event.ids, event.ids_count),
            devices: copied(event.devices, event.devices_count),
            removed: copied(event.removed, event.removed_count),
            group: text_of(event.group.as_ptr()).to_owned(),
        }
    }

    pub fn is(&self, kind: securechat_event_kind) -> bool {
        self.event.kind == kind as u32
    }
}

/// `count` values of `N` bytes that stand one behind the other.
pub fn copied<const N: usize>(pointer: *const u8, count: usize) -> Vec<[u8; N]> {
    if pointer.is_null() {
        assert_eq!(count, 0, "a length without a pointer");
        return Vec::new();
    }
    unsafe { std::slice::from_raw_parts(pointer.cast::<[u8; N]>(), count) }.to_vec()
}

pub fn no_event() -> securechat_event {
    unsafe { std::mem::zeroed() }
}

/// The text of an `_error` or of a name.
pub fn text_of<'a>(pointer: *const std::ffi::c_char) -> &'a str {
    assert!(!pointer.is_null());
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap()
}

/// What a function that copies out gives: its size asked for, then all of it.
pub fn copy_out(call: impl Fn(*mut u8, usize, *mut usize) -> securechat_status) -> Vec<u8> {
    let mut length = 0;
    let status = call(null_mut(), 0, &raw mut length);
    assert!(status == SECURECHAT_ERR_BUFFER || (status == SECURECHAT_OK && length == 0), "{status:?}");
    let mut bytes = vec![0; length];
    assert_eq!(call(bytes.as_mut_ptr(), length, &raw mut length), SECURECHAT_OK);
    assert_eq!(length, bytes.len());
    bytes
}

pub fn defaults() -> securechat_config {
    let mut config: securechat_config = unsafe { std::mem::zeroed() };
    assert_eq!(unsafe { securechat_config_default(&raw mut config, size_of_val(&config)) }, SECURECHAT_OK);
    config
}

pub fn identity(now: u64) -> *mut securechat_identity {
    let mut identity = null_mut();
    assert_eq!(unsafe { securechat_identity_generate(null(), now, &raw mut identity) }, SECURECHAT_OK);
    identity
}

pub fn export(identity: *mut securechat_identity) -> Vec<u8> {
    copy_out(|buffer, size, length| unsafe { securechat_identity_export(identity, buffer, size, length) })
}

pub fn import(exported: &[u8], now: u64) -> *mut securechat_identity {
    let mut identity = null_mut();
    let (data, length) = (exported.as_ptr(), exported.len());
    let status = unsafe { securechat_identity_import(null(), data, length, now, &raw mut identity) };
    assert_eq!(status, SECURECHAT_OK);
    identity
}

pub fn bundle_of(identity: *mut securechat_identity) -> Vec<u8> {
    copy_out(|buffer, size, length| unsafe { securechat_identity_bundle(identity, buffer, size, length) })
}

pub fn read_bundle(bundle: &[u8]) -> securechat_bundle {
    let mut info: securechat_bundle = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    assert_eq!(unsafe { securechat_bundle_read(bundle.as_ptr(), bundle.len(), &raw mut info, size) }, SECURECHAT_OK);
    info
}

pub fn fingerprint(identity: *mut securechat_identity) -> [u8; 32] {
    read_bundle(&bundle_of(identity)).fingerprint
}

pub fn records_of(store: &Store) -> Vec<securechat_record> {
    let record = |(key, value): (&String, &Vec<u8>)| securechat_record {
        key: key.as_ptr().cast(),
        key_len: key.len(),
        value: value.as_ptr(),
        value_len: value.len(),
    };
    store.iter().map(record).collect()
}

/// Puts or deletes what a library gave.
pub fn keep(store: &mut Store, record: &securechat_record) {
    let key = String::from_utf8(copied::<1>(record.key.cast(), record.key_len).concat()).unwrap();
    if record.value.is_null() {
        store.remove(&key);
    } else {
        store.insert(key, copied::<1>(record.value, record.value_len).concat());
    }
}

pub fn new_client(user: &str, store: &Store, now: u64) -> *mut securechat_client {
    let (mut client, records) = (null_mut(), records_of(store));
    let status = unsafe {
        securechat_client_new(
            null(),
            user.as_ptr().cast(),
            user.len(),
            KEY.as_ptr(),
            records.as_ptr(),
            records.len(),
            SECURECHAT_HISTORY_CONTINUED,
            0,
            now,
            &raw mut client,
        )
    };
    assert_eq!(status, SECURECHAT_OK, "{user}");
    client
}

pub fn options() -> securechat_relay_options {
    let dummy = "hash of nobody's";
    securechat_relay_options {
        size: size_of::<securechat_relay_options>() as u32,
        registration_open: 1,
        server_password: null(),
        server_password_len: 0,
        dummy_password: dummy.as_ptr().cast(),
        dummy_password_len: dummy.len(),
        lobby: 1,
        reserved: 0,
    }
}

pub fn new_relay(identity: *mut securechat_identity, store: &Store, now: u64) -> *mut securechat_relay {
    let (mut relay, records, options) = (null_mut(), records_of(store), options());
    // Chunks of files are given by their keys alone.
    let records: Vec<_> = records
        .into_iter()
        .map(|record| {
            let key = copied::<1>(record.key.cast(), record.key_len).concat();
            if key.starts_with(b"chunk/") {
                securechat_record { value: null(), value_len: 0, ..record }
            } else {
                record
            }
        })
        .collect();
    let status = unsafe {
        let (records, count) = (records.as_ptr(), records.len());
        securechat_relay_new(null(), identity, &raw const options, records, count, now, &raw mut relay)
    };
    assert_eq!(status, SECURECHAT_OK);
    relay
}

/// A client at its host: its store, its connection, what it was told.
pub struct Host {
    pub client: *mut securechat_client,
    pub user: String,
    pub store: Store,
    pub link: u32,
    pub connection: u64,
    pub told: Vec<Told>,
}

impl Host {
    pub fn new(user: &str, now: u64) -> Self {
        Self::over(user, Store::new(), now)
    }

    /// The device of these records, or a new one.
    pub fn over(user: &str, store: Store, now: u64) -> Self {
        let client = new_client(user, &store, now);
        let mut host = Self { client, user: user.to_owned(), store, link: 0, connection: 0, told: Vec::new() };
        host.save();
        host
    }

    /// Saves what there is to save.
    pub fn save(&mut self) {
        let mut record: securechat_record = unsafe { std::mem::zeroed() };
        loop {
            assert_eq!(unsafe { securechat_client_next_save(self.client, &raw mut record) }, SECURECHAT_OK);
            if record.key.is_null() {
                break;
            }
            keep(&mut self.store, &record);
        }
        assert_eq!(unsafe { securechat_client_save_done(self.client) }, SECURECHAT_OK);
    }

    pub fn output(&mut self, link: u32) -> Vec<u8> {
        self.save();
        let (mut data, mut length) = (null(), 0);
        unsafe {
            assert_eq!(securechat_client_output(self.client, link, &raw mut data, &raw mut length), SECURECHAT_OK);
            let bytes = copied::<1>(data, length).concat();
            assert_eq!(securechat_client_output_consume(self.client, link, length), SECURECHAT_OK);
            bytes
        }
    }

    pub fn next_event(&mut self) -> Option<Told> {
        let mut event = no_event();
        let status = unsafe { securechat_client_next_event(self.client, &raw mut event, size_of_val(&event)) };
        assert_eq!(status, SECURECHAT_OK);
        (event.kind != SECURECHAT_EVENT_NONE as u32).then(|| Told::copy(&event))
    }

    pub fn send(&mut self, to: &str, kind: u32, target: Option<[u8; 16]>, data: &[u8], now: u64) -> [u8; 16] {
        let mut id = [0; 16];
        let target = target.as_ref().map_or(null(), |target| target.as_ptr());
        let status = unsafe {
            securechat_client_send(
                self.client,
                to.as_ptr().cast(),
                to.len(),
                kind,
                target,
                data.as_ptr(),
                data.len(),
                now,
                id.as_mut_ptr(),
            )
        };
        assert_eq!(status, SECURECHAT_OK, "{}", text_of(unsafe { securechat_client_error(self.client) }));
        id
    }

    pub fn create_group(&mut self, name: &str, open: bool, now: u64) -> String {
        let mut group = [1; SECURECHAT_GROUP_SIZE];
        let status = unsafe {
            let (name, length) = (name.as_ptr().cast(), name.len());
            securechat_client_create_group(self.client, name, length, open.into(), now, group.as_mut_ptr())
        };
        assert_eq!(status, SECURECHAT_OK, "{}", text_of(unsafe { securechat_client_error(self.client) }));
        text_of(group.as_ptr()).to_owned()
    }

    pub fn change_group(&mut self, group: &str, change: u32, value: &str, now: u64) -> securechat_status {
        let (group, group_len) = (group.as_ptr().cast(), group.len());
        let (value, value_len) = (value.as_ptr().cast(), value.len());
        unsafe { securechat_client_change_group(self.client, group, group_len, change, value, value_len, now) }
    }

    pub fn send_file(&mut self, to: &str, name: &str, size: u64, now: u64) -> [u8; 16] {
        let (mut file, mut id) = ([0; 16], [0; 16]);
        let status = unsafe {
            securechat_client_send_file(
                self.client,
                to.as_ptr().cast(),
                to.len(),
                name.as_ptr().cast(),
                name.len(),
                size,
                null(),
                0,
                now,
                file.as_mut_ptr(),
                id.as_mut_ptr(),
            )
        };
        assert_eq!(status, SECURECHAT_OK, "{}", text_of(unsafe { securechat_client_error(self.client) }));
        file
    }

    pub fn about(&self) -> securechat_client_info {
        let mut info: securechat_client_info = unsafe { std::mem::zeroed() };
        let status = unsafe { securechat_client_about(self.client, &raw mut info, size_of_val(&info)) };
        assert_eq!(status, SECURECHAT_OK);
        info
    }

    /// The events of one kind until now; the others stay.
    pub fn take(&mut self, kind: securechat_event_kind) -> Vec<Told> {
        let (taken, others) = std::mem::take(&mut self.told).into_iter().partition(|told| told.is(kind));
        self.told = others;
        taken
    }

    /// The only event of this kind.
    pub fn one(&mut self, kind: securechat_event_kind) -> Told {
        let mut taken = self.take(kind);
        let others: Vec<u32> = self.told.iter().map(|told| told.event.kind).collect();
        assert_eq!(taken.len(), 1, "{kind:?} to {}; others: {others:?}", self.user);
        taken.remove(0)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        unsafe { securechat_client_free(self.client) };
    }
}

/// A relay at its host.
pub struct Server {
    pub relay: *mut securechat_relay,
    pub identity: *mut securechat_identity,
    pub store: Store,
    pub told: Vec<Told>,
    /// Jobs of each kind that were done.
    pub done: [usize; 5],
}

impl Server {
    pub fn new(identity: *mut securechat_identity, store: Store, now: u64) -> Self {
        let relay = new_relay(identity, &store, now);
        Self { relay, identity, store, told: Vec::new(), done: [0; 5] }
    }

    pub fn connect(&mut self, now: u64) -> u64 {
        let mut connection = 0;
        let status = unsafe { securechat_relay_connect(self.relay, [9; 16].as_ptr(), now, &raw mut connection) };
        assert_eq!(status, SECURECHAT_OK);
        connection
    }

    pub fn next_job(&mut self) -> securechat_job {
        let mut job: securechat_job = unsafe { std::mem::zeroed() };
        assert_eq!(unsafe { securechat_relay_next_job(self.relay, &raw mut job, size_of_val(&job)) }, SECURECHAT_OK);
        job
    }

    /// Does a job as a host does it; a password's hash is itself, backwards.
    pub fn work(&mut self, job: &securechat_job, now: u64) -> securechat_status {
        let hashed = |job: &securechat_job| {
            let mut hash = copied::<1>(job.password.cast(), job.password_len).concat();
            hash.reverse();
            hash
        };
        self.done[job.kind as usize] += 1;
        let (outcome, data) = match job.kind {
            SECURECHAT_JOB_HASH => (SECURECHAT_OUTCOME_OK, hashed(job)),
            SECURECHAT_JOB_VERIFY => {
                let right = copied::<1>(job.hash.cast(), job.hash_len).concat() == hashed(job);
                (if right { SECURECHAT_OUTCOME_OK } else { SECURECHAT_OUTCOME_NO }, Vec::new())
            }
            SECURECHAT_JOB_COMMIT => {
                let records = unsafe { std::slice::from_raw_parts(job.records, job.records_count) };
                records.iter().for_each(|record| keep(&mut self.store, record));
                (SECURECHAT_OUTCOME_OK, Vec::new())
            }
            _ => {
                let key = String::from_utf8(copied::<1>(job.key.cast(), job.key_len).concat()).unwrap();
                match self.store.get(&key) {
                    Some(value) => (SECURECHAT_OUTCOME_OK, value.clone()),
                    None => (SECURECHAT_OUTCOME_FAILED, Vec::new()),
                }
            }
        };
        unsafe { securechat_relay_complete_job(self.relay, job.id, outcome, data.as_ptr(), data.len(), now) }
    }

    /// Does all jobs; says whether there was any.
    pub fn do_jobs(&mut self, now: u64) -> bool {
        let mut any = false;
        loop {
            let job = self.next_job();
            if job.kind == SECURECHAT_JOB_NONE {
                return any;
            }
            assert_eq!(self.work(&job, now), SECURECHAT_OK);
            any = true;
        }
    }

    pub fn next_event(&mut self) -> Option<Told> {
        let mut event = no_event();
        let status = unsafe { securechat_relay_next_event(self.relay, &raw mut event, size_of_val(&event)) };
        assert_eq!(status, SECURECHAT_OK);
        (event.kind != SECURECHAT_EVENT_NONE as u32).then(|| Told::copy(&event))
    }

    pub fn output(&mut self, connection: u64) -> Vec<u8> {
        let (mut data, mut length) = (null(), 0);
        unsafe {
            let status = securechat_relay_output(self.relay, connection, &raw mut data, &raw mut length);
            assert_eq!(status, SECURECHAT_OK);
            let bytes = copied::<1>(data, length).concat();
            assert_eq!(securechat_relay_output_consume(self.relay, connection, length), SECURECHAT_OK);
            bytes
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        unsafe {
            securechat_relay_free(self.relay);
            securechat_identity_free(self.identity);
        }
    }
}

/// A relay, its clients, and the time.
pub struct Net {
    pub server: Server,
    pub hosts: Vec<Host>,
    pub now: u64,
    /// The contents of files that clients send, by their numbers.
    pub files: BTreeMap<[u8; 16], Vec<u8>>,
}

impl Net {
    pub fn new() -> Self {
        let server = Server::new(identity(NOW), Store::new(), NOW);
        Self { server, hosts: Vec::new(), now: NOW, files: BTreeMap::new() }
    }

    /// Users who are registered and logged in.
    pub fn with(users: &[&str]) -> Self {
        let mut net = Self::new();
        for user in users {
            let host = net.add(Host::new(user, net.now));
            net.register(host);
        }
        net
    }

    pub fn add(&mut self, host: Host) -> usize {
        self.hosts.push(host);
        let place = self.hosts.len() - 1;
        self.connect(place);
        place
    }

    /// Connects a client to the relay, whose fingerprint it is given.
    pub fn connect(&mut self, host: usize) {
        let fingerprint = fingerprint(self.server.identity);
        let hex: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
        let address = format!("relay.example:7441#{hex}");
        let host = &mut self.hosts[host];
        let status = unsafe {
            let (address, length) = (address.as_ptr().cast(), address.len());
            securechat_client_connect_relay(host.client, address, length, self.now, &raw mut host.link)
        };
        assert_eq!(status, SECURECHAT_OK, "{address}");
        host.connection = self.server.connect(self.now);
        self.settle();
    }

    pub fn register(&mut self, host: usize) {
        let (password, client) = ("a long password", self.hosts[host].client);
        let status = unsafe { securechat_client_register(client, password.as_ptr().cast(), password.len(), self.now) };
        assert_eq!(status, SECURECHAT_OK, "{}", text_of(unsafe { securechat_client_error(client) }));
        self.settle();
        assert_eq!(self.hosts[host].one(SECURECHAT_EVENT_LOGGED_IN).event.flags, SECURECHAT_FLAG_LISTED);
    }

    /// Cuts a client off.
    pub fn cut(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        unsafe {
            assert_eq!(securechat_client_end(host.client, host.link, self.now), SECURECHAT_OK);
            assert_eq!(securechat_relay_end(self.server.relay, host.connection, self.now), SECURECHAT_OK);
        }
        host.connection = 0;
        self.settle();
    }

    /// Lets time pass.
    pub fn wait(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        let mut next = 0;
        unsafe {
            assert_eq!(securechat_relay_tick(self.server.relay, self.now, &raw mut next), SECURECHAT_OK);
            for host in &self.hosts {
                assert_eq!(securechat_client_tick(host.client, self.now, &raw mut next), SECURECHAT_OK);
            }
        }
        self.settle();
    }

    /// Moves everything until nothing moves any more.
    pub fn settle(&mut self) {
        while self.step() {}
    }

    fn step(&mut self) -> bool {
        let (server, now, files) = (&mut self.server, self.now, &self.files);
        let mut moved = server.do_jobs(now);
        for host in &mut self.hosts {
            let bytes = host.output(host.link);
            if host.connection != 0 && !bytes.is_empty() {
                moved = true;
                let (data, length) = (bytes.as_ptr(), bytes.len());
                while unsafe { securechat_relay_input(server.relay, host.connection, data, length, now) }
                    == SECURECHAT_ERR_AGAIN
                {
                    assert!(server.do_jobs(now));
                }
            }
            while let Some(told) = host.next_event() {
                moved = true;
                if told.is(SECURECHAT_EVENT_FILE_NEED) {
                    let (from, count) = (told.event.offset as usize, told.event.length as usize);
                    let part = &files[&told.event.file][from..from + count];
                    let (file, chunk) = (told.event.file.as_ptr(), told.event.chunk);
                    let status = unsafe {
                        securechat_client_supply_file(host.client, file, chunk, part.as_ptr(), part.len(), now)
                    };
                    assert_eq!(status, SECURECHAT_OK);
                }
                host.told.push(told);
            }
            host.save();
        }
        while let Some(told) = server.next_event() {
            moved = true;
            if told.is(SECURECHAT_EVENT_RELAY_READY) {
                let bytes = server.output(told.event.connection);
                let Some(host) = self.hosts.iter_mut().find(|host| host.connection == told.event.connection) else {
                    continue;
                };
                let (data, length) = (bytes.as_ptr(), bytes.len());
                let status = unsafe { securechat_client_input(host.client, host.link, data, length, now) };
                assert_eq!(status, SECURECHAT_OK);
            } else {
                server.told.push(told);
            }
        }
        moved
    }

    /// Stops the relay and starts another from the records.
    pub fn restart_relay(&mut self) {
        for host in 0..self.hosts.len() {
            if self.hosts[host].connection != 0 {
                self.cut(host);
            }
        }
        let server = &mut self.server;
        unsafe { securechat_relay_free(server.relay) };
        server.relay = new_relay(server.identity, &server.store, self.now);
    }

    /// Stops a client and starts another from its records.
    pub fn restart(&mut self, host: usize) {
        if self.hosts[host].connection != 0 {
            self.cut(host);
        }
        let old = &mut self.hosts[host];
        let (user, store) = (old.user.clone(), std::mem::take(&mut old.store));
        self.hosts[host] = Host::over(&user, store, self.now);
    }
}

/// Moves bytes between two links until nothing moves, each piece in `split` bytes at most; gives what each end was told.
pub fn pump(ends: [*mut securechat_link; 2], split: usize, now: u64) -> [Vec<Told>; 2] {
    let mut told = [Vec::new(), Vec::new()];
    loop {
        let mut moved = false;
        for side in 0..2 {
            let (from, to) = (ends[side], ends[1 - side]);
            let (mut data, mut length) = (null(), 0);
            unsafe {
                assert_eq!(securechat_link_output(from, &raw mut data, &raw mut length), SECURECHAT_OK);
                let bytes = copied::<1>(data, length).concat();
                assert_eq!(securechat_link_output_consume(from, length), SECURECHAT_OK);
                for piece in bytes.chunks(split) {
                    moved = true;
                    if securechat_link_input(to, piece.as_ptr(), piece.len(), now) != SECURECHAT_OK {
                        break;
                    }
                }
            }
            for (end, told) in ends.iter().zip(&mut told) {
                while let Some(event) = link_event(*end) {
                    moved = true;
                    told.push(event);
                }
            }
        }
        if !moved {
            return told;
        }
    }
}

pub fn link_event(link: *mut securechat_link) -> Option<Told> {
    let mut event = no_event();
    assert_eq!(unsafe { securechat_link_next_event(link, &raw mut event, size_of_val(&event)) }, SECURECHAT_OK);
    (event.kind != SECURECHAT_EVENT_NONE as u32).then(|| Told::copy(&event))
}

/// Two ends towards a relay, not open yet: the initiator knows the other's fingerprint.
pub fn link_pair(identity: *mut securechat_identity, now: u64) -> [*mut securechat_link; 2] {
    let (mut initiator, mut responder) = (null_mut(), null_mut());
    let pin = fingerprint(identity);
    let relay = SECURECHAT_PURPOSE_RELAY;
    unsafe {
        let (role, pin) = (SECURECHAT_ROLE_INITIATOR, pin.as_ptr());
        let status = securechat_link_new(null(), role, relay, null_mut(), pin, now, &raw mut initiator);
        assert_eq!(status, SECURECHAT_OK);
        let role = SECURECHAT_ROLE_RESPONDER;
        let status = securechat_link_new(null(), role, relay, identity, null(), now, &raw mut responder);
        assert_eq!(status, SECURECHAT_OK);
    }
    [initiator, responder]
}

/// The same, open.
pub fn open_pair(identity: *mut securechat_identity, now: u64) -> [*mut securechat_link; 2] {
    let ends = link_pair(identity, now);
    let told = pump(ends, usize::MAX, now);
    assert!(told.iter().all(|told| told.len() == 1 && told[0].is(SECURECHAT_EVENT_OPEN)));
    ends
}
