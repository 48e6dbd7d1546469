//! What is on disk: it is there after an end and after a crash (OPS-06), it is never wrong, and a disk
//! that takes nothing more costs nobody an answer (OPS-03).

use doorman_testkit::origin::{Script, Seen, Step};
use doorman_testkit::process::{Program, folder, free_address};
use doorman_testkit::sums::Pattern;

use crate::rig::{Ask, Begun, FRONTS, Front, House, Setup, bare, fresh, said};

const ON_DISK: Setup<'_> = Setup {
    global: "",
    store: "memory 16MiB; disk 64MiB @DISK",
    cache: "purge from 127.0.0.0/8",
    site: "@CACHE; proxy web",
    upstream: "",
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

/// What the first process knew of its pages the second one knows, too.
#[test]
fn ops_06_variants_ages_and_validators_are_there_after_a_crash() {
    let setup = Setup { cache: "stale 1h", secure: true, ..ON_DISK };
    let mut house = House::start(&setup, |n, seen| match seen.target() {
        "/varied" => fresh("Vary: X-A\r\n", seen.field("x-a").unwrap_or("none")),
        "/old" => fresh("Age: 40\r\n", "page"),
        "/checked" if seen.field("if-none-match") == Some("\"v\"") => {
            bare("304 Not Modified", "Cache-Control: max-age=60\r\nETag: \"v\"\r\n")
        }
        "/checked" => said("Cache-Control: s-maxage=60\r\nAge: 60\r\nETag: \"v\"\r\n", "page"),
        "/stale" if n == 0 => said("Cache-Control: max-age=60\r\nAge: 60\r\nETag: \"0\"\r\n", "0"),
        _ => fresh("", n.to_string()),
    });
    for a in ["1", "2", ""] {
        house.get_with("/varied", &[("x-a", a)]).is(a);
    }
    house.get("/varied").is("none");
    for target in ["/old", "/checked"] {
        house.get(target).is("page");
    }
    house.get("/stale").is("0");
    house.until("all on disk", || house.objects("disk") >= 7);
    house.crash(&setup);
    for a in ["1", "2", ""] {
        house.get_with("/varied", &[("x-a", a)]).is(a);
    }
    house.get("/varied").is("none");
    house.get_with("/varied", &[("x-a", "3")]).is("3");
    assert_eq!(house.asked("/varied"), 5);
    let old = house.get("/old");
    old.is("page");
    assert!(old.age().is_some_and(|age| (40..60).contains(&age)), "{old:?}");
    house.get("/checked").is("page");
    let checks = house.requests("/checked");
    assert_eq!((checks.len(), checks[1].field("if-none-match")), (2, Some("\"v\"")));
    house.get("/checked").is("page");
    // It comes at once, and is refreshed.
    house.get("/stale").is("0");
    house.until("a new page", || house.get("/stale").text() == "1");
    assert_eq!((house.asked("/old"), house.asked("/checked"), house.asked("/stale")), (1, 2, 2));
}

#[test]
fn large_pages_are_given_out_of_disk() {
    const LENGTH: usize = 6 << 20;
    let setup = Setup { store: "memory 8MiB; disk 128MiB @DISK", secure: true, ..ON_DISK };
    let mut house = House::start(&setup, |_, seen| {
        let seed = seen.target().len() as u64;
        fresh("ETag: \"a\"\r\n", Pattern { seed }.bytes(LENGTH))
    });
    let check = |house: &House, front: Front, target: &str| {
        let whole = Pattern { seed: target.len() as u64 }.bytes(LENGTH);
        let got = house.ask(front, &Ask::get(target));
        assert!(got.whole && got.body == whole, "{front:?} {target}: {}", got.body.len());
        let part = Ask::get(target).with("range", "bytes=5000000-5000099");
        let part = house.ask(front, &part);
        assert!(part.status == 206 && part.body == whole[5_000_000..5_000_100], "{front:?}");
    };
    for target in ["/a", "/bb", "/ccc"] {
        check(&house, Front::H1, target);
    }
    house.until("all on disk", || house.objects("disk") >= 3);
    for front in [Front::H1, Front::H2, Front::H3] {
        for target in ["/a", "/bb", "/ccc"] {
            check(&house, front, target);
        }
    }
    // Clients at once, and one that leaves in the middle.
    let mut leaver = house.begin(&Ask::get("/dddd"));
    let _ = leaver.wait("\r\n\r\n");
    leaver.raw.reset();
    let begun = house.at_once(&vec![Ask::get("/dddd"); 5]);
    for got in begun.into_iter().map(Begun::got) {
        assert!(got.whole && got.body == Pattern { seed: 5 }.bytes(LENGTH));
    }
    assert!(house.asked("/dddd") <= 2);
    let before = total(&house);
    house.restart(&setup);
    for target in ["/a", "/bb", "/ccc"] {
        check(&house, Front::H2, target);
    }
    assert_eq!(total(&house), before);
}

