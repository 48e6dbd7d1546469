//! What the rules' own variables say of a transaction.
//!
//! The Core Rule Set sums what its detections add only when it decides; a transaction that ended
//! before has the parts alone. So the sum is read where there is one, and made of the parts of the
//! levels that count where there is none. Both generations of names are known: those of version 4 and
//! those of version 3. Levels that are run but do not count have a sum of their own: what would come of
//! them if they did.

use super::live::Live;
use super::outcome::Scores;
use crate::operator::number;

/// What detections of a request add to, one name for each level.
const REQUEST: [[&str; 4]; 2] = [
    [
        "inbound_anomaly_score_pl1",
        "inbound_anomaly_score_pl2",
        "inbound_anomaly_score_pl3",
        "inbound_anomaly_score_pl4",
    ],
    ["anomaly_score_pl1", "anomaly_score_pl2", "anomaly_score_pl3", "anomaly_score_pl4"],
];
/// The same of a response.
const RESPONSE: [&str; 4] = [
    "outbound_anomaly_score_pl1",
    "outbound_anomaly_score_pl2",
    "outbound_anomaly_score_pl3",
    "outbound_anomaly_score_pl4",
];

/// The sums and thresholds so far.
pub(crate) fn scores(live: &Live) -> Scores {
    let levels = level(first(live, &["blocking_paranoia_level", "paranoia_level"]).unwrap_or(4));
    let run = first(live, &["detection_paranoia_level", "executing_paranoia_level"]);
    let run = run.map_or(levels, level);
    let parts = |names: &[&str]| {
        let each = |name: &&str| read(live, name).unwrap_or_default();
        names.iter().map(each).fold(0, i64::saturating_add)
    };
    let (count, all) = (usize::from(levels), usize::from(run.max(levels)));
    let part = |names: [&str; 4]| parts(&names[..count]);
    let beyond = |names: [&str; 4]| parts(&names[count..all]);
    let inbound = sum(live, &["blocking_inbound_anomaly_score", "inbound_anomaly_score"]);
    let outbound = sum(live, &["blocking_outbound_anomaly_score", "outbound_anomaly_score"]);
    let request = || part(REQUEST[0]).saturating_add(part(REQUEST[1]));
    let inbound = inbound.unwrap_or_else(request);
    let outbound = outbound.unwrap_or_else(|| part(RESPONSE));
    Scores {
        inbound,
        outbound,
        inbound_run: inbound.saturating_add(beyond(REQUEST[0])).saturating_add(beyond(REQUEST[1])),
        outbound_run: outbound.saturating_add(beyond(RESPONSE)),
        levels: (levels, run),
        inbound_threshold: read(live, "inbound_anomaly_score_threshold"),
        outbound_threshold: read(live, "outbound_anomaly_score_threshold"),
    }
}

/// A level, brought within its bounds.
fn level(level: i64) -> u8 {
    u8::try_from(level.clamp(1, 4)).unwrap_or(4)
}

/// The first of these sums that is not 0.
fn sum(live: &Live, names: &[&str]) -> Option<i64> {
    names.iter().filter_map(|name| read(live, name)).find(|sum| *sum != 0)
}

fn first(live: &Live, names: &[&str]) -> Option<i64> {
    names.iter().find_map(|name| read(live, name))
}

fn read(live: &Live, name: &str) -> Option<i64> {
    live.tx.named.get(name.as_bytes(), live.seconds()).map(number)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use doorman_http::Now;

    use crate::seclang::{self, Files, Source};
    use crate::{Engine, Facts, Report, Transaction, Worker};

    struct NoFiles;

    impl Files for NoFiles {
        fn read(&self, _: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
            Err(format!("{name}: no files here"))
        }

        fn list(&self, _: &str, pattern: &str) -> Result<Vec<String>, String> {
            Err(format!("{pattern}: no files here"))
        }
    }

    /// Two generations of names, each with a rule of level 1 and one of level 2.
    const FOUR: [&str; 4] = [
        "blocking_paranoia_level",
        "detection_paranoia_level",
        "inbound_anomaly_score_pl",
        "inbound_anomaly_score_threshold",
    ];
    const THREE: [&str; 4] = [
        "paranoia_level",
        "executing_paranoia_level",
        "anomaly_score_pl",
        "inbound_anomaly_score_threshold",
    ];

    fn told(names: [&str; 4], run: u8, query: &str) -> (Arc<Engine>, Report) {
        let [level, detect, part, threshold] = names;
        let rules = format!(
            "SecRuleEngine On\n\
             SecAction \"id:1,phase:1,pass,nolog,setvar:tx.{level}=1,setvar:tx.{detect}={run},\
             setvar:tx.{threshold}=5\"\n\
             SecRule ARGS \"@contains one\" \"id:2,phase:2,pass,log,setvar:tx.{part}1=+5\"\n\
             SecRule ARGS \"@contains two\" \"id:3,phase:2,pass,log,setvar:tx.{part}2=+5\"\n"
        );
        let source = Source { name: "test.conf".into(), text: rules.into_bytes() };
        let set = seclang::load(&[source], &NoFiles).unwrap_or_else(|faults| panic!("{faults:?}"));
        let engine = Arc::new(Engine::new(set).unwrap_or_else(|faults| panic!("{faults:?}")));
        let end = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        let facts =
            Facts { client: end, server: end, now: Now::default(), unique_id: String::new() };
        let mut worker = Worker::new(&engine);
        let mut transaction = Transaction::new(Arc::clone(&engine), facts);
        transaction.request_line(b"GET", format!("/?{query}").as_bytes(), b"HTTP/1.1");
        let _ = transaction.request_head(&mut worker);
        let _ = transaction.request_end(&mut worker);
        let report = transaction.finish(&mut worker);
        (engine, report)
    }

    #[test]
    fn what_the_next_level_would_refuse_is_told() {
        let check = |run: u8, query: &str, scores: (i64, i64), is_shadowed: bool| {
            for names in [FOUR, THREE] {
                let (_, Report { score, .. }) = told(names, run, query);
                let told = ((score.inbound, score.inbound_run), score.is_shadowed());
                assert_eq!(told, (scores, is_shadowed), "{names:?} {run} {query}");
            }
        };
        check(2, "a=zero", (0, 0), false);
        check(2, "a=one", (5, 5), false);
        check(2, "a=two", (0, 5), true);
        check(2, "a=one&b=two", (5, 10), false);
        check(1, "a=two", (0, 0), false);
    }

    #[test]
    fn all_names_that_a_rule_matched_are_told_and_its_cost_is_counted() {
        let (engine, report) = told(FOUR, 1, "a=one&b=zero&c=ones&a=one");
        let found = &report.matches[0];
        assert_eq!(found.variable, "ARGS:a");
        assert_eq!(found.others, ["ARGS:c"]);
        assert_eq!(found.score, 15);
        let costs = engine.costs();
        let cost = costs.iter().find(|cost| cost.rule.id == 2).expect("the rule is there");
        assert_eq!(cost.hits, 1);
        assert_eq!((cost.asked, cost.bytes), (3, 10), "{cost:?}");
    }
}
