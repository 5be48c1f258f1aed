//! A look at the bytes on the wire, for demonstrations and tests.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Is shown every byte that goes over the wire, as it goes. It runs on the thread that serves the sockets.
#[derive(Clone)]
pub struct Tap(Arc<See>);

type See = dyn Fn(SocketAddr, Direction, &[u8]) + Send + Sync;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    In,
    /// From the server to the client.
    Out,
}

impl Tap {
    /// Calls `see` with the client's address, the direction and the bytes.
    pub fn new(see: impl Fn(SocketAddr, Direction, &[u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    pub(crate) fn show(&self, client: SocketAddr, direction: Direction, bytes: &[u8]) {
        (self.0)(client, direction, bytes);
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tap(..)")
    }
}
