//! A client's state as sealed records, and what a restored one means (S10).

use super::Client;
use crate::codec::{decode, encode_secret};
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, Error};
use crate::event::Event;
use crate::identity::{Fingerprint, SignedDeviceList};
use crate::record::{Changes, Records};
use crate::vault::Vault;
use rand_core::CryptoRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The record of the device's keys and bundle.
pub(super) const IDENTITY: &str = "identity";
/// The record of [`Account`].
pub(super) const ACCOUNT: &str = "account";
/// The record of [`Age`].
const AGE: &str = "age";
/// Prefix of the records of one's own device lists: `list/<epoch, 16 hex digits>`.
const LIST: &str = "list/";

/// What a restore adds to the generation.
const RESTORED_AHEAD: u64 = 1 << 32;

/// One record to keep, or to remove. Keys and values are opaque: both are made with the vault's key.
#[derive(Clone, derive_more::Debug, PartialEq, Eq)]
pub struct Save {
    /// The record's key: 32 hex digits.
    pub key: String,
    /// Its new value, or `None` when the record is to be removed.
    #[debug("{:?} bytes", value.as_ref().map(Vec::len))]
    pub value: Option<Vec<u8>>,
}

/// What a host knows of the age of the records it restores a client from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// They are the newest that were ever saved, as far as the host knows.
    Continued,
    /// They come from a backup or a copy.
    Restored,
    /// A state of this generation was saved once; records of a lower one are treated as restored.
    AtLeast(u64),
}

/// What a device knows of its account.
#[derive(Serialize, Deserialize)]
pub(super) struct Account {
    /// Whether a relay has this device, so that it logs in by its key.
    pub(super) registered: bool,
    /// The fingerprints of the relays that were pinned, by `host:port`.
    pub(super) relays: BTreeMap<String, Fingerprint>,
    /// Serials and ids stay above those that a relay returned, since a restore (S10).
    pub(super) serial_floor: u64,
    /// Whether a relay or a peer was ever shown this device's list, so that another chain needs to be accepted.
    pub(super) established: bool,
    /// A device list that was signed here and neither taken nor refused by a relay yet (I8).
    pub(super) pending: Option<SignedDeviceList>,
    /// The list was shown by a registration alone, which nobody has answered.
    #[serde(skip)]
    pub(super) registering: bool,
    /// Until when a refused proposal is not followed by another.
    #[serde(skip)]
    pub(super) proposal_rest: u64,
    /// The bundle was not published yet.
    pub(super) publish_bundle: bool,
    /// It is the first since a restore, and no relay has it yet.
    pub(super) anew: bool,
    /// A device of this user that asks to be listed.
    #[serde(skip)]
    pub(super) proposal: Option<SignedDeviceList>,
    age: Age,
    /// One's own device lists, from epoch 0 on. Records of their own.
    #[serde(skip)]
    pub(super) lists: Vec<SignedDeviceList>,
}

/// Which copy of a state this is, and how old.
#[derive(Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
struct Age {
    instance: [u8; 16],
    generation: u64,
}

impl Account {
    pub(super) fn new(rng: &mut dyn CryptoRng) -> Self {
        let mut instance = [0; 16];
        rng.fill_bytes(&mut instance);
        Self {
            registered: false,
            relays: BTreeMap::new(),
            serial_floor: 0,
            established: false,
            pending: None,
            registering: false,
            proposal_rest: 0,
            publish_bundle: false,
            anew: false,
            proposal: None,
            age: Age { instance, generation: 0 },
            lists: Vec::new(),
        }
    }

    /// One's own newest device list.
    pub(super) fn list(&self) -> Option<&SignedDeviceList> {
        self.lists.last()
    }

    /// Replaces what is known of one's own lists, and notes it.
    pub(super) fn set_lists(&mut self, lists: Vec<SignedDeviceList>, changes: &mut Changes) {
        for epoch in lists.len()..self.lists.len() {
            changes.remove(format!("{LIST}{epoch:016x}"));
        }
        for (epoch, list) in lists.iter().enumerate() {
            if self.lists.get(epoch) != Some(list) {
                changes.put(format!("{LIST}{epoch:016x}"), SecretVec::new(list.bytes().to_vec()));
            }
        }
        self.lists = lists;
    }

