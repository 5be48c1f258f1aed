//! A program in a process of its own, typed to through a pipe.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take; a test machine may be busy, and valgrind is slow.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// Lines that came while another was waited for: the two outputs have no order between them.
    unexpected: VecDeque<String>,
}

impl Program {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                    if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
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
        let written = writeln!(input, "{line}").and_then(|()| input.flush());
        written
            .unwrap_or_else(|error| panic!("{error}: {:#?} {:#?}", self.seen, self.lines.iter().collect::<Vec<_>>()));
    }

    /// Nothing more is typed.
    pub fn close_input(&mut self) {
        drop(self.input.take());
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

    /// Asks it to end as a service manager does, and waits: the exit status, with everything that was printed.
    pub fn terminate(self) -> (i32, String) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        self.end()
    }

    /// Waits for a line that contains `text`; false when the program ended before it came.
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

    /// Kills it where it stands: what it had printed.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.seen.extend(self.lines.iter());
        std::mem::take(&mut self.seen)
    }

    /// Ends the input and waits: the exit status, with everything that was printed.
    pub fn end(mut self) -> (i32, String) {
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
        (status.code().unwrap_or(-1), std::mem::take(&mut self.seen).join("\n"))
    }

    /// Ends it, which has to succeed.
    pub fn succeed(self) -> String {
        let (status, printed) = self.end();
        assert_eq!(status, 0, "{printed}");
        printed
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A test that failed leaves no process behind; one that ended has none.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
