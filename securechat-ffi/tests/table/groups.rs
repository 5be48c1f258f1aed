//! Groups and files on their way, through C.

use crate::driver::*;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// What is known of a group, with what it lends.
fn known(host: &Host, group: &str) -> Result<(securechat_group, String, String, String), securechat_status> {
    let mut info: securechat_group = unsafe { std::mem::zeroed() };
    let (name, length, size) = (group.as_ptr().cast(), group.len(), size_of_val(&info));
    let status = unsafe { securechat_client_group(host.client, name, length, 0, &raw mut info, size) };
    if status != SECURECHAT_OK {
        return Err(status);
    }
    let text = |pointer: *const _, length| String::from_utf8(copied::<1>(pointer, length).concat()).unwrap();
    let name = text(info.name.cast(), info.name_len);
    let members = text(info.members.cast(), info.members_len);
    assert_eq!(text_of(info.group.as_ptr()), group);
    Ok((info, name, members, text(info.admins.cast(), info.admins_len)))
}

/// How many groups are known.
fn count(host: &Host) -> usize {
    let mut info: securechat_group = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    let mut known = 0;
    while unsafe { securechat_client_group(host.client, null(), 0, known, &raw mut info, size) } == SECURECHAT_OK {
        known += 1;
    }
    known
}

/// A group of alice's with bob and carol.
fn walk() -> (Net, String) {
    let mut net = Net::with(&["alice", "bob", "carol"]);
    let group = net.hosts[ALICE].create_group("a walk", false, net.now);
    assert_eq!((group.len(), group.starts_with('#')), (33, true));
    net.settle();
    assert_eq!(net.hosts[ALICE].one(SECURECHAT_EVENT_GROUP_JOINED).group, group);
    assert_eq!(net.hosts[ALICE].change_group(&group, SECURECHAT_CHANGE_ADD, "bob carol", net.now), SECURECHAT_OK);
    net.settle();
    for host in [BOB, CAROL] {
        let joined = net.hosts[host].one(SECURECHAT_EVENT_GROUP_JOINED);
        assert_eq!((joined.group, joined.event.flags), (group.clone(), SECURECHAT_FLAG_IN_GROUP));
    }
    let changed = net.hosts[ALICE].one(SECURECHAT_EVENT_GROUP_CHANGED);
    assert_eq!((changed.event.code, changed.user.as_str()), (SECURECHAT_CHANGE_ADD, "alice"));
    assert_eq!((changed.data.as_slice(), changed.group), (&b"bob carol"[..], group.clone()));
    (net, group)
}

#[test]
fn messages_in_a_group() {
    let (mut net, group) = walk();
    let text = net.hosts[BOB].send(&group, SECURECHAT_MESSAGE_TEXT, None, "grüße".as_bytes(), net.now);
    net.settle();
    for host in [ALICE, CAROL] {
        let told = net.hosts[host].one(SECURECHAT_EVENT_MESSAGE);
        assert_eq!((told.user.as_str(), told.event.message, told.event.id), ("bob", SECURECHAT_MESSAGE_TEXT, text));
        assert_eq!((told.group, told.event.flags), (group.clone(), SECURECHAT_FLAG_IN_GROUP));
        assert_eq!(told.data, "grüße".as_bytes());
    }
    assert_eq!(net.hosts[BOB].one(SECURECHAT_EVENT_SENT).event.id, text);
    for (kind, data) in [
        (SECURECHAT_MESSAGE_EDIT, &b"another"[..]),
        (SECURECHAT_MESSAGE_REACTION, b"+1"),
        (SECURECHAT_MESSAGE_DELETE, b""),
        (0x8001, &[0, 255]),
    ] {
        let target = (kind != 0x8001).then_some(text);
        net.hosts[BOB].send(&group, kind, target, data, net.now);
        net.settle();
        let told = net.hosts[CAROL].one(SECURECHAT_EVENT_MESSAGE);
        assert_eq!(
            (told.event.message, told.event.target, told.data),
            (kind, target.unwrap_or_default(), data.to_vec())
        );
        assert_eq!(told.group, group);
    }
    assert!(net.hosts.iter().all(|host| !host.told.iter().any(|told| told.is(SECURECHAT_EVENT_DELIVERED))));
    // From one to one there is no group.
    net.hosts[BOB].send("alice", SECURECHAT_MESSAGE_TEXT, None, b"psst", net.now);
    net.settle();
    let told = net.hosts[ALICE].take(SECURECHAT_EVENT_MESSAGE).pop().unwrap();
    assert_eq!((told.group.as_str(), told.event.flags), ("", 0));
}

