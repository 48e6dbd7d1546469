use super::super::*;
use super::rig::{Rig, content};

const BYTES: u64 = 4 * 1024 * 1024;

#[test]
fn what_is_written_is_read_and_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("store");
    let lengths = [0, 1, 100, 4096, 65_535, 65_536, 65_537, 30_000, 7];
    let mut rig = Rig::open(&place, BYTES);
    assert_eq!(rig.found, []);
    for (at, &length) in lengths.iter().enumerate().filter(|(_, length)| **length < 32_768) {
        let key = format!("host\0http\0/{at}").into_bytes();
        assert!(rig.offer(&key, &content(&key, length)));
    }
    rig.drain();
    let check = |rig: &Rig| {
        for (at, &length) in lengths.iter().enumerate().filter(|(_, length)| **length < 32_768) {
            let key = format!("host\0http\0/{at}").into_bytes();
            assert_eq!(rig.body(&key).unwrap(), content(&key, length), "{length}");
        }
    };
    check(&rig);
    // As if killed: nothing is written at the end.
    drop(rig);
    let rig = Rig::open(&place, BYTES);
    assert_eq!(rig.found.len(), 6);
    check(&rig);
    rig.close();
    let rig = Rig::open(&place, BYTES);
    assert_eq!(rig.found.len(), 6);
    check(&rig);
}
