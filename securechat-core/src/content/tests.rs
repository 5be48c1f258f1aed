use super::*;
use crate::crypto::aead::Cipher;
use crate::crypto::ed25519::VerifyingKey;
use crate::crypto::secret::{Secret, SecretVec};
use crate::file::{FileOffer, FileProof};
use crate::identity::UserName;
use crate::limits::{RECEIPT_IDS, TEXT_MAX};
use crate::padding::{pad, padded_len};
use crate::roster::GroupId;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const GROUP: GroupId = GroupId::from_bytes([0xee; 16]);
const A: MessageId = MessageId::from_bytes([0xaa; 16]);

pub(super) fn content(body: Body) -> Content {
    Content { id: MessageId::from_bytes([1; 16]), sent_at: 1_700_000_000_000, expiry: 60, body }
}

fn offer() -> FileOffer {
    FileOffer {
        id: [5; 16],
        key: Secret::from_bytes(&[6; 32]),
        cipher: Cipher::AesCbcHmac,
        proof: FileProof::Tags,
        size: 70_000,
        name: "a.pdf".into(),
        media_type: "application/pdf".into(),
    }
}

pub(super) fn every_kind() -> Vec<Body> {
    vec![
        Body::Text { text: "hello".into() },
        Body::Edit { target: A, text: "hallo".into() },
        Body::Delete { target: A },
        Body::Reaction { target: A, reaction: "👍".into(), removed: false },
        Body::Receipt { kind: ReceiptKind::Read, ids: vec![A, A] },
        Body::Typing { active: true },
        Body::Sent { to: Conversation::User(UserName::new("bob").unwrap()), content: SecretVec::new(vec![1, 2, 3]) },
        Body::Profile { name: "Alice".into() },
        Body::FileOffer(offer()),
        Body::FileComplete { file: [5; 16], root: [7; 32] },
        Body::Sent { to: Conversation::Group(GROUP), content: SecretVec::new(vec![4]) },
        Body::GroupKey {
            group: GROUP,
            signing: VerifyingKey::from_bytes([6; 32]),
            cipher: Cipher::AesCbcHmac,
            number: 300,
            chain: Secret::from_bytes(&[7; 32]),
        },
        Body::GroupControl { group: GROUP, control: GroupControl::KeyWanted { key: [2; 16] } },
        Body::GroupControl { group: GROUP, control: GroupControl::EntriesWanted { sequence: 5 } },
        Body::GroupControl { group: GROUP, control: GroupControl::Entries { entries: vec![vec![1, 2], vec![3]] } },
        Body::Resend { envelope: [8; 16] },
        Body::DeviceList { list: vec![9; 100], yours: [3; 32] },
        Body::Application { kind: 0x8000, bytes: vec![1] },
        Body::Application { kind: 0xffff, bytes: vec![] },
    ]
}

#[test]
fn the_layout_is_the_documented_one() {
    let bytes = content(Body::Text { text: "hi".into() }).encode().unwrap();
    let expected = [
        &[1; 16][..],
        &1_700_000_000_000_u64.to_be_bytes(),
        &60_u32.to_be_bytes(),
        &1_u16.to_be_bytes(),
        &3_u16.to_be_bytes(),
        b"\x02hi",
    ];
    assert_eq!(bytes.as_slice(), expected.concat());
}

#[test]
fn the_bodies_are_the_documented_ones() {
    let id = [0xaa; 16];
    let join = |parts: &[&[u8]]| parts.concat();
    let expected = [
        join(&[b"\x05hello"]),
        join(&[&id, b"\x05hallo"]),
        join(&[&id]),
        join(&[&id, "\u{4}👍\0".as_bytes()]),
        join(&[&[1, 2], &id, &id]),
        join(&[&[1]]),
        join(&[b"\0\x03bob", &[3, 1, 2, 3]]),
        join(&[b"\x05Alice"]),
        join(&[&[5; 16], &[6; 32], &[2, 0], &[0xf0, 0xa2, 0x04], b"\x05a.pdf", b"\x0fapplication/pdf"]),
        join(&[&[5; 16], &[7; 32]]),
        join(&[&[1], &[0xee; 16], &[1, 4]]),
        join(&[&[0xee; 16], &[6; 32], &[2], &[0xac, 2], &[7; 32]]),
        join(&[&[0xee; 16], &[0], &[2; 16]]),
        join(&[&[0xee; 16], &[1, 5]]),
        join(&[&[0xee; 16], &[2, 2, 2, 1, 2, 1, 3]]),
        join(&[&[8; 16]]),
        join(&[&[100], &[9; 100], &[3; 32]]),
        join(&[&[1]]),
        join(&[]),
    ];
    for (body, expected) in every_kind().iter().zip(&expected) {
        assert_eq!(body.encode().as_slice(), expected, "{body:?}");
    }
}

