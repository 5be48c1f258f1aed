//! SHA-2, HMAC and HKDF. Inputs are parts, which are taken one after the other, so that nobody has to join them.

use super::backend::{Active, Backend, Hmac};
use subtle::ConstantTimeEq;

/// Longest output of HKDF with SHA-256, in bytes.
pub const HKDF_MAX: usize = 255 * 32;

/// SHA-256 of the parts.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    Active::sha256(parts)
}

/// SHA-512 of the parts.
pub fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    Active::sha512(parts)
}

/// `HMAC-SHA-256(key, parts)` (RFC 2104), into storage of the caller's, who wipes it.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]], out: &mut [u8; 32]) {
    <Active as Backend>::Hmac::new(key).tag(parts, out);
}

/// HKDF with SHA-256 (RFC 5869), extract and expand, into storage of the caller's, who wipes it.
///
/// An empty `salt` is RFC 5869's default, 32 zero bytes. `out` is at most [`HKDF_MAX`] long; of a longer one,
/// which no caller has, the rest stays as it is.
pub fn hkdf(salt: &[u8], ikm: &[u8], info: &[&[u8]], out: &mut [u8]) {
    Active::hkdf(salt, ikm, info, bounded(out));
}

/// The expand step of HKDF with SHA-256 (RFC 5869) alone; `out` as in [`hkdf`].
pub fn hkdf_expand(prk: &[u8; 32], info: &[&[u8]], out: &mut [u8]) {
    Active::hkdf_expand(prk, info, bounded(out));
}

/// The part of `out` that HKDF can fill.
fn bounded(out: &mut [u8]) -> &mut [u8] {
    debug_assert!(out.len() <= HKDF_MAX, "HKDF gives at most {HKDF_MAX} bytes");
    let length = out.len().min(HKDF_MAX);
    out.get_mut(..length).unwrap_or_default()
}

/// Whether `a` and `b` are equal, in time that depends on their lengths alone.
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
