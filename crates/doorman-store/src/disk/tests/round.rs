use super::super::*;
use super::rig::{Rig, content, is_settled, key};

const BYTES: u64 = 4 * 1024 * 1024;

#[test]
fn what_is_written_is_read_and_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("store");
    // Around the length from which an object is a file, and around blocks.
    let lengths = [0, 1, 100, 4096, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 400_000];
    let mut rig = Rig::open(&place, BYTES);
    assert_eq!(rig.found, []);
    for (at, &length) in lengths.iter().enumerate() {
        assert!(rig.offer(&key(at), &content(&key(at), length)));
    }
    rig.drain();
    let check = |rig: &Rig| {
        for (at, &length) in lengths.iter().enumerate() {
            assert_eq!(rig.body(&key(at)).unwrap(), content(&key(at), length), "{length}");
        }
        let stats = rig.disk.stats();
        assert_eq!((stats.objects, stats.damaged, stats.errors), (11, 0, 0));
    };
    check(&rig);
    // As if killed: nothing is written at the end.
    drop(rig);
    let rig = Rig::open(&place, BYTES);
    let mut found: Vec<u64> = rig.found.iter().map(|(_, length, _)| *length).collect();
    found.sort_unstable();
    assert_eq!(found, lengths.map(|length| length as u64));
    check(&rig);
    rig.close();
    let rig = Rig::open(&place, BYTES);
    assert_eq!(rig.found.len(), 11);
    check(&rig);
}

#[test]
fn the_newest_of_a_variant_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), BYTES);
    // Each length stands for a version, in and out of segments.
    for lengths in [[10, 20], [30, 40_000], [50_000, 60], [70_000, 80_000]] {
        for length in lengths {
            assert!(rig.offer(&key(1), &content(&key(1), length)));
            rig.drain();
        }
        drop(rig);
        rig = Rig::open(directory.path(), BYTES);
        assert_eq!(rig.found, [(key(1), lengths[1] as u64, false)]);
        assert_eq!(rig.body(&key(1)).unwrap().len(), lengths[1]);
    }
    assert_eq!(rig.disk.directory.large_files().unwrap().len(), 1, "the others went");
}

#[test]
fn what_was_forgotten_stays_so() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), BYTES);
    for (at, length) in [(0, 10), (1, 10), (2, 10), (3, 50_000), (4, 50_000), (5, 50_000)] {
        assert!(rig.offer(&key(at), &content(&key(at), length)));
    }
    rig.drain();
    let mut settled = [rig.forget(&key(0), Forget::Hard), rig.forget(&key(3), Forget::Hard)];
    let soft = [rig.forget(&key(1), Forget::Stale), rig.forget(&key(4), Forget::Stale)];
    // Forgotten while it still waits to be written, small and large.
    for at in [6, 7] {
        assert!(rig.offer(&key(at), &content(&key(at), if at == 6 { 10 } else { 50_000 })));
        drop(rig.forget(&key(at), Forget::Hard));
    }
    // Forgotten, and offered again after that.
    drop(rig.forget(&key(2), Forget::Hard));
    assert!(rig.offer(&key(2), b"anew"));
    assert!(settled.iter_mut().all(|one| is_settled(one).is_none()), "the writer did not run");
    rig.drain();
    assert!(settled.into_iter().chain(soft).all(|mut one| is_settled(&mut one) == Some(true)));
    let expect =
        [(key(1), 10, true), (key(2), 4, false), (key(4), 50_000, true), (key(5), 50_000, false)];
    for end in ["killed", "closed", "closed again"] {
        if end == "killed" {
            drop(rig)
        } else {
            rig.close()
        }
        rig = Rig::open(directory.path(), BYTES);
        rig.found.sort();
        assert_eq!(rig.found, expect, "{end}");
        assert_eq!(rig.disk.stats().objects, 4);
    }
    let mut all = rig.disk.forget_all();
    assert!(rig.offer(&key(9), b"after"));
    rig.drain();
    assert_eq!(is_settled(&mut all), Some(true));
    assert_eq!(rig.disk.stats().objects, 1);
    drop(rig);
    assert_eq!(Rig::open(directory.path(), BYTES).found, [(key(9), 5, false)]);
}

