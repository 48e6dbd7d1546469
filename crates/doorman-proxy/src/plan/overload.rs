//! When there is more to do than can be done.

pub use doorman_config::MemoryBound;
use doorman_config::{ChallengeWhen, Config, Guard};
use doorman_limit::{Priority, ShedRules};

/// How late a core may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlanOverload {
    pub(crate) rules: ShedRules,
    /// Whether requests are refused for it; if not, it only matters to who is asked to pay.
    pub(crate) sheds: bool,
}

/// When it matters how late a core is.
pub(super) fn rules(config: &Config) -> Option<PlanOverload> {
    let written = config.global.overload.as_ref();
    if let Some(written) = written
        && let Some(target) = written.delay.value
    {
        let rules = ShedRules { target, interval: written.interval.value };
        return Some(PlanOverload { rules, sheds: true });
    }
    let asks_when_busy = |guard: &Guard| {
        guard.challenge.as_ref().is_some_and(|one| one.when.value == ChallengeWhen::WhenBusy)
    };
    let mut routes = config.sites.iter().flat_map(|site| &site.routes);
    routes
        .any(|route| asks_when_busy(&route.options.guard))
        .then(|| PlanOverload { rules: ShedRules::default(), sheds: false })
}

/// The memory that the process may take.
pub(super) fn memory(config: &Config) -> Option<MemoryBound> {
    config.global.overload.as_ref().and_then(|written| written.memory.value)
}

/// How much requests of a route matter.
pub(super) fn priority(guard: &Guard) -> Priority {
    use doorman_config::Priority as Written;
    match guard.priority.map(|priority| priority.value) {
        Some(Written::Low) => Priority::Low,
        Some(Written::High) => Priority::High,
        Some(Written::Normal) | None => Priority::Normal,
    }
}
