//! What the boundary does with pointers, in little work, so that Miri can watch it: handles, buffers, structs of other sizes and
//! places, lent memory, one piece of memory given twice. CONTRIBUTING.md has the command. `table` has the same and much more of every function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, clippy::undocumented_unsafe_blocks)]

#[allow(unused_imports)] // It has everything.
mod driver;

use driver::*;

/// Few keys, which take most of the time to make.
fn config() -> securechat_config {
    let mut config = defaults();
    (config.suite_count, config.suites[0], config.prekeys_per_device) = (1, SECURECHAT_SUITE_X25519_GCM as u16, 1);
    config
}

fn identity() -> *mut securechat_identity {
    let (config, mut identity) = (config(), null_mut());
    assert_eq!(unsafe { securechat_identity_generate(&raw const config, NOW, &raw mut identity) }, SECURECHAT_OK);
    identity
}

#[test]
fn identities_are_copied_out_and_in() {
    let (config, own) = (config(), identity());
    let (exported, bundle) = (export(own), bundle_of(own));
    let mut again = null_mut();
    unsafe {
        let (data, length) = (exported.as_ptr(), exported.len());
        assert_eq!(securechat_identity_import(&raw const config, data, length, NOW, &raw mut again), SECURECHAT_OK);
        assert_eq!(bundle_of(again), bundle);
        securechat_identity_free(again);
        assert_eq!(securechat_identity_import(null(), data, length - 1, NOW, &raw mut again), SECURECHAT_ERR_RECORD);
        assert!(again.is_null());
        // A struct that the program knows less of, at an odd place.
        let mut part = [0xEE_u8; 42];
        let status = securechat_bundle_read(bundle.as_ptr(), bundle.len(), part.as_mut_ptr().add(1).cast(), 40);
        assert_eq!((status, part[0], part[41]), (SECURECHAT_OK, 0xEE, 0xEE));
        assert_eq!(part[1..33], read_bundle(&bundle).fingerprint);
        securechat_identity_free(own);
        securechat_identity_free(null_mut());
    }
}

#[test]
fn links_lend_output_and_events() {
    let own = identity();
    let ends = open_pair(own, NOW);
    unsafe {
        for round in 0..2_u8 {
            let sent = [round; 100];
            assert_eq!(securechat_link_send(ends[0], sent.as_ptr(), sent.len()), SECURECHAT_OK);
            let (mut data, mut length) = (null(), 0);
            assert_eq!(securechat_link_output(ends[0], &raw mut data, &raw mut length), SECURECHAT_OK);
            // What is lent is read between calls that are const, and given to another handle.
            assert_eq!(text_of(securechat_link_error(ends[0])), "");
            assert_eq!(copied::<1>(data, length).len(), length);
            assert_eq!(securechat_link_input(ends[1], data, length, NOW), SECURECHAT_OK);
            assert_eq!(securechat_link_output_consume(ends[0], length), SECURECHAT_OK);
        }
        // Events in structs as they are, longer, shorter and at an odd place.
        let mut room = [0xEE_u8; size_of::<securechat_event>() + 9];
        let size = size_of::<securechat_event>();
        let event = room.as_mut_ptr().add(1).cast::<securechat_event>();
        assert_eq!(securechat_link_next_event(ends[1], event, size + 8), SECURECHAT_OK);
        let told = event.read_unaligned();
        assert_eq!((told.kind, copied::<1>(told.data, told.data_len)), (SECURECHAT_EVENT_DATA as u32, vec![[0]; 100]));
        assert_eq!(text_of(securechat_link_error(ends[1])), "");
        assert_eq!(copied::<1>(told.data, told.data_len), vec![[0]; 100]);
        let mut kind = u32::MAX;
        assert_eq!(securechat_link_next_event(ends[1], (&raw mut kind).cast(), 4), SECURECHAT_OK);
        assert_eq!(kind, SECURECHAT_EVENT_DATA as u32);
        assert!(link_event(ends[1]).is_none());
        assert_eq!(securechat_link_next_event(ends[1], (&raw mut kind).cast(), 3), SECURECHAT_ERR_ARGUMENT);
        ends.into_iter().for_each(|link| securechat_link_free(link));
        securechat_identity_free(own);
    }
}

