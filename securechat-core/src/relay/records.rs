//! A store over any key-value storage.

mod key;
#[cfg(test)]
mod tests;
mod touched;

use super::answer::{ChunkState, StoreResult, WaitingEnvelope};
use super::mailboxes::Mailboxes;
use super::memory::{Device, Group, MemoryStore};
use super::store::StoreJob;
use crate::codec::{decode, encode_secret};
use crate::crypto::secret::SecretVec;
use crate::error::ApiMisuse;
use crate::identity::{Identity, UserName};
use crate::wire::{Bytes, EnvelopeRef};
use core::fmt;
use core::ops::Deref;
use key::Key;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A store that any key-value storage keeps: it answers the jobs from memory, and gives the records that they changed.
///
/// ```text
/// jobs ──→ run ──→ answers, or Load: the host reads that record, and `loaded` makes the answer of it
///           └────→ take_changes ──→ the host commits them as one transaction ──→ the answers go to the relay
/// ```
///
/// Only the chunks of files are not held in memory. The host reads a chunk at once, before it runs the next job.
/// When a transaction fails, every answer behind it is [`StoreResult::Failed`], and as the store is ahead of its
/// records then, the host goes on with one restored from them.
///
/// Of the ids that were sent to a device it remembers the newest, at least 1,024 and all that wait, as [`Mailboxes`] do.
///
/// # Records
///
/// Keys are ASCII, at most 167 bytes: names as they are, identities and ids in lower-case hex, numbers in decimal.
/// Values but those of chunks are structs (postcard), and hold secrets where they are of users.
///
/// | key | value | there is one for each |
/// |---|---|---|
/// | `user/NAME` | password hash; secret and last step of one-time codes | user |
/// | `list/NAME/PLACE` | epoch, hash and bytes of a device list | list of the current chain, at places from 0 |
/// | `proposal/NAME` | a device list | user with one proposed |
/// | `device/DEVICE` | user; whether listed; since when; serial and bytes of the bundle; per kind of prekey the highest id | known device |
/// | `prekey/DEVICE/KIND/ID` | the prekey; when it came | one-time prekey that was not taken |
/// | `mail/DEVICE/SENDER/ID` | number; when it came; while it waits, the sender's user and the envelope | remembered id |
/// | `number` | the highest number of an envelope until then | store that once forgot ids for their age |
/// | `blob/BLOB` | owner and size; number of chunks; when it was created | blob |
/// | `chunk/BLOB/INDEX` | the chunk as it is | chunk that is there |
/// | `group/GROUP` | how many were made before; whether open; number and hash of the newest entry; roster; who was a member, and whether they are | group |
/// | `entry/GROUP/PLACE` | an entry of the log | entry |
#[derive(Debug)]
pub struct RecordStore {
    memory: MemoryStore,
    /// Records that changed. What is in them is read from `memory` when they are taken: there, a chunk has its bytes until
    /// then, and is empty afterwards.
    changed: BTreeSet<Key>,
}

/// What running a job gives.
#[derive(Debug)]
pub enum Ran {
    /// The answer.
    Answer(StoreResult),
    /// The chunk is there; [`RecordStore::loaded`] makes the answer of its record.
    Load {
        /// The key of the record.
        key: String,
    },
}

/// The value of a record: bytes that are wiped when dropped, or a chunk, which is shared.
pub struct RecordValue(Value);

enum Value {
    Struct(SecretVec),
    Chunk(Bytes),
}

/// The value of a `mail/` record.
#[derive(Serialize, Deserialize)]
struct Mail {
    number: u64,
    at: u64,
    waiting: Option<(UserName, Bytes)>,
}

/// No number is above this, so that there is always a next one.
const NUMBER_MAX: u64 = i64::MAX as u64;

