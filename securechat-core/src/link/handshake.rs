//! A link up to its records: offer, answer, handshake messages, and whose they are (PROTOCOL.md 4.1, 4.2).

use super::negotiation::{self, Answer, Offer, Retried};
use super::records::{ExpectReady, Record, Records};
use super::slots::RsaSlot;
use super::state::{Io, State};
use super::{LinkConfig, LinkEvent, Purpose};
use crate::crypto::Random;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::frame;
use crate::identity::{Fingerprint, LocalIdentity, SignedBundle};
use crate::noise::{Handshake, Keys, Pattern, Role, StaticKey};
use crate::suite::{KeyExchange, Suite};
use core::fmt;

/// What a link needs until its handshake is over.
pub(super) struct Setup {
    pub(super) role: Role,
    pub(super) config: LinkConfig,
    pub(super) rng: Random,
}

impl Setup {
    /// Fails with [`ApiMisuse::MissingKey`] when this side has to show an identity and one of its suites lacks a key.
    pub(super) fn new(role: Role, config: LinkConfig, rng: Random) -> Result<Self, Error> {
        let shows_identity = role == Role::Responder || config.purpose == Purpose::Peer;
        let complete = config
            .policy
            .suites()
            .iter()
            .all(|suite| config.local.as_ref().is_some_and(|local| static_key(local, *suite).is_some()));
        if shows_identity && !complete { Err(ApiMisuse::MissingKey.into()) } else { Ok(Self { role, config, rng }) }
    }

    fn handshake(&self, suite: Suite, prologue: &[u8]) -> Result<Handshake, Error> {
        let pattern = match self.config.purpose {
            Purpose::Relay => Pattern::relay_link(suite.key_exchange),
            Purpose::Peer => Pattern::peer_link(suite.key_exchange),
        };
        let local_static = self.config.local.as_ref().and_then(|local| static_key(local, suite));
        Handshake::new(pattern, suite, self.role, prologue, Keys { local_static, ..Keys::default() })
    }
}

/// The private key of the family that a suite asks for, if the bundle names its public half.
fn static_key(local: &LocalIdentity, suite: Suite) -> Option<StaticKey> {
    match suite.key_exchange {
        KeyExchange::Rsa => {
            local.bundle.static_rsa()?;
            local.keys.rsa.clone().map(StaticKey::Rsa)
        }
        KeyExchange::X25519 | KeyExchange::Hybrid => Some(StaticKey::X25519(local.keys.x25519.duplicate())),
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Setup").field("role", &self.role).field("config", &self.config).finish_non_exhaustive()
    }
}

/// Responder: waits for an offer.
#[derive(Debug)]
pub(super) struct ExpectOffer {
    pub(super) setup: Setup,
    /// The first offer, when this is the wait for the second.
    pub(super) retried: Option<Retried>,
}

impl ExpectOffer {
    pub(super) fn handle(self, frame: Vec<u8>, io: &mut Io) -> Result<State, Error> {
        match self.check(&frame) {
            Ok((suite, true)) => self.accept(suite, &frame, io),
            Ok((suite, false)) => Ok(self.retry(suite, frame, io)),
            Err(error) => {
                io.send_frame(&negotiation::refusal_answer(error));
                Err(error)
            }
        }
    }

    /// The suite to run, and whether it is the one that the offer chose.
    fn check(&self, frame: &[u8]) -> Result<(Suite, bool), Error> {
        let config = &self.setup.config;
        let (offer, ..) = Offer::decode(frame)?;
        if offer.purpose != config.purpose {
            return Err(PeerMisbehaved::WrongPurpose.into());
        }
        if config.busy {
            return Err(ApiMisuse::Busy.into());
        }
        let suite = offer.choice(&config.policy)?;
        if let Some(retried) = &self.retried {
            let (first, ..) = Offer::decode(&retried.offer_frame)?;
            if first.retry(suite.id()).as_ref() != Some(&offer) {
                return Err(PeerMisbehaved::BadRetry.into());
            }
        }
        Ok((suite, offer.chosen_id() == Some(suite.id())))
    }

    fn retry(self, suite: Suite, offer_frame: Vec<u8>, io: &mut Io) -> State {
        let answer = negotiation::retry_answer(suite);
        io.send_frame(&answer);
        State::ExpectOffer(Box::new(Self { setup: self.setup, retried: Some(Retried { offer_frame, answer }) }))
    }

