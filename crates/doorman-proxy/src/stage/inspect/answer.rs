//! An origin's answer before rules: its head, then its body, before anybody stores or codes it.

use doorman_http::{Body, BodyError, FieldId, Frame, Length, Method, ResponseHead};
use doorman_net::dial::{Answer, DialError};
use doorman_waf::{Transaction, Verdict};

use super::held::Held;
use super::request::{protocol, tell_head};
use super::{Ends, Post, has_content, settle};
use crate::exchange::Exchange;
use crate::inspection::{Inspection, Passes};
use crate::stop::Fault;

/// Shows an answer to rules; what they refuse is a fault. A request of the house beside a client's, and
/// one that asks an origin once more, is inspected anew: rules look at one answer each.
pub(crate) async fn answer(
    post: &Post<'_>,
    exchange: &mut Exchange,
    mut answer: Answer,
) -> Result<Answer, Fault> {
    let known = exchange.record().inspection.take();
    let (known, mut inspection) = match known {
        Some(inspection) if !inspection.has_answer => (None, inspection),
        other => (other, beside(post, exchange)?),
    };
    inspection.has_answer = true;
    inspection.with(|transaction, _| tell_answer(transaction, &answer));
    let mut passes = inspection.phase(Transaction::response_head);
    if matches!(passes, Passes::Yes) {
        let wants = inspection.with(|transaction, _| transaction.wants_response_body()).flatten();
        if let Some(most) = wants
            && is_held(exchange, &answer)
        {
            let body = std::mem::replace(&mut answer.body, Body::empty());
            match self::body(&mut inspection, most, body).await {
                Ok(body) => answer.body = body,
                Err(Cut::Origin(error)) => {
                    keep(exchange, known, inspection);
                    return Err(fault_of(error));
                }
                Err(Cut::Rules(refused)) => passes = refused,
            }
        }
    }
    if matches!(passes, Passes::Yes) {
        passes = inspection.phase(Transaction::response_end);
    }
    keep(exchange, known, inspection);
    match settle(passes) {
        Ok(()) => Ok(answer),
        Err(Ends::Fault(fault)) => Err(fault),
        // The answer to another question would be a surprise behind a store.
        Err(Ends::Redirect(_)) => Err(Fault::WafBlock(0, 403)),
    }
}

/// The first inspection of an exchange is what is told of it; later ones only decide.
fn keep(exchange: &mut Exchange, known: Option<Box<Inspection>>, this: Box<Inspection>) {
    exchange.record().inspection = Some(known.unwrap_or(this));
}

/// An inspection of a request that goes beside, with its head shown.
fn beside(post: &Post<'_>, exchange: &Exchange) -> Result<Box<Inspection>, Fault> {
    let mut inspection = post.begin(exchange);
    inspection.with(|transaction, _| tell_head(transaction, &exchange.head, Length::Absent));
    for phase in [Transaction::request_head, Transaction::request_end] {
        match settle(inspection.phase(phase)) {
            Ok(()) => {}
            Err(Ends::Fault(fault)) => return Err(fault),
            Err(Ends::Redirect(_)) => return Err(Fault::WafBlock(0, 403)),
        }
    }
    Ok(inspection)
}

fn tell_answer(transaction: &mut Transaction, answer: &Answer) {
    let head = &answer.head;
    transaction.response_line(head.status, protocol(head.version));
    let mut has_length = false;
    for (id, name, value) in head.fields.received() {
        has_length |= matches!(id, FieldId::ContentLength | FieldId::TransferEncoding);
        transaction.response_field(name, value);
    }
    let length = match answer.body.length() {
        Length::Known(length) => Some(length),
        Length::Absent | Length::Unknown => head.declared_length,
    };
    if let Some(length) = length.filter(|_| !has_length) {
        transaction.response_field(b"Content-Length", length.to_string().as_bytes());
    }
}

/// Whether an answer's body is held back: not what is coded, which nobody can read here, and not what goes
/// on piece by piece to one who waits for each.
fn is_held(exchange: &Exchange, answer: &Answer) -> bool {
    let head = &answer.head;
    let is_tunnel = head.status == 101 || exchange.head.method == Method::Connect;
    !is_tunnel && has_content(&answer.body) && !is_coded(head) && !is_stream(head)
}

fn is_coded(head: &ResponseHead) -> bool {
    let mut codings = head.fields.all(FieldId::ContentEncoding);
    codings.any(|coding| !coding.eq_ignore_ascii_case(b"identity"))
}

fn is_stream(head: &ResponseHead) -> bool {
    let kind = head.fields.first(FieldId::ContentType).unwrap_or_default();
    let is = |stream: &[u8]| {
        kind.get(..stream.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(stream))
    };
    is(b"text/event-stream") || is(b"application/grpc")
}

/// Why a body was not held back whole.
enum Cut {
    Origin(BodyError),
    Rules(Passes),
}

/// Holds a body back while rules are told of it: up to so many bytes, and what came with the last of them.
async fn body(inspection: &mut Inspection, most: u64, mut body: Body) -> Result<Body, Cut> {
    let length = body.length();
    let mut held = Held::default();
    loop {
        match body.frame().await {
            None => break,
            Some(Err(error)) => return Err(Cut::Origin(error)),
            Some(Ok(Frame::Trailers(trailers))) => {
                held.end(trailers);
                break;
            }
            Some(Ok(Frame::Data(data))) => {
                let told = inspection.with(|transaction, _| {
                    match transaction.response_body(data.as_slice()) {
                        Ok(()) => Verdict::Pass,
                        Err(refused) => refused,
                    }
                });
                match inspection.passes(told) {
                    Passes::Yes => {}
                    refused => return Err(Cut::Rules(refused)),
                }
                held.push(data);
                if held.bytes() > most {
                    break;
                }
            }
        }
    }
    Ok(held.join(body, length))
}

const fn fault_of(error: BodyError) -> Fault {
    match error {
        BodyError::UpstreamTimeout => Fault::Upstream(DialError::ResponseTimeout),
        BodyError::UpstreamMalformed(why) => Fault::Upstream(DialError::Malformed(why)),
        _ => Fault::Upstream(DialError::ClosedInHead),
    }
}
