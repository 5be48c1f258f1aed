//! Engines, each fed with what arrives at it. They are set up alike in every run, so that recorded exchanges replay.

use super::stream::Stream;
use crate::codec::Reader;
use crate::error::PeerMisbehaved;
use crate::identity::{DeviceKeys, LocalIdentity, PrekeyPublic, UserName};
use crate::limits::{DAY, ENVELOPE_MAX, FRAME_MAX, Limits};
use crate::link::{Link, LinkConfig, LinkEvent, Purpose};
use crate::noise::Role;
use crate::record::{Changes, Records};
use crate::session::{SenderCheck, Sessions};
use crate::suite::Policy;
use std::sync::Arc;

/// The time at which everything happens, Unix milliseconds.
pub const NOW: u64 = 20_000 * DAY;
/// What a side says of itself when a link opens or an envelope was opened.
pub const ANSWER: &[u8] = b"answer";

/// What arrives at who was called: a relay, or a peer.
///
/// The first byte has the purpose (1), whether the other side is pinned (2), and above that the steps of arrival less one.
pub fn link_responder(data: &[u8]) {
    arrive(Role::Responder, data);
}

/// What arrives at who called; the first byte is as in [`link_responder`].
pub fn link_initiator(data: &[u8]) {
    arrive(Role::Initiator, data);
}

fn arrive(role: Role, data: &[u8]) {
    let Some((choice, stream)) = data.split_first() else { return };
    let mut link = link(role, *choice);
    for piece in stream.chunks(usize::from(choice >> 2) + 1) {
        let taken = link.handle_input(piece, NOW);
        let mut out = Vec::new();
        react(&mut link, &mut out);
        assert!(out.len() <= 4 * FRAME_MAX, "what leaves is in proportion to what arrives");
        if let Err(error) = taken {
            assert!(!link.is_open() && link.channel_binding().is_none());
            assert_eq!(link.handle_input(b"more", NOW), Err(error), "an error stays");
            assert!(link.send(ANSWER).is_err());
            return;
        }
    }
    if link.is_open() {
        assert_eq!(link.handle_end(), Err(PeerMisbehaved::Truncation.into()));
    }
}

/// One end of a link, pinned to the other or not, by the first byte of the input.
pub fn link(role: Role, choice: u8) -> Link {
    let purpose = if choice & 1 == 0 { Purpose::Relay } else { Purpose::Peer };
    let (own, other) = if role == Role::Initiator { (1, 2) } else { (2, 1) };
    let mut config = LinkConfig::new(purpose);
    config.local = Some(Arc::new(local(purpose, own)));
    config.pin = (choice & 2 != 0).then(|| local(purpose, other).bundle.fingerprint());
    let rng = Box::new(Stream::new(own));
    if role == Role::Initiator { Link::initiator(config, rng, NOW) } else { Link::responder(config, rng, NOW) }.unwrap()
}

/// Does what a host does after input: accepts whoever it is, and says something once.
pub fn react(link: &mut Link, out: &mut Vec<u8>) {
    while let Some(event) = link.poll_event() {
        match event {
            // It may have failed after the event.
            LinkEvent::Verify { bundle, .. } => _ = link.accept(&bundle.fingerprint(), NOW),
            LinkEvent::Open { .. } => {
                link.raise_frame_limit();
                _ = link.send(ANSWER);
            }
            LinkEvent::Data(data) => assert!(data.len() <= FRAME_MAX),
            LinkEvent::Closed { .. } => {}
        }
    }
    while link.poll_transmit(out) {}
}

fn local(purpose: Purpose, number: u8) -> LocalIdentity {
    let user = (purpose == Purpose::Peer).then(|| user(number));
    LocalIdentity::new(keys(number), user, 1, &Policy::default(), vec![], NOW).unwrap()
}

/// The keys of the device of this number.
pub fn keys(number: u8) -> DeviceKeys {
    DeviceKeys::generate(&mut Stream::new(number), None).unwrap()
}

/// The user of this number.
pub fn user(number: u8) -> UserName {
    UserName::new(&format!("user{number}")).unwrap()
}

/// Envelopes that arrive at a device one after the other, each with its length as a u16 before it.
///
/// Each that opens is answered, so that the ratchet turns. One that does not open changes nothing.
pub fn envelope(data: &[u8]) {
    let mut device = Device::new(2);
    device.save();
    let mut reader = Reader::new(data);
    while let Ok(envelope) = reader.prefixed() {
        if device.read(envelope).is_some() {
            device.save();
        } else {
            assert!(device.save().is_empty(), "a message that did not open changed the state");
        }
    }
    let mut records = Records::default();
    for (key, value) in device.store {
        records.insert(key, value);
    }
    assert!(Sessions::restore(Policy::default(), Arc::default(), &records).is_ok());
}

/// A device with its sessions and what it saved.
pub struct Device {
    /// Its keys.
    pub local: LocalIdentity,
    sessions: Sessions,
    rng: Stream,
    store: std::collections::BTreeMap<String, zeroize::Zeroizing<Vec<u8>>>,
}

impl Device {
    /// The device of the user of this number.
    pub fn new(number: u8) -> Self {
        let mut rng = Stream::new(number);
        let mut sessions = Sessions::new(Policy::default(), Arc::new(Limits::default()));
        let prekeys: Vec<PrekeyPublic> = sessions.last_resort_prekeys(NOW, &mut rng).unwrap();
        let local = LocalIdentity::new(keys(number), Some(user(number)), 1, &Policy::default(), prekeys, NOW).unwrap();
        sessions.note_bundle(&local.bundle);
        Self { local, sessions, rng, store: Default::default() }
    }

    /// Opens a session and seals the first message in it.
    pub fn write_first(&mut self, other: &Self, content: &[u8]) -> Vec<u8> {
        self.sessions.open_to(&self.local, &other.local.bundle, None, false, NOW, &mut self.rng).unwrap();
        self.write(other, content)
    }

    /// Seals a message.
    pub fn write(&mut self, other: &Self, content: &[u8]) -> Vec<u8> {
        self.sessions.seal(&other.local.keys.identity(), content, false, &mut self.rng).unwrap()
    }

    /// Opens an envelope and seals the answer.
    pub fn read(&mut self, envelope: &[u8]) -> Option<Vec<u8>> {
        let check = &|_: &_| SenderCheck::Listed;
        let opened = self.sessions.open(&self.local, envelope, check, NOW, &mut self.rng).ok()?;
        let answer = self.sessions.seal(&opened.sender, ANSWER, false, &mut self.rng);
        assert!(answer.as_ref().is_ok_and(|answer| answer.len() <= ENVELOPE_MAX));
        answer.ok()
    }

    /// Takes what changed into the store.
    pub fn save(&mut self) -> Vec<String> {
        let mut changes = Changes::default();
        self.sessions.save(&mut changes);
        let mut keys = Vec::new();
        for (key, value) in changes.drain() {
            keys.push(key.clone());
            match value {
                Some(value) => self.store.insert(key, value),
                None => self.store.remove(&key),
            };
        }
        keys
    }
}
