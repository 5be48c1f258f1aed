//! The story, act by act. Each claim is checked before it is told.

use crate::evidence::Trace;
use crate::fault::{Fault, claim};
use crate::group;
use crate::person::Person;
use crate::relay::Relay;
use crate::stage::{Stage, brief, quoted};
use crate::suites;
use securechat_client::Update;
use securechat_core::content::MessageId;
use securechat_core::crypto::hash::sha256;
use securechat_core::event::{Event, RequestKind};
use securechat_core::identity::{RelayAddress, UserName};
use securechat_core::suite::Suite;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Largest file that the tour takes.
const FILE_MAX: u64 = 256 << 20;
const SERVER_PASSWORD: &str = "the relay's own password";
const ALICES_PASSWORD: &str = "alice's password, never sent in clear";
const BOBS_PASSWORD: &str = "bob's password, a long one too";
const CAROLS_PASSWORD: &str = "carol's password is none of theirs";
const GREETING: &str = "Did you get home all right?";
const ANSWER: &str = "I did – on a train full of accordionists.";
const SECRET: &str = "The cellar key is under the third flowerpot.";
const THANKS: &str = "Found it. Best hiding place in town.";

/// Where the story takes place.
struct House<'a> {
    folder: &'a Path,
    suite: Suite,
    relay: &'a RelayAddress,
}

/// Everything that must be nowhere but at the two ends.
struct Secrets<'a> {
    file: &'a [u8],
    file_name: &'a str,
    /// What came out at the ends, or was typed there: where the search has to find everything.
    ends: Vec<u8>,
    /// What lay at the relay before anybody came.
    before: Vec<u8>,
    /// What lay at the relay while Bob was away.
    snapshot: Vec<u8>,
}

/// Tells the story with one suite and one file.
pub(crate) fn tell(stage: &Stage, suite: Suite, path: &Path) -> Result<(), Fault> {
    let size = fs::metadata(path).map_err(|reason| Fault::File(path.display().to_string(), reason))?.len();
    claim(
        size <= FILE_MAX,
        "the file is small enough for a tour that keeps every byte of the wire in memory (256 MiB)",
    )?;
    let file = fs::read(path).map_err(|reason| Fault::File(path.display().to_string(), reason))?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = tempfile::tempdir().map_err(|reason| Fault::File("a temporary folder".into(), reason))?;
    let folder = folder.path();
    stage.title(&format!("securechat, a tour in suite {suite}: {}", suites::words(suite)));
    stage.act(1, "A relay starts, and two people register");
    let relay = Relay::start(folder, suite, SERVER_PASSWORD)?;
    let before = relay.disk().0;
    let mut secrets = Secrets { file: &file, file_name: &file_name, ends: Vec::new(), before, snapshot: Vec::new() };
    let address = relay.address();
    let place = RelayAddress { fingerprint: None, ..address.clone() };
    let fingerprint = address.fingerprint.map_or(String::new(), |fingerprint| brief(&fingerprint.to_string()));
    stage.person("relay", &format!("{place}#{fingerprint}, its rows in SQLite, a server password, registration open"));
    let house = House { folder, suite, relay: address };
    let mut alice = arrive(stage, &house, "alice", ALICES_PASSWORD)?;
    let mut bob = arrive(stage, &house, "bob", BOBS_PASSWORD)?;
    for typed in [SERVER_PASSWORD, ALICES_PASSWORD, BOBS_PASSWORD] {
        secrets.ends.extend_from_slice(typed.as_bytes());
    }

    stage.act(2, "Is it really you?");
    meet(stage, &mut alice, &mut bob)?;

    stage.act(3, "They talk");
    talk(stage, &mut alice, &mut bob, &mut secrets)?;
    let mut bob = away(stage, &house, &relay, &mut alice, bob, &mut secrets)?;

    stage.act(4, "A file");
    send(stage, folder, &mut alice, &mut bob, path, &mut secrets)?;

    stage.act(5, "A group");
    let mut carol = arrive(stage, &house, "carol", CAROLS_PASSWORD)?;
    secrets.ends.extend_from_slice(CAROLS_PASSWORD.as_bytes());
    secrets.ends.extend(group::gather(stage, folder, &mut alice, &mut bob, &mut carol)?);

    stage.act(6, "What the relay saw");
    let shown = witness(stage, &relay, &secrets);
    carol.chat.stop();
    alice.chat.stop();
    bob.chat.stop();
    relay.stop()?;
    shown
}

