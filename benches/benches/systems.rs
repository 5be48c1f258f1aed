//! Whole systems side by side: servers in processes of their own, the load in this one.
//!
//! `cargo bench -p securechat-benches --bench systems --features aws-lc [-- relay idle logins file start]`
#![allow(missing_docs, clippy::indexing_slicing, clippy::expect_used, clippy::unwrap_used)] // a program

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use mimalloc::MiMalloc;
use securechat_benches::systems::load::{Connection, Outcome, Plan};
use securechat_benches::systems::person::{self, Person};
use securechat_benches::systems::process::Process;
use securechat_benches::systems::relay::{self, To};
use securechat_benches::systems::stream::Certificate;
use securechat_benches::systems::{TEXT, mqtt, nats, transfers};
use securechat_benches::{BACKEND, noise_bytes, sessions};
use securechat_core::wire::{Ping, Reply, Request};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// As in securechat-server, which this program is when it serves.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pairs that write to each other at once.
const PAIRS: usize = 16;
/// Who hears what one says to all.
const CROWD: usize = 100;
/// Texts sealed ahead for each who receives them.
const SEALED: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [serve, folder, rest @ ..] = &arguments[..]
        && serve == "serve"
    {
        return relay::serve(Path::new(folder), !rest.is_empty());
    }
    if let [client, folder, name, relay] = &arguments[..]
        && client == "client"
    {
        return person::run(Path::new(folder), name, relay);
    }
    println!("securechat with {BACKEND}");
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|word| name.contains(word.as_str()));
    let parts: [(&str, fn()); 5] =
        [("relay", messages), ("idle", idle), ("logins", logins), ("file", file), ("start", cold_start)];
    parts.iter().filter(|(name, _)| wanted(name)).for_each(|(_, part)| part());
}

/// Texts from one to one, and from one to a crowd.
fn messages() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path());
    let pairs = |messages| Plan { senders: PAIRS, receivers: 1, window: 32, messages };
    let crowd = |messages| Plan { senders: 1, receivers: CROWD, window: 8, messages };
    for (name, to_crowd) in [("one to one", false), ("one to a hundred", true)] {
        println!("\n{name:<44} {:>12} {:>10} {:>10} {:>14}", "deliveries/s", "p50", "p99", "CPU/delivery");
        let plan = |messages: u64| if to_crowd { crowd(messages / 20) } else { pairs(messages / 16) };
        for (name, memory, live) in [
            ("securechat", false, false),
            ("securechat, mailboxes in memory", true, false),
            ("the same, sealed and opened live", true, true),
        ] {
            let (mut connections, server, _folder) = relay_users(memory, live, to_crowd);
            let plan = plan(if memory && !live { 200_000 } else { 60_000 });
            report(name, &plan.run(&mut connections, &server.process));
        }
        if let Some(server) = nats::Server::start(folder.path(), &certificate) {
            let mut connections = topics(to_crowd, |_, to, from| server.connect(&certificate, to, from));
            let plan = plan(400_000);
            report("nats-server", &plan.run(&mut connections, &server.process));
        } else {
            println!("nats-server is not installed");
        }
        let queue = tempfile::tempdir().unwrap();
        if let Some(server) = mqtt::Server::start(queue.path(), &certificate) {
            let mut connections = topics(to_crowd, |name, to, from| server.connect(&certificate, name, to, from));
            let plan = plan(40_000);
            report("mosquitto, QoS 1", &plan.run(&mut connections, &server.process));
        } else {
            println!("mosquitto is not installed");
        }
    }
}

/// Who writes to whom by topic: senders first.
fn topics(to_crowd: bool, mut connect: impl FnMut(&str, &str, &str) -> Connection) -> Vec<Connection> {
    let count = if to_crowd { 1 } else { PAIRS };
    let mut connections: Vec<_> =
        (0..count).map(|place| connect(&format!("s{place}"), &format!("t{place}"), "none")).collect();
    let receivers = if to_crowd { CROWD } else { PAIRS };
    connections
        .extend((0..receivers).map(|place| connect(&format!("r{place}"), "none", &format!("t{}", place % count))));
    connections
}

/// The same at a relay.
fn relay_users(memory: bool, live: bool, to_crowd: bool) -> (Vec<Connection>, relay::Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let count = if to_crowd { 1 } else { PAIRS };
    let receivers = if to_crowd { CROWD } else { PAIRS };
    let mut senders = relay::enrol(folder.path(), count + receivers, "*");
    let mut receivers = senders.split_off(count);
    let server = relay::Server::start(folder.path(), memory);
    let mut connections = Vec::new();
    for (place, mut sender) in senders.into_iter().enumerate() {
        let mine = |index: usize| to_crowd || index == place;
        let mut to = Vec::new();
        for (_, receiver) in receivers.iter_mut().enumerate().filter(|(index, _)| mine(*index)) {
            sessions::meet(&mut sender, receiver);
            let mut seal = || sender.seal(receiver, &[b'x'; TEXT]).into();
            let sealed = (0..if live { 0 } else { SEALED }).map(|_| seal()).collect();
            to.push(To { identity: receiver.identity(), sealed });
        }
        let user = server.connect(&sender);
        connections.push(user.into_connection(to, live.then_some(sender)));
    }
    for receiver in receivers {
        connections.push(server.connect(&receiver).into_connection(Vec::new(), live.then_some(receiver)));
    }
    (connections, server, folder)
}

