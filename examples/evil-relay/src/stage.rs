//! Where an attack happens: the relay, the folder in which its users' states lie, and what they said.

use crate::fault::{Fault, claim};
use crate::person::Person;
use crate::relay::EvilRelay;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tempfile::TempDir;

/// What people wrote, for the search in what the relay saw.
pub(crate) type Said = Arc<Mutex<Vec<Vec<u8>>>>;

/// The password of everybody here. The relay is told it, which shows that the search finds what is there.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) struct Stage {
    pub(crate) relay: EvilRelay,
    folder: TempDir,
    said: Said,
}

impl Stage {
    pub(crate) fn new() -> Result<Self, Fault> {
        Ok(Self { relay: EvilRelay::start()?, folder: tempfile::tempdir()?, said: Said::default() })
    }

    /// A place for files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A user with a first device, registered at the relay.
    pub(crate) fn person(&self, name: &str) -> Result<Person, Fault> {
        let begun = Instant::now();
        let mut person = self.stranger(name)?;
        person.connect(self.relay.address())?;
        person.register()?;
        self.relay.slow_down(begun.elapsed());
        Ok(person)
    }

    /// Several of them.
    pub(crate) fn people<const N: usize>(&self, names: [&str; N]) -> Result<[Person; N], Fault> {
        let people = names.iter().map(|name| self.person(name)).collect::<Result<Vec<_>, _>>()?;
        people.try_into().map_err(|_| Fault::Claim("everybody is there".into()))
    }

    /// A device that is connected to nothing yet.
    pub(crate) fn stranger(&self, name: &str) -> Result<Person, Fault> {
        self.device(name, name)
    }

    /// A device of a user, in a folder of this name.
    pub(crate) fn device(&self, folder: &str, user: &str) -> Result<Person, Fault> {
        Person::start(self.path(folder), user, Arc::clone(&self.said))
    }

    /// A second device of a user, approved by the first.
    pub(crate) fn second_device(&self, first: &mut Person, folder: &str) -> Result<Person, Fault> {
        let mut second = self.device(folder, first.name.as_str())?;
        second.connect(self.relay.address())?;
        second.log_in(false)?;
        first.approve(second.identity()?)?;
        second.listed()?;
        Ok(second)
    }

    /// A file with these bytes, which count as said.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Fault> {
        let path = self.path(name);
        std::fs::write(&path, bytes)?;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend(bytes.chunks(32).filter(|piece| piece.len() == 32).step_by(97).map(<[u8]>::to_vec));
        said.push(name.as_bytes().to_vec());
        Ok(path)
    }

    /// Whether the relay saw nothing that anybody said.
    pub(crate) fn kept_secret(&self) -> Result<(), Fault> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in said.iter() {
            claim(!self.relay.saw(piece), &format!("the relay never saw '{}'", String::from_utf8_lossy(piece)))?;
        }
        Ok(())
    }
}
