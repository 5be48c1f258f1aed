//! Callers and peers that mean harm, or just do things in another order.

use crate::driver::*;
use crate::states::{self, Kind};

fn relay_of(handle: usize) -> *mut securechat_relay {
    handle as *mut securechat_relay
}

fn job_of(relay: *mut securechat_relay) -> securechat_job {
    let mut job: securechat_job = unsafe { std::mem::zeroed() };
    assert_eq!(unsafe { securechat_relay_next_job(relay, &raw mut job, size_of_val(&job)) }, SECURECHAT_OK);
    job
}

fn answer(relay: *mut securechat_relay, job: u64, outcome: u32) -> securechat_status {
    unsafe { securechat_relay_complete_job(relay, job, outcome, c"hash".as_ptr().cast(), 4, NOW) }
}

#[test]
fn a_job_is_completed_once_and_only_when_it_was_given() {
    // Not asked for yet: who names it means another one. A transaction would be lost so.
    let (relay, connection, mut carol) = states::relay_and_client();
    assert_eq!(answer(relay, 1, SECURECHAT_OUTCOME_OK), SECURECHAT_ERR_NOT_FOUND);
    assert_eq!(job_of(relay).id, 1);
    for nonsense in [SECURECHAT_OUTCOME_NO, SECURECHAT_OUTCOME_REHASH, 4, u32::MAX] {
        assert_eq!(answer(relay, 1, nonsense), SECURECHAT_ERR_ARGUMENT);
    }
    for (data, length, refusal) in [
        (c"".as_ptr(), 0, SECURECHAT_ERR_ARGUMENT),
        (c"\xFF".as_ptr(), 1, SECURECHAT_ERR_UTF8),
        (null(), 1, SECURECHAT_ERR_NULL),
    ] {
        let status =
            unsafe { securechat_relay_complete_job(relay, 1, SECURECHAT_OUTCOME_OK, data.cast(), length, NOW) };
        assert_eq!(status, refusal);
    }
    assert_eq!(answer(relay, 1, SECURECHAT_OUTCOME_OK), SECURECHAT_OK);
    assert_eq!(answer(relay, 1, SECURECHAT_OUTCOME_OK), SECURECHAT_ERR_NOT_FOUND);
    states::exchange(&mut carol, relay, connection);
    let next = job_of(relay);
    assert_eq!(next.kind, SECURECHAT_JOB_COMMIT);
    assert_eq!(answer(relay, next.id, SECURECHAT_OUTCOME_NO), SECURECHAT_ERR_ARGUMENT);
    assert_eq!(answer(relay, next.id, SECURECHAT_OUTCOME_OK), SECURECHAT_OK);
    assert_eq!(answer(relay, next.id, SECURECHAT_OUTCOME_OK), SECURECHAT_ERR_NOT_FOUND);
    unsafe { securechat_relay_free(relay) };
}

#[test]
fn after_a_failed_transaction_nothing_is_taken() {
    let relay = states::store_failed();
    let mut number = 1;
    unsafe {
        assert_eq!(securechat_relay_connect(relay, [1; 16].as_ptr(), NOW, &raw mut number), SECURECHAT_ERR_STORE);
        assert_eq!(number, 0);
        assert_eq!(securechat_relay_input(relay, 1, [0; 4].as_ptr(), 4, NOW), SECURECHAT_ERR_STORE);
        assert_eq!(securechat_relay_tick(relay, NOW, &raw mut number), SECURECHAT_ERR_STORE);
        assert_eq!(securechat_relay_shutdown(relay, NOW), SECURECHAT_ERR_STORE);
        assert_eq!(answer(relay, 2, SECURECHAT_OUTCOME_OK), SECURECHAT_ERR_STORE);
        assert!(!text_of(securechat_relay_error(relay)).is_empty());
        securechat_relay_free(relay);
    }
}

#[test]
fn ends_come_twice_and_numbers_never() {
    let relay = relay_of(states::fresh(Kind::Relay));
    let mut last = 1;
    for _ in 0..100 {
        let mut number = 0;
        unsafe {
            assert_eq!(securechat_relay_connect(relay, [1; 16].as_ptr(), NOW, &raw mut number), SECURECHAT_OK);
            assert!(number > last);
            last = number;
            for _ in 0..2 {
                assert_eq!(securechat_relay_end(relay, number, NOW), SECURECHAT_OK);
            }
            // And all that can be done with one that is gone.
            assert_eq!(securechat_relay_input(relay, number, [7; 9].as_ptr(), 9, NOW), SECURECHAT_OK);
            let (mut data, mut length) = (null(), 1);
            assert_eq!(securechat_relay_output(relay, number, &raw mut data, &raw mut length), SECURECHAT_OK);
            assert_eq!((data, length), (null(), 0));
            assert_eq!(securechat_relay_output_consume(relay, number, 1), SECURECHAT_ERR_ARGUMENT);
            assert_eq!(securechat_relay_output_consume(relay, number, 0), SECURECHAT_OK);
        }
    }
    unsafe { securechat_relay_free(relay) };
}

