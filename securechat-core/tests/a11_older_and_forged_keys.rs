//! A relay that shows what once was true, what somebody else signed, or what it signed itself: keys, prekeys and device
//! lists, of others and of one's own user (ATTACKS.md A11).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::client::History;
use securechat_core::error::{Error, PeerMisbehaved};
use securechat_core::event::Event;
use securechat_core::identity::{SignedDeviceList, Trust, UserName};
use securechat_core::limits::DAY;
use securechat_core::relay::{Chain, StoreJob, StoreResult};
use securechat_core::suite::{Policy, Suite};
use securechat_core::wire::{Bytes, Recipient, Reply};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use support::mallory::Mallory;
use support::net::{Net, PASSWORD};

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn policy() -> Policy {
    Policy::new(vec![Suite::ALL[0]]).unwrap()
}

fn two(seed: u64) -> (Net, usize, usize) {
    let mut net = Net::new(seed, &policy());
    let alice = net.register("alice", &policy());
    let bob = net.register("bob", &policy());
    (net, alice, bob)
}

/// What the relay answers to questions for a user's lists, in place of what it has.
fn show_lists(net: &mut Net, of: &str, lists: &[SignedDeviceList]) {
    let (of, lists): (UserName, Vec<Bytes>) = (name(of), lists.iter().map(|list| list.bytes().into()).collect());
    net.relay.on_result = Some(Box::new(move |job, result| {
        if let StoreJob::Lists { user, from, .. } = job
            && *user == of
        {
            let shown = lists.iter().skip(*from as usize).cloned().collect();
            *result = StoreResult::Lists(Some(Chain { epoch: Some(lists.len() as u64 - 1), lists: shown }));
        }
    }));
}

/// The lists that the relay has of a user.
fn lists_of(net: &mut Net, user: &str) -> Vec<SignedDeviceList> {
    use securechat_core::relay::Store;
    let job = StoreJob::Lists { user: name(user), from: 0, count: 100 };
    let StoreResult::Lists(Some(chain)) = net.relay.store.run(&[job]).remove(0) else { panic!() };
    chain.lists.iter().map(|list| SignedDeviceList::decode(list).unwrap()).collect()
}

/// Those to whom envelopes were ever handed in from now on.
fn recipients(net: &mut Net) -> Rc<RefCell<BTreeSet<Recipient>>> {
    let seen: Rc<RefCell<BTreeSet<Recipient>>> = Rc::default();
    let handle = seen.clone();
    net.relay.on_job = Some(Box::new(move |job| {
        if let StoreJob::Send { items, .. } = job {
            handle.borrow_mut().extend(items.iter().map(|item| item.recipient));
        }
    }));
    seen
}

#[test]
fn a11_an_older_bundle_is_refused() {
    let (mut net, alice, bob) = two(401);
    net.say(alice, "bob", "first");
    let old = Rc::new(RefCell::new(None));
    let handle = old.clone();
    let newest = net.hosts[bob].client.identity();
    net.relay.on_reply = Some(Box::new(move |reply| {
        if let Reply::FetchKeys(keys) = reply
            && keys.devices[0].identity == newest
        {
            let mut old = handle.borrow_mut();
            let shown = old.get_or_insert_with(|| keys.devices[0].bundle.clone());
            (keys.devices[0].bundle, keys.devices[0].prekey) = (shown.clone(), None);
        }
    }));
    // Every restore of alice's makes her fetch bob's keys again; in between bob has published newer ones.
    net.restart(alice, History::Restored).unwrap();
    net.connect(alice);
    net.say(alice, "bob", "second");
    assert_eq!(net.texts(bob).len(), 2);
    net.advance(8 * DAY);
    net.say(bob, "alice", "with a newer bundle");
    net.restart(bob, History::Restored).unwrap();
    net.connect(bob);
    net.say(bob, "alice", "and this shows it");
    assert_eq!(net.texts(alice).last().unwrap().1, "and this shows it");
    net.restart(alice, History::Restored).unwrap();
    net.connect(alice);
    net.forget_events();
    net.say(alice, "bob", "third");
    let rollback = Error::from(PeerMisbehaved::BundleRollback);
    let refused = |event: &Event| matches!(event, Event::DeviceUnreachable { device, error, .. } if *device == newest && *error == rollback);
    assert!(net.saw(alice, refused), "{:?}", net.hosts[alice].events);
    assert_eq!(net.texts(bob).len(), 0);
    net.relay.on_reply = None;
    net.advance(120_000);
    assert_eq!(net.texts(bob), [("alice".to_owned(), "third".to_owned())]);
}

