//! A member whose client says anything, before and after she was removed, with the relay on her side: what she writes is
//! put into mailboxes past the relay's own checks.

use super::{group_of, marks, name, names, read, said, settle, write};
use crate::support::mallory::Mallory;
use crate::support::net::Net;
use crate::support::rng;
use securechat_core::content::{Body, Content, MessageId};
use securechat_core::crypto::aead::Cipher;
use securechat_core::error::PeerMisbehaved;
use securechat_core::event::Event;
use securechat_core::group::{HandedKey, SenderKey};
use securechat_core::limits::{GROUP_GRACE, GROUP_HOLD, SENDER_KEY_LIFE};
use securechat_core::relay::{Store, StoreJob, StoreResult};
use securechat_core::roster::{Action, Entry, GroupId, Roster, SignedEntry};
use securechat_core::suite::Policy;

/// The log of a group as the relay has it.
fn log(net: &mut Net, group: GroupId) -> Vec<SignedEntry> {
    let job = StoreJob::Log { group, user: name("alice"), from: 0, count: 64 };
    let StoreResult::Log(Some(page)) = net.relay.store.run(&[job]).remove(0) else { panic!("no log") };
    page.entries.iter().map(|entry| SignedEntry::decode(entry).unwrap()).collect()
}

/// What the log comes to with its entry of this number.
fn roster(net: &mut Net, group: GroupId, sequence: usize) -> Roster {
    let entries = log(net, group);
    let mut roster = Roster::create(&entries[0]).unwrap();
    entries[1..=sequence].iter().for_each(|entry| roster.apply(entry).unwrap());
    roster
}

/// Alice, Bob and Mallory in one group; Mallory is its third member and has no client.
fn with_mallory(seed: u64) -> (Net, GroupId, Mallory) {
    let (mut net, group) = group_of(seed, &["alice", "bob"]);
    let mallory = Mallory::new(seed, "mallory", &Policy::default());
    mallory.enroll(&mut net);
    net.hosts[0].client.add_to_group(&group, &names(&["mallory"]), net.now).unwrap();
    settle(&mut net, 0);
    assert_eq!(net.hosts[1].client.group(&group).unwrap().members.len(), 3);
    (net, group, mallory)
}

fn handed(group: GroupId, handed: HandedKey) -> Body {
    let HandedKey { signing, cipher, number, chain } = handed;
    Body::GroupKey { group, signing, cipher, number, chain }
}

/// Mallory hands a new key to a host, and writes under it, naming the newest entry of `roster`.
fn write_as(net: &mut Net, mallory: &mut Mallory, host: usize, roster: &Roster, text: &str) {
    let mut key = SenderKey::generate(&mallory.identity(), roster, Cipher::AesGcm, net.now, &mut *mallory.rng);
    mallory.write(net, host, handed(roster.id(), key.handed(0)));
    let id = MessageId::random(&mut *mallory.rng);
    let content = Content { id, sent_at: net.now, expiry: 0, body: Body::Text { text: text.into() } };
    let envelope = key.seal(&mallory.identity(), roster, &content.encode().unwrap(), &mut *mallory.rng).unwrap();
    mallory.deliver(net, host, vec![envelope]);
}

/// ATTACKS.md E1: a removed member and the relay together are marked for a day, and then refused.
#[test]
fn g7_who_was_removed_is_marked_for_a_day_and_then_refused() {
    let (mut net, group, mut mallory) = with_mallory(61);
    let before = roster(&mut net, group, 2);
    write_as(&mut net, &mut mallory, 1, &before, "a member");
    assert_eq!((read(&net, 1), marks(&net, 1)[0].before_removal), (said(&[("mallory", "a member")]), false));
    net.hosts[0].client.remove_from_group(&group, &names(&["mallory"]), net.now).unwrap();
    settle(&mut net, 0);
    net.forget_events();
    write_as(&mut net, &mut mallory, 1, &before, "as if nothing had happened");
    assert_eq!(read(&net, 1).len(), 1);
    assert!(marks(&net, 1)[0].before_removal);
    let after = roster(&mut net, group, 3);
    write_as(&mut net, &mut mallory, 1, &after, "under the newest entry");
    assert_eq!(read(&net, 1).len(), 1);
    assert!(net.saw(1, |event| *event == Event::Unopened { claimed: name("mallory") }));
    net.advance(GROUP_GRACE);
    write_as(&mut net, &mut mallory, 1, &before, "a day later");
    assert_eq!(read(&net, 1).len(), 1);
}

/// ATTACKS.md E1: nobody is shown what is said to be from before they came. A removed member could hand them a key for it.
#[test]
fn g4_what_names_an_entry_from_before_one_came_is_refused() {
    let (mut net, group, mut mallory) = with_mallory(62);
    net.hosts[0].client.remove_from_group(&group, &names(&["mallory"]), net.now).unwrap();
    settle(&mut net, 0);
    let dave = net.register("dave", &Policy::default());
    net.hosts[0].client.add_to_group(&group, &names(&["dave"]), net.now).unwrap();
    settle(&mut net, 0);
    let before = roster(&mut net, group, 2);
    write_as(&mut net, &mut mallory, dave, &before, "I am one of you");
    assert_eq!(read(&net, dave).len(), 0);
    assert!(net.saw(dave, |event| *event == Event::Unopened { claimed: name("mallory") }));
}

