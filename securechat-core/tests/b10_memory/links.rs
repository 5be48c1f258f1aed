//! Links: their handshakes, their keys, and the generators that made them.

use crate::model::{self, Handshake, agree, public};
use crate::recorder::Recorder;
use crate::scan::Secrets;
use securechat_core::crypto::secret::Secret;
use securechat_core::crypto::{self, rsa};
use securechat_core::identity::{DeviceKeys, LocalIdentity};
use securechat_core::link::{Link, LinkConfig, Purpose};
use securechat_core::suite::{KeyExchange, Policy, Suite};
use std::sync::Arc;

pub const NOW: u64 = 20_000 * 24 * 60 * 60 * 1_000;

/// Two links and what their generators gave.
struct Pair {
    ends: [Link; 2],
    randomness: [Recorder; 2],
    statics: [Arc<LocalIdentity>; 2],
    suite: Suite,
    purpose: Purpose,
    /// Everything that went over the wire.
    wire: Vec<u8>,
}

pub fn identity(randomness: &Recorder, suites: &Policy) -> Arc<LocalIdentity> {
    let mut keys = DeviceKeys::generate(&mut *randomness.boxed(), None).unwrap();
    if suites.suites().iter().any(|suite| suite.key_exchange == KeyExchange::Rsa) {
        let der = include_bytes!("../keys/rsa2048.der");
        keys.rsa = Some(Arc::new(rsa::PrivateKey::from_der(der).unwrap()));
    }
    Arc::new(LocalIdentity::new(keys, None, 0, suites, vec![], NOW).unwrap())
}

impl Pair {
    fn new(suite: Suite, purpose: Purpose, rekey_after: u64) -> Self {
        let policy = Policy::new(vec![suite]).unwrap();
        let statics = [(); 2].map(|()| identity(&Recorder::fresh(), &policy));
        let randomness = [(); 2].map(|()| Recorder::fresh());
        let config = |own: usize| {
            let mut config = LinkConfig::new(purpose);
            config.policy = policy.clone();
            config.local = Some(statics[own].clone());
            config.pin = Some(statics[1 - own].bundle.fingerprint());
            config.rekey_after = rekey_after;
            config
        };
        let ends = [
            Link::initiator(config(0), randomness[0].boxed(), NOW).unwrap(),
            Link::responder(config(1), randomness[1].boxed(), NOW).unwrap(),
        ];
        Self { ends, randomness, statics, suite, purpose, wire: Vec::new() }
    }

    /// Moves bytes until nothing moves; `change` sees each flight.
    fn run(&mut self, mut change: impl FnMut(usize, &mut Vec<u8>)) {
        let mut flight = 0;
        loop {
            let mut moved = false;
            for from in [0, 1] {
                let mut bytes = Vec::new();
                while self.ends[from].poll_transmit(&mut bytes) {}
                if bytes.is_empty() {
                    continue;
                }
                change(flight, &mut bytes);
                flight += 1;
                moved = true;
                self.wire.extend_from_slice(&bytes);
                let _ = self.ends[1 - from].handle_input(&bytes, NOW);
                while self.ends[1 - from].poll_event().is_some() {}
            }
            if !moved {
                return;
            }
        }
    }

    fn open(suite: Suite, purpose: Purpose, rekey_after: u64) -> Self {
        let mut pair = Self::new(suite, purpose, rekey_after);
        pair.run(|_, _| {});
        assert!(pair.ends.iter().all(Link::is_open), "{suite} {purpose:?}");
        pair
    }

    fn say(&mut self, from: usize) {
        self.ends[from].send(b"data").unwrap();
        self.run(|_, _| {});
    }

    /// What the ephemeral keys give, in the suites that have no other secrets.
    fn model(&self) -> Handshake {
        let [initiator, responder] = [0, 1].map(|end| self.randomness[end].key(0));
        let [initiators, responders] = [0, 1].map(|end| *self.statics[end].keys.x25519.as_bytes());
        let mut mixed = vec_on_stack(agree(&initiator, &public(&responder)), agree(&initiator, &public(&responders)));
        let peers = agree(&initiators, &public(&responder));
        let (name, mixed): (&str, &[[u8; 32]]) = match self.purpose {
            Purpose::Relay => ("NX", &mixed[..2]),
            Purpose::Peer => {
                mixed[2] = peers;
                ("XX", &mixed)
            }
        };
        let cipher = if self.suite == Suite::ALL[0] { "AESGCM" } else { "AESCBCHMAC" };
        model::handshake(&format!("Noise_{name}_25519_{cipher}_SHA256"), self.suite.cipher, mixed)
    }

    /// The keys of both directions, as they are held.
    fn keys(&self, model: &Handshake) -> Secrets {
        let mut keys = model::aead("the initiator's sending key", self.suite.cipher, &model.initiators);
        keys.add(&model::aead("the responder's sending key", self.suite.cipher, &model.responders));
        keys
    }

    /// Everything that the generators gave and the wire did not show.
    fn generated(&self) -> Secrets {
        let mut all = self.randomness[0].secrets(&self.wire);
        all.add(&self.randomness[1].secrets(&self.wire));
        all
    }
}

fn vec_on_stack(ee: [u8; 32], es: [u8; 32]) -> [[u8; 32]; 3] {
    [ee, es, [0; 32]]
}

const PURPOSES: [Purpose; 2] = [Purpose::Relay, Purpose::Peer];

