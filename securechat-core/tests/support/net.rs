//! A whole network in memory: a relay, clients, the bytes between them, and one virtual clock.
//!
//! Nothing in it is random but what comes from its seed, so a run repeats byte for byte. Hooks change, drop, repeat,
//! delay and cut what is on its way, and let the relay lie about what it stores.

use super::{NOW, rng};
use securechat_core::client::{Client, ClientConfig, History};
use securechat_core::content::MessageId;
use securechat_core::crypto::secret::Secret;
use securechat_core::error::Error;
use securechat_core::event::{Event, FileId, LinkId, MessageBody};
use securechat_core::identity::{DeviceKeys, Fingerprint, LocalIdentity, RelayAddress, UserName};
use securechat_core::limits::Limits;
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::relay::{
    Address, ConnId, Job, JobResult, MemoryStore, Output, PasswordHash, Relay, RelayConfig, Store, StoreJob,
    StoreResult,
};
use securechat_core::suite::Policy;
use securechat_core::vault::Vault;
use securechat_core::wire::{Push, Received, Reply};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The password of every user in here.
pub const PASSWORD: &str = "correct horse battery staple";
/// The relay's place, as clients know it.
pub const PLACE: &str = "relay.test:7000";

/// What happens to a chunk of bytes on its way.
pub enum Fate {
    Deliver,
    Drop,
    Repeat,
    /// It comes this many milliseconds later, and everything behind it too.
    Delay(u64),
    /// It overtakes what was sent just before it and has not arrived.
    Overtake,
    /// The connection breaks.
    Cut,
}

/// Looks at a chunk, may change it, and decides its fate. `to_relay` says where it is going.
pub type Weather = Box<dyn FnMut(&mut Vec<u8>, bool) -> Fate>;
/// Looks at a store job before it runs, and may change it.
pub type JobHook = Box<dyn FnMut(&mut StoreJob)>;
/// Looks at what the store answered, and may change it.
pub type ResultHook = Box<dyn FnMut(&StoreJob, &mut StoreResult)>;
/// Looks at a push before it leaves the relay, and may change it; false when it is not to leave.
pub type PushHook = Box<dyn FnMut(&mut Push) -> bool>;
/// Looks at a reply before it leaves the relay, and may change it.
pub type ReplyHook = Box<dyn FnMut(&mut Reply)>;

/// The network.
pub struct Net {
    pub now: u64,
    pub hosts: Vec<Host>,
    pub relay: RelayHost,
    wires: BTreeMap<u64, Wire>,
    next_wire: u64,
    /// Everything that ever crossed a wire, in order: what a tap hears, and what two runs compare.
    pub tap: Vec<u8>,
    pub weather: Option<Weather>,
    seed: u64,
    next_seed: u64,
    /// The bounds of clients that are made from now on.
    pub limits: Arc<Limits>,
}

/// A client with what a host keeps for it.
pub struct Host {
    pub client: Client,
    pub user: UserName,
    pub policy: Policy,
    pub records: BTreeMap<String, Vec<u8>>,
    /// What happened and was shown, oldest first. File bytes are not among it.
    pub events: Vec<Event>,
    /// What happened and is shown with the next save, in which the state says that it was taken.
    unshown: Vec<Event>,
    /// Contents of files that are being sent.
    pub outgoing: BTreeMap<FileId, Vec<u8>>,
    /// What arrived of files.
    pub incoming: BTreeMap<FileId, Vec<u8>>,
    /// What of it is not on the disk: file, offset, length. A crash takes it.
    unsynced: Vec<(FileId, usize, usize)>,
    /// How often each chunk of a file was read.
    pub reads: BTreeMap<(FileId, u64), usize>,
    /// How often each offset of a file was written.
    pub writes: BTreeMap<(FileId, u64), usize>,
    /// After so many calls the host does nothing any more: it was killed between two of them.
    pub fuel: Option<usize>,
    links: BTreeMap<LinkId, (u64, usize)>,
    /// Bytes of links that no wire of the net carries: somebody speaks there by hand.
    pub loose: BTreeMap<LinkId, Vec<u8>>,
    vault_key: [u8; 32],
    /// Events are left untaken while this holds: a host that crashes before it looks.
    pub deaf: bool,
    /// Accepts any identity that a peer shows. Relays are pinned by their address.
    pub trusting: bool,
}

