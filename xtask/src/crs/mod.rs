//! The Core Rule Set's own regression tests, run over its own unmodified files.
//!
//! Neither rules nor tests are part of the repository: both are found on the machine. What is kept here is
//! what they come to (`conformance/crs/`), with a reason for every test that does not pass.

mod agree;
mod base64;
mod client;
mod h1;
mod h2;
mod h3;
mod judge;
mod message;
mod mutate;
mod options;
mod ordinary;
mod origin;
mod process;
mod ratchet;
mod reflect;
mod report;
mod request;
mod rules;
mod sockets;
mod suite;
mod template;
#[cfg(test)]
mod tests;
mod translate;
mod yaml;

use std::fs;
use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::failure::{During, Failure};
use options::{Options, Way, What, Wire};
use ratchet::Ratchet;
use report::{Paint, Results, Whole};
use rules::{Loaded, Setup};
use suite::{Suite, Test};

/// Does what the words ask for.
///
/// # Errors
/// What kept the tests from being run.
pub(crate) fn run(words: &[&str]) -> Result<ExitCode, Failure> {
    let Some(options) = options::read(words)? else {
        print!("{}", options::HELP);
        return Ok(ExitCode::SUCCESS);
    };
    match options.what {
        What::Suite => run_suite(&options),
        What::Ordinary => run_ordinary(&options),
        What::Origin => {
            println!("{}", origin::start()?);
            loop {
                std::thread::park();
            }
        }
    }
}

fn run_suite(options: &Options) -> Result<ExitCode, Failure> {
    let given = options.tests.as_deref().unwrap_or(Path::new("."));
    let directory = tests_of(given);
    let suite = suite::read(&directory)?;
    let rules = rules::find(options.rules.as_deref(), Some(&directory))?;
    let way = match options.way {
        Way::One(way) => way,
        Way::Both => return compare(options, &suite, &rules),
    };
    let loaded = rules::load_for(&rules, Setup::Suite, way)?;
    tell_of(&suite, &rules, &loaded);
    let mut code = ExitCode::SUCCESS;
    for &wire in &options.wires {
        if run_over(wire, options, &suite, &rules, &loaded)? != Listed::All {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Whether all came to what is listed.
#[derive(PartialEq, Eq)]
enum Listed {
    All,
    NotAll,
}

fn run_over(
    wire: Wire,
    options: &Options,
    suite: &Suite,
    rules: &Path,
    loaded: &Loaded,
) -> Result<Listed, Failure> {
    let listed = options.ratchet.clone().unwrap_or_else(|| ratchet_of(&loaded.version));
    let text = fs::read_to_string(&listed).during(format!("reading {}", listed.display()))?;
    let ratchet = Ratchet::read(&text, wire.word())
        .map_err(|told| Failure::new(format!("{}: {told}", listed.display())))?;

    let chosen = |test: &&Test| test.id.starts_with(&options.filter);
    let tests: Vec<&Test> = suite.tests.iter().filter(chosen).collect();
    let start = Instant::now();
    let outcomes = match wire {
        Wire::None => process::run(&loaded.engine, &tests, options.jobs),
        wire => sockets::run(&options.doorman, rules, &tests, options.jobs, wire)?,
    };
    let results = Results {
        version: &loaded.version,
        way: wire.word(),
        tests: &tests,
        outcomes: &outcomes,
        ratchet: &ratchet,
        whole: if tests.len() == suite.tests.len() { Whole::All } else { Whole::Part },
        seconds: start.elapsed().as_secs_f64(),
    };
    print!("{}", results.text(options.form, paint()));
    Ok(if results.surprises().is_empty() { Listed::All } else { Listed::NotAll })
}

/// Both ways of running rules must come to the same, whatever tests expect.
fn compare(options: &Options, suite: &Suite, rules: &Path) -> Result<ExitCode, Failure> {
    let requests = agree::requests(suite, &options.filter, options.mutations, options.seed);
    let mut differences = 0;
    for setup in agree::SETUPS {
        let start = Instant::now();
        let both = agree::Both::load(rules, setup)?;
        let found = agree::run(&both, &requests, options.jobs);
        let (count, seconds) = (requests.len(), start.elapsed().as_secs_f64());
        let (version, differ) = (&both.version, found.len());
        println!("Core Rule Set {version}, {setup:?}: {differ} of {count} differ, {seconds:.1} s");
        found.iter().for_each(|told| println!("  {told}"));
        differences += differ;
    }
    Ok(if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every request must pass: there is no list of those that need not.
fn run_ordinary(options: &Options) -> Result<ExitCode, Failure> {
    let directory = options.tests.clone().unwrap_or_else(|| conformance().join("ordinary"));
    let chosen = |request: &ordinary::Request| request.name.starts_with(&options.filter);
    let requests: Vec<_> = ordinary::read(&directory)?.into_iter().filter(chosen).collect();
    let rules = rules::find(options.rules.as_deref(), None)?;
    let loaded = rules::load(&rules, Setup::Ordinary)?;
    let outcomes = ordinary::run(&loaded.engine, &requests, options.jobs);
    let stopped: Vec<(&str, &str)> = requests
        .iter()
        .zip(&outcomes)
        .filter_map(|(request, outcome)| Some((request.name.as_str(), outcome.as_deref()?)))
        .collect();
    print!("{}", report::ordinary(&loaded.version, requests.len(), &stopped, options.form));
    Ok(if stopped.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where in a checkout, or in what was unpacked, the tests are.
fn tests_of(given: &Path) -> PathBuf {
    let places = ["tests/regression/tests", "regression/tests", "tests"];
    let mut found = places.iter().map(|place| given.join(place));
    found.find(|place| place.is_dir()).unwrap_or_else(|| given.to_owned())
}

fn tell_of(suite: &Suite, rules: &Path, loaded: &Loaded) {
    let (tests, stages, files) = (suite.tests.len(), suite.stages(), suite.files);
    eprintln!("{tests} tests, {stages} stages in {files} files; rules in {}", rules.display());
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
}

/// What is listed for rules of this version.
fn ratchet_of(version: &str) -> PathBuf {
    let name = if version.starts_with("3.") { "3.3.toml" } else { "4.toml" };
    conformance().join(name)
}

fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/crs")
}

fn paint() -> Paint {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stdout().is_terminal() && !plain { Paint::Terminal } else { Paint::Plain }
}
