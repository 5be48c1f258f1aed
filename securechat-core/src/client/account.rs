//! This device and its account at the relay: entering, registering, logging in, and what the relay says unasked.

use super::Client;
use super::links::{Asked, Side};
use crate::error::{ApiMisuse, Error, InvalidMessage};
use crate::event::{Event, LinkId, RequestKind};
use crate::identity::SignedBundle;
use crate::limits::USER_NAME_MAX;
use crate::roster::GroupId;
use crate::wire::{
    self, Bytes, NoticeCode, OneTimeCode, Password, Presence, Push, Refusal, RefusalCode, Request, UserPresence,
};

impl Client {
    /// Gives the relay its own password, where it asks for one before a registration or login.
    ///
    /// Fails with `NotConnected`, or with `UntrustedRelay` where the relay is neither pinned nor accepted (A10).
    pub fn enter(&mut self, password: &str, now: u64) -> Result<(), Error> {
        self.advance(now);
        let link = self.trusted_relay()?;
        let request = Request::Enter(wire::Enter { password: password_of(password)? });
        self.ask_now(link, request, Asked::Account(RequestKind::Enter))
    }

    /// Makes an account for this user with this device as its first, and logs in. Errors as for [`Client::enter`].
    pub fn register(&mut self, password: &str, now: u64) -> Result<(), Error> {
        self.advance(now);
        let link = self.trusted_relay()?;
        // The relay is shown the list: from now on another in its place has to be accepted like any other change.
        self.account.registering |= !self.account.established;
        self.show_list()?;
        let first = self.account.lists.first().ok_or(ApiMisuse::WrongState)?;
        let request = Request::Register(wire::Register {
            user: self.config.user.clone(),
            password: password_of(password)?,
            bundle: Bytes::from(self.local.bundle.bytes()),
            list: Bytes::from(first.bytes()),
            signature: self.login_signature(link)?,
        });
        self.ask_now(link, request, Asked::LogIn(RequestKind::Register))
    }

    /// Logs in with the user's password and, where the user has set that up, a one-time code of six digits.
    ///
    /// A device that is not in the user's list asks the listed ones to add it (I8). Errors as for [`Client::enter`].
    pub fn log_in(&mut self, password: &str, code: Option<u32>, now: u64) -> Result<(), Error> {
        self.advance(now);
        let link = self.trusted_relay()?;
        let request = Request::LogIn(wire::LogIn {
            user: self.config.user.clone(),
            password: password_of(password)?,
            code: code.map(OneTimeCode::new).transpose()?,
            identity: self.identity(),
            signature: self.login_signature(link)?,
        });
        self.ask_now(link, request, Asked::LogIn(RequestKind::LogIn))
    }

    /// Changes the user's password.
    pub fn change_password(&mut self, old: &str, new: &str, now: u64) -> Result<(), Error> {
        self.advance(now);
        let link = self.trusted_relay()?;
        let request = wire::ChangePassword { old: password_of(old)?, new: password_of(new)? };
        self.ask_now(link, Request::ChangePassword(request), Asked::Account(RequestKind::ChangePassword))
    }

    /// Asks for a secret for one-time codes; it comes as `CodeSecret` and counts once a first code was confirmed.
    pub fn set_up_code(&mut self, password: &str, code: Option<u32>, now: u64) -> Result<(), Error> {
        self.advance(now);
        let link = self.trusted_relay()?;
        let code = code.map(OneTimeCode::new).transpose()?;
        let request = Request::SetUpCode(wire::SetUpCode { password: password_of(password)?, code });
        self.ask_now(link, request, Asked::Account(RequestKind::SetUpCode))
    }

    /// Confirms the secret just set up with a first code of it.
    pub fn confirm_code(&mut self, code: u32, now: u64) -> Result<(), Error> {
        self.advance(now);
        let link = self.trusted_relay()?;
        let request = Request::ConfirmCode(wire::ConfirmCode { code: OneTimeCode::new(code)? });
        self.ask_now(link, request, Asked::Account(RequestKind::ConfirmCode))
    }

    /// Asks for the relay's users; they come as `Users`, a page at a time.
    pub fn request_users(&mut self, now: u64) -> Result<(), Error> {
        self.advance(now);
        let link = self.relay()?;
        self.ask_now(link, Request::Users(wire::FetchUsers { from: String::new() }), Asked::Users(String::new()))
    }

    /// Says how this user appears to others, and asks to be told how they do.
    pub fn set_presence(&mut self, presence: Presence, now: u64) -> Result<(), Error> {
        self.advance(now);
        let link = self.relay()?;
        let request = Request::SetPresence(wire::SetPresence { presence, watch: true });
        self.ask_now(link, request, Asked::Presence)
    }

    fn ask_now(&mut self, link: LinkId, request: Request, asked: Asked) -> Result<(), Error> {
        self.ask(link, request, asked);
        self.settle();
        Ok(())
    }

    /// The open link to a relay that is pinned or was accepted: the only one that a password may leave on.
    fn trusted_relay(&self) -> Result<LinkId, ApiMisuse> {
        let id = self.relay_link()?;
        let connection = self.links.get(&id).ok_or(ApiMisuse::NotConnected)?;
        let Side::Relay { place, .. } = &connection.side else { return Err(ApiMisuse::NotConnected) };
        let shown = connection.remote.as_ref().map(SignedBundle::fingerprint);
        if shown.is_some() && self.account.relays.get(place).copied() == shown {
            Ok(id)
        } else {
            Err(ApiMisuse::UntrustedRelay)
        }
    }

