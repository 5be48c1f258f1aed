//! The key under which another device sends to a group.

use super::message::{GroupMessage, KeyId};
use super::sender_key::HandedKey;
use crate::codec::{decode, encode_secret};
use crate::crypto::aead::Cipher;
use crate::crypto::ed25519::VerifyingKey;
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::identity::Identity;
use crate::limits::REPLACED_KEY_LIFE;
use crate::padding::unpad;
use crate::record::{Changes, Records};
use crate::roster::GroupId;
use crate::session::chain::{Chain, within_skip_limit};
use crate::session::skipped::{Skipped, Spot};
use core::fmt;
use serde::{Deserialize, Serialize};

/// A sender key of another device, from the position at which it was handed over.
#[derive(Serialize, Deserialize)]
pub struct ReceiverKey {
    id: KeyId,
    group: GroupId,
    sender: Identity,
    signing: VerifyingKey,
    cipher: Cipher,
    chain: Chain,
    skipped: Skipped,
    came: u64,
    /// When a newer key of the same device came.
    replaced: Option<u64>,
}

impl ReceiverKey {
    /// The key that `sender`, whose session brought it, handed over.
    pub fn new(sender: &Identity, group: GroupId, handed: HandedKey, now: u64) -> Self {
        Self {
            id: handed.id(sender, group),
            group,
            sender: *sender,
            signing: handed.signing,
            cipher: handed.cipher,
            chain: Chain::new(handed.chain, handed.number),
            skipped: Skipped::default(),
            came: now,
            replaced: None,
        }
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The group that it is for.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// The device that sends under it.
    pub fn sender(&self) -> &Identity {
        &self.sender
    }

    /// When it came.
    pub fn came(&self) -> u64 {
        self.came
    }

    /// A newer key of the same device came: this one is kept 30 days more (G8).
    pub fn replace(&mut self, now: u64) {
        self.replaced.get_or_insert(now);
    }

    /// When something in it is to be erased: skipped keys, or all of it.
    pub fn expires(&self) -> Option<u64> {
        let replaced = self.replaced.map(|at| at.saturating_add(REPLACED_KEY_LIFE));
        self.skipped.expires().into_iter().chain(replaced).min()
    }

    /// Erases skipped keys that were kept long enough; true when all of the key is to go.
    pub fn expire(&mut self, now: u64) -> bool {
        self.skipped.expire(now);
        self.replaced.is_some_and(|at| now >= at.saturating_add(REPLACED_KEY_LIFE))
    }

    /// Whether the sender signed a message under this key: to be asked before anything that its header says is acted on.
    pub fn verify(&self, message: &GroupMessage<'_>) -> Result<(), PeerMisbehaved> {
        if message.group != self.group || message.key != self.id {
            return Err(PeerMisbehaved::SenderKey);
        }
        message.verify(&self.sender, &self.signing)
    }

    /// Opens a message whose signature was found good. One that fails changes nothing (S2).
    ///
    /// Fails with `Replay` for a number that was opened or is from before the key was handed over, with `TooManySkipped`,
    /// with `Decrypt`, and with `Padding`.
    pub fn open(&mut self, message: &GroupMessage<'_>, now: u64) -> Result<SecretVec, Error> {
        let spot = Spot { chain: [0; 32], number: message.number };
        if message.number < self.chain.number() {
            let key = self.skipped.get(&spot).ok_or(PeerMisbehaved::Replay)?;
            let content = self.unseal(message, key)?;
            self.skipped.remove(&spot);
            return Ok(content);
        }
        within_skip_limit(self.chain.missing_before(message.number), 0)?;
        let (mut chain, mut skipped) = (self.chain.duplicate(), Vec::new());
        let key = chain.skip_to(&spot, &mut skipped)?;
        let content = self.unseal(message, key.as_bytes())?;
        self.chain = chain;
        self.skipped.add(skipped, now);
        Ok(content)
    }

    fn unseal(&self, message: &GroupMessage<'_>, key: &[u8; 32]) -> Result<SecretVec, Error> {
        let mut padded = message.open(&self.sender, self.cipher, key)?;
        let length = unpad(&padded)?.len();
        padded.truncate(length);
        Ok(padded)
    }

    /// Notes its record, and those of its skipped keys that changed.
    pub fn save(&mut self, changes: &mut Changes) {
        let place = place(&self.group, &self.id);
        changes.put(place.clone(), encode_secret(self));
        for (run, record) in self.skipped.take_changed() {
            let place = format!("{place}/skipped/{run}");
            match record {
                Some(record) => changes.put(place, record),
                None => changes.remove(place),
            }
        }
    }

    /// Removes its records.
    pub fn forget(&self, changes: &mut Changes) {
        let place = place(&self.group, &self.id);
        self.skipped.ids().for_each(|run| changes.remove(format!("{place}/skipped/{run}")));
        changes.remove(place);
    }

    /// All keys of all groups, from their records. Fails with `Record`.
    pub fn restore_all(records: &Records) -> Result<Vec<Self>, Error> {
        let mut keys: Vec<Self> = Vec::new();
        for (name, value) in records.with_prefix(RECORD) {
            if !name.contains("/skipped/") {
                keys.push(decode(value).map_err(|_| ApiMisuse::Record)?);
            } else {
                // In the order of their names, the runs of a key come right after it.
                let key =
                    keys.last_mut().filter(|key| format!("{RECORD}{name}").starts_with(&place(&key.group, &key.id)));
                key.ok_or(ApiMisuse::Record)?.skipped.restore(value).map_err(|_| ApiMisuse::Record)?;
            }
        }
        Ok(keys)
    }
}

/// Prefix of the records: `sender-key/<group>/<key>`, and `…/skipped/<run>` beside.
const RECORD: &str = "sender-key/";

fn place(group: &GroupId, key: &KeyId) -> String {
    format!("{RECORD}{group}/{key}")
}

impl fmt::Debug for ReceiverKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ReceiverKey({}, {})", self.id, self.chain.number())
    }
}
