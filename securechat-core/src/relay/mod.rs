//! The server engine: accounts, directory, mailboxes, groups and blobs over typed requests (PROTOCOL.md section 10).
//!
//! It routes. It verifies signatures, and knows no key that opens an envelope or a file; nothing that it imports does.
//!
//! ```text
//! link opened ─ connect ──→ ┌───────┐ ──→ poll_job ── hashing, store ──→ complete ─┐
//! link data ── handle_data → │ Relay │ ←──────────────────────────────────────────┘
//! link gone ── disconnect ─→ └───────┘ ──→ poll_output ──→ the links
//! ```
//!
//! The host owns the links. After any call it drains [`Relay::poll_job`], [`Relay::poll_output`] and
//! [`Relay::poll_event`] until all three give `None`, and calls [`Relay::handle_timeout`] at
//! [`Relay::poll_timeout`].
//!
//! **Durability.** An answer leaves only when the jobs behind it are complete. Store jobs take effect and are completed
//! in the order in which they were polled; from that follows the order of envelopes between two devices.
//!
//! **Storage.** A host implements [`Store`] over a database, or commits the records of a [`RecordStore`] to any key-value
//! storage.
//!
//! **Backpressure, outwards.** What the host took with [`Relay::poll_output`] is the host's. When too much of it stands
//! unwritten before a slow reader, the host calls [`Relay::pause_output`]; from then on it is given nothing for that
//! connection but its `Close`, and what waits is counted here. [`Relay::resume_output`] ends that. Envelopes from
//! the mailbox are fetched only as they can be written, so a slow reader costs no memory for them; answers and pushes
//! wait up to `Limits::output_queue`, then that reader is ended, and so is one who reads nothing for
//! `Limits::stall_timeout` (ATTACKS.md D7).
//!
//! **Backpressure, inwards.** A connection has at most 32 open requests; one stays open until its answer was polled.
//! While [`Relay::has_room`] is false the host reads from no connection; requests that come all the same are refused.

mod accounts;
mod answer;
mod blobs;
pub mod conformance;
mod connection;
mod directory;
mod event;
mod groups;
mod job;
mod lifecycle;
mod limiter;
mod login;
mod mailbox;
mod mailboxes;
mod memory;
mod output;
mod presence;
mod records;
mod store;

pub use answer::{
    Account, BlobState, Chain, ChunkState, DeviceState, GroupPage, GroupState, LogPage, MissingPage, SentItem,
    StoreOutcome, StoreRefusal, StoreResult, TakenDevice, TakenKeys, Waiting, WaitingEnvelope,
};
pub use connection::{ConnId, Output};
pub use event::RelayEvent;
pub use job::{Job, JobId, JobResult, PasswordHash};
pub use limiter::Address;
pub use mailboxes::Mailboxes;
pub use memory::MemoryStore;
pub use records::{Ran, RecordStore, RecordValue};
pub use store::{NewAccount, NewEntry, Store, StoreJob, StoredItem, StoredList, StoredPrekey};

use crate::crypto::Random;
use crate::identity::Identity;
use crate::limits::{BLOB_LIFE, ENVELOPE_LIFE, HOUR, Limits, ONE_TIME_LIFE, OPEN_REQUESTS, UNLISTED_LIFE};
use crate::wire::{CloseCode, Done, Packet, Refusal, RefusalCode, Reply, Request};
use connection::Connection;
use core::fmt;
use limiter::Limiter;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What a connection may always have waiting, whatever the others have: a few answers of full size.
const SHARE: usize = 256 * 1024;
/// Events kept for the host; when it takes none, the oldest go.
const EVENTS: usize = 4_096;

/// What a relay is told when it starts.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The identity of the relay's links; logins are signed for it.
    pub identity: Identity,
    /// The hash of the password that one needs to register or to log in with a password, if there is one.
    pub server_password: Option<PasswordHash>,
    /// Whether new users can register.
    pub registration_open: bool,
    /// Whether the first open group that is made here is offered to everyone as the lobby (G3).
    pub lobby: bool,
    /// A hash of some random password, made with the parameters of all others: what passwords of unknown users are
    /// checked against, so that they take as long (L4).
    pub dummy_password: PasswordHash,
    /// The bounds.
    pub limits: Arc<Limits>,
}

