//! How the plan's upstreams find out which of their servers are ill.

use std::sync::Arc;
use std::time::Duration;

use doorman_balance::Settings;
use doorman_balance::health::outlier::OutlierRules;
use doorman_balance::health::passive::{PassiveRules, Signs};
use doorman_balance::health::{
    Check, CheckKind, Expect, FieldExpect, Initial, Pace, Pattern, StatusSpan,
};
use doorman_config::{
    FailureSign, HealthCheck, HealthKind, InitialHealth, Outlier, Passive, Span, StatusRange,
    Upstream,
};

use super::compile::{Faults, code};

/// The checks of an upstream.
pub(super) fn checks(upstream: &Upstream, faults: &mut Faults) -> Vec<Check> {
    upstream.health.iter().filter_map(|written| check(written, faults)).collect()
}

/// When its requests take a server out.
pub(super) fn passive(written: &Passive) -> Arc<PassiveRules> {
    let has = |sign: FailureSign| written.on.iter().any(|on| on.value == sign);
    let on = if written.on.is_empty() {
        Signs::default()
    } else {
        Signs {
            connect_error: has(FailureSign::ConnectError),
            timeout: has(FailureSign::Timeout),
            reset: has(FailureSign::Reset),
            statuses: written
                .on
                .iter()
                .filter_map(|on| match on.value {
                    FailureSign::Status(range) => Some(span(range)),
                    _ => None,
                })
                .collect(),
        }
    };
    let (fails, within) = written.fails.value;
    Arc::new(PassiveRules { fails, within, eject: written.eject.value, on })
}

/// When a server does worse than its peers.
pub(super) fn outlier(written: &Outlier) -> OutlierRules {
    OutlierRules {
        errors: written.errors.value,
        latency: written.latency.value,
        every: written.every.value,
        eject: written.eject.value,
        at_most: written.at_most.value,
        requests_min: u64::from(written.requests_min.value),
    }
}

/// How servers come back, and what holds when none is well.
pub(super) fn settings(upstream: &Upstream) -> Settings {
    Settings {
        slow_start: upstream.slow_start.as_ref().map_or(Duration::ZERO, |time| time.value),
        fail_open: upstream.fail_open.is_some(),
        mitigate: upstream.balancing.mitigate,
    }
}

fn check(written: &HealthCheck, faults: &mut Faults) -> Option<Check> {
    let host = written.host.as_ref().map(|host| host.value.as_str().into());
    let kind = match &written.kind {
        HealthKind::Tcp => CheckKind::Tcp,
        HealthKind::Grpc(service) => CheckKind::Grpc { service: service.as_str().into(), host },
        HealthKind::Http(method, path) => CheckKind::Http {
            method: method.as_str().into(),
            path: path.as_str().into(),
            host,
            fields: written
                .headers
                .iter()
                .map(|header| (header.value.0.as_str().into(), header.value.1.as_str().into()))
                .collect(),
            expect: expect(written, faults)?,
        },
    };
    let pace = Pace {
        every: written.every.value,
        while_healthy: written.while_healthy.as_ref().map(|time| time.value),
        timeout: written.timeout.value,
        fall: written.fall.value,
        rise: written.rise.value,
        initial: match written.initial.value {
            InitialHealth::Up => Initial::Up,
            InitialHealth::Down => Initial::Down,
        },
    };
    Some(Check { kind, pace, port: written.port.as_ref().map(|port| port.value) })
}

fn expect(written: &HealthCheck, faults: &mut Faults) -> Option<Expect> {
    let mut body = Vec::new();
    for text in &written.body {
        body.push(pattern(&text.value, text.span, faults)?);
    }
    let mut fields = Vec::new();
    for field in &written.fields {
        let (name, text) = &field.value;
        let pattern = match text {
            None => None,
            Some(text) => Some(pattern(text, field.span, faults)?),
        };
        fields.push(FieldExpect { name: name.as_str().into(), pattern });
    }
    let mut expect = Expect { body, fields, ..Expect::default() };
    if !written.statuses.is_empty() {
        expect.statuses = written.statuses.iter().map(|range| span(range.value)).collect();
    }
    Some(expect)
}

fn pattern(text: &str, at: Span, faults: &mut Faults) -> Option<Pattern> {
    match Pattern::new(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            faults.error(code::EXPRESSION, at, error.to_string());
            None
        }
    }
}

fn span(range: StatusRange) -> StatusSpan {
    StatusSpan { first: range.first, last: range.last }
}
