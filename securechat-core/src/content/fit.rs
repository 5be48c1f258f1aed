//! That what section 11 allows fits into what carries it, in both ciphers: arithmetic that does not compile when it does not hold.

use crate::content::ENTRIES_PER_CONTROL;
use crate::crypto::aead::Cipher;
use crate::crypto::mlkem::{CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN};
use crate::identity::{SIGNED_BUNDLE_MAX, SIGNED_DEVICE_LIST_MAX};
use crate::limits::*;
use crate::padding::padded_len;
use crate::roster::ENTRY_MAX;
use crate::wire::{
    BODY_MAX, DEVICES_PER_FETCH, ENTRIES_PER_PAGE, ENVELOPES_PER_ACKNOWLEDGE, GROUPS_PER_PAGE, HEADER_LEN,
    LISTS_PER_PAGE, PASSWORD_MAX, RANGES_PER_PAGE, USERS_PER_PAGE,
};

const GCM: Cipher = Cipher::AesGcm;
const CBC: Cipher = Cipher::AesCbcHmac;

/// The ciphertext of the largest RSA key.
const RSA_CIPHERTEXT: usize = 512;
/// Identity key and signature of token `sig`.
const SIG: usize = 32 + 64;

/// A byte that is a tag, a flag, or a length below 128.
const TAG: usize = 1;
/// Longest encodings of integers in structs.
const VARINT16: usize = 3;
const VARINT32: usize = 5;
const VARINT64: usize = 10;
const USER_NAME: usize = TAG + USER_NAME_MAX;

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Content, and the copies of it that go to one's own devices; both pad to one length.
const SENT_FIELDS: usize = TAG + USER_NAME + VARINT16;
const _: () = assert!(CONTENT_HEADER + SENT_FIELDS + CONTENT_MAX <= SENT_CONTENT_MAX);
const _: () = assert!(padded_len(CONTENT_MAX) == padded_len(SENT_CONTENT_MAX));
const _: () = assert!(SENT_CONTENT_MAX <= u16::MAX as usize);

/// The longest of what is limited by itself.
const _: () = assert!(CONTENT_HEADER + 16 + VARINT16 + TEXT_MAX <= CONTENT_MAX);
const _: () = assert!(CONTENT_HEADER + TAG + VARINT16 + RECEIPT_IDS * 16 <= CONTENT_MAX);
const _: () = assert!(CONTENT_HEADER + VARINT16 + SIGNED_DEVICE_LIST_MAX + 32 <= CONTENT_MAX);
const OFFER_FIELDS: usize = 16 + 32 + TAG + TAG + VARINT64 + VARINT16 + FILE_NAME_MAX + VARINT16 + MEDIA_TYPE_MAX;
const _: () = assert!(CONTENT_HEADER + OFFER_FIELDS <= CONTENT_MAX);

const _: () = assert!(CONTENT_HEADER + 16 + TAG + TAG + ENTRIES_PER_CONTROL * (VARINT16 + ENTRY_MAX) <= CONTENT_MAX);

/// The longest group message.
const fn group_message(cipher: Cipher) -> usize {
    GROUP_HEADER + cipher.ciphertext_len(padded_len(CONTENT_MAX)) + 64
}
const _: () = assert!(group_message(GCM) < ENVELOPE_MAX && group_message(CBC) < ENVELOPE_MAX);

/// The longest handshake message of a session: `e, ee, ekem1, es, s, se` or `e, ee, skem, sig`, and the bundle.
const fn session_handshake(cipher: Cipher) -> usize {
    let hybrid = cipher.ciphertext_len(CIPHERTEXT_LEN) + cipher.ciphertext_len(32);
    let rsa = cipher.ciphertext_len(RSA_CIPHERTEXT) + cipher.ciphertext_len(SIG);
    32 + max(hybrid, rsa) + cipher.ciphertext_len(SIGNED_BUNDLE_MAX)
}

