//! Operators: `@rx …`, `!@within %{tx.allowed}`, a pattern alone.

use super::shared::Shared;
use super::template;
use super::told::{self, excerpt};
use crate::operator::{ByteSet, IpSet};
use crate::rule::{Operator, Pattern, Template};

/// What a link asks.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) negated: bool,
    pub(super) operator: Operator,
    /// What is odd in it, though it is understood.
    pub(super) note: Option<String>,
}

const NAMES: [&str; 28] = [
    "rx",
    "pm",
    "pmf",
    "pmFromFile",
    "streq",
    "contains",
    "containsWord",
    "beginsWith",
    "endsWith",
    "within",
    "strmatch",
    "eq",
    "ge",
    "gt",
    "le",
    "lt",
    "validateByteRange",
    "validateUrlEncoding",
    "validateUtf8Encoding",
    "detectSQLi",
    "detectXSS",
    "ipMatch",
    "ipMatchFromFile",
    "ipMatchF",
    "geoLookup",
    "rbl",
    "unconditionalMatch",
    "noMatch",
];

const ABSENT: [&str; 13] = [
    "fuzzyHash",
    "gsbLookup",
    "inspectFile",
    "rsub",
    "rxGlobal",
    "validateDTD",
    "validateHash",
    "validateSchema",
    "verifyCC",
    "verifyCPF",
    "verifySSN",
    "verifySVNR",
    "restpath",
];

/// Reads an operator with its operand. Files are named relative to `base`.
///
/// # Errors
/// It is unknown, or its operand is none.
pub(super) fn parse(text: &[u8], base: &str, shared: &mut Shared<'_>) -> Result<Asked, String> {
    let body = text.trim_ascii_start();
    let (negated, body) = match body.strip_prefix(b"!") {
        Some(body) => (true, body.trim_ascii_start()),
        None => (false, body),
    };
    let Some(named) = body.strip_prefix(b"@") else {
        let operator = rx(body, shared)?;
        return Ok(Asked { negated, operator, note: None });
    };
    let len = named.iter().take_while(|b| !b.is_ascii_whitespace()).count();
    let name = String::from_utf8_lossy(&named[..len]);
    let operand = named[len..].trim_ascii_start();
    let (operator, note) = named_operator(&name, operand, base, shared)?;
    Ok(Asked { negated, operator, note })
}

/// An operator, and what is odd in it.
type Noted = (Operator, Option<String>);

fn named_operator(
    name: &str,
    operand: &[u8],
    base: &str,
    shared: &mut Shared<'_>,
) -> Result<Noted, String> {
    let text = |make: fn(Template) -> Operator| template::parse(operand).map(make);
    let number = |make: fn(Template) -> Operator| {
        template::parse(operand).map(|template| {
            let note = number_note(&template);
            (make(template), note)
        })
    };
    let alone = |operator: Operator| {
        let note = (!operand.is_empty())
            .then(|| format!("@{name} has no operand: {} is not looked at", excerpt(operand, 0)));
        (operator, note)
    };
    let lower = name.to_ascii_lowercase();
    let operator = match lower.as_str() {
        "rx" => rx(operand, shared)?,
        "pm" => Operator::Pm(shared.phrases(inline_phrases(operand))?),
        "pmf" | "pmfromfile" => {
            let phrases = file_phrases(operand, base, shared)?;
            Operator::Pm(shared.phrases(phrases)?)
        }
        "streq" => text(Operator::Streq)?,
        "contains" => text(Operator::Contains)?,
        "containsword" => text(Operator::ContainsWord)?,
        "beginswith" => text(Operator::BeginsWith)?,
        "endswith" => text(Operator::EndsWith)?,
        "within" => text(Operator::Within)?,
        "strmatch" => text(Operator::StrMatch)?,
        "eq" => return number(Operator::Eq),
        "ge" => return number(Operator::Ge),
        "gt" => return number(Operator::Gt),
        "le" => return number(Operator::Le),
        "lt" => return number(Operator::Lt),
        "validatebyterange" => Operator::ValidateByteRange(Box::new(byte_range(operand)?)),
        "validateurlencoding" => return Ok(alone(Operator::ValidateUrlEncoding)),
        "validateutf8encoding" => return Ok(alone(Operator::ValidateUtf8Encoding)),
        "detectsqli" => return Ok(alone(Operator::DetectSqli)),
        "detectxss" => return Ok(alone(Operator::DetectXss)),
        "unconditionalmatch" => return Ok(alone(Operator::UnconditionalMatch)),
        "nomatch" => return Ok(alone(Operator::NoMatch)),
        "ipmatch" => addresses(operand)?,
        "ipmatchf" | "ipmatchfromfile" => {
            let listed = file_phrases(operand, base, shared)?;
            addresses(&listed.join(&b"\n"[..]))?
        }
        "geolookup" => {
            let note = "@geoLookup has no places of addresses here, so it never matches";
            return Ok((Operator::GeoLookup, Some(note.to_owned())));
        }
        "rbl" => {
            let note = "@rbl asks nobody here, so it never matches";
            return Ok((Operator::Rbl, Some(note.to_owned())));
        }
        _ if ABSENT.iter().any(|absent| absent.eq_ignore_ascii_case(name)) => {
            return Err(format!("the operator @{name} is not supported"));
        }
        _ => {
            let text = told::unknown("operator", name, NAMES);
            return Err(format!("{text} (a pattern that begins with @ is written @rx @…)"));
        }
    };
    Ok((operator, None))
}

