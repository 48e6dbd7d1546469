//! `multipart/form-data`, line by line.
//!
//! A boundary can only stand at the start of a line, so the body is read in lines, which are cut at a
//! fixed length when they are longer: what is decided depends on the bytes alone, not on the pieces
//! that they came in.
//!
//! ```text
//! Before --boundary--> Header --empty line--> Content --boundary--> Header ...
//!                                                     --final boundary--> After
//! ```
//!
//! Nothing ends the reading early. A part whose header is wrong is read as an argument, since what an
//! origin takes for content is unknown; only a body without a known boundary cannot be read at all.
//!
//! Bodies of other multipart types are read in the same way, since some applications take their parts for
//! those of a form. One without a part that says it is such says nothing, and has no fault.

mod boundary;
mod disposition;

use memchr::memmem;

use super::cookies::is_space;
use super::keeper::Keeper;
use super::{End, Read, Upload};
use disposition::Disposition;

pub use boundary::is_form;

/// Bytes of a line that are looked at together, and of a line of a header.
const LINE_MAX: usize = 4096;

/// Fields of one part: each is compared with those before it.
const FIELDS_MAX: usize = 64;

/// Where in the body the next line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The boundary is not known.
    Nowhere,
    Before,
    Header,
    Content,
    After,
}

/// What a boundary says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    /// A part begins.
    Part,
    /// The body is complete.
    Nothing,
}

/// How a line ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    /// It goes on, or there is none.
    #[default]
    None,
    Lf,
    CrLf,
}

impl Ending {
    fn of(line: &[u8]) -> Self {
        match line {
            [.., b'\r', b'\n'] => Self::CrLf,
            [.., b'\n'] => Self::Lf,
            _ => Self::None,
        }
    }

    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// A field of a part's header.
#[derive(Debug)]
struct Field {
    /// Where the name ends in the line.
    colon: usize,
    /// The line as it came, without its ending; folded lines are appended.
    line: Vec<u8>,
}

impl Field {
    fn name(&self) -> &[u8] {
        &self.line[..self.colon]
    }

    fn value(&self) -> &[u8] {
        let value = self.line.get(self.colon + 1..).unwrap_or_default();
        let start = value.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
        &value[start.unwrap_or(value.len())..]
    }
}

/// A part while it is read.
#[derive(Debug, Default)]
struct Part {
    fields: Vec<Field>,
    /// Bytes of the header.
    header: usize,
    disposition: Disposition,
    /// Whether it is a file beyond doubt.
    file: bool,
    value: Vec<u8>,
    size: u64,
    /// Whether a line of content was seen.
    lined: bool,
    /// The end of the last line, which belongs to the boundary if one follows.
    ending: Ending,
}

/// A body of `multipart/form-data` while it is read.
#[derive(Debug)]
pub(super) struct Multipart {
    keeper: Keeper,
    place: Place,
    /// The boundary behind its hyphens.
    delimiter: Vec<u8>,
    finder: memmem::Finder<'static>,
    /// What has come of a line.
    line: Vec<u8>,
    /// Whether `line` stands at the start of a line.
    at_start: bool,
    /// How the line before ended.
    ending: Ending,
    /// The end of what was searched of a long line.
    searched: Vec<u8>,
    /// Whether something looked like a boundary and was none.
    unmatched: bool,
    /// Whether a byte was seen.
    started: bool,
    /// Whether the type is that of a form, or a part says that it is one's.
    is_form: bool,
    part: Part,
}

impl Multipart {
    pub(super) fn new(content_type: &[u8], mut keeper: Keeper) -> Self {
        let mut delimiter = b"--".to_vec();
        let mut is_form = is_form(content_type);
        let place = match boundary::boundary(content_type, &mut keeper.read.flags) {
            Ok(boundary) => {
                delimiter.extend(boundary);
                Place::Before
            }
            Err(fault) => {
                keeper.malformed(format_args!("{fault}"));
                // Whoever reads parts of any type as those of a form may find a boundary there.
                is_form |= boundary::names_one(content_type);
                Place::Nowhere
            }
        };
        Self {
            keeper,
            place,
            finder: memmem::Finder::new(&delimiter).into_owned(),
            delimiter,
            line: Vec::new(),
            at_start: true,
            ending: Ending::None,
            searched: Vec::new(),
            unmatched: false,
            started: false,
            is_form,
            part: Part::default(),
        }
    }

