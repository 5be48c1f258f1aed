use super::*;
use crate::codec::Writer;
use crate::identity::{Identity, UserName};
use crate::limits::{ENVELOPE_MAX, ENVELOPES_PER_SEND, USER_NAME_MAX};
use crate::roster::{ENTRY_MAX, GroupId};

fn name() -> UserName {
    UserName::new("alice").unwrap()
}

fn id() -> Identity {
    Identity::from_bytes([7; 32])
}

fn password(text: &str) -> Password {
    Password::new(text.into()).unwrap()
}

fn blob(size: usize) -> Bytes {
    vec![3; size].into()
}

fn group() -> GroupId {
    GroupId::from_bytes([6; 16])
}

fn head() -> GroupHead {
    GroupHead { group: group(), sequence: 300, hash: [4; 32] }
}

fn item(size: usize) -> SendItem {
    SendItem { id: EnvelopeId([1; 16]), recipient: Recipient::Device(id()), transient: false, envelope: blob(size) }
}

pub(super) fn requests() -> Vec<Request> {
    let signature = [9; 64];
    let code = OneTimeCode::new(123_456).unwrap();
    let blob_id = BlobId([5; 16]);
    vec![
        Request::Ping(Ping),
        Request::Enter(Enter { password: password("open") }),
        Request::Register(Register {
            user: name(),
            password: password("secret"),
            bundle: blob(20),
            list: blob(10),
            signature,
        }),
        Request::LogIn(LogIn {
            user: name(),
            password: password("secret"),
            code: Some(code),
            identity: id(),
            signature,
        }),
        Request::LogInDevice(LogInDevice { user: name(), identity: id(), signature }),
        Request::ChangePassword(ChangePassword { old: password("a"), new: password("b") }),
        Request::SetUpCode(SetUpCode { password: password("a"), code: None }),
        Request::ConfirmCode(ConfirmCode { code }),
        Request::PublishBundle(PublishBundle { bundle: blob(30) }),
        Request::PublishPrekeys(PublishPrekeys { replace: true, prekeys: vec![blob(3), blob(4)] }),
        Request::PublishList(PublishList { list: blob(5) }),
        Request::ProposeList(ProposeList { list: blob(6) }),
        Request::FetchLists(FetchLists { user: name(), from: 300 }),
        Request::FetchKeys(FetchKeys { user: name(), devices: vec![id()], prekey_kind: 2 }),
        Request::Users(FetchUsers { from: String::new() }),
        Request::SetPresence(SetPresence { presence: Presence::Away, watch: true }),
        Request::Send(Send { items: vec![item(1), item(0)] }),
        Request::Acknowledge(Acknowledge { envelopes: vec![EnvelopeRef { sender: id(), id: EnvelopeId([1; 16]) }] }),
        Request::GroupEntry(GroupEntry { entry: blob(40) }),
        Request::GroupLog(FetchLog { group: group(), from: 300 }),
        Request::Groups(FetchGroups { from: group() }),
        Request::CreateBlob(CreateBlob { id: blob_id, size: 1 << 40 }),
        Request::PutChunk(PutChunk { id: blob_id, index: 70_000, chunk: blob(100) }),
        Request::MissingChunks(MissingChunks { id: blob_id, from: 1 }),
        Request::GetChunk(GetChunk { id: blob_id, index: 2 }),
        Request::DeleteBlob(DeleteBlob { id: blob_id }),
    ]
}

