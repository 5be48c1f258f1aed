//! Device lists: what follows, what is proposed, what is new, and who may do what meanwhile (I6 to I8, L7).

use crate::support::*;
use securechat_core::identity::{Identity, SignedDeviceList};
use securechat_core::relay::RelayEvent;
use securechat_core::wire::{
    Acknowledge, BlobId, ChangePassword, CloseCode, ConfirmCode, CreateBlob, DeleteBlob, FetchKeys, FetchLists,
    FetchUsers, GetChunk, Lists, MissingChunks, Notice, NoticeCode, OneTimeCode, Ping, Presence, ProposeList,
    PublishBundle, PublishList, PublishPrekeys, Push, PutChunk, RefusalCode, Reply, Request, Send, SendOutcome,
    SetPresence, SetUpCode,
};

fn publish(list: &SignedDeviceList) -> Request {
    Request::PublishList(PublishList { list: list.bytes().into() })
}

fn propose(list: &SignedDeviceList) -> Request {
    Request::ProposeList(ProposeList { list: list.bytes().into() })
}

fn lists(net: &mut Net, by: &Device, user: &str, from: u64) -> Lists {
    match net.request(by.conn(), &Request::FetchLists(FetchLists { user: name(user), from })) {
        Ok(Reply::FetchLists(lists)) => lists,
        other => panic!("{other:?}"),
    }
}

/// Alice with two listed devices, both connected; and the lists of epoch 0 and 1.
fn two_devices(net: &mut Net) -> (Device, Device, SignedDeviceList, SignedDeviceList) {
    let (first, mut second) = (net.registered("alice", 1), Device::new("alice", 2));
    net.log_in_by_password(&mut second);
    assert!(net.request(second.conn(), &Request::PublishBundle(PublishBundle { bundle: second.bundle() })).is_ok());
    let zero = first.first_list();
    let proposed = zero.propose_add(&second.local.keys.identity).unwrap();
    assert!(net.request(second.conn(), &propose(&proposed)).is_ok());
    let one = proposed.countersign(&zero, &first.local.keys.identity).unwrap();
    assert!(net.request(first.conn(), &publish(&one)).is_ok());
    (first, second, zero, one)
}

#[test]
fn a_new_device_is_proposed_signed_and_then_listed() {
    let mut net = Net::new();
    let (mut first, bob) = (net.registered("alice", 1), net.registered("bob", 9));
    let mut second = Device::new("alice", 2);
    let logged_in = net.log_in_by_password(&mut second);
    assert_eq!((logged_in.listed, logged_in.epoch, logged_in.serial), (false, Some(0), 0));
    assert!(net.request(second.conn(), &Request::PublishBundle(PublishBundle { bundle: second.bundle() })).is_ok());

    let got = lists(&mut net, &second, "alice", 0);
    assert_eq!((got.epoch, got.lists.len(), got.next), (0, 1, 0));
    let current = SignedDeviceList::decode(&got.lists[0]).unwrap();
    let proposed = current.propose_add(&second.local.keys.identity).unwrap();
    assert!(net.request(second.conn(), &propose(&proposed)).is_ok());
    assert!(net.events.iter().any(|event| matches!(event, RelayEvent::ListProposed { .. })));
    let seen = |pushes: Vec<Push>| {
        pushes.into_iter().any(|push| matches!(push, Push::ListProposed(p) if *p.list == *proposed.bytes()))
    };
    assert!(seen(net.pushes(first.conn())));
    assert!(!seen(net.pushes(second.conn())));
    // Again at the next login of a listed device.
    net.log_in(&mut first);
    assert!(seen(net.pushes(first.conn())));
    // Until it is signed nobody sends to the new device, and it sends to nobody.
    assert_eq!(net.send(&bob, vec![item(&second, 1, b"x")])[0].outcome, SendOutcome::Unknown);
    let from_second = Request::Send(Send { items: vec![item(&bob, 1, b"x")] });
    assert_eq!(net.refused(second.conn(), &from_second), RefusalCode::NotAllowed);

    let signed = proposed.countersign(&current, &first.local.keys.identity).unwrap();
    assert!(net.request(first.conn(), &publish(&signed)).is_ok());
    let told = [Push::Notice(Notice { code: NoticeCode::ListChanged, epoch: 1 })];
    assert_eq!(format!("{:?}", net.pushes(second.conn())), format!("{told:?}"));
    // The next send names the new epoch, and the new device is there for the rest (L3).
    assert_eq!(net.send(&bob, vec![item(&first, 2, b"x")])[0].epoch, 1);
    net.sends(&bob, &second, 3, b"welcome");
    assert_eq!(net.delivered(second.conn()).len(), 1);
    assert!(net.request(second.conn(), &from_second).is_ok());
    net.log_in(&mut first);
    assert!(!seen(net.pushes(first.conn())), "what was signed is not proposed any more");
}

