//! What went wrong, and what has to be known, in sentences that a person can act on.

use securechat_core::error::{ApiMisuse, Error as CoreError, PeerMisbehaved};
use securechat_core::event::{GroupChange, RequestKind};
use securechat_core::identity::UserName;
use securechat_core::limits::TEXT_MAX;
use securechat_core::wire::{CloseCode, RefusalCode};

/// Why the relay refused something, and what to do about it.
pub(crate) fn refusal(request: RequestKind, code: RefusalCode, retry_after: u32) -> String {
    let sentence = match (code, request) {
        (RefusalCode::ServerPassword, RequestKind::Enter) => {
            "the relay's own password is wrong: ask its operator for it"
        }
        (RefusalCode::ServerPassword, _) => {
            "the relay wants its own password first: give it with --server-password-file"
        }
        (RefusalCode::Credentials, RequestKind::LogInByKey) => {
            "the relay does not know this device: /login with your password, or /register"
        }
        (RefusalCode::Credentials, RequestKind::ConfirmCode) => "wrong code: type the one that is shown now",
        (RefusalCode::Credentials, _) => "wrong name, password or code",
        (RefusalCode::CodeNeeded, _) => "a one-time code is needed: /login CODE",
        (RefusalCode::NameTaken, _) => "this name is taken: choose another, or /login if it is yours",
        (RefusalCode::RegistrationClosed, _) => "this relay takes no new users: ask its operator for an account",
        (RefusalCode::RateLimited, _) => "too many requests",
        (RefusalCode::Locked, _) => "too many failed logins: the account is locked for a while",
        (RefusalCode::Unavailable, _) => "the relay cannot do this now; nothing was changed",
        (RefusalCode::UnknownUser, _) => "there is no user of that name",
        (RefusalCode::Full, _) => "there is no room left at the relay",
        (RefusalCode::NotAllowed, _) => "this device may not do that: approve it from another device of yours first",
        (RefusalCode::WrongState, _) => "log in first",
        (RefusalCode::ListRefused, _) => "your list of devices has changed meanwhile: try again",
        (RefusalCode::NotListed, _) => "this device was shut out: /login asks your other devices to let it in again",
        (RefusalCode::Taken, _) => "this device belongs to another user there: begin with a new state",
        (RefusalCode::TooLarge, _) => "that is larger than the relay allows",
        (RefusalCode::BundleRefused, _) => "the relay refused this device's keys: is the clock right?",
        (RefusalCode::NotFound, _) => "the relay does not have that any more",
        (RefusalCode::EntryRefused, _) => {
            "the relay did not take this change to the group: /members shows what it is now"
        }
        _ => "the relay refused the request",
    };
    match retry_after {
        0 => sentence.to_owned(),
        seconds => format!("{sentence}; try again in {seconds} s"),
    }
}

/// What an error of the engine means here.
pub(crate) fn error(error: CoreError) -> String {
    match error {
        CoreError::ApiMisuse(ApiMisuse::TooLarge) => {
            format!("a text may have {TEXT_MAX} bytes: send it in parts, or as a file")
        }
        CoreError::ApiMisuse(ApiMisuse::NotConnected) => "not connected: give --relay ADDRESS at the start".into(),
        CoreError::ApiMisuse(ApiMisuse::NotLoggedIn) => {
            "not logged in: /register, or /login if you have an account".into()
        }
        CoreError::ApiMisuse(ApiMisuse::UnknownUser) => "there is no user of that name".into(),
        CoreError::ApiMisuse(ApiMisuse::Violation) => {
            "the keys of this user have changed: compare the safety number with /verify, then /trust NAME".into()
        }
        CoreError::ApiMisuse(ApiMisuse::UntrustedRelay) => {
            "this relay is not trusted yet: compare its fingerprint with its operator's, then /trust FINGERPRINT".into()
        }
        CoreError::ApiMisuse(ApiMisuse::DeviceListOutOfDate) => {
            "the two sides do not know each other's devices yet: try again when both are online".into()
        }
        CoreError::ApiMisuse(ApiMisuse::MissingKey) => {
            "this device was made without an RSA key: begin a new state with --suites, or leave RSA out".into()
        }
        CoreError::ApiMisuse(ApiMisuse::NotFound) => "there is nothing of that name or number".into(),
        CoreError::ApiMisuse(ApiMisuse::Record) => {
            "the saved state is damaged: restore a copy, or begin as a new device".into()
        }
        CoreError::ApiMisuse(ApiMisuse::NotPermitted) => {
            "that is not for you to do in this group: /members shows who is in it and who may change it".into()
        }
        CoreError::ApiMisuse(ApiMisuse::RosterForked) => {
            "two histories of this group were shown: nothing is sent before you choose /fork keep or /fork other".into()
        }
        other => other.to_string(),
    }
}

