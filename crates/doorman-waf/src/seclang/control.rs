//! Actions that change something while a rule set runs: `setvar`, `ctl`, `initcol` and their like.

use super::action::number_within;
use super::names;
use super::shared::Shared;
use super::target;
use super::template;
use super::told::{self, excerpt};
use crate::rule::{
    Collection, Control, Effect, EngineMode, IdRange, Processor, Selector, SetTo, TagMatch, Target,
    Template, Use, Variable,
};

/// The largest body that a rule may ask for: as much as a server may be told to.
const BODY_MAX: u64 = 1 << 30;

/// Reads the value of an action that has an effect; nothing, if the name is of none.
pub(super) fn read(
    name: &str,
    value: &[u8],
    shared: &mut Shared<'_>,
) -> Option<Result<Vec<Effect>, String>> {
    let effect = match name {
        "setvar" => setvar(value),
        "expirevar" => expirevar(value),
        "initcol" => initcol(value),
        "setsid" => open(Collection::Session, value),
        "setuid" => open(Collection::User, value),
        "setrsc" => open(Collection::Resource, value),
        "setenv" => setenv(value),
        "sanitisearg" | "sanitizearg" => redact(Variable::Args, value),
        "sanitiserequestheader" | "sanitizerequestheader" => {
            redact(Variable::RequestHeaders, value)
        }
        "sanitiseresponseheader" | "sanitizeresponseheader" => {
            redact(Variable::ResponseHeaders, value)
        }
        // Some bytes of what was matched are no less hidden if all are.
        "sanitisematched" | "sanitizematched" | "sanitisematchedbytes" | "sanitizematchedbytes" => {
            Ok(Effect::RedactMatched)
        }
        "ctl" => return Some(ctl(value, shared)),
        _ => return None,
    };
    Some(effect.map(|effect| vec![effect]))
}

/// `[!]collection.name[=[+|-]value]`
fn setvar(value: &[u8]) -> Result<Effect, String> {
    let (unset, body) = match value.strip_prefix(b"!") {
        Some(body) => (true, body),
        None => (false, value),
    };
    let (name, assigned) = assignment(body);
    let (collection, name) = member(name)?;
    let to = match assigned {
        _ if unset => SetTo::Unset,
        None => SetTo::Value(Template::text(b"1")),
        Some([b'+', more @ ..]) => SetTo::Add(expand(more)?),
        Some([b'-', less @ ..]) => SetTo::Subtract(expand(less)?),
        Some(text) => SetTo::Value(expand(text)?),
    };
    Ok(Effect::Set { collection, name, to })
}

/// `collection.name=seconds`
fn expirevar(value: &[u8]) -> Result<Effect, String> {
    let (name, after) = assignment(value);
    let (collection, name) = member(name)?;
    let after = after.ok_or("= and seconds are missing")?;
    Ok(Effect::Expire { collection, name, after: expand(after)? })
}

/// `collection=key`
fn initcol(value: &[u8]) -> Result<Effect, String> {
    let (name, key) = assignment(value);
    let collection = names::collection(&String::from_utf8_lossy(name.trim_ascii()))?;
    if collection == Collection::Tx {
        return Err("TX is there without it".to_owned());
    }
    open(collection, key.ok_or("= and a key are missing")?)
}

fn open(collection: Collection, key: &[u8]) -> Result<Effect, String> {
    if key.is_empty() {
        return Err("a key is missing".to_owned());
    }
    Ok(Effect::Open { collection, key: expand(key)? })
}

/// `name[=value]`
fn setenv(value: &[u8]) -> Result<Effect, String> {
    let (name, value) = assignment(value);
    match name.trim_ascii() {
        [] => Err("a name is missing".to_owned()),
        [b'!', ..] => Err("to take a name away is not supported".to_owned()),
        name => {
            let value = value.map_or_else(|| Ok(Template::text(b"1")), expand)?;
            Ok(Effect::Environment { name: expand(name)?, value })
        }
    }
}

fn redact(variable: Variable, name: &[u8]) -> Result<Effect, String> {
    if name.is_empty() {
        return Err("a name is missing".to_owned());
    }
    let selector = Selector::Key(name.to_ascii_lowercase());
    Ok(Effect::Redact(Target { meant: Use::Include, variable, selector }))
}

fn expand(text: &[u8]) -> Result<Template, String> {
    template::parse(text)
}

