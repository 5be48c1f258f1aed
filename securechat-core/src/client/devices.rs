//! The devices of this client's own user (I6 to I8).

use super::Client;
use super::links::{Asked, Side};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{Event, RequestKind};
use crate::identity::{Identity, ListChain, SignedDeviceList};
use crate::wire::{self, Bytes, Refusal, Request};

impl Client {
    /// Adds a device that asked for it (`DeviceProposed`): compare its fingerprint with what it shows first.
    ///
    /// Fails with `NotFound` when that device has not asked.
    pub fn approve_device(&mut self, device: &Identity, now: u64) -> Result<(), Error> {
        self.advance(now);
        let proposal = self.account.proposal.as_ref().ok_or(ApiMisuse::NotFound)?;
        let current = self.account.list().ok_or(ApiMisuse::NotLoggedIn)?;
        if proposal.check_proposal(current)? != *device {
            return Err(ApiMisuse::NotFound.into());
        }
        let next = proposal.countersign(current, &self.local.keys.identity)?;
        self.publish_list(next)
    }

    /// Removes a device of this user: nobody sends to it any more, and what it knows ends here.
    pub fn revoke_device(&mut self, device: &Identity, now: u64) -> Result<(), Error> {
        self.advance(now);
        let current = self.account.list().ok_or(ApiMisuse::NotLoggedIn)?;
        let next = current.without(&[*device], &self.local.keys.identity)?;
        self.publish_list(next)
    }

    /// Begins the user's device list anew with this device alone, for who has lost all others. Contacts see it as a
    /// violation and have to accept it.
    pub fn start_over(&mut self, now: u64) -> Result<(), Error> {
        self.advance(now);
        let first = SignedDeviceList::create(self.config.user.clone(), &self.local.keys.identity)?;
        self.publish_list(first)
    }

    /// This user's devices, as the newest list has them.
    pub fn devices(&self) -> &[Identity] {
        self.account.list().map_or(&[], SignedDeviceList::identities)
    }

    /// A user without a list begins one with this device.
    pub(super) fn ensure_list(&mut self) -> Result<(), Error> {
        if self.account.lists.is_empty() {
            let first = SignedDeviceList::create(self.config.user.clone(), &self.local.keys.identity)?;
            self.lists_offered(&self.config.user.clone(), vec![first])?;
        }
        Ok(())
    }

    /// This user's other devices.
    pub(super) fn other_devices(&self) -> Vec<Identity> {
        let own = self.identity();
        self.devices().iter().copied().filter(|device| *device != own).collect()
    }

    fn publish_list(&mut self, list: SignedDeviceList) -> Result<(), Error> {
        let link = self.relay()?;
        let request = Request::PublishList(wire::PublishList { list: Bytes::from(list.bytes()) });
        self.ask(link, request, Asked::PublishList(Box::new(list)));
        self.settle();
        Ok(())
    }

    pub(super) fn list_published(&mut self, list: SignedDeviceList) -> Result<(), Error> {
        self.account.proposal = None;
        if list.epoch() == 0 { self.take_own_lists(vec![list]) } else { self.own_list_offered(&list) }
    }

    pub(super) fn list_refused(&mut self, refusal: Refusal) {
        // Another device was faster: look at what there is now.
        self.tell_refused(RequestKind::DeviceList, refusal);
        self.look_up_own();
    }

    /// A device asks to be listed. What does not follow the current list by exactly that device is not shown.
    pub(super) fn list_proposed(&mut self, bytes: &[u8]) {
        let Ok(proposal) = SignedDeviceList::decode(bytes) else { return };
        let Some(current) = self.account.list() else { return };
        if let Ok(device) = proposal.check_proposal(current) {
            self.account.proposal = Some(proposal);
            self.tell(Event::DeviceProposed { device });
        } else if proposal.epoch() > current.epoch() {
            self.look_up_own();
        }
    }

    /// The next of one's own lists.
    pub(super) fn own_list_offered(&mut self, list: &SignedDeviceList) -> Result<(), Error> {
        let mut lists = self.account.lists.clone();
        match self.account.list() {
            Some(current) if current.hash() == list.hash() => return Ok(()),
            Some(current) => list.verify_follows(current)?,
            None => list.verify_first()?,
        }
        lists.push(list.clone());
        self.take_own_lists(lists)
    }

    /// The relay's chain of one's own lists. It may go on from what is known here; a chain that does not is taken only
    /// by a device that is not listed in its own, or that began the new one itself.
    pub(super) fn own_lists_offered(&mut self, lists: Vec<SignedDeviceList>, chain: &ListChain) -> Result<(), Error> {
        let follows = match self.account.list() {
            None => true,
            Some(known) => chain.hash_at(known.epoch()) == Some(known.hash()),
        };
        let identity = self.identity();
        if !follows && self.account.registered && chain.head().identities() != [identity] {
            if chain.head().epoch() >= self.account.list().map_or(0, SignedDeviceList::epoch) {
                self.tell(Event::KeysChanged { user: self.config.user.clone() });
            }
            return Err(PeerMisbehaved::DeviceListFork.into());
        }
        self.take_own_lists(lists)
    }

    fn take_own_lists(&mut self, lists: Vec<SignedDeviceList>) -> Result<(), Error> {
        let before = self.devices().to_vec();
        self.account.set_lists(lists, &mut self.changes);
        let after = self.devices().to_vec();
        let own = self.identity();
        let removed: Vec<Identity> = before.iter().copied().filter(|device| !after.contains(device)).collect();
        let added: Vec<Identity> = after.iter().copied().filter(|device| !before.contains(device)).collect();
        self.pin_own()?;
        self.end_devices(&removed);
        if removed.contains(&own) {
            self.set_listed(false);
            self.account.registered = false;
            self.save_account();
            self.tell(Event::DeviceRevoked);
        } else if after.contains(&own) && self.relay().is_ok() && !self.is_listed() {
            self.set_listed(true);
            self.account.registered = true;
            self.save_account();
            self.tell(Event::LoggedIn { listed: true });
        }
        let changed = !added.is_empty() || !removed.is_empty();
        if changed && !before.is_empty() {
            self.tell(Event::DevicesChanged { user: self.config.user.clone(), added, removed });
        }
        Ok(())
    }

    fn set_listed(&mut self, now_listed: bool) {
        for connection in self.links.values_mut() {
            if let Side::Relay { listed, .. } = &mut connection.side {
                *listed = now_listed;
            }
        }
    }

    /// A device that is logged in but not listed asks for it, once it knows the current list.
    pub(super) fn propose_self(&mut self) -> Result<(), Error> {
        let Ok(link) = self.relay() else { return Ok(()) };
        let Some(current) = self.account.list() else { return Ok(()) };
        if current.contains(&self.identity()) {
            return Ok(());
        }
        let proposal = current.propose_add(&self.local.keys.identity)?;
        let request = Request::ProposeList(wire::ProposeList { list: Bytes::from(proposal.bytes()) });
        self.ask(link, request, Asked::Propose);
        Ok(())
    }
}
