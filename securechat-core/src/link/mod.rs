//! A link: the secure channel of one connection (PROTOCOL.md sections 3 and 4).
//!
//! Bytes go in, bytes come out; of use on its own, without any chat. After each call that may change something, write
//! what [`poll_transmit`](Link::poll_transmit) gives and handle what [`poll_event`](Link::poll_event) gives.
//!
//! ```text
//! initiator                                   responder
//! offer: suites, chosen, purpose, message 1 →
//!                                           ← accept, message 2    (or: retry with, or refused)
//! further messages of the pattern           ↔
//! Ready                                     ↔ Ready
//! data                                      ↔ data
//! Close                                     ↔ Close
//! ```
//!
//! A link that failed stays failed: its keys are erased and every later call returns the same error.
//!
//! Two ends in one place, where sockets would carry the bytes:
//!
//! ```
//! use securechat_core::crypto::Random;
//! use securechat_core::identity::{DeviceKeys, LocalIdentity};
//! use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
//! use securechat_core::suite::Policy;
//!
//! # fn random(seed: u64) -> Random {
//! #     Box::new(<rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(seed))
//! # }
//! # fn main() -> Result<(), securechat_core::error::Error> {
//! let now = 1_700_000_000_000; // Unix milliseconds
//! let keys = DeviceKeys::generate(&mut *random(1), None)?;
//! let relay = LocalIdentity::new(keys, None, 0, &Policy::default(), vec![], now)?;
//!
//! let mut config = LinkConfig::new(Purpose::Relay);
//! config.pin = Some(relay.bundle.fingerprint());
//! let mut client = Link::initiator(config, random(2), now)?;
//! let mut config = LinkConfig::new(Purpose::Relay);
//! config.local = Some(relay.into());
//! let mut server = Link::responder(config, random(3), now)?;
//!
//! let mut wire = Vec::new();
//! while client.poll_transmit(&mut wire) {
//!     server.handle_input(&std::mem::take(&mut wire), now)?;
//!     server.poll_transmit(&mut wire);
//!     client.handle_input(&std::mem::take(&mut wire), now)?;
//! }
//! assert!(matches!(client.poll_event(), Some(LinkEvent::Open { remote: Some(_), .. })));
//! assert!(matches!(server.poll_event(), Some(LinkEvent::Open { remote: None, .. })));
//!
//! client.send(b"hello")?;
//! client.poll_transmit(&mut wire);
//! server.handle_input(&wire, now)?;
//! assert!(matches!(server.poll_event(), Some(LinkEvent::Data(data)) if data == b"hello"));
//! # Ok(())
//! # }
//! ```

mod data;
mod handshake;
pub(crate) mod negotiation;
mod records;
mod slots;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod vectors;

use crate::crypto::Random;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::frame::Deframer;
use crate::identity::{Fingerprint, LocalIdentity, SignedBundle};
use crate::limits::{self, Limits};
use crate::noise::Role;
use crate::suite::{Policy, Suite};
use core::fmt;
use handshake::{ExpectAnswer, ExpectOffer, Setup};
use state::{Io, State};
use std::sync::Arc;

pub use data::Data;
pub use slots::RsaSlots;

/// One end of a connection.
#[derive(Debug)]
pub struct Link {
    state: State,
    io: Io,
    role: Role,
    purpose: Purpose,
    /// When the handshake has to be over, Unix milliseconds.
    deadline: u64,
}

/// Between whom a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A client and a relay; only the relay shows an identity.
    Relay = 0,
    /// Two peers; both show theirs.
    Peer = 1,
}

/// What a host decides about a link before it begins.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinkConfig {
    /// The suites that this side allows, in order.
    pub policy: Policy,
    /// Between whom the link is.
    pub purpose: Purpose,
    /// The bounds; of them the handshake's time limit counts here.
    pub limits: Arc<Limits>,
    /// Who this side is. A responder and a peer show it; an initiator towards a relay does not and may leave it out.
    pub local: Option<Arc<LocalIdentity>>,
    /// The fingerprint that the other side's identity has to have, where it is known.
    pub pin: Option<Fingerprint>,
    /// As a responder: refuse every offer as `busy`.
    pub busy: bool,
    /// As a responder: the places for RSA private operations, shared with the host's other links. None is no bound.
    pub rsa_slots: Option<RsaSlots>,
    /// Records of a direction between two rekeys; for tests that cannot send 2^20 of them. Both sides have to agree.
    #[doc(hidden)]
    pub rekey_after: u64,
}

impl LinkConfig {
    /// Default policy and limits, no identity, no pin.
    pub fn new(purpose: Purpose) -> Self {
        Self {
            policy: Policy::default(),
            purpose,
            limits: Arc::default(),
            local: None,
            pin: None,
            busy: false,
            rsa_slots: None,
            rekey_after: limits::REKEY_AFTER,
        }
    }
}

