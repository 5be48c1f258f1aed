//! What the scenarios share: identities from small numbers, and two links on a virtual clock.
#![allow(dead_code, unreachable_pub)] // No scenario uses all of it, and each includes it for itself.

pub mod ledger;
pub mod liar;
pub mod mallory;
pub mod net;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use securechat_core::crypto::{Random, rsa};
use securechat_core::error::Error;
use securechat_core::identity::{DeviceKeys, Fingerprint, LocalIdentity};
use securechat_core::limits::DAY;
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::noise::{Handshake, Keys, Pattern, Role, StaticKey, Transport};
use securechat_core::suite::{KeyExchange, Policy, Suite};
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

/// The moment at which every scenario begins.
pub const NOW: u64 = 20_000 * DAY;

pub const X25519_GCM: Suite = Suite::ALL[0];
pub const X25519_CBC: Suite = Suite::ALL[1];
pub const RSA_GCM: Suite = Suite::ALL[2];
pub const RSA_CBC: Suite = Suite::ALL[3];
pub const HYBRID_GCM: Suite = Suite::ALL[4];
pub const HYBRID_CBC: Suite = Suite::ALL[5];

/// The suites in which a run replays from its seed: AWS-LC takes its own randomness for RSA and ML-KEM.
pub fn replaying_suites() -> impl Iterator<Item = Suite> {
    let own_randomness = cfg!(feature = "aws-lc");
    Suite::ALL.into_iter().filter(move |suite| !own_randomness || suite.key_exchange == KeyExchange::X25519)
}

pub const PURPOSES: [Purpose; 2] = [Purpose::Relay, Purpose::Peer];

/// The ends of a [`Pair`], as indexes.
pub const INITIATOR: usize = 0;
pub const RESPONDER: usize = 1;

pub fn rng(seed: u64) -> Random {
    Box::new(ChaCha20Rng::seed_from_u64(seed))
}

pub fn all_suites() -> Policy {
    Policy::new(Suite::ALL.to_vec()).unwrap()
}

/// An identity without user or prekeys, with every static key, from `seed`.
pub fn new_identity(seed: u64) -> LocalIdentity {
    let mut keys = DeviceKeys::generate(&mut *rng(seed), None).unwrap();
    let der: &[u8] = if seed.is_multiple_of(2) {
        include_bytes!("../keys/rsa3072.der")
    } else {
        include_bytes!("../keys/rsa2048.der")
    };
    keys.rsa = Some(Arc::new(rsa::PrivateKey::from_der(der).unwrap()));
    LocalIdentity::new(keys, None, 0, &all_suites(), vec![], NOW).unwrap()
}

/// The same, made once for each of the seeds 0 to 4.
pub fn identity(seed: u64) -> Arc<LocalIdentity> {
    static MADE: LazyLock<[Arc<LocalIdentity>; 5]> =
        LazyLock::new(|| [0, 1, 2, 3, 4].map(|seed| Arc::new(new_identity(seed))));
    MADE[seed as usize].clone()
}

/// A config with these suites and the identity of `seed`.
pub fn config(purpose: Purpose, suites: &[Suite], seed: u64) -> LinkConfig {
    let mut config = LinkConfig::new(purpose);
    config.policy = Policy::new(suites.to_vec()).unwrap();
    config.local = Some(identity(seed));
    config
}

/// Two ends of a connection, with the bytes between them and a clock.
pub struct Pair {
    pub ends: [Link; 2],
    /// What is on its way to each end: chunks as they were written.
    pub wires: [VecDeque<Vec<u8>>; 2],
    /// What each end reported and was not yet looked at.
    pub events: [VecDeque<LinkEvent>; 2],
    pub now: u64,
}

/// How a scenario configures both ends.
pub fn configs(purpose: Purpose, suites: &[Suite]) -> [LinkConfig; 2] {
    let mut configs = [config(purpose, suites, 1), config(purpose, suites, 2)];
    configs[INITIATOR].pin = Some(fingerprint(2));
    configs[RESPONDER].pin = Some(fingerprint(1));
    configs
}

