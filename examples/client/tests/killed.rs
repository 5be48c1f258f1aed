//! Files arrive equal although both programs and the relay are killed (SIGKILL) at random moments while they are on
//! their way, and a kill costs less than a window of chunks sent again.
//!
//! `SECURECHAT_KILLS` is how often somebody is killed (20), `SECURECHAT_SEED` where chance begins (the time).
//! `SECURECHAT_TEN_GIB=1` sends a sparse file of 10 GiB besides, and measures how soon it goes on after a kill.
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
use securechat_server::{Config, Server};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write, stdout};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const MIB: u64 = 1 << 20;
/// Bytes of plaintext in a chunk, and the most that one costs on a link.
const CHUNK: u64 = 61_440;
const CHUNK_SENT: u64 = 61_640;
/// Chunks that a kill may send again at most.
const WINDOW: u64 = 32;
/// What a connection costs beside chunks: handshakes, logins, keys, messages.
const CONNECTION: u64 = 60_000;
/// How long a file may take to arrive when nobody is killed any more.
const PATIENCE: Duration = Duration::from_secs(300);

/// This program is the relay too, so that it can be killed as one.
fn main() {
    let words: Vec<String> = std::env::args().collect();
    match words.get(1).map(String::as_str) {
        Some("relay") => relay(&words[2], &words[3]),
        // Whoever lists tests finds one.
        Some("--list") => println!("killed: test"),
        _ => {
            let set = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            killed(set("SECURECHAT_KILLS").unwrap_or(20), set("SECURECHAT_SEED").unwrap_or(time));
            if set("SECURECHAT_TEN_GIB").is_some() {
                ten_gib();
            }
        }
    }
}

fn relay(folder: &str, listen: &str) {
    let config = Config { listen: listen.into(), data: folder.into(), rsa_bits: 2048, ..Config::default() };
    let server = Server::start(config).unwrap();
    println!("{}", server.address());
    stdout().flush().unwrap();
    server.wait().unwrap();
}

/// Kills until there were so many, during one transfer after the other.
fn killed(kills: u64, seed: u64) {
    println!("seed {seed}, {kills} kills");
    let began = Instant::now();
    let mut chance = Chance(seed | 1);
    let mut stage = Stage::new();
    let (mut left, mut files, mut bytes, mut again) = (kills, 0, 0, 0);
    while left > 0 {
        // Most are small; two of a long run are of 1 GiB.
        let (size, most) = match files {
            5 | 15 if kills >= 100 => (1024 * MIB, 40),
            _ => {
                let most = MIB << chance.below(if kills >= 100 { 8 } else { 4 });
                (MIB + chance.below(most), 6)
            }
        };
        let source = stage.place.join(format!("{files}.bin"));
        write_random(&source, size, &mut chance);
        stage.count();
        let arrives = stage.offer(&source);
        let mut killed = 0;
        while killed < most.min(left) && !arrives.exists() {
            stage.revive();
            thread::sleep(Duration::from_millis(chance.below(600)));
            stage.kill(chance.below(3));
            killed += 1;
        }
        stage.wait_for(&arrives);
        assert!(equal(&source, &arrives), "{} did not arrive equal", source.display());
        let sent_again = stage.sent_again(size, killed);
        assert!(sent_again <= WINDOW * killed, "{sent_again} chunks again after {killed} kills, {size} bytes");
        fs::remove_file(&source).unwrap();
        fs::remove_file(&arrives).unwrap();
        (left, files, bytes, again) = (left - killed, files + 1, bytes + size, again + sent_again);
    }
    stage.nothing_is_left();
    println!(
        "{files} files of {} MiB in all, {kills} kills, about {again} chunks sent again, {} s",
        bytes / MIB,
        began.elapsed().as_secs()
    );
}

