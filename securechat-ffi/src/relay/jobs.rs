//! What a relay wants done: hashes, records to commit, records to load.

use super::{Owned, securechat_relay};
use crate::boundary::{Failure, OutStruct, Result, bytes, with};
use crate::client::state::securechat_record;
use crate::status::securechat_status;
use core::ffi::c_char;
use core::ptr::null;
use securechat_core::error::ApiMisuse;
use securechat_core::relay::{
    Job, JobId, JobResult, PasswordHash, Ran, RecordStore, RecordValue, Relay, StoreJob, StoreResult,
};
use securechat_core::wire::{Bytes, Password};
use std::collections::{BTreeMap, VecDeque};

use securechat_status::*;

/// There is no job.
pub const SECURECHAT_JOB_NONE: u32 = 0;
/// Make a hash of `password`, slow and salted (Argon2id, yescrypt), as a text: the result's data.
pub const SECURECHAT_JOB_HASH: u32 = 1;
/// Check `password` against `hash`: SECURECHAT_OUTCOME_OK or SECURECHAT_OUTCOME_NO. It takes the same time whatever the answer is.
pub const SECURECHAT_JOB_VERIFY: u32 = 2;
/// Put and delete `records` as one transaction and make it durable: SECURECHAT_OUTCOME_OK. Until then nothing that depends on it is
/// answered, and there is no other commit. After SECURECHAT_OUTCOME_FAILED the relay works no more: free it, and make it anew from the
/// records.
pub const SECURECHAT_JOB_COMMIT: u32 = 3;
/// Load the record `key`, a chunk of a file: the result's data, or SECURECHAT_OUTCOME_FAILED, also when it was deleted meanwhile.
pub const SECURECHAT_JOB_LOAD: u32 = 4;

/// It is done; the password is right.
pub const SECURECHAT_OUTCOME_OK: u32 = 0;
/// The password is wrong.
pub const SECURECHAT_OUTCOME_NO: u32 = 1;
/// The password is right, and its hash is of an old kind: it is to be hashed anew.
pub const SECURECHAT_OUTCOME_REHASH: u32 = 2;
/// It could not be done. What was asked for is refused for the moment.
pub const SECURECHAT_OUTCOME_FAILED: u32 = 3;

/// Something that a relay wants done. It grows at its end only. What it points to stays until the job is completed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct securechat_job {
    /// What it is: SECURECHAT_JOB_...
    pub kind: u32,
    /// Not used; 0.
    pub reserved: u32,
    /// Its number, to be named when it is completed.
    pub id: u64,
    /// A password.
    pub password: *const c_char,
    /// Its length.
    pub password_len: usize,
    /// A hash that was made of a password.
    pub hash: *const c_char,
    /// Its length.
    pub hash_len: usize,
    /// The key of a record to load.
    pub key: *const c_char,
    /// Its length.
    pub key_len: usize,
    /// Records to put, or to delete where the value is NULL.
    pub records: *const securechat_record,
    /// How many.
    pub records_count: usize,
}

const NOTHING: securechat_job = securechat_job {
    kind: SECURECHAT_JOB_NONE,
    reserved: 0,
    id: 0,
    password: null(),
    password_len: 0,
    hash: null(),
    hash_len: 0,
    key: null(),
    key_len: 0,
    records: null(),
    records_count: 0,
};

/// Jobs on their way between the relay, its store and the host.
pub(super) struct Jobs {
    store: RecordStore,
    /// Store jobs that wait for the transaction before them.
    stored: VecDeque<(JobId, StoreJob)>,
    /// By their numbers; those in `waiting` were not handed to the host yet.
    open: BTreeMap<u64, Open>,
    waiting: VecDeque<u64>,
    last: u64,
    committing: bool,
    pub(super) failed: bool,
}

/// A job that the host does, with what its struct points to.
enum Open {
    Hash(JobId, Password),
    Verify(JobId, Password, PasswordHash),
    Commit(Commit),
    Load(JobId, String),
}

