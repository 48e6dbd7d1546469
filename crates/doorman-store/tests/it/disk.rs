//! The index over a disk tier, with its threads and a directory of the test's own.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use doorman_cache::PackedHead;
use doorman_cache::evict::Method;
use doorman_http::{FieldId, ResponseHead};
use doorman_store::disk::Disk;
use doorman_store::{Found, How, Led, Object, OnDisk, Purge, Settings, Store, disk};

use crate::kit::{Answer, Bell, Client, at, meta, whole};

/// A store with its threads.
pub(crate) struct Rig {
    pub(crate) store: Arc<Store>,
}

/// Ends the threads once all that waits is written, even if the test fails.
struct Close<'a>(&'a Disk);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Rig {
    /// Opens a store, has `test` do something with it, and closes it.
    pub(crate) fn with(directory: &Path, memory: u64, test: impl FnOnce(&Self)) {
        let settings =
            Settings { name: "test".into(), memory, max_object: 8 << 20, evict: Method::S3Fifo };
        let on = disk::Settings { directory: directory.join("store"), bytes: 64 << 20 };
        let (store, workers) = Store::open_with_disk(settings, &on, at(0)).unwrap();
        let rig = Self { store };
        thread::scope(|scope| {
            for worker in workers {
                let store = &*rig.store;
                scope.spawn(move || worker.run(store, &|| at(0)));
            }
            let _close = Close(rig.disk());
            test(&rig);
        });
    }

    fn disk(&self) -> &Arc<Disk> {
        self.store.disk().unwrap()
    }

    /// Waits until all that was offered is written: a mark that is settled comes after it.
    fn settle(&self) {
        let other = self.disk().variant(b"no such key", b"", b"");
        let settled = self.disk().forget(other, None, disk::Forget::Hard);
        assert!(block(settled));
    }

    fn on_disk(&self, client: &Client) -> OnDisk {
        match client.look(&self.store) {
            Found::Disk(on_disk) => on_disk,
            other => panic!("not on disk but {other:?}"),
        }
    }

    fn load(&self, client: &Client) -> Option<Arc<Object>> {
        match client.look(&self.store) {
            Found::Hit(object) => Some(object),
            Found::Disk(on_disk) => block(self.store.load(&on_disk)),
            Found::Miss | Found::Uncacheable => None,
        }
    }
}

fn block<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let (bell, waker) = Bell::new();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => bell.wait(),
        }
    }
}

fn client(rig: &Rig, n: usize) -> Client {
    Client::of(&rig.store, &format!("http://a.example/{n}"), &[])
}

fn body(n: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (n + at / 3).to_le_bytes()[0]).collect()
}

/// What leaves memory is found on disk, and comes back to memory; what is long is read by parts.
#[test]
fn what_leaves_memory_comes_back_from_disk() {
    let directory = tempfile::tempdir().unwrap();
    Rig::with(directory.path(), 9 << 20, |rig| {
        let sizes = [0, 1, 1_000, 100_000, 900_000, 3_000_000];
        for (n, len) in sizes.into_iter().enumerate() {
            let answer = Answer { tags: vec!["t"], ..Answer::of(body(n, len)) };
            client(rig, n).store(&rig.store, &answer);
        }
        rig.settle();
        rig.store.set_limits(0, 8 << 20);
        assert_eq!((rig.store.used(), rig.store.stats().objects), (0, 6));
        rig.store.set_limits(9 << 20, 8 << 20);
        for (n, len) in sizes.into_iter().enumerate() {
            let client = client(rig, n);
            let known = rig.on_disk(&client);
            assert_eq!((known.length(), known.meta().is_fresh(at(0))), (len as u64, true));
            let object = rig.load(&client).unwrap();
            assert!(whole(&object) == body(n, len), "{len}");
            assert_eq!(object.head().first(FieldId::CacheControl), Some(&b"max-age=60"[..]));
            assert_eq!(object.tags().collect::<Vec<_>>(), [b"t"]);
            // Long ones stay on disk: they would push everything else out.
            assert_eq!(client.hit(&rig.store).is_some(), len < 1 << 20, "{len}");
        }
        assert_eq!(rig.store.purge(&Purge::Tag(b"t"), How::Hard).objects, 6);
        assert_eq!((rig.store.used(), rig.store.stats().objects), (0, 0));
    });
}

