//! Messages on their way out: from the moment they are written until every device has them or may no longer ask (S9).

use crate::codec::{decode, encode_secret};
use crate::content::MessageId;
use crate::error::{ApiMisuse, Error};
use crate::identity::{Identity, UserName};
use crate::limits::RESEND_LIFE;
use crate::record::{Changes, Records};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

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
    pub(super) content: Zeroizing<Vec<u8>>,
    /// The content for one's own other devices.
    pub(super) copy: Option<Zeroizing<Vec<u8>>>,
    /// The newest epoch of the receiver's device list that a relay reported (L3).
    pub(super) epoch: u64,
    pub(super) devices: BTreeMap<Identity, Copy>,
    /// Whether the application knows that it was sent.
    pub(super) announced: bool,
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
    /// Messages with a copy that is not sealed, or a receiver with a newer device list.
    to_seal: BTreeSet<u64>,
    /// Copies that are sealed and not yet asked to be sent.
    to_send: BTreeSet<(u64, Identity)>,
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
                    outbox.to_send.insert((number, *device));
                }
            }
            if message.wants_sealing() {
                outbox.to_seal.insert(number);
            }
            outbox.messages.insert(number, message);
        }
        Ok(outbox)
    }

    /// Takes a message in; `limit` bounds how many there may be.
    pub(super) fn push(&mut self, message: Outgoing, limit: usize, changes: &mut Changes) -> Result<u64, ApiMisuse> {
        if self.messages.len() >= limit {
            return Err(ApiMisuse::Busy);
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.by_id.insert(message.id, number);
        self.to_seal.insert(number);
        self.messages.insert(number, message);
        self.save(number, changes);
        Ok(number)
    }

    /// The messages that are to be sealed, oldest first.
    pub(super) fn to_seal(&self) -> Vec<u64> {
        self.to_seal.iter().copied().collect()
    }

    /// The copies that are to be sent, oldest first.
    pub(super) fn to_send(&self) -> impl Iterator<Item = (u64, Identity)> + '_ {
        self.to_send.iter().copied()
    }

    /// The message with this number.
    pub(super) fn message(&self, number: u64) -> Option<&Outgoing> {
        self.messages.get(&number)
    }

    /// The message with this id.
    pub(super) fn number_of(&self, id: &MessageId) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    /// Whether a message to this user waits for keys.
    pub(super) fn waits_for(&self, user: &UserName) -> bool {
        self.to_seal.iter().filter_map(|number| self.messages.get(number)).any(|message| message.to == *user)
    }

    /// The envelope of a copy, with its id.
    pub(super) fn envelope(&self, number: u64, device: &Identity) -> Option<(EnvelopeId, &[u8])> {
        let copy = self.messages.get(&number)?.devices.get(device)?;
        match &copy.stage {
            Stage::Sealed(envelope) => Some((copy.envelope_id, envelope)),
            _ => None,
        }
    }

    /// Makes the copies agree with the receiver's and one's own devices: new ones are added, revoked ones dropped.
    pub(super) fn reconcile(
        &mut self,
        number: u64,
        theirs: &[Identity],
        own: &[Identity],
        mut new_id: impl FnMut() -> EnvelopeId,
    ) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        let own = if message.copy.is_some() { own } else { &[] };
        for (device, is_own) in theirs.iter().map(|device| (device, false)).chain(own.iter().map(|own| (own, true))) {
            if message.only.is_some_and(|only| only != *device) || message.devices.contains_key(device) {
                continue;
            }
            let envelope_id = new_id();
            let copy = Copy { own: is_own, envelope_id, stage: Stage::Waiting, resent: false };
            message.devices.insert(*device, copy);
            self.by_envelope.insert(envelope_id, (number, *device));
        }
        for (device, copy) in &mut message.devices {
            let listed = if copy.own { own.contains(device) } else { theirs.contains(device) };
            if !listed && matches!(copy.stage, Stage::Waiting | Stage::Sealed(_)) {
                copy.stage = Stage::Dropped;
                self.to_send.remove(&(number, *device));
            }
        }
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
        self.to_send.insert((number, *device));
    }

    /// A copy went out with a request, or came back because its connection ended.
    pub(super) fn in_flight(&mut self, number: u64, device: &Identity, flying: bool) {
        if flying {
            self.to_send.remove(&(number, *device));
        } else if self.envelope(number, device).is_some() {
            self.to_send.insert((number, *device));
        }
    }

    /// A copy reached `stage`: accepted, or dropped.
    pub(super) fn settle(&mut self, number: u64, device: &Identity, stage: Stage) {
        self.set(number, device, stage);
        self.to_send.remove(&(number, *device));
    }

    /// The relay reported an epoch of the receiver's device list.
    pub(super) fn report_epoch(&mut self, number: u64, epoch: u64) {
        if let Some(message) = self.messages.get_mut(&number) {
            message.epoch = message.epoch.max(epoch);
            self.to_seal.insert(number);
        }
    }

    /// Everything about a message that could be sealed is sealed, and its receiver's devices are all known.
    pub(super) fn is_sealed(&mut self, number: u64) {
        self.to_seal.remove(&number);
    }

    /// All messages to a user are looked at again, because its devices changed.
    pub(super) fn reconsider(&mut self, user: &UserName) {
        let unsettled = self.messages.iter().filter(|(_, message)| message.to == *user && !message.is_settled());
        self.to_seal.extend(unsettled.map(|(number, _)| *number));
    }

    /// Sealed copies for a device are sealed anew, because its sessions are gone.
    pub(super) fn unseal(&mut self, device: &Identity, changes: &mut Changes) {
        let mut touched = Vec::new();
        for (number, message) in &mut self.messages {
            if let Some(copy) = message.devices.get_mut(device)
                && matches!(copy.stage, Stage::Sealed(_))
            {
                copy.stage = Stage::Waiting;
                self.to_send.remove(&(*number, *device));
                self.to_seal.insert(*number);
                touched.push(*number);
            }
        }
        touched.into_iter().for_each(|number| self.save(number, changes));
    }

    /// All sealed copies are sealed anew, in new sessions: the state was restored (S10).
    pub(super) fn unseal_all(&mut self, changes: &mut Changes) {
        let devices: BTreeSet<Identity> = self.to_send.iter().map(|(_, device)| *device).collect();
        devices.iter().for_each(|device| self.unseal(device, changes));
    }

    /// How many messages have a copy that nobody took yet.
    pub(super) fn unsent(&self) -> usize {
        self.messages.values().filter(|message| !message.is_settled()).count()
    }

    /// Whether a message to this user's own devices waits for keys.
    pub(super) fn waits_for_copies(&self) -> bool {
        self.to_seal.iter().filter_map(|number| self.messages.get(number)).any(|message| message.copy.is_some())
    }

    /// A device has a message. Gives whether that is news for the application.
    pub(super) fn delivered(&mut self, id: &MessageId, device: &Identity, changes: &mut Changes) -> bool {
        let Some(number) = self.number_of(id) else { return false };
        let Some(copy) = self.messages.get_mut(&number).and_then(|message| message.devices.get_mut(device)) else {
            return false;
        };
        let news = !copy.own && copy.stage != Stage::Delivered;
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
        let mut theirs = message.devices.values().filter(|copy| !copy.own).peekable();
        if message.announced || !message.tracked || theirs.peek().is_none() {
            return None;
        }
        if theirs.any(|copy| matches!(copy.stage, Stage::Waiting | Stage::Sealed(_))) {
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
        for (device, copy) in &message.devices {
            self.by_envelope.remove(&copy.envelope_id);
            self.to_send.remove(&(number, *device));
        }
        changes.remove(key(number));
        Some(message)
    }

    /// The numbers of the messages to a user.
    pub(super) fn to_user(&self, user: &UserName) -> Vec<u64> {
        let messages = self.messages.iter().filter(|(_, message)| message.to == *user);
        messages.map(|(number, _)| *number).collect()
    }

    /// Removes what is settled and what nobody may ask for any more; gives when to look again.
    pub(super) fn expire(&mut self, now: u64, changes: &mut Changes) -> Option<u64> {
        let over = |message: &Outgoing| message.is_settled() && now >= message.created.saturating_add(RESEND_LIFE);
        let old: Vec<u64> = self.messages.iter().filter(|(_, message)| over(message)).map(|(id, _)| *id).collect();
        for number in old {
            self.remove(number, changes);
        }
        self.next_expiry()
    }

    /// When the oldest message may be forgotten.
    pub(super) fn next_expiry(&self) -> Option<u64> {
        let settled = self.messages.values().filter(|message| message.is_settled());
        settled.map(|message| message.created.saturating_add(RESEND_LIFE)).min()
    }

    /// Notes the present state of a message, or removes it when nothing more can come of it.
    pub(super) fn save(&mut self, number: u64, changes: &mut Changes) {
        let Some(message) = self.messages.get(&number) else { return };
        if message.is_over() && !self.to_seal.contains(&number) {
            self.remove(number, changes);
        } else {
            changes.put(key(number), encode_secret(message));
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
    pub(super) fn new(
        id: MessageId,
        to: UserName,
        created: u64,
        content: Zeroizing<Vec<u8>>,
        copy: Option<Zeroizing<Vec<u8>>>,
    ) -> Self {
        let devices = BTreeMap::new();
        Self { id, to, created, tracked: true, only: None, content, copy, epoch: 0, devices, announced: false }
    }

    fn wants_sealing(&self) -> bool {
        self.devices.is_empty() || self.devices.values().any(|copy| copy.stage == Stage::Waiting)
    }

    /// Nothing of it is still to be sent.
    fn is_settled(&self) -> bool {
        let open = |copy: &Copy| matches!(copy.stage, Stage::Waiting | Stage::Sealed(_));
        !self.devices.is_empty() && !self.devices.values().any(open)
    }

    /// Nothing of it is still to be sent, and nobody may ask for it again.
    fn is_over(&self) -> bool {
        let asked = |copy: &Copy| self.tracked && copy.stage == Stage::Accepted;
        self.is_settled() && !self.devices.values().any(asked)
    }
}

fn key(number: u64) -> String {
    format!("{RECORD}{number:016x}")
}
