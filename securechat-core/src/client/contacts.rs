//! Whom this client knows: pins, the lookups that fill them, and what both sides say they hold.

use super::Client;
use super::links::Asked;
use super::peers::chain_of;
use crate::codec::{decode, encode};
use crate::content::{Body, MessageId};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{Event, RequestKind};
use crate::identity::{
    Identity, ListChain, ListChange, Listing, Pin, PrekeyKind, SafetyNumber, SignedBundle, SignedDeviceList,
    SignedPrekey, Trust, UserName, safety_number,
};
use crate::limits::{BUNDLE_GRACE, DEVICE_LIST_EPOCHS};
use crate::record::{Changes, Records};
use crate::session::SenderCheck;
use crate::wire::{self, Refusal, RefusalCode, Request};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// Prefix of the records: `pin/<user>`.
const RECORD: &str = "pin/";
/// How long a device that could not be reached is left alone, in milliseconds.
const RETRY_AFTER: u64 = 60_000;

/// What is known of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// How far the keys are trusted.
    pub trust: Trust,
    /// The epoch of the device list that counts.
    pub epoch: u64,
    /// The user's devices.
    pub devices: Vec<Identity>,
    /// The devices of a list that broke the rules and waits to be accepted (I9).
    pub kept_aside: Option<Vec<Identity>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) pin: Pin,
    /// Hashes of the lists that the user said it holds: its own, and this client's.
    view: Option<[[u8; 32]; 2]>,
    /// The hashes that this client told the user: its own list, and the user's.
    told: Option<[[u8; 32]; 2]>,
}

/// All pins, and what is being looked up.
#[derive(Default)]
pub(super) struct Contacts {
    known: BTreeMap<UserName, Known>,
    by_identity: BTreeMap<Identity, UserName>,
    lookups: BTreeMap<UserName, Lookup>,
    /// Users who were looked up in vain, and when that may be tried again.
    rest: BTreeMap<UserName, u64>,
}

/// A user who is being looked up.
#[derive(Default)]
struct Lookup {
    /// Whether the application asked for it.
    wanted: bool,
    /// Whether a request for it is open.
    asked: bool,
    /// The first epoch asked for; from 0 on a whole chain is collected.
    from: u64,
    lists: Vec<SignedDeviceList>,
    /// Whether the chain is collected as a whole, from epoch 0 on.
    whole: bool,
    /// The devices whose keys are still to be fetched, once the lists are known.
    devices: Option<Vec<Identity>>,
}

impl Contacts {
    pub(super) fn restore(records: &Records) -> Result<Self, Error> {
        let mut contacts = Self::default();
        for (name, value) in records.with_prefix(RECORD) {
            let user = UserName::new(name).map_err(|_| ApiMisuse::Record)?;
            let known: Known = decode(value).map_err(|_| ApiMisuse::Record)?;
            contacts.known.insert(user.clone(), known);
            contacts.index(&user);
        }
        Ok(contacts)
    }

    pub(super) fn pin(&self, user: &UserName) -> Option<&Pin> {
        self.known.get(user).map(|known| &known.pin)
    }

    /// The user to whom a device belongs, by its present list or one that was kept aside.
    pub(super) fn user_of(&self, identity: &Identity) -> Option<&UserName> {
        self.by_identity.get(identity)
    }

    /// Whether a first message's sender is who its bundle says (S5).
    pub(super) fn check_sender(&self, bundle: &SignedBundle) -> SenderCheck {
        let Some(pin) = bundle.user().and_then(|user| self.pin(user)) else { return SenderCheck::Unknown };
        match pin.check_delayed(bundle) {
            Ok(Listing::Current | Listing::KeptAside) => SenderCheck::Listed,
            Ok(Listing::Unlisted) | Err(PeerMisbehaved::NotInDeviceList) => SenderCheck::Unknown,
            Err(_) => SenderCheck::Refused,
        }
    }

    pub(super) fn next_lookup(&self) -> Option<u64> {
        self.rest.values().copied().min()
    }

    fn index(&mut self, user: &UserName) {
        self.by_identity.retain(|_, owner| owner != user);
        let Some(known) = self.known.get(user) else { return };
        let aside = known.pin.kept_aside().map_or(&[][..], |(list, _)| &list.identities);
        for identity in known.pin.identities().iter().chain(aside) {
            self.by_identity.insert(*identity, user.clone());
        }
    }

