//! The group: three people talk, one of them is removed, and reads nothing more.

use crate::fault::{Fault, claim};
use crate::person::Person;
use crate::stage::Stage;
use securechat_client::{Error, Update};
use securechat_core::error::{ApiMisuse, Error as CoreError};
use securechat_core::event::{Event, GroupChange, MessageBody};
use securechat_core::identity::UserName;
use securechat_core::roster::GroupId;
use std::fs;
use std::path::Path;

/// What the group is called: its members' relay is shown that too.
pub(crate) const NAME: &str = "surprise party";
pub(crate) const PLAN: &str = "Saturday at eight, and no word to grandma.";
pub(crate) const REPLY: &str = "All eleven accordionists are booked.";
pub(crate) const LATER: &str = "Carol told everybody. It is Sunday now.";
const APART: &str = "Nothing against you, Carol.";
pub(crate) const FILE_NAME: &str = "guests.txt";
/// What the file says.
pub(crate) const FILE: &str = "aunt Philippa, both cousins from Uppsala, the neighbour with the parrot";

/// They talk, share a file and part. Gives back what came out at the ends.
pub(crate) fn gather(
    stage: &Stage,
    folder: &Path,
    alice: &mut Person,
    bob: &mut Person,
    carol: &mut Person,
) -> Result<Vec<u8>, Fault> {
    let mut ends = Vec::new();
    let group = alice.chat.call(|client, now| client.create_group(NAME, false, now))?;
    let users = [bob.name.clone(), carol.name.clone()];
    alice.chat.call(move |client, now| client.add_to_group(&group, &users, now))?;
    for person in [&mut *bob, &mut *carol] {
        person.wait_event("the group", |event| (*event == Event::GroupJoined { group }).then_some(()))?;
    }
    stage.person("alice", "makes a group and brings bob and carol in; the relay keeps the list, signed by her");
    say(alice, group, PLAN)?;
    for other in [&mut *bob, &mut *carol] {
        ends.extend(hear(other, group, &alice.name, PLAN)?);
    }
    stage.says("alice", PLAN, "✓ sealed once, read by both");
    say(bob, group, REPLY)?;
    for other in [&mut *alice, &mut *carol] {
        ends.extend(hear(other, group, &bob.name, REPLY)?);
    }
    stage.says("bob", REPLY, "✓ read by both");

    let path = folder.join(FILE_NAME);
    fs::write(&path, FILE).map_err(|reason| Fault::File(path.display().to_string(), reason))?;
    alice.chat.send_file(group, path)?;
    for person in [&mut *bob, &mut *carol] {
        ends.extend(fetch(person, group, folder)?);
    }
    stage
        .person("alice", &format!("{:<54} {}", "offers a file to the group", stage.good("✓ both have it, every byte")));

    part(stage, group, alice, bob, carol, &mut ends)?;
    Ok(ends)
}

/// Carol is removed: what is said from then on does not reach her, and what she says reaches nobody.
fn part(
    stage: &Stage,
    group: GroupId,
    alice: &mut Person,
    bob: &mut Person,
    carol: &mut Person,
    ends: &mut Vec<u8>,
) -> Result<(), Fault> {
    let removed = [carol.name.clone()];
    let change = GroupChange::Removed { users: removed.to_vec() };
    alice.chat.call(move |client, now| client.remove_from_group(&group, &removed, now))?;
    for person in [&mut *bob, &mut *carol] {
        person.wait_event("the word that carol is out", |event| {
            matches!(event, Event::GroupChanged { change: what, .. } if *what == change).then_some(())
        })?;
    }
    say(alice, group, LATER)?;
    ends.extend(hear(bob, group, &alice.name, LATER)?);
    // What the relay had for her before this is there when this is.
    let (to, from) = (carol.name.clone(), alice.name.clone());
    alice.chat.call(move |client, now| client.send_text(to, APART, now))?;
    claim(carol.read(&from)? == APART, "a text to Carol alone still arrives")?;
    claim(!carol.has_text(LATER), "who was removed reads nothing more")?;
    let refused = carol.chat.call(move |client, now| client.send_text(group, REPLY, now));
    let refused = matches!(refused, Err(Error::Core(CoreError::ApiMisuse(ApiMisuse::NotPermitted))));
    claim(refused, "who was removed writes nothing more")?;
    stage.says("alice", LATER, "✓ a new key: carol lacks it");
    Ok(())
}

fn say(from: &mut Person, group: GroupId, text: &'static str) -> Result<(), Fault> {
    let id = from.chat.call(move |client, now| client.send_text(group, text, now))?;
    from.wait_event("the relay to take the text", |event| (*event == Event::Sent { id }).then_some(()))
}

/// Waits for a text in the group, and gives it.
fn hear(person: &mut Person, group: GroupId, from: &UserName, text: &str) -> Result<Vec<u8>, Fault> {
    let heard = person.wait_event("a text in the group", |event| match event {
        Event::Message(message)
            if message.from == *from && message.group.is_some_and(|within| within.group == group) =>
        {
            match &message.body {
                MessageBody::Text(text) => Some(text.clone()),
                _ => None,
            }
        }
        _ => None,
    })?;
    claim(heard == text, "the text arrives in the group as it was written")?;
    Ok(heard.into_bytes())
}

/// Takes the file that is offered in the group, and gives it with its name.
fn fetch(person: &mut Person, group: GroupId, folder: &Path) -> Result<Vec<u8>, Fault> {
    let (file, name, size) = person.wait_event("the offer in the group", |event| match event {
        Event::FileOffered { file, name, size, group: Some(within), .. } if within.group == group => {
            Some((*file, name.clone(), *size))
        }
        _ => None,
    })?;
    person.chat.accept_file(file, name, size, folder.join(format!("downloads of {}", person.name)))?;
    let arrived = person.wait("the file of the group", |update| match update {
        Update::Saved { file: saved, path } if *saved == file => Some(path.clone()),
        _ => None,
    })?;
    let received = fs::read(&arrived).map_err(|reason| Fault::File(arrived.display().to_string(), reason))?;
    claim(received == FILE.as_bytes(), "the file arrives equal")?;
    Ok([&received, arrived.file_name().unwrap_or_default().as_encoded_bytes()].concat())
}
