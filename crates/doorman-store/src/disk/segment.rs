//! A segment: records one behind the other, and a table of them once it is full.
//!
//! The table lets a million objects come back without reading their records. It is made while
//! records are appended, and written behind the last one with a trailer of fixed size at the very
//! end of the file. A segment without a good trailer is read record by record instead.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::device::{Device, write_all};
use super::format::{self, Cut, Facts, HEADER, Header, Kind, MARK, Mark, Secret, VERSION, Variant};

/// Bytes of a trailer.
pub(super) const TRAILER: usize = 48;
/// Bytes that every table begins with.
const TITLE: usize = 12;
const MAGIC: u32 = u32::from_le_bytes(*b"DMft");
const OBJECT: u8 = 1;
const FORGOTTEN: u8 = 2;
/// What is read at once while records are looked for: enough for the heads of most.
const SCAN: usize = 8 * 1024;
/// What is read at once where records are damaged.
const SEARCH: usize = 64 * 1024;

/// What a segment holds, in the form in which it is written behind its records.
#[derive(Default)]
pub(super) struct Table {
    bytes: Vec<u8>,
}

/// An object of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) offset: u32,
    pub(super) length: u32,
    pub(super) body: u64,
    pub(super) sequence: u64,
    pub(super) hash: u128,
    pub(super) variant: Variant,
    pub(super) stale: bool,
    pub(super) facts: Facts<'a>,
}

/// An entry of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Object(Row<'a>),
    Forgotten(Mark),
}

impl Table {
    pub(super) fn object(&mut self, header: &Header, length: u32, facts: &[u8]) {
        let into = &mut self.bytes;
        into.push(OBJECT);
        into.extend(header.offset.to_le_bytes());
        into.extend(length.to_le_bytes());
        into.extend(header.body.to_le_bytes());
        into.extend(header.sequence.to_le_bytes());
        into.extend(header.hash.to_le_bytes());
        into.extend(header.variant.0.to_le_bytes());
        into.push(u8::from(header.stale));
        into.extend_from_slice(facts);
    }

    pub(super) fn forgotten(&mut self, mark: &Mark) {
        self.bytes.push(FORGOTTEN);
        mark.encode(&mut self.bytes);
    }

    /// Bytes that the table and its trailer take at the end of a segment.
    pub(super) fn size(&self) -> u64 {
        (TITLE + self.bytes.len() + TRAILER) as u64
    }

    /// Writes the table behind the last record, which ends at `start`.
    pub(super) fn write(
        &self,
        device: &dyn Device,
        file: &File,
        id: u64,
        secret: Secret,
        start: u64,
    ) -> io::Result<()> {
        let trailer = self.trailer(secret, id, start);
        write_all(device, file, &[&title(secret), &self.bytes, &trailer], start)
    }

    fn trailer(&self, secret: Secret, file: u64, start: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TRAILER);
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(secret.0[0].to_le_bytes());
        bytes.extend(file.to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend(((TITLE + self.bytes.len()) as u64).to_le_bytes());
        bytes.extend(crc32fast::hash(&self.bytes).to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// Entries in the order in which they were written; it ends at the first that makes no sense.
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries(Cut(&self.bytes))
    }
}

/// See [`Table::entries`].
pub(super) struct Entries<'a>(Cut<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let cut = &mut self.0;
        match cut.u8()? {
            OBJECT => Some(Entry::Object(Row {
                offset: cut.u32()?,
                length: cut.u32()?,
                body: cut.u64()?,
                sequence: cut.u64()?,
                hash: cut.u128()?,
                variant: Variant(cut.u128()?),
                stale: cut.u8()? != 0,
                facts: Facts::decode(cut)?,
            })),
            FORGOTTEN => Mark::decode(cut).map(Entry::Forgotten),
            _ => None,
        }
    }
}

/// A segment as it was found.
pub(super) struct Found {
    pub(super) table: Table,
    /// Where the last whole record ends.
    pub(super) end: u64,
    /// Bytes of the file.
    pub(super) size: u64,
    /// Its table is in place.
    pub(super) sealed: bool,
    /// Marks may have been lost: nothing older is to be believed.
    pub(super) torn: bool,
    /// It ends where a record ends, or a table begins: nothing was lost at its end.
    pub(super) whole: bool,
}