/// The fingerprint of the identity of `seed`.
pub fn fingerprint(seed: u64) -> Fingerprint {
    identity(seed).bundle.fingerprint()
}

impl Pair {
    /// Both ends with these configs; the offer is on its way.
    pub fn with(configs: [LinkConfig; 2]) -> Self {
        let [initiator, responder] = configs;
        let ends =
            [Link::initiator(initiator, rng(100), NOW).unwrap(), Link::responder(responder, rng(101), NOW).unwrap()];
        let mut pair = Self { ends, wires: Default::default(), events: Default::default(), now: NOW };
        pair.collect(INITIATOR);
        pair
    }

    /// Both ends with one policy, each with the other's pin.
    pub fn new(purpose: Purpose, suites: &[Suite]) -> Self {
        Self::with(configs(purpose, suites))
    }

    /// Both ends open, their events taken.
    pub fn open(purpose: Purpose, suite: Suite) -> Self {
        let mut pair = Self::new(purpose, &[suite]);
        pair.run().unwrap();
        assert!(pair.ends.iter().all(Link::is_open), "{purpose:?} {suite}");
        pair.events = Default::default();
        pair
    }

    /// Takes what an end has to write and to report.
    pub fn collect(&mut self, end: usize) {
        let mut bytes = Vec::new();
        while self.ends[end].poll_transmit(&mut bytes) {}
        if !bytes.is_empty() {
            self.wires[1 - end].push_back(bytes);
        }
        while let Some(event) = self.ends[end].poll_event() {
            self.events[end].push_back(event);
        }
    }

    /// Hands bytes to an end and takes what it has to write and to report.
    pub fn feed(&mut self, end: usize, bytes: &[u8]) -> Result<(), Error> {
        let result = self.ends[end].handle_input(bytes, self.now);
        self.collect(end);
        result
    }

    /// Delivers the next chunk to an end, if there is one, changed on its way.
    pub fn deliver(&mut self, end: usize, change: impl FnOnce(&mut Vec<u8>)) -> Result<bool, Error> {
        let Some(mut bytes) = self.wires[end].pop_front() else { return Ok(false) };
        change(&mut bytes);
        self.feed(end, &bytes).map(|()| true)
    }

    /// Delivers everything until nothing is on its way; the first error ends it.
    pub fn run(&mut self) -> Result<(), Error> {
        while self.deliver(RESPONDER, |_| ())? || self.deliver(INITIATOR, |_| ())? {}
        Ok(())
    }

    /// Sends `data` from an end; it is on its way.
    pub fn send(&mut self, end: usize, data: &[u8]) {
        self.ends[end].send(data).unwrap();
        self.collect(end);
    }

    /// What an end reported as data and was not yet taken; anything else fails the scenario.
    pub fn data(&mut self, end: usize) -> Vec<Vec<u8>> {
        let data = |event| match event {
            LinkEvent::Data(data) => data.into_vec(),
            other => panic!("{other:?}"),
        };
        self.events[end].drain(..).map(data).collect()
    }

    /// Whether an end has ever been told, in the events not yet taken, that it is connected or got data.
    pub fn saw_anything(&self, end: usize) -> bool {
        self.events[end].iter().any(|event| matches!(event, LinkEvent::Open { .. } | LinkEvent::Data(_)))
    }
}

/// Splits what was written into its frames, lengths included.
pub fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, _)) = bytes.split_first_chunk::<4>() {
        let (frame, rest) = bytes.split_at(4 + u32::from_be_bytes(*length) as usize);
        frames.push(frame.to_vec());
        bytes = rest;
    }
    frames
}

/// A frame of this content.
pub fn frame(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes(), content].concat()
}

/// An offer's bytes before its Noise message.
pub fn offer(suites: &[u16], chosen: u8, purpose: Purpose) -> Vec<u8> {
    let mut bytes = b"SCHT\x01".to_vec();
    bytes.push(suites.len() as u8);
    bytes.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
    bytes.extend([chosen, purpose as u8]);
    bytes
}

