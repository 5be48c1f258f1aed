//! One-time codes (RFC 6238).

use crate::support::*;
use securechat_core::crypto::one_time::{STEP, code_at, step_at};
use securechat_core::crypto::secret::Secret;
use securechat_core::relay::ConnId;
use securechat_core::wire::{ConfirmCode, LogIn, OneTimeCode, RefusalCode, Reply, Request, SetUpCode};

fn code(secret: &Secret<20>, now: u64) -> OneTimeCode {
    OneTimeCode::new(code_at(secret, step_at(now))).unwrap()
}

fn set_up(net: &mut Net, conn: ConnId, code: Option<OneTimeCode>) -> Secret<20> {
    let request = Request::SetUpCode(SetUpCode { password: password("password"), code });
    match net.request(conn, &request) {
        Ok(Reply::SetUpCode(reply)) => reply.secret,
        other => panic!("{other:?}"),
    }
}

fn log_in(net: &mut Net, device: &Device, password: &str, code: Option<OneTimeCode>) -> Result<Reply, RefusalCode> {
    let conn = net.connect_from(9);
    let Request::LogIn(request) = device.log_in(password, &net.bindings[&conn]) else { panic!() };
    net.request(conn, &Request::LogIn(LogIn { code, ..request })).map_err(|refusal| refusal.code)
}

#[test]
fn codes_are_set_up_and_then_needed_each_once() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let wrong = Request::SetUpCode(SetUpCode { password: password("wrong"), code: None });
    assert_eq!(net.refused(alice.conn(), &wrong), RefusalCode::Credentials);
    let confirm = |code| Request::ConfirmCode(ConfirmCode { code });
    assert_eq!(net.refused(alice.conn(), &confirm(OneTimeCode::new(1).unwrap())), RefusalCode::WrongState);

    let secret = set_up(&mut net, alice.conn(), None);
    let later = code(&secret, net.now + 10 * STEP);
    assert_eq!(net.refused(alice.conn(), &confirm(later)), RefusalCode::Credentials);
    assert!(log_in(&mut net, &alice, "password", None).is_ok(), "it does not count before it is confirmed");
    let alice = {
        let mut alice = alice;
        net.log_in(&mut alice);
        alice
    };
    assert_eq!(
        net.refused(alice.conn(), &confirm(code(&secret, net.now))),
        RefusalCode::WrongState,
        "and only on the connection that asked for it"
    );
    let secret = set_up(&mut net, alice.conn(), None);
    assert!(net.request(alice.conn(), &confirm(code(&secret, net.now))).is_ok());

    // The step that confirmed it is used up; the password alone is not enough any more.
    let now = code(&secret, net.now);
    assert_eq!(log_in(&mut net, &alice, "password", Some(now)).unwrap_err(), RefusalCode::Credentials);
    assert_eq!(log_in(&mut net, &alice, "password", None).unwrap_err(), RefusalCode::CodeNeeded);
    assert_eq!(log_in(&mut net, &alice, "wrong", None).unwrap_err(), RefusalCode::Credentials);
    net.pass(STEP);
    let now = code(&secret, net.now);
    assert_eq!(log_in(&mut net, &alice, "wrong", Some(now)).unwrap_err(), RefusalCode::Credentials);
    assert!(log_in(&mut net, &alice, "password", Some(now)).is_ok());
    assert_eq!(log_in(&mut net, &alice, "password", Some(now)).unwrap_err(), RefusalCode::Credentials);
    // One step ahead is taken, and then nothing before it.
    let ahead = code(&secret, net.now + STEP);
    assert!(log_in(&mut net, &alice, "password", Some(ahead)).is_ok());
    net.pass(STEP);
    assert_eq!(log_in(&mut net, &alice, "password", Some(ahead)).unwrap_err(), RefusalCode::Credentials);
}

#[test]
fn another_secret_needs_a_code_of_the_one_before() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let secret = set_up(&mut net, alice.conn(), None);
    let confirm = Request::ConfirmCode(ConfirmCode { code: code(&secret, net.now) });
    assert!(net.request(alice.conn(), &confirm).is_ok());
    let without = Request::SetUpCode(SetUpCode { password: password("password"), code: None });
    assert_eq!(net.refused(alice.conn(), &without), RefusalCode::CodeNeeded);
    net.pass(STEP);
    let now = code(&secret, net.now);
    let other = set_up(&mut net, alice.conn(), Some(now));
    assert_ne!(code_at(&other, 1), code_at(&secret, 1));
}

/// Knowing the password does not open the way to guessing codes without end.
#[test]
fn guessing_codes_locks() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let secret = set_up(&mut net, alice.conn(), None);
    let confirm = Request::ConfirmCode(ConfirmCode { code: code(&secret, net.now) });
    assert!(net.request(alice.conn(), &confirm).is_ok());
    net.pass(10 * STEP);
    let guess = OneTimeCode::new((code(&secret, net.now).number() + 500_000) % 1_000_000).unwrap();
    let mut codes = Vec::new();
    for _ in 0..6 {
        // The right password without a code in between forgives nothing.
        codes.push(log_in(&mut net, &alice, "password", Some(guess)).unwrap_err());
        _ = log_in(&mut net, &alice, "password", None);
    }
    assert_eq!(codes[..3], [RefusalCode::Credentials; 3]);
    assert!(codes[4..].iter().all(|code| *code == RefusalCode::Locked), "{codes:?}");
}
