//! The one place where a socket is registered with the poller.

use polling::{AsRawSource, AsSource, Event, PollMode, Poller};
use std::io;
use std::ops::Deref;
use std::sync::Arc;

/// A socket whose readiness the poller reports under its key, from its making until it is dropped.
///
/// Readiness is reported as long as it lasts where the system can do that; elsewhere once, until [`rearm`](Self::rearm).
#[derive(Debug)]
pub(crate) struct Registered<S: AsSource> {
    socket: S,
    poller: Arc<Poller>,
    interest: Event,
    mode: PollMode,
}

impl<S: AsSource> Registered<S>
where
    for<'a> &'a S: AsRawSource,
{
    /// Registers `socket` under `key`, which must not be `usize::MAX`, for reading.
    pub(crate) fn new(socket: S, poller: &Arc<Poller>, key: usize) -> io::Result<Self> {
        let interest = Event::readable(key);
        let mode = if poller.supports_level() { PollMode::Level } else { PollMode::Oneshot };
        // Sound because the source must be deleted from the poller before it is closed: the socket is owned by
        // the value made here, which never gives it away or lends it mutably, and whose `drop` deletes it first.
        #[allow(unsafe_code)]
        unsafe {
            poller.add_with_mode(&socket, interest, mode)?;
        }
        Ok(Self { socket, poller: Arc::clone(poller), interest, mode })
    }

    /// Chooses what is reported from now on.
    pub(crate) fn set_interest(&mut self, readable: bool, writable: bool) -> io::Result<()> {
        let interest = Event::new(self.interest.key, readable, writable);
        if interest == self.interest {
            return Ok(());
        }
        self.interest = interest;
        self.poller.modify_with_mode(&self.socket, interest, self.mode)
    }

    /// To be called after an event was handled.
    pub(crate) fn rearm(&self) -> io::Result<()> {
        match self.mode {
            PollMode::Oneshot => self.poller.modify_with_mode(&self.socket, self.interest, self.mode),
            _ => Ok(()),
        }
    }
}

impl<S: AsSource> Deref for Registered<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.socket
    }
}

impl<S: AsSource> Drop for Registered<S> {
    fn drop(&mut self) {
        // It fails only if the system has forgotten the socket already.
        let _ = self.poller.delete(&self.socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polling::Events;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    fn ready(poller: &Poller) -> Vec<(usize, bool, bool)> {
        let mut events = Events::new();
        poller.wait(&mut events, Some(Duration::from_millis(50))).unwrap();
        events.iter().map(|event| (event.key, event.readable, event.writable)).collect()
    }

    #[test]
    fn readiness_follows_the_interest_and_ends_with_the_socket() {
        let poller = Arc::new(Poller::new().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut near = Registered::new(near, &poller, 7).unwrap();
        assert_eq!(ready(&poller), []);
        far.write_all(b"x").unwrap();
        assert_eq!(ready(&poller), [(7, true, false)]);
        near.rearm().unwrap();
        near.set_interest(true, true).unwrap();
        assert_eq!(ready(&poller), [(7, true, true)]);
        near.set_interest(false, false).unwrap();
        assert_eq!(ready(&poller), []);
        near.set_interest(true, false).unwrap();
        assert_eq!((&*near).read(&mut [0; 8]).unwrap(), 1);
        far.write_all(b"x").unwrap();
        drop(near);
        assert_eq!(ready(&poller), []);
    }
}
