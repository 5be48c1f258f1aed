//! A host over a map: the same answers as from memory at every step, from records that are exactly what is needed.

#[path = "../../../tests/support/drawn_jobs.rs"]
mod drawn_jobs;

use super::*;
use crate::crypto::secret::Secret;
use crate::relay::conformance;
use crate::relay::{NewAccount, NewEntry, PasswordHash, Store, StoreOutcome, StoredItem, StoredList, StoredPrekey};
use crate::roster::GroupId;
use crate::wire::{BlobId, EnvelopeId, Recipient};
use drawn_jobs::{Draw, full};

type Map = BTreeMap<String, Vec<u8>>;

#[derive(Default)]
struct Host {
    store: RecordStore,
    records: Map,
    /// Whether it goes on from its records after every job.
    restores: bool,
}

impl Host {
    fn run_one(&mut self, job: &StoreJob) -> StoreResult {
        match self.store.run(job) {
            Ran::Answer(answer) => answer,
            Ran::Load { key } => RecordStore::loaded(self.records.get(&key).map(|value| value.as_slice().into())),
        }
    }

    /// Commits what changed; gives the keys, of deleted records with a `-` before them.
    fn commit(&mut self) -> Vec<String> {
        let mut keys = Vec::new();
        for (key, value) in self.store.take_changes() {
            keys.push(if value.is_some() { key.clone() } else { format!("-{key}") });
            match value {
                Some(value) => _ = self.records.insert(key, value.to_vec()),
                None => _ = self.records.remove(&key),
            }
        }
        keys
    }

    fn restore(&mut self) {
        self.store = restore(&self.records).unwrap();
    }

    fn changes(&mut self, job: StoreJob) -> Vec<String> {
        let answer = self.run_one(&job);
        assert!(!matches!(answer, StoreResult::Failed));
        self.commit()
    }
}

impl Store for Host {
    fn run(&mut self, jobs: &[StoreJob]) -> Vec<StoreResult> {
        let mut answers = Vec::new();
        for job in jobs {
            answers.push(self.run_one(job));
            if self.restores {
                self.commit();
                self.restore();
            }
        }
        self.commit();
        answers
    }
}

/// As a host restores: chunks stay where they are.
fn restore(records: &Map) -> Result<RecordStore, ApiMisuse> {
    let value = |key: &str, value: &Vec<u8>| if key.starts_with("chunk/") { Vec::new() } else { value.clone() };
    RecordStore::restore(records.iter().map(|(key, bytes)| (key.clone(), value(key, bytes))))
}

/// What a store with this in it needs, but for `number`.
fn needed(memory: &mut MemoryStore) -> Map {
    let mut keys = Vec::new();
    for (name, user) in &memory.users {
        keys.extend(
            [Key::User(name.clone())].into_iter().chain(user.proposal.iter().map(|_| Key::Proposal(name.clone()))),
        );
        keys.extend((0..user.lists.len() as u64).map(|place| Key::List(name.clone(), place)));
    }
    for (identity, device) in &memory.devices {
        keys.push(Key::Device(*identity));
        keys.extend(device.prekeys.keys().map(|(kind, id)| Key::Prekey(*identity, *kind, *id)));
    }
    for (recipient, mailbox) in &memory.mailboxes.of {
        keys.extend(mailbox.seen.keys().map(|name| Key::Mail(*recipient, *name)));
    }
    for (id, blob) in &memory.blobs {
        keys.push(Key::Blob(*id));
        keys.extend(blob.chunks.keys().map(|index| Key::Chunk(*id, *index)));
    }
    for (id, group) in &memory.groups {
        keys.push(Key::Group(*id));
        keys.extend((0..=group.sequence).map(|place| Key::Entry(*id, place)));
    }
    let mut records = Map::new();
    for key in keys {
        let value = memory.take_value(&key).map(RecordValue).unwrap();
        if let Key::Chunk(id, index) = key {
            memory.blobs.get_mut(&id).unwrap().chunks.insert(index, value[..].into());
        }
        records.insert(key.to_string(), value.to_vec());
    }
    records
}

