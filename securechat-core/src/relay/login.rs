//! Registration and logins (section 10; L4, L7).

use super::answer::{Account, DeviceState, StoreRefusal, StoreResult};
use super::connection::{Admitted, Item, Phase, Who};
use super::job::{Job, JobResult, PasswordHash};
use super::limiter::Address;
use super::mailbox::Mail;
use super::store::{NewAccount, StoreJob, StoredList};
use super::{Outcome, Relay, RelayEvent, Step, Ticket, UNAVAILABLE};
use crate::crypto::one_time;
use crate::identity::{Identity, PrekeyKind, SignedBundle, SignedDeviceList, UserName};
use crate::wire::{
    Bytes, Done, Enter, ListProposed, LogIn, LogInDevice, LoggedIn, LoginClaim, OneTimeCode, Password, PrekeyStock,
    Presence, Push, Refusal, RefusalCode, Register, Reply, Stock,
};

/// What a login waits for.
pub(super) enum Expect {
    /// Whether the relay's own password is right.
    Entered,
    /// That the name is free.
    Free(Registration),
    /// The hash of the new user's password.
    Hash(Registration),
    /// That the account was made.
    Created(Login, SignedBundle),
    /// The account whose password is to be checked; none when there is no such user.
    Account(Check),
    /// Whether the password is right.
    Verified(Check, Option<Account>),
    /// That the step of the one-time code was not used before.
    CodeUsed(Check, PasswordHash),
    /// What is known of the device that logs in.
    Device(Login),
}

/// A password, and a one-time code where the account has them, to be checked before something is done.
pub(super) struct Check {
    pub(super) user: UserName,
    pub(super) password: Password,
    pub(super) code: Option<OneTimeCode>,
    pub(super) then: Then,
}

/// What a right password is for.
pub(super) enum Then {
    LogIn(Login),
    ChangePassword(Password),
    SetUpCode,
}

/// A device whose signature was right.
#[derive(Clone)]
pub(super) struct Login {
    user: UserName,
    identity: Identity,
    way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Register,
    Password,
    Key,
}

/// A registration whose signatures were right.
pub(super) struct Registration {
    login: Login,
    password: Password,
    bundle: SignedBundle,
    list: SignedDeviceList,
}

impl Relay {
    pub(super) fn enter(&mut self, ticket: Ticket, request: Enter, now: u64) -> Outcome {
        let Some(hash) = self.config.server_password.clone() else {
            self.reply(ticket, &Reply::Enter(Done), now);
            return Ok(());
        };
        self.limit_logins(ticket, now)?;
        self.begin_login(ticket)?;
        let job = Job::Verify { password: request.password, hash };
        self.password_job(Some(ticket), job, step_of(Expect::Entered))
    }

    pub(super) fn register(&mut self, ticket: Ticket, request: Register, now: u64) -> Outcome {
        if !self.config.registration_open {
            return Err(RefusalCode::RegistrationClosed.into());
        }
        self.check_entered(ticket)?;
        let address = self.connections.get(&ticket.conn).map(|connection| connection.address).unwrap_or_default();
        self.limiter.registrations.take(&address, 1, now).map_err(rate_limited)?;
        let (bundle, list) = check_first_device(&request, now).ok_or(RefusalCode::BundleRefused)?;
        let login = Login { user: request.user, identity: bundle.identity(), way: Way::Register };
        self.check_signature(ticket, &login, &request.signature)?;
        self.begin_login(ticket)?;
        let job = StoreJob::Account { user: login.user.clone() };
        let registration = Registration { login, password: request.password, bundle, list };
        self.store(ticket, job, step_of(Expect::Free(registration)))
    }

    pub(super) fn log_in(&mut self, ticket: Ticket, request: LogIn, now: u64) -> Outcome {
        self.check_entered(ticket)?;
        self.limit_logins(ticket, now)?;
        let login = Login { user: request.user.clone(), identity: request.identity, way: Way::Password };
        self.check_signature(ticket, &login, &request.signature)?;
        self.begin_login(ticket)?;
        let then = Then::LogIn(login);
        let check = Check { user: request.user, password: request.password, code: request.code, then };
        self.check_password(ticket, check, now)
    }

    pub(super) fn log_in_device(&mut self, ticket: Ticket, request: LogInDevice, now: u64) -> Outcome {
        self.limit_logins(ticket, now)?;
        let login = Login { user: request.user, identity: request.identity, way: Way::Key };
        self.check_signature(ticket, &login, &request.signature)?;
        self.begin_login(ticket)?;
        self.ask_device(ticket, login)
    }

