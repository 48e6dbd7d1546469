//! Servers that are found in DNS and in files, and what becomes of them when they cannot be found any more.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dns::{A, Dns, Record, SRV, Says};
use crate::manage::{Load, json, server, well};
use crate::rig::{House, Origin, PATIENCE};

/// Origins on one port, at addresses of the loopback with these last numbers.
struct Fleet {
    port: u16,
    origins: Vec<Origin>,
}

impl Fleet {
    fn of(last: &[u8]) -> Self {
        loop {
            let first = Origin::start("127.0.0.1");
            let port = first.address.port();
            let at = |last: &u8| {
                let address = SocketAddr::from(([127, 0, 0, *last], port));
                Origin::on(&address.ip().to_string(), address)
            };
            if let Ok(origins) = last.iter().map(at).collect() {
                return Self { port, origins };
            }
        }
    }

    fn origin(&self, last: u8) -> &Origin {
        let name = format!("127.0.0.{last}");
        self.origins.iter().find(|one| one.name == name).expect("an origin")
    }
}

/// The program with these lines in its one upstream, which asks this DNS server.
fn house(dns: &Dns, lines: &str) -> House {
    let text = format!("upstream o {{\n{lines}\n}}\n@SITE {{ proxy o }}");
    House::with(&format!("workers 1\nresolver {}", dns.address), &text)
}

fn shares(house: &House, times: usize) -> Vec<(String, usize)> {
    house.shares(times)
}

fn half(last: &[u8], each: usize) -> Vec<(String, usize)> {
    last.iter().map(|last| (format!("127.0.0.{last}"), each)).collect()
}

