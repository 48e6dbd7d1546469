//! Lines of a head: finding them, and reading field lines.
//!
//! A head is read in two passes. The first looks only for line ends and limits, so a peer that
//! sends a head byte by byte costs a memory scan per byte and no parse, and whatever the first
//! pass refuses it refuses at the same byte however the stream was cut. The second pass runs once
//! the head is whole, and splits each line.

use memchr::memchr_iter;

use doorman_http::{FieldId, Fields};

use crate::Refusal;

/// Whether the line that is looked at has its end yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The bytes are a line up to, but not with, its line feed.
    Yes,
    /// The bytes are all there is yet of a line.
    No,
}

/// Where the parts of a whole head lie.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// End of the start line, without its line end.
    pub(crate) start_line: usize,
    /// End of the head, its empty line included.
    pub(crate) end: usize,
}

/// Bounds of one head or trailer section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) fields: usize,
}

/// Looks for the end of a head. `start_line` judges the first line, once its end is there and, as
/// far as it can, before.
pub(crate) fn scan(
    input: &[u8],
    bounds: Bounds,
    mut start_line: impl FnMut(&[u8], Ended) -> Result<(), Refusal>,
) -> Result<Option<Layout>, Refusal> {
    let mut layout = Layout { start_line: 0, end: 0 };
    let mut line_start = 0;
    let mut lines = 0usize;
    for feed in memchr_iter(b'\n', input) {
        if feed >= bounds.bytes {
            if lines == 0 {
                start_line(&input[..feed], Ended::No)?;
            }
            return Err(Refusal::HEAD_BYTES);
        }
        if lines == 0 {
            start_line(&input[..feed], Ended::Yes)?;
        }
        // RFC 9112 section 2.2 lets a recipient take a bare LF; readers that do not would then
        // see one line where this one sees two.
        if feed == line_start || input[feed - 1] != b'\r' {
            return Err(Refusal::BARE_LF);
        }
        if lines == 0 {
            layout.start_line = feed - 1;
        } else if feed - 1 == line_start {
            layout.end = feed + 1;
            return Ok(Some(layout));
        } else if lines > bounds.fields {
            return Err(Refusal::FIELD_COUNT);
        }
        lines += 1;
        line_start = feed + 1;
    }
    if lines == 0 {
        start_line(input, Ended::No)?;
    }
    if input.len() > bounds.bytes { Err(Refusal::HEAD_BYTES) } else { Ok(None) }
}

/// Fields that decide how a message is framed and routed: how often each was there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connection: bool,
    pub(crate) content_length: bool,
    pub(crate) expect: bool,
    pub(crate) te: bool,
    pub(crate) transfer_encoding: bool,
    pub(crate) upgrade: bool,
    /// A name with marks other than hyphens, which some readers take for hyphens.
    pub(crate) marks: bool,
}

/// Reads the field lines of `section`, from `from` to the empty line at its end, and places them
/// in `fields`, which has been loaded with `section`.
pub(crate) fn place_fields(
    fields: &mut Fields,
    section: &[u8],
    from: usize,
) -> Result<Seen, Refusal> {
    let mut seen = Seen::default();
    let mut start = from;
    // The empty line is CR LF: the last line end before it is where the last field ends.
    let end = section.len().saturating_sub(2);
    let mut controls = 2;
    for feed in memchr_iter(b'\n', section.get(from..end).unwrap_or_default()) {
        let line_end = from + feed - 1;
        controls += 2;
        let line = &section[start..line_end];
        let (name, marks) = name(line)?;
        seen.marks |= marks;
        let value = trim(section, start + name + 1..line_end);
        match fields.place(start..start + name, value) {
            FieldId::Connection => seen.connection = true,
            FieldId::ContentLength => seen.content_length = true,
            FieldId::Expect => seen.expect = true,
            FieldId::Te => seen.te = true,
            FieldId::TransferEncoding => seen.transfer_encoding = true,
            FieldId::Upgrade => seen.upgrade = true,
            _ => {}
        }
        start = line_end + 2;
    }
    // Its line ends are all the control bytes that a section may hold (RFC 9110 section 5.5).
    if count_controls(&section[from..]) == controls { Ok(seen) } else { Err(Refusal::CONTROL) }
}

/// Length of the line's name, and whether it holds marks other than hyphens.
fn name(line: &[u8]) -> Result<(usize, bool), Refusal> {
    let mut classes = 0;
    for (at, &byte) in line.iter().enumerate() {
        let class = CLASS[byte as usize];
        if class != 0 {
            classes |= class;
            continue;
        }
        return match byte {
            b':' if at > 0 => Ok((at, classes & MARK != 0)),
            b':' => Err(Refusal::EMPTY_NAME),
            b' ' | b'\t' if at == 0 => Err(Refusal::FOLD),
            b' ' | b'\t' => Err(Refusal::SPACE_IN_NAME),
            _ => Err(Refusal::NAME),
        };
    }
    Err(Refusal::NO_COLON)
}

/// Takes optional whitespace off both ends: SP and HTAB only (RFC 9110 section 5.6.3).
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

const LETTER: u8 = 1;
const MARK: u8 = 2;

/// RFC 9110 section 5.6.2: zero for bytes that are no `tchar`.
pub(crate) const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            table[byte as usize] = LETTER;
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