/// The relay with its links and its store.
pub struct RelayHost {
    pub relay: Relay,
    pub store: MemoryStore,
    pub local: Arc<LocalIdentity>,
    pub policy: Policy,
    links: BTreeMap<u64, (Link, Option<ConnId>)>,
    conns: BTreeMap<ConnId, u64>,
    pub on_job: Option<JobHook>,
    pub on_result: Option<ResultHook>,
    pub on_push: Option<PushHook>,
    pub on_reply: Option<ReplyHook>,
    /// The store does nothing and says that it failed.
    pub failing: bool,
    /// Everything that clients ever told it, links taken off: whatever it has in its memory or its store is made of this.
    pub heard: Option<Vec<u8>>,
    /// Password hashes that were asked for: the work that timing shows.
    pub hashing: Vec<&'static str>,
}

/// A byte stream between two ends: end 0 began it. The relay is always end 1.
struct Wire {
    ends: [End; 2],
    /// What is on its way to each end, with the time at which it arrives.
    queues: [VecDeque<(u64, Vec<u8>)>; 2],
    cut: [bool; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Host(usize, LinkId),
    Relay,
}

impl Net {
    /// A relay that allows these suites, and nobody else yet.
    pub fn new(seed: u64, policy: &Policy) -> Self {
        let mut keys = DeviceKeys::generate(&mut *rng(seed ^ 0xA11), None).unwrap();
        let der = include_bytes!("../keys/rsa2048.der");
        keys.rsa = Some(Arc::new(securechat_core::crypto::rsa::PrivateKey::from_der(der).unwrap()));
        let local = Arc::new(LocalIdentity::new(keys, None, 0, policy, vec![], NOW).unwrap());
        let config = RelayConfig {
            identity: local.bundle.identity(),
            server_password: None,
            registration_open: true,
            lobby: true,
            dummy_password: PasswordHash::new("dummy"),
            limits: Arc::default(),
        };
        let relay = RelayHost {
            relay: Relay::new(config, rng(seed ^ 0xB22), NOW),
            store: MemoryStore::new(),
            local,
            policy: policy.clone(),
            links: BTreeMap::new(),
            conns: BTreeMap::new(),
            on_job: None,
            on_result: None,
            on_push: None,
            on_reply: None,
            failing: false,
            heard: None,
            hashing: Vec::new(),
        };
        Self {
            now: NOW,
            hosts: Vec::new(),
            relay,
            wires: BTreeMap::new(),
            next_wire: 0,
            tap: Vec::new(),
            weather: None,
            seed,
            next_seed: 0,
            limits: Arc::default(),
        }
    }

    fn fresh_seed(&mut self) -> u64 {
        self.next_seed += 1;
        self.seed.wrapping_mul(1_000_003).wrapping_add(self.next_seed)
    }

    /// The relay's address, with its fingerprint.
    pub fn address(&self) -> RelayAddress {
        format!("{PLACE}#{}", self.relay.local.bundle.fingerprint()).parse().unwrap()
    }

    /// A new device of a user, not connected.
    pub fn add(&mut self, user: &str, policy: &Policy) -> usize {
        let mut vault_key = [0; 32];
        vault_key[..8].copy_from_slice(&self.fresh_seed().to_be_bytes());
        let user = UserName::new(user).unwrap();
        let mut config = ClientConfig::new(user.clone());
        (config.policy, config.limits) = (policy.clone(), self.limits.clone());
        config.rsa_bits = 2048;
        let generator = rng(self.fresh_seed());
        let client = Client::create(config, vault(&vault_key), generator, self.now).unwrap();
        self.hosts.push(Host {
            client,
            user,
            policy: policy.clone(),
            records: BTreeMap::new(),
            events: Vec::new(),
            unshown: Vec::new(),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            unsynced: Vec::new(),
            reads: BTreeMap::new(),
            writes: BTreeMap::new(),
            fuel: None,
            links: BTreeMap::new(),
            loose: BTreeMap::new(),
            vault_key,
            deaf: false,
            trusting: true,
        });
        let host = self.hosts.len() - 1;
        self.drain(host);
        host
    }

    /// A new device of a new user, registered and logged in.
    pub fn register(&mut self, user: &str, policy: &Policy) -> usize {
        let host = self.add(user, policy);
        self.connect(host);
        self.run();
        self.hosts[host].client.register(PASSWORD, self.now).unwrap();
        self.drain(host);
        self.run();
        assert!(
            self.saw(host, |event| matches!(event, Event::LoggedIn { listed: true })),
            "{:?}",
            self.hosts[host].events
        );
        host
    }

