//! Valid encodings of everything that is parsed, the same in every run.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use securechat_core::codec::{Writer, encode, encode_secret};
use securechat_core::content::{Body, Content, Conversation, GroupControl, MessageId, ReceiptKind};
use securechat_core::crypto::aead::Cipher;
use securechat_core::crypto::secret::Secret;
use securechat_core::crypto::{mlkem, rsa, x25519};
use securechat_core::file::{Chunks, FileOffer, FileProof, Manifest};
use securechat_core::frame::write_frame;
use securechat_core::fuzzing::{self, Device, Host, KEY, RECORD, Sample, offer};
use securechat_core::identity::{DeviceKeys, LocalIdentity, PrekeyPublic, SignedDeviceList, SignedPrekey, UserName};
use securechat_core::limits::DAY;
use securechat_core::noise::Role;
use securechat_core::padding::pad;
use securechat_core::roster::{Action, Entry, GroupId, SignedEntry};
use securechat_core::suite::{Policy, Suite};
use securechat_core::vault::Vault;
use securechat_core::wire::{self, *};
use std::sync::Arc;

/// Target, file name and bytes.
pub(crate) type Seed = (&'static str, &'static str, Vec<u8>);

const NOW: u64 = 20_000 * DAY;

/// Every seed.
pub(crate) fn all() -> Vec<Seed> {
    [
        parsers(),
        signed_objects(),
        requests(),
        replies(),
        pushes(),
        contents(),
        files(),
        groups(),
        links(),
        envelopes(),
        relay(),
        programs(),
    ]
    .concat()
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng(length as u64).fill_bytes(&mut bytes);
    bytes
}

