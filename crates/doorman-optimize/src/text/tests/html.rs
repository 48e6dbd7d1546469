use crate::text::{HELD_MAX, Html};
use proptest::prelude::*;

fn minify<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut html, mut out) = (Html::default(), Vec::new());
    for piece in pieces {
        html.push(piece, &mut out);
    }
    html.finish(&mut out);
    out
}

/// Checks a document, whole and byte by byte, and that what is made of it is final.
fn check((text, made): &(&str, &str)) {
    let found = minify([text.as_bytes()]);
    assert!(
        found == made.as_bytes(),
        "{text:?}\n made {:?}\n want {made:?}",
        String::from_utf8_lossy(&found)
    );
    assert_eq!(minify(text.as_bytes().chunks(1)), found, "{text:?} byte by byte");
    assert_eq!(minify([made.as_bytes()]), made.as_bytes(), "again");
}

#[test]
fn indentation_between_blocks_goes() {
    for row in &[
        ("<div>\n    <p>a</p>\n\n\t<p>b\n  </div>", "<div>\n<p>a</p>\n\n<p>b\n  </div>"),
        ("<ul>  <li>a</li>\r\n  <li>b</li></ul>", "<ul> <li>a</li>\r\n<li>b</li></ul>"),
        ("<!doctype html>\n  <html>\n  <head>", "<!doctype html>\n<html>\n<head>"),
        ("<div>  <b>a</b>  <i>b</i>  </div>", "<div>  <b>a</b>  <i>b</i>  </div>"),
        ("<div>  a  </div>  ", "<div>  a  </div>  "),
        ("<p>  <!-- a -->  <p>", "<p> <p>"),
        ("<p>\n  <!-- a -->\n  <p>", "<p>\n\n<p>"),
        ("<p>  <!--a-->  <p>", "<p>  <!--a-->  <p>"),
    ] {
        check(row);
    }
}

#[test]
fn white_space_in_tags_goes() {
    for row in &[
        ("<a\n   href = \"b  c\"\n  d='e  >f'  >x", "<a href = \"b  c\" d='e  >f'>x"),
        ("<a b=c  />x", "<a b=c />x"),
        ("<a b=c'  d>x", "<a b=c' d>x"),
        ("<a =\"b  >  \">x", "<a =\"b>  \">x"),
        ("<a b=  'c  d' >x</a  >", "<a b= 'c  d'>x</a>"),
        ("<a \"b  c>  d\">x", "<a \"b c>  d\">x"),
        // A `/` ends an element only right before the `>`.
        ("<br/  ><br  / >", "<br/ ><br / >"),
    ] {
        check(row);
    }
}

#[test]
fn comments_of_people_go() {
    for row in &[
        ("<!-- b -->c", "c"),
        ("<p><!-- b > -- -> --!>c", "<p>c"),
        ("<p> <!-- b <!-- c --> d -->", "<p>  d -->"),
        ("<!-- a --><p>", "<p>"),
        // Behind text it stays: what is behind it must not go on with what is before it.
        ("a<!-- b -->c", "a<!-- b -->c"),
        ("<<!-- b -->script>", "<<!-- b -->script>"),
        ("&am<!-- b -->p;", "&am<!-- b -->p;"),
        ("<textarea><!-- a --></textarea>", "<textarea><!-- a --></textarea>"),
    ] {
        check(row);
    }
    for text in [
        "a<!---->b",
        "a<!-->b -->",
        "a<!--->b -->",
        "a<!-- -->b",
        "<!--[if IE]> <p> <![endif]-->",
        "<!-- [if IE]> -->",
        "<!--#include virtual=\"a\" -->",
        "<!--esi <p> -->",
        "<!-- ko if: a -->",
        "<!-- /ko -->",
        "<!--$-->",
        "<!--! a -->",
        "<!-- ! a -->",
        "<!-- @license b -->",
        "<!-- a @license b -->",
        "<!-- Copyright a -->",
        "<!-- HTML_TAG_START -->",
        "<!-- HEAD_svelte-a_START -->",
        "<!-- react-text: 1 -->",
        "<!-- ngIf: a -->",
        "<!-- wp:paragraph -->",
        "<!--a-->",
        "<! a -->  b",
        "<? a -->",
        "</ a -->",
        "a <!-- b",
        "a <!-- b --",
        "a <!",
        "a <",
        "</",
        "<a ",
        "<a b",
        "<a b='",
        "<a b=\"c\"",
        "<p>  ",
    ] {
        check(&(text, text));
    }
}

