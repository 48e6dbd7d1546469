//! HTML is made smaller in pieces: where they are cut makes no difference, nothing is added, and what is
//! made is final.

#![no_main]

use doorman_optimize::text::Html;
use libfuzzer_sys::fuzz_target;

fn minify<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut html, mut out) = (Html::default(), Vec::new());
    for piece in pieces {
        html.push(piece, &mut out);
    }
    html.finish(&mut out);
    out
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, text)) = data.split_first() else { return };
    let whole = minify([text]);
    assert!(whole.len() <= text.len());
    assert_eq!(minify(text.chunks(usize::from(cut).max(1))), whole);
    assert_eq!(minify([&whole[..]]), whole);
});
