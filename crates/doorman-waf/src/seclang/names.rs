//! The words of SecLang that stand for variables, transformations and severities.
//!
//! One table each, searched in turn: they are short, and read once at load.

use super::told;
use crate::rule::{Collection, Severity, Transformation, Variable};

/// What may follow a variable's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `NAME` or `NAME:member`.
    Many,
    /// `NAME` alone.
    Single,
    /// `XML:/*` and `XML://@*`.
    Xml,
}

/// A variable by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) variable: Variable,
    pub(super) kind: Kind,
}

const fn many(name: &'static str, variable: Variable) -> Known {
    Known { name, variable, kind: Kind::Many }
}

const fn one(name: &'static str, variable: Variable) -> Known {
    Known { name, variable, kind: Kind::Single }
}

/// Variables of ModSecurity that nothing here can tell.
const ABSENT: [&str; 24] = [
    "PERF_ALL",
    "PERF_COMBINED",
    "PERF_GC",
    "PERF_LOGGING",
    "PERF_PHASE1",
    "PERF_PHASE2",
    "PERF_PHASE3",
    "PERF_PHASE4",
    "PERF_PHASE5",
    "PERF_RULES",
    "PERF_SREAD",
    "PERF_SWRITE",
    "SCRIPT_BASENAME",
    "SCRIPT_FILENAME",
    "SCRIPT_GID",
    "SCRIPT_GROUPNAME",
    "SCRIPT_MODE",
    "SCRIPT_UID",
    "SCRIPT_USERNAME",
    "SDBM_DELETE_ERROR",
    "STREAM_INPUT_BODY",
    "STREAM_OUTPUT_BODY",
    "USERAGENT_IP",
    "WEBSERVER_ERROR_LOG",
];

