//! Who someone is, and whether that is still who it was (PROTOCOL.md section 5).
//!
//! An [`Identity`] is the signing key of one device. It signs the device's [`SignedBundle`] (what others need to speak
//! with it), its [`SignedPrekey`]s and its user's [`SignedDeviceList`]. A [`Pin`] is what someone else remembers of a
//! user, and notices when any of it changes.
//!
//! A signed object is only ever made by signing it or by a `decode` that checked its signature; it keeps the bytes it
//! came in and is never encoded again (I1).

mod address;
mod bundle;
mod chain;
mod device_list;
mod key;
mod local;
mod name;
mod pin;
mod prekey;
mod safety_number;
#[cfg(test)]
pub(crate) mod samples;
mod seen;
pub(crate) mod signed;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use address::RelayAddress;
pub use bundle::{BUNDLE_VERSION, Bundle, SIGNED_BUNDLE_MAX, SignedBundle, StaticKeys};
pub use chain::ListChain;
pub use device_list::{DeviceList, SIGNED_DEVICE_LIST_MAX, SignedDeviceList};
pub use key::{DeviceKeys, Fingerprint, Identity};
pub use local::LocalIdentity;
pub use name::UserName;
pub use pin::{ListChange, Listing, Pin, Trust};
pub use prekey::{PrekeyKind, PrekeyPublic, SignedPrekey};
pub use safety_number::{SafetyNumber, safety_number};
pub use seen::{BundleChange, SeenBundle};
