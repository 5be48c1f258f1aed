//! A whole conversation through C: accounts, messages of each kind, files, devices, restarts.

use crate::driver::*;

const ALICE: usize = 0;
const BOB: usize = 1;

#[test]
fn messages_of_every_kind() {
    let mut net = Net::with(&["alice", "bob"]);
    let hosts = |net: &mut Net, kind: u32, target: Option<[u8; 16]>, data: &[u8]| {
        let id = net.hosts[ALICE].send("bob", kind, target, data, net.now);
        net.settle();
        let told = net.hosts[BOB].one(SECURECHAT_EVENT_MESSAGE);
        assert_eq!((told.user.as_str(), told.event.message, told.event.id), ("alice", kind, id));
        assert_eq!(told.event.target, target.unwrap_or_default());
        assert_eq!(told.event.device, net.hosts[ALICE].about().identity);
        assert_eq!(told.event.trust, SECURECHAT_TRUST_SEEN);
        assert_eq!(told.event.time, net.now);
        assert_eq!(net.hosts[ALICE].one(SECURECHAT_EVENT_SENT).event.id, id);
        let delivered = net.hosts[ALICE].one(SECURECHAT_EVENT_DELIVERED);
        assert_eq!((delivered.user.as_str(), delivered.ids), ("bob", vec![id]));
        assert_eq!(told.data, data);
        (id, told.event.flags)
    };
    let (text, _) = hosts(&mut net, SECURECHAT_MESSAGE_TEXT, None, "grüße\n\0 and a zero".as_bytes());
    hosts(&mut net, SECURECHAT_MESSAGE_EDIT, Some(text), b"another text");
    hosts(&mut net, SECURECHAT_MESSAGE_REACTION, Some(text), "🙂".as_bytes());
    let (_, flags) = hosts(&mut net, SECURECHAT_MESSAGE_UNREACT, Some(text), "🙂".as_bytes());
    assert_eq!(flags, SECURECHAT_FLAG_REMOVED);
    hosts(&mut net, SECURECHAT_MESSAGE_DELETE, Some(text), b"");
    hosts(&mut net, SECURECHAT_MESSAGE_PROFILE, None, b"Alice");
    hosts(&mut net, 0x8001, None, &[0, 255, 128]);
    hosts(&mut net, 0xFFFF, None, b"");

    let none = net.hosts[BOB].send("alice", SECURECHAT_MESSAGE_READ, None, &text, net.now);
    assert_eq!(none, [0; 16]);
    net.settle();
    let read = net.hosts[ALICE].one(SECURECHAT_EVENT_READ);
    assert_eq!((read.user.as_str(), read.ids), ("bob", vec![text]));

    net.hosts[BOB].send("alice", SECURECHAT_MESSAGE_TYPING, None, b"", net.now);
    net.settle();
    let typing = net.hosts[ALICE].one(SECURECHAT_EVENT_TYPING);
    assert_eq!((typing.user.as_str(), typing.event.flags), ("bob", SECURECHAT_FLAG_ACTIVE));
    net.hosts[BOB].send("alice", SECURECHAT_MESSAGE_STOPPED_TYPING, None, b"", net.now);
    net.settle();
    assert_eq!(net.hosts[ALICE].one(SECURECHAT_EVENT_TYPING).event.flags, 0);
    assert_eq!(net.hosts[ALICE].about().unsent, 0);
}

