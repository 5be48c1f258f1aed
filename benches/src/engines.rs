//! A relay's engine and clients' engines in one place: what passes between them is carried by hand.

use crate::links::identity;
use crate::{NOW, random};
use securechat_core::client::{Client, ClientConfig};
use securechat_core::crypto::secret::Secret;
use securechat_core::error::Error;
use securechat_core::event::{Event, LinkId};
use securechat_core::identity::{LocalIdentity, RelayAddress, UserName};
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::relay::{
    ConnId, Job, JobResult, MemoryStore, Output, PasswordHash, Relay, RelayConfig, Store as _, StoreJob,
};
use securechat_core::roster::GroupId;
use securechat_core::suite::Policy;
use securechat_core::vault::Vault;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECOND: u64 = 1_000;

/// A relay, its store, and who is connected.
pub struct Network {
    /// The relay's engine, without links and store.
    pub relay: Relay,
    /// The clients, with the links that lead to the relay.
    pub seats: Vec<Seat>,
    /// Envelopes that the relay was given, one for a group as one.
    pub envelopes: u64,
    store: MemoryStore,
    local: Arc<LocalIdentity>,
    policy: Policy,
    now: u64,
}

/// A client, its link, and the relay's end of that.
pub struct Seat {
    /// The client's engine, with its end of the link.
    pub client: Client,
    /// What it has cost so far.
    pub cost: Cost,
    /// Messages that it has read.
    pub read: u64,
    at: LinkId,
    link: Link,
    conn: Option<ConnId>,
}

/// What a client spends: its engine's time with its end of the link, and bytes.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// The time.
    pub time: Duration,
    /// Bytes towards the relay.
    pub sent: u64,
    /// Bytes from the relay.
    pub received: u64,
    /// Bytes of records that are to be saved.
    pub saved: u64,
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            time: self.time + other.time,
            sent: self.sent + other.sent,
            received: self.received + other.received,
            saved: self.saved + other.saved,
        }
    }
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            time: self.time - before.time,
            sent: self.sent - before.sent,
            received: self.received - before.received,
            saved: self.saved - before.saved,
        }
    }
}

impl Network {
    /// A relay to which nobody is connected.
    pub fn new(policy: &Policy) -> Self {
        let local = identity(1, policy.suites(), None);
        let config = RelayConfig {
            identity: local.bundle.identity(),
            server_password: None,
            registration_open: true,
            lobby: false,
            dummy_password: PasswordHash::new("none"),
            limits: Arc::default(),
        };
        let relay = Relay::new(config, random(2), NOW);
        let store = MemoryStore::new();
        Self { relay, seats: Vec::new(), envelopes: 0, store, local, policy: policy.clone(), now: NOW }
    }

    /// A new user with one device, registered and logged in.
    pub fn join(&mut self, user: &str) {
        let seed = 10 + self.seats.len() as u64;
        let mut config = ClientConfig::new(name(user));
        config.policy = self.policy.clone();
        let vault = Vault::new(Secret::from_bytes(&[7; 32]));
        let mut client = Client::create(config, vault, random(seed), self.now).unwrap();
        let address: RelayAddress = format!("relay:7000#{}", self.local.bundle.fingerprint()).parse().unwrap();
        let at = client.connect_relay(&address, self.now).unwrap();
        let mut config = LinkConfig::new(Purpose::Relay);
        config.policy = self.policy.clone();
        config.local = Some(self.local.clone());
        let link = Link::responder(config, random(seed + 1_000_000), self.now).unwrap();
        self.seats.push(Seat { client, cost: Cost::default(), read: 0, at, link, conn: None });
        self.settle();
        self.seats.last_mut().unwrap().client.register("correct horse battery staple", self.now).unwrap();
        self.settle();
    }

    /// One user sends another a text.
    pub fn say(&mut self, from: usize, to: &str) {
        self.seats[from].client.send_text(name(to), "a text", self.now).unwrap();
        self.settle();
    }

    /// Lets a minute pass, in which prekeys are published and what was to be gathered is.
    pub fn rest(&mut self) {
        for _ in 1..60 {
            self.now += SECOND;
            self.relay.handle_timeout(self.now);
            self.seats.iter_mut().for_each(|seat| seat.client.handle_timeout(self.now));
            self.settle();
        }
    }

