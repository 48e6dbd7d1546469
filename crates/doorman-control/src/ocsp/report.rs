//! How it stands with the answers, for people and for metrics.

/// How it stands with the answer about a certificate. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StapleReport {
    /// The certificate's names.
    pub names: Vec<String>,
    /// Its serial number.
    pub serial: String,
    /// Who is asked.
    pub responder: String,
    /// In a word.
    pub state: StapleState,
    /// When what is stapled was known to be so.
    pub since: Option<u64>,
    /// Until when it is stapled at the latest.
    pub until: Option<u64>,
    /// When the responder is asked next.
    pub next: u64,
    /// Failures in a row.
    pub failures: u32,
    /// What went wrong last, since the last success, and when.
    pub trouble: Option<(u64, String)>,
    /// Since when it is revoked, and why.
    pub revoked: Option<(u64, String)>,
    /// Whether clients refuse the certificate without an answer.
    pub must_staple: bool,
}

impl StapleReport {
    /// Whether somebody should look.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        match self.state {
            StapleState::Good => false,
            StapleState::Revoked => true,
            StapleState::Missing => self.must_staple && self.failures > 0,
        }
    }
}

/// How it stands, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StapleState {
    /// There is no answer that could be stapled.
    #[default]
    Missing,
    /// An answer is stapled.
    Good,
    /// The certificate is revoked, and nothing is stapled.
    Revoked,
}

impl StapleState {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Good => "good",
            Self::Revoked => "revoked",
        }
    }
}