pub(super) const VARIABLES: &[Known] = &[
    Known { name: "XML", variable: Variable::XmlTexts, kind: Kind::Xml },
    many("ARGS", Variable::Args),
    many("ARGS_GET", Variable::ArgsGet),
    many("ARGS_POST", Variable::ArgsPost),
    many("ARGS_NAMES", Variable::ArgsNames),
    many("ARGS_GET_NAMES", Variable::ArgsGetNames),
    many("ARGS_POST_NAMES", Variable::ArgsPostNames),
    many("REQUEST_COOKIES", Variable::RequestCookies),
    many("REQUEST_COOKIES_NAMES", Variable::RequestCookiesNames),
    many("REQUEST_HEADERS", Variable::RequestHeaders),
    many("REQUEST_HEADERS_NAMES", Variable::RequestHeadersNames),
    many("RESPONSE_HEADERS", Variable::ResponseHeaders),
    many("RESPONSE_HEADERS_NAMES", Variable::ResponseHeadersNames),
    many("FILES", Variable::Files),
    many("FILES_NAMES", Variable::FilesNames),
    many("FILES_SIZES", Variable::FilesSizes),
    many("FILES_TMP_CONTENT", Variable::FilesTmpContent),
    many("FILES_TMPNAMES", Variable::FilesTmpNames),
    many("MULTIPART_FILENAME", Variable::MultipartFilename),
    many("MULTIPART_NAME", Variable::MultipartName),
    many("MULTIPART_PART_HEADERS", Variable::MultipartPartHeaders),
    many("MATCHED_VARS", Variable::MatchedVars),
    many("MATCHED_VARS_NAMES", Variable::MatchedVarsNames),
    many("ENV", Variable::Env),
    many("GEO", Variable::Geo),
    many("RULE", Variable::Rule),
    many("TX", Variable::Tx),
    many("GLOBAL", Variable::Global),
    many("IP", Variable::Ip),
    many("RESOURCE", Variable::Resource),
    many("SESSION", Variable::Session),
    many("USER", Variable::User),
    one("ARGS_COMBINED_SIZE", Variable::ArgsCombinedSize),
    one("AUTH_TYPE", Variable::AuthType),
    one("DURATION", Variable::Duration),
    one("FILES_COMBINED_SIZE", Variable::FilesCombinedSize),
    one("FULL_REQUEST", Variable::FullRequest),
    one("FULL_REQUEST_LENGTH", Variable::FullRequestLength),
    one("HIGHEST_SEVERITY", Variable::HighestSeverity),
    one("INBOUND_DATA_ERROR", Variable::InboundDataError),
    one("OUTBOUND_DATA_ERROR", Variable::OutboundDataError),
    one("MATCHED_VAR", Variable::MatchedVar),
    one("MATCHED_VAR_NAME", Variable::MatchedVarName),
    one("MODSEC_BUILD", Variable::ModsecBuild),
    one("MSC_PCRE_ERROR", Variable::MscPcreError),
    one("MSC_PCRE_LIMITS_EXCEEDED", Variable::MscPcreLimitsExceeded),
    one("MULTIPART_BOUNDARY_QUOTED", Variable::MultipartBoundaryQuoted),
    one("MULTIPART_BOUNDARY_WHITESPACE", Variable::MultipartBoundaryWhitespace),
    one("MULTIPART_CRLF_LF_LINES", Variable::MultipartCrlfLfLines),
    one("MULTIPART_DATA_AFTER", Variable::MultipartDataAfter),
    one("MULTIPART_DATA_BEFORE", Variable::MultipartDataBefore),
    one("MULTIPART_FILE_LIMIT_EXCEEDED", Variable::MultipartFileLimitExceeded),
    one("MULTIPART_HEADER_FOLDING", Variable::MultipartHeaderFolding),
    one("MULTIPART_INVALID_HEADER_FOLDING", Variable::MultipartInvalidHeaderFolding),
    one("MULTIPART_INVALID_PART", Variable::MultipartInvalidPart),
    one("MULTIPART_INVALID_QUOTING", Variable::MultipartInvalidQuoting),
    one("MULTIPART_LF_LINE", Variable::MultipartLfLine),
    one("MULTIPART_MISSING_SEMICOLON", Variable::MultipartMissingSemicolon),
    one("MULTIPART_SEMICOLON_MISSING", Variable::MultipartSemicolonMissing),
    one("MULTIPART_STRICT_ERROR", Variable::MultipartStrictError),
    one("MULTIPART_UNMATCHED_BOUNDARY", Variable::MultipartUnmatchedBoundary),
    one("PATH_INFO", Variable::PathInfo),
    one("QUERY_STRING", Variable::QueryString),
    one("REMOTE_ADDR", Variable::RemoteAddr),
    one("REMOTE_HOST", Variable::RemoteHost),
    one("REMOTE_PORT", Variable::RemotePort),
    one("REMOTE_USER", Variable::RemoteUser),
    one("REQBODY_ERROR", Variable::ReqbodyError),
    one("REQBODY_ERROR_MSG", Variable::ReqbodyErrorMsg),
    one("REQBODY_PROCESSOR", Variable::ReqbodyProcessor),
    one("REQBODY_PROCESSOR_ERROR", Variable::ReqbodyProcessorError),
    one("REQBODY_PROCESSOR_ERROR_MSG", Variable::ReqbodyProcessorErrorMsg),
    one("REQUEST_BASENAME", Variable::RequestBasename),
    one("REQUEST_BODY", Variable::RequestBody),
    one("REQUEST_BODY_LENGTH", Variable::RequestBodyLength),
    one("REQUEST_FILENAME", Variable::RequestFilename),
    one("REQUEST_LINE", Variable::RequestLine),
    one("REQUEST_METHOD", Variable::RequestMethod),
    one("REQUEST_PROTOCOL", Variable::RequestProtocol),
    one("REQUEST_URI", Variable::RequestUri),
    one("REQUEST_URI_RAW", Variable::RequestUriRaw),
    one("RESPONSE_BODY", Variable::ResponseBody),
    one("RESPONSE_CONTENT_LENGTH", Variable::ResponseContentLength),
    one("RESPONSE_CONTENT_TYPE", Variable::ResponseContentType),
    one("RESPONSE_PROTOCOL", Variable::ResponseProtocol),
    one("RESPONSE_STATUS", Variable::ResponseStatus),
    one("SERVER_ADDR", Variable::ServerAddr),
    one("SERVER_NAME", Variable::ServerName),
    one("SERVER_PORT", Variable::ServerPort),
    one("SESSIONID", Variable::SessionId),
    one("STATUS_LINE", Variable::StatusLine),
    one("TIME", Variable::Time),
    one("TIME_DAY", Variable::TimeDay),
    one("TIME_EPOCH", Variable::TimeEpoch),
    one("TIME_HOUR", Variable::TimeHour),
    one("TIME_MIN", Variable::TimeMin),
    one("TIME_MON", Variable::TimeMon),
    one("TIME_SEC", Variable::TimeSec),
    one("TIME_WDAY", Variable::TimeWday),
    one("TIME_YEAR", Variable::TimeYear),
    one("UNIQUE_ID", Variable::UniqueId),
    one("URLENCODED_ERROR", Variable::UrlencodedError),
    one("USERID", Variable::UserId),
    one("WEBAPPID", Variable::WebAppId),
    // Other spellings.
    many("FILES_TMP_NAMES", Variable::FilesTmpNames),
    one("STATUS", Variable::ResponseStatus),
];

