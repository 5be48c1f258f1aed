//! What is known of groups, as records.

use crate::codec::{decode, encode_secret};
use crate::content::MessageId;
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, Error};
use crate::group::{GroupLog, KeyId, ReceiverKey, SenderKey};
use crate::identity::{Identity, UserName};
use crate::limits::{
    GROUP_GRACE, GROUP_HOLD, GROUP_WAITING, GROUP_WAITING_BYTES, GROUPS_PER_USER, SENDER_KEYS_PER_DEVICE,
};
use crate::record::{Changes, Records};
use crate::roster::{Action, GroupId, SignedEntry};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Prefixes of the records: `group/<id>` with what this device wants of a group, `group-entry/<id>/<sequence>` with its log,
/// `group-key/<id>` with the key that this device sends under, which each message changes, `group-handed/<id>` with who has
/// it, `group-out/<number>` and `group-in/<number>` with messages on their way and messages that wait.
const GROUP: &str = "group/";
const ENTRY: &str = "group-entry/";
const KEY: &str = "group-key/";
const HANDED: &str = "group-handed/";
const OUT: &str = "group-out/";
const WAITING: &str = "group-in/";

/// Sender keys for groups that are not known here (yet), or of who is no member of theirs (yet), at most.
pub(super) const STRAY_KEYS: usize = 1_024;
/// What is asked of one device on a connection, and of all together, at most.
const ASKED_OF_DEVICE: usize = 1_024;
const ASKED: usize = 32 * 1_024;

/// All groups of this device.
#[derive(Default)]
pub(in crate::client) struct Groups {
    pub(super) known: BTreeMap<GroupId, Box<Known>>,
    pub(super) keys: BTreeMap<(GroupId, KeyId), Box<ReceiverKey>>,
    pub(super) out: BTreeMap<u64, Outgoing>,
    next_out: u64,
    waiting: BTreeMap<u64, Waiting>,
    next_waiting: u64,
    /// Logs that are being fetched.
    pub(super) syncs: BTreeMap<GroupId, Sync>,
    /// Older device lists of users, fetched for entries that were signed under them: by user and epoch.
    pub(super) past: BTreeMap<(UserName, u64), Vec<Identity>>,
    /// Users whose older lists are being fetched.
    pub(super) fetching: BTreeSet<UserName>,
    /// Whether the relay has told which groups there are, on this connection.
    pub(super) ready: bool,
    /// The lobby that it offers.
    pub(super) lobby: Option<GroupId>,
    /// The groups that it named so far.
    pub(super) named: BTreeSet<GroupId>,
    /// What members were asked for, so that nobody is asked twice on a connection.
    asked: BTreeSet<(Identity, GroupId, Wanted)>,
    /// Until when messages that were held back for their order have been looked at again.
    released: u64,
    /// Until when the relay is not asked to take entries.
    pub(super) rest: u64,
}

/// What a member was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Key(KeyId),
    Entries(u32),
    /// Not asked for, but told: the entries up to this one.
    Told(u32),
}

/// One group.
pub(super) struct Known {
    pub(super) log: GroupLog,
    pub(super) wishes: Wishes,
    pub(super) own: Own,
}

/// What this device wants of a group, and what it has seen beside its log.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Wishes {
    /// What is to be done to it, in order.
    pub(super) actions: VecDeque<Action>,
    /// The entry for the first of them, or the one that creates the group: signed, and neither taken nor refused (G2).
    pub(super) signed: Option<SignedEntry>,
    /// The first entry of another log that claims to be this group's (G6).
    pub(super) fork: Option<SignedEntry>,
    /// Hashes of entries that the host decided against.
    pub(super) rejected: Vec<[u8; 32]>,
}

/// What this device sends under, and who has it.
#[derive(Default)]
pub(super) struct Own {
    pub(super) key: Option<SenderKey>,
    pub(super) handed: BTreeMap<UserName, Handed>,
}

