//! What was said: shown, searched, written to archives and read again; and the passphrase, changed.

use crate::app::{App, Exit};
use crate::args::Task;
use crate::screen::{Out, Screen, Tone};
use crate::secrets::{Secret, Secrets};
use crate::show::now;
use crate::{ask, ask_twice, passphrase, sentence};
use securechat_client::{Conversation, Cost, Entry, Error, Imported, State, StateOptions};
use securechat_core::identity::UserName;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How many messages a search shows.
const FOUND_SHOWN: usize = 20;
/// What is said after a change.
pub(crate) const PASSPHRASE_CHANGED: &str = "the passphrase is changed";
/// What is said when the program ended just as something came.
pub(crate) const UNTOLD: &str = "this program was ended as something came that may not have been shown: see /history";

impl App {
    /// Shows the last messages of the conversation.
    pub(crate) fn history(&mut self, count: usize) {
        let Some(with) = self.current.clone() else {
            return self.fail(Exit::Failed, "of which conversation? begin with /pm NAME or /pm #GROUP");
        };
        let found = self.chat.with_state(move |state| state.history(&Conversation::from(&with), count));
        let Some(entries) = self.check(found) else { return };
        if entries.is_empty() {
            self.screen.say(Tone::Note, "nothing was said here yet");
        }
        entries.iter().for_each(|entry| self.show_entry(entry, false));
    }

    /// Shows the messages that have all the words in them.
    pub(crate) fn search(&mut self, words: String) {
        let found = self.chat.with_state(move |state| state.search(&words, FOUND_SHOWN));
        let Some(entries) = self.check(found) else { return };
        if entries.is_empty() {
            self.screen.say(Tone::Note, "nothing has these words in it");
        }
        entries.iter().for_each(|entry| self.show_entry(entry, true));
    }

    /// A message as it is shown later. What is known of it stands before what it says: that could look like anything.
    fn show_entry(&self, entry: &Entry, with_conversation: bool) {
        let mine = entry.from == self.me;
        let tone = if mine { Tone::Mine } else { Tone::Theirs };
        let who = if mine { "you" } else { entry.from.as_str() };
        let to = match &entry.conversation {
            Conversation::User(user) if mine && with_conversation => format!(" to {user}"),
            Conversation::Group(_) if with_conversation => {
                format!(" in {}", self.name_of(&(&entry.conversation).into()))
            }
            _ => String::new(),
        };
        let mark = if entry.before_removal { sentence::before_removal(entry.from.as_str()) } else { String::new() };
        let edited = if entry.edited.is_some() { " (edited)" } else { "" };
        let failed = if entry.failed { " (not sent)" } else { "" };
        let head = format!("{} {who}{to}{mark}{edited}{failed}: ", sentence::time(entry.time()));
        match (&entry.text, &entry.file) {
            _ if entry.deleted => self.screen.message(tone, &head, "(took a message back)"),
            (_, Some(file)) => {
                self.screen.message(tone, &head, &format!("(file) {}, {}", file.name, sentence::size(file.size)));
            }
            (text, None) => self.screen.message(tone, &head, text.as_deref().unwrap_or_default()),
        }
        for (user, reaction) in &entry.reactions {
            self.screen.message(tone, &format!("{user} reacts: "), reaction);
        }
    }

    /// Writes an archive.
    pub(crate) fn export(&mut self, path: PathBuf, passphrase: Option<Zeroizing<String>>) {
        let to = path.clone();
        let exported = self.chat.with_state(move |state| export(state, &to, passphrase.as_ref()));
        if let Some(count) = self.check(exported) {
            self.screen.say(Tone::Note, &exported_sentence(count, &path));
        }
    }

    /// Reads an archive.
    pub(crate) fn import(&mut self, path: PathBuf, passphrase: Zeroizing<String>) {
        let imported = self.chat.with_state(move |state| state.import(&path, &passphrase, now()));
        if let Some(imported) = self.check(imported) {
            self.screen.say(Tone::Note, &imported_sentence(imported));
        }
    }
}

/// Does what the command line asks for, without connecting to anybody.
pub(crate) fn perform(task: &Task, secrets: &Secrets, folder: PathBuf, user: Option<UserName>) -> Result<Exit, Error> {
    if !State::exists(&folder) {
        return Err(Error::NoState(folder));
    }
    let present = passphrase(secrets, false)?;
    let mut options = StateOptions::new(folder, present.clone());
    options.user = user;
    let mut state = State::open(options)?;
    let sentence = match task {
        Task::Passphrase => {
            let new = match secrets.find(Secret::NewPassphrase)? {
                Some(found) => found,
                None => ask_twice("new passphrase: ")?,
            };
            state.change_passphrase(&present, &new, Cost::default())?;
            PASSPHRASE_CHANGED.to_owned()
        }
        Task::Export { encrypted, file } => {
            let sealed = match (encrypted, secrets.find(Secret::ArchivePassphrase)?) {
                (false, _) => None,
                (true, Some(found)) => Some(found),
                (true, None) => Some(ask_twice("a passphrase for the archive: ")?),
            };
            exported_sentence(export(&mut state, file, sealed.as_ref())?, file)
        }
        Task::Import { file } => {
            let found = secrets.find(Secret::ArchivePassphrase)?.or_else(|| ask("passphrase of the archive: "));
            imported_sentence(state.import(file, &found.ok_or(Error::NoPassphrase)?, now())?)
        }
    };
    Screen::new(Out::Plain).say(Tone::Note, &sentence);
    Ok(Exit::Done)
}

fn export(state: &mut State, path: &Path, passphrase: Option<&Zeroizing<String>>) -> Result<usize, Error> {
    state.export(path, passphrase.map(|passphrase| (passphrase.as_str(), Cost::default())))
}

fn exported_sentence(count: usize, path: &Path) -> String {
    format!("{count} messages are in {}", path.display())
}

fn imported_sentence(Imported { new, known }: Imported) -> String {
    format!("{new} messages were new, {known} were here already")
}
