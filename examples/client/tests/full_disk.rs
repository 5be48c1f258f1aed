//! A full disk on either side is an error that says so, and the transfer goes on when there is space: real programs,
//! with a small tmpfs as their disk. Mounting one needs root; without it these tests say what they left out.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod program;

use program::Program;
use securechat_server::{Config, RunningServer, Server};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A disk of a few megabytes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m,mode=700");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        if done.is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("left out: a tmpfs cannot be mounted here, which needs root; nothing was shown about a full disk");
        None
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[7; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is still open in it goes with the last who has it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

fn setting(place: &TempDir) -> (RunningServer, Program, Program) {
    let data = place.path().join("relay");
    let config = Config { listen: "127.0.0.1:0".into(), data, rsa_bits: 2048, ..Config::default() };
    let relay = Server::start(config).unwrap();
    let address = relay.address().to_string();
    let [alice, bob] = ["alice", "bob"].map(|user| {
        let mut program = Program::start(place.path(), user, &["--relay", &address]);
        program.type_line("/register");
        program.expect(&format!("logged in as {user}"));
        program
    });
    (relay, alice, bob)
}

fn arrives(path: &Path, bytes: &[u8]) {
    let until = Instant::now() + Duration::from_secs(60);
    while !path.exists() {
        assert!(Instant::now() < until, "{} does not arrive", path.display());
        thread::sleep(Duration::from_millis(20));
    }
    assert!(fs::read(path).unwrap() == bytes, "another file arrived");
}

#[test]
fn a_receiver_without_room_goes_on_when_there_is_some() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("bob-downloads");
    let Some(disk) = SmallDisk::mount(&folder, 8) else { return };
    let (_relay, mut alice, mut bob) = setting(&place);
    let filler = disk.fill();
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    let source = place.path().join("a.bin");
    fs::write(&source, &bytes).unwrap();
    alice.type_line(&format!("/file bob {}", source.display()));
    bob.expect("alice offers a.bin");
    bob.type_line("/accept");
    bob.expect("a.bin: the disk is full");
    bob.type_line("/transfers");
    bob.expect("waiting for room on the disk");
    // The rest of the program works.
    alice.type_line("/pm bob are you there?");
    bob.expect("alice: are you there?");
    fs::remove_file(filler).unwrap();
    arrives(&folder.join("a.bin"), &bytes);
}

#[test]
fn a_sender_whose_state_has_no_room_goes_on_when_there_is_some() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&place.path().join("alice"), 12) else { return };
    let (_relay, mut alice, mut bob) = setting(&place);
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    let source = place.path().join("a.bin");
    fs::write(&source, &bytes).unwrap();
    alice.type_line(&format!("/file bob {}", source.display()));
    bob.expect("alice offers a.bin");
    let filler = disk.fill();
    bob.type_line("/accept");
    // What the log of the database has room for is still sent; then nothing leaves that could not be saved.
    let mut texts = 0;
    while !alice.printed("the disk is full") {
        texts += 1;
        assert!(texts < 600, "the disk is never full");
        alice.type_line(&format!("/pm bob text {texts}"));
        thread::sleep(Duration::from_millis(10));
    }
    fs::remove_file(filler).unwrap();
    arrives(&place.path().join("bob-downloads").join("a.bin"), &bytes);
    bob.expect(&format!("text {texts}"));
}
