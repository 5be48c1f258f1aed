//! Entries, logs that follow the rules and such as do not, and what a log says of messages and of other logs.

use super::{NOW, what};
use crate::codec;
use crate::crypto::label::Label;
use crate::identity::samples::{keys, name};
use crate::identity::signed;
use crate::limits::{GROUP_GRACE, GROUP_MEMBERS, OPEN_JOINS, USERS_PER_ENTRY};
use crate::roster::samples::{add, create, entry, remove};
use crate::roster::{Action, Entry, GroupId, Roster, SignedEntry};
use crate::vectors::{Vectors, flipped, hex, with};
use serde_json::{Value, json};

fn admin(user: &str, admin: bool) -> Action {
    Action::Admin { user: name(user), admin }
}

fn rename(to: &str) -> Action {
    Action::Rename { name: to.into() }
}

fn shown(entry: &SignedEntry) -> Value {
    hex(entry.bytes())
}

/// Signs whatever stands in an entry, in bounds or not.
fn forced(label: Label, seed: u8, entry: &Entry) -> Vec<u8> {
    signed::sign(label, &codec::encode(entry), &keys(seed).identity).unwrap()
}

/// A log that grows by right entries, of alice unless it is said otherwise.
pub(super) struct Grown {
    pub(super) roster: Roster,
    entries: Vec<SignedEntry>,
}

impl Grown {
    pub(super) fn new(open: bool) -> Self {
        let first = create("alice", 1, open);
        Self { roster: Roster::create(&first).unwrap(), entries: vec![first] }
    }

    fn push(&mut self, action: Action) {
        let next = entry(&self.roster, "alice", 1, action);
        self.roster.apply(&next).unwrap();
        self.entries.push(next);
    }

    pub(super) fn with(mut self, action: Action) -> Self {
        self.push(action);
        self
    }

    pub(super) fn shown(&self, from: usize) -> Value {
        self.entries[from..].iter().map(shown).collect()
    }
}

