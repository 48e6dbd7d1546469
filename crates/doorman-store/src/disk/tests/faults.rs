//! OPS-03, OPS-04: a disk that is full, broken, read-only, slow, or takes half of what it is given.

use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Condvar;
use std::sync::atomic::AtomicBool;

use rustix::io::Errno;

use super::super::directory::Name;
use super::super::*;
use super::rig::{Rig, bytes_in, content, entry, is_settled, key};

const BYTES: u64 = 10 * 64 * 1024;

/// What is wrong with a disk.
#[derive(Default)]
struct Faults {
    /// Bytes that can still be written; below zero there is no end.
    left: Mutex<Option<u64>>,
    /// What writes and removals say.
    error: Mutex<Option<Errno>>,
    /// Takes one byte of each write less than it could.
    short: AtomicBool,
    /// Writes wait for this to be lifted.
    stuck: Mutex<bool>,
    bell: Condvar,
}

#[derive(Clone, Default)]
struct Broken(Arc<Faults>);

impl Broken {
    fn is_failed(&self) -> io::Result<()> {
        hold(&self.0.error).map_or(Ok(()), |error| Err(error.into()))
    }

    fn fail(&self, error: Errno) {
        *hold(&self.0.error) = Some(error);
    }

    fn heal(&self) {
        *hold(&self.0.error) = None;
        *hold(&self.0.left) = None;
    }
}

impl Device for Broken {
    fn create(&self, directory: &Directory, name: Name) -> io::Result<File> {
        self.is_failed()?;
        System.create(directory, name)
    }

    fn write(&self, file: &File, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let stuck = hold(&self.0.stuck);
        drop(self.0.bell.wait_while(stuck, |stuck| *stuck).unwrap());
        self.is_failed()?;
        let mut room = usize::MAX;
        if self.0.short.load(Ordering::Relaxed) {
            room = parts.iter().map(|part| part.len()).sum::<usize>().div_ceil(2);
        }
        if let Some(left) = *hold(&self.0.left) {
            room = room.min(usize::try_from(left).unwrap());
            if room == 0 {
                return Err(Errno::NOSPC.into());
            }
        }
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        bytes.truncate(room);
        let written = System.write(file, &[IoSlice::new(&bytes)], offset)?;
        if let Some(left) = &mut *hold(&self.0.left) {
            *left -= written as u64;
        }
        Ok(written)
    }

    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        self.is_failed()?;
        System.cut(file, length)
    }

    fn remove(&self, directory: &Directory, name: Name) -> io::Result<()> {
        self.is_failed()?;
        let size = directory.file(name, rustix::fs::OFlags::RDONLY).and_then(|it| it.metadata());
        System.remove(directory, name)?;
        if let (Ok(size), Some(left)) = (size, &mut *hold(&self.0.left)) {
            *left += size.len();
        }
        Ok(())
    }
}

fn open(broken: &Broken, directory: &tempfile::TempDir) -> Rig {
    Rig::open_on(Box::new(broken.clone()), directory.path(), BYTES)
}

#[test]
fn ops_03_and_04_writing_pauses_and_goes_on() {
    for error in [Errno::NOSPC, Errno::IO, Errno::ROFS, Errno::DQUOT] {
        let directory = tempfile::tempdir().unwrap();
        let broken = Broken::default();
        let mut rig = open(&broken, &directory);
        let (small, large) = (content(&key(1), 100), content(&key(2), 50_000));
        assert!(rig.offer(&key(1), &small) && rig.offer(&key(2), &large));
        rig.drain();
        broken.fail(error);
        assert!(rig.offer(&key(3), &small));
        assert!(rig.offer(&key(4), &large), "nobody knows yet");
        rig.drain();
        assert_eq!(*hold(&rig.map.failed), [7, 7]);
        let problem = rig.disk.problem().unwrap();
        let words = io::Error::from(error).to_string();
        assert!(problem.contains(&words) && problem.contains("memory only"), "{problem}");
        assert!(!rig.offer(&key(5), &small), "it is known now");
        // What is there is served all the same.
        assert_eq!(rig.body(&key(1)).unwrap(), small);
        assert_eq!(rig.body(&key(2)).unwrap(), large);
        // A purge is not believed to be safe.
        let mut purged = rig.forget(&key(1), Forget::Hard);
        let mut large_purged = rig.forget(&key(2), Forget::Hard);
        rig.drain();
        assert_eq!([is_settled(&mut purged), is_settled(&mut large_purged)], [Some(false); 2]);
        rig.map.seconds(29);
        rig.drain();
        assert!(!rig.offer(&key(5), &small), "29 seconds are not 30");
        rig.map.seconds(1);
        rig.drain();
        assert!(rig.disk.problem().is_some(), "it was tried again, and is as before");
        assert!(!rig.offer(&key(5), &small));
        broken.heal();
        rig.map.seconds(30);
        rig.drain();
        assert_eq!(rig.disk.problem(), None);
        assert_eq!([is_settled(&mut purged), is_settled(&mut large_purged)], [Some(true); 2]);
        assert!(rig.offer(&key(5), &small));
        rig.drain();
        assert_eq!(rig.body(&key(5)).unwrap(), small);
        assert!(rig.disk.stats().errors >= 2);
        let news = rig.disk.take_news();
        assert_eq!(news.len(), 2, "told once that it stopped, once that it goes on: {news:?}");
        drop((purged, rig));
        let rig = open(&broken, &directory);
        assert_eq!(rig.found, [(key(5), 100, false)]);
    }
}

