//! Device lists, their chains, and pins.

use super::{chain_of, identity, identity_hex};
use crate::codec::{Writer, encode};
use crate::crypto::ed25519::SigningKey;
use crate::crypto::hash::sha256;
use crate::crypto::label::Label;
use crate::error::Error;
use crate::identity::{DeviceList, Identity, ListChange, Pin, SignedBundle, SignedDeviceList, Trust, UserName};
use crate::vectors::{In, Outcome, Vectors, counting, flipped, hex};
use serde_json::{Value, json};

/// A list with these signatures, by the rules or not.
fn list(user: &str, epoch: u64, previous: [u8; 32], devices: &[u8], signers: &[u8]) -> Vec<u8> {
    let identities: Vec<Identity> = devices.iter().map(|seed| identity(*seed)).collect();
    signed(&encode(&DeviceList { user: UserName::new(user).unwrap(), epoch, previous, identities }), signers)
}

fn signed(body: &[u8], signers: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_prefixed(body).unwrap();
    bytes.put_u8(signers.len() as u8);
    for seed in signers {
        let key = SigningKey::from_bytes(&counting(*seed));
        bytes.put(key.verifying_key().as_bytes());
        bytes.put(&key.sign(Label::DEVICE_LIST, &[body]));
    }
    bytes
}

fn body_of(list: &[u8]) -> &[u8] {
    &list[2..2 + usize::from(u16::from_be_bytes([list[0], list[1]]))]
}

/// SHA-256 over the body.
fn hash_of(list: &[u8]) -> [u8; 32] {
    sha256(&[body_of(list)])
}

fn hexes(lists: &[&[u8]]) -> Value {
    lists.iter().map(|list| hex(list)).collect()
}

pub(super) fn lists(vectors: &mut Vectors) {
    let first = list("alice", 0, [0; 32], &[1], &[1]);
    let second = list("alice", 1, hash_of(&first), &[1, 2], &[2, 1]);
    let third = list("alice", 2, hash_of(&second), &[2], &[2]);
    for (case, list) in [("epoch 0", &first), ("a device more, signed by both", &second), ("a device less", &third)] {
        vectors.gives("device list", case, json!({ "list": hex(list) }));
    }
    let body = body_of(&first).to_vec();
    let reworked = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut body = body.clone();
        change(&mut body);
        signed(&body, &[1])
    };
    let many: Vec<u8> = (1..=17).collect();
    for (case, list) in [
        ("a changed body", In::new(&flipped(&first, 10)).as_bytes()),
        ("a changed signature", In::new(&flipped(&first, first.len() - 1)).as_bytes()),
        ("cut", first[..first.len() - 1].to_vec()),
        ("a byte too many", [&first[..], &[0]].concat()),
        ("no signature", signed(&body, &[])),
        ("a signer twice", signed(body_of(&second), &[1, 1])),
        ("epoch 0 with two devices", list("alice", 0, [0; 32], &[1, 2], &[1, 2])),
        ("epoch 0 signed by another", list("alice", 0, [0; 32], &[1], &[2])),
        ("epoch 0 with another signer beside", list("alice", 0, [0; 32], &[1], &[1, 2])),
        ("epoch 0 after another list", list("alice", 0, [1; 32], &[1], &[1])),
        ("epoch 4,096", list("alice", 4_096, [1; 32], &[1], &[1])),
        ("no devices", list("alice", 1, [1; 32], &[], &[1])),
        ("17 devices", list("alice", 1, [1; 32], &many, &[1])),
        ("a device twice", list("alice", 1, [1; 32], &[1, 1], &[1])),
        ("a byte after the fields, signed", reworked(&|body| body.push(0))),
        (
            "a varint in two bytes where one does, signed",
            reworked(&|body| {
                body[6] |= 0x80;
                body.insert(7, 0);
            }),
        ),
        ("a user name in upper case, signed", reworked(&|body| body[1] = b'A')),
    ] {
        vectors.fails("device list", case, json!({ "list": hex(&list) }));
    }
    chains(vectors, &first, &second, &third);
    proposals(vectors, &first, &second);
}

