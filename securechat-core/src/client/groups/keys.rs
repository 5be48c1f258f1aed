//! Sender keys: handed to every device of every member, taken from theirs (G4, G8).

use super::state::{Handed, Known, STRAY_KEYS, Wanted};
use crate::client::Client;
use crate::client::outbox::Outgoing;
use crate::content::{Body, Content, GroupControl};
use crate::crypto::aead::Cipher;
use crate::group::{HandedKey, KeyId, ReceiverKey, SenderKey};
use crate::identity::{Identity, UserName};
use crate::roster::GroupId;
use std::collections::BTreeSet;

/// Entries shown at once.
const SHOWN: u32 = crate::content::ENTRIES_PER_CONTROL as u32;

impl Client {
    /// Sees to it that the key that the next message is sealed under is fresh enough, and that everybody who should read
    /// it has it or has it on the way (G8).
    pub(super) fn prepare_key(&mut self, group: GroupId) {
        if self.key_is_spent(group) {
            let cipher = self.config.policy.suites().first().map_or(Cipher::AesGcm, |suite| suite.cipher);
            let (identity, now) = (self.identity(), self.now);
            let Some(known) = self.groups.known.get(&group) else { return };
            let key = SenderKey::generate(&identity, known.log.roster(), cipher, now, &mut *self.rng);
            self.groups.set_key(group, Some(key), &mut self.changes);
        }
        self.hand_over(group);
    }

    /// Whether another key is due: the group's own reasons, or somebody has it who should not read on.
    fn key_is_spent(&self, group: GroupId) -> bool {
        let Some(known) = self.groups.known.get(&group) else { return false };
        let Some(key) = &known.own.key else { return true };
        let roster = known.log.roster();
        let lost = |(user, handed): (&UserName, &Handed)| {
            let Some(pin) = self.contacts.pin(user) else { return !roster.is_member(user) };
            let listed = |device: &Identity| pin.contains(device);
            !roster.is_member(user) || pin.check_send().is_err() || !handed.devices.iter().all(listed)
        };
        key.is_spent(roster, self.now) || known.own.handed.iter().any(lost)
    }

    /// A device goes on from an older copy of its state: it may have lost what it was handed, and who has the copy may have
    /// it. The next message goes under another key.
    pub(in crate::client) fn spend_keys_of(&mut self, device: &Identity) {
        let has = |known: &Known| known.own.handed.values().any(|handed| handed.devices.contains(device));
        let groups = self.groups.known.iter().filter(|(_, known)| has(known)).map(|(group, _)| *group);
        for group in groups.collect::<Vec<_>>() {
            self.groups.set_key(group, None, &mut self.changes);
        }
    }

    /// Hands the key to every device of every member that has not got it: from where its user came on.
    fn hand_over(&mut self, group: GroupId) {
        let Some(known) = self.groups.known.get(&group) else { return };
        let Some(next) = known.own.key.as_ref().map(SenderKey::number) else { return };
        let mut due: Vec<(UserName, Option<Identity>)> = Vec::new();
        let mut news: Vec<(UserName, Handed)> = Vec::new();
        for user in known.log.roster().members() {
            let (own, before) = (*user == self.config.user, known.own.handed.get(user));
            let Some(pin) = self.contacts.pin(user) else {
                // Looked up before it is sealed; then it goes to all devices that there are.
                if before.is_none() {
                    due.push((user.clone(), None));
                    news.push((user.clone(), Handed { from: next, devices: BTreeSet::new() }));
                }
                continue;
            };
            if pin.check_send().is_err() {
                continue;
            }
            let devices = || pin.identities().iter().filter(|device| **device != self.identity());
            let has = |handed: &Handed| devices().all(|device| handed.devices.contains(device));
            if before.is_some_and(|handed| devices().count() == handed.devices.len() && has(handed)) {
                continue;
            }
            match before {
                None if !own => due.push((user.clone(), None)),
                // What was queued while nobody knew the user's devices goes to all of them.
                Some(handed) if handed.devices.is_empty() && !own => {}
                _ => {
                    let new = devices().filter(|device| before.is_none_or(|handed| !handed.devices.contains(*device)));
                    due.extend(new.map(|device| (user.clone(), Some(*device))));
                }
            }
            let from = before.map_or(next, |handed| handed.from);
            news.push((user.clone(), Handed { from, devices: devices().copied().collect() }));
        }
        if news.is_empty() {
            return;
        }
        if let Some(known) = self.groups.known.get_mut(&group) {
            known.own.handed.extend(news);
        }
        self.groups.save_handed(group, &mut self.changes);
        for (user, only) in due {
            self.hand_key(group, &user, only);
        }
    }

    /// A key that was queued while nobody knew a user's devices goes to those that are known now: from the first of them
    /// that leaves the list on, it is spent (G8).
    pub(in crate::client) fn devices_became_known(&mut self, user: &UserName) {
        let Some(pin) = self.contacts.pin(user).filter(|_| *user != self.config.user) else { return };
        let mut changed = Vec::new();
        for (group, known) in &mut self.groups.known {
            if let Some(handed) = known.own.handed.get_mut(user).filter(|handed| handed.devices.is_empty()) {
                handed.devices.extend(pin.identities());
                changed.push(*group);
            }
        }
        changed.into_iter().for_each(|group| self.groups.save_handed(group, &mut self.changes));
    }

