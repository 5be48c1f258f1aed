//! ATTACKS.md A12: a bundle copied into another's handshake is refused. (Signed by one identity, payload of another: beside
//! the Noise engine and in sessions.)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::PeerMisbehaved;
use securechat_core::identity::LocalIdentity;
use securechat_core::link::{Link, LinkConfig, Purpose};
use securechat_core::suite::Suite;
use std::sync::Arc;
use support::*;

/// Our own keys under somebody else's bundle.
fn impostor(config: &mut LinkConfig, seed: u64, bundle_of: u64) {
    let keys = new_identity(seed).keys;
    let bundle = identity(bundle_of).bundle.clone();
    config.local = Some(Arc::new(LocalIdentity { keys, bundle }));
}

#[test]
fn a12_by_the_responder() {
    for purpose in PURPOSES {
        for suite in Suite::ALL {
            let mut configs = configs(purpose, &[suite]);
            impostor(&mut configs[RESPONDER], 3, 2);
            let mut pair = Pair::with(configs);
            assert_eq!(pair.run(), Err(PeerMisbehaved::StaticKeyMismatch.into()), "{purpose:?} {suite}");
            assert!(!pair.ends.iter().any(Link::is_open));
        }
    }
}

#[test]
fn a12_by_the_initiator() {
    for suite in Suite::ALL {
        let mut configs = configs(Purpose::Peer, &[suite]);
        impostor(&mut configs[INITIATOR], 4, 1);
        let mut pair = Pair::with(configs);
        assert_eq!(pair.run(), Err(PeerMisbehaved::StaticKeyMismatch.into()), "{suite}");
        assert!(!pair.ends[RESPONDER].is_open() && !pair.saw_anything(RESPONDER));
    }
}
