//! Directives other than rules: what each takes, and what it sets.

use std::borrow::Cow;

use super::action::number_within;
use super::change::{Change, Whose};
use super::control;
use super::draft::{DraftItem, Reader};
use super::told::{self, At, excerpt};
use crate::rule::{OverLimit, Settings};

/// Bytes that a limit of bodies may be.
const BODY_MAX: u64 = 1 << 30;

/// What is done where a file that is to be included is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    Fault,
    Fine,
}

/// What a directive does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Directive {
    Rule,
    Action,
    DefaultAction,
    Marker,
    Include(Absent),
    Signature,
    RemoveById,
    RemoveByTag,
    RemoveByMsg,
    UpdateTargetById,
    UpdateTargetByTag,
    UpdateTargetByMsg,
    UpdateAction,
    ResponseTypes,
    ResponseTypesClear,
    Set(fn(&mut Settings, &str) -> Result<(), String>),
    MatchLimit,
    /// Known, and nothing here does what it is about.
    Idle,
    /// Known, and refused if it is anything but `Off`.
    OnlyOff(&'static str),
    /// Known, and refused, because rules would not do what they say.
    Refused(&'static str),
}

/// A directive by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    arguments_min: usize,
    arguments_max: usize,
    pub(super) directive: Directive,
}

const fn known(name: &'static str, min: usize, max: usize, directive: Directive) -> Known {
    Known { name, arguments_min: min, arguments_max: max, directive }
}

const fn set(name: &'static str, set: fn(&mut Settings, &str) -> Result<(), String>) -> Known {
    known(name, 1, 1, Directive::Set(set))
}

const fn idle(name: &'static str, arguments_max: usize) -> Known {
    known(name, 1, arguments_max, Directive::Idle)
}

const fn only_off(name: &'static str, why: &'static str) -> Known {
    known(name, 1, 1, Directive::OnlyOff(why))
}

/// Arguments of a directive that takes a list.
const MANY: usize = 1_000;

