//! Which exclusions would let a request pass that rules refuse, each as narrow as the language of
//! configurations has it.
//!
//! What is known of a request that is over is what its rules told: where each matched, and what it added.
//! So an exclusion is weighed by arithmetic, and on the safe side: a rule that matched elsewhere, too,
//! counts as still matching. Names come from the network; one that could be more than a word in a
//! configuration is never written into a line that somebody pastes.

use std::fmt::{self, Write};

use doorman_proxy::plan::level_of;
use doorman_proxy::{Event, Finding, Scores, WafAction};

/// Bytes of a name or a path that is written into a line.
const TEXT_MAX: usize = 128;

/// Lines that are shown for one request.
const LINES_MAX: usize = 16;

/// A request that was refused, or would be.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    /// Rules that matched.
    pub findings: &'a [Finding],
    /// The sums of their scores.
    pub scores: Scores,
    /// The rule that refused; 0: a bound did.
    pub refused_by: Option<u32>,
    /// Its path.
    pub path: &'a [u8],
    /// Whether the levels count that are only run.
    pub counts_all: bool,
}

impl<'a> Case<'a> {
    /// That of an event, if it was refused, or would be.
    pub(crate) fn of(event: &'a Event) -> Option<Self> {
        let is = |action: WafAction| event.action == action.as_str();
        let counts_all = is(WafAction::Shadow);
        (counts_all || is(WafAction::Block) || is(WafAction::Detect)).then(|| Self {
            findings: &event.findings,
            scores: event.scores,
            refused_by: event.refused_by,
            path: &event.path,
            counts_all,
        })
    }

    /// What a finding adds to the sum that decides.
    fn weight(&self, finding: &Finding) -> i64 {
        let level = finding.tags.iter().find_map(|tag| level_of(tag)).unwrap_or(0);
        let counts = self.counts_all || level <= self.scores.levels.0;
        if counts { finding.score } else { 0 }
    }

    /// Whether it would pass without some of its findings.
    fn passes(&self, is_gone: impl Fn(&Finding) -> bool) -> bool {
        let Scores { inbound, outbound, inbound_run, outbound_run, .. } = self.scores;
        let sums = if self.counts_all { [inbound_run, outbound_run] } else { [inbound, outbound] };
        let thresholds = [self.scores.inbound_threshold, self.scores.outbound_threshold];
        let crosses = |sum: i64, threshold: Option<i64>| threshold.is_some_and(|most| sum >= most);
        let by_score = crosses(sums[0], thresholds[0]) || crosses(sums[1], thresholds[1]);
        let direct = self.refused_by.filter(|_| !by_score);
        if direct.is_some_and(|rule| !self.findings.iter().any(|f| f.rule == rule && is_gone(f))) {
            return false;
        }
        let left = |is_answer: bool, sum: i64| {
            let gone = self.findings.iter().filter(|f| (f.phase > 2) == is_answer && is_gone(f));
            gone.map(|finding| self.weight(finding)).fold(sum, i64::saturating_sub)
        };
        !crosses(left(false, sums[0]), thresholds[0])
            && !crosses(left(true, sums[1]), thresholds[1])
    }

    /// The findings without which it would pass: those that add most first, and no more than it takes.
    fn needed(&self) -> Vec<&'a Finding> {
        let mut order: Vec<&Finding> = self.findings.iter().collect();
        let is_direct = |finding: &Finding| self.refused_by == Some(finding.rule);
        order.retain(|finding| self.weight(finding) > 0 || is_direct(finding));
        order.sort_by_key(|finding| {
            (std::cmp::Reverse(self.weight(finding)), finding.rule, finding.phase)
        });
        let mut needed: Vec<&Finding> = Vec::new();
        for finding in order {
            let is_gone = |one: &Finding, needed: &[&Finding]| {
                needed.iter().any(|other| other.rule == one.rule)
            };
            if self.passes(|one| is_gone(one, &needed)) {
                break;
            }
            if !is_gone(finding, &needed) {
                needed.push(finding);
            }
        }
        let is_gone = |one: &Finding| needed.iter().any(|other| other.rule == one.rule);
        if self.passes(is_gone) { needed } else { Vec::new() }
    }
}

/// What a rule is kept from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// An argument, a header or a cookie of this name: the word for it, and the name.
    Part(&'static str, String),
    /// Everything.
    Whole,
}

/// A line that somebody may paste into a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exclusion {
    /// The rule.
    pub rule: u32,
    what: What,
    /// Where alone it holds, if that can be written.
    path: Option<String>,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "waf exclude {}", self.rule)?;
        if let What::Part(word, name) = &self.what {
            write!(out, " {word} {}", quoted(name))?;
        }
        match &self.path {
            Some(path) => write!(out, " path {path}"),
            None => Ok(()),
        }
    }
}