    /// A second device of the user of `first`, logged in and approved.
    pub fn second_device(&mut self, first: usize) -> usize {
        let (user, policy) = (self.hosts[first].user.to_string(), self.hosts[first].policy.clone());
        let second = self.add(&user, &policy);
        self.connect(second);
        self.run();
        self.hosts[second].client.log_in(PASSWORD, None, self.now).unwrap();
        self.drain(second);
        self.run();
        let listed = |listed: bool| move |event: &Event| *event == Event::LoggedIn { listed };
        assert!(self.saw(second, listed(false)), "{:?}", self.hosts[second].events);
        let device = self.hosts[second].client.identity();
        let proposed = |event: &Event| *event == Event::DeviceProposed { device };
        assert!(self.saw(first, proposed), "{:?}", self.hosts[first].events);
        self.hosts[first].client.approve_device(&device, self.now).unwrap();
        self.drain(first);
        self.run();
        assert!(self.saw(second, listed(true)), "{:?}", self.hosts[second].events);
        assert_eq!(self.hosts[first].client.devices(), self.hosts[second].client.devices());
        second
    }

    /// Connects a client to the relay.
    pub fn connect(&mut self, host: usize) -> LinkId {
        let address = self.address();
        self.connect_to(host, &address)
    }

    /// Connects a client to the relay, by this address.
    pub fn connect_to(&mut self, host: usize, address: &RelayAddress) -> LinkId {
        let link = self.hosts[host].client.connect_relay(address, self.now).unwrap();
        let wire = self.wire([End::Host(host, link), End::Relay]);
        self.hosts[host].links.insert(link, (wire, 0));
        let mut config = LinkConfig::new(Purpose::Relay);
        config.policy = self.relay.policy.clone();
        config.local = Some(self.relay.local.clone());
        let generator = rng(self.fresh_seed());
        self.relay.links.insert(wire, (Link::responder(config, generator, self.now).unwrap(), None));
        self.drain(host);
        link
    }

    /// Connects two clients without a relay: `from` dials `to`.
    pub fn connect_peers(&mut self, from: usize, to: usize, pin: Option<Fingerprint>) {
        let dialled = self.hosts[from].client.connect_peer(pin, self.now).unwrap();
        let accepted = self.hosts[to].client.accept_peer(self.now).unwrap();
        let wire = self.wire([End::Host(from, dialled), End::Host(to, accepted)]);
        self.hosts[from].links.insert(dialled, (wire, 0));
        self.hosts[to].links.insert(accepted, (wire, 1));
        self.drain(from);
        self.drain(to);
    }

    fn wire(&mut self, ends: [End; 2]) -> u64 {
        let id = self.next_wire;
        self.next_wire += 1;
        self.wires.insert(id, Wire { ends, queues: Default::default(), cut: [false; 2] });
        id
    }

