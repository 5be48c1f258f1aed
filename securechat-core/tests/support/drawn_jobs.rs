//! Jobs drawn at random, for comparing stores.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use securechat_core::crypto::secret::Secret;
use securechat_core::identity::{Identity, UserName};
use securechat_core::relay::{
    ChunkState, MemoryStore, NewAccount, NewEntry, PasswordHash, Store, StoreJob, StoreResult, StoredItem, StoredList,
    StoredPrekey,
};
use securechat_core::roster::GroupId;
use securechat_core::wire::{BlobId, Bytes, EnvelopeId, EnvelopeRef, Recipient};

/// Draws jobs over a small world, so that they meet: few users, devices, ids, and times that move on.
pub(super) struct Draw {
    random: StdRng,
    now: u64,
    hashes: Vec<[u8; 32]>,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), now: 1_000, hashes: vec![[0; 32]] }
    }

    pub(super) fn below(&mut self, end: u32) -> u32 {
        self.random.random_range(0..end)
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    fn user(&mut self) -> UserName {
        UserName::new(["alice", "bob", "carol", "a.b-c_d"][self.below(4) as usize]).unwrap()
    }

    fn identity(&mut self) -> Identity {
        Identity::from_bytes([self.below(6) as u8; 32])
    }

    fn identities(&mut self, most: u32) -> Vec<Identity> {
        let count = 1 + self.below(most);
        (0..count).map(|_| self.identity()).collect()
    }

    pub(super) fn bytes(&mut self) -> Bytes {
        let length = self.below(40) as usize + 1;
        vec![self.below(4) as u8; length].into()
    }

    pub(super) fn password(&mut self) -> PasswordHash {
        PasswordHash::new(format!("hash {}", self.below(3)))
    }

    pub(super) fn list(&mut self) -> StoredList {
        let hash: [u8; 32] = self.random.random();
        self.hashes.push(hash);
        // Epochs rise with the number of lists ever made, as they do when each follows the one before.
        let epoch = if self.chance(20) { 0 } else { self.hashes.len() as u64 };
        StoredList { epoch, hash, bytes: self.bytes() }
    }

    fn blob(&mut self) -> BlobId {
        BlobId([self.below(3) as u8; 16])
    }

    fn group(&mut self) -> GroupId {
        GroupId::from_bytes([self.below(4) as u8 + 1; 16])
    }

    fn recipient(&mut self) -> Recipient {
        if self.chance(40) { Recipient::Group(self.group()) } else { Recipient::Device(self.identity()) }
    }

    fn users(&mut self) -> Vec<UserName> {
        let all = ["alice", "bob", "carol", "a.b-c_d"].map(|name| UserName::new(name).unwrap());
        all.into_iter().filter(|_| self.chance(40)).collect()
    }

    /// An entry that follows the newest one of its group, most of the time. Its hash says which it is.
    fn entry(&mut self, reference: &mut MemoryStore) -> NewEntry {
        let (group, actor) = (self.group(), self.user());
        let everybody = StoreJob::Log { group, user: actor.clone(), from: 0, count: 0 };
        let newest = match reference.run(&[everybody]).remove(0) {
            StoreResult::Log(page) => page.map(|page| page.sequence),
            other => panic!("{other:?}"),
        };
        let newest = if self.chance(10) { Some(self.below(5)) } else { newest };
        let hash = |sequence: u32| [sequence as u8; 32];
        let epoch = match reference.run(&[StoreJob::CurrentList { user: actor.clone() }]).remove(0) {
            StoreResult::List(list) => list.map_or(0, |list| list.epoch),
            other => panic!("{other:?}"),
        };
        let epoch = if self.chance(5) { 99 } else { epoch };
        let sequence = newest.map_or(0, |newest| newest + 1);
        let added = self.users();
        let mut removed = self.users();
        removed.retain(|user| !added.contains(user));
        NewEntry {
            group,
            before: newest.map(|newest| (newest, hash(newest))),
            actor: (actor, epoch),
            sequence,
            hash: hash(sequence),
            bytes: self.bytes(),
            roster: self.bytes(),
            open: group.as_bytes()[0] < 3,
            added,
            removed,
            room: 3,
        }
    }

    fn envelope(&mut self) -> EnvelopeId {
        EnvelopeId([self.below(12) as u8; 16])
    }

    pub(super) fn job(&mut self, reference: &mut MemoryStore) -> StoreJob {
        self.now += u64::from(self.below(10));
        let now = self.now;
        match self.below(30) {
            0 => StoreJob::Account { user: self.user() },
            1 => StoreJob::CreateAccount(NewAccount {
                user: self.user(),
                password: self.password(),
                identity: self.identity(),
                serial: self.below(3).into(),
                bundle: self.bytes(),
                list: StoredList { epoch: 0, ..self.list() },
                now,
            }),
            2 => StoreJob::ImportAccount { user: self.user(), password: self.password() },
            3 => StoreJob::SetPassword { user: self.user(), expected: self.password(), password: self.password() },
            4 => StoreJob::SetCode {
                user: self.user(),
                secret: Secret::from_bytes(&[self.below(9) as u8; 20]),
                step: self.below(5).into(),
            },
            5 => StoreJob::UseCode { user: self.user(), step: self.below(9).into() },
            6 => StoreJob::Device { user: self.user(), identity: self.identity() },
            7 => StoreJob::CurrentList { user: self.user() },
            8 | 9 => {
                let user = self.user();
                let previous = current(reference, &user).filter(|_| self.random.random_range(0..10) > 0);
                let (list, identities) = (self.list(), self.identities(3));
                StoreJob::PutList { user, previous, list, identities, now }
            }
            10 => StoreJob::PutProposal { user: self.user(), list: self.bytes() },
            11 => StoreJob::Lists {
                user: self.user(),
                from: if self.chance(10) { u64::MAX } else { self.below(60).into() },
                count: self.below(4) as usize,
            },
            12 => StoreJob::PutBundle {
                user: self.user(),
                identity: self.identity(),
                serial: if self.chance(10) { u64::MAX - u64::from(self.below(3)) } else { self.below(9).into() },
                bundle: self.bytes(),
                unlisted: self.below(3) as usize + 1,
                now,
            },
            13 | 14 => {
                let count = self.below(6);
                let prekeys = (0..count).map(|_| StoredPrekey {
                    kind: self.below(2) as u8 + 1,
                    id: self.below(60),
                    bytes: self.bytes(),
                });
                let prekeys = prekeys.collect();
                StoreJob::PutPrekeys { identity: self.identity(), replace: self.chance(10), prekeys, room: 8, now }
            }
            15 => StoreJob::TakeKeys {
                user: self.user(),
                devices: self.identities(3),
                kind: Some(self.below(2) as u8 + 1).filter(|_| !self.random.random_bool(0.1)),
                fresh: now.saturating_sub(self.below(60).into()),
            },
            16 => StoreJob::Users {
                after: ["", "alice", "b", "zz", "a.b"][self.below(5) as usize].into(),
                count: self.below(4) as usize,
            },
            17 | 18 => {
                let count = self.below(4);
                let items = (0..count).map(|_| StoredItem {
                    id: self.envelope(),
                    recipient: self.recipient(),
                    envelope: Some(self.bytes()).filter(|_| self.random.random_bool(0.9)),
                });
                let items = items.collect();
                let sender = self.identity();
                StoreJob::Send { sender, user: self.user(), items, room: 6, room_bytes: 120, now }
            }
            19 => StoreJob::Waiting {
                recipient: self.identity(),
                after: self.below(30).into(),
                count: self.below(5) as usize,
                bytes: self.below(100) as usize,
            },
            20 => {
                let count = self.below(4);
                let refs = (0..count).map(|_| EnvelopeRef { sender: self.identity(), id: self.envelope() });
                let envelopes = refs.collect();
                StoreJob::Acknowledge { recipient: self.identity(), envelopes }
            }
            21 => StoreJob::CreateBlob {
                id: self.blob(),
                owner: self.user(),
                size: [100, 200, u64::MAX][self.below(3) as usize],
                chunks: 9,
                room: 2,
                room_bytes: 250,
                now,
            },
            22 => {
                let (id, owner, index) = (self.blob(), self.user(), self.below(9));
                match self.below(8) {
                    0 => StoreJob::DeleteBlob { id, owner },
                    1 => StoreJob::Blob { id },
                    2 => StoreJob::Chunk { id, index: index + 1 },
                    3 => StoreJob::MissingChunks { id, from: index, count: self.below(3) as usize },
                    _ => StoreJob::PutChunk { id, owner, index, chunk: self.bytes() },
                }
            }
            25 | 26 => StoreJob::PutEntry(self.entry(reference)),
            27 => StoreJob::Group { group: self.group(), place: self.below(6), user: self.user() },
            28 => StoreJob::Log {
                group: self.group(),
                user: self.user(),
                from: if self.chance(10) { u32::MAX } else { self.below(6) },
                count: self.below(4) as usize,
            },
            29 => StoreJob::Groups {
                user: self.user(),
                after: if self.chance(30) { self.group() } else { GroupId::NONE },
                count: self.below(4) as usize,
                lobby: self.chance(50),
            },
            23 => StoreJob::MissingChunks { id: self.blob(), from: 0, count: 9 },
            _ if self.chance(20) => StoreJob::Expire {
                envelopes: now.saturating_sub(300),
                prekeys: now.saturating_sub(200),
                blobs: now.saturating_sub(500),
                unlisted: now.saturating_sub(100),
            },
            _ => StoreJob::Chunk { id: self.blob(), index: self.below(9) },
        }
    }
}

