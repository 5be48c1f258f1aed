//! A client's connections: one to its relay, some to peers. What comes in is routed, what is asked is matched to its answer.

use super::Client;
use super::contacts::OfferedLists;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{Event, FileId, LinkId, RequestKind, SecretBytes};
use crate::identity::{Fingerprint, Identity, RelayAddress, SignedBundle, SignedDeviceList, UserName};
use crate::limits::{OPEN_REQUESTS, PING_AFTER, PING_ANSWER};
use crate::link::{Link, LinkConfig, LinkEvent, Purpose};
use crate::roster::GroupId;
use crate::session::PrekeyPublication;
use crate::wire::{CloseCode, Ping, Received, Refusal, RefusalCode, Reply, Request};
use std::collections::{BTreeMap, VecDeque};
use zeroize::Zeroizing;

/// One connection.
pub(super) struct Connection {
    pub(super) link: Link,
    pub(super) side: Side,
    /// What the other side showed, once it is authenticated.
    pub(super) remote: Option<SignedBundle>,
    /// What was expected of the other side's identity.
    expected: Option<Fingerprint>,
    /// When the last request was sent.
    asked_at: u64,
    /// When a ping was sent that is not answered yet.
    pinged: Option<u64>,
    /// Until when it is not asked to take envelopes, after it refused.
    send_rest: u64,
    next_request: u32,
    open: BTreeMap<u32, Asked>,
    waiting: VecDeque<(Request, Asked)>,
}

/// What is at the other end.
pub(super) enum Side {
    /// The relay, by the `host:port` it was dialled at.
    Relay { place: String, logged_in: bool, listed: bool },
    /// Another client; its device once it is authenticated.
    Peer { device: Option<(UserName, Identity)>, listed: bool },
}

/// What an answer is for.
pub(super) enum Asked {
    Account(RequestKind),
    LogIn(RequestKind),
    /// With its serial.
    PublishBundle(u64),
    PublishPrekeys(Box<PrekeyPublication>),
    PublishList(Box<SignedDeviceList>),
    Propose,
    Lists(UserName),
    PeerLists(OfferedLists),
    Keys(UserName),
    /// With the name after which they were asked for.
    Users(String),
    Presence,
    Send(Vec<(u64, Identity)>),
    Transient,
    Acknowledge,
    CreateBlob(FileId),
    PutChunk(FileId, u32),
    /// With the place that was asked from.
    MissingChunks(FileId, u32),
    GetChunk(FileId, u32),
    GroupEntry(GroupId),
    /// With the first entry asked for.
    GroupLog(GroupId, u32),
    Groups,
    SendGroup(Vec<u64>),
    PastLists(UserName, OfferedLists),
    /// A chunk of one's own, whose tag is lost.
    LearnChunk(FileId, u32),
    DeleteBlob(FileId),
    /// That a peer's file is whole here.
    Whole(FileId),
    Ping,
}

