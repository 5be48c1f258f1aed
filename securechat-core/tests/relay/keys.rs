//! Bundles and one-time prekeys (I3 to I5).

use crate::support::*;
use securechat_core::identity::{LocalIdentity, PrekeyKind, SignedBundle};
use securechat_core::limits::{DAY, Limits, PREKEYS_PER_PUBLISH, Rate};
use securechat_core::suite::Policy;
use securechat_core::wire::{
    Bytes, FetchKeys, Keys, PrekeyStock, PublishBundle, PublishPrekeys, Push, RefusalCode, Reply, Request,
};

fn publish(net: &mut Net, device: &Device, replace: bool, prekeys: Vec<Bytes>) -> Vec<PrekeyStock> {
    match net.request(device.conn(), &Request::PublishPrekeys(PublishPrekeys { replace, prekeys })) {
        Ok(Reply::PublishPrekeys(stock)) => stock.kinds,
        other => panic!("{other:?}"),
    }
}

fn fetch(by: &Device, of: &[&Device], prekey_kind: u8) -> (securechat_core::relay::ConnId, Request) {
    let devices = of.iter().map(|device| device.identity()).collect();
    (by.conn(), Request::FetchKeys(FetchKeys { user: of[0].user.clone(), devices, prekey_kind }))
}

fn keys(net: &mut Net, (conn, request): (securechat_core::relay::ConnId, Request)) -> Keys {
    match net.request(conn, &request) {
        Ok(Reply::FetchKeys(keys)) => keys,
        other => panic!("{other:?}"),
    }
}

/// The next bundle of a device.
fn renewed(device: &mut Device, id: u32, now: u64) -> Bytes {
    device.local.renew(&Policy::default(), prekeys(id, u64::from(id)), 0, now).unwrap();
    device.bundle()
}