    /// Checks a password. A user who does not exist takes the same path as a wrong password (L4).
    pub(super) fn check_password(&mut self, ticket: Ticket, check: Check, now: u64) -> Outcome {
        let address = self.connections.get(&ticket.conn).map(|connection| connection.address).unwrap_or_default();
        let locked = |seconds| Refusal::after(RefusalCode::Locked, seconds);
        let known = self.has_listed_device_at(&check.user, address);
        self.limiter.failures.attempt(&check.user, address, known, now).map_err(locked)?;
        let job = StoreJob::Account { user: check.user.clone() };
        self.store(ticket, job, step_of(Expect::Account(check)))
    }

    pub(super) fn resume_login(
        &mut self,
        ticket: Option<Ticket>,
        expect: Expect,
        result: JobResult,
        now: u64,
    ) -> Outcome {
        let Some(ticket) = ticket else { return Ok(()) };
        match (expect, result) {
            (Expect::Entered, JobResult::Verify { ok, .. }) => self.entered(ticket, ok, now),
            (Expect::Free(_), JobResult::Store(StoreResult::Account(Some(_)))) => Err(RefusalCode::NameTaken.into()),
            (Expect::Free(registration), JobResult::Store(StoreResult::Account(None))) => {
                let job = Job::Hash { password: registration.password.clone() };
                self.password_job(Some(ticket), job, step_of(Expect::Hash(registration)))
            }
            (Expect::Hash(registration), JobResult::Hash(hash)) => self.create_account(ticket, registration, hash, now),
            (Expect::Created(login, bundle), JobResult::Store(StoreResult::Done)) => {
                self.note(RelayEvent::Registered { conn: ticket.conn, user: login.user.clone() });
                let bundle = Some(Bytes::from(bundle.bytes()));
                let owner = Some(login.user.clone());
                let state = DeviceState { owner, listed: true, epoch: Some(0), bundle, ..DeviceState::default() };
                self.admit(ticket, login, state, now)
            }
            (Expect::Created(..), JobResult::Store(StoreResult::Refused(refusal))) => Err(match refusal {
                StoreRefusal::NameTaken => RefusalCode::NameTaken.into(),
                _ => RefusalCode::Taken.into(),
            }),
            (Expect::Account(check), JobResult::Store(StoreResult::Account(account))) => {
                let hash = account.as_ref().map_or(&self.config.dummy_password, |account| &account.password);
                let job = Job::Verify { password: check.password.clone(), hash: hash.clone() };
                if !self.has_password_room() {
                    return Err(self.not_tried(ticket, &check.user));
                }
                self.password_job(Some(ticket), job, step_of(Expect::Verified(check, account)))
            }
            (Expect::Verified(check, account), JobResult::Verify { ok, rehash }) => {
                // What a user who does not exist was checked against is nobody's password.
                let account = account.filter(|_| ok).ok_or_else(|| self.wrong_login(ticket, &check))?;
                if rehash {
                    self.rehash(&check, &account.password);
                }
                self.check_code(ticket, check, account, now)
            }
            (Expect::CodeUsed(check, hash), JobResult::Store(StoreResult::Done)) => {
                self.checked(ticket, check, hash, now)
            }
            (Expect::CodeUsed(check, _), JobResult::Store(StoreResult::Refused(_))) => {
                Err(self.wrong_login(ticket, &check))
            }
            (Expect::Account(check) | Expect::Verified(check, _) | Expect::CodeUsed(check, _), _) => {
                Err(self.not_tried(ticket, &check.user))
            }
            (Expect::Device(login), JobResult::Store(StoreResult::Device(state))) => {
                self.admit(ticket, login, state, now)
            }
            _ => Err(UNAVAILABLE),
        }
    }

    fn entered(&mut self, ticket: Ticket, ok: bool, now: u64) -> Outcome {
        if !ok {
            return Err(RefusalCode::ServerPassword.into());
        }
        let connection = self.connections.get_mut(&ticket.conn);
        if let Some(stranger) = connection.and_then(|connection| connection.stranger()) {
            stranger.entered = true;
            stranger.login = None;
        }
        self.reply(ticket, &Reply::Enter(Done), now);
        Ok(())
    }

