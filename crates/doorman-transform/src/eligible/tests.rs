use doorman_http::Upgrade;
use proptest::prelude::*;

use super::*;

const OFFERED: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

/// An answer that is coded, unless something is changed.
struct Case {
    request: RequestHead,
    response: ResponseHead,
    length: Length,
    guard: Guard,
}

fn case() -> Case {
    let mut request = RequestHead::default();
    request.fields.push(b"Accept-Encoding", b"br, gzip");
    let mut response = ResponseHead::new(200);
    response.fields.push(b"Content-Type", b"text/html; charset=utf-8");
    Case { request, response, length: Length::Known(1000), guard: Guard::Careful }
}

impl Case {
    fn asked(mut self, name: &str, value: &str) -> Self {
        assert!(self.request.fields.set(name.as_bytes(), value.as_bytes()));
        self
    }

    fn answered(mut self, name: &str, value: &str) -> Self {
        assert!(self.response.fields.set(name.as_bytes(), value.as_bytes()));
        self
    }

    fn status(mut self, status: u16) -> Self {
        self.response.status = status;
        self
    }

    fn method(mut self, method: Method) -> Self {
        self.request.method = method;
        self
    }

    fn length(mut self, length: Length) -> Self {
        self.length = length;
        self
    }

    fn declared(mut self, length: Option<u64>) -> Self {
        self.response.declared_length = length;
        self
    }

    fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }
}

/// Texts, and what is built on JSON and XML.
fn types() -> TypeSet {
    let patterns = ["text/*", "*/*+json", "*/*+xml", "application/json", "application/javascript"];
    TypeSet::new(patterns.into_iter().chain(["application/wasm", "font/ttf"])).expect("patterns")
}

#[track_caller]
fn check(case: Case, expect: &str) {
    let types = types();
    let rules = CodeRules { offered: &OFFERED, min: 512, types: &types, guard: case.guard };
    let got = match eligible(&Asked::of(&case.request), &case.response, case.length, &rules) {
        Verdict::Code(coding) => coding.token(),
        Verdict::Not(reason) => reason.word(),
    };
    assert_eq!(got, expect);
}

#[test]
fn methods_and_statuses() {
    check(case(), "br");
    check(case().method(Method::Post), "br");
    check(case().method(Method::Other("REPORT".into())), "br");
    check(case().method(Method::Connect), "method");
    check(case().method(Method::Trace), "method");
    for status in [200, 201, 203, 207, 300, 301, 400, 403, 404, 500, 503, 599] {
        check(case().status(status), "br");
    }
    for status in [100, 103, 204, 205, 226, 304] {
        check(case().status(status), "status");
    }
    check(case().status(206), "range");
    check(case().answered("Content-Range", "bytes 0-9/10"), "range");
    check(case().status(416).answered("Content-Range", "bytes */10"), "range");
    check(case().status(101), "upgrade");
    let mut upgrade = case();
    upgrade.response.upgrade = Some(Upgrade::WebSocket);
    check(upgrade, "upgrade");
}

#[test]
fn the_head_that_head_gets_is_that_of_get() {
    let head = || case().method(Method::Head).length(Length::Absent);
    check(head().declared(Some(1000)), "br");
    check(head().declared(Some(100)), "small");
    check(head().declared(None), "br");
    check(head().declared(Some(1000)).asked("Accept-Encoding", "x"), "not-accepted");
}

#[test]
fn only_listed_types_are_coded() {
    let of = |value: &str| case().answered("Content-Type", value);
    for value in [
        "text/plain",
        "TEXT/HTML",
        "text/css;charset=x",
        "application/json",
        "application/ld+json ; a=b",
        "image/svg+xml",
        "application/manifest+JSON",
        "application/wasm",
        "font/ttf",
    ] {
        check(of(value), "br");
    }
    for value in [
        "image/png",
        "application/octet-stream",
        "application/zip",
        "font/woff2",
        "text",
        "text/",
        "/",
        "",
        "json",
        "+json",
        "application/jsonx",
        "application/json/x",
        ";text/html",
    ] {
        check(of(value), "type");
    }
    let mut none = case();
    none.response.fields.remove(b"content-type");
    check(none, "type");
    let mut two = case();
    two.response.fields.push(b"Content-Type", b"image/png");
    check(two, "type");
}

#[test]
fn streams_are_left_alone() {
    for value in [
        "text/event-stream",
        "Text/Event-Stream; charset=utf-8",
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web-text",
        "application/GRPC+json",
    ] {
        check(case().answered("Content-Type", value), "stream");
    }
    check(case().answered("Content-Type", "text/event-streams"), "br");
}

#[test]
fn lengths() {
    check(case().length(Length::Known(512)), "br");
    check(case().length(Length::Known(511)), "small");
    check(case().length(Length::Known(0)), "small");
    check(case().length(Length::Absent), "small");
    check(case().length(Length::Unknown), "br");
    let types = types();
    let rules = CodeRules { offered: &OFFERED, min: 0, types: &types, guard: Guard::Off };
    let Case { request, response, .. } = case();
    let verdict = |length| eligible(&Asked::of(&request), &response, Length::Known(length), &rules);
    assert_eq!(verdict(0), Verdict::Not(Reason::Small));
    assert_eq!(verdict(1), Verdict::Code(Coding::Brotli));
}

