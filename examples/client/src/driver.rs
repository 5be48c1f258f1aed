//! The loop around the engine: it alone holds the client, and does one thing at a time.

use crate::chat::Update;
use crate::error::Error;
use crate::socket::{self, Connection, Listener};
use crate::state::{State, now};
use crate::transfer::{Files, Incoming, Outgoing};
use securechat_core::client::Client;
use securechat_core::content::{Conversation, MessageId};
use securechat_core::event::{Event, FileId, LinkId, MessageBody};
use securechat_core::identity::RelayAddress;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

/// Connections that others may have here at once.
const ACCEPTED_MAX: usize = 64;
/// The longest pause between two attempts to reach somebody, in milliseconds.
const PAUSE_MAX: u64 = 60_000;
/// How long a stop waits for what is on its way out, in milliseconds.
const STOP_TIME: u64 = 3_000;
/// How often a full disk is tried again, in milliseconds.
const DISK_RETRIED: u64 = 1_000;
/// How often ending connections are looked at during a stop, in milliseconds.
const ENDING_LOOKED_AT: u64 = 5;

/// Something that wakes the loop.
pub(crate) enum Input {
    /// Bytes arrived on a link.
    Bytes(LinkId, Vec<u8>),
    /// The bytes of a link ended.
    End(LinkId),
    /// Somebody connected here.
    Accepted(TcpStream),
    /// An attempt to reach a target has ended.
    Dialed(usize, Result<TcpStream, Error>),
    /// Something to do with the client in hand.
    Work(Box<Work>),
}

/// A command; an error ends the loop.
pub(crate) type Work = dyn FnOnce(&mut Driver) -> Result<(), Error> + Send;

/// Where a connection is to be, and be made again when it ends.
struct Target {
    address: RelayAddress,
    is_relay: bool,
    status: Status,
    /// Attempts since a link was last open.
    failures: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Dialing,
    Linked(LinkId),
    Pausing { until: u64 },
    GivenUp,
}

pub(crate) struct Driver {
    state: State,
    links: BTreeMap<LinkId, Connection>,
    /// Connections of links that are over, until the last bytes are with the operating system.
    ending: Vec<Connection>,
    targets: Vec<Target>,
    listener: Option<Listener>,
    outgoing: BTreeMap<FileId, Outgoing>,
    incoming: BTreeMap<FileId, Incoming>,
    /// Where the files of both lie, as it is kept.
    files: Files,
    /// Transfers for which there is no room on the disk.
    stuck: BTreeSet<FileId>,
    /// When a full disk is tried again.
    retry: Option<u64>,
    inbox: SyncSender<Input>,
    sink: Box<dyn FnMut(Update) + Send>,
    /// What the program is told as soon as the state says that it happened.
    untold: Vec<Update>,
    stopping: Option<u64>,
}

impl Driver {
    pub(crate) fn new(state: State, inbox: SyncSender<Input>, sink: Box<dyn FnMut(Update) + Send>) -> Self {
        Self {
            state,
            links: BTreeMap::new(),
            ending: Vec::new(),
            targets: Vec::new(),
            listener: None,
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            files: Files::default(),
            stuck: BTreeSet::new(),
            retry: None,
            inbox,
            sink,
            untold: Vec::new(),
            stopping: None,
        }
    }

    /// Runs until it is stopped, or the state cannot be saved any more.
    pub(crate) fn run(mut self, inputs: &Receiver<Input>) {
        let result = self.recall_files().and_then(|()| self.serve(inputs)).and_then(|()| self.state.close_history());
        (self.sink)(Update::Stopped(result.err()));
    }

