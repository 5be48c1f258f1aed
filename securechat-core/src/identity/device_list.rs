//! Device lists: which devices a user has, as a chain of signed lists (I6 to I8).

use crate::codec::{self, Reader, Writer};
use crate::crypto::ed25519::SigningKey;
use crate::crypto::hash::sha256;
use crate::crypto::label::Label;
use crate::error::{ApiMisuse, Error, InvalidMessage, PeerMisbehaved};
use crate::identity::signed::serde_as_kept;
use crate::identity::{Identity, UserName};
use crate::limits::{DEVICE_LIST_EPOCHS, DEVICES_PER_USER, USER_NAME_MAX};
use serde::{Deserialize, Serialize};

/// Signatures of a list: one of each new device, and one of a device of the list before.
const SIGNERS_MAX: usize = DEVICES_PER_USER + 1;

/// Longest encoding of a signed device list, in bytes.
pub const SIGNED_DEVICE_LIST_MAX: usize =
    2 + (1 + USER_NAME_MAX + 10 + 32 + 1 + 32 * DEVICES_PER_USER) + 1 + SIGNERS_MAX * (32 + 64);

/// The contents of a device list.
///
/// | field | encoding |
/// |---|---|
/// | user | varint length, name |
/// | epoch | varint u64, below 4,096 |
/// | previous | 32 bytes: hash of the list before, zeros in epoch 0 |
/// | identities | varint count 1 to 16, 32 bytes each |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceList {
    /// Whose devices these are.
    pub user: UserName,
    /// 0 for the first list, one more for each that follows.
    pub epoch: u64,
    /// The hash of the list before; zeros in epoch 0.
    pub previous: [u8; 32],
    /// The devices, distinct, in the order in which they came.
    pub identities: Vec<Identity>,
}

impl DeviceList {
    /// Whether this device is in the list.
    pub fn contains(&self, identity: &Identity) -> bool {
        self.identities.contains(identity)
    }

    /// The devices that `other` has and this list has not.
    pub(super) fn lacks(&self, other: &Self) -> Vec<Identity> {
        other.identities.iter().copied().filter(|identity| !self.contains(identity)).collect()
    }

    fn check(&self) -> Result<(), Error> {
        if !(1..=DEVICES_PER_USER).contains(&self.identities.len()) || self.epoch >= DEVICE_LIST_EPOCHS {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        if distinct(&self.identities) { Ok(()) } else { Err(PeerMisbehaved::DeviceList.into()) }
    }
}

/// A device list with its signatures, all of which were checked: label "device list".
///
/// | field | bytes | |
/// |---|---|---|
/// | length | 2 | of the body |
/// | body | length | [`DeviceList`] |
/// | count | 1 | 1 to 17 |
/// | signer, signature | count × (32 + 64) | Ed25519 over `label || body`; the signers are distinct |
///
/// That the signatures are good says nothing about who may sign: that is for
/// [`verify_first`](Self::verify_first) and [`verify_follows`](Self::verify_follows).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDeviceList {
    bytes: Vec<u8>,
    list: DeviceList,
    hash: [u8; 32],
    signers: Vec<Identity>,
}

impl SignedDeviceList {
    /// The first list of a user: epoch 0 with this one device (I6).
    pub fn create(user: UserName, key: &SigningKey) -> Result<Self, Error> {
        Self::sign(DeviceList { user, epoch: 0, previous: [0; 32], identities: vec![identity_of(key)] }, key)
    }

    /// The list after this one with the device of `key` added, signed by that device only: a proposal (I8).
    ///
    /// Fails when the list is full or has that device already.
    pub fn propose_add(&self, key: &SigningKey) -> Result<Self, Error> {
        let mut identities = self.list.identities.clone();
        identities.push(identity_of(key));
        self.next(identities, key)
    }

    /// The list after this one without the devices `removed`, signed by the device of `key` (I6: left out is revoked).
    ///
    /// Fails when `key` or one of `removed` is not in this list, or when no device would be left.
    pub fn without(&self, removed: &[Identity], key: &SigningKey) -> Result<Self, Error> {
        let mut named = removed.iter().chain([&identity_of(key)]).copied().collect::<Vec<_>>().into_iter();
        if !named.all(|identity| self.list.contains(&identity)) {
            return Err(ApiMisuse::NotFound.into());
        }
        let kept = self.list.identities.iter().copied().filter(|identity| !removed.contains(identity));
        self.next(kept.collect(), key)
    }

