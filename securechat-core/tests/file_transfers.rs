//! Files arrive whatever happens: restarts of either side between any two calls, cuts, older states, edited files,
//! several at once, and pauses (section 9: F1 to F3; S10).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::client::{History, TransferState};
use securechat_core::error::{ApiMisuse, Error};
use securechat_core::event::{Event, FileId};
use securechat_core::identity::UserName;
use securechat_core::limits::{CHUNK_SIZE, CHUNKS_PER_RECORD};
use securechat_core::relay::StoreJob;
use securechat_core::suite::Policy;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use support::net::Net;

/// Chunks that a crash may send again: the receiver's window.
const WINDOW: usize = 32;

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn contents(size: usize) -> Vec<u8> {
    (0..size as u32).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

/// Chunks that were put, by blob and place, with how often; and that no salt ever seals two chunks (F1).
#[derive(Default)]
struct Puts {
    counts: BTreeMap<(FileId, u32), usize>,
    salts: BTreeMap<Vec<u8>, Vec<u8>>,
    deleted: Vec<FileId>,
}

fn watch(net: &mut Net) -> Rc<RefCell<Puts>> {
    let puts = Rc::new(RefCell::new(Puts::default()));
    let seen = puts.clone();
    net.relay.on_job = Some(Box::new(move |job| {
        let mut seen = seen.borrow_mut();
        match job {
            StoreJob::PutChunk { id, index, chunk, .. } => {
                *seen.counts.entry((id.0, *index)).or_default() += 1;
                let first = seen.salts.entry(chunk[..16].to_vec()).or_insert_with(|| chunk.to_vec());
                assert!(*first == chunk.to_vec(), "one salt seals one chunk");
            }
            StoreJob::DeleteBlob { id, .. } => seen.deleted.push(id.0),
            _ => {}
        }
    }));
    puts
}

/// Alice and bob, who know each other, by a relay or directly.
fn setting(seed: u64, direct: bool) -> Net {
    let policy = Policy::default();
    let mut net = Net::new(seed, &policy);
    for user in ["alice", "bob"] {
        if direct {
            net.add(user, &policy)
        } else {
            net.register(user, &policy)
        };
    }
    connect(&mut net, direct);
    net.say(ALICE, "bob", "hello");
    net.forget_events();
    net
}

const ALICE: usize = 0;
const BOB: usize = 1;

/// Both are connected again, as programs do by themselves.
fn connect(net: &mut Net, direct: bool) {
    if direct {
        for host in [ALICE, BOB] {
            net.cut(host);
        }
        net.connect_peers(ALICE, BOB, None);
    } else {
        for host in [ALICE, BOB] {
            if !net.is_connected(host) {
                net.connect(host);
            }
        }
    }
    net.run();
}

fn offer(net: &mut Net, from: usize, to: usize, bytes: &[u8]) -> FileId {
    let (now, user) = (net.now, net.hosts[to].user.clone());
    let (file, _) = net.hosts[from].client.send_file(&user, "a.bin", bytes.len() as u64, "", now).unwrap();
    net.hosts[from].outgoing.insert(file, bytes.to_vec());
    file
}

fn accept(net: &mut Net, host: usize, file: &FileId) {
    let now = net.now;
    // It was accepted before, or the offer is still on its way.
    let _ = net.hosts[host].client.accept_file(file, now);
    net.drain(host);
}

fn assert_arrived(net: &Net, from: usize, to: usize, file: FileId, bytes: &[u8], what: &str) {
    let last = |host: usize| net.hosts[host].events.iter().rev().take(20).collect::<Vec<_>>();
    assert!(net.saw(to, |event| *event == Event::FileReceived { file }), "{what}: {:?}", last(to));
    assert!(net.saw(from, |event| *event == Event::FileSent { file }), "{what}: {:?}", last(from));
    let empty = Vec::new();
    assert!(net.hosts[to].incoming.get(&file).unwrap_or(&empty) == bytes, "{what}: not what was sent");
    assert_eq!(net.hosts[from].client.transfers(), [], "{what}");
    assert_eq!(net.hosts[to].client.transfers(), [], "{what}");
}

/// Kills one side after every number of calls that there is, and lets it come back. What a kill costs is bounded.
fn killed_between_any_two_calls(direct: bool, victim: usize, size: usize) {
    let bytes = contents(size);
    let chunks = size.div_ceil(CHUNK_SIZE).max(1);
    let mut net = setting(500, direct);
    let _puts = watch(&mut net);
    // All of them where they are few.
    for fuel in (0..).step_by(if chunks > 1 { 4 } else { 1 }) {
        let what = format!("direct {direct}, host {victim}, {size} bytes, after {fuel} calls");
        net.forget_events();
        net.hosts.iter_mut().for_each(|host| (host.reads, host.writes) = Default::default());
        net.hosts[victim].fuel = (victim == ALICE).then_some(fuel);
        let file = offer(&mut net, ALICE, BOB, &bytes);
        net.drain(ALICE);
        net.run();
        if victim == BOB {
            net.hosts[BOB].fuel = Some(fuel);
        }
        accept(&mut net, BOB, &file);
        net.run();
        let killed = net.hosts[victim].fuel == Some(0);
        let before = net.hosts[victim].client.transfers().len();
        net.restart(victim, History::Continued).unwrap();
        connect(&mut net, direct);
        if !net.saw(BOB, |event| matches!(event, Event::FileOffered { .. })) {
            // Killed before the offer was saved: it was never made.
            assert!(victim == ALICE && net.hosts[ALICE].client.transfers().is_empty(), "{what}, {before}");
            continue;
        }
        accept(&mut net, BOB, &file);
        net.advance(120_000);
        assert_arrived(&net, ALICE, BOB, file, &bytes, &what);
        let (reads, writes) = (&net.hosts[ALICE].reads, &net.hosts[BOB].writes);
        assert!(reads.values().sum::<usize>() < chunks + WINDOW, "{what}: {reads:?}");
        assert!(writes.values().sum::<usize>() < chunks + WINDOW, "{what}: {writes:?}");
        if !killed {
            return;
        }
    }
}

#[test]
fn a_sender_is_killed_between_any_two_calls() {
    for size in [0, CHUNK_SIZE, CHUNK_SIZE + 1, 4 * CHUNK_SIZE + 7] {
        killed_between_any_two_calls(false, ALICE, size);
    }
}

#[test]
fn a_receiver_is_killed_between_any_two_calls() {
    for size in [1, CHUNK_SIZE + 1, 10 * CHUNK_SIZE + 7] {
        killed_between_any_two_calls(false, BOB, size);
    }
}

#[test]
fn direct_peers_are_killed_between_any_two_calls() {
    for (victim, size) in [(ALICE, 0), (ALICE, 3 * CHUNK_SIZE), (BOB, 0), (BOB, 3 * CHUNK_SIZE + 1)] {
        killed_between_any_two_calls(true, victim, size);
    }
}

/// Connections break at every step; what the relay has is neither read nor put again.
#[test]
fn cuts_at_any_time_put_nothing_twice() {
    let bytes = contents(20 * CHUNK_SIZE + 9);
    for every in [7, 11, 40] {
        let mut net = setting(600 + every, false);
        let puts = watch(&mut net);
        let file = offer(&mut net, ALICE, BOB, &bytes);
        net.drain(ALICE);
        accept(&mut net, BOB, &file);
        let mut cuts = 0;
        for step in 1_u64.. {
            if !net.step() {
                accept(&mut net, BOB, &file);
                if !net.step() {
                    break;
                }
            }
            if step % every == 0 && cuts < 60 {
                cuts += 1;
                let who = [ALICE, BOB][cuts % 2];
                net.cut(who);
                net.connect(who);
            }
        }
        net.advance(120_000);
        assert_arrived(&net, ALICE, BOB, file, &bytes, &format!("every {every}"));
        let again: usize = puts.borrow().counts.values().map(|count| count - 1).sum();
        assert_eq!(again, 0, "what is there is not put again");
    }
}

/// A file of more than one page of tags, with restarts of both sides in the middle of it.
#[test]
fn several_pages_survive_restarts() {
    let chunks = CHUNKS_PER_RECORD + 6;
    let bytes = contents(chunks * CHUNK_SIZE - 5);
    let mut net = setting(620, false);
    let puts = watch(&mut net);
    let file = offer(&mut net, ALICE, BOB, &bytes);
    net.drain(ALICE);
    let restart = |net: &mut Net, host| {
        net.restart(host, History::Continued).unwrap();
        let resumed = |event: &Event| matches!(event, Event::FileResumed { file: of, .. } if *of == file);
        assert!(net.saw(host, resumed));
        net.connect(host);
    };
    while puts.borrow().counts.len() < 700 {
        net.step();
    }
    restart(&mut net, ALICE);
    while puts.borrow().counts.len() < CHUNKS_PER_RECORD + 2 {
        net.step();
    }
    restart(&mut net, ALICE);
    accept(&mut net, BOB, &file);
    while net.hosts[BOB].writes.len() < CHUNKS_PER_RECORD + 1 {
        net.step();
    }
    restart(&mut net, BOB);
    net.advance(60_000);
    assert_arrived(&net, ALICE, BOB, file, &bytes, "several pages");
    let twice = |counts: &mut dyn Iterator<Item = usize>| counts.map(|count| count - 1).sum::<usize>();
    assert!(twice(&mut puts.borrow().counts.values().copied()) <= 2 * WINDOW);
    assert!(twice(&mut net.hosts[ALICE].reads.values().copied()) < 2 * WINDOW);
    assert!(twice(&mut net.hosts[BOB].writes.values().copied()) < WINDOW);
}

/// ATTACKS.md E3: a chunk whose tag is kept leaves again only as it was. Of another file nothing more leaves: the
/// transfer ends, and what is at the relay is deleted.
#[test]
fn e3_a_file_edited_between_restarts_is_file_changed() {
    let bytes = contents(4 * CHUNK_SIZE);
    let mut tried = 0;
    let mut net = setting(700, false);
    for fuel in 0..60 {
        let puts = watch(&mut net);
        net.hosts[ALICE].fuel = Some(fuel);
        let file = offer(&mut net, ALICE, BOB, &bytes);
        net.drain(ALICE);
        net.run();
        if net.hosts[ALICE].fuel != Some(0) {
            break;
        }
        net.restart(ALICE, History::Continued).unwrap();
        let sealed = net.hosts[ALICE].client.transfers().first().map_or(0, |transfer| transfer.done);
        let at_relay = puts.borrow().counts.len();
        // All of the file is another one now.
        net.hosts[ALICE].outgoing.get_mut(&file).unwrap().iter_mut().for_each(|byte| *byte ^= 1);
        connect(&mut net, false);
        net.advance(60_000);
        let changed = Event::FileFailed { file, error: Error::from(ApiMisuse::FileChanged) };
        if sealed > at_relay as u64 * CHUNK_SIZE as u64 {
            tried += 1;
            assert!(net.saw(ALICE, |event| *event == changed), "{:?}", net.hosts[ALICE].events);
            assert!(puts.borrow().deleted.contains(&file) && net.hosts[ALICE].client.transfers().is_empty());
        }
        assert!(!net.saw(BOB, |event| *event == Event::FileReceived { file }));
        let now = net.now;
        net.hosts[ALICE].client.cancel_file(&file, now);
        net.drain(ALICE);
        net.run();
    }
    assert!(tried > 0, "no tag was kept of a chunk that had not left");
}

/// ATTACKS.md B4: an older state goes on with what it knows. Chunks that it forgot are at the relay, and their tags are
/// learnt from them; what is sealed anew has another key.
#[test]
fn b4_an_older_state_goes_on_under_other_keys() {
    let bytes = contents(30 * CHUNK_SIZE + 1);
    for (seed, later) in [(720, 3), (721, 12), (722, 31)] {
        let mut net = setting(seed, false);
        let puts = watch(&mut net);
        let file = offer(&mut net, ALICE, BOB, &bytes);
        net.drain(ALICE);
        let old = net.hosts[ALICE].records.clone();
        while puts.borrow().counts.len() < later {
            net.step();
        }
        net.restart_from(ALICE, old, History::Restored).unwrap();
        connect(&mut net, false);
        accept(&mut net, BOB, &file);
        net.advance(60_000);
        assert_arrived(&net, ALICE, BOB, file, &bytes, &format!("{later} chunks later"));
    }
}

/// A receiver who was put back fetches what that state lacks.
#[test]
fn an_older_state_of_the_receiver_fetches_again() {
    let bytes = contents(50 * CHUNK_SIZE + 1);
    let mut net = setting(730, false);
    let file = offer(&mut net, ALICE, BOB, &bytes);
    net.drain(ALICE);
    net.run();
    accept(&mut net, BOB, &file);
    while net.hosts[BOB].writes.len() < 10 {
        net.step();
    }
    let old = net.hosts[BOB].records.clone();
    while net.hosts[BOB].writes.len() < 40 {
        net.step();
    }
    net.restart_from(BOB, old, History::Restored).unwrap();
    connect(&mut net, false);
    net.advance(60_000);
    assert!(net.saw(BOB, |event| *event == Event::FileReceived { file }));
    assert!(net.hosts[BOB].incoming[&file] == bytes);
}

/// What is cancelled without a connection is deleted at the relay on the next one, after a restart too.
#[test]
fn what_is_cancelled_offline_is_deleted_later() {
    let bytes = contents(60 * CHUNK_SIZE);
    let mut net = setting(740, false);
    let puts = watch(&mut net);
    let file = offer(&mut net, ALICE, BOB, &bytes);
    net.drain(ALICE);
    while puts.borrow().counts.len() < 20 {
        net.step();
    }
    net.cut(ALICE);
    let now = net.now;
    net.hosts[ALICE].client.cancel_file(&file, now);
    net.drain(ALICE);
    net.restart(ALICE, History::Continued).unwrap();
    assert_eq!(net.hosts[ALICE].client.transfers(), []);
    assert!(puts.borrow().deleted.is_empty());
    connect(&mut net, false);
    assert_eq!(puts.borrow().deleted, [file]);
    net.cut(ALICE);
    connect(&mut net, false);
    assert_eq!(puts.borrow().deleted, [file], "once");
}

/// Several files in both directions, fetched while they are sent, through restarts of everyone; a text gets through
/// beside them.
#[test]
fn several_at_once_and_fetched_while_they_are_sent() {
    let mut net = setting(750, false);
    let sizes = [0, 1, 3 * CHUNK_SIZE, 20 * CHUNK_SIZE + 1, 70 * CHUNK_SIZE];
    let mut files = Vec::new();
    for (from, to) in [(ALICE, BOB), (BOB, ALICE)] {
        for size in sizes {
            let bytes = contents(size + from);
            let file = offer(&mut net, from, to, &bytes);
            files.push((from, to, file, bytes));
        }
    }
    for round in 0..300 {
        for _ in 0..25 {
            net.step();
        }
        for (_, to, file, _) in &files {
            accept(&mut net, *to, file);
        }
        if round % 9 == 0 {
            let who = [ALICE, BOB][round / 9 % 2];
            net.restart(who, History::Continued).unwrap();
            net.connect(who);
        }
        if round == 20 {
            let now = net.now;
            net.hosts[ALICE].client.send_text(name("bob"), "in between", now).unwrap();
            net.drain(ALICE);
        }
    }
    net.advance(120_000);
    assert_eq!(net.texts(BOB), [("alice".to_owned(), "in between".to_owned())]);
    for (from, to, file, bytes) in &files {
        assert_arrived(&net, *from, *to, *file, bytes, &format!("{} bytes", bytes.len()));
    }
}

/// Files whose senders are away keep nobody waiting: neither messages nor files that are there.
#[test]
fn what_is_not_there_holds_up_nothing() {
    let mut net = setting(760, false);
    let bytes = contents(3 * CHUNK_SIZE);
    // Alice offers many and goes before she has sent them.
    net.hosts[ALICE].outgoing.clear();
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let now = net.now;
        let (file, _) = net.hosts[ALICE].client.send_file(name("bob"), "a", bytes.len() as u64, "", now).unwrap();
        stuck.push(file);
    }
    net.drain(ALICE);
    net.run();
    for file in &stuck {
        accept(&mut net, BOB, file);
    }
    net.run();
    net.cut(ALICE);
    let policy = Policy::default();
    let carol = net.register("carol", &policy);
    net.say(carol, "bob", "hello");
    let file = offer(&mut net, carol, BOB, &bytes);
    net.drain(carol);
    net.run();
    accept(&mut net, BOB, &file);
    net.advance(100_000);
    assert!(net.saw(BOB, |event| *event == Event::FileReceived { file }));
    net.say(carol, "bob", "still there");
    assert_eq!(net.texts(BOB).last().unwrap().1, "still there");
    // When she is back they all arrive.
    for file in &stuck {
        net.hosts[ALICE].outgoing.insert(*file, bytes.clone());
    }
    net.restart(ALICE, History::Continued).unwrap();
    connect(&mut net, false);
    net.advance(120_000);
    for file in &stuck {
        assert_arrived(&net, ALICE, BOB, *file, &bytes, "after all");
    }
}

