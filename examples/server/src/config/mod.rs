//! What an operator decides.

mod file;

use crate::tap::Tap;
use securechat_core::limits::{DAY, Limits};
use securechat_core::suite::{Policy, Suite};
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;
use zeroize::Zeroizing;

/// Everything that a server can be told. The default listens on every address and is open to everyone.
#[derive(Clone)]
pub struct Config {
    /// Where to listen: `host:port`; port 0 takes a free one.
    pub listen: String,
    /// The host name or address that users are given, if it is not the one listened on.
    pub host: Option<String>,
    /// The folder of the server's identity, its database and its blobs.
    pub data: PathBuf,
    /// Whether messages that wait are kept in memory only: nothing is written for a message, and what waits is lost
    /// when the relay ends. Senders are told that a message was taken, not that it arrived, so they see what is missing.
    pub memory_mailboxes: bool,
    /// What everyone must send before they may register or log in.
    pub server_password: Option<Zeroizing<String>>,
    /// Whether new users may register.
    pub registration_open: bool,
    /// Whether the first open group that is made here is offered to everyone as the lobby. Whoever can register can read
    /// what is written there.
    pub lobby: bool,
    /// The suites spoken, in order of preference.
    pub suites: Policy,
    /// Bounds on what peers can make grow.
    pub limits: Limits,
    /// Bits of the RSA key that is made with a new identity: 2048 to 4096.
    pub rsa_bits: usize,
    /// Threads that hash passwords; each uses 19 MiB while it does.
    pub hash_threads: usize,
    /// Sees every byte on the wire, both ways. For demonstrations and tests.
    pub tap: Option<Tap>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:7441".into(),
            host: None,
            data: "securechat-data".into(),
            memory_mailboxes: false,
            server_password: None,
            registration_open: true,
            lobby: false,
            suites: Policy::default(),
            limits: Limits::default(),
            rsa_bits: 3072,
            hash_threads: default_hash_threads(),
            tap: None,
        }
    }
}

impl Config {
    /// Where the database lies.
    pub fn database(&self) -> PathBuf {
        self.data.join("relay.db")
    }

    /// Sets the suites by their names, in order of preference.
    pub fn set_suites(&mut self, names: &[String]) -> Result<(), ConfigError> {
        let parse = |name: &String| name.parse::<Suite>().map_err(|_| ConfigError::Suite(name.clone()));
        let suites = names.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        self.suites = Policy::new(suites).map_err(|_| ConfigError::Suites)?;
        Ok(())
    }

    /// Sets the server password.
    pub fn set_server_password(&mut self, password: Zeroizing<String>) -> Result<(), ConfigError> {
        if password.is_empty() {
            return Err(ConfigError::EmptyPassword);
        }
        self.server_password = Some(password);
        Ok(())
    }