impl Exclusion {
    /// Those that keep a rule from all that it told of.
    fn of(finding: &Finding, path: &[u8]) -> Vec<Self> {
        let names = std::iter::once(&finding.variable).chain(&finding.others);
        let mut parts: Vec<What> = Vec::new();
        for part in names.map(|name| part(name)) {
            match part {
                Some(part) if !parts.contains(&part) => parts.push(part),
                Some(_) => {}
                // One that only the rule as a whole can be kept from.
                None => {
                    parts = vec![What::Whole];
                    break;
                }
            }
        }
        let one = |what| Self { rule: finding.rule, what, path: plain_path(path) };
        parts.into_iter().map(one).collect()
    }

    /// The same on all paths.
    fn anywhere(&self) -> Self {
        Self { path: None, ..self.clone() }
    }

    /// Whether it covers a place that a finding of its rule names.
    fn covers(&self, variable: &str) -> bool {
        match &self.what {
            What::Whole => true,
            What::Part(word, name) => match part(variable) {
                Some(What::Part(other, found)) => {
                    other == *word && found.eq_ignore_ascii_case(name)
                }
                _ => false,
            },
        }
    }
}

/// Whether a case would pass with these lines in its route.
fn passes(case: &Case<'_>, exclusions: &[Exclusion]) -> bool {
    let here: Vec<_> = exclusions
        .iter()
        .filter(|one| one.path.as_ref().is_none_or(|path| path.as_bytes() == case.path))
        .collect();
    case.passes(|finding| {
        let mut names = std::iter::once(&finding.variable).chain(&finding.others);
        names.all(|name| here.iter().any(|one| one.rule == finding.rule && one.covers(name)))
    })
}

/// A line, and how many of the requests that are remembered it lets pass by itself.
#[derive(Debug)]
pub(crate) struct Proposal {
    pub exclusion: Exclusion,
    /// As it is written.
    pub frees: usize,
    /// If it held on all paths of the route.
    pub frees_anywhere: usize,
}

/// What would let a request pass.
#[derive(Debug, Default)]
pub(crate) struct Advice {
    /// Lines that let it pass together; none: no exclusion does.
    pub lines: Vec<Proposal>,
    /// Requests to the same route that were refused and are remembered, with this one.
    pub kept: usize,
    /// How many of them all lines together let pass.
    pub frees: usize,
}

/// What would let a request pass, and what else it would let pass of these.
pub(crate) fn advice(case: &Case<'_>, kept: &[Case<'_>]) -> Advice {
    let needed = case.needed();
    let lines: Vec<Exclusion> =
        needed.iter().flat_map(|finding| Exclusion::of(finding, case.path)).collect();
    if lines.len() > LINES_MAX {
        return Advice { kept: kept.len(), ..Advice::default() };
    }
    let count = |lines: &[Exclusion]| kept.iter().filter(|other| passes(other, lines)).count();
    let frees = if lines.is_empty() { 0 } else { count(&lines) };
    let proposal = |exclusion: Exclusion| Proposal {
        frees: count(std::slice::from_ref(&exclusion)),
        frees_anywhere: count(&[exclusion.anywhere()]),
        exclusion,
    };
    Advice { lines: lines.into_iter().map(proposal).collect(), kept: kept.len(), frees }
}

/// What of a request a name in a finding means, if an exclusion can name it.
fn part(variable: &str) -> Option<What> {
    let (collection, name) = variable.split_once(':')?;
    let word = match collection {
        "ARGS" | "ARGS_GET" | "ARGS_POST" | "ARGS_NAMES" | "ARGS_GET_NAMES" | "ARGS_POST_NAMES" => {
            "arg"
        }
        "REQUEST_HEADERS" | "REQUEST_HEADERS_NAMES" => "header",
        "REQUEST_COOKIES" | "REQUEST_COOKIES_NAMES" => "cookie",
        _ => return None,
    };
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    let is_good = !name.is_empty() && name.len() <= TEXT_MAX && name.bytes().all(is_word);
    is_good.then(|| What::Part(word, name.to_owned()))
}

/// A name as a word of a configuration.
fn quoted(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let mut text = String::with_capacity(name.len() + 2);
    if name.bytes().all(is_plain) {
        text.push_str(name);
    } else {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\"{name}\"");
    }
    text
}

