//! Series of what upstreams do when servers fail or have no room.

use doorman_proxy::plan::{BreakerState, Refused, Resilience};

use super::text::{Kind, Page};
use crate::engine::Engine;

/// Writes them for the upstreams of the plan in force that say anything about it.
pub(super) fn write(page: &mut Page, engine: &Engine) {
    let plan = engine.plan();
    let known: Vec<(&str, &Resilience)> = plan
        .upstreams
        .iter()
        .filter_map(|upstream| Some((&*upstream.name, upstream.resilience()?)))
        .take(super::SERIES_MAX)
        .collect();
    if known.is_empty() {
        return;
    }
    let help =
        "Requests that wait for a server: queue for one with room, park for one that is there.";
    page.family("doorman_upstream_waiting", help, Kind::Gauge);
    lines(page, &known, |line| u64::from(line.len()));
    let help = "Requests that waited for a server or still do.";
    page.family("doorman_upstream_waited_total", help, Kind::Counter);
    lines(page, &known, |line| line.joined());
    let help = "Requests that an upstream refused, by the reason.";
    page.family("doorman_upstream_refused_total", help, Kind::Counter);
    for (upstream, books) in &known {
        for why in Refused::ALL {
            let labels = [("upstream", *upstream), ("reason", why.word())];
            page.sample("", &labels, books.refused(why));
        }
    }
    let help = "Requests that were not sent again, because the budget of retries was spent.";
    page.family("doorman_upstream_retries_denied_total", help, Kind::Counter);
    for (upstream, books) in &known {
        page.sample("", &[("upstream", upstream)], books.budget.denied());
    }
    let help = "How the breaker stands: 0 closed, 1 half-open, 2 open.";
    page.family("doorman_upstream_breaker_state", help, Kind::Gauge);
    for (upstream, books) in &known {
        let state = match books.breaker.state() {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open { .. } => 2,
        };
        page.sample("", &[("upstream", upstream)], state);
    }
    let help = "How often the breaker opened.";
    page.family("doorman_upstream_breaker_opened_total", help, Kind::Counter);
    for (upstream, books) in &known {
        page.sample("", &[("upstream", upstream)], books.breaker.opened());
    }
}

fn lines(
    page: &mut Page,
    known: &[(&str, &Resilience)],
    count: impl Fn(&doorman_proxy::plan::Line) -> u64,
) {
    for (upstream, books) in known {
        for (name, line) in [("park", &books.park), ("queue", &books.queue)] {
            page.sample("", &[("upstream", upstream), ("line", name)], count(line));
        }
    }
}
