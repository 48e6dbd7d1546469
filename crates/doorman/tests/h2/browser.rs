//! A browser over HTTP/2: a page, what the page loads and sends, and a WebSocket on the connection that it has.

use std::sync::Arc;

use doorman_testkit::chromium::{Chromium, HOST};
use doorman_testkit::origin::{Origin, Seen, answering, reply};
use doorman_testkit::process::{Program, free_address};
use doorman_testkit::tls::Authority;

use crate::peers;

/// Says in `/report` what came of everything.
const PAGE: &str = "<html><body><script>
    const told = [];
    function report() { fetch('/report', {method: 'POST', body: told.join(' ')}); }
    function talk() {
        const socket = new WebSocket('wss://' + location.host + '/live', ['chat']);
        socket.onopen = () => { told.push(socket.protocol, socket.extensions); socket.send('x'.repeat(100000)); };
        socket.onmessage = (event) => { told.push(event.data.length); socket.send('close 4321'); };
        socket.onclose = (event) => { told.push(event.code, event.reason, event.wasClean); report(); };
    }
    fetch('/more', {method: 'POST', body: 'x'.repeat(300000)})
        .then(reply => reply.text()).then(text => { told.push(text); talk(); });
    </script></body></html>";

#[test]
fn chromium_speaks_http_2_and_websocket_over_it() {
    let Some(python) = peers::python() else { return };
    let server = python.serve("websocket_server.py", []);
    let identity = Authority::new().issue(&[HOST]);
    let origin = Origin::start(answering(Arc::new(move |seen: &Seen| match seen.target() {
        "/" => reply("200 OK", "Content-Type: text/html\r\n", PAGE.as_bytes()),
        "/more" => reply("200 OK", "", format!("got-{}", seen.body_length).as_bytes()),
        "/report" => reply("204 No Content", "", b""),
        _ => reply("404 Not Found", "", b""),
    })));
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{ workers 1; bind 127.0.0.1; admin unix:admin.sock; log access json stdout }}\n\
         listen :{} protocols h2 h1\n\
         site https://{HOST}:{} {{\n  tls cert cert.pem key key.pem\n  route /live {{ proxy {} }}\n  \
         route * {{ proxy {} }}\n}}\n",
        address.port(),
        address.port(),
        server.address,
        origin.address()
    );
    let house = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .file("cert.pem", &identity.certificate_pem)
        .file("key.pem", &identity.key_pem)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address]);
    let url = format!("https://{HOST}:{}/", address.port());
    let page = Chromium::believing(&identity.certificate_pem).open(&url);
    for (path, status) in [("/", 200), ("/more", 200), ("/live", 101), ("/report", 204)] {
        let line = house.wait_for_words(&format!("\"path\":\"{path}\""));
        assert!(line.contains("\"proto\":\"HTTP/2\""), "{line}");
        assert!(line.contains(&format!("\"status\":{status}")), "{line}");
    }
    drop(page);
    let requests = origin.requests();
    let report = requests.iter().find(|seen| seen.target() == "/report").expect("it came");
    let report = String::from_utf8_lossy(&report.body).into_owned();
    let begin = "got-300000 chat permessage-deflate";
    assert!(
        report.starts_with(begin) && report.ends_with(" 100000 4321 as asked true"),
        "{report}"
    );
}
