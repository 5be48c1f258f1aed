//! Which records a job changes, worked out before it runs; one that is refused changes none.
//!
//! What becomes of envelopes is not here: mailboxes note it.

use super::Key;
use crate::identity::{Identity, UserName};
use crate::relay::memory::{Device, MemoryStore};
use crate::relay::store::StoreJob;
use crate::wire::BlobId;

impl MemoryStore {
    /// The records that the job writes.
    pub(super) fn written(&self, job: &StoreJob) -> Vec<Key> {
        match job {
            StoreJob::CreateAccount(account) => {
                let user = || account.user.clone();
                vec![Key::User(user()), Key::List(user(), 0), Key::Device(account.identity)]
            }
            StoreJob::ImportAccount { user, .. }
            | StoreJob::SetPassword { user, .. }
            | StoreJob::SetCode { user, .. }
            | StoreJob::UseCode { user, .. } => vec![Key::User(user.clone())],
            StoreJob::PutList { user, list, identities, .. } => {
                let is_listed = |device: &Identity| self.devices.get(device).is_some_and(|device| device.listed);
                let new = identities.iter().copied().filter(|device| !is_listed(device));
                let first = (list.epoch == 0).then(|| Key::List(user.clone(), 0));
                new.chain(self.left_out(user, identities)).map(Key::Device).chain(first).collect()
            }
            StoreJob::PutProposal { user, .. } => vec![Key::Proposal(user.clone())],
            StoreJob::PutBundle { identity, .. } => vec![Key::Device(*identity)],
            StoreJob::PutEntry(entry) => vec![Key::Group(entry.group), Key::Entry(entry.group, entry.sequence)],
            StoreJob::PutPrekeys { identity, prekeys, .. } if !prekeys.is_empty() => vec![Key::Device(*identity)],
            _ => Vec::new(),
        }
    }

    /// The records that the job may make or take away. Those that come or go with it have changed, the others have not.
    pub(super) fn at_stake(&self, job: &StoreJob) -> Vec<Key> {
        match job {
            StoreJob::PutList { user, list, identities, .. } => {
                let next = self.users.get(user).map_or(0, |user| user.lists.len() as u64);
                let from = if list.epoch == 0 { 0 } else { next };
                let lists = (from..=next).map(|place| Key::List(user.clone(), place));
                let prekeys = self.left_out(user, identities).flat_map(|device| self.prekeys(device));
                lists.chain(prekeys).chain([Key::Proposal(user.clone())]).collect()
            }
            StoreJob::PutBundle { user, .. } => {
                let unlisted = self.devices_where(|device| device.user == *user && !device.listed);
                unlisted.flat_map(|device| self.whole_device(device)).collect()
            }
            StoreJob::PutPrekeys { identity, prekeys, .. } => {
                let new = prekeys.iter().map(|prekey| Key::Prekey(*identity, prekey.kind, prekey.id));
                self.prekeys(*identity).chain(new).collect()
            }
            StoreJob::TakeKeys { devices, kind: Some(_), .. } => {
                devices.iter().flat_map(|device| self.prekeys(*device)).collect()
            }
            StoreJob::CreateBlob { id, .. } => vec![Key::Blob(*id)],
            StoreJob::PutChunk { id, index, .. } => vec![Key::Chunk(*id, *index)],
            StoreJob::DeleteBlob { id, .. } => self.whole_blob(*id).collect(),
            StoreJob::Expire { prekeys, blobs, unlisted, .. } => {
                let devices = self.devices_where(|device| !device.listed && device.since < *unlisted);
                let old = self.devices.iter().flat_map(|(identity, device)| {
                    let old = device.prekeys.iter().filter(|(_, (_, at))| at < prekeys);
                    old.map(|((kind, id), _)| Key::Prekey(*identity, *kind, *id))
                });
                let blobs = self.blobs.iter().filter(|(_, blob)| blob.created < *blobs);
                let blobs = blobs.flat_map(|(id, _)| self.whole_blob(*id));
                devices.flat_map(|device| self.whole_device(device)).chain(old).chain(blobs).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether a record that may be at stake is there.
    pub(super) fn has(&self, key: &Key) -> bool {
        match key {
            Key::User(user) => self.users.contains_key(user),
            Key::Proposal(user) => self.users.get(user).is_some_and(|user| user.proposal.is_some()),
            Key::List(user, place) => self.users.get(user).is_some_and(|user| *place < user.lists.len() as u64),
            Key::Device(device) => self.devices.contains_key(device),
            Key::Prekey(device, kind, id) => {
                self.devices.get(device).is_some_and(|device| device.prekeys.contains_key(&(*kind, *id)))
            }
            Key::Blob(id) => self.blobs.contains_key(id),
            Key::Group(group) => self.groups.contains_key(group),
            Key::Entry(group, place) => self.groups.get(group).is_some_and(|group| *place <= group.sequence),
            Key::Chunk(id, index) => self.blobs.get(id).is_some_and(|blob| blob.chunks.contains_key(index)),
            Key::Number | Key::Mail(..) => false,
        }
    }

    /// The user's devices that are listed and in this list are not.
    fn left_out(&self, user: &UserName, identities: &[Identity]) -> impl Iterator<Item = Identity> {
        self.devices_where(|device| device.user == *user && device.listed)
            .filter(|identity| !identities.contains(identity))
    }

    fn devices_where(&self, condition: impl Fn(&Device) -> bool) -> impl Iterator<Item = Identity> {
        self.devices.iter().filter(move |(_, device)| condition(device)).map(|(identity, _)| *identity)
    }

    fn whole_device(&self, device: Identity) -> impl Iterator<Item = Key> {
        self.prekeys(device).chain([Key::Device(device)])
    }

    fn prekeys(&self, device: Identity) -> impl Iterator<Item = Key> {
        let prekeys = self.devices.get(&device).into_iter().flat_map(|device| device.prekeys.keys());
        prekeys.map(move |(kind, id)| Key::Prekey(device, *kind, *id))
    }

    fn whole_blob(&self, id: BlobId) -> impl Iterator<Item = Key> {
        let chunks = self.blobs.get(&id).into_iter().flat_map(|blob| blob.chunks.keys());
        chunks.map(move |index| Key::Chunk(id, *index)).chain([Key::Blob(id)])
    }
}
