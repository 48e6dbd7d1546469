//! Keys (CPO-01, CPO-06 to CPO-10): what two clients ask for is one page only if no origin could tell
//! them apart.

use crate::rig::{Ask, Front, House, Setup, fresh};

#[test]
fn cpo_01_hosts_schemes_and_ports_have_keys_of_their_own() {
    let house = House::fronted("", |_, seen| {
        let proto = seen.field("x-forwarded-proto").unwrap_or_default();
        fresh("", format!("{proto} {}", seen.field("host").unwrap_or_default()))
    });
    let other = format!("localhost:{}", house.secure.port());
    let hosts = ["a.test", "b.test", "a.test.b.test", "localhost", "127.0.0.1", "[::1]", &other];
    for _ in 0..2 {
        for host in hosts {
            house.ask(Front::Plain, &Ask::get("/x").host(host)).is(&format!("http {host}"));
        }
        house.ask(Front::H1, &Ask::get("/x")).is(&format!("https {other}"));
        house.ask(Front::H2, &Ask::get("/x")).is(&format!("https {other}"));
    }
    assert_eq!(house.asked("/x"), hosts.len() + 1);
}

#[test]
fn cpo_06_the_target_says_the_host_where_it_has_one() {
    let house = House::caching("", |_, seen| fresh("", seen.field("host").unwrap_or_default()));
    // By HTTP the target's host counts. To refuse the contradiction is as safe.
    let got = house.raw("GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("an answer");
    assert!(got.status == 400 || got.text() == "b.test", "{got:?}");
    house.ask(Front::Plain, &Ask::get("/x").host("a.test")).is("a.test");
    house.ask(Front::Plain, &Ask::get("/x").host("b.test")).is("b.test");
    let _ = house.raw("GET http://a.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("an answer");
    assert_eq!(house.asked("/x"), 2, "absolute form is no other resource");
}

#[test]
fn cpo_06_a_second_host_fills_nobodys_page() {
    let house = House::fronted("", |_, seen| fresh("", &seen.head));
    for front in [Front::H1, Front::H2, Front::H3] {
        let target = format!("/{front:?}");
        // Refused in whatever way, or the first one counts.
        let _ = house.try_ask(front, &Ask::get(&target).with("host", "evil.test"));
        let text = house.ask(front, &Ask::get(&target)).text();
        assert!(text.starts_with("GET ") && !text.contains("evil"), "{front:?}: {text}");
    }
}

#[test]
fn cpo_07_one_host_has_one_key_and_a_port_is_never_lost() {
    let house = House::fronted("", |_, seen| fresh("", seen.field("host").unwrap_or_default()));
    let (port, secure) = (house.plain.port(), house.secure.port());
    for front in [Front::H1, Front::H2, Front::H3] {
        let target = format!("/{front:?}");
        house.ask(front, &Ask::get(&target).host(&format!("LOCALHOST:{secure}")));
        house.ask(front, &Ask::get(&target)).is(&format!("localhost:{secure}"));
    }
    let ask = |host: &str| house.ask(Front::Plain, &Ask::get("/x").host(host));
    ask("a.test:9");
    ask(&format!("A.TEST:{port}"));
    ask(&format!("a.test.:{port}"));
    ask(&format!("a.test:{port}")).is(&format!("a.test:{port}"));
    ask("a.test:9").is("a.test:9");
    ask("a.test").is("a.test");
}

/// What doorman itself tells origins of the host is in the key's form, too.
#[test]
fn cpo_07_one_host_is_told_in_one_form() {
    for forwarded in ["", "forwarded rfc7239", "forwarded both"] {
        let site = format!("@CACHE; {forwarded}; host upstream; proxy web");
        let house =
            House::start(&Setup { site: &site, secure: true, ..Setup::default() }, |_, seen| {
                let told =
                    ["host", "x-forwarded-host", "forwarded"].map(|name| seen.all(name).join(","));
                fresh("", told.join(" ").replace("for=127.0.0.1", ""))
            });
        let (port, secure) = (house.plain.port(), house.secure.port());
        for (front, attack, host) in [
            (Front::Plain, format!("A.Test.:{port}"), format!("a.test:{port}")),
            (Front::H1, format!("LocalHost:{secure}"), format!("localhost:{secure}")),
            (Front::H2, format!("LocalHost:{secure}"), format!("localhost:{secure}")),
            (Front::H3, format!("LocalHost:{secure}"), format!("localhost:{secure}")),
        ] {
            let ask =
                |target: &str, host: &str| house.ask(front, &Ask::get(target).host(host)).text();
            let own = ask(&format!("/{front:?}/own"), &host);
            ask(&format!("/{front:?}/evil"), &attack);
            assert_eq!(ask(&format!("/{front:?}/evil"), &host), own, "{forwarded} {front:?}");
        }
    }
}

#[test]
fn cpo_08_what_is_not_in_the_key_does_not_reach_the_origin() {
    let house = House::caching("ignore-query utm_* fbclid", |_, seen| fresh("", seen.target()));
    let (attacks, victims) = (
        ["/p?utm_source=evil", "/p?a=1&utm_x=evil", "/p?a=1;utm_x=evil", "/p?a=1&utm_x=1;a=evil"],
        ["/p", "/p?a=1"],
    );
    let more = ["/p?%75tm_source=evil", "/p?a=1&%66bclid=evil", "/p?&utm_x=evil&", "/p?utm_x"];
    for attack in attacks.iter().chain(&more) {
        assert_eq!(house.get(attack).status, 200);
    }
    for victim in victims {
        let text = house.get(victim).text();
        assert!(!text.contains("evil") && !text.contains("utm"), "{victim}: {text}");
        assert!(text.starts_with(victim), "{victim}: {text}");
    }
    // Nothing is left out unless somebody says so.
    let house = House::caching("", |_, seen| fresh("", seen.target()));
    for target in ["/p?utm_source=evil", "/p", "/p?b=1&a=2", "/p?a=2&b=1", "/p?a=2;b=1"] {
        house.get(target).is(target);
    }
}

#[test]
fn cpo_08_a_sorted_query_is_one_key_and_loses_nothing() {
    let house = House::caching("sort-query on", |_, seen| fresh("", seen.target()));
    let first = house.get("/p?b=2&a=1").text();
    house.get("/p?a=1&b=2").is(&first);
    // The order of equal names is a matter of the application's.
    let (one, other) = (house.get("/p?a=1&a=2").text(), house.get("/p?a=2&a=1").text());
    assert!(one.find("a=1") < one.find("a=2") && other.find("a=2") < other.find("a=1"));
    assert!(house.get("/p?a=1&b=2&evil=3").text().contains("evil=3"));
    house.get("/p?a=1&b=2").is(&first);
}

#[test]
fn cpo_09_no_two_targets_make_one_key() {
    let house = House::caching("", |_, seen| {
        fresh("", format!("{} {}", seen.field("host").unwrap_or_default(), seen.target()))
    });
    let targets = [
        "/a",
        "/a/",
        "/a?b=c",
        "/a%3Fb=c",
        "/a?b%3Dc",
        "/a?b=c&",
        "/a?b",
        "/a%26b",
        "/a&b",
        "/a?x=1&y=2",
        "/a?x=1%26y=2",
        "/a__b",
        "/a?__b",
        "/a?|b",
        "/a:80/b",
        "/https",
        "/a?https",
        "/a%20b",
        "/a+b",
        "/a?a+b",
        "/a?a%20b",
        "/a%0A",
        "/a%250A",
        "/A",
        "/a;b",
        "/a%3Bb",
        "/a?/b",
        "/a/b",
        "/a%2Cb",
        "/a,b",
        "/a?http://b.test/",
    ];
    for _ in 0..2 {
        for host in ["a.test", "b.test"] {
            let asks: Vec<_> = targets.iter().map(|target| Ask::get(target).host(host)).collect();
            for (target, got) in targets.iter().zip(house.in_turn(&asks)) {
                // Some are refused; none is another's.
                if got.status == 200 {
                    got.is(&format!("{host} {target}"));
                }
            }
        }
    }
    let kept = targets.iter().filter(|target| house.asked(target) == 2).count();
    assert!(kept >= 26, "only {kept} of them were kept once for each host");
}

#[test]
fn cpo_10_of_a_thousand_pages_each_is_its_own() {
    let setup = Setup { store: "memory 1MiB", ..Setup::default() };
    let house = House::start(&setup, |_, seen| fresh("", seen.target().repeat(200)));
    let targets: Vec<String> = (0..1_000).map(|n| format!("/{n}")).collect();
    let asks: Vec<_> = targets.iter().map(|target| Ask::get(target)).collect();
    for _ in 0..2 {
        for (target, got) in targets.iter().zip(house.in_turn(&asks)) {
            got.is(&target.repeat(200));
        }
    }
    let bytes = house.metric("doorman_cache_bytes{store=\"main\",tier=\"memory\"}");
    assert!((1..=1 << 20).contains(&bytes), "{bytes} bytes in a store of 1 MiB");
}

#[test]
fn cpo_08_the_query_counts_as_far_as_somebody_says() {
    let house = House::caching("ignore-query *", |_, seen| fresh("", seen.target()));
    for target in ["/p?a=evil", "/p", "/p?", "/p?b=1&c=2"] {
        let text = house.get(target).text();
        assert!(matches!(text.as_str(), "/p" | "/p?"), "{target}: {text}");
    }
    assert!(house.origin().requests().len() <= 2);
    let house = House::caching("only-query page lang_*", |_, seen| fresh("", seen.target()));
    for target in ["/p?x=evil&page=1", "/p?page=1", "/p?page=1&y=evil", "/p?page=1&page_2=evil"] {
        house.get(target).is("/p?page=1");
    }
    house.get("/p?lang_a=1&x=evil&page=2").is("/p?lang_a=1&page=2");
    house.get("/p?x=evil").is("/p");
    assert_eq!(house.origin().requests().len(), 3);
}
