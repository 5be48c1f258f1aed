use super::*;
use crate::passphrase::Cost;
use crate::state::StateOptions;
use securechat_core::event::InGroup;
use securechat_core::identity::Trust;
use securechat_core::roster::GroupId;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn with(name: &str) -> Conversation {
    Conversation::User(user(name))
}

fn id(number: u8) -> MessageId {
    MessageId::from_bytes([number; 16])
}

fn open(place: &Path) -> State {
    let mut options = StateOptions::new(place, Zeroizing::new("a passphrase".into()));
    options.user = Some(user("alice"));
    options.cost = Cost::LEAST;
    State::open(options).unwrap()
}

fn opened() -> (TempDir, State) {
    let place = tempfile::tempdir().unwrap();
    let state = open(&place.path().join("alice"));
    (place, state)
}

fn reopened(place: &TempDir, state: State) -> State {
    drop(state);
    open(&place.path().join("alice"))
}

fn message(state: &State, from: &str, number: u8, sent_at: u64, body: MessageBody) -> Message {
    let device = state.client.identity();
    Message { id: id(number), from: user(from), device, trust: Trust::Verified, sent_at, expiry: 0, group: None, body }
}

/// What arrives as an event, at the time at which it was sent.
fn came(state: &mut State, from: &str, number: u8, sent_at: u64, body: MessageBody) {
    let message = message(state, from, number, sent_at, body);
    state.note_event(&Event::Message(message), sent_at).unwrap();
}

fn text(text: &str) -> MessageBody {
    MessageBody::Text(text.into())
}

fn texts(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.words().unwrap_or("-")).collect()
}

/// What the rows hold.
fn rows(state: &State) -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    let push = |_, sealed| {
        rows.push(sealed);
        Ok(())
    };
    state.store.each_row(false, push).unwrap();
    rows
}