/// To whom of a user's devices a key was handed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Handed {
    /// The number of the first message that they open.
    pub(super) from: u32,
    /// The devices; none named while the user's devices are not known.
    pub(super) devices: BTreeSet<Identity>,
}

/// An entry as it is stored, with the time at which it came.
#[derive(Serialize, Deserialize)]
struct Stored {
    at: u64,
    entry: SignedEntry,
}

/// A message on its way to a group.
#[derive(Serialize, Deserialize)]
pub(super) struct Outgoing {
    pub(super) id: MessageId,
    pub(super) group: GroupId,
    pub(super) content: SecretVec,
    pub(super) envelope_id: [u8; 16],
    /// Kept until the relay has it, so that a repetition is the same bytes.
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) created: u64,
    #[serde(skip)]
    pub(super) in_flight: bool,
}

/// A message that cannot be opened yet (G5, G6).
#[derive(Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) group: GroupId,
    /// Who sent it, as the relay says: good for asking only (L9).
    pub(super) claimed: UserName,
    pub(super) device: Identity,
    pub(super) at: u64,
    pub(super) envelope: Vec<u8>,
}

/// A log that is being fetched.
#[derive(Default)]
pub(super) struct Sync {
    /// Whether a request for it is open.
    pub(super) asked: bool,
    /// The next entry to ask for, while the relay has more.
    pub(super) from: Option<u32>,
    pub(super) incoming: VecDeque<SignedEntry>,
    /// Whether the whole log was asked for, because its end did not follow.
    pub(super) whole: bool,
    /// Whether this user wants to come in (G3).
    pub(super) join: bool,
    /// Users who were looked up for it.
    pub(super) looked_up: BTreeSet<UserName>,
    /// Entries that came, before which this group was not known.
    pub(super) news: bool,
    /// The place of an entry that the relay refused because another one has it.
    pub(super) refused: Option<u32>,
}

impl Wishes {
    /// Whether something waits for the relay.
    pub(super) fn wait(&self) -> bool {
        self.signed.is_some() || !self.actions.is_empty()
    }
}

impl Groups {
    pub(in crate::client) fn restore(records: &Records) -> Result<Self, Error> {
        let mut groups = Self::default();
        for (name, value) in records.with_prefix(ENTRY) {
            let group: GroupId = name.split('/').next().and_then(|id| id.parse().ok()).ok_or(ApiMisuse::Record)?;
            let Stored { at, entry } = decode(value).map_err(|_| ApiMisuse::Record)?;
            match groups.known.get_mut(&group) {
                Some(known) => known.log.push(entry, at).map_err(|_| ApiMisuse::Record)?,
                None => {
                    let log = GroupLog::begin(entry).ok().filter(|log| log.roster().id() == group);
                    let log = log.ok_or(ApiMisuse::Record)?;
                    let known = Known { log, wishes: Wishes::default(), own: Own::default() };
                    groups.known.insert(group, Box::new(known));
                }
            }
        }
        for (name, value) in records.with_prefix(GROUP) {
            groups.known_in(name)?.wishes = decode(value).map_err(|_| ApiMisuse::Record)?;
        }
        for (name, value) in records.with_prefix(KEY) {
            groups.known_in(name)?.own.key = decode(value).map_err(|_| ApiMisuse::Record)?;
        }
        for (name, value) in records.with_prefix(HANDED) {
            groups.known_in(name)?.own.handed = decode(value).map_err(|_| ApiMisuse::Record)?;
        }
        for key in ReceiverKey::restore_all(records)? {
            groups.keys.insert((key.group(), key.id()), Box::new(key));
        }
        for (name, value) in records.with_prefix(OUT) {
            let number = u64::from_str_radix(name, 16).map_err(|_| ApiMisuse::Record)?;
            groups.next_out = number.saturating_add(1);
            groups.out.insert(number, decode(value).map_err(|_| ApiMisuse::Record)?);
        }
        for (name, value) in records.with_prefix(WAITING) {
            let number = u64::from_str_radix(name, 16).map_err(|_| ApiMisuse::Record)?;
            groups.next_waiting = number.saturating_add(1);
            groups.waiting.insert(number, decode(value).map_err(|_| ApiMisuse::Record)?);
        }
        Ok(groups)
    }