/// A receiver can wait for a sender who is away for long, and gives up on a file that was there and is gone.
#[test]
fn a_sender_who_is_away_is_waited_for() {
    let mut net = setting(770, false);
    let bytes = contents(3 * CHUNK_SIZE);
    // The offer leaves; the file does not.
    let now = net.now;
    let (file, _) = net.hosts[ALICE].client.send_file(name("bob"), "a", bytes.len() as u64, "", now).unwrap();
    net.drain(ALICE);
    net.run();
    net.relay.store = {
        // As a relay that lost its disk, and with it the blob.
        let mut other = setting(770, false);
        core::mem::take(&mut other.relay.store)
    };
    net.cut(ALICE);
    accept(&mut net, BOB, &file);
    net.cut(BOB);
    net.connect(BOB);
    net.advance(3 * 60 * 60 * 1_000);
    let mine = net.hosts[BOB].client.transfers();
    assert_eq!(
        (mine.len(), mine[0].state, mine[0].done),
        (1, TransferState::Waiting, 0),
        "{:?}",
        net.hosts[BOB].events
    );
    net.hosts[ALICE].outgoing.insert(file, bytes.clone());
    net.restart(ALICE, History::Continued).unwrap();
    connect(&mut net, false);
    net.advance(60_000);
    assert_arrived(&net, ALICE, BOB, file, &bytes, "back");
}

