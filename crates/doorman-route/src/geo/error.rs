//! Why a file cannot be used.

use std::fmt;

/// Why a file of countries or networks cannot be used. Its text says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GeoError {
    /// It is empty.
    Empty,
    /// It has more bytes than [`GEO_BYTES_MAX`](super::GEO_BYTES_MAX).
    Large,
    /// It does not end as a MaxMind DB does; what it looks like instead.
    Other(&'static str),
    /// What it says of itself cannot be: what.
    Metadata(&'static str),
    /// It is in another version of the format, this.
    Version(u64),
    /// Something is missing in its midst: it should have this many bytes before its data.
    Cut(u64),
    /// It is broken: what, and near which byte.
    Broken(&'static str, usize),
    /// It is whole but says nothing of what is asked for.
    Nothing {
        /// What is asked for.
        wanted: &'static str,
        /// The kind of the file.
        kind: Box<str>,
    },
}

impl fmt::Display for GeoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const AGAIN: &str = "fetch it again";
        match self {
            Self::Empty => write!(f, "the file is empty; {AGAIN}"),
            Self::Large => {
                f.write_str("the file is larger than 1 GiB; use one of countries or networks alone")
            }
            Self::Other(looks) => write!(f, "the file does not end as a MaxMind DB does: {looks}"),
            Self::Metadata(what) => {
                write!(f, "what the file says of itself is broken: {what}; {AGAIN}")
            }
            Self::Version(found) => {
                write!(f, "the file is in version {found} of the format; use one in version 2")
            }
            Self::Cut(wanted) => {
                write!(f, "the file is cut: its tree alone takes {wanted} bytes; {AGAIN}")
            }
            Self::Broken(what, at) => {
                write!(f, "the file is broken: {what} near byte {at}; {AGAIN}")
            }
            Self::Nothing { wanted, kind } => {
                let word = if *wanted == "country" { "country" } else { "asn" };
                write!(f, "the file, of kind {kind:?}, knows no {wanted} of any address; ")?;
                write!(f, "give a file of them to `geo {word}`")
            }
        }
    }
}

impl std::error::Error for GeoError {}

/// What a file that is no MaxMind DB looks like, and what to do.
pub(super) fn looks(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x1F, 0x8B, ..] => {
            "it is packed with gzip; unpack it (.tar.gz: tar -xzf) and give the .mmdb in it"
        }
        [b'P', b'K', 3, 4, ..] => "it is packed with zip; unpack it and give the .mmdb in it",
        [0xFD, b'7', b'z', ..] => "it is packed with xz; unpack it and give the .mmdb in it",
        [0x28, 0xB5, 0x2F, 0xFD, ..] => {
            "it is packed with zstd; unpack it and give the .mmdb in it"
        }
        [b'<', ..] => "it is a page of HTML or XML, an error of the server perhaps; fetch it again",
        _ if bytes.len() > 1_000 && !bytes[..1_000].contains(&0) && bytes[..1_000].is_ascii() => {
            "it is text; give the .mmdb file, not the one of CSV"
        }
        _ => "it is cut or of another kind; fetch the .mmdb file again",
    }
}
