//! Registration, and passwords that change.

use crate::support::*;
use securechat_core::identity::SignedDeviceList;
use securechat_core::limits::{DAY, Limits};
use securechat_core::relay::{PasswordHash, RelayEvent, Store, StoreJob, StoreResult};
use securechat_core::wire::{
    ChangePassword, Enter, FetchUsers, LoggedIn, Ping, PublishBundle, RefusalCode, Register, Reply, Request,
};

#[test]
fn a_new_user_is_logged_in_at_once() {
    let mut net = Net::new();
    let alice = Device::new("alice", 1);
    let conn = net.connect();
    let request = alice.register("password", &net.bindings[&conn]);
    let Ok(Reply::Register(LoggedIn { listed, epoch, serial, stock })) = net.request(conn, &request) else { panic!() };
    assert_eq!((listed, epoch, serial), (true, Some(0), 1));
    let numbers: Vec<_> = stock.kinds.iter().map(|stock| (stock.kind, stock.left, stock.highest)).collect();
    assert_eq!(numbers, [(1, 0, 1), (2, 0, 1)], "the last-resort prekeys of the bundle count");
    assert!(net.admitted.contains(&conn));
    assert!(
        net.events.iter().any(|event| matches!(event, RelayEvent::Registered { user, .. } if user.as_str() == "alice"))
    );
    assert!(matches!(net.request(conn, &Request::Users(FetchUsers { from: String::new() })), Ok(Reply::Users(_))));
    assert_eq!(net.refused(conn, &request), RefusalCode::WrongState, "who is logged in cannot register");
}

#[test]
fn a_taken_name_says_so() {
    let mut net = Net::new();
    net.registered("alice", 1);
    let conn = net.connect();
    let other = Device::new("alice", 2);
    net.jobs.clear();
    assert_eq!(net.refused(conn, &other.register("x", &net.bindings[&conn].clone())), RefusalCode::NameTaken);
    assert!(!net.jobs.contains(&"hash"), "no hash is made for it");
    // A name that is taken while the hash is made.
    let (one, two) = (net.connect(), net.connect());
    let (first, second) = (Device::new("bob", 3), Device::new("bob", 4));
    let a = net.ask(one, &first.register("x", &net.bindings[&one].clone()));
    let b = net.ask(two, &second.register("x", &net.bindings[&two].clone()));
    net.run();
    assert!(matches!(net.answer(one, a), Some(Ok(Reply::Register(_)))));
    assert_eq!(net.answer(two, b).unwrap().unwrap_err().code, RefusalCode::NameTaken);
    // The connection can try again with another name.
    let third = Device::new("carol", 4);
    assert!(net.request(two, &third.register("x", &net.bindings[&two].clone())).is_ok());
}

#[test]
fn an_identity_belongs_to_one_user() {
    let mut net = Net::new();
    net.registered("alice", 1);
    let conn = net.connect();
    let request = Device::new("mallory", 1).register("x", &net.bindings[&conn]);
    assert_eq!(net.refused(conn, &request), RefusalCode::Taken);
}

#[test]
fn registration_wants_everything_to_fit() {
    let mut net = Net::new();
    let conn = net.connect();
    let binding = net.bindings[&conn];
    let (alice, other) = (Device::new("alice", 1), Device::new("alice", 2));
    let Request::Register(good) = alice.register("password", &binding) else { panic!() };
    let mut try_with = |change: &dyn Fn(&mut Register)| {
        let mut request = good.clone();
        change(&mut request);
        net.refused(conn, &Request::Register(request))
    };
    let two = alice.first_list().propose_add(&other.local.keys.identity).unwrap();
    let two = two.countersign(&alice.first_list(), &alice.local.keys.identity).unwrap();
    let foreign = SignedDeviceList::create(name("bob"), &alice.local.keys.identity).unwrap();
    assert_eq!(try_with(&|r| r.user = name("bob")), RefusalCode::BundleRefused);
    assert_eq!(try_with(&|r| r.bundle = other.bundle()), RefusalCode::BundleRefused);
    assert_eq!(try_with(&|r| r.bundle = b"x"[..].into()), RefusalCode::BundleRefused);
    assert_eq!(try_with(&|r| r.list = other.first_list().bytes().into()), RefusalCode::BundleRefused);
    assert_eq!(try_with(&|r| r.list = two.bytes().into()), RefusalCode::BundleRefused);
    assert_eq!(try_with(&|r| r.list = foreign.bytes().into()), RefusalCode::BundleRefused);
    assert_eq!(try_with(&|r| r.signature[0] ^= 1), RefusalCode::Credentials);
    // A signature made for another link, as somebody in between would hand it on.
    assert_eq!(try_with(&|r| r.signature = alice.signature(&[0xEE; 32])), RefusalCode::Credentials);
    assert!(net.jobs.iter().all(|job| *job == "expire"), "none of them got as far as a job: {:?}", net.jobs);
    assert!(net.request(conn, &Request::Register(good)).is_ok());
}

