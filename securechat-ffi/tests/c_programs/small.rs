//! `channel` and `sealfile`.

use crate::build::{Kit, compilers, place, run};
use crate::program::Program;
use std::fs;
use std::path::Path;

fn bytes(count: u32) -> Vec<u8> {
    (0..count).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn the_small_programs_run() {
    for pair in compilers("channel and sealfile") {
        let kit = Kit::new(&format!("small-{}", pair[0]), pair, &[]);
        channel(&kit);
        sealfile(&kit);
    }
}

/// Both directions, more than fits into a socket's buffers, twice with the same key; and a listener with another one.
pub fn channel(kit: &Kit) {
    let place = place(&format!("channel-{}", kit.folder.file_name().unwrap().display()));
    let (key, sent) = (place.join("key"), bytes(300_000));
    let mut fingerprints = Vec::new();
    for _ in 0..2 {
        let mut command = kit.command("channel");
        command.args(["listen", "0"]).arg(&key);
        let mut listener = Program::start(command);
        let line = listener.expect(" ");
        let (port, fingerprint) = line.split_once(' ').unwrap();
        assert_eq!(fingerprint.len(), 64, "{line}");
        let mut command = kit.command("channel");
        command.args(["connect", "127.0.0.1", port, fingerprint]);
        let mut connector = Program::start(command);
        let text: String = sent.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        connector.type_line(&text);
        listener.type_line("and back");
        connector.expect("and back");
        assert_eq!(listener.expect(&text[..26]), text);
        fingerprints.push(fingerprint.to_owned());
        // Each ends when nothing more is typed on either side.
        connector.close_input();
        listener.succeed();
        connector.succeed();
    }
    assert_eq!(fingerprints[0], fingerprints[1]);

    let mut command = kit.command("channel");
    command.args(["listen", "0"]).arg(&key);
    let mut listener = Program::start(command);
    let line = listener.expect(" ");
    let other = "00".repeat(32);
    let mut command = kit.command("channel");
    command.args(["connect", "127.0.0.1", line.split_once(' ').unwrap().0, &other]);
    let (status, printed) = Program::start(command).end();
    assert_eq!((status, listener.end().0), (1, 1), "{printed}");
    assert!(printed.contains("another key than the one expected"), "{printed}");
}

pub fn sealfile(kit: &Kit) {
    let place = place(&format!("sealfile-{}", kit.folder.file_name().unwrap().display()));
    let sealfile = |folder: &Path, arguments: &[&str]| {
        let mut command = kit.command("sealfile");
        command.args(arguments).current_dir(folder);
        command
    };
    for (name, size) in [("some.bin", 200_000), ("empty", 0), ("even", 2 * 61_440)] {
        let (chunks, key) = (format!("{name}.chunks"), format!("{name}.key"));
        fs::write(place.join(name), bytes(size)).unwrap();
        run(&mut sealfile(&place, &["seal", name, &chunks, &key]));
        let elsewhere = place.join(format!("{name}.opened"));
        fs::create_dir(&elsewhere).unwrap();
        let (chunks, key) = (format!("../{chunks}"), format!("../{key}"));
        run(&mut sealfile(&elsewhere, &["open", &key, &chunks]));
        assert_eq!(fs::read(elsewhere.join(name)).unwrap(), bytes(size));

        // Nothing is overwritten, and a changed chunk leaves nothing behind.
        let refused = sealfile(&elsewhere, &["open", &key, &chunks]).output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        fs::remove_file(elsewhere.join(name)).unwrap();
        let first = elsewhere.join(&chunks).join("0");
        let mut changed = fs::read(&first).unwrap();
        *changed.last_mut().unwrap() ^= 1;
        fs::write(&first, changed).unwrap();
        let refused = sealfile(&elsewhere, &["open", &key, &chunks]).output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(!elsewhere.join(name).exists());
    }
}
