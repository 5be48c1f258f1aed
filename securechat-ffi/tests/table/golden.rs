//! What never changes: the numbers of statuses and events, and where the fields of structs stand. A program that was built with an
//! older header depends on all of it.

use crate::driver::*;
use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::Path;

/// Every line of the committed file stands in the current one, in order; lines may only be added.
fn compare(name: &str, current: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("SECURECHAT_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == current,
        "{name} differs from what is committed. Numbers and places never change and are never used again: programs that were \
         built before depend on them. What is new is added at the end, with SECURECHAT_WRITE_GOLDEN=1.\n\
         committed:\n{committed}\ncurrent:\n{current}"
    );
}

#[test]
fn statuses_have_their_numbers() {
    let mut current = String::new();
    for number in 0..1_000 {
        let name = text_of(securechat_status_name(number));
        if name != "SECURECHAT_UNKNOWN" {
            writeln!(current, "{number} {name}").unwrap();
        }
    }
    compare("statuses.txt", &current);
}

#[test]
fn events_and_other_choices_have_their_numbers() {
    let header = include_str!("../../../include/securechat.h");
    let mut current = String::new();
    for line in header.lines().map(str::trim) {
        let row = match line.strip_prefix("#define ") {
            Some(rest) => rest.split_once(' '),
            None => line.strip_suffix(',').and_then(|line| line.split_once(" = ")),
        };
        let Some((name, value)) = row else { continue };
        if name.starts_with("SECURECHAT_") && !name.starts_with("SECURECHAT_ERR") && !name.contains("VERSION") {
            writeln!(current, "{name} {value}").unwrap();
        }
    }
    compare("constants.txt", &current);
}

macro_rules! layout {
    ($out:ident, $name:ident, $($field:ident),*) => {
        writeln!($out, "{} {}", stringify!($name), size_of::<$name>()).unwrap();
        $(
            fn $field(of: &$name) -> usize { size_of_val(&of.$field) }
            let zero: $name = unsafe { std::mem::zeroed() };
            writeln!($out, "    {} at {}, {}", stringify!($field), offset_of!($name, $field), $field(&zero)).unwrap();
        )*
    };
}

#[cfg(target_pointer_width = "64")]
#[test]
fn fields_have_their_places() {
    let mut out = String::new();
    {
        layout!(
            out,
            securechat_event,
            kind,
            link,
            status,
            code,
            request,
            trust,
            presence,
            flags,
            message,
            seconds,
            connection,
            time,
            chunk,
            offset,
            length,
            total,
            id,
            file,
            target,
            device,
            fingerprint,
            expected,
            user,
            user_len,
            data,
            data_len,
            name,
            name_len,
            media_type,
            media_type_len,
            ids,
            ids_count,
            devices,
            devices_count,
            removed,
            removed_count,
            group
        );
    }
    {
        layout!(
            out,
            securechat_config,
            size,
            rsa_bits,
            suite_count,
            suites,
            handshake_timeout,
            rsa_handshakes,
            connections,
            connections_per_address,
            login_timeout,
            idle_timeout,
            prekeys_per_device,
            mailbox_envelopes,
            mailbox_bytes,
            file_size,
            output_queue,
            output_total,
            input_total,
            stall_timeout,
            password_jobs,
            connection_burst,
            connection_every,
            account_burst,
            account_every,
            login_burst,
            login_every,
            register_burst,
            register_every,
            publish_burst,
            publish_every,
            prekey_burst,
            prekey_every,
            blobs_per_account,
            blob_bytes_per_account,
            waiting_messages,
            waiting_bytes,
            file_offers,
            contacts,
            outgoing
        );
    }
    {
        layout!(
            out,
            securechat_bundle,
            fingerprint,
            identity,
            user,
            serial,
            not_before,
            not_after,
            device,
            suite_count
        );
    }
    {
        layout!(out, securechat_address, host, fingerprint, port, pinned);
    }
    {
        layout!(out, securechat_record, key, key_len, value, value_len);
    }
    {
        layout!(out, securechat_client_info, identity, fingerprint, generation, unsent, registered, reserved);
    }
    {
        layout!(out, securechat_contact, user, kept_aside, epoch, trust, has_kept_aside, devices, devices_count);
    }
    {
        layout!(
            out,
            securechat_group,
            group,
            sequence,
            flags,
            name,
            name_len,
            members,
            members_len,
            admins,
            admins_len
        );
    }
    {
        layout!(out, securechat_transfer, file, size, done, state, flags, with, with_len, name, name_len);
    }
    {
        layout!(
            out,
            securechat_file_info,
            id,
            root,
            size,
            count,
            present,
            complete,
            cipher,
            proof,
            reserved,
            name,
            media_type
        );
    }
    {
        layout!(
            out,
            securechat_relay_options,
            size,
            registration_open,
            server_password,
            server_password_len,
            dummy_password,
            dummy_password_len,
            lobby,
            reserved
        );
    }
    {
        layout!(
            out,
            securechat_job,
            kind,
            reserved,
            id,
            password,
            password_len,
            hash,
            hash_len,
            key,
            key_len,
            records,
            records_count
        );
    }
    compare("layout.txt", &out);
}
