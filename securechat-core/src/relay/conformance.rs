//! What a [`Store`] has to do, as checks that any implementation can be run through.

use super::answer::{ChunkState, StoreOutcome, StoreRefusal, StoreResult};
use super::job::PasswordHash;
use super::store::{NewAccount, Store, StoreJob, StoredItem, StoredList, StoredPrekey};
use crate::crypto::secret::Secret;
use crate::identity::{Identity, UserName};
use crate::wire::{BlobId, Bytes, ChunkRange, EnvelopeId, EnvelopeRef, Recipient};

/// Runs every check on a store of its own, which `make` gives empty. The error says what was asked and answered.
pub fn check(make: &mut dyn FnMut() -> Box<dyn Store>) -> Result<(), String> {
    let checks = [
        accounts,
        codes,
        bundles,
        prekeys,
        lists,
        new_epoch_0,
        mailbox,
        mailbox_bounds,
        blobs,
        expiry,
        groups::logs,
        groups::mailboxes,
    ];
    for check in checks {
        check(&mut *make())?;
    }
    Ok(())
}

type Checked = Result<(), String>;

/// Runs one job, whose answer has to match.
macro_rules! answer {
    ($store:expr, $job:expr, $pattern:pat $(if $guard:expr)?) => {
        let result = run_one($store, $job);
        if !matches!(&result, $pattern $(if $guard)?) {
            return Err(format!(
                "{}: {} has to answer {} and not {:?}",
                line!(),
                stringify!($job),
                stringify!($pattern $(if $guard)?),
                result
            ));
        }
    };
}

mod groups;

const NOW: u64 = 1_000_000;

fn accounts(store: &mut dyn Store) -> Checked {
    answer!(store, StoreJob::Account { user: user("alice")? }, StoreResult::Account(None));
    answer!(store, StoreJob::CreateAccount(account("alice", 1)?), StoreResult::Done);
    answer!(store, StoreJob::CreateAccount(account("alice", 2)?), StoreResult::Refused(StoreRefusal::NameTaken));
    answer!(store, StoreJob::CreateAccount(account("bob", 1)?), StoreResult::Refused(StoreRefusal::IdentityTaken));
    answer!(store, StoreJob::Account { user: user("bob")? }, StoreResult::Account(None));
    answer!(
        store,
        StoreJob::Account { user: user("alice")? },
        StoreResult::Account(Some(account)) if account.password.as_str() == "hash" && account.code.is_none()
    );
    let set = |expected: &str, password: &str| {
        Ok::<_, String>(StoreJob::SetPassword {
            user: user("alice")?,
            expected: hash(expected),
            password: hash(password),
        })
    };
    answer!(store, set("other", "new")?, StoreResult::Refused(StoreRefusal::Changed));
    answer!(store, set("hash", "new")?, StoreResult::Done);
    answer!(store, set("hash", "newer")?, StoreResult::Refused(StoreRefusal::Changed));
    answer!(
        store,
        StoreJob::Account { user: user("alice")? },
        StoreResult::Account(Some(account)) if account.password.as_str() == "new"
    );
    let import = |name| Ok::<_, String>(StoreJob::ImportAccount { user: user(name)?, password: hash("$2b$old") });
    answer!(store, import("alice")?, StoreResult::Refused(StoreRefusal::NameTaken));
    answer!(store, import("carol")?, StoreResult::Done);
    answer!(store, StoreJob::CurrentList { user: user("carol")? }, StoreResult::List(None));
    let chain = StoreJob::Lists { user: user("carol")?, from: 0, count: 16 };
    answer!(store, chain, StoreResult::Lists(Some(chain)) if chain.epoch.is_none() && chain.lists.is_empty());
    let users = |after: &str, count| StoreJob::Users { after: after.into(), count };
    answer!(store, users("", 9), StoreResult::Users(users) if *users == [user("alice")?, user("carol")?]);
    answer!(store, users("", 1), StoreResult::Users(users) if *users == [user("alice")?]);
    answer!(store, users("alice", 9), StoreResult::Users(users) if *users == [user("carol")?]);
    Ok(())
}