#[test]
fn what_a_browser_reads_otherwise_is_not_touched() {
    for text in [
        "<pre>  <div>  <p>  <!-- a --></pre>",
        "<pre><!-- a -->\nb</pre>",
        "<script>a = '<!-- b -->'  ;  '<div>  <p>'</script>",
        "<script>/* <!-- <script> </script> <!-- a --> */</script><!-- b -->",
        "<style>  a  <!-- b -->  </style>",
        "<title>  <!-- a --></title>",
        "<noscript>  <div>  <p> <!-- a --></noscript>",
        "<iframe><!-- a --></iframe>",
        "<plaintext><!-- a --></plaintext><!-- b -->",
        "<svg>  <g>  <!-- a --></g> </svg>",
        "<svg><style/><!-- a --></svg><!-- b -->",
        "<svg><title><script>'</title><!-- a -->'</script></svg>",
        "<svg><foreignObject><!-- a -->",
        "<svg><![CDATA[ <!-- a --> ]]></svg>",
        "<svg><div><!-- a -->",
        "<math><!-- a -->",
        "<select><style><!-- a --></style></select>",
        "<div contenteditable>  <p>  <div><!-- a -->",
        "<div ContentEditable=''>  <p>  <div>",
        "<TextArea>  <div>  <p></textarea >",
    ] {
        let made = text.replace("</textarea >", "</textarea>");
        check(&(text, &made));
    }
    check(&("<svg><path /></svg><!-- a -->", "<svg><path /></svg>"));
    check(&("<svg/><!-- a --><pre></pre><!-- b -->", "<svg/><pre></pre>"));
    check(&("<script>a</scripts></script ><!-- b -->", "<script>a</scripts></script>"));
    check(&("<script><!-- a\n--></script><!-- b -->", "<script><!-- a\n--></script>"));
    for bytes in
        [&b"\xFF\xFE<\0!\0-\0-\0"[..], b"<!-- a\x1B(B -->", b"<p>  \0<p>  <p>", b"\xFE\xFF"]
    {
        assert_eq!(minify([bytes]), bytes);
    }
}

#[test]
fn what_is_held_is_bounded_and_nothing_is_lost() {
    let long = 1 << 20;
    for text in [
        format!("<!-- {}", "a".repeat(long)),
        format!("<!-- {} --><p>", "a".repeat(long)),
        format!("<p>{}<p>", " ".repeat(long)),
        format!("<a b=\"{}", "c".repeat(long)),
        format!("<{}", "a".repeat(long)),
        format!("<script>{}", "a".repeat(long)),
        format!("<title>{}", "<".repeat(long)),
        "<div>".repeat(100_000),
        "<".repeat(long),
        "<!--".repeat(long / 4),
    ] {
        let (mut html, mut out) = (Html::default(), Vec::new());
        for piece in text.as_bytes().chunks(1000) {
            html.push(piece, &mut out);
            assert!(html.space.capacity() + html.token.capacity() <= 4 * HELD_MAX);
        }
        html.finish(&mut out);
        assert!(out == text.as_bytes(), "{:.20} is changed", text);
    }
}

const PIECES: &[&str] = &[
    "<",
    ">",
    "<!--",
    "-->",
    "--!>",
    "-",
    "!",
    "/",
    "</",
    "<p",
    "<div>",
    "</div>",
    "<pre>",
    "</pre>",
    "<script>",
    "</script>",
    "<svg>",
    "</svg>",
    "<title>",
    "</title>",
    "<select>",
    "<![CDATA[",
    " ",
    "\n",
    "  ",
    "a",
    "=",
    "\"",
    "'",
    "<a b=",
    "contenteditable",
    "<textarea>",
    "</textarea ",
    "\0",
    "\u{e9}",
];

proptest! {
    #[test]
    fn cuts_make_no_difference(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..60),
        size in 1_usize..20,
    ) {
        let text = pieces.concat();
        let whole = minify([text.as_bytes()]);
        prop_assert_eq!(&minify(text.as_bytes().chunks(size)), &whole);
        prop_assert!(whole.len() <= text.len());
        prop_assert_eq!(&minify([&whole[..]]), &whole, "again");
    }

    #[test]
    fn any_bytes_pass(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let made = minify([&bytes[..]]);
        prop_assert!(made.len() <= bytes.len());
    }
}
