//! Links and the account: who is at the other end, and whether the relay lets us in.

use crate::app::{App, Exit, Waiting};
use crate::form::{Form, Purpose};
use crate::screen::Tone;
use crate::secrets::Secret;
use crate::sentence;
use securechat_core::error::Error as CoreError;
use securechat_core::event::{Event, LinkId, RequestKind};
use securechat_core::identity::{Fingerprint, UserName};
use securechat_core::wire::{CloseCode, Presence, RefusalCode};

impl App {
    /// Shows what happens to links and to the account; gives back what is about something else.
    pub(crate) fn show_connection(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Verify { link, user, fingerprint, expected, expired } => {
                self.unverified(link, user, fingerprint, expected, expired);
            }
            Event::LinkOpen { link, user, suite } => {
                let who = user.as_ref().map_or("the relay".to_owned(), |user| format!("{user}, directly"));
                self.screen.say(Tone::Note, &format!("connected to {who} (suite {suite})"));
                self.link_open(link, user);
            }
            // The same device on a newer connection, or shut out: coming back would only throw the other out, or be refused.
            Event::ClosedByPeer { code: Some(code @ (CloseCode::Replaced | CloseCode::Revoked)), .. } => {
                let stopped = self.chat.disconnect();
                self.check(stopped);
                self.fail_for_good(Exit::NotLoggedIn, sentence::close(code).unwrap_or_default());
            }
            Event::ClosedByPeer { code, .. } => {
                if let Some(sentence) = code.and_then(sentence::close) {
                    self.screen.say(Tone::Warning, sentence);
                }
            }
            Event::LinkClosed { link, error } => self.link_closed(link, error),
            Event::LoggedIn { listed } => self.logged_in(listed),
            Event::Done { request } => self.done(request),
            Event::Refused { request, code, retry_after } => self.refused(request, code, retry_after),
            other => return Some(other),
        }
        None
    }

    /// Somebody shows a key that is not known, is not the known one, or is past its end.
    fn unverified(
        &mut self,
        link: LinkId,
        user: Option<UserName>,
        shown: Fingerprint,
        expected: Option<Fingerprint>,
        expired: bool,
    ) {
        let changed = expected.filter(|expected| *expected != shown);
        // What was given beforehand is good for a first contact; a changed key is accepted by who saw the warning.
        if self.accepted.contains(&shown) || (changed.is_none() && self.trusted.contains(&shown)) {
            let accepted = self.chat.call(move |client, now| client.accept_link(link, &shown, now));
            self.check(accepted);
            return;
        }
        // Somebody who connected here ends nothing but their own connection.
        let needed = user.is_none() || self.waiting == Some(Waiting::Connection);
        let who = user.map_or("the relay".to_owned(), |user| format!("{user} (so it says)"));
        let sentence = match changed {
            Some(expected) => format!("the key of {who} HAS CHANGED: expected {expected}, shown {shown}"),
            None if expired => format!("the key of {who} has expired, its owner has not been here for long: {shown}"),
            None => format!("{who} shows the fingerprint {shown}"),
        };
        if self.is_interactive() {
            let advice = match changed {
                Some(_) => "somebody may stand in between: ask its owner before you type /trust FINGERPRINT".to_owned(),
                None => format!("compare it with what its owner says; if it is the same: /trust {shown}"),
            };
            self.screen.say(Tone::Warning, &sentence);
            self.screen.say(Tone::Warning, &advice);
            self.unverified.push((link, shown));
            return self.done_with(&Waiting::Connection);
        }
        let refused = self.chat.call(move |client, now| {
            client.refuse_link(link, now);
            Ok(())
        });
        self.check(refused);
        let advice = match changed {
            Some(_) => "refused; if its owner says that this is right, put #FINGERPRINT behind its address",
            None => {
                "refused; if its owner says that this is right: --trust FINGERPRINT, or #FINGERPRINT behind its address"
            }
        };
        match needed {
            true => self.fail_for_good(Exit::WrongKey, &format!("{sentence}; {advice}")),
            false => self.screen.say(Tone::Warning, &format!("{sentence}; {advice}")),
        }
    }

    fn link_open(&mut self, link: LinkId, user: Option<UserName>) {
        let is_relay = user.is_none();
        if let Some(user) = &user {
            self.names.add(user.as_str());
            self.current.get_or_insert_with(|| user.into());
        }
        self.links.insert(link, user);
        // A device that the relay knows logs in by its key, and needs no other password.
        if is_relay && self.registered {
            return;
        }
        self.done_with(&Waiting::Connection);
        if !is_relay {
            return;
        }
        if self.is_interactive() {
            self.screen.say(Tone::Note, "no account yet: /register makes one, /login enters one that exists");
        }
        if matches!(self.secrets.find(Secret::ServerPassword), Ok(Some(_))) {
            self.continue_form(Form::new(Purpose::Enter));
        }
    }

    fn link_closed(&mut self, link: LinkId, error: Option<CoreError>) {
        self.unverified.retain(|(other, _)| *other != link);
        let who = match self.links.remove(&link) {
            Some(Some(user)) => user.to_string(),
            Some(None) => "the relay".to_owned(),
            None => "the other side".to_owned(),
        };
        let sentence = format!("{who} {}", sentence::closed(error));
        match error {
            _ if self.waiting == Some(Waiting::Connection) => self.fail_for_good(Exit::NotConnected, &sentence),
            None => self.screen.say(Tone::Note, &sentence),
            Some(_) => self.screen.say(Tone::Warning, &sentence),
        }
    }

    fn logged_in(&mut self, listed: bool) {
        self.redo = None;
        self.waiting = None;
        self.registered = listed;
        if listed {
            self.screen.say(Tone::Note, &format!("logged in as {}", self.me));
            let shown = self.chat.call(|client, now| client.set_presence(Presence::Online, now));
            self.check(shown);
            return;
        }
        self.screen
            .say(Tone::Warning, "this device is new: let another device of yours approve it, or nobody writes to it");
        let own = self.chat.call(|client, _| Ok(client.fingerprint()));
        if let Some(own) = self.check(own) {
            self.screen.say(Tone::Warning, &format!("its fingerprint: {own}"));
        }
    }

    fn done(&mut self, request: RequestKind) {
        self.done_with(&Waiting::Answer(request));
        match request {
            // What was refused for want of the relay's password is tried again; a known device logs in by itself.
            RequestKind::Enter => match self.redo.take() {
                Some(form) => self.submit(form),
                None if self.registered => self.wait_for(Waiting::Connection),
                None => {}
            },
            RequestKind::ChangePassword => self.screen.say(Tone::Note, "your password is changed"),
            RequestKind::ConfirmCode => self.screen.say(Tone::Note, "from now on a login needs a one-time code"),
            _ => {}
        }
    }

    fn refused(&mut self, request: RequestKind, code: RefusalCode, retry_after: u32) {
        let logging_in = matches!(request, RequestKind::Register | RequestKind::LogIn | RequestKind::LogInByKey);
        if logging_in && code == RefusalCode::ServerPassword {
            if self.is_interactive() && self.waiting != Some(Waiting::Connection) {
                self.screen.say(Tone::Note, "the relay wants its own password: press Enter to give it");
            }
            return self.continue_form(Form::new(Purpose::Enter));
        }
        let sentence = sentence::refusal(request, code, retry_after);
        if logging_in || request == RequestKind::Enter {
            self.redo = None;
            self.registered &= request != RequestKind::LogInByKey;
            self.fail_for_good(Exit::NotLoggedIn, &sentence);
        } else {
            self.waiting = None;
            self.group_refused = request == RequestKind::Group;
            self.fail(Exit::Failed, &sentence);
        }
    }
}