#[test]
fn changes_of_a_group() {
    let (mut net, group) = walk();
    let change = |net: &mut Net, host: usize, change, value: &str| {
        let status = net.hosts[host].change_group(&group, change, value, net.now);
        net.settle();
        status
    };
    let (info, name, members, admins) = known(&net.hosts[BOB], &group).unwrap();
    assert_eq!((name.as_str(), members.as_str(), admins.as_str()), ("a walk", "alice bob carol", "alice"));
    assert_eq!((info.flags, info.sequence), (SECURECHAT_GROUP_MEMBER, 1));
    let not = SECURECHAT_ERR_NOT_PERMITTED;
    assert_eq!(change(&mut net, BOB, SECURECHAT_CHANGE_RENAME, "mine"), not);
    assert_eq!(change(&mut net, ALICE, SECURECHAT_CHANGE_ADMIN, "bob"), SECURECHAT_OK);
    assert_eq!(change(&mut net, BOB, SECURECHAT_CHANGE_RENAME, "a hike"), SECURECHAT_OK);
    assert_eq!(change(&mut net, BOB, SECURECHAT_CHANGE_NO_ADMIN, "alice"), SECURECHAT_OK);
    assert_eq!(change(&mut net, ALICE, SECURECHAT_CHANGE_REMOVE, "carol"), not);
    let told: Vec<_> = net.hosts[CAROL]
        .take(SECURECHAT_EVENT_GROUP_CHANGED)
        .into_iter()
        .map(|told| (told.event.code, told.user, String::from_utf8(told.data).unwrap()))
        .collect();
    let row = |code, by: &str, value: &str| (code, by.to_owned(), value.to_owned());
    assert_eq!(
        told,
        [
            row(SECURECHAT_CHANGE_ADMIN, "alice", "bob"),
            row(SECURECHAT_CHANGE_RENAME, "bob", "a hike"),
            row(SECURECHAT_CHANGE_NO_ADMIN, "bob", "alice"),
        ]
    );
    let (_, name, _, admins) = known(&net.hosts[CAROL], &group).unwrap();
    assert_eq!((name.as_str(), admins.as_str()), ("a hike", "bob"));

    // Who leaves knows the group still, and writes there no more.
    assert_eq!(change(&mut net, CAROL, SECURECHAT_CHANGE_REMOVE, "carol"), SECURECHAT_OK);
    let (info, _, members, _) = known(&net.hosts[CAROL], &group).unwrap();
    assert_eq!((info.flags, members.as_str(), count(&net.hosts[CAROL])), (0, "alice bob", 1));
    let removed = net.hosts[ALICE].take(SECURECHAT_EVENT_GROUP_CHANGED).pop().unwrap();
    assert_eq!((removed.event.code, removed.user.as_str()), (SECURECHAT_CHANGE_REMOVE, "carol"));
    let (client, mut id) = (net.hosts[CAROL].client, [1; 16]);
    let status = unsafe {
        let (to, length, data) = (group.as_ptr().cast(), group.len(), b"me too".as_ptr());
        securechat_client_send(client, to, length, SECURECHAT_MESSAGE_TEXT, null(), data, 6, net.now, id.as_mut_ptr())
    };
    assert_eq!((status, id), (SECURECHAT_ERR_NOT_PERMITTED, [0; 16]));
}