    /// Adds the signature of a listed device to this proposal, after checking it against the list that counts now:
    /// what is to be published (I8). The host has compared the fingerprint of the new device before.
    ///
    /// Fails like [`check_proposal`](Self::check_proposal), and when the device of `key` is not in `current`.
    pub fn countersign(&self, current: &Self, key: &SigningKey) -> Result<Self, Error> {
        self.check_proposal(current)?;
        let signer = identity_of(key);
        if !current.list.contains(&signer) {
            return Err(ApiMisuse::NotFound.into());
        }
        let mut bytes = Vec::with_capacity(self.bytes.len() + 96);
        bytes.put_prefixed(self.body())?;
        bytes.put_u8(2);
        bytes.put(self.bytes.get(3 + self.body().len()..).unwrap_or_default());
        bytes.put(signer.as_bytes());
        bytes.put(&key.sign(Label::DEVICE_LIST, &[self.body()]));
        Ok(Self {
            bytes,
            list: self.list.clone(),
            hash: self.hash,
            signers: self.signers.iter().copied().chain([signer]).collect(),
        })
    }

    /// Reads a signed device list: the signatures first, then the form of the body.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > SIGNED_DEVICE_LIST_MAX {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        let mut reader = Reader::new(bytes);
        let body = reader.prefixed()?;
        let count = usize::from(reader.u8()?);
        if !(1..=SIGNERS_MAX).contains(&count) {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        let mut signatures = Vec::with_capacity(count);
        for _ in 0..count {
            signatures.push((Identity::from_bytes(reader.array()?), reader.array::<64>()?));
        }
        reader.finish()?;
        let signers: Vec<Identity> = signatures.iter().map(|(signer, _)| *signer).collect();
        if !distinct(&signers) {
            return Err(PeerMisbehaved::DeviceList.into());
        }
        for (signer, signature) in &signatures {
            signer.verify(Label::DEVICE_LIST, &[body], signature)?;
        }
        let list: DeviceList = codec::decode(body)?;
        list.check()?;
        let signed = Self { bytes: bytes.to_vec(), list, hash: sha256(&[body]), signers };
        if signed.list.epoch == 0 {
            signed.verify_first()?;
        }
        Ok(signed)
    }

    /// It as it travels.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 over the body alone (I1).
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Its contents.
    pub fn list(&self) -> &DeviceList {
        &self.list
    }

    /// Whose devices these are.
    pub fn user(&self) -> &UserName {
        &self.list.user
    }

    /// Its place in the chain.
    pub fn epoch(&self) -> u64 {
        self.list.epoch
    }

    /// The devices.
    pub fn identities(&self) -> &[Identity] {
        &self.list.identities
    }

    /// Whether this device is in the list.
    pub fn contains(&self, identity: &Identity) -> bool {
        self.list.contains(identity)
    }

    /// Who signed it.
    pub fn signers(&self) -> &[Identity] {
        &self.signers
    }

    /// Whether it is a first list: epoch 0, nothing before it, one device, signed by that one (I6).
    /// [`PeerMisbehaved::DeviceList`] otherwise.
    pub fn verify_first(&self) -> Result<(), PeerMisbehaved> {
        let one = self.list.identities.len() == 1 && self.signers == self.list.identities;
        if self.list.epoch == 0 && self.list.previous == [0; 32] && one {
            Ok(())
        } else {
            Err(PeerMisbehaved::DeviceList)
        }
    }

    /// Whether it follows `before` by the rules of I6: same user, the next epoch, the hash of `before`, signed by
    /// a device of `before` and by every new one, and by nobody else than devices of the two.
    /// [`PeerMisbehaved::WrongUser`] or [`PeerMisbehaved::DeviceList`] otherwise.
    pub fn verify_follows(&self, before: &Self) -> Result<(), PeerMisbehaved> {
        self.follows(&before.list, &before.hash)
    }

