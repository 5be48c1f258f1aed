//! This device's prekeys: the private halves of what it publishes (I5, S6).

use super::envelope::SessionId;
use crate::codec;
use crate::crypto::mlkem::DecapsulationKey;
use crate::crypto::secret::Secret;
use crate::crypto::x25519;
use crate::error::{ApiMisuse, Error, InvalidMessage, PeerMisbehaved};
use crate::identity::{Identity, LocalIdentity, PrekeyKind, PrekeyPublic, SignedPrekey};
use crate::limits::{
    LAST_RESORT_AGE, LAST_RESORT_KEPT, ONE_TIME_KEPT, ONE_TIME_LIFE, OPENED_PER_LAST_RESORT, PREKEY_IDS_AFTER_RESTORE,
    PREKEYS_PER_PUBLISH,
};
use crate::record::{Changes, Records};
use crate::wire::PrekeyStock;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What to publish next: at most 40 one-time prekeys, by rising id within a kind.
#[derive(Clone, Debug)]
pub struct PrekeyPublication {
    /// Whether those published before are to be dropped, because private halves of them are gone.
    pub replace: bool,
    /// The prekeys.
    pub prekeys: Vec<SignedPrekey>,
}

/// All prekeys of this device.
pub(super) struct Prekeys {
    keys: BTreeMap<Id, Prekey>,
    ids: Ids,
    changed: BTreeSet<Id>,
    /// Session ids newly listed under a last-resort prekey, or no longer.
    listed: BTreeSet<(Id, SessionId)>,
    ids_changed: bool,
}

pub(super) type Id = (PrekeyKind, u32);

/// What outlives the keys: the record `sessions/prekeys`.
#[derive(Default, Serialize, Deserialize)]
struct Ids {
    /// The next id of each kind; one space for both purposes, and none is given twice (I5).
    next: BTreeMap<PrekeyKind, u32>,
    /// Whether one-time prekeys that may lie at the relay have lost their private halves.
    replace: bool,
}

/// The private half of one prekey: the record `prekey/<kind>/<id>`.
#[derive(Serialize, Deserialize)]
pub(super) struct Prekey {
    created: u64,
    x25519: x25519::PrivateKey,
    /// The seed of the ML-KEM key, in the hybrid kind.
    mlkem: Option<Secret<64>>,
    purpose: Purpose,
}

#[derive(Serialize, Deserialize)]
enum Purpose {
    OneTime,
    /// Boxed, because of the others there are a hundred and more.
    LastResort(Box<LastResort>),
    /// A one-time prekey that the relay gives to nobody any more, since then: another publication took its place. Who was
    /// given it before may still open a session with it.
    Withdrawn(u64),
}

#[derive(Default, Serialize, Deserialize)]
struct LastResort {
    /// Since when a newer one has its place.
    replaced: Option<u64>,
    /// The sessions opened with it: records `prekey/<kind>/<id>/<session>`.
    #[serde(skip)]
    sessions: BTreeMap<SessionId, Identity>,
}

impl Purpose {
    fn last_resort() -> Self {
        Self::LastResort(Box::default())
    }
}

impl Prekey {
    fn generate(kind: PrekeyKind, purpose: Purpose, now: u64, rng: &mut dyn CryptoRng) -> Self {
        let x25519 = x25519::PrivateKey::generate(rng);
        let mlkem = (kind == PrekeyKind::Hybrid).then(|| Secret::random(rng));
        Self { created: now, x25519, mlkem, purpose }
    }

    /// The X25519 half: `e` of the handshake's pre-message.
    pub(super) fn x25519(&self) -> &x25519::PrivateKey {
        &self.x25519
    }

    /// The ML-KEM half: `e1`, in the hybrid kind.
    pub(super) fn mlkem(&self) -> Option<DecapsulationKey> {
        self.mlkem.as_ref().map(DecapsulationKey::from_seed)
    }

    fn public(&self, id: u32) -> PrekeyPublic {
        let mlkem = self.mlkem().map(|key| key.encapsulation_key());
        PrekeyPublic::new(id, self.x25519.public(), mlkem)
    }

    fn last_resort(&self) -> Option<&LastResort> {
        if let Purpose::LastResort(last_resort) = &self.purpose { Some(last_resort) } else { None }
    }

    fn last_resort_mut(&mut self) -> Option<&mut LastResort> {
        if let Purpose::LastResort(last_resort) = &mut self.purpose { Some(last_resort) } else { None }
    }

    fn is_last_resort(&self) -> bool {
        self.last_resort().is_some()
    }

    /// Whether it is the last-resort prekey that new bundles name.
    fn is_present(&self) -> bool {
        self.last_resort().is_some_and(|last_resort| last_resort.replaced.is_none())
    }

