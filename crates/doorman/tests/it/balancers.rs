//! Behind a balancer, in front of another doorman, and before servers that want to know the client:
//! the PROXY protocol in and out, addresses that connections come from, and chains.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use crate::rig::client::once;
use crate::rig::house::free_port;
use crate::rig::origin::{is_end, reply};
use crate::rig::{Ask, Back, Client, Front, House, Lane, Origin, PATIENCE, Pair, Talk, Wire};

const FRONTS: [Front; 3] = [Front::H1, Front::H1Tls, Front::H2];
/// A balancer that the operator named; everybody else on the loopback is a stranger.
const BALANCER: [u8; 4] = [127, 0, 0, 9];
const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Says who asked, as the origin was told.
fn teller() -> Origin {
    Origin::serving(Back::H1, |seen| {
        let told = seen.head.all("x-forwarded-for").join("|");
        reply("200 OK", "", told.as_bytes())
    })
}

fn connect_from(ip: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((ip, 0)).into()).expect("an address of the loopback");
    socket.connect(&to.into()).expect("a house that is open");
    let stream = TcpStream::from(socket);
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    stream
}

fn behind_a_balancer(front: Front, origin: &Origin, global: &str) -> House {
    let text = format!(
        "listen 127.0.0.1:@PORT {{ proxy-protocol from 127.0.0.8/29 }}
         {} @SITE {{ proxy o }}",
        origin.upstream("o")
    );
    House::with(Pair { front, back: Back::H1 }, global, &text)
}

/// A client behind the balancer, which begins its connection with these bytes.
fn announced(house: &House, header: &[u8]) -> Client {
    let mut stream = connect_from(BALANCER, house.address);
    stream.write_all(header).expect("an open connection");
    Client::over(house, stream)
}

fn v2(command: u8, family: u8, counted: &[u8]) -> Vec<u8> {
    let length = u16::try_from(counted.len()).expect("a short header").to_be_bytes();
    [V2_SIGNATURE, &[command, family], &length, counted].concat()
}

#[test]
fn a_header_names_the_client_ahead_of_every_wire() {
    let origin = teller();
    let inet = [192, 0, 2, 7, 198, 51, 100, 2, 220, 4, 1, 187];
    let mut inet6 = [[0x20; 16], [0x30; 16]].concat();
    inet6.extend([0, 1, 0, 2]);
    let long = [&inet[..], &[0xEA, 0x0B, 0xB8], &[7; 3000]].concat();
    let rows: &[(Vec<u8>, &str)] = &[
        (LINE.to_vec(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n".to_vec(), "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.9"),
        (v2(0x21, 0x11, &inet), "192.0.2.7"),
        (v2(0x21, 0x21, &inet6), "2020:2020:2020:2020:2020:2020:2020:2020"),
        (v2(0x21, 0x11, &long), "192.0.2.7"),
        (v2(0x20, 0x00, b""), "127.0.0.9"),
    ];
    for front in FRONTS {
        let house = behind_a_balancer(front, &origin, "");
        for (header, told) in rows {
            let mut client = announced(&house, header);
            assert_eq!(client.ask(&Ask::get("/")).text(), *told, "{front:?} {header:?}");
            assert_eq!(client.ask(&Ask::get("/again")).text(), *told, "the connection goes on");
        }
        house.logged(&["\"client\":\"192.0.2.7\""]);
    }
}

#[test]
fn a_header_may_come_in_pieces() {
    let origin = teller();
    for front in FRONTS {
        let house = behind_a_balancer(front, &origin, "");
        for header in [LINE.to_vec(), v2(0x21, 0x11, &[192, 0, 2, 7, 1, 1, 1, 1, 0, 1, 0, 2])] {
            let mut stream = connect_from(BALANCER, house.address);
            for byte in &header {
                stream.write_all(&[*byte]).expect("an open connection");
                std::thread::yield_now();
            }
            assert_eq!(Client::over(&house, stream).ask(&Ask::get("/")).text(), "192.0.2.7");
        }
    }
}

#[test]
fn a_header_and_a_request_may_come_at_once() {
    let origin = teller();
    let house = behind_a_balancer(Front::H1, &origin, "");
    let mut wire = Wire::new(Lane::Plain(connect_from(BALANCER, house.address)));
    let request = Ask::get("/").bytes();
    let answer = wire.ask([LINE, &request, &request].concat());
    assert_eq!(answer.text(), "192.0.2.7");
    assert_eq!(wire.reply("GET").expect("the second answer").text(), "192.0.2.7");
}

/// A stranger is who its address says, whatever it claims; its claim is no request.
#[test]
fn strangers_are_served_as_they_are_and_not_believed() {
    let origin = teller();
    for front in FRONTS {
        let house = behind_a_balancer(front, &origin, "");
        assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "127.0.0.1");
    }
    let house = behind_a_balancer(Front::H1, &origin, "");
    let mut wire = Wire::connect(&house);
    let answer = wire.ask([LINE, &Ask::get("/forged").bytes()].concat());
    assert_eq!(answer.status, 400);
    assert!(!origin.seen().iter().any(|seen| seen.target() == "/forged"));
}

/// The house closes without a word: whoever is there speaks another protocol.
#[track_caller]
fn is_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert!(is_end(&error), "still open: {error}"),
    }
    assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
}

