//! Random histories against a map: what is written, forgotten, pushed out and opened again.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::*;
use super::rig::{Rig, bytes_in, content, entry, hash_of, key};

const BYTES: u64 = 8 * 64 * 1024;

#[derive(Clone, Debug)]
enum Step {
    /// A body of this length for this key.
    Offer(usize, usize),
    /// The same in pieces; false leaves it open.
    Stream(usize, usize, bool),
    Forget(usize, Forget),
    ForgetAll,
    /// The writer works.
    Work,
    /// The key is in use, and shall stay.
    Want(usize),
    Kill,
    Close,
    Limit(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = 0..12_usize;
    let length = prop_oneof![8 => 0..6_000_usize, 2 => 30_000..60_000_usize];
    prop_oneof![
        12 => (keys.clone(), length.clone()).prop_map(|(key, length)| Step::Offer(key, length)),
        2 => (keys.clone(), length, any::<bool>())
            .prop_map(|(key, length, ends)| Step::Stream(key, length, ends)),
        3 => keys.clone().prop_map(|key| Step::Forget(key, Forget::Hard)),
        3 => keys.clone().prop_map(|key| Step::Forget(key, Forget::Stale)),
        1 => Just(Step::ForgetAll),
        8 => Just(Step::Work),
        2 => keys.prop_map(Step::Want),
        1 => Just(Step::Kill),
        1 => Just(Step::Close),
        1 => (BYTES / 2..BYTES).prop_map(Step::Limit),
    ]
}

/// Version and staleness of what is there.
type Model = BTreeMap<usize, (usize, usize, bool)>;

/// A body that only this version of this key has.
fn body(at: usize, version: usize, length: usize) -> Vec<u8> {
    content(format!("{at} {version}").as_bytes(), length)
}

struct World {
    directory: tempfile::TempDir,
    rig: Option<Rig>,
    /// What is so once the writer has worked.
    told: Model,
    /// What is so on disk.
    done: Model,
    version: usize,
    streams: Vec<Stream>,
}

impl World {
    fn rig(&mut self) -> &mut Rig {
        self.rig.as_mut().expect("it is open between steps")
    }

    fn offer(&mut self, at: usize, length: usize, how: Option<bool>) {
        self.version += 1;
        let body = Bytes::from(body(at, self.version, length));
        let version = self.version;
        hold(&self.rig().map.stale).retain(|hash| *hash != hash_of(&key(at)));
        hold(&self.rig().map.places).remove(&hash_of(&key(at)));
        if how == Some(false) {
            drop(self.rig().forget(&key(at), Forget::Hard));
        }
        let disk = Arc::clone(&self.rig().disk);
        let taken = entry(&key(at), |entry| match how {
            None => disk.offer(&entry, vec![body]),
            Some(ends) => disk.begin(&entry).is_some_and(|mut stream| {
                let pushed = stream.push(body);
                match ends {
                    true => stream.finish(),
                    false => self.streams.push(stream),
                }
                pushed && ends
            }),
        });
        // What was there goes in any case, as an index sees to.
        self.told.remove(&at);
        if taken {
            self.told.insert(at, (version, length, false));
        } else if how != Some(false) {
            drop(self.rig().forget(&key(at), Forget::Hard));
        }
    }

    fn forget(&mut self, at: usize, how: Forget) {
        drop(self.rig().forget(&key(at), how));
        match how {
            Forget::Hard => drop(self.told.remove(&at)),
            Forget::Stale => {
                if let Some(known) = self.told.get_mut(&at) {
                    known.2 = true;
                }
            }
        }
    }

    fn work(&mut self) {
        self.rig().drain();
        // What went to make room is known to the index.
        let places = hold(&self.rig().map.places).clone();
        self.told.retain(|at, _| places.contains_key(&hash_of(&key(*at))));
        self.done.clone_from(&self.told);
        let told = self.told.clone();
        for (at, (version, length, _)) in told {
            assert_eq!(self.rig().body(&key(at)).unwrap(), body(at, version, length));
        }
        let stats = self.rig().disk.stats();
        assert_eq!(stats.bytes, bytes_in(self.directory.path()));
        assert_eq!((stats.damaged, stats.errors), (0, 0));
    }

    fn open(&mut self) {
        self.streams.clear();
        let rig = Rig::open(self.directory.path(), BYTES);
        let mut found: Vec<_> = rig.found.clone();
        found.sort();
        let mut expect: Vec<_> = self.done.iter().collect();
        expect.sort_by_key(|(at, _)| key(**at));
        let expect: Vec<_> = expect
            .into_iter()
            .map(|(at, (_, length, stale))| (key(*at), *length as u64, *stale))
            .collect();
        assert_eq!(found, expect);
        for (at, (version, length, _)) in &self.done {
            assert_eq!(rig.body(&key(*at)).unwrap(), body(*at, *version, *length));
        }
        self.told.clone_from(&self.done);
        self.rig = Some(rig);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Offer(at, length) => self.offer(at, length, None),
            Step::Stream(at, length, ends) => self.offer(at, length, Some(ends)),
            Step::Forget(at, how) => self.forget(at, how),
            Step::ForgetAll => {
                hold(&self.rig().map.places).clear();
                drop(self.rig().disk.forget_all());
                self.told.clear();
            }
            Step::Work => self.work(),
            Step::Want(at) => hold(&self.rig().map.wanted).push(hash_of(&key(at))),
            Step::Kill => {
                drop(self.rig.take());
                self.open();
            }
            Step::Close => {
                self.work();
                self.rig.take().expect("it is open between steps").close();
                self.open();
            }
            Step::Limit(bytes) => {
                self.rig().disk.limit.store(bytes, Ordering::Relaxed);
                self.work();
                assert!(bytes_in(self.directory.path()) <= bytes);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_history_leaves_what_a_map_would(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World {
            directory: tempfile::tempdir().unwrap(),
            rig: None,
            told: Model::new(),
            done: Model::new(),
            version: 0,
            streams: Vec::new(),
        };
        world.open();
        for step in &steps {
            world.step(step);
        }
        world.step(&Step::Close);
    }
}