    fn accept(self, suite: Suite, frame: &[u8], io: &mut Io) -> Result<State, Error> {
        let (_, header, message) = Offer::decode(frame)?;
        let full = self.setup.config.rsa_slots.as_ref().is_some_and(|slots| !slots.has_room());
        if suite.key_exchange == KeyExchange::Rsa && full {
            io.send_frame(&negotiation::refusal_answer(ApiMisuse::Busy.into()));
            return Err(ApiMisuse::Busy.into());
        }
        let prologue = negotiation::prologue(self.retried.as_ref(), header);
        let handshake = self.setup.handshake(suite, &prologue)?;
        let progress = Progress { setup: self.setup, suite, handshake, remote: None, prefix: &[negotiation::ACCEPT] };
        progress.receive(message, io)
    }
}

/// Initiator: waits for the answer to its offer.
#[derive(Debug)]
pub(super) struct ExpectAnswer {
    setup: Setup,
    offer: Offer,
    suite: Suite,
    handshake: Handshake,
    /// The frame of the first offer; none when this is the wait for the second answer.
    first_frame: Option<Vec<u8>>,
}

impl ExpectAnswer {
    /// Sends the first offer.
    pub(super) fn start(setup: Setup, io: &mut Io) -> Result<State, Error> {
        let offer = Offer::new(&setup.config.policy, setup.config.purpose);
        Self::offer(setup, offer, None, io)
    }

    fn offer(mut setup: Setup, offer: Offer, retried: Option<Retried>, io: &mut Io) -> Result<State, Error> {
        let suite = offer.chosen_id().and_then(Suite::from_id).ok_or(PeerMisbehaved::BadRetry)?;
        let mut content = offer.encode();
        let mut handshake = setup.handshake(suite, &negotiation::prologue(retried.as_ref(), &content))?;
        handshake.write(&[], &mut *setup.rng, &mut content)?;
        io.send_frame(&content);
        let first_frame = if retried.is_none() { Some(content) } else { None };
        Ok(State::ExpectAnswer(Box::new(Self { setup, offer, suite, handshake, first_frame })))
    }

    pub(super) fn handle(self, frame: &[u8], io: &mut Io) -> Result<State, Error> {
        match Answer::decode(frame)? {
            Answer::Accept(message) => {
                let Self { setup, suite, handshake, .. } = self;
                Progress { setup, suite, handshake, remote: None, prefix: &[] }.receive(message, io)
            }
            Answer::Retry(suite) => {
                let offer = self.offer.retry(suite).ok_or(PeerMisbehaved::BadRetry)?;
                let offer_frame = self.first_frame.ok_or(PeerMisbehaved::BadRetry)?;
                let answer = *frame.first_chunk().ok_or(PeerMisbehaved::BadRetry)?;
                Self::offer(self.setup, offer, Some(Retried { offer_frame, answer }), io)
            }
            Answer::Refuse(code) => Err(negotiation::refusal_error(code).into()),
        }
    }
}

/// A handshake between two of its messages.
#[derive(Debug)]
struct Progress {
    setup: Setup,
    suite: Suite,
    handshake: Handshake,
    /// Whom the other side's bundle names, once it came in.
    remote: Option<SignedBundle>,
    /// What stands before our next message in its frame.
    prefix: &'static [u8],
}

impl Progress {
    /// Reads the other side's message, checks whose it is, and goes on as far as that allows.
    fn receive(mut self, message: &[u8], io: &mut Io) -> Result<State, Error> {
        let carries_identity = self.handshake.carries_identity();
        let place = self.place()?;
        let payload = self.handshake.read(message, &mut *self.setup.rng)?;
        drop(place);
        if !carries_identity {
            return if payload.is_empty() { self.advance(io) } else { Err(PeerMisbehaved::UnexpectedPayload.into()) };
        }
        let bundle = SignedBundle::decode(&payload)?;
        self.handshake.confirm(&bundle.remote_keys())?;
        let config = &self.setup.config;
        if config.local.as_ref().is_some_and(|local| local.bundle.identity() == bundle.identity()) {
            return Err(PeerMisbehaved::OwnIdentity.into());
        }
        // One that is not valid yet is refused; an expired one is for the host to decide (I4).
        bundle.check_validity(io.now, u64::MAX)?;
        let expired = bundle.check_validity(io.now, 0).is_err();
        let fingerprint = bundle.fingerprint();
        let pinned = config.pin.map(|pin| pin == fingerprint);
        if pinned == Some(true) && !expired {
            self.remote = Some(bundle);
            return self.advance(io);
        }
        io.events.push_back(LinkEvent::Verify { bundle: bundle.clone(), changed: pinned == Some(false), expired });
        self.remote = Some(bundle);
        let stopped = if self.handshake.is_finished() {
            Stopped::Finished { expect: self.finish()?, ready: false }
        } else {
            Stopped::Handshake(self)
        };
        Ok(State::ExpectDecision(Box::new(ExpectDecision { fingerprint, stopped })))
    }

