//! Parts of what is kept (CIN-06 to CIN-09): cut out of the whole, never wrong, never more than asked for.

use doorman_testkit::origin::{Script, reply};
use doorman_testkit::sums::Pattern;

use crate::rig::{Ask, FRONTS, Front, Got, House, fresh};

const WHOLE: &[u8] = b"0123456789abcdef0123456789ABCDEF0123456789ghijkl0123456789GHIJKL";
const DATE: &str = "Mon, 01 Jan 2024 00:00:00 GMT";

fn house() -> House {
    let house = House::fronted("", |_, seen| match seen.method() {
        "POST" => reply("200 OK", "", seen.field("range").unwrap_or("none").as_bytes()),
        _ => fresh(
            &format!("ETag: \"v1\"\r\nLast-Modified: {DATE}\r\nContent-Type: text/own\r\n"),
            WHOLE,
        ),
    });
    for front in [Front::Plain, Front::H1] {
        house.ask(front, &Ask::get("/a"));
    }
    house
}

/// `(first, last, length)` of a `Content-Range`.
fn place(told: &str) -> (usize, usize, usize) {
    let (range, length) =
        told.strip_prefix("bytes ").and_then(|told| told.split_once('/')).expect(told);
    let (first, last) = range.split_once('-').expect(told);
    let number = |text: &str| text.parse().expect("a number");
    (number(first), number(last), number(length))
}

/// Whether everything that an answer says of its content is so.
#[track_caller]
fn honest(got: &Got) {
    assert!(got.whole, "{got:?}");
    match got.status {
        200 => assert_eq!(got.body, WHOLE),
        206 => {
            for (told, bytes) in parts(got) {
                let (first, last, length) = place(&told);
                assert_eq!(length, WHOLE.len());
                assert!(first <= last && last < length, "{told}");
                assert_eq!(bytes, &WHOLE[first..=last], "{told}");
            }
        }
        416 => assert_eq!(got.field("content-range"), Some("bytes */64"), "{got:?}"),
        status => panic!("{status}: {got:?}"),
    }
}

/// The parts of a 206, each with its place.
#[track_caller]
fn parts(got: &Got) -> Vec<(String, Vec<u8>)> {
    if let Some(told) = got.field("content-range") {
        return vec![(told.to_owned(), got.body.clone())];
    }
    let kind = got.field("content-type").unwrap_or_default();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=");
    let boundary = boundary.unwrap_or_else(|| panic!("{got:?}")).trim_matches('"');
    // Each byte as a character of its own: parts need not be UTF-8.
    let text: String = got.body.iter().map(|byte| char::from(*byte)).collect();
    let (inner, rest) = text.split_once(&format!("--{boundary}--")).expect("the last boundary");
    assert!(matches!(rest, "" | "\r\n"), "{rest:?}");
    let between = format!("--{boundary}\r\n");
    let mut parts = inner.split(&between);
    assert!(matches!(parts.next(), Some("" | "\r\n")), "{boundary}");
    parts
        .map(|part| {
            let (head, body) = part.split_once("\r\n\r\n").expect("a head");
            let field = |name: &str| {
                let lines = head.lines().filter_map(|line| line.split_once(": "));
                let mut same = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
                same.next().map(|(_, value)| value.to_owned())
            };
            assert_eq!(field("content-type").as_deref(), Some("text/own"), "{head}");
            let body = body.strip_suffix("\r\n").expect("a line's end");
            let byte = |c: char| u8::try_from(u32::from(c)).expect("it was one");
            let body = body.chars().map(byte).collect();
            (field("content-range").expect("a place"), body)
        })
        .collect()
}

fn places(got: &Got) -> Vec<(usize, usize)> {
    let place = |(told, _): &(String, Vec<u8>)| place(told);
    parts(got).iter().map(place).map(|(first, last, _)| (first, last)).collect()
}

