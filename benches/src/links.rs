//! Both ends of a link.

use crate::{NOW, random};
use securechat_core::identity::{DeviceKeys, LocalIdentity};
use securechat_core::link::{Data, Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::suite::{Policy, Suite};
use std::sync::Arc;

/// A device, or a relay, with the keys of every suite that is given.
pub fn identity(seed: u64, suites: &[Suite], rsa_bits: Option<usize>) -> Arc<LocalIdentity> {
    let keys = DeviceKeys::generate(&mut *random(seed), rsa_bits).unwrap();
    let policy = Policy::new(suites.to_vec()).unwrap();
    Arc::new(LocalIdentity::new(keys, None, 0, &policy, vec![], NOW).unwrap())
}

/// What both ends of a link are set up with, so that a measurement begins at its first byte.
pub struct Ends {
    purpose: Purpose,
    policy: Policy,
    relay: Arc<LocalIdentity>,
    peer: Arc<LocalIdentity>,
}

impl Ends {
    /// Ends that will speak this suite.
    pub fn new(suite: Suite, purpose: Purpose, rsa_bits: Option<usize>) -> Self {
        let policy = Policy::new(vec![suite]).unwrap();
        Self { purpose, policy, relay: identity(1, &[suite], rsa_bits), peer: identity(2, &[suite], rsa_bits) }
    }

    /// Two ends before their first byte.
    pub fn begin(&self) -> (Link, Link) {
        let mut config = LinkConfig::new(self.purpose);
        config.policy = self.policy.clone();
        config.pin = Some(self.relay.bundle.fingerprint());
        config.local = (self.purpose == Purpose::Peer).then(|| self.peer.clone());
        let initiator = Link::initiator(config, random(3), NOW).unwrap();
        let mut config = LinkConfig::new(self.purpose);
        config.policy = self.policy.clone();
        config.pin = (self.purpose == Purpose::Peer).then(|| self.peer.bundle.fingerprint());
        config.local = Some(self.relay.clone());
        (initiator, Link::responder(config, random(4), NOW).unwrap())
    }

    /// A handshake from the first byte to the last.
    pub fn open(&self) -> (Link, Link) {
        let (mut initiator, mut responder) = self.begin();
        handshake(&mut initiator, &mut responder);
        initiator.raise_frame_limit();
        responder.raise_frame_limit();
        (initiator, responder)
    }
}

/// Moves bytes until both ends are open.
pub fn handshake(initiator: &mut Link, responder: &mut Link) {
    let mut wire = Vec::new();
    while initiator.poll_transmit(&mut wire) {
        responder.handle_input(&wire, NOW).unwrap();
        wire.clear();
        responder.poll_transmit(&mut wire);
        initiator.handle_input(&wire, NOW).unwrap();
        wire.clear();
    }
    for end in [initiator, responder] {
        assert!(matches!(end.poll_event(), Some(LinkEvent::Open { .. })));
    }
}

/// One record from one end to the other: sealed, written to `wire`, read and opened. Gives its data.
pub fn record(from: &mut Link, to: &mut Link, data: &[u8], wire: &mut Vec<u8>) -> Data {
    seal(from, data, wire);
    open(to, wire)
}

/// Seals one record into `wire`.
pub fn seal(from: &mut Link, data: &[u8], wire: &mut Vec<u8>) {
    wire.clear();
    from.send_into(data, wire).unwrap();
}

/// Opens the one record in `wire`.
pub fn open(to: &mut Link, wire: &[u8]) -> Data {
    to.handle_input(wire, NOW).unwrap();
    let Some(LinkEvent::Data(data)) = to.poll_event() else { panic!("no data") };
    data
}
