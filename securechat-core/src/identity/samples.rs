//! Identities for tests, from small numbers.

use crate::crypto::{mlkem, test_keys, x25519};
use crate::error::{Error, InvalidMessage, PeerMisbehaved};
use crate::identity::{DeviceKeys, LocalIdentity, PrekeyPublic, SignedDeviceList, UserName};
use crate::limits::DAY;
use crate::suite::{Policy, Suite};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::Arc;

/// A moment to live in.
pub(crate) const NOW: u64 = 20_000 * DAY;

pub(crate) fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

pub(crate) fn name(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

/// The keys of device `seed`, without RSA.
pub(crate) fn keys(seed: u8) -> DeviceKeys {
    DeviceKeys::generate(&mut rng(seed), None).unwrap()
}

/// The keys of device `seed` with the fixed RSA key of 2048 bits.
pub(crate) fn keys_with_rsa(seed: u8) -> DeviceKeys {
    DeviceKeys { rsa: Some(Arc::new(test_keys::rsa_2048())), ..keys(seed) }
}

/// A prekey of each kind; ids and keys from `id`.
pub(crate) fn prekeys(id: u32) -> Vec<PrekeyPublic> {
    let mut rng = rng(id.to_be_bytes()[3]);
    let agreement = x25519::PrivateKey::generate(&mut rng).public();
    let encapsulation = mlkem::DecapsulationKey::generate(&mut rng).encapsulation_key();
    vec![PrekeyPublic::new(id, agreement, None), PrekeyPublic::new(id, agreement, Some(encapsulation))]
}

/// All six suites.
pub(crate) fn all_suites() -> Policy {
    Policy::new(Suite::ALL.to_vec()).unwrap()
}

/// Device `seed` of a user, with every suite and both kinds of prekeys, made at [`NOW`].
pub(crate) fn local(user: &str, seed: u8) -> LocalIdentity {
    LocalIdentity::new(keys_with_rsa(seed), Some(name(user)), seed.into(), &all_suites(), prekeys(1), NOW).unwrap()
}

/// A chain of lists of a user: each one adds the next device of `seeds`, countersigned by the first.
pub(crate) fn lists(user: &str, seeds: &[u8]) -> Vec<SignedDeviceList> {
    let first = keys(seeds[0]).identity;
    let mut lists = vec![SignedDeviceList::create(name(user), &first).unwrap()];
    for seed in &seeds[1..] {
        let before = lists.last().unwrap();
        let next = before.propose_add(&keys(*seed).identity).unwrap().countersign(before, &first).unwrap();
        lists.push(next);
    }
    lists
}

pub(crate) const BAD_SIGNATURE: Error = Error::PeerMisbehaved(PeerMisbehaved::BadSignature);
pub(crate) const OUT_OF_BOUNDS: Error = Error::InvalidMessage(InvalidMessage::OutOfBounds);

/// Every single bit flipped, every cut and one byte more: `decode` takes none of them.
pub(crate) fn refuses_every_change<T>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, Error>) {
    assert!(decode(bytes).is_ok());
    let mut changed = bytes.to_vec();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            changed[place] ^= 1 << bit;
            assert!(decode(&changed).is_err(), "bit {bit} of byte {place}");
            changed[place] ^= 1 << bit;
        }
        assert!(decode(&bytes[..place]).is_err(), "cut at {place}");
    }
    changed.push(0);
    assert!(decode(&changed).is_err(), "one byte more");
}
