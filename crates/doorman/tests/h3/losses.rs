//! A network that loses, repeats and reorders.

use bytes::Bytes;
use doorman_testkit::h3::H3;
use doorman_testkit::h3::lossy::{Losses, Lossy};
use doorman_testkit::sums::{Pattern, Sum};
use http::Request;

use crate::rig::{House, house};

fn check(losses: Losses, length: usize) {
    let house = house();
    let network = Lossy::start(house.address, losses, 11).expect("a network");
    let mut client = H3::connect(network.address(), &House::tls()).expect("a connection");
    let body = Pattern { seed: 3 }.bytes(length);
    let sum = format!("{:016x}", Sum::of(&body));
    let request = Request::post(house.uri("/echo")).body(Bytes::from(body)).expect("a request");
    let up = client.request(request).expect("an answer");
    assert_eq!((up.status, up.error.as_deref()), (200, None), "{losses:?}");
    assert_eq!(up.field("x-body-sum"), Some(sum.as_str()), "{losses:?}");
    let down = client.get(&house.uri(&format!("/big/{length}"))).expect("an answer");
    assert_eq!((down.error.as_deref(), down.body.len()), (None, length), "{losses:?}");
    assert_eq!(Pattern { seed: 7 }.differs(0, &down.body), None, "{losses:?}");
}

#[test]
fn contents_arrive_whole_h3q_35() {
    const ANY: usize = usize::MAX;
    check(Losses { lost: 1, repeated: 1, late: 1, largest: ANY }, 4 * 1024 * 1024);
    check(Losses { lost: 5, repeated: 5, late: 10, largest: ANY }, 1024 * 1024);
    check(Losses { lost: 20, repeated: 20, late: 20, largest: ANY }, 128 * 1024);
}

/// Datagrams grow only as far as they arrive: the smallest that QUIC may be spoken over, one that a
/// tunnel leaves, and one that is larger than any of ours.
#[test]
fn networks_of_small_packets_h3q_35() {
    for largest in [1200, 1300, 9000] {
        check(Losses { lost: 0, repeated: 0, late: 0, largest }, 1024 * 1024);
        check(Losses { lost: 2, repeated: 2, late: 2, largest }, 512 * 1024);
    }
}
