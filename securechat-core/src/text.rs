//! Received text, made fit to be printed (ATTACKS.md E4).
//!
//! A terminal obeys escape sequences, and text can reorder or hide itself with characters that show nothing. Every
//! program that prints what others wrote prints it through [`neutralise`].

use core::fmt::Write;
use std::borrow::Cow;

/// Whether a text may have more than one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// A line feed is shown as `␊`: for names, and for whatever must not forge another line of output.
    One,
    /// A line feed stays; the program indents or prefixes what follows. `\r\n` becomes `\n`.
    Many,
}

/// `text` with everything that acts instead of showing made visible.
///
/// C0 controls and DEL become their pictures (`␛`), everything else that is no visible part of a text becomes `<U+202E>`:
/// C1 controls, characters that set the direction of writing, invisible ones, line and paragraph separators, private use,
/// variation selectors of the second block, tags and noncharacters. U+200C and U+200D stay between two other characters,
/// because scripts and emoji need them there. The result neutralised again is itself.
pub fn neutralise(text: &str, lines: Lines) -> Cow<'_, str> {
    let acts = |&(index, c): &(usize, char)| treatment(text, index, c, lines) != Treatment::Keep;
    let Some((first, _)) = text.char_indices().find(acts) else { return Cow::Borrowed(text) };
    let (kept, rest) = text.split_at_checked(first).unwrap_or_default();
    let mut shown = String::with_capacity(text.len() + 16);
    shown.push_str(kept);
    for (offset, c) in rest.char_indices() {
        match treatment(text, first + offset, c, lines) {
            Treatment::Keep => shown.push(c),
            Treatment::Drop => {}
            Treatment::Picture(picture) => shown.push(picture),
            // Writing to a String does not fail.
            Treatment::Number => _ = write!(shown, "<U+{:04X}>", u32::from(c)),
        }
    }
    Cow::Owned(shown)
}

#[derive(PartialEq, Eq)]
enum Treatment {
    Keep,
    Drop,
    Picture(char),
    Number,
}

