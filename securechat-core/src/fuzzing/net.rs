//! A relay, clients, and the bytes between them, with somebody who may touch all of it.

use super::AUTHENTIC;
use super::devices::{keys, user};
use super::links::NOW;
use super::program::Program;
use super::stream::Stream;
use crate::client::{Client, ClientConfig, History};
use crate::content::MessageId;
use crate::crypto::secret::Secret;
use crate::event::{Event, FileId, LinkId, MessageBody};
use crate::identity::{LocalIdentity, RelayAddress, UserName};
use crate::limits::Limits;
use crate::link::{Link, LinkConfig, LinkEvent, Purpose};
use crate::relay::{
    ConnId, Job, JobResult, MemoryStore, Output, PasswordHash, Relay, RelayConfig, Store, StoreJob, StoreResult,
};
use crate::suite::Policy;
use crate::vault::Vault;
use crate::wire::{Push, Received};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The password of every user in here.
pub(super) const PASSWORD: &str = "correct horse battery staple";
/// Where the relay is.
const PLACE: &str = "relay.test:7000";
/// What is kept of what the relay said, to say it again.
const REMEMBERED: usize = 64;
/// Chunks on their way to one end at the most; more are lost.
const ON_THE_WAY: usize = 256;

/// What a client saved.
pub(super) type Records = BTreeMap<String, Vec<u8>>;
/// Texts that were shown: from whom, the id, the text.
pub(super) type Shown = BTreeMap<(UserName, MessageId), String>;

/// The network.
pub(super) struct Net {
    pub(super) now: u64,
    pub(super) hosts: Vec<Host>,
    pub(super) wires: BTreeMap<u64, Wire>,
    pub(super) policy: Policy,
    pub(super) limits: Arc<Limits>,
    relay: Relay,
    store: MemoryStore,
    local: Arc<LocalIdentity>,
    links: BTreeMap<u64, (Link, Option<ConnId>)>,
    next_wire: u64,
    seeds: u8,
    /// Every job that the store did.
    pub(super) jobs: Vec<StoreJob>,
    /// What the relay said to anybody.
    pub(super) said: VecDeque<Vec<u8>>,
    /// What becomes of the next things that the relay says.
    pub(super) lies: VecDeque<u8>,
    /// The store fails so many times from now on.
    pub(super) failures: u8,
}

/// A client with what its host keeps.
pub(super) struct Host {
    pub(super) client: Client,
    pub(super) user: UserName,
    pub(super) records: Records,
    pub(super) links: BTreeMap<LinkId, (u64, usize)>,
    pub(super) shown: Shown,
    /// Files that are being sent.
    pub(super) files: BTreeSet<FileId>,
    /// Files that somebody wants to send.
    pub(super) offered: Vec<FileId>,
    pub(super) messages: Vec<MessageId>,
}

/// Two ends with what is on its way to each. The end of a client began it, or of two clients the first; the relay is
/// never the first.
pub(super) struct Wire {
    pub(super) ends: [End; 2],
    pub(super) queues: [VecDeque<Vec<u8>>; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Host(usize, LinkId),
    Relay,
}

impl Net {
    /// A relay whose store did these jobs before, and nobody else. What went before had other seeds.
    pub(super) fn new(policy: Policy, jobs: &[StoreJob], seeds: u8) -> Self {
        let limits = Arc::new(Limits { prekeys_per_device: 1, ..Limits::default() });
        let local = relay_identity(&policy, NOW);
        let config = RelayConfig {
            identity: local.bundle.identity(),
            server_password: None,
            registration_open: true,
            lobby: true,
            dummy_password: PasswordHash::new("dummy"),
            limits: limits.clone(),
        };
        let mut store = MemoryStore::new();
        store.run(jobs);
        Self {
            now: NOW,
            hosts: Vec::new(),
            wires: BTreeMap::new(),
            policy,
            limits,
            relay: Relay::new(config, Box::new(Stream::new(99)), NOW),
            store,
            local,
            links: BTreeMap::new(),
            next_wire: 0,
            seeds,
            jobs: Vec::new(),
            said: VecDeque::new(),
            lies: VecDeque::new(),
            failures: 0,
        }
    }

    pub(super) fn rng(&mut self) -> Box<Stream> {
        self.seeds = self.seeds.wrapping_add(1);
        Box::new(Stream::numbered(self.seeds, self.now))
    }