#[test]
fn one_address_has_so_many_connections() {
    let mut config = defaults();
    (config.connections, config.connections_per_address) = (6, 4);
    let (mut relay, identity, options) = (null_mut(), import(&states::known().identity, NOW), options());
    let connect = |relay, address: u8| {
        let mut number = 1;
        let status = unsafe { securechat_relay_connect(relay, [address; 16].as_ptr(), NOW, &raw mut number) };
        (status, number)
    };
    unsafe {
        let (config, options) = (&raw const config, &raw const options);
        let status = securechat_relay_new(config, identity, options, null(), 0, NOW, &raw mut relay);
        assert_eq!(status, SECURECHAT_OK);
        for number in 1..=4 {
            assert_eq!(connect(relay, 1), (SECURECHAT_OK, number));
        }
        assert_eq!(connect(relay, 1), (SECURECHAT_ERR_BUSY, 0));
        // All together: whoever is longest in its handshake makes room, and its end is told.
        for number in 5..=10 {
            assert_eq!(connect(relay, number as u8), (SECURECHAT_OK, number));
        }
        let mut ended = Vec::new();
        let mut event = no_event();
        loop {
            securechat_relay_next_event(relay, &raw mut event, size_of_val(&event));
            match event.kind {
                0 => break,
                _ if event.kind == SECURECHAT_EVENT_RELAY_ENDED as u32 => ended.push(event.connection),
                other => panic!("{other}"),
            }
        }
        assert_eq!(ended, [1, 2, 3, 4]);
        securechat_relay_free(relay);
        securechat_identity_free(identity);
    }
}

/// What is told of connections whose host never asks for events does not grow without end, but for those that are over.
#[test]
fn a_peer_that_comes_and_goes_costs_no_memory() {
    let relay = relay_of(states::fresh(Kind::Relay));
    let count = |relay| {
        let (mut event, mut count) = (no_event(), 0);
        loop {
            assert_eq!(
                unsafe { securechat_relay_next_event(relay, &raw mut event, size_of_val(&event)) },
                SECURECHAT_OK
            );
            if event.kind == 0 {
                return count;
            }
            count += 1;
        }
    };
    count(relay);
    for _ in 0..200 {
        let mut number = 0;
        unsafe {
            assert_eq!(securechat_relay_connect(relay, [1; 16].as_ptr(), NOW, &raw mut number), SECURECHAT_OK);
            securechat_relay_input(relay, number, [0xFF; 64].as_ptr(), 64, NOW);
            securechat_relay_end(relay, number, NOW);
        }
        assert!(count(relay) <= 2);
    }
    unsafe { securechat_relay_free(relay) };
}

/// A reader who is always a little behind: what was written is let go of, although there is always something left.
#[test]
fn output_that_is_never_quite_written_does_not_grow() {
    let identity = import(&states::known().identity, NOW);
    let [link, other] = open_pair(identity, NOW);
    let (piece, mut room) = (vec![1; 16_000], vec![0; 16_050]);
    let mut behind = 0;
    let (mut first, mut length) = (null(), 0);
    let mut places = std::collections::BTreeSet::new();
    for round in 0..400 {
        unsafe {
            assert_eq!(securechat_link_send(link, piece.as_ptr(), piece.len()), SECURECHAT_OK);
            if round == 0 {
                continue;
            }
            let (buffer, size) = (room.as_mut_ptr(), room.len());
            assert_eq!(securechat_link_read_output(link, buffer, size, &raw mut length), SECURECHAT_OK);
            assert!(length > 16_000);
            assert_eq!(securechat_link_output(link, &raw mut first, &raw mut behind), SECURECHAT_OK);
            assert!((1..40_000).contains(&behind), "{behind}");
            places.insert(first as usize);
        }
    }
    // Six megabytes went through a buffer of a few pieces.
    assert!(places.last().unwrap() - places.first().unwrap() < 1 << 20, "the output moves on and on");
    unsafe {
        securechat_link_free(link);
        securechat_link_free(other);
        securechat_identity_free(identity);
    }
}

/// A link that ended while a save kept back its last bytes leaves nothing behind.
#[test]
fn an_ended_link_leaves_no_output() {
    let (relay, connection, mut carol) = states::relay_and_client();
    unsafe {
        // Something to save, a farewell behind it, and then the end.
        let id = carol.send("bob", SECURECHAT_MESSAGE_TEXT, None, b"hello", NOW);
        assert_ne!(id, [0; 16]);
        assert_eq!(securechat_client_close_link(carol.client, carol.link, NOW), SECURECHAT_OK);
        assert_eq!(securechat_client_end(carol.client, carol.link, NOW), SECURECHAT_OK);
        assert_eq!(securechat_relay_end(relay, connection, NOW), SECURECHAT_OK);
        assert_eq!(carol.output(carol.link), []);
        securechat_relay_free(relay);
    }
}

