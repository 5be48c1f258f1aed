//! A password leaves a client only on a link whose relay is pinned or was accepted (4.2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{ApiMisuse, PeerMisbehaved};
use securechat_core::event::{Event, LinkId};
use securechat_core::identity::{Fingerprint, RelayAddress};
use securechat_core::suite::Policy;
use support::net::{Net, PASSWORD, PLACE};

/// What a `Verify` showed and expected.
fn verify(net: &Net, host: usize) -> Option<(LinkId, Fingerprint, Option<Fingerprint>)> {
    net.hosts[host].events.iter().rev().find_map(|event| match event {
        Event::Verify { link, fingerprint, expected, user: None, .. } => Some((*link, *fingerprint, *expected)),
        _ => None,
    })
}

/// No password can be given, and the relay was asked nothing.
fn assert_mute(net: &mut Net, host: usize) {
    let now = net.now;
    let client = &mut net.hosts[host].client;
    for outcome in [client.register(PASSWORD, now), client.log_in(PASSWORD, None, now), client.enter(PASSWORD, now)] {
        assert_eq!(outcome, Err(ApiMisuse::NotConnected.into()));
    }
    net.drain(host);
    net.run();
    assert!(net.relay.hashing.is_empty());
    assert!(!net.saw(host, |event| matches!(event, Event::LinkOpen { .. })));
}

#[test]
fn a10_an_unknown_relay_gets_no_password_until_it_is_accepted() {
    let policy = Policy::default();
    let mut net = Net::new(31, &policy);
    let alice = net.add("alice", &policy);
    let anywhere: RelayAddress = PLACE.parse().unwrap();
    net.connect_to(alice, &anywhere);
    net.run();
    let (link, shown, expected) = verify(&net, alice).unwrap();
    assert_eq!((shown, expected), (net.relay.local.bundle.fingerprint(), None));
    assert_mute(&mut net, alice);
    let another = net.hosts[alice].client.fingerprint();
    assert!(net.hosts[alice].client.accept_link(link, &another, net.now).is_err());
    net.drain(alice);
    assert!(net.saw(alice, |event| matches!(event, Event::LinkClosed { error: Some(_), .. })));
    assert_mute(&mut net, alice);
    net.connect_to(alice, &anywhere);
    net.run();
    let (link, shown, _) = verify(&net, alice).unwrap();
    net.hosts[alice].client.accept_link(link, &shown, net.now).unwrap();
    net.drain(alice);
    net.run();
    net.hosts[alice].client.register(PASSWORD, net.now).unwrap();
    net.drain(alice);
    net.run();
    assert!(net.saw(alice, |event| *event == Event::LoggedIn { listed: true }));
    // From now on it is pinned: no question is asked.
    net.cut(alice);
    net.forget_events();
    net.connect_to(alice, &anywhere);
    net.run();
    assert!(verify(&net, alice).is_none());
    assert!(net.saw(alice, |event| *event == Event::LoggedIn { listed: true }));
}

#[test]
fn a10_a_relay_that_is_refused_gets_no_password_and_is_asked_about_again() {
    let policy = Policy::default();
    let mut net = Net::new(34, &policy);
    let alice = net.add("alice", &policy);
    let anywhere: RelayAddress = PLACE.parse().unwrap();
    for _ in 0..2 {
        net.forget_events();
        net.connect_to(alice, &anywhere);
        net.run();
        let (link, ..) = verify(&net, alice).unwrap();
        net.hosts[alice].client.refuse_link(link, net.now);
        net.drain(alice);
        let refused = Some(PeerMisbehaved::IdentityMismatch.into());
        assert!(net.saw(alice, |event| matches!(event, Event::LinkClosed { error, .. } if *error == refused)));
        assert_mute(&mut net, alice);
    }
}

#[test]
fn a10_a_relay_with_another_key_gets_no_password() {
    let policy = Policy::default();
    let mut net = Net::new(32, &policy);
    let other = Net::new(33, &policy);
    // The address says whom to expect, and somebody else answers.
    let alice = net.add("alice", &policy);
    let wrong = other.address();
    net.connect_to(alice, &wrong);
    net.run();
    let (_, shown, expected) = verify(&net, alice).unwrap();
    assert_eq!(expected, wrong.fingerprint);
    assert_ne!(Some(shown), expected);
    assert_mute(&mut net, alice);

    // A relay that was pinned before comes back with another key.
    let bob = net.register("bob", &policy);
    let pinned = net.relay.local.bundle.fingerprint();
    net.cut(bob);
    net.relay.hashing.clear();
    net.forget_events();
    net.relay.local = other.relay.local.clone();
    net.connect_to(bob, &PLACE.parse().unwrap());
    net.run();
    let (_, shown, expected) = verify(&net, bob).unwrap();
    assert_eq!((shown, expected), (other.relay.local.bundle.fingerprint(), Some(pinned)));
    assert_mute(&mut net, bob);
}
