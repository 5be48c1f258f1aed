//! Threads for what is slow: one for the store, some for passwords.

use crate::password::{self, HashError};
use securechat_core::relay::{Job, JobId, JobResult, PasswordHash, Store, StoreJob, StoreResult};
use securechat_core::wire::Password;
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Store jobs that share one transaction, at most.
const BATCH: usize = 256;

/// Takes jobs, does them on other threads, and has their results fetched.
#[derive(Debug)]
pub(crate) struct Workers {
    /// None once no more jobs are taken.
    senders: Option<Senders>,
    results: Receiver<(JobId, JobResult)>,
    /// Jobs that no thread was left to take.
    failed: VecDeque<JobId>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Senders {
    store: Sender<(JobId, StoreJob)>,
    passwords: Sender<(JobId, PasswordJob)>,
}

#[derive(Debug)]
enum PasswordJob {
    Hash(Password),
    Verify(Password, PasswordHash),
}

/// Called from the threads after each result.
pub(crate) trait Wake: Fn() + Clone + Send + 'static {}
impl<F: Fn() + Clone + Send + 'static> Wake for F {}

impl Workers {
    pub(crate) fn start(
        store: impl Store + Send + 'static,
        password_threads: usize,
        wake: impl Wake,
    ) -> io::Result<Self> {
        let (store_sender, store_jobs) = channel();
        let (password_sender, password_jobs) = channel();
        let (result_sender, results) = channel();
        let senders = Senders { store: store_sender, passwords: password_sender };
        let mut workers = Self { senders: Some(senders), results, failed: VecDeque::new(), threads: Vec::new() };
        let done = Done { results: result_sender, wake };
        workers.spawn("store", {
            let done = done.clone();
            move || work_on_store(store, &store_jobs, &done)
        })?;
        let password_jobs = Arc::new(Mutex::new(password_jobs));
        for _ in 0..password_threads {
            let (jobs, done) = (Arc::clone(&password_jobs), done.clone());
            workers.spawn("password", move || work_on_passwords(&jobs, &done))?;
        }
        Ok(workers)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(work)?);
        Ok(())
    }

    pub(crate) fn submit(&mut self, id: JobId, job: Job) {
        let sent = self.senders.as_ref().is_some_and(|senders| match job {
            Job::Store(job) => senders.store.send((id, job)).is_ok(),
            Job::Hash { password } => senders.passwords.send((id, PasswordJob::Hash(password))).is_ok(),
            Job::Verify { password, hash } => senders.passwords.send((id, PasswordJob::Verify(password, hash))).is_ok(),
        });
        if !sent {
            self.failed.push_back(id);
        }
    }

    /// The next result that is there.
    pub(crate) fn next_result(&mut self) -> Option<(JobId, JobResult)> {
        let failed = self.failed.pop_front().map(|id| (id, JobResult::Failed));
        failed.or_else(|| self.results.try_recv().ok())
    }
}

impl Drop for Workers {
    /// Waits until every job that was taken is done: what was asked of the store is durable.
    fn drop(&mut self) {
        self.senders = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker thread had ended before its time");
            }
        }
    }
}

#[derive(Clone)]
struct Done<W> {
    results: Sender<(JobId, JobResult)>,
    wake: W,
}

impl<W: Wake> Done<W> {
    fn tell(&self, results: impl IntoIterator<Item = (JobId, JobResult)>) {
        for result in results {
            // Nobody listens any more when the server has ended.
            let _ = self.results.send(result);
        }
        (self.wake)();
    }
}

fn work_on_store(mut store: impl Store, jobs: &Receiver<(JobId, StoreJob)>, done: &Done<impl Wake>) {
    while let Ok((id, job)) = jobs.recv() {
        // Whatever came while the last transaction ran shares the next one.
        let (mut ids, mut batch) = (vec![id], vec![job]);
        for (id, job) in jobs.try_iter().take(BATCH - 1) {
            ids.push(id);
            batch.push(job);
        }
        let results = run(&mut store, &batch).into_iter().map(JobResult::Store);
        done.tell(ids.into_iter().zip(results));
    }
}

/// Runs a batch; what fails in it is tried once more by itself, so that one job that cannot be done takes no other
/// with it.
fn run(store: &mut impl Store, jobs: &[StoreJob]) -> Vec<StoreResult> {
    let mut results = store.run(jobs);
    if jobs.len() > 1 {
        for (job, result) in jobs.iter().zip(&mut results) {
            if matches!(result, StoreResult::Failed)
                && let Some(again) = store.run(std::slice::from_ref(job)).pop()
            {
                *result = again;
            }
        }
    }
    results
}