    fn serve(&mut self, inputs: &Receiver<Input>) -> Result<(), Error> {
        loop {
            self.drain()?;
            self.ending.retain(|connection| !connection.is_drained());
            let quiet = self.links.is_empty() && self.ending.is_empty();
            if self.stopping.is_some_and(|until| quiet || now() >= until) {
                return Ok(());
            }
            match inputs.recv_timeout(self.pause()) {
                Ok(input) => self.handle(input)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            let now = now();
            if self.client().poll_timeout().is_some_and(|at| at <= now) {
                self.client().handle_timeout(now);
            }
            self.state.forget_expired(now)?;
            self.redial(now);
            if self.retry.is_some_and(|at| at <= now) {
                self.retry_disk(now);
            }
        }
    }

    /// The engine.
    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.state.client
    }

    /// Saves, sends and tells until nothing is left of any: in this order, so that no ciphertext leaves before the state
    /// that it needs is on the disk, and no chunk counts as there before it is. The program is told of an event when the
    /// state says that it was taken, with what it said in the history: after a crash it does not come again.
    pub(crate) fn drain(&mut self) -> Result<(), Error> {
        loop {
            if !self.save()? {
                return Ok(());
            }
            self.untold.drain(..).for_each(&mut self.sink);
            self.state.told();
            let mut bytes = Vec::new();
            if let Some(link) = self.state.client.poll_transmit(&mut bytes) {
                if let Some(connection) = self.links.get(&link) {
                    connection.send(bytes);
                }
                continue;
            }
            // What concerns the bytes of files comes in numbers, and is saved together.
            loop {
                let Some(event) = self.state.client.poll_event() else {
                    if self.state.wants_save() || !self.untold.is_empty() {
                        break;
                    }
                    return Ok(());
                };
                let bytes =
                    matches!(event, Event::FileNeed { .. } | Event::FileChunk { .. } | Event::FileProgress { .. });
                self.state.note_event(&event, now())?;
                self.handle_event(event)?;
                if !bytes {
                    break;
                }
            }
        }
    }