#[test]
fn a11_without_one_time_prekeys_and_with_one_given_twice_it_goes_on() {
    // None: the last-resort prekey serves, in every kind of session.
    for suite in Suite::ALL {
        let policy = Policy::new(vec![suite]).unwrap();
        let mut net = Net::new(402, &policy);
        let alice = net.register("alice", &policy);
        let bob = net.register("bob", &policy);
        net.relay.on_reply = Some(Box::new(|reply| {
            if let Reply::FetchKeys(keys) = reply {
                keys.devices.iter_mut().for_each(|device| device.prekey = None);
            }
        }));
        net.say(alice, "bob", "hello");
        net.say(bob, "alice", "hello yourself");
        assert_eq!((net.texts(alice).len(), net.texts(bob).len()), (1, 1), "{suite}");
    }
    // The same one for two: whoever comes second is asked to say it again.
    let (mut net, alice, bob) = two(403);
    let carol = net.register("carol", &policy());
    let given = Rc::new(RefCell::new(None));
    let bobs = net.hosts[bob].client.identity();
    net.relay.on_reply = Some(Box::new(move |reply| {
        if let Reply::FetchKeys(keys) = reply
            && keys.devices[0].identity == bobs
        {
            let mut given = given.borrow_mut();
            let prekey = given.get_or_insert_with(|| keys.devices[0].prekey.clone().unwrap());
            keys.devices[0].prekey = Some(prekey.clone());
        }
    }));
    net.say(alice, "bob", "from alice");
    net.say(carol, "bob", "from carol");
    assert!(net.saw(bob, |event| matches!(event, Event::Unopened { claimed } if *claimed == name("carol"))));
    net.relay.on_reply = None;
    net.advance(HOUR_AND_MORE);
    let from: Vec<String> = net.texts(bob).into_iter().map(|(from, _)| from).collect();
    assert_eq!(from, ["alice", "carol"], "{:?}", net.hosts[bob].events);
}

const HOUR_AND_MORE: u64 = 4_000_000;

#[test]
fn a11_lists_of_before_do_not_come_back() {
    let (mut net, alice, bob) = two(404);
    let phone = net.add("bob", &policy());
    net.connect(phone);
    net.run();
    net.hosts[phone].client.log_in(PASSWORD, None, net.now).unwrap();
    net.drain(phone);
    net.run();
    let device = net.hosts[phone].client.identity();
    net.hosts[bob].client.approve_device(&device, net.now).unwrap();
    net.drain(bob);
    net.run();
    net.say(alice, "bob", "to both");
    net.say(alice, "bob", "to both again");
    net.hosts[alice].client.mark_verified(&name("bob"), net.now).unwrap();
    let all = lists_of(&mut net, "bob");
    assert_eq!(all.len(), 2);

    // Epoch 0 alone, and nothing at all.
    for shown in [&all[..1], &[]] {
        net.forget_events();
        if shown.is_empty() {
            net.relay.on_result = Some(Box::new(|job, result| {
                if let StoreJob::Lists { .. } = job {
                    *result = StoreResult::Lists(Some(Chain { epoch: None, lists: vec![] }));
                }
            }));
        } else {
            show_lists(&mut net, "bob", shown);
        }
        net.hosts[alice].client.look_up(&name("bob"), net.now).unwrap();
        net.drain(alice);
        net.advance(1_000);
        let refused = |event: &Event| matches!(event, Event::ListsRefused { user, .. } if *user == name("bob"));
        assert!(net.saw(alice, refused), "{:?}", net.hosts[alice].events);
        let contact = net.hosts[alice].client.contact(&name("bob")).unwrap();
        assert_eq!((contact.epoch, contact.trust, contact.kept_aside), (1, Trust::Verified, None));
    }
    net.say(alice, "bob", "still to both");
    assert_eq!((net.texts(bob).len(), net.texts(phone).len()), (1, 1));
}

