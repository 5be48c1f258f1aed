//! What the scenarios share: identities from small numbers, and two links on a virtual clock.
#![allow(dead_code, unreachable_pub)] // No scenario uses all of it, and each includes it for itself.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use securechat_core::crypto::{Random, rsa};
use securechat_core::error::Error;
use securechat_core::identity::{DeviceKeys, Fingerprint, LocalIdentity};
use securechat_core::limits::DAY;
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::suite::{Policy, Suite};
use std::collections::VecDeque;
use std::sync::Arc;

/// The moment at which every scenario begins.
pub const NOW: u64 = 20_000 * DAY;

pub const X25519_GCM: Suite = Suite::ALL[0];
pub const X25519_CBC: Suite = Suite::ALL[1];
pub const RSA_GCM: Suite = Suite::ALL[2];
pub const RSA_CBC: Suite = Suite::ALL[3];
pub const HYBRID_GCM: Suite = Suite::ALL[4];
pub const HYBRID_CBC: Suite = Suite::ALL[5];

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
pub fn identity(seed: u64) -> Arc<LocalIdentity> {
    let mut keys = DeviceKeys::generate(&mut *rng(seed), None).unwrap();
    let der: &[u8] = if seed.is_multiple_of(2) {
        include_bytes!("../keys/rsa3072.der")
    } else {
        include_bytes!("../keys/rsa2048.der")
    };
    keys.rsa = Some(Arc::new(rsa::PrivateKey::from_der(der).unwrap()));
    Arc::new(LocalIdentity::new(keys, None, 0, &all_suites(), vec![], NOW).unwrap())
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
            LinkEvent::Data(data) => data,
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