const DIRECTIVES: &[Known] = &[
    known("SecRule", 2, 3, Directive::Rule),
    known("SecAction", 1, 1, Directive::Action),
    known("SecDefaultAction", 1, 1, Directive::DefaultAction),
    known("SecMarker", 1, 1, Directive::Marker),
    known("Include", 1, 1, Directive::Include(Absent::Fault)),
    known("IncludeOptional", 1, 1, Directive::Include(Absent::Fine)),
    known("SecComponentSignature", 1, 1, Directive::Signature),
    known("SecRuleRemoveById", 1, MANY, Directive::RemoveById),
    known("SecRuleRemoveByTag", 1, 1, Directive::RemoveByTag),
    known("SecRuleRemoveByMsg", 1, 1, Directive::RemoveByMsg),
    known("SecRuleUpdateTargetById", 2, 3, Directive::UpdateTargetById),
    known("SecRuleUpdateTargetByTag", 2, 3, Directive::UpdateTargetByTag),
    known("SecRuleUpdateTargetByMsg", 2, 3, Directive::UpdateTargetByMsg),
    known("SecRuleUpdateActionById", 2, 2, Directive::UpdateAction),
    known("SecResponseBodyMimeType", 1, MANY, Directive::ResponseTypes),
    known("SecResponseBodyMimeTypesClear", 0, 0, Directive::ResponseTypesClear),
    set("SecRuleEngine", |s, v| control::engine(v).map(|to| s.engine = to)),
    set("SecRequestBodyAccess", |s, v| control::switch(v).map(|to| s.request_body = to)),
    set("SecResponseBodyAccess", |s, v| control::switch(v).map(|to| s.response_body = to)),
    set("SecRequestBodyLimit", |s, v| bytes(v).map(|to| s.request_body_limit = to)),
    set("SecRequestBodyNoFilesLimit", |s, v| bytes(v).map(|to| s.request_body_no_files_limit = to)),
    set("SecRequestBodyLimitAction", |s, v| over_limit(v).map(|to| s.request_over_limit = to)),
    set("SecResponseBodyLimit", |s, v| bytes(v).map(|to| s.response_body_limit = to)),
    set("SecResponseBodyLimitAction", |s, v| over_limit(v).map(|to| s.response_over_limit = to)),
    set("SecArgumentsLimit", |s, v| within(v, 1, 1_000_000).map(|to| s.arguments_max = to)),
    set("SecArgumentSeparator", |s, v| separator(v).map(|to| s.argument_separator = to)),
    set("SecRequestBodyJsonDepthLimit", |s, v| {
        within(v, 1, 10_000).map(|to| s.json_depth_max = to)
    }),
    set("SecUploadFileLimit", |s, v| within(v, 0, 100_000).map(|to| s.files_max = to)),
    set("SecCollectionTimeout", |s, v| within(v, 1, u32::MAX).map(|to| s.collection_timeout = to)),
    known("SecPcreMatchLimit", 1, 1, Directive::MatchLimit),
    set("SecCookieFormat", |s, v| within(v, 0, 1).map(|to| s.cookie_format = to)),
    known("SecRuleScript", 1, 2, Directive::Refused("no scripts are run")),
    known("SecRemoteRules", 2, 2, Directive::Refused("rules are not fetched: name a file")),
    only_off("SecContentInjection", "bodies are not changed"),
    only_off("SecHashEngine", "links are not signed"),
    only_off("SecParseXmlIntoArgs", "XML is in XML:/* and XML://@*, not in ARGS"),
    only_off("SecStreamInBodyInspection", "there is no STREAM_INPUT_BODY"),
    only_off("SecStreamOutBodyInspection", "there is no STREAM_OUTPUT_BODY"),
    only_off("SecXmlExternalEntity", "nothing is fetched because a body says so"),
    idle("SecAuditEngine", 1),
    idle("SecAuditLog", 1),
    idle("SecAuditLog2", 1),
    idle("SecAuditLogDirMode", 1),
    idle("SecAuditLogFileMode", 1),
    idle("SecAuditLogFormat", 1),
    idle("SecAuditLogParts", 1),
    idle("SecAuditLogPrefix", 1),
    idle("SecAuditLogRelevantStatus", 1),
    idle("SecAuditLogStorageDir", 1),
    idle("SecAuditLogType", 1),
    idle("SecCacheTransformations", 2),
    idle("SecChrootDir", 1),
    idle("SecConnEngine", 1),
    idle("SecConnReadStateLimit", 2),
    idle("SecConnWriteStateLimit", 2),
    idle("SecCookieV0Separator", 1),
    idle("SecDataDir", 1),
    idle("SecDebugLog", 1),
    idle("SecDebugLogLevel", 1),
    idle("SecDisableBackendCompression", 1),
    idle("SecGeoLookupDb", 1),
    idle("SecGsbLookupDb", 1),
    idle("SecGuardianLog", 2),
    idle("SecHashKey", 2),
    idle("SecHashMethodPm", 2),
    idle("SecHashMethodRx", 2),
    idle("SecHashParam", 1),
    idle("SecHttpBlKey", 1),
    idle("SecInterceptOnError", 1),
    idle("SecPcreMatchLimitRecursion", 1),
    idle("SecRemoteRulesFailAction", 1),
    idle("SecRequestBodyInMemoryLimit", 1),
    idle("SecRuleInheritance", 1),
    idle("SecRulePerfTime", 1),
    idle("SecSensorId", 1),
    idle("SecServerSignature", 1),
    idle("SecStatusEngine", 1),
    idle("SecTmpDir", 1),
    idle("SecTmpSaveUploadedFiles", 1),
    idle("SecUnicodeMapFile", 2),
    idle("SecUploadDir", 1),
    idle("SecUploadFileMode", 1),
    idle("SecUploadKeepFiles", 1),
    idle("SecWebAppId", 1),
];

/// The directive of this name, whatever its case.
///
/// # Errors
/// There is none; says which may have been meant.
pub(super) fn find(name: &str) -> Result<Known, String> {
    let found = DIRECTIVES.iter().find(|known| known.name.eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| {
        if name.starts_with('<') {
            let name = excerpt(name.as_bytes(), 0);
            return format!(
                "{name}: sections of a server's configuration are not read; take it out"
            );
        }
        told::unknown("directive", name, DIRECTIVES.iter().map(|known| known.name))
    })
}

impl Known {
    /// Whether it takes so many arguments.
    ///
    /// # Errors
    /// It does not; says how many it takes.
    pub(super) fn check(&self, arguments: usize) -> Result<(), String> {
        let Self { name, arguments_min: min, arguments_max: max, .. } = *self;
        if (min..=max).contains(&arguments) {
            return Ok(());
        }
        let takes = match (min, max) {
            (1, 1) => "1 argument".to_owned(),
            (1, MANY) => "arguments".to_owned(),
            (min, max) if min == max => format!("{min} arguments"),
            (min, max) => format!("{min} to {max} arguments"),
        };
        let more = if arguments > max { "; put one with spaces in it into quotes" } else { "" };
        Err(format!("{name} takes {takes}, and has {arguments}{more}"))
    }
}