/// What happens on a link.
#[non_exhaustive]
pub enum LinkEvent {
    /// The link stopped: the other side showed an identity that no pin vouches for. It goes on with
    /// [`Link::accept`] and ends with [`Link::refuse`] or the handshake's time limit; until then nothing is sent.
    Verify {
        /// What the other side presented; its own signature is right.
        bundle: SignedBundle,
        /// There is a pin, and it names somebody else.
        changed: bool,
        /// The bundle is past its end (I4).
        expired: bool,
    },
    /// Both sides are authenticated as far as the purpose asks, and ready. The first moment to speak of `connected`.
    Open {
        /// What was agreed.
        suite: Suite,
        /// Equal on both sides of this link and on no other.
        channel_binding: [u8; 32],
        /// Who the other side is; none for a relay's client.
        remote: Option<SignedBundle>,
    },
    /// What the other side sent in one record. The host wipes it where it may be secret.
    Data(Data),
    /// The other side closed the link. Nothing more comes.
    Closed {
        /// The code it gave.
        code: u8,
    },
}

impl fmt::Debug for LinkEvent {
    /// Of data it shows the length alone.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verify { bundle, changed, expired } => formatter
                .debug_struct("Verify")
                .field("fingerprint", &bundle.fingerprint())
                .field("changed", changed)
                .field("expired", expired)
                .finish(),
            Self::Open { suite, remote, .. } => formatter
                .debug_struct("Open")
                .field("suite", suite)
                .field("remote", &remote.as_ref().map(SignedBundle::fingerprint))
                .finish_non_exhaustive(),
            Self::Data(data) => data.fmt(formatter),
            Self::Closed { code } => formatter.debug_struct("Closed").field("code", code).finish(),
        }
    }
}

impl Link {
    /// The end that opened the connection. Its offer is ready to be written.
    ///
    /// Fails with [`ApiMisuse::MissingKey`] when a peer's identity or a key that its policy needs is missing.
    pub fn initiator(config: LinkConfig, rng: Random, now: u64) -> Result<Self, Error> {
        Self::new(Setup::new(Role::Initiator, config, rng)?, now, ExpectAnswer::start)
    }

    /// The end that took the connection.
    ///
    /// Fails with [`ApiMisuse::MissingKey`] when its identity or a key that its policy needs is missing.
    pub fn responder(config: LinkConfig, rng: Random, now: u64) -> Result<Self, Error> {
        Self::new(Setup::new(Role::Responder, config, rng)?, now, |setup, _| {
            Ok(State::ExpectOffer(Box::new(ExpectOffer { setup, retried: None })))
        })
    }

    fn new(setup: Setup, now: u64, start: impl FnOnce(Setup, &mut Io) -> Result<State, Error>) -> Result<Self, Error> {
        let (role, purpose) = (setup.role, setup.config.purpose);
        let timeout = u64::try_from(setup.config.limits.handshake_timeout.as_millis()).unwrap_or(u64::MAX);
        let mut io = Io { now, ..Io::default() };
        let state = start(setup, &mut io)?;
        Ok(Self { state, io, role, purpose, deadline: now.saturating_add(timeout) })
    }

    /// Takes bytes that arrived, in any split.
    pub fn handle_input(&mut self, mut bytes: &[u8], now: u64) -> Result<(), Error> {
        self.handle_timeout(now)?;
        while !bytes.is_empty() {
            if matches!(self.state, State::Closed) {
                return self.fail(PeerMisbehaved::UnexpectedRecord.into());
            }
            match self.io.deframer.next_frame(&mut bytes) {
                Ok(Some(frame)) => self.step(|state, io| state.handle(frame, io))?,
                Ok(None) => {}
                Err(error) => return self.fail(error.into()),
            }
        }
        Ok(())
    }

    /// Notes that no more bytes will arrive. Fails with [`PeerMisbehaved::Truncation`] unless the other side closed.
    pub fn handle_end(&mut self) -> Result<(), Error> {
        match self.state {
            State::Closed => Ok(()),
            State::Failed(error) => Err(error),
            _ => self.fail(PeerMisbehaved::Truncation.into()),
        }
    }