fn chains(vectors: &mut Vectors, first: &[u8], second: &[u8], third: &[u8]) {
    vectors.gives("list chain", "one", json!({ "lists": hexes(&[first]) }));
    vectors.gives("list chain", "three", json!({ "lists": hexes(&[first, second, third]) }));
    let next = |user: &str, epoch: u64, previous: [u8; 32], devices: &[u8], signers: &[u8]| {
        list(user, epoch, previous, devices, signers)
    };
    let hash = hash_of(first);
    for (case, second) in [
        ("an epoch too far", next("alice", 2, hash, &[1, 2], &[1, 2])),
        ("after another list", next("alice", 1, [1; 32], &[1, 2], &[1, 2])),
        ("the new device has not signed", next("alice", 1, hash, &[1, 2], &[1])),
        ("no device of the list before has signed", next("alice", 1, hash, &[1, 2], &[2])),
        ("all devices are others", next("alice", 1, hash, &[2], &[2])),
        ("somebody in neither list has signed", next("alice", 1, hash, &[1, 2], &[1, 2, 3])),
        ("another user", next("bob", 1, hash, &[1, 2], &[1, 2])),
        ("the same again", first.to_vec()),
    ] {
        vectors.fails("list chain", case, json!({ "lists": hexes(&[first, &second]) }));
    }
    vectors.fails("list chain", "it does not begin with epoch 0", json!({ "lists": hexes(&[second, third]) }));
}

fn proposals(vectors: &mut Vectors, first: &[u8], second: &[u8]) {
    let hash = hash_of(first);
    let of = |proposed: &[u8]| json!({ "proposed": hex(proposed), "current": hex(first) });
    vectors.gives("proposal", "signed by the new device", of(&list("alice", 1, hash, &[1, 2], &[2])));
    for (case, proposed) in [
        ("signed by a listed one already", second.to_vec()),
        ("two new devices", list("alice", 1, hash, &[1, 2, 3], &[3])),
        ("the new device is not at the end", list("alice", 1, hash, &[2, 1], &[2])),
        ("a device is left out", list("alice", 1, hash, &[2], &[2])),
        ("an epoch too far", list("alice", 2, hash, &[1, 2], &[2])),
        ("after another list", list("alice", 1, [1; 32], &[1, 2], &[2])),
        ("of another user", list("bob", 1, hash, &[1, 2], &[2])),
    ] {
        vectors.fails("proposal", case, of(&proposed));
    }
}

fn change_shown(change: ListChange) -> Value {
    let all = |identities: Vec<Identity>| identities.iter().map(identity_hex).collect::<Vec<_>>();
    match change {
        ListChange::Same => json!("same"),
        ListChange::Followed { added, removed } => json!({ "added": all(added), "removed": all(removed) }),
        ListChange::Violation { fork } => json!({ "violation": if fork { "fork" } else { "another chain" } }),
        ListChange::Gap { from, to } => json!({ "fetch_from": from, "fetch_to": to }),
    }
}

fn pin_step(pin: &mut Pin, step: &In<'_>) -> Result<Value, Error> {
    Ok(if step.has("list") {
        change_shown(pin.update_list(&SignedDeviceList::decode(&step.bytes("list"))?)?)
    } else if step.has("chain") {
        change_shown(pin.update_chain(&chain_of(&step.list("chain"))?)?)
    } else if step.has("bundle") {
        let change = pin.update_bundle(&SignedBundle::decode(&step.bytes("bundle"))?)?;
        json!({ "newer": change.newer })
    } else if step.has("first_message_bundle") {
        let listing = pin.check_delayed(&SignedBundle::decode(&step.bytes("first_message_bundle"))?)?;
        json!(format!("{listing:?}"))
    } else if step.has("accept") {
        pin.accept(&step.array("accept"))?;
        json!("accepted")
    } else {
        assert!(step.flag("verify"), "an unknown step");
        pin.verify()?;
        json!("verified")
    })
}

/// A pin from its first chain on. A step that fails changes nothing; the next one comes all the same.
pub(super) fn pin(input: &In<'_>) -> Outcome {
    let user = UserName::new(input.text("user")).unwrap();
    let mut pin = Pin::new(&user, &chain_of(&input.list("chain"))?)?;
    let mut results = Vec::new();
    for step in input.list("steps") {
        let result = pin_step(&mut pin, &step).unwrap_or_else(|_| json!({ "fails": true }));
        let mark = match pin.trust() {
            Trust::Seen => "seen",
            Trust::Verified => "verified",
            Trust::Violation => "violation",
        };
        results.push(json!({ "result": result, "mark": mark, "epoch": pin.epoch(), "hash": hex(&pin.hash()) }));
    }
    Ok(json!({ "steps": results }))
}

