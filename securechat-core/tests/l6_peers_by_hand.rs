//! What a peer may ask on a link of its own, and what becomes of one who asks for more (L6).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::content::Body;
use securechat_core::event::Event;
use securechat_core::identity::UserName;
use securechat_core::suite::{Policy, Suite};
use securechat_core::wire::{
    BlobId, CreateBlob, DeleteBlob, Enter, FetchKeys, FetchLists, FetchUsers, GetChunk, LISTS_PER_PAGE, Lists, Notice,
    NoticeCode, Password, Ping, PrekeysLow, ProposeList, PublishList, Push, PutChunk, RefusalCode, Reply, Request,
    Send, SendOutcome, SendResult, Sent, SetPresence,
};
use support::mallory::{Mallory, PeerByHand};
use support::net::Net;

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn policy() -> Policy {
    Policy::new(vec![Suite::ALL[0]]).unwrap()
}

/// Alice and bob at a relay, and mallory on a link of her own to alice.
fn setting(seed: u64) -> (Net, usize, usize, Mallory, PeerByHand) {
    let mut net = Net::new(seed, &policy());
    let alice = net.register("alice", &policy());
    let bob = net.register("bob", &policy());
    let mallory = Mallory::new(seed, "mallory", &policy());
    let mut peer = PeerByHand::dial(&mut net, alice, &mallory, &policy());
    peer.show_lists(&mut net, &mallory);
    assert!(net.saw(alice, |event| matches!(event, Event::LinkOpen { user: Some(_), .. })));
    (net, alice, bob, mallory, peer)
}

#[test]
fn l6_a_file_is_given_to_whom_it_was_offered() {
    let (mut net, alice, _, _, mut peer) = setting(301);
    let (file, _) = net.hosts[alice].client.send_file(name("bob"), "secret", 10, "", net.now).unwrap();
    net.drain(alice);
    net.forget_events();
    for id in [file, [0; 16]] {
        peer.ask(&mut net, &Request::GetChunk(GetChunk { id: BlobId(id), index: 0 }));
    }
    let codes: Vec<RefusalCode> = peer.refusals.iter().map(|(_, refusal)| refusal.code).collect();
    assert_eq!(codes, [RefusalCode::NotFound, RefusalCode::NotFound]);
    assert!(!net.saw(alice, |event| matches!(event, Event::FileNeed { .. })));
    assert!(peer.answers.is_empty() && !peer.over);
}

/// One who was offered a file gets each chunk asked for, but not a thousand for a few bytes.
#[test]
fn l6_a_chunk_asked_for_a_thousand_times_is_not_sealed_as_often() {
    let (mut net, alice, _, _, mut peer) = setting(302);
    let (file, _) = net.hosts[alice].client.send_file(name("mallory"), "a", 100_000, "", net.now).unwrap();
    let mut questions = Vec::new();
    for id in 1..=1_000 {
        let get = Request::GetChunk(GetChunk { id: BlobId(file), index: 0 });
        peer.link.send(&get.encode(id).unwrap()).unwrap();
        questions.push(id);
    }
    peer.pump(&mut net);
    // The host reads the chunk and hands it in.
    let bytes = vec![7; 61_440];
    net.hosts[alice].client.supply_file(&file, 0, &bytes, net.now).unwrap();
    peer.pump(&mut net);
    let chunks = peer.answers.iter().filter(|(_, reply)| matches!(reply, Reply::GetChunk(_))).count();
    assert!((1..=16).contains(&chunks), "{chunks}");
    assert_eq!(peer.refusals.len(), 1_000 - chunks);
    assert!(peer.refusals.iter().all(|(_, refusal)| refusal.code == RefusalCode::NotYet));
}

/// That a file is whole ends its transfer only when all of it was sealed, and from whom it was offered to.
#[test]
fn l6_a_file_is_over_when_it_can_be_whole() {
    let (mut net, alice, _, _, mut peer) = setting(308);
    let to = |net: &mut Net, user: &str| {
        let (file, _) = net.hosts[alice].client.send_file(name(user), "a", 10, "", net.now).unwrap();
        net.drain(alice);
        file
    };
    let (mine, others) = (to(&mut net, "mallory"), to(&mut net, "bob"));
    let over = |file| Request::DeleteBlob(DeleteBlob { id: BlobId(file) });
    for file in [mine, others] {
        peer.ask(&mut net, &over(file));
    }
    let codes: Vec<RefusalCode> = peer.refusals.iter().map(|(_, refusal)| refusal.code).collect();
    assert_eq!(codes, [RefusalCode::NotFound, RefusalCode::NotFound]);
    assert_eq!(net.hosts[alice].client.transfers().len(), 2);
    net.hosts[alice].outgoing.insert(mine, vec![7; 10]);
    peer.ask(&mut net, &Request::GetChunk(GetChunk { id: BlobId(mine), index: 0 }));
    peer.ask(&mut net, &over(mine));
    assert!(net.saw(alice, |event| *event == Event::FileSent { file: mine }));
    assert_eq!(net.hosts[alice].client.transfers().len(), 1);
}

