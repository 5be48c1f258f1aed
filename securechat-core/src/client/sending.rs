//! Messages out: written by the application, sealed for every device, given to the relay or to the device itself.

use super::Client;
use super::links::Asked;
use super::outbox::{Outgoing, Stage};
use crate::content::{Body, Content, Conversation, MessageId, ReceiptKind};
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, Error, InvalidMessage};
use crate::event::{Event, LinkId, RequestKind};
use crate::identity::{Identity, Pin, UserName};
use crate::limits::{ENVELOPES_PER_SEND, RECEIPT_IDS};
use crate::wire::{self, Bytes, EnvelopeId, Recipient, Refusal, RefusalCode, Request, SendItem, SendOutcome};
use std::collections::{BTreeMap, BTreeSet};

/// Requests with envelopes that are open on a link at once; as many again with envelopes for groups.
pub(super) const SENDS_AT_ONCE: usize = 4;
/// What an envelope costs in a request beside its own bytes: id, recipient, flags and lengths.
pub(super) const ITEM_OVERHEAD: usize = 64;
/// How long to wait after the relay refused to take an envelope, in milliseconds.
const RETRY_AFTER: u64 = 30_000;

impl Client {
    /// Sends a text of at most 16 KiB. It waits where there is no connection.
    ///
    /// `to` is a user or a group. Fails with `TooLarge`, `Violation` (the user's keys changed and were not accepted), or
    /// `Busy` (the queue is full); for a group with `NotFound`, `NotPermitted` (this user is no member), or `RosterForked`.
    pub fn send_text(&mut self, to: impl Into<Conversation>, text: &str, now: u64) -> Result<MessageId, Error> {
        self.send(&to.into(), &Body::Text { text: text.to_owned() }, now)
    }

    /// Replaces the text of an earlier message of this user.
    pub fn send_edit(
        &mut self,
        to: impl Into<Conversation>,
        target: MessageId,
        text: &str,
        now: u64,
    ) -> Result<MessageId, Error> {
        self.send(&to.into(), &Body::Edit { target, text: text.to_owned() }, now)
    }

    /// Takes an earlier message of this user back.
    pub fn send_delete(
        &mut self,
        to: impl Into<Conversation>,
        target: MessageId,
        now: u64,
    ) -> Result<MessageId, Error> {
        self.send(&to.into(), &Body::Delete { target }, now)
    }

    /// Reacts to a message, or takes a reaction back.
    pub fn send_reaction(
        &mut self,
        to: impl Into<Conversation>,
        target: MessageId,
        reaction: &str,
        removed: bool,
        now: u64,
    ) -> Result<MessageId, Error> {
        self.send(&to.into(), &Body::Reaction { target, reaction: reaction.to_owned(), removed }, now)
    }

    /// Tells a user by which name to show this one.
    pub fn send_profile(&mut self, to: impl Into<Conversation>, name: &str, now: u64) -> Result<MessageId, Error> {
        self.send(&to.into(), &Body::Profile { name: name.to_owned() }, now)
    }

    /// Sends a message of the application's own kind, 0x8000 or above.
    pub fn send_application(
        &mut self,
        to: impl Into<Conversation>,
        kind: u16,
        bytes: &[u8],
        now: u64,
    ) -> Result<MessageId, Error> {
        self.send(&to.into(), &Body::Application { kind, bytes: bytes.to_vec() }, now)
    }

    /// Tells who is there now that this user types, or stopped. It is never stored: who is away misses it.
    ///
    /// Does nothing where no session is open yet. Fails with `Violation`.
    pub fn send_typing(&mut self, to: &UserName, active: bool, now: u64) -> Result<(), Error> {
        self.advance(now);
        let Some(pin) = self.contacts.pin(to) else { return Ok(()) };
        pin.check_send()?;
        let devices = pin.identities().to_vec();
        let id = self.message_id();
        let content = Content { id, sent_at: self.now, expiry: 0, body: Body::Typing { active } }.encode()?;
        for device in devices {
            let Some(link) = self.route_to(&device) else { continue };
            let rng = &mut *self.rng;
            let sealed = self.sessions.seal(&device, &content, true, rng);
            // No session, or too many transient messages in a row: it is only a typing notice.
            let Ok(envelope) = sealed else { continue };
            let item = SendItem {
                id: EnvelopeId(self.random_id()),
                recipient: Recipient::Device(device),
                transient: true,
                envelope: Bytes::from(envelope),
            };
            self.ask(link, Request::Send(wire::Send { items: vec![item] }), Asked::Transient);
        }
        self.settle();
        Ok(())
    }