fn name(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn keys(seed: u64) -> DeviceKeys {
    let rsa = rsa::PrivateKey::from_der(include_bytes!("../keys/rsa2048.der")).unwrap();
    DeviceKeys { rsa: Some(Arc::new(rsa)), ..DeviceKeys::generate(&mut rng(seed), None).unwrap() }
}

fn policy() -> Policy {
    Policy::new(Suite::ALL.to_vec()).unwrap()
}

fn prekeys(id: u32) -> Vec<PrekeyPublic> {
    let agreement = x25519::PrivateKey::generate(&mut rng(10)).public();
    let encapsulation = mlkem::DecapsulationKey::generate(&mut rng(11)).encapsulation_key();
    vec![PrekeyPublic::new(id, agreement, None), PrekeyPublic::new(id, agreement, Some(encapsulation))]
}

fn device(user: &str, seed: u64) -> LocalIdentity {
    LocalIdentity::new(keys(seed), Some(name(user)), 1, &policy(), prekeys(1), NOW).unwrap()
}

fn lists() -> [SignedDeviceList; 3] {
    let (one, two) = (keys(1), keys(2));
    let first = SignedDeviceList::create(name("alice"), &one.identity).unwrap();
    let proposed = first.propose_add(&two.identity).unwrap();
    let second = proposed.countersign(&first, &one.identity).unwrap();
    [first, proposed, second]
}

/// The first entry of a group.
fn group() -> SignedEntry {
    let entry = Entry {
        identity: keys(1).identity(),
        group: GroupId::NONE,
        previous: [0; 32],
        sequence: 0,
        time: NOW,
        epoch: 0,
        actor: name("alice"),
        action: Action::Create { name: "friends".into(), open: true, nonce: [7; 16] },
    };
    SignedEntry::sign(entry, &keys(1).identity).unwrap()
}

fn head() -> GroupHead {
    GroupHead { group: group().group(), sequence: 0, hash: group().hash() }
}

fn parsers() -> Vec<Seed> {
    let sample =
        |numbers, text: &str, list| encode(&Sample { flag: true, numbers, text: text.into(), list, fixed: [9; 16] });
    let frames = |step, lengths: &[usize]| {
        let mut stream = vec![step];
        for length in lengths {
            write_frame(&mut stream, |out| out.put_prefixed(&random(*length - 2))).unwrap();
        }
        stream
    };
    let vault = Vault::new(Secret::from_bytes(&KEY));
    let record = |plaintext: &[u8]| vault.seal(RECORD, plaintext, &mut rng(1));
    let names =
        ["report.pdf", "../..\\C:\\con .txt", "photo\u{202e}gpj.exe\u{1b}[2J", "می\u{200c}خواهم 👩\u{200d}💻.png"];
    vec![
        ("codec", "small", sample((1, 2, 3, 4), "", vec![])),
        ("codec", "large", sample((255, 65_535, u32::MAX, u64::MAX), "größer", vec![None, Some(300), Some(0)])),
        ("codec", "layout", [&[0, 1, 2, 1, 1, 2, 3, 4, 3][..], &[7; 32], &[4, 0, 2, 8, 9]].concat()),
        ("frame", "two", frames(3, &[40, 2])),
        ("frame", "long", frames(0, &[9_000])),
        ("frame", "too_long", vec![1, 0xff, 0xff, 0xff, 0xff, 0]),
        ("vault", "empty", record(b"")),
        ("vault", "record", record(b"some state")),
        ("vault", "wrapped_key", vault.wrap(&Secret::from_bytes(&KEY), &mut rng(2))),
        ("name", "plain", names[0].into()),
        ("name", "nasty", names[1].into()),
        ("name", "hidden", names[2].into()),
        ("name", "joined", names[3].into()),
        ("name", "long", [&b"con"[..], &[b' '; 300], b"z.txt"].concat()),
    ]
}

fn signed_objects() -> Vec<Seed> {
    let alice = device("alice", 1);
    let relay = LocalIdentity::new(keys(3), None, 0, &policy(), vec![], NOW).unwrap();
    let sign = |prekey: &PrekeyPublic| SignedPrekey::sign(&alice.keys.identity, 1, prekey.clone()).unwrap();
    let [first, proposed, second] = lists();
    vec![
        ("bundle", "user", alice.bundle.bytes().to_vec()),
        ("bundle", "relay", relay.bundle.bytes().to_vec()),
        ("prekey", "x25519", sign(&prekeys(7)[0]).bytes().to_vec()),
        ("prekey", "hybrid", sign(&prekeys(70_000)[1]).bytes().to_vec()),
        ("device_list", "first", first.bytes().to_vec()),
        ("device_list", "proposed", proposed.bytes().to_vec()),
        ("device_list", "second", second.bytes().to_vec()),
    ]
}

fn requests() -> Vec<Seed> {
    let alice = device("alice", 1);
    let identity = alice.keys.identity();
    let (user, password) = (name("alice"), Password::new("correct horse".into()).unwrap());
    let (bundle, list): (Bytes, Bytes) = (alice.bundle.bytes().into(), lists()[0].bytes().into());
    let prekey = SignedPrekey::sign(&alice.keys.identity, 1, prekeys(7)[0].clone()).unwrap();
    let envelope = |id, length| SendItem {
        id: EnvelopeId([id; 16]),
        recipient: Recipient::Device(identity),
        transient: id == 2,
        envelope: random(length).into(),
    };
    let signature = [5; 64];
    let code = Some(OneTimeCode::new(123_456).unwrap());
    let requests = [
        ("ping", Request::Ping(Ping)),
        (
            "register",
            Request::Register(Register { user: user.clone(), password: password.clone(), bundle, list, signature }),
        ),
        ("log_in", Request::LogIn(LogIn { user: user.clone(), password, code, identity, signature })),
        ("publish", Request::PublishPrekeys(PublishPrekeys { replace: true, prekeys: vec![prekey.bytes().into()] })),
        ("fetch", Request::FetchKeys(FetchKeys { user, devices: vec![identity], prekey_kind: 2 })),
        ("send", Request::Send(Send { items: vec![envelope(1, 300), envelope(2, 20)] })),
        (
            "send_to_group",
            Request::Send(Send {
                items: vec![SendItem { recipient: Recipient::Group(group().group()), ..envelope(3, 80) }],
            }),
        ),
        ("group_entry", Request::GroupEntry(GroupEntry { entry: group().bytes().into() })),
        ("group_log", Request::GroupLog(FetchLog { group: group().group(), from: 300 })),
        ("put_chunk", Request::PutChunk(PutChunk { id: BlobId([4; 16]), index: 300, chunk: random(60).into() })),
    ];
    requests.into_iter().map(|(name, request)| ("request", name, request.encode(7).unwrap().to_vec())).collect()
}

fn replies() -> Vec<Seed> {
    let alice = device("alice", 1);
    let kinds = vec![PrekeyStock { kind: 1, left: 100, highest: 140 }, PrekeyStock { kind: 2, left: 3, highest: 7 }];
    let stock = Stock { kinds };
    let device =
        wire::DeviceKeys { identity: alice.keys.identity(), bundle: alice.bundle.bytes().into(), prekey: None };
    let replies = [
        ("done", Reply::Ping(Done)),
        ("logged_in", Reply::LogIn(LoggedIn { listed: true, epoch: Some(1), serial: 4, stock })),
        (
            "lists",
            Reply::FetchLists(Lists { epoch: 1, lists: lists().map(|list| list.bytes().into()).to_vec(), next: 0 }),
        ),
        ("keys", Reply::FetchKeys(Keys { epoch: 1, devices: vec![device] })),
        ("sent", Reply::Send(Sent { results: vec![SendResult { outcome: SendOutcome::Full, epoch: 1 }] })),
        ("log", Reply::GroupLog(Log { sequence: 1, entries: vec![group().bytes().into()], next: 1 })),
        ("groups", Reply::Groups(Groups { groups: vec![head(); 2], more: true, lobby: Some(head()) })),
        ("missing", Reply::MissingChunks(Missing { ranges: vec![ChunkRange { start: 3, count: 9 }], next: 40 })),
    ];
    let mut seeds: Vec<Seed> =
        replies.into_iter().map(|(name, reply)| ("reply", name, reply.encode(7).unwrap().to_vec())).collect();
    seeds.push(("reply", "refusal", Refusal::after(RefusalCode::RateLimited, 30).encode(7).unwrap().to_vec()));
    seeds
}

fn pushes() -> Vec<Seed> {
    let deliver = Deliver {
        id: EnvelopeId([1; 16]),
        sender: keys(1).identity(),
        user: name("alice"),
        sent_at: NOW,
        transient: false,
        envelope: random(300).into(),
    };
    let changes = vec![UserPresence { user: name("bob"), presence: Presence::Away }];
    let pushes = [
        ("deliver", Push::Deliver(deliver)),
        ("presence", Push::Presence(PresenceChanges { changes })),
        ("group_changed", Push::GroupChanged(head())),
        ("list_proposed", Push::ListProposed(ListProposed { list: lists()[1].bytes().into() })),
        ("prekeys_low", Push::PrekeysLow(PrekeysLow { kind: 2, left: 9 })),
        ("notice", Push::Notice(Notice { code: NoticeCode::ListReplaced, epoch: 0 })),
    ];
    pushes.into_iter().map(|(name, push)| ("push", name, push.encode().unwrap().to_vec())).collect()
}

fn contents() -> Vec<Seed> {
    let target = MessageId::from_bytes([0xaa; 16]);
    let encode = |body| Content { id: target, sent_at: NOW, expiry: 60, body }.encode().unwrap();
    let text = encode(Body::Text { text: "hello, wörld".into() });
    let control = |control| encode(Body::GroupControl { group: group().group(), control });
    let bodies = [
        ("text", text.clone()),
        ("edit", encode(Body::Edit { target, text: "hallo".into() })),
        ("reaction", encode(Body::Reaction { target, reaction: "👍".into(), removed: false })),
        ("receipt", encode(Body::Receipt { kind: ReceiptKind::Read, ids: vec![target; 3] })),
        ("sent", encode(Body::Sent { to: Conversation::User(name("bob")), content: text.clone() })),
        ("file_offer", encode(Body::FileOffer(offer(Cipher::AesGcm, FileProof::Tags, 70_000)))),
        ("sent_to_group", encode(Body::Sent { to: Conversation::Group(group().group()), content: text })),
        (
            "group_key",
            encode(Body::GroupKey {
                group: group().group(),
                signing: keys(1).identity.verifying_key(),
                cipher: Cipher::AesCbcHmac,
                number: 300,
                chain: Secret::from_bytes(&KEY),
            }),
        ),
        ("group_key_wanted", control(GroupControl::KeyWanted { key: [4; 16] })),
        ("group_entries_wanted", control(GroupControl::EntriesWanted { sequence: 300 })),
        ("group_entries", control(GroupControl::Entries { entries: vec![group().bytes().to_vec(); 2] })),
        ("device_list", encode(Body::DeviceList { list: lists()[0].bytes().to_vec(), yours: lists()[0].hash() })),
        ("application", encode(Body::Application { kind: 0x8001, bytes: vec![1, 2, 3] })),
    ];
    bodies.into_iter().map(|(name, bytes)| ("content", name, pad(&bytes).to_vec())).collect()
}

fn files() -> Vec<Seed> {
    const GCM: Cipher = Cipher::AesGcm;
    const CBC: Cipher = Cipher::AesCbcHmac;
    let offered = |cipher, proof, size, name: &str| FileOffer {
        name: name.into(),
        media_type: "text/plain".into(),
        ..offer(cipher, proof, size)
    };
    let sealed = |offer: &FileOffer, data: &[u8]| Chunks::new(offer).seal(0, data, None, &mut rng(1)).unwrap().0;
    let chunk = |choice: u8, cipher, proof, data: &[u8]| {
        [&[choice][..], &sealed(&offer(cipher, proof, data.len()), data)].concat()
    };
    let with_chunk = |offer: FileOffer, data: &[u8]| [&encode_secret(&offer)[..], &sealed(&offer, data)].concat();
    let mut manifest = Manifest::new(2 * 1_024 + 3);
    for i in [0, 5, 6, 2_050] {
        manifest.note(i, [i as u8; 32]);
    }
    let page = |number: u64| [&[number as u8][..], &encode(manifest.page_of(number * 1_024).unwrap().1)].concat();
    vec![
        ("file_offer", "empty", with_chunk(offered(GCM, FileProof::Tags, 0, ""), b"")),
        ("file_offer", "small", with_chunk(offered(CBC, FileProof::Contents, 5, "../a.txt"), b"12345")),
        ("file_offer", "large", encode_secret(&offered(GCM, FileProof::Contents, 1 << 30, "film.mkv")).to_vec()),
        (
            "file_offer",
            "absurd",
            encode_secret(&FileOffer { size: u64::MAX, ..offer(GCM, FileProof::Tags, 0) }).to_vec(),
        ),
        ("chunk", "gcm", chunk(0, GCM, FileProof::Tags, b"some bytes of a file")),
        ("chunk", "gcm_contents", chunk(2, GCM, FileProof::Contents, b"some bytes of a file")),
        ("chunk", "cbc", chunk(1 | 4 << 2, CBC, FileProof::Tags, b"some bytes of a file")),
        ("chunk", "cbc_contents", chunk(3 | 4 << 2, CBC, FileProof::Contents, b"some bytes of a file")),
        ("chunk", "empty", chunk(0, GCM, FileProof::Tags, b"")),
        ("manifest", "last_page", page(2)),
    ]
}

/// Entries, what is done to a group, messages under a sender key, and what happens to records.
fn groups() -> Vec<Seed> {
    let member = |number: u8| fuzzing::user(number);
    let done = |steps: &[(u8, Action)]| {
        steps.iter().flat_map(|(actor, action)| encode(&(*actor, 0_u64, action.clone()))).collect::<Vec<u8>>()
    };
    let add = |numbers: &[u8]| Action::Add { users: numbers.iter().map(|number| member(*number)).collect() };
    let remove = |numbers: &[u8]| Action::Remove { users: numbers.iter().map(|number| member(*number)).collect() };
    let admin = |number, admin| Action::Admin { user: member(number), admin };
    let rename = |to: &str| Action::Rename { name: to.into() };
    let life = done(&[
        (0, add(&[1, 2])),
        (1, rename("no")),
        (2, remove(&[2])),
        (0, admin(1, true)),
        (1, rename("yes")),
        (1, remove(&[0, 1])),
        (0, remove(&[0])),
        (1, add(&[2])),
        (1, remove(&[1, 2])),
    ]);
    let epochs = encode(&(0_u8, 3_u64, Action::Epoch));
    let messages = |choice: u8, contents: &[&[u8]], order: &[usize]| {
        let sealed = fuzzing::group_messages(choice, contents);
        let mut bytes = vec![choice];
        order.iter().for_each(|place| bytes.put_prefixed(&sealed[*place]).unwrap());
        bytes
    };
    let three: [&[u8]; 3] = [b"one", b"two", &[3; 300]];
    let mut forged = messages(0, &three, &[1, 0]);
    let last = forged.len() - 80;
    forged[last] ^= 1;
    vec![
        ("roster", "entry", group().bytes().to_vec()),
        ("roster", "life", life.clone()),
        (
            "roster",
            "open",
            [&done(&[(1, add(&[1])), (1, remove(&[1])), (2, add(&[2])), (3, add(&[2]))])[..], &life].concat(),
        ),
        ("roster", "epochs", [&epochs[..], &epochs, &done(&[(0, rename("x"))])].concat()),
        ("roster", "twice", done(&[(0, add(&[1, 1])), (0, add(&[0]))])),
        ("group", "in_order", messages(0, &three, &[0, 1, 2])),
        ("group", "out_of_order", messages(0, &three, &[2, 0, 2, 1, 0])),
        ("group", "cbc", messages(1, &three, &[1, 0, 2, 1])),
        ("group", "handed_late", messages(4, &three, &[0, 1, 2, 1])),
        ("group", "forged", forged),
        ("records", "as_it_was", vec![0]),
        ("records", "restored", vec![1]),
        ("records", "changed", vec![0, 0, 0, 40, 0, 0, 0, 3, 0, 1]),
        ("records", "cut", vec![0, 1, 0, 90, 0, 0, 0, 2, 1]),
        ("records", "swapped", vec![0, 3, 0, 20, 0, 60]),
        ("records", "lost", vec![0, 4, 0, 30, 0, 0, 4, 0, 50, 0, 0]),
        ("records", "renamed", vec![1, 5, 0, 33, 0, 0, 0, 20, 4, 1, b'9']),
        ("records", "does_not_open", vec![0, 7, 0, 12, 0, 0, 0, 9, 0, 1]),
    ]
}

/// What each side of a link sent to the other until it was closed, by the bytes that say what kind of link it is.
fn links() -> Vec<Seed> {
    const LARGE_STEPS: u8 = 7 << 5;
    let (peer, pinned, suite) = (1, 2, |index: u8| index << 2);
    let mut seeds = Vec::new();
    for (one, other, name) in [
        (suite(0), suite(0), "relay"),
        (suite(1) | pinned, suite(1), "relay_cbc"),
        (suite(2), suite(2), "relay_rsa"),
        (suite(4) | pinned, suite(4) | pinned, "relay_hybrid"),
        (suite(0), suite(4), "relay_retry"),
        (suite(0) | peer | pinned, suite(0) | peer | pinned, "peer"),
        (suite(3) | peer, suite(3) | peer, "peer_rsa_cbc"),
        (suite(5) | peer | pinned, suite(5) | peer, "peer_hybrid_cbc"),
        (suite(2) | peer, suite(1) | peer, "peer_retry"),
    ] {
        let (choice_one, choice_other) = (one | LARGE_STEPS, other | LARGE_STEPS);
        let one = fuzzing::link(Role::Initiator, choice_one);
        let other = fuzzing::link(Role::Responder, choice_other);
        let (mut one, mut other) = (one, other);
        let (mut to_other, mut to_one) = (vec![choice_other], vec![choice_one]);
        for round in 0.. {
            let (mut sent, mut answered) = (Vec::new(), Vec::new());
            if round == 9 {
                one.send(&random(1_000)).unwrap();
                one.close(0).unwrap();
            }
            fuzzing::react(&mut one, &mut sent);
            other.handle_input(&sent, fuzzing::NOW).unwrap();
            fuzzing::react(&mut other, &mut answered);
            one.handle_input(&answered, fuzzing::NOW).unwrap();
            to_other.extend(&sent);
            to_one.extend(&answered);
            assert!(round != 8 || one.is_open() && other.is_open());
            if round == 10 {
                break;
            }
        }
        seeds.push(("link_responder", name, to_other));
        seeds.push(("link_initiator", name, to_one));
    }
    seeds
}

/// What a device is sent: the beginning of a session, and how it goes on after answers.
fn envelopes() -> Vec<Seed> {
    let joined = |envelopes: &[&Vec<u8>]| {
        let mut bytes = Vec::new();
        envelopes.iter().for_each(|envelope| bytes.put_prefixed(envelope).unwrap());
        bytes
    };
    let mut seeds = Vec::new();
    for (suite, name) in ["x25519", "x25519_cbc", "rsa", "rsa_cbc", "hybrid", "hybrid_cbc"].into_iter().enumerate() {
        let (mut alice, mut bob) = (Device::new(1, suite), Device::new(2, 0));
        let first = alice.write_first(&bob, b"first");
        let second = alice.write(&bob, &random(300));
        let answers = [&first, &second].map(|envelope| bob.read(envelope).unwrap());
        alice.read(&answers[1]).unwrap();
        let late = alice.write(&bob, b"late");
        let last = alice.write(&bob, b"last");
        assert!(bob.read(&last).is_some() && bob.read(&late).is_some() && bob.read(&late).is_none());
        seeds.push(("envelope", name, joined(&[&first, &second, &last, &late])));
        if suite == 0 {
            seeds.push(("envelope", "out_of_order", joined(&[&second, &first])));
            seeds.push(("envelope", "replay", joined(&[&first, &second, &first, &second])));
        }
    }
    seeds
}

/// Steps that make sense, for the targets that are given steps.
fn programs() -> Vec<Seed> {
    // An end is given all that is on its way; what is sent by the other is on its way then.
    const HANDSHAKE: [u8; 12] = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
    const TALK: [u8; 16] = [6, 3, 1, 1, 0, 7, 5, 2, 0, 0, 6, 1, 3, 1, 0, 0x8e];
    const SHUT: [u8; 4] = [1, 0, 0, 0];
    let flip = [10, 0, 20, 0, 3];
    let link = |first: &[u8], steps: &[&[u8]]| [first, &steps.concat()].concat();
    let mut seeds = vec![
        ("link_pair", "relay", link(&[0, 0], &[&HANDSHAKE, &TALK, &SHUT])),
        ("link_pair", "retry", link(&[0, 4], &[&HANDSHAKE, &HANDSHAKE, &TALK, &SHUT])),
        ("link_pair", "peer_rsa", link(&[9, 9], &[&HANDSHAKE, &TALK, &SHUT])),
        ("link_pair", "peer_hybrid", link(&[17, 17], &[&HANDSHAKE, &TALK, &SHUT])),
        ("link_pair", "flip", link(&[1, 1], &[&[1, 0], &flip, &HANDSHAKE])),
        ("record", "gcm", link(&[0], &[&TALK, &SHUT])),
        ("record", "cbc", link(&[4], &[&TALK, &SHUT])),
        ("record", "peer", link(&[1], &[&TALK, &TALK[..14], &TALK, &SHUT])),
        ("record", "flip", link(&[0], &[&TALK[..3], &[11, 0, 20, 0, 3], &SHUT])),
        ("record", "repeat", link(&[5], &[&TALK[..3], &[9, 1, 0], &TALK])),
        ("negotiation", "offer", b"SCHT\x01\x03\x03\x01\x0a\x0a\x01\x01\x02\x01noise".to_vec()),
        ("negotiation", "accept", b"\x01noise".to_vec()),
        ("negotiation", "retry", vec![2, 1, 1]),
        ("negotiation", "refuse", vec![3, 5]),
    ];
    // Packets go from 0 to 1, and with 0x40 back; 4 delivers the next, 12 restarts, 13 lets time pass, 14 keeps a backup.
    let (there, back, next) = ([0, 4, 1], [0x40, 3, 2], [4]);
    let talk = [&there[..], &next, &back, &next].concat();
    for suite in 0..6 {
        let name = ["x25519", "x25519_cbc", "rsa", "rsa_cbc", "hybrid", "hybrid_cbc"][usize::from(suite)];
        seeds.push(("session", name, [&[suite], &talk[..], &[12], &talk].concat()));
    }
    let forged = [10, 0, 1, 30, 0, 2, 1];
    let backup = [&[0, 14][..], &talk, &[14], &talk, &[13, 1], &talk].concat();
    seeds.push(("session", "backup", backup));
    let three = [&talk[..], &there, &there, &there].concat();
    seeds.push(("session", "out_of_order", [&[0][..], &three, &[8, 4, 8, 3, 8, 2, 8, 3, 8, 4]].concat()));
    seeds.push(("session", "forged", [&[0][..], &there, &forged, &next, &there, &forged, &next].concat()));
    // The same message, wrong in its last byte: everything but the content is as it should be.
    let first = Device::new(1, 0).write_first(&Device::new(2, 0), &[1; 304]);
    let [high, low] = (first.len() as u16 - 1).to_be_bytes();
    seeds.push(("session", "forged_tag", [&[0][..], &there, &[10, 0, high, low, 0, 2, 1], &next].concat()));
    // A backup from the middle of a conversation, with a chain that went on since.
    let amid = [&talk[..], &there, &next, &[14], &there, &next, &[14], &there, &next].concat();
    seeds.push(("session", "backup_amid", [&[0][..], &amid].concat()));
    // One ended what they had, the other knows nothing of it.
    seeds.push(("session", "ended", [&[0][..], &talk, &[0x4f], &there, &next].concat()));
    seeds.push(("session", "crossed", [&[0][..], &there, &back, &next, &next, &[0x80, 1, 1, 3, 1], &next].concat()));
    // Ten sessions to one device, of which each has a message, and is answered.
    let ten = [3, 0, 0, 4, 1, 4].repeat(10);
    seeds.push(("session", "ten_sessions", [&[0][..], &ten, &back, &next, &there, &next].concat()));
    // 4 and 5 connect, 0 and 1 write, 6 lets all arrive.
    let (connect, write) = ([4, 5, 6], [0, 6, 1, 6]);
    let (added, said) = ([34, 0, 6], [44, 0, 6, 45, 0, 6]);
    seeds.extend([
        ("network", "talk", [&[0][..], &connect, &write, &write].concat()),
        ("network", "talk_cbc", [&[5][..], &connect, &write, &write].concat()),
        ("network", "talk_hybrid", [&[2][..], &connect, &write, &write].concat()),
        ("network", "cut", [&[4][..], &connect, &[0, 8, 16, 0, 17, 1], &connect, &write].concat()),
        ("network", "touched", [&[4][..], &connect, &[0, 14, 0, 0, 0, 9, 0, 6], &connect, &write].concat()),
        ("network", "lies", [&[0][..], &connect, &[18, 2, 0, 6, 18, 0, 1, 6, 18, 9, 1, 6], &write].concat()),
        ("network", "backup", [&[4][..], &connect, &[24], &write, &[24], &connect, &write].concat()),
        ("network", "restart", [&[4][..], &connect, &write, &[22, 23], &connect, &write].concat()),
        ("network", "sent_again", [&[4][..], &connect, &[0, 24, 6, 24], &connect, &write].concat()),
        ("network", "forgotten", [&[0][..], &connect, &[25], &write, &[25], &connect, &[0, 6]].concat()),
        ("network", "another_name", [&[4][..], &connect, &[18, 21].repeat(6), &write, &write].concat()),
        ("network", "peers", [&[4][..], &[26, 6], &write].concat()),
        // From 32 on in a group: 32 creates, 34 adds, 36 removes, 38 leaves, 40 makes an admin, 44 writes; odd ones by the other.
        ("network", "group", [&[4][..], &connect, &[32, 6], &added, &said, &[36, 0, 6], &said].concat()),
        (
            "network",
            "group_offline",
            [&[0][..], &connect, &[32, 6, 16, 17], &added, &[44, 0], &connect, &said].concat(),
        ),
        (
            "network",
            "group_left",
            [&[5][..], &connect, &[32, 6], &added, &said, &[39, 0, 6], &said, &added, &said].concat(),
        ),
        (
            "network",
            "group_lies",
            [&[4][..], &connect, &[32, 6], &added, &[18, 2, 18, 3, 18, 21], &said, &said].concat(),
        ),
        (
            "network",
            "group_backup",
            [&[4][..], &connect, &[32, 6], &added, &[24], &said, &[36, 0, 6, 24], &connect, &said].concat(),
        ),
        ("network", "group_admins", [&[4][..], &connect, &[32, 6], &added, &[40, 0, 0, 6, 37, 0, 6], &said].concat()),
        ("network", "file", [&[4][..], &connect, &[30, 1, 6, 30, 1, 6, 20, 0, 6]].concat()),
    ]);
    let calls: Vec<u8> = (0..28).flat_map(|call| [0, call, call % 3]).collect();
    seeds.extend([
        ("client", "calls", [&[4][..], &calls].concat()),
        ("client", "strangers", [&[0][..], &calls].concat()),
        ("client", "heard_again", [&[4][..], &[5, 0, 5, 1, 13, 2, 0, 3, 0, 0, 13, 1, 0, 3, 4, 1]].concat()),
        // An envelope comes changed, is asked for again, comes anew, and then as it was at first.
        ("client", "come_twice", vec![4, 22, 26, 74, 20, 6, 26, 5, 14, 26]),
        ("client", "told", [&[4][..], &[1, 0, 0, 0x40, 6, 1, 0, 0x40, 2, 3, 1, 2, 3]].concat()),
    ]);
    // A request of connection 0, 1 or 2: who else, a number, what.
    let asks = |at: u8, what: &[u8]| what.iter().flat_map(|what| [at, 1 - at, 1, *what]).collect::<Vec<u8>>();
    let logins = [[0, 0, 0, 3], [1, 1, 0, 3]].concat();
    let all: Vec<u8> = (7..20).collect();
    // Who asks, of whose group, a number that says what, and the kind: 23 is an entry, 17 a send.
    let begun =
        [[0, 0, 0, 23], [0, 0, 0x11, 23], [0, 0, 0x81, 17], [1, 0, 0x82, 17], [1, 0, 0, 24], [1, 0, 0, 25]].concat();
    let changed =
        [[0, 0, 6, 23], [0, 0, 0x15, 23], [1, 0, 0x46, 23], [1, 0, 7, 23], [0, 0, 0x14, 23], [0, 0, 0x83, 17]].concat();
    let open =
        [[1, 1, 0, 23], [0, 1, 1, 23], [0, 1, 0x83, 17], [1, 1, 0xc1, 17], [0, 0, 0, 25], [0, 1, 4, 23]].concat();
    let refused = [[1, 0, 0x11, 23], [0, 0, 0x86, 23], [0, 0, 0x0e, 23], [1, 2, 0x81, 17], [0, 2, 0, 24]].concat();
    seeds.extend([
        ("relay_ops", "group", [&logins[..], &begun, &changed, &[1, 0, 0x81, 17]].concat()),
        ("relay_ops", "open_group", [&logins[..], &open, &refused].concat()),
        (
            "relay_ops",
            "group_of_idle",
            [&logins[..], &begun[..8], &[48], &begun[8..], &changed, &[52, 5, 52, 17, 60, 48]].concat(),
        ),
        ("relay_ops", "all", [&logins[..], &asks(0, &all), &asks(1, &[19, 14])].concat()),
        ("relay_ops", "blobs", [&logins[..], &[0, 0, 4, 20, 9, 0, 0, 0, 21, 1, 9, 1, 0, 4, 21, 1, 0, 4, 22]].concat()),
        ("relay_ops", "register", vec![2, 2, 0, 1, 2, 2, 0, 3, 2, 0, 1, 17, 0, 0, 0, 3]),
        ("relay_ops", "waiting", [&logins[..4], &[0, 1, 1, 17, 44], &logins, &[45, 46], &logins].concat()),
        ("relay_ops", "idle", [&[48][..], &logins, &asks(0, &[17, 16]), &[52, 3, 52, 17, 60, 48, 56, 2]].concat()),
    ]);
    seeds
}

/// A user as their device talks to the relay, on the connection of their number.
struct Talker {
    number: u8,
    keys: DeviceKeys,
    user: UserName,
    asked: u32,
}

impl Talker {
    fn new(number: u8) -> Self {
        Self { number, keys: fuzzing::keys(number), user: fuzzing::user(number), asked: 0 }
    }

    /// One request as the input of the target has it, after it was answered by the reply of its kind.
    fn ask(&mut self, host: &mut Host, choice: u8, request: Request) -> Vec<u8> {
        self.asked += 1;
        let request = request.encode(self.asked).unwrap();
        let answers = host.take(choice | self.number, &request);
        let replied =
            |answer: &Vec<u8>| matches!(Received::decode(answer), Ok(Received::Reply(id, _)) if id == self.asked);
        assert!(answers.iter().any(replied), "refused");
        let mut step = vec![choice | self.number];
        step.put_prefixed(&request).unwrap();
        step
    }

    fn claim(&self) -> [u8; 64] {
        let (relay, identity) = (fuzzing::relay_identity(), self.keys.identity());
        let channel_binding = &fuzzing::binding(self.number);
        LoginClaim { relay: &relay, user: &self.user, identity: &identity, channel_binding }.sign(&self.keys.identity)
    }

    fn register(&mut self, host: &mut Host) -> Vec<u8> {
        let policy = Policy::default();
        let keys = fuzzing::keys(self.number);
        let local = LocalIdentity::new(keys, Some(self.user.clone()), 1, &policy, prekeys(1), fuzzing::NOW).unwrap();
        let list = SignedDeviceList::create(self.user.clone(), &self.keys.identity).unwrap();
        let register = Register {
            user: self.user.clone(),
            password: Password::new("correct horse".into()).unwrap(),
            bundle: local.bundle.bytes().into(),
            list: list.bytes().into(),
            signature: self.claim(),
        };
        self.ask(host, 0x80, Request::Register(register))
    }

    fn log_in(&mut self, host: &mut Host) -> Vec<u8> {
        let login = LogInDevice { user: self.user.clone(), identity: self.keys.identity(), signature: self.claim() };
        self.ask(host, 0xc0, Request::LogInDevice(login))
    }
}

/// What a relay is asked, connection by connection.
fn relay() -> Vec<Seed> {
    let (mut host, mut one, mut two) = (Host::new(), Talker::new(1), Talker::new(2));
    let (id, blob) = (EnvelopeId([1; 16]), BlobId([4; 16]));
    let registered = [one.register(&mut host), two.register(&mut host)].concat();
    let prekey = |id| SignedPrekey::sign(&fuzzing::keys(2).identity, 1, prekeys(id)[1].clone()).unwrap();
    let prekeys = [2, 3].map(|id| prekey(id).bytes().into()).to_vec();
    let (from, to) = (one.keys.identity(), two.keys.identity());
    let keys_of_two = || FetchKeys { user: fuzzing::user(2), devices: vec![to], prekey_kind: 2 };
    let item = SendItem { id, recipient: Recipient::Device(to), transient: false, envelope: random(300).into() };
    let envelopes = vec![EnvelopeRef { sender: from, id }];
    let messages = [
        two.ask(&mut host, 0, Request::PublishPrekeys(PublishPrekeys { replace: false, prekeys })),
        one.ask(&mut host, 0, Request::FetchLists(FetchLists { user: fuzzing::user(2), from: 0 })),
        one.ask(&mut host, 0, Request::FetchKeys(keys_of_two())),
        one.ask(&mut host, 0, Request::Send(Send { items: vec![item] })),
        two.log_in(&mut host),
        two.ask(&mut host, 0, Request::Acknowledge(Acknowledge { envelopes })),
        one.ask(&mut host, 0, Request::SetPresence(SetPresence { presence: Presence::Away, watch: true })),
        one.ask(&mut host, 0x80, Request::Users(FetchUsers { from: String::new() })),
    ];
    let chunks = Chunks::new(&offer(Cipher::AesGcm, FileProof::Tags, 10));
    let (chunk, _) = chunks.seal(0, &random(10), None, &mut rng(1)).unwrap();
    let files = [
        one.ask(&mut host, 0, Request::CreateBlob(CreateBlob { id: blob, size: 10 })),
        two.ask(&mut host, 0, Request::MissingChunks(MissingChunks { id: blob, from: 0 })),
        one.ask(&mut host, 0, Request::PutChunk(PutChunk { id: blob, index: 0, chunk: chunk.into() })),
        two.ask(&mut host, 0, Request::GetChunk(GetChunk { id: blob, index: 0 })),
        one.ask(&mut host, 0, Request::DeleteBlob(DeleteBlob { id: blob })),
    ];
    host.end();
    vec![
        ("relay", "messages", [&registered[..], &messages.concat()].concat()),
        ("relay", "files", [&registered[..], &files.concat()].concat()),
    ]
}
