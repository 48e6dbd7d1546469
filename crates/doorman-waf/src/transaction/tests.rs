//! What rules mean, one small set for each point at which engines have differed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use doorman_http::{Instant, Now};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::seclang::{self, Files, Source};

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
        Err(format!("{name} is not there"))
    }

    fn list(&self, _: &str, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

/// A request, and the response to it.
#[derive(Clone, Default)]
struct Story<'a> {
    method: &'a str,
    target: &'a str,
    fields: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    status: u16,
    response_fields: &'a [(&'a str, &'a str)],
    response_body: &'a [u8],
    seconds: u64,
}

impl<'a> Story<'a> {
    fn get(target: &'a str) -> Self {
        Self { method: "GET", target, status: 200, ..Self::default() }
    }

    fn form(body: &'a str) -> Self {
        let fields = &[("Content-Type", "application/x-www-form-urlencoded")];
        Self {
            method: "POST",
            target: "/",
            fields,
            body: body.as_bytes(),
            status: 200,
            ..Self::default()
        }
    }
}

struct Told {
    transaction: Transaction,
    report: Report,
    /// The verdict of each phase but the last.
    verdicts: Vec<Verdict>,
}

impl Told {
    fn ids(&self) -> Vec<u32> {
        self.report.matches.iter().map(|found| found.rule.id).collect()
    }