    pub(super) fn feed(&mut self, mut data: &[u8]) {
        self.started |= !data.is_empty();
        while !data.is_empty() {
            match self.place {
                Place::Nowhere => return,
                Place::After => {
                    self.keeper.read.flags.data_after = true;
                    return;
                }
                Place::Before | Place::Header | Place::Content => {}
            }
            let most = data.len().min(LINE_MAX - self.line.len());
            let newline = memchr::memchr(b'\n', &data[..most]);
            let (piece, rest) = data.split_at(newline.map_or(most, |at| at + 1));
            data = rest;
            if newline.is_none() && self.line.len() + piece.len() < LINE_MAX {
                self.line.extend_from_slice(piece);
            } else if self.line.is_empty() {
                self.piece(piece);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(piece);
                self.piece(&line);
                if self.line.is_empty() {
                    line.clear();
                    self.line = line;
                }
            }
        }
    }

    pub(super) fn finish(mut self, end: End) -> Read {
        let line = std::mem::take(&mut self.line);
        let last = line.strip_prefix(&self.delimiter[..]) == Some(b"--");
        if self.at_start && last && matches!(self.place, Place::Header | Place::Content) {
            self.keeper.read.flags.lf_line |= self.ending == Ending::Lf;
            self.boundary(Follows::Nothing);
        }
        match self.place {
            Place::Content => self.content(&line),
            Place::Header if !line.is_empty() => self.keep_field(Field { colon: line.len(), line }),
            _ => {}
        }
        match (self.place, end) {
            (Place::Nowhere | Place::After, _) => {}
            (Place::Before, End::Whole) if self.started => {
                self.keeper.malformed(format_args!("there is no boundary in the body"));
            }
            (Place::Header | Place::Content, End::Whole) => {
                self.keeper.malformed(format_args!("the final boundary is missing"));
                if self.place == Place::Header {
                    self.end_header();
                }
                self.end_part();
            }
            (Place::Header | Place::Content, End::Cut) => self.end_part(),
            (Place::Before, _) => {}
        }
        self.keeper.read.flags.unmatched_boundary = match (self.unmatched, self.place, end) {
            (false, ..) => 0,
            (true, Place::After, _) | (true, _, End::Cut) => 2,
            (true, _, End::Whole) => 1,
        };
        if self.is_form { self.keeper.finish() } else { Read::default() }
    }

    /// A line, or as much of it as is looked at together.
    fn piece(&mut self, piece: &[u8]) {
        // A carriage return is kept for the newline that may follow it.
        let piece = match piece {
            [before @ .., b'\r'] => {
                self.line.push(b'\r');
                before
            }
            _ => piece,
        };
        let ending = Ending::of(piece);
        let at_start = std::mem::replace(&mut self.at_start, ending != Ending::None);
        let before = std::mem::replace(&mut self.ending, ending);
        if at_start && piece.starts_with(b"--") && piece.len() > 3 {
            if self.boundary_line(piece, before) {
                return;
            }
        } else {
            self.search(piece, at_start);
        }
        match self.place {
            Place::Header if at_start => self.header_line(piece),
            Place::Content => self.content(piece),
            Place::Before => self.keeper.read.flags.data_before = true,
            Place::Nowhere | Place::Header | Place::After => {}
        }
    }

