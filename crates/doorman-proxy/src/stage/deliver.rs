//! What answers get on their way to browsers: that they do not change, that they are what they say,
//! and where the time went.

use std::fmt::Write;

use doorman_http::{FieldId, Instant, Length, Method, Response, ResponseHead};

use super::hint;
use crate::exchange::Exchange;
use crate::plan::PlanDelivery;

/// What a response is whose server says nothing of it (RFC 9110 section 8.3).
const UNKNOWN: &[u8] = b"application/octet-stream";

/// Marks an answer before the operator's own edits, which may say something else.
pub(crate) fn mark(delivery: &PlanDelivery, exchange: &Exchange, response: &mut Response) {
    // What follows a switch of protocols is no answer.
    if response.head.status == 101 {
        return;
    }
    if let Some(value) = &delivery.immutable
        && is_lasting(exchange, &response.head)
    {
        let fields = &mut response.head.fields;
        let _ = fields.set(b"cache-control", value.as_bytes());
        // What older caches would go by says something else.
        fields.remove_id(FieldId::Expires);
        fields.remove_id(FieldId::Pragma);
    }
    if delivery.sniff_guard {
        let untyped = !response.head.fields.has(FieldId::ContentType);
        if untyped && has_content(&exchange.head.method, response) {
            response.head.fields.push_id(FieldId::ContentType, UNKNOWN);
        }
        let _ = response.head.fields.set(b"x-content-type-options", b"nosniff");
    }
}

/// Whether an answer may be said to be the same for all, and for long. That a server forbids others
/// to have it, or sets a cookie with it, goes before what the operator says: a route that catches more
/// than was meant must not put one user's page into the caches of others.
fn is_lasting(exchange: &Exchange, head: &ResponseHead) -> bool {
    if !matches!(exchange.head.method, Method::Get | Method::Head) || is_private(head) {
        return false;
    }
    // RFC 9110 sections 15.3.7 and 15.4.5: a part and a 304 say what the whole would. But where a 304
    // says nothing, what the client knows stays: it may be private.
    match head.status {
        200 | 206 => {}
        304 if head.fields.has(FieldId::CacheControl) => {}
        _ => return false,
    }
    // RFC 9111 section 3.5: `public` would let caches give others what was this user's to see.
    let mut received = exchange.head.fields.received();
    let is_authorized = received.any(|(id, ..)| id == FieldId::Authorization);
    !is_authorized || is_shared(head)
}

/// Whether a server says that an answer is one client's, or it sets a cookie. What stands in quotes is
/// taken for a directive too, which errs on the careful side.
pub(crate) fn is_private(head: &ResponseHead) -> bool {
    head.fields.has(FieldId::SetCookie) || says(head, &[b"private", b"no-store"])
}

/// Whether a server says that an answer may be given to others.
pub(crate) fn is_shared(head: &ResponseHead) -> bool {
    says(head, &[b"public", b"s-maxage"])
}

fn says(head: &ResponseHead, names: &[&[u8]]) -> bool {
    let lines = head.fields.all(FieldId::CacheControl);
    let mut directives = lines.flat_map(|line| line.split(|b| *b == b','));
    directives.any(|directive| {
        let name = directive.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii();
        names.iter().any(|one| name.eq_ignore_ascii_case(one))
    })
}

fn has_content(method: &Method, response: &Response) -> bool {
    if *method == Method::Head {
        return !response.head.is_bodiless() && response.head.declared_length != Some(0);
    }
    !matches!(response.body.length(), Length::Absent | Length::Known(0))
}

/// The last that is done to an answer: it is learned from, and told how long it took.
pub(crate) fn finish(
    delivery: &PlanDelivery,
    exchange: &mut Exchange,
    response: &mut Response,
    now: Instant,
) {
    hint::learn(exchange, response);
    if delivery.server_timing && response.head.status != 101 {
        let value = timing(exchange, now);
        // Behind the server's own, of which there may be several, too (Server Timing section 3).
        response.head.fields.push(b"server-timing", value.as_bytes());
    }
}

/// What took how long, up to here: the server from when it could be asked to its head, and everything
/// else, waiting for a server and connecting to it included.
fn timing(exchange: &mut Exchange, now: Instant) -> String {
    let record = exchange.record();
    let mut value = String::with_capacity(64);
    if let Some(cached) = record.cached {
        let _ = write!(value, "cache;desc={}, ", cached.as_str());
    }
    let whole = now.micros_since(record.started.instant);
    let asked = record.connected.zip(record.answered);
    let origin = asked.map(|(connected, answered)| answered.micros_since(connected));
    if let Some(micros) = origin {
        let _ = write!(value, "origin;dur={}, ", Millis(micros));
    }
    let _ = write!(value, "doorman;dur={}", Millis(whole.saturating_sub(origin.unwrap_or(0))));
    value
}

/// Microseconds, written as milliseconds.
struct Millis(u64);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// What would be done to an answer: each by its word in configurations.
pub(crate) fn tell(delivery: &PlanDelivery, exchange: &Exchange) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    if delivery.hints.is_some() {
        let text = hint::refusal(&exchange.head).map_or_else(
            || {
                "103 with what earlier answers to this URL linked, over HTTP/2 and HTTP/3, while its server works"
                    .to_owned()
            },
            |why| format!("none for this request: {why}"),
        );
        told.push(("early-hints", text));
    }
    if delivery.server_timing {
        told.push(("server-timing", "cache, origin and doorman".to_owned()));
    }
    if let Some(value) = &delivery.immutable {
        let is_kept = matches!(exchange.head.method, Method::Get | Method::Head);
        let text = if is_kept {
            format!(
                "Cache-Control: {value}, with 200, unless it is private, no-store or sets a cookie"
            )
        } else {
            "not for this method".to_owned()
        };
        told.push(("immutable", text));
    }
    if delivery.sniff_guard {
        let text = "X-Content-Type-Options: nosniff; application/octet-stream if it has no type";
        told.push(("sniff-guard", text.to_owned()));
    }
    told
}
