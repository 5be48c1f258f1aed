//! On groups: their logs, and the messages in them.

use super::Attack;
use crate::fault::{Fault, claim};
use crate::person::Person;
use crate::relay::{EvilRelay, keys, now};
use crate::stage::Stage;
use securechat_core::crypto::ed25519::SigningKey;
use securechat_core::error::{ApiMisuse, Error};
use securechat_core::event::{Event, GroupChange};
use securechat_core::identity::UserName;
use securechat_core::relay::{StoreJob, StoreRefusal, StoreResult};
use securechat_core::roster::{Action, Entry, GroupId, SignedEntry};
use securechat_core::wire::{Bytes, Deliver, EnvelopeId, GroupHead, Push, Reply};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) static ALL: &[Attack] = &[
    Attack {
        name: "removal-hidden",
        does: "tells Alice alone that Carol was removed, so that Bob goes on writing to her",
        sees: "Alice: Bob's message with the mark that who was removed may read it; Bob: the removal, shown by Alice",
        rule: "G7, D1",
        logs_in: true,
        run: removal_hidden,
    },
    Attack {
        name: "removed-member-kept",
        does: "hides from Carol that she was removed, and sends her messages on",
        sees: "the others: Carol's message with the same mark; Carol: the removal, shown by them",
        rule: "G7, D1, D3",
        logs_in: true,
        run: removed_member_kept,
    },
    Attack {
        name: "log-forked",
        does: "with a stolen copy of Alice's device, shows Bob one log of the group and Carol another",
        sees: "Bob: that the group's log is forked, and by whom; he writes nothing there before he decides",
        rule: "G6, D1",
        logs_in: true,
        run: log_forked,
    },
    Attack {
        name: "entry-refused-and-kept",
        does: "refuses Alice's change to the group as outdated, keeps it and shows it to Bob, to get a second one from her",
        sees: "Alice: that the relay's word on the group cannot be right; she signs no second one, and Bob sees no fork",
        rule: "G2, L13, D1",
        logs_in: true,
        run: refused_and_kept,
    },
    Attack {
        name: "entry-forged",
        does: "puts an entry of its own into the group's log, in Alice's name",
        sees: "that the relay's word on the group cannot be right; the members stay who they were",
        rule: "G2, D1",
        logs_in: true,
        run: entry_forged,
    },
    Attack {
        name: "member-injected",
        does: "lets a user of its own add themself to the group, with a signature that is good",
        sees: "that the relay's word on the group cannot be right; the members stay who they were",
        rule: "G2, D1",
        logs_in: true,
        run: member_injected,
    },
    Attack {
        name: "entry-left-out",
        does: "shows a new member the log without one of its entries",
        sees: "that the relay's word on the group cannot be right; the new member is in no group",
        rule: "G1, D1",
        logs_in: true,
        run: entry_left_out,
    },
    Attack {
        name: "changes-kept-back",
        does: "pushes no word of changes to a group",
        sees: "the change with the next message in the group, before that message",
        rule: "G6, L12",
        logs_in: true,
        run: changes_kept_back,
    },
    Attack {
        name: "group-denied",
        does: "says that there is no such group any more",
        sees: "the group as it was, and what its members write",
        rule: "G1, L13",
        logs_in: true,
        run: group_denied,
    },
    Attack {
        name: "group-log-rolled-back",
        does: "goes back to a backup from before Carol was removed",
        sees: "that the relay's word on the group cannot be right; Carol stays removed and cannot read what Bob writes",
        rule: "G1, G8, D3",
        logs_in: true,
        run: rolled_back,
    },
    Attack {
        name: "relay-rolled-back",
        does: "goes back to a backup of everything, in the middle of a conversation",
        sees: "nothing twice; and both go on talking",
        rule: "L1, S4, S10, B4",
        logs_in: true,
        run: relay_rolled_back,
    },
    Attack {
        name: "another-lobby",
        does: "offers a closed group as the lobby",
        sees: "an offer, which nobody joins by themself; joining is refused",
        rule: "G3, L13",
        logs_in: true,
        run: another_lobby,
    },
    Attack {
        name: "group-message-to-a-stranger",
        does: "brings a message of the group to Dave, who is no member",
        sees: "Dave: that a message did not open",
        rule: "G4, G5",
        logs_in: true,
        run: to_a_stranger,
    },
    Attack {
        name: "group-message-in-another-group",
        does: "brings a message of one group as one of another that Bob is in too",
        sees: "denial: it is in neither group; the next one is where it belongs",
        rule: "G5",
        logs_in: true,
        run: in_another_group,
    },
    Attack {
        name: "group-message-replayed",
        does: "delivers a message of the group twice, the second time under another id and in Carol's name",
        sees: "the message once, as its sender's",
        rule: "G5, B1, D2",
        logs_in: true,
        run: group_message_replayed,
    },
    Attack {
        name: "group-message-changed",
        does: "changes one bit of a message of the group",
        sees: "that a message did not open",
        rule: "G5, B9",
        logs_in: true,
        run: group_message_changed,
    },
    Attack {
        name: "group-message-dropped",
        does: "keeps a message of the group from Bob",
        sees: "denial: it does not arrive. In groups there are no receipts: Alice sees nothing of it, Bob the rest",
        rule: "7, B2",
        logs_in: true,
        run: group_message_dropped,
    },
];

