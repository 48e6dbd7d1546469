//! Splits that stick: a client stays on its side.

use std::collections::BTreeMap;

use doorman_testkit::raw::Raw;

use crate::rig::{FRONTS, Front, House, number};

/// `@0` is the upstream `web`, `@1` the canary.
const UPSTREAMS: &str = "upstream web { server @0 }\nupstream canary { server @1 }";

fn house(route: &str) -> House {
    House::start(vec![number(0), number(1)], UPSTREAMS, route)
}

fn clients(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("10.{}.{}.{}", n % 3, n / 250 % 250, n % 250 + 1)).collect()
}

/// Which side each client is on; a trusted proxy names the clients.
fn sides(house: &House, clients: &[String]) -> BTreeMap<String, usize> {
    let said = house.ask_all(clients.iter().map(|client| format!("X-Forwarded-For: {client}\r\n")));
    clients.iter().cloned().zip(said.iter().map(|said| said.who())).collect()
}

#[test]
fn by_address_each_client_has_its_side_and_a_change_moves_only_who_must() {
    let house = house("proxy web 80% canary 20% sticky-share client-ip");
    let clients = clients(1000);
    let first = sides(&house, &clients);
    let canary = first.values().filter(|side| **side == 1).count();
    assert!((140..260).contains(&canary), "{canary} of 1000");
    assert_eq!(sides(&house, &clients), first, "again");
    house.reload(UPSTREAMS, "proxy web 60% canary 40% sticky-share client-ip");
    let more = sides(&house, &clients);
    let moved = clients.iter().filter(|client| first[*client] != more[*client]).count();
    assert!(clients.iter().all(|client| more[client] >= first[client]), "nobody leaves the canary");
    assert!((140..260).contains(&moved), "{moved} of 1000");
    house.reload(UPSTREAMS, "proxy canary 20% web 80% sticky-share client-ip");
    assert_eq!(sides(&house, &clients), first, "the order of the targets says nothing");
}

#[test]
fn by_a_cookie_a_client_is_given_its_side_once() {
    let house = house("proxy web 50% canary 50% sticky-share cookie side");
    let mut seen = [0, 0];
    for front in FRONTS.iter().cycle().take(40) {
        let first = house.by(*front, "a=1");
        let cookie = first.pair().to_owned();
        assert!(cookie.starts_with("side=") && first.sent() == "a=1", "{first:?}");
        let again = house.by(*front, &format!("a=1; {cookie}"));
        assert_eq!((again.who(), again.sent()), (first.who(), "a=1"));
        assert!(again.cookies.is_empty(), "{again:?}");
        seen[first.who()] += 1;
    }
    assert!(seen[0] > 5 && seen[1] > 5, "{seen:?}");
    for forged in ["side=", "side=AAAA", &format!("side={}", "A".repeat(40))] {
        assert_ne!(house.by(Front::Plain, forged).pair(), forged);
    }
}

#[test]
fn by_a_key_of_the_request_or_in_turn_without_one() {
    let house = house("proxy web 50% canary 50% sticky-share {header.x-tenant}");
    let mut sides = [0, 0];
    for tenant in 0..30 {
        let fields = [("x-tenant", tenant.to_string())];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let first = house.ask(Front::Plain, "/", &fields).who();
        assert_eq!(house.ask(Front::H2, "/other", &fields).who(), first);
        sides[first] += 1;
    }
    assert!(sides[0] > 3 && sides[1] > 3, "{sides:?}");
    let said = house.ask_all((0..200).map(|_| String::new()));
    assert_eq!(said.iter().filter(|said| said.who() == 1).count(), 100, "exactly, without a key");
}

#[test]
fn a_canary_that_fell_over_takes_no_client_along() {
    let mut house = house("proxy web 1% canary 99% sticky-share client-ip");
    let clients = clients(60);
    let first = sides(&house, &clients);
    assert!(first.values().filter(|side| **side == 1).count() > 50);
    house.stop_origin(1);
    assert!(sides(&house, &clients).values().all(|side| *side == 0));
    house.start_origin(1);
    // It is asked again once its rest is over, and everybody is back on his side.
    while sides(&house, &clients) != first {}
    let told = house.explain("a=1");
    assert!(told.contains("by its key, always"), "{told}");
}

/// One number for all routes whose cookies have one name: a client is on the same side of all.
#[test]
fn routes_share_a_cookie_by_its_name() {
    let split = "proxy web 50% canary 50% sticky-share cookie side";
    let house = house(&format!("route /a {{ {split} }}; route * {{ {split} }}"));
    for _ in 0..10 {
        let first = house.ask(Front::Plain, "/a", &[]);
        let cookie = first.pair().to_owned();
        let other = house.ask(Front::Plain, "/b", &[("cookie", &cookie)]);
        assert_eq!((other.who(), other.cookies.len()), (first.who(), 0));
    }
}

/// What could not be sent to the canary goes elsewhere whole, its body included.
#[test]
fn a_body_goes_along_when_the_canary_is_down() {
    let mut house = house("proxy web 1% canary 99% sticky-share {header.x-tenant}");
    house.stop_origin(1);
    for (n, tenant) in (0..20).enumerate() {
        let mut raw = Raw::connect(house.plain).expect("a connection");
        let head = format!(
            "POST /p HTTP/1.1\r\nHost: localhost:{}\r\nX-Tenant: {tenant}\r\nContent-Length: 5\r\n\r\nhello",
            house.plain.port()
        );
        assert_eq!(raw.exchange(head).expect("a response").status, 200);
        assert_eq!(house.origin(0).requests()[n].body, b"hello");
    }
}