#[test]
fn files_are_sealed_where_they_lie() {
    let (mut sender, mut receiver) = (null_mut(), null_mut());
    let (cipher, proof, name) = (SECURECHAT_CIPHER_AES_GCM, SECURECHAT_PROOF_TAGS, c"a.txt".as_ptr());
    unsafe {
        let status = securechat_file_new(null(), cipher, proof, 100, name, 5, null(), 0, &raw mut sender);
        assert_eq!(status, SECURECHAT_OK);
        let offer = copy_out(|buffer, size, length| securechat_file_offer(sender, buffer, size, length));
        let mut room = [9_u8; 400];
        let (place, mut length) = (room.as_mut_ptr(), 0);
        let status = securechat_file_seal_chunk(sender, 0, place, 100, place, 400, &raw mut length);
        assert_eq!(status, SECURECHAT_OK);
        let role = SECURECHAT_FILE_RECEIVER;
        let status = securechat_file_open(null(), role, offer.as_ptr(), offer.len(), null(), 0, &raw mut receiver);
        assert_eq!(status, SECURECHAT_OK);
        let status = securechat_file_open_chunk(receiver, 0, place, length, place, 400, &raw mut length);
        assert_eq!((status, length), (SECURECHAT_OK, 100));
        assert!(room[..100].iter().all(|byte| *byte == 9));
        let mut both = 7;
        let place = &raw mut both;
        assert_eq!(securechat_file_next_missing(receiver, 0, place, place), SECURECHAT_OK);
        securechat_file_free(sender);
        securechat_file_free(receiver);
    }
}

#[test]
fn a_client_lends_its_records_and_a_relay_its_jobs() {
    let (config, own) = (config(), identity());
    let (mut client, mut relay, mut connection) = (null_mut(), null_mut(), 0);
    let options = options();
    unsafe {
        let (config, history) = (&raw const config, SECURECHAT_HISTORY_CONTINUED);
        let (user, key) = (c"alice".as_ptr(), KEY.as_ptr());
        let status = securechat_client_new(config, user, 5, key, null(), 0, history, 0, NOW, &raw mut client);
        assert_eq!(status, SECURECHAT_OK);
        let mut store = Store::new();
        let mut record: securechat_record = std::mem::zeroed();
        loop {
            assert_eq!(securechat_client_next_save(client, &raw mut record), SECURECHAT_OK);
            assert_eq!(text_of(securechat_client_error(client)), "");
            if record.key.is_null() {
                break;
            }
            keep(&mut store, &record);
        }
        assert_eq!(securechat_client_save_done(client), SECURECHAT_OK);
        securechat_client_free(client);
        let records = records_of(&store);
        let (first, count) = (records.as_ptr(), records.len());
        let status = securechat_client_new(config, user, 5, key, first, count, history, 0, NOW, &raw mut client);
        assert_eq!(status, SECURECHAT_OK);
        let sealed = copy_out(|buffer, size, length| {
            securechat_client_seal(client, c"note".as_ptr(), 4, b"data".as_ptr(), 4, buffer, size, length)
        });
        let (mut opened, mut length) = ([0; 4], 0);
        let (data, count) = (sealed.as_ptr(), sealed.len());
        let to = opened.as_mut_ptr();
        let status = securechat_client_open(client, c"note".as_ptr(), 4, data, count, to, 4, &raw mut length);
        assert_eq!((status, length, &opened), (SECURECHAT_OK, 4, b"data"));
        securechat_client_free(client);

        let status = securechat_relay_new(config, own, &raw const options, null(), 0, NOW, &raw mut relay);
        assert_eq!(status, SECURECHAT_OK);
        assert_eq!(securechat_relay_connect(relay, [1; 16].as_ptr(), NOW, &raw mut connection), SECURECHAT_OK);
        let mut job: securechat_job = std::mem::zeroed();
        assert_eq!(securechat_relay_next_job(relay, &raw mut job, size_of_val(&job)), SECURECHAT_OK);
        if job.kind == SECURECHAT_JOB_COMMIT {
            // What a job points to stays until it is completed.
            assert_eq!(securechat_relay_end(relay, connection, NOW), SECURECHAT_OK);
            let records: Vec<securechat_record> = copied_records(&job);
            records.iter().for_each(|record| keep(&mut store, record));
            let outcome = SECURECHAT_OUTCOME_OK;
            assert_eq!(securechat_relay_complete_job(relay, job.id, outcome, null(), 0, NOW), SECURECHAT_OK);
        }
        securechat_relay_free(relay);
        securechat_identity_free(own);
    }
}

fn copied_records(job: &securechat_job) -> Vec<securechat_record> {
    (0..job.records_count).map(|place| unsafe { job.records.add(place).read() }).collect()
}
