//! The client engine: what an application holds. Links, sessions, files and contacts behind one set of polls.
//!
//! Sans-IO: the host moves bytes, keeps records and hands in the time. After any call that may change state it drains,
//! in this order and until all three are empty: [`Client::poll_save`], [`Client::poll_transmit`], [`Client::poll_event`].
//!
//! - What `poll_save` gives is one transaction. Nothing is transmitted while it waits to be taken, so that a state is
//!   saved before a ciphertext that depends on it leaves (S10).
//! - What arrived and was not yet taken by `poll_event` is part of the saved state: nothing is lost in a crash, and a
//!   message may be handed out a second time only when the host had not saved after taking it.
//! - What is sent while there is no connection waits in the saved state.

mod account;
mod contacts;
mod devices;
mod downloads;
mod groups;
mod inbox;
mod links;
mod lookups;
mod outbox;
mod peers;
mod publishing;
mod receiving;
mod repairs;
mod sending;
mod state;
mod transfers;
mod uploads;

pub use contacts::{Contact, KeptAside};
pub use groups::GroupInfo;
pub use state::{History, Save};
pub use transfers::{Transfer, TransferState};

use crate::content::MessageId;
use crate::crypto::Random;
use crate::error::{ApiMisuse, Error};
use crate::event::{Event, LinkId};
use crate::identity::{DeviceKeys, Fingerprint, Identity, LocalIdentity, Pin, UserName};
use crate::limits::Limits;
use crate::link::Link;
use crate::record::Changes;
use crate::session::Sessions;
use crate::suite::{KeyExchange, Policy};
use crate::vault::Vault;
use contacts::Contacts;
use inbox::Inbox;
use links::Connection;
use outbox::Outbox;
use publishing::Publishing;
use repairs::Repairs;
use state::Account;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What a client is made with.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The name of its user.
    pub user: UserName,
    /// The suites of its links and sessions, best first.
    pub policy: Policy,
    /// Its bounds.
    pub limits: Arc<Limits>,
    /// Length in bits of the RSA static key that a new device makes when the policy names RSA-wrapped suites.
    pub rsa_bits: usize,
}

impl ClientConfig {
    /// The defaults for a user: the default policy and limits.
    pub fn new(user: UserName) -> Self {
        Self { user, policy: Policy::default(), limits: Arc::default(), rsa_bits: 3072 }
    }
}

/// One device of one user: its keys, sessions, contacts and connections.
pub struct Client {
    config: ClientConfig,
    vault: Vault,
    rng: Random,
    local: Arc<LocalIdentity>,
    account: Account,
    contacts: Contacts,
    sessions: Sessions,
    outbox: Outbox,
    inbox: Inbox,
    /// Boxed, as what a contact is known by and the sessions are: a map's node has room for eleven from the first on.
    links: BTreeMap<LinkId, Box<Connection>>,
    next_link: u32,
    uploads: uploads::Uploads,
    downloads: downloads::Downloads,
    groups: groups::Groups,
    repairs: Repairs,
    publishing: Publishing,
    /// Links that are over and have a last word to transmit.
    closing: BTreeMap<LinkId, Link>,
    events: VecDeque<Queued>,
    changes: Changes,
    now: u64,
}

/// An event that waits to be taken, with the number of its record in the inbox when it has one.
struct Queued {
    event: Event,
    record: Option<u64>,
}

impl Client {
    /// A new device of the configured user: fresh keys, nothing known of anybody.
    ///
    /// Fails with `MissingKey` or `PrivateKey` when the RSA key that the policy needs cannot be made.
    pub fn create(config: ClientConfig, vault: Vault, mut rng: Random, now: u64) -> Result<Self, Error> {
        let with_rsa = config.policy.suites().iter().any(|suite| suite.key_exchange == KeyExchange::Rsa);
        let keys = DeviceKeys::generate(&mut *rng, with_rsa.then_some(config.rsa_bits))?;
        let mut sessions = Sessions::new(config.policy.clone(), config.limits.clone());
        let prekeys = sessions.last_resort_prekeys(now, &mut *rng)?;
        let mut device = [0; 4];
        rng.fill_bytes(&mut device);
        let device = u32::from_be_bytes(device);
        let local = LocalIdentity::new(keys, Some(config.user.clone()), device, &config.policy, prekeys, now)?;
        let account = Account::new(&mut *rng);
        let mut client = Self::assemble(config, vault, rng, local, account, sessions, now);
        client.save_identity();
        client.save_account();
        client.settle();
        Ok(client)
    }

    /// The device whose records were saved before, sealed with the same vault.
    ///
    /// `history` says what the host knows of their age; see [`History`]. Fails with `Record` when they cannot be read.
    pub fn restore(
        config: ClientConfig,
        vault: Vault,
        saved: impl IntoIterator<Item = (String, Vec<u8>)>,
        history: History,
        rng: Random,
        now: u64,
    ) -> Result<Self, Error> {
        let records = state::open_records(&vault, saved)?;
        let local: LocalIdentity = state::required(&records, state::IDENTITY)?;
        let account: Account = state::required(&records, state::ACCOUNT)?;
        if local.bundle.user() != Some(&config.user) {
            return Err(ApiMisuse::Record.into());
        }
        let sessions = Sessions::restore(config.policy.clone(), config.limits.clone(), &records);
        let sessions = sessions.map_err(|_| ApiMisuse::Record)?;
        let mut client = Self::assemble(config, vault, rng, local, account, sessions, now);
        client.contacts = Contacts::restore(&records)?;
        client.outbox = Outbox::restore(&records)?;
        client.inbox = Inbox::restore(&records)?;
        client.uploads = uploads::Uploads::restore(&records).map_err(|_| ApiMisuse::Record)?;
        client.downloads = downloads::Downloads::restore(&records)?;
        client.groups = groups::Groups::restore(&records)?;
        client.account.restore_lists(&records)?;
        client.outbox.recall(|user| client.contacts.pin(user).map(Pin::epoch));
        client.present_inbox();
        client.continue_from(&records, history)?;
        client.present_uploads();
        client.present_downloads();
        client.settle();
        Ok(client)
    }

