//! A state on the disk: a device of a user, sealed under a passphrase.

use crate::error::Error;
use crate::history::History as Kept;
use crate::passphrase::{self, Cost, SALT};
use crate::store::{Rows, Store};
use crate::transfer::Files;
use rand::TryRng;
use rand::rngs::SysRng;
use securechat_core::client::{Client, ClientConfig, History, Save};
use securechat_core::crypto::secret::Secret;
use securechat_core::crypto::{self, Random};
use securechat_core::error::{ApiMisuse, Error as CoreError};
use securechat_core::identity::{RelayAddress, UserName};
use securechat_core::limits::Limits;
use securechat_core::suite::Policy;
use securechat_core::vault::Vault;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Bits of the RSA key of a new device whose policy names RSA suites.
const RSA_BITS: usize = 3072;

/// What opens a state, or creates it where there is none.
pub struct StateOptions {
    /// Where the state lives: a folder of its own.
    pub folder: PathBuf,
    /// Whose it is: needed for a new one, and has to agree with one that exists.
    pub user: Option<UserName>,
    /// What protects it.
    pub passphrase: Zeroizing<String>,
    /// What a guess at the passphrase of a new state costs.
    pub cost: Cost,
    /// The suites that are allowed.
    pub policy: Policy,
    /// Bits of an RSA key that a new device may need.
    pub rsa_bits: usize,
    /// The bounds.
    pub limits: Limits,
}

impl StateOptions {
    /// The state in `folder`, with the default of everything else.
    pub fn new(folder: impl Into<PathBuf>, passphrase: Zeroizing<String>) -> Self {
        Self {
            folder: folder.into(),
            user: None,
            passphrase,
            cost: Cost::default(),
            policy: Policy::default(),
            rsa_bits: RSA_BITS,
            limits: Limits::default(),
        }
    }
}

impl std::fmt::Debug for StateOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StateOptions")
            .field("folder", &self.folder)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// An open state: its records, and the client restored from them.
pub struct State {
    pub(crate) store: Store,
    pub(crate) client: Client,
    /// Seals what the program itself keeps; the same key as the client's.
    pub(crate) vault: Vault,
    pub(crate) rng: Random,
    pub(crate) history: Kept,
    /// What the disk had no room for.
    unsaved: Option<(Vec<Save>, Rows)>,
}

impl State {
    /// Whether a state was ever created in `folder`.
    pub fn exists(folder: &Path) -> bool {
        folder.join("state.db").exists()
    }

    /// Opens a state, or creates a new device where there is none.
    ///
    /// # Errors
    /// [`Error::WrongPassphrase`], [`Error::InUse`], [`Error::NewState`], [`Error::OtherUser`], or what the database says.
    pub fn open(options: StateOptions) -> Result<Self, Error> {
        let mut store = Store::open(&options.folder)?;
        let mut rng = random()?;
        // Two vaults with one key: one for what the program keeps, one for the client.
        let (vault, own) = match store.setting("vault")? {
            Some(wrapped) => {
                let key = passphrase_key(&store, &options.passphrase)?;
                (unwrap(&key, &wrapped)?, unwrap(&key, &wrapped)?)
            }
            None => {
                let user = options.user.as_ref().ok_or_else(|| Error::NewState(store.folder().to_owned()))?;
                let vault = Vault::generate(&mut *rng);
                let sealed = vault.seal("setting/user", user.as_str().as_bytes(), &mut *rng);
                let key = protect(&mut store, &vault, &options.passphrase, options.cost, &[("user", &sealed)])?;
                let wrapped = store.setting("vault")?.unwrap_or_default();
                (vault, unwrap(&key, &wrapped)?)
            }
        };
        let user = setting(&store, &vault, "user")?.ok_or(CoreError::from(ApiMisuse::Record))?;
        let user = UserName::new(&user).map_err(CoreError::from)?;
        if options.user.is_some_and(|wanted| wanted != user) {
            return Err(Error::OtherUser { folder: store.folder().to_owned(), user: user.to_string() });
        }
        let config =
            ClientConfig { user, policy: options.policy, limits: Arc::new(options.limits), rsa_bits: options.rsa_bits };
        let records = store.records()?;
        let engine_rng = random()?;
        let client = if records.is_empty() {
            Client::create(config, own, engine_rng, now())?
        } else {
            // Without a note of the generation the folder came from elsewhere: a copy, and treated as one.
            let history = store.generation().map_or(History::Restored, History::AtLeast);
            Client::restore(config, own, records, history, engine_rng, now())?
        };
        let mut state = Self { store, client, vault, rng, history: Kept::default(), unsaved: None };
        state.open_history()?;
        Ok(state)
    }

