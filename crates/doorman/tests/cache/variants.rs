//! Variants (CDE-09 to CDE-12): what a response says it varies by tells clients apart, and nothing that
//! a client writes confuses one variant with another.

use std::thread;

use crate::rig::{Ask, FRONTS, House, Setup, fresh, said};

#[test]
fn cde_09_variants_are_for_those_who_asked_for_them() {
    let house = House::fronted("", |_, seen| {
        let name = seen.target().rsplit('/').next().unwrap_or_default().to_owned();
        let value = seen.field(&name).unwrap_or("none").to_owned();
        said(&format!("Cache-Control: public, max-age=60\r\nVary: {name}\r\n"), value)
    });
    for front in FRONTS {
        for name in ["cookie", "authorization", "accept-language", "user-agent", "x-any"] {
            let target = format!("/{front:?}/{name}");
            for _ in 0..2 {
                for value in ["alice=1", "bob=2"] {
                    house.ask(front, &Ask::get(&target).with(name, value)).is(value);
                }
                house.ask(front, &Ask::get(&target)).is("none");
            }
            assert_eq!(house.asked(&target), 3, "{front:?} {name}");
        }
    }
    for vary in ["*", "x-a, *", "*, x-a", "x-a\r\nVary: *"] {
        let house =
            House::caching("", move |n, _| fresh(&format!("Vary: {vary}\r\n"), n.to_string()));
        for n in 0..3 {
            house.get("/a").is(&n.to_string());
        }
    }
}

#[test]
fn cde_10_values_are_one_only_if_they_mean_the_same() {
    let house = House::caching("", |_, seen| {
        let values = seen.all("x-a").join("|");
        fresh("Vary: X-A\r\n", format!("{} [{values}]", seen.all("x-a").len()))
    });
    let rows: [&[(&str, &str)]; 9] = [
        &[],
        &[("x-a", "")],
        &[("x-a", "a b")],
        &[("x-a", "ab")],
        &[("x-a", "b,a")],
        &[("x-a", "A B")],
        &[("x-a", "a;b")],
        &[("x-a", "\"a,b\"")],
        &[("x-ab", "")],
    ];
    for _ in 0..2 {
        for fields in rows {
            let values: Vec<_> =
                fields.iter().filter(|(name, _)| *name == "x-a").map(|(_, value)| *value).collect();
            house.get_with("/a", fields).is(&format!("{} [{}]", values.len(), values.join("|")));
        }
    }
    assert_eq!(house.asked("/a"), rows.len() - 1);
    // These are one: only what is no part of the value differs (RFC 9111 section 4.1).
    let first = house.get_with("/b", &[("x-a", "a, b")]).text();
    for fields in [&[("x-a", "a,b")][..], &[("X-A", " a ,b ")], &[("x-a", "a"), ("x-a", "b")]] {
        house.get_with("/b", fields).is(&first);
    }
    assert_eq!(house.asked("/b"), 1);
}

#[test]
fn cde_11_among_many_variants_in_little_room_each_is_its_own() {
    let setup = Setup { store: "memory 1MiB", ..Setup::default() };
    let house = House::start(&setup, |_, seen| {
        fresh("Vary: X-A\r\n", seen.field("x-a").unwrap_or("none").repeat(400))
    });
    thread::scope(|scope| {
        for worker in 0..4 {
            let house = &house;
            scope.spawn(move || {
                let values: Vec<String> =
                    (0..150).map(|n| format!("v{}", (n * 7 + worker * 31) % 200)).collect();
                let ask = |value: &String| Ask::get("/a").with("x-a", value);
                let asks: Vec<_> = values.iter().map(ask).collect();
                for (value, got) in values.iter().zip(house.in_turn(&asks)) {
                    got.is(&value.repeat(400));
                }
            });
        }
    });
}

#[test]
fn cde_12_no_accept_encoding_breaks_the_cache() {
    let house = House::fronted("", |_, _| fresh("Vary: Accept-Encoding\r\n", "good"));
    let values = [
        "",
        ",",
        ";",
        ";q",
        "gzip;q",
        "gzip;q=",
        "gzip;q=9",
        "gzip;q=-1",
        "gzip;q=0.0000",
        "*;q=0",
        "identity;q=0",
        "gzip;;q=1",
        "gzip;q=1;q=0",
        "\"gzip\"",
        "gzip=\"",
        "q=1",
        "gzip q=1",
        "GZIP;Q=1",
        "br,,,,gzip,",
        "gzip;level=9",
        "x-gzip",
        "*",
    ];
    for front in FRONTS {
        for value in values {
            house.ask(front, &Ask::get("/a").with("accept-encoding", value)).is("good");
        }
        let long = "gzip;q=0.1,".repeat(1_000);
        house.ask(front, &Ask::get("/a").with("accept-encoding", &long)).is("good");
        let many = vec![("accept-encoding", "gzip"); 50];
        house.ask(front, &Ask::get("/a").all(&many)).is("good");
    }
}

#[test]
fn codings_are_one_variant_however_they_are_listed() {
    let house = House::caching("", |_, seen| {
        let codings = seen.field("accept-encoding").unwrap_or("none").to_owned();
        let coded = if codings.contains("gzip") { "Content-Encoding: gzip\r\n" } else { "" };
        fresh(&format!("Vary: Accept-Encoding\r\n{coded}"), codings)
    });
    let first = house.get_with("/a", &[("accept-encoding", "gzip, br")]);
    for same in ["br, gzip", "gzip,br", "br;q=0.5, gzip;q=1.0", "br , x-gzip", "GZIP, BR"] {
        let got = house.get_with("/a", &[("accept-encoding", same)]);
        assert_eq!((got.body, house.asked("/a")), (first.body.clone(), 1), "{same}");
    }
    // Who does not take a coding does not get it.
    for other in ["br", "identity", "gzip;q=0, br"] {
        let got = house.get_with("/a", &[("accept-encoding", other)]);
        assert_eq!(got.field("content-encoding"), None, "{other}: {got:?}");
    }
    assert_eq!(house.get("/a").field("content-encoding"), None);
}

#[test]
fn fields_that_shall_not_count_do_not() {
    let house = House::caching("vary ignore user-agent", |_, seen| {
        fresh("Vary: User-Agent, X-A\r\n", seen.field("x-a").unwrap_or("none"))
    });
    for agent in ["one", "two", "three"] {
        house.get_with("/a", &[("user-agent", agent)]).is("none");
        house.get_with("/a", &[("user-agent", agent), ("x-a", "1")]).is("1");
    }
    assert_eq!(house.asked("/a"), 2);
}
