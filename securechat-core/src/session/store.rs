//! All sessions of this device: what is kept, how it is saved, and what time does to it.

use super::envelope::SessionId;
use super::peer::Peer;
use super::prekey::{PrekeyPublication, Prekeys};
use super::state::Session;
use crate::codec;
use crate::error::{ApiMisuse, Error};
use crate::identity::{Identity, LocalIdentity, PrekeyKind, PrekeyPublic, SignedBundle};
use crate::limits::{ENDED_PEERS_KEPT, Limits, SESSIONS_PER_DEVICE};
use crate::record::{Changes, Records};
use crate::suite::{Policy, Suite};
use crate::wire::PrekeyStock;
use core::fmt;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The sessions with all devices, and this device's prekeys.
///
/// After any call that takes `&mut self`, [`save`](Self::save) gives the records that changed; they must be durable
/// before an envelope that was sealed leaves, and before one that was opened is acknowledged (S10).
pub struct Sessions {
    pub(super) policy: Policy,
    limits: Arc<Limits>,
    pub(super) meta: Meta,
    pub(super) peers: BTreeMap<Identity, Peer>,
    /// Boxed, because a node of the map has room for eleven from the first on.
    pub(super) sessions: BTreeMap<SessionId, Box<Session>>,
    pub(super) prekeys: Prekeys,
    pub(super) changed: Changed,
    /// Nothing is due before this.
    deadline: Option<u64>,
}

/// What belongs to no device: the record `sessions/meta`.
#[derive(Serialize, Deserialize)]
pub(super) struct Meta {
    version: u8,
    /// How often this state was restored (S10).
    pub(super) restores: u32,
    /// The suites that this device's bundles have listed (S5).
    pub(super) suites: BTreeSet<u16>,
}

/// Which records have changed.
#[derive(Default)]
pub(super) struct Changed {
    pub(super) meta: bool,
    pub(super) peers: BTreeSet<Identity>,
    pub(super) sessions: BTreeSet<SessionId>,
    /// Keys of records whose session is gone.
    gone: Vec<String>,
}

/// The version of the records.
const VERSION: u8 = 1;
const META: &str = "sessions/meta";
const PEER: &str = "peer/";
const SESSION: &str = "session/";

impl Sessions {
    /// No sessions and no prekeys. Sessions are opened with the first suite of `policy` that the other side accepts,
    /// and accepted with any of it.
    pub fn new(policy: Policy, limits: Arc<Limits>) -> Self {
        Self {
            policy,
            limits,
            meta: Meta { version: VERSION, restores: 0, suites: BTreeSet::new() },
            peers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            prekeys: Prekeys::new(),
            changed: Changed { meta: true, ..Changed::default() },
            deadline: None,
        }
    }

    /// The state that these records hold; what has not been saved starts empty.
    ///
    /// Fails with `Record` or an `InvalidMessage` for records that [`save`](Self::save) did not write.
    pub fn restore(policy: Policy, limits: Arc<Limits>, records: &Records) -> Result<Self, Error> {
        let mut all = Self::new(policy, limits);
        if let Some(record) = records.get(META) {
            all.meta = codec::decode(record)?;
            all.changed.meta = false;
        }
        if all.meta.version != VERSION {
            return Err(ApiMisuse::Record.into());
        }
        all.prekeys = Prekeys::restore(records)?;
        for (key, record) in records.with_prefix(PEER) {
            let peer: Peer = codec::decode(record)?;
            all.peers.insert(parse_identity(key).ok_or(ApiMisuse::Record)?, peer);
        }
        // A session's own record comes first, those beside it follow.
        let mut rest = records.with_prefix(SESSION).peekable();
        while let Some((key, record)) = rest.next() {
            let id = SessionId::from_hex(key).ok_or(ApiMisuse::Record)?;
            let mut beside = Vec::new();
            while let Some((key, record)) = rest.next_if(|(next, _)| next.len() > key.len() && next.starts_with(key)) {
                beside.push((key.get(33..).unwrap_or_default(), record));
            }
            let session = Session::restore(record, beside.into_iter())?;
            all.peers.get_mut(&session.peer).ok_or(ApiMisuse::Record)?.sessions.push(id);
            all.sessions.insert(id, Box::new(session));
        }
        all.find_deadline();
        Ok(all)
    }

