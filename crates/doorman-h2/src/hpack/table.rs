//! The static table (RFC 7541 appendix A), and the dynamic table of what a peer sends (section 2.3.2).
//!
//! Entries of the dynamic table lie in one buffer, each with what its name and value were found to
//! be, so that a reference to one costs a copy and nothing else.

use std::collections::VecDeque;

use doorman_http::FieldId;

use super::name::{Name, Value};
use super::{OVERHEAD, TABLE_MAX};

/// Entries of the static table, from index 1.
const ENTRIES: [(&str, &str); STATIC] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// How many entries the static table has.
pub(super) const STATIC: usize = 61;

/// What their names are.
const NAMES: [Name; STATIC] = {
    let mut names = [Name::Field(FieldId::Other); STATIC];
    let mut at = 0;
    while at < STATIC {
        let name = ENTRIES[at].0.as_bytes();
        names[at] = match name {
            b":method" => Name::Method,
            b":scheme" => Name::Scheme,
            b":authority" => Name::Authority,
            b":path" => Name::Path,
            [b':', ..] => Name::UnknownPseudo,
            _ => Name::Field(known(name)),
        };
        at += 1;
    }
    names
};

const fn known(name: &[u8]) -> FieldId {
    let mut id = 0;
    while id < FieldId::ALL.len() {
        if is_same(FieldId::ALL[id].name().as_bytes(), name) {
            return FieldId::ALL[id];
        }
        id += 1;
    }
    FieldId::Other
}

/// No entry has this name.
const NONE: u8 = 0;

/// The first entry with the name of a known field.
const NAMED: [u8; 256] = {
    let mut named = [NONE; 256];
    let mut id = 0;
    while id < FieldId::ALL.len() {
        let mut index = STATIC;
        while index > 0 {
            if is_same(ENTRIES[index - 1].0.as_bytes(), FieldId::ALL[id].name().as_bytes()) {
                #[expect(clippy::cast_possible_truncation, reason = "61 entries")]
                {
                    named[FieldId::ALL[id] as usize] = index as u8;
                }
            }
            index -= 1;
        }
        id += 1;
    }
    named
};

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The entry whose name is that of a known field, if there is one.
pub(super) const fn named(id: FieldId) -> Option<u64> {
    match NAMED[id as usize] {
        NONE => None,
        index => Some(index as u64),
    }
}

/// The first entry that is a status.
pub(super) const STATUS: u64 = 8;

/// The entry for a status, if there is one.
pub(super) const fn status(status: u16) -> Option<u64> {
    Some(match status {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => return None,
    })
}

/// A field, as an entry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) kind: Name,
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) judged: Value,
}

/// Where an entry of the dynamic table lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    name: usize,
    value: usize,
    kind: Name,
    judged: Value,
}

/// Bytes of the buffer, entries that were evicted included, before they are cleared away: a copy of
/// the table for every table's worth of insertions.
const BUFFER_MAX: usize = 2 * TABLE_MAX;

