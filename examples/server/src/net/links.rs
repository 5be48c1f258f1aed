//! What every new link is made of.

use crate::config::Config;
use crate::error::ServerError;
use crate::identity::IdentityFile;
use rand::TryRng;
use rand::rngs::SysRng;
use securechat_core::crypto::secret::Secret;
use securechat_core::crypto::{self, Random};
use securechat_core::error::Error;
use securechat_core::identity::LocalIdentity;
use securechat_core::limits::HOUR;
use securechat_core::link::{Link, LinkConfig, Purpose, RsaSlots};
use std::sync::Arc;

/// Makes the server's end of links, with an identity whose bundle it keeps fresh.
pub(crate) struct Links {
    config: LinkConfig,
    identity: IdentityFile,
    rsa_bits: usize,
    renew_at: u64,
    random: Random,
}

impl Links {
    pub(crate) fn open(config: &Config, now: u64) -> Result<(Self, Arc<LocalIdentity>), ServerError> {
        let mut seed = Secret::zero();
        SysRng.try_fill_bytes(seed.as_mut_bytes()).map_err(|_| ServerError::Randomness)?;
        let mut random = crypto::from_seed(&seed);
        let identity = IdentityFile::new(&config.data, &config.suites);
        let local = Arc::new(identity.open(config.rsa_bits, &mut *random, now)?);
        let mut link = LinkConfig::new(Purpose::Relay);
        link.policy = config.suites.clone();
        link.limits = Arc::new(config.limits.clone());
        link.local = Some(Arc::clone(&local));
        link.rsa_slots = Some(RsaSlots::new(config.limits.rsa_handshakes));
        let links = Self { config: link, identity, rsa_bits: config.rsa_bits, renew_at: local.renew_at(), random };
        Ok((links, local))
    }

    pub(crate) fn accept(&mut self, now: u64) -> Result<Link, Error> {
        let random = self.fork_random();
        Link::responder(self.config.clone(), random, now)
    }

    /// Randomness of its own for an engine.
    pub(crate) fn fork_random(&mut self) -> Random {
        crypto::fork(&mut *self.random)
    }

    /// When [`renew`](Self::renew) is due.
    pub(crate) fn renew_at(&self) -> u64 {
        self.renew_at
    }

    /// Renews the bundle that links show; if that fails, it is due again in an hour.
    pub(crate) fn renew(&mut self, now: u64) {
        match self.identity.open(self.rsa_bits, &mut *self.random, now) {
            Ok(local) => {
                self.renew_at = local.renew_at();
                self.config.local = Some(Arc::new(local));
                tracing::info!("the relay's bundle was renewed");
            }
            Err(error) => {
                self.renew_at = now.saturating_add(HOUR);
                tracing::error!(%error, "the relay's bundle cannot be renewed");
            }
        }
    }
}

impl std::fmt::Debug for Links {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Links").field("renew_at", &self.renew_at).finish_non_exhaustive()
    }
}