fn report(name: &str, outcome: &Outcome) {
    let rate = outcome.deliveries as f64 / outcome.time.as_secs_f64();
    let cpu = outcome.cpu.as_secs_f64() * 1e6 / outcome.deliveries as f64;
    let (p50, p99) = (outcome.p50.as_secs_f64() * 1e3, outcome.p99.as_secs_f64() * 1e3);
    println!("{name:<44} {rate:>12.0} {p50:>7.2} ms {p99:>7.2} ms {cpu:>11.2} µs");
}

/// The memory of the relay for connections on which nothing happens.
fn idle() {
    const CONNECTIONS: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let devices = relay::enrol(folder.path(), CONNECTIONS, "*");
    let server = relay::Server::start(folder.path(), false);
    drop(server.connect(&devices[0]));
    let before = server.process.memory();
    let began = Instant::now();
    let mut users: Vec<_> = devices.iter().map(|device| server.connect(device)).collect();
    let took = began.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(60));
    let each = (server.process.memory() - before) as f64 / CONNECTIONS as f64 / 1024.0;
    for user in &mut users {
        assert!(matches!(user.request(&Request::Ping(Ping)), Reply::Ping(_)));
    }
    println!("\n{CONNECTIONS} connections logged in with a device key, idle for a minute: {each:.2} KiB each");
    println!("one after the other they came within {took:.1} s, handshakes of both sides on this machine");
}

/// Logins with a password, while two people write to each other.
fn logins() {
    const LOGINS: usize = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let hash = Argon2::default().hash_password(b"a password").unwrap().to_string();
    let mut devices = relay::enrol(folder.path(), LOGINS + 2, &hash);
    let (mut alice, mut bob) = (devices.pop().unwrap(), devices.pop().unwrap());
    sessions::meet(&mut alice, &mut bob);
    let server = relay::Server::start(folder.path(), false);
    let mut talk = Talk::new(&server, alice, bob);
    let mut arrived: Vec<_> = devices.iter().map(|_| server.arrive()).collect();
    let quiet = talk.latencies(|messages| messages < 1_000);
    let alone = Instant::now();
    (0..20).for_each(|_| Argon2::default().verify_password(b"a password", &*hash).unwrap());
    let alone = alone.elapsed() / 20 * LOGINS as u32;
    let began = Instant::now();
    arrived.iter_mut().zip(&devices).for_each(|(user, device)| user.ask_with_password(device, "a password"));
    let done = Arc::new(AtomicBool::new(false));
    let waiting = std::thread::spawn({
        let done = done.clone();
        move || {
            for user in &mut arrived {
                assert!(matches!(user.answer(), Reply::LogIn(_)));
            }
            done.store(true, Relaxed);
            began.elapsed()
        }
    });
    let busy = talk.latencies(|_| !done.load(Relaxed));
    let took = waiting.join().unwrap();
    println!("\n{LOGINS} logins with a password at once: {:.1} s", took.as_secs_f64());
    println!("Argon2id alone, on one thread of this machine while it was quiet: {:.1} s", alone.as_secs_f64());
    let shown = |latencies: &[Duration]| {
        let part = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        format!("p50 {:.2} ms, p99 {:.2} ms", part(50), part(99))
    };
    println!("a text from one to another and its answer meanwhile: {}; before: {}", shown(&busy), shown(&quiet));
}

/// Two people of whom each writes when the other has.
struct Talk {
    alice: relay::User,
    bob: relay::User,
    devices: [sessions::Device; 2],
    last_id: u64,
}

impl Talk {
    fn new(server: &relay::Server, alice: sessions::Device, bob: sessions::Device) -> Self {
        Self { alice: server.connect(&alice), bob: server.connect(&bob), devices: [alice, bob], last_id: 0 }
    }