#[test]
fn a_file_from_end_to_end() {
    let mut net = Net::with(&["alice", "bob"]);
    let contents: Vec<u8> = (0..150_000_u32).map(|place| (place.wrapping_mul(place) >> 7) as u8).collect();
    let (mut file, mut id) = ([0; 16], [0; 16]);
    let (name, media) = ("../../pictures/cat\u{202e}.png", "image/png");
    let status = unsafe {
        let (client, to) = (net.hosts[ALICE].client, c"bob".as_ptr());
        let (name_pointer, media_pointer, size) = (name.as_ptr().cast(), media.as_ptr().cast(), contents.len() as u64);
        let (name_length, media_length) = (name.len(), media.len());
        let (file, id) = (file.as_mut_ptr(), id.as_mut_ptr());
        securechat_client_send_file(
            client,
            to,
            3,
            name_pointer,
            name_length,
            size,
            media_pointer,
            media_length,
            net.now,
            file,
            id,
        )
    };
    assert_eq!(status, SECURECHAT_OK);
    net.files.insert(file, contents.clone());
    net.settle();
    let offered = net.hosts[BOB].one(SECURECHAT_EVENT_FILE_OFFERED);
    assert_eq!((offered.event.id, offered.event.total), (id, contents.len() as u64));
    assert_eq!(
        (offered.name.as_str(), offered.media_type.as_str(), offered.user.as_str()),
        ("cat.png", media, "alice")
    );
    let status = unsafe { securechat_client_accept_file(net.hosts[BOB].client, offered.event.file.as_ptr(), net.now) };
    assert_eq!(status, SECURECHAT_OK);
    net.settle();
    let mut received = vec![0; contents.len()];
    for chunk in net.hosts[BOB].take(SECURECHAT_EVENT_FILE_CHUNK) {
        let offset = chunk.event.offset as usize;
        assert_eq!(chunk.event.length as usize, chunk.data.len());
        received[offset..offset + chunk.data.len()].copy_from_slice(&chunk.data);
    }
    assert!(received == contents);
    assert_eq!(net.hosts[BOB].one(SECURECHAT_EVENT_FILE_RECEIVED).event.file, offered.event.file);
    assert_eq!(net.hosts[ALICE].one(SECURECHAT_EVENT_FILE_SENT).event.file, file);
    assert!(net.server.done[SECURECHAT_JOB_LOAD as usize] > 0, "no chunk was loaded from the store");
}

fn safety_number(host: &Host, user: &str, now: u64) -> Result<String, securechat_status> {
    let mut digits = [1; 61];
    let (client, name) = (host.client, user.as_ptr().cast());
    let status = unsafe { securechat_client_safety_number(client, name, user.len(), now, digits.as_mut_ptr()) };
    match status {
        SECURECHAT_OK => Ok(text_of(digits.as_ptr()).to_owned()),
        failed => {
            assert_eq!(digits, [0; 61]);
            Err(failed)
        }
    }
}

fn contact(host: &Host, user: &str) -> (securechat_contact, Vec<[u8; 32]>) {
    let mut contact: securechat_contact = unsafe { std::mem::zeroed() };
    let (name, length, size) = (user.as_ptr().cast(), user.len(), size_of_val(&contact));
    let status = unsafe { securechat_client_contact(host.client, name, length, 0, &raw mut contact, size) };
    assert_eq!(status, SECURECHAT_OK);
    (contact, copied(contact.devices, contact.devices_count))
}

#[test]
fn a_safety_number_and_what_follows() {
    let mut net = Net::with(&["alice", "bob"]);
    assert_eq!(safety_number(&net.hosts[ALICE], "bob", NOW), Err(SECURECHAT_ERR_UNKNOWN_USER));
    net.hosts[ALICE].send("bob", SECURECHAT_MESSAGE_TEXT, None, b"hello", net.now);
    net.settle();
    net.hosts[BOB].send("alice", SECURECHAT_MESSAGE_TEXT, None, b"hello", net.now);
    net.settle();
    let mut numbers = [String::new(), String::new()];
    for (host, other) in [(ALICE, "bob"), (BOB, "alice")] {
        let mut number = safety_number(&net.hosts[host], other, net.now);
        if number == Err(SECURECHAT_ERR_DEVICE_LIST_OUT_OF_DATE) {
            net.settle();
            number = safety_number(&net.hosts[host], other, net.now);
        }
        numbers[host] = number.unwrap();
    }
    assert_eq!(numbers[0], numbers[1]);
    assert_eq!((numbers[0].len(), numbers[0].bytes().all(|digit| digit.is_ascii_digit())), (60, true));

    // And the one that is computed of the devices alone.
    let (_, own) = contact(&net.hosts[ALICE], "alice");
    let (_, others) = contact(&net.hosts[ALICE], "bob");
    let mut digits = [0; 61];
    let status = unsafe {
        let (own, others) = (own[0].as_ptr(), others[0].as_ptr());
        securechat_safety_number(c"bob".as_ptr(), 3, others, 1, c"alice".as_ptr(), 5, own, 1, digits.as_mut_ptr())
    };
    assert_eq!((status, text_of(digits.as_ptr())), (SECURECHAT_OK, numbers[0].as_str()));

    let status = unsafe { securechat_client_mark_verified(net.hosts[ALICE].client, c"bob".as_ptr(), 3, net.now) };
    assert_eq!(status, SECURECHAT_OK);
    net.hosts[BOB].send("alice", SECURECHAT_MESSAGE_TEXT, None, b"again", net.now);
    net.settle();
    let told = net.hosts[ALICE].take(SECURECHAT_EVENT_MESSAGE);
    assert_eq!(told.last().unwrap().event.trust, SECURECHAT_TRUST_VERIFIED);
    assert_eq!(contact(&net.hosts[ALICE], "bob").0.trust, SECURECHAT_TRUST_VERIFIED);
}

