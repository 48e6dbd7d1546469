//! Files of lists: addresses for `allow` and `deny`, words of user agents.
//!
//! A list is taken as a whole or not at all: half a list of addresses to refuse would look like one that
//! works. All that is wrong with it is told at once, so that it is mended in one go.

use std::fmt;

use crate::{AddressRange, AddressSet, RangeError};

/// Most bytes of a list of addresses: a million of the longest entries that are usual fit.
pub const ADDRESSES_BYTES_MAX: usize = 64 << 20;

/// Most lines of a list of addresses, comments too.
pub const ADDRESSES_LINES_MAX: usize = 1_000_000;

/// Most bytes of a list of words. What finds them takes some twenty times as much memory.
pub const WORDS_BYTES_MAX: usize = 1 << 20;

/// Most lines of a list of words, comments too.
pub const WORDS_LINES_MAX: usize = 20_000;

/// Fewest bytes of a word: shorter ones are in what everybody sends.
pub const WORD_BYTES_MIN: usize = 3;

/// Most bytes of a word.
pub const WORD_BYTES_MAX: usize = 200;

/// How many bad lines are told one by one; the others are counted.
pub const LINES_TOLD_MAX: usize = 20;

/// How much of a bad line is shown, characters.
const SHOWN_MAX: usize = 60;

/// Why a list cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListError {
    /// It has more bytes than this.
    Bytes(usize),
    /// It has more lines than this.
    Lines(usize),
    /// Lines that are wrong: the first [`LINES_TOLD_MAX`], and how many more there are.
    Bad {
        /// The first ones, in order.
        lines: Vec<BadLine>,
        /// Those beyond.
        more: usize,
    },
}

/// A line that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Which line, from 1.
    pub number: usize,
    /// What stands there, without signs that a terminal would obey, and cut if it is long.
    pub found: Box<str>,
    /// What is wrong.
    pub fault: LineFault,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// It is no text in UTF-8, or holds control characters.
    NotText,
    /// It is no range of addresses.
    Range(RangeError),
    /// A word is shorter than [`WORD_BYTES_MIN`].
    Short,
    /// A word is longer than [`WORD_BYTES_MAX`].
    Long,
}

impl LineFault {
    /// What to do about it.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::NotText => "save the file as plain text in UTF-8",
            Self::Range(error) => error.fix(),
            Self::Short => "write at least 3 bytes: shorter ones are in what everybody sends",
            Self::Long => "write the part of it that tells it from others, at most 200 bytes",
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("this is no text"),
            Self::Range(error) => error.fmt(f),
            Self::Short => f.write_str("the word is too short"),
            Self::Long => f.write_str("the word is too long"),
        }
    }
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, found, fault } = self;
        write!(f, "line {number}: \"{found}\": {fault}; {}", fault.fix())
    }
}

/// One line of text for each thing that is wrong.
impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(most) => {
                write!(f, "the list has more than {most} bytes; split it into several files")
            }
            Self::Lines(most) => {
                write!(f, "the list has more than {most} lines; split it into several files")
            }
            Self::Bad { lines, more } => {
                for (n, line) in lines.iter().enumerate() {
                    let end = if n == 0 { "" } else { "\n" };
                    write!(f, "{end}{line}")?;
                }
                if *more > 0 { write!(f, "\nand {more} more lines like these") } else { Ok(()) }
            }
        }
    }
}

impl std::error::Error for ListError {}

/// Reads a list of addresses: on each line an address, a prefix, or a first and a last address with a
/// dash between them. Whatever stands behind `#` or `;` is a comment. Blank lines are skipped, lines may
/// end in CR LF, and a byte order mark may stand first.
///
/// # Errors
/// More than [`ADDRESSES_BYTES_MAX`] bytes or [`ADDRESSES_LINES_MAX`] lines; lines that are none of that.
pub fn addresses(text: &[u8]) -> Result<AddressSet, ListError> {
    let entry = |line: &str| {
        let end = line.find(['#', ';']).unwrap_or(line.len());
        let entry = line[..end].trim();
        if entry.is_empty() {
            return Ok(None);
        }
        entry.parse::<AddressRange>().map(Some).map_err(LineFault::Range)
    };
    read(text, ADDRESSES_BYTES_MAX, ADDRESSES_LINES_MAX, entry).map(AddressSet::from_iter)
}

/// Reads a list of words: each line is one, blanks in its midst too. A line that begins with `#` or `;` is a
/// comment; elsewhere both are part of the word, since they are part of user agents. Blank lines, ends of
/// lines and byte order marks are as for [`addresses`]. A word that is there twice, in whatever case, is
/// there once.
///
/// # Errors
/// More than [`WORDS_BYTES_MAX`] bytes or [`WORDS_LINES_MAX`] lines; words that are no text, shorter than
/// [`WORD_BYTES_MIN`] or longer than [`WORD_BYTES_MAX`].
pub fn words(text: &[u8]) -> Result<Vec<Box<str>>, ListError> {
    let entry = |line: &str| match line.len() {
        0 => Ok(None),
        _ if line.starts_with(['#', ';']) => Ok(None),
        1..WORD_BYTES_MIN => Err(LineFault::Short),
        WORD_BYTES_MIN..=WORD_BYTES_MAX => Ok(Some(Box::<str>::from(line.to_ascii_lowercase()))),
        _ => Err(LineFault::Long),
    };
    let mut words = read(text, WORDS_BYTES_MAX, WORDS_LINES_MAX, entry)?;
    words.sort_unstable();
    words.dedup();
    Ok(words)
}