/// A group of these people that the first has made, in which each has written.
fn group_of<const N: usize>(stage: &Stage, names: [&str; N]) -> Result<(GroupId, [Person; N]), Fault> {
    let mut people = stage.people(names)?;
    let group = match people.split_first_mut() {
        Some((first, others)) => first.create_group(&others.iter().collect::<Vec<_>>())?,
        None => return Err(Fault::Claim("there is somebody".into())),
    };
    people.iter_mut().try_for_each(|person| person.joined(group))?;
    everybody_writes(&mut people, group)?;
    Ok((group, people))
}

fn everybody_writes(people: &mut [Person], group: GroupId) -> Result<(), Fault> {
    for writer in 0..people.len() {
        let text = format!("hello from number {writer}");
        people.get(writer).map_or(Ok(()), |person| person.say_in(group, &text).map(|_| ()))?;
        for (_, reader) in people.iter_mut().enumerate().filter(|(index, _)| *index != writer) {
            reader.reads(&text)?;
        }
    }
    people.iter_mut().for_each(Person::forget);
    Ok(())
}

/// Keeps every word on a group's changes from these users: pushes, what is said of their messages, and the log.
fn keep_in_the_dark(relay: &EvilRelay, users: &'static [&'static str]) {
    relay.on_push(move |to, push| match push {
        Push::GroupChanged(_) if users.contains(&to) => vec![],
        push => vec![push],
    });
    relay.on_reply(move |to, reply| match reply {
        Reply::Send(sent) if users.contains(&to) => sent.results.iter_mut().for_each(|result| result.epoch = 0),
        Reply::Groups(groups) if users.contains(&to) => groups.groups.clear(),
        _ => {}
    });
    relay.on_result(move |job, result| {
        if let (StoreJob::Log { user, .. }, StoreResult::Log(page)) = (job, result)
            && users.contains(&user.as_str())
        {
            *page = None;
        }
    });
}

/// The same envelopes to one user, changed.
fn deliveries(stage: &Stage, to: &'static str, mut change: impl FnMut(Deliver) -> Vec<Deliver> + Send + 'static) {
    stage.relay.on_push(move |user, push| match push {
        // The first byte of an envelope is its kind: 3 is a message of a group.
        Push::Deliver(deliver) if user == to && deliver.envelope.first() == Some(&3) => {
            change(deliver).into_iter().map(Push::Deliver).collect()
        }
        push => vec![push],
    });
}

