//! OAEP with SHA-256 and MGF1-SHA-256, for the label of PROTOCOL.md 2.2 and messages of 32 bytes (RFC 8017 section 7.1).
//!
//! ```text
//! EM (k bytes, k that of the modulus)
//!   Y = 0   1 | masked seed 32 | masked DB k - 33
//! DB
//!   SHA-256(label) 32 | zeros k - 98 | 0x01 | message 32
//! ```
//!
//! The message has one length, so decoding is one comparison of fixed places, without a search for the 0x01. Which
//! label and length these are is said by the caller, so that published vectors meet the same code.

use super::hashes;
use crate::crypto::label::Label;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

const HASH: usize = 32;
const MESSAGE: usize = 32;

/// The encoded message for a modulus of `size` bytes, 98 at least.
pub(super) fn encode(message: &[u8; MESSAGE], seed: &[u8; HASH], size: usize) -> Zeroizing<Vec<u8>> {
    let mut encoded = Zeroizing::new(Vec::with_capacity(size));
    encoded.push(0);
    encoded.extend_from_slice(seed);
    encoded.extend_from_slice(&hashes::sha256(&[Label::RSA_KEM.bytes()]));
    encoded.resize(size.saturating_sub(MESSAGE + 1), 0);
    encoded.push(1);
    encoded.extend_from_slice(message);
    if let Some((_, seed, block)) = split(&mut encoded) {
        mask(block, seed);
        mask(seed, block);
    }
    encoded
}

/// Decodes in place: writes what stands where a message of that length would be, and gives whether the encoding is right.
/// The work is the same whether or not it is.
pub(in crate::crypto) fn decode(encoded: &mut [u8], label: &[u8], message: &mut [u8]) -> Choice {
    let Some((first, seed, block)) = split(encoded) else { return Choice::from(0) };
    mask(seed, block);
    mask(block, seed);
    let length = block.len().wrapping_sub(message.len());
    let Some((padding, last)) = block.split_at_checked(length) else { return Choice::from(0) };
    message.copy_from_slice(last);

    let mut expected = hashes::sha256(&[label]).to_vec();
    expected.resize(length.saturating_sub(1).max(HASH), 0);
    expected.push(1);
    first.ct_eq(&0) & padding.ct_eq(&expected)
}

/// `Y | seed | DB`.
fn split(encoded: &mut [u8]) -> Option<(&mut u8, &mut [u8], &mut [u8])> {
    let (first, rest) = encoded.split_first_mut()?;
    let (seed, block) = rest.split_at_mut_checked(HASH)?;
    Some((first, seed, block))
}

/// XORs `MGF1(seed, target length)` into `target` (RFC 8017 appendix B.2.1).
fn mask(target: &mut [u8], seed: &[u8]) {
    for (counter, chunk) in (0u32..).zip(target.chunks_mut(HASH)) {
        let digest = Zeroizing::new(hashes::sha256(&[seed, &counter.to_be_bytes()]));
        chunk.iter_mut().zip(digest.iter()).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// A ciphertext whose encoded message was changed before it was masked: `change` sees `Y | seed | DB`.
#[cfg(test)]
pub(in crate::crypto) fn crafted(
    key: &crate::crypto::rsa::PublicKey,
    message: &[u8; MESSAGE],
    change: impl Fn(&mut [u8]),
) -> Vec<u8> {
    crafted_with_seed(key, message, &[9; HASH], change)
}

/// The same with another seed.
#[cfg(test)]
pub(in crate::crypto) fn crafted_with_seed(
    key: &crate::crypto::rsa::PublicKey,
    message: &[u8; MESSAGE],
    seed: &[u8; HASH],
    change: impl Fn(&mut [u8]),
) -> Vec<u8> {
    super::rust_crypto::rsa_raw(key, &tests::changed_with_seed(message, seed, key.ciphertext_len(), change)).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(mut encoded: Vec<u8>) -> (bool, [u8; 32]) {
        let mut message = [0; 32];
        (decode(&mut encoded, Label::RSA_KEM.bytes(), &mut message).into(), message)
    }

    /// EM, changed before masking.
    fn changed(message: &[u8; 32], size: usize, change: impl Fn(&mut [u8])) -> Vec<u8> {
        changed_with_seed(message, &[9; 32], size, change)
    }

    pub(super) fn changed_with_seed(
        message: &[u8; 32],
        seed: &[u8; 32],
        size: usize,
        change: impl Fn(&mut [u8]),
    ) -> Vec<u8> {
        let mut encoded = encode(message, seed, size).to_vec();
        let (_, seed, block) = split(&mut encoded).unwrap();
        mask(seed, block);
        mask(block, seed);
        change(&mut encoded);
        let (_, seed, block) = split(&mut encoded).unwrap();
        mask(block, seed);
        mask(seed, block);
        encoded
    }

    #[test]
    fn decode_is_the_inverse_of_encode() {
        for size in [256, 257, 384, 512] {
            let encoded = encode(&[7; 32], &[9; 32], size);
            assert_eq!(encoded.len(), size);
            assert_eq!(decoded(encoded.to_vec()), (true, [7; 32]));
            assert_eq!(changed(&[7; 32], size, |_| {}), *encoded);
        }
    }

    /// Under the name by which its timing is measured.
    #[test]
    fn what_is_measured_is_the_decoder() {
        let (mut right, mut message) = (encode(&[7; 32], &[9; 32], 256).to_vec(), [0; 32]);
        let mut wrong = changed(&[7; 32], 256, |encoded| encoded[0] = 1);
        assert!(crate::crypto::rsa::oaep_decode(&mut right, &mut message) && message == [7; 32]);
        assert!(!crate::crypto::rsa::oaep_decode(&mut wrong, &mut message));
    }

    /// Every place that the check fixes: Y, the label's hash, the zeros and the 0x01. The seed and the message are free.
    #[test]
    fn every_fixed_byte_counts() {
        for place in 0..256 {
            let right = decoded(changed(&[7; 32], 256, |encoded| encoded[place] ^= 0x80)).0;
            assert_eq!(right, (1..33).contains(&place) || place >= 256 - 32, "byte {place}");
        }
        // A message of another length is refused as well: the 0x01 one place early, or one late.
        assert!(!decoded(changed(&[7; 32], 256, |encoded| encoded[222..224].copy_from_slice(&[1, 0]))).0);
        assert!(!decoded(changed(&[7; 32], 256, |encoded| encoded[223..225].copy_from_slice(&[0, 1]))).0);
    }

    #[test]
    fn too_short_is_refused() {
        for size in [0, 1, 33, 34, 64, 65] {
            assert!(!decoded(vec![0; size]).0);
        }
    }

    /// The hash and the 0x01 are never cut for the sake of a long message.
    #[test]
    fn too_long_is_refused() {
        let mut encoded = encode(&[7; 32], &[9; 32], 98);
        let (_, seed, block) = split(&mut encoded).unwrap();
        mask(seed, block);
        mask(block, seed);
        // DB: the label's hash, whose last byte is replaced by a 0x01, and 33 bytes.
        block[31] = 1;
        mask(block, seed);
        mask(seed, block);
        assert!(!bool::from(decode(&mut encoded.clone(), Label::RSA_KEM.bytes(), &mut [0; 34])));
        assert!(!bool::from(decode(&mut encoded.clone(), Label::RSA_KEM.bytes(), &mut [0; 33])));
        assert!(!bool::from(decode(&mut encoded, Label::RSA_KEM.bytes(), &mut [0; 66])));
    }
}
