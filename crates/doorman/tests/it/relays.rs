//! Relays: bytes and datagrams that pass as they are, through the balancer, by the name that TLS asks
//! for, and with bounds.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use doorman_testkit::sums::{Pattern, Sum};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::rig::house::free_port;
use crate::rig::origin::reply;
use crate::rig::{Ask, Back, Front, House, Lane, Origin, PATIENCE, Pair, Wire};

/// A house with a site, so that there is something to wait for, and relays on ports of their own.
fn house(global: &str, text: &str) -> House {
    let house = House::with(Pair::PLAIN, global, &with_site(text));
    house.said("doorman is ready");
    house
}

fn with_site(text: &str) -> String {
    format!("@SITE {{ respond 200 here }}\n{text}")
}

fn connect(port: u16) -> TcpStream {
    connect_from([127, 0, 0, 1], port)
}

fn connect_from(ip: [u8; 4], port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((ip, 0)).into()).expect("an address of the loopback");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("a relay that is open");
    let stream = TcpStream::from(socket);
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_write_timeout(Some(PATIENCE));
    stream
}

/// A server that plays `script` on every connection.
fn server(script: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let script = Arc::new(script);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let script = Arc::clone(&script);
            thread::spawn(move || script(stream));
        }
    });
    address
}

/// Says its name and then repeats what it hears.
fn parrot(name: &'static str) -> SocketAddr {
    server(move |mut stream| {
        let _ = stream.write_all(name.as_bytes());
        let mut room = vec![0; 65_536];
        while let Ok(n) = stream.read(&mut room) {
            if n == 0 || stream.write_all(&room[..n]).is_err() {
                break;
            }
        }
    })
}

#[track_caller]
fn hear(stream: &mut impl Read, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard).expect("an open connection");
    assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(expected));
}

/// The end of the connection: whether it was in order, and what came before it.
fn rest(stream: &mut impl Read) -> (bool, Vec<u8>) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => (true, rest),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("still open after {PATIENCE:?}")
        }
        Err(_) => (false, rest),
    }
}

#[test]
fn bytes_pass_in_both_directions_and_ends_one_by_one() {
    let sums: Arc<Mutex<Vec<Sum>>> = Arc::default();
    let kept = Arc::clone(&sums);
    let address = server(move |mut stream| {
        // Answers only once the client has finished.
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        let _ = stream.write_all(&Pattern { seed: 5 }.bytes(3_000_000));
        let mut sum = Sum::default();
        sum.add(&heard);
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(sum);
    });
    let port = free_port();
    let house = house("", &format!("relay 127.0.0.1:{port} {{ proxy {address} }}"));
    let mut client = connect(port);
    let sent = Pattern { seed: 4 }.bytes(5_000_000);
    client.write_all(&sent).expect("an open connection");
    client.shutdown(Shutdown::Write).expect("an open connection");
    let (in_order, heard) = rest(&mut client);
    assert!(in_order);
    assert_eq!(Sum::of(&heard), Sum::of(&Pattern { seed: 5 }.bytes(3_000_000)));
    let line = house.logged(&["\"relay\"", "\"bytes_in\":5000000", "\"bytes_out\":3000000"]);
    for word in ["\"client\":\"127.0.0.1\"", "\"end\":\"ok\"", "\"attempts\":1"] {
        assert!(line.contains(word), "{word} {line}");
    }
    let sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(sums[0].value(), Sum::of(&sent));
}