#[test]
fn time_that_runs_backwards_or_out_is_no_fault() {
    for now in [0, 1, NOW - 86_400_000, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
        let mut net = Net::with(&["alice", "bob"]);
        net.now = now;
        for host in 0..2 {
            let client = net.hosts[host].client;
            let mut next = 0;
            let mut id = [0; 16];
            unsafe {
                assert_eq!(securechat_client_tick(client, now, &raw mut next), SECURECHAT_OK, "{now}");
                let status = securechat_client_send(
                    client,
                    c"bob".as_ptr(),
                    3,
                    SECURECHAT_MESSAGE_TEXT,
                    null(),
                    b"hi".as_ptr(),
                    2,
                    now,
                    id.as_mut_ptr(),
                );
                assert_ne!(status, SECURECHAT_ERR_INTERNAL, "{now}");
                assert_ne!(securechat_relay_tick(net.server.relay, now, &raw mut next), SECURECHAT_ERR_INTERNAL);
                assert_ne!(securechat_client_end(client, net.hosts[host].link, now), SECURECHAT_ERR_INTERNAL);
                let mut link = 0;
                let status = securechat_client_connect_peer(client, 0, null(), now, &raw mut link);
                assert_eq!(status, SECURECHAT_OK, "{now}");
            }
        }
        unsafe {
            let mut made = null_mut();
            let status = securechat_identity_generate(null(), now, &raw mut made);
            assert_ne!(status, SECURECHAT_ERR_INTERNAL, "{now}");
            securechat_identity_free(made);
            let identity = import(&states::known().identity, now);
            for (role, own) in [(SECURECHAT_ROLE_INITIATOR, null_mut()), (SECURECHAT_ROLE_RESPONDER, identity)] {
                let (mut link, mut next) = (null_mut(), 0);
                let relay = SECURECHAT_PURPOSE_RELAY;
                let status = securechat_link_new(null(), role, relay, own, null(), now, &raw mut link);
                assert_eq!(status, SECURECHAT_OK, "{now}");
                for then in [0, now, u64::MAX] {
                    assert_ne!(securechat_link_tick(link, then, &raw mut next), SECURECHAT_ERR_INTERNAL);
                }
                securechat_link_free(link);
            }
            let relay = new_relay(identity, &states::known().relay, now);
            let mut number = 0;
            for then in [0, now, u64::MAX, 7] {
                assert_eq!(securechat_relay_connect(relay, [1; 16].as_ptr(), then, &raw mut number), SECURECHAT_OK);
                assert_eq!(securechat_relay_tick(relay, then, &raw mut number), SECURECHAT_OK, "{then}");
            }
            securechat_relay_free(relay);
            securechat_identity_free(identity);
        }
    }
}

/// One place for both out-parameters is a poor idea of the caller's, not a fault of the library.
#[test]
fn one_place_for_two_out_parameters() {
    let file = states::fresh(Kind::Receiver) as *mut securechat_file;
    let mut both = 7;
    let place = &raw mut both;
    assert_eq!(unsafe { securechat_file_next_missing(file, 0, place, place) }, SECURECHAT_OK);
    assert_eq!(both, 1);
    unsafe { securechat_file_free(file) };
}

/// Data may be sealed where it stands.
#[test]
fn input_and_buffer_may_be_one() {
    let file = states::new_file(100);
    let mut room = [0; 1_000];
    room[..100].copy_from_slice(&states::CONTENTS);
    let (pointer, mut length) = (room.as_mut_ptr(), 0);
    let status = unsafe { securechat_file_seal_chunk(file, 0, pointer, 100, pointer, 1_000, &raw mut length) };
    assert_eq!(status, SECURECHAT_OK);
    let offer = copy_out(|buffer, size, length| unsafe { securechat_file_offer(file, buffer, size, length) });
    let mut receiver = null_mut();
    unsafe {
        let role = SECURECHAT_FILE_RECEIVER;
        let status = securechat_file_open(null(), role, offer.as_ptr(), offer.len(), null(), 0, &raw mut receiver);
        assert_eq!(status, SECURECHAT_OK);
        let status = securechat_file_open_chunk(receiver, 0, pointer, length, pointer, 1_000, &raw mut length);
        assert_eq!((status, &room[..length]), (SECURECHAT_OK, &states::CONTENTS[..]));
        securechat_file_free(receiver);
        securechat_file_free(file);
    }
}