/// A transaction, and the answers that it stands behind.
struct Commit {
    answers: Vec<(JobId, StoreResult)>,
    /// What `records` points into.
    _changes: Vec<(String, Option<RecordValue>)>,
    records: Vec<securechat_record>,
}

impl Jobs {
    pub(super) fn restore(records: Vec<(String, Vec<u8>)>) -> core::result::Result<Self, ApiMisuse> {
        let store = if records.is_empty() { RecordStore::new() } else { RecordStore::restore(records)? };
        Ok(Self {
            store,
            stored: VecDeque::new(),
            open: BTreeMap::new(),
            waiting: VecDeque::new(),
            last: 0,
            committing: false,
            failed: false,
        })
    }

    /// Takes what the relay wants done.
    pub(super) fn take_from(&mut self, relay: &mut Relay) {
        while let Some((id, job)) = relay.poll_job() {
            match job {
                Job::Hash { password } => self.hand_out(Open::Hash(id, password)),
                Job::Verify { password, hash } => self.hand_out(Open::Verify(id, password, hash)),
                Job::Store(job) => self.stored.push_back((id, job)),
            }
        }
    }

    /// Runs the store jobs that wait, unless a transaction is under way; what they change is the next one. Says whether any
    /// was answered.
    pub(super) fn run_stored(&mut self, relay: &mut Relay, now: u64) -> bool {
        if self.committing || self.failed || self.stored.is_empty() {
            return false;
        }
        let mut answers = Vec::new();
        while let Some((id, job)) = self.stored.pop_front() {
            match self.store.run(&job) {
                Ran::Answer(answer) => answers.push((id, answer)),
                Ran::Load { key } => self.hand_out(Open::Load(id, key)),
            }
        }
        let changes = self.store.take_changes();
        if changes.is_empty() {
            complete(relay, answers, now);
            return true;
        }
        let records = changes.iter().map(|(key, value)| securechat_record::of(key, value.as_deref())).collect();
        self.committing = true;
        self.hand_out(Open::Commit(Commit { answers, _changes: changes, records }));
        false
    }

    fn hand_out(&mut self, job: Open) {
        self.last += 1;
        self.open.insert(self.last, job);
        self.waiting.push_back(self.last);
    }

    fn next(&mut self) -> securechat_job {
        let Some((id, job)) = self.waiting.pop_front().and_then(|id| Some((id, self.open.get(&id)?))) else {
            return NOTHING;
        };
        let mut out = NOTHING;
        out.id = id;
        match job {
            Open::Hash(_, password) => {
                out.kind = SECURECHAT_JOB_HASH;
                put(&mut out.password, &mut out.password_len, password.as_str());
            }
            Open::Verify(_, password, hash) => {
                out.kind = SECURECHAT_JOB_VERIFY;
                put(&mut out.password, &mut out.password_len, password.as_str());
                put(&mut out.hash, &mut out.hash_len, hash.as_str());
            }
            Open::Commit(commit) => {
                out.kind = SECURECHAT_JOB_COMMIT;
                (out.records, out.records_count) = (commit.records.as_ptr(), commit.records.len());
            }
            Open::Load(_, key) => {
                out.kind = SECURECHAT_JOB_LOAD;
                put(&mut out.key, &mut out.key_len, key);
            }
        }
        out
    }

