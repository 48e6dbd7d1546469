//! A collection that rules write to: names and values, some of which end.
//!
//! Names are kept in order of their lower case, so that what rules see never depends on chance.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Names and values; names are compared without case.
///
/// Most of what TX holds is the same in all transactions, so it is kept once, beneath: what a
/// transaction writes itself lies above it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    /// Never changed.
    beneath: Option<Arc<Shared>>,
    /// For each place beneath the number in `rewritten` of what hides it, counted from 1; 0 where nothing
    /// does. Empty as long as nothing is hidden.
    hidden: Vec<u32>,
    /// What is to be seen of names beneath instead; `None` of one that was taken away.
    rewritten: Vec<Option<Entry>>,
    /// Whether a name beneath is written in another way than there.
    is_renamed: bool,
    /// All other names, by lower case.
    above: BTreeMap<Vec<u8>, Entry>,
    /// Bytes of what was written since the beginning.
    bytes: usize,
}

/// What transactions of one engine begin with, and what else their rules are known to name: in the order of
/// names in lower case.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    slots: Vec<Slot>,
    /// Most of what rules ask of TX is here, a hundred times for each request.
    places: HashMap<Vec<u8>, usize, BuildHasherDefault<NameHasher>>,
}

/// A name that is known beforehand.
#[derive(Debug)]
struct Slot {
    lower: Vec<u8>,
    /// As it is written.
    name: Arc<[u8]>,
    /// What transactions begin with.
    entry: Option<Entry>,
}

impl Shared {
    /// Of names in order.
    fn new(slots: Vec<Slot>) -> Self {
        let places = slots.iter().enumerate().map(|(place, slot)| (slot.lower.clone(), place));
        Self { places: places.collect(), slots }
    }

    /// All names, as they are written, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.slots.iter().map(|slot| &*slot.name)
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
    name: Arc<[u8]>,
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

/// A name in lower case; most are written so.
pub(crate) fn lower(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

impl Named {
    /// What begins with all of this, and shares it. `known` are names that are likely to be set.
    pub(crate) fn over<'n>(self, known: impl IntoIterator<Item = &'n [u8]>) -> Self {
        let mut slots: BTreeMap<Vec<u8>, Slot> = BTreeMap::new();
        for (lower, entry) in self.above {
            let (name, entry) = (Arc::clone(&entry.name), Some(entry));
            slots.insert(lower.clone(), Slot { lower, name, entry });
        }
        for name in known {
            let lower = name.to_ascii_lowercase();
            let slot = || Slot { lower: lower.clone(), name: name.into(), entry: None };
            slots.entry(lower.clone()).or_insert_with(slot);
        }
        let shared = Shared::new(slots.into_values().collect());
        Self { beneath: Some(Arc::new(shared)), ..Self::default() }
    }

    /// Bytes of all names and values that were written since the beginning.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many there are, gone ones too.
    pub(crate) fn len(&self) -> usize {
        let beneath = self.beneath.as_ref().map_or(0, |all| all.slots.len());
        self.above.len() + (0..beneath).filter(|place| self.at(*place).is_some()).count()
    }

    /// Where a name in lower case is among those that are known beforehand.
    fn place(&self, lower: &[u8]) -> Option<usize> {
        self.beneath.as_ref()?.places.get(lower).copied()
    }

    /// What is to be seen at a place beneath.
    fn at(&self, place: usize) -> Option<&Entry> {
        match self.hidden.get(place) {
            None | Some(0) => self.beneath.as_ref()?.slots[place].entry.as_ref(),
            Some(number) => self.rewritten[*number as usize - 1].as_ref(),
        }
    }

    /// What hides a place beneath, to be written; nothing is seen of it at first.
    fn at_mut(&mut self, place: usize) -> &mut Option<Entry> {
        if self.hidden.is_empty() {
            self.hidden.resize(self.beneath.as_ref().map_or(0, |all| all.slots.len()), 0);
        }
        if self.hidden[place] == 0 {
            self.rewritten.push(None);
            self.hidden[place] = u32::try_from(self.rewritten.len()).unwrap_or(u32::MAX);
        }
        &mut self.rewritten[self.hidden[place] as usize - 1]
    }

    fn find(&self, lower: &[u8]) -> Option<&Entry> {
        match self.place(lower) {
            Some(place) => self.at(place),
            None if self.above.is_empty() => None,
            None => self.above.get(lower),
        }
    }

    /// The value of a name in lower case.
    pub(crate) fn get(&self, lower: &[u8], now: u64) -> Option<&[u8]> {
        let entry = self.find(lower)?;
        (!entry.is_gone(now)).then_some(entry.value.as_slice())
    }

    /// The name as it was written, and the value, of a name in lower case.
    pub(crate) fn entry(&self, lower: &[u8], now: u64) -> Option<(&[u8], &[u8])> {
        let entry = self.find(lower)?;
        (!entry.is_gone(now)).then_some((&*entry.name, entry.value.as_slice()))
    }

    /// All, by name.
    pub(crate) fn iter(&self, now: u64) -> impl Iterator<Item = (&[u8], &[u8])> {
        let all = 0..self.beneath.as_ref().map_or(0, |all| all.slots.len());
        self.among(all, now).map(|(_, name, value)| (name, value))
    }

    /// Those at these places beneath, which are in order, and all that lie above, by name. What is written as it
    /// is beneath is told with its place.
    pub(crate) fn among(
        &self,
        places: impl Iterator<Item = usize>,
        now: u64,
    ) -> impl Iterator<Item = (Option<usize>, &[u8], &[u8])> {
        let slots = self.beneath.as_deref().map_or(&[][..], |all| &all.slots);
        let beneath = places.filter_map(move |place| {
            let (slot, entry) = (&slots[place], self.at(place)?);
            let is_same = !self.is_renamed || entry.name == slot.name;
            Some((slot.lower.as_slice(), is_same.then_some(place), entry))
        });
        let above = self.above.iter().map(|(lower, entry)| (lower.as_slice(), None, entry));
        let (mut beneath, mut above) = (beneath.peekable(), above.peekable());
        let merged = std::iter::from_fn(move || match (beneath.peek(), above.peek()) {
            (Some((one, ..)), Some((other, ..))) if one > other => above.next(),
            (None, _) => above.next(),
            (Some(_), _) => beneath.next(),
        });
        let live = merged.filter(move |(_, _, entry)| !entry.is_gone(now));
        live.map(|(_, place, entry)| (place, &*entry.name, entry.value.as_slice()))
    }

    /// What it began with.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        self.beneath.as_ref()
    }

