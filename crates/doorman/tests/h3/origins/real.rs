//! An origin that others wrote.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Stdio};

use doorman_testkit::tls::Authority;

use super::{House, status};

/// aioquic's server; it ends with its input.
struct Aioquic {
    process: Child,
    address: SocketAddr,
}

impl Aioquic {
    /// `None` where it cannot be had.
    fn start(authority: &Authority) -> Option<Self> {
        let python = crate::real::python()?;
        let own = doorman_testkit::process::folder();
        let identity = authority.issue(&["origin.test"]);
        let (certificate, key) = (own.path().join("cert.pem"), own.path().join("key.pem"));
        std::fs::write(&certificate, &identity.certificate_pem).expect("our own folder");
        std::fs::write(&key, &identity.key_pem).expect("our own folder");
        let mut process = python
            .command("aioquic_server.py")
            .args([&certificate, &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut port = String::new();
        let output = process.stdout.take().expect("it was asked for");
        BufReader::new(output).read_line(&mut port).expect("it says its port");
        let port: u16 = port.trim().parse().expect("a port");
        Some(Self { process, address: (Ipv4Addr::LOCALHOST, port).into() })
    }
}

impl Drop for Aioquic {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[test]
fn aioquic_answers() {
    let authority = Authority::new();
    let Some(origin) = Aioquic::start(&authority) else { return };
    let house = House::before(&authority, &[origin.address], "");
    let get = |path: &str| {
        house.ask(&format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"))
    };
    let answer = get("/");
    assert!(status(&answer) == "200" && answer.contains("x-authority: a.test\r\n"), "{answer}");
    assert_eq!(status(&get("/missing")), "404");
    let answer = get("/hints");
    assert!(status(&answer) == "103" && answer.contains("\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
    let answer = get("/trailers");
    assert!(answer.ends_with("0\r\ngrpc-status: 0\r\n\r\n"), "{answer}");
    let head = house.ask("HEAD / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    assert!(status(&head) == "200" && head.contains("x-method: HEAD\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    // A megabyte each way, counted and in chunks.
    let body: String = (0..1_000_000).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let answer = house.post(&body);
    assert!(answer.contains(&sum) && answer.contains("x-length: 1000000\r\n"), "{answer}");
    let chunked = house.ask(&format!(
        "POST /trailers HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\nX-Sum: up\r\n\r\n",
        body.len()
    ));
    assert!(chunked.contains(&sum) && chunked.contains("x-trailer: up\r\n"), "{chunked}");
    let large = get("/large/3000000");
    assert!(status(&large) == "200" && large.ends_with("0\r\n\r\n"), "{}", large.len());
    // Many at once, over one connection.
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(status(&get("/")), "200");
                }
            });
        }
    });
    house.logged("\"server\":\"https://127.0.0.1");
}
