//! Ten thousand idle connections have to be cheap: what the relay keeps for one, measured by a counting allocator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "relay/support.rs"]
#[allow(dead_code, unreachable_pub)] // It is the relay scenarios' own, of which this one uses a part.
mod support;

use securechat_core::limits::{Limits, Rate};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};
use support::*;

struct Counting;

static IN_USE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call goes to the system's allocator as it is; only sizes are counted beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CONNECTIONS: usize = 500;

#[test]
fn an_idle_connection_costs_little() {
    let mut limits = Limits::default();
    (limits.login_rate, limits.register_rate) = (Rate::new(10_000, 1), Rate::new(10_000, 1));
    let mut net = Net::with(limits, |_| {});
    let mut devices: Vec<Device> =
        (0..CONNECTIONS as u64).map(|n| net.registered(&format!("user-{n}-of-a-name-of-length"), n)).collect();
    // What the store keeps of a mailbox is not of the connection: it is there before.
    everybody_reads(&mut net, &devices, 1);
    for device in &mut devices {
        net.disconnect(device);
    }
    net.pass(10_000);
    forget_what_the_test_keeps(&mut net);
    let before = IN_USE.load(Ordering::Relaxed);
    // All come back, and each reads something once, so that queues were in use.
    for device in &mut devices {
        net.log_in(device);
    }
    everybody_reads(&mut net, &devices, 2);
    forget_what_the_test_keeps(&mut net);
    let after = IN_USE.load(Ordering::Relaxed);
    let each = (after - before) / CONNECTIONS as isize;
    println!("{each} bytes for an idle connection");
    assert_eq!(net.relay.connections(), CONNECTIONS);
    assert!(each < 1_536, "{each}");
}

fn everybody_reads(net: &mut Net, devices: &[Device], id: u8) {
    let Some((sender, others)) = devices.split_last() else { return };
    for device in others {
        net.sends(sender, device, id, &[0; 1_000]);
        let got = net.delivered(device.conn());
        net.acknowledge(device, &got);
    }
}

/// Drops what is of the test and not of the relay.
fn forget_what_the_test_keeps(net: &mut Net) {
    net.inbox = Default::default();
    net.bindings = Default::default();
    net.admitted = Default::default();
    net.closed = Default::default();
    net.events = Vec::new();
    net.jobs = Vec::new();
    net.checked = Vec::new();
    net.transcript = Vec::new();
}
