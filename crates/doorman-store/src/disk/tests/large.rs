use super::super::*;
use super::rig::{Rig, content, entry, key};

const BYTES: u64 = 8 * 1024 * 1024;

fn large(rig: &Rig, key: &[u8]) -> Large {
    let place = rig.map.place(key).expect("it was written");
    match rig.disk.read_now(place, key).expect("it is whole").body() {
        Body::Large(large) => large.clone(),
        Body::Whole(_) => panic!("it is no file of its own"),
    }
}

#[test]
fn a_body_that_comes_in_pieces_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), BYTES);
    let body = content(&key(1), 1_000_000);
    entry(&key(1), |entry| {
        let mut stream = rig.disk.begin(&entry).unwrap();
        for piece in body.chunks(77_777) {
            assert!(stream.push(Bytes::copy_from_slice(piece)));
        }
        stream.finish();
    });
    // One that is given up, and one that still comes when the process ends.
    let open = [2, 3].map(|at| {
        entry(&key(at), |entry| {
            let mut stream = rig.disk.begin(&entry).unwrap();
            assert!(stream.push(Bytes::from_static(b"some")));
            stream
        })
    });
    rig.drain();
    assert_eq!(rig.body(&key(1)).unwrap(), body);
    let [given_up, coming] = open;
    drop(given_up);
    rig.drain();
    assert_eq!(*hold(&rig.map.failed), [7]);
    assert_eq!(rig.disk.stats().bytes, super::rig::bytes_in(directory.path()));
    drop(rig);
    drop(coming);
    let rig = Rig::open(directory.path(), BYTES);
    assert_eq!(rig.found, [(key(1), 1_000_000, false)]);
    assert_eq!(rig.disk.directory.large_files().unwrap().len(), 1, "what was cut went");
    assert_eq!(rig.body(&key(1)).unwrap(), body);
}

#[test]
fn pieces_are_read_from_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), BYTES);
    let body = content(&key(1), 600_001);
    assert!(rig.offer(&key(1), &body));
    rig.drain();
    let large = large(&rig, &key(1));
    assert_eq!(large.length(), 600_001);
    for at in [0, 1, 65_535, 65_536, 65_537, 262_143, 262_144, 300_000, 600_000, 600_001, 700_000] {
        let part = rig.disk.part_now(&large, at).unwrap();
        let start = usize::try_from(at).unwrap().min(body.len());
        assert_eq!(part, body[start..start + part.len()], "{at}");
        assert_eq!(part.is_empty(), at >= 600_001, "{at}");
        match rig.disk.try_part(&large, at) {
            Tried::Ready(tried) => assert_eq!(tried, part),
            Tried::WouldBlock => {}
            Tried::Damaged => panic!("{at}"),
        }
    }
    // It goes, and who reads it reads on (OPS-07).
    drop(rig.forget(&key(1), Forget::Hard));
    rig.drain();
    assert_eq!(rig.disk.directory.large_files().unwrap(), []);
    assert_eq!(rig.parts(&large, 0).unwrap(), body);
}

#[test]
fn a_stream_that_is_forgotten_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), BYTES);
    let streams = [1, 2].map(|at| {
        entry(&key(at), |entry| {
            let mut stream = rig.disk.begin(&entry).unwrap();
            assert!(stream.push(Bytes::from(content(&key(at), 50_000))));
            stream
        })
    });
    rig.drain();
    drop(rig.forget(&key(1), Forget::Hard));
    drop(rig.forget(&key(2), Forget::Stale));
    streams.into_iter().for_each(Stream::finish);
    rig.drain();
    assert!(rig.map.place(&key(1)).is_none());
    drop(rig);
    assert_eq!(Rig::open(directory.path(), BYTES).found, [(key(2), 50_000, true)]);
}

#[test]
fn one_object_takes_half_of_the_store_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), 1 << 20);
    assert!(rig.offer(&key(1), &content(&key(1), 300_000)));
    assert!(rig.offer(&key(2), &content(&key(2), 600_000)));
    rig.drain();
    assert!(rig.body(&key(1)).is_ok());
    assert!(rig.map.place(&key(2)).is_none());
    assert_eq!((rig.disk.stats().refused, rig.disk.problem()), (1, None));
    assert_eq!(rig.disk.stats().bytes, super::rig::bytes_in(directory.path()));
}