/// Who reads an open group (G3).
pub(crate) const OPEN_GROUP: &str = "everyone who can register at this relay can read this, its operator included";

/// Behind the sender of a message who did not know yet that somebody was removed (G7).
pub(crate) fn before_removal(sender: &str) -> String {
    format!(" (before {sender} knew of a removal: who was removed may read it)")
}

/// What a fork is, what it may mean, and what to do about it (G6).
pub(crate) fn forked(group: &str, by: &str, sequence: u32) -> [String; 3] {
    [
        format!("{group} HAS TWO HISTORIES: of its change {sequence}, {by} signed another one than you know"),
        format!("{by} shows some members other things than others, or somebody else has a key of {by}"),
        format!(
            "ask the others what /members shows them; nothing is sent to {group} before you choose it with /pm and then \
             /fork keep, for what you know, or /fork other"
        ),
    ]
}

/// After the choice.
pub(crate) fn fork_decided(group: &str, other: bool) -> String {
    match other {
        false => format!("what you knew of {group} counts; whoever takes the other history cannot read you"),
        true => format!("the other history of {group} counts now: look at /members before you write"),
    }
}

/// Why nothing came of what was done to a group, or what is wrong with what the relay shows of it.
pub(crate) fn group_refused(group: &str, error: CoreError) -> String {
    match error {
        CoreError::ApiMisuse(ApiMisuse::NotFound) => format!("there is no group {group} here that you could join"),
        CoreError::ApiMisuse(ApiMisuse::NotPermitted) => {
            format!("{group} did not allow it: it is closed and somebody has to /invite you, or you may not change it")
        }
        CoreError::ApiMisuse(_) => format!("{group}: {}", self::error(error)),
        error => format!("what the relay shows of {group} cannot be right ({error}): none of that counts"),
    }
}

/// What somebody did to a group.
pub(crate) fn changed(group: &str, by: &UserName, change: &GroupChange, me: &UserName) -> String {
    let you = |user: &UserName| if user == me { "you".to_owned() } else { user.to_string() };
    let names = |users: &[UserName]| users.iter().map(you).collect::<Vec<_>>().join(", ");
    let who = you(by);
    match change {
        GroupChange::Added { users } if *users == [by.clone()] => format!("{who} came into {group}"),
        GroupChange::Added { users } => format!("{who} added {} to {group}", names(users)),
        GroupChange::Removed { users } if *users == [by.clone()] => format!("{who} left {group}"),
        GroupChange::Removed { users } => format!("{who} removed {} from {group}", names(users)),
        GroupChange::Admin { user, admin: true } => format!("{who} made {} an admin of {group}", you(user)),
        GroupChange::Admin { user, admin: false } => {
            format!("{who} took it back that {} may change {group}", you(user))
        }
        GroupChange::Renamed { name } => format!("{who} renamed {group}: {name}"),
        _ => format!("{who} changed {group}"),
    }
}

/// So many members.
pub(crate) fn members(count: usize) -> String {
    if count == 1 { "1 member".to_owned() } else { format!("{count} members") }
}

/// Why a link ended.
pub(crate) fn closed(reason: Option<CoreError>) -> String {
    match reason {
        // Whatever was still being sent when the other side closed goes out on the next link.
        None | Some(CoreError::ApiMisuse(ApiMisuse::Closed)) => "closed the connection".into(),
        Some(CoreError::PeerMisbehaved(reason)) => match reason {
            PeerMisbehaved::Truncation => "is gone: the connection broke off".into(),
            PeerMisbehaved::HandshakeTimeout => "did not answer in time".into(),
            PeerMisbehaved::IdentityMismatch => "is not the one expected: its key is another".into(),
            PeerMisbehaved::NoCommonSuite => "accepts none of the suites that are allowed here: see --suites".into(),
            PeerMisbehaved::Refused => "refused the connection: it may be busy, or speak another version".into(),
            PeerMisbehaved::BundleExpired => "shows a key that has expired, or the clock here is wrong".into(),
            other => format!("broke the protocol ({other}): the connection was ended"),
        },
        Some(other) => format!("broke the protocol ({other}): the connection was ended"),
    }
}

/// Why the relay closed a link, where there is more to say than that it did.
pub(crate) fn close(code: CloseCode) -> Option<&'static str> {
    match code {
        CloseCode::LoginTimeout => Some("nobody logged in for too long"),
        CloseCode::Shutdown => Some("the relay stops"),
        CloseCode::Replaced => Some("the same device logged in on another connection"),
        CloseCode::Revoked => Some("another device of yours shut this one out"),
        CloseCode::Busy => Some("the relay has too many connections: try again later"),
        CloseCode::Stalled => Some("this side was too slow for the relay"),
        _ => None,
    }
}