#[test]
fn parts_are_cut_out_of_the_whole() {
    let house = house();
    let rows: &[(&str, &[(usize, usize)])] = &[
        ("bytes=0-0", &[(0, 0)]),
        ("bytes=0-9", &[(0, 9)]),
        ("bytes=10-", &[(10, 63)]),
        ("bytes=63-63", &[(63, 63)]),
        ("bytes=63-99", &[(63, 63)]),
        ("bytes=0-18446744073709551615", &[(0, 63)]),
        ("bytes=-1", &[(63, 63)]),
        ("bytes=-10", &[(54, 63)]),
        ("bytes=-64", &[(0, 63)]),
        ("bytes=-99", &[(0, 63)]),
        ("BYTES=0-1", &[(0, 1)]),
        ("bytes= 4-5", &[(4, 5)]),
        ("bytes=0-1,99-", &[(0, 1)]),
    ];
    for front in FRONTS {
        for (range, expected) in rows {
            let got = house.ask(front, &Ask::get("/a").with("range", range));
            assert_eq!(got.status, 206, "{front:?} {range}: {got:?}");
            honest(&got);
            assert_eq!(places(&got), *expected, "{front:?} {range}");
            assert_eq!(got.field("etag"), Some("\"v1\""));
            assert!(got.age().is_some());
            let length = got.field("content-length").and_then(|length| length.parse().ok());
            assert_eq!(length, Some(got.body.len()), "{front:?} {range}");
        }
    }
    assert_eq!(house.asked("/a"), 2);
}

/// Ranges that lie near each other may come as one (RFC 9110 section 15.3.7.2); these do not.
#[test]
fn several_parts_come_in_one_answer() {
    let whole = Pattern { seed: 3 }.bytes(100_000);
    let body = whole.clone();
    let house =
        House::fronted("", move |_, _| fresh("ETag: \"v1\"\r\nContent-Type: text/own\r\n", &body));
    let rows: &[(&str, &[(usize, usize)])] = &[
        ("bytes=0-1,60000-60099", &[(0, 1), (60_000, 60_099)]),
        ("bytes=0-9, 50000-50009 ,-5", &[(0, 9), (50_000, 50_009), (99_995, 99_999)]),
        ("bytes=0-9,70000-80000,200000-", &[(0, 9), (70_000, 80_000)]),
    ];
    for front in FRONTS {
        let target = format!("/{front:?}");
        for (range, expected) in rows {
            let got = house.ask(front, &Ask::get(&target).with("range", range));
            assert_eq!((got.status, got.whole), (206, true), "{front:?} {range}: {}", got.said());
            let parts = parts(&got);
            let places: Vec<_> = parts.iter().map(|(told, _)| place(told)).collect();
            for ((first, last, length), (_, bytes)) in places.iter().zip(&parts) {
                assert_eq!(*length, 100_000, "{front:?} {range}");
                assert!(bytes == &whole[*first..=*last], "{front:?} {range}");
            }
            let places: Vec<_> = places.iter().map(|(first, last, _)| (*first, *last)).collect();
            assert_eq!(places, *expected, "{front:?} {range}");
            let length = got.field("content-length").and_then(|length| length.parse().ok());
            assert_eq!(length, Some(got.body.len()), "{front:?} {range}");
        }
        assert_eq!(house.asked(&target), 1, "{front:?}");
    }
}