/// The longest envelope: a first message around the longest content.
const fn first_envelope(cipher: Cipher) -> usize {
    let header = 1 + 2 + 4 + 4 + 2; // kind; suite, prekey id, order, length
    let message = 16 + 32 + 4 + 4 + 16; // SID, ratchet key, previous chain length, number, salt
    header + session_handshake(cipher) + message + cipher.ciphertext_len(padded_len(SENT_CONTENT_MAX))
}

const _: () = assert!(first_envelope(GCM) <= FIRST_ENVELOPE_MAX && first_envelope(CBC) == FIRST_ENVELOPE_MAX);
const _: () = assert!(FIRST_ENVELOPE_MAX <= ENVELOPE_MAX);

/// The longest handshake frame of a link: an offer; an answer with a bundle; message 3 between peers, with a bundle.
const fn handshake_frame(cipher: Cipher) -> usize {
    let offer = 4 + 1 + 1 + 2 * SUITES_PER_OFFER + 1 + 1 + 32 + ENCAPSULATION_KEY_LEN;
    let bundle = cipher.ciphertext_len(SIGNED_BUNDLE_MAX);
    let answer = 1 + 32 + cipher.ciphertext_len(CIPHERTEXT_LEN) + cipher.ciphertext_len(32) + bundle;
    let third = cipher.ciphertext_len(RSA_CIPHERTEXT) + cipher.ciphertext_len(32) + bundle;
    max(offer, max(answer, third))
}

const _: () = assert!(handshake_frame(GCM) <= HANDSHAKE_FRAME_MAX && handshake_frame(CBC) == HANDSHAKE_FRAME_MAX);
const _: () = assert!(HANDSHAKE_FRAME_MAX <= FRAME_BEFORE_ADMISSION);

/// The longest body fills the longest frame of the cipher that takes more room: type, header, body.
const _: () = assert!(1 + HEADER_LEN + BODY_MAX <= GCM.max_plaintext(FRAME_MAX));
const _: () = assert!(1 + HEADER_LEN + BODY_MAX == CBC.max_plaintext(FRAME_MAX));
const _: () = assert!(BODY_MAX <= u16::MAX as usize);

/// An envelope to the relay: count; recipient, envelope id, transient, envelope.
const _: () = assert!(TAG + TAG + 32 + 16 + TAG + VARINT32 + ENVELOPE_MAX <= BODY_MAX);
/// An envelope from it: id, sender, user, time, transient, envelope.
const _: () = assert!(16 + 32 + USER_NAME + VARINT64 + TAG + VARINT32 + ENVELOPE_MAX <= BODY_MAX);

/// The longest chunk: salt, commitment and ciphertext; on its way with the blob's id and its number.
const _: () = assert!(CHUNK_HEADER + GCM.ciphertext_len(CHUNK_SIZE) <= SEALED_CHUNK_MAX);
const _: () = assert!(CHUNK_HEADER + CBC.ciphertext_len(CHUNK_SIZE) == SEALED_CHUNK_MAX);
const _: () = assert!(16 + VARINT64 + VARINT32 + SEALED_CHUNK_MAX <= BODY_MAX);

/// As many prekeys as are published at a time: identity, device, kind, id, keys, signature.
const SIGNED_PREKEY: usize = 2 + 32 + VARINT32 + TAG + VARINT32 + 32 + ENCAPSULATION_KEY_LEN + 64;
const _: () = assert!(TAG + VARINT16 + PREKEYS_PER_PUBLISH * (VARINT16 + SIGNED_PREKEY) <= BODY_MAX);
const _: () = assert!(VARINT16 + ENVELOPES_PER_ACKNOWLEDGE * (32 + 16) <= BODY_MAX);

/// A registration comes before admission: name, password, bundle, device list, signature.
const REGISTER: usize =
    USER_NAME + VARINT16 + PASSWORD_MAX + VARINT16 + SIGNED_BUNDLE_MAX + VARINT16 + SIGNED_DEVICE_LIST_MAX + 64;
