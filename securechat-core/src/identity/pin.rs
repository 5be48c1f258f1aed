//! Pins: what is remembered of a user's devices, and how far it is trusted (I4, I7, I9).

use crate::error::{ApiMisuse, PeerMisbehaved};
use crate::identity::{
    BundleChange, DeviceList, Identity, ListChain, SeenBundle, SignedBundle, SignedDeviceList, UserName,
};
use crate::limits::ACCEPTED_ROOTS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How far the keys of a user are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// As first seen, or accepted by the host after a change.
    Seen,
    /// The host has compared the safety number.
    Verified,
    /// Other keys are claimed to be the user's; nothing is sent until the host accepts them.
    Violation,
}

/// What an offered list means for a pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListChange {
    /// Nothing new: the pinned list, or the one kept aside already.
    Same,
    /// The pinned list was replaced by one that follows it. The mark stays.
    Followed {
        /// Devices that are new.
        added: Vec<Identity>,
        /// Devices that are revoked.
        removed: Vec<Identity>,
    },
    /// The list was kept aside; the mark is now [`Trust::Violation`].
    Violation {
        /// It is of the pinned chain, which thereby has two lists of one epoch; otherwise of a new chain.
        fork: bool,
    },
    /// It cannot be judged alone, and nothing has changed: fetch the lists of the epochs `from` to `to`.
    /// From 0 they go into a [`ListChain`] and [`Pin::update_chain`], otherwise one by one into [`Pin::update_list`].
    Gap {
        /// First epoch to fetch.
        from: u64,
        /// Epoch of the list that was offered.
        to: u64,
    },
}

/// Where a device stands in a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// In the pinned list.
    Current,
    /// Only in the list that is kept aside: what comes from it is marked, nothing goes to it.
    KeptAside,
    /// In neither: nothing from it counts.
    Unlisted,
}

/// A checked list: its contents, its hash and the hash of the epoch 0 that it follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    list: DeviceList,
    hash: [u8; 32],
    root: [u8; 32],
}

impl Known {
    fn new(signed: &SignedDeviceList, root: [u8; 32]) -> Self {
        Self { list: signed.list().clone(), hash: signed.hash(), root }
    }

    fn is_followed_by(&self, next: &SignedDeviceList) -> bool {
        self.list.epoch.checked_add(1) == Some(next.epoch()) && next.list().previous == self.hash
    }
}

/// What is remembered of a user. A state record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    current: Known,
    trust: Trust,
    aside: Option<Known>,
    /// Hashes of every epoch 0 that was accepted, the current one's among them.
    roots: BTreeSet<[u8; 32]>,
    /// The newest bundle seen of each listed device.
    devices: Vec<SeenBundle>,
}

impl Pin {
    /// Pins a user at first sight, from the whole chain of lists: [`Trust::Seen`].
    ///
    /// Fails with [`PeerMisbehaved::WrongUser`] when they are not the lists of `user`, the one asked for (I7).
    pub fn new(user: &UserName, chain: &ListChain) -> Result<Self, PeerMisbehaved> {
        if chain.head().user() != user {
            return Err(PeerMisbehaved::WrongUser);
        }
        let current = Known::new(chain.head(), chain.root());
        Ok(Self {
            current,
            trust: Trust::Seen,
            aside: None,
            roots: BTreeSet::from([chain.root()]),
            devices: Vec::new(),
        })
    }

    /// Whose pin it is.
    pub fn user(&self) -> &UserName {
        &self.current.list.user
    }

    /// The mark.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Fails with [`ApiMisuse::Violation`] while nothing may be sent to this user.
    pub fn check_send(&self) -> Result<(), ApiMisuse> {
        if self.trust == Trust::Violation { Err(ApiMisuse::Violation) } else { Ok(()) }
    }

    /// The pinned list.
    pub fn list(&self) -> &DeviceList {
        &self.current.list
    }

    /// The hash of the pinned list.
    pub fn hash(&self) -> [u8; 32] {
        self.current.hash
    }

