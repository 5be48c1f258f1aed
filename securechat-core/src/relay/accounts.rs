//! Passwords and one-time codes of those who are logged in.

use super::answer::StoreResult;
use super::connection::Who;
use super::job::{Job, JobResult, PasswordHash};
use super::login::{Check, Then};
use super::store::StoreJob;
use super::{Outcome, Relay, Step, Ticket, UNAVAILABLE};
use crate::crypto::one_time;
use crate::crypto::secret::Secret;
use crate::identity::UserName;
use crate::wire::{ChangePassword, CloseCode, CodeSecret, ConfirmCode, Done, Password, RefusalCode, Reply, SetUpCode};

/// What a change of an account waits for.
pub(super) enum Expect {
    /// The hash of the new password, and what it replaces.
    NewHash { user: UserName, expected: PasswordHash },
    /// That the new password is stored.
    Changed { user: UserName },
    /// The hash that replaces one of an old kind; nobody waits for it.
    Rehash { user: UserName, expected: PasswordHash },
    /// That it is stored; nobody waits for that either.
    Rehashed,
    /// That the secret for one-time codes is stored.
    CodeSet,
}

impl Relay {
    pub(super) fn change_password(&mut self, ticket: Ticket, who: Who, request: ChangePassword, now: u64) -> Outcome {
        require_listed(&who)?;
        let then = Then::ChangePassword(request.new);
        self.check_password(ticket, Check { user: who.user, password: request.old, code: None, then }, now)
    }

    pub(super) fn set_up_code(&mut self, ticket: Ticket, who: Who, request: SetUpCode, now: u64) -> Outcome {
        require_listed(&who)?;
        let then = Then::SetUpCode;
        self.check_password(ticket, Check { user: who.user, password: request.password, code: request.code, then }, now)
    }

    pub(super) fn confirm_code(&mut self, ticket: Ticket, who: Who, request: &ConfirmCode, now: u64) -> Outcome {
        let admitted = self.connections.get(&ticket.conn).and_then(|connection| connection.admitted());
        let secret = admitted.and_then(|admitted| admitted.code.as_ref()).ok_or(RefusalCode::WrongState)?;
        let step = one_time::matching_step(secret, request.code.number(), now).ok_or(RefusalCode::Credentials)?;
        let job = StoreJob::SetCode { user: who.user, secret: secret.duplicate(), step };
        self.store(ticket, job, Step::Account(Expect::CodeSet))
    }

    pub(super) fn hash_new_password(
        &mut self,
        ticket: Ticket,
        user: UserName,
        password: Password,
        expected: PasswordHash,
    ) -> Outcome {
        let step = Step::Account(Expect::NewHash { user, expected });
        self.password_job(Some(ticket), Job::Hash { password }, step)
    }

    /// A secret for one-time codes, kept with the connection until a code of it came.
    pub(super) fn make_code(&mut self, ticket: Ticket, now: u64) -> Outcome {
        let secret = Secret::random(&mut *self.rng);
        let reply = Reply::SetUpCode(CodeSecret { secret: secret.duplicate() });
        let connection = self.connections.get_mut(&ticket.conn);
        let admitted = connection.and_then(|connection| connection.admitted_mut());
        admitted.ok_or(RefusalCode::WrongState)?.code = Some(secret);
        self.reply(ticket, &reply, now);
        Ok(())
    }

    /// Replaces a hash of an old kind (bcrypt, or other parameters) now that its password is known.
    pub(super) fn rehash(&mut self, check: &Check, hash: &PasswordHash) {
        let step = Step::Account(Expect::Rehash { user: check.user.clone(), expected: hash.clone() });
        // When too many are under way it is done at the next login.
        _ = self.password_job(None, Job::Hash { password: check.password.clone() }, step);
    }

    pub(super) fn resume_account(
        &mut self,
        ticket: Option<Ticket>,
        expect: Expect,
        result: JobResult,
        now: u64,
    ) -> Outcome {
        match (expect, result, ticket) {
            (Expect::NewHash { user, expected }, JobResult::Hash(password), Some(ticket)) => {
                let job = StoreJob::SetPassword { user: user.clone(), expected, password };
                self.store(ticket, job, Step::Account(Expect::Changed { user }))
            }
            (Expect::Changed { user }, JobResult::Store(StoreResult::Done), Some(ticket)) => {
                self.end_unlisted(&user, now);
                self.reply(ticket, &Reply::ChangePassword(Done), now);
                Ok(())
            }
            (Expect::Changed { .. }, JobResult::Store(StoreResult::Refused(_)), _) => {
                Err(RefusalCode::Credentials.into())
            }
            (Expect::Rehash { user, expected }, JobResult::Hash(password), None) => {
                let job = StoreJob::SetPassword { user, expected, password };
                self.spawn(None, Job::Store(job), Step::Account(Expect::Rehashed));
                Ok(())
            }
            (Expect::Rehashed, ..) => Ok(()),
            (Expect::CodeSet, JobResult::Store(StoreResult::Done), Some(ticket)) => {
                let connection = self.connections.get_mut(&ticket.conn);
                if let Some(admitted) = connection.and_then(|connection| connection.admitted_mut()) {
                    admitted.code = None;
                }
                self.reply(ticket, &Reply::ConfirmCode(Done), now);
                Ok(())
            }
            _ => Err(UNAVAILABLE),
        }
    }

    /// Who came in with the old password and no more than that goes.
    fn end_unlisted(&mut self, user: &UserName, now: u64) {
        for conn in self.presence.connections_of(user) {
            let connection = self.connections.get(&conn).and_then(|connection| connection.admitted());
            if connection.is_some_and(|admitted| !admitted.who.listed) {
                self.end(conn, CloseCode::Revoked, now);
            }
        }
    }
}

/// L7: most requests are for listed devices alone.
pub(super) fn require_listed(who: &Who) -> Outcome {
    if who.listed { Ok(()) } else { Err(RefusalCode::NotAllowed.into()) }
}
