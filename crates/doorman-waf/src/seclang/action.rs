//! Actions: `id:1,phase:2,deny,msg:'it''s text',t:none,setvar:'tx.score=+5'`.
//!
//! Reading is in two steps. A list is first cut into names and values, which cannot fail for want of
//! anything; what they mean is read when the whole set is known, because updates add to lists and
//! patterns need settings that may come later.

use std::sync::Arc;

use super::control;
use super::lexer::{Fault, Line, Word, quote_end, unescape};
use super::names;
use super::shared::Shared;
use super::template;
use super::told::{self, At, Told, excerpt};
use crate::rule::{Disruption, Effect, Phase, Place, Scope, Severity, Template, Transformation};

/// Actions of one list.
const ACTIONS_MAX: usize = 2_048;

/// An action as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) value: Option<Vec<u8>>,
    pub(super) place: Place,
}

/// Cuts a list, a word of this line of this file, at its commas; values may be enclosed in `'`.
///
/// # Errors
/// A quote that does not end, or text after one.
pub(super) fn split(
    file: &Arc<str>,
    line: &Line<'_>,
    word: &Word<'_>,
) -> Result<Vec<Written>, Fault> {
    let text = match word.quote {
        // Inside of such quotes those of values are escaped; the places within are then about right.
        Some(b'\'') => word.value(),
        _ => word.text.into(),
    };
    let outer = word.quote.filter(|&quote| quote != b'\'');
    let mut written = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
        if at >= text.len() {
            return Ok(written);
        }
        let len = text[at..].iter().take_while(|b| !matches!(b, b':' | b',')).count();
        let name = String::from_utf8_lossy(text[at..at + len].trim_ascii_end()).into_owned();
        if name.is_empty() {
            return Err(Fault::new(word.at + at, "an action expected between commas"));
        }
        let mut end = at + len;
        let mut value = None;
        if text.get(end) == Some(&b':') {
            let (read, after) = value_at(&text, end + 1, outer).map_err(|fault| {
                Fault::new(word.at + fault.at, format!("{name}: {}", fault.text))
            })?;
            value = Some(read);
            end = after;
        }
        let place = Place { file: Arc::clone(file), line: line.number_at(word.at + at) };
        written.push(Written { name, value, place });
        if written.len() > ACTIONS_MAX {
            return Err(Fault::new(word.at + at, format!("more than {ACTIONS_MAX} actions")));
        }
        if end >= text.len() {
            return Ok(written);
        }
        at = end + 1;
    }
}

