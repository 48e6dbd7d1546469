//! When a burst of changes is over. Time is an argument; the caller owns the one timer.

use std::time::Duration;

use doorman_http::Instant;

/// Quiet that ends a burst: longer than an editor or `tar` takes between two files, shorter than
/// anybody minds.
const QUIET: Duration = Duration::from_millis(200);

/// The longest that a burst may put a reload off, so that a file that never rests cannot stop it.
const BURST_MAX: Duration = Duration::from_secs(2);

/// Changes that are waited for to settle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Debounce {
    /// First and last change of the burst.
    burst: Option<(Instant, Instant)>,
}

impl Debounce {
    /// Something changed.
    pub fn touch(&mut self, now: Instant) {
        let first = self.burst.map_or(now, |(first, _)| first);
        self.burst = Some((first, now));
    }

    /// When the burst counts as over; `None` while nothing has changed.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.burst.map(|(first, last)| (last + QUIET).min(first + BURST_MAX))
    }

    /// The burst was acted upon.
    pub fn settle(&mut self) {
        self.burst = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant(millis * 1_000_000)
    }

    #[test]
    fn bursts() {
        let check = |touches: &[u64], expect: Option<u64>| {
            let mut debounce = Debounce::default();
            for touch in touches {
                debounce.touch(at(*touch));
            }
            assert_eq!(debounce.due(), expect.map(at), "{touches:?}");
            debounce.settle();
            assert_eq!(debounce.due(), None);
        };
        check(&[], None);
        check(&[0], Some(200));
        check(&[0, 150], Some(350));
        check(&[0, 150, 300], Some(500));
        // A file that never rests is read after two seconds all the same.
        check(&[0, 500, 1000, 1500, 1900], Some(2000));
    }
}
