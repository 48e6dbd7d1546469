//! Files of one entry a line. All of the bad lines are told at once, each with its number, the reason and
//! the fix.

use std::fmt;

/// Most bad lines that are told of one file; those behind them are counted.
const TOLD_MAX: usize = 1_000;

/// A line that is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub number: usize,
    /// What is wrong, and what would be right. Holds nothing secret of the line.
    pub reason: Box<str>,
}

/// The bad lines of a file. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BadLines {
    /// The first thousand.
    pub told: Vec<BadLine>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for BadLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, BadLine { number, reason }) in self.told.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n" };
            write!(f, "{gap}line {number}: {reason}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more bad lines"),
        }
    }
}

impl std::error::Error for BadLines {}

/// Gives every entry of `text` to `take`, with its line's number. Empty lines and those that start with `#`
/// are none.
pub(crate) fn each(
    text: &[u8],
    mut take: impl FnMut(usize, &str) -> Result<(), String>,
) -> Result<(), BadLines> {
    let mut bad = BadLines::default();
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let taken = match std::str::from_utf8(line) {
            Ok(line) => take(number, line),
            Err(_) => Err("is not UTF-8; save the file in that encoding".to_owned()),
        };
        match taken {
            Ok(()) => {}
            Err(reason) if bad.told.len() < TOLD_MAX => {
                bad.told.push(BadLine { number, reason: reason.into() });
            }
            Err(_) => bad.more += 1,
        }
    }
    if bad.told.is_empty() { Ok(()) } else { Err(bad) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_all_bad_ones_told() {
        let mut seen = Vec::new();
        let bad = each(b"\xEF\xBB\xBFa\r\n\n # no\n \xFF\nb\nbad", |number, line| {
            seen.push((number, line.to_owned()));
            if line == "bad" { Err("is bad; mend it".to_owned()) } else { Ok(()) }
        })
        .unwrap_err();
        assert_eq!(seen, [(1, "a".to_owned()), (5, "b".to_owned()), (6, "bad".to_owned())]);
        assert_eq!(
            bad.to_string(),
            "line 4: is not UTF-8; save the file in that encoding\nline 6: is bad; mend it"
        );
    }

    #[test]
    fn what_is_told_is_bounded() {
        let bad =
            each("x\n".repeat(TOLD_MAX + 5).as_bytes(), |_, _| Err("no".to_owned())).unwrap_err();
        assert_eq!((bad.told.len(), bad.more), (TOLD_MAX, 5));
        assert!(bad.to_string().ends_with("and 5 more bad lines"));
    }
}
