//! SHA-2, HMAC and HKDF from RustCrypto, which are the same in every backend: with the processor's instructions as fast as
//! AWS-LC's on much, and in half the time on the few bytes of a key derivation, since no context is allocated.

use ::hmac::{Hmac, KeyInit, Mac as _};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// Longest output of HKDF with SHA-256, in bytes.
pub const HKDF_MAX: usize = 255 * 32;

/// SHA-256 of the parts.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    digest::<Sha256>(parts).into()
}

/// SHA-512 of the parts.
pub fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    digest::<Sha512>(parts).into()
}

/// `HMAC-SHA-256(key, parts)` (RFC 2104), into storage of the caller's, who wipes it. A key may have any length.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]], out: &mut [u8; 32]) {
    let mut mac: Hmac<Sha256> = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    out.copy_from_slice(mac.finalize().as_bytes());
}

/// HMAC-SHA-256 of each of two messages under one key, which is prepared once.
pub fn hmac_sha256_twice(key: &[u8], messages: [&[u8]; 2], out: [&mut [u8; 32]; 2]) {
    let mac: Hmac<Sha256> = keyed(key);
    for (message, out) in messages.into_iter().zip(out) {
        out.copy_from_slice(mac.clone().chain_update(message).finalize().as_bytes());
    }
}

/// HKDF with SHA-256 (RFC 5869), extract and expand, into storage of the caller's, who wipes it.
///
/// An empty `salt` is RFC 5869's default, 32 zero bytes. `out` is at most [`HKDF_MAX`] long; of a longer one,
/// which no caller has, the rest stays as it is.
pub fn hkdf(salt: &[u8], ikm: &[u8], info: &[&[u8]], out: &mut [u8]) {
    expand(&hkdf::Hkdf::new(Some(salt), ikm), info, out);
}

/// The expand step of HKDF with SHA-256 (RFC 5869) alone; `out` as in [`hkdf()`].
pub fn hkdf_expand(prk: &[u8; 32], info: &[&[u8]], out: &mut [u8]) {
    // Fails on a key shorter than the hash alone.
    if let Ok(hkdf) = hkdf::Hkdf::from_prk(prk) {
        expand(&hkdf, info, out);
    }
}

/// `HMAC-SHA-1(key, message)`, for the one-time codes of RFC 6238, which fixes it.
pub fn hmac_sha1(key: &[u8; 20], message: &[u8]) -> [u8; 20] {
    keyed::<Hmac<Sha1>>(key).chain_update(message).finalize().into_bytes().into()
}

/// Fills what HKDF can fill of `out`.
fn expand(hkdf: &hkdf::Hkdf<Sha256>, info: &[&[u8]], out: &mut [u8]) {
    debug_assert!(out.len() <= HKDF_MAX, "HKDF gives at most {HKDF_MAX} bytes");
    let length = out.len().min(HKDF_MAX);
    // Fails on more than `HKDF_MAX`.
    let _ = hkdf.expand_multi_info(info, out.get_mut(..length).unwrap_or_default());
}

#[allow(clippy::expect_used)] // HMAC takes keys of any length.
fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("any length")
}

fn digest<D: Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut digest = D::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}