pub(super) fn entries(vectors: &mut Vectors) {
    let group = Grown::new(false).with(add(&["bob"])).roster;
    let first = create("alice", 1, true);
    vectors.gives("roster entry", "create, open", json!({ "entry": shown(&first) }));
    vectors.gives("roster entry", "create", json!({ "entry": shown(&create("alice", 2, false)) }));
    let longest = format!("{:032}", 7);
    for (case, action) in [
        ("add", add(&["carol", "dave"])),
        ("remove", remove(&["bob"])),
        ("admin", admin("bob", true)),
        ("admin no more", admin("bob", false)),
        ("rename", rename("größer")),
        ("the longest name", rename(&"n".repeat(128))),
        ("epoch", Action::Epoch),
        ("32 users", Action::Add { users: (0..32).map(|number| name(&format!("u{number}"))).collect() }),
        ("a user of 32 characters", add(&[&longest])),
    ] {
        vectors.gives("roster entry", case, json!({ "entry": shown(&entry(&group, "alice", 1, action)) }));
    }
    let last = Entry {
        sequence: 4_095,
        epoch: 4_095,
        time: 1 << 52,
        ..entry(&group, "bob", 2, Action::Epoch).entry().clone()
    };
    vectors.gives(
        "roster entry",
        "the last number and epoch",
        json!({ "entry": hex(&forced(Label::ROSTER, 2, &last)) }),
    );

    let good = entry(&group, "alice", 1, add(&["carol", "dave"]));
    let bytes = good.bytes();
    let mut fails = |case: &str, bytes: Value| vectors.fails("roster entry", case, json!({ "entry": bytes }));
    for cut in [0, 1, 2, 33, 66, bytes.len() - 65, bytes.len() - 64, bytes.len() - 1] {
        fails("cut", hex(&bytes[..cut]));
    }
    fails("a byte after it", hex(&[bytes, &[0]].concat()));
    // Places: length, identity, group, hash before, sequence, actor, action, signature.
    for place in [1, 2, 34, 50, 82, 92, bytes.len() - 76, bytes.len() - 64, bytes.len() - 1] {
        fails("a changed byte", flipped(bytes, place));
    }
    fails("another label", hex(&forced(Label::DEVICE_LIST, 1, good.entry())));
    fails("signed with another key than the one it names", hex(&forced(Label::ROSTER, 2, good.entry())));
    let base = good.entry();
    let users = |count: usize| (0..count).map(|number| name(&format!("u{number}"))).collect::<Vec<_>>();
    let begin = |name: &str| Action::Create { name: name.into(), open: false, nonce: [1; 16] };
    for (case, changed) in [
        ("an empty name", Entry { action: rename(""), ..base.clone() }),
        ("a name of 129 bytes", Entry { action: rename(&"n".repeat(129)), ..base.clone() }),
        ("created with an empty name", Entry { action: begin(""), ..base.clone() }),
        ("created with a name of 129 bytes", Entry { action: begin(&"ü".repeat(65)), ..base.clone() }),
        ("nobody is added", Entry { action: Action::Add { users: vec![] }, ..base.clone() }),
        ("nobody is removed", Entry { action: Action::Remove { users: vec![] }, ..base.clone() }),
        ("33 users are added", Entry { action: Action::Add { users: users(33) }, ..base.clone() }),
        ("33 users are removed", Entry { action: Action::Remove { users: users(33) }, ..base.clone() }),
        ("a user twice", Entry { action: add(&["bob", "carol", "bob"]), ..base.clone() }),
        ("a user removed twice", Entry { action: remove(&["bob", "bob"]), ..base.clone() }),
        ("entry 4,096", Entry { sequence: 4_096, ..base.clone() }),
        ("epoch 4,096", Entry { epoch: 4_096, ..base.clone() }),
    ] {
        fails(case, hex(&forced(Label::ROSTER, 1, &changed)));
    }
    let raw = |body: &[u8]| hex(&signed::sign(Label::ROSTER, body, &keys(1).identity).unwrap());
    let body = &bytes[2..bytes.len() - 64];
    // The action stands where its two users of 6 and 5 bytes, their count and its number begin.
    let action = body.len() - 13;
    let put = |at: usize, value: u8| {
        let mut body = body.to_vec();
        body[at] = value;
        raw(&body)
    };
    fails("action 6", put(action, 6));
    fails("a name in capitals", put(action + 3, b'C'));
    fails("more users than there are", put(action + 1, 3));
    fails("a body with a byte after it", raw(&[body, &[0]].concat()));
    fails("a number in two bytes where one does", raw(&[&body[..80], &[body[80] | 0x80, 0], &body[81..]].concat()));
    let mut flag = codec::encode(entry(&group, "alice", 1, admin("bob", true)).entry());
    *flag.last_mut().unwrap() = 2;
    fails("a flag of 2", raw(&flag));
}

/// Offers entries on top of `before`, with the verdict that each is to have; what is taken counts for the next.
fn offered(vectors: &mut Vectors, case: &str, before: Grown, offers: &[(&str, u8, Action, &str)]) {
    let (mut roster, mut entries) = (before.roster, before.entries);
    let known = entries.len() - 1;
    for (actor, seed, action, verdict) in offers {
        let next = entry(&roster, actor, *seed, action.clone());
        assert_eq!(roster.apply(&next).map_or_else(what, |()| "taken"), *verdict, "{case}: {actor}, {action:?}");
        entries.push(next);
    }
    let entries: Value = entries.iter().map(shown).collect();
    let out = vectors.gives("roster", case, json!({ "entries": entries }));
    let verdicts: Vec<_> = offers.iter().map(|(.., verdict)| Value::from(*verdict)).collect();
    assert_eq!(out["verdicts"].as_array().unwrap()[known..], verdicts, "{case}");
}

