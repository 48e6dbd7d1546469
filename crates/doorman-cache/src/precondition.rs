//! Conditions of a request, held against a stored response (RFC 9110 section 13, RFC 9111 section
//! 4.3.2).
//!
//! A condition that cannot be read counts as if it were not there, so that the client gets the whole
//! response: more than it wanted, but never a "not modified" for something it does not have.

use doorman_http::{FieldId, Fields, Method, RequestHead, ResponseHead, date};

use crate::validator;

/// What the conditions of a request make of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Precondition {
    /// The response is sent, or the ranges of it that are asked for.
    Pass,
    /// The client has it: 304.
    NotModified,
    /// What the client insists on is not so: 412.
    Failed,
}

/// Whether the request has conditions that are the origin's to judge: `If-Match` and
/// `If-Unmodified-Since` are not for caches (RFC 9111 section 4.3.2). Such a request is to be passed on
/// as it is. [`evaluate`] judges them all the same, for a response that has just come from the origin
/// by a request without them.
#[must_use]
pub fn is_for_origin(request: &RequestHead) -> bool {
    request.fields.has(FieldId::IfMatch) || request.fields.has(FieldId::IfUnmodifiedSince)
}

/// Evaluates the conditions of a GET or HEAD in the order of RFC 9110 section 13.2.2. `Range` with
/// `If-Range` comes after them: see [`crate::range::of`].
pub fn evaluate(request: &RequestHead, stored: &ResponseHead) -> Precondition {
    let asks_for_it = matches!(request.method, Method::Get | Method::Head);
    // Conditions are about a representation; an answer that is none ignores them (section 13.2.1).
    if !asks_for_it || !(200..300).contains(&stored.status) {
        return Precondition::Pass;
    }
    let (asked, stored) = (&request.fields, &stored.fields);
    let is_met = if asked.has(FieldId::IfMatch) {
        any_matches(asked, FieldId::IfMatch, stored, Comparison::Strong)
    } else {
        let bound = one_date(asked, FieldId::IfUnmodifiedSince, stored);
        bound.is_none_or(|bound| modified(stored).is_none_or(|modified| modified <= bound))
    };
    if !is_met {
        return Precondition::Failed;
    }
    let has_it = if asked.has(FieldId::IfNoneMatch) {
        any_matches(asked, FieldId::IfNoneMatch, stored, Comparison::Weak)
    } else {
        let since = one_date(asked, FieldId::IfModifiedSince, stored);
        // A response that does not say when it changed was at least not made later than it was sent
        // (RFC 9111 section 4.3.2).
        let changed = modified(stored).or_else(|| time_of(stored, FieldId::Date));
        matches!((since, changed), (Some(since), Some(changed)) if changed <= since)
    };
    if has_it { Precondition::NotModified } else { Precondition::Pass }
}

/// How two entity tags are compared (RFC 9110 section 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Strong,
    Weak,
}

/// Whether one of the tags of a condition is the stored response's.
fn any_matches(asked: &Fields, id: FieldId, stored: &Fields, by: Comparison) -> bool {
    asked.all(id).any(|line| {
        line == b"*"
            // What an origin sends as a tag and is none comes back as it was sent.
            || (by == Comparison::Weak && Some(line) == stored.first(FieldId::Etag))
            || any_tag(line, |is_weak, opaque| is_tag(stored, is_weak, opaque, by))
    })
}

/// Whether the stored response's entity tag is this one.
pub(crate) fn is_tag(stored: &Fields, is_weak: bool, opaque: &[u8], by: Comparison) -> bool {
    let strong = by == Comparison::Weak || !is_weak;
    validator::tag(stored).is_some_and(|tag| {
        strong && (by == Comparison::Weak || !tag.is_weak) && tag.opaque == opaque
    })
}