/// A relay over any number of connections.
pub struct Relay {
    config: RelayConfig,
    rng: Random,
    connections: BTreeMap<ConnId, Connection>,
    last_conn: u64,
    /// How many connections each address has.
    addresses: BTreeMap<Address, usize>,
    strangers: BTreeSet<ConnId>,
    /// Connections with something for the host to take, each once.
    ready: VecDeque<ConnId>,
    /// Bytes that wait in all outboxes.
    queued: usize,
    jobs: VecDeque<(JobId, Job)>,
    pending: BTreeMap<JobId, Pending>,
    last_job: u64,
    /// Bytes of requests that wait for jobs.
    held: usize,
    password_jobs: usize,
    timers: BTreeSet<(u64, Timer)>,
    events: VecDeque<RelayEvent>,
    limiter: Limiter,
    presence: presence::Board,
    waits: blobs::Waits,
}

/// What an answer goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    conn: ConnId,
    request: u32,
    kind: u16,
}

/// A job on its way, and what follows it.
struct Pending {
    /// Who waits for the answer, if anyone does.
    ticket: Option<Ticket>,
    weight: usize,
    is_password: bool,
    step: Step,
}

/// What a job's result is for.
enum Step {
    Account(accounts::Expect),
    Login(Box<login::Expect>),
    Directory(directory::Expect),
    Mailbox(mailbox::Expect),
    Blob(blobs::Expect),
    Group(groups::Expect),
    Expire,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A connection may have been silent for too long.
    Connection(ConnId),
    /// Loading from a mailbox failed; try again.
    Reload(ConnId),
    /// A request for a chunk has waited long enough.
    Chunk(ConnId, u64),
    /// Changes of presence are due.
    Presence,
    /// What is too old is due.
    Expire,
}

/// How handling a request or a result went: an answer was or will be given, or it is refused.
type Outcome = Result<(), Refusal>;

const UNAVAILABLE: Refusal = Refusal { code: RefusalCode::Unavailable, retry_after: 1 };

impl Relay {
    /// A relay without connections. `now` is in Unix milliseconds, here and everywhere.
    pub fn new(config: RelayConfig, rng: Random, now: u64) -> Self {
        let limiter = Limiter::new(&config.limits);
        Self {
            config,
            rng,
            connections: BTreeMap::new(),
            last_conn: 0,
            addresses: BTreeMap::new(),
            strangers: BTreeSet::new(),
            ready: VecDeque::new(),
            queued: 0,
            jobs: VecDeque::new(),
            pending: BTreeMap::new(),
            last_job: 0,
            held: 0,
            password_jobs: 0,
            timers: BTreeSet::from([(now, Timer::Expire)]),
            events: VecDeque::new(),
            limiter,
            presence: presence::Board::default(),
            waits: blobs::Waits::default(),
        }
    }

    /// One data record came on a connection's link.
    pub fn handle_data(&mut self, conn: ConnId, data: &[u8], now: u64) {
        let Some(connection) = self.connections.get_mut(&conn).filter(|connection| !connection.is_ending()) else {
            return;
        };
        connection.last_seen = now;
        let packet = Packet::decode(data).ok().filter(Packet::is_request);
        let Some(packet) = packet.filter(|_| connection.open < OPEN_REQUESTS) else {
            return self.end(conn, CloseCode::Misbehaved, now);
        };
        connection.open += 1;
        let ticket = Ticket { conn, request: packet.id, kind: packet.kind };
        if let Err(refusal) = self.handle_packet(ticket, &packet, now) {
            self.refuse(ticket, refusal, now);
        }
    }

    /// Whether requests may come in. While it is false, the host reads from no connection.
    pub fn has_room(&self) -> bool {
        self.held < self.config.limits.input_total / 2
    }