#[test]
fn what_is_no_change() {
    let (mut net, group) = walk();
    let now = net.now;
    let alice = &mut net.hosts[ALICE];
    for (called, change, value, expected) in [
        ("alice", SECURECHAT_CHANGE_ADD, "dora", SECURECHAT_ERR_ARGUMENT),
        (&group[1..], SECURECHAT_CHANGE_ADD, "dora", SECURECHAT_ERR_ARGUMENT),
        ("#12", SECURECHAT_CHANGE_ADD, "dora", SECURECHAT_ERR_UNKNOWN_VALUE),
        ("#00000000000000000000000000000000", SECURECHAT_CHANGE_ADD, "dora", SECURECHAT_ERR_NOT_FOUND),
        (&group, SECURECHAT_CHANGE_ADD, "", SECURECHAT_ERR_USER_NAME),
        (&group, SECURECHAT_CHANGE_ADD, "dora  eve", SECURECHAT_ERR_USER_NAME),
        (&group, SECURECHAT_CHANGE_ADD, "bob", SECURECHAT_ERR_NOT_PERMITTED),
        (&group, SECURECHAT_CHANGE_REMOVE, "alice", SECURECHAT_ERR_NOT_PERMITTED),
        (&group, SECURECHAT_CHANGE_ADMIN, "bob carol", SECURECHAT_ERR_USER_NAME),
        (&group, SECURECHAT_CHANGE_ADD, "dora dora", SECURECHAT_ERR_TOO_LARGE),
        (&group, SECURECHAT_CHANGE_RENAME, "", SECURECHAT_ERR_TOO_LARGE),
        (&group, SECURECHAT_CHANGE_JOIN, "", SECURECHAT_ERR_WRONG_STATE),
        (&group, SECURECHAT_CHANGE_FIRST_SIDE, "", SECURECHAT_ERR_NOT_FOUND),
        (&group, SECURECHAT_CHANGE_OTHER_SIDE, "", SECURECHAT_ERR_NOT_FOUND),
        (&group, 0, "", SECURECHAT_ERR_ARGUMENT),
    ] {
        assert_eq!(alice.change_group(called, change, value, now), expected, "{called} {change} {value}");
    }
    assert_eq!(known(alice, "#00000000000000000000000000000000").err(), Some(SECURECHAT_ERR_NOT_FOUND));
    for kind in [SECURECHAT_MESSAGE_TYPING, SECURECHAT_MESSAGE_STOPPED_TYPING, SECURECHAT_MESSAGE_READ] {
        let (to, length, mut id) = (group.as_ptr().cast(), group.len(), [1; 16]);
        let status =
            unsafe { securechat_client_send(alice.client, to, length, kind, null(), null(), 0, now, id.as_mut_ptr()) };
        assert_eq!((status, id), (SECURECHAT_ERR_CONTENT_KIND, [0; 16]));
    }
    net.settle();
    assert!(net.hosts[BOB].take(SECURECHAT_EVENT_GROUP_CHANGED).is_empty());
}

