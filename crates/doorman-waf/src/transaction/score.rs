//! What the rules' own variables say of a transaction.
//!
//! The Core Rule Set sums what its detections add only when it decides; a transaction that ended
//! before has the parts alone. So the sum is read where there is one, and made of the parts of the
//! levels that count where there is none. Both generations of names are known: those of version 4 and
//! those of version 3.

use super::live::Live;
use super::outcome::Scores;
use crate::operator::number;

/// The sums and thresholds so far.
pub(crate) fn scores(live: &Live) -> Scores {
    let levels = first(live, &["blocking_paranoia_level", "paranoia_level"]).unwrap_or(4);
    let part = |stem: &str| {
        let each = |level| read(live, &format!("{stem}{level}")).unwrap_or_default();
        (1..=levels.clamp(1, 4)).map(each).fold(0, i64::saturating_add)
    };
    let inbound = sum(live, &["blocking_inbound_anomaly_score", "inbound_anomaly_score"]);
    let outbound = sum(live, &["blocking_outbound_anomaly_score", "outbound_anomaly_score"]);
    let request = || part("inbound_anomaly_score_pl").saturating_add(part("anomaly_score_pl"));
    Scores {
        inbound: inbound.unwrap_or_else(request),
        outbound: outbound.unwrap_or_else(|| part("outbound_anomaly_score_pl")),
        inbound_threshold: read(live, "inbound_anomaly_score_threshold"),
        outbound_threshold: read(live, "outbound_anomaly_score_threshold"),
    }
}

/// The first of these sums that is not 0.
fn sum(live: &Live, names: &[&str]) -> Option<i64> {
    names.iter().filter_map(|name| read(live, name)).find(|sum| *sum != 0)
}

fn first(live: &Live, names: &[&str]) -> Option<i64> {
    names.iter().find_map(|name| read(live, name))
}

fn read(live: &Live, name: &str) -> Option<i64> {
    live.tx.named.get(name.as_bytes(), live.seconds()).map(number)
}