    /// The next job. It is answered with [`complete`](Self::complete), always.
    pub fn poll_job(&mut self) -> Option<(JobId, Job)> {
        self.jobs.pop_front()
    }

    /// The answer to a job. One that is not under way is passed over.
    pub fn complete(&mut self, job: JobId, result: JobResult, now: u64) {
        let Some(pending) = self.pending.remove(&job) else { return };
        self.held = self.held.saturating_sub(pending.weight);
        if pending.is_password {
            self.password_jobs = self.password_jobs.saturating_sub(1);
        }
        let connection = pending.ticket.and_then(|ticket| self.connections.get_mut(&ticket.conn));
        if let Some(connection) = connection {
            connection.held = connection.held.saturating_sub(pending.weight);
        }
        if matches!(result, JobResult::Failed | JobResult::Store(StoreResult::Failed)) {
            self.note(RelayEvent::JobFailed);
        }
        let outcome = match pending.step {
            Step::Account(step) => self.resume_account(pending.ticket, step, result, now),
            Step::Login(step) => self.resume_login(pending.ticket, *step, result, now),
            Step::Directory(step) => self.resume_directory(pending.ticket, step, result, now),
            Step::Mailbox(step) => self.resume_mailbox(pending.ticket, step, result, now),
            Step::Blob(step) => self.resume_blob(pending.ticket, step, result, now),
            Step::Group(step) => self.resume_group(pending.ticket, step, result, now),
            Step::Expire => Ok(()),
        };
        if let (Err(refusal), Some(ticket)) = (outcome, pending.ticket) {
            self.refuse(ticket, refusal, now);
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<RelayEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: u64) {
        // What is set for the end of time is set again for it, and never due.
        while let Some((_, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= now && *at < u64::MAX) {
            self.timers.pop_first();
            match timer {
                Timer::Connection(conn) => self.check_deadline(conn, now),
                Timer::Reload(conn) => self.load_mail(conn),
                Timer::Chunk(conn, wait) => self.end_wait(conn, wait, now),
                Timer::Presence => self.push_presence(now),
                Timer::Expire => self.expire(now),
            }
        }
    }

    fn handle_packet(&mut self, ticket: Ticket, packet: &Packet<'_>, now: u64) -> Outcome {
        self.check_rates(ticket.conn, packet.body.len(), now)?;
        let request = Request::decode(packet).map_err(|_| RefusalCode::Malformed)?;
        let request = request.ok_or(RefusalCode::UnknownRequest)?;
        if request.before_login() {
            return self.handle_before_login(ticket, request, now);
        }
        let who = self.who(ticket.conn)?;
        match request {
            Request::ChangePassword(body) => self.change_password(ticket, who, body, now),
            Request::SetUpCode(body) => self.set_up_code(ticket, who, body, now),
            Request::ConfirmCode(body) => self.confirm_code(ticket, who, &body, now),
            Request::PublishBundle(body) => self.publish_bundle(ticket, who, body, now),
            Request::PublishPrekeys(body) => self.publish_prekeys(ticket, who, body, now),
            Request::PublishList(body) => self.publish_list(ticket, who, &body, now),
            Request::ProposeList(body) => self.propose_list(ticket, who, &body, now),
            Request::FetchLists(body) => self.fetch_lists(ticket, body),
            Request::FetchKeys(body) => self.fetch_keys(ticket, who, body, now),
            Request::Users(body) => self.fetch_users(ticket, &who, body),
            Request::SetPresence(body) => self.set_presence(ticket, &who, &body, now),
            Request::Send(body) => self.send(ticket, who, body, now),
            Request::Acknowledge(body) => self.acknowledge(ticket, &who, body),
            Request::GroupEntry(body) => self.group_entry(ticket, who, &body, now),
            Request::GroupLog(body) => self.group_log(ticket, who, &body),
            Request::Groups(body) => self.groups(ticket, who, &body),
            Request::CreateBlob(body) => self.create_blob(ticket, who, &body, now),
            Request::PutChunk(body) => self.put_chunk(ticket, who, body),
            Request::MissingChunks(body) => self.missing_chunks(ticket, &who, &body),
            Request::GetChunk(body) => self.get_chunk(ticket, &who, &body),
            Request::DeleteBlob(body) => self.delete_blob(ticket, who, &body),
            _ => Err(RefusalCode::UnknownRequest.into()),
        }
    }

    fn handle_before_login(&mut self, ticket: Ticket, request: Request, now: u64) -> Outcome {
        match request {
            Request::Ping(_) => {
                self.reply(ticket, &Reply::Ping(Done), now);
                Ok(())
            }
            Request::Enter(body) => self.enter(ticket, body, now),
            Request::Register(body) => self.register(ticket, body, now),
            Request::LogIn(body) => self.log_in(ticket, body, now),
            Request::LogInDevice(body) => self.log_in_device(ticket, body, now),
            _ => Err(RefusalCode::UnknownRequest.into()),
        }
    }

    /// L5, for every request alike, and the bound on what waits for jobs.
    fn check_rates(&mut self, conn: ConnId, size: usize, now: u64) -> Outcome {
        let limits = &self.config.limits;
        let Some(connection) = self.connections.get_mut(&conn) else { return Ok(()) };
        let mut allowed = connection.bucket.take(limits.connection_rate, 1, now);
        if let (Ok(()), Some(admitted)) = (allowed, connection.admitted()) {
            allowed = self.limiter.requests.take(&admitted.who.user, 1, now);
        }
        if let Err(seconds) = allowed {
            connection.refused = connection.refused.saturating_add(1);
            if connection.refused > limits.connection_rate.burst {
                self.end(conn, CloseCode::Misbehaved, now);
            }
            return Err(Refusal::after(RefusalCode::RateLimited, seconds));
        }
        connection.refused = 0;
        let room = share(limits.input_total, self.held);
        if connection.held + size > room { Err(UNAVAILABLE) } else { Ok(()) }
    }

    fn expire(&mut self, now: u64) {
        let before = |life: u64| now.saturating_sub(life);
        let job = StoreJob::Expire {
            envelopes: before(ENVELOPE_LIFE),
            prekeys: before(ONE_TIME_LIFE),
            blobs: before(BLOB_LIFE),
            unlisted: before(UNLISTED_LIFE),
        };
        self.spawn(None, Job::Store(job), Step::Expire);
        self.limiter.clean(now);
        self.timers.insert((now.saturating_add(HOUR), Timer::Expire));
    }

    /// Hands a job out, and keeps what follows it.
    fn spawn(&mut self, ticket: Option<Ticket>, job: Job, step: Step) {
        let weight = job.weight();
        let is_password = matches!(job, Job::Hash { .. } | Job::Verify { .. });
        self.last_job += 1;
        let id = JobId(self.last_job);
        self.held += weight;
        self.password_jobs += usize::from(is_password);
        if let Some(connection) = ticket.and_then(|ticket| self.connections.get_mut(&ticket.conn)) {
            connection.held += weight;
        }
        self.pending.insert(id, Pending { ticket, weight, is_password, step });
        self.jobs.push_back((id, job));
    }

    fn store(&mut self, ticket: Ticket, job: StoreJob, step: Step) -> Outcome {
        self.spawn(Some(ticket), Job::Store(job), step);
        Ok(())
    }

    /// Hands a password job out, unless too many are under way.
    fn password_job(&mut self, ticket: Option<Ticket>, job: Job, step: Step) -> Outcome {
        if !self.has_password_room() {
            return Err(UNAVAILABLE);
        }
        self.spawn(ticket, job, step);
        Ok(())
    }

    fn has_password_room(&self) -> bool {
        self.password_jobs < self.config.limits.password_jobs
    }

    fn note(&mut self, event: RelayEvent) {
        if self.events.len() >= EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Relay")
            .field("connections", &self.connections.len())
            .field("jobs", &self.pending.len())
            .field("queued", &self.queued)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

/// What one connection may have of a common room: an eighth of what is left of it, and never less than its share.
fn share(total: usize, used: usize) -> usize {
    (total.saturating_sub(used) / 8).max(SHARE)
}
