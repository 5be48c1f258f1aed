//! The same jobs to the store in memory and to the one on disk: the same answers, also after reopening.

#[path = "../../../../securechat-core/tests/support/drawn_jobs.rs"]
mod drawn_jobs;

use super::*;
use drawn_jobs::{Draw, full};
use securechat_core::identity::{Identity, UserName};
use securechat_core::relay::{ChunkState, MemoryStore, NewAccount, PasswordHash, StoredItem, StoredList, StoredPrekey};
use securechat_core::roster::GroupId;
use securechat_core::wire::{BlobId, Bytes, EnvelopeId, Recipient};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder).unwrap()
}

#[test]
fn both_stores_give_the_same_answers() {
    agree(open, true);
}

/// What lies in memory is gone after reopening, which this does not do.
#[test]
fn mailboxes_in_memory_give_the_same_answers() {
    agree(|folder| open(folder).with_memory_mailboxes(), false);
}

fn agree(open: impl Fn(&Path) -> SqliteStore, reopens: bool) {
    let mut kinds = BTreeMap::new();
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let (mut draw, mut memory) = (Draw::new(seed), MemoryStore::new());
        let mut disk = open(folder.path());
        for round in 0..40 {
            let size = draw.below(80) as usize;
            let jobs: Vec<_> = (0..size).map(|_| draw.job(&mut memory)).collect();
            let expected = memory.run(&jobs);
            let results = disk.run(&jobs);
            assert_eq!(results.len(), jobs.len());
            for ((job, result), expected) in jobs.iter().zip(&results).zip(&expected) {
                assert_eq!(full(result), full(expected), "seed {seed}, round {round}: {job:?}");
                let kind = format!("{result:?}").split(['{', '[']).next().unwrap().to_owned();
                *kinds.entry(kind).or_insert(0) += 1;
            }
            if draw.chance(10) && reopens {
                drop(disk);
                disk = open(folder.path());
            }
        }
    }
    // The world is small enough for everything to happen.
    for refusal in ["NameTaken", "IdentityTaken", "Changed", "NotFound", "NotOwner", "Taken", "Full"] {
        assert!(kinds.keys().any(|kind| kind == &format!("Refused({refusal})")), "{refusal} never came: {kinds:#?}");
    }
    for kind in ["Chunk(There(", "Chunk(NotYet)", "Chunk(NotFound)", "Keys(Some(TakenKeys ", "Waiting(Waiting "] {
        assert!(kinds.keys().any(|known| known.starts_with(kind)), "{kind} never came: {kinds:#?}");
    }
}

/// The moments at which something is just old enough, which drawn jobs seldom hit.
#[test]
fn both_stores_draw_the_line_at_the_same_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (mut draw, mut memory, mut disk) = (Draw::new(1), MemoryStore::new(), open(folder.path()));
    let (user, identity) = (UserName::new("alice").unwrap(), Identity::from_bytes([1; 32]));
    let account = NewAccount {
        user: user.clone(),
        password: draw.password(),
        identity,
        serial: 1,
        bundle: draw.bytes(),
        list: StoredList { epoch: 0, ..draw.list() },
        now: 100,
    };
    let prekeys = (1..=9).map(|id| StoredPrekey { kind: 1, id, bytes: draw.bytes() }).collect();
    let take = |fresh| StoreJob::TakeKeys { user: user.clone(), devices: vec![identity], kind: Some(1), fresh };
    let send = |id, length, now| {
        let item = StoredItem {
            id: EnvelopeId([id; 16]),
            recipient: Recipient::Device(identity),
            envelope: Some(vec![0; length].into()),
        };
        StoreJob::Send { sender: identity, user: user.clone(), items: vec![item], room: 2, room_bytes: 30, now }
    };
    let expire = |at| StoreJob::Expire { envelopes: at, prekeys: at, blobs: at, unlisted: at };
    let waiting = || StoreJob::Waiting { recipient: identity, after: 0, count: 9, bytes: 99 };
    let jobs = [
        StoreJob::CreateAccount(account),
        StoreJob::PutPrekeys { identity, replace: false, prekeys, room: 8, now: 100 },
        take(100),
        take(101),
        send(1, 20, 100),
        send(2, 11, 100),
        send(2, 10, 100),
        send(3, 0, 100),
        waiting(),
        expire(100),
        waiting(),
        take(100),
        expire(101),
        waiting(),
        take(100),
        send(1, 30, 102),
        waiting(),
    ];
    for ((job, result), expected) in jobs.iter().zip(disk.run(&jobs)).zip(memory.run(&jobs)) {
        assert_eq!(full(&result), full(&expected), "{job:?}");
    }
}

