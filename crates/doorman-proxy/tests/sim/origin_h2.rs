//! An origin of the simulation that speaks HTTP/2: it refuses streams, says GOAWAY in the middle of
//! things, and answers as the path says, sometimes badly.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use doorman_testkit::sim::{Sim, SimStream};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};

use crate::Ledger;
use crate::client::TOLD_AGAIN_MAX;
use crate::message::{draw, pattern};

pub(crate) fn start(sim: &Sim, at: SocketAddr, seed: u64, gentle: bool, ledger: &Rc<Ledger>) {
    let mut listener = sim.listen(at).expect("the address is free");
    let ledger = Rc::clone(ledger);
    tokio::task::spawn_local(async move {
        let mut number = 0;
        while let Ok((stream, ..)) = listener.accept().await {
            number += 1;
            let story = Story { seed, gentle, number };
            tokio::task::spawn_local(serve(stream, story, Rc::clone(&ledger)));
        }
    });
}

/// What decides how a connection goes.
#[derive(Clone, Copy)]
struct Story {
    seed: u64,
    gentle: bool,
    number: u64,
}

impl Story {
    fn draw(&self, place: u64, below: u64) -> u64 {
        draw(self.seed ^ self.number << 32, place, below)
    }
}

async fn serve(stream: SimStream, story: Story, ledger: Rc<Ledger>) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams([1, 3, 100][usize::try_from(story.draw(1, 3)).expect("small")]);
    builder.initial_window_size([1_000, 70_000][usize::try_from(story.draw(2, 2)).expect("small")]);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let last = story.draw(3, 8);
    let mut served = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        let ledger = Rc::clone(&ledger);
        tokio::task::spawn_local(async move { exchange(request, respond, story, &ledger).await });
        served += 1;
        if served == last {
            match story.draw(4, 3) {
                0 => connection.graceful_shutdown(),
                1 if !story.gentle => connection.abrupt_shutdown(Reason::NO_ERROR),
                _ => {}
            }
        }
    }
}

async fn exchange(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    story: Story,
    ledger: &Ledger,
) {
    let (parts, body) = request.into_parts();
    let id: u64 =
        parts.headers["x-id"].to_str().ok().and_then(|id| id.parse().ok()).expect("an id");
    for name in ["x-hop", "keep-alive", "connection", "transfer-encoding", "host"] {
        assert!(!parts.headers.contains_key(name), "I2: {name} crossed: {parts:?}");
    }
    assert_eq!(parts.headers["x-forwarded-for"], "198.51.100.7", "spoofed: {parts:?}");
    let length = ledger.sent.borrow().get(&id).map_or(0, |sent| sent.body.len());
    // The first time only, or a gentle story could not succeed.
    let first = ledger.refused.borrow_mut().insert(id);
    if first && story.draw(id * 7, 6) == 0 && (!story.gentle || length <= TOLD_AGAIN_MAX) {
        return respond.send_reset(Reason::REFUSED_STREAM);
    }
    let path = parts.uri.path().to_owned();
    let mut path = path.split('/').skip(1);
    let kind = path.next().unwrap_or_default().to_owned();
    let wanted = path.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    if kind != "early" {
        let Some(body) = read(body).await else { return };
        let sent = ledger.sent.borrow();
        let sent = sent.get(&id).unwrap_or_else(|| panic!("I1: nobody sent {parts:?}"));
        assert_eq!(parts.method.as_str(), sent.method, "I1");
        assert!(body == sent.body, "I1: the body of request {id} changed on its way");
        *ledger.seen.borrow_mut().entry(id).or_default() += 1;
    }
    answer(&mut respond, &kind, id, wanted, parts.method == http::Method::HEAD).await;
}

async fn read(mut body: RecvStream) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        let _ = body.flow_control().release_capacity(data.len());
        whole.extend_from_slice(&data);
    }
    // A stream that was reset has no trailers to wait for.
    body.trailers().await.ok()?;
    Some(whole)
}

async fn answer(respond: &mut SendResponse<Bytes>, kind: &str, id: u64, wanted: usize, head: bool) {
    let body = pattern(id, wanted);
    let declared = match kind {
        "chunked" | "close" | "unfinished" => None,
        "short" => Some(body.len() + 1),
        "garbage" => return respond.send_reset(Reason::PROTOCOL_ERROR),
        _ => Some(body.len()),
    };
    let mut response = Response::builder().header("x-id", id);
    if let Some(n) = declared {
        response = response.header("content-length", n);
    }
    let response = response.body(()).expect("a response");
    let Ok(mut stream) = respond.send_response(response, head) else { return };
    if head {
        return;
    }
    let cut = kind == "unfinished";
    if send(&mut stream, body.into(), !cut).await.is_some() && cut {
        stream.send_reset(Reason::INTERNAL_ERROR);
    }
}

async fn send(stream: &mut SendStream<Bytes>, mut body: Bytes, ends: bool) -> Option<()> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = poll_fn(|cx| stream.poll_capacity(cx)).await?.ok()?;
        let part = body.split_to(room.min(body.len()));
        stream.send_data(part, false).ok()?;
    }
    if ends { stream.send_data(Bytes::new(), true).ok() } else { Some(()) }
}
