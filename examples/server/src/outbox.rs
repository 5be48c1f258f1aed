//! Bytes on their way to one peer.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};

/// What a peer has not taken yet. An empty one holds no memory.
#[derive(Debug, Default)]
pub(crate) struct Outbox(VecDeque<u8>);

impl Outbox {
    /// Writes what waits, then `bytes`; what does not fit into the peer's socket waits. Gives how many bytes went.
    pub(crate) fn write(&mut self, mut socket: impl Write, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0_usize;
        while !self.0.is_empty() {
            match write_some(&mut socket, self.0.as_slices().0)? {
                0 => break,
                n => written = written.saturating_add(self.0.drain(..n).len()),
            }
        }
        let mut rest = bytes;
        while self.0.is_empty() && !rest.is_empty() {
            match write_some(&mut socket, rest)? {
                0 => break,
                n => {
                    written = written.saturating_add(n);
                    rest = rest.get(n..).unwrap_or_default();
                }
            }
        }
        self.0.extend(rest);
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
        Ok(written)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Writes what the socket takes now; 0 when it takes nothing.
fn write_some(socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match socket.write(bytes) {
            Ok(0) if !bytes.is_empty() => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => return Ok(n),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that takes `room` bytes, at most three at once.
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(3).min(self.room);
            if n == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= n;
            self.taken.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_keep_their_order_however_little_the_socket_takes() {
        let mut socket = Narrow { taken: vec![], room: 0 };
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for round in 0..50_u8 {
            socket.room = usize::from(round % 7);
            let bytes: Vec<u8> = (0..round % 5).map(|index| round.wrapping_mul(5).wrapping_add(index)).collect();
            expected.extend_from_slice(&bytes);
            let before = socket.taken.len();
            let written = outbox.write(&mut socket, &bytes).unwrap();
            assert_eq!(written, socket.taken.len() - before);
            assert_eq!(outbox.0.len(), expected.len() - socket.taken.len());
        }
        socket.room = 1_000;
        outbox.write(&mut socket, &[]).unwrap();
        assert_eq!(socket.taken, expected);
        assert!(outbox.is_empty() && outbox.0.capacity() == 0);
    }
}
