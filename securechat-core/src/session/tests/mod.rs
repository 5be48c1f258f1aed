//! Sessions between devices, as properties of ATTACKS.md and rules of PROTOCOL.md section 6.

mod attacks;
mod basics;
mod bounds;
mod choice;
mod openings;
mod prekeys;
mod random;
mod reload;
mod restored;
mod vectors;

use super::{OpenError, Opened, SenderCheck, SessionId, Sessions};
use crate::crypto::secret::SecretVec;
use crate::error::{Decrypt, Error, PeerMisbehaved};
use crate::identity::samples::{self, NOW, all_suites, keys_with_rsa};
use crate::identity::{Identity, LocalIdentity, PrekeyKind, SignedBundle, SignedPrekey};
use crate::limits::Limits;
use crate::record::{Changes, Records};
use crate::suite::{Policy, Suite};
use crate::wire::PrekeyStock;
use core::cell::RefCell;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

thread_local! {
    static SEALED: RefCell<Vec<[u8; 32]>> = const { RefCell::new(Vec::new()) };
}

/// Notes the key of a message that was sealed; its nonce is always 0.
pub(super) fn note_sealed(key: &[u8; 32]) {
    SEALED.with_borrow_mut(|keys| keys.push(*key));
}

/// How many messages were sealed in this test since the last call, none of them under a key of another.
fn sealed_under_distinct_keys() -> usize {
    let keys = SEALED.take();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a key sealed two messages");
    keys.len()
}

const REPLAY: Error = Error::PeerMisbehaved(PeerMisbehaved::Replay);
const DECRYPT: Error = Error::Decrypt(Decrypt);

/// Records as a host keeps them.
type Store = BTreeMap<String, SecretVec>;

/// A device with its store.
struct Device {
    local: LocalIdentity,
    sessions: Sessions,
    rng: ChaCha20Rng,
    records: Store,
    now: u64,
}

impl Device {
    /// Device `seed` of the user of that number, with these suites.
    fn new(seed: u8, policy: Policy) -> Self {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let mut sessions = Sessions::new(policy.clone(), Arc::new(Limits::default()));
        let prekeys = sessions.last_resort_prekeys(NOW, &mut rng).unwrap();
        let user = samples::name(&format!("user{seed}"));
        let local = LocalIdentity::new(keys_with_rsa(seed), Some(user), seed.into(), &policy, prekeys, NOW).unwrap();
        sessions.note_bundle(&local.bundle);
        let mut device = Self { local, sessions, rng, records: BTreeMap::new(), now: NOW };
        device.save();
        device
    }

    fn identity(&self) -> Identity {
        self.local.keys.identity()
    }

    /// One-time prekeys of a kind, as if the relay had none.
    fn one_time(&mut self, kind: PrekeyKind) -> Vec<SignedPrekey> {
        let stock = [PrekeyStock { kind: kind.id(), left: 0, highest: 0 }];
        let publication =
            self.sessions.prekeys_to_publish(&self.local, &stock, self.now, &mut self.rng).unwrap().unwrap();
        publication.prekeys.into_iter().filter(|prekey| prekey.prekey().kind() == kind).collect()
    }

    fn open_to(&mut self, other: &Self) {
        self.try_open_to(other, None, false).unwrap();
    }

    fn try_open_to(&mut self, other: &Self, one_time: Option<&SignedPrekey>, replacement: bool) -> Result<(), Error> {
        let bundle = &other.local.bundle;
        self.sessions.open_to(&self.local, bundle, one_time, replacement, self.now, &mut self.rng).map(|_| ())
    }

    fn seal(&mut self, other: &Self, content: &[u8]) -> Vec<u8> {
        self.sessions.seal(&other.identity(), content, false, &mut self.rng).unwrap()
    }

    fn open(&mut self, envelope: &[u8]) -> Result<Opened, OpenError> {
        self.open_with(envelope, &|_| SenderCheck::Listed)
    }

    fn open_with(
        &mut self,
        envelope: &[u8],
        check: &dyn Fn(&SignedBundle) -> SenderCheck,
    ) -> Result<Opened, OpenError> {
        self.sessions.open(&self.local, envelope, check, self.now, &mut self.rng)
    }

    /// Opens what must open, and gives the content.
    fn reads(&mut self, envelope: &[u8]) -> Vec<u8> {
        self.open(envelope).unwrap().content.to_vec()
    }

    fn refuses(&mut self, envelope: &[u8]) -> Error {
        self.open(envelope).unwrap_err().error()
    }

    /// Writes what changed to the store.
    fn save(&mut self) {
        let mut changes = Changes::default();
        self.sessions.save(&mut changes);
        for (key, value) in changes.drain() {
            match value {
                Some(value) => self.records.insert(key, value),
                None => self.records.remove(&key),
            };
        }
    }

    /// Saves, and goes on with the state that the store holds.
    fn reload(&mut self) {
        self.save();
        self.restore_from(self.records.clone());
    }

    /// Everything of the state, as records.
    fn snapshot(&mut self) -> Store {
        self.save();
        self.records.clone()
    }

    /// The session that the next message to a device is sealed in.
    fn sends_in(&self, other: &Self) -> Option<SessionId> {
        self.sessions.sending(&other.identity())
    }

    fn advance(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.sessions.handle_timeout(self.now);
    }

    fn restore_from(&mut self, store: Store) {
        let mut records = Records::default();
        store.iter().for_each(|(key, value)| records.insert(key.clone(), value.clone()));
        self.records = store;
        self.sessions = Sessions::restore(self.sessions.policy.clone(), Arc::new(Limits::default()), &records).unwrap();
    }
}

/// Two devices with all suites, of which the first prefers `suite`.
fn pair(suite: Suite) -> (Device, Device) {
    let others = Suite::ALL.into_iter().filter(|other| *other != suite);
    let policy = Policy::new([suite].into_iter().chain(others).collect()).unwrap();
    (Device::new(1, policy), Device::new(2, all_suites()))
}

/// Two devices in suite 0x0101, each of which has read a message of the other.
fn established() -> (Device, Device) {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    alice.open_to(&bob);
    let hello = alice.seal(&bob, b"hello");
    bob.reads(&hello);
    let answer = bob.seal(&alice, b"answer");
    alice.reads(&answer);
    (alice, bob)
}

/// A message from one side to the other, which must open.
fn exchange(from: &mut Device, to: &mut Device) -> SessionId {
    let envelope = from.seal(to, b"exchanged");
    let opened = to.open(&envelope).unwrap();
    assert_eq!(opened.content.as_slice(), b"exchanged");
    opened.session
}

fn unopened(error: impl Into<Error>, sender: Option<&Device>) -> OpenError {
    OpenError::Unopened { error: error.into(), sender: sender.map(Device::identity) }
}
