//! The program: one loop over what is typed and what the client reports.

use crate::complete::Names;
use crate::form::Form;
use crate::groups::Known;
use crate::progress::Transfer;
use crate::screen::{Screen, Tone};
use crate::secrets::Secrets;
use crate::sentence;
use crate::terminal::{Ask, Terminal, Typed};
use securechat_client::{Chat, Error, Update};
use securechat_core::content::{Conversation, MessageId};
use securechat_core::event::{FileId, LinkId, RequestKind};
use securechat_core::identity::{Fingerprint, Identity, UserName};
use securechat_core::roster::GroupId;
use securechat_core::wire::Presence;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a command from a pipe may take, and how long the end waits for what is still on its way.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same where somebody sits and waits.
const PATIENCE_AT_A_TERMINAL: Duration = Duration::from_secs(4);
/// How often something that waits for the other side is looked at again.
const TICK: Duration = Duration::from_millis(100);

/// How the program ended: its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    NotConnected = 3,
    NotLoggedIn = 4,
    State = 5,
    WrongKey = 6,
}

/// What wakes the loop.
#[derive(Debug)]
pub(crate) enum Input {
    Typed(Typed),
    Update(Update),
}

/// What the command before has not finished.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Waiting {
    /// The first connection, and the login of a known device.
    Connection,
    /// An answer to this request.
    Answer(RequestKind),
    /// The pages of users.
    Users,
    /// The safety number with a user.
    SafetyNumber { user: UserName, compared: bool },
    /// A change to one's own devices.
    Devices,
    /// What was done to a group.
    Group(GroupId),
    /// The relay's word on its lobby.
    Lobby,
}

/// An offered file.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) file: FileId,
    /// From whom, and in which group.
    pub(crate) from: String,
    pub(crate) name: String,
    pub(crate) size: u64,
}

pub(crate) struct App {
    pub(crate) chat: Chat,
    pub(crate) me: UserName,
    pub(crate) screen: Screen,
    pub(crate) terminal: Terminal,
    pub(crate) names: Names,
    pub(crate) secrets: Secrets,
    pub(crate) downloads: PathBuf,
    /// Keys that the command line names: good for a first contact.
    pub(crate) trusted: Vec<Fingerprint>,
    /// Keys that were accepted by who saw them.
    pub(crate) accepted: Vec<Fingerprint>,
    /// Whether the relay is to know this device already.
    pub(crate) registered: bool,
    pub(crate) current: Option<Conversation>,
    /// What the groups are called.
    pub(crate) groups: Vec<Known>,
    /// The group that lines go to as soon as this user is in it.
    pub(crate) entering: Option<GroupId>,
    /// Whether to come into the lobby that the relay offers.
    pub(crate) wants_lobby: bool,
    /// Whether the relay has just said why it did not take a change to a group.
    pub(crate) group_refused: bool,
    pub(crate) users: BTreeMap<UserName, Presence>,
    pub(crate) links: BTreeMap<LinkId, Option<UserName>>,
    /// Links whose other side waits to be accepted.
    pub(crate) unverified: Vec<(LinkId, Fingerprint)>,
    pub(crate) proposals: Vec<Identity>,
    /// The changed keys that were shown, by the hash of their list: only what was seen is accepted.
    pub(crate) changed_keys: BTreeMap<UserName, [u8; 32]>,
    pub(crate) offers: Vec<Option<Offer>>,
    pub(crate) transfers: BTreeMap<FileId, Transfer>,
    pub(crate) unsent: BTreeSet<MessageId>,
    pub(crate) form: Option<Form>,
    /// A registration or login that waits for the relay's own password.
    pub(crate) redo: Option<Form>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) exit: Exit,
    since: Instant,
    asked: bool,
    leaving: bool,
}

impl App {
    #[expect(clippy::too_many_arguments, reason = "what was put together before the loop begins, each once")]
    pub(crate) fn new(
        chat: Chat,
        me: UserName,
        screen: Screen,
        terminal: Terminal,
        names: Names,
        secrets: Secrets,
        downloads: PathBuf,
        trusted: Vec<Fingerprint>,
        registered: bool,
        wants_lobby: bool,
    ) -> Self {
        Self {
            chat,
            me,
            screen,
            terminal,
            names,
            secrets,
            downloads,
            trusted,
            accepted: Vec::new(),
            registered,
            current: None,
            groups: Vec::new(),
            entering: None,
            wants_lobby,
            group_refused: false,
            users: BTreeMap::new(),
            links: BTreeMap::new(),
            unverified: Vec::new(),
            proposals: Vec::new(),
            changed_keys: BTreeMap::new(),
            offers: Vec::new(),
            transfers: BTreeMap::new(),
            unsent: BTreeSet::new(),
            form: None,
            redo: None,
            waiting: None,
            exit: Exit::Done,
            since: Instant::now(),
            asked: false,
            leaving: false,
        }
    }