    /// The first user creates a group.
    pub fn group(&mut self) -> GroupId {
        self.first(|client, now| client.create_group("group", false, now))
    }

    /// The first user adds others to a group.
    pub fn add(&mut self, group: GroupId, users: &[UserName]) {
        self.first(|client, now| client.add_to_group(&group, users, now));
    }

    /// The first user removes another from a group.
    pub fn remove(&mut self, group: GroupId, user: &UserName) {
        self.first(|client, now| client.remove_from_group(&group, core::slice::from_ref(user), now));
    }

    /// The first user writes to a group.
    pub fn write(&mut self, group: GroupId, text: &str) {
        self.first(|client, now| client.send_text(group, text, now));
    }

    /// The first user does something, and everybody gets what comes of it.
    fn first<T>(&mut self, act: impl FnOnce(&mut Client, u64) -> Result<T, Error>) -> T {
        let seat = &mut self.seats[0];
        let began = Instant::now();
        let done = act(&mut seat.client, self.now).unwrap();
        seat.cost.time += began.elapsed();
        self.settle();
        done
    }

    /// Lets time pass in which nothing is due: what was asked of the relay counts less towards its limits then.
    pub fn pause(&mut self, milliseconds: u64) {
        self.now += milliseconds;
    }

    /// Carries everything until nothing moves.
    fn settle(&mut self) {
        let now = self.now;
        let mut wire = Vec::new();
        let mut moved = true;
        while core::mem::take(&mut moved) {
            for (number, seat) in self.seats.iter_mut().enumerate() {
                seat.drain(&mut wire);
                moved |= !wire.is_empty();
                seat.link.handle_input(&wire, now).unwrap();
                wire.clear();
                while let Some(event) = seat.link.poll_event() {
                    match (event, seat.conn) {
                        (LinkEvent::Open { channel_binding, .. }, _) => {
                            let address = (number as u128).to_be_bytes();
                            seat.conn = Some(self.relay.connect(now, address, channel_binding).unwrap());
                        }
                        (LinkEvent::Data(data), Some(conn)) => self.relay.handle_data(conn, &data, now),
                        (event, _) => panic!("{event:?}"),
                    }
                }
            }
            while let Some((id, job)) = self.relay.poll_job() {
                let result = match job {
                    Job::Hash { .. } => JobResult::Hash(PasswordHash::new("a hash")),
                    Job::Verify { .. } => JobResult::Verify { ok: true, rehash: false },
                    Job::Store(job) => {
                        if let StoreJob::Send { items, .. } = &job {
                            self.envelopes += items.len() as u64;
                        }
                        JobResult::Store(self.store.run(&[job]).remove(0))
                    }
                };
                self.relay.complete(id, result, now);
            }
            while self.relay.poll_event().is_some() {}
            while let Some((conn, output)) = self.relay.poll_output() {
                let seat = self.seats.iter_mut().find(|seat| seat.conn == Some(conn)).unwrap();
                match output {
                    Output::Data(data) => seat.link.send(&data).unwrap(),
                    Output::Admitted => seat.link.raise_frame_limit(),
                    Output::Close(code) => panic!("closed: {code}"),
                }
            }
            for seat in &mut self.seats {
                if seat.link.poll_transmit(&mut wire) {
                    moved = true;
                    seat.cost.received += wire.len() as u64;
                    let began = Instant::now();
                    seat.client.handle_input(seat.at, &wire, now);
                    seat.cost.time += began.elapsed();
                    wire.clear();
                }
            }
        }
    }
}

impl Seat {
    /// Takes what the client saves, sends and tells.
    fn drain(&mut self, wire: &mut Vec<u8>) {
        let began = Instant::now();
        let mut moved = true;
        while core::mem::take(&mut moved) {
            if let Some(saves) = self.client.poll_save() {
                moved = true;
                let values = saves.iter().filter_map(|save| save.value.as_ref());
                self.cost.saved += values.map(|value| value.len() as u64).sum::<u64>();
            }
            moved |= self.client.poll_transmit(wire).is_some();
            if let Some(event) = self.client.poll_event() {
                moved = true;
                self.read += u64::from(matches!(event, Event::Message(_)));
            }
        }
        self.cost.time += began.elapsed();
        self.cost.sent += wire.len() as u64;
    }
}

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}
