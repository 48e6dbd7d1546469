//! Tables of bodies and what they say, through one check, and properties that hold for all of them.

use proptest::prelude::*;

use super::*;

/// Reads a body in one piece, and makes sure that pieces of any length say the same.
fn read(processor: Processor, content_type: &str, bounds: &Bounds, body: &[u8]) -> Read {
    let whole = in_pieces(processor, content_type, bounds, body, usize::MAX);
    for length in [1, 2, 3, 7] {
        let pieces = in_pieces(processor, content_type, bounds, body, length);
        assert_eq!(whole, pieces, "pieces of {length} of {:?}", body.escape_ascii().to_string());
    }
    whole
}

fn in_pieces(
    processor: Processor,
    content_type: &str,
    bounds: &Bounds,
    body: &[u8],
    length: usize,
) -> Read {
    let mut reader = Reader::new(processor, content_type.as_bytes(), bounds);
    body.chunks(length).for_each(|piece| reader.feed(piece));
    reader.finish()
}

/// Pairs as `name=value` by line.
fn shown(pairs: &[Pair]) -> Vec<String> {
    let show = |pair: &Pair| format!("{}={}", pair.name.escape_ascii(), pair.value.escape_ascii());
    pairs.iter().map(show).collect()
}

mod urlencoded {
    use super::*;

    fn check(body: &[u8], expected: &[&str], error: bool) {
        let read = read(Processor::UrlEncoded, "", &Bounds::default(), body);
        assert_eq!(shown(&read.arguments), expected, "{}", body.escape_ascii());
        assert_eq!(read.flags.urlencoded_error, error, "{}", body.escape_ascii());
        assert_eq!(read.fault, None);
        let mut pairs = Vec::new();
        assert_eq!(query(body, b'&', &Bounds::default(), &mut pairs), error);
        assert_eq!(pairs, read.arguments);
    }

    #[test]
    fn pairs() {
        check(b"", &[], false);
        check(b"a", &["a="], false);
        check(b"a=", &["a="], false);
        check(b"=", &["="], false);
        check(b"a=1&b=2", &["a=1", "b=2"], false);
        check(b"a=1&a=1", &["a=1", "a=1"], false);
        check(b"a=b=c", &["a=b=c"], false);
        check(b"=b", &["=b"], false);
        check(b"a&=b", &["a=", "=b"], false);
        check(b"a=1&&b=2", &["a=1", "=", "b=2"], false);
        check(b"&a=1", &["=", "a=1"], false);
        check(b"a=1&", &["a=1"], false);
        check(b"&", &["="], false);
        check(b"a;b=c;d", &["a;b=c;d"], false);
        check(b"A+b=c+d", &["A b=c d"], false);
        check(b"a\0=\xff\n", &["a\\x00=\\xff\\n"], false);
    }

    #[test]
    fn escapes() {
        check(b"%41%62=%2b%3D%26", &["Ab=+=&"], false);
        check(b"a%3D1=2", &["a=1=2"], false);
        check(b"a=%2541", &["a=%41"], false);
        check(b"a=%", &["a=%"], true);
        check(b"a=%4", &["a=%4"], true);
        check(b"a=%4&b=%", &["a=%4", "b=%"], true);
        check(b"a=%zz", &["a=%zz"], true);
        check(b"a=%4z", &["a=%4z"], true);
        check(b"a=%%41", &["a=%A"], true);
        check(b"a=%4%41", &["a=%4A"], true);
        check(b"a%=b", &["a%=b"], true);
        check(b"a%4=b", &["a%4=b"], true);
        check(b"a=%u0041", &["a=%u0041"], true);
        check(b"a=%4+", &["a=%4 "], true);
    }

    #[test]
    fn separator() {
        let mut pairs = Vec::new();
        assert!(!query(b"a=1;b=2&c", b';', &Bounds::default(), &mut pairs));
        assert_eq!(shown(&pairs), ["a=1", "b=2&c"]);
    }

    #[test]
    fn bounds() {
        let few = Bounds { arguments_max: 2, ..Bounds::default() };
        let said = read(Processor::UrlEncoded, "", &few, b"a=1&b=2&c=3");
        assert_eq!(shown(&said.arguments), ["a=1", "b=2"]);
        assert!(said.over.arguments && matches!(said.fault, Some(Fault::Over(_))));

        let short = Bounds { bytes_max: 5, ..Bounds::default() };
        let said = read(Processor::UrlEncoded, "", &short, b"a=1&b=2");
        assert_eq!(shown(&said.arguments), ["a=1", "b="]);
        assert!(said.over.bytes && matches!(said.fault, Some(Fault::Over(_))));

        let narrow = Bounds { name_max: 1, value_max: 2, ..Bounds::default() };
        let said = read(Processor::UrlEncoded, "", &narrow, b"ab=1&b=234");
        assert_eq!(shown(&said.arguments), ["a=1", "b=23"]);
        assert!(said.over.lengths && matches!(said.fault, Some(Fault::Over(_))));

        let little = Bounds { kept_max: 120, ..Bounds::default() };
        let said = read(Processor::UrlEncoded, "", &little, b"a=1&b=2&c=3");
        assert_eq!(shown(&said.arguments), ["a=1", "b=2"]);
        assert!(said.over.kept && matches!(said.fault, Some(Fault::Over(_))));
    }

    #[test]
    fn a_million_arguments() {
        let body = b"a&".repeat(1_000_000);
        let bounds = Bounds { bytes_max: 1 << 30, ..Bounds::default() };
        let said = in_pieces(Processor::UrlEncoded, "", &bounds, &body, 4096);
        assert_eq!(said.arguments.len(), bounds.arguments_max);
        assert!(said.over.arguments);
    }
}

mod cookie {
    use super::*;

    fn check(raw: &[u8], expected: &[&str]) {
        let mut pairs = Vec::new();
        cookies(raw, &mut pairs);
        assert_eq!(shown(&pairs), expected, "{}", raw.escape_ascii());
    }

    #[test]
    fn version_0() {
        check(b"", &[]);
        check(b"a=1", &["a=1"]);
        check(b"a=1; b=2;c=3", &["a=1", "b=2", "c=3"]);
        check(b"a=1;a=1", &["a=1", "a=1"]);
        check(b"a; b=", &["a=", "b="]);
        check(b"a=b=c", &["a=b=c"]);
        check(b";; ;=x; =y;a=1", &["a=1"]);
        check(b" \t a =1 ", &["a =1 "]);
        check(b"a=\"1; b=2\"", &["a=\\\"1", "b=2\\\""]);
        check(b"a=%41+", &["a=%41+"]);
        check(b"a=1, b=2", &["a=1, b=2"]);
    }
}

proptest! {
    #[test]
    fn query_and_cookies_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut pairs = Vec::new();
        let _ = query(&raw, b'&', &Bounds::default(), &mut pairs);
        cookies(&raw, &mut pairs);
    }

    #[test]
    fn what_is_encoded_comes_back(pairs in proptest::collection::vec(any::<(Vec<u8>, Vec<u8>)>(), 0..8)) {
        let encode = |bytes: &[u8]| bytes.iter().map(|b| format!("%{b:02x}")).collect::<String>();
        let one = |(name, value): &(Vec<u8>, Vec<u8>)| format!("{}={}", encode(name), encode(value));
        let body = pairs.iter().map(one).collect::<Vec<_>>().join("&");
        let said = read(Processor::UrlEncoded, "", &Bounds::default(), body.as_bytes());
        let back: Vec<_> = said.arguments.into_iter().map(|pair| (pair.name, pair.value)).collect();
        prop_assert_eq!(back, pairs);
    }
}
