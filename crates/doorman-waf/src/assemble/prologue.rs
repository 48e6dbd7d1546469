//! What stands ahead of every set: how bodies are read, what of them is refused whatever it says, and
//! the settings of the directive.
//!
//! The rules from 200000 on mean what operators of other engines know by these ids, so that an
//! exclusion that worked there works here. They are ours in one thing: a type of a body is the whole
//! type, `+json` and `+xml` included, and not what begins like one; `application/json-seq` is no JSON,
//! and to read it as such would refuse it.

use std::fmt::Write;

use crate::OnError;
use crate::rule::{EngineMode, OverLimit};

use super::wanted::{Base, Wanted};

/// The settings' own rule: above what engines use, below what sets may.
pub(super) const SETTINGS_ID: u32 = 200_100;

/// How bodies are read. A type that is none of these is not read; its bytes are seen where a rule asks
/// for `REQUEST_BODY`. Some applications know a type by how it begins, or by an older name of it: what
/// any of them reads is read here, too.
const PROCESSORS: [(u32, &str, &str); 5] = [
    (200_000, r"^\s*[a-z0-9.-]+/(?:[^\s;,]+\+|x-)?xml(?:[\s;,]|$)", "XML"),
    (200_001, r"^\s*(?:application|text)/(?:x-)?json(?:request)?(?:[\s;,]|$)", "JSON"),
    (200_006, r"^\s*[a-z0-9.-]+/[^\s;,]+\+json(?:[\s;,]|$)", "JSON"),
    (200_008, r"^\s*application/x-www-form-urlencoded", "URLENCODED"),
    (200_009, r"^\s*multipart/", "MULTIPART"),
];

/// What is said of a multipart body that is not as it should be.
const MULTIPART_FLAGS: [&str; 12] = [
    "REQBODY_PROCESSOR_ERROR",
    "MULTIPART_BOUNDARY_QUOTED",
    "MULTIPART_BOUNDARY_WHITESPACE",
    "MULTIPART_DATA_BEFORE",
    "MULTIPART_DATA_AFTER",
    "MULTIPART_HEADER_FOLDING",
    "MULTIPART_LF_LINE",
    "MULTIPART_MISSING_SEMICOLON",
    "MULTIPART_INVALID_QUOTING",
    "MULTIPART_INVALID_PART",
    "MULTIPART_INVALID_HEADER_FOLDING",
    "MULTIPART_FILE_LIMIT_EXCEEDED",
];

/// Arguments of one request. Applications stop at about as many.
const ARGUMENTS_MAX: u32 = 1_000;

/// What sets may take for a version of HTTP: all that are spoken here. Releases before 4 know nothing of
/// HTTP/3, and a request over it would reach the usual score by that alone.
const VERSIONS: &str = "HTTP/1.0 HTTP/1.1 HTTP/2 HTTP/2.0 HTTP/3 HTTP/3.0";

/// The prologue's text. Every byte of it is a constant or a number.
pub(super) fn prologue(wanted: &Wanted) -> Vec<u8> {
    let mut text = String::new();
    directives(&mut text, wanted);
    for (id, pattern, processor) in PROCESSORS {
        line(
            &mut text,
            &format!(
                "SecRule REQUEST_HEADERS:Content-Type \"@rx {pattern}\" \
                 \"id:{id},phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor={processor}\""
            ),
        );
    }
    refusals(&mut text, wanted.on_error);
    text.into_bytes()
}

fn line(text: &mut String, directive: &str) {
    text.push_str(directive);
    text.push('\n');
}

/// Where nothing is refused, no body is either.
fn over_limit(wanted: &Wanted) -> OverLimit {
    match wanted.mode {
        EngineMode::On => wanted.over_limit,
        EngineMode::DetectionOnly | EngineMode::Off => OverLimit::Partial,
    }
}

fn directives(text: &mut String, wanted: &Wanted) {
    let action = |over| match over {
        OverLimit::Reject => "Reject",
        OverLimit::Partial => "ProcessPartial",
    };
    let engine = match wanted.mode {
        EngineMode::Off => "Off",
        EngineMode::DetectionOnly => "DetectionOnly",
        EngineMode::On => "On",
    };
    let body = wanted.request_body_max;
    line(text, &format!("SecRuleEngine {engine}"));
    line(text, "SecRequestBodyAccess On");
    line(text, &format!("SecRequestBodyLimit {body}"));
    // One bound for all: an operator who says 1MiB means that of a form as well as of an upload.
    line(text, &format!("SecRequestBodyNoFilesLimit {body}"));
    line(text, &format!("SecRequestBodyLimitAction {}", action(over_limit(wanted))));
    line(text, &format!("SecArgumentsLimit {ARGUMENTS_MAX}"));
    match wanted.response_body_max {
        None => line(text, "SecResponseBodyAccess Off"),
        Some(max) => {
            line(text, "SecResponseBodyAccess On");
            line(text, &format!("SecResponseBodyLimit {max}"));
            line(text, "SecResponseBodyLimitAction ProcessPartial");
            line(
                text,
                "SecResponseBodyMimeType text/plain text/html text/xml application/json \
                 application/problem+json application/xml application/xhtml+xml",
            );
        }
    }
}

