//! A program in a process of its own, typed to through a pipe.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take; a test machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Lines that came and that nobody has waited for yet: the two outputs have no order between them.
    unexpected: Vec<String>,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines() {
                    if sender.send(line.expect("the program prints UTF-8")).is_err() {
                        return;
                    }
                }
            });
        }
        Self { input: child.stdin.take(), child, lines, unexpected: Vec::new() }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").and_then(|()| input.flush()).unwrap();
    }

    /// Waits for a line that contains `text`, and gives all of it. A line is expected once.
    pub fn expect(&mut self, text: &str) -> String {
        self.expect_one_of(&[text])
    }

    /// The same for the first line that contains one of `texts`.
    pub fn expect_one_of(&mut self, texts: &[&str]) -> String {
        let wanted = |line: &String| texts.iter().any(|text| line.contains(text));
        if let Some(place) = self.unexpected.iter().position(wanted) {
            return self.unexpected.remove(place);
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("no line with one of {texts:?}, but {:#?}", self.unexpected));
            if wanted(&line) {
                return line;
            }
            self.unexpected.push(line);
        }
    }

    /// Ends the input, waits for the end, and gives the exit status with what was printed and not expected.
    pub fn end(mut self) -> (i32, Vec<String>) {
        drop(self.input.take());
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end; it printed {:#?}", self.unexpected);
            thread::sleep(Duration::from_millis(10));
        };
        self.unexpected.extend(self.lines.iter());
        (status.code().unwrap(), std::mem::take(&mut self.unexpected))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A test that failed leaves no process behind; one that ended has none.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
