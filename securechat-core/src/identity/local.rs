//! One's own device: its private keys and its present bundle.

use crate::error::{ApiMisuse, Error};
use crate::identity::{
    BUNDLE_VERSION, Bundle, DeviceKeys, PrekeyKind, PrekeyPublic, SignedBundle, StaticKeys, UserName,
};
use crate::limits::BUNDLE_LIFE;
use crate::suite::{KeyExchange, Policy};
use serde::{Deserialize, Serialize};

/// The private keys of a device with the bundle that others see of them. A state record.
#[derive(Debug, Serialize, Deserialize)]
pub struct LocalIdentity {
    /// The private keys.
    pub keys: DeviceKeys,
    /// The bundle, signed by them.
    pub bundle: SignedBundle,
}

impl LocalIdentity {
    /// The first bundle of `keys`: serial 1, valid from `now` for 90 days, with the policy's suites.
    ///
    /// `user` is none for a relay or a bare link, which have no prekeys either. Fails with [`ApiMisuse::MissingKey`]
    /// when the policy names an RSA-wrapped suite and there is no RSA key, and when prekeys are given but not one of
    /// the kind of each suite.
    pub fn new(
        keys: DeviceKeys,
        user: Option<UserName>,
        device: u32,
        policy: &Policy,
        prekeys: Vec<PrekeyPublic>,
        now: u64,
    ) -> Result<Self, Error> {
        let bundle = make(&keys, user, device, 1, policy, prekeys, now)?;
        Ok(Self { keys, bundle })
    }

    /// Replaces the bundle by the next one: serial + 1, but above `floor`; valid from `now` for 90 days; with these
    /// suites and prekeys. Identity, user, device and static keys stay. Fails like [`new`](Self::new).
    ///
    /// `floor` is 0, or after a restore the highest serial that the relay returns (S10).
    pub fn renew(&mut self, policy: &Policy, prekeys: Vec<PrekeyPublic>, floor: u64, now: u64) -> Result<(), Error> {
        let present = self.bundle.bundle();
        let serial = present.serial.max(floor).checked_add(1).ok_or(ApiMisuse::TooLarge)?;
        self.bundle = make(&self.keys, present.user.clone(), present.device, serial, policy, prekeys, now)?;
        Ok(())
    }

    /// When to renew at the latest: after half of the bundle's life, Unix milliseconds.
    pub fn renew_at(&self) -> u64 {
        let bundle = self.bundle.bundle();
        bundle.not_before.midpoint(bundle.not_after)
    }
}

fn make(
    keys: &DeviceKeys,
    user: Option<UserName>,
    device: u32,
    serial: u64,
    policy: &Policy,
    mut prekeys: Vec<PrekeyPublic>,
    now: u64,
) -> Result<SignedBundle, Error> {
    let suites = policy.suites();
    let needs_rsa = suites.iter().any(|suite| suite.key_exchange == KeyExchange::Rsa);
    let rsa = if needs_rsa { Some(keys.rsa.as_ref().ok_or(ApiMisuse::MissingKey)?.public().clone()) } else { None };
    prekeys.sort_by_key(PrekeyPublic::kind);
    let has_kind = |kind| prekeys.iter().any(|prekey| prekey.kind() == kind);
    if !prekeys.is_empty() && !suites.iter().all(|suite| has_kind(PrekeyKind::for_suite(*suite))) {
        return Err(ApiMisuse::MissingKey.into());
    }
    let bundle = Bundle {
        version: BUNDLE_VERSION,
        identity: keys.identity(),
        user,
        device,
        serial,
        not_before: now,
        not_after: now.saturating_add(BUNDLE_LIFE),
        suites: suites.iter().map(|suite| suite.id()).collect(),
        statics: StaticKeys { x25519: keys.x25519.public(), rsa },
        prekeys,
    };
    bundle.sign(&keys.identity)
}
