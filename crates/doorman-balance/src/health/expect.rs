//! What the answer to a check must be.
//!
//! Reasons are made of the operator's own words and of numbers, never of what a server sent: they go
//! into logs and onto terminals.

use std::fmt;

use doorman_http::Fields;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

/// Memory that one compiled expression may take, bytes; far beyond what a word to look for needs.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Depth of an expression's groups: bounds the compiler's own recursion.
const REGEX_NEST_MAX: u32 = 64;

/// What an answer must be; all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Its status lies in one of these.
    pub statuses: Vec<StatusSpan>,
    /// Fields that it has.
    pub fields: Vec<FieldExpect>,
    /// Expressions that are found in its body.
    pub body: Vec<Pattern>,
}

/// Statuses from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusSpan {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// A field that an answer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldExpect {
    /// Its name, in lower case.
    pub name: Box<str>,
    /// What is found in one of its values; `None`: it is there.
    pub pattern: Option<Pattern>,
}

impl Default for Expect {
    /// A success or a redirection, which is what says that a server works.
    fn default() -> Self {
        let statuses = vec![StatusSpan { first: 200, last: 399 }];
        Self { statuses, fields: Vec::new(), body: Vec::new() }
    }
}

impl Expect {
    /// Judges the head of an answer.
    ///
    /// # Errors
    /// What was wanted and is not so.
    pub fn judge_head(&self, status: u16, fields: &Fields) -> Result<(), String> {
        let within = |span: &StatusSpan| (span.first..=span.last).contains(&status);
        if !self.statuses.iter().any(within) {
            let wanted: Vec<String> = self.statuses.iter().map(ToString::to_string).collect();
            return Err(format!("status {status}, wanted {}", wanted.join(" ")));
        }
        self.fields.iter().try_for_each(|wanted| {
            let mut values = fields.all_named(wanted.name.as_bytes()).peekable();
            if values.peek().is_none() {
                return Err(format!("no field {}", wanted.name));
            }
            match &wanted.pattern {
                Some(pattern) if !values.any(|value| pattern.is_in(value)) => {
                    Err(format!("field {} does not match {pattern}", wanted.name))
                }
                _ => Ok(()),
            }
        })
    }

    /// Judges the body of an answer.
    ///
    /// # Errors
    /// What was wanted and is not so.
    pub fn judge_body(&self, body: &[u8]) -> Result<(), String> {
        match self.body.iter().find(|pattern| !pattern.is_in(body)) {
            None => Ok(()),
            Some(pattern) => Err(format!("the body does not match {pattern}")),
        }
    }
}

impl fmt::Display for StatusSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// An expression to look for. It runs in time linear in what it is looked for in.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    regex: Regex,
}

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(pub String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It is none, or is too large.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let config = Regex::config()
            .nfa_size_limit(Some(REGEX_BYTES_MAX))
            .onepass_size_limit(Some(REGEX_BYTES_MAX))
            .hybrid_cache_capacity(REGEX_BYTES_MAX)
            .utf8_empty(false);
        let regex = Regex::builder()
            .configure(config)
            .syntax(syntax::Config::new().utf8(false).nest_limit(REGEX_NEST_MAX))
            .build(text)
            .map_err(|error| {
                let why =
                    error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
                PatternError(format!("`{text}` is not usable: {why}"))
            })?;
        Ok(Self { text: text.into(), regex })
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.regex.is_match(bytes)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~ {}", self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(statuses: &[(u16, u16)], fields: &[(&str, Option<&str>)], body: &[&str]) -> Expect {
        let pattern = |text: &str| Pattern::new(text).unwrap();
        Expect {
            statuses: statuses.iter().map(|&(first, last)| StatusSpan { first, last }).collect(),
            fields: fields
                .iter()
                .map(|&(name, text)| FieldExpect { name: name.into(), pattern: text.map(pattern) })
                .collect(),
            body: body.iter().map(|text| pattern(text)).collect(),
        }
    }

    #[test]
    fn heads() {
        let mut fields = Fields::new();
        fields.push(b"X-Role", b"primary");
        fields.push(b"x-role", b"writer");
        let check = |expect: &Expect, status, words: &str| {
            let found = expect.judge_head(status, &fields);
            assert_eq!(found, if words.is_empty() { Ok(()) } else { Err(words.to_owned()) });
        };
        check(&Expect::default(), 200, "");
        check(&Expect::default(), 302, "");
        check(&Expect::default(), 199, "status 199, wanted 200-399");
        check(&Expect::default(), 503, "status 503, wanted 200-399");
        check(&expect(&[(200, 200), (300, 399)], &[], &[]), 204, "status 204, wanted 200 300-399");
        let any = &[(100, 999)];
        check(&expect(any, &[("x-role", None)], &[]), 200, "");
        check(&expect(any, &[("x-role", Some("^writ"))], &[]), 200, "");
        check(
            &expect(any, &[("x-role", Some("^reader$"))], &[]),
            200,
            "field x-role does not match ~ ^reader$",
        );
        check(&expect(any, &[("x-other", None)], &[]), 200, "no field x-other");
    }

    #[test]
    fn bodies() {
        let expect = expect(&[], &[], &["ready", "(?i)db: ok"]);
        assert_eq!(expect.judge_body(b"ready\nDB: OK\n"), Ok(()));
        assert_eq!(
            expect.judge_body(b"ready\n\xFFdb: gone"),
            Err("the body does not match ~ (?i)db: ok".to_owned())
        );
        assert_eq!(expect.judge_body(b""), Err("the body does not match ~ ready".to_owned()));
    }

    #[test]
    fn expressions_have_bounds() {
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new("(?:a{1000}){1000}").is_err());
        assert!(Pattern::new(&"(".repeat(1000)).is_err());
        assert_eq!(Pattern::new("a").unwrap(), Pattern::new("a").unwrap());
        assert_ne!(Pattern::new("a").unwrap(), Pattern::new("b").unwrap());
    }
}
