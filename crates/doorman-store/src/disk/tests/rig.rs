//! A store in a directory of its own, an index that is a map, and a clock that is a number.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use doorman_http::Instant;

use super::super::*;

/// Small pieces, so that tests see many segments with little data.
pub(super) const SMALL: Layout =
    Layout { segment: 64 * 1024, large_from: 32 * 1024, queue: 1 << 20 };

/// What an object is known by in tests.
pub(super) type Key = Vec<u8>;

/// An index that knows where keys lie.
#[derive(Default)]
pub(super) struct Map {
    pub(super) places: Mutex<HashMap<u128, Location>>,
    /// Tokens that came back without a place.
    pub(super) failed: Mutex<Vec<u64>>,
    /// What to keep when its segment goes.
    pub(super) wanted: Mutex<Vec<u128>>,
    /// What was soft-purged.
    pub(super) stale: Mutex<Vec<u128>>,
    /// Keys by their hashes, for those who have to tell.
    pub(super) names: Mutex<HashMap<u128, Key>>,
    /// Keys that were forgotten for good.
    pub(super) gone: Mutex<Vec<Key>>,
    pub(super) now: AtomicU64,
}

impl Owner for Map {
    fn written(&self, token: u64, hash: u128, location: Option<Location>) -> bool {
        match location {
            Some(location) => {
                hold(&self.places).insert(hash, location);
            }
            None => hold(&self.failed).push(token),
        }
        true
    }

    fn evicted(&self, hash: u128, _: Variant, location: Location) -> Keep {
        let mut places = hold(&self.places);
        if places.get(&hash) != Some(&location) {
            return Keep::Unknown;
        }
        if hold(&self.wanted).contains(&hash) {
            return Keep::Again { stale: hold(&self.stale).contains(&hash) };
        }
        places.remove(&hash);
        Keep::Drop
    }

    fn moved(&self, hash: u128, _: Variant, from: Location, to: Option<Location>) {
        let mut places = hold(&self.places);
        if places.get(&hash) == Some(&from) {
            match to {
                Some(to) => places.insert(hash, to),
                None => places.remove(&hash),
            };
        }
    }
}

impl Map {
    pub(super) fn clock(&self) -> Now {
        Now { instant: Instant(self.now.load(Ordering::Relaxed)), unix_nanos: 0 }
    }

    pub(super) fn seconds(&self, seconds: u64) {
        self.now.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
    }

    pub(super) fn place(&self, key: &[u8]) -> Option<Location> {
        hold(&self.places).get(&hash_of(key)).copied()
    }
}

/// A store without threads: the test says when the writer works.
pub(super) struct Rig {
    pub(super) disk: Arc<Disk>,
    pub(super) writer: Box<Writer>,
    pub(super) map: Map,
    /// What was told at the opening: key, body's length, whether it is stale.
    pub(super) found: Vec<(Key, u64, bool)>,
}

impl Rig {
    pub(super) fn open(directory: &std::path::Path, bytes: u64) -> Self {
        Self::open_on(Box::new(System), directory, bytes)
    }

    pub(super) fn open_on(
        device: Box<dyn Device>,
        directory: &std::path::Path,
        bytes: u64,
    ) -> Self {
        let map = Map::default();
        let mut found = Vec::new();
        let settings = Settings { directory: directory.to_owned(), bytes };
        let (disk, mut workers) = Disk::open_on(device, SMALL, &settings, &mut |object| {
            let place = hold(&map.places).insert(object.hash, object.location);
            assert_eq!(place, None, "a variant is told once");
            assert_eq!(object.hash, hash_of(object.key));
            found.push((object.key.to_vec(), object.body, object.stale));
            if object.stale {
                hold(&map.stale).push(object.hash);
            }
        })
        .expect("the directory is ours");
        let writer = workers[0].writer.take().expect("the first is the writer");
        Self { disk, writer, map, found }
    }