/// The entries of a group's log.
fn log_of(stage: &Stage, group: GroupId, user: &UserName) -> Vec<Bytes> {
    match stage.relay.ask_store(StoreJob::Log { group, user: user.clone(), from: 0, count: 100 }) {
        StoreResult::Log(Some(page)) => page.entries,
        _ => Vec::new(),
    }
}

/// What comes next in a log, signed with this key in this name.
fn entry_after(
    log: &[Bytes],
    group: GroupId,
    actor: UserName,
    key: &SigningKey,
    action: Action,
) -> Result<SignedEntry, Fault> {
    let last = log.last().ok_or_else(|| Fault::Claim("there is a log".into()))?;
    let last = SignedEntry::decode(last)?;
    let entry = Entry {
        identity: key.verifying_key().into(),
        group,
        previous: last.hash(),
        sequence: last.entry().sequence + 1,
        time: now(),
        epoch: 0,
        actor,
        action,
    };
    Ok(SignedEntry::sign(entry, key)?)
}

/// Shows one entry more at the end of a group's log, and says to everybody that it is there.
fn show_entry(stage: &Stage, group: GroupId, entry: &SignedEntry, to: &str) -> Result<(), Fault> {
    let (sequence, hash, bytes) = (entry.entry().sequence, entry.hash(), Bytes::from(entry.bytes()));
    stage.relay.on_result(move |job, result| {
        if let (StoreJob::Log { from, .. }, StoreResult::Log(Some(page))) = (job, result)
            && *from <= sequence
        {
            page.sequence = sequence;
            page.entries.push(bytes.clone());
        }
    });
    stage.relay.push(to, &Push::GroupChanged(GroupHead { group, sequence, hash }))
}

fn is_refused(group: GroupId) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::GroupRefused { group: of, .. } if *of == group)
}

fn is_removal(group: GroupId, who: &Person) -> impl Fn(&Event) -> bool + use<> {
    let change = GroupChange::Removed { users: vec![who.name.clone()] };
    move |event| matches!(event, Event::GroupChanged { group: of, change: what, .. } if *of == group && *what == change)
}

fn removal_hidden(stage: &Stage) -> Result<(), Fault> {
    let (group, [mut alice, mut bob, mut carol]) = group_of(stage, ["alice", "bob", "carol"])?;
    keep_in_the_dark(&stage.relay, &["bob"]);
    alice.remove(group, &carol)?;
    alice.event("the removal", is_removal(group, &carol))?;
    stage.relay.settle();
    claim(bob.members(group)?.len() == 3, "bob knows of nothing")?;
    bob.say_in(group, "does carol read this?")?;
    claim(alice.reads("does carol read this?")?.before_removal, "the message is marked")?;
    bob.event("the removal", is_removal(group, &carol))?;
    bob.say_in(group, "now she does not")?;
    claim(!alice.reads("now she does not")?.before_removal, "the next one is not marked")?;
    stage.relay.settle();
    claim(carol.texts().iter().all(|read| read.text != "now she does not"), "carol reads nothing more")
}