/// The variable of this name, whatever its case.
///
/// # Errors
/// There is none; says which may have been meant.
pub(super) fn variable(name: &str) -> Result<Known, String> {
    let found = VARIABLES.iter().find(|known| known.name.eq_ignore_ascii_case(name));
    if let Some(&known) = found {
        return Ok(known);
    }
    if ABSENT.iter().any(|absent| absent.eq_ignore_ascii_case(name)) {
        return Err(format!("the variable {name} is not supported: nothing here has its value"));
    }
    Err(told::unknown("variable", name, VARIABLES.iter().map(|known| known.name)))
}

const TRANSFORMATIONS: &[(&str, Transformation)] = &[
    ("base64Decode", Transformation::Base64Decode),
    ("base64DecodeExt", Transformation::Base64DecodeExt),
    ("base64Encode", Transformation::Base64Encode),
    ("cmdLine", Transformation::CmdLine),
    ("compressWhitespace", Transformation::CompressWhitespace),
    ("cssDecode", Transformation::CssDecode),
    ("escapeSeqDecode", Transformation::EscapeSeqDecode),
    ("hexDecode", Transformation::HexDecode),
    ("hexEncode", Transformation::HexEncode),
    ("htmlEntityDecode", Transformation::HtmlEntityDecode),
    ("jsDecode", Transformation::JsDecode),
    ("length", Transformation::Length),
    ("lowercase", Transformation::Lowercase),
    ("md5", Transformation::Md5),
    ("normalizePath", Transformation::NormalizePath),
    ("normalizePathWin", Transformation::NormalizePathWin),
    ("removeComments", Transformation::RemoveComments),
    ("removeCommentsChar", Transformation::RemoveCommentsChar),
    ("removeNulls", Transformation::RemoveNulls),
    ("removeWhitespace", Transformation::RemoveWhitespace),
    ("replaceComments", Transformation::ReplaceComments),
    ("replaceNulls", Transformation::ReplaceNulls),
    ("sha1", Transformation::Sha1),
    ("sqlHexDecode", Transformation::SqlHexDecode),
    ("trim", Transformation::Trim),
    ("trimLeft", Transformation::TrimLeft),
    ("trimRight", Transformation::TrimRight),
    ("uppercase", Transformation::Uppercase),
    ("urlDecode", Transformation::UrlDecode),
    ("urlDecodeUni", Transformation::UrlDecodeUni),
    ("urlEncode", Transformation::UrlEncode),
    ("utf8toUnicode", Transformation::Utf8ToUnicode),
    // Other spellings.
    ("normalisePath", Transformation::NormalizePath),
    ("normalisePathWin", Transformation::NormalizePathWin),
];

/// The transformation of this name; nothing is `none`.
///
/// # Errors
/// There is none; says which may have been meant.
pub(super) fn transformation(name: &str) -> Result<Option<Transformation>, String> {
    if name.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let found = TRANSFORMATIONS.iter().find(|(word, _)| word.eq_ignore_ascii_case(name));
    if let Some(&(_, transformation)) = found {
        return Ok(Some(transformation));
    }
    const ABSENT: [&str; 3] = ["parityEven7bit", "parityOdd7bit", "parityZero7bit"];
    if ABSENT.iter().any(|absent| absent.eq_ignore_ascii_case(name)) {
        return Err(format!("the transformation {name} is not supported"));
    }
    let words = TRANSFORMATIONS.iter().map(|(word, _)| *word).chain(["none"]);
    Err(told::unknown("transformation", name, words))
}

const SEVERITIES: [Severity; 8] = [
    Severity::Emergency,
    Severity::Alert,
    Severity::Critical,
    Severity::Error,
    Severity::Warning,
    Severity::Notice,
    Severity::Info,
    Severity::Debug,
];

/// A severity by its word or its number.
///
/// # Errors
/// It is neither.
pub(super) fn severity(text: &str) -> Result<Severity, String> {
    SEVERITIES
        .into_iter()
        .find(|s| s.word().eq_ignore_ascii_case(text) || text.parse() == Ok(s.number()))
        .ok_or_else(|| told::unknown("severity", text, SEVERITIES.map(Severity::word)))
}

/// A collection that rules write to.
///
/// # Errors
/// There is none of this name.
pub(super) fn collection(name: &str) -> Result<Collection, String> {
    const COLLECTIONS: [(&str, Collection); 6] = [
        ("tx", Collection::Tx),
        ("global", Collection::Global),
        ("ip", Collection::Ip),
        ("resource", Collection::Resource),
        ("session", Collection::Session),
        ("user", Collection::User),
    ];
    let found = COLLECTIONS.iter().find(|(word, _)| word.eq_ignore_ascii_case(name));
    found.map(|&(_, collection)| collection).ok_or_else(|| {
        told::unknown("collection to write to", name, COLLECTIONS.map(|(word, _)| word))
    })
}
