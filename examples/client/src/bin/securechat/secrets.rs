//! Passwords and passphrases: from a file, from the environment, or asked for without echo.

use securechat_client::Error;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Which secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    Passphrase,
    NewPassphrase,
    ArchivePassphrase,
    Password,
    NewPassword,
    ServerPassword,
}

/// Where each secret is to be found without asking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) passphrase: Option<PathBuf>,
    pub(crate) new_passphrase: Option<PathBuf>,
    pub(crate) archive_passphrase: Option<PathBuf>,
    pub(crate) password: Option<PathBuf>,
    pub(crate) new_password: Option<PathBuf>,
    pub(crate) server_password: Option<PathBuf>,
}

impl Secrets {
    /// The first line of the file that was named, or the environment variable, or `None`: then it has to be asked for.
    pub(crate) fn find(&self, secret: Secret) -> Result<Option<Zeroizing<String>>, Error> {
        let (file, variable) = match secret {
            Secret::Passphrase => (&self.passphrase, "SECURECHAT_PASSPHRASE"),
            Secret::NewPassphrase => (&self.new_passphrase, "SECURECHAT_NEW_PASSPHRASE"),
            Secret::ArchivePassphrase => (&self.archive_passphrase, "SECURECHAT_ARCHIVE_PASSPHRASE"),
            Secret::Password => (&self.password, "SECURECHAT_PASSWORD"),
            Secret::NewPassword => (&self.new_password, "SECURECHAT_NEW_PASSWORD"),
            Secret::ServerPassword => (&self.server_password, "SECURECHAT_SERVER_PASSWORD"),
        };
        match file {
            Some(path) => first_line(path).map(Some),
            None => Ok(std::env::var(variable).ok().map(Zeroizing::new)),
        }
    }
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, Error> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|reason| Error::File { path: path.to_owned(), reason })?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_first_line() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("password");
        std::fs::write(&path, "correct horse\r\nsecond line\n").unwrap();
        let secrets = Secrets { password: Some(path), ..Secrets::default() };
        assert_eq!(secrets.find(Secret::Password).unwrap().unwrap().as_str(), "correct horse");
        assert!(secrets.find(Secret::NewPassword).unwrap().is_none());
        let secrets = Secrets { password: Some(place.path().join("missing")), ..Secrets::default() };
        assert!(matches!(secrets.find(Secret::Password), Err(Error::File { .. })));
    }
}
