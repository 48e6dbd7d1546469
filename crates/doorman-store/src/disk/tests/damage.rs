//! OPS-02: whatever happens to the bytes on disk, what comes out is what went in, or nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::*;
use super::rig::{Key, Rig, content, files_in, key};

const BYTES: u64 = 4 * 1024 * 1024;

/// A store in which some things were forgotten, and what may come back from it.
struct Store {
    directory: tempfile::TempDir,
    /// The files as they were written.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// Keys, lengths, and whether they are stale.
    live: Vec<(Key, u64, bool)>,
    /// Where things lay.
    places: std::collections::HashMap<u128, Location>,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Killed,
    Closed,
}

impl Store {
    fn make(end: End, lengths: &[usize]) -> Self {
        // Thousands of files are written: in memory, where there is such a place.
        let memory = tempfile::tempdir_in("/dev/shm");
        let directory = memory.or_else(|_| tempfile::tempdir()).unwrap();
        let mut rig = Rig::open(directory.path(), BYTES);
        for (at, &length) in lengths.iter().enumerate() {
            assert!(rig.offer(&key(at), &content(&key(at), length)));
        }
        drop(rig.forget(&key(0), Forget::Hard));
        drop(rig.forget(&key(1), Forget::Stale));
        rig.drain();
        let places = hold(&rig.map.places).clone();
        match end {
            End::Killed => drop(rig),
            End::Closed => rig.close(),
        }
        let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
        let files = files_in(directory.path()).into_iter().map(read).collect();
        let mut rig = Rig::open(directory.path(), BYTES);
        rig.found.sort();
        let live = std::mem::take(&mut rig.found);
        assert_eq!(live.len(), lengths.len() - 1);
        drop(rig);
        let mut store = Self { directory, files, live, places };
        store.restore();
        store
    }

    fn restore(&mut self) {
        for (path, bytes) in &self.files {
            fs::write(path, bytes).unwrap();
        }
    }

    /// What is found after a start over the damage; all of it is right.
    fn check(&self, what: &str) -> usize {
        let rig = Rig::open(self.directory.path(), BYTES);
        for (found, length, stale) in &rig.found {
            let known = self.live.iter().find(|(known, ..)| known == found);
            assert_eq!(known, Some(&(found.clone(), *length, *stale)), "{what}");
        }
        right(&rig, what)
    }

    /// What can be read at the places that an index remembers, while the damage happens.
    fn check_places(&self, what: &str) {
        let rig = Rig::open(self.directory.path(), BYTES);
        hold(&rig.map.places).clone_from(&self.places);
        right(&rig, what);
    }
}

/// How many of the objects can be read; each as it was written.
fn right(rig: &Rig, what: &str) -> usize {
    let read = |at: &usize| match rig.body(&key(*at)) {
        Ok(body) => {
            assert_eq!(body, content(&key(*at), body.len()), "{what}");
            true
        }
        Err(_) => false,
    };
    (0..4).filter(read).count()
}

/// Lengths that make a segment of about 4 KiB, and a large file.
const SMALL: [usize; 3] = [700, 1100, 1000];
const LARGE: [usize; 3] = [10, 10, 33_000];

fn sweep(end: End, lengths: &[usize], pick: impl Fn(&Path) -> bool, step: usize) {
    let mut store = Store::make(end, lengths);
    let (path, bytes) = store
        .files
        .iter()
        .find(|(path, _)| pick(path))
        .map(|(a, b)| (a.clone(), b.clone()))
        .unwrap();
    let mut survived = 0;
    for at in (0..bytes.len()).step_by(step) {
        let mut damaged = bytes.clone();
        damaged[at] ^= if at % 9 == 8 { 0xff } else { 1 << (at % 9) };
        store.restore();
        fs::write(&path, &damaged).unwrap();
        let what = format!("byte {at} of {}", path.display());
        survived += store.check(&what);
        fs::write(&path, &damaged).unwrap();
        store.check_places(&what);
    }
    assert!(survived > bytes.len() / step, "damage to one does not take all: {survived}");
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "seg")
}

fn is_large(path: &Path) -> bool {
    !is_segment(path)
}

#[test]
fn ops_02_every_byte_flipped_in_a_segment_after_a_kill() {
    sweep(End::Killed, &SMALL, is_segment, 1);
}

#[test]
fn ops_02_every_byte_flipped_in_a_segment_with_a_table() {
    sweep(End::Closed, &SMALL, is_segment, 1);
}

#[test]
fn ops_02_bytes_flipped_in_a_large_file() {
    sweep(End::Closed, &LARGE, is_large, 67);
}

#[test]
fn ops_02_truncated_at_every_length() {
    for (end, lengths) in [(End::Killed, SMALL), (End::Closed, SMALL), (End::Closed, LARGE)] {
        let mut store = Store::make(end, &lengths);
        let whole = store.files.clone();
        for (path, bytes) in &whole {
            let step = if is_large(path) { 61 } else { 1 };
            for length in (0..bytes.len()).step_by(step) {
                store.restore();
                fs::write(path, &bytes[..length]).unwrap();
                let what = format!("{} of {length} bytes", path.display());
                // A mark that was cut off is as if it had not been written.
                let rig = Rig::open(store.directory.path(), BYTES);
                right(&rig, &what);
                drop(rig);
                fs::write(path, &bytes[..length]).unwrap();
                store.check_places(&what);
            }
        }
    }
}

