//! Groups: what they are called here, what is done to them, and what happens in them.

use crate::app::{App, Exit, Waiting};
use crate::command::To;
use crate::screen::Tone;
use crate::sentence;
use securechat_client::Error;
use securechat_core::client::Client;
use securechat_core::content::Conversation;
use securechat_core::error::{ApiMisuse, Error as CoreError};
use securechat_core::event::{Event, GroupChange};
use securechat_core::identity::{Trust, UserName};
use securechat_core::roster::GroupId;
use securechat_core::text::{Lines, neutralise};

/// Digits of an id that name a group where its name does not, at least.
const DIGITS: usize = 8;
/// Digits of an id that are understood, at least.
const DIGITS_TYPED: usize = 4;

/// A group that is known here, as far as its label goes.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    group: GroupId,
    /// Its name as one word.
    word: String,
    open: bool,
    member: bool,
}

/// What a group is called: `#` and its name as one word, where none of the user's groups has the same; otherwise `#` and as
/// many digits of its id as no other group begins with.
pub(crate) fn label(known: &[Known], group: &GroupId) -> String {
    if let Some(own) = known.iter().find(|own| own.group == *group) {
        let same = |other: &Known| other.group != own.group && other.word.to_lowercase() == own.word.to_lowercase();
        let taken = known.iter().any(|other| same(other) && (other.member || !own.member));
        // What looks like digits of an id names no group but that one.
        if !taken && !is_digits(&own.word) {
            return format!("#{}", own.word);
        }
    }
    let id = group.to_string();
    let others: Vec<String> = known.iter().map(|other| other.group.to_string()).filter(|other| *other != id).collect();
    let unique = |digits: &&str| !others.iter().any(|other| other.starts_with(*digits));
    let digits = (DIGITS..id.len()).filter_map(|count| id.get(..count)).find(unique);
    format!("#{}", digits.unwrap_or(&id))
}

/// The group that a word names: by its label, by digits of its id that no other begins with, or by its whole id.
pub(crate) fn find(known: &[Known], word: &str) -> Option<GroupId> {
    let word = word.strip_prefix('#').unwrap_or(word);
    let named = known.iter().find(|own| label(known, &own.group).get(1..) == Some(word));
    if let Some(named) = named {
        return Some(named.group);
    }
    let mut begin = known.iter().filter(|own| is_digits(word) && own.group.to_string().starts_with(word));
    match (begin.next(), begin.next()) {
        (Some(only), None) => Some(only.group),
        _ => word.parse().ok(),
    }
}

