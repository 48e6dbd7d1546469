//! Answers that the house gives itself: redirects, fixed answers, errors.

use bytes::Bytes;
use doorman_http::template::Template;
use doorman_http::{Body, FieldId, Method, Response};
use doorman_net::heads;
use doorman_net::tls::Proofs;
use doorman_transform::{Context, error_page, expand_text, expand_url};

use super::edit;
use crate::exchange::Exchange;
use crate::plan::{ErrorContent, PlanRoute};
use crate::stop::{Fault, Stop};

/// A redirect.
pub(crate) fn redirect(
    route: &PlanRoute,
    exchange: &mut Exchange,
    to: &Template,
    status: u16,
) -> Stop {
    let bad = || Stop::Fault(Fault::BadEdit("redirect made a URL that cannot be sent"));
    let location = edit::with_facts(exchange, |head, facts| {
        expand_url(to, &Context { head, facts }).map(|url| url.into_owned())
    });
    let Ok(location) = location else { return bad() };
    let mut response = plain(status, Bytes::new());
    if !response.head.fields.append(b"location", &location) {
        return bad();
    }
    edit::own(route, exchange, &mut response);
    Stop::Answer(Box::new(response))
}

/// A redirect that a rule wants, to a place that it has made.
pub(crate) fn elsewhere(route: &PlanRoute, exchange: &mut Exchange, to: &str, status: u16) -> Stop {
    let mut response = plain(status, Bytes::new());
    if !response.head.fields.append(b"location", to.as_bytes()) {
        return Stop::Fault(Fault::BadEdit("a rule made a URL that cannot be sent"));
    }
    response.head.fields.push_id(FieldId::CacheControl, b"no-store");
    edit::own(route, exchange, &mut response);
    Stop::Answer(Box::new(response))
}

/// A fixed answer.
pub(crate) fn respond(
    route: &PlanRoute,
    exchange: &mut Exchange,
    status: u16,
    text: Option<&Template>,
) -> Stop {
    let body = match text.map(|text| expand(exchange, text)).transpose() {
        Ok(body) => body,
        Err(fault) => return Stop::Fault(fault),
    };
    let has_text = body.is_some();
    let mut response = plain(status, body.unwrap_or_default());
    if has_text {
        response.head.fields.push_id(FieldId::ContentType, b"text/plain; charset=utf-8");
    }
    edit::own(route, exchange, &mut response);
    Stop::Answer(Box::new(response))
}

/// The answer to a certificate authority that asks whether a name is ours (RFC 8555 section 8.3). It goes ahead of
/// every route and of the redirect to HTTPS, and only for a token that is asked about now. The authority asks in the
/// clear.
pub(crate) fn proof(proofs: &Proofs, exchange: &Exchange) -> Option<Stop> {
    if !proofs.is_any() || exchange.conn().tls.is_some() {
        return None;
    }
    let head = &exchange.head;
    if !matches!(head.method, Method::Get | Method::Head) {
        return None;
    }
    let text = proofs.http_answer(head.host(), head.path())?;
    let mut response = plain(200, Bytes::copy_from_slice(text.as_bytes()));
    response.head.fields.push_id(FieldId::ContentType, b"application/octet-stream");
    Some(Stop::Answer(Box::new(response)))
}

/// The answer to a fault: the route's own page for its status, or ours with the request id.
pub(crate) fn fault(exchange: &mut Exchange, route: Option<&PlanRoute>, status: u16) -> Response {
    if let Some(response) = route.and_then(|route| page(exchange, route, status)) {
        return response;
    }
    let id = exchange.id();
    let id = std::str::from_utf8(&id).unwrap_or_default();
    let page = error_page(status, id, exchange.head.fields.first(FieldId::Accept));
    let mut response = plain(status, page.body);
    let fields = &mut response.head.fields;
    fields.push_id(FieldId::ContentType, page.content_type.as_bytes());
    fields.push_id(FieldId::CacheControl, b"no-store");
    fields.push_id(FieldId::XRequestId, id.as_bytes());
    response
}

/// The route's page for a status, if it has one.
pub(crate) fn page(exchange: &mut Exchange, route: &PlanRoute, status: u16) -> Option<Response> {
    match route.pages.of(status)? {
        ErrorContent::File(content, kind) => {
            let mut response = plain(status, content.clone());
            response.head.fields.push_id(FieldId::ContentType, kind.as_bytes());
            Some(response)
        }
        ErrorContent::Text(other, text) => {
            let body = expand(exchange, text).ok()?;
            let mut response = plain(other.unwrap_or(status), body);
            response.head.fields.push_id(FieldId::ContentType, b"text/plain; charset=utf-8");
            Some(response)
        }
    }
}

fn expand(exchange: &mut Exchange, text: &Template) -> Result<Bytes, Fault> {
    if let Some(text) = text.as_text() {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    }
    edit::with_facts(exchange, |head, facts| {
        expand_text(text, &Context { head, facts }).map(|text| Bytes::from(text.into_owned()))
    })
    .map_err(|_| Fault::BadEdit("respond made a text that is too long"))
}

pub(crate) fn plain(status: u16, content: Bytes) -> Response {
    let mut head = heads::response();
    head.status = status;
    // 204 and 304 have no content, and no length of one (RFC 9110 section 8.6).
    let body = if head.is_bodiless() { Body::empty() } else { Body::whole(content) };
    Response { head, body }
}
