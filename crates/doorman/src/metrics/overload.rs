//! Series about more to do than can be done.

use doorman_proxy::Squeeze;
use doorman_proxy::metrics::{Counter, OverloadCounters};

use super::text::{Kind, Page, seconds};
use crate::engine::Engine;

/// Priorities in the order of [`OverloadCounters::refused`].
const PRIORITIES: [&str; 3] = ["low", "normal", "high"];

/// Writes them, of all cores.
pub(super) fn write(page: &mut Page, engine: &Engine) {
    let cores: Vec<_> = engine.counters().map(|core| core.overload()).collect();
    let sum =
        |of: fn(&OverloadCounters) -> &Counter| cores.iter().map(|core| of(core).read()).sum();
    if engine.plan().config.global.overload.is_some() {
        let help = "How much of its load a core refuses: 0, nothing, to 1000, nearly everything.";
        page.family("doorman_overload_level", help, Kind::Gauge);
        for (index, core) in cores.iter().enumerate() {
            page.sample("", &[("core", &index.to_string())], core.level.read());
        }
        let help = "How late a core was when it looked last.";
        page.family("doorman_overload_late_seconds", help, Kind::Gauge);
        for (index, core) in cores.iter().enumerate() {
            page.text("", &[("core", &index.to_string())], &seconds(core.late_micros.read()));
        }
        let help = "Requests that were refused because there was more to do than could be done.";
        page.family("doorman_overload_refused_total", help, Kind::Counter);
        for (at, priority) in PRIORITIES.iter().enumerate() {
            let refused: u64 = cores.iter().map(|core| core.refused[at].read()).sum();
            page.sample("", &[("reason", "delay"), ("priority", priority)], refused);
        }
        page.sample(
            "",
            &[("reason", "memory"), ("priority", "")],
            sum(|core| &core.refused_memory),
        );
    }
    let help = "What could not be opened because no descriptor was left for it.";
    page.family("doorman_descriptors_exhausted_total", help, Kind::Counter);
    page.sample("", &[("side", "client")], sum(|core| &core.unplaced));
    page.sample("", &[("side", "upstream")], sum(|core| &core.unsent));
    let Some(memory) = engine.memory() else { return };
    let help = "Memory that counts against the bound of overload.";
    page.one("doorman_overload_memory_used_bytes", help, Kind::Gauge, &[], memory.used);
    let help = "Memory that may be in use.";
    page.one("doorman_overload_memory_bound_bytes", help, Kind::Gauge, &[], memory.bound);
    let help = "What is done because memory is scarce: 0, nothing, to 4, all requests are refused.";
    let step = Squeeze::ALL.iter().position(|step| *step == memory.step).unwrap_or_default();
    page.one("doorman_overload_memory_step", help, Kind::Gauge, &[], step as u64);
}