/// What a segment holds: by its table, else by its records.
pub(super) fn find(file: &File, id: u64, secret: Secret) -> io::Result<Found> {
    let size = file.metadata()?.len();
    if let Some((table, end)) = read_table(file, id, secret, size)? {
        return Ok(Found { table, end, size, sealed: true, torn: false, whole: true });
    }
    Scan { file, id, secret, size, window: Vec::new() }.run()
}

/// What every table begins with.
fn title(secret: Secret) -> [u8; TITLE] {
    let mut title = [0; TITLE];
    title[..4].copy_from_slice(b"DMtb");
    title[4..].copy_from_slice(&secret.0[0].to_le_bytes());
    title
}

/// The table behind the records, and where it starts.
fn read_table(file: &File, id: u64, secret: Secret, size: u64) -> io::Result<Option<(Table, u64)>> {
    let Some(trailer) = read_trailer(file, id, secret, size)? else { return Ok(None) };
    let Ok(length) = usize::try_from(trailer.length) else { return Ok(None) };
    let mut front = [0; TITLE];
    let Some(rest) = length.checked_sub(TITLE) else { return Ok(None) };
    file.read_exact_at(&mut front, trailer.start)?;
    let mut bytes = vec![0; rest];
    file.read_exact_at(&mut bytes, trailer.start + TITLE as u64)?;
    let is_good = front == title(secret) && crc32fast::hash(&bytes) == trailer.crc;
    Ok(is_good.then_some((Table { bytes }, trailer.start)))
}

struct Trailer {
    start: u64,
    /// Of title and table.
    length: u64,
    /// Of the table.
    crc: u32,
}

/// The trailer at the end of the file, if the table it speaks of fits in front of it.
fn read_trailer(file: &File, id: u64, secret: Secret, size: u64) -> io::Result<Option<Trailer>> {
    let Some(at) = size.checked_sub(TRAILER as u64) else { return Ok(None) };
    let mut bytes = [0; TRAILER];
    file.read_exact_at(&mut bytes, at)?;
    let fits = |trailer: &Trailer| trailer.start.checked_add(trailer.length) == Some(at);
    Ok(decode_trailer(&bytes, id, secret).filter(fits))
}

fn decode_trailer(trailer: &[u8], id: u64, secret: Secret) -> Option<Trailer> {
    let (body, crc) = trailer.split_at_checked(TRAILER - 4)?;
    if crc32fast::hash(body).to_le_bytes() != *crc {
        return None;
    }
    let mut cut = Cut(body);
    let is_ours = cut.u32()? == MAGIC && cut.u16()? == VERSION;
    cut.take(2)?;
    let is_ours = is_ours && cut.u64()? == secret.0[0] && cut.u64()? == id;
    let found = Trailer { start: cut.u64()?, length: cut.u64()?, crc: cut.u32()? };
    is_ours.then_some(found)
}

/// Reads a segment record by record. Bodies are not read: their checksums are looked at when they
/// are served.
///
/// A mark speaks of what stands before it. So where something stood that cannot be told any more,
/// which may have been a mark, nothing that stands before it is believed.
struct Scan<'a> {
    file: &'a File,
    id: u64,
    secret: Secret,
    size: u64,
    window: Vec<u8>,
}

/// What stands at a place.
enum Stands {
    Record(Header),
    /// A record of which more is damaged than its body.
    Damaged(Header),
    /// Nothing any more: the file ends, or a record that was being written when the process ended.
    End,
    Unknown,
}