    /// Notes in `changes` every record that changed since the last call.
    pub fn save(&mut self, changes: &mut Changes) {
        let changed = core::mem::take(&mut self.changed);
        for key in changed.gone {
            changes.remove(key);
        }
        if changed.meta {
            changes.put(META, codec::encode_secret(&self.meta));
        }
        for identity in changed.peers {
            match self.peers.get(&identity) {
                Some(peer) => changes.put(format!("{PEER}{identity}"), codec::encode_secret(peer)),
                None => changes.remove(format!("{PEER}{identity}")),
            }
        }
        for id in changed.sessions {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.save(id, changes);
            }
        }
        self.prekeys.save(changes);
    }

    /// Another policy, for sessions from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Notes the suites of this device's bundle: a session may be opened here only with one that a bundle listed (S5).
    ///
    /// [`open`](Self::open) and [`open_to`](Self::open_to) do so themselves with the bundle they are given.
    pub fn note_bundle(&mut self, bundle: &SignedBundle) {
        for suite in &bundle.bundle().suites {
            self.changed.meta |= self.meta.suites.insert(*suite);
        }
    }

    /// The state comes from a backup or a copy (S10): every session there is only receives from now on, and the next
    /// message to each device needs a new one; one-time prekeys are erased and last-resort ones replaced, so the host
    /// makes and publishes a new bundle and prekeys, with a serial above all that the relay returns.
    pub fn mark_restored(&mut self, now: u64) {
        self.meta.restores = self.meta.restores.saturating_add(1);
        self.changed.meta = true;
        for (identity, peer) in &mut self.peers {
            peer.mark_restored();
            self.changed.peers.insert(*identity);
        }
        for (id, session) in &mut self.sessions {
            session.mark_restored();
            self.changed.sessions.insert(*id);
        }
        self.prekeys.mark_restored(now);
        self.find_deadline();
    }

    /// A device goes on from an older copy of its state: the sessions with it only receive from now on, but the one that
    /// told it.
    pub fn peer_restored(&mut self, identity: &Identity, told_by: Option<SessionId>) {
        let ids: Vec<_> = self.peers.get(identity).into_iter().flat_map(|peer| &peer.sessions).copied().collect();
        for id in ids.into_iter().filter(|id| Some(*id) != told_by) {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.mark_restored();
                self.changed.sessions.insert(id);
            }
        }
    }

    /// A device was revoked: its sessions end (I6). The order of its sessions is remembered.
    pub fn end_device(&mut self, identity: &Identity, now: u64) {
        let ids: Vec<_> = self.peers.get(identity).into_iter().flat_map(|peer| &peer.sessions).copied().collect();
        for id in ids {
            self.drop_session(id, now);
        }
    }

    /// The devices with which there are sessions, in order.
    pub fn devices(&self) -> impl Iterator<Item = Identity> + '_ {
        self.peers.iter().filter(|(_, peer)| !peer.sessions.is_empty()).map(|(identity, _)| *identity)
    }

    /// The last-resort prekeys for a bundle that is to be published now, one of each kind that the policy's suites
    /// need. One that is missing or 7 days old is made anew, and the private half of the old erased 30 days later (S6).
    pub fn last_resort_prekeys(&mut self, now: u64, rng: &mut dyn CryptoRng) -> Result<Vec<PrekeyPublic>, Error> {
        let publics = self.prekeys.last_resort(&self.prekey_kinds(), now, rng);
        self.note_deadline(self.prekeys.timeout());
        publics
    }

    /// Whether one-time prekeys that were published are erased here, so that others have to take their place.
    pub fn prekeys_expired(&self) -> bool {
        self.prekeys.wants_replacing()
    }

    /// From when on a new bundle should be made because of the age of its prekeys.
    pub fn last_resort_due(&self) -> u64 {
        self.prekeys.last_resort_due(&self.prekey_kinds())
    }

    /// One-time prekeys to publish, given what lies at the relay: until there are [`Limits::prekeys_per_device`] of
    /// each kind that the policy's suites need, in steps of 40. None when nothing is to be done.
    ///
    /// Called with the stock of a login and of every reply to a publication, it repeats what did not arrive.
    pub fn prekeys_to_publish(
        &mut self,
        local: &LocalIdentity,
        stock: &[PrekeyStock],
        now: u64,
        rng: &mut dyn CryptoRng,
    ) -> Result<Option<PrekeyPublication>, Error> {
        let (kinds, per_device) = (self.prekey_kinds(), self.limits.prekeys_per_device);
        let publication = self.prekeys.publication(local, &kinds, stock, per_device, now, rng);
        self.note_deadline(self.prekeys.timeout());
        publication
    }

    /// The relay took a publication. What it replaced is kept for those who were given some of it: 30 days more.
    pub fn prekeys_published(&mut self, publication: &PrekeyPublication, now: u64) {
        if publication.replace {
            self.prekeys.replaced(publication, now);
            self.note_deadline(self.prekeys.timeout());
        }
    }

    /// The relay has seen prekeys that this state does not remember: the next ones are far above them, and the last-resort
    /// ones are replaced (S10).
    pub fn overtake_prekeys(&mut self, stock: &[PrekeyStock], now: u64) {
        self.prekeys.overtake(stock, now);
        self.note_deadline(self.prekeys.timeout());
    }

    /// The relay has seen prekeys of this device up to these ids; new ones are above (S10).
    pub fn note_stock(&mut self, stock: &[PrekeyStock]) {
        self.prekeys.raise(stock);
    }

    fn prekey_kinds(&self) -> Vec<PrekeyKind> {
        let needed =
            |kind: &PrekeyKind| self.policy.suites().iter().any(|suite| PrekeyKind::for_suite(*suite) == *kind);
        PrekeyKind::ALL.into_iter().filter(needed).collect()
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called, Unix milliseconds. It may have nothing to do then.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.deadline
    }

    /// Erases what has been kept long enough: superseded sessions, skipped keys, prekeys.
    pub fn handle_timeout(&mut self, now: u64) {
        if self.deadline.is_none_or(|at| now < at) {
            return;
        }
        let over = |session: &Session| session.erased_at().is_some_and(|at| at <= now);
        let gone: Vec<_> = self.sessions.iter().filter(|(_, session)| over(session)).map(|(id, _)| *id).collect();
        for id in gone {
            self.drop_session(id, now);
        }
        for (id, session) in &mut self.sessions {
            if session.expire(now) {
                self.changed.sessions.insert(*id);
            }
        }
        self.prekeys.expire(now);
        self.find_deadline();
    }

    /// Takes in a new session, and lets the first to go make room where a device has too many (S7).
    pub(super) fn insert(&mut self, id: SessionId, session: Session, now: u64) {
        let identity = session.peer;
        let restores = self.meta.restores;
        let peer = self.peers.entry(identity).or_insert_with(|| Peer::new(restores));
        peer.add(id, session.order);
        self.changed.peers.insert(identity);
        self.sessions.insert(id, Box::new(session));
        self.touched(id);
        while let Some(peer) = self.peers.get(&identity).filter(|peer| peer.sessions.len() > SESSIONS_PER_DEVICE) {
            let Some(first) = peer.first_to_go(&self.sessions) else { return };
            self.drop_session(first, now);
        }
    }

    /// A session changed.
    pub(super) fn touched(&mut self, id: SessionId) {
        self.changed.sessions.insert(id);
        self.note_deadline(self.sessions.get(&id).and_then(|session| session.timeout()));
    }

    fn drop_session(&mut self, id: SessionId, now: u64) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.changed.gone.extend(session.record_keys(id));
        if let Some(peer) = self.peers.get_mut(&session.peer) {
            peer.sessions.retain(|other| *other != id);
            if peer.sessions.is_empty() {
                peer.ended = Some(now);
                self.changed.peers.insert(session.peer);
                self.forget_ended();
            }
        }
    }

    /// Keeps the number of devices without sessions in bounds; the one that ended first goes first.
    fn forget_ended(&mut self) {
        let ended = || self.peers.iter().filter_map(|(identity, peer)| peer.ended.map(|at| (at, *identity)));
        if ended().count() > ENDED_PEERS_KEPT
            && let Some((_, first)) = ended().min()
        {
            self.peers.remove(&first);
            self.changed.peers.insert(first);
        }
    }

    fn note_deadline(&mut self, at: Option<u64>) {
        self.deadline = self.deadline.into_iter().chain(at).min();
    }

    fn find_deadline(&mut self) {
        self.deadline =
            self.sessions.values().filter_map(|session| session.timeout()).chain(self.prekeys.timeout()).min();
    }

    /// The suites of a bundle that this device's policy allows, in the policy's order (S1).
    pub(crate) fn suite_for(&self, bundle: &SignedBundle) -> Option<Suite> {
        self.policy.first_of(&bundle.bundle().suites)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sessions")
            .field("policy", &self.policy)
            .field("sessions", &self.sessions.keys())
            .finish_non_exhaustive()
    }
}

/// An identity as it is written in the key of a record.
fn parse_identity(hex: &str) -> Option<Identity> {
    let mut bytes = [0; 32];
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Identity::from_bytes(bytes)).filter(|identity| identity.to_string() == hex)
}