#[test]
fn each_prekey_is_handed_out_once_until_none_is_left() {
    let mut net = Net::new();
    let (mut alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let published = alice.prekeys(3);
    assert_eq!(publish(&mut net, &alice, false, published.clone()), [PrekeyStock { kind: 1, left: 3, highest: 4 }]);
    let mut taken = Vec::new();
    for _ in 0..3 {
        let got = keys(&mut net, fetch(&bob, &[&alice], PrekeyKind::X25519.id()));
        assert_eq!((got.epoch, got.devices.len()), (0, 1));
        assert_eq!(got.devices[0].bundle, alice.bundle());
        taken.push(got.devices[0].prekey.clone().unwrap());
    }
    assert_eq!(taken, published);
    // The bundle with its last-resort prekey is always there.
    let got = keys(&mut net, fetch(&bob, &[&alice], PrekeyKind::X25519.id()));
    assert_eq!(got.devices[0].prekey, None);
    assert!(SignedBundle::decode(&got.devices[0].bundle).unwrap().last_resort(PrekeyKind::X25519).is_some());
    // A publish that is repeated because its answer was lost brings none of them back.
    assert_eq!(publish(&mut net, &alice, false, published), [PrekeyStock { kind: 1, left: 0, highest: 4 }]);
    assert_eq!(keys(&mut net, fetch(&bob, &[&alice], 1)).devices[0].prekey, None);
}

#[test]
fn prekeys_are_taken_only_when_asked_for_by_who_can_send() {
    let mut net = Net::new();
    let (mut alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let prekeys = alice.prekeys(2);
    publish(&mut net, &alice, false, prekeys);
    assert_eq!(keys(&mut net, fetch(&bob, &[&alice], 0)).devices[0].prekey, None);
    assert_eq!(keys(&mut net, fetch(&bob, &[&alice], 2)).devices[0].prekey, None, "none of that kind");
    let mut unlisted = Device::new("bob", 3);
    net.log_in_by_password(&mut unlisted);
    assert_eq!(keys(&mut net, fetch(&unlisted, &[&alice], 1)).devices[0].prekey, None);
    // Naming a device twice takes one.
    let got = keys(&mut net, fetch(&bob, &[&alice, &alice], 1));
    assert_eq!(got.devices.len(), 1);
    assert_eq!(publish(&mut net, &alice, false, vec![])[0].left, 1);
    // Devices of others and unknown ones are left out.
    let got = keys(&mut net, fetch(&bob, &[&alice, &bob, &Device::new("x", 9)], 1));
    assert_eq!(got.devices.len(), 1);
    let (conn, request) = fetch(&bob, &[&Device::new("nobody", 9)], 1);
    assert_eq!(net.refused(conn, &request), RefusalCode::UnknownUser);
    let (conn, request) = fetch(&bob, &[&alice], 3);
    assert_eq!(net.refused(conn, &request), RefusalCode::Malformed);
}

#[test]
fn a_device_is_told_when_its_prekeys_run_out() {
    let mut net = Net::new();
    let (mut alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let prekeys = alice.prekeys(21);
    publish(&mut net, &alice, false, prekeys);
    keys(&mut net, fetch(&bob, &[&alice], 1));
    assert!(net.pushes(alice.conn()).is_empty());
    keys(&mut net, fetch(&bob, &[&alice], 1));
    assert!(matches!(net.pushes(alice.conn())[..], [Push::PrekeysLow(low)] if (low.kind, low.left) == (1, 19)));
    keys(&mut net, fetch(&bob, &[&alice], 0));
    assert!(net.pushes(alice.conn()).is_empty());
}

#[test]
fn there_is_room_for_a_hundred_of_a_kind() {
    let mut net = Net::new();
    let mut alice = net.registered("alice", 1);
    for left in [40, 80, 100, 100] {
        let prekeys = alice.prekeys(PREKEYS_PER_PUBLISH as u32);
        assert_eq!(publish(&mut net, &alice, false, prekeys)[0].left, left);
    }
}

#[test]
fn prekeys_have_to_be_ones_own() {
    let mut net = Net::new();
    let (alice, mut bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let request = PublishPrekeys { replace: false, prekeys: bob.prekeys(1) };
    assert_eq!(net.refused(alice.conn(), &Request::PublishPrekeys(request)), RefusalCode::BundleRefused);
    let mut broken = bob.prekeys(1)[0].to_vec();
    *broken.last_mut().unwrap() ^= 1;
    let request = PublishPrekeys { replace: true, prekeys: vec![broken.into()] };
    assert_eq!(net.refused(bob.conn(), &Request::PublishPrekeys(request)), RefusalCode::BundleRefused);
}

/// S10: after a restore the old prekeys go, and what the login returns is above all that was ever published.
#[test]
fn a_restored_device_replaces_everything() {
    let mut net = Net::new();
    let (mut alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let old = alice.prekeys(5);
    publish(&mut net, &alice, false, old);
    let renewal = renewed(&mut alice, 90, net.now);
    assert!(net.request(alice.conn(), &Request::PublishBundle(PublishBundle { bundle: renewal })).is_ok());
    net.disconnect(&mut alice);
    let logged_in = net.log_in(&mut alice);
    assert_eq!(logged_in.serial, 2);
    assert_eq!(logged_in.stock.kinds[0], PrekeyStock { kind: 1, left: 5, highest: 90 });
    let new = alice.prekeys(2);
    assert_eq!(publish(&mut net, &alice, true, new.clone())[0].left, 2);
    assert_eq!(keys(&mut net, fetch(&bob, &[&alice], 1)).devices[0].prekey, Some(new[0].clone()));
}

#[test]
fn old_prekeys_are_not_handed_out() {
    let mut net = Net::new();
    let (mut alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let old = alice.prekeys(2);
    publish(&mut net, &alice, false, old);
    // Ninety days pass between two of the hourly cleanings.
    net.now += 90 * DAY + 1;
    let new = alice.prekeys(1);
    publish(&mut net, &alice, false, new.clone());
    assert_eq!(keys(&mut net, fetch(&bob, &[&alice], 1)).devices[0].prekey, Some(new[0].clone()));
    assert_eq!(keys(&mut net, fetch(&bob, &[&alice], 1)).devices[0].prekey, None);
}

#[test]
fn bundles_only_move_forward() {
    let mut net = Net::new();
    let mut alice = net.registered("alice", 1);
    let publish = |bundle| Request::PublishBundle(PublishBundle { bundle });
    let first = alice.bundle();
    let second = renewed(&mut alice, 5, net.now);
    assert!(net.request(alice.conn(), &publish(second.clone())).is_ok());
    assert!(net.request(alice.conn(), &publish(second.clone())).is_ok(), "once more is harmless");
    assert_eq!(net.refused(alice.conn(), &publish(first)), RefusalCode::BundleRefused);
    // The same serial with another body.
    let mut twin = Device::new("alice", 1);
    let other = renewed(&mut twin, 6, net.now);
    assert_eq!(net.refused(alice.conn(), &publish(other)), RefusalCode::BundleRefused);
    // Of another device, of another user, without prekeys, expired, or not signed.
    let bob = Device::new("bob", 2);
    assert_eq!(net.refused(alice.conn(), &publish(bob.bundle())), RefusalCode::BundleRefused);
    let as_bob = Device::new("bob", 1);
    assert_eq!(net.refused(alice.conn(), &publish(as_bob.bundle())), RefusalCode::BundleRefused);
    let keys = Device::new("alice", 1).local.keys;
    let bare = LocalIdentity::new(keys, Some(name("alice")), 1, &Policy::default(), vec![], net.now).unwrap();
    assert_eq!(net.refused(alice.conn(), &publish(bare.bundle.bytes().into())), RefusalCode::BundleRefused);
    let expired = renewed(&mut alice, 7, net.now - 91 * DAY);
    assert_eq!(net.refused(alice.conn(), &publish(expired)), RefusalCode::BundleRefused);
    let mut broken = second.to_vec();
    broken[40] ^= 1;
    assert_eq!(net.refused(alice.conn(), &publish(broken.into())), RefusalCode::BundleRefused);
}

/// Whoever drains the prekeys of others is slowed down.
#[test]
fn taking_prekeys_is_limited() {
    let limits = {
        let mut limits = Limits::default();
        limits.prekey_rate = Rate::new(3, 1_000_000);
        limits
    };
    let mut net = Net::with(limits, |_| {});
    let (mut alice, bob, carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    let prekeys = alice.prekeys(10);
    publish(&mut net, &alice, false, prekeys);
    for _ in 0..3 {
        keys(&mut net, fetch(&bob, &[&alice], 1));
    }
    let (conn, request) = fetch(&bob, &[&alice], 1);
    assert_eq!(net.refused(conn, &request), RefusalCode::RateLimited);
    assert!(keys(&mut net, fetch(&bob, &[&alice], 0)).devices[0].prekey.is_none(), "bundles are not");
    assert!(keys(&mut net, fetch(&carol, &[&alice], 1)).devices[0].prekey.is_some(), "others are not");
}
