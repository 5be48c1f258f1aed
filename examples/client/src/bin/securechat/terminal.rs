//! Where lines come from: a line editor with completion, or a pipe. One thread reads, and only when it was asked to.

use crate::complete::{Completion, Names};
use crate::screen::Out;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{CompletionType, Config, Editor, ExternalPrinter};
use std::io::{self, BufRead, IsTerminal};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use zeroize::Zeroizing;

/// Longest line that is read from a pipe, in bytes; what is beyond is no text and no command.
const LINE_MAX: u64 = 1 << 20;

/// What is to be read next.
#[derive(Debug)]
pub(crate) enum Ask {
    Line { prompt: String },
    Secret { prompt: String },
}

/// What was read.
#[derive(Debug)]
pub(crate) enum Typed {
    Line(String),
    Secret(Zeroizing<String>),
    /// Ctrl-C: what was being typed is dropped.
    Interrupted,
    /// Nothing more comes.
    End,
    /// A secret was to be asked for, and there is nobody to ask.
    NobodyToAsk,
}

/// The reading side of a terminal or pipe.
pub(crate) struct Terminal {
    asks: Sender<Ask>,
    interactive: bool,
}

impl Terminal {
    /// Starts reading; `typed` is called on another thread, once for each [`ask`](Self::ask).
    pub(crate) fn start(names: Names, typed: impl Fn(Typed) + Send + 'static) -> io::Result<(Self, Out)> {
        let (asks, asked) = mpsc::channel();
        let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
        let out = match interactive.then(|| editor(names)).transpose() {
            Ok(Some((editor, printer))) => {
                thread::Builder::new().name("type".into()).spawn(move || read_editor(editor, &asked, &typed))?;
                Out::Editor(print_above(printer)?)
            }
            Ok(None) => {
                thread::Builder::new().name("type".into()).spawn(move || read_pipe(&asked, &typed))?;
                Out::Plain
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        Ok((Self { asks, interactive }, out))
    }

    /// Whether somebody sits there.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Asks for one line or secret.
    pub(crate) fn ask(&self, ask: Ask) {
        // The reader ends only after it said so.
        _ = self.asks.send(ask);
    }
}

/// Asks for a secret before anything else runs.
pub(crate) fn ask_secret(prompt: &str) -> Option<Zeroizing<String>> {
    rpassword::prompt_password(prompt).ok().map(Zeroizing::new)
}

type LineEditor = Editor<Completion, MemHistory>;

fn editor(names: Names) -> rustyline::Result<(LineEditor, impl ExternalPrinter + Send + 'static)> {
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_helper(Some(Completion::new(names)));
    let printer = editor.create_external_printer()?;
    Ok((editor, printer))
}

/// A thread of its own prints: the printer waits while no line is being edited, which must not stop anything else.
fn print_above(mut printer: impl ExternalPrinter + Send + 'static) -> io::Result<Sender<String>> {
    let (lines, queue) = mpsc::channel::<String>();
    let print = move || {
        for line in queue {
            if printer.print(line).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("print".into()).spawn(print)?;
    Ok(lines)
}

fn read_editor(mut editor: LineEditor, asked: &Receiver<Ask>, typed: &impl Fn(Typed)) {
    for ask in asked {
        typed(match ask {
            Ask::Line { prompt } => match editor.readline(&prompt) {
                Ok(line) => Typed::Line(line),
                Err(ReadlineError::Interrupted) => Typed::Interrupted,
                Err(_) => Typed::End,
            },
            Ask::Secret { prompt } => ask_secret(&prompt).map_or(Typed::Interrupted, Typed::Secret),
        });
    }
}

fn read_pipe(asked: &Receiver<Ask>, typed: &impl Fn(Typed)) {
    let mut input = io::stdin().lock();
    for ask in asked {
        typed(match ask {
            Ask::Line { .. } => read_line(&mut input).map_or(Typed::End, Typed::Line),
            Ask::Secret { prompt } => ask_secret(&prompt).map_or(Typed::NobodyToAsk, Typed::Secret),
        });
    }
}

/// The next line, or `None` at the end. Bytes that are no UTF-8 are replaced.
fn read_line(input: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    match io::Read::take(input, LINE_MAX).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gives_its_lines_and_its_end() {
        let mut input = &b"one\r\n\ntw\xffo"[..];
        let lines: Vec<_> = std::iter::from_fn(|| read_line(&mut input)).collect();
        assert_eq!(lines, ["one", "", "tw\u{fffd}o"]);
    }
}
