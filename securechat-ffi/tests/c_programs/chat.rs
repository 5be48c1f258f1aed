//! Two people and a relay, each a program in C, C++ or Rust: a text, a file, safety numbers, and a restart of all three.

use crate::build::{Kit, compilers, place, root, run};
use crate::program::Program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What a program is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    C,
    Cpp,
    Rust,
}

use Language::{C, Cpp, Rust};

/// The folder of `securechat` and `securechat-server`: SECURECHAT_PROGRAMS, or where cargo makes them now.
fn rust_programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(folder) = std::env::var_os("SECURECHAT_PROGRAMS") {
            return root().join(folder);
        }
        // This test is target/PROFILE/deps/c_programs-….
        let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(root()).args([
            "build",
            "--quiet",
            "--bins",
            "-p",
            "securechat-client",
            "-p",
            "securechat-server",
        ]);
        command.arg("--target-dir").arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            command.arg("--release");
        }
        run(&mut command);
        folder
    })
}

pub struct Relay {
    pub program: Program,
    pub address: String,
}

impl Relay {
    /// Starts a relay with what is kept in `place`, on any port or the one it had.
    pub fn start(kit: &Kit, language: Language, place: &Path, port: &str) -> Self {
        let data = place.join("relay");
        let mut command;
        if language == Rust {
            let config = place.join("relay.toml");
            let mut text = format!("listen = '127.0.0.1:{port}'\ndata = '{}'\nrsa-bits = 2048\n", data.display());
            // Who is killed often logs in often.
            text += "[rates]\nlogin = { burst = 1000, every = 0.001 }\n";
            fs::write(&config, text).unwrap();
            command = Command::new(rust_programs().join("securechat-server"));
            command.arg("--config").arg(config);
        } else {
            command = kit.command("chat_server");
            command.args(["127.0.0.1", port]).arg(data);
        }
        let mut program = Program::start(command);
        // The log has it too, but only this line begins so.
        let address = program.expect(if language == Rust { "    127.0.0.1:" } else { "127.0.0.1:" }).trim().to_owned();
        Self { program, address }
    }

    fn port(&self) -> &str {
        self.address.split(['#', ':']).nth(1).unwrap()
    }
}

pub struct Person {
    pub program: Program,
    language: Language,
    folder: PathBuf,
}

impl Person {
    pub fn start(kit: &Kit, language: Language, place: &Path, name: &str, relay: &Relay) -> Self {
        Self::start_with(kit, language, place, name, relay, &[])
    }

    /// The same with more in its environment.
    pub fn start_with(
        kit: &Kit,
        language: Language,
        place: &Path,
        name: &str,
        relay: &Relay,
        variables: &[(&str, &str)],
    ) -> Self {
        let folder = place.join(name);
        fs::create_dir_all(&folder).unwrap();
        let mut command;
        if language == Rust {
            command = Command::new(rust_programs().join("securechat"));
            command.args(["--user", name, "--relay", &relay.address]);
            command.arg("--state").arg(folder.join("state")).arg("--downloads").arg(&folder);
        } else {
            command = kit.command(if language == C { "chat_client" } else { "chat" });
            command.args(["state", name, &relay.address]);
        }
        command.current_dir(&folder);
        command
            .env("SECURECHAT_PASSPHRASE", "a passphrase for tests")
            .env("SECURECHAT_PASSWORD", "a password for tests")
            .envs(variables.iter().copied());
        Self { program: Program::start(command), language, folder }
    }

    pub fn register(&mut self) {
        self.program.type_line("/register");
        self.program.expect("logged in");
    }

    pub fn say(&mut self, to: &str, text: &str) {
        let verb = if self.language == Rust { "/pm" } else { "/msg" };
        self.program.type_line(&format!("{verb} {to} {text}"));
    }

    fn send_file(&mut self, to: &str, path: &Path) {
        self.program.type_line(&format!("/file {to} {}", path.display()));
    }

