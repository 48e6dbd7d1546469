//! Whoever is refused is told so: alerts come before the end of the connection, and no reset takes them along.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use doorman_testkit::raw::Raw;
use doorman_testkit::tls::{Authority, Identity};
use doorman_testkit::wire::End;
use rustls::ClientConnection;

use crate::rig::{House, client};

const SITES: &str = "
site https://open.test:@PORT { tls cert ec.pem key ec.key; respond 200 hello }
site https://must.test:@PORT {
    tls cert ec.pem key ec.key { client-auth require ca clients.pem crl crl.pem }
    respond 200 hello
}";

fn house() -> House {
    let server = Authority::new().issue(&["open.test", "must.test"]);
    let files = [("ec.pem", &*server.certificate_pem), ("ec.key", &*server.key_pem)];
    House::start_with(Authority::new(), &files, SITES)
}

/// The alert that answers to these bytes, which must be all and well ended.
fn alert(house: &House, bytes: &[u8]) -> u8 {
    let mut raw = Raw::connect(house.address).expect("it listens");
    raw.send(bytes).expect("it reads");
    let (said, end) = raw.take_all().expect("an end");
    assert_eq!(end, End::Finished, "{said:?}");
    match said[..] {
        // RFC 8446 sections 5.1 and 6: type, version, length, level fatal, description.
        [21, 3, _, 0, 2, 2, description] => description,
        _ => panic!("{said:?}"),
    }
}

/// A client's first message for a name that no site has, by OpenSSL's rules as short as it can be: TLS 1.2, one suite.
fn hello_for(name: &str) -> Vec<u8> {
    let block = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("short").to_be_bytes();
        [&length[..], bytes].concat()
    };
    let list = block(&[&[0], &*block(name.as_bytes())].concat());
    let extensions = [
        &[0, 0][..],
        &block(&list),
        // Signatures and groups, without which nothing can be chosen.
        &[0, 13, 0, 4, 0, 2, 4, 3],
        &[0, 10, 0, 4, 0, 2, 0, 29],
    ]
    .concat();
    let body =
        [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0xc0, 0x2b], &[1, 0], &block(&extensions)].concat();
    let message = [&[1, 0][..], &block(&body)].concat();
    [&[22, 3, 1][..], &block(&message)].concat()
}

/// More than a record, unread when the connection ends.
static REST: [u8; 20_000] = [0x17; 20_000];

#[test]
fn an_alert_arrives_although_the_client_goes_on_writing() {
    let house = house();
    // A message of no length where a client's first is due: 50 is decode_error.
    let garbage = [&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0][..], &REST].concat();
    assert_eq!(alert(&house, &garbage), 50);
    // 112 is unrecognized_name.
    let stranger = [&*hello_for("stranger.test"), &REST].concat();
    assert_eq!(alert(&house, &stranger), 112);
}

/// By TLS 1.3 a client sends its request along with its certificate, or with none.
#[test]
fn a_client_learns_why_its_certificate_was_refused() {
    let house = house();
    let check = |identity: Option<&Identity>| {
        let mut raw = Raw::connect_tls(house.address, &client("must.test", identity)).expect("TLS");
        let request = format!("GET /?{} HTTP/1.1\r\nHost: must.test\r\n\r\n", "a".repeat(30_000));
        let _ = raw.send_while_reading(request);
        let (said, end) = raw.take_all().expect("an end");
        // That is what rustls makes of an alert.
        assert_eq!((&said[..], end), (&[][..], End::Failed(ErrorKind::InvalidData)));
    };
    check(None);
    check(Some(&house.authority.client("bob", 7, 30)));
    check(Some(&house.authority.client("eve", 3, -1)));
}

/// RFC 8446 section 4.6.3: new keys as often as a client likes, but not without end and for nothing.
#[test]
fn who_asks_for_new_keys_again_and_again_is_cut_off() {
    let house = house();
    let answer = |updates: usize| {
        let name = "open.test".try_into().expect("a name");
        let tls = client("open.test", None).client();
        let mut session = ClientConnection::new(tls, name).expect("a session");
        let mut socket = TcpStream::connect(house.address).expect("it listens");
        session.complete_io(&mut socket).expect("a handshake");
        for _ in 0..updates {
            session.refresh_traffic_keys().expect("after the handshake");
        }
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        let port = house.address.port();
        let head = format!("GET / HTTP/1.1\r\nHost: open.test:{port}\r\nConnection: close\r\n\r\n");
        let mut said = Vec::new();
        // However it ends, it must end, and with an answer or without.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.read_to_end(&mut said));
        said.starts_with(b"HTTP/1.1 200")
    };
    assert!(answer(30));
    assert!(!answer(40));
}

/// RFC 5246 section 7.2.2: a client that asks for another handshake is told that there is none.
#[test]
fn who_renegotiates_is_told_at_once_that_nobody_does() {
    let house = house();
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &house.address.to_string()])
        .args(["-servername", "open.test", "-tls1_2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the Debian package openssl is installed");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It asks for one at such a line, and ends when it is refused; our end of the pipe stays open.
    stdin.write_all(b"R\n").expect("it reads");
    let output = child.wait_with_output().expect("our own child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    drop(stdin);
}