/// Whether `is` holds for a tag of a list; what stands behind something that is no tag is not looked
/// at. Commas may stand within a tag.
pub(crate) fn any_tag(list: &[u8], mut is: impl FnMut(bool, &[u8]) -> bool) -> bool {
    let mut rest = list;
    loop {
        rest = rest.trim_ascii_start();
        while let Some(behind) = rest.strip_prefix(b",") {
            rest = behind.trim_ascii_start();
        }
        let (is_weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let Some(inner) = quoted.strip_prefix(b"\"") else { return false };
        let Some(end) = inner.iter().position(|&b| b == b'"') else { return false };
        let (opaque, behind) = inner.split_at(end);
        if is(is_weak, opaque) {
            return true;
        }
        rest = behind.get(1..).unwrap_or_default().trim_ascii_start();
        if !rest.starts_with(b",") {
            return false;
        }
    }
}

/// The date of a condition; `None` if there is none, or more than one, or no date.
fn one_date(asked: &Fields, id: FieldId, stored: &Fields) -> Option<u64> {
    let mut lines = asked.all(id);
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    date::parse(line, century_of(stored))
}

fn modified(stored: &Fields) -> Option<u64> {
    time_of(stored, FieldId::LastModified)
}

fn time_of(stored: &Fields, id: FieldId) -> Option<u64> {
    date::parse(stored.first(id)?, century_of(stored))
}

/// A time by which years of two digits are read: when the response was made.
fn century_of(stored: &Fields) -> u64 {
    stored.first(FieldId::Date).and_then(|text| date::parse(text, 0)).unwrap_or(0)
}

/// `Last-Modified` as a validator that two representations do not share: it was at least a second old
/// when the response was sent (RFC 9110 section 8.8.2.2).
pub(crate) fn strong_date(stored: &Fields) -> Option<u64> {
    let (modified, sent) = (modified(stored)?, time_of(stored, FieldId::Date)?);
    (sent > modified).then_some(modified)
}

/// Whether `text` is the stored response's date of modification, and that is a strong validator.
pub(crate) fn is_strong_date(stored: &Fields, text: &[u8]) -> bool {
    let asked = date::parse(text, century_of(stored));
    asked.is_some() && asked == strong_date(stored)
}

/// What describes the content and not the response, and is no use to somebody who has it.
const OF_CONTENT: [&[u8]; 8] = [
    b"accept-ranges",
    b"content-digest",
    b"content-disposition",
    b"content-language",
    b"content-md5",
    b"content-range",
    b"digest",
    b"repr-digest",
];

/// The head of a 304 for a client that has the stored response (RFC 9110 section 15.4.5): everything but
/// what describes the content. `Last-Modified` stays if there is no entity tag.
#[must_use]
pub fn not_modified(stored: &ResponseHead) -> ResponseHead {
    let mut head = ResponseHead::new(304);
    head.version = stored.version;
    let has_tag = stored.fields.has(FieldId::Etag);
    for (id, name, value) in stored.fields.iter() {
        let is_of_content = match id {
            FieldId::ContentType | FieldId::ContentEncoding | FieldId::ContentRange => true,
            FieldId::LastModified => has_tag,
            FieldId::Other => OF_CONTENT.iter().any(|other| name.eq_ignore_ascii_case(other)),
            _ => false,
        };
        if !is_of_content {
            head.fields.push_line(id, name, value);
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const LATER: &str = "Mon, 07 Nov 1994 00:00:00 GMT";

    fn stored(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
        let mut head = ResponseHead::new(status);
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

    use Precondition::{Failed, NotModified, Pass};

    #[test]
    fn conditions_in_their_order() {
        let strong = stored(200, &[("ETag", "\"a,b\""), ("Last-Modified", THEN), ("Date", LATER)]);
        let weak = stored(200, &[("ETag", "W/\"a\""), ("Date", LATER)]);
        let bare = stored(200, &[("Date", THEN)]);
        let odd = stored(200, &[("ETag", "abc"), ("Date", LATER)]);
        for (stored, fields, expect) in [
            (&strong, &[][..], Pass),
            // If-None-Match: weak comparison, lists, `*`.
            (&strong, &[("If-None-Match", "\"a,b\"")], NotModified),
            (&strong, &[("If-None-Match", "W/\"a,b\"")], NotModified),
            (&strong, &[("If-None-Match", "\"a\"")], Pass),
            (&strong, &[("If-None-Match", "\"x\", \"a,b\"")], NotModified),
            (&strong, &[("If-None-Match", ", ,\"x\" ,W/\"a,b\"")], NotModified),
            (&strong, &[("If-None-Match", "\"x\""), ("If-None-Match", "\"a,b\"")], NotModified),
            (&strong, &[("If-None-Match", "*")], NotModified),
            (&strong, &[("If-None-Match", "\"x\" \"a,b\"")], Pass),
            (&strong, &[("If-None-Match", "x, \"a,b\"")], Pass),
            (&strong, &[("If-None-Match", "w/\"a,b\"")], Pass),
            (&strong, &[("If-None-Match", "\"a,b")], Pass),
            (&strong, &[("If-None-Match", "a,b")], Pass),
            (&strong, &[("If-None-Match", "")], Pass),
            (&weak, &[("If-None-Match", "\"a\"")], NotModified),
            (&weak, &[("If-None-Match", "W/\"a\"")], NotModified),
            (&bare, &[("If-None-Match", "\"a\"")], Pass),
            (&bare, &[("If-None-Match", "*")], NotModified),
            (&odd, &[("If-None-Match", "abc")], NotModified),
            (&odd, &[("If-None-Match", "\"abc\"")], Pass),
            // If-Modified-Since: by Last-Modified, else by Date; never beside If-None-Match.
            (&strong, &[("If-Modified-Since", THEN)], NotModified),
            (&strong, &[("If-Modified-Since", AFTER)], NotModified),
            (&strong, &[("If-Modified-Since", BEFORE)], Pass),
            (&strong, &[("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")], NotModified),
            (&strong, &[("If-Modified-Since", "yesterday")], Pass),
            (&strong, &[("If-Modified-Since", AFTER), ("If-Modified-Since", AFTER)], Pass),
            (&strong, &[("If-Modified-Since", AFTER), ("If-None-Match", "\"x\"")], Pass),
            (&strong, &[("If-Modified-Since", BEFORE), ("If-None-Match", "*")], NotModified),
            (&bare, &[("If-Modified-Since", THEN)], NotModified),
            (&bare, &[("If-Modified-Since", BEFORE)], Pass),
            // If-Match: strong comparison.
            (&strong, &[("If-Match", "\"a,b\"")], Pass),
            (&strong, &[("If-Match", "\"x\", \"a,b\"")], Pass),
            (&strong, &[("If-Match", "*")], Pass),
            (&strong, &[("If-Match", "W/\"a,b\"")], Failed),
            (&strong, &[("If-Match", "\"x\"")], Failed),
            (&weak, &[("If-Match", "\"a\"")], Failed),
            (&weak, &[("If-Match", "W/\"a\"")], Failed),
            (&bare, &[("If-Match", "\"a\"")], Failed),
            (&odd, &[("If-Match", "abc")], Failed),
            (&strong, &[("If-Match", "\"a,b\""), ("If-None-Match", "\"a,b\"")], NotModified),
            (&strong, &[("If-Match", "\"x\""), ("If-None-Match", "\"a,b\"")], Failed),
            // If-Unmodified-Since: never beside If-Match.
            (&strong, &[("If-Unmodified-Since", THEN)], Pass),
            (&strong, &[("If-Unmodified-Since", BEFORE)], Failed),
            (&strong, &[("If-Unmodified-Since", "yesterday")], Pass),
            (&strong, &[("If-Unmodified-Since", BEFORE), ("If-Match", "*")], Pass),
            (&bare, &[("If-Unmodified-Since", BEFORE)], Pass),
        ] {
            assert_eq!(evaluate(&request(fields), stored), expect, "{fields:?}");
        }
    }

    #[test]
    fn conditions_are_about_representations_that_are_asked_for() {
        let asked = [("If-None-Match", "*"), ("If-Match", "\"x\"")];
        for status in [301, 304, 404, 500] {
            assert_eq!(evaluate(&request(&asked), &stored(status, &[])), Pass, "{status}");
        }
        let mut head = request(&asked[..1]);
        head.method = Method::Head;
        assert_eq!(evaluate(&head, &stored(200, &[])), NotModified);
        head.method = Method::Post;
        assert_eq!(evaluate(&head, &stored(200, &[])), Pass);
        assert!(is_for_origin(&request(&asked[1..])));
        assert!(is_for_origin(&request(&[("If-Unmodified-Since", THEN)])));
        assert!(!is_for_origin(&request(&asked[..1])));
    }

    #[test]
    fn years_of_two_digits_are_read_by_the_response_s_own_date() {
        let made = stored(
            200,
            &[
                ("Date", "Tue, 14 Jul 2026 09:12:33 GMT"),
                ("Last-Modified", "Monday, 13-Jul-26 16:00:00 GMT"),
            ],
        );
        let asked = |text| evaluate(&request(&[("If-Modified-Since", text)]), &made);
        assert_eq!(asked("Mon, 13 Jul 2026 16:00:00 GMT"), NotModified);
        assert_eq!(asked("Mon, 13 Jul 2026 15:59:59 GMT"), Pass);
        assert_eq!(asked("Monday, 13-Jul-26 16:00:00 GMT"), NotModified);
    }

    #[test]
    fn a_304_has_what_it_must_have_and_nothing_of_the_content() {
        let mut whole = vec![
            ("Date", LATER),
            ("ETag", "\"a\""),
            ("Last-Modified", THEN),
            ("Content-Type", "text/html"),
            ("Content-Encoding", "gzip"),
            ("Content-Language", "en"),
            ("Content-Location", "/a"),
            ("Content-Disposition", "inline"),
            ("Repr-Digest", "x"),
            ("Cache-Control", "max-age=1"),
            ("Expires", LATER),
            ("Vary", "Accept"),
            ("Access-Control-Allow-Origin", "*"),
        ];
        let names = |fields: &[(&str, &str)]| {
            let head = not_modified(&stored(200, fields));
            assert_eq!(head.status, 304);
            let name =
                |(_, name, _): (FieldId, &[u8], &[u8])| String::from_utf8_lossy(name).into_owned();
            head.fields.iter().map(name).collect::<Vec<_>>().join(" ")
        };
        let rest = "Content-Location Cache-Control Expires Vary Access-Control-Allow-Origin";
        assert_eq!(names(&whole), format!("Date ETag {rest}"));
        whole.remove(1);
        assert_eq!(names(&whole), format!("Date Last-Modified {rest}"));
    }

    proptest! {
        #[test]
        fn no_field_panics(
            value in "[\"W/*,a \\\\\u{e9}]{0,20}",
            tag in "(W/)?\"?[a,]{0,2}\"?",
            id in prop::sample::select(vec!["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"]),
        ) {
            let stored = stored(200, &[("ETag", &tag), ("Date", THEN)]);
            let _ = evaluate(&request(&[(id, &value)]), &stored);
        }

        /// A tag is found wherever it stands in a list.
        #[test]
        fn tags_are_found(before in prop::collection::vec("(W/)?\"[a-c,]{0,3}\"", 0..4), weak: bool) {
            let mut list = before.clone();
            list.push(format!("{}\"wanted\"", if weak { "W/" } else { "" }));
            let found = any_tag(list.join(" , ").as_bytes(), |_, opaque| opaque == b"wanted");
            prop_assert!(found);
            prop_assert!(!any_tag(before.join(",").as_bytes(), |_, opaque| opaque == b"wanted"));
        }
    }
}
