//! What coding bodies took, and what it saved, on the cores of requests and in the workshop.

use doorman_http::coding::Coding;
use doorman_proxy::metrics::CodingCounters;
use doorman_proxy::{Direction, WorkshopCounts};

use super::text::{Kind, Page, seconds};
use crate::engine::Engine;

/// What of a coding is counted.
#[derive(Clone, Copy)]
enum Of {
    Bodies,
    BytesIn,
    BytesOut,
    Nanos,
}

/// Codings of which a body was coded or decoded, so that a page without any stays short.
pub(super) fn write(page: &mut Page, engine: &Engine) {
    let all = || Direction::ALL.into_iter().flat_map(|d| Coding::ALL.map(|coding| (d, coding)));
    let used: Vec<_> = all().filter(|which| count(engine, *which, Of::Bodies) > 0).collect();
    let mut family = |name: &'static str, help: &str, of: Of| {
        page.family(name, help, Kind::Counter);
        for &(direction, coding) in &used {
            let labels = [("coding", coding.token()), ("direction", direction.as_str())];
            let count = count(engine, (direction, coding), of);
            match of {
                Of::Nanos => page.text("", &labels, &seconds(count / 1_000)),
                _ => page.sample("", &labels, count),
            }
        }
    };
    let help = "Bodies that were coded, or of which a coding was taken off.";
    family("doorman_coding_bodies_total", help, Of::Bodies);
    let help = "Bytes that were coded, or of which a coding was taken off.";
    family("doorman_coding_in_bytes_total", help, Of::BytesIn);
    let help = "Bytes that came of it.";
    family("doorman_coding_out_bytes_total", help, Of::BytesOut);
    let help = "Time of processors that it took.";
    family("doorman_coding_cpu_seconds_total", help, Of::Nanos);
    let plan = engine.plan();
    if plan.wants_workshop() {
        workshop(page, &plan.workshop().counts());
    }
}

fn count(engine: &Engine, (direction, coding): (Direction, Coding), of: Of) -> u64 {
    if direction == Direction::Improve {
        let counts = engine.plan().workshop().codings(coding);
        return match of {
            Of::Bodies => counts.bodies,
            Of::BytesIn => counts.bytes_in,
            Of::BytesOut => counts.bytes_out,
            Of::Nanos => counts.nanos,
        };
    }
    let field = |counters: &CodingCounters| match of {
        Of::Bodies => counters.bodies.read(),
        Of::BytesIn => counters.bytes_in.read(),
        Of::BytesOut => counters.bytes_out.read(),
        Of::Nanos => counters.nanos.read(),
    };
    let cores = engine.counters();
    cores.map(|core| field(&core.codings()[direction as usize][coding as usize])).sum()
}

fn workshop(page: &mut Page, counts: &WorkshopCounts) {
    let mut one = |name: &'static str, help: &str, kind: Kind, value: u64| {
        page.family(name, help, kind);
        page.sample("", &[], value);
    };
    let help = "Things that are kept and wait to be made smaller.";
    one("doorman_workshop_waiting", help, Kind::Gauge, counts.waiting);
    let help = "Bytes of bodies that wait with them.";
    one("doorman_workshop_waiting_bytes", help, Kind::Gauge, counts.waiting_bytes);
    let help = "Works of the workshop that came to an end.";
    one("doorman_workshop_done_total", help, Kind::Counter, counts.done);
    let help = "Works that were not done because too many waited.";
    one("doorman_workshop_dropped_total", help, Kind::Counter, counts.dropped);
    let help = "Works that failed by a fault of the program.";
    one("doorman_workshop_panics_total", help, Kind::Counter, counts.panicked);
}
