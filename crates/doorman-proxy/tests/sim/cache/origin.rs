//! An origin of cached pages: says of each what it is and when it was said, and sometimes fails.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use doorman_http::Instant;
use doorman_testkit::sim::{Sim, SimStream};
use tokio::io::AsyncWriteExt;

use super::model::{Face, Page, Truth, date};
use crate::message::{Ended, Kind, Message, Reader, chunks, draw};

pub(super) fn start(sim: &Sim, at: SocketAddr, truth: &Rc<Truth>) {
    let mut listener = sim.listen(at).expect("the address is free");
    let (sim, truth) = (sim.clone(), Rc::clone(truth));
    tokio::task::spawn_local(async move {
        while let Ok((stream, ..)) = listener.accept().await {
            let (sim, truth) = (sim.clone(), Rc::clone(&truth));
            tokio::task::spawn_local(async move { serve(&sim, stream, &truth).await });
        }
    });
}

async fn serve(sim: &Sim, stream: SimStream, truth: &Truth) {
    let mut reader = Reader::new(stream);
    while let Some(mut request) = reader.head().await {
        reader.body(&mut request, Kind::Request).await;
        if request.ended != Ended::Whole || !answer(sim, &mut reader, &request, truth).await {
            return;
        }
    }
}

/// How an answer comes.
struct Manners {
    /// Before anything is known of it, and before it is told.
    waits: [Duration; 2],
    fails: bool,
    /// It ends before its end.
    is_cut: bool,
    ignores_ranges: bool,
    /// It says of another version that it still holds.
    is_mistaken: bool,
    is_chunked: bool,
}

impl Manners {
    fn drawn(truth: &Truth, page: Page) -> Self {
        let step = truth.step();
        let at = |place: u64, below| draw(truth.seed, step * 13 + place, below);
        let rough = |place, below| !truth.gentle && at(place, below) == 0;
        let wait = |place| {
            let spans = [0, 0, 0, 5, 50, 300, 1_500, if rough(place + 1, 4) { 12_000 } else { 20 }];
            Duration::from_millis(spans[usize::try_from(at(place, 8)).expect("small")])
        };
        Self {
            waits: [wait(0), wait(2)],
            fails: rough(4, 10),
            is_cut: rough(5, 16),
            ignores_ranges: at(6, 8) == 0,
            is_mistaken: rough(7, 16),
            is_chunked: !page.is_sliced() && at(8, 3) == 0,
        }
    }
}

/// Answers; says whether the connection may go on.
async fn answer(
    sim: &Sim,
    reader: &mut Reader<SimStream>,
    request: &Message,
    truth: &Truth,
) -> bool {
    let mut words = request.start.split(' ');
    let (method, path) = (words.next().expect("a method"), words.next().expect("a path"));
    let page = Page::of(path);
    let manners = Manners::drawn(truth, page);
    sim.wait(manners.waits[0]).await;
    if method == "POST" {
        return change(sim, reader, request, truth, page, &manners).await;
    }
    let (face, step) = (truth.face_now(page, request), truth.step());
    let said = said(truth, &face, step, request);
    sim.wait(manners.waits[1]).await;
    if manners.fails {
        let failed = b"HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\noops";
        let bytes = if method == "HEAD" { &failed[..failed.len() - 4] } else { &failed[..] };
        return reader.stream().write_all(bytes).await.is_ok();
    }
    let known = request.field("if-none-match");
    let tag = format!("\"{face}\"");
    if known.is_some_and(|known| known == tag || manners.is_mistaken) && page.manner().has_tag {
        let mistaken = if known == Some(&tag) { "" } else { "X-Mistaken: 1\r\n" };
        let head = format!("HTTP/1.1 304 Not Modified\r\n{said}{mistaken}\r\n");
        return reader.stream().write_all(head.as_bytes()).await.is_ok();
    }
    let body = face.body();
    let range = if manners.ignores_ranges { None } else { range(request, &tag, body.len()) };
    let (status, more, part) = match range {
        None => ("200 OK", String::new(), &body[..]),
        Some(Err(())) => ("416 X", format!("Content-Range: bytes */{}\r\n", body.len()), &b""[..]),
        Some(Ok((from, to))) => (
            "206 Partial Content",
            format!("Content-Range: bytes {from}-{}/{}\r\n", to - 1, body.len()),
            &body[from..to],
        ),
    };
    let chunked = manners.is_chunked && status == "200 OK";
    let framing = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {}", part.len())
    };
    let mut out = format!("HTTP/1.1 {status}\r\n{said}{more}{framing}\r\n\r\n").into_bytes();
    if method == "HEAD" {
        return reader.stream().write_all(&out).await.is_ok();
    }
    out.extend(if chunked { chunks(part, step) } else { part.to_vec() });
    if manners.is_cut && !part.is_empty() {
        out.truncate(out.len() - 1);
    }
    let written = reader.stream().write_all(&out).await.is_ok();
    if manners.is_cut {
        let _ = reader.stream().shutdown().await;
    }
    written && !manners.is_cut
}

