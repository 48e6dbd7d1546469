//! Requests and responses as clients by the book make them.

use bytes::Bytes;
use doorman_testkit::h2::H2;
use doorman_testkit::h3::H3;
use doorman_testkit::raw::Raw;
use doorman_testkit::sums::{Pattern, Sum};
use doorman_testkit::tls::Tls;
use http::Request;

use crate::rig::{House, house, house_speaking, house_with_site};

fn post(house: &House, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post(house.uri("/echo")).body(body.into()).expect("a request")
}

#[test]
fn a_get_is_answered_and_logged_as_http_3() {
    let house = house();
    let mut client = house.h3();
    let reply = client.get(&house.uri("/a?b=c")).unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    assert!(reply.is_complete());
    let line = house.process.wait_for_words("\"/a\"");
    assert!(line.contains("HTTP/3"), "{line}");
}

#[test]
fn ten_mebibytes_go_each_way_unharmed() {
    const LENGTH: usize = 10 * 1024 * 1024;
    let house = house();
    let body: Vec<u8> = Pattern { seed: 3 }.bytes(LENGTH);
    let sum = format!("{:016x}", Sum::of(&body));
    let mut client = house.h3();
    let up = client.request(post(&house, body)).unwrap();
    assert_eq!((up.status, up.error.as_deref()), (200, None));
    assert_eq!(up.field("x-body-sum"), Some(sum.as_str()));
    assert_eq!(up.field("x-body-length"), Some("10485760"));
    let down = client.get(&house.uri(&format!("/big/{LENGTH}"))).unwrap();
    assert_eq!((down.error.as_deref(), down.body.len()), (None, LENGTH));
    assert_eq!(Pattern { seed: 7 }.differs(0, &down.body), None);
}

#[test]
fn trailers_go_both_ways() {
    let house = house();
    let mut client = house.h3();
    let reply = client.get(&house.uri("/trailers")).unwrap();
    assert_eq!(reply.text(), "hello");
    assert_eq!(reply.trailers.unwrap()["sum"], "5");
}

#[test]
fn http_3_is_announced_once_and_only_where_it_is() {
    let house = house();
    let announced = format!("h3=\":{}\"; ma=86400", house.address.port());
    let host = house.authority();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut h1 = Raw::connect_tls(house.address, &House::tls()).unwrap();
    assert_eq!(h1.exchange(&request).unwrap().field("alt-svc"), Some(announced.as_str()));
    assert_eq!(h1.exchange(&request).unwrap().field("alt-svc"), None);
    let mut h2 = H2::connect_tls(house.address, &House::tls()).unwrap();
    assert_eq!(h2.get(&house.uri("/")).unwrap().field("alt-svc"), Some(announced.as_str()));
    assert_eq!(h2.get(&house.uri("/")).unwrap().field("alt-svc"), None);
    let without = house_speaking("h2 h1");
    let mut h1 = Raw::connect_tls(without.address, &House::tls()).unwrap();
    assert_eq!(h1.exchange(&request).unwrap().field("alt-svc"), None);
}

#[test]
fn connections_are_counted_by_what_they_speak() {
    let house = house();
    let (mut h3, mut other) = (house.h3(), house.h3());
    let mut h2 = H2::connect_tls(house.address, &House::tls()).unwrap();
    let mut h1 = Raw::connect_tls(house.address, &House::tls()).unwrap();
    let _nameless = H3::connect(house.address, &Tls::unverified("other.test")).err().unwrap();
    for client in [&mut h3, &mut other] {
        assert_eq!(client.get(&house.uri("/")).unwrap().status, 200);
    }
    assert_eq!(h2.get(&house.uri("/")).unwrap().status, 200);
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", house.authority());
    assert_eq!(h1.exchange(&request).unwrap().status, 200);
    let of = |name: &str, proto: &str, more: &str| {
        let labels = format!("listener=\"{}\",proto=\"{proto}\"{more}", house.address);
        house.metric(&format!("doorman_connections_{name}{{{labels}}}"))
    };
    for (proto, expected) in [("h3", 2), ("h2", 1), ("h1+tls", 1)] {
        assert_eq!(of("open", proto, ""), expected, "{proto}");
        assert_eq!(of("total", proto, ",result=\"accepted\""), expected, "{proto}");
    }
    assert_eq!(of("total", "_none", ",result=\"accepted\""), 1, "a handshake that failed");
    assert_eq!(of("total", "_none", ",result=\"refused\""), 0);
}

#[test]
fn a_listener_for_http_3_alone_has_no_tcp() {
    let house = house_speaking("h3");
    house.still_serves();
    assert!(Raw::connect(house.address).is_err());
}

#[test]
fn a_site_may_do_without() {
    let house = house_with_site("workers 1", "  tls internal { alpn h2 h1 }");
    let error = H3::connect(house.address, &House::tls()).err().unwrap().to_string();
    assert!(error.contains("120"), "no_application_protocol: {error}");
    let mut h2 = H2::connect_tls(house.address, &House::tls()).unwrap();
    assert_eq!(h2.get(&house.uri("/")).unwrap().status, 200);
}

#[test]
fn a_name_that_nobody_answers_is_refused() {
    let house = house();
    let error = H3::connect(house.address, &Tls::unverified("other.test")).err().unwrap();
    assert!(error.to_string().contains("112"), "unrecognized_name: {error}");
}

#[test]
fn routes_tell_the_protocol() {
    let site = "  route * when protocol h3 { respond 203 \"{protocol}\" }";
    let house = house_with_site("workers 1", site);
    let reply = house.h3().get(&house.uri("/")).unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (203, "HTTP/3"));
}