    /// The answers that follow from what the host says of a job.
    fn completed(&mut self, id: u64, outcome: u32, data: &[u8]) -> Result<Vec<(JobId, JobResult)>> {
        // One that the host was not given yet cannot be done: who names it means another.
        let job = self.open.get(&id).filter(|_| !self.waiting.contains(&id)).ok_or(ApiMisuse::NotFound)?;
        let refused = || Failure::new(SECURECHAT_ERR_ARGUMENT, "this job has no such outcome");
        let answers = match (job, outcome) {
            (Open::Hash(job, _), SECURECHAT_OUTCOME_OK) => {
                let hash = core::str::from_utf8(data).map_err(|_| SECURECHAT_ERR_UTF8)?;
                if hash.is_empty() {
                    return Err(Failure::new(SECURECHAT_ERR_ARGUMENT, "a hash is not empty"));
                }
                vec![(*job, JobResult::Hash(PasswordHash::new(hash)))]
            }
            (Open::Verify(job, ..), SECURECHAT_OUTCOME_OK) => vec![(*job, verified(true, false))],
            (Open::Verify(job, ..), SECURECHAT_OUTCOME_NO) => vec![(*job, verified(false, false))],
            (Open::Verify(job, ..), SECURECHAT_OUTCOME_REHASH) => vec![(*job, verified(true, true))],
            (Open::Hash(job, _) | Open::Verify(job, ..), SECURECHAT_OUTCOME_FAILED) => vec![(*job, JobResult::Failed)],
            (Open::Load(job, _), SECURECHAT_OUTCOME_OK) => {
                vec![(*job, JobResult::Store(RecordStore::loaded(Some(Bytes::from(data)))))]
            }
            (Open::Load(job, _), SECURECHAT_OUTCOME_FAILED) => {
                vec![(*job, JobResult::Store(RecordStore::loaded(None)))]
            }
            (Open::Commit(_), SECURECHAT_OUTCOME_OK | SECURECHAT_OUTCOME_FAILED) => {
                let Some(Open::Commit(commit)) = self.open.remove(&id) else { return Err(refused()) };
                self.committing = false;
                self.failed = outcome == SECURECHAT_OUTCOME_FAILED;
                let answers = commit.answers.into_iter();
                answers
                    .map(|(job, answer)| {
                        (job, JobResult::Store(if self.failed { StoreResult::Failed } else { answer }))
                    })
                    .collect()
            }
            _ => return Err(refused()),
        };
        self.open.remove(&id);
        Ok(answers)
    }
}

/// Gives the next job, in `job` of `job_size` bytes; SECURECHAT_JOB_NONE when there is none.
///
/// Jobs may be done in any order and on other threads; what one points to stays until it is completed. Passwords are wiped then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_next_job(
    relay: *mut securechat_relay,
    job: *mut securechat_job,
    job_size: usize,
) -> securechat_status {
    // SAFETY: a handle and a struct of the size that the caller says.
    unsafe {
        let job = OutStruct::new(job, job_size, JOB_LEAST);
        with("securechat_relay_next_job", relay, |owned| {
            job?.set(&owned.jobs.next());
            Ok(())
        })
    }
}

/// Answers a job. `outcome` is SECURECHAT_OUTCOME_..., `data` what the job asked for: the hash, or the record.
///
/// Fails with SECURECHAT_ERR_NOT_FOUND when there is no such job, SECURECHAT_ERR_ARGUMENT for an outcome that this job cannot have; it is
/// still open then. Fails with SECURECHAT_ERR_STORE after a transaction failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_complete_job(
    relay: *mut securechat_relay,
    job: u64,
    outcome: u32,
    data: *const u8,
    data_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and bytes, by the header.
    unsafe {
        with("securechat_relay_complete_job", relay, |owned| {
            owned.at(now)?;
            let answers = owned.jobs.completed(job, outcome, bytes(data, data_len)?)?;
            owned.answer(answers);
            Ok(())
        })
    }
}

impl Owned {
    fn answer(&mut self, answers: Vec<(JobId, JobResult)>) {
        for (job, answer) in answers {
            self.relay.complete(job, answer, self.now);
        }
        self.settle();
    }
}

/// Room for the kind and the number.
const JOB_LEAST: usize = 16;

fn put(pointer: &mut *const c_char, length: &mut usize, text: &str) {
    (*pointer, *length) = (text.as_ptr().cast(), text.len());
}

const fn verified(ok: bool, rehash: bool) -> JobResult {
    JobResult::Verify { ok, rehash }
}

fn complete(relay: &mut Relay, answers: Vec<(JobId, StoreResult)>, now: u64) {
    for (job, answer) in answers {
        relay.complete(job, JobResult::Store(answer), now);
    }
}