    /// Whether something changed in the client or in the history, or could not be written before.
    pub(crate) fn wants_save(&self) -> bool {
        self.is_unsaved() || self.client.wants_save() || self.history_waits()
    }

    /// Whether there is something that could not be written: nothing leaves before it is.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.unsaved.is_some()
    }

    /// Writes a part of what changed. When this returns it is on the disk; what was noted of an event is in the transaction
    /// that says that the event was taken. What fails for want of room is kept, and is the first that is tried again.
    pub(crate) fn save_some(&mut self) -> Result<(), Error> {
        if self.unsaved.is_none() {
            let batch = self.client.poll_save().unwrap_or_default();
            self.unsaved = Some((batch, self.history_rows()));
        }
        if let Some((batch, rows)) = &self.unsaved {
            self.store.commit(batch, rows)?;
            self.store.note_generation(self.client.generation())?;
            self.unsaved = None;
        }
        Ok(())
    }

    /// Writes all that changed.
    pub(crate) fn save(&mut self) -> Result<(), Error> {
        while self.wants_save() {
            self.save_some()?;
        }
        Ok(())
    }

    /// The client, to look at.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The relay that this state was last used with.
    pub fn relay(&self) -> Result<Option<RelayAddress>, Error> {
        Ok(setting(&self.store, &self.vault, "relay")?.and_then(|text| text.parse().ok()))
    }

    /// Keeps the relay's address for the next time.
    pub fn remember_relay(&mut self, relay: &RelayAddress) -> Result<(), Error> {
        let sealed = self.vault.seal("setting/relay", relay.to_string().as_bytes(), &mut *self.rng);
        self.store.set(&[("relay", &sealed)])
    }

    /// The files of transfers that are under way.
    pub(crate) fn transfers(&self) -> Result<Files, Error> {
        let Some(sealed) = self.store.setting("transfers")? else { return Ok(Files::default()) };
        let opened = self.vault.open("setting/transfers", &sealed).map_err(CoreError::from)?;
        Files::from_bytes(&opened)
    }

    /// Keeps the files of transfers for the next start.
    pub(crate) fn remember_transfers(&mut self, files: &Files) -> Result<(), Error> {
        let sealed = self.vault.seal("setting/transfers", &files.to_bytes(), &mut *self.rng);
        self.store.set(&[("transfers", &sealed)])
    }

    /// Puts the state under another passphrase.
    pub fn change_passphrase(&mut self, old: &str, new: &str, cost: Cost) -> Result<(), Error> {
        let wrapped = self.store.setting("vault")?.unwrap_or_default();
        let vault = unwrap(&passphrase_key(&self.store, old)?, &wrapped)?;
        protect(&mut self.store, &vault, new, cost, &[])?;
        // The log still has the key as the old passphrase wraps it.
        self.store.empty_log()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("State").field("folder", &self.store.folder()).finish_non_exhaustive()
    }
}

/// The time as the engine counts it: Unix milliseconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A generator seeded by the operating system, which forgets what it gave.
pub(crate) fn random() -> Result<Random, Error> {
    let mut seed = Secret::zero();
    SysRng.try_fill_bytes(seed.as_mut_bytes()).map_err(|_| Error::Randomness)?;
    Ok(crypto::from_seed(&seed))
}

/// Wraps the vault key under a passphrase: `salt`, `cost` and `vault`, with other settings, all or none.
fn protect(
    store: &mut Store,
    vault: &Vault,
    passphrase: &str,
    cost: Cost,
    more: &[(&str, &[u8])],
) -> Result<Secret<32>, Error> {
    let mut rng = random()?;
    let mut salt = [0; SALT];
    rng.fill_bytes(&mut salt);
    let key = passphrase::derive(passphrase, &salt, cost)?;
    let wrapped = vault.wrap(&key, &mut *rng);
    let cost = cost.to_bytes();
    store.set(&[&[("salt", &salt[..]), ("cost", &cost), ("vault", &wrapped)], more].concat())?;
    Ok(key)
}

/// The key that a passphrase gives with the stored salt and cost.
fn passphrase_key(store: &Store, passphrase: &str) -> Result<Secret<32>, Error> {
    let missing = || CoreError::from(ApiMisuse::Record);
    let salt = store.setting("salt")?.and_then(|salt| salt.try_into().ok()).ok_or_else(missing)?;
    let cost = store.setting("cost")?.and_then(|cost| Cost::from_bytes(&cost)).ok_or_else(missing)?;
    passphrase::derive(passphrase, &salt, cost)
}

fn unwrap(key: &Secret<32>, wrapped: &[u8]) -> Result<Vault, Error> {
    Vault::unwrap(key, wrapped).map_err(|_| Error::WrongPassphrase)
}

