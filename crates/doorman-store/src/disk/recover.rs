//! What a restart finds: newest first, so that each variant is told once and what was forgotten
//! never.
//!
//! Segments are read from the newest to the oldest, and each from its end. A mark or a newer object
//! of a variant is thus met before anything that it outranks.

use std::collections::{HashMap, VecDeque};
use std::io;

use rustix::fs::OFlags;

use super::device::Device;
use super::directory::{Directory, Name};
use super::format::{Forget, Variant};
use super::health::{Counts, Health, add};
use super::segment::{self, Entry, Found, Row, Table};
use super::writer::{Active, Sealed};
use super::{Layout, Location, Recovered};

/// Where a store is and how it is cut.
pub(super) struct Place<'a> {
    pub(super) directory: &'a Directory,
    pub(super) device: &'a dyn Device,
    pub(super) layout: Layout,
    pub(super) limit: u64,
}

/// What the writer goes on from.
#[derive(Default)]
pub(super) struct Start {
    /// The last number that was given.
    pub(super) sequence: u64,
    /// The number of the next file.
    pub(super) next_file: u64,
    /// From the oldest to the newest.
    pub(super) segments: VecDeque<Sealed>,
    /// The newest segment, if there is room in it.
    pub(super) active: Option<Active>,
}

/// What is known of a variant so far.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Up to this number it was told or forgotten.
    done: u64,
    /// Up to this number it is stale.
    stale: u64,
}

type Variants = HashMap<Variant, Known>;

pub(super) fn recover(
    place: &Place<'_>,
    health: &Health,
    counts: &Counts,
    recovered: &mut dyn FnMut(Recovered<'_>),
) -> io::Result<Start> {
    let mut start = Start::default();
    let mut variants = Variants::new();
    let mut used = 0;
    let found = place.directory.segments()?;
    start.next_file = found.last().map_or(1, |id| id.saturating_add(1));
    let mut trusted = found.len();
    while let Some(at) = trusted.checked_sub(1).filter(|_| used < place.limit) {
        let id = found[at];
        let is_newest = at + 1 == found.len();
        let read = place.directory.file(Name::Segment(id), OFlags::RDWR).and_then(|file| {
            segment::find(&file, id, place.directory.secret).map(|segment| (file, segment))
        });
        let (file, segment) = match read {
            Ok(read) => read,
            Err(error) => {
                add(&counts.errors, 1);
                health.say(format!("{}: {error}", shown(place, id)));
                break;
            }
        };
        if segment.torn && !is_newest {
            add(&counts.damaged, 1);
            health.say_damaged(id, &shown(place, id));
            break;
        }
        trusted = at;
        let objects = tell(&segment.table, id, &mut variants, &mut start.sequence, recovered);
        add(&counts.objects, objects);
        let active = Active { id, file: file.into(), end: segment.end, table: Table::default() };
        used += keep(place, active, segment, is_newest, &mut start);
    }
    // What is left is more than the store may hold now, or stands before a segment whose marks are
    // not known: what they forgot must not come back. The oldest goes first, for the same reason.
    for &id in &found[..trusted] {
        place.device.remove(place.directory, Name::Segment(id))?;
    }
    add(&counts.bytes, used);
    Ok(start)
}

/// Tells the objects of a segment that are worth it; how many.
fn tell(
    table: &Table,
    file: u64,
    variants: &mut Variants,
    sequence: &mut u64,
    recovered: &mut dyn FnMut(Recovered<'_>),
) -> u64 {
    let entries: Vec<Entry<'_>> = table.entries().collect();
    let mut objects = 0;
    for entry in entries.into_iter().rev() {
        match entry {
            Entry::Forgotten(mark) => {
                *sequence = mark.sequence.max(*sequence);
                let known = variants.entry(mark.variant).or_default();
                match mark.how {
                    Forget::Hard => known.done = known.done.max(mark.sequence),
                    Forget::Stale => known.stale = known.stale.max(mark.sequence),
                }
            }
            Entry::Object(row) => {
                *sequence = row.sequence.max(*sequence);
                let known = variants.entry(row.variant).or_default();
                if row.sequence > known.done {
                    known.done = row.sequence;
                    let location = Location { file, offset: row.offset, length: row.length };
                    recovered(told(&row, location, row.stale || row.sequence <= known.stale));
                    objects += 1;
                }
            }
        }
    }
    objects
}

fn told<'a>(row: &Row<'a>, location: Location, stale: bool) -> Recovered<'a> {
    Recovered {
        hash: row.hash,
        variant: row.variant,
        location,
        sequence: row.sequence,
        body: row.body,
        stale,
        meta: row.facts.meta,
        key: row.facts.key,
        selector: row.facts.selector,
        vary: row.facts.vary,
        tags: row.facts.tags,
    }
}

/// Goes on with the newest segment if there is room in it; writes the table of any other that has
/// none. Returns the bytes that are used by it.
fn keep(
    place: &Place<'_>,
    mut segment: Active,
    found: Found,
    is_newest: bool,
    start: &mut Start,
) -> u64 {
    segment.table = found.table;
    let room = place.layout.segment.saturating_sub(found.end + segment.table.size());
    if is_newest && room > place.layout.segment / 4 {
        // Whatever stood behind the last record must not stand there when new ones are shorter.
        if found.size == found.end || place.device.cut(&segment.file, found.end).is_ok() {
            let used = segment.end;
            start.active = Some(segment);
            return used;
        }
    }
    let mut size = found.size;
    if !found.sealed {
        size = segment.seal(place).unwrap_or(found.size);
    }
    start.segments.push_front(Sealed { id: segment.id, size });
    size
}

impl Active {
    /// Cuts off what is behind the last record and writes the table there; the size of the file.
    fn seal(&self, place: &Place<'_>) -> io::Result<u64> {
        place.device.cut(&self.file, self.end)?;
        let secret = place.directory.secret;
        self.table.write(place.device, &self.file, self.id, secret, self.end)?;
        Ok(self.end + self.table.size())
    }
}

fn shown(place: &Place<'_>, id: u64) -> String {
    place.directory.path().join(Name::Segment(id).path()).display().to_string()
}
