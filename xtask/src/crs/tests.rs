//! The whole suite and the ordinary requests, in process, wherever rules and tests are found on the machine.
//! A machine without them says so out loud: a test that looks at nothing must not look like one that passed.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use super::judge::Outcome;
use super::options::Form;
use super::ratchet::Ratchet;
use super::report::{Paint, Results, Whole};
use super::rules::Setup;
use super::*;

/// Written past the harness, which would keep it from whoever reads the log.
fn skipped(why: &str) {
    _ = writeln!(std::io::stderr(), "SKIPPED, so that the Core Rule Set is not tested: {why}");
}

/// `DOORMAN_CRS_TESTS`, or `shared/crs-tests/3.3.4` beside the repository.
fn suite_here() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/crs-tests/3.3.4");
    let given = std::env::var_os("DOORMAN_CRS_TESTS").map(PathBuf::from);
    let found = tests_of(&given.clone().unwrap_or_else(beside));
    if found.is_dir() {
        return Some(found);
    }
    assert!(given.is_none(), "DOORMAN_CRS_TESTS names no directory: {}", found.display());
    skipped(
        "DOORMAN_CRS_TESTS does not say where its tests are, nor are they beside the repository",
    );
    None
}

/// Loaded once for all tests of this file, because that is what takes longest.
fn ordinary_rules() -> Option<&'static Loaded> {
    static RULES: LazyLock<Option<Loaded>> = LazyLock::new(|| {
        let rules = rules_here(None)?;
        Some(rules::load(&rules, Setup::Ordinary).expect("rules that can be loaded"))
    });
    RULES.as_ref()
}

fn rules_here(tests: Option<&Path>) -> Option<PathBuf> {
    rules::find(None, tests).inspect_err(|failure| skipped(&failure.to_string())).ok()
}

#[test]
fn the_suite_comes_to_what_is_listed() {
    let Some(directory) = suite_here() else { return };
    let Some(rules) = rules_here(Some(&directory)) else { return };
    let suite = suite::read(&directory).expect("tests that can be read");
    let loaded = rules::load(&rules, Setup::Suite).expect("rules that can be loaded");
    let listed = fs::read_to_string(ratchet_of(&loaded.version)).expect("a list");
    let ratchet = Ratchet::read(&listed, Wire::None.word()).expect("a list that can be read");
    let tests: Vec<&Test> = suite.tests.iter().collect();
    let start = Instant::now();
    let outcomes = process::run(&loaded.engine, &tests, 2);
    let results = Results {
        version: &loaded.version,
        way: Wire::None.word(),
        tests: &tests,
        outcomes: &outcomes,
        ratchet: &ratchet,
        whole: Whole::All,
        seconds: start.elapsed().as_secs_f64(),
    };
    assert!(results.surprises().is_empty(), "{}", results.text(Form::Short, Paint::Plain));
    let passed = outcomes.iter().filter(|outcome| **outcome == Outcome::Passed).count();
    assert!(passed * 100 >= tests.len() * 99, "{passed} of {} pass", tests.len());
}

#[test]
fn ordinary_requests_pass() {
    let Some(loaded) = ordinary_rules() else { return };
    let requests = ordinary::read(&conformance().join("ordinary")).expect("requests");
    assert!(requests.len() >= 120, "{} requests", requests.len());
    let outcomes = ordinary::run(&loaded.engine, &requests, 2);
    let stopped: Vec<_> =
        requests.iter().zip(&outcomes).filter(|(_, told)| told.is_some()).collect();
    assert!(stopped.is_empty(), "{stopped:#?}");
}

/// Attacks that level 1 must see, so that a set that lets everything pass is not taken for a good one.
#[test]
fn attacks_are_refused_where_ordinary_requests_pass() {
    let Some(loaded) = ordinary_rules() else { return };
    let mut worker = doorman_waf::Worker::new(&loaded.engine);
    for target in [
        "/?q=1%27%20OR%20%271%27=%271",
        "/?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/?f=../../../../etc/passwd",
        "/?c=;cat%20/etc/passwd",
    ] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n"
        );
        let exchange = process::exchange(&loaded.engine, &mut worker, request.as_bytes(), "attack");
        assert_eq!(exchange.status, 403, "{target}");
    }
}

/// The program, where a build of the whole workspace has put it: beside this test's own.
fn program_here() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("a test has a path");
    let program = test.parent()?.parent()?.join("doorman");
    if !program.is_file() {
        skipped("there is no program to send requests to, which a build of the workspace makes");
        return None;
    }
    Some(program)
}

/// A small part of what `crs --wire all` runs: one family of rules, over the sockets of HTTP/2 and HTTP/3.
#[test]
fn a_family_comes_to_what_is_listed_over_other_wires() {
    let (Some(directory), Some(program)) = (suite_here(), program_here()) else { return };
    let Some(rules) = rules_here(Some(&directory)) else { return };
    let suite = suite::read(&directory).expect("tests that can be read");
    let family = |test: &&Test| test.id.starts_with("92");
    let tests: Vec<&Test> = suite.tests.iter().filter(family).collect();
    let listed = fs::read_to_string(conformance().join("3.3.toml")).expect("a list");
    for wire in [Wire::H2, Wire::H3] {
        let ratchet = Ratchet::read(&listed, wire.word()).expect("a list that can be read");
        let outcomes = sockets::run(&program, &rules, &tests, 2, wire).expect("a run");
        let results = Results {
            version: "3.3.4",
            way: wire.word(),
            tests: &tests,
            outcomes: &outcomes,
            ratchet: &ratchet,
            whole: Whole::Part,
            seconds: 0.0,
        };
        assert!(results.surprises().is_empty(), "{}", results.text(Form::Short, Paint::Plain));
        let passed = outcomes.iter().filter(|outcome| **outcome == Outcome::Passed).count();
        assert!(passed * 100 >= tests.len() * 90, "{wire:?}: {passed} of {} pass", tests.len());
    }
}

/// A small part of what `crs --way both` runs: a few of the suite's own requests, and many made of them.
#[test]
fn plan_and_reference_come_to_the_same() {
    let Some(directory) = suite_here() else { return };
    let Some(rules) = rules_here(Some(&directory)) else { return };
    let suite = suite::read(&directory).expect("tests that can be read");
    let requests = agree::requests(&suite, "9421", 200, 7);
    for setup in agree::SETUPS {
        let both = agree::Both::load(&rules, setup).expect("rules that can be loaded");
        let found = agree::run(&both, &requests, 2);
        assert!(found.is_empty(), "{setup:?}: {found:#?}");
    }
}
