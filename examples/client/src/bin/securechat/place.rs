//! Where things lie when nothing else was said.

use directories::{ProjectDirs, UserDirs};
use securechat_client::{Error, State};
use securechat_core::identity::UserName;
use std::path::{Path, PathBuf};

/// The folder of the state: the one named, the user's own, or the only one there is.
pub(crate) fn state(named: Option<PathBuf>, user: Option<&UserName>) -> Result<PathBuf, Error> {
    if let Some(folder) = named {
        return Ok(folder);
    }
    let data =
        ProjectDirs::from("", "", "securechat").map_or_else(|| ".securechat".into(), |dirs| dirs.data_dir().to_owned());
    choose(&data, user)
}

fn choose(data: &Path, user: Option<&UserName>) -> Result<PathBuf, Error> {
    if let Some(user) = user {
        return Ok(data.join(user.as_str()));
    }
    let entries = std::fs::read_dir(data).into_iter().flatten().flatten();
    let mut states: Vec<_> = entries.map(|entry| entry.path()).filter(|path| State::exists(path)).collect();
    states.sort();
    match (states.pop(), states.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Error::SeveralStates(data.to_owned())),
        (None, _) => Err(Error::NewState(data.to_owned())),
    }
}

/// The folder for files that arrive.
pub(crate) fn downloads(named: Option<PathBuf>) -> PathBuf {
    let usual = || UserDirs::new().and_then(|dirs| dirs.download_dir().map(Path::to_owned));
    named.or_else(usual).unwrap_or_else(|| "downloads".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_only_state_needs_no_name() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path();
        let bob = UserName::new("bob").unwrap();
        assert!(matches!(choose(data, None), Err(Error::NewState(_))));
        assert_eq!(choose(data, Some(&bob)).unwrap(), data.join("bob"));
        let make = |name: &str| {
            fs::create_dir(data.join(name)).unwrap();
            fs::write(data.join(name).join("state.db"), "").unwrap();
        };
        make("alice");
        fs::write(data.join("alice.generation"), "1").unwrap();
        assert_eq!(choose(data, None).unwrap(), data.join("alice"));
        make("bob");
        assert!(matches!(choose(data, None), Err(Error::SeveralStates(_))));
    }
}
