//! Parsers, each fed with what a peer, a relay or a disk may hold.

use super::AUTHENTIC;
use super::stream::Stream;
use crate::codec::{self, Reader};
use crate::content::Content;
use crate::crypto::aead::Cipher;
use crate::crypto::ed25519::SigningKey;
use crate::crypto::secret::Secret;
use crate::file::{Chunks, FileOffer, FileOpener, FileProof, Manifest, Page, safe_name};
use crate::frame::Deframer;
use crate::identity::{Bundle, SignedBundle, SignedDeviceList, SignedPrekey};
use crate::limits::{CHUNK_HEADER, CHUNK_SIZE, Limits, SAFE_NAME_MAX};
use crate::link::negotiation::{Answer, Offer};
use crate::padding::{pad, unpad};
use crate::suite::{Policy, Suite};
use crate::text::{Lines, is_hidden, neutralise};
use crate::vault::Vault;
use crate::wire::{Packet, Push, Received, Refusal, Reply, Request};
use serde::{Deserialize, Serialize};

/// The key of [`vault`] and of [`chunk`], so that seeds can be sealed with it.
pub const KEY: [u8; 32] = [7; 32];
/// The name of the record of [`vault`].
pub const RECORD: &str = "session/00";

/// One field of each form that structs have.
#[derive(Serialize, Deserialize)]
pub struct Sample {
    /// A flag.
    pub flag: bool,
    /// Integers.
    pub numbers: (u8, u16, u32, u64),
    /// Text.
    pub text: String,
    /// A list of what may be missing.
    pub list: Vec<Option<u32>>,
    /// Bytes without a length.
    pub fixed: [u8; 16],
}

/// Structs and fixed layouts.
pub fn codec(data: &[u8]) {
    if let Ok((value, rest)) = codec::decode_prefix::<Sample>(data) {
        let again = codec::encode(&value);
        assert_eq!(data, [&again, rest].concat());
        assert_eq!(*codec::encode_secret(&value), again);
    }
    let mut reader = Reader::new(data);
    while let Ok(kind) = reader.u8() {
        let before = reader.remaining();
        let read = match kind % 5 {
            0 => reader.u16().map(|_| 2),
            1 => reader.u32().map(|_| 4),
            2 => reader.u64().map(|_| 8),
            3 => reader.array::<32>().map(|_| 32),
            _ => reader.prefixed().map(|bytes| 2 + bytes.len()),
        };
        match read {
            Ok(length) => assert_eq!(reader.remaining() + length, before),
            Err(_) => break,
        }
    }
}

