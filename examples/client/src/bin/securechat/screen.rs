//! What is printed. Every byte that goes out passes here, and everything that others wrote is made harmless (E4).

use securechat_core::text::{Lines, neutralise};
use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::Sender;

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// What somebody else wrote.
    Theirs,
    /// What the user wrote.
    Mine,
    /// What happened.
    Note,
    /// What deserves attention.
    Warning,
    /// What went wrong.
    Error,
}

/// Where lines go.
pub(crate) enum Out {
    /// Above the half-typed line.
    Editor(Sender<String>),
    /// To the standard output, errors and warnings to the standard error.
    Plain,
}

pub(crate) struct Screen {
    out: Out,
    colour: bool,
    /// Whether the last line is one of progress, which the next takes the place of.
    moving: Cell<bool>,
}

impl Screen {
    pub(crate) fn new(out: Out) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        let colour = wanted && able && io::stdout().is_terminal() && io::stderr().is_terminal();
        Self { out, colour, moving: Cell::new(false) }
    }

    /// One line about what happened.
    pub(crate) fn say(&self, tone: Tone, text: &str) {
        self.print(tone, &render(tone, "", text, Lines::One, self.colour));
    }

    /// What somebody wrote: `head` names them, further lines are indented so that none can pass for another message.
    pub(crate) fn message(&self, tone: Tone, head: &str, text: &str) {
        self.print(tone, &render(tone, head, text, Lines::Many, self.colour));
    }

    /// Whether a line can take the place of the one before.
    pub(crate) fn can_move(&self) -> bool {
        self.colour && matches!(self.out, Out::Editor(_))
    }

    /// One line of progress, in place of the last line if that was one too, where the terminal can.
    pub(crate) fn progress(&self, text: &str) {
        let line = render(Tone::Note, "", text, Lines::One, self.colour);
        // Up to the line before, and that erased.
        let again = if self.can_move() && self.moving.get() { "\x1b[1A\x1b[2K" } else { "" };
        self.print(Tone::Note, &format!("{again}{line}"));
        self.moving.set(true);
    }

    fn print(&self, tone: Tone, line: &str) {
        self.moving.set(false);
        let written = match &self.out {
            Out::Editor(printer) => printer.send(format!("{line}\n")).map_err(io::Error::other),
            Out::Plain if matches!(tone, Tone::Warning | Tone::Error) => writeln!(io::stderr().lock(), "{line}"),
            Out::Plain => writeln!(io::stdout().lock(), "{line}").and_then(|()| io::stdout().flush()),
        };
        // Nobody reads any more: the work goes on, and the exit status says how it went.
        _ = written;
    }
}

fn render(tone: Tone, head: &str, text: &str, lines: Lines, colour: bool) -> String {
    let head = neutralise(head, Lines::One);
    let text = neutralise(text, lines).replace('\n', "\n    ");
    let (head_code, text_code) = match tone {
        Tone::Theirs => ("1;36", ""),
        Tone::Mine => ("36", ""),
        Tone::Note => ("", "2"),
        Tone::Warning => ("", "1;33"),
        Tone::Error => ("", "31"),
    };
    let paint = |code: &str, text: &str| match colour && !code.is_empty() && !text.is_empty() {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let mark = match tone {
        Tone::Note => "- ",
        Tone::Warning | Tone::Error => "! ",
        Tone::Theirs | Tone::Mine => "",
    };
    format!("{}{}", paint(head_code, &head), paint(text_code, &format!("{mark}{text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ATTACKS.md E4: nothing that a terminal obeys, and no line that another could have written.
    #[test]
    fn e4_what_others_write_is_neutralised() {
        let evil = "hi\x1b[2J\u{9b}31m\u{202e}\r\n! forged";
        for lines in [Lines::One, Lines::Many] {
            let shown = render(Tone::Theirs, "bob\x1b]0;x\x07: ", evil, lines, false);
            assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
            assert!(!shown.contains('\u{202e}') && !shown.contains("\n!"), "{shown:?}");
        }
        let shown = render(Tone::Theirs, "bob: ", "one\ntwo", Lines::Many, false);
        assert_eq!(shown, "bob: one\n    two");
        assert_eq!(render(Tone::Note, "", "one\ntwo", Lines::One, false), "- one␊two");
    }

    #[test]
    fn colour_surrounds_and_never_comes_from_inside() {
        assert_eq!(render(Tone::Error, "", "no", Lines::One, true), "\x1b[31m! no\x1b[0m");
        let shown = render(Tone::Theirs, "bob: ", "\x1b[0m", Lines::Many, true);
        assert_eq!(shown, "\x1b[1;36mbob: \x1b[0m␛[0m");
    }
}
