//! How it stands with automatic certificates, for people and for metrics.

/// How it stands.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// By name.
    pub certificates: Vec<CertificateReport>,
    /// Authorities, best first.
    pub issuers: Vec<IssuerReport>,
    /// Whether another process has the right to order.
    pub is_elsewhere: bool,
}

/// How it stands with a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateReport {
    /// The name.
    pub name: String,
    /// In a word.
    pub state: State,
    /// The directory of the authority that issued it.
    pub issuer: Option<String>,
    /// The kind of its key.
    pub key: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The first second of its life, unix seconds.
    pub not_before: Option<u64>,
    /// The last.
    pub not_after: Option<u64>,
    /// When it was obtained.
    pub obtained: Option<u64>,
    /// When the next attempt comes: the renewal, or another try.
    pub next: Option<u64>,
    /// Failures in a row.
    pub failures: u32,
    /// What went wrong last, since the last success.
    pub trouble: Option<Trouble>,
    /// Whether the authority has revoked it.
    pub is_revoked: bool,
}

impl CertificateReport {
    /// Whether somebody should look: there is no certificate though it was tried, or the end is near.
    #[must_use]
    pub fn is_problem(&self, now: u64) -> bool {
        match (self.not_before, self.not_after) {
            _ if self.is_revoked => true,
            (Some(start), Some(end)) => is_ending(start, end, now),
            _ => self.failures > 0 || self.trouble.is_some(),
        }
    }
}

const ALARM: u64 = 14 * 24 * 3600;

/// Whether the end is nearer than any renewal leaves it: two weeks, or a quarter of a life that is short.
#[must_use]
pub(super) fn is_ending(start: u64, end: u64, now: u64) -> bool {
    end.saturating_sub(now) < ALARM.min(end.saturating_sub(start) / 4)
}

/// How it stands, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It is to be ordered.
    #[default]
    Waiting,
    /// It is being ordered.
    Ordering,
    /// It is there.
    Valid,
    /// It is there, and the last attempt to renew it failed.
    RenewalFailing,
    /// It is not there, and the last attempt to get it failed.
    Failing,
    /// It is there, and its life is over.
    Expired,
}

impl State {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ordering => "ordering",
            Self::Valid => "valid",
            Self::RenewalFailing => "renewal failing",
            Self::Failing => "failing",
            Self::Expired => "expired",
        }
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When, unix seconds.
    pub at: u64,
    /// At which authority.
    pub issuer: String,
    /// In the authority's own words.
    pub words: String,
}

/// An authority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuerReport {
    /// The URL of its directory.
    pub directory: String,
    /// Certificates that it has issued to this process.
    pub obtained: u64,
    /// Orders that failed.
    pub failed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems() {
        const DAY: u64 = 24 * 3600;
        let check = |days: u64, left: u64, failures: u32, expect: bool| {
            let report = CertificateReport {
                not_before: Some(1000 * DAY),
                not_after: Some((1000 + days) * DAY),
                failures,
                ..CertificateReport::default()
            };
            assert_eq!(report.is_problem((1000 + days) * DAY - left), expect, "{days} {left}");
        };
        check(90, 30 * DAY, 3, false);
        check(90, 14 * DAY, 0, false);
        check(90, 14 * DAY - 1, 0, true);
        // Half of a week is when it is renewed; two weeks would always be near.
        check(7, 3 * DAY, 0, false);
        check(7, DAY, 0, true);
        check(90, 0, 0, true);
        let revoked = CertificateReport { is_revoked: true, ..CertificateReport::default() };
        assert!(revoked.is_problem(0));
        let none = CertificateReport::default();
        assert!(!none.is_problem(0), "nobody has tried yet");
        assert!(CertificateReport { failures: 1, ..none }.is_problem(0));
    }
}