    fn config(&self, user: &UserName) -> ClientConfig {
        let mut config = ClientConfig::new(user.clone());
        (config.policy, config.limits) = (self.policy.clone(), self.limits.clone());
        config
    }

    /// A client, new or as it was saved.
    pub(super) fn add(&mut self, user: &UserName, records: Option<&Records>) -> usize {
        let rng = self.rng();
        let records = records.cloned().unwrap_or_default();
        let client = if records.is_empty() {
            Client::create(self.config(user), vault(), rng, self.now)
        } else {
            Client::restore(self.config(user), vault(), records.clone(), History::Continued, rng, self.now)
        };
        let (user, client) = (user.clone(), client.unwrap());
        let (links, shown, files) = Default::default();
        let (offered, messages) = Default::default();
        self.hosts.push(Host { client, user, records, links, shown, files, offered, messages });
        self.drain(self.hosts.len() - 1);
        self.hosts.len() - 1
    }

    /// Kills a client and starts it from these records.
    pub(super) fn restart(&mut self, host: usize, records: Records, history: History) {
        let (config, rng) = (self.config(&self.hosts[host].user), self.rng());
        let client = Client::restore(config, vault(), records.clone(), history, rng, self.now);
        self.hosts[host].client = client.unwrap();
        self.hosts[host].records = records;
        self.cut(host);
        self.drain(host);
    }

    /// Connects a client to the relay, unless it is connected.
    pub(super) fn connect(&mut self, host: usize) {
        let address = format!("{PLACE}#{}", self.local.bundle.fingerprint());
        let address: RelayAddress = address.parse().unwrap();
        let Ok(link) = self.hosts[host].client.connect_relay(&address, self.now) else { return };
        let wire = self.wire([End::Host(host, link), End::Relay]);
        let mut config = LinkConfig::new(Purpose::Relay);
        (config.policy, config.local) = (self.policy.clone(), Some(self.local.clone()));
        let rng = self.rng();
        self.links.insert(wire, (Link::responder(config, rng, self.now).unwrap(), None));
        self.drain(host);
    }

    /// Connects two clients without the relay.
    pub(super) fn connect_peers(&mut self, from: usize, to: usize) {
        let dialled = self.hosts[from].client.connect_peer(None, self.now);
        let accepted = self.hosts[to].client.accept_peer(self.now);
        if let (Ok(dialled), Ok(accepted)) = (dialled, accepted) {
            self.wire([End::Host(from, dialled), End::Host(to, accepted)]);
        }
        self.drain(from);
        self.drain(to);
    }

    fn wire(&mut self, ends: [End; 2]) -> u64 {
        let id = self.next_wire;
        self.next_wire += 1;
        for (index, end) in ends.into_iter().enumerate() {
            if let End::Host(host, link) = end {
                self.hosts[host].links.insert(link, (id, index));
            }
        }
        self.wires.insert(id, Wire { ends, queues: Default::default() });
        id
    }

    /// Breaks all connections of a client.
    pub(super) fn cut(&mut self, host: usize) {
        let wires: Vec<u64> = self.hosts[host].links.values().map(|(wire, _)| *wire).collect();
        wires.into_iter().for_each(|wire| self.cut_wire(wire));
    }

    fn cut_wire(&mut self, id: u64) {
        let Some(wire) = self.wires.remove(&id) else { return };
        for end in wire.ends {
            match end {
                End::Host(host, link) => {
                    self.hosts[host].links.remove(&link);
                    self.hosts[host].client.handle_end(link, self.now);
                    self.drain(host);
                }
                End::Relay => {
                    if let Some((_, Some(conn))) = self.links.remove(&id) {
                        self.relay.disconnect(conn, self.now);
                    }
                    self.drain_relay();
                }
            }
        }
    }

    /// Takes everything that a client gives.
    pub(super) fn drain(&mut self, index: usize) {
        loop {
            let host = &mut self.hosts[index];
            if let Some(batch) = host.client.poll_save() {
                for save in batch {
                    match save.value {
                        Some(value) => host.records.insert(save.key, value),
                        None => host.records.remove(&save.key),
                    };
                }
                continue;
            }
            let mut bytes = Vec::new();
            if let Some(link) = host.client.poll_transmit(&mut bytes) {
                if let Some((wire, end)) = host.links.get(&link).copied() {
                    self.post(wire, 1 - end, bytes);
                }
                continue;
            }
            let Some(event) = host.client.poll_event() else { return };
            self.happened(index, event);
        }
    }

