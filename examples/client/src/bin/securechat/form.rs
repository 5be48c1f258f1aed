//! A command that needs secrets: they are looked up where the user said, or asked for one after another.

use crate::secrets::{Secret, Secrets};
use securechat_client::Error;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What the secrets are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Enter,
    Register,
    LogIn { code: Option<u32> },
    ChangePassword,
    ChangePassphrase,
    SetUpCode,
    Export(PathBuf),
    Import(PathBuf),
}

/// One secret to be found.
#[derive(Clone, Copy, Debug)]
struct Field {
    secret: Secret,
    prompt: &'static str,
    /// To be typed twice, because a mistake in it would be noticed too late.
    repeat: bool,
}

/// The secrets of a command, and how many are there.
pub(crate) struct Form {
    pub(crate) purpose: Purpose,
    pub(crate) answers: Vec<Zeroizing<String>>,
    /// A first answer that waits to be typed again.
    first: Option<Zeroizing<String>>,
}

impl Form {
    pub(crate) fn new(purpose: Purpose) -> Self {
        Self { purpose, answers: Vec::new(), first: None }
    }

    fn fields(&self) -> &'static [Field] {
        const fn field(secret: Secret, prompt: &'static str, repeat: bool) -> Field {
            Field { secret, prompt, repeat }
        }
        match self.purpose {
            Purpose::Enter => &[const { field(Secret::ServerPassword, "password of the relay: ", false) }],
            Purpose::Register => &[const { field(Secret::Password, "a password for your account: ", true) }],
            Purpose::LogIn { .. } => &[const { field(Secret::Password, "password of your account: ", false) }],
            Purpose::SetUpCode => &[const { field(Secret::Password, "password of your account: ", false) }],
            Purpose::ChangePassword => &[
                const { field(Secret::Password, "present password: ", false) },
                const { field(Secret::NewPassword, "new password: ", true) },
            ],
            Purpose::ChangePassphrase => &[
                const { field(Secret::Passphrase, "present passphrase: ", false) },
                const { field(Secret::NewPassphrase, "new passphrase: ", true) },
            ],
            Purpose::Export(_) => &[const { field(Secret::ArchivePassphrase, "a passphrase for the archive: ", true) }],
            Purpose::Import(_) => &[const { field(Secret::ArchivePassphrase, "passphrase of the archive: ", false) }],
        }
    }

    fn field(&self) -> Option<&'static Field> {
        self.fields().get(self.answers.len())
    }

    /// Takes what can be found without asking. Afterwards the form is complete, or has a [`prompt`](Self::prompt).
    pub(crate) fn fill(&mut self, secrets: &Secrets) -> Result<(), Error> {
        while self.first.is_none()
            && let Some(secret) = self.field().map(|field| field.secret)
            && let Some(found) = secrets.find(secret)?
        {
            self.answers.push(found);
        }
        Ok(())
    }

    /// What to ask next; `None` when nothing is missing.
    pub(crate) fn prompt(&self) -> Option<String> {
        let field = self.field()?;
        Some(if self.first.is_some() { format!("again, {}", field.prompt) } else { field.prompt.to_owned() })
    }

    /// Takes an answer to [`prompt`](Self::prompt).
    pub(crate) fn answer(&mut self, secret: Zeroizing<String>) -> Result<(), &'static str> {
        let repeat = self.field().is_some_and(|field| field.repeat);
        match self.first.take() {
            Some(first) if *first != *secret => return Err("the two are not the same: nothing was changed"),
            None if secret.is_empty() => return Err("cancelled: nothing was typed"),
            None if repeat => self.first = Some(secret),
            _ => self.answers.push(secret),
        }
        Ok(())
    }

    /// What a script has to do where there is nobody to ask.
    pub(crate) fn how_to_give(&self) -> &'static str {
        match self.field().map(|field| field.secret) {
            Some(Secret::Password) => {
                "there is nobody to ask for the password: give --password-file or SECURECHAT_PASSWORD"
            }
            Some(Secret::NewPassword) => {
                "there is nobody to ask for the new password: give --new-password-file or SECURECHAT_NEW_PASSWORD"
            }
            Some(Secret::ServerPassword) => {
                "the relay wants its own password: give --server-password-file or SECURECHAT_SERVER_PASSWORD"
            }
            Some(Secret::NewPassphrase) => {
                "there is nobody to ask for the new passphrase: give --new-passphrase-file or SECURECHAT_NEW_PASSPHRASE"
            }
            Some(Secret::ArchivePassphrase) => {
                "there is nobody to ask for the archive's passphrase: give --archive-passphrase-file or \
                 SECURECHAT_ARCHIVE_PASSPHRASE"
            }
            Some(Secret::Passphrase) | None => {
                "there is nobody to ask for the passphrase: give --passphrase-file or SECURECHAT_PASSPHRASE"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn what_is_new_is_typed_twice() {
        let mut form = Form::new(Purpose::ChangePassword);
        assert_eq!(form.prompt().as_deref(), Some("present password: "));
        form.answer(typed("old")).unwrap();
        form.answer(typed("new")).unwrap();
        assert_eq!(form.prompt().as_deref(), Some("again, new password: "));
        form.answer(typed("new")).unwrap();
        assert_eq!(form.prompt(), None);
        assert_eq!(form.answers.iter().map(|answer| answer.as_str()).collect::<Vec<_>>(), ["old", "new"]);
    }

    #[test]
    fn two_different_answers_are_none() {
        let mut form = Form::new(Purpose::Register);
        form.answer(typed("one")).unwrap();
        assert!(form.answer(typed("other")).is_err());
        assert!(Form::new(Purpose::Register).answer(typed("")).is_err());
    }

    #[test]
    fn what_a_file_gives_is_not_asked_for() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("password");
        std::fs::write(&path, "secret\n").unwrap();
        let secrets = Secrets { password: Some(path), ..Secrets::default() };
        let mut form = Form::new(Purpose::Register);
        form.fill(&secrets).unwrap();
        assert_eq!((form.prompt(), form.answers[0].as_str()), (None, "secret"));
    }
}
