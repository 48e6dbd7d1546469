//! Bodies of every length, sent in every way, over every front: what comes out of the coding is what
//! the origin has put in.

use doorman_testkit::origin::{Script, Seen};
use doorman_testkit::sums::{Dice, Pattern};

use crate::decode::CODINGS;
use crate::rig::{FRONTS, Front, House, LAST, chunk, chunks, page, text};

/// The largest body of these stories.
const LENGTH_MAX: usize = 3 << 20;

/// What `/WHAT/HOW/SEED/LENGTH` is.
fn content(target: &str) -> Vec<u8> {
    let mut words = target.split('/').skip(1);
    let (what, _how) = (words.next().unwrap_or_default(), words.next());
    let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
    let (seed, length) = (number(), usize::try_from(number()).expect("a length"));
    if what == "text" { text(seed, length) } else { Pattern { seed }.bytes(length) }
}

/// The content in one piece with its length, or in many pieces, in chunks or until the end.
fn by_target(seen: &Seen) -> Script {
    let target = seen.target();
    let content = content(target);
    let mut dice = Dice::new(content.len() as u64);
    let how = target.split('/').nth(2).expect("a way");
    let mut script = match how {
        "counted" if seen.method() != "HEAD" => return page("ETag: \"a\"\r\n", content),
        "counted" | "pieces" => Script::new().send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"a\"\r\nContent-Length: {}\r\n\r\n",
            content.len()
        )),
        "chunked" => chunks("ETag: \"a\"\r\n"),
        "close" => Script::new().send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"a\"\r\n\r\n"),
        _ => panic!("no way: {how}"),
    };
    if seen.method() == "HEAD" {
        return if how == "close" { script.close() } else { script };
    }
    let mut rest = &content[..];
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(dice.length(rest.len().min(200_000)));
        script = script.send(if how == "chunked" { chunk(piece) } else { piece.to_vec() });
        rest = more;
    }
    match how {
        "chunked" => script.send(LAST),
        "close" => script.close(),
        _ => script,
    }
}

#[test]
fn what_the_origin_sent_is_what_is_read() {
    let house = House::with("compress", by_target);
    let mut dice = Dice::new(7);
    let fixed = [0, 1, 511, 512, 513, 65_535, 65_536, LENGTH_MAX];
    let lengths = fixed.into_iter().chain((0..40).map(|_| dice.length(LENGTH_MAX)));
    for (n, length) in lengths.collect::<Vec<_>>().into_iter().enumerate() {
        let (front, coding) = (FRONTS[n % 4], CODINGS[(n / 4) % 3]);
        let how = ["counted", "pieces", "chunked", "close"]
            [usize::try_from(dice.below(4)).expect("below four")];
        let what = if dice.one_in(5) { "noise" } else { "text" };
        let target = format!("/{what}/{how}/{n}/{length}");
        let got = house.ask(front, "GET", &target, &[("accept-encoding", coding)]);
        let told = format!("{front:?} {coding} {target}: {:?}", got.fields);
        assert_eq!(got.status, 200, "{told}");
        assert!(got.content() == content(&target), "{told}");
        // Where the length was not told, a short body may be known to be short before its head goes.
        let is_coded = got.coding() == coding;
        if length >= 512 {
            assert!(is_coded, "{told}");
            let told_length = got.field("content-length").map(str::to_owned);
            assert!(told_length.is_none_or(|n| n == got.body.len().to_string()), "{told}");
            assert!(
                what == "noise" || length < 20_000 || got.body.len() < length * 3 / 4,
                "{told}"
            );
        } else if how == "counted" || how == "pieces" {
            assert!(!is_coded, "{told}");
        }
    }
}

#[test]
fn a_head_is_that_of_the_answer_without_its_body() {
    let house = House::with("compress", by_target);
    for front in FRONTS {
        for coding in CODINGS.into_iter().chain(["identity"]) {
            for target in ["/text/counted/1/9000", "/text/chunked/1/9000", "/text/counted/1/100"] {
                let ask = |method: &str| {
                    let got = house.ask(front, method, target, &[("accept-encoding", coding)]);
                    assert_eq!(got.status, 200);
                    let told = |name: &str| got.all(name).to_lowercase();
                    let names =
                        ["content-encoding", "etag", "vary", "content-type", "accept-ranges"];
                    (names.map(told), got.field("content-length").map(str::to_owned), got.body)
                };
                let (get, head) = (ask("GET"), ask("HEAD"));
                assert_eq!(get.0, head.0, "{front:?} {coding} {target}");
                // A length may be left out of a HEAD (RFC 9110 section 9.3.2), and is never another one.
                let fits = head.1.is_none() || head.1 == get.1;
                assert!(fits && head.2.is_empty(), "{front:?} {coding} {target}: {head:?}");
            }
        }
    }
}

#[test]
fn trailers_come_behind_a_coded_body() {
    let content = text(3, 20_000);
    let sent = content.clone();
    let house = House::with("compress", move |_| {
        chunks("Trailer: sum\r\n").send(chunk(&sent)).send("0\r\nSum: 5\r\n\r\n")
    });
    for front in [Front::H2, Front::H3, Front::H1] {
        for coding in CODINGS {
            let asked = [("accept-encoding", coding), ("te", "trailers")];
            let got = house.ask(front, "GET", "/", &asked);
            got.is(coding, &content);
            let sum = got.trailers.iter().find(|(name, _)| name == "sum");
            assert_eq!(sum.map(|(_, value)| value.as_str()), Some("5"), "{front:?} {coding}");
        }
    }
}

#[test]
fn clients_that_others_wrote_read_every_coding() {
    let house = House::with("compress", by_target);
    let target = "/text/chunked/5/700000";
    for coding in CODINGS {
        for version in ["--http1.1", "--http2"] {
            let url = format!("https://localhost:{}{target}", house.secure.port());
            let field = format!("Accept-Encoding: {coding}");
            let folder = doorman_testkit::process::folder();
            let file = folder.path().join("body");
            let output = std::process::Command::new("curl")
                .args([version, "-skS", "--compressed", "-H", &field, &url, "-D", "-", "-o"])
                .arg(&file)
                .output()
                .expect("curl is installed");
            let head = String::from_utf8_lossy(&output.stdout).to_lowercase();
            assert!(output.status.success(), "{output:?}");
            assert!(head.contains(&format!("content-encoding: {coding}")), "{head}");
            let body = std::fs::read(&file).expect("curl has written it");
            assert!(body == content(target), "{coding} {version}: {} bytes", body.len());
        }
    }
}
