//! The relay's store over SQLite, with the chunks of blobs in files beside it.
//!
//! A call of [`run`](Store::run) is one transaction: when it returns, all of it is on the disk or none of it happened.

mod accounts;
mod blobs;
mod chunks;
mod database;
mod devices;
mod groups;
mod lists;
mod mailbox;
mod prekeys;
mod sql;
#[cfg(test)]
mod tests;

use crate::error::ServerError;
use chunks::Chunks;
use mailbox::Recipients;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use securechat_core::identity::Identity;
use securechat_core::relay::{
    Mailboxes, SentItem, Store, StoreJob, StoreOutcome, StoreRefusal, StoreResult, StoredItem,
};
use securechat_core::wire::Recipient;
use std::io;
use std::path::Path;
use thiserror::Error;

/// The store of a relay in a folder: `relay.db` and `blobs/`.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    chunks: Chunks,
    recipients: Recipients,
    /// Where mailboxes are, if they are not to last.
    mailboxes: Option<Mailboxes>,
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
        Ok(Self { connection, chunks, recipients: Recipients::default(), mailboxes: None, failing: false })
    }

    /// Keeps mailboxes in memory from now on: what waits there ends with this value, and costs no write. The jobs
    /// between those about mail then share a transaction, and no others.
    #[must_use]
    pub fn with_memory_mailboxes(mut self) -> Self {
        self.mailboxes = Some(Mailboxes::default());
        self
    }

    /// Runs jobs in one transaction.
    fn run_durably(&mut self, jobs: &[StoreJob]) -> Vec<StoreResult> {
        match self.transaction(jobs) {
            Ok(results) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the store works again");
                }
                results
            }
            Err(error) => {
                self.recipients.clear();
                self.chunks.forget();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the store does not work; users are told to try again later");
                }
                jobs.iter().map(|_| StoreResult::Failed).collect()
            }
        }
    }

    fn transaction(&mut self, jobs: &[StoreJob]) -> Result<Vec<StoreResult>, Stop> {
        let sql = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut work =
            Work { sql, chunks: &mut self.chunks, recipients: &mut self.recipients, unlisted: Vec::new(), expired: 0 };
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            results.push(match work.run(job) {
                Err(Stop::Refused(refusal)) => StoreResult::Refused(refusal),
                other => other?,
            });
        }
        let Work { sql, chunks, unlisted, expired, .. } = work;
        // A chunk is there once its row says so; its bytes must be on the disk before that.
        chunks.sync()?;
        sql.commit()?;
        chunks.remove_dropped();
        if let Some(mailboxes) = &mut self.mailboxes {
            unlisted.iter().for_each(|device| mailboxes.empty(device));
            mailboxes.expire(expired);
        }
        Ok(results)
    }

    /// Does a job of mailboxes that are in memory; none for another.
    fn run_in_memory(&mut self, job: &StoreJob) -> Option<StoreResult> {
        let Self { mailboxes: Some(mailboxes), recipients, connection, .. } = self else { return None };
        Some(match job {
            StoreJob::Send { sender, user, items, room, room_bytes, now } => {
                let mut send = |item: &StoredItem| {
                    let mut put = |device| mailboxes.send((sender, user), device, item, (*room, *room_bytes), *now);
                    Ok(match &item.recipient {
                        Recipient::Device(device) => match recipients.find(connection, device)? {
                            Some((epoch, true)) => SentItem::new(epoch, put(*device)),
                            recipient => SentItem::new(recipient.map_or(0, |(epoch, _)| epoch), StoreOutcome::Unknown),
                        },
                        Recipient::Group(group) => {
                            let devices = groups::recipients(connection, group, (sender, user))?;
                            mailbox::sent_to_group(devices, |device| Ok::<_, rusqlite::Error>(put(device)))?
                        }
                        _ => SentItem::new(0, StoreOutcome::Unknown),
                    })
                };
                let sent: rusqlite::Result<_> = items.iter().map(&mut send).collect();
                sent.map_or(StoreResult::Failed, StoreResult::Sent)
            }
            StoreJob::Waiting { recipient, after, count, bytes } => {
                StoreResult::Waiting(mailboxes.waiting(recipient, *after, *count, *bytes))
            }
            StoreJob::Acknowledge { recipient, envelopes } => {
                mailboxes.acknowledge(recipient, envelopes);
                StoreResult::Done
            }
            _ => return None,
        })
    }
}