    /// Reads one's own lists back.
    pub(super) fn restore_lists(&mut self, records: &Records) -> Result<(), Error> {
        for (_, value) in records.with_prefix(LIST) {
            self.lists.push(SignedDeviceList::decode(value).map_err(|_| ApiMisuse::Record)?);
        }
        Ok(())
    }
}

impl Client {
    /// How often this state was saved; grows with every batch that [`Client::poll_save`] gave.
    ///
    /// A host that keeps it elsewhere notices a restored store with [`History::AtLeast`].
    pub fn generation(&self) -> u64 {
        self.account.age.generation
    }

    pub(super) fn save_identity(&mut self) {
        self.changes.put(IDENTITY, encode_secret(&*self.local));
    }

    pub(super) fn save_account(&mut self) {
        self.changes.put(ACCOUNT, encode_secret(&self.account));
    }

    /// Everything that changed, sealed, with the next generation.
    pub(super) fn seal_changes(&mut self) -> Vec<Save> {
        self.account.age.generation = self.account.age.generation.saturating_add(1);
        self.changes.put(AGE, encode_secret(&self.account.age));
        let changed = self.changes.drain();
        changed.map(|(name, value)| seal_record(&self.vault, &mut *self.rng, &name, value)).collect()
    }

    /// Decides whether the records are the newest, and begins anew where they are not.
    pub(super) fn continue_from(&mut self, records: &Records, history: History) -> Result<(), Error> {
        self.account.age = required(records, AGE)?;
        let restored = match history {
            History::Continued => false,
            History::Restored => true,
            History::AtLeast(known) => self.account.age.generation < known,
        };
        if restored {
            let known = if let History::AtLeast(known) = history { known } else { 0 };
            self.begin_anew(known)?;
        }
        Ok(())
    }

    /// S10: no key of a restored state is used to send again.
    fn begin_anew(&mut self, known: u64) -> Result<(), Error> {
        self.rng.fill_bytes(&mut self.account.age.instance);
        // Above whatever the state that is left behind may still reach: a copy of that is noticed, too.
        let beyond = self.account.age.generation.max(known).saturating_add(RESTORED_AHEAD);
        self.account.age.generation = beyond;
        self.sessions.mark_restored(self.now);
        self.outbox.unseal_all(&mut self.changes);
        self.begin_groups_anew();
        self.renew_bundle()?;
        self.account.anew = true;
        self.save_account();
        self.tell(Event::Restored);
        Ok(())
    }
}

/// Opens all records of a store. A record whose name does not belong to its place fails, as does one that does not open.
pub(super) fn open_records(
    vault: &Vault,
    saved: impl IntoIterator<Item = (String, Vec<u8>)>,
) -> Result<Records, Error> {
    let mut records = Records::default();
    for (place, sealed) in saved {
        let plain = vault.open(&place, &sealed).map_err(|_| ApiMisuse::Record)?;
        let mut reader = crate::codec::Reader::new(&plain);
        let name = reader.prefixed().map_err(|_| ApiMisuse::Record)?;
        let name = core::str::from_utf8(name).map_err(|_| ApiMisuse::Record)?.to_owned();
        if vault.place(&name) != place {
            return Err(ApiMisuse::Record.into());
        }
        records.insert(name, SecretVec::new(reader.rest().to_vec()));
    }
    Ok(records)
}

/// A record that every state has.
pub(super) fn required<T: Serialize + DeserializeOwned>(records: &Records, name: &str) -> Result<T, Error> {
    Ok(decode(records.get(name).ok_or(ApiMisuse::Record)?).map_err(|_| ApiMisuse::Record)?)
}

/// `u16 length | name | value`, sealed for the place that is derived from the name: a store shows neither names nor values.
fn seal_record(vault: &Vault, rng: &mut dyn CryptoRng, name: &str, value: Option<SecretVec>) -> Save {
    let key = vault.place(name);
    let value = value.map(|value| {
        let length = u16::try_from(name.len()).unwrap_or_default();
        let mut plain = SecretVec::new(Vec::with_capacity(2 + name.len() + value.len()));
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(name.as_bytes());
        plain.extend_from_slice(&value);
        vault.seal(&key, &plain, rng)
    });
    Save { key, value }
}
