//! Bundles: what one device tells everyone about itself, signed (I3, I4).

use crate::codec;
use crate::crypto::ed25519::SigningKey;
use crate::crypto::hash::sha256;
use crate::crypto::label::Label;
use crate::crypto::{mlkem, rsa, x25519};
use crate::error::{Error, InvalidMessage, PeerMisbehaved};
use crate::identity::name::optional;
use crate::identity::signed::{self, serde_as_kept};
use crate::identity::{Fingerprint, Identity, PrekeyKind, PrekeyPublic, UserName};
use crate::limits::{BUNDLE_LIFE, CLOCK_SKEW, RSA_DER_MAX, SUITES_PER_BUNDLE, USER_NAME_MAX};
use crate::noise::RemoteKeys;
use crate::suite::{KeyExchange, Suite};
use serde::{Deserialize, Serialize};

/// The version of bundles that this implementation makes and reads.
pub const BUNDLE_VERSION: u8 = 1;

/// Longest encoding of a signed bundle, in bytes.
pub const SIGNED_BUNDLE_MAX: usize = (1 + 32 + 1 + USER_NAME_MAX + 5 + 3 * 10)
    + (1 + 3 * SUITES_PER_BUNDLE)
    + (32 + 1 + 2 + RSA_DER_MAX)
    + (1 + 2 * (1 + 5 + 32) + mlkem::ENCAPSULATION_KEY_LEN)
    + signed::OVERHEAD;

/// Where the identity stands in the body; the same in every version, so that a signature can be checked first.
const IDENTITY_AT: usize = 1;

/// The contents of a bundle.
///
/// | field | encoding |
/// |---|---|
/// | version | u8 = 1 |
/// | identity | 32 bytes; the signer |
/// | user | varint length, name; empty for a relay or a bare link |
/// | device | varint u32 |
/// | serial | varint u64 |
/// | not before, not after | varint u64 each |
/// | suites | varint count 1 to 16, each a varint u16 |
/// | static X25519 key | 32 bytes |
/// | static RSA key | u8 0, or u8 1, varint length and PKCS#1 DER |
/// | prekeys | varint count 0 to 2, each a [`PrekeyPublic`], in the order of their kinds |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// [`BUNDLE_VERSION`].
    pub version: u8,
    /// Who this is.
    pub identity: Identity,
    /// Whose device it is; none for a relay or a bare link.
    #[serde(with = "optional")]
    pub user: Option<UserName>,
    /// The number of the device.
    pub device: u32,
    /// Grows with every bundle of the identity.
    pub serial: u64,
    /// When it begins to count, Unix milliseconds.
    pub not_before: u64,
    /// The last moment it counts, Unix milliseconds.
    pub not_after: u64,
    /// Ids of the suites it accepts, in order. Numbers unknown here are kept and skipped.
    pub suites: Vec<u16>,
    /// The long-term keys for agreement.
    pub statics: StaticKeys,
    /// The last-resort prekeys, at most one of each kind, in the order of the kinds.
    pub prekeys: Vec<PrekeyPublic>,
}

/// The static public keys of a device, by family. They are made with its identity and never replaced (I4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticKeys {
    /// For the X25519 and hybrid suites.
    pub x25519: x25519::PublicKey,
    /// For the RSA-wrapped suites.
    pub rsa: Option<rsa::PublicKey>,
}

impl Bundle {
    /// Signs the bundle. Fails like [`SignedBundle::decode`] would when it is not a good one,
    /// or when `key` is not its identity's.
    pub fn sign(self, key: &SigningKey) -> Result<SignedBundle, Error> {
        self.check()?;
        if Identity::from(key.verifying_key()) != self.identity {
            return Err(PeerMisbehaved::IdentityMismatch.into());
        }
        let bytes = signed::sign(Label::BUNDLE, &codec::encode(&self), key)?;
        Ok(SignedBundle { bytes, bundle: self })
    }

    /// The suites it accepts that are known here, in its order.
    pub fn known_suites(&self) -> impl Iterator<Item = Suite> + '_ {
        self.suites.iter().copied().filter_map(Suite::from_id)
    }

    /// The rules of I3 and I4 that need nothing but the bundle itself.
    fn check(&self) -> Result<(), Error> {
        if self.version != BUNDLE_VERSION {
            return Err(InvalidMessage::Version.into());
        }
        if !(1..=SUITES_PER_BUNDLE).contains(&self.suites.len()) || self.prekeys.len() > PrekeyKind::ALL.len() {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        let mut suites = self.suites.clone();
        suites.sort_unstable();
        let distinct = suites.is_sorted_by(|one, next| one < next);
        let life = self.not_after.checked_sub(self.not_before).is_some_and(|life| life <= BUNDLE_LIFE);
        let in_order = self.prekeys.is_sorted_by(|one, next| one.kind() < next.kind());
        let complete = self.known_suites().all(|suite| {
            let has_static = suite.key_exchange != KeyExchange::Rsa || self.statics.rsa.is_some();
            let kind = PrekeyKind::for_suite(suite);
            has_static && (self.prekeys.is_empty() || self.prekeys.iter().any(|prekey| prekey.kind() == kind))
        });
        if distinct && life && in_order && complete { Ok(()) } else { Err(PeerMisbehaved::BundleInconsistent.into()) }
    }
}