/// The two sides of the first `=`.
fn assignment(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', text) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// `collection.name`
fn member(text: &[u8]) -> Result<(Collection, Template), String> {
    let text = text.trim_ascii();
    let Some(dot) = memchr::memchr(b'.', text) else {
        return Err(format!("{} has no collection: write tx.name", excerpt(text, 0)));
    };
    let collection = names::collection(&String::from_utf8_lossy(&text[..dot]))?;
    match &text[dot + 1..] {
        [] => Err("the name of a variable is missing after the dot".to_owned()),
        name => Ok((collection, expand(name)?)),
    }
}

const CONTROLS: [&str; 18] = [
    "auditEngine",
    "auditLogParts",
    "debugLogLevel",
    "forceRequestBodyVariable",
    "requestBodyAccess",
    "requestBodyLimit",
    "requestBodyProcessor",
    "responseBodyAccess",
    "responseBodyLimit",
    "ruleEngine",
    "ruleRemoveById",
    "ruleRemoveByMsg",
    "ruleRemoveByTag",
    "ruleRemoveTargetById",
    "ruleRemoveTargetByMsg",
    "ruleRemoveTargetByTag",
    "hashEngine",
    "hashEnforcement",
];

/// `option=value`
fn ctl(text: &[u8], shared: &mut Shared<'_>) -> Result<Vec<Effect>, String> {
    let (option, value) = assignment(text);
    let option = String::from_utf8_lossy(option.trim_ascii()).into_owned();
    let value = value.map(<[u8]>::trim_ascii).filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| format!("{option} without = and a value"))?;
    let word = String::from_utf8_lossy(value);
    let control = match option.to_ascii_lowercase().as_str() {
        "ruleengine" => Control::Engine(engine(&word)?),
        "auditengine" => Control::Audit(audit(&word)?),
        "auditlogparts" => Control::AuditParts,
        "forcerequestbodyvariable" => Control::ForceRequestBody(switch(&word)?),
        "requestbodyaccess" => Control::RequestBody(switch(&word)?),
        "responsebodyaccess" => Control::ResponseBody(switch(&word)?),
        "requestbodylimit" => Control::RequestBodyLimit(bytes(&option, value)?),
        "responsebodylimit" => Control::ResponseBodyLimit(bytes(&option, value)?),
        "requestbodyprocessor" => Control::Processor(processor(&word)?),
        "ruleremovebyid" => Control::RemoveById(id_ranges(&word)?),
        "ruleremovebytag" => Control::RemoveByTag(tag(value)),
        "ruleremovebymsg" => Control::RemoveByMsg(tag(value)),
        "ruleremovetargetbyid" => {
            let (ids, targets) = removed(value, shared)?;
            let ids = id_ranges(&String::from_utf8_lossy(ids))?;
            return Ok(each(targets, |target| Control::RemoveTargetById(ids.clone(), target)));
        }
        "ruleremovetargetbytag" => {
            let (name, targets) = removed(value, shared)?;
            return Ok(each(targets, |target| Control::RemoveTargetByTag(tag(name), target)));
        }
        "ruleremovetargetbymsg" => {
            let (name, targets) = removed(value, shared)?;
            return Ok(each(targets, |target| Control::RemoveTargetByMsg(tag(name), target)));
        }
        // There is no debug log, so that its level changes nothing.
        "debugloglevel" => return number_within(&option, value, 0, 9).map(|_: u8| Vec::new()),
        "hashengine" | "hashenforcement" => {
            return Err(format!("{option} is not supported: links are not signed"));
        }
        _ => return Err(told::unknown("option", &option, CONTROLS)),
    };
    Ok(vec![Effect::Control(control)])
}

/// `what;TARGET`
fn removed<'v>(
    value: &'v [u8],
    shared: &mut Shared<'_>,
) -> Result<(&'v [u8], Vec<Target>), String> {
    let Some(at) = memchr::memchr(b';', value) else {
        return Err("; and a target are missing".to_owned());
    };
    let mut targets =
        target::parse(&value[at + 1..], shared).map_err(|faults| faults.join("; "))?;
    // It is an exclusion however it is written.
    for target in &mut targets {
        target.meant = Use::Exclude;
    }
    match value[..at].trim_ascii() {
        [] => Err("what comes before ; is missing".to_owned()),
        name => Ok((name, targets)),
    }
}

fn each(targets: Vec<Target>, make: impl Fn(Target) -> Control) -> Vec<Effect> {
    targets.into_iter().map(|target| Effect::Control(make(target))).collect()
}

/// A tag or a message. Whether it is a pattern is decided when all tags are known.
fn tag(text: &[u8]) -> TagMatch {
    TagMatch::Exact(String::from_utf8_lossy(text).into())
}

fn bytes(what: &str, value: &[u8]) -> Result<u64, String> {
    number_within(what, value, 0, BODY_MAX)
}

/// `On` or `Off`.
///
/// # Errors
/// It is neither.
pub(super) fn switch(word: &str) -> Result<bool, String> {
    match word.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(told::unknown("switch", word, ["On", "Off"]) + " (On or Off)"),
    }
}

/// `On`, `Off` or `DetectionOnly`.
///
/// # Errors
/// It is none of them.
pub(super) fn engine(word: &str) -> Result<EngineMode, String> {
    match word.to_ascii_lowercase().as_str() {
        "on" => Ok(EngineMode::On),
        "off" => Ok(EngineMode::Off),
        "detectiononly" => Ok(EngineMode::DetectionOnly),
        _ => Err(told::unknown("mode", word, ["On", "Off", "DetectionOnly"])),
    }
}

/// `On`, `Off` or `RelevantOnly`, which is nothing.
///
/// # Errors
/// It is none of them.
pub(super) fn audit(word: &str) -> Result<Option<bool>, String> {
    if word.eq_ignore_ascii_case("RelevantOnly") {
        return Ok(None);
    }
    switch(word).map(Some)
}

fn processor(word: &str) -> Result<Processor, String> {
    const ALL: [Processor; 5] = [
        Processor::UrlEncoded,
        Processor::Multipart,
        Processor::Json,
        Processor::Xml,
        Processor::Raw,
    ];
    ALL.into_iter()
        .find(|processor| processor.word().eq_ignore_ascii_case(word))
        .ok_or_else(|| told::unknown("body processor", word, ALL.map(Processor::word)))
}

/// Ids and ranges of them, with commas or white space between them.
///
/// # Errors
/// The first that is neither.
pub(super) fn id_ranges(text: &str) -> Result<Vec<IdRange>, String> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let ranges = words.map(id_range).collect::<Result<Vec<_>, _>>()?;
    if ranges.is_empty() { Err("an id is missing".to_owned()) } else { Ok(ranges) }
}

fn id_range(word: &str) -> Result<IdRange, String> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let ends = first.trim().parse().ok().zip(last.trim().parse().ok());
    ends.map(|(first, last)| IdRange { first, last })
        .filter(|range| range.first <= range.last)
        .ok_or_else(|| format!("{} is no id and no range of ids", excerpt(word.as_bytes(), 0)))
}
