//! The command line of the runner.

use std::path::PathBuf;

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
  --ratchet FILE    what is known not to pass (conformance/crs/, by the rules' version)
  --filter TEXT     only tests whose name starts with it: 942100, 942100-3
  --jobs N          threads (2)
  --verbose         also what is known not to pass, with the reason
  --json            one JSON object instead of a table

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
        check("--ordinary", Ok(Options { tests: None, what: What::Ordinary, ..plain() }));
        check("", Err("crs wants the directory of the tests; see crs --help"));
        check("d --rules", Err("--rules wants a value behind it"));
        check("d e", Err("e is not understood; see crs --help"));
        assert!(read(&["--help"]).is_ok_and(|options| options.is_none()));
    }
}
