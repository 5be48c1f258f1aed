//! What can be typed.

use securechat_core::identity::{Fingerprint, UserName};
use securechat_core::wire::Presence;
use std::path::PathBuf;

/// With whom a command is to talk.
#[derive(Debug, PartialEq)]
pub(crate) enum To {
    User(UserName),
    /// What follows the `#`: a name of a group or digits of its id.
    Group(String),
}

/// A line, understood.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// A text for the current conversation.
    Say(String),
    Register,
    LogIn {
        code: Option<u32>,
    },
    Users,
    New {
        name: String,
        open: bool,
    },
    /// The group, or the lobby.
    Join(Option<String>),
    Invite(Vec<UserName>),
    Remove(Vec<UserName>),
    Leave,
    Groups,
    Members,
    Admin {
        user: UserName,
        admin: bool,
    },
    Rename(String),
    Fork {
        other: bool,
    },
    Message {
        to: To,
        text: Option<String>,
    },
    File {
        to: To,
        path: PathBuf,
    },
    Accept {
        number: Option<usize>,
        folder: Option<PathBuf>,
    },
    History {
        count: usize,
    },
    Search(String),
    Export {
        path: PathBuf,
        encrypted: bool,
    },
    Import(PathBuf),
    Transfers,
    Cancel {
        number: usize,
    },
    Verify {
        user: UserName,
        compared: bool,
    },
    TrustUser(UserName),
    TrustKey(Fingerprint),
    Devices,
    Approve(Fingerprint),
    Revoke(Fingerprint),
    StartOver,
    Appear(Presence),
    ChangePassword,
    ChangePassphrase,
    Code {
        first: Option<u32>,
    },
    Help,
    Quit,
}

/// What a word of a command is, for its completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    User,
    Path,
}

/// A command as `/help` shows it.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) words: &'static str,
    pub(crate) about: &'static str,
    pub(crate) completed: &'static [Word],
}

const fn entry(name: &'static str, words: &'static str, about: &'static str, completed: &'static [Word]) -> Entry {
    Entry { name, words, about, completed }
}

/// Users of one command that are completed.
const USERS_COMPLETED: usize = 32;

/// Every command, in the order of the help.
pub(crate) const COMMANDS: &[Entry] = &[
    entry("/register", "", "make an account at the relay, with this device as its first", &[]),
    entry("/login", "[CODE]", "log in to an account that exists, from a new device", &[]),
    entry("/users", "", "who is here", &[]),
    entry("/pm", "NAME|#GROUP [TEXT]", "write to NAME or #GROUP; lines without a command go there too", &[Word::User]),
    entry("/file", "NAME|#GROUP PATH", "send a file", &[Word::User, Word::Path]),
    entry("/accept", "[NUMBER] [FOLDER]", "take an offered file", &[Word::Path, Word::Path]),
    entry("/new", "NAME [--open]", "make a group; into an --open one comes whoever wants to", &[]),
    entry("/join", "[#GROUP|ID]", "come into an open group; without one, into the relay's lobby", &[Word::User]),
    entry("/invite", "USER...", "add users to this group", &[Word::User; USERS_COMPLETED]),
    entry("/remove", "USER...", "remove users from this group", &[Word::User; USERS_COMPLETED]),
    entry("/leave", "", "leave this group", &[]),
    entry("/groups", "", "your groups", &[]),
    entry("/members", "", "who is in this group", &[]),
    entry("/admin", "USER [off]", "let USER change this group, or no more", &[Word::User]),
    entry("/rename", "NAME", "give this group another name", &[]),
    entry("/fork", "keep|other", "two histories of this group were shown: which one counts", &[]),
    entry("/history", "[NUMBER]", "what was said last in this conversation", &[]),
    entry("/search", "WORDS", "what has all these words in it, in any conversation", &[]),
    entry("/export", "[--encrypted] FILE", "write all that was said to a new file", &[Word::Path, Word::Path]),
    entry("/import", "FILE", "read an encrypted export again", &[Word::Path]),
    entry("/transfers", "", "files on their way, both ways; they go on by themselves", &[]),
    entry("/cancel", "NUMBER", "end a transfer", &[]),
    entry("/verify", "NAME [yes]", "show the safety number; 'yes' once you have compared it with NAME", &[Word::User]),
    entry("/trust", "NAME|FINGERPRINT", "accept NAME's changed keys, or whoever shows that fingerprint", &[Word::User]),
    entry("/devices", "", "your devices", &[]),
    entry("/approve", "FINGERPRINT", "let a new device of yours in, once its screen shows the same", &[]),
    entry("/revoke", "FINGERPRINT", "shut a device of yours out", &[]),
    entry("/start-over", "yes", "all your other devices are lost: begin anew with this one; everybody is warned", &[]),
    entry("/away", "", "appear as away", &[]),
    entry("/online", "", "appear as online", &[]),
    entry("/passwd", "", "change your password at the relay", &[]),
    entry("/passphrase", "", "change the passphrase that protects this device's state", &[]),
    entry("/code", "[CODE]", "ask for one-time codes at login; then confirm with a first one", &[]),
    entry("/help", "", "this list", &[]),
    entry("/quit", "", "end", &[]),
];

