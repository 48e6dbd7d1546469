use proptest::prelude::*;

use super::*;

mod combine;

const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Mon, 07 Nov 1994 00:00:00 GMT";

fn stored(fields: &[(&str, &str)]) -> ResponseHead {
    let mut head = ResponseHead::new(200);
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head
}

fn request(fields: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::default();
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head
}

fn ranges(text: &str, length: u64) -> Ranges {
    of(&request(&[("Range", text)]), &stored(&[]), length)
}

fn several(ranges: &[Range<u64>]) -> Ranges {
    Ranges::Several(ranges.to_vec())
}

use Ranges::{One, Unsatisfiable, Whole};

#[test]
fn cin_06_numbers_do_not_run_over() {
    for (text, length, expect) in [
        ("bytes=0-9", 100, One(0..10)),
        ("bytes=0-0", 100, One(0..1)),
        ("bytes=99-", 100, One(99..100)),
        ("bytes=0-", 100, One(0..100)),
        ("bytes=0-99", 100, One(0..100)),
        ("bytes=90-200", 100, One(90..100)),
        ("bytes=-1", 100, One(99..100)),
        ("bytes=-100", 100, One(0..100)),
        ("bytes=-101", 100, One(0..100)),
        ("bytes=-9223372036854775808", 100, One(0..100)),
        ("bytes=-18446744073709551615", 100, One(0..100)),
        ("bytes=-18446744073709551616", 100, One(0..100)),
        ("bytes=-99999999999999999999999999", 100, One(0..100)),
        ("bytes=5-9223372036854775807", 100, One(5..100)),
        ("bytes=5-18446744073709551615", 100, One(5..100)),
        ("bytes=5-18446744073709551616", 100, One(5..100)),
        ("bytes=100-", 100, Unsatisfiable),
        ("bytes=100-200", 100, Unsatisfiable),
        ("bytes=9223372036854775808-", 100, Unsatisfiable),
        ("bytes=18446744073709551615-18446744073709551615", 100, Unsatisfiable),
        ("bytes=18446744073709551616-", 100, Unsatisfiable),
        ("bytes=36893488147419103232-36893488147419103233", 100, Unsatisfiable),
        ("bytes=-0", 100, Unsatisfiable),
        ("bytes=0-0", 0, Unsatisfiable),
        ("bytes=0-", 0, Unsatisfiable),
        ("bytes=-0", 0, Unsatisfiable),
        // The last bytes of nothing are nothing, and nothing is all there is.
        ("bytes=-5", 0, Whole),
        ("bytes=0-", u64::MAX, One(0..u64::MAX)),
        ("bytes=-1", u64::MAX, One(u64::MAX - 1..u64::MAX)),
        ("bytes=18446744073709551615-", u64::MAX, Unsatisfiable),
        // nginx CVE-2017-7529: two suffixes whose sum runs over.
        ("bytes=-623,-9223372036854775185", 612, One(0..612)),
    ] {
        assert_eq!(ranges(text, length), expect, "{text} of {length}");
    }
}

#[test]
fn cin_07_many_and_overlapping_ranges() {
    for (text, expect) in [
        ("bytes=0-9,500-509", several(&[0..10, 500..510])),
        ("bytes=500-509, 0-9", several(&[500..510, 0..10])),
        ("bytes=0-9 ,\t500-509,", several(&[0..10, 500..510])),
        ("bytes=0-9,2000-", One(0..10)),
        ("bytes=2000-,3000-", Unsatisfiable),
        ("bytes=0-9,5-14", One(0..15)),
        ("bytes=0-9,0-9,0-9", One(0..10)),
        ("bytes=0-9,10-19", One(0..20)),
        ("bytes=0-9,90-99", One(0..100)),
        ("bytes=0-9,91-99", several(&[0..10, 91..100])),
        // The third fills what lies between the others.
        ("bytes=0-9,200-209,5-204", One(0..210)),
        ("bytes=900-909,0-9,200-209,5-204", several(&[900..910, 0..210])),
        ("bytes=900-909,200-209,400-409,0-9,5-204", several(&[900..910, 0..210, 400..410])),
        ("bytes=0-,-1", One(0..1_000)),
    ] {
        assert_eq!(ranges(text, 1_000), expect, "{text}");
    }
    let many = |n: u64, step: u64| {
        let all: Vec<_> = (0..n).map(|n| format!("{}-{}", n * step, n * step + 9)).collect();
        ranges(&format!("bytes={}", all.join(",")), 10_000_000)
    };
    assert!(matches!(many(16, 1_000), Ranges::Several(ranges) if ranges.len() == RANGES_MAX));
    assert_eq!(many(17, 1_000), Whole);
    assert_eq!(many(1_000, 1_000), Whole);
    assert_eq!(many(1_000, 5), Whole);
    assert_eq!(many(16, 5), One(0..85));
}