fn removed_member_kept(stage: &Stage) -> Result<(), Fault> {
    let (group, [mut alice, mut bob, mut carol]) = group_of(stage, ["alice", "bob", "carol"])?;
    keep_in_the_dark(&stage.relay, &["carol"]);
    alice.remove(group, &carol)?;
    for person in [&mut alice, &mut bob] {
        person.event("the removal", is_removal(group, &carol))?;
    }
    // The relay carries what its own store would refuse: Carol's message goes where the one before went.
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    stage.relay.on_job(move |job| {
        if let StoreJob::Send { items, .. } = job {
            let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(items.iter().filter_map(|item| item.envelope.clone()).filter(|it| it.first() == Some(&3)));
        }
    });
    carol.say_in(group, "I am still here")?;
    stage.relay.settle();
    let envelope = kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let envelope = envelope.ok_or_else(|| Fault::Claim("carol writes to the group".into()))?;
    let (sender, user) = (carol.identity()?, carol.name.clone());
    for to in ["alice", "bob"] {
        let (envelope, user) = (envelope.clone(), user.clone());
        let id = EnvelopeId([7; 16]);
        let deliver = Deliver { id, sender, user, sent_at: now(), transient: false, envelope };
        stage.relay.push(to, &Push::Deliver(deliver))?;
    }
    for person in [&mut alice, &mut bob] {
        claim(person.reads("I am still here")?.before_removal, "the message is marked")?;
    }
    let gone = is_removal(group, &carol);
    carol.event("the removal", gone)?;
    let refused = carol.refused(move |client, now| client.send_text(group, "still here?", now))?;
    claim(refused == ApiMisuse::NotPermitted.into(), "carol may write no more")
}

fn log_forked(stage: &Stage) -> Result<(), Fault> {
    let (group, [mut alice, mut bob, mut carol]) = group_of(stage, ["alice", "bob", "carol"])?;
    stage.relay.settle();
    let backup = stage.relay.backup();
    alice.stop();
    let copy = stage.path("a copy of alice's state");
    alice.copy_to(&copy)?;
    alice.resume()?;
    let renamed = |name: &'static str| {
        move |event: &Event| {
            let change = GroupChange::Renamed { name: name.into() };
            matches!(event, Event::GroupChanged { group: of, change: what, .. } if *of == group && *what == change)
        }
    };
    // Bob sees one entry, with the relay as it is; Carol sees another at its place, with the relay put back.
    carol.stop();
    alice.call(move |client, now| client.rename_group(&group, "for bob", now))?;
    bob.event("the name", renamed("for bob"))?;
    bob.stop();
    alice.stop();
    stage.relay.restart(Some(backup))?;
    alice.resume_from(&copy)?;
    carol.resume()?;
    alice.call(move |client, now| client.rename_group(&group, "for carol", now))?;
    carol.event("the name", renamed("for carol"))?;
    // Bob comes back, to the relay that Carol knows.
    bob.resume()?;
    let by = alice.name.clone();
    bob.event("a fork", move |event| *event == Event::GroupForked { group, sequence: 2, by: by.clone() })?;
    let refused = bob.refused(move |client, now| client.send_text(group, "who is here?", now))?;
    claim(refused == Error::from(ApiMisuse::RosterForked), "nothing is sent before he decides")
}

fn refused_and_kept(stage: &Stage) -> Result<(), Fault> {
    let (group, [mut alice, mut bob]) = group_of(stage, ["alice", "bob"])?;
    stage.relay.on_result(|job, result| match (job, result) {
        (StoreJob::PutEntry(_), result) => *result = StoreResult::Refused(StoreRefusal::Changed),
        (StoreJob::Log { user, .. }, StoreResult::Log(Some(page))) if user.as_str() == "alice" => page.entries.clear(),
        _ => {}
    });
    alice.call(move |client, now| client.rename_group(&group, "another name", now))?;
    alice.event("a refusal", is_refused(group))?;
    let renamed = |event: &Event| matches!(event, Event::GroupChanged { change: GroupChange::Renamed { .. }, .. });
    stage.relay.cut("bob");
    bob.event("the name", renamed)?;
    // On her next connection Alice offers it again as it was, and it is the one that Bob has.
    stage.relay.cut("alice");
    alice.event("the name", renamed)?;
    stage.relay.honest();
    alice.say_in(group, "one change, and one only")?;
    bob.reads("one change, and one only")?;
    for person in [&mut alice, &mut bob] {
        claim(!person.saw(|event| matches!(event, Event::GroupForked { .. })), "nothing is forked")?;
        let waits = person.call(move |client, _| Ok(client.group(&group).is_some_and(|info| info.waits)))?;
        claim(!waits, "nothing waits any more")?;
    }
    Ok(())
}

