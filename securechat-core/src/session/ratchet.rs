//! The Double Ratchet (Signal's specification) with X25519, as PROTOCOL.md section 6 instantiates it.
//!
//! It is pure: keys in, keys out. A received place is first turned into a [`Step`], which owns everything that would
//! change; only [`Ratchet::commit`] changes the state, after the message's tag was right (S2).
//!
//! A side that has received a new ratchet key makes its own only when it next sends, so there is at any time at most
//! one key that it waits with, and until then nothing but the present receiving chain (and skipped keys) opens.

use super::chain::{Chain, within_skip_limit};
use super::skipped::{Run, Spot};
use crate::crypto::hash::hkdf;
use crate::crypto::label::Label;
use crate::crypto::secret::Secret;
use crate::crypto::x25519::{PrivateKey, PublicKey};
use crate::error::{ApiMisuse, Decrypt, Error};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// One side's state: the root key and the two chains.
#[derive(Serialize, Deserialize)]
pub(super) struct Ratchet {
    root: Secret<32>,
    /// None from a received ratchet key until the next message sent.
    sending: Option<Sending>,
    /// None at the initiator until an answer opened.
    receiving: Option<Receiving>,
    /// How many messages the sending chain before the present (or coming) one had.
    previous: u32,
}

#[derive(Serialize, Deserialize)]
struct Sending {
    own: PrivateKey,
    chain: Chain,
}

#[derive(Serialize, Deserialize)]
struct Receiving {
    remote: PublicKey,
    chain: Chain,
}

/// A message's place in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The sender's ratchet key.
    pub(super) key: PublicKey,
    /// Length of the sender's chain before this one.
    pub(super) previous: u32,
    /// Number in the chain, from 0.
    pub(super) number: u32,
}

impl Place {
    /// Where its key is, among those that were skipped.
    pub(super) fn spot(&self) -> Spot {
        Spot { chain: *self.key.as_bytes(), number: self.number }
    }
}

/// What receiving a message would change.
pub(super) struct Step {
    message_key: Secret<32>,
    skipped: Vec<Run>,
    next: Next,
}

enum Next {
    /// On in the present chain.
    Along(Chain),
    /// A new chain under a ratchet key that follows one's own.
    Turn { root: Secret<32>, receiving: Receiving },
}

/// What a committed step leaves to be kept.
pub(super) struct Committed {
    pub(super) skipped: Vec<Run>,
    /// Whether a ratchet key opened that follows one's own.
    pub(super) turned: bool,
}

impl Ratchet {
    /// The initiator's side: a fresh ratchet key, the first chain is its sending chain.
    pub(super) fn initiator(root: Secret<32>, chain: Secret<32>, rng: &mut dyn CryptoRng) -> Self {
        let sending = Sending { own: PrivateKey::generate(rng), chain: Chain::new(chain, 0) };
        Self { root, sending: Some(sending), receiving: None, previous: 0 }
    }

    /// The responder's side: the first chain is its receiving chain, under the key of the first message's header.
    pub(super) fn responder(root: Secret<32>, chain: Secret<32>, remote: PublicKey) -> Self {
        let receiving = Receiving { remote, chain: Chain::new(chain, 0) };
        Self { root, sending: None, receiving: Some(receiving), previous: 0 }
    }

    /// The place and the message key of the next message to send.
    ///
    /// Fails with `CounterExhausted` at the end of a chain (S3).
    pub(super) fn send(&mut self, rng: &mut dyn CryptoRng) -> Result<(Place, Secret<32>), Error> {
        let sending = match &mut self.sending {
            Some(sending) => sending,
            none => {
                let remote = self.receiving.as_ref().ok_or(ApiMisuse::WrongState)?.remote;
                let own = PrivateKey::generate(rng);
                let (root, chain) = kdf_root(&self.root, &own.agree(&remote)?);
                self.root = root;
                none.insert(Sending { own, chain: Chain::new(chain, 0) })
            }
        };
        let number = sending.chain.number();
        let message_key = sending.chain.next()?;
        Ok((Place { key: sending.own.public(), previous: self.previous, number }, message_key))
    }

    /// How many messages the present sending chain has.
    pub(super) fn sent(&self) -> u32 {
        self.sending.as_ref().map_or(0, |sending| sending.chain.number())
    }

    /// Whether `place` is in the present receiving chain, and if so whether it has passed there.
    pub(super) fn passed(&self, place: &Place) -> Option<bool> {
        let receiving = self.receiving.as_ref().filter(|receiving| receiving.remote == place.key)?;
        Some(place.number < receiving.chain.number())
    }