#[test]
fn cin_06_no_number_is_too_large() {
    let house = house();
    let rows: &[(&str, &[u16])] = &[
        ("bytes=64-", &[416]),
        ("bytes=64-70", &[416]),
        ("bytes=-0", &[416]),
        ("bytes=9223372036854775807-", &[416]),
        ("bytes=9223372036854775808-", &[416]),
        ("bytes=18446744073709551615-18446744073709551615", &[416]),
        ("bytes=18446744073709551616-", &[416, 200]),
        ("bytes=99999999999999999999999999-", &[416, 200]),
        ("bytes=0-18446744073709551616", &[206, 200]),
        ("bytes=-18446744073709551616", &[206, 200]),
        ("bytes=-9223372036854775808", &[206]),
        ("bytes=-99999999999999999999999999", &[206, 200]),
        ("bytes=5-3", &[200]),
        ("bytes=--5", &[200]),
        ("bytes=-5-", &[200]),
        ("bytes=0x1-2", &[200]),
        ("bytes=+1-2", &[200]),
        ("bytes=1-2,-", &[200]),
        ("bytes=64-,65-", &[416]),
    ];
    for front in FRONTS {
        for (range, statuses) in rows {
            let got = house.ask(front, &Ask::get("/a").with("range", range));
            honest(&got);
            assert!(statuses.contains(&got.status), "{front:?} {range}: {}", got.status);
        }
    }
    assert_eq!(house.asked("/a"), 2);
}

#[test]
fn cin_07_many_or_overlapping_ranges_cost_no_more_than_the_whole() {
    let house = house();
    let overlapping = format!("bytes={}", vec!["0-"; 1_000].join(","));
    let scattered: Vec<String> = (0..1_000).map(|n| format!("{0}-{0}", n % 64)).collect();
    let scattered = format!("bytes={}", scattered.join(","));
    let suffixes = format!("bytes={}", vec!["-64"; 1_000].join(","));
    for front in FRONTS {
        for range in [&overlapping, &scattered, &suffixes] {
            let got = house.ask(front, &Ask::get("/a").with("range", range));
            honest(&got);
            assert!(got.body.len() <= 16 * 200, "{} bytes", got.body.len());
        }
        let got = house.ask(front, &Ask::get("/a").with("range", "bytes=0-9,5-20,15-40"));
        honest(&got);
        assert!(got.body.len() <= WHOLE.len() + 300, "{} bytes", got.body.len());
    }
}

#[test]
fn cin_08_what_is_no_range_of_bytes_is_ignored() {
    let house = house();
    for front in FRONTS {
        for range in
            ["bytes=", "bytes", "", "items=0-5", "=0-5", "0-5", "bytes:0-5", "bytes=a-b", "bytes=,"]
        {
            let got = house.ask(front, &Ask::get("/a").with("range", range));
            honest(&got);
            assert!(matches!(got.status, 200 | 416), "{front:?} {range:?}: {}", got.status);
        }
        let head = house.ask(front, &Ask::new("HEAD", "/a").with("range", "bytes=0-5"));
        assert_eq!((head.status, head.field("content-length")), (200, Some("64")), "{front:?}");
        // A range of something that is done is that application's business.
        let post = house.ask(front, &Ask::new("POST", "/b").body("x").with("range", "bytes=0-5"));
        assert_eq!(post.status, 200, "{front:?}: {post:?}");
    }
    assert_eq!(house.asked("/a"), 2);
}

#[test]
fn cin_09_a_part_of_another_version_is_not_given() {
    let house = house();
    let rows = [
        ("\"v1\"", 206),
        ("\"v0\"", 200),
        ("W/\"v1\"", 200),
        (DATE, 206),
        ("Sun, 31 Dec 2023 00:00:00 GMT", 200),
        ("Tue, 02 Jan 2024 00:00:00 GMT", 200),
        ("whenever", 200),
        ("", 200),
        ("\"v1\", \"v0\"", 200),
        ("*", 200),
    ];
    for front in FRONTS {
        for (version, status) in rows {
            let ask = Ask::get("/a").with("range", "bytes=4-7").with("if-range", version);
            let got = house.ask(front, &ask);
            honest(&got);
            assert_eq!(got.status, status, "{front:?} {version:?}");
        }
        // Without a range it says nothing.
        house
            .ask(front, &Ask::get("/a").with("if-range", "\"v0\""))
            .is(&String::from_utf8_lossy(WHOLE));
    }
    assert_eq!(house.asked("/a"), 2);
    // A weak entity tag vouches for no byte.
    let house = House::caching("", |_, _| fresh("ETag: W/\"v1\"\r\n", WHOLE));
    house.get("/a");
    for version in ["W/\"v1\"", "\"v1\""] {
        let got = house.get_with("/a", &[("range", "bytes=4-7"), ("if-range", version)]);
        assert_eq!((got.status, got.body.len()), (200, 64), "{version}");
    }
}

