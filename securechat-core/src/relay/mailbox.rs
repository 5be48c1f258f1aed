//! Envelopes: taken from a sender, kept until acknowledged, delivered in order (L1, L2).

use super::accounts::require_listed;
use super::answer::{SentItem, StoreOutcome, StoreResult, Waiting};
use super::connection::{ConnId, Item, Who};
use super::job::{Job, JobResult};
use super::login::rate_limited;
use super::store::{StoreJob, StoredItem};
use super::{Outcome, Relay, RelayEvent, Step, Ticket, Timer, UNAVAILABLE};
use crate::crypto::secret::SecretVec;
use crate::identity::Identity;
use crate::limits::{
    DELIVERIES_IN_FLIGHT, DELIVERY_BYTES_IN_FLIGHT, DEVICES_PER_USER, ENVELOPE_MAX, ENVELOPES_PER_TOKEN,
    GROUP_ENVELOPES_PER_SEND, GROUP_MEMBERS,
};
use crate::roster::GroupId;
use crate::wire::{
    Acknowledge, Bytes, Deliver, Done, EnvelopeRef, Push, Recipient, RefusalCode, Reply, Send, SendOutcome, SendResult,
    Sent,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of envelopes that are loaded at once; also what may wait in an outbox before nothing more is added to it
/// that can wait elsewhere.
const LOAD_BYTES: usize = 256 * 1024;
/// The devices of the largest group.
const GROUP_DEVICES: usize = GROUP_MEMBERS * DEVICES_PER_USER;
/// How long a failed load waits before the next, in milliseconds.
const RELOAD_AFTER: u64 = 5_000;

/// How far the delivery to one connected device has come.
///
/// Either it has caught up, and what is stored is handed on at once; or it is behind, and what is stored is loaded
/// when there is room. Since store jobs complete in order, what is stored while a load is under way comes with it.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// The number of the last envelope delivered on this connection.
    cursor: u64,
    /// Whether more than that may wait in the store.
    behind: bool,
    /// Whether a load is under way.
    loading: bool,
    /// Delivered and not acknowledged, with their lengths.
    in_flight: BTreeMap<EnvelopeRef, usize>,
    bytes: usize,
}

impl Mail {
    fn has_room(&self) -> bool {
        self.in_flight.len() < DELIVERIES_IN_FLIGHT && self.bytes < DELIVERY_BYTES_IN_FLIGHT
    }
}

/// What a request about envelopes waits for.
pub(super) enum Expect {
    /// What became of each envelope.
    Sent(Sending),
    /// That they wait no longer.
    Acknowledged(Vec<EnvelopeRef>),
    /// Envelopes that wait for the device of this connection.
    Waiting(ConnId),
}

/// Envelopes while they are being stored.
pub(super) struct Sending {
    who: Who,
    sends: Vec<StoredSend>,
    /// The tokens that they were paid for with.
    cost: u32,
    /// When they came.
    at: u64,
}

/// An envelope while it is being stored.
pub(super) struct StoredSend {
    item: StoredItem,
    envelope: Bytes,
}

impl Relay {
    pub(super) fn send(&mut self, ticket: Ticket, who: Who, request: Send, now: u64) -> Outcome {
        require_listed(&who)?;
        let groups = request.items.iter().filter(|item| matches!(item.recipient, Recipient::Group(_))).count();
        if groups > GROUP_ENVELOPES_PER_SEND {
            return Err(RefusalCode::Malformed.into());
        }
        // The request itself is paid for; a long one costs as much as several. How many devices are in a group the store
        // knows: as many as there can be are paid for, and what was too much is given back.
        let more = tokens(request.items.len().saturating_sub(1)) + tokens(groups * GROUP_DEVICES);
        self.limiter.requests.take(&who.user, more, now).map_err(rate_limited)?;
        let mut sends = Vec::with_capacity(request.items.len());
        for item in request.items {
            if item.envelope.is_empty() || item.envelope.len() > ENVELOPE_MAX {
                return Err(RefusalCode::Malformed.into());
            }
            let stored = (!item.transient).then(|| item.envelope.clone());
            let stored = StoredItem { id: item.id, recipient: item.recipient, envelope: stored };
            sends.push(StoredSend { item: stored, envelope: item.envelope });
        }
        let job = StoreJob::Send {
            sender: who.identity,
            user: who.user.clone(),
            items: sends.iter().map(|send| send.item.clone()).collect(),
            room: self.config.limits.mailbox_envelopes,
            room_bytes: self.config.limits.mailbox_bytes,
            now,
        };
        self.store(ticket, job, Step::Mailbox(Expect::Sent(Sending { who, sends, cost: more, at: now })))
    }

