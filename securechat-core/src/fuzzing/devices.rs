//! Devices with sessions, fed with envelopes. They are set up alike in every run, so that recorded exchanges replay.

use super::AUTHENTIC;
use super::links::{ANSWER, NOW, policy};
use super::stream::Stream;
use crate::codec::Reader;
use crate::crypto::rsa;
use crate::crypto::secret::SecretVec;
use crate::identity::{DeviceKeys, LocalIdentity, SignedPrekey, UserName};
use crate::limits::{ENVELOPE_MAX, Limits};
use crate::record::{Changes, Records};
use crate::session::{OpenError, Opened, SenderCheck, SessionId, Sessions};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// What a device saved.
pub type Saved = BTreeMap<String, SecretVec>;

/// The keys of the device of this number. All have the same RSA key, which was made beforehand.
pub fn keys(number: u8) -> DeviceKeys {
    static RSA: LazyLock<Arc<rsa::PrivateKey>> =
        LazyLock::new(|| Arc::new(rsa::PrivateKey::from_der(include_bytes!("../../tests/keys/rsa2048.der")).unwrap()));
    DeviceKeys { rsa: Some(RSA.clone()), ..DeviceKeys::generate(&mut Stream::new(number), None).unwrap() }
}

/// The user of this number.
pub fn user(number: u8) -> UserName {
    UserName::new(&format!("user{number}")).unwrap()
}

/// Envelopes that arrive at a device one after the other, each with its length as a u16 before it.
///
/// Each that opens is answered, so that the ratchet turns. One that does not open changes nothing.
pub fn envelope(data: &[u8]) {
    let mut device = Device::new(2, 0);
    device.save();
    let mut reader = Reader::new(data);
    while let Ok(envelope) = reader.prefixed() {
        if device.read(envelope).is_some() {
            device.save();
        } else {
            assert!(device.save().is_empty() || !AUTHENTIC, "a message that did not open changed the state");
        }
    }
    device.restart();
}

/// A device with its sessions and what it saved.
pub struct Device {
    /// Its keys.
    pub local: Arc<LocalIdentity>,
    /// Its sessions.
    pub(super) sessions: Sessions,
    /// What is left of its published one-time prekeys.
    pub(super) prekeys: Vec<SignedPrekey>,
    pub(super) rng: Stream,
    /// What it saved.
    pub(super) saved: Saved,
    pub(super) now: u64,
    number: u8,
    first: usize,
}

/// What a device is at its beginning, made once for each number and order of suites.
struct Beginning {
    local: Arc<LocalIdentity>,
    prekeys: Vec<SignedPrekey>,
    saved: Saved,
}

impl Beginning {
    fn new(number: u8, first: usize) -> Self {
        let mut rng = Stream::new(number);
        let mut sessions = Sessions::new(policy(first), limits());
        let last_resort = sessions.last_resort_prekeys(NOW, &mut rng).unwrap();
        let local = LocalIdentity::new(keys(number), Some(user(number)), 1, &policy(first), last_resort, NOW).unwrap();
        sessions.note_bundle(&local.bundle);
        let publication = sessions.prekeys_to_publish(&local, &[], NOW, &mut rng).unwrap().unwrap();
        sessions.prekeys_published(&publication, NOW);
        let mut saved = Saved::new();
        save(&mut sessions, &mut saved);
        Self { local: Arc::new(local), prekeys: publication.prekeys, saved }
    }
}

/// Of prekeys only a few: a device is read from its records in every run.
fn limits() -> Arc<Limits> {
    static LIMITS: LazyLock<Arc<Limits>> =
        LazyLock::new(|| Arc::new(Limits { prekeys_per_device: 1, ..Limits::default() }));
    LIMITS.clone()
}

fn save(sessions: &mut Sessions, saved: &mut Saved) -> Vec<String> {
    let mut changes = Changes::default();
    sessions.save(&mut changes);
    let mut keys = Vec::new();
    for (key, value) in changes.drain() {
        keys.push(key.clone());
        match value {
            Some(value) => saved.insert(key, value),
            None => saved.remove(&key),
        };
    }
    keys
}

