//! The body of the fuzz target `ffi`: sequences of calls. Bytes decide which function, on which handle, with what.
//!
//! No call may panic, which would come out as `SECURECHAT_ERR_INTERNAL`; out-parameters are nothing after a failure; a buffer is
//! filled as far as is said and no further; what is lent can be read for as long as it is lent.
#![allow(dead_code, missing_docs, clippy::undocumented_unsafe_blocks)]

use crate::driver::*;
use std::sync::OnceLock;

/// Steps in one run at the most, as in the other targets.
const STEPS: usize = 96;

/// An input read as steps.
struct Program<'a>(&'a [u8]);

impl Program<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.next().unwrap_or_default()) % n
    }

    fn taken(&mut self) -> Vec<u8> {
        let length = self.below(64).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }
}

/// What every run begins from, made once: two registered users and their relay, with a text that waits.
struct Prepared {
    identity: Vec<u8>,
    bundle: Vec<u8>,
    relay: Store,
    clients: [Store; 2],
    group: String,
    message: [u8; 16],
    offer: Vec<u8>,
    chunk: Vec<u8>,
    sealed: Vec<u8>,
}

const USERS: [&str; 2] = ["alice", "bob"];
const CONTENTS: [u8; 100] = [3; 100];

fn prepared() -> &'static Prepared {
    static PREPARED: OnceLock<Prepared> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let mut net = Net::with(&USERS);
        net.hosts[0].send("bob", SECURECHAT_MESSAGE_TEXT, None, b"hello", NOW);
        net.settle();
        let group = net.hosts[0].create_group("a walk", true, NOW);
        assert_eq!(net.hosts[0].change_group(&group, SECURECHAT_CHANGE_ADD, "bob", NOW), SECURECHAT_OK);
        net.settle();
        net.cut(1);
        let message = net.hosts[0].send("bob", SECURECHAT_MESSAGE_TEXT, None, b"this waits", NOW);
        net.settle();
        net.cut(0);
        let file = new_file(CONTENTS.len() as u64);
        let offer = copy_out(|buffer, size, length| unsafe { securechat_file_offer(file, buffer, size, length) });
        let (data, count) = (CONTENTS.as_ptr(), CONTENTS.len());
        let chunk = copy_out(|buffer, size, length| unsafe {
            securechat_file_seal_chunk(file, 0, data, count, buffer, size, length)
        });
        unsafe { securechat_file_free(file) };
        let client = net.hosts[0].client;
        let sealed = copy_out(|buffer, size, length| unsafe {
            securechat_client_seal(client, c"note".as_ptr(), 4, data, count, buffer, size, length)
        });
        Prepared {
            identity: export(net.server.identity),
            bundle: bundle_of(net.server.identity),
            relay: net.server.store.clone(),
            group,
            clients: [net.hosts[0].store.clone(), net.hosts[1].store.clone()],
            message,
            offer,
            chunk,
            sealed,
        }
    })
}

fn new_file(size: u64) -> *mut securechat_file {
    let (mut file, name) = (null_mut(), c"a.txt".as_ptr());
    let (cipher, proof) = (SECURECHAT_CIPHER_AES_GCM, SECURECHAT_PROOF_TAGS);
    let status = unsafe { securechat_file_new(null(), cipher, proof, size, name, 5, null(), 0, &raw mut file) };
    assert_eq!(status, SECURECHAT_OK);
    file
}

/// A client with where it is connected.
#[derive(Clone, Copy)]
struct User {
    client: *mut securechat_client,
    link: u32,
    connection: u64,
}

/// All handles of a run, as C has them: NULL where there is none.
struct World<'a> {
    program: Program<'a>,
    now: u64,
    identity: *mut securechat_identity,
    links: [*mut securechat_link; 4],
    users: [User; 2],
    relay: *mut securechat_relay,
    jobs: Vec<securechat_job>,
    file: [*mut securechat_file; 2],
    file_id: [u8; 16],
    chunk: u64,
    message: [u8; 16],
}