fn codes(store: &mut dyn Store) -> Checked {
    answer!(store, StoreJob::CreateAccount(account("alice", 1)?), StoreResult::Done);
    let take = |step| Ok::<_, String>(StoreJob::UseCode { user: user("alice")?, step });
    answer!(store, take(5)?, StoreResult::Refused(StoreRefusal::Changed));
    let set = StoreJob::SetCode { user: user("alice")?, secret: Secret::from_bytes(&[3; 20]), step: 5 };
    answer!(store, set, StoreResult::Done);
    answer!(
        store,
        StoreJob::Account { user: user("alice")? },
        StoreResult::Account(Some(account))
            if account.code.as_ref().is_some_and(|(secret, step)| *secret.as_bytes() == [3; 20] && *step == 5)
    );
    answer!(store, take(5)?, StoreResult::Refused(StoreRefusal::Changed));
    answer!(store, take(6)?, StoreResult::Done);
    answer!(store, take(6)?, StoreResult::Refused(StoreRefusal::Changed));
    answer!(store, take(4)?, StoreResult::Refused(StoreRefusal::Changed));
    Ok(())
}

fn bundles(store: &mut dyn Store) -> Checked {
    answer!(store, StoreJob::CreateAccount(account("alice", 1)?), StoreResult::Done);
    answer!(store, StoreJob::CreateAccount(account("bob", 2)?), StoreResult::Done);
    let put = |name, device, serial, bundle: &[u8], now| {
        let (user, identity) = (user(name)?, identity(device));
        Ok::<_, String>(StoreJob::PutBundle { user, identity, serial, bundle: bundle.into(), unlisted: 2, now })
    };
    answer!(store, put("alice", 1, 1, b"first", NOW)?, StoreResult::Done);
    answer!(store, put("alice", 1, 1, b"other", NOW)?, StoreResult::Refused(StoreRefusal::Changed));
    answer!(store, put("alice", 1, 3, b"third", NOW)?, StoreResult::Done);
    answer!(store, put("alice", 1, 2, b"second", NOW)?, StoreResult::Refused(StoreRefusal::Changed));
    answer!(store, put("bob", 1, 9, b"third", NOW)?, StoreResult::Refused(StoreRefusal::IdentityTaken));
    answer!(
        store,
        StoreJob::Device { user: user("alice")?, identity: identity(1) },
        StoreResult::Device(state) if state.listed
            && state.owner == Some(user("alice")?)
            && state.epoch == Some(0)
            && state.bundle.as_deref() == Some(b"third")
            && state.stock.is_empty()
            && state.proposal.is_none()
    );
    answer!(
        store,
        StoreJob::Device { user: user("bob")?, identity: identity(1) },
        StoreResult::Device(state) if !state.listed && state.owner == Some(user("alice")?) && state.epoch == Some(0)
    );
    answer!(
        store,
        StoreJob::Device { user: user("nobody")?, identity: identity(9) },
        StoreResult::Device(state) if !state.listed && state.owner.is_none() && state.epoch.is_none()
    );
    // Of the devices in no list the newest two stay.
    for (device, now) in [(5, NOW), (6, NOW + 1), (7, NOW + 2)] {
        answer!(store, put("alice", device, 1, b"new", now)?, StoreResult::Done);
    }
    for (device, known) in [(1, true), (5, false), (6, true), (7, true)] {
        let job = StoreJob::Device { user: user("alice")?, identity: identity(device) };
        answer!(store, job, StoreResult::Device(state) if state.owner.is_some() == known);
    }
    let take = StoreJob::TakeKeys { user: user("alice")?, devices: vec![identity(6)], kind: None, fresh: 0 };
    answer!(store, take, StoreResult::Keys(Some(keys)) if keys.devices.is_empty());
    Ok(())
}

