//! Servers that requests take out, and how servers come back.

use std::time::Duration;

use crate::rig::{House, Server};

fn three(servers: &[Server; 3], more: &str) -> String {
    let lines: Vec<String> =
        servers.iter().map(|server| format!("server {}", server.address())).collect();
    format!("{}\n{more}", lines.join("\n"))
}

fn servers() -> [Server; 3] {
    [Server::start("a"), Server::start("b"), Server::start("c")]
}

const CHECK: &str = "health GET /ready every 100ms";

/// Bad input: a server that answers checks and fails requests.
#[test]
fn a_server_that_passes_checks_and_fails_requests_is_taken_out() {
    let servers = servers();
    let passive = "passive { fails 3 within 1h; eject 2s; on timeout reset 500-503 }";
    let house = House::before(&three(&servers, &format!("{CHECK}\n{passive}")));
    assert_eq!(house.who(9), ["a", "b", "c"]);
    servers[0].answer_requests(502);
    let answers = house.answers(60);
    assert_eq!(answers.get("502"), Some(&3), "{answers:?}");
    let out = house.process.wait_for_words("is out for 2 s");
    assert!(out.contains("3 requests failed within"), "{out}");
    let status = house.status(servers[0].address());
    assert_eq!(status["checks"][0]["up"], true);
    assert_eq!(status["changes"].as_array().unwrap().last().unwrap()["up"], false);
    let name = servers[0].address();
    let series = format!("doorman_upstream_ejections_total{{upstream=\"app\",server=\"{name}\"}}");
    assert_eq!(house.metric(&series), Some(1.0));
    // Back on probation: the first failure is enough.
    let _ = house.process.wait_for_words("is back after");
    let answers = house.answers(30);
    assert_eq!(answers.get("502"), Some(&1), "{answers:?}");
    house.process.wait_for_times("is out for 2 s", 2);
    servers[0].answer_requests(200);
    house.process.wait_for_times("is back after", 2);
    assert_eq!(house.who(9), ["a", "b", "c"]);
}

#[test]
fn failures_that_leave_nobody_count_for_nothing() {
    let servers = servers();
    for server in &servers {
        server.answer_requests(503);
    }
    let passive = "passive { fails 1 within 1h; eject 1h; on 503 }";
    let house = House::before(&three(&servers, passive));
    // Each fails once and is out; then they are asked all the same, rather than nobody.
    assert_eq!(house.answers(3).get("503"), Some(&3));
    house.process.wait_for_times("is out for", 3);
    for server in &servers {
        server.answer_requests(200);
    }
    assert_eq!(house.who(9), ["a", "b", "c"]);
    // The only server of an upstream stays in, whatever it does.
    let alone = Server::start("alone");
    alone.answer_requests(503);
    let house = House::before(&format!("server {}\n{passive}", alone.address()));
    assert_eq!(house.answers(5).get("503"), Some(&5));
    assert_eq!(house.status(alone.address())["state"], "ready");
}

/// UPC-20, over real sockets.
#[test]
fn outliers_by_errors_and_a_query_of_death() {
    let servers = servers();
    let rules = "outlier { errors 50%; every 1s; eject 1h; min-requests 5; at-most 100% }";
    let house = House::before(&three(&servers, rules));
    // All fail alike: nobody is worse than the others.
    for server in &servers {
        server.answer_requests(500);
    }
    for _ in 0..4 {
        let _ = house.answers(60);
    }
    assert_eq!(house.times("is out for"), 0);
    servers[1].answer_requests(200);
    servers[2].answer_requests(404);
    while house.times("is out for") == 0 {
        let _ = house.answers(60);
    }
    let out = house.process.wait_for_words("is out for");
    let name = servers[0].address().to_string();
    assert!(out.contains(&name) && out.contains(" requests failed, "), "{out}");
    assert_eq!(house.who(10), ["404", "b"]);
    assert_eq!(house.status(servers[0].address())["state"], "ejected");
}

#[test]
fn outliers_by_latency() {
    let servers = servers();
    let rules = "outlier { errors off; latency 3x; every 1s; eject 1h; min-requests 5 }";
    let house = House::before(&three(&servers, rules));
    servers[2].take(Duration::from_millis(100));
    while house.times("is out for") == 0 {
        let _ = house.answers(30);
    }
    let out = house.process.wait_for_words("is out for");
    let name = servers[2].address().to_string();
    assert!(out.contains(&name) && out.contains("is the median of the servers"), "{out}");
    assert_eq!(house.who(10), ["a", "b"]);
}

#[test]
fn a_server_that_comes_back_begins_with_little() {
    let servers = servers();
    let check = "health GET /ready every 100ms fall 1 rise 1 timeout 10s";
    let house = House::before(&three(&servers, &format!("{check}\nslow-start 1h")));
    servers[0].wait_for_checks(1);
    // Those that were there from the start have all of their part.
    let answers = house.answers(30);
    assert!(answers.values().all(|&count| (8..=12).contains(&count)), "{answers:?}");
    servers[0].answer_checks(503);
    let _ = house.process.wait_for_words("is down");
    assert_eq!(house.who(6), ["b", "c"]);
    servers[0].answer_checks(200);
    let _ = house.process.wait_for_words("is up again");
    assert_eq!(house.status(servers[0].address())["state"], "slow-start");
    let answers = house.answers(260);
    let few = answers.get("a").copied().unwrap_or_default();
    assert!((1..=9).contains(&few), "once in 65: {answers:?}");
    // When all were down, the first to come back is needed at once, whoever comes after begins with little.
    for server in &servers {
        server.answer_checks(503);
    }
    house.process.wait_for_times("is down", 4);
    servers[1].answer_checks(200);
    house.process.wait_for_times("is up again", 2);
    assert_eq!(house.status(servers[1].address())["state"], "ready");
    servers[2].answer_checks(200);
    house.process.wait_for_times("is up again", 3);
    assert_eq!(house.status(servers[2].address())["state"], "slow-start");
    // A server that a reload adds begins with little as well.
    let added = Server::start("d");
    house.reload(&three(&servers, &format!("server {}\n{check}\nslow-start 1h", added.address())));
    assert_eq!(house.status(added.address())["state"], "slow-start");
}
