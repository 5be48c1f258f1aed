//! A running client: commands in, updates out.

use crate::driver::{Driver, Input};
use crate::error::Error;
use crate::state::{State, now};
use securechat_core::client::Client;
use securechat_core::content::{Conversation, MessageId};
use securechat_core::error::Error as CoreError;
use securechat_core::event::{Event, FileId};
use securechat_core::identity::RelayAddress;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

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
    /// The disk is full: what is being fetched pauses, or where it is the state that cannot be saved, nothing is sent.
    /// It goes on by itself when there is room.
    DiskFull {
        /// Which file has to wait, when it is not everything.
        file: Option<FileId>,
        /// What has no room.
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

    /// Runs `command` with the engine and the time. When this returns, what it changed is saved and on its way, or
    /// [`Update::DiskFull`] said that it waits.
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

    /// Sends a text to a user or a group, and keeps it in the history. What [`call`](Self::call) sends is in no history.
    pub fn send_text(&self, to: impl Into<Conversation>, text: impl Into<String>) -> Result<MessageId, Error> {
        let (to, text) = (to.into(), text.into());
        self.run(move |driver| driver.send_text(&to, &text))
    }

    /// Runs `command` with the state: its history, archives, passphrase.
    pub fn with_state<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut State) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.run(move |driver| command(driver.state()))
    }

    /// Offers the file at `path` to a user or a group, and sends it: after a restart too, as long as the file stays as it
    /// is.
    pub fn send_file(&self, to: impl Into<Conversation>, path: impl Into<PathBuf>) -> Result<FileId, Error> {
        let (to, path) = (to.into(), path.into());
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

    /// Ends a transfer, in either direction.
    pub fn cancel_file(&self, file: FileId) -> Result<(), Error> {
        self.run(move |driver| driver.cancel_file(&file))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passphrase::Cost;
    use crate::state::StateOptions;
    use securechat_core::identity::UserName;
    use std::io::Read;
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::mpsc::Receiver;
    use zeroize::Zeroizing;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn start(folder: &Path, user: &str) -> (Chat, Receiver<Update>) {
        let mut options = StateOptions::new(folder, Zeroizing::new("a passphrase".into()));
        options.user = Some(UserName::new(user).unwrap());
        options.cost = Cost::LEAST;
        let (sink, updates) = mpsc::channel();
        let chat = Chat::start(State::open(options).unwrap(), move |update| _ = sink.send(update)).unwrap();
        (chat, updates)
    }

    #[test]
    fn a_command_is_saved_when_its_answer_comes() {
        let place = tempfile::tempdir().unwrap();
        let (chat, _updates) = start(place.path(), "alice");
        let before = chat.call(|client, _| Ok(client.generation())).unwrap();
        chat.call(|client, now| client.send_text(UserName::new("bob").unwrap(), "hi", now)).unwrap();
        let noted = std::fs::read_to_string(place.path().with_extension("generation")).unwrap();
        assert!(noted.trim().parse::<u64>().unwrap() > before);
        let refused = chat.call(|client, now| client.request_users(now));
        assert!(refused.unwrap_err().core().is_some());
        chat.stop();
    }

    /// ATTACKS.md E5: what cannot be saved does not leave, and the program is told.
    #[test]
    fn e5_nothing_leaves_that_could_not_be_saved() {
        let place = tempfile::tempdir().unwrap();
        let (chat, updates) = start(place.path(), "alice");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        chat.call(|client, _| Ok(client.generation())).unwrap();
        let database = rusqlite::Connection::open(place.path().join("state.db")).unwrap();
        database.execute_batch("DROP TABLE record").unwrap();
        // The first link makes this user's device list, which has to be saved before any byte goes out.
        chat.connect_peer(address).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        assert!(matches!(updates.recv_timeout(PATIENCE).unwrap(), Update::Stopped(Some(Error::Database(_)))));
        let mut sent = Vec::new();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_to_end(&mut sent).unwrap();
        assert_eq!(sent, b"");
        assert!(matches!(chat.call(|client, _| Ok(client.generation())), Err(Error::Stopped)));
    }

    /// After a crash nothing comes twice: what the program is told of is in the history, and taken, when it is told.
    #[test]
    fn the_program_is_told_when_it_is_kept() {
        let places = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (alice, updates) = start(places[0].path(), "alice");
        let mut options = StateOptions::new(places[1].path(), Zeroizing::new("a passphrase".into()));
        (options.user, options.cost) = (Some(UserName::new("bob").unwrap()), Cost::LEAST);
        let (database, (sink, kept)) = (places[1].path().join("state.db"), mpsc::channel());
        let told = move |update| {
            if let Update::Event(Event::Message(_)) = update {
                let database = rusqlite::Connection::open(&database).unwrap();
                let rows: u32 = database.query_row("SELECT count(*) FROM history", [], |row| row.get(0)).unwrap();
                sink.send(rows).unwrap();
            }
        };
        let bob = Chat::start(State::open(options).unwrap(), told).unwrap();
        let address = alice.listen("127.0.0.1:0").unwrap();
        let fingerprint = alice.call(|client, _| Ok(client.fingerprint())).unwrap();
        bob.connect_peer(format!("{address}#{fingerprint}").parse().unwrap()).unwrap();
        loop {
            if let Update::Event(Event::Verify { link, fingerprint, .. }) = updates.recv_timeout(PATIENCE).unwrap() {
                break alice.call(move |client, now| client.accept_link(link, &fingerprint, now)).unwrap();
            }
        }
        for (number, text) in [(0, "one"), (1, "two")] {
            alice.send_text(UserName::new("bob").unwrap(), text).unwrap();
            // One row more says how far the history reaches.
            assert!(kept.recv_timeout(PATIENCE).unwrap() >= number + 2);
        }
    }

    #[test]
    fn who_cannot_be_reached_is_tried_again() {
        let place = tempfile::tempdir().unwrap();
        let (chat, updates) = start(place.path(), "alice");
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        chat.connect_peer(free.to_string().parse().unwrap()).unwrap();
        for pause in [1, 2] {
            match updates.recv_timeout(PATIENCE).unwrap() {
                Update::Unreached { error: Error::Refused(_), retry, .. } => assert_eq!(retry.as_secs(), pause),
                other => panic!("{other:?}"),
            }
        }
        let listener = TcpListener::bind(free).unwrap();
        listener.accept().unwrap();
        chat.stop();
        assert!(matches!(updates.iter().last(), Some(Update::Stopped(None))));
    }
}
