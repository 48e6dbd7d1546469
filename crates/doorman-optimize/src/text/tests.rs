//! Tables of texts and of what is made of them, and what holds for all texts.

mod css;
mod html;
mod js;
mod json;
mod kind;
mod properties;
mod svg;

use super::{Bounds, Refusal};

type Minify = fn(&[u8], &Bounds) -> Result<Vec<u8>, Refusal>;

/// Checks a row: the text, and what is made of it. What is as it was is refused as not smaller.
fn check(minify: Minify, (text, made): &(&str, &str)) {
    let bounds = Bounds::default();
    let expected =
        if text == made { Err(Refusal::NotSmaller) } else { Ok(made.as_bytes().to_vec()) };
    let found = minify(text.as_bytes(), &bounds);
    let shown = found.as_ref().map(|bytes| String::from_utf8_lossy(bytes));
    assert!(found == expected, "{text:?}\n made {shown:?}\n want {made:?}");
    let again = minify(made.as_bytes(), &bounds);
    assert!(again == Err(Refusal::NotSmaller), "{made:?} is made smaller again: {again:?}");
}

fn check_refused(minify: Minify, (text, refusal): &(&str, Refusal)) {
    let found = minify(text.as_bytes(), &Bounds::default());
    assert!(found == Err(*refusal), "{text:?}: {found:?}, not {refusal:?}");
}

/// Texts over each bound, and texts that are not in UTF-8.
fn check_bounds(minify: Minify, open: &str, close: &str, inner: &str) {
    let nested = |depth: usize| {
        format!("{} {inner} {}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    let bounds = Bounds { size: 1 << 20, depth: 64 };
    assert!(minify(&nested(64), &bounds).is_ok());
    assert_eq!(minify(&nested(65), &bounds), Err(Refusal::TooDeep));
    assert_eq!(minify(&nested(100_000), &bounds), Err(Refusal::TooDeep));
    let bounds = Bounds { size: 10, depth: 64 };
    assert_eq!(minify(&nested(10), &bounds), Err(Refusal::TooLarge));
    for bytes in [&b"\xFF"[..], b"\x1B(B", b"\xFE\xFF\x00{"] {
        assert_eq!(minify(bytes, &bounds), Err(Refusal::Charset), "{bytes:?}");
    }
}

#[test]
fn every_refusal_stands_at_the_place_of_its_number() {
    for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
        assert_eq!(refusal as usize, place);
        assert!(refusal.word().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    }
}
