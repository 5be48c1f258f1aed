//! HMAC-SHA-1 for the one-time codes of RFC 6238, which fixes it. One source serves both backends.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// `HMAC-SHA-1(key, message)`.
pub(crate) fn hmac_sha1(key: &[u8; 20], message: &[u8]) -> [u8; 20] {
    // HMAC takes keys of any length.
    #[allow(clippy::expect_used)]
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
