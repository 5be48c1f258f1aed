//! What things hold in the heap when nothing moves, and how often a message allocates once everything is warm.
#![allow(missing_docs, unsafe_code, clippy::indexing_slicing, clippy::expect_used)] // a program, and its allocator

use securechat_benches::engines::Network;
use securechat_benches::sessions::Device;
use securechat_benches::{BACKEND, links, noise, noise_bytes, olm, random, sessions, tls};
use securechat_core::crypto::aead::Cipher;
use securechat_core::file::{Chunks, FileOffer, FileProof};
use securechat_core::limits::{CHUNK_SIZE, Limits};
use securechat_core::link::Purpose;
use securechat_core::suite::{Policy, Suite};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};

struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is; only counts are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Relaxed);
        TAKEN.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Things of a kind that are held at once.
const MANY: usize = 100;
/// Contacts of a client.
const CONTACTS: usize = 20;
/// Turns of a conversation that has gone on for long: more than anybody remembers.
const TURNS: usize = 300;

fn main() {
    println!("securechat with {BACKEND}\n\n{:<52} {:>12}", "one of", "bytes");
    for suite in [Suite::ALL[0], Suite::ALL[1], Suite::ALL[4]] {
        let ends = links::Ends::new(suite, Purpose::Relay, None);
        held(&format!("link end, {suite}, idle"), 2, || {
            let (mut from, mut to) = ends.open();
            links::record(&mut from, &mut to, b"text", &mut Vec::new());
            // An idle link gives its buffers back when it is asked for events in vain.
            assert!(from.poll_event().is_none() && to.poll_event().is_none());
            (from, to)
        });
    }
    let ends = tls::Ends::new(tls::Group::X25519);
    held("rustls connection end, idle", 2, || {
        let (mut client, mut server) = ends.open();
        let mut wire = Vec::new();
        tls::seal(&mut client, b"text", &mut wire);
        tls::open(&mut server, &wire, &mut [0; 4]);
        (client, server)
    });
    let ends = noise::Ends::new("NX", noise::Source::Default);
    held("snow transport state", 2, || ends.open());
    println!();
    for turns in [0, TURNS] {
        session(turns);
    }
    println!();
    for policy in [Policy::new(vec![Suite::ALL[0]]).expect("a policy"), Policy::default()] {
        client(&policy);
    }
    row("vodozemac account with 100 one-time keys", weigh(olm::Ends::account(100)));
    println!();
    connection();

    println!("\n{:<52} {:>12}", "in steady state", "allocations");
    let (mut from, _) = links::Ends::new(Suite::ALL[0], Purpose::Relay, None).open();
    let (data, mut wire) = (noise_bytes(1 << 10), Vec::with_capacity(1 << 12));
    allocations("record sealed", || links::seal(&mut from, &data, &mut wire));
    let (mut from, mut to) = links::Ends::new(Suite::ALL[0], Purpose::Relay, None).open();
    allocations("record sealed and opened", || drop(links::record(&mut from, &mut to, &data, &mut wire)));
    let (mut alice, mut bob) = sessions::pair(Suite::ALL[0], None);
    allocations("session message sealed and opened", || {
        let envelope = alice.seal(&bob, &data[..200]);
        bob.open(&envelope);
    });
    let (mut alice, mut bob) = olm::Ends::new().session();
    allocations("vodozemac message sealed and opened", || {
        let message = alice.encrypt(&data[..200]).expect("it encrypts");
        bob.decrypt(&message).expect("it decrypts");
    });
    let (size, limits, mut rng) = (CHUNK_SIZE as u64, Limits::default(), random(1));
    let offer = FileOffer::new(Cipher::AesGcm, FileProof::Tags, size, "", "", &limits, &mut *rng);
    let (chunks, data) = (Chunks::new(&offer.expect("an offer")), noise_bytes(CHUNK_SIZE));
    allocations("chunk sealed and opened", || {
        let (sealed, _) = chunks.seal(0, &data, None, &mut *rng).expect("it seals");
        black_box(chunks.open(0, &sealed).expect("it opens"));
    });
}

/// A session of one device with each of many, of which it keeps what they need: what each adds to the device.
fn session(turns: usize) {
    let suite = Suite::ALL[0];
    let mut alice = Device::new(1, "alice", suite, None);
    let alone = weigh(Device::new(1, "alice", suite, None).sessions);
    let (mut theirs, mut olm_theirs) = (0, 0);
    for seed in 0..MANY as u64 {
        let mut bob = Device::new(2 + seed, "bob", suite, None);
        sessions::meet(&mut alice, &mut bob);
        (0..turns).for_each(|_| sessions::turn(&mut alice, &mut bob));
        alice.save();
        bob.save();
        theirs += weigh(bob.sessions) - alone;
        let (mut one, mut other) = olm::Ends::new().session();
        (0..turns).for_each(|_| olm::turn(&mut one, &mut other));
        olm_theirs += weigh(one) + weigh(other);
    }
    row(&format!("session of a device with {MANY}, {turns} turns"), (weigh(alice.sessions) - alone) / MANY);
    row(&format!("session of a device with one, {turns} turns"), theirs / MANY);
    row(&format!("vodozemac session, {turns} turns"), olm_theirs / MANY / 2);
}

/// A client that is logged in and idle, without contacts and with them.
fn client(policy: &Policy) {
    let with = |contacts: usize| {
        let mut network = Network::new(policy);
        network.join("alice");
        for number in 1..=contacts {
            network.join(&format!("user{number}"));
            network.say(0, &format!("user{number}"));
            network.say(number, "alice");
        }
        network.rest();
        weigh(network.seats.remove(0).client)
    };
    let (idle, first, many) = (with(0), with(1), with(CONTACTS));
    row(&format!("client, idle, {} suites", policy.suites().len()), idle);
    row("what its first contact adds, with a session", first - idle);
    row(&format!("what each of {CONTACTS} contacts adds"), (many - idle) / CONTACTS);
}

/// What each of many connections that are logged in and idle adds to a relay's engine.
fn connection() {
    let policy = Policy::new(vec![Suite::ALL[0]]).expect("a policy");
    let mut network = Network::new(&policy);
    (0..MANY).for_each(|number| network.join(&format!("user{number}")));
    network.rest();
    let nobody = weigh(Network::new(&policy).relay);
    row("connection of a relay, idle, without its link", (weigh(network.relay) - nobody) / MANY);
}

/// What a value holds: the heap that comes back when it goes, and itself.
fn weigh<T>(value: T) -> usize {
    let before = HELD.load(Relaxed);
    drop(value);
    (before - HELD.load(Relaxed)) as usize + size_of::<T>()
}

fn row(name: &str, figure: usize) {
    println!("{name:<52} {figure:>12}");
}

/// Makes many, each of which is `ends` of what is measured.
fn held<T>(name: &str, ends: usize, mut make: impl FnMut() -> T) {
    drop(make());
    let mut kept = Vec::with_capacity(MANY);
    let before = HELD.load(Relaxed);
    (0..MANY).for_each(|_| kept.push(make()));
    let heap = (HELD.load(Relaxed) - before) as usize / MANY;
    row(name, (heap + size_of::<T>()) / ends);
    black_box(kept);
}

fn allocations(name: &str, mut once: impl FnMut()) {
    (0..2_000).for_each(|_| once());
    let before = TAKEN.load(Relaxed);
    (0..1_000).for_each(|_| once());
    println!("{name:<52} {:>12.1}", (TAKEN.load(Relaxed) - before) as f64 / 1_000.0);
}