    fn tx(&self, name: &str) -> Option<String> {
        self.transaction.tx(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

fn engine(rules: &str, options: Options) -> Arc<Engine> {
    let source = Source { name: "test.conf".into(), text: rules.as_bytes().to_vec() };
    let set = seclang::load(&[source], &NoFiles).unwrap_or_else(|faults| panic!("{faults:?}"));
    Arc::new(Engine::with(set, options, Arc::default()).expect("every rule has a link"))
}

fn tell(engine: &Arc<Engine>, story: &Story<'_>) -> Told {
    let address = |last| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 80);
    let now = Now { instant: Instant(0), unix_nanos: story.seconds * 1_000_000_000 };
    let facts = Facts { client: address(1), server: address(2), now, unique_id: "u-1".into() };
    let mut worker = Worker::new(engine);
    let mut transaction = Transaction::new(Arc::clone(engine), facts);
    let mut verdicts = Vec::new();
    transaction.request_line(story.method.as_bytes(), story.target.as_bytes(), b"HTTP/1.1");
    for (name, value) in story.fields {
        transaction.request_field(name.as_bytes(), value.as_bytes());
    }
    verdicts.push(transaction.request_head(&mut worker));
    for piece in story.body.chunks(7) {
        if let Err(verdict) = transaction.request_body(piece) {
            verdicts.push(verdict);
        }
    }
    verdicts.push(transaction.request_end(&mut worker));
    transaction.response_line(story.status, b"HTTP/1.1");
    for (name, value) in story.response_fields {
        transaction.response_field(name.as_bytes(), value.as_bytes());
    }
    verdicts.push(transaction.response_head(&mut worker));
    for piece in story.response_body.chunks(7) {
        if let Err(verdict) = transaction.response_body(piece) {
            verdicts.push(verdict);
        }
    }
    verdicts.push(transaction.response_end(&mut worker));
    let report = transaction.finish(&mut worker);
    Told { transaction, report, verdicts }
}

/// What becomes of a story, by the plan and by the reference alike.
#[track_caller]
fn run(rules: &str, story: &Story<'_>) -> Told {
    let told = tell(&engine(rules, Options::default()), story);
    let reference = Options { way: Way::Reference, ..Options::default() };
    let same = tell(&engine(rules, reference), story);
    assert_eq!(format!("{:?}", told.report), format!("{:?}", same.report), "plan and reference");
    assert_eq!(told.verdicts, same.verdicts, "verdicts of plan and reference");
    let tx = |told: &Told| -> Vec<_> {
        told.transaction.tx_all().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
    };
    assert_eq!(tx(&told), tx(&same), "TX of plan and reference");
    told
}

/// What is expected of a transaction.
#[derive(Default)]
struct Expected<'a> {
    ids: &'a [u32],
    /// Variables of TX; an empty text is one that is not set.
    tx: &'a [(&'a str, &'a str)],
    refused: Option<(u32, u16)>,
}

#[track_caller]
fn check(rules: &str, story: &Story<'_>, expected: &Expected<'_>) -> Told {
    let told = run(rules, story);
    assert_eq!(told.ids(), expected.ids, "ids");
    for (name, value) in expected.tx {
        let is = told.tx(name).unwrap_or_default();
        assert_eq!(is, *value, "TX:{name}");
    }
    let refused = told.report.refused.as_ref().map(|refusal| (refusal.rule, refusal.status));
    assert_eq!(refused, expected.refused, "refused");
    told
}

/// What TX has after a request.
#[track_caller]
fn check_tx(rules: &str, story: &Story<'_>, tx: &[(&str, &str)]) {
    let told = run(rules, story);
    for (name, value) in tx {
        assert_eq!(told.tx(name).unwrap_or_default(), *value, "TX:{name}");
    }
}

#[test]
fn effects_are_made_for_every_value_that_matches_and_the_rest_once() {
    let rules = r#"SecRule ARGS "@rx evil" "id:1,phase:1,deny,status:406,log,setvar:tx.a_pl1=+5,setvar:tx.anomaly_score_pl1=+5""#;
    let told = check(
        rules,
        &Story::get("/?a=evil&b=good&c=evil2"),
        &Expected { ids: &[1], tx: &[("a_pl1", "10")], refused: Some((1, 406)) },
    );
    let found = &told.report.matches[0];
    assert_eq!((found.score, found.variable.as_str()), (10, "ARGS:c"));
    assert_eq!(found.value, b"evil2");
}

#[test]
fn a_link_has_its_effect_though_its_chain_fails() {
    let rules = r#"
SecRule ARGS:a "@streq 1" "id:1,phase:1,deny,log,msg:'m',chain,setvar:tx.first=1"
    SecRule ARGS:b "@streq 2" "setvar:tx.second=1"
"#;
    let tx = &[("first", "1"), ("second", "")];
    check(rules, &Story::get("/?a=1&b=1"), &Expected { tx, ..Expected::default() });
    let tx = &[("first", "1"), ("second", "1")];
    check(rules, &Story::get("/?a=1&b=2"), &Expected { ids: &[1], tx, refused: Some((1, 403)) });
}

#[test]
fn captures_are_set_anew_by_each_match() {
    let rules = r#"
SecRule ARGS:a "@rx ^(x)(y)?(z)?" "id:1,phase:1,pass,nolog,capture"
SecAction "id:2,phase:1,pass,nolog,setvar:'tx.one=%{TX.0}-%{TX.1}-%{TX.2}-%{TX.3}'"
SecRule ARGS:b "@rx ^(q)" "id:3,phase:1,pass,nolog,capture"
SecAction "id:4,phase:1,pass,nolog,setvar:'tx.two=%{TX.0}-%{TX.1}-%{TX.2}-%{TX.3}'"
SecRule ARGS:c "@pm foo BAR" "id:5,phase:1,pass,nolog,capture,setvar:'tx.three=%{TX.0}'"
SecRule &TX:1 "@eq 0" "id:6,phase:1,pass,nolog,setvar:tx.unset=1"
"#;
    check_tx(
        rules,
        &Story::get("/?a=xyz&b=q&c=a+bar"),
        &[("one", "xyz-x-y-z"), ("two", "q-q--"), ("three", "bar"), ("unset", "1")],
    );
}

#[test]
fn detectors_capture_what_they_found() {
    let rules = r#"
SecRule ARGS:a "@detectSQLi" "id:1,phase:1,pass,log,capture,setvar:'tx.print=%{TX.0}'"
SecRule ARGS:b "@detectXSS" "id:2,phase:1,pass,log,capture,setvar:'tx.xss=%{TX.0}'"
"#;
    let story = Story::get("/?a=1'+or+'1'%3d'1&b=%3Cscript%3Ealert(1)%3C/script%3E");
    let told = run(rules, &story);
    assert_eq!(told.ids(), [1, 2]);
    assert!(!told.tx("print").unwrap_or_default().is_empty());
    assert_eq!(told.tx("xss").as_deref(), Some("<script>alert(1)</script>"));
}

#[test]
fn the_matched_variable_is_transformed_and_its_name_keeps_its_case() {
    let rules = r#"
SecRule ARGS:iD "@streq abc" "id:1,phase:1,pass,log,t:lowercase,logdata:'%{MATCHED_VAR} in %{MATCHED_VAR_NAME}',setvar:'tx.v=%{matched_var}',setvar:'tx.n=%{matched_var_name}'"
"#;
    let tx = &[("v", "abc"), ("n", "ARGS:Id")];
    let told = check(rules, &Story::get("/?Id=ABC"), &Expected { ids: &[1], tx, refused: None });
    let found = &told.report.matches[0];
    assert_eq!((found.data.as_str(), &*found.raw), ("abc in ARGS:Id", &b"ABC"[..]));
}

#[test]
fn matched_vars_are_of_the_current_rule() {
    let rules = r#"
SecRule ARGS "@rx a" "id:1,phase:1,pass,nolog,chain"
    SecRule MATCHED_VARS "@rx b" "chain,setvar:tx.b=+1"
        SecRule MATCHED_VARS_NAMES "@rx ^ARGS:two$" "setvar:tx.two=+1"
SecRule &MATCHED_VARS "@eq 0" "id:2,phase:1,pass,nolog,setvar:tx.cleared=1"
SecRule MATCHED_VAR "@streq ARGS:two" "id:3,phase:1,pass,nolog,setvar:tx.last=1"
"#;
    let tx = [("b", "2"), ("two", "1"), ("cleared", "1"), ("last", "")];
    check_tx(rules, &Story::get("/?one=ab&two=cab&three=a&four=b"), &tx);
}

#[test]
fn multi_match_asks_after_each_change() {
    let rules = r#"
SecRule ARGS:a "@rx ." "id:1,phase:1,pass,nolog,multiMatch,t:lowercase,t:urlDecodeUni,t:trim,t:lowercase,setvar:tx.n=+1"
SecRule ARGS:a "@streq ABC%20" "id:2,phase:1,pass,nolog,multiMatch,t:lowercase,setvar:tx.raw=1"
"#;
    check_tx(rules, &Story::get("/?a=ABC%2520"), &[("n", "4"), ("raw", "1")]);
    check_tx(rules, &Story::get("/?a=abc"), &[("n", "1")]);
}

#[test]
fn patterns_end_at_the_very_end_and_dots_are_lines_too() {
    let rules = r#"
SecRule ARGS:a "@rx ^a$" "id:1,phase:1,pass,nolog,setvar:tx.end=1"
SecRule ARGS:a "@rx a.b" "id:2,phase:1,pass,nolog,setvar:tx.dot=1"
"#;
    check_tx(rules, &Story::get("/?a=a%0a"), &[("end", ""), ("dot", "")]);
    check_tx(rules, &Story::get("/?a=a%0ab"), &[("end", ""), ("dot", "1")]);
}

#[test]
fn arguments_are_decoded_once() {
    let rules = r#"
SecRule ARGS:a "@streq %41 b" "id:1,phase:1,pass,nolog,setvar:tx.once=1"
SecRule ARGS:a "@streq A b" "id:2,phase:1,pass,nolog,t:urlDecodeUni,setvar:tx.twice=1"
SecRule ARGS_NAMES "@streq n m" "id:3,phase:1,pass,nolog,setvar:tx.name=1"
"#;
    let tx = [("once", "1"), ("twice", "1"), ("name", "1")];
    check_tx(rules, &Story::get("/?a=%2541+b&n+m=1"), &tx);
}

#[test]
fn arguments_without_a_name_or_a_value_count() {
    let rules = r#"
SecRule &ARGS "@eq 4" "id:1,phase:1,pass,nolog,setvar:tx.n=1"
SecRule ARGS "@streq b" "id:2,phase:1,pass,nolog,setvar:'tx.name=%{MATCHED_VAR_NAME}'"
SecRule ARGS_COMBINED_SIZE "@eq 6" "id:3,phase:1,pass,nolog,setvar:tx.size=1"
"#;
    check_tx(rules, &Story::get("/?a&=b&&c;d=e"), &[("n", "1"), ("name", "ARGS:"), ("size", "1")]);
}

#[test]
fn names_are_looked_up_without_case() {
    let rules = r#"
SecRule ARGS:FOO "@streq 1" "id:1,phase:1,pass,nolog,setvar:tx.arg=1"
SecRule REQUEST_HEADERS:x-thing "@streq 1" "id:2,phase:1,pass,nolog,setvar:TX.Head=1"
SecRule REQUEST_COOKIES:/^S/ "@streq 1" "id:3,phase:1,pass,nolog,setvar:tx.cookie=1"
SecRule TX:ARG|TX:hEAD "@eq 1" "id:4,phase:1,pass,nolog,setvar:tx.both=+1"
"#;
    let story =
        Story { fields: &[("X-Thing", "1"), ("Cookie", "a=2; sid=1")], ..Story::get("/?foo=1") };
    check_tx(rules, &story, &[("arg", "1"), ("head", "1"), ("cookie", "1"), ("both", "2")]);
}

#[test]
fn a_target_is_told_in_its_parts() {
    let rules = r#"
SecAction "id:1,phase:1,pass,nolog,setvar:'tx.uri=%{REQUEST_URI}',setvar:'tx.raw=%{REQUEST_URI_RAW}',setvar:'tx.file=%{REQUEST_FILENAME}',setvar:'tx.base=%{REQUEST_BASENAME}',setvar:'tx.line=%{REQUEST_LINE}',setvar:'tx.query=%{QUERY_STRING}',setvar:'tx.server=%{SERVER_NAME}'"
"#;
    let tx = [
        ("uri", "/a%20b/c.d?e=%20"),
        ("raw", "http://h.example:8/a%20b/c.d?e=%20"),
        ("file", "/a b/c.d"),
        ("base", "c.d"),
        ("line", "GET http://h.example:8/a%20b/c.d?e=%20 HTTP/1.1"),
        ("query", "e=%20"),
        ("server", "h.example"),
    ];
    check_tx(rules, &Story::get("http://h.example:8/a%20b/c.d?e=%20"), &tx);
}

#[test]
fn a_body_is_told_as_a_whole_only_where_nothing_else_is_made_of_it() {
    let rules = r#"
SecRule REQUEST_HEADERS:Content-Type "@rx json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:X-Force "@rx ." "id:2,phase:1,pass,nolog,ctl:forceRequestBodyVariable=On"
SecAction "id:3,phase:2,pass,nolog,setvar:'tx.p=%{REQBODY_PROCESSOR}',setvar:'tx.body=%{REQUEST_BODY}',setvar:'tx.length=%{REQUEST_BODY_LENGTH}'"
SecRule &REQUEST_BODY "@eq 1" "id:4,phase:2,pass,nolog,setvar:tx.there=1"
"#;
    let json = &[("Content-Type", "application/json")];
    let forced = &[("Content-Type", "application/json"), ("X-Force", "1")];
    let body = b"{\"a\":1}";
    let check = |fields, p, text, there| {
        let story = Story { method: "POST", fields, body, ..Story::get("/") };
        check_tx(rules, &story, &[("p", p), ("body", text), ("length", "7"), ("there", there)]);
    };
    check(json, "JSON", "", "");
    check(forced, "JSON", "{\"a\":1}", "1");
    check(&[("Content-Type", "text/x")], "", "{\"a\":1}", "1");
    check(
        &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
        "URLENCODED",
        "{\"a\":1}",
        "1",
    );
}

#[test]
fn each_occurrence_of_a_field_is_a_value() {
    let rules = r#"
SecRule &REQUEST_HEADERS:x "@eq 2" "id:1,phase:1,pass,nolog,setvar:tx.count=1"
SecRule REQUEST_HEADERS:X "@rx ." "id:2,phase:1,pass,nolog,setvar:tx.each=+1"
"#;
    let story = Story { fields: &[("X", "1"), ("x", "2")], ..Story::get("/") };
    check_tx(rules, &story, &[("count", "1"), ("each", "2")]);
}

#[test]
fn cookies_may_have_no_value() {
    let rules = r#"
SecRule REQUEST_COOKIES_NAMES "@rx ^(?:a|b|c)$" "id:1,phase:1,pass,nolog,setvar:tx.names=+1"
SecRule REQUEST_COOKIES:b "@streq x=y" "id:2,phase:1,pass,nolog,setvar:tx.first=1"
"#;
    let story = Story { fields: &[("Cookie", "a; b=x=y;c=")], ..Story::get("/") };
    check_tx(rules, &story, &[("names", "3"), ("first", "1")]);
}

#[test]
fn every_phase_runs_and_the_last_cannot_refuse() {
    let rules = r#"
SecAction "id:5,phase:5,deny,log"
SecAction "id:1,phase:1,pass,log"
SecAction "id:2,phase:2,pass,log"
SecAction "id:3,phase:3,pass,log"
SecAction "id:4,phase:4,deny,log,status:502"
"#;
    let story = Story::get("/");
    let told = check(
        rules,
        &story,
        &Expected { ids: &[1, 2, 3, 4, 5], refused: Some((4, 502)), ..Expected::default() },
    );
    assert_eq!(told.verdicts[..3], [Verdict::Pass, Verdict::Pass, Verdict::Pass]);
    let early = rules.replace("id:1,phase:1,pass", "id:1,phase:1,deny");
    let told = check(
        &early,
        &story,
        &Expected { ids: &[1, 5], refused: Some((1, 403)), ..Expected::default() },
    );
    assert!(
        told.verdicts.iter().all(|verdict| matches!(verdict, Verdict::Refuse(r) if r.rule == 1))
    );
}

#[test]
fn a_skip_stays_in_its_phase() {
    let rules = r#"
SecAction "id:1,phase:1,pass,nolog,skipAfter:END"
SecAction "id:2,phase:1,pass,log"
SecAction "id:3,phase:2,pass,log"
SecMarker END
SecAction "id:4,phase:1,pass,log,skip:1"
SecAction "id:5,phase:2,pass,log"
SecAction "id:6,phase:1,pass,log"
SecAction "id:7,phase:1,pass,log,skipAfter:NOWHERE"
SecAction "id:8,phase:1,pass,log"
"#;
    check(rules, &Story::get("/"), &Expected { ids: &[4, 7, 3, 5], ..Expected::default() });
}

#[test]
fn block_does_what_the_default_of_its_phase_says() {
    let rules = r#"
SecDefaultAction "phase:1,log,auditlog,pass"
SecDefaultAction "phase:2,log,auditlog,deny,status:418"
SecAction "id:1,phase:1,block"
SecAction "id:2,phase:2,block"
"#;
    check(
        rules,
        &Story::get("/"),
        &Expected { ids: &[1, 2], refused: Some((2, 418)), ..Expected::default() },
    );
}

#[test]
fn detection_writes_refusals_down_and_goes_on() {
    let rules = r#"
SecRuleEngine DetectionOnly
SecAction "id:1,phase:1,deny,log,status:406,setvar:tx.a=1,skipAfter:END"
SecAction "id:2,phase:1,deny,log"
SecMarker END
SecAction "id:3,phase:1,allow,log"
SecAction "id:4,phase:1,deny,log"
"#;
    let tx = &[("a", "1")];
    let told = check(rules, &Story::get("/"), &Expected { ids: &[1, 3, 4], tx, refused: None });
    let would = told.report.would_refuse.as_ref().map(|refusal| (refusal.rule, refusal.status));
    assert_eq!(would, Some((1, 406)));
    assert!(told.verdicts.iter().all(|verdict| *verdict == Verdict::Pass));
}

#[test]
fn allow_has_three_scopes() {
    let rules = |word: &str| {
        format!(
            r#"
SecAction "id:1,phase:1,{word},log"
SecAction "id:2,phase:1,pass,log"
SecAction "id:3,phase:2,pass,log"
SecAction "id:4,phase:3,pass,log"
SecAction "id:5,phase:5,pass,log"
"#
        )
    };
    let check = |word, ids| {
        check(&rules(word), &Story::get("/"), &Expected { ids, ..Expected::default() });
    };
    check("allow", &[1, 5]);
    check("allow:request", &[1, 4, 5]);
    check("allow:phase", &[1, 3, 4, 5]);
}

#[test]
fn controls_hold_for_what_follows() {
    let rules = r#"
SecRule ARGS:a "@rx ." "id:1,phase:1,pass,log,tag:'t/one',msg:'first'"
SecRule ARGS:off "@streq id" "id:10,phase:1,pass,nolog,ctl:ruleRemoveById=2-3"
SecRule ARGS:off "@streq tag" "id:11,phase:1,pass,nolog,ctl:ruleRemoveByTag=t/two"
SecRule ARGS:off "@streq msg" "id:12,phase:1,pass,nolog,ctl:ruleRemoveByMsg=third"
SecRule ARGS:off "@streq engine" "id:13,phase:1,pass,nolog,ctl:ruleEngine=Off"
SecRule ARGS:off "@streq detect" "id:14,phase:1,pass,nolog,ctl:ruleEngine=DetectionOnly"
SecRule ARGS:a "@rx ." "id:2,phase:1,pass,log,tag:'t/two',msg:'second'"
SecRule ARGS:a "@rx ." "id:3,phase:1,pass,log,tag:'t/two',msg:'third'"
SecRule ARGS:a "@rx ." "id:4,phase:1,deny,log,tag:'t/two/more'"
"#;
    let check = |off: &str, ids, refused| {
        let target = format!("/?a=1&off={off}");
        check(rules, &Story::get(&target), &Expected { ids, tx: &[], refused });
    };
    check("", &[1, 2, 3, 4], Some((4, 403)));
    check("id", &[1, 4], Some((4, 403)));
    check("tag", &[1, 4], Some((4, 403)));
    check("msg", &[1, 2, 4], Some((4, 403)));
    check("engine", &[1], None);
    check("detect", &[1, 2, 3, 4], None);
}

#[test]
fn controls_take_targets_away() {
    let rules = r#"
SecRule ARGS:off "@streq key" "id:10,phase:1,pass,nolog,ctl:ruleRemoveTargetById=1;ARGS:A"
SecRule ARGS:off "@streq all" "id:11,phase:1,pass,nolog,ctl:ruleRemoveTargetById=1-2;ARGS"
SecRule ARGS:off "@streq regex" "id:12,phase:1,pass,nolog,ctl:ruleRemoveTargetByTag=t;ARGS:/^a/"
SecRule ARGS|ARGS_NAMES "@rx ^x" "id:1,phase:1,pass,nolog,setvar:tx.n=+1,tag:'t',chain"
    SecRule ARGS "@rx ^x" "setvar:tx.link=+1"
"#;
    let check = |off: &str, n, link| {
        let target = format!("/?a=x&ab=x&b=x&xa=-&off={off}");
        check_tx(rules, &Story::get(&target), &[("n", n), ("link", link)]);
    };
    check("", "4", "3");
    check("key", "3", "2");
    check("all", "1", "");
    check("regex", "2", "1");
}

#[test]
fn rules_exclude_targets_of_their_own() {
    let rules = r#"
SecRule ARGS|!ARGS:a|!ARGS:/^b/|&ARGS:a "@rx ." "id:1,phase:1,pass,nolog,setvar:tx.n=+1,setvar:'tx.last=%{MATCHED_VAR_NAME}'"
"#;
    check_tx(rules, &Story::get("/?A=1&b1=1&c=1"), &[("n", "2"), ("last", "&ARGS:a")]);
}

#[test]
fn updates_of_targets_come_before_or_after() {
    let rules = r#"
SecRuleUpdateTargetById 1 "!ARGS:/^skip/"
SecRule ARGS "@rx ." "id:1,phase:1,pass,nolog,setvar:tx.n=+1"
"#;
    check_tx(rules, &Story::get("/?skip_a=1&b=1"), &[("n", "1")]);
}

#[test]
fn numbers_of_tx_add_up() {
    let rules = r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.flag,setvar:tx.Sum=2,setvar:tx.word=abc"
SecAction "id:2,phase:1,pass,nolog,setvar:tx.sum=+%{tx.SUM},setvar:tx.sum=+3,setvar:tx.word=+4,setvar:tx.new=-1,setvar:tx.sum=+%{tx.nothing}"
SecAction "id:3,phase:1,pass,nolog,setvar:!tx.flag2,setvar:tx.empty="
SecRule &TX:flag "@eq 1" "id:4,phase:1,pass,nolog,setvar:tx.is_set=1"
SecRule &TX:nothing "@eq 0" "id:5,phase:1,pass,nolog,setvar:tx.is_unset=1"
SecRule &TX:empty "@eq 1" "id:6,phase:1,pass,nolog,setvar:tx.empty_is_set=1"
SecAction "id:7,phase:1,pass,nolog,setvar:!tx.flag"
"#;
    let tx = [
        ("flag", ""),
        ("sum", "7"),
        ("word", "4"),
        ("new", "-1"),
        ("is_set", "1"),
        ("is_unset", "1"),
        ("empty_is_set", "1"),
    ];
    check_tx(rules, &Story::get("/"), &tx);
}

#[test]
fn without_values_nothing_matches_negated_or_not() {
    let rules = r#"
SecRule ARGS:none "!@streq x" "id:1,phase:1,deny,log"
SecRule REQUEST_HEADERS:None "@rx ^$" "id:2,phase:1,deny,log"
SecRule TX:none "@lt 1" "id:3,phase:1,deny,log"
"#;
    check(rules, &Story::get("/"), &Expected::default());
}

#[test]
fn operators_have_their_odd_corners() {
    let rules = r#"
SecRule ARGS:empty "@within a b" "id:1,phase:1,pass,nolog,setvar:tx.within_empty=1"
SecRule ARGS:part "@within get post" "id:2,phase:1,pass,nolog,setvar:tx.within_part=1"
SecRule ARGS:bytes "@validateByteRange 32-126" "id:3,phase:1,pass,nolog,setvar:tx.bytes=1"
SecRule ARGS:escape "@validateUrlEncoding" "id:4,phase:1,pass,nolog,setvar:tx.escape=1"
SecRule ARGS:utf8 "@validateUtf8Encoding" "id:5,phase:1,pass,nolog,setvar:tx.utf8=1"
SecRule ARGS:number "@eq 12" "id:6,phase:1,pass,nolog,setvar:tx.atoi=1"
SecRule ARGS:word "@eq 0" "id:7,phase:1,pass,nolog,setvar:tx.zero=1"
SecRule ARGS:number "@gt %{ARGS.word}" "id:8,phase:1,pass,nolog,setvar:tx.macro=1"
SecRule REMOTE_ADDR "@ipMatch 192.0.2.0/24,::1" "id:9,phase:1,pass,nolog,setvar:tx.ip=1"
SecRule ARGS:charset "@rx ^%{tx.allowed}$" "id:11,phase:1,pass,nolog,setvar:tx.expanded=1"
"#;
    let rules =
        format!("SecAction \"id:99,phase:1,nolog,pass,setvar:'tx.allowed=utf-8|ascii'\"\n{rules}");
    let story = Story::get(
        "/?empty=&part=ge&bytes=a%01&escape=%25zz&utf8=%ff&number=12abc&word=abc&charset=utf-8",
    );
    let tx = [
        ("within_empty", "1"),
        ("within_part", "1"),
        ("bytes", "1"),
        ("escape", "1"),
        ("utf8", "1"),
        ("atoi", "1"),
        ("zero", "1"),
        ("macro", "1"),
        ("ip", "1"),
        ("expanded", "1"),
    ];
    check_tx(&rules, &story, &tx);
}

#[test]
fn a_pattern_that_macros_spoil_is_told() {
    let rules = r#"SecRule ARGS:a "@rx ^(%{ARGS.b}" "id:1,phase:1,deny,log""#;
    let told = run(rules, &Story::get("/?a=1&b=1"));
    assert_eq!(told.ids(), [0_u32; 0]);
    assert_eq!(told.report.faults[0].kind, FaultKind::BadPattern);
}

#[test]
fn a_sample_is_drawn_of_the_unique_id() {
    let rules = r#"
SecRule UNIQUE_ID "@rx ^[a-f]*([0-9])[a-f]*([0-9])" "id:1,phase:1,pass,nolog,capture,t:sha1,t:hexEncode,setvar:'tx.rnd=%{TX.1}%{TX.2}'"
"#;
    let told = run(rules, &Story::get("/"));
    assert_eq!(told.tx("rnd").map(|digits| digits.len()), Some(2));
}

#[test]
fn collections_outlive_transactions_until_they_end() {
    let rules = r#"
SecAction "id:1,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR}_x,initcol:global=global"
SecRule &IP:seen "@eq 0" "id:2,phase:1,pass,nolog,setvar:tx.new=1"
SecAction "id:3,phase:1,pass,nolog,setvar:ip.seen=+1,expirevar:ip.seen=10,setvar:global.all=+1"
SecAction "id:4,phase:5,pass,nolog,setvar:'tx.seen=%{ip.SEEN}',setvar:'tx.all=%{global.all}',setvar:user.none=1"
"#;
    let engine = engine(rules, Options::default());
    let check = |seconds, new: Option<&str>, seen: &str, all: &str| {
        let told = tell(&engine, &Story { seconds, ..Story::get("/") });
        assert_eq!(told.tx("new").as_deref(), new, "at {seconds}");
        assert_eq!(told.tx("seen").as_deref(), Some(seen), "at {seconds}");
        assert_eq!(told.tx("all").as_deref(), Some(all), "at {seconds}");
    };
    check(100, Some("1"), "1", "1");
    check(105, None, "2", "2");
    check(114, None, "3", "3");
    check(124, Some("1"), "1", "4");
    check(9_000, Some("1"), "1", "1");
}

#[test]
fn a_response_is_looked_at_if_its_type_is_listed() {
    let rules = r#"
SecResponseBodyAccess On
SecResponseBodyMimeType text/html
SecRule RESPONSE_BODY "@contains secret" "id:1,phase:4,deny,log,status:500"
SecRule RESPONSE_HEADERS:x-a "@streq 1" "id:2,phase:3,pass,log"
SecRule RESPONSE_STATUS "@eq 503" "id:3,phase:3,pass,log"
SecRule RESPONSE_HEADERS_NAMES "@streq X-A" "id:4,phase:3,pass,log"
"#;
    let story = |kind| Story {
        status: 503,
        response_body: b"a very secret page",
        response_fields: kind,
        ..Story::get("/")
    };
    let html = &[("Content-Type", "text/HTML; charset=x"), ("X-A", "1")];
    let refused = Some((1, 500));
    let told = check(
        rules,
        &story(html),
        &Expected { ids: &[2, 3, 4, 1], refused, ..Expected::default() },
    );
    assert_eq!(told.report.matches[3].variable, "RESPONSE_BODY");
    let image = &[("Content-Type", "image/png"), ("X-A", "1")];
    check(rules, &story(image), &Expected { ids: &[2, 3, 4], ..Expected::default() });
}

#[test]
fn a_body_over_its_limit_is_refused_or_looked_at_in_part() {
    let rules = |action| {
        format!(
            r#"
SecRequestBodyLimit 10
SecRequestBodyNoFilesLimit 10
SecRequestBodyLimitAction {action}
SecRule ARGS "@rx ^1+$" "id:1,phase:2,pass,log"
SecRule INBOUND_DATA_ERROR "@eq 1" "id:2,phase:2,pass,log"
"#
        )
    };
    let long = Story::form("a=11111111&b=1");
    let within = Story::form("a=11111111");
    let reject = rules("Reject");
    check(&reject, &long, &Expected { refused: Some((0, 413)), ..Expected::default() });
    check(&reject, &within, &Expected { ids: &[1], ..Expected::default() });
    let partial = rules("ProcessPartial");
    let told = check(&partial, &long, &Expected { ids: &[1, 2], ..Expected::default() });
    assert_eq!(told.report.faults[0].kind, FaultKind::RequestBodyOverLimit);
    let detect = format!("SecRuleEngine DetectionOnly\n{reject}");
    let told = check(&detect, &long, &Expected { ids: &[1, 2], ..Expected::default() });
    assert_eq!(told.report.would_refuse.map(|refusal| refusal.status), Some(413));
}

#[test]
fn a_transaction_that_takes_too_long_ends_as_the_operator_wants() {
    let rules = r#"
SecRule ARGS "@rx (?:a+b)+" "id:1,phase:1,pass,log,t:lowercase"
SecAction "id:2,phase:1,pass,log"
SecAction "id:3,phase:5,pass,log"
"#;
    let long = format!("/?a={}", "A".repeat(10_000));
    let check = |on_error, refused| {
        let options = Options { on_error, steps_max: 12_000, ..Options::default() };
        let told = tell(&engine(rules, options), &Story::get(&long));
        assert_eq!(told.ids(), [3]);
        assert_eq!(told.report.faults[0].kind, FaultKind::OverSteps);
        assert_eq!(told.report.refused.map(|refusal| refusal.rule), refused);
    };
    check(OnError::Closed, Some(1));
    check(OnError::Open, None);
}

#[test]
fn what_was_not_read_as_a_whole_passes_only_if_the_operator_wants() {
    let rules = "SecArgumentsLimit 3\nSecAction \"id:1,phase:2,pass,log\"";
    let many = Story::get("/?a&b&c&d");
    let exact = Story::get("/?a&b&c&");
    let form = Story::form("a&b&c&d");
    let fields = &[("Content-Type", "multipart/form-data; boundary=b")];
    let malformed = Story { fields, body: b"--b\r\nx", method: "POST", ..Story::get("/") };
    let check = |mode: &str, on_error, story: &Story<'_>, kind: Option<FaultKind>, refused| {
        let options = Options { on_error, ..Options::default() };
        let told = tell(&engine(&format!("{mode}\n{rules}"), options), story);
        assert_eq!(told.ids(), [1]);
        assert_eq!(told.report.faults.first().map(|fault| fault.kind), kind);
        assert_eq!(told.report.refused.map(|refusal| refusal.status), refused);
    };
    let over = Some(FaultKind::BodyOverBounds);
    check("", OnError::Closed, &many, over, Some(400));
    check("", OnError::Open, &many, over, None);
    check("", OnError::Closed, &exact, None, None);
    check("", OnError::Closed, &form, over, Some(400));
    check("SecRequestBodyLimitAction ProcessPartial", OnError::Closed, &form, over, None);
    let both = Story { target: "/?a&b&c&d", ..form.clone() };
    check("SecRequestBodyLimitAction ProcessPartial", OnError::Closed, &both, over, Some(400));
    check("", OnError::Closed, &malformed, Some(FaultKind::BodyMalformed), Some(400));
    check(
        "SecRuleEngine DetectionOnly",
        OnError::Closed,
        &malformed,
        Some(FaultKind::BodyMalformed),
        None,
    );
    let rules = "SecRule REQBODY_ERROR \"@eq 1\" \"id:2,phase:2,deny,status:403,log\"";
    for mode in ["On", "DetectionOnly"] {
        let told = run(&format!("SecRuleEngine {mode}\n{rules}"), &malformed);
        assert_eq!(told.ids(), [2]);
        assert_eq!(told.report.faults, [], "a rule has seen to it");
    }
}