#[test]
fn a_second_device() {
    let mut net = Net::with(&["alice", "bob"]);
    net.hosts[BOB].send("alice", SECURECHAT_MESSAGE_TEXT, None, b"one device", net.now);
    net.settle();
    let second = net.add(Host::new("alice", NOW));
    let password = "a long password";
    let status = unsafe {
        let (client, password_pointer) = (net.hosts[second].client, password.as_ptr().cast());
        securechat_client_log_in(client, password_pointer, password.len(), SECURECHAT_NO_CODE, net.now)
    };
    assert_eq!(status, SECURECHAT_OK);
    net.settle();
    assert_eq!(net.hosts[second].one(SECURECHAT_EVENT_LOGGED_IN).event.flags, 0);
    let proposed = net.hosts[ALICE].one(SECURECHAT_EVENT_DEVICE_PROPOSED);
    let about = net.hosts[second].about();
    assert_eq!((proposed.event.device, proposed.event.fingerprint), (about.identity, about.fingerprint));
    let list = |net: &mut Net, listed| {
        let status =
            unsafe { securechat_client_list_device(net.hosts[ALICE].client, about.identity.as_ptr(), listed, net.now) };
        assert_eq!(status, SECURECHAT_OK);
        net.settle();
    };
    list(&mut net, 1);
    net.hosts[BOB].send("alice", SECURECHAT_MESSAGE_TEXT, None, b"two devices", net.now);
    net.settle();
    for device in [ALICE, second] {
        let told = net.hosts[device].take(SECURECHAT_EVENT_MESSAGE);
        assert_eq!(told.last().unwrap().data, b"two devices", "device {device}");
    }
    net.hosts[ALICE].send("bob", SECURECHAT_MESSAGE_TEXT, None, b"from the first", net.now);
    net.settle();
    let copy = net.hosts[second].one(SECURECHAT_EVENT_SENT_COPY);
    assert_eq!((copy.user.as_str(), copy.data.as_slice()), ("bob", &b"from the first"[..]));
    assert_eq!(contact(&net.hosts[BOB], "alice").1.len(), 2);

    list(&mut net, 0);
    assert_eq!(net.hosts[second].one(SECURECHAT_EVENT_CLOSED_BY_PEER).event.code, SECURECHAT_CLOSE_REVOKED);
}

#[test]
fn a_client_goes_on_from_its_records() {
    let mut net = Net::with(&["alice", "bob"]);
    net.hosts[ALICE].send("bob", SECURECHAT_MESSAGE_TEXT, None, b"before", net.now);
    net.settle();
    let before = net.hosts[BOB].about();
    net.restart(BOB);
    let waiting = net.hosts[ALICE].send("bob", SECURECHAT_MESSAGE_TEXT, None, b"while away", net.now);
    net.settle();
    net.connect(BOB);
    net.settle();
    let told = net.hosts[BOB].one(SECURECHAT_EVENT_MESSAGE);
    assert_eq!((told.event.id, told.data.as_slice()), (waiting, &b"while away"[..]));
    let after = net.hosts[BOB].about();
    assert_eq!((after.identity, after.registered), (before.identity, 1));
    assert!(after.generation > before.generation);

    // An older copy of the records is told as one, where the program kept the generation.
    let (mut client, records) = (null_mut(), records_of(&net.hosts[BOB].store));
    let status = unsafe {
        let (records, count) = (records.as_ptr(), records.len());
        let (history, generation) = (SECURECHAT_HISTORY_AT_LEAST, after.generation + 10);
        securechat_client_new(
            null(),
            c"bob".as_ptr(),
            3,
            KEY.as_ptr(),
            records,
            count,
            history,
            generation,
            NOW,
            &raw mut client,
        )
    };
    assert_eq!(status, SECURECHAT_OK);
    let mut event = no_event();
    unsafe {
        assert_eq!(securechat_client_next_event(client, &raw mut event, size_of_val(&event)), SECURECHAT_OK);
        assert_eq!(event.kind, SECURECHAT_EVENT_RESTORED as u32);
        securechat_client_free(client);
    }
}