pub(super) fn pins(vectors: &mut Vectors) {
    let first = list("alice", 0, [0; 32], &[1], &[1]);
    let second = list("alice", 1, hash_of(&first), &[1, 2], &[2, 1]);
    let fork = list("alice", 1, hash_of(&first), &[1, 3], &[3, 1]);
    let third = list("alice", 2, hash_of(&second), &[1], &[1]);
    let fourth = list("alice", 3, hash_of(&third), &[1, 5], &[1, 5]);
    let other = list("alice", 0, [0; 32], &[4], &[4]);
    let others_next = list("alice", 1, hash_of(&other), &[4, 6], &[4, 6]);
    let case = |chain: &[&[u8]], steps: Value| json!({ "user": "alice", "chain": hexes(chain), "steps": steps });
    let [one, two, three, four] = [&first, &second, &third, &fourth].map(|list| hex(list));

    vectors.gives(
        "pin",
        "the list grows by the rules, the mark stays",
        case(
            &[&first],
            json!([
                { "verify": true }, { "list": one }, { "list": two }, { "list": three },
            ]),
        ),
    );
    vectors.gives(
        "pin",
        "lists between are missing",
        case(
            &[&first],
            json!([
                { "list": four }, { "list": two }, { "list": three }, { "list": four },
            ]),
        ),
    );
    vectors.gives(
        "pin",
        "an older list",
        case(
            &[&first, &second, &third],
            json!([
                { "list": two }, { "chain": [one, two] }, { "list": one },
            ]),
        ),
    );
    vectors.gives(
        "pin",
        "a second list of one epoch is a fork",
        case(
            &[&first, &second],
            json!([
                { "verify": true }, { "list": hex(&fork) }, { "chain": [one, hex(&fork)] }, { "verify": true },
                { "accept": hex(&[0; 32]) }, { "accept": hex(&hash_of(&fork)) },
            ]),
        ),
    );
    vectors.gives(
        "pin",
        "a new epoch 0, accepted; the one before never comes back",
        case(
            &[&first, &second],
            json!([
                { "list": hex(&other) }, { "list": hex(&others_next) }, { "list": three },
                { "accept": hex(&hash_of(&others_next)) }, { "list": one }, { "chain": [one, two, three] },
            ]),
        ),
    );
    vectors.gives(
        "pin",
        "lists that break the rules change nothing",
        case(
            &[&first],
            json!([
                { "list": hex(&list("alice", 1, hash_of(&first), &[1, 2], &[1])) },
                { "list": hex(&list("bob", 1, hash_of(&first), &[1, 2], &[1, 2])) },
                { "chain": [one, hex(&list("alice", 1, hash_of(&first), &[2], &[2]))] },
            ]),
        ),
    );
    let bundle = |seed: u8, user: &str, serial: u64| {
        let input = super::with(
            &super::whole(),
            [
                ("identity_private", hex(&counting::<32>(seed))),
                ("user", user.into()),
                ("serial", serial.into()),
                ("suites", json!(["0101"])),
                ("rsa", Value::Null),
                ("prekeys", json!([])),
            ],
        );
        super::sign_bundle(&In::new(&input)).unwrap()["bundle"].clone()
    };
    vectors.gives("pin", "bundles of its devices and of others", case(&[&first], json!([
        { "bundle": bundle(1, "alice", 5) }, { "bundle": bundle(1, "alice", 6) }, { "bundle": bundle(1, "alice", 5) },
        { "first_message_bundle": bundle(1, "alice", 5) }, { "bundle": bundle(2, "alice", 1) },
        { "bundle": bundle(1, "bob", 7) }, { "list": hex(&other) }, { "first_message_bundle": bundle(4, "alice", 1) },
    ])));
    vectors.fails("pin", "the lists of another user", json!({ "user": "bob", "chain": [one], "steps": [] }));
}
