//! What a cache reads of heads: a `Range`, an `Accept-Encoding` that is taken for a list of entity tags too, and a
//! head that comes back from a disk; one line each, behind a byte that says how long the stored response is.
//! No panic; ranges lie within the length and never overlap; a normal form says what the field said; a head that
//! is read from a disk is written as it was read.
#![no_main]

use doorman_cache::range::{self, Multipart, Ranges};
use doorman_cache::{PackedHead, coding_is_acceptable, evaluate, normal_accept_encoding};
use doorman_http::{RequestHead, ResponseHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&size, input)) = input.split_first() else { return };
    let mut lines = input.splitn(3, |&b| b == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (wanted, list, disk) = (line(), line(), line());
    let length = (1u64 << (size % 64)) - 1;

    let mut stored = ResponseHead::new(200);
    stored.fields.push(b"ETag", b"\"a\"");
    stored.fields.push(b"Date", b"Mon, 07 Nov 1994 00:00:00 GMT");
    stored.fields.push(b"Last-Modified", list);
    let mut request = RequestHead::default();
    request.fields.push(b"Range", wanted);
    ranges(range::of(&request, &stored, length), length);
    request.fields.push(b"If-Range", list);
    ranges(range::of(&request, &stored, length), length);

    codings(list);
    request.fields.push(b"If-None-Match", list);
    request.fields.push(b"If-Match", wanted);
    let _ = evaluate(&request, &stored);

    if let Ok(head) = PackedHead::from_disk(disk) {
        let mut again = Vec::new();
        head.to_disk(&mut again);
        assert_eq!(again, disk);
        head.unpack(&mut stored);
        assert_eq!(stored.status, head.status());
        assert!(PackedHead::pack(&stored).is_some_and(|packed| packed.size() <= head.size()));
    }
});

fn ranges(ranges: Ranges, length: u64) {
    let all = match ranges {
        Ranges::Whole | Ranges::Unsatisfiable => return,
        Ranges::One(range) => vec![range],
        Ranges::Several(ranges) => {
            assert!((2..=range::RANGES_MAX).contains(&ranges.len()));
            ranges
        }
    };
    let multipart = Multipart::new(&all, length, b"edge", None).expect("a boundary");
    let (mut text, mut body) = (Vec::new(), 0);
    for (at, one) in all.iter().enumerate() {
        assert!(one.start < one.end && one.end <= length);
        assert!(all[..at].iter().all(|other| one.end < other.start || other.end < one.start));
        multipart.part_head(one, &mut text);
        body += one.end - one.start;
    }
    multipart.end(&mut text);
    assert_eq!(multipart.body_length(), body + text.len() as u64);
}

fn codings(field: &[u8]) {
    let mut asked = RequestHead::default();
    asked.fields.push(b"Accept-Encoding", field);
    let normal = normal_accept_encoding(&asked).expect("the field is there");
    let mut other = RequestHead::default();
    other.fields.push(b"Accept-Encoding", &normal);
    assert_eq!(normal_accept_encoding(&other).as_ref(), Some(&normal));
    for coding in [None, Some(&b"gzip"[..]), Some(b"br"), Some(b"zstd"), Some(b"deflate"), Some(b"gzip, br")] {
        assert_eq!(coding_is_acceptable(&asked, coding), coding_is_acceptable(&other, coding));
    }
    let _ = coding_is_acceptable(&asked, Some(field));
}
