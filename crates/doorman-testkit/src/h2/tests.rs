//! The hand-written frames and literals against the `h2` crate's server, in memory.

use std::time::Duration;

use doorman_net::{Address, Net};
use http::{Response, StatusCode};

use super::*;
use crate::sim::{Faults, Sim, simulate};
use crate::wire::Wire;

const ORIGIN: &str = "10.0.0.2:80";

/// A server that answers with the status that the path names, and with what it was asked.
fn serve(sim: &Sim) {
    let mut listener = sim.listen(ORIGIN.parse().unwrap()).unwrap();
    tokio::task::spawn_local(async move {
        let (stream, ..) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let status = request.uri().path()[1..].parse().unwrap_or(StatusCode::OK);
            let mut response = Response::new(());
            *response.status_mut() = status;
            let field = request.headers().get("x-long").map_or(0, |value| value.len());
            let mut stream = respond.send_response(response, false).unwrap();
            stream.send_data(field.to_string().into(), true).unwrap();
        }
    });
}

/// Sends frames after the greeting; what comes back up to the first frame that `wanted` wants.
fn check(frames: Vec<Frame>, wanted: fn(&Frame) -> bool) -> Vec<Frame> {
    simulate(1, Faults::NONE, Duration::from_secs(60), |sim| async move {
        serve(&sim);
        let stream = sim.net().connect(&Address::Inet(ORIGIN.parse().unwrap())).await.unwrap();
        let mut wire = Wire::new(stream);
        wire.greet(&[]).await.unwrap();
        wire.send_frames(&frames).await.unwrap();
        wire.frames_until(wanted).await.unwrap()
    })
    .unwrap()
    .value
}

#[test]
fn a_server_understands_and_its_statuses_are_read() {
    for status in [200u16, 204, 206, 304, 400, 404, 500, 201, 301, 421, 431, 503, 599, 678, 999] {
        let get = Frame::get(1, "x", &format!("/{status}"));
        let frames = check(vec![get], |frame| frame.kind == kind::HEADERS);
        assert_eq!(frames.last().unwrap().status(), Some(status));
    }
}

#[test]
fn literals_of_every_length_are_understood() {
    for length in [0, 1, 126, 127, 128, 254, 255, 256, 300, 9000] {
        let value = vec![b'v'; length];
        let fields: [(&[u8], &[u8]); 5] = [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":authority", b"x"),
            (b":path", b"/"),
            (b"x-long", &value),
        ];
        let headers = Frame::headers(1, flag::END_STREAM, &fields);
        let frames = check(vec![headers], |frame| frame.kind == kind::DATA);
        assert_eq!(frames.last().unwrap().payload, length.to_string().as_bytes());
    }
}

#[test]
fn illegal_things_can_be_said() {
    let fields: [(&[u8], &[u8]); 5] = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"x"),
        (b":path", b"/"),
        (b"Upper Case\r\n", b"a\0b"),
    ];
    let headers = Frame::headers(1, flag::END_STREAM, &fields);
    let frames = check(vec![headers], |frame| frame.code().is_some());
    assert_eq!(frames.last().unwrap().code(), Some(1), "PROTOCOL_ERROR");
    let block = Frame::new(kind::HEADERS, flag::END_HEADERS, 1, hpack::indexed(3000));
    let frames = check(vec![block], |frame| frame.kind == kind::GOAWAY);
    // RFC 9113 section 4.3 wants COMPRESSION_ERROR; the crate says PROTOCOL_ERROR.
    assert!(matches!(frames.last().unwrap().code(), Some(1 | 9)));
}

/// A server on a socket that sends a request's body back, one stream after the other.
fn serve_on_socket() -> std::net::SocketAddr {
    use doorman_net::os::{Bound, ListenAddress};

    let bound = Bound::listen(&ListenAddress::Inet("127.0.0.1:0".parse().unwrap()), 8).unwrap();
    let ListenAddress::Inet(address) = bound.local_address().unwrap() else { unreachable!() };
    std::thread::spawn(move || {
        crate::raw::blocking_runtime().block_on(async {
            let mut listener = bound.into_listener().unwrap();
            let accept = std::future::poll_fn(|cx| {
                doorman_net::seam::Listener::poll_accept(&mut listener, cx)
            });
            let (stream, ..) = accept.await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                tokio::task::spawn_local(async move {
                    let mut body = request.into_body();
                    let mut stream = respond.send_response(Response::new(()), false).unwrap();
                    while let Some(Ok(piece)) = body.data().await {
                        let _ = body.flow_control().release_capacity(piece.len());
                        stream.send_data(piece, false).unwrap();
                    }
                    stream.send_data(bytes::Bytes::new(), true).unwrap();
                });
            }
        });
    });
    address
}

#[test]
fn the_well_behaved_client_exchanges_bodies_at_once() {
    let mut client = H2::connect(serve_on_socket()).unwrap();
    let bodies = [0, 1, 70_000, 400_000]
        .map(|length| bytes::Bytes::from(crate::sums::Pattern { seed: 5 }.bytes(length)));
    let post = |body: &bytes::Bytes| http::Request::post("http://x/").body(body.clone()).unwrap();
    let replies = client.requests(bodies.iter().map(post).collect()).unwrap();
    for (reply, body) in replies.into_iter().zip(&bodies) {
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.is_complete(), &reply.body[..]), (200, true, &body[..]));
    }
    assert!(client.get("http://x/").unwrap().is_complete());
    assert!(client.wait_for_end().unwrap().is_none());
}
