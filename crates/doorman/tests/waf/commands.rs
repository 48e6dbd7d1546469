//! `doorman waf`: what operators see of rules, and what they are told to do about it.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::rig::House;

/// Rules that score: level 1 looks for `one` in arguments, level 2 for `two`.
const SCORED: &str = r#"
SecRule ARGS "@contains one" \
    "id:200,phase:2,pass,log,t:none,t:lowercase,msg:'One was said',severity:CRITICAL,\
    tag:'paranoia-level/1',setvar:'tx.inbound_anomaly_score_pl1=+5'"
SecRule ARGS "@contains two" \
    "id:201,phase:2,pass,log,t:none,msg:'Two was said',severity:CRITICAL,\
    tag:'paranoia-level/2',setvar:'tx.inbound_anomaly_score_pl2=+5'"
SecRule TX:inbound_anomaly_score_pl1 "@ge 5" \
    "id:290,phase:2,deny,status:403,log,msg:'Too much was said'"
"#;

/// A house whose rules score.
fn scored(site: &str) -> House {
    let house = House::with("waf off");
    let folder = house.process.folder().join("scored");
    std::fs::create_dir(&folder).expect("our own folder");
    house.write("scored/scored.conf", SCORED);
    house.configure(site);
    house.reload(" is in force");
    house
}

