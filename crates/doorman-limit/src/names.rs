//! Readable names of keys that were refused, for operators: a key alone says nothing.
//!
//! A bounded record beside the tables. It is asked only when somebody is refused, and its mutex is tried, never waited
//! for: a name that is not written down this time is written down with the next refusal. Who is refused again stays;
//! who was refused once goes first (the second chance of CLOCK, Corbato 1968), so a flood of strangers does not push
//! out those who matter.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::key::Key;

/// Names that are kept at once.
pub const NAMES_MAX: usize = 1024;

/// Bytes of a name; what is longer is cut.
pub const NAME_BYTES_MAX: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    places: BTreeMap<Key, usize>,
    names: Vec<Name>,
    /// Where the next one to go is looked for.
    hand: usize,
}

#[derive(Debug)]
struct Name {
    key: Key,
    text: Box<str>,
    again: bool,
}

impl Names {
    /// Notes who a key is. `name` is called only for a key that is not known.
    pub(crate) fn note(&self, key: Key, name: impl FnOnce() -> String) {
        let Ok(mut inner) = self.0.try_lock() else { return };
        if let Some(&place) = inner.places.get(&key) {
            inner.names[place].again = true;
            return;
        }
        let name = Name { key, text: cut(name()).into(), again: false };
        inner.put(name);
    }

    /// Who a key is.
    pub(crate) fn name(&self, key: Key) -> Option<Box<str>> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.places.get(&key).map(|&place| inner.names[place].text.clone())
    }
}

impl Inner {
    fn put(&mut self, name: Name) {
        if self.names.len() < NAMES_MAX {
            self.places.insert(name.key, self.names.len());
            self.names.push(name);
            return;
        }
        // Every step takes a second chance away, so this ends within two rounds.
        while std::mem::take(&mut self.names[self.hand].again) {
            self.hand = (self.hand + 1) % NAMES_MAX;
        }
        self.places.remove(&self.names[self.hand].key);
        self.places.insert(name.key, self.hand);
        self.names[self.hand] = name;
        self.hand = (self.hand + 1) % NAMES_MAX;
    }
}

/// At most [`NAME_BYTES_MAX`] bytes of it, and whole characters.
fn cut(mut name: String) -> String {
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        Key::from_number(number).expect("not zero")
    }

    #[test]
    fn who_is_refused_again_outlives_a_flood() {
        let names = Names::default();
        for round in 0..20_000 {
            names.note(key(1), || "heavy".to_owned());
            names.note(key(round + 2), || format!("stranger {round}"));
        }
        assert_eq!(names.name(key(1)).as_deref(), Some("heavy"));
        assert_eq!(names.name(key(20_001)).as_deref(), Some("stranger 19999"));
        assert_eq!(names.name(key(2)), None);
        let inner = names.0.lock().unwrap();
        assert_eq!((inner.names.len(), inner.places.len()), (NAMES_MAX, NAMES_MAX));
        assert!(inner.places.iter().all(|(key, &place)| inner.names[place].key == *key));
    }

    #[test]
    fn names_are_short_and_asked_for_once() {
        let names = Names::default();
        names.note(key(1), || "ü".repeat(NAME_BYTES_MAX));
        names.note(key(1), || unreachable!("it is known"));
        assert_eq!(names.name(key(1)).map(|name| name.len()), Some(NAME_BYTES_MAX));
    }
}