/// What `entry` makes of each line, which comes without blanks around it.
fn read<T>(
    text: &[u8],
    bytes_max: usize,
    lines_max: usize,
    entry: impl Fn(&str) -> Result<Option<T>, LineFault>,
) -> Result<Vec<T>, ListError> {
    if text.len() > bytes_max {
        return Err(ListError::Bytes(bytes_max));
    }
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let (mut entries, mut lines, mut more) = (Vec::new(), Vec::new(), 0);
    for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
        if at >= lines_max && !line.is_empty() {
            return Err(ListError::Lines(lines_max));
        }
        let taken = match std::str::from_utf8(line) {
            Ok(line) if !line.trim().contains(is_odd) => entry(line.trim()),
            _ => Err(LineFault::NotText),
        };
        match taken {
            Ok(taken) => entries.extend(taken),
            Err(_) if lines.len() == LINES_TOLD_MAX => more += 1,
            Err(fault) => lines.push(BadLine { number: at + 1, found: shown(line), fault }),
        }
    }
    if lines.is_empty() { Ok(entries) } else { Err(ListError::Bad { lines, more }) }
}

fn is_odd(sign: char) -> bool {
    sign.is_control() && sign != '\t'
}

fn shown(line: &[u8]) -> Box<str> {
    // No sign of UTF-8 is longer than four bytes, so that more than this is never looked at.
    let start = &line[..line.len().min(SHOWN_MAX * 4 + 4)];
    let text = String::from_utf8_lossy(start);
    let mut signs = text.trim().chars().map(|sign| match sign {
        '\t' => ' ',
        sign if is_odd(sign) => '\u{FFFD}',
        sign => sign,
    });
    let mut shown: String = signs.by_ref().take(SHOWN_MAX).collect();
    if signs.next().is_some() {
        shown.push('\u{2026}');
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_of_addresses() {
        let text = b"\xEF\xBB\xBF# bad ones\r\n\r\n192.0.2.1\r\n  198.51.100.0/24 ; an office\n\
                     203.0.113.7 - 203.0.113.9 # a few\n; none\n\t\n2001:db8::/32";
        let set = addresses(text).unwrap();
        assert_eq!(set.ranges(), 4);
        for (ip, expect) in [
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("198.51.100.77", true),
            ("203.0.113.9", true),
            ("203.0.113.10", false),
            ("2001:db8:7::", true),
        ] {
            assert_eq!(set.contains(ip.parse().unwrap()), expect, "{ip}");
        }
        assert!(addresses(b"").unwrap().is_empty());
        assert!(addresses(b"# nothing\n").unwrap().is_empty());
    }

    #[test]
    fn all_bad_lines_are_told() {
        let text = b"192.0.2.1\n192.0.2.0/33\nhost.example\n\n\xFF\n192.0.2.1\x1b[31m\n192.0.2.9-192.0.2.1";
        assert_eq!(
            addresses(text).unwrap_err().to_string(),
            "line 2: \"192.0.2.0/33\": a prefix of IPv4 has at most 32 bits; write a length from 0 to 32 bits\n\
             line 3: \"host.example\": names are not looked up; write the addresses of that name\n\
             line 5: \"\u{FFFD}\": this is no text; save the file as plain text in UTF-8\n\
             line 6: \"192.0.2.1\u{FFFD}[31m\": this is no text; save the file as plain text in UTF-8\n\
             line 7: \"192.0.2.9-192.0.2.1\": the range ends before it begins; write the lower address first"
        );
    }

    #[test]
    fn bad_lines_have_a_bound() {
        let text = format!("192.0.2.1\n{}\n", "x".repeat(1_000)).repeat(30);
        let Err(ListError::Bad { lines, more }) = addresses(text.as_bytes()) else { panic!() };
        assert_eq!((lines.len(), more), (LINES_TOLD_MAX, 10));
        assert_eq!(lines[19].number, 40);
        assert_eq!(lines[19].found.chars().count(), SHOWN_MAX + 1);
    }

    #[test]
    fn lists_have_bounds() {
        let lines = "::1\n".repeat(ADDRESSES_LINES_MAX);
        assert_eq!(addresses(lines.as_bytes()).unwrap().ranges(), 1);
        let lines = "::1\n".repeat(ADDRESSES_LINES_MAX + 1);
        assert_eq!(addresses(lines.as_bytes()), Err(ListError::Lines(ADDRESSES_LINES_MAX)));
        let bytes = vec![b' '; WORDS_BYTES_MAX + 1];
        assert_eq!(words(&bytes), Err(ListError::Bytes(WORDS_BYTES_MAX)));
        assert_eq!(words(&bytes[1..]), Ok(vec![]));
    }

    #[test]
    fn a_list_of_words() {
        let found =
            words(b"# tools\r\nEvilBot/1\r\n  two words; #3 \nevilbot/1\n; none\n").unwrap();
        assert_eq!(found, ["evilbot/1".into(), "two words; #3".into()]);
        let long = "x".repeat(WORD_BYTES_MAX + 1);
        let Err(ListError::Bad { lines, .. }) = words(format!("ab\nabc\n{long}").as_bytes()) else {
            panic!()
        };
        let told: Vec<_> = lines.iter().map(|line| (line.number, line.fault)).collect();
        assert_eq!(told, [(1, LineFault::Short), (3, LineFault::Long)]);
    }

    proptest! {
        #[test]
        fn no_text_is_half_taken(text in "[0-9a-f.:/#; \r\n\\-]{0,60}") {
            let lone = |line: &str| addresses(line.as_bytes());
            let each: Vec<_> = text.split('\n').map(lone).collect();
            match addresses(text.as_bytes()) {
                Ok(_) => prop_assert!(each.iter().all(Result::is_ok)),
                Err(ListError::Bad { lines, more }) => {
                    prop_assert_eq!(lines.len() + more, each.iter().filter(|one| one.is_err()).count());
                    for line in lines {
                        prop_assert!(each[line.number - 1].is_err());
                    }
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
