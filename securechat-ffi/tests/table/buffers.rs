//! Functions that copy out, into buffers of every size: too small is told and consumes nothing, too large is left alone.

use crate::driver::*;
use crate::rows::{Row, Slot, rows};

const GUARD: u8 = 0xC3;

/// A buffer with room before and behind that nobody may write to.
struct Guarded {
    bytes: Vec<u8>,
    size: usize,
}

impl Guarded {
    fn new(size: usize) -> Self {
        Self { bytes: vec![GUARD; size + 64], size }
    }

    fn pointer(&mut self) -> usize {
        self.bytes[32..].as_mut_ptr() as usize
    }

    /// What was written, if all else is as it was.
    fn written(&self, length: usize) -> &[u8] {
        let bytes = std::hint::black_box(&self.bytes);
        assert!(bytes[..32].iter().all(|byte| *byte == GUARD), "written before the buffer");
        assert!(bytes[32 + self.size..].iter().all(|byte| *byte == GUARD), "written behind the buffer");
        assert!(bytes[32 + length..].iter().all(|byte| *byte == GUARD), "more written than is said");
        &bytes[32..32 + length]
    }
}

/// Calls a row on one set of arguments with a buffer of `size`.
fn with_size(row: &Row, slots: &[usize], size: usize) -> (securechat_status, usize, Guarded) {
    let kinds = row.lay_on(&|_| 0).kinds.clone();
    let at = kinds.iter().position(|kind| *kind == Slot::Buffer).unwrap();
    let (mut buffer, mut length) = (Guarded::new(size), Box::new(usize::MAX));
    let mut slots = slots.to_vec();
    (slots[at], slots[at + 1]) = (buffer.pointer(), size);
    slots[at + 2] = &raw mut *length as usize;
    let status = (row.call)(&slots);
    (status, std::hint::black_box(*length), buffer)
}

fn copying() -> Vec<Row> {
    rows().into_iter().filter(|row| row.lay_on(&|_| 0).kinds.contains(&Slot::Buffer)).collect()
}

#[test]
fn a_buffer_is_filled_by_as_much_as_is_said() {
    let mut seen = 0;
    for row in copying() {
        if row.name.ends_with("_read_output") {
            continue;
        }
        // All on one handle: what did not fit was not consumed.
        let laid = row.lay();
        let (status, needed, _) = with_size(&row, &laid.slots, 0);
        assert_eq!(status, SECURECHAT_ERR_BUFFER, "{}", row.name);
        assert!(needed > 0, "{}", row.name);
        assert_eq!((row.call)(&laid.slots), SECURECHAT_ERR_BUFFER, "{}: (NULL, 0) asks", row.name);
        for size in [1, needed / 2, needed - 1] {
            let (status, said, buffer) = with_size(&row, &laid.slots, size);
            assert_eq!((status, said), (SECURECHAT_ERR_BUFFER, needed), "{} into {size}", row.name);
            buffer.written(0);
        }
        let mut contents = Vec::new();
        for size in [needed, needed + 1, needed + 100] {
            let (status, length, buffer) = with_size(&row, &laid.slots, size);
            assert_eq!((status, length), (SECURECHAT_OK, needed), "{} into {size}", row.name);
            contents.push(buffer.written(length).to_vec());
        }
        // What is sealed is sealed anew each time; all else is the same.
        if !row.name.ends_with("_seal") {
            assert!(contents.iter().all(|written| *written == contents[0]), "{}", row.name);
        }
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn nothing_is_opened_into_a_buffer_by_a_failure() {
    for row in copying().into_iter().filter(|row| row.name.contains("open")) {
        let laid = row.lay();
        let kinds = laid.kinds.clone();
        let sealed = kinds.iter().rposition(|kind| *kind == Slot::In).unwrap();
        let bytes = laid.slots[sealed] as *mut u8;
        unsafe { bytes.add(40).write(bytes.add(40).read() ^ 1) };
        let (status, length, buffer) = with_size(&row, &laid.slots, 1_000);
        assert_eq!((status, length), (SECURECHAT_ERR_DECRYPT, 0), "{}", row.name);
        buffer.written(0);
    }
}

/// Output in pieces of every size is the output whole; a buffer is filled by what there is.
#[test]
fn output_is_read_in_any_pieces() {
    let identity = import(&crate::states::known().identity, NOW);
    for size in [1, 7, 1_000, 10_000] {
        let [initiator, responder] = link_pair(identity, NOW);
        let (mut lent, mut whole) = (null(), 0);
        assert_eq!(unsafe { securechat_link_output(initiator, &raw mut lent, &raw mut whole) }, SECURECHAT_OK);
        let expected = copied::<1>(lent, whole).concat();
        let mut read = Vec::new();
        loop {
            let (mut buffer, mut length) = (Guarded::new(size), usize::MAX);
            let pointer = buffer.pointer() as *mut u8;
            let status = unsafe { securechat_link_read_output(initiator, pointer, size, &raw mut length) };
            assert_eq!(status, SECURECHAT_OK);
            if length == 0 {
                break;
            }
            assert_eq!(length, size.min(expected.len() - read.len()));
            read.extend_from_slice(buffer.written(length));
        }
        assert_eq!(read, expected);
        unsafe {
            securechat_link_free(initiator);
            securechat_link_free(responder);
        }
    }
    unsafe { securechat_identity_free(identity) };
}

/// More than there is cannot be said to be written, and a failure to say so consumes nothing.
#[test]
fn no_more_is_consumed_than_there_is() {
    let identity = import(&crate::states::known().identity, NOW);
    let [initiator, responder] = link_pair(identity, NOW);
    let (mut lent, mut length, mut again) = (null(), 0, 0);
    unsafe {
        assert_eq!(securechat_link_output(initiator, &raw mut lent, &raw mut length), SECURECHAT_OK);
        for count in [length + 1, usize::MAX] {
            assert_eq!(securechat_link_output_consume(initiator, count), SECURECHAT_ERR_ARGUMENT);
        }
        assert_eq!(securechat_link_output(initiator, &raw mut lent, &raw mut again), SECURECHAT_OK);
        assert_eq!(again, length);
        assert_eq!(securechat_link_output_consume(initiator, length - 1), SECURECHAT_OK);
        assert_eq!(securechat_link_output_consume(initiator, 2), SECURECHAT_ERR_ARGUMENT);
        assert_eq!(securechat_link_output_consume(initiator, 1), SECURECHAT_OK);
        securechat_link_free(initiator);
        securechat_link_free(responder);
        securechat_identity_free(identity);
    }
}
