//! ATTACKS.md D7: one stalled reader slows nobody else.

use crate::support::*;
use securechat_core::wire::{BlobId, CloseCode, CreateBlob, GetChunk, PutChunk, Reply, Request};
use securechat_server::{RunningServer, Server};
use std::time::{Duration, Instant};

/// Whether the server sends anything within a while.
fn sends_more(server: &RunningServer, before: u64) -> bool {
    let start = Instant::now();
    while server.stats().bytes_out < before + 60_000 {
        if start.elapsed() > Duration::from_secs(3) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn d7_a_stalled_reader_slows_nobody_and_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.stall_timeout = Duration::from_secs(3);
    let server = Server::start(config).unwrap();
    let (alice, bob) = (Device::new("alice", 1), Device::new("bob", 2));
    let mut alices = Client::registered(server.address(), &alice);
    let mut stalled = Client::registered(server.address(), &bob);
    let id = BlobId([7; 16]);
    let create = Request::CreateBlob(CreateBlob { id, size: 61_440 });
    assert!(matches!(stalled.request(&create), Ok(Reply::CreateBlob(_))));
    let put = Request::PutChunk(PutChunk { id, index: 0, chunk: vec![7; 61_504].into() });
    assert!(matches!(stalled.request(&put), Ok(Reply::PutChunk(_))));
    // From here on Bob asks and reads nothing, until the buffers of both systems are full.
    loop {
        let before = server.stats().bytes_out;
        stalled.ask(&Request::GetChunk(GetChunk { id, index: 0 }));
        if !sends_more(&server, before) {
            break;
        }
        assert!(server.stats().bytes_out < 1 << 30);
    }
    let mut round = 0;
    while server.stats().slow_readers == 0 {
        round += 1;
        let start = Instant::now();
        alices.sends(&alice, round, b"to myself");
        assert_eq!(&alices.delivered().envelope[..], b"to myself");
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(round < 200, "{:?}", server.stats());
        std::thread::sleep(Duration::from_millis(50));
    }
    // It was ended. Its last bytes may not have found room, so the code may be missing.
    assert!(stalled.wait_for_end().is_none_or(|code| code == CloseCode::Stalled as u8));
    let start = Instant::now();
    while server.stats().connections > 1 {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_a_slow_reader_does_not_acknowledge_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let (alice, bob) = (Device::new("alice", 1), Device::new("bob", 2));
    let mut alices = Client::registered(server.address(), &alice);
    let slow = Client::registered(server.address(), &bob);
    for round in 0..60 {
        alices.sends(&bob, round, &[round; 60_000]);
    }
    drop(slow);
    // Each is delivered once it is acknowledged that the ones before arrived.
    let mut bobs = Client::logged_in(server.address(), &bob);
    for round in 0..60 {
        let delivered = bobs.delivered();
        assert_eq!(delivered.envelope[0], round);
        bobs.acknowledge(&delivered);
    }
}