    fn assemble(
        config: ClientConfig,
        vault: Vault,
        rng: Random,
        local: LocalIdentity,
        account: Account,
        sessions: Sessions,
        now: u64,
    ) -> Self {
        Self {
            config,
            vault,
            rng,
            local: Arc::new(local),
            account,
            contacts: Contacts::default(),
            sessions,
            outbox: Outbox::default(),
            inbox: Inbox::default(),
            links: BTreeMap::new(),
            next_link: 1,
            uploads: uploads::Uploads::default(),
            downloads: downloads::Downloads::default(),
            groups: groups::Groups::default(),
            repairs: Repairs::default(),
            publishing: Publishing::default(),
            closing: BTreeMap::new(),
            events: VecDeque::new(),
            changes: Changes::default(),
            now,
        }
    }

    /// The user whose device this is.
    pub fn user(&self) -> &UserName {
        &self.config.user
    }

    /// The identity of this device.
    pub fn identity(&self) -> Identity {
        self.local.bundle.identity()
    }

    /// The fingerprint of this device's identity, for people to compare.
    pub fn fingerprint(&self) -> Fingerprint {
        self.local.bundle.fingerprint()
    }

    /// Whether this device has an account at a relay, so that it logs in there by its key alone.
    pub fn is_registered(&self) -> bool {
        self.account.registered
    }

    /// Whether [`Client::poll_save`] has something to give. A host that writes files syncs them then, before it asks.
    pub fn wants_save(&self) -> bool {
        !self.is_saved()
    }

    /// The next batch of records to save, as one transaction. `None` when nothing changed.
    pub fn poll_save(&mut self) -> Option<Vec<Save>> {
        self.save_transfers();
        if self.changes.is_empty() {
            return None;
        }
        Some(self.seal_changes())
    }

    /// Appends bytes for one link to `out` and says for which. `None` when nothing waits to be sent, or a save does.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<LinkId> {
        if !self.is_saved() {
            return None;
        }
        while let Some((id, mut link)) = self.closing.pop_first() {
            if link.poll_transmit(out) {
                return Some(id);
            }
        }
        self.links.iter_mut().find_map(|(id, connection)| connection.link.poll_transmit(out).then_some(*id))
    }

    /// The next thing that happened. Taking it may ask for a further save.
    pub fn poll_event(&mut self) -> Option<Event> {
        let Some(Queued { event, record }) = self.events.pop_front() else {
            // Asked in vain, an idle client keeps no room.
            self.events = VecDeque::new();
            return None;
        };
        if let Some(number) = record {
            self.inbox.taken(number, &mut self.changes);
        }
        self.transfer_event_taken(&event);
        Some(event)
    }

    /// When [`Client::handle_timeout`] wants to be called, in Unix milliseconds.
    pub fn poll_timeout(&self) -> Option<u64> {
        let links = self.links.values().filter_map(|connection| connection.poll_timeout(self.now)).min();
        let parts = [
            self.sessions.poll_timeout(),
            self.outbox.next_expiry(),
            Some(self.renewal_due()),
            self.publishing_rest(),
            self.contacts.lookups.next(),
            self.next_upload(),
            self.next_download(),
            self.outbox.next_try(self.now),
            self.next_group(),
        ];
        links.into_iter().chain(parts.into_iter().flatten()).min()
    }

    /// Does what is due: timeouts of links, renewal of keys, expiry of what is old.
    pub fn handle_timeout(&mut self, now: u64) {
        self.advance(now);
        self.links_timeout();
        self.sessions.handle_timeout(self.now);
        for id in self.outbox.expire(self.now, &mut self.changes) {
            self.tell(Event::Failed { id, error: ApiMisuse::Expired.into() });
        }
        self.expire_groups();
        self.expire_uploads();
        self.settle();
    }

    /// Time never runs backwards in here, whatever the host's clock does.
    fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    fn tell(&mut self, event: Event) {
        self.events.push_back(Queued { event, record: None });
    }

    fn random_id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        id
    }

    /// Moves everything as far as it goes: called at the end of every command and input.
    fn settle(&mut self) {
        self.flush_receipts();
        // A group's messages come after the keys that open them.
        self.settle_groups();
        self.seal_waiting();
        self.look_up_waiting();
        self.send_sealed();
        self.send_group_messages();
        self.acknowledge_opened();
        self.publish_due();
        self.move_uploads();
        self.move_downloads();
        self.flush_links();
        self.sessions.save(&mut self.changes);
    }

    fn message_id(&mut self) -> MessageId {
        MessageId::random(&mut *self.rng)
    }
}

impl core::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Client")
            .field("user", &self.config.user)
            .field("identity", &self.identity())
            .finish_non_exhaustive()
    }
}