/// Two lists of one epoch, which only the user's own device can have signed, are a violation and no quiet change.
#[test]
fn a11_two_lists_of_one_epoch_are_a_violation() {
    let (mut net, alice, _) = two(405);
    let mallory = Mallory::new(405, "mallory", &policy());
    mallory.enroll(&mut net);
    let next = |seed| {
        let other = Mallory::new(seed, "mallory", &policy());
        let proposal = mallory.list.propose_add(&other.local.keys.identity).unwrap();
        proposal.countersign(&mallory.list, &mallory.local.keys.identity).unwrap()
    };
    let (left, right) = (next(1), next(2));
    for (list, trust) in [(&left, Trust::Seen), (&right, Trust::Violation)] {
        show_lists(&mut net, "mallory", &[mallory.list.clone(), list.clone()]);
        net.hosts[alice].client.look_up(&name("mallory"), net.now).unwrap();
        net.drain(alice);
        net.run();
        assert_eq!(net.hosts[alice].client.contact(&name("mallory")).unwrap().trust, trust);
    }
    assert!(net.saw(alice, |event| *event == Event::KeysChanged { user: name("mallory") }));
}

/// An epoch 0 that was replaced with the host's consent never counts again.
#[test]
fn a11_an_epoch_zero_accepted_before_does_not_come_back() {
    let (mut net, alice, _) = two(406);
    let before = Mallory::new(1, "mallory", &policy());
    let after = Mallory::new(2, "mallory", &policy());
    before.enroll(&mut net);
    let look = |net: &mut Net, list: &SignedDeviceList| {
        show_lists(net, "mallory", std::slice::from_ref(list));
        net.forget_events();
        net.hosts[alice].client.look_up(&name("mallory"), net.now).unwrap();
        net.drain(alice);
        net.run();
        net.hosts[alice].client.contact(&name("mallory")).unwrap()
    };
    assert_eq!(look(&mut net, &before.list).trust, Trust::Seen);
    let changed = look(&mut net, &after.list);
    assert_eq!(changed.trust, Trust::Violation);
    let shown = changed.kept_aside.unwrap().hash;
    net.hosts[alice].client.accept_keys(&name("mallory"), &shown, net.now).unwrap();
    let contact = look(&mut net, &before.list);
    assert_eq!((contact.trust, contact.devices), (Trust::Seen, vec![after.identity()]));
    assert!(net.saw(alice, |event| matches!(event, Event::ListsRefused { .. })), "{:?}", net.hosts[alice].events);
}

/// The relay takes the device's login by key away, so that its user logs in with the password as on a new device, and
/// then shows a list of its own. It would get a copy of everything that the user sends.
#[test]
fn a11_a_forged_list_of_ones_own_gets_no_copies() {
    let (mut net, alice, bob) = two(407);
    net.say(bob, "alice", "before");
    let forger = Mallory::new(3, "bob", &policy());
    let own = net.hosts[bob].client.identity();
    let forged = forger.list.clone();
    net.relay.on_result = Some(Box::new(move |job, result| match (job, result) {
        (StoreJob::Device { .. }, StoreResult::Device(state)) => state.listed = false,
        (StoreJob::Lists { user, .. }, result) if *user == name("bob") => {
            *result = StoreResult::Lists(Some(Chain { epoch: Some(0), lists: vec![forged.bytes().into()] }));
        }
        _ => {}
    }));
    let recipients = recipients(&mut net);
    net.cut(bob);
    net.connect(bob);
    net.run();
    assert!(net.saw(bob, |event| matches!(event, Event::Refused { .. })));
    net.hosts[bob].client.log_in(PASSWORD, None, net.now).unwrap();
    net.drain(bob);
    net.advance(1_000);
    assert!(net.saw(bob, |event| *event == Event::KeysChanged { user: name("bob") }), "{:?}", net.hosts[bob].events);
    assert_eq!(net.hosts[bob].client.devices(), [own]);
    net.say(bob, "alice", "for alice alone");
    net.advance(HOUR_AND_MORE);
    // Honest again: it goes on.
    net.relay.on_result = None;
    net.cut(bob);
    net.connect(bob);
    net.run();
    net.hosts[bob].client.log_in(PASSWORD, None, net.now).unwrap();
    net.drain(bob);
    net.advance(120_000);
    assert_eq!(net.texts(alice).last().unwrap().1, "for alice alone");
    assert!(!recipients.borrow().contains(&Recipient::Device(forger.identity())));
}

