//! Links, alone or two with somebody between them.

use super::AUTHENTIC;
use super::devices::{keys, user};
use super::program::{Program, tamper};
use super::stream::Stream;
use crate::error::PeerMisbehaved;
use crate::identity::LocalIdentity;
use crate::limits::{DAY, FRAME_MAX};
use crate::link::{Link, LinkConfig, LinkEvent, Purpose};
use crate::noise::Role;
use crate::suite::{Policy, Suite};
use std::sync::{Arc, LazyLock};

/// The time at which everything begins, Unix milliseconds.
pub const NOW: u64 = 20_000 * DAY;
/// What a side says of itself when a link opens or an envelope was opened.
pub const ANSWER: &[u8] = b"answer";

/// In which steps a recording arrives.
const STEPS: [usize; 8] = [1, 2, 7, 33, 250, 1_500, 9_000, 70_000];
/// Bytes on the way to one end at the most.
const WIRE: usize = 4 * FRAME_MAX;

/// What arrives at who was called: a relay, or a peer.
///
/// The first byte has the purpose (1), whether the other side is pinned (2), which suite comes first (4 to 16), and how
/// much arrives at once (32 to 128).
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
    let step = STEPS.get(usize::from(choice >> 5)).copied().unwrap_or(1);
    for piece in stream.chunks(step) {
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

/// The suites in order, beginning with this one.
pub(super) fn policy(first: usize) -> Policy {
    let mut suites = Suite::ALL.to_vec();
    suites.rotate_left(first % Suite::ALL.len());
    Policy::new(suites).unwrap()
}

/// One end of a link, by the first byte of the input.
pub fn link(role: Role, choice: u8) -> Link {
    let purpose = if choice & 1 == 0 { Purpose::Relay } else { Purpose::Peer };
    let (own, other) = if role == Role::Initiator { (1, 2) } else { (2, 1) };
    let mut config = LinkConfig::new(purpose);
    config.policy = policy(usize::from(choice >> 2 & 7));
    config.local = Some(local(purpose, own));
    config.pin = (choice & 2 != 0).then(|| local(purpose, other).bundle.fingerprint());
    config.rekey_after = 3;
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

fn local(purpose: Purpose, number: u8) -> Arc<LocalIdentity> {
    static MADE: LazyLock<[Arc<LocalIdentity>; 4]> = LazyLock::new(|| {
        [(Purpose::Relay, 1), (Purpose::Relay, 2), (Purpose::Peer, 1), (Purpose::Peer, 2)].map(|(purpose, number)| {
            let user = (purpose == Purpose::Peer).then(|| user(number));
            LocalIdentity::new(keys(number), user, 1, &policy(0), vec![], NOW).unwrap().into()
        })
    });
    MADE[usize::from(purpose == Purpose::Peer) * 2 + usize::from(number) - 1].clone()
}

/// Two ends from their first byte on, and somebody between them: two bytes as in [`link_responder`], then steps.
pub fn link_pair(data: &[u8]) {
    let mut program = Program::new(data);
    let choices = [program.byte(), program.byte()];
    Pair::new(choices).play(&mut program);
}

/// Two ends of an open link, and somebody between them: a byte as in [`link_responder`], then steps.
pub fn record(data: &[u8]) {
    let mut program = Program::new(data);
    // The handshake is not what this is about: of the suites, those that take the least time.
    let choice = program.byte() & 0b111;
    let mut pair = Pair::new([choice; 2]);
    while pair.wires.iter().any(|wire| !wire.is_empty()) {
        pair.deliver(0, WIRE);
        pair.deliver(1, WIRE);
    }
    assert!(pair.ends.iter().all(|end| end.binding.is_some() && end.error.is_none()), "an honest link opens");
    pair.play(&mut program);
}

/// Two ends, and the bytes that are on their way to each.
struct Pair {
    ends: [End; 2],
    wires: [Vec<u8>; 2],
    now: u64,
}

struct End {
    link: Link,
    error: Option<crate::error::Error>,
    binding: Option<[u8; 32]>,
    sent: Vec<Vec<u8>>,
    received: usize,
    closed: bool,
}

impl End {
    fn new(link: Link) -> Self {
        Self { link, error: None, binding: None, sent: Vec::new(), received: 0, closed: false }
    }
}

impl Pair {
    fn new(choices: [u8; 2]) -> Self {
        let ends = [link(Role::Initiator, choices[0]), link(Role::Responder, choices[1])].map(End::new);
        let mut pair = Self { ends, wires: Default::default(), now: NOW };
        pair.collect(0);
        pair
    }

    /// Steps: bytes arrive, are changed, or are thrown away; an end sends or closes; time passes.
    fn play(mut self, program: &mut Program<'_>) {
        while let Some(step) = program.step() {
            let end = usize::from(step & 1);
            match step >> 1 & 7 {
                0..=2 => self.deliver(end, WIRE >> (program.byte() % 18)),
                3 => {
                    let data = program.filling();
                    if self.ends[end].link.send(&data).is_ok() {
                        self.ends[end].sent.push(data);
                    }
                    self.collect(end);
                }
                4 => {
                    let again = self.wires[end].clone();
                    self.wires[end].extend(again);
                    self.wires[end].truncate(WIRE);
                }
                5 => tamper(&mut self.wires[end], program),
                // What one end said comes back to it.
                6 => self.wires[end] = self.wires[1 - end].clone(),
                _ if step & 0x80 != 0 => {
                    _ = self.ends[end].link.close(step >> 4);
                    self.collect(end);
                }
                _ => {
                    self.now += 1_000 * u64::from(step >> 4);
                    let outcome = self.ends[end].link.handle_timeout(self.now);
                    self.note(end, outcome);
                }
            }
        }
        for end in 0..2 {
            self.deliver(end, WIRE);
            let closed = self.ends[end].closed;
            let outcome = self.ends[end].link.handle_end();
            assert_eq!(outcome.is_ok(), closed && self.ends[end].error.is_none(), "an end that nobody announced");
        }
    }

    fn deliver(&mut self, end: usize, most: usize) {
        let length = most.min(self.wires[end].len());
        let bytes: Vec<u8> = self.wires[end].drain(..length).collect();
        let outcome = self.ends[end].link.handle_input(&bytes, self.now);
        self.note(end, outcome);
        self.collect(end);
    }

    fn note(&mut self, end: usize, outcome: Result<(), crate::error::Error>) {
        let end = &mut self.ends[end];
        if let Some(error) = end.error {
            assert_eq!(outcome, Err(error), "an error stays");
        }
        end.error = outcome.err();
        if end.error.is_some() {
            assert!(!end.link.is_open() && end.link.channel_binding().is_none() && end.link.max_data() == 0);
        }
    }

    /// Takes what an end says and shows.
    fn collect(&mut self, index: usize) {
        let [first, second] = &mut self.ends;
        let (end, other) = if index == 0 { (first, second) } else { (second, first) };
        while let Some(event) = end.link.poll_event() {
            match event {
                LinkEvent::Verify { bundle, .. } => _ = end.link.accept(&bundle.fingerprint(), self.now),
                LinkEvent::Open { channel_binding, .. } => {
                    assert!(end.binding.replace(channel_binding).is_none(), "open twice");
                    if AUTHENTIC && let Some(binding) = other.binding {
                        assert_eq!(binding, channel_binding, "both are open, and not with each other");
                    }
                    end.link.raise_frame_limit();
                }
                LinkEvent::Data(data) => {
                    assert!(end.binding.is_some() && !end.closed && data.len() <= FRAME_MAX);
                    if AUTHENTIC {
                        assert_eq!(
                            other.sent.get(end.received).map(Vec::as_slice),
                            Some(&*data),
                            "nobody sent that, or not here"
                        );
                    }
                    end.received += 1;
                }
                LinkEvent::Closed { .. } => end.closed = true,
            }
        }
        while end.link.poll_transmit(&mut self.wires[1 - index]) {}
        self.wires[1 - index].truncate(WIRE);
    }
}