impl Scan<'_> {
    fn run(mut self) -> io::Result<Found> {
        let mut table = Table::default();
        let (mut offset, mut torn) = (0, false);
        loop {
            match self.at(offset)? {
                Stands::Record(header) => {
                    self.list(&header, &mut table);
                    offset += header.record();
                }
                Stands::Damaged(header) => {
                    if header.kind == Kind::Marks {
                        (table, torn) = (Table::default(), true);
                    }
                    offset += header.record();
                }
                Stands::End => break,
                Stands::Unknown => {
                    (table, torn) = (Table::default(), true);
                    match self.next_record(offset + 1)? {
                        Some(next) => offset = next,
                        None => break,
                    }
                }
            }
        }
        let whole = offset == self.size || self.window.starts_with(&title(self.secret));
        Ok(Found { table, end: offset, size: self.size, sealed: false, torn, whole })
    }

    /// Header and head block of the record at `offset`, as far as can be told without its body.
    fn at(&mut self, offset: u64) -> io::Result<Stands> {
        let rest = self.size.saturating_sub(offset);
        let rest_here = usize::try_from(rest).unwrap_or(usize::MAX);
        self.window.resize(SCAN.min(rest_here), 0);
        self.file.read_exact_at(&mut self.window, offset)?;
        let is_end = rest < HEADER as u64 || self.window.starts_with(&title(self.secret));
        if is_end || self.is_empty_from(offset)? {
            return Ok(Stands::End);
        }
        let Some(header) = Header::decode(&self.window, self.secret, self.id, offset) else {
            return Ok(Stands::Unknown);
        };
        if header.record() > rest {
            return Ok(Stands::End);
        }
        let head = header.head as usize;
        let checks = usize::try_from(header.checks()).unwrap_or(usize::MAX);
        let until = HEADER.saturating_add(head).saturating_add(checks);
        if until > self.window.len() {
            // Not above the file's own size, and head blocks are bounded.
            self.window.resize(until.min(rest_here), 0);
            self.file.read_exact_at(&mut self.window, offset)?;
        }
        let front = self.window.get(HEADER..until).unwrap_or_default();
        let is_good = crc32fast::hash(front) == header.head_crc
            && match header.kind {
                Kind::Object => Facts::decode(&mut Cut(front)).is_some(),
                Kind::Marks => head.is_multiple_of(MARK),
            };
        Ok(if is_good { Stands::Record(header) } else { Stands::Damaged(header) })
    }

    /// Adds the record that was looked at last.
    fn list(&self, header: &Header, table: &mut Table) {
        let block = self.window.get(HEADER..HEADER + header.head as usize).unwrap_or_default();
        let mut cut = Cut(block);
        match header.kind {
            Kind::Object => {
                let known = Facts::decode(&mut cut);
                if let (Some(facts), Ok(length)) = (known, u32::try_from(header.record())) {
                    table.object(header, length, &block[..facts.size()]);
                }
            }
            Kind::Marks => {
                while let Some(mark) = Mark::decode(&mut cut) {
                    table.forgotten(&mark);
                }
            }
        }
    }

    /// Whether only zeros follow: writes that a loss of power took back.
    fn is_empty_from(&self, offset: u64) -> io::Result<bool> {
        if self.window.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        let mut at = offset;
        let mut piece = vec![0; SEARCH];
        while at < self.size {
            let length = piece.len().min(usize::try_from(self.size - at).unwrap_or(usize::MAX));
            self.file.read_exact_at(&mut piece[..length], at)?;
            if piece[..length].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += length as u64;
        }
        Ok(true)
    }

    /// Where the next record starts that names its own place.
    fn next_record(&self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        let mut piece = vec![0; SEARCH];
        while at + (HEADER as u64) <= self.size {
            let length = piece.len().min(usize::try_from(self.size - at).unwrap_or(usize::MAX));
            self.file.read_exact_at(&mut piece[..length], at)?;
            let starts = 0..=length.saturating_sub(HEADER);
            let is_record = |start: &usize| {
                let bytes = &piece[*start..length];
                let place = at + *start as u64;
                bytes.starts_with(&format::MAGIC)
                    && Header::decode(bytes, self.secret, self.id, place).is_some()
            };
            if let Some(start) = starts.clone().find(is_record) {
                return Ok(Some(at + start as u64));
            }
            at += starts.count() as u64;
        }
        Ok(None)
    }
}
