//! Lines of a head: finding them, and reading field lines.
//!
//! A head is read in two passes. The first looks only for line ends and limits, so a peer that
//! sends a head byte by byte costs a scan per byte and no parse, and whatever the first pass refuses
//! it refuses at the same byte however the stream was cut. It marks each line it finds. The second pass
//! runs once the head is whole, and splits each line.

use memchr::{memchr, memchr_iter};

use doorman_http::scan::find;
use doorman_http::{FieldId, FieldLine, Fields};

use crate::Refusal;

/// Whether the line that is looked at has its end yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The bytes are a line up to, but not with, its line feed.
    Yes,
    /// The bytes are all there is yet of a line.
    No,
}

/// What the first pass saw of a whole head.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// End of the start line, without its line end.
    pub(crate) start_line: usize,
    /// Where the field lines begin.
    fields: usize,
    /// End of the head, its empty line included.
    pub(crate) end: usize,
}

/// Bounds of one head or trailer section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) fields: usize,
}

/// Looks for the end of a head, and marks its field lines in `fields`. `start_line` judges the first
/// line, once its end is there and, as far as it can, before.
pub(crate) fn scan(
    input: &[u8],
    bounds: Bounds,
    fields: &mut Fields,
    mut start_line: impl FnMut(&[u8], Ended) -> Result<(), Refusal>,
) -> Result<Option<Layout>, Refusal> {
    fields.clear();
    let Some(feed) = memchr(b'\n', input) else {
        start_line(input, Ended::No)?;
        return if input.len() > bounds.bytes { Err(Refusal::HEAD_BYTES) } else { Ok(None) };
    };
    if feed >= bounds.bytes {
        start_line(&input[..feed], Ended::No)?;
        return Err(Refusal::HEAD_BYTES);
    }
    start_line(&input[..feed], Ended::Yes)?;
    if feed == 0 || input[feed - 1] != b'\r' {
        return Err(Refusal::BARE_LF);
    }
    section(input, feed + 1, bounds, fields)
        .map(|layout| layout.map(|layout| Layout { start_line: feed - 1, ..layout }))
}

/// Looks for the end of the field lines that begin at `from`, and marks them in `fields`.
pub(crate) fn section(
    input: &[u8],
    from: usize,
    bounds: Bounds,
    fields: &mut Fields,
) -> Result<Option<Layout>, Refusal> {
    let mut start = from;
    for feed in memchr_iter(b'\n', input.get(from..).unwrap_or_default()) {
        let feed = from + feed;
        if feed >= bounds.bytes {
            return Err(Refusal::HEAD_BYTES);
        }
        // RFC 9112 section 2.2 lets a recipient take a bare LF; readers that do not would then
        // see one line where this one sees two.
        if feed == start || input[feed - 1] != b'\r' {
            return Err(Refusal::BARE_LF);
        }
        if feed - 1 == start {
            return Ok(Some(Layout { start_line: 0, fields: from, end: feed + 1 }));
        }
        if fields.len() == bounds.fields {
            return Err(Refusal::FIELD_COUNT);
        }
        fields.mark(start..feed - 1);
        start = feed + 1;
    }
    if input.len() > bounds.bytes { Err(Refusal::HEAD_BYTES) } else { Ok(None) }
}

/// What a message's fields hold that decides how it is framed and routed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connection: Once,
    pub(crate) content_length: Once,
    pub(crate) expect: bool,
    pub(crate) te: bool,
    pub(crate) transfer_encoding: bool,
    pub(crate) upgrade: bool,
    /// A name with marks other than hyphens, which some readers take for hyphens.
    pub(crate) marks: bool,
}

/// How often a field is there, and where if it is there once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Once {
    #[default]
    Never,
    At(usize),
    Several,
}

impl Once {
    const fn note(&mut self, index: usize) {
        *self = match self {
            Self::Never => Self::At(index),
            Self::At(_) | Self::Several => Self::Several,
        };
    }
}

impl Seen {
    fn note(&mut self, id: FieldId, index: usize) {
        match id {
            FieldId::Connection => self.connection.note(index),
            FieldId::ContentLength => self.content_length.note(index),
            FieldId::Expect => self.expect = true,
            FieldId::Te => self.te = true,
            FieldId::TransferEncoding => self.transfer_encoding = true,
            FieldId::Upgrade => self.upgrade = true,
            _ => {}
        }
    }
}