#[test]
fn cin_08_what_is_no_range_of_bytes_is_ignored() {
    for text in [
        "bytes=",
        "bytes=,",
        "bytes",
        "",
        "0-9",
        "bytes=-",
        "bytes=a-b",
        "bytes=0",
        "bytes=9-0",
        "bytes=0-9-",
        "bytes=--5",
        "bytes=+1-5",
        "bytes=1 -5",
        "bytes=0x0-9",
        "bytes =0-9",
        "bytes: 0-9",
        "items=0-9",
        "bytes=0-9,x",
        "bytes=2000-,9-0",
        "bytes=0-9;500-509",
        "seconds=0-9",
        "bytes=\u{663}-9",
    ] {
        assert_eq!(ranges(text, 100), Whole, "{text}");
    }
    assert_eq!(ranges("Bytes=0-9", 100), One(0..10));
    assert_eq!(ranges("bytes= 0-9", 100), One(0..10));
    let twice = request(&[("Range", "bytes=0-9"), ("Range", "bytes=0-9")]);
    assert_eq!(of(&twice, &stored(&[]), 100), Whole);
    assert_eq!(of(&request(&[]), &stored(&[]), 100), Whole);
    assert!(is_asked(&twice) && !is_asked(&request(&[])));

    let mut asked = request(&[("Range", "bytes=0-9")]);
    for method in [Method::Head, Method::Post, Method::Options] {
        asked.method = method;
        assert_eq!(of(&asked, &stored(&[]), 100), Whole);
    }
    asked.method = Method::Get;
    for status in [203, 206, 301, 404, 500] {
        assert_eq!(of(&asked, &ResponseHead::new(status), 100), Whole, "{status}");
    }
}

#[test]
fn cin_09_a_condition_on_ranges_holds_for_strong_validators_only() {
    let strong = stored(&[("ETag", "\"a\""), ("Last-Modified", THEN), ("Date", LATER)]);
    let weak = stored(&[("ETag", "W/\"a\""), ("Last-Modified", THEN), ("Date", LATER)]);
    let fresh = stored(&[("Last-Modified", THEN), ("Date", THEN)]);
    let undated = stored(&[("Last-Modified", THEN)]);
    for (stored, conditions, expect) in [
        (&strong, &["\"a\""][..], true),
        (&strong, &["W/\"a\""], false),
        (&strong, &["\"b\""], false),
        (&strong, &["\"b\", \"a\""], false),
        (&strong, &["\"a\", \"b\""], false),
        (&strong, &["\"a\" "], false),
        (&strong, &["\"a\"x"], false),
        (&strong, &["a"], false),
        (&strong, &["*"], false),
        (&strong, &[""], false),
        (&strong, &["\"a\"", "\"a\""], false),
        (&weak, &["\"a\""], false),
        (&weak, &["W/\"a\""], false),
        (&strong, &[THEN], true),
        (&strong, &["Sunday, 06-Nov-94 08:49:37 GMT"], true),
        // To the second, in both directions.
        (&strong, &["Sun, 06 Nov 1994 08:49:36 GMT"], false),
        (&strong, &["Sun, 06 Nov 1994 08:49:38 GMT"], false),
        // Changed in the second in which it was sent: it may have changed again in it.
        (&fresh, &[THEN], false),
        (&undated, &[THEN], false),
        (&strong, &["yesterday"], false),
        (&stored(&[]), &["\"a\""], false),
        (&stored(&[]), &[THEN], false),
        (&stored(&[]), &[], true),
    ] {
        let mut fields = vec![("Range", "bytes=0-9")];
        fields.extend(conditions.iter().map(|condition| ("If-Range", *condition)));
        let expect = if expect { One(0..10) } else { Whole };
        assert_eq!(of(&request(&fields), stored, 100), expect, "{conditions:?}");
    }
    // Without a range there is nothing to put a condition on.
    assert_eq!(of(&request(&[("If-Range", "\"a\"")]), &strong, 100), Whole);
}

