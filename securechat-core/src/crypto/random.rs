//! Generators that forget.
//!
//! What a generator gives becomes a key, and many of these are meant to be gone when they were used. A generator of the
//! common kind undoes that: its state stays the same, and from it everything that it ever gave can be made again. The ones
//! here replace their key with each draw (fast key erasure), so that their state tells of the future only.

use super::secret::Secret;
use core::convert::Infallible;
use rand::rngs::StdRng;
use rand_core::{CryptoRng, Rng, SeedableRng, TryCryptoRng, TryRng};

/// The randomness that an engine owns; the host gives one that is good, a test one that replays.
///
/// A good one is the operating system's itself, or one [`from_seed`]: an engine's keys are as forgotten as its generator
/// forgets them.
pub type Random = Box<dyn CryptoRng + Send>;

/// A generator of its own for a part of an engine, seeded from the engine's: a run still replays from one seed.
pub fn fork(rng: &mut dyn CryptoRng) -> Random {
    Box::new(Erasing { key: Secret::random(rng) })
}

/// A generator of a seed, which the host takes from the operating system and wipes. What it gave cannot be made again
/// from what it holds.
pub fn from_seed(seed: &Secret<32>) -> Random {
    Box::new(Erasing { key: seed.duplicate() })
}

/// ChaCha12 under a key that serves one draw.
struct Erasing {
    key: Secret<32>,
}

impl TryRng for Erasing {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let mut stream = StdRng::from_seed(*self.key.as_bytes());
        stream.fill_bytes(self.key.as_mut_bytes());
        stream.fill_bytes(out);
        Ok(())
    }
}

impl TryCryptoRng for Erasing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_replay_from_their_seed() {
        let draw = |seed: u8| {
            let mut random = from_seed(&Secret::from_bytes(&[seed; 32]));
            let mut drawn = [[0; 40]; 3];
            drawn.iter_mut().for_each(|bytes| random.fill_bytes(bytes));
            (drawn, random.next_u32(), random.next_u64())
        };
        assert_eq!(draw(1), draw(1));
        let ([first, second, third], ..) = draw(1);
        assert!(first != second && second != third && draw(2).0[0] != first);
    }

    /// ATTACKS.md B10, for what a generator gave: the key that it was made from is replaced before it is handed out.
    #[test]
    fn b10_each_draw_replaces_the_key() {
        let mut random = Erasing { key: Secret::from_bytes(&[1; 32]) };
        let mut keys = vec![*random.key.as_bytes()];
        for length in [0, 1, 32, 1_000] {
            let mut out = vec![0; length];
            random.fill_bytes(&mut out);
            let key = *random.key.as_bytes();
            assert!(!keys.contains(&key) && !out.windows(32).any(|window| window == key));
            keys.push(key);
        }
    }
}