    /// Tells a user that messages were shown.
    pub fn mark_read(&mut self, from: &UserName, ids: &[MessageId], now: u64) -> Result<(), Error> {
        self.advance(now);
        if *from == self.config.user {
            return Err(ApiMisuse::UnknownUser.into());
        }
        for some in ids.chunks(RECEIPT_IDS) {
            self.queue_untracked(from, &Body::Receipt { kind: ReceiptKind::Read, ids: some.to_vec() }, None)?;
        }
        self.settle();
        Ok(())
    }

    /// How many messages wait to be taken by a relay or a peer.
    pub fn unsent(&self) -> usize {
        self.outbox.unsent()
    }

    /// Queues a message for a user or a group, and moves it as far as it goes.
    pub(super) fn send(&mut self, to: &Conversation, body: &Body, now: u64) -> Result<MessageId, Error> {
        self.advance(now);
        let id = match to {
            Conversation::User(user) => self.send_to_user(user, body)?,
            Conversation::Group(group) => self.send_to_group(*group, body)?,
        };
        self.settle();
        Ok(id)
    }

    /// Queues a message for all devices of a user, with a copy for this user's own (S11).
    fn send_to_user(&mut self, to: &UserName, body: &Body) -> Result<MessageId, Error> {
        if let Some(pin) = self.contacts.pin(to) {
            pin.check_send()?;
        }
        if *to == self.config.user {
            return Err(ApiMisuse::UnknownUser.into());
        }
        let id = self.message_id();
        let content = encode(id, self.now, body)?;
        let copy = Body::Sent { to: Conversation::User(to.clone()), content: content.clone() };
        let copy = encode(self.message_id(), self.now, &copy)?;
        self.queue(Outgoing::new(id, to.clone(), self.now, content, Some(copy)))?;
        Ok(id)
    }

    /// Queues what nobody asks for again: receipts, answers, lists. `only` names the one device it is for.
    /// Gives its id. Fails with `Busy` where the queue is full.
    pub(super) fn queue_untracked(
        &mut self,
        to: &UserName,
        body: &Body,
        only: Option<Identity>,
    ) -> Result<MessageId, Error> {
        let id = self.message_id();
        let content = encode(id, self.now, body)?;
        let message = Outgoing { tracked: false, only, ..Outgoing::new(id, to.clone(), self.now, content, None) };
        self.queue(message)?;
        Ok(id)
    }

    /// Queues a message as it is.
    pub(super) fn queue(&mut self, message: Outgoing) -> Result<(), Error> {
        self.outbox.push(message, self.config.limits.outgoing, &mut self.changes)?;
        Ok(())
    }

    /// Delivery receipts that came together leave together, and one message of them at a time to a device: what comes
    /// meanwhile waits for the next.
    pub(super) fn flush_receipts(&mut self) {
        for ((user, device), ids) in self.inbox.take_receipts(|id| self.outbox.number_of(id).is_some()) {
            if self.contacts.pin(&user).is_none_or(|pin| !pin.contains(&device) || pin.check_send().is_err()) {
                // Nothing is sent there, and nothing owed.
                continue;
            }
            let (now, later) = ids.split_at(ids.len().min(RECEIPT_IDS));
            later.iter().for_each(|id| self.inbox.receipt_due(&user, &device, *id));
            let receipt = Body::Receipt { kind: ReceiptKind::Delivered, ids: now.to_vec() };
            // A full queue loses a receipt, and no message.
            if let Ok(id) = self.queue_untracked(&user, &receipt, Some(device)) {
                self.inbox.receipt_sent.insert(device, id);
            }
        }
    }

    /// The users whose device lists or keys messages wait for, and who are not looked up or left alone just now.
    pub(super) fn users_in_need(&self) -> BTreeSet<UserName> {
        let lookups = &self.contacts.lookups;
        let waited = self.outbox.users_waited_for().filter(|user| lookups.may_begin(user) && self.is_in_need(user));
        let arrived = self.inbox.users_waited_for().chain(self.repairs.users(&self.contacts));
        waited.chain(arrived.filter(|user| lookups.may_begin(user))).cloned().collect()
    }

