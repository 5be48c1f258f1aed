//! Envelopes that wait for devices, in memory.

use super::answer::{StoreOutcome, Waiting, WaitingEnvelope};
use super::store::StoredItem;
use crate::identity::{Identity, UserName};
use crate::wire::EnvelopeRef;
use std::collections::{HashMap, VecDeque};

/// Ids that each mailbox remembers at least, the newest; those of waiting envelopes come on top.
const SEEN: usize = 1_024;

/// The mailboxes of devices: the part of a store that changes with every message. What is in them ends with the process.
///
/// A host that keeps everything else elsewhere may keep this part here, and answer
/// [`StoreJob::Send`](super::StoreJob::Send), `Waiting` and `Acknowledge` from it.
#[derive(Clone, Debug, Default)]
pub struct Mailboxes {
    pub(super) of: HashMap<Identity, Mailbox>,
    pub(super) last_number: u64,
    /// What was stored, dropped or forgotten, and for whom, where a store of records asks for it.
    pub(super) noted: Option<Vec<(Identity, EnvelopeRef)>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Mailbox {
    /// By their numbers, which rise.
    pub(super) envelopes: VecDeque<WaitingEnvelope>,
    pub(super) bytes: u64,
    /// The number and the time of every envelope that was stored.
    pub(super) seen: HashMap<EnvelopeRef, (u64, u64)>,
}

impl Mailboxes {
    /// Stores an envelope for a device that is known and listed, and that the item names or is for as one of a group, unless
    /// it was stored before or there is no room. `room` is how many envelopes, and how many bytes of them, may wait for one
    /// device.
    pub fn send(
        &mut self,
        (sender, user): (&Identity, &UserName),
        recipient: Identity,
        item: &StoredItem,
        (room, room_bytes): (usize, u64),
        now: u64,
    ) -> StoreOutcome {
        let Some(envelope) = &item.envelope else { return StoreOutcome::Passed };
        let mailbox = self.of.entry(recipient).or_default();
        let name = EnvelopeRef { sender: *sender, id: item.id };
        if mailbox.seen.contains_key(&name) {
            return StoreOutcome::Passed;
        }
        let bytes = mailbox.bytes.saturating_add(envelope.len() as u64);
        if mailbox.envelopes.len() >= room || bytes > room_bytes {
            return StoreOutcome::Full;
        }
        self.last_number += 1;
        let number = self.last_number;
        let waiting = WaitingEnvelope {
            number,
            id: item.id,
            sender: *sender,
            user: user.clone(),
            sent_at: now,
            envelope: envelope.clone(),
        };
        mailbox.bytes = bytes;
        mailbox.envelopes.push_back(waiting);
        let forgotten = mailbox.remember(name, number, now);
        note(&mut self.noted, recipient, forgotten.into_iter().chain([name]));
        StoreOutcome::Stored(number)
    }

    /// The envelopes with a number above `after`, oldest first: at most `count`, and at most `bytes` bytes of them, except
    /// that the first always counts.
    pub fn waiting(&self, recipient: &Identity, after: u64, count: usize, bytes: usize) -> Waiting {
        let mut page = Waiting::default();
        let mut total = 0;
        let Some(mailbox) = self.of.get(recipient) else { return page };
        let behind = mailbox.envelopes.partition_point(|waiting| waiting.number <= after);
        for waiting in mailbox.envelopes.range(behind..) {
            total += waiting.envelope.len();
            if page.envelopes.len() >= count || (total > bytes && !page.envelopes.is_empty()) {
                page.more = true;
                break;
            }
            page.envelopes.push(waiting.clone());
        }
        page
    }

    /// Drops envelopes, whether or not they waited.
    pub fn acknowledge(&mut self, recipient: &Identity, envelopes: &[EnvelopeRef]) {
        let Some(mailbox) = self.of.get_mut(recipient) else { return };
        for name in envelopes {
            let number = mailbox.seen.get(name).map(|(number, _)| *number);
            let place = number.and_then(|number| mailbox.place(number));
            let Some(waited) = place.and_then(|place| mailbox.envelopes.remove(place)) else { continue };
            mailbox.bytes -= waited.envelope.len() as u64;
            note(&mut self.noted, *recipient, [*name]);
        }
        if mailbox.envelopes.is_empty() {
            // An emptied queue keeps its room; nobody may come for long.
            mailbox.envelopes = VecDeque::new();
        }
    }

