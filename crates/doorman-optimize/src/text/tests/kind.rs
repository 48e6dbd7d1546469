use crate::text::{Kind, is_readable_charset, kind_of};

#[test]
fn the_essence_of_a_media_type_tells_the_kind() {
    for (content_type, kind) in [
        ("text/html", Some(Kind::Html)),
        ("Text/HTML; charset=utf-8", Some(Kind::Html)),
        (" text/html ;charset=utf-8", Some(Kind::Html)),
        ("application/xhtml+xml", None),
        ("text/css", Some(Kind::Css)),
        ("text/javascript", Some(Kind::Js)),
        ("application/javascript;a=b", Some(Kind::Js)),
        ("application/x-javascript", Some(Kind::Js)),
        ("application/json", Some(Kind::Json)),
        ("application/ld+json", Some(Kind::Json)),
        ("Application/Problem+JSON", Some(Kind::Json)),
        ("+json", None),
        ("text/html-not", None),
        ("image/svg+xml", Some(Kind::Svg)),
        ("text/plain; text/html", None),
        ("application/json-seq", None),
        ("application/x-ndjson", None),
        ("text/event-stream", None),
        ("", None),
    ] {
        assert_eq!(kind_of(content_type.as_bytes()), kind, "{content_type}");
    }
    for (place, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, place, "{}", kind.word());
    }
}

#[test]
fn encodings_in_which_ascii_means_itself_can_be_read() {
    for (content_type, can) in [
        ("text/html", true),
        ("text/html; charset=utf-8", true),
        ("text/html; Charset=\"UTF-8\"", true),
        ("text/html; charset=iso-8859-1", true),
        ("text/html; charset=windows-1251", true),
        ("text/html; charset=KOI8-R", true),
        ("text/html; charset=utf-16", false),
        ("text/html; charset=utf-16le", false),
        ("text/html; charset=iso-2022-jp", false),
        ("text/html; charset=shift_jis", false),
        ("text/html; charset=", false),
        ("text/html; a=b; charset=utf-7", false),
        ("text/html; charset=utf-16; charset=utf-8", false),
    ] {
        assert_eq!(is_readable_charset(content_type.as_bytes()), can, "{content_type}");
    }
}