#[test]
fn a_chain_is_told_by_what_it_began_with() {
    let rules = r#"
SecRule ARGS "@rx (x)" "id:1,phase:1,pass,log,capture,logdata:'%{MATCHED_VAR_NAME}',chain"
    SecRule TX:1 "@streq x" "chain"
        SecRule MATCHED_VARS "@rx x"
"#;
    let told = run(rules, &Story::get("/?q=ax&r=y"));
    let found = &told.report.matches[0];
    assert_eq!((found.variable.as_str(), &*found.value), ("ARGS:q", &b"ax"[..]));
    assert_eq!(found.data, "MATCHED_VARS:TX:1");
}

#[test]
fn rules_cannot_keep_more_than_they_may() {
    let rules = r#"
SecRule ARGS "@rx ." "id:1,phase:1,pass,nolog,setvar:'tx.%{MATCHED_VAR_NAME}=%{MATCHED_VAR}'"
"#;
    let target = (0..100).map(|n| format!("a{n}=0123456789&")).collect::<String>();
    let options = Options { memory_max: 1_000, ..Options::default() };
    let told = tell(&engine(rules, options), &Story::get(&format!("/?{target}")));
    assert_eq!(told.report.faults[0].kind, FaultKind::OverMemory);
}

#[test]
fn what_is_to_be_hidden_is_hidden() {
    let rules = r#"
SecRule ARGS "@rx hunter" "id:1,phase:1,pass,log,logdata:'%{MATCHED_VAR} of %{REQUEST_URI}'"
SecAction "id:2,phase:5,pass,nolog,sanitiseArg:password"
"#;
    let told = run(rules, &Story::get("/?password=hunter2"));
    let found = &told.report.matches[0];
    assert_eq!(found.value, b"*******");
    assert!(!found.data.contains("hunter"), "{}", found.data);
    let rules = r#"
SecRule ARGS "@rx hunter" "id:1,phase:1,pass,log,sanitiseMatched"
SecRule REQUEST_URI "@rx hunter" "id:2,phase:1,pass,log"
"#;
    let told = run(rules, &Story::get("/?password=hunter2"));
    assert_eq!(told.report.matches[1].value, b"/?password=*******");
}

