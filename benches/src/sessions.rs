//! Two devices with sessions.

use crate::{NOW, random};
use securechat_core::crypto::Random;
use securechat_core::identity::{DeviceKeys, Identity, LocalIdentity, UserName};
use securechat_core::limits::Limits;
use securechat_core::record::Changes;
use securechat_core::session::{SenderCheck, Sessions};
use securechat_core::suite::{Policy, Suite};
use std::sync::Arc;

/// One device.
pub struct Device {
    /// Its keys and bundle.
    pub local: LocalIdentity,
    /// Its sessions.
    pub sessions: Sessions,
    rng: Random,
}

impl Device {
    /// A device of a user, which speaks one suite.
    pub fn new(seed: u64, user: &str, suite: Suite, rsa_bits: Option<usize>) -> Self {
        let mut rng = random(seed);
        let policy = Policy::new(vec![suite]).unwrap();
        let mut sessions = Sessions::new(policy.clone(), Arc::new(Limits::default()));
        let prekeys = sessions.last_resort_prekeys(NOW, &mut *rng).unwrap();
        let keys = DeviceKeys::generate(&mut *rng, rsa_bits).unwrap();
        let local = LocalIdentity::new(keys, Some(UserName::new(user).unwrap()), 0, &policy, prekeys, NOW).unwrap();
        Self { local, sessions, rng }
    }

    /// Opens a session to `other`. Nothing is sent by that.
    pub fn open_to(&mut self, other: &Self) {
        self.sessions.open_to(&self.local, &other.local.bundle, None, false, NOW, &mut *self.rng).unwrap();
    }

    /// Seals a text for `other`.
    pub fn seal(&mut self, other: &Self, text: &[u8]) -> Vec<u8> {
        self.seal_to(&other.identity(), text)
    }

    /// Seals a text for the device that is known by this.
    pub fn seal_to(&mut self, other: &Identity, text: &[u8]) -> Vec<u8> {
        self.sessions.seal(other, text, false, &mut *self.rng).unwrap()
    }

    /// What it is known by.
    pub fn identity(&self) -> Identity {
        self.local.keys.identity()
    }

    /// Whose it is.
    pub fn user(&self) -> &UserName {
        self.local.bundle.bundle().user.as_ref().unwrap()
    }

    /// Opens an envelope.
    pub fn open(&mut self, envelope: &[u8]) -> Vec<u8> {
        let listed = |_: &_| SenderCheck::Listed;
        let opened = self.sessions.open(&self.local, envelope, &listed, NOW, &mut *self.rng).unwrap();
        opened.content.to_vec()
    }

    /// Takes what there is to be saved, as a host does after each call that changed something. Gives its bytes.
    pub fn save(&mut self) -> usize {
        let mut changes = Changes::default();
        self.sessions.save(&mut changes);
        changes.drain().map(|(_, value)| value.map_or(0, |value| value.len())).sum()
    }
}

/// Two devices that have both written and read.
pub fn pair(suite: Suite, rsa_bits: Option<usize>) -> (Device, Device) {
    let mut alice = Device::new(1, "alice", suite, rsa_bits);
    let mut bob = Device::new(2, "bob", suite, rsa_bits);
    meet(&mut alice, &mut bob);
    (alice, bob)
}

/// One opens a session to the other; then both have written and read, the first one last.
pub fn meet(alice: &mut Device, bob: &mut Device) {
    alice.open_to(bob);
    turn(alice, bob);
    let next = alice.seal(bob, b"next");
    bob.open(&next);
}

/// One writes, and the other answers.
pub fn turn(alice: &mut Device, bob: &mut Device) {
    let envelope = alice.seal(bob, b"to");
    bob.open(&envelope);
    let envelope = bob.seal(alice, b"fro");
    alice.open(&envelope);
}
