//! Envelopes are delivered in order, at least once, until they are acknowledged (L1, L2).

use crate::support::*;
use securechat_core::relay::RelayEvent;
use securechat_core::wire::{Ping, Reply, Request};

#[test]
fn two_people_write_to_each_other() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    assert!(net.admitted.contains(&alice.conn()));
    net.sends(&alice, &bob, 1, b"one");
    net.sends(&bob, &alice, 1, b"two");
    let to_bob = net.delivered(bob.conn());
    assert_eq!((to_bob.len(), &*to_bob[0].envelope, to_bob[0].sender), (1, &b"one"[..], alice.identity()));
    assert_eq!((to_bob[0].user.as_str(), to_bob[0].sent_at, to_bob[0].transient), ("alice", net.now, false));
    assert_eq!(&*net.delivered(alice.conn())[0].envelope, b"two");
    assert!(net.events.iter().any(|event| matches!(event, RelayEvent::Routed { bytes: 3, transient: false, .. })));
    assert!(matches!(net.request(bob.conn(), &Request::Ping(Ping)), Ok(Reply::Ping(_))));
}