    /// The epoch of the pinned list.
    pub fn epoch(&self) -> u64 {
        self.current.list.epoch
    }

    /// The devices of the pinned list: those that are sent to, unless there is a violation.
    pub fn identities(&self) -> &[Identity] {
        &self.current.list.identities
    }

    /// Whether this device is in the pinned list.
    pub fn contains(&self, identity: &Identity) -> bool {
        self.current.list.contains(identity)
    }

    /// The list that is kept aside, with its hash: what the host decides on in a violation.
    pub fn kept_aside(&self) -> Option<(&DeviceList, [u8; 32])> {
        self.aside.as_ref().map(|known| (&known.list, known.hash))
    }

    /// Whether the list of epoch 0 with this hash was ever accepted: only the one that the pinned list follows from is
    /// accepted still.
    pub fn has_accepted(&self, root: &[u8; 32]) -> bool {
        self.roots.contains(root)
    }

    /// Where a device stands.
    pub fn listing(&self, identity: &Identity) -> Listing {
        if self.contains(identity) {
            Listing::Current
        } else if self.aside.as_ref().is_some_and(|known| known.list.contains(identity)) {
            Listing::KeptAside
        } else {
            Listing::Unlisted
        }
    }

    /// Takes a list that is said to be the user's current one. A failure changes nothing.
    ///
    /// Fails with [`PeerMisbehaved::WrongUser`]; with [`PeerMisbehaved::DeviceList`] when it claims a place that the
    /// rules do not give it; with [`PeerMisbehaved::DeviceListRollback`] for an epoch 0 accepted before.
    pub fn update_list(&mut self, offered: &SignedDeviceList) -> Result<ListChange, PeerMisbehaved> {
        self.check_user(offered)?;
        if self.knows(offered) {
            return Ok(ListChange::Same);
        }
        if self.current.is_followed_by(offered) {
            offered.follows(&self.current.list, &self.current.hash)?;
            return Ok(self.advance(offered));
        }
        if let Some(aside) = self.aside.as_ref().filter(|aside| aside.is_followed_by(offered)) {
            offered.follows(&aside.list, &aside.hash)?;
            let root = aside.root;
            return Ok(self.keep_aside(offered, root));
        }
        match offered.epoch() {
            0 if self.roots.contains(&offered.hash()) => Err(PeerMisbehaved::DeviceListRollback),
            0 => {
                offered.verify_first()?;
                Ok(self.keep_aside(offered, offered.hash()))
            }
            to => {
                let next = self.epoch().saturating_add(1);
                Ok(ListChange::Gap { from: if to > next { next } else { 0 }, to })
            }
        }
    }

    /// Takes the whole chain of a list that [`update_list`](Self::update_list) could not judge. Never gives a `Gap`.
    ///
    /// Fails with [`PeerMisbehaved::WrongUser`], or with [`PeerMisbehaved::DeviceListRollback`] when the chain ends
    /// before the pinned list or begins with an epoch 0 that another accepted one has replaced.
    pub fn update_chain(&mut self, chain: &ListChain) -> Result<ListChange, PeerMisbehaved> {
        let head = chain.head();
        self.check_user(head)?;
        if self.knows(head) {
            return Ok(ListChange::Same);
        }
        if chain.hash_at(self.epoch()) == Some(self.current.hash) {
            return Ok(self.advance(head));
        }
        let stale = if chain.root() == self.current.root {
            head.epoch() < self.epoch()
        } else {
            self.roots.contains(&chain.root())
        };
        if stale { Err(PeerMisbehaved::DeviceListRollback) } else { Ok(self.keep_aside(head, chain.root())) }
    }

