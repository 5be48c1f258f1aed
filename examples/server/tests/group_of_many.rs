//! A group of many real clients over real sockets: every message is opened by exactly those who should, in the order in which
//! its sender wrote. And what it costs to go on after somebody was removed.
//!
//! `SECURECHAT_MEMBERS` is how many there are (32; a group takes 256), `SECURECHAT_COST_AT` the sizes at which a removal is
//! measured (`10`; `10,100,256` in a release build for figures, with `--nocapture`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use rand::rngs::{StdRng, SysRng};
use rand::{SeedableRng, TryRng};
use securechat_core::client::{Client, ClientConfig};
use securechat_core::content::MessageId;
use securechat_core::crypto::Random;
use securechat_core::event::{Event, LinkId, MessageBody};
use securechat_core::identity::UserName;
use securechat_core::limits::Rate;
use securechat_core::roster::GroupId;
use securechat_core::suite::Policy;
use securechat_core::vault::Vault;
use securechat_server::{Config, RunningServer, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const MESSAGES: usize = 1_000;
const SENDERS: usize = 16;
/// So many are removed, and added again.
const REMOVALS: usize = 20;
/// How long anything may take; a test machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long it has to be quiet until nothing more is expected.
const QUIET: Duration = Duration::from_millis(500);

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn random() -> Random {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).unwrap();
    Box::new(StdRng::from_seed(seed))
}

fn name(number: usize) -> UserName {
    UserName::new(&format!("user{number:03}")).unwrap()
}

/// One client and its socket, on nobody's thread: it moves when it is pumped. Nothing here restarts, so nothing is kept.
struct Host {
    client: Client,
    stream: TcpStream,
    link: LinkId,
    out: Vec<u8>,
    /// Bytes that went to the relay.
    sent: u64,
    logged_in: bool,
    /// Messages that the relay took.
    taken: BTreeSet<MessageId>,
    /// Texts from each user, in the order in which they were shown.
    read: BTreeMap<UserName, Vec<usize>>,
}

impl Host {
    fn register(number: usize, server: &RunningServer) -> Self {
        let mut config = ClientConfig::new(name(number));
        // The RSA key of a device is slow to make, and nothing here uses it.
        config.policy = Policy::new(vec!["0x0301".parse().unwrap()]).unwrap();
        let mut rng = random();
        let vault = Vault::generate(&mut *rng);
        let mut client = Client::create(config, vault, rng, now()).unwrap();
        let link = client.connect_relay(server.address(), now()).unwrap();
        let stream = TcpStream::connect(server.listening()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            client,
            stream,
            link,
            out: Vec::new(),
            sent: 0,
            logged_in: false,
            taken: BTreeSet::new(),
            read: BTreeMap::new(),
        }
    }

    /// Moves bytes and events until nothing moves. Says whether anything did.
    fn pump(&mut self) -> bool {
        let mut moved = self.settle();
        let mut buffer = [0; 1 << 16];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the relay ended the connection of {}", self.client.user()),
                Ok(count) => self.client.handle_input(self.link, &buffer[..count], now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
            moved = true;
            self.settle();
        }
        if self.client.poll_timeout().is_some_and(|at| at <= now()) {
            self.client.handle_timeout(now());
            moved |= self.settle();
        }
        moved
    }

    fn settle(&mut self) -> bool {
        let mut moved = false;
        loop {
            while self.client.poll_save().is_some() {}
            if self.client.poll_transmit(&mut self.out).is_some() {
                moved = true;
            } else if let Some(event) = self.client.poll_event() {
                moved = true;
                self.happened(event);
            } else if !self.client.wants_save() {
                break;
            }
        }
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) => {
                    self.sent += count as u64;
                    self.out.drain(..count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        moved
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::LinkOpen { .. } => self.client.register("a password for many", now()).unwrap(),
            Event::LoggedIn { listed } => self.logged_in = listed,
            Event::Sent { id } => _ = self.taken.insert(id),
            Event::Message(message) => {
                assert!(message.group.is_some(), "{message:?}");
                let MessageBody::Text(text) = message.body else { panic!("not a text") };
                self.read.entry(message.from).or_default().push(text.parse().unwrap());
            }
            Event::Refused { .. }
            | Event::Failed { .. }
            | Event::Unopened { .. }
            | Event::Fork { .. }
            | Event::GroupRefused { .. }
            | Event::GroupForked { .. }
            | Event::LinkClosed { .. }
            | Event::Verify { .. }
            | Event::KeysChanged { .. }
            | Event::DeviceUnreachable { .. } => panic!("{}: {event:?}", self.client.user()),
            _ => {}
        }
    }

