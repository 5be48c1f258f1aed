//! Messages on their way out: from the moment they are written until every device has them or may no longer ask (S9).

use crate::codec::{decode, encode_secret};
use crate::content::MessageId;
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, Error};
use crate::identity::{Identity, UserName};
use crate::limits::{OUTGOING_LIFE, RESEND_LIFE};
use crate::record::{Changes, Records};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An envelope's id: 16 random bytes, the sender's choice.
pub(super) type EnvelopeId = [u8; 16];

/// Prefix of the records: `out/<sequence, 16 hex digits>`.
const RECORD: &str = "out/";

/// One message and what became of it at each device.
#[derive(Serialize, Deserialize)]
pub(super) struct Outgoing {
    pub(super) id: MessageId,
    pub(super) to: UserName,
    /// When it was written.
    pub(super) created: u64,
    /// Whether it is kept until receipts came, so that it can be asked for again, and copied to one's own devices.
    pub(super) tracked: bool,
    /// Only to these devices, when not to all of the user (answers to a `Resend`).
    pub(super) only: Option<Identity>,
    /// The content, unpadded.
    pub(super) content: SecretVec,
    /// The content for one's own other devices.
    pub(super) copy: Option<SecretVec>,
    /// The newest epoch of the receiver's device list that a relay reported (L3).
    pub(super) epoch: u64,
    pub(super) devices: BTreeMap<Identity, Copy>,
    /// Whether the application knows that it was sent.
    pub(super) announced: bool,
    /// Whether the application knows nothing of it at all: a sender key on its way.
    pub(super) quiet: bool,
}

/// A message as it goes to one device.
#[derive(Serialize, Deserialize)]
pub(super) struct Copy {
    /// Whether the device is another of this user's.
    pub(super) own: bool,
    pub(super) envelope_id: EnvelopeId,
    pub(super) stage: Stage,
    /// Whether the device asked for it once (S9).
    pub(super) resent: bool,
}

/// How far a copy has come.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not sealed yet: there is no session.
    Waiting,
    /// Sealed; kept until the relay has it, so that a repetition is the same bytes.
    Sealed(Vec<u8>),
    /// The relay, or the device itself, took it.
    Accepted,
    /// The device said that it opened it.
    Delivered,
    /// It will not be sent: the device was revoked, or cannot take it.
    Dropped,
}

/// All messages on their way, in the order in which they were written.
#[derive(Default)]
pub(super) struct Outbox {
    messages: BTreeMap<u64, Outgoing>,
    by_id: BTreeMap<MessageId, u64>,
    by_envelope: BTreeMap<EnvelopeId, (u64, Identity)>,
    /// Messages to look at: they are new, or something has changed for them.
    to_seal: BTreeSet<u64>,
    /// Messages that wait for lists or keys, by the user whose they are. They are not looked at before these come.
    waiting: BTreeMap<UserName, BTreeSet<u64>>,
    /// Copies that are sealed and not yet asked to be sent.
    to_send: BTreeMap<Identity, BTreeSet<u64>>,
    /// Devices whose mailbox was full, and until when they are left alone.
    rest: BTreeMap<Identity, u64>,
    /// When each message is forgotten.
    ends: BTreeSet<(u64, u64)>,
    next: u64,
}

impl Outbox {
    /// The outbox as it was saved.
    pub(super) fn restore(records: &Records) -> Result<Self, Error> {
        let mut outbox = Self::default();
        for (key, value) in records.with_prefix(RECORD) {
            let number = u64::from_str_radix(key, 16).map_err(|_| ApiMisuse::Record)?;
            let message: Outgoing = decode(value).map_err(|_| ApiMisuse::Record)?;
            outbox.next = number.saturating_add(1);
            outbox.by_id.insert(message.id, number);
            for (device, copy) in &message.devices {
                outbox.by_envelope.insert(copy.envelope_id, (number, *device));
                if matches!(copy.stage, Stage::Sealed(_)) {
                    outbox.to_send.entry(*device).or_default().insert(number);
                }
            }
            if message.wants_sealing() {
                outbox.to_seal.insert(number);
            }
            outbox.ends.insert((message.created.saturating_add(RESEND_LIFE), number));
            outbox.messages.insert(number, message);
        }
        Ok(outbox)
    }

