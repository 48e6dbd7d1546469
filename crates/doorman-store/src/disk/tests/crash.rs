//! OPS-01: a process that writes under load is killed at any point, again and again, over one
//! store. What comes back is right, all that was written is there, and nothing that was forgotten.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use doorman_http::mix;

use super::super::*;
use super::rig::{Map, Rig, content, entry, hash_of, is_settled, key};

/// Kills. About a tenth of a second each.
const KILLS: usize = 200;
/// Small, so that segments roll and go all the time.
const BYTES: u64 = 20 * 64 * 1024;
/// Objects that one process has numbers for.
const NUMBERS: usize = 1_000_000;

const PLACE: &str = "DOORMAN_TEST_STORE";
const ROUND: &str = "DOORMAN_TEST_ROUND";

/// Says something to the parent, at once: it must be there when the process is killed after it.
fn say(word: char, key: &[u8]) {
    let line = format!("@{word} {}\n", String::from_utf8_lossy(key).replace('\0', "|"));
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

/// An index that says what goes before it goes.
struct Loud<'a>(&'a Map);

impl Loud<'_> {
    fn key(&self, hash: u128) -> Vec<u8> {
        hold(&self.0.names).get(&hash).cloned().expect("every object was told or offered")
    }
}

impl Owner for Loud<'_> {
    fn written(&self, token: u64, hash: u128, location: Option<Location>) -> bool {
        let key = self.key(hash);
        if location.is_some() && !hold(&self.0.gone).contains(&key) {
            say('w', &key);
        }
        self.0.written(token, hash, location)
    }

    fn evicted(&self, hash: u128, variant: Variant, location: Location) -> Keep {
        let keep = self.0.evicted(hash, variant, location);
        if keep == Keep::Drop {
            say('e', &self.key(hash));
        }
        keep
    }

    fn moved(&self, hash: u128, variant: Variant, from: Location, to: Option<Location>) {
        if to.is_none() {
            say('e', &self.key(hash));
        }
        self.0.moved(hash, variant, from, to);
    }
}

/// The process that is killed; the test of this name does nothing unless it is told where.
#[test]
fn child() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let round: usize = std::env::var(ROUND).unwrap().parse().unwrap();
    let mut rig = Rig::open(Path::new(&place), BYTES);
    for (key, ..) in &rig.found {
        hold(&rig.map.names).insert(hash_of(key), key.clone());
    }
    let mut dice = round as u64;
    let mut roll = |sides: u64| {
        dice = mix(dice.wrapping_add(0x9e37_79b9_7f4a_7c15));
        dice % sides
    };
    for at in round * NUMBERS..(round + 1) * NUMBERS {
        let key = key(at);
        hold(&rig.map.names).insert(hash_of(&key), key.clone());
        if at.is_multiple_of(11) {
            hold(&rig.map.wanted).push(hash_of(&key));
        }
        let length = if roll(12) == 0 { 33_000 + roll(40_000) } else { roll(9_000) };
        let body = content(&key, usize::try_from(length).unwrap());
        if roll(20) == 0 {
            entry(&key, |entry| {
                if let Some(mut stream) = rig.disk.begin(&entry) {
                    let mut pieces = body.chunks(4_000);
                    if pieces.all(|piece| stream.push(Bytes::copy_from_slice(piece))) {
                        stream.finish();
                    }
                }
            });
        } else {
            let _ = rig.offer(&key, &body);
        }
        let some = super::rig::key(at - usize::try_from(roll(20)).unwrap().min(at % NUMBERS));
        let mut settled = match roll(6) {
            0 => {
                say('b', &some);
                hold(&rig.map.gone).push(some.clone());
                Some((rig.forget(&some, Forget::Hard), 'f', some))
            }
            1 => Some((rig.forget(&some, Forget::Stale), 's', some)),
            _ => None,
        };
        if settled.is_some() || roll(4) == 0 {
            let map = &rig.map;
            rig.writer.drain(&Loud(map), &|| map.clock());
        }
        if let Some((settled, word, key)) = &mut settled {
            assert_eq!(is_settled(settled), Some(true));
            say(*word, key);
        }
    }
}

/// What the parent knows.
#[derive(Default)]
struct Known {
    written: BTreeSet<Vec<u8>>,
    forgotten: BTreeSet<Vec<u8>>,
    stale: BTreeSet<Vec<u8>>,
}

impl Known {
    fn hear(&mut self, line: &str) {
        let Some((word, key)) = line.strip_prefix('@').and_then(|line| line.split_once(' ')) else {
            return;
        };
        let key = key.trim_end().replace('|', "\0").into_bytes();
        match word {
            "w" => drop(self.written.insert(key)),
            // From here on it may come back or not.
            "b" | "e" => drop(self.written.remove(&key)),
            "f" => drop(self.forgotten.insert(key)),
            "s" => drop(self.stale.insert(key)),
            _ => panic!("{line}"),
        }
    }

    /// Opens the store and compares; returns how many objects came back.
    fn check(&mut self, place: &Path, round: usize) -> usize {
        let rig = Rig::open(place, BYTES);
        let mut found = BTreeSet::new();
        for (key, length, stale) in &rig.found {
            let body = rig.body(key).unwrap_or_else(|why| panic!("round {round}: {why:?}"));
            assert_eq!(body, content(key, usize::try_from(*length).unwrap()), "round {round}");
            assert!(!self.forgotten.contains(key), "round {round}: it came back");
            assert!(*stale || !self.stale.contains(key), "round {round}: it came back fresh");
            found.insert(key.clone());
        }
        let lost: Vec<_> = self.written.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} was written and is lost");
        assert_eq!(rig.disk.stats().damaged, 0, "round {round}: {:?}", rig.disk.take_news());
        self.written = found;
        if round.is_multiple_of(5) {
            rig.close();
        }
        self.written.len()
    }
}

#[test]
fn ops_01_killed_at_any_point() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("store");
    let mut known = Known::default();
    let mut came_back = 0;
    for round in 1..=KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["disk::tests::crash::child", "--exact", "--nocapture"])
            .env(PLACE, &place)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        // Heard lines end at a point that the round chooses; where the child is then, nobody knows.
        let until = 1 + mix(round as u64) % 150;
        let mut line = Vec::new();
        for _ in 0..until {
            line.clear();
            lines.read_until(b'\n', &mut line).unwrap();
            known.hear(&String::from_utf8_lossy(&line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died counts too; a line that was cut says nothing.
        loop {
            line.clear();
            let more = lines.read_until(b'\n', &mut line).unwrap() > 0;
            if !more {
                break;
            }
            if line.ends_with(b"\n") {
                known.hear(&String::from_utf8_lossy(&line));
            }
        }
        came_back += known.check(&place, round);
    }
    assert!(came_back > KILLS * 20, "{came_back}");
    assert!(known.forgotten.len() > KILLS && known.stale.len() > KILLS);
}