    /// Takes the file that is offered under this name, and gives what was saved.
    pub fn take(&mut self, name: &str) -> Vec<u8> {
        self.program.expect(name);
        self.program.type_line("/accept 1");
        self.program.expect("saved");
        fs::read(self.folder.join(name)).unwrap()
    }

    /// The digits of the safety number with somebody.
    fn safety_number(&mut self, with: &str) -> String {
        self.program.type_line(&format!("/verify {with}"));
        let line = self.program.expect("safety number with");
        line.chars().filter(char::is_ascii_digit).collect()
    }
}

/// All of it with one choice of languages.
pub fn conversation(kit: &Kit, relay: Language, alice: Language, bob: Language) {
    let kit_name = kit.folder.file_name().unwrap().display();
    let place = place(&format!("chat-{kit_name}-{relay:?}-{alice:?}-{bob:?}"));
    let mut server = Relay::start(kit, relay, &place, "0");
    let mut one = Person::start(kit, alice, &place, "alice", &server);
    let mut other = Person::start(kit, bob, &place, "bob", &server);
    one.register();
    other.register();

    // What a terminal would obey arrives, and is not obeyed.
    one.say("bob", "hello \u{1b}[31mbob\u{202e}");
    let shown = other.program.expect("alice: hello ");
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    other.say("alice", "hello alice");
    one.program.expect("bob: hello alice");

    // A file, and another of the same name: the first is still what it was.
    let file: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(place.join("data.bin"), &file).unwrap();
    one.send_file("bob", &place.join("data.bin"));
    assert_eq!(other.take("data.bin"), file);
    one.program.expect("sent");

    if alice == C && bob == C {
        let number = one.safety_number("bob");
        assert_eq!((number.len(), &number), (60, &other.safety_number("alice")));
        fs::write(place.join("data.bin"), "another one").unwrap();
        one.send_file("bob", &place.join("data.bin"));
        let offered = other.program.expect("data.bin");
        other.program.type_line(offered.split(": ").last().unwrap().trim_end_matches(" takes it"));
        other.program.expect("saved as 1-data.bin");
        assert_eq!(fs::read(other.folder.join("1-data.bin")).unwrap(), b"another one");
        assert_eq!(fs::read(other.folder.join("data.bin")).unwrap(), file);
    }

    // Nobody has to register again, and what was said to who is away waits, also through a restart of the relay.
    other.program.succeed();
    one.say("bob", "are you there?");
    one.program.succeed();
    let port = server.port().to_owned();
    let (status, printed) = server.program.terminate();
    assert_eq!(status, 0, "{printed}");
    server = Relay::start(kit, relay, &place, &port);
    let mut other = Person::start(kit, bob, &place, "bob", &server);
    other.program.expect("logged in");
    other.program.expect("alice: are you there?");
    let mut one = Person::start(kit, alice, &place, "alice", &server);
    one.program.expect("logged in");
    other.say("alice", "now I am");
    one.program.expect("bob: now I am");
    if bob == C {
        other.program.type_line("/history alice");
        for line in [
            " alice: hello ",
            " you: hello alice",
            " alice (file): data.bin",
            " alice: are you there?",
            " you: now I am",
        ] {
            other.program.expect(line);
        }
    }
    one.program.succeed();
    other.program.succeed();
    let (status, printed) = server.program.terminate();
    assert_eq!(status, 0, "{printed}");
}

#[test]
fn the_programs_talk_with_each_other() {
    for pair in compilers("the chat programs") {
        let kit = Kit::new(&format!("chat-{}", pair[0]), pair, &[]);
        conversation(&kit, C, C, C);
        conversation(&kit, C, Cpp, C);
    }
}

#[test]
fn they_talk_with_the_programs_in_rust() {
    let pair = compilers("the chat programs with those in Rust")[0];
    let kit = Kit::new("chat-rust", pair, &[]);
    conversation(&kit, Rust, C, Rust);
    conversation(&kit, Rust, Rust, Cpp);
    conversation(&kit, C, Rust, C);
    conversation(&kit, C, C, Rust);
}
