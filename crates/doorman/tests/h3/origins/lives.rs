//! Bodies both ways, at the pace of whoever is slower, and clients that leave.

use std::time::Duration;

use doorman_testkit::h3::Ended;
use doorman_testkit::h3::frames::{frame, headers, kind, varint};
use doorman_testkit::h3::origin::{Piece, QuicOrigin, Setup};
use doorman_testkit::raw::Raw;
use doorman_testkit::tls::Authority;
use rustix::process::Signal;

use super::{House, Notes, answering, echoing, setup, status};
use crate::rig::code;

const OK: [(&str, &str); 1] = [(":status", "200")];

/// UPB-17: both halves of the stream are cut, with the code that says so.
#[test]
fn a_client_that_leaves_cancels_its_request_h3q_23() {
    let authority = Authority::new();
    let notes = Notes::new();
    let pen = notes.pen();
    let origin = answering(&authority, move |mut asked, _| {
        let pen = pen.clone();
        async move {
            asked.head().await?;
            asked.reply.send(&headers(&OK)).await?;
            asked.reply.send(&frame(kind::DATA, b"begun")).await?;
            let stopped = asked.reply.stopped().await;
            let cut = loop {
                match asked.reading.piece().await {
                    Ok(Some(Piece::Data(_))) => {}
                    Ok(_) => break None,
                    Err(error) => break Some(error.to_string()),
                }
            };
            let _ = pen.send((stopped, cut));
            Ok(())
        }
    });
    let house = House::before(&authority, &[origin.address()], "");
    let mut client = Raw::connect(house.address).expect("a connection");
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        .expect("a connection");
    let _ = client.take_until(b"begun").expect("the beginning");
    drop(client);
    let (stopped, cut) = notes.next();
    assert_eq!(stopped, Some(code::REQUEST_CANCELLED));
    let reset = format!("error {}", code::REQUEST_CANCELLED);
    assert!(cut.as_ref().is_some_and(|cut| cut.contains(&reset)), "{cut:?}");
}

/// UPB-19: what an origin may send ahead is bounded by the windows, not by what clients ask for.
#[test]
fn a_slow_client_holds_its_origin_back() {
    const CHUNK: usize = 16 * 1024;
    const AHEAD_MAX: usize = 12 << 20;
    let authority = Authority::new();
    let notes = Notes::new();
    let pen = notes.pen();
    let origin = answering(&authority, move |mut asked, _| {
        let pen = pen.clone();
        async move {
            asked.whole().await?;
            asked.reply.send(&headers(&OK)).await?;
            let piece = frame(kind::DATA, &[b'x'; CHUNK]);
            let mut sent = 0;
            loop {
                let sending = asked.reply.send(&piece);
                match tokio::time::timeout(Duration::from_millis(700), sending).await {
                    Ok(sent_now) => sent_now?,
                    Err(_) => break,
                }
                sent += CHUNK;
            }
            let _ = pen.send(sent);
            asked.reply.stopped().await;
            Ok(())
        }
    });
    let house = House::before(&authority, &[origin.address()], "");
    let mut client = Raw::connect(house.address).expect("a connection");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("a connection");
    // The sockets' buffers on the client's side take some megabytes; then it stands.
    let sent = notes.next();
    assert!(sent < AHEAD_MAX, "{sent} bytes");
}

/// An origin that reads slowly holds the client back: its window, and what a connection may hold.
#[test]
fn a_slow_origin_holds_its_client_back() {
    let authority = Authority::new();
    let notes = Notes::new();
    let pen = notes.pen();
    let setup = Setup { window: 64 * 1024, ..setup(&authority) };
    let origin = QuicOrigin::start(setup, move |visit| {
        let pen = pen.clone();
        async move {
            let Some(mut asked) = visit.asked().await else { return };
            let _ = asked.head().await;
            let _ = pen.send(());
            // Reads nothing until it is told to end.
            visit.over().await;
        }
    });
    let house = House::before(&authority, &[origin.address()], "timeout idle 1s");
    let mut client = Raw::connect(house.address).expect("a connection");
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        .expect("a connection");
    notes.next();
    let _ = client.send_while_reading(vec![b'x'; 100_000_000]);
    // The origin took nothing for as long as it may.
    let _ = client.take_all();
    let answer = client.received();
    assert!(String::from_utf8_lossy(answer).contains(" 504 "), "{} bytes", answer.len());
    house.logged("did not read the request in time");
}