    /// Drops what waits for a device that is not listed any more.
    pub fn empty(&mut self, device: &Identity) {
        if let Some(mailbox) = self.of.get_mut(device) {
            note(&mut self.noted, *device, mailbox.envelopes.iter().map(WaitingEnvelope::name));
            mailbox.envelopes = VecDeque::new();
            mailbox.bytes = 0;
        }
    }

    /// Forgets what was stored before this time.
    pub fn expire(&mut self, before: u64) {
        for (recipient, mailbox) in &mut self.of {
            mailbox.envelopes.retain(|waiting| waiting.sent_at >= before);
            mailbox.bytes = mailbox.envelopes.iter().map(|waiting| waiting.envelope.len() as u64).sum();
            let forgotten = mailbox.seen.extract_if(|_, (_, at)| *at < before);
            note(&mut self.noted, *recipient, forgotten.map(|(name, _)| name));
        }
        self.of.retain(|_, mailbox| !mailbox.seen.is_empty());
    }
}

/// Notes envelopes, where that is asked for.
fn note(
    noted: &mut Option<Vec<(Identity, EnvelopeRef)>>,
    recipient: Identity,
    names: impl IntoIterator<Item = EnvelopeRef>,
) {
    for name in names {
        noted.iter_mut().for_each(|noted| noted.push((recipient, name)));
    }
}

impl Mailbox {
    pub(super) fn place(&self, number: u64) -> Option<usize> {
        self.envelopes.binary_search_by_key(&number, |waiting| waiting.number).ok()
    }

    /// Remembers an id, and gives those that it forgets instead.
    fn remember(&mut self, name: EnvelopeRef, number: u64, now: u64) -> Vec<EnvelopeRef> {
        let mut forgotten = Vec::new();
        if self.seen.len() >= 2 * SEEN + self.envelopes.len() {
            let mut numbers: Vec<u64> = self.seen.values().map(|(number, _)| *number).collect();
            let oldest = numbers.len().saturating_sub(SEEN);
            let (_, &mut least, _) = numbers.select_nth_unstable(oldest);
            let mut seen = core::mem::take(&mut self.seen);
            let old = seen.extract_if(|_, (number, _)| *number < least && self.place(*number).is_none());
            forgotten = old.map(|(name, _)| name).collect();
            self.seen = seen;
        }
        self.seen.insert(name, (number, now));
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{EnvelopeId, Recipient};

    const SENDER: Identity = Identity::from_bytes([1; 32]);
    const RECIPIENT: Identity = Identity::from_bytes([2; 32]);

    fn send(mailboxes: &mut Mailboxes, id: u32) -> StoreOutcome {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&id.to_be_bytes());
        let recipient = Recipient::Device(RECIPIENT);
        let item = StoredItem { id: EnvelopeId(bytes), recipient, envelope: Some(b"text"[..].into()) };
        mailboxes.send((&SENDER, &UserName::new("alice").unwrap()), RECIPIENT, &item, (1 << 20, 1 << 30), 5)
    }

    fn name(id: u32) -> EnvelopeRef {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&id.to_be_bytes());
        EnvelopeRef { sender: SENDER, id: EnvelopeId(bytes) }
    }

    /// What a mailbox remembers does not grow with what went through it, and the newest and the waiting are in it.
    #[test]
    fn old_ids_are_forgotten_unless_they_wait() {
        let mut mailboxes = Mailboxes::default();
        assert_eq!(send(&mut mailboxes, 0), StoreOutcome::Stored(1));
        for id in 1..20_000 {
            assert_eq!(send(&mut mailboxes, id), StoreOutcome::Stored(u64::from(id) + 1));
            mailboxes.acknowledge(&RECIPIENT, &[name(id)]);
            assert!(mailboxes.of[&RECIPIENT].seen.len() <= 2 * SEEN + 2);
        }
        for id in [0, 19_999, 20_000 - SEEN as u32] {
            assert_eq!(send(&mut mailboxes, id), StoreOutcome::Passed, "{id}");
        }
        assert_eq!(mailboxes.of[&RECIPIENT].bytes, 4);
        assert_eq!(mailboxes.waiting(&RECIPIENT, 0, 9, 9).envelopes.len(), 1);
        assert!(matches!(send(&mut mailboxes, 1), StoreOutcome::Stored(_)));
    }
}