fn prekeys(store: &mut dyn Store) -> Checked {
    let put = |device, replace, kind, ids: &[u32], now| {
        let prekeys = ids.iter().map(|id| StoredPrekey { kind, id: *id, bytes: vec![*id as u8].into() }).collect();
        StoreJob::PutPrekeys { identity: identity(device), replace, prekeys, room: 4, now }
    };
    answer!(store, put(1, false, 1, &[1], NOW), StoreResult::Refused(StoreRefusal::NotFound));
    answer!(store, StoreJob::CreateAccount(account("alice", 1)?), StoreResult::Done);
    let stock = |result: &StoreResult| match result {
        StoreResult::Stock(kinds) => kinds.iter().map(|stock| (stock.kind, stock.left, stock.highest)).collect(),
        _ => Vec::new(),
    };
    answer!(store, put(1, false, 1, &[2, 3], NOW), result if stock(result) == [(1, 2, 3)]);
    answer!(store, put(1, false, 1, &[1, 3, 4], NOW), result if stock(result) == [(1, 3, 4)]);
    answer!(store, put(1, false, 2, &[1], NOW + 9), result if stock(result) == [(1, 3, 4), (2, 1, 1)]);
    answer!(store, put(1, false, 1, &[5, 6], NOW), result if stock(result) == [(1, 4, 5), (2, 1, 1)]);
    let take = |kind, fresh| {
        Ok::<_, String>(StoreJob::TakeKeys { user: user("alice")?, devices: vec![identity(1)], kind, fresh })
    };
    let taken = |result: &StoreResult| match result {
        StoreResult::Keys(Some(keys)) => {
            keys.devices.first().map(|device| (device.prekey.as_deref().map(<[u8]>::to_vec), device.left))
        }
        _ => None,
    };
    answer!(store, take(None, 0)?, result if taken(result) == Some((None, 0)));
    answer!(store, take(Some(1), 0)?, result if taken(result) == Some((Some(vec![2]), 3)));
    answer!(store, take(Some(1), 0)?, result if taken(result) == Some((Some(vec![3]), 2)));
    answer!(store, take(Some(2), NOW + 10)?, result if taken(result) == Some((None, 1)));
    answer!(store, take(Some(2), NOW + 9)?, result if taken(result) == Some((Some(vec![1]), 0)));
    answer!(store, take(Some(2), 0)?, result if taken(result) == Some((None, 0)));
    answer!(store, put(1, true, 1, &[4, 9], NOW), result if stock(result) == [(1, 1, 9), (2, 0, 1)]);
    answer!(store, take(Some(1), 0)?, result if taken(result) == Some((Some(vec![9]), 0)));
    let nobody = StoreJob::TakeKeys { user: user("nobody")?, devices: vec![identity(1)], kind: None, fresh: 0 };
    answer!(store, nobody, StoreResult::Keys(None));
    let several =
        StoreJob::TakeKeys { user: user("alice")?, devices: vec![identity(8), identity(1)], kind: None, fresh: 0 };
    answer!(store, several, StoreResult::Keys(Some(keys)) if keys.epoch == Some(0) && keys.devices.len() == 1);
    Ok(())
}

fn lists(store: &mut dyn Store) -> Checked {
    answer!(store, StoreJob::CreateAccount(account("alice", 1)?), StoreResult::Done);
    answer!(store, StoreJob::CreateAccount(account("bob", 3)?), StoreResult::Done);
    let proposal = StoreJob::PutProposal { user: user("alice")?, list: b"proposed"[..].into() };
    answer!(store, proposal, StoreResult::Done);
    let device = |device| Ok::<_, String>(StoreJob::Device { user: user("alice")?, identity: identity(device) });
    answer!(store, device(1)?, StoreResult::Device(state) if state.proposal.as_deref() == Some(b"proposed"));
    answer!(store, put_list("alice", Some(7), 1, &[1, 2])?, StoreResult::Refused(StoreRefusal::Changed));
    answer!(store, put_list("alice", None, 1, &[1, 2])?, StoreResult::Refused(StoreRefusal::Changed));
    answer!(store, put_list("alice", Some(0), 1, &[1, 3])?, StoreResult::Refused(StoreRefusal::IdentityTaken));
    answer!(store, device(2)?, StoreResult::Device(state) if state.owner.is_none() && state.proposal.is_some());
    answer!(store, put_list("alice", Some(0), 1, &[1, 2])?, StoreResult::Done);
    answer!(store, device(2)?, StoreResult::Device(state) if state.listed && state.epoch == Some(1));
    answer!(store, device(1)?, StoreResult::Device(state) if state.listed && state.proposal.is_none());
    let current = StoreJob::CurrentList { user: user("alice")? };
    answer!(
        store,
        current,
        StoreResult::List(Some(list)) if list.epoch == 1 && list.hash == [1; 32] && *list.bytes == [1]
    );
    let chain = |from, count| Ok::<_, String>(StoreJob::Lists { user: user("alice")?, from, count });
    let bytes = |result: &StoreResult| match result {
        StoreResult::Lists(Some(chain)) => chain.lists.iter().map(|list| list.to_vec()).collect(),
        _ => Vec::new(),
    };
    answer!(store, chain(0, 16)?, result if bytes(result) == [[0], [1]]);
    answer!(store, chain(0, 1)?, result if bytes(result) == [[0]]);
    answer!(store, chain(1, 16)?, result if bytes(result) == [[1]]);
    answer!(store, chain(2, 16)?, StoreResult::Lists(Some(chain)) if chain.epoch == Some(1) && chain.lists.is_empty());
    answer!(store, StoreJob::Lists { user: user("nobody")?, from: 0, count: 1 }, StoreResult::Lists(None));
    // Who is left out loses what waits and what was published.
    answer!(store, send(3, "bob", &[(1, 1, Some(3)), (1, 2, Some(3))])?, StoreResult::Sent(_));
    answer!(store, put_list("alice", Some(1), 2, &[2])?, StoreResult::Done);
    answer!(
        store,
        device(1)?,
        StoreResult::Device(state) if !state.listed && state.bundle.is_none() && state.owner == Some(user("alice")?)
    );
    answer!(store, waiting(1, 0, 9, 9), StoreResult::Waiting(waiting) if waiting.envelopes.is_empty());
    answer!(store, waiting(2, 0, 9, 9), StoreResult::Waiting(waiting) if waiting.envelopes.len() == 1);
    let sent = send(3, "bob", &[(2, 1, Some(3))])?;
    answer!(
        store,
        sent,
        StoreResult::Sent(sent)
            if sent.iter().all(|sent| sent.epoch == 2 && sent.outcome == StoreOutcome::Unknown) && sent.len() == 1
    );
    Ok(())
}