pub(super) fn rules(vectors: &mut Vectors) {
    let group = || Grown::new(false).with(add(&["bob", "carol"]));
    let (taken, rules) = ("taken", "rules");
    offered(
        vectors,
        "members come and go",
        group(),
        &[
            ("alice", 1, remove(&["bob"]), taken),
            ("alice", 1, remove(&["bob"]), rules),
            ("carol", 3, remove(&["carol"]), taken),
            ("alice", 1, add(&["bob", "dave"]), taken),
            ("alice", 1, add(&["erin", "bob"]), rules),
            ("alice", 1, remove(&["bob", "dave"]), taken),
        ],
    );
    offered(
        vectors,
        "only admins change members, except who leaves",
        group(),
        &[
            ("bob", 2, add(&["dave"]), rules),
            ("bob", 2, remove(&["carol"]), rules),
            ("bob", 2, remove(&["bob", "carol"]), rules),
            ("bob", 2, admin("bob", true), rules),
            ("bob", 2, rename("x"), rules),
            ("mallory", 9, add(&["mallory"]), rules),
            ("mallory", 9, remove(&["mallory"]), rules),
            ("mallory", 9, remove(&["alice"]), rules),
            ("bob", 2, remove(&["bob"]), taken),
            ("bob", 2, remove(&["carol"]), rules),
            ("bob", 2, add(&["bob"]), rules),
        ],
    );
    offered(
        vectors,
        "anyone comes into an open group, but alone",
        Grown::new(true),
        &[
            ("mallory", 9, add(&["mallory", "eve"]), rules),
            ("mallory", 9, add(&["eve"]), rules),
            ("mallory", 9, add(&["mallory"]), taken),
            ("mallory", 9, add(&["mallory"]), rules),
            ("mallory", 9, remove(&["alice"]), rules),
            ("mallory", 9, admin("mallory", true), rules),
            ("alice", 1, remove(&["mallory"]), taken),
            ("mallory", 9, add(&["mallory"]), taken),
        ],
    );
    offered(
        vectors,
        "nobody comes into an open group that all have left",
        Grown::new(true),
        &[
            ("alice", 1, remove(&["alice"]), taken),
            ("bob", 2, add(&["bob"]), rules),
            ("alice", 1, add(&["alice"]), rules),
        ],
    );
    let mut often = Vec::new();
    for _ in 0..OPEN_JOINS {
        often.push(("mallory", 9, add(&["mallory"]), taken));
        often.push(("mallory", 9, remove(&["mallory"]), taken));
    }
    often.extend([("mallory", 9, add(&["mallory"]), rules), ("alice", 1, add(&["mallory"]), taken)]);
    offered(vectors, "one user comes into an open group by themself 16 times", Grown::new(true), &often);
    offered(
        vectors,
        "a group keeps an admin as long as it has members",
        group(),
        &[
            ("alice", 1, remove(&["alice"]), rules),
            ("alice", 1, admin("alice", false), rules),
            ("alice", 1, admin("dave", true), rules),
            ("alice", 1, admin("bob", false), rules),
            ("alice", 1, admin("bob", true), taken),
            ("alice", 1, admin("bob", true), rules),
            ("bob", 2, admin("alice", false), taken),
            ("alice", 1, rename("x"), rules),
            ("bob", 2, remove(&["alice", "bob"]), rules),
            ("bob", 2, remove(&["alice", "bob", "carol"]), taken),
            ("bob", 2, add(&["bob"]), rules),
        ],
    );
    offered(
        vectors,
        "who comes back is no admin",
        group(),
        &[
            ("alice", 1, admin("bob", true), taken),
            ("alice", 1, remove(&["bob"]), taken),
            ("alice", 1, add(&["bob"]), taken),
            ("bob", 2, rename("x"), rules),
        ],
    );
    offered(
        vectors,
        "a name that it has",
        group(),
        &[
            ("alice", 1, rename("friends"), rules),
            ("alice", 1, rename("others"), taken),
            ("alice", 1, rename("friends"), taken),
        ],
    );
    offered(
        vectors,
        "a group is created once",
        group(),
        &[("alice", 1, create("alice", 1, false).entry().action.clone(), rules)],
    );
    let mut full = Grown::new(false);
    let users = |from: usize, count: usize| Action::Add {
        users: (from..from + count).map(|number| name(&format!("u{number}"))).collect(),
    };
    (0..7).for_each(|some| full.push(users(some * USERS_PER_ENTRY, USERS_PER_ENTRY)));
    let there = 1 + 7 * USERS_PER_ENTRY;
    offered(
        vectors,
        "256 members",
        full,
        &[
            ("alice", 1, users(there, GROUP_MEMBERS - there + 1), rules),
            ("alice", 1, users(there, GROUP_MEMBERS - there), taken),
            ("alice", 1, add(&["bob"]), rules),
            ("alice", 1, remove(&["u0"]), taken),
            ("alice", 1, add(&["bob"]), taken),
        ],
    );
    epochs(vectors);
    places(vectors);
}