fn current(reference: &mut MemoryStore, user: &UserName) -> Option<[u8; 32]> {
    match reference.run(&[StoreJob::CurrentList { user: user.clone() }]).remove(0) {
        StoreResult::List(list) => list.map(|list| list.hash),
        other => panic!("{other:?}"),
    }
}

/// An answer with all that it holds; Debug leaves out contents and secrets.
pub(super) fn full(result: &StoreResult) -> (String, Vec<Vec<u8>>) {
    let mut contents: Vec<Vec<u8>> = Vec::new();
    match result {
        StoreResult::Account(Some(account)) => {
            contents.push(account.password.as_str().into());
            contents.extend(account.code.iter().map(|(secret, _)| secret.as_bytes().to_vec()));
        }
        StoreResult::Device(state) => {
            contents.extend(state.bundle.iter().chain(&state.proposal).map(|bytes| bytes.to_vec()));
        }
        StoreResult::List(Some(list)) => contents.push(list.bytes.to_vec()),
        StoreResult::Lists(Some(chain)) => contents.extend(chain.lists.iter().map(|list| list.to_vec())),
        StoreResult::Keys(Some(keys)) => {
            for device in &keys.devices {
                contents.push(device.bundle.to_vec());
                contents.extend(device.prekey.iter().map(|prekey| prekey.to_vec()));
            }
        }
        StoreResult::Waiting(page) => contents.extend(page.envelopes.iter().map(|waiting| waiting.envelope.to_vec())),
        StoreResult::Chunk(ChunkState::There(chunk)) => contents.push(chunk.to_vec()),
        StoreResult::Group(state) => {
            contents.extend(state.roster.iter().chain(&state.entry).map(|bytes| bytes.to_vec()));
        }
        StoreResult::Log(Some(page)) => contents.extend(page.entries.iter().map(|entry| entry.to_vec())),
        _ => {}
    }
    (format!("{result:?}"), contents)
}