    /// Saves what there is to save. False when the disk has no room: it is tried again.
    fn save(&mut self) -> Result<bool, Error> {
        while self.state.wants_save() {
            if !self.state.is_unsaved() {
                self.sync_files();
            }
            match self.state.save_some() {
                Ok(()) => {}
                Err(error @ Error::DiskFull(_)) => {
                    if self.retry.is_none() {
                        (self.sink)(Update::DiskFull { file: None, error });
                    }
                    self.retry = Some(now().saturating_add(DISK_RETRIED));
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Brings what arrived of files to the disk.
    fn sync_files(&mut self) {
        let failed = |(file, incoming): (&FileId, &mut Incoming)| incoming.sync().err().map(|error| (*file, error));
        let failed: Vec<_> = self.incoming.iter_mut().filter_map(failed).collect();
        failed.into_iter().for_each(|(file, error)| self.hold_up(file, error));
    }

    /// A file cannot be written: where the disk is full, for now.
    fn hold_up(&mut self, file: FileId, error: Error) {
        if !matches!(error, Error::DiskFull(_)) {
            return self.give_up(file, error);
        }
        self.client().pause_file(&file, now());
        self.retry.get_or_insert(now().saturating_add(DISK_RETRIED));
        if self.stuck.insert(file) {
            (self.sink)(Update::DiskFull { file: Some(file), error });
        }
    }

    /// Goes on with what there is room for by now.
    fn retry_disk(&mut self, now: u64) {
        self.retry = None;
        for file in std::mem::take(&mut self.stuck) {
            match self.incoming.get_mut(&file).map(Incoming::has_room) {
                Some(true) => self.client().resume_file(&file, now),
                Some(false) => _ = self.stuck.insert(file),
                None => {}
            }
        }
        if !self.stuck.is_empty() || self.state.is_unsaved() {
            self.retry = Some(now.saturating_add(DISK_RETRIED));
        }
    }

    /// At the start: the files of transfers that go on, and none of others.
    fn recall_files(&mut self) -> Result<(), Error> {
        self.files = self.state.transfers()?;
        let alive: BTreeSet<FileId> = self.client().transfers().iter().map(|transfer| transfer.file).collect();
        self.files.incoming.iter().filter(|(file, _)| !alive.contains(*file)).for_each(|(_, place)| place.discard());
        self.files.outgoing.retain(|file, _| alive.contains(file));
        self.files.incoming.retain(|file, _| alive.contains(file));
        Ok(())
    }

    /// A transfer of an earlier run goes on.
    fn resumed(&mut self, file: FileId, size: u64, outgoing: bool) -> Result<(), Error> {
        let missing = || Error::NotKept;
        if outgoing {
            let opened = Outgoing::open(self.files.outgoing.get(&file).ok_or_else(missing)?)?;
            self.outgoing.insert(file, opened);
        } else {
            let place = self.files.incoming.get(&file).ok_or_else(missing)?.clone();
            self.incoming.insert(file, Incoming::reopen(place, size)?);
        }
        Ok(())
    }

    /// A transfer is over: nothing is kept of it.
    fn forget(&mut self, file: &FileId) -> Result<(), Error> {
        self.stuck.remove(file);
        self.outgoing.remove(file);
        self.incoming.remove(file);
        let sent = self.files.outgoing.remove(file);
        let arrived = self.files.incoming.remove(file);
        if sent.is_none() && arrived.is_none() {
            return Ok(());
        }
        // Where there is no room for less, there is soon: what is kept too long is dropped at the next start.
        match self.state.remember_transfers(&self.files) {
            Err(Error::DiskFull(_)) => Ok(()),
            other => other,
        }
    }

    /// Keeps a connection to the relay at `address`, and remembers it.
    pub(crate) fn connect_relay(&mut self, address: RelayAddress) -> Result<(), Error> {
        self.state.remember_relay(&address)?;
        self.add_target(address, true);
        Ok(())
    }

    /// Keeps a connection to the peer at `address`.
    pub(crate) fn connect_peer(&mut self, address: RelayAddress) {
        self.add_target(address, false);
    }

    /// Takes connections from peers.
    pub(crate) fn listen(&mut self, address: &str) -> Result<SocketAddr, Error> {
        let listener = Listener::start(address, self.inbox.clone())?;
        let address = listener.address();
        self.listener = Some(listener);
        Ok(address)
    }

    /// Ends every connection and makes none again.
    pub(crate) fn disconnect(&mut self) {
        self.targets.iter_mut().for_each(|target| target.status = Status::GivenUp);
        self.listener = None;
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.client().close_link(link, now());
        }
    }

    /// Ends in order: what was queued is sent first, within a few seconds.
    pub(crate) fn stop(&mut self) {
        self.disconnect();
        self.stopping = Some(now().saturating_add(STOP_TIME));
    }

    /// Sends a text, and keeps it in the history.
    pub(crate) fn send_text(&mut self, to: &Conversation, text: &str) -> Result<MessageId, Error> {
        let now = now();
        let id = self.client().send_text(to, text, now)?;
        self.sent(to, id, &MessageBody::Text(text.to_owned()), now)?;
        Ok(id)
    }

    fn sent(&mut self, to: &Conversation, id: MessageId, body: &MessageBody, now: u64) -> Result<(), Error> {
        self.state.note_sent(to.into(), id, body, now)
    }

    /// Offers the file at `path`.
    pub(crate) fn send_file(&mut self, to: &Conversation, path: &Path) -> Result<FileId, Error> {
        let file = Outgoing::open(path)?;
        let now = now();
        let (id, message) = self.client().send_file(to, &file.name, file.size, "application/octet-stream", now)?;
        self.sent(to, message, &MessageBody::File { name: file.name.clone(), size: file.size }, now)?;
        // It is kept where the file lies before the offer is.
        self.files.outgoing.insert(id, file.path.clone());
        self.outgoing.insert(id, file);
        if let Err(error) = self.state.remember_transfers(&self.files) {
            self.cancel_file(&id)?;
            return Err(error);
        }
        Ok(id)
    }

    /// Takes an offered file into `folder`.
    pub(crate) fn accept_file(&mut self, id: FileId, name: &str, size: u64, folder: &Path) -> Result<(), Error> {
        let file = Incoming::create(folder, name, size)?;
        self.files.incoming.insert(id, file.place().clone());
        self.incoming.insert(id, file);
        let kept = self.state.remember_transfers(&self.files);
        let accepted = kept.and_then(|()| Ok(self.client().accept_file(&id, now())?));
        accepted.or_else(|error| {
            self.discard(&id)?;
            Err(error)
        })
    }

    /// Ends a transfer. What came of it is removed, and what went deleted at the relay.
    pub(crate) fn cancel_file(&mut self, file: &FileId) -> Result<(), Error> {
        self.client().cancel_file(file, now());
        self.discard(file)
    }

    fn discard(&mut self, file: &FileId) -> Result<(), Error> {
        if let Some(place) = self.files.incoming.get(file) {
            place.discard();
        }
        self.forget(file)
    }

    /// Puts the state under another passphrase.
    pub(crate) fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn tell(&mut self, update: Update) {
        self.untold.push(update);
    }

    fn handle(&mut self, input: Input) -> Result<(), Error> {
        let now = now();
        match input {
            Input::Bytes(link, bytes) => self.client().handle_input(link, &bytes, now),
            Input::End(link) => self.client().handle_end(link, now),
            Input::Accepted(stream) => self.accept(stream, now),
            Input::Dialed(target, outcome) => self.dialed(target, outcome, now),
            Input::Work(work) => work(self)?,
        }
        Ok(())
    }

    fn handle_event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::FileNeed { file, chunk, offset, length } => self.supply(file, chunk, offset, length),
            Event::FileChunk { file, offset, data } => {
                let written = self.incoming.get_mut(&file).map(|incoming| incoming.write(offset, &data));
                if let Some(Err(error)) = written {
                    self.hold_up(file, error);
                }
            }
            Event::FileResumed { file, size, outgoing, .. } => {
                self.tell(Update::Event(event));
                if let Err(error) = self.resumed(file, size, outgoing) {
                    self.give_up(file, error);
                }
            }
            Event::FileReceived { file } => self.received(file)?,
            Event::FileSent { file } => {
                self.forget(&file)?;
                self.tell(Update::Event(event));
            }
            Event::FileFailed { file, .. } => {
                self.discard(&file)?;
                self.tell(Update::Event(event));
            }
            Event::LinkOpen { link, .. } => {
                self.reached(link)?;
                self.tell(Update::Event(event));
            }
            Event::LinkClosed { link, .. } => {
                self.ending.extend(self.links.remove(&link));
                if let Some(target) = self.target_of(link) {
                    target.pause(now());
                }
                self.tell(Update::Event(event));
            }
            _ => self.tell(Update::Event(event)),
        }
        Ok(())
    }

    /// A target is reached. From now on the engine's pin says who a relay is: it follows what the user accepts, and a
    /// fingerprint that came with the address does not.
    fn reached(&mut self, link: LinkId) -> Result<(), Error> {
        let Some(target) = self.target_of(link) else { return Ok(()) };
        target.failures = 0;
        if !target.is_relay || target.address.fingerprint.take().is_none() {
            return Ok(());
        }
        let address = target.address.clone();
        self.state.remember_relay(&address)
    }

    /// A file is whole: it gets its name.
    fn received(&mut self, file: FileId) -> Result<(), Error> {
        let Some(incoming) = self.incoming.remove(&file) else { return Ok(()) };
        let finished = incoming.finish(|place| {
            self.files.incoming.insert(file, place.clone());
            self.state.remember_transfers(&self.files)
        });
        let update = match finished {
            Ok(path) => Update::Saved { file, path },
            // It stays under the name of its part: it is whole.
            Err(error) => Update::TransferFailed { file, error },
        };
        self.forget(&file)?;
        self.tell(update);
        Ok(())
    }

    fn supply(&mut self, file: FileId, chunk: u64, offset: u64, length: usize) {
        let Some(outgoing) = self.outgoing.get_mut(&file) else { return };
        let supplied = outgoing
            .read(offset, length)
            .and_then(|bytes| Ok(self.state.client.supply_file(&file, chunk, bytes, now())?));
        // Of what the engine refuses it tells itself.
        if let Err(error) = supplied
            && error.core().is_none()
        {
            self.give_up(file, error);
        }
    }

    fn give_up(&mut self, file: FileId, error: Error) {
        let ended = self.cancel_file(&file);
        self.tell(Update::TransferFailed { file, error: ended.err().unwrap_or(error) });
    }

    fn accept(&mut self, stream: TcpStream, now: u64) {
        let room = self.links.len() < ACCEPTED_MAX && self.stopping.is_none();
        if let Some(Ok(link)) = room.then(|| self.client().accept_peer(now)) {
            self.attach(link, stream, now);
        }
    }

    fn attach(&mut self, link: LinkId, stream: TcpStream, now: u64) {
        match Connection::start(link, stream, self.inbox.clone()) {
            Ok(connection) => _ = self.links.insert(link, connection),
            Err(_) => self.client().handle_end(link, now),
        }
    }

    fn add_target(&mut self, address: RelayAddress, is_relay: bool) {
        self.targets.push(Target { address, is_relay, status: Status::Pausing { until: 0 }, failures: 0 });
        self.redial(now());
    }

    fn target_of(&mut self, link: LinkId) -> Option<&mut Target> {
        self.targets.iter_mut().find(|target| target.status == Status::Linked(link))
    }

    /// Begins the attempts whose time has come.
    fn redial(&mut self, now: u64) {
        for (index, target) in self.targets.iter_mut().enumerate() {
            if !matches!(target.status, Status::Pausing { until } if until <= now) {
                continue;
            }
            target.status = Status::Dialing;
            let place = RelayAddress { fingerprint: None, ..target.address.clone() }.to_string();
            let inbox = self.inbox.clone();
            let dial = move || _ = inbox.send(Input::Dialed(index, socket::dial(&place)));
            if thread::Builder::new().name("dial".into()).spawn(dial).is_err() {
                target.pause(now);
            }
        }
    }

    fn dialed(&mut self, index: usize, outcome: Result<TcpStream, Error>, now: u64) {
        let Some(target) = self.targets.get_mut(index).filter(|target| target.status == Status::Dialing) else {
            return;
        };
        let linked = outcome.and_then(|stream| {
            let link = match target.is_relay {
                true => self.state.client.connect_relay(&target.address, now)?,
                false => self.state.client.connect_peer(target.address.fingerprint, now)?,
            };
            Ok((link, stream))
        });
        match linked {
            Ok((link, stream)) => {
                target.status = Status::Linked(link);
                self.attach(link, stream, now);
            }
            Err(error) => {
                let retry = target.pause(now);
                let address = target.address.clone();
                self.tell(Update::Unreached { address, error, retry });
            }
        }
    }

    /// How long there is nothing to do unless something arrives.
    fn pause(&self) -> Duration {
        let until = |status| match status {
            Status::Pausing { until } => Some(until),
            _ => None,
        };
        // Nothing wakes the loop when the last bytes of an ending connection are gone.
        let ends = (self.stopping.is_some() && !self.ending.is_empty()).then(|| now().saturating_add(ENDING_LOOKED_AT));
        let retries = self.targets.iter().filter_map(|target| until(target.status));
        let next = retries.chain(self.state.client.poll_timeout()).chain(self.stopping).chain(ends);
        let next = next.chain(self.retry).chain(self.state.next_expiry()).min();
        let pause = next.map_or(PAUSE_MAX, |at| at.saturating_sub(now()).min(PAUSE_MAX));
        Duration::from_millis(pause)
    }
}

impl Target {
    /// Waits before the next attempt: 1 s, 2 s, 4 s and so on, a minute at most.
    fn pause(&mut self, now: u64) -> Duration {
        let pause = 1_000_u64.checked_shl(self.failures.min(16)).unwrap_or(PAUSE_MAX).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.status = Status::Pausing { until: now.saturating_add(pause) };
        Duration::from_millis(pause)
    }
}