impl Store for SqliteStore {
    fn run(&mut self, jobs: &[StoreJob]) -> Vec<StoreResult> {
        if self.mailboxes.is_none() {
            return self.run_durably(jobs);
        }
        let mut results = Vec::with_capacity(jobs.len());
        let mut rest = jobs;
        while let Some((job, behind)) = rest.split_first() {
            if let Some(result) = self.run_in_memory(job) {
                results.push(result);
                rest = behind;
                continue;
            }
            let others = behind.iter().take_while(|job| !is_about_mail(job)).count();
            let (durable, behind) = rest.split_at(1 + others);
            results.extend(self.run_durably(durable));
            rest = behind;
        }
        results
    }
}

const fn is_about_mail(job: &StoreJob) -> bool {
    matches!(job, StoreJob::Send { .. } | StoreJob::Waiting { .. } | StoreJob::Acknowledge { .. })
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

/// A transaction while it runs.
struct Work<'a> {
    sql: Transaction<'a>,
    chunks: &'a mut Chunks,
    recipients: &'a mut Recipients,
    /// Devices that are not listed any more.
    unlisted: Vec<Identity>,
    /// Envelopes from before this time are forgotten.
    expired: u64,
}

impl Work<'_> {
    fn run(&mut self, job: &StoreJob) -> Answer {
        let Self { sql, chunks, recipients, unlisted, expired } = self;
        match job {
            StoreJob::Account { user } => accounts::account(sql, user),
            StoreJob::CreateAccount(account) => {
                recipients.clear();
                accounts::create(sql, account)
            }
            StoreJob::ImportAccount { user, password } => accounts::import(sql, user, password),
            StoreJob::SetPassword { user, expected, password } => accounts::set_password(sql, user, expected, password),
            StoreJob::SetCode { user, secret, step } => accounts::set_code(sql, user, secret, *step),
            StoreJob::UseCode { user, step } => accounts::use_code(sql, user, *step),
            StoreJob::Users { after, count } => accounts::page(sql, after, *count),
            StoreJob::Device { user, identity } => devices::device(sql, user, identity),
            StoreJob::PutBundle { user, identity, serial, bundle, unlisted, now } => {
                recipients.clear();
                devices::put_bundle(sql, user, identity, (*serial, bundle), *unlisted, *now)
            }
            StoreJob::CurrentList { user } => lists::current(sql, user),
            StoreJob::PutList { user, previous, list, identities, now } => {
                recipients.clear();
                lists::put(sql, unlisted, user, *previous, list, identities, *now)
            }
            StoreJob::PutProposal { user, list } => lists::propose(sql, user, list),
            StoreJob::Lists { user, from, count } => lists::chain(sql, user, *from, *count),
            StoreJob::PutPrekeys { identity, replace, prekeys, room, now } => {
                prekeys::put(sql, identity, *replace, prekeys, *room, *now)
            }
            StoreJob::TakeKeys { user, devices, kind, fresh } => prekeys::take_keys(sql, user, devices, *kind, *fresh),
            StoreJob::Send { sender, user, items, room, room_bytes, now } => {
                mailbox::send(sql, recipients, (sender, user), items, (*room, *room_bytes), *now)
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
            StoreJob::Group { group, place, user } => groups::group(sql, group, *place, user),
            StoreJob::PutEntry(entry) => groups::put(sql, entry),
            StoreJob::Log { group, user, from, count } => groups::log(sql, group, user, *from, *count),
            StoreJob::Groups { user, after, count, lobby } => groups::page(sql, user, after, *count, *lobby),
            StoreJob::Expire { envelopes, prekeys, blobs, unlisted } => {
                recipients.clear();
                *expired = *envelopes;
                mailbox::expire(sql, *envelopes)?;
                prekeys::expire(sql, *prekeys)?;
                devices::expire(sql, *unlisted)?;
                blobs::expire(sql, chunks, *blobs)
            }
        }
    }
}