/// A bundle whose signature was checked, with the bytes it came in: label "bundle".
#[derive(Clone, derive_more::Debug, PartialEq, Eq)]
pub struct SignedBundle {
    #[debug("{} bytes", bytes.len())]
    bytes: Vec<u8>,
    bundle: Bundle,
}

impl SignedBundle {
    /// Reads a signed bundle: its signature first, then its form, then the rules of I3 and the length of its life.
    ///
    /// Fails with [`PeerMisbehaved::BadSignature`], an [`InvalidMessage`], or [`PeerMisbehaved::BundleInconsistent`].
    /// Whether it counts now and here is a matter of [`check_validity`](Self::check_validity) and of pins.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let body = signed::open(Label::BUNDLE, bytes, IDENTITY_AT, SIGNED_BUNDLE_MAX)?;
        if body.first() != Some(&BUNDLE_VERSION) {
            return Err(InvalidMessage::Version.into());
        }
        let bundle: Bundle = codec::decode(body)?;
        bundle.check()?;
        Ok(Self { bytes: bytes.to_vec(), bundle })
    }

    /// It as it travels: `u16 length | body | signature`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its contents.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// SHA-256 over body and signature (I1).
    pub fn hash(&self) -> [u8; 32] {
        signed::hash(&self.bytes)
    }

    /// SHA-256 over the body alone: what two bundles of one serial must agree in (I4).
    pub(super) fn body_hash(&self) -> [u8; 32] {
        sha256(&[signed::body(&self.bytes)])
    }

    /// Who signed it.
    pub fn identity(&self) -> Identity {
        self.bundle.identity
    }

    /// The fingerprint of who signed it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.bundle.identity.fingerprint()
    }

    /// Whose device it is; none for a relay or a bare link.
    pub fn user(&self) -> Option<&UserName> {
        self.bundle.user.as_ref()
    }

    /// The number of the device.
    pub fn device(&self) -> u32 {
        self.bundle.device
    }

    /// Its serial.
    pub fn serial(&self) -> u64 {
        self.bundle.serial
    }

    /// Fails with [`PeerMisbehaved::BundleExpired`] when it begins more than 24 hours after `now`,
    /// or ended more than `grace` milliseconds before.
    pub fn check_validity(&self, now: u64, grace: u64) -> Result<(), PeerMisbehaved> {
        let begun = self.bundle.not_before <= now.saturating_add(CLOCK_SKEW);
        let lasts = now <= self.bundle.not_after.saturating_add(grace);
        if begun && lasts { Ok(()) } else { Err(PeerMisbehaved::BundleExpired) }
    }

    /// Whether it accepts this suite.
    pub fn supports(&self, suite: Suite) -> bool {
        self.bundle.suites.contains(&suite.id())
    }

    /// Whether a session can be opened to it at all: it has a user name and prekeys (I3).
    pub fn is_session_peer(&self) -> bool {
        self.bundle.user.is_some() && !self.bundle.prekeys.is_empty()
    }

    /// The static key of the X25519 and hybrid suites.
    pub fn static_x25519(&self) -> &x25519::PublicKey {
        &self.bundle.statics.x25519
    }

    /// The static key of the RSA-wrapped suites; there if the bundle accepts one of them.
    pub fn static_rsa(&self) -> Option<&rsa::PublicKey> {
        self.bundle.statics.rsa.as_ref()
    }

    /// What a handshake that carried this bundle has to agree with.
    pub fn remote_keys(&self) -> RemoteKeys<'_> {
        RemoteKeys {
            identity: self.bundle.identity.as_verifying_key(),
            x25519: self.static_x25519(),
            rsa: self.static_rsa(),
        }
    }

    /// The last-resort prekey of a kind.
    pub fn last_resort(&self, kind: PrekeyKind) -> Option<&PrekeyPublic> {
        self.bundle.prekeys.iter().find(|prekey| prekey.kind() == kind)
    }
}

serde_as_kept!(SignedBundle);