/// Runs the calls that the bytes say.
pub fn calls(data: &[u8]) {
    let _ = prepared();
    #[cfg(securechat_seeded)]
    securechat::reseed(1 << 32);
    let user = || User { client: null_mut(), link: 0, connection: 0 };
    let mut world = World {
        program: Program(data),
        now: NOW,
        identity: null_mut(),
        links: [null_mut(); 4],
        users: [user(), user()],
        relay: null_mut(),
        jobs: Vec::new(),
        file: [null_mut(); 2],
        file_id: [0; 16],
        chunk: 0,
        message: prepared().message,
    };
    for _ in 0..STEPS {
        let Some(step) = world.program.next() else { break };
        match step % 9 {
            0 => world.make(),
            1 => world.pump(),
            2 => world.link(),
            3 => world.client(),
            4 => world.command(),
            5 => world.relay(),
            6 => world.on_file(),
            7 => world.stateless(),
            _ => world.time(),
        }
        world.read_jobs();
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        unsafe {
            self.links.iter().for_each(|link| securechat_link_free(*link));
            self.users.iter().for_each(|user| securechat_client_free(user.client));
            self.file.iter().for_each(|file| securechat_file_free(*file));
            securechat_relay_free(self.relay);
            securechat_identity_free(self.identity);
        }
    }
}

/// No function panicked.
#[track_caller]
fn sound(status: securechat_status) -> bool {
    assert_ne!(status, SECURECHAT_ERR_INTERNAL);
    status == SECURECHAT_OK
}

/// After a failure an out-parameter is nothing.
#[track_caller]
fn set<T: PartialEq + std::fmt::Debug>(status: securechat_status, value: T, nothing: T) -> T {
    if !sound(status) {
        assert_eq!(value, nothing, "{status:?}");
    }
    value
}

