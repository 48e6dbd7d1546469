//! Bodies and what goes with them arrive whole, over every pair, on connections that are used again.

use std::fmt::Write as _;

use doorman_testkit::sums::{Dice, Pattern};

use crate::rig::origin::reply;
use crate::rig::{Ask, Back, Client, House, Origin, Pair, Seen, all_pairs, pairs};

pairs!(bodies_have_their_checksums, trailers_pass, connections_are_used_again);
all_pairs!(methods_pass);

/// Exchanges of one run, for each pair.
const EXCHANGES: u64 = 220;

/// A length: mostly small, now and then up to 8 MiB.
fn length(dice: &mut Dice) -> usize {
    match dice.below(24) {
        0 => dice.length(8 << 20),
        1..8 => dice.length(128 * 1024),
        8..11 => 0,
        _ => dice.length(4096),
    }
}

/// `bytes` in pieces of chance lengths.
fn pieces(dice: &mut Dice, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut left = bytes;
    let mut pieces = Vec::new();
    while !left.is_empty() {
        let n = dice.length(left.len()).max(left.len() / 64);
        let (piece, rest) = left.split_at(n);
        pieces.push(piece.to_vec());
        left = rest;
    }
    pieces
}

/// Answers with the checksum of what came, and the body that was asked for.
fn mirror(seen: &Seen) -> Vec<u8> {
    let wanted = seen.field("x-want").and_then(|n| n.parse().ok()).unwrap_or(0);
    let seed = seen.field("x-seed").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut dice = Dice::new(seed);
    let body = Pattern { seed }.bytes(wanted);
    let (sum, length) = (seen.content.sum.value(), seen.content.length());
    let mut head = format!("HTTP/1.1 200 OK\r\nX-Sum: {sum}\r\nX-Length: {length}\r\n");
    if dice.one_in(2) {
        let _ = write!(head, "Content-Length: {wanted}\r\n\r\n");
        let body = if seen.method() == "HEAD" { &[][..] } else { &body };
        return [head.as_bytes(), body].concat();
    }
    head += "Transfer-Encoding: chunked\r\n\r\n";
    let mut out = head.into_bytes();
    if seen.method() == "HEAD" {
        return out;
    }
    for piece in pieces(&mut dice, &body) {
        out.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(&piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// UPB-20.
fn bodies_have_their_checksums(pair: Pair) {
    let origin = Origin::serving(pair.back, mirror);
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    let mut dice = Dice::new(0x0DD5);
    let mut counts = Vec::new();
    for seed in 0..EXCHANGES {
        let method = ["GET", "POST", "PUT", "HEAD"][usize::try_from(dice.below(4)).unwrap()];
        let sent = if matches!(method, "POST" | "PUT") { length(&mut dice) } else { 0 };
        let body = Pattern { seed: seed ^ 0xFFFF }.bytes(sent);
        let wanted = length(&mut dice);
        let mut ask = Ask::new(method, &format!("/{seed}"))
            .field("x-want", &wanted.to_string())
            .field("x-seed", &seed.to_string());
        if matches!(method, "POST" | "PUT") {
            ask = if dice.one_in(2) {
                let pieces = pieces(&mut dice, &body);
                ask.chunked(pieces)
            } else {
                Ask {
                    pieces: vec![body.clone()],
                    framing: crate::rig::client::Sending::Counted,
                    ..ask
                }
            };
        }
        let reply = client.ask(&ask);
        assert_eq!(reply.status, 200, "{method} {seed}");
        let expected = if method == "HEAD" { 0 } else { wanted };
        let expected = Pattern { seed }.bytes(expected);
        assert_eq!(reply.content.length(), expected.len() as u64, "{method} {seed}");
        assert_eq!(
            reply.content.sum.value(),
            crate::rig::client::sum(&expected),
            "{method} {seed}"
        );
        let number = |name| reply.field(name).and_then(|n| n.parse::<u64>().ok());
        assert_eq!(number("x-length"), Some(sent as u64), "{method} {seed}");
        assert_eq!(number("x-sum"), Some(crate::rig::client::sum(&body)), "{method} {seed}");
        counts.push([format!("\"/{seed}\""), format!("\"bytes_in\":{sent},")]);
    }
    assert_eq!(origin.seen().len() as u64, EXCHANGES, "each request came once");
    // With and without a declared length, what came is counted.
    for [path, count] in &counts {
        house.logged(&[path, count]);
    }
}

/// UPB-21.
fn trailers_pass(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| {
        let mut trailers = seen.content.trailers.iter();
        let came =
            trailers.any(|(name, value)| name.eq_ignore_ascii_case("x-check") && value == "up");
        let mut out =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Down\r\n\r\n".to_owned();
        let _ = write!(out, "4\r\nbody\r\n0\r\nX-Down: {came}\r\n\r\n");
        out.into_bytes()
    });
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    for _ in 0..3 {
        let ask = Ask::new("POST", "/").field("te", "trailers").chunked(vec![b"abc".to_vec()]);
        let reply = client.ask(&ask.trailer("x-check", "up"));
        assert_eq!(reply.text(), "body");
        let down =
            reply.content.trailers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-down"));
        assert_eq!(down.map(|(_, value)| value.as_str()), Some("true"));
    }
}

fn connections_are_used_again(pair: Pair) {
    let origin = Origin::serving(pair.back, |_| reply("200 OK", "", b"hello"));
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    for n in 0..50 {
        let reply = client.ask(&Ask::post(&format!("/{n}"), vec![b'x'; n]));
        assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    }
    assert_eq!(origin.book().received.len(), 1, "connections to the origin");
}

fn methods_pass(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| {
        let body = if seen.method() == "HEAD" { &b""[..] } else { b"12345" };
        let status = if seen.method() == "DELETE" { "204 No Content" } else { "200 OK" };
        if seen.method() == "DELETE" {
            return format!("HTTP/1.1 {status}\r\nX-Method: DELETE\r\n\r\n").into_bytes();
        }
        let head = format!(
            "HTTP/1.1 {status}\r\nX-Method: {}\r\nContent-Length: 5\r\n\r\n",
            seen.method()
        );
        [head.as_bytes(), body].concat()
    });
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "PURGE"] {
        let reply = client.ask(&Ask::new(method, "/x?y=1"));
        assert_eq!(reply.field("x-method"), Some(method));
        let empty = matches!(method, "HEAD" | "DELETE");
        assert_eq!(reply.content.length(), if empty { 0 } else { 5 }, "{method}");
    }
    // One of FastCGI goes back when its end is read, which may be after the client has the answer.
    if pair.back != Back::Cgi {
        assert_eq!(origin.book().received.len(), 1, "connections to the origin");
    }
}
