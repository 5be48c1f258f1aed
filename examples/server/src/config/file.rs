//! The TOML file; `securechat-server.toml` shows all of it.

use super::{Config, ConfigError};
use securechat_core::limits::{Limits, Rate};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

impl Config {
    /// Takes over what a configuration file says; see `examples/server/securechat-server.toml`.
    pub fn apply_toml(&mut self, text: &str) -> Result<(), ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| ConfigError::Syntax(mistake(text, &error)))?;
        set(&mut self.listen, file.listen);
        set(&mut self.data, file.data);
        set(&mut self.memory_mailboxes, file.memory_mailboxes);
        set(&mut self.rsa_bits, file.rsa_bits);
        set(&mut self.hash_threads, file.hash_threads);
        set(&mut self.lobby, file.lobby);
        self.host = file.host.or(self.host.take());
        match (file.server_password, file.server_password_file) {
            (Some(_), Some(_)) => return Err(ConfigError::TwoPasswords),
            (Some(password), None) => self.set_server_password(Zeroizing::new(password))?,
            (None, Some(path)) => self.read_server_password(path)?,
            (None, None) => {}
        }
        if let Some(registration) = file.registration {
            self.registration_open = registration == Registration::Open;
        }
        if let Some(names) = file.suites {
            self.set_suites(&names)?;
        }
        file.limits.unwrap_or_default().apply(&mut self.limits);
        file.rates.unwrap_or_default().apply(&mut self.limits)
    }
}

/// Where a mistake is and what it is; nothing of what a line about a password says.
fn mistake(text: &str, error: &toml::de::Error) -> String {
    let Some(span) = error.span() else { return error.message().to_owned() };
    let before = text.get(..span.start).unwrap_or_default();
    let line = before.matches('\n').count();
    let is_secret = text.lines().nth(line).is_some_and(|text| text.contains("password"));
    let what = if is_secret { "not a text in quotes" } else { error.message() };
    format!("line {}: {what}", line + 1)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    listen: Option<String>,
    host: Option<String>,
    data: Option<PathBuf>,
    memory_mailboxes: Option<bool>,
    server_password: Option<String>,
    server_password_file: Option<PathBuf>,
    registration: Option<Registration>,
    lobby: Option<bool>,
    suites: Option<Vec<String>>,
    rsa_bits: Option<usize>,
    hash_threads: Option<usize>,
    limits: Option<FileLimits>,
    rates: Option<FileRates>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Registration {
    Open,
    Closed,
}

/// Of [`Limits`], the counts and sizes that concern a server; times in seconds.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FileLimits {
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    rsa_handshakes: Option<usize>,
    password_jobs: Option<usize>,
    handshake_timeout: Option<u64>,
    login_timeout: Option<u64>,
    idle_timeout: Option<u64>,
    stall_timeout: Option<u64>,
    prekeys_per_device: Option<usize>,
    mailbox_envelopes: Option<usize>,
    mailbox_bytes: Option<u64>,
    file_size: Option<u64>,
    blobs_per_account: Option<usize>,
    blob_bytes_per_account: Option<u64>,
    output_queue: Option<usize>,
    output_total: Option<usize>,
    input_total: Option<usize>,
}

impl FileLimits {
    fn apply(self, limits: &mut Limits) {
        set(&mut limits.connections, self.connections);
        set(&mut limits.connections_per_address, self.connections_per_address);
        set(&mut limits.rsa_handshakes, self.rsa_handshakes);
        set(&mut limits.password_jobs, self.password_jobs);
        set(&mut limits.handshake_timeout, self.handshake_timeout.map(Duration::from_secs));
        set(&mut limits.login_timeout, self.login_timeout.map(Duration::from_secs));
        set(&mut limits.idle_timeout, self.idle_timeout.map(Duration::from_secs));
        set(&mut limits.stall_timeout, self.stall_timeout.map(Duration::from_secs));
        set(&mut limits.prekeys_per_device, self.prekeys_per_device);
        set(&mut limits.mailbox_envelopes, self.mailbox_envelopes);
        set(&mut limits.mailbox_bytes, self.mailbox_bytes);
        set(&mut limits.file_size, self.file_size);
        set(&mut limits.blobs_per_account, self.blobs_per_account);
        set(&mut limits.blob_bytes_per_account, self.blob_bytes_per_account);
        set(&mut limits.output_queue, self.output_queue);
        set(&mut limits.output_total, self.output_total);
        set(&mut limits.input_total, self.input_total);
    }
}

/// Of [`Limits`], the rates.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FileRates {
    connection: Option<FileRate>,
    account: Option<FileRate>,
    login: Option<FileRate>,
    register: Option<FileRate>,
    publish: Option<FileRate>,
    prekey: Option<FileRate>,
}

/// So many at once, and one more every so many seconds.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRate {
    burst: u32,
    every: f64,
}

impl FileRates {
    fn apply(self, limits: &mut Limits) -> Result<(), ConfigError> {
        let rates = [
            ("connection", self.connection, &mut limits.connection_rate),
            ("account", self.account, &mut limits.account_rate),
            ("login", self.login, &mut limits.login_rate),
            ("register", self.register, &mut limits.register_rate),
            ("publish", self.publish, &mut limits.publish_rate),
            ("prekey", self.prekey, &mut limits.prekey_rate),
        ];
        for (name, rate, slot) in rates {
            let Some(rate) = rate else { continue };
            let every = Duration::try_from_secs_f64(rate.every).map_err(|_| ConfigError::Rate(name))?;
            if rate.burst == 0 || every.as_micros() == 0 {
                return Err(ConfigError::Rate(name));
            }
            *slot = Rate { burst: rate.burst, every };
        }
        Ok(())
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}
