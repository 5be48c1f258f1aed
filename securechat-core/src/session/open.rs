//! The way in: envelopes opened, and sessions with them.

use super::envelope::{Envelope, Opening, SessionId, SessionMessage};
use super::handshake;
use super::peer::Peer;
use super::state::{Roots, Session, Unopened};
use super::store::Sessions;
use crate::crypto::secret::SecretVec;
use crate::error::{Error, PeerMisbehaved};
use crate::identity::{Identity, LocalIdentity, PrekeyKind, SignedBundle};
use crate::suite::Suite;
use core::fmt;
use rand_core::CryptoRng;
use thiserror::Error as ThisError;

/// What the caller knows of who opens a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderCheck {
    /// The device is in the newest list of the user that its bundle names, and its bundle agrees with the pin.
    Listed,
    /// That list has to be fetched first; the message is kept by the caller till then.
    Unknown,
    /// The device is not in the list, or its bundle contradicts the pin.
    Refused,
}

/// An envelope that opened.
pub struct Opened {
    /// The device whose session it was: the sender, whatever the content says.
    pub sender: Identity,
    /// The sender's bundle, where this message opened a session.
    pub bundle: Option<SignedBundle>,
    /// The content, without padding.
    pub content: SecretVec,
    /// The session.
    pub session: SessionId,
    /// Its suite.
    pub suite: Suite,
    /// Whether this message opened the session.
    pub new_session: bool,
    /// Sessions with that device that are superseded from now on.
    pub superseded: Vec<SessionId>,
    /// Whether S8 applies although the message opened: it opened a session older than the one that messages to the
    /// sender are sealed in. The sender did not know that one, and may have lost its state.
    pub replacement_advised: bool,
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Opened")
            .field("sender", &self.sender)
            .field("session", &self.session)
            .field("suite", &self.suite)
            .field("new_session", &self.new_session)
            .field("replacement_advised", &self.replacement_advised)
            .finish_non_exhaustive()
    }
}

/// Why an envelope did not open. Nothing has changed.
#[derive(Debug, PartialEq, Eq, ThisError)]
pub enum OpenError {
    /// It was opened before; it can be acknowledged and forgotten.
    #[error("the message was opened before")]
    Replay,
    /// Another message was opened at its place. One of the two is forged, or a state was copied; S8 applies.
    #[error("two messages claim one place in a session")]
    Fork {
        /// The device whose session it is.
        sender: Identity,
    },
    /// It opens a session, and its sender is to be looked up first (S5). Open it again when that is done.
    #[error("the sender is not known yet")]
    UnknownSender(Box<SignedBundle>),
    /// It cannot be opened. S8 applies, and S9.
    #[error("{error}")]
    Unopened {
        /// What went wrong.
        error: Error,
        /// The device whose session it is or who wrote the handshake, where that is known.
        sender: Option<Identity>,
    },
}

impl OpenError {
    /// The error with a number.
    pub fn error(&self) -> Error {
        match self {
            Self::Replay => PeerMisbehaved::Replay.into(),
            Self::Fork { .. } => PeerMisbehaved::Fork.into(),
            Self::UnknownSender(_) => PeerMisbehaved::NotInDeviceList.into(),
            Self::Unopened { error, .. } => *error,
        }
    }

    fn in_session(sender: Identity, reason: Unopened) -> Self {
        match reason {
            Unopened::Replay => Self::Replay,
            Unopened::Fork => Self::Fork { sender },
            Unopened::Failed(error) => Self::Unopened { error, sender: Some(sender) },
        }
    }
}

impl<E: Into<Error>> From<E> for OpenError {
    fn from(error: E) -> Self {
        match error.into() {
            Error::PeerMisbehaved(PeerMisbehaved::Replay) => Self::Replay,
            error => Self::Unopened { error, sender: None },
        }
    }
}

impl Sessions {
    /// Opens an envelope from whoever sent it.
    ///
    /// `check` is asked once about the bundle of a device that opens a session; what a relay says about the sender
    /// plays no part. `rng` blinds RSA operations. An envelope that fails changes nothing (S2).
    pub fn open(
        &mut self,
        local: &LocalIdentity,
        envelope: &[u8],
        check: &dyn Fn(&SignedBundle) -> SenderCheck,
        now: u64,
        rng: &mut dyn CryptoRng,
    ) -> Result<Opened, OpenError> {
        self.note_bundle(&local.bundle);
        match Envelope::decode(envelope)? {
            Envelope::First(opening, message) if !self.sessions.contains_key(&message.header.session) => {
                self.accept(local, &opening, &message, check, now, rng)
            }
            Envelope::First(_, message) | Envelope::Session(message) => self.open_known(&message, now),
        }
    }