/// Who gets chunks from the sender itself while they go to the relay does not make them count twice there.
#[test]
fn l6_a_peer_who_asks_during_an_upload_does_not_hold_it_up() {
    let mut net = Net::new(307, &policy());
    let alice = net.register("alice", &policy());
    let mut mallory = Mallory::new(307, "mallory", &policy());
    mallory.enroll(&mut net);
    // She is known, and not on a link of her own: the file goes to the relay, chunk by chunk as alice's host gives them.
    mallory.open_to(&mut net, "alice");
    net.hosts[alice].client.look_up(&name("mallory"), net.now).unwrap();
    net.drain(alice);
    net.run();
    let contents = vec![7; 61_440 * 40];
    let (file, _) =
        net.hosts[alice].client.send_file(name("mallory"), "a", contents.len() as u64, "", net.now).unwrap();
    net.drain(alice);
    net.run();
    let need = |net: &Net, place: usize| {
        let mut needs = net.hosts[alice].events.iter().filter(|event| matches!(event, Event::FileNeed { .. }));
        needs.nth(place).cloned()
    };
    assert!(need(&net, 0).is_some() && need(&net, 39).is_none(), "the upload is under way");
    let mut peer = PeerByHand::dial(&mut net, alice, &mallory, &policy());
    peer.show_lists(&mut net, &mallory);
    let ask = |net: &mut Net, peer: &mut PeerByHand, index| {
        peer.ask(net, &Request::GetChunk(GetChunk { id: BlobId(file), index }));
    };
    // One that is under way to the relay, and one whose turn it is not yet.
    ask(&mut net, &mut peer, 3);
    ask(&mut net, &mut peer, 39);
    let mut told = 0;
    while let Some(Event::FileNeed { chunk, offset, length, .. }) = need(&net, told) {
        told += 1;
        let bytes = &contents[offset as usize..][..length];
        if net.hosts[alice].client.supply_file(&file, chunk, bytes, net.now).is_err() {
            break; // what the peer asked for last, when all was at the relay
        }
        net.drain(alice);
        net.run();
        peer.pump(&mut net);
        // One that the relay has already.
        if told % 10 == 0 {
            ask(&mut net, &mut peer, 0);
        }
    }
    assert!(peer.answers.len() >= 3, "the peer was answered");
    assert!(net.saw(alice, |event| matches!(event, Event::FileSent { .. })), "and the file is at the relay");
}

#[test]
fn l6_what_only_a_relay_may_be_asked_is_refused() {
    let (mut net, alice, _, mallory, mut peer) = setting(303);
    let requests = [
        Request::Enter(Enter { password: Password::new("open".to_owned()).unwrap() }),
        Request::PublishList(PublishList { list: mallory.list.bytes().into() }),
        Request::ProposeList(ProposeList { list: mallory.list.bytes().into() }),
        Request::FetchLists(FetchLists { user: name("bob"), from: 0 }),
        Request::FetchKeys(FetchKeys { user: name("alice"), devices: vec![], prekey_kind: 1 }),
        Request::Users(FetchUsers { from: String::new() }),
        Request::SetPresence(SetPresence { presence: Default::default(), watch: true }),
        Request::CreateBlob(CreateBlob { id: BlobId([1; 16]), size: 1 }),
        Request::PutChunk(PutChunk { id: BlobId([1; 16]), index: 0, chunk: vec![0; 100].into() }),
    ];
    for request in &requests {
        peer.ask(&mut net, request);
    }
    assert_eq!(peer.refusals.len(), requests.len());
    assert!(peer.refusals.iter().all(|(_, refusal)| refusal.code == RefusalCode::UnknownRequest));
    // A number that nobody knows is refused alike, and what is allowed goes on.
    let unknown = [9_u32.to_be_bytes().as_slice(), &0x3ABC_u16.to_be_bytes(), &0_u16.to_be_bytes()].concat();
    peer.say(&mut net, &unknown);
    assert_eq!(peer.refusals.len(), requests.len() + 1);
    peer.ask(&mut net, &Request::Ping(Ping));
    peer.ask(&mut net, &Request::FetchLists(FetchLists { user: name("alice"), from: 0 }));
    assert_eq!(peer.answers.len(), 2);
    assert!(!net.saw(alice, |event| matches!(event, Event::KeysChanged { .. } | Event::DeviceProposed { .. })));
}

