//! ATTACKS.md C5: what every public type shows of itself, kept in `snapshots/debug.txt`, and that none of it is secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use rand_core::CryptoRng;
use securechat_core::client::{Client, ClientConfig, GroupInfo, Save, Transfer, TransferState};
use securechat_core::codec::Reader;
use securechat_core::content::{Body, Content, Conversation, MessageId};
use securechat_core::crypto::aead::{AeadKey, Cipher};
use securechat_core::crypto::ed25519::SigningKey;
use securechat_core::crypto::secret::{Secret, SecretVec};
use securechat_core::crypto::{mlkem, rsa, x25519};
use securechat_core::event::{Event, GroupChange, Message, MessageBody, SecretBytes};
use securechat_core::file::{Chunks, FileOffer, FileOpener, FileProof, FileSealer};
use securechat_core::frame::Deframer;
use securechat_core::group::{GroupLog, GroupMessage, HandedKey, ReceiverKey, SenderKey};
use securechat_core::identity::{DeviceKeys, Identity, LocalIdentity, Trust, UserName};
use securechat_core::limits::Limits;
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::noise::{Handshake, Keys, Pattern, Role, StaticKey};
use securechat_core::record::{Changes, Records};
use securechat_core::relay::{
    Account, Job, JobResult, Mailboxes, MemoryStore, NewAccount, Output, PasswordHash, RecordStore, Relay, RelayConfig,
    StoreJob, StoreResult, StoredList,
};
use securechat_core::roster::{Action, Entry, GroupId, SignedEntry};
use securechat_core::session::{SenderCheck, Sessions};
use securechat_core::suite::{KeyExchange, Policy};
use securechat_core::vault::Vault;
use securechat_core::wire::{self, Bytes, OneTimeCode, Packet, Password, Received, Reply, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{NOW, X25519_GCM, rng};

/// What stands for every text that anybody wrote.
const WRITTEN: &str = "canary";
/// What every secret byte is, where a test may choose it.
const SECRET: u8 = 0xA7;
/// The one-time code.
const CODE: u32 = 758_341;

/// Every value that holds something that must not be shown, by the type that it is of.
fn shown() -> BTreeMap<&'static str, String> {
    let mut all = BTreeMap::new();
    let mut show = |name: &'static str, value: &dyn Debug| {
        let text = format!("{value:?}");
        assert_eq!(all.insert(name, text), None, "{name} twice");
    };
    keys(&mut show);
    handshakes(&mut show);
    sessions(&mut show);
    written(&mut show);
    groups(&mut show);
    relays(&mut show);
    all
}

fn key() -> Secret<32> {
    Secret::from_bytes(&[SECRET; 32])
}

fn device_keys() -> DeviceKeys {
    DeviceKeys {
        identity: SigningKey::from_bytes(&[SECRET; 32]),
        x25519: x25519::PrivateKey::from_bytes(&[SECRET; 32]),
        rsa: None,
    }
}

fn user() -> UserName {
    UserName::new("alice").unwrap()
}

fn policy() -> Policy {
    Policy::new(vec![X25519_GCM]).unwrap()
}

