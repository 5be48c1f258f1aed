//! The relay's store over SQLite, with the chunks of blobs in files beside it.
//!
//! A call of [`run`](Store::run) is one transaction: when it returns, all of it is on the disk or none of it happened.

mod accounts;
mod blobs;
mod chunks;
mod database;
mod devices;
mod lists;
mod mailbox;
mod prekeys;
mod sql;
#[cfg(test)]
mod tests;

use crate::error::ServerError;
use chunks::Chunks;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use securechat_core::relay::{Store, StoreJob, StoreRefusal, StoreResult};
use std::io;
use std::path::Path;
use thiserror::Error;

/// The store of a relay in a folder: `relay.db` and `blobs/`.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    chunks: Chunks,
    /// Whether the last transaction failed: a full disk is logged once, not at every try.
    failing: bool,
}

impl SqliteStore {
    /// Opens the store in `folder`, which must be there; makes it if it is new.
    ///
    /// Fails when the folder cannot be written, and when the database is damaged or newer than this program.
    pub fn open(folder: &Path) -> Result<Self, ServerError> {
        let database = folder.join("relay.db");
        let connection = database::open(&database)?;
        let known = blobs::numbers(&connection).map_err(|error| database::refusal(&database, &error))?;
        let chunks = Chunks::open(folder.join("blobs"), &known)?;
        Ok(Self { connection, chunks, failing: false })
    }

    fn transaction(&mut self, jobs: &[StoreJob]) -> Result<Vec<StoreResult>, Stop> {
        self.chunks.begin();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            results.push(match run(&transaction, &mut self.chunks, job) {
                Err(Stop::Refused(refusal)) => StoreResult::Refused(refusal),
                other => other?,
            });
        }
        // A chunk is there once its row says so; its bytes must be on the disk before that.
        self.chunks.sync()?;
        transaction.commit()?;
        self.chunks.remove_dropped();
        Ok(results)
    }
}

impl Store for SqliteStore {
    fn run(&mut self, jobs: &[StoreJob]) -> Vec<StoreResult> {
        match self.transaction(jobs) {
            Ok(results) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the store works again");
                }
                results
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the store does not work; users are told to try again later");
                }
                jobs.iter().map(|_| StoreResult::Failed).collect()
            }
        }
    }
}

/// Why a job has no answer of its own.
#[derive(Debug, Error)]
enum Stop {
    /// A condition of the job does not hold. It comes before anything is changed.
    #[error("refused")]
    Refused(StoreRefusal),
    /// The database failed: the transaction ends.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// A blob's file failed: the transaction ends.
    #[error("a blob cannot be read or written: {0}")]
    File(#[from] io::Error),
}

type Answer = Result<StoreResult, Stop>;

fn require(condition: bool, otherwise: StoreRefusal) -> Result<(), Stop> {
    if condition { Ok(()) } else { Err(Stop::Refused(otherwise)) }
}

fn run(sql: &Transaction<'_>, chunks: &mut Chunks, job: &StoreJob) -> Answer {
    match job {
        StoreJob::Account { user } => accounts::account(sql, user),
        StoreJob::CreateAccount(account) => accounts::create(sql, account),
        StoreJob::ImportAccount { user, password } => accounts::import(sql, user, password),
        StoreJob::SetPassword { user, expected, password } => accounts::set_password(sql, user, expected, password),
        StoreJob::SetCode { user, secret, step } => accounts::set_code(sql, user, secret, *step),
        StoreJob::UseCode { user, step } => accounts::use_code(sql, user, *step),
        StoreJob::Users { after, count } => accounts::page(sql, after, *count),
        StoreJob::Device { user, identity } => devices::device(sql, user, identity),
        StoreJob::PutBundle { user, identity, serial, bundle, unlisted, now } => {
            devices::put_bundle(sql, user, identity, (*serial, bundle), *unlisted, *now)
        }
        StoreJob::CurrentList { user } => lists::current(sql, user),
        StoreJob::PutList { user, previous, list, identities, now } => {
            lists::put(sql, user, *previous, list, identities, *now)
        }
        StoreJob::PutProposal { user, list } => lists::propose(sql, user, list),
        StoreJob::Lists { user, from, count } => lists::chain(sql, user, *from, *count),
        StoreJob::PutPrekeys { identity, replace, prekeys, room, now } => {
            prekeys::put(sql, identity, *replace, prekeys, *room, *now)
        }
        StoreJob::TakeKeys { user, devices, kind, fresh } => prekeys::take_keys(sql, user, devices, *kind, *fresh),
        StoreJob::Send { sender, user, items, room, room_bytes, now } => {
            mailbox::send(sql, (sender, user), items, (*room, *room_bytes), *now)
        }
        StoreJob::Waiting { recipient, after, count, bytes } => {
            mailbox::waiting(sql, recipient, *after, *count, *bytes)
        }
        StoreJob::Acknowledge { recipient, envelopes } => mailbox::acknowledge(sql, recipient, envelopes),
        StoreJob::CreateBlob { id, owner, size, chunks, room, room_bytes, now } => {
            blobs::create(sql, id, owner, (*size, *chunks), (*room, *room_bytes), *now)
        }
        StoreJob::Blob { id } => blobs::blob(sql, id),
        StoreJob::PutChunk { id, owner, index, chunk } => blobs::put_chunk(sql, chunks, (id, owner), *index, chunk),
        StoreJob::MissingChunks { id, from, count } => blobs::missing(sql, id, *from, *count),
        StoreJob::Chunk { id, index } => blobs::chunk(sql, chunks, id, *index),
        StoreJob::DeleteBlob { id, owner } => blobs::delete(sql, chunks, id, owner),
        StoreJob::Expire { envelopes, prekeys, blobs, unlisted } => {
            mailbox::expire(sql, *envelopes)?;
            prekeys::expire(sql, *prekeys)?;
            devices::expire(sql, *unlisted)?;
            blobs::expire(sql, chunks, *blobs)
        }
    }
}
