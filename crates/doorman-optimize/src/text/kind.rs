//! What a text is, by its media type (RFC 9110 section 8.3.1), and whether its bytes can be read.
//!
//! Only the essence decides about the kind: type and subtype, in any case, without parameters. Of the
//! parameters only `charset` is looked at, because all readers here look at ASCII bytes alone:
//! that is right in UTF-8 and in every encoding in which an ASCII byte always means itself, and in
//! no other.

/// Kinds of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// HTML; not XHTML, which is XML.
    Html,
    /// Style sheets.
    Css,
    /// Scripts and modules.
    Js,
    /// JSON, and whatever is built on it.
    Json,
    /// Vector images.
    Svg,
}

impl Kind {
    /// All there are; each stands at the place of its number.
    pub const ALL: [Self; 5] = [Self::Html, Self::Css, Self::Js, Self::Json, Self::Svg];

    /// The word for it in configuration, logs and counters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Css => "css",
            Self::Js => "js",
            Self::Json => "json",
            Self::Svg => "svg",
        }
    }
}

/// The kind that a `Content-Type` names, if it is one of a text that can be made smaller.
#[must_use]
pub fn kind_of(content_type: &[u8]) -> Option<Kind> {
    let essence = content_type.split(|&byte| byte == b';').next()?.trim_ascii();
    let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
    if is("text/html") {
        return Some(Kind::Html);
    }
    if is("text/css") {
        return Some(Kind::Css);
    }
    if SCRIPTS.into_iter().any(is) {
        return Some(Kind::Js);
    }
    if is("image/svg+xml") {
        return Some(Kind::Svg);
    }
    // RFC 6839 section 3.1: whatever ends in +json can be read as JSON.
    let has_suffix = essence.contains(&b'/')
        && essence.len() > JSON_SUFFIX.len()
        && essence[essence.len() - JSON_SUFFIX.len()..].eq_ignore_ascii_case(JSON_SUFFIX);
    (is("application/json") || is("text/json") || has_suffix).then_some(Kind::Json)
}

const JSON_SUFFIX: &[u8] = b"+json";

/// Names of scripts that are in use (RFC 9239 section 6 lists the older ones).
const SCRIPTS: [&str; 4] = [
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
];

/// Whether an ASCII byte always means itself in the encoding that a `Content-Type` names. One that
/// names none is taken to be such: what is not UTF-8 or one of the old encodings of a single byte has
/// to be named, or to begin with a mark that the readers see.
#[must_use]
pub fn is_readable_charset(content_type: &[u8]) -> bool {
    let parameters = content_type.split(|&byte| byte == b';').skip(1);
    for parameter in parameters {
        let mut parts = parameter.splitn(2, |&byte| byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        if !name.eq_ignore_ascii_case(b"charset") {
            continue;
        }
        let value = parts.next().unwrap_or_default().trim_ascii();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let value = value.strip_suffix(b"\"").unwrap_or(value).trim_ascii();
        return is_ascii_compatible(value);
    }
    true
}

/// Encodings by the labels that the Encoding Standard gives them. In those of Asia that take several
/// bytes the second byte of a character may be an ASCII letter or sign, so they are not here.
fn is_ascii_compatible(label: &[u8]) -> bool {
    let begins = |with: &str| {
        label.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    };
    [
        "utf-8",
        "utf8",
        "us-ascii",
        "ascii",
        "iso-8859-",
        "iso8859-",
        "windows-125",
        "latin1",
        "koi8-",
    ]
    .into_iter()
    .any(begins)
}
