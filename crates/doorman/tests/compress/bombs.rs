//! Small bodies that become huge, and bodies that are no coding at all.

use doorman_testkit::origin::Script;

use crate::decode::{CODINGS, bomb, encode};
use crate::rig::{FRONTS, Front, House, LAST, chunk, chunks, page, text};

/// What the program may need beside what it needs anyway, KiB.
const MEMORY_MAX: usize = 48 * 1024;

fn coded(coding: &str, bytes: &[u8]) -> Script {
    page(&format!("Content-Encoding: {coding}\r\n"), bytes)
}

/// Sends a bomb through these lines to a client of each front; what the client got.
fn check(site: &str, content_max: usize) {
    for coding in CODINGS {
        let bytes = bomb(coding);
        let house = House::with(site, move |seen| {
            if seen.target() == "/still" { page("", "still") } else { coded(coding, &bytes) }
        });
        let before = house.resident_most();
        for front in FRONTS {
            let got = house.try_ask(front, "GET", "/", &[("accept-encoding", "identity")]);
            // It is cut: what went wrong must not look like an answer that is whole.
            if let Ok(got) = got {
                assert!(!got.whole || got.status != 200, "{coding} {front:?}: it is whole");
                assert!(got.body.len() <= content_max, "{coding} {front:?}: {}", got.body.len());
                assert!(got.body.iter().all(|byte| *byte == 0) || got.status != 200);
            }
        }
        let after = house.resident_most();
        assert!(after < before + MEMORY_MAX, "{coding}: {before} KiB, then {after} KiB");
        house.still_serves();
    }
}

#[test]
fn cin_14_a_bomb_is_cut_by_its_ratio() {
    // Below a mebibyte the ratio does not count: small bodies of one letter are no attack.
    check("decompress", 12 << 20);
}

#[test]
fn cin_14_a_bomb_is_cut_by_its_size() {
    check("decompress { ratio 100000; max 2MiB }", 2 << 20);
}

#[test]
fn cin_14_a_bomb_is_cut_where_it_is_coded_anew() {
    for coding in CODINGS {
        let bytes = bomb(coding);
        let house = House::with("compress br gzip zstd { coded recode }\ndecompress", move |_| {
            coded(coding, &bytes)
        });
        let before = house.resident_most();
        let other = if coding == "gzip" { "zstd" } else { "gzip" };
        for front in [Front::Plain, Front::H2] {
            let got = house.try_ask(front, "GET", "/", &[("accept-encoding", other)]);
            if let Ok(got) = got {
                assert!(!got.whole || got.status != 200, "{coding} {front:?}: it is whole");
                assert!(got.body.len() < 1 << 20, "{coding} {front:?}: {}", got.body.len());
            }
        }
        let after = house.resident_most();
        assert!(after < before + MEMORY_MAX, "{coding}: {before} KiB, then {after} KiB");
    }
}

#[test]
fn what_is_within_the_bounds_is_decoded() {
    // A body of one letter: 1 MiB of some hundred bytes, which is far beyond the ratio.
    let content = vec![b'a'; 1 << 20];
    for coding in CODINGS {
        let sent = encode(coding, &content);
        let house = House::with("decompress", move |_| coded(coding, &sent));
        house.get("/", &[]).is("identity", &content);
    }
}

#[test]
fn cin_15_garbage_ends_at_once() {
    let mut dice = doorman_testkit::sums::Dice::new(3);
    for coding in CODINGS {
        let good = encode(coding, &text(1, 60_000));
        let mut bodies = vec![Vec::new(), vec![0; 10_000], vec![0xff; 10_000], good[..9].to_vec()];
        for _ in 0..12 {
            let mut bad = good.clone();
            let at = usize::try_from(dice.below(bad.len() as u64)).expect("an index");
            bad[at] ^= 1 << dice.below(8);
            bodies.push(bad);
        }
        bodies.push([&good[..], b"trailing garbage"].concat());
        let count = bodies.len();
        let house = House::with("decompress", move |seen| {
            let n: usize = seen.target()[1..].parse().expect("a number");
            let fields = format!("Content-Encoding: {coding}\r\n");
            chunks(&fields).send(chunk(&bodies[n])).send(LAST)
        });
        for n in 0..count {
            let front = FRONTS[n % 4];
            let got = house.try_ask(front, "GET", &format!("/{n}"), &[]);
            if let Ok(got) = got
                && got.status == 200
                && got.whole
                && n != 0
            {
                // Not every bit is guarded by a checksum in every coding; none of them makes more.
                assert!(coding != "gzip" && got.body.len() <= 1 << 20, "{coding} {n}");
            }
        }
    }
}
