//! What pages of other sites may do, and which fields make browsers careful.

use doorman_auth::cors::{ANSWER_FIELDS, Line, Policy, Verdict};
use doorman_auth::preset::{Preset, Transport};
use doorman_http::{Fields, Scheme};

use super::Marks;
use crate::exchange::Exchange;
use crate::stage::answer;
use crate::stop::Stop;

/// Answers a preflight, or leaves what the answer is to say.
pub(super) fn cors(policy: &Policy, exchange: &mut Exchange) -> Result<(), Stop> {
    match policy.check(&exchange.head.method, &exchange.head.fields) {
        Verdict::Pass(lines) => {
            exchange.marks().cors = Some(lines);
            Ok(())
        }
        Verdict::Answer(status, lines) => {
            let mut response = answer::plain(status, bytes::Bytes::new());
            for (name, value) in lines {
                let _ = response.head.fields.append(name.as_bytes(), value.as_bytes());
            }
            Err(Stop::Answer(Box::new(response)))
        }
    }
}

/// How a request came, as far as browsers are concerned.
pub(super) fn transport(exchange: &Exchange) -> Transport {
    match exchange.head.scheme {
        Scheme::Https => Transport::Tls,
        _ => Transport::Plain,
    }
}

/// Writes what a policy says in place of what the origin said.
pub(super) fn write_cors(lines: Vec<Line>, fields: &mut Fields) {
    for name in ANSWER_FIELDS {
        fields.remove(name.as_bytes());
    }
    for (name, value) in lines {
        let _ = fields.append(name.as_bytes(), value.as_bytes());
    }
}

/// Writes the fields of a preset that an answer is to have.
pub(super) fn write_preset(preset: Preset, transport: Transport, fields: &mut Fields) {
    let has = |name: &str| fields.first_named(name.as_bytes()).is_some();
    let rows: Vec<_> = preset.apply(transport, has).collect();
    for row in rows {
        let _ = fields.set(row.name.as_bytes(), row.value.as_bytes());
    }
}

impl Marks {
    /// The fields of this preset.
    pub(super) fn careful(&mut self, preset: Preset, transport: Transport) {
        self.preset = Some((preset, transport));
    }
}
