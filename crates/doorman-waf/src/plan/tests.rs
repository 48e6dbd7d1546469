//! What a plan leaves out, and that it says the same all the same.

use std::net::SocketAddr;
use std::sync::Arc;

use doorman_http::{Instant, Now};
use proptest::prelude::*;

use super::Extent;
use crate::seclang::{self, Files, Source};
use crate::{Engine, Facts, Options, Transaction, Way, Worker};

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
        Err(format!("{name} is not there"))
    }

    fn list(&self, _: &str, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

fn engine(rules: &str, way: Way) -> Arc<Engine> {
    let source = Source { name: "test.conf".into(), text: rules.as_bytes().to_vec() };
    let set = seclang::load(&[source], &NoFiles).unwrap_or_else(|faults| panic!("{faults:?}"));
    let options = Options { way, ..Options::default() };
    Arc::new(Engine::with(set, options, Arc::default()).expect("every rule has a link"))
}

/// A request with this target, of which no phase was run.
fn begun(engine: &Arc<Engine>, target: &[u8]) -> Transaction {
    let address: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    let now = Now { instant: Instant(0), unix_nanos: 0 };
    let facts = Facts { client: address, server: address, now, unique_id: "u-1".into() };
    let mut transaction = Transaction::new(Arc::clone(engine), facts);
    transaction.request_line(b"POST", target, b"HTTP/1.1");
    transaction.request_field(b"Host", b"www.example");
    transaction.request_field(b"Cookie", b"a=1; b=<script>");
    transaction.request_field(b"Content-Type", b"application/x-www-form-urlencoded");
    transaction
}

/// All that is observed of a request with this target and this body.
fn told(engine: &Arc<Engine>, worker: &mut Worker, target: &[u8], body: &[u8]) -> String {
    let mut transaction = begun(engine, target);
    let mut verdicts = vec![transaction.request_head(worker)];
    verdicts.extend(transaction.request_body(body).err());
    verdicts.push(transaction.request_end(worker));
    transaction.response_line(200, b"HTTP/1.1");
    verdicts.push(transaction.response_head(worker));
    verdicts.push(transaction.response_end(worker));
    let report = transaction.finish(worker);
    let tx: Vec<_> = transaction.tx_all().collect();
    format!("{verdicts:?}\n{report:#?}\n{tx:?}")
}

/// The plan of these rules leaves so many, and all requests of a few shapes are told the same.
#[track_caller]
fn check(rules: &str, kept: usize, gated: usize) {
    let planned = engine(rules, Way::Plan);
    let extent = planned.extent();
    assert_eq!((extent.kept, extent.gated), (kept, gated), "{extent:?}");
    same(&planned, rules);
}

#[track_caller]
fn same(planned: &Arc<Engine>, rules: &str) {
    let reference = engine(rules, Way::Reference);
    let (mut one, mut other) = (Worker::new(planned), Worker::new(&reference));
    let targets: [&[u8]; 5] =
        [b"/", b"/?q=attack", b"/?q=%61TTack&q=two", b"/a/../b?x=1&debug=1", b"/?a=%3Cscript%3E&b"];
    for target in targets {
        for body in [&b""[..], b"q=attack&p=SELECT+1", b"debug=1&a=%00"] {
            let planned = told(planned, &mut one, target, body);
            let reference = told(&reference, &mut other, target, body);
            assert_eq!(planned, reference, "{}", String::from_utf8_lossy(target));
        }
    }
}

#[test]
fn levels_that_are_not_asked_for_are_left_out() {
    let rules = |level: u8| {
        format!(
            r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.level={level}"
SecRule &TX:threshold "@eq 0" "id:2,phase:1,pass,nolog,setvar:'tx.threshold=5'"
SecRule TX:LEVEL "@lt 1" "id:3,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "@rx attack" "id:4,phase:2,pass,log,setvar:tx.score=+5"
SecRule TX:LEVEL "@lt 2" "id:5,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "@rx (?i)select" "id:6,phase:2,pass,log,setvar:tx.score=+3"
SecMarker END
SecRule TX:SCORE "@ge %{{tx.threshold}}" "id:7,phase:2,deny,status:403,log"
"#
        )
    };
    // The first rule, and the last; without a score to ask for, not even that.
    check(&rules(1), 2, 1);
    check(&rules(2), 3, 2);
    check(&rules(0), 0, 0);
}

#[test]
fn what_a_request_decides_stays() {
    check(
        r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=1"
SecRule ARGS_GET:debug "@streq 1" "id:2,phase:1,pass,nolog,setvar:tx.level=2"
SecRule TX:LEVEL "@lt 2" "id:3,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "@rx attack" "id:4,phase:2,pass,log"
SecMarker END
"#,
        3,
        2,
    );
}

#[test]
fn a_gate_that_may_be_taken_away_stays() {
    check(
        r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=1"
SecRule ARGS_GET:debug "@streq 1" "id:2,phase:1,pass,nolog,ctl:ruleRemoveById=3"
SecRule TX:LEVEL "@lt 2" "id:3,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "@rx attack" "id:4,phase:2,pass,log"
SecMarker END
"#,
        3,
        2,
    );
}

#[test]
fn a_gate_that_goes_with_all_that_it_skips_is_left_out() {
    check(
        r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=1"
SecRule ARGS_GET:debug "@streq 1" "id:2,phase:1,pass,nolog,ctl:ruleRemoveByTag=set"
SecRule TX:LEVEL "@lt 2" "id:3,phase:2,pass,nolog,tag:set,skipAfter:END"
SecRule ARGS "@rx attack" "id:4,phase:2,pass,log,tag:set"
SecMarker END
SecRule ARGS "@rx (?i)select" "id:5,phase:2,pass,log,tag:set"
"#,
        2,
        2,
    );
}

#[test]
fn what_may_have_been_skipped_is_not_known() {
    check(
        r#"
SecRule ARGS_GET:debug "@streq 1" "id:1,phase:1,pass,nolog,skipAfter:SET"
SecAction "id:2,phase:1,pass,nolog,setvar:tx.level=2"
SecMarker SET
SecRule TX:LEVEL "@lt 2" "id:3,phase:1,pass,nolog,skipAfter:END"
SecRule ARGS "@rx attack" "id:4,phase:1,pass,log"
SecMarker END
"#,
        4,
        2,
    );
}

#[test]
fn what_is_written_after_an_end_is_not_known_later() {
    check(
        r#"
SecRule ARGS_GET:debug "@streq 1" "id:1,phase:1,allow:phase,nolog"
SecAction "id:2,phase:1,pass,nolog,setvar:tx.level=2"
SecRule TX:LEVEL "@lt 2" "id:3,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "@rx attack" "id:4,phase:2,pass,log"
SecMarker END
"#,
        4,
        2,
    );
}

/// A client that goes away while its body comes leaves a transaction of two phases.
#[test]
fn what_a_phase_would_have_set_is_not_known_where_it_may_not_be_run() {
    let rules = r#"
SecAction "id:1,phase:2,pass,nolog,setvar:tx.whole=1"
SecRule &TX:whole "@eq 0" "id:2,phase:5,pass,log,setvar:tx.gone=1"
SecRule TX:whole "@eq 1" "id:3,phase:5,pass,nolog,setvar:tx.ended=1"
"#;
    let told = |way| {
        let engine = engine(rules, way);
        let mut transaction = begun(&engine, b"/");
        let mut worker = Worker::new(&engine);
        let verdict = transaction.request_head(&mut worker);
        let report = transaction.finish(&mut worker);
        let tx: Vec<_> = transaction.tx_all().collect();
        format!("{verdict:?} {report:?} {tx:?}")
    };
    assert_eq!(told(Way::Plan), told(Way::Reference));
    assert!(told(Way::Plan).contains("id: 2"));
}

#[test]
fn nothing_is_known_where_nothing_is_run() {
    let rules = r#"
SecRuleEngine Off
SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=1"
SecRule ARGS "@rx attack" "id:2,phase:2,pass,log"
"#;
    same(&engine(rules, Way::Plan), rules);
}

/// What is added to a name twice by each of two rules is added four times.
#[test]
fn sums_of_rules_that_follow_each_other_are_known() {
    let rules = r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.score=-1,setvar:tx.score=-1"
SecAction "id:2,phase:1,pass,nolog,setvar:tx.score=-1,setvar:tx.score=-1"
SecRule TX:score "@eq -4" "id:3,phase:2,pass,log"
"#;
    same(&engine(rules, Way::Plan), rules);
}

/// A name is told as it was written first, however often it is written.
#[test]
fn names_are_known_by_their_first_spelling() {
    let rules = r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=1"
SecAction "id:2,phase:1,pass,nolog,setvar:tx.name=1,setvar:tx.NAME=2"
SecRule ARGS "@rx attack" "id:3,phase:2,pass,nolog,setvar:tx.seen=1"
SecAction "id:4,phase:2,pass,nolog,setvar:tx.other=1"
SecAction "id:5,phase:2,pass,nolog,setvar:tx.word=1,setvar:tx.WORD=2"
SecAction "id:6,phase:2,pass,nolog,setvar:tx.Word=3"
SecAction "id:7,phase:2,pass,nolog,setvar:tx.word=4"
"#;
    same(&engine(rules, Way::Plan), rules);
}

#[test]
fn names_that_are_made_are_not_known() {
    check(
        r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.seen_q=1,setvar:tx.other=1"
SecRule ARGS_GET "@rx ." "id:2,phase:1,pass,nolog,setvar:'tx.seen_%{MATCHED_VAR}=2'"
SecRule TX:seen_q "@eq 1" "id:3,phase:2,pass,nolog,setvar:tx.a=1"
SecRule TX:other "@eq 1" "id:4,phase:2,pass,nolog,setvar:tx.b=1"
"#,
        3,
        1,
    );
}

#[test]
fn names_that_a_pattern_means_are_found_however_they_are_written() {
    let rules = r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.Seen_a=1,setvar:tx.other=1"
SecRule ARGS_GET "@rx ." "id:2,phase:1,pass,nolog,setvar:tx.seen_%{MATCHED_VAR}=3"
SecRule ARGS_GET:q "@streq attack" "id:3,phase:1,pass,nolog,setvar:!tx.seen_a,setvar:tx.SEEN_A=2"
SecRule &TX:/Seen_/ "@ge 1" "id:4,phase:2,pass,log,setvar:tx.found=1"
SecRule TX:/SEEN_|^q/ "@rx ." "id:5,phase:2,pass,log,setvar:tx.q1=1"
SecRule TX:/seen_|^q/ "@rx ." "id:6,phase:2,pass,log"
"#;
    same(&engine(rules, Way::Plan), rules);
}

#[test]
fn rules_that_look_back_keep_what_they_may_see() {
    check(
        r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=1"
SecRule TX:LEVEL "@eq 1" "id:2,phase:2,pass,nolog"
SecRule MATCHED_VAR "@eq 1" "id:3,phase:2,pass,log"
"#,
        3,
        0,
    );
}

#[test]
fn a_skip_that_counts_keeps_all_that_it_counts() {
    check(
        r#"
SecRule ARGS:q "@rx attack" "id:1,phase:2,pass,nolog,skip:1"
SecRule TX:nothing "@eq 1" "id:2,phase:2,pass,log"
SecRule ARGS "@rx (?i)select" "id:3,phase:2,pass,log"
"#,
        3,
        2,
    );
}

#[test]
fn gates_are_of_many_kinds() {
    let rules = r#"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|!REQUEST_COOKIES:a "@pm attack select script" "id:1,phase:2,pass,log,capture,t:none,t:lowercase,setvar:tx.s=+1"
SecRule ARGS "@contains TTa" "id:2,phase:2,pass,log,t:none"
SecRule ARGS "@beginsWith attack" "id:3,phase:2,pass,log,t:lowercase"
SecRule ARGS "@streq two" "id:4,phase:2,pass,log"
SecRule ARGS "!@rx ^two$" "id:5,phase:2,pass,log"
SecRule ARGS "@validateByteRange 1-255" "id:6,phase:2,pass,log,t:urlDecodeUni"
SecRule REQUEST_URI_RAW "@validateUrlEncoding" "id:7,phase:2,pass,log"
SecRule ARGS "@detectXSS" "id:8,phase:2,pass,log,t:htmlEntityDecode,t:jsDecode"
SecRule ARGS "@rx ^[^t]+$" "id:9,phase:2,pass,log,multiMatch,t:none,t:lowercase,t:removeWhitespace,t:hexEncode"
SecRule ARGS "@rx (a)(t+)" "id:10,phase:2,pass,log,capture,chain,setvar:'tx.found=%{TX.2}'"
SecRule TX:1 "@streq a" "t:lowercase"
SecRule REQUEST_FILENAME "@endsWith /b" "id:11,phase:2,pass,log,t:normalizePath"
SecRule &ARGS "@gt 1" "id:12,phase:2,pass,log"
"#;
    let planned = engine(rules, Way::Plan);
    let Extent { rules: all, kept, gated, .. } = planned.extent();
    assert_eq!((all, kept, gated), (12, 12, 10));
    same(&planned, rules);
}

/// Whoever sends a long value has no copy of it for each chain: past a bound it is read as it is written.
#[test]
fn long_values_are_told_the_same_and_leave_no_memory_behind() {
    let limits = "SecRequestBodyLimit 16000000\nSecRequestBodyNoFilesLimit 16000000\n";
    let rules = format!("{limits}{RULES}");
    let (planned, reference) = (engine(&rules, Way::Plan), engine(&rules, Way::Reference));
    let mut worker = Worker::new(&planned);
    let long = "%5Cx61TTack+%26lt%3Bscript+SEL%2F%2A%2A%2FECT+".repeat(2_500);
    let body = (0..40).map(|n| format!("a{n}={long}&")).collect::<String>();
    let one = told(&planned, &mut worker, b"/?q=attack", body.as_bytes());
    let other = told(&reference, &mut Worker::new(&reference), b"/?q=attack", body.as_bytes());
    assert!(one == other, "{} {}", one.len(), other.len());
    assert!(one.contains("ARGS:a39"), "the last was looked at, too");
    assert!(worker.room.kept() <= 1 << 20, "{}", worker.room.kept());
}

#[test]
fn many_values_leave_no_memory_behind() {
    let rules = "SecArgumentsLimit 100000\n\
                 SecRule ARGS \"@contains attack\" \"id:1,phase:2,pass,log,t:lowercase\"";
    let planned = engine(rules, Way::Plan);
    let mut worker = Worker::new(&planned);
    let body = (0..5_000).map(|n| format!("a{n}=Attac{n}&")).collect::<String>() + "b=ATTACK";
    let told = told(&planned, &mut worker, b"/", body.as_bytes());
    assert!(told.contains("ARGS:b"), "the last was looked at, too");
    assert!(worker.room.raws() <= 1024, "{}", worker.room.raws());
}

/// Words of which values are made: pieces of what the rules below look for, and what hides them.
const WORDS: [&str; 20] = [
    "attack",
    "ATT",
    "ack",
    "select",
    "SEL",
    "ect",
    "<script",
    "%3c",
    "%2553",
    "\\x61",
    "&lt;",
    "/*",
    "*/",
    " ",
    "%00",
    "'or 1=1--",
    "../",
    "%u0061",
    "=",
    "&",
];

const RULES: &str = r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=1,setvar:tx.score=0"
SecRule ARGS|REQUEST_URI_RAW "@rx (?i)att(?:ack)?\b" "id:2,phase:2,pass,log,capture,t:none,t:urlDecodeUni,t:jsDecode,setvar:tx.score=+1"
SecRule ARGS|REQUEST_URI_RAW "@rx sel.?ect" "id:3,phase:2,pass,log,t:none,t:urlDecodeUni,t:lowercase,t:replaceComments,setvar:tx.score=+2"
SecRule ARGS|ARGS_NAMES "@pm attack select <script" "id:4,phase:2,pass,log,capture,t:none,t:urlDecodeUni,t:htmlEntityDecode,t:removeWhitespace"
SecRule ARGS "@detectSQLi" "id:5,phase:2,pass,log,capture,multiMatch,t:none,t:urlDecodeUni,t:removeNulls,setvar:tx.score=+5"
SecRule ARGS "@rx ^.{0,3}$" "id:6,phase:2,pass,log,t:compressWhitespace"
SecRule ARGS "@rx \.\./" "id:7,phase:2,pass,log,chain,t:none,t:urlDecodeUni"
SecRule MATCHED_VARS "!@rx ^[a-z]+$" "setvar:tx.score=+1,t:none"
SecRule ARGS:q "@streq attack" "id:8,phase:1,pass,nolog,ctl:ruleRemoveTargetById=2;ARGS:a"
SecRule TX:score "@ge 5" "id:9,phase:2,deny,status:403,log"
"#;

proptest! {
    #[test]
    fn plan_and_reference_agree(
        words in prop::collection::vec(0..WORDS.len(), 0..24),
        body in prop::collection::vec(0..WORDS.len(), 0..24),
    ) {
        thread_local! {
            static BOTH: (Arc<Engine>, Arc<Engine>) =
                (engine(RULES, Way::Plan), engine(RULES, Way::Reference));
        }
        let text = |words: &[usize]| words.iter().map(|word| WORDS[*word]).collect::<String>();
        let target = format!("/?q=attack&a={}", text(&words));
        let body = format!("b={}", text(&body));
        BOTH.with(|(planned, reference)| {
            let one = told(planned, &mut Worker::new(planned), target.as_bytes(), body.as_bytes());
            let other = told(reference, &mut Worker::new(reference), target.as_bytes(), body.as_bytes());
            prop_assert_eq!(one, other, "{} {}", target, body);
            Ok(())
        })?;
    }
}
