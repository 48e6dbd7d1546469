//! `balance hash`, `maglev` and `client-ip`: what of a request chooses its server.

use std::net::{SocketAddr, TcpStream};

use doorman_testkit::process::free_address;
use socket2::{Domain, Socket, Type};

use crate::rig::{FRONTS, Front, House, number};

const CLIENTS: usize = 60;

fn fields(n: usize) -> [(&'static str, String); 3] {
    [
        ("x-forwarded-for", format!("10.1.{n}.9")),
        ("x-user", format!("u{n}")),
        ("cookie", format!("sid=s{n}; other={n}")),
    ]
}

fn servers(house: &House, front: Front, path: &str) -> Vec<usize> {
    let ask = |n: usize| {
        let fields = fields(n);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        house.ask(front, &path.replace('@', &n.to_string()), &fields).who()
    };
    (0..CLIENTS).map(ask).collect()
}

#[test]
fn a_key_has_one_server_over_every_front_and_after_a_restart() {
    for balance in [
        "client-ip",
        "hash {client-ip}",
        "hash {header.x-user}",
        "maglev {cookie.sid}",
        "hash {host}{path}",
        "maglev {query.k}",
    ] {
        let line = format!("balance {balance}");
        let mut house = House::numbered(3, &line);
        let first = servers(&house, Front::Plain, "/p@?k=@");
        assert!((0..3).all(|n| first.contains(&n)), "{balance}: {first:?}");
        assert_eq!(servers(&house, Front::Plain, "/p@?k=@"), first, "{balance}, again");
        for front in FRONTS {
            let few = |n: usize| {
                let fields = fields(n);
                let fields: Vec<_> =
                    fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
                house.ask(front, &format!("/p{n}?k={n}"), &fields).who()
            };
            assert_eq!((0..3).map(few).collect::<Vec<_>>(), first[..3], "{balance} {front:?}");
        }
        house.restart(&House::web(3, &line), "proxy web");
        assert_eq!(servers(&house, Front::Plain, "/p@?k=@"), first, "{balance}, after a restart");
    }
}

#[test]
fn what_the_path_caught_may_be_the_key() {
    let text = House::web(3, "balance hash {1}");
    let answers = (0..3).map(number).collect();
    let house =
        House::start(answers, &text, "route ~ ^/room/([a-z0-9]+) { proxy web }; respond 404");
    let ask = |path: &str| house.ask(Front::Plain, path, &[]).who();
    let rooms: Vec<usize> = (0..30).map(|n| ask(&format!("/room/r{n}/a"))).collect();
    assert!((0..3).all(|n| rooms.contains(&n)), "{rooms:?}");
    let again: Vec<usize> = (0..30).map(|n| ask(&format!("/room/r{n}/b?c"))).collect();
    assert_eq!(again, rooms);
}

#[test]
fn without_a_key_everybody_has_his_turn() {
    let house = House::numbered(3, "balance hash {header.x-user}");
    let seen: Vec<usize> = (0..90).map(|_| house.by(Front::Plain, "").who()).collect();
    assert!((0..3).all(|n| seen.contains(&n)), "{seen:?}");
}

fn connect_from(client: u8, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 1, client], 0)).into()).expect("a loopback address");
    socket.connect(&to.into()).expect("a house that is open");
    TcpStream::from(socket)
}

/// A relay sees no request, but it sees who connects.
#[test]
fn a_relay_knows_its_clients_by_their_addresses() {
    use std::io::{Read, Write};

    let relay = free_address();
    let upstreams =
        format!("{}\nrelay {relay} {{ proxy web }}", House::web(3, "balance client-ip"));
    let house = House::start((0..3).map(number).collect(), &upstreams, "proxy web");
    let ask = |client: u8| {
        let mut stream = connect_from(client, relay);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("an open connection");
        let mut answer = Vec::new();
        let mut piece = [0; 1024];
        loop {
            let n = stream.read(&mut piece).expect("an answer");
            assert!(n > 0, "the answer is whole");
            answer.extend_from_slice(&piece[..n]);
            let text = String::from_utf8_lossy(&answer);
            let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            if let Some(number) = body.chars().next() {
                return number;
            }
        }
    };
    let servers: Vec<char> = (1..40).map(ask).collect();
    assert!(['0', '1', '2'].iter().all(|n| servers.contains(n)), "{servers:?}");
    assert_eq!((1..40).map(ask).collect::<Vec<_>>(), servers);
    // By a request the same client has the same server.
    let by_request = house.ask(Front::Plain, "/", &[("x-forwarded-for", "127.0.1.7")]).who();
    assert_eq!(by_request.to_string(), servers[6].to_string());
}