    pub(super) fn follows(&self, before: &DeviceList, hash: &[u8; 32]) -> Result<(), PeerMisbehaved> {
        if self.list.user != before.user {
            return Err(PeerMisbehaved::WrongUser);
        }
        let in_chain = before.epoch.checked_add(1) == Some(self.list.epoch) && self.list.previous == *hash;
        let vouched = self.signers.iter().any(|signer| before.contains(signer));
        let willing = before.lacks(&self.list).iter().all(|new| self.signers.contains(new));
        let known = self.signers.iter().all(|signer| before.contains(signer) || self.list.contains(signer));
        if in_chain && vouched && willing && known { Ok(()) } else { Err(PeerMisbehaved::DeviceList) }
    }

    /// Whether it is a proposal that a device of `current` may sign: the next list, exactly `current` with one device
    /// added at its end, signed by that device and nobody else (I8). Gives the device, for the host to compare its
    /// fingerprint. [`PeerMisbehaved::WrongUser`] or [`PeerMisbehaved::DeviceList`] otherwise.
    pub fn check_proposal(&self, current: &Self) -> Result<Identity, PeerMisbehaved> {
        if self.list.user != current.list.user {
            return Err(PeerMisbehaved::WrongUser);
        }
        let in_chain = current.list.epoch.checked_add(1) == Some(self.list.epoch) && self.list.previous == current.hash;
        match self.list.identities.split_last() {
            Some((new, present))
                if in_chain && present == current.list.identities && self.signers.as_slice() == [*new] =>
            {
                Ok(*new)
            }
            _ => Err(PeerMisbehaved::DeviceList),
        }
    }

    fn body(&self) -> &[u8] {
        Reader::new(&self.bytes).prefixed().unwrap_or_default()
    }

    fn next(&self, identities: Vec<Identity>, key: &SigningKey) -> Result<Self, Error> {
        let epoch = self.list.epoch.checked_add(1).ok_or(ApiMisuse::TooLarge)?;
        Self::sign(DeviceList { user: self.list.user.clone(), epoch, previous: self.hash, identities }, key)
    }

    fn sign(list: DeviceList, key: &SigningKey) -> Result<Self, Error> {
        list.check()?;
        let signer = identity_of(key);
        let body = codec::encode(&list);
        let mut bytes = Vec::with_capacity(body.len() + 99);
        bytes.put_prefixed(&body)?;
        bytes.put_u8(1);
        bytes.put(signer.as_bytes());
        bytes.put(&key.sign(Label::DEVICE_LIST, &[&body]));
        Ok(Self { bytes, list, hash: sha256(&[&body]), signers: vec![signer] })
    }
}

serde_as_kept!(SignedDeviceList);

/// Lists of a user from epoch 0 on, each checked against the one before.
///
/// What a first contact fetches, and whoever is offered a list that does not follow the one they have.
#[derive(Clone, Debug)]
pub struct ListChain {
    hashes: Vec<[u8; 32]>,
    head: SignedDeviceList,
}

impl ListChain {
    /// Begins with a list of epoch 0.
    pub fn start(first: SignedDeviceList) -> Result<Self, PeerMisbehaved> {
        first.verify_first()?;
        Ok(Self { hashes: vec![first.hash], head: first })
    }

    /// Goes on with the next list. A failure changes nothing. An epoch is below 4,096, so the chain is bounded.
    pub fn extend(&mut self, next: SignedDeviceList) -> Result<(), PeerMisbehaved> {
        next.verify_follows(&self.head)?;
        self.hashes.push(next.hash);
        self.head = next;
        Ok(())
    }

    /// The newest list.
    pub fn head(&self) -> &SignedDeviceList {
        &self.head
    }

    /// The hash of the list of epoch 0, which names the chain.
    pub fn root(&self) -> [u8; 32] {
        self.hash_at(0).unwrap_or_default()
    }

    /// The hash of the list of an epoch.
    pub fn hash_at(&self, epoch: u64) -> Option<[u8; 32]> {
        self.hashes.get(usize::try_from(epoch).ok()?).copied()
    }
}

fn identity_of(key: &SigningKey) -> Identity {
    key.verifying_key().into()
}

fn distinct(identities: &[Identity]) -> bool {
    let mut rest = identities;
    while let Some((first, others)) = rest.split_first() {
        if others.contains(first) {
            return false;
        }
        rest = others;
    }
    true
}