/// A file of any size that a config allows: nothing is made in its proportion.
#[test]
fn the_size_of_a_file_costs_nothing() {
    let mut config = defaults();
    config.file_size = u64::MAX;
    for size in [1 << 40, u64::MAX - 1, u64::MAX] {
        let mut file = null_mut();
        unsafe {
            let (config, cipher) = (&raw const config, SECURECHAT_CIPHER_AES_GCM);
            let status = securechat_file_new(config, cipher, 0, size, c"a".as_ptr(), 1, null(), 0, &raw mut file);
            assert_ne!(status, SECURECHAT_ERR_INTERNAL, "{size}");
            for index in [0, 1, u64::MAX / 61_440, u64::MAX] {
                let (mut room, mut length) = ([0; 100], 0);
                let status = securechat_file_save(file, index, room.as_mut_ptr(), 100, &raw mut length);
                assert_ne!(status, SECURECHAT_ERR_INTERNAL);
                let (mut first, mut count) = (0, 0);
                let status = securechat_file_next_missing(file, index, &raw mut first, &raw mut count);
                assert_ne!(status, SECURECHAT_ERR_INTERNAL);
                let status = securechat_file_seal_chunk(file, index, room.as_ptr(), 1, null_mut(), 0, &raw mut length);
                assert_ne!(status, SECURECHAT_ERR_INTERNAL);
            }
            securechat_file_free(file);
        }
    }
}

/// Moves bytes between the far end of a link and a relay's connection until nothing moves; says whether the link opened.
fn talk(link: *mut securechat_link, relay: *mut securechat_relay, connection: u64) -> bool {
    let mut opened = false;
    loop {
        let (mut to_relay, mut to_link, mut length) = ([0; 4_096], [0; 4_096], 0);
        unsafe {
            let status = securechat_link_read_output(link, to_relay.as_mut_ptr(), to_relay.len(), &raw mut length);
            assert_eq!(status, SECURECHAT_OK);
            let sent = length;
            assert_eq!(securechat_relay_input(relay, connection, to_relay.as_ptr(), sent, NOW), SECURECHAT_OK);
            let (buffer, size) = (to_link.as_mut_ptr(), to_link.len());
            let status = securechat_relay_read_output(relay, connection, buffer, size, &raw mut length);
            assert_eq!(status, SECURECHAT_OK);
            assert_eq!(securechat_link_input(link, to_link.as_ptr(), length, NOW), SECURECHAT_OK);
            while let Some(event) = link_event(link) {
                opened |= event.is(SECURECHAT_EVENT_OPEN);
            }
            if sent + length == 0 {
                return opened;
            }
        }
    }
}

/// D8: who ends the handshake and then does nothing makes room for who comes later, as one who never ends it does.
#[test]
fn strangers_keep_nobody_out() {
    let mut config = defaults();
    config.connections = 3;
    let (mut relay, identity, options) = (null_mut(), import(&states::known().identity, NOW), options());
    unsafe {
        let status =
            securechat_relay_new(&raw const config, identity, &raw const options, null(), 0, NOW, &raw mut relay);
        assert_eq!(status, SECURECHAT_OK);
        for number in 1..=9 {
            let mut connection = 0;
            let status = securechat_relay_connect(relay, [number as u8; 16].as_ptr(), NOW, &raw mut connection);
            assert_eq!((status, connection), (SECURECHAT_OK, number));
            let ends = link_pair(identity, NOW);
            assert!(talk(ends[0], relay, connection), "{number}");
            ends.into_iter().for_each(|end| securechat_link_free(end));
        }
        let (mut ended, mut event) = (Vec::new(), no_event());
        while securechat_relay_next_event(relay, &raw mut event, size_of_val(&event)) == SECURECHAT_OK
            && event.kind != 0
        {
            if event.kind == SECURECHAT_EVENT_RELAY_ENDED as u32 {
                ended.push(event.connection);
            }
        }
        assert_eq!(ended, [1, 2, 3, 4, 5, 6]);
        securechat_relay_free(relay);
        securechat_identity_free(identity);
    }
}

/// S10: a store that was emptied does not make a new device of one that was saved once.
#[test]
fn no_records_are_not_those_of_a_known_generation() {
    for (generation, expected) in [(1, SECURECHAT_ERR_RECORD), (0, SECURECHAT_OK)] {
        let mut client = null_mut();
        let (user, history) = (c"alice".as_ptr().cast(), SECURECHAT_HISTORY_AT_LEAST);
        let status = unsafe {
            securechat_client_new(
                null(),
                user,
                5,
                [7; 32].as_ptr(),
                null(),
                0,
                history,
                generation,
                NOW,
                &raw mut client,
            )
        };
        assert_eq!((status, client.is_null()), (expected, expected != SECURECHAT_OK));
        unsafe { securechat_client_free(client) };
    }
}
