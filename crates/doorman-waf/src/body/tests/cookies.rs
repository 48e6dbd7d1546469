//! What cookies of a field say.

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