fn entry_forged(stage: &Stage) -> Result<(), Fault> {
    let (group, [mut alice, mut bob]) = group_of(stage, ["alice", "bob"])?;
    let own = keys(Some(alice.name.clone()))?;
    let log = log_of(stage, group, &alice.name);
    let action = Action::Add { users: vec![UserName::new("mallory")?] };
    let entry = entry_after(&log, group, alice.name.clone(), &own.keys.identity, action)?;
    show_entry(stage, group, &entry, "bob")?;
    bob.event("a refusal", is_refused(group))?;
    claim(bob.members(group)? == ["alice", "bob"], "nobody is added")?;
    stage.relay.honest();
    alice.say_in(group, "the two of us")?;
    bob.reads("the two of us")?;
    bob.say_in(group, "nobody else")?;
    alice.reads("nobody else").map(|_| ())
}

fn member_injected(stage: &Stage) -> Result<(), Fault> {
    let (group, [alice, mut bob]) = group_of(stage, ["alice", "bob"])?;
    // Mallory is the relay's own user, and registered as everybody is: with keys that the relay holds.
    let mallory = UserName::new("mallory")?;
    let own = keys(Some(mallory.clone()))?;
    enroll(stage, &mallory, &own)?;
    let log = log_of(stage, group, &alice.name);
    let action = Action::Add { users: vec![mallory.clone()] };
    let entry = entry_after(&log, group, mallory, &own.keys.identity, action)?;
    show_entry(stage, group, &entry, "bob")?;
    bob.event("a refusal", is_refused(group))?;
    claim(bob.members(group)? == ["alice", "bob"], "nobody is added")?;
    stage.relay.honest();
    alice.say_in(group, "the two of us")?;
    bob.reads("the two of us").map(|_| ())
}

/// Makes a user of the relay's own.
fn enroll(stage: &Stage, user: &UserName, own: &securechat_core::identity::LocalIdentity) -> Result<(), Fault> {
    use securechat_core::identity::SignedDeviceList;
    use securechat_core::relay::{NewAccount, PasswordHash, StoredList};
    let list = SignedDeviceList::create(user.clone(), &own.keys.identity)?;
    let account = NewAccount {
        user: user.clone(),
        password: PasswordHash::new("nobody's"),
        identity: own.bundle.identity(),
        serial: own.bundle.serial(),
        bundle: own.bundle.bytes().into(),
        list: StoredList { epoch: list.epoch(), hash: list.hash(), bytes: list.bytes().into() },
        now: now(),
    };
    let done = matches!(stage.relay.ask_store(StoreJob::CreateAccount(account)), StoreResult::Done);
    claim(done, "the relay has a user of its own")
}

fn entry_left_out(stage: &Stage) -> Result<(), Fault> {
    let (group, [mut alice, _bob]) = group_of(stage, ["alice", "bob"])?;
    let mut dave = stage.person("dave")?;
    alice.call(move |client, now| client.rename_group(&group, "old friends", now))?;
    alice.event("the name", |event| matches!(event, Event::GroupChanged { .. }))?;
    stage.relay.on_result(|job, result| {
        if let (StoreJob::Log { user, .. }, StoreResult::Log(Some(page))) = (job, result)
            && user.as_str() == "dave"
            && page.entries.len() > 2
        {
            page.entries.remove(1);
        }
    });
    let name = dave.name.clone();
    alice.call(move |client, now| client.add_to_group(&group, &[name], now))?;
    dave.event("a refusal", is_refused(group))?;
    let member = dave.call(move |client, _| Ok(client.group(&group).is_some_and(|info| info.member)))?;
    claim(!member, "dave is in no group")
}

