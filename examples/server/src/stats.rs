//! What a running server counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start, except for `connections`, which is how many there are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections there are now.
    pub connections: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused or displaced for want of room.
    pub displaced: u64,
    /// Links whose handshake succeeded.
    pub links: u64,
    /// Logins and registrations that succeeded.
    pub logins: u64,
    /// Connections ended because they read too slowly.
    pub slow_readers: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

macro_rules! counters {
    ($($name:ident),*) => {
        /// The counts, shared between the thread that serves the sockets and whoever asks.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            /// The counts as they are now.
            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters!(connections, accepted, displaced, links, logins, slow_readers, bytes_in, bytes_out);

/// A number that one thread changes and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, count: usize) {
        self.0.store(count as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_back() {
        let counters = Counters::default();
        counters.connections.set(3);
        counters.bytes_in.add(40);
        counters.bytes_in.add(2);
        let expected = Stats { connections: 3, bytes_in: 42, ..Stats::default() };
        assert_eq!(counters.read(), expected);
    }
}
