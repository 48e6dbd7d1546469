//! A request before rules: its head, then its body.

use doorman_http::{Body, BodyError, FieldId, Frame, Length, RequestHead, Version};
use doorman_waf::{Transaction, Verdict};

use super::held::{self, Held};
use super::{Ends, Post, has_content, settle};
use crate::exchange::Exchange;
use crate::inspection::{Inspection, Passes};
use crate::stage::grpc;
use crate::stop::Fault;

/// Shows a request to rules; `Ok`: it may go on.
pub(crate) async fn request(post: &Post<'_>, exchange: &mut Exchange) -> Result<(), Ends> {
    let mut inspection = post.begin(exchange);
    let body = exchange.body.as_ref().map_or(Length::Absent, Body::length);
    inspection.with(|transaction, _| tell_head(transaction, &exchange.head, body));
    let passes = inspection.phase(Transaction::request_head);
    let wants = inspection.with(|transaction, _| transaction.wants_request_body()).flatten();
    exchange.record().inspection = Some(inspection);
    settle(passes)?;
    if let Some(most) = wants
        && is_held(post, exchange)
    {
        self::body(post, most, exchange).await?;
    }
    settle(with(exchange, |inspection| inspection.phase(Transaction::request_end)))?;
    super::want_plain(post.waf, exchange);
    Ok(())
}

/// The inspection of a request; one that is not there lets pass.
fn with(exchange: &mut Exchange, call: impl FnOnce(&mut Inspection) -> Passes) -> Passes {
    exchange.record().inspection.as_mut().map_or(Passes::Yes, |inspection| call(inspection))
}

/// Whether a body is held back: not what goes on after an upgrade, and not a call of gRPC, whose client
/// may wait for an answer before it goes on. Where no server takes calls, what looks like one is none.
fn is_held(post: &Post<'_>, exchange: &Exchange) -> bool {
    let is_call = post.waf.takes_calls && grpc::is_whole_call(&exchange.head);
    let is_stream = exchange.head.upgrade.is_some() || is_call;
    !is_stream && exchange.body.as_ref().is_some_and(has_content)
}

/// Tells rules of a head: its line as it was received, and its fields in their order.
pub(crate) fn tell_head(transaction: &mut Transaction, head: &RequestHead, body: Length) {
    let protocol = protocol(head.version);
    transaction.request_line(head.method.as_str().as_bytes(), head.received_target(), protocol);
    let fields = &head.fields;
    let (mut has_host, mut has_length) = (false, false);
    // Joined to one, as a client that sends no crumbs would have sent it (RFC 9113 section 8.2.3).
    let joins = fields.all(FieldId::Cookie).nth(1).is_some();
    let mut cookies: Vec<u8> = Vec::new();
    for (id, name, value) in fields.received() {
        match id {
            // Ours: the client's own is gone before anybody sees it.
            FieldId::XRequestId => continue,
            FieldId::Cookie if joins => {
                if !cookies.is_empty() {
                    cookies.extend_from_slice(b"; ");
                }
                cookies.extend_from_slice(value);
                continue;
            }
            FieldId::Host => has_host = true,
            FieldId::ContentLength | FieldId::TransferEncoding => has_length = true,
            _ => {}
        }
        transaction.request_field(name, value);
    }
    if joins {
        transaction.request_field(b"Cookie", &cookies);
    }
    if !has_host && !head.authority().is_empty() {
        transaction.request_field(b"Host", head.authority());
    }
    if let Length::Known(length) = body
        && !has_length
    {
        transaction.request_field(b"Content-Length", length.to_string().as_bytes());
    }
}

/// The protocol as rules know it.
pub(super) const fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 => b"HTTP/1.1",
        Version::Http2 => b"HTTP/2.0",
        Version::Http3 => b"HTTP/3.0",
    }
}

/// Holds a body back while rules are told of it: up to so many bytes, and what came with the last of them.
async fn body(post: &Post<'_>, most: u64, exchange: &mut Exchange) -> Result<(), Ends> {
    let Some(mut body) = exchange.body.take() else { return Ok(()) };
    let length = body.length();
    // Known beforehand: nobody is asked to send it.
    if post.waf.refuses_long && matches!(length, Length::Known(n) if n > most) {
        exchange.body = Some(body);
        if let Some(inspection) = &mut exchange.record().inspection {
            inspection.refuse_long();
        }
        return Err(Fault::BodyTooLarge.into());
    }
    let mut held = Held::default();
    loop {
        match body.frame().await {
            None => break,
            Some(Err(error)) => return Err(cut(error).into()),
            Some(Ok(Frame::Trailers(trailers))) => {
                held.end(trailers);
                break;
            }
            Some(Ok(Frame::Data(data))) => {
                let told = with(exchange, |inspection| {
                    let told = inspection.with(|transaction, _| {
                        match transaction.request_body(data.as_slice()) {
                            Ok(()) => Verdict::Pass,
                            Err(refused) => refused,
                        }
                    });
                    inspection.passes(told)
                });
                settle(told)?;
                if held::is_full_up() {
                    return Err(Fault::Crowded("too much is held back for inspection", 1).into());
                }
                held.push(data);
                if held.bytes() > most {
                    break;
                }
            }
        }
    }
    // The client has had its leave, and the origin need not be asked for it.
    exchange.head.expects_continue = false;
    exchange.body = Some(held.join(body, length));
    Ok(())
}

const fn cut(error: BodyError) -> Fault {
    Fault::Client(error)
}
