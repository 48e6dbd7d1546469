//! Time as a value. Rooms take it as an argument; only doorman-net's clock reads a clock.

use std::ops::Add;
use std::time::Duration;

/// A point on the monotonic clock, in nanoseconds since an arbitrary origin of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// Time passed since `earlier`; zero if `earlier` lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whole microseconds passed since `earlier`; zero if `earlier` lies ahead.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time instead of wrapping.
    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// For every deadline and duration: never jumps.
    pub instant: Instant,
    /// Nanoseconds since the Unix epoch, for dates, logs and certificates: may jump.
    pub unix_nanos: u64,
}

impl Now {
    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.unix_nanos / 1_000_000_000
    }
}