/// The relay takes a registration, says that the user has another device already, and shows a list of its own making.
/// Countersigned by the new device's proposal it would be one that contacts find in order, and the safety number with it.
#[test]
fn a11_a_registration_is_not_answered_with_another_list() {
    let (mut net, alice, _) = two(411);
    let forger = Mallory::new(12, "carol", &policy());
    let forged = forger.list.clone();
    let proposed = Rc::new(Cell::new(0));
    let handle = proposed.clone();
    net.relay.on_job = Some(Box::new(move |job| {
        if let StoreJob::PutProposal { .. } = job {
            handle.set(handle.get() + 1);
        }
    }));
    net.relay.on_reply = Some(Box::new(move |reply| match reply {
        Reply::Register(state) => state.listed = false,
        Reply::FetchLists(page) => (page.epoch, page.lists, page.next) = (0, vec![forged.bytes().into()], 0),
        _ => {}
    }));
    let carol = net.add("carol", &policy());
    net.connect(carol);
    net.run();
    net.hosts[carol].client.register(PASSWORD, net.now).unwrap();
    net.drain(carol);
    net.advance(120_000);
    assert!(
        net.saw(carol, |event| *event == Event::KeysChanged { user: name("carol") }),
        "{:?}",
        net.hosts[carol].events
    );
    assert_eq!(net.hosts[carol].client.devices(), [net.hosts[carol].client.identity()]);
    assert_eq!(proposed.get(), 0, "nothing was signed for the forger");
    // Honest again: the account is what it was meant to be.
    net.relay.on_reply = None;
    net.cut(carol);
    net.connect(carol);
    net.run();
    net.hosts[carol].client.log_in(PASSWORD, None, net.now).unwrap();
    net.drain(carol);
    net.run();
    net.say(carol, "alice", "it is me");
    assert_eq!(net.texts(alice), [("carol".to_owned(), "it is me".to_owned())]);
}

/// Where the name was taken, by the user's own account as it may be, its list is no surprise: the device asks to join.
#[test]
fn i8_a_registration_refused_leaves_the_login_open() {
    let (mut net, alice, bob) = two(412);
    let phone = net.add("bob", &policy());
    net.connect(phone);
    net.run();
    net.hosts[phone].client.register(PASSWORD, net.now).unwrap();
    net.drain(phone);
    net.run();
    net.hosts[phone].client.log_in(PASSWORD, None, net.now).unwrap();
    net.drain(phone);
    net.run();
    assert!(!net.saw(phone, |event| matches!(event, Event::KeysChanged { .. })), "{:?}", net.hosts[phone].events);
    let device = net.hosts[phone].client.identity();
    net.hosts[bob].client.approve_device(&device, net.now).unwrap();
    net.drain(bob);
    net.run();
    net.say(alice, "bob", "to both");
    assert_eq!((net.texts(bob).len(), net.texts(phone).len()), (1, 1));
}

/// Where a user's other device truly began anew, the one left behind is asked, and comes back when its host accepts.
#[test]
fn i8_a_device_left_behind_joins_again() {
    let (mut net, alice, bob) = two(408);
    net.say(alice, "bob", "hello");
    net.cut(bob);
    let again = net.add("bob", &policy());
    net.connect(again);
    net.run();
    net.hosts[again].client.log_in(PASSWORD, None, net.now).unwrap();
    net.drain(again);
    net.run();
    net.hosts[again].client.start_over(net.now).unwrap();
    net.drain(again);
    net.run();
    net.connect(bob);
    net.run();
    net.hosts[bob].client.log_in(PASSWORD, None, net.now).unwrap();
    net.drain(bob);
    net.run();
    assert!(net.saw(bob, |event| *event == Event::KeysChanged { user: name("bob") }), "{:?}", net.hosts[bob].events);
    let shown = net.hosts[bob].client.contact(&name("bob")).unwrap().kept_aside.unwrap();
    assert_eq!(shown.devices, [net.hosts[again].client.identity()]);
    assert!(net.hosts[bob].client.accept_keys(&name("bob"), &[0; 32], net.now).is_err());
    net.hosts[bob].client.accept_keys(&name("bob"), &shown.hash, net.now).unwrap();
    net.drain(bob);
    net.run();
    let device = net.hosts[bob].client.identity();
    assert!(net.saw(again, |event| *event == Event::DeviceProposed { device }), "{:?}", net.hosts[again].events);
    net.hosts[again].client.approve_device(&device, net.now).unwrap();
    net.drain(again);
    net.run();
    assert_eq!(net.hosts[bob].client.devices().len(), 2);
    // It began its user's first chain, which contacts never take again.
    assert!(net.hosts[bob].client.start_over(net.now).is_err());
    assert!(net.hosts[again].client.start_over(net.now).is_err());
}

