//! OCSP stapling: answers of authorities about the certificates that serve, fetched ahead of the handshakes that carry
//! them (RFC 6066 section 8).
//!
//! The one decision that shaped it: nothing waits for a responder. A thread of its own asks, halfway through the life
//! of each answer; handshakes take what is there. An answer that cannot be had is a line in the log and a missing
//! staple, never a missing site.

mod fetch;
mod report;
mod shelf;
mod stapler;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorman_net::Clock;
use doorman_net::tls::{Certificate, CertificateSource, Period, Verdict, judge};

pub use report::{StapleReport, StapleState};
use shelf::{Print, Shelf};
pub use stapler::{Counts, Stapler};

/// How long a start reads answers from disk before it serves: enough for some thousands. What is left is read while
/// it serves.
const FILL: Duration = Duration::from_millis(500);

/// Staples what is on disk and still counts, before anything is served.
pub fn fill(data: &Path, clock: Clock, sources: &[CertificateSource]) {
    let shelf = Shelf::new(data);
    let start = clock.instant();
    for certificate in present(sources) {
        if clock.instant().since(start) > FILL {
            return;
        }
        let now = clock.now().unix_seconds();
        if let Some((answer, period)) = read_back(&shelf, &certificate, now) {
            certificate.staple(answer, period);
        }
    }
}

/// The certificates that can be asked about.
fn present(sources: &[CertificateSource]) -> impl Iterator<Item = Arc<Certificate>> {
    let all = sources.iter().flat_map(CertificateSource::present);
    all.filter(|certificate| certificate.facts().responder.is_some())
}

/// An answer from disk, if it is as good as one that has just come.
fn read_back(shelf: &Shelf, certificate: &Certificate, now: u64) -> Option<(Vec<u8>, Period)> {
    let answer = shelf.read(&Print::of(certificate)?)?;
    match judge(certificate, &answer, now) {
        Ok(Verdict::Good(period)) => Some((answer, period)),
        // Whoever fetches the next one finds the revocation again; a stale or damaged file is none.
        Ok(Verdict::Revoked(_)) | Err(_) => None,
    }
}