/// Somebody's first time: enters, registers, is logged in.
fn arrive(stage: &Stage, house: &House<'_>, name: &str, password: &'static str) -> Result<Person, Fault> {
    let mut person = Person::start(house.folder, name, house.suite, house.relay)?;
    let agreed = opened(&mut person)?;
    claim(agreed == house.suite, "both sides agree on the suite")?;
    enter(&mut person)?;
    person.chat.call(move |client, now| client.register(password, now))?;
    logged_in(&mut person)?;
    let fingerprint = person.chat.call(|client, _| Ok(client.fingerprint()))?.to_string();
    stage.person(
        name,
        &format!("registers: keys are made and stay on {name}'s disk, fingerprint {}", brief(&fingerprint)),
    );
    Ok(person)
}

fn opened(person: &mut Person) -> Result<Suite, Fault> {
    person.wait_event("the connection to the relay", |event| match event {
        Event::LinkOpen { suite, .. } => Some(*suite),
        _ => None,
    })
}

fn enter(person: &mut Person) -> Result<(), Fault> {
    person.chat.call(|client, now| client.enter(SERVER_PASSWORD, now))?;
    person.wait_event("the relay to take its password", |event| {
        matches!(event, Event::Done { request: RequestKind::Enter }).then_some(())
    })
}

fn logged_in(person: &mut Person) -> Result<(), Fault> {
    let listed = person.wait_event("the login", |event| match event {
        Event::LoggedIn { listed } => Some(*listed),
        _ => None,
    })?;
    claim(listed, "the device is in its user's list")
}

/// They find each other in the relay's list and compare the numbers on their screens.
fn meet(stage: &Stage, alice: &mut Person, bob: &mut Person) -> Result<(), Fault> {
    alice.chat.call(|client, now| client.request_users(now))?;
    let found = alice.wait_event("the list of users", |event| match event {
        Event::Users { users, .. } => Some(users.iter().any(|(user, _)| *user == bob.name)),
        _ => None,
    })?;
    claim(found, "Alice finds Bob in the relay's list")?;
    look_up(alice, &bob.name)?;
    look_up(bob, &alice.name)?;
    let (mut of_alice, mut of_bob) = (None, None);
    let begun = Instant::now();
    while (of_alice.is_none() || of_bob.is_none()) && begun.elapsed() < Duration::from_secs(20) {
        of_alice = alice.safety_number(&bob.name)?;
        of_bob = bob.safety_number(&alice.name)?;
        thread::sleep(Duration::from_millis(20));
    }
    let number = of_alice.ok_or(Fault::Vain { who: "alice".into(), what: "the safety number" })?;
    claim(of_bob.as_ref() == Some(&number), "both see the same safety number")?;
    stage.person("alice", &format!("finds bob in the relay's list, and reads out: {}", first_half(&number)));
    stage.person(
        "bob",
        &format!("sees the same sixty digits on his screen: {} {}", second_half(&number), stage.good("✓ equal")),
    );
    mark_verified(alice, &bob.name)?;
    mark_verified(bob, &alice.name)?;
    stage.aside("From here on nobody can slip in other keys: a relay that tries is noticed.");
    Ok(())
}

fn look_up(person: &mut Person, other: &UserName) -> Result<(), Fault> {
    let wanted = other.clone();
    person.chat.call(move |client, now| client.look_up(&wanted, now))?;
    person.wait_event("the keys of the other", |event| {
        matches!(event, Event::UserFound { user, .. } if user == other).then_some(())
    })
}

fn mark_verified(person: &Person, other: &UserName) -> Result<(), Fault> {
    let other = other.clone();
    Ok(person.chat.call(move |client, now| client.mark_verified(&other, now))?)
}

fn talk(stage: &Stage, alice: &mut Person, bob: &mut Person, secrets: &mut Secrets<'_>) -> Result<(), Fault> {
    say(stage, alice, bob, GREETING, secrets)?;
    say(stage, bob, alice, ANSWER, secrets)
}

/// One types and writes, the other sees both and reads it; every receipt comes back.
fn say(
    stage: &Stage,
    from: &mut Person,
    to: &mut Person,
    text: &'static str,
    secrets: &mut Secrets<'_>,
) -> Result<(), Fault> {
    let other = to.name.clone();
    from.chat.call(move |client, now| client.send_typing(&other, true, now))?;
    to.wait_event("the other's typing", |event| {
        matches!(event, Event::Typing { user, active: true } if *user == from.name).then_some(())
    })?;
    let id = write(from, &to.name, text)?;
    let read = to.read(&from.name)?;
    claim(read == text, "the text arrives as it was written")?;
    secrets.ends.extend_from_slice(read.as_bytes());
    from.wait_event("the delivery receipt", |event| {
        matches!(event, Event::Delivered { ids, .. } if ids.contains(&id)).then_some(())
    })?;
    from.wait_event("the read receipt", |event| {
        matches!(event, Event::Read { ids, .. } if ids.contains(&id)).then_some(())
    })?;
    stage.says(from.name.as_str(), text, "✓ typing seen, delivered, read");
    Ok(())
}

