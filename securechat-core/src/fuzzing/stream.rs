//! Randomness that is the same in every run.

use crate::crypto::hash::sha256;
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};

/// SHA-256 over a seed and a counter. For fuzzing only.
#[derive(Debug)]
pub(super) struct Stream {
    seed: u8,
    number: u64,
    counter: u64,
}

impl Stream {
    /// The stream of this seed.
    pub(super) fn new(seed: u8) -> Self {
        Self::numbered(seed, 0)
    }

    /// The stream of this seed and number.
    pub(super) fn numbered(seed: u8, number: u64) -> Self {
        Self { seed, number, counter: 0 }
    }

    fn next_block(&mut self) -> [u8; 32] {
        self.counter += 1;
        sha256(&[b"fuzzing", &[self.seed], &self.number.to_be_bytes(), &self.counter.to_be_bytes()])
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|number| number as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for piece in target.chunks_mut(32) {
            piece.iter_mut().zip(self.next_block()).for_each(|(slot, byte)| *slot = byte);
        }
        Ok(())
    }
}

impl TryCryptoRng for Stream {}