fn changes_kept_back(stage: &Stage) -> Result<(), Fault> {
    let (group, [mut alice, mut bob, carol]) = group_of(stage, ["alice", "bob", "carol"])?;
    stage.relay.on_push(|_, push| match push {
        Push::GroupChanged(_) => vec![],
        push => vec![push],
    });
    alice.remove(group, &carol)?;
    alice.event("the removal", is_removal(group, &carol))?;
    stage.relay.settle();
    claim(bob.members(group)?.len() == 3, "bob knows of nothing")?;
    alice.say_in(group, "we are two now")?;
    bob.reads("we are two now")?;
    let gone = is_removal(group, &carol);
    claim(bob.saw(gone), "bob saw the removal")?;
    claim(bob.members(group)? == ["alice", "bob"], "bob knows who is left")
}

fn group_denied(stage: &Stage) -> Result<(), Fault> {
    let (group, [alice, mut bob]) = group_of(stage, ["alice", "bob"])?;
    keep_in_the_dark(&stage.relay, &["bob"]);
    bob.restart()?;
    stage.relay.settle();
    claim(bob.members(group)? == ["alice", "bob"], "the group is what it was")?;
    alice.say_in(group, "are you still here?")?;
    let read = bob.reads("are you still here?")?;
    claim(read.group == Some(group) && !read.before_removal, "it is a message of the group")
}

fn rolled_back(stage: &Stage) -> Result<(), Fault> {
    let (group, [mut alice, mut bob, mut carol]) = group_of(stage, ["alice", "bob", "carol"])?;
    stage.relay.settle();
    let backup = stage.relay.backup();
    alice.remove(group, &carol)?;
    bob.event("the removal", is_removal(group, &carol))?;
    alice.event("the removal", is_removal(group, &carol))?;
    stage.relay.settle();
    [&mut alice, &mut bob, &mut carol].into_iter().for_each(Person::forget);
    stage.relay.restart(Some(backup))?;
    [&mut alice, &mut bob, &mut carol].into_iter().try_for_each(Person::listed)?;
    bob.event("a refusal", is_refused(group))?;
    claim(bob.members(group)? == ["alice", "bob"], "carol stays removed")?;
    bob.say_in(group, "as if nothing had happened")?;
    alice.reads("as if nothing had happened")?;
    stage.relay.settle();
    carol.has_read(&[])
}

fn relay_rolled_back(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    alice.say(&bob, "before the backup")?;
    bob.reads("before the backup")?;
    let backup = stage.relay.backup();
    bob.say(&alice, "after it")?;
    alice.reads("after it")?;
    alice.say(&bob, "and after that")?;
    bob.reads("and after that")?;
    stage.relay.settle();
    stage.relay.restart(Some(backup))?;
    for person in [&mut alice, &mut bob] {
        person.event("a new login", |event| matches!(event, Event::LinkClosed { .. }))?;
    }
    alice.say(&bob, "does it go on?")?;
    bob.reads("does it go on?")?;
    bob.say(&alice, "it does")?;
    alice.reads("it does")?;
    stage.relay.settle();
    bob.has_read(&["before the backup", "and after that", "does it go on?"])?;
    alice.has_read(&["after it", "it does"])
}

fn another_lobby(stage: &Stage) -> Result<(), Fault> {
    let (group, [_alice, _bob]) = group_of(stage, ["alice", "bob"])?;
    stage.relay.on_reply(move |_, reply| {
        if let Reply::Groups(groups) = reply {
            groups.lobby = Some(GroupHead { group, sequence: 0, hash: [0; 32] });
        }
    });
    let mut dave = stage.person("dave")?;
    dave.event("an offer", move |event| *event == Event::Lobby { group })?;
    let known = dave.call(move |client, _| Ok(client.group(&group).is_some()))?;
    claim(!known, "nobody joins by themself")?;
    dave.call(move |client, now| client.join_group(&group, now))?;
    dave.event("a refusal", is_refused(group))
}