#[test]
fn an_expired_bundle_registers_nobody() {
    let mut net = Net::new();
    net.now += 91 * DAY;
    let conn = net.connect();
    let request = Device::new("alice", 1).register("password", &net.bindings[&conn]);
    assert_eq!(net.refused(conn, &request), RefusalCode::BundleRefused);
}

#[test]
fn registration_can_be_closed() {
    let mut net = Net::with(Limits::default(), |config| config.registration_open = false);
    let conn = net.connect();
    let request = Device::new("alice", 1).register("password", &net.bindings[&conn]);
    assert_eq!(net.refused(conn, &request), RefusalCode::RegistrationClosed);
}

#[test]
fn the_relays_own_password_comes_first() {
    let mut net =
        Net::with(Limits::default(), |config| config.server_password = Some(PasswordHash::new("fake$open sesame")));
    let conn = net.connect();
    let alice = Device::new("alice", 1);
    let register = alice.register("password", &net.bindings[&conn]);
    let enter = |text: &str| Request::Enter(Enter { password: password(text) });
    assert_eq!(net.refused(conn, &register), RefusalCode::ServerPassword);
    assert_eq!(net.refused(conn, &enter("open")), RefusalCode::ServerPassword);
    assert_eq!(net.refused(conn, &register), RefusalCode::ServerPassword);
    assert!(net.request(conn, &Request::Ping(Ping)).is_ok());
    assert!(matches!(net.request(conn, &enter("open sesame")), Ok(Reply::Enter(_))));
    assert!(net.request(conn, &register).is_ok());
    // For a login with the password too; a listed device's key is enough by itself.
    let conn = net.connect();
    let binding = net.bindings[&conn];
    assert_eq!(net.refused(conn, &alice.log_in("password", &binding)), RefusalCode::ServerPassword);
    assert!(net.request(conn, &alice.log_in_device(&binding)).is_ok());
}

#[test]
fn where_there_is_no_password_anyone_enters() {
    let mut net = Net::new();
    let conn = net.connect();
    assert!(net.request(conn, &Request::Enter(Enter { password: password("x") })).is_ok());
    assert!(!net.jobs.contains(&"verify"));
}

#[test]
fn a_password_changes() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let change =
        |old: &str, new: &str| Request::ChangePassword(ChangePassword { old: password(old), new: password(new) });
    assert_eq!(net.refused(alice.conn(), &change("wrong", "new")), RefusalCode::Credentials);
    // Somebody who came in with the old password, and is in no list.
    let mut thief = Device::new("alice", 7);
    assert!(!net.log_in_by_password(&mut thief).listed);
    assert!(matches!(net.request(alice.conn(), &change("password", "new")), Ok(Reply::ChangePassword(_))));
    assert!(net.closed.contains_key(&thief.conn()));
    assert!(!net.closed.contains_key(&alice.conn()));
    let conn = net.connect();
    let binding = net.bindings[&conn];
    assert_eq!(net.refused(conn, &alice.log_in("password", &binding)), RefusalCode::Credentials);
    assert!(net.request(conn, &alice.log_in("new", &binding)).is_ok());
}

#[test]
fn a_hash_of_an_old_kind_is_replaced_at_the_first_login() {
    let mut net = Net::new();
    let import = StoreJob::ImportAccount { user: name("alice"), password: PasswordHash::new("old$password") };
    assert!(matches!(net.store.run(&[import])[..], [StoreResult::Done]));
    let mut alice = Device::new("alice", 1);
    let logged_in = net.log_in_by_password(&mut alice);
    assert_eq!((logged_in.listed, logged_in.epoch), (false, None), "there is no list yet");
    net.disconnect(&mut alice);
    net.log_in_by_password(&mut alice);
    assert_eq!(net.checked, ["old$password", "fake$password"]);
    // The account's first list and bundle come from its first device.
    let list = alice.first_list();
    let publish = Request::PublishList(securechat_core::wire::PublishList { list: list.bytes().into() });
    assert!(net.request(alice.conn(), &publish).is_ok());
    assert!(net.request(alice.conn(), &Request::PublishBundle(PublishBundle { bundle: alice.bundle() })).is_ok());
    net.disconnect(&mut alice);
    assert!(net.log_in(&mut alice).listed);
}
