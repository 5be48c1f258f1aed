//! The way out: sessions opened to a device, and content sealed for it.

use super::envelope::{Opening, SessionId};
use super::handshake;
use super::peer::Peer;
use super::state::Session;
use super::store::Sessions;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::identity::{Identity, LocalIdentity, PrekeyKind, PrekeyPublic, SignedBundle, SignedPrekey};
use crate::suite::Suite;
use rand_core::CryptoRng;

impl Sessions {
    /// Whether [`seal`](Self::seal) has a session with this device to seal in; if not, one has to be opened first.
    pub fn can_send(&self, to: &Identity) -> bool {
        self.sending(to).is_some()
    }

    /// Whether a replacement session may be opened to this device now: one per hour (S8).
    pub fn can_replace(&self, to: &Identity, now: u64) -> bool {
        self.peers.get(to).is_none_or(|peer| peer.may_replace(now))
    }

    /// Opens a session to the device of `bundle`, with the first suite of the policy that it accepts (S1).
    ///
    /// The caller has found the bundle valid and its device listed. `one_time` is the one-time prekey that came with
    /// it; one of another kind than the suite needs is not used, and the last-resort prekey of the bundle takes its
    /// place. `replacement` is for a session after a message that did not open (S8).
    ///
    /// Fails with `NoCommonSuite`, `OwnIdentity`, `BundleInconsistent` for a bundle without user name or prekeys,
    /// `Prekey` for a one-time prekey of another device, `WeakKey`, and `TooSoon`.
    pub fn open_to(
        &mut self,
        local: &LocalIdentity,
        bundle: &SignedBundle,
        one_time: Option<&SignedPrekey>,
        replacement: bool,
        now: u64,
        rng: &mut dyn CryptoRng,
    ) -> Result<SessionId, Error> {
        self.note_bundle(&local.bundle);
        let to = bundle.identity();
        if to == local.keys.identity() {
            return Err(PeerMisbehaved::OwnIdentity.into());
        }
        if !bundle.is_session_peer() {
            return Err(PeerMisbehaved::BundleInconsistent.into());
        }
        if replacement && !self.can_replace(&to, now) {
            return Err(ApiMisuse::TooSoon.into());
        }
        let suite = self.suite_for(bundle).ok_or(PeerMisbehaved::NoCommonSuite)?;
        let prekey = choose_prekey(suite, bundle, one_time)?;
        let restores = self.meta.restores;
        let order = self.peers.get(&to).unwrap_or(&Peer::new(restores)).next_order()?;
        let (message, roots) = handshake::initiate(suite, local, bundle, prekey, order, rng)?;
        let id = roots.session;
        let opening = Opening { suite: suite.id(), prekey: prekey.id(), order, handshake: &message };
        let mut session = Session::initiator(to, suite, order, roots, &opening, rng)?;
        session.preferred = replacement || self.has_restored(&to);
        self.insert(id, session, now);
        if replacement && let Some(peer) = self.peers.get_mut(&to) {
            peer.note_replacement(now);
        }
        Ok(id)
    }

    /// Seals `content` for a device: a whole envelope, which the state must be saved before (S10).
    ///
    /// Content is padded here (S12). Fails with `NoSession`, `TooLarge` above 55,295 bytes, with `TransientLimit`
    /// when it is transient and nobody could hear it or 100 were sent in a row (L2), and with `CounterExhausted`
    /// after 2^32−1 messages without an answer.
    pub fn seal(
        &mut self,
        to: &Identity,
        content: &[u8],
        transient: bool,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let id = self.sending(to).ok_or(ApiMisuse::NoSession)?;
        let session = self.sessions.get_mut(&id).ok_or(ApiMisuse::NoSession)?;
        let envelope = session.seal(id, content, transient, rng)?;
        self.touched(id);
        Ok(envelope)
    }

    /// The session that the next message to a device is sealed in.
    pub(super) fn sending(&self, to: &Identity) -> Option<SessionId> {
        self.peers.get(to)?.sending(&self.sessions)
    }

    /// Whether a new session takes the place of one that only receives since a restore.
    fn has_restored(&self, to: &Identity) -> bool {
        let ids = self.peers.get(to).into_iter().flat_map(|peer| &peer.sessions);
        ids.filter_map(|id| self.sessions.get(id)).any(|session| session.restored)
    }
}

/// The one-time prekey if there is one of the kind, else the last-resort prekey.
fn choose_prekey<'a>(
    suite: Suite,
    bundle: &'a SignedBundle,
    one_time: Option<&'a SignedPrekey>,
) -> Result<&'a PrekeyPublic, PeerMisbehaved> {
    let kind = PrekeyKind::for_suite(suite);
    match one_time.filter(|one_time| one_time.prekey().kind() == kind) {
        Some(one_time) => one_time.check_for(bundle, suite).map(|()| one_time.prekey()),
        None => bundle.last_resort(kind).ok_or(PeerMisbehaved::BundleInconsistent),
    }
}
