//! The program itself: what it prints, how it stops, and what survives being killed.

use crate::support::*;
use rustix::process::{Pid, Signal, kill_process};
use securechat_core::crypto::one_time::{code_at, step_at};
use securechat_core::identity::RelayAddress;
use securechat_core::wire::{
    ChangePassword, CloseCode, ConfirmCode, OneTimeCode, Password, RefusalCode, Reply, Request, SetUpCode,
};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let config = folder.join("server.toml");
    std::fs::write(&config, "rsa-bits = 2048\nsuites = ['0x0101']\nlisten = '127.0.0.1:0'").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_securechat-server"));
    command.arg("--config").arg(config).args(arguments);
    if !arguments.contains(&"--data") {
        command.arg("--data").arg(folder.join("data"));
    }
    command.env_remove("SECURECHAT_SERVER_PASSWORD").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A program that runs, and is killed when the test fails.
struct Program {
    child: Child,
    address: RelayAddress,
}

impl Program {
    fn start(folder: &Path) -> Self {
        Self::run(command(folder, &["-v"]))
    }

    fn run(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines.map(|line| line.trim().parse()).find_map(Result::ok).expect("it prints its address");
        Self { child, address }
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; gives the status and the log.
    fn end(mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(start.elapsed() < Duration::from_secs(30), "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ctrl_c_and_sigterm_close_the_links_and_exit_with_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::start(folder.path());
        let mut client = Client::registered(&program.address, &Device::new("alice", 1));
        let request = Device::new("alice", 2).log_in("wrong password", &client);
        let _ = client.refused(&request);
        program.send(signal);
        assert_eq!(client.wait_for_end(), Some(CloseCode::Shutdown as u8));
        let (status, log) = program.end();
        assert_eq!(status, Some(0), "{log}");
        for told in ["connected", "registered", "alice", "stopping", "stopped"] {
            assert!(log.contains(told), "{told} is missing in:\n{log}");
        }
        assert!(!log.contains("password"), "{log}");
    }
}

/// ATTACKS.md C5: whatever is asked for, and however much the log is to say.
#[test]
fn c5_the_log_at_its_longest_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut verbose = command(folder.path(), &["-vv"]);
    verbose.env("SECURECHAT_SERVER_PASSWORD", "doorkeeper-canary");
    let program = Program::run(verbose);
    let (alice, second) = (Device::new("alice", 1), Device::new("alice", 2));
    let mut client = Client::connect(&program.address);
    assert_eq!(client.enter("knocking-canary").unwrap_err().code, RefusalCode::ServerPassword);
    client.enter("doorkeeper-canary").unwrap();
    let request = alice.register("first-canary", &client);
    assert!(matches!(client.request(&request), Ok(Reply::Register(_))));
    client.link.raise_frame_limit();
    let password = |text: &str| Password::new(text.to_owned()).unwrap();
    let change = ChangePassword { old: password("first-canary"), new: password("second-canary") };
    client.request(&Request::ChangePassword(change)).unwrap();
    let set_up = SetUpCode { password: password("second-canary"), code: None };
    let Ok(Reply::SetUpCode(code)) = client.request(&Request::SetUpCode(set_up)) else { panic!("no secret") };
    let number = code_at(&code.secret, step_at(now()));
    client.request(&Request::ConfirmCode(ConfirmCode { code: OneTimeCode::new(number).unwrap() })).unwrap();
    client.sends(&alice, 1, b"envelope-canary");
    let mut other = Client::connect(&program.address);
    other.enter("doorkeeper-canary").unwrap();
    let request = second.log_in("third-canary", &other);
    let _ = other.refused(&request);
    program.send(Signal::TERM);
    let (status, log) = program.end();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("DEBUG") || log.contains("TRACE"), "{log}");
    assert!(log.contains("alice") && log.contains("login refused"), "{log}");
    let identity = std::fs::read_dir(folder.path().join("data")).unwrap().map(|entry| entry.unwrap().path());
    let keys: Vec<Vec<u8>> = identity.filter_map(|path| std::fs::read(path).ok()).collect();
    let keys = keys.iter().filter(|file| file.len() < 10_000).flat_map(|file| file.windows(8));
    let secrets = keys.chain(code.secret.as_bytes().windows(8));
    for secret in secrets.filter(|bytes| bytes.iter().any(|byte| !byte.is_ascii_graphic() && *byte != 0)) {
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let decimal = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        assert!(!log.to_lowercase().contains(&hex) && !log.contains(&decimal), "{hex} is in:\n{log}");
    }
    assert!(!log.contains("canary") && !log.contains(&format!("{number:06}")), "{log}");
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let (alice, bob) = (Device::new("alice", 1), Device::new("bob", 2));
    drop(Client::registered(&program.address, &bob));
    let mut alices = Client::registered(&program.address, &alice);
    for round in 0..40 {
        alices.sends(&bob, round, &[round; 500]);
    }
    program.send(Signal::KILL);
    assert_eq!(program.end().0, None);
    let program = Program::start(folder.path());
    let mut bobs = Client::logged_in(&program.address, &bob);
    for round in 0..40 {
        assert_eq!(bobs.delivered().envelope[..], [round; 500]);
    }
}

fn fails(folder: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(folder, arguments).output().unwrap();
    let message = String::from_utf8(stderr).unwrap();
    assert!(!status.success() && stdout.is_empty(), "{message}");
    let sentence = message.lines().find_map(|line| line.strip_prefix("securechat-server: "));
    sentence.unwrap_or_else(|| panic!("no sentence in:\n{message}")).to_owned()
}

#[test]
fn what_prevents_a_start_is_a_sentence_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let program = Program::start(path);
    let sentence = fails(path, &[]);
    assert!(sentence.contains("another securechat-server") && sentence.contains("stop it first"), "{sentence}");
    let other = tempfile::tempdir().unwrap();
    let taken = format!("127.0.0.1:{}", program.address.port);
    let sentence = fails(other.path(), &["--listen", &taken]);
    assert!(sentence.contains("is in use by another program") && sentence.contains("--listen"), "{sentence}");
    program.send(Signal::TERM);
    program.end();

    std::fs::write(other.path().join("file"), b"").unwrap();
    let nowhere = other.path().join("file/data");
    let sentence = fails(other.path(), &["--data", nowhere.to_str().unwrap()]);
    assert!(sentence.contains("cannot write to") && sentence.contains("--data"), "{sentence}");

    std::fs::write(path.join("data/relay.db"), [0x55; 8_192]).unwrap();
    let sentence = fails(path, &[]);
    assert!(sentence.contains("is damaged") && sentence.contains("restore it from a backup"), "{sentence}");

    std::fs::write(path.join("bad.toml"), b"registration = 'ajar'").unwrap();
    let sentence = fails(path, &["--suites", "0x0777"]);
    assert!(sentence.contains("there is no suite 0x0777; choose from"), "{sentence}");
    let mut twice = command(path, &[]);
    let output = twice.env("SECURECHAT_SERVER_PASSWORD", "").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("the server password is empty"));
}

#[test]
fn import_reports_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users.csv");
    std::fs::write(&users, "alice,$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n").unwrap();
    let output = command(folder.path(), &["import", users.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("1 user imported; 0 users here already"));
    let sentence = fails(folder.path(), &["import", "/nowhere"]);
    assert!(sentence.contains("cannot read /nowhere"), "{sentence}");
}
