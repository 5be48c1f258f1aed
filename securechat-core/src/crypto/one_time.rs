//! One-time codes (RFC 6238): HMAC-SHA-1, 6 digits, steps of 30 seconds.

use super::backend::hashes::hmac_sha1;
use super::hash::ct_eq;
use super::secret::Secret;

/// How long a code counts, in milliseconds.
pub const STEP: u64 = 30_000;

/// The number of the step that `now` (Unix milliseconds) lies in.
pub const fn step_at(now: u64) -> u64 {
    now / STEP
}

/// The code of a step, below 1,000,000 (RFC 4226 section 5.3).
pub fn code_at(secret: &Secret<20>, step: u64) -> u32 {
    let hash = hmac_sha1(secret.as_bytes(), &step.to_be_bytes());
    let [.., last] = hash;
    // The offset is at most 15, so four bytes follow it.
    let offset = usize::from(last & 0x0F);
    let word = hash.get(offset..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_be_bytes);
    (word & 0x7FFF_FFFF) % 1_000_000
}

/// The step whose code this is: that of `now`, or one before or after it. All three are always computed.
pub fn matching_step(secret: &Secret<20>, code: u32, now: u64) -> Option<u64> {
    let present = step_at(now);
    let mut found = None;
    for step in [present.saturating_sub(1), present, present.saturating_add(1)] {
        if ct_eq(&code_at(secret, step).to_be_bytes(), &code.to_be_bytes()) {
            found = Some(step);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret<20> {
        Secret::from_bytes(b"12345678901234567890")
    }

    /// RFC 6238 appendix B, the SHA-1 rows, of whose eight digits these are the last six.
    #[test]
    fn rfc_6238_vectors() {
        for (seconds, code) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            assert_eq!(code_at(&secret(), step_at(seconds * 1_000)), code, "{seconds}");
        }
    }

    #[test]
    fn one_step_either_way() {
        let now = 1_700_000_000_000;
        let code = code_at(&secret(), step_at(now));
        for (at, found) in
            [(now, true), (now - STEP, true), (now + STEP, true), (now - 2 * STEP, false), (now + 2 * STEP, false)]
        {
            assert_eq!(matching_step(&secret(), code, at), found.then_some(step_at(now)), "{at}");
        }
    }
}
