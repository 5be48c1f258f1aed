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
use std::fs::File;
use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;
use support::*;

#[test]
fn d8_running_out_of_files_ends_neither_the_server_nor_who_is_logged_in() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let alice = Device::new("alice", 1);
    let mut resident = Client::registered(server.address(), &alice);
    let mut idle = TcpStream::connect(server.listening()).unwrap();
    while server.stats().connections < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: before.maximum }).unwrap();
    let mut files: Vec<File> = std::iter::repeat_with(|| File::open("/dev/null")).map_while(Result::ok).collect();
    // One for the client's end; for the server's there is none until it makes room.
    assert!(files.pop().is_some());
    let mut bobs = Client::registered(server.address(), &Device::new("bob", 2));
    assert!(File::open("/dev/null").is_err());
    assert_eq!(server.stats().displaced, 1);
    idle.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(idle.read(&mut [0; 9]).unwrap(), 0);
    // Whoever is logged in was served all the while.
    bobs.sends(&alice, 1, b"made it");
    assert_eq!(&resident.delivered().envelope[..], b"made it");
    setrlimit(Resource::Nofile, before).unwrap();
}
