//! What is kept of one device across its sessions, and the rules that choose between them (S7, S8).

use super::envelope::SessionId;
use super::state::Session;
use crate::error::PeerMisbehaved;
use crate::limits::{HOUR, ORDER_AFTER_RESTORE, ORDER_AHEAD};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One device: the record `peer/<identity>`. It outlives its sessions.
#[derive(Serialize, Deserialize)]
pub(super) struct Peer {
    /// The highest order that any session with it has had here.
    highest: u32,
    /// When a replacement session was last opened to it.
    replaced: Option<u64>,
    /// When its last session ended with it, if it has none.
    pub(super) ended: Option<u64>,
    #[serde(skip)]
    pub(super) sessions: Vec<SessionId>,
}

impl Peer {
    /// A device without sessions, in a state that was restored so many times.
    pub(super) fn new(restores: u32) -> Self {
        // Whatever it knows of sessions that this state has forgotten, the next order is above; and within what
        // it takes when it knows of none.
        let highest = restores.saturating_mul(ORDER_AFTER_RESTORE).min(ORDER_AHEAD - 1);
        Self { highest, replaced: None, ended: None, sessions: Vec::new() }
    }

    /// The order of the next session opened here.
    pub(super) fn next_order(&self) -> Result<u32, PeerMisbehaved> {
        self.highest.checked_add(1).ok_or(PeerMisbehaved::CounterExhausted)
    }

    /// Whether a session of that order may be opened by the device.
    pub(super) fn accepts_order(&self, order: u32) -> Result<(), PeerMisbehaved> {
        if order <= self.highest.saturating_add(ORDER_AHEAD) { Ok(()) } else { Err(PeerMisbehaved::OrderTooFar) }
    }

    /// Counts a new session in.
    pub(super) fn add(&mut self, id: SessionId, order: u32) {
        self.highest = self.highest.max(order);
        self.sessions.push(id);
        self.ended = None;
    }

    /// S7: orders go on far above those of sessions that a restored state has forgotten.
    pub(super) fn mark_restored(&mut self) {
        self.highest = self.highest.saturating_add(ORDER_AFTER_RESTORE);
    }

    /// S8: whether another replacement may be opened now.
    pub(super) fn may_replace(&self, now: u64) -> bool {
        self.replaced.is_none_or(|at| now.abs_diff(at) >= HOUR)
    }

    pub(super) fn note_replacement(&mut self, now: u64) {
        self.replaced = Some(now);
    }

    /// The session that messages are sealed in: the newest that has opened a message or is a replacement, otherwise the
    /// newest, of those that still send.
    pub(super) fn sending(&self, all: &BTreeMap<SessionId, Box<Session>>) -> Option<SessionId> {
        let candidates = self.with_states(all).filter(|(_, session)| session.sends());
        candidates.max_by_key(|(id, session)| (session.preferred, session.order, *id)).map(|(id, _)| id)
    }

    /// The sessions that a newer one supersedes, where both have opened messages in both directions.
    pub(super) fn superseded(&self, all: &BTreeMap<SessionId, Box<Session>>) -> Vec<SessionId> {
        let both = || self.with_states(all).filter(|(_, session)| session.both);
        let newest = both().max_by_key(|(id, session)| (session.order, *id)).map(|(id, _)| id);
        both().filter(|(id, session)| Some(*id) != newest && session.superseded.is_none()).map(|(id, _)| id).collect()
    }

    /// The session that goes first when there are too many: superseded ones, then the oldest.
    pub(super) fn first_to_go(&self, all: &BTreeMap<SessionId, Box<Session>>) -> Option<SessionId> {
        let sessions = self.with_states(all);
        sessions.min_by_key(|(id, session)| (session.superseded.is_none(), session.order, *id)).map(|(id, _)| id)
    }

    fn with_states<'a>(
        &'a self,
        all: &'a BTreeMap<SessionId, Box<Session>>,
    ) -> impl Iterator<Item = (SessionId, &'a Session)> + 'a {
        self.sessions.iter().filter_map(|id| all.get(id).map(|session| (*id, &**session)))
    }
}
