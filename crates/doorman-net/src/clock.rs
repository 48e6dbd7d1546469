//! The only place that reads a clock.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use doorman_http::{Instant, Now};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

thread_local! {
    static RECENT: Cell<Instant> = const { Cell::new(Instant(0)) };
}

/// Both clocks. In the simulation the monotonic one is virtual and the wall clock follows it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
    virtual_epoch: Option<u64>,
}

impl Clock {
    /// The system's clocks. The origin of the monotonic clock is this call.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn system() -> Self {
        Self { origin: tokio::time::Instant::now(), virtual_epoch: None }
    }

    /// Clocks of a simulation: `unix_nanos` is the wall clock's first reading, and it advances
    /// with tokio's paused time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn simulated(unix_nanos: u64) -> Self {
        Self { origin: tokio::time::Instant::now(), virtual_epoch: Some(unix_nanos) }
    }

    /// The monotonic clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn instant(&self) -> Instant {
        let instant = Instant(nanos(tokio::time::Instant::now().duration_since(self.origin)));
        RECENT.set(instant);
        instant
    }

    /// The monotonic clock as this thread read it last. For marks that may lie a little in the
    /// past, right behind a reading: a reading costs as much as parsing a field.
    #[must_use]
    pub fn recent(&self) -> Instant {
        match RECENT.get() {
            Instant(0) => self.instant(),
            recent => recent,
        }
    }

    /// Both clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn now(&self) -> Now {
        let instant = self.instant();
        let unix_nanos = match self.virtual_epoch {
            Some(epoch) => epoch.saturating_add(instant.0),
            None => nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
        };
        Now { instant, unix_nanos }
    }

    pub(crate) fn timer(&self, at: Instant) -> tokio::time::Instant {
        self.origin + Duration::from_nanos(at.0)
    }
}

/// TLS asks for the wall clock by itself: for the lives of certificates and ticket keys.
impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_nanos(self.now().unix_nanos)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