    /// What it takes to receive a message at `place`, which is ahead in the present chain or in a new one.
    ///
    /// Fails with `TooManySkipped` and `CounterExhausted` (S3), `WeakKey`, and `Decrypt` for a ratchet key that
    /// cannot be a new one because this side has not sent since the last.
    pub(super) fn receive(&self, place: &Place) -> Result<Step, Error> {
        let mut skipped = Vec::new();
        if let Some(present) = self.receiving.as_ref().filter(|receiving| receiving.remote == place.key) {
            within_skip_limit(present.chain.missing_before(place.number), 0)?;
            let mut chain = present.chain.duplicate();
            let message_key = chain.skip_to(&place.spot(), &mut skipped)?;
            return Ok(Step { message_key, skipped, next: Next::Along(chain) });
        }
        let own = &self.sending.as_ref().ok_or(Decrypt)?.own;
        let old = self.receiving.as_ref();
        within_skip_limit(old.map_or(0, |old| old.chain.missing_before(place.previous)), place.number)?;
        let (root, chain) = kdf_root(&self.root, &own.agree(&place.key)?);
        if let Some(old) = old {
            old.chain.duplicate().skip(old.remote.as_bytes(), place.previous, &mut skipped)?;
        }
        let mut chain = Chain::new(chain, 0);
        let message_key = chain.skip_to(&place.spot(), &mut skipped)?;
        let receiving = Receiving { remote: place.key, chain };
        Ok(Step { message_key, skipped, next: Next::Turn { root, receiving } })
    }

    /// Makes a step the state.
    pub(super) fn commit(&mut self, step: Step) -> Committed {
        let turned = match step.next {
            Next::Along(chain) => {
                if let Some(receiving) = &mut self.receiving {
                    receiving.chain = chain;
                }
                false
            }
            Next::Turn { root, receiving } => {
                self.previous = self.sent();
                self.sending = None;
                self.root = root;
                self.receiving = Some(receiving);
                true
            }
        };
        Committed { skipped: step.skipped, turned }
    }
}

impl Step {
    /// The key of the message that the step is for.
    pub(super) fn message_key(&self) -> &Secret<32> {
        &self.message_key
    }
}

