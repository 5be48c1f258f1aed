//! ATTACKS.md D8: the system has no file left for another connection. Alone in its process, whose limit it lowers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]
#![cfg(unix)]

#[allow(dead_code)]
#[path = "server/support.rs"]
mod support;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::*;

#[test]
fn d8_running_out_of_files_ends_neither_the_server_nor_who_is_logged_in() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let alice = Device::new("alice", 1);
    let mut resident = Client::registered(server.address(), &alice);
    // Both ends of every connection are files of this process: clients find some, the server none.
    let before = getrlimit(Resource::Nofile);
    let used = std::fs::read_dir("/proc/self/fd").map_or(64, Iterator::count) as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(used + 20), maximum: before.maximum }).unwrap();
    let crowd: Vec<_> = std::iter::repeat_with(|| TcpStream::connect(server.listening())).take(60).collect();
    assert!(crowd.iter().any(Result::is_err), "the limit was not reached");
    std::thread::sleep(Duration::from_millis(600));
    // Whoever is connected is served all the while.
    resident.sends(&alice, 1, b"to myself");
    assert_eq!(&resident.delivered().envelope[..], b"to myself");
    drop(crowd);
    setrlimit(Resource::Nofile, before).unwrap();
    let start = Instant::now();
    let mut bobs = Client::registered(server.address(), &Device::new("bob", 2));
    bobs.sends(&alice, 2, b"hello");
    assert_eq!(&resident.delivered().envelope[..], b"hello");
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(server.stats().displaced > 0, "{:?}", server.stats());
}