#[track_caller]
fn same_records(host: &Host, memory: &mut MemoryStore, what: &dyn fmt::Debug) {
    let (needed, mut kept) = (needed(memory), host.records.clone());
    kept.remove("number");
    let keys = |records: &Map| records.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&kept), keys(&needed), "{what:?}");
    assert!(kept == needed, "{what:?}");
}

#[test]
fn it_conforms() {
    assert_eq!(conformance::check(&mut || Box::new(Host::default())), Ok(()));
}

#[test]
fn it_conforms_when_restored_after_every_job() {
    let host = || Host { restores: true, ..Host::default() };
    assert_eq!(conformance::check(&mut || Box::new(host())), Ok(()));
}

#[test]
fn its_answers_are_those_from_memory_and_its_records_what_is_needed() {
    let mut kinds = BTreeSet::new();
    for seed in 0..4 {
        let (mut draw, mut memory) = (Draw::new(seed), MemoryStore::new());
        let (mut live, mut restored) = (Host::default(), Host { restores: true, ..Host::default() });
        for _ in 0..60 {
            let size = draw.below(30) as usize;
            let jobs: Vec<_> = (0..size).map(|_| draw.job(&mut memory)).collect();
            let answers = live.run(&jobs);
            for (job, answer) in jobs.iter().zip(&answers) {
                let expected = memory.run(core::slice::from_ref(job)).remove(0);
                let again = restored.run(core::slice::from_ref(job)).remove(0);
                assert_eq!(full(answer), full(&expected), "seed {seed}: {job:?}");
                assert_eq!(full(&again), full(&expected), "seed {seed}, restored: {job:?}");
                same_records(&restored, &mut memory, job);
                let records = restored.records.keys().map(|key| key.split('/').next().unwrap().to_owned());
                kinds.extend(records);
            }
            same_records(&live, &mut memory, &jobs);
        }
    }
    let all = ["blob", "chunk", "device", "entry", "group", "list", "mail", "number", "prekey", "proposal", "user"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all);
}

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn device(number: u8) -> Identity {
    Identity::from_bytes([number; 32])
}

fn list(epoch: u64) -> StoredList {
    StoredList { epoch, hash: [epoch as u8; 32], bytes: b"list"[..].into() }
}

fn account(name: &str, number: u8) -> StoreJob {
    StoreJob::CreateAccount(NewAccount {
        user: user(name),
        password: PasswordHash::new("hash"),
        identity: device(number),
        serial: 1,
        bundle: b"bundle"[..].into(),
        list: list(0),
        now: 9,
    })
}

fn put_list(previous: u64, epoch: u64, devices: &[u8]) -> StoreJob {
    StoreJob::PutList {
        user: user("alice"),
        previous: Some([previous as u8; 32]),
        list: list(epoch),
        identities: devices.iter().copied().map(device).collect(),
        now: 9,
    }
}

fn prekeys(number: u8, replace: bool, ids: &[u32]) -> StoreJob {
    let prekey = |id: &u32| StoredPrekey { kind: 1, id: *id, bytes: b"prekey"[..].into() };
    StoreJob::PutPrekeys {
        identity: device(number),
        replace,
        prekeys: ids.iter().map(prekey).collect(),
        room: 9,
        now: 9,
    }
}

fn envelope(number: u32) -> EnvelopeId {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&number.to_be_bytes());
    EnvelopeId(id)
}

/// Envelopes of device 2, which is Bob's, to Alice's first one.
fn send(numbers: &[u32], now: u64) -> StoreJob {
    let item = |number: &u32| StoredItem {
        id: envelope(*number),
        recipient: Recipient::Device(device(1)),
        envelope: Some(b"envelope"[..].into()),
    };
    let items = numbers.iter().map(item).collect();
    StoreJob::Send { sender: device(2), user: user("bob"), items, room: 1 << 20, room_bytes: 1 << 30, now }
}

