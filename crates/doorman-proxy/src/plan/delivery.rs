//! What answers of a route get on their way to browsers, ready to run.

use std::sync::{Arc, PoisonError};

use doorman_config::Delivery;
use doorman_net::seal;

use super::compile::{Faults, code};
use super::{Ground, PlanEnding};
use crate::hints::Hints;

/// What a route's answers get; a route without any of it has none.
pub(crate) struct PlanDelivery {
    /// `None`: browsers get no early hints.
    pub(crate) hints: Option<PlanHints>,
    /// Whether clients are told where the time went.
    pub(crate) server_timing: bool,
    /// What `Cache-Control` says of answers that do not change.
    pub(crate) immutable: Option<Box<str>>,
    /// Whether browsers are kept from guessing what an answer is.
    pub(crate) sniff_guard: bool,
}

/// Early hints of a route.
pub(crate) struct PlanHints {
    pub(crate) known: Arc<Hints>,
    /// Site and route, each with a byte behind it that no name holds: no two routes share what they
    /// learn.
    pub(crate) place: Box<[u8]>,
}

impl PlanDelivery {
    pub(super) fn compile(
        ground: &Ground,
        (site, route): (&str, &str),
        written: &Delivery,
        ending: &PlanEnding,
        faults: &mut Faults,
    ) -> Option<Box<Self>> {
        // What the house answers itself takes no time in which hints could be of use.
        let hinted = written.early_hints.value && matches!(ending, PlanEnding::Proxy(_));
        let hints = hinted.then(|| ground.hints()).transpose().unwrap_or_else(|error| {
            let span = written.early_hints.span.unwrap_or_default();
            faults.error(code::SEAL_KEY, span, error);
            None
        });
        let delivery = Self {
            hints: hints.map(|known| PlanHints {
                known,
                place: format!("{site}\0{route}\0").into_bytes().into(),
            }),
            server_timing: written.server_timing.value,
            immutable: written
                .immutable
                .as_ref()
                .map(|time| format!("public, max-age={}, immutable", time.value.as_secs()).into()),
            sniff_guard: written.sniff_guard.value,
        };
        let Self { hints, server_timing, immutable, sniff_guard } = &delivery;
        let any = hints.is_some() || *server_timing || immutable.is_some() || *sniff_guard;
        any.then(|| Box::new(delivery))
    }
}

impl Ground {
    /// What earlier answers linked, the same for every plan that tells of it, as long as one is held.
    fn hints(&self) -> Result<Arc<Hints>, String> {
        let mut known = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hints) = known.upgrade() {
            return Ok(hints);
        }
        let hints = Hints::new(seal::secret_words().map_err(|error| error.to_string())?);
        *known = Arc::downgrade(&hints);
        Ok(hints)
    }
}
