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
use super::format::{Cut, Facts, Forget, Header, Variant};
use super::health::{Counts, Health, add};
use super::large::{self, Front, Trailer};
use super::read::in_earnest;
use super::segment::{self, Entry, Found, Row, Table};
use super::stream::{Kept, Shelf};
use super::writer::{Active, Sealed};
use super::{Layout, Location, Recovered};

/// Where a store is and how it is cut.
pub(super) struct Place<'a> {
    pub(super) directory: &'a Directory,
    pub(super) device: &'a dyn Device,
    pub(super) layout: Layout,
}

/// What the writer goes on from.
#[derive(Default)]
pub(super) struct Start {
    /// The last number that was given.
    pub(super) sequence: u64,
    /// The number of the next file.
    pub(super) next_file: u64,
    pub(super) shelf: Shelf,
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
    let larges = find_larges(place, &mut start, &mut variants)?;
    let mut trusted = found.len();
    while let Some(at) = trusted.checked_sub(1) {
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
        // Its end is gone, and with it marks for what stands in it.
        if !is_newest && !segment.whole {
            add(&counts.damaged, 1);
            health.say_damaged(id, &shown(place, id));
            break;
        }
        trusted = at;
        let torn = segment.torn;
        let objects = tell(&segment.table, id, &mut variants, &mut start.sequence, recovered);
        add(&counts.objects, objects);
        let (file, table) = (file.into(), Table::default());
        let active = Active { id, file, end: segment.end, table, live: objects };
        used += keep(place, active, segment, is_newest, &mut start)?;
        if torn {
            add(&counts.damaged, 1);
            health.say_damaged(id, &shown(place, id));
            break;
        }
    }
    // What is left stands before a mark that may be lost: what that forgot must not come back. The
    // oldest goes first, for the same reason.
    for &id in &found[..trusted] {
        place.device.remove(place.directory, Name::Segment(id))?;
    }
    if trusted > 0 {
        // Nor what they forgot of large files.
        variants.values_mut().for_each(|known| known.done = u64::MAX);
    }
    for large in larges {
        add(&counts.objects, large.settle(place, &mut start, &variants, recovered)?);
    }
    add(&counts.bytes, used + start.shelf.bytes());
    Ok(start)
}

/// A large file that was found.
struct LargeFound {
    kept: Kept,
    front: Front,
    body: u64,
}

/// Large files that are complete; others are removed.
fn find_larges(
    place: &Place<'_>,
    start: &mut Start,
    variants: &mut Variants,
) -> io::Result<Vec<LargeFound>> {
    let mut larges = Vec::new();
    for id in place.directory.large_files()? {
        start.next_file = start.next_file.max(id.saturating_add(1));
        match read_large(place, id) {
            Ok(Some(large)) => {
                let sequence = large.kept.sequence;
                start.sequence = start.sequence.max(sequence);
                let known = variants.entry(large.kept.variant).or_default();
                known.done = known.done.max(sequence);
                larges.push(large);
            }
            Ok(None) | Err(_) => place.device.remove(place.directory, Name::Large(id))?,
        }
    }
    Ok(larges)
}

fn read_large(place: &Place<'_>, id: u64) -> io::Result<Option<LargeFound>> {
    let name = Name::Large(id);
    let file = place.directory.file(name, OFlags::RDONLY)?;
    let secret = place.directory.secret;
    let Some(front) = Front::read(&file, name.file(), secret, &in_earnest)? else {
        return Ok(None);
    };
    let trailer = Trailer::read(&file, name.file(), secret, front.end(), &in_earnest)?;
    let Some(trailer) = trailer else { return Ok(None) };
    let size = file.metadata()?.len();
    let Header { hash, variant, sequence, .. } = front.header;
    let kept = Kept { id, size, hash, variant, sequence };
    Ok(Some(LargeFound { kept, front, body: trailer.body }))
}

impl LargeFound {
    /// Tells it if nothing outranks it, and removes it otherwise; how many were told.
    fn settle(
        self,
        place: &Place<'_>,
        start: &mut Start,
        variants: &Variants,
        recovered: &mut dyn FnMut(Recovered<'_>),
    ) -> io::Result<u64> {
        let Kept { id, hash, variant, sequence, .. } = self.kept;
        let known = variants.get(&variant).copied().unwrap_or_default();
        let facts = Facts::decode(&mut Cut(&self.front.block));
        let Some(facts) = facts.filter(|_| known.done == sequence) else {
            place.device.remove(place.directory, Name::Large(id))?;
            return Ok(0);
        };
        let stale = self.front.header.stale || sequence <= known.stale;
        let location = large::place_of(id);
        let row =
            Row { body: self.body, sequence, hash, variant, stale, facts, offset: 0, length: 0 };
        recovered(told(&row, location, stale));
        start.shelf.add(id, self.kept);
        Ok(1)
    }
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
) -> io::Result<u64> {
    segment.table = found.table;
    let taken = found.end + segment.table.size();
    let room = place.layout.segment.saturating_sub(taken);
    if is_newest && !found.torn && room > place.layout.segment / 4 {
        // Whatever stood behind the last record must not stand there when new ones are shorter.
        if found.size == found.end || place.device.cut(&segment.file, found.end).is_ok() {
            let used = segment.end;
            start.active = Some(segment);
            return Ok(used);
        }
    }
    let sealed = if found.sealed { Ok(found.size) } else { segment.seal(place) };
    let size = match sealed {
        Ok(size) => size,
        // It must not come to look whole.
        Err(_) if found.torn => {
            place.device.remove(place.directory, Name::Segment(segment.id))?;
            return Ok(0);
        }
        Err(_) => found.size,
    };
    start.segments.push_front(Sealed { id: segment.id, size, live: segment.live });
    Ok(size)
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