    pub(super) fn acknowledge(&mut self, ticket: Ticket, who: &Who, request: Acknowledge) -> Outcome {
        require_listed(who)?;
        let envelopes = request.envelopes;
        let job = StoreJob::Acknowledge { recipient: who.identity, envelopes: envelopes.clone() };
        self.store(ticket, job, Step::Mailbox(Expect::Acknowledged(envelopes)))
    }

    pub(super) fn resume_mailbox(
        &mut self,
        ticket: Option<Ticket>,
        expect: Expect,
        result: JobResult,
        now: u64,
    ) -> Outcome {
        match (expect, result, ticket) {
            (Expect::Sent(sending), JobResult::Store(StoreResult::Sent(sent)), Some(ticket)) => {
                self.pay(&sending, &sent);
                let Sending { who, sends, at, .. } = sending;
                for (send, sent) in sends.iter().zip(&sent) {
                    match send.item.recipient {
                        Recipient::Device(recipient) => self.route(&who, send, (recipient, sent.outcome), at, now),
                        Recipient::Group(group) => self.route_to_group(&who, send, (group, sent), at, now),
                    }
                }
                let results = sent.iter().map(result_of).collect();
                self.reply(ticket, &Reply::Send(Sent { results }), now);
                Ok(())
            }
            (Expect::Acknowledged(envelopes), JobResult::Store(StoreResult::Done), Some(ticket)) => {
                self.reply(ticket, &Reply::Acknowledge(Done), now);
                self.acknowledged(ticket.conn, &envelopes);
                Ok(())
            }
            (Expect::Waiting(conn), JobResult::Store(StoreResult::Waiting(waiting)), _) => {
                self.deliver_waiting(conn, waiting, now);
                Ok(())
            }
            (Expect::Waiting(conn), ..) => {
                if let Some(mail) = self.mail(conn) {
                    mail.loading = false;
                    self.timers.insert((now.saturating_add(RELOAD_AFTER), Timer::Reload(conn)));
                }
                Ok(())
            }
            _ => Err(UNAVAILABLE),
        }
    }

    /// The device of this connection is in its user's list: what waits for it begins to come, from the first on.
    pub(super) fn start_mail(&mut self, conn: ConnId) {
        if let Some(mail) = self.mail(conn) {
            *mail = Mail { behind: true, loading: mail.loading, ..Mail::default() };
            self.load_mail(conn);
        }
    }

    /// Loads what waits for a device, if there may be any and there is room for it.
    pub(super) fn load_mail(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if connection.out.paused.is_some() || connection.out.bytes >= LOAD_BYTES / 4 {
            return;
        }
        let Some(admitted) = connection.admitted_mut().filter(|admitted| admitted.who.listed) else { return };
        let mail = &mut admitted.mail;
        if !mail.behind || mail.loading || !mail.has_room() {
            return;
        }
        mail.loading = true;
        let job = StoreJob::Waiting {
            recipient: admitted.who.identity,
            after: mail.cursor,
            count: DELIVERIES_IN_FLIGHT - mail.in_flight.len(),
            bytes: LOAD_BYTES.min(DELIVERY_BYTES_IN_FLIGHT - mail.bytes),
        };
        self.spawn(None, Job::Store(job), Step::Mailbox(Expect::Waiting(conn)));
    }

    fn deliver_waiting(&mut self, conn: ConnId, waiting: Waiting, now: u64) {
        let Some(mail) = self.mail(conn) else { return };
        mail.loading = false;
        mail.behind = waiting.more;
        for envelope in waiting.envelopes {
            let deliver = Deliver {
                id: envelope.id,
                sender: envelope.sender,
                user: envelope.user,
                sent_at: envelope.sent_at,
                transient: false,
                envelope: envelope.envelope,
            };
            self.deliver(conn, envelope.number, &Letter::of(deliver), now);
        }
        self.load_mail(conn);
    }

    /// An envelope for a device was just taken.
    fn route(
        &mut self,
        who: &Who,
        send: &StoredSend,
        (recipient, outcome): (Identity, StoreOutcome),
        at: u64,
        now: u64,
    ) {
        if let Some(number) = send.number(outcome) {
            let (bytes, transient) = (send.envelope.len(), number.is_none());
            self.note(RelayEvent::Routed { from: who.identity, to: recipient, bytes, transient });
            self.hand_on(&Letter::new(who, send, at), recipient, number, now);
        }
    }

    /// Gives back what was paid for devices that groups do not have.
    fn pay(&mut self, sending: &Sending, sent: &[SentItem]) {
        let devices = sent.iter().map(|sent| tokens(sent.devices.len())).sum::<u32>();
        let used = tokens(sending.sends.len().saturating_sub(1)) + devices;
        self.limiter.requests.put_back(&sending.who.user, sending.cost, used);
    }