impl Command {
    /// Understands a line; `None` when it is empty. `//` begins a text that begins with a slash.
    pub(crate) fn parse(line: &str) -> Result<Option<Self>, String> {
        let line = line.trim();
        let Some(rest) = line.strip_prefix('/') else {
            return Ok((!line.is_empty()).then(|| Self::Say(line.to_owned())));
        };
        if rest.starts_with('/') {
            return Ok(Some(Self::Say(rest.to_owned())));
        }
        let (name, words) = split(line);
        let (first, more) = split(words);
        let command = match name {
            "/register" => Self::Register,
            "/login" => Self::LogIn { code: code(first)? },
            "/users" => Self::Users,
            "/pm" => Self::Message { to: to(first, name)?, text: some(more) },
            "/file" if !more.is_empty() => Self::File { to: to(first, name)?, path: path(more) },
            "/new" if !matches!(words, "" | "--open") => match words.strip_suffix(" --open") {
                Some(called) => Self::New { name: called.trim_end().to_owned(), open: true },
                None => Self::New { name: words.to_owned(), open: false },
            },
            "/join" => Self::Join(some(words)),
            "/invite" => Self::Invite(users(words, name)?),
            "/remove" => Self::Remove(users(words, name)?),
            "/leave" => Self::Leave,
            "/groups" => Self::Groups,
            "/members" => Self::Members,
            "/admin" if matches!(more, "" | "off") => Self::Admin { user: user(first, name)?, admin: more.is_empty() },
            "/rename" if !words.is_empty() => Self::Rename(words.to_owned()),
            "/fork" if matches!(words, "keep" | "other") => Self::Fork { other: words == "other" },
            "/accept" => match first.parse() {
                Ok(number) => Self::Accept { number: Some(number), folder: some(more).map(|folder| path(&folder)) },
                Err(_) => Self::Accept { number: None, folder: some(words).map(|folder| path(&folder)) },
            },
            "/history" => Self::History { count: count(first)? },
            "/search" if !words.is_empty() => Self::Search(words.to_owned()),
            "/export" if first == "--encrypted" && !more.is_empty() => {
                Self::Export { path: path(more), encrypted: true }
            }
            "/export" if !matches!(first, "" | "--encrypted") => Self::Export { path: path(words), encrypted: false },
            "/import" if !words.is_empty() => Self::Import(path(words)),
            "/transfers" => Self::Transfers,
            "/cancel" => Self::Cancel { number: first.parse().map_err(|_| usage(name))? },
            "/verify" if matches!(more, "" | "yes") => {
                Self::Verify { user: user(first, name)?, compared: more == "yes" }
            }
            "/trust" => match first.parse() {
                Ok(fingerprint) => Self::TrustKey(fingerprint),
                Err(_) => Self::TrustUser(user(first, name)?),
            },
            "/devices" => Self::Devices,
            "/approve" => Self::Approve(fingerprint(first)?),
            "/revoke" => Self::Revoke(fingerprint(first)?),
            "/start-over" if words == "yes" => Self::StartOver,
            "/away" => Self::Appear(Presence::Away),
            "/online" => Self::Appear(Presence::Online),
            "/passwd" => Self::ChangePassword,
            "/passphrase" => Self::ChangePassphrase,
            "/code" => Self::Code { first: code(first)? },
            "/help" | "/?" => Self::Help,
            "/quit" | "/exit" => Self::Quit,
            _ => return Err(usage(name)),
        };
        Ok(Some(command))
    }
}