#[test]
pub(super) fn every_kind_comes_back() {
    for body in every_kind() {
        let sent = content(body);
        let bytes = sent.encode().unwrap();
        let received = Content::decode(&bytes).unwrap();
        assert_eq!((received.id, received.sent_at, received.expiry), (sent.id, sent.sent_at, sent.expiry));
        assert_eq!(received.body.kind(), sent.body.kind());
        assert_eq!(received.encode().unwrap(), bytes);
    }
}

#[test]
fn kinds_are_numbered_once() {
    let numbers: Vec<_> = every_kind().iter().map(Body::kind).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 7, 11, 12, 12, 12, 13, 14, 0x8000, 0xffff]);
}

#[test]
fn unknown_kinds_are_kept_and_not_sent() {
    let mut bytes = content(Body::Typing { active: true }).encode().unwrap();
    for kind in [0, 15, 0x7fff] {
        bytes[28..30].copy_from_slice(&u16::to_be_bytes(kind));
        let received = Content::decode(&bytes).unwrap();
        assert!(matches!(&received.body, Body::Unknown { kind: k, bytes } if *k == kind && bytes == &[1]));
        assert_eq!(received.encode(), Err(ApiMisuse::ContentKind));
    }
    let disguised = content(Body::Application { kind: kind::SENT, bytes: vec![] });
    assert_eq!(disguised.encode(), Err(ApiMisuse::ContentKind));
}

#[test]
fn bodies_may_grow_at_their_end() {
    for body in every_kind() {
        let bytes = content(body).encode().unwrap();
        let mut grown = bytes.to_vec();
        grown.extend_from_slice(&[0xff, 0x00]);
        let length = u16::try_from(grown.len() - CONTENT_HEADER).unwrap();
        grown[30..32].copy_from_slice(&length.to_be_bytes());
        let received = Content::decode(&grown).unwrap();
        if received.body.kind() < kind::APPLICATION {
            assert_eq!(received.encode().unwrap(), bytes);
        }
    }
}