    /// Runs to the end of the input, or until nothing more can be done.
    pub(crate) fn run(mut self, inputs: &Receiver<Input>) -> Exit {
        self.learn_groups();
        loop {
            self.ask();
            if self.leaving && self.is_done() {
                break;
            }
            match inputs.recv_timeout(if self.is_idle() { PATIENCE } else { TICK }) {
                Ok(Input::Typed(typed)) => self.handle_typed(typed),
                Ok(Input::Update(Update::Stopped(reason))) => {
                    self.stopped(reason);
                    return self.exit;
                }
                Ok(Input::Update(update)) => {
                    self.since = Instant::now();
                    self.show(update);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.tick();
        }
        self.chat.stop();
        self.exit
    }

    /// Whether somebody sits there.
    pub(crate) fn is_interactive(&self) -> bool {
        self.terminal.is_interactive()
    }

    /// Says what went wrong and remembers it for the exit status.
    pub(crate) fn fail(&mut self, exit: Exit, sentence: &str) {
        self.screen.say(Tone::Error, sentence);
        if self.exit == Exit::Done {
            self.exit = exit;
        }
    }

    /// The same, and in a script nothing after it makes sense.
    pub(crate) fn fail_for_good(&mut self, exit: Exit, sentence: &str) {
        self.fail(exit, sentence);
        self.waiting = None;
        if !self.is_interactive() {
            self.leave();
        }
    }

    /// What an error says, if `result` is one.
    pub(crate) fn check<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Error::Core(error)) => {
                self.fail(Exit::Failed, &sentence::error(error));
                None
            }
            Err(error) => {
                self.fail(Exit::Failed, &error.to_string());
                None
            }
        }
    }

    /// Begins to wait for the end of a command.
    pub(crate) fn wait_for(&mut self, waiting: Waiting) {
        self.since = Instant::now();
        self.waiting = Some(waiting);
    }

    /// Ends the waiting for something, if it is what is waited for.
    pub(crate) fn done_with(&mut self, waiting: &Waiting) {
        if self.waiting.as_ref() == Some(waiting) {
            self.waiting = None;
        }
    }

    /// Ends, as soon as everything is on its way.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
        self.form = None;
        self.since = Instant::now();
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_none() && !self.leaving
    }

    /// Whether nothing is on its way any more, or it takes too long.
    fn is_done(&mut self) -> bool {
        if self.waiting.is_none() && self.unsent.is_empty() && self.transfers.is_empty() {
            return true;
        }
        let hopeless = self.exit > Exit::Failed || self.since.elapsed() > self.patience();
        if hopeless && !self.unsent.is_empty() {
            let count = self.unsent.len();
            self.fail(Exit::Failed, &format!("{count} not sent yet: kept here, and sent when you come back"));
        }
        if hopeless && !self.transfers.is_empty() {
            let names: Vec<_> = self.transfers.values().map(|transfer| transfer.name.as_str()).collect();
            self.fail(Exit::Failed, &format!("not finished: {}", names.join(", ")));
        }
        hopeless
    }

    fn patience(&self) -> Duration {
        if self.is_interactive() { PATIENCE_AT_A_TERMINAL } else { PATIENCE }
    }

    /// Asks for the next line or secret, unless something has to end first.
    fn ask(&mut self) {
        if self.asked || self.leaving {
            return;
        }
        let ask = match self.form.as_ref().and_then(Form::prompt) {
            Some(prompt) => Ask::Secret { prompt },
            // The first connection comes first; after that only a script waits for its commands.
            None if self.waiting.is_some() && (!self.is_interactive() || self.waiting == Some(Waiting::Connection)) => {
                return;
            }
            None => {
                let to = self.current.as_ref().map(|to| self.prompt_of(to)).unwrap_or_default();
                Ask::Line { prompt: format!("{to}> ") }
            }
        };
        self.asked = true;
        self.terminal.ask(ask);
    }

    fn handle_typed(&mut self, typed: Typed) {
        self.asked = false;
        match typed {
            Typed::Line(line) => self.execute(&line),
            Typed::Secret(secret) => self.answer(secret),
            Typed::Interrupted if self.form.take().is_some() => self.screen.say(Tone::Note, "cancelled"),
            Typed::Interrupted => self.screen.say(Tone::Note, "/quit or Ctrl-D ends"),
            Typed::End => self.leave(),
            Typed::NobodyToAsk => {
                let missing = self.form.take().map_or("", |form| form.how_to_give());
                self.fail_for_good(Exit::Failed, missing);
            }
        }
    }

    /// What time itself does to a command that waits.
    fn tick(&mut self) {
        if let Some(Waiting::SafetyNumber { user, compared }) = self.waiting.clone() {
            self.try_safety_number(&user, compared);
        }
        if self.waiting == Some(Waiting::Lobby) {
            self.try_lobby();
        }
        if self.waiting.is_none() || self.leaving || self.since.elapsed() < self.patience() {
            return;
        }
        match self.waiting.take() {
            Some(Waiting::Connection) if self.is_interactive() => {}
            Some(Waiting::Connection) => self.fail_for_good(Exit::NotConnected, "nobody connected in time"),
            Some(Waiting::SafetyNumber { .. }) => {
                let reason = securechat_core::error::ApiMisuse::DeviceListOutOfDate.into();
                self.fail(Exit::Failed, &sentence::error(reason));
            }
            _ if self.is_interactive() => {}
            _ => self.fail(Exit::Failed, "the relay has not answered in time"),
        }
    }

    fn stopped(&mut self, reason: Option<Error>) {
        if let Some(reason) = reason {
            self.fail(Exit::State, &reason.to_string());
        }
    }

    fn answer(&mut self, secret: Zeroizing<String>) {
        let Some(mut form) = self.form.take() else { return };
        match form.answer(secret) {
            Ok(()) => self.continue_form(form),
            Err(sentence) => self.fail(Exit::Failed, sentence),
        }
    }
}
