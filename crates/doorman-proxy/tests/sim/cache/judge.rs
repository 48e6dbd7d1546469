//! What is looked at of every answer.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Scene;
use super::client::Asked;
use super::model::{By, Face, Truth};
use crate::message::{Ended, Message};

/// Ages are whole seconds, and an answer is asked for a moment before it is judged how old it is.
const SLACK_MS: u64 = 2_000;
/// Bytes of bodies that pass by the store because it has no room for them, while they do: what all
/// clients read at a time.
const PASSING_MAX: u64 = super::CLIENTS * 200_000;
/// A question to an origin: to connect, and to wait for its head, with one more try where a connection
/// was stale.
const QUESTION_MS: u64 = 20_000;
/// What came for one who asked earlier may be given to who waited with him: it is as old as a
/// question to an origin takes, and a wait.
const COLLAPSED_MS: u64 = QUESTION_MS + 1_500;

/// How often each thing was seen: a check of what never happens is none.
#[derive(Default)]
pub(super) struct Seen([AtomicU64; WORDS.len()]);

/// What must have been seen after all seeds.
const WORDS: [&str; 19] = [
    "answer",
    "hit",
    "refresh",
    "error",
    "revalidated",
    "collapsed",
    "stored",
    "slices",
    "cut",
    "200",
    "206",
    "several",
    "304",
    "416",
    "503",
    "504",
    "changed",
    "private",
    "evicted",
];

impl Seen {
    pub(super) fn add(&self, word: &str) {
        let index = WORDS.iter().position(|known| *known == word).expect("a known word");
        self.0[index].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        WORDS.iter().zip(&self.0).map(|(word, n)| (*word, n.load(Ordering::Relaxed))).collect()
    }
}

/// Looks at an answer; gives the version that it is of.
pub(super) fn answer(scene: &Scene, asked: &Asked, answer: &Message) -> Option<Face> {
    let truth = &scene.truth;
    scene.seen.add("answer");
    let most = scene.store.memory() + PASSING_MAX;
    assert!(scene.store.used() <= most, "memory: {:?}", scene.store.stats());
    let status = answer.status();
    if status == 408 {
        assert!(!scene.is_steady, "{answer:?}");
        return None;
    }
    if asked.method == "POST" {
        changed(scene, asked, answer);
        return None;
    }
    if matches!(status, 502..=504) {
        let alone = asked.says("only-if-cached") && status == 504;
        assert!(alone || !truth.gentle, "{} {}: {answer:?}", asked.method, asked.page.path());
        if status != 502 {
            scene.seen.add(if status == 503 { "503" } else { "504" });
        }
        return None;
    }
    if status == 416 {
        scene.seen.add("416");
        assert!(asked.field("range").is_some());
        return None;
    }
    let described = || format!("{:?} got {} {:?}", asked.fields, answer.start, answer.fields);
    assert!(matches!(status, 200 | 206 | 304), "{}", described());
    let face = Face::parse(answer.field("x-face").unwrap_or_else(|| panic!("{}", described())));
    assert_eq!(face.page, asked.page, "another page: {}", described());
    let field = |name: &str| asked.field(name).map(str::to_owned);
    let own = Truth::face(asked.page, face.version, field);
    assert_eq!(face, own, "another variant: {}", described());
    if let Some(tag) = answer.field("etag") {
        assert!(truth.is_tag_of(tag, &face), "two versions in one head: {}", described());
    }
    if let Some(cookie) = answer.field("set-cookie") {
        assert_eq!(cookie, format!("id={}", asked.field("x-client").expect("it is sent")));
    }
    body(scene, asked, answer, &face);
    age(scene, asked, answer, &face);
    Some(face)
}

