//! The head of an answer whose body gets another coding than its origin gave it.
//!
//! A coded form is another representation of the same resource (RFC 9110 section 8.8.3.3): whatever names
//! the bytes of the old one goes, or is made to speak of the meaning only. Lengths are not edited: framing
//! belongs to the codecs, which make it from the body. Only the length that an answer without a body
//! declares is taken off here, since nobody knows that of the coded form.

use doorman_http::coding::Coding;
use doorman_http::{FieldId, Fields, ResponseHead};

/// Fields that say something of the exact bytes: digests (RFC 9530; `Digest` of RFC 3230 and `Content-MD5`
/// before it), and that parts of them can be had.
const OF_BYTES: [&[u8]; 5] =
    [b"accept-ranges", b"content-digest", b"repr-digest", b"digest", b"content-md5"];

const ACCEPT_ENCODING: &[u8] = b"Accept-Encoding";

/// Edits the head of an answer whose body is coded with `coding` from now on.
pub fn coded_head(head: &mut ResponseHead, coding: Coding) {
    other_bytes(head);
    // What is there says `identity` at most.
    head.fields.remove_id(FieldId::ContentEncoding);
    head.fields.push_id(FieldId::ContentEncoding, coding.token().as_bytes());
}

/// Edits the head of an answer whose body is decoded from now on, of all codings that it had.
pub fn decoded_head(head: &mut ResponseHead) {
    other_bytes(head);
    head.fields.remove_id(FieldId::ContentEncoding);
}

/// Edits the head of an answer that goes out as it is, and would be coded for a client that takes that
/// (RFC 9110 section 12.5.5): a cache must not give it to that one. It is also for `304 Not Modified`, with
/// [`weak_tag`].
pub fn varied_head(head: &mut ResponseHead) {
    vary(&mut head.fields, ACCEPT_ENCODING);
}

/// Takes off the trailers what speaks of the bytes that the body had before.
pub fn coded_trailers(trailers: &mut Fields) {
    drop_digests(trailers);
    weak_tag(trailers);
}

fn other_bytes(head: &mut ResponseHead) {
    other_form(head);
    vary(&mut head.fields, ACCEPT_ENCODING);
}

/// Edits the head of an answer whose body is another form of what its origin gave: whatever speaks of the
/// bytes goes, and the entity tag speaks of the meaning alone.
pub fn other_form(head: &mut ResponseHead) {
    head.declared_length = None;
    drop_digests(&mut head.fields);
    weak_tag(&mut head.fields);
}

fn drop_digests(fields: &mut Fields) {
    for name in OF_BYTES {
        fields.remove(name);
    }
}

/// Makes the entity tag a weak one: all forms of an answer mean the same, but their bytes differ (RFC 9110
/// section 8.8.1). A tag that is none is dropped, since nothing sound could be made of it.
pub fn weak_tag(fields: &mut Fields) {
    let is_tag = |tag: &[u8]| tag.len() >= 2 && tag.starts_with(b"\"") && tag.ends_with(b"\"");
    let is_known =
        fields.all(FieldId::Etag).all(|tag| is_tag(tag.strip_prefix(b"W/").unwrap_or(tag)));
    if !is_known {
        fields.remove_id(FieldId::Etag);
        return;
    }
    fields.rewrite(FieldId::Etag, |tag| is_tag(tag).then(|| [b"W/", tag].concat()));
}

