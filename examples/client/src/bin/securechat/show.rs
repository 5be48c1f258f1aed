//! What each thing that happens looks like.

use crate::app::{App, Exit, Offer, Waiting};
use crate::progress::Transfer;
use crate::screen::Tone;
use crate::sentence;
use securechat_client::Update;
use securechat_core::content::Conversation;
use securechat_core::event::{Event, Message, MessageBody, RequestKind};
use securechat_core::identity::{Trust, UserName};
use securechat_core::wire::Presence;
use std::time::{SystemTime, UNIX_EPOCH};

/// Users of one presence that `/users` names.
const USERS_SHOWN: usize = 60;

impl App {
    /// Shows an update, and does what follows from it.
    pub(crate) fn show(&mut self, update: Update) {
        match update {
            Update::Event(event) => {
                let rest = self.show_connection(event).and_then(|event| self.show_file(event));
                let rest = rest.and_then(|event| self.show_group(event));
                rest.into_iter().for_each(|event| self.show_event(event));
            }
            Update::Unreached { error, retry, .. } if self.is_interactive() => {
                self.screen.say(Tone::Error, &format!("{error}; trying again in {} s", retry.as_secs()));
                self.done_with(&Waiting::Connection);
            }
            Update::Unreached { error, .. } => self.fail_for_good(Exit::NotConnected, &error.to_string()),
            Update::Saved { file, path } => {
                let with =
                    self.transfers.remove(&file).map_or(String::new(), |transfer| format!(" from {}", transfer.with));
                self.screen.say(Tone::Note, &format!("saved{with}: {}", path.display()));
            }
            Update::TransferFailed { file, error } => {
                let name = self.transfers.remove(&file).map(|transfer| transfer.name).unwrap_or_default();
                self.fail(Exit::Failed, &format!("{name}: {error}"));
            }
            Update::DiskFull { file, error } => {
                let name =
                    file.and_then(|file| self.transfers.get(&file)).map(|transfer| format!("{}: ", transfer.name));
                let sentence = format!("{}{error}; it goes on by itself then", name.unwrap_or_default());
                self.screen.say(Tone::Error, &sentence);
            }
            _ => {}
        }
    }

    fn show_event(&mut self, event: Event) {
        match event {
            Event::CodeSecret { secret } => {
                self.screen
                    .say(Tone::Note, &format!("put this into your authenticator: {}", base32(secret.as_bytes())));
                self.screen.say(Tone::Note, "then confirm with the code it shows: /code CODE");
                self.done_with(&Waiting::Answer(RequestKind::SetUpCode));
            }
            Event::Users { users, last } => {
                self.users.extend(users);
                if last {
                    self.show_users();
                }
            }
            Event::Presence { user, presence } => {
                self.names.add(user.as_str());
                let before = self.users.insert(user.clone(), presence);
                if user != self.me && before != Some(presence) {
                    self.screen.say(Tone::Note, &format!("{user} is {}", word(presence)));
                }
            }
            Event::UserFound { user, .. } => self.names.add(user.as_str()),
            Event::UserUnknown { user } => {
                self.waiting = None;
                self.fail(Exit::Failed, &format!("there is no user {user} here"));
            }
            Event::ListsRefused { user, .. } => {
                self.waiting = None;
                let sentence =
                    format!("the relay shows keys of {user} that cannot be right: nothing is sent to {user}");
                self.fail(Exit::WrongKey, &sentence);
            }
            Event::DevicesChanged { user, added, removed } => self.devices_changed(&user, added.len(), removed.len()),
            Event::KeysChanged { user } => {
                let sentence = format!("the keys of {user} HAVE CHANGED: this may be a new device, or somebody else");
                self.fail(Exit::WrongKey, &sentence);
                self.show_changed_keys(&user);
                let advice =
                    format!("nothing is sent to {user} until you have asked them, and then typed /trust {user}");
                self.screen.say(Tone::Warning, &advice);
            }
            Event::SuiteDropped { user, suite, .. } => {
                let sentence =
                    format!("a device of {user} no longer accepts suite 0x{suite:04x}, which it had offered before");
                self.screen.say(Tone::Warning, &sentence);
            }
            Event::BundleExpired { user, .. } => {
                self.screen.say(Tone::Warning, &format!("{user} has not renewed the keys of a device for long"));
            }
            Event::DeviceProposed { device } => {
                self.proposals.push(device);
                self.screen
                    .say(Tone::Warning, "a new device wants to join your account; if it is yours and shows the same:");
                self.screen.say(Tone::Warning, &format!("/approve {}", device.fingerprint()));
            }
            Event::DeviceRevoked => {
                self.fail_for_good(Exit::NotLoggedIn, "this device was shut out by another one of yours");
            }
            Event::Message(message) => self.show_message(None, message),
            Event::SentCopy { to, message } => self.show_message(Some(to), message),
            Event::Sent { id } => _ = self.unsent.remove(&id),
            Event::Failed { id, error } => {
                self.unsent.remove(&id);
                self.fail(Exit::Failed, &format!("not sent: {}", sentence::error(error)));
            }
            Event::Unopened { claimed } => {
                let sentence = format!(
                    "a message did not open; the relay says it is from {claimed}, who was asked to send it again"
                );
                self.screen.say(Tone::Warning, &sentence);
            }
            Event::Fork { user } => {
                let who = user.map_or("somebody".to_owned(), |user| user.to_string());
                let sentence =
                    format!("two messages claim one place in a session with {who}: a copied device, or a forgery");
                self.screen.say(Tone::Warning, &sentence);
            }
            Event::Restored => {
                self.screen
                    .say(Tone::Warning, "this state is an older copy: keys are made anew, messages may be missing");
            }
            Event::DeviceUnreachable { user, error, .. } => {
                let sentence = format!("a device of {user} cannot be written to ({error}): messages to it wait");
                self.screen.say(Tone::Warning, &sentence);
            }
            _ => {}
        }
    }