fn new_epoch_0(store: &mut dyn Store) -> Checked {
    answer!(store, StoreJob::CreateAccount(account("alice", 1)?), StoreResult::Done);
    answer!(store, put_list("alice", Some(0), 1, &[1, 2])?, StoreResult::Done);
    let mut anew = put_list("alice", Some(1), 0, &[4])?;
    if let StoreJob::PutList { list, .. } = &mut anew {
        list.hash = [9; 32];
    }
    answer!(store, anew, StoreResult::Done);
    let chain = StoreJob::Lists { user: user("alice")?, from: 0, count: 16 };
    answer!(store, chain, StoreResult::Lists(Some(chain)) if chain.epoch == Some(0) && chain.lists.len() == 1);
    for (device, listed) in [(1, false), (2, false), (4, true)] {
        let job = StoreJob::Device { user: user("alice")?, identity: identity(device) };
        answer!(store, job, StoreResult::Device(state) if state.listed == listed);
    }
    // An account from another system gets its first list in the same way.
    let import = StoreJob::ImportAccount { user: user("carol")?, password: hash("old") };
    answer!(store, import, StoreResult::Done);
    answer!(store, put_list("carol", None, 0, &[5])?, StoreResult::Done);
    answer!(store, put_list("carol", Some(0), 1, &[5, 6])?, StoreResult::Done);
    Ok(())
}