    fn happened(&mut self, index: usize, event: Event) {
        let now = self.now;
        let host = &mut self.hosts[index];
        match event {
            Event::Message(message) => {
                if let MessageBody::Text(text) = message.body {
                    let before = host.shown.insert((message.from, message.id), text);
                    assert!(before.is_none() || !AUTHENTIC, "a message is shown twice");
                    host.messages.push(message.id);
                }
            }
            Event::FileNeed { file, chunk, length, .. } => {
                host.files.insert(file);
                _ = host.client.supply_file(&file, chunk, &vec![7; length], now);
            }
            Event::FileOffered { file, .. } => host.offered.push(file),
            Event::FileChunk { data, .. } => {
                assert!(data.iter().all(|byte| *byte == 7) || !AUTHENTIC, "not what was sent");
            }
            Event::Verify { link, user: Some(_), fingerprint, expected: None, .. } => {
                _ = host.client.accept_link(link, &fingerprint, now);
            }
            Event::LinkOpen { user: None, .. } if !host.client.is_registered() => {
                _ = host.client.log_in(PASSWORD, None, now);
            }
            Event::LinkClosed { link, .. } => {
                if let Some((wire, _)) = host.links.remove(&link) {
                    self.cut_wire(wire);
                }
            }
            _ => {}
        }
    }

    fn post(&mut self, id: u64, to: usize, bytes: Vec<u8>) {
        if let Some(wire) = self.wires.get_mut(&id)
            && wire.queues[to].len() < ON_THE_WAY
        {
            wire.queues[to].push_back(bytes);
        }
    }

    /// One chunk arrives: of the wire and to the end that are given, or of whichever has one.
    pub(super) fn deliver(&mut self, wanted: Option<(u64, usize)>) -> bool {
        let all = self.wires.iter().flat_map(|(id, wire)| [0, 1].map(|end| (*id, end, wire.queues[end].len())));
        let mut ready = all.filter(|(_, _, length)| *length > 0).map(|(id, end, _)| (id, end));
        let found = match wanted {
            Some(place) => ready.find(|found| *found == place),
            None => ready.next(),
        };
        let Some((id, end)) = found else { return false };
        let Some(wire) = self.wires.get_mut(&id) else { return false };
        let bytes = wire.queues[end].pop_front().unwrap_or_default();
        match wire.ends[end] {
            End::Host(host, link) => {
                self.hosts[host].client.handle_input(link, &bytes, self.now);
                self.drain(host);
            }
            End::Relay => self.relay_input(id, &bytes),
        }
        true
    }

    /// Everything arrives, and what it causes.
    pub(super) fn run(&mut self) {
        for _ in 0..5_000 {
            if !self.deliver(None) {
                return;
            }
        }
        if AUTHENTIC {
            panic!("the network does not come to rest");
        }
    }

    /// Time passes. Everybody looks at what is due.
    pub(super) fn advance(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        if self.now >= self.local.renew_at() {
            self.local = relay_identity(&self.policy, self.now);
        }
        for host in 0..self.hosts.len() {
            self.hosts[host].client.handle_timeout(self.now);
            self.drain(host);
        }
        for wire in self.links.keys().copied().collect::<Vec<_>>() {
            let late = self.links.get_mut(&wire).is_some_and(|(link, _)| link.handle_timeout(self.now).is_err());
            if late {
                self.cut_wire(wire);
            }
        }
        self.relay.handle_timeout(self.now);
        self.drain_relay();
    }

    fn relay_input(&mut self, wire: u64, bytes: &[u8]) {
        let Some((link, _)) = self.links.get_mut(&wire) else { return };
        let failed = link.handle_input(bytes, self.now).is_err();
        while let Some((link, conn)) = self.links.get_mut(&wire)
            && let Some(event) = link.poll_event()
        {
            match event {
                LinkEvent::Open { channel_binding, .. } => {
                    *conn = self.relay.connect(self.now, [wire as u8; 16], channel_binding).ok();
                }
                LinkEvent::Data(data) => {
                    if let Some(conn) = *conn {
                        self.relay.handle_data(conn, &data, self.now);
                    }
                }
                _ => {}
            }
        }
        self.drain_relay();
        if failed {
            self.cut_wire(wire);
        }
    }