#[test]
fn conditions_come_before_ranges() {
    let house = house();
    for front in FRONTS {
        let ask = |name: &str, value: &str| {
            house.ask(front, &Ask::get("/a").with("range", "bytes=4-7").with(name, value)).status
        };
        assert_eq!(ask("if-none-match", "\"v1\""), 304, "{front:?}");
        assert_eq!(ask("if-none-match", "\"v0\""), 206, "{front:?}");
        assert_eq!(ask("if-modified-since", DATE), 304, "{front:?}");
    }
    assert_eq!(house.asked("/a"), 2);
}

#[test]
fn a_part_may_be_the_first_that_is_asked_for() {
    let house = House::fronted("", |_, seen| {
        assert_eq!(seen.field("range"), None, "the whole is fetched");
        fresh("ETag: \"v1\"\r\n", WHOLE)
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        for range in ["bytes=4-7", "bytes=60-", "bytes=-4"] {
            let got = house.ask(front, &Ask::get(&target).with("range", range));
            honest(&got);
        }
        house.ask(front, &Ask::get(&target)).is(&String::from_utf8_lossy(WHOLE));
        let got = house.ask(front, &Ask::get(&target).with("range", "bytes=4-7"));
        assert_eq!((got.status, got.text().as_str()), (206, "4567"), "{front:?}");
        assert_eq!(house.asked(&target), 1, "{front:?}");
    }
}

#[test]
fn a_part_is_given_while_the_rest_is_coming() {
    let house = House::caching("", |_, _| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"v1\"\r\nContent-Length: 64\r\n\r\n";
        Script::new().send(head).send(&WHOLE[..32]).hold().send(&WHOLE[32..])
    });
    let mut first = house.begin(&Ask::get("/a"));
    let _ = first.wait("\r\n\r\n");
    first.raw.take_exactly(32).expect("the beginning");
    let early = house.begin(&Ask::get("/a").with("range", "bytes=4-7"));
    let late = house.begin(&Ask::get("/a").with("range", "bytes=40-43"));
    house.origin().release();
    for begun in [early, late] {
        let got = begun.got();
        honest(&got);
    }
    assert_eq!(first.raw.take_exactly(32).expect("the rest"), &WHOLE[32..]);
    assert_eq!(house.asked("/a"), 1);
    let got = house.get_with("/a", &[("range", "bytes=40-43")]);
    assert_eq!((got.status, got.body.as_slice()), (206, &WHOLE[40..=43]));
}

#[test]
fn a_part_of_what_is_not_kept_is_the_origins_to_give() {
    let house = House::fronted("", |_, seen| {
        let fields = "Cache-Control: private\r\nETag: \"v1\"\r\n";
        match seen.field("range") {
            Some("bytes=4-7") => {
                let fields = format!("{fields}Content-Range: bytes 4-7/64\r\n");
                reply("206 Partial Content", &fields, &WHOLE[4..8])
            }
            Some(_) => reply("416 No", "Content-Range: bytes */64\r\n", b""),
            None => reply("200 OK", fields, WHOLE),
        }
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        for n in 1..=3 {
            let got = house.ask(front, &Ask::get(&target).with("range", "bytes=4-7"));
            assert_eq!((got.status, got.text().as_str()), (206, "4567"), "{front:?}");
            assert_eq!(got.field("content-range"), Some("bytes 4-7/64"));
            assert!(house.asked(&target) <= n + 1, "{front:?}");
        }
        let got = house.ask(front, &Ask::get(&target).with("range", "bytes=90-"));
        assert_eq!(got.status, 416, "{front:?}");
        honest(&house.ask(front, &Ask::get(&target)));
    }
}