#[test]
fn l6_pushes_unasked_answers_and_garbage_end_the_link() {
    let pushes = [
        Push::Notice(Notice { code: NoticeCode::ListReplaced, epoch: 3 }).encode().unwrap().to_vec(),
        Push::PrekeysLow(PrekeysLow { kind: 1, left: 0 }).encode().unwrap().to_vec(),
        Reply::Ping(securechat_core::wire::Done).encode(77).unwrap().to_vec(),
        Reply::Send(Sent { results: vec![] }).encode(78).unwrap().to_vec(),
        vec![],
        vec![0; 7],
        vec![0xFF; 40],
        // A length that is not that of what follows.
        [1_u32.to_be_bytes().as_slice(), &1_u16.to_be_bytes(), &9_u16.to_be_bytes()].concat(),
    ];
    for (number, packet) in pushes.iter().enumerate() {
        let (mut net, alice, _, _, mut peer) = setting(310 + number as u64);
        net.forget_events();
        peer.say(&mut net, packet);
        assert!(
            net.saw(alice, |event| matches!(event, Event::LinkClosed { error: Some(_), .. })),
            "{number} {:?}",
            net.hosts[alice].events
        );
        // The relay's link is another one.
        net.say(alice, "bob", "still here");
        assert_eq!(net.texts(1).len(), 1);
    }
}

/// A peer who takes envelopes and never says so holds up nobody but itself.
#[test]
fn l6_a_peer_that_never_answers_holds_up_nobody() {
    let (mut net, alice, bob, mut mallory, mut peer) = setting(304);
    net.say(alice, "bob", "before");
    let device = net.hosts[alice].client.identity();
    open_from(&mut mallory, &mut net, alice);
    for round in 0..200 {
        let envelope = mallory.seal(&device, Body::Text { text: format!("{round}") });
        peer.send(&mut net, envelope);
        net.hosts[alice].client.send_text(name("mallory"), "yes?", net.now).unwrap();
        peer.pump(&mut net);
    }
    assert_eq!(net.texts(alice).len(), 200);
    net.say(alice, "bob", "after");
    assert_eq!(net.texts(bob).last().unwrap().1, "after");
    assert!(peer.asked.iter().filter(|(_, request)| matches!(request, Request::Send(_))).count() <= 4);
}

/// Nor does one that says that it has no room, or refuses for a hundred years.
#[test]
fn l6_a_peer_that_refuses_holds_up_nobody() {
    for full in [true, false] {
        let (mut net, alice, bob, mut mallory, mut peer) = setting(305);
        net.say(alice, "bob", "before");
        open_from(&mut mallory, &mut net, alice);
        net.hosts[alice].client.send_text(name("mallory"), "hello", net.now).unwrap();
        peer.pump(&mut net);
        let sends = peer.asked.iter().filter_map(|(id, request)| match request {
            Request::Send(Send { items }) => Some((*id, items.len())),
            _ => None,
        });
        for (id, items) in sends.collect::<Vec<_>>() {
            if full {
                let results = vec![SendResult { outcome: SendOutcome::Full, epoch: 0 }; items];
                peer.say(&mut net, &Reply::Send(Sent { results }).encode(id).unwrap());
            } else {
                let refusal = securechat_core::wire::Refusal::after(RefusalCode::RateLimited, u32::MAX);
                peer.say(&mut net, &refusal.encode(id).unwrap());
            }
        }
        net.say(alice, "bob", "after");
        assert_eq!(net.texts(bob).last().unwrap().1, "after", "{full}");
    }
}

/// A chain of lists that never ends ends the link.
#[test]
fn l6_lists_without_end_end_the_link() {
    for empty in [true, false] {
        let mut net = Net::new(306, &policy());
        let alice = net.register("alice", &policy());
        let mallory = Mallory::new(306, "mallory", &policy());
        let mut peer = PeerByHand::dial(&mut net, alice, &mallory, &policy());
        for round in 0..100 {
            let Some((id, Request::FetchLists(fetch))) = peer.asked.pop() else { break };
            let lists = if empty { vec![] } else { vec![mallory.list.bytes().into(); LISTS_PER_PAGE] };
            let next = fetch.from + LISTS_PER_PAGE as u64;
            assert!(round < 2, "asked for {} and more", fetch.from);
            peer.say(&mut net, &Reply::FetchLists(Lists { epoch: 4_000, lists, next }).encode(id).unwrap());
        }
        assert!(net.saw(alice, |event| matches!(event, Event::LinkClosed { error: Some(_), .. })));
        assert!(net.hosts[alice].client.contact(&name("mallory")).is_none());
    }
}

/// A session from mallory's own hand to a host, with the keys of its link.
fn open_from(mallory: &mut Mallory, net: &mut Net, host: usize) {
    let user = net.hosts[host].user.to_string();
    mallory.open_to(net, &user);
}