/// Adds a name to `Vary`, unless it is there or `*` says more.
pub fn vary(fields: &mut Fields, by: &[u8]) {
    let names = || fields.all(FieldId::Vary).flat_map(|line| line.split(|&b| b == b','));
    let says = |name: &[u8]| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(by)
    };
    if names().any(says) {
        return;
    }
    if names().all(|name| name.trim_ascii().is_empty()) {
        fields.remove_id(FieldId::Vary);
        fields.push_id(FieldId::Vary, by);
        return;
    }
    // One line for all of the names: some caches read no more than one.
    let mut line = Vec::new();
    for name in names().map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()) {
        line.extend_from_slice(name);
        line.extend_from_slice(b", ");
    }
    line.extend_from_slice(by);
    fields.remove_id(FieldId::Vary);
    fields.push_id(FieldId::Vary, &line);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[&str]) -> ResponseHead {
        let mut head = ResponseHead::new(200);
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        head
    }

    fn text(fields: &Fields) -> Vec<String> {
        let line = |(_, name, value): (_, &[u8], &[u8])| {
            format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        };
        fields.iter().map(line).collect()
    }

    fn check(before: &[&str], after: &[&str]) {
        let mut head = head(before);
        head.declared_length = Some(7);
        coded_head(&mut head, Coding::Brotli);
        assert_eq!(text(&head.fields), after, "{before:?}");
        assert_eq!(head.declared_length, None);
    }

    #[test]
    fn cin_12_a_coded_form_has_a_weak_tag() {
        let tail = ["vary: Accept-Encoding", "content-encoding: br"];
        let tagged = |tag: &str, expect: Option<&str>| {
            let before = format!("ETag: {tag}");
            let after = expect.map(|tag| format!("ETag: {tag}"));
            let after: Vec<_> = after.iter().map(String::as_str).chain(tail).collect();
            check(&[&before], &after);
        };
        tagged("\"abc\"", Some("W/\"abc\""));
        tagged("W/\"abc\"", Some("W/\"abc\""));
        tagged("\"\"", Some("W/\"\""));
        tagged("W/\"\"", Some("W/\"\""));
        // What is no tag.
        tagged("abc", None);
        tagged("\"", None);
        tagged("W/", None);
        tagged("W/abc", None);
        tagged("w/\"abc\"", None);
        tagged("\"abc", None);
        tagged("", None);
        check(&[], &tail);
    }

    #[test]
    fn accept_encoding_is_in_vary_once() {
        let coding = "content-encoding: br";
        check(&["Vary: Accept"], &["vary: Accept, Accept-Encoding", coding]);
        check(
            &["Vary: Accept", "vary: Origin,"],
            &["vary: Accept, Origin, Accept-Encoding", coding],
        );
        check(&["Vary: accept-ENCODING"], &["Vary: accept-ENCODING", coding]);
        check(&["Vary: a ,Accept-Encoding , b"], &["Vary: a ,Accept-Encoding , b", coding]);
        check(&["Vary: a", "Vary: Accept-Encoding"], &["Vary: a", "Vary: Accept-Encoding", coding]);
        check(&["Vary: *"], &["Vary: *", coding]);
        check(&["Vary: a, *"], &["Vary: a, *", coding]);
        check(&["Vary: "], &["vary: Accept-Encoding", coding]);
        check(&["Vary: , ,"], &["vary: Accept-Encoding", coding]);
        check(&["Vary: X-Accept-Encoding"], &["vary: X-Accept-Encoding, Accept-Encoding", coding]);
    }

    #[test]
    fn what_is_said_of_other_bytes_goes() {
        let tail = ["vary: Accept-Encoding", "content-encoding: br"];
        check(
            &[
                "Accept-Ranges: bytes",
                "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
                "Digest: sha-256=x",
                "Content-Digest: sha-256=:eA==:",
                "Repr-Digest: sha-256=:eA==:",
                "repr-digest: sha-512=:eA==:",
                "Content-Encoding: identity",
            ],
            &tail,
        );
        check(
            &["Want-Repr-Digest: sha-256=1", "Last-Modified: x", "Content-Type: text/html"],
            &[
                "Want-Repr-Digest: sha-256=1",
                "Last-Modified: x",
                "Content-Type: text/html",
                tail[0],
                tail[1],
            ],
        );
        let mut trailers =
            head(&["Repr-Digest: sha-256=:eA==:", "Server-Timing: a", "ETag: \"x\""]);
        coded_trailers(&mut trailers.fields);
        assert_eq!(text(&trailers.fields), ["Server-Timing: a", "ETag: W/\"x\""]);
    }

    #[test]
    fn a_decoded_form_is_another_one_too() {
        let mut head =
            head(&["Content-Encoding: gzip", "ETag: \"x\"", "Digest: y", "Content-encoding: br"]);
        decoded_head(&mut head);
        assert_eq!(text(&head.fields), ["ETag: W/\"x\"", "vary: Accept-Encoding"]);
    }

    #[test]
    fn what_stays_as_it_is_varies_all_the_same() {
        let mut head = head(&["ETag: \"x\"", "Accept-Ranges: bytes"]);
        head.declared_length = Some(7);
        varied_head(&mut head);
        assert_eq!(
            text(&head.fields),
            ["ETag: \"x\"", "Accept-Ranges: bytes", "vary: Accept-Encoding"]
        );
        assert_eq!(head.declared_length, Some(7));
    }
}
