//! What url-encoded bodies and queries say.

use super::*;

fn check_both(body: &[u8], expected: &[&str], error: bool) {
    let read = read(Processor::UrlEncoded, "", &Bounds::default(), body);
    assert_eq!(shown(&read.arguments), expected, "{}", body.escape_ascii());
    assert_eq!(read.flags.urlencoded_error, error, "{}", body.escape_ascii());
    assert_eq!(read.fault, None);
    let mut pairs = Vec::new();
    assert_eq!(query(body, b'&', &Bounds::default(), &mut pairs), error);
    assert_eq!(pairs, read.arguments);
}

/// Escapes are valid.
fn check(body: &[u8], expected: &[&str]) {
    check_both(body, expected, false);
}

/// An escape is not.
fn check_invalid(body: &[u8], expected: &[&str]) {
    check_both(body, expected, true);
}

#[test]
fn pairs() {
    check(b"", &[]);
    check(b"a", &["a="]);
    check(b"a=", &["a="]);
    check(b"=", &["="]);
    check(b"a=1&b=2", &["a=1", "b=2"]);
    check(b"a=1&a=1", &["a=1", "a=1"]);
    check(b"a=b=c", &["a=b=c"]);
    check(b"=b", &["=b"]);
    check(b"a&=b", &["a=", "=b"]);
    check(b"a=1&&b=2", &["a=1", "=", "b=2"]);
    check(b"&a=1", &["=", "a=1"]);
    check(b"a=1&", &["a=1"]);
    check(b"&", &["="]);
    check(b"a;b=c;d", &["a;b=c;d"]);
    check(b"A+b=c+d", &["A b=c d"]);
    check(b"a\0=\xff\n", &["a\\x00=\\xff\\n"]);
}

#[test]
fn escapes() {
    check(b"%41%62=%2b%3D%26", &["Ab=+=&"]);
    check(b"a%3D1=2", &["a=1=2"]);
    check(b"a=%2541", &["a=%41"]);
    check_invalid(b"a=%", &["a=%"]);
    check_invalid(b"a=%4", &["a=%4"]);
    check_invalid(b"a=%4&b=%", &["a=%4", "b=%"]);
    check_invalid(b"a=%zz", &["a=%zz"]);
    check_invalid(b"a=%4z", &["a=%4z"]);
    check_invalid(b"a=%%41", &["a=%A"]);
    check_invalid(b"a=%4%41", &["a=%4A"]);
    check_invalid(b"a%=b", &["a%=b"]);
    check_invalid(b"a%4=b", &["a%4=b"]);
    check_invalid(b"a=%u0041", &["a=%u0041"]);
    check_invalid(b"a=%4+", &["a=%4 "]);
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
