//! How the story is printed: headings, people, evidence. Colour only where it can be seen and is wanted.

use crate::fault::Fault;
use indicatif::{ProgressBar, ProgressStyle};
use securechat_core::text::{Lines, neutralise};
use std::io::{self, IsTerminal, Write};

/// Longest piece of a text that is quoted.
const QUOTED: usize = 64;

/// Bytes in a row of a dump.
const DUMPED: usize = 20;

/// Where the story is told; a silent one tells nothing.
pub(crate) struct Stage {
    silent: bool,
    colour: bool,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        Self { silent: false, colour: wanted && able && io::stdout().is_terminal() }
    }

    pub(crate) fn silent() -> Self {
        Self { silent: true, colour: false }
    }

    /// One line as it is.
    pub(crate) fn line(&self, text: &str) {
        if !self.silent {
            // Whoever closed the output wants no more of it; the exit status still says how it went.
            _ = writeln!(io::stdout().lock(), "{text}");
        }
    }

    pub(crate) fn title(&self, text: &str) {
        self.line(&self.paint("1", text));
    }

    /// A new act.
    pub(crate) fn act(&self, number: usize, text: &str) {
        self.line(&format!("{} {}", self.paint("1;35", &format!("{number}")), self.paint("1", text)));
    }

    /// Something that a person does or sees.
    pub(crate) fn person(&self, name: &str, text: &str) {
        let code = if name == "alice" { "1;36" } else { "1;33" };
        self.line(&format!("  {} {text}", self.paint(code, &format!("{name:<6}"))));
    }

    /// A text that a person writes, and what became of it.
    pub(crate) fn says(&self, name: &str, text: &str, fate: &str) {
        let shown = neutralise(text, Lines::One);
        self.person(name, &format!("▸ {shown:<52} {}", self.good(fate)));
    }

    /// Something said aside.
    pub(crate) fn aside(&self, text: &str) {
        self.line(&format!("         {}", self.paint("2", text)));
    }

    pub(crate) fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// What ended the tour.
    pub(crate) fn fault(&self, fault: &Fault) {
        let text = fault.to_string();
        _ = writeln!(
            io::stderr().lock(),
            "{}",
            self.bad(&format!("The tour ends here: {}.", neutralise(&text, Lines::One)))
        );
    }

    /// The first bytes of something, as hexadecimal digits and as text.
    pub(crate) fn dump(&self, bytes: &[u8], rows: usize) {
        for (row, part) in bytes.chunks(DUMPED).take(rows).enumerate() {
            let digits: Vec<_> = part.iter().map(|byte| format!("{byte:02x}")).collect();
            let text = part.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' });
            let text: String = text.collect();
            self.aside(&format!("{:04x}  {:<59}  {text}", row * DUMPED, digits.join(" ")));
        }
    }

    /// One row of the search: what was found on the relay's disk, on its wire and at the two ends.
    pub(crate) fn found(&self, what: &str, places: [String; 3], holds: bool) {
        let [disk, wire, ends] = places.map(|place| format!("{place:>13}"));
        let mark = if holds { self.good("✓") } else { self.bad("✗") };
        self.line(&format!("    {what:<46} {disk} {wire} {ends} {mark}"));
    }

    /// A progress bar; where nobody watches it only its end is printed.
    pub(crate) fn progress(&self, total: u64) -> Progress<'_> {
        let bar =
            if self.silent || !io::stdout().is_terminal() { ProgressBar::hidden() } else { ProgressBar::new(total) };
        if let Ok(style) = ProgressStyle::with_template("         [{bar:40}] {bytes} of {total_bytes}") {
            bar.set_style(style.progress_chars("█▌ "));
        }
        Progress { stage: self, bar, total }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A file on its way.
pub(crate) struct Progress<'a> {
    stage: &'a Stage,
    bar: ProgressBar,
    total: u64,
}

impl Progress<'_> {
    pub(crate) fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// The bar stays, full.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
        self.stage.line(&format!("         [{}] {} bytes", "█".repeat(40), self.total));
    }
}

/// A text in quotation marks, shortened and made fit to be printed.
pub(crate) fn quoted(text: &str) -> String {
    let text = neutralise(text, Lines::One);
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("“{}…”", text.get(..end).unwrap_or(&text)),
        None => format!("“{text}”"),
    }
}

/// Long identifiers by their beginning and end.
pub(crate) fn brief(text: &str) -> String {
    match (text.get(..8), text.get(text.len().saturating_sub(4)..)) {
        (Some(first), Some(last)) if text.len() > 16 => format!("{first}…{last}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_things_are_shortened() {
        assert_eq!(brief(&"0123456789abcdef".repeat(4)), "01234567…cdef");
        assert_eq!(brief("short"), "short");
        assert_eq!(quoted("hi"), "“hi”");
        assert_eq!(quoted(&"ü".repeat(70)), format!("“{}…”", "ü".repeat(64)));
    }
}