/// Waits until the servers of the upstream are these.
#[track_caller]
fn until_servers(house: &House, port: u16, last: &[u8]) {
    let expect: Vec<Value> =
        last.iter().map(|last| format!("127.0.0.{last}:{port}").into()).collect();
    let begun = Instant::now();
    loop {
        let all = json(house, &["upstreams"]);
        let servers = all["upstreams"][0]["servers"].as_array().expect("servers");
        let names: Vec<Value> = servers.iter().map(|one| one["name"].clone()).collect();
        if names == expect {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{names:?} are there, not {expect:?}");
    }
}

#[test]
fn the_addresses_of_a_name_are_servers_from_the_first_request_on() {
    let (dns, fleet) = (Dns::start(), Fleet::of(&[2, 3]));
    dns.addresses("app.test", &[3, 2], 600);
    let house = house(&dns, &format!("discover dns app.test {}", fleet.port));
    assert_eq!(shares(&house, 10), half(&[2, 3], 5));
    let table = well(&house, &["upstreams"]);
    assert!(table.contains(&format!("dns app.test {}: 2 servers", fleet.port)), "{table}");
    assert_eq!(dns.asked("app.test", A), 1, "its TTL is not over");
}

#[test]
fn upc_15_upc_16_a_look_that_fails_keeps_the_last_good_list() {
    let (dns, fleet) = (Dns::start(), Fleet::of(&[2, 3]));
    dns.addresses("app.test", &[2, 3], 0);
    let house = house(&dns, &format!("discover dns app.test {}", fleet.port));
    let failures = [
        (Says::Code(3), "no such name"),
        (Says::Code(2), "the DNS server answers"),
        (Says::Code(5), "the DNS server answers"),
        (Says::Nothing, "the name has no such records"),
        (Says::Rubbish, "in time"),
        (Says::Loop, "asking DNS failed"),
        (Says::Silence, "in time"),
    ];
    for (times, (says, why)) in (1..).zip(failures) {
        dns.fails("app.test", &says);
        house.process.wait_for_times("the last good list of 2 counts on", times);
        let said = house.process.said();
        let line = said.iter().rfind(|line| line.contains("counts on")).expect("a line");
        assert!(line.contains(why), "{says:?}: {line}");
        dns.wait_asked("app.test", A, 1);
        assert_eq!(shares(&house, 4), half(&[2, 3], 2), "{says:?}");
        let told = house.process.said();
        let lines = told.iter().filter(|line| line.contains("counts on")).count();
        assert_eq!(lines, times, "it is told once");
        dns.addresses("app.test", &[2, 3], 0);
        house.process.wait_for_times("found again, with the same servers", times);
    }
}

#[test]
fn an_unresolvable_name_stops_no_start_and_no_other_upstream() {
    let (dns, fleet) = (Dns::start(), Fleet::of(&[2]));
    dns.fails("app.test", &Says::Code(3));
    let text = format!(
        "upstream o {{ discover dns app.test {0} }}\nupstream p {{ server {1} }}\n\
         @SITE {{ route /p {{ proxy p }}; route * {{ proxy o }} }}",
        fleet.port,
        fleet.origin(2).address
    );
    let house = House::with(&format!("workers 1\nresolver {}", dns.address), &text);
    assert!(matches!(house.get("/").status, 502 | 503));
    assert_eq!(house.get("/p").status, 200);
    assert!(!house.process.wait_for_words("no servers until it is known").is_empty());
    dns.addresses("app.test", &[2], 600);
    house.until("it is found", |reply| reply.status == 200);
}

#[test]
fn rxu_11_thousands_of_addresses_are_bounded_and_a_ttl_of_nothing_is_a_second() {
    let (dns, fleet) = (Dns::start(), Fleet::of(&[2, 3]));
    let many = (1..=200_u8).flat_map(|third| (1..=20_u8).map(move |last| [127, 1, third, last]));
    let mut records: Vec<_> = many.take(3998).map(|ip| Record::A(ip.into())).collect();
    records.push(Record::A([127, 0, 0, 3].into()));
    records.push(Record::A([127, 0, 0, 2].into()));
    dns.say("app.test", A, Says::Records(records, 0));
    let house =
        house(&dns, &format!("discover dns app.test {} {{ family ipv4; most 2 }}", fleet.port));
    assert!(dns.over_tcp() > 0, "the answer does not fit into a datagram");
    assert_eq!(shares(&house, 10), half(&[2, 3], 5), "the first in the order of addresses");
    let begun = Instant::now();
    dns.wait_asked("app.test", A, 3);
    assert!(begun.elapsed() > Duration::from_millis(1500), "asked in {:?}", begun.elapsed());
    let said = house.process.said();
    let lines: Vec<_> = said.iter().filter(|line| line.contains("too many")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("4000 servers are too many, the first 2 are taken"), "{lines:?}");
}

#[test]
fn rxu_11_upc_17_records_that_come_and_go_under_load_cost_no_request() {
    let (dns, fleet) = (Dns::start(), Fleet::of(&[2, 3, 4]));
    dns.addresses("app.test", &[2, 3], 0);
    let house = house(&dns, &format!("discover dns app.test {}", fleet.port));
    let load = Load::on(&house, 3);
    for last in [&[3_u8, 4][..], &[2, 4], &[3, 4], &[4]] {
        dns.addresses("app.test", last, 0);
        until_servers(&house, fleet.port, last);
        load.wait(30);
    }
    // What is gone is asked no more, by whoever began before.
    let before = [fleet.origin(2).asked(), fleet.origin(3).asked()];
    load.wait(60);
    assert_eq!([fleet.origin(2).asked(), fleet.origin(3).asked()], before);
    let (count, failed) = load.end();
    assert_eq!(failed, 0, "of {count}");
    // The one that stayed has kept its counters.
    let name = format!("127.0.0.4:{}", fleet.port);
    assert!(server(&house, &name)["picks"].as_u64().expect("a count") > 60);
}

#[test]
fn an_override_of_a_server_that_is_away_comes_back_with_it() {
    let (dns, fleet) = (Dns::start(), Fleet::of(&[2, 3]));
    dns.addresses("app.test", &[2, 3], 0);
    let house = house(&dns, &format!("discover dns app.test {}", fleet.port));
    let name = format!("127.0.0.2:{}", fleet.port);
    well(&house, &["upstreams", "down", &format!("o/{name}")]);
    for last in [&[3][..], &[2, 3]] {
        dns.addresses("app.test", last, 0);
        until_servers(&house, fleet.port, last);
        assert_eq!(shares(&house, 4), half(&[3], 4));
    }
    assert_eq!(server(&house, &name)["state"], "down");
}

#[test]
fn srv_records_give_ports_weights_and_tiers() {
    let (dns, fleet) = (Dns::start(), Fleet::of(&[2, 3, 4]));
    let record = |priority: u16, weight: u16, target: &str| Record::Srv {
        priority,
        weight,
        port: fleet.port,
        target: target.to_owned(),
    };
    let records = vec![record(10, 3, "a.test"), record(10, 1, "b.test"), record(20, 1, "c.test")];
    dns.say("_http._tcp.app.test", SRV, Says::Records(records, 600));
    for (name, last) in [("a.test", 2), ("b.test", 3), ("c.test", 4)] {
        dns.addresses(name, &[last], 600);
    }
    let house = house(&dns, "discover srv _http._tcp.app.test");
    assert_eq!(shares(&house, 8), [("127.0.0.2".to_owned(), 6), ("127.0.0.3".to_owned(), 2)]);
    let backup = server(&house, &format!("127.0.0.4:{}", fleet.port));
    assert_eq!(backup["tier"], 1);
    assert!(backup["why"].as_str().unwrap().contains("lower tier"), "{backup:#}");
    fleet.origin(2).kill();
    fleet.origin(3).kill();
    house.until("the next tier", |reply| reply.server == "127.0.0.4");
}

#[test]
fn a_name_behind_names_is_followed() {
    let (dns, fleet) = (Dns::start(), Fleet::of(&[2]));
    dns.say("app.test", A, Says::Records(vec![Record::Cname("real.test".to_owned())], 600));
    dns.addresses("real.test", &[2], 600);
    let house = house(&dns, &format!("discover dns app.test {} family ipv4", fleet.port));
    assert_eq!(shares(&house, 2), half(&[2], 2));
}

#[test]
fn names_of_servers_stand_for_their_addresses_where_they_are_resolved() {
    let (dns, fleet) = (Dns::start(), Fleet::of(&[2, 3, 4]));
    dns.addresses("app.test", &[2, 3], 600);
    let lines = format!(
        "server app.test:{0} {{ weight 2 }}\nserver {1} {{ name c }}\nresolve every 1s",
        fleet.port,
        fleet.origin(4).address
    );
    let house = house(&dns, &lines);
    let expect =
        [("127.0.0.2".to_owned(), 4), ("127.0.0.3".to_owned(), 4), ("127.0.0.4".to_owned(), 2)];
    assert_eq!(shares(&house, 10), expect);
    // So often, whatever the TTL says.
    dns.addresses("app.test", &[3], 600);
    house.process.wait_for_times("1 server now", 1);
    house.until("the other two", |_| shares(&house, 6) == [expect[1].clone(), expect[2].clone()]);
}

#[test]
fn a_file_of_servers_is_followed_and_a_broken_one_is_not() {
    let fleet = Fleet::of(&[2, 3]);
    let line = |last: u8| format!("127.0.0.{last}:{}", fleet.port);
    let folder = doorman_testkit::process::folder();
    let file = folder.path().join("servers.txt");
    std::fs::write(&file, format!("# first\n{} weight 3\n{}\n", line(2), line(3))).unwrap();
    let text = format!("upstream o {{ discover file {} }}\n@SITE {{ proxy o }}", file.display());
    let house = House::with("workers 1", &text);
    let both = [("127.0.0.2".to_owned(), 6), ("127.0.0.3".to_owned(), 2)];
    assert_eq!(shares(&house, 8), both);
    std::fs::write(&file, format!("{}\n{} weight", line(3), line(2))).unwrap();
    assert!(!house.process.wait_for_words("`weight` misses its value").is_empty());
    assert_eq!(shares(&house, 8), both);
    let staged = folder.path().join("new");
    std::fs::write(&staged, format!("{{\"servers\":[\"{}\"]}}", line(3))).unwrap();
    std::fs::rename(&staged, &file).unwrap();
    house.until("the new list", |_| shares(&house, 4) == half(&[3], 4));
    std::fs::remove_file(&file).unwrap();
    house.process.wait_for_times("the last good list of 1 counts on", 1);
    assert_eq!(shares(&house, 2), half(&[3], 2));
    std::fs::write(&file, "[]").unwrap();
    house.until("no server", |reply| reply.status == 502 || reply.status == 503);
}

#[test]
fn a_reload_that_is_refused_leaves_what_was_found() {
    let (dns, fleet) = (Dns::start(), Fleet::of(&[2, 3]));
    dns.addresses("app.test", &[2], 600);
    dns.addresses("other.test", &[3], 600);
    let text = |name: &str, more: &str| {
        format!("upstream o {{ discover dns {name} {} }}\n@SITE {{ proxy o }}\n{more}", fleet.port)
    };
    let global = format!("workers 1\nresolver {}", dns.address);
    let house = House::with(&global, &text("app.test", ""));
    let path = house.process.folder().join("doorman.conf");
    let good = std::fs::read_to_string(&path).unwrap();
    let bad = good.replace("app.test", "other.test")
        + "\nsite http://*:9 { tls cert none.pem key none.key }";
    std::fs::write(&path, bad).unwrap();
    house.process.signal(rustix::process::Signal::HUP).unwrap();
    house.process.wait_for_times("was not reloaded", 1);
    assert_eq!(shares(&house, 2), half(&[2], 2));
    house.reload(&global, &text("other.test", ""));
    assert_eq!(shares(&house, 2), half(&[3], 2), "from the first request on");
}