/// G3: the relay's lobby is offered to whoever comes, who joins it or not.
#[test]
fn the_lobby_of_a_relay() {
    let mut net = Net::with(&["alice"]);
    let lobby = net.hosts[ALICE].create_group("everyone", true, net.now);
    net.settle();
    let bob = net.add(Host::new("bob", NOW));
    net.register(bob);
    let offered = net.hosts[bob].one(SECURECHAT_EVENT_LOBBY);
    assert_eq!((offered.group.as_str(), count(&net.hosts[bob])), (lobby.as_str(), 0));
    assert_eq!(offered.event.flags, SECURECHAT_FLAG_IN_GROUP | SECURECHAT_FLAG_OPEN);
    assert_eq!(net.hosts[bob].change_group(&lobby, SECURECHAT_CHANGE_JOIN, "", net.now), SECURECHAT_OK);
    net.settle();
    let joined = net.hosts[bob].one(SECURECHAT_EVENT_GROUP_JOINED);
    assert_eq!((joined.group.as_str(), joined.event.flags), (lobby.as_str(), offered.event.flags));
    let (info, _, members, _) = known(&net.hosts[bob], &lobby).unwrap();
    assert_eq!((info.flags, members.as_str()), (SECURECHAT_GROUP_OPEN | SECURECHAT_GROUP_MEMBER, "alice bob"));
    net.hosts[bob].send(&lobby, SECURECHAT_MESSAGE_TEXT, None, b"hello", net.now);
    net.settle();
    assert_eq!(net.hosts[ALICE].one(SECURECHAT_EVENT_MESSAGE).group, lobby);
    let routed = net.server.told.iter().filter(|told| told.is(SECURECHAT_EVENT_RELAY_GROUP_ROUTED)).count();
    let entries = net.server.told.iter().filter(|told| told.is(SECURECHAT_EVENT_RELAY_GROUP_CHANGED)).count();
    assert_eq!((routed, entries), (1, 2));
}

/// G7: what was sent by somebody who did not know of a removal that is known here is marked.
#[test]
fn before_a_removal() {
    let (mut net, group) = walk();
    net.hosts[BOB].send(&group, SECURECHAT_MESSAGE_TEXT, None, b"first", net.now);
    net.settle();
    net.hosts[ALICE].take(SECURECHAT_EVENT_MESSAGE);
    // Both are on their way at once, and the removal is first at the relay.
    assert_eq!(net.hosts[ALICE].change_group(&group, SECURECHAT_CHANGE_REMOVE, "carol", net.now), SECURECHAT_OK);
    let id = net.hosts[BOB].send(&group, SECURECHAT_MESSAGE_TEXT, None, b"carol reads this", net.now);
    net.settle();
    let told = net.hosts[ALICE].one(SECURECHAT_EVENT_MESSAGE);
    assert_eq!((told.event.id, told.group), (id, group));
    assert_eq!(told.event.flags, SECURECHAT_FLAG_IN_GROUP | SECURECHAT_FLAG_BEFORE_REMOVAL);
}

