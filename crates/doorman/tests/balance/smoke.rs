//! The rig itself: every mood of an origin shows.

use std::time::Duration;

use crate::rig::{Farm, House};

#[test]
fn servers_that_die_and_come_back_are_seen_to() {
    let farm = Farm::of(&["a", "b", "c"]);
    let house = House::before(&farm, "");
    assert_eq!(house.shares(30), [("a", 10), ("b", 10), ("c", 10)].map(own));
    farm["b"].kill();
    let shares = house.shares(30);
    assert!(shares.iter().all(|(name, _)| name != "b"), "{shares:?}");
    farm["b"].revive();
    house.until("b is asked again", |reply| reply.server == "b");
    let others = farm["a"].asked() + farm["c"].asked();
    farm["a"].answer(503);
    farm["c"].answer(503);
    house.until("an error is passed on", |reply| reply.status == 503);
    assert!(farm["a"].asked() + farm["c"].asked() > others);
}

#[test]
fn a_server_that_hangs_answers_once_it_goes_on() {
    let farm = Farm::of(&["a"]);
    let house = House::before(&farm, "");
    farm["a"].stop();
    let asked = house.begin("/");
    farm["a"].wait_asked(1);
    farm["a"].go_on();
    assert_eq!(asked.reply().status, 200);
    farm["a"].slow_down(Duration::from_millis(50));
    let begun = std::time::Instant::now();
    assert_eq!(house.get("/").server, "a");
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

fn own((name, count): (&str, usize)) -> (String, usize) {
    (name.to_owned(), count)
}