/// A size as people read it.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

/// How long ago something was, when that is worth saying: over two minutes.
pub(crate) fn age(sent_at: u64, now: u64) -> Option<String> {
    let minutes = now.saturating_sub(sent_at) / 60_000;
    match minutes {
        0..=2 => None,
        3..120 => Some(format!("{minutes} min ago")),
        120..2_880 => Some(format!("{} hours ago", minutes / 60)),
        _ => Some(format!("{} days ago", minutes / 1_440)),
    }
}

/// A time as `2026-12-01 08:30`, in UTC.
pub(crate) fn time(unix_ms: u64) -> String {
    let minutes = unix_ms / 60_000;
    let (minute, hour, days) = (minutes % 60, minutes / 60 % 24, minutes / 1_440);
    // Years are counted from March, so that a leap day is the last of its year.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let (month, day) = (if march < 10 { march + 3 } else { march - 9 }, day - (153 * march + 2) / 5 + 1);
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_read_well() {
        let sizes = [0, 999, 1_000, 61_440, 5_250_000, 3_000_000_000].map(size);
        assert_eq!(sizes, ["0 bytes", "999 bytes", "1.0 kB", "61.4 kB", "5.2 MB", "3.0 GB"]);
        let minute = 60_000;
        assert_eq!(age(5, 0), None);
        assert_eq!(age(0, 2 * minute), None);
        assert_eq!(age(0, 5 * minute).as_deref(), Some("5 min ago"));
        assert_eq!(age(0, 125 * minute).as_deref(), Some("2 hours ago"));
        assert_eq!(age(0, 3 * 1_440 * minute).as_deref(), Some("3 days ago"));
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00"),
            (951_782_399, "2000-02-28 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (1_709_251_199, "2024-02-29 23:59"),
            (1_796_083_200, "2026-12-01 00:00"),
            (4_107_542_400, "2100-03-01 00:00"),
        ] {
            assert_eq!(time(seconds * 1_000), text);
        }
    }

    #[test]
    fn what_happens_in_a_group_is_told_as_it_was_meant() {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| UserName::new(name).unwrap());
        let told = |by: &UserName, change| changed("#trip", by, &change, &alice);
        let (both, one) = (vec![bob.clone(), carol], vec![bob.clone()]);
        assert_eq!(told(&alice, GroupChange::Added { users: both }), "you added bob, carol to #trip");
        assert_eq!(told(&bob, GroupChange::Added { users: one.clone() }), "bob came into #trip");
        assert_eq!(told(&alice, GroupChange::Removed { users: one.clone() }), "you removed bob from #trip");
        assert_eq!(told(&bob, GroupChange::Removed { users: one }), "bob left #trip");
        let you = vec![alice.clone()];
        assert_eq!(told(&bob, GroupChange::Removed { users: you }), "bob removed you from #trip");
        let admin = |admin| GroupChange::Admin { user: alice.clone(), admin };
        assert_eq!(told(&bob, admin(true)), "bob made you an admin of #trip");
        assert_eq!(told(&bob, admin(false)), "bob took it back that you may change #trip");
        assert_eq!(told(&bob, GroupChange::Renamed { name: "tour".into() }), "bob renamed #trip: tour");
    }

    /// Each mark says what it means and what to do.
    #[test]
    fn the_marks_of_groups_are_in_words() {
        assert!(OPEN_GROUP.contains("everyone who can register") && OPEN_GROUP.contains("operator"));
        assert!(before_removal("bob").contains("who was removed may read it"));
        let [what, why, advice] = forked("#trip", "bob", 7);
        assert!(what.contains("TWO HISTORIES") && what.contains("change 7") && why.contains("key of bob"));
        assert!(advice.contains("/fork keep") && advice.contains("/fork other"));
        assert!(error(ApiMisuse::RosterForked.into()).contains("/fork keep"));
        assert!(fork_decided("#trip", true).contains("/members"));
        assert!(group_refused("#trip", ApiMisuse::NotFound.into()).contains("no group #trip"));
        assert!(group_refused("#trip", PeerMisbehaved::RosterEntry.into()).contains("none of that counts"));
    }

    #[test]
    fn refusals_say_what_to_do() {
        let wrong = refusal(RequestKind::LogIn, RefusalCode::Credentials, 0);
        assert_eq!(wrong, "wrong name, password or code");
        assert!(refusal(RequestKind::Enter, RefusalCode::ServerPassword, 0).contains("relay's own password is wrong"));
        assert!(refusal(RequestKind::LogIn, RefusalCode::Locked, 30).ends_with("try again in 30 s"));
        assert!(error(ApiMisuse::TooLarge.into()).contains("16384 bytes"));
        assert!(closed(Some(PeerMisbehaved::Truncation.into())).contains("broke off"));
    }
}