/// A large file goes on where it was.
fn ten_gib() {
    let mut stage = Stage::new();
    let size = 10 * 1024 * MIB;
    let source = stage.place.join("sparse.bin");
    File::create(&source).unwrap().set_len(size).unwrap();
    stage.count();
    let begun = Instant::now();
    let arrives = stage.offer(&source);
    while stage.ways[0].up() < 8 * 1024 * MIB {
        thread::sleep(Duration::from_millis(20));
    }
    println!("10 GiB: 8 of them are there after {} s", begun.elapsed().as_secs());
    stage.kill(0);
    let program = stage.programs[0].as_mut().unwrap();
    program.expect("logged in");
    let (began, before) = (Instant::now(), stage.ways[0].up());
    while stage.ways[0].up() < before + 2 * CHUNK {
        thread::sleep(Duration::from_millis(1));
    }
    let pause = began.elapsed();
    stage.wait_for(&arrives);
    assert_eq!(fs::metadata(&arrives).unwrap().len(), size);
    let again = stage.sent_again(size, 1);
    assert!(again <= WINDOW, "{again} chunks were sent again");
    println!("10 GiB: goes on {} ms after the login, {again} chunks again", pause.as_millis());
}

/// A relay and two users, each reaching it over a way that counts.
struct Stage {
    place: PathBuf,
    _folder: tempfile::TempDir,
    relay: Option<Child>,
    relay_at: SocketAddr,
    fingerprint: String,
    ways: [Way; 2],
    programs: [Option<Program>; 2],
}

const USERS: [&str; 2] = ["alice", "bob"];

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_owned();
        let (relay, address) = start_relay(&place, "127.0.0.1:0");
        let (at, fingerprint) = address.split_once('#').unwrap();
        let relay_at: SocketAddr = at.parse().unwrap();
        let ways = [Way::start(relay_at), Way::start(relay_at)];
        let fingerprint = fingerprint.to_owned();
        let mut stage =
            Self { place, _folder: folder, relay: Some(relay), relay_at, fingerprint, ways, programs: [None, None] };
        for (who, user) in USERS.iter().enumerate() {
            stage.start(who);
            let program = stage.programs[who].as_mut().unwrap();
            program.type_line("/register");
            program.expect(&format!("logged in as {user}"));
        }
        stage
    }

    fn start(&mut self, who: usize) {
        let relay = format!("{}#{}", self.ways[who].address, self.fingerprint);
        self.programs[who] = Some(Program::start(&self.place, USERS[who], &["--relay", &relay]));
    }

    /// Offers a file and has it accepted. Gives where it will be.
    fn offer(&mut self, source: &Path) -> PathBuf {
        self.revive();
        let [Some(alice), Some(bob)] = &mut self.programs else { panic!("both run") };
        alice.type_line(&format!("/file bob {}", source.display()));
        let name = source.file_name().unwrap().to_str().unwrap();
        bob.expect(&format!("alice offers {name}"));
        bob.type_line("/accept");
        // Both lines are about what is saved.
        bob.type_line("/transfers");
        bob.expect(&format!("{name} from alice"));
        self.place.join("bob-downloads").join(name)
    }

    /// Kills one of three, and starts it again.
    fn kill(&mut self, victim: u64) {
        match usize::try_from(victim).unwrap() {
            who @ (0 | 1) => {
                // It is killed without a word when it is dropped.
                self.programs[who] = None;
                self.start(who);
            }
            _ => {
                let mut relay = self.relay.take().unwrap();
                relay.kill().unwrap();
                relay.wait().unwrap();
                let (relay, _) = start_relay(&self.place, &self.relay_at.to_string());
                self.relay = Some(relay);
            }
        }
    }

    /// A program that reads a script ends when its first connection fails, as it does while the relay is dead: whoever
    /// wants it to run starts it again.
    fn revive(&mut self) {
        for who in [0, 1] {
            if self.programs[who].as_mut().is_none_or(Program::is_over) {
                self.start(who);
            }
        }
    }

    fn wait_for(&mut self, arrives: &Path) {
        let until = Instant::now() + PATIENCE;
        while !arrives.exists() {
            if Instant::now() >= until {
                for program in self.programs.iter_mut().flatten() {
                    program.type_line("/transfers");
                }
                thread::sleep(Duration::from_secs(2));
                let said = self.programs.iter_mut().flatten().map(Program::unexpected).collect::<Vec<_>>();
                panic!("{} does not arrive: {said:#?}", arrives.display());
            }
            self.revive();
            thread::sleep(Duration::from_millis(20));
        }
        let part = PathBuf::from(format!("{}.part", arrives.display()));
        while part.exists() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Begins to count.
    fn count(&self) {
        self.ways.iter().for_each(Way::reset);
    }

    /// How many chunks went more than once, up from alice and down to bob, whichever are more.
    fn sent_again(&self, size: u64, kills: u64) -> u64 {
        let once = size.div_ceil(CHUNK) * CHUNK_SENT + CONNECTION * (kills + 1);
        let again = |bytes: u64| bytes.saturating_sub(once) / CHUNK_SENT;
        again(self.ways[0].up()).max(again(self.ways[1].down()))
    }

    fn nothing_is_left(&mut self) {
        for (who, user) in USERS.iter().enumerate() {
            let until = Instant::now() + PATIENCE;
            loop {
                self.revive();
                let program = self.programs[who].as_mut().unwrap();
                program.type_line("/transfers");
                program.type_line("/nonsense");
                program.expect("there is no command");
                if program.printed("nothing is on its way") {
                    break;
                }
                assert!(Instant::now() < until, "{user} has a transfer left");
                thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut relay) = self.relay.take() {
            let _ = relay.kill();
            let _ = relay.wait();
        }
    }
}

fn start_relay(place: &Path, listen: &str) -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("relay").arg(place.join("relay")).arg(listen);
    let mut relay = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(relay.stdout.take().unwrap()).read_line(&mut address).unwrap();
    assert!(address.contains('#'), "the relay did not start");
    (relay, address.trim().to_owned())
}