    /// A line that starts with two hyphens; `false` if it is none of ours.
    fn boundary_line(&mut self, line: &[u8], before: Ending) -> bool {
        let Some(rest) = line.strip_prefix(&self.delimiter[..]) else {
            self.unmatched_line(line);
            return false;
        };
        self.keeper.read.flags.lf_line |= before == Ending::Lf;
        let (rest, follows) = match rest.strip_prefix(b"--") {
            Some(rest) => (rest, Follows::Nothing),
            None => (rest, Follows::Part),
        };
        match rest {
            b"\r\n" => self.keeper.read.flags.crlf_line = true,
            b"\n" => self.keeper.read.flags.lf_line = true,
            _ => {
                self.keeper.malformed(format_args!("something stands behind a boundary"));
                // Blanks are padding to many readers; anything else makes it no boundary to most.
                if Ending::of(rest) == Ending::None || !rest.iter().copied().all(is_space) {
                    return false;
                }
            }
        }
        self.boundary(follows);
        true
    }

    fn boundary(&mut self, follows: Follows) {
        if self.place == Place::Header {
            self.keeper.malformed(format_args!("a part that ends within its header"));
            self.end_header();
        }
        if self.place != Place::Before {
            self.keeper.read.flags.invalid_part |= !self.part.lined;
            self.end_part();
        }
        self.place = match follows {
            Follows::Part => Place::Header,
            Follows::Nothing => Place::After,
        };
    }

    /// A line like a boundary that is none.
    fn unmatched_line(&mut self, line: &[u8]) {
        self.unmatched = true;
        let boundary = &self.delimiter[2..];
        let rest = &line[2..];
        if self.keeper.read.flags.boundary_quoted
            && rest.strip_prefix(b"\"").is_some_and(|rest| rest.starts_with(boundary))
        {
            self.keeper.malformed(format_args!("a boundary in quotes"));
        }
        let start = rest.iter().position(|&byte| !is_space(byte)).unwrap_or(rest.len());
        if start > 0 && rest[start..].starts_with(boundary) {
            self.keeper.malformed(format_args!("a boundary behind blanks"));
        }
    }

    /// Looks for the boundary within a line, where a careless reader might find it.
    fn search(&mut self, piece: &[u8], at_start: bool) {
        if self.unmatched {
            return;
        }
        self.unmatched = self.finder.find(piece).is_some();
        let overlap = self.delimiter.len() - 1;
        if !at_start {
            self.searched.extend_from_slice(&piece[..piece.len().min(overlap)]);
            self.unmatched |= self.finder.find(&self.searched).is_some();
        }
        // All pieces of a line but its last are longer than the overlap.
        self.searched.clear();
        if Ending::of(piece) == Ending::None {
            self.searched.extend_from_slice(&piece[piece.len().saturating_sub(overlap)..]);
        }
    }

    /// A line of a header, or the empty line behind it.
    fn header_line(&mut self, line: &[u8]) {
        self.count(line.len());
        let ending = Ending::of(line);
        match ending {
            Ending::CrLf => self.keeper.read.flags.crlf_line = true,
            Ending::Lf => self.keeper.read.flags.lf_line = true,
            Ending::None => {
                self.keeper.malformed(format_args!("a header line over {LINE_MAX} bytes"));
            }
        }
        let text = &line[..line.len() - ending.bytes().len()];
        self.is_form = self.is_form || says_form(text);
        if text.contains(&0) {
            self.keeper.malformed(format_args!("a header with a NUL"));
        }
        match text.first() {
            None if ending != Ending::None => self.end_header(),
            Some(&first) if is_space(first) => self.folded(text),
            _ => self.field(text),
        }
    }

    fn folded(&mut self, text: &[u8]) {
        let flags = &mut self.keeper.read.flags;
        flags.header_folding = true;
        let start = text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len());
        let blanks = &text[..start];
        flags.invalid_header_folding |= blanks.iter().any(|byte| !matches!(byte, b' ' | b'\t'));
        let Some(field) = self.part.fields.last_mut() else {
            return self.keeper.malformed(format_args!("a folded line that continues nothing"));
        };
        self.part.header += text.len() + 1;
        if self.part.header > self.keeper.bounds.part_header_max {
            return self.keeper.over_part_header();
        }
        field.line.push(b' ');
        field.line.extend_from_slice(&text[start..]);
    }

