//! Keeping what the relay has of this device up to date: its bundle and its one-time prekeys (I3, I5, S6, S10).

use super::Client;
use super::links::Asked;
use crate::codec::{decode, encode_secret};
use crate::error::Error;
use crate::event::RequestKind;
use crate::identity::{LocalIdentity, SignedPrekey};
use crate::limits::DAY;
use crate::session::PrekeyPublication;
use crate::wire::{self, Bytes, PrekeyStock, Refusal, Request};
use std::sync::Arc;

/// How long to wait after the relay refused to take keys, or lost them, in milliseconds.
const RETRY_AFTER: u64 = 60_000;
/// How long to wait between two publications of prekeys, whatever the relay says of its stock, in milliseconds.
const PUBLISH_EVERY: u64 = 1_000;
/// Serials from here on are this device's own: a relay that claims one is not believed.
const SERIAL_BELIEVED: u64 = 1 << 62;

/// What is known of the keys at the relay, and what is being done about them. Made anew on every connection.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    /// What lies there; unknown until the login.
    stock: Option<Vec<PrekeyStock>>,
    /// Whether a request is open.
    asked: bool,
    /// Until when to leave it alone.
    rest: u64,
    /// Until when not to make another bundle, after that failed.
    renewal_rest: u64,
}

impl Client {
    /// What the relay has of this device, as it says at the login.
    pub(super) fn keys_at_relay(&mut self, state: &wire::LoggedIn) -> Result<(), Error> {
        let present = self.local.bundle.serial();
        let seen = (present..SERIAL_BELIEVED).contains(&state.serial);
        if seen && (state.serial != present || self.account.anew) {
            // The relay has seen more than this state remembers (S10), a bundle of the same number it may be: serial and
            // ids go above all that was there.
            self.account.serial_floor = self.account.serial_floor.max(state.serial);
            self.sessions.overtake_prekeys(&state.stock.kinds, self.now);
            self.renew_bundle()?;
        } else if state.serial < present {
            self.account.publish_bundle = true;
        }
        self.publishing = Publishing { stock: Some(state.stock.kinds.clone()), ..Publishing::default() };
        Ok(())
    }

    /// Makes the next bundle; it is published at the next occasion.
    pub(super) fn renew_bundle(&mut self) -> Result<(), Error> {
        let prekeys = self.sessions.last_resort_prekeys(self.now, &mut *self.rng)?;
        // The present one stays as it is for the links that hold it.
        let mut local: LocalIdentity = decode(&encode_secret(&*self.local))?;
        local.renew(&self.config.policy, prekeys, self.account.serial_floor, self.now)?;
        self.local = Arc::new(local);
        self.account.publish_bundle = true;
        self.save_identity();
        self.save_account();
        Ok(())
    }

    /// When the bundle is due for renewal: at half its life, or when its prekeys are 7 days old.
    pub(super) fn renewal_due(&self) -> u64 {
        self.local.renew_at().min(self.sessions.last_resort_due()).max(self.publishing.renewal_rest)
    }

    /// Publishes what is due.
    pub(super) fn publish_due(&mut self) {
        if self.now >= self.renewal_due() && self.renew_bundle().is_err() {
            // Only a counter at its end fails here; the present bundle goes on as long as it lasts.
            self.publishing.renewal_rest = self.now.saturating_add(DAY);
        }
        let Ok(link) = self.relay() else { return };
        if self.publishing.asked || self.now < self.publishing.rest {
            return;
        }
        if self.account.publish_bundle {
            let bundle = Bytes::from(self.local.bundle.bytes());
            let asked = Asked::PublishBundle(self.local.bundle.serial());
            self.ask(link, Request::PublishBundle(wire::PublishBundle { bundle }), asked);
            self.publishing.asked = true;
            return;
        }
        let stock = match self.publishing.stock.take() {
            Some(stock) => stock,
            // Those that lie there have come to their end: others take their place.
            None if self.sessions.prekeys_expired() => Vec::new(),
            None => return,
        };
        let local = self.local.clone();
        let rng = &mut *self.rng;
        let due = self.sessions.prekeys_to_publish(&local, &stock, self.now, rng);
        if let Ok(Some(publication)) = due {
            let prekeys = publication.prekeys.iter().map(|prekey| Bytes::from(prekey.bytes())).collect();
            let request = wire::PublishPrekeys { replace: publication.replace, prekeys };
            let publication = Box::new(publication);
            self.ask(link, Request::PublishPrekeys(request), Asked::PublishPrekeys(publication));
            self.publishing.asked = true;
        }
    }

    pub(super) fn bundle_published(&mut self, serial: u64) {
        self.publishing.asked = false;
        // Meanwhile there may be a newer one.
        self.account.publish_bundle = self.local.bundle.serial() > serial;
        self.account.anew &= self.account.publish_bundle;
        self.save_account();
    }

    pub(super) fn prekeys_published(&mut self, publication: &PrekeyPublication, stock: wire::Stock) {
        self.publishing.asked = false;
        // One that says that it never saw what it just took is not given the same for ever.
        let arrived = |prekey: &SignedPrekey| {
            let (kind, id) = (prekey.prekey().kind().id(), prekey.prekey().id());
            stock.kinds.iter().any(|stock| stock.kind == kind && stock.highest >= id)
        };
        let wait = if publication.prekeys.iter().all(arrived) { PUBLISH_EVERY } else { RETRY_AFTER };
        self.publishing.rest = self.now.saturating_add(wait);
        self.publishing.stock = Some(stock.kinds);
        self.sessions.prekeys_published(publication, self.now);
    }

    /// The relay has few one-time prekeys left.
    pub(super) fn prekeys_low(&mut self, low: wire::PrekeysLow) {
        let stock = self.publishing.stock.get_or_insert_default();
        stock.retain(|known| known.kind != low.kind);
        stock.push(PrekeyStock { kind: low.kind, left: low.left, highest: 0 });
    }

    pub(super) fn publishing_refused(&mut self, refusal: Refusal) {
        self.publishing.asked = false;
        let wait = refusal.wait(RETRY_AFTER);
        self.publishing.rest = self.now.saturating_add(wait);
        self.tell_refused(RequestKind::Publish, refusal);
    }

    /// When publishing may be tried again.
    pub(super) fn publishing_rest(&self) -> Option<u64> {
        Some(self.publishing.rest).filter(|rest| *rest > self.now)
    }

    /// The connection ended: what lies at the relay is unknown again.
    pub(super) fn reset_publishing(&mut self) {
        self.publishing = Publishing::default();
    }
}
