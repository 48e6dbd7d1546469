//! The cache means the same whichever wires its client and its origin speak: the origin's count says
//! whether an answer came from the store.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use doorman_testkit::sums::Pattern;

use crate::rig::client::once;
use crate::rig::origin::reply;
use crate::rig::{Ask, House, Origin, Pair, Talk, all_pairs};

all_pairs!(pages_are_kept_checked_and_cut_into_parts, what_is_cut_is_not_kept);

const LENGTH: usize = 300_000;

fn house(pair: Pair, origin: &Origin) -> House {
    let text = format!(
        "store main {{ memory 16MiB }}\n{} @SITE {{ cache main; proxy o }}",
        origin.upstream("o")
    );
    House::with(pair, "", &text)
}

/// How often the origin was asked for that path.
fn asked(origin: &Origin, path: &str) -> usize {
    origin.seen().iter().filter(|seen| seen.target() == path).count()
}

fn pages_are_kept_checked_and_cut_into_parts(pair: Pair) {
    let body = Pattern { seed: 1 }.bytes(LENGTH);
    let kept = body.clone();
    let origin = Origin::serving(pair.back, move |seen| match seen.target() {
        "/whole" => reply("200 OK", "Cache-Control: max-age=60\r\nETag: \"a\"\r\n", &kept),
        "/chunks" => {
            let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunk = format!("{:x}\r\n", kept.len());
            [head.as_bytes(), chunk.as_bytes(), &kept, b"\r\n0\r\n\r\n"].concat()
        }
        "/checked" if seen.field("if-none-match") == Some("\"a\"") => {
            b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\n\r\n"
                .to_vec()
        }
        "/checked" => {
            reply("200 OK", "Cache-Control: max-age=60\r\nAge: 60\r\nETag: \"a\"\r\n", &kept)
        }
        _ => reply("200 OK", "Cache-Control: private\r\n", b"own"),
    });
    let house = house(pair, &origin);
    let ask = |ask: &Ask| once(&house, ask).expect("an answer");
    for (path, times) in [("/whole", 1), ("/chunks", 1), ("/checked", 2)] {
        for n in 0..3 {
            let got = ask(&Ask::get(path));
            assert_eq!((got.status, got.content.length()), (200, LENGTH as u64), "{path}");
            assert!(got.body() == body, "{path} {n}");
            assert!(n == 0 || got.field("age").is_some(), "{path} {n}");
        }
        // A page that is checked while its first copy is still on its way is checked once more.
        let most = times + usize::from(path == "/checked");
        let times = asked(&origin, path).clamp(times, most);
        assert_eq!(asked(&origin, path), times, "{path}");
        let head = ask(&Ask::new("HEAD", path));
        assert_eq!((head.status, head.content.length()), (200, 0), "{path}");
        let part = ask(&Ask::get(path).field("range", "bytes=200000-200009"));
        assert_eq!((part.status, part.body()), (206, &body[200_000..200_010]), "{path}");
        assert_eq!(part.field("content-range"), Some("bytes 200000-200009/300000"), "{path}");
        assert_eq!(asked(&origin, path), times, "{path}");
    }
    let same = ask(&Ask::get("/whole").field("if-none-match", "\"a\""));
    assert_eq!((same.status, same.content.length()), (304, 0));
    for n in 1..=3 {
        assert_eq!((ask(&Ask::get("/own")).text().as_str(), asked(&origin, "/own")), ("own", n));
    }
}

/// CIN-01: the first answer stops in its middle.
fn what_is_cut_is_not_kept(pair: Pair) {
    let first = AtomicBool::new(true);
    let script = move |talk: &mut Talk| -> io::Result<()> {
        while talk.request()?.is_some() {
            let mut answer = reply("200 OK", "Cache-Control: max-age=60\r\n", &[b'x'; 1_000]);
            if !first.swap(false, Ordering::Relaxed) {
                talk.send(answer)?;
                continue;
            }
            answer.truncate(answer.len() - 500);
            return talk.send(answer);
        }
        Ok(())
    };
    let origin = Origin::start(pair.back, script);
    let house = house(pair, &origin);
    assert!(once(&house, &Ask::get("/a")).is_err(), "what is cut says so");
    for _ in 0..3 {
        let got = once(&house, &Ask::get("/a")).expect("an answer");
        assert_eq!((got.status, got.text()), (200, "x".repeat(1_000)));
    }
    assert_eq!(asked(&origin, "/a"), 2);
}