#[test]
fn ops_02_zeroed_and_scrambled() {
    for (end, lengths) in [(End::Killed, SMALL), (End::Closed, SMALL), (End::Closed, LARGE)] {
        let mut store = Store::make(end, &lengths);
        for (path, bytes) in store.files.clone() {
            for (from, to) in [(0, bytes.len()), (0, 96), (96, bytes.len()), (200, 300)] {
                for fill in ["zeros", "ones", "noise"] {
                    let mut damaged = bytes.clone();
                    let noise = content(&key(99), bytes.len());
                    for (at, byte) in damaged.iter_mut().enumerate().take(to).skip(from) {
                        *byte = match fill {
                            "zeros" => 0,
                            "ones" => 0xff,
                            _ => noise[at],
                        };
                    }
                    store.restore();
                    fs::write(&path, &damaged).unwrap();
                    let what = format!("{fill} from {from} to {to} in {}", path.display());
                    right(&Rig::open(store.directory.path(), BYTES), &what);
                    fs::write(&path, &damaged).unwrap();
                    store.check_places(&what);
                }
            }
        }
    }
}

#[test]
fn ops_02_a_record_in_the_place_of_another() {
    // Of one length, so that each fits where the other was.
    let mut store = Store::make(End::Killed, &[500; 4]);
    let (path, bytes) = store.files.iter().next().map(|(a, b)| (a.clone(), b.clone())).unwrap();
    let [one, two] = [2, 3].map(|at| store.places[&super::rig::hash_of(&key(at))]);
    let range = |place: Location| {
        let start = place.offset as usize;
        start..start + place.length as usize
    };
    let mut swapped = bytes.clone();
    swapped[range(one)].copy_from_slice(&bytes[range(two)]);
    swapped[range(two)].copy_from_slice(&bytes[range(one)]);
    fs::write(&path, &swapped).unwrap();
    assert_eq!(store.check("records swapped"), 0);
    fs::write(&path, &swapped).unwrap();
    store.check_places("records swapped");
    // Under the name of another segment, and another large file's.
    store.restore();
    fs::rename(&path, path.with_file_name("00000000000000ff.seg")).unwrap();
    assert_eq!(store.check("a segment renamed"), 0);
    let store = Store::make(End::Closed, &[10, 33_000, 33_000]);
    let large: Vec<&PathBuf> = store.files.keys().filter(|path| is_large(path)).collect();
    fs::write(large[0], &store.files[large[1]]).unwrap();
    assert_eq!(store.check("a large file in the place of another"), 1);
}

#[test]
fn ops_02_an_index_that_points_to_another_object_gets_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), BYTES);
    for (at, length) in [(1, 10), (2, 40_000)] {
        assert!(rig.offer(&key(at), &content(&key(at), length)));
    }
    rig.drain();
    for at in [1, 2] {
        let place = rig.map.place(&key(at)).unwrap();
        assert!(rig.disk.read_now(place, &key(at)).is_ok());
        assert!(matches!(rig.disk.read_now(place, b"another"), Err(ReadError::Damaged)));
        for wrong in [
            Location { offset: place.offset + 1, ..place },
            Location { length: place.length + 1, ..place },
            Location { length: u32::MAX / 4096, ..place },
            Location { file: place.file + 1, ..place },
        ] {
            let is_same = at == 2 && wrong.file == place.file;
            assert_eq!(rig.disk.read_now(wrong, &key(at)).is_ok(), is_same, "{wrong:?}");
        }
    }
    let news = rig.disk.take_news();
    assert_eq!(news.iter().filter(|line| line.contains("is damaged")).count(), 2, "{news:?}");
}

#[test]
fn a_damaged_segment_takes_what_is_older_only_if_its_marks_may_be_lost() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), BYTES);
    for at in 0..60 {
        assert!(rig.offer(&key(at), &content(&key(at), 5_000)));
        rig.drain();
    }
    drop(rig.forget(&key(0), Forget::Hard));
    rig.drain();
    drop(rig);
    let files = files_in(directory.path());
    assert!(files.len() >= 5);
    let count = || Rig::open(directory.path(), BYTES).found.len();
    assert_eq!(count(), 59);
    // A table that is damaged is made anew from the records.
    let whole = fs::read(&files[2]).unwrap();
    let mut damaged = whole.clone();
    let last = damaged.len() - 60;
    damaged[last] ^= 1;
    fs::write(&files[2], &damaged).unwrap();
    assert_eq!(count(), 59);
    assert_eq!(fs::read(&files[2]).unwrap(), whole);
    // With a record's header damaged too, nobody knows what stood there.
    damaged[0] ^= 1;
    fs::write(&files[2], &damaged).unwrap();
    let left = count();
    assert!((20..48).contains(&left), "{left}");
    assert!(files_in(directory.path()).len() < files.len());
}