impl Connection {
    fn new(link: Link, side: Side, expected: Option<Fingerprint>) -> Self {
        Self {
            link,
            side,
            remote: None,
            expected,
            asked_at: 0,
            pinged: None,
            send_rest: 0,
            next_request: 0,
            open: BTreeMap::new(),
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn poll_timeout(&self, now: u64) -> Option<u64> {
        let rest = Some(self.send_rest).filter(|rest| *rest > now);
        let ping = self.link.is_open().then(|| match self.pinged {
            Some(at) => at.saturating_add(PING_ANSWER),
            None => self.asked_at.saturating_add(PING_AFTER),
        });
        self.link.poll_timeout().into_iter().chain(ping).chain(rest).min()
    }

    /// What is due: the link's own timeouts, a ping where nothing was asked for long, the end where none is answered.
    fn handle_timeout(&mut self, now: u64) -> Result<(), Error> {
        self.link.handle_timeout(now)?;
        if !self.link.is_open() {
            return Ok(());
        }
        match self.pinged {
            Some(at) if now >= at.saturating_add(PING_ANSWER) => Err(PeerMisbehaved::Silent.into()),
            None if now >= self.asked_at.saturating_add(PING_AFTER) => {
                self.pinged = Some(now);
                self.waiting.push_back((Request::Ping(Ping), Asked::Ping));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Sends as many of the waiting requests as may be open at once.
    fn flush(&mut self, now: u64) -> Result<(), Error> {
        while self.open.len() < OPEN_REQUESTS
            && let Some((request, asked)) = self.waiting.pop_front()
        {
            self.next_request = self.next_request.checked_add(1).ok_or(PeerMisbehaved::CounterExhausted)?;
            self.link.send(&request.encode(self.next_request)?)?;
            self.open.insert(self.next_request, asked);
            self.asked_at = now;
        }
        Ok(())
    }

    /// What was asked under that id. A link on which nothing is asked any more keeps no room for it.
    fn answered(&mut self, id: u32) -> Option<Asked> {
        let asked = self.open.remove(&id);
        if self.open.is_empty() && self.waiting.is_empty() {
            self.open = BTreeMap::new();
            self.waiting = VecDeque::new();
        }
        asked
    }
}

impl Client {
    /// Begins a link to a relay. Its identity is expected to be the address's fingerprint, or else the one pinned for
    /// that place before. Connect a byte stream to `host:port` and move its bytes.
    ///
    /// Fails with `WrongState` when there is a link to a relay already.
    pub fn connect_relay(&mut self, relay: &RelayAddress, now: u64) -> Result<LinkId, Error> {
        self.advance(now);
        if self.links.values().any(|connection| matches!(connection.side, Side::Relay { .. })) {
            return Err(ApiMisuse::WrongState.into());
        }
        let place = RelayAddress { fingerprint: None, ..relay.clone() }.to_string();
        let pinned = self.account.relays.get(&place).copied();
        let expected = relay.fingerprint.or(pinned);
        let config = self.link_config(Purpose::Relay, expected, false);
        let link = Link::initiator(config, self.fork_rng(), self.now)?;
        let side = Side::Relay { place, logged_in: false, listed: false };
        Ok(self.add_link(Connection::new(link, side, expected)))
    }

    /// Begins a link to a peer who listens. With a fingerprint only that identity is accepted without asking.
    pub fn connect_peer(&mut self, expected: Option<Fingerprint>, now: u64) -> Result<LinkId, Error> {
        self.advance(now);
        self.show_list()?;
        let config = self.link_config(Purpose::Peer, expected, true);
        let link = Link::initiator(config, self.fork_rng(), self.now)?;
        Ok(self.add_link(Connection::new(link, Side::Peer { device: None, listed: false }, expected)))
    }

    /// Takes the responder's part of a link that a peer began.
    pub fn accept_peer(&mut self, now: u64) -> Result<LinkId, Error> {
        self.advance(now);
        self.show_list()?;
        let config = self.link_config(Purpose::Peer, None, true);
        let link = Link::responder(config, self.fork_rng(), self.now)?;
        Ok(self.add_link(Connection::new(link, Side::Peer { device: None, listed: false }, None)))
    }

    /// A peer or a relay is shown this user's device list: from then on it counts.
    pub(super) fn show_list(&mut self) -> Result<(), Error> {
        self.ensure_list()?;
        if !core::mem::replace(&mut self.account.established, true) {
            self.save_account();
        }
        Ok(())
    }

    fn link_config(&self, purpose: Purpose, pin: Option<Fingerprint>, with_identity: bool) -> LinkConfig {
        let local = with_identity.then(|| self.local.clone());
        let (policy, limits) = (self.config.policy.clone(), self.config.limits.clone());
        LinkConfig { policy, limits, local, pin, ..LinkConfig::new(purpose) }
    }

    fn add_link(&mut self, connection: Connection) -> LinkId {
        let id = LinkId(self.next_link);
        self.next_link = self.next_link.wrapping_add(1);
        self.links.insert(id, Box::new(connection));
        id
    }

    /// Bytes that came on a link, in any split. What is wrong with them ends the link and comes as `LinkClosed`.
    pub fn handle_input(&mut self, link: LinkId, bytes: &[u8], now: u64) {
        self.advance(now);
        let Some(connection) = self.links.get_mut(&link) else { return };
        let outcome = connection.link.handle_input(bytes, self.now);
        let routed = self.route(link);
        if let Err(error) = outcome.and(routed) {
            self.drop_link(link, Some(error));
        }
        self.settle();
    }

    /// The bytes of a link have ended, or its connection broke.
    pub fn handle_end(&mut self, link: LinkId, now: u64) {
        self.advance(now);
        let Some(connection) = self.links.get_mut(&link) else { return };
        let error = connection.link.handle_end().err();
        self.drop_link(link, error);
        self.settle();
    }

    /// Closes a link in order: transmit what remains, then end the connection.
    pub fn close_link(&mut self, link: LinkId, now: u64) {
        self.advance(now);
        if let Some(connection) = self.links.get_mut(&link) {
            // A link that cannot close in order any more is over all the same.
            let _ = connection.link.close(CloseCode::Done as u8);
        }
    }

    /// Accepts what a link's other side showed in `Verify`, and pins it. With any other fingerprint the link ends.
    pub fn accept_link(&mut self, link: LinkId, fingerprint: &Fingerprint, now: u64) -> Result<(), Error> {
        self.advance(now);
        let connection = self.links.get_mut(&link).ok_or(ApiMisuse::NotConnected)?;
        if let Err(error) = connection.link.accept(fingerprint, self.now) {
            if !matches!(error, Error::ApiMisuse(_)) {
                // Another identity than the one shown was meant: whoever is there is not who it should be.
                self.drop_link(link, Some(error));
                self.settle();
            }
            return Err(error);
        }
        if let Side::Relay { place, .. } = &connection.side {
            self.account.relays.insert(place.clone(), *fingerprint);
            self.save_account();
        }
        let routed = self.route(link);
        if let Err(error) = routed {
            self.drop_link(link, Some(error));
        }
        self.settle();
        Ok(())
    }

    /// Refuses what a link's other side showed: the link ends.
    pub fn refuse_link(&mut self, link: LinkId, now: u64) {
        self.advance(now);
        if let Some(connection) = self.links.get_mut(&link) {
            connection.link.refuse();
            self.drop_link(link, Some(PeerMisbehaved::IdentityMismatch.into()));
        }
        self.settle();
    }

    /// The link to a relay where this device is logged in and listed.
    pub(super) fn relay(&self) -> Result<LinkId, ApiMisuse> {
        let found = self.links.iter().find_map(|(id, connection)| match connection.side {
            Side::Relay { logged_in: true, .. } => Some(*id),
            _ => None,
        });
        found.ok_or(ApiMisuse::NotLoggedIn)
    }

    /// Whether this device is logged in with all rights.
    pub(super) fn is_listed(&self) -> bool {
        self.links
            .values()
            .any(|connection| matches!(connection.side, Side::Relay { logged_in: true, listed: true, .. }))
    }

    /// The open link to a relay, logged in or not.
    pub(super) fn relay_link(&self) -> Result<LinkId, ApiMisuse> {
        let found = self.links.iter().find_map(|(id, connection)| {
            (matches!(connection.side, Side::Relay { .. }) && connection.link.is_open()).then_some(*id)
        });
        found.ok_or(ApiMisuse::NotConnected)
    }

    /// The open link to a peer's device.
    pub(super) fn peer_link(&self, device: &Identity) -> Option<LinkId> {
        self.links.iter().find_map(|(id, connection)| match &connection.side {
            Side::Peer { device: Some((_, identity)), listed: true } if identity == device => Some(*id),
            _ => None,
        })
    }

    /// Queues a request on a link.
    pub(super) fn ask(&mut self, link: LinkId, request: Request, asked: Asked) {
        if let Some(connection) = self.links.get_mut(&link) {
            connection.waiting.push_back((request, asked));
        }
    }

    /// Whether a link may be asked to take envelopes now.
    pub(super) fn takes_sends(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|connection| connection.send_rest <= self.now)
    }

    /// A link is not asked to take envelopes until then.
    pub(super) fn rest_sends(&mut self, link: LinkId, until: u64) {
        if let Some(connection) = self.links.get_mut(&link) {
            connection.send_rest = until;
        }
    }

    /// How many requests of a sort are open or wait on a link.
    pub(super) fn open_on(&self, link: LinkId, sort: impl Fn(&Asked) -> bool) -> usize {
        let Some(connection) = self.links.get(&link) else { return 0 };
        let asked = connection.open.values().chain(connection.waiting.iter().map(|(_, asked)| asked));
        asked.filter(|asked| sort(asked)).count()
    }

    /// Sends what waits on every link.
    pub(super) fn flush_links(&mut self) {
        let mut failed = Vec::new();
        for (id, connection) in &mut self.links {
            if connection.link.is_open()
                && let Err(error) = connection.flush(self.now)
            {
                failed.push((*id, error));
            }
        }
        failed.into_iter().for_each(|(id, error)| self.drop_link(id, Some(error)));
    }

    pub(super) fn links_timeout(&mut self) {
        let now = self.now;
        let timed = self.links.iter_mut().map(|(id, connection)| (*id, connection.handle_timeout(now)));
        let failed: Vec<_> = timed.filter_map(|(id, outcome)| outcome.err().map(|error| (id, error))).collect();
        failed.into_iter().for_each(|(id, error)| self.drop_link(id, Some(error)));
    }

    /// A random generator for a link, seeded from this client's, so that a run replays from its seed.
    fn fork_rng(&mut self) -> crate::crypto::Random {
        crate::crypto::fork(&mut *self.rng)
    }

    fn route(&mut self, link: LinkId) -> Result<(), Error> {
        while let Some(event) = self.links.get_mut(&link).and_then(|connection| connection.link.poll_event()) {
            match event {
                LinkEvent::Verify { bundle, expired, .. } => self.verify(link, &bundle, expired)?,
                LinkEvent::Open { suite, remote, .. } => {
                    if let Some(connection) = self.links.get_mut(&link) {
                        connection.remote.clone_from(&remote);
                        connection.asked_at = self.now;
                    }
                    let remote = remote.as_ref();
                    let user = remote.and_then(|bundle| bundle.user().cloned());
                    match self.links.get_mut(&link).map(|connection| &mut connection.side) {
                        Some(Side::Relay { place, .. }) => {
                            if let Some(bundle) = remote {
                                let place = place.clone();
                                if self.account.relays.insert(place, bundle.fingerprint()) != Some(bundle.fingerprint())
                                {
                                    self.save_account();
                                }
                            }
                            self.tell(Event::LinkOpen { link, user: None, suite });
                            self.log_in_by_key()?;
                        }
                        Some(Side::Peer { .. }) => {
                            let bundle = remote.ok_or(PeerMisbehaved::BundleInconsistent)?.clone();
                            self.peer_open(link, &bundle)?;
                            self.tell(Event::LinkOpen { link, user, suite });
                        }
                        None => {}
                    }
                }
                LinkEvent::Data(data) => {
                    // It may hold the secret of one-time codes.
                    let data = Zeroizing::new(data);
                    self.receive(link, &data)?;
                }
                LinkEvent::Closed { code } => {
                    self.drop_link(link, None);
                    if code != CloseCode::Done as u8 {
                        self.tell(Event::ClosedByPeer { link, code: CloseCode::from_number(code) });
                    }
                }
            }
        }
        Ok(())
    }

    /// An identity that is not the pinned one: the application decides, unless it is a known contact's device.
    fn verify(&mut self, link: LinkId, bundle: &SignedBundle, expired: bool) -> Result<(), Error> {
        let Some(connection) = self.links.get_mut(&link) else { return Ok(()) };
        let fingerprint = bundle.fingerprint();
        let peer = matches!(connection.side, Side::Peer { .. });
        if peer && !expired && connection.expected.is_none() && self.is_contact(bundle) {
            let now = self.now;
            let connection = self.links.get_mut(&link).ok_or(ApiMisuse::NotConnected)?;
            return connection.link.accept(&fingerprint, now);
        }
        let expected = self.links.get(&link).and_then(|connection| connection.expected);
        self.tell(Event::Verify { link, user: bundle.user().cloned(), fingerprint, expected, expired });
        Ok(())
    }

    /// One message of the other side: whatever it says, it is there.
    fn receive(&mut self, link: LinkId, data: &[u8]) -> Result<(), Error> {
        if let Some(connection) = self.links.get_mut(&link) {
            connection.pinged = connection.pinged.map(|_| self.now);
        }
        let is_relay = self.links.get(&link).is_some_and(|connection| matches!(connection.side, Side::Relay { .. }));
        match Received::decode(data)? {
            Received::Push(push) if is_relay => self.pushed(link, push),
            Received::Request(id, request) if !is_relay => self.peer_asked(link, id, request),
            Received::Unknown { id, kind } if !is_relay && id != 0 && kind < 0x8000 => {
                self.refuse(link, id, RefusalCode::UnknownRequest)
            }
            Received::Reply(id, reply) => {
                let asked = self.answered(link, id)?;
                self.replied(link, asked, reply)
            }
            Received::Refused(id, refusal) => {
                let asked = self.answered(link, id)?;
                self.refused(link, asked, refusal);
                Ok(())
            }
            // A push of a kind that this version does not know is no fault.
            Received::Unknown { id: 0, .. } => Ok(()),
            _ => Err(PeerMisbehaved::UnexpectedReply.into()),
        }
    }

    fn answered(&mut self, link: LinkId, id: u32) -> Result<Asked, Error> {
        let asked = self.links.get_mut(&link).and_then(|connection| connection.answered(id));
        Ok(asked.ok_or(PeerMisbehaved::UnexpectedReply)?)
    }

    fn replied(&mut self, link: LinkId, asked: Asked, reply: Reply) -> Result<(), Error> {
        match (asked, reply) {
            (Asked::LogIn(_), Reply::Register(state) | Reply::LogIn(state) | Reply::LogInDevice(state)) => {
                self.logged_in(link, &state)
            }
            (Asked::Account(kind), Reply::Enter(_) | Reply::ChangePassword(_) | Reply::ConfirmCode(_)) => {
                self.tell(Event::Done { request: kind });
                Ok(())
            }
            (Asked::Account(_), Reply::SetUpCode(code)) => {
                self.tell(Event::CodeSecret { secret: SecretBytes::new(code.secret.as_bytes().to_vec()) });
                Ok(())
            }
            (Asked::PublishBundle(serial), Reply::PublishBundle(_)) => {
                self.bundle_published(serial);
                Ok(())
            }
            (Asked::PublishPrekeys(publication), Reply::PublishPrekeys(stock)) => {
                self.prekeys_published(&publication, stock);
                Ok(())
            }
            (Asked::PublishList(list), Reply::PublishList(_)) => self.list_published(&list),
            (Asked::Propose, Reply::ProposeList(_)) => Ok(()),
            (Asked::PeerLists(lists), Reply::FetchLists(page)) => self.peer_lists_came(link, lists, &page),
            (Asked::Lists(user), Reply::FetchLists(page)) => {
                if let Err(error) = self.lists_came(&user, &page) {
                    self.lookup_failed(&user, error);
                }
                Ok(())
            }
            (Asked::Keys(user), Reply::FetchKeys(keys)) => self.keys_came(&user, &keys),
            (Asked::Users(after), Reply::Users(page)) => self.users_came(&after, page),
            (Asked::Presence, Reply::SetPresence(_)) => Ok(()),
            (Asked::Send(copies), Reply::Send(sent)) => self.sent(&copies, &sent),
            (Asked::Transient, Reply::Send(_)) | (Asked::Acknowledge, Reply::Acknowledge(_)) => Ok(()),
            (Asked::CreateBlob(file), Reply::CreateBlob(_)) => {
                self.blob_created(&file);
                Ok(())
            }
            (Asked::PutChunk(file, index), Reply::PutChunk(_)) => {
                self.chunk_put(&file, index);
                Ok(())
            }
            (Asked::MissingChunks(file, from), Reply::MissingChunks(missing)) => {
                self.missing_came(&file, from, &missing)
            }
            (Asked::LearnChunk(file, index), Reply::GetChunk(chunk)) => {
                self.chunk_learnt(&file, index, &chunk.chunk);
                Ok(())
            }
            (Asked::GetChunk(file, index), Reply::GetChunk(chunk)) => {
                self.chunk_came(&file, index, &chunk.chunk);
                Ok(())
            }
            (Asked::Ping, Reply::Ping(_)) => {
                if let Some(connection) = self.links.get_mut(&link) {
                    connection.pinged = None;
                }
                Ok(())
            }
            (Asked::GroupEntry(group), Reply::GroupEntry(_)) => {
                self.entry_taken(group);
                Ok(())
            }
            (Asked::GroupLog(group, from), Reply::GroupLog(page)) => {
                self.log_came(group, from, &page);
                Ok(())
            }
            (Asked::Groups, Reply::Groups(page)) => {
                self.groups_came(&page);
                Ok(())
            }
            (Asked::SendGroup(numbers), Reply::Send(sent)) => self.group_sent(&numbers, &sent),
            (Asked::PastLists(user, lists), Reply::FetchLists(page)) => {
                self.past_came(user, lists, &page);
                Ok(())
            }
            (Asked::Whole(file), Reply::DeleteBlob(_)) => {
                self.whole_told(&file);
                Ok(())
            }
            (Asked::DeleteBlob(file), Reply::DeleteBlob(_)) => {
                self.blob_deleted(&file);
                Ok(())
            }
            _ => Err(PeerMisbehaved::UnexpectedReply.into()),
        }
    }

    fn refused(&mut self, link: LinkId, asked: Asked, refusal: Refusal) {
        match asked {
            Asked::Account(kind) => self.tell_refused(kind, refusal),
            Asked::LogIn(kind) => self.log_in_refused(link, kind, refusal),
            Asked::PublishBundle(_) | Asked::PublishPrekeys(_) => self.publishing_refused(refusal),
            Asked::PublishList(_) => self.list_refused(refusal),
            Asked::Propose => self.proposal_refused(refusal),
            Asked::Lists(user) | Asked::Keys(user) => self.lookup_refused(&user, refusal),
            Asked::Users(_) => self.tell_refused(RequestKind::Users, refusal),
            Asked::Presence => self.tell_refused(RequestKind::Presence, refusal),
            Asked::Send(copies) => self.send_refused(link, &copies, refusal),
            Asked::GroupEntry(group) => self.entry_refused(group, refusal),
            Asked::GroupLog(group, _) => self.log_refused(group, refusal),
            Asked::Groups => self.tell_refused(RequestKind::Group, refusal),
            Asked::SendGroup(numbers) => self.group_send_refused(link, &numbers, refusal),
            Asked::PastLists(user, _) => self.past_refused(user),
            Asked::Transient | Asked::Acknowledge | Asked::PeerLists(_) | Asked::Ping => {}
            Asked::CreateBlob(file) | Asked::MissingChunks(file, _) => self.upload_refused(&file, None, refusal),
            // What cannot be deleted now is tried again; what is not there or another's, never.
            Asked::DeleteBlob(_) if matches!(refusal.code, RefusalCode::RateLimited | RefusalCode::Unavailable) => {}
            Asked::DeleteBlob(file) => self.blob_deleted(&file),
            Asked::Whole(file) => self.whole_told(&file),
            Asked::PutChunk(file, index) | Asked::LearnChunk(file, index) => {
                self.upload_refused(&file, Some(index), refusal)
            }
            Asked::GetChunk(file, index) => self.chunk_refused(&file, index, refusal),
        }
    }

    /// A link is over. What was asked on it and not answered waits for the next one.
    pub(super) fn drop_link(&mut self, link: LinkId, error: Option<Error>) {
        let Some(connection) = self.links.remove(&link) else { return };
        let unanswered = connection.open.into_values().chain(connection.waiting.into_iter().map(|(_, asked)| asked));
        for asked in unanswered.collect::<Vec<_>>() {
            match asked {
                Asked::Send(copies) => {
                    copies.iter().for_each(|(number, device)| self.outbox.in_flight(*number, device, false));
                }
                Asked::SendGroup(numbers) => self.group_send_unanswered(&numbers),
                Asked::Acknowledge => {}
                Asked::GetChunk(file, index) => self.chunk_unanswered(&file, index),
                _ => {}
            }
        }
        if matches!(connection.side, Side::Relay { .. }) {
            self.contacts.lookups.reset();
            self.reset_publishing();
            self.reset_groups();
            self.uploads_unsettled();
        }
        self.inbox.reset(link);
        self.closing.insert(link, connection.link);
        self.tell(Event::LinkClosed { link, error });
    }

    pub(super) fn tell_refused(&mut self, request: RequestKind, refusal: Refusal) {
        self.tell(Event::Refused { request, code: refusal.code, retry_after: refusal.retry_after });
    }
}
