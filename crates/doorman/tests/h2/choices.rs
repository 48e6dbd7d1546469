//! What is spoken to a server that speaks both: `protocol auto`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorman_testkit::raw::Raw;
use doorman_testkit::tls::Authority;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::grpc::{House, OPTIONS};

/// A server that offers both, and what its connections settled on. Over HTTP/1.1 it switches to what
/// it is asked for and repeats what it hears; over HTTP/2 it says nothing.
fn server(config: Arc<ServerConfig>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let settled: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&settled);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // How a connection ends is seen by the proxy.
            let _ = serve(&config, stream, &kept);
        }
    });
    (address, settled)
}

fn serve(
    config: &Arc<ServerConfig>,
    mut stream: TcpStream,
    settled: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut tls = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    tls.complete_io(&mut stream)?;
    let protocol = String::from_utf8_lossy(tls.alpn_protocol().unwrap_or_default()).into_owned();
    settled.lock().unwrap_or_else(PoisonError::into_inner).push(protocol.clone());
    if protocol == "h2" {
        return Ok(());
    }
    let mut tls = StreamOwned::new(tls, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte)?;
        head.extend(byte);
    }
    tls.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n",
    )?;
    let mut heard = [0; 5];
    tls.read_exact(&mut heard)?;
    tls.write_all(&heard)?;
    tls.flush()
}

#[test]
fn upgrades_go_over_http_1_1_and_all_else_as_tls_settles() {
    let authority = Authority::new();
    let config = authority.issue(&["origin.test"]).server(&["h2", "http/1.1"]);
    let (address, settled) = server(config);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("ca.pem");
    std::fs::write(&root, authority.pem()).expect("our own folder");
    let upstream = format!(
        "server https://{address}; protocol auto; tls ca {} name origin.test",
        root.display()
    );
    let house = House::before(&upstream, OPTIONS);
    let mut client = Raw::connect(house.plain).expect("a connection");
    client
        .send("GET /switch HTTP/1.1\r\nHost: a\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n")
        .expect("a connection");
    let head = client.take_until(b"\r\n\r\n").expect("a head");
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    client.send("hello").expect("a tunnel");
    client.take_until(b"hello").expect("what was said");
    // Nobody answers over HTTP/2; what matters is that it was taken.
    let mut client = Raw::connect(house.plain).expect("a connection");
    let answer = client.exchange("GET /plain HTTP/1.1\r\nHost: a\r\n\r\n").expect("an answer");
    assert_eq!(answer.status, 502);
    let settled = settled.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(settled[..2], ["http/1.1", "h2"], "{settled:?}");
}