impl RecordStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::over(MemoryStore::new())
    }

    /// The store with these records, in any order. Of chunks only the keys count: their values are best left empty.
    /// [`ApiMisuse::Record`] when a record cannot be read or does not go with the others.
    pub fn restore(records: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, ApiMisuse> {
        let mut values = BTreeMap::new();
        // All are wiped, whichever of them cannot be read.
        let records: Vec<_> = records.into_iter().map(|(key, value)| (key, SecretVec::new(value))).collect();
        for (key, value) in records {
            if values.insert(key.parse::<Key>()?, value).is_some() {
                return Err(ApiMisuse::Record);
            }
        }
        let mut memory = MemoryStore::new();
        for (key, value) in values {
            memory.restore(key, &value).ok_or(ApiMisuse::Record)?;
        }
        memory.mailboxes.restored().ok_or(ApiMisuse::Record)?;
        // What follows the newest entry was refused; what comes before it has to be there.
        if memory.groups.values().any(|group| group.entries.len() as u64 != u64::from(group.sequence) + 1) {
            return Err(ApiMisuse::Record);
        }
        Ok(Self::over(memory))
    }

    fn over(mut memory: MemoryStore) -> Self {
        memory.mailboxes.noted = Some(Vec::new());
        Self { memory, changed: BTreeSet::new() }
    }

    /// Does a job. What it changed is given by [`take_changes`](Self::take_changes), once for any number of jobs.
    pub fn run(&mut self, job: &StoreJob) -> Ran {
        let written = self.memory.written(job);
        let at_stake = self.memory.at_stake(job).into_iter().map(|key| (self.memory.has(&key), key));
        let at_stake: Vec<_> = at_stake.collect();
        let result = match self.memory.run_one(job) {
            Ok(result) => result,
            Err(refusal) => return Ran::Answer(StoreResult::Refused(refusal)),
        };
        self.changed.extend(written);
        self.changed.extend(at_stake.into_iter().filter(|(was, key)| self.memory.has(key) != *was).map(|(_, key)| key));
        let noted = self.memory.mailboxes.noted.replace(Vec::new()).unwrap_or_default();
        if matches!(job, StoreJob::Expire { .. }) && !noted.is_empty() {
            self.changed.insert(Key::Number);
        }
        self.changed.extend(noted.into_iter().map(|(device, name)| Key::Mail(device, name)));
        match (job, result) {
            (StoreJob::Chunk { id, index }, StoreResult::Chunk(ChunkState::There(chunk))) => {
                let key = Key::Chunk(*id, *index);
                if self.changed.contains(&key) {
                    Ran::Answer(StoreResult::Chunk(ChunkState::There(chunk)))
                } else {
                    Ran::Load { key: key.to_string() }
                }
            }
            (_, result) => Ran::Answer(result),
        }
    }

    /// The answer to a job that gave [`Ran::Load`], of the record's value; none when it could not be read.
    pub fn loaded(value: Option<Bytes>) -> StoreResult {
        value.map_or(StoreResult::Failed, |chunk| StoreResult::Chunk(ChunkState::There(chunk)))
    }

    /// The records that changed since this was last called, each once and in no order that matters: the value to put,
    /// or none to delete the record if it is there.
    pub fn take_changes(&mut self) -> Vec<(String, Option<RecordValue>)> {
        let changed = core::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (key.to_string(), self.memory.take_value(&key).map(RecordValue))).collect()
    }
}

impl Default for RecordStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for RecordValue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Value::Struct(bytes) => bytes,
            Value::Chunk(bytes) => bytes,
        }
    }
}

impl fmt::Debug for RecordValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.len())
    }
}

impl MemoryStore {
    /// The value that a record has now. That of a chunk is taken out.
    fn take_value(&mut self, key: &Key) -> Option<Value> {
        Some(Value::Struct(match key {
            Key::Number => encode_secret(&self.mailboxes.last_number),
            Key::User(user) => encode_secret(self.users.get(user)?),
            Key::Proposal(user) => encode_secret(self.users.get(user)?.proposal.as_ref()?),
            Key::List(user, place) => encode_secret(self.users.get(user)?.lists.get(usize::try_from(*place).ok()?)?),
            Key::Device(device) => encode_secret(self.devices.get(device)?),
            Key::Prekey(device, kind, id) => encode_secret(self.devices.get(device)?.prekeys.get(&(*kind, *id))?),
            Key::Mail(recipient, name) => encode_secret(&self.mailboxes.mail(recipient, name)?),
            Key::Blob(id) => encode_secret(self.blobs.get(id)?),
            Key::Chunk(id, index) => {
                let chunk = self.blobs.get_mut(id)?.chunks.get_mut(index)?;
                return Some(Value::Chunk(core::mem::take(chunk)));
            }
            Key::Group(group) => encode_secret(self.groups.get(group)?),
            Key::Entry(group, place) => {
                encode_secret(self.groups.get(group)?.entries.get(usize::try_from(*place).ok()?)?)
            }
        }))
    }