/// Writes a text and waits until the relay has it.
fn write(from: &mut Person, to: &UserName, text: &'static str) -> Result<MessageId, Fault> {
    let to = to.clone();
    let id = from.chat.call(move |client, now| client.send_text(&to, text, now))?;
    from.wait_event("the relay to take the text", |event| {
        matches!(event, Event::Sent { id: sent } if *sent == id).then_some(())
    })?;
    Ok(id)
}

/// Bob's program ends; Alice writes; the relay keeps what it cannot read; Bob's program starts again, from his disk.
fn away(
    stage: &Stage,
    house: &House<'_>,
    relay: &Relay,
    alice: &mut Person,
    bob: Person,
    secrets: &mut Secrets<'_>,
) -> Result<Person, Fault> {
    let before = bob.chat.call(|client, _| Ok(client.identity()))?;
    let name = bob.name.clone();
    bob.chat.stop();
    stage.person("bob", "closes his laptop");
    let id = write(alice, &name, SECRET)?;
    stage.says("alice", SECRET, "✓ the relay keeps it for bob");
    let waiting = relay.waiting()?;
    claim(!waiting.is_empty(), "the relay keeps the text while Bob is away")?;
    let envelope = waiting.last().map(Vec::as_slice).unwrap_or_default();
    stage.aside(&format!("This is what it keeps, {} bytes:", envelope.len()));
    stage.dump(envelope, 2);
    secrets.snapshot = relay.disk().0;

    let mut bob = Person::start(house.folder, name.as_str(), house.suite, house.relay)?;
    logged_in(&mut bob)?;
    let after = bob.chat.call(|client, _| Ok(client.identity()))?;
    claim(before == after, "Bob comes back as the same device")?;
    let read = bob.read(&alice.name)?;
    claim(read == SECRET, "the text arrives as it was written")?;
    secrets.ends.extend_from_slice(read.as_bytes());
    stage.person(
        "bob",
        &format!("{:<54} {}", "opens it again: same device, same session, no password", stage.good("✓ there it is")),
    );
    alice.wait_event("the read receipt", |event| {
        matches!(event, Event::Read { ids, .. } if ids.contains(&id)).then_some(())
    })?;
    say(stage, &mut bob, alice, THANKS, secrets)?;
    Ok(bob)
}

/// A real file, from disk to disk.
fn send(
    stage: &Stage,
    folder: &Path,
    alice: &mut Person,
    bob: &mut Person,
    path: &Path,
    secrets: &mut Secrets<'_>,
) -> Result<(), Fault> {
    alice.chat.send_file(bob.name.clone(), path)?;
    let (file, name, size) = bob.wait_event("the offer of the file", |event| match event {
        Event::FileOffered { file, name, size, .. } => Some((*file, name.clone(), *size)),
        _ => None,
    })?;
    stage.person("alice", &format!("offers {} ({size} bytes), bob takes it", quoted(&name)));
    let progress = stage.progress(size);
    bob.chat.accept_file(file, name, size, folder.join("downloads"))?;
    let arrived = bob.wait("the file", |update| match update {
        Update::Saved { file: saved, path } if *saved == file => Some(path.clone()),
        Update::Event(Event::FileProgress { file: other, done, .. }) if *other == file => {
            progress.at(*done);
            None
        }
        _ => None,
    })?;
    progress.finish();
    let received = fs::read(&arrived).map_err(|reason| Fault::File(arrived.display().to_string(), reason))?;
    claim(received == secrets.file, "the file arrives equal")?;
    secrets.ends.extend_from_slice(&received);
    secrets.ends.extend_from_slice(arrived.file_name().unwrap_or_default().to_string_lossy().as_bytes());
    let hash: String = sha256(&[&received]).iter().map(|byte| format!("{byte:02x}")).collect();
    stage.person(
        "bob",
        &format!(
            "{:<54} {}",
            format!("has it on his disk, SHA-256 {}", brief(&hash)),
            stage.good("✓ equal, every byte")
        ),
    );
    Ok(())
}