#[test]
fn the_oldest_goes_and_what_is_in_use_stays() {
    let directory = tempfile::tempdir().unwrap();
    let limit = 10 * 64 * 1024;
    let mut rig = Rig::open(directory.path(), limit);
    for at in 0..200 {
        let length = if at % 50 == 7 { 40_000 } else { 5_000 };
        assert!(rig.offer(&key(at), &content(&key(at), length)));
        if at == 3 || at == 7 {
            hold(&rig.map.wanted).push(super::rig::hash_of(&key(at)));
        }
        rig.drain();
        let on_disk = super::rig::bytes_in(directory.path());
        assert!(on_disk <= limit, "{on_disk} after {at}");
        assert_eq!(rig.disk.stats().bytes, on_disk);
    }
    let stats = rig.disk.stats();
    assert!(stats.kept >= 2 && stats.evictions > 50, "{stats:?}");
    let places = hold(&rig.map.places).len();
    assert_eq!(stats.objects, places as u64);
    let check = |rig: &Rig| {
        for at in [3, 7, 199] {
            let length = if at % 50 == 7 { 40_000 } else { 5_000 };
            assert_eq!(rig.body(&key(at)).unwrap(), content(&key(at), length), "{at}");
        }
        assert_eq!(rig.body(&key(4)), Err(ReadError::Gone));
    };
    check(&rig);
    drop(rig);
    let mut rig = Rig::open(directory.path(), limit);
    assert_eq!(rig.found.len(), places);
    check(&rig);
    // A purge reaches what was written again, although it keeps its old number.
    drop(rig.forget(&key(3), Forget::Hard));
    rig.drain();
    drop(rig);
    let mut rig = Rig::open(directory.path(), limit);
    assert!(rig.found.iter().all(|(found, ..)| *found != key(3)));
    // Less room: the oldest goes, and files with it.
    rig.disk.limit.store(limit / 2, Ordering::Relaxed);
    rig.drain();
    assert!(super::rig::bytes_in(directory.path()) <= limit / 2);
    assert_eq!(rig.body(&key(199)).unwrap(), content(&key(199), 5_000));
}

#[test]
fn a_soft_purge_outlives_its_mark() {
    let directory = tempfile::tempdir().unwrap();
    let limit = 6 * 64 * 1024;
    let mut rig = Rig::open(directory.path(), limit);
    assert!(rig.offer(&key(0), b"small"));
    assert!(rig.offer(&key(1), &content(&key(1), 40_000)));
    hold(&rig.map.wanted).extend([0, 1].map(|at| super::rig::hash_of(&key(at))));
    for at in [0, 1] {
        drop(rig.forget(&key(at), Forget::Stale));
    }
    // Until the segment with the marks has gone.
    for at in 10..300 {
        assert!(rig.offer(&key(at), &content(&key(at), 5_000)));
        rig.drain();
    }
    drop(rig);
    let rig = Rig::open(directory.path(), limit);
    let found =
        |at| rig.found.iter().find(|(found, ..)| *found == key(at)).map(|(.., stale)| *stale);
    assert_eq!([found(0), found(1)], [Some(true); 2]);
}

#[test]
fn many_restarts_make_no_heap_of_segments() {
    let directory = tempfile::tempdir().unwrap();
    for at in 0..60 {
        let mut rig = Rig::open(directory.path(), BYTES);
        assert_eq!(rig.found.len(), at);
        assert!(rig.offer(&key(at), &content(&key(at), 3_000)));
        rig.drain();
        if at % 2 == 0 { rig.close() } else { drop(rig) }
    }
    let rig = Rig::open(directory.path(), BYTES);
    assert!(rig.disk.directory.segments().unwrap().len() <= 5);
}

#[test]
fn a_full_queue_refuses_and_a_part_too_long_does() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), BYTES);
    let body = vec![0; 300_000];
    let taken = (0..10).filter(|at| rig.offer(&key(*at), &body)).count();
    assert_eq!(taken, 3, "a mebibyte waits at most");
    assert_eq!(rig.disk.stats().refused, 7);
    rig.drain();
    assert!(rig.offer(&key(11), &body), "there is room again");
    assert!(!rig.offer(&vec![b'k'; format::HEAD_MAX], b"long"));
}

#[test]
fn what_was_replaced_does_not_come_back_when_the_new_one_goes() {
    // Small by large, in the segment in work; the large file goes first.
    let directory = tempfile::tempdir().unwrap();
    let limit = 10 * 64 * 1024;
    let mut rig = Rig::open(directory.path(), limit);
    for length in [10, 40_000] {
        assert!(rig.offer(&key(1), &content(&key(1), length)));
    }
    for at in 2..30 {
        assert!(rig.offer(&key(at), &content(&key(at), 40_000)));
        rig.drain();
    }
    assert!(rig.map.place(&key(1)).is_none(), "it went");
    drop(rig);
    let mut rig = Rig::open(directory.path(), limit);
    assert!(rig.found.iter().all(|(found, ..)| *found != key(1)));
    // By one that does not fit, in a stream and whole.
    for (at, old) in [(50, 10), (51, 40_000), (52, 10)] {
        assert!(rig.offer(&key(at), &content(&key(at), old)));
        rig.drain();
        assert!(rig.offer(&key(at), &content(&key(at), 400_000)));
        rig.drain();
    }
    drop(rig);
    let rig = Rig::open(directory.path(), limit);
    assert!((50..53).all(|at| rig.found.iter().all(|(found, ..)| *found != key(at))));
}
