//! What a request's body, its query and its cookies say, as rules look at it.
//!
//! Every reader takes its bytes in whatever pieces they come, keeps no more than [`Bounds`] allow, and
//! never refuses: what is wrong is written down as the first [`Fault`] and as [`Flags`], and reading
//! goes on as far as there is sense in it. A rule that looks at REQBODY_ERROR decides what a fault is
//! worth, and rules that look at values still see all that an origin might have read.

mod cookies;
mod json;
mod keeper;
mod multipart;
#[cfg(test)]
mod tests;
mod urlencoded;
mod utf8;
mod xml;

use crate::rule::{Processor, Settings};

pub use cookies::cookies;
pub use multipart::is_form;
pub use urlencoded::query;

use keeper::Keeper;

/// A name and its value, decoded once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The name, in the case that it came in. May be empty.
    pub name: Vec<u8>,
    /// The value. May be empty.
    pub value: Vec<u8>,
}

/// A file of a multipart body. Its content is counted and dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// FILES_NAMES: the name of the field.
    pub name: Vec<u8>,
    /// FILES: the name of the file, as the client says it.
    pub filename: Vec<u8>,
    /// FILES_SIZES: how long the content is.
    pub size: u64,
}

/// What is unusual about a body; each is the variable of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// URLENCODED_ERROR: a `%` without two hexadecimal digits.
    pub urlencoded_error: bool,
    /// MULTIPART_BOUNDARY_QUOTED.
    pub boundary_quoted: bool,
    /// MULTIPART_BOUNDARY_WHITESPACE: beside the `=` of the boundary.
    pub boundary_whitespace: bool,
    /// MULTIPART_DATA_BEFORE: something stands before the first boundary.
    pub data_before: bool,
    /// MULTIPART_DATA_AFTER: something stands behind the final boundary.
    pub data_after: bool,
    /// MULTIPART_HEADER_FOLDING.
    pub header_folding: bool,
    /// MULTIPART_INVALID_HEADER_FOLDING: folded by something else than a space or a tab.
    pub invalid_header_folding: bool,
    /// A line of the frame ends in CR LF.
    pub crlf_line: bool,
    /// MULTIPART_LF_LINE: a line of the frame ends in LF alone.
    pub lf_line: bool,
    /// MULTIPART_MISSING_SEMICOLON: between the type and the boundary.
    pub missing_semicolon: bool,
    /// MULTIPART_INVALID_QUOTING.
    pub invalid_quoting: bool,
    /// MULTIPART_INVALID_PART: a part without a name, or without a line of content.
    pub invalid_part: bool,
    /// MULTIPART_FILE_LIMIT_EXCEEDED.
    pub file_limit_exceeded: bool,
    /// MULTIPART_UNMATCHED_BOUNDARY: 0 when all that looks like a boundary is one; else 2 when the body
    /// is complete all the same, and 1 when it is not.
    pub unmatched_boundary: u8,
}

/// Why a body was not understood, or not read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not what it says it is. REQBODY_ERROR and REQBODY_PROCESSOR_ERROR.
    Malformed(String),
    /// It is more than what is read. REQBODY_ERROR.
    Over(String),
}

impl Fault {
    /// What is told as REQBODY_ERROR_MSG.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Malformed(message) | Self::Over(message) => message,
        }
    }
}

/// Which bounds were met. Each of them has a [`Fault`] beside it unless an earlier one is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Over {
    /// [`Bounds::bytes_max`].
    pub bytes: bool,
    /// [`Bounds::arguments_max`].
    pub arguments: bool,
    /// [`Bounds::name_max`] or [`Bounds::value_max`].
    pub lengths: bool,
    /// [`Bounds::kept_max`].
    pub kept: bool,
    /// [`Bounds::part_header_max`].
    pub part_header: bool,
    /// [`Bounds::depth_max`].
    pub depth: bool,
}

/// What a body said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// ARGS, in order, duplicates kept. Those of a JSON document are no ARGS_POST in ModSecurity.
    pub arguments: Vec<Pair>,
    /// FILES, FILES_NAMES, FILES_SIZES.
    pub files: Vec<Upload>,
    /// MULTIPART_PART_HEADERS: the name of the part, and `Header: value`.
    pub part_headers: Vec<Pair>,
    /// MULTIPART_NAME.
    pub multipart_names: Vec<Vec<u8>>,
    /// MULTIPART_FILENAME.
    pub multipart_filenames: Vec<Vec<u8>>,
    /// `XML:/*`: the texts of the root element, as one. Empty when there is no root.
    pub xml_texts: Vec<Vec<u8>>,
    /// `XML://@*`: the values of attributes.
    pub xml_attributes: Vec<Vec<u8>>,
    /// What is unusual.
    pub flags: Flags,
    /// The first thing that is wrong.
    pub fault: Option<Fault>,
    /// Which bounds were met.
    pub over: Over,
}