fn import(user: &str) -> StoreJob {
    StoreJob::ImportAccount { user: UserName::new(user).unwrap(), password: PasswordHash::new("hash") }
}

fn users(store: &mut SqliteStore) -> Vec<String> {
    match store.run(&[StoreJob::Users { after: String::new(), count: 9 }]).remove(0) {
        StoreResult::Users(users) => users.iter().map(|user| user.as_str().to_owned()).collect(),
        other => panic!("{other:?}"),
    }
}

fn blob_jobs() -> [StoreJob; 2] {
    let (id, owner) = (BlobId([1; 16]), UserName::new("alice").unwrap());
    let create = StoreJob::CreateBlob { id, owner: owner.clone(), size: 9, chunks: 1, room: 9, room_bytes: 99, now: 1 };
    [create, StoreJob::PutChunk { id, owner, index: 0, chunk: vec![7; 9].into() }]
}

#[test]
fn a_batch_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.run(&[import("alice")]);
    let [create, put] = blob_jobs();
    // A folder where the blob's file should be: the last job cannot be done.
    fs::create_dir(folder.path().join("blobs/1")).unwrap();
    let results = store.run(&[import("bob"), create, put]);
    assert!(results.len() == 3 && results.iter().all(|result| matches!(result, StoreResult::Failed)));
    assert_eq!(users(&mut store), ["alice"]);
    fs::remove_dir(folder.path().join("blobs/1")).unwrap();
    let [create, put] = blob_jobs();
    let results = store.run(&[import("bob"), create, put]);
    assert!(results.iter().all(|result| matches!(result, StoreResult::Done)), "{results:?}");
    assert_eq!(users(&mut open(folder.path())), ["alice", "bob"]);
}

#[test]
fn a_file_without_a_blob_is_swept_away_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.run(&blob_jobs());
    drop(store);
    fs::write(folder.path().join("blobs/77"), b"left by a crash").unwrap();
    fs::write(folder.path().join("blobs/note.txt"), b"not ours").unwrap();
    let mut store = open(folder.path());
    let mut names: Vec<_> =
        fs::read_dir(folder.path().join("blobs")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["1", "note.txt"]);
    let delete = StoreJob::DeleteBlob { id: BlobId([1; 16]), owner: UserName::new("alice").unwrap() };
    assert!(matches!(store.run(&[delete])[..], [StoreResult::Done]));
    assert!(!folder.path().join("blobs/1").exists());
}

/// An id given again to a new blob in the same transaction: the new one keeps its chunks.
#[test]
fn a_blob_replaced_in_one_batch_keeps_its_new_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.run(&blob_jobs());
    let (id, owner) = (BlobId([1; 16]), UserName::new("alice").unwrap());
    let [create, put] = blob_jobs();
    store.run(&[StoreJob::DeleteBlob { id, owner }, create, put]);
    let results = store.run(&[StoreJob::Chunk { id, index: 0 }]);
    assert!(matches!(&results[..], [StoreResult::Chunk(ChunkState::There(chunk))] if chunk[..] == [7; 9]));
    assert_eq!(fs::read_dir(folder.path().join("blobs")).unwrap().count(), 1);
}

/// However its chunks come, what is known of a whole blob is one row.
#[test]
fn runs_of_chunks_grow_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let (id, owner) = (BlobId([1; 16]), UserName::new("alice").unwrap());
    let (room, room_bytes) = (9, 1 << 40);
    store.run(&[StoreJob::CreateBlob { id, owner: owner.clone(), size: 9, chunks: 100, room, room_bytes, now: 1 }]);
    // 37 and 100 have no common divisor, so each comes once.
    let put =
        |step: u32| StoreJob::PutChunk { id, owner: owner.clone(), index: step * 37 % 100, chunk: vec![7].into() };
    store.run(&(0..100).map(put).collect::<Vec<_>>());
    let runs: u32 = store.connection.query_row("SELECT count(*) FROM runs", [], |row| row.get(0)).unwrap();
    assert_eq!(runs, 1);
    let results = store.run(&[StoreJob::MissingChunks { id, from: 0, count: 9 }]);
    assert!(matches!(&results[..], [StoreResult::Missing(Some(page))] if page.ranges.is_empty()));
}