    /// Whether all names that are known beforehand are written as they are there.
    pub(crate) const fn is_as_known(&self) -> bool {
        !self.is_renamed
    }

    /// Sets a value. An end that was set before stays, unless it is past.
    pub(crate) fn set(&mut self, name: &[u8], value: Vec<u8>, now: u64) {
        let lower = lower(name);
        let place = self.place(&lower);
        let Self { hidden, rewritten, above, bytes, .. } = self;
        let known = match place {
            Some(place) => match hidden.get(place) {
                None | Some(0) => None,
                Some(number) => rewritten[*number as usize - 1].as_mut(),
            },
            None => above.get_mut(&*lower),
        };
        if let Some(entry) = known
            && !entry.is_gone(now)
        {
            *bytes = *bytes + value.len() - entry.value.len();
            entry.value = value;
            return;
        }
        let before = self.find(&lower).filter(|entry| !entry.is_gone(now));
        let (name, expires) = match (before, place) {
            (Some(entry), _) => (Arc::clone(&entry.name), entry.expires),
            (None, Some(place)) => (self.known_name(place, name), None),
            (None, None) => (name.into(), None),
        };
        self.put(&lower, Entry { name, value, expires });
    }

    /// A name that is known beforehand, as it is written now.
    fn known_name(&mut self, place: usize, name: &[u8]) -> Arc<[u8]> {
        let known = self.beneath.as_ref().map(|all| &all.slots[place].name);
        if let Some(known) = known.filter(|known| known[..] == *name) {
            return Arc::clone(known);
        }
        self.is_renamed = true;
        name.into()
    }

    /// Puts an entry in the place of what there was.
    fn put(&mut self, lower: &[u8], entry: Entry) {
        self.bytes += entry.bytes();
        let gone = match self.place(lower) {
            Some(place) => self.at_mut(place).replace(entry),
            None => self.above.insert(lower.to_vec(), entry),
        };
        self.bytes -= gone.map_or(0, |entry| entry.bytes());
    }

    /// Takes a name away.
    pub(crate) fn unset(&mut self, name: &[u8]) {
        let lower = lower(name);
        let gone = match self.place(&lower) {
            Some(place) => self.at_mut(place).take(),
            None => self.above.remove(&*lower),
        };
        self.bytes -= gone.map_or(0, |entry| entry.bytes());
    }

    /// Says when a name ends; nothing happens where there is none.
    pub(crate) fn expire(&mut self, name: &[u8], at: u64) {
        let lower = lower(name);
        if let Some(entry) = self.find(&lower) {
            let entry = Entry { expires: Some(at), ..entry.clone() };
            self.put(&lower, entry);
        }
    }

    /// Lets go of what has ended.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.above.retain(|_, entry| !entry.is_gone(now));
        for entry in &mut self.rewritten {
            entry.take_if(|entry| entry.is_gone(now));
        }
        let rewritten = self.rewritten.iter().flatten();
        self.bytes = self.above.values().chain(rewritten).map(Entry::bytes).sum();
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
        let known = [&b"A"[..], b"E"];
        let (mut one, mut other) = (first.clone().over(known), first.over(known));
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
        assert!(other.is_as_known() && !one.is_as_known(), "one writes `a` where `A` is known");
        other.set(b"A", b"1".to_vec(), 0);
        other.set(b"A", b"10".to_vec(), 0);
        assert_eq!((all(&other), other.bytes()), ("A=10 B=1 D=1 ".to_owned(), 4));
        assert!(other.is_as_known());
        let some: Vec<_> = other.among([0, 3].into_iter(), 0).collect();
        assert_eq!(some, [(Some(0), &b"A"[..], &b"10"[..])]);
        assert_eq!(one.get(b"d", 0), None);
        one.expire(b"B", 5);
        assert_eq!(one.get(b"b", 5), None);
    }
}