    /// Shows what happens to files; gives back what is about something else.
    fn show_file(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::FileOffered { from, file, name, size, group, .. } => {
                let number = self.offers.len() + 1;
                self.names.add(from.as_str());
                let mark = group.filter(|group| group.before_removal);
                let mark = mark.map(|_| sentence::before_removal(from.as_str())).unwrap_or_default();
                let place = group.map(|group| format!(" in {}", self.name_of(&group.group.into()))).unwrap_or_default();
                let from = format!("{from}{place}");
                let size_shown = sentence::size(size);
                let sentence = format!("{from}{mark} offers {name} ({size_shown}): /accept {number} takes it");
                self.offers.push(Some(Offer { file, from, name, size }));
                self.screen.say(Tone::Note, &sentence);
            }
            Event::FileProgress { file, done, total } => {
                self.transfers.get_mut(&file)?.show(done, total, &self.screen);
            }
            Event::FileResumed { file, with, name, size, done, outgoing } => {
                let way = if outgoing { "to" } else { "from" };
                let sentence = format!(
                    "{name} {way} {} goes on: {} of {} are there",
                    self.name_of(&with),
                    sentence::size(done),
                    sentence::size(size)
                );
                self.screen.say(Tone::Note, &sentence);
                let with = self.name_of(&with);
                self.transfers.insert(file, Transfer::new(name, with, done));
            }
            Event::FileSent { file } => {
                if let Some(transfer) = self.transfers.remove(&file) {
                    self.screen.say(Tone::Note, &format!("{} is sent to {}", transfer.name, transfer.with));
                }
            }
            Event::FileFailed { file, error } => {
                let name = self.transfers.remove(&file).map(|transfer| transfer.name).unwrap_or_default();
                self.fail(Exit::Failed, &format!("{name}: {}", sentence::error(error)));
            }
            other => return Some(other),
        }
        None
    }

    fn show_users(&mut self) {
        self.done_with(&Waiting::Users);
        self.users.keys().for_each(|user| self.names.add(user.as_str()));
        for presence in [Presence::Online, Presence::Away, Presence::Offline] {
            let of = self.users.iter().filter(|(_, other)| **other == presence);
            let names: Vec<&str> = of.map(|(user, _)| user.as_str()).collect();
            let shown = names.iter().take(USERS_SHOWN).copied().collect::<Vec<_>>().join(", ");
            let more = match names.len().saturating_sub(USERS_SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            if !names.is_empty() {
                self.screen.say(Tone::Note, &format!("{}: {shown}{more}", word(presence)));
            }
        }
    }

    fn devices_changed(&mut self, user: &UserName, added: usize, removed: usize) {
        self.done_with(&Waiting::Devices);
        let mut changes = Vec::new();
        for (count, what) in [(added, "added"), (removed, "removed")] {
            match count {
                0 => {}
                1 => changes.push(format!("{what} a device")),
                count => changes.push(format!("{what} {count} devices")),
            }
        }
        let who = if *user == self.me { "you" } else { user.as_str() };
        self.screen.say(Tone::Note, &format!("{who} {}", changes.join(" and ")));
        let found = self.chat.call(|client, _| Ok(client.devices().to_vec()));
        if let Some(devices) = self.check(found) {
            self.proposals.retain(|device| !devices.contains(device));
        }
    }

    fn show_message(&mut self, copied_to: Option<Conversation>, message: Message) {
        let Message { id, from, trust, sent_at, body, group, .. } = message;
        self.names.add(from.as_str());
        let tone = if copied_to.is_some() { Tone::Mine } else { Tone::Theirs };
        let who = match (&copied_to, trust) {
            (Some(to), _) => format!("you to {}", self.name_of(to)),
            (None, Trust::Verified) => format!("{from} ✓"),
            (None, Trust::Violation) => format!("{from} (KEYS CHANGED)"),
            (None, _) => from.to_string(),
        };
        let place = group.filter(|_| copied_to.is_none());
        let place = place.map_or(String::new(), |group| format!(" in {}", self.name_of(&group.group.into())));
        let mark = group.filter(|group| group.before_removal);
        let mark = mark.map(|_| sentence::before_removal(from.as_str())).unwrap_or_default();
        let who = format!("{who}{place}{mark}");
        let age = sentence::age(sent_at, now()).map_or(String::new(), |age| format!(" ({age})"));
        let head = format!("{who}{age}: ");
        match body {
            MessageBody::Text(text) => self.screen.message(tone, &head, &text),
            MessageBody::Edit { text, .. } => self.screen.message(tone, &format!("{who}{age}, corrected: "), &text),
            MessageBody::Delete { .. } => self.screen.message(tone, &head, "(took a message back)"),
            MessageBody::Reaction { removed: true, .. } => {}
            MessageBody::Reaction { reaction, .. } => self.screen.message(tone, &format!("{who} reacts: "), &reaction),
            MessageBody::Profile { name } => self.screen.message(tone, &format!("{who} is called "), &name),
            MessageBody::File { name, size } => {
                self.screen.message(tone, &head, &format!("(file) {name}, {}", sentence::size(size)));
            }
            _ => self.screen.message(tone, &head, "(something that this version cannot show)"),
        }
        // Nobody in a group is told who has read what.
        if copied_to.is_none() && group.is_none() {
            let read = self.chat.call(move |client, now| client.mark_read(&from, &[id], now));
            // A receipt that cannot be sent is no loss.
            _ = read;
        }
    }
}

fn word(presence: Presence) -> &'static str {
    match presence {
        Presence::Online => "online",
        Presence::Away => "away",
        Presence::Offline => "offline",
    }
}

/// Unix milliseconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 4648 base32 without padding: how authenticators take a secret.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let bits: Vec<u8> = bits.collect();
    let letter = |group: &[u8]| {
        let value =
            group.iter().chain([0; 5].iter()).take(5).fold(0_usize, |value, bit| value << 1 | usize::from(*bit));
        // Five bits are below 32.
        char::from(ALPHABET.get(value).copied().unwrap_or(b'A'))
    };
    bits.chunks(5).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn base32_is_that_of_authenticators() {
        let cases =
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")];
        for (plain, coded) in cases {
            assert_eq!(base32(plain.as_bytes()), coded);
        }
    }
}
