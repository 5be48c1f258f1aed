//! Files in groups: sealed once, fetched by each.

use super::{group_of, settle};
use securechat_core::event::Event;

#[test]
fn g9_a_file_is_put_once_and_fetched_by_each() {
    let (mut net, group) = group_of(41, &["alice", "bob", "carol"]);
    let bytes: Vec<u8> = (0..200_000_u32).map(|byte| (byte % 251) as u8).collect();
    let (file, _) = net.hosts[0].client.send_file(group, "a.bin", bytes.len() as u64, "text/plain", net.now).unwrap();
    net.hosts[0].outgoing.insert(file, bytes.clone());
    settle(&mut net, 0);
    assert!(net.saw(0, |event| *event == Event::FileSent { file }), "{:?}", net.hosts[0].events);
    for host in 1..3 {
        let offered = |event: &Event| matches!(event, Event::FileOffered { file: of, group: Some(within), .. } if *of == file && within.group == group);
        assert!(net.saw(host, offered), "{:?}", net.hosts[host].events);
        net.hosts[host].client.accept_file(&file, net.now).unwrap();
        settle(&mut net, host);
        assert!(net.saw(host, |event| *event == Event::FileReceived { file }), "{:?}", net.hosts[host].events);
        assert_eq!(net.hosts[host].incoming[&file], bytes);
    }
    assert!(net.hosts[0].reads.values().all(|reads| *reads == 1));
}
