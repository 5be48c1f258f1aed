//! ATTACKS.md D8: many sockets, and what is wrong with them, keep no honest client out.

use crate::support::*;
use securechat_core::wire::{CloseCode, Ping, Reply, Request};
use securechat_server::{RunningServer, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// More than `select` could watch, and more than one address may have.
const CROWD: usize = 1_100;

fn sockets(server: &RunningServer, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(server.listening()).unwrap()).collect()
}

fn wait_until(server: &RunningServer, what: &str, condition: impl Fn(&RunningServer) -> bool) {
    let start = Instant::now();
    while !condition(server) {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}: {:?}", server.stats());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn d8_a_crowd_of_idle_and_reset_sockets_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let alice = Device::new("alice", 1);
    let mut resident = Client::registered(server.address(), &alice);
    let idle = sockets(&server, CROWD);
    wait_until(&server, "all arrive", |server| server.stats().accepted as usize > CROWD);
    // Of one address, so the oldest of them made way for the newest, and none for the crowd that was logged in.
    assert!(server.stats().displaced as usize >= CROWD + 1 - 1_024);
    assert!(matches!(resident.request(&Request::Ping(Ping)), Ok(Reply::Ping(_))));
    // Sockets that die with an answer unread are reset.
    for mut socket in sockets(&server, 200) {
        socket.write_all(b"\0\0\0\x05helloGET / HTTP/1.1\r\n\r\n").unwrap();
    }
    let mut bobs = Client::registered(server.address(), &Device::new("bob", 2));
    bobs.sends(&alice, 1, b"still here");
    assert_eq!(&resident.delivered().envelope[..], b"still here");
    drop(idle);
    wait_until(&server, "all leave", |server| server.stats().connections == 2);
    server.shutdown().unwrap();
}

#[test]
fn a_socket_that_says_nothing_is_ended_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.handshake_timeout = Duration::from_secs(1);
    config.limits.login_timeout = Duration::from_secs(2);
    let server = Server::start(config).unwrap();
    let start = Instant::now();
    let mut silent = TcpStream::connect(server.listening()).unwrap();
    let mut stranger = Client::connect(server.address());
    silent.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(silent.read(&mut [0; 9]).unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_millis(900));
    assert_eq!(stranger.wait_for_end(), Some(CloseCode::LoginTimeout as u8));
    assert!(start.elapsed() >= Duration::from_millis(1_900));
}

#[test]
fn when_all_places_are_taken_by_who_logged_in_a_newcomer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.connections = 2;
    let server = Server::start(config).unwrap();
    let alice = Device::new("alice", 1);
    let mut alices = Client::registered(server.address(), &alice);
    let _waiting = TcpStream::connect(server.listening()).unwrap();
    // The one that waits makes way.
    let bobs = Client::registered(server.address(), &Device::new("bob", 2));
    assert!(Client::connect_with(server.address(), &[bobs.link.suite().unwrap()]).is_none());
    assert!(matches!(alices.request(&Request::Ping(Ping)), Ok(Reply::Ping(_))));
    drop(bobs);
    wait_until(&server, "bob leaves", |server| server.stats().connections == 1);
    Client::logged_in(server.address(), &alice);
}

#[test]
fn noise_of_every_kind_ends_only_its_own_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let mut resident = Client::registered(server.address(), &Device::new("alice", 1));
    for noise in [&[0; 9][..], &[0xFF; 70_000], b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x01\x01", b"\0\0\x1f\xff"] {
        let mut socket = TcpStream::connect(server.listening()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let _ = socket.write_all(noise);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        // Ended in order or reset, but ended.
        let mut sink = Vec::new();
        let _ = socket.read_to_end(&mut sink);
        assert!(sink.len() < 16, "{sink:?}");
        assert!(matches!(resident.request(&Request::Ping(Ping)), Ok(Reply::Ping(_))));
    }
}

#[test]
fn what_the_relay_has_no_room_for_waits_in_the_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    // Half of it is room for nine of the sixteen that are about to come at once.
    config.limits.input_total = 4 << 20;
    let server = Server::start(config).unwrap();
    let alice = Device::new("alice", 1);
    drop(Client::registered(server.address(), &alice));
    std::thread::scope(|scope| {
        for sender in 0..16_u8 {
            let (alice, server) = (&alice, &server);
            scope.spawn(move || {
                let device = Device::new(&format!("sender{sender}"), 2 + u64::from(sender));
                let mut client = Client::registered(server.address(), &device);
                for round in 0..2_u8 {
                    let envelope = |id| alice.envelope(round * 4 + id, &[sender; 60_000]);
                    let asked: Vec<u32> = (0..4).map(|id| client.ask(&envelope(id))).collect();
                    for id in asked {
                        let answer = client.answer(id).unwrap();
                        assert!(matches!(answer, Ok(Reply::Send(_))), "{answer:?}");
                    }
                }
            });
        }
    });
}
