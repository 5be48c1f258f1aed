//! ATTACKS.md C3: a relay that says whatever it likes, without end: pushes, answers that nobody asked for, lists, offers,
//! refusals. What a client keeps stays bounded, in memory (counted by the allocator) and in its records.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::content::Body;
use securechat_core::crypto::aead::Cipher;
use securechat_core::error::{ApiMisuse, Error};
use securechat_core::event::Event;
use securechat_core::file::{FileOffer, FileProof};
use securechat_core::identity::{Identity, SignedBundle, UserName};
use securechat_core::limits::{LOOKUPS_AT_ONCE, Limits, OPEN_REQUESTS};
use securechat_core::suite::{Policy, Suite};
use securechat_core::wire::{
    Done, Keys, ListProposed, Lists, Notice, NoticeCode, PrekeysLow, Presence, PresenceChanges, Push, RefusalCode,
    Reply, Request, SendOutcome, SendResult, Sent, Stock, UserPresence, Users,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use support::liar::Liar;
use support::mallory::Mallory;
use support::net::{Net, PASSWORD};

/// Counts what each thread holds.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: it hands every call on to the system's allocator as it came and keeps a number beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WAITING: usize = 20;
const OFFERS: usize = 10;
const CONTACTS: usize = 30;
const OUTGOING: usize = 40;

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn policy() -> Policy {
    Policy::new(vec![Suite::ALL[0]]).unwrap()
}

/// A client with small bounds, registered at the liar. Gives its bundle too.
fn setting(seed: u64) -> (Net, Liar, SignedBundle) {
    let mut net = Net::new(seed, &policy());
    let mut limits = Limits::default();
    (limits.waiting_messages, limits.file_offers) = (WAITING, OFFERS);
    (limits.contacts, limits.outgoing) = (CONTACTS, OUTGOING);
    net.limits = Arc::new(limits);
    let alice = net.add("alice", &policy());
    let mut liar = Liar::meet(&mut net, alice);
    net.hosts[alice].client.register(PASSWORD, net.now).unwrap();
    liar.pump(&mut net);
    let is_register = |request: &Request| matches!(request, Request::Register(_));
    let (_, Request::Register(register)) = &liar.asked.iter().find(|(_, request)| is_register(request)).unwrap() else {
        panic!();
    };
    let bundle = SignedBundle::decode(&register.bundle).unwrap();
    liar.admit(&mut net, true);
    assert!(net.saw(alice, |event| *event == Event::LoggedIn { listed: true }));
    net.forget_events();
    (net, liar, bundle)
}

/// What the client holds, its host's records and events aside.
fn held(net: &mut Net) -> isize {
    net.forget_events();
    net.tap = Vec::new();
    let host = &mut net.hosts[0];
    host.incoming.clear();
    host.loose.clear();
    let records = std::mem::take(&mut host.records);
    let without =
        LIVE.get() - records.iter().map(|(key, value)| (key.capacity() + value.capacity()) as isize).sum::<isize>();
    host.records = records;
    without
}

/// Says `what` many times, and checks that the client holds no more of the second thousand than `allowed` bytes.
fn without_end(net: &mut Net, liar: &mut Liar, allowed: isize, mut what: impl FnMut(&mut Net, &mut Liar, usize)) {
    let (mut before, mut records) = (0, 0);
    for turn in 0..2_000 {
        if turn == 1_000 {
            (before, records) = (held(net), net.hosts[0].records.len());
        }
        what(net, liar, turn);
        liar.asked.retain(|(_, request)| !matches!(request, Request::Acknowledge(_)));
    }
    let grown = held(net) - before;
    assert!(grown < allowed, "{grown} bytes more");
    assert!(net.hosts[0].records.len() <= records + 4, "{} records more", net.hosts[0].records.len() - records);
    assert!(liar.asked.len() <= OPEN_REQUESTS, "{} requests are open", liar.asked.len());
    assert!(!liar.over);
}

#[test]
fn c3_pushes_without_end() {
    let (mut net, mut liar, _) = setting(601);
    without_end(&mut net, &mut liar, 10_000, |net, liar, turn| {
        let changes = (0..512).map(|n| UserPresence { user: name(&format!("u{n}-{turn}")), presence: Presence::Away });
        liar.push(net, &Push::Presence(PresenceChanges { changes: changes.collect() }));
        liar.push(net, &Push::PrekeysLow(PrekeysLow { kind: turn as u8, left: 0 }));
        liar.push(net, &Push::Notice(Notice { code: NoticeCode::ListChanged, epoch: turn as u64 }));
        liar.push(net, &Push::Notice(Notice { code: NoticeCode::Other(turn as u16), epoch: 0 }));
        liar.push(net, &Push::ListProposed(ListProposed { list: vec![turn as u8; 2_000].into() }));
        // Kinds that nobody knows are passed over.
        liar.say(net, &[0_u32.to_be_bytes().as_slice(), &0x7000_u16.to_be_bytes(), &0_u16.to_be_bytes()].concat());
    });
}

/// Garbage and forgeries, each under another name and device.
#[test]
fn c3_envelopes_without_end() {
    let (mut net, mut liar, _) = setting(602);
    without_end(&mut net, &mut liar, 120_000, |net, liar, turn| {
        let mut sender = [7; 32];
        sender[..8].copy_from_slice(&(turn as u64).to_be_bytes());
        let kind = (turn % 3) as u8;
        let envelope = [&[kind][..], &vec![turn as u8; 3_000]].concat();
        liar.deliver(net, Identity::from_bytes(sender), &name(&format!("u{turn}")), envelope.into());
    });
    // It asks about a few of them at a time, however many were named.
    assert!(liar.requests < 200, "{}", liar.requests);
}

/// Messages of groups that there are not: they share one room, in which the oldest makes place.
#[test]
fn c3_messages_of_groups_without_end() {
    let (mut net, mut liar, _) = setting(605);
    let mut number = 0_u64;
    let mut another = |net: &mut Net, liar: &mut Liar, _: usize| {
        let mut envelope = vec![3; 3_000];
        number += 1;
        envelope[1..9].copy_from_slice(&number.to_be_bytes());
        liar.deliver(net, Identity::from_bytes([7; 32]), &name("mallory"), envelope.into());
    };
    // The room fills, and then nothing grows.
    (0..1_000).for_each(|turn| another(&mut net, &mut liar, turn));
    without_end(&mut net, &mut liar, 120_000, another);
}

/// First messages that are right, of users of whom nothing is known and no list ever comes.
#[test]
fn c3_unknown_senders_without_end() {
    let (mut net, mut liar, bundle) = setting(603);
    let mut strangers: Vec<Mallory> = (0..3 * WAITING as u64).map(|n| stranger(1_000 + n, &format!("s{n}"))).collect();
    let local: Vec<Vec<u8>> = strangers.iter_mut().map(|stranger| first_text(stranger, &bundle, net.now)).collect();
    let before = held(&mut net);
    for (stranger, envelope) in strangers.iter().zip(&local) {
        liar.deliver(&mut net, stranger.identity(), &stranger.user, envelope.clone().into());
    }
    let envelope = local[0].len() as isize;
    let grown = held(&mut net) - before;
    assert!(grown < WAITING as isize * (envelope + 1_000) + 30_000, "{grown}");
    assert!(liar.take(|request| matches!(request, Request::Acknowledge(_))).is_empty(), "they come again");
    let lookups = liar.asked.iter().filter(|(_, request)| matches!(request, Request::FetchLists(_))).count();
    assert!(lookups <= LOOKUPS_AT_ONCE, "{lookups} users are asked for at once");
    // Who is looked up after all is heard; none of those for whom there was no room was lost.
    for _ in 0..CONTACTS {
        let questions = liar.take(|request| matches!(request, Request::FetchLists(_)));
        for (id, request) in questions {
            let Request::FetchLists(fetch) = request else { panic!() };
            match strangers.iter().find(|stranger| stranger.user == fetch.user) {
                Some(stranger) => {
                    let lists = Lists { epoch: 0, lists: vec![stranger.list.bytes().into()], next: 0 };
                    liar.reply(&mut net, id, &Reply::FetchLists(lists));
                }
                None => liar.refuse(&mut net, id, RefusalCode::Unavailable),
            }
        }
    }
    assert_eq!(net.texts(0).len(), WAITING);
}

fn stranger(seed: u64, user: &str) -> Mallory {
    Mallory::new(seed, user, &policy())
}

/// Opens a session to the client, with what its bundle has.
fn first_text(stranger: &mut Mallory, bundle: &SignedBundle, now: u64) -> Vec<u8> {
    let local = stranger.local.clone();
    stranger.sessions.open_to(&local, bundle, None, false, now, &mut *stranger.rng).unwrap();
    stranger.seal(&bundle.identity(), Body::Text { text: format!("I am {}", stranger.user) })
}

/// Answers that nobody asked for end the link.
#[test]
fn c3_answers_to_nothing_end_the_link() {
    let replies = [
        Reply::Ping(Done),
        Reply::FetchLists(Lists { epoch: 0, lists: vec![], next: 0 }),
        Reply::FetchKeys(Keys { epoch: 0, devices: vec![] }),
        Reply::Users(Users { users: vec![], next: String::new() }),
        Reply::Send(Sent { results: vec![SendResult { outcome: SendOutcome::Taken, epoch: 9 }] }),
        Reply::PublishPrekeys(Stock::default()),
    ];
    for (number, reply) in replies.iter().enumerate() {
        let (mut net, mut liar, _) = setting(610 + number as u64);
        liar.reply(&mut net, 7_777, reply);
        assert!(net.saw(0, |event| matches!(event, Event::LinkClosed { error: Some(_), .. })), "{reply:?}");
    }
    // Nor may an open question be answered twice, or with something else.
    let (mut net, mut liar, _) = setting(620);
    net.hosts[0].client.request_users(net.now).unwrap();
    liar.pump(&mut net);
    let (id, _) = liar.take(|request| matches!(request, Request::Users(_))).pop().unwrap();
    liar.reply(&mut net, id, &Reply::Users(Users { users: vec![], next: String::new() }));
    assert!(!net.saw(0, |event| matches!(event, Event::LinkClosed { .. })));
    liar.reply(&mut net, id, &Reply::Users(Users { users: vec![], next: String::new() }));
    assert!(net.saw(0, |event| matches!(event, Event::LinkClosed { error: Some(_), .. })));
    let (mut net, mut liar, _) = setting(621);
    net.hosts[0].client.request_users(net.now).unwrap();
    liar.pump(&mut net);
    let (id, _) = liar.take(|request| matches!(request, Request::Users(_))).pop().unwrap();
    liar.reply(&mut net, id, &Reply::Ping(Done));
    assert!(net.saw(0, |event| matches!(event, Event::LinkClosed { error: Some(_), .. })));
}

/// What is asked and not answered waits here, and not there.
#[test]
fn c3_a_relay_that_answers_nothing_is_not_asked_without_end() {
    let (mut net, mut liar, _) = setting(622);
    for _ in 0..200 {
        net.hosts[0].client.request_users(net.now).unwrap();
        liar.pump(&mut net);
    }
    assert_eq!(liar.asked.len(), OPEN_REQUESTS);
}

/// Pages of lists that go on and on: for every page one question, up to the last epoch that a chain may have.
#[test]
fn c3_lists_without_end() {
    let (mut net, mut liar, _) = setting(604);
    let bob = Mallory::new(7, "bob", &policy());
    net.hosts[0].client.look_up(&name("bob"), net.now).unwrap();
    liar.pump(&mut net);
    let before = held(&mut net);
    let mut pages = 0;
    while let Some((id, Request::FetchLists(fetch))) =
        liar.take(|request| matches!(request, Request::FetchLists(request) if request.user == name("bob"))).pop()
    {
        pages += 1;
        assert!(pages <= 5_000, "it asks for ever");
        let lists = if fetch.from == 0 { vec![bob.list.bytes().into()] } else { vec![] };
        liar.reply(&mut net, id, &Reply::FetchLists(Lists { epoch: u64::MAX, lists, next: fetch.from + 1 }));
    }
    assert!(pages > 100, "{pages}");
    assert!(net.saw(0, |event| matches!(event, Event::ListsRefused { user, .. } if *user == name("bob"))));
    assert!(held(&mut net) - before < 20_000);
    assert!(net.hosts[0].client.contact(&name("bob")).is_none());
}

/// A device that is not listed asks to be. A relay that refuses that is not asked without end.
#[test]
fn c3_refusals_without_end() {
    let mut net = Net::new(605, &policy());
    let phone = net.add("alice", &policy());
    let desk = Mallory::new(8, "alice", &policy());
    let mut liar = Liar::meet(&mut net, phone);
    net.hosts[phone].client.log_in(PASSWORD, None, net.now).unwrap();
    liar.pump(&mut net);
    liar.admit(&mut net, false);
    let mut proposals = 0;
    for _ in 0..1_000 {
        let Some((id, request)) = liar.asked.pop() else { break };
        match request {
            Request::FetchLists(_) => {
                let lists = Lists { epoch: 0, lists: vec![desk.list.bytes().into()], next: 0 };
                liar.reply(&mut net, id, &Reply::FetchLists(lists));
            }
            Request::ProposeList(_) => {
                proposals += 1;
                liar.refuse(&mut net, id, RefusalCode::ListRefused);
            }
            _ => {}
        }
    }
    assert!((1..=3).contains(&proposals), "{proposals}");
    assert!(!liar.over);
}

/// Offers of files, and contacts, without end: both have a bound, and nobody drives out what another offered.
#[test]
fn c3_offers_without_end() {
    let (mut net, mut liar, bundle) = setting(606);
    let mut everybody: Vec<Mallory> = (0..2 * CONTACTS as u64).map(|n| stranger(2_000 + n, &format!("s{n}"))).collect();
    for (number, stranger) in everybody.iter_mut().enumerate() {
        let local = stranger.local.clone();
        stranger.sessions.open_to(&local, &bundle, None, false, net.now, &mut *stranger.rng).unwrap();
        // One of them a thousand, the others one each.
        for _ in 0..if number == 1 { 1_000 } else { 1 } {
            let (size, limits, rng) = (1 << 30, Limits::default(), &mut *stranger.rng);
            let offer = FileOffer::new(Cipher::AesGcm, FileProof::Tags, size, "file", "", &limits, rng).unwrap();
            let envelope = stranger.seal(&bundle.identity(), Body::FileOffer(offer));
            liar.deliver(&mut net, stranger.identity(), &stranger.user, envelope.into());
            for (id, request) in liar.take(|request| matches!(request, Request::FetchLists(_))) {
                let Request::FetchLists(fetch) = request else { panic!() };
                if fetch.user == stranger.user {
                    let lists = Lists { epoch: 0, lists: vec![stranger.list.bytes().into()], next: 0 };
                    liar.reply(&mut net, id, &Reply::FetchLists(lists));
                }
            }
            liar.asked.retain(|(_, request)| !matches!(request, Request::Acknowledge(_)));
        }
    }
    let offered: Vec<[u8; 16]> = net.hosts[0]
        .events
        .iter()
        .filter_map(|event| if let Event::FileOffered { file, .. } = event { Some(*file) } else { None })
        .collect();
    assert!(offered.len() > 1_000);
    // Which of them can still be accepted: as many as there is room for.
    let now = net.now;
    let client = &mut net.hosts[0].client;
    let left = offered.iter().filter(|file| client.accept_file(file, now) != Err(ApiMisuse::NotFound.into())).count();
    assert_eq!(left, OFFERS);
    assert!(client.contacts().count() <= CONTACTS);
    assert!(liar.asked.len() <= OPEN_REQUESTS && !liar.over);
}

/// One who floods has the flood's places taken away first.
#[test]
fn c3_an_offer_is_not_driven_out_by_anothers_thousand() {
    let (mut net, mut liar, bundle) = setting(607);
    let mut pair = [stranger(31, "modest"), stranger(32, "flooder")];
    let mut modest = None;
    for (stranger, count) in pair.iter_mut().zip([1, 200]) {
        let local = stranger.local.clone();
        stranger.sessions.open_to(&local, &bundle, None, false, net.now, &mut *stranger.rng).unwrap();
        for _ in 0..count {
            let (limits, rng) = (Limits::default(), &mut *stranger.rng);
            let offer = FileOffer::new(Cipher::AesGcm, FileProof::Tags, 9, "file", "", &limits, rng).unwrap();
            modest.get_or_insert(offer.id);
            let envelope = stranger.seal(&bundle.identity(), Body::FileOffer(offer));
            liar.deliver(&mut net, stranger.identity(), &stranger.user, envelope.into());
            for (id, _) in
                liar.take(|request| matches!(request, Request::FetchLists(fetch) if fetch.user == stranger.user))
            {
                let lists = Lists { epoch: 0, lists: vec![stranger.list.bytes().into()], next: 0 };
                liar.reply(&mut net, id, &Reply::FetchLists(lists));
            }
        }
    }
    assert_eq!(net.hosts[0].client.accept_file(&modest.unwrap(), net.now), Ok(()));
}

/// An outbox under pressure: the relay takes nothing, the user writes on, and what came is confirmed or not, but nothing
/// that waits is driven out and nothing grows.
#[test]
fn c3_an_outbox_that_nobody_empties() {
    let (mut net, mut liar, bundle) = setting(608);
    let mut bob = stranger(41, "bob");
    let hello = first_text(&mut bob, &bundle, net.now);
    liar.deliver(&mut net, bob.identity(), &bob.user, hello.into());
    for (id, request) in liar.take(|request| matches!(request, Request::FetchLists(_))) {
        let Request::FetchLists(fetch) = request else { panic!() };
        assert_eq!(fetch.user, bob.user);
        let lists = Lists { epoch: 0, lists: vec![bob.list.bytes().into()], next: 0 };
        liar.reply(&mut net, id, &Reply::FetchLists(lists));
    }
    assert_eq!(net.texts(0).len(), 1);
    let mut ids = Vec::new();
    let busy = loop {
        match net.hosts[0].client.send_text(&bob.user, "waits", net.now) {
            Ok(id) => ids.push(id),
            Err(error) => break error,
        }
        assert!(ids.len() <= OUTGOING);
        liar.pump(&mut net);
    };
    assert_eq!(busy, Error::from(ApiMisuse::Busy));
    assert!(ids.len() >= OUTGOING - 2, "{}", ids.len());
    // What bob wants confirmed, sent again or told costs no place, and drives nothing out.
    let (waiting, records) = (net.hosts[0].client.unsent(), net.hosts[0].records.len());
    for turn in 0..300_u32 {
        let body = match turn % 3 {
            0 => Body::Text { text: format!("{turn}") },
            1 => Body::Resend { envelope: [turn as u8; 16] },
            _ => Body::DeviceList { list: bob.list.bytes().to_vec(), yours: [turn as u8; 32] },
        };
        let envelope = bob.seal(&bundle.identity(), body);
        liar.deliver(&mut net, bob.identity(), &bob.user, envelope.into());
    }
    assert_eq!(net.texts(0).len(), 101);
    assert!(net.hosts[0].client.unsent().abs_diff(waiting) <= 1, "{}", net.hosts[0].client.unsent());
    // One record for each of the ids that were shown, and a few of the session's own.
    let more = net.hosts[0].records.len() - records;
    assert!(more <= 100 + 20, "{more}");
    assert!(liar.take(|request| matches!(request, Request::Send(_))).len() <= 4);
    assert!(!liar.over);
}