impl World<'_> {
    /// Some of the bytes that are around, perhaps damaged.
    fn bytes(&mut self) -> Vec<u8> {
        let known = prepared();
        let mut bytes = match self.program.below(12) {
            0 => known.identity.clone(),
            1 => known.bundle.clone(),
            2 => known.offer.clone(),
            3 => known.chunk.clone(),
            4 => known.sealed.clone(),
            5 => CONTENTS.to_vec(),
            6 => known.message.to_vec(),
            7 => vec![b'x'; [0, 1, 17, 5_000, 16_384, 65_486, 65_487][self.program.below(7)]],
            8 => b"relay.example:7441".to_vec(),
            _ => self.program.taken(),
        };
        match self.program.below(16) {
            0 if !bytes.is_empty() => {
                let place = self.program.below(256) * bytes.len() / 256;
                bytes[place] ^= 1 << self.program.below(8);
            }
            1 => bytes.truncate(self.program.below(256) * bytes.len() / 256),
            2 => bytes.extend(self.program.taken()),
            _ => {}
        }
        bytes
    }

    /// A name, mostly one that is known.
    fn name(&mut self) -> Vec<u8> {
        match self.program.below(8) {
            0..3 => b"bob".to_vec(),
            3..5 => b"alice".to_vec(),
            5 => b"carol".to_vec(),
            6 => prepared().group.clone().into_bytes(),
            _ => self.program.taken(),
        }
    }

    /// Pointer and length; now and then a pointer that C forgot.
    fn given(&mut self, bytes: &[u8]) -> (*const u8, usize) {
        match self.program.below(32) {
            31 => (null(), bytes.len()),
            _ => (bytes.as_ptr(), bytes.len()),
        }
    }

    fn thirty_two(&mut self) -> [u8; 32] {
        match self.program.below(4) {
            0 => read_bundle(&prepared().bundle).fingerprint,
            1 => KEY,
            2 if !self.users[1].client.is_null() => {
                let mut info: securechat_client_info = unsafe { std::mem::zeroed() };
                unsafe { securechat_client_about(self.users[1].client, &raw mut info, size_of_val(&info)) };
                info.identity
            }
            _ => [self.program.below(256) as u8; 32],
        }
    }

    fn number(&mut self) -> u64 {
        [0, 1, 2, 3, 1023, 1024, u64::from(u32::MAX), u64::MAX - 1, u64::MAX][self.program.below(9)]
    }

    /// Calls a function that copies out with some size, and again with the size that it says.
    fn copied_out(&mut self, call: impl Fn(*mut u8, usize, *mut usize) -> securechat_status) -> Option<Vec<u8>> {
        let size = [0, 1, 32, 61, 100, 132, 2_000, 70_000][self.program.below(8)];
        let (mut room, mut length) = (vec![0xA5; size].into_boxed_slice(), usize::MAX);
        let pointer = if size == 0 { null_mut() } else { room.as_mut_ptr() };
        let status = call(pointer, size, &raw mut length);
        sound(status);
        let written = if status == SECURECHAT_OK { length } else { 0 };
        assert!(room[written..].iter().all(|byte| *byte == 0xA5), "{status:?}");
        match status {
            SECURECHAT_OK => Some(room[..length].to_vec()),
            SECURECHAT_ERR_BUFFER => {
                assert!(length > size);
                let (mut room, mut again) = (vec![0; length].into_boxed_slice(), 0);
                let status = call(room.as_mut_ptr(), length, &raw mut again);
                assert_ne!(status, SECURECHAT_ERR_BUFFER);
                sound(status).then(|| {
                    assert_eq!(again, length);
                    room.into_vec()
                })
            }
            _ => {
                assert_eq!(length, 0);
                None
            }
        }
    }

    /// Calls a function that fills a struct of some size; gives all of it if that was its size or more.
    fn filled<T: Copy>(&mut self, call: impl FnOnce(*mut T, usize) -> securechat_status) -> Option<T> {
        let words = size_of::<T>().div_ceil(8);
        let size = [8 * words, 8 * words + 64, 4, 88, 1, 0][self.program.below(32).saturating_sub(26)];
        // In words, so that it is aligned, and not one more, so that what is written beyond is seen.
        let mut place = vec![u64::MAX; size.div_ceil(8)].into_boxed_slice();
        let pointer = place.as_mut_ptr().cast::<T>();
        let status = call(pointer, size);
        let bytes: Vec<u8> = place.iter().flat_map(|word| word.to_ne_bytes()).collect();
        if !sound(status) {
            assert!(bytes[..size].iter().all(|byte| *byte == 0), "{status:?}");
        } else if size > 8 * words {
            assert!(bytes[8 * words..size].iter().all(|byte| *byte == 0));
        }
        (status == SECURECHAT_OK && size >= size_of::<T>()).then(|| unsafe { pointer.read() })
    }

    fn event(&mut self, call: impl FnOnce(*mut securechat_event, usize) -> securechat_status) -> Option<Told> {
        let event = self.filled(call)?;
        if event.kind == SECURECHAT_EVENT_FILE_NEED as u32 || event.kind == SECURECHAT_EVENT_FILE_OFFERED as u32 {
            (self.file_id, self.chunk) = (event.file, event.chunk);
        }
        if event.kind == SECURECHAT_EVENT_MESSAGE as u32 {
            self.message = event.id;
        }
        (event.kind != 0).then(|| Told::copy(&event))
    }

    /// Makes a handle where there is none, or frees one.
    fn make(&mut self) {
        let known = prepared();
        let place = self.program.below(2);
        match self.program.below(6) {
            0 if self.identity.is_null() => self.identity = import(&known.identity, NOW),
            1 => {
                for side in 0..2 {
                    let (role, purpose) = (side as u32, self.program.below(3) as u32);
                    let pin = self.thirty_two();
                    let pin = if self.program.below(2) == 0 { pin.as_ptr() } else { null() };
                    let link = &mut self.links[2 * place + side];
                    unsafe {
                        securechat_link_free(*link);
                        *link = null_mut();
                        sound(securechat_link_new(null(), role, purpose, self.identity, pin, self.now, &raw mut *link));
                    }
                }
            }
            2 => {
                let user = &mut self.users[place];
                unsafe { securechat_client_free(user.client) };
                *user =
                    User { client: new_client(USERS[place], &known.clients[place], self.now), link: 0, connection: 0 };
            }
            3 if !self.identity.is_null() => {
                self.jobs.clear();
                unsafe { securechat_relay_free(self.relay) };
                self.relay = new_relay(self.identity, &known.relay, self.now);
            }
            4 => {
                unsafe { securechat_file_free(self.file[place]) };
                self.file[place] = null_mut();
                if place == 0 {
                    self.file[0] = new_file([0, 100, 61_440, 70_000, 1 << 36][self.program.below(5)]);
                } else {
                    let offer = self.bytes();
                    let state = self.bytes();
                    let state = if self.program.below(2) == 0 { &state[..] } else { &[] };
                    let (role, file) = (self.program.below(3) as u32, &raw mut self.file[1]);
                    let status = unsafe {
                        let (offer, length) = (offer.as_ptr(), offer.len());
                        securechat_file_open(null(), role, offer, length, state.as_ptr(), state.len(), file)
                    };
                    set(status, self.file[1], null_mut());
                }
            }
            5 if self.program.below(4) == 0 => {
                unsafe { securechat_identity_free(self.identity) };
                self.identity = null_mut();
            }
            _ => {}
        }
    }

    /// Moves what all have to write, sometimes in pieces, sometimes changed.
    fn pump(&mut self) {
        let how = self.program.below(16);
        for side in 0..4 {
            let (from, to) = (self.links[side], self.links[side ^ 1]);
            if !from.is_null() {
                let bytes = self.taken(|data, length| unsafe { securechat_link_output(from, data, length) });
                sound(unsafe { securechat_link_output_consume(from, bytes.len()) });
                self.deliver(bytes, how, |data, length, now| unsafe { securechat_link_input(to, data, length, now) });
            }
        }
        for user in 0..2 {
            let User { client, link, connection } = self.users[user];
            if client.is_null() {
                continue;
            }
            self.save(client);
            let bytes = self.taken(|data, length| unsafe { securechat_client_output(client, link, data, length) });
            sound(unsafe { securechat_client_output_consume(client, link, bytes.len()) });
            let relay = self.relay;
            self.deliver(bytes, how, |data, length, now| unsafe {
                securechat_relay_input(relay, connection, data, length, now)
            });
            if !relay.is_null() && connection != 0 {
                self.do_jobs(how == 5);
                let bytes =
                    self.taken(|data, length| unsafe { securechat_relay_output(relay, connection, data, length) });
                sound(unsafe { securechat_relay_output_consume(relay, connection, bytes.len()) });
                self.deliver(bytes, how, |data, length, now| unsafe {
                    securechat_client_input(client, link, data, length, now)
                });
            }
        }
    }

    fn taken(&self, call: impl FnOnce(*mut *const u8, *mut usize) -> securechat_status) -> Vec<u8> {
        let (mut data, mut length) = (null(), 1);
        set(call(&raw mut data, &raw mut length), length, 0);
        if length == 0 { Vec::new() } else { copied::<1>(data, length).concat() }
    }

    fn deliver(&mut self, mut bytes: Vec<u8>, how: usize, input: impl Fn(*const u8, usize, u64) -> securechat_status) {
        let place = self.program.0.len() * 7 % bytes.len().max(1);
        match how {
            0 if !bytes.is_empty() => bytes[place] ^= 1,
            1 => bytes.truncate(place),
            2 => bytes.extend_from_within(place..),
            _ => {}
        }
        let split = [1_000_000, 1, 700][how % 3];
        for piece in bytes.chunks(split.max(bytes.len() / 50 + 1)) {
            sound(input(piece.as_ptr(), piece.len(), self.now));
        }
    }

    fn save(&mut self, client: *mut securechat_client) {
        let mut record: securechat_record = unsafe { std::mem::zeroed() };
        while sound(unsafe { securechat_client_next_save(client, &raw mut record) }) && !record.key.is_null() {
            keep(&mut Store::new(), &record);
        }
        assert!(sound(unsafe { securechat_client_save_done(client) }));
    }

    /// Does what the relay asks, so that things go on.
    fn do_jobs(&mut self, badly: bool) {
        for _ in 0..64 {
            let mut job: securechat_job = unsafe { std::mem::zeroed() };
            sound(unsafe { securechat_relay_next_job(self.relay, &raw mut job, size_of_val(&job)) });
            if job.kind == SECURECHAT_JOB_NONE {
                return;
            }
            let outcome = if badly { SECURECHAT_OUTCOME_FAILED } else { SECURECHAT_OUTCOME_OK };
            let data = c"hash".as_ptr().cast();
            sound(unsafe { securechat_relay_complete_job(self.relay, job.id, outcome, data, 4, self.now) });
        }
    }

    /// What a job points to stays until it is completed.
    fn read_jobs(&self) {
        for job in &self.jobs {
            copied::<1>(job.password.cast(), job.password_len);
            copied::<1>(job.hash.cast(), job.hash_len);
            copied::<1>(job.key.cast(), job.key_len);
            if !job.records.is_null() {
                let records = unsafe { std::slice::from_raw_parts(job.records, job.records_count) };
                records.iter().for_each(|record| keep(&mut Store::new(), record));
            }
        }
    }

    fn link(&mut self) {
        let place = self.program.below(4);
        let (link, now) = (self.links[place], self.now);
        let bytes = self.bytes();
        let (data, length) = self.given(&bytes);
        unsafe {
            match self.program.below(9) {
                0 => _ = sound(securechat_link_input(link, data, length, now)),
                1 => _ = sound(securechat_link_send(link, data, length)),
                2 => {
                    if let Some(told) = self.event(|event, size| securechat_link_next_event(link, event, size))
                        && told.is(SECURECHAT_EVENT_VERIFY)
                        && self.program.below(4) != 0
                    {
                        sound(securechat_link_accept(link, told.event.fingerprint.as_ptr(), now));
                    }
                }
                3 => {
                    // It consumes what it gives, so it is asked once.
                    let mut room = vec![0; self.program.below(256)].into_boxed_slice();
                    let mut length = 1;
                    let status = securechat_link_read_output(link, room.as_mut_ptr(), room.len(), &raw mut length);
                    assert!(set(status, length, 0) <= room.len());
                }
                4 => {
                    let mut next = 1;
                    let status = securechat_link_tick(link, now, &raw mut next);
                    set(status, next, u64::MAX);
                }
                5 => _ = sound(securechat_link_close(link, self.program.below(256) as u32 * 2)),
                6 => _ = sound(securechat_link_end(link)),
                7 => _ = sound(securechat_link_accept(link, self.thirty_two().as_ptr(), now)),
                _ => _ = sound(securechat_link_output_consume(link, self.program.below(3))),
            }
            text_of(securechat_link_error(link));
        }
    }

    fn client(&mut self) {
        let place = self.program.below(2);
        let (User { client, link, .. }, now) = (self.users[place], self.now);
        let bytes = self.bytes();
        let (data, length) = self.given(&bytes);
        unsafe {
            match self.program.below(13) {
                0 => {
                    let address = match self.program.below(4) {
                        0 => bytes.clone(),
                        _ => {
                            let pin = read_bundle(&prepared().bundle).fingerprint;
                            let hex: String = pin.iter().map(|byte| format!("{byte:02x}")).collect();
                            format!("relay.example:7441#{hex}").into_bytes()
                        }
                    };
                    let (mut link, mut connection) = (7, 7);
                    let (text, length) = (address.as_ptr().cast(), address.len());
                    if set(securechat_client_connect_relay(client, text, length, now, &raw mut link), link, 0) != 0
                        || !client.is_null()
                    {
                        let status = securechat_relay_connect(self.relay, [9; 16].as_ptr(), now, &raw mut connection);
                        (self.users[place].link, self.users[place].connection) = (link, set(status, connection, 0));
                    }
                }
                1 => {
                    let (mut link, role) = (7, self.program.below(3) as u32);
                    let status = securechat_client_connect_peer(client, role, null(), now, &raw mut link);
                    set(status, link, 0);
                }
                2 => _ = sound(securechat_client_input(client, link, data, length, now)),
                3 => _ = sound(securechat_client_end(client, link, now)),
                4 => _ = sound(securechat_client_close_link(client, link, now)),
                5 => _ = sound(securechat_client_accept_link(client, link, self.thirty_two().as_ptr(), now)),
                6 | 7 => _ = self.event(|event, size| securechat_client_next_event(client, event, size)),
                8 => {
                    let mut record: securechat_record = std::mem::zeroed();
                    if sound(securechat_client_next_save(client, &raw mut record)) && !record.key.is_null() {
                        keep(&mut Store::new(), &record);
                    }
                    sound(securechat_client_save_done(client));
                }
                9 => {
                    let mut next = 1;
                    let status = securechat_client_tick(client, now, &raw mut next);
                    set(status, next, u64::MAX);
                }
                10 => _ = sound(securechat_client_rekey(client, self.thirty_two().as_ptr())),
                11 => {
                    let name = self.name();
                    let (name, name_length) = (name.as_ptr().cast(), name.len());
                    self.copied_out(|buffer, size, out| {
                        securechat_client_seal(client, name, name_length, data, length, buffer, size, out)
                    });
                }
                _ => {
                    let name = c"note".as_ptr();
                    self.copied_out(|buffer, size, out| {
                        securechat_client_open(client, name, 4, data, length, buffer, size, out)
                    });
                }
            }
            text_of(securechat_client_error(client));
        }
    }

    /// What a user asks of a client.
    fn command(&mut self) {
        let place = self.program.below(2);
        let (User { client, .. }, now) = (self.users[place], self.now);
        let (name, bytes) = (self.name(), self.bytes());
        let ((to, to_length), (data, length)) = (self.given(&name), self.given(&bytes));
        let (to, text) = (to.cast(), data.cast());
        let code = self.number() as u32;
        unsafe {
            match self.program.below(25) {
                0..4 => {
                    let message =
                        [1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x8000, 0xFFFF, 0x10000][self.program.below(15)];
                    let target = if self.program.below(4) == 0 { null() } else { self.message.as_ptr() };
                    let mut id = [1; 16];
                    let status = securechat_client_send(
                        client,
                        to,
                        to_length,
                        message,
                        target,
                        data,
                        length,
                        now,
                        id.as_mut_ptr(),
                    );
                    set(status, id, [0; 16]);
                }
                4 => _ = sound(securechat_client_enter(client, text, length, now)),
                5 => _ = sound(securechat_client_register(client, text, length, now)),
                6 => _ = sound(securechat_client_log_in(client, text, length, code, now)),
                7 => _ = sound(securechat_client_change_password(client, to, to_length, text, length, now)),
                8 => _ = sound(securechat_client_set_up_code(client, text, length, code, now)),
                9 => _ = sound(securechat_client_confirm_code(client, code, now)),
                10 => _ = sound(securechat_client_list_users(client, now)),
                11 => _ = sound(securechat_client_set_presence(client, code, now)),
                12 => {
                    let (device, listed) = (self.thirty_two(), self.program.below(3) as u32);
                    sound(securechat_client_list_device(client, device.as_ptr(), listed, now));
                }
                13 => _ = sound(securechat_client_start_over(client, now)),
                14 => _ = sound(securechat_client_look_up(client, to, to_length, now)),
                15 => {
                    let index = self.number() as usize;
                    let contact: Option<securechat_contact> =
                        self.filled(|place, size| securechat_client_contact(client, to, to_length, index, place, size));
                    if let Some(contact) = contact {
                        text_of(securechat_client_error(client));
                        copied::<32>(contact.devices, contact.devices_count);
                    }
                }
                16 => {
                    let mut digits = [1; 61];
                    let status = securechat_client_safety_number(client, to, to_length, now, digits.as_mut_ptr());
                    set(status, digits, [0; 61]);
                    sound(securechat_client_mark_verified(client, to, to_length, now));
                    sound(securechat_client_accept_keys(client, to, to_length, self.thirty_two().as_ptr(), now));
                }
                17 => {
                    let (mut file, mut id, size) = ([1; 16], [1; 16], self.number());
                    let status = securechat_client_send_file(
                        client,
                        to,
                        to_length,
                        text,
                        length,
                        size,
                        null(),
                        0,
                        now,
                        file.as_mut_ptr(),
                        id.as_mut_ptr(),
                    );
                    set(status, (file, id), ([0; 16], [0; 16]));
                }
                18 => {
                    let chunk = if self.program.below(2) == 0 { self.chunk } else { self.number() };
                    sound(securechat_client_supply_file(client, self.file_id.as_ptr(), chunk, data, length, now));
                }
                19 if self.program.below(2) == 0 => {
                    sound(securechat_client_accept_file(client, self.file_id.as_ptr(), now));
                }
                20 => {
                    let (mut group, open) = ([1; SECURECHAT_GROUP_SIZE], self.program.below(3) as u32);
                    let status = securechat_client_create_group(client, text, length, open, now, group.as_mut_ptr());
                    set(status, group, [0; SECURECHAT_GROUP_SIZE]);
                }
                21 => {
                    let (change, value) = (self.program.below(10) as u32, self.name());
                    let group = prepared().group.as_bytes();
                    let (group, group_length) =
                        if self.program.below(8) == 0 { (to, to_length) } else { (group.as_ptr().cast(), group.len()) };
                    let (value, value_length) = (value.as_ptr().cast(), value.len());
                    sound(securechat_client_change_group(
                        client,
                        group,
                        group_length,
                        change,
                        value,
                        value_length,
                        now,
                    ));
                }
                22 => {
                    let index = self.number() as usize;
                    let group: Option<securechat_group> =
                        self.filled(|place, size| securechat_client_group(client, to, to_length, index, place, size));
                    if let Some(group) = group {
                        text_of(securechat_client_error(client));
                        copied::<1>(group.name.cast(), group.name_len);
                        copied::<1>(group.members.cast(), group.members_len);
                        copied::<1>(group.admins.cast(), group.admins_len);
                    }
                }
                23 => {
                    let (index, file) = (self.number() as usize, self.file_id);
                    let file = if self.program.below(2) == 0 { null() } else { file.as_ptr() };
                    let transfer: Option<securechat_transfer> =
                        self.filled(|place, size| securechat_client_transfer(client, file, index, place, size));
                    if let Some(transfer) = transfer {
                        text_of(securechat_client_error(client));
                        self.file_id = transfer.file;
                        copied::<1>(transfer.with.cast(), transfer.with_len);
                        copied::<1>(transfer.name.cast(), transfer.name_len);
                    }
                }
                24 => {
                    let paused = self.program.below(3) as u32;
                    sound(securechat_client_pause_file(client, self.file_id.as_ptr(), paused, now));
                }
                _ => _ = sound(securechat_client_cancel_file(client, self.file_id.as_ptr(), now)),
            }
        }
    }

    fn relay(&mut self) {
        let (relay, now) = (self.relay, self.now);
        let place = self.program.below(4);
        let connection = self.users.get(place).map_or(place as u64, |user| user.connection);
        let bytes = self.bytes();
        let (data, length) = self.given(&bytes);
        unsafe {
            match self.program.below(10) {
                0 => {
                    let mut connection = 7;
                    let status = securechat_relay_connect(relay, [place as u8; 16].as_ptr(), now, &raw mut connection);
                    set(status, connection, 0);
                }
                1 => _ = sound(securechat_relay_input(relay, connection, data, length, now)),
                2 => _ = sound(securechat_relay_end(relay, connection, now)),
                3 => {
                    let mut room = vec![0; self.program.below(256)].into_boxed_slice();
                    let mut length = 1;
                    let (buffer, size) = (room.as_mut_ptr(), room.len());
                    let status = securechat_relay_read_output(relay, connection, buffer, size, &raw mut length);
                    assert!(set(status, length, 0) <= size);
                }
                4 | 5 => _ = self.event(|event, size| securechat_relay_next_event(relay, event, size)),
                6 => {
                    let job: Option<securechat_job> =
                        self.filled(|job, size| securechat_relay_next_job(relay, job, size));
                    self.jobs.extend(job.filter(|job| job.kind != SECURECHAT_JOB_NONE));
                }
                7 => {
                    let (outcome, known) = (self.program.below(5) as u32, self.program.below(4));
                    let id = self.jobs.get(known).map_or(known as u64, |job| job.id);
                    let status = securechat_relay_complete_job(relay, id, outcome, data, length, now);
                    if sound(status) {
                        self.jobs.retain(|job| job.id != id);
                        let again = securechat_relay_complete_job(relay, id, outcome, data, length, now);
                        assert!(again == SECURECHAT_ERR_NOT_FOUND || again == SECURECHAT_ERR_STORE || length > 0);
                    }
                }
                8 if place == 3 => _ = sound(securechat_relay_shutdown(relay, now)),
                _ => {
                    let mut next = 1;
                    let status = securechat_relay_tick(relay, now, &raw mut next);
                    set(status, next, u64::MAX);
                }
            }
            text_of(securechat_relay_error(relay));
        }
    }

    fn on_file(&mut self) {
        let file = self.file[self.program.below(2)];
        let bytes = self.bytes();
        let (data, length) = self.given(&bytes);
        let index = self.number();
        unsafe {
            match self.program.below(7) {
                0 => {
                    self.filled::<securechat_file_info>(|info, size| securechat_file_about(file, info, size));
                }
                1 => _ = self.copied_out(|buffer, size, out| securechat_file_offer(file, buffer, size, out)),
                2 => {
                    self.copied_out(|buffer, size, out| {
                        securechat_file_seal_chunk(file, index, data, length, buffer, size, out)
                    });
                }
                3 => {
                    self.copied_out(|buffer, size, out| {
                        securechat_file_open_chunk(file, index, data, length, buffer, size, out)
                    });
                }
                4 => {
                    let (mut first, mut count) = (7, 7);
                    let status = securechat_file_next_missing(file, index, &raw mut first, &raw mut count);
                    set(status, (first, count), (0, 0));
                }
                5 => _ = sound(securechat_file_finish(file, self.thirty_two().as_ptr())),
                _ => {
                    if let Some(page) =
                        self.copied_out(|buffer, size, out| securechat_file_save(file, index, buffer, size, out))
                    {
                        assert!(page.len() < 100_000);
                    }
                }
            }
        }
    }

    /// Functions without a handle.
    fn stateless(&mut self) {
        let (name, bytes) = (self.name(), self.bytes());
        let (data, length) = self.given(&bytes);
        unsafe {
            match self.program.below(6) {
                0 => {
                    _ = self.filled::<securechat_bundle>(|info, size| securechat_bundle_read(data, length, info, size))
                }
                1 => {
                    let text = data.cast();
                    self.filled::<securechat_address>(|place, size| {
                        securechat_address_parse(text, length, place, size)
                    });
                }
                2 => {
                    let mut identity = null_mut();
                    let status = securechat_identity_import(null(), data, length, self.now, &raw mut identity);
                    set(status, identity, null_mut());
                    securechat_identity_free(identity);
                }
                3 => {
                    let mut digits = [1; 61];
                    let (to, to_length) = (name.as_ptr().cast(), name.len());
                    let digits_out = digits.as_mut_ptr();
                    let (all, count) = (bytes.as_ptr(), length / 32);
                    let status =
                        securechat_safety_number(to, to_length, all, count, to, to_length, all, count, digits_out);
                    set(status, digits, [0; 61]);
                }
                4 => {
                    let mut value = 7;
                    set(securechat_constant(name.as_ptr().cast(), name.len(), &raw mut value), value, 0);
                    text_of(securechat_status_name(self.number() as i32));
                    text_of(securechat_status_message(self.number() as i32));
                }
                _ => {
                    let mut config = defaults();
                    config.suite_count = self.program.below(12) as u32;
                    config.suites[self.program.below(10)] = [0x101, 0x301, 0x999][self.program.below(3)];
                    config.file_size = self.number();
                    config.login_burst = self.number();
                    let (mut file, length, name) = (null_mut(), name.len(), name.as_ptr().cast());
                    let (cipher, proof) = (self.program.below(4) as u32, self.program.below(3) as u32);
                    let size = self.number();
                    let config = &raw const config;
                    let status =
                        securechat_file_new(config, cipher, proof, size, name, length, null(), 0, &raw mut file);
                    set(status, file, null_mut());
                    securechat_file_free(file);
                }
            }
        }
    }

    fn time(&mut self) {
        self.now = match self.program.below(16) {
            0 => self.now.saturating_sub(3_600_000),
            1 => 0,
            2 => u64::MAX,
            3 => NOW,
            4 => self.now.saturating_add(31 * 86_400_000),
            5 => self.now.saturating_add(70_000),
            small => self.now.saturating_add(100 * small as u64),
        };
    }
}
