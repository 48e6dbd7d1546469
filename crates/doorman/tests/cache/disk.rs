//! What is on disk: it is there after an end and after a crash (OPS-06), it is never wrong, and a disk
//! that takes nothing more costs nobody an answer (OPS-03).

use doorman_testkit::origin::{Script, Seen};
use doorman_testkit::sums::Pattern;

use crate::rig::{Ask, FRONTS, Front, House, Setup, fresh};

const ON_DISK: Setup<'_> = Setup {
    store: "memory 16MiB; disk 64MiB @DISK",
    cache: "purge from 127.0.0.0/8",
    site: "@CACHE; proxy web",
    upstream: "",
    global: "",
    secure: false,
    shell: None,
};

/// Small and large pages, whose bytes their number tells.
fn page(_: usize, seen: &Seen) -> Script {
    let number: u64 = seen.target()[1..].parse().unwrap_or(0);
    fresh(&format!("ETag: \"{number}\"\r\nX-Own: {number}\r\n"), body(number))
}

fn body(number: u64) -> Vec<u8> {
    let length = if number.is_multiple_of(10) { 1_500_000 } else { 500 + number * 37 };
    Pattern { seed: number }.bytes(usize::try_from(length).expect("small"))
}

#[track_caller]
fn right(house: &House, front: Front, number: u64) {
    let got = house.ask(front, &Ask::get(&format!("/{number}")));
    assert_eq!((got.status, got.whole), (200, true), "{number}");
    assert!(got.body == body(number), "page {number} has other bytes: {} of them", got.body.len());
    let own = number.to_string();
    assert_eq!(got.field("x-own"), Some(own.as_str()));
}

fn total(house: &House) -> usize {
    house.origin().requests().len()
}

#[test]
fn ops_06_what_is_on_disk_is_there_after_a_restart() {
    let setup = Setup { secure: true, ..ON_DISK };
    let mut house = House::start(&setup, page);
    for number in 1..=20 {
        right(&house, Front::Plain, number);
    }
    right(&house, Front::H1, 3);
    house.until("all on disk", || house.objects("disk") >= 21);
    assert_eq!(total(&house), 21);
    house.restart(&setup);
    for number in 1..=20 {
        right(&house, Front::Plain, number);
    }
    for front in FRONTS {
        right(&house, front, 3);
    }
    assert_eq!(total(&house), 21, "nothing was fetched again");
    // Parts and conditions are answered from there, too, and it knows its age.
    let part = house.get_with("/10", &[("range", "bytes=1000000-1000009")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &body(10)[1_000_000..1_000_010]));
    assert_eq!(house.get_with("/7", &[("if-none-match", "\"7\"")]).status, 304);
    assert!(house.get("/7").age().is_some());
    assert_eq!(total(&house), 21);
}

#[test]
fn ops_06_a_crash_loses_at_most_what_was_not_written() {
    let mut house = House::start(&ON_DISK, page);
    for number in 1..=30 {
        right(&house, Front::Plain, number);
    }
    house.until("some on disk", || house.objects("disk") >= 10);
    house.crash(&ON_DISK);
    for number in 1..=30 {
        right(&house, Front::Plain, number);
    }
    let fetched = total(&house) - 30;
    assert!(fetched <= 20, "{fetched} of 30 were fetched again");
    // And what was being written when it was killed is nobody's page.
    for round in 0..3 {
        let begun = house.at_once(
            &(0..20)
                .map(|n| Ask::get(&format!("/{}", 100 * round + n * 10 + 50)))
                .collect::<Vec<_>>(),
        );
        drop(begun);
        house.crash(&ON_DISK);
    }
    for number in (1..=30).chain((5..40).map(|n| n * 10)) {
        right(&house, Front::Plain, number);
    }
}

#[test]
fn what_is_purged_stays_purged_after_a_crash() {
    let mut house = House::start(&ON_DISK, page);
    for number in 1..=5 {
        right(&house, Front::Plain, number);
    }
    house.until("all on disk", || house.objects("disk") >= 5);
    let status = house.ask(Front::Plain, &Ask::new("PURGE", "/3")).status;
    assert!(matches!(status, 200 | 204), "{status}");
    house.until("four on disk", || house.objects("disk") == 4);
    house.crash(&ON_DISK);
    for number in 1..=5 {
        right(&house, Front::Plain, number);
    }
    assert_eq!(house.asked("/3"), 2);
    assert_eq!(total(&house), 6);
}

#[test]
fn what_memory_has_no_room_for_is_read_from_disk() {
    let setup = Setup { store: "memory 1MiB; disk 64MiB @DISK", ..ON_DISK };
    let house = House::start(&setup, |_, seen| {
        let number: u64 = seen.target()[1..].parse().unwrap_or(0);
        fresh(&format!("X-Own: {number}\r\n"), Pattern { seed: number }.bytes(50_000))
    });
    for _ in 0..2 {
        for number in 1..=100 {
            let got = house.get(&format!("/{number}"));
            assert!(got.whole && got.body == Pattern { seed: number }.bytes(50_000), "{number}");
            house.until("it is written", || house.objects("disk") >= number);
        }
    }
    assert_eq!(total(&house), 100);
}

/// Files may not grow beyond so many blocks of 512 bytes: what is written beyond fails, as on a full
/// disk, on every machine and without a file system of its own.
const FULL: &str = "trap '' XFSZ; ulimit -f 2048";

#[test]
fn ops_03_a_disk_that_takes_no_more_costs_no_answer() {
    let setup = Setup { shell: Some(FULL), ..ON_DISK };
    let mut house = House::start(&setup, page);
    for _ in 0..2 {
        for number in 1..=40 {
            right(&house, Front::Plain, number);
        }
    }
    let disk = house.process().folder().exists();
    assert!(disk, "the process lives");
    house.until("somebody says so", || house.said().iter().any(|line| line.contains("disk")));
    // What memory holds is still given out without asking.
    let before = total(&house);
    right(&house, Front::Plain, 39);
    assert_eq!(total(&house), before);
    // With room again, it is as it was.
    house.restart(&ON_DISK);
    for number in 1..=9 {
        right(&house, Front::Plain, number);
    }
    house.until("pages on disk", || house.objects("disk") >= 9);
}

#[test]
fn ops_02_damaged_files_are_nobodys_page() {
    let mut house = House::start(&ON_DISK, page);
    for number in 1..=20 {
        right(&house, Front::Plain, number);
    }
    house.until("all on disk", || house.objects("disk") >= 20);
    let folder = house.data.path().join("store");
    let mut files = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("our own folder") {
            let path = entry.expect("our own folder").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    house.finish();
    for file in files {
        let mut bytes = std::fs::read(&file).expect("our own file");
        // A bit of every 997th byte.
        for byte in bytes.iter_mut().skip(13).step_by(997) {
            *byte ^= 4;
        }
        std::fs::write(&file, bytes).expect("our own file");
    }
    house.open(&ON_DISK);
    for _ in 0..2 {
        for number in 1..=20 {
            right(&house, Front::Plain, number);
        }
    }
    assert!(total(&house) > 20, "nothing was damaged?");
}