    /// How long each text took from being sealed to being opened, in order of time.
    fn latencies(&mut self, go_on: impl Fn(usize) -> bool) -> Vec<Duration> {
        let mut latencies = Vec::new();
        while go_on(latencies.len()) {
            let (sender, receiver, users) = match latencies.len() % 2 {
                0 => (0, 1, (&mut self.alice, &mut self.bob)),
                _ => (1, 0, (&mut self.bob, &mut self.alice)),
            };
            self.last_id += 1;
            let began = Instant::now();
            let to = self.devices[receiver].identity();
            let envelope = self.devices[sender].seal_to(&to, &[b'x'; TEXT]);
            users.0.send(self.last_id, to, envelope);
            let delivered = users.1.next_delivery();
            self.devices[receiver].open(&delivered.envelope);
            latencies.push(began.elapsed());
            users.1.acknowledge(&delivered);
            users.0.answer();
            std::thread::sleep(Duration::from_millis(2));
        }
        latencies.sort_unstable();
        latencies
    }
}

/// Two clients that were here before, with sessions.
fn acquainted(folder: &Path) -> (relay::Server, Person, Person) {
    let server = relay::Server::start(&folder.join("relay"), false);
    let start = |name: &str| {
        let place = folder.join(name);
        std::fs::create_dir_all(&place).unwrap();
        let mut person = Person::start(&place, name, &server.address);
        person.wait_for("open");
        person.tell("register");
        person.wait_for("logged in");
        person
    };
    let (mut alice, mut bob) = (start("alice"), start("bob"));
    alice.tell("text bob");
    bob.wait_for("text");
    bob.tell("text alice");
    alice.wait_for("text");
    (server, alice, bob)
}

/// 1 GiB from one to another, all of it in memory file systems.
fn file() {
    const NAME: &str = "gigabyte";
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let source = folder.path().join(NAME);
    let piece = noise_bytes(1 << 20);
    let mut file = std::fs::File::create(&source).unwrap();
    (0..1 << 10).for_each(|_| file.write_all(&piece).unwrap());
    let certificate = Certificate::new(folder.path());
    let target = folder.path().join("fetched");
    println!("\n{:<44} {:>10} {:>12}", "1 GiB", "time", "rate");
    let show = |name: &str, took: Duration| {
        println!("{name:<44} {:>8.2} s {:>7.0} MB/s", took.as_secs_f64(), (1 << 30) as f64 / took.as_secs_f64() / 1e6);
    };
    let compare = |name: &str, fetch: &dyn Fn()| {
        let best = (0..3).map(|_| {
            let began = Instant::now();
            fetch();
            let took = began.elapsed();
            assert_eq!(std::fs::metadata(&target).unwrap().len(), 1 << 30);
            std::fs::remove_file(&target).unwrap();
            took
        });
        show(name, best.min().unwrap());
    };
    let (server, mut alice, mut bob) = acquainted(folder.path());
    let received = folder.path().join("bob").join(NAME);
    let best = (0..3).map(|_| {
        let began = Instant::now();
        alice.tell(&format!("file bob {}", source.display()));
        bob.wait_for("saved");
        let took = began.elapsed();
        assert!(same(&source, &received));
        std::fs::remove_file(&received).unwrap();
        took
    });
    show("securechat, end to end through the relay", best.min().unwrap());
    let spent = [("relay", &server.process), ("sender", &alice.process), ("receiver", &bob.process)];
    spent.iter().for_each(|(name, process)| {
        println!("  {name}: {:.2} s of processor each time", process.cpu().as_secs_f64() / 3.0)
    });
    match transfers::Nginx::start(folder.path(), &certificate) {
        Some(nginx) => compare("curl from nginx, TLS 1.3 AES-256-GCM", &|| nginx.fetch(NAME, &target)),
        None => println!("nginx is not installed"),
    }
    match transfers::Sshd::start(folder.path()) {
        Some(sshd) => compare("scp, aes256-gcm", &|| sshd.fetch(&source, &target)),
        None => println!("sshd is not installed"),
    }
}

fn same(one: &Path, other: &Path) -> bool {
    Process::silent("cmp").arg(one).arg(other).status().unwrap().success()
}

/// From nothing to the first message of people who were here before.
fn cold_start() {
    let folder = tempfile::tempdir().unwrap();
    let (server, alice, bob) = acquainted(folder.path());
    alice.end();
    bob.end();
    drop(server);
    let best = (0..5).map(|_| {
        let began = Instant::now();
        let server = relay::Server::start(&folder.path().join("relay"), false);
        let relay = began.elapsed();
        let start = |name: &str| Person::start(&folder.path().join(name), name, &server.address);
        let (mut alice, mut bob) = (start("alice"), start("bob"));
        alice.tell("text bob");
        bob.wait_for("text");
        let all = began.elapsed();
        alice.end();
        bob.end();
        (all, relay)
    });
    let (all, relay) = best.min().unwrap();
    println!(
        "\ncold start: the relay listens after {:.0} ms; with both clients, each behind Argon2id of its passphrase, the first",
        relay.as_secs_f64() * 1e3
    );
    println!("message is there after {:.0} ms", all.as_secs_f64() * 1e3);
}
