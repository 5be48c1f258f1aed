//! A client and a relay: passwords on both sides, and what a client that is dropped leaves.

use crate::links::{NOW, identity};
use crate::recorder::Recorder;
use crate::scan::Secrets;
use securechat_core::client::{Client, ClientConfig, History};
use securechat_core::crypto::hash::sha256;
use securechat_core::event::{Event, LinkId};
use securechat_core::identity::{LocalIdentity, RelayAddress, UserName};
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::relay::{
    Address, ConnId, Job, JobResult, MemoryStore, Output, PasswordHash, Relay, RelayConfig, Store,
};
use securechat_core::suite::{Policy, Suite};
use securechat_core::vault::Vault;
use securechat_core::wire::{Password, Request, SetUpCode};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A password of 40 bytes. It is never on the stack, from where a move of something with gaps could carry it to the heap.
#[inline(never)]
fn password(n: u8) -> Zeroizing<String> {
    let mut password = Zeroizing::new(String::with_capacity(40));
    let hash = sha256(&[b"password", &[n]]);
    hash.iter().cycle().take(40).for_each(|byte| password.push(char::from(b'a' + byte % 26)));
    password
}

/// Something to look for, which is then only in the engines.
fn only_there(password: Zeroizing<String>) -> Secrets {
    Secrets::one("a password", password.as_bytes())
}

/// The wire's form of them alone.
pub fn b10_passwords_end_with_their_request() {
    let held = Password::new((*password(1)).clone()).unwrap();
    let mut secrets = only_there(password(1));
    secrets.must_be_found();
    let request = Request::SetUpCode(SetUpCode { password: held, code: None });
    let packet = request.encode(1).unwrap();
    drop(request.clone());
    let again = securechat_core::wire::Received::decode(&packet).unwrap();
    drop((request, again));
    secrets.must_be_found();
    drop(packet);
    secrets.must_be_gone();
    // One that is refused.
    let long = Zeroizing::new(password(2).repeat(20));
    secrets.add(&only_there(password(2)));
    assert!(Password::new((*long).clone()).is_err());
    drop(long);
    secrets.must_be_gone();
}

/// A client on a link to a relay, with nothing between them.
struct Net {
    client: Client,
    link: LinkId,
    relay: Relay,
    store: MemoryStore,
    relays_end: Link,
    conn: Option<ConnId>,
    records: BTreeMap<String, Vec<u8>>,
    wire: Vec<u8>,
    events: Vec<Event>,
    /// The passwords that the relay gives its host to hash are there while that works.
    jobs: usize,
}

impl Net {
    fn new(randomness: &Recorder, vault: Vault) -> Self {
        let policy = Policy::new(vec![Suite::ALL[4], Suite::ALL[0]]).unwrap();
        let local = identity(&Recorder::new(50), &policy);
        let config = RelayConfig {
            identity: local.bundle.identity(),
            server_password: None,
            registration_open: true,
            lobby: false,
            dummy_password: PasswordHash::new("dummy"),
            limits: Arc::default(),
        };
        let relay = Relay::new(config, Recorder::new(51).boxed(), NOW);
        let mut config = ClientConfig::new(UserName::new("alice").unwrap());
        config.policy = policy;
        let mut client = Client::create(config, vault, randomness.boxed(), NOW).unwrap();
        let (link, relays_end) = connect(&mut client, &local);
        let (store, records) = (MemoryStore::new(), BTreeMap::new());
        Self { client, link, relay, store, relays_end, conn: None, records, wire: vec![], events: vec![], jobs: 0 }
    }

    fn run(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(batch) = self.client.poll_save() {
                for save in batch {
                    let Some(value) = save.value else { continue };
                    self.records.insert(save.key, value);
                }
            }
            while let Some(event) = self.client.poll_event() {
                self.events.push(event);
                quiet = false;
            }
            let mut bytes = Vec::new();
            while self.client.poll_transmit(&mut bytes).is_some() {}
            quiet &= bytes.is_empty();
            self.wire.extend_from_slice(&bytes);
            self.relays_end.handle_input(&bytes, NOW).unwrap();
            self.serve();
            let mut bytes = Vec::new();
            while self.relays_end.poll_transmit(&mut bytes) {}
            quiet &= bytes.is_empty();
            self.wire.extend_from_slice(&bytes);
            self.client.handle_input(self.link, &bytes, NOW);
            if quiet && self.client.poll_save().is_none() {
                return;
            }
        }
    }

    /// What a server does, as this crate's documentation tells it to.
    fn serve(&mut self) {
        while let Some(event) = self.relays_end.poll_event() {
            match event {
                LinkEvent::Open { channel_binding, .. } => {
                    self.conn = self.relay.connect(NOW, Address::from([1; 16]), channel_binding).ok();
                }
                LinkEvent::Data(data) => {
                    self.relay.handle_data(self.conn.unwrap(), &Zeroizing::new(data), NOW);
                }
                other => panic!("{other:?}"),
            }
        }
        while let Some((id, job)) = self.relay.poll_job() {
            let result = match job {
                Job::Hash { password } => {
                    Secrets::one("the password to hash", password.as_str().as_bytes()).must_be_found();
                    self.jobs += 1;
                    JobResult::Hash(PasswordHash::new("a hash"))
                }
                Job::Verify { password, .. } => {
                    Secrets::one("the password to check", password.as_str().as_bytes()).must_be_found();
                    self.jobs += 1;
                    JobResult::Verify { ok: true, rehash: false }
                }
                Job::Store(job) => {
                    overwrite_the_stack();
                    JobResult::Store(self.store.run(&[job]).remove(0))
                }
            };
            self.relay.complete(id, result, NOW);
        }
        while let Some((_, output)) = self.relay.poll_output() {
            match output {
                Output::Data(data) => self.relays_end.send(&data).unwrap(),
                Output::Admitted => self.relays_end.raise_frame_limit(),
                Output::Close(code) => panic!("{code}"),
            }
        }
    }
}