/// Offers a suite to a responder by hand, with `payload` in message 1, and gives the handshake after that message.
pub fn offer_by_hand(link: &mut Link, purpose: Purpose, suite: Suite, payload: &[u8]) -> Result<Handshake, Error> {
    let mut content = offer(&[suite.id()], 0, purpose);
    let prologue = [b"securechat1 link\0", content.as_slice()].concat();
    let pattern = match purpose {
        Purpose::Relay => Pattern::relay_link(suite.key_exchange),
        Purpose::Peer => Pattern::peer_link(suite.key_exchange),
    };
    let mut handshake = Handshake::new(pattern, suite, Role::Initiator, &prologue, Keys::default()).unwrap();
    handshake.write(payload, &mut *rng(1), &mut content).unwrap();
    link.handle_input(&frame(&content), NOW).map(|()| handshake)
}

/// Reads the answer of the identity of seed 2, and gives the frames behind it.
pub fn answer_by_hand(link: &mut Link, handshake: &mut Handshake) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    assert!(link.poll_transmit(&mut out));
    let mut frames = frames(&out);
    let answer = frames.remove(0);
    assert_eq!(answer[4], 1);
    handshake.read(&answer[5..], &mut *rng(2)).unwrap();
    handshake.confirm(&identity(2).bundle.remote_keys()).unwrap();
    frames
}

/// Records of a client that speaks by hand, and so can say anything: a link to a relay in 0x0101 whose handshake is
/// over, with the other side's `Ready` opened and none of our own sent.
pub struct ByHand {
    pub relay: Link,
    pub transport: Transport,
}

impl ByHand {
    pub fn new() -> Self {
        let mut relay = Link::responder(config(Purpose::Relay, &[X25519_GCM], 2), rng(101), NOW).unwrap();
        let mut handshake = offer_by_hand(&mut relay, Purpose::Relay, X25519_GCM, &[]).unwrap();
        let [ready] = answer_by_hand(&mut relay, &mut handshake).try_into().unwrap();
        let mut transport = handshake.into_transport().unwrap();
        assert_eq!(transport.opener.open(&mut ready[4..].to_vec()).unwrap(), [0]);
        Self { relay, transport }
    }

    /// Sends one record with this plaintext, type byte included.
    pub fn record(&mut self, plaintext: &[u8]) -> Result<(), Error> {
        let mut record = plaintext.to_vec();
        self.transport.sealer.seal(&mut record, 0).unwrap();
        self.relay.handle_input(&frame(&record), NOW)
    }
}

/// A relay by hand, in 0x0101 and with the keys of seed 2: what a client that pins `pin` makes of its answer with
/// `payload`, and the handshake behind it.
pub fn relay_by_hand(pin: Option<Fingerprint>, payload: &[u8]) -> (Link, Handshake, Result<(), Error>) {
    let mut config = config(Purpose::Relay, &[X25519_GCM], 1);
    config.pin = pin;
    let mut link = Link::initiator(config, rng(1), NOW).unwrap();
    let mut bytes = Vec::new();
    link.poll_transmit(&mut bytes);
    let (header, message) = bytes[4..].split_at(offer(&[X25519_GCM.id()], 0, Purpose::Relay).len());
    let prologue = [b"securechat1 link\0", header].concat();
    let keys = Keys { local_static: Some(StaticKey::X25519(identity(2).keys.x25519.duplicate())), ..Keys::default() };
    let pattern = Pattern::relay_link(X25519_GCM.key_exchange);
    let mut handshake = Handshake::new(pattern, X25519_GCM, Role::Responder, &prologue, keys).unwrap();
    handshake.read(message, &mut *rng(2)).unwrap();
    let mut answer = vec![1];
    handshake.write(payload, &mut *rng(3), &mut answer).unwrap();
    let outcome = link.handle_input(&frame(&answer), NOW);
    (link, handshake, outcome)
}