/// RFC 9114 section 4.1: a server that has answered may stop the upload with H3_NO_ERROR; its answer
/// is whole.
#[test]
fn an_early_answer_is_whole_upb_14() {
    let authority = Authority::new();
    let origin = answering(&authority, |mut asked, _| async move {
        asked.head().await?;
        asked.reading.stop(0x100);
        asked.reply.answer(&[(":status", "413"), ("content-length", "5")], b"large").await?;
        asked.reply.stopped().await;
        Ok(())
    });
    let house = House::before(&authority, &[origin.address()], "");
    for _ in 0..3 {
        let mut client = Raw::connect(house.address).expect("a connection");
        let _ = client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n");
        let _ = client.send_while_reading(vec![b'x'; 4 << 20]);
        let reply = client.response().expect("an answer");
        assert_eq!((reply.status, reply.text().as_str()), (413, "large"));
    }
}

/// What leaves when the program does: the origin need not wait to learn of it.
#[test]
fn a_drain_closes_connections_in_order() {
    let authority = Authority::new();
    let notes = Notes::new();
    let pen = notes.pen();
    let origin = QuicOrigin::start(setup(&authority), move |visit| {
        let pen = pen.clone();
        async move {
            let Some(mut asked) = visit.asked().await else { return };
            let _ = asked.reply.answer(&[(":status", "204")], b"").await;
            let _ = pen.send(visit.over().await);
        }
    });
    let house = House::before(&authority, &[origin.address()], "");
    assert_eq!(status(&house.get()), "204");
    house.process.signal(Signal::TERM).expect("the process runs");
    assert_eq!(notes.next(), Ended::Closed(code::NO_ERROR));
}

/// gRPC: trailers decide, faults are told in its words, and both kinds of response arrive.
#[test]
fn grpc_calls_end_with_their_trailers() {
    let authority = Authority::new();
    let origin = answering(&authority, |mut asked, _| async move {
        let whole = asked.whole().await?;
        let kind_of = ("content-type", "application/grpc");
        if whole.fields[":path"] == "/s/only" {
            let fields = [OK[0], kind_of, ("grpc-status", "5")];
            return asked.reply.answer(&fields, b"").await;
        }
        assert_eq!(whole.fields.get("te").map(String::as_str), Some("trailers"));
        asked.reply.send(&headers(&[OK[0], kind_of])).await?;
        let mut message = varint(kind::DATA);
        message.extend(varint(whole.content.len() as u64));
        asked.reply.send(&[&message[..], &whole.content].concat()).await?;
        asked.reply.send(&headers(&[("grpc-status", "0"), ("grpc-message", "fine")])).await?;
        asked.reply.finish();
        asked.reply.stopped().await;
        Ok(())
    });
    let house = House::before(&authority, &[origin.address()], "");
    let call = |path: &str| {
        house.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close, te\r\nTE: trailers\r\n\
             Content-Type: application/grpc\r\nContent-Length: 6\r\n\r\n\0\0\0\0\x01x"
        ))
    };
    let answer = call("/s/echo");
    assert!(status(&answer) == "200" && answer.contains("grpc-status: 0\r\n"), "{answer}");
    let answer = call("/s/only");
    assert!(status(&answer) == "200" && answer.contains("grpc-status: 5\r\n"), "{answer}");
    drop(origin);
    let (_, nobody) = echoing(&authority);
    assert!(nobody.seen().is_empty());
    let answer = call("/s/gone");
    assert!(answer.contains("grpc-status: 14\r\n"), "{answer}");
}
