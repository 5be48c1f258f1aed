//! Three devices that write to each other, and a wire that does what the program says.

use super::AUTHENTIC;
use super::devices::{Device, Saved};
use super::program::{Program, tamper};
use crate::identity::{Identity, PrekeyKind, SignedPrekey};
use crate::limits::{DAY, ENVELOPE_MAX, HOUR, SESSIONS_PER_DEVICE};
use crate::session::OpenError;
use std::collections::{BTreeMap, BTreeSet};

/// A byte for the suite that comes first, then steps.
///
/// Whatever the wire does, a message opens once at most, as what it was and from whom it was; one that does not open
/// changes nothing; and when the wire is quiet again, everybody can write to everybody.
pub fn session(data: &[u8]) {
    let mut program = Program::new(data);
    let mut world = World::new(program.below(8));
    while let Some(step) = program.step() {
        world.step(step, &mut program);
    }
    world.settle();
}

struct World {
    peers: [Peer; 3],
    sent: Vec<Packet>,
    /// Some device took what nobody had sent, which happens without authentication: from then on anything may.
    forged: bool,
    /// Keys that were kept for what had not come are gone, because of time or because a session was ended: a message
    /// that comes now may look like one that came before.
    aged: bool,
}

struct Peer {
    device: Device,
    /// Packets that opened here, by their number.
    opened: BTreeSet<usize>,
    /// The device at the other end of each session that was ever opened here.
    sessions: BTreeMap<String, Identity>,
    backup: Option<(Saved, BTreeSet<usize>)>,
    /// One-time prekeys as a relay has them.
    shelf: Vec<SignedPrekey>,
}

struct Packet {
    from: usize,
    to: usize,
    content: Vec<u8>,
    envelope: Vec<u8>,
}

impl World {
    fn new(first: usize) -> Self {
        let peer = |number| {
            let device = Device::new(number, first);
            let shelf = device.prekeys.clone();
            Peer { device, opened: BTreeSet::new(), sessions: BTreeMap::new(), backup: None, shelf }
        };
        Self { peers: [1, 2, 3].map(peer), sent: Vec::new(), forged: false, aged: false }
    }

    fn step(&mut self, step: u8, program: &mut Program<'_>) {
        let (one, other) = [(0, 1), (1, 0), (0, 2), (2, 1)][usize::from(step >> 6)];
        match step & 15 {
            0..=2 => {
                let mut content = program.filling();
                // No two are equal.
                content.extend((self.sent.len() as u32).to_be_bytes());
                _ = self.send(one, other, content);
            }
            3 => {
                self.open_to(one, other, program.byte() & 1 != 0);
            }
            // In turn, or out of turn.
            4..=7 => {
                let waits = |(number, packet): &(usize, &Packet)| !self.peers[packet.to].opened.contains(number);
                let next = self.sent.iter().enumerate().find(waits).map(|(number, _)| number);
                next.into_iter().for_each(|number| self.deliver(number));
            }
            8 | 9 => {
                let number = program.below(self.sent.len());
                if number < self.sent.len() {
                    self.deliver(number);
                }
            }
            10 | 11 => {
                let number = program.below(self.sent.len());
                if let Some(packet) = self.sent.get(number) {
                    let mut envelope = packet.envelope.clone();
                    tamper(&mut envelope, program);
                    self.arrive(number, program.below(3), &envelope);
                }
            }
            12 => self.peers[one].device.restart(),
            13 => {
                let time = [HOUR / 4, HOUR, DAY, 40 * DAY][program.below(4)];
                self.aged |= time >= DAY;
                self.pass(one, time);
            }
            14 => self.put_back_a_backup(one),
            _ => {
                let identity = self.peers[other].device.local.keys.identity();
                let Device { sessions, rng, now, .. } = &mut self.peers[one].device;
                if step & 16 == 0 {
                    self.aged = true;
                    sessions.end_device(&identity, *now);
                } else {
                    _ = sessions.seal(&identity, b"a message that nobody keeps", true, rng);
                }
                self.peers[one].device.save();
            }
        }
    }

    /// Opens a session, with a prekey from the relay's shelf if one fits.
    fn open_to(&mut self, from: usize, to: usize, replacement: bool) -> bool {
        let device = &self.peers[from].device;
        let suite = device.sessions.suite_for(&self.peers[to].device.local.bundle).unwrap();
        let kind = PrekeyKind::for_suite(suite);
        let shelf = &mut self.peers[to].shelf;
        let place = shelf.iter().position(|prekey| prekey.prekey().kind() == kind);
        let one_time = place.map(|place| shelf.remove(place));
        let [one, other] = self.peers.get_disjoint_mut([from, to]).unwrap();
        let opened = one.device.open_to(&other.device, one_time.as_ref(), replacement);
        one.device.save();
        let Ok(session) = opened else { return false };
        one.sessions.insert(session.to_string(), other.device.local.keys.identity());
        self.check_bounds(from);
        true
    }