    fn save(&mut self, user: &UserName, changes: &mut Changes) {
        self.index(user);
        if let Some(known) = self.known.get(user) {
            changes.put(format!("{RECORD}{user}"), Zeroizing::new(encode(known)));
        }
    }
}

impl Client {
    /// Fetches a user's device lists; the answer is `UserFound`, `UserUnknown` or a change of the pin.
    ///
    /// Fails with `NotLoggedIn` when no relay could be asked.
    pub fn look_up(&mut self, user: &UserName, now: u64) -> Result<(), Error> {
        self.advance(now);
        self.relay()?;
        self.contacts.lookups.entry(user.clone()).or_default().wanted = true;
        self.settle();
        Ok(())
    }

    /// What is known of a user.
    pub fn contact(&self, user: &UserName) -> Option<Contact> {
        let pin = self.contacts.pin(user)?;
        Some(Contact {
            trust: pin.trust(),
            epoch: pin.epoch(),
            devices: pin.identities().to_vec(),
            kept_aside: pin.kept_aside().map(|(list, _)| list.identities.clone()),
        })
    }

    /// All users of whom something is known, in the order of their names.
    pub fn contacts(&self) -> impl Iterator<Item = &UserName> + '_ {
        self.contacts.known.keys()
    }

    /// The safety number with a user (I10), to be compared with what the user sees.
    ///
    /// It is shown only when both sides said that they hold the same lists. Until then it fails with
    /// `DeviceListOutOfDate` and the other side is asked; `ListsAgree` tells when to try again.
    pub fn safety_number(&mut self, user: &UserName, now: u64) -> Result<SafetyNumber, Error> {
        self.advance(now);
        let known = self.contacts.known.get(user).ok_or(ApiMisuse::UnknownUser)?;
        known.pin.check_send()?;
        let own = self.account.list().ok_or(ApiMisuse::NotLoggedIn)?;
        if known.view == Some([known.pin.hash(), own.hash()]) {
            return Ok(safety_number((&self.config.user, own.identities()), (user, known.pin.identities())));
        }
        if self.relay().is_ok() {
            self.contacts.lookups.entry(user.clone()).or_default();
        }
        self.tell_lists(user, true);
        self.settle();
        Err(ApiMisuse::DeviceListOutOfDate.into())
    }

    /// Marks a user as verified: the safety number was compared, face to face or on a line that is trusted.
    pub fn mark_verified(&mut self, user: &UserName, now: u64) -> Result<(), Error> {
        self.advance(now);
        self.contacts.known.get_mut(user).ok_or(ApiMisuse::UnknownUser)?.pin.verify()?;
        self.contacts.save(user, &mut self.changes);
        Ok(())
    }

    /// Accepts a user's changed keys (I9): they count as seen from now on, and what waited is sent to them.
    pub fn accept_keys(&mut self, user: &UserName, now: u64) -> Result<(), Error> {
        self.advance(now);
        let known = self.contacts.known.get_mut(user).ok_or(ApiMisuse::UnknownUser)?;
        let (_, hash) = known.pin.kept_aside().ok_or(ApiMisuse::NotFound)?;
        let before = known.pin.identities().to_vec();
        known.pin.accept(&hash)?;
        let gone: Vec<Identity> = before.into_iter().filter(|device| !known.pin.contains(device)).collect();
        self.end_devices(&gone);
        self.contacts.save(user, &mut self.changes);
        self.outbox.reconsider(user);
        self.settle();
        Ok(())
    }

    /// Begins the lookups that messages wait for, and asks the next question of each.
    pub(super) fn look_up_waiting(&mut self) {
        if self.relay().is_err() {
            return;
        }
        let now = self.now;
        self.contacts.rest.retain(|_, until| *until > now);
        for user in self.users_in_need() {
            if !self.contacts.rest.contains_key(&user) {
                self.contacts.lookups.entry(user).or_default();
            }
        }
        let idle = self.contacts.lookups.iter().filter(|(_, lookup)| !lookup.asked);
        for user in idle.map(|(user, _)| user.clone()).collect::<Vec<_>>() {
            self.ask_for(&user);
        }
    }

    /// Asks for the next thing that a lookup needs: lists first, then keys of the devices without a session.
    fn ask_for(&mut self, user: &UserName) {
        let Ok(relay) = self.relay() else { return };
        let own = *user == self.config.user;
        let pinned = match own {
            true => self.account.list().map(SignedDeviceList::epoch),
            false => self.contacts.pin(user).map(Pin::epoch),
        };
        let Some(lookup) = self.contacts.lookups.get_mut(user) else { return };
        lookup.asked = true;
        let request = match &mut lookup.devices {
            None => {
                if lookup.lists.is_empty() && !lookup.whole {
                    lookup.from = pinned.unwrap_or(0);
                    lookup.whole = lookup.from == 0;
                }
                Request::FetchLists(wire::FetchLists { user: user.clone(), from: lookup.from })
            }
            Some(devices) => {
                let some = devices.drain(..devices.len().min(wire::DEVICES_PER_FETCH)).collect();
                let preferred = self.config.policy.suites().first().copied().map(PrekeyKind::for_suite);
                let prekey_kind = preferred.map_or(0, PrekeyKind::id);
                Request::FetchKeys(wire::FetchKeys { user: user.clone(), devices: some, prekey_kind })
            }
        };
        let asked = match request {
            Request::FetchLists(_) => Asked::Lists(user.clone()),
            _ => Asked::Keys(user.clone()),
        };
        self.ask(relay, request, asked);
    }

    /// A page of a user's device lists came.
    pub(super) fn lists_came(&mut self, user: &UserName, page: &wire::Lists) -> Result<(), Error> {
        let lists = page.lists.iter().map(|bytes| SignedDeviceList::decode(bytes));
        let lists = lists.collect::<Result<Vec<_>, _>>()?;
        let known = if *user == self.config.user {
            self.account.list().map(SignedDeviceList::hash)
        } else {
            self.contacts.pin(user).map(Pin::hash)
        };
        let Some(lookup) = self.contacts.lookups.get_mut(user) else { return Ok(()) };
        lookup.asked = false;
        let first = lookup.lists.is_empty();
        lookup.lists.extend(lists);
        if first && !lookup.whole && lookup.lists.first().map(SignedDeviceList::hash) != known {
            // What the relay has is no continuation of what is known: look at all of it.
            (lookup.whole, lookup.from) = (true, 0);
            lookup.lists.clear();
            return Ok(());
        }
        if page.next != 0 {
            if page.next <= lookup.from || lookup.lists.len() as u64 > DEVICE_LIST_EPOCHS {
                return Err(PeerMisbehaved::DeviceList.into());
            }
            lookup.from = page.next;
            return Ok(());
        }
        let (lists, whole) = (core::mem::take(&mut lookup.lists), lookup.whole);
        if whole {
            self.lists_offered(user, lists)?;
        } else {
            for list in lists {
                self.list_offered(user, &list)?;
            }
        }
        self.lists_known(user);
        Ok(())
    }

    /// The lists are up to date: go on with the keys of devices that messages wait for.
    fn lists_known(&mut self, user: &UserName) {
        if *user == self.config.user && self.propose_self().is_err() {
            // A list that is full takes no more devices; the event says that this one is not listed.
            self.tell(Event::Failed { id: MessageId::from_bytes([0; 16]), error: ApiMisuse::TooLarge.into() });
        }
        let devices = self.devices_in_need(user);
        let Some(lookup) = self.contacts.lookups.get_mut(user) else { return };
        if devices.is_empty() {
            self.lookup_done(user);
        } else {
            lookup.devices = Some(devices);
        }
    }

    /// Keys of a user's devices came: sessions are opened where messages wait for them.
    pub(super) fn keys_came(&mut self, user: &UserName, keys: &wire::Keys) -> Result<(), Error> {
        let needed: BTreeSet<Identity> = self.devices_in_need(user).into_iter().collect();
        for device in &keys.devices {
            // One bad bundle must not keep the other devices from being reached.
            if let Err(error) = self.key_came(user, device, needed.contains(&device.identity)) {
                self.tell(Event::DeviceUnreachable { user: user.clone(), device: device.identity, error });
            }
        }
        let more = match self.contacts.lookups.get_mut(user) {
            Some(lookup) => {
                lookup.asked = false;
                lookup.devices.as_ref().is_some_and(|devices| !devices.is_empty())
            }
            None => false,
        };
        if !more {
            self.lookup_done(user);
        }
        Ok(())
    }

    fn key_came(&mut self, user: &UserName, device: &wire::DeviceKeys, open: bool) -> Result<(), Error> {
        let bundle = SignedBundle::decode(&device.bundle)?;
        if bundle.identity() != device.identity {
            return Err(PeerMisbehaved::IdentityMismatch.into());
        }
        self.bundle_came(user, &bundle)?;
        let one_time = device.prekey.as_ref().map(|bytes| SignedPrekey::decode(bytes)).transpose()?;
        if self.repair_with(user, &bundle, one_time.as_ref()) {
            return Ok(());
        }
        if open && !self.sessions.can_send(&device.identity) {
            self.open_session(&bundle, one_time.as_ref(), false)?;
        }
        Ok(())
    }

    /// Checks a bundle against the pin (I4, I7) and tells what is remarkable about it.
    pub(super) fn bundle_came(&mut self, user: &UserName, bundle: &SignedBundle) -> Result<(), Error> {
        let known = self.contacts.known.get_mut(user).ok_or(PeerMisbehaved::NotInDeviceList)?;
        let change = known.pin.update_bundle(bundle)?;
        if change.newer {
            self.contacts.save(user, &mut self.changes);
        }
        let device = bundle.identity();
        for suite in change.dropped {
            self.tell(Event::SuiteDropped { user: user.clone(), device, suite });
        }
        if bundle.check_validity(self.now, 0).is_err() {
            bundle.check_validity(self.now, BUNDLE_GRACE)?;
            self.tell(Event::BundleExpired { user: user.clone(), device });
        }
        Ok(())
    }

    /// Opens a session to a device (S1, S8); what waits for it is sealed next.
    pub(super) fn open_session(
        &mut self,
        bundle: &SignedBundle,
        one_time: Option<&SignedPrekey>,
        replacement: bool,
    ) -> Result<(), Error> {
        let local = self.local.clone();
        let rng = &mut *self.rng;
        self.sessions.open_to(&local, bundle, one_time, replacement, self.now, rng)?;
        Ok(())
    }

    /// A lookup ended, well or not.
    fn lookup_done(&mut self, user: &UserName) {
        let Some(lookup) = self.contacts.lookups.remove(user) else { return };
        if !self.devices_in_need(user).is_empty() {
            // Listed, but without keys that can be used: another try later.
            self.contacts.rest.insert(user.clone(), self.now.saturating_add(RETRY_AFTER));
        }
        if lookup.wanted
            && let Some(pin) = self.contacts.pin(user)
        {
            let trust = pin.trust();
            self.tell(Event::UserFound { user: user.clone(), trust });
        }
        self.drop_repairs(user);
        self.retry_waiting(user);
    }

    /// The relay refused to answer a lookup, or answered with what cannot be right.
    pub(super) fn lookup_failed(&mut self, user: &UserName, refusal: Option<Refusal>) {
        let Some(lookup) = self.contacts.lookups.remove(user) else { return };
        let unknown = refusal.is_some_and(|refusal| refusal.code == RefusalCode::UnknownUser);
        if unknown && self.contacts.pin(user).is_none() {
            self.tell(Event::UserUnknown { user: user.clone() });
            for number in self.outbox.to_user(user) {
                self.fail_message(number, ApiMisuse::UnknownUser.into());
            }
        } else {
            let wait = refusal.map_or(0, |refusal| u64::from(refusal.retry_after) * 1_000).max(RETRY_AFTER);
            self.contacts.rest.insert(user.clone(), self.now.saturating_add(wait));
            if let Some(refusal) = refusal.filter(|_| lookup.wanted) {
                self.tell_refused(RequestKind::LookUp, refusal);
            }
        }
        if unknown {
            self.drop_waiting(user);
        }
        self.drop_repairs(user);
    }

    /// All lookups begin again on the next connection.
    pub(super) fn reset_lookups(&mut self) {
        self.contacts.lookups.retain(|_, lookup| lookup.wanted);
        self.contacts.lookups.values_mut().for_each(|lookup| *lookup = Lookup { wanted: true, ..Lookup::default() });
        self.contacts.rest.clear();
    }

    /// One list, from a relay, a peer or a message, is checked against what is known and taken when it follows.
    pub(super) fn list_offered(&mut self, user: &UserName, list: &SignedDeviceList) -> Result<(), Error> {
        if *user == self.config.user {
            return self.own_list_offered(list);
        }
        let change = match self.contacts.known.get_mut(user) {
            Some(known) => known.pin.update_list(list)?,
            None if list.epoch() == 0 => return self.lists_offered(user, vec![list.clone()]),
            None => ListChange::Gap { from: 0, to: list.epoch() },
        };
        self.list_changed(user, change);
        Ok(())
    }

    /// A whole chain of lists, from epoch 0 on, is checked against what is known.
    pub(super) fn lists_offered(&mut self, user: &UserName, lists: Vec<SignedDeviceList>) -> Result<(), Error> {
        let chain = chain_of(&lists)?;
        if *user == self.config.user {
            return self.own_lists_offered(lists, &chain);
        }
        let change = match self.contacts.known.get_mut(user) {
            Some(known) => known.pin.update_chain(&chain)?,
            None => {
                self.pin_user(user, &chain)?;
                self.outbox.reconsider(user);
                return Ok(());
            }
        };
        self.list_changed(user, change);
        Ok(())
    }

    /// Keeps what is known of a user from now on.
    pub(super) fn pin_user(&mut self, user: &UserName, chain: &ListChain) -> Result<(), Error> {
        if self.contacts.known.len() >= self.config.limits.contacts {
            return Err(ApiMisuse::Busy.into());
        }
        let known = Known { pin: Pin::new(user, chain)?, view: None, told: None };
        self.contacts.known.insert(user.clone(), known);
        self.contacts.save(user, &mut self.changes);
        Ok(())
    }

    /// One's own user is pinned like any other, so that the same rules find its devices and bundles.
    pub(super) fn pin_own(&mut self) -> Result<(), Error> {
        let user = self.config.user.clone();
        let chain = chain_of(&self.account.lists)?;
        match self.contacts.known.get_mut(&user) {
            None => self.pin_user(&user, &chain)?,
            Some(known) => {
                if let ListChange::Violation { .. } = known.pin.update_chain(&chain)?
                    && let Some((_, hash)) = known.pin.kept_aside()
                {
                    // Whether to take the new chain was decided where it came from.
                    known.pin.accept(&hash)?;
                }
                self.contacts.save(&user, &mut self.changes);
            }
        }
        Ok(())
    }

    /// Looks up this user's own lists, where they have changed.
    pub(super) fn look_up_own(&mut self) {
        let user = self.config.user.clone();
        self.contacts.rest.remove(&user);
        self.contacts.lookups.entry(user).or_default();
    }

    fn list_changed(&mut self, user: &UserName, change: ListChange) {
        match change {
            ListChange::Same => return,
            ListChange::Gap { .. } => {
                self.contacts.lookups.entry(user.clone()).or_default();
                return;
            }
            ListChange::Followed { added, removed } => {
                self.end_devices(&removed);
                self.tell(Event::DevicesChanged { user: user.clone(), added, removed });
            }
            ListChange::Violation { .. } => self.tell(Event::KeysChanged { user: user.clone() }),
        }
        self.contacts.save(user, &mut self.changes);
        self.outbox.reconsider(user);
    }

    /// Sessions with devices that are no longer listed end (I6).
    pub(super) fn end_devices(&mut self, devices: &[Identity]) {
        for device in devices {
            self.sessions.end_device(device, self.now);
            self.outbox.unseal(device, &mut self.changes);
        }
    }

    /// A user said which lists it holds: its own newest one, and the hash of this user's.
    pub(super) fn lists_told(&mut self, user: &UserName, list: &[u8], ours: &[u8; 32]) -> Result<(), Error> {
        let list = SignedDeviceList::decode(list)?;
        if list.user() != user {
            return Err(PeerMisbehaved::WrongUser.into());
        }
        self.list_offered(user, &list)?;
        let Some(known) = self.contacts.known.get_mut(user) else { return Ok(()) };
        known.view = Some([list.hash(), *ours]);
        let agree = self.account.list().is_some_and(|own| known.view == Some([known.pin.hash(), own.hash()]));
        self.contacts.save(user, &mut self.changes);
        if agree {
            self.tell(Event::ListsAgree { user: user.clone() });
        }
        self.tell_lists(user, false);
        Ok(())
    }

    /// Tells a user which lists this side holds, when that is news or `anew`.
    fn tell_lists(&mut self, user: &UserName, anew: bool) {
        let (Some(own), Some(known)) = (self.account.list(), self.contacts.known.get_mut(user)) else { return };
        let hashes = [own.hash(), known.pin.hash()];
        if known.told == Some(hashes) && !anew {
            return;
        }
        known.told = Some(hashes);
        let body = Body::DeviceList { list: own.bytes().to_vec(), yours: known.pin.hash() };
        self.contacts.save(user, &mut self.changes);
        // When the queue is full the next question brings it again.
        let _ = self.queue_untracked(user, &body, None);
    }
}