/// What each of these entries is, offered on top of `before`, without the ones before it.
fn each(vectors: &mut Vectors, before: &Grown, cases: &[(&str, Vec<u8>, &str)]) {
    for (case, bytes, verdict) in cases {
        let mut entries = before.shown(0);
        entries.as_array_mut().unwrap().push(hex(bytes));
        let out = vectors.gives("roster", case, json!({ "entries": entries }));
        assert_eq!(out["verdicts"].as_array().unwrap().last().unwrap(), verdict, "{case}");
    }
}

fn epochs(vectors: &mut Vectors) {
    let mut group = Grown::new(false).with(add(&["bob"]));
    let at = |group: &Grown, epoch, action| {
        let entry = Entry { epoch, ..entry(&group.roster, "alice", 1, action).entry().clone() };
        SignedEntry::sign(entry, &keys(1).identity).unwrap()
    };
    let next = at(&group, 3, Action::Epoch);
    group.roster.apply(&next).unwrap();
    group.entries.push(next);
    each(
        vectors,
        &group,
        &[
            ("an epoch that is the same is no news", at(&group, 3, Action::Epoch).bytes().to_vec(), "rules"),
            ("a lower epoch", at(&group, 2, rename("x")).bytes().to_vec(), "rules"),
            ("a lower epoch, as an entry of its own", at(&group, 2, Action::Epoch).bytes().to_vec(), "rules"),
            ("the same epoch", at(&group, 3, rename("x")).bytes().to_vec(), "taken"),
            ("a higher epoch", at(&group, 4, rename("x")).bytes().to_vec(), "taken"),
            (
                "another actor has epochs of their own",
                entry(&group.roster, "bob", 2, remove(&["bob"])).bytes().to_vec(),
                "taken",
            ),
            (
                "an epoch of who is no admin",
                {
                    let entry = Entry { epoch: 5, ..entry(&group.roster, "bob", 2, Action::Epoch).entry().clone() };
                    forced(Label::ROSTER, 2, &entry)
                },
                "rules",
            ),
        ],
    );
}

fn places(vectors: &mut Vectors) {
    let group = Grown::new(false).with(add(&["bob"]));
    let good = entry(&group.roster, "alice", 1, rename("one"));
    let base = good.entry();
    let other = create("alice", 2, false).group();
    let sign = |entry: Entry| forced(Label::ROSTER, 1, &entry);
    each(
        vectors,
        &group,
        &[
            ("another group", sign(Entry { group: other, ..base.clone() }), "order"),
            ("no group", sign(Entry { group: GroupId::NONE, ..base.clone() }), "order"),
            ("another entry before", sign(Entry { previous: [7; 32], ..base.clone() }), "order"),
            ("a number twice", sign(Entry { sequence: 1, ..base.clone() }), "order"),
            ("a number left out", sign(Entry { sequence: 3, ..base.clone() }), "order"),
            ("the first again", group.entries[0].bytes().to_vec(), "order"),
            ("the newest again", group.entries[1].bytes().to_vec(), "order"),
            (
                "a changed entry",
                {
                    let mut bytes = good.bytes().to_vec();
                    bytes[50] ^= 1;
                    bytes
                },
                "malformed",
            ),
            ("signed by another", forced(Label::ROSTER, 2, base), "malformed"),
        ],
    );
    let first = create("alice", 1, false);
    let base = first.entry();
    for (case, entry) in [
        ("the first names a group", Entry { group: other, ..base.clone() }),
        ("the first names an entry before", Entry { previous: [1; 32], ..base.clone() }),
        ("the first is number 1", Entry { sequence: 1, ..base.clone() }),
        ("the first creates nothing", Entry { action: rename("x"), ..base.clone() }),
    ] {
        vectors.fails("roster", case, json!({ "entries": [hex(&sign(entry))] }));
    }
}

