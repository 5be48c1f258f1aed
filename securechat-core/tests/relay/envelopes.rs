//! Envelopes are delivered in order, at least once, until they are acknowledged (L1, L2); D2.

use crate::support::*;
use securechat_core::limits::{DAY, DELIVERIES_IN_FLIGHT, ENVELOPE_MAX, Limits};
use securechat_core::relay::RelayEvent;
use securechat_core::wire::{RefusalCode, Request, Send, SendItem, SendOutcome};

#[test]
fn two_people_write_to_each_other() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.sends(&alice, &bob, 1, b"one");
    net.sends(&bob, &alice, 1, b"two");
    let to_bob = net.delivered(bob.conn());
    assert_eq!((to_bob.len(), &*to_bob[0].envelope, to_bob[0].sender), (1, &b"one"[..], alice.identity()));
    assert_eq!((to_bob[0].user.as_str(), to_bob[0].sent_at, to_bob[0].transient), ("alice", net.now, false));
    assert_eq!(&*net.delivered(alice.conn())[0].envelope, b"two");
    assert!(net.events.iter().any(|event| matches!(event, RelayEvent::Routed { bytes: 3, transient: false, .. })));
}

/// ATTACKS.md D2: a request has no place for a sender; the relay names the device that logged in on the connection.
#[test]
fn d2_the_sender_is_the_device_of_the_connection() {
    let mut net = Net::new();
    let (alice, bob, mallory) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("mallory", 3));
    // An id that Alice used: it takes nothing of hers away, and her name is not on it.
    net.sends(&alice, &bob, 1, b"genuine");
    net.sends(&mallory, &bob, 1, b"forged");
    let senders: Vec<_> =
        net.delivered(bob.conn()).iter().map(|d| (d.sender, d.user.clone(), d.envelope.to_vec())).collect();
    assert_eq!(senders[0], (alice.identity(), name("alice"), b"genuine".to_vec()));
    assert_eq!(senders[1], (mallory.identity(), name("mallory"), b"forged".to_vec()));
}