#[test]
fn a_restart_finds_what_was_stored_and_not_what_was_purged() {
    let directory = tempfile::tempdir().unwrap();
    Rig::with(directory.path(), 1 << 20, |rig| {
        for n in 0..6 {
            let answer = Answer { tags: vec![["even", "odd"][n % 2]], ..Answer::of(body(n, 500)) };
            client(rig, n).store(&rig.store, &answer);
        }
        let hard = rig.store.purge(&Purge::Url(&client(rig, 0).key), How::Hard);
        assert!(block(hard.settled.unwrap()));
        rig.store.purge(&Purge::Tag(b"odd"), How::Soft);
        // A purge of what has been written already, and a new version of what was purged.
        rig.settle();
        rig.store.purge(&Purge::Url(&client(rig, 2).key), How::Hard);
        client(rig, 2).store(&rig.store, &Answer::of("new"));
    });

    Rig::with(directory.path(), 1 << 20, |rig| {
        assert!(matches!(client(rig, 0).look(&rig.store), Found::Miss));
        for n in 1..6 {
            let object = rig.load(&client(rig, n)).unwrap();
            assert_eq!(object.is_purged(), n % 2 == 1, "{n}");
            let expect = if n == 2 { b"new".to_vec() } else { body(n, 500) };
            assert_eq!(whole(&object), expect, "{n}");
        }
        let purged = rig.store.purge(&Purge::All, How::Hard);
        assert_eq!(purged.objects, 5);
    });

    Rig::with(directory.path(), 1 << 20, |rig| {
        assert_eq!(rig.store.stats().objects, 0);
    });
}

/// A validation of what came from disk reaches the disk, and so does what replaces it.
#[test]
fn validations_and_replacements_reach_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    Rig::with(directory.path(), 1 << 20, |rig| {
        for n in 0..3 {
            client(rig, n).store(&rig.store, &Answer::of(body(n, 100)));
        }
    });
    Rig::with(directory.path(), 1 << 20, |rig| {
        let lead = |n: usize, instead_of| {
            let client = client(rig, n);
            let patience = std::time::Duration::ZERO;
            let led = rig.store.lead(&client.key, &client.chooser(), instead_of, patience, at(0));
            match led {
                Led::Lead(lead) => lead,
                other => panic!("{other:?}"),
            }
        };
        let first = rig.load(&client(rig, 0)).unwrap();
        let mut head = ResponseHead::new(200);
        head.fields.push(b"ETag", b"new");
        let head = PackedHead::pack(&head).unwrap();
        lead(0, Some(Arc::clone(&first))).freshen(&first, head, meta());
        // The second is replaced without having been read, the third is not after all.
        let known = |n| rig.on_disk(&client(rig, n)).known();
        let mut filling =
            Answer::default().fill(&client(rig, 1), lead(1, Some(known(1))), None).unwrap();
        filling.push(b"replaced");
        filling.finish().unwrap();
        let filling =
            Answer::default().fill(&client(rig, 2), lead(2, Some(known(2))), None).unwrap();
        drop(filling);
        assert_eq!(whole(&rig.load(&client(rig, 2)).unwrap()), body(2, 100));
    });
    Rig::with(directory.path(), 1 << 20, |rig| {
        let load = |n| rig.load(&client(rig, n)).unwrap();
        assert_eq!(load(0).head().first(FieldId::Etag), Some(&b"new"[..]));
        assert_eq!(whole(&load(0)), body(0, 100));
        assert_eq!(whole(&load(1)), b"replaced");
        assert_eq!(whole(&load(2)), body(2, 100));
    });
}

/// What is too long for memory is validated where it is.
#[test]
fn a_validation_of_a_long_body_makes_it_fresh() {
    let directory = tempfile::tempdir().unwrap();
    Rig::with(directory.path(), 9 << 20, |rig| {
        let client = client(rig, 0);
        client.store(&rig.store, &Answer::of(body(0, 2_000_000)));
        rig.settle();
        rig.store.set_limits(0, 8 << 20);
        rig.store.purge(&Purge::All, How::Soft);
        let stale = rig.load(&client).unwrap();
        assert!(!stale.meta().is_fresh(at(0)));
        let known = rig.on_disk(&client).known();
        let patience = std::time::Duration::ZERO;
        let led = rig.store.lead(&client.key, &client.chooser(), Some(known), patience, at(0));
        let Led::Lead(lead) = led else { panic!("{led:?}") };
        let answer = lead.freshen(&stale, stale.head().clone(), meta());
        assert!(whole(&answer) == body(0, 2_000_000));
        assert!(rig.on_disk(&client).meta().is_fresh(at(0)));
        assert!(whole(&rig.load(&client).unwrap()) == body(0, 2_000_000));
    });
}

/// More than the disk holds: the oldest go, what is used stays, and the index forgets what is gone.
#[test]
fn the_disk_makes_room_and_the_index_follows() {
    let directory = tempfile::tempdir().unwrap();
    Rig::with(directory.path(), 2 << 20, |rig| {
        let many = 250;
        for n in 0..many {
            client(rig, n).store(&rig.store, &Answer::of(body(n, 400_000)));
            rig.settle();
        }
        let stats = rig.store.stats();
        assert!(stats.objects < 200 && stats.objects > 50, "{stats:?}");
        for n in 0..many {
            let client = client(rig, n);
            let object = match client.look(&rig.store) {
                Found::Hit(object) => object,
                Found::Disk(on_disk) => block(rig.store.load(&on_disk)).unwrap(),
                _ => continue,
            };
            assert!(whole(&object) == body(n, 400_000), "{n}");
        }
        assert!(matches!(client(rig, 0).look(&rig.store), Found::Miss));
    });
}
