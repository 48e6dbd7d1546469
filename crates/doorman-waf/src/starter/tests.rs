//! Every rule against what it is for and what looks like it, and all of them against what ordinary
//! sites see all day.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use doorman_http::{Instant, Now};

use super::ask::{Ask, Case};
use super::ordinary::ORDINARY;
use super::{code, table};
use crate::assemble::{Base, Level, Wanted, assemble};
use crate::rule::{Item, Place};
use crate::seclang::Files;
use crate::{Engine, Facts, Report, Transaction, Verdict, Worker};

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
        Err(format!("{name} is not there"))
    }

    fn list(&self, _: &str, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

fn wanted(level: u8) -> Wanted {
    let mut wanted = Wanted::new(Place { file: "doorman.conf".into(), line: 1 }, Base::Starter);
    wanted.level = Level::new(level);
    wanted.response_body_max = Some(1 << 16);
    wanted
}

fn engine(wanted: &Wanted) -> Arc<Engine> {
    let set = assemble(wanted, &NoFiles).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(set.warnings, []);
    Arc::new(Engine::new(set).expect("every rule has a link"))
}

/// The rules of level 1 and 2, made ready once.
static LEVELS: LazyLock<[Arc<Engine>; 2]> =
    LazyLock::new(|| [engine(&wanted(1)), engine(&wanted(2))]);

/// What is on the wire.
#[derive(Default)]
struct Told {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    status: u16,
    answer: Vec<u8>,
}

fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            text + &char::from(byte).to_string()
        }
        _ => text + &format!("%{byte:02X}"),
    })
}

fn told(ask: &Ask) -> Told {
    let get =
        |target: String| Told { method: "GET".into(), target, status: 200, ..Told::default() };
    let post = |kind: &str, body: Vec<u8>| Told {
        method: "POST".into(),
        target: "/post".into(),
        fields: vec![("Content-Type".into(), kind.into())],
        body,
        status: 200,
        ..Told::default()
    };
    match *ask {
        Ask::Target(target) => get(target.into()),
        Ask::Arg(value) => get(format!("/page?x={}", encoded(value))),
        Ask::Search(value) => get(format!("/search?q={}", encoded(value))),
        Ask::Named(name, value) => get(format!("/page?{}={}", encoded(name), encoded(value))),
        Ask::Field(name, value) => {
            Told { fields: vec![(name.into(), value.into())], ..get("/page".into()) }
        }
        Ask::Fields(fields) => Told {
            fields: fields.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
            ..get("/page".into())
        },
        Ask::Cookie(value) => {
            Told { fields: vec![("Cookie".into(), format!("c={value}"))], ..get("/page".into()) }
        }
        Ask::Method(method) => Told { method: method.into(), ..get("/page".into()) },
        Ask::Form(value) => post(
            "application/x-www-form-urlencoded",
            format!("id=7&text={}&ok=1", encoded(value)).into_bytes(),
        ),
        Ask::Json(body) => post("application/json", body.into()),
        Ask::Body(kind, body) => post(kind, body.into()),
        Ask::File(name) => post(
            "multipart/form-data; boundary=b0undary",
            format!(
                "--b0undary\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\nsome bytes\r\n--b0undary--\r\n"
            )
            .into_bytes(),
        ),
        Ask::Answer(status, body) => Told { status, answer: body.into(), ..get("/page".into()) },
    }
}

fn run(engine: &Arc<Engine>, ask: &Ask) -> (Report, bool) {
    let told = told(ask);
    let address = |last| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 443);
    let now = Now { instant: Instant(0), unix_nanos: 0 };
    let facts = Facts { client: address(1), server: address(2), now, unique_id: "u".into() };
    let mut worker = Worker::new(engine);
    let mut transaction = Transaction::new(Arc::clone(engine), facts);
    transaction.request_line(told.method.as_bytes(), told.target.as_bytes(), b"HTTP/1.1");
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (name, value) in &told.fields {
        names.insert(name.to_ascii_lowercase());
        transaction.request_field(name.as_bytes(), value.as_bytes());
    }
    for (name, value) in [("Host", "shop.example"), ("User-Agent", BROWSER), ("Accept", "*/*")] {
        if !names.contains(&name.to_ascii_lowercase()) {
            transaction.request_field(name.as_bytes(), value.as_bytes());
        }
    }
    let mut refused = transaction.request_head(&mut worker) != Verdict::Pass;
    refused |= transaction.request_body(&told.body).is_err();
    refused |= transaction.request_end(&mut worker) != Verdict::Pass;
    transaction.response_line(told.status, b"HTTP/1.1");
    transaction.response_field(b"Content-Type", b"text/html; charset=utf-8");
    refused |= transaction.response_head(&mut worker) != Verdict::Pass;
    refused |= transaction.response_body(&told.answer).is_err();
    refused |= transaction.response_end(&mut worker) != Verdict::Pass;
    (transaction.finish(&mut worker), refused)
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36";