    /// After a restart: messages whose receiver has a newer list than that of the epoch known here are looked at again.
    pub(super) fn recall(&mut self, known: impl Fn(&UserName) -> Option<u64>) {
        let behind = |message: &Outgoing| known(&message.to).is_some_and(|epoch| epoch < message.epoch);
        let numbers = self.messages.iter().filter(|(_, message)| behind(message)).map(|(number, _)| *number);
        self.to_seal.extend(numbers);
    }

    /// Takes a message in; `limit` bounds how many there may be. Where that is reached, the oldest of those that only
    /// wait for receipts goes.
    pub(super) fn push(&mut self, message: Outgoing, limit: usize, changes: &mut Changes) -> Result<u64, ApiMisuse> {
        if self.messages.len() >= limit {
            let mut settled = self.messages.iter().filter(|(_, message)| message.is_settled());
            let oldest = settled.next().map(|(number, _)| *number).ok_or(ApiMisuse::Busy)?;
            self.remove(oldest, changes);
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.by_id.insert(message.id, number);
        self.to_seal.insert(number);
        self.ends.insert((message.created.saturating_add(RESEND_LIFE), number));
        changes.put(key(number), encode_secret(&message));
        self.messages.insert(number, message);
        Ok(number)
    }

    /// Takes the messages that are to be sealed, oldest first. Those that cannot be, [`wait`](Self::wait).
    pub(super) fn take_to_seal(&mut self) -> BTreeSet<u64> {
        core::mem::take(&mut self.to_seal)
    }

    /// A message cannot be sealed before something about a user is known.
    pub(super) fn wait(&mut self, number: u64, user: &UserName) {
        self.waiting.entry(user.clone()).or_default().insert(number);
    }

    /// Something about a user has changed: what waited for it is looked at again.
    pub(super) fn wake(&mut self, user: &UserName) {
        let waiting = self.waiting.remove(user).unwrap_or_default();
        self.to_seal.extend(waiting.into_iter().filter(|number| self.messages.contains_key(number)));
    }

    /// A user has other devices, or this one's has: what is not sent yet is looked at again.
    pub(super) fn reconsider(&mut self, user: Option<&UserName>) {
        let concerned = |message: &Outgoing| user.is_none_or(|user| message.to == *user) && !message.is_settled();
        self.to_seal.extend(self.messages.iter().filter(|(_, message)| concerned(message)).map(|(number, _)| *number));
        match user {
            Some(user) => self.wake(user),
            None => self.waiting.clear(),
        }
    }

    /// The users whose device lists or keys messages wait for.
    pub(super) fn users_waited_for(&self) -> impl Iterator<Item = &UserName> + '_ {
        self.waiting.keys()
    }

    /// Whether messages wait for the keys of a user's devices, or will when they are looked at.
    pub(super) fn waits_for(&self, user: &UserName) -> bool {
        let mut next = self.to_seal.iter().filter_map(|number| self.messages.get(number));
        self.waiting.contains_key(user) || next.any(|message| message.to == *user || message.copy.is_some())
    }

    /// Whether a message needs a newer list of its receiver than that of `epoch` (L3).
    pub(super) fn needs_newer(&self, user: &UserName, epoch: u64) -> bool {
        let waiting = self.waiting.get(user).into_iter().flatten().filter_map(|number| self.messages.get(number));
        waiting.filter(|message| message.to == *user).any(|message| message.epoch > epoch || message.is_lost())
    }

    /// The relay has no newer list of a user than that of `epoch`, whatever it said. Gives the messages that now have
    /// nobody to go to.
    pub(super) fn has_no_newer(&mut self, user: &UserName, epoch: u64) -> Vec<u64> {
        let waiting = self.waiting.get(user).cloned().unwrap_or_default();
        let mut lost = Vec::new();
        for number in waiting {
            let Some(message) = self.messages.get_mut(&number).filter(|message| message.to == *user) else { continue };
            message.epoch = message.epoch.min(epoch);
            if message.is_lost() {
                lost.push(number);
            }
        }
        self.wake(user);
        lost
    }