#[test]
fn lists_that_do_not_follow_are_refused() {
    let mut net = Net::new();
    let (first, second, zero, one) = two_devices(&mut net);
    let (mallory, stranger) = (net.registered("mallory", 5), Device::new("alice", 6));
    let keys = |device: &Device| device.local.keys.identity.verifying_key();
    let (a, b) = (&first.local.keys.identity, &second.local.keys.identity);

    // Already the current one: harmless. An earlier one, or one that leaves out an epoch: refused.
    assert!(net.request(first.conn(), &publish(&one)).is_ok());
    let again = one.without(&[second.identity()], a).unwrap();
    let ahead = again.propose_add(b).unwrap().countersign(&again, a).unwrap();
    for list in [&zero.without(&[], a).unwrap(), &ahead] {
        assert_eq!(net.refused(first.conn(), &publish(list)), RefusalCode::ListRefused);
    }
    // Not signed by a device of the list before; not signed by the new one; signed by a foreign one.
    let unsigned = one.propose_add(&stranger.local.keys.identity).unwrap();
    assert_eq!(net.refused(first.conn(), &publish(&unsigned)), RefusalCode::ListRefused);
    // Of another user, from another user's connection, and bytes that are no list.
    assert_eq!(net.refused(mallory.conn(), &publish(&again)), RefusalCode::ListRefused);
    assert_eq!(net.refused(first.conn(), &publish(&mallory.first_list())), RefusalCode::ListRefused);
    let noise = Request::PublishList(PublishList { list: b"noise"[..].into() });
    assert_eq!(net.refused(first.conn(), &noise), RefusalCode::ListRefused);
    // A device of another user cannot be drawn in, even if it agrees.
    let foreign = one.propose_add(&mallory.local.keys.identity).unwrap().countersign(&one, a).unwrap();
    assert_eq!(net.refused(first.conn(), &publish(&foreign)), RefusalCode::Taken);

    let got = lists(&mut net, &first, "alice", 0);
    assert_eq!((got.epoch, got.lists.len()), (1, 2));
    assert_eq!(*got.lists[1], *one.bytes());
    assert_ne!(keys(&first), keys(&second));
}

/// Two devices publish at the same time: one of the lists counts, the other one no longer follows.
#[test]
fn of_two_lists_at_once_one_is_refused() {
    let mut net = Net::new();
    let (first, second, _, one) = two_devices(&mut net);
    let without_second = publish(&one.without(&[second.identity()], &first.local.keys.identity).unwrap());
    let without_first = publish(&one.without(&[first.identity()], &second.local.keys.identity).unwrap());
    net.hold_jobs = true;
    let a = net.ask(first.conn(), &without_second);
    let b = net.ask(second.conn(), &without_first);
    net.hold_jobs = false;
    net.run();
    assert!(matches!(net.answer(first.conn(), a), Some(Ok(Reply::PublishList(_)))));
    assert!(net.answer(second.conn(), b).is_none(), "its connection was ended before");
    assert_eq!(net.closed[&second.conn()], CloseCode::Revoked as u8);
    assert_eq!(lists(&mut net, &first, "alice", 0).epoch, 2);
}

