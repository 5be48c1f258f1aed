//! Group messages: sealed once by who writes, opened by each who reads.

use super::{Run, Work, timed, timed_on};
use crate::groups::ends;
use crate::{noise_bytes, random};
use securechat_core::crypto::aead::Cipher;
use securechat_core::crypto::ed25519::SigningKey;
use securechat_core::crypto::label::Label;
use std::hint::black_box;
use vodozemac::megolm::{GroupSession, InboundGroupSession, MegolmMessage, SessionConfig};

const SIZES: [(&str, usize); 2] = [("64 B", 64), ("1 KiB", 1 << 10)];
const CIPHERS: [(&str, Cipher); 2] = [("GCM", Cipher::AesGcm), ("CBC with HMAC", Cipher::AesCbcHmac)];

pub(super) fn works() -> Vec<Work> {
    let kinds = CIPHERS.into_iter().flat_map(|cipher| SIZES.map(|size| (cipher, size)));
    let both = |((name, cipher), (length, size))| {
        [
            Work::new(format!("group message, {name}, {length}, sealed"), 0, sealed(cipher, size))
                .beside("its signature", None, signed(cipher, size))
                .beside("vodozemac", 1.0, megolm_sealed(size)),
            Work::new(format!("group message, {name}, {length}, opened"), 0, opened(cipher, size))
                .beside("its signature", None, verified(cipher, size))
                .beside("vodozemac", 1.0, megolm_opened(size)),
        ]
    };
    kinds.flat_map(both).collect()
}

fn sealed(cipher: Cipher, size: usize) -> Run {
    let ((mut sender, _), text) = (ends(cipher), noise_bytes(size));
    timed(move || {
        black_box(sender.seal(black_box(&text)));
    })
}

fn opened(cipher: Cipher, size: usize) -> Run {
    let ((mut sender, mut receiver), text) = (ends(cipher), noise_bytes(size));
    timed_on(
        move || sender.seal(&text),
        move |envelope| {
            black_box(receiver.open(&envelope));
        },
    )
}

/// A key, and as many bytes as are signed of such a message.
fn signature(cipher: Cipher, size: usize) -> (SigningKey, Vec<u8>) {
    let (mut sender, _) = ends(cipher);
    // The sender's identity comes in place of the byte with the kind, and the signature is not in it.
    let signed = sender.seal(&noise_bytes(size)).len() - 1 - 64 + sender.identity.as_bytes().len();
    (SigningKey::generate(&mut *random(5)), noise_bytes(signed))
}

fn signed(cipher: Cipher, size: usize) -> Run {
    let (key, bytes) = signature(cipher, size);
    timed(move || {
        black_box(key.sign(Label::GROUP_MESSAGE, &[black_box(&bytes)]));
    })
}

fn verified(cipher: Cipher, size: usize) -> Run {
    let (key, bytes) = signature(cipher, size);
    let (public, signature) = (key.verifying_key(), key.sign(Label::GROUP_MESSAGE, &[&bytes]));
    timed(move || public.verify(Label::GROUP_MESSAGE, &[black_box(&bytes)], &signature).unwrap())
}

/// Megolm as vodozemac has it: who writes, and who reads.
fn megolm() -> (GroupSession, InboundGroupSession) {
    let sender = GroupSession::new(SessionConfig::version_1());
    let receiver = InboundGroupSession::new(&sender.session_key(), SessionConfig::version_1());
    (sender, receiver)
}

/// A message as the bytes that travel.
fn megolm_sealed(size: usize) -> Run {
    let ((mut sender, _), text) = (megolm(), noise_bytes(size));
    timed(move || {
        black_box(sender.encrypt(black_box(&text)).to_bytes());
    })
}

fn megolm_opened(size: usize) -> Run {
    let ((mut sender, mut receiver), text) = (megolm(), noise_bytes(size));
    timed_on(
        move || sender.encrypt(&text).to_bytes(),
        move |bytes| {
            black_box(receiver.decrypt(&MegolmMessage::from_bytes(&bytes).unwrap()).unwrap());
        },
    )
}
