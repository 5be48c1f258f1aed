//! What is done about messages that did not open: a new session with the sender, and a request for the message (S8, S9).

use super::Client;
use super::contacts::Contacts;
use super::outbox::EnvelopeId;
use super::receiving::Source;
use crate::content::Body;
use crate::identity::{Identity, SignedBundle, SignedPrekey, UserName};
use crate::limits::{HOUR, REPAIRS_PER_DEVICE, REPAIRS_REMEMBERED, REPAIRS_WAITING};
use std::collections::BTreeMap;

/// Devices whose messages did not open.
#[derive(Default)]
pub(super) struct Repairs {
    /// Those whose keys are being fetched, with the relay's word on their user and the envelopes to ask for.
    waiting: BTreeMap<Identity, (UserName, Vec<EnvelopeId>)>,
    /// How many envelopes each was asked for, and since when that is counted. Two sides whose messages never open would
    /// ask each other without end.
    asked: BTreeMap<Identity, (u64, usize)>,
}

impl Repairs {
    /// Notes that a device needs another session and, where it is known which did not open, an envelope to ask for; as
    /// far as there may be more in this hour.
    pub(super) fn add(&mut self, device: Identity, claimed: &UserName, envelope: Option<EnvelopeId>, now: u64) {
        self.asked.retain(|_, (since, _)| since.saturating_add(HOUR) > now);
        if self.waiting.len() >= REPAIRS_WAITING && !self.waiting.contains_key(&device)
            || self.asked.len() >= REPAIRS_REMEMBERED && !self.asked.contains_key(&device)
        {
            return;
        }
        let (_, asked) = self.asked.entry(device).or_insert((now, 0));
        if *asked < REPAIRS_PER_DEVICE {
            *asked += 1;
            self.waiting.entry(device).or_insert_with(|| (claimed.clone(), Vec::new())).1.extend(envelope);
        }
    }

    /// Whether a device's keys are wanted for a repair.
    pub(super) fn concern(&self, device: &Identity) -> bool {
        self.waiting.contains_key(device)
    }

    /// The users whose devices these are, as far as that is known.
    pub(super) fn users<'a>(&'a self, contacts: &'a Contacts) -> impl Iterator<Item = &'a UserName> + 'a {
        self.waiting.iter().map(|(device, (claimed, _))| contacts.user_of(device).unwrap_or(claimed))
    }
}

impl Client {
    /// S8 and S9: a new session to the sender, and a request for the message in it.
    pub(super) fn repair(&mut self, source: &Source, sender: Option<Identity>) {
        let device = sender.unwrap_or(source.reference.sender);
        if device != self.identity() {
            self.repairs.add(device, &source.claimed, Some(source.reference.id.0), self.now);
        }
    }

    /// The bundle of a device came whose messages did not open: the replacement is opened and the messages asked for.
    /// False when nothing was to be repaired, or could be.
    pub(super) fn repair_with(
        &mut self,
        user: &UserName,
        bundle: &SignedBundle,
        one_time: Option<&SignedPrekey>,
    ) -> bool {
        let device = bundle.identity();
        let may = self.contacts.pin(user).is_some_and(|pin| pin.check_send().is_ok() && pin.contains(&device));
        let Some((_, envelopes)) = self.repairs.waiting.remove(&device) else { return false };
        // Too soon for another replacement: the session there is has to do, when there is one.
        if !may || (self.open_session(bundle, one_time, true).is_err() && !self.sessions.can_send(&device)) {
            return false;
        }
        for envelope in envelopes {
            // A full queue loses the question; the sender's own repetition is not affected.
            let _ = self.queue_untracked(user, &Body::Resend { envelope }, Some(device));
        }
        true
    }

    /// Nobody could be found to repair with: the messages that did not open are given up.
    pub(super) fn drop_repairs(&mut self, user: &UserName) {
        let contacts = &self.contacts;
        self.repairs.waiting.retain(|device, (claimed, _)| contacts.user_of(device).unwrap_or(claimed) != user);
    }
}