fn changed(scene: &Scene, asked: &Asked, answer: &Message) {
    let truth = &scene.truth;
    if !matches!(answer.status(), 200 | 201) {
        assert!(!truth.gentle && matches!(answer.status(), 500 | 502..=504), "{answer:?}");
        return;
    }
    scene.seen.add("changed");
    let step = answer.field("x-step").and_then(|step| step.parse().ok()).expect("a step");
    truth.bar(asked.page, step);
    if let Some(other) = asked.other {
        truth.bar(other, step);
    }
}

/// The bytes are the version's, and as many as they look.
fn body(scene: &Scene, asked: &Asked, answer: &Message, face: &Face) {
    let status = answer.status();
    let described = || format!("{} {:?}: {} {:?}", face, asked.fields, answer.start, answer.fields);
    scene.seen.add(match status {
        200 => "200",
        206 => "206",
        _ => "304",
    });
    if answer.field("x-mistaken").is_some() {
        assert_eq!(status, 304, "a mistaken word was taken for true: {}", described());
        return;
    }
    if status == 304 {
        assert_eq!(asked.known.as_ref(), Some(face), "what it has not: {}", described());
        return;
    }
    let whole = face.body();
    if asked.method == "HEAD" {
        if let Some(length) = answer.field("content-length") {
            assert_eq!(length, whole.len().to_string(), "{}", described());
        }
        return;
    }
    let mut parts = vec![(0, whole.len(), &answer.body[..])];
    if status == 206 {
        assert!(asked.field("range").is_some(), "a part that nobody asked for: {}", described());
        let boundary = answer.field("content-type").and_then(|kind| kind.split_once("boundary="));
        parts = match (answer.field("content-range"), boundary) {
            (Some(range), None) => {
                let (from, to, length) = content_range(range);
                assert_eq!(length, whole.len(), "{}", described());
                vec![(from, to, &answer.body[..])]
            }
            (None, Some((_, boundary))) => {
                scene.seen.add("several");
                several(answer, boundary.trim_matches('"'))
            }
            _ => panic!("{}", described()),
        };
    }
    for (from, to, bytes) in parts {
        let expected = &whole[from..to];
        let same = expected.iter().zip(bytes).take_while(|(one, other)| one == other).count();
        assert_eq!(same, bytes.len(), "bytes of something else: {}", described());
        if answer.ended == Ended::Whole {
            assert_eq!(bytes.len(), expected.len(), "cut, and looks whole: {}", described());
        }
    }
    if answer.ended != Ended::Whole {
        scene.seen.add("cut");
        // The slices of a body may be of two versions: it ends there.
        let is_sliced = asked.page.is_sliced();
        assert!(!scene.truth.gentle || is_sliced, "cut: {}", described());
    }
}

fn content_range(value: &str) -> (usize, usize, usize) {
    let numbers = value.strip_prefix("bytes ").and_then(|value| {
        let (range, length) = value.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        Some((first.parse().ok()?, last.parse::<usize>().ok()? + 1, length.parse().ok()?))
    });
    numbers.unwrap_or_else(|| panic!("a strange Content-Range: {value}"))
}

/// The parts of several ranges. Of a body that was cut, those that came whole.
fn several<'a>(answer: &'a Message, boundary: &str) -> Vec<(usize, usize, &'a [u8])> {
    let mut parts = Vec::new();
    let (mut rest, mark) = (&answer.body[..], format!("--{boundary}"));
    loop {
        let find = |rest: &[u8], what: &[u8]| rest.windows(what.len()).position(|w| w == what);
        let Some(start) = find(rest, mark.as_bytes()) else { break };
        rest = &rest[start + mark.len()..];
        if rest.starts_with(b"--") {
            return parts;
        }
        let Some(end) = find(rest, b"\r\n\r\n") else { break };
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        let range = head.lines().find_map(|line| line.strip_prefix("content-range: "));
        let (from, to, _) = content_range(range.expect("each part says which it is"));
        rest = &rest[end + 4..];
        let Some(end) = find(rest, format!("\r\n{mark}").as_bytes()) else { break };
        parts.push((from, to, &rest[..end]));
        rest = &rest[end..];
    }
    assert_ne!(answer.ended, Ended::Whole, "several ranges without an end");
    parts
}

