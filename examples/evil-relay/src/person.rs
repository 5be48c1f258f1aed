//! A user: the client of the line program, unchanged, with a state on the disk, and what it was told.

use crate::fault::{Fault, claim};
use crate::stage::{PASSWORD, Said};
use securechat_client::{Chat, Cost, Error, State, StateOptions, Update};
use securechat_core::client::Client;
use securechat_core::content::MessageId;
use securechat_core::error::{ApiMisuse, Error as CoreError};
use securechat_core::event::{Event, FileId, Message, MessageBody};
use securechat_core::identity::{Identity, RelayAddress, Trust, UserName};
use securechat_core::roster::GroupId;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long anything may take, on a machine that is busy with other things too.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Person {
    pub(crate) name: UserName,
    folder: PathBuf,
    chat: Option<Chat>,
    updates: Receiver<Update>,
    /// What happened, oldest first, since it was last forgotten.
    told: Vec<Update>,
    said: Said,
}

/// A text as its reader sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) from: String,
    pub(crate) text: String,
    pub(crate) sent_at: u64,
    pub(crate) trust: Trust,
    /// Whether it is marked: its sender did not know of a removal.
    pub(crate) before_removal: bool,
    pub(crate) group: Option<GroupId>,
}

impl Person {
    pub(crate) fn start(folder: PathBuf, user: &str, said: Said) -> Result<Self, Fault> {
        let name = UserName::new(user)?;
        let (chat, updates) = open(&folder, &name)?;
        Ok(Self { name, folder, chat: Some(chat), updates, told: Vec::new(), said })
    }

    fn chat(&self) -> Result<&Chat, Fault> {
        self.chat.as_ref().ok_or(Fault::Client(Error::Stopped))
    }

