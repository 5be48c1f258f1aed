//! Users who are looked up at the relay: their device lists first, then the keys of the devices that messages wait for.

use super::Client;
use super::contacts::OfferedLists;
use super::links::Asked;
use crate::content::MessageId;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{Event, RequestKind};
use crate::identity::{Identity, PrekeyKind, SignedBundle, SignedDeviceList, SignedPrekey, UserName};
use crate::limits::{DEVICE_LIST_EPOCHS, LOOKUPS_AT_ONCE};
use crate::wire::{self, Refusal, RefusalCode, Request};
use std::collections::{BTreeMap, BTreeSet};

/// How long a user who could not be reached is left alone, in milliseconds.
const RETRY_AFTER: u64 = 60_000;

/// All lookups.
#[derive(Default)]
pub(super) struct Lookups {
    open: BTreeMap<UserName, Lookup>,
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
    /// Whether the first page of lists came.
    begun: bool,
    /// The epoch to ask for next.
    from: u64,
    /// The chain as far as it came, where it is collected as a whole from epoch 0 on.
    whole: Option<OfferedLists>,
    /// The devices whose keys are still to be fetched, once the lists are known.
    devices: Option<Vec<Identity>>,
}

impl Lookups {
    /// Begins to look a user up, unless that is going on.
    pub(super) fn begin(&mut self, user: &UserName) {
        self.open.entry(user.clone()).or_default();
    }

    /// Whether a user may be looked up now, and is not yet.
    pub(super) fn may_begin(&self, user: &UserName) -> bool {
        !self.open.contains_key(user) && !self.rest.contains_key(user)
    }

    /// Whether a user is being looked up.
    pub(super) fn is_open(&self, user: &UserName) -> bool {
        self.open.contains_key(user)
    }

    /// When a user who was looked up in vain may be tried again.
    pub(super) fn next(&self) -> Option<u64> {
        self.rest.values().copied().min()
    }

    /// All begin again on the next connection.
    pub(super) fn reset(&mut self) {
        self.open.retain(|_, lookup| lookup.wanted);
        self.open.values_mut().for_each(|lookup| *lookup = Lookup { wanted: true, ..Lookup::default() });
        self.rest.clear();
    }
}

impl Client {
    /// Fetches a user's device lists; the answer is `UserFound`, `UserUnknown`, `ListsRefused` or a change of the pin.
    ///
    /// Fails with `NotLoggedIn` when no relay could be asked.
    pub fn look_up(&mut self, user: &UserName, now: u64) -> Result<(), Error> {
        self.advance(now);
        self.relay()?;
        self.contacts.lookups.open.entry(user.clone()).or_default().wanted = true;
        self.settle();
        Ok(())
    }

    /// Looks up this user's own lists, where they have changed.
    pub(super) fn look_up_own(&mut self) {
        self.contacts.lookups.rest.remove(&self.config.user);
        self.contacts.lookups.begin(&self.config.user);
    }

    /// Begins the lookups that messages wait for, and asks the next question of each, a few at a time.
    pub(super) fn look_up_waiting(&mut self) {
        let now = self.now;
        self.contacts.lookups.rest.retain(|_, until| *until > now);
        if self.relay().is_err() {
            return;
        }
        for user in self.users_in_need() {
            self.contacts.lookups.begin(&user);
        }
        let open = &self.contacts.lookups.open;
        let asked = open.values().filter(|lookup| lookup.asked).count();
        let idle = open.iter().filter(|(_, lookup)| !lookup.asked).map(|(user, _)| user);
        let next: Vec<UserName> = idle.take(LOOKUPS_AT_ONCE.saturating_sub(asked)).cloned().collect();
        next.iter().for_each(|user| self.ask_for(user));
    }

    /// Asks for the next thing that a lookup needs: lists first, then keys of the devices without a session.
    fn ask_for(&mut self, user: &UserName) {
        let Ok(relay) = self.relay() else { return };
        let pinned = self.known_list(user).map_or(0, |(epoch, _)| epoch);
        let own = *user == self.config.user;
        let Some(lookup) = self.contacts.lookups.open.get_mut(user) else { return };
        lookup.asked = true;
        match &mut lookup.devices {
            None => {
                if !lookup.begun && lookup.whole.is_none() {
                    lookup.from = pinned;
                    lookup.whole = (pinned == 0).then(|| OfferedLists::new(own));
                }
                let request = wire::FetchLists { user: user.clone(), from: lookup.from };
                self.ask(relay, Request::FetchLists(request), Asked::Lists(user.clone()));
            }
            Some(devices) => {
                let devices = devices.drain(..devices.len().min(wire::DEVICES_PER_FETCH)).collect();
                let preferred = self.config.policy.suites().first().copied().map(PrekeyKind::for_suite);
                let prekey_kind = preferred.map_or(0, PrekeyKind::id);
                let request = wire::FetchKeys { user: user.clone(), devices, prekey_kind };
                self.ask(relay, Request::FetchKeys(request), Asked::Keys(user.clone()));
            }
        }
    }