    /// Takes a bundle that is said to be a device's current one (fetched, or from a link). A failure changes nothing.
    ///
    /// Fails with [`PeerMisbehaved::WrongUser`], [`PeerMisbehaved::NotInDeviceList`] (I7), or like
    /// [`SeenBundle::update`] (I4). Its validity in time is looked at elsewhere.
    pub fn update_bundle(&mut self, bundle: &SignedBundle) -> Result<BundleChange, PeerMisbehaved> {
        self.check_bundle(bundle)?;
        match self.devices.iter_mut().find(|seen| seen.identity() == bundle.identity()) {
            Some(seen) => seen.update(bundle),
            None => {
                self.devices.push(SeenBundle::new(bundle));
                Ok(BundleChange { newer: true, ..BundleChange::default() })
            }
        }
    }

    /// Checks the bundle in a first message, which may have waited while newer ones came
    /// ([`SeenBundle::check_delayed`]), and says where its device stands. Fails like
    /// [`update_bundle`](Self::update_bundle).
    pub fn check_delayed(&self, bundle: &SignedBundle) -> Result<Listing, PeerMisbehaved> {
        self.check_bundle(bundle)?;
        if let Some(seen) = self.devices.iter().find(|seen| seen.identity() == bundle.identity()) {
            seen.check_delayed(bundle)?;
        }
        Ok(self.listing(&bundle.identity()))
    }

    /// The host has compared the safety number of the pinned list. Fails with [`ApiMisuse::Violation`] in a violation.
    pub fn verify(&mut self) -> Result<(), ApiMisuse> {
        self.check_send()?;
        self.trust = Trust::Verified;
        Ok(())
    }

    /// The host accepts the list that is kept aside, which it names by its hash, as [`Trust::Seen`].
    ///
    /// Fails with [`ApiMisuse::NotFound`] when that is not the list kept aside (any more), and with
    /// [`ApiMisuse::TooLarge`] after 256 first lists of one user.
    pub fn accept(&mut self, hash: &[u8; 32]) -> Result<(), ApiMisuse> {
        let accepted = self.aside.take_if(|known| known.hash == *hash).ok_or(ApiMisuse::NotFound)?;
        if !self.roots.contains(&accepted.root) && self.roots.len() >= ACCEPTED_ROOTS {
            self.aside = Some(accepted);
            return Err(ApiMisuse::TooLarge);
        }
        self.roots.insert(accepted.root);
        self.current = accepted;
        self.trust = Trust::Seen;
        self.forget_unlisted();
        Ok(())
    }

    fn check_user(&self, offered: &SignedDeviceList) -> Result<(), PeerMisbehaved> {
        if offered.user() == self.user() { Ok(()) } else { Err(PeerMisbehaved::WrongUser) }
    }

    fn check_bundle(&self, bundle: &SignedBundle) -> Result<(), PeerMisbehaved> {
        if bundle.user() != Some(self.user()) {
            return Err(PeerMisbehaved::WrongUser);
        }
        match self.listing(&bundle.identity()) {
            Listing::Current | Listing::KeptAside => Ok(()),
            Listing::Unlisted => Err(PeerMisbehaved::NotInDeviceList),
        }
    }

    fn knows(&self, offered: &SignedDeviceList) -> bool {
        let aside = self.aside.as_ref().map(|known| known.hash);
        offered.hash() == self.current.hash || Some(offered.hash()) == aside
    }

    fn advance(&mut self, next: &SignedDeviceList) -> ListChange {
        let before = core::mem::replace(&mut self.current.list, next.list().clone());
        self.current.hash = next.hash();
        self.forget_unlisted();
        ListChange::Followed { added: before.lacks(next.list()), removed: next.list().lacks(&before) }
    }

    fn keep_aside(&mut self, offered: &SignedDeviceList, root: [u8; 32]) -> ListChange {
        self.aside = Some(Known::new(offered, root));
        self.trust = Trust::Violation;
        self.forget_unlisted();
        ListChange::Violation { fork: root == self.current.root }
    }

    /// Bundles are remembered of listed devices only, which bounds them.
    fn forget_unlisted(&mut self) {
        let mut devices = core::mem::take(&mut self.devices);
        devices.retain(|seen| self.listing(&seen.identity()) != Listing::Unlisted);
        self.devices = devices;
    }
}