fn mailbox(store: &mut dyn Store) -> Checked {
    answer!(store, StoreJob::CreateAccount(account("alice", 1)?), StoreResult::Done);
    answer!(store, StoreJob::CreateAccount(account("bob", 2)?), StoreResult::Done);
    let outcomes = |result: &StoreResult| match result {
        StoreResult::Sent(sent) => sent.iter().map(|sent| sent.outcome).collect(),
        _ => Vec::new(),
    };
    let numbers = |result: &StoreResult| match result {
        StoreResult::Waiting(page) => (page.envelopes.iter().map(|waiting| waiting.number).collect(), page.more),
        _ => (Vec::new(), true),
    };
    let first =
        run_one(store, send(1, "alice", &[(1, 2, Some(5)), (2, 2, Some(6)), (1, 2, Some(5)), (3, 9, Some(1))])?);
    let first = outcomes(&first);
    let [StoreOutcome::Stored(a), StoreOutcome::Stored(b), StoreOutcome::Passed, StoreOutcome::Unknown] = *first else {
        return Err(format!("a send answered {first:?}"));
    };
    let second = outcomes(&run_one(store, send(1, "alice", &[(4, 2, None), (2, 2, Some(6)), (2, 1, Some(6))])?));
    let [StoreOutcome::Passed, StoreOutcome::Passed, StoreOutcome::Stored(c)] = *second else {
        return Err(format!("a second send answered {second:?}"));
    };
    if !(0 < a && a < b && b < c) {
        return Err(format!("numbers have to rise: {a} {b} {c}"));
    }
    answer!(store, waiting(2, 0, 9, 99), result if numbers(result) == (vec![a, b], false));
    answer!(store, waiting(2, a, 9, 99), result if numbers(result) == (vec![b], false));
    answer!(store, waiting(2, 0, 1, 99), result if numbers(result) == (vec![a], true));
    answer!(store, waiting(2, 0, 9, 10), result if numbers(result) == (vec![a], true));
    answer!(store, waiting(2, 0, 9, 11), result if numbers(result) == (vec![a, b], false));
    answer!(store, waiting(2, 0, 9, 0), result if numbers(result) == (vec![a], true));
    answer!(
        store,
        waiting(2, a, 9, 99),
        StoreResult::Waiting(page) if page.envelopes.iter().all(|waiting| {
            waiting.id == EnvelopeId([2; 16])
                && waiting.sender == identity(1)
                && waiting.user.as_str() == "alice"
                && waiting.sent_at == NOW
                && waiting.envelope.len() == 6
        })
    );
    // The sender belongs to what is acknowledged.
    let acknowledge = |device, sender, id| StoreJob::Acknowledge {
        recipient: identity(device),
        envelopes: vec![EnvelopeRef { sender: identity(sender), id: EnvelopeId([id; 16]) }],
    };
    answer!(store, acknowledge(2, 2, 1), StoreResult::Done);
    answer!(store, acknowledge(1, 1, 1), StoreResult::Done);
    answer!(store, waiting(2, 0, 9, 99), result if numbers(result) == (vec![a, b], false));
    answer!(store, acknowledge(2, 1, 1), StoreResult::Done);
    answer!(store, waiting(2, 0, 9, 99), result if numbers(result) == (vec![b], false));
    let again = send(1, "alice", &[(1, 2, Some(5))])?;
    answer!(store, again, result if outcomes(result) == [StoreOutcome::Passed]);
    Ok(())
}

fn mailbox_bounds(store: &mut dyn Store) -> Checked {
    answer!(store, StoreJob::CreateAccount(account("alice", 1)?), StoreResult::Done);
    answer!(store, StoreJob::CreateAccount(account("bob", 2)?), StoreResult::Done);
    let full = |result: &StoreResult| match result {
        StoreResult::Sent(sent) => sent.iter().map(|sent| sent.outcome == StoreOutcome::Full).collect(),
        _ => Vec::new(),
    };
    // There is room for 4 envelopes and for 100 bytes.
    let bytes =
        send(1, "alice", &[(1, 2, Some(60)), (2, 2, Some(41)), (3, 2, Some(40)), (4, 2, Some(1)), (5, 1, Some(1))])?;
    answer!(store, bytes, result if full(result) == [false, true, false, true, false]);
    answer!(store, send(1, "alice", &[(4, 2, None)])?, result if full(result) == [false]);
    let envelopes = vec![EnvelopeRef { sender: identity(1), id: EnvelopeId([1; 16]) }];
    answer!(store, StoreJob::Acknowledge { recipient: identity(2), envelopes }, StoreResult::Done);
    let count = send(1, "alice", &[(2, 2, Some(1)), (4, 2, Some(1)), (6, 2, Some(1)), (7, 2, Some(1))])?;
    answer!(store, count, result if full(result) == [false, false, false, true]);
    Ok(())
}