    /// The signature that shows possession of the device key to this relay on this link (section 10).
    fn login_signature(&self, link: LinkId) -> Result<[u8; 64], Error> {
        let connection = self.links.get(&link).ok_or(ApiMisuse::NotConnected)?;
        let relay = connection.remote.as_ref().ok_or(ApiMisuse::UntrustedRelay)?.identity();
        let binding = connection.link.channel_binding().ok_or(ApiMisuse::NotConnected)?;
        let (user, identity) = (&self.config.user, &self.identity());
        let claim = wire::LoginClaim { relay: &relay, user, identity, channel_binding: &binding };
        Ok(claim.sign(&self.local.keys.identity))
    }

    /// A known device logs in by itself as soon as its link is open.
    pub(super) fn log_in_by_key(&mut self) -> Result<(), Error> {
        if !self.account.registered {
            return Ok(());
        }
        let link = self.relay_link()?;
        let signature = self.login_signature(link)?;
        let request = wire::LogInDevice { user: self.config.user.clone(), identity: self.identity(), signature };
        self.ask(link, Request::LogInDevice(request), Asked::LogIn(RequestKind::LogInByKey));
        Ok(())
    }

    pub(super) fn logged_in(&mut self, link: LinkId, state: &wire::LoggedIn) -> Result<(), Error> {
        if let Some(connection) = self.links.get_mut(&link)
            && let Side::Relay { logged_in, listed, .. } = &mut connection.side
        {
            (*logged_in, *listed) = (true, state.listed);
            connection.link.raise_frame_limit();
        }
        self.account.registering = false;
        if state.listed && !(self.account.registered && self.account.established) {
            (self.account.registered, self.account.established) = (true, true);
            self.save_account();
        }
        if !state.listed && state.epoch.is_none() {
            // The account came from another system, and this is its first device.
            self.ensure_list()?;
            self.account.pending = self.account.lists.first().cloned();
            self.save_account();
        }
        self.publish_pending(link);
        self.keys_at_relay(state)?;
        if !state.listed || self.account.list().map(|list| list.epoch()) != state.epoch {
            self.look_up_own();
        }
        if state.listed {
            self.ask_for_groups(GroupId::NONE);
            self.delete_blobs(link);
        }
        self.tell(Event::LoggedIn { listed: state.listed });
        Ok(())
    }

    pub(super) fn log_in_refused(&mut self, link: LinkId, kind: RequestKind, refusal: Refusal) {
        let for_good =
            matches!(refusal.code, RefusalCode::Credentials | RefusalCode::NotAllowed | RefusalCode::NotListed);
        if kind == RequestKind::LogInByKey && for_good {
            // The relay does not know this device any more, or it was revoked: the password is needed again.
            self.account.registered = false;
            self.save_account();
        }
        if kind == RequestKind::Register && core::mem::take(&mut self.account.registering) {
            // Nobody took the list. The user may have an account already, with another one.
            self.account.established = false;
            self.save_account();
        }
        if let Some(Side::Relay { logged_in, .. }) = self.links.get_mut(&link).map(|connection| &mut connection.side) {
            *logged_in = false;
        }
        self.tell_refused(kind, refusal);
    }

    /// A page of users came. Pages go on in the order of names, so that they come to an end.
    pub(super) fn users_came(&mut self, after: &str, page: wire::Users) -> Result<(), Error> {
        let last = page.next.is_empty();
        if !last && (page.users.is_empty() || page.next.as_str() <= after || page.next.len() > USER_NAME_MAX) {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        let users = page.users.into_iter().map(|UserPresence { user, presence }| (user, presence)).collect();
        self.tell(Event::Users { users, last });
        if !last && let Ok(link) = self.relay() {
            let request = Request::Users(wire::FetchUsers { from: page.next.clone() });
            self.ask(link, request, Asked::Users(page.next));
        }
        Ok(())
    }

    /// What the relay says unasked.
    pub(super) fn pushed(&mut self, link: LinkId, push: Push) -> Result<(), Error> {
        match push {
            Push::GroupChanged(head) => {
                self.head_told(&head);
                Ok(())
            }
            Push::Deliver(deliver) => {
                self.delivered(link, deliver);
                Ok(())
            }
            Push::Presence(changes) => {
                for UserPresence { user, presence } in changes.changes {
                    self.tell(Event::Presence { user, presence });
                }
                Ok(())
            }
            Push::ListProposed(proposed) => {
                self.list_proposed(&proposed.list);
                Ok(())
            }
            Push::PrekeysLow(low) => {
                self.prekeys_low(low);
                Ok(())
            }
            Push::Notice(notice) => {
                if matches!(notice.code, NoticeCode::ListChanged | NoticeCode::ListReplaced) {
                    self.look_up_own();
                }
                Ok(())
            }
        }
    }
}

fn password_of(password: &str) -> Result<Password, Error> {
    Ok(Password::new(password.to_owned())?)
}
