//! The devices of this client's own user (I6 to I8).

use super::Client;
use super::contacts::OfferedLists;
use super::links::{Asked, Side};
use crate::error::{ApiMisuse, Error};
use crate::event::{Event, LinkId, RequestKind};
use crate::identity::{Identity, ListChain, ListChange, SignedDeviceList};
use crate::wire::{self, Bytes, Refusal, Request};

/// How long after a refused list the next refusal is only told, in milliseconds.
const PROPOSAL_REST: u64 = 60_000;

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
    ///
    /// Fails with `WrongState` on a device that is listed, which revokes the others instead, and on one whose own first
    /// list was replaced before: that one contacts never take again (I9).
    pub fn start_over(&mut self, now: u64) -> Result<(), Error> {
        self.advance(now);
        let first = SignedDeviceList::create(self.config.user.clone(), &self.local.keys.identity)?;
        let pin = self.contacts.pin(&self.config.user);
        let replaced = pin.is_some_and(|pin| pin.hash() != first.hash() && pin.has_accepted(&first.hash()));
        if replaced || self.devices().contains(&self.identity()) {
            return Err(ApiMisuse::WrongState.into());
        }
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
            self.own_list_offered(&first)?;
        }
        Ok(())
    }

    /// This user's other devices.
    pub(super) fn other_devices(&self) -> Vec<Identity> {
        let own = self.identity();
        self.devices().iter().copied().filter(|device| *device != own).collect()
    }

    /// I8: of one epoch a second list is signed only when the first was refused, or it would be a fork.
    fn publish_list(&mut self, list: SignedDeviceList) -> Result<(), Error> {
        let link = self.relay()?;
        if self.account.pending.as_ref().is_some_and(|pending| *pending != list && pending.epoch() == list.epoch()) {
            return Err(ApiMisuse::Busy.into());
        }
        self.account.pending = Some(list);
        self.save_account();
        self.publish_pending(link);
        self.settle();
        Ok(())
    }

    /// Asks the relay to take the list that was signed here and has not been answered.
    pub(super) fn publish_pending(&mut self, link: LinkId) {
        if let Some(list) = &self.account.pending {
            let (list, bytes) = (Box::new(list.clone()), Bytes::from(list.bytes()));
            let request = Request::PublishList(wire::PublishList { list: bytes });
            self.ask(link, request, Asked::PublishList(list));
        }
    }

    pub(super) fn list_published(&mut self, list: &SignedDeviceList) -> Result<(), Error> {
        self.account.proposal = None;
        self.own_list_offered(list)
    }

    pub(super) fn list_refused(&mut self, refusal: Refusal) {
        // Another device was faster: look at what there is now.
        self.account.pending = None;
        self.save_account();
        self.proposal_refused(refusal);
    }

    /// What there is now is looked at, and proposed to again; but a relay that refuses everything is not asked without end.
    pub(super) fn proposal_refused(&mut self, refusal: Refusal) {
        self.tell_refused(RequestKind::DeviceList, refusal);
        if self.now >= self.account.proposal_rest {
            self.account.proposal_rest = self.now.saturating_add(PROPOSAL_REST);
            self.look_up_own();
        }
    }

    /// A device asks to be listed. What does not follow the current list by exactly that device is not shown.
    pub(super) fn list_proposed(&mut self, bytes: &[u8]) {
        let Ok(proposal) = SignedDeviceList::decode(bytes) else { return };
        let Some(current) = self.account.list() else { return };
        if self.account.proposal.as_ref() == Some(&proposal) {
            return;
        }
        if let Ok(device) = proposal.check_proposal(current) {
            self.account.proposal = Some(proposal);
            self.tell(Event::DeviceProposed { device });
        } else if proposal.epoch() > current.epoch() {
            self.look_up_own();
        }
    }

    /// The next of one's own lists, or the first of a chain. Anything else is looked at with its chain.
    pub(super) fn own_list_offered(&mut self, list: &SignedDeviceList) -> Result<(), Error> {
        let user = self.config.user.clone();
        if self.contacts.pin(&user).is_none() || list.epoch() == 0 {
            let mut whole = OfferedLists::new(true);
            whole.push(list.clone())?;
            return self.lists_offered(&user, whole);
        }
        match self.account.list() {
            Some(current) if current.hash() == list.hash() => Ok(()),
            Some(current) if list.verify_follows(current).is_ok() => {
                let mut lists = self.account.lists.clone();
                lists.push(list.clone());
                self.update_pin(&user, |pin| Ok(pin.update_list(list)?))?;
                self.own_lists_taken(lists);
                Ok(())
            }
            _ => {
                self.look_up_own();
                Ok(())
            }
        }
    }

    /// A whole chain of one's own lists. One's own user is pinned like any other, and other keys have to be accepted
    /// like any other's: who adds a device here reads a copy of everything that is sent. Two chains need no asking: the
    /// one that only this device can have begun, and the first that a device meets whose own was never shown to anybody.
    pub(super) fn own_lists_offered(&mut self, lists: Vec<SignedDeviceList>, chain: &ListChain) -> Result<(), Error> {
        let user = self.config.user.clone();
        if !self.account.established && self.devices() == [self.identity()] {
            self.contacts.forget(&user, &mut self.changes);
        }
        if self.contacts.pin(&user).is_none() {
            self.pin_user(&user, chain)?;
            self.own_lists_taken(lists);
            return Ok(());
        }
        let change = self.update_pin(&user, |pin| Ok(pin.update_chain(chain)?))?;
        let head = chain.head();
        if let ListChange::Violation { .. } = change {
            if head.identities() != [self.identity()] {
                self.tell(Event::KeysChanged { user });
                return Ok(());
            }
            self.update_pin(&user, |pin| Ok(pin.accept(&head.hash())?))?;
        }
        let counts = self.contacts.pin(&user).is_some_and(|pin| pin.hash() == head.hash());
        if counts && self.account.list() != Some(head) {
            self.own_lists_taken(lists);
        }
        Ok(())
    }

    /// The application accepts that its user's other devices began anew: their lists are fetched again, and taken.
    pub(super) fn accept_own_lists(&mut self, hash: &[u8; 32]) -> Result<(), Error> {
        let user = self.config.user.clone();
        self.update_pin(&user, |pin| Ok(pin.accept(hash)?))?;
        self.look_up_own();
        Ok(())
    }

    /// One's own lists have changed; the pin agrees already.
    fn own_lists_taken(&mut self, lists: Vec<SignedDeviceList>) {
        let before = self.devices().to_vec();
        self.account.set_lists(lists, &mut self.changes);
        let after = self.devices().to_vec();
        let own = self.identity();
        let removed: Vec<Identity> = before.iter().copied().filter(|device| !after.contains(device)).collect();
        let added: Vec<Identity> = after.iter().copied().filter(|device| !before.contains(device)).collect();
        let epoch = self.account.list().map_or(0, SignedDeviceList::epoch);
        self.account.pending.take_if(|pending| pending.epoch() <= epoch);
        self.end_devices(&removed);
        if removed.contains(&own) {
            self.set_listed(false);
            self.account.registered = false;
            self.tell(Event::DeviceRevoked);
        } else if after.contains(&own) && self.relay().is_ok() && !self.is_listed() {
            self.set_listed(true);
            (self.account.registered, self.account.established) = (true, true);
            self.ask_for_groups(crate::roster::GroupId::NONE);
            self.tell(Event::LoggedIn { listed: true });
        }
        self.save_account();
        let changed = !added.is_empty() || !removed.is_empty();
        if changed && !before.is_empty() {
            self.outbox.reconsider(None);
            self.tell(Event::DevicesChanged { user: self.config.user.clone(), added, removed });
        }
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