/// A way to the relay on which bytes are counted.
struct Way {
    address: SocketAddr,
    counts: Arc<[AtomicU64; 2]>,
}

impl Way {
    fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counts: Arc<[AtomicU64; 2]> = Arc::default();
        let counted = counts.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Nobody is there while the relay is started again: the connection ends at once.
                let Ok(relay) = TcpStream::connect(to) else { continue };
                for stream in [&client, &relay] {
                    stream.set_nodelay(true).unwrap();
                }
                let (other_client, other_relay) = (client.try_clone().unwrap(), relay.try_clone().unwrap());
                let (up, down) = (counted.clone(), counted.clone());
                thread::spawn(move || pass(client, relay, &up[0]));
                thread::spawn(move || pass(other_relay, other_client, &down[1]));
            }
        });
        Self { address, counts }
    }

    fn up(&self) -> u64 {
        self.counts[0].load(Ordering::Relaxed)
    }

    fn down(&self) -> u64 {
        self.counts[1].load(Ordering::Relaxed)
    }

    fn reset(&self) {
        self.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Xorshift: what is tested is not its randomness.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }
}

fn write_random(path: &Path, size: u64, chance: &mut Chance) {
    let mut file = File::create(path).unwrap();
    let mut left = usize::try_from(size).unwrap();
    while left > 0 {
        let block: Vec<u8> = (0..left.min(1 << 20).div_ceil(8)).flat_map(|_| chance.next().to_be_bytes()).collect();
        let length = block.len().min(left);
        file.write_all(&block[..length]).unwrap();
        left -= length;
    }
}

fn equal(one: &Path, other: &Path) -> bool {
    let [mut one, mut other] = [one, other].map(|path| File::open(path).unwrap());
    let (mut mine, mut yours) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let length = one.read(&mut mine).unwrap();
        if length == 0 {
            return other.read(&mut yours).unwrap() == 0;
        }
        if other.read_exact(&mut yours[..length]).is_err() || mine[..length] != yours[..length] {
            return false;
        }
    }
}
