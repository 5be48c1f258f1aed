//! ATTACKS.md C1, and the memory of a link: a length of 0xFFFFFFFF allocates nothing, byte-by-byte feeding is linear
//! and bounded, 64 KiB before admission, 4 KiB for an idle link after it. Counted by the allocator itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::PeerMisbehaved;
use securechat_core::link::{Link, LinkConfig, Purpose};
use securechat_core::suite::Suite;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use support::*;

/// Counts, for each thread, what it holds and how often it asked.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count(change: isize) {
    LIVE.set(LIVE.get() + change);
    PEAK.set(PEAK.get().max(LIVE.get()));
    CALLS.set(CALLS.get() + usize::from(change > 0));
}

// SAFETY: it hands every call on to the system's allocator as it came and keeps three numbers beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes that `made` holds on the heap, and the most that were held while it was made.
fn held<T>(make: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let made = make();
    (made, (LIVE.get() - before) as usize, (PEAK.get() - before) as usize)
}

#[test]
fn c1_a_length_of_4_gib_allocates_nothing() {
    for length in [u32::MAX, 0x7FFF_FFFF, 65_536, 8_193, 0] {
        for purpose in PURPOSES {
            let mut pair = Pair::new(purpose, &[X25519_GCM]);
            for end in [INITIATOR, RESPONDER] {
                let link = &mut pair.ends[end];
                let calls = CALLS.get();
                link.handle_input(&length.to_be_bytes()[..3], NOW).unwrap();
                let outcome = link.handle_input(&length.to_be_bytes()[3..], NOW);
                assert_eq!(outcome, Err(PeerMisbehaved::FrameLength.into()));
                assert_eq!(CALLS.get(), calls);
            }
        }
    }
    let mut pair = Pair::open(Purpose::Peer, X25519_GCM);
    let calls = CALLS.get();
    assert!(pair.ends[INITIATOR].handle_input(&[0xFF; 4], NOW).is_err());
    assert_eq!(CALLS.get(), calls);
}

#[test]
fn c1_bytes_one_by_one_cost_few_allocations_and_no_more_memory_than_the_frame() {
    let mut pair = Pair::open(Purpose::Peer, X25519_GCM);
    pair.send(INITIATOR, &[7; 65_000]);
    let bytes = pair.wires[RESPONDER].pop_front().unwrap();
    let link = &mut pair.ends[RESPONDER];
    let calls = CALLS.get();
    let ((), live, peak) = held(|| bytes.iter().for_each(|byte| link.handle_input(&[*byte], NOW).unwrap()));
    assert!(CALLS.get() - calls < 20, "{} allocations", CALLS.get() - calls);
    assert!(live < 65 << 10 && peak < 2 * 65_536, "{live} held, {peak} at most");
}

/// Each end in every suite: the most that it holds from its beginning until it is open, computations included.
#[test]
fn a_link_before_admission_holds_at_most_64_kib() {
    for purpose in PURPOSES {
        for suite in replaying_suites() {
            for end in [INITIATOR, RESPONDER] {
                let mut chunks = Vec::new();
                let mut pair = Pair::new(purpose, &[suite]);
                let start = configs(purpose, &[suite]);
                loop {
                    let to = if pair.wires[RESPONDER].is_empty() { INITIATOR } else { RESPONDER };
                    if !pair
                        .deliver(to, |bytes| {
                            if to == end {
                                chunks.push(bytes.clone())
                            }
                        })
                        .unwrap()
                    {
                        break;
                    }
                }
                // The same again with one end alone; what it writes and reports stays with it.
                let [initiator, responder] = start;
                let (make, config, seed): (fn(LinkConfig, _, u64) -> _, _, _) = match end {
                    INITIATOR => (Link::initiator, initiator, 100),
                    _ => (Link::responder, responder, 101),
                };
                let (link, _, peak) = held(|| {
                    let mut link = make(config, rng(seed), NOW).unwrap();
                    chunks.iter().for_each(|chunk| link.handle_input(chunk, NOW).unwrap());
                    link
                });
                assert!(link.is_open());
                assert!(peak + size_of::<Link>() <= 64 << 10, "{purpose:?} {suite} {end}: {peak}");
            }
        }
    }
}

#[test]
fn an_idle_link_holds_at_most_4_kib() {
    for purpose in PURPOSES {
        for suite in Suite::ALL {
            let (mut pair, _, _) = held(|| {
                let mut pair = Pair::open(purpose, suite);
                pair.ends.iter_mut().for_each(Link::raise_frame_limit);
                for end in [INITIATOR, RESPONDER] {
                    let longest = vec![1; pair.ends[end].max_data()];
                    pair.send(end, &longest);
                    pair.run().unwrap();
                    assert_eq!(pair.data(1 - end), [longest]);
                }
                pair
            });
            // What an end holds is what is given back when it goes.
            let [initiator, responder] = pair.ends;
            pair.wires = Default::default();
            for link in [initiator, responder] {
                let before = LIVE.get();
                drop(link);
                let heap = (before - LIVE.get()) as usize;
                assert!(heap + size_of::<Link>() <= 4 << 10, "{purpose:?} {suite}: {heap} + {}", size_of::<Link>());
            }
        }
    }
}
