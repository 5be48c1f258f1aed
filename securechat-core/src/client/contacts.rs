//! Whom this client knows: pins, the lookups that fill them, and what both sides say they hold.

use super::Client;
use super::lookups::Lookups;
use crate::codec::{decode, encode};
use crate::content::Body;
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::Event;
use crate::identity::{
    Identity, ListChain, ListChange, Listing, Pin, SafetyNumber, SignedBundle, SignedDeviceList, SignedPrekey, Trust,
    UserName, safety_number,
};
use crate::limits::BUNDLE_GRACE;
use crate::record::{Changes, Records};
use crate::session::{SenderCheck, SessionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Prefix of the records: `pin/<user>`.
const RECORD: &str = "pin/";
/// What is known of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// How far the keys are trusted.
    pub trust: Trust,
    /// The epoch of the device list that counts.
    pub epoch: u64,
    /// The user's devices.
    pub devices: Vec<Identity>,
    /// A list that broke the rules and waits to be accepted (I9).
    pub kept_aside: Option<KeptAside>,
}

/// A device list that does not follow from the one that counts: what [`Client::accept_keys`] decides on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAside {
    /// The devices that it claims.
    pub devices: Vec<Identity>,
    /// Its hash, which names it when it is accepted.
    pub hash: [u8; 32],
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
    known: BTreeMap<UserName, Box<Known>>,
    by_identity: BTreeMap<Identity, UserName>,
    pub(super) lookups: Lookups,
}