    fn known_in(&mut self, name: &str) -> Result<&mut Known, ApiMisuse> {
        let group = name.parse().ok();
        group.and_then(|group| self.known.get_mut(&group)).map(|known| &mut **known).ok_or(ApiMisuse::Record)
    }

    /// What is asked anew on every connection.
    pub(super) fn reset(&mut self) {
        self.syncs.retain(|_, sync| sync.join);
        self.syncs.values_mut().for_each(|sync| *sync = Sync { join: true, ..Sync::default() });
        self.past.clear();
        self.fetching.clear();
        self.named.clear();
        self.asked.clear();
        self.ready = false;
        self.lobby = None;
        self.rest = 0;
        self.out.values_mut().for_each(|message| message.in_flight = false);
    }

    /// Whether a device may be asked for this, or told it: once on a connection, and not without end.
    pub(super) fn ask_once(&mut self, device: &Identity, group: GroupId, wanted: Wanted) -> bool {
        let first = (*device, GroupId::NONE, Wanted::Key(KeyId::from_bytes([0; 16])));
        let of_device = self.asked.range(first..).take_while(|(other, ..)| other == device);
        of_device.count() < ASKED_OF_DEVICE && self.asked.len() < ASKED && self.asked.insert((*device, group, wanted))
    }

    /// Whether the log of this group may be fetched: it is known here, or there is room for another. Groups that this user
    /// left make room.
    pub(super) fn has_room_for(&mut self, group: &GroupId, own: &UserName, changes: &mut Changes) -> bool {
        if self.known.contains_key(group) || self.syncs.contains_key(group) {
            return true;
        }
        let fetched = self.syncs.keys().filter(|group| !self.known.contains_key(group)).count();
        while self.known.len() + fetched >= GROUPS_PER_USER {
            let over = |known: &Known| {
                !known.log.roster().is_member(own) && !known.wishes.wait() && known.wishes.fork.is_none()
            };
            let Some(group) = self.known.iter().find(|(_, known)| over(known)).map(|(group, _)| *group) else {
                return false;
            };
            self.forget(group, changes);
        }
        true
    }

    /// Forgets a group. Keys of it are strays from now on.
    fn forget(&mut self, group: GroupId, changes: &mut Changes) {
        if let Some(known) = self.known.remove(&group) {
            self.syncs.remove(&group);
            changes.remove(format!("{GROUP}{group}"));
            changes.remove(format!("{KEY}{group}"));
            if !known.own.handed.is_empty() {
                changes.remove(format!("{HANDED}{group}"));
            }
            for sequence in 0..=known.log.roster().sequence() {
                changes.remove(format!("{ENTRY}{group}/{sequence:08x}"));
            }
        }
    }

    /// Forgets a sender key.
    pub(super) fn forget_key(&mut self, group: GroupId, id: KeyId, changes: &mut Changes) {
        if let Some(key) = self.keys.remove(&(group, id)) {
            key.forget(changes);
        }
    }

    /// A group whose first entry is this one.
    pub(super) fn begin(&mut self, log: GroupLog, wishes: Wishes, now: u64, changes: &mut Changes) {
        let group = log.roster().id();
        self.known.insert(group, Box::new(Known { log, wishes, own: Own::default() }));
        self.save_entry(group, 0, now, changes);
        self.save_wishes(group, changes);
    }

