//! Section 4.4: what a change makes out of date (CPO-21).

use doorman_cache::invalidates;
use doorman_http::{Method, RequestHead, Scheme};

use super::kit::response;

fn request(host: &str, scheme: Scheme) -> RequestHead {
    let mut head = RequestHead::default();
    head.scheme = scheme;
    head.fields.push(b"Host", host.as_bytes());
    head.set_target(b"/a/b?c=d").expect("a target");
    head
}

fn targets(method: &str, status: u16, request: &RequestHead, text: &str) -> Vec<String> {
    let method = Method::from_bytes(method.as_bytes()).expect("a token");
    invalidates(&method, status, request, &response(status, text))
        .map(|target| {
            let path = String::from_utf8(target.path).expect("text");
            match target.query {
                Some(query) => format!("{path}?{}", String::from_utf8(query).expect("text")),
                None => path,
            }
        })
        .collect()
}

#[test]
fn unsafe_methods_that_succeed() {
    let head = request("example.com", Scheme::Https);
    for (method, status, expect) in [
        ("POST", 200, true),
        ("PUT", 201, true),
        ("DELETE", 204, true),
        ("PATCH", 303, true),
        ("M-SEARCH", 200, true),
        ("PURGE", 399, true),
        ("POST", 400, false),
        ("POST", 500, false),
        ("POST", 101, false),
        ("GET", 200, false),
        ("HEAD", 200, false),
        ("OPTIONS", 200, false),
        ("TRACE", 200, false),
        ("CONNECT", 200, false),
    ] {
        let expect: &[&str] = if expect { &["/a/b?c=d", "/x"] } else { &[] };
        assert_eq!(targets(method, status, &head, "Location: /x"), expect, "{method} {status}");
    }
}

#[test]
fn only_targets_of_the_same_origin() {
    let plain = request("example.com", Scheme::Http);
    let secure = request("Example.com:8443", Scheme::Https);
    for (reference, of_plain, of_secure) in [
        ("/x?y", Some("/x?y"), Some("/x?y")),
        ("/x?", Some("/x?"), Some("/x?")),
        ("/x#y", Some("/x"), Some("/x")),
        ("x", Some("/a/x"), Some("/a/x")),
        ("./x/../y", Some("/a/y"), Some("/a/y")),
        ("../x", Some("/x"), Some("/x")),
        ("?e", Some("/a/b?e"), Some("/a/b?e")),
        ("", Some("/a/b?c=d"), Some("/a/b?c=d")),
        ("#x", Some("/a/b?c=d"), Some("/a/b?c=d")),
        ("/%61", Some("/a"), Some("/a")),
        ("http://example.com/x", Some("/x"), None),
        ("HTTP://EXAMPLE.COM/x", Some("/x"), None),
        ("http://example.com:80/x", Some("/x"), None),
        ("http://example.com", Some("/"), None),
        ("http://example.com?y", Some("/?y"), None),
        ("//example.com/x", Some("/x"), None),
        ("//example.com:8443/x", None, Some("/x")),
        ("https://example.com:8443/x", None, Some("/x")),
        ("https://example.com/x", None, None),
        ("http://example.com:8080/x", None, None),
        ("http://example.org/x", None, None),
        ("//example.org/x", None, None),
        ("http://user@example.com/x", None, None),
        ("http:///x", None, None),
        ("http:/x", None, None),
        ("http:x", None, None),
        ("mailto:x", None, None),
        ("javascript:1", None, None),
        ("/x%zz", None, None),
    ] {
        for (head, expect) in [(&plain, of_plain), (&secure, of_secure)] {
            for field in ["Location", "Content-Location"] {
                let found = targets("POST", 200, head, &format!("{field}: {reference}"));
                let expect: Vec<&str> = ["/a/b?c=d"].into_iter().chain(expect).collect();
                assert_eq!(found, expect, "{reference}");
            }
        }
    }
    let both = targets("POST", 200, &plain, "Content-Location: y | Location: x");
    assert_eq!(both, ["/a/b?c=d", "/a/x", "/a/y"]);
}

#[test]
fn the_server_as_a_whole_has_no_target() {
    let mut head = RequestHead::default();
    head.method = Method::Options;
    head.fields.push(b"Host", b"example.com");
    head.set_target(b"*").unwrap();
    assert_eq!(targets("POST", 200, &head, ""), [""; 0]);
}