fn is_digits(word: &str) -> bool {
    (DIGITS_TYPED..=32).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name, which could be anything, as one word: it fits into a line, and can be typed.
fn as_word(name: &str) -> String {
    neutralise(name, Lines::One).chars().map(|letter| if letter.is_whitespace() { '-' } else { letter }).collect()
}

impl App {
    /// Looks again at what the groups are called.
    pub(crate) fn learn_groups(&mut self) {
        let found = self.chat.call(|client, _| {
            let known = |group: GroupId| client.group(&group).map(|info| (group, info.name, info.open, info.member));
            Ok(client.groups().filter_map(known).collect::<Vec<_>>())
        });
        // A client that has stopped says so itself.
        let Ok(found) = found else { return };
        let known = |(group, name, open, member): (GroupId, String, bool, bool)| Known {
            group,
            word: as_word(&name),
            open,
            member,
        };
        self.groups = found.into_iter().map(known).collect();
        for known in self.groups.iter().filter(|known| known.member) {
            self.names.add(&label(&self.groups, &known.group));
        }
    }

    /// What a conversation is called.
    pub(crate) fn name_of(&self, conversation: &Conversation) -> String {
        match conversation {
            Conversation::Group(group) => label(&self.groups, group),
            other => other.to_string(),
        }
    }

    /// The same with what has to be seen while a line is typed: who else reads it.
    pub(crate) fn prompt_of(&self, conversation: &Conversation) -> String {
        let open = self.groups.iter().any(|known| known.open && Conversation::Group(known.group) == *conversation);
        format!("{}{}", self.name_of(conversation), if open { " (open to everyone)" } else { "" })
    }

    /// The conversation that a command names, if it names one.
    pub(crate) fn conversation(&mut self, to: To) -> Option<Conversation> {
        match to {
            To::User(user) => Some(user.into()),
            To::Group(word) => match find(&self.groups, &word).filter(|group| self.knows(group)) {
                Some(group) => Some(group.into()),
                None => {
                    self.fail(Exit::Failed, &format!("you are in no group #{word}: /groups lists yours"));
                    None
                }
            },
        }
    }

    fn knows(&self, group: &GroupId) -> bool {
        self.groups.iter().any(|known| known.group == *group)
    }

    /// The group in which the commands about groups are meant.
    fn current_group(&mut self) -> Option<GroupId> {
        match self.current {
            Some(Conversation::Group(group)) => Some(group),
            _ => {
                self.fail(Exit::Failed, "of which group? choose one with /pm #GROUP; /groups lists yours");
                None
            }
        }
    }

    pub(crate) fn new_group(&mut self, name: String, open: bool) {
        let made = self.chat.call(move |client, now| client.create_group(&name, open, now));
        if let Some(group) = self.check(made) {
            self.learn_groups();
            self.entering = Some(group);
            self.wait_for(Waiting::Group(group));
        }
    }

    /// Comes into an open group, or into the lobby.
    pub(crate) fn join(&mut self, word: Option<String>) {
        let Some(word) = word else {
            if !self.registered {
                return self.fail(Exit::Failed, &sentence::error(ApiMisuse::NotLoggedIn.into()));
            }
            self.wait_for(Waiting::Lobby);
            return self.try_lobby();
        };
        match find(&self.groups, &word) {
            Some(group) => self.join_group(group),
            None => {
                let sentence = format!("there is no group {word} here: an open one is joined by its id, 32 digits");
                self.fail(Exit::Failed, &sentence);
            }
        }
    }

    /// The relay says at login whether there is a lobby: it may take a moment.
    pub(crate) fn try_lobby(&mut self) {
        let told = self.chat.call(|client, _| Ok(client.groups_told().then(|| client.lobby())));
        let Some(lobby) = self.check(told).flatten() else { return };
        self.waiting = None;
        match lobby {
            Some(lobby) => self.join_group(lobby),
            None => self.fail(Exit::Failed, "this relay offers no lobby"),
        }
    }

    fn join_group(&mut self, group: GroupId) {
        if self.groups.iter().any(|known| known.group == group && known.member) {
            self.current = Some(group.into());
            let name = self.name_of(&group.into());
            self.screen.say(Tone::Note, &format!("you are in {name} already; lines go there from now on"));
            return self.show_open(&group);
        }
        let asked = self.chat.call(move |client, now| client.join_group(&group, now));
        if self.check(asked).is_some() {
            self.entering = Some(group);
            self.wait_for(Waiting::Group(group));
        }
    }

    /// Who is new here lands in the lobby, and who asked for it; everybody else is told of it.
    fn lobby(&mut self, group: GroupId) {
        if self.waiting == Some(Waiting::Lobby) {
            return self.try_lobby();
        }
        if !self.wants_lobby {
            let sentence = format!("this relay has a lobby, where everyone talks: /join; {}", sentence::OPEN_GROUP);
            return self.screen.say(Tone::Note, &sentence);
        }
        let asked = self.chat.call(move |client, now| client.join_group(&group, now));
        if self.check(asked).is_some() {
            if self.current.is_none() {
                self.entering = Some(group);
            }
            if self.waiting.is_none() {
                self.wait_for(Waiting::Group(group));
            }
        }
    }

    pub(crate) fn invite(&mut self, users: Vec<UserName>) {
        self.change_group(move |client, group, now| client.add_to_group(group, &users, now));
    }

    pub(crate) fn remove(&mut self, users: Vec<UserName>) {
        self.change_group(move |client, group, now| client.remove_from_group(group, &users, now));
    }

    pub(crate) fn leave_group(&mut self) {
        let Some(group) = self.current_group() else { return };
        let info = self.chat.call(move |client, _| Ok(client.group(&group)));
        let Some(info) = self.check(info).flatten() else { return };
        let admins = info.members.iter().filter(|(_, admin)| *admin).count();
        if info.admin && admins == 1 && info.members.len() > 1 {
            return self.fail(
                Exit::Failed,
                "you are its only admin: make somebody else one first, with /admin USER, or remove everybody",
            );
        }
        let me = self.me.clone();
        self.change_group(move |client, group, now| client.remove_from_group(group, &[me], now));
    }

    pub(crate) fn set_admin(&mut self, user: UserName, admin: bool) {
        self.change_group(move |client, group, now| client.set_group_admin(group, &user, admin, now));
    }

    pub(crate) fn rename(&mut self, name: String) {
        self.change_group(move |client, group, now| client.rename_group(group, &name, now));
    }

    fn change_group(
        &mut self,
        change: impl FnOnce(&mut Client, &GroupId, u64) -> Result<(), CoreError> + Send + 'static,
    ) {
        let Some(group) = self.current_group() else { return };
        let changed = self.chat.call(move |client, now| change(client, &group, now));
        if self.check(changed).is_some() {
            self.wait_for(Waiting::Group(group));
        }
    }

    pub(crate) fn resolve_fork(&mut self, other: bool) {
        let Some(group) = self.current_group() else { return };
        let decided = self.chat.call(move |client, now| client.resolve_fork(&group, other, now));
        if let Err(Error::Core(CoreError::ApiMisuse(ApiMisuse::NotFound))) = decided {
            let name = self.name_of(&group.into());
            return self.fail(Exit::Failed, &format!("there is nothing to decide about {name}"));
        }
        if self.check(decided).is_some() {
            self.learn_groups();
            let name = self.name_of(&group.into());
            self.screen.say(Tone::Note, &sentence::fork_decided(&name, other));
        }
    }

    /// The user's groups.
    pub(crate) fn show_groups(&mut self) {
        self.learn_groups();
        let found = self.chat.call(|client, _| {
            let info = |group: GroupId| client.group(&group).map(|info| (group, info));
            Ok(client.groups().filter_map(info).filter(|(_, info)| info.member).collect::<Vec<_>>())
        });
        let Some(groups) = self.check(found) else { return };
        if groups.is_empty() {
            self.screen.say(Tone::Note, "you are in no group: /new NAME makes one");
        }
        for (group, info) in groups {
            let mut line = format!("{}: {}", self.name_of(&group.into()), sentence::members(info.members.len()));
            for (is, what) in
                [(info.admin, "you are an admin"), (info.open, "open to everyone"), (info.forked, "forked")]
            {
                if is {
                    line.push_str(&format!(", {what}"));
                }
            }
            self.screen.say(Tone::Note, &format!("{line}, id {group}, named {}", info.name));
        }
    }

    /// Who is in the current group.
    pub(crate) fn show_members(&mut self) {
        let Some(group) = self.current_group() else { return };
        let found = self.chat.call(move |client, _| {
            let Some(info) = client.group(&group) else { return Ok(None) };
            let member = |(user, admin): &(UserName, bool)| {
                let trust = client.contact(user).map(|known| known.trust);
                let verified = if trust == Some(Trust::Verified) { " ✓" } else { "" };
                format!("{user}{verified}{}", if *admin { " (admin)" } else { "" })
            };
            let members: Vec<String> = info.members.iter().map(member).collect();
            Ok(Some((info, members)))
        });
        let Some((info, members)) = self.check(found).flatten() else { return };
        let name = self.name_of(&group.into());
        self.screen.say(Tone::Note, &format!("in {name}: {}", members.join(", ")));
        if !info.member {
            self.screen.say(Tone::Note, &format!("you are not in {name} any more"));
        }
        self.show_open(&group);
        if info.forked {
            self.screen.say(Tone::Warning, &sentence::error(ApiMisuse::RosterForked.into()));
        }
    }

    /// G3: who reads an open group.
    fn show_open(&self, group: &GroupId) {
        if let Some(known) = self.groups.iter().find(|known| known.group == *group && known.open) {
            let name = label(&self.groups, &known.group);
            self.screen.say(Tone::Warning, &format!("{name} is open: {}", sentence::OPEN_GROUP));
        }
    }

    /// Shows what happens to groups; gives back what is about something else.
    pub(crate) fn show_group(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Lobby { group } => self.lobby(group),
            Event::GroupJoined { group } => self.group_joined(group),
            Event::GroupChanged { group, by, change } => self.group_changed(group, &by, &change),
            Event::GroupForked { group, sequence, by } => {
                let name = self.name_of(&group.into());
                let [what, why, advice] = sentence::forked(&name, by.as_str(), sequence);
                self.fail(Exit::WrongKey, &what);
                self.screen.say(Tone::Warning, &why);
                self.screen.say(Tone::Warning, &advice);
                self.group_settled(group);
            }
            Event::GroupRefused { group, error } => {
                // The relay's own words were shown already.
                if !std::mem::take(&mut self.group_refused) {
                    let sentence = sentence::group_refused(&self.name_of(&group.into()), error);
                    self.fail(Exit::Failed, &sentence);
                }
                self.entering = self.entering.filter(|entering| *entering != group);
                self.done_with(&Waiting::Group(group));
            }
            other => return Some(other),
        }
        None
    }

    fn group_joined(&mut self, group: GroupId) {
        self.learn_groups();
        let found = self.chat.call(move |client, _| Ok(client.group(&group)));
        let Some(info) = self.check(found).flatten() else { return };
        let name = self.name_of(&group.into());
        let sentence = match info.members.len() {
            1 if info.admin => format!("the group {name} is there: /invite USER brings others in"),
            count => format!("you are in {name} now: {}", sentence::members(count)),
        };
        self.screen.say(Tone::Note, &sentence);
        self.show_open(&group);
        info.members.iter().for_each(|(user, _)| self.names.add(user.as_str()));
        if self.entering == Some(group) {
            self.entering = None;
            self.current = Some(group.into());
        }
        self.group_settled(group);
    }

    fn group_changed(&mut self, group: GroupId, by: &UserName, change: &GroupChange) {
        let before = self.name_of(&group.into());
        self.learn_groups();
        let gone = matches!(change, GroupChange::Removed { users } if users.contains(&self.me));
        // As it was called when it was done: a new name stands in the sentence itself.
        self.screen.say(Tone::Note, &sentence::changed(&before, by, change, &self.me));
        if gone && self.current == Some(group.into()) {
            self.current = None;
        }
        if let GroupChange::Added { users } = change {
            users.iter().for_each(|user| self.names.add(user.as_str()));
        }
        self.group_settled(group);
    }

    /// A command about a group is done when nothing of it waits for the relay any more.
    fn group_settled(&mut self, group: GroupId) {
        if self.waiting != Some(Waiting::Group(group)) {
            return;
        }
        let waits = self.chat.call(move |client, _| Ok(client.group(&group).is_some_and(|info| info.waits)));
        if self.check(waits) != Some(true) {
            self.waiting = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8, second: u8) -> GroupId {
        let mut id = [0x11; 16];
        (id[0], id[4]) = (first, second);
        GroupId::from_bytes(id)
    }

    fn known(group: GroupId, name: &str) -> Known {
        Known { group, word: as_word(name), open: false, member: true }
    }

    #[test]
    fn a_group_is_named_by_its_name_where_only_one_has_it() {
        let mut groups = vec![known(id(1, 0), "friends"), known(id(2, 0), "our\ttrip\x1b[2J"), known(id(3, 0), "Work")];
        assert_eq!(label(&groups, &id(1, 0)), "#friends");
        assert_eq!(label(&groups, &id(2, 0)), "#our␉trip␛[2J");
        assert_eq!(label(&groups, &id(9, 0)), "#09111111");
        groups.push(known(id(4, 0), "work"));
        assert_eq!([3, 4].map(|first| label(&groups, &id(first, 0))), ["#03111111", "#04111111"]);
        // One that was left takes no name away from one that was not.
        groups[3].member = false;
        assert_eq!([3, 4].map(|first| label(&groups, &id(first, 0))), ["#Work", "#04111111"]);
        for group in [id(1, 0), id(2, 0), id(3, 0), id(4, 0)] {
            assert_eq!(find(&groups, &label(&groups, &group)), Some(group));
        }
    }

    /// Whoever invites somebody chooses a name: it must not pass for another group.
    #[test]
    fn no_name_passes_for_the_id_of_another() {
        let groups = [known(id(1, 0), "work"), known(id(2, 0), "work"), known(id(3, 0), "01111111")];
        assert_eq!(find(&groups, "#01111111"), Some(id(1, 0)));
        assert_eq!(label(&groups, &id(3, 0)), "#03111111");
        // Ids that begin alike are told apart further on.
        let groups = [known(id(1, 0), "work"), known(id(1, 1), "work")];
        assert_eq!(label(&groups, &id(1, 1)), "#0111111101");
        assert_eq!(find(&groups, "01111111"), None);
        assert_eq!(find(&groups, "0111111101"), Some(id(1, 1)));
    }

    #[test]
    fn a_whole_id_names_what_is_not_known_yet() {
        assert_eq!(find(&[], &id(1, 0).to_string()), Some(id(1, 0)));
        assert_eq!(find(&[], "friends"), None);
    }
}