    /// The number of the newest entry that this client knows of the group.
    fn sequence(&self, group: &GroupId) -> u32 {
        self.client.group(group).map_or(0, |info| info.sequence)
    }
}

/// Pumps all of these until something is so.
fn pump_until(hosts: &mut [Host], what: &str, mut is_so: impl FnMut(&mut [Host]) -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so(hosts) {
        assert!(Instant::now() < until, "{what} took too long");
        let moved = hosts.iter_mut().fold(false, |moved, host| host.pump() | moved);
        if !moved {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Pumps all of these until nothing has happened for a while.
fn pump_until_quiet(hosts: &mut [Host]) {
    let mut last = Instant::now();
    while last.elapsed() < QUIET {
        match hosts.iter_mut().fold(false, |moved, host| host.pump() | moved) {
            true => last = Instant::now(),
            false => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// A relay, and so many clients in one group that the first has made.
fn gather(count: usize) -> (TempDir, RunningServer, Vec<Host>, GroupId) {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("relay");
    let mut config = Config { listen: "127.0.0.1:0".into(), data, rsa_bits: 2048, ..Config::default() };
    // All of them come from one address, at once.
    let rates = &mut config.limits;
    for rate in [
        &mut rates.register_rate,
        &mut rates.login_rate,
        &mut rates.publish_rate,
        &mut rates.prekey_rate,
        &mut rates.account_rate,
        &mut rates.connection_rate,
    ] {
        *rate = Rate::new(1_000_000, 1);
    }
    let server = Server::start(config).unwrap();
    let mut hosts: Vec<Host> = (0..count).map(|number| Host::register(number, &server)).collect();
    pump_until(&mut hosts, "registering", |hosts| hosts.iter().all(|host| host.logged_in));
    let group = hosts[0].client.create_group("many", false, now()).unwrap();
    let others: Vec<UserName> = (1..count).map(name).collect();
    hosts[0].client.add_to_group(&group, &others, now()).unwrap();
    pump_until(&mut hosts, "gathering", |hosts| {
        let all = |host: &Host| host.client.group(&group).is_some_and(|info| info.members.len() == count);
        hosts.iter().all(all)
    });
    (place, server, hosts, group)
}

/// Waits until those who write know of the newest entry; the others learn of it when they do.
fn writers_know(hosts: &mut [Host], group: GroupId, before: u32) {
    pump_until(hosts, "a change", |hosts| hosts[..SENDERS].iter().all(|host| host.sequence(&group) > before));
}

#[test]
fn every_message_is_opened_by_exactly_those_who_should_in_its_order() {
    let count: usize = std::env::var("SECURECHAT_MEMBERS").map_or(32, |count| count.parse().unwrap());
    assert!((SENDERS + REMOVALS.min(8)..=256).contains(&count), "from 24 to 256 members");
    let begun = Instant::now();
    let (_place, server, mut hosts, group) = gather(count);
    println!("{count} clients are in one group after {:.1} s", begun.elapsed().as_secs_f64());

    let mut should: Vec<BTreeMap<UserName, Vec<usize>>> = vec![BTreeMap::new(); count];
    let mut out = BTreeSet::new();
    let mut written = 0;
    for half in 0..2 * REMOVALS {
        let user = SENDERS + half / 2 % (count - SENDERS);
        let before = hosts[0].sequence(&group);
        match half % 2 {
            0 => hosts[0].client.remove_from_group(&group, &[name(user)], now()).map(|()| out.insert(user)).unwrap(),
            _ => hosts[0].client.add_to_group(&group, &[name(user)], now()).map(|()| out.remove(&user)).unwrap(),
        };
        writers_know(&mut hosts, group, before);
        let mut sent = Vec::new();
        for _ in 0..MESSAGES / (2 * REMOVALS) {
            let sender = written % SENDERS;
            let id = hosts[sender].client.send_text(group, &written.to_string(), now()).unwrap();
            for reader in (0..count).filter(|reader| *reader != sender && !out.contains(reader)) {
                should[reader].entry(name(sender)).or_default().push(written);
            }
            sent.push((sender, id));
            written += 1;
        }
        // What is written now goes out under the roster of now.
        pump_until(&mut hosts[..SENDERS], "sending", |hosts| {
            sent.iter().all(|(sender, id)| hosts[*sender].taken.contains(id))
        });
    }
    assert_eq!(written, MESSAGES);
    let total = |lists: &BTreeMap<UserName, Vec<usize>>| lists.values().map(Vec::len).sum::<usize>();
    let expected: usize = should.iter().map(total).sum();
    pump_until(&mut hosts, "reading", |hosts| hosts.iter().map(|host| total(&host.read)).sum::<usize>() >= expected);
    pump_until_quiet(&mut hosts);
    for (number, (host, should)) in hosts.iter().zip(&should).enumerate() {
        for sender in (0..SENDERS).map(name) {
            let [read, should] = [&host.read, should].map(|lists| lists.get(&sender).cloned().unwrap_or_default());
            assert_eq!(read, should, "what user{number:03} read of {sender}");
        }
    }
    println!(
        "{MESSAGES} messages by {SENDERS}, {REMOVALS} removals and additions: {expected} readings, each as it should be, \
         after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    server.shutdown().unwrap();
}

/// G8: whoever writes next after a removal hands a new key to everybody who is left.
#[test]
fn g8_a_removal_costs_the_next_sender_one_session_message_for_each_who_is_left() {
    let sizes = std::env::var("SECURECHAT_COST_AT").unwrap_or("10".into());
    for count in sizes.split(',').map(|size| size.parse::<usize>().unwrap()) {
        let (_place, server, mut hosts, group) = gather(count);
        // Sessions are there from the first message on.
        let first = cost(&mut hosts, group);
        println!("{count} members, first message of a sender: {first}");
        pump_until_quiet(&mut hosts);
        let same = cost(&mut hosts, group);
        println!("{count} members, next message: {same}");
        pump_until_quiet(&mut hosts);
        let before = hosts[0].sequence(&group);
        hosts[0].client.remove_from_group(&group, &[name(count - 1)], now()).unwrap();
        pump_until(&mut hosts, "a removal", |hosts| hosts[1].sequence(&group) > before);
        pump_until_quiet(&mut hosts);
        let after = cost(&mut hosts, group);
        println!("{count} members, first message after a removal: {after}");
        let handed = [&first, &same, &after].map(|cost| cost.session_messages);
        assert_eq!(handed, [count - 1, 0, count - 2]);
        server.shutdown().unwrap();
    }
}

/// What it cost until a message was out.
struct Cost {
    session_messages: usize,
    bytes: u64,
    /// Of the sender's own engine and sockets, in milliseconds.
    processor: f64,
    /// Of the relay's, in steps of 10 ms.
    relay: f64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { session_messages, bytes, processor, relay } = self;
        write!(
            formatter,
            "{session_messages} session messages, {bytes} bytes to the relay, {processor:.1} ms, the relay {relay:.0} ms"
        )
    }
}

/// The second member writes, and everything that belongs to it leaves; nobody else moves meanwhile.
fn cost(hosts: &mut [Host], group: GroupId) -> Cost {
    let sender = &mut hosts[1..2];
    let (thread, process, sent) = (thread_time(), process_time(), sender[0].sent);
    let id = sender[0].client.send_text(group, "1", now()).unwrap();
    // The keys of users who are not known yet are queued as well, and wait for them.
    let session_messages = sender[0].client.unsent();
    pump_until(sender, "sending", |hosts| hosts[0].taken.contains(&id) && hosts[0].client.unsent() == 0);
    let (thread, process) = (thread_time() - thread, process_time() - process);
    Cost { session_messages, bytes: sender[0].sent - sent, processor: thread, relay: (process - thread).max(0.0) }
}

/// Processor time of this thread so far, in milliseconds; 0 where the system does not tell.
fn thread_time() -> f64 {
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

/// The same of the whole process: here the relay runs too.
fn process_time() -> f64 {
    let told = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = told.rsplit(')').next().unwrap_or_default();
    // Fields 14 and 15, in ticks of 10 ms.
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
}
