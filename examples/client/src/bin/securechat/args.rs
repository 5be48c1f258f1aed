//! The command line.

use clap::{Parser, Subcommand};
use securechat_core::identity::{Fingerprint, RelayAddress, UserName};
use securechat_core::suite::Suite;
use std::path::PathBuf;

/// Chat from a terminal, end to end encrypted: through a relay that reads nothing, or directly with a peer.
#[derive(Debug, Parser)]
#[command(name = "securechat", version, after_help = AFTER)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) task: Option<Task>,

    /// Your name there; needed the first time, or when this computer has several
    #[arg(long, short, value_name = "NAME", value_parser = user, global = true)]
    pub(crate) user: Option<UserName>,

    /// The relay, as its operator hands it out: host:port#fingerprint; remembered
    #[arg(long, short, value_name = "ADDRESS", value_parser = address)]
    pub(crate) relay: Option<RelayAddress>,

    /// Take connections from peers, without a relay
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,

    /// Connect to a peer who listens, without a relay: host:port, better with #fingerprint
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) peer: Vec<RelayAddress>,

    /// Accept whoever shows this fingerprint without asking
    #[arg(long, value_name = "FINGERPRINT", value_parser = fingerprint)]
    pub(crate) trust: Vec<Fingerprint>,

    /// Come into the relay's lobby, which everyone there can read, its operator included
    #[arg(long)]
    pub(crate) lobby: bool,

    /// The suites to use, best first: 0x0301 0x0302 (post-quantum hybrid), 0x0101 0x0102 (X25519), 0x0201 0x0202 (RSA)
    #[arg(long, value_name = "SUITE,...", value_delimiter = ',', value_parser = suite)]
    pub(crate) suites: Vec<Suite>,

    /// Where keys and sessions are kept, instead of the usual place for your name
    #[arg(long, value_name = "FOLDER", global = true)]
    pub(crate) state: Option<PathBuf>,

    /// Where accepted files go, instead of your usual download folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) downloads: Option<PathBuf>,

    /// Read the passphrase of the state from a file's first line, or from SECURECHAT_PASSPHRASE
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// Read a new passphrase of the state from a file, or from SECURECHAT_NEW_PASSPHRASE
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) new_passphrase_file: Option<PathBuf>,

    /// Read the passphrase of an archive from a file, or from SECURECHAT_ARCHIVE_PASSPHRASE
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) archive_passphrase_file: Option<PathBuf>,

    /// Read your password at the relay from a file, or from SECURECHAT_PASSWORD
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Read the new password for /passwd from a file, or from SECURECHAT_NEW_PASSWORD
    #[arg(long, value_name = "FILE")]
    pub(crate) new_password_file: Option<PathBuf>,

    /// Read the relay's own password from a file, or from SECURECHAT_SERVER_PASSWORD
    #[arg(long, value_name = "FILE")]
    pub(crate) server_password_file: Option<PathBuf>,
}

/// What can be done with a state without connecting to anybody.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub(crate) enum Task {
    /// Change the passphrase of the state
    Passphrase,
    /// Write all that was said to a new file, as lines of JSON
    Export {
        /// Seal it under a passphrase of its own, so that it can be imported
        #[arg(long)]
        encrypted: bool,
        /// The file
        file: PathBuf,
    },
    /// Read an encrypted export again; what is there already stays once
    Import {
        /// The file
        file: PathBuf,
    },
}

const AFTER: &str = "\
Commands come from the keyboard or from a pipe; /help lists them. From a pipe, each is finished before the next is read.

Exit status: 0 all went well, 1 a command failed, 2 wrong usage, 3 not connected, 4 not logged in,
5 the state cannot be opened or saved, 6 a key is not the one expected, or a group has two histories";

fn user(text: &str) -> Result<UserName, String> {
    UserName::new(text).map_err(|error| error.to_string())
}

fn address(text: &str) -> Result<RelayAddress, String> {
    text.parse()
        .map_err(|_| "write host:port#fingerprint, as it was handed out; the fingerprint has 64 digits".to_owned())
}

fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    text.parse().map_err(|_| "a fingerprint has 64 lower-case hexadecimal digits".to_owned())
}

fn suite(text: &str) -> Result<Suite, String> {
    let known = || Suite::ALL.map(|suite| suite.to_string()).join(", ");
    text.parse().map_err(|_| format!("the suites are {}", known()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn tasks_take_the_flags_of_the_state() {
        let args = Args::parse_from(["securechat", "export", "--encrypted", "a", "--state", "s"]);
        assert_eq!(args.task, Some(Task::Export { encrypted: true, file: "a".into() }));
        assert_eq!(args.state, Some("s".into()));
    }

    #[test]
    fn mistakes_are_explained() {
        let mistake =
            |arguments: &[&str]| Args::try_parse_from([&["securechat"], arguments].concat()).unwrap_err().to_string();
        assert!(mistake(&["--user", "Alice"]).contains("a user name may have"));
        assert!(mistake(&["--relay", "example.org"]).contains("host:port#fingerprint"));
        assert!(mistake(&["--suites", "0x0303"]).contains("0x0101, 0x0102"));
        assert!(mistake(&["--trust", "abc"]).contains("64"));
    }
}
