//! Parts that are put together.

use std::collections::BTreeSet;

use doorman_http::ResponseHead;
use proptest::prelude::*;

use super::super::{ContentRange, NotCombined, PARTS_MAX, Parts, TooMany, combines, storable};
use super::{LATER, THEN};

fn head(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
    let mut head = ResponseHead::new(status);
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head
}

#[test]
fn cin_05_only_a_true_content_range_is_one() {
    let check = |text: &str, expect: Option<(std::ops::Range<u64>, Option<u64>)>| {
        let got = ContentRange::of(&head(206, &[("Content-Range", text)]));
        assert_eq!(got, expect.map(|(range, length)| ContentRange { range, length }), "{text}");
    };
    check("bytes 0-9/100", Some((0..10, Some(100))));
    check("Bytes 99-99/100", Some((99..100, Some(100))));
    check("bytes 0-9/*", Some((0..10, None)));
    for text in [
        "",
        "bytes",
        "bytes */100",
        "bytes 0-9",
        "bytes 0-9/",
        "bytes 0-100/100",
        "bytes 9-0/100",
        "items 0-9/100",
        "bytes=0-9/100",
        "bytes 0-9/9",
        "bytes -9/100",
        "bytes 0-/100",
        "bytes 0-9/100/100",
        "bytes 0 - 9/100",
        "bytes 0-18446744073709551615/*",
        "bytes 0-9/18446744073709551616",
        "bytes 0-9/-1",
        "0-9/100",
        "bytes 0-9/100, bytes 10-19/100",
    ] {
        check(text, None);
    }
    assert_eq!(ContentRange::of(&head(200, &[("Content-Range", "bytes 0-9/100")])), None);
    let twice = [("Content-Range", "bytes 0-9/100"), ("Content-Range", "bytes 0-9/100")];
    assert_eq!(ContentRange::of(&head(206, &twice)), None);
    assert_eq!(
        ContentRange::of(&head(206, &[("Content-Type", "multipart/byteranges; boundary=x")])),
        None
    );
}

#[test]
fn cin_05_what_may_be_stored_and_put_together() {
    use NotCombined::{Length, Range, Validator, Whole};
    let part = ("Content-Range", "bytes 0-9/100");
    let strong = [("ETag", "\"a\""), part];
    let whole = head(200, &strong[..1]);
    for (fields, body, alone, together) in [
        (&strong[..], Some(10), Ok(()), Ok(())),
        (&strong, None, Ok(()), Ok(())),
        (&strong, Some(9), Err(Length), Err(Length)),
        (&strong, Some(11), Err(Length), Err(Length)),
        (&[("ETag", "\"a\"")], Some(10), Err(Range), Err(Range)),
        (&[("ETag", "\"a\""), ("Content-Range", "bytes 0-9/*")], Some(10), Err(Whole), Err(Whole)),
        (&[("ETag", "\"a\""), ("Content-Range", "bytes 0-9/101")], Some(10), Ok(()), Err(Whole)),
        (&[("ETag", "W/\"a\""), part], Some(10), Err(Validator), Err(Validator)),
        (&[("ETag", "\"b\""), part], Some(10), Ok(()), Err(Validator)),
        (&[("ETag", "a"), part], Some(10), Err(Validator), Err(Validator)),
        (&[part], Some(10), Err(Validator), Err(Validator)),
        // A date may be strong, but what is stored has a tag.
        (&[("Last-Modified", THEN), ("Date", LATER), part], Some(10), Ok(()), Err(Validator)),
        (
            &[("Last-Modified", THEN), ("Date", THEN), part],
            Some(10),
            Err(Validator),
            Err(Validator),
        ),
        (
            &[("ETag", "\"a\""), ("Content-Encoding", "gzip"), part],
            Some(10),
            Ok(()),
            Err(Validator),
        ),
    ] {
        let part = head(206, fields);
        assert_eq!(storable(&part, body).map(|_| ()), alone, "{fields:?}");
        assert_eq!(combines(&whole, 100, &part, body).map(|_| ()), together, "{fields:?}");
    }
    // Never as a 200, and never with one that is no representation.
    assert_eq!(storable(&head(200, &strong), Some(10)), Err(Range));
    assert_eq!(combines(&head(404, &strong[..1]), 100, &head(206, &strong), None), Err(Validator));
    assert!(combines(&head(206, &strong), 100, &head(206, &strong), None).is_ok());

    let dated = [("Last-Modified", THEN), ("Date", LATER)];
    let part = head(206, &[dated[0], dated[1], part]);
    assert!(combines(&head(200, &dated), 100, &part, None).is_ok());
    for stored in [
        &[("Last-Modified", LATER), ("Date", "Tue, 08 Nov 1994 00:00:00 GMT")][..],
        &[("Last-Modified", THEN), ("Date", THEN)],
        &[("Last-Modified", THEN)],
        &[("ETag", "\"a\""), dated[0], dated[1]],
        &[],
    ] {
        assert_eq!(combines(&head(200, stored), 100, &part, None), Err(Validator), "{stored:?}");
    }
}

#[test]
fn parts_are_bounded() {
    let mut parts = Parts::default();
    for n in 0..PARTS_MAX as u64 {
        parts.insert(n * 10..n * 10 + 5).unwrap();
    }
    let before = parts.clone();
    assert_eq!(parts.insert(2_000..2_001), Err(TooMany));
    assert_eq!(parts, before);
    assert_eq!(parts.insert(5..10), Ok(()), "fills a gap");
    assert_eq!(parts.iter().next(), Some(0..15));
    assert_eq!(parts.insert(2_000..2_001), Ok(()));
    assert_eq!(parts.insert(0..u64::MAX), Ok(()));
    assert!(parts.iter().eq(std::iter::once(0..u64::MAX)));
    assert_eq!(parts.bytes(), u64::MAX);
}

proptest! {
    #[test]
    fn parts_are_what_was_put_in(
        ranges in prop::collection::vec((0..120u64, 0..30u64), 0..30),
        (start, len) in (0..120u64, 0..60u64),
    ) {
        let mut parts = Parts::default();
        let mut there = BTreeSet::new();
        for (start, len) in ranges {
            parts.insert(start..start + len).unwrap();
            there.extend(start..start + len);
        }
        let all: Vec<_> = parts.iter().collect();
        prop_assert!(all.windows(2).all(|pair| pair[0].end < pair[1].start));
        prop_assert_eq!(parts.bytes(), there.len() as u64);
        let wanted = start..start + len;
        let missing: Vec<_> = parts.missing(&wanted).collect();
        for at in 0..200 {
            prop_assert_eq!(all.iter().any(|part| part.contains(&at)), there.contains(&at));
            let is_missing = wanted.contains(&at) && !there.contains(&at);
            prop_assert_eq!(missing.iter().filter(|gap| gap.contains(&at)).count(), usize::from(is_missing));
        }
        prop_assert!(missing.iter().all(|gap| !gap.is_empty()));
        prop_assert_eq!(parts.covers(&wanted), missing.is_empty());
    }
}
