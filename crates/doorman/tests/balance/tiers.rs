//! Tiers, spares, standbys and zones over real sockets.

use std::collections::BTreeSet;

use crate::rig::{Farm, House};

const ALL: [&str; 7] = ["www2", "www3", "spare1", "spare2", "hstandby", "bkup1", "bkup2"];

fn active(house: &House) -> BTreeSet<String> {
    (0..24).map(|_| house.get("/").server).collect()
}

fn named(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The example of Apache's how-to, with servers that are killed and revived.
#[test]
fn the_how_to_of_apache() {
    let farm = Farm::of(&ALL);
    let servers = farm.servers(|name| {
        match name {
            "www3" => "weight 3",
            "spare1" | "spare2" => "spare",
            "hstandby" => "standby",
            "bkup1" | "bkup2" => "tier 1",
            _ => "",
        }
        .to_owned()
    });
    let text = format!("upstream o {{ {servers} }} @SITE {{ proxy o }}");
    let house = House::with("workers 1", &text);
    let steps: [(&str, &[&str]); 5] = [
        ("www2", &["www2", "www3"]),
        ("www3", &["www3", "spare1"]),
        ("spare1", &["spare1", "spare2"]),
        ("spare2", &["spare2"]),
        ("hstandby", &["hstandby"]),
    ];
    let expect = |names: &[&str], what: &str| {
        // A server that has just died is asked once more whenever its rest is over, and one that came
        // back is asked once its rest is.
        let expected = named(names);
        house.until_true(what, || active(&house) == expected);
    };
    for (dies, names) in steps {
        expect(names, &format!("{names:?} before {dies} dies"));
        farm[dies].kill();
    }
    expect(&["bkup1", "bkup2"], "only the backups");
    for (comes, names) in steps.into_iter().rev() {
        farm[comes].revive();
        expect(names, &format!("{names:?} after {comes} came back"));
    }
}

#[test]
fn a_server_that_drains_takes_nothing_new() {
    let farm = Farm::of(&["a", "b"]);
    let text = |drain: &str| {
        let servers =
            farm.servers(|name| if name == "b" { drain.to_owned() } else { String::new() });
        format!("upstream o {{ {servers} }} @SITE {{ proxy o }}")
    };
    let house = House::with("workers 1", &text(""));
    assert_eq!(active(&house), named(&["a", "b"]));
    house.reload("workers 1", &text("drain"));
    assert_eq!(active(&house), named(&["a"]));
    house.reload("workers 1", &text(""));
    assert_eq!(active(&house), named(&["a", "b"]));
}

#[test]
fn the_own_zone_goes_first() {
    let farm = Farm::of(&["a", "b", "c"]);
    let servers =
        farm.servers(|name| (if name == "c" { "zone far" } else { "zone here" }).to_owned());
    let text = format!("upstream o {{ {servers} }} @SITE {{ proxy o }}");
    let house = House::with("workers 1\nzone here", &text);
    assert_eq!(active(&house), named(&["a", "b"]));
    farm["a"].kill();
    house.until_true("one of two is enough", || active(&house) == named(&["b"]));
    farm["b"].kill();
    house.until_true("the other zone", || active(&house) == named(&["c"]));
}
