//! Randomness that a case states.

use core::cell::Cell;
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};
use std::collections::VecDeque;

thread_local! {
    /// How many stated draws of the present case have not been taken.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// A case begins.
pub(super) fn begin() {
    LEFT.set(0);
}

/// Whether a stated draw was not taken: a backend has randomness of its own, or the case failed before.
pub(super) fn has_coins_left() -> bool {
    LEFT.get() > 0
}

/// Gives the stated draws, in their order. What blinds a private RSA operation changes no outcome and is not stated;
/// it is drawn in other portions than keys, seeds and salts are.
pub(crate) struct Script {
    draws: VecDeque<Vec<u8>>,
    blinding: u64,
}

/// Lengths of what is stated.
const STATED: [usize; 4] = [16, 20, 32, 64];

impl Script {
    pub(crate) fn new(draws: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let draws: VecDeque<_> = draws.into_iter().collect();
        LEFT.set(LEFT.get() + draws.len());
        Self { draws, blinding: 1 }
    }

    pub(crate) fn boxed(draws: impl IntoIterator<Item = Vec<u8>>) -> crate::crypto::Random {
        Box::new(Self::new(draws))
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| word as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.blinding = self.blinding.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Ok(self.blinding)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        if let Some(draw) = self.draws.pop_front_if(|draw| draw.len() == out.len()) {
            out.copy_from_slice(&draw);
            LEFT.set(LEFT.get() - 1);
            return Ok(());
        }
        // With AWS-LC, which draws for itself, an end may go astray and ask for more; such cases are not compared.
        let stated = cfg!(feature = "aws-lc") || !STATED.contains(&out.len());
        assert!(stated, "a draw of {} bytes that the case does not state", out.len());
        out.fill_with(|| self.try_next_u64().map_or(0, |word| (word >> 56) as u8));
        Ok(())
    }
}

impl TryCryptoRng for Script {}
