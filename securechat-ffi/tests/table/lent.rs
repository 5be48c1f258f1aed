//! What is lent stays as it is until the next call on the handle that is not const: through calls that are, and through calls
//! on others.

use crate::driver::*;
use crate::states;

/// Reads the same bytes again and again, with const calls between.
fn stays(read: impl Fn() -> Vec<u8>, error: impl Fn() -> *const std::ffi::c_char) {
    let first = read();
    for _ in 0..20 {
        text_of(error());
        assert_eq!(read(), first);
    }
}

fn told(event: &securechat_event) -> Vec<u8> {
    let told = Told::copy(event);
    let ids = told.ids.concat();
    [
        told.user.into_bytes(),
        told.data,
        told.name.into_bytes(),
        told.media_type.into_bytes(),
        ids,
        told.devices.concat(),
    ]
    .concat()
}

#[test]
fn what_a_link_lends() {
    let identity = import(&states::known().identity, NOW);
    let ends = link_pair(identity, NOW);
    let mut event = no_event();
    unsafe {
        let error = || securechat_link_error(ends[0]);
        for _ in 0..4 {
            for (from, to) in [(ends[0], ends[1]), (ends[1], ends[0])] {
                let (mut data, mut length) = (null(), 0);
                assert_eq!(securechat_link_output(from, &raw mut data, &raw mut length), SECURECHAT_OK);
                stays(|| copied::<1>(data, length).concat(), || securechat_link_error(from));
                assert_eq!(securechat_link_input(to, data, length, NOW), SECURECHAT_OK);
                assert_eq!(securechat_link_output_consume(from, length), SECURECHAT_OK);
            }
        }
        // The channel binding stands in the handle itself.
        assert_eq!(securechat_link_next_event(ends[0], &raw mut event, size_of_val(&event)), SECURECHAT_OK);
        assert_eq!((event.kind, event.data_len), (SECURECHAT_EVENT_OPEN as u32, 32));
        stays(|| told(&event), error);
        assert_eq!(securechat_link_send(ends[1], b"hello".as_ptr(), 5), SECURECHAT_OK);
        let (mut data, mut length) = (null(), 0);
        assert_eq!(securechat_link_output(ends[1], &raw mut data, &raw mut length), SECURECHAT_OK);
        assert_eq!(securechat_link_input(ends[0], data, length, NOW), SECURECHAT_OK);
        assert_eq!(securechat_link_next_event(ends[0], &raw mut event, size_of_val(&event)), SECURECHAT_OK);
        assert_eq!(event.kind, SECURECHAT_EVENT_DATA as u32);
        stays(|| told(&event), error);
        ends.iter().for_each(|link| securechat_link_free(*link));
        securechat_identity_free(identity);
    }
}

#[test]
fn what_a_client_lends() {
    let client = new_client("alice", &states::known().alice, NOW);
    let error = || unsafe { securechat_client_error(client) };
    unsafe {
        let mut record: securechat_record = std::mem::zeroed();
        assert_eq!(securechat_client_rekey(client, KEY.as_ptr()), SECURECHAT_OK);
        assert_eq!(securechat_client_next_save(client, &raw mut record), SECURECHAT_OK);
        stays(|| copied::<1>(record.value, record.value_len).concat(), error);
        stays(|| copied::<1>(record.key.cast(), record.key_len).concat(), error);
        let mut contact: securechat_contact = std::mem::zeroed();
        let size = size_of_val(&contact);
        assert_eq!(securechat_client_contact(client, c"bob".as_ptr(), 3, 0, &raw mut contact, size), SECURECHAT_OK);
        assert_eq!(contact.devices_count, 1);
        stays(|| copied::<32>(contact.devices, contact.devices_count).concat(), error);
        let mut group: securechat_group = std::mem::zeroed();
        let size = size_of_val(&group);
        assert_eq!(securechat_client_group(client, null(), 0, 0, &raw mut group, size), SECURECHAT_OK);
        stays(|| copied::<1>(group.name.cast(), group.name_len).concat(), error);
        stays(|| copied::<1>(group.members.cast(), group.members_len).concat(), error);
        stays(|| copied::<1>(group.admins.cast(), group.admins_len).concat(), error);
        let mut transfer: securechat_transfer = std::mem::zeroed();
        let size = size_of_val(&transfer);
        assert_eq!(securechat_client_transfer(client, null(), 0, &raw mut transfer, size), SECURECHAT_OK);
        stays(|| copied::<1>(transfer.with.cast(), transfer.with_len).concat(), error);
        stays(|| copied::<1>(transfer.name.cast(), transfer.name_len).concat(), error);
        securechat_client_free(client);
    }
}

#[test]
fn what_a_relay_lends() {
    let (relay, connection, mut carol) = states::relay_and_client();
    let error = || unsafe { securechat_relay_error(relay) };
    let mut job: securechat_job = unsafe { std::mem::zeroed() };
    unsafe {
        assert_eq!(securechat_relay_next_job(relay, &raw mut job, size_of_val(&job)), SECURECHAT_OK);
        let password = || copied::<1>(job.password.cast(), job.password_len).concat();
        assert_eq!(password(), b"a long password");
        stays(password, error);
        // What a job points to stays over other calls too, until it is completed.
        let mut next = 0;
        for _ in 0..20 {
            assert_eq!(securechat_relay_tick(relay, NOW, &raw mut next), SECURECHAT_OK);
            assert_eq!(securechat_relay_connect(relay, [3; 16].as_ptr(), NOW, &raw mut next), SECURECHAT_OK);
            assert_eq!(securechat_relay_end(relay, next, NOW), SECURECHAT_OK);
            assert_eq!(password(), b"a long password");
        }
        let hash = c"hash".as_ptr().cast();
        assert_eq!(securechat_relay_complete_job(relay, job.id, 0, hash, 4, NOW), SECURECHAT_OK);
        assert_eq!(securechat_relay_next_job(relay, &raw mut job, size_of_val(&job)), SECURECHAT_OK);
        assert_eq!(job.kind, SECURECHAT_JOB_COMMIT);
        let records = || {
            let records = std::slice::from_raw_parts(job.records, job.records_count);
            records.iter().flat_map(|record| copied::<1>(record.value, record.value_len).concat()).collect::<Vec<u8>>()
        };
        let first = records();
        assert_eq!(securechat_relay_tick(relay, NOW, &raw mut next), SECURECHAT_OK);
        assert_eq!(records(), first);
        stays(records, error);
        assert_eq!(securechat_relay_complete_job(relay, job.id, 0, null(), 0, NOW), SECURECHAT_OK);
        states::exchange(&mut carol, relay, connection);
        let mut event = no_event();
        let mut named = 0;
        loop {
            assert_eq!(securechat_relay_next_event(relay, &raw mut event, size_of_val(&event)), SECURECHAT_OK);
            if event.kind == 0 {
                break;
            }
            named += usize::from(event.user_len > 0);
            stays(|| told(&event), error);
        }
        assert!(named > 0);
        securechat_relay_free(relay);
    }
}
