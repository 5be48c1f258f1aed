//! Messages as they are, changed, signed anew, in any order.

use super::cases::Grown;
use crate::crypto::aead::{AeadKey, Cipher};
use crate::crypto::ed25519::SigningKey;
use crate::crypto::label::Label;
use crate::crypto::secret::Secret;
use crate::group::message::{associated_data, halves, keys as message_keys};
use crate::identity::Identity;
use crate::identity::samples::keys;
use crate::limits::{CONTENT_MAX, SKIPPED_LIFE};
use crate::padding::pad;
use crate::roster::samples::add;
use crate::session::chain::Chain;
use crate::vectors::{In, Vectors, counting, flipped, hex, with};
use serde_json::{Value, json};

/// Where things stand in an envelope.
const GROUP: usize = 1;
const KEY: usize = 17;
const NUMBER: usize = 33;
const SEQUENCE: usize = 37;
const HASH: usize = 41;
const SALT: usize = 73;
const COMMIT: usize = 89;
const CIPHERTEXT: usize = 121;

/// An envelope with a byte changed and signed anew by its sender, whose signing key has this seed.
fn signed_anew(envelope: &[u8], place: usize, seed: &[u8; 32], sender: &Identity) -> Value {
    let mut changed = envelope.to_vec();
    changed[place] ^= 1;
    let (message, signature) = changed.split_last_chunk_mut::<64>().unwrap();
    let key = SigningKey::from_bytes(seed);
    *signature = key.sign(Label::GROUP_MESSAGE, &[sender.as_bytes(), &message[1..]]);
    hex(&changed)
}