fn keys(show: &mut dyn FnMut(&'static str, &dyn Debug)) {
    show("crypto::secret::Secret", &key());
    show("crypto::aead::AeadKey", &AeadKey::new(Cipher::AesGcm, &[SECRET; 32]));
    show("crypto::x25519::PrivateKey", &x25519::PrivateKey::from_bytes(&[SECRET; 32]));
    show("crypto::ed25519::SigningKey", &SigningKey::from_bytes(&[SECRET; 32]));
    show("crypto::mlkem::DecapsulationKey", &mlkem::DecapsulationKey::from_seed(&Secret::from_bytes(&[SECRET; 64])));
    show("crypto::rsa::PrivateKey", &rsa::PrivateKey::from_der(include_bytes!("keys/rsa2048.der")).unwrap());
    show("identity::DeviceKeys", &device_keys());
    show("vault::Vault", &Vault::new(key()));
    let mut changes = Changes::default();
    changes.put("a key", SecretVec::new(vec![SECRET; 40]));
    show("record::Changes", &changes);
    let mut records = Records::default();
    records.insert("a key".to_owned(), SecretVec::new(vec![SECRET; 40]));
    show("record::Records", &records);
    show("codec::Reader", &Reader::new(&[SECRET; 40]));
    let mut deframer = Deframer::new();
    deframer.next_frame(&mut &[0, 0, 0, 44, SECRET, SECRET, SECRET][..]).unwrap();
    show("frame::Deframer", &deframer);
}

/// A generator that knows one byte.
struct Only;

impl rand_core::TryRng for Only {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_ne_bytes([SECRET; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_ne_bytes([SECRET; 8]))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.fill(SECRET);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Only {}

fn only() -> Box<dyn CryptoRng + Send> {
    Box::new(Only)
}

fn handshakes(show: &mut dyn FnMut(&'static str, &dyn Debug)) {
    let static_key = || StaticKey::X25519(x25519::PrivateKey::from_bytes(&[SECRET; 32]));
    show("noise::StaticKey", &static_key());
    let keys = || Keys {
        local_static: Some(static_key()),
        local_identity: Some(SigningKey::from_bytes(&[SECRET; 32])),
        local_prekey: Some(x25519::PrivateKey::from_bytes(&[SECRET; 32])),
        local_prekey_mlkem: Some(mlkem::DecapsulationKey::from_seed(&Secret::from_bytes(&[SECRET; 64]))),
        psks: vec![key()],
        ..Keys::default()
    };
    show("noise::Keys", &keys());
    let pattern = Pattern::relay_link(KeyExchange::X25519);
    let handshake = |role| Handshake::new(pattern, X25519_GCM, role, &[], keys()).unwrap();
    let (mut initiator, mut responder) = (handshake(Role::Initiator), handshake(Role::Responder));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    initiator.write(&[], &mut *rng(1), &mut first).unwrap();
    responder.read(&first, &mut *rng(2)).unwrap();
    show("noise::Handshake", &initiator);
    responder.write(&[SECRET; 40], &mut *rng(2), &mut second).unwrap();
    let transport = responder.into_transport().unwrap();
    show("noise::Sealer", &transport.sealer);
    show("noise::Opener", &transport.opener);

    let local = Arc::new(LocalIdentity::new(device_keys(), None, 0, &policy(), vec![], NOW).unwrap());
    show("identity::LocalIdentity", &local);
    let mut config = LinkConfig::new(Purpose::Relay);
    (config.policy, config.local) = (policy(), Some(local));
    show("link::LinkConfig", &without_limits(&config));
    let link = Link::initiator(config, only(), NOW).unwrap();
    show("link::Link", &without_limits(&link));
    show("link::LinkEvent", &LinkEvent::Data([SECRET; 40].as_slice().into()));
    show("link::Data", &securechat_core::link::Data::from([SECRET; 40].as_slice()));
    show("secret_vec::SecretVec", &SecretVec::new(vec![SECRET; 40]));
}

fn sessions(show: &mut dyn FnMut(&'static str, &dyn Debug)) {
    let device = |seed: u64, name| {
        let mut sessions = Sessions::new(policy(), Arc::default());
        let prekeys = sessions.last_resort_prekeys(NOW, &mut *rng(seed)).unwrap();
        let keys = DeviceKeys::generate(&mut *rng(seed + 1), None).unwrap();
        let user = UserName::new(name).unwrap();
        (LocalIdentity::new(keys, Some(user), 1, &policy(), prekeys, NOW).unwrap(), sessions)
    };
    let ((alice, mut ours), (bob, mut theirs)) = (device(10, "alice"), device(20, "bob"));
    ours.open_to(&alice, &bob.bundle, None, false, NOW, &mut *rng(1)).unwrap();
    let envelope = ours.seal(&bob.bundle.identity(), WRITTEN.as_bytes(), false, &mut *rng(2)).unwrap();
    let opened = theirs.open(&bob, &envelope, &|_| SenderCheck::Listed, NOW, &mut *rng(3)).unwrap();
    assert_eq!(opened.content.as_slice(), WRITTEN.as_bytes());
    show("session::Opened", &opened);
    show("session::Sessions", &theirs);

    let client = Client::create(ClientConfig::new(user()), Vault::new(key()), rng(5), NOW).unwrap();
    show("client::Client", &client);
    show("client::Save", &Save { key: "0123".to_owned(), value: Some(vec![SECRET; 40]) });
}

fn message(body: MessageBody) -> Message {
    let id = MessageId::from_bytes([1; 16]);
    Message {
        id,
        from: user(),
        device: Identity::from_bytes([2; 32]),
        trust: Trust::Seen,
        sent_at: 3,
        expiry: 4,
        group: None,
        body,
    }
}

fn offer() -> FileOffer {
    FileOffer {
        id: [5; 16],
        key: key(),
        cipher: Cipher::AesGcm,
        proof: FileProof::Tags,
        size: 100,
        name: WRITTEN.to_owned(),
        media_type: WRITTEN.to_owned(),
    }
}

fn written(show: &mut dyn FnMut(&'static str, &dyn Debug)) {
    let id = MessageId::from_bytes([1; 16]);
    let text = || WRITTEN.to_owned();
    let bytes = || WRITTEN.as_bytes().to_vec();
    let bodies = [
        Body::Text { text: text() },
        Body::Edit { target: id, text: text() },
        Body::Reaction { target: id, reaction: text(), removed: false },
        Body::Sent { to: Conversation::User(user()), content: SecretVec::new(bytes()) },
        Body::Profile { name: text() },
        Body::FileOffer(offer()),
        Body::FileComplete { file: [5; 16], root: [SECRET; 32] },
        Body::GroupKey {
            group: GroupId::from_bytes([3; 16]),
            signing: SigningKey::from_bytes(&[SECRET; 32]).verifying_key(),
            cipher: Cipher::AesGcm,
            number: 1,
            chain: key(),
        },
        Body::DeviceList { list: bytes(), yours: [6; 32] },
        Body::Application { kind: 0x8000, bytes: bytes() },
        Body::Unknown { kind: 99, bytes: bytes() },
    ];
    show("content::Body", &bodies);
    let [first, ..] = bodies;
    show("content::Content", &Content { id, sent_at: 2, expiry: 3, body: first });
    show("file::FileOffer", &offer());
    show("file::Chunks", &Chunks::new(&offer()));
    show("file::FileSealer", &FileSealer::new(&offer()));
    show("file::FileOpener", &FileOpener::new(&offer(), &Limits::default()).unwrap());

    let said = [
        MessageBody::Text(text()),
        MessageBody::Edit { id, text: text() },
        MessageBody::Delete { id },
        MessageBody::Reaction { id, reaction: text(), removed: true },
        MessageBody::Profile { name: text() },
        MessageBody::File { name: text(), size: 100 },
        MessageBody::Other { kind: 0x8000, bytes: bytes() },
    ];
    show("event::MessageBody", &said);
    show("event::Message", &message(MessageBody::Text(text())));
    show("event::SecretBytes", &SecretBytes::new(vec![SECRET; 20]));
    let events = [
        Event::Message(message(MessageBody::Text(text()))),
        Event::SentCopy { to: user().into(), message: message(MessageBody::Text(text())) },
        Event::CodeSecret { secret: SecretBytes::new(vec![SECRET; 20]) },
        Event::FileOffered {
            from: user(),
            trust: Trust::Seen,
            file: [5; 16],
            id,
            name: text(),
            size: 100,
            media_type: text(),
            group: None,
        },
        Event::FileResumed { file: [5; 16], with: (&user()).into(), name: text(), size: 100, done: 10, outgoing: true },
        Event::FileChunk { file: [5; 16], offset: 0, data: bytes() },
    ];
    show("event::Event", &events);
    let transfer = Transfer {
        file: [5; 16],
        with: user().into(),
        name: text(),
        size: 100,
        done: 10,
        outgoing: true,
        state: TransferState::Moving,
    };
    show("client::Transfer", &transfer);
}

fn groups(show: &mut dyn FnMut(&'static str, &dyn Debug)) {
    let key = SigningKey::from_bytes(&[SECRET; 32]);
    let (sender, mut rng) = (Identity::from(key.verifying_key()), rng(3));
    let create = Action::Create { name: WRITTEN.to_owned(), open: false, nonce: [1; 16] };
    show("roster::Action", &[&create, &Action::Rename { name: WRITTEN.to_owned() }]);
    let entry = Entry {
        identity: sender,
        group: GroupId::NONE,
        previous: [0; 32],
        sequence: 0,
        time: 1,
        epoch: 0,
        actor: user(),
        action: create,
    };
    show("roster::Entry", &entry);
    let first = SignedEntry::sign(entry, &key).unwrap();
    show("roster::SignedEntry", &first);
    let log = GroupLog::begin(first).unwrap();
    show("roster::Roster", log.roster());
    show("group::GroupLog", &log);
    let mut own = SenderKey::generate(&sender, log.roster(), Cipher::AesGcm, NOW, &mut *rng);
    let handed = || HandedKey { signing: key.verifying_key(), cipher: Cipher::AesGcm, number: 3, chain: self::key() };
    show("group::HandedKey", &handed());
    show("group::ReceiverKey", &ReceiverKey::new(&sender, log.roster().id(), handed(), NOW));
    let envelope = own.seal(&sender, log.roster(), WRITTEN.as_bytes(), &mut *rng).unwrap();
    show("group::SenderKey", &own);
    show("group::GroupMessage", &GroupMessage::decode(&envelope).unwrap());
    show("event::GroupChange", &GroupChange::Renamed { name: WRITTEN.to_owned() });
    let info = GroupInfo {
        name: WRITTEN.to_owned(),
        open: true,
        sequence: 1,
        members: vec![(user(), true)],
        member: true,
        admin: true,
        forked: false,
        waits: false,
    };
    show("client::groups::GroupInfo", &info);
}

fn relays(show: &mut dyn FnMut(&'static str, &dyn Debug)) {
    let password = || Password::new(WRITTEN.to_owned()).unwrap();
    let code = || OneTimeCode::new(CODE).unwrap();
    let hash = || PasswordHash::new(WRITTEN);
    show("wire::Password", &password());
    show("wire::OneTimeCode", &code());
    show("wire::Bytes", &Bytes::from(vec![SECRET; 40]));
    show("wire::Packet", &Packet { id: 1, kind: 2, body: &[SECRET; 40] });
    let log_in = wire::LogIn {
        user: user(),
        password: password(),
        code: Some(code()),
        identity: Identity::from_bytes([2; 32]),
        signature: [1; 64],
    };
    let register = wire::Register {
        user: user(),
        password: password(),
        bundle: vec![1; 10].into(),
        list: vec![1; 10].into(),
        signature: [1; 64],
    };
    show("wire::Enter", &wire::Enter { password: password() });
    show("wire::Register", &register);
    show("wire::LogIn", &log_in);
    show("wire::ChangePassword", &wire::ChangePassword { old: password(), new: password() });
    show("wire::SetUpCode", &wire::SetUpCode { password: password(), code: Some(code()) });
    show("wire::ConfirmCode", &wire::ConfirmCode { code: code() });
    show("wire::PutChunk", &wire::PutChunk { id: wire::BlobId([5; 16]), index: 1, chunk: vec![SECRET; 40].into() });
    show("wire::Chunk", &wire::Chunk { chunk: vec![SECRET; 40].into() });
    let requests = [Request::LogIn(log_in), Request::Register(register)];
    show("wire::Request", &requests);
    let secret = || wire::CodeSecret { secret: Secret::from_bytes(&[SECRET; 20]) };
    show("wire::CodeSecret", &secret());
    show("wire::Reply", &Reply::SetUpCode(secret()));
    let encoded = Reply::SetUpCode(secret()).encode(7).unwrap();
    show("wire::Received", &Received::decode(&encoded).unwrap());

    show("relay::Output", &Output::Data(encoded));
    show("relay::PasswordHash", &hash());
    show("relay::Job", &[Job::Hash { password: password() }, Job::Verify { password: password(), hash: hash() }]);
    show("relay::JobResult", &JobResult::Hash(hash()));
    let list = StoredList { epoch: 0, hash: [3; 32], bytes: vec![1; 10].into() };
    let account = NewAccount {
        user: user(),
        password: hash(),
        identity: Identity::from_bytes([2; 32]),
        serial: 1,
        bundle: vec![1; 10].into(),
        list,
        now: 5,
    };
    let jobs = [
        StoreJob::SetCode { user: user(), secret: Secret::from_bytes(&[SECRET; 20]), step: 1 },
        StoreJob::SetPassword { user: user(), expected: hash(), password: hash() },
        StoreJob::ImportAccount { user: user(), password: hash() },
    ];
    show("relay::StoreJob", &jobs);
    show("relay::NewAccount", &account);
    let known = || Account { password: hash(), code: Some((Secret::from_bytes(&[SECRET; 20]), 1)) };
    show("relay::Account", &known());
    show("relay::StoreResult", &StoreResult::Account(Some(known())));
    let mut store = MemoryStore::new();
    securechat_core::relay::Store::run(&mut store, &[StoreJob::CreateAccount(account)]);
    securechat_core::relay::Store::run(&mut store, &jobs);
    show("relay::MemoryStore", &store);
    show("relay::Mailboxes", &Mailboxes::default());
    let mut records = RecordStore::new();
    records.run(&StoreJob::ImportAccount { user: user(), password: hash() });
    show("relay::Ran", &jobs.iter().map(|job| records.run(job)).collect::<Vec<_>>());
    show("relay::RecordStore", &records);
    show("relay::RecordValue", &records.take_changes());
    let config = || RelayConfig {
        identity: Identity::from_bytes([2; 32]),
        server_password: Some(hash()),
        registration_open: true,
        lobby: false,
        dummy_password: hash(),
        limits: Arc::default(),
    };
    show("relay::RelayConfig", &without_limits(&config()));
    show("relay::Relay", &Relay::new(config(), only(), NOW));
}

/// What a value shows, but for the limits in it, which are long and change.
fn without_limits(value: &dyn Debug) -> Plain {
    let text = format!("{value:?}");
    let (before, after) = text.split_once("limits: Limits {").unwrap();
    // A limit of its own has braces for rates.
    let mut open = 1;
    let end = after.find(|c| {
        open += i32::from(c == '{') - i32::from(c == '}');
        open == 0
    });
    Plain(format!("{before}limits: ..{}", &after[end.unwrap() + 1..]))
}

struct Plain(String);

impl Debug for Plain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The ways in which bytes come to be printed.
fn traces() -> Vec<String> {
    let byte = |format: fn(u8) -> String, between: &str| [SECRET; 3].map(format).join(between);
    vec![
        WRITTEN.to_owned(),
        CODE.to_string(),
        byte(|byte| format!("{byte:02x}"), ""),
        byte(|byte| format!("{byte:02X}"), ""),
        byte(|byte| byte.to_string(), ", "),
        byte(|byte| format!("{byte:#x}"), ", "),
        byte(|byte| byte.to_string(), ",\n    "),
        WRITTEN.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", "),
        WRITTEN.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ]
}

#[test]
fn c5_debug_of_every_type_shows_no_secret() {
    for (name, text) in shown() {
        for trace in traces() {
            assert!(!text.contains(&trace), "{name} shows {trace}: {text}");
        }
    }
    // The traces are what a careless type would show.
    let careless = [SECRET; 8];
    let shown = [
        format!("{careless:?}"),
        format!("{careless:#?}"),
        format!("{careless:02x?}"),
        format!("{WRITTEN:?}"),
        format!("{:?}", WRITTEN.as_bytes()),
        format!("{CODE:?}"),
    ];
    for text in shown {
        let bare = text.replace([' ', ','], "");
        assert!(traces().iter().any(|trace| text.contains(trace) || bare.contains(trace)), "{text}");
    }
}

/// Whoever changes what a type shows sees it here. Write the file anew with `SECURECHAT_WRITE_SNAPSHOTS=1`.
#[test]
fn c5_debug_is_as_it_was_looked_at() {
    let mut text = String::new();
    for (name, shown) in shown() {
        writeln!(text, "{name}: {shown}").unwrap();
    }
    let path = folder("tests/snapshots/debug.txt");
    if std::env::var_os("SECURECHAT_WRITE_SNAPSHOTS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap();
    for (kept, now) in kept.lines().zip(text.lines()) {
        assert_eq!(kept, now);
    }
    assert_eq!(kept.lines().count(), text.lines().count());
}

/// Every public type was looked at: it is shown above, or `snapshots/types.txt` says that it holds nothing secret.
#[test]
fn c5_every_public_type_was_looked_at() {
    let listed = fs::read_to_string(folder("tests/snapshots/types.txt")).unwrap();
    let plain: BTreeSet<&str> =
        listed.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let shown = shown();
    let looked_at = |name: &str| plain.contains(name) || shown.contains_key(name);
    let types = public_types();
    assert!(types.len() > 150, "{}", types.len());
    let missing: Vec<_> = types.iter().filter(|name| !looked_at(name)).collect();
    assert!(missing.is_empty(), "show these in this test, or list them as plain: {missing:#?}");
    for name in plain.iter().copied().chain(shown.keys().copied()) {
        assert!(types.contains(name), "{name} is no public type");
    }
    let both: Vec<_> = plain.iter().filter(|name| shown.contains_key(*name)).collect();
    assert!(both.is_empty(), "{both:?}");
}

fn folder(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// `module::Type` of every `pub struct` and `pub enum` in the sources; what is private to the crate is `pub(…)`.
fn public_types() -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    let mut folders = vec![folder("src")];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if path.is_dir() {
                if name != "tests" && name != "fuzzing" {
                    folders.push(path);
                }
                continue;
            }
            let inside = path.strip_prefix(folder("src")).unwrap();
            let mut module: Vec<&str> = inside.iter().map(|part| part.to_str().unwrap()).collect();
            let file = module.pop().unwrap().trim_end_matches(".rs");
            // The modules of crypto are public themselves; elsewhere a file's types are its folder's.
            if module.is_empty() || (module == ["crypto"] && file != "mod") {
                module.push(file);
            }
            let source = fs::read_to_string(&path).unwrap();
            let macros = source.matches("id16! {").count() + source.matches("\nmessages! {").count();
            for line in source.lines().map(str::trim_start) {
                let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
                let name = rest.map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap());
                if let Some(name) = name.filter(|name| !name.is_empty()) {
                    types.insert(format!("{}::{name}", module.join("::")));
                }
            }
            if macros > 0 {
                for made in ["BlobId", "EnvelopeId", "Request", "Reply", "Push"] {
                    if source.contains(&format!("    {made} {{\n")) || source.contains(&format!("    {made}\n}}")) {
                        types.insert(format!("{}::{made}", module.join("::")));
                    }
                }
            }
        }
    }
    types
}