    /// The devices for which sealed copies wait.
    pub(super) fn devices_to_send_to(&self) -> impl Iterator<Item = &Identity> + '_ {
        self.to_send.keys()
    }

    /// The oldest copies that wait for a device, unless it is left alone.
    pub(super) fn to_send(&self, device: Identity, now: u64) -> impl Iterator<Item = u64> + '_ {
        let rests = self.rest.get(&device).is_some_and(|until| *until > now);
        self.to_send.get(&device).into_iter().flatten().copied().filter(move |_| !rests)
    }

    /// The mailbox of a device is full: it is left alone until then.
    pub(super) fn rest(&mut self, device: &Identity, until: u64) {
        self.rest.insert(*device, until);
    }

    /// When a device that was left alone is tried again.
    pub(super) fn next_try(&self, now: u64) -> Option<u64> {
        self.rest.values().copied().filter(|until| *until > now).min()
    }

    /// The message with this number.
    pub(super) fn message(&self, number: u64) -> Option<&Outgoing> {
        self.messages.get(&number)
    }

    /// The message with this id.
    pub(super) fn number_of(&self, id: &MessageId) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    /// The envelope of a copy, with its id.
    pub(super) fn envelope(&self, number: u64, device: &Identity) -> Option<(EnvelopeId, &[u8])> {
        let copy = self.messages.get(&number)?.devices.get(device)?;
        match &copy.stage {
            Stage::Sealed(envelope) => Some((copy.envelope_id, envelope)),
            _ => None,
        }
    }

    /// Makes the copies agree with the receiver's and one's own devices: new ones are added, revoked ones dropped. Gives
    /// whether anything changed.
    pub(super) fn reconcile(
        &mut self,
        number: u64,
        theirs: &[Identity],
        own: &[Identity],
        mut new_id: impl FnMut() -> EnvelopeId,
    ) -> bool {
        let Some(message) = self.messages.get_mut(&number) else { return false };
        let mut changed = Vec::new();
        let own = if message.copy.is_some() { own } else { &[] };
        for (device, is_own) in theirs.iter().map(|device| (device, false)).chain(own.iter().map(|own| (own, true))) {
            if message.only.is_some_and(|only| only != *device) || message.devices.contains_key(device) {
                continue;
            }
            let envelope_id = new_id();
            let copy = Copy { own: is_own, envelope_id, stage: Stage::Waiting, resent: false };
            message.devices.insert(*device, copy);
            self.by_envelope.insert(envelope_id, (number, *device));
            changed.push(*device);
        }
        for (device, copy) in &mut message.devices {
            let listed = if copy.own { own.contains(device) } else { theirs.contains(device) };
            if !listed && copy.is_open() {
                copy.stage = Stage::Dropped;
                changed.push(*device);
            }
        }
        changed.iter().for_each(|device| self.sent_or_gone(number, device));
        !changed.is_empty()
    }

    /// The devices whose copies of a message are not sealed.
    pub(super) fn unsealed(&self, number: u64) -> Vec<(Identity, bool)> {
        let Some(message) = self.messages.get(&number) else { return Vec::new() };
        let waiting = message.devices.iter().filter(|(_, copy)| copy.stage == Stage::Waiting);
        waiting.map(|(device, copy)| (*device, copy.own)).collect()
    }

    /// A copy was sealed.
    pub(super) fn sealed(&mut self, number: u64, device: &Identity, envelope: Vec<u8>) {
        self.set(number, device, Stage::Sealed(envelope));
        self.to_send.entry(*device).or_default().insert(number);
    }

    /// A copy went out with a request, or came back because its connection ended.
    pub(super) fn in_flight(&mut self, number: u64, device: &Identity, flying: bool) {
        if flying {
            self.sent_or_gone(number, device);
        } else if self.envelope(number, device).is_some() {
            self.to_send.entry(*device).or_default().insert(number);
        }
    }

    /// A copy reached `stage`: accepted, or dropped.
    pub(super) fn settle(&mut self, number: u64, device: &Identity, stage: Stage) {
        self.set(number, device, stage);
        self.sent_or_gone(number, device);
    }

    /// The relay reported an epoch of the receiver's device list, or that the receiver's device is in none.
    pub(super) fn report_epoch(&mut self, number: u64, epoch: u64) {
        if let Some(message) = self.messages.get_mut(&number) {
            message.epoch = message.epoch.max(epoch);
            self.to_seal.insert(number);
        }
    }

    /// Sealed copies for a device are sealed anew, because its sessions are gone.
    pub(super) fn unseal(&mut self, device: &Identity, changes: &mut Changes) {
        let mut touched = Vec::new();
        for (number, message) in &mut self.messages {
            if let Some(copy) = message.devices.get_mut(device)
                && matches!(copy.stage, Stage::Sealed(_))
            {
                copy.stage = Stage::Waiting;
                self.to_seal.insert(*number);
                touched.push(*number);
            }
        }
        self.to_send.remove(device);
        touched.into_iter().for_each(|number| self.save(number, changes));
    }

    /// All sealed copies are sealed anew, in new sessions: the state was restored (S10).
    pub(super) fn unseal_all(&mut self, changes: &mut Changes) {
        let devices: Vec<Identity> = self.to_send.keys().copied().collect();
        devices.iter().for_each(|device| self.unseal(device, changes));
    }

    /// How many messages have a copy that nobody took yet.
    pub(super) fn unsent(&self) -> usize {
        self.messages.values().filter(|message| !message.is_settled()).count()
    }

    /// A device has a message. Gives whether that is news for the application.
    pub(super) fn delivered(&mut self, id: &MessageId, device: &Identity, changes: &mut Changes) -> bool {
        let Some(number) = self.number_of(id) else { return false };
        let Some(message) = self.messages.get_mut(&number) else { return false };
        let quiet = message.quiet;
        let Some(copy) = message.devices.get_mut(device) else { return false };
        let news = !copy.own && !quiet && copy.stage != Stage::Delivered;
        self.settle(number, device, Stage::Delivered);
        self.save(number, changes);
        news
    }

    /// A device asks for a message again: it is sealed anew under another envelope id, once, for that very device, without
    /// a receipt from it, and within 7 days (S9). Anything else is passed over.
    pub(super) fn resend(
        &mut self,
        envelope_id: &EnvelopeId,
        device: &Identity,
        new_id: EnvelopeId,
        now: u64,
        changes: &mut Changes,
    ) {
        let Some((number, sealed_to)) = self.by_envelope.get(envelope_id).copied() else { return };
        let Some(message) = self.messages.get_mut(&number) else { return };
        let young = now.saturating_sub(message.created) <= RESEND_LIFE;
        let Some(copy) = message.devices.get_mut(device) else { return };
        if sealed_to != *device || !message.tracked || !young || copy.resent || copy.stage != Stage::Accepted {
            return;
        }
        self.by_envelope.remove(&copy.envelope_id);
        self.by_envelope.insert(new_id, (number, *device));
        (copy.resent, copy.envelope_id, copy.stage) = (true, new_id, Stage::Waiting);
        self.to_seal.insert(number);
        self.save(number, changes);
    }

    /// Whether the application should now be told that a message is sent: all its receiver's devices are served.
    pub(super) fn announce(&mut self, number: u64) -> Option<MessageId> {
        let message = self.messages.get_mut(&number)?;
        let mut theirs = message.devices.values().filter(|copy| !copy.own);
        if message.announced || message.quiet || !message.tracked || !message.is_taken() || theirs.any(Copy::is_open) {
            return None;
        }
        message.announced = true;
        Some(message.id)
    }

    /// Removes a message, whatever its state.
    pub(super) fn remove(&mut self, number: u64, changes: &mut Changes) -> Option<Outgoing> {
        let message = self.messages.remove(&number)?;
        self.by_id.remove(&message.id);
        self.to_seal.remove(&number);
        for life in [RESEND_LIFE, OUTGOING_LIFE] {
            self.ends.remove(&(message.created.saturating_add(life), number));
        }
        self.waiting.retain(|_, waiting| !waiting.remove(&number) || !waiting.is_empty());
        for (device, copy) in &message.devices {
            self.by_envelope.remove(&copy.envelope_id);
            self.sent_or_gone(number, device);
        }
        changes.remove(key(number));
        Some(message)
    }

    /// The numbers of the messages to a user.
    pub(super) fn to_user(&self, user: &UserName) -> Vec<u64> {
        let messages = self.messages.iter().filter(|(_, message)| message.to == *user);
        messages.map(|(number, _)| *number).collect()
    }

    /// Removes what is settled and nobody may ask for any more, and what could not be sent in a month. Gives the ids of
    /// messages that nobody took.
    pub(super) fn expire(&mut self, now: u64, changes: &mut Changes) -> Vec<MessageId> {
        let mut failed = Vec::new();
        while let Some((at, number)) = self.ends.first().copied().filter(|(at, _)| *at <= now) {
            self.ends.remove(&(at, number));
            let Some(message) = self.messages.get(&number) else { continue };
            if message.ends_at() > now {
                self.ends.insert((message.ends_at(), number));
            } else if let Some(message) = self.remove(number, changes)
                && message.tracked
                && !message.quiet
                && !message.is_taken()
            {
                failed.push(message.id);
            }
        }
        self.rest.retain(|_, until| *until > now);
        failed
    }

    /// When the next message may be forgotten.
    pub(super) fn next_expiry(&self) -> Option<u64> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// Notes the present state of a message, or removes it when nothing more can come of it.
    pub(super) fn save(&mut self, number: u64, changes: &mut Changes) {
        let Some(message) = self.messages.get(&number) else { return };
        if message.is_over() && !self.to_seal.contains(&number) && !self.waits(number) {
            self.remove(number, changes);
        } else {
            changes.put(key(number), encode_secret(message));
        }
    }

    /// Whether a message waits for its receiver's lists or keys.
    fn waits(&self, number: u64) -> bool {
        let Some(message) = self.messages.get(&number) else { return false };
        self.waiting.get(&message.to).is_some_and(|waiting| waiting.contains(&number))
    }

    fn sent_or_gone(&mut self, number: u64, device: &Identity) {
        if let Some(numbers) = self.to_send.get_mut(device) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.to_send.remove(device);
            }
        }
    }

    fn set(&mut self, number: u64, device: &Identity, stage: Stage) {
        if let Some(copy) = self.messages.get_mut(&number).and_then(|message| message.devices.get_mut(device)) {
            copy.stage = stage;
        }
    }
}

