//! What `doorman certs` shows. The names of the fields are a public contract.

use doorman_control::acme::{CertificateReport, Report};
use doorman_control::ocsp::StapleReport;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// How it stands with automatic certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certs {
    /// By name.
    pub certificates: Vec<Cert>,
    /// Authorities, best first.
    pub issuers: Vec<Issuer>,
    /// Whether another process orders them, and this one only serves them.
    pub ordered_elsewhere: bool,
    /// What authorities say over OCSP about certificates, those from files included.
    #[serde(default)]
    pub ocsp: Vec<Staple>,
}

/// What an authority says about a certificate. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Staple {
    /// The certificate's names.
    pub names: Vec<String>,
    /// Its serial number.
    pub serial: String,
    /// Who is asked.
    pub responder: String,
    /// `good` (an answer is stapled), `missing` or `revoked`.
    pub state: String,
    /// Whether somebody should look.
    pub problem: bool,
    /// When what is stapled was known to be so.
    pub this_update: Option<u64>,
    /// Until when it is stapled at the latest.
    pub next_update: Option<u64>,
    /// When the responder is asked next.
    pub next_attempt: u64,
    /// Failures in a row.
    pub failures: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Since when it is revoked.
    pub revoked_at: Option<u64>,
    /// Why.
    pub revocation_reason: Option<String>,
    /// Whether clients refuse it without an answer.
    pub must_staple: bool,
}

/// The certificate of a name. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cert {
    /// The name.
    pub name: String,
    /// `waiting`, `ordering`, `valid`, `renewal failing`, `failing`, `expired` or `revoked`.
    pub state: String,
    /// Whether somebody should look.
    pub problem: bool,
    /// The directory of the authority that issued it.
    pub issuer: Option<String>,
    /// The kind of its key.
    pub key: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The first second of its life.
    pub not_before: Option<u64>,
    /// The last.
    pub not_after: Option<u64>,
    /// When the next attempt comes.
    pub next_attempt: Option<u64>,
    /// Failures in a row.
    pub failures: u32,
    /// The last of them.
    pub last_error: Option<LastError>,
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastError {
    /// When.
    pub at: u64,
    /// The directory of the authority.
    pub issuer: String,
    /// In its own words.
    pub message: String,
}

/// An authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Issuer {
    /// The URL of its directory.
    pub directory: String,
    /// Certificates that it has issued to this process.
    pub obtained: u64,
    /// Orders that failed.
    pub failed: u64,
}

/// How it stands now.
#[must_use]
pub(crate) fn of(engine: &Engine) -> Certs {
    let now = engine.times().1.unix_seconds();
    let report = engine.keeper().as_ref().map(|keeper| keeper.report(now)).unwrap_or_default();
    let staples = engine.stapler().as_ref().map(|stapler| stapler.report()).unwrap_or_default();
    Certs { ocsp: staples.into_iter().map(staple).collect(), ..shown(&report, now) }
}

fn staple(report: StapleReport) -> Staple {
    let problem = report.is_problem();
    let (revoked_at, revocation_reason) = report.revoked.unzip();
    Staple {
        names: report.names,
        serial: report.serial,
        responder: report.responder,
        state: report.state.word().to_owned(),
        problem,
        this_update: report.since,
        next_update: report.until,
        next_attempt: report.next,
        failures: report.failures,
        last_error: report.trouble.map(|(_, why)| why),
        revoked_at,
        revocation_reason,
        must_staple: report.must_staple,
    }
}

fn shown(report: &Report, now: u64) -> Certs {
    let issuers = report.issuers.iter().map(|issuer| Issuer {
        directory: issuer.directory.clone(),
        obtained: issuer.obtained,
        failed: issuer.failed,
    });
    Certs {
        certificates: report.certificates.iter().map(|one| cert(one, now)).collect(),
        issuers: issuers.collect(),
        ordered_elsewhere: report.is_elsewhere,
        ocsp: Vec::new(),
    }
}

fn cert(report: &CertificateReport, now: u64) -> Cert {
    Cert {
        name: report.name.clone(),
        state: if report.is_revoked { "revoked" } else { report.state.word() }.to_owned(),
        problem: report.is_problem(now),
        issuer: report.issuer.clone(),
        key: report.key.clone(),
        serial: report.serial.clone(),
        not_before: report.not_before,
        not_after: report.not_after,
        next_attempt: report.next,
        failures: report.failures,
        last_error: report.trouble.as_ref().map(|trouble| LastError {
            at: trouble.at,
            issuer: trouble.issuer.clone(),
            message: trouble.words.clone(),
        }),
    }
}