/// The server may speak first, and a reader that is slow slows the writer down.
#[test]
fn a_slow_reader_slows_the_writer_and_no_memory_is_held() {
    let sent = Arc::new(Mutex::new(0u64));
    let told = Arc::clone(&sent);
    let address = server(move |mut stream| {
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let piece = vec![7; 1 << 20];
        for _ in 0..256 {
            if stream.write_all(&piece).is_err() {
                break;
            }
            *told.lock().unwrap_or_else(PoisonError::into_inner) += piece.len() as u64;
        }
    });
    let port = free_port();
    let house = house("", &format!("relay 127.0.0.1:{port} {{ proxy {address} }}"));
    let before = house.resident();
    let mut client = connect(port);
    hear(&mut client, &[7; 1000]);
    // Until nothing moves any more: the kernel's buffers are full.
    let mut last = u64::MAX;
    let begun = Instant::now();
    loop {
        let now = *sent.lock().unwrap_or_else(PoisonError::into_inner);
        if now == last {
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
        last = now;
        let _ = client.set_read_timeout(Some(Duration::from_millis(300)));
        let mut none = [0; 0];
        let _ = client.read(&mut none);
        thread::park_timeout(Duration::from_millis(300));
    }
    assert!(last < 200 << 20, "{last} bytes went to a client that does not read");
    let grown = house.resident().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more");
    let _ = client.set_read_timeout(Some(PATIENCE));
    let (in_order, heard) = rest(&mut client);
    assert!(in_order);
    assert_eq!(heard.len() + 1000, 256 << 20);
}

#[test]
fn connections_go_to_servers_in_turn_and_past_those_that_are_down() {
    let (one, two) = (parrot("one"), parrot("two"));
    let down = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let port = free_port();
    let house = house(
        "",
        &format!(
            "upstream u {{ server {one}; server {down}; server {two} }}
             relay 127.0.0.1:{port} {{ proxy u }}"
        ),
    );
    let mut heard = Vec::new();
    for _ in 0..12 {
        let mut client = connect(port);
        let mut name = [0; 3];
        client.read_exact(&mut name).expect("a server that is up");
        heard.push(String::from_utf8_lossy(&name).into_owned());
    }
    let count = |name: &str| heard.iter().filter(|other| *other == name).count();
    assert!(count("one") >= 4 && count("two") >= 4, "{heard:?}");
    house.logged(&["\"relay\"", "\"attempts\":2", "\"end\":"]);
}

#[test]
fn a_target_that_is_down_closes_and_is_logged() {
    let down = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let port = free_port();
    let house = house("", &format!("relay 127.0.0.1:{port} {{ proxy {down} }}"));
    let (_, heard) = rest(&mut connect(port));
    assert!(heard.is_empty());
    house.logged(&["\"relay\"", "upstream-connect", "connection refused"]);
}

/// What breaks on one side breaks on the other: a cut stream must not look finished.
#[test]
fn a_reset_is_passed_on() {
    let address = server(|mut stream| {
        let _ = stream.write_all(b"begun");
        let _ = stream.read(&mut [0; 16]);
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    });
    let port = free_port();
    let house = house("", &format!("relay 127.0.0.1:{port} {{ proxy {address} }}"));
    let mut client = connect(port);
    hear(&mut client, b"begun");
    client.write_all(b"go").expect("an open connection");
    let (in_order, _) = rest(&mut client);
    assert!(!in_order, "the client saw an end");
    house.logged(&["\"relay\"", "upstream-closed"]);
}

#[test]
fn a_silent_connection_ends() {
    let address = parrot("hello");
    let port = free_port();
    let text = format!("relay 127.0.0.1:{port} {{ proxy {address}; timeout idle 400ms }}");
    let house = house("", &text);
    let mut client = connect(port);
    hear(&mut client, b"hello");
    // Whoever says something now and then stays.
    for _ in 0..5 {
        thread::park_timeout(Duration::from_millis(150));
        client.write_all(b"x").expect("an open connection");
        hear(&mut client, b"x");
    }
    let (in_order, _) = rest(&mut client);
    assert!(!in_order);
    house.logged(&["\"relay\"", "\"end\":\"idle\"", "\"bytes_in\":5"]);
}

#[test]
fn who_may_come_is_bounded() {
    let address = parrot("hello");
    let (ports, metrics) = ([free_port(), free_port()], free_port());
    let house = house(
        &format!("metrics 127.0.0.1:{metrics}"),
        &format!(
            "relay 127.0.0.1:{} {{ proxy {address}; allow 127.0.0.8/29; deny 127.0.0.9 }}
             relay 127.0.0.1:{} {{ proxy {address}; connections 2 }}",
            ports[0], ports[1]
        ),
    );
    hear(&mut connect_from([127, 0, 0, 8], ports[0]), b"hello");
    for ip in [[127, 0, 0, 9], [127, 0, 0, 1]] {
        assert_eq!(rest(&mut connect_from(ip, ports[0])).1, b"");
    }
    house.logged(&["\"denied\"", "127.0.0.9"]);
    let mut open = [connect(ports[1]), connect(ports[1])];
    for client in &mut open {
        hear(client, b"hello");
    }
    assert_eq!(rest(&mut connect(ports[1])).1, b"");
    house.logged(&["\"end\":\"limit\""]);
    let page = Wire::new(Lane::Plain(connect(metrics)))
        .ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .text();
    for line in [
        format!("doorman_relay_connections_open{{relay=\"127.0.0.1:{}\"}} 2", ports[1]),
        format!(
            "doorman_relay_connections_total{{relay=\"127.0.0.1:{}\",end=\"limit\"}} 1",
            ports[1]
        ),
        format!(
            "doorman_relay_connections_total{{relay=\"127.0.0.1:{}\",end=\"denied\"}} 2",
            ports[0]
        ),
    ] {
        assert!(page.contains(&line), "{line}\n{page}");
    }
    drop(open);
    // Who leaves makes room.
    let begun = Instant::now();
    loop {
        let mut client = connect(ports[1]);
        let mut heard = [0; 5];
        if client.read_exact(&mut heard).is_ok() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
    }
}

/// A whole HTTPS house behind a relay: TLS passes undecrypted, by the name that it asks for.
#[test]
fn tls_goes_where_its_name_leads() {
    let origin = Origin::serving(Back::H1, |_| reply("200 OK", "", b"inner"));
    let text = format!("{} @SITE {{ proxy o }}", origin.upstream("o"));
    for front in [Front::H1Tls, Front::H2] {
        let mut inner = House::with(Pair { front, back: Back::H1 }, "", &text);
        let other = parrot("other");
        let port = free_port();
        let outer = house(
            "timeouts { tls-handshake 500ms }",
            &format!(
                "relay 127.0.0.1:{port} {{ sni localhost *.inner.test {}; proxy {other} }}",
                inner.address
            ),
        );
        let named = SocketAddr::from(([127, 0, 0, 1], port));
        inner.address = named;
        for _ in 0..3 {
            let answer = crate::rig::client::once(&inner, &Ask::get("/")).expect("an answer");
            assert_eq!(answer.text(), "inner", "{front:?}");
        }
        outer.logged(&["\"server_name\":\"localhost\"", "\"end\":"]);
        // What is no TLS goes where `proxy` says, with what it said so far.
        let mut plain = connect(port);
        plain.write_all(b"GET / HTTP/1.1\r\n").expect("an open connection");
        hear(&mut plain, b"otherGET / HTTP/1.1\r\n");
        // A message that is cut, or malformed, goes nowhere.
        let mut cut = connect(port);
        cut.write_all(&[22, 3, 1, 0, 50, 1, 0, 0]).expect("an open connection");
        assert_eq!(rest(&mut cut).1, b"");
        outer.logged(&["bad-hello", "no ClientHello in time"]);
        let mut bad = connect(port);
        bad.write_all(&[22, 3, 1, 0, 4, 2, 0, 0, 0]).expect("an open connection");
        assert_eq!(rest(&mut bad).1, b"");
        outer.logged(&["bad-hello", "does not begin with a ClientHello"]);
    }
}

#[test]
fn a_name_without_a_target_is_refused() {
    let one = parrot("one");
    let port = free_port();
    let house = house("", &format!("relay 127.0.0.1:{port} {{ sni known.test {one} }}"));
    let mut client = connect(port);
    client.write_all(b"anything else").expect("an open connection");
    assert_eq!(rest(&mut client).1, b"");
    house.logged(&["\"relay\"", "no-name"]);
}

#[test]
fn servers_are_told_the_client() {
    let address = server(|mut stream| {
        let mut heard = [0; 64];
        let n = stream.read(&mut heard).unwrap_or_default();
        let _ = stream.write_all(&heard[..n]);
    });
    let ports = [free_port(), free_port()];
    let _house = house(
        "",
        &format!(
            "upstream u {{ server {address}; proxy-protocol v1; source 127.0.0.3 }}
             relay 127.0.0.1:{} {{ proxy {address}; proxy-protocol v2 }}
             relay 127.0.0.1:{} {{ proxy u }}",
            ports[0], ports[1]
        ),
    );
    let mut client = connect_from([127, 0, 0, 21], ports[0]);
    let from = client.local_addr().expect("a connection");
    let expected = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x15\x7f\0\0\x01"[..],
        &from.port().to_be_bytes(),
        &ports[0].to_be_bytes(),
    ];
    hear(&mut client, &expected.concat());
    let mut client = connect_from([127, 0, 0, 22], ports[1]);
    let from = client.local_addr().expect("a connection");
    let line = format!("PROXY TCP4 127.0.0.22 127.0.0.1 {} {}\r\n", from.port(), ports[1]);
    hear(&mut client, line.as_bytes());
}