/// At first sight nobody can know whose keys these are; the safety number shows it.
#[test]
fn a11_keys_forged_at_first_sight_have_another_safety_number() {
    let (mut net, alice, bob) = two(409);
    let mut forger = Mallory::new(4, "bob", &policy());
    let (list, bundle, device) = (forger.list.clone(), forger.local.bundle.bytes().to_vec(), forger.identity());
    net.relay.on_reply = Some(Box::new(move |reply| match reply {
        Reply::FetchLists(page) => (page.epoch, page.lists, page.next) = (0, vec![list.bytes().into()], 0),
        Reply::FetchKeys(keys) => {
            keys.devices = vec![securechat_core::wire::DeviceKeys {
                identity: device,
                bundle: bundle.clone().into(),
                prekey: None,
            }];
        }
        _ => {}
    }));
    let caught = Rc::new(RefCell::new(Vec::new()));
    let handle = caught.clone();
    net.relay.on_job = Some(Box::new(move |job| {
        if let StoreJob::Send { items, .. } = job {
            handle.borrow_mut().extend(items.iter().filter_map(|item| item.envelope.clone()));
        }
    }));
    net.say(alice, "bob", "is it you?");
    // The forger reads that, and cannot make alice believe that both hold the same lists without showing its own.
    assert!(forger.open(&caught.borrow()[0], net.now).is_ok());
    assert!(net.hosts[alice].client.safety_number(&name("bob"), net.now).is_err());
    let body = securechat_core::content::Body::DeviceList {
        list: forger.list.bytes().to_vec(),
        yours: lists_of(&mut net, "alice")[0].hash(),
    };
    let to = net.hosts[alice].client.identity();
    let answer = forger.seal(&to, body);
    forger.deliver(&mut net, alice, vec![answer]);
    let shown = net.hosts[alice].client.safety_number(&name("bob"), net.now).unwrap();
    net.relay.on_reply = None;
    net.say(bob, "alice", "it was not me");
    let carol = net.register("carol", &policy());
    net.say(bob, "carol", "hello");
    assert!(net.hosts[bob].client.safety_number(&name("carol"), net.now).is_err());
    net.drain(bob);
    net.run();
    let _ = carol;
    let own = |list: &SignedDeviceList| list.identities().to_vec();
    let (alices, bobs) = (own(&lists_of(&mut net, "alice")[0]), own(&lists_of(&mut net, "bob")[0]));
    let right = securechat_core::identity::safety_number((&name("alice"), &alices), (&name("bob"), &bobs));
    assert_ne!(shown.to_string(), right.to_string());
}

/// A relay that speaks of a newer list and shows none is asked once a message, and the message leaves all the same (L3).
#[test]
fn l3_a_newer_list_that_never_comes_is_not_asked_for_for_ever() {
    let (mut net, alice, bob) = two(410);
    let asked = Rc::new(Cell::new(0));
    let handle = asked.clone();
    net.relay.on_reply = Some(Box::new(move |reply| match reply {
        Reply::Send(sent) => sent.results.iter_mut().for_each(|result| result.epoch = u64::MAX),
        Reply::FetchLists(_) => handle.set(handle.get() + 1),
        _ => {}
    }));
    for round in 0..10 {
        net.say(alice, "bob", &format!("{round}"));
    }
    net.advance(HOUR_AND_MORE);
    assert_eq!(net.texts(bob).len(), 10);
    // One for each send that said so, receipts included.
    assert!(asked.get() <= 60, "{}", asked.get());
    assert_eq!(net.hosts[alice].client.unsent(), 0);
    net.relay.on_reply = None;
    net.say(alice, "bob", "and on");
    assert_eq!(net.texts(bob).len(), 11);
}
