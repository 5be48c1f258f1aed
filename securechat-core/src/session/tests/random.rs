//! Conversations at random: loss, reordering, repetition, forgery, crossed openings, reloads, backups put back.

use super::*;
use crate::limits::{HOUR, SENT_CONTENT_MAX};
use rand_core::Rng;

/// Devices that all write to each other over a wire that does what it likes.
struct World {
    devices: Vec<Peer>,
    wire: Vec<Packet>,
    /// Contents by message number.
    sent: Vec<Vec<u8>>,
    rng: ChaCha20Rng,
}

struct Peer {
    device: Device,
    /// One-time prekeys that were not handed out yet.
    shelf: Vec<SignedPrekey>,
    opened: BTreeSet<usize>,
    backup: Option<(Store, BTreeSet<usize>)>,
    /// Numbers of messages that did not open.
    unopened: BTreeSet<usize>,
}

#[derive(Clone)]
struct Packet {
    from: usize,
    to: usize,
    number: usize,
    envelope: Vec<u8>,
}

impl World {
    fn new(seed: u64, suites: &[Suite]) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let devices = (0..3)
            .map(|index| {
                let mut order = suites.to_vec();
                let turn = rng.next_u32() as usize % order.len();
                order.rotate_left(turn);
                let device = Device::new(index + 1, Policy::new(order).unwrap());
                let mut peer = Peer {
                    device,
                    shelf: Vec::new(),
                    opened: BTreeSet::new(),
                    backup: None,
                    unopened: BTreeSet::new(),
                };
                peer.fill_shelf();
                peer
            })
            .collect();
        Self { devices, wire: Vec::new(), sent: Vec::new(), rng }
    }

    fn below(&mut self, n: usize) -> usize {
        self.rng.next_u32() as usize % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn two(&mut self) -> (usize, usize) {
        let from = self.below(self.devices.len());
        let to = (from + 1 + self.below(self.devices.len() - 1)) % self.devices.len();
        (from, to)
    }

    fn open_session(&mut self, from: usize, to: usize, replacement: bool) {
        let bundle = self.devices[to].device.local.bundle.clone();
        let suite = self.devices[from].device.sessions.suite_for(&bundle).unwrap();
        let kind = PrekeyKind::for_suite(suite);
        let shelf = &mut self.devices[to].shelf;
        let one_time = shelf.iter().position(|prekey| prekey.prekey().kind() == kind).map(|place| shelf.remove(place));
        let Device { local, sessions, rng, now, .. } = &mut self.devices[from].device;
        sessions.open_to(local, &bundle, one_time.as_ref(), replacement, *now, rng).unwrap();
    }

    /// A new message, as it leaves.
    fn seal(&mut self, from: usize, to: usize) -> Packet {
        let recipient = self.devices[to].device.identity();
        if !self.devices[from].device.sessions.can_send(&recipient) {
            self.open_session(from, to, false);
        }
        let number = self.sent.len();
        let length = if self.one_in(50) { self.below(SENT_CONTENT_MAX) } else { self.below(300) };
        let mut content = vec![0; length];
        self.rng.fill_bytes(&mut content);
        let Device { sessions, rng, .. } = &mut self.devices[from].device;
        let envelope = sessions.seal(&recipient, &content, false, rng).unwrap();
        self.sent.push(content);
        Packet { from, to, number, envelope }
    }

    fn send(&mut self, losses: bool) {
        let (from, to) = self.two();
        let packet = self.seal(from, to);
        let copies = if losses && self.one_in(8) { 0 } else { 1 + usize::from(self.one_in(6)) };
        self.wire.extend(vec![packet; copies]);
    }

    /// Whatever is taken from the wire arrives.
    fn deliver(&mut self) {
        if self.wire.is_empty() {
            return;
        }
        let place = if self.one_in(3) { self.below(self.wire.len()) } else { 0 };
        let packet = self.wire.remove(place);
        self.arrive(&packet);
    }

    fn arrive(&mut self, packet: &Packet) {
        let sender = self.devices[packet.from].device.identity();
        let peer = &mut self.devices[packet.to];
        match peer.device.open(&packet.envelope) {
            Ok(opened) => {
                assert_eq!(*opened.content, self.sent[packet.number]);
                assert_eq!(opened.sender, sender);
                assert!(peer.opened.insert(packet.number), "opened twice");
                if opened.replacement_advised {
                    self.replace(packet.to, packet.from);
                }
            }
            Err(OpenError::Replay) => assert!(peer.opened.contains(&packet.number), "a replay of nothing"),
            Err(error) => {
                assert!(!matches!(error, OpenError::UnknownSender(_)));
                peer.unopened.insert(packet.number);
            }
        }
    }

    /// A changed copy of something on the wire arrives, and must not open.
    fn forge(&mut self) {
        if self.wire.is_empty() {
            return;
        }
        let place = self.below(self.wire.len());
        let Packet { to, mut envelope, .. } = self.wire[place].clone();
        // Behind the opening, if there is one: around a known session's message it plays no part.
        let begin = envelope.len() - 150;
        let at = begin + self.below(envelope.len() - begin);
        envelope[at] ^= 1 << self.below(8);
        let before = self.devices[to].device.snapshot();
        assert!(self.devices[to].device.open(&envelope).is_err());
        assert_eq!(self.devices[to].device.snapshot(), before);
    }

    fn step(&mut self) {
        match self.below(20) {
            0..8 => self.send(true),
            8..16 => self.deliver(),
            16 => self.forge(),
            17 => {
                let index = self.below(self.devices.len());
                self.devices[index].device.reload();
            }
            _ => self.pass(HOUR / 4),
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.devices.iter_mut().for_each(|peer| peer.device.advance(milliseconds));
    }

    fn put_back_a_backup(&mut self) {
        let index = self.below(self.devices.len());
        let peer = &mut self.devices[index];
        match peer.backup.take() {
            None => peer.backup = Some((peer.device.snapshot(), peer.opened.clone())),
            Some((backup, opened)) => {
                let device = &mut peer.device;
                device.restore_from(backup);
                device.sessions.mark_restored(device.now);
                let prekeys = device.sessions.last_resort_prekeys(device.now, &mut device.rng).unwrap();
                let policy = device.sessions.policy.clone();
                let serial = device.local.bundle.serial();
                device.local.renew(&policy, prekeys, serial, device.now).unwrap();
                peer.opened = opened;
                peer.fill_shelf();
            }
        }
    }

    /// A message in quiet; if it does not open, the receiver replaces the session (S8).
    fn try_exchange(&mut self, from: usize, to: usize) -> bool {
        let packet = self.seal(from, to);
        self.arrive(&packet);
        let opened = self.devices[to].opened.contains(&packet.number);
        if !opened {
            self.replace(to, from);
        }
        opened
    }

    /// Opens a replacement session, if one may be opened now (S8).
    fn replace(&mut self, from: usize, to: usize) {
        let recipient = self.devices[to].device.identity();
        let Device { sessions, now, .. } = &self.devices[from].device;
        if sessions.can_replace(&recipient, *now) {
            self.open_session(from, to, true);
        }
    }

    /// Everyone ends up able to write to everyone, both ways in one session.
    fn settles(&mut self) {
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let mut rounds = 0;
            let mut quiet = 0;
            while quiet < 3 {
                let there = self.try_exchange(one, other);
                let back = self.try_exchange(other, one);
                quiet = if there && back { quiet + 1 } else { 0 };
                rounds += 1;
                assert!(rounds < 10, "no end to replacements");
                self.pass(2 * HOUR);
            }
            let (one, other) = (&self.devices[one].device, &self.devices[other].device);
            assert_eq!(one.sends_in(other), other.sends_in(one), "both use one session");
        }
    }
}

