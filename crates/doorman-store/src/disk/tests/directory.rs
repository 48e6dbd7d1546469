//! OPS-05: the directory is ours alone, or it is not used.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::super::*;
use super::rig::{Rig, content, files_in, key};

const BYTES: u64 = 4 * 1024 * 1024;

fn refusal(path: &std::path::Path) -> String {
    let settings = Settings { directory: path.to_owned(), bytes: BYTES };
    match Disk::open(&settings, &mut |_| panic!("there is nothing")) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn ops_05_it_is_closed_to_others() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("store");
    let mut rig = Rig::open(&place, BYTES);
    assert!(rig.offer(&key(1), b"small") && rig.offer(&key(2), &content(&key(2), 50_000)));
    rig.drain();
    let mode = |path: &std::path::Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!(mode(&place), 0o700);
    assert_eq!(mode(&place.join("segments")), 0o700);
    assert!(files_in(&place).iter().all(|path| mode(path) == 0o600));
    drop(rig);
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    drop(Rig::open(&place, BYTES));
    assert_eq!(mode(&place), 0o700, "what was opened to others is closed again");
}

#[test]
fn ops_05_somebody_elses_directory_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("letters.txt"), "dear").unwrap();
    let refused = refusal(home.path());
    assert!(refused.contains("letters.txt") && refused.contains("a directory of its own"));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    let place = home.path().join("link");
    symlink(home.path(), &place).unwrap();
    assert!(refusal(&place).contains("without following links"));
    assert!(refusal(&home.path().join("letters.txt")).contains("without following links"));
    assert!(refusal(&home.path().join("no/such")).contains("make the directory"));
}

#[test]
fn ops_05_a_second_process_is_told_who_is_there() {
    let home = tempfile::tempdir().unwrap();
    let rig = Rig::open(home.path(), BYTES);
    let who = rustix::process::getpid().as_raw_nonzero();
    assert!(refusal(home.path()).ends_with(&format!("is in use by process {who}")));
    drop(rig);
    drop(Rig::open(home.path(), BYTES));
}

#[test]
fn ops_05_planted_names_are_not_followed() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("store");
    let secret = home.path().join("secret");
    fs::write(&secret, "not ours").unwrap();
    drop(Rig::open(&place, BYTES));
    fs::create_dir(place.join("large/07")).unwrap();
    symlink(&secret, place.join("segments/0000000000000005.seg")).unwrap();
    symlink(&secret, place.join("large/07/0000000000000007.obj")).unwrap();
    symlink(home.path(), place.join("large/08")).unwrap();
    fs::create_dir(place.join("segments/0000000000000006.seg")).unwrap();
    let foreign =
        ["notes", "segments/notes.seg", "segments/0000000000000001.SEG", "large/07/x.obj"];
    for name in foreign {
        fs::write(place.join(name), "not ours").unwrap();
    }
    for _ in 0..2 {
        let mut rig = Rig::open(&place, BYTES);
        // Names that are taken are passed over.
        for at in 0..20 {
            assert!(rig.offer(&key(at), &content(&key(at), 40_000)));
            rig.drain();
        }
        let mut all = rig.disk.forget_all();
        rig.drain();
        assert_eq!(super::rig::is_settled(&mut all), Some(true));
    }
    // An unknown version is cleared out, and nothing of others with it.
    fs::write(place.join("format"), "doorman-cache 999 0 0 0\n").unwrap();
    drop(Rig::open(&place, BYTES));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "not ours");
    for name in foreign {
        assert_eq!(fs::read_to_string(place.join(name)).unwrap(), "not ours", "{name}");
    }
    assert!(place.join("segments/0000000000000005.seg").is_symlink());
    assert!(place.join("large/08").is_symlink());
}

#[test]
fn ops_05_a_link_in_the_place_of_a_file_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("store");
    let mut rig = Rig::open(&place, BYTES);
    assert!(rig.offer(&key(1), b"small") && rig.offer(&key(2), &content(&key(2), 50_000)));
    rig.drain();
    let places = hold(&rig.map.places).clone();
    rig.close();
    for path in files_in(&place) {
        let moved = home.path().join(path.file_name().unwrap());
        fs::rename(&path, &moved).unwrap();
        symlink(&moved, &path).unwrap();
    }
    let rig = Rig::open(&place, BYTES);
    assert_eq!(rig.found, []);
    // What lies behind the links is whole, and an index that still names it gets nothing.
    hold(&rig.map.places).clone_from(&places);
    assert!([1, 2].iter().all(|at| rig.body(&key(*at)).is_err()));
}

#[test]
fn ops_02_another_version_is_cleared_out_with_one_line() {
    for (format, said) in [
        ("doorman-cache 0 1 2 3\n", "of version \"0\""),
        ("doorman-cache 2 x\n", "of version \"2\""),
        ("\u{0}\u{0}\u{0}", "damaged format file"),
        ("", "damaged format file"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let mut rig = Rig::open(home.path(), BYTES);
        assert!(rig.offer(&key(1), b"small") && rig.offer(&key(2), &content(&key(2), 50_000)));
        rig.drain();
        drop(rig);
        fs::write(home.path().join("format"), format).unwrap();
        let rig = Rig::open(home.path(), BYTES);
        assert_eq!(rig.found, []);
        let news = rig.disk.take_news();
        assert!(
            news.len() == 1 && news[0].contains(said) && news[0].contains("2 files"),
            "{news:?}"
        );
        assert_eq!(files_in(home.path()).len(), 0);
        drop(rig);
        assert_eq!(Rig::open(home.path(), BYTES).disk.take_news(), [""; 0]);
    }
}
