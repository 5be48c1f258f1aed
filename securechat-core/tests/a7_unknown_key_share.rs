//! ATTACKS.md A7: no run ends with equal keys and different ideas of who the peer is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::PeerMisbehaved;
use securechat_core::identity::{Fingerprint, LocalIdentity, SignedBundle};
use securechat_core::link::{Link, LinkEvent, Purpose};
use securechat_core::suite::Suite;
use std::sync::Arc;
use support::*;

/// The identity of `seed` with a bundle that claims the static keys of another one as its own.
fn thief(seed: u64, of: u64) -> Arc<LocalIdentity> {
    let own = new_identity(seed);
    let mut bundle = own.bundle.bundle().clone();
    bundle.statics = identity(of).bundle.bundle().statics.clone();
    let bundle = bundle.sign(&own.keys.identity).unwrap();
    Arc::new(LocalIdentity { keys: own.keys, bundle })
}

/// Somebody claims Bob's static keys under an identity of their own, and proves nothing with their own keys.
#[test]
fn a7_a_claimed_static_key_is_not_enough() {
    for purpose in PURPOSES {
        for suite in Suite::ALL {
            let mut configs = configs(purpose, &[suite]);
            configs[RESPONDER].local = Some(thief(3, 2));
            configs[INITIATOR].pin = Some(fingerprint(3));
            let mut pair = Pair::with(configs);
            assert_eq!(pair.run(), Err(PeerMisbehaved::StaticKeyMismatch.into()), "{suite}");
            assert!(!pair.ends.iter().any(Link::is_open));
        }
    }
}

/// Three parties: Alice (1) speaks with Mallory (3), who also speaks with Bob (2) and passes on whatever helps. Alice's
/// link and Bob's are both honest; every choice of own and passed-on flights is tried.
#[test]
fn a7_whatever_is_passed_on_equal_keys_mean_the_right_names() {
    for suite in Suite::ALL {
        let mut passed_on = 0;
        for choices in 0..16_u32 {
            let peer = |seed: u64| {
                let mut config = config(Purpose::Peer, &[suite], seed);
                config.pin = None;
                config
            };
            // Mallory has Bob's static keys in her bundle where she speaks with Alice, and Alice's towards Bob.
            let mut towards_alice = peer(3);
            towards_alice.local = Some(if choices & 8 == 0 { identity(3) } else { thief(3, 2) });
            let mut alice = Pair::with([peer(1), towards_alice]);
            let mut bob = Pair::with([peer(3), peer(2)]);
            let names = [1, 2, 3].map(fingerprint);
            for round in 0..6 {
                let own = choices >> (round % 3) & 1 == 0;
                for (from, to) in [(INITIATOR, RESPONDER), (RESPONDER, INITIATOR)] {
                    // What Alice writes goes to Bob as it is, or each link goes on by itself.
                    if own {
                        let _ = alice.deliver(to, |_| ());
                        let _ = bob.deliver(to, |_| ());
                    } else {
                        let (writer, reader) =
                            if from == INITIATOR { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
                        if let Some(bytes) = writer.wires[to].pop_front() {
                            let _ = reader.feed(to, &bytes);
                        }
                    }
                }
                // Everybody trusts whoever they were shown: the names are all that can be wrong.
                for pair in [&mut alice, &mut bob] {
                    accept_anybody(pair, INITIATOR, &names);
                    accept_anybody(pair, RESPONDER, &names);
                }
            }
            let ends = [(&alice, 0, 1), (&alice, 1, 3), (&bob, 0, 3), (&bob, 1, 2)];
            for (one, one_end, one_name) in ends {
                for (other, other_end, other_name) in ends {
                    let (Some(a), Some(b)) = (opened(one, one_end), opened(other, other_end)) else { continue };
                    if a.0 == b.0 && one_end != other_end {
                        passed_on += usize::from(one_name + other_name == 3);
                        assert_eq!((a.1, b.1), (fingerprint(other_name), fingerprint(one_name)), "{suite} {choices}");
                    }
                }
            }
        }
        assert!(passed_on > 0, "Alice and Bob speak with each other when all is passed on");
    }
}

fn accept_anybody(pair: &mut Pair, end: usize, names: &[Fingerprint]) {
    let shown = pair.events[end].iter().find_map(|event| match event {
        LinkEvent::Verify { bundle, .. } => Some(bundle.fingerprint()),
        _ => None,
    });
    if let Some(shown) = shown {
        assert!(names.contains(&shown));
        let _ = pair.ends[end].accept(&shown, pair.now);
        pair.collect(end);
        pair.events[end].retain(|event| !matches!(event, LinkEvent::Verify { .. }));
    }
}

/// The channel binding of an end that opened, and whom it takes the other side for.
fn opened(pair: &Pair, end: usize) -> Option<([u8; 32], Fingerprint)> {
    pair.events[end].iter().find_map(|event| match event {
        LinkEvent::Open { channel_binding, remote, .. } => {
            Some((*channel_binding, remote.as_ref().map(SignedBundle::fingerprint)?))
        }
        _ => None,
    })
}