#[test]
fn heads_of_parts() {
    let whole = || stored(&[("Content-Type", "text/plain"), ("ETag", "\"a\"")]);
    let mut head = whole();
    assert_eq!(make_partial(&mut head, &One(10..20), 100, b""), Some(10));
    assert_eq!(head.status, 206);
    assert_eq!(head.fields.first(FieldId::ContentRange), Some(&b"bytes 10-19/100"[..]));
    assert_eq!(head.fields.first(FieldId::ContentType), Some(&b"text/plain"[..]));

    let mut head = whole();
    let two = several(&[0..1, u64::MAX - 1..u64::MAX]);
    let body = make_partial(&mut head, &two, u64::MAX, b"edge").unwrap();
    assert_eq!(
        head.fields.first(FieldId::ContentType),
        Some(&b"multipart/byteranges; boundary=edge"[..])
    );
    assert_eq!(head.fields.first(FieldId::ContentRange), None);
    let Ranges::Several(two) = two else { unreachable!("made above") };
    let multipart = Multipart::new(&two, u64::MAX, b"edge", Some(b"text/plain")).unwrap();
    let mut text = Vec::new();
    for range in &two {
        multipart.part_head(range, &mut text);
        text.push(b'x');
    }
    multipart.end(&mut text);
    assert_eq!(text.len() as u64, body);
    assert_eq!(
        String::from_utf8_lossy(&text),
        "\r\n--edge\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/18446744073709551615\r\n\r\nx\
         \r\n--edge\r\nContent-Type: text/plain\r\n\
         Content-Range: bytes 18446744073709551614-18446744073709551614/18446744073709551615\r\n\r\nx\
         \r\n--edge--\r\n"
    );

    for ranges in [Whole, Unsatisfiable, several(&[0..1, 90..91])] {
        let mut head = whole();
        let boundary = if matches!(ranges, Ranges::Several(_)) { &b"a b"[..] } else { b"edge" };
        assert_eq!(make_partial(&mut head, &ranges, 100, boundary), None);
        assert_eq!((head.status, head.fields.len()), (200, 2));
    }
    assert!(Multipart::new(&two, 1, &[b'x'; BOUNDARY_MAX + 1], None).is_none());
    let head = unsatisfiable(0);
    assert_eq!(
        (head.status, head.fields.first(FieldId::ContentRange)),
        (416, Some(&b"bytes */0"[..]))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// What is sent is what was asked for and there, and no more than the gaps beside it; no byte twice.
    #[test]
    fn what_is_asked_for_is_sent(
        asked in prop::collection::vec((0..3_000u64, prop::option::of(0..400u64)), 1..16),
        length in 0..2_500u64,
    ) {
        let text: Vec<_> = asked.iter().map(|(first, more)| match more {
            Some(more) => format!("{first}-{}", first + more),
            None => format!("-{first}"),
        }).collect();
        let wanted = |at: u64| asked.iter().any(|(first, more)| match more {
            Some(more) => (*first..=first + more).contains(&at),
            None => at >= length.saturating_sub(*first),
        });
        let got = match ranges(&format!("bytes={}", text.join(",")), length) {
            Whole => { prop_assert_eq!(length, 0); return Ok(()) }
            Unsatisfiable => Vec::new(),
            One(range) => vec![range],
            Ranges::Several(ranges) => { prop_assert!(ranges.len() > 1); ranges }
        };
        for at in 0..length {
            let times = got.iter().filter(|range| range.contains(&at)).count();
            prop_assert!(times <= 1);
            prop_assert!(times == 1 || !wanted(at), "{} is missing", at);
        }
        for range in &got {
            prop_assert!(range.start < range.end && range.end <= length);
            prop_assert!(wanted(range.start) && wanted(range.end - 1));
            let mut gap = 0;
            for at in range.clone() {
                gap = if wanted(at) { 0 } else { gap + 1 };
                prop_assert!(gap <= GAP);
            }
        }
    }

    #[test]
    fn no_field_panics(
        value in prop_oneof!["bytes=[0-9,\\- ]{0,40}", "\\PC{0,20}"],
        condition in "\\PC{0,12}",
        length: u64,
    ) {
        let asked = request(&[("Range", &value), ("If-Range", &condition)]);
        let _ = of(&asked, &stored(&[("ETag", &condition), ("Date", LATER)]), length);
        let _ = ranges(&value, length);
    }
}
