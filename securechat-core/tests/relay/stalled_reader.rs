//! ATTACKS.md D7: one stalled reader slows nobody else; a queue that fills ends that reader, not the relay.

use crate::support::*;
use securechat_core::limits::Limits;
use securechat_core::wire::{
    BlobId, CloseCode, CreateBlob, GetChunk, Ping, Presence, PutChunk, Reply, Request, SendItem, SetPresence,
};

#[test]
fn d7_the_mailbox_waits_in_the_store_and_not_in_memory() {
    let mut net = Net::new();
    let (alice, bob, carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    net.relay.pause_output(bob.conn(), net.now);
    for id in 0..200 {
        net.sends(&alice, &bob, id, &[id; 60_000]);
        net.sends(&alice, &carol, id, b"x");
        let typing = SendItem { transient: true, ..item(&bob, 201, &[0; 60_000]) };
        net.send(&alice, vec![typing]);
        let got = net.delivered(carol.conn());
        assert_eq!(got.len(), 1, "the others read on");
        net.acknowledge(&carol, &got);
    }
    assert!(format!("{:?}", net.relay).contains("queued: 0"), "{:?}", net.relay);
    assert!(!net.closed.contains_key(&bob.conn()));
    // When it reads again, everything comes, in order.
    net.relay.resume_output(bob.conn());
    let mut all = Vec::new();
    loop {
        net.run();
        let got = net.delivered(bob.conn());
        if got.is_empty() {
            break;
        }
        net.acknowledge(&bob, &got);
        all.extend(got.iter().map(|deliver| deliver.envelope[0]));
    }
    assert_eq!(all, (0..200).collect::<Vec<u8>>());
}

#[test]
fn d7_a_queue_that_fills_ends_its_reader() {
    let mut limits = Limits::default();
    limits.output_queue = 300_000;
    let mut net = Net::with(limits, |_| {});
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let id = BlobId([1; 16]);
    assert!(net.request(alice.conn(), &Request::CreateBlob(CreateBlob { id, size: 61_440 })).is_ok());
    let chunk = PutChunk { id, index: 0, chunk: vec![0; 61_504].into() };
    assert!(net.request(alice.conn(), &Request::PutChunk(chunk)).is_ok());
    net.relay.pause_output(bob.conn(), net.now);
    for asked in 1..=5 {
        net.ask(bob.conn(), &Request::GetChunk(GetChunk { id, index: 0 }));
        net.run();
        assert_eq!(net.closed.contains_key(&bob.conn()), asked == 5, "{asked}");
    }
    assert_eq!(net.closed[&bob.conn()], CloseCode::Stalled as u8);
    assert!(net.inbox.entry(bob.conn()).or_default().is_empty(), "what it did not read is dropped");
    assert!(format!("{:?}", net.relay).contains("queued: 0"));
    assert!(matches!(net.request(alice.conn(), &Request::Ping(Ping)), Ok(Reply::Ping(_))));
}

/// Pushes that many share count for each of them.
#[test]
fn d7_a_watcher_who_does_not_read_is_ended() {
    let mut limits = Limits::default();
    limits.output_queue = 600;
    limits.stall_timeout = core::time::Duration::from_secs(100_000);
    let mut net = Net::with(limits, |_| {});
    let watch = Request::SetPresence(SetPresence { presence: Presence::Online, watch: true });
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    assert!(net.request(alice.conn(), &watch).is_ok());
    assert!(net.request(bob.conn(), &watch).is_ok());
    net.relay.pause_output(bob.conn(), net.now);
    for round in 0..40 {
        let presence = if round % 2 == 0 { Presence::Away } else { Presence::Online };
        let request = Request::SetPresence(SetPresence { presence, watch: true });
        assert!(net.request(alice.conn(), &request).is_ok());
        net.pass(1_000);
        net.pushes(alice.conn());
    }
    assert_eq!(net.closed.get(&bob.conn()), Some(&(CloseCode::Stalled as u8)));
    assert!(!net.closed.contains_key(&alice.conn()));
}

#[test]
fn who_reads_nothing_for_long_is_ended() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    net.relay.pause_output(alice.conn(), net.now);
    net.pass(30_000);
    net.relay.resume_output(alice.conn());
    net.relay.pause_output(alice.conn(), net.now);
    net.pass(59_999);
    assert!(net.closed.is_empty());
    net.pass(1);
    assert_eq!(net.closed[&alice.conn()], CloseCode::Stalled as u8);
}

/// The room is shared: the more is queued for all, the less one may have, and never nothing.
#[test]
fn many_stalled_readers_share_a_room() {
    let mut limits = Limits::default();
    limits.output_total = 8 << 20;
    let mut net = Net::with(limits, |_| {});
    let alice = net.registered("alice", 1);
    let id = BlobId([1; 16]);
    assert!(net.request(alice.conn(), &Request::CreateBlob(CreateBlob { id, size: 61_440 })).is_ok());
    let chunk = PutChunk { id, index: 0, chunk: vec![0; 61_504].into() };
    assert!(net.request(alice.conn(), &Request::PutChunk(chunk)).is_ok());
    let readers: Vec<Device> = (2..22).map(|seed| net.registered(&format!("reader{seed}"), seed)).collect();
    for reader in &readers {
        net.relay.pause_output(reader.conn(), net.now);
        for _ in 0..16 {
            net.ask(reader.conn(), &Request::GetChunk(GetChunk { id, index: 0 }));
        }
        net.run();
    }
    assert!(readers.iter().all(|reader| net.closed.contains_key(&reader.conn())), "a megabyte each is too much");
    let few: Vec<Device> = (22..42).map(|seed| net.registered(&format!("reader{seed}"), seed)).collect();
    for reader in &few {
        net.relay.pause_output(reader.conn(), net.now);
        for _ in 0..3 {
            net.ask(reader.conn(), &Request::GetChunk(GetChunk { id, index: 0 }));
        }
        net.run();
    }
    assert!(few.iter().all(|reader| !net.closed.contains_key(&reader.conn())));
}