/// The page of metrics comes to have these lines: what ends is counted right behind its end.
#[track_caller]
fn shows(port: u16, lines: &[&str]) {
    let begun = Instant::now();
    loop {
        let mut metrics = TcpStream::connect(("127.0.0.1", port)).expect("the metrics");
        metrics.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("an open connection");
        let mut page = String::new();
        metrics.read_to_string(&mut page).expect("a page");
        if lines.iter().all(|line| page.lines().any(|shown| shown == *line)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{lines:?}\n{page}");
    }
}

#[test]
fn whoever_must_announce_its_client_and_does_not_is_closed() {
    let origin = teller();
    let port = free_port();
    let house = behind_a_balancer(Front::H1, &origin, &format!("metrics 127.0.0.1:{port}"));
    let bad = [
        Ask::get("/").bytes(),
        b"PROXY TCP4 192.0.2.7\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.2 1 2\n".to_vec(),
        [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(),
        v2(0x21, 0x11, &[1, 2, 3]),
        v2(0x11, 0x11, &[0; 12]),
        v2(0x21, 0x11, &[0; 5000]),
        // With a checksum that is another one.
        v2(0x21, 0x11, &[[0; 12].as_slice(), &[3, 0, 4, 1, 2, 3, 4]].concat()),
        b"\x16\x03\x01\x00\x05hello".to_vec(),
    ];
    for bytes in &bad {
        let mut stream = connect_from(BALANCER, house.address);
        // It may be closed before all of it is written.
        let _ = stream.write_all(bytes);
        is_closed(stream);
    }
    // Its end is no header either.
    let stream = connect_from(BALANCER, house.address);
    stream.shutdown(std::net::Shutdown::Write).expect("an open connection");
    is_closed(stream);
    assert!(origin.seen().is_empty());
    let line = format!(
        "doorman_connections_failed_total{{listener=\"{}\",reason=\"proxy-protocol\"}} {}",
        house.address,
        bad.len() + 1
    );
    shows(port, &[&line]);
}

#[test]
fn a_header_has_a_deadline() {
    let origin = teller();
    let house = behind_a_balancer(Front::H1Tls, &origin, "timeouts { head 300ms }");
    for begun in [&b""[..], &LINE[..20]] {
        let mut stream = connect_from(BALANCER, house.address);
        stream.write_all(begun).expect("an open connection");
        is_closed(stream);
    }
}

/// The bound is on clients: the balancer itself may have any number.
#[test]
fn the_bound_on_connections_of_a_client_counts_announced_clients() {
    let origin = teller();
    let port = free_port();
    let global = format!("limits {{ client-connections 2 }}; metrics 127.0.0.1:{port}");
    let house = behind_a_balancer(Front::H1, &origin, &global);
    let other = b"PROXY TCP4 192.0.2.8 198.51.100.2 1 2\r\n";
    let mut clients = [LINE, LINE, other, other].map(|header| announced(&house, header));
    for client in &mut clients {
        assert_eq!(client.ask(&Ask::get("/")).status, 200);
    }
    let mut third = connect_from(BALANCER, house.address);
    third.write_all(LINE).expect("an open connection");
    is_closed(third);
    // Turned away is not let in, though a place was kept for it until it had said for whom it comes.
    let series = |name: &str, labels: &str, count: u32| {
        format!("doorman_connections_{name}{{listener=\"{}\",{labels}}} {count}", house.address)
    };
    shows(
        port,
        &[
            &series("open", "proto=\"h1\"", 4),
            &series("open", "proto=\"_none\"", 0),
            &series("total", "proto=\"_none\",result=\"accepted\"", 0),
            &series("total", "proto=\"_none\",result=\"refused\"", 1),
        ],
    );
}

/// Reads a header of version 1 or 2 off the front of an origin's connection.
fn header(talk: &mut Talk) -> io::Result<Vec<u8>> {
    let Lane::Plain(stream) = &mut talk.wire.lane else { unreachable!("a plain origin") };
    let mut header = vec![0; 16];
    stream.read_exact(&mut header)?;
    if header.starts_with(V2_SIGNATURE) {
        let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
        header.resize(16 + rest, 0);
        stream.read_exact(&mut header[16..])?;
    } else {
        while !header.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            header.extend(byte);
        }
    }
    Ok(header)
}

#[test]
fn servers_are_told_the_client_and_no_connection_serves_two() {
    for version in ["v1", "v2"] {
        let origin = Origin::start(Back::H1, |talk| {
            let header = header(talk)?;
            while talk.request()?.is_some() {
                talk.send(reply("200 OK", "", &header))?;
            }
            Ok(())
        });
        let text = format!(
            "upstream o {{ {}; proxy-protocol {version} }} @SITE {{ proxy o }}",
            origin.servers()
        );
        for front in FRONTS {
            let house = House::with(Pair { front, back: Back::H1 }, "", &text);
            for ip in [[127, 0, 0, 21], [127, 0, 0, 22]] {
                let stream = connect_from(ip, house.address);
                let (from, to) = (stream.local_addr().unwrap(), house.address);
                let expected = if version == "v1" {
                    format!(
                        "PROXY TCP4 {} {} {} {}\r\n",
                        from.ip(),
                        to.ip(),
                        from.port(),
                        to.port()
                    )
                    .into_bytes()
                } else {
                    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
                    v2(0x21, 0x11, &[&ip[..], &[127, 0, 0, 1], &ports].concat())
                };
                let mut client = Client::over(&house, stream);
                for path in ["/", "/again"] {
                    assert_eq!(client.ask(&Ask::get(path)).body(), expected, "{front:?} {version}");
                }
            }
        }
        let seen = origin.seen();
        let mut connections: Vec<_> = seen.iter().map(|seen| seen.connection).collect();
        connections.sort_unstable();
        connections.dedup();
        assert_eq!((seen.len(), connections.len()), (12, 12), "each request on one of its own");
    }
}

#[test]
fn two_doormen_tell_the_origin_the_first_ones_client() {
    let origin = teller();
    let inner_text = format!("{} @SITE {{ proxy o }}", origin.upstream("o"));
    // By fields: the inner one believes the outer one's word.
    let inner = House::with(Pair::PLAIN, "trusted-proxies 127.0.0.1", &inner_text);
    let outer_text =
        format!("upstream inner {{ server {} }} @SITE {{ proxy inner }}", inner.address);
    for front in FRONTS {
        let outer = House::with(Pair { front, back: Back::H1 }, "", &outer_text);
        let mut client = Client::over(&outer, connect_from([127, 0, 0, 33], outer.address));
        let forged = Ask::get("/").field("x-forwarded-for", "6.6.6.6");
        assert_eq!(client.ask(&forged).text(), "127.0.0.33, 127.0.0.1", "{front:?}");
    }
    inner.logged(&["\"client\":\"127.0.0.33\""]);
    let outer = House::with(Pair { front: Front::H3, back: Back::H1 }, "", &outer_text);
    let forged = Ask::get("/").field("x-forwarded-for", "6.6.6.6");
    let told = once(&outer, &forged).expect("an answer").text();
    assert_eq!(told, "127.0.0.1, 127.0.0.1", "a client has an address over QUIC as well");
    // By the PROXY protocol: the inner one sees the client as its own.
    for version in ["v1", "v2"] {
        let text = format!("listen 127.0.0.1:@PORT proxy-protocol from 127.0.0.1\n{inner_text}");
        let inner = House::with(Pair::PLAIN, "", &text);
        let text = format!(
            "upstream inner {{ server {}; proxy-protocol {version} }}
             @SITE {{ forwarded off; proxy inner }}",
            inner.address
        );
        let outer = House::with(Pair::PLAIN, "", &text);
        let mut client = Client::over(&outer, connect_from([127, 0, 0, 34], outer.address));
        assert_eq!(client.ask(&Ask::get("/")).text(), "127.0.0.34", "{version}");
        inner.logged(&["\"client\":\"127.0.0.34\""]);
    }
}

#[test]
fn connections_come_from_the_source_that_is_written() {
    let origin = Origin::start(Back::H1, |talk| {
        while talk.request()?.is_some() {
            let Lane::Plain(stream) = &talk.wire.lane else { unreachable!("a plain origin") };
            let from = stream.peer_addr()?.ip().to_string();
            talk.send(reply("200 OK", "", from.as_bytes()))?;
        }
        Ok(())
    });
    let text = |source: &str| {
        format!("upstream o {{ {}; source {source} }} @SITE {{ proxy o }}", origin.servers())
    };
    let house = House::with(Pair::PLAIN, "", &text("127.0.0.44"));
    assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "127.0.0.44");
    // A pooled connection from the old source is not used after a reload.
    house.rewrite("", &text("127.0.0.45"));
    house.signal(rustix::process::Signal::HUP);
    house.wait_said("configuration 2", 1);
    assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "127.0.0.45");
    // An address that this machine does not have: nothing can be connected from it.
    let house = House::with(Pair::PLAIN, "", &text("192.0.2.1"));
    assert_eq!(once(&house, &Ask::get("/")).expect("an answer").status, 502);
    house.logged(&["upstream-connect"]);
}

