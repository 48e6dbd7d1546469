//! What a suite is known to come to: how many tests there are, and each that does not pass, with the reason.
//! It only turns one way: a run fails when something unlisted does not pass, and when something listed does,
//! so that an improvement cannot get lost again.
//!
//! The form is a small part of TOML, read line by line: `name = number`, `"test" = "reason"`, and sections
//! `[refused]`, `[inexpressible]` and `[failing]`, which hold for every way of running; a section with names
//! of ways behind it, such as `[failing.h2]` or `[failing.h2+h3]`, holds for those alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::judge::Outcome;

/// What is listed for one way of running.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ratchet {
    /// Tests of the suite.
    pub(crate) tests: usize,
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    kind: Kind,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The parser takes no such request.
    Refused,
    /// The wire has no place for what makes the request.
    Inexpressible,
    Failing,
}

/// How an outcome stands to what is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It passes and is not listed.
    Good,
    /// It does not pass, and that is known: for this reason.
    Known(String),
    /// It is not what is listed: one sentence.
    Surprise(String),
}

impl Ratchet {
    /// Reads what holds for the way of running that is called `way`.
    ///
    /// # Errors
    /// Every line that is not understood.
    pub(crate) fn read(text: &str, way: &str) -> Result<Self, String> {
        let mut ratchet = Self::default();
        let mut section = Some(None);
        let mut faults = String::new();
        for (line, number) in text.lines().map(str::trim).zip(1_u32..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                match kind(name, way) {
                    Some(kind) => section = kind.map(Some),
                    None => _ = writeln!(faults, "line {number}: no such section: {name}"),
                }
                continue;
            }
            let taken = match section {
                None => true,
                Some(None) => ratchet.take_setting(line),
                Some(Some(kind)) => ratchet.take_entry(line, kind),
            };
            if !taken {
                _ = writeln!(faults, "line {number}: not understood, or listed twice: {line}");
            }
        }
        if faults.is_empty() { Ok(ratchet) } else { Err(faults) }
    }

    fn take_setting(&mut self, line: &str) -> bool {
        let Some(("tests", number)) =
            line.split_once('=').map(|(name, value)| (name.trim(), value))
        else {
            return false;
        };
        number.trim().parse().map(|tests| self.tests = tests).is_ok()
    }

    fn take_entry(&mut self, line: &str, kind: Kind) -> bool {
        let Some((test, reason)) = line.split_once(" = ") else { return false };
        let (Some(test), Some(reason)) = (quoted(test), quoted(reason)) else { return false };
        let entry = Entry { kind, reason: reason.to_owned() };
        !reason.is_empty() && self.entries.insert(test.to_owned(), entry).is_none()
    }

    /// How an outcome of a test stands to it.
    pub(crate) fn standing(&self, test: &str, outcome: &Outcome) -> Standing {
        let listed = self.entries.get(test);
        match (outcome, listed) {
            (Outcome::Passed, None) => Standing::Good,
            (Outcome::Passed, Some(_)) => Standing::Surprise("is listed and passes".to_owned()),
            (Outcome::Refused { .. }, Some(Entry { kind: Kind::Refused, reason }))
            | (Outcome::Inexpressible(_), Some(Entry { kind: Kind::Inexpressible, reason }))
            | (Outcome::Failed(_), Some(Entry { kind: Kind::Failing, reason })) => {
                Standing::Known(reason.clone())
            }
            (Outcome::Failed(told), _) => Standing::Surprise(format!("fails: {told}")),
            (Outcome::Refused { reason, .. }, _) => {
                Standing::Surprise(format!("is refused by the parser: {reason}"))
            }
            (Outcome::Inexpressible(told), _) => {
                Standing::Surprise(format!("cannot be said over this wire: {told}"))
            }
        }
    }

    /// Listed tests that there are not.
    pub(crate) fn gone<'a>(&'a self, tests: &[&str]) -> Vec<&'a str> {
        let listed = self.entries.keys().map(String::as_str);
        listed.filter(|listed| !tests.contains(listed)).collect()
    }
}

/// `Some(None)`: a section of another way of running.
fn kind(name: &str, way: &str) -> Option<Option<Kind>> {
    let (name, of) = name.split_once('.').unwrap_or((name, way));
    let kind = match name {
        "refused" => Kind::Refused,
        "inexpressible" => Kind::Inexpressible,
        "failing" => Kind::Failing,
        _ => return None,
    };
    Some(of.split('+').any(|of| of == way).then_some(kind))
}

fn quoted(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains('"')).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# A comment.
tests = 12

[refused]
"1-1" = "no host"

[failing]
"1-2" = "why"

[failing.h2]
"1-3" = "only there"

[inexpressible.h2+h3]
"1-4" = "no version"
"#;

    fn failed() -> Outcome {
        Outcome::Failed("told".to_owned())
    }

    fn refused() -> Outcome {
        Outcome::Refused { reason: "400: bad".to_owned(), rules: Ok(()) }
    }

    #[track_caller]
    fn check(way: &str, test: &str, outcome: &Outcome, expected: Result<&str, &str>) {
        let ratchet = Ratchet::read(TEXT, way).expect("a ratchet");
        let standing = match ratchet.standing(test, outcome) {
            Standing::Good => Ok(String::new()),
            Standing::Known(reason) => Ok(reason),
            Standing::Surprise(told) => Err(told),
        };
        assert_eq!(standing.as_deref().map_err(String::as_str), expected, "{way} {test}");
    }

    #[test]
    fn outcomes_stand_to_what_is_listed() {
        check("h1", "1-1", &refused(), Ok("no host"));
        check("h1", "1-1", &failed(), Err("fails: told"));
        check("h1", "1-1", &Outcome::Passed, Err("is listed and passes"));
        check("h1", "1-2", &failed(), Ok("why"));
        check("h1", "1-2", &refused(), Err("is refused by the parser: 400: bad"));
        check("h1", "1-3", &Outcome::Passed, Ok(""));
        check("h1", "1-3", &failed(), Err("fails: told"));
        check("h2", "1-3", &failed(), Ok("only there"));
        check("h2", "1-2", &failed(), Ok("why"));
        let unsaid = Outcome::Inexpressible("told".to_owned());
        check("h1", "1-4", &Outcome::Passed, Ok(""));
        check("h2", "1-4", &unsaid, Ok("no version"));
        check("h3", "1-4", &unsaid, Ok("no version"));
        check("h3", "1-4", &failed(), Err("fails: told"));
        check("h3", "1-3", &unsaid, Err("cannot be said over this wire: told"));
    }

    #[test]
    fn listed_tests_that_are_gone_are_told() {
        let ratchet = Ratchet::read(TEXT, "h1").expect("a ratchet");
        assert_eq!(ratchet.tests, 12);
        assert_eq!(ratchet.gone(&["1-1", "9-9"]), ["1-2"]);
    }

    #[test]
    fn what_is_not_understood_is_told() {
        let told = |text| Ratchet::read(text, "h1").expect_err("a fault");
        assert_eq!(told("[other]\n"), "line 1: no such section: other\n");
        assert_eq!(told("what = 1\n"), "line 1: not understood, or listed twice: what = 1\n");
        assert!(told("[failing]\n\"1-1\" = \"\"\n").starts_with("line 2"));
        assert!(told("[failing]\n\"a\" = \"b\"\n[refused]\n\"a\" = \"c\"\n").starts_with("line 4"));
    }
}