const _: () = assert!(CBC.ciphertext_len(1 + HEADER_LEN + REGISTER) <= FRAME_BEFORE_ADMISSION);

/// The pages of replies: epoch and next page; lists; an identity with its keys; names with presence; ranges.
const LISTS: usize = VARINT64 + TAG + LISTS_PER_PAGE * (2 + SIGNED_DEVICE_LIST_MAX) + VARINT64;
const DEVICE_KEYS: usize = 32 + 2 + SIGNED_BUNDLE_MAX + TAG + 2 + SIGNED_PREKEY;
const KEYS: usize = VARINT64 + TAG + DEVICES_PER_FETCH * DEVICE_KEYS;
const USERS: usize = 2 + USERS_PER_PAGE * (USER_NAME + TAG) + USER_NAME;
const RANGES: usize = 2 + RANGES_PER_PAGE * 2 * VARINT32 + VARINT32;
const LOG: usize = VARINT32 + TAG + ENTRIES_PER_PAGE * (VARINT16 + ENTRY_MAX) + VARINT32;
const GROUPS: usize = 2 + (GROUPS_PER_PAGE + 1) * (16 + VARINT32 + 32) + TAG + TAG;
const _: () = assert!(LOG <= BODY_MAX && GROUPS <= BODY_MAX);
const _: () = assert!(LISTS <= BODY_MAX && KEYS <= BODY_MAX && USERS <= BODY_MAX && RANGES <= BODY_MAX);

/// What the relay may send before admission fits as well: the longest answer to a login, with its stock.
const LOGGED_IN: usize = TAG + TAG + VARINT64 + VARINT64 + TAG + 16 * (TAG + 2 * VARINT32);
const _: () = assert!(CBC.ciphertext_len(1 + HEADER_LEN + LOGGED_IN) <= FRAME_BEFORE_ADMISSION);

/// The numbers that PROTOCOL.md prints in sections 2.3, 4.3, 5.1, 9 and 11.
const _: () = assert!(GCM.ciphertext_len(0) == 16 && CBC.ciphertext_len(0) == 48);
const _: () = assert!(GCM.ciphertext_len(SIG) == 112 && CBC.ciphertext_len(SIG) == 144);
const _: () = assert!(GCM.ciphertext_len(CIPHERTEXT_LEN) == 1_104 && CBC.ciphertext_len(CIPHERTEXT_LEN) == 1_136);
const _: () = assert!(GCM.ciphertext_len(SIGNED_BUNDLE_MAX) == 2_054 && CBC.ciphertext_len(SIGNED_BUNDLE_MAX) == 2_080);
const _: () = assert!(RSA_DER_MAX == RSA_CIPHERTEXT + 14);
const _: () = assert!(GCM.max_plaintext(FRAME_BEFORE_ADMISSION) == 8_176 && GCM.max_plaintext(FRAME_MAX) == 65_519);
const _: () = assert!(CBC.max_plaintext(FRAME_BEFORE_ADMISSION) == 8_159 && CBC.max_plaintext(FRAME_MAX) == 65_487);
const _: () = assert!(SIGNED_BUNDLE_MAX == 2_038 && SIGNED_PREKEY == 1_325 && SIGNED_DEVICE_LIST_MAX == 2_215);
const _: () = assert!(session_handshake(CBC) == 3_328 && HANDSHAKE_FRAME_MAX == 3_329 && BODY_MAX == 65_478);
const _: () = assert!(LISTS == 35_493 && KEYS == 27_211 && USERS == 17_443 && RANGES == 40_967);
const _: () = assert!(CHUNK_HEADER + GCM.ciphertext_len(CHUNK_SIZE) == 61_504 && SEALED_CHUNK_MAX == 61_536);
/// A chunk's number on the wire is a u32: the largest file has fewer.
const _: () = assert!((64_u64 << 30).div_ceil(CHUNK_SIZE as u64) == 1_118_482);
