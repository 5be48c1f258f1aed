//! The largest first envelope and handshake frame are as long as PROTOCOL.md section 11 says, and are taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use securechat_core::crypto::{mlkem, rsa, x25519};
use securechat_core::identity::{
    BUNDLE_VERSION, Bundle, DeviceKeys, LocalIdentity, PrekeyPublic, SIGNED_BUNDLE_MAX, StaticKeys, UserName,
};
use securechat_core::limits::{FIRST_ENVELOPE_MAX, HANDSHAKE_FRAME_MAX, SENT_CONTENT_MAX, SUITES_PER_BUNDLE};
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::session::{SenderCheck, Sessions};
use securechat_core::suite::{Policy, Suite};
use std::sync::Arc;

/// Late enough that every time takes ten bytes.
const NOW: u64 = 1 << 63;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The suites that need most room: the hybrid key exchange with the CBC cipher.
fn policy() -> Policy {
    Policy::new(vec![Suite::from_id(0x0302).unwrap()]).unwrap()
}

/// A device whose bundle has as much in it as any may.
fn largest() -> LocalIdentity {
    let rsa = rsa::PrivateKey::from_der(include_bytes!("keys/rsa4096.der")).unwrap();
    let statics_rsa = Some(rsa.public().clone());
    let keys = DeviceKeys { rsa: Some(Arc::new(rsa)), ..DeviceKeys::generate(&mut rng(1), None).unwrap() };
    let prekey = x25519::PrivateKey::generate(&mut rng(2)).public();
    let mlkem = mlkem::DecapsulationKey::generate(&mut rng(3)).encapsulation_key();
    let known = Suite::ALL.iter().map(|suite| suite.id());
    let bundle = Bundle {
        version: BUNDLE_VERSION,
        identity: keys.identity(),
        user: Some(UserName::new(&"a".repeat(32)).unwrap()),
        device: u32::MAX,
        serial: u64::MAX,
        not_before: NOW,
        not_after: NOW + 1,
        // Numbers of the longest encoding, which nobody knows yet, beside the known ones.
        suites: (0xff00..).take(SUITES_PER_BUNDLE - known.len()).chain(known).collect(),
        statics: StaticKeys { x25519: keys.x25519.public(), rsa: statics_rsa },
        prekeys: vec![PrekeyPublic::new(u32::MAX, prekey, None), PrekeyPublic::new(u32::MAX, prekey, Some(mlkem))],
    };
    let bundle = bundle.sign(&keys.identity).unwrap();
    // The known suites have numbers of two bytes, where the bound reckons with three.
    assert_eq!(bundle.bytes().len(), SIGNED_BUNDLE_MAX - Suite::ALL.len());
    LocalIdentity { keys, bundle }
}

#[test]
fn the_largest_first_envelope() {
    let (alice, mut rng) = (largest(), rng(4));
    let mut sessions = Sessions::new(policy(), Arc::default());
    let prekeys = sessions.last_resort_prekeys(NOW, &mut rng).unwrap();
    let keys = DeviceKeys::generate(&mut rng, None).unwrap();
    let bob = LocalIdentity::new(keys, Some(UserName::new("bob").unwrap()), 1, &policy(), prekeys, NOW).unwrap();

    let mut hers = Sessions::new(policy(), Arc::default());
    hers.open_to(&alice, &bob.bundle, None, false, NOW, &mut rng).unwrap();
    let content = vec![7; SENT_CONTENT_MAX];
    let envelope = hers.seal(&bob.keys.identity(), &content, false, &mut rng).unwrap();
    assert_eq!(envelope.len(), FIRST_ENVELOPE_MAX);
    assert!(hers.seal(&bob.keys.identity(), &[0; SENT_CONTENT_MAX + 1], false, &mut rng).is_err());

    let opened = sessions.open(&bob, &envelope, &|_| SenderCheck::Listed, NOW, &mut rng).unwrap();
    assert!(*opened.content == content);
}

#[test]
fn the_largest_handshake_frame() {
    let config = |local| {
        let mut config = LinkConfig::new(Purpose::Peer);
        config.policy = policy();
        config.local = Some(Arc::new(local));
        config
    };
    let keys = DeviceKeys::generate(&mut rng(5), None).unwrap();
    let other = LocalIdentity::new(keys, None, 0, &policy(), vec![], NOW).unwrap();
    let mut initiator = Link::initiator(config(other), Box::new(rng(6)), NOW).unwrap();
    let mut responder = Link::responder(config(largest()), Box::new(rng(7)), NOW).unwrap();
    let (mut offer, mut answer) = (Vec::new(), Vec::new());
    initiator.poll_transmit(&mut offer);
    responder.handle_input(&offer, NOW).unwrap();
    responder.poll_transmit(&mut answer);
    assert_eq!(answer.len(), 4 + HANDSHAKE_FRAME_MAX);
    initiator.handle_input(&answer, NOW).unwrap();
    assert!(matches!(initiator.poll_event(), Some(LinkEvent::Verify { .. })));
}