/// Both tables, as one address space (section 2.3.3).
#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
    /// The oldest first.
    places: VecDeque<Place>,
    size: usize,
    max: usize,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), places: VecDeque::new(), size: 0, max: TABLE_MAX }
    }

    /// The entry at an index.
    #[inline]
    pub(super) fn entry(&self, index: u64) -> Result<Entry<'_>, &'static str> {
        const UNKNOWN: &str = "no such entry in the tables";
        let index = usize::try_from(index).map_err(|_| UNKNOWN)?;
        let at = index.checked_sub(1).ok_or(UNKNOWN)?;
        if let Some((name, value)) = ENTRIES.get(at) {
            return Ok(Entry {
                kind: NAMES[at],
                name: name.as_bytes(),
                value: value.as_bytes(),
                judged: Value::Good,
            });
        }
        let newest = self.places.len().checked_sub(1).ok_or(UNKNOWN)?;
        let at = newest.checked_sub(at - STATIC).ok_or(UNKNOWN)?;
        let place = self.places.get(at).ok_or(UNKNOWN)?;
        let text = self.bytes.get(place.start..).unwrap_or_default();
        let (name, rest) = text.split_at_checked(place.name).unwrap_or_default();
        let value = rest.get(..place.value).unwrap_or_default();
        Ok(Entry { kind: place.kind, name, value, judged: place.judged })
    }

    /// Adds a field as the newest entry. One that is larger than the table empties it (section 4.4).
    pub(super) fn insert(&mut self, kind: Name, name: &[u8], value: &[u8], judged: Value) {
        let size = name.len() + value.len() + OVERHEAD;
        self.evict(self.max.saturating_sub(size));
        if size > self.max {
            return;
        }
        if self.bytes.len() + size > BUFFER_MAX {
            self.tidy();
        }
        let place =
            Place { start: self.bytes.len(), name: name.len(), value: value.len(), kind, judged };
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.places.push_back(place);
        self.size += size;
    }

    /// Takes a new bound; what is beyond it is evicted (section 4.3).
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max;
        self.evict(max);
    }

    fn evict(&mut self, max: usize) {
        while self.size > max {
            let Some(place) = self.places.pop_front() else { break };
            self.size = self.size.saturating_sub(place.name + place.value + OVERHEAD);
        }
    }

    /// Clears evicted entries away.
    fn tidy(&mut self) {
        let start = self.places.front().map_or(self.bytes.len(), |place| place.start);
        self.bytes.drain(..start);
        for place in &mut self.places {
            place.start -= start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(table: &mut Table, name: &[u8], value: &[u8]) {
        table.insert(Name::of(name), name, value, Value::of(value));
    }

    #[test]
    fn statuses_and_names_lead_to_their_entries() {
        let table = Table::new();
        for number in 100..600 {
            if let Some(index) = status(number) {
                let entry = table.entry(index).unwrap();
                assert_eq!(entry.name, b":status");
                assert_eq!(entry.value, number.to_string().as_bytes());
            }
        }
        assert_eq!(table.entry(STATUS).unwrap().name, b":status");
        for index in 1..=STATIC as u64 {
            let entry = table.entry(index).unwrap();
            assert_eq!(entry.kind, Name::of(entry.name));
            assert_eq!(Value::of(entry.value), Value::Good);
        }
        for id in FieldId::ALL {
            let by_search = ENTRIES.iter().position(|entry| entry.0 == id.name());
            assert_eq!(named(*id), by_search.map(|index| index as u64 + 1), "{}", id.name());
        }
        assert_eq!(named(FieldId::Other), None);
    }

    #[test]
    fn indices_outside_of_the_tables_are_refused_h2d_15() {
        let mut table = Table::new();
        for index in [0, 62, u64::MAX] {
            assert!(table.entry(index).is_err(), "{index}");
        }
        assert_eq!(table.entry(61).unwrap().name, b"www-authenticate");
        add(&mut table, b"a", b"1");
        add(&mut table, b"b", b"2");
        assert_eq!(table.entry(62).unwrap().name, b"b");
        assert_eq!(table.entry(63).unwrap().value, b"1");
        assert!(table.entry(64).is_err());
    }

    #[test]
    fn the_oldest_entries_make_room_h2d_17() {
        let mut table = Table::new();
        let value = vec![b'v'; 1000 - 32 - 1];
        for n in 0..10_000_u32 {
            let name = [b'a' + (n % 26).to_le_bytes()[0]];
            add(&mut table, &name, &value);
            assert!(table.size <= TABLE_MAX && table.bytes.len() <= BUFFER_MAX);
            assert_eq!(table.entry(62).unwrap().name, name);
        }
        assert_eq!(table.places.len(), 4);
        assert!(table.entry(65).is_ok() && table.entry(66).is_err());
        table.resize(1999);
        assert!(table.entry(62).is_ok() && table.entry(63).is_err());
        add(&mut table, b"x", &[b'v'; 5000]);
        assert!(table.entry(62).is_err(), "too large an entry empties the table");
        table.resize(TABLE_MAX);
        add(&mut table, b"x", &vec![b'v'; TABLE_MAX - 33]);
        assert_eq!(table.entry(62).unwrap().value.len(), TABLE_MAX - 33);
    }
}