/// Carol is removed by entry 2 and comes back with entry 4; bob is there all the time.
pub(super) fn standings(vectors: &mut Vectors) {
    let log =
        Grown::new(false).with(add(&["bob", "carol"])).with(remove(&["carol"])).with(rename("x")).with(add(&["carol"]));
    let learned: Vec<u64> = (0..5).map(|entry| NOW + entry).collect();
    let removed = NOW + 2;
    let base = json!({ "log": log.shown(0), "learned": learned });
    let mut case = |case: &str, user: &str, sequence: usize, now: u64, expected: &str| {
        let hash = log.entries.get(sequence).map_or([5; 32], |entry| entry.hash());
        let given = [("user", user.into()), ("sequence", sequence.into()), ("hash", hex(&hash)), ("now", now.into())];
        let out = vectors.gives("standing", case, with(&base, given));
        assert_eq!(out["standing"], expected, "{case}");
    };
    case("the newest entry", "bob", 4, NOW + 10, "counts");
    case("an older one, and nobody removed since", "bob", 2, NOW + 10, "counts");
    case("of who came back", "carol", 4, NOW + 10, "counts");
    for user in ["bob", "carol"] {
        case("before a removal", user, 1, NOW + 10, "before removal");
        case("before a removal, as long as that goes", user, 1, removed + GROUP_GRACE - 1, "before removal");
        case("before a removal, a day later", user, 1, removed + GROUP_GRACE, "too late");
    }
    case("removed", "carol", 2, NOW + 10, "not a member");
    case("removed, and not back yet", "carol", 3, NOW + 10, "not a member");
    case("before they came", "bob", 0, NOW + 10, "not a member");
    case("never a member", "mallory", 4, NOW + 10, "not a member");
    case("an entry to come", "bob", 5, NOW + 10, "ahead");
    case("an entry to come, of nobody", "mallory", 5, NOW + 10, "ahead");
    for sequence in [0_usize, 1, 4] {
        let given =
            [("user", "bob".into()), ("sequence", sequence.into()), ("hash", hex(&[5; 32])), ("now", NOW.into())];
        let out = vectors.gives("standing", "another entry", with(&base, given));
        assert_eq!(out["standing"], "elsewhere");
    }
}

pub(super) fn forks(vectors: &mut Vectors) {
    let log = || Grown::new(false).with(add(&["bob"])).with(rename("one")).with(rename("two"));
    let other = || Grown::new(false).with(add(&["bob"])).with(rename("other")).with(remove(&["bob"]));
    let own = log();
    let mut case = |case: &str, entries: Value, expected: &str| {
        let out = vectors.gives("compare logs", case, json!({ "log": own.shown(0), "shown": entries }));
        assert_eq!(out["fork"], expected, "{case}");
    };
    case("the same", log().shown(0), "none");
    case("nothing", json!([]), "none");
    case("what follows", log().with(rename("three")).shown(3), "none");
    case("two logs", other().shown(0), "at");
    case("two logs, from where they part", other().shown(2), "at");
    case("two logs, after where they part", other().shown(3), "before");
    let at = Grown::new(false).with(add(&["bob"]));
    let lone = |actor: &str, seed: u8, action: Action| json!([shown(&entry(&at.roster, actor, seed, action))]);
    case("an entry of who may not", lone("bob", 2, rename("mine")), "invalid");
    case("an entry of a stranger", lone("mallory", 9, rename("mine")), "invalid");
    case("who leaves may", lone("bob", 2, remove(&["bob"])), "at");
    case("another group", json!([shown(&create("alice", 2, false))]), "invalid");
    let stray = Entry {
        group: create("alice", 2, false).group(),
        ..entry(&at.roster, "alice", 1, rename("x")).entry().clone()
    };
    case("another group, after the same entry", json!([hex(&forced(Label::ROSTER, 1, &stray))]), "invalid");
    let torn = [&log().entries[1], &other().entries[3]].map(shown);
    case("entries that do not follow each other", json!(torn), "invalid");
    let changed = flipped(own.entries[2].bytes(), 60);
    vectors.fails("compare logs", "a changed entry", json!({ "log": own.shown(0), "shown": [changed] }));
}
