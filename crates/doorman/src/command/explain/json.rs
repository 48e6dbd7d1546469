//! An explanation for programs. Its names are a promise; the words of the text are none.

use doorman_config::Span;
use doorman_proxy::Verdict;
use doorman_proxy::explain::{Answer, Forward, Line, Outcome, Way};
use serde_json::{Value, json};

use super::{Told, text};

/// The whole object.
pub fn value(told: &Told<'_>) -> Value {
    let explanation = &told.explanation;
    let question = told.question;
    let now = told.looked.clock.now().unix_seconds();
    let routes = explanation.tried.iter().map(|tried| {
        let index = tried.route.0;
        let lost = match &tried.verdict {
            Verdict::Won => None,
            Verdict::Lost(reason) => Some(reason.to_string()),
        };
        json!({
            "name": told.route_name(index),
            "at": place(told, told.route_span(index)),
            "won": lost.is_none(),
            "why_lost": lost,
        })
    });
    json!({
        "request": {
            "method": question.method.as_str(),
            "scheme": question.scheme.as_str(),
            "authority": question.authority,
            "target": question.target,
            "protocol": explanation.version.as_str(),
            "client": explanation.client,
        },
        "listener": explanation.listener.map(|at| told.looked.plan.listeners[at].name.to_string()),
        "certificate": explanation.certificate.as_ref().map(|served| json!({
            "text": text::certificate(served, now),
            "local": served.certificates.is_empty(),
            "not_after": served.certificates.first().map(|one| one.facts().not_after),
        })),
        "site": told.site().map(|site| json!({
            "name": told.site_name(),
            "at": place(told, Some(site.span)),
        })),
        "routes": routes.collect::<Vec<_>>(),
        "route": explanation.route.map(|route| told.route_name(route).to_owned()),
        "outcome": outcome(told),
    })
}

fn place(told: &Told<'_>, span: Option<Span>) -> Value {
    let place = span.map(|span| told.place(span));
    place.map_or(Value::Null, |place| json!({ "file": place.path, "line": place.line }))
}

fn outcome(told: &Told<'_>) -> Value {
    match &told.explanation.outcome {
        Outcome::NoListener => json!({ "kind": "no-listener" }),
        Outcome::NoCertificate => json!({ "kind": "no-certificate" }),
        Outcome::Malformed(why) => json!({ "kind": "malformed", "why": why }),
        Outcome::NoSite => json!({ "kind": "no-site", "status": 404 }),
        Outcome::NoRoute => json!({ "kind": "no-route", "status": 404 }),
        Outcome::Fault(status, why) => json!({ "kind": "fault", "status": status, "why": why }),
        Outcome::Answer(given) => answer(given),
        Outcome::Forward(passed) => forward(passed, told),
    }
}

fn lines(fields: &[Line]) -> Vec<Value> {
    fields.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn answer(given: &Answer) -> Value {
    let location = given.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
    json!({
        "kind": "answer",
        "status": given.status,
        "location": location.map(|(_, location)| location),
        "headers": lines(&given.fields),
        "body": String::from_utf8_lossy(&given.body),
    })
}

fn forward(passed: &Forward, told: &Told<'_>) -> Value {
    json!({
        "kind": "forward",
        "path_before": passed.before,
        "path_after": passed.after,
        "request_added": lines(&passed.added),
        "request_removed": lines(&passed.removed),
        "response_added": lines(&passed.response),
        "response_removed": told.response_removed(),
        "body_max": passed.body_max,
        "buffer_request": passed.buffers.0,
        "buffer_response": passed.buffers.1,
        "upstreams": passed.ways.iter().map(|way| upstream(way, told)).collect::<Vec<_>>(),
    })
}

fn upstream(way: &Way, told: &Told<'_>) -> Value {
    let planned = &told.looked.plan.upstreams[way.upstream];
    let written = &told.looked.config.upstreams[way.upstream];
    let servers = planned.servers.iter().zip(&way.hosts).map(|(server, host)| {
        json!({
            "name": server.name.to_string(),
            "address": server.address.to_string(),
            "tls": server.tls.is_some(),
            "weight": server.weight,
            "host": host,
        })
    });
    json!({
        "name": planned.name.to_string(),
        "at": place(told, Some(written.span)),
        "share": f64::from(way.share) / 10_000.0,
        "balance": text::balance(written.balance.value),
        "servers": servers.collect::<Vec<_>>(),
        "timeouts_ms": {
            "connect": millis(way.times.connect),
            "response": millis(way.times.head),
            "idle": millis(way.times.idle),
            "whole": way.times.whole.map(millis),
        },
    })
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