pub(super) fn all(vectors: &mut Vectors, cipher: &str) {
    let group = Grown::new(false).with(add(&["bob"]));
    let sender = keys(1).identity();
    let (seed, chain) = (counting::<32>(0x20), counting::<32>(0x60));
    let message = |place: u8, content: &[u8]| json!({ "content": hex(content), "salt": hex(&counting::<16>(place)) });
    let contents = [&b"one"[..], b"", &[0x32; 300], b"four", b"five"];
    let several: Vec<_> = contents.iter().zip(0xc0..).map(|(content, place)| message(place, content)).collect();
    let sealing = json!({
        "identity": hex(sender.as_bytes()),
        "log": group.shown(0),
        "cipher": cipher,
        "signing_private": hex(&seed),
        "chain": hex(&chain),
        "messages": several,
        "hand_from": [0, 2, 5, 9],
    });
    let sealed = vectors.gives("seal group messages", cipher, sealing.clone());
    let big = [message(0, &vec![0; CONTENT_MAX + 1])];
    if cipher == "AESGCM" {
        vectors.fails("seal group messages", "55,001 bytes", with(&sealing, [("messages", json!(big))]));
    }
    let id = json!({
        "identity": hex(sender.as_bytes()),
        "group": hex(group.roster.id().as_bytes()),
        "signing": sealed["signing"],
        "cipher": cipher,
    });
    assert_eq!(vectors.gives("key id", cipher, id.clone())["key"], sealed["key"]);
    for (case, field, value) in [
        ("another sender", "identity", hex(keys(2).identity().as_bytes())),
        ("another group", "group", hex(&[7; 16])),
        ("another signing key", "signing", hex(&counting::<32>(1))),
    ] {
        let other = vectors.gives("key id", case, with(&id, [(field, value)]));
        assert_ne!(other["key"], sealed["key"]);
    }
    let envelope = |number: usize| In::new(&sealed["envelopes"][number]).as_bytes();
    let two = envelope(1);
    vectors.gives("group message", cipher, json!({ "envelope": hex(&two) }));
    vectors.gives("group message", "nothing in it", json!({ "envelope": hex(&[&[3][..], &[1; 120 + 64]].concat()) }));
    for cut in [0, 1, 17, 120, CIPHERTEXT + 63] {
        vectors.fails("group message", "cut", json!({ "envelope": hex(&two[..cut]) }));
    }
    for kind in [0, 1, 2, 4, 0xff] {
        vectors.fails("group message", "another kind", json!({ "envelope": hex(&[&[kind][..], &two[1..]].concat()) }));
    }

    let from = |number: usize| {
        let handed = &sealed["handed"][number];
        with(&id, [("number", handed["number"].clone()), ("chain", handed["chain"].clone())])
    };
    let mut case = |case: &str, receiver: &Value, steps: &[(Value, &str)]| {
        let given: Vec<_> = steps.iter().map(|(step, _)| step.clone()).collect();
        let out = vectors.gives("receive group messages", case, with(receiver, [("steps", given.into())]));
        for ((_, expected), came) in steps.iter().zip(out["steps"].as_array().unwrap()) {
            let came = if came.get("content").is_some() { "opens" } else { came["fails"].as_str().unwrap_or("") };
            assert_eq!(came, *expected, "{case}");
        }
    };
    let open = |number: usize| json!({ "open": sealed["envelopes"][number] });
    let take = |envelope: Value| json!({ "open": envelope });
    case(
        "in any order, each once",
        &from(0),
        &[
            (open(3), "opens"),
            (open(0), "opens"),
            (open(3), "replay"),
            (open(0), "replay"),
            (open(1), "opens"),
            (open(4), "opens"),
            (open(2), "opens"),
            (open(2), "replay"),
        ],
    );
    case(
        "handed over at the third message",
        &from(1),
        &[(open(1), "replay"), (open(2), "opens"), (open(0), "replay"), (open(3), "opens")],
    );
    case("handed over after all of them", &from(2), &[(open(4), "replay"), (open(0), "replay")]);
    case(
        "a skipped key is kept for 30 days",
        &from(0),
        &[
            (open(2), "opens"),
            (json!({ "wait": SKIPPED_LIFE - 1 }), ""),
            (open(0), "opens"),
            (json!({ "wait": 1 }), ""),
            (open(1), "replay"),
        ],
    );
    // Whatever is changed, and who has the key but not the signing key can change anything: the signature goes first.
    let one = envelope(2);
    let mut changed: Vec<(Value, &str)> =
        [NUMBER + 3, SEQUENCE + 3, HASH, SALT, COMMIT, CIPHERTEXT, one.len() - 65, one.len() - 64, one.len() - 1]
            .into_iter()
            .map(|place| (take(flipped(&one, place)), "signature"))
            .collect();
    changed.push((take(flipped(&one, GROUP)), "another key"));
    changed.push((take(flipped(&one, KEY)), "another key"));
    changed.push((take(flipped(&one, 0)), "not opened"));
    changed.push((take(hex(&one[..one.len() - 1])), "signature"));
    changed.push((open(2), "opens"));
    case("a changed message", &from(0), &changed);
    // Its sender can sign what does not open: it changes nothing.
    let anew = |place: usize| take(signed_anew(&one, place, &seed, &sender));
    case(
        "signed, and not what was sealed",
        &from(0),
        &[
            (anew(NUMBER + 3), "not opened"),
            (anew(NUMBER + 2), "not opened"),
            (anew(NUMBER + 1), "too many skipped"),
            (anew(SEQUENCE + 3), "not opened"),
            (anew(HASH), "not opened"),
            (anew(SALT), "not opened"),
            (anew(COMMIT), "not opened"),
            (anew(CIPHERTEXT), "not opened"),
            (anew(one.len() - 65), "not opened"),
            (open(2), "opens"),
            (anew(CIPHERTEXT), "replay"),
            (open(0), "opens"),
        ],
    );
    let wrong = |field: &str, value: Value| with(&from(0), [(field, value)]);
    case("of another sender", &wrong("identity", hex(keys(2).identity().as_bytes())), &[(open(0), "another key")]);
    case("under another signing key", &wrong("signing", hex(&counting::<32>(1))), &[(open(0), "another key")]);
    case("under another chain", &wrong("chain", hex(&chain.map(|byte| byte ^ 1))), &[(open(0), "not opened")]);
    let first = envelope(0);
    let anew = |other_commit: u8, plaintext: &[u8]| forged(&first, &chain, &seed, other_commit, plaintext);
    assert_eq!(anew(0, &pad(b"one")), first);
    let wrong = [anew(0, &[0; 256]), anew(1, &pad(b"one")), anew(1, &pad(b"two"))].map(|envelope| take(hex(&envelope)));
    let [padding, commit, two] = wrong;
    case("no padding, under the right key", &from(0), &[(padding, "not opened"), (open(0), "opens")]);
    // Everything but the commitment is right: a tag alone would let one ciphertext be two messages under two keys.
    case(
        "another commitment, under the right tag",
        &from(0),
        &[(commit, "not opened"), (two, "not opened"), (open(0), "opens")],
    );
}

/// The first message as its sender can make it anew: with another commitment perhaps, and with this for its plaintext.
fn forged(envelope: &[u8], chain: &[u8; 32], seed: &[u8; 32], other_commit: u8, plaintext: &[u8]) -> Vec<u8> {
    let message_key = Chain::new(Secret::from_bytes(chain), 0).next().unwrap();
    let salt: [u8; 16] = envelope[SALT..COMMIT].try_into().unwrap();
    let keys_of_message = message_keys(message_key.as_bytes(), &salt);
    let (key, _) = halves(&keys_of_message);
    let sender = keys(1).identity();
    let mut forged = envelope[..CIPHERTEXT].to_vec();
    forged[COMMIT] ^= other_commit;
    let ad = associated_data(&sender, &forged[1..]);
    let cipher = if envelope.len() - CIPHERTEXT - 64 == 256 + 16 { Cipher::AesGcm } else { Cipher::AesCbcHmac };
    forged.extend(AeadKey::new(cipher, key).seal(0, &ad, plaintext));
    let signature = SigningKey::from_bytes(seed).sign(Label::GROUP_MESSAGE, &[sender.as_bytes(), &forged[1..]]);
    forged.extend(signature);
    forged
}
