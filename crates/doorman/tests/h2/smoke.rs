//! Clients that others wrote.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use doorman_testkit::process::{Program, free_address};
use doorman_testkit::sums::Pattern;

use crate::rig::{House, house};

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn uri(house: &House, path: &str) -> String {
    format!("https://{}{path}", house.authority())
}

#[test]
fn curl_speaks_http_2() {
    let house = house();
    let get = |path: &str, more: &[&str]| {
        let uri = uri(&house, path);
        let output = run("curl", &[&["--http2", "-skS", "-i", &uri], more].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).to_lowercase())
    };
    let (code, text) = get("/", &[]);
    assert!(code == Some(0) && text.starts_with("http/2 200") && text.ends_with("hello"), "{text}");
    let (code, text) = get("/head", &["--head"]);
    assert!(code == Some(0) && text.contains("content-length: 77"), "{text}");
    let (code, text) = get("/trailers", &[]);
    assert!(code == Some(0) && text.contains("sum: 5"), "{text}");
    let (code, text) = get("/hints", &[]);
    assert!(code == Some(0) && text.starts_with("http/2 103") && text.ends_with("ok"), "{text}");
    let (code, text) = get("/echo", &["--data", "a=b"]);
    assert!(code == Some(0) && text.contains("a=b"), "{text}");
    // A cut body is an error of its own for curl: 92, or 18 for a length that was not reached.
    let (code, text) = get("/cut-chunked", &[]);
    assert!(matches!(code, Some(92 | 18)) || text.starts_with("http/2 502"), "{code:?}: {text}");
}

#[test]
fn nghttp_and_h2load_speak_http_2() {
    let house = house();
    let output = run("nghttp", &["-nv", "--no-verify-peer", &uri(&house, "/")]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(":status: 200"), "{text}");
    let load = ["-n", "2000", "-c", "4", "-m", "25", &uri(&house, "/")];
    let text = String::from_utf8_lossy(&run("h2load", &load).stdout).into_owned();
    assert!(text.contains("2000 succeeded, 0 failed, 0 errored"), "{text}");
}

/// The server of nghttp2, without TLS, and a folder that it serves.
struct Nghttpd {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Nghttpd {
    fn start() -> Self {
        let (address, folder) = (free_address(), tempfile::tempdir().expect("a temporary folder"));
        let page = Pattern { seed: 3 }.bytes(500_000);
        std::fs::write(folder.path().join("page.bin"), page).expect("our own folder");
        let child = Command::new("nghttpd")
            .args(["--no-tls", "--address", "127.0.0.1", "-d"])
            .arg(folder.path())
            .arg(address.port().to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("the Debian package nghttp2-server is installed");
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "nghttpd is not up");
            std::thread::yield_now();
        }
        Self { child, address, folder }
    }
}

impl Drop for Nghttpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn nghttpd_is_an_origin() {
    let origin = Nghttpd::start();
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{ data data; workers 2; admin unix:admin.sock }}\n\
         listen {address} protocols h1 h2c\nupstream o {{ server {}; protocol h2c }}\n\
         site http://*:{} {{ proxy o }}\n",
        origin.address,
        address.port()
    );
    let _process = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address]);
    let page = std::fs::read(origin.folder.path().join("page.bin")).expect("our own folder");
    let uri = |path: &str| format!("http://{address}{path}");
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let got = run("curl", &[version, "-sS", &uri("/page.bin")]);
        assert!(got.status.success() && got.stdout == page, "{version}: the whole page");
        let head = run("curl", &[version, "-sSI", &uri("/page.bin")]);
        let head = String::from_utf8_lossy(&head.stdout).to_lowercase();
        assert!(head.contains("content-length: 500000"), "{version}: {head}");
        let none =
            run("curl", &[version, "-sS", "-o", "/dev/null", "-w", "%{http_code}", &uri("/x")]);
        assert_eq!(none.stdout, b"404", "{version}");
        let sent = run("curl", &[version, "-sS", "-d", "hello", "-w", "%{http_code}", &uri("/x")]);
        assert!(sent.stdout.ends_with(b"404"), "{version}");
    }
    let output = run("nghttp", &["-nv", &uri("/page.bin")]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(":status: 200"), "{text}");
    let load = ["-n", "2000", "-c", "4", "-m", "25", &uri("/x")];
    let text = String::from_utf8_lossy(&run("h2load", &load).stdout).into_owned();
    assert!(text.contains("2000 done") && text.contains("0 errored"), "{text}");
}