pub(super) fn replies() -> Vec<Reply> {
    let logged_in = LoggedIn {
        listed: true,
        epoch: Some(3),
        serial: 4,
        stock: Stock { kinds: vec![PrekeyStock { kind: 1, left: 2, highest: 3 }] },
    };
    vec![
        Reply::Ping(Done),
        Reply::Enter(Done),
        Reply::Register(logged_in.clone()),
        Reply::LogIn(logged_in.clone()),
        Reply::LogInDevice(logged_in.clone()),
        Reply::ChangePassword(Done),
        Reply::SetUpCode(CodeSecret { secret: crate::crypto::secret::Secret::from_bytes(&[0x41; 20]) }),
        Reply::ConfirmCode(Done),
        Reply::PublishBundle(Done),
        Reply::PublishPrekeys(logged_in.stock),
        Reply::PublishList(Done),
        Reply::ProposeList(Done),
        Reply::FetchLists(Lists { epoch: 2, lists: vec![blob(1), blob(2)], next: 0 }),
        Reply::FetchKeys(Keys {
            epoch: 2,
            devices: vec![DeviceKeys { identity: id(), bundle: blob(9), prekey: Some(blob(2)) }],
        }),
        Reply::Users(Users {
            users: vec![UserPresence { user: name(), presence: Presence::Online }],
            next: "x".into(),
        }),
        Reply::SetPresence(Done),
        Reply::Send(Sent { results: vec![SendResult { outcome: SendOutcome::Full, epoch: 1 }] }),
        Reply::Acknowledge(Done),
        Reply::GroupEntry(Done),
        Reply::GroupLog(Log { sequence: 300, entries: vec![blob(2), blob(1)], next: 0 }),
        Reply::Groups(Groups { groups: vec![head()], more: true, lobby: Some(head()) }),
        Reply::CreateBlob(Done),
        Reply::PutChunk(Done),
        Reply::MissingChunks(Missing { ranges: vec![ChunkRange { start: 0, count: 9 }], next: 4 }),
        Reply::GetChunk(Chunk { chunk: blob(37) }),
        Reply::DeleteBlob(Done),
    ]
}

pub(super) fn pushes() -> Vec<Push> {
    vec![
        Push::Deliver(Deliver {
            id: EnvelopeId([1; 16]),
            sender: id(),
            user: name(),
            sent_at: 1_700_000_000_000,
            transient: false,
            envelope: blob(256),
        }),
        Push::Presence(PresenceChanges { changes: vec![] }),
        Push::GroupChanged(head()),
        Push::ListProposed(ListProposed { list: blob(1) }),
        Push::PrekeysLow(PrekeysLow { kind: 1, left: 19 }),
        Push::Notice(Notice { code: NoticeCode::ListReplaced, epoch: 0 }),
    ]
}

/// Everything comes back as it was (seen through Debug and through encoding it again), and every cut is an error.
#[test]
fn every_message_comes_back() {
    let requests = requests().into_iter().map(|message| (message.encode(8).unwrap(), format!("{message:?}")));
    let replies = replies().into_iter().map(|message| (message.encode(8).unwrap(), format!("{message:?}")));
    let pushes = pushes().into_iter().map(|message| (message.encode().unwrap(), format!("{message:?}")));
    for (bytes, debug) in requests.chain(replies).chain(pushes) {
        let (again, shown) = match Received::decode(&bytes).unwrap() {
            Received::Request(id, message) => (message.encode(id), format!("{message:?}")),
            Received::Reply(id, message) => (message.encode(id), format!("{message:?}")),
            Received::Push(message) => (message.encode(), format!("{message:?}")),
            other => panic!("{other:?}"),
        };
        assert_eq!(again.unwrap().as_slice(), bytes.as_slice());
        assert_eq!(shown, debug);
        assert!((0..bytes.len().min(2_000)).all(|end| Received::decode(&bytes[..end]).is_err()), "{debug}");
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_eq!(Packet::decode(&longer), Err(InvalidMessage::TrailingBytes), "{debug}");
    }
}

#[test]
fn each_kind_has_one_number_and_its_reply_the_same_with_the_bit() {
    let used: Vec<u16> = requests().iter().map(Request::kind).collect();
    assert_eq!(used, Request::KINDS, "the samples are all requests, in order");
    let answers: Vec<u16> = Request::KINDS.iter().map(|kind| kind + REPLY_BIT).collect();
    assert_eq!(answers, Reply::KINDS);
    assert_eq!(replies().iter().map(Reply::kind).collect::<Vec<_>>(), Reply::KINDS);
    assert_eq!(pushes().iter().map(Push::kind).collect::<Vec<_>>(), Push::KINDS);
    assert!(Request::KINDS.is_sorted_by(|a, b| a < b) && Push::KINDS.is_sorted_by(|a, b| a < b));
}