    /// Appends to `out` what is to be written, and says whether that was anything.
    ///
    /// A link that failed or closed may still have something; when that is written, the connection can be ended.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        let queued = core::mem::take(&mut self.io.out);
        if out.is_empty() && out.capacity() <= queued.capacity() {
            *out = queued;
            return !out.is_empty();
        }
        out.extend_from_slice(&queued);
        !queued.is_empty()
    }

    /// The next event, in the order in which they happened.
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        self.io.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, Unix milliseconds.
    pub fn poll_timeout(&self) -> Option<u64> {
        (!self.is_settled()).then_some(self.deadline)
    }

    /// Fails with [`PeerMisbehaved::HandshakeTimeout`] when the link should have been open by `now`.
    pub fn handle_timeout(&mut self, now: u64) -> Result<(), Error> {
        self.io.now = now;
        match self.state {
            State::Failed(error) => Err(error),
            _ if !self.is_settled() && now >= self.deadline => self.fail(PeerMisbehaved::HandshakeTimeout.into()),
            _ => Ok(()),
        }
    }

    /// Sends `data` as one record. Fails with [`ApiMisuse::WrongState`] before the link is open, and with
    /// [`ApiMisuse::TooLarge`] when it is more than [`max_data`](Self::max_data).
    pub fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        let result = match &mut self.state {
            State::Open(open) => open.send(data, &mut self.io.out),
            state => Err(refused(state)),
        };
        self.keep(result)
    }

    /// As [`send`](Self::send), and [`poll_transmit`](Self::poll_transmit) with it: the record is sealed where it is
    /// written from, behind what was queued. It saves a host that writes at once a buffer and a copy.
    pub fn send_into(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let result = match &mut self.state {
            State::Open(open) => {
                out.append(&mut self.io.out);
                open.send(data, out)
            }
            state => Err(refused(state)),
        };
        self.keep(result)
    }

    /// Most bytes that [`send`](Self::send) takes now; 0 while the link is not open.
    pub fn max_data(&self) -> usize {
        match &self.state {
            State::Open(open) => open.max_data(),
            _ => 0,
        }
    }

    /// After [`LinkEvent::Verify`]: goes on with the identity of this fingerprint.
    ///
    /// If it is not the one presented, the link fails with [`PeerMisbehaved::IdentityMismatch`].
    pub fn accept(&mut self, fingerprint: &Fingerprint, now: u64) -> Result<(), Error> {
        self.handle_timeout(now)?;
        match &self.state {
            State::ExpectDecision(_) => self.step(|state, io| match state {
                State::ExpectDecision(state) => state.accept(fingerprint, io),
                other => Ok(other),
            }),
            state => Err(refused(state)),
        }
    }

    /// After [`LinkEvent::Verify`]: ends the link; the other side is told nothing.
    pub fn refuse(&mut self) {
        if matches!(self.state, State::ExpectDecision(_)) {
            let _ = self.fail(PeerMisbehaved::IdentityMismatch.into());
        }
    }

    /// The client is logged in: frames may now have their full length, on the relay's receiving side and on the
    /// client's sending side. Between peers that is so from the start, and nothing changes.
    pub fn raise_frame_limit(&mut self) {
        match (&mut self.state, self.purpose, self.role) {
            (State::Open(_), Purpose::Relay, Role::Responder) => self.io.deframer.raise_limit(),
            (State::Open(open), Purpose::Relay, Role::Initiator) => open.raise_send_limit(),
            _ => {}
        }
    }

    /// Sends `Close`; nothing can be sent after it. What still arrives is taken until the other side's `Close`.
    ///
    /// A link that is not open yet just ends.
    pub fn close(&mut self, code: u8) -> Result<(), Error> {
        let result = match &mut self.state {
            State::Open(open) => open.close(code, &mut self.io),
            State::Closed => Err(ApiMisuse::Closed.into()),
            State::Failed(error) => Err(*error),
            _ => {
                self.state = State::Failed(ApiMisuse::Closed.into());
                Ok(())
            }
        };
        self.keep(result)
    }

    /// Whether both sides are ready and none has closed.
    pub fn is_open(&self) -> bool {
        matches!(&self.state, State::Open(open) if !open.closing)
    }

    /// The suite, once the link is open.
    pub fn suite(&self) -> Option<Suite> {
        match &self.state {
            State::Open(open) => Some(open.records.suite),
            _ => None,
        }
    }

    /// The channel binding (4.2), once the link is open.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        match &self.state {
            State::Open(open) => Some(open.records.channel_binding()),
            _ => None,
        }
    }

    /// Whether the handshake's time limit counts no more.
    fn is_settled(&self) -> bool {
        matches!(self.state, State::Open(_) | State::Closed | State::Failed(_))
    }

    /// One transition; what it fails with stays.
    fn step(&mut self, step: impl FnOnce(State, &mut Io) -> Result<State, Error>) -> Result<(), Error> {
        let state = core::mem::replace(&mut self.state, State::Failed(ApiMisuse::WrongState.into()));
        match step(state, &mut self.io) {
            Ok(state) => {
                self.state = state;
                Ok(())
            }
            Err(error) => self.fail(error),
        }
    }

    /// Ends the link: keys and what came in of a frame are dropped, the error stays.
    fn fail(&mut self, error: Error) -> Result<(), Error> {
        self.state = State::Failed(error);
        self.io.deframer = Deframer::new();
        Err(error)
    }

    /// Makes an error that is not the caller's final.
    fn keep(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(error @ (Error::PeerMisbehaved(_) | Error::InvalidMessage(_) | Error::Decrypt(_))) => self.fail(error),
            result => result,
        }
    }
}

/// Why a call is not possible in this state.
fn refused(state: &State) -> Error {
    match state {
        State::Failed(error) => *error,
        State::Closed => ApiMisuse::Closed.into(),
        _ => ApiMisuse::WrongState.into(),
    }
}
