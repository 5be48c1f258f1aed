//! Ed25519 from ed25519-dalek, which serves both backends: AWS-LC's verification accepts keys of small order.

use crate::error::PeerMisbehaved;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// An Ed25519 private key with its public key, on the heap and wiped on drop.
pub(crate) struct Ed25519(Box<SigningKey>);

impl Ed25519 {
    /// The key of 32 random bytes (RFC 8032).
    pub(crate) fn new(private: &[u8; 32]) -> Self {
        Self(Box::new(SigningKey::from_bytes(private)))
    }

    /// The private key's bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public key.
    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The signature of a message.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Strict verification: the public key and R canonical and of large order, S reduced, no cofactor.
pub(crate) fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), PeerMisbehaved> {
    if !is_canonical(public) {
        return Err(PeerMisbehaved::BadSignature);
    }
    VerifyingKey::from_bytes(public)
        .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
        .map_err(|_| PeerMisbehaved::BadSignature)
}

/// Whether the y coordinate is below p = 2^255 - 19, as RFC 8032 section 5.1.3 asks and dalek does not.
fn is_canonical(point: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = point;
    *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::{array, hex};
    use ed25519_dalek::Verifier;

    /// RFC 8032 section 7.1, tests 1 and 2.
    #[test]
    fn rfc_8032() {
        for (private, public, message, signature) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25b
                 f5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b
                 2eaeb4302aeeb00d291612bb0c00",
            ),
        ] {
            let key = Ed25519::new(&array(private));
            assert_eq!(key.public(), array(public));
            assert_eq!(key.sign(&hex(message)), array(signature));
            assert_eq!(verify(&key.public(), &hex(message), &array(signature)), Ok(()));
        }
    }

    /// The eight points of small order.
    const SMALL_ORDER: [&str; 8] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];

    /// Under a key of small order plain verification accepts signatures that nobody made.
    #[test]
    fn keys_of_small_order_are_refused() {
        for public in SMALL_ORDER {
            let public: [u8; 32] = array(public);
            let forged =
                (0..=u8::MAX).flat_map(|message| SMALL_ORDER.map(|r| ([message], r))).find_map(|(message, r)| {
                    let signature: [u8; 64] = [array::<32>(r), [0; 32]].concat().try_into().unwrap();
                    let key = VerifyingKey::from_bytes(&public).unwrap();
                    key.verify(&message, &Signature::from_bytes(&signature)).ok().map(|()| (message, signature))
                });
            let (message, signature) = forged.expect("plain verification accepts one");
            assert_eq!(verify(&public, &message, &signature), Err(PeerMisbehaved::BadSignature));
        }
    }

    #[test]
    fn keys_that_are_not_reduced_are_refused() {
        let last = |low: u8, high: u8| {
            let mut point = [0xff; 32];
            (point[0], point[31]) = (low, high);
            point
        };
        for high in [0x7f, 0xff] {
            assert!(is_canonical(&last(0xec, high)));
            assert!((0xed..=0xff).all(|low| !is_canonical(&last(low, high))));
        }
        assert!(is_canonical(&last(0xff, 0x7e)) && is_canonical(&[0; 32]));
        let mut inner = last(0xff, 0x7f);
        inner[15] = 0xfe;
        assert!(is_canonical(&inner));
        // p + 3 is a point, and dalek takes it. (Nobody knows its logarithm, so no signature under it can be shown.)
        assert!(VerifyingKey::from_bytes(&last(0xf0, 0x7f)).is_ok());
        assert_eq!(verify(&last(0xf0, 0x7f), b"text", &[0; 64]), Err(PeerMisbehaved::BadSignature));
    }

    /// S + L satisfies the same equation as S.
    #[test]
    fn s_that_is_not_reduced_is_refused() {
        let key = Ed25519::new(&[7; 32]);
        let mut signature = key.sign(b"text");
        assert_eq!(verify(&key.public(), b"text", &signature), Ok(()));
        let order = array::<32>("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(order) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = carry as u8;
            carry >>= 8;
        }
        assert_eq!(verify(&key.public(), b"text", &signature), Err(PeerMisbehaved::BadSignature));
    }
}
