//! Nothing is acknowledged before it is kept, and what fails changes nothing.

use crate::support::*;
use securechat_core::relay::RelayEvent;
use securechat_core::wire::{
    BlobId, CreateBlob, FetchLists, GetChunk, Presence, PublishBundle, PublishList, PutChunk, RefusalCode, Reply,
    Request, Send, SendOutcome, SetPresence,
};

#[test]
fn no_answer_leaves_before_its_jobs_are_complete() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.transcript.clear();
    net.hold_jobs = true;
    let blob = BlobId([1; 16]);
    let list = alice.first_list().without(&[], &alice.local.keys.identity).unwrap();
    let asked: Vec<u32> = [
        Request::Send(Send { items: vec![item(&bob, 1, b"hello")] }),
        Request::CreateBlob(CreateBlob { id: blob, size: 3 }),
        Request::PutChunk(PutChunk { id: blob, index: 0, chunk: vec![0; 3 + 48 + 16].into() }),
        Request::GetChunk(GetChunk { id: blob, index: 0 }),
        Request::PublishBundle(PublishBundle { bundle: alice.bundle() }),
        Request::PublishList(PublishList { list: list.bytes().into() }),
    ]
    .iter()
    .map(|request| net.ask(alice.conn(), request))
    .collect();
    net.run();
    assert!(net.transcript.is_empty(), "neither answers nor deliveries");
    net.hold_jobs = false;
    net.run();
    for id in asked {
        assert!(matches!(net.answer(alice.conn(), id), Some(Ok(_))), "{id}");
    }
    assert_eq!(net.delivered(bob.conn()).len(), 1);
}

#[test]
fn a_failed_store_is_said_and_changes_nothing() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let blob = BlobId([1; 16]);
    assert!(net.request(alice.conn(), &Request::CreateBlob(CreateBlob { id: blob, size: 3 })).is_ok());
    let list = alice.first_list().without(&[], &alice.local.keys.identity).unwrap();
    let requests = [
        Request::Send(Send { items: vec![item(&bob, 1, b"hello")] }),
        Request::PutChunk(PutChunk { id: blob, index: 0, chunk: vec![0; 3 + 48 + 16].into() }),
        Request::PublishList(PublishList { list: list.bytes().into() }),
        Request::FetchLists(FetchLists { user: name("alice"), from: 0 }),
    ];
    net.store_fails = true;
    for request in &requests {
        let refusal = net.request(alice.conn(), request).unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after), (RefusalCode::Unavailable, 1));
    }
    assert!(net.events.contains(&RelayEvent::JobFailed));
    assert!(net.delivered(bob.conn()).is_empty());
    // What needs no store still works, and the others do again as soon as the store does.
    let presence = Request::SetPresence(SetPresence { presence: Presence::Away, watch: false });
    assert!(net.request(alice.conn(), &presence).is_ok());
    net.store_fails = false;
    for request in &requests {
        assert!(net.request(alice.conn(), request).is_ok());
    }
    assert_eq!(net.delivered(bob.conn()).len(), 1);
}

/// A login that fails for want of a store is not held against anyone.
#[test]
fn a_failed_store_locks_nobody_out() {
    let mut net = Net::new();
    let mut alice = net.registered("alice", 1);
    let conn = net.connect_from(9);
    let request = alice.log_in("password", &net.bindings[&conn]);
    net.store_fails = true;
    for _ in 0..8 {
        assert_eq!(net.refused(conn, &request), RefusalCode::Unavailable);
    }
    net.store_fails = false;
    assert!(net.request(conn, &request).is_ok());
    alice.conn = Some(conn);
}

/// Loading from the mailbox is tried again by itself.
#[test]
fn what_could_not_be_loaded_comes_later() {
    let mut net = Net::new();
    let (alice, mut bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.disconnect(&mut bob);
    net.sends(&alice, &bob, 1, b"waits");
    let conn = net.connect();
    net.hold_jobs = true;
    net.ask(conn, &bob.log_in_device(&net.bindings[&conn].clone()));
    net.run();
    net.hold_jobs = false;
    // The login is stored before the store goes.
    let mut first = true;
    while let Some((id, job)) = net.take_held() {
        net.store_fails = !first;
        first = false;
        net.finish(id, &job);
    }
    net.run();
    assert!(net.delivered(conn).is_empty());
    net.store_fails = false;
    net.pass(5_000);
    assert_eq!(net.delivered(conn).len(), 1);
}

/// Who sends and goes has still sent.
#[test]
fn a_request_is_done_although_its_connection_went() {
    let mut net = Net::new();
    let (mut alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.hold_jobs = true;
    net.ask(alice.conn(), &Request::Send(Send { items: vec![item(&bob, 1, b"bye")] }));
    net.relay.disconnect(alice.conn(), net.now);
    net.hold_jobs = false;
    net.run();
    assert_eq!(net.delivered(bob.conn()).len(), 1);
    net.log_in(&mut alice);
    let again = net.send(&alice, vec![item(&bob, 1, b"bye")]);
    assert_eq!(again[0].outcome, SendOutcome::Taken);
    assert!(net.delivered(bob.conn()).is_empty(), "and does not send twice");
}

/// Answers to jobs that nobody waits for, or twice, or of the wrong sort.
#[test]
fn a_confused_host_confuses_nobody_else() {
    use securechat_core::relay::{JobId, JobResult, StoreResult};
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.relay.complete(JobId::from_number(9_999), JobResult::Failed, net.now);
    net.hold_jobs = true;
    let id = net.ask(alice.conn(), &Request::Send(Send { items: vec![item(&bob, 1, b"x")] }));
    net.run();
    net.hold_jobs = false;
    let (job, _) = net.take_held().unwrap();
    for _ in 0..2 {
        net.relay.complete(job, JobResult::Store(StoreResult::Users(vec![])), net.now);
    }
    net.run();
    assert_eq!(net.answer(alice.conn(), id).unwrap().unwrap_err().code, RefusalCode::Unavailable);
    assert!(matches!(net.request(alice.conn(), &Request::Ping(securechat_core::wire::Ping)), Ok(Reply::Ping(_))));
}

/// A clock that stands at the end of all time is no reason to work for ever.
#[test]
fn the_end_of_time_ends_a_turn() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    for now in [u64::MAX - 1, u64::MAX, u64::MAX] {
        net.relay.handle_timeout(now);
        while net.relay.poll_job().is_some() {}
        while net.relay.poll_output().is_some() {}
    }
    assert!(net.relay.poll_timeout().is_some());
    net.relay.disconnect(alice.conn(), u64::MAX);
}
