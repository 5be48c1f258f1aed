//! One session: its ratchet, what it remembers, and where it stands among the sessions with its device.

use super::envelope::{HEADER, Header, Opening, SessionId, SessionMessage};
use super::opened::{MessageHash, Opened, Seen};
use super::ratchet::Ratchet;
use super::skipped::Skipped;
use crate::codec::{self, Writer};
use crate::crypto::aead::{AeadKey, OVERHEAD_MAX};
use crate::crypto::hash::{hkdf_expand, sha256};
use crate::crypto::label::Label;
use crate::crypto::secret::{Secret, SecretVec};
use crate::error::{ApiMisuse, Error, InvalidMessage};
use crate::identity::Identity;
use crate::limits::{SENT_CONTENT_MAX, SUPERSEDED_KEPT, TRANSIENT_IN_A_ROW};
use crate::padding;
use crate::record::Changes;
use crate::suite::Suite;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// A session with one device. It serialises as the record `session/<id>`; what grows is in records beside it.
#[derive(Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) peer: Identity,
    suite: u16,
    pub(super) order: u32,
    ratchet: Ratchet,
    /// Whether both sides have opened messages here, and this side knows it (S7).
    pub(super) both: bool,
    /// Whether a message was opened here, or the session was opened here as a replacement (S7).
    pub(super) preferred: bool,
    /// Since when it only receives because a newer one took its place (S7).
    pub(super) superseded: Option<u64>,
    /// Whether it comes from a restored state, and so only receives (S10).
    pub(super) restored: bool,
    /// Transient messages in the sending chain since its last stored one (L2).
    transient: u32,
    skipped: Skipped,
    opened: Opened,
    /// The initiator's opening, as it stands before every message until an answer opened.
    #[serde(skip)]
    opening: Option<Vec<u8>>,
    #[serde(skip)]
    opening_changed: bool,
}

/// The secrets that a handshake gives a session (section 6).
pub(super) struct Roots {
    pub(super) root: Secret<32>,
    pub(super) chain: Secret<32>,
    pub(super) session: SessionId,
}