#[test]
fn who_is_left_out_is_told_and_goes() {
    let mut net = Net::new();
    let (first, mut second, _, one) = two_devices(&mut net);
    let bob = net.registered("bob", 9);
    net.sends(&bob, &second, 1, b"waits");
    let two = one.without(&[second.identity()], &first.local.keys.identity).unwrap();
    assert!(net.request(first.conn(), &publish(&two)).is_ok());
    let pushes = net.pushes(second.conn());
    assert!(matches!(pushes.last(), Some(Push::Notice(Notice { code: NoticeCode::ListChanged, epoch: 2 }))));
    assert_eq!(net.closed[&second.conn()], CloseCode::Revoked as u8);
    assert!(!net.closed.contains_key(&first.conn()));
    // Its key opens nothing any more, and says why; with the password it may start over, unlisted.
    let conn = net.connect();
    let request = second.log_in_device(&net.bindings[&conn]);
    assert_eq!(net.refused(conn, &request), RefusalCode::NotListed);
    let logged_in = net.log_in_by_password(&mut second);
    assert_eq!((logged_in.listed, logged_in.serial), (false, 0));
    assert!(net.delivered(second.conn()).is_empty());
    // Senders learn that there is a newer list.
    let sent = net.send(&bob, vec![item(&second, 2, b"x")]);
    assert_eq!((sent[0].outcome, sent[0].epoch), (SendOutcome::Unknown, 2));
}

/// I8: who lost every device starts anew with the password; the devices listed till then are told.
#[test]
fn a_new_epoch_0_replaces_the_chain_and_is_noticed() {
    let mut net = Net::new();
    let (first, second, _, _) = two_devices(&mut net);
    let mut third = Device::new("alice", 3);
    net.log_in_by_password(&mut third);
    assert!(net.request(third.conn(), &Request::PublishBundle(PublishBundle { bundle: third.bundle() })).is_ok());
    assert!(net.request(third.conn(), &publish(&third.first_list())).is_ok());
    for device in [&first, &second] {
        let pushes = net.pushes(device.conn());
        assert!(matches!(pushes.last(), Some(Push::Notice(Notice { code: NoticeCode::ListReplaced, epoch: 0 }))));
        assert_eq!(net.closed[&device.conn()], CloseCode::Revoked as u8);
    }
    let bob = net.registered("bob", 9);
    let got = lists(&mut net, &bob, "alice", 0);
    assert_eq!((got.epoch, got.lists.len(), got.next), (0, 1, 0));
    assert_eq!(*got.lists[0], *third.first_list().bytes());
    assert_eq!(lists(&mut net, &bob, "alice", 2).lists.len(), 0, "who holds epoch 1 sees that the epoch fell");
    net.sends(&bob, &third, 1, b"hello");
    assert_eq!(net.delivered(third.conn()).len(), 1, "it is listed from then on");
}

#[test]
fn a_new_epoch_0_needs_the_password_and_names_its_own_device_alone() {
    let mut net = Net::new();
    let (mut first, second, ..) = two_devices(&mut net);
    net.log_in(&mut first);
    assert_eq!(net.refused(first.conn(), &publish(&first.first_list())), RefusalCode::NotAllowed);
    let mut third = Device::new("alice", 3);
    net.log_in_by_password(&mut third);
    assert_eq!(net.refused(third.conn(), &publish(&second.first_list())), RefusalCode::NotAllowed);
    let other_user = SignedDeviceList::create(name("bob"), &third.local.keys.identity).unwrap();
    assert_eq!(net.refused(third.conn(), &publish(&other_user)), RefusalCode::ListRefused);
}

#[test]
fn a_proposal_adds_its_own_device_and_nothing_else() {
    let mut net = Net::new();
    let (first, second, zero, one) = two_devices(&mut net);
    let (mut third, fourth) = (Device::new("alice", 3), Device::new("alice", 4));
    net.log_in_by_password(&mut third);
    let stale = zero.propose_add(&third.local.keys.identity).unwrap();
    let anothers = one.propose_add(&fourth.local.keys.identity).unwrap();
    let signed = anothers.countersign(&one, &first.local.keys.identity).unwrap();
    let fewer = one.without(&[second.identity()], &first.local.keys.identity).unwrap();
    let fewer = fewer.propose_add(&third.local.keys.identity).unwrap();
    assert_eq!(net.refused(third.conn(), &propose(&stale)), RefusalCode::ListRefused);
    assert_eq!(net.refused(third.conn(), &propose(&anothers)), RefusalCode::NotAllowed);
    assert_eq!(net.refused(third.conn(), &propose(&signed)), RefusalCode::ListRefused);
    assert_eq!(net.refused(third.conn(), &propose(&fewer)), RefusalCode::ListRefused);
    assert!(
        !net.pushes(first.conn()).iter().any(|push| matches!(push, Push::ListProposed(p) if *p.list != *one.bytes()
        && *p.list != *zero.propose_add(&second.local.keys.identity).unwrap().bytes()))
    );
    let good = one.propose_add(&third.local.keys.identity).unwrap();
    assert!(net.request(third.conn(), &propose(&good)).is_ok());
    assert!(matches!(&net.pushes(first.conn())[..], [Push::ListProposed(p)] if *p.list == *good.bytes()));
}