    /// Takes in a record; those that it belongs to are there. None when it cannot be read.
    fn restore(&mut self, key: Key, value: &[u8]) -> Option<()> {
        match key {
            Key::Number => self.mailboxes.last_number = decode(value).ok().filter(|number| *number <= NUMBER_MAX)?,
            Key::User(user) => _ = self.users.insert(user, decode(value).ok()?),
            Key::Proposal(user) => self.users.get_mut(&user)?.proposal = Some(decode(value).ok()?),
            Key::List(user, place) => {
                let lists = &mut self.users.get_mut(&user)?.lists;
                let list = decode(value).ok().filter(|_| lists.len() as u64 == place)?;
                lists.push(list);
            }
            Key::Device(identity) => {
                let device: Device = decode(value).ok()?;
                if let Some(user) = self.users.get_mut(&device.user).filter(|_| device.listed) {
                    user.listed.insert(identity);
                }
                self.devices.insert(identity, device);
            }
            Key::Prekey(device, kind, id) => {
                let device = self.devices.get_mut(&device)?;
                device.highest.get(&kind).filter(|highest| **highest >= id)?;
                device.prekeys.insert((kind, id), decode(value).ok()?);
            }
            Key::Mail(recipient, name) => self.mailboxes.restore(recipient, name, decode(value).ok()?),
            Key::Blob(id) => _ = self.blobs.insert(id, decode(value).ok()?),
            Key::Chunk(id, index) => {
                let blob = self.blobs.get_mut(&id).filter(|blob| index < blob.count)?;
                blob.chunks.insert(index, Bytes::default());
            }
            Key::Group(id) => {
                let group: Group = decode(value).ok()?;
                if group.open && self.lobby.is_none_or(|(number, _)| group.number < number) {
                    self.lobby = Some((group.number, id));
                }
                for (user, _) in group.members.iter().filter(|(_, member)| **member) {
                    self.users.get_mut(user)?.groups.insert(id);
                }
                self.groups.insert(id, group);
            }
            Key::Entry(id, place) => {
                let group = self.groups.get_mut(&id).filter(|group| place <= group.sequence)?;
                let entry = decode(value).ok().filter(|_| group.entries.len() as u64 == u64::from(place))?;
                group.entries.push(entry);
            }
        }
        Some(())
    }
}

impl Mailboxes {
    fn mail(&self, recipient: &Identity, name: &EnvelopeRef) -> Option<Mail> {
        let mailbox = self.of.get(recipient)?;
        let (number, at) = *mailbox.seen.get(name)?;
        let waiting = mailbox.place(number).and_then(|place| mailbox.envelopes.get(place));
        Some(Mail { number, at, waiting: waiting.map(|waiting| (waiting.user.clone(), waiting.envelope.clone())) })
    }

    fn restore(&mut self, recipient: Identity, name: EnvelopeRef, mail: Mail) {
        let mailbox = self.of.entry(recipient).or_default();
        mailbox.seen.insert(name, (mail.number, mail.at));
        if let Some((user, envelope)) = mail.waiting {
            let EnvelopeRef { sender, id } = name;
            mailbox.bytes = mailbox.bytes.saturating_add(envelope.len() as u64);
            let (number, sent_at) = (mail.number, mail.at);
            mailbox.envelopes.push_back(WaitingEnvelope { number, id, sender, user, sent_at, envelope });
        }
    }

    /// Puts in order what was taken in. None when a number is no number, or one of two envelopes.
    fn restored(&mut self) -> Option<()> {
        let mut numbers = BTreeSet::new();
        for mailbox in self.of.values_mut() {
            mailbox.envelopes.make_contiguous().sort_unstable_by_key(|waiting| waiting.number);
            for (number, _) in mailbox.seen.values() {
                if !(1..=NUMBER_MAX).contains(number) || !numbers.insert(*number) {
                    return None;
                }
            }
        }
        self.last_number = self.last_number.max(numbers.last().copied().unwrap_or_default());
        Some(())
    }
}
