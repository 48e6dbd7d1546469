//! What gRPC asks of a proxy: its deadlines kept, and faults told in its own words.
//!
//! A client of gRPC reads the outcome of a call from the field `grpc-status`, not from the status of
//! HTTP, so what goes wrong here is answered with 200 and that field and no content, as a server
//! answers that has nothing else to say ("Trailers-Only" in gRPC's own specification).

mod cut;

use std::time::Duration;

use doorman_http::{Body, FieldId, Fields, Method, RequestHead, Response, Version};
use doorman_net::dial::Answer;
use doorman_net::heads;

use crate::exchange::Exchange;
use crate::stop::Fault;

/// The media type of calls; `+proto` and others may follow.
const TYPE: &[u8] = b"application/grpc";
/// Digits that a timeout may have.
const DIGITS_MAX: usize = 8;

/// Whether a request is a call of gRPC.
pub(crate) fn is_call(head: &RequestHead) -> bool {
    has_type(&head.fields)
}

/// Whether a request is a call in all that a server would ask for. What merely has the type may be
/// anything to a server that goes by something else.
pub(crate) fn is_whole_call(head: &RequestHead) -> bool {
    let is_only = head.fields.all(FieldId::ContentType).nth(1).is_none();
    let is_post = head.method == Method::Post && head.version >= Version::Http2;
    is_post && is_only && head.takes_trailers && is_call(head)
}

fn has_type(fields: &Fields) -> bool {
    let kind = fields.first(FieldId::ContentType);
    kind.and_then(|kind| kind.strip_prefix(TYPE))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// How long a call may take, if its client says so. Every call takes trailers, so nothing is looked
/// for in other requests.
pub(crate) fn timeout(head: &RequestHead) -> Option<Duration> {
    if !head.takes_trailers || !is_call(head) {
        return None;
    }
    parse(head.fields.first_named(b"grpc-timeout")?)
}

/// At most eight digits and a unit.
fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0, |n: u64, digit| n * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(n * 3600),
        b'M' => Duration::from_secs(n * 60),
        b'S' => Duration::from_secs(n),
        b'm' => Duration::from_millis(n),
        b'u' => Duration::from_micros(n),
        b'n' => Duration::from_nanos(n),
        _ => return None,
    })
}

/// Lets the response to a call end by trailers if it breaks off, and the record know of it.
pub(crate) fn watch(exchange: &mut Exchange, answer: &mut Answer) {
    if is_call(&exchange.head) && has_type(&answer.head.fields) {
        let id = exchange.id();
        exchange.record().told = cut::told(&mut answer.body, id);
    }
}

/// The answer to a call that faulted.
pub(crate) fn fault(fault: &Fault, id: &[u8]) -> Response {
    let code = fault.grpc_code();
    let mut head = heads::response();
    head.status = 200;
    head.fields.push_id(FieldId::ContentType, TYPE);
    head.fields.push(b"grpc-status", code.number());
    // Neither the words nor an id have a byte that gRPC would have escaped.
    let message = [fault.grpc_words().as_bytes(), b"; request ", id].concat();
    head.fields.push(b"grpc-message", &message);
    head.fields.push_id(FieldId::XRequestId, id);
    Response { head, body: Body::empty() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(kind: &str, timeout: &str) -> RequestHead {
        let mut head = RequestHead::default();
        head.takes_trailers = true;
        head.fields.push(b"content-type", kind.as_bytes());
        head.fields.push(b"grpc-timeout", timeout.as_bytes());
        head
    }

    #[test]
    fn calls_are_known_by_their_type() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=x", true),
            ("application/grpc-web", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(is_call(&call(kind, "1S")), expected, "{kind}");
        }
    }

    #[test]
    fn a_type_alone_makes_no_call() {
        let whole = || {
            let mut head = call("application/grpc+proto", "1S");
            head.method = Method::Post;
            head.version = Version::Http2;
            head
        };
        assert!(is_whole_call(&whole()));
        let lacks: [fn(&mut RequestHead); 5] = [
            |head| head.version = Version::Http11,
            |head| head.method = Method::Put,
            |head| head.takes_trailers = false,
            |head| {
                head.fields.push(b"content-type", b"application/json");
            },
            |head| {
                head.fields.remove_id(FieldId::ContentType);
                head.fields.push(b"content-type", b"application/json");
            },
        ];
        for (at, lack) in lacks.iter().enumerate() {
            let mut head = whole();
            lack(&mut head);
            assert!(!is_whole_call(&head), "{at}");
        }
    }

    #[test]
    fn timeouts_have_a_number_and_a_unit() {
        let check = |text, expected: Option<Duration>| {
            assert_eq!(timeout(&call("application/grpc", text)), expected, "{text}");
        };
        check("1H", Some(Duration::from_secs(3600)));
        check("2M", Some(Duration::from_secs(120)));
        check("3S", Some(Duration::from_secs(3)));
        check("99999999m", Some(Duration::from_millis(99_999_999)));
        check("5u", Some(Duration::from_micros(5)));
        check("6n", Some(Duration::from_nanos(6)));
        for text in ["", "S", "1", "1s", "-1S", "1 S", "123456789S", "1SS"] {
            check(text, None);
        }
        let other = call("application/json", "1S");
        assert_eq!(timeout(&other), None, "no call");
        let mut old = call("application/grpc", "1S");
        old.takes_trailers = false;
        assert_eq!(timeout(&old), None, "no client of gRPC");
    }
}