    fn field(&mut self, text: &[u8]) {
        let colon = memchr::memchr(b':', text).unwrap_or(text.len());
        if colon == text.len() {
            self.keeper.malformed(format_args!("a header line without a colon"));
        } else if colon == 0 {
            self.keeper.malformed(format_args!("a header line without a name"));
        } else if self.field_named(&text[..colon]).is_some() {
            self.keeper.malformed(format_args!("a header that names a field twice"));
        }
        self.keep_field(Field { colon, line: text.to_vec() });
    }

    fn keep_field(&mut self, field: Field) {
        self.part.header += field.line.len();
        let fits = self.part.header <= self.keeper.bounds.part_header_max;
        if fits && self.part.fields.len() < FIELDS_MAX {
            self.part.fields.push(field);
        } else {
            self.keeper.over_part_header();
        }
    }

    fn field_named(&self, name: &[u8]) -> Option<&Field> {
        self.part.fields.iter().find(|field| field.name().eq_ignore_ascii_case(name))
    }

    fn end_header(&mut self) {
        self.place = Place::Content;
        let value = self.field_named(b"Content-Disposition").map(|field| field.value().to_vec());
        let Some(value) = value else {
            return self.keeper.malformed(format_args!("a part without Content-Disposition"));
        };
        let disposition = &mut self.part.disposition;
        match disposition.read(&value, &mut self.keeper.read.flags) {
            Ok(()) => self.part.file = disposition.filenames.iter().any(|name| !name.is_empty()),
            Err(fault) => self.keeper.malformed(format_args!("{fault}")),
        }
        if !self.part.file && self.is_coded() {
            self.keeper.malformed(format_args!("a part that is coded"));
        }
    }

    /// Whether the content of a part is something else than what it says. Forms have no such codings
    /// (RFC 7578, section 4.7), but some applications undo them.
    fn is_coded(&self) -> bool {
        const PLAIN: [&[u8]; 3] = [b"7bit", b"8bit", b"binary"];
        let coding = self.field_named(b"Content-Transfer-Encoding").map(|field| field.value());
        coding.is_some_and(|coding| {
            let coding = coding.trim_ascii();
            !coding.is_empty() && !PLAIN.iter().any(|plain| coding.eq_ignore_ascii_case(plain))
        })
    }

    /// A line of content, or a piece of one.
    fn content(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        self.part.lined = true;
        let ending = Ending::of(piece);
        let before = std::mem::replace(&mut self.part.ending, ending).bytes();
        let text = &piece[..piece.len() - ending.bytes().len()];
        if self.part.file {
            self.part.size += (before.len() + text.len()) as u64;
            return;
        }
        for bytes in [before, text] {
            let within = self.count(bytes.len());
            self.part.value.extend_from_slice(&bytes[..within]);
        }
    }

    /// Counts bytes that are no file's, and says how many of them may be kept.
    fn count(&mut self, bytes: usize) -> usize {
        let within = self.keeper.count(bytes);
        if within < bytes {
            self.keeper.over_bytes();
        }
        within
    }

    fn end_part(&mut self) {
        let part = std::mem::take(&mut self.part);
        let Disposition { names, filenames, extended } = part.disposition;
        let name = names.first().cloned().unwrap_or_default();
        let filename = filenames.first().cloned().unwrap_or_default();
        for field in part.fields {
            self.keeper.part_header(&name, field.line);
        }
        self.keeper.read.flags.invalid_part |= name.is_empty();
        names.into_iter().for_each(|name| self.keeper.multipart_name(name));
        filenames.into_iter().for_each(|name| self.keeper.multipart_filename(name));
        if part.file {
            self.keeper.file(Upload { name: name.clone(), filename, size: part.size });
        } else {
            self.keeper.argument(name.clone(), part.value);
        }
        // Who knows the extended form takes it for the name of the file, so it is looked at as one.
        if let Some(filename) = extended {
            self.keeper.multipart_filename(filename.clone());
            self.keeper.file(Upload { name, filename, size: 0 });
        }
    }
}

/// Whether a line of a header may say to anybody that its part is one of a form.
fn says_form(line: &[u8]) -> bool {
    const FORM: &[u8] = b"form-data";
    line.windows(FORM.len()).any(|word| word.eq_ignore_ascii_case(FORM))
}
