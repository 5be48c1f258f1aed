//! Device lists: which devices a user has, as a chain of signed lists (I6 to I8).

use crate::codec::{self, Reader, Writer};
use crate::crypto::ed25519::SigningKey;
use crate::crypto::hash::sha256;
use crate::crypto::label::Label;
use crate::error::{ApiMisuse, Error, InvalidMessage, PeerMisbehaved};
use crate::identity::signed::{self, serde_as_kept};
use crate::identity::{Identity, UserName};
use crate::limits::{DEVICE_LIST_EPOCHS, DEVICES_PER_USER, USER_NAME_MAX};
use serde::{Deserialize, Serialize};

/// Signatures of a list: one of each new device, and one of a device of the list before.
const SIGNERS_MAX: usize = DEVICES_PER_USER + 1;

/// Bytes of a signature with its signer.
const SIGNATURE_LEN: usize = 32 + 64;

/// Bytes of the highest epoch as a varint.
const EPOCH_LEN: usize = 2;

/// Longest encoding of a signed device list, in bytes.
pub const SIGNED_DEVICE_LIST_MAX: usize =
    2 + (1 + USER_NAME_MAX + EPOCH_LEN + 32 + 1 + 32 * DEVICES_PER_USER) + 1 + SIGNERS_MAX * SIGNATURE_LEN;

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
#[derive(Clone, derive_more::Debug, PartialEq, Eq)]
pub struct SignedDeviceList {
    #[debug("{} bytes", bytes.len())]
    bytes: Vec<u8>,
    list: DeviceList,
    hash: [u8; 32],
    signers: Vec<Identity>,
}

impl SignedDeviceList {
    /// The first list of a user: epoch 0 with this one device (I6).
    pub fn create(user: UserName, key: &SigningKey) -> Result<Self, ApiMisuse> {
        Self::sign(DeviceList { user, epoch: 0, previous: [0; 32], identities: vec![identity_of(key)] }, key)
    }

    /// The list after this one with the device of `key` added, signed by that device only: a proposal (I8).
    ///
    /// Fails with [`ApiMisuse::TooLarge`] when the list is full or the last of its chain, and with
    /// [`ApiMisuse::WrongState`] when it has that device already.
    pub fn propose_add(&self, key: &SigningKey) -> Result<Self, ApiMisuse> {
        let mut identities = self.list.identities.clone();
        identities.push(identity_of(key));
        self.next(identities, key)
    }

    /// The list after this one without the devices `removed`, signed by the device of `key` (I6: left out is revoked).
    ///
    /// Fails with [`ApiMisuse::NotFound`] when `key` or one of `removed` is not in this list, with
    /// [`ApiMisuse::WrongState`] when no device would be left, and with [`ApiMisuse::TooLarge`] at the end of the chain.
    pub fn without(&self, removed: &[Identity], key: &SigningKey) -> Result<Self, ApiMisuse> {
        if !self.contains(&identity_of(key)) || !removed.iter().all(|identity| self.contains(identity)) {
            return Err(ApiMisuse::NotFound);
        }
        let kept = self.list.identities.iter().copied().filter(|identity| !removed.contains(identity));
        self.next(kept.collect(), key)
    }

    /// Adds the signature of a listed device to this proposal, after checking it against the list that counts now:
    /// what is to be published (I8). The host has compared the fingerprint of the new device before.
    ///
    /// Fails like [`check_proposal`](Self::check_proposal), and with [`ApiMisuse::NotFound`] when the device of `key` is
    /// not in `current`. The caller sees to it that a device signs a second list of an epoch only when the relay refused
    /// the first: two that both count are a fork.
    pub fn countersign(&self, current: &Self, key: &SigningKey) -> Result<Self, Error> {
        self.check_proposal(current)?;
        let signer = identity_of(key);
        if !current.list.contains(&signer) {
            return Err(ApiMisuse::NotFound.into());
        }
        let mut bytes = self.bytes.clone();
        if let Some(count) = bytes.get_mut(2 + self.body().len()) {
            *count += 1;
        }
        put_signature(&mut bytes, self.body(), key);
        let signers = self.signers.iter().copied().chain([signer]).collect();
        Ok(Self { bytes, list: self.list.clone(), hash: self.hash, signers })
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
        signed::body(&self.bytes)
    }

    fn next(&self, identities: Vec<Identity>, key: &SigningKey) -> Result<Self, ApiMisuse> {
        let epoch = self.list.epoch.saturating_add(1);
        if identities.len() > DEVICES_PER_USER || epoch >= DEVICE_LIST_EPOCHS {
            return Err(ApiMisuse::TooLarge);
        }
        Self::sign(DeviceList { user: self.list.user.clone(), epoch, previous: self.hash, identities }, key)
    }

    fn sign(list: DeviceList, key: &SigningKey) -> Result<Self, ApiMisuse> {
        list.check().map_err(|_| ApiMisuse::WrongState)?;
        let body = codec::encode(&list);
        let mut bytes = Vec::with_capacity(body.len() + 2 + 1 + SIGNATURE_LEN);
        bytes.put_prefixed(&body).map_err(|_| ApiMisuse::TooLarge)?;
        bytes.put_u8(1);
        put_signature(&mut bytes, &body, key);
        Ok(Self { bytes, list, hash: sha256(&[&body]), signers: vec![identity_of(key)] })
    }
}

serde_as_kept!(SignedDeviceList);

fn identity_of(key: &SigningKey) -> Identity {
    key.verifying_key().into()
}

/// Appends `identity 32 | signature 64`.
fn put_signature(bytes: &mut Vec<u8>, body: &[u8], key: &SigningKey) {
    bytes.put(identity_of(key).as_bytes());
    bytes.put(&key.sign(Label::DEVICE_LIST, &[body]));
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
