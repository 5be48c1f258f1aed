//! A store in memory: for tests, for trying things out, and as the plainest reading of what a store does.

mod groups;

pub(super) use groups::Group;

use super::answer::{
    Account, BlobState, Chain, ChunkState, DeviceState, MissingPage, SentItem, StoreOutcome, StoreRefusal, StoreResult,
    TakenDevice, TakenKeys,
};
use super::job::PasswordHash;
use super::mailboxes::Mailboxes;
use super::store::{NewAccount, Store, StoreJob, StoredItem, StoredList, StoredPrekey};
use crate::crypto::secret::Secret;
use crate::identity::{Identity, UserName};
use crate::roster::GroupId;
use crate::wire::{BlobId, Bytes, ChunkRange, PrekeyStock, Recipient};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A [`Store`] over ordered maps. What it keeps ends with the process.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    pub(super) users: BTreeMap<UserName, User>,
    pub(super) devices: BTreeMap<Identity, Device>,
    pub(super) mailboxes: Mailboxes,
    pub(super) blobs: BTreeMap<BlobId, Blob>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// The open group that was made first, with its number.
    pub(super) lobby: Option<(u64, GroupId)>,
}

// What is skipped has records of its own in a store of records.

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct User {
    password: PasswordHash,
    code: Option<(Secret<20>, u64)>,
    /// The current chain: the list of epoch n at place n.
    #[serde(skip)]
    pub(super) lists: Vec<StoredList>,
    #[serde(skip)]
    pub(super) proposal: Option<Bytes>,
    /// The devices that the current list names, as `devices` says too.
    #[serde(skip)]
    pub(super) listed: BTreeSet<Identity>,
    /// The groups of which they are a member now, as `groups` says too.
    #[serde(skip)]
    pub(super) groups: BTreeSet<GroupId>,
}