#[test]
fn a_file_to_a_group_that_is_listed_paused_and_goes_on() {
    let (mut net, group) = walk();
    let contents: Vec<u8> = (0..200_000_u32).map(|place| (place.wrapping_mul(place) >> 9) as u8).collect();
    net.cut(ALICE);
    let file = net.hosts[ALICE].send_file(&group, "map.png", contents.len() as u64, net.now);
    net.files.insert(file, contents.clone());
    let transfer = |net: &Net, file: *const u8, index| {
        let mut info: securechat_transfer = unsafe { std::mem::zeroed() };
        let (client, size) = (net.hosts[ALICE].client, size_of_val(&info));
        let status = unsafe { securechat_client_transfer(client, file, index, &raw mut info, size) };
        let with = String::from_utf8(copied::<1>(info.with.cast(), info.with_len).concat()).unwrap();
        let name = String::from_utf8(copied::<1>(info.name.cast(), info.name_len).concat()).unwrap();
        (status, info, with, name)
    };
    let pause = |net: &Net, paused| unsafe {
        securechat_client_pause_file(net.hosts[ALICE].client, file.as_ptr(), paused, net.now)
    };
    let (status, info, with, name) = transfer(&net, null(), 0);
    assert_eq!((status, info.file, info.size, info.done), (SECURECHAT_OK, file, contents.len() as u64, 0));
    assert_eq!((info.state, info.flags), (SECURECHAT_TRANSFER_WAITING, SECURECHAT_FLAG_OURS));
    assert_eq!((with, name.as_str()), (group.clone(), "map.png"));
    assert_eq!(pause(&net, 1), SECURECHAT_OK);
    net.connect(ALICE);
    let (status, info, ..) = transfer(&net, file.as_ptr(), 9);
    assert_eq!((status, info.state, info.done), (SECURECHAT_OK, SECURECHAT_TRANSFER_PAUSED, 0));
    assert!(net.hosts[ALICE].take(SECURECHAT_EVENT_FILE_SENT).is_empty());
    assert_eq!(pause(&net, 2), SECURECHAT_ERR_ARGUMENT);
    assert_eq!(pause(&net, 0), SECURECHAT_OK);
    net.settle();
    assert_eq!(net.hosts[ALICE].one(SECURECHAT_EVENT_FILE_SENT).event.file, file);
    assert_eq!(transfer(&net, null(), 0).0, SECURECHAT_ERR_NOT_FOUND);
    assert_eq!(transfer(&net, file.as_ptr(), 0).0, SECURECHAT_ERR_NOT_FOUND);
    for host in [BOB, CAROL] {
        let offered = net.hosts[host].one(SECURECHAT_EVENT_FILE_OFFERED);
        assert_eq!((offered.user.as_str(), offered.group.as_str()), ("alice", group.as_str()));
        assert_eq!(offered.event.flags, SECURECHAT_FLAG_IN_GROUP);
        let (client, number) = (net.hosts[host].client, offered.event.file);
        assert_eq!(unsafe { securechat_client_accept_file(client, number.as_ptr(), net.now) }, SECURECHAT_OK);
        net.settle();
        let mut received = vec![0; contents.len()];
        for chunk in net.hosts[host].take(SECURECHAT_EVENT_FILE_CHUNK) {
            let offset = chunk.event.offset as usize;
            received[offset..offset + chunk.data.len()].copy_from_slice(&chunk.data);
        }
        assert!(received == contents);
        assert_eq!(net.hosts[host].one(SECURECHAT_EVENT_FILE_RECEIVED).event.file, number);
    }
}

/// What another device of the sender is told: to which group it went.
#[test]
fn a_copy_of_what_went_to_a_group() {
    let (mut net, group) = walk();
    let second = net.add(Host::new("alice", NOW));
    let password = "a long password";
    let status = unsafe {
        let (client, text) = (net.hosts[second].client, password.as_ptr().cast());
        securechat_client_log_in(client, text, password.len(), SECURECHAT_NO_CODE, net.now)
    };
    assert_eq!(status, SECURECHAT_OK);
    net.settle();
    let device = net.hosts[second].about().identity;
    let status = unsafe { securechat_client_list_device(net.hosts[ALICE].client, device.as_ptr(), 1, net.now) };
    assert_eq!(status, SECURECHAT_OK);
    net.settle();
    net.hosts[ALICE].send(&group, SECURECHAT_MESSAGE_TEXT, None, b"from the first", net.now);
    net.settle();
    let copy = net.hosts[second].one(SECURECHAT_EVENT_SENT_COPY);
    assert_eq!((copy.user.as_str(), copy.group.as_str()), (group.as_str(), group.as_str()));
    assert_eq!((copy.event.flags, copy.data.as_slice()), (SECURECHAT_FLAG_IN_GROUP, &b"from the first"[..]));
}

/// A program that was built before there were lobbies gives less of the options.
#[test]
fn an_older_relay_has_no_lobby() {
    let mut relay = null_mut();
    let identity = identity(NOW);
    for (size, expected) in [(40, SECURECHAT_OK), (39, SECURECHAT_ERR_ARGUMENT), (48, SECURECHAT_ERR_ARGUMENT)] {
        let options = securechat_relay_options { size, lobby: 7, ..options() };
        let status =
            unsafe { securechat_relay_new(null(), identity, &raw const options, null(), 0, NOW, &raw mut relay) };
        assert_eq!(status, expected, "{size}");
        unsafe { securechat_relay_free(relay) };
    }
    unsafe { securechat_identity_free(identity) };
}