/// ATTACKS.md D2: a member has everybody's keys, and what is under them is still not hers.
#[test]
fn a_member_writes_under_no_name_but_her_own() {
    let (mut net, group, mut mallory) = with_mallory(63);
    write(&mut net, 0, group, "from alice");
    net.forget_events();
    let newest = roster(&mut net, group, 2);
    // Bob takes a key for what the session says whose it is: the same one, handed over by Mallory, is another.
    let alice = net.hosts[0].client.identity();
    let mut key = SenderKey::generate(&alice, &newest, Cipher::AesGcm, net.now, &mut *rng(9));
    mallory.write(&mut net, 1, handed(group, key.handed(0)));
    let id = MessageId::random(&mut *mallory.rng);
    let content = Content { id, sent_at: net.now, expiry: 0, body: Body::Text { text: "I am alice".into() } };
    let content = content.encode().unwrap();
    let forged = key.seal(&alice, &newest, &content, &mut *mallory.rng).unwrap();
    // Under the id that Bob computed, too.
    let mut renamed = forged.clone();
    let id = key.handed(0).id(&mallory.identity(), group);
    renamed[17..33].copy_from_slice(id.as_bytes());
    mallory.deliver(&mut net, 1, vec![forged, renamed]);
    // The second waits behind the first, whose key never comes.
    net.advance(GROUP_HOLD);
    assert_eq!(read(&net, 1).len(), 0);
    assert!(net.saw(1, |event| *event == Event::Unopened { claimed: name("mallory") }));
}

/// ATTACKS.md D3: keys for groups that there are not, and of who is in none, go into one room; a good one comes in all the
/// same.
#[test]
fn d3_keys_that_are_made_up_fill_nothing_and_shut_nobody_out() {
    let (mut net, group, mut mallory) = with_mallory(64);
    let newest = roster(&mut net, group, 2);
    net.hosts[0].client.remove_from_group(&group, &names(&["mallory"]), net.now).unwrap();
    settle(&mut net, 0);
    let device = mallory.open_to(&mut net, "bob");
    let key = SenderKey::generate(&mallory.identity(), &newest, Cipher::AesGcm, net.now, &mut *mallory.rng);
    let before = net.hosts[1].records.len();
    for round in 0..14_u8 {
        let made_up = |number: u8| {
            let mut id = [round; 16];
            id[0] = number;
            handed(GroupId::from_bytes(id), key.handed(0))
        };
        let envelopes = (0..100).map(|number| mallory.seal(&device, made_up(number))).collect();
        mallory.deliver(&mut net, 1, envelopes);
    }
    let kept = net.hosts[1].records.len() - before;
    assert!((1_024..1_400).contains(&kept), "{kept}");
    // Somebody comes with a key that nobody had.
    let dave = net.register("dave", &Policy::default());
    net.hosts[0].client.add_to_group(&group, &names(&["dave"]), net.now).unwrap();
    settle(&mut net, 0);
    net.advance(SENDER_KEY_LIFE / 7);
    write(&mut net, dave, group, "hello");
    assert_eq!(read(&net, 1), said(&[("dave", "hello")]));
}

/// ATTACKS.md E2: an entry in an admin's name by a device that is none of theirs (G2), which the relay puts onto the log.
#[test]
fn g2_an_entry_by_a_device_that_is_not_the_actors_is_refused() {
    let (mut net, group, mallory) = with_mallory(65);
    let local = mallory.local.clone();
    net.relay.on_result = Some(Box::new(move |job, result| {
        if let (StoreJob::Log { .. }, StoreResult::Log(Some(page))) = (job, result)
            && let Some(last) = page.entries.last()
        {
            let last = SignedEntry::decode(last).unwrap();
            let forged = Entry {
                identity: local.bundle.identity(),
                previous: last.hash(),
                sequence: last.entry().sequence + 1,
                action: Action::Admin { user: name("mallory"), admin: true },
                ..last.entry().clone()
            };
            let forged = SignedEntry::sign(forged, &local.keys.identity).unwrap();
            page.entries.push(forged.bytes().into());
            page.sequence += 1;
        }
    }));
    net.hosts[0].client.rename_group(&group, "others", net.now).unwrap();
    settle(&mut net, 0);
    let info = net.hosts[1].client.group(&group).unwrap();
    assert_eq!((info.name.as_str(), info.sequence), ("others", 3));
    assert_eq!(info.members.iter().filter(|(_, admin)| *admin).count(), 1);
    let error = PeerMisbehaved::NotInDeviceList.into();
    assert!(net.saw(1, |event| *event == Event::GroupRefused { group, error }), "{:?}", net.hosts[1].events);
}
