//! Clients that others wrote.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use doorman_testkit::chromium::{Chromium, HOST};
use doorman_testkit::origin::{Origin, Seen, answering, reply};
use doorman_testkit::process::{Program, free_address};
use doorman_testkit::python::Python;
use doorman_testkit::sums::Pattern;
use doorman_testkit::tls::Authority;
use serde_json::Value;

use crate::rig::{code, house};

/// `None` where its packages cannot be had.
pub(crate) fn python() -> Option<Python> {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");
    Python::find(env!("CARGO_TARGET_TMPDIR"), scripts)
}

/// What aioquic saw, by step.
fn aioquic(python: &Python, address: SocketAddr, steps: &[&str]) -> HashMap<String, Value> {
    let port = address.port().to_string();
    let told = python.tell("aioquic_client.py", &[&[port.as_str()], steps].concat());
    let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.map(|line| (line["step"].as_str().expect("a step").to_owned(), line)).collect()
}

#[test]
fn aioquic_speaks_http_3() {
    let Some(python) = python() else { return };
    let house = house();
    let steps = [
        "get",
        "head",
        "hints",
        "trailers",
        "post",
        "trail",
        "download",
        "many",
        "keys",
        "ids",
        "malformed",
        "cut",
        "resume",
    ];
    let saw = aioquic(&python, house.address, &steps);
    let status = |step: &str| saw[step]["status"].as_u64();
    for step in ["get", "hints", "trailers", "post", "trail", "download", "keys", "ids"] {
        assert_eq!(status(step), Some(200), "{step}: {}", saw[step]);
    }
    assert_eq!(saw["get"]["length"], 5);
    assert_eq!((status("head"), &saw["head"]["length"]), (Some(204), &0.into()));
    assert_eq!(saw["hints"]["interim"][0], 103);
    assert_eq!(saw["trailers"]["trailers"]["sum"], "5");
    assert_eq!(saw["post"]["fields"]["x-body-length"], saw["post"]["sent"].to_string());
    assert_eq!(saw["trail"]["fields"]["x-body-length"], "5");
    let download = Pattern { seed: 7 }.bytes(10 * 1024 * 1024);
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &download);
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(saw["download"]["sha256"], sum);
    assert_eq!((&saw["many"]["count"], &saw["many"]["statuses"][0]), (&100.into(), &200.into()));
    assert_eq!(saw["many"]["statuses"].as_array().map(Vec::len), Some(1));
    assert_eq!(saw["malformed"]["reset"], code::MESSAGE_ERROR);
    assert_eq!(saw["cut"]["reset"], code::INTERNAL_ERROR);
    assert_eq!((status("resume"), &saw["resume"]["resumed"]), (Some(200), &true.into()));
    let line = house.process.wait_for_words("/resumed");
    assert!(line.contains("HTTP/3"), "{line}");
}

/// WebSockets over HTTP/3, between two implementations that know nothing of each other or of us.
#[test]
fn aioquic_speaks_websocket_over_http_3() {
    let Some(python) = python() else { return };
    let server = python.serve("websocket_server.py", []);
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{ data data; workers 1; bind 127.0.0.1; admin unix:admin.sock; log access json stdout }}\n\
         site https://localhost:{} {{ tls internal; proxy {} }}\n",
        address.port(),
        server.address
    );
    let house = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address]);
    let saw = aioquic(&python, address, &["websocket", "compressed"]);
    for (step, compressed) in [("websocket", false), ("compressed", true)] {
        let saw = &saw[step];
        assert_eq!((&saw["offered"], &saw["status"]), (&1.into(), &200.into()), "{saw}");
        assert_eq!(saw["fields"]["sec-websocket-protocol"], "chat");
        assert_eq!(saw["compressed"], compressed);
        assert_eq!(saw["echoed"], serde_json::json!([true, true, true, true]));
        assert_eq!((&saw["pong"], &saw["ponged"]), (&"anybody".into(), &"pong came".into()));
        assert_eq!(saw["ping"], "are you there");
        assert_eq!(saw["close"], serde_json::json!([4321, "as asked"]));
        assert_eq!(saw["reset"], Value::Null, "an end, not a break");
    }
    let line = house.wait_for_words("\"path\":\"/live\"");
    assert!(line.contains("HTTP/3") && line.contains("\"status\":101"), "{line}");
}

/// A browser loads a page and what the page loads, over HTTP/3 alone.
#[test]
fn chromium_speaks_http_3() {
    let identity = Authority::new().issue(&[HOST]);
    let page = "<html><body><p id=p></p><script>\
                fetch('/more', {method: 'POST', body: 'x'.repeat(300000)})\
                .then(r => r.text()).then(t => { document.getElementById('p').innerText = t })\
                </script></body></html>";
    let origin = Origin::start(answering(Arc::new(move |seen: &Seen| match seen.target() {
        "/" => reply("200 OK", "Content-Type: text/html\r\n", page.as_bytes()),
        "/more" => reply("200 OK", "", format!("got {}", seen.body_length).as_bytes()),
        _ => reply("404 Not Found", "", b""),
    })));
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{\n  workers 1\n  bind 127.0.0.1\n  admin unix:admin.sock\n  \
         log access json stdout\n}}\n\
         site https://{HOST}:{} {{\n  tls cert cert.pem key key.pem\n  proxy {}\n}}\n",
        address.port(),
        origin.address()
    );
    let house = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .file("cert.pem", &identity.certificate_pem)
        .file("key.pem", &identity.key_pem)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address]);
    let host = format!("{HOST}:{}", address.port());
    let (dom, errors) = Chromium::believing(&identity.certificate_pem)
        .with(format!("--origin-to-force-quic-on={host}"))
        .document(&format!("https://{host}/"));
    assert!(dom.contains("got 300000"), "{dom}\n{errors}");
    for path in ["\"/\"", "\"/more\""] {
        let line = house.wait_for_words(&format!("\"path\":{path}"));
        assert!(line.contains("HTTP/3"), "{line}");
    }
}
