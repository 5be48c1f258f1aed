//! A state on the disk: a device of a user, sealed under a passphrase.

use crate::error::Error;
use crate::passphrase::{self, Cost, SALT};
use crate::store::Store;
use rand::TryRng;
use rand::rngs::{StdRng, SysRng};
use rand::{CryptoRng, SeedableRng};
use securechat_core::client::{Client, ClientConfig, History};
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
#[derive(Debug)]
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

/// An open state: its records, and the client restored from them.
pub struct State {
    pub(crate) store: Store,
    pub(crate) client: Client,
    /// Seals what the program itself keeps; the same key as the client's.
    vault: Vault,
    rng: StdRng,
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
        let vault = match store.setting("vault")? {
            Some(_) => unlock(&store, &options.passphrase)?,
            None => {
                let user = options.user.as_ref().ok_or_else(|| Error::NewState(store.folder().to_owned()))?;
                let vault = Vault::generate(&mut rng);
                let sealed = vault.seal("setting/user", user.as_str().as_bytes(), &mut rng);
                protect(&mut store, &vault, &options.passphrase, options.cost, &mut rng, &[("user", &sealed)])?;
                vault
            }
        };
        let user = setting(&store, &vault, "user")?.ok_or(CoreError::from(ApiMisuse::Record))?;
        let user = UserName::new(&user).map_err(CoreError::from)?;
        if options.user.is_some_and(|wanted| wanted != user) {
            return Err(Error::OtherUser { folder: store.folder().to_owned(), user: user.to_string() });
        }
        let config =
            ClientConfig { user, policy: options.policy, limits: Arc::new(options.limits), rsa_bits: options.rsa_bits };
        // The client has a vault of its own with the same key.
        let own = unlock(&store, &options.passphrase)?;
        let records = store.records()?;
        let engine_rng = Box::new(random()?);
        let client = if records.is_empty() {
            Client::create(config, own, engine_rng, now())?
        } else {
            // Without a note of the generation the folder came from elsewhere: a copy, and treated as one.
            let history = store.generation().map_or(History::Restored, History::AtLeast);
            Client::restore(config, own, records, history, engine_rng, now())?
        };
        Ok(Self { store, client, vault, rng })
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
        let sealed = self.vault.seal("setting/relay", relay.to_string().as_bytes(), &mut self.rng);
        self.store.set(&[("relay", &sealed)])
    }

    /// Puts the state under another passphrase.
    pub fn change_passphrase(&mut self, old: &str, new: &str, cost: Cost) -> Result<(), Error> {
        let vault = unlock(&self.store, old)?;
        protect(&mut self.store, &vault, new, cost, &mut self.rng, &[])
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

/// A generator seeded by the operating system.
fn random() -> Result<StdRng, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(seed.as_mut_slice()).map_err(|_| Error::Randomness)?;
    Ok(StdRng::from_seed(*seed))
}

/// `salt`, `cost` and the wrapped key `vault`, with other settings, all or none.
fn protect(
    store: &mut Store,
    vault: &Vault,
    passphrase: &str,
    cost: Cost,
    rng: &mut dyn CryptoRng,
    more: &[(&str, &[u8])],
) -> Result<(), Error> {
    let mut salt = [0; SALT];
    rng.fill_bytes(&mut salt);
    let wrapped = vault.wrap(&passphrase::derive(passphrase, &salt, cost)?, rng);
    let cost = cost.to_bytes();
    store.set(&[&[("salt", &salt[..]), ("cost", &cost), ("vault", &wrapped)], more].concat())
}

fn unlock(store: &Store, passphrase: &str) -> Result<Vault, Error> {
    let missing = || CoreError::from(ApiMisuse::Record);
    let salt = store.setting("salt")?.and_then(|salt| salt.try_into().ok()).ok_or_else(missing)?;
    let cost = store.setting("cost")?.and_then(|cost| Cost::from_bytes(&cost)).ok_or_else(missing)?;
    let wrapped = store.setting("vault")?.ok_or_else(missing)?;
    Vault::unwrap(&passphrase::derive(passphrase, &salt, cost)?, &wrapped).map_err(|_| Error::WrongPassphrase)
}

/// A text that the program keeps, sealed as the records are.
fn setting(store: &Store, vault: &Vault, name: &str) -> Result<Option<String>, Error> {
    let Some(sealed) = store.setting(name)? else { return Ok(None) };
    let opened = vault.open(&format!("setting/{name}"), &sealed).map_err(CoreError::from)?;
    Ok(String::from_utf8(opened.to_vec()).ok())
}