fn acknowledge(numbers: &[u32]) -> StoreJob {
    let name = |number: &u32| EnvelopeRef { sender: device(2), id: envelope(*number) };
    StoreJob::Acknowledge { recipient: device(1), envelopes: numbers.iter().map(name).collect() }
}

fn blob(chunks: u32) -> StoreJob {
    let (id, owner) = (BlobId([7; 16]), user("alice"));
    StoreJob::CreateBlob { id, owner, size: 99, chunks, room: 9, room_bytes: 1_000, now: 9 }
}

fn put_chunk(index: u32, chunk: &Bytes) -> StoreJob {
    StoreJob::PutChunk { id: BlobId([7; 16]), owner: user("alice"), index, chunk: chunk.clone() }
}

fn expire(before: u64) -> StoreJob {
    StoreJob::Expire { envelopes: before, prekeys: before, blobs: before, unlisted: before }
}

/// Alice's group, with these who come and go.
fn put_entry(sequence: u32, added: &[&str], removed: &[&str]) -> StoreJob {
    let users = |names: &[&str]| names.iter().copied().map(user).collect();
    StoreJob::PutEntry(NewEntry {
        group: GroupId::from_bytes([6; 16]),
        before: sequence.checked_sub(1).map(|before| (before, [before as u8; 32])),
        actor: (user("alice"), 0),
        sequence,
        hash: [sequence as u8; 32],
        bytes: b"entry"[..].into(),
        roster: b"roster"[..].into(),
        open: true,
        added: users(added),
        removed: users(removed),
        room: 9,
    })
}

