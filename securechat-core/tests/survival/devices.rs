//! A second and a third device are added (I8) and one is revoked, with messages and files in flight.

use super::support::ledger::Ledger;
use super::support::net::Net;
use super::{name, shown, write};
use securechat_core::event::Event;
use securechat_core::suite::{Policy, Suite};

#[test]
fn devices_come_and_go_while_messages_and_files_are_on_their_way() {
    let policy = Policy::new(vec![Suite::ALL[0]]).unwrap();
    let mut net = Net::new(77, &policy);
    let (alice, bob) = (net.register("alice", &policy), net.register("bob", &policy));
    let ledger = Ledger::keep(&mut net);
    let group = net.hosts[alice].client.create_group("both", false, net.now).unwrap();
    net.drain(alice);
    net.run();
    net.hosts[alice].client.add_to_group(&group, &[name("bob")], net.now).unwrap();
    net.drain(alice);
    net.run();
    write(&mut net, alice, name("bob"), "one device");
    write(&mut net, alice, group, "one device, group");

    // A file begins, and is half there when the second device comes.
    let bytes: Vec<u8> = (0..900_000_u32).map(|byte| (byte % 249) as u8).collect();
    let size = bytes.len() as u64;
    let (file, _) = net.hosts[alice].client.send_file(name("bob"), "a.bin", size, "text/plain", net.now).unwrap();
    net.hosts[alice].outgoing.insert(file, bytes.clone());
    net.drain(alice);
    for _ in 0..60 {
        net.step();
    }
    let phone = net.second_device(bob);
    let text = |number: usize| format!("with {number} devices");
    write(&mut net, alice, name("bob"), &text(2));
    write(&mut net, alice, group, &format!("{}, group", text(2)));
    net.hosts[bob].client.accept_file(&file, net.now).unwrap();
    net.drain(bob);
    for _ in 0..20 {
        net.step();
    }
    let tablet = net.second_device(bob);
    write(&mut net, alice, name("bob"), &text(3));
    write(&mut net, phone, group, "from the phone");
    write(&mut net, tablet, name("alice"), "from the tablet");
    // The phone is revoked while a message for it, and one of its own, are on their way.
    let gone = net.hosts[phone].client.identity();
    net.hosts[alice].client.send_text(name("bob"), "on its way", net.now).unwrap();
    net.drain(alice);
    net.hosts[bob].client.revoke_device(&gone, net.now).unwrap();
    net.drain(bob);
    net.run();
    net.advance(5_000);
    let ended = |event: &Event| matches!(event, Event::DeviceRevoked | Event::LinkClosed { .. });
    assert!(net.saw(phone, ended), "{:?}", net.hosts[phone].events);
    write(&mut net, alice, name("bob"), "without the phone");
    write(&mut net, alice, group, "without the phone, group");
    write(&mut net, bob, group, "from the first device");
    net.advance(5_000);

    assert!(net.saw(bob, |event| *event == Event::FileReceived { file }), "{:?}", net.hosts[bob].events);
    assert_eq!(net.hosts[bob].incoming[&file], bytes);
    for (host, expected) in [
        (
            bob,
            vec![
                "one device",
                "one device, group",
                "with 2 devices",
                "with 2 devices, group",
                "with 3 devices",
                "on its way",
                "without the phone",
                "without the phone, group",
            ],
        ),
        (tablet, vec!["with 3 devices", "on its way", "without the phone", "without the phone, group"]),
        (alice, vec!["from the phone", "from the tablet", "from the first device"]),
    ] {
        let shown = shown(&net, host);
        for text in expected {
            assert_eq!(shown.iter().filter(|shown| *shown == text).count(), 1, "{host}, {text:?}: {shown:?}");
        }
    }
    assert!(!shown(&net, phone).iter().any(|text| text.starts_with("without the phone")));
    assert_eq!(ledger.repeated(), [""; 0]);
}