impl Read {
    /// FILES_COMBINED_SIZE.
    #[must_use]
    pub fn files_size(&self) -> u64 {
        self.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size))
    }

    /// MULTIPART_STRICT_ERROR: any of what a strict reader refuses.
    #[must_use]
    pub fn strict_error(&self) -> bool {
        let flags = &self.flags;
        matches!(self.fault, Some(Fault::Malformed(_)))
            || flags.boundary_quoted
            || flags.boundary_whitespace
            || flags.data_before
            || flags.data_after
            || flags.header_folding
            || flags.invalid_header_folding
            || flags.lf_line
            || flags.missing_semicolon
            || flags.invalid_quoting
            || flags.invalid_part
            || flags.file_limit_exceeded
    }

    /// MULTIPART_CRLF_LF_LINES: lines of the frame end in both ways.
    #[must_use]
    pub fn mixed_lines(&self) -> bool {
        self.flags.crlf_line && self.flags.lf_line
    }
}

/// How elements of an array are named in the arguments of a JSON body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ArrayNames {
    /// `json.items.array_0`, as libmodsecurity names them.
    #[default]
    Prefixed,
    /// `json.items.0`.
    Plain,
}

/// What is read at most, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a body without the contents of its files.
    pub bytes_max: u64,
    /// Arguments of a body, and of a query.
    pub arguments_max: usize,
    /// Bytes of one name.
    pub name_max: usize,
    /// Bytes of one value.
    pub value_max: usize,
    /// Memory of everything that is kept: a document whose every name repeats a long path is much more
    /// than its bytes.
    pub kept_max: usize,
    /// Bytes of the header of one part.
    pub part_header_max: usize,
    /// Files that are no reason for MULTIPART_FILE_LIMIT_EXCEEDED.
    pub files_max: usize,
    /// Levels of JSON and XML.
    pub depth_max: usize,
    /// What separates arguments.
    pub separator: u8,
    /// How elements of arrays are named.
    pub array_names: ArrayNames,
}

impl Bounds {
    /// Those that a rule set asks for. No name and no value of a body that is within its bound is cut.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let bytes = usize::try_from(settings.request_body_no_files_limit).unwrap_or(usize::MAX);
        Self {
            bytes_max: settings.request_body_no_files_limit,
            arguments_max: settings.arguments_max,
            name_max: bytes,
            value_max: bytes,
            kept_max: bytes.saturating_mul(2).saturating_add(KEPT_FLOOR),
            part_header_max: PART_HEADER_MAX,
            files_max: settings.files_max,
            depth_max: settings.json_depth_max,
            separator: settings.argument_separator,
            array_names: ArrayNames::default(),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::of(&Settings::default())
    }
}

/// Beside the bytes themselves: an attribute or an argument of no bytes takes some memory too.
const KEPT_FLOOR: usize = 1 << 20;

/// What servers allow for the header of a whole request.
const PART_HEADER_MAX: usize = 16 * 1024;

/// A body while it is read.
#[derive(Debug)]
pub struct Reader(Kind);

#[derive(Debug)]
enum Kind {
    UrlEncoded(Box<urlencoded::UrlEncoded>),
    Multipart(Box<multipart::Multipart>),
    Json(Box<json::Json>),
    Xml(Box<xml::Xml>),
    /// Not read: the caller has its bytes.
    Raw,
}

impl Reader {
    /// A reader of a body that is to be read in this way. The value of `Content-Type` says where a
    /// multipart body is divided; the others do not look at it.
    #[must_use]
    pub fn new(processor: Processor, content_type: &[u8], bounds: &Bounds) -> Self {
        let keeper = Keeper::new(processor, bounds);
        Self(match processor {
            Processor::UrlEncoded => {
                Kind::UrlEncoded(Box::new(urlencoded::UrlEncoded::new(keeper)))
            }
            Processor::Multipart => {
                Kind::Multipart(Box::new(multipart::Multipart::new(content_type, keeper)))
            }
            Processor::Json => Kind::Json(Box::new(json::Json::new(keeper))),
            Processor::Xml => Kind::Xml(Box::new(xml::Xml::new(keeper))),
            Processor::Raw => Kind::Raw,
        })
    }

    /// The next piece. Where pieces are cut makes no difference to what is read.
    pub fn feed(&mut self, data: &[u8]) {
        match &mut self.0 {
            Kind::UrlEncoded(reader) => reader.feed(data),
            Kind::Multipart(reader) => reader.feed(data),
            Kind::Json(reader) => reader.feed(data),
            Kind::Xml(reader) => reader.feed(data),
            Kind::Raw => {}
        }
    }

    /// What was read, now that the body has ended.
    #[must_use]
    pub fn finish(self) -> Read {
        self.end(End::Whole)
    }

    /// What was read of a body whose rest is not looked at: that its end is missing is no fault.
    #[must_use]
    pub fn cut(self) -> Read {
        self.end(End::Cut)
    }

    fn end(self, end: End) -> Read {
        match self.0 {
            Kind::UrlEncoded(reader) => reader.finish(),
            Kind::Multipart(reader) => reader.finish(end),
            Kind::Json(reader) => reader.finish(end),
            Kind::Xml(reader) => reader.finish(end),
            Kind::Raw => Read::default(),
        }
    }
}

/// Whether all of a body was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was.
    Whole,
    /// There is more, which nobody looks at.
    Cut,
}
