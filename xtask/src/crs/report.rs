//! Results as people and programs read them: a table by families of rules, then whatever is not as listed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::judge::Outcome;
use super::options::Form;
use super::ratchet::{Ratchet, Standing};
use super::suite::Test;

/// All that a run came to.
pub(crate) struct Results<'a> {
    /// Which rules, such as 3.3.4.
    pub(crate) version: &'a str,
    /// How they were run.
    pub(crate) way: &'a str,
    pub(crate) tests: &'a [&'a Test],
    pub(crate) outcomes: &'a [Outcome],
    pub(crate) ratchet: &'a Ratchet,
    /// Whether all of the suite's tests ran.
    pub(crate) whole: Whole,
    pub(crate) seconds: f64,
}

/// Whether a run left tests out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    All,
    Part,
}

/// How text is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Terminal,
    Plain,
}

#[derive(Clone, Copy, Default)]
struct Count {
    tests: usize,
    passed: usize,
    refused: usize,
    inexpressible: usize,
    failed: usize,
}

impl Count {
    const fn add(&mut self, outcome: &Outcome) {
        self.tests += 1;
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Refused { .. } => self.refused += 1,
            Outcome::Inexpressible(_) => self.inexpressible += 1,
            Outcome::Failed(_) => self.failed += 1,
        }
    }
}

impl<'a> Results<'a> {
    /// What is not as listed, one sentence each.
    pub(crate) fn surprises(&self) -> Vec<String> {
        let mut surprises = Vec::new();
        for (test, outcome) in self.pairs() {
            if let Standing::Surprise(told) = self.ratchet.standing(&test.id, outcome) {
                let (file, line) = &test.place;
                surprises.push(format!("{} ({file}:{line}) {told}", test.id));
            }
        }
        if self.whole == Whole::All {
            let ids: Vec<&str> = self.tests.iter().map(|test| test.id.as_str()).collect();
            let gone = self.ratchet.gone(&ids);
            surprises
                .extend(gone.iter().map(|id| format!("{id} is listed, and there is no such test")));
            if self.tests.len() != self.ratchet.tests {
                let (is, listed) = (self.tests.len(), self.ratchet.tests);
                surprises.push(format!("there are {is} tests, and the list is for {listed}"));
            }
        }
        surprises
    }

