//! An origin of the simulation: parses strictly, checks what it is sent, and answers as its path
//! says, sometimes badly.

use std::net::SocketAddr;
use std::rc::Rc;

use doorman_testkit::sim::{Sim, SimStream};
use tokio::io::AsyncWriteExt;

use crate::Ledger;
use crate::message::{Ended, Kind, Message, Reader, chunks, draw, pattern};

pub(crate) fn start(sim: &Sim, at: SocketAddr, seed: u64, ledger: &Rc<Ledger>) {
    let mut listener = sim.listen(at).expect("the address is free");
    let ledger = Rc::clone(ledger);
    tokio::task::spawn_local(async move {
        while let Ok((stream, ..)) = listener.accept().await {
            tokio::task::spawn_local(serve(stream, seed, Rc::clone(&ledger)));
        }
    });
}

async fn serve(stream: SimStream, seed: u64, ledger: Rc<Ledger>) {
    let mut reader = Reader::new(stream);
    while let Some(mut request) = reader.head().await {
        check_head(&request);
        let id =
            request.field("x-id").and_then(|id| id.parse().ok()).expect("every request has an id");
        let early = request.start.contains(" /early/");
        if early {
            // The answer goes out before the body is read; the connection is then given up.
            let _ = answer(&mut reader, &request, id, seed).await;
            reader.body(&mut request, Kind::Request).await;
            return;
        }
        reader.body(&mut request, Kind::Request).await;
        if request.ended != Ended::Whole {
            return;
        }
        check_body(&request, id, &ledger);
        *ledger.seen.borrow_mut().entry(id).or_default() += 1;
        if !answer(&mut reader, &request, id, seed).await {
            return;
        }
    }
}

/// I2: what belongs to the client's connection stays there; one Host, one framing.
fn check_head(request: &Message) {
    for name in
        ["x-hop", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings", "expect"]
    {
        assert_eq!(request.count(name), 0, "I2: {name} crossed: {request:?}");
    }
    assert_eq!(request.count("connection"), 0, "I2: Connection crossed: {request:?}");
    assert_eq!(request.count("host"), 1);
    assert!(request.count("content-length") + request.count("transfer-encoding") <= 1);
    assert!(request.start.ends_with(" HTTP/1.1"), "{}", request.start);
    assert_eq!(request.count("x-forwarded-for"), 1);
    assert_eq!(request.field("x-forwarded-for"), Some("198.51.100.7"), "spoofed: {request:?}");
}

/// I1: the request is one that a client sent, to the byte.
fn check_body(request: &Message, id: u64, ledger: &Ledger) {
    let sent = ledger.sent.borrow();
    let sent = sent.get(&id).unwrap_or_else(|| panic!("I1: nobody sent {request:?}"));
    let method = request.start.split(' ').next();
    assert_eq!(method, Some(sent.method), "I1");
    assert!(request.body == sent.body, "I1: the body of request {id} changed on its way");
}

/// Answers; says whether the connection may go on.
async fn answer(reader: &mut Reader<SimStream>, request: &Message, id: u64, seed: u64) -> bool {
    let mut parts = request.start.split(' ').nth(1).unwrap_or_default().split('/').skip(1);
    let (kind, length) =
        (parts.next().unwrap_or_default(), parts.next().and_then(|n| n.parse().ok()));
    let body = pattern(id, length.unwrap_or(0));
    let is_head = request.start.starts_with("HEAD ");
    let mut out = Vec::new();
    if draw(seed, id ^ 1, 8) == 0 {
        out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
    }
    // An early answer announces that it is the last: a close without a word would race with the
    // next request, and a POST that lost that race must fail.
    let last = if kind == "early" { "Connection: close\r\n" } else { "" };
    let head = |framing: &str| {
        format!("HTTP/1.1 200 OK\r\nx-id: {id}\r\n{last}{framing}\r\n\r\n").into_bytes()
    };
    let mut go_on = true;
    match kind {
        "chunked" => {
            out.extend(head("Transfer-Encoding: chunked"));
            if !is_head {
                out.extend(chunks(&body, id));
            }
        }
        "close" => {
            out.extend(head("Connection: close"));
            if !is_head {
                out.extend_from_slice(&body);
            }
            go_on = false;
        }
        "short" => {
            // Promises more than it sends.
            out.extend(head(&format!("Content-Length: {}", body.len() + 1)));
            if !is_head {
                out.extend_from_slice(&body);
            }
            go_on = false;
        }
        "unfinished" => {
            // Chunked without an end.
            out.extend(head("Transfer-Encoding: chunked"));
            if !is_head {
                let coded = chunks(&body, id);
                out.extend_from_slice(&coded[..coded.len() - 5]);
            }
            go_on = false;
        }
        "garbage" => {
            out.extend_from_slice(b"\x16\x03\x01 what is this\r\n\r\n");
            go_on = false;
        }
        "surplus" => {
            // A whole answer, and bytes that nobody asked for.
            out.extend(head(&format!("Content-Length: {}", body.len())));
            if !is_head {
                out.extend_from_slice(&body);
            }
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        }
        _ => {
            out.extend(head(&format!("Content-Length: {}", body.len())));
            if !is_head {
                out.extend_from_slice(&body);
            }
        }
    }
    // To HEAD the head is all there is: nothing is cut, and a close without a word would race with
    // the next request, which must fail if it is a POST.
    go_on |= is_head && matches!(kind, "short" | "unfinished");
    let written = reader.stream().write_all(&out).await.is_ok();
    if !go_on {
        let _ = reader.stream().shutdown().await;
    }
    written && go_on
}