/// It is no older than it may be.
fn age(scene: &Scene, asked: &Asked, answer: &Message, face: &Face) {
    let truth = &scene.truth;
    let number = |name: &str| {
        let value = answer.field(name)?.parse::<u64>();
        Some(value.unwrap_or_else(|_| panic!("{name} is no number: {:?}", answer.fields)))
    };
    let told = answer.field("cache-status").unwrap_or_default();
    let (step, said_ms) = (number("x-step").expect("a step"), number("x-at").expect("a time"));
    let old_ms = asked.at_ms.saturating_sub(said_ms);
    let described = || format!("{face} said at {said_ms}, {asked:?}: {told}, {:?}", answer.fields);
    let reign = truth.reign(face.page, face.version);
    assert!(reign.contains(&step), "no origin has said so: {}", described());
    let least = truth.least(face.page, asked.step);
    assert!(step >= least, "{step} is older than a change or a purge at {least}: {}", described());
    note(scene, told);
    let manner = face.page.manner();
    // Of slices it is not told who has fetched them.
    let is_sliced = face.page.is_sliced();
    let is_collapsed = told.contains("collapsed") || is_sliced;
    let (stale, on_error) = manner.windows;
    let window = if truth.gentle { stale } else { stale.max(on_error) };
    let mut most_ms = 1_000 * (manner.lifetime + window) + SLACK_MS;
    if !told.contains("hit") && !is_sliced {
        most_ms = 0;
    }
    let is_own = match manner.by {
        _ if asked.field("cookie").is_some() && manner.kind != "shared" => true,
        By::Client => true,
        By::ClientIfOdd => face.variant != "all",
        By::Login => asked.field("authorization").is_some(),
        By::Url | By::Field(_) | By::Coding | By::Cookie => manner.kind == "never",
    };
    if is_own {
        scene.seen.add("private");
    }
    if is_own || asked.says("no-cache") || asked.says("max-age=0") {
        most_ms = 0;
    }
    if let Some(most) = asked.directive("max-age").filter(|_| most_ms > 0) {
        most_ms = most_ms.min(most * 1_000 + SLACK_MS);
    }
    if let Some(more) = asked.directive("max-stale").filter(|_| most_ms > 0 && stale > 0) {
        most_ms += more * 1_000;
    }
    if is_collapsed && !is_own {
        most_ms += COLLAPSED_MS;
    }
    let holds = told.contains("fwd-status=304");
    if holds {
        // What is still coming keeps its head although its origin says that it holds.
        assert!(reign.end > asked.step, "held no more: {}", described());
    } else if most_ms == 0 {
        assert!(step > asked.step, "said before it was asked: {}", described());
    }
    assert!(old_ms <= most_ms || holds, "{old_ms} ms old, {most_ms} at most: {}", described());
    let age_ms = number("age").unwrap_or(0) * 1_000;
    assert!(age_ms + SLACK_MS >= old_ms, "older than its Age: {}", described());
    let youngest = truth.now().0 / 1_000_000 - said_ms;
    let before = if manner.kind == "aged" { 3_000 } else { 0 };
    // All of the time that a question takes counts, whenever it was answered.
    assert!(
        age_ms <= youngest + before + QUESTION_MS + SLACK_MS,
        "younger than its Age: {}",
        described()
    );
}

fn note(scene: &Scene, told: &str) {
    for (mark, word) in [
        ("; hit", "hit"),
        ("detail=refresh", "refresh"),
        ("detail=error", "error"),
        ("fwd-status=304", "revalidated"),
        ("collapsed", "collapsed"),
        ("stored", "stored"),
        ("slices", "slices"),
    ] {
        if told.contains(mark) {
            scene.seen.add(word);
        }
    }
}