/// The first word and what follows it.
fn split(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace).map_or((text, ""), |(first, rest)| (first, rest.trim()))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// How a command is written, or that there is none of that name.
fn usage(name: &str) -> String {
    match COMMANDS.iter().find(|entry| entry.name == name) {
        Some(entry) => format!("write {} {}", entry.name, entry.words),
        None => format!("there is no command {name}; /help lists them (a text may begin with //)"),
    }
}

fn user(word: &str, command: &str) -> Result<UserName, String> {
    if word.is_empty() {
        return Err(usage(command));
    }
    UserName::new(word.trim_start_matches('@')).map_err(|error| error.to_string())
}

/// A user, or a group behind a `#`.
fn to(word: &str, command: &str) -> Result<To, String> {
    match word.strip_prefix('#') {
        Some("") => Err(usage(command)),
        Some(group) => Ok(To::Group(group.to_owned())),
        None => user(word, command).map(To::User),
    }
}

/// One user or more.
fn users(words: &str, command: &str) -> Result<Vec<UserName>, String> {
    let users: Vec<UserName> = words
        .split([' ', ',', '\t'])
        .filter(|word| !word.is_empty())
        .map(|word| user(word, command))
        .collect::<Result<_, _>>()?;
    if users.is_empty() { Err(usage(command)) } else { Ok(users) }
}

/// How many messages to show: 20 unless it is said.
fn count(word: &str) -> Result<usize, String> {
    match word {
        "" => Ok(20),
        _ => word.parse().map_err(|_| usage("/history")),
    }
}

fn code(word: &str) -> Result<Option<u32>, String> {
    let digits = word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    match word.parse() {
        _ if word.is_empty() => Ok(None),
        Ok(code) if digits => Ok(Some(code)),
        _ => Err("a one-time code has six digits".into()),
    }
}

fn fingerprint(word: &str) -> Result<Fingerprint, String> {
    word.parse().map_err(|_| "give the whole fingerprint, 64 digits; /devices shows them".into())
}