fn waf(house: &House, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doorman"))
        .arg("waf")
        .args(arguments)
        .current_dir(house.process.folder())
        .env_remove("DOORMAN_ADMIN")
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

#[track_caller]
fn says(house: &House, arguments: &[&str], code: i32) -> String {
    let output = waf(house, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}{error}");
    text
}

#[track_caller]
fn json(house: &House, arguments: &[&str], code: i32) -> Value {
    let text = says(house, &[arguments, &["--json"]].concat(), code);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

/// Asks, and waits until what rules found of it is written down. Gives the request's id.
#[track_caller]
fn refused(house: &House, target: &str) -> String {
    let got = house.get(target, &[]);
    assert_eq!(got.status, 403, "{target}");
    let id = got.field("x-request-id").expect("an id").to_owned();
    house.told(&id, "\"rule\":200,");
    id
}

#[test]
fn an_operator_finds_out_why_and_pastes_what_helps() {
    let site = "waf ./scored level 1 threshold 5";
    let house = scored(site);
    assert!(says(&house, &["events"], 0).contains("rules have found nothing"));
    let id = refused(&house, "/search?q=ONE+thing&r=x");
    refused(&house, "/search?q=one");
    refused(&house, "/search?q=one&r=one");
    refused(&house, "/other?q=one");

    let table = says(&house, &["events", "--rule", "200", "--limit", "2"], 0);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("GET /other") && table.contains("block 403"), "{table}");
    assert!(table.contains("5/5") && table.contains("200 290"), "{table}");
    let none = says(&house, &["events", "--rule", "7"], 0);
    assert!(none.contains("none of the events"), "{none}");
    let listed = json(&house, &["events", "--site", "nowhere.test"], 0);
    assert_eq!((&listed["count"], listed["events"].as_array().map(Vec::len)), (&4.into(), Some(0)));

    let why = says(&house, &["why", &id], 0);
    for words in [
        "refused with 403 by rule 290",
        "rule 200  +5  One was said",
        "in        ARGS:q",
        "saw       one thing",
        "of        ONE thing",
        "waf exclude 200 arg q path /search  # alone: 2 of 4 kept; 3 without the path",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }
    let told = json(&house, &["why", &id], 0);
    assert_eq!(told["advice"]["lines"][0]["rule"], 200, "{told}");
    says(&house, &["why", "none"], 1);

    let line = told["advice"]["lines"][0]["line"].as_str().expect("a line");
    house.configure(&format!("{site}\n{line}"));
    house.reload(" is in force");
    assert_eq!(house.get("/search?q=ONE+thing&r=x", &[]).status, 200);
    assert_eq!(house.get("/other?q=one", &[]).status, 403);
}

#[test]
fn the_next_level_is_shown_before_it_counts() {
    let house = scored("waf ./scored level 1 detect-level 2 threshold 5");
    assert_eq!(house.get("/x?q=two", &[]).status, 200);
    let told = house.told("\"/x\"", "\"action\":\"shadow\"");
    let told: Value = serde_json::from_str(&told).expect("an object a line");
    let id = told["request_id"].as_str().expect("an id").to_owned();
    assert_eq!(house.get("/y?q=three", &[]).status, 200);
    refused(&house, "/z?q=one+two");

    let line = house.line("/x");
    assert!(
        line.contains("\"waf\":\"shadow\"") && line.contains("\"waf_shadow_score\":5"),
        "{line}"
    );
    let table = says(&house, &["events", "--shadow"], 0);
    assert!(table.contains("GET /x") && !table.contains("GET /z"), "{table}");
    let why = says(&house, &["why", &id], 0);
    assert!(why.contains("at level 2 it would be refused"), "{why}");
    assert!(why.contains("2, which does not count at level 1"), "{why}");
    assert!(why.contains("waf exclude 201 arg q path /x"), "{why}");
    let site = format!("http://*:{}", house.plain.port());
    let series = format!("doorman_waf_decisions_total{{site=\"{site}\",action=\"shadow\"}}");
    assert_eq!(house.metric(&series), 1.0);
}

#[test]
fn a_request_is_tried_without_a_proxy() {
    let house = scored("waf ./scored level 1 threshold 5");
    let url = |target: &str| format!("http://localhost:{}{target}", house.plain.port());
    let text = says(&house, &["test", &url("/?q=one")], 1);
    assert!(text.contains("refused with 403 by rule 290"), "{text}");
    assert!(text.contains("waf exclude 200 arg q path /"), "{text}");
    assert!(says(&house, &["test", &url("/?q=zero")], 0).contains("verdict   passes"));
    let body = json(&house, &["test", &url("/"), "-d", "a=b", "-d", "c=one"], 1);
    assert_eq!((&body["refused"], &body["refused_by"]), (&true.into(), &290.into()), "{body}");
    assert_eq!(body["findings"][0]["variable"], "ARGS:c", "{body}");
    // Level 2 has a rule of its own, and its sum is not asked for by these rules.
    let level = json(&house, &["test", &url("/?q=two"), "--level", "2"], 0);
    assert_eq!((&level["level"], &level["inbound_score"]), (&2.into(), &5.into()), "{level}");

    let host = format!("localhost:{}", house.plain.port());
    let raw = format!(
        "POST /form HTTP/1.1\nHost: {host}\nContent-Type: application/x-www-form-urlencoded\n\na=one\n"
    );
    house.write("request.http", &raw);
    let text = says(&house, &["test", "request.http"], 1);
    assert!(text.contains("ARGS:a") && text.contains("exclude 200 arg a path /form"), "{text}");
    house.write("broken.http", "nonsense\n");
    says(&house, &["test", "broken.http"], 2);
    assert_eq!(house.asked(), 0, "nobody was asked");
}

#[test]
fn rules_are_counted_and_measured() {
    let house = scored("waf ./scored level 1 threshold 5 exclude 201 arg x");
    let checked = json(&house, &["check"], 0);
    let set = &checked["sets"][0];
    assert!(set["rules"].as_u64() > Some(3) && set["active"].as_u64() > Some(0), "{checked}");
    assert_eq!(set["routes"][0]["level"], 1, "{checked}");
    let text = says(&house, &["check"], 0);
    assert!(text.contains("active") && text.contains("exclude 201 arg x"), "{text}");

    refused(&house, "/a?q=one");
    assert_eq!(house.get("/b?q=zero", &[]).status, 200);
    house.line("/b");
    let costs = json(&house, &["rules", "--by", "hits"], 0);
    let rules = costs["sets"][0]["rules"].as_array().expect("rules").clone();
    let rule = |id: u32| rules.iter().find(|rule| rule["rule"] == id).expect("the rule").clone();
    assert_eq!(rule(200)["hits"], 1, "{costs}");
    // A gate kept `zero` away from it.
    assert_eq!(rule(200)["asked"], 1, "{costs}");
    assert_eq!(rule(201)["asked"], 0, "{costs}");
    let text = says(&house, &["rules", "--by", "cost", "--all"], 0);
    assert!(text.contains("One was said") && text.contains("scored: "), "{text}");
}

#[test]
fn without_rules_it_says_so() {
    let house = House::with("waf off");
    let url = format!("http://localhost:{}/", house.plain.port());
    assert!(says(&house, &["test", &url], 0).contains("has no `waf` line"));
    assert!(says(&house, &["check"], 0).contains("no route is inspected"));
    assert!(says(&house, &["rules"], 0).contains("no route is inspected"));
}