#[test]
fn scores_are_read_by_the_names_of_both_generations() {
    let check = |text: &str, inbound, outbound| {
        let sets: Vec<_> = text.split(' ').map(|set| format!("setvar:tx.{set}")).collect();
        let told = run(
            &format!("SecAction \"id:1,phase:1,pass,nolog,{}\"", sets.join(",")),
            &Story::get("/"),
        );
        let score = told.report.score;
        assert_eq!((score.inbound, score.outbound), (inbound, outbound), "{text}");
        assert_eq!(score.inbound_threshold, Some(5));
    };
    let check = |text: &str, inbound, outbound| {
        check(&format!("{text} inbound_anomaly_score_threshold=5"), inbound, outbound);
    };
    check("blocking_inbound_anomaly_score=8 inbound_anomaly_score_pl1=8", 8, 0);
    check(
        "inbound_anomaly_score_pl1=3 inbound_anomaly_score_pl2=4 blocking_paranoia_level=1",
        3,
        0,
    );
    check("inbound_anomaly_score=10 anomaly_score=14 outbound_anomaly_score=4", 10, 4);
    check("anomaly_score_pl1=3 anomaly_score_pl2=4 paranoia_level=2", 7, 0);
}

#[test]
fn audit_is_what_rules_say() {
    let check = |rules: &str, audit| {
        assert_eq!(run(rules, &Story::get("/")).report.audit, audit, "{rules}");
    };
    check("SecAction \"id:1,phase:1,pass,log,auditlog\"", true);
    check("SecAction \"id:1,phase:1,pass,nolog\"", false);
    check("SecAction \"id:1,phase:1,pass,log,noauditlog\"", false);
    check("SecAction \"id:1,phase:1,pass,log,auditlog,ctl:auditEngine=Off\"", false);
    check("SecAction \"id:1,phase:1,pass,nolog,ctl:auditEngine=On\"", true);
}