    pub(super) fn save_entry(&self, group: GroupId, sequence: u32, now: u64, changes: &mut Changes) {
        if let Some(entry) = self.known.get(&group).and_then(|known| known.log.entry(sequence)) {
            let stored = Stored { at: now, entry: entry.clone() };
            changes.put(format!("{ENTRY}{group}/{sequence:08x}"), encode_secret(&stored));
        }
    }

    /// The log of a group became another one after its entry `kept`.
    pub(super) fn forget_entries(&self, group: GroupId, kept: u32, last: u32, changes: &mut Changes) {
        for sequence in kept.saturating_add(1)..=last {
            changes.remove(format!("{ENTRY}{group}/{sequence:08x}"));
        }
    }

    pub(super) fn save_wishes(&self, group: GroupId, changes: &mut Changes) {
        if let Some(known) = self.known.get(&group) {
            changes.put(format!("{GROUP}{group}"), encode_secret(&known.wishes));
        }
    }

    /// Another key takes the place of what this device sends under, and nobody has it yet; without one the next message
    /// makes one.
    pub(super) fn set_key(&mut self, group: GroupId, key: Option<SenderKey>, changes: &mut Changes) {
        if let Some(known) = self.known.get_mut(&group) {
            known.own = Own { key, handed: BTreeMap::new() };
        }
        self.save_key(group, changes);
        self.save_handed(group, changes);
    }

    pub(super) fn save_key(&self, group: GroupId, changes: &mut Changes) {
        if let Some(known) = self.known.get(&group) {
            changes.put(format!("{KEY}{group}"), encode_secret(&known.own.key));
        }
    }

    /// Where nobody has a key there is no record of it.
    pub(super) fn save_handed(&self, group: GroupId, changes: &mut Changes) {
        let name = format!("{HANDED}{group}");
        match self.known.get(&group).map(|known| &known.own.handed).filter(|handed| !handed.is_empty()) {
            Some(handed) => changes.put(name, encode_secret(handed)),
            None => changes.remove(name),
        }
    }

    pub(super) fn drop_own_keys(&mut self, changes: &mut Changes) {
        let groups: Vec<GroupId> = self.known.keys().copied().collect();
        groups.into_iter().for_each(|group| self.set_key(group, None, changes));
        for (number, message) in &mut self.out {
            message.sealed = None;
            changes.put(format!("{OUT}{number:016x}"), encode_secret(message));
        }
    }

    /// Takes a message in; at most `limit` may be on their way.
    pub(super) fn push(&mut self, message: Outgoing, limit: usize, changes: &mut Changes) -> Result<(), ApiMisuse> {
        if self.out.len() >= limit {
            return Err(ApiMisuse::Busy);
        }
        let number = self.next_out;
        self.next_out = self.next_out.saturating_add(1);
        self.out.insert(number, message);
        self.save_out(number, changes);
        Ok(())
    }

    pub(super) fn save_out(&self, number: u64, changes: &mut Changes) {
        let name = format!("{OUT}{number:016x}");
        match self.out.get(&number) {
            Some(message) => changes.put(name, encode_secret(message)),
            None => changes.remove(name),
        }
    }

    /// Keeps a message until it can be opened. Of more than may wait in its group the oldest goes; gives who sent that.
    pub(super) fn wait(&mut self, message: Waiting, changes: &mut Changes) -> Vec<UserName> {
        let group = message.group;
        let number = self.next_waiting;
        self.next_waiting = self.next_waiting.saturating_add(1);
        changes.put(format!("{WAITING}{number:016x}"), encode_secret(&message));
        self.waiting.insert(number, message);
        let mut dropped = Vec::new();
        loop {
            // What is not known here shares one room, whatever ids the relay makes up.
            let shares = |other: &Waiting| {
                if self.known.contains_key(&group) {
                    other.group == group
                } else {
                    !self.known.contains_key(&other.group)
                }
            };
            let same = || self.waiting.iter().filter(|(_, other)| shares(other));
            let bytes: usize = same().map(|(_, other)| other.envelope.len()).sum();
            if same().count() <= GROUP_WAITING && bytes <= GROUP_WAITING_BYTES {
                return dropped;
            }
            let Some(oldest) = same().next().map(|(number, _)| *number) else { return dropped };
            dropped.extend(self.take_one(oldest, changes).map(|oldest| oldest.claimed));
        }
    }

