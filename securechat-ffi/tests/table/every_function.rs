//! What is asked of every function alike.

use crate::driver::*;
use crate::rows::{Row, Slot, UNWRITTEN, WITHOUT_STATUS, rows};
use crate::states::{self, KINDS};
use std::collections::BTreeSet;

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = include_str!("../../../include/securechat.h");
    let declared = header.lines().filter_map(|line| {
        let before = line.split_once('(')?.0;
        let returns = ["securechat_status ", "void ", "const char *", "uint32_t "];
        let name = returns.iter().find_map(|returns| before.strip_prefix(returns))?;
        (name.starts_with("securechat_") && !name.contains(' ')).then(|| name.to_owned())
    });
    declared.collect()
}

#[test]
fn no_function_is_forgotten() {
    let listed: BTreeSet<String> = rows().iter().map(|row| row.name).chain(WITHOUT_STATUS).map(str::to_owned).collect();
    assert_eq!(listed, declared());
    assert_eq!(listed.len(), rows().len() + WITHOUT_STATUS.len(), "a name stands twice");
}

#[test]
fn good_arguments_do_what_they_should() {
    let mut others = Vec::new();
    for row in rows() {
        let laid = row.lay();
        // Copying out asks for its size.
        let expected = if is_copying(&row) { SECURECHAT_ERR_BUFFER } else { row.status };
        let status = (row.call)(&laid.slots);
        if status != expected {
            others.push((row.name, status, expected));
        }
        if row.status != SECURECHAT_OK {
            laid.assert_nothing(None, row.name);
        }
    }
    assert_eq!(others, []);
}

/// Those that have a buffer and give all of something or nothing of it.
fn is_copying(row: &Row) -> bool {
    row.lay().kinds.contains(&Slot::Buffer) && !row.name.ends_with("_read_output")
}

#[test]
fn null_is_refused_wherever_something_must_be() {
    for row in rows() {
        let kinds = row.lay().kinds.clone();
        for (slot, kind) in kinds.iter().enumerate() {
            let laid = row.lay();
            let mut slots = laid.slots.clone();
            slots[slot] = 0;
            // Nothing is an identity or not, as a link's role and purpose have it.
            let may_be_null = row.name == "securechat_link_new" && *kind == Slot::Handle;
            match kind {
                Slot::In if laid.slots[slot + 1] == 0 => continue,
                Slot::Buffer => slots[slot + 1] = 1,
                Slot::Handle | Slot::In | Slot::Needed | Slot::Out(_) | Slot::Struct => {}
                _ => continue,
            }
            let context = format!("{}, argument {slot}", row.name);
            let expected = if may_be_null { SECURECHAT_ERR_MISSING_KEY } else { SECURECHAT_ERR_NULL };
            assert_eq!((row.call)(&slots), expected, "{context}");
            laid.assert_nothing(Some(slot), &context);
        }
    }
}

#[test]
fn nothing_at_all_is_refused() {
    for row in rows() {
        let laid = row.lay();
        let zeros = vec![0; laid.slots.len()];
        let status = (row.call)(&zeros);
        assert_eq!(status, SECURECHAT_ERR_NULL, "{}", row.name);
    }
}

#[test]
fn no_bytes_are_given_with_and_without_a_pointer() {
    for row in rows() {
        let kinds = row.lay().kinds.clone();
        for slot in (0..kinds.len()).filter(|slot| kinds[*slot] == Slot::In) {
            let mut seen = Vec::new();
            for pointer in [0, 1] {
                let laid = row.lay();
                let mut slots = laid.slots.clone();
                (slots[slot], slots[slot + 1]) = (if pointer == 0 { 0 } else { laid.slots[slot] }, 0);
                let status = (row.call)(&slots);
                assert_ne!(status, SECURECHAT_ERR_INTERNAL, "{}", row.name);
                if !matches!(status, SECURECHAT_OK | SECURECHAT_ERR_BUFFER) {
                    laid.assert_nothing(None, row.name);
                }
                seen.push(status);
            }
            // A user of no name is one by name; of no name at all, one by number.
            if !["securechat_client_contact", "securechat_client_group"].contains(&row.name) {
                assert_eq!(seen[0], seen[1], "{}, argument {slot}", row.name);
            }
            assert_ne!(seen[0], SECURECHAT_ERR_NULL, "{}", row.name);
        }
    }
}

