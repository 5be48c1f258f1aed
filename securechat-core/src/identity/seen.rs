//! What is remembered of the newest bundle of an identity, so that an older or another one is noticed (I4, S1).

use crate::crypto::x25519;
use crate::error::PeerMisbehaved;
use crate::identity::{Identity, PrekeyPublic, SignedBundle};
use crate::limits::PREKEY_IDS_AFTER_RESTORE;
use serde::{Deserialize, Serialize};

/// The newest bundle seen of one identity: its serial, a hash of its body, its suites and its static keys.
///
/// A state record. Clients keep one for each device of a pin and one for their relay; a relay for each device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenBundle {
    identity: Identity,
    serial: u64,
    body: [u8; 32],
    suites: Vec<u16>,
    x25519: x25519::PublicKey,
    /// SHA-256 of the RSA key's DER, once one was seen.
    rsa: Option<[u8; 32]>,
    /// The highest id of its last-resort prekeys.
    prekey: u32,
}

/// What a bundle changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleChange {
    /// It is newer than the one seen before, or the first.
    pub newer: bool,
    /// Suites that the one before listed and this one does not: an event (S1). Ids, those unknown here included.
    pub dropped: Vec<u16>,
    /// Its prekeys' ids are as far above those before as only a restore puts them: the device goes on from an older copy of
    /// its state (S10).
    pub restored: bool,
}

impl SeenBundle {
    /// Remembers the first bundle of an identity.
    pub fn new(bundle: &SignedBundle) -> Self {
        Self {
            identity: bundle.identity(),
            serial: bundle.serial(),
            body: bundle.body_hash(),
            suites: bundle.bundle().suites.clone(),
            x25519: *bundle.static_x25519(),
            rsa: bundle.static_rsa().map(|key| key.id()),
            prekey: bundle.bundle().prekeys.iter().map(PrekeyPublic::id).max().unwrap_or_default(),
        }
    }

    /// Whose bundle it was.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The highest serial seen.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Compares with a bundle that is said to be current, and remembers it when it is newer. A failure changes nothing.
    ///
    /// Fails with [`PeerMisbehaved::BundleRollback`] for a lower serial, or an equal one with another body,
    /// [`PeerMisbehaved::StaticKeyMismatch`] for other static keys, [`PeerMisbehaved::IdentityMismatch`].
    pub fn update(&mut self, bundle: &SignedBundle) -> Result<BundleChange, PeerMisbehaved> {
        self.check_delayed(bundle)?;
        if bundle.serial() < self.serial {
            return Err(PeerMisbehaved::BundleRollback);
        }
        if bundle.serial() == self.serial {
            return Ok(BundleChange::default());
        }
        let rsa = self.rsa;
        let before = core::mem::replace(self, Self::new(bundle));
        self.rsa = self.rsa.or(rsa);
        let dropped = before.suites.into_iter().filter(|suite| !self.suites.contains(suite)).collect();
        let restored = before.prekey > 0 && self.prekey.saturating_sub(before.prekey) >= PREKEY_IDS_AFTER_RESTORE;
        Ok(BundleChange { newer: true, dropped, restored })
    }

    /// Compares with the bundle in a first message, which may have waited at the relay while newer ones came:
    /// a lower serial is allowed, everything else fails as in [`update`](Self::update), and nothing is remembered.
    pub fn check_delayed(&self, bundle: &SignedBundle) -> Result<(), PeerMisbehaved> {
        if bundle.identity() != self.identity {
            return Err(PeerMisbehaved::IdentityMismatch);
        }
        if bundle.serial() == self.serial && bundle.body_hash() != self.body {
            return Err(PeerMisbehaved::BundleRollback);
        }
        let other_rsa = match (self.rsa, bundle.static_rsa()) {
            (Some(seen), Some(key)) => seen != key.id(),
            _ => false,
        };
        if other_rsa || *bundle.static_x25519() != self.x25519 {
            return Err(PeerMisbehaved::StaticKeyMismatch);
        }
        Ok(())
    }
}