#[test]
fn what_is_purged_softly_is_stale_after_a_crash() {
    let mut house =
        House::start(&ON_DISK, |n, _| fresh(&format!("ETag: \"{n}\"\r\n"), n.to_string()));
    house.get("/a").is("0");
    house.until("it is on disk", || house.objects("disk") >= 1);
    let soft = Ask::new("PURGE", "/a").with("soft-purge", "1");
    assert_eq!(house.ask(Front::Plain, &soft).status, 200);
    house.get("/b").is("0");
    house.until("what came behind it is on disk", || house.objects("disk") >= 2);
    house.crash(&ON_DISK);
    house.get("/a").is("1");
    house.get("/b").is("0");
}

/// What came cut is not on disk, however far it came.
#[test]
fn cin_01_what_was_cut_is_not_there_after_a_restart() {
    const LENGTH: u64 = 2_500_000;
    let mut house = House::start(&ON_DISK, |n, seen| {
        let part = if n == 0 && seen.target() != "/whole" { LENGTH - 1_000 } else { LENGTH };
        let head = format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {LENGTH}\r\n\r\n"
        );
        let script = Script::new().send(head).then(Step::SendPattern(Pattern { seed: 4 }, part));
        if part < LENGTH { script.close() } else { script }
    });
    for target in ["/1", "/2", "/3"] {
        assert!(!house.get(target).whole, "{target}");
    }
    assert!(house.get("/whole").whole);
    house.until("the whole one", || house.objects("disk") >= 1);
    assert_eq!(house.objects("disk"), 1);
    house.crash(&ON_DISK);
    for target in ["/1", "/2", "/3", "/whole"] {
        let got = house.get(target);
        assert!(got.whole && got.body.len() as u64 == LENGTH, "{target}: {}", got.body.len());
        assert_eq!(Pattern { seed: 4 }.differs(0, &got.body), None, "{target}");
        assert_eq!(house.asked(target), if target == "/whole" { 1 } else { 2 });
    }
}

/// Somebody tidies up under the program's feet.
#[test]
fn files_that_vanish_are_misses() {
    let setup = Setup { store: "memory 2MiB; disk 64MiB @DISK", ..ON_DISK };
    let house = House::start(&setup, page);
    for number in 1..=60 {
        right(&house, Front::Plain, number);
    }
    house.until("all on disk", || house.objects("disk") >= 60);
    std::fs::remove_dir_all(house.data.path().join("store")).expect("our own folder");
    for _ in 0..2 {
        for number in 1..=60 {
            right(&house, Front::Plain, number);
        }
    }
}

#[test]
fn ops_05_a_folder_that_leads_elsewhere_is_not_used() {
    let data = folder();
    let elsewhere = data.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("our own folder");
    std::fs::write(elsewhere.join("own"), "somebody's").expect("our own folder");
    std::os::unix::fs::symlink(&elsewhere, data.path().join("link")).expect("our own folder");
    let store = format!("memory 16MiB; disk 64MiB {}/link", data.path().display());
    let text = format!(
        "doorman 1\nglobal {{ data d; bind 127.0.0.1; admin unix:admin.sock }}\nstore main {{ {store} }}\n\
         site http://*:{} {{ cache main; proxy 127.0.0.1:9 }}\n",
        free_address().port()
    );
    let mut process = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start()
        .expect("the program can be started");
    // It says so, and either ends or goes on without that disk.
    let _ = process.wait_for_words("link");
    let _ = process.stop();
    let mut files = std::fs::read_dir(&elsewhere).expect("our own folder");
    assert_eq!(files.by_ref().count(), 1, "nothing was written there");
    assert!(elsewhere.join("own").exists());
}