    /// Breaks all connections of a client, without a close.
    pub fn cut(&mut self, host: usize) {
        let wires: Vec<u64> = self.hosts[host].links.values().map(|(wire, _)| *wire).collect();
        for wire in wires {
            self.cut_wire(wire);
        }
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
                End::Relay => self.relay_end(id),
            }
        }
    }

    /// Kills a client and starts it again from its records.
    pub fn restart(&mut self, host: usize, history: History) -> Result<(), Error> {
        let records = self.hosts[host].records.clone();
        self.restart_from(host, records, history)
    }

    /// Kills a client and starts it from records of another time.
    pub fn restart_from(
        &mut self,
        host: usize,
        records: BTreeMap<String, Vec<u8>>,
        history: History,
    ) -> Result<(), Error> {
        let generator = rng(self.fresh_seed());
        let mut config = ClientConfig::new(self.hosts[host].user.clone());
        (config.policy, config.limits) = (self.hosts[host].policy.clone(), self.limits.clone());
        let vault = vault(&self.hosts[host].vault_key);
        let client = Client::restore(config, vault, records.clone(), history, generator, self.now)?;
        // It is gone without a word: nothing more is taken from it.
        self.hosts[host].client = client;
        self.hosts[host].fuel = None;
        self.hosts[host].unshown.clear();
        for (file, offset, length) in core::mem::take(&mut self.hosts[host].unsynced) {
            self.hosts[host].incoming.get_mut(&file).unwrap()[offset..offset + length].fill(0xEE);
        }
        self.hosts[host].records = records;
        self.cut(host);
        self.hosts[host].links.clear();
        self.drain(host);
        Ok(())
    }

    /// Moves the bytes that wait between a client and a link that is led by hand, and gives what the link received;
    /// `None` when nothing moves any more. `over` is set when the link ends, and nothing is given to it then.
    pub fn exchange(&mut self, link: &mut Link, host: usize, at: LinkId, over: &mut bool) -> Option<Vec<Received>> {
        let mut bytes = Vec::new();
        while link.poll_transmit(&mut bytes) {}
        let quiet = bytes.is_empty();
        if !quiet {
            self.hosts[host].client.handle_input(at, &bytes, self.now);
        }
        self.drain(host);
        let bytes = self.hosts[host].loose.remove(&at).unwrap_or_default();
        if bytes.is_empty() && quiet {
            return None;
        }
        let mut received = Vec::new();
        if *over {
            return Some(received);
        }
        *over |= link.handle_input(&bytes, self.now).is_err();
        while let Some(event) = link.poll_event() {
            match event {
                LinkEvent::Data(data) => received.push(Received::decode(&data).unwrap()),
                LinkEvent::Closed { .. } => *over = true,
                LinkEvent::Open { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        Some(received)
    }

    /// Takes everything a client gives: saves, bytes, events. Files are served and collected.
    pub fn drain(&mut self, index: usize) {
        loop {
            let host = &mut self.hosts[index];
            if let Some(fuel) = &mut host.fuel {
                let Some(left) = fuel.checked_sub(1) else { return };
                *fuel = left;
            }
            if let Some(batch) = host.client.poll_save() {
                host.unsynced.clear();
                for save in batch {
                    match save.value {
                        Some(value) => host.records.insert(save.key, value),
                        None => host.records.remove(&save.key),
                    };
                }
                host.events.append(&mut host.unshown);
                continue;
            }
            host.events.append(&mut host.unshown);
            let mut bytes = Vec::new();
            if let Some(link) = host.client.poll_transmit(&mut bytes) {
                match host.links.get(&link).copied() {
                    Some((wire, end)) => self.post(wire, 1 - end, bytes),
                    None => host.loose.entry(link).or_default().extend(bytes),
                }
                continue;
            }
            if host.deaf {
                return;
            }
            let Some(event) = host.client.poll_event() else {
                return;
            };
            self.happened(index, event);
        }
    }

    fn happened(&mut self, index: usize, event: Event) {
        let now = self.now;
        let host = &mut self.hosts[index];
        match event {
            Event::FileNeed { file, chunk, offset, length } => {
                let Some(bytes) = host.outgoing.get(&file) else { return host.unshown.push(event) };
                let bytes = bytes[offset as usize..][..length].to_vec();
                *host.reads.entry((file, chunk)).or_default() += 1;
                // When it fails the client tells of it.
                let _ = host.client.supply_file(&file, chunk, &bytes, now);
            }
            Event::FileChunk { file, offset, data } => {
                *host.writes.entry((file, offset)).or_default() += 1;
                host.unsynced.push((file, offset as usize, data.len()));
                let bytes = host.incoming.entry(file).or_default();
                let end = offset as usize + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[offset as usize..end].copy_from_slice(&data);
            }
            Event::Verify { link, user: Some(_), fingerprint, expected: None, .. } if host.trusting => {
                host.client.accept_link(link, &fingerprint, now).unwrap();
            }
            Event::LinkClosed { link, .. } => {
                if let Some((wire, _)) = host.links.remove(&link)
                    && let Some(wire) = self.wires.get_mut(&wire)
                {
                    for (end, cut) in wire.ends.into_iter().zip(&mut wire.cut) {
                        *cut |= end == End::Host(index, link);
                    }
                }
                host.unshown.push(event);
            }
            event => host.unshown.push(event),
        }
    }

    fn post(&mut self, id: u64, to: usize, mut bytes: Vec<u8>) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        self.tap.extend_from_slice(&bytes);
        let to_relay = wire.ends[to] == End::Relay;
        let fate = self.weather.as_mut().map_or(Fate::Deliver, |weather| weather(&mut bytes, to_relay));
        let last = wire.queues[to].back().map_or(0, |(at, _)| *at);
        let at = self.now.max(last);
        match fate {
            Fate::Deliver => wire.queues[to].push_back((at, bytes)),
            Fate::Drop => {}
            Fate::Repeat => {
                wire.queues[to].push_back((at, bytes.clone()));
                wire.queues[to].push_back((at, bytes));
            }
            Fate::Delay(wait) => wire.queues[to].push_back((at + wait, bytes)),
            Fate::Overtake => {
                let place = wire.queues[to].len().saturating_sub(1);
                wire.queues[to].insert(place, (at, bytes));
            }
            Fate::Cut => wire.cut = [true; 2],
        }
    }

    /// Delivers what is on its way until nothing moves at the present time.
    pub fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the network does not come to rest");
    }

    /// Delivers one thing that is on its way.
    pub fn step(&mut self) -> bool {
        let now = self.now;
        let mut found = None;
        for (id, wire) in &self.wires {
            if wire.cut == [true; 2] {
                found = Some((*id, None));
                break;
            }
            let ready = |end: &usize| wire.queues[*end].front().is_some_and(|(at, _)| *at <= now);
            if let Some(end) = [0, 1].into_iter().find(ready) {
                found = Some((*id, Some(end)));
                break;
            }
        }
        let Some((id, end)) = found else { return false };
        let Some(end) = end else {
            self.cut_wire(id);
            return true;
        };
        let wire = self.wires.get_mut(&id).unwrap();
        let (_, bytes) = wire.queues[end].pop_front().unwrap();
        match wire.ends[end] {
            End::Host(host, link) => {
                self.hosts[host].client.handle_input(link, &bytes, now);
                self.drain(host);
            }
            End::Relay => self.relay_input(id, &bytes),
        }
        true
    }

    /// Lets time pass: timers fire when they are due, and what they cause is delivered.
    pub fn advance(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        for _ in 0..100_000 {
            self.run();
            let delayed =
                self.wires.values().flat_map(|wire| &wire.queues).filter_map(|queue| queue.front()).map(|(at, _)| *at);
            let clients = self.hosts.iter().filter_map(|host| host.client.poll_timeout());
            let links = self.relay.links.values().filter_map(|(link, _)| link.poll_timeout());
            let due = delayed.chain(clients).chain(links).chain(self.relay.relay.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(due);
            for index in 0..self.hosts.len() {
                if self.hosts[index].client.poll_timeout().is_some_and(|at| at <= self.now) {
                    self.hosts[index].client.handle_timeout(self.now);
                    self.drain(index);
                    // Whatever was due is done: a host that sleeps until the next time does not spin.
                    let next = self.hosts[index].client.poll_timeout();
                    assert!(next.is_none_or(|at| at > self.now), "{next:?} at {}", self.now);
                }
            }
            let wires: Vec<u64> = self.relay.links.keys().copied().collect();
            for wire in wires {
                let late =
                    self.relay.links.get_mut(&wire).is_some_and(|(link, _)| link.handle_timeout(self.now).is_err());
                if late {
                    self.cut_wire(wire);
                }
            }
            if self.relay.relay.poll_timeout().is_some_and(|at| at <= self.now) {
                self.relay.relay.handle_timeout(self.now);
                self.drain_relay();
            }
        }
        panic!("timers do not come to rest");
    }

    fn relay_input(&mut self, wire: u64, bytes: &[u8]) {
        let now = self.now;
        let Some((link, _)) = self.relay.links.get_mut(&wire) else { return };
        let outcome = link.handle_input(bytes, now);
        while let Some(event) = self.relay.links.get_mut(&wire).and_then(|(link, _)| link.poll_event()) {
            self.relay.link_event(wire, event, now);
        }
        self.drain_relay();
        if outcome.is_err() {
            self.cut_wire(wire);
        }
    }

    fn relay_end(&mut self, wire: u64) {
        if let Some((mut link, conn)) = self.relay.links.remove(&wire) {
            let _ = link.handle_end();
            if let Some(conn) = conn {
                self.relay.relay.disconnect(conn, self.now);
                self.relay.conns.remove(&conn);
            }
        }
        self.drain_relay();
    }

    /// Runs the relay's jobs, and takes what it wants to send.
    fn drain_relay(&mut self) {
        let now = self.now;
        loop {
            if let Some((id, job)) = self.relay.relay.poll_job() {
                let result = self.relay.run(job);
                self.relay.relay.complete(id, result, now);
                continue;
            }
            let Some((conn, output)) = self.relay.relay.poll_output() else { break };
            let Some(wire) = self.relay.conns.get(&conn).copied() else { continue };
            let Some((link, _)) = self.relay.links.get_mut(&wire) else { continue };
            match output {
                Output::Data(data) => {
                    if let Some(data) = lie(&data, &mut self.relay.on_push, &mut self.relay.on_reply) {
                        let _ = link.send(&data);
                    }
                }
                Output::Admitted => link.raise_frame_limit(),
                Output::Close(code) => {
                    let _ = link.close(code);
                }
            }
        }
        while self.relay.relay.poll_event().is_some() {}
        let wires: Vec<u64> = self.relay.links.keys().copied().collect();
        for wire in wires {
            let mut bytes = Vec::new();
            while self.relay.links.get_mut(&wire).is_some_and(|(link, _)| link.poll_transmit(&mut bytes)) {}
            if !bytes.is_empty() {
                self.post(wire, 0, bytes);
            }
        }
    }

    /// Whether a client has any connection.
    pub fn is_connected(&self, host: usize) -> bool {
        !self.hosts[host].links.is_empty()
    }

    /// Whether such an event was ever seen at a host.
    pub fn saw(&self, host: usize, is: impl Fn(&Event) -> bool) -> bool {
        self.hosts[host].events.iter().any(is)
    }

    /// The texts that arrived at a host, with who sent them, in order.
    pub fn texts(&self, host: usize) -> Vec<(String, String)> {
        let text = |event: &Event| match event {
            Event::Message(message) => match &message.body {
                MessageBody::Text(text) => Some((message.from.to_string(), text.clone())),
                _ => None,
            },
            _ => None,
        };
        self.hosts[host].events.iter().filter_map(text).collect()
    }

    /// Sends a text and lets it arrive.
    pub fn say(&mut self, from: usize, to: &str, text: &str) -> MessageId {
        let to = UserName::new(to).unwrap();
        let id = self.hosts[from].client.send_text(&to, text, self.now).unwrap();
        self.drain(from);
        self.run();
        id
    }

    /// Forgets what has happened so far at every host.
    pub fn forget_events(&mut self) {
        self.hosts.iter_mut().for_each(|host| host.events.clear());
    }
}

impl RelayHost {
    fn link_event(&mut self, wire: u64, event: LinkEvent, now: u64) {
        match event {
            LinkEvent::Open { channel_binding, .. } => {
                let address = Address::from([wire as u8; 16]);
                match self.relay.connect(now, address, channel_binding) {
                    Ok(conn) => {
                        self.conns.insert(conn, wire);
                        if let Some((_, slot)) = self.links.get_mut(&wire) {
                            *slot = Some(conn);
                        }
                    }
                    Err(code) => {
                        if let Some((link, _)) = self.links.get_mut(&wire) {
                            let _ = link.close(code as u8);
                        }
                    }
                }
            }
            LinkEvent::Data(data) => {
                if let Some(heard) = &mut self.heard {
                    heard.extend_from_slice(&data);
                }
                if let Some((_, Some(conn))) = self.links.get(&wire) {
                    self.relay.handle_data(*conn, &data, now);
                }
            }
            LinkEvent::Closed { .. } => {
                if let Some((_, Some(conn))) = self.links.get(&wire) {
                    self.relay.disconnect(*conn, now);
                    self.conns.remove(conn);
                }
            }
            _ => {}
        }
    }

    /// Does a job at once. Hashing is a stand-in: what is tested here is the order of things, not the hash.
    fn run(&mut self, job: Job) -> JobResult {
        match job {
            Job::Hash { password } => {
                self.hashing.push("hash");
                JobResult::Hash(PasswordHash::new(format!("hash of {}", password.as_str())))
            }
            Job::Verify { password, hash } => {
                self.hashing.push("verify");
                let ok = hash.as_str() == format!("hash of {}", password.as_str());
                JobResult::Verify { ok, rehash: false }
            }
            Job::Store(_) if self.failing => JobResult::Store(StoreResult::Failed),
            Job::Store(mut job) => {
                if let Some(hook) = &mut self.on_job {
                    hook(&mut job);
                }
                let mut result = self.store.run(core::slice::from_ref(&job)).remove(0);
                if let Some(hook) = &mut self.on_result {
                    hook(&job, &mut result);
                }
                JobResult::Store(result)
            }
        }
    }
}

/// What leaves the relay, after its hooks had their say.
fn lie(data: &[u8], on_push: &mut Option<PushHook>, on_reply: &mut Option<ReplyHook>) -> Option<Vec<u8>> {
    match (Received::decode(data).unwrap(), on_push, on_reply) {
        (Received::Push(mut push), Some(hook), _) => hook(&mut push).then(|| push.encode().unwrap().to_vec()),
        (Received::Reply(id, mut reply), _, Some(hook)) => {
            hook(&mut reply);
            Some(reply.encode(id).unwrap().to_vec())
        }
        _ => Some(data.to_vec()),
    }
}

fn vault(key: &[u8; 32]) -> Vault {
    Vault::new(Secret::from_bytes(key))
}
