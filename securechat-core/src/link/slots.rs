//! The bound on RSA handshakes that a host runs at once (PROTOCOL.md 2.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of places, shared by the links of a host. An RSA handshake holds one while it runs; the offer that finds
/// none is answered with `busy`.
#[derive(Clone, Debug)]
pub struct RsaSlots(Arc<AtomicUsize>);

impl RsaSlots {
    /// This many places, usually [`Limits::rsa_handshakes`](crate::limits::Limits::rsa_handshakes).
    pub fn new(places: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(places)))
    }

    pub(super) fn take(&self) -> Option<RsaSlot> {
        let less = |free: usize| free.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok().map(|_| RsaSlot(self.clone()))
    }
}

/// One place, given back on drop.
#[derive(Debug)]
pub(super) struct RsaSlot(RsaSlots);

impl Drop for RsaSlot {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}