#[test]
fn what_waits_comes_in_order_at_each_login_until_it_is_acknowledged() {
    let mut net = Net::new();
    let (alice, mut bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.disconnect(&mut bob);
    for id in 1..=5 {
        net.sends(&alice, &bob, id, &[id; 10]);
    }
    for _ in 0..2 {
        net.log_in(&mut bob);
        let got: Vec<u8> = net.delivered(bob.conn()).iter().map(|deliver| deliver.envelope[0]).collect();
        assert_eq!(got, [1, 2, 3, 4, 5]);
    }
    net.disconnect(&mut bob);
    net.log_in(&mut bob);
    let got = net.delivered(bob.conn());
    net.acknowledge(&bob, &got[1..4]);
    net.acknowledge(&bob, &got[1..2]);
    net.disconnect(&mut bob);
    net.log_in(&mut bob);
    let got: Vec<u8> = net.delivered(bob.conn()).iter().map(|deliver| deliver.envelope[0]).collect();
    assert_eq!(got, [1, 5]);
}

/// L1: a send that is repeated after a reconnect is taken once.
#[test]
fn a_repeated_send_is_stored_once() {
    let mut net = Net::new();
    let (mut alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    for _ in 0..1_000 {
        net.sends(&alice, &bob, 7, b"once");
    }
    net.log_in(&mut alice);
    net.sends(&alice, &bob, 7, b"once");
    let got = net.delivered(bob.conn());
    assert_eq!(got.len(), 1);
    net.acknowledge(&bob, &got);
    net.sends(&alice, &bob, 7, b"once");
    assert!(net.delivered(bob.conn()).is_empty(), "also after it was acknowledged");
    // The same id to somebody else is another envelope.
    let carol = net.registered("carol", 3);
    net.sends(&alice, &carol, 7, b"once");
    assert_eq!(net.delivered(carol.conn()).len(), 1);
}

#[test]
fn sends_on_one_connection_arrive_in_their_order() {
    let mut net = Net::new();
    let (alice, mut bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.disconnect(&mut bob);
    net.hold_jobs = true;
    for id in 0..30 {
        net.ask(alice.conn(), &Request::Send(Send { items: vec![item(&bob, id, &[id])] }));
        if id == 10 {
            // In the middle of them the recipient comes back.
            let conn = net.connect();
            let request = bob.log_in_device(&net.bindings[&conn]);
            net.ask(conn, &request);
            bob.conn = Some(conn);
        }
    }
    net.hold_jobs = false;
    net.run();
    let got: Vec<u8> = net.delivered(bob.conn()).iter().map(|deliver| deliver.envelope[0]).collect();
    assert_eq!(got, (0..30).collect::<Vec<u8>>());
}

#[test]
fn only_so_many_are_in_flight() {
    let mut net = Net::new();
    let (alice, mut bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.disconnect(&mut bob);
    let total = 600_usize;
    for number in 0..total {
        let mut item = item(&bob, 0, &(number as u32).to_be_bytes());
        item.id.0[..4].copy_from_slice(&(number as u32).to_be_bytes());
        assert_eq!(net.send(&alice, vec![item])[0].outcome, SendOutcome::Taken);
    }
    net.log_in(&mut bob);
    let mut all = Vec::new();
    let mut batches = Vec::new();
    loop {
        let got = net.delivered(bob.conn());
        if got.is_empty() {
            break;
        }
        batches.push(got.len());
        net.acknowledge(&bob, &got[..got.len().min(256)]);
        all.extend(got.into_iter().map(|deliver| u32::from_be_bytes(deliver.envelope[..].try_into().unwrap())));
    }
    assert_eq!(batches[0], DELIVERIES_IN_FLIGHT);
    assert_eq!(all, (0..total as u32).collect::<Vec<_>>());
    // And in bytes.
    net.disconnect(&mut bob);
    for id in 1..=30 {
        net.sends(&alice, &bob, id, &[id; 60_000]);
    }
    net.log_in(&mut bob);
    let got = net.delivered(bob.conn());
    assert!((17..=18).contains(&got.len()), "{}", got.len());
    net.acknowledge(&bob, &got);
    assert_eq!(net.delivered(bob.conn()).len() + got.len(), 30);
}

#[test]
fn a_full_mailbox_refuses_and_the_others_go_on() {
    let mut limits = Limits::default();
    limits.mailbox_envelopes = 3;
    let mut net = Net::with(limits, |_| {});
    let (alice, mut bob, carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    net.disconnect(&mut bob);
    let items = vec![item(&bob, 1, b"1"), item(&bob, 2, b"2"), item(&carol, 3, b"x"), item(&bob, 4, b"3")];
    assert!(net.send(&alice, items).iter().all(|result| result.outcome == SendOutcome::Taken));
    let results = net.send(&alice, vec![item(&bob, 5, b"4"), item(&carol, 6, b"y"), item(&bob, 4, b"3")]);
    let outcomes: Vec<_> = results.iter().map(|result| result.outcome).collect();
    assert_eq!(outcomes, [SendOutcome::Full, SendOutcome::Taken, SendOutcome::Taken]);
    net.log_in(&mut bob);
    let got = net.delivered(bob.conn());
    assert_eq!(got.len(), 3);
    net.acknowledge(&bob, &got);
    net.sends(&alice, &bob, 5, b"4");
    assert_eq!(net.delivered(bob.conn()).len(), 1, "the refused one can be sent again");
}

/// L2: typing notices and the like are for who is there.
#[test]
fn transient_envelopes_are_never_stored() {
    let mut net = Net::new();
    let (alice, mut bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let transient = |id, bob: &Device| SendItem { transient: true, ..item(bob, id, b"typing") };
    assert_eq!(net.send(&alice, vec![transient(1, &bob)])[0].outcome, SendOutcome::Taken);
    let got = net.delivered(bob.conn());
    assert_eq!((got.len(), got[0].transient), (1, true));
    net.disconnect(&mut bob);
    let sent = net.send(&alice, vec![transient(2, &bob)]);
    assert_eq!((sent[0].outcome, sent[0].epoch), (SendOutcome::Taken, 0), "whether somebody is there does not show");
    net.log_in(&mut bob);
    assert!(net.delivered(bob.conn()).is_empty());
    let stranger = Device::new("x", 9);
    assert_eq!(net.send(&alice, vec![transient(3, &stranger)])[0].outcome, SendOutcome::Unknown);
}

#[test]
fn envelopes_have_bounds() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.sends(&alice, &bob, 1, &vec![1; ENVELOPE_MAX]);
    for length in [0, ENVELOPE_MAX + 1] {
        let items = vec![item(&bob, 2, b"x"), item(&bob, 3, &vec![1; length])];
        assert_eq!(net.refused(alice.conn(), &Request::Send(Send { items })), RefusalCode::Malformed);
    }
    assert_eq!(net.delivered(bob.conn()).len(), 1, "nothing of a refused request is done");
}

#[test]
fn what_nobody_fetches_goes_after_thirty_days() {
    let mut net = Net::new();
    let (mut alice, mut bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.disconnect(&mut bob);
    net.sends(&alice, &bob, 1, b"old");
    net.pass(29 * DAY);
    net.log_in(&mut alice);
    net.sends(&alice, &bob, 2, b"new");
    net.pass(DAY + 1);
    net.log_in(&mut bob);
    let got: Vec<_> = net.delivered(bob.conn()).iter().map(|deliver| deliver.envelope.to_vec()).collect();
    assert_eq!(got, [b"new"]);
}
