//! Logins: what gives nothing away, what locks, and what takes whose place (L4, L5, L7).

use crate::support::*;
use securechat_core::limits::Limits;
use securechat_core::wire::{CloseCode, FetchUsers, LogIn, Ping, RefusalCode, Reply, Request};

/// L4: a wrong password and an unknown user cause the same jobs and get the same bytes.
#[test]
fn an_unknown_user_looks_like_a_wrong_password() {
    let mut net = Net::new();
    net.registered("alice", 1);
    let mut tries = Vec::new();
    for (user, seed) in [("alice", 1), ("nobody", 2)] {
        let conn = net.connect_from(9);
        let request = Device::new(user, seed).log_in("wrong", &net.bindings[&conn]);
        net.jobs.clear();
        net.transcript.clear();
        let refusal = net.request(conn, &request).unwrap_err();
        let bytes: Vec<Vec<u8>> = net.transcript.iter().map(|(_, bytes)| bytes[4..].to_vec()).collect();
        tries.push((refusal, net.jobs.clone(), bytes));
    }
    assert_eq!(tries[0].0.code, RefusalCode::Credentials);
    assert_eq!(tries[0], tries[1]);
    assert_eq!(tries[0].1, ["account", "verify"]);
    assert_eq!(net.checked, ["fake$password", "fake$"], "the unknown user is checked against a dummy");
}

/// Even a password that fits the dummy hash opens nothing.
#[test]
fn the_dummy_hash_is_nobodys() {
    let mut net = Net::with(Limits::default(), |config| {
        config.dummy_password = securechat_core::relay::PasswordHash::new("fake$dummy");
    });
    let conn = net.connect();
    let request = Device::new("nobody", 2).log_in("dummy", &net.bindings[&conn]);
    assert_eq!(net.refused(conn, &request), RefusalCode::Credentials);
    assert!(!net.jobs.contains(&"device"));
}

#[test]
fn failed_logins_lock_and_unknown_names_too() {
    let mut net = Net::new();
    let mut alice = net.registered("alice", 1);
    for user in ["alice", "nobody"] {
        let device = Device::new(user, 1);
        let mut codes = Vec::new();
        for _ in 0..6 {
            let conn = net.connect_from(9);
            let request = device.log_in("wrong", &net.bindings[&conn]);
            codes.push(net.refused(conn, &request));
        }
        assert_eq!(codes[..4], [RefusalCode::Credentials; 4], "{user}");
        assert_eq!(codes[4..], [RefusalCode::Locked; 2], "{user}");
    }
    net.checked.clear();
    let conn = net.connect_from(9);
    let request = alice.log_in("password", &net.bindings[&conn]);
    let refusal = net.request(conn, &request).unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after), (RefusalCode::Locked, 1));
    assert!(net.checked.is_empty(), "no password is checked while it is locked");
    // From elsewhere, and with the device's key, its owner gets in; and after the delay from there, too.
    net.disconnect(&mut alice);
    assert!(net.log_in(&mut alice).listed);
    net.disconnect(&mut alice);
    assert!(net.log_in_by_password(&mut alice).listed);
    net.pass(1_000);
    let conn = net.connect_from(9);
    let request = alice.log_in("password", &net.bindings[&conn]);
    assert!(net.request(conn, &request).is_ok());
}

/// Guesses from everywhere lock for strangers only: where a device of the owner is, another one can still come.
#[test]
fn guesses_from_everywhere_do_not_keep_the_owner_out() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    for address in 100..140 {
        let conn = net.connect_from(address);
        let request = alice.log_in("wrong", &net.bindings[&conn]);
        net.refused(conn, &request);
    }
    let mut second = Device::new("alice", 2);
    let elsewhere = net.connect_from(9);
    assert_eq!(
        net.refused(elsewhere, &second.log_in("password", &net.bindings[&elsewhere].clone())),
        RefusalCode::Locked
    );
    assert!(!net.log_in_by_password(&mut second).listed, "from the address of the first device");
}

