//! The server's identity: made once, kept in a private file, shown with a bundle that never grows old.

use crate::error::ServerError;
use crate::files;
use rand::CryptoRng;
use securechat_core::codec;
use securechat_core::error::Error;
use securechat_core::identity::{DeviceKeys, LocalIdentity};
use securechat_core::suite::Policy;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The file `identity` in the data folder, and what is in it.
#[derive(Debug)]
pub(crate) struct IdentityFile {
    path: PathBuf,
    suites: Policy,
}

impl IdentityFile {
    pub(crate) fn new(folder: &Path, suites: &Policy) -> Self {
        Self { path: folder.join("identity"), suites: suites.clone() }
    }

    /// The identity, made at the first start with an RSA key of `rsa_bits`; its bundle is renewed at every start.
    pub(crate) fn open(
        &self,
        rsa_bits: usize,
        rng: &mut dyn CryptoRng,
        now: u64,
    ) -> Result<LocalIdentity, ServerError> {
        match fs::read(&self.path).map(Zeroizing::new) {
            Ok(record) => {
                let identity = codec::decode::<LocalIdentity>(&record).ok().filter(is_whole);
                self.renew(identity.ok_or_else(|| ServerError::IdentityDamaged { path: self.path.clone() })?, now)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::info!("first start: making the identity of this relay");
                let keys = DeviceKeys::generate(rng, Some(rsa_bits)).map_err(Error::from)?;
                let identity = LocalIdentity::new(keys, None, 0, &self.suites, Vec::new(), now)?;
                self.save(identity)
            }
            Err(error) => Err(ServerError::folder(&self.path, &error)),
        }
    }

    /// The identity with a fresh bundle.
    ///
    /// Serials are times: so one from an old backup is still above all that clients have seen (I4).
    pub(crate) fn renew(&self, mut identity: LocalIdentity, now: u64) -> Result<LocalIdentity, ServerError> {
        identity.renew(&self.suites, Vec::new(), now, now)?;
        self.save(identity)
    }

    fn save(&self, identity: LocalIdentity) -> Result<LocalIdentity, ServerError> {
        let record = codec::encode_secret(&identity);
        files::replace_private(&self.path, &record).map_err(|error| ServerError::folder(&self.path, &error))?;
        Ok(identity)
    }
}

/// Whether the keys are those of the bundle, and none is missing that a suite may need.
fn is_whole(identity: &LocalIdentity) -> bool {
    identity.keys.rsa.is_some() && identity.keys.identity() == identity.bundle.bundle().identity
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const DAY: u64 = 24 * 3_600 * 1_000;

    fn open(folder: &Path, now: u64) -> Result<LocalIdentity, ServerError> {
        IdentityFile::new(folder, &Policy::default()).open(2_048, &mut StdRng::seed_from_u64(now), now)
    }

    #[test]
    fn the_identity_stays_and_its_bundle_is_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path(), 100 * DAY).unwrap();
        let backup = fs::read(folder.path().join("identity")).unwrap();
        let later = open(folder.path(), 300 * DAY).unwrap();
        assert_eq!(first.keys.identity(), later.keys.identity());
        assert!(later.bundle.bundle().serial > first.bundle.bundle().serial);
        assert!(later.bundle.bundle().not_after > 300 * DAY);
        // A backup put back does not lead to a serial that was used.
        fs::write(folder.path().join("identity"), backup).unwrap();
        let restored = open(folder.path(), 301 * DAY).unwrap();
        assert!(restored.bundle.bundle().serial > later.bundle.bundle().serial);
        #[cfg(unix)]
        {
            let mode = fs::metadata(folder.path().join("identity")).unwrap().permissions();
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), DAY).unwrap();
        let path = folder.path().join("identity");
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() / 2);
        fs::write(&path, &bytes).unwrap();
        let error = open(folder.path(), DAY).unwrap_err();
        assert!(
            matches!(error, ServerError::IdentityDamaged { .. }) && error.to_string().contains("backup"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}
