//! Connections: two threads each, which only move bytes. What the bytes mean is the driver's business.

use crate::driver::Input;
use crate::error::Error;
use securechat_core::event::LinkId;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;
use std::time::Duration;

/// How long one address is tried.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the other side may take none of what is written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the other side may take to end its half after we ended ours.
const LINGER: Duration = Duration::from_secs(5);
/// Bytes that may wait for a slow reader; more ends the connection.
const WAITING_MAX: usize = 32 << 20;
/// Bytes read at once.
const READ_SIZE: usize = 64 << 10;

/// One connection. Dropped, it sends what waits and then ends.
pub(crate) struct Connection {
    outgoing: Sender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    stream: TcpStream,
}

impl Connection {
    /// Starts moving bytes; what arrives goes to `inbox` under the name of `link`.
    pub(crate) fn start(link: LinkId, stream: TcpStream, inbox: SyncSender<Input>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let (outgoing, queue) = mpsc::channel();
        let (reads, ended) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let (reader, writer) = (stream.try_clone()?, stream.try_clone()?);
        let written = Arc::clone(&waiting);
        thread::Builder::new().name("read".into()).spawn(move || read(link, reader, &inbox, reads))?;
        thread::Builder::new().name("write".into()).spawn(move || write(writer, &queue, &written, &ended))?;
        Ok(Self { outgoing, waiting, stream })
    }

    /// Queues bytes. A connection that cannot take them is ended, which its reader then reports.
    pub(crate) fn send(&self, bytes: Vec<u8>) {
        let length = bytes.len();
        let queued = self.waiting.fetch_add(length, Ordering::Relaxed).saturating_add(length) <= WAITING_MAX
            && self.outgoing.send(bytes).is_ok();
        if !queued {
            // It fails only when the connection is gone already.
            _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether everything queued was handed to the operating system.
    pub(crate) fn is_drained(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }
}

/// Runs until the bytes end; that it ended is seen by `_reads` being dropped.
fn read(link: LinkId, mut stream: TcpStream, inbox: &SyncSender<Input>, _reads: Sender<()>) {
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let bytes = match stream.read(&mut buffer) {
            Ok(length) => buffer.get(..length).unwrap_or_default().to_vec(),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => Vec::new(),
        };
        let ended = bytes.is_empty();
        let input = if ended { Input::End(link) } else { Input::Bytes(link, bytes) };
        if inbox.send(input).is_err() || ended {
            return;
        }
    }
}

fn write(mut stream: TcpStream, queue: &Receiver<Vec<u8>>, waiting: &AtomicUsize, ended: &Receiver<()>) {
    for bytes in queue {
        if stream.write_all(&bytes).is_err() {
            // The reader sees the end of it.
            _ = stream.shutdown(Shutdown::Both);
            return;
        }
        waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
    }
    // The other side learns that nothing more comes and ends too; who does not is cut off. Both may be gone already.
    _ = stream.shutdown(Shutdown::Write);
    _ = ended.recv_timeout(LINGER);
    _ = stream.shutdown(Shutdown::Both);
}

/// Connects to `host:port`, trying every address of the host.
pub(crate) fn dial(address: &str) -> Result<TcpStream, Error> {
    let addresses = address.to_socket_addrs().map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => Error::Address(address.to_owned()),
        _ => Error::UnknownHost(address.to_owned()),
    })?;
    let mut last = Error::UnknownHost(address.to_owned());
    for candidate in addresses {
        match TcpStream::connect_timeout(&candidate, DIAL_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => last = Error::Refused(address.to_owned()),
            Err(reason) => last = Error::Unreachable { address: address.to_owned(), reason },
        }
    }
    Err(last)
}

/// Takes connections from others until it is dropped.
pub(crate) struct Listener {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Listener {
    /// Listens at `address`; each connection goes to `inbox`.
    pub(crate) fn start(address: &str, inbox: SyncSender<Input>) -> Result<Self, Error> {
        let failed = |reason| Error::Listen { address: address.to_owned(), reason };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let accept = move || {
            loop {
                let accepted = listener.accept();
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                match accepted.map(|(stream, _)| inbox.send(Input::Accepted(stream))) {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    // Out of descriptors, or reset before it was taken: the next one may do.
                    Err(_) => thread::sleep(Duration::from_millis(50)),
                }
            }
        };
        thread::Builder::new().name("listen".into()).spawn(accept).map_err(failed)?;
        Ok(Self { address: local, stopped })
    }

    /// Where it listens: the port that was found when 0 was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread; when it fails the thread ends with the next one who comes.
        _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = dial(&listener.local_addr().unwrap().to_string()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn bytes_go_both_ways_and_the_end_is_seen() {
        let (near, mut far) = pair();
        let (inbox, inputs) = mpsc::sync_channel(8);
        let connection = Connection::start(LinkId(7), near, inbox).unwrap();
        connection.send(b"hello ".to_vec());
        connection.send(b"there".to_vec());
        far.write_all(b"yes").unwrap();
        assert!(matches!(inputs.recv().unwrap(), Input::Bytes(LinkId(7), bytes) if bytes == b"yes"));
        drop(connection);
        let mut all = String::new();
        far.read_to_string(&mut all).unwrap();
        assert_eq!(all, "hello there");
        drop(far);
        assert!(matches!(inputs.recv().unwrap(), Input::End(LinkId(7))));
    }

    #[test]
    fn a_reader_that_stalls_is_given_up() {
        let (near, _far) = pair();
        let (inbox, inputs) = mpsc::sync_channel(8);
        let connection = Connection::start(LinkId(1), near, inbox).unwrap();
        for _ in 0..=WAITING_MAX / READ_SIZE + 64 {
            connection.send(vec![0; READ_SIZE]);
        }
        assert!(matches!(inputs.recv_timeout(Duration::from_secs(5)).unwrap(), Input::End(LinkId(1))));
    }

    #[test]
    fn a_refused_connection_is_a_sentence() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let sentence = dial(&free).unwrap_err().to_string();
        assert_eq!(sentence, format!("nothing answers at {free}: is it running there, and is the port right?"));
        assert!(matches!(dial("nonsense"), Err(Error::Address(_))));
    }

    #[test]
    fn a_port_in_use_is_a_sentence() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let (inbox, _inputs) = mpsc::sync_channel(1);
        assert!(matches!(Listener::start(&taken.local_addr().unwrap().to_string(), inbox), Err(Error::Listen { .. })));
    }

    #[test]
    fn a_listener_stops_when_dropped() {
        let (inbox, inputs) = mpsc::sync_channel(1);
        let listener = Listener::start("127.0.0.1:0", inbox).unwrap();
        let address = listener.address();
        let _near = TcpStream::connect(address).unwrap();
        assert!(matches!(inputs.recv().unwrap(), Input::Accepted(_)));
        drop(listener);
        let begun = Instant::now();
        while TcpStream::connect(address).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it still listens");
            thread::sleep(Duration::from_millis(10));
        }
    }
}