    fn send(&mut self, from: usize, to: usize, content: Vec<u8>) -> Option<usize> {
        let identity = self.peers[to].device.local.keys.identity();
        if !self.peers[from].device.sessions.can_send(&identity) && !self.open_to(from, to, false) {
            if AUTHENTIC {
                panic!("a session to an honest device cannot be opened");
            }
            return None;
        }
        let Device { sessions, rng, .. } = &mut self.peers[from].device;
        let sealed = sessions.seal(&identity, &content, false, rng);
        self.peers[from].device.save();
        let Ok(envelope) = sealed else {
            assert!(!AUTHENTIC || content.len() > crate::limits::CONTENT_MAX);
            return None;
        };
        assert!(envelope.len() <= ENVELOPE_MAX);
        self.sent.push(Packet { from, to, content, envelope });
        Some(self.sent.len() - 1)
    }

    fn deliver(&mut self, number: usize) {
        let (to, envelope) = (self.sent[number].to, self.sent[number].envelope.clone());
        self.arrive(number, to, &envelope);
    }

    /// Something arrives that is packet `number`, or was made from it.
    fn arrive(&mut self, number: usize, at: usize, envelope: &[u8]) {
        let packet = &self.sent[number];
        let sender = self.peers[packet.from].device.local.keys.identity();
        let peer = &mut self.peers[at];
        let outcome = peer.device.open(envelope);
        let saved = peer.device.save();
        match outcome {
            Ok(opened) => {
                let right = at == packet.to && opened.sender == sender && *opened.content == packet.content;
                let right = right && peer.opened.insert(number);
                assert!(right || !AUTHENTIC, "what opened is not what was sent, or it opened before");
                self.forged |= !right;
                peer.sessions.insert(opened.session.to_string(), opened.sender);
                self.check_bounds(at);
                if opened.replacement_advised && right {
                    self.replace(at, self.sent[number].from);
                }
            }
            Err(error) => {
                assert!(saved.is_empty(), "a message that did not open changed {saved:?}");
                assert!(!matches!(error, OpenError::UnknownSender(_)), "everybody is known");
                let whole = *envelope == self.sent[number].envelope;
                let fork = matches!(error, OpenError::Fork { .. }) && whole;
                assert!(!fork || !AUTHENTIC, "a device used a key twice");
                let replay = matches!(error, OpenError::Replay) && whole;
                assert!(!replay || !AUTHENTIC || self.aged || peer.opened.contains(&number), "a replay of nothing");
            }
        }
    }

    /// At most eight sessions with each device.
    fn check_bounds(&self, at: usize) {
        let Peer { device, sessions, .. } = &self.peers[at];
        let mut counts = BTreeMap::<_, usize>::new();
        let whole = |key: &&str| key.len() == 32;
        for session in device.saved.keys().filter_map(|key| key.strip_prefix("session/")).filter(whole) {
            *counts.entry(sessions[session]).or_default() += 1;
        }
        assert!(counts.values().all(|count| *count <= SESSIONS_PER_DEVICE), "{counts:?} sessions");
    }

    fn pass(&mut self, at: usize, milliseconds: u64) {
        let device = &mut self.peers[at].device;
        device.now += milliseconds;
        device.sessions.handle_timeout(device.now);
        device.save();
    }

    /// Keeps a backup, or begins anew from the one that was kept (S10).
    fn put_back_a_backup(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        let Some((saved, opened)) = peer.backup.take() else {
            peer.backup = Some((peer.device.saved.clone(), peer.opened.clone()));
            return;
        };
        (peer.device.saved, peer.opened) = (saved, opened);
        peer.device.restart();
        peer.device.begin_anew();
        peer.shelf = peer.device.prekeys.clone();
    }

    /// A message in quiet; one that does not open is answered with another session (S8).
    fn exchange(&mut self, from: usize, to: usize) -> bool {
        let Some(number) = self.send(from, to, vec![0; 9]) else { return false };
        self.deliver(number);
        let opened = self.peers[to].opened.contains(&number);
        if !opened && let Some(number) = self.replace(to, from) {
            self.deliver(number);
        }
        opened
    }

    /// Opens a session in place of one that does not serve, if one may, and sends what asks for the message again.
    fn replace(&mut self, from: usize, to: usize) -> Option<usize> {
        let identity = self.peers[to].device.local.keys.identity();
        let Device { sessions, now, .. } = &self.peers[from].device;
        if !sessions.can_replace(&identity, *now) || !self.open_to(from, to, true) {
            return None;
        }
        let mut content = b"again".to_vec();
        content.extend((self.sent.len() as u32).to_be_bytes());
        self.send(from, to, content)
    }

    /// Everybody ends up able to write to everybody, without a word of theirs.
    fn settle(&mut self) {
        // Clocks agree again, and keys that are too old are made anew.
        let now = self.peers.iter().map(|peer| peer.device.now).max().unwrap();
        for at in 0..self.peers.len() {
            self.pass(at, now - self.peers[at].device.now);
            if self.peers[at].device.sessions.last_resort_due() <= now {
                self.peers[at].device.renew();
            }
            self.peers[at].shelf.clear();
        }
        for (one, other) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
            let mut quiet = 0;
            for _ in 0..10 {
                quiet = if self.exchange(one, other) { quiet + 1 } else { 0 };
                if quiet == 2 {
                    break;
                }
                if quiet == 0 {
                    (0..3).for_each(|at| self.pass(at, 2 * HOUR));
                }
            }
            assert!(quiet == 2 || self.forged, "the conversation does not heal");
        }
    }
}