#[test]
fn a_job_writes_what_it_changes_and_nothing_else() {
    let mut host = Host::default();
    let (one, two, three) = (device(1), device(2), device(3));
    let mail = |number| format!("mail/{one}/{two}/{:?}", envelope(number));
    let prekey = |id: u32| format!("prekey/{one}/1/{id}");
    assert_eq!(host.changes(account("alice", 1)), ["user/alice", "list/alice/0", &format!("device/{one}")]);
    assert_eq!(host.changes(account("bob", 2)).len(), 3);
    assert_eq!(host.changes(account("alice", 3)), [""; 0]);
    let (group, entry) = (format!("group/{}", "06".repeat(16)), |place| format!("entry/{}/{place}", "06".repeat(16)));
    assert_eq!(host.changes(put_entry(0, &["alice"], &[])), [group.clone(), entry(0)]);
    assert_eq!(host.changes(put_entry(0, &["alice"], &[])), [""; 0]);
    assert_eq!(host.changes(put_entry(1, &["bob"], &[])), [group, entry(1)]);
    let (secret, alice) = (Secret::from_bytes(&[1; 20]), user("alice"));
    assert_eq!(host.changes(StoreJob::SetCode { user: alice.clone(), secret, step: 1 }), ["user/alice"]);
    assert_eq!(host.changes(StoreJob::UseCode { user: alice.clone(), step: 2 }), ["user/alice"]);
    assert_eq!(host.changes(StoreJob::UseCode { user: alice.clone(), step: 2 }), [""; 0]);
    let proposal = StoreJob::PutProposal { user: alice.clone(), list: b"list"[..].into() };
    assert_eq!(host.changes(proposal), ["proposal/alice"]);
    let changes = host.changes(put_list(0, 1, &[1, 3]));
    assert_eq!(changes, ["-proposal/alice", "list/alice/1", &format!("device/{three}")]);
    let changes = host.changes(prekeys(1, false, &[1, 2, 3, 2]));
    assert_eq!(changes, [format!("device/{one}"), prekey(1), prekey(2), prekey(3)]);
    assert_eq!(host.changes(prekeys(1, false, &[])), [""; 0]);
    let take = || StoreJob::TakeKeys { user: alice.clone(), devices: vec![one], kind: Some(1), fresh: 0 };
    assert_eq!(host.changes(take()), [format!("-{}", prekey(1))]);
    let changes = host.changes(prekeys(1, true, &[4]));
    assert_eq!(changes, [format!("device/{one}"), format!("-{}", prekey(2)), format!("-{}", prekey(3)), prekey(4)]);
    assert_eq!(host.changes(send(&[1, 2], 9)), [mail(1), mail(2)]);
    assert_eq!(host.changes(send(&[1], 9)), [""; 0]);
    // Everybody in the group but the sender.
    let mut to_group = send(&[7], 9);
    if let StoreJob::Send { items, .. } = &mut to_group {
        items.iter_mut().for_each(|item| item.recipient = Recipient::Group(GroupId::from_bytes([6; 16])));
    }
    let each = [one, three].map(|device| format!("mail/{device}/{two}/{:?}", envelope(7)));
    assert_eq!(host.changes(to_group), each);
    assert_eq!(
        host.changes(StoreJob::Acknowledge {
            recipient: one,
            envelopes: vec![EnvelopeRef { sender: two, id: envelope(7) }]
        }),
        [each[0].clone()]
    );
    assert_eq!(host.changes(acknowledge(&[1, 9])), [mail(1)]);
    assert_eq!(host.changes(acknowledge(&[1])), [""; 0]);
    let bundle = |number, now| StoreJob::PutBundle {
        user: user("alice"),
        identity: device(number),
        serial: 1,
        bundle: b"bundle"[..].into(),
        unlisted: 1,
        now,
    };
    assert_eq!(host.changes(bundle(4, 10)), [format!("device/{}", device(4))]);
    assert_eq!(host.changes(bundle(5, 11)), [format!("-device/{}", device(4)), format!("device/{}", device(5))]);
    // A device that is left out loses its prekeys, and what waits; the id is remembered.
    let changes = host.changes(put_list(1, 2, &[3]));
    assert_eq!(changes, ["list/alice/2", &format!("device/{one}"), &format!("-{}", prekey(4)), &mail(2)]);
    let changes = host.changes(put_list(2, 0, &[3]));
    assert_eq!(changes, ["list/alice/0", "-list/alice/1", "-list/alice/2"]);
    let chunk = || "chunk".as_bytes().into();
    let (key, place) = ("blob/07070707070707070707070707070707", "chunk/07070707070707070707070707070707/0");
    assert_eq!(host.changes(blob(2)), [key]);
    assert_eq!(host.changes(blob(2)), [""; 0]);
    assert_eq!(host.changes(put_chunk(0, &chunk())), [place]);
    assert_eq!(host.changes(put_chunk(0, &chunk())), [""; 0]);
    assert_eq!(host.changes(StoreJob::Chunk { id: BlobId([7; 16]), index: 0 }), [""; 0]);
    assert_eq!(host.changes(expire(9)), [""; 0]);
    let mut gone = host.changes(expire(99));
    gone.sort_unstable();
    let (one, five) = (format!("-device/{one}"), format!("-device/{}", device(5)));
    let (mail, last) = ([1, 2, 7].map(|number| format!("-{}", mail(number))), format!("-{place}"));
    let of_group = format!("-{}", each[1]);
    assert_eq!(gone, [&format!("-{key}"), &last, &one, &five, &mail[0], &mail[1], &mail[2], &of_group, "number"]);
}

#[test]
fn forgotten_ids_have_no_records_and_numbers_rise() {
    let (mut host, mut memory) = (Host::default(), MemoryStore::new());
    let mut both = |host: &mut Host, job: StoreJob| {
        let expected = memory.run(core::slice::from_ref(&job)).remove(0);
        assert_eq!(full(&host.run(&[job]).remove(0)), full(&expected));
        same_records(host, &mut memory, &"");
        expected
    };
    both(&mut host, account("alice", 1));
    both(&mut host, account("bob", 2));
    both(&mut host, send(&[0], 9));
    let mail = |host: &Host| host.records.keys().filter(|key| key.starts_with("mail/")).count();
    for batch in 0..60 {
        let numbers: Vec<_> = (1 + batch * 100..1 + batch * 100 + 100).collect();
        both(&mut host, send(&numbers, 9));
        both(&mut host, acknowledge(&numbers));
        assert!(mail(&host) <= 2 * 1_024 + 102);
        if batch % 9 == 0 {
            host.restore();
        }
    }
    assert!(mail(&host) > 1_024);
    host.restore();
    for (number, known) in [(0, true), (6_000, true), (6_000 - 1_023, true), (1, false)] {
        let StoreResult::Sent(sent) = both(&mut host, send(&[number], 9)) else { panic!() };
        assert_eq!(sent[0].outcome == StoreOutcome::Passed, known, "{number}");
    }
    // When nothing is left that has a number, the next one is above all before.
    both(&mut host, expire(10));
    assert_eq!(mail(&host), 0);
    host.restore();
    let StoreResult::Sent(sent) = both(&mut host, send(&[1], 11)) else { panic!() };
    assert_eq!(sent[0].outcome, StoreOutcome::Stored(6_003));
}