impl Clone for User {
    fn clone(&self) -> Self {
        let code = self.code.as_ref().map(|(secret, step)| (secret.duplicate(), *step));
        Self {
            password: self.password.clone(),
            lists: self.lists.clone(),
            proposal: self.proposal.clone(),
            listed: self.listed.clone(),
            groups: self.groups.clone(),
            code,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Device {
    pub(super) user: UserName,
    pub(super) listed: bool,
    /// When it was first seen or last left a list.
    pub(super) since: u64,
    bundle: Option<(u64, Bytes)>,
    /// (kind, id) → prekey and when it came.
    #[serde(skip)]
    pub(super) prekeys: BTreeMap<(u8, u32), (Bytes, u64)>,
    pub(super) highest: BTreeMap<u8, u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Blob {
    state: BlobState,
    pub(super) count: u32,
    pub(super) created: u64,
    #[serde(skip)]
    pub(super) chunks: BTreeMap<u32, Bytes>,
}

impl Store for MemoryStore {
    fn run(&mut self, jobs: &[StoreJob]) -> Vec<StoreResult> {
        jobs.iter().map(|job| self.run_one(job).unwrap_or_else(StoreResult::Refused)).collect()
    }
}

type Answer = Result<StoreResult, StoreRefusal>;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn run_one(&mut self, job: &StoreJob) -> Answer {
        Ok(match job {
            StoreJob::Account { user } => StoreResult::Account(self.users.get(user).map(User::account)),
            StoreJob::CreateAccount(account) => return self.create_account(account),
            StoreJob::ImportAccount { user, password } => return self.import_account(user, password),
            StoreJob::SetPassword { user, expected, password } => {
                let account = self.users.get_mut(user).ok_or(StoreRefusal::Changed)?;
                require(account.password == *expected, StoreRefusal::Changed)?;
                account.password = password.clone();
                StoreResult::Done
            }
            StoreJob::SetCode { user, secret, step } => {
                self.users.get_mut(user).ok_or(StoreRefusal::NotFound)?.code = Some((secret.duplicate(), *step));
                StoreResult::Done
            }
            StoreJob::UseCode { user, step } => {
                let code = self.users.get_mut(user).and_then(|user| user.code.as_mut());
                let (_, last) = code.filter(|(_, last)| last < step).ok_or(StoreRefusal::Changed)?;
                *last = *step;
                StoreResult::Done
            }
            StoreJob::Device { user, identity } => StoreResult::Device(self.device(user, identity)),
            StoreJob::CurrentList { user } => {
                StoreResult::List(self.users.get(user).and_then(|user| user.lists.last().cloned()))
            }
            StoreJob::PutList { user, previous, list, identities, now } => {
                return self.put_list(user, *previous, list, identities, *now);
            }
            StoreJob::PutProposal { user, list } => {
                self.users.get_mut(user).ok_or(StoreRefusal::NotFound)?.proposal = Some(list.clone());
                StoreResult::Done
            }
            StoreJob::Lists { user, from, count } => StoreResult::Lists(self.users.get(user).map(|user| Chain {
                epoch: user.epoch(),
                lists: user.lists.iter().filter(|l| l.epoch >= *from).take(*count).map(|l| l.bytes.clone()).collect(),
            })),
            StoreJob::PutBundle { user, identity, serial, bundle, unlisted, now } => {
                return self.put_bundle(user, identity, (*serial, bundle), *unlisted, *now);
            }
            StoreJob::PutPrekeys { identity, replace, prekeys, room, now } => {
                let device = self.devices.get_mut(identity).ok_or(StoreRefusal::NotFound)?;
                device.put_prekeys(*replace, prekeys, *room, *now);
                StoreResult::Stock(device.stock())
            }
            StoreJob::TakeKeys { user, devices, kind, fresh } => {
                StoreResult::Keys(self.take_keys(user, devices, *kind, *fresh))
            }
            StoreJob::Users { after, count } => StoreResult::Users(
                self.users.keys().filter(|user| user.as_str() > after.as_str()).take(*count).cloned().collect(),
            ),
            StoreJob::Send { sender, user, items, room, room_bytes, now } => StoreResult::Sent(
                items.iter().map(|item| self.send((sender, user), item, (*room, *room_bytes), *now)).collect(),
            ),
            StoreJob::Waiting { recipient, after, count, bytes } => {
                StoreResult::Waiting(self.mailboxes.waiting(recipient, *after, *count, *bytes))
            }
            StoreJob::Acknowledge { recipient, envelopes } => {
                self.mailboxes.acknowledge(recipient, envelopes);
                StoreResult::Done
            }
            StoreJob::CreateBlob { id, owner, size, chunks, room, room_bytes, now } => {
                let state = BlobState { owner: owner.clone(), size: *size };
                return self.create_blob(*id, state, *chunks, (*room, *room_bytes), *now);
            }
            StoreJob::Blob { id } => StoreResult::Blob(self.blobs.get(id).map(|blob| blob.state.clone())),
            StoreJob::PutChunk { id, owner, index, chunk } => {
                let blob = self.owned(id, owner)?;
                require(*index < blob.count, StoreRefusal::NotFound)?;
                blob.chunks.entry(*index).or_insert_with(|| chunk.clone());
                StoreResult::Done
            }
            StoreJob::MissingChunks { id, from, count } => {
                StoreResult::Missing(self.blobs.get(id).map(|blob| blob.missing(*from, *count)))
            }
            StoreJob::Chunk { id, index } => StoreResult::Chunk(match self.blobs.get(id) {
                Some(blob) if *index < blob.count => {
                    blob.chunks.get(index).map_or(ChunkState::NotYet, |chunk| ChunkState::There(chunk.clone()))
                }
                _ => ChunkState::NotFound,
            }),
            StoreJob::DeleteBlob { id, owner } => {
                self.owned(id, owner)?;
                self.blobs.remove(id);
                StoreResult::Done
            }
            StoreJob::Group { group, place, user } => StoreResult::Group(self.group(group, *place, user)),
            StoreJob::PutEntry(entry) => return self.put_entry(entry),
            StoreJob::Log { group, user, from, count } => StoreResult::Log(self.log(group, user, *from, *count)),
            StoreJob::Groups { user, after, count, lobby } => {
                StoreResult::Groups(self.groups(user, after, *count, *lobby))
            }
            StoreJob::Expire { envelopes, prekeys, blobs, unlisted } => {
                self.mailboxes.expire(*envelopes);
                self.devices.values_mut().for_each(|device| device.prekeys.retain(|_, (_, at)| *at >= *prekeys));
                self.devices.retain(|_, device| device.listed || device.since >= *unlisted);
                self.blobs.retain(|_, blob| blob.created >= *blobs);
                StoreResult::Done
            }
        })
    }

    fn create_account(&mut self, account: &NewAccount) -> Answer {
        require(!self.users.contains_key(&account.user), StoreRefusal::NameTaken)?;
        require(!self.devices.contains_key(&account.identity), StoreRefusal::IdentityTaken)?;
        let device = Device {
            listed: true,
            bundle: Some((account.serial, account.bundle.clone())),
            ..Device::new(&account.user, account.now)
        };
        self.devices.insert(account.identity, device);
        let listed = BTreeSet::from([account.identity]);
        let user = User { lists: vec![account.list.clone()], listed, ..User::new(&account.password) };
        self.users.insert(account.user.clone(), user);
        Ok(StoreResult::Done)
    }

    fn import_account(&mut self, user: &UserName, password: &PasswordHash) -> Answer {
        require(!self.users.contains_key(user), StoreRefusal::NameTaken)?;
        self.users.insert(user.clone(), User::new(password));
        Ok(StoreResult::Done)
    }

    fn device(&self, user: &UserName, identity: &Identity) -> DeviceState {
        let device = self.devices.get(identity);
        let account = self.users.get(user);
        DeviceState {
            owner: device.map(|device| device.user.clone()),
            listed: device.is_some_and(|device| device.listed && device.user == *user),
            epoch: account.and_then(User::epoch),
            bundle: device.and_then(|device| device.bundle.as_ref().map(|(_, bundle)| bundle.clone())),
            stock: device.map(Device::stock).unwrap_or_default(),
            proposal: account.and_then(|account| account.proposal.clone()),
        }
    }

    fn put_list(
        &mut self,
        user: &UserName,
        previous: Option<[u8; 32]>,
        list: &StoredList,
        identities: &[Identity],
        now: u64,
    ) -> Answer {
        let account = self.users.get_mut(user).ok_or(StoreRefusal::Changed)?;
        require(account.lists.last().map(|current| current.hash) == previous, StoreRefusal::Changed)?;
        let foreign = |identity| self.devices.get(identity).is_some_and(|device| device.user != *user);
        require(!identities.iter().any(foreign), StoreRefusal::IdentityTaken)?;
        if list.epoch == 0 {
            account.lists.clear();
        }
        account.lists.push(list.clone());
        account.proposal = None;
        account.listed = identities.iter().copied().collect();
        for identity in identities {
            self.devices.entry(*identity).or_insert_with(|| Device::new(user, now)).listed = true;
        }
        let others = self
            .devices
            .iter_mut()
            .filter(|(identity, device)| device.listed && device.user == *user && !identities.contains(identity));
        for (identity, device) in others {
            let highest = core::mem::take(&mut device.highest);
            *device = Device { highest, ..Device::new(user, now) };
            self.mailboxes.empty(identity);
        }
        Ok(StoreResult::Done)
    }

    fn put_bundle(
        &mut self,
        user: &UserName,
        identity: &Identity,
        (serial, bundle): (u64, &Bytes),
        unlisted: usize,
        now: u64,
    ) -> Answer {
        let device = self.devices.entry(*identity).or_insert_with(|| Device::new(user, now));
        require(device.user == *user, StoreRefusal::IdentityTaken)?;
        if let Some((last, present)) = &device.bundle {
            require(serial > *last || bundle == present, StoreRefusal::Changed)?;
        }
        device.bundle = Some((serial, bundle.clone()));
        let mut extra: Vec<(u64, Identity)> = self
            .devices
            .iter()
            .filter(|(_, device)| device.user == *user && !device.listed)
            .map(|(identity, device)| (device.since, *identity))
            .collect();
        extra.sort_unstable();
        extra.truncate(extra.len().saturating_sub(unlisted));
        extra.iter().for_each(|(_, identity)| _ = self.devices.remove(identity));
        Ok(StoreResult::Done)
    }

    fn take_keys(&mut self, user: &UserName, devices: &[Identity], kind: Option<u8>, fresh: u64) -> Option<TakenKeys> {
        let epoch = self.users.get(user)?.epoch();
        let mut taken = Vec::new();
        for identity in devices {
            let device = self.devices.get_mut(identity).filter(|device| device.listed && device.user == *user);
            let Some(device) = device else { continue };
            let Some((_, bundle)) = device.bundle.clone() else { continue };
            let prekey = kind.and_then(|kind| device.take_prekey(kind, fresh));
            let left = kind.map_or(0, |kind| device.left(kind));
            taken.push(TakenDevice { identity: *identity, bundle, prekey, left });
        }
        Some(TakenKeys { epoch, devices: taken })
    }

    fn send(
        &mut self,
        (sender, user): (&Identity, &UserName),
        item: &StoredItem,
        room: (usize, u64),
        now: u64,
    ) -> SentItem {
        let recipient = match &item.recipient {
            Recipient::Device(recipient) => recipient,
            Recipient::Group(group) => return self.send_to_group((sender, user), group, item, room, now),
        };
        let device = self.devices.get(recipient);
        let epoch = device.and_then(|device| self.users.get(&device.user)).and_then(User::epoch).unwrap_or_default();
        let outcome = match device {
            Some(device) if device.listed => self.mailboxes.send((sender, user), *recipient, item, room, now),
            _ => StoreOutcome::Unknown,
        };
        SentItem::new(epoch, outcome)
    }

    fn create_blob(
        &mut self,
        id: BlobId,
        state: BlobState,
        count: u32,
        (room, room_bytes): (usize, u64),
        created: u64,
    ) -> Answer {
        if let Some(blob) = self.blobs.get(&id) {
            require(blob.state == state, StoreRefusal::Taken)?;
            return Ok(StoreResult::Done);
        }
        let own = || self.blobs.values().filter(|blob| blob.state.owner == state.owner);
        let bytes = own().fold(state.size, |sum, blob| sum.saturating_add(blob.state.size));
        require(own().count() < room && bytes <= room_bytes, StoreRefusal::Full)?;
        self.blobs.insert(id, Blob { state, count, created, chunks: BTreeMap::new() });
        Ok(StoreResult::Done)
    }

    fn owned(&mut self, id: &BlobId, owner: &UserName) -> Result<&mut Blob, StoreRefusal> {
        let blob = self.blobs.get_mut(id).ok_or(StoreRefusal::NotFound)?;
        require(blob.state.owner == *owner, StoreRefusal::NotOwner)?;
        Ok(blob)
    }
}

impl User {
    fn new(password: &PasswordHash) -> Self {
        Self {
            password: password.clone(),
            code: None,
            lists: Vec::new(),
            proposal: None,
            listed: BTreeSet::new(),
            groups: BTreeSet::new(),
        }
    }

    fn account(&self) -> Account {
        let code = self.code.as_ref().map(|(secret, step)| (secret.duplicate(), *step));
        Account { password: self.password.clone(), code }
    }

    fn epoch(&self) -> Option<u64> {
        self.lists.last().map(|list| list.epoch)
    }
}

impl Device {
    /// One that is not listed and has no keys.
    fn new(user: &UserName, since: u64) -> Self {
        Self {
            user: user.clone(),
            listed: false,
            since,
            bundle: None,
            prekeys: BTreeMap::new(),
            highest: BTreeMap::new(),
        }
    }

    fn put_prekeys(&mut self, replace: bool, prekeys: &[StoredPrekey], room: usize, now: u64) {
        if replace {
            self.prekeys.clear();
        }
        for prekey in prekeys {
            let left = self.left(prekey.kind) as usize;
            let highest = self.highest.entry(prekey.kind).or_default();
            if prekey.id > *highest && left < room {
                *highest = prekey.id;
                self.prekeys.insert((prekey.kind, prekey.id), (prekey.bytes.clone(), now));
            }
        }
    }

    fn take_prekey(&mut self, kind: u8, fresh: u64) -> Option<Bytes> {
        let mut of_kind = self.prekeys.range((kind, 0)..=(kind, u32::MAX));
        let place = *of_kind.find(|(_, (_, at))| *at >= fresh)?.0;
        self.prekeys.remove(&place).map(|(bytes, _)| bytes)
    }

    fn left(&self, kind: u8) -> u32 {
        u32::try_from(self.prekeys.range((kind, 0)..=(kind, u32::MAX)).count()).unwrap_or(u32::MAX)
    }

    fn stock(&self) -> Vec<PrekeyStock> {
        let kinds = self.highest.iter();
        kinds.map(|(kind, highest)| PrekeyStock { kind: *kind, left: self.left(*kind), highest: *highest }).collect()
    }
}

impl Blob {
    fn missing(&self, from: u32, count: usize) -> MissingPage {
        let mut ranges = Vec::new();
        let mut place = from;
        let there = self.chunks.range(from..).map(|(index, _)| *index);
        for there in there.chain([self.count]) {
            if there > place {
                if ranges.len() == count {
                    return MissingPage { ranges, next: Some(place) };
                }
                ranges.push(ChunkRange { start: place, count: there - place });
            }
            place = there.saturating_add(1);
        }
        MissingPage { ranges, next: None }
    }
}

fn require(condition: bool, otherwise: StoreRefusal) -> Result<(), StoreRefusal> {
    if condition { Ok(()) } else { Err(otherwise) }
}