impl Outgoing {
    /// A message that is kept until receipts came.
    pub(super) fn new(id: MessageId, to: UserName, created: u64, content: SecretVec, copy: Option<SecretVec>) -> Self {
        let devices = BTreeMap::new();
        Self {
            id,
            to,
            created,
            tracked: true,
            only: None,
            content,
            copy,
            epoch: 0,
            devices,
            announced: false,
            quiet: false,
        }
    }

    fn wants_sealing(&self) -> bool {
        self.devices.is_empty() || self.is_lost() || self.devices.values().any(|copy| copy.stage == Stage::Waiting)
    }

    /// Whether a device of its receiver has it, or the relay for it.
    fn is_taken(&self) -> bool {
        let taken = |copy: &Copy| matches!(copy.stage, Stage::Accepted | Stage::Delivered);
        self.devices.values().any(|copy| !copy.own && taken(copy))
    }

    /// Whether it should be kept and has nobody left to go to: the receiver's devices are not those that were known.
    pub(super) fn is_lost(&self) -> bool {
        let mut theirs = self.devices.values().filter(|copy| !copy.own).peekable();
        self.tracked && theirs.peek().is_some() && theirs.all(|copy| copy.stage == Stage::Dropped)
    }

    /// Nothing of it is still to be sent.
    fn is_settled(&self) -> bool {
        !self.devices.is_empty() && !self.is_lost() && !self.devices.values().any(Copy::is_open)
    }

    /// Nothing of it is still to be sent, and nobody may ask for it again.
    fn is_over(&self) -> bool {
        let asked = |copy: &Copy| self.tracked && copy.stage == Stage::Accepted;
        self.is_settled() && !self.devices.values().any(asked)
    }

    /// When it is forgotten, as it stands now.
    fn ends_at(&self) -> u64 {
        self.created.saturating_add(if self.is_settled() { RESEND_LIFE } else { OUTGOING_LIFE })
    }
}

impl Copy {
    /// Whether it is still to be sent.
    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Sealed(_))
    }
}

fn key(number: u64) -> String {
    format!("{RECORD}{number:016x}")
}
