//! What rules ask of values, and what is done to values first.

use std::sync::Arc;

use super::Template;
use crate::operator::{ByteSet, IpSet, PhraseSet};
use crate::regex::Regex;

/// A regular expression, or one that is known once its macros are expanded.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Compiled at load; equal ones are shared.
    Fixed(Arc<Regex>),
    /// Compiled when it is asked, from the expanded text; kept in a bounded table.
    Expanded(Template),
}

/// Phrases of `@pm` and `@pmFromFile`; equal ones are shared.
#[derive(Clone, Debug)]
pub struct Phrases(pub Arc<PhraseSet>);

/// What is asked of each value.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the operator of its name in SecLang")]
pub enum Operator {
    Rx(Pattern),
    Pm(Phrases),
    Streq(Template),
    Contains(Template),
    ContainsWord(Template),
    BeginsWith(Template),
    EndsWith(Template),
    Within(Template),
    StrMatch(Template),
    Eq(Template),
    Ge(Template),
    Gt(Template),
    Le(Template),
    Lt(Template),
    ValidateByteRange(Box<ByteSet>),
    ValidateUrlEncoding,
    ValidateUtf8Encoding,
    DetectSqli,
    DetectXss,
    IpMatch(Arc<IpSet>),
    /// Nobody has told where addresses are: matches nothing.
    GeoLookup,
    /// Nobody is asked on the way of a request: matches nothing.
    Rbl,
    UnconditionalMatch,
    NoMatch,
}

/// What is done to a value before it is asked about. The names are SecLang's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the transformation of its name in SecLang")]
pub enum Transformation {
    Base64Decode,
    Base64DecodeExt,
    Base64Encode,
    CmdLine,
    CompressWhitespace,
    CssDecode,
    EscapeSeqDecode,
    HexDecode,
    HexEncode,
    HtmlEntityDecode,
    JsDecode,
    Length,
    Lowercase,
    Md5,
    NormalizePath,
    NormalizePathWin,
    RemoveComments,
    RemoveCommentsChar,
    RemoveNulls,
    RemoveWhitespace,
    ReplaceComments,
    ReplaceNulls,
    Sha1,
    SqlHexDecode,
    Trim,
    TrimLeft,
    TrimRight,
    Uppercase,
    UrlDecode,
    UrlDecodeUni,
    UrlEncode,
    Utf8ToUnicode,
}

impl Transformation {
    /// Every transformation, in the order of names.
    pub const ALL: [Self; 32] = [
        Self::Base64Decode,
        Self::Base64DecodeExt,
        Self::Base64Encode,
        Self::CmdLine,
        Self::CompressWhitespace,
        Self::CssDecode,
        Self::EscapeSeqDecode,
        Self::HexDecode,
        Self::HexEncode,
        Self::HtmlEntityDecode,
        Self::JsDecode,
        Self::Length,
        Self::Lowercase,
        Self::Md5,
        Self::NormalizePath,
        Self::NormalizePathWin,
        Self::RemoveComments,
        Self::RemoveCommentsChar,
        Self::RemoveNulls,
        Self::RemoveWhitespace,
        Self::ReplaceComments,
        Self::ReplaceNulls,
        Self::Sha1,
        Self::SqlHexDecode,
        Self::Trim,
        Self::TrimLeft,
        Self::TrimRight,
        Self::Uppercase,
        Self::UrlDecode,
        Self::UrlDecodeUni,
        Self::UrlEncode,
        Self::Utf8ToUnicode,
    ];
}