/// Reads the value that begins here, and tells where its comma, or the end, is.
fn value_at(text: &[u8], start: usize, outer: Option<u8>) -> Result<(Vec<u8>, usize), Fault> {
    let open = start + text[start..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    if text.get(open) != Some(&b'\'') {
        let end = memchr::memchr(b',', &text[open..]).map_or(text.len(), |len| open + len);
        let value = unescape(text[open..end].trim_ascii_end(), outer.as_slice());
        return Ok((value.into_owned(), end));
    }
    let Some(len) = quote_end(&text[open + 1..], b'\'') else {
        return Err(Fault::new(open, "a quote ' that does not end"));
    };
    let close = open + 1 + len;
    let quotes = [b'\'', outer.unwrap_or(b'\'')];
    let value = unescape(&text[open + 1..close], &quotes).into_owned();
    let after = close + 1;
    let end = after + text[after..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    match text.get(end) {
        None | Some(b',') => Ok((value, end)),
        Some(_) => {
            let near = excerpt(text, end);
            let hint = "write \\' for a quote that is meant";
            Err(Fault::new(
                end,
                format!("text after the end of a quoted value, near {near}; {hint}"),
            ))
        }
    }
}

/// What an action means.
#[derive(Debug)]
pub(super) enum Action {
    /// Its number was read when the draft was made.
    Id,
    Phase(Phase),
    Chain,
    Disrupt(Disruption),
    /// What the phase's default says.
    Block,
    Status(u16),
    Log,
    NoLog,
    AuditLog,
    NoAuditLog,
    /// A message, and as it was written.
    Msg(Template, Vec<u8>),
    Logdata(Template),
    Severity(Severity),
    Tag(Arc<str>),
    Ver(Arc<str>),
    Rev(Arc<str>),
    Maturity(u8),
    Accuracy(u8),
    Skip(u32),
    SkipAfter(Arc<str>),
    /// Nothing is `none`.
    Transform(Option<Transformation>),
    MultiMatch,
    Capture,
    Effects(Vec<Effect>),
    /// Understood, and does nothing here.
    Idle(&'static str),
}

const NAMES: [&str; 41] = [
    "accuracy",
    "allow",
    "auditlog",
    "block",
    "capture",
    "chain",
    "ctl",
    "deny",
    "drop",
    "expirevar",
    "id",
    "initcol",
    "log",
    "logdata",
    "maturity",
    "msg",
    "multiMatch",
    "noauditlog",
    "nolog",
    "pass",
    "phase",
    "redirect",
    "rev",
    "sanitiseArg",
    "sanitiseMatched",
    "sanitiseMatchedBytes",
    "sanitiseRequestHeader",
    "sanitiseResponseHeader",
    "setenv",
    "setrsc",
    "setsid",
    "setuid",
    "setvar",
    "severity",
    "skip",
    "skipAfter",
    "status",
    "t",
    "tag",
    "ver",
    "xmlns",
];

/// Actions of ModSecurity that are refused, because a rule that has one means something else
/// without it.
const ABSENT: [(&str, &str); 6] = [
    ("exec", "nothing is executed"),
    ("proxy", "a rule does not choose where a request goes"),
    ("append", "bodies are not changed"),
    ("prepend", "bodies are not changed"),
    ("pause", "a rule does not make a client wait; limits do"),
    ("deprecatevar", "use expirevar"),
];

/// Reads what an action means.
///
/// # Errors
/// It is unknown or refused, or its value is none.
pub(super) fn read(written: &Written, shared: &mut Shared<'_>) -> Result<Action, String> {
    let name = written.name.to_ascii_lowercase();
    let value = written.value.as_deref();
    if let Some(action) = plain(&name, value)? {
        return Ok(action);
    }
    if let Some((_, why)) = ABSENT.iter().find(|(absent, _)| *absent == name) {
        return Err(format!("the action {name} is not supported: {why}"));
    }
    let given = || value.filter(|v| !v.is_empty()).ok_or_else(|| format!("{name} without a value"));
    let template = || template::parse(given()?).map_err(|text| format!("{name}: {text}"));
    let text = || given().map(|v| Arc::from(String::from_utf8_lossy(v)));
    Ok(match name.as_str() {
        "id" => Action::Id,
        "phase" => Action::Phase(phase(given()?)?),
        "status" => Action::Status(status(given()?)?),
        "allow" => Action::Disrupt(Disruption::Allow(scope(value)?)),
        "redirect" => Action::Disrupt(Disruption::Redirect(template()?)),
        "msg" => Action::Msg(template()?, given()?.to_vec()),
        "logdata" => Action::Logdata(template()?),
        "severity" => Action::Severity(names::severity(&String::from_utf8_lossy(given()?))?),
        "tag" => Action::Tag(text()?),
        "ver" => Action::Ver(text()?),
        "rev" => Action::Rev(text()?),
        "maturity" => Action::Maturity(number_within(&name, given()?, 0, 9)?),
        "accuracy" => Action::Accuracy(number_within(&name, given()?, 0, 9)?),
        "skip" => Action::Skip(number_within(&name, given()?, 1, u32::MAX)?),
        "skipafter" => Action::SkipAfter(text()?),
        "t" => Action::Transform(names::transformation(&String::from_utf8_lossy(given()?))?),
        "xmlns" => {
            Action::Idle("xmlns names a space of paths, and no path but /* and //@* is asked")
        }
        _ => match control::read(&name, value.unwrap_or_default(), shared) {
            Some(effects) => {
                Action::Effects(effects.map_err(|text| format!("{}: {text}", written.name))?)
            }
            None => return Err(told::unknown("action", &written.name, NAMES)),
        },
    })
}

/// Tags are what rules are found by, so that they are one text and not one for each transaction.
pub(super) fn warn_of_macro(tag: &str, at: &At, told: &mut Told) {
    if tag.contains("%{") {
        let text = "a tag is taken as it is written: macros in tags are not expanded";
        told.warn_once(at, text, text);
    }
}

/// Actions that have no value.
fn plain(name: &str, value: Option<&[u8]>) -> Result<Option<Action>, String> {
    let action = match name {
        "chain" => Action::Chain,
        "pass" => Action::Disrupt(Disruption::Pass),
        "deny" => Action::Disrupt(Disruption::Deny),
        "drop" => Action::Disrupt(Disruption::Drop),
        "block" => Action::Block,
        "log" => Action::Log,
        "nolog" => Action::NoLog,
        "auditlog" => Action::AuditLog,
        "noauditlog" => Action::NoAuditLog,
        "multimatch" => Action::MultiMatch,
        "capture" => Action::Capture,
        _ => return Ok(None),
    };
    match value {
        None => Ok(Some(action)),
        Some(value) => Err(format!("{name} has no value, but has {}", excerpt(value, 0))),
    }
}

/// The id of a rule, or of one that is changed.
///
/// # Errors
/// It is not a number from 1 on.
pub(super) fn id(value: &[u8]) -> Result<u32, String> {
    number_within("id", value, 1, u32::MAX)
}

/// A phase by number or word.
///
/// # Errors
/// There is none such.
pub(super) fn phase(value: &[u8]) -> Result<Phase, String> {
    let text = String::from_utf8_lossy(value.trim_ascii());
    let number = match text.to_ascii_lowercase().as_str() {
        "request" => 2,
        "response" => 4,
        "logging" => 5,
        number => number.parse().unwrap_or(0),
    };
    Phase::ALL.into_iter().find(|phase| phase.number() == number).ok_or_else(|| {
        format!("{} is no phase: 1-5, request, response or logging", excerpt(value, 0))
    })
}

fn status(value: &[u8]) -> Result<u16, String> {
    number_within("status", value, 100, 599)
}

fn scope(value: Option<&[u8]>) -> Result<Scope, String> {
    match value.map(<[u8]>::to_ascii_lowercase).as_deref() {
        None => Ok(Scope::Transaction),
        Some(b"phase") => Ok(Scope::Phase),
        Some(b"request") => Ok(Scope::Request),
        Some(other) => Err(format!("allow:{} is unknown: allow, allow:phase or allow:request", {
            excerpt(other, 0)
        })),
    }
}

/// A number between two others, both included.
///
/// # Errors
/// It is none, or not between them.
pub(super) fn number_within<N>(what: &str, value: &[u8], min: N, max: N) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .filter(|number| min <= *number && *number <= max)
        .ok_or_else(|| format!("{what}: {} is not a number from {min} to {max}", excerpt(value, 0)))
}
