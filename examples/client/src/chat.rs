//! A running client: commands in, updates out.

use crate::driver::{Driver, Input};
use crate::error::Error;
use crate::passphrase::Cost;
use crate::state::{State, now};
use securechat_core::client::Client;
use securechat_core::error::Error as CoreError;
use securechat_core::event::{Event, FileId};
use securechat_core::identity::{RelayAddress, UserName};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use zeroize::Zeroizing;

/// Inputs that may wait for the loop; what is beyond waits in the sockets.
const INBOX: usize = 64;

/// What the program is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Update {
    /// Something that the engine reports. What concerns the bytes of files was dealt with already.
    Event(Event),
    /// An attempt to reach somebody failed; there will be another.
    Unreached {
        /// Who was to be reached.
        address: RelayAddress,
        /// Why it failed.
        error: Error,
        /// When the next attempt is made.
        retry: Duration,
    },
    /// A file arrived whole and has its name.
    Saved {
        /// Which.
        file: FileId,
        /// Where it is.
        path: PathBuf,
    },
    /// A transfer ended because of this side: the file cannot be read or written.
    TransferFailed {
        /// Which.
        file: FileId,
        /// Why.
        error: Error,
    },
    /// The loop has ended: as it was told to, or because the state cannot be saved. It is the last update.
    Stopped(Option<Error>),
}

/// A client that runs on a thread of its own. Dropped, it ends its connections in order.
pub struct Chat {
    inbox: SyncSender<Input>,
    thread: Option<JoinHandle<()>>,
}

impl Chat {
    /// Starts the client of a state. `sink` is called on the client's thread with everything that happens and must not
    /// wait for it: it hands the update on.
    pub fn start(state: State, sink: impl FnMut(Update) + Send + 'static) -> Result<Self, Error> {
        let (inbox, inputs) = mpsc::sync_channel(INBOX);
        let driver = Driver::new(state, inbox.clone(), Box::new(sink));
        let thread = thread::Builder::new()
            .name("client".into())
            .spawn(move || driver.run(&inputs))
            .map_err(|_| Error::Stopped)?;
        Ok(Self { inbox, thread: Some(thread) })
    }

    /// Runs `command` with the engine and the time. When this returns, what it changed is saved and on its way.
    pub fn call<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Client, u64) -> Result<T, CoreError> + Send + 'static,
    ) -> Result<T, Error> {
        self.run(move |driver| Ok(command(driver.client(), now())?))
    }

    /// Connects to the relay at `address`, again and again when it ends, and remembers it for the next start.
    pub fn connect(&self, address: RelayAddress) -> Result<(), Error> {
        self.run(move |driver| driver.connect_relay(address))
    }

    /// Connects to the peer at `address`, again and again when it ends.
    pub fn connect_peer(&self, address: RelayAddress) -> Result<(), Error> {
        self.run(move |driver| {
            driver.connect_peer(address);
            Ok(())
        })
    }

    /// Takes connections from peers at `address`, and says where exactly: port 0 takes a free one.
    pub fn listen(&self, address: impl Into<String>) -> Result<SocketAddr, Error> {
        let address = address.into();
        self.run(move |driver| driver.listen(&address))
    }

    /// Ends every connection and makes none again.
    pub fn disconnect(&self) -> Result<(), Error> {
        self.run(|driver| {
            driver.disconnect();
            Ok(())
        })
    }

    /// Offers the file at `path` to a user, and sends it.
    pub fn send_file(&self, to: UserName, path: impl Into<PathBuf>) -> Result<FileId, Error> {
        let path = path.into();
        self.run(move |driver| driver.send_file(&to, &path))
    }

    /// Takes an offered file (its id, name and size are in the offer) into `folder`.
    pub fn accept_file(
        &self,
        file: FileId,
        name: impl Into<String>,
        size: u64,
        folder: impl Into<PathBuf>,
    ) -> Result<(), Error> {
        let (name, folder) = (name.into(), folder.into());
        self.run(move |driver| driver.accept_file(file, &name, size, &folder))
    }

    /// Puts the state under another passphrase.
    pub fn change_passphrase(&self, old: Zeroizing<String>, new: Zeroizing<String>) -> Result<(), Error> {
        self.run(move |driver| driver.state().change_passphrase(&old, &new, Cost::default()))
    }

    /// Ends the connections in order and waits for that.
    pub fn stop(mut self) {
        self.end();
    }

    fn run<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Driver) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = mpsc::sync_channel(1);
        let work = move |driver: &mut Driver| {
            let result = command(driver);
            driver.drain()?;
            // Who asked waits for the answer, unless it is gone with its thread.
            _ = answer.send(result);
            Ok(())
        };
        self.inbox.send(Input::Work(Box::new(work))).map_err(|_| Error::Stopped)?;
        answered.recv().map_err(|_| Error::Stopped)?
    }

    fn end(&mut self) {
        let stop = |driver: &mut Driver| {
            driver.stop();
            Ok(())
        };
        // When the loop has ended already there is nothing left to end.
        _ = self.inbox.send(Input::Work(Box::new(stop)));
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Chat(..)")
    }
}