/// Frames: the first byte says in which steps the rest arrives; the frames are the same in any.
pub fn frame(data: &[u8]) {
    let Some((step, stream)) = data.split_first() else { return };
    let frames = |step: usize| {
        let mut deframer = Deframer::new();
        if step.is_multiple_of(2) {
            deframer.raise_limit();
        }
        let mut frames = Vec::new();
        for mut piece in stream.chunks(step / 2 + 1) {
            loop {
                match deframer.next_frame(&mut piece) {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        (frames, None)
    };
    let step = usize::from(*step);
    let whole = if step.is_multiple_of(2) { 2 * stream.len() } else { 2 * stream.len() + 1 };
    assert_eq!(frames(step), frames(whole));
}

/// The offer and the answer of a link, as what they are and as each other.
pub fn negotiation(data: &[u8]) {
    if let Ok((offer, header, message)) = Offer::decode(data) {
        assert_eq!(data, [header, message].concat());
        assert_eq!(offer.encode(), header);
        assert!(offer.chosen_id().is_some_and(|chosen| offer.suites.contains(&chosen)));
        for suite in Suite::ALL {
            if let Some(retry) = offer.retry(suite.id()) {
                assert_eq!((retry.chosen_id(), retry.suites.len()), (Some(suite.id()), offer.suites.len()));
            }
        }
        if let Ok(suite) = offer.choice(&Policy::default()) {
            assert!(offer.suites.contains(&suite.id()) && Policy::default().allows(suite));
        }
    }
    match Answer::decode(data) {
        Ok(Answer::Accept(message)) => assert_eq!(message.len() + 1, data.len()),
        Ok(Answer::Retry(_)) => assert_eq!(data.len(), 3),
        Ok(Answer::Refuse(_)) => assert_eq!(data.len(), 2),
        Err(_) => {}
    }
}

/// Signed bundles; and bundles whose signature would be right.
pub fn bundle(data: &[u8]) {
    if let Ok(signed) = SignedBundle::decode(data) {
        assert_eq!(signed.bytes(), data);
    }
    let body = data.get(2..).and_then(|rest| rest.split_last_chunk::<64>()).map_or(data, |(body, _)| body);
    if let Ok(bundle) = codec::decode::<Bundle>(body) {
        assert_eq!(codec::encode(&bundle), body);
        // It is this key's only if it says so, and then reads back.
        let (key, identity) = (SigningKey::from_bytes(&KEY), bundle.identity);
        if let Ok(signed) = bundle.sign(&key) {
            assert_eq!(identity, key.verifying_key().into());
            assert_eq!(SignedBundle::decode(signed.bytes()).as_ref(), Ok(&signed));
        }
    }
}

/// Signed one-time prekeys.
pub fn prekey(data: &[u8]) {
    if let Ok(signed) = SignedPrekey::decode(data) {
        assert_eq!(signed.bytes(), data);
    }
}

/// Signed device lists.
pub fn device_list(data: &[u8]) {
    if let Ok(signed) = SignedDeviceList::decode(data) {
        assert_eq!(signed.bytes(), data);
        assert!(signed.verify_follows(&signed).is_err(), "a list does not follow from itself");
        _ = signed.verify_first();
    }
}

/// What a relay reads.
pub fn request(data: &[u8]) {
    _ = Received::decode(data);
    let Ok(packet) = Packet::decode(data) else { return };
    if let Ok(Some(request)) = Request::decode(&packet)
        && let Ok(once) = request.encode(packet.id)
    {
        let again = Packet::decode(&once).and_then(|packet| Request::decode(&packet));
        assert_eq!(again.ok().flatten().and_then(|request| request.encode(packet.id).ok()), Some(once));
    }
}

/// What a client reads when it asked.
pub fn reply(data: &[u8]) {
    _ = Received::decode(data);
    let Ok(packet) = Packet::decode(data) else { return };
    if let Ok(Some(reply)) = Reply::decode(&packet)
        && let Ok(once) = reply.encode(packet.id)
    {
        let again = Packet::decode(&once).and_then(|packet| Reply::decode(&packet));
        assert_eq!(again.ok().flatten().and_then(|reply| reply.encode(packet.id).ok()), Some(once));
    }
    if let Ok(refusal) = Refusal::decode(&packet) {
        assert!(refusal.encode(packet.id).is_ok());
    }
}

/// What a client reads when it did not ask.
pub fn push(data: &[u8]) {
    _ = Received::decode(data);
    let Ok(packet) = Packet::decode(data) else { return };
    if let Ok(Some(push)) = Push::decode(&packet)
        && let Ok(once) = push.encode()
    {
        let again = Packet::decode(&once).and_then(|packet| Push::decode(&packet));
        assert_eq!(again.ok().flatten().and_then(|push| push.encode().ok()), Some(once));
    }
}

/// Content as it comes out of an envelope: the padding, then the content.
pub fn content(data: &[u8]) {
    let bytes = match unpad(data) {
        Ok(bytes) => {
            assert_eq!(unpad(&pad(bytes)), Ok(bytes));
            bytes
        }
        Err(_) => data,
    };
    if let Ok(content) = Content::decode(bytes)
        && let Ok(once) = content.encode()
    {
        assert!(once.len() <= bytes.len());
        assert_eq!(Content::decode(&once).ok().and_then(|content| content.encode().ok()), Some(once));
    }
}

/// File offers, and what a receiver makes of the sizes in them.
pub fn file_offer(data: &[u8]) {
    let Ok((offer, rest)) = codec::decode_prefix::<FileOffer>(data) else { return };
    let chunks = Chunks::new(&offer);
    let last = chunks.count().saturating_sub(1);
    let end = chunks.range(last).map(|(offset, length)| offset + length as u64);
    assert_eq!(end, Some(offer.size));
    assert_eq!(chunks.range(last + 1), None);
    if let Ok(mut opener) = FileOpener::new(&offer, &Limits::default()) {
        for i in [0, last] {
            if let Ok(plaintext) = opener.open_chunk(i, rest) {
                assert_eq!(opener.chunk_range(i).map(|(_, length)| length), Some(plaintext.len()));
            }
        }
    }
    name(offer.name.as_bytes());
}

/// A chunk of a file of one chunk: the first byte chooses cipher and proof; the rest is sealed, and is opened.
pub fn chunk(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let cipher = if choice % 2 == 0 { Cipher::AesGcm } else { Cipher::AesCbcHmac };
    let proof = if choice / 2 % 2 == 0 { FileProof::Tags } else { FileProof::Contents };
    let mut rng = Stream::new(*choice);
    for overhead in [16, 48 - usize::from(choice / 4 % 16)] {
        let Some(size) = rest.len().checked_sub(CHUNK_HEADER + overhead).filter(|size| *size <= CHUNK_SIZE) else {
            continue;
        };
        let chunks = Chunks::new(&offer(cipher, proof, size));
        if let Ok((plaintext, tag)) = chunks.open(0, rest) {
            let again = chunks.seal(0, &plaintext, Some(&tag), &mut rng);
            assert!(!AUTHENTIC || again.is_ok_and(|again| again == (rest.to_vec(), tag)));
        }
    }
    let chunks = Chunks::new(&offer(cipher, proof, rest.len()));
    if let Ok((sealed, tag)) = chunks.seal(0, rest, None, &mut rng) {
        assert!(chunks.open(0, &sealed).is_ok_and(|(plaintext, again)| *plaintext == rest && tag == again));
        assert!(chunks.seal(0, rest, Some(&tag), &mut rng).is_ok_and(|again| again == (sealed, tag)));
    }
}

/// The file of [`chunk`], when it has this size.
pub fn offer(cipher: Cipher, proof: FileProof, size: usize) -> FileOffer {
    let (name, media_type) = (String::new(), String::new());
    FileOffer { id: [1; 16], key: Secret::from_bytes(&KEY), cipher, proof, size: size as u64, name, media_type }
}

/// A saved page of a manifest; the first byte is its number.
pub fn manifest(data: &[u8]) {
    let Some((number, rest)) = data.split_first() else { return };
    let Ok(page) = codec::decode::<Page>(rest) else { return };
    let count = u64::from(*number) * 1_024 + 3;
    if let Ok(manifest) = Manifest::restore(count, [(u64::from(*number), page)]) {
        let missing: u64 = manifest.missing().map(|range| range.end - range.start).sum();
        assert_eq!(missing + manifest.present(), count);
    }
}

/// Names and texts on their way to a file system and a terminal.
pub fn name(data: &[u8]) {
    let received = String::from_utf8_lossy(data);
    let name = safe_name(&received);
    assert!(!name.is_empty() && name.len() <= SAFE_NAME_MAX);
    assert!(!name.starts_with(['.', '-', ' ']) && !name.ends_with(['.', ' ']));
    assert!(!name.chars().any(|c| c.is_control() || is_hidden(c) || matches!(c, '/' | '\\' | ':')));
    assert_eq!(safe_name(&name), name);
    for lines in [Lines::One, Lines::Many] {
        let shown = neutralise(&received, lines);
        assert!(shown.chars().all(|c| !c.is_control() || c == '\n' && lines == Lines::Many));
        assert_eq!(neutralise(&shown, lines), shown);
    }
}

/// Records as a disk gives them back.
pub fn vault(data: &[u8]) {
    if let Ok(opened) = Vault::new(Secret::from_bytes(&KEY)).open(RECORD, data) {
        assert_eq!(opened.len() + 32, data.len());
    }
    _ = Vault::unwrap(&Secret::from_bytes(&KEY), data);
}
