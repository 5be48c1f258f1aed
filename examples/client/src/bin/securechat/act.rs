//! What each command does.

use crate::app::{App, Exit, Offer, Waiting};
use crate::command::{COMMANDS, Command, To};
use crate::form::{Form, Purpose};
use crate::progress::Transfer;
use crate::screen::Tone;
use crate::{past, sentence};
use securechat_client::{Cost, Error};
use securechat_core::client::TransferState;
use securechat_core::content::Conversation;
use securechat_core::error::{ApiMisuse, Error as CoreError};
use securechat_core::event::RequestKind;
use securechat_core::identity::{Fingerprint, Identity, Trust, UserName};
use securechat_core::wire::Presence;
use std::path::{Path, PathBuf};

impl App {
    /// Does what a line says.
    pub(crate) fn execute(&mut self, line: &str) {
        match Command::parse(line) {
            Ok(Some(command)) => self.act(command),
            Ok(None) => {}
            Err(sentence) => self.fail(Exit::Failed, &sentence),
        }
    }

    fn act(&mut self, command: Command) {
        match command {
            Command::Say(text) => match self.current.clone() {
                Some(to) => self.send(&to, &text),
                None => self.fail(Exit::Failed, "to whom? begin with /pm NAME or /pm #GROUP"),
            },
            Command::Message { to, text } => self.write_to(to, text),
            Command::New { name, open } => self.new_group(name, open),
            Command::Join(group) => self.join(group),
            Command::Invite(users) => self.invite(users),
            Command::Remove(users) => self.remove(users),
            Command::Leave => self.leave_group(),
            Command::Groups => self.show_groups(),
            Command::Members => self.show_members(),
            Command::Admin { user, admin } => self.set_admin(user, admin),
            Command::Rename(name) => self.rename(name),
            Command::Fork { other } => self.resolve_fork(other),
            Command::Register => self.continue_form(Form::new(Purpose::Register)),
            Command::LogIn { code } => self.continue_form(Form::new(Purpose::LogIn { code })),
            Command::ChangePassword => self.continue_form(Form::new(Purpose::ChangePassword)),
            Command::ChangePassphrase => self.continue_form(Form::new(Purpose::ChangePassphrase)),
            Command::Code { first: None } => self.continue_form(Form::new(Purpose::SetUpCode)),
            Command::Code { first: Some(code) } => {
                let asked = self.chat.call(move |client, now| client.confirm_code(code, now));
                self.await_answer(asked, RequestKind::ConfirmCode);
            }
            Command::Users => {
                self.users.clear();
                let asked = self.chat.call(|client, now| client.request_users(now));
                if self.check(asked).is_some() {
                    self.wait_for(Waiting::Users);
                }
            }
            Command::File { to, path } => self.send_file(to, &path),
            Command::Accept { number, folder } => self.accept(number, folder),
            Command::History { count } => self.history(count),
            Command::Search(words) => self.search(words),
            Command::Export { path, encrypted: true } => self.continue_form(Form::new(Purpose::Export(path))),
            Command::Export { path, encrypted: false } => self.export(path, None),
            Command::Import(path) => self.continue_form(Form::new(Purpose::Import(path))),
            Command::Transfers => self.show_transfers(),
            Command::Cancel { number } => self.cancel(number),
            Command::Verify { user, compared } => self.verify(user, compared),
            Command::TrustUser(user) => self.trust_user(user),
            Command::TrustKey(fingerprint) => self.trust_key(fingerprint),
            Command::Devices => self.devices(),
            Command::Approve(fingerprint) => self.approve(&fingerprint),
            Command::Revoke(fingerprint) => self.revoke(&fingerprint),
            Command::StartOver => {
                let asked = self.chat.call(|client, now| client.start_over(now));
                if self.check(asked).is_some() {
                    self.wait_for(Waiting::Devices);
                }
            }
            Command::Appear(presence) => self.appear(presence),
            Command::Help => {
                for entry in COMMANDS {
                    let usage = format!("{} {}", entry.name, entry.words);
                    self.screen.say(Tone::Note, &format!("{usage:<28} {}", entry.about));
                }
            }
            Command::Quit => self.leave(),
        }
    }

