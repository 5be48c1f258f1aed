//! The real program in a process of its own, typed to through a pipe.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take; a test machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Lines that were waited for, and lines that came meanwhile: the two outputs have no order between them.
    seen: Vec<String>,
    unexpected: VecDeque<String>,
}

impl Program {
    /// Starts `securechat` as a user with a state below `place`.
    pub fn start(place: &Path, user: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_securechat"));
        command.arg("--user").arg(user).arg("--state").arg(place.join(user));
        command.arg("--downloads").arg(place.join(format!("{user}-downloads"))).args(arguments);
        command.env("SECURECHAT_PASSPHRASE", "a passphrase for tests");
        command.env("SECURECHAT_PASSWORD", format!("password of {user}"));
        Self::run(command)
    }

    /// Starts what was put together by the caller.
    pub fn run(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).split(b'\n') {
                    // Lossy would hide a byte that has no business there.
                    let line = String::from_utf8(line.unwrap()).expect("the program prints UTF-8");
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { input: child.stdin.take(), child, lines, seen: Vec::new(), unexpected: VecDeque::new() }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").and_then(|()| input.flush()).unwrap();
    }

    /// Waits for a line that contains `text`, and gives all of it. A line is expected once.
    pub fn expect(&mut self, text: &str) -> String {
        if let Some(place) = self.unexpected.iter().position(|line| line.contains(text)) {
            return self.unexpected.remove(place).unwrap();
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?} after {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
            self.unexpected.push_back(line);
        }
    }

    /// Waits for a line that contains `text`, and gives what came before it and was not waited for yet.
    #[allow(dead_code, reason = "not every test looks at all lines")]
    pub fn lines_before(&mut self, text: &str) -> Vec<String> {
        self.expect(text);
        self.unexpected.drain(..).collect()
    }

    /// Waits for a line that contains `text`; false when the program ended before it came.
    #[allow(dead_code, reason = "not every test has programs that end by themselves")]
    pub fn expect_or_end(&mut self, text: &str) -> bool {
        let until = Instant::now() + PATIENCE;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => break,
            }
            if self.seen.last().is_some_and(|line| line.contains(text)) {
                return true;
            }
        }
        panic!("no line with {text:?} after {:#?}", self.seen)
    }

    /// Kills it where it stands, and gives what it had printed.
    #[allow(dead_code, reason = "not every test kills one")]
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.seen.extend(self.lines.iter());
        std::mem::take(&mut self.seen)
    }

    /// Whether a line with `text` came already; it counts once.
    #[allow(dead_code, reason = "not every test asks")]
    pub fn printed(&mut self, text: &str) -> bool {
        self.unexpected.extend(self.lines.try_iter());
        let place = self.unexpected.iter().position(|line| line.contains(text));
        place.and_then(|place| self.unexpected.remove(place)).is_some()
    }

    /// The last lines that nobody waited for.
    #[allow(dead_code, reason = "not every test asks")]
    pub fn unexpected(&mut self) -> Vec<String> {
        self.unexpected.extend(self.lines.try_iter());
        self.unexpected.iter().rev().take(12).rev().cloned().collect()
    }

    /// Whether the program has ended by itself.
    #[allow(dead_code, reason = "not every test asks")]
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends the input, waits for the end, and gives the exit status with everything that was printed.
    #[allow(dead_code, reason = "not every test lets it end")]
    pub fn end(mut self) -> (i32, Vec<String>) {
        drop(self.input.take());
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end; it printed {:#?}", self.seen);
            thread::sleep(Duration::from_millis(10));
        };
        self.seen.extend(self.lines.iter());
        (status.code().unwrap(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A test that failed leaves no process behind; one that ended has none.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The 64 digits of the fingerprint in a line.
#[allow(dead_code, reason = "not every test looks at one")]
pub fn fingerprint(line: &str) -> String {
    let digits = line.rsplit(|c: char| !c.is_ascii_hexdigit()).find(|word| word.len() == 64);
    digits.unwrap_or_else(|| panic!("no fingerprint in {line:?}")).to_owned()
}