/// Does what a directive says that is no rule.
///
/// # Errors
/// An argument is none.
pub(super) fn apply(
    reader: &mut Reader<'_>,
    at: &At,
    name: &str,
    directive: Directive,
    values: &[Cow<'_, [u8]>],
) -> Result<(), String> {
    let texts: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value)).collect();
    let first = texts.first().map_or("", |text| &**text);
    let rest = values.get(1..).unwrap_or_default();
    let change = match directive {
        Directive::RemoveById => Change::remove(at, Whose::ids(&texts.join(" "))?),
        Directive::RemoveByTag => Change::remove(at, Whose::Tag(first.to_owned())),
        Directive::RemoveByMsg => Change::remove(at, Whose::Msg(first.to_owned())),
        Directive::UpdateTargetById => Change::targets(at, Whose::ids(first)?, rest),
        Directive::UpdateTargetByTag => Change::targets(at, Whose::Tag(first.to_owned()), rest),
        Directive::UpdateTargetByMsg => Change::targets(at, Whose::Msg(first.to_owned()), rest),
        Directive::Marker => {
            reader.draft.items.push(DraftItem::Marker(first.into()));
            return Ok(());
        }
        Directive::Signature => {
            reader.draft.signatures.push(first.to_owned());
            return Ok(());
        }
        Directive::ResponseTypes => return response_types(reader, &texts),
        Directive::ResponseTypesClear => {
            reader.draft.settings.response_types.clear();
            reader.types_set = true;
            return Ok(());
        }
        Directive::Set(set) => return set(&mut reader.draft.settings, first),
        Directive::MatchLimit => return match_limit(reader, at, first),
        Directive::OnlyOff(_) if first.eq_ignore_ascii_case("off") => return Ok(()),
        Directive::OnlyOff(why) | Directive::Refused(why) => {
            return Err(format!("not supported: {why}"));
        }
        Directive::Idle => {
            let text = format!("{name} is known, but sets nothing here; it is passed over");
            reader.told.warn_once(at, name, text);
            return Ok(());
        }
        // They are read by the reader itself.
        Directive::Rule
        | Directive::Action
        | Directive::DefaultAction
        | Directive::Include(_)
        | Directive::UpdateAction => return Ok(()),
    };
    reader.draft.changes.push(change);
    Ok(())
}

/// PCRE counts its calls, of which one may look at many bytes; here each byte is a step. What is usual for
/// PCRE would therefore end honest matches, and to be ended is a fault of the transaction.
fn match_limit(reader: &mut Reader<'_>, at: &At, text: &str) -> Result<(), String> {
    let least = Settings::default().match_steps_max;
    let steps: u32 = within(text, 1, u32::MAX)?;
    if steps < least {
        let text =
            format!("SecPcreMatchLimit: {least} steps are allowed; they are smaller than PCRE's");
        reader.told.warn(at, text);
    }
    reader.draft.settings.match_steps_max = steps.max(least);
    Ok(())
}

/// The first list takes the place of the types that are looked at anyway; more add to it.
fn response_types(reader: &mut Reader<'_>, texts: &[Cow<'_, str>]) -> Result<(), String> {
    let types = &mut reader.draft.settings.response_types;
    if !std::mem::replace(&mut reader.types_set, true) {
        types.clear();
    }
    for text in texts.iter().flat_map(|text| text.split_whitespace()) {
        if text != "null" && !text.contains('/') {
            return Err(format!("{} is no media type", excerpt(text.as_bytes(), 0)));
        }
        let text = text.to_ascii_lowercase();
        if !types.contains(&text) {
            types.push(text);
        }
    }
    Ok(())
}

fn within<N>(text: &str, min: N, max: N) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    number_within("the value", text.as_bytes(), min, max)
}

fn bytes(text: &str) -> Result<u64, String> {
    within(text, 0, BODY_MAX)
}

fn over_limit(text: &str) -> Result<OverLimit, String> {
    match text.to_ascii_lowercase().as_str() {
        "reject" => Ok(OverLimit::Reject),
        "processpartial" => Ok(OverLimit::Partial),
        _ => Err(told::unknown("way", text, ["Reject", "ProcessPartial"])),
    }
}

fn separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err("a separator is one byte".to_owned()),
    }
}