fn ids(report: &Report) -> Vec<u32> {
    report.matches.iter().map(|found| found.rule.id).collect()
}

/// Ids from 500 on in each thousand are of level 2.
const fn level(id: u32) -> u8 {
    if id % 1_000 >= 500 { 2 } else { 1 }
}

/// Both tables, in the order of the file of rules.
fn cases() -> impl Iterator<Item = &'static Case> {
    table::CASES.iter().chain(code::CASES)
}

#[test]
fn rules_find_what_they_are_for_and_not_what_looks_like_it() {
    let mut methods = wanted(1);
    methods.methods = Some(["GET", "HEAD", "POST"].map(str::to_owned).to_vec());
    let engines = [Arc::clone(&LEVELS[0]), Arc::clone(&LEVELS[1]), engine(&methods)];
    let mut wrong = Vec::new();
    for (id, hits, alike) in cases() {
        let at = if *id == 1_001_090 { 2 } else { usize::from(level(*id) - 1) };
        assert!(hits.len() >= 2 && alike.len() >= 2, "{id}: two of each");
        for ask in *hits {
            let (report, refused) = run(&engines[at], ask);
            if !ids(&report).contains(id) || !refused {
                wrong.push(format!("{id} misses {ask:?}: {:?}, refused: {refused}", ids(&report)));
            }
        }
        for ask in *alike {
            let (report, refused) = run(&engines[at], ask);
            let found = ids(&report);
            // What looks like it is harmless to all rules of level 1.
            if found.contains(id) || (level(*id) == 1 && (!found.is_empty() || refused)) {
                wrong.push(format!("{id} takes {ask:?}: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_is_in_the_table() {
    let set = LEVELS[1].rules();
    let rules = set.items.iter().filter_map(|item| match item {
        Item::Rule(rule) if rule.id > 1_001_000 => Some(rule.id),
        _ => None,
    });
    let tested = cases().map(|(id, ..)| *id).collect::<Vec<_>>();
    assert_eq!(rules.collect::<Vec<_>>(), tested, "in the order of the file");
}

#[test]
fn every_rule_is_in_the_docs() {
    let docs = include_str!("../../../../docs/waf.md");
    for (id, ..) in cases() {
        let row = format!("| {id} | {} | ", level(*id));
        assert!(docs.contains(&row), "{row}");
    }
}

#[test]
fn ordinary_requests_match_nothing() {
    let mut wrong = Vec::new();
    for ask in ORDINARY {
        let (report, refused) = run(&LEVELS[0], ask);
        if refused || !report.matches.is_empty() {
            wrong.push(format!("{:?} takes {ask:?}", ids(&report)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_says_what_it_is() {
    let set = LEVELS[1].rules();
    for item in &set.items {
        let Item::Rule(rule) = item else { continue };
        if rule.id < 1_001_000 {
            continue;
        }
        let level = format!("paranoia-level/{}", level(rule.id));
        assert!(rule.msg.is_some() && rule.severity.is_some(), "{}", rule.id);
        assert!(rule.tags.iter().any(|tag| **tag == *level), "{}", rule.id);
        assert!(rule.tags.iter().any(|tag| tag.starts_with("attack-")), "{}", rule.id);
    }
}

#[test]
fn levels_count_only_if_they_are_asked_for() {
    let two = Ask::Arg("http://192.168.0.1/admin");
    let check = |engine: &Arc<Engine>, matched: bool, refuses: bool| {
        let (report, refused) = run(engine, &two);
        assert_eq!(ids(&report).contains(&1_009_510), matched);
        assert_eq!(refused, refuses);
    };
    check(&LEVELS[0], false, false);
    check(&LEVELS[1], true, true);
    check(&engine(&wanted(4)), true, true);
    let mut wanted = wanted(1);
    wanted.detect_level = Level::new(2);
    check(&engine(&wanted), true, false);
}

#[test]
fn scores_decide_at_the_threshold() {
    let attack = Ask::Arg("<script>alert(1)</script>");
    let (report, refused) = run(&LEVELS[0], &attack);
    assert!(refused && report.score.inbound >= 5, "{:?}", report.score);
    assert_eq!(
        report.refused.map(|refusal| (refusal.status, refusal.rule)),
        Some((403, 1_000_929))
    );
    let mut wanted = wanted(1);
    wanted.threshold = Some(1_000);
    let (report, refused) = run(&engine(&wanted), &attack);
    assert!(!refused && report.score.inbound >= 5, "{:?}", report.score);
    assert_eq!(report.score.inbound_threshold, Some(1_000));
}

#[test]
fn heads_are_refused_early_where_it_is_asked_for() {
    let scanner = Ask::Field("User-Agent", "sqlmap/1.7");
    let by = |engine: &Arc<Engine>| run(engine, &scanner).0.refused.map(|refusal| refusal.rule);
    assert_eq!(by(&LEVELS[0]), Some(1_000_929));
    let mut wanted = wanted(1);
    wanted.early_blocking = true;
    assert_eq!(by(&engine(&wanted)), Some(1_000_919));
}