    /// Reads the server password from the first line of a file.
    pub fn read_server_password(&mut self, path: PathBuf) -> Result<(), ConfigError> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) => return Err(ConfigError::PasswordFile { path, reason: error.to_string() }),
        };
        self.set_server_password(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
    }

    /// Whether every value is one that a server can run with.
    pub fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let largest = Limits::default();
        let in_range = [
            ("rsa-bits", self.rsa_bits as u64, 2048, 4096),
            ("hash-threads", self.hash_threads as u64, 1, 64),
            ("connections", limits.connections as u64, 1, 1_000_000),
            ("connections-per-address", limits.connections_per_address as u64, 1, 1_000_000),
            ("rsa-handshakes", limits.rsa_handshakes as u64, 1, 1_000),
            ("handshake-timeout", limits.handshake_timeout.as_secs(), 1, 600),
            ("login-timeout", limits.login_timeout.as_secs(), 1, 3_600),
            ("idle-timeout", limits.idle_timeout.as_secs(), 10, DAY / 1_000),
            ("prekeys-per-device", limits.prekeys_per_device as u64, 1, 1_000),
            ("mailbox-envelopes", limits.mailbox_envelopes as u64, 1, largest.mailbox_envelopes as u64),
            ("mailbox-bytes", limits.mailbox_bytes, 1 << 16, largest.mailbox_bytes),
            ("file-size", limits.file_size, 1, largest.file_size),
            ("output-queue", limits.output_queue as u64, 1 << 20, 1 << 30),
            ("output-total", limits.output_total as u64, 1 << 22, 1 << 40),
            ("input-total", limits.input_total as u64, 1 << 22, 1 << 40),
            ("stall-timeout", limits.stall_timeout.as_secs(), 1, 3_600),
            ("password-jobs", limits.password_jobs as u64, 1, 1_000_000),
            ("blobs-per-account", limits.blobs_per_account as u64, 1, 1_000_000),
            ("blob-bytes-per-account", limits.blob_bytes_per_account, 1, 1 << 60),
        ];
        match in_range.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            Some((name, value, least, most)) => Err(ConfigError::Range { name, value, least, most }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Config")
            .field("listen", &self.listen)
            .field("host", &self.host)
            .field("data", &self.data)
            .field("memory_mailboxes", &self.memory_mailboxes)
            .field("server_password", &self.server_password.as_ref().map(|_| ".."))
            .field("registration_open", &self.registration_open)
            .field("lobby", &self.lobby)
            .field("suites", &self.suites)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a configuration, as a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// It is not TOML, or has a key or a value that does not belong there.
    #[error("the configuration file has a mistake:\n{0}")]
    Syntax(String),
    /// A suite of that name does not exist.
    #[error("there is no suite {0}; choose from 0x0101, 0x0102, 0x0201, 0x0202, 0x0301 and 0x0302")]
    Suite(String),
    /// The list of suites is empty or names one twice.
    #[error("name at least one suite, and none twice")]
    Suites,
    /// The password is given in two ways.
    #[error("give either server-password or server-password-file, not both")]
    TwoPasswords,
    /// The password is empty.
    #[error("the server password is empty; leave it out for a server without one")]
    EmptyPassword,
    /// The password file cannot be read.
    #[error("cannot read the server password from {path}: {reason}")]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The variable holds bytes that are no text.
    #[error("the environment variable {0} is not valid UTF-8 text")]
    PasswordText(&'static str),
    /// A rate allows nothing, or its time is no time.
    #[error("the rate {0} needs a burst of at least 1 and a number of seconds from 0.000001 on")]
    Rate(&'static str),
    /// A number is too small or too large.
    #[error("{name} is {value}; choose a number from {least} to {most}")]
    Range {
        /// Which number.
        name: &'static str,
        /// What it is.
        value: u64,
        /// The least allowed.
        least: u64,
        /// The most allowed.
        most: u64,
    },
}

/// All processors but one, which serves the sockets.
fn default_hash_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().saturating_sub(1).clamp(1, 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use securechat_core::limits::Rate;
    use std::time::Duration;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        config.apply_toml(text)?;
        config.check()?;
        Ok(config)
    }

    /// The file that users copy says what the defaults are.
    #[test]
    fn the_sample_file_is_the_default() {
        let sample = parse(include_str!("../../securechat-server.toml")).unwrap();
        let default = Config::default();
        assert_eq!(sample.limits, default.limits);
        assert_eq!(format!("{sample:?}"), format!("{default:?}"));
        assert_eq!((sample.rsa_bits, sample.suites.suites()), (default.rsa_bits, default.suites.suites()));
    }

    #[test]
    fn every_key_is_taken_over() {
        let config = parse(
            "listen = '127.0.0.1:0'\nhost = 'chat.example'\ndata = '/x'\nmemory-mailboxes = true\nserver-password = 'pw'\nregistration = 'closed'\nlobby = true\n\
             suites = ['0x0202', '0x0101']\nrsa-bits = 2048\nhash-threads = 3\n[limits]\nconnections = 5\nidle-timeout = 20\n\
             [rates]\nlogin = { burst = 7, every = 0.5 }",
        )
        .unwrap();
        assert_eq!((config.listen.as_str(), config.host.as_deref()), ("127.0.0.1:0", Some("chat.example")));
        assert_eq!(config.server_password.as_ref().map(|password| password.as_str()), Some("pw"));
        assert_eq!((config.registration_open, config.rsa_bits, config.hash_threads), (false, 2048, 3));
        assert!(config.memory_mailboxes && config.lobby);
        assert_eq!(config.suites.suites().iter().map(|suite| suite.id()).collect::<Vec<_>>(), [0x0202, 0x0101]);
        assert_eq!((config.limits.connections, config.limits.idle_timeout), (5, Duration::from_secs(20)));
        assert_eq!(config.limits.login_rate, Rate { burst: 7, every: Duration::from_millis(500) });
        assert!(!format!("{config:?}").contains("pw"));
    }

    #[test]
    fn mistakes_are_sentences() {
        let error = |text: &str| parse(text).unwrap_err();
        assert!(error("lisen = 'x'").to_string().contains("lisen"));
        assert!(error("registration = 'maybe'").to_string().contains("maybe"));
        assert_eq!(error("suites = ['0x0909']"), ConfigError::Suite("0x0909".into()));
        assert_eq!(error("suites = []"), ConfigError::Suites);
        assert_eq!(error("server-password = ''"), ConfigError::EmptyPassword);
        assert_eq!(error("server-password = 'a'\nserver-password-file = 'b'"), ConfigError::TwoPasswords);
        assert!(error("server-password-file = '/nowhere'").to_string().starts_with("cannot read the server password"));
        for rate in ["{ burst = 0, every = 1.0 }", "{ burst = 1, every = -1.0 }", "{ burst = 1, every = 0.0 }"] {
            assert_eq!(error(&format!("[rates]\nlogin = {rate}")), ConfigError::Rate("login"));
        }
        assert_eq!(
            error("rsa-bits = 2048\nlisten = 5").to_string(),
            "the configuration file has a mistake:\nline 2: invalid type: integer `5`, expected a string"
        );
        assert_eq!(error("rsa-bits = 1024").to_string(), "rsa-bits is 1024; choose a number from 2048 to 4096");
    }

    /// ATTACKS.md C5.
    #[test]
    fn c5_a_mistake_beside_a_password_does_not_show_it() {
        for line in [
            "server-password = 'canary",
            "server-password = 6512",
            "server-password = canary",
            "server-password: canary",
        ] {
            let sentence = parse(&format!("listen = 'x:1'\n{line}\nrsa-bits = 2048")).unwrap_err();
            let shown = format!("{sentence} {sentence:?}");
            assert!(shown.contains("line 2") && !shown.contains("canary") && !shown.contains("6512"), "{shown}");
        }
    }

    #[test]
    fn the_password_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "a secret\nand more").unwrap();
        let mut config = Config::default();
        config.read_server_password(path).unwrap();
        assert_eq!(config.server_password.as_ref().map(|password| password.as_str()), Some("a secret"));
    }
}
