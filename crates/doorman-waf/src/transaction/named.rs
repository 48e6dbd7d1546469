//! A collection that rules write to: names and values, some of which end.
//!
//! Names are kept in order of their lower case, so that what rules see never depends on chance.

use std::collections::BTreeMap;

/// Names and values; names are compared without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    entries: BTreeMap<Vec<u8>, Entry>,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
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
    /// Bytes of all names and values.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many there are, gone ones too.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The value of a name in lower case.
    pub(crate) fn get(&self, lower: &[u8], now: u64) -> Option<&[u8]> {
        let entry = self.entries.get(lower)?;
        (!entry.is_gone(now)).then_some(entry.value.as_slice())
    }

    /// The name as it was written, and the value, of a name in lower case.
    pub(crate) fn entry(&self, lower: &[u8], now: u64) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(lower)?;
        (!entry.is_gone(now)).then_some((entry.name.as_slice(), entry.value.as_slice()))
    }

    /// All, by name.
    pub(crate) fn iter(&self, now: u64) -> impl Iterator<Item = (&[u8], &[u8])> {
        let live = self.entries.values().filter(move |entry| !entry.is_gone(now));
        live.map(|entry| (entry.name.as_slice(), entry.value.as_slice()))
    }

    /// Sets a value. An end that was set before stays, unless it is past.
    pub(crate) fn set(&mut self, name: &[u8], value: Vec<u8>, now: u64) {
        let lower = name.to_ascii_lowercase();
        let before = self.entries.remove(&lower);
        self.bytes -= before.as_ref().map_or(0, Entry::bytes);
        let (name, expires) = match before.filter(|entry| !entry.is_gone(now)) {
            Some(entry) => (entry.name, entry.expires),
            None => (name.to_vec(), None),
        };
        let entry = Entry { name, value, expires };
        self.bytes += entry.bytes();
        self.entries.insert(lower, entry);
    }

    /// Takes a name away.
    pub(crate) fn unset(&mut self, name: &[u8]) {
        let gone = self.entries.remove(&name.to_ascii_lowercase());
        self.bytes -= gone.map_or(0, |entry| entry.bytes());
    }

    /// Says when a name ends; nothing happens where there is none.
    pub(crate) fn expire(&mut self, name: &[u8], at: u64) {
        if let Some(entry) = self.entries.get_mut(&name.to_ascii_lowercase()) {
            entry.expires = Some(at);
        }
    }

    /// Lets go of what has ended.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.entries.retain(|_, entry| !entry.is_gone(now));
        self.bytes = self.entries.values().map(Entry::bytes).sum();
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
}