    /// The whole report.
    pub(crate) fn text(&self, form: Form, paint: Paint) -> String {
        match form {
            Form::Json => format!("{:#}\n", self.json()),
            Form::Short => self.table(paint) + &self.told(paint),
            Form::Verbose => self.table(paint) + &self.known() + &self.told(paint),
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (&'a Test, &'a Outcome)> {
        self.tests.iter().copied().zip(self.outcomes)
    }

    fn table(&self, paint: Paint) -> String {
        let mut families: BTreeMap<&str, Count> = BTreeMap::new();
        let mut all = Count::default();
        for (test, outcome) in self.pairs() {
            families.entry(test.id.get(..3).unwrap_or(&test.id)).or_default().add(outcome);
            all.add(outcome);
        }
        let (version, way, seconds) = (self.version, self.way, self.seconds);
        let mut text = format!("Core Rule Set {version}, {way}, {seconds:.1} s\n\n");
        let heading = format!(
            "{:<8}{:>7}{:>8}{:>9}{:>15}{:>8}",
            "rules", "tests", "passed", "refused", "inexpressible", "failed"
        );
        _ = writeln!(text, "{}", bold(&heading, paint));
        for (family, count) in &families {
            text.push_str(&row(family, *count));
        }
        text.push_str(&bold(row("all", all).trim_end(), paint));
        text.push('\n');
        text
    }

    fn known(&self) -> String {
        let mut text = "\nknown:\n".to_owned();
        for (test, outcome) in self.pairs() {
            if let Standing::Known(reason) = self.ratchet.standing(&test.id, outcome) {
                let word = match outcome {
                    Outcome::Refused { rules: Err(told), .. } => format!("refused ({told})"),
                    Outcome::Refused { .. } => "refused".to_owned(),
                    Outcome::Inexpressible(told) => format!("inexpressible ({told})"),
                    _ => "fails".to_owned(),
                };
                _ = writeln!(text, "  {} {word}: {reason}", test.id);
            }
        }
        text
    }

    fn told(&self, paint: Paint) -> String {
        let surprises = self.surprises();
        if surprises.is_empty() {
            return "\nAll is as listed.\n".to_owned();
        }
        let count = format!("Not as listed: {}", surprises.len());
        let mut text = format!("\n{}\n", bold(&count, paint));
        for surprise in surprises {
            _ = writeln!(text, "  {surprise}");
        }
        text
    }

    fn json(&self) -> Value {
        let mut count = Count::default();
        let mut others = Vec::new();
        for (test, outcome) in self.pairs() {
            count.add(outcome);
            let (word, told, rules) = match outcome {
                Outcome::Passed => continue,
                Outcome::Failed(told) => ("failed", told, None),
                Outcome::Refused { reason, rules } => ("refused", reason, rules.as_ref().err()),
                Outcome::Inexpressible(told) => ("inexpressible", told, None),
            };
            others.push(json!({
                "test": test.id, "file": *test.place.0, "line": test.place.1,
                "outcome": word, "told": told, "rules": rules,
            }));
        }
        json!({
            "rules": self.version, "way": self.way, "seconds": self.seconds,
            "tests": count.tests, "passed": count.passed,
            "refused": count.refused, "inexpressible": count.inexpressible, "failed": count.failed,
            "others": others, "surprises": self.surprises(),
        })
    }
}

/// What became of requests that must all pass.
pub(crate) fn ordinary(
    version: &str,
    requests: usize,
    stopped: &[(&str, &str)],
    form: Form,
) -> String {
    let passed = requests - stopped.len();
    if form == Form::Json {
        let stopped = stopped.iter().map(|(name, told)| json!({ "request": name, "told": told }));
        let stopped: Vec<Value> = stopped.collect();
        let json =
            json!({ "rules": version, "requests": requests, "passed": passed, "stopped": stopped });
        return format!("{json:#}\n");
    }
    let mut text = format!(
        "Core Rule Set {version}, level 1: {passed} of {requests} ordinary requests pass\n"
    );
    for (name, told) in stopped {
        _ = writeln!(text, "  {name}: {told}");
    }
    text
}

fn row(name: &str, count: Count) -> String {
    let Count { tests, passed, refused, inexpressible, failed } = count;
    format!("{name:<8}{tests:>7}{passed:>8}{refused:>9}{inexpressible:>15}{failed:>8}\n")
}

fn bold(text: &str, paint: Paint) -> String {
    match paint {
        Paint::Terminal => format!("\x1b[1m{text}\x1b[0m"),
        Paint::Plain => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn test(id: &str) -> Test {
        Test { id: id.to_owned(), place: (Arc::from("f.yaml"), 7), stages: Vec::new() }
    }

    #[test]
    fn a_report_reads() {
        let tests = ["920100-1", "920100-2", "920100-3", "942100-1", "942100-2"].map(test);
        let tests: Vec<&Test> = tests.iter().collect();
        let outcomes = [
            Outcome::Passed,
            Outcome::Refused { reason: "400: bad".to_owned(), rules: Err("1 matched".to_owned()) },
            Outcome::Inexpressible("no version".to_owned()),
            Outcome::Failed("2 matched".to_owned()),
            Outcome::Passed,
        ];
        let ratchet = "tests = 6\n[refused]\n\"920100-2\" = \"no host\"\n[failing]\n\"9-9\" = \"x\"\n\
             [inexpressible]\n\"920100-3\" = \"as it is\"\n";
        let ratchet = Ratchet::read(ratchet, "in-process").expect("a ratchet");
        let results = Results {
            version: "3.3.4",
            way: "in-process",
            tests: &tests,
            outcomes: &outcomes,
            ratchet: &ratchet,
            whole: Whole::All,
            seconds: 1.25,
        };
        let expected = "\
Core Rule Set 3.3.4, in-process, 1.2 s

rules     tests  passed  refused  inexpressible  failed
920           3       1        1              1       0
942           2       1        0              0       1
all           5       2        1              1       1

known:
  920100-2 refused (1 matched): no host
  920100-3 inexpressible (no version): as it is

Not as listed: 3
  942100-1 (f.yaml:7) fails: 2 matched
  9-9 is listed, and there is no such test
  there are 5 tests, and the list is for 6
";
        assert_eq!(results.text(Form::Verbose, Paint::Plain), expected);
        assert!(results.text(Form::Short, Paint::Terminal).contains("\x1b[1mrules"));
        let json = results.json();
        assert_eq!(json["others"][0]["rules"], "1 matched");
        assert_eq!(json["passed"], 2);
        assert_eq!(json["inexpressible"], 1);

        let part = Results { whole: Whole::Part, ..results };
        assert_eq!(part.surprises().len(), 1);
    }
}