/// Writes over what calls left on the stack. Where an answer of the store has bytes that nothing was written to, those of
/// the stack are moved into the heap with it; an unoptimised build of AES leaves blocks there.
#[inline(never)]
fn overwrite_the_stack() {
    black_box([0_u8; 1 << 16]);
}

fn connect(client: &mut Client, local: &Arc<LocalIdentity>) -> (LinkId, Link) {
    let address: RelayAddress = format!("relay.test:7000#{}", local.bundle.fingerprint()).parse().unwrap();
    let link = client.connect_relay(&address, NOW).unwrap();
    let mut config = LinkConfig::new(Purpose::Relay);
    config.policy = Policy::new(vec![Suite::ALL[4], Suite::ALL[0]]).unwrap();
    config.local = Some(local.clone());
    (link, Link::responder(config, Recorder::new(52).boxed(), NOW).unwrap())
}

/// Registered, changed, and used for a one-time code's secret: neither client nor relay has it any more, and the secret
/// is with the host that was told.
pub fn b10_the_relay_keeps_no_password() {
    let randomness = Recorder::new(1);
    let mut net = Net::new(&randomness, Vault::generate(&mut *Recorder::new(2).boxed()));
    net.run();
    net.client.register(&password(3), NOW).unwrap();
    net.run();
    assert!(net.events.iter().any(|event| matches!(event, Event::LoggedIn { listed: true })), "{:?}", net.events);
    let mut secrets = only_there(password(3));
    secrets.must_be_gone();
    net.client.change_password(&password(3), &password(4), NOW).unwrap();
    net.run();
    net.client.set_up_code(&password(4), None, NOW).unwrap();
    net.run();
    secrets.add(&only_there(password(4)));
    secrets.must_be_gone();
    assert!(net.jobs >= 4, "{} times there was a password to hash or to check", net.jobs);

    let secret = net.events.iter().position(|event| matches!(event, Event::CodeSecret { .. })).unwrap();
    let Event::CodeSecret { secret } = net.events.swap_remove(secret) else { unreachable!() };
    let found = Secrets::one("the secret of one-time codes", secret.as_bytes());
    found.must_be_found();
    // The relay has it until the connection ends without a first code.
    drop(secret);
    found.must_be_found();
    net.relay.disconnect(net.conn.unwrap(), NOW);
    found.must_be_gone();
}

/// Every key that its generator made, its vault's, and those of its link.
pub fn b10_a_client_that_is_dropped_leaves_no_key() {
    let randomness = Recorder::new(3);
    let keys = Recorder::new(4);
    let vault = || Vault::generate(&mut *Recorder::new(4).boxed());
    drop(Vault::generate(&mut *keys.boxed()));
    let mut net = Net::new(&randomness, vault());
    net.run();
    net.client.register(&password(5), NOW).unwrap();
    net.run();
    net.client.handle_timeout(NOW);
    net.run();
    let mut public = net.wire.clone();
    net.records.values().for_each(|record| public.extend_from_slice(record));
    let held = keys.secrets(&[]);
    held.must_be_found();
    let identity = Secrets::one("the identity key", &randomness.key(0));
    identity.must_be_found();

    // Once more, from its records.
    let config = || {
        let mut config = ClientConfig::new(UserName::new("alice").unwrap());
        config.policy = Policy::new(vec![Suite::ALL[4], Suite::ALL[0]]).unwrap();
        config
    };
    let records = net.records.clone();
    let again = Client::restore(config(), vault(), records, History::Restored, randomness.boxed(), NOW).unwrap();
    drop(net);
    held.must_be_found();
    identity.must_be_found();
    drop(again);
    held.must_be_gone();
    identity.must_be_gone();
    let all = randomness.secrets(&public);
    assert!(all.len() > 20, "{}: identity, statics, prekeys, seeds of links", all.len());
    all.must_be_gone();
}
