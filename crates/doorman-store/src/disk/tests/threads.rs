//! The workers in threads of their own, as the binary runs them.

use std::pin::pin;
use std::sync::Condvar;
use std::sync::atomic::AtomicBool;
use std::task::{Wake, Waker};

use super::super::*;
use super::rig::{Map, SMALL, content, entry, hash_of, key};

/// Wakes a thread that waits for a future.
#[derive(Default)]
struct Bell(Mutex<bool>, Condvar);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *hold(&self.0) = true;
        self.1.notify_all();
    }
}

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        let rung = bell.1.wait_while(hold(&bell.0), |rung| !*rung);
        *rung.unwrap() = false;
    }
}

struct Closer<'a>(&'a Disk, &'a AtomicBool);

impl Drop for Closer<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.1.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_and_the_writer_work_side_by_side() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { directory: directory.path().to_owned(), bytes: 12 * 64 * 1024 };
    let (disk, workers) = Disk::open_on(Box::new(System), SMALL, &settings, &mut |_| {}).unwrap();
    assert_eq!(
        workers.iter().map(Worker::name).collect::<Vec<_>>(),
        ["cache-write", "cache-read", "cache-read"]
    );
    let map = Map::default();
    let read = |disk: &Disk, at: usize| {
        let place = map.place(&key(at))?;
        let body = match disk.try_read(&place, &key(at)) {
            Tried::Ready(loaded) => loaded.body().clone(),
            Tried::Damaged => panic!("{at}"),
            Tried::WouldBlock => match wait(disk.read(&place, &key(at))) {
                Ok(loaded) => loaded.body().clone(),
                // Evicted meanwhile.
                Err(ReadError::Gone) => return None,
                Err(why) => panic!("{at}: {why:?}"),
            },
        };
        match body {
            Body::Whole(body) => assert_eq!(body, content(&key(at), body.len())),
            Body::Large(large) => {
                let part = match disk.try_part(&large, 7) {
                    Tried::Ready(part) => part,
                    Tried::Damaged => panic!("{at}"),
                    Tried::WouldBlock => wait(disk.part(&large, 7)).unwrap(),
                };
                assert_eq!(part, content(&key(at), 7 + part.len())[7..]);
            }
        }
        Some(())
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| worker.run(&map, &|| map.clock()));
        }
        // Also if the test fails: the scope waits for all of them.
        let _closer = Closer(&disk, &done);
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let (disk, read, done) = (&disk, &read, &done);
                scope.spawn(move || {
                    let rounds = (0..).take_while(|_| !done.load(Ordering::Relaxed));
                    rounds.filter_map(|at: usize| read(disk, (at * 7 + reader) % 300)).count()
                })
            })
            .collect();
        for at in 0..300 {
            let length = if at % 20 == 3 { 40_000 } else { 3_000 };
            let body = || vec![Bytes::from(content(&key(at), length))];
            while !entry(&key(at), |entry| disk.offer(&entry, body())) {
                // The queue is full: a purge that is safe has been behind all of it.
                assert!(wait(disk.forget(disk.variant(b"", b"", b""), None, Forget::Hard)));
            }
            if at % 10 == 9 {
                hold(&map.places).remove(&hash_of(&key(at)));
                assert!(wait(disk.forget(
                    disk.variant(&key(at), b"selector", b"accept"),
                    None,
                    Forget::Hard
                )));
            }
        }
        assert!(wait(disk.forget(disk.variant(b"", b"", b""), None, Forget::Hard)));
        assert!(read(&disk, 298).is_some());
        done.store(true, Ordering::Relaxed);
        let reads: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(reads > 0);
        disk.close();
        // Those who come after the end are told so.
        let place = map.place(&key(298)).unwrap();
        assert_eq!(wait(disk.read(&place, &key(298))).err(), Some(ReadError::Busy));
        assert!(!wait(disk.forget_all()));
        assert!(!entry(&key(1), |entry| disk.offer(&entry, vec![])));
    });
    assert_eq!(disk.stats().damaged, 0);
    assert!(disk.stats().evictions > 0);
}
