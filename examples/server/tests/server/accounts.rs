//! Registering, logging in, and what stays over a restart.

use crate::support::*;
use securechat_core::suite::Suite;
use securechat_core::wire::{CloseCode, RefusalCode, Reply};
use securechat_server::Server;

#[test]
fn two_people_exchange_envelopes_and_the_server_closes_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let (alice, bob) = (Device::new("alice", 1), Device::new("bob", 2));
    let mut alices = Client::registered(server.address(), &alice);
    let mut bobs = Client::registered(server.address(), &bob);
    alices.sends(&bob, 1, b"sealed for bob");
    let delivered = bobs.delivered();
    assert_eq!((&delivered.envelope[..], delivered.sender), (&b"sealed for bob"[..], alice.identity()));
    bobs.sends(&alice, 2, &[7; 61_440]);
    assert_eq!(alices.delivered().envelope.len(), 61_440);
    assert_eq!((server.stats().connections, server.stats().links, server.stats().logins), (2, 2, 2));
    server.shutdown().unwrap();
    for mut client in [alices, bobs] {
        assert_eq!(client.wait_for_end(), Some(CloseCode::Shutdown as u8));
    }
}

#[test]
fn a_restart_keeps_the_identity_the_accounts_and_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let fingerprint = server.fingerprint();
    assert_eq!(server.address().fingerprint, Some(fingerprint));
    let (alice, bob) = (Device::new("alice", 1), Device::new("bob", 2));
    Client::registered(server.address(), &bob);
    Client::registered(server.address(), &alice).sends(&bob, 1, b"while bob is away");
    server.shutdown().unwrap();
    let server = start(folder.path());
    assert_eq!(server.fingerprint(), fingerprint);
    let mut bobs = Client::logged_in(server.address(), &bob);
    assert_eq!(&bobs.delivered().envelope[..], b"while bob is away");
    let mut alices = Client::connect(server.address());
    let request = alice.log_in("password", &alices);
    assert!(matches!(alices.request(&request), Ok(Reply::LogIn(_))));
}

#[test]
fn the_server_password_and_the_users_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.set_server_password("open sesame".to_owned().into()).unwrap();
    let server = Server::start(config).unwrap();
    let alice = Device::new("alice", 1);
    let mut client = Client::connect(server.address());
    let request = alice.register("password", &client);
    assert_eq!(client.refused(&request), RefusalCode::ServerPassword);
    assert_eq!(client.enter("open says me").unwrap_err().code, RefusalCode::ServerPassword);
    assert!(matches!(client.enter("open sesame"), Ok(Reply::Enter(_))));
    assert!(matches!(client.request(&request), Ok(Reply::Register(_))));
    let mut client = Client::connect(server.address());
    client.enter("open sesame").unwrap();
    for wrong in [alice.log_in("passw0rd", &client), Device::new("nobody", 3).log_in("password", &client)] {
        assert_eq!(client.refused(&wrong), RefusalCode::Credentials);
    }
    let right = alice.log_in("password", &client);
    assert!(matches!(client.request(&right), Ok(Reply::LogIn(_))));
}

#[test]
fn a_server_closed_to_new_users_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.registration_open = false;
    let server = Server::start(config).unwrap();
    let mut client = Client::connect(server.address());
    let request = Device::new("alice", 1).register("password", &client);
    assert_eq!(client.refused(&request), RefusalCode::RegistrationClosed);
}

#[test]
fn every_suite_of_the_policy_connects_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let names: Vec<String> = Suite::ALL[1..].iter().map(Suite::to_string).collect();
    config.set_suites(&names).unwrap();
    let server = Server::start(config).unwrap();
    for suite in &Suite::ALL[1..] {
        let client = Client::connect_with(server.address(), &[*suite]).unwrap();
        assert_eq!(client.link.suite(), Some(*suite));
    }
    assert!(Client::connect_with(server.address(), &Suite::ALL[..1]).is_none());
}