/// A change of a page, and sometimes of another that `Location` names.
async fn change(
    sim: &Sim,
    reader: &mut Reader<SimStream>,
    request: &Message,
    truth: &Truth,
    page: Page,
    manners: &Manners,
) -> bool {
    if manners.fails {
        let failed = b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n";
        return reader.stream().write_all(failed).await.is_ok();
    }
    let other = request.field("x-other-page").map(Page::of);
    let (step, location) = match other {
        None => (truth.change(page), String::new()),
        Some(other) => {
            let step = truth.change(page);
            truth.change(other);
            (step, format!("Location: {}\r\n", other.path()))
        }
    };
    sim.wait(manners.waits[1]).await;
    let status = if other.is_some() { "201 Created" } else { "200 OK" };
    let head =
        format!("HTTP/1.1 {status}\r\nX-Step: {step}\r\n{location}Content-Length: 0\r\n\r\n");
    reader.stream().write_all(head.as_bytes()).await.is_ok()
}

/// What every answer about a page says.
fn said(truth: &Truth, face: &Face, step: u64, request: &Message) -> String {
    let manner = face.page.manner();
    let since = truth.now().since(Instant(0));
    let mut said = format!(
        "X-Face: {face}\r\nX-Step: {step}\r\nX-At: {}\r\nX-Kind: {kind}\r\nCache-Tag: {kind}\r\n{}",
        since.as_millis(),
        manner.words,
        kind = manner.kind,
    );
    if manner.has_tag {
        said.push_str(&format!("ETag: \"{face}\"\r\n"));
    }
    match manner.kind {
        "mixed" | "part" if face.variant == "all" => said.push_str("Cache-Control: max-age=5\r\n"),
        "mixed" | "part" => said.push_str("Cache-Control: private, max-age=5\r\n"),
        "given" => {
            let client = request.field("x-client").unwrap_or("none");
            said.push_str(&format!("Set-Cookie: id={client}\r\n"));
        }
        "expires" => {
            let end = date(since + Duration::from_secs(4));
            said.push_str(&format!("Date: {}\r\nExpires: {end}\r\n", date(since)));
        }
        "coded" if face.variant == "gzip" => said.push_str("Content-Encoding: gzip\r\n"),
        "plain" | "strict" => said.push_str(&format!("Date: {}\r\n", date(since))),
        _ => {}
    }
    said
}

/// The one range that is asked for of so many bytes; an error if it is none of them.
fn range(request: &Message, tag: &str, length: usize) -> Option<Result<(usize, usize), ()>> {
    let range = request.field("range")?.strip_prefix("bytes=")?;
    if request.field("if-range").is_some_and(|known| known != tag) || range.contains(',') {
        return None;
    }
    let (from, to) = range.split_once('-')?;
    let to = to.parse().map_or(length, |last: usize| length.min(last + 1));
    let Ok(from) = from.parse::<usize>() else {
        let last = range.strip_prefix('-')?.parse::<usize>().ok()?;
        return Some(if length == 0 { Err(()) } else { Ok((length.saturating_sub(last), length)) });
    };
    Some(if from < to { Ok((from, to)) } else { Err(()) })
}