    /// The messages of a group that wait, oldest first.
    pub(super) fn waiting_in(&self, group: GroupId) -> Vec<u64> {
        let waits = self.waiting.iter().filter(|(_, waiting)| waiting.group == group);
        waits.map(|(number, _)| *number).collect()
    }

    /// Lifts a message out, to be looked at: it is [put back](Self::put_back) as it was, or [done with](Self::settled).
    pub(super) fn lift(&mut self, number: u64) -> Option<Waiting> {
        self.waiting.remove(&number)
    }

    /// A message that was lifted waits on.
    pub(super) fn put_back(&mut self, number: u64, message: Waiting) {
        self.waiting.insert(number, message);
    }

    /// A message that was lifted waits no longer.
    pub(super) fn settled(number: u64, changes: &mut Changes) {
        changes.remove(format!("{WAITING}{number:016x}"));
    }

    /// Whether a message of this device waits in the group that one which comes now would overtake.
    pub(super) fn holds(&self, group: GroupId, device: &Identity, now: u64) -> bool {
        let mut same = self.waiting.values().filter(|waiting| waiting.group == group && waiting.device == *device);
        same.any(|waiting| waiting.at.saturating_add(GROUP_HOLD) > now)
    }

    /// The groups in which a message has held up others for long enough since this was last asked.
    pub(super) fn take_released(&mut self, now: u64) -> BTreeSet<GroupId> {
        let since = core::mem::replace(&mut self.released, now);
        let due = |waiting: &&Waiting| (since..now).contains(&waiting.at.saturating_add(GROUP_HOLD).saturating_sub(1));
        self.waiting.values().filter(due).map(|waiting| waiting.group).collect()
    }

    /// The groups of which messages wait.
    pub(super) fn groups_waited_for(&self) -> BTreeSet<GroupId> {
        self.waiting.values().map(|waiting| waiting.group).collect()
    }

    /// Takes a message that waits.
    pub(super) fn take_one(&mut self, number: u64, changes: &mut Changes) -> Option<Waiting> {
        Self::settled(number, changes);
        self.lift(number)
    }

    /// Gives up on messages that came before `before`; gives who sent them.
    pub(super) fn expire_waiting(&mut self, before: u64, changes: &mut Changes) -> Vec<UserName> {
        let old = self.waiting.iter().filter(|(_, waiting)| waiting.at <= before);
        let numbers: Vec<u64> = old.map(|(number, _)| *number).collect();
        numbers.into_iter().filter_map(|number| self.take_one(number, changes)).map(|old| old.claimed).collect()
    }

    /// Keeps a sender key of another device. Older ones of that device are replaced by it; the oldest go.
    pub(super) fn take_key(&mut self, key: ReceiverKey, now: u64, changes: &mut Changes) {
        let (group, sender) = (key.group(), *key.sender());
        let id = key.id();
        let mut older: Vec<(u64, KeyId)> = Vec::new();
        for ((_, other), key) in self.keys.range_mut((group, KeyId::from_bytes([0; 16]))..) {
            if key.group() != group {
                break;
            }
            if *key.sender() == sender {
                key.replace(now);
                key.save(changes);
                older.push((key.came(), *other));
            }
        }
        older.sort_unstable();
        let over = older.len().saturating_sub(SENDER_KEYS_PER_DEVICE - 1);
        for (_, id) in older.into_iter().take(over) {
            self.forget_key(group, id, changes);
        }
        let key = self.keys.entry((group, id)).or_insert_with(|| Box::new(key));
        key.save(changes);
    }