/// Every byte that lies in the folder.
fn bytes_of(folder: &Path) -> Vec<u8> {
    fs::read_dir(folder).unwrap().flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn what_is_said_stays_in_its_order_and_conversation() {
    let (place, mut state) = opened();
    came(&mut state, "bob", 1, 1_000, text("one"));
    state.note_sent(with("bob"), id(2), &text("two"), 2_000).unwrap();
    let copy = message(&state, "alice", 3, 2_500, text("three, from the laptop"));
    state.note_event(&Event::SentCopy { to: user("bob").into(), message: copy }, 3_000).unwrap();
    came(&mut state, "carol", 1, 4_000, text("another with the same id"));
    let offer = Event::FileOffered {
        from: user("bob"),
        trust: Trust::Verified,
        file: [1; 16],
        id: id(4),
        name: "report.pdf".into(),
        size: 12,
        media_type: String::new(),
        group: None,
    };
    state.note_event(&offer, 5_000).unwrap();
    state.save().unwrap();
    // The clock was put back by a month; what comes is the last all the same.
    let mut state = reopened(&place, state);
    state.note_sent(with("bob"), id(5), &text("five"), 7).unwrap();
    let entries = state.history(&with("bob"), 20).unwrap();
    assert_eq!(texts(&entries), ["one", "two", "three, from the laptop", "report.pdf", "five"]);
    assert_eq!(entries.iter().map(Entry::time).collect::<Vec<_>>(), [1_000, 2_000, 2_500, 5_000, 7]);
    assert_eq!(
        entries.iter().map(|entry| entry.from.as_str()).collect::<Vec<_>>().join(" "),
        "bob alice alice bob alice"
    );
    assert_eq!(texts(&state.history(&with("bob"), 2).unwrap()), ["report.pdf", "five"]);
    assert_eq!(texts(&state.history(&with("carol"), 2).unwrap()), ["another with the same id"]);
}

/// What comes in a group is its own conversation, with the mark of G7, and edited by its sender only.
#[test]
fn groups_are_conversations_of_their_own() {
    let (place, mut state) = opened();
    let group = InGroup { group: GroupId::from_bytes([7; 16]), before_removal: false };
    let in_group = |state: &mut State, from: &str, number, within, body| {
        let message = Message { group: Some(within), ..message(state, from, number, 1_000, body) };
        state.note_event(&Event::Message(message), 1_000).unwrap();
    };
    in_group(&mut state, "bob", 1, group, text("to all"));
    came(&mut state, "bob", 1, 1_000, text("to alice"));
    in_group(&mut state, "carol", 2, InGroup { before_removal: true, ..group }, text("to whom?"));
    in_group(&mut state, "carol", 3, group, MessageBody::Edit { id: id(1), text: "not hers".into() });
    in_group(&mut state, "bob", 4, group, MessageBody::Edit { id: id(1), text: "to all of you".into() });
    state.note_sent(Conversation::Group([7; 16]), id(5), &text("mine"), 2_000).unwrap();
    let offer = Event::FileOffered {
        from: user("bob"),
        trust: Trust::Verified,
        file: [1; 16],
        id: id(6),
        name: "map.pdf".into(),
        size: 12,
        media_type: String::new(),
        group: Some(group),
    };
    state.note_event(&offer, 3_000).unwrap();
    state.save().unwrap();
    let mut state = reopened(&place, state);
    let entries = state.history(&Conversation::Group([7; 16]), 20).unwrap();
    assert_eq!(texts(&entries), ["to all of you", "to whom?", "not hers", "mine", "map.pdf"]);
    let marked: Vec<_> = entries.iter().filter(|entry| entry.before_removal).map(|entry| entry.from.as_str()).collect();
    assert_eq!(marked, ["carol"]);
    assert_eq!(texts(&state.history(&with("bob"), 20).unwrap()), ["to alice"]);
    let found = state.search("to all", 20).unwrap();
    assert_eq!(
        found.iter().map(|entry| entry.conversation.to_string()).collect::<Vec<_>>(),
        [format!("group:{}", "07".repeat(16))]
    );
}

/// A message may be handed out again when the host was killed before it saved; the history has it once.
#[test]
fn what_comes_twice_is_there_once_and_what_was_not_saved_is_not_there() {
    let (place, mut state) = opened();
    state.save().unwrap();
    came(&mut state, "bob", 1, 1_000, text("one"));
    assert!(state.has_untold());
    let mut state = reopened(&place, state);
    assert!(state.history(&with("bob"), 20).unwrap().is_empty());
    came(&mut state, "bob", 1, 1_000, text("one"));
    state.save().unwrap();
    // Here it was ended: what was saved may not have been shown.
    let mut state = reopened(&place, state);
    assert!(state.has_untold());
    came(&mut state, "bob", 1, 9_000, text("one"));
    state.save().unwrap();
    state.told();
    state.close_history().unwrap();
    let mut state = reopened(&place, state);
    assert!(!state.has_untold());
    assert_eq!(texts(&state.history(&with("bob"), 20).unwrap()), ["one"]);
}

#[test]
fn edits_deletes_and_reactions_change_what_is_there() {
    let (_place, mut state) = opened();
    came(&mut state, "bob", 1, 1_000, text("one"));
    came(&mut state, "bob", 2, 1_001, text("to be taken back"));
    state.note_sent(with("bob"), id(3), &text("three"), 1_002).unwrap();
    came(&mut state, "bob", 11, 2_000, MessageBody::Edit { id: id(1), text: "first".into() });
    came(&mut state, "bob", 12, 2_001, MessageBody::Delete { id: id(2) });
    for (number, reaction, removed) in [(13, "👍", false), (14, "🎉", false), (15, "🎉", true)] {
        let body = MessageBody::Reaction { id: id(3), reaction: reaction.into(), removed };
        came(&mut state, "bob", number, 2_000 + u64::from(number), body);
    }
    let entries = state.history(&with("bob"), 20).unwrap();
    assert_eq!(texts(&entries), ["first", "-", "three"]);
    assert_eq!(
        entries.iter().map(|entry| (entry.edited, entry.deleted)).collect::<Vec<_>>(),
        [(Some(2_000), false), (None, true), (None, false)]
    );
    assert_eq!(entries[2].reactions, [(user("bob"), "👍".into())]);
    state.note_event(&Event::Failed { id: id(3), error: ApiMisuse::Expired.into() }, 3_000).unwrap();
    assert!(state.history(&with("bob"), 1).unwrap()[0].failed);
}

/// D2: an edit or a delete counts from who wrote the message, in its conversation.
#[test]
fn d2_nobody_changes_what_another_said() {
    let (_place, mut state) = opened();
    came(&mut state, "bob", 1, 1_000, text("one"));
    state.note_sent(with("bob"), id(2), &text("two"), 1_001).unwrap();
    for from in ["mallory", "bob"] {
        for target in [1, 2] {
            if (from, target) != ("bob", 1) {
                came(&mut state, from, 20 + target, 2_000, MessageBody::Edit { id: id(target), text: "forged".into() });
                came(&mut state, from, 30 + target, 2_000, MessageBody::Delete { id: id(target) });
            }
        }
    }
    let mut entries = state.history(&with("bob"), 20).unwrap();
    // What was taken back without ever having been there says nothing.
    entries.retain(|entry| !entry.deleted);
    assert_eq!(texts(&entries), ["one", "two"]);
}

#[test]
fn what_expires_is_gone_from_the_store_with_all_that_was_said_to_it() {
    let (place, mut state) = opened();
    came(&mut state, "bob", 1, 1_000, text("stays"));
    let mut short = message(&state, "bob", 2, 9_000, text("burns after reading"));
    short.expiry = 10;
    // Its sender's clock is ahead: it does not live longer for that.
    state.note_event(&Event::Message(short), 2_000).unwrap();
    came(&mut state, "bob", 3, 3_000, MessageBody::Reaction { id: id(2), reaction: "🔥".into(), removed: false });
    assert_eq!(texts(&state.search("burns", 20).unwrap()), ["burns after reading"]);
    let mut state = reopened(&place, state);
    assert_eq!((state.next_expiry(), rows(&state).len()), (Some(12_000), 4));
    assert_eq!(texts(&state.search("burns", 20).unwrap()), ["burns after reading"]);
    state.forget_expired(11_999).unwrap();
    assert_eq!(state.history(&with("bob"), 20).unwrap().len(), 2);
    state.forget_expired(12_000).unwrap();
    assert_eq!((state.next_expiry(), rows(&state).len()), (None, 2));
    assert!(state.search("burns", 20).unwrap().is_empty());
    assert_eq!(texts(&state.history(&with("bob"), 20).unwrap()), ["stays"]);
}

/// The same whether a conversation was looked at before or not, also where an archive brings an older order.
#[test]
fn the_outline_follows_what_comes() {
    let (place, mut state) = opened();
    came(&mut state, "bob", 1, 1_000, text("one"));
    came(&mut state, "bob", 2, 2_000, text("two"));
    let path = place.path().join("archive");
    state.export(&path, Some(("sesame", Cost::LEAST))).unwrap();
    let (_elsewhere, mut other) = opened();
    other.note_sent(with("bob"), id(9), &text("between"), 1_500).unwrap();
    came(&mut other, "bob", 1, 3_000, text("one"));
    assert_eq!(texts(&other.history(&with("bob"), 20).unwrap()), ["between", "one"]);
    other.import(&path, "sesame", 9_000).unwrap();
    came(&mut other, "bob", 3, 4_000, MessageBody::Reaction { id: id(2), reaction: "👍".into(), removed: false });
    let seen = other.history(&with("bob"), 20).unwrap();
    assert_eq!(texts(&seen), ["one", "between", "two"]);
    assert_eq!(seen[2].reactions.len(), 1);
    other.history.outline = None;
    assert_eq!(other.history(&with("bob"), 20).unwrap(), seen);
    assert_eq!(texts(&other.history(&with("bob"), 1).unwrap()), ["two"]);
}

#[test]
fn the_index_follows_what_comes_and_nothing_readable_lies_in_the_folder() {
    let (place, mut state) = opened();
    came(&mut state, "bob", 1, 1_000, text("The Wolpertinger sleeps"));
    let found = |state: &mut State, words: &str| texts(&state.search(words, 20).unwrap()).join("|");
    assert_eq!(found(&mut state, "wolpertinger"), "The Wolpertinger sleeps");
    state.note_sent(with("bob"), id(2), &text("wolpertingers never sleep"), 2_000).unwrap();
    assert_eq!(found(&mut state, "wolp sle"), "");
    assert_eq!(found(&mut state, "sleep wolp"), "wolpertingers never sleep");
    assert_eq!(found(&mut state, "wolpertinger"), "The Wolpertinger sleeps|wolpertingers never sleep");
    assert_eq!(texts(&state.search("wolpertinger", 1).unwrap()), ["wolpertingers never sleep"]);
    came(&mut state, "bob", 3, 3_000, MessageBody::Edit { id: id(1), text: "it woke".into() });
    assert_eq!(found(&mut state, "wolpertinger"), "wolpertingers never sleep");
    assert_eq!(found(&mut state, "woke"), "it woke");
    state.save().unwrap();
    let bytes = bytes_of(&place.path().join("alice"));
    assert!(contains(&bytes, "SQLite format 3"), "a control: the database was searched");
    for word in ["olpertinger", "sleep", "woke", "message", "user:bob"] {
        // The name of a table is no word that was said.
        assert!(!contains(&bytes, word), "{word}");
    }
}

/// The rows of messages of many lengths have few.
#[test]
fn a_row_shows_a_padded_length_only() {
    let (_place, mut state) = opened();
    for number in 0..40 {
        came(&mut state, "bob", number, 1_000, text(&"x".repeat(usize::from(number))));
    }
    state.save().unwrap();
    let lengths: BTreeSet<usize> = rows(&state).iter().map(Vec::len).collect();
    assert_eq!(lengths.len(), 1, "{lengths:?}");
}

/// A row put in the place of another, or changed, is no message.
#[test]
fn a_row_that_was_moved_or_changed_does_not_open() {
    for change in [
        "UPDATE history SET value = (SELECT value FROM history ORDER BY place LIMIT 1)",
        "UPDATE history SET value = zeroblob(400)",
    ] {
        let (place, mut state) = opened();
        came(&mut state, "bob", 1, 1_000, text("one"));
        came(&mut state, "bob", 2, 1_000, text("two"));
        state.save().unwrap();
        rusqlite::Connection::open(place.path().join("alice/state.db")).unwrap().execute_batch(change).unwrap();
        let refused = state.history(&with("bob"), 20).unwrap_err();
        assert_eq!(refused.core(), Some(ApiMisuse::Record.into()));
    }
}

/// Some chunks of messages, with one of each mark.
fn long_history(state: &mut State) {
    for number in 0..45 {
        came(state, "bob", number, 1_000 + u64::from(number), text(&format!("{number} {}", "long ".repeat(1_200))));
    }
    state.note_sent(with("carol"), id(50), &text("canary"), 2_000).unwrap();
    came(state, "bob", 60, 3_000, MessageBody::Edit { id: id(1), text: "edited".into() });
    came(state, "bob", 61, 3_000, MessageBody::Delete { id: id(2) });
    came(state, "bob", 62, 3_000, MessageBody::Reaction { id: id(3), reaction: "👍".into(), removed: false });
}

#[test]
fn an_archive_comes_back_whole_and_twice_is_once() {
    let (place, mut state) = opened();
    long_history(&mut state);
    let path = place.path().join("archive");
    assert_eq!(state.export(&path, Some(("sesame", Cost::LEAST))).unwrap(), 46);
    let (all, carols) = (state.history(&with("bob"), 100).unwrap(), state.history(&with("carol"), 100).unwrap());
    assert!(!contains(&fs::read(&path).unwrap(), "canary"));

    let (_elsewhere, mut other) = opened();
    // Here some of it is known already, one message in an older form, and something else was said.
    came(&mut other, "bob", 1, 1_001, text(&format!("1 {}", "long ".repeat(1_200))));
    other.note_sent(with("dave"), id(70), &text("only here"), 5_000).unwrap();
    assert_eq!(other.search("edited", 20).unwrap(), []);
    let imported = other.import(&path, "sesame", 9_000).unwrap();
    assert_eq!(imported, Imported { new: 45, known: 1 });
    assert_eq!(other.import(&path, "sesame", 9_000).unwrap(), Imported { new: 0, known: 46 });
    assert_eq!(texts(&other.history(&with("bob"), 100).unwrap()), texts(&all));
    assert_eq!(other.history(&with("carol"), 100).unwrap(), carols);
    assert_eq!(texts(&other.history(&with("dave"), 100).unwrap()), ["only here"]);
    assert_eq!(texts(&other.search("edited", 20).unwrap()), ["edited"]);
}

#[test]
fn an_archive_that_was_cut_reordered_or_changed_gives_nothing() {
    let (place, mut state) = opened();
    long_history(&mut state);
    let path = place.path().join("archive");
    state.export(&path, Some(("sesame", Cost::LEAST))).unwrap();
    let whole = fs::read(&path).unwrap();
    let head = 21 + 16 + 12 + 64;
    let mut chunks = Vec::new();
    let mut rest = &whole[head..];
    while let Some((start, _)) = rest.split_at_checked(5) {
        let length = 5 + u32::from_be_bytes(start[1..].try_into().unwrap()) as usize;
        let (chunk, later) = rest.split_at(length);
        chunks.push(chunk.to_vec());
        rest = later;
    }
    assert!(chunks.len() > 3, "{}", chunks.len());
    let (last, [one, two, three]) = (chunks.len() - 1, [0, 1, 2].map(|index: usize| chunks[index].clone()));
    let put = |order: &[&[u8]]| [&whole[..head], &order.concat()].concat();
    let middle = chunks[1..last].concat();
    let mut called_last = chunks[last - 1].clone();
    called_last[0] = 1;
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let damaged = [
        put(&[]),
        put(&[&one]),
        put(&[&one, &middle]),
        put(&[&chunks[..last - 1].concat(), &called_last]),
        put(&[&two, &one, &three, &chunks[3..].concat()]),
        put(&[&one, &three, &chunks[3..].concat()]),
        put(&[&one, &one, &chunks[1..].concat()]),
        [&whole[..], b"x"].concat(),
        whole[..whole.len() - 1].to_vec(),
        flipped,
    ];
    let (_elsewhere, mut other) = opened();
    for (number, bytes) in damaged.into_iter().enumerate() {
        fs::write(&path, bytes).unwrap();
        let refused = other.import(&path, "sesame", 9_000);
        assert!(matches!(refused, Err(Error::ArchiveDamaged(_))), "{number}: {refused:?}");
        assert!(other.entries(|_| true).unwrap().is_empty(), "{number}");
    }
    fs::write(&path, &whole).unwrap();
    assert!(matches!(other.import(&path, "sesam", 9_000), Err(Error::ArchivePassphrase)));
    for bytes in [&whole[..head - 1], b"", b"{\"securechat\":\"history\"}"] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(other.import(&path, "sesame", 9_000), Err(Error::NotAnArchive(_))));
    }
    // A cost that would exhaust the machine is none.
    let mut absurd = whole.clone();
    absurd[21 + 16..21 + 20].fill(0xff);
    fs::write(&path, absurd).unwrap();
    assert!(matches!(other.import(&path, "sesame", 9_000), Err(Error::NotAnArchive(_))));
    fs::write(&path, &whole).unwrap();
    assert_eq!(other.import(&path, "sesame", 9_000).unwrap().new, 46);
}

