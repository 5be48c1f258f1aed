//! One of the people: a client with a state on the disk, and what it was told.

use crate::fault::Fault;
use crate::relay::RSA_BITS;
use securechat_client::{Chat, Cost, Error, State, StateOptions, Update};
use securechat_core::event::{Event, MessageBody};
use securechat_core::identity::{RelayAddress, UserName};
use securechat_core::suite::{Policy, Suite};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long it may take until anything happens.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Person {
    pub(crate) name: UserName,
    pub(crate) chat: Chat,
    updates: Receiver<Update>,
    /// What was told and not asked for yet.
    unheard: VecDeque<Update>,
}

impl Person {
    /// Starts this person's client, for the first time or again, and connects it.
    pub(crate) fn start(folder: &Path, name: &str, suite: Suite, relay: &RelayAddress) -> Result<Self, Fault> {
        let name = UserName::new(name).map_err(securechat_core::error::Error::from).map_err(Error::from)?;
        let mut options = StateOptions::new(folder.join(name.as_str()), passphrase(&name));
        options.user = Some(name.clone());
        options.policy = Policy::new(vec![suite]).map_err(securechat_core::error::Error::from).map_err(Error::from)?;
        options.rsa_bits = RSA_BITS;
        options.cost = Cost { memory: 19 * 1024, passes: 2, lanes: 1 };
        let (sink, updates) = mpsc::channel();
        // The story is over when nobody listens any more.
        let chat = Chat::start(State::open(options)?, move |update| _ = sink.send(update))?;
        chat.connect(relay.clone())?;
        Ok(Self { name, chat, updates, unheard: VecDeque::new() })
    }

    /// Waits for something to happen; what else happens meanwhile is kept for later.
    pub(crate) fn wait<T>(
        &mut self,
        what: &'static str,
        mut is_it: impl FnMut(&Update) -> Option<T>,
    ) -> Result<T, Fault> {
        let kept = self.unheard.iter().enumerate().find_map(|(index, update)| Some((index, is_it(update)?)));
        if let Some((index, found)) = kept {
            self.unheard.remove(index);
            return Ok(found);
        }
        loop {
            let Ok(update) = self.updates.recv_timeout(PATIENCE) else {
                return Err(Fault::Vain { who: self.name.to_string(), what });
            };
            match (is_it(&update), update) {
                (Some(found), _) => return Ok(found),
                (None, Update::Unreached { error, .. } | Update::TransferFailed { error, .. }) => {
                    return Err(error.into());
                }
                (None, Update::Stopped(reason)) => return Err(reason.unwrap_or(Error::Stopped).into()),
                (None, Update::Event(Event::Refused { request, code, .. })) => {
                    return Err(Fault::Claim(format!(
                        "the relay does what {} asks ({request:?}: {code:?})",
                        self.name
                    )));
                }
                (None, Update::Event(Event::LinkClosed { error, .. })) => {
                    return Err(Fault::Claim(format!("the connection of {} lasts ({error:?})", self.name)));
                }
                (None, Update::Event(Event::Failed { error, .. } | Event::FileFailed { error, .. })) => {
                    return Err(Error::from(error).into());
                }
                (None, other) => self.unheard.push_back(other),
            }
        }
    }

    /// The same for what the engine reports.
    pub(crate) fn wait_event<T>(
        &mut self,
        what: &'static str,
        mut is_it: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, Fault> {
        self.wait(what, |update| match update {
            Update::Event(event) => is_it(event),
            _ => None,
        })
    }

    /// The next text of somebody, marked as read.
    pub(crate) fn read(&mut self, from: &UserName) -> Result<String, Fault> {
        let (id, text) = self.wait_event("a text", |event| match event {
            Event::Message(message) if message.from == *from => match &message.body {
                MessageBody::Text(text) => Some((message.id, text.clone())),
                _ => None,
            },
            _ => None,
        })?;
        let from = from.clone();
        self.chat.call(move |client, now| client.mark_read(&from, &[id], now))?;
        Ok(text)
    }

    /// Whether a text came from anybody and was not read yet.
    pub(crate) fn has_text(&mut self, text: &str) -> bool {
        self.unheard.extend(self.updates.try_iter());
        let is_it = |update: &Update| match update {
            Update::Event(Event::Message(message)) => matches!(&message.body, MessageBody::Text(it) if it == text),
            _ => false,
        };
        self.unheard.iter().any(is_it)
    }

    /// The safety number with somebody, as soon as both sides hold the same lists.
    pub(crate) fn safety_number(&self, with: &UserName) -> Result<Option<String>, Fault> {
        let with = with.clone();
        let number = self
            .chat
            .call(move |client, now| Ok(client.safety_number(&with, now).ok().map(|number| number.to_string())));
        Ok(number?)
    }
}

/// What protects a person's state; nobody types it here.
fn passphrase(name: &UserName) -> Zeroizing<String> {
    Zeroizing::new(format!("the passphrase of {name} for this tour"))
}