impl Peer {
    /// As a relay would hold them after a publication.
    fn fill_shelf(&mut self) {
        let Device { local, sessions, rng, now, .. } = &mut self.device;
        let publication = sessions.prekeys_to_publish(local, &[], *now, rng).unwrap().unwrap();
        sessions.prekeys_published(&publication, *now);
        self.shelf = publication.prekeys.into_iter().step_by(8).collect();
    }
}

/// Without backups put back, whatever arrives opens once.
#[test]
fn b2_conversations_at_random_lose_only_what_the_wire_lost() {
    for seed in 0..6 {
        let mut world = World::new(seed, &Suite::ALL);
        for _ in 0..800 {
            world.step();
        }
        while !world.wire.is_empty() {
            world.deliver();
        }
        for peer in &world.devices {
            assert_eq!(peer.unopened, BTreeSet::new(), "seed {seed}");
        }
        world.settles();
        assert!(sealed_under_distinct_keys() > 300);
    }
}

#[test]
fn b4_backups_put_back_at_random_reuse_no_key_and_heal() {
    for seed in 0..6 {
        let mut world = World::new(seed, &Suite::ALL[4 * (seed as usize % 2)..][..2]);
        for _ in 0..600 {
            if world.one_in(25) {
                world.put_back_a_backup();
            }
            world.step();
        }
        world.wire.clear();
        world.pass(2 * HOUR);
        world.settles();
        sealed_under_distinct_keys();
    }
}

/// A run in suites that draw all their randomness from what they are given, whatever the backend: what is on the wire
/// and in the stores at its end. If `reloading`, every device goes on from its store after every step.
fn run(seed: u64, reloading: bool) -> (Vec<Vec<u8>>, Vec<Store>) {
    let mut world = World::new(seed, &Suite::ALL[..2]);
    for _ in 0..300 {
        world.step();
        if reloading {
            world.devices.iter_mut().for_each(|peer| peer.device.reload());
        }
    }
    let envelopes = world.wire.iter().map(|packet| packet.envelope.clone()).collect();
    (envelopes, world.devices.iter_mut().map(|peer| peer.device.snapshot()).collect())
}

#[test]
fn a_run_replays_from_its_seed() {
    assert!(run(77, false) == run(77, false));
    assert!(run(77, false) != run(78, false));
}

#[test]
fn saving_and_restoring_after_every_step_changes_no_byte() {
    for seed in 0..3 {
        assert!(run(seed, false) == run(seed, true), "seed {seed}");
    }
}