    fn create_account(&mut self, ticket: Ticket, registration: Registration, hash: PasswordHash, now: u64) -> Outcome {
        let Registration { login, bundle, list, .. } = registration;
        let account = NewAccount {
            user: login.user.clone(),
            password: hash,
            identity: login.identity,
            serial: bundle.serial(),
            bundle: bundle.bytes().into(),
            list: StoredList { epoch: list.epoch(), hash: list.hash(), bytes: list.bytes().into() },
            now,
        };
        self.store(ticket, StoreJob::CreateAccount(account), step_of(Expect::Created(login, bundle)))
    }

    fn check_code(&mut self, ticket: Ticket, check: Check, account: Account, now: u64) -> Outcome {
        let secret = match (&check.then, account.code) {
            (Then::ChangePassword(_), _) | (_, None) => return self.checked(ticket, check, account.password, now),
            (_, Some((secret, _))) => secret,
        };
        let Some(code) = check.code else {
            // The password was right, but that must not open the way to endless guesses of the code.
            self.not_tried(ticket, &check.user);
            return Err(RefusalCode::CodeNeeded.into());
        };
        let matching = one_time::matching_step(&secret, code.number(), now);
        let code_step = matching.ok_or_else(|| self.wrong_login(ticket, &check))?;
        let job = StoreJob::UseCode { user: check.user.clone(), step: code_step };
        self.store(ticket, job, step_of(Expect::CodeUsed(check, account.password)))
    }

    /// The password, and the code if there is one, are right.
    fn checked(&mut self, ticket: Ticket, check: Check, hash: PasswordHash, now: u64) -> Outcome {
        if let Some(connection) = self.connections.get(&ticket.conn) {
            self.limiter.failures.succeeded(&check.user, connection.address);
        }
        match check.then {
            Then::LogIn(login) => self.ask_device(ticket, login),
            Then::ChangePassword(new) => self.hash_new_password(ticket, check.user, new, hash),
            Then::SetUpCode => self.make_code(ticket, now),
        }
    }

    fn ask_device(&mut self, ticket: Ticket, login: Login) -> Outcome {
        let job = StoreJob::Device { user: login.user.clone(), identity: login.identity };
        self.store(ticket, job, step_of(Expect::Device(login)))
    }

    /// The last step of every login: the device takes its place, and the connection gets its rights.
    fn admit(&mut self, ticket: Ticket, login: Login, state: DeviceState, now: u64) -> Outcome {
        let Login { user, identity, way } = login;
        match &state.owner {
            Some(owner) if *owner != user => return Err(self.refused_login(ticket, &user, RefusalCode::Taken)),
            None if way == Way::Key => return Err(self.refused_login(ticket, &user, RefusalCode::Credentials)),
            Some(_) if way == Way::Key && !state.listed => {
                return Err(self.refused_login(ticket, &user, RefusalCode::NotListed));
            }
            _ => {}
        }
        let connection = self.connections.get_mut(&ticket.conn);
        let Some(connection) = connection.filter(|connection| matches!(connection.phase, Phase::Stranger(_))) else {
            return Err(RefusalCode::WrongState.into());
        };
        let who = Who { user, identity, listed: state.listed, by_password: way != Way::Key };
        connection.phase = Phase::Admitted(Box::new(Admitted {
            who: who.clone(),
            presence: Presence::Online,
            code: None,
            upload: None,
            mail: Mail::default(),
        }));
        self.strangers.remove(&ticket.conn);
        self.arrive(ticket.conn, &who, now);
        self.arm(ticket.conn);
        self.note(RelayEvent::LoggedIn {
            conn: ticket.conn,
            user: who.user.clone(),
            identity: who.identity,
            listed: who.listed,
        });
        let logged_in = logged_in(&state);
        let reply = match way {
            Way::Register => Reply::Register(logged_in),
            Way::Password => Reply::LogIn(logged_in),
            Way::Key => Reply::LogInDevice(logged_in),
        };
        self.put_out(ticket.conn, Item::Admitted, now);
        self.reply(ticket, &reply, now);
        if let Some(list) = state.proposal.filter(|_| who.listed) {
            self.push(ticket.conn, &Push::ListProposed(ListProposed { list }), now);
        }
        self.start_mail(ticket.conn);
        Ok(())
    }

    fn limit_logins(&mut self, ticket: Ticket, now: u64) -> Outcome {
        let address = self.connections.get(&ticket.conn).map(|connection| connection.address).unwrap_or_default();
        self.limiter.logins.take(&address, 1, now).map_err(rate_limited)
    }