/// `KDF_RK`: the next root key, and the key of the chain that begins with it.
pub(super) fn kdf_root(root: &Secret<32>, agreed: &Secret<32>) -> (Secret<32>, Secret<32>) {
    let mut both = Secret::<64>::zero();
    hkdf(root.as_bytes(), agreed.as_bytes(), &[Label::RATCHET.bytes()], both.as_mut_bytes());
    let (mut next, mut chain) = (Secret::zero(), Secret::zero());
    let (left, right) = both.as_bytes().split_at(32);
    next.as_mut_bytes().copy_from_slice(left);
    chain.as_mut_bytes().copy_from_slice(right);
    (next, chain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::PeerMisbehaved;
    use crate::session::skipped::Skipped;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    struct Pair {
        alice: Ratchet,
        bob: Ratchet,
        rng: ChaCha20Rng,
    }

    /// Two sides after a handshake; Bob's side begins with Alice's first header.
    fn pair(seed: u64) -> (Pair, Place, Secret<32>) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (root, chain) = (Secret::random(&mut rng), Secret::random(&mut rng));
        let mut alice = Ratchet::initiator(root.duplicate(), chain.duplicate(), &mut rng);
        let (place, key) = alice.send(&mut rng).unwrap();
        (Pair { alice, bob: Ratchet::responder(root, chain, place.key), rng }, place, key)
    }

    /// Receives and commits; whether the keys agree.
    fn receives(side: &mut Ratchet, place: &Place, key: &Secret<32>) -> (bool, Committed) {
        let step = side.receive(place).unwrap();
        let equal = step.message_key().as_bytes() == key.as_bytes();
        (equal, side.commit(step))
    }

    #[test]
    fn keys_agree_through_many_turns() {
        let (Pair { mut alice, mut bob, mut rng }, place, key) = pair(1);
        assert!(receives(&mut bob, &place, &key).0);
        let mut keys = vec![*key.as_bytes()];
        for turn in 0..20 {
            let (sender, receiver) = if turn % 2 == 0 { (&mut bob, &mut alice) } else { (&mut alice, &mut bob) };
            for number in 0..3 {
                let (place, key) = sender.send(&mut rng).unwrap();
                assert_eq!(place.number, number);
                let (equal, committed) = receives(receiver, &place, &key);
                assert!(equal && committed.skipped.is_empty());
                assert_eq!(committed.turned, number == 0);
                keys.push(*key.as_bytes());
            }
        }
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 61);
    }

    #[test]
    fn skipped_keys_of_both_chains_are_the_ones_sent() {
        let (Pair { mut alice, mut bob, mut rng }, place, key) = pair(2);
        receives(&mut bob, &place, &key);
        let lost: Vec<_> = (0..3).map(|_| alice.send(&mut rng).unwrap()).collect();
        let (place, key) = bob.send(&mut rng).unwrap();
        receives(&mut alice, &place, &key);
        let lost_too = alice.send(&mut rng).unwrap();
        let (place, key) = alice.send(&mut rng).unwrap();
        assert_eq!((place.previous, place.number), (4, 1));
        let (equal, committed) = receives(&mut bob, &place, &key);
        assert!(equal && committed.turned);
        assert_eq!(committed.skipped.len(), 2, "a run of each chain");
        let mut kept = Skipped::default();
        kept.add(committed.skipped, 0);
        assert_eq!(kept.len(), 4);
        for (place, key) in lost.iter().chain([&lost_too]) {
            assert_eq!(kept.get(&place.spot()), Some(key.as_bytes()));
        }
    }

    #[test]
    fn the_skip_limit_counts_both_chains_and_is_exact() {
        let (Pair { mut alice, mut bob, mut rng }, place, key) = pair(3);
        receives(&mut bob, &place, &key);
        let (answer, key) = bob.send(&mut rng).unwrap();
        receives(&mut alice, &answer, &key);
        let (place, _) = alice.send(&mut rng).unwrap();
        let at = |previous, number| Place { previous, number, ..place };
        // One message of the old chain was received.
        let mut kept = Skipped::default();
        kept.add(bob.receive(&at(1_001, 1_000)).unwrap().skipped, 0);
        assert_eq!(kept.len(), 2_000);
        assert_eq!(bob.receive(&at(1_001, 1_001)).err(), Some(PeerMisbehaved::TooManySkipped.into()));
        assert_eq!(bob.receive(&at(1_002, 1_000)).err(), Some(PeerMisbehaved::TooManySkipped.into()));
        assert_eq!(bob.receive(&at(u32::MAX, u32::MAX)).err(), Some(PeerMisbehaved::TooManySkipped.into()));
    }

    #[test]
    fn until_it_has_sent_a_side_takes_no_new_ratchet_key() {
        let (Pair { alice, mut bob, mut rng }, place, key) = pair(4);
        receives(&mut bob, &place, &key);
        let other = Place { key: PrivateKey::generate(&mut rng).public(), previous: 1, number: 0 };
        assert_eq!(bob.receive(&other).err(), Some(Decrypt.into()));
        bob.send(&mut rng).unwrap();
        assert!(bob.receive(&other).is_ok(), "the tag decides now");
        drop(alice);
    }

    #[test]
    fn the_last_number_ends_a_chain() {
        let (Pair { mut alice, mut bob, mut rng }, place, key) = pair(5);
        receives(&mut bob, &place, &key);
        alice.sending.as_mut().unwrap().chain.set_number(u32::MAX - 1);
        bob.receiving.as_mut().unwrap().chain.set_number(u32::MAX - 1);
        let (place, _) = alice.send(&mut rng).unwrap();
        assert_eq!(place.number, u32::MAX - 1);
        let step = bob.receive(&place).unwrap();
        bob.commit(step);
        assert_eq!(alice.send(&mut rng).err(), Some(PeerMisbehaved::CounterExhausted.into()));
        let last = Place { number: u32::MAX, ..place };
        assert_eq!(bob.receive(&last).err(), Some(PeerMisbehaved::CounterExhausted.into()));
    }

    #[test]
    fn b1_a_place_has_passed_or_not_in_the_present_chain_only() {
        let (Pair { mut alice, mut bob, mut rng }, first, key) = pair(7);
        assert_eq!(alice.passed(&first), None, "nothing came in yet");
        assert_eq!(bob.passed(&first), Some(false));
        receives(&mut bob, &first, &key);
        alice.send(&mut rng).unwrap();
        let (third, key) = alice.send(&mut rng).unwrap();
        assert_eq!(bob.passed(&third), Some(false));
        receives(&mut bob, &third, &key);
        for number in 0..5 {
            assert_eq!(bob.passed(&Place { number, ..first }), Some(number <= 2));
        }
        let (answer, key) = bob.send(&mut rng).unwrap();
        receives(&mut alice, &answer, &key);
        let (next, key) = alice.send(&mut rng).unwrap();
        assert_eq!(bob.passed(&next), None, "a chain that is to come");
        receives(&mut bob, &next, &key);
        assert_eq!(bob.passed(&third), None, "a chain that is over");
        assert_eq!(bob.passed(&next), Some(true));
    }

    #[test]
    fn a_low_order_ratchet_key_is_refused() {
        let (Pair { alice, mut bob, .. }, place, key) = pair(6);
        receives(&mut bob, &place, &key);
        let zero = Place { key: PublicKey::from_bytes([0; 32]), previous: 0, number: 0 };
        assert_eq!(alice.receive(&zero).err(), Some(PeerMisbehaved::WeakKey.into()));
    }
}