#[test]
fn ops_03_full_at_any_byte() {
    // A record, a mark, a table and a large file, with room for so many bytes and no more.
    for room in (0..60_000).step_by(331) {
        let directory = tempfile::tempdir().unwrap();
        let broken = Broken::default();
        let mut rig = open(&broken, &directory);
        assert!(rig.offer(&key(0), b"first"));
        rig.drain();
        *hold(&broken.0.left) = Some(room);
        let lengths = [1_000, 9_000, 33_000, 500, 12_000, 700];
        for (at, length) in lengths.into_iter().enumerate() {
            let _ = rig.offer(&key(at + 1), &content(&key(at + 1), length));
            rig.drain();
        }
        let mut purged = rig.forget(&key(0), Forget::Hard);
        rig.drain();
        broken.heal();
        rig.map.seconds(30);
        rig.drain();
        assert_eq!(is_settled(&mut purged), Some(true), "{room}");
        assert!(rig.offer(&key(9), b"last"), "{room}");
        rig.drain();
        let check = |rig: &Rig| {
            for (at, length) in lengths.into_iter().enumerate() {
                if rig.map.place(&key(at + 1)).is_some() {
                    let body = rig.body(&key(at + 1)).unwrap();
                    assert_eq!(body, content(&key(at + 1), length), "{room}");
                }
            }
            assert_eq!(rig.body(&key(9)).unwrap(), b"last"[..], "{room}");
            assert_eq!(rig.disk.stats().bytes, bytes_in(directory.path()), "{room}");
        };
        check(&rig);
        let places = hold(&rig.map.places).len();
        drop(rig);
        let rig = open(&broken, &directory);
        assert_eq!(rig.found.len(), places, "{room}");
        check(&rig);
    }
}

#[test]
fn ops_03_a_purge_finds_room_on_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let broken = Broken::default();
    let mut rig = open(&broken, &directory);
    for at in 0..60 {
        assert!(rig.offer(&key(at), &content(&key(at), 5_000)));
    }
    rig.drain();
    *hold(&broken.0.left) = Some(0);
    let mut purged = rig.forget(&key(59), Forget::Hard);
    rig.drain();
    assert_eq!(is_settled(&mut purged), Some(true), "the oldest objects made room for it");
    drop((purged, rig));
    let rig = open(&broken, &directory);
    assert!(!rig.found.is_empty() && rig.found.iter().all(|(found, ..)| *found != key(59)));
}

#[test]
fn ops_04_short_writes_are_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let broken = Broken::default();
    broken.0.short.store(true, Ordering::Relaxed);
    let mut rig = open(&broken, &directory);
    for (at, length) in [10, 5_000, 50_000].into_iter().enumerate() {
        assert!(rig.offer(&key(at), &content(&key(at), length)));
    }
    rig.drain();
    drop(rig.forget(&key(0), Forget::Hard));
    rig.close();
    let rig = open(&broken, &directory);
    assert_eq!(rig.found.len(), 2);
    assert_eq!(rig.body(&key(1)).unwrap(), content(&key(1), 5_000));
    assert_eq!(rig.body(&key(2)).unwrap(), content(&key(2), 50_000));
}

#[test]
fn ops_04_a_disk_that_hangs_holds_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let broken = Broken::default();
    let mut rig = open(&broken, &directory);
    assert!(rig.offer(&key(0), b"before"));
    rig.drain();
    let disk = Arc::clone(&rig.disk);
    let place = rig.map.place(&key(0)).unwrap();
    *hold(&broken.0.stuck) = true;
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            rig.drain();
            rig
        });
        // All of this returns while the writer hangs; it is refused once enough waits.
        let body = Bytes::from(vec![1; 100_000]);
        let offer = |at: usize| entry(&key(at), |entry| disk.offer(&entry, vec![body.clone()]));
        let taken = (1..100).filter(|at| offer(*at)).count();
        assert_eq!(taken, 10);
        let mut purged = disk.forget(disk.variant(b"x", b"", b""), None, Forget::Hard);
        assert_eq!(is_settled(&mut purged), None);
        assert!(!matches!(disk.try_read(&place, &key(0)), Tried::Damaged));
        assert!(disk.stats().refused > 80);
        *hold(&broken.0.stuck) = false;
        broken.0.bell.notify_all();
        let mut rig = writer.join().unwrap();
        rig.drain();
        assert_eq!(is_settled(&mut purged), Some(true));
        assert!(rig.body(&key(taken)).is_ok());
    });
}
