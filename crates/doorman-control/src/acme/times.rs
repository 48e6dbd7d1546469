//! When a certificate is renewed, and how long to wait after a failure. Time and dice are arguments.

/// The life of a certificate, unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its first second.
    pub not_before: u64,
    /// Its last.
    pub not_after: u64,
}

impl Life {
    const fn seconds(self) -> u64 {
        self.not_after.saturating_sub(self.not_before)
    }
}

/// When an authority would like a certificate to be renewed (RFC 9773 section 4.2), unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first second.
    pub start: u64,
    /// Its last.
    pub end: u64,
}

const DAY: u64 = 24 * 60 * 60;

/// Certificates that live shorter are renewed halfway: a third of a week is too little for a long outage.
const SHORT: u64 = 10 * DAY;

/// When to renew a certificate: at a time in the authority's window, or at two thirds of its life, a little earlier by
/// chance, so that what was issued at once is not renewed at once.
#[must_use]
pub fn renewal(life: Life, window: Option<Window>, dice: u64) -> u64 {
    // A window without a length is to be treated as none (RFC 9773 section 4.2), and so is one behind the end.
    let sound = window.filter(|window| window.end > window.start && window.start < life.not_after);
    if let Some(window) = sound {
        // Every second of the window is as likely as any other.
        let length = (window.end - window.start).saturating_add(1);
        return window.start.saturating_add(dice % length);
    }
    let seconds = life.seconds();
    let share = if seconds < SHORT { seconds / 2 } else { seconds / 3 * 2 };
    let spread = seconds / 24;
    (life.not_before + share).saturating_sub(dice % (spread + 1))
}

/// How long to wait after so many failures in a row: four times longer each time, half a share up or down by chance.
#[must_use]
pub fn back_off(failures: u32, first: u64, most: u64, dice: u64) -> u64 {
    let steps = failures.saturating_sub(1).min(16);
    let whole = first.saturating_mul(4_u64.saturating_pow(steps)).min(most).max(1);
    // Three quarters to five quarters.
    whole - whole / 4 + dice % (whole / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewals() {
        let check = |days: u64, window: Option<(u64, u64)>, dice: u64, expect: u64| {
            let life = Life { not_before: 1_000_000, not_after: 1_000_000 + days * DAY };
            let window = window.map(|(start, end)| Window {
                start: life.not_before + start,
                end: life.not_before + end,
            });
            let at = renewal(life, window, dice);
            assert_eq!(at - life.not_before, expect, "{days} {window:?} {dice}");
        };
        // Two thirds, or at most a 24th of the life before.
        check(90, None, 0, 60 * DAY);
        check(90, None, 90 * DAY / 24, 60 * DAY - 90 * DAY / 24);
        check(90, None, 90 * DAY / 24 + 1, 60 * DAY);
        check(47, None, 0, 47 * DAY / 3 * 2);
        // Short ones halfway.
        check(6, None, 0, 3 * DAY);
        check(6, None, DAY / 4, 3 * DAY - DAY / 4);
        check(0, None, 5, 0);
        // The authority's window, each second of it.
        check(90, Some((10, 20)), 0, 10);
        check(90, Some((10, 20)), 10, 20);
        check(90, Some((10, 20)), 11, 10);
        // One that is none.
        check(90, Some((20, 20)), 0, 60 * DAY);
        check(90, Some((20, 10)), 0, 60 * DAY);
        check(90, Some((90 * DAY, 91 * DAY)), 0, 60 * DAY);
    }

    #[test]
    fn waits() {
        let check = |failures: u32, dice: u64, expect: u64| {
            assert_eq!(back_off(failures, 60, 6 * 3600, dice), expect, "{failures} {dice}");
        };
        check(1, 0, 45);
        check(1, 30, 75);
        check(1, 31, 45);
        check(2, 0, 180);
        check(3, 0, 720);
        check(4, 0, 2880);
        check(6, 0, 16_200);
        check(u32::MAX, 0, 16_200);
        check(u32::MAX, u64::MAX, 16_200 + u64::MAX % 10_801);
        // None yet counts as the first.
        check(0, 0, 45);
        assert_eq!(back_off(3, 0, 0, 7), 1);
    }
}