    pub(super) fn expire_keys(&mut self, now: u64, changes: &mut Changes) {
        self.keys.retain(|_, key| {
            if key.expires().is_none_or(|at| at > now) {
                return true;
            }
            let gone = key.expire(now);
            if gone {
                key.forget(changes)
            } else {
                key.save(changes)
            }
            !gone
        });
    }

    pub(super) fn next_due(&self, now: u64) -> Option<u64> {
        let keys = self.keys.values().filter_map(|key| key.expires()).min();
        let waiting = self.waiting.values().map(|waiting| waiting.at.saturating_add(GROUP_GRACE)).min();
        let held = self.waiting.values().map(|waiting| waiting.at.saturating_add(GROUP_HOLD));
        let held = held.filter(|at| *at > self.released).min();
        keys.into_iter().chain(waiting).chain(held).chain(Some(self.rest).filter(|rest| *rest > now)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::samples::{NOW, keys, name};
    use crate::roster::Entry;
    use crate::roster::samples::create;

    /// Group `number` of alice.
    fn begin(groups: &mut Groups, number: usize, wishes: Wishes, changes: &mut Changes) -> GroupId {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let action = Action::Create { name: "friends".into(), open: true, nonce };
        let entry = Entry { action, ..create("alice", 1, true).entry().clone() };
        let log = GroupLog::begin(SignedEntry::sign(entry, &keys(1).identity).unwrap()).unwrap();
        let group = log.roster().id();
        groups.begin(log, wishes, NOW, changes);
        group
    }

    /// ATTACKS.md D3: whoever is added to groups and removed from them again and again has room for others.
    #[test]
    fn d3_groups_that_were_left_make_room() {
        let (mut groups, mut changes) = (Groups::default(), Changes::default());
        let wishes =
            Wishes { actions: VecDeque::from([Action::Add { users: vec![name("bob")] }]), ..Wishes::default() };
        let kept = begin(&mut groups, 0, wishes, &mut changes);
        for number in 1..GROUPS_PER_USER {
            begin(&mut groups, number, Wishes::default(), &mut changes);
        }
        let new = GroupId::from_bytes([7; 16]);
        assert!(!groups.has_room_for(&new, &name("alice"), &mut changes), "of all of them alice is a member");
        changes.drain().for_each(drop);
        assert!(groups.has_room_for(&new, &name("bob"), &mut changes));
        assert_eq!((groups.known.len(), groups.known.contains_key(&kept)), (GROUPS_PER_USER - 1, true));
        assert_eq!(changes.drain().filter(|(_, value)| value.is_none()).count(), 3, "its records went");
        let known = *groups.known.keys().next().unwrap();
        assert!(groups.has_room_for(&known, &name("alice"), &mut changes), "what is known needs none");
        groups.syncs.insert(new, Sync::default());
        assert!(groups.has_room_for(&GroupId::from_bytes([8; 16]), &name("bob"), &mut changes));
        assert_eq!(groups.known.len(), GROUPS_PER_USER - 2, "what is being fetched counts");
    }

    /// ATTACKS.md D3.
    #[test]
    fn d3_what_devices_are_asked_for_is_bounded() {
        let mut groups = Groups::default();
        let group = GroupId::from_bytes([7; 16]);
        let (one, other) = (keys(1).identity(), keys(2).identity());
        let asked = (0..2 * ASKED_OF_DEVICE as u32).filter(|at| groups.ask_once(&one, group, Wanted::Entries(*at)));
        assert_eq!(asked.count(), ASKED_OF_DEVICE);
        assert!(groups.ask_once(&other, group, Wanted::Entries(0)), "another device has its own");
        assert!(!groups.ask_once(&other, group, Wanted::Entries(0)), "once");
        groups.reset();
        assert!(groups.ask_once(&one, group, Wanted::Entries(0)), "on the next connection again");
    }
}