/// A path, if it reads the same in a configuration.
fn plain_path(path: &[u8]) -> Option<String> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_-.~".contains(byte);
    let is_good = path.first() == Some(&b'/') && path.len() <= TEXT_MAX;
    let text = String::from_utf8(path.to_vec()).ok()?;
    // Exclusions are of what a path comes to, and the way there may not read the same.
    let is_straight = !text.contains("/.") && !text.contains("//");
    (is_good && is_straight && path.iter().all(is_plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: u32, variable: &str, score: i64, level: u8) -> Finding {
        Finding {
            rule,
            phase: 2,
            msg: "".into(),
            data: "".into(),
            severity: None,
            tags: vec![format!("paranoia-level/{level}").into()],
            variable: variable.into(),
            others: Vec::new(),
            value: Box::default(),
            raw: Box::default(),
            score,
            place: "".into(),
        }
    }

    fn scores(inbound: i64, run: i64) -> Scores {
        Scores {
            inbound,
            inbound_run: run,
            levels: (1, 2),
            inbound_threshold: Some(5),
            ..Scores::default()
        }
    }

    fn case<'a>(findings: &'a [Finding], path: &'a str, scores: Scores) -> Case<'a> {
        let counts_all = scores.inbound < 5;
        Case { findings, scores, refused_by: Some(949_110), path: path.as_bytes(), counts_all }
    }

    fn lines(advice: &Advice) -> Vec<String> {
        advice.lines.iter().map(|one| one.exclusion.to_string()).collect()
    }

    #[test]
    fn the_narrowest_that_suffices() {
        let check = |findings: &[Finding], scores: Scores, expect: &[&str]| {
            let case = case(findings, "/search", scores);
            assert_eq!(lines(&advice(&case, &[case])), expect);
        };
        let sqli = finding(942_100, "ARGS:q", 5, 1);
        check(
            &[finding(920_350, "REQUEST_HEADERS:Host", 3, 1), sqli.clone()],
            scores(8, 8),
            &["waf exclude 942100 arg q path /search"],
        );
        check(
            &[sqli.clone(), finding(941_100, "REQUEST_COOKIES:c", 5, 1)],
            scores(10, 10),
            &["waf exclude 941100 cookie c path /search", "waf exclude 942100 arg q path /search"],
        );
        // What does not count need not go.
        check(
            &[sqli.clone(), finding(942_200, "ARGS:r", 5, 2)],
            scores(5, 10),
            &["waf exclude 942100 arg q path /search"],
        );
        // A shadow is of the levels that do not count.
        check(
            &[finding(942_200, "ARGS:r", 5, 2)],
            scores(0, 5),
            &["waf exclude 942200 arg r path /search"],
        );
        check(
            &[finding(920_100, "REQUEST_LINE", 5, 1)],
            scores(5, 5),
            &["waf exclude 920100 path /search"],
        );
        let mut both = sqli.clone();
        both.others = vec!["ARGS:s".into()];
        // It has added for each of them.
        both.score = 10;
        check(
            &[both.clone()],
            scores(10, 10),
            &["waf exclude 942100 arg q path /search", "waf exclude 942100 arg s path /search"],
        );
        both.others = vec!["ARGS:s".into(), "REQUEST_URI".into()];
        check(&[both], scores(10, 10), &["waf exclude 942100 path /search"]);
        // What told of nothing cannot be helped.
        check(&[], scores(5, 5), &[]);
    }

    #[test]
    fn a_rule_that_refuses_by_itself() {
        let findings = [finding(100, "ARGS:q", 0, 1), finding(101, "ARGS:r", 0, 1)];
        let case = Case { refused_by: Some(100), ..case(&findings, "/x", Scores::default()) };
        assert_eq!(lines(&advice(&case, &[case])), ["waf exclude 100 arg q path /x"]);
    }

    #[test]
    fn names_of_the_network_stay_words() {
        let check = |variable: &str, expect: &str| {
            let findings = [finding(1, variable, 5, 1)];
            assert_eq!(lines(&advice(&case(&findings, "/x", scores(5, 5)), &[])), [expect]);
        };
        check("ARGS:filter[id]", "waf exclude 1 arg \"filter[id]\" path /x");
        check("ARGS:a b", "waf exclude 1 path /x");
        check("ARGS:a\n}", "waf exclude 1 path /x");
        check("ARGS:*", "waf exclude 1 path /x");
        check("ARGS:${env:HOME}", "waf exclude 1 path /x");
        check("ARGS:", "waf exclude 1 path /x");
        let findings = [finding(1, "ARGS:q", 5, 1)];
        for path in ["/a b", "/%27", "/x/*", "/\n", "/a/../b", "//a", ""] {
            let case = case(&findings, path, scores(5, 5));
            assert_eq!(lines(&advice(&case, &[])), ["waf exclude 1 arg q"], "{path}");
        }
    }

    #[test]
    fn others_that_would_pass_are_counted() {
        let (q, r) = (finding(1, "ARGS:q", 5, 1), finding(2, "ARGS:r", 5, 1));
        let (one, two) = ([q.clone()], [q, r]);
        let here = case(&one, "/x", scores(5, 5));
        let there = case(&one, "/y", scores(5, 5));
        let worse = case(&two, "/x", scores(10, 10));
        let advice = advice(&here, &[here, there, worse]);
        assert_eq!((advice.kept, advice.frees), (3, 1));
        let line = &advice.lines[0];
        assert_eq!((line.frees, line.frees_anywhere), (1, 2));
    }
}
