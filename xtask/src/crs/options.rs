//! The command line of the runner.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

pub(crate) const HELP: &str = "\
usage: cargo xtask crs DIR [OPTIONS]
       cargo xtask crs --ordinary [DIR] [OPTIONS]
       cargo xtask crs --origin

Runs the Core Rule Set's own regression tests, unmodified, against doorman's rules engine. DIR is a checkout
of the rule set, or a directory of its test files. With --ordinary, requests of everyday traffic must pass
at the first level of paranoia instead (of DIR, or those of the repository). With --origin, the origin that
the tests assume listens on a free port of loopback, which it prints, until it is ended.

  --rules DIR       where the rules are (beside the tests, or where distributions put them)
  --in-process      ask the engine itself (the default)
  --wire WIRE       start the program, and send every request over a socket: h1, as HTTP/1.1; h2, as
                    HTTP/2 over TLS; h3, as HTTP/3; all: one after the other
  --doorman PATH    the program (target/debug/doorman)
  --way WAY         plan (the default): as a server runs rules; reference: each rule as it is written;
                    both: not whether tests pass, but whether the two come to the same for every request
                    of the suite, in several setups
  --mutations N     with both: N more requests, made of the suite's by chance (1000)
  --seed N          the chance by which (1)
  --ratchet FILE    what is known not to pass (conformance/crs/, by the rules' version)
  --filter TEXT     only tests whose name starts with it: 942100, 942100-3
  --jobs N          threads (2)
  --verbose         also what is known not to pass, with the reason
  --json            one JSON object for each wire instead of a table

Exit code 1: something passes or fails that is not expected to.
";

/// What to run, and how to tell of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) tests: Option<PathBuf>,
    pub(crate) what: What,
    pub(crate) rules: Option<PathBuf>,
    pub(crate) ratchet: Option<PathBuf>,
    pub(crate) filter: String,
    pub(crate) jobs: usize,
    pub(crate) form: Form,
    pub(crate) wires: Vec<Wire>,
    pub(crate) doorman: PathBuf,
    pub(crate) way: Way,
    pub(crate) mutations: usize,
    pub(crate) seed: u64,
}

/// How requests get to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// By function calls in this process.
    None,
    /// Over sockets, to the program.
    H1,
    H2,
    H3,
}

impl Wire {
    /// The name by which ratchets know it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::None => "in-process",
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::H3 => "h3",
        }
    }
}

/// How rules are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In this way.
    One(doorman_waf::Way),
    /// In both, which are compared.
    Both,
}

/// Which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Suite,
    Ordinary,
    /// The origin alone, for a server that is to be tested over sockets.
    Origin,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Short,
    Verbose,
    Json,
}

/// `None` asks for the help text.
///
/// # Errors
/// What is wrong with the words.
pub(crate) fn read(words: &[&str]) -> Result<Option<Options>, Failure> {
    let mut options = Options {
        tests: None,
        what: What::Suite,
        rules: None,
        ratchet: None,
        filter: String::new(),
        jobs: 2,
        form: Form::Short,
        wires: vec![Wire::None],
        doorman: Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/doorman"),
        way: Way::One(doorman_waf::Way::Plan),
        mutations: 1000,
        seed: 1,
    };
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let mut value =
            || words.next().ok_or_else(|| Failure::new(format!("{word} wants a value behind it")));
        match word {
            "--help" | "-h" => return Ok(None),
            "--ordinary" => options.what = What::Ordinary,
            "--origin" => options.what = What::Origin,
            "--in-process" => {}
            "--verbose" => options.form = Form::Verbose,
            "--json" => options.form = Form::Json,
            "--rules" => options.rules = Some(value()?.into()),
            "--ratchet" => options.ratchet = Some(value()?.into()),
            "--filter" => value()?.clone_into(&mut options.filter),
            "--jobs" => options.jobs = crate::number(value()?)?,
            "--wire" => options.wires = wires(value()?)?,
            "--doorman" => options.doorman = value()?.into(),
            "--way" => options.way = way(value()?)?,
            "--mutations" => options.mutations = crate::number(value()?)?,
            "--seed" => options.seed = crate::number(value()?)?,
            _ if !word.starts_with('-') && options.tests.is_none() => {
                options.tests = Some(word.into());
            }
            _ => return Err(Failure::new(format!("{word} is not understood; see crs --help"))),
        }
    }
    if options.tests.is_none() && options.what == What::Suite {
        return Err(Failure::new("crs wants the directory of the tests; see crs --help"));
    }
    Ok(Some(options))
}

fn wires(word: &str) -> Result<Vec<Wire>, Failure> {
    let all = [Wire::H1, Wire::H2, Wire::H3];
    match all.into_iter().find(|wire| wire.word() == word) {
        Some(wire) => Ok(vec![wire]),
        None if word == "all" => Ok(all.to_vec()),
        None => Err(Failure::new(format!(
            "{word} is no wire that requests are sent over: h1, h2, h3, all"
        ))),
    }
}

fn way(word: &str) -> Result<Way, Failure> {
    Ok(match word {
        "plan" => Way::One(doorman_waf::Way::Plan),
        "reference" => Way::One(doorman_waf::Way::Reference),
        "both" => Way::Both,
        _ => {
            return Err(Failure::new(format!(
                "{word} is no way of running: plan, reference, both"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &str, expected: Result<Options, &str>) {
        let words: Vec<&str> = words.split_whitespace().collect();
        let read =
            read(&words).map(|options| options.expect("no help")).map_err(|told| told.to_string());
        assert_eq!(read, expected.map_err(str::to_owned), "{words:?}");
    }

    #[test]
    fn words_are_read() {
        let plain = || Options {
            tests: Some("d".into()),
            what: What::Suite,
            rules: None,
            ratchet: None,
            filter: String::new(),
            jobs: 2,
            form: Form::Short,
            wires: vec![Wire::None],
            doorman: Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/doorman"),
            way: Way::One(doorman_waf::Way::Plan),
            mutations: 1000,
            seed: 1,
        };
        check("d", Ok(plain()));
        check(
            "--json --rules r --ratchet f --filter 942 --jobs 4 d --in-process",
            Ok(Options {
                rules: Some("r".into()),
                ratchet: Some("f".into()),
                filter: "942".to_owned(),
                jobs: 4,
                form: Form::Json,
                ..plain()
            }),
        );
        check(
            "d --way both --mutations 7 --seed 3",
            Ok(Options { way: Way::Both, mutations: 7, seed: 3, ..plain() }),
        );
        check(
            "d --wire h1 --doorman p",
            Ok(Options { wires: vec![Wire::H1], doorman: "p".into(), ..plain() }),
        );
        check("d --wire all", Ok(Options { wires: vec![Wire::H1, Wire::H2, Wire::H3], ..plain() }));
        check("d --wire x", Err("x is no wire that requests are sent over: h1, h2, h3, all"));
        check("d --way x", Err("x is no way of running: plan, reference, both"));
        check("--ordinary", Ok(Options { tests: None, what: What::Ordinary, ..plain() }));
        check("", Err("crs wants the directory of the tests; see crs --help"));
        check("d --rules", Err("--rules wants a value behind it"));
        check("d e", Err("e is not understood; see crs --help"));
        assert!(read(&["--help"]).is_ok_and(|options| options.is_none()));
    }
}