/// Closed by either side, failed, or dropped as it is.
pub fn b10_link_keys_end_with_the_link() {
    for suite in [Suite::ALL[0], Suite::ALL[1]] {
        for purpose in PURPOSES {
            let mut pair = Pair::open(suite, purpose, u64::MAX);
            let model = pair.model();
            let keys = pair.keys(&model);
            keys.must_be_found();
            pair.say(0);
            pair.say(1);
            pair.ends[0].close(0).unwrap();
            pair.run(|_, _| {});
            keys.must_be_gone();
            model.passed.must_be_gone();
            model::aead_origin(suite.cipher, &model.initiators).must_be_gone();
            model::aead_origin(suite.cipher, &model.responders).must_be_gone();
            drop(pair);
        }
        for way in ["failed", "dropped"] {
            let mut pair = Pair::open(suite, Purpose::Relay, u64::MAX);
            let keys = pair.keys(&pair.model());
            keys.must_be_found();
            if way == "failed" {
                pair.ends.iter_mut().for_each(|end| end.handle_end().unwrap_err_of_truncation());
            } else {
                drop(pair);
            }
            keys.must_be_gone();
        }
    }
}

trait Truncated {
    fn unwrap_err_of_truncation(self);
}

impl Truncated for Result<(), securechat_core::error::Error> {
    fn unwrap_err_of_truncation(self) {
        assert_eq!(self, Err(securechat_core::error::PeerMisbehaved::Truncation.into()));
    }
}

pub fn b10_old_link_keys_end_with_a_rekey() {
    for suite in [Suite::ALL[0], Suite::ALL[1]] {
        // `Ready` is the first record of each side.
        let mut pair = Pair::open(suite, Purpose::Relay, 3);
        let model = pair.model();
        let (mut initiators, mut responders) = (model.initiators, model.responders);
        pair.keys(&model).must_be_found();
        pair.say(0);
        pair.say(0);
        pair.keys(&model).must_be_found();
        for _ in 0..3 {
            let next = model::rekey(suite.cipher, &initiators);
            pair.say(0);
            model::aead("the key before", suite.cipher, &initiators).must_be_gone();
            model::aead("the present key", suite.cipher, &next).must_be_found();
            model::aead("the other direction's", suite.cipher, &responders).must_be_found();
            if suite == Suite::ALL[1] {
                // In GCM this is what is held; in CBC only what it was expanded to.
                Secrets::one("the key that was expanded", &next).must_be_gone();
            }
            pair.say(0);
            pair.say(0);
            initiators = next;
        }
        (0..3).for_each(|_| pair.say(1));
        model::aead("the key before", suite.cipher, &responders).must_be_gone();
        responders = model::rekey(suite.cipher, &responders);
        model::aead("the present key", suite.cipher, &responders).must_be_found();
    }
}

/// When a link is open, nothing is left of what led to its keys: ephemeral keys, shared secrets, chaining keys, and
/// whatever else the generators gave, in every suite.
pub fn b10_handshake_secrets_end_with_the_handshake() {
    for suite in Suite::ALL {
        for purpose in PURPOSES {
            let before = Pair::new(suite, purpose, u64::MAX);
            // The initiator has made its ephemeral key, and waits with it.
            Secrets::one("the ephemeral key", &before.randomness[0].key(0)).must_be_found();
            before.randomness[0].secrets(&before.wire).must_be_found();
            drop(before);
            let pair = Pair::open(suite, purpose, u64::MAX);
            let generated = pair.generated();
            assert!(generated.len() >= 4, "{suite}: the ephemeral keys of both, at least");
            generated.must_be_gone();
            if suite.key_exchange == KeyExchange::X25519 {
                let model = pair.model();
                pair.keys(&model).must_be_found();
                model.passed.must_be_gone();
            }
            // The static keys stay with whom they belong to.
            let statics = pair.statics.each_ref().map(|local| *local.keys.x25519.as_bytes());
            Secrets::one("a static key", &statics[1]).must_be_found();
        }
    }
}

/// Each flight changed: whoever notices has nothing left, and neither has the other when its connection ends.
pub fn b10_a_failed_handshake_leaves_nothing() {
    for suite in Suite::ALL {
        for purpose in PURPOSES {
            for broken in 0..3 {
                let mut pair = Pair::new(suite, purpose, u64::MAX);
                pair.run(|flight, bytes| {
                    if flight == broken {
                        *bytes.last_mut().unwrap() ^= 1;
                    }
                });
                if pair.ends.iter().all(Link::is_open) {
                    assert!(broken == 2, "the flights of the handshake come first");
                    continue;
                }
                for end in &mut pair.ends {
                    let _ = end.handle_end();
                }
                pair.generated().must_be_gone();
                if suite.key_exchange == KeyExchange::X25519 {
                    let model = pair.model_if_answered();
                    model.iter().for_each(|model| {
                        model.passed.must_be_gone();
                        pair.keys(model).must_be_gone();
                    });
                }
            }
        }
    }
}

impl Pair {
    /// What a handshake would have come to, when the responder has made its ephemeral key.
    fn model_if_answered(&self) -> Option<Handshake> {
        (self.randomness[1].keys() > 0).then(|| self.model())
    }
}

/// A generator of an engine's: neither the seed nor anything that it gave can be had from what it holds.
pub fn b10_generators_keep_nothing_of_what_they_gave() {
    let source = Recorder::new(9);
    let mut forked = crypto::fork(&mut *source.boxed());
    let seed = Secrets::one("the seed", &source.key(0));
    seed.must_be_found();
    let mut given = Secrets::default();
    for _ in 0..3 {
        let secret = Secret::<32>::random(&mut *forked);
        given.note("what the generator gave", secret.as_bytes());
        given.must_be_found_last();
    }
    // Each draw replaced the key that it was made from, the seed first of all.
    seed.must_be_gone();
    given.must_be_gone();
    drop(forked);
}

impl Secrets {
    /// The one noted last is in use.
    fn must_be_found_last(&self) {
        assert!(!self.search().is_empty());
    }
}
