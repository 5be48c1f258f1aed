//! What arrived: messages that the application has not taken, ids that were seen, and envelopes that wait for a list.

use super::receiving::Source;
use crate::codec::{decode, encode_secret};
use crate::content::MessageId;
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, Error};
pub(super) use crate::event::InGroup;
use crate::event::LinkId;
use crate::identity::{Identity, UserName};
use crate::limits::{ACKNOWLEDGEMENTS_WAITING, ENVELOPE_LIFE, Limits, RECEIPTS_WAITING, SEEN_PER_USER};
use crate::record::{Changes, Records};
use crate::wire::{ENVELOPES_PER_ACKNOWLEDGE, EnvelopeRef};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Prefix of the records of what was not taken: `inbox/<number, 16 hex digits>`.
const RECORD: &str = "inbox/";
/// Prefix of the records of ids that were seen: `seen/<user>/<id>`.
const SEEN: &str = "seen/";

/// An opened content, kept until the application took it.
#[derive(Serialize, Deserialize)]
pub(super) struct Arrived {
    pub(super) user: UserName,
    pub(super) device: Identity,
    pub(super) content: SecretVec,
    /// The group in which it came, if it came in one.
    pub(super) group: Option<InGroup>,
}

/// An envelope that cannot be opened before its sender's device list is known (S5).
pub(super) struct Waiting {
    pub(super) source: Source,
    pub(super) envelope: Vec<u8>,
    /// Whose list is fetched.
    pub(super) user: UserName,
}

/// All of it.
#[derive(Default)]
pub(super) struct Inbox {
    arrived: BTreeMap<u64, Arrived>,
    next: u64,
    seen: BTreeMap<UserName, VecDeque<(u64, MessageId)>>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Envelopes to acknowledge, on the link that brought them.
    acknowledge: BTreeMap<LinkId, Vec<EnvelopeRef>>,
    /// Delivery receipts to send.
    receipts: BTreeMap<(UserName, Identity), Vec<MessageId>>,
    /// The message with receipts that is on its way to a device.
    pub(super) receipt_sent: BTreeMap<Identity, MessageId>,
}

impl Inbox {
    pub(super) fn restore(records: &Records) -> Result<Self, Error> {
        let mut inbox = Self::default();
        for (key, value) in records.with_prefix(RECORD) {
            let number = u64::from_str_radix(key, 16).map_err(|_| ApiMisuse::Record)?;
            inbox.next = number.saturating_add(1);
            inbox.arrived.insert(number, decode(value).map_err(|_| ApiMisuse::Record)?);
        }
        for (key, value) in records.with_prefix(SEEN) {
            let (user, _) = key.split_once('/').ok_or(ApiMisuse::Record)?;
            let user = UserName::new(user).map_err(|_| ApiMisuse::Record)?;
            let entry: (u64, MessageId) = decode(value).map_err(|_| ApiMisuse::Record)?;
            inbox.seen.entry(user).or_default().push_back(entry);
        }
        inbox.seen.values_mut().for_each(|entries| entries.make_contiguous().sort_unstable());
        Ok(inbox)
    }