/// A text that the program keeps, sealed as the records are.
fn setting(store: &Store, vault: &Vault, name: &str) -> Result<Option<String>, Error> {
    let Some(sealed) = store.setting(name)? else { return Ok(None) };
    let opened = vault.open(&format!("setting/{name}"), &sealed).map_err(CoreError::from)?;
    Ok(String::from_utf8(opened.to_vec()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &Path, user: Option<&str>, passphrase: &str) -> StateOptions {
        let mut options = StateOptions::new(folder, Zeroizing::new(passphrase.to_owned()));
        options.user = user.map(|user| UserName::new(user).unwrap());
        options.cost = Cost::LEAST;
        options
    }

    fn save(state: &mut State) {
        state.save().unwrap();
    }

    #[test]
    fn a_state_is_made_once_and_opened_by_its_passphrase() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("alice");
        assert!(!State::exists(&folder));
        assert!(matches!(State::open(options(&folder, None, "one")), Err(Error::NewState(_))));
        assert!(matches!(State::open(options(&folder, Some("alice"), "")), Err(Error::EmptyPassphrase)));
        let mut state = State::open(options(&folder, Some("alice"), "one")).unwrap();
        let identity = state.client().identity();
        save(&mut state);
        drop(state);
        assert!(State::exists(&folder));
        assert!(matches!(State::open(options(&folder, None, "two")), Err(Error::WrongPassphrase)));
        assert!(matches!(State::open(options(&folder, Some("bob"), "one")), Err(Error::OtherUser { .. })));
        let state = State::open(options(&folder, None, "one")).unwrap();
        assert_eq!((state.client().identity(), state.client().user().as_str()), (identity, "alice"));
    }

    #[test]
    fn the_passphrase_changes_and_the_device_stays() {
        let place = tempfile::tempdir().unwrap();
        let mut state = State::open(options(place.path(), Some("alice"), "one")).unwrap();
        let identity = state.client().identity();
        save(&mut state);
        assert!(matches!(state.change_passphrase("wrong", "two", Cost::LEAST), Err(Error::WrongPassphrase)));
        let wrapped = state.store.setting("vault").unwrap().unwrap();
        let on_disk = |part: &[u8]| {
            let files = std::fs::read_dir(place.path()).unwrap();
            let bytes: Vec<u8> = files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
            bytes.windows(part.len()).any(|window| window == part)
        };
        assert!(on_disk(&wrapped));
        state.change_passphrase("one", "two", Cost::LEAST).unwrap();
        // Who has the old passphrase finds nothing that it opens, not in the log either.
        assert!(!on_disk(&wrapped));
        drop(state);
        assert!(matches!(State::open(options(place.path(), None, "one")), Err(Error::WrongPassphrase)));
        assert_eq!(State::open(options(place.path(), None, "two")).unwrap().client().identity(), identity);
    }

    #[test]
    fn nothing_readable_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("state");
        let mut state = State::open(options(&folder, Some("alice-in-the-wonderland"), "one")).unwrap();
        let relay: RelayAddress = format!("relay.example.org:7441#{}", "ab".repeat(32)).parse().unwrap();
        state.remember_relay(&relay).unwrap();
        save(&mut state);
        assert_eq!(state.relay().unwrap(), Some(relay));
        drop(state);
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        let found = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(found("SQLite format 3"), "a control: the database was searched");
        for secret in ["alice-in-the-wonderland", "relay.example.org", "session", "identity"] {
            assert!(!found(secret), "{secret}");
        }
    }

    /// S10: an older database, or a copy without the note beside it, is not continued.
    #[test]
    fn an_older_state_or_a_copy_is_noticed() {
        let restored = |state: &mut State| {
            save(state);
            std::iter::from_fn(|| state.client.poll_event())
                .any(|event| event == securechat_core::event::Event::Restored)
        };
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("alice");
        let mut state = State::open(options(&folder, Some("alice"), "one")).unwrap();
        save(&mut state);
        drop(state);
        let backup = std::fs::read(folder.join("state.db")).unwrap();
        let mut state = State::open(options(&folder, None, "one")).unwrap();
        assert!(!restored(&mut state));
        state.client.send_text(UserName::new("bob").unwrap(), "hi", now()).unwrap();
        save(&mut state);
        drop(state);
        std::fs::write(folder.join("state.db"), backup).unwrap();
        assert!(restored(&mut State::open(options(&folder, None, "one")).unwrap()));
        // Afterwards it is a state like any other.
        assert!(!restored(&mut State::open(options(&folder, None, "one")).unwrap()));

        let copy = place.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(folder.join("state.db"), copy.join("state.db")).unwrap();
        assert!(restored(&mut State::open(options(&copy, None, "one")).unwrap()));
    }
}