fn work_on_passwords(jobs: &Mutex<Receiver<(JobId, PasswordJob)>>, done: &Done<impl Wake>) {
    give_way();
    loop {
        // The lock is held while waiting: another thread waits for it instead of for the job.
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((id, job)) = next else { return };
        done.tell([(id, work_on_password(&job).unwrap_or(JobResult::Failed))]);
    }
}

/// Lets the threads that carry messages go first, where a thread can have a priority of its own.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(10) {
        tracing::warn!(%error, "passwords are hashed at the priority of everything else");
    }
}

fn work_on_password(job: &PasswordJob) -> Result<JobResult, HashError> {
    Ok(match job {
        PasswordJob::Hash(password) => {
            JobResult::Hash(PasswordHash::new(password::hash(password.as_str().as_bytes())?))
        }
        PasswordJob::Verify(password, hash) => JobResult::Verify {
            ok: password::verify(password.as_str().as_bytes(), hash.as_str())?,
            rehash: password::needs_rehash(hash.as_str()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use securechat_core::identity::UserName;
    use std::time::{Duration, Instant};

    /// Fails whatever stands in one batch with the user `poison`, and keeps the order of the rest.
    #[derive(Default)]
    struct Picky {
        seen: Arc<Mutex<Vec<String>>>,
    }

    impl Store for Picky {
        fn run(&mut self, jobs: &[StoreJob]) -> Vec<StoreResult> {
            let names: Vec<_> = jobs
                .iter()
                .map(|job| match job {
                    StoreJob::Account { user } => user.to_string(),
                    other => panic!("{other:?}"),
                })
                .collect();
            if names.iter().any(|name| name == "poison") {
                return jobs.iter().map(|_| StoreResult::Failed).collect();
            }
            self.seen.lock().unwrap().extend(names);
            jobs.iter().map(|_| StoreResult::Account(None)).collect()
        }
    }

    fn account(name: &str) -> Job {
        Job::Store(StoreJob::Account { user: UserName::new(name).unwrap() })
    }

    fn collect(workers: &mut Workers, count: usize) -> Vec<(JobId, JobResult)> {
        let start = Instant::now();
        let mut results = Vec::new();
        while results.len() < count {
            assert!(start.elapsed() < Duration::from_secs(20));
            results.extend(std::iter::from_fn(|| workers.next_result()));
            thread::yield_now();
        }
        results
    }

    #[test]
    fn store_jobs_keep_their_order_and_one_that_fails_fails_alone() {
        let store = Picky::default();
        let seen = Arc::clone(&store.seen);
        let mut workers = Workers::start(store, 1, || ()).unwrap();
        let names: Vec<String> =
            (0..500).map(|number| if number == 77 { "poison".into() } else { format!("u{number}") }).collect();
        names.iter().zip(0..).for_each(|(name, number)| workers.submit(JobId::from_number(number), account(name)));
        let results = collect(&mut workers, 500);
        for ((id, result), number) in results.iter().zip(0..) {
            assert_eq!(id.number(), number);
            assert_eq!(matches!(result, JobResult::Store(StoreResult::Failed)), number == 77, "{number}");
        }
        assert!(seen.lock().unwrap().iter().eq(names.iter().filter(|name| *name != "poison")));
    }

    #[test]
    fn passwords_are_hashed_and_verified() {
        let mut workers = Workers::start(Picky::default(), 2, || ()).unwrap();
        let password = || Password::new("secret".into()).unwrap();
        workers.submit(JobId::from_number(1), Job::Hash { password: password() });
        let hash = match collect(&mut workers, 1).remove(0).1 {
            JobResult::Hash(hash) => hash,
            other => panic!("{other:?}"),
        };
        let old = PasswordHash::new(bcrypt::hash("secret", 4).unwrap());
        workers.submit(JobId::from_number(2), Job::Verify { password: password(), hash });
        workers.submit(JobId::from_number(3), Job::Verify { password: password(), hash: old });
        workers.submit(JobId::from_number(4), Job::Verify { password: password(), hash: PasswordHash::new("?") });
        let mut results = collect(&mut workers, 3);
        results.sort_by_key(|(id, _)| id.number());
        let results: Vec<_> = results.into_iter().map(|(_, result)| result).collect();
        assert!(matches!(results[0], JobResult::Verify { ok: true, rehash: false }));
        assert!(matches!(results[1], JobResult::Verify { ok: true, rehash: true }));
        assert!(matches!(results[2], JobResult::Failed));
    }

    #[test]
    fn what_was_taken_is_done_before_the_end() {
        let store = Picky::default();
        let seen = Arc::clone(&store.seen);
        let mut workers = Workers::start(store, 1, || ()).unwrap();
        (0..300).for_each(|number| workers.submit(JobId::from_number(number), account("alice")));
        drop(workers);
        assert_eq!(seen.lock().unwrap().len(), 300);
    }
}