/// A host that cannot write or read for a while loses nothing and goes on.
#[test]
fn a_pause_on_either_side_goes_on() {
    let mut net = setting(780, false);
    let bytes = contents(50 * CHUNK_SIZE + 3);
    let file = offer(&mut net, ALICE, BOB, &bytes);
    let state = |net: &Net, host: usize| net.hosts[host].client.transfers().first().map(|transfer| transfer.state);
    net.drain(ALICE);
    accept(&mut net, BOB, &file);
    for host in [ALICE, BOB, ALICE, BOB, BOB] {
        for _ in 0..12 {
            net.step();
        }
        accept(&mut net, BOB, &file);
        let now = net.now;
        net.hosts[host].client.pause_file(&file, now);
        net.drain(host);
        let before = (net.hosts[ALICE].reads.len(), net.hosts[BOB].writes.len());
        net.advance(100_000);
        if state(&net, host).is_some() {
            assert_eq!(state(&net, host), Some(TransferState::Paused));
            let after = (net.hosts[ALICE].reads.len(), net.hosts[BOB].writes.len());
            assert!(if host == ALICE { after.0 == before.0 } else { after.1 == before.1 }, "{before:?} {after:?}");
        }
        let now = net.now;
        net.hosts[host].client.resume_file(&file, now);
        net.drain(host);
    }
    net.advance(60_000);
    assert_arrived(&net, ALICE, BOB, file, &bytes, "paused");
}

/// A transfer is listed as it goes.
#[test]
fn transfers_are_listed() {
    let mut net = setting(790, false);
    let bytes = contents(30 * CHUNK_SIZE);
    let file = offer(&mut net, ALICE, BOB, &bytes);
    net.drain(ALICE);
    net.run();
    let list = net.hosts[ALICE].client.transfers();
    assert_eq!(list, [], "it is at the relay");
    accept(&mut net, BOB, &file);
    while net.hosts[BOB].writes.len() < 9 {
        net.step();
    }
    let [one] = net.hosts[BOB].client.transfers().try_into().unwrap();
    assert_eq!(
        (one.file, one.with, one.name.as_str(), one.size),
        (file, name("alice").into(), "a.bin", bytes.len() as u64)
    );
    assert!(!one.outgoing && one.state == TransferState::Moving);
    assert!(one.done >= 9 * CHUNK_SIZE as u64 && one.done < one.size);
}