#[test]
fn reports_are_bounded_and_the_same_twice() {
    let rules = r#"SecRule ARGS "@rx z$" "id:1,phase:1,pass,log,msg:'%{MATCHED_VAR}',logdata:'%{MATCHED_VAR}'""#;
    let engine = engine(rules, Options::default());
    let long = format!("/?a={}z", "a".repeat(10_000));
    let mut told = tell(&engine, &Story::get(&long));
    let again = told.transaction.finish(&mut Worker::new(&engine));
    for report in [&told.report, &again] {
        let found = &report.matches[0];
        assert_eq!((found.value.len(), found.raw.len()), (EXCERPT_MAX, EXCERPT_MAX));
        assert_eq!((found.msg.len(), found.data.len()), (TEXT_MAX, TEXT_MAX));
    }
    assert_eq!(again.matches.len(), 1);
}

proptest! {
    #[test]
    fn nothing_that_is_told_makes_it_panic(
        method in any::<Vec<u8>>(),
        target in any::<Vec<u8>>(),
        fields in vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..6),
        kind in select(&["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/xml", "application/json", "x"][..]),
        body in vec(any::<Vec<u8>>(), 0..4),
        response in any::<Vec<u8>>(),
        status in any::<u16>(),
    ) {
        const RULES: &str = r#"
SecResponseBodyAccess On
SecResponseBodyMimeType text/html
SecRule REQUEST_HEADERS:content-type "@rx (json|xml)" "id:1,phase:1,pass,log,capture,ctl:forceRequestBodyVariable=On,setvar:tx.%{TX.1}=+%{TX.0}"
SecRule REQUEST_HEADERS:content-type "@rx json" "id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:content-type "@rx xml" "id:3,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"
SecAction "id:4,phase:1,pass,nolog,initcol:ip=%{REQUEST_LINE},setvar:ip.%{REQUEST_URI}=%{REQUEST_BASENAME},expirevar:ip.x=%{REQUEST_URI}"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|REQUEST_HEADERS|FILES|XML:/*|XML://@*|REQUEST_BODY|FULL_REQUEST|REQUEST_LINE|&ARGS|TX|IP|ENV|RULE|MULTIPART_PART_HEADERS|SERVER_NAME "@rx (.)(.)?(.)?" "id:5,phase:2,deny,log,capture,multiMatch,t:urlDecodeUni,t:htmlEntityDecode,t:jsDecode,t:cssDecode,t:normalizePath,t:compressWhitespace,t:base64Decode,msg:'%{MATCHED_VAR}',logdata:'%{TX.0} in %{MATCHED_VAR_NAME} %{rule.msg}',setvar:'tx.%{MATCHED_VAR_NAME}=%{MATCHED_VAR}',setenv:'x=%{MATCHED_VAR}',chain"
    SecRule MATCHED_VARS|MATCHED_VARS_NAMES "@unconditionalMatch" "setvar:tx.n=+%{MATCHED_VAR}"
SecRule ARGS "@detectSQLi" "id:6,phase:2,pass,log"
SecRule ARGS "@detectXSS" "id:7,phase:2,pass,log"
SecRule RESPONSE_BODY|RESPONSE_STATUS|STATUS_LINE|DURATION|TIME "@rx ." "id:8,phase:4,log,redirect:'http://h/%{MATCHED_VAR}'"
"#;
        static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| engine(RULES, Options::default()));
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
        let now = Now { instant: Instant(0), unix_nanos: u64::MAX };
        let facts = Facts { client: address, server: address, now, unique_id: String::new() };
        let mut worker = Worker::new(&ENGINE);
        let mut transaction = Transaction::new(Arc::clone(&ENGINE), facts);
        transaction.request_line(&method, &target, b"HTTP/1.1");
        transaction.request_field(b"Content-Type", kind.as_bytes());
        for (name, value) in &fields {
            transaction.request_field(name, value);
        }
        let _ = transaction.request_head(&mut worker);
        for piece in &body {
            let _ = transaction.request_body(piece);
        }
        let _ = transaction.request_end(&mut worker);
        transaction.response_line(status, b"HTTP/1.1");
        transaction.response_field(b"Content-Type", b"text/html");
        let _ = transaction.response_head(&mut worker);
        let _ = transaction.response_body(&response);
        let _ = transaction.response_end(&mut worker);
        let report = transaction.finish(&mut worker);
        for found in report.matches {
            prop_assert!(found.value.len() <= EXCERPT_MAX && found.raw.len() <= EXCERPT_MAX);
            prop_assert!(found.msg.len() <= TEXT_MAX && found.data.len() <= TEXT_MAX);
        }
    }
}
