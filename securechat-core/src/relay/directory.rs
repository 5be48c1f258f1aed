//! The directory: bundles, prekeys and device lists (I4 to I8; L7).

use super::accounts::require_listed;
use super::answer::{Chain, StoreRefusal, StoreResult, TakenKeys};
use super::connection::{ConnId, Who};
use super::job::JobResult;
use super::login::rate_limited;
use super::store::{StoreJob, StoredList, StoredPrekey};
use super::{Outcome, Relay, RelayEvent, Step, Ticket, UNAVAILABLE};
use crate::identity::{PrekeyKind, SignedBundle, SignedDeviceList, SignedPrekey, UserName};
use crate::limits::{ONE_TIME_LIFE, PREKEYS_LOW, UNLISTED_DEVICES};
use crate::wire::{
    Bytes, CloseCode, DeviceKeys, Done, FetchKeys, FetchLists, FetchUsers, Keys, LISTS_PER_PAGE, ListProposed, Lists,
    Notice, NoticeCode, PrekeysLow, ProposeList, PublishBundle, PublishList, PublishPrekeys, Push, RefusalCode, Reply,
    Stock, USERS_PER_PAGE, UserPresence, Users,
};
use std::collections::BTreeSet;

/// What a request to the directory waits for.
pub(super) enum Expect {
    /// That a bundle is stored.
    Bundle,
    /// What prekeys are there now.
    Stock,
    /// The list that a new one is to follow.
    Current(Who, SignedDeviceList),
    /// That the new list is stored.
    List(Who, SignedDeviceList),
    /// The list that a proposed one is to follow.
    CurrentForProposal(Who, SignedDeviceList),
    /// That the proposed list is stored.
    Proposal(Who, Bytes),
    /// Lists from an epoch on.
    Lists(u64),
    /// Keys, with prekeys of a kind.
    Keys(Option<PrekeyKind>),
    /// A page of users.
    Users,
}

impl Relay {
    pub(super) fn publish_bundle(&mut self, ticket: Ticket, who: Who, request: PublishBundle, now: u64) -> Outcome {
        self.limiter.published.take(&who.user, 1, now).map_err(rate_limited)?;
        let bundle = SignedBundle::decode(&request.bundle).map_err(|_| RefusalCode::BundleRefused)?;
        let fits = bundle.identity() == who.identity && bundle.user() == Some(&who.user) && bundle.is_session_peer();
        if !fits || bundle.check_validity(now, 0).is_err() {
            return Err(RefusalCode::BundleRefused.into());
        }
        let job = StoreJob::PutBundle {
            user: who.user,
            identity: who.identity,
            serial: bundle.serial(),
            bundle: request.bundle,
            unlisted: UNLISTED_DEVICES,
            now,
        };
        self.store(ticket, job, Step::Directory(Expect::Bundle))
    }

    pub(super) fn publish_prekeys(&mut self, ticket: Ticket, who: Who, request: PublishPrekeys, now: u64) -> Outcome {
        self.limiter.published.take(&who.user, 1, now).map_err(rate_limited)?;
        let mut prekeys = Vec::with_capacity(request.prekeys.len());
        for bytes in request.prekeys {
            let signed = SignedPrekey::decode(&bytes).map_err(|_| RefusalCode::BundleRefused)?;
            if signed.identity() != who.identity {
                return Err(RefusalCode::BundleRefused.into());
            }
            let prekey = signed.prekey();
            prekeys.push(StoredPrekey { kind: prekey.kind().id(), id: prekey.id(), bytes });
        }
        let room = self.config.limits.prekeys_per_device;
        let job = StoreJob::PutPrekeys { identity: who.identity, replace: request.replace, prekeys, room, now };
        self.store(ticket, job, Step::Directory(Expect::Stock))
    }

    pub(super) fn publish_list(&mut self, ticket: Ticket, who: Who, request: &PublishList, now: u64) -> Outcome {
        self.limiter.published.take(&who.user, 1, now).map_err(rate_limited)?;
        let list = decode_list(&who, &request.list)?;
        // L7 and I8: who has the password alone may start anew, with no other device than their own.
        let allowed = if list.epoch() == 0 {
            who.by_password && list.verify_first().is_ok() && list.contains(&who.identity)
        } else {
            who.listed
        };
        if !allowed {
            return Err(RefusalCode::NotAllowed.into());
        }
        let job = StoreJob::CurrentList { user: who.user.clone() };
        self.store(ticket, job, Step::Directory(Expect::Current(who, list)))
    }

    pub(super) fn propose_list(&mut self, ticket: Ticket, who: Who, request: &ProposeList, now: u64) -> Outcome {
        self.limiter.published.take(&who.user, 1, now).map_err(rate_limited)?;
        let list = decode_list(&who, &request.list)?;
        let job = StoreJob::CurrentList { user: who.user.clone() };
        self.store(ticket, job, Step::Directory(Expect::CurrentForProposal(who, list)))
    }

