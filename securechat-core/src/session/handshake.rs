//! How a session is opened: the patterns PK, PKhfs and PKkem, and what a session takes from them (section 6).

use super::envelope::{Opening, SessionId};
use super::prekey::Prekey;
use super::state::Roots;
use crate::codec::Writer;
use crate::crypto::ed25519::SigningKey;
use crate::crypto::hash::hkdf;
use crate::crypto::label::Label;
use crate::crypto::secret::Secret;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::identity::{DeviceKeys, Identity, LocalIdentity, PrekeyPublic, SignedBundle};
use crate::limits::BUNDLE_GRACE;
use crate::noise::{Handshake, Keys, Pattern, RemoteStatic, Role, StaticKey};
use crate::suite::{KeyExchange, Suite};
use rand_core::CryptoRng;

/// Writes the one handshake message of the initiator.
///
/// Fails with `WeakKey`, and with `MissingKey` when the bundle lacks what its suite needs.
pub(super) fn initiate(
    suite: Suite,
    local: &LocalIdentity,
    remote: &SignedBundle,
    prekey: &PrekeyPublic,
    order: u32,
    rng: &mut dyn CryptoRng,
) -> Result<(Vec<u8>, Roots), Error> {
    let remote_static = match suite.key_exchange {
        KeyExchange::Rsa => RemoteStatic::Rsa(remote.static_rsa().ok_or(ApiMisuse::MissingKey)?.clone()),
        KeyExchange::X25519 | KeyExchange::Hybrid => RemoteStatic::X25519(*remote.static_x25519()),
    };
    let keys = Keys {
        // In the RSA-wrapped suites the initiator signs and its static keys take no part.
        local_static: Some(StaticKey::X25519(local.keys.x25519.duplicate())),
        local_identity: Some(SigningKey::from_bytes(local.keys.identity.as_bytes())),
        remote_static: Some(remote_static),
        remote_prekey: Some(*prekey.x25519()),
        remote_prekey_mlkem: prekey.mlkem().cloned(),
        ..Keys::default()
    };
    let prologue = prologue(suite.id(), remote.identity(), prekey.id(), order);
    let mut handshake = Handshake::new(Pattern::session(suite.key_exchange), suite, Role::Initiator, &prologue, keys)?;
    let mut message = Vec::new();
    handshake.write(local.bundle.bytes(), rng, &mut message)?;
    let roots = roots(handshake, local.keys.identity(), remote.identity())?;
    Ok((message, roots))
}

/// Reads it, and checks everything about the initiator's bundle but whether its device is listed.
///
/// Fails with whatever the handshake and the bundle fail with, with `OwnIdentity`, `BundleExpired`, and with
/// `BundleInconsistent` for a bundle that is no session peer's.
pub(super) fn respond(
    suite: Suite,
    local: &LocalIdentity,
    prekey: &Prekey,
    opening: &Opening<'_>,
    now: u64,
    rng: &mut dyn CryptoRng,
) -> Result<(SignedBundle, Roots), Error> {
    let keys = Keys {
        local_static: Some(local_static(suite, &local.keys)?),
        local_prekey: Some(prekey.x25519().duplicate()),
        local_prekey_mlkem: prekey.mlkem(),
        ..Keys::default()
    };
    let identity = local.keys.identity();
    let prologue = prologue(opening.suite, identity, opening.prekey, opening.order);
    let mut handshake = Handshake::new(Pattern::session(suite.key_exchange), suite, Role::Responder, &prologue, keys)?;
    let bundle = SignedBundle::decode(&handshake.read(opening.handshake, rng)?)?;
    if bundle.identity() == identity {
        return Err(PeerMisbehaved::OwnIdentity.into());
    }
    if !bundle.is_session_peer() {
        return Err(PeerMisbehaved::BundleInconsistent.into());
    }
    bundle.check_validity(now, BUNDLE_GRACE)?;
    handshake.confirm(&bundle.remote_keys())?;
    let roots = roots(handshake, bundle.identity(), identity)?;
    Ok((bundle, roots))
}

fn local_static(suite: Suite, keys: &DeviceKeys) -> Result<StaticKey, ApiMisuse> {
    match suite.key_exchange {
        KeyExchange::Rsa => keys.rsa.clone().map(StaticKey::Rsa).ok_or(ApiMisuse::MissingKey),
        KeyExchange::X25519 | KeyExchange::Hybrid => Ok(StaticKey::X25519(keys.x25519.duplicate())),
    }
}

/// `label "session" || suite u16 || responder identity 32 || prekey id u32 || order u32`
pub(super) fn prologue(suite: u16, responder: Identity, prekey: u32, order: u32) -> Vec<u8> {
    let mut prologue = Label::SESSION.bytes().to_vec();
    prologue.put_u16(suite);
    prologue.put(responder.as_bytes());
    prologue.put_u32(prekey);
    prologue.put_u32(order);
    prologue
}

/// What a session takes from a finished handshake, in place of `Split`.
fn roots(handshake: Handshake, initiator: Identity, responder: Identity) -> Result<Roots, Error> {
    let (chaining_key, hash) = handshake.into_session()?;
    Ok(derive_roots(&chaining_key, &hash, initiator, responder))
}

/// `RK || CK || SID = HKDF(salt = h, ikm = ck, info = label "session root" || initiator || responder, 80)`
pub(super) fn derive_roots(
    chaining_key: &Secret<32>,
    hash: &[u8; 32],
    initiator: Identity,
    responder: Identity,
) -> Roots {
    let info = [Label::SESSION_ROOT.bytes(), initiator.as_bytes(), responder.as_bytes()];
    let mut output = Secret::<80>::zero();
    hkdf(hash, chaining_key.as_bytes(), &info, output.as_mut_bytes());
    let (mut root, mut chain, mut session) = (Secret::zero(), Secret::zero(), [0; 16]);
    let targets = root.as_mut_bytes().iter_mut().chain(chain.as_mut_bytes()).chain(&mut session);
    for (to, from) in targets.zip(output.as_bytes()) {
        *to = *from;
    }
    Roots { root, chain, session: SessionId::from_bytes(session) }
}
