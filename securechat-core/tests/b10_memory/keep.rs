//! An allocator that reuses nothing.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, but what is freed stays as it was left, for the scan to see. A block that grows is moved.
pub struct Keep;

// SAFETY: allocation is the system's; memory that is never freed is never handed out twice.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Keep {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the system's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}
