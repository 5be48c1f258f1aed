//! Chains of device lists, checked link by link (I6).

use crate::error::PeerMisbehaved;
use crate::identity::SignedDeviceList;

/// Lists of a user from epoch 0 on, each checked against the one before.
///
/// What a first contact fetches, and whoever is offered a list that does not follow the one they have.
#[derive(Clone, Debug)]
pub struct ListChain {
    hashes: Vec<[u8; 32]>,
    head: SignedDeviceList,
}

impl ListChain {
    /// Begins with a list of epoch 0.
    pub fn start(first: SignedDeviceList) -> Result<Self, PeerMisbehaved> {
        first.verify_first()?;
        Ok(Self { hashes: vec![first.hash()], head: first })
    }

    /// Goes on with the next list. A failure changes nothing. An epoch is below 4,096, so the chain is bounded.
    pub fn extend(&mut self, next: SignedDeviceList) -> Result<(), PeerMisbehaved> {
        next.verify_follows(&self.head)?;
        self.hashes.push(next.hash());
        self.head = next;
        Ok(())
    }

    /// The newest list.
    pub fn head(&self) -> &SignedDeviceList {
        &self.head
    }

    /// The hash of the list of epoch 0, which names the chain.
    pub fn root(&self) -> [u8; 32] {
        self.hash_at(0).unwrap_or_default()
    }

    /// The hash of the list of an epoch.
    pub fn hash_at(&self, epoch: u64) -> Option<[u8; 32]> {
        self.hashes.get(usize::try_from(epoch).ok()?).copied()
    }
}
