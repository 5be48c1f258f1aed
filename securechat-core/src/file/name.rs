//! A received file's name, made safe to use inside a folder (F4, ATTACKS.md E1).

use crate::limits::SAFE_NAME_MAX;
use crate::text::is_hidden;

/// The name of a file of which nothing else is left.
const FALLBACK: &str = "file";
/// An ending of at most this many bytes outlives a cut.
const EXTENSION_MAX: usize = 16;

/// What is left of a received name: the name of a file, on any system, in the folder that the host chose.
///
/// Of a path only the last part counts. Controls and hidden characters are dropped, what has a meaning to some system
/// becomes `_`, leading dots and dashes and surrounding spaces go, the name of a device gets a `_` before it, and more than
/// [`SAFE_NAME_MAX`] bytes are cut, not within a character and before the extension. The result is never empty, and made
/// safe again it is itself. It says nothing about what is in the folder: the host creates the file only if there is none.
pub fn safe_name(received: &str) -> String {
    let base = received.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or_default();
    let kept = base.chars().filter(|c| !c.is_control() && !is_hidden(*c));
    let clean: String = kept.map(|c| if has_meaning(c) { '_' } else { c }).collect();
    let name = trim_end(clean.trim_start_matches(|c: char| c == '.' || c == '-' || c.is_whitespace()));
    let name = if name.is_empty() { FALLBACK } else { name };
    let cut = cut(name, SAFE_NAME_MAX);
    if is_device(&cut) { format!("_{}", self::cut(&cut, SAFE_NAME_MAX - 1)) } else { cut }
}

/// Characters that end a path's part, name a drive or a stream, or stand for other characters somewhere; and their doubles,
/// which only look so or are turned into them by a system's older interfaces.
fn has_meaning(c: char) -> bool {
    matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')
        || matches!(c, '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{29f5}' | '\u{29f8}' | '\u{29f9}' | '\u{fe68}')
        || matches!(c, '\u{ff0f}' | '\u{ff1a}' | '\u{ff3c}')
}

