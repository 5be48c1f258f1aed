//! The command line.

use clap::{Args, Parser, Subcommand};
use securechat_server::{Config, ConfigError, ServerError};
use std::path::PathBuf;
use zeroize::Zeroizing;

const PASSWORD_VARIABLE: &str = "SECURECHAT_SERVER_PASSWORD";

/// The relay of securechat: passes on what it cannot read, and keeps it for who is offline.
#[derive(Parser)]
#[command(name = "securechat-server", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Take over users from another system, while the server is stopped.
    ///
    /// One user per line: name:hash, name,hash or {"name": "...", "hash": "..."}. Hashes are bcrypt or Argon2id, and are
    /// replaced when their user first logs in. Users who are here already stay as they are.
    Import {
        /// The file of users.
        file: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct Options {
    /// Read this TOML file first; what the command line says wins.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 0.0.0.0:7441].
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The host name or address to hand out to users, when it is not the one listened on.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The folder of identity, database and blobs [default: securechat-data].
    #[arg(long, value_name = "FOLDER", global = true)]
    data: Option<PathBuf>,
    /// Keep messages that wait in memory only: no write for a message, but what waits is lost when the relay ends.
    #[arg(long)]
    memory_mailboxes: bool,
    /// A password that everyone must send first. Others on this machine can see it in the list of processes;
    /// the file or the variable SECURECHAT_SERVER_PASSWORD keep it to yourself.
    #[arg(long, value_name = "PASSWORD", conflicts_with = "server_password_file")]
    server_password: Option<String>,
    /// A file whose first line is that password.
    #[arg(long, value_name = "FILE")]
    server_password_file: Option<PathBuf>,
    /// Whether new users may register: open or closed [default: open].
    #[arg(long, value_name = "open|closed", value_parser = ["open", "closed"])]
    registration: Option<String>,
    /// Offer the first open group that is made here to everyone, as the lobby.
    #[arg(long)]
    lobby: bool,
    /// The suites spoken, in order of preference [default: 0x0301,0x0302,0x0101,0x0102].
    #[arg(long, value_name = "SUITE,...", value_delimiter = ',')]
    suites: Option<Vec<String>>,
    /// Connections at once [default: 20000].
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Connections at once from one address [default: 1024].
    #[arg(long, value_name = "N")]
    connections_per_address: Option<usize>,
    /// More in the log: -v what each connection does, -vv everything.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}

impl Options {
    /// The defaults, then the file, then the environment, then the flags.
    pub(crate) fn into_config(self) -> Result<Config, ServerError> {
        let mut config = Config::default();
        if let Some(path) = self.config {
            // It may hold the password.
            let text = std::fs::read_to_string(&path).map(Zeroizing::new);
            config.apply_toml(&text.map_err(|error| ServerError::config_file(path, &error))?)?;
        }
        match std::env::var(PASSWORD_VARIABLE).map(Zeroizing::new) {
            Ok(password) => config.set_server_password(password)?,
            Err(std::env::VarError::NotUnicode(_)) => return Err(ConfigError::PasswordText(PASSWORD_VARIABLE).into()),
            Err(std::env::VarError::NotPresent) => {}
        }
        if let Some(password) = self.server_password {
            config.set_server_password(Zeroizing::new(password))?;
        }
        if let Some(path) = self.server_password_file {
            config.read_server_password(path)?;
        }
        if let Some(names) = self.suites {
            config.set_suites(&names)?;
        }
        config.host = self.host.or(config.host);
        config.listen = self.listen.unwrap_or(config.listen);
        config.data = self.data.unwrap_or(config.data);
        config.memory_mailboxes |= self.memory_mailboxes;
        config.lobby |= self.lobby;
        config.registration_open = self.registration.map_or(config.registration_open, |value| value == "open");
        config.limits.connections = self.connections.unwrap_or(config.limits.connections);
        config.limits.connections_per_address =
            self.connections_per_address.unwrap_or(config.limits.connections_per_address);
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Config {
        Cli::try_parse_from(["securechat-server"].iter().chain(arguments)).unwrap().options.into_config().unwrap()
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_win_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.toml");
        std::fs::write(&file, "listen = 'localhost:1'\nregistration = 'closed'\nsuites = ['0x0101']").unwrap();
        let file = file.to_str().unwrap();
        let config = parse(&["--config", file, "--listen", "localhost:2", "--connections", "7"]);
        assert_eq!((config.listen.as_str(), config.limits.connections), ("localhost:2", 7));
        assert!(!config.registration_open);
        assert_eq!(config.suites.suites().len(), 1);
        assert!(parse(&["--config", file, "--registration", "open"]).registration_open);
        assert_eq!(parse(&["--suites", "0x0202,0x0301"]).suites.suites().len(), 2);
    }

    #[test]
    fn import_takes_the_data_folder() {
        let cli = Cli::try_parse_from(["securechat-server", "import", "users.csv", "--data", "there"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Import { file }) if file.ends_with("users.csv")));
        assert_eq!(cli.options.into_config().unwrap().data, PathBuf::from("there"));
    }
}
