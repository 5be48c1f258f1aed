//! Frames cut out of a stream.

use super::{Run, Work, timed};
use crate::noise_bytes;
use securechat_core::frame::{Deframer, write_frame};
use std::hint::black_box;
use std::io::Read;

pub(super) fn works() -> Vec<Work> {
    let stream = |count: usize, size: usize| {
        let (mut stream, content) = (Vec::new(), noise_bytes(size));
        for _ in 0..count {
            let written = write_frame(&mut stream, |out| {
                out.extend_from_slice(&content);
                Ok::<_, std::convert::Infallible>(())
            });
            written.unwrap();
        }
        stream
    };
    [
        ("one frame of 63 KiB", stream(1, 63 << 10), usize::MAX),
        ("one frame of 63 KiB, byte by byte", stream(1, 63 << 10), 1),
        ("1,000 frames of 200 B in a read", stream(1_000, 200), usize::MAX),
    ]
    .into_iter()
    .map(|(name, stream, piece)| {
        let plain = read_exact(stream.clone(), piece);
        Work::new(name, stream.len(), deframe(stream, piece)).beside("read_exact", None, plain)
    })
    .collect()
}

fn deframe(stream: Vec<u8>, piece: usize) -> Run {
    let mut deframer = Deframer::new();
    deframer.raise_limit();
    timed(move || {
        for mut piece in stream.chunks(piece.min(stream.len())) {
            while !piece.is_empty() {
                black_box(deframer.next_frame(&mut piece).unwrap());
            }
        }
    })
}

/// A loop over `Read::read_exact` with a buffer for each frame, as a blocking program would have it.
fn read_exact(stream: Vec<u8>, piece: usize) -> Run {
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let most = buffer.len().min(self.1);
            self.0.read(&mut buffer[..most])
        }
    }

    timed(move || {
        let mut reader = Pieces(&stream, piece);
        let mut header = [0; 4];
        while reader.read_exact(&mut header).is_ok() {
            let mut content = vec![0; u32::from_be_bytes(header) as usize];
            reader.read_exact(&mut content).unwrap();
            black_box(content);
        }
    })
}
