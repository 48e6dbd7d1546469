//! Servers that are killed, stopped, slow, or come and go, under load: no client notices, where the
//! upstream may try again.

use std::time::Duration;

use rustix::process::Signal;

use crate::flow::{Beast, CLIENTS, Flow, servers};
use crate::rig::{Farm, House};

/// What an upstream is told that may try again. The budget is above a fifth: one of five servers that
/// hangs fails just that share.
const RETRY: &str = "retry 3 on connect-error timeout reset 502 503 budget 50% try-timeout 1s";

fn five() -> Vec<Beast> {
    (0..5).map(|_| Beast::start()).collect()
}

fn before(beasts: &[Beast], lines: &str) -> House {
    let text = format!("upstream o {{\n{}\n{lines}\n}}\n@SITE {{ proxy o }}", servers(beasts));
    House::with("log access off", &text)
}

/// Nothing went wrong, and enough was done.
#[track_caller]
fn went_well(flow: Flow, least: u64) {
    let (failed, well) = flow.stop();
    assert!(failed.is_empty(), "{failed:?} beside {well} that went well");
    assert!(well >= least, "{well}");
}

#[test]
fn a_killed_server_costs_no_idempotent_request() {
    let mut beasts = five();
    let house = before(&beasts, RETRY);
    let flow = Flow::start(house.address, "GET");
    flow.wait(1_000);
    beasts[2].kill();
    flow.wait(3_000);
    beasts[2].revive();
    flow.wait(1_000);
    went_well(flow, 5_000);
}

/// Without `retry`, and with requests that may not be repeated: at most the one that each connection to
/// the killed server had under way. A POST on a kept connection that dies is not repeated (UPC-05).
#[test]
fn a_killed_server_costs_at_most_one_request_for_each_connection() {
    for (method, lines) in [("GET", ""), ("POST", ""), ("POST", RETRY)] {
        let mut beasts = five();
        let house = before(&beasts, lines);
        let flow = Flow::start(house.address, method);
        flow.wait(1_000);
        beasts[0].kill();
        flow.wait(2_000);
        let (failed, well) = flow.stop();
        let failures: u64 = failed.values().sum();
        assert!(failures <= CLIENTS as u64, "{method}: {failed:?}");
        assert!(failed.keys().all(|what| what == "502"), "{method}: {failed:?}");
        assert!(well >= 2_900, "{method}: {well}");
    }
}

#[test]
fn a_stopped_server_costs_no_idempotent_request() {
    let beasts = five();
    let house = before(&beasts, RETRY);
    let flow = Flow::start(house.address, "GET");
    flow.wait(1_000);
    beasts[1].signal(Signal::STOP);
    flow.wait(500);
    beasts[1].signal(Signal::CONT);
    flow.wait(1_000);
    went_well(flow, 2_500);
}

#[test]
fn a_slow_server_costs_no_idempotent_request() {
    let farm = Farm::of(&["a", "b", "c", "d", "e"]);
    let servers = farm.servers(|_| String::new());
    let text = format!("upstream o {{\n{servers}\n{RETRY}\n}}\n@SITE {{ proxy o }}");
    let house = House::with("log access off", &text);
    let flow = Flow::start(house.address, "GET");
    flow.wait(500);
    farm["c"].slow_down(Duration::from_secs(10));
    flow.wait(300);
    farm["c"].slow_down(Duration::ZERO);
    flow.wait(500);
    went_well(flow, 1_300);
}

#[test]
fn a_flapping_server_costs_no_idempotent_request() {
    let mut beasts = five();
    let house = before(&beasts, RETRY);
    let flow = Flow::start(house.address, "GET");
    for _ in 0..3 {
        flow.wait(700);
        beasts[4].kill();
        flow.wait(700);
        beasts[4].revive();
    }
    flow.wait(700);
    went_well(flow, 4_900);
}

#[test]
fn a_rolling_restart_of_all_servers_costs_no_request() {
    let mut beasts = five();
    let house = before(&beasts, RETRY);
    let flow = Flow::start(house.address, "GET");
    for beast in &mut beasts {
        flow.wait(500);
        beast.restart();
    }
    flow.wait(500);
    went_well(flow, 3_000);
}

#[test]
fn a_restart_of_the_only_server_costs_no_request_where_they_are_parked() {
    let mut beast = [Beast::start()];
    let house = before(&beast, "retry 3 on reset budget 100%; park 30s");
    let flow = Flow::start(house.address, "GET");
    flow.wait(1_000);
    beast[0].restart();
    flow.wait(1_000);
    beast[0].kill();
    beast[0].revive();
    flow.wait(1_000);
    went_well(flow, 3_000);
}