    /// Whether something can be learned about a user that messages wait for.
    fn is_in_need(&self, user: &UserName) -> bool {
        let Some(pin) = self.contacts.pin(user) else { return true };
        let newer = || self.outbox.needs_newer(user, pin.epoch());
        pin.check_send().is_ok() && (!self.devices_in_need(user).is_empty() || newer())
    }

    /// The devices of a user without a session, when messages wait for them.
    pub(super) fn devices_in_need(&self, user: &UserName) -> Vec<Identity> {
        let Some(pin) = self.contacts.pin(user).filter(|pin| pin.check_send().is_ok()) else { return Vec::new() };
        let (own, waits) = (self.identity(), self.outbox.waits_for(user));
        let needs = |device: &Identity| self.repairs.concern(device) || (waits && !self.sessions.can_send(device));
        pin.identities().iter().copied().filter(|device| *device != own && needs(device)).collect()
    }

    /// Seals what can be sealed, in the order in which it was written. What cannot waits for keys.
    pub(super) fn seal_waiting(&mut self) {
        let own = self.other_devices();
        for number in self.outbox.take_to_seal() {
            let Some(message) = self.outbox.message(number) else { continue };
            let (to, needed) = (message.to.clone(), message.epoch);
            let Some(pin) = self.contacts.pin(&to).filter(|pin| pin.check_send().is_ok()) else {
                self.outbox.wait(number, &to);
                continue;
            };
            let (mut theirs, epoch) = (pin.identities().to_vec(), pin.epoch());
            theirs.retain(|device| *device != self.identity());
            let rng = &mut *self.rng;
            let mut changed = self.outbox.reconcile(number, &theirs, &own, || {
                let mut id = [0; 16];
                rng.fill_bytes(&mut id);
                id
            });
            let mut lacking = BTreeSet::new();
            for (device, own) in self.outbox.unsealed(number) {
                if self.seal_copy(number, &device, own) {
                    changed = true;
                } else {
                    lacking.insert(if own { self.config.user.clone() } else { to.clone() });
                }
            }
            if epoch < needed || self.outbox.message(number).is_some_and(Outgoing::is_lost) {
                lacking.insert(to);
            }
            lacking.iter().for_each(|user| self.outbox.wait(number, user));
            if self.outbox.message(number).is_some_and(|message| message.devices.is_empty()) {
                // The one device that it was for is gone.
                self.outbox.remove(number, &mut self.changes);
            } else if changed {
                self.outbox.save(number, &mut self.changes);
                self.announce(number);
            }
        }
    }

    /// Seals one copy; false when there is no session for it.
    fn seal_copy(&mut self, number: u64, device: &Identity, own: bool) -> bool {
        let Some(message) = self.outbox.message(number) else { return true };
        let content = if own { message.copy.as_ref() } else { Some(&message.content) };
        let Some(content) = content else { return true };
        let rng = &mut *self.rng;
        match self.sessions.seal(device, content, false, rng) {
            Ok(envelope) => self.outbox.sealed(number, device, envelope),
            Err(_) => return false,
        }
        true
    }

    /// Asks the relay, and the devices that have a link of their own, to take sealed envelopes: the oldest first, and on
    /// every link a few requests at once, so that one that does not answer holds up nobody else.
    pub(super) fn send_sealed(&mut self) {
        let mut by_link: BTreeMap<LinkId, Vec<Identity>> = BTreeMap::new();
        for device in self.outbox.devices_to_send_to() {
            let owner = self.contacts.user_of(device).and_then(|user| self.contacts.pin(user));
            let allowed = owner.is_some_and(|pin| pin.check_send().is_ok());
            if let Some(link) = self.route_to(device).filter(|_| allowed) {
                by_link.entry(link).or_default().push(*device);
            }
        }
        for (link, devices) in by_link {
            while self.open_on(link, |asked| matches!(asked, Asked::Send(_))) < SENDS_AT_ONCE {
                let batch = self.next_batch(&devices);
                if batch.is_empty() {
                    break;
                }
                self.send_batch(link, batch);
            }
        }
    }

    /// The oldest envelopes for these devices, as many as one request takes.
    fn next_batch(&self, devices: &[Identity]) -> Vec<(u64, Identity)> {
        let to = |device: &Identity| {
            let device = *device;
            self.outbox.to_send(device, self.now).take(ENVELOPES_PER_SEND).map(move |number| (number, device))
        };
        let mut ready: Vec<(u64, Identity)> = devices.iter().flat_map(to).collect();
        ready.sort_unstable();
        let mut size = 0;
        let fits = |(number, device): &(u64, Identity)| {
            size += self.outbox.envelope(*number, device).map_or(0, |(_, envelope)| envelope.len()) + ITEM_OVERHEAD;
            size <= wire::BODY_MAX
        };
        ready.into_iter().take(ENVELOPES_PER_SEND).take_while(fits).collect()
    }

