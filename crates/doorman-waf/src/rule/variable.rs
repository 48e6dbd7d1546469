//! What rules look at.

use std::sync::Arc;

use super::Collection;
use crate::regex::Regex;

/// A variable or a collection of variables. The names are SecLang's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the variable of its name in SecLang")]
pub enum Variable {
    // Collections of names and values.
    Args,
    ArgsGet,
    ArgsPost,
    ArgsNames,
    ArgsGetNames,
    ArgsPostNames,
    RequestCookies,
    RequestCookiesNames,
    RequestHeaders,
    RequestHeadersNames,
    ResponseHeaders,
    ResponseHeadersNames,
    Files,
    FilesNames,
    FilesSizes,
    FilesTmpContent,
    FilesTmpNames,
    MultipartFilename,
    MultipartName,
    MultipartPartHeaders,
    MatchedVars,
    MatchedVarsNames,
    Env,
    Geo,
    Rule,
    /// `XML:/*`.
    XmlTexts,
    /// `XML://@*`.
    XmlAttributes,
    Tx,
    Global,
    Ip,
    Resource,
    Session,
    User,
    // Single values.
    ArgsCombinedSize,
    AuthType,
    Duration,
    FilesCombinedSize,
    FullRequest,
    FullRequestLength,
    HighestSeverity,
    InboundDataError,
    OutboundDataError,
    MatchedVar,
    MatchedVarName,
    ModsecBuild,
    MscPcreError,
    MscPcreLimitsExceeded,
    MultipartBoundaryQuoted,
    MultipartBoundaryWhitespace,
    MultipartCrlfLfLines,
    MultipartDataAfter,
    MultipartDataBefore,
    MultipartFileLimitExceeded,
    MultipartHeaderFolding,
    MultipartInvalidHeaderFolding,
    MultipartInvalidPart,
    MultipartInvalidQuoting,
    MultipartLfLine,
    MultipartMissingSemicolon,
    MultipartSemicolonMissing,
    MultipartStrictError,
    MultipartUnmatchedBoundary,
    PathInfo,
    QueryString,
    RemoteAddr,
    RemoteHost,
    RemotePort,
    RemoteUser,
    ReqbodyError,
    ReqbodyErrorMsg,
    ReqbodyProcessor,
    ReqbodyProcessorError,
    ReqbodyProcessorErrorMsg,
    RequestBasename,
    RequestBody,
    RequestBodyLength,
    RequestFilename,
    RequestLine,
    RequestMethod,
    RequestProtocol,
    RequestUri,
    RequestUriRaw,
    ResponseBody,
    ResponseContentLength,
    ResponseContentType,
    ResponseProtocol,
    ResponseStatus,
    ServerAddr,
    ServerName,
    ServerPort,
    SessionId,
    StatusLine,
    Time,
    TimeDay,
    TimeEpoch,
    TimeHour,
    TimeMin,
    TimeMon,
    TimeSec,
    TimeWday,
    TimeYear,
    UniqueId,
    UrlencodedError,
    UserId,
    WebAppId,
}

impl Variable {
    /// The collection that rules may write to.
    #[must_use]
    pub const fn collection(self) -> Option<Collection> {
        Some(match self {
            Self::Tx => Collection::Tx,
            Self::Global => Collection::Global,
            Self::Ip => Collection::Ip,
            Self::Resource => Collection::Resource,
            Self::Session => Collection::Session,
            Self::User => Collection::User,
            _ => return None,
        })
    }
}

/// Which of a collection. Lookups by name are case-insensitive.
#[derive(Clone, Debug)]
pub enum Selector {
    /// All.
    All,
    /// Those of this name, in lower case.
    Key(Vec<u8>),
    /// Those in whose name this is found.
    Regex(Arc<Regex>),
}

/// Whether a target adds values, takes some away, or counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// `NAME`: its values.
    Include,
    /// `!NAME`: not these of what other targets of the link say.
    Exclude,
    /// `&NAME`: how many there are, as one number.
    Count,
}

/// One target of a link.
#[derive(Clone, Debug)]
pub struct Target {
    /// How it is meant.
    pub meant: Use,
    /// What.
    pub variable: Variable,
    /// Which of it.
    pub selector: Selector,
}