#[test]
fn an_archive_is_its_owners_alone_and_overwrites_nothing() {
    let (place, mut state) = opened();
    came(&mut state, "bob", 1, 1_000, text("one"));
    let path = place.path().join("archive");
    assert_eq!(state.export(&path, None).unwrap(), 1);
    assert!(matches!(state.export(&path, None), Err(Error::Exists(_))));
    let lines = fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["user"], &lines[0]["records"]), (2, &"alice".into(), &1.into()));
    assert_eq!(lines[1]["message"]["text"], "one");
    let refused = state.export(&place.path().join("sealed"), Some(("", Cost::LEAST)));
    assert!(matches!(refused, Err(Error::EmptyPassphrase)) && !place.path().join("sealed").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        symlink(place.path().join("elsewhere"), place.path().join("link")).unwrap();
        assert!(matches!(state.export(&place.path().join("link"), None), Err(Error::Exists(_))));
        assert!(!place.path().join("elsewhere").exists());
    }
}

/// A full disk leaves no half archive, and says so.
#[cfg(target_os = "linux")]
#[test]
fn an_archive_that_cannot_be_written_is_an_error() {
    let (_place, mut state) = opened();
    long_history(&mut state);
    state.save().unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for passphrase in [None, Some(("sesame", Cost::LEAST))] {
        let refused = state.export_to(&full, Path::new("/dev/full"), passphrase);
        assert!(matches!(refused, Err(Error::DiskFull(_))), "{refused:?}");
    }
}

#[test]
fn an_archive_of_another_user_is_refused() {
    let (place, mut state) = opened();
    came(&mut state, "bob", 1, 1_000, text("one"));
    let path = place.path().join("archive");
    state.export(&path, Some(("sesame", Cost::LEAST))).unwrap();
    let mut options = StateOptions::new(place.path().join("bob"), Zeroizing::new("a passphrase".into()));
    (options.user, options.cost) = (Some(user("bob")), Cost::LEAST);
    let refused = State::open(options).unwrap().import(&path, "sesame", 9_000);
    assert!(matches!(refused, Err(Error::OtherArchive { .. })), "{refused:?}");
}

#[test]
fn what_has_expired_does_not_come_back_from_an_archive() {
    let (place, mut state) = opened();
    let mut short = message(&state, "bob", 2, 1_000, text("burns"));
    short.expiry = 10;
    state.note_event(&Event::Message(short), 1_000).unwrap();
    let path = place.path().join("archive");
    state.export(&path, Some(("sesame", Cost::LEAST))).unwrap();
    state.forget_expired(11_000).unwrap();
    assert_eq!(state.import(&path, "sesame", 11_000).unwrap(), Imported::default());
    assert!(state.entries(|_| true).unwrap().is_empty());
}