/// Bodies that another reader could understand in another way are refused outright: rules would look
/// at something else than the application does. What could not be read at all, or not to the end, is
/// refused where nothing may pass unseen.
fn refusals(text: &mut String, on_error: OnError) {
    let deny = "phase:2,deny,status:400,log,auditlog,t:none,severity:CRITICAL";
    let unseen = match on_error {
        OnError::Closed => deny,
        OnError::Open => "phase:2,pass,log,auditlog,t:none,severity:CRITICAL",
    };
    // Each reader takes another of them, and what follows reads as one of them says.
    line(
        text,
        &format!(
            "SecRule &REQUEST_HEADERS:Content-Type \"@gt 1\" \"id:200010,{deny},\
             msg:'More than one type of the body'\""
        ),
    );
    // Many applications undo a coding without being asked to. Said before what comes of reading one,
    // which is a fault of some types and an argument of a form.
    line(
        text,
        &format!(
            "SecRule REQUEST_HEADERS:Content-Encoding \"!@rx ^\\s*(?:identity\\s*)?$\" \
             \"id:200011,{unseen},t:lowercase,msg:'A coded body, of which rules see the code alone',chain\""
        ),
    );
    line(text, "SecRule REQBODY_PROCESSOR \"@rx .\" \"t:none,chain\"");
    line(text, "SecRule REQUEST_BODY_LENGTH \"@gt 0\" \"t:none\"");
    // Ahead of the next, because such a body is not read to its end either, and this says why.
    line(
        text,
        &format!(
            "SecRule &ARGS \"@ge {ARGUMENTS_MAX}\" \"id:200007,{deny},\
             msg:'More arguments than are read'\""
        ),
    );
    line(
        text,
        &format!(
            "SecRule REQBODY_ERROR \"!@eq 0\" \"id:200002,{unseen},\
             msg:'The body cannot be read as what its type says',\
             logdata:'%{{REQBODY_ERROR_MSG}}'\""
        ),
    );
    let flags = MULTIPART_FLAGS.map(|flag| format!("{flag}=%{{{flag}}}")).join(" ");
    line(
        text,
        &format!(
            "SecRule MULTIPART_STRICT_ERROR \"!@eq 0\" \"id:200003,{deny},\
             msg:'A multipart body that readers may understand in different ways',\
             logdata:'{flags}',chain\""
        ),
    );
    // A fault of another kind of body counts among the flags, too, and has been told.
    line(text, "SecRule REQBODY_PROCESSOR \"@streq MULTIPART\" \"t:none\"");
    line(
        text,
        &format!(
            "SecRule MULTIPART_UNMATCHED_BOUNDARY \"@eq 1\" \"id:200004,{deny},\
             msg:'A multipart body with a line that could be a boundary, and is none'\""
        ),
    );
    line(
        text,
        &format!(
            "SecRule TX:/^MSC_/ \"!@streq 0\" \"id:200005,{unseen},\
             msg:'Rules could not be run to their end: %{{MATCHED_VAR_NAME}}'\""
        ),
    );
}

/// The settings that the directive says, in the variables of all releases of the Core Rule Set.
/// [`Wanted::methods`] has been looked through.
pub(super) fn settings(wanted: &Wanted) -> Vec<u8> {
    let mut text = String::new();
    let mut action = format!("SecAction \"id:{SETTINGS_ID},phase:1,pass,nolog,t:none");
    for (name, value) in variables(wanted) {
        let _ = write!(action, ",setvar:'tx.{name}={value}'");
    }
    if matches!(wanted.base, Base::Crs { .. }) {
        let _ = write!(action, ",setvar:'tx.allowed_http_versions={VERSIONS}'");
    }
    if without_setup(&wanted.base) {
        // The set asks only whether there is one.
        action.push_str(",setvar:'tx.crs_setup_version=4000'");
        for phase in 1..=5 {
            line(&mut text, &format!("SecDefaultAction \"phase:{phase},log,auditlog,pass\""));
        }
    }
    line(&mut text, &format!("{action}\""));
    text.into_bytes()
}

fn without_setup(base: &Base) -> bool {
    !matches!(base, Base::Crs { setup: Some(_), .. })
}

/// Variables and what the directive sets them to.
pub(super) fn variables(wanted: &Wanted) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    if let Some(level) = wanted.level {
        all.push(("blocking_paranoia_level", level.number().to_string()));
        all.push(("paranoia_level", level.number().to_string()));
    }
    if let Some(level) = wanted.detect_level {
        all.push(("detection_paranoia_level", level.number().to_string()));
        all.push(("executing_paranoia_level", level.number().to_string()));
    }
    if let Some(threshold) = wanted.threshold {
        all.push(("inbound_anomaly_score_threshold", threshold.to_string()));
    }
    if let Some(threshold) = wanted.outbound_threshold {
        all.push(("outbound_anomaly_score_threshold", threshold.to_string()));
    }
    if wanted.early_blocking {
        all.push(("early_blocking", "1".to_owned()));
    }
    if let Some(methods) = &wanted.methods {
        all.push(("allowed_methods", methods.join(" ")));
    }
    all
}