fn restored(first: usize, saved: &Saved) -> Sessions {
    let mut records = Records::default();
    for (key, value) in saved {
        records.insert(key.clone(), value.clone());
    }
    Sessions::restore(policy(first), limits(), &records).unwrap()
}

impl Device {
    /// The device of the user of this number, with the suites in order from this one.
    pub fn new(number: u8, first: usize) -> Self {
        thread_local! {
            static MADE: RefCell<BTreeMap<(u8, usize), Beginning>> = const { RefCell::new(BTreeMap::new()) };
        }
        MADE.with_borrow_mut(|made| {
            let beginning = made.entry((number, first)).or_insert_with(|| Beginning::new(number, first));
            Self {
                local: beginning.local.clone(),
                sessions: restored(first, &beginning.saved),
                prekeys: beginning.prekeys.clone(),
                rng: Stream::new(number | 0x80),
                saved: beginning.saved.clone(),
                now: NOW,
                number,
                first,
            }
        })
    }

    /// Opens a session and seals the first message in it.
    pub fn write_first(&mut self, other: &Self, content: &[u8]) -> Vec<u8> {
        self.open_to(other, None, false).unwrap();
        self.write(other, content)
    }

    /// Opens a session.
    pub(super) fn open_to(
        &mut self,
        other: &Self,
        one_time: Option<&SignedPrekey>,
        replacement: bool,
    ) -> Result<SessionId, crate::error::Error> {
        let (bundle, rng) = (&other.local.bundle, &mut self.rng);
        self.sessions.open_to(&self.local, bundle, one_time, replacement, self.now, rng)
    }

    /// Seals a message.
    pub fn write(&mut self, other: &Self, content: &[u8]) -> Vec<u8> {
        self.sessions.seal(&other.local.keys.identity(), content, false, &mut self.rng).unwrap()
    }

    /// Opens an envelope.
    pub(super) fn open(&mut self, envelope: &[u8]) -> Result<Opened, OpenError> {
        let check = &|_: &_| SenderCheck::Listed;
        self.sessions.open(&self.local, envelope, check, self.now, &mut self.rng)
    }

    /// Opens an envelope and seals the answer.
    pub fn read(&mut self, envelope: &[u8]) -> Option<Vec<u8>> {
        let opened = self.open(envelope).ok()?;
        let answer = self.sessions.seal(&opened.sender, ANSWER, false, &mut self.rng);
        assert!(answer.as_ref().map_or(!AUTHENTIC, |answer| answer.len() <= ENVELOPE_MAX));
        answer.ok()
    }

    /// Takes what changed into the store, and gives the keys of it.
    pub fn save(&mut self) -> Vec<String> {
        save(&mut self.sessions, &mut self.saved)
    }

    /// What is done with a state that comes from a backup (S10).
    pub(super) fn begin_anew(&mut self) {
        self.sessions.mark_restored(self.now);
        self.renew();
        let stock = self.sessions.prekeys_to_publish(&self.local, &[], self.now, &mut self.rng).unwrap();
        self.prekeys = stock
            .map(|publication| {
                self.sessions.prekeys_published(&publication, self.now);
                publication.prekeys
            })
            .unwrap_or_default();
        self.save();
    }

    /// Another bundle, with last-resort prekeys of its own where they are due.
    pub(super) fn renew(&mut self) {
        let last_resort = self.sessions.last_resort_prekeys(self.now, &mut self.rng).unwrap();
        let keys = keys(self.number);
        let mut local = LocalIdentity { keys, bundle: self.local.bundle.clone() };
        local.renew(&policy(self.first), last_resort, 0, self.now).unwrap();
        self.local = Arc::new(local);
        self.sessions.note_bundle(&self.local.bundle);
        self.save();
    }

    /// Goes on from what was saved last.
    pub(super) fn restart(&mut self) {
        self.sessions = restored(self.first, &self.saved);
    }
}
