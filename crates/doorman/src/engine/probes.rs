//! Health of servers, from a plan to the thread that looks after it.

use std::sync::Arc;

use doorman_control::probe::{Prober, Target, Ward, Way};
use doorman_http::Instant;
use doorman_net::Clock;
use doorman_proxy::Plan;

/// What a plan wants to be looked after.
fn wards(plan: &Plan) -> Vec<Ward> {
    let wards = plan.upstreams.iter().map(|upstream| Ward {
        upstream: upstream.name.clone(),
        checks: upstream.checks.clone(),
        passive: upstream.passive.clone(),
        outlier: upstream.outlier.clone(),
        servers: upstream
            .servers
            .iter()
            .map(|server| Target {
                server: server.name.clone(),
                way: Way {
                    address: server.address.clone(),
                    authority: server.authority.clone(),
                    tls: server.tls.clone(),
                    tls_single: server.tls_single.clone(),
                    protocol: server.protocol,
                    manner: upstream.manner,
                },
                state: Arc::clone(&server.state),
            })
            .collect(),
    });
    wards.filter(Ward::needs_care).collect()
}

/// Lets the prober look after what a plan wants, before the plan comes into force; starts it if there is
/// none and it is needed.
pub(super) fn follow(prober: &mut Option<Prober>, clock: Clock, old: Option<&Plan>, plan: &Plan) {
    let wards = wards(plan);
    let now = clock.now();
    if let Some(old) = old {
        welcome(old, plan, now.instant);
    }
    for ward in &wards {
        ward.prepare(now);
    }
    match prober {
        Some(prober) => prober.follow(wards),
        None if wards.is_empty() => {}
        None => {
            let started = super::seed()
                .and_then(|seed| Prober::start(clock, seed, wards).map_err(|e| e.to_string()));
            match started {
                Ok(started) => *prober = Some(started),
                Err(error) => tracing::error!("servers cannot be checked: {error}"),
            }
        }
    }
}

/// Lets servers that were added to an upstream begin with less than their part, if the upstream says so:
/// those that it had go on as they were.
fn welcome(old: &Plan, plan: &Plan, now: Instant) {
    for upstream in plan.upstreams.iter().filter(|upstream| upstream.slow_start().is_some()) {
        let Some(before) = old.upstreams.iter().find(|old| old.name == upstream.name) else {
            continue;
        };
        let is_old = |state| before.servers.iter().any(|old| Arc::ptr_eq(&old.state, state));
        if !upstream.servers.iter().any(|server| is_old(&server.state) && server.is_ready(now)) {
            continue;
        }
        for server in upstream.servers.iter().filter(|server| !is_old(&server.state)) {
            server.state.begin_slow_start(now);
        }
    }
}
