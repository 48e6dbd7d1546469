//! What was made smaller, and at what cost.

use doorman_proxy::MadeOf;

use super::text::{Kind, Page, seconds};
use crate::engine::Engine;

/// Kinds of which anything was tried, so that a page without any stays short.
pub(super) fn write(page: &mut Page, engine: &Engine) {
    let mut all = engine.ground().made.all();
    all.retain(|of| of.made + of.refused > 0);
    let help = "Stored answers that were to be made smaller, by what came of it.";
    page.family("doorman_optimize_forms_total", help, Kind::Counter);
    for of in &all {
        page.sample("", &[("kind", of.kind), ("result", "made")], of.made);
        page.sample("", &[("kind", of.kind), ("result", "refused")], of.refused);
    }
    let mut family = |name, help, field: fn(&MadeOf) -> u64| {
        page.family(name, help, Kind::Counter);
        for of in &all {
            page.sample("", &[("kind", of.kind)], field(of));
        }
    };
    let help = "Bytes of what was made smaller.";
    family("doorman_optimize_in_bytes_total", help, |of| of.bytes_in);
    family("doorman_optimize_out_bytes_total", "Bytes that came of it.", |of| of.bytes_out);
    let help = "Time of threads that it took, whatever came of it.";
    page.family("doorman_optimize_cpu_seconds_total", help, Kind::Counter);
    for of in &all {
        page.text("", &[("kind", of.kind)], &seconds(of.nanos / 1_000));
    }
}
