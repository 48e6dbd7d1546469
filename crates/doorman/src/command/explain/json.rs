//! An explanation for programs. Its names are a promise; the words of the text are none.

use doorman_config::{ClientAuthMode, Span};
use doorman_proxy::Verdict;
use doorman_proxy::explain::{Answer, Forward, Guarded, Line, Outcome, Way};
use serde_json::{Value, json};

use super::{Told, cache, form, running, text, waf};

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
            "local": !served.local.is_empty(),
            "not_after": served.certificates.first().map(|one| one.facts().not_after),
        })),
        "acme": explanation.is_proof,
        "site": told.site().map(|site| json!({
            "name": told.site_name(),
            "at": place(told, Some(site.span)),
        })),
        "early_data": if told.takes_early_data() { "safe" } else { "off" },
        "client_auth": told.client_auth().map(|asked| json!({
            "required": asked.value.mode == ClientAuthMode::Require,
            "ca": asked.value.ca.value,
            "crl": asked.value.crl.as_ref().map(|crl| &crl.value),
        })),
        "mtls": told.route().is_some_and(|route| route.options.mtls.is_some()),
        "routes": routes.collect::<Vec<_>>(),
        "route": explanation.route.map(|route| told.route_name(route).to_owned()),
        "guards": explanation.guards.iter().map(guarded).collect::<Vec<_>>(),
        "waf": explanation.waf.as_ref().map(waf::value),
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
        "side": passed.side.as_ref().map(|side| {
            let way = side.way.and_then(|way| passed.ways.get(way));
            let name = way.map(|way| told.looked.plan.upstreams[way.upstream].name.to_string());
            json!({ "upstream": name, "why": side.why })
        }),
        "mirror": passed.mirror.map(|(upstream, share)| json!({
            "upstream": told.looked.plan.upstreams[upstream].name.to_string(),
            "share": f64::from(share) / 10_000.0,
        })),
        "form": form::value(passed),
        "cache": passed.cache.as_ref().map(|found| cache::value(found, told)),
        "delivery": passed
            .delivery
            .iter()
            .map(|(word, what)| ((*word).to_owned(), Value::from(what.as_str())))
            .collect::<serde_json::Map<_, _>>(),
        "upstreams": passed.ways.iter().map(|way| upstream(way, told)).collect::<Vec<_>>(),
    })
}

fn upstream(way: &Way, told: &Told<'_>) -> Value {
    let planned = &told.looked.plan.upstreams[way.upstream];
    let written = &told.looked.config.upstreams[way.upstream];
    let standing = told.standing(way.upstream);
    let balance = text::balance(written);
    let pick = standing.as_ref().map(|all| running::pick(&balance, all));
    let servers = planned.servers.iter().zip(&way.hosts).enumerate().map(|(at, (server, host))| {
        let mut value = json!({
            "name": server.name.to_string(),
            "address": server.address.to_string(),
            "tls": server.tls.is_some(),
            "protocol": server.spoken(),
            "weight": server.weight,
            "tier": server.tier,
            "role": server.role_word(),
            "in_flight_max": server.in_flight_max,
            "host": host,
        });
        if let Some(one) = standing.as_ref().and_then(|all| all.get(at)) {
            value["running"] = json!(one);
            value["running"]["picked"] =
                pick.as_ref().is_some_and(|(_, names)| names.contains(&one.name)).into();
        }
        value
    });
    let discover = written.discover.iter().map(|one| one.source.value.to_string());
    json!({
        "name": planned.name.to_string(),
        "at": place(told, Some(written.span)),
        "share": f64::from(way.share) / 10_000.0,
        "balance": balance,
        "servers": servers.collect::<Vec<_>>(),
        "sticky": way.sticky,
        "health": text::health(planned),
        "discover": discover.collect::<Vec<_>>(),
        "pick": pick.as_ref().map(|(words, _)| words),
        "script": way.script,
        "source": way.source.map(|source| source.to_string()),
        "proxy_protocol": way.proxy_protocol,
        "resilience": planned
            .resilience_words()
            .into_iter()
            .map(|(name, words)| (name.to_owned(), Value::from(words)))
            .collect::<serde_json::Map<_, _>>(),
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

fn guarded(one: &Guarded) -> Value {
    json!({
        "word": one.word,
        "rule": one.rule,
        "says": one.says,
        "refuses": one.refuses,
    })
}