/// Windows ignores dots and spaces there, so that one file would have many names.
fn trim_end(name: &str) -> &str {
    name.trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

/// At most `max` bytes of a name, the extension kept if it is a short one.
fn cut(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let (stem, extension) = match name.rfind('.').and_then(|dot| name.split_at_checked(dot)) {
        Some((stem, extension)) if extension.len() <= EXTENSION_MAX => (stem, extension),
        _ => (name, ""),
    };
    let kept = (0..=max - extension.len()).rev().find_map(|end| stem.get(..end)).unwrap_or_default();
    format!("{}{extension}", trim_end(kept))
}

/// Whether Windows opens a device by this name, whatever its extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"]
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
    {
        return true;
    }
    let Some((port, number)) = stem.split_at_checked(3) else { return false };
    ["COM", "LPT"].iter().any(|device| port.eq_ignore_ascii_case(device))
        && matches!(number, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    fn assert_safe(name: &str, received: &str) {
        assert!(!name.is_empty() && name.len() <= SAFE_NAME_MAX, "{received:?}");
        assert!(!name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']), "{received:?} {name:?}");
        assert!(!name.chars().any(|c| c.is_control() || is_hidden(c)), "{received:?} {name:?}");
        assert!(!name.starts_with(['.', '-', ' ']) && !name.ends_with(['.', ' ']), "{received:?} {name:?}");
        assert!(!is_device(name), "{received:?} {name:?}");
        assert_eq!(safe_name(name), name, "{received:?}: not idempotent");
        assert_eq!(std::path::Path::new(name).components().count(), 1);
    }

    /// ATTACKS.md E1.
    #[test]
    fn e1_nasty_names_become_safe_ones() {
        for (received, expected) in [
            // Ordinary names stay.
            ("report.pdf", "report.pdf"),
            ("Grüße aus Köln (2).tar.gz", "Grüße aus Köln (2).tar.gz"),
            ("写真.jpg", "写真.jpg"),
            ("👍🏽.png", "👍🏽.png"),
            ("a..b", "a..b"),
            ("~x", "~x"),
            // Paths.
            ("../../etc/passwd", "passwd"),
            ("..\\..\\Windows\\win.ini", "win.ini"),
            ("/etc/shadow", "shadow"),
            ("C:\\Users\\x\\a.txt", "a.txt"),
            ("C:a.txt", "C_a.txt"),
            ("\\\\server\\share\\a.txt", "a.txt"),
            ("\\\\?\\C:\\a.txt", "a.txt"),
            ("\\\\.\\PhysicalDrive0", "PhysicalDrive0"),
            ("file:///etc/passwd", "passwd"),
            ("folder/", "folder"),
            ("a/..", "file"),
            ("a/.../", "file"),
            ("a/b\\c/d\\e", "e"),
            ("..∕..∕etc∕passwd", "_.._etc_passwd"),
            ("．．／a", "．．_a"),
            // Nothing at all.
            ("", "file"),
            (".", "file"),
            ("..", "file"),
            ("/", "file"),
            ("\\\\", "file"),
            ("   ", "file"),
            ("-", "file"),
            ("\0", "file"),
            ("\u{202e}\u{200b}", "file"),
            // Controls, direction, hidden characters.
            ("a\0.txt", "a.txt"),
            ("a.txt\0.exe", "a.txt.exe"),
            ("a\nb\r\x1b[2J.txt", "ab[2J.txt"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("\u{2066}a\u{2069}\u{200e}.txt", "a.txt"),
            ("inv\u{200b}oice\u{feff}.pdf", "invoice.pdf"),
            (".\u{200b}./a", "a"),
            (".\u{200b}.", "file"),
            ("a\u{9b}b", "ab"),
            // Dots, spaces, dashes.
            (".bashrc", "bashrc"),
            ("...a...", "a"),
            (" a .", "a"),
            ("\u{a0}a\u{3000}", "a"),
            ("-rf", "rf"),
            ("--. -x", "x"),
            ("a. . .", "a"),
            // Streams and wildcards.
            ("a.txt:stream", "a.txt_stream"),
            ("a.txt::$DATA", "a.txt__$DATA"),
            ("*?<>|\".txt", "______.txt"),
            // Devices.
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("Nul.tar.gz", "_Nul.tar.gz"),
            ("aux .c", "_aux .c"),
            ("PRN.", "_PRN"),
            ("COM1", "_COM1"),
            ("lpt9.log", "_lpt9.log"),
            ("COM¹", "_COM¹"),
            ("conin$", "_conin$"),
            ("CO\u{200d}N", "_CON"),
            ("..CON", "_CON"),
            ("/dev/\u{202e}nul", "_nul"),
            ("CONSOLE", "CONSOLE"),
            ("COM10", "COM10"),
            ("x.con", "x.con"),
        ] {
            let name = safe_name(received);
            assert_eq!(name, expected, "{received:?}");
            assert_safe(&name, received);
        }
    }

    #[test]
    fn e1_long_names_are_cut_between_characters_and_keep_their_extension() {
        for (received, expected) in [
            ("a".repeat(255), "a".repeat(255)),
            ("a".repeat(256), "a".repeat(255)),
            ("a".repeat(300) + ".pdf", "a".repeat(251) + ".pdf"),
            ("ü".repeat(200), "ü".repeat(127)),
            ("👍".repeat(100) + ".png", "👍".repeat(62) + ".png"),
            ("a".to_owned() + &".b".repeat(200), "a".to_owned() + &".b".repeat(127)),
            (format!("a.{}", "b".repeat(300)), format!("a.{}", "b".repeat(253))),
            (format!("a{}z.txt", " ".repeat(300)), "a.txt".to_owned()),
            (format!("con{}z.txt", " ".repeat(300)), "_con.txt".to_owned()),
            (format!("nul.{}", "b".repeat(251)), format!("_nul.{}", "b".repeat(250))),
            (format!("a.{}", "\u{301}".repeat(200)), format!("a.{}", "\u{301}".repeat(126))),
        ] {
            let name = safe_name(&received);
            assert_eq!(name, expected, "{received:?}");
            assert_safe(&name, &received);
        }
    }

    #[test]
    fn e1_any_name_becomes_a_safe_one() {
        let pieces = [
            ".", "..", "/", "\\", ":", " ", "-", "_", "con", "COM", "1", "¹", "\0", "\u{202e}", "\u{200d}", "\u{3000}",
            "👍", "ü", "a", "\u{301}", ".txt", "\n", "*", "nul",
        ];
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut pick = |n: usize| rng.next_u32() as usize % n;
        for _ in 0..20_000 {
            let received: String =
                (0..pick(12)).map(|_| pieces[pick(pieces.len())].repeat(1 + pick(80) / 70 * 90)).collect();
            assert_safe(&safe_name(&received), &received);
        }
    }
}