#[test]
fn unix_sockets_carry_headers_on_both_sides() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (front, back) = (folder.path().join("front.sock"), folder.path().join("back.sock"));
    let listener = UnixListener::bind(&back).expect("our own folder");
    let origin = std::thread::spawn(move || {
        let mut headers = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a header");
                line.extend(byte);
            }
            headers.push(String::from_utf8(line).expect("text"));
            let mut wire = Wire::new(Lane::Unix(stream));
            wire.head().expect("a request").expect("a request");
            wire.send(reply("200 OK", "", b"yes")).expect("an open connection");
        }
        headers
    });
    let text = format!(
        "listen unix:{} {{ proxy-protocol from unix }}
         upstream o {{ server unix:{}; proxy-protocol v1 }} @SITE {{ proxy o }}",
        front.display(),
        back.display()
    );
    let house = House::with(Pair::PLAIN, "", &text);
    house.said("doorman is ready");
    for header in [LINE, b"PROXY UNKNOWN\r\n"] {
        let stream = UnixStream::connect(&front).expect("a socket of the house");
        let mut wire = Wire::new(Lane::Unix(stream));
        let answer = wire.ask([header, &Ask::get("/").bytes()].concat());
        assert_eq!(answer.text(), "yes");
    }
    let stream = connect_from([127, 0, 0, 51], house.address);
    let from = stream.local_addr().expect("a connection");
    assert_eq!(Client::over(&house, stream).ask(&Ask::get("/")).text(), "yes");
    // Without a header there is nobody behind a Unix socket.
    let mut stream = UnixStream::connect(&front).expect("a socket of the house");
    let _ = stream.set_read_timeout(Some(PATIENCE));
    stream.write_all(&Ask::get("/").bytes()).expect("an open connection");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
    let headers = origin.join().expect("the origin's thread");
    assert_eq!(headers[0].as_bytes(), LINE);
    assert_eq!(headers[1], "PROXY UNKNOWN\r\n");
    let port = house.address.port();
    assert_eq!(headers[2], format!("PROXY TCP4 127.0.0.51 127.0.0.1 {} {port}\r\n", from.port()));
}