    /// Does something with the engine.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Client, u64) -> Result<T, CoreError> + Send + 'static,
    ) -> Result<T, Fault> {
        Ok(self.chat()?.call(command)?)
    }

    /// What the engine says no with.
    pub(crate) fn refused<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Client, u64) -> Result<T, CoreError> + Send + 'static,
    ) -> Result<CoreError, Fault> {
        match self.chat()?.call(command) {
            Ok(_) => Err(Fault::Claim(format!("{} may not do this", self.name))),
            Err(error) => error.core().ok_or(Fault::Client(error)),
        }
    }

    /// Dials a relay, and waits for nothing.
    pub(crate) fn begin_to_connect(&self, relay: &RelayAddress) -> Result<(), Fault> {
        Ok(self.chat()?.connect(relay.clone())?)
    }

    /// Reaches a relay.
    pub(crate) fn connect(&mut self, relay: &RelayAddress) -> Result<(), Fault> {
        self.begin_to_connect(relay)?;
        self.event("a connection", |event| matches!(event, Event::LinkOpen { .. }))
    }

    pub(crate) fn register(&mut self) -> Result<(), Fault> {
        self.call(|client, now| client.register(PASSWORD, now))?;
        self.listed()
    }

    /// Logs in with the password, as a new device does.
    pub(crate) fn log_in(&mut self, listed: bool) -> Result<(), Fault> {
        self.call(|client, now| client.log_in(PASSWORD, None, now))?;
        self.event("a login", move |event| *event == Event::LoggedIn { listed })
    }

    /// Waits until this device is one of its user's.
    pub(crate) fn listed(&mut self) -> Result<(), Fault> {
        self.event("a login", |event| matches!(event, Event::LoggedIn { listed: true }))
    }

    pub(crate) fn identity(&self) -> Result<Identity, Fault> {
        self.call(|client, _| Ok(client.identity()))
    }

    /// Lets another device of this user in.
    pub(crate) fn approve(&mut self, device: Identity) -> Result<(), Fault> {
        self.event("the new device", move |event| *event == Event::DeviceProposed { device })?;
        self.call(move |client, now| client.approve_device(&device, now))
    }

    /// Ends the program and starts it again with the state that it left, connected to the relay it knows.
    pub(crate) fn restart(&mut self) -> Result<(), Fault> {
        self.stop();
        self.resume()
    }

    /// Ends the program.
    pub(crate) fn stop(&mut self) {
        self.hear();
        if let Some(chat) = self.chat.take() {
            chat.stop();
        }
    }

    /// Starts the program again.
    pub(crate) fn resume(&mut self) -> Result<(), Fault> {
        let (chat, updates) = open(&self.folder, &self.name)?;
        let relay = chat.with_state(|state| state.relay())?.ok_or(ApiMisuse::NotConnected)?;
        (self.chat, self.updates) = (Some(chat), updates);
        self.told.clear();
        self.chat()?.connect(relay)?;
        self.listed()
    }

    /// Copies the state elsewhere, as a thief or a backup does. The program must not run.
    pub(crate) fn copy_to(&self, place: &Path) -> Result<(), Fault> {
        std::fs::create_dir_all(place)?;
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            std::fs::copy(entry.path(), place.join(entry.file_name()))?;
        }
        // With the note beside it that says how new it is, so that it counts as the state and not as a copy.
        std::fs::copy(self.folder.with_extension("generation"), place.with_extension("generation"))?;
        Ok(())
    }

    /// Goes on from a copy of the state.
    pub(crate) fn resume_from(&mut self, place: &Path) -> Result<(), Fault> {
        self.folder = place.to_owned();
        self.resume()
    }

    /// Forgets the note beside the state: what is there counts as a restored backup.
    pub(crate) fn lose_note(&self) -> Result<(), Fault> {
        Ok(std::fs::remove_file(self.folder.with_extension("generation"))?)
    }

    /// Writes to a user.
    pub(crate) fn say(&self, to: &Person, text: &str) -> Result<MessageId, Fault> {
        self.note(text);
        Ok(self.chat()?.send_text(to.name.clone(), text)?)
    }

    /// Writes to a group.
    pub(crate) fn say_in(&self, group: GroupId, text: &str) -> Result<MessageId, Fault> {
        self.note(text);
        Ok(self.chat()?.send_text(group, text)?)
    }

    fn note(&self, text: &str) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push(text.as_bytes().to_vec());
    }

    pub(crate) fn send_file(&self, to: &Person, path: PathBuf) -> Result<FileId, Fault> {
        Ok(self.chat()?.send_file(to.name.clone(), path)?)
    }

    /// Takes the next file that is offered into a folder.
    pub(crate) fn take_file(&mut self, folder: PathBuf) -> Result<FileId, Fault> {
        let (file, name, size) = self.wait("an offer", |update| match update {
            Update::Event(Event::FileOffered { file, name, size, .. }) => Some((*file, name.clone(), *size)),
            _ => None,
        })?;
        self.chat()?.accept_file(file, name, size, folder)?;
        Ok(file)
    }

    pub(crate) fn create_group(&mut self, members: &[&Person]) -> Result<GroupId, Fault> {
        let group = self.call(|client, now| client.create_group("friends", false, now))?;
        let names: Vec<UserName> = members.iter().map(|person| person.name.clone()).collect();
        self.call(move |client, now| client.add_to_group(&group, &names, now))?;
        Ok(group)
    }

    /// Waits until this user is in a group.
    pub(crate) fn joined(&mut self, group: GroupId) -> Result<(), Fault> {
        self.event("the group", move |event| *event == Event::GroupJoined { group })
    }

    pub(crate) fn remove(&self, group: GroupId, who: &Person) -> Result<(), Fault> {
        let name = who.name.clone();
        self.call(move |client, now| client.remove_from_group(&group, &[name], now))
    }

    /// The names of a group's members, as this client knows them.
    pub(crate) fn members(&self, group: GroupId) -> Result<Vec<String>, Fault> {
        self.call(move |client, _| {
            let info = client.group(&group);
            let members = info.map(|info| info.members).unwrap_or_default();
            Ok(members.into_iter().map(|(name, _)| name.to_string()).collect())
        })
    }

    /// How far a user's keys are trusted here.
    pub(crate) fn trust(&self, user: &UserName) -> Result<Option<Trust>, Fault> {
        let user = user.clone();
        self.call(move |client, _| Ok(client.contact(&user).map(|contact| contact.trust)))
    }

    /// Looks a user's keys up at the relay.
    pub(crate) fn look_up(&self, user: &UserName) -> Result<(), Fault> {
        let user = user.clone();
        self.call(move |client, now| client.look_up(&user, now))
    }

    /// The safety number with a user, as soon as both hold the same lists.
    pub(crate) fn safety_number(&mut self, user: &UserName) -> Result<String, Fault> {
        let with = user.clone();
        let ask = move |client: &mut Client, now| Ok(client.safety_number(&with, now).ok());
        if let Some(number) = self.call(ask.clone())? {
            return Ok(number.to_string());
        }
        let with = user.clone();
        self.event("lists that agree", move |event| *event == Event::ListsAgree { user: with.clone() })?;
        let number = self.call(ask)?;
        Ok(number.ok_or(Fault::Core(ApiMisuse::DeviceListOutOfDate.into()))?.to_string())
    }

    fn hear(&mut self) {
        self.told.extend(self.updates.try_iter());
    }

    /// Waits for something that happened since this person last forgot, or happens now.
    pub(crate) fn wait<T>(&mut self, what: &str, is_it: impl Fn(&Update) -> Option<T>) -> Result<T, Fault> {
        let (until, mut looked) = (Instant::now() + PATIENCE, 0);
        loop {
            self.hear();
            if let Some(found) = self.told.iter().skip(looked).find_map(&is_it) {
                return Ok(found);
            }
            looked = self.told.len();
            match self.updates.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(update) => self.told.push(update),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let (who, what, told) = (self.name.to_string(), what.to_owned(), format!("{:?}", self.told));
                    return Err(Fault::Vain { who, what, told });
                }
            }
        }
    }

    /// The same for what the engine reports.
    pub(crate) fn event(&mut self, what: &str, is_it: impl Fn(&Event) -> bool) -> Result<(), Fault> {
        self.wait(what, |update| match update {
            Update::Event(event) if is_it(event) => Some(()),
            _ => None,
        })
    }

    /// Whether something happened since this person last forgot.
    pub(crate) fn saw(&mut self, is_it: impl Fn(&Event) -> bool) -> bool {
        self.hear();
        self.told.iter().any(|update| matches!(update, Update::Event(event) if is_it(event)))
    }

    /// The same for anything that the program was told.
    pub(crate) fn was_told(&mut self, is_it: impl Fn(&Update) -> bool) -> bool {
        self.hear();
        self.told.iter().any(is_it)
    }

    /// Forgets what happened so far.
    pub(crate) fn forget(&mut self) {
        self.hear();
        self.told.clear();
    }

    /// The texts that came since this person last forgot.
    pub(crate) fn texts(&mut self) -> Vec<Read> {
        self.hear();
        self.told.iter().filter_map(read).collect()
    }

    /// Waits for a text with these words.
    pub(crate) fn reads(&mut self, text: &str) -> Result<Read, Fault> {
        self.wait(&format!("'{text}'"), |update| read(update).filter(|read| read.text == text))
    }

    /// Fails unless these texts came, each once, in this order, and no other.
    pub(crate) fn has_read(&mut self, texts: &[&str]) -> Result<(), Fault> {
        let read: Vec<String> = self.texts().into_iter().map(|read| read.text).collect();
        claim(read == texts, &format!("{} reads {texts:?} and not {read:?}", self.name))
    }

    /// Waits until the relay took a message.
    pub(crate) fn sent(&mut self, id: MessageId) -> Result<(), Fault> {
        self.event("a message sent", move |event| *event == Event::Sent { id })
    }

    /// Waits until a message is with its reader.
    pub(crate) fn delivered(&mut self, id: MessageId) -> Result<(), Fault> {
        self.event("a receipt", is_delivered(id))
    }

    /// Fails when a message counts as received.
    pub(crate) fn not_delivered(&mut self, id: MessageId) -> Result<(), Fault> {
        let delivered = self.saw(is_delivered(id));
        claim(!delivered, &format!("{} has no receipt of what did not arrive", self.name))
    }
}

fn is_delivered(id: MessageId) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Delivered { ids, .. } if ids.contains(&id))
}

fn read(update: &Update) -> Option<Read> {
    let Update::Event(Event::Message(Message { from, sent_at, trust, group, body: MessageBody::Text(text), .. })) =
        update
    else {
        return None;
    };
    Some(Read {
        from: from.to_string(),
        text: text.clone(),
        sent_at: *sent_at,
        trust: *trust,
        before_removal: group.is_some_and(|within| within.before_removal),
        group: group.map(|within| within.group),
    })
}

fn open(folder: &Path, name: &UserName) -> Result<(Chat, Receiver<Update>), Fault> {
    let mut options = StateOptions::new(folder, Zeroizing::new(format!("the passphrase of {name}")));
    (options.user, options.cost) = (Some(name.clone()), Cost::LEAST);
    let (sink, updates) = mpsc::channel();
    // The attack is over when nobody listens any more.
    let chat = Chat::start(State::open(options)?, move |update| _ = sink.send(update))?;
    Ok((chat, updates))
}