/// The relay's rows and wire, and the search in both.
fn witness(stage: &Stage, relay: &Relay, secrets: &Secrets<'_>) -> Result<(), Fault> {
    stage.person("rows", &counted(relay.counts()?));
    for row in relay.rows("SELECT name, password FROM users ORDER BY name")? {
        stage.aside(&row);
    }
    let streams = relay.wire();
    let to: usize = streams.iter().map(|stream| stream.to_relay.len()).sum();
    let from: usize = streams.iter().map(|stream| stream.from_relay.len()).sum();
    stage.person(
        "wire",
        &format!("{} connections, {to} bytes to the relay and {from} from it; the first begins:", streams.len()),
    );
    stage.dump(streams.first().map(|stream| stream.to_relay.as_slice()).unwrap_or_default(), 2);

    let (mut disk, files) = relay.disk();
    disk.extend_from_slice(&secrets.snapshot);
    let wire: Vec<u8> = streams.into_iter().flat_map(|stream| [stream.to_relay, stream.from_relay].concat()).collect();
    let heads = [format!("its {files} files"), "its wire".into(), "the two ends".into()];
    let [on_disk, on_wire, at_ends] = heads.map(|head| format!("{head:>13}"));
    stage.line(&format!("  {:<48} {on_disk} {on_wire} {at_ends}", "searched for, in pieces, and found in"));
    let mut clean = true;
    for trace in traces(secrets) {
        let found = [&disk, &wire, &secrets.ends].map(|bytes| trace.found(bytes));
        let holds = found == [0, 0, trace.pieces()];
        stage.found(&trace.what, found.map(|count| format!("{count} of {}", trace.pieces())), holds);
        clean &= holds;
    }
    let known = Trace::exactly("a control: alice, whom the relay knows", b"alice");
    let called = Trace::exactly("a control: the group's name, which it is shown", group::NAME.as_bytes());
    let offer = Trace::exactly("a control: SCHT, the first bytes of links", b"SCHT");
    for (control, needed) in [(known, &disk), (called, &disk), (offer, &wire)] {
        let found = [&disk, &wire, &secrets.ends].map(|bytes| control.places(bytes));
        let holds = control.places(needed) > 0;
        let words = found.map(|count| match count {
            0 => "-".to_owned(),
            1 => "once".to_owned(),
            count => format!("{count} times"),
        });
        stage.found(&control.what, words, holds);
        clean &= holds;
    }
    claim(clean, "the relay saw nothing that was not its business")?;
    stage.line(
        &stage
            .good("  All of it held: the relay knows who wrote to whom and who is in which group, not what was said."),
    );
    Ok(())
}

/// Rows by table, the others together.
fn counted(mut rows: BTreeMap<String, u64>) -> String {
    let tables = ["users", "devices", "lists", "prekeys", "envelopes", "blobs", "rosters"];
    let known = tables.map(|table| format!("{table} {}", rows.remove(table).unwrap_or(0))).join(", ");
    format!("{known}, and {} more", rows.values().sum::<u64>())
}

fn traces(secrets: &Secrets<'_>) -> Vec<Trace> {
    let texts = [GREETING, ANSWER, SECRET, THANKS, group::PLAN, group::REPLY, group::LATER];
    let mut traces: Vec<_> = texts.map(|text| Trace::text(quoted(text), text)).into();
    traces.push(Trace::text("alice's password", ALICES_PASSWORD));
    traces.push(Trace::text("bob's password", BOBS_PASSWORD));
    traces.push(Trace::text("carol's password", CAROLS_PASSWORD));
    traces.push(Trace::text("the relay's own password", SERVER_PASSWORD));
    traces.push(Trace::file(secrets.file));
    traces.push(Trace::text("the file's name", secrets.file_name));
    traces.push(Trace::text("the group's file", group::FILE));
    traces.push(Trace::text("the name of that one", group::FILE_NAME));
    let traces = traces.into_iter().map(|trace| trace.not_in(&secrets.before));
    // Three bytes, or nothing but zeros, are everywhere and prove nothing.
    traces.filter(|trace| trace.pieces() > 0).collect()
}

/// The first six groups of a safety number.
fn first_half(number: &str) -> String {
    number.split_whitespace().take(6).collect::<Vec<_>>().join(" ")
}

/// Its last six groups.
fn second_half(number: &str) -> String {
    number.split_whitespace().skip(6).collect::<Vec<_>>().join(" ")
}
