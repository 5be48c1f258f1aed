//! Users from another system: a file with one user and hash per line.
//!
//! A line is `name:hash`, or `name,hash`, or a JSON object `{"name": "…", "hash": "…"}`. Empty lines and lines that
//! begin with `#` are passed over. A hash is bcrypt or Argon2id ([`password`]); the first login replaces it, unless its
//! parameters are ours. Until then the time that a login takes may tell whoever guesses names that this user is here and
//! came from elsewhere (L4 hides that of all others).

use crate::config::Config;
use crate::error::ServerError;
use crate::password::{self, HashError};
use crate::server::lock_folder;
use crate::store::SqliteStore;
use securechat_core::error::InvalidMessage;
use securechat_core::identity::UserName;
use securechat_core::relay::{PasswordHash, Store, StoreJob, StoreRefusal, StoreResult};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use thiserror::Error;

/// What became of the users of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Users who are new here.
    pub new: usize,
    /// Users who were here already; they stay as they are.
    pub known: usize,
}

/// Takes over the users of `file`, all or none. The server must not be running.
pub fn import(config: &Config, file: &Path) -> Result<Imported, ServerError> {
    let text = std::fs::read_to_string(file).map_err(|error| ServerError::import_file(file, &error))?;
    let users = parse(&text).map_err(|error| ServerError::Import { path: file.to_owned(), error })?;
    let _lock = lock_folder(&config.data)?;
    let mut store = SqliteStore::open(&config.data)?;
    let jobs = users.into_iter().map(|user| StoreJob::ImportAccount { user: user.name, password: user.hash });
    let mut imported = Imported::default();
    for result in store.run(&jobs.collect::<Vec<_>>()) {
        match result {
            StoreResult::Done => imported.new = imported.new.saturating_add(1),
            StoreResult::Refused(StoreRefusal::NameTaken) => imported.known = imported.known.saturating_add(1),
            _ => return Err(ServerError::ImportNotStored { path: config.database() }),
        }
    }
    Ok(imported)
}

/// A user to be taken over: who, and the hash of the password.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ImportedUser {
    /// The user's name.
    pub(crate) name: UserName,
    /// The hash, as a bcrypt or PHC string.
    pub(crate) hash: PasswordHash,
}

/// What is wrong with a line. Nothing of a file that has such a line is imported.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct ImportError {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: LineError,
}

/// Why a line cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LineError {
    /// It has none of the known forms.
    #[error("write a user as name:hash, or as {{\"name\": \"...\", \"hash\": \"...\"}}")]
    Form,
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] InvalidMessage),
    /// The hash cannot be used.
    #[error("the hash cannot be used: {0}")]
    Hash(#[from] HashError),
    /// The name stands on an earlier line too.
    #[error("the name is already on line {0}")]
    Twice(usize),
}

/// Reads a whole file of users.
pub(crate) fn parse(text: &str) -> Result<Vec<ImportedUser>, ImportError> {
    let mut users = Vec::new();
    let mut lines_by_name = BTreeMap::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, content) in (1..).zip(text.lines().map(str::trim)) {
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let user = parse_line(content).map_err(|reason| ImportError { line, reason })?;
        if let Some(earlier) = lines_by_name.insert(user.name.clone(), line) {
            return Err(ImportError { line, reason: LineError::Twice(earlier) });
        }
        users.push(user);
    }
    Ok(users)
}

fn parse_line(line: &str) -> Result<ImportedUser, LineError> {
    #[derive(Deserialize)]
    struct Json<'a> {
        name: std::borrow::Cow<'a, str>,
        hash: std::borrow::Cow<'a, str>,
    }
    let (name, hash) = if line.starts_with('{') {
        let json: Json<'_> = serde_json::from_str(line).map_err(|_| LineError::Form)?;
        (json.name.into_owned(), json.hash.into_owned())
    } else {
        // A name has neither character, so the first of them separates; hashes may hold commas.
        let (name, hash) = line.split_once([':', ',']).ok_or(LineError::Form)?;
        (unquote(name).to_owned(), unquote(hash).to_owned())
    };
    let name = UserName::new(&name)?;
    password::check_imported(&hash)?;
    Ok(ImportedUser { name, hash: PasswordHash::new(hash) })
}

/// Programs that write CSV put quotes around what they like.
fn unquote(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    const ARGON2: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$K6S4Lj5qZPTkVTTqqtVTSfbHBqQkQPBBs5ev0Hbh0Vk";

    #[test]
    fn all_forms_of_a_line() {
        let text = format!(
            "\u{feff}# users of the old server\nalice:{BCRYPT}\r\n\nbob,{ARGON2}\n\"carol\",\"{ARGON2}\"\n{{\"name\": \"dave\", \"hash\": \"{BCRYPT}\", \"created\": 7}}\n"
        );
        let users = parse(&text).unwrap();
        let got: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.hash.as_str())).collect();
        assert_eq!(got, [("alice", BCRYPT), ("bob", ARGON2), ("carol", ARGON2), ("dave", BCRYPT)]);
        assert!(!format!("{users:?}").contains("$"));
    }

    #[test]
    fn mistakes_name_their_line() {
        let error = |text: String| parse(&text).unwrap_err();
        assert_eq!(error("\nalice".into()), ImportError { line: 2, reason: LineError::Form });
        assert_eq!(error("{\"name\": 1}".into()).reason, LineError::Form);
        assert_eq!(error("alice:plain".into()).reason, LineError::Hash(HashError::Unknown));
        assert_eq!(error(format!("alice:{BCRYPT}\nalice:{BCRYPT}")).reason, LineError::Twice(1));
        assert!(matches!(error(format!("Ali ce:{BCRYPT}")).reason, LineError::Name(_)));
        assert_eq!(
            error("alice:plain".into()).to_string(),
            "line 1: the hash cannot be used: it is neither a bcrypt hash ($2a$, $2b$, $2y$) nor an Argon2id hash ($argon2id$...)"
        );
    }
}