    fn send_batch(&mut self, link: LinkId, copies: Vec<(u64, Identity)>) {
        let item = |(number, device): &(u64, Identity)| {
            let (id, envelope) = self.outbox.envelope(*number, device)?;
            let recipient = Recipient::Device(*device);
            Some(SendItem { id: EnvelopeId(id), recipient, transient: false, envelope: Bytes::from(envelope) })
        };
        let items: Vec<SendItem> = copies.iter().filter_map(item).collect();
        copies.iter().for_each(|(number, device)| self.outbox.in_flight(*number, device, true));
        self.ask(link, Request::Send(wire::Send { items }), Asked::Send(copies));
    }

    /// The link that leads to a device: its own when there is one, or else the relay's. One that asked to be left alone
    /// leads nowhere for a while.
    pub(super) fn route_to(&self, device: &Identity) -> Option<LinkId> {
        let relay = || self.relay().ok().filter(|_| self.is_listed());
        self.peer_link(device).or_else(relay).filter(|link| self.takes_sends(*link))
    }

    /// What became of envelopes.
    pub(super) fn sent(&mut self, copies: &[(u64, Identity)], sent: &wire::Sent) -> Result<(), Error> {
        if copies.len() != sent.results.len() {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        for ((number, device), result) in copies.iter().zip(&sent.results) {
            match result.outcome {
                SendOutcome::Taken => self.outbox.settle(*number, device, Stage::Accepted),
                SendOutcome::Unknown => self.outbox.settle(*number, device, Stage::Dropped),
                SendOutcome::Full => {
                    self.outbox.in_flight(*number, device, false);
                    self.outbox.rest(device, self.now.saturating_add(RETRY_AFTER));
                }
            }
            self.epoch_reported(*number, device, result.epoch);
            if self.outbox.message(*number).is_some_and(Outgoing::is_lost) {
                // None of the devices that are known here is known there: look at the list again.
                self.outbox.report_epoch(*number, 0);
            }
            self.announce(*number);
            self.outbox.save(*number, &mut self.changes);
        }
        Ok(())
    }

    /// L3: a newer device list than the one that was sealed for.
    fn epoch_reported(&mut self, number: u64, device: &Identity, epoch: u64) {
        let Some(user) = self.contacts.user_of(device).cloned() else { return };
        let known = self.contacts.pin(&user).map_or(0, Pin::epoch);
        if epoch <= known {
            return;
        }
        if self.outbox.message(number).is_some_and(|message| message.to == user) {
            self.outbox.report_epoch(number, epoch);
        } else {
            self.look_up_own();
        }
    }

    /// A link refused to take envelopes: for ever, or for now.
    pub(super) fn send_refused(&mut self, link: LinkId, copies: &[(u64, Identity)], refusal: Refusal) {
        if matches!(refusal.code, RefusalCode::TooLarge | RefusalCode::Malformed) {
            // It would be refused for ever: the message is given up, and its writer told.
            for (number, device) in copies {
                self.outbox.settle(*number, device, Stage::Dropped);
                self.fail_message(*number, ApiMisuse::TooLarge.into());
            }
        } else {
            copies.iter().for_each(|(number, device)| self.outbox.in_flight(*number, device, false));
            self.rest_sends(link, self.now.saturating_add(refusal.wait(1_000)));
        }
        self.tell_refused(RequestKind::Send, refusal);
    }

    fn announce(&mut self, number: u64) {
        if let Some(id) = self.outbox.announce(number) {
            self.tell(Event::Sent { id });
        }
    }

    /// A message cannot be sent; it is forgotten.
    pub(super) fn fail_message(&mut self, number: u64, error: Error) {
        if let Some(message) =
            self.outbox.remove(number, &mut self.changes).filter(|message| message.tracked && !message.quiet)
        {
            self.tell(Event::Failed { id: message.id, error });
        }
    }
}

fn encode(id: MessageId, sent_at: u64, body: &Body) -> Result<SecretVec, Error> {
    // The body is only borrowed for the time of the encoding.
    Ok(Content::encode_parts(id, sent_at, 0, body)?)
}