    /// Does what the relay wants done.
    fn drain_relay(&mut self) {
        loop {
            if let Some((id, job)) = self.relay.poll_job() {
                let result = self.do_job(job);
                self.relay.complete(id, result, self.now);
                continue;
            }
            let Some((conn, output)) = self.relay.poll_output() else { break };
            let Some(wire) = self.links.iter().find(|(_, link)| link.1 == Some(conn)).map(|(wire, _)| *wire) else {
                continue;
            };
            match output {
                Output::Data(data) => self.relay_says(wire, &data),
                Output::Admitted => self.links.get_mut(&wire).unwrap().0.raise_frame_limit(),
                Output::Close(code) => _ = self.links.get_mut(&wire).unwrap().0.close(code),
            }
        }
        while self.relay.poll_event().is_some() {}
        for (wire, (link, _)) in &mut self.links {
            let mut bytes = Vec::new();
            while link.poll_transmit(&mut bytes) {}
            if let Some(wire) = self.wires.get_mut(wire).filter(|_| !bytes.is_empty()) {
                wire.queues[0].push_back(bytes);
            }
        }
    }

    /// What the relay says, after its operator had a say.
    fn relay_says(&mut self, wire: u64, data: &[u8]) {
        let lie = self.lies.pop_front();
        let before = self.said.len().checked_sub(1 + usize::from(lie.unwrap_or_default() >> 3));
        let mut bytes = data.to_vec();
        match lie.map(|lie| lie & 7) {
            Some(0) => return,
            Some(1) => self.send(wire, &bytes),
            // Something that was said before, perhaps to somebody else, under the id of this.
            Some(2 | 3) => {
                if let Some(other) = before.and_then(|before| self.said.get(before)) {
                    bytes.truncate(4);
                    bytes.extend(other.get(4..).unwrap_or_default());
                }
            }
            Some(4) => super::program::tamper(&mut bytes, &mut Program::new(&[lie.unwrap_or_default(); 8])),
            // An envelope, and somebody else's name with it.
            Some(5) => {
                if let Ok(Received::Push(Push::Deliver(mut deliver))) = Received::decode(data) {
                    deliver.user = user(1 + (lie.unwrap_or_default() >> 3) % 3);
                    bytes = Push::Deliver(deliver).encode().unwrap().to_vec();
                }
            }
            _ => {}
        }
        if self.said.len() == REMEMBERED {
            self.said.pop_front();
        }
        self.said.push_back(data.to_vec());
        self.send(wire, &bytes);
    }

    /// Puts a message onto a link of the relay's.
    fn send(&mut self, wire: u64, message: &[u8]) {
        if let Some((link, _)) = self.links.get_mut(&wire) {
            _ = link.send(message);
        }
    }

    /// The relay's operator says something to a client.
    pub(super) fn say(&mut self, host: usize, message: &[u8]) {
        let wire = self.hosts[host].links.values().map(|(wire, _)| *wire).find(|wire| self.links.contains_key(wire));
        if let Some(wire) = wire {
            self.send(wire, message);
        }
        self.drain_relay();
    }

    fn do_job(&mut self, job: Job) -> JobResult {
        match job {
            Job::Hash { password } => JobResult::Hash(PasswordHash::new(password.as_str())),
            Job::Verify { password, hash } => {
                JobResult::Verify { ok: password.as_str() == hash.as_str(), rehash: false }
            }
            Job::Store(_) if self.failures > 0 => {
                self.failures -= 1;
                JobResult::Store(StoreResult::Failed)
            }
            Job::Store(job) => {
                let mut results = self.store.run(core::slice::from_ref(&job));
                self.jobs.push(job);
                JobResult::Store(results.remove(0))
            }
        }
    }
}

/// The identity of the relay from this time on; that of the beginning is made once for each policy.
fn relay_identity(policy: &Policy, now: u64) -> Arc<LocalIdentity> {
    thread_local! {
        static MADE: RefCell<BTreeMap<Vec<u16>, Arc<LocalIdentity>>> = const { RefCell::new(BTreeMap::new()) };
    }
    let make = || Arc::new(LocalIdentity::new(keys(9), None, 0, policy, vec![], now).unwrap());
    if now != NOW {
        return make();
    }
    let suites = policy.suites().iter().map(|suite| suite.id()).collect();
    MADE.with_borrow_mut(|made| made.entry(suites).or_insert_with(make).clone())
}

fn vault() -> Vault {
    Vault::new(Secret::from_bytes(&[3; 32]))
}
