//! What coding bodies took, and what it saved.

use doorman_http::coding::Coding;
use doorman_proxy::Direction;
use doorman_proxy::metrics::{CodingCounters, Counter};

use super::text::{Kind, Page, seconds};
use crate::engine::Engine;

/// Codings of which a body was coded or decoded, so that a page without any stays short.
pub(super) fn write(page: &mut Page, engine: &Engine) {
    let sum = |direction: Direction, coding: Coding, field: fn(&CodingCounters) -> &Counter| {
        let cores = engine.counters();
        cores.map(|core| field(&core.codings()[direction as usize][coding as usize]).read()).sum()
    };
    let all = || Direction::ALL.into_iter().flat_map(|d| Coding::ALL.map(|coding| (d, coding)));
    let used = |(direction, coding): &(Direction, Coding)| -> bool {
        let bodies: u64 = sum(*direction, *coding, |counters| &counters.bodies);
        bodies > 0
    };
    let used: Vec<_> = all().filter(used).collect();
    let mut family = |name: &'static str, help: &str, field: fn(&CodingCounters) -> &Counter| {
        page.family(name, help, Kind::Counter);
        for (direction, coding) in &used {
            let labels = [("coding", coding.token()), ("direction", direction.as_str())];
            let count: u64 = sum(*direction, *coding, field);
            page.sample("", &labels, count);
        }
    };
    let help = "Bodies that were coded, or of which a coding was taken off.";
    family("doorman_coding_bodies_total", help, |counters| &counters.bodies);
    let help = "Bytes that were coded, or of which a coding was taken off.";
    family("doorman_coding_in_bytes_total", help, |counters| &counters.bytes_in);
    let help = "Bytes that came of it.";
    family("doorman_coding_out_bytes_total", help, |counters| &counters.bytes_out);
    let help = "Time of cores that it took.";
    page.family("doorman_coding_cpu_seconds_total", help, Kind::Counter);
    for (direction, coding) in &used {
        let labels = [("coding", coding.token()), ("direction", direction.as_str())];
        let nanos: u64 = sum(*direction, *coding, |counters| &counters.nanos);
        page.text("", &labels, &seconds(nanos / 1_000));
    }
}
