//! Cryptography as thin typed wrappers; the primitives come from one of two backends.
//!
//! The constructions of PROTOCOL.md section 2 are written once, here; what they are made of comes from the portable
//! backend, or with the feature `aws-lc` from the fast one. Both give the same bytes.

pub mod aead;
mod backend;
pub mod ed25519;
pub mod hash;
pub mod label;
pub mod mlkem;
pub mod one_time;
#[doc(hidden)]
pub mod published;
mod random;
pub mod rsa;
pub mod secret;
#[cfg(test)]
pub(crate) mod test_keys;
#[cfg(test)]
mod testing;
#[cfg(test)]
pub(crate) mod vectors;
pub mod x25519;

pub use random::{Random, fork, from_seed};

/// Writes bytes as lower-case hex digits.
fn write_hex(formatter: &mut core::fmt::Formatter<'_>, bytes: &[u8]) -> core::fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    /// Links and sessions may live on any thread, and RSA keys are shared.
    #[test]
    fn keys_are_send_and_sync() {
        fn check<T: Send + Sync>() {}
        check::<super::aead::AeadKey>();
        check::<super::ed25519::SigningKey>();
        check::<super::mlkem::DecapsulationKey>();
        check::<super::rsa::PrivateKey>();
        check::<super::x25519::PrivateKey>();
    }
}