/// Makes the lines that [`scan`] or [`section`] marked in `head` fields.
pub(crate) fn place_fields(
    fields: &mut Fields,
    head: &[u8],
    layout: &Layout,
) -> Result<Seen, Refusal> {
    fields.load(head);
    let mut seen = Seen::default();
    let lines = fields.len();
    for index in 0..lines {
        let line = fields.marked(index);
        let name = name(head, line.clone())?;
        seen.marks |= name.marks;
        let end = line.end;
        // As nearly every line looks: one space ahead of the value and none behind it.
        let (value, is_line) = match &head[name.end + 1..end] {
            [b' ', b'!'..=0xFF, ..] if head[end - 1] > b' ' => (name.end + 2..end, true),
            _ => (trim(head, name.end + 1..end), false),
        };
        // Only what belongs to this hop decides anything: two or three fields of a dozen.
        if name.id.is_hop_by_hop() || name.id == FieldId::Expect {
            seen.note(name.id, index);
        }
        fields.place(index, &FieldLine { id: name.id, name: line.start..name.end, value, is_line });
    }
    // A line end for each line and the empty one are all the control bytes that a section may hold
    // (RFC 9110 section 5.5).
    let controls = count_controls(&head[layout.fields..]);
    if controls == lines * 2 + 2 { Ok(seen) } else { Err(Refusal::CONTROL) }
}

struct Name {
    id: FieldId,
    end: usize,
    marks: bool,
}

/// The name at the front of a line of `head`. One that is known is valid; only others are looked at
/// byte by byte.
#[inline]
fn name(head: &[u8], line: std::ops::Range<usize>) -> Result<Name, Refusal> {
    let std::ops::Range { start, end } = line;
    let Some(len) = find(b':', &head[start..end]) else {
        return Err(unnamed(&head[start..end]));
    };
    let id = FieldId::at_front(&head[start..], len);
    if id != FieldId::Other {
        return Ok(Name { id, end: start + len, marks: false });
    }
    let name = &head[start..start + len];
    let classes = name.iter().fold(0, |all, &byte| all | CLASS[byte as usize]);
    if name.is_empty() || classes & BAD != 0 {
        return Err(unnamed(&head[start..end]));
    }
    Ok(Name { id, end: start + len, marks: classes & MARK != 0 })
}

/// Why a line has no valid name: what its first wrong byte says.
#[cold]
fn unnamed(line: &[u8]) -> Refusal {
    let wrong = line.iter().position(|&byte| CLASS[byte as usize] & BAD != 0);
    match wrong.map(|at| (at, line[at])) {
        None => Refusal::NO_COLON,
        Some((0, b':')) => Refusal::EMPTY_NAME,
        Some((0, b' ' | b'\t')) => Refusal::FOLD,
        Some((_, b' ' | b'\t')) => Refusal::SPACE_IN_NAME,
        Some(_) => Refusal::NAME,
    }
}

/// Takes optional whitespace off both ends: SP and HTAB only (RFC 9110 section 5.6.3).
#[inline]
fn trim(bytes: &[u8], range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let is_space = |at: usize| matches!(bytes[at], b' ' | b'\t');
    let std::ops::Range { mut start, mut end } = range;
    while start < end && is_space(start) {
        start += 1;
    }
    while end > start && is_space(end - 1) {
        end -= 1;
    }
    start..end
}

/// How many control bytes but HTAB there are. The inner sum fits a byte, so that it is done in
/// vectors.
pub(crate) fn count_controls(head: &[u8]) -> usize {
    let is_control = |byte: u8| ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7F);
    head.chunks(128)
        .map(|part| usize::from(part.iter().fold(0u8, |n, &byte| n + u8::from(is_control(byte)))))
        .sum()
}

/// Marks other than the hyphen.
const MARK: u8 = 1;
/// Whatever is no `tchar`.
const BAD: u8 = 2;

/// RFC 9110 section 5.6.2: what kind of byte of a token each byte is; zero for letters, digits and
/// the hyphen.
const CLASS: [u8; 256] = {
    let mut table = [BAD; 256];
    let mut byte = 0u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            table[byte as usize] = 0;
        }
        byte += 1;
    }
    let marks = b"!#$%&'*+.^_`|~";
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] = MARK;
        i += 1;
    }
    table
};

/// Whether `byte` may stand in a token.
#[inline]
pub(crate) const fn is_tchar(byte: u8) -> bool {
    CLASS[byte as usize] & BAD == 0
}