#[test]
fn unix_sockets_on_both_sides() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (front, back) = (folder.path().join("front.sock"), folder.path().join("back.sock"));
    let listener = UnixListener::bind(&back).expect("our own folder");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        let _ = stream.write_all(&heard);
    });
    let text = format!("relay unix:{} {{ proxy unix:{} }}", front.display(), back.display());
    let house = house("", &text);
    let mut client = UnixStream::connect(&front).expect("a socket of the house");
    let _ = client.set_read_timeout(Some(PATIENCE));
    client.write_all(b"over there").expect("an open connection");
    client.shutdown(Shutdown::Write).expect("an open connection");
    assert_eq!(rest(&mut client), (true, b"over there".to_vec()));
    house.logged(&["\"relay\"", "\"end\":\"ok\""]);
}

/// A connection stays with its server through reloads, even when its relay is taken away.
#[test]
fn reloads_keep_connections() {
    let (one, two) = (parrot("one"), parrot("two"));
    let port = free_port();
    let relay = |to: SocketAddr| with_site(&format!("relay 127.0.0.1:{port} {{ proxy {to} }}"));
    let house = House::with(Pair::PLAIN, "", &relay(one));
    house.said("doorman is ready");
    let mut first = connect(port);
    hear(&mut first, b"one");
    house.rewrite("", &relay(two));
    house.signal(Signal::HUP);
    house.wait_said("configuration 2 is in force", 1);
    let mut second = connect(port);
    hear(&mut second, b"two");
    first.write_all(b"still one").expect("an open connection");
    hear(&mut first, b"still one");
    // A relay that becomes a site, and back.
    let site = format!("site http://*:{port} {{ respond 200 site }} @SITE {{ respond 200 here }}");
    house.rewrite("", &site);
    house.signal(Signal::HUP);
    house.wait_said("configuration 3 is in force", 1);
    let mut wire = Wire::new(Lane::Plain(connect(port)));
    assert_eq!(wire.ask(Ask::get("/").bytes()).text(), "site");
    for client in [&mut first, &mut second] {
        client.write_all(b"there?").expect("an open connection");
        hear(client, b"there?");
    }
    house.rewrite("", &relay(one));
    house.signal(Signal::HUP);
    house.wait_said("configuration 4 is in force", 1);
    hear(&mut connect(port), b"one");
    // A drain lets them finish.
    house.signal(Signal::TERM);
    second.write_all(b"bye").expect("an open connection");
    hear(&mut second, b"bye");
    drop((first, second));
    assert!(house.ended_within(PATIENCE).success());
}