#[test]
fn chunks_are_shared_and_stay_with_the_host() {
    let mut host = Host::default();
    host.changes(account("alice", 1));
    host.changes(blob(2));
    let chunk = Bytes::from(&b"a chunk"[..]);
    let get = |index| StoreJob::Chunk { id: BlobId([7; 16]), index };
    let there = |ran: Ran| matches!(ran, Ran::Answer(StoreResult::Chunk(ChunkState::There(c))) if *c == *b"a chunk");
    host.store.run(&put_chunk(0, &chunk));
    // The host cannot have it before it took it.
    assert!(there(host.store.run(&get(0))));
    let changes = host.store.take_changes();
    let [(key, Some(value))] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(value.as_ptr(), chunk.as_ptr());
    assert_eq!(format!("{value:?}"), "7 bytes");
    host.records.insert(key.clone(), value.to_vec());
    assert!(host.store.memory.blobs[&BlobId([7; 16])].chunks[&0].is_empty());
    for _ in 0..2 {
        let ran = host.store.run(&get(0));
        assert!(matches!(&ran, Ran::Load { key: asked } if asked == key), "{ran:?}");
        assert!(there(Ran::Answer(host.run_one(&get(0)))));
        assert!(matches!(host.run_one(&get(1)), StoreResult::Chunk(ChunkState::NotYet)));
        host.restore();
    }
    assert!(matches!(RecordStore::loaded(None), StoreResult::Failed));
}

/// The format that hosts have on their disks.
#[test]
fn records_are_as_they_are_drawn() {
    let mut host = Host::default();
    for job in [
        account("alice", 1),
        account("bob", 2),
        StoreJob::SetCode { user: user("alice"), secret: Secret::from_bytes(&[5; 20]), step: 300 },
        StoreJob::PutProposal { user: user("alice"), list: b"proposed"[..].into() },
        prekeys(1, false, &[3]),
        send(&[1], 8),
        expire(9),
        send(&[2, 3], 9),
        acknowledge(&[3]),
        blob(2),
        put_chunk(1, &b"chunk"[..].into()),
        put_entry(0, &["alice", "bob"], &[]),
        put_entry(1, &[], &["bob"]),
    ] {
        host.changes(job);
    }
    let (one, two, id) = (device(1), device(2), "07".repeat(16));
    let ones = |count| vec![5; count];
    let group = [&[0, 1, 1][..], &[1; 32], b"\x06roster\x02\x05alice\x01\x03bob\x00"].concat();
    let expected: [(String, Vec<u8>); 15] = [
        (format!("blob/{id}"), b"\x05alice\x63\x02\x09".to_vec()),
        (format!("chunk/{id}/1"), b"chunk".to_vec()),
        (format!("device/{one}"), b"\x05alice\x01\x09\x01\x01\x06bundle\x01\x01\x03".to_vec()),
        (format!("device/{two}"), b"\x03bob\x01\x09\x01\x01\x06bundle\x00".to_vec()),
        (format!("entry/{}/0", "06".repeat(16)), b"\x05entry".to_vec()),
        (format!("entry/{}/1", "06".repeat(16)), b"\x05entry".to_vec()),
        (format!("group/{}", "06".repeat(16)), group),
        ("list/alice/0".into(), [&[0; 33], &b"\x04list"[..]].concat()),
        ("list/bob/0".into(), [&[0; 33], &b"\x04list"[..]].concat()),
        (format!("mail/{one}/{two}/{:?}", envelope(2)), b"\x02\x09\x01\x03bob\x08envelope".to_vec()),
        (format!("mail/{one}/{two}/{:?}", envelope(3)), b"\x03\x09\x00".to_vec()),
        ("number".into(), vec![1]),
        (format!("prekey/{one}/1/3"), b"\x06prekey\x09".to_vec()),
        ("proposal/alice".into(), b"\x08proposed".to_vec()),
        ("user/alice".into(), [b"\x04hash\x01", &ones(20)[..], b"\xac\x02"].concat()),
    ];
    host.records.remove("user/bob").unwrap();
    assert_eq!(host.records, Map::from(expected));
}