/// Those put last lie in memory too. What is read does not depend on that, nor does another blob of the same number.
#[test]
fn chunks_are_read_from_memory_and_from_the_disk_alike() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let owner = UserName::new("alice").unwrap();
    let (room, room_bytes) = (9, 1 << 40);
    for blob in [1, 2] {
        let id = BlobId([blob; 16]);
        store.run(&[StoreJob::CreateBlob { id, owner: owner.clone(), size: 9, chunks: 50, room, room_bytes, now: 1 }]);
        let chunk = |index: u32| Bytes::from(vec![blob ^ index as u8; 5_000]);
        let put = |index| StoreJob::PutChunk { id, owner: owner.clone(), index, chunk: chunk(index) };
        store.run(&(0..45).map(put).collect::<Vec<_>>());
        for _ in 0..2 {
            let results = store.run(&(0..50).map(|index| StoreJob::Chunk { id, index }).collect::<Vec<_>>());
            for (index, result) in (0..).zip(results) {
                let StoreResult::Chunk(state) = result else { panic!("{result:?}") };
                assert!(match state {
                    ChunkState::There(found) => index < 45 && found == chunk(index),
                    other => index >= 45 && matches!(other, ChunkState::NotYet),
                });
            }
            store = open(folder.path());
        }
        store.run(&[StoreJob::DeleteBlob { id, owner: owner.clone() }]);
    }
}

#[test]
#[cfg(unix)]
fn the_database_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.run(&[import("alice")]);
    for name in ["relay.db", "relay.db-wal"] {
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder.path().join(name)).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_damaged_database_is_a_sentence_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let mut store = open(folder.path());
    let names = (0..2_000).map(|number| import(&format!("user{number}")));
    store.run(&names.collect::<Vec<_>>());
    drop(store);
    let whole = fs::read(&path).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        SqliteStore::open(folder.path()).unwrap_err()
    };
    let middle = whole.len() / 2 / 4_096 * 4_096;
    let errors = [
        with(&|bytes| bytes[..16].fill(b'x')),
        with(&|bytes| bytes[middle..middle + 4_096].fill(0x55)),
        with(&|bytes| bytes.truncate(middle)),
    ];
    for error in errors {
        assert!(matches!(error, ServerError::DatabaseDamaged { .. }), "{error}");
        assert!(error.to_string().contains("restore it from a backup"));
    }
    fs::write(&path, whole).unwrap();
    drop(open(folder.path()));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(SqliteStore::open(folder.path()), Err(ServerError::DatabaseNewer(_))));
}

/// A database from before there were groups.
#[test]
fn an_older_database_is_brought_to_the_present_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let first = Connection::open(&path).unwrap();
    first.execute_batch(include_str!("schema.sql")).unwrap();
    first.execute_batch("INSERT INTO users (name, password) VALUES ('alice', 'hash')").unwrap();
    first.pragma_update(None, "user_version", 1).unwrap();
    drop(first);
    let groups = |user| {
        let user = UserName::new(user).unwrap();
        StoreJob::Groups { user, after: GroupId::NONE, count: 9, lobby: true }
    };
    for _ in 0..2 {
        let mut store = open(folder.path());
        assert_eq!(users(&mut store), ["alice"]);
        assert!(matches!(&store.run(&[groups("alice")])[..], [StoreResult::Groups(page)] if page.groups.is_empty()));
    }
    let version: u32 =
        Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
}

/// The checks that core has for any store.
#[test]
fn the_store_conforms() {
    for in_memory in [false, true] {
        let mut folders = Vec::new();
        let checked = securechat_core::relay::conformance::check(&mut || {
            let folder = tempfile::tempdir().unwrap();
            let store = open(folder.path());
            folders.push(folder);
            Box::new(if in_memory { store.with_memory_mailboxes() } else { store })
        });
        assert_eq!(checked, Ok(()), "mailboxes in memory: {in_memory}");
    }
}