#[test]
fn a_length_that_nothing_can_have_is_refused() {
    for row in rows() {
        let kinds = row.lay().kinds.clone();
        for slot in 0..kinds.len() {
            let huge = match kinds[slot] {
                Slot::InLength => usize::MAX,
                Slot::StructSize(_) => usize::MAX,
                _ => continue,
            };
            let laid = row.lay();
            let mut slots = laid.slots.clone();
            slots[slot] = huge;
            assert_eq!((row.call)(&slots), SECURECHAT_ERR_ARGUMENT, "{}, argument {slot}", row.name);
        }
    }
}

#[test]
fn unknown_numbers_are_refused() {
    let mut seen = 0;
    for row in rows() {
        let kinds = row.lay().kinds.clone();
        for slot in 0..kinds.len() {
            let Slot::Choice(refusal) = kinds[slot] else { continue };
            for unknown in [99, 256, 0x7FFF, 0x1_0000, 0x8000_0000_u32, u32::MAX] {
                // A link is closed with any number of a byte.
                if row.name == "securechat_link_close" && unknown < 256 {
                    continue;
                }
                let laid = row.lay();
                let mut slots = laid.slots.clone();
                slots[slot] = unknown as usize;
                let context = format!("{}, argument {slot}: {unknown}", row.name);
                // Large numbers are kinds of messages that an application may have.
                assert_eq!((row.call)(&slots), refusal, "{context}");
                laid.assert_nothing(None, &context);
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn structs_are_filled_as_far_as_they_are_known() {
    let mut seen = 0;
    for row in rows() {
        let kinds = row.lay().kinds.clone();
        let Some(slot) = kinds.iter().position(|kind| *kind == Slot::Struct) else { continue };
        let Slot::StructSize(least) = kinds[slot + 1] else { panic!("{}", row.name) };
        let whole = row.lay();
        let size = whole.slots[slot + 1];
        assert_eq!((row.call)(&whole.slots), SECURECHAT_OK, "{}", row.name);
        let whole = whole.bytes(slot);
        let with_size = |given: usize| {
            let laid = row.lay();
            let mut slots = laid.slots.clone();
            let mut place = vec![u64::from_ne_bytes([UNWRITTEN; 8]); given.div_ceil(8) + 1];
            (slots[slot], slots[slot + 1]) = (place.as_mut_ptr() as usize, given);
            let status = (row.call)(&slots);
            let place = place.iter().map(|word| unsafe { std::ptr::from_ref(word).read_volatile() });
            (status, place.flat_map(u64::to_ne_bytes).collect::<Vec<u8>>())
        };
        for given in [0, least - 1] {
            let (status, place) = with_size(given);
            assert_eq!(status, SECURECHAT_ERR_ARGUMENT, "{} of {given} bytes", row.name);
            assert!(place[given..].iter().all(|byte| *byte == UNWRITTEN), "{}", row.name);
        }
        for given in [least, size / 2, size - 1, size, size + 1, size + 100] {
            let (status, place) = with_size(given.max(least));
            let given = given.max(least);
            assert_eq!(status, SECURECHAT_OK, "{} of {given} bytes", row.name);
            // What is told of one handle and of another differs in numbers and pointers, so it is the zeros that are compared.
            let known = given.min(size);
            if is_repeatable(row.name) {
                let mut expected = whole[..known].to_vec();
                if row.name == "securechat_config_default" {
                    expected[..4].copy_from_slice(&(given as u32).to_ne_bytes());
                }
                assert_eq!(place[..known], expected, "{} of {given} bytes", row.name);
            }
            assert!(place[known..given].iter().all(|byte| *byte == 0), "{} of {given} bytes", row.name);
            assert!(place[given..].iter().all(|byte| *byte == UNWRITTEN), "{} of {given} bytes", row.name);
        }
        seen += 1;
    }
    assert_eq!(seen, 12);
}

/// Pointers are others each time, and so are new files.
fn is_repeatable(name: &str) -> bool {
    let others = [
        "securechat_client_contact",
        "securechat_client_group",
        "securechat_client_transfer",
        "securechat_client_next_event",
        "securechat_file_about",
        "securechat_relay_next_job",
    ];
    !others.contains(&name)
}

/// Every function on a handle of its kind in every state: nothing panics, and after a failure there is nothing.
#[test]
fn every_function_in_every_state() {
    for kind in KINDS {
        for (state, make) in states::all(kind) {
            for row in rows() {
                if !row.args.iter().any(|arg| matches!(arg, crate::rows::Arg::On(of) if *of == kind)) {
                    continue;
                }
                let laid = row.lay_on(&|of| if of == kind { make() } else { states::fresh(of) });
                let context = format!("{} on {kind:?}, {state}", row.name);
                let status = (row.call)(&laid.slots);
                assert_ne!(status, SECURECHAT_ERR_INTERNAL, "{context}");
                if !matches!(status, SECURECHAT_OK | SECURECHAT_ERR_BUFFER) {
                    laid.assert_nothing(None, &format!("{context}: {status:?}"));
                    let error = error_of(kind, laid.slots[row.handle_slot()]);
                    assert!(error.is_none_or(|text| !text.is_empty()), "{context}");
                }
                // And once more, after whatever that was.
                assert_ne!((row.call)(&laid.slots), SECURECHAT_ERR_INTERNAL, "{context}, twice");
            }
        }
    }
}

impl Row {
    fn handle_slot(&self) -> usize {
        self.lay_kinds().iter().position(|kind| *kind == Slot::Handle).unwrap()
    }

    fn lay_kinds(&self) -> Vec<Slot> {
        self.lay_on(&|_| 0).kinds.clone()
    }
}

fn error_of(kind: states::Kind, handle: usize) -> Option<String> {
    let text = unsafe {
        match kind {
            states::Kind::Link => securechat_link_error(handle as _),
            states::Kind::Client => securechat_client_error(handle as _),
            states::Kind::Relay => securechat_relay_error(handle as _),
            _ => return None,
        }
    };
    Some(text_of(text).to_owned())
}

#[test]
fn nothing_is_freed_of_null() {
    unsafe {
        securechat_identity_free(null_mut());
        securechat_link_free(null_mut());
        securechat_client_free(null_mut());
        securechat_file_free(null_mut());
        securechat_relay_free(null_mut());
    }
}

#[test]
fn texts_of_null() {
    for text in
        unsafe { [securechat_link_error(null()), securechat_client_error(null()), securechat_relay_error(null())] }
    {
        assert!(!text_of(text).is_empty());
    }
    for number in [-1, 9, 99, 401, i32::MAX, i32::MIN] {
        assert_eq!(text_of(securechat_status_name(number)), "SECURECHAT_UNKNOWN");
        assert!(!text_of(securechat_status_message(number)).is_empty());
    }
    assert_eq!(securechat_version_number(), SECURECHAT_VERSION_NUMBER);
}

/// A handle that a function makes is not made of a poor config.
#[test]
fn a_config_of_a_wrong_size_is_refused() {
    for row in rows() {
        let laid = row.lay();
        let Some(slot) = laid.kinds.iter().position(|kind| *kind == Slot::Optional).filter(|slot| *slot == 0) else {
            continue;
        };
        for size in [0, 31] {
            let mut config = defaults();
            config.size = size;
            let mut slots = laid.slots.clone();
            slots[slot] = &raw const config as usize;
            assert_eq!((row.call)(&slots), SECURECHAT_ERR_ARGUMENT, "{}", row.name);
            laid.assert_nothing(None, row.name);
        }
    }
}

/// A struct that a later version of the header made larger is taken, and one that is too small is not read beyond its size.
#[test]
fn options_of_a_relay_have_a_size() {
    let known = states::known();
    let identity = import(&known.identity, NOW);
    let make = |options: *const securechat_relay_options| {
        let mut relay = null_mut();
        let status = unsafe { securechat_relay_new(null(), identity, options, null(), 0, NOW, &raw mut relay) };
        unsafe { securechat_relay_free(relay) };
        status
    };
    // The first version of it ended before the lobby.
    let mut small = options();
    small.size = std::mem::offset_of!(securechat_relay_options, lobby) as u32 - 1;
    assert_eq!(make(&raw const small), SECURECHAT_ERR_ARGUMENT);
    #[repr(C)]
    struct Larger(securechat_relay_options, [u64; 4]);
    let mut larger = Larger(options(), [u64::MAX; 4]);
    larger.0.size = size_of::<Larger>() as u32;
    assert_eq!(make((&raw const larger).cast()), SECURECHAT_OK);
    // Four bytes are all that such a program has.
    let least = Box::new(4_u32);
    assert_eq!(make((&raw const *least).cast()), SECURECHAT_ERR_ARGUMENT);
    for change in [
        (|options: &mut securechat_relay_options| options.registration_open = 2) as fn(&mut securechat_relay_options),
        |options| options.dummy_password_len = 0,
        |options| options.lobby = 2,
    ] {
        let mut options = options();
        change(&mut options);
        assert_eq!(make(&raw const options), SECURECHAT_ERR_ARGUMENT);
    }
    let mut null_text = options();
    (null_text.server_password, null_text.server_password_len) = (null(), 5);
    assert_eq!(make(&raw const null_text), SECURECHAT_ERR_NULL);
    unsafe { securechat_identity_free(identity) };
}