    /// Epoch and hash of the list that counts here for a user.
    pub(super) fn known_list(&self, user: &UserName) -> Option<(u64, [u8; 32])> {
        if *user == self.config.user {
            self.account.list().map(|list| (list.epoch(), list.hash()))
        } else {
            self.contacts.pin(user).map(|pin| (pin.epoch(), pin.hash()))
        }
    }

    /// A page of a user's device lists came.
    pub(super) fn lists_came(&mut self, user: &UserName, page: &wire::Lists) -> Result<(), Error> {
        let known = self.known_list(user);
        let own = *user == self.config.user;
        let Some(lookup) = self.contacts.lookups.open.get_mut(user) else { return Ok(()) };
        lookup.asked = false;
        let first = !core::mem::replace(&mut lookup.begun, true);
        let lists = page.lists.iter().map(|bytes| SignedDeviceList::decode(bytes)).collect::<Result<Vec<_>, _>>()?;
        let mut lists = lists.into_iter();
        match &mut lookup.whole {
            Some(whole) => lists.try_for_each(|list| whole.push(list))?,
            None => {
                if first && lists.next().map(|list| list.hash()) != known.map(|(_, hash)| hash) {
                    // What the relay has is no continuation of what is known: look at all of it.
                    (lookup.whole, lookup.from) = (Some(OfferedLists::new(own)), 0);
                    return Ok(());
                }
                for list in lists {
                    self.list_offered(user, &list)?;
                }
            }
        }
        let Some(lookup) = self.contacts.lookups.open.get_mut(user) else { return Ok(()) };
        if page.next != 0 {
            // A chain is bounded, and so is the number of pages.
            if page.next <= lookup.from || page.next >= DEVICE_LIST_EPOCHS {
                return Err(PeerMisbehaved::DeviceList.into());
            }
            lookup.from = page.next;
            return Ok(());
        }
        if let Some(whole) = lookup.whole.take() {
            self.lists_offered(user, whole)?;
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
        let Some(lookup) = self.contacts.lookups.open.get_mut(user) else { return };
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
        let more = match self.contacts.lookups.open.get_mut(user) {
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
        self.bundle_came(user, &bundle, None)?;
        let one_time = device.prekey.as_ref().map(|bytes| SignedPrekey::decode(bytes)).transpose()?;
        if self.repair_with(user, &bundle, one_time.as_ref()) {
            return Ok(());
        }
        if open && !self.sessions.can_send(&device.identity) {
            self.open_session(&bundle, one_time.as_ref(), false)?;
        }
        Ok(())
    }

    /// A lookup ended well: what is known now is all that the relay has.
    fn lookup_done(&mut self, user: &UserName) {
        let Some(lookup) = self.contacts.lookups.open.remove(user) else { return };
        // Lists that were good made a pin.
        let Some(pin) = self.contacts.pin(user) else { return };
        let (trust, epoch) = (pin.trust(), pin.epoch());
        if pin.check_send().is_ok() {
            // A relay that speaks of a newer list and does not have it is not asked for it for ever.
            for number in self.outbox.has_no_newer(user, epoch) {
                self.fail_message(number, PeerMisbehaved::NotInDeviceList.into());
            }
        }
        if !self.devices_in_need(user).is_empty() {
            // Listed, but without keys that can be used: another try later.
            self.contacts.lookups.rest.insert(user.clone(), self.now.saturating_add(RETRY_AFTER));
        }
        if lookup.wanted {
            self.tell(Event::UserFound { user: user.clone(), trust });
        }
        self.drop_repairs(user);
        self.retry_waiting(user);
    }

    /// The relay refused to answer a lookup.
    pub(super) fn lookup_refused(&mut self, user: &UserName, refusal: Refusal) {
        let Some(lookup) = self.contacts.lookups.open.remove(user) else { return };
        let unknown = refusal.code == RefusalCode::UnknownUser;
        if unknown && self.contacts.pin(user).is_none() {
            self.tell(Event::UserUnknown { user: user.clone() });
            for number in self.outbox.to_user(user) {
                self.fail_message(number, ApiMisuse::UnknownUser.into());
            }
        } else {
            let wait = refusal.wait(RETRY_AFTER);
            self.contacts.lookups.rest.insert(user.clone(), self.now.saturating_add(wait));
            if lookup.wanted {
                self.tell_refused(RequestKind::LookUp, refusal);
            }
        }
        if unknown {
            self.drop_waiting(user);
        }
        self.drop_repairs(user);
    }

    /// The relay answered a lookup with what cannot be right: nothing of it counts, and the application is told.
    pub(super) fn lookup_failed(&mut self, user: &UserName, error: Error) {
        if self.contacts.lookups.open.remove(user).is_none() {
            return;
        }
        self.contacts.lookups.rest.insert(user.clone(), self.now.saturating_add(RETRY_AFTER));
        self.tell(Event::ListsRefused { user: user.clone(), error });
        // Who cannot show lists that hold is not waited for: what waits would fill the places of everybody else's.
        self.drop_waiting(user);
        self.drop_repairs(user);
    }
}