#[test]
fn fields_added_later_are_passed_over() {
    for request in requests() {
        let mut bytes = request.encode(1).unwrap().to_vec();
        bytes.extend([1, 2, 3]);
        let length = u16::try_from(bytes.len() - HEADER_LEN).unwrap();
        bytes[6..8].copy_from_slice(&length.to_be_bytes());
        let Received::Request(1, again) = Received::decode(&bytes).unwrap() else { panic!("{request:?}") };
        assert_eq!(again.encode(1).unwrap().len() + 3, bytes.len());
    }
}

#[test]
fn unknown_kinds_are_told_apart_from_malformed_ones() {
    let of = |id: u32, kind: u16| {
        let mut bytes = Vec::new();
        bytes.put_u32(id);
        bytes.put_u16(kind);
        bytes.put_prefixed(b"x").unwrap();
        Received::decode(&bytes)
    };
    assert!(matches!(of(3, 0x0043), Ok(Received::Unknown { id: 3, kind: 0x0043 })));
    assert!(matches!(of(0, 0x4007), Ok(Received::Unknown { id: 0, kind: 0x4007 })));
    assert!(matches!(of(3, 0x8043), Ok(Received::Unknown { id: 3, kind: 0x8043 })));
    // A push with an id, a request or a reply without one, and kinds that are of no class.
    for (id, kind) in [(3, 0x4001), (0, 0x0001), (0, 0x8001), (0, REFUSAL_KIND), (3, 0x0000), (3, 0x8000)] {
        assert!(of(id, kind).is_err(), "{id} {kind:#x}");
    }
}

#[test]
fn lists_are_bounded() {
    let send = |count| Request::Send(Send { items: vec![item(1); count] }).encode(1).unwrap();
    assert!(Received::decode(&send(ENVELOPES_PER_SEND)).is_ok());
    assert!(Received::decode(&send(ENVELOPES_PER_SEND + 1)).is_err());
    // A count alone, with nothing behind it, reserves nothing.
    let mut bytes = vec![0, 0, 0, 1, 0x00, 0x38, 0, 5];
    bytes.extend([0xFF, 0xFF, 0xFF, 0xFF, 0x0F]);
    assert!(Received::decode(&bytes).is_err());
    assert_eq!(
        Request::PutChunk(PutChunk { id: BlobId([0; 16]), index: 0, chunk: blob(BODY_MAX) }).encode(1).err(),
        Some(ApiMisuse::TooLarge)
    );
}

/// The largest message of every class fits a body.
#[test]
fn the_largest_fit() {
    let user = UserName::new(&"n".repeat(USER_NAME_MAX)).unwrap();
    let identity = Identity::from_bytes([0xFF; 32]);
    let entry = UserPresence { user: user.clone(), presence: Presence::Online };
    let deliver = Deliver {
        id: EnvelopeId([0xFF; 16]),
        sender: identity,
        user: user.clone(),
        sent_at: u64::MAX,
        transient: true,
        envelope: blob(ENVELOPE_MAX),
    };
    assert!(Push::Deliver(deliver).encode().is_ok());
    assert!(Request::Send(Send { items: vec![item(ENVELOPE_MAX)] }).encode(1).is_ok());
    let to_group = SendItem { recipient: Recipient::Group(group()), ..item(ENVELOPE_MAX) };
    assert!(Request::Send(Send { items: vec![to_group] }).encode(1).is_ok());
    let entries = vec![blob(ENTRY_MAX); ENTRIES_PER_PAGE];
    assert!(Reply::GroupLog(Log { sequence: u32::MAX, entries, next: u32::MAX }).encode(1).is_ok());
    let head = GroupHead { sequence: u32::MAX, ..head() };
    let groups = Groups { groups: vec![head; GROUPS_PER_PAGE], more: true, lobby: Some(head) };
    assert!(Reply::Groups(groups).encode(1).is_ok());
    let chunk = PutChunk { id: BlobId([0xFF; 16]), index: u32::MAX, chunk: blob(61_536) };
    assert!(Request::PutChunk(chunk).encode(1).is_ok());
    let users = Users { users: vec![entry; USERS_PER_PAGE], next: user.to_string() };
    assert!(Reply::Users(users).encode(1).is_ok());
    let ranges = vec![ChunkRange { start: u32::MAX, count: u32::MAX }; RANGES_PER_PAGE];
    assert!(Reply::MissingChunks(Missing { ranges, next: u32::MAX }).encode(1).is_ok());
    let envelopes = vec![EnvelopeRef { sender: identity, id: EnvelopeId([0; 16]) }; ENVELOPES_PER_ACKNOWLEDGE];
    assert!(Request::Acknowledge(Acknowledge { envelopes }).encode(1).is_ok());
}

