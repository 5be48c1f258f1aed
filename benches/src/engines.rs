//! A relay's engine and clients' engines in one place: what passes between them is carried by hand.

use crate::links::identity;
use crate::{NOW, random};
use securechat_core::client::{Client, ClientConfig};
use securechat_core::crypto::secret::Secret;
use securechat_core::event::LinkId;
use securechat_core::identity::{LocalIdentity, RelayAddress, UserName};
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::relay::{
    ConnId, Job, JobResult, MemoryStore, Output, PasswordHash, Relay, RelayConfig, Store as _,
};
use securechat_core::suite::Policy;
use securechat_core::vault::Vault;
use std::sync::Arc;

const SECOND: u64 = 1_000;

/// A relay, its store, and who is connected.
pub struct Network {
    /// The relay's engine, without links and store.
    pub relay: Relay,
    /// The clients, with the links that lead to the relay.
    pub seats: Vec<Seat>,
    store: MemoryStore,
    local: Arc<LocalIdentity>,
    policy: Policy,
}

/// A client, its link, and the relay's end of that.
pub struct Seat {
    /// The client's engine, with its end of the link.
    pub client: Client,
    at: LinkId,
    link: Link,
    conn: Option<ConnId>,
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
        Self { relay, seats: Vec::new(), store: MemoryStore::new(), local, policy: policy.clone() }
    }

    /// A new user with one device, registered and logged in.
    pub fn join(&mut self, user: &str) {
        let seed = 10 + self.seats.len() as u64;
        let mut config = ClientConfig::new(name(user));
        config.policy = self.policy.clone();
        let vault = Vault::new(Secret::from_bytes(&[7; 32]));
        let mut client = Client::create(config, vault, random(seed), NOW).unwrap();
        let address: RelayAddress = format!("relay:7000#{}", self.local.bundle.fingerprint()).parse().unwrap();
        let at = client.connect_relay(&address, NOW).unwrap();
        let mut config = LinkConfig::new(Purpose::Relay);
        config.policy = self.policy.clone();
        config.local = Some(self.local.clone());
        let link = Link::responder(config, random(seed + 1_000_000), NOW).unwrap();
        self.seats.push(Seat { client, at, link, conn: None });
        self.settle(NOW);
        self.seats.last_mut().unwrap().client.register("correct horse battery staple", NOW).unwrap();
        self.settle(NOW);
    }

    /// One user sends another a text.
    pub fn say(&mut self, from: usize, to: &str) {
        self.seats[from].client.send_text(name(to), "a text", NOW).unwrap();
        self.settle(NOW);
    }

    /// Lets a minute pass, in which prekeys are published and what was to be gathered is.
    pub fn rest(&mut self) {
        for second in 1..60 {
            let now = NOW + second * SECOND;
            self.relay.handle_timeout(now);
            self.seats.iter_mut().for_each(|seat| seat.client.handle_timeout(now));
            self.settle(now);
        }
    }

    /// Carries everything until nothing moves.
    fn settle(&mut self, now: u64) {
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
                    Job::Store(job) => JobResult::Store(self.store.run(&[job]).remove(0)),
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
                    seat.client.handle_input(seat.at, &wire, now);
                    wire.clear();
                }
            }
        }
    }
}

impl Seat {
    /// Takes what the client saves, sends and tells.
    fn drain(&mut self, wire: &mut Vec<u8>) {
        while self.client.poll_save().is_some()
            || self.client.poll_transmit(wire).is_some()
            || self.client.poll_event().is_some()
        {}
    }
}

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}