fn treatment(text: &str, index: usize, c: char, lines: Lines) -> Treatment {
    match c {
        '\n' if lines == Lines::Many => Treatment::Keep,
        '\r' if lines == Lines::Many && text.get(index..).is_some_and(|rest| rest.starts_with("\r\n")) => {
            Treatment::Drop
        }
        '\0'..='\x1f' => Treatment::Picture(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
        '\x7f' => Treatment::Picture('\u{2421}'),
        '\u{200c}' | '\u{200d}' if joins(text, index, c) => Treatment::Keep,
        _ if is_hidden(c) => Treatment::Number,
        _ => Treatment::Keep,
    }
}

/// Whether a joiner stands between two characters that show something.
fn joins(text: &str, index: usize, c: char) -> bool {
    let shows = |c: Option<char>| c.is_some_and(|c| !c.is_control() && !c.is_whitespace() && !is_hidden(c));
    let (before, after) = text.split_at_checked(index).unwrap_or_default();
    shows(before.chars().next_back()) && shows(after.get(c.len_utf8()..).and_then(|after| after.chars().next()))
}

/// Characters outside C0 that show nothing of themselves and change what is around them.
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}'             // C1, among them a second CSI and OSC
        | '\u{ad}'                      // soft hyphen
        | '\u{34f}'                     // combining grapheme joiner
        | '\u{61c}'                     // Arabic letter mark
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
        | '\u{17b4}' | '\u{17b5}'       // Khmer inherent vowels
        | '\u{180b}'..='\u{180f}'       // Mongolian selectors
        | '\u{200b}'..='\u{200f}'       // zero width, joiners, marks of direction
        | '\u{2028}'..='\u{202e}'       // separators; embeddings and overrides of direction
        | '\u{2060}'..='\u{206f}'       // invisible operators, isolates, deprecated formats
        | '\u{2800}'                    // a Braille pattern without dots
        | '\u{e000}'..='\u{f8ff}'       // private use
        | '\u{feff}'                    // byte order mark
        | '\u{fff0}'..='\u{fffb}'       // interlinear annotation
        | '\u{1bca0}'..='\u{1bca3}'     // shorthand format controls
        | '\u{1d173}'..='\u{1d17a}'     // musical format controls
        | '\u{e0000}'..='\u{10ffff}'    // tags, selectors, private use
    ) || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shows(text: &str, lines: Lines, expected: &str) {
        let shown = neutralise(text, lines);
        assert_eq!(shown, expected);
        assert_eq!(neutralise(&shown, lines), expected, "not idempotent");
    }

    #[test]
    fn e4_escape_sequences_are_shown() {
        for (text, expected) in [
            ("\x1b[2J\x1b[H", "␛[2J␛[H"),                       // clears the screen
            ("\x1b]0;title\x07", "␛]0;title␇"),                 // sets the title
            ("\x1b]52;c;ZXZpbA==\x1b\\", "␛]52;c;ZXZpbA==␛\\"), // writes the clipboard
            ("\x1b]8;;https://evil\x1b\\bank\x1b]8;;\x1b\\", "␛]8;;https://evil␛\\bank␛]8;;␛\\"), // a link
            ("\x1bP+q544e\x1b\\", "␛P+q544e␛\\"),               // asks the terminal, which answers as if typed
            ("\u{9b}31mred", "<U+009B>31mred"),                 // CSI in one character
            ("\u{9d}0;x\u{9c}", "<U+009D>0;x<U+009C>"),         // OSC and ST in one character each
            ("ok\rFAKE", "ok␍FAKE"),                            // writes over the line
            ("abc\x08\x08\x08x", "abc␈␈␈x"),
            ("\0\t\x0b\x0c\x0e\x7f", "␀␉␋␌␎␡"),
        ] {
            shows(text, Lines::One, expected);
            shows(text, Lines::Many, expected);
        }
    }

    #[test]
    fn e4_direction_and_hidden_characters_are_shown() {
        for (text, expected) in [
            ("photo\u{202e}gpj.exe", "photo<U+202E>gpj.exe"),
            ("\u{202a}a\u{202b}b\u{202c}c\u{202d}", "<U+202A>a<U+202B>b<U+202C>c<U+202D>"),
            ("\u{2066}a\u{2067}b\u{2068}c\u{2069}", "<U+2066>a<U+2067>b<U+2068>c<U+2069>"),
            ("\u{200e}\u{200f}\u{61c}", "<U+200E><U+200F><U+061C>"),
            ("ali\u{200b}ce", "ali<U+200B>ce"),
            ("\u{feff}alice\u{2060}", "<U+FEFF>alice<U+2060>"),
            ("a\u{2028}b\u{2029}c", "a<U+2028>b<U+2029>c"),
            ("a\u{ad}b\u{3164}\u{2800}", "a<U+00AD>b<U+3164><U+2800>"),
            ("\u{e0041}\u{e0042}", "<U+E0041><U+E0042>"),
            ("\u{e000}\u{ffff}\u{fdd0}\u{10fffe}", "<U+E000><U+FFFF><U+FDD0><U+10FFFE>"),
            ("\u{200d}a\u{200d}\u{200d}b \u{200c}c\u{200d}", "<U+200D>a<U+200D><U+200D>b <U+200C>c<U+200D>"),
        ] {
            shows(text, Lines::One, expected);
        }
    }

    #[test]
    fn e4_line_feeds_stay_only_where_asked() {
        shows("a\nb\r\nc\n", Lines::One, "a␊b␍␊c␊");
        shows("a\nb\r\nc\n", Lines::Many, "a\nb\nc\n");
        shows("a\r\r\nb", Lines::Many, "a␍\nb");
        shows("a\u{85}b", Lines::Many, "a<U+0085>b");
    }

    #[test]
    fn e4_nothing_that_acts_is_left() {
        for c in '\0'..=char::MAX {
            for text in [format!("{c}"), format!("a{c}"), format!("{c}a"), format!("\u{1b}{c}\u{202e}")] {
                let shown = neutralise(&text, Lines::One);
                assert!(shown.chars().all(|c| !c.is_control() && !is_hidden(c)), "{c:?}");
                assert_eq!(neutralise(&shown, Lines::One), shown);
            }
        }
    }

    #[test]
    fn ordinary_text_of_any_script_is_not_touched() {
        for text in [
            "",
            "Grüße, 你好, Привет, नमस्ते, こんにちは, 안녕하세요",
            "שלום",
            "مرحبا",
            "می\u{200c}خواهم", // Persian needs its non-joiner
            "ක්\u{200d}ෂ",      // Sinhala its joiner
            "👩\u{200d}💻 ❤\u{fe0f} 🏳\u{fe0f}\u{200d}🌈 👍🏽 🇨🇭",
            "e\u{301}\u{a0}—“quoted”…",
        ] {
            assert!(matches!(neutralise(text, Lines::Many), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
