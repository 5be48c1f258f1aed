//! Padding of what is sealed, so that its length tells little (PROTOCOL.md S12).

use crate::crypto::secret::SecretVec;
use crate::error::InvalidMessage;
use crate::limits::PADDED_MIN;

/// The byte between content and zeros.
const MARK: u8 = 0x80;

/// The length to which `content` bytes of content are padded: at least [`PADDED_MIN`], then the Padmé length.
///
/// Padmé (Nikitin et al., *Reducing Metadata Leakage from Encrypted Files and Communication with PURBs*, 2019) keeps as
/// many leading bits of a length as the length of that length has bits, and rounds up: at most 12 % are added, and
/// a length of n bits leaks about log2 n of them.
pub const fn padded_len(content: usize) -> usize {
    let length = content.saturating_add(1);
    if length <= PADDED_MIN {
        return PADDED_MIN;
    }
    let exponent = length.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1 << (exponent - kept)) - 1;
    length.saturating_add(mask) & !mask
}

/// `content || 0x80 || zeros`, as long as [`padded_len`] says.
pub fn pad(content: &[u8]) -> SecretVec {
    let length = padded_len(content.len());
    let mut padded = SecretVec::new(Vec::with_capacity(length));
    padded.extend_from_slice(content);
    padded.push(MARK);
    padded.resize(length, 0);
    padded
}

/// The content of what was padded with [`pad`], to any length.
pub fn unpad(padded: &[u8]) -> Result<&[u8], InvalidMessage> {
    let zeros = padded.iter().rev().take_while(|byte| **byte == 0).count();
    match padded.get(..padded.len().saturating_sub(zeros)) {
        Some([content @ .., MARK]) => Ok(content),
        _ => Err(InvalidMessage::Padding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{CONTENT_MAX, SENT_CONTENT_MAX};
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    #[test]
    fn lengths_are_the_published_ones() {
        for (content, padded) in [
            (0, 256),
            (1, 256),
            (255, 256),
            (256, 272),
            (271, 272),
            (272, 288),
            (511, 512),
            (512, 544),
            (1_000, 1_024),
            (16_384, 17_408),
            (CONTENT_MAX, 55_296),
            (SENT_CONTENT_MAX, 55_296),
            (SENT_CONTENT_MAX + 1, 57_344),
        ] {
            assert_eq!(padded_len(content), padded, "{content}");
        }
    }

    #[test]
    fn lengths_grow_cost_little_and_are_few() {
        let mut buckets = 0;
        let mut last = 0;
        for content in 0..=SENT_CONTENT_MAX {
            let padded = padded_len(content);
            assert!(padded > content && padded >= last);
            assert!(padded == PADDED_MIN || (padded - content - 1) * 100 <= (content + 1) * 12, "{content}");
            assert_eq!(padded_len(padded - 1), padded, "a padded length is its own bucket");
            buckets += usize::from(padded != last);
            last = padded;
        }
        assert_eq!(buckets, 1 + 16 + 16 + 16 + 16 + 16 + 16 + 16 + 11);
    }

    #[test]
    fn unpad_is_the_inverse_of_pad() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for length in (0..600).chain([1_023, 16_384, CONTENT_MAX, SENT_CONTENT_MAX]) {
            let mut content = vec![0; length];
            rng.fill_bytes(&mut content);
            for tail in [None, Some(0), Some(MARK)] {
                if let (Some(byte), Some(last)) = (tail, content.last_mut()) {
                    *last = byte;
                }
                let padded = pad(&content);
                assert_eq!(padded.len(), padded_len(length));
                assert_eq!(unpad(&padded), Ok(content.as_slice()));
            }
        }
    }

    #[test]
    fn content_of_zeros_and_marks_survives() {
        for content in [&[0; 7][..], &[MARK; 7], &[MARK, 0, MARK, 0, 0]] {
            assert_eq!(unpad(&pad(content)), Ok(content));
        }
    }

    #[test]
    fn padding_without_a_mark_is_refused() {
        for padded in [&[][..], &[0], &[0; 256], &[1], &[MARK, 1], &[MARK, 0x81, 0, 0], b"text", b"text\0\0"] {
            assert_eq!(unpad(padded), Err(InvalidMessage::Padding), "{padded:?}");
        }
    }
}