    /// Who opened that session with it, where it is a last-resort prekey.
    fn opener(&self, session: &SessionId) -> Option<&Identity> {
        self.last_resort()?.sessions.get(session)
    }

    /// When its private half is to be erased.
    fn erased_at(&self) -> Option<u64> {
        let end = self.created.saturating_add(ONE_TIME_LIFE);
        match &self.purpose {
            Purpose::OneTime => Some(end),
            Purpose::Withdrawn(since) => Some(since.saturating_add(LAST_RESORT_KEPT).min(end)),
            Purpose::LastResort(last_resort) => {
                last_resort.replaced.map(|since| since.saturating_add(LAST_RESORT_KEPT))
            }
        }
    }
}

impl Prekeys {
    pub(super) fn new() -> Self {
        Self::with(Ids::default())
    }

    fn with(ids: Ids) -> Self {
        Self { keys: BTreeMap::new(), ids, changed: BTreeSet::new(), listed: BTreeSet::new(), ids_changed: false }
    }

    /// The prekey that a first message names; not one that has this session listed (S5).
    ///
    /// Fails with `Prekey` when it is unknown or was used, and with `Replay`.
    pub(super) fn find(&self, kind: PrekeyKind, id: u32, session: SessionId) -> Result<&Prekey, PeerMisbehaved> {
        let prekey = self.keys.get(&(kind, id)).ok_or(PeerMisbehaved::Prekey)?;
        if prekey.opener(&session).is_some() { Err(PeerMisbehaved::Replay) } else { Ok(prekey) }
    }

    /// Whether a device may open one more session with this prekey. A last-resort prekey serves often, but not without end.
    pub(super) fn has_room(&self, kind: PrekeyKind, id: u32, peer: &Identity) -> Result<(), PeerMisbehaved> {
        let prekey = self.keys.get(&(kind, id)).ok_or(PeerMisbehaved::Prekey)?;
        let openers = prekey.last_resort().into_iter().flat_map(|last_resort| last_resort.sessions.values());
        let opened = openers.filter(|identity| *identity == peer).count();
        if opened < OPENED_PER_LAST_RESORT { Ok(()) } else { Err(PeerMisbehaved::LimitExceeded) }
    }

    /// A session was opened with a prekey: a one-time one is erased, under a last-resort one the session is listed.
    pub(super) fn used(&mut self, kind: PrekeyKind, id: u32, session: SessionId, peer: Identity) {
        let id = (kind, id);
        match self.keys.get_mut(&id).and_then(Prekey::last_resort_mut) {
            Some(last_resort) => {
                last_resort.sessions.insert(session, peer);
                self.listed.insert((id, session));
            }
            None => self.erase(id),
        }
    }

    fn erase(&mut self, id: Id) {
        if let Some(prekey) = self.keys.remove(&id) {
            let sessions = prekey.last_resort().into_iter().flat_map(|last_resort| last_resort.sessions.keys());
            self.listed.extend(sessions.map(|session| (id, *session)));
            self.changed.insert(id);
        }
    }

    fn add(&mut self, kind: PrekeyKind, prekey: Prekey) -> Result<u32, Error> {
        let next = self.ids.next.entry(kind).or_insert(1);
        let id = *next;
        *next = id.checked_add(1).ok_or(PeerMisbehaved::CounterExhausted)?;
        self.ids_changed = true;
        self.changed.insert((kind, id));
        self.keys.insert((kind, id), prekey);
        Ok(id)
    }

