//! A panic in every exported function, caught at the boundary: built with `--cfg securechat_test_panic`, which no feature can
//! switch on. Without it there is nothing here to run.
//!
//! `RUSTFLAGS='--cfg securechat_test_panic' cargo test -p securechat-ffi --test panics`
#![cfg(securechat_test_panic)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, dead_code, clippy::undocumented_unsafe_blocks)]

#[path = "driver/mod.rs"]
mod driver;
#[path = "table/rows.rs"]
mod rows;
#[path = "table/states.rs"]
mod states;

use driver::*;
use rows::{Arg, Row, Slot, rows};
use states::Kind;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

/// Bytes that are allocated at present.
static HELD: AtomicIsize = AtomicIsize::new(0);

struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The functions whose body does not go through the guard, and why: they read a number or a text that is there already
/// (`_version_number`, `_status_name`, `_status_message`, `_error`), or their work is taking apart, which is caught by itself (`_free`).
const UNGUARDED: [&str; 11] = rows::WITHOUT_STATUS;

/// What a row's call works on: none for those that make something of others.
fn handle_of(row: &Row) -> Option<(usize, Kind)> {
    match row.args.first() {
        Some(Arg::On(kind)) => Some((0, *kind)),
        _ => None,
    }
}

fn error_of(kind: Kind, handle: usize) -> Option<String> {
    let text = unsafe {
        match kind {
            Kind::Link => securechat_link_error(handle as _),
            Kind::Client => securechat_client_error(handle as _),
            Kind::Relay => securechat_relay_error(handle as _),
            _ => return None,
        }
    };
    Some(text_of(text).to_owned())
}

/// A panic in one function, and all that can be done with its handle afterwards.
fn panic_in(row: &Row, all: &[Row]) {
    let laid = row.lay();
    securechat::arm(row.name);
    assert_eq!((row.call)(&laid.slots), SECURECHAT_ERR_INTERNAL, "{}", row.name);
    laid.assert_nothing(None, row.name);
    let Some((slot, kind)) = handle_of(row) else {
        // It made nothing, and goes on.
        assert_ne!((row.call)(&laid.slots), SECURECHAT_ERR_INTERNAL, "{}", row.name);
        return;
    };
    let handle = laid.slots[slot];
    assert_eq!((row.call)(&laid.slots), SECURECHAT_ERR_INTERNAL, "{}, again", row.name);
    let message = text_of(securechat_status_message(SECURECHAT_ERR_INTERNAL as i32));
    assert!(error_of(kind, handle).is_none_or(|text| text == message), "{}", row.name);
    for other in all.iter().filter(|other| handle_of(other).is_some_and(|(_, of)| of == kind)) {
        let mut laid_other = other.lay_on(&|_| 0);
        laid_other.slots[0] = handle;
        assert_eq!((other.call)(&laid_other.slots), SECURECHAT_ERR_INTERNAL, "{} after {}", other.name, row.name);
        laid_other.assert_nothing(None, other.name);
    }
    // A poisoned identity makes no link and no relay; what came of it before goes on.
    if kind == Kind::Identity {
        for other in all.iter().filter(|row| ["securechat_link_new", "securechat_relay_new"].contains(&row.name)) {
            let laid_other = other.lay_on(&|_| 0);
            let mut slots = laid_other.slots.clone();
            slots[laid_other.kinds.iter().position(|kind| *kind == Slot::Handle).unwrap()] = handle;
            assert_eq!((other.call)(&slots), SECURECHAT_ERR_INTERNAL, "{}", other.name);
            laid_other.assert_nothing(None, other.name);
        }
    }
}

#[test]
fn a_panic_in_every_function_is_caught_and_nothing_is_leaked() {
    std::panic::set_hook(Box::new(|_| {}));
    states::known();
    let all = rows();
    assert_eq!(all.len() + UNGUARDED.len(), 95);
    for row in &all {
        panic_in(row, &all);
    }
    for row in &all {
        // What is made once and kept (a thread's own, a table) was made in the round above.
        let before = HELD.load(Ordering::Relaxed);
        for _ in 0..4 {
            panic_in(row, &all);
        }
        let after = HELD.load(Ordering::Relaxed);
        assert_eq!(after - before, 0, "{} keeps memory", row.name);
    }
}