    fn open_known(&mut self, message: &SessionMessage<'_>, now: u64) -> Result<Opened, OpenError> {
        let id = message.header.session;
        let session = self.sessions.get_mut(&id).ok_or(PeerMisbehaved::UnknownSession)?;
        let (sender, suite, both) = (session.peer, session.suite()?, session.both);
        let content = session.open(message, now).map_err(|reason| OpenError::in_session(sender, reason))?;
        let superseded = if session.both && !both { self.supersede(&sender, now) } else { Vec::new() };
        self.touched(id);
        Ok(Opened {
            sender,
            bundle: None,
            content,
            session: id,
            suite,
            new_session: false,
            superseded,
            replacement_advised: false,
        })
    }

    /// S5: a first message with an id that is not known.
    fn accept(
        &mut self,
        local: &LocalIdentity,
        opening: &Opening<'_>,
        message: &SessionMessage<'_>,
        check: &dyn Fn(&SignedBundle) -> SenderCheck,
        now: u64,
        rng: &mut dyn CryptoRng,
    ) -> Result<Opened, OpenError> {
        let id = message.header.session;
        let suite = self.accepted_suite(opening.suite)?;
        let kind = PrekeyKind::for_suite(suite);
        let prekey = self.prekeys.find(kind, opening.prekey, id)?;
        let (bundle, roots) = handshake::respond(suite, local, prekey, opening, now, rng)?;
        let sender = bundle.identity();
        let failed = |error: Error| OpenError::Unopened { error, sender: Some(sender) };
        match check(&bundle) {
            SenderCheck::Listed => {}
            SenderCheck::Unknown => return Err(OpenError::UnknownSender(Box::new(bundle))),
            SenderCheck::Refused => return Err(failed(PeerMisbehaved::NotInDeviceList.into())),
        }
        self.admit(kind, opening, &sender).map_err(|error| failed(error.into()))?;
        let mut session = begin(sender, suite, opening.order, roots, message).map_err(failed)?;
        let content = session.open(message, now).map_err(|reason| OpenError::in_session(sender, reason))?;

        self.prekeys.used(kind, opening.prekey, id, sender);
        self.insert(id, session, now);
        let replacement_advised = self.sending(&sender).is_some_and(|sending| sending != id);
        Ok(Opened {
            sender,
            bundle: Some(bundle),
            content,
            session: id,
            suite,
            new_session: true,
            superseded: Vec::new(),
            replacement_advised,
        })
    }

    /// The suite of a first message: one that the policy allows and a bundle of this device listed.
    fn accepted_suite(&self, suite: u16) -> Result<Suite, PeerMisbehaved> {
        let allowed = |suite: &Suite| self.policy.allows(*suite) && self.meta.suites.contains(&suite.id());
        Suite::from_id(suite).filter(allowed).ok_or(PeerMisbehaved::NoCommonSuite)
    }

    /// Whether the device may open a session of that order with that prekey (S7, and a bound on what is listed).
    fn admit(&self, kind: PrekeyKind, opening: &Opening<'_>, sender: &Identity) -> Result<(), PeerMisbehaved> {
        self.prekeys.has_room(kind, opening.prekey, sender)?;
        self.peers.get(sender).unwrap_or(&Peer::new(self.meta.restores)).accepts_order(opening.order)
    }

    /// S7: of sessions that have opened messages in both directions all but the newest only receive from now on.
    fn supersede(&mut self, with: &Identity, now: u64) -> Vec<SessionId> {
        let older = self.peers.get(with).map(|peer| peer.superseded(&self.sessions)).unwrap_or_default();
        for id in &older {
            if let Some(session) = self.sessions.get_mut(id) {
                session.superseded = Some(now);
            }
            self.touched(*id);
        }
        older
    }
}

/// The responder's side of a session, when its id is the derived one.
fn begin(
    sender: Identity,
    suite: Suite,
    order: u32,
    roots: Roots,
    message: &SessionMessage<'_>,
) -> Result<Session, Error> {
    if roots.session != message.header.session {
        return Err(PeerMisbehaved::SessionId.into());
    }
    // A ratchet key that gives no secret fails here, and not at the first answer.
    if message.header.place.key.is_low_order() {
        return Err(PeerMisbehaved::WeakKey.into());
    }
    Ok(Session::responder(sender, suite, order, roots, message))
}