/// L7, kind by kind.
#[test]
fn an_unlisted_device_may_do_little() {
    let mut net = Net::new();
    net.registered("alice", 1);
    let mut second = Device::new("alice", 2);
    net.log_in_by_password(&mut second);
    let blob = BlobId([1; 16]);
    let code = OneTimeCode::new(1).unwrap();
    let devices: Vec<Identity> = vec![];
    let may = [
        Request::Ping(Ping),
        Request::PublishBundle(PublishBundle { bundle: second.bundle() }),
        Request::PublishPrekeys(PublishPrekeys { replace: false, prekeys: second.prekeys(1) }),
        Request::FetchLists(FetchLists { user: name("alice"), from: 0 }),
        Request::FetchKeys(FetchKeys { user: name("alice"), devices, prekey_kind: 1 }),
    ];
    for request in may {
        assert!(net.request(second.conn(), &request).is_ok(), "{request:?}");
    }
    let may_not = [
        Request::ChangePassword(ChangePassword { old: password("password"), new: password("x") }),
        Request::SetUpCode(SetUpCode { password: password("password"), code: None }),
        Request::ConfirmCode(ConfirmCode { code }),
        Request::Users(FetchUsers { from: String::new() }),
        Request::SetPresence(SetPresence { presence: Presence::Online, watch: true }),
        Request::Send(Send { items: vec![] }),
        Request::Acknowledge(Acknowledge { envelopes: vec![] }),
        Request::CreateBlob(CreateBlob { id: blob, size: 1 }),
        Request::PutChunk(PutChunk { id: blob, index: 0, chunk: b"x"[..].into() }),
        Request::MissingChunks(MissingChunks { id: blob, from: 0 }),
        Request::GetChunk(GetChunk { id: blob, index: 0 }),
        Request::DeleteBlob(DeleteBlob { id: blob }),
    ];
    for request in may_not {
        let expected =
            if matches!(request, Request::ConfirmCode(_)) { RefusalCode::WrongState } else { RefusalCode::NotAllowed };
        assert_eq!(net.refused(second.conn(), &request), expected, "{request:?}");
    }
}

/// Long chains come in pages.
#[test]
fn a_chain_is_fetched_page_by_page() {
    let mut net = Net::new();
    let (first, second, _, one) = two_devices(&mut net);
    let mut current = one;
    for round in 0..17 {
        let next = if round % 2 == 0 {
            current.without(&[second.identity()], &first.local.keys.identity).unwrap()
        } else {
            let proposed = current.propose_add(&second.local.keys.identity).unwrap();
            proposed.countersign(&current, &first.local.keys.identity).unwrap()
        };
        assert!(net.request(first.conn(), &publish(&next)).is_ok());
        current = next;
    }
    let mut all = Vec::new();
    let mut from = 0;
    loop {
        let page = lists(&mut net, &first, "alice", from);
        assert_eq!(page.epoch, 18);
        all.extend(page.lists);
        from = page.next;
        if from == 0 {
            break;
        }
    }
    assert_eq!(all.len(), 19);
    let all: Vec<_> = all.iter().map(|list| SignedDeviceList::decode(list).unwrap()).collect();
    assert!(all.windows(2).all(|pair| pair[1].verify_follows(&pair[0]).is_ok()));
    assert_eq!(
        net.refused(first.conn(), &Request::FetchLists(FetchLists { user: name("nobody"), from: 0 })),
        RefusalCode::UnknownUser
    );
}