/// Many tries sent at once count one by one.
#[test]
fn tries_in_parallel_gain_nothing() {
    let mut net = Net::new();
    net.registered("alice", 1);
    let alice = Device::new("alice", 1);
    net.hold_jobs = true;
    let tries: Vec<_> = (0..12)
        .map(|_| {
            let conn = net.connect_from(9);
            let request = alice.log_in("wrong", &net.bindings[&conn]);
            (conn, net.ask(conn, &request))
        })
        .collect();
    net.hold_jobs = false;
    net.checked.clear();
    net.run();
    assert_eq!(net.checked.len(), 4);
    let refused = |(conn, id): (_, _)| net.answer(conn, id).unwrap().unwrap_err().code;
    let codes: Vec<_> = tries.into_iter().map(refused).collect();
    assert_eq!(codes.iter().filter(|code| **code == RefusalCode::Locked).count(), 8);
}

#[test]
fn a_login_is_signed_for_this_link_and_this_relay() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let (conn, other) = (net.connect(), net.connect());
    let (mine, others) = (net.bindings[&conn], net.bindings[&other]);
    for request in [alice.log_in_device(&others), alice.log_in("password", &others)] {
        assert_eq!(net.refused(conn, &request), RefusalCode::Credentials);
    }
    // Another device's signature, and another device's identity.
    let thief = Device::new("alice", 7);
    assert_eq!(net.refused(conn, &thief.log_in_device(&mine)), RefusalCode::Credentials);
    let Request::LogIn(good) = thief.log_in("password", &mine) else { panic!() };
    let forged = Request::LogIn(LogIn { identity: alice.identity(), ..good });
    assert_eq!(net.refused(conn, &forged), RefusalCode::Credentials);
    assert!(net.request(conn, &alice.log_in_device(&mine)).is_ok());
}

#[test]
fn an_identity_of_one_user_does_not_log_another_in() {
    let mut net = Net::new();
    net.registered("alice", 1);
    net.registered("bob", 2);
    let conn = net.connect();
    let request = Device::new("bob", 1).log_in("password", &net.bindings[&conn]);
    assert_eq!(net.refused(conn, &request), RefusalCode::Taken);
}

#[test]
fn before_a_login_there_is_nothing_but_logins() {
    let mut net = Net::new();
    let conn = net.connect();
    assert!(net.request(conn, &Request::Ping(Ping)).is_ok());
    assert_eq!(net.refused(conn, &Request::Users(FetchUsers { from: String::new() })), RefusalCode::WrongState);
    assert!(net.admitted.is_empty());
}

/// A request sent behind a login that is still being checked is not taken for one of whoever logs in.
#[test]
fn a_request_behind_a_login_waits_for_nothing() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let conn = net.connect();
    net.hold_jobs = true;
    let login = net.ask(conn, &alice.log_in_device(&net.bindings[&conn].clone()));
    let users = net.ask(conn, &Request::Users(FetchUsers { from: String::new() }));
    let second = net.ask(conn, &alice.log_in_device(&net.bindings[&conn].clone()));
    net.hold_jobs = false;
    net.run();
    assert!(matches!(net.answer(conn, login), Some(Ok(Reply::LogInDevice(_)))));
    assert_eq!(net.answer(conn, users).unwrap().unwrap_err().code, RefusalCode::WrongState);
    assert_eq!(net.answer(conn, second).unwrap().unwrap_err().code, RefusalCode::WrongState);
}

#[test]
fn a_newer_connection_of_a_device_takes_its_place() {
    let mut net = Net::new();
    let (mut alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let old = alice.conn();
    net.log_in(&mut alice);
    assert_eq!(net.closed[&old], CloseCode::Replaced as u8);
    net.sends(&bob, &alice, 1, b"hello");
    assert_eq!(net.delivered(alice.conn()).len(), 1);
    assert!(net.delivered(old).is_empty());
}

#[test]
fn strangers_are_ended_after_a_while_and_the_silent_too() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let stranger = net.connect();
    net.pass(59_000);
    assert!(net.request(stranger, &Request::Ping(Ping)).is_ok(), "a ping is no login");
    net.pass(1_000);
    assert_eq!(net.closed[&stranger], CloseCode::LoginTimeout as u8);
    net.pass(200_000);
    assert!(net.request(alice.conn(), &Request::Ping(Ping)).is_ok());
    net.pass(299_999);
    assert!(!net.closed.contains_key(&alice.conn()));
    net.pass(1);
    assert_eq!(net.closed[&alice.conn()], CloseCode::Idle as u8);
    assert_eq!(net.relay.connections(), 0);
}