#[test]
fn cuts_and_trailing_bytes_are_refused() {
    for body in every_kind() {
        let bytes = content(body).encode().unwrap();
        for end in 0..bytes.len() {
            assert_eq!(Content::decode(&bytes[..end]).err(), Some(InvalidMessage::Truncated));
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_eq!(Content::decode(&longer).err(), Some(InvalidMessage::TrailingBytes));
    }
}

#[test]
fn a_body_cut_short_is_refused() {
    for body in every_kind().into_iter().filter(|body| body.kind() < kind::APPLICATION) {
        let kind = body.kind();
        let bytes = body.encode();
        for end in 0..bytes.len() {
            assert_eq!(Body::decode(kind, &bytes[..end]).err(), Some(InvalidMessage::Truncated), "{body:?} {end}");
        }
    }
}

#[test]
fn other_encodings_of_a_value_are_refused() {
    assert_eq!(Body::decode(kind::TEXT, &[0x82, 0x00, b'h', b'i']).err(), Some(InvalidMessage::NotCanonical));
    assert_eq!(Body::decode(kind::TYPING, &[2]).err(), Some(InvalidMessage::UnknownValue));
    assert_eq!(Body::decode(kind::TEXT, &[1, 0xff]).err(), Some(InvalidMessage::UnknownValue));
    assert_eq!(Body::decode(kind::RECEIPT, &[2, 0]).err(), Some(InvalidMessage::UnknownValue));
    // A cipher and a proof that do not exist.
    for (place, value) in [(48, 0), (48, 3), (49, 2), (49, 0x7f)] {
        let mut body = Body::FileOffer(offer()).encode().to_vec();
        body[place] = value;
        assert_eq!(Body::decode(kind::FILE_OFFER, &body).err(), Some(InvalidMessage::UnknownValue), "{place} {value}");
    }
}

#[test]
fn limits_hold_on_both_sides() {
    let over = |n: usize| "x".repeat(n + 1);
    for body in [
        Body::Text { text: over(TEXT_MAX) },
        Body::Edit { target: A, text: over(TEXT_MAX) },
        Body::Reaction { target: A, reaction: over(64), removed: true },
        Body::Receipt { kind: ReceiptKind::Delivered, ids: vec![A; RECEIPT_IDS + 1] },
        Body::Profile { name: over(128) },
        Body::FileOffer(FileOffer { name: over(1_024), ..offer() }),
        Body::FileOffer(FileOffer { media_type: over(255), ..offer() }),
        Body::Sent {
            to: Conversation::User(UserName::new("bob").unwrap()),
            content: SecretVec::new(vec![0; CONTENT_MAX + 1]),
        },
    ] {
        let kind = body.kind();
        assert_eq!(Body::decode(kind, &body.encode()).err(), Some(InvalidMessage::OutOfBounds), "{body:?}");
        assert_eq!(content(body).encode().err(), Some(ApiMisuse::TooLarge));
    }
}

#[test]
fn the_longest_contents_fit_exactly() {
    let application = |length| content(Body::Application { kind: 0x8000, bytes: vec![7; length] });
    let longest = application(CONTENT_MAX - CONTENT_HEADER).encode().unwrap();
    assert_eq!(longest.len(), CONTENT_MAX);
    assert!(Content::decode(&longest).is_ok());
    assert_eq!(application(CONTENT_MAX - CONTENT_HEADER + 1).encode(), Err(ApiMisuse::TooLarge));
    assert_eq!(application(65_536).encode(), Err(ApiMisuse::TooLarge));

    let copy =
        content(Body::Sent { to: Conversation::User(UserName::new(&"x".repeat(32)).unwrap()), content: longest })
            .encode()
            .unwrap();
    assert!(copy.len() > CONTENT_MAX && copy.len() <= SENT_CONTENT_MAX);
    assert!(Content::decode(&copy).is_ok());

    // The same bytes under another kind are over its limit.
    let mut other = copy.to_vec();
    other[28..30].copy_from_slice(&0x8000_u16.to_be_bytes());
    assert_eq!(Content::decode(&other).err(), Some(InvalidMessage::OutOfBounds));
}

/// ATTACKS.md B11: lengths fall in the published buckets, and what people do shows no other than that of a short text.
#[test]
fn b11_small_contents_have_one_length() {
    for body in every_kind() {
        assert_eq!(pad(&content(body).encode().unwrap()).len(), 256);
    }
    assert_eq!(padded_len(content(Body::Text { text: "x".repeat(221) }).encode().unwrap().len()), 256);
    assert_eq!(padded_len(content(Body::Text { text: "x".repeat(222) }).encode().unwrap().len()), 272);
}

#[test]
fn only_sessions_carry_what_a_group_must_not() {
    let only: Vec<_> = every_kind().iter().filter(|body| body.only_in_sessions()).map(Body::kind).collect();
    assert_eq!(only, [7, 7, 11, 12, 12, 12, 13, 14]);
    assert!(Body::Unknown { kind: kind::GROUP_KEY, bytes: vec![] }.only_in_sessions());
}

#[test]
fn debug_shows_nothing_that_anybody_wrote() {
    let text = "canary";
    for body in [
        Body::Text { text: text.into() },
        Body::Edit { target: A, text: text.into() },
        Body::Reaction { target: A, reaction: text.into(), removed: false },
        Body::Sent { to: Conversation::User(UserName::new("bob").unwrap()), content: SecretVec::new(text.into()) },
        Body::Profile { name: text.into() },
        Body::FileOffer(FileOffer { name: text.into(), media_type: text.into(), ..offer() }),
        Body::Application { kind: 0x8000, bytes: text.into() },
    ] {
        let shown = format!("{:?}", content(body));
        assert!(!shown.contains(text) && !shown.contains("99, 97") && !shown.contains("6, 6"), "{shown}");
    }
    let shown = format!("{:?}", content(Body::Text { text: text.into() }));
    assert!(
        shown.contains("MessageId(01010101010101010101010101010101)") && shown.contains("Text(6 bytes)"),
        "{shown}"
    );
}

#[test]
fn ids_are_random() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    assert_ne!(MessageId::random(&mut rng), MessageId::random(&mut rng));
}