    fn check_entered(&mut self, ticket: Ticket) -> Outcome {
        let needed = self.config.server_password.is_some();
        let stranger = self.connections.get_mut(&ticket.conn).and_then(|connection| connection.stranger());
        match stranger {
            None => Err(RefusalCode::WrongState.into()),
            Some(stranger) if needed && !stranger.entered => Err(RefusalCode::ServerPassword.into()),
            Some(_) => Ok(()),
        }
    }

    /// One login or registration at a time.
    fn begin_login(&mut self, ticket: Ticket) -> Outcome {
        let stranger = self.connections.get_mut(&ticket.conn).and_then(|connection| connection.stranger());
        let stranger = stranger.filter(|stranger| stranger.login.is_none()).ok_or(RefusalCode::WrongState)?;
        stranger.login = Some(ticket.request);
        Ok(())
    }

    fn check_signature(&mut self, ticket: Ticket, login: &Login, signature: &[u8; 64]) -> Outcome {
        let stranger = self.connections.get_mut(&ticket.conn).and_then(|connection| connection.stranger());
        let channel_binding = stranger.ok_or(RefusalCode::WrongState)?.channel_binding;
        let claim = LoginClaim {
            relay: &self.config.identity,
            user: &login.user,
            identity: &login.identity,
            channel_binding: &channel_binding,
        };
        let verified = claim.verify(signature);
        verified.map_err(|_| self.refused_login(ticket, &login.user, RefusalCode::Credentials))
    }

    fn has_listed_device_at(&self, user: &UserName, address: Address) -> bool {
        let connections = self.presence.connections_of(user);
        let mut connections = connections.iter().filter_map(|conn| self.connections.get(conn));
        connections.any(|connection| {
            connection.address == address && connection.admitted().is_some_and(|admitted| admitted.who.listed)
        })
    }

    /// The attempt says nothing about the password: it does not count as a failed one.
    fn not_tried(&mut self, ticket: Ticket, user: &UserName) -> Refusal {
        if let Some(connection) = self.connections.get(&ticket.conn) {
            self.limiter.failures.undone(user, connection.address);
        }
        UNAVAILABLE
    }

    fn wrong_login(&mut self, ticket: Ticket, check: &Check) -> Refusal {
        self.refused_login(ticket, &check.user, RefusalCode::Credentials)
    }

    fn refused_login(&mut self, ticket: Ticket, user: &UserName, code: RefusalCode) -> Refusal {
        self.note(RelayEvent::LoginRefused { conn: ticket.conn, user: user.clone(), code });
        code.into()
    }
}

fn step_of(expect: Expect) -> Step {
    Step::Login(Box::new(expect))
}

pub(super) fn rate_limited(seconds: u32) -> Refusal {
    Refusal::after(RefusalCode::RateLimited, seconds)
}

/// The bundle and the list of a new user's first device, if they are what they should be.
fn check_first_device(request: &Register, now: u64) -> Option<(SignedBundle, SignedDeviceList)> {
    let bundle = SignedBundle::decode(&request.bundle).ok()?;
    let list = SignedDeviceList::decode(&request.list).ok()?;
    bundle.check_validity(now, 0).ok()?;
    list.verify_first().ok()?;
    let fits = bundle.user() == Some(&request.user)
        && bundle.is_session_peer()
        && *list.user() == request.user
        && list.contains(&bundle.identity());
    fits.then_some((bundle, list))
}

fn logged_in(state: &DeviceState) -> LoggedIn {
    let bundle = state.bundle.as_ref().and_then(|bytes| SignedBundle::decode(bytes).ok());
    let kinds = PrekeyKind::ALL.map(|kind| {
        let stored = state.stock.iter().find(|stock| stock.kind == kind.id());
        let last_resort = bundle.as_ref().and_then(|bundle| bundle.last_resort(kind)).map_or(0, |prekey| prekey.id());
        PrekeyStock {
            kind: kind.id(),
            left: stored.map_or(0, |stock| stock.left),
            highest: stored.map_or(0, |stock| stock.highest).max(last_resort),
        }
    });
    LoggedIn {
        listed: state.listed,
        epoch: state.epoch,
        serial: bundle.map_or(0, |bundle| bundle.serial()),
        stock: Stock { kinds: kinds.to_vec() },
    }
}
