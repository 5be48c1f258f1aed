//! What the wire shows.

use crate::support::*;
use securechat_server::{Direction, Server, Tap};
use std::sync::{Arc, Mutex};

#[test]
fn the_tap_sees_every_byte_and_no_plaintext() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let mut config = config(folder.path());
    config.tap = Some(Tap::new({
        let seen = Arc::clone(&seen);
        move |_, direction, bytes| {
            let mut seen = seen.lock().unwrap();
            match direction {
                Direction::In => seen.0.extend_from_slice(bytes),
                Direction::Out => seen.1.extend_from_slice(bytes),
            }
        }
    }));
    let server = Server::start(config).unwrap();
    let (alice, bob) = (Device::new("alice", 1), Device::new("bob", 2));
    let mut alices = Client::registered(server.address(), &alice);
    let mut bobs = Client::registered(server.address(), &bob);
    alices.sends(&bob, 1, b"a canary that only sings inside");
    assert_eq!(&bobs.delivered().envelope[..], b"a canary that only sings inside");
    let stats = server.stats();
    server.shutdown().unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.0.len() as u64, stats.bytes_in);
    // And the server's last words.
    assert!(seen.1.len() as u64 > stats.bytes_out && stats.bytes_out > 500, "{stats:?}");
    assert!(seen.0.starts_with(&[0, 0]) && seen.0.windows(4).any(|bytes| bytes == b"SCHT"));
    for secret in [&b"canary"[..], b"alice", b"bob", b"password", alice.identity().as_bytes()] {
        for bytes in [&seen.0, &seen.1] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
}
