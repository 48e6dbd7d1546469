//! A collection that rules write to: names and values, some of which end.
//!
//! Names are kept in order of their lower case, so that what rules see never depends on chance.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Names and values; names are compared without case.
///
/// Most of what TX holds is the same in all transactions, so it is kept once, beneath: what a
/// transaction writes itself lies above it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    /// By lower case; never changed.
    beneath: Option<Arc<Shared>>,
    /// By lower case; `None` is a name that was taken away from beneath.
    above: BTreeMap<Vec<u8>, Option<Entry>>,
    /// Bytes of what lies above.
    bytes: usize,
}

/// What transactions of one engine begin with: in the order of names in lower case, and by name at once.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    entries: BTreeMap<Vec<u8>, Entry>,
    /// Most of what rules ask of TX is here, a hundred times for each request.
    at_once: HashMap<Vec<u8>, Entry, BuildHasherDefault<NameHasher>>,
}

impl Shared {
    fn new(entries: BTreeMap<Vec<u8>, Entry>) -> Self {
        let at_once = entries.iter().map(|(lower, entry)| (lower.clone(), entry.clone()));
        Self { at_once: at_once.collect(), entries }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All names, as they were written, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.values().map(|entry| entry.name.as_slice())
    }
}

/// Hashes names, eight bytes at a time. What is in the table is the operator's, so there is nothing that a client
/// could fill it with.
#[derive(Debug, Default)]
pub(crate) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        words.iter().chain([&last]).for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
    }

    fn write_u64(&mut self, number: u64) {
        // The multiplier is 2^64 divided by the golden ratio (Knuth, volume 3, section 6.4).
        self.0 = (self.0.rotate_left(29) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        // The table takes the lowest bits and the highest seven; the middle ones are mixed best.
        self.0.rotate_left(26)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As it was first written.
    name: Vec<u8>,
    value: Vec<u8>,
    /// Seconds since the epoch from which on it is gone.
    expires: Option<u64>,
}

impl Entry {
    fn is_gone(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    fn bytes(&self) -> usize {
        2 * self.name.len() + self.value.len()
    }
}

impl Named {
    /// What begins with all of this, and shares it.
    pub(crate) fn over(&self) -> Self {
        let beneath = self.beneath.as_deref().map(|shared| shared.entries.clone());
        let mut beneath = beneath.unwrap_or_default();
        for (lower, entry) in &self.above {
            match entry {
                Some(entry) => beneath.insert(lower.clone(), entry.clone()),
                None => beneath.remove(lower),
            };
        }
        Self { beneath: Some(Arc::new(Shared::new(beneath))), ..Self::default() }
    }

    /// Bytes of all names and values that were written since the beginning.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many there are, gone ones too.
    pub(crate) fn len(&self) -> usize {
        self.entries().count()
    }

    fn find(&self, lower: &[u8]) -> Option<&Entry> {
        match (!self.above.is_empty()).then(|| self.above.get(lower)).flatten() {
            Some(entry) => entry.as_ref(),
            None => self.beneath(lower),
        }
    }

    fn beneath(&self, lower: &[u8]) -> Option<&Entry> {
        self.beneath.as_ref()?.at_once.get(lower)
    }

    /// The value of a name in lower case.
    pub(crate) fn get(&self, lower: &[u8], now: u64) -> Option<&[u8]> {
        let entry = self.find(lower)?;
        (!entry.is_gone(now)).then_some(entry.value.as_slice())
    }

    /// The name as it was written, and the value, of a name in lower case.
    pub(crate) fn entry(&self, lower: &[u8], now: u64) -> Option<(&[u8], &[u8])> {
        let entry = self.find(lower)?;
        (!entry.is_gone(now)).then_some((entry.name.as_slice(), entry.value.as_slice()))
    }

    /// All, by name.
    pub(crate) fn iter(&self, now: u64) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.numbered(now).map(|(_, name, value)| (name, value))
    }

    /// All, by name, with the place in what is shared of those that are from there.
    pub(crate) fn numbered(&self, now: u64) -> impl Iterator<Item = (Option<usize>, &[u8], &[u8])> {
        let live = self.entries().filter(move |(_, entry)| !entry.is_gone(now));
        live.map(|(number, entry)| (number, entry.name.as_slice(), entry.value.as_slice()))
    }

    /// What it began with.
    pub(crate) const fn shared(&self) -> Option<&Arc<Shared>> {
        self.beneath.as_ref()
    }

    /// All entries, in the order of their names.
    fn entries(&self) -> impl Iterator<Item = (Option<usize>, &Entry)> {
        let mut above = self.above.iter().peekable();
        let mut beneath =
            self.beneath.iter().flat_map(|all| all.entries.iter()).enumerate().peekable();
        std::iter::from_fn(move || {
            loop {
                let ahead = match (above.peek(), beneath.peek()) {
                    (Some((a, _)), Some((_, (b, _)))) => a.cmp(b),
                    (Some(_), None) => Ordering::Less,
                    (None, _) => Ordering::Greater,
                };
                if ahead == Ordering::Greater {
                    return beneath.next().map(|(number, (_, entry))| (Some(number), entry));
                }
                if ahead == Ordering::Equal {
                    beneath.next();
                }
                if let Some((_, Some(entry))) = above.next() {
                    return Some((None, entry));
                }
            }
        })
    }

    /// Sets a value. An end that was set before stays, unless it is past.
    pub(crate) fn set(&mut self, name: &[u8], value: Vec<u8>, now: u64) {
        let lower = name.to_ascii_lowercase();
        let before = self.find(&lower).filter(|entry| !entry.is_gone(now));
        let (name, expires) = match before {
            Some(entry) => (entry.name.clone(), entry.expires),
            None => (name.to_vec(), None),
        };
        let entry = Entry { name, value, expires };
        self.bytes += entry.bytes();
        let gone = self.above.insert(lower, Some(entry)).flatten();
        self.bytes -= gone.map_or(0, |entry| entry.bytes());
    }

    /// Takes a name away.
    pub(crate) fn unset(&mut self, name: &[u8]) {
        let lower = name.to_ascii_lowercase();
        let gone = match self.beneath(&lower) {
            Some(_) => self.above.insert(lower, None),
            None => self.above.remove(&lower),
        };
        self.bytes -= gone.flatten().map_or(0, |entry| entry.bytes());
    }

    /// Says when a name ends; nothing happens where there is none.
    pub(crate) fn expire(&mut self, name: &[u8], at: u64) {
        let lower = name.to_ascii_lowercase();
        if let Some(entry) = self.find(&lower) {
            let entry = Entry { expires: Some(at), ..entry.clone() };
            self.bytes += entry.bytes();
            let gone = self.above.insert(lower, Some(entry)).flatten();
            self.bytes -= gone.map_or(0, |entry| entry.bytes());
        }
    }

    /// Lets go of what has ended.
    pub(crate) fn sweep(&mut self, now: u64) {
        let beneath = self.beneath.as_deref();
        self.above.retain(|lower, entry| {
            *entry = entry.take().filter(|entry| !entry.is_gone(now));
            entry.is_some() || beneath.is_some_and(|all| all.entries.contains_key(lower))
        });
        self.bytes = self.above.values().flatten().map(Entry::bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_keep_theirs() {
        let mut named = Named::default();
        named.set(b"Foo", b"1".to_vec(), 0);
        named.set(b"fOO", b"22".to_vec(), 0);
        assert_eq!(named.entry(b"foo", 0), Some((&b"Foo"[..], &b"22"[..])));
        assert_eq!((named.len(), named.bytes()), (1, 8));
        named.unset(b"FOO");
        assert_eq!((named.get(b"foo", 0), named.bytes()), (None, 0));
    }

    #[test]
    fn what_ends_is_gone_from_then_on() {
        let mut named = Named::default();
        named.set(b"a", b"1".to_vec(), 0);
        named.expire(b"A", 10);
        named.set(b"a", b"2".to_vec(), 5);
        assert_eq!((named.get(b"a", 9), named.get(b"a", 10)), (Some(&b"2"[..]), None));
        named.set(b"a", b"3".to_vec(), 11);
        assert_eq!(named.get(b"a", 99), Some(&b"3"[..]));
        named.expire(b"a", 100);
        named.sweep(100);
        assert_eq!((named.len(), named.bytes()), (0, 0));
    }

    #[test]
    fn what_is_shared_is_hidden_and_never_changed() {
        let mut first = Named::default();
        first.set(b"B", b"1".to_vec(), 0);
        first.set(b"D", b"1".to_vec(), 0);
        let (mut one, other) = (first.over(), first.over());
        assert_eq!(one.bytes(), 0);
        one.set(b"a", b"2".to_vec(), 0);
        one.set(b"b", b"2".to_vec(), 0);
        one.set(b"c", b"2".to_vec(), 0);
        one.unset(b"d");
        let all = |named: &Named| -> String {
            let text = |(name, value): (&[u8], &[u8])| {
                format!("{}={} ", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
            };
            named.iter(0).map(text).collect()
        };
        assert_eq!((all(&one), one.len()), ("a=2 B=2 c=2 ".to_owned(), 3));
        assert_eq!((all(&other), other.len()), ("B=1 D=1 ".to_owned(), 2));
        assert_eq!(one.get(b"d", 0), None);
        one.expire(b"B", 5);
        assert_eq!(one.get(b"b", 5), None);
    }
}
