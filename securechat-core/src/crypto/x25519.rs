//! X25519 key agreement (RFC 7748, PROTOCOL.md 2.2).

use super::backend::{Active, Backend, X25519};
use super::secret::Secret;
use crate::error::PeerMisbehaved;
use core::fmt;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::{Arc, OnceLock};
use subtle::ConstantTimeEq;

/// An X25519 public key: 32 bytes, any of them. Keys that give no secret are refused when they are used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether every private key gives zeros with it: whether it is a point of order 1, 2, 4 or 8 on the curve or its
    /// twist, in any encoding. It is public, and so is how long this takes.
    pub(crate) fn is_low_order(&self) -> bool {
        let [bytes @ .., last] = &self.0;
        // X25519 does not look at the topmost bit (RFC 7748 section 5).
        SMALL_ORDER.iter().any(|[low @ .., high]| low == bytes && *high == last & 0x7f)
    }
}

/// All points of small order as X25519 reads them, little-endian, those included that are not reduced: 0, 1, the two of
/// order 8, p - 1, p and p + 1 for p = 2^255 - 19. Clamped private keys are multiples of 8, and of no larger order.
const SMALL_ORDER: [[u8; 32]; 7] = [
    ends(0, 0, 0),
    ends(1, 0, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    ends(0xec, 0xff, 0x7f),
    ends(0xed, 0xff, 0x7f),
    ends(0xee, 0xff, 0x7f),
];

/// A number whose bytes are alike but the first and the last.
#[allow(clippy::indexing_slicing)] // at compile time
const fn ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("x25519::PublicKey(")?;
        super::write_hex(formatter, &self.0)?;
        formatter.write_str(")")
    }
}

/// An X25519 private key: 32 random bytes, clamped when used. In records it is those bytes.
///
/// Copies share what they are of, and its public key, which is computed once.
pub struct PrivateKey(Arc<Shared>);

struct Shared {
    key: <Active as Backend>::X25519,
    public: OnceLock<PublicKey>,
}

impl PrivateKey {
    /// A fresh key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::new(Secret::random(rng))
    }

    /// The key of these bytes, which the caller wipes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self::new(Secret::from_bytes(bytes))
    }

    fn new(bytes: Secret<32>) -> Self {
        Self(Arc::new(Shared { key: X25519::new(bytes), public: OnceLock::new() }))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.key.bytes().as_bytes()
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        *self.0.public.get_or_init(|| PublicKey(self.0.key.public()))
    }

    /// The secret shared with `peer`. Fails with [`PeerMisbehaved::WeakKey`] when it is all zeros.
    pub fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, PeerMisbehaved> {
        agree(&self.0.key, peer)
    }

    /// A second one, made on purpose; the bytes are wiped when the last is gone.
    pub fn duplicate(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

fn agree(key: &impl X25519, peer: &PublicKey) -> Result<Secret<32>, PeerMisbehaved> {
    let secret = key.agree(&peer.0);
    if secret.as_bytes().ct_eq(&[0; 32]).into() { Err(PeerMisbehaved::WeakKey) } else { Ok(secret) }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("x25519::PrivateKey(..)")
    }
}

impl Serialize for PrivateKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.key.bytes().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PrivateKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::crypto::testing::{array, on_every_backend, rng};
    use crate::vectors::LOW_ORDER;

    /// The scalar product, as RFC 7748 writes it.
    fn x25519<B: Backend>(scalar: &[u8; 32], point: &[u8; 32]) -> [u8; 32] {
        *B::X25519::new(Secret::from_bytes(scalar)).agree(point).as_bytes()
    }

    on_every_backend! {
        /// RFC 7748 section 5.2.
        fn rfc_7748<B>() {
            assert_eq!(
                x25519::<B>(
                    &array("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                    &array("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
                ),
                array("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
            );
            // The top bit of the point is set and ignored.
            assert_eq!(
                x25519::<B>(
                    &array("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
                    &array("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"),
                ),
                array("95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957")
            );
        }

        /// RFC 7748 section 5.2, the iteration.
        fn rfc_7748_thousand_times<B>() {
            let (mut k, mut u) = ([0; 32], [0; 32]);
            (k[0], u[0]) = (9, 9);
            for round in 0..1000 {
                (k, u) = (x25519::<B>(&k, &u), k);
                if round == 0 {
                    assert_eq!(k, array("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
                }
            }
            assert_eq!(k, array("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
        }

        /// RFC 7748 section 6.1.
        fn rfc_7748_agreement<A, B>() {
            let alice = A::X25519::new(Secret::from_bytes(&array(
                "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            )));
            let bob = B::X25519::new(Secret::from_bytes(&array(
                "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            )));
            assert_eq!(alice.public(), array("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
            assert_eq!(bob.public(), array("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
            let shared = array("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
            assert_eq!(*alice.agree(&bob.public()).as_bytes(), shared);
            assert_eq!(*bob.agree(&alice.public()).as_bytes(), shared);
        }

        /// ATTACKS.md A5: every encoding of a point of low order, the ones that are not reduced among them.
        fn a5_low_order_points_fail<B>() {
            for point in LOW_ORDER {
                for top_bit in [0, 0x80] {
                    let mut point: [u8; 32] = array(point);
                    point[31] |= top_bit;
                    let key = B::X25519::new(Secret::random(&mut rng(1)));
                    let result = agree(&key, &PublicKey(point));
                    assert_eq!(result.err(), Some(PeerMisbehaved::WeakKey), "{point:02x?}");
                }
            }
        }
    }

    /// The table names the points that agreements show to be of low order, and no others near them.
    #[test]
    fn a5_the_table_of_low_order_points() {
        let key = PrivateKey::generate(&mut rng(1));
        for point in LOW_ORDER {
            for changed in 0..=256 {
                let mut point: [u8; 32] = array(point);
                if changed < 256 {
                    point[changed / 8] ^= 1 << (changed % 8);
                }
                let public = PublicKey(point);
                assert_eq!(public.is_low_order(), key.agree(&public).is_err(), "{public:?}");
            }
        }
        for seed in 0..32 {
            assert!(!PrivateKey::generate(&mut rng(seed)).public().is_low_order());
        }
    }

    #[test]
    fn keys_agree() {
        let (alice, bob) = (PrivateKey::generate(&mut rng(1)), PrivateKey::generate(&mut rng(2)));
        let shared = alice.agree(&bob.public()).unwrap();
        assert_eq!(shared.as_bytes(), bob.agree(&alice.public()).unwrap().as_bytes());
        assert_eq!(shared.as_bytes(), alice.duplicate().agree(&bob.public()).unwrap().as_bytes());
    }

    #[test]
    fn records_hold_the_bytes() {
        let key = PrivateKey::generate(&mut rng(1));
        let record = codec::encode_secret(&key);
        assert_eq!(record.as_slice(), key.as_bytes());
        assert_eq!(codec::decode::<PrivateKey>(&record).unwrap().public(), key.public());
        assert_eq!(codec::decode::<PublicKey>(&codec::encode(&key.public())), Ok(key.public()));
        assert_eq!(codec::encode(&key.public()).len(), 32);
    }

    #[test]
    fn debug_shows_public_keys_only() {
        let key = PrivateKey::from_bytes(&[0x41; 32]);
        assert_eq!(format!("{key:?}"), "x25519::PrivateKey(..)");
        assert_eq!(format!("{:?}", PublicKey([0xab; 32])), format!("x25519::PublicKey({})", "ab".repeat(32)));
    }
}