    /// Queues the key for all devices of a member or for one. It is kept until it arrived.
    fn hand_key(&mut self, group: GroupId, user: &UserName, only: Option<Identity>) {
        let Some(own) = self.groups.known.get(&group).map(|known| &known.own) else { return };
        let (Some(key), Some(handed)) = (&own.key, own.handed.get(user)) else { return };
        let HandedKey { signing, cipher, number, chain } = key.handed(handed.from);
        let body = Body::GroupKey { group, signing, cipher, number, chain };
        let id = self.message_id();
        let Ok(content) = Content::encode_parts(id, self.now, 0, &body) else { return };
        let message = Outgoing { only, quiet: true, ..Outgoing::new(id, user.clone(), self.now, content, None) };
        // Where the queue is full the key is asked for by who lacks it.
        let _ = self.queue(message);
    }

    /// Another device handed its key over. The id is recomputed with the identity whose session brought it, and a key that
    /// is held under it stays.
    pub(in crate::client) fn key_handed(&mut self, device: &Identity, group: GroupId, handed: HandedKey) {
        let key = ReceiverKey::new(device, group, handed, self.now);
        if *device == self.identity() || self.groups.keys.contains_key(&(group, key.id())) {
            return;
        }
        if self.is_stray(&key) {
            self.make_room_for_stray();
        }
        self.groups.take_key(key, self.now, &mut self.changes);
        if !self.groups.known.contains_key(&group) {
            self.begin_sync(group);
        }
        self.retry_group(group);
    }

    /// Whether a key is of somebody of whom nothing here says that they were ever in its group.
    fn is_stray(&self, key: &ReceiverKey) -> bool {
        let user = self.contacts.user_of(key.sender());
        let known = self.groups.known.get(&key.group());
        !known.zip(user).is_some_and(|(known, user)| known.log.roster().was_member(user))
    }

    /// Keys that may come before what says that they are good are kept in one room, whoever makes them up: the oldest goes.
    fn make_room_for_stray(&mut self) {
        let strays = self.groups.keys.values().filter(|key| self.is_stray(key));
        let strays: Vec<_> = strays.map(|key| (key.came(), key.group(), key.id())).collect();
        if strays.len() >= STRAY_KEYS
            && let Some((_, group, id)) = strays.into_iter().min()
        {
            self.groups.forget_key(group, id, &mut self.changes);
        }
    }

    /// What a member asks or tells.
    pub(in crate::client) fn controlled(
        &mut self,
        user: &UserName,
        device: &Identity,
        group: GroupId,
        control: &GroupControl,
    ) {
        let Some(known) = self.groups.known.get(&group) else { return };
        let roster = known.log.roster();
        match control {
            GroupControl::KeyWanted { key } => {
                let own = known.own.key.as_ref().is_some_and(|own| own.id() == KeyId::from_bytes(*key));
                let pin = self.contacts.pin(user).filter(|pin| pin.check_send().is_ok() && pin.contains(device));
                let wanted = Wanted::Key(KeyId::from_bytes(*key));
                if own && roster.is_member(user) && pin.is_some() && self.groups.ask_once(device, group, wanted) {
                    self.hand_key(group, user, Some(*device));
                    self.note_handed(group, user, device);
                }
            }
            GroupControl::EntriesWanted { sequence } if roster.was_member(user) => {
                self.show_entries(group, device, *sequence)
            }
            GroupControl::Entries { entries } if roster.was_member(user) => self.entries_shown(group, device, entries),
            _ => {}
        }
    }

    fn note_handed(&mut self, group: GroupId, user: &UserName, device: &Identity) {
        let own = self.groups.known.get_mut(&group).map(|known| &mut known.own);
        if let Some(handed) = own.and_then(|own| own.handed.get_mut(user)).filter(|handed| !handed.devices.is_empty()) {
            handed.devices.insert(*device);
            self.groups.save_handed(group, &mut self.changes);
        }
    }

    /// Shows a device the entry with that number and those before it.
    pub(super) fn show_entries(&mut self, group: GroupId, device: &Identity, sequence: u32) {
        let Some(known) = self.groups.known.get(&group) else { return };
        let first = sequence.saturating_sub(SHOWN - 1);
        let entries = known.log.entries_from(first).iter().take_while(|entry| entry.entry().sequence <= sequence);
        let entries: Vec<Vec<u8>> = entries.map(|entry| entry.bytes().to_vec()).collect();
        if !entries.is_empty() && self.groups.ask_once(device, group, Wanted::Told(sequence)) {
            let Some(user) = self.contacts.user_of(device).cloned() else { return };
            self.control(group, &user, device, GroupControl::Entries { entries });
        }
    }

    /// Says something about a group to one device, which is known or claimed to be that user's.
    pub(super) fn control(&mut self, group: GroupId, user: &UserName, device: &Identity, control: GroupControl) {
        if *device != self.identity() {
            // Where the queue is full it is asked again on the next connection.
            let _ = self.queue_untracked(user, &Body::GroupControl { group, control }, Some(*device));
        }
    }
}
