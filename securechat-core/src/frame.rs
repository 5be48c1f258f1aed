//! Frames: the unit in which a link reads and writes (PROTOCOL.md section 3).
//!
//! ```text
//! u32 length | length bytes
//! ```

use crate::error::PeerMisbehaved;
use crate::limits;

/// Bytes of the length before a frame's content.
pub(crate) const HEADER: usize = 4;
/// The first step in which a frame's buffer grows. What a peer announces is believed only as far as it sends it.
const FIRST_STEP: usize = 1_024;

/// Puts frames together from bytes that arrive in any split.
///
/// It holds the part of one frame that is in, and nothing between frames. A whole frame is handed out with its buffer,
/// in which the record is then opened in place.
pub struct Deframer {
    limit: usize,
    header: [u8; HEADER],
    header_filled: usize,
    content: Vec<u8>,
}

impl Deframer {
    /// A deframer for frames of at most [`limits::FRAME_BEFORE_ADMISSION`] bytes.
    pub fn new() -> Self {
        Self { limit: limits::FRAME_BEFORE_ADMISSION, header: [0; HEADER], header_filled: 0, content: Vec::new() }
    }

    /// From the next frame on, allows contents of [`limits::FRAME_MAX`] bytes.
    pub fn raise_limit(&mut self) {
        self.limit = limits::FRAME_MAX;
    }

    /// Takes bytes from the front of `input`, at most up to the end of a frame, and gives the content of a frame that
    /// they complete. `None` means that all of `input` was taken.
    ///
    /// A length of zero or above the limit fails as soon as its four bytes are in, before anything is allocated.
    pub fn next_frame(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, PeerMisbehaved> {
        let header_rest = self.header.get_mut(self.header_filled..).unwrap_or_default();
        self.header_filled += copy_front(input, header_rest);
        if self.header_filled < HEADER {
            return Ok(None);
        }
        let length = usize::try_from(u32::from_be_bytes(self.header)).map_err(|_| PeerMisbehaved::FrameLength)?;
        if length == 0 || length > self.limit {
            return Err(PeerMisbehaved::FrameLength);
        }
        let missing = length.saturating_sub(self.content.len());
        let (now, later) = input.split_at_checked(missing).unwrap_or((input, &[]));
        self.grow(now.len(), length);
        self.content.extend_from_slice(now);
        *input = later;
        if self.content.len() < length {
            return Ok(None);
        }
        self.header_filled = 0;
        Ok(Some(core::mem::take(&mut self.content)))
    }

    /// Makes room for `more` bytes, in steps that double and never above `length`: linear work, bounded memory. Of a frame
    /// whose greater part comes at once the rest finds its room made.
    fn grow(&mut self, more: usize, length: usize) {
        let wanted = self.content.len() + more;
        if wanted > self.content.capacity() {
            let capacity = wanted.max(2 * self.content.capacity()).max(2 * more).max(FIRST_STEP).min(length);
            self.content.reserve_exact(capacity.saturating_sub(self.content.len()));
        }
    }
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Deframer {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Deframer").field("limit", &self.limit).field("held", &self.content.len()).finish()
    }
}

/// Moves bytes from the front of `input` into `target` and gives their number.
fn copy_front(input: &mut &[u8], target: &mut [u8]) -> usize {
    let count = input.len().min(target.len());
    for (slot, byte) in target.iter_mut().zip(input.iter()) {
        *slot = *byte;
    }
    *input = input.get(count..).unwrap_or_default();
    count
}

/// Appends a frame whose content `fill` appends.
///
/// Nothing is left in `out` when `fill` fails. Keeping the content within the limit is the caller's part.
pub fn write_frame<E>(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    if let Err(error) = fill(out) {
        out.truncate(start);
        return Err(error);
    }
    let length = (out.len().saturating_sub(start + HEADER) as u32).to_be_bytes();
    for (slot, byte) in out.iter_mut().skip(start).zip(length) {
        *slot = byte;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(contents: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for content in contents {
            write_frame(&mut out, |out| -> Result<(), ()> {
                out.extend_from_slice(content);
                Ok(())
            })
            .unwrap();
        }
        out
    }

    #[test]
    fn any_split_gives_the_same_frames() {
        let contents: [&[u8]; 4] = [b"a", &[7; 8_192], b"three", &[9; 1_025]];
        let bytes = frames(&contents);
        for step in [1, 2, 3, 5, 1_000, 8_195, bytes.len()] {
            let mut deframer = Deframer::new();
            let mut seen = Vec::new();
            for mut chunk in bytes.chunks(step) {
                while let Some(frame) = deframer.next_frame(&mut chunk).unwrap() {
                    seen.push(frame);
                    assert!(seen.len() <= contents.len());
                }
                assert!(chunk.is_empty());
            }
            assert_eq!(seen, contents);
        }
    }

    #[test]
    fn a_failed_fill_leaves_nothing() {
        let mut out = b"before".to_vec();
        let failed = write_frame(&mut out, |out| {
            out.push(1);
            Err(())
        });
        assert_eq!((failed, out.as_slice()), (Err(()), &b"before"[..]));
    }

    #[test]
    fn debug_shows_lengths_only() {
        let mut deframer = Deframer::default();
        assert_eq!(deframer.next_frame(&mut &[0, 0, 0, 9, 0x41, 0x41][..]), Ok(None));
        assert_eq!(format!("{deframer:?}"), "Deframer { limit: 8192, held: 2 }");
    }

    #[test]
    fn c1_a_length_outside_the_limit_fails_at_its_fourth_byte_and_allocates_nothing() {
        for length in [0, 8_193, 65_535, u32::MAX] {
            let mut deframer = Deframer::new();
            let bytes = length.to_be_bytes();
            assert_eq!(deframer.next_frame(&mut &bytes[..3]), Ok(None));
            assert_eq!(deframer.next_frame(&mut &bytes[3..]), Err(PeerMisbehaved::FrameLength));
            assert_eq!(deframer.content.capacity(), 0);
        }
        let mut deframer = Deframer::new();
        deframer.raise_limit();
        assert_eq!(deframer.next_frame(&mut &65_535_u32.to_be_bytes()[..]), Ok(None));
        assert_eq!(deframer.content.capacity(), 0);
    }

    #[test]
    fn c1_memory_follows_what_arrived_not_what_was_announced() {
        let mut deframer = Deframer::new();
        deframer.raise_limit();
        assert_eq!(deframer.next_frame(&mut &65_535_u32.to_be_bytes()[..]), Ok(None));
        let mut growths = 0;
        for count in 1..65_535_usize {
            let before = deframer.content.capacity();
            assert_eq!(deframer.next_frame(&mut &[0][..]), Ok(None));
            let capacity = deframer.content.capacity();
            growths += usize::from(capacity != before);
            assert!(capacity <= (2 * (count - 1)).max(FIRST_STEP) && capacity <= 65_535);
        }
        assert!(growths < 10, "the work is linear");
        let mut halves = Deframer::new();
        halves.raise_limit();
        assert_eq!(halves.next_frame(&mut &[&60_000_u32.to_be_bytes()[..], &[0; 30_000]].concat()[..]), Ok(None));
        assert_eq!(halves.content.capacity(), 60_000, "twice what came, and no more than there is");
        assert_eq!(deframer.next_frame(&mut &[0][..]).unwrap().map(|frame| frame.len()), Some(65_535));
        assert_eq!(deframer.content.capacity(), 0, "nothing is held between frames");
    }
}