    pub(super) fn fetch_lists(&mut self, ticket: Ticket, request: FetchLists) -> Outcome {
        let job = StoreJob::Lists { user: request.user, from: request.from, count: LISTS_PER_PAGE };
        self.store(ticket, job, Step::Directory(Expect::Lists(request.from)))
    }

    pub(super) fn fetch_keys(&mut self, ticket: Ticket, who: Who, request: FetchKeys, now: u64) -> Outcome {
        let kind = match request.prekey_kind {
            0 => None,
            number => Some(PrekeyKind::from_id(number).ok_or(RefusalCode::Malformed)?),
        };
        // Who cannot send takes no prekeys.
        let kind = kind.filter(|_| who.listed);
        if kind.is_some() {
            let cost = u32::try_from(request.devices.len()).unwrap_or(u32::MAX);
            self.limiter.prekeys.take(&who.user, cost, now).map_err(rate_limited)?;
        }
        let mut devices = request.devices;
        let mut seen = BTreeSet::new();
        devices.retain(|identity| seen.insert(*identity));
        let fresh = now.saturating_sub(ONE_TIME_LIFE);
        let job = StoreJob::TakeKeys { user: request.user, devices, kind: kind.map(PrekeyKind::id), fresh };
        self.store(ticket, job, Step::Directory(Expect::Keys(kind)))
    }

    pub(super) fn fetch_users(&mut self, ticket: Ticket, who: &Who, request: FetchUsers) -> Outcome {
        require_listed(who)?;
        let job = StoreJob::Users { after: request.from, count: USERS_PER_PAGE };
        self.store(ticket, job, Step::Directory(Expect::Users))
    }

    pub(super) fn resume_directory(
        &mut self,
        ticket: Option<Ticket>,
        expect: Expect,
        result: JobResult,
        now: u64,
    ) -> Outcome {
        let (Some(ticket), JobResult::Store(result)) = (ticket, result) else { return Err(UNAVAILABLE) };
        let reply = match (expect, result) {
            (Expect::Bundle, StoreResult::Done) => Reply::PublishBundle(Done),
            (Expect::Bundle, StoreResult::Refused(StoreRefusal::IdentityTaken)) => {
                return Err(RefusalCode::Taken.into());
            }
            (Expect::Bundle | Expect::Stock, StoreResult::Refused(_)) => {
                return Err(RefusalCode::BundleRefused.into());
            }
            (Expect::Stock, StoreResult::Stock(kinds)) => Reply::PublishPrekeys(Stock { kinds }),
            (Expect::Current(who, list), StoreResult::List(current)) => {
                return self.put_list(ticket, who, list, current, now);
            }
            (Expect::List(who, list), StoreResult::Done) => {
                self.list_published(ticket.conn, &who, &list, now);
                Reply::PublishList(Done)
            }
            (Expect::List(..), StoreResult::Refused(StoreRefusal::IdentityTaken)) => {
                return Err(RefusalCode::Taken.into());
            }
            (Expect::List(..) | Expect::Proposal(..), StoreResult::Refused(_)) => {
                return Err(RefusalCode::ListRefused.into());
            }
            (Expect::CurrentForProposal(who, list), StoreResult::List(current)) => {
                return self.put_proposal(ticket, who, &list, current);
            }
            (Expect::Proposal(who, list), StoreResult::Done) => {
                self.list_proposed(&who, &list, now);
                Reply::ProposeList(Done)
            }
            (Expect::Lists(from), StoreResult::Lists(chain)) => {
                Reply::FetchLists(lists(from, chain.ok_or(RefusalCode::UnknownUser)?))
            }
            (Expect::Keys(kind), StoreResult::Keys(taken)) => {
                let taken = taken.ok_or(RefusalCode::UnknownUser)?;
                self.tell_of_low_prekeys(kind, &taken, now);
                Reply::FetchKeys(keys(taken))
            }
            (Expect::Users, StoreResult::Users(users)) => Reply::Users(self.users(users)),
            _ => return Err(UNAVAILABLE),
        };
        self.reply(ticket, &reply, now);
        Ok(())
    }

    /// Checks a list against the current one by I6, and stores it.
    fn put_list(
        &mut self,
        ticket: Ticket,
        who: Who,
        list: SignedDeviceList,
        current: Option<StoredList>,
        now: u64,
    ) -> Outcome {
        let previous = current.as_ref().map(|current| current.hash);
        if previous == Some(list.hash()) {
            self.reply(ticket, &Reply::PublishList(Done), now);
            return Ok(());
        }
        // The form and the rights of an epoch 0 were checked before.
        if list.epoch() != 0 {
            let before = decode_current(current)?;
            list.verify_follows(&before).map_err(|_| RefusalCode::ListRefused)?;
        }
        let job = StoreJob::PutList {
            user: who.user.clone(),
            previous,
            list: StoredList { epoch: list.epoch(), hash: list.hash(), bytes: list.bytes().into() },
            identities: list.identities().to_vec(),
            now,
        };
        self.store(ticket, job, Step::Directory(Expect::List(who, list)))
    }