fn blobs(store: &mut dyn Store) -> Checked {
    let create = |id, owner, size, now| {
        let owner = user(owner)?;
        let (chunks, room, room_bytes) = (6, 2, 100);
        Ok::<_, String>(StoreJob::CreateBlob { id: BlobId([id; 16]), owner, size, chunks, room, room_bytes, now })
    };
    let put = |id, owner, index, chunk: &[u8]| {
        let owner = user(owner)?;
        Ok::<_, String>(StoreJob::PutChunk { id: BlobId([id; 16]), owner, index, chunk: chunk.into() })
    };
    let chunk = |id, index| StoreJob::Chunk { id: BlobId([id; 16]), index };
    let missing = |from, count| StoreJob::MissingChunks { id: BlobId([1; 16]), from, count };
    answer!(store, StoreJob::Blob { id: BlobId([1; 16]) }, StoreResult::Blob(None));
    answer!(store, create(1, "alice", 60, NOW)?, StoreResult::Done);
    answer!(store, create(1, "alice", 60, NOW + 1)?, StoreResult::Done);
    answer!(store, create(1, "alice", 61, NOW)?, StoreResult::Refused(StoreRefusal::Taken));
    answer!(store, create(1, "bob", 60, NOW)?, StoreResult::Refused(StoreRefusal::Taken));
    answer!(store, create(2, "alice", 41, NOW)?, StoreResult::Refused(StoreRefusal::Full));
    answer!(store, create(2, "alice", 30, NOW)?, StoreResult::Done);
    answer!(store, create(3, "alice", 1, NOW)?, StoreResult::Refused(StoreRefusal::Full));
    answer!(store, create(3, "bob", 100, NOW)?, StoreResult::Done);
    let state = StoreJob::Blob { id: BlobId([1; 16]) };
    answer!(store, state, StoreResult::Blob(Some(blob)) if blob.size == 60 && blob.owner.as_str() == "alice");
    answer!(store, put(9, "alice", 0, b"x")?, StoreResult::Refused(StoreRefusal::NotFound));
    answer!(store, put(1, "bob", 0, b"x")?, StoreResult::Refused(StoreRefusal::NotOwner));
    answer!(store, put(1, "alice", 6, b"x")?, StoreResult::Refused(StoreRefusal::NotFound));
    answer!(store, chunk(1, 2), StoreResult::Chunk(ChunkState::NotYet));
    for (index, bytes) in [(2, b"two"), (2, b"new"), (4, b"fou")] {
        answer!(store, put(1, "alice", index, bytes)?, StoreResult::Done);
    }
    answer!(store, chunk(1, 2), StoreResult::Chunk(ChunkState::There(chunk)) if **chunk == *b"two");
    answer!(store, chunk(1, 6), StoreResult::Chunk(ChunkState::NotFound));
    answer!(store, chunk(9, 0), StoreResult::Chunk(ChunkState::NotFound));
    let ranges = |result: &StoreResult| match result {
        StoreResult::Missing(Some(page)) => {
            (page.ranges.iter().map(|ChunkRange { start, count }| (*start, *count)).collect(), page.next)
        }
        _ => (Vec::new(), None),
    };
    answer!(store, missing(0, 9), result if ranges(result) == (vec![(0, 2), (3, 1), (5, 1)], None));
    answer!(store, missing(0, 2), result if ranges(result) == (vec![(0, 2), (3, 1)], Some(5)));
    answer!(store, missing(5, 2), result if ranges(result) == (vec![(5, 1)], None));
    answer!(store, missing(1, 1), result if ranges(result) == (vec![(1, 1)], Some(3)));
    answer!(store, missing(7, 9), result if ranges(result) == (vec![], None));
    for index in [0, 1, 3, 5] {
        answer!(store, put(1, "alice", index, b"x")?, StoreResult::Done);
    }
    answer!(store, missing(0, 9), result if ranges(result) == (vec![], None));
    answer!(store, StoreJob::MissingChunks { id: BlobId([9; 16]), from: 0, count: 1 }, StoreResult::Missing(None));
    let delete = |owner| Ok::<_, String>(StoreJob::DeleteBlob { id: BlobId([1; 16]), owner: user(owner)? });
    answer!(store, delete("bob")?, StoreResult::Refused(StoreRefusal::NotOwner));
    answer!(store, delete("alice")?, StoreResult::Done);
    answer!(store, delete("alice")?, StoreResult::Refused(StoreRefusal::NotFound));
    answer!(store, chunk(1, 2), StoreResult::Chunk(ChunkState::NotFound));
    answer!(store, create(1, "alice", 60, NOW)?, StoreResult::Done);
    answer!(store, chunk(1, 2), StoreResult::Chunk(ChunkState::NotYet));
    Ok(())
}