    fn write_to(&mut self, to: To, text: Option<String>) {
        let Some(to) = self.conversation(to) else { return };
        self.names.add(&self.name_of(&to));
        if let Some(text) = text {
            self.send(&to, &text);
        }
        self.current = Some(to);
    }

    fn send(&mut self, to: &Conversation, text: &str) {
        let sent = self.chat.send_text(to.clone(), text);
        if let Some(id) = self.check(sent) {
            self.unsent.insert(id);
        }
    }

    fn send_file(&mut self, to: To, path: &Path) {
        let Some(to) = self.conversation(to) else { return };
        let sent = self.chat.send_file(to.clone(), path);
        if let Some(file) = self.check(sent) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let to = self.name_of(&to);
            self.screen.say(Tone::Note, &format!("sending {name} to {to}"));
            self.transfers.insert(file, Transfer::new(name, to, 0));
        }
    }

    fn accept(&mut self, number: Option<usize>, folder: Option<PathBuf>) {
        let number = number.or_else(|| self.offers.iter().rposition(Option::is_some).map(|index| index + 1));
        let offer = number.and_then(|number| self.offers.get_mut(number.wrapping_sub(1))).and_then(Option::take);
        let Some(Offer { file, from, name, size }) = offer else {
            return self.fail(Exit::Failed, "there is no such offer");
        };
        let folder = folder.unwrap_or_else(|| self.downloads.clone());
        let accepted = self.chat.accept_file(file, name.clone(), size, folder);
        if self.check(accepted).is_some() {
            self.transfers.insert(file, Transfer::new(name, from, 0));
        } else if let Some(slot) = number.and_then(|number| self.offers.get_mut(number.wrapping_sub(1))) {
            *slot = Some(Offer { file, from, name, size });
        }
    }

    /// What is on its way, under the numbers that `/cancel` takes.
    fn show_transfers(&mut self) {
        let found = self.chat.call(|client, _| Ok(client.transfers()));
        let Some(transfers) = self.check(found) else { return };
        if transfers.is_empty() {
            self.screen.say(Tone::Note, "nothing is on its way");
        }
        for (number, transfer) in (1..).zip(transfers) {
            let way = if transfer.outgoing { "to" } else { "from" };
            let state = match transfer.state {
                TransferState::Moving => "moving",
                TransferState::Waiting => "waiting",
                TransferState::Paused => "waiting for room on the disk",
            };
            let (done, size) = (sentence::size(transfer.done), sentence::size(transfer.size));
            // The engine knows of a file that comes who sends it, and this program also in which group.
            let with = self.transfers.get(&transfer.file).map(|known| known.with.clone());
            let with = with.unwrap_or_else(|| self.name_of(&transfer.with));
            let line = format!("{number}: {} {way} {with}, {done} of {size}, {state}", transfer.name);
            self.screen.say(Tone::Note, &line);
        }
    }

    fn cancel(&mut self, number: usize) {
        let found = self.chat.call(|client, _| Ok(client.transfers()));
        let Some(transfers) = self.check(found) else { return };
        let Some(transfer) = transfers.get(number.wrapping_sub(1)) else {
            return self.fail(Exit::Failed, "there is no such transfer: /transfers lists them");
        };
        let ended = self.chat.cancel_file(transfer.file);
        if self.check(ended).is_some() {
            self.transfers.remove(&transfer.file);
            self.screen.say(Tone::Note, &format!("{} is cancelled", transfer.name));
        }
    }

    fn verify(&mut self, user: UserName, compared: bool) {
        let wanted = user.clone();
        let asked = self.chat.call(move |client, now| match client.contact(&wanted) {
            Some(_) => Ok(()),
            None => client.look_up(&wanted, now),
        });
        if self.check(asked).is_some() {
            self.wait_for(Waiting::SafetyNumber { user: user.clone(), compared });
            self.try_safety_number(&user, compared);
        }
    }

    /// The safety number needs the keys, and the other side's word that it holds the same lists: it may take a moment.
    pub(crate) fn try_safety_number(&mut self, user: &UserName, compared: bool) {
        let wanted = user.clone();
        let number = self.chat.call(move |client, now| {
            let number = client.safety_number(&wanted, now)?;
            if compared {
                client.mark_verified(&wanted, now)?;
            }
            Ok((number, client.contact(&wanted).map(|contact| contact.trust)))
        });
        match number {
            Ok((number, trust)) => {
                self.waiting = None;
                let state = match trust {
                    Some(Trust::Verified) => "verified",
                    _ => "not verified yet",
                };
                self.screen.say(Tone::Note, &format!("safety number with {user} ({state}): {number}"));
                if trust != Some(Trust::Verified) {
                    let advice = format!(
                        "compare it with {user}, by voice or face to face; if it is the same: /verify {user} yes"
                    );
                    self.screen.say(Tone::Note, &advice);
                }
            }
            Err(Error::Core(CoreError::ApiMisuse(ApiMisuse::DeviceListOutOfDate | ApiMisuse::UnknownUser))) => {}
            Err(error) => {
                self.waiting = None;
                self.check::<()>(Err(error));
            }
        }
    }

    /// Accepts the changed keys that were shown; those that were not are shown now.
    fn trust_user(&mut self, user: UserName) {
        let Some(shown) = self.changed_keys.remove(&user) else {
            if self.show_changed_keys(&user) {
                self.screen.say(Tone::Warning, &format!("ask {user} whether this is right, and then type it again"));
            } else {
                self.fail(Exit::Failed, &format!("the keys of {user} have not changed"));
            }
            return;
        };
        let wanted = user.clone();
        let accepted = self.chat.call(move |client, now| client.accept_keys(&wanted, &shown, now));
        if let Err(Error::Core(CoreError::ApiMisuse(ApiMisuse::NotFound))) = accepted {
            return self
                .fail(Exit::Failed, &format!("the keys of {user} are not those that were shown: /trust shows them"));
        }
        if self.check(accepted).is_some() {
            let advice = format!("the new keys of {user} are accepted; compare them with /verify {user}");
            self.screen.say(Tone::Note, &advice);
        }
    }

    /// Shows the devices of a list that waits to be accepted, and remembers that they were shown.
    pub(crate) fn show_changed_keys(&mut self, user: &UserName) -> bool {
        let wanted = user.clone();
        let found = self.chat.call(move |client, _| Ok(client.contact(&wanted).and_then(|contact| contact.kept_aside)));
        let Some(kept) = self.check(found).flatten() else { return false };
        for device in &kept.devices {
            self.screen.say(Tone::Warning, &format!("now shown for {user}: {}", device.fingerprint()));
        }
        self.changed_keys.insert(user.clone(), kept.hash);
        true
    }

    fn trust_key(&mut self, fingerprint: Fingerprint) {
        self.accepted.push(fingerprint);
        let waiting = std::mem::take(&mut self.unverified);
        let (now, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, shown)| *shown == fingerprint);
        self.unverified = later;
        match now.is_empty() {
            true => self.screen.say(Tone::Note, "accepted when somebody shows it"),
            false => now.into_iter().for_each(|(link, _)| {
                let accepted = self.chat.call(move |client, now| client.accept_link(link, &fingerprint, now));
                self.check(accepted);
            }),
        }
    }

    fn devices(&mut self) {
        let found = self.chat.call(|client, _| Ok((client.identity(), client.devices().to_vec())));
        let Some((own, devices)) = self.check(found) else { return };
        let others = devices.iter().filter(|device| **device != own);
        self.screen.say(Tone::Note, &format!("this device    {}", own.fingerprint()));
        for device in others {
            self.screen.say(Tone::Note, &format!("another one    {}", device.fingerprint()));
        }
        for device in &self.proposals {
            self.screen.say(Tone::Note, &format!("wants to join  {}", device.fingerprint()));
        }
    }

    fn approve(&mut self, fingerprint: &Fingerprint) {
        let Some(device) = self.proposals.iter().find(|device| device.fingerprint() == *fingerprint).copied() else {
            return self.fail(Exit::Failed, "no device with this fingerprint wants to join");
        };
        let asked = self.chat.call(move |client, now| client.approve_device(&device, now));
        if self.check(asked).is_some() {
            self.wait_for(Waiting::Devices);
        }
    }

    fn revoke(&mut self, fingerprint: &Fingerprint) {
        let found = self.chat.call(|client, _| Ok(client.devices().to_vec()));
        let Some(devices) = self.check(found) else { return };
        let Some(device) = devices.into_iter().find(|device: &Identity| device.fingerprint() == *fingerprint) else {
            return self.fail(Exit::Failed, "none of your devices has this fingerprint");
        };
        let asked = self.chat.call(move |client, now| client.revoke_device(&device, now));
        if self.check(asked).is_some() {
            self.wait_for(Waiting::Devices);
        }
    }

    fn appear(&mut self, presence: Presence) {
        let asked = self.chat.call(move |client, now| client.set_presence(presence, now));
        self.check(asked);
    }

    /// A command that needs secrets: finds what can be found; the rest is asked for by the loop. A complete form is acted on.
    pub(crate) fn continue_form(&mut self, mut form: Form) {
        let filled = form.fill(&self.secrets);
        if self.check(filled).is_none() {
            return;
        }
        match form.prompt() {
            Some(_) => self.form = Some(form),
            None => self.submit(form),
        }
    }

    /// Acts on a complete form.
    pub(crate) fn submit(&mut self, form: Form) {
        let mut answers = form.answers.iter().cloned();
        let (Some(first), second) = (answers.next(), answers.next().unwrap_or_default()) else { return };
        let (asked, kind) = match form.purpose.clone() {
            Purpose::Enter => (self.chat.call(move |client, now| client.enter(&first, now)), RequestKind::Enter),
            Purpose::Register => {
                // Who is new lands in the lobby.
                self.wants_lobby = true;
                (self.chat.call(move |client, now| client.register(&first, now)), RequestKind::Register)
            }
            Purpose::LogIn { code } => {
                (self.chat.call(move |client, now| client.log_in(&first, code, now)), RequestKind::LogIn)
            }
            Purpose::SetUpCode => {
                (self.chat.call(move |client, now| client.set_up_code(&first, None, now)), RequestKind::SetUpCode)
            }
            Purpose::ChangePassword => {
                let change = move |client: &mut securechat_core::client::Client, now| {
                    client.change_password(&first, &second, now)
                };
                (self.chat.call(change), RequestKind::ChangePassword)
            }
            Purpose::ChangePassphrase => {
                let changed =
                    self.chat.with_state(move |state| state.change_passphrase(&first, &second, Cost::default()));
                if self.check(changed).is_some() {
                    self.screen.say(Tone::Note, past::PASSPHRASE_CHANGED);
                }
                return;
            }
            Purpose::Export(path) => return self.export(path, Some(first)),
            Purpose::Import(path) => return self.import(path, first),
        };
        if matches!(form.purpose, Purpose::Register | Purpose::LogIn { .. }) {
            self.redo = Some(form);
        }
        self.await_answer(asked, kind);
    }

    fn await_answer(&mut self, asked: Result<(), Error>, kind: RequestKind) {
        match asked {
            Ok(()) => self.wait_for(Waiting::Answer(kind)),
            Err(Error::Core(error)) => self.fail(Exit::NotLoggedIn, &sentence::error(error)),
            Err(error) => self.fail(Exit::Failed, &error.to_string()),
        }
    }
}
