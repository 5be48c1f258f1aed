//! Messages to groups: sealed at the moment at which they can leave, one envelope for everybody.

use super::state::Outgoing;
use crate::client::Client;
use crate::client::links::Asked;
use crate::client::sending::{ITEM_OVERHEAD, SENDS_AT_ONCE};
use crate::content::{Body, Content, MessageId};
use crate::error::{ApiMisuse, Error, InvalidMessage};
use crate::event::{Event, RequestKind};
use crate::limits::GROUP_ENVELOPES_PER_SEND;
use crate::roster::GroupId;
use crate::wire::{self, Bytes, EnvelopeId, Recipient, Refusal, RefusalCode, Request, SendItem, SendOutcome};

impl Client {
    /// Queues a message to a group.
    pub(in crate::client) fn send_to_group(&mut self, group: GroupId, body: &Body) -> Result<MessageId, Error> {
        let known = self.groups.known.get(&group).ok_or(ApiMisuse::NotFound)?;
        if known.wishes.fork.is_some() {
            return Err(ApiMisuse::RosterForked.into());
        }
        if !known.log.roster().is_member(&self.config.user) {
            return Err(ApiMisuse::NotPermitted.into());
        }
        let id = self.message_id();
        let content = Content::encode_parts(id, self.now, 0, body)?;
        let envelope_id = self.random_id();
        let created = self.now;
        let message = Outgoing { id, group, content, envelope_id, sealed: None, created, in_flight: false };
        self.groups.push(message, self.config.limits.outgoing, &mut self.changes)?;
        Ok(id)
    }

    /// Seals what can leave now: the log is up to date as far as the relay says, and there is room on the link. Handing
    /// over keys comes first.
    pub(super) fn seal_group_messages(&mut self) {
        let Ok(relay) = self.relay() else { return };
        if !self.groups.ready || !self.is_listed() || !self.takes_sends(relay) {
            return;
        }
        let waits = self.groups.out.iter().filter(|(_, message)| !message.in_flight && message.sealed.is_none());
        let due: Vec<(u64, GroupId)> = waits.map(|(number, message)| (*number, message.group)).collect();
        let open = self.open_on(relay, |asked| matches!(asked, Asked::SendGroup(_)));
        for (number, group) in due.into_iter().take(SENDS_AT_ONCE.saturating_sub(open) * GROUP_ENVELOPES_PER_SEND) {
            if !self.may_seal(group) {
                continue;
            }
            self.prepare_key(group);
            let identity = self.identity();
            let (Some(known), Some(message)) = (self.groups.known.get_mut(&group), self.groups.out.get_mut(&number))
            else {
                continue;
            };
            let Some(key) = &mut known.own.key else { continue };
            match key.seal(&identity, known.log.roster(), &message.content, &mut *self.rng) {
                Ok(envelope) => {
                    message.sealed = Some(envelope);
                    self.groups.save_key(group, &mut self.changes);
                    self.groups.save_out(number, &mut self.changes);
                }
                Err(error) => self.fail_group_message(number, error),
            }
        }
    }

    /// Whether a message to a group may be sealed: nothing about its log is open.
    fn may_seal(&self, group: GroupId) -> bool {
        let Some(known) = self.groups.known.get(&group) else { return false };
        let settled = known.wishes.signed.is_none() && known.wishes.fork.is_none();
        settled && !self.groups.syncs.contains_key(&group) && known.log.roster().is_member(&self.config.user)
    }

    /// Asks the relay to take what is sealed, in the order in which it was written.
    pub(in crate::client) fn send_group_messages(&mut self) {
        let Ok(relay) = self.relay() else { return };
        while self.is_listed()
            && self.takes_sends(relay)
            && self.open_on(relay, |asked| matches!(asked, Asked::SendGroup(_))) < SENDS_AT_ONCE
        {
            let mut size = 0;
            let mut numbers = Vec::new();
            let mut items = Vec::new();
            for (number, message) in self.groups.out.iter().filter(|(_, message)| !message.in_flight) {
                let Some(envelope) = &message.sealed else { continue };
                size += envelope.len() + ITEM_OVERHEAD;
                if size > wire::BODY_MAX || items.len() >= GROUP_ENVELOPES_PER_SEND {
                    break;
                }
                numbers.push(*number);
                items.push(SendItem {
                    id: EnvelopeId(message.envelope_id),
                    recipient: Recipient::Group(message.group),
                    transient: false,
                    envelope: Bytes::from(envelope.as_slice()),
                });
            }
            if items.is_empty() {
                return;
            }
            for number in &numbers {
                if let Some(message) = self.groups.out.get_mut(number) {
                    message.in_flight = true;
                }
            }
            self.ask(relay, Request::Send(wire::Send { items }), Asked::SendGroup(numbers));
        }
    }

    /// What became of messages to groups.
    pub(in crate::client) fn group_sent(&mut self, numbers: &[u64], sent: &wire::Sent) -> Result<(), Error> {
        if numbers.len() != sent.results.len() {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        for (number, result) in numbers.iter().zip(&sent.results) {
            let Some(message) = self.groups.out.get_mut(number) else { continue };
            message.in_flight = false;
            let (id, group) = (message.id, message.group);
            let known = self.groups.known.get(&group).map(|known| u64::from(known.log.roster().sequence()));
            match result.outcome {
                SendOutcome::Taken => {
                    self.groups.out.remove(number);
                    self.groups.save_out(*number, &mut self.changes);
                    self.tell(Event::Sent { id });
                    if known.is_some_and(|known| result.epoch > known) {
                        // There are entries that the message did not know of.
                        self.begin_sync(group);
                    }
                }
                SendOutcome::Unknown => {
                    // This user is no member any more, or the group is gone.
                    self.begin_sync(group);
                    self.fail_group_message(*number, ApiMisuse::NotPermitted.into());
                }
                SendOutcome::Full => {}
            }
        }
        Ok(())
    }

    /// The relay refused to take messages to groups: for ever, or for now.
    pub(in crate::client) fn group_send_refused(
        &mut self,
        link: crate::event::LinkId,
        numbers: &[u64],
        refusal: Refusal,
    ) {
        if matches!(refusal.code, RefusalCode::TooLarge | RefusalCode::Malformed) {
            numbers.iter().for_each(|number| self.fail_group_message(*number, ApiMisuse::TooLarge.into()));
        } else {
            self.group_send_unanswered(numbers);
            self.rest_sends(link, self.now.saturating_add(refusal.wait(1_000)));
        }
        self.tell_refused(RequestKind::Send, refusal);
    }

    /// They go again on the next connection, under the same ids and as the same bytes.
    pub(in crate::client) fn group_send_unanswered(&mut self, numbers: &[u64]) {
        for number in numbers {
            if let Some(message) = self.groups.out.get_mut(number) {
                message.in_flight = false;
            }
        }
    }

    fn fail_group_message(&mut self, number: u64, error: Error) {
        if let Some(message) = self.groups.out.remove(&number) {
            self.groups.save_out(number, &mut self.changes);
            self.tell(Event::Failed { id: message.id, error });
        }
    }

    /// Messages that could not leave in a month are given up.
    pub(in crate::client) fn expire_group_messages(&mut self) {
        let old = self.groups.out.iter().filter(|(_, message)| {
            self.now.saturating_sub(message.created) >= crate::limits::OUTGOING_LIFE && !message.in_flight
        });
        let numbers: Vec<u64> = old.map(|(number, _)| *number).collect();
        numbers.into_iter().for_each(|number| self.fail_group_message(number, ApiMisuse::Expired.into()));
    }
}