    /// Closes it as a process does that ends in peace.
    pub(super) fn close(mut self) {
        self.disk.close();
        let map = &self.map;
        self.writer.run(map, &|| map.clock());
    }

    pub(super) fn drain(&mut self) {
        let map = &self.map;
        self.writer.drain(map, &|| map.clock());
    }

    pub(super) fn offer(&self, key: &[u8], body: &[u8]) -> bool {
        // In two pieces, as a body comes.
        let (front, back) = body.split_at(body.len() / 3);
        let body = vec![Bytes::copy_from_slice(front), Bytes::copy_from_slice(back)];
        entry(key, |entry| self.disk.offer(&entry, body))
    }

    pub(super) fn variant(&self, key: &[u8]) -> Variant {
        self.disk.variant(key, b"selector", b"accept")
    }

    pub(super) fn forget(&self, key: &[u8], how: Forget) -> Settled {
        let place = match how {
            Forget::Hard => hold(&self.map.places).remove(&hash_of(key)),
            Forget::Stale => {
                hold(&self.map.stale).push(hash_of(key));
                self.map.place(key)
            }
        };
        self.disk.forget(self.variant(key), place, how)
    }

    /// The body of a key, read and checked in every part.
    pub(super) fn body(&self, key: &[u8]) -> Result<Bytes, ReadError> {
        let place = self.map.place(key).ok_or(ReadError::Gone)?;
        let loaded = self.disk.read_now(place, key)?;
        assert_eq!(loaded.key(), key);
        assert_eq!(loaded.selector(), b"selector");
        assert_eq!(loaded.vary(), b"accept");
        assert_eq!(loaded.tags().collect::<Vec<_>>(), [b"tag", key]);
        assert_eq!(loaded.meta(), [3; 40]);
        assert_eq!(loaded.head(), HEAD);
        match loaded.body() {
            Body::Whole(body) => Ok(body.clone()),
            Body::Large(large) => self.parts(large, 0),
        }
    }

    /// A large body from `at` on.
    pub(super) fn parts(&self, large: &Large, at: u64) -> Result<Bytes, ReadError> {
        let mut body = Vec::new();
        while at + (body.len() as u64) < large.length() {
            body.extend(self.disk.part_now(large, at + body.len() as u64)?);
        }
        Ok(body.into())
    }
}

pub(super) const HEAD: &[u8] = b"200 a packed head";

pub(super) fn key(at: usize) -> Key {
    format!("host\0http\0/{at}").into_bytes()
}

/// The entry of a key, all parts of which follow from it.
pub(super) fn entry<T>(key: &[u8], then: impl FnOnce(Entry<'_>) -> T) -> T {
    then(Entry {
        token: 7,
        hash: hash_of(key),
        key,
        selector: b"selector",
        vary: b"accept",
        tags: &[b"tag", key],
        meta: &[3; 40],
        head: HEAD,
        stale: false,
    })
}

/// Bytes of all files of a store.
pub(super) fn bytes_in(directory: &std::path::Path) -> u64 {
    files_in(directory).iter().map(|path| path.metadata().unwrap().len()).sum()
}

/// Segments and large files.
pub(super) fn files_in(directory: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![directory.join("segments"), directory.join("large")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The index's hash: any function will do.
pub(super) fn hash_of(key: &[u8]) -> u128 {
    u128::from(crc32fast::hash(key)) << 64 | key.len() as u128
}

/// Content that only this key has.
pub(super) fn content(key: &[u8], length: usize) -> Vec<u8> {
    let mut state = u64::from(crc32fast::hash(key)) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = doorman_http::mix(state);
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Whether a mark is safely on disk, as far as can be told now.
pub(super) fn is_settled(settled: &mut Settled) -> Option<bool> {
    struct Nobody;
    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let waker = Waker::from(Arc::new(Nobody));
    match Pin::new(settled).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(settled) => Some(settled),
        Poll::Pending => None,
    }
}