impl Contacts {
    pub(super) fn restore(records: &Records) -> Result<Self, Error> {
        let mut contacts = Self::default();
        for (name, value) in records.with_prefix(RECORD) {
            let user = UserName::new(name).map_err(|_| ApiMisuse::Record)?;
            let known: Box<Known> = decode(value).map_err(|_| ApiMisuse::Record)?;
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

    /// Forgets a user.
    pub(super) fn forget(&mut self, user: &UserName, changes: &mut Changes) {
        self.known.remove(user);
        self.index(user);
        changes.remove(format!("{RECORD}{user}"));
    }

    fn index(&mut self, user: &UserName) {
        self.by_identity.retain(|_, owner| owner != user);
        let Some(known) = self.known.get(user) else { return };
        for identity in devices_of(&known.pin) {
            self.by_identity.insert(identity, user.clone());
        }
    }

    fn save(&mut self, user: &UserName, changes: &mut Changes) {
        self.index(user);
        if let Some(known) = self.known.get(user) {
            changes.put(format!("{RECORD}{user}"), SecretVec::new(encode(known)));
        }
    }
}

impl Client {
    /// What is known of a user.
    pub fn contact(&self, user: &UserName) -> Option<Contact> {
        let pin = self.contacts.pin(user)?;
        Some(Contact {
            trust: pin.trust(),
            epoch: pin.epoch(),
            devices: pin.identities().to_vec(),
            kept_aside: pin.kept_aside().map(|(list, hash)| KeptAside { devices: list.identities.clone(), hash }),
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
        let known = self.contacts.known.get(user).filter(|_| *user != self.config.user);
        let known = known.ok_or(ApiMisuse::UnknownUser)?;
        known.pin.check_send()?;
        let own = self.account.list().ok_or(ApiMisuse::NotLoggedIn)?;
        if known.view == Some([known.pin.hash(), own.hash()]) {
            return Ok(safety_number((&self.config.user, own.identities()), (user, known.pin.identities())));
        }
        if self.relay().is_ok() {
            self.contacts.lookups.begin(user);
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

    /// Accepts a user's changed keys (I9): they count as seen from now on, and what waited is sent to them. `hash` names
    /// the list that the host was shown ([`Contact::kept_aside`]). For this client's own user too, whose other devices
    /// began anew.
    ///
    /// Fails with `NotFound` when that is not, or no longer, the list kept aside.
    pub fn accept_keys(&mut self, user: &UserName, hash: &[u8; 32], now: u64) -> Result<(), Error> {
        self.advance(now);
        if *user == self.config.user {
            self.accept_own_lists(hash)?;
        } else {
            self.update_pin(user, |pin| pin.accept(hash).map_err(Error::from))?;
            self.outbox.reconsider(Some(user));
        }
        self.settle();
        Ok(())
    }

    /// Checks a bundle against the pin (I4, I7) and tells what is remarkable about it. `with` is the session that it came with.
    pub(super) fn bundle_came(
        &mut self,
        user: &UserName,
        bundle: &SignedBundle,
        with: Option<SessionId>,
    ) -> Result<(), Error> {
        let known = self.contacts.known.get_mut(user).ok_or(PeerMisbehaved::NotInDeviceList)?;
        let change = known.pin.update_bundle(bundle)?;
        if change.newer {
            self.contacts.save(user, &mut self.changes);
        }
        let device = bundle.identity();
        if change.restored {
            // It may not know the sessions that there were.
            self.sessions.peer_restored(&device, with);
            self.outbox.unseal(&device, &mut self.changes);
            self.spend_keys_of(&device);
            if *user != self.config.user {
                self.tell(Event::PeerRestored { user: user.clone(), device });
            }
        }
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
        if let Some(user) = bundle.user() {
            self.outbox.wake(user);
        }
        Ok(())
    }

    /// One list, from a relay, a peer or a message, is checked against what is known and taken when it follows.
    pub(super) fn list_offered(&mut self, user: &UserName, list: &SignedDeviceList) -> Result<(), Error> {
        if *user == self.config.user {
            return self.own_list_offered(list);
        }
        if self.contacts.pin(user).is_none() {
            if list.epoch() == 0 {
                let mut whole = OfferedLists::new(false);
                whole.push(list.clone())?;
                return self.lists_offered(user, whole);
            }
            self.contacts.lookups.begin(user);
            return Ok(());
        }
        let change = self.update_pin(user, |pin| Ok(pin.update_list(list)?))?;
        self.list_changed(user, change);
        Ok(())
    }

    /// A whole chain of lists, from epoch 0 on, is checked against what is known.
    pub(super) fn lists_offered(&mut self, user: &UserName, offered: OfferedLists) -> Result<(), Error> {
        let (chain, lists) = offered.finish()?;
        if *user == self.config.user {
            return self.own_lists_offered(lists, &chain);
        }
        if self.contacts.pin(user).is_none() {
            self.pin_user(user, &chain)?;
            self.outbox.reconsider(Some(user));
            return Ok(());
        }
        let change = self.update_pin(user, |pin| Ok(pin.update_chain(&chain)?))?;
        self.list_changed(user, change);
        Ok(())
    }

    /// Changes a user's pin. Sessions with devices that it then names in no list end (I6).
    pub(super) fn update_pin<T>(
        &mut self,
        user: &UserName,
        update: impl FnOnce(&mut Pin) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let pin = &mut self.contacts.known.get_mut(user).ok_or(ApiMisuse::UnknownUser)?.pin;
        let before = pin.clone();
        let outcome = update(pin)?;
        if *pin == before {
            return Ok(outcome);
        }
        let mut gone = devices_of(&before);
        gone.retain(|device| pin.listing(device) == Listing::Unlisted);
        self.contacts.save(user, &mut self.changes);
        self.end_devices(&gone);
        Ok(outcome)
    }

    /// Keeps what is known of a user from now on.
    pub(super) fn pin_user(&mut self, user: &UserName, chain: &ListChain) -> Result<(), Error> {
        if self.contacts.known.len() >= self.config.limits.contacts {
            return Err(ApiMisuse::Busy.into());
        }
        let known = Known { pin: Pin::new(user, chain)?, view: None, told: None };
        self.contacts.known.insert(user.clone(), Box::new(known));
        self.contacts.save(user, &mut self.changes);
        self.devices_became_known(user);
        Ok(())
    }

    fn list_changed(&mut self, user: &UserName, change: ListChange) {
        match change {
            ListChange::Same => return,
            ListChange::Gap { .. } => return self.contacts.lookups.begin(user),
            ListChange::Followed { added, removed } => {
                self.tell(Event::DevicesChanged { user: user.clone(), added, removed });
            }
            ListChange::Violation { .. } => self.tell(Event::KeysChanged { user: user.clone() }),
        }
        self.outbox.reconsider(Some(user));
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
        let known = self.contacts.known.get_mut(user).filter(|_| *user != self.config.user);
        let Some(known) = known else { return Ok(()) };
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

/// Lists that are offered as a user's whole chain, each checked against the one before as it comes (I6).
#[derive(Debug)]
pub(super) struct OfferedLists {
    chain: Option<Box<ListChain>>,
    /// Whether the lists themselves are wanted, and not only what they come to.
    keep: bool,
    lists: Vec<SignedDeviceList>,
}

impl OfferedLists {
    pub(super) fn new(keep: bool) -> Self {
        Self { chain: None, keep, lists: Vec::new() }
    }

    /// The next list: that of epoch 0, or one that follows.
    pub(super) fn push(&mut self, list: SignedDeviceList) -> Result<(), PeerMisbehaved> {
        match &mut self.chain {
            None => self.chain = Some(Box::new(ListChain::start(list.clone())?)),
            Some(chain) => chain.extend(list.clone())?,
        }
        if self.keep {
            self.lists.push(list);
        }
        Ok(())
    }

    /// The epoch that comes next.
    pub(super) fn next(&self) -> u64 {
        self.chain.as_ref().map_or(0, |chain| chain.head().epoch().saturating_add(1))
    }

    /// The chain and, where they are kept, its lists. Fails with `DeviceList` when there is none.
    pub(super) fn finish(self) -> Result<(ListChain, Vec<SignedDeviceList>), PeerMisbehaved> {
        Ok((*self.chain.ok_or(PeerMisbehaved::DeviceList)?, self.lists))
    }
}

/// The devices that a pin names, in its list or in the one kept aside.
fn devices_of(pin: &Pin) -> Vec<Identity> {
    let aside = pin.kept_aside().map_or(&[][..], |(list, _)| &list.identities);
    pin.identities().iter().chain(aside).copied().collect()
}