/// A store with a record of each kind, and more.
fn full_host(draw: &mut Draw) -> Host {
    let (mut host, mut memory) = (Host::default(), MemoryStore::new());
    for job in [account("alice", 1), account("bob", 2), send(&[0], 0), expire(1), put_list(0, 1, &[1]), blob(9)] {
        memory.run(core::slice::from_ref(&job));
        host.changes(job);
    }
    for _ in 0..400 {
        let job = draw.job(&mut memory);
        memory.run(core::slice::from_ref(&job));
        host.changes(job);
    }
    host
}

#[test]
fn damaged_records_are_refused_or_taken_as_they_are() {
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..30 {
        let mut draw = Draw::new(seed);
        let whole = full_host(&mut draw).records;
        let keys: Vec<_> = whole.keys().cloned().collect();
        for _ in 0..60 {
            let mut records = whole.clone();
            for _ in 0..=draw.below(2) {
                let key = &keys[draw.below(keys.len() as u32) as usize];
                let other = &keys[draw.below(keys.len() as u32) as usize];
                let mut value = records.remove(key).unwrap_or_default();
                let place = draw.below(value.len().max(1) as u32) as usize;
                let byte = draw.below(256) as u8;
                match draw.below(8) {
                    0 => {}
                    1 => value.truncate(place),
                    2 => value.push(byte),
                    3 => value.extend([0xff; 12]),
                    4 => _ = records.insert(other.clone(), value.clone()),
                    5 => value = (0..draw.below(60)).map(|_| draw.below(256) as u8).collect(),
                    _ => value.iter_mut().skip(place).take(1).for_each(|old| *old = byte),
                }
                let mut key = key.clone().into_bytes();
                if draw.chance(20) {
                    let place = draw.below(key.len() as u32) as usize;
                    key[place] = b"0129af/nz\xc3"[draw.below(10) as usize];
                }
                if !draw.chance(15) {
                    records.insert(String::from_utf8_lossy(&key).into_owned(), value);
                }
            }
            match restore(&records) {
                Err(error) => {
                    assert_eq!(error, ApiMisuse::Record);
                    refused += 1;
                }
                Ok(store) => {
                    let mut host = Host { store, records, restores: false };
                    host.records.iter_mut().filter(|(key, _)| key.starts_with("chunk/")).for_each(|(_, v)| v.clear());
                    let kept = host.records.clone();
                    assert!(needed(&mut host.store.memory).iter().all(|(key, value)| kept.get(key) == Some(value)));
                    assert_eq!(
                        kept.keys().filter(|key| *key != "number").count(),
                        needed(&mut host.store.memory).len()
                    );
                    let mut reference = MemoryStore::new();
                    (0..60).map(|_| draw.job(&mut reference)).for_each(|job| _ = host.run_one(&job));
                    host.commit();
                    host.restore();
                    taken += 1;
                }
            }
        }
    }
    assert!(taken > 100 && refused > 500, "{taken} {refused}");
}