fn expiry(store: &mut dyn Store) -> Checked {
    answer!(store, StoreJob::CreateAccount(account("alice", 1)?), StoreResult::Done);
    answer!(store, StoreJob::CreateAccount(account("bob", 2)?), StoreResult::Done);
    answer!(store, send(1, "alice", &[(1, 2, Some(3))])?, StoreResult::Sent(_));
    let prekeys = vec![StoredPrekey { kind: 1, id: 1, bytes: Bytes::from(vec![1]) }];
    let put = StoreJob::PutPrekeys { identity: identity(1), replace: false, prekeys, room: 9, now: NOW };
    answer!(store, put, StoreResult::Stock(_));
    let (id, owner) = (BlobId([1; 16]), user("alice")?);
    let blob = StoreJob::CreateBlob { id, owner, size: 1, chunks: 1, room: 9, room_bytes: 9, now: NOW };
    answer!(store, blob, StoreResult::Done);
    let (bundle, user) = (Bytes::from(vec![1]), user("alice")?);
    let bundle =
        StoreJob::PutBundle { user: user.clone(), identity: identity(5), serial: 1, bundle, unlisted: 9, now: NOW };
    answer!(store, bundle, StoreResult::Done);
    for (before, gone) in [(NOW, false), (NOW + 1, true)] {
        let expire = StoreJob::Expire { envelopes: before, prekeys: before, blobs: before, unlisted: before };
        answer!(store, expire, StoreResult::Done);
        answer!(store, waiting(2, 0, 9, 9), StoreResult::Waiting(page) if page.envelopes.is_empty() == gone);
        answer!(store, StoreJob::Blob { id: BlobId([1; 16]) }, StoreResult::Blob(blob) if blob.is_none() == gone);
        let device = |device| StoreJob::Device { user: user.clone(), identity: identity(device) };
        answer!(store, device(5), StoreResult::Device(state) if state.owner.is_none() == gone);
        answer!(
            store,
            device(1),
            StoreResult::Device(state) if state.listed && state.stock.iter().all(|stock| (stock.left == 0) == gone)
                && state.stock.first().is_some_and(|stock| stock.highest == 1)
        );
    }
    // Its id is forgotten too.
    let again = send(1, "alice", &[(1, 2, Some(3))])?;
    answer!(
        store,
        again,
        StoreResult::Sent(sent) if sent.iter().all(|sent| matches!(sent.outcome, StoreOutcome::Stored(_)))
    );
    Ok(())
}

fn run_one(store: &mut dyn Store, job: StoreJob) -> StoreResult {
    store.run(&[job]).pop().unwrap_or(StoreResult::Failed)
}

fn user(name: &str) -> Result<UserName, String> {
    UserName::new(name).map_err(|error| error.to_string())
}

fn identity(number: u8) -> Identity {
    Identity::from_bytes([number; 32])
}

fn hash(hash: &str) -> PasswordHash {
    PasswordHash::new(hash)
}

/// A list whose hash and bytes are its epoch.
fn list(epoch: u8) -> StoredList {
    StoredList { epoch: epoch.into(), hash: [epoch; 32], bytes: vec![epoch].into() }
}

fn account(name: &str, device: u8) -> Result<NewAccount, String> {
    Ok(NewAccount {
        user: user(name)?,
        password: hash("hash"),
        identity: identity(device),
        serial: 1,
        bundle: b"first"[..].into(),
        list: list(0),
        now: NOW,
    })
}

fn put_list(name: &str, previous: Option<u8>, epoch: u8, devices: &[u8]) -> Result<StoreJob, String> {
    Ok(StoreJob::PutList {
        user: user(name)?,
        previous: previous.map(|epoch| [epoch; 32]),
        list: list(epoch),
        identities: devices.iter().copied().map(identity).collect(),
        now: NOW,
    })
}

/// Envelopes as (id, recipient, length), with room for 4 and for 100 bytes.
fn send(sender: u8, name: &str, items: &[(u8, u8, Option<usize>)]) -> Result<StoreJob, String> {
    let item = |(id, recipient, length): &(u8, u8, Option<usize>)| StoredItem {
        id: EnvelopeId([*id; 16]),
        recipient: Recipient::Device(identity(*recipient)),
        envelope: length.map(|length| vec![*id; length].into()),
    };
    Ok(StoreJob::Send {
        sender: identity(sender),
        user: user(name)?,
        items: items.iter().map(item).collect(),
        room: 4,
        room_bytes: 100,
        now: NOW,
    })
}

fn waiting(device: u8, after: u64, count: usize, bytes: usize) -> StoreJob {
    StoreJob::Waiting { recipient: identity(device), after, count, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::MemoryStore;

    #[test]
    fn the_store_in_memory_conforms() {
        assert_eq!(check(&mut || Box::new(MemoryStore::new())), Ok(()));
    }

    /// The checks notice what a store gets wrong.
    #[test]
    fn a_store_that_forgets_does_not_conform() {
        struct Forgetful;
        impl Store for Forgetful {
            fn run(&mut self, jobs: &[StoreJob]) -> Vec<StoreResult> {
                jobs.iter().map(|_| StoreResult::Account(None)).collect()
            }
        }
        assert!(check(&mut || Box::new(Forgetful)).unwrap_err().contains("CreateAccount"));
    }
}