    /// The place that reading the next message takes, where it needs the private RSA operation.
    fn place(&self) -> Result<Option<RsaSlot>, ApiMisuse> {
        let slots = self.setup.config.rsa_slots.as_ref();
        let needed = slots.filter(|_| self.setup.role == Role::Responder && self.handshake.decapsulates());
        needed.map(|slots| slots.take().ok_or(ApiMisuse::Busy)).transpose()
    }

    /// Writes what is ours to write now.
    fn advance(mut self, io: &mut Io) -> Result<State, Error> {
        while self.handshake.is_my_turn() {
            let local = self.setup.config.local.as_ref().filter(|_| self.handshake.carries_identity());
            let payload = local.map_or(&[][..], |local| local.bundle.bytes());
            frame::write_frame(&mut io.out, |out| {
                out.extend_from_slice(core::mem::take(&mut self.prefix));
                self.handshake.write(payload, &mut *self.setup.rng, out)
            })?;
        }
        if self.handshake.is_finished() {
            self.finish()?.start(false, io)
        } else {
            Ok(State::ExpectMessage(Box::new(ExpectMessage(self))))
        }
    }

    /// The handshake is over; all that it needed is dropped.
    fn finish(self) -> Result<ExpectReady, Error> {
        let transport = self.handshake.into_transport()?.rekey_after(self.setup.config.rekey_after);
        Ok(ExpectReady {
            records: Records::new(self.suite, transport),
            role: self.setup.role,
            purpose: self.setup.config.purpose,
            remote: self.remote,
        })
    }
}

/// Waits for the other side's next handshake message.
#[derive(Debug)]
pub(super) struct ExpectMessage(Progress);

impl ExpectMessage {
    pub(super) fn handle(self, frame: &[u8], io: &mut Io) -> Result<State, Error> {
        self.0.receive(frame, io)
    }
}

/// Waits for the host to say whether the other side is the right one; nothing is sent meanwhile.
#[derive(Debug)]
pub(super) struct ExpectDecision {
    fingerprint: Fingerprint,
    stopped: Stopped,
}

/// Where the stop came.
#[derive(Debug)]
enum Stopped {
    /// Before our next handshake message.
    Handshake(Progress),
    /// After the last one: the other side may be ready before us.
    Finished { expect: ExpectReady, ready: bool },
}

impl ExpectDecision {
    pub(super) fn handle(mut self: Box<Self>, frame: Vec<u8>, io: &mut Io) -> Result<State, Error> {
        let Stopped::Finished { expect, ready } = &mut self.stopped else {
            return Err(PeerMisbehaved::UnexpectedRecord.into());
        };
        match expect.records.open(frame)? {
            Record::Ready if !*ready => {
                *ready = true;
                Ok(State::ExpectDecision(self))
            }
            Record::Close(code) if *ready => {
                io.events.push_back(LinkEvent::Closed { code });
                Ok(State::Closed)
            }
            _ => Err(PeerMisbehaved::UnexpectedRecord.into()),
        }
    }

    /// The host accepted `fingerprint`.
    pub(super) fn accept(self, fingerprint: &Fingerprint, io: &mut Io) -> Result<State, Error> {
        if self.fingerprint != *fingerprint {
            return Err(PeerMisbehaved::IdentityMismatch.into());
        }
        match self.stopped {
            Stopped::Handshake(progress) => progress.advance(io),
            Stopped::Finished { expect, ready } => expect.start(ready, io),
        }
    }
}
