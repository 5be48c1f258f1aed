//! What the C interface costs: its functions called as C calls them, beside the same in Rust.

use super::{Run, Work, timed};
use crate::{NOW, links, noise_bytes};
use core::ptr::{null, null_mut};
use securechat::constants::securechat_version_number;
use securechat::event::securechat_event;
use securechat::event::securechat_event_kind::{SECURECHAT_EVENT_DATA, SECURECHAT_EVENT_NONE, SECURECHAT_EVENT_OPEN};
use securechat::identity::{
    securechat_bundle, securechat_bundle_read, securechat_identity_bundle, securechat_identity_free,
    securechat_identity_generate,
};
use securechat::link::{
    SECURECHAT_PURPOSE_RELAY, SECURECHAT_ROLE_INITIATOR, SECURECHAT_ROLE_RESPONDER, securechat_link,
    securechat_link_free, securechat_link_input, securechat_link_new, securechat_link_next_event,
    securechat_link_output, securechat_link_output_consume, securechat_link_send, securechat_link_tick,
};
use securechat::status::securechat_status::{self, SECURECHAT_OK};
use securechat_core::link::Purpose;
use securechat_core::suite::Suite;
use std::hint::black_box;
use std::mem::MaybeUninit;
use zeroize::Zeroizing;

pub(super) fn works() -> Vec<Work> {
    let message = |name: &str, size: usize, target: Option<f64>| {
        Work::new(format!("message through C, {name}"), size, through_c(size)).beside("in Rust", target, in_rust(size))
    };
    vec![
        Work::new("call of C that does nothing", 0, nothing()),
        Work::new("call of C on a handle", 0, tick()),
        message("64 B", 64, None),
        message("16 KiB", 16 << 10, Some(0.97)),
    ]
}

fn nothing() -> Run {
    let call: extern "C" fn() -> u32 = black_box(securechat_version_number);
    timed(move || _ = black_box(call()))
}

fn tick() -> Run {
    let ends = Ends::open();
    timed(move || {
        let mut next: u64 = 0;
        // SAFETY: a handle, and a place for a number.
        ok(unsafe {
            black_box(securechat_link_tick as unsafe extern "C" fn(_, _, _) -> _)(ends.pair()[0], NOW, &raw mut next)
        });
    })
}

/// One record from one end to the other, with all calls that a program makes for it.
fn through_c(size: usize) -> Run {
    let (ends, data) = (Ends::open(), noise_bytes(size));
    timed(move || {
        let [from, to] = ends.pair();
        // SAFETY: handles and bytes that live.
        ok(unsafe { securechat_link_send(from, black_box(data.as_ptr()), data.len()) });
        carry(from, to);
        let event = next_event(to);
        assert!(event.kind == SECURECHAT_EVENT_DATA as u32 && event.data_len == size);
        black_box(event.data);
        // Until there is nothing more, as the manual says; it also wipes what was lent.
        assert!(next_event(to).kind == SECURECHAT_EVENT_NONE as u32);
    })
}

fn in_rust(size: usize) -> Run {
    let (mut from, mut to) = links::Ends::new(Suite::ALL[4], Purpose::Relay, None).open();
    let (data, mut wire) = (noise_bytes(size), Vec::new());
    timed(move || {
        // Wiped, as what C was lent is.
        black_box(Zeroizing::new(links::record(&mut from, &mut to, black_box(&data), &mut wire)));
    })
}

/// Both ends of a link, made, opened and freed through C.
struct Ends([*mut securechat_link; 2]);

impl Ends {
    fn open() -> Self {
        let (mut identity, mut ends) = (null_mut(), [null_mut(); 2]);
        let (mut bundle, mut length) = ([0; 4_096], 0);
        let mut info = MaybeUninit::<securechat_bundle>::zeroed();
        // SAFETY: places for handles, buffers with their sizes, and a struct of integers.
        unsafe {
            ok(securechat_identity_generate(null(), NOW, &raw mut identity));
            ok(securechat_identity_bundle(identity, bundle.as_mut_ptr(), bundle.len(), &raw mut length));
            ok(securechat_bundle_read(bundle.as_ptr(), length, info.as_mut_ptr(), size_of::<securechat_bundle>()));
            let pin = info.assume_init().fingerprint;
            let [initiator, responder] = &mut ends;
            let (role, purpose) = (SECURECHAT_ROLE_INITIATOR, SECURECHAT_PURPOSE_RELAY);
            ok(securechat_link_new(null(), role, purpose, null_mut(), pin.as_ptr(), NOW, initiator));
            ok(securechat_link_new(null(), SECURECHAT_ROLE_RESPONDER, purpose, identity, null(), NOW, responder));
            securechat_identity_free(identity);
        }
        let [initiator, responder] = ends;
        for _ in 0..2 {
            carry(initiator, responder);
            carry(responder, initiator);
        }
        assert_eq!(next_event(initiator).kind, SECURECHAT_EVENT_OPEN as u32);
        assert_eq!(next_event(responder).kind, SECURECHAT_EVENT_OPEN as u32);
        Self(ends)
    }
}

impl Ends {
    /// The handles. Through a method, so that a closure takes the ends whole and not only what is copied of them.
    fn pair(&self) -> [*mut securechat_link; 2] {
        self.0
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        for end in self.0 {
            // SAFETY: a handle, freed once.
            unsafe { securechat_link_free(end) };
        }
    }
}

fn carry(from: *mut securechat_link, to: *mut securechat_link) {
    let (mut bytes, mut length) = (null(), 0);
    // SAFETY: handles that live, and places for what is lent, which ends with the next call on `from`.
    unsafe {
        ok(securechat_link_output(from, &raw mut bytes, &raw mut length));
        ok(securechat_link_input(to, bytes, length, NOW));
        ok(securechat_link_output_consume(from, length));
    }
}

fn next_event(link: *mut securechat_link) -> securechat_event {
    let mut event = MaybeUninit::<securechat_event>::uninit();
    // SAFETY: a handle and a whole struct, which is written when the call went well.
    unsafe {
        ok(securechat_link_next_event(link, event.as_mut_ptr(), size_of::<securechat_event>()));
        event.assume_init()
    }
}

fn ok(status: securechat_status) {
    assert_eq!(status, SECURECHAT_OK);
}