#[test]
fn a_drain_ends_what_does_not_end_by_itself() {
    let one = parrot("one");
    let port = free_port();
    let text = with_site(&format!("relay 127.0.0.1:{port} {{ proxy {one} }}"));
    let house = House::with(Pair::PLAIN, "drain 500ms", &text);
    house.said("doorman is ready");
    let mut client = connect(port);
    hear(&mut client, b"one");
    house.signal(Signal::TERM);
    assert!(!rest(&mut client).0);
    assert!(house.ended_within(PATIENCE).success());
    house.logged(&["\"relay\"", "\"end\":\"drained\""]);
}

/// A server that answers each datagram with its name and what it heard.
fn echo(name: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("a bound socket");
    thread::spawn(move || {
        let mut room = vec![0; 65_536];
        while let Ok((n, from)) = socket.recv_from(&mut room) {
            let _ = socket.send_to(&[name.as_bytes(), &room[..n]].concat(), from);
        }
    });
    address
}

fn datagrams(ip: [u8; 4], port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::from((ip, 0))).expect("a socket");
    socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).expect("an address");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket
}

#[track_caller]
fn ask(socket: &UdpSocket, question: &[u8]) -> Vec<u8> {
    let mut room = vec![0; 65_536];
    socket.send(question).expect("a socket");
    let n = socket.recv(&mut room).expect("an answer");
    room.truncate(n);
    room
}

#[test]
fn datagrams_find_their_server_and_their_way_back() {
    let (one, two) = (echo("one"), echo("two"));
    let port = free_port();
    let text = format!(
        "upstream u {{ server {one}; server {two} }}
         relay 127.0.0.1:{port} {{ protocol udp; proxy u; timeout idle 500ms; deny 127.0.0.66 }}"
    );
    let house = house("", &text);
    let clients: Vec<UdpSocket> = (0..8).map(|_| datagrams([127, 0, 0, 1], port)).collect();
    let names: Vec<Vec<u8>> = clients.iter().map(|client| ask(client, b"")).collect();
    assert!(names.contains(&b"one".to_vec()) && names.contains(&b"two".to_vec()), "{names:?}");
    // Each stays with its server, and gets its own answers.
    for round in 0..20u32 {
        for (at, (client, name)) in clients.iter().zip(&names).enumerate() {
            let question = format!("{round} {at}");
            let expected = [&name[..], question.as_bytes()].concat();
            assert_eq!(ask(client, question.as_bytes()), expected);
        }
    }
    let large = Pattern { seed: 9 }.bytes(60_000);
    assert_eq!(ask(&clients[0], &large)[3..], large);
    let line = house.logged(&["\"relay\":\"udp:127.0.0.1", "\"end\":\"idle\""]);
    assert!(line.contains("\"bytes_out\""), "{line}");
    // A session that has ended begins anew.
    assert!(ask(&clients[0], b"again").ends_with(b"again"));
    let denied = datagrams([127, 0, 0, 66], port);
    denied.set_read_timeout(Some(Duration::from_millis(300))).expect("a socket");
    denied.send(b"x").expect("a socket");
    assert!(denied.recv(&mut [0; 16]).is_err());
}

