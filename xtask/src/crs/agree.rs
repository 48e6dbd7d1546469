//! The two ways of running rules, held against each other: the plan, which servers run, must come to what
//! the reference comes to for every request, or something that it leaves out was not proven.
//!
//! What tests expect does not matter here, so the suite's requests are as good in any setup: in that which
//! the suite assumes nearly every rule runs, in plain ones most are known ahead of requests not to.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use doorman_waf::{Engine, Fault, Match, Refusal, Scores, Way, Worker};

use super::message::Message;
use super::mutate::{self, Chance};
use super::process;
use super::request;
use super::rules::{self, Setup};
use super::suite::Suite;
use crate::failure::Failure;

/// In which setups.
pub(crate) const SETUPS: [Setup; 4] =
    [Setup::Suite, Setup::Ordinary, Setup::Second, Setup::Excluding];

/// Differences of one request that are told.
const TOLD_MAX: usize = 4;

/// A request to run, and what it is called.
pub(crate) struct Request {
    name: String,
    message: Message,
}

/// Every request of the tests whose names start with `filter`, and as many made of them as `mutations` says.
pub(crate) fn requests(suite: &Suite, filter: &str, mutations: usize, seed: u64) -> Vec<Request> {
    let chosen = suite.tests.iter().filter(|test| test.id.starts_with(filter));
    let stages = chosen.flat_map(|test| test.stages.iter().map(|stage| (test.id.clone(), stage)));
    let of_stage = |(name, stage): (String, &super::suite::Stage)| Request {
        name,
        message: Message::read(&request::bytes(&stage.input)),
    };
    let mut requests: Vec<Request> = stages.map(of_stage).collect();
    let count = requests.len();
    let mut chance = Chance::new(seed);
    for number in 0..if count == 0 { 0 } else { mutations } {
        let (of, other) = (chance.below(count), chance.below(count));
        let message = mutate::mutated(&requests[of].message, &requests[other].message, &mut chance);
        requests
            .push(Request { name: format!("{}, mutation {number}", requests[of].name), message });
    }
    requests
}

/// The same rules, to be run in both ways.
pub(crate) struct Both {
    pub(crate) version: String,
    plan: Arc<Engine>,
    reference: Arc<Engine>,
}

impl Both {
    /// # Errors
    /// Every fault of the rules.
    pub(crate) fn load(directory: &Path, setup: Setup) -> Result<Self, Failure> {
        let plan = rules::load_for(directory, setup, Way::Plan)?;
        let reference = rules::load_for(directory, setup, Way::Reference)?;
        Ok(Self { version: plan.version, plan: plan.engine, reference: reference.engine })
    }
}

/// Where the two differ: one text for each request for which they do.
pub(crate) fn run(both: &Both, requests: &[Request], jobs: usize) -> Vec<String> {
    let workers = || (Worker::new(&both.plan), Worker::new(&both.reference));
    let numbered: Vec<(u32, &Request)> = (1..).zip(requests).collect();
    let found = process::spread(&numbered, jobs, workers, |(one, other), (number, request)| {
        // A client of its own: what rules remember of clients does not depend on who comes first.
        let client = Ipv4Addr::from(0x0a00_0000 | (number & 0x00ff_ffff));
        let planned = Told::of(&both.plan, one, &request.message, client);
        let reference = Told::of(&both.reference, other, &request.message, client);
        difference(&planned, &reference).map(|told| format!("{}: {told}", shown(request)))
    });
    found.into_iter().flatten().collect()
}

/// All that is observed of a request.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    matches: Vec<String>,
    refused: Option<Refusal>,
    would_refuse: Option<Refusal>,
    score: Scores,
    faults: Vec<Fault>,
    audit: bool,
    set: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Told {
    fn of(engine: &Arc<Engine>, worker: &mut Worker, message: &Message, client: Ipv4Addr) -> Self {
        let (exchange, set) = process::exchange_of(engine, worker, message, client);
        let report = exchange.report;
        Self {
            status: exchange.status,
            matches: report.matches.iter().map(matched).collect(),
            refused: report.refused,
            would_refuse: report.would_refuse,
            score: report.score,
            faults: report.faults,
            audit: report.audit,
            set,
        }
    }
}

/// All of a match; of its rule, the number.
fn matched(found: &Match) -> String {
    let Match { rule, variable, value, raw, msg, data, score, phase, others } = found;
    let (value, raw) = (value.escape_ascii(), raw.escape_ascii());
    let id = rule.id;
    format!("{id} {variable}={value:?} of {raw:?} {msg:?} {data:?} +{score} {phase:?} {others:?}")
}

/// What the plan says and the reference does not, and the other way around.
fn difference(plan: &Told, reference: &Told) -> Option<String> {
    if plan == reference {
        return None;
    }
    let mut told = String::new();
    let rest = |told: &Told| {
        let Told { status, refused, would_refuse, score, faults, audit, .. } = told;
        format!("{status} {refused:?} {would_refuse:?} {score:?} {faults:?} {audit}")
    };
    if rest(plan) != rest(reference) {
        _ = write!(told, "\n    plan {}\n    reference {}", rest(plan), rest(reference));
    }
    let set = |told: &Told| -> Vec<String> {
        let text = |(name, value): &(Vec<u8>, Vec<u8>)| {
            format!("TX:{}={}", name.escape_ascii(), value.escape_ascii())
        };
        told.set.iter().map(text).collect()
    };
    for (one, other) in [(&plan.matches, &reference.matches), (&set(plan), &set(reference))] {
        let before = told.len();
        for (word, has, lacks) in [("plan", one, other), ("reference", other, one)] {
            for only in has.iter().filter(|entry| !lacks.contains(entry)).take(TOLD_MAX) {
                _ = write!(told, "\n    only the {word}: {only}");
            }
        }
        if one != other && told.len() == before {
            told.push_str("\n    the same in another order, or not as often");
        }
    }
    Some(told)
}

/// A request in one line.
fn shown(request: &Request) -> String {
    let Message { method, target, fields, body, .. } = &request.message;
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
    let fields: Vec<String> = fields.collect();
    let body = &body[..body.len().min(400)];
    format!(
        "{} ({} {} [{}] {:?})",
        request.name,
        method.escape_ascii(),
        target.escape_ascii(),
        fields.join("; "),
        String::from_utf8_lossy(body)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(matches: &[&str], set: &[(&str, &str)]) -> Told {
        let bytes =
            |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        Told {
            status: 200,
            matches: matches.iter().map(|text| (*text).to_owned()).collect(),
            refused: None,
            would_refuse: None,
            score: Scores::default(),
            faults: Vec::new(),
            audit: false,
            set: set.iter().map(bytes).collect(),
        }
    }

    #[track_caller]
    fn check(plan: &Told, reference: &Told, expected: Option<&str>) {
        assert_eq!(difference(plan, reference).as_deref(), expected);
    }

    #[test]
    fn differences_are_told() {
        check(&told(&["1"], &[]), &told(&["1"], &[]), None);
        check(
            &told(&["1"], &[("a", "b")]),
            &told(&["2", "1"], &[]),
            Some("\n    only the reference: 2\n    only the plan: TX:a=b"),
        );
        check(
            &told(&["1", "2"], &[]),
            &told(&["2", "1"], &[]),
            Some("\n    the same in another order, or not as often"),
        );
        check(
            &Told { status: 403, ..told(&[], &[]) },
            &told(&[], &[]),
            Some(&format!(
                "\n    plan 403 None None {0:?} [] false\n    reference 200 None None {0:?} [] false",
                Scores::default()
            )),
        );
    }
}