/// Why a message did not open in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    Replay,
    Fork,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Unopened {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Session {
    /// The initiator's side. `opening` is repeated until an answer opened.
    pub(super) fn initiator(
        peer: Identity,
        suite: Suite,
        order: u32,
        roots: Roots,
        opening: &Opening<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, InvalidMessage> {
        let ratchet = Ratchet::initiator(roots.root, roots.chain, rng);
        let opening = Some(opening.encode()?);
        Ok(Self { opening, opening_changed: true, ..Self::new(peer, suite, order, ratchet) })
    }

    /// The responder's side, which opens `first` next.
    pub(super) fn responder(
        peer: Identity,
        suite: Suite,
        order: u32,
        roots: Roots,
        first: &SessionMessage<'_>,
    ) -> Self {
        Self::new(peer, suite, order, Ratchet::responder(roots.root, roots.chain, first.header.place.key))
    }

    fn new(peer: Identity, suite: Suite, order: u32, ratchet: Ratchet) -> Self {
        Self {
            peer,
            suite: suite.id(),
            order,
            ratchet,
            both: false,
            preferred: false,
            superseded: None,
            restored: false,
            transient: 0,
            skipped: Skipped::default(),
            opened: Opened::default(),
            opening: None,
            opening_changed: false,
        }
    }

    /// The suite it was opened with.
    pub(super) fn suite(&self) -> Result<Suite, InvalidMessage> {
        Suite::from_id(self.suite).ok_or(InvalidMessage::UnknownValue)
    }

    /// Whether messages may be sealed here (S7).
    pub(super) fn sends(&self) -> bool {
        self.superseded.is_none() && !self.restored
    }

    /// Seals content for the other side: a whole envelope.
    ///
    /// Fails with `TooLarge`, with `TransientLimit` where a transient message has no place (L2), and with
    /// `CounterExhausted` at the end of a chain.
    pub(super) fn seal(
        &mut self,
        id: SessionId,
        content: &[u8],
        transient: bool,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        if content.len() > SENT_CONTENT_MAX {
            return Err(ApiMisuse::TooLarge.into());
        }
        // What opens a session must arrive, so a transient message never stands first in it.
        let opens = self.opening.is_some() && self.ratchet.sent() == 0;
        if transient && (opens || self.transient_in_chain() >= TRANSIENT_IN_A_ROW) {
            return Err(ApiMisuse::TransientLimit.into());
        }
        let suite = self.suite()?;
        let transient_before = self.transient_in_chain();
        let (place, message_key) = self.ratchet.send(rng)?;
        self.transient = if transient { transient_before + 1 } else { 0 };
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let header = Header { session: id, place, salt };

        let opening = self.opening.as_deref().unwrap_or_default();
        let length = 1 + opening.len() + HEADER + padding::padded_len(content.len()) + OVERHEAD_MAX;
        let mut envelope = Vec::with_capacity(length);
        envelope.put_u8(if self.opening.is_some() { 1 } else { 2 });
        envelope.put(opening);
        let message = envelope.len();
        header.encode(&mut envelope);
        let start = envelope.len();
        envelope.put(&padding::pad(content));
        let ad = AssociatedData::of(envelope.get(message..start).unwrap_or_default());
        let key = salted(message_key.as_bytes(), &salt);
        #[cfg(test)]
        super::tests::note_sealed(key.as_bytes());
        AeadKey::new(suite.cipher, key.as_bytes()).seal_in_place(0, ad.bytes(), &mut envelope, start);
        Ok(envelope)
    }

    /// Transient messages since the last stored one in the chain that the next message will be in.
    fn transient_in_chain(&self) -> u32 {
        if self.ratchet.sent() == 0 { 0 } else { self.transient }
    }

    /// Opens a message: its content, without padding. Nothing changes unless it opens (S2).
    pub(super) fn open(&mut self, message: &SessionMessage<'_>, now: u64) -> Result<SecretVec, Unopened> {
        let place = &message.header.place;
        let hash = message_hash(message.bytes);
        let ahead = self.ratchet.passed(place) == Some(false);
        if !ahead {
            match self.opened.look_up(place, &hash) {
                Some(Seen::Replay) => return Err(Unopened::Replay),
                Some(Seen::Fork) => return Err(Unopened::Fork),
                None => {}
            }
            if let Some(key) = self.skipped.get(&place.spot()) {
                let content = open_with(self.suite()?, key, message)?;
                self.skipped.remove(&place.spot());
                self.note_opened(message, hash);
                return Ok(content);
            }
            if self.ratchet.passed(place) == Some(true) {
                return Err(Unopened::Replay);
            }
        }
        let step = self.ratchet.receive(place)?;
        let content = open_with(self.suite()?, step.message_key().as_bytes(), message)?;
        let committed = self.ratchet.commit(step);
        self.skipped.add(committed.skipped, now);
        self.both |= committed.turned;
        self.note_opened(message, hash);
        Ok(content)
    }

    fn note_opened(&mut self, message: &SessionMessage<'_>, hash: MessageHash) {
        self.opened.push(&message.header.place, hash);
        self.preferred = true;
        self.opening_changed |= self.opening.take().is_some();
    }

    /// From now on it only receives, because the state it comes from is a restored one (S10).
    pub(super) fn mark_restored(&mut self) {
        self.restored = true;
        self.opening_changed |= self.opening.take().is_some();
    }

    /// Erases what was kept long enough. Whether anything changed.
    pub(super) fn expire(&mut self, now: u64) -> bool {
        let due = self.skipped.expires().is_some_and(|at| at <= now);
        self.skipped.expire(now);
        due
    }

    /// When a superseded session is to be erased.
    pub(super) fn erased_at(&self) -> Option<u64> {
        self.superseded.map(|since| since.saturating_add(SUPERSEDED_KEPT))
    }

    /// When something in it, or the whole of it, has been kept long enough.
    pub(super) fn timeout(&self) -> Option<u64> {
        self.skipped.expires().into_iter().chain(self.erased_at()).min()
    }

    /// Notes the records that changed.
    pub(super) fn save(&mut self, id: SessionId, changes: &mut Changes) {
        for (run, record) in self.skipped.take_changed() {
            let key = format!("session/{id}/skipped/{run}");
            match record {
                Some(record) => changes.put(key, record),
                None => changes.remove(key),
            }
        }
        for (slot, record) in self.opened.take_changed() {
            changes.put(format!("session/{id}/opened/{slot}"), record);
        }
        if core::mem::take(&mut self.opening_changed) {
            let key = format!("session/{id}/opening");
            match &self.opening {
                Some(opening) => changes.put(key, SecretVec::new(opening.clone())),
                None => changes.remove(key),
            }
        }
        changes.put(format!("session/{id}"), codec::encode_secret(self));
    }

    /// The keys of all its records.
    pub(super) fn record_keys(&self, id: SessionId) -> Vec<String> {
        let runs = self.skipped.ids().map(|run| format!("session/{id}/skipped/{run}"));
        let slots = self.opened.slots().map(|slot| format!("session/{id}/opened/{slot}"));
        [format!("session/{id}"), format!("session/{id}/opening")].into_iter().chain(runs).chain(slots).collect()
    }

    /// The session of the record `session/<id>` and of those beside it, given with what follows `session/<id>/`.
    pub(super) fn restore<'a>(
        record: &[u8],
        beside: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, InvalidMessage> {
        let mut session: Self = codec::decode(record)?;
        session.suite()?;
        let mut slots = Vec::new();
        for (key, record) in beside {
            match key.split_once('/') {
                None if key == "opening" => session.opening = Some(record.to_vec()),
                Some(("skipped", _)) => session.skipped.restore(record)?,
                Some(("opened", _)) => slots.push(record),
                _ => return Err(InvalidMessage::UnknownValue),
            }
        }
        session.opened.restore(slots.into_iter())?;
        Ok(session)
    }
}

/// Checks the tag, then the padding.
fn open_with(suite: Suite, key: &[u8; 32], message: &SessionMessage<'_>) -> Result<SecretVec, Error> {
    let ad = AssociatedData::of(message.header_bytes);
    let key = salted(key, &message.header.salt);
    let mut content = AeadKey::new(suite.cipher, key.as_bytes()).open(0, ad.bytes(), message.ciphertext)?;
    let length = padding::unpad(&content)?.len();
    content.truncate(length);
    Ok(content)
}

/// `k = HKDF-Expand(mk, label "message key" || salt, 32)`, for one message.
pub(super) fn salted(message_key: &[u8; 32], salt: &[u8; 16]) -> Secret<32> {
    let mut key = Secret::<32>::zero();
    hkdf_expand(message_key, &[Label::MESSAGE_KEY.bytes(), salt], key.as_mut_bytes());
    key
}

/// `label "message ad" ||` the session message before its ciphertext.
struct AssociatedData([u8; AssociatedData::LABEL.len() + HEADER]);

impl AssociatedData {
    const LABEL: &[u8] = Label::MESSAGE_AD.bytes();

    fn of(header: &[u8]) -> Self {
        let mut bytes = [0; Self::LABEL.len() + HEADER];
        for (to, from) in bytes.iter_mut().zip(Self::LABEL.iter().chain(header)) {
            *to = *from;
        }
        Self(bytes)
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn message_hash(message: &[u8]) -> MessageHash {
    let hash = sha256(&[message]);
    hash.first_chunk().copied().unwrap_or_default()
}