#[test]
fn clients_that_send_datagrams_have_a_bound() {
    let one = echo("one");
    let port = free_port();
    let text = format!(
        "relay 127.0.0.1:{port} {{ protocol udp; proxy {one}; connections 3; timeout idle 700ms }}"
    );
    let _house = house("", &text);
    let clients: Vec<UdpSocket> = (0..3).map(|_| datagrams([127, 0, 0, 1], port)).collect();
    for client in &clients {
        assert_eq!(ask(client, b"x"), b"onex");
    }
    let fourth = datagrams([127, 0, 0, 1], port);
    fourth.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket");
    fourth.send(b"y").expect("a socket");
    assert!(fourth.recv(&mut [0; 16]).is_err());
    // Once the others have been silent for long enough there is room.
    let begun = Instant::now();
    loop {
        fourth.send(b"y").expect("a socket");
        if fourth.recv(&mut [0; 16]).is_ok() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
    }
}

#[test]
fn a_server_of_datagrams_that_is_down_is_logged() {
    let down = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let port = free_port();
    let house = house("", &format!("relay 127.0.0.1:{port} {{ protocol udp; proxy {down} }}"));
    let client = datagrams([127, 0, 0, 1], port);
    client.send(b"x").expect("a socket");
    house.logged(&["\"relay\":\"udp:", "upstream-connect", "connection refused"]);
}

#[test]
fn reloads_and_drains_keep_sessions_of_datagrams() {
    let (one, two) = (echo("one"), echo("two"));
    let port = free_port();
    let relay = |to: SocketAddr| {
        with_site(&format!(
            "relay 127.0.0.1:{port} {{ protocol udp; proxy {to}; timeout idle 2s }}"
        ))
    };
    let house = House::with(Pair::PLAIN, "", &relay(one));
    house.said("doorman is ready");
    let first = datagrams([127, 0, 0, 1], port);
    assert_eq!(ask(&first, b"a"), b"onea");
    house.rewrite("", &relay(two));
    house.signal(Signal::HUP);
    house.wait_said("configuration 2 is in force", 1);
    assert_eq!(ask(&first, b"b"), b"oneb");
    let second = datagrams([127, 0, 0, 1], port);
    assert_eq!(ask(&second, b"c"), b"twoc");
    // Taken away, its sessions end and the port is free; it may come back.
    house.rewrite("", &with_site(""));
    house.signal(Signal::HUP);
    house.wait_said("configuration 3 is in force", 1);
    house.logged(&["\"relay\":\"udp:", "\"end\":\"ok\""]);
    house.rewrite("", &relay(one));
    house.signal(Signal::HUP);
    house.wait_said("configuration 4 is in force", 1);
    let third = datagrams([127, 0, 0, 1], port);
    assert_eq!(ask(&third, b"d"), b"oned");
    house.signal(Signal::TERM);
    assert_eq!(ask(&third, b"e"), b"onee");
    assert!(house.ended_within(PATIENCE).success());
}

/// A socket of datagrams goes from a relay to HTTP/3 by way of nobody's: until then the old
/// configuration stays, and says why.
#[test]
fn a_relays_socket_is_not_handed_to_http_3() {
    let one = echo("one");
    let port = free_port();
    let relay = format!("relay 127.0.0.1:{port} {{ protocol udp; proxy {one} }}");
    let site = format!("site https://localhost:{port} {{ tls internal; respond 200 site }}");
    let house = house("", &relay);
    let client = datagrams([127, 0, 0, 1], port);
    assert_eq!(ask(&client, b"a"), b"onea");
    house.rewrite("", &with_site(&site));
    house.signal(Signal::HUP);
    house.wait_said("cannot follow each other", 1);
    assert_eq!(ask(&client, b"b"), b"oneb");
    house.rewrite("", &with_site(""));
    house.signal(Signal::HUP);
    house.wait_said("configuration 2 is in force", 1);
    house.rewrite("", &with_site(&site));
    house.signal(Signal::HUP);
    house.wait_said("configuration 3 is in force", 1);
}
