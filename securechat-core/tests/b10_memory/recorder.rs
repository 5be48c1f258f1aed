//! Randomness that replays, with a note of what it gave.

use crate::scan::Secrets;
use rand_core::{TryCryptoRng, TryRng};
use securechat_core::crypto::hash::sha256;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A generator without a buffer, so that what it gave is nowhere but where it went: SHA-256 over seed and counter.
#[derive(Clone)]
pub struct Recorder {
    seed: u64,
    counter: Arc<Mutex<u64>>,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    all: Secrets,
    /// The counter before each of the outputs of 32 bytes, which are keys for the most part.
    of_32: Vec<u64>,
}

impl Recorder {
    pub fn new(seed: u64) -> Self {
        Self { seed, counter: Arc::default(), noted: Arc::default() }
    }

    /// One whose seed no other has in this process.
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1_000);
        Self::new(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// For an engine to take; this one goes on to know what it gives.
    pub fn boxed(&self) -> Box<dyn rand_core::CryptoRng + Send> {
        Box::new(self.clone())
    }

    /// All outputs so far that became keys, but those that are in what everybody may see.
    pub fn secrets(&self, public: &[u8]) -> Secrets {
        self.noted.lock().unwrap().all.clone().except_in(public)
    }

    /// How many outputs of 32 bytes there were.
    pub fn keys(&self) -> usize {
        self.noted.lock().unwrap().of_32.len()
    }

    /// The n-th output of 32 bytes, made anew.
    pub fn key(&self, n: usize) -> [u8; 32] {
        let counter = self.noted.lock().unwrap().of_32[n];
        self.block(counter)
    }

    fn block(&self, counter: u64) -> [u8; 32] {
        sha256(&[b"recorder", &self.seed.to_be_bytes(), &counter.to_be_bytes()])
    }
}

impl TryRng for Recorder {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let mut counter = self.counter.lock().unwrap();
        let mut noted = self.noted.lock().unwrap();
        if out.len() == 32 {
            noted.of_32.push(*counter);
        }
        for chunk in out.chunks_mut(32) {
            let block = self.block(*counter);
            chunk.copy_from_slice(&block[..chunk.len()]);
            *counter += 1;
        }
        match out.len() {
            // Ids and salts, which are no secrets.
            0..=16 => {}
            32 => noted.all.note("32 bytes of the generator", out),
            64 => noted.all.note("64 bytes of the generator", out),
            // What the rsa crate blinds with; it leaves that behind, like the key itself (SECURITY.md).
            _ => {}
        }
        Ok(())
    }
}

impl TryCryptoRng for Recorder {}