    /// An envelope for a group was just taken.
    fn route_to_group(&mut self, who: &Who, send: &StoredSend, (group, sent): (GroupId, &SentItem), at: u64, now: u64) {
        if sent.outcome == StoreOutcome::Unknown {
            return;
        }
        let letter = Letter::new(who, send, at);
        let mut devices = 0;
        for (recipient, outcome) in &sent.devices {
            if let Some(number) = send.number(*outcome) {
                devices += 1;
                self.hand_on(&letter, *recipient, number, now);
            }
        }
        let (bytes, transient) = (send.envelope.len(), send.item.envelope.is_none());
        self.note(RelayEvent::RoutedToGroup { from: who.identity, group, devices, bytes, transient });
    }

    /// Hands an envelope to a device that is connected and can have it now. One without a number is transient.
    fn hand_on(&mut self, letter: &Letter, recipient: Identity, number: Option<u64>, now: u64) {
        let Some(conn) = self.presence.connection_of(&recipient) else { return };
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let full = connection.out.bytes >= LOAD_BYTES || connection.out.paused.is_some();
        let Some(admitted) = connection.admitted_mut().filter(|admitted| admitted.who.listed) else { return };
        if number.is_some() {
            admitted.mail.behind |= full || !admitted.mail.has_room();
            if admitted.mail.behind || admitted.mail.loading {
                return;
            }
        } else if full {
            return;
        }
        match number {
            Some(number) => self.deliver(conn, number, letter, now),
            None => self.put_letter(conn, letter, now),
        }
    }

    fn deliver(&mut self, conn: ConnId, number: u64, letter: &Letter, now: u64) {
        let Some(mail) = self.mail(conn).filter(|mail| number > mail.cursor) else { return };
        mail.cursor = number;
        mail.bytes += letter.length;
        mail.in_flight.insert(letter.name, letter.length);
        self.put_letter(conn, letter, now);
    }

    fn put_letter(&mut self, conn: ConnId, letter: &Letter, now: u64) {
        if let Some(push) = &letter.push {
            self.put_out(conn, Item::Push(push.clone()), now);
        }
    }

    fn acknowledged(&mut self, conn: ConnId, envelopes: &[EnvelopeRef]) {
        let Some(mail) = self.mail(conn) else { return };
        for envelope in envelopes {
            mail.bytes -= mail.in_flight.remove(envelope).unwrap_or_default();
        }
        if mail.in_flight.is_empty() {
            // An emptied map keeps its room; an idle connection shall not.
            mail.in_flight = BTreeMap::new();
        }
        self.load_mail(conn);
    }

    fn mail(&mut self, conn: ConnId) -> Option<&mut Mail> {
        Some(&mut self.connections.get_mut(&conn)?.admitted_mut()?.mail)
    }
}

impl StoredSend {
    /// Whether it goes to a device now, and under which number: none when it is transient.
    fn number(&self, outcome: StoreOutcome) -> Option<Option<u64>> {
        match outcome {
            StoreOutcome::Stored(number) => Some(Some(number)),
            StoreOutcome::Passed if self.item.envelope.is_none() => Some(None),
            _ => None,
        }
    }
}

/// An envelope as it is pushed: to however many devices, its bytes are the same.
struct Letter {
    name: EnvelopeRef,
    length: usize,
    push: Option<Arc<SecretVec>>,
}

impl Letter {
    fn new(who: &Who, send: &StoredSend, at: u64) -> Self {
        Self::of(Deliver {
            id: send.item.id,
            sender: who.identity,
            user: who.user.clone(),
            sent_at: at,
            transient: send.item.envelope.is_none(),
            envelope: send.envelope.clone(),
        })
    }

    fn of(deliver: Deliver) -> Self {
        let name = EnvelopeRef { sender: deliver.sender, id: deliver.id };
        let length = deliver.envelope.len();
        // Every push is made to fit.
        Self { name, length, push: Push::Deliver(deliver).encode().ok().map(Arc::new) }
    }
}

/// What so many envelopes cost.
fn tokens(envelopes: usize) -> u32 {
    u32::try_from(envelopes / ENVELOPES_PER_TOKEN).unwrap_or(u32::MAX)
}

fn result_of(sent: &SentItem) -> SendResult {
    let outcome = match sent.outcome {
        StoreOutcome::Stored(_) | StoreOutcome::Passed => SendOutcome::Taken,
        StoreOutcome::Unknown => SendOutcome::Unknown,
        StoreOutcome::Full => SendOutcome::Full,
    };
    SendResult { outcome, epoch: sent.epoch }
}
