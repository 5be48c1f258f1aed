//! The loop around the engine: it alone holds the client, and does one thing at a time.

use crate::chat::Update;
use crate::error::Error;
use crate::history::Conversation;
use crate::socket::{self, Connection, Listener};
use crate::state::{State, now};
use crate::transfer::{Incoming, Outgoing};
use securechat_core::client::Client;
use securechat_core::content::MessageId;
use securechat_core::event::{Event, FileId, LinkId, MessageBody};
use securechat_core::identity::{RelayAddress, UserName};
use std::collections::BTreeMap;
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
            inbox,
            sink,
            untold: Vec::new(),
            stopping: None,
        }
    }

    /// Runs until it is stopped, or the state cannot be saved any more.
    pub(crate) fn run(mut self, inputs: &Receiver<Input>) {
        let result = self.serve(inputs).and_then(|()| self.state.close_history());
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
        }
    }

    /// The engine.
    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.state.client
    }

    /// Saves, sends and tells until nothing is left of any: in this order, so that no ciphertext leaves before the state
    /// that it needs is on the disk. The program is told of an event when the state says that it was taken, with what it
    /// said in the history: after a crash it does not come again.
    pub(crate) fn drain(&mut self) -> Result<(), Error> {
        loop {
            self.state.save()?;
            self.untold.drain(..).for_each(&mut self.sink);
            self.state.told();
            let mut bytes = Vec::new();
            if let Some(link) = self.state.client.poll_transmit(&mut bytes) {
                if let Some(connection) = self.links.get(&link) {
                    connection.send(bytes);
                }
                continue;
            }
            match self.state.client.poll_event() {
                Some(event) => {
                    self.state.note_event(&event, now())?;
                    self.handle_event(event)?;
                }
                None if self.untold.is_empty() => return Ok(()),
                None => {}
            }
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
    pub(crate) fn send_text(&mut self, to: &UserName, text: &str) -> Result<MessageId, Error> {
        let now = now();
        let id = self.client().send_text(to, text, now)?;
        self.sent(to, id, &MessageBody::Text(text.to_owned()), now)?;
        Ok(id)
    }

    fn sent(&mut self, to: &UserName, id: MessageId, body: &MessageBody, now: u64) -> Result<(), Error> {
        self.state.note_sent(Conversation::User(to.clone()), id, body, now)
    }

    /// Offers the file at `path`.
    pub(crate) fn send_file(&mut self, to: &UserName, path: &Path) -> Result<FileId, Error> {
        let file = Outgoing::open(path)?;
        let now = now();
        let (id, message) = self.client().send_file(to, &file.name, file.size, "application/octet-stream", now)?;
        self.sent(to, message, &MessageBody::File { name: file.name.clone(), size: file.size }, now)?;
        self.outgoing.insert(id, file);
        Ok(id)
    }

    /// Takes an offered file into `folder`.
    pub(crate) fn accept_file(&mut self, id: FileId, name: &str, size: u64, folder: &Path) -> Result<(), Error> {
        let file = Incoming::create(folder, name, size)?;
        self.client().accept_file(&id, now())?;
        self.incoming.insert(id, file);
        Ok(())
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
                    self.give_up(file, error);
                }
            }
            Event::FileReceived { file } => match self.incoming.remove(&file).map(Incoming::finish) {
                Some(Ok(path)) => self.tell(Update::Saved { file, path }),
                Some(Err(error)) => self.tell(Update::TransferFailed { file, error }),
                None => {}
            },
            Event::FileSent { file } | Event::FileFailed { file, .. } => {
                self.outgoing.remove(&file);
                self.incoming.remove(&file);
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

    fn supply(&mut self, file: FileId, chunk: u64, offset: u64, length: usize) {
        // A file that was being sent before a restart has to be offered again.
        let Some(outgoing) = self.outgoing.get_mut(&file) else { return self.state.client.cancel_file(&file, now()) };
        let supplied = outgoing
            .read(offset, length)
            .and_then(|bytes| Ok(self.state.client.supply_file(&file, chunk, bytes, now())?));
        if let Err(error) = supplied {
            self.give_up(file, error);
        }
    }

    fn give_up(&mut self, file: FileId, error: Error) {
        self.outgoing.remove(&file);
        self.incoming.remove(&file);
        self.client().cancel_file(&file, now());
        self.tell(Update::TransferFailed { file, error });
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
        let next = next.chain(self.state.next_expiry()).min();
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
