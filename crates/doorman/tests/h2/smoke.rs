//! Clients that others wrote.

use std::process::{Command, Output};

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