    /// Checks a proposed list by I8, and stores it.
    fn put_proposal(
        &mut self,
        ticket: Ticket,
        who: Who,
        list: &SignedDeviceList,
        current: Option<StoredList>,
    ) -> Outcome {
        let added = list.check_proposal(&decode_current(current)?).map_err(|_| RefusalCode::ListRefused)?;
        if added != who.identity {
            return Err(RefusalCode::NotAllowed.into());
        }
        let bytes = Bytes::from(list.bytes());
        let job = StoreJob::PutProposal { user: who.user.clone(), list: bytes.clone() };
        self.store(ticket, job, Step::Directory(Expect::Proposal(who, bytes)))
    }

    /// A user has another list: connected devices gain and lose rights by it, and are told.
    fn list_published(&mut self, publisher: ConnId, who: &Who, list: &SignedDeviceList, now: u64) {
        let (user, epoch) = (who.user.clone(), list.epoch());
        self.note(RelayEvent::ListPublished { user, epoch, devices: list.identities().len() });
        for conn in self.presence.connections_of(&who.user) {
            let connection = self.connections.get_mut(&conn);
            let Some(admitted) = connection.and_then(|connection| connection.admitted_mut()) else { continue };
            let was_listed = admitted.who.listed;
            let is_listed = list.contains(&admitted.who.identity);
            admitted.who.listed = is_listed;
            if conn != publisher {
                let code = if epoch == 0 { NoticeCode::ListReplaced } else { NoticeCode::ListChanged };
                self.push(conn, &Push::Notice(Notice { code, epoch }), now);
            }
            match (was_listed, is_listed) {
                (true, false) => self.end(conn, CloseCode::Revoked, now),
                (false, true) => self.start_mail(conn),
                _ => {}
            }
        }
        self.presence_changed(&who.user, now);
    }

    fn list_proposed(&mut self, who: &Who, list: &Bytes, now: u64) {
        self.note(RelayEvent::ListProposed { user: who.user.clone(), identity: who.identity });
        for conn in self.presence.connections_of(&who.user) {
            let connection = self.connections.get(&conn).and_then(|connection| connection.admitted());
            if connection.is_some_and(|admitted| admitted.who.listed) {
                self.push(conn, &Push::ListProposed(ListProposed { list: list.clone() }), now);
            }
        }
    }

    fn tell_of_low_prekeys(&mut self, kind: Option<PrekeyKind>, taken: &TakenKeys, now: u64) {
        let Some(kind) = kind else { return };
        for device in taken.devices.iter().filter(|device| device.prekey.is_some() && device.left < PREKEYS_LOW) {
            if let Some(conn) = self.presence.connection_of(&device.identity) {
                self.push(conn, &Push::PrekeysLow(PrekeysLow { kind: kind.id(), left: device.left }), now);
            }
        }
    }

    fn users(&mut self, users: Vec<UserName>) -> Users {
        let next = users.last().filter(|_| users.len() == USERS_PER_PAGE).map(UserName::to_string).unwrap_or_default();
        let present = |user: UserName| UserPresence { presence: self.shown_presence_of(&user), user };
        Users { users: users.into_iter().map(present).collect(), next }
    }
}

/// A list of this very user.
fn decode_list(who: &Who, bytes: &[u8]) -> Result<SignedDeviceList, RefusalCode> {
    let list = SignedDeviceList::decode(bytes).map_err(|_| RefusalCode::ListRefused)?;
    if *list.user() == who.user { Ok(list) } else { Err(RefusalCode::ListRefused) }
}

fn decode_current(current: Option<StoredList>) -> Result<SignedDeviceList, RefusalCode> {
    let current = current.ok_or(RefusalCode::ListRefused)?;
    SignedDeviceList::decode(&current.bytes).map_err(|_| RefusalCode::Unavailable)
}

fn lists(from: u64, chain: Chain) -> Lists {
    let epoch = chain.epoch.unwrap_or_default();
    let after = from.saturating_add(chain.lists.len() as u64);
    let next = if chain.lists.is_empty() || after > epoch { 0 } else { after };
    Lists { epoch, lists: chain.lists, next }
}

fn keys(taken: TakenKeys) -> Keys {
    let device =
        |taken: super::TakenDevice| DeviceKeys { identity: taken.identity, bundle: taken.bundle, prekey: taken.prekey };
    Keys { epoch: taken.epoch.unwrap_or_default(), devices: taken.devices.into_iter().map(device).collect() }
}