#[test]
fn refusals_come_back_and_unknown_numbers_stay() {
    for code in (0..40).map(RefusalCode::from) {
        let refusal = Refusal::after(code, 7);
        let bytes = refusal.encode(5).unwrap();
        assert!(matches!(Received::decode(&bytes), Ok(Received::Refused(5, again)) if again == refusal));
    }
    assert_eq!(RefusalCode::from(999), RefusalCode::Other(999));
}

/// ATTACKS.md C5, for the types here that hold secrets.
#[test]
fn c5_debug_shows_no_password_and_no_code() {
    let shown = format!("{:?} {:?}", requests(), replies());
    assert!(!shown.contains("secret\"") && !shown.contains("123456") && !shown.contains("65, 65"), "{shown}");
    assert!(shown.contains("Password(..)") && shown.contains("OneTimeCode(..)") && shown.contains("CodeSecret(..)"));
}

#[test]
fn passwords_and_codes_have_bounds() {
    assert!(Password::new(String::new()).is_err() && Password::new("x".repeat(257)).is_err());
    assert!(Password::new("x".repeat(256)).is_ok());
    assert!(OneTimeCode::new(1_000_000).is_err() && OneTimeCode::new(999_999).is_ok());
    let bytes = codec::encode(&"");
    assert!(codec::decode::<Password>(&bytes).is_err());
    assert!(codec::decode::<OneTimeCode>(&codec::encode(&1_000_000_u32)).is_err());
}

/// `tests/vectors/independent/wire.json`, computed with other tools from the tables of section 10 alone.
#[test]
fn messages_are_as_the_tables_say() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/vectors/independent/wire.json")).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let requests = requests().iter().map(|message| hex(&message.encode(8).unwrap())).collect::<Vec<_>>();
    let replies = replies().iter().map(|message| hex(&message.encode(8).unwrap())).collect::<Vec<_>>();
    let pushes = pushes().iter().map(|message| hex(&message.encode().unwrap())).collect::<Vec<_>>();
    for (class, messages) in [("requests", requests), ("replies", replies), ("pushes", pushes)] {
        let expected = vectors[class].as_array().unwrap();
        assert_eq!(expected.len(), messages.len(), "{class}");
        for (expected, message) in expected.iter().zip(messages) {
            assert_eq!(expected["bytes"].as_str(), Some(message.as_str()), "{class}: {}", expected["name"]);
        }
    }
    let refusal = Refusal::after(RefusalCode::RateLimited, 300).encode(8).unwrap();
    assert_eq!(vectors["refusal"]["bytes"].as_str(), Some(hex(&refusal).as_str()));
}

#[test]
fn bytes_are_the_same_however_they_are_kept() {
    for size in [0, 1, 4_095, 4_096, 61_504] {
        let vector = vec![3; size];
        let place = vector.as_ptr();
        let bytes = Bytes::from(vector.clone());
        assert_eq!(bytes, Bytes::from(vector.as_slice()));
        assert_ne!(bytes, Bytes::from([&vector[..], &[3]].concat()));
        assert_eq!(codec::encode(&bytes), codec::encode(&vector));
        assert_eq!(Bytes::from(vector).as_ptr() == place, size >= 4_096, "a long vector is not moved");
    }
}