fn to_a_stranger(stage: &Stage) -> Result<(), Fault> {
    let (group, [alice, mut bob]) = group_of(stage, ["alice", "bob"])?;
    let mut dave = stage.person("dave")?;
    let copied = Arc::new(Mutex::new(None));
    let copy = Arc::clone(&copied);
    deliveries(stage, "bob", move |deliver| {
        *copy.lock().unwrap_or_else(PoisonError::into_inner) = Some(deliver.clone());
        vec![deliver]
    });
    alice.say_in(group, "among ourselves")?;
    bob.reads("among ourselves")?;
    let copied = copied.lock().unwrap_or_else(PoisonError::into_inner).take();
    let deliver = copied.ok_or_else(|| Fault::Claim("the relay has the message".into()))?;
    stage.relay.push("dave", &Push::Deliver(deliver))?;
    dave.event("what did not open", |event| matches!(event, Event::Unopened { .. }))?;
    dave.has_read(&[])
}

fn in_another_group(stage: &Stage) -> Result<(), Fault> {
    let (group, [mut alice, mut bob]) = group_of(stage, ["alice", "bob"])?;
    let other = alice.create_group(&[&bob])?;
    alice.joined(other)?;
    bob.joined(other)?;
    // Behind its kind an envelope names its group.
    deliveries(stage, "bob", move |deliver| {
        let mut envelope = deliver.envelope.to_vec();
        let id = envelope.get_mut(1..17).filter(|id| *id == group.as_bytes());
        id.into_iter().for_each(|id| id.copy_from_slice(other.as_bytes()));
        vec![Deliver { envelope: envelope.into(), ..deliver }]
    });
    alice.say_in(group, "only here")?;
    alice.say_in(other, "and this is there")?;
    bob.reads("and this is there")?;
    stage.relay.settle();
    bob.has_read(&["and this is there"])
}

fn group_message_replayed(stage: &Stage) -> Result<(), Fault> {
    let (group, [alice, mut bob, carol]) = group_of(stage, ["alice", "bob", "carol"])?;
    let (sender, user) = (carol.identity()?, carol.name.clone());
    deliveries(stage, "bob", move |deliver| {
        let again = Deliver { id: EnvelopeId([9; 16]), sender, user: user.clone(), ..deliver.clone() };
        vec![deliver, again]
    });
    alice.say_in(group, "once is enough")?;
    let read = bob.reads("once is enough")?;
    claim(read.from == "alice", "it is alice's")?;
    stage.relay.settle();
    bob.has_read(&["once is enough"])
}

fn group_message_changed(stage: &Stage) -> Result<(), Fault> {
    let (group, [alice, mut bob]) = group_of(stage, ["alice", "bob"])?;
    let mut first = true;
    deliveries(stage, "bob", move |deliver| {
        let mut envelope = deliver.envelope.to_vec();
        if core::mem::take(&mut first) {
            envelope.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
        }
        vec![Deliver { envelope: envelope.into(), ..deliver }]
    });
    alice.say_in(group, "word for word")?;
    let claimed = alice.name.clone();
    bob.event("what did not open", move |event| *event == Event::Unopened { claimed: claimed.clone() })?;
    alice.say_in(group, "and the next one")?;
    bob.reads("and the next one")?;
    bob.has_read(&["and the next one"])
}

fn group_message_dropped(stage: &Stage) -> Result<(), Fault> {
    let (group, [alice, mut bob, mut carol]) = group_of(stage, ["alice", "bob", "carol"])?;
    let mut first = true;
    deliveries(stage, "bob", move |deliver| if core::mem::take(&mut first) { vec![] } else { vec![deliver] });
    alice.say_in(group, "bob shall not know")?;
    carol.reads("bob shall not know")?;
    alice.say_in(group, "but this he may")?;
    bob.reads("but this he may")?;
    bob.has_read(&["but this he may"])?;
    // The relay has it still, and brings it when it is honest again.
    stage.relay.honest();
    stage.relay.cut("bob");
    bob.reads("bob shall not know").map(|_| ())
}
