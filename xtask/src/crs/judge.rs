//! What was seen of a stage against what its test expects, wherever it was seen: in process or in the log
//! of a server.

use std::collections::BTreeSet;

use super::message::Refused;
use super::suite::Expected;

/// What is known of one request that was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The parser took it for no request: the rules were asked all the same, where they could be.
    pub(crate) refused: Option<Refused>,
    /// The status of the answer, that of the parser's refusal aside.
    pub(crate) status: u16,
    /// Rules that matched and say so in the log.
    pub(crate) ids: BTreeSet<u32>,
    /// One line for each of them.
    pub(crate) lines: Vec<String>,
    /// What kept rules from running as they are written.
    pub(crate) faults: Vec<String>,
}

/// What a test came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// What was expected and not seen.
    Failed(String),
    /// The parser refuses the request, which no rule gets to see; and whether rules that were shown it
    /// nevertheless did what is expected.
    Refused {
        reason: String,
        rules: Result<(), String>,
    },
    /// The wire has no place for what makes the request: what that is. Nothing was sent.
    Inexpressible(String),
}

/// Compares one stage.
pub(crate) fn stage(expected: &Expected, seen: &Seen) -> Outcome {
    if let Some(refused) = seen.refused {
        if asks_for_refusal(expected, refused) {
            return Outcome::Passed;
        }
        let reason = format!("{}: {}", refused.status, refused.reason);
        return Outcome::Refused { reason, rules: told(expected, seen) };
    }
    if expected.error {
        return Outcome::Failed("an error was expected, and there is an answer".to_owned());
    }
    if let Some(fault) = seen.faults.first() {
        return Outcome::Failed(fault.clone());
    }
    if !expected.status.is_empty() && !expected.status.contains(&seen.status) {
        return Outcome::Failed(format!("status {} and not {:?}", seen.status, expected.status));
    }
    told(expected, seen).map_or_else(Outcome::Failed, |()| Outcome::Passed)
}

/// Whether all that a test asks for is that the request is not taken.
fn asks_for_refusal(expected: &Expected, refused: Refused) -> bool {
    expected.error
        || expected.status.contains(&refused.status)
            && expected.ids.is_empty()
            && expected.line.is_none()
}

/// What the log has to say.
fn told(expected: &Expected, seen: &Seen) -> Result<(), String> {
    if let Some(id) = expected.ids.iter().find(|id| !seen.ids.contains(id)) {
        return Err(format!("{id} did not match; these did: {}", listed(&seen.ids)));
    }
    if let Some(id) = expected.absent.iter().find(|id| seen.ids.contains(id)) {
        return Err(format!("{id} matched"));
    }
    let has = |pattern: &regex_automata::meta::Regex| {
        seen.lines.iter().find(|line| pattern.is_match(line.as_bytes()))
    };
    if expected.line.as_ref().is_some_and(|pattern| has(pattern).is_none()) {
        return Err(format!("no line as expected; rules that matched: {}", listed(&seen.ids)));
    }
    if let Some(line) = expected.absent_line.as_ref().and_then(has) {
        return Err(format!("a line that must not be: {line}"));
    }
    Ok(())
}

fn listed(ids: &BTreeSet<u32>) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use regex_automata::meta::Regex;

    use super::*;

    fn seen(ids: &[u32]) -> Seen {
        Seen {
            status: 200,
            ids: ids.iter().copied().collect(),
            lines: ids.iter().map(|id| format!("[id \"{id}\"] found within ARGS:x")).collect(),
            ..Seen::default()
        }
    }

    #[track_caller]
    fn check(expected: &Expected, seen: &Seen, outcome: Result<(), &str>) {
        let outcome =
            outcome.map_or_else(|told| Outcome::Failed(told.to_owned()), |()| Outcome::Passed);
        assert_eq!(stage(expected, seen), outcome);
    }

    #[test]
    fn ids_are_compared() {
        let expected = Expected { ids: vec![1, 2], absent: vec![3], ..Expected::default() };
        check(&expected, &seen(&[1, 2, 9]), Ok(()));
        check(&expected, &seen(&[1, 9]), Err("2 did not match; these did: 1 9"));
        check(&expected, &seen(&[1, 2, 3]), Err("3 matched"));
        check(&expected, &seen(&[]), Err("1 did not match; these did: none"));
    }

    #[test]
    fn lines_are_compared() {
        let pattern = |text| Some(Regex::new(text).expect("a pattern"));
        let wanted = Expected { line: pattern("within ARGS:x$"), ..Expected::default() };
        check(&wanted, &seen(&[1]), Ok(()));
        check(&wanted, &seen(&[]), Err("no line as expected; rules that matched: none"));
        let unwanted = Expected { absent_line: pattern(r#"\[id "\d+"\]"#), ..Expected::default() };
        check(&unwanted, &seen(&[]), Ok(()));
        check(
            &unwanted,
            &seen(&[7]),
            Err("a line that must not be: [id \"7\"] found within ARGS:x"),
        );
    }

    #[test]
    fn answers_are_compared() {
        let status = Expected { status: vec![403, 200], ..Expected::default() };
        check(&status, &seen(&[]), Ok(()));
        check(&status, &Seen { status: 404, ..seen(&[]) }, Err("status 404 and not [403, 200]"));
        let error = Expected { error: true, ..Expected::default() };
        check(&error, &seen(&[]), Err("an error was expected, and there is an answer"));
        let fault = Seen { faults: vec!["over-steps".to_owned()], ..seen(&[]) };
        check(&Expected::default(), &fault, Err("over-steps"));
    }

    #[test]
    fn a_refusal_counts_where_it_is_asked_for() {
        let refused = Seen {
            refused: Some(Refused { status: 400, reason: "bad", is_reset: false }),
            ..seen(&[5])
        };
        check(&Expected { status: vec![403, 400], ..Expected::default() }, &refused, Ok(()));
        check(&Expected { error: true, ids: vec![1], ..Expected::default() }, &refused, Ok(()));
        let reason = "400: bad".to_owned();
        for (ids, rules) in
            [(vec![5], Ok(())), (vec![6], Err("6 did not match; these did: 5".to_owned()))]
        {
            let expected = Expected { status: vec![400], ids, ..Expected::default() };
            assert_eq!(
                stage(&expected, &refused),
                Outcome::Refused { reason: reason.clone(), rules }
            );
        }
    }
}
