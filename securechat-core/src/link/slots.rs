//! The bound on RSA private operations that a host runs at once (PROTOCOL.md 2.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of places, shared by the links of a host. The private operation of an RSA handshake holds one while it runs,
/// and nothing else does: who only begins handshakes takes no place from anybody. An offer that finds all of them taken
/// is answered with `busy`, an operation that does fails its link.
#[derive(Clone, Debug)]
pub struct RsaSlots(Arc<AtomicUsize>);

impl RsaSlots {
    /// This many places, usually [`Limits::rsa_handshakes`](crate::limits::Limits::rsa_handshakes).
    pub fn new(places: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(places)))
    }

    /// Whether a place is free at this moment.
    pub(super) fn has_room(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ApiMisuse, Error};
    use crate::identity::samples::{self, NOW};
    use crate::link::{Link, LinkConfig, Purpose};
    use crate::suite::{Policy, Suite};

    /// ATTACKS.md C3: as many private operations at once as there are places, and a place for nothing else.
    #[test]
    fn c3_the_private_operation_holds_a_place_and_nothing_else_does() {
        let slots = RsaSlots::new(1);
        let relay = Arc::new(samples::local("relay", 2));
        let config = || {
            let mut config = LinkConfig::new(Purpose::Relay);
            config.policy = Policy::new(vec![Suite::ALL[2]]).unwrap();
            config
        };
        let run = |held: bool| -> Result<(), Error> {
            let mut wire = Vec::new();
            let (mut near, mut far) = (config(), config());
            near.pin = Some(relay.bundle.fingerprint());
            (far.local, far.rsa_slots) = (Some(relay.clone()), Some(slots.clone()));
            let mut near = Link::initiator(near, Box::new(samples::rng(1)), NOW).unwrap();
            let mut far = Link::responder(far, Box::new(samples::rng(2)), NOW).unwrap();
            near.poll_transmit(&mut wire);
            far.handle_input(&core::mem::take(&mut wire), NOW).unwrap();
            assert!(slots.has_room(), "a handshake that began holds nothing");
            far.poll_transmit(&mut wire);
            near.handle_input(&core::mem::take(&mut wire), NOW).unwrap();
            near.poll_transmit(&mut wire);
            let place = held.then(|| slots.take().unwrap());
            let outcome = far.handle_input(&wire, NOW);
            drop(place);
            assert!(slots.has_room(), "and none that ended");
            outcome
        };
        assert_eq!(run(false), Ok(()));
        assert_eq!(run(true), Err(ApiMisuse::Busy.into()));
        assert_eq!(run(false), Ok(()));
    }
}