#[test]
fn records_that_say_nothing_are_refused() {
    let mut draw = Draw::new(1);
    for _ in 0..3_000 {
        let text =
            |draw: &mut Draw, most| -> Vec<u8> { (0..draw.below(most)).map(|_| draw.below(256) as u8).collect() };
        let prefixes =
            ["", "user/", "list/a/", "proposal/", "device/", "prekey/", "mail/", "blob/", "chunk/", "number"];
        let prefix = prefixes[draw.below(10) as usize];
        let key = format!("{prefix}{}", String::from_utf8_lossy(&text(&mut draw, 9)));
        let value = text(&mut draw, 30);
        if let Ok(store) = RecordStore::restore([(key.clone(), value)]) {
            assert!(key == "number" || !store.memory.users.is_empty(), "{key}");
        }
    }
}

#[test]
fn records_that_contradict_each_other_are_refused() {
    let mut host = Host::default();
    for job in [account("alice", 1), account("bob", 2), put_list(0, 1, &[1]), prekeys(1, false, &[3])] {
        host.changes(job);
    }
    host.changes(StoreJob::PutProposal { user: user("alice"), list: b"list"[..].into() });
    host.changes(send(&[1], 9));
    host.changes(blob(2));
    host.changes(put_chunk(0, &b"chunk"[..].into()));
    // Under the epoch of the list that was put.
    for sequence in 0..2 {
        let StoreJob::PutEntry(entry) = put_entry(sequence, &[], &[]) else { panic!() };
        host.changes(StoreJob::PutEntry(NewEntry { actor: (user("alice"), 1), ..entry }));
    }
    let group = "06".repeat(16);
    let whole = host.records;
    assert!(restore(&whole).is_ok());
    let (one, two, id) = (device(1), device(2), "07".repeat(16));
    for owner in [
        "user/alice",
        "list/alice/0",
        &format!("device/{one}"),
        &format!("blob/{id}"),
        &format!("group/{group}"),
        &format!("entry/{group}/0"),
        &format!("entry/{group}/1"),
    ] {
        let mut records = whole.clone();
        records.remove(owner).unwrap();
        assert_eq!(restore(&records).err(), Some(ApiMisuse::Record), "without {owner}");
    }
    let mail = |number: u64| encode_secret(&Mail { number, at: 9, waiting: None }).to_vec();
    let named = |number| format!("mail/{two}/{one}/{:?}", envelope(number));
    let prekey = || encode_secret(&(Bytes::default(), 9_u64)).to_vec();
    let number = |number: u64| encode_secret(&number).to_vec();
    let records = [
        ("a list after a gap", "list/alice/3".to_owned(), whole["list/alice/1"].clone(), false),
        ("a prekey above the highest", format!("prekey/{one}/1/4"), prekey(), false),
        ("a prekey of a kind that never was", format!("prekey/{one}/2/1"), prekey(), false),
        ("a prekey that may be there", format!("prekey/{one}/1/2"), prekey(), true),
        ("a number twice", named(2), mail(1), false),
        ("number 0", named(2), mail(0), false),
        ("a number that cannot be", named(2), mail(NUMBER_MAX + 1), false),
        ("another number", named(2), mail(NUMBER_MAX), true),
        ("a last number that cannot be", "number".into(), number(NUMBER_MAX + 1), false),
        ("another last number", "number".into(), number(NUMBER_MAX), true),
        ("an entry after the newest", format!("entry/{group}/2"), whole[&format!("entry/{group}/1")].clone(), false),
        ("a kind that is not known", "users/alice".into(), Vec::new(), false),
    ];
    for (what, key, value, fits) in records {
        let mut records = whole.clone();
        records.insert(key, value);
        let restored = restore(&records);
        assert_eq!(restored.is_ok(), fits, "{what}");
        if let Ok(mut store) = restored {
            assert!(matches!(store.run(&send(&[7, 8], 9)), Ran::Answer(StoreResult::Sent(_))));
        }
    }
    let twice = whole.iter().chain(whole.iter().take(1)).map(|(key, value)| (key.clone(), value.clone()));
    assert_eq!(RecordStore::restore(twice).err(), Some(ApiMisuse::Record));
}