#[test]
fn who_forbids_changes_is_heard() {
    for value in [
        "no-transform",
        "public, No-Transform , max-age=1",
        "private=\"a, b\", no-transform",
        "x=\"\\\"\", no-transform",
        "no-transform=1",
    ] {
        check(case().answered("Cache-Control", value), "no-transform");
        check(case().asked("Cache-Control", value), "no-transform");
    }
    for value in ["no-transforms", "x=\"a, no-transform\"", "x=no-transform", "max-age=1", ""] {
        check(case().answered("Cache-Control", value), "br");
    }
    let mut lines = case().answered("Cache-Control", "max-age=1");
    lines.response.fields.push(b"cache-control", b"no-transform");
    check(lines, "no-transform");
}

#[test]
fn what_is_coded_is_not_coded_again() {
    for value in ["gzip", "br", "identity, gzip", "aes128gcm", "foo"] {
        check(case().answered("Content-Encoding", value), "coded");
    }
    for value in ["identity", "", " , ", "Identity,identity"] {
        check(case().answered("Content-Encoding", value), "br");
    }
}

#[test]
fn secrets() {
    check(case().answered("Set-Cookie", "a=1"), "secret");
    check(case().asked("Authorization", "Basic x"), "secret");
    check(case().answered("Set-Cookie", "a=1").guard(Guard::Off), "br");
    check(case().asked("Authorization", "Basic x").guard(Guard::Off), "br");
    check(case().asked("Cookie", "a=1"), "br");
}

#[test]
fn what_the_client_takes_is_asked_last() {
    let deaf = || case().asked("Accept-Encoding", "identity");
    check(deaf(), "not-accepted");
    check(deaf().answered("Content-Type", "image/png"), "type");
    check(deaf().answered("Set-Cookie", "a"), "secret");
    check(deaf().length(Length::Known(1)), "small");
    let mut silent = case();
    silent.request.fields.remove(b"accept-encoding");
    check(silent, "not-accepted");
}

#[test]
fn patterns() {
    for bad in [
        "",
        "text",
        "/",
        "text/",
        "/html",
        "*",
        "*/html",
        "te*/x",
        "a/b*",
        "*/*+",
        "*/*json",
        "a/*+b",
        "a b/c",
        "text/html; a=b",
    ] {
        assert_eq!(TypeSet::new([bad]), Err(TypeError), "{bad}");
    }
    let check = |pattern: &str, fits: &[&str], not: &[&str]| {
        let types = TypeSet::new([pattern]).unwrap();
        for essence in fits {
            assert!(types.has(essence.as_bytes()), "{pattern} {essence}");
        }
        for essence in not {
            assert!(!types.has(essence.as_bytes()), "{pattern} {essence}");
        }
    };
    check("*/*", &["a/b", "A/*"], &["", "a"]);
    check("Text/*", &["text/x", "TEXT/X"], &["text/", "text", "textx/y"]);
    check("*/*+JSON", &["a/b+json", "A/B+Json"], &["a/json", "+json", "a/b+jsonx", "json"]);
    check("a/B", &["a/b", "A/b"], &["a/bb", "a/", "aa/b"]);
    assert!(!TypeSet::new([]).unwrap().has(b"a/b"));
}

#[test]
fn each_reason_has_a_word_of_its_own() {
    let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.word()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Reason::ALL.len());
}

proptest! {
    #[test]
    fn no_field_panics(
        kind in prop::collection::vec(any::<u8>(), 0..30),
        control in "[no\\-transform=\",\\\\ a]{0,40}",
    ) {
        let mut case = case();
        case.response.fields.remove(b"content-type");
        case.response.fields.push(b"Content-Type", &kind);
        case.response.fields.push(b"Content-Encoding", &kind);
        case.response.fields.push(b"Cache-Control", control.as_bytes());
        let types = types();
        let rules = CodeRules { offered: &OFFERED, min: 1, types: &types, guard: case.guard };
        let _ = eligible(&Asked::of(&case.request), &case.response, case.length, &rules);
        crate::coded_head(&mut case.response, Coding::Gzip);
    }
}

#[test]
fn what_the_request_says_is_known_beforehand() {
    let types = types();
    let offered = [Coding::Brotli, Coding::Gzip];
    let rules = |guard| CodeRules { offered: &offered, min: 0, types: &types, guard };
    for (fields, guard, expect) in [
        (&[("Accept-Encoding", "gzip")][..], Guard::Careful, Verdict::Code(Coding::Gzip)),
        (&[("Accept-Encoding", "zstd")], Guard::Careful, Verdict::Not(Reason::NotAccepted)),
        (&[], Guard::Careful, Verdict::Not(Reason::NotAccepted)),
        (
            &[("Accept-Encoding", "br"), ("Authorization", "x y")],
            Guard::Careful,
            Verdict::Not(Reason::Secret),
        ),
        (
            &[("Accept-Encoding", "br"), ("Authorization", "x y")],
            Guard::Off,
            Verdict::Code(Coding::Brotli),
        ),
        (
            &[("Accept-Encoding", "br"), ("Cache-Control", "no-transform")],
            Guard::Off,
            Verdict::Not(Reason::NoTransform),
        ),
    ] {
        let mut request = RequestHead::default();
        for (name, value) in fields {
            request.fields.push(name.as_bytes(), value.as_bytes());
        }
        assert_eq!(promised(&Asked::of(&request), &rules(guard)), expect, "{fields:?}");
    }
    let mut connect = RequestHead::default();
    connect.method = Method::Connect;
    let verdict = promised(&Asked::of(&connect), &rules(Guard::Off));
    assert_eq!(verdict, Verdict::Not(Reason::Method));
}