#[test]
fn a_key_is_changed() {
    let mut host = Host::new("alice", NOW);
    let new_key = [9; 32];
    assert_eq!(unsafe { securechat_client_rekey(host.client, new_key.as_ptr()) }, SECURECHAT_OK);
    host.save();
    let records = records_of(&host.store);
    for (key, expected) in [(KEY, SECURECHAT_ERR_DECRYPT), (new_key, SECURECHAT_OK)] {
        let mut client = null_mut();
        let status = unsafe {
            let (records, count) = (records.as_ptr(), records.len());
            let (user, history) = (c"alice".as_ptr(), SECURECHAT_HISTORY_CONTINUED);
            securechat_client_new(null(), user, 5, key.as_ptr(), records, count, history, 0, NOW, &raw mut client)
        };
        assert_eq!((status, client.is_null()), (expected, expected != SECURECHAT_OK));
        unsafe { securechat_client_free(client) };
    }
}

#[test]
fn a_relay_starts_again_with_mail_that_waits() {
    let mut net = Net::with(&["alice", "bob"]);
    net.cut(BOB);
    let id = net.hosts[ALICE].send("bob", SECURECHAT_MESSAGE_TEXT, None, b"mail", net.now);
    net.settle();
    assert_eq!(net.hosts[ALICE].one(SECURECHAT_EVENT_SENT).event.id, id);
    net.restart_relay();
    net.connect(BOB);
    let told = net.hosts[BOB].one(SECURECHAT_EVENT_MESSAGE);
    assert_eq!((told.event.id, told.data.as_slice()), (id, &b"mail"[..]));
    net.connect(ALICE);
    assert_eq!(net.hosts[ALICE].one(SECURECHAT_EVENT_DELIVERED).ids, [id]);
}

#[test]
fn passwords_codes_presence_and_users() {
    let mut net = Net::with(&["alice", "bob"]);
    let (alice, now) = (net.hosts[ALICE].client, net.now);
    let (old, new) = ("a long password", "another long password");
    unsafe {
        let (old_pointer, new_pointer) = (old.as_ptr().cast(), new.as_ptr().cast());
        let status = securechat_client_change_password(alice, old_pointer, old.len(), new_pointer, new.len(), now);
        assert_eq!(status, SECURECHAT_OK);
        net.settle();
        assert_eq!(net.hosts[ALICE].one(SECURECHAT_EVENT_DONE).event.request, SECURECHAT_REQUEST_CHANGE_PASSWORD);
        let status = securechat_client_set_up_code(alice, old_pointer, old.len(), SECURECHAT_NO_CODE, now);
        assert_eq!(status, SECURECHAT_OK);
        net.settle();
        let refused = net.hosts[ALICE].one(SECURECHAT_EVENT_REFUSED);
        assert_eq!(refused.event.code, SECURECHAT_REFUSAL_CREDENTIALS);
        let status = securechat_client_set_up_code(alice, new_pointer, new.len(), SECURECHAT_NO_CODE, now);
        assert_eq!(status, SECURECHAT_OK);
        net.settle();
        assert_eq!(net.hosts[ALICE].one(SECURECHAT_EVENT_CODE_SECRET).data.len(), 20);
        assert_eq!(securechat_client_list_users(alice, now), SECURECHAT_OK);
        net.settle();
    }
    let users = net.hosts[ALICE].take(SECURECHAT_EVENT_USER);
    let names: Vec<&str> = users.iter().map(|told| told.user.as_str()).collect();
    assert_eq!(names, ["alice", "bob"]);
    assert_eq!(users[0].event.flags, 0);
    assert_eq!(users[1].event.flags, SECURECHAT_FLAG_LAST);
}