/// A path as shells write it: `~` is home, quotes around it and backslashes before spaces are dropped.
fn path(text: &str) -> PathBuf {
    let quoted = |mark: char| text.strip_prefix(mark).and_then(|text| text.strip_suffix(mark));
    let text = match quoted('"').or_else(|| quoted('\'')) {
        Some(inner) => inner.to_owned(),
        None => text.replace("\\ ", " "),
    };
    let home = directories::BaseDirs::new();
    match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.home_dir().join(rest),
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Command {
        Command::parse(line).unwrap().unwrap()
    }

    fn bob() -> UserName {
        UserName::new("bob").unwrap()
    }

    #[test]
    fn texts_and_commands_are_told_apart() {
        assert_eq!(Command::parse("  \t "), Ok(None));
        assert_eq!(parse(" hello /pm "), Command::Say("hello /pm".into()));
        assert_eq!(parse("//help is a command"), Command::Say("/help is a command".into()));
        assert!(Command::parse("/nonsense").unwrap_err().contains("no command /nonsense"));
    }

    #[test]
    fn words_land_where_they_belong() {
        assert_eq!(
            parse("/pm bob  hello   you"),
            Command::Message { to: To::User(bob()), text: Some("hello   you".into()) }
        );
        assert_eq!(parse("/pm @bob"), Command::Message { to: To::User(bob()), text: None });
        assert_eq!(parse("/file bob a b.txt"), Command::File { to: To::User(bob()), path: "a b.txt".into() });
        assert_eq!(parse("/file bob 'a b.txt'"), Command::File { to: To::User(bob()), path: "a b.txt".into() });
        assert_eq!(parse("/file bob a\\ b.txt"), Command::File { to: To::User(bob()), path: "a b.txt".into() });
        assert_eq!(parse("/accept"), Command::Accept { number: None, folder: None });
        assert_eq!(parse("/accept 2"), Command::Accept { number: Some(2), folder: None });
        assert_eq!(parse("/accept 2 in here"), Command::Accept { number: Some(2), folder: Some("in here".into()) });
        assert_eq!(parse("/accept in here"), Command::Accept { number: None, folder: Some("in here".into()) });
        assert_eq!(parse("/history"), Command::History { count: 20 });
        assert_eq!(parse("/history 3"), Command::History { count: 3 });
        assert_eq!(parse("/search late  train"), Command::Search("late  train".into()));
        assert_eq!(parse("/export a b"), Command::Export { path: "a b".into(), encrypted: false });
        assert_eq!(parse("/export --encrypted a b"), Command::Export { path: "a b".into(), encrypted: true });
        assert_eq!(parse("/import a b"), Command::Import("a b".into()));
        assert_eq!(parse("/cancel 2"), Command::Cancel { number: 2 });
        assert_eq!(parse("/verify bob yes"), Command::Verify { user: bob(), compared: true });
        assert_eq!(parse("/login 012345"), Command::LogIn { code: Some(12_345) });
        let fingerprint = "ab".repeat(32);
        assert_eq!(parse(&format!("/trust {fingerprint}")), Command::TrustKey(fingerprint.parse().unwrap()));
        assert_eq!(parse("/trust bob"), Command::TrustUser(bob()));
    }

    #[test]
    fn groups_have_names_of_many_words() {
        let group = || To::Group("our-trip".into());
        assert_eq!(parse("/pm #our-trip hi all"), Command::Message { to: group(), text: Some("hi all".into()) });
        assert_eq!(parse("/file #our-trip a b"), Command::File { to: group(), path: "a b".into() });
        assert_eq!(parse("/new our trip"), Command::New { name: "our trip".into(), open: false });
        assert_eq!(parse("/new our trip --open"), Command::New { name: "our trip".into(), open: true });
        assert_eq!(parse("/join"), Command::Join(None));
        assert_eq!(parse("/join #lobby"), Command::Join(Some("#lobby".into())));
        assert_eq!(parse("/invite bob"), Command::Invite(vec![bob()]));
        assert_eq!(parse("/remove @bob, bob"), Command::Remove(vec![bob(), bob()]));
        assert_eq!(parse("/admin bob"), Command::Admin { user: bob(), admin: true });
        assert_eq!(parse("/admin bob off"), Command::Admin { user: bob(), admin: false });
        assert_eq!(parse("/rename the trip"), Command::Rename("the trip".into()));
        assert_eq!(parse("/fork other"), Command::Fork { other: true });
    }

    #[test]
    fn mistakes_say_how_it_is_written() {
        let mistake = |line| Command::parse(line).unwrap_err();
        assert_eq!(mistake("/pm"), "write /pm NAME|#GROUP [TEXT]");
        assert_eq!(mistake("/file bob"), "write /file NAME|#GROUP PATH");
        assert_eq!(mistake("/new --open"), "write /new NAME [--open]");
        assert_eq!(mistake("/invite"), "write /invite USER...");
        assert_eq!(mistake("/admin bob on"), "write /admin USER [off]");
        assert_eq!(mistake("/fork"), "write /fork keep|other");
        assert_eq!(mistake("/history all"), "write /history [NUMBER]");
        assert_eq!(mistake("/export --encrypted"), "write /export [--encrypted] FILE");
        assert_eq!(mistake("/start-over"), "write /start-over yes");
        assert_eq!(mistake("/verify bob no"), "write /verify NAME [yes]");
        assert!(mistake("/pm Bob hi").contains("a user name may have"));
        assert!(mistake("/login 12345").contains("six digits"));
        assert!(mistake("/approve ab").contains("64 digits"));
    }

    /// Whatever the help names is understood, with the words that it names.
    #[test]
    fn every_entry_parses() {
        for entry in COMMANDS {
            let words = entry.words.replace(['[', ']'], "").replace("NAME|FINGERPRINT", "bob").replace("keep|", "");
            let words =
                words.replace("|#GROUP", "").replace("NAME", "bob").replace("USER...", "bob").replace("USER", "bob");
            let words = words.replace("FINGERPRINT", &"00".repeat(32)).replace("CODE", "123456").replace("NUMBER", "1");
            let line = format!("{} {words}", entry.name);
            assert!(Command::parse(&line).is_ok_and(|command| command.is_some()), "{line}");
        }
    }
}