    /// The last-resort prekeys for a new bundle; one that is missing or 7 days old is made anew (S6).
    pub(super) fn last_resort(
        &mut self,
        kinds: &[PrekeyKind],
        now: u64,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<PrekeyPublic>, Error> {
        let mut publics = Vec::new();
        for kind in kinds {
            let present = self.present(*kind);
            let id = match present.filter(|(_, prekey)| now.saturating_sub(prekey.created) < LAST_RESORT_AGE) {
                Some((id, _)) => id,
                None => {
                    let replaced = present.map(|(id, _)| id);
                    let fresh = Prekey::generate(*kind, Purpose::last_resort(), now, rng);
                    let id = self.add(*kind, fresh)?;
                    if let Some(replaced) = replaced {
                        self.replace((*kind, replaced), now);
                    }
                    id
                }
            };
            publics.extend(self.keys.get(&(*kind, id)).map(|prekey| prekey.public(id)));
        }
        Ok(publics)
    }

    fn present(&self, kind: PrekeyKind) -> Option<(u32, &Prekey)> {
        let mut of_kind = self.keys.range((kind, 0)..=(kind, u32::MAX));
        of_kind.rfind(|(_, prekey)| prekey.is_present()).map(|((_, id), prekey)| (*id, prekey))
    }

    fn replace(&mut self, id: Id, now: u64) {
        if let Some(last_resort) = self.keys.get_mut(&id).and_then(Prekey::last_resort_mut) {
            last_resort.replaced = Some(now);
            self.changed.insert(id);
        }
    }

    /// When a new bundle is due because of the age of its prekeys; 0 if one was never made.
    pub(super) fn last_resort_due(&self, kinds: &[PrekeyKind]) -> u64 {
        let due = |kind| self.present(kind).map_or(0, |(_, prekey)| prekey.created.saturating_add(LAST_RESORT_AGE));
        kinds.iter().copied().map(due).min().unwrap_or(u64::MAX)
    }

    /// One-time prekeys to publish, given what lies at the relay. None when there is nothing to do.
    pub(super) fn publication(
        &mut self,
        local: &LocalIdentity,
        kinds: &[PrekeyKind],
        stock: &[PrekeyStock],
        per_device: usize,
        now: u64,
        rng: &mut dyn CryptoRng,
    ) -> Result<Option<PrekeyPublication>, Error> {
        self.raise(stock);
        let share = PREKEYS_PER_PUBLISH / kinds.len().max(1);
        let mut prekeys = Vec::new();
        for kind in kinds {
            let at_relay = stock.iter().find(|stock| stock.kind == kind.id());
            let (left, highest) = at_relay.map_or((0, 0), |stock| (stock.left as usize, stock.highest));
            let wanted = per_device.saturating_sub(if self.ids.replace { 0 } else { left }).min(share);
            for id in self.one_time_above(*kind, highest, wanted, now, rng)? {
                if let Some(prekey) = self.keys.get(&(*kind, id)) {
                    prekeys.push(SignedPrekey::sign(&local.keys.identity, local.bundle.device(), prekey.public(id))?);
                }
            }
        }
        let publication = PrekeyPublication { replace: self.ids.replace, prekeys };
        Ok(Some(publication).filter(|publication| publication.replace || !publication.prekeys.is_empty()))
    }

    /// Ids of `wanted` one-time prekeys that the relay has not seen: first those that did not arrive there, then new ones.
    fn one_time_above(
        &mut self,
        kind: PrekeyKind,
        highest: u32,
        wanted: usize,
        now: u64,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u32>, Error> {
        let one_time = |prekey: &Prekey| matches!(prekey.purpose, Purpose::OneTime);
        let of_kind = self.keys.range((kind, 0)..=(kind, u32::MAX));
        let held = of_kind.filter(|(_, prekey)| !prekey.is_last_resort()).count();
        let unseen = self.keys.range((kind, highest.saturating_add(1))..=(kind, u32::MAX));
        let mut ids: Vec<u32> =
            unseen.filter(|(_, prekey)| one_time(prekey)).map(|((_, id), _)| *id).take(wanted).collect();
        let fresh = wanted.saturating_sub(ids.len()).min(ONE_TIME_KEPT.saturating_sub(held));
        for _ in 0..fresh {
            ids.push(self.add(kind, Prekey::generate(kind, Purpose::OneTime, now, rng))?);
        }
        if fresh > 0 {
            // A map that grows at its end leaves its nodes half empty; one that is made of a row has them full.
            self.keys = core::mem::take(&mut self.keys).into_iter().collect();
        }
        Ok(ids)
    }

    /// Whether what was published before is to be replaced.
    pub(super) fn wants_replacing(&self) -> bool {
        self.ids.replace
    }

    /// The relay has taken a publication that replaced those before.
    pub(super) fn replaced(&mut self, publication: &PrekeyPublication, now: u64) {
        self.ids_changed |= core::mem::take(&mut self.ids.replace);
        for kind in PrekeyKind::ALL {
            let of_kind = publication.prekeys.iter().map(SignedPrekey::prekey).filter(|prekey| prekey.kind() == kind);
            let Some(first) = of_kind.map(PrekeyPublic::id).min() else { continue };
            for (id, prekey) in self.keys.range_mut((kind, 0)..(kind, first)) {
                if matches!(prekey.purpose, Purpose::OneTime) {
                    prekey.purpose = Purpose::Withdrawn(now);
                    self.changed.insert(*id);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn one_time_held(&self) -> usize {
        self.keys.values().filter(|prekey| !prekey.is_last_resort()).count()
    }

    /// Goes on above the ids that the relay has seen. It has no say beyond half of the id space.
    pub(super) fn raise(&mut self, stock: &[PrekeyStock]) {
        for stock in stock {
            let Some(kind) = PrekeyKind::from_id(stock.kind) else { continue };
            let next = self.ids.next.entry(kind).or_insert(1);
            if (*next..1 << 31).contains(&stock.highest) {
                *next = stock.highest + 1;
                self.ids_changed = true;
            }
        }
    }

    /// S10: one-time prekeys are erased, last-resort ones replaced at the next occasion, under ids far above.
    pub(super) fn mark_restored(&mut self, now: u64) {
        let one_time = self.keys.iter().filter(|(_, prekey)| !prekey.is_last_resort()).map(|(id, _)| *id);
        one_time.collect::<Vec<_>>().into_iter().for_each(|id| self.erase(id));
        self.go_above(now);
    }

    /// S10: what lies at the relay is not from this state. What is made next is far above it.
    pub(super) fn overtake(&mut self, stock: &[PrekeyStock], now: u64) {
        self.raise(stock);
        self.go_above(now);
    }

    fn go_above(&mut self, now: u64) {
        let present = self.keys.iter().filter(|(_, prekey)| prekey.is_present()).map(|(id, _)| *id);
        present.collect::<Vec<_>>().into_iter().for_each(|id| self.replace(id, now));
        for kind in PrekeyKind::ALL {
            let next = self.ids.next.entry(kind).or_insert(1);
            *next = next.saturating_add(PREKEY_IDS_AFTER_RESTORE);
        }
        self.ids.replace = true;
        self.ids_changed = true;
    }

    /// Erases what was kept long enough.
    pub(super) fn expire(&mut self, now: u64) {
        let due = |prekey: &Prekey| prekey.erased_at().is_some_and(|at| at <= now);
        let expired: Vec<_> = self.keys.iter().filter(|(_, prekey)| due(prekey)).map(|(id, _)| *id).collect();
        for id in expired {
            let published = self.keys.get(&id).is_some_and(|prekey| matches!(prekey.purpose, Purpose::OneTime));
            self.ids.replace |= published;
            self.ids_changed |= published;
            self.erase(id);
        }
    }

    /// When the next one has been kept long enough.
    pub(super) fn timeout(&self) -> Option<u64> {
        self.keys.values().filter_map(Prekey::erased_at).min()
    }

    /// Notes the records that changed.
    pub(super) fn save(&mut self, changes: &mut Changes) {
        for id in core::mem::take(&mut self.changed) {
            match self.keys.get(&id) {
                Some(prekey) => changes.put(record_key(id), codec::encode_secret(prekey)),
                None => changes.remove(record_key(id)),
            }
        }
        for (id, session) in core::mem::take(&mut self.listed) {
            let key = format!("{}/{session}", record_key(id));
            match self.keys.get(&id).and_then(|prekey| prekey.opener(&session)) {
                Some(peer) => changes.put(key, codec::encode_secret(peer)),
                None => changes.remove(key),
            }
        }
        if core::mem::take(&mut self.ids_changed) {
            changes.put(IDS, codec::encode_secret(&self.ids));
        }
    }

    /// Puts a key of a vector among those that were published.
    #[cfg(test)]
    pub(super) fn put(
        &mut self,
        id: Id,
        one_time: bool,
        x25519: x25519::PrivateKey,
        mlkem: Option<Secret<64>>,
        now: u64,
    ) {
        let purpose = if one_time { Purpose::OneTime } else { Purpose::last_resort() };
        self.keys.insert(id, Prekey { created: now, x25519, mlkem, purpose });
    }

    /// Restores from `sessions/prekeys` and all of `prekey/`.
    pub(super) fn restore(records: &Records) -> Result<Self, Error> {
        let mut prekeys = Self::with(records.get(IDS).map(codec::decode).transpose()?.unwrap_or_default());
        // In the order of the keys a prekey comes before the sessions listed under it.
        for (key, record) in records.with_prefix(PREFIX) {
            let (id, session) = parse_key(key).ok_or(ApiMisuse::Record)?;
            match session {
                None => {
                    let prekey: Prekey = codec::decode(record)?;
                    if prekey.mlkem.is_some() != (id.0 == PrekeyKind::Hybrid) {
                        return Err(InvalidMessage::UnknownValue.into());
                    }
                    prekeys.keys.insert(id, prekey);
                }
                Some(session) => {
                    let last_resort = prekeys.keys.get_mut(&id).and_then(Prekey::last_resort_mut);
                    last_resort.ok_or(ApiMisuse::Record)?.sessions.insert(session, codec::decode(record)?);
                }
            }
        }
        Ok(prekeys)
    }
}

const PREFIX: &str = "prekey/";
const IDS: &str = "sessions/prekeys";

fn record_key((kind, id): Id) -> String {
    format!("{PREFIX}{}/{id}", kind.id())
}

/// What follows `prekey/`: `<kind>/<id>` or `<kind>/<id>/<session>`.
fn parse_key(key: &str) -> Option<(Id, Option<SessionId>)> {
    let (kind, rest) = key.split_once('/')?;
    let kind = PrekeyKind::from_id(kind.parse().ok()?)?;
    match rest.split_once('/') {
        None => Some(((kind, rest.parse().ok()?), None)),
        Some((id, session)) => Some(((kind, id.parse().ok()?), Some(SessionId::from_hex(session)?))),
    }
}
