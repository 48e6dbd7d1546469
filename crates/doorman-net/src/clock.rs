//! The only place that reads a clock.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use doorman_http::{Instant, Now};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

thread_local! {
    static RECENT: Cell<Instant> = const { Cell::new(Instant(0)) };
    static TURNS: Cell<bool> = const { Cell::new(false) };
    static WALL: Cell<Wall> = const { Cell::new(Wall { read: Instant(0), ahead: 0 }) };
}

/// A reading of the wall clock.
#[derive(Clone, Copy)]
struct Wall {
    /// When it was made.
    read: Instant,
    /// How far the wall clock was ahead of the monotonic one.
    ahead: u64,
}

/// For how long the wall clock is reckoned from its last reading: what it is set to is seen that
/// much later, and its drift in that time is far below a microsecond.
const WALL_KEPT: Duration = Duration::from_millis(10);

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

    /// The monotonic clock as this thread read it last: when its runtime woke, or since. For deadlines
    /// and marks that may lie a little in the past: a reading costs as much as parsing a field.
    #[must_use]
    pub fn recent(&self) -> Instant {
        if TURNS.get() { RECENT.get() } else { self.instant() }
    }

    /// Reads the clock because the thread's runtime woke. A thread that calls this each time its
    /// runtime has waited may use [`Clock::recent`] for all but durations that are told to people.
    pub fn turn(&self) {
        let _ = self.instant();
        TURNS.set(true);
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let instant = self.instant();
        let unix_nanos = match self.virtual_epoch {
            Some(epoch) => epoch.saturating_add(instant.0),
            None => wall(instant),
        };
        Now { instant, unix_nanos }
    }

    /// The monotonic clock in the standard library's type, for a library that keeps time in it.
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub(crate) fn std_instant(&self) -> std::time::Instant {
        tokio::time::Instant::now().into_std()
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

/// The wall clock at `instant`, which is now.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
fn wall(instant: Instant) -> u64 {
    let mut wall = WALL.get();
    if wall.ahead == 0 || instant.since(wall.read) >= WALL_KEPT {
        let unix = nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        wall = Wall { read: instant, ahead: unix.saturating_sub(instant.0) };
        WALL.set(wall);
    }
    instant.0.saturating_add(wall.ahead)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