fn rx(pattern: &[u8], shared: &mut Shared<'_>) -> Result<Operator, String> {
    let template = template::parse_pattern(pattern);
    Ok(Operator::Rx(match template.constant() {
        Some(pattern) => Pattern::Fixed(shared.regex(pattern)?),
        None => Pattern::Expanded(template),
    }))
}

fn number_note(template: &Template) -> Option<String> {
    let constant = template.constant()?;
    let is_number = std::str::from_utf8(constant).is_ok_and(|t| t.trim().parse::<i64>().is_ok());
    let shown = excerpt(constant, 0);
    (!is_number).then(|| format!("{shown} is no number: its first digits count, or 0"))
}

/// Phrases with white space between them; bytes between `|` and `|` are written as hexadecimal numbers.
fn inline_phrases(text: &[u8]) -> Vec<Vec<u8>> {
    hexed_phrases(text).unwrap_or_else(|| {
        text.split(u8::is_ascii_whitespace).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect()
    })
}

/// Nothing, if a `|` does not begin or end such bytes: then it is one of the phrase.
fn hexed_phrases(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut phrases = vec![Vec::new()];
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let phrase = phrases.last_mut()?;
        rest = after;
        match byte {
            b'|' => {
                let len = memchr::memchr(b'|', rest)?;
                phrase.extend(hex(&rest[..len])?);
                rest = &rest[len + 1..];
            }
            b'\\' => match rest.split_first() {
                Some((&next @ (b'|' | b'\\' | b'"' | b':' | b';'), after)) => {
                    phrase.push(next);
                    rest = after;
                }
                _ => phrase.push(byte),
            },
            _ if byte.is_ascii_whitespace() => phrases.push(Vec::new()),
            _ => phrase.push(byte),
        }
    }
    phrases.retain(|phrase| !phrase.is_empty());
    Some(phrases)
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .iter()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|&b| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Phrases of files, one a line; empty lines and those that begin with `#` are none.
fn file_phrases(names: &[u8], base: &str, shared: &mut Shared<'_>) -> Result<Vec<Vec<u8>>, String> {
    let names = String::from_utf8_lossy(names);
    if names.trim().is_empty() {
        return Err("the name of a file is missing".to_owned());
    }
    let mut phrases = Vec::new();
    for name in names.split_whitespace() {
        if name.starts_with("https://") || name.starts_with("http://") {
            return Err(format!("{name} is not fetched: name a file"));
        }
        let text = shared.file(base, name)?;
        let lines = text.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
        phrases
            .extend(lines.filter(|l| !matches!(l.first(), None | Some(b'#'))).map(<[u8]>::to_vec));
    }
    Ok(phrases)
}

fn addresses(text: &[u8]) -> Result<Operator, String> {
    let text = String::from_utf8_lossy(text);
    match IpSet::parse(&text) {
        Ok(_) if text.trim().is_empty() => Err("no address".to_owned()),
        Ok(set) => Ok(Operator::IpMatch(set.into())),
        Err(word) => Err(format!("{} is no address", excerpt(word.as_bytes(), 0))),
    }
}

fn byte_range(text: &[u8]) -> Result<ByteSet, String> {
    let mut set = ByteSet::default();
    for range in text.split(|&b| b == b',') {
        let number = |text: &str| text.trim().parse::<u8>().ok();
        let words = String::from_utf8_lossy(range);
        let ends = match words.split_once('-') {
            Some((first, last)) => number(first).zip(number(last)),
            None => number(&words).map(|byte| (byte, byte)),
        };
        match ends {
            Some((first, last)) if first <= last => {
                (first..=last).for_each(|byte| set.insert(byte))
            }
            _ => return Err(format!("{} is no range of bytes, 0-255", excerpt(range, 0))),
        }
    }
    Ok(set)
}