    /// What was not taken, oldest first.
    pub(super) fn arrived(&self) -> impl Iterator<Item = (u64, &Arrived)> + '_ {
        self.arrived.iter().map(|(number, arrived)| (*number, arrived))
    }

    /// Keeps a content until it is taken.
    pub(super) fn keep(&mut self, arrived: Arrived, changes: &mut Changes) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        changes.put(format!("{RECORD}{number:016x}"), encode_secret(&arrived));
        self.arrived.insert(number, arrived);
        number
    }

    /// The application took it.
    pub(super) fn taken(&mut self, number: u64, changes: &mut Changes) {
        if self.arrived.remove(&number).is_some() {
            changes.remove(format!("{RECORD}{number:016x}"));
        }
    }

    /// Notes a message id; false when it was seen before from the same user.
    pub(super) fn is_new(&mut self, user: &UserName, id: MessageId, now: u64, changes: &mut Changes) -> bool {
        let entries = self.seen.entry(user.clone()).or_default();
        if entries.iter().any(|(_, seen)| *seen == id) {
            return false;
        }
        let old = |entries: &VecDeque<(u64, MessageId)>| {
            entries
                .front()
                .is_some_and(|(at, _)| entries.len() >= SEEN_PER_USER || at.saturating_add(ENVELOPE_LIFE) < now)
        };
        while old(entries) {
            if let Some((_, id)) = entries.pop_front() {
                changes.remove(format!("{SEEN}{user}/{id}"));
            }
        }
        entries.push_back((now, id));
        changes.put(format!("{SEEN}{user}/{id}"), encode_secret(&(now, id)));
        true
    }

    /// Notes that an envelope is done with. Of more than may wait the rest is not acknowledged, and comes again.
    pub(super) fn acknowledge(&mut self, link: LinkId, reference: EnvelopeRef) {
        let due = self.acknowledge.entry(link).or_default();
        if due.len() < ACKNOWLEDGEMENTS_WAITING {
            due.push(reference);
        }
    }

    /// Takes some of what is to be acknowledged on a link, as much as one request takes.
    pub(super) fn take_acknowledged(&mut self, link: LinkId) -> Vec<EnvelopeRef> {
        let Some(due) = self.acknowledge.get_mut(&link) else { return Vec::new() };
        let some = due.drain(..due.len().min(ENVELOPES_PER_ACKNOWLEDGE)).collect();
        if due.is_empty() {
            self.acknowledge.remove(&link);
        }
        some
    }

    /// The links on which something is to be acknowledged.
    pub(super) fn links_to_acknowledge_on(&self) -> Vec<LinkId> {
        self.acknowledge.keys().copied().collect()
    }

    /// Notes that a device is to be told that its message arrived. Of more than may wait the newest are passed over.
    pub(super) fn receipt_due(&mut self, user: &UserName, device: &Identity, id: MessageId) {
        let due = self.receipts.entry((user.clone(), *device)).or_default();
        if due.len() < RECEIPTS_WAITING {
            due.push(id);
        }
    }

    /// Takes the receipts for devices to which none is on its way; `waits` says whether a message still is.
    pub(super) fn take_receipts(
        &mut self,
        waits: impl Fn(&MessageId) -> bool,
    ) -> BTreeMap<(UserName, Identity), Vec<MessageId>> {
        if self.receipts.is_empty() {
            return BTreeMap::new();
        }
        self.receipt_sent.retain(|_, id| waits(id));
        let all = core::mem::take(&mut self.receipts).into_iter();
        let (later, now) = all.partition(|((_, device), _)| self.receipt_sent.contains_key(device));
        self.receipts = later;
        now
    }

    /// Keeps an envelope until a device list is known. False when there is no room; the relay keeps it then.
    pub(super) fn wait(&mut self, waiting: Waiting, limits: &Limits) -> bool {
        let bytes = self.waiting_bytes.saturating_add(waiting.envelope.len());
        if self.waiting.len() >= limits.waiting_messages || bytes > limits.waiting_bytes {
            return false;
        }
        self.waiting_bytes = bytes;
        self.waiting.push_back(waiting);
        true
    }

    /// Takes the envelopes that wait for a user's list.
    pub(super) fn take_waiting(&mut self, user: &UserName) -> Vec<Waiting> {
        let (taken, left): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|waiting| waiting.user == *user);
        self.waiting = left.into();
        self.waiting_bytes = self.waiting.iter().map(|waiting| waiting.envelope.len()).sum();
        taken
    }

    /// The users whose lists envelopes wait for.
    pub(super) fn users_waited_for(&self) -> impl Iterator<Item = &UserName> + '_ {
        self.waiting.iter().map(|waiting| &waiting.user)
    }

    /// The connection that brought these ended: the relay will bring them again.
    pub(super) fn reset(&mut self, link: LinkId) {
        self.waiting.retain(|waiting| waiting.source.link != link);
        self.waiting_bytes = self.waiting.iter().map(|waiting| waiting.envelope.len()).sum();
        self.acknowledge.remove(&link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::ed25519::SigningKey;
    use crate::wire::EnvelopeId;

    fn user(name: &str) -> UserName {
        UserName::new(name).unwrap()
    }

    fn id(number: usize) -> MessageId {
        MessageId::from_bytes((number as u128).to_be_bytes())
    }

    fn identity() -> Identity {
        SigningKey::from_bytes(&[1; 32]).verifying_key().into()
    }

    /// The records of the inbox as they stand after these changes.
    fn store(records: &mut BTreeMap<String, SecretVec>, changes: &mut Changes) {
        for (key, value) in changes.drain() {
            match value {
                Some(value) => records.insert(key, value),
                None => records.remove(&key),
            };
        }
    }

    fn restored(stored: &BTreeMap<String, SecretVec>) -> Inbox {
        let mut records = Records::default();
        stored.iter().for_each(|(key, value)| records.insert(key.clone(), value.clone()));
        Inbox::restore(&records).unwrap()
    }

    #[test]
    fn b1_a_message_id_counts_once_for_its_user_even_after_a_restart() {
        let (mut inbox, mut changes, mut stored) = (Inbox::default(), Changes::default(), BTreeMap::new());
        let [alice, bob] = ["alice", "bob"].map(user);
        assert!(inbox.is_new(&alice, id(1), 10, &mut changes));
        assert!(!inbox.is_new(&alice, id(1), 11, &mut changes));
        assert!(inbox.is_new(&bob, id(1), 12, &mut changes), "another user's ids are another's");
        assert!(inbox.is_new(&alice, id(2), 13, &mut changes));
        store(&mut stored, &mut changes);
        let mut inbox = restored(&stored);
        for (user, number, is_new) in [(&alice, 1, false), (&alice, 2, false), (&bob, 1, false), (&bob, 2, true)] {
            assert_eq!(inbox.is_new(user, id(number), 14, &mut changes), is_new, "{user} {number}");
        }
    }

    #[test]
    fn c3_the_ids_of_a_user_are_kept_for_as_long_and_as_many_as_an_envelope_may_come_again() {
        let (mut inbox, mut changes, mut stored) = (Inbox::default(), Changes::default(), BTreeMap::new());
        let alice = user("alice");
        for number in 0..SEEN_PER_USER + 10 {
            assert!(inbox.is_new(&alice, id(number), 10, &mut changes));
        }
        store(&mut stored, &mut changes);
        assert_eq!((inbox.seen[&alice].len(), stored.len()), (SEEN_PER_USER, SEEN_PER_USER));
        assert!(!inbox.is_new(&alice, id(10), 10, &mut changes), "the newest are kept");
        assert!(!inbox.is_new(&alice, id(10), 10 + ENVELOPE_LIFE + 1, &mut changes), "until another comes");
        assert!(inbox.is_new(&alice, id(0), 10 + ENVELOPE_LIFE + 1, &mut changes), "the oldest are not");
        store(&mut stored, &mut changes);
        assert_eq!((inbox.seen[&alice].len(), stored.len()), (1, 1), "a month's ids went");
    }

    #[test]
    fn c3_acknowledgements_and_receipts_wait_in_bounded_number() {
        let mut inbox = Inbox::default();
        for number in 0..ACKNOWLEDGEMENTS_WAITING + 1_000 {
            let reference = EnvelopeRef { sender: identity(), id: EnvelopeId((number as u128).to_be_bytes()) };
            inbox.acknowledge(LinkId(1), reference);
            inbox.receipt_due(&user("alice"), &identity(), id(number));
        }
        inbox.acknowledge(LinkId(2), EnvelopeRef { sender: identity(), id: EnvelopeId([9; 16]) });
        let receipts = inbox.take_receipts(|_| false);
        assert_eq!(receipts.values().map(Vec::len).collect::<Vec<_>>(), [RECEIPTS_WAITING]);
        let mut taken = Vec::new();
        while inbox.links_to_acknowledge_on().contains(&LinkId(1)) {
            let some = inbox.take_acknowledged(LinkId(1));
            assert!(!some.is_empty() && some.len() <= ENVELOPES_PER_ACKNOWLEDGE);
            taken.extend(some.into_iter().map(|reference| u128::from_be_bytes(reference.id.0)));
        }
        // The oldest; what was passed over is brought again, and then there is room.
        assert!(taken.into_iter().eq(0..ACKNOWLEDGEMENTS_WAITING as u128));
        assert_eq!(inbox.take_acknowledged(LinkId(2)).len(), 1, "another link has its own");
    }
}
