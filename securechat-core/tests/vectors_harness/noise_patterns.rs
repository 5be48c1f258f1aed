//! The patterns of Noise, revision 34, sections 7.4 and 7.5 and appendix 18.1, and their psk modifiers (section 9.4).

use securechat_core::noise::{Pattern, Token};

/// Name, what is known of the initiator and of the responder beforehand, messages.
pub type Row = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// One-way, fundamental, deferred.
pub const ROWS: &[Row] = &[
    ("N", "", "s", &["e es"]),
    ("K", "s", "s", &["e es ss"]),
    ("X", "", "s", &["e es s ss"]),
    // Fundamental.
    ("NN", "", "", &["e", "e ee"]),
    ("NK", "", "s", &["e es", "e ee"]),
    ("NX", "", "", &["e", "e ee s es"]),
    ("KN", "s", "", &["e", "e ee se"]),
    ("KK", "s", "s", &["e es ss", "e ee se"]),
    ("KX", "s", "", &["e", "e ee se s es"]),
    ("XN", "", "", &["e", "e ee", "s se"]),
    ("XK", "", "s", &["e es", "e ee", "s se"]),
    ("XX", "", "", &["e", "e ee s es", "s se"]),
    ("IN", "", "", &["e s", "e ee se"]),
    ("IK", "", "s", &["e es s ss", "e ee se"]),
    ("IX", "", "", &["e s", "e ee se s es"]),
    // Deferred.
    ("NK1", "", "s", &["e", "e ee es"]),
    ("NX1", "", "", &["e", "e ee s", "es"]),
    ("X1N", "", "", &["e", "e ee", "s", "se"]),
    ("X1K", "", "s", &["e es", "e ee", "s", "se"]),
    ("XK1", "", "s", &["e", "e ee es", "s se"]),
    ("X1K1", "", "s", &["e", "e ee es", "s", "se"]),
    ("X1X", "", "", &["e", "e ee s es", "s", "se"]),
    ("XX1", "", "", &["e", "e ee s", "es s se"]),
    ("X1X1", "", "", &["e", "e ee s", "es s", "se"]),
    ("K1N", "s", "", &["e", "e ee", "se"]),
    ("K1K", "s", "s", &["e es", "e ee", "se"]),
    ("KK1", "s", "s", &["e", "e ee se es"]),
    ("K1K1", "s", "s", &["e", "e ee es", "se"]),
    ("K1X", "s", "", &["e", "e ee s es", "se"]),
    ("KX1", "s", "", &["e", "e ee se s", "es"]),
    ("K1X1", "s", "", &["e", "e ee s", "se es"]),
    ("I1N", "", "", &["e s", "e ee", "se"]),
    ("I1K", "", "s", &["e es s", "e ee", "se"]),
    ("IK1", "", "s", &["e s", "e ee se es"]),
    ("I1K1", "", "s", &["e s", "e ee es", "se"]),
    ("I1X", "", "", &["e s", "e ee s es", "se"]),
    ("IX1", "", "", &["e s", "e ee se s", "es"]),
    ("I1X1", "", "", &["e s", "e ee s", "se es"]),
];

/// A pattern by its name with modifiers, such as `XXpsk0+psk3`; none if it is not of this table, or has other modifiers.
pub fn pattern(name: &str) -> Option<&'static Pattern> {
    let end = name.find(|c: char| c.is_ascii_lowercase()).unwrap_or(name.len());
    let (base, modifiers) = name.split_at(end);
    let (_, initiator, responder, messages) = ROWS.iter().find(|(row, ..)| *row == base)?;
    let mut messages: Vec<Vec<Token>> = messages.iter().map(|message| tokens(message)).collect();
    for modifier in modifiers.split('+').filter(|modifier| !modifier.is_empty()) {
        match modifier.strip_prefix("psk")?.parse::<usize>().ok()? {
            0 => messages.first_mut()?.insert(0, Token::Psk),
            place => messages.get_mut(place - 1)?.push(Token::Psk),
        }
    }
    let messages: Vec<&'static [Token]> = messages.into_iter().map(|message| &*message.leak()).collect();
    // Patterns are static data. What a test leaks is a few kilobytes.
    Some(Box::leak(Box::new(Pattern::of_tests(
        name.to_owned().leak(),
        tokens(initiator).leak(),
        tokens(responder).leak(),
        messages.leak(),
    ))))
}

fn tokens(words: &str) -> Vec<Token> {
    let token = |word| match word {
        "e" => Token::E,
        "s" => Token::S,
        "ee" => Token::Ee,
        "es" => Token::Es,
        "se" => Token::Se,
        "ss" => Token::Ss,
        _ => unreachable!("{word}"),
    };
    words.split_whitespace().map(token).collect()
}
