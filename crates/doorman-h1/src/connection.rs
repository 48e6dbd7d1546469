//! `Connection`, `Upgrade` and `TE`: what a message says to its next hop only (RFC 9110 sections
//! 7.6.1, 7.8 and 10.1.4).

use doorman_http::{FieldId, Fields, Upgrade, Version};

use crate::Refusal;
use crate::lines::{Once, Seen, is_tchar};

/// Options a message may name, empty ones included: each costs a walk over all fields.
const OPTIONS_MAX: usize = 32;

/// What all `Connection` lines of a message say together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    close: bool,
    keep_alive: bool,
    pub(crate) upgrade: bool,
}

impl Options {
    /// Whether the connection goes on after the message (RFC 9112 section 9.3).
    pub(crate) fn persist(self, version: Version) -> bool {
        !self.close && (version >= Version::Http11 || self.keep_alive)
    }
}

/// Reads the options, and hides the fields they nominate. Only fields that the proxy does not
/// know can be nominated away: a client that nominates `X-Forwarded-For`, `Cookie` or `Host`
/// wants the origin not to see it, and is ignored.
pub(crate) fn options(fields: &mut Fields, seen: &Seen) -> Result<Options, Refusal> {
    let mut options = Options::default();
    match seen.connection {
        Once::Never => return Ok(options),
        // What nearly every message says that says anything.
        Once::At(index) if fields.value(index).eq_ignore_ascii_case(b"keep-alive") => {
            options.keep_alive = true;
            return Ok(options);
        }
        Once::At(_) | Once::Several => {}
    }
    let mut nominated: Vec<Vec<u8>> = Vec::new();
    for (count, option) in members(fields, FieldId::Connection).enumerate() {
        if count == OPTIONS_MAX {
            return Err(Refusal::OPTION_COUNT);
        }
        if option.is_empty() {
            continue;
        }
        if option.eq_ignore_ascii_case(b"close") {
            options.close = true;
            continue;
        }
        match FieldId::of(option) {
            FieldId::KeepAlive => options.keep_alive = true,
            FieldId::Upgrade => options.upgrade = true,
            FieldId::ContentLength | FieldId::TransferEncoding => {
                return Err(Refusal::NOMINATES_FRAMING);
            }
            FieldId::Other if !is_token(option) => return Err(Refusal::OPTION),
            FieldId::Other => nominated.push(option.to_vec()),
            _ => {}
        }
    }
    for option in &nominated {
        fields.drop_nominated(option);
    }
    Ok(options)
}

/// The protocol that a message's `Upgrade` names first, h2c left out wherever it stands: HTTP/2
/// without TLS is spoken by prior knowledge only, and an origin that took the offer would be
/// reached past every rule.
pub(crate) fn protocol(fields: &Fields) -> Option<&[u8]> {
    members(fields, FieldId::Upgrade)
        .take(OPTIONS_MAX)
        .find(|name| is_protocol(name) && !is_h2c(name))
}

/// The protocol as a value.
pub(crate) fn upgrade(protocol: &[u8]) -> Upgrade {
    if protocol.eq_ignore_ascii_case(b"websocket") { Upgrade::WebSocket } else { Upgrade::Other }
}

/// Whether `TE` takes trailers.
pub(crate) fn takes_trailers(fields: &Fields) -> bool {
    members(fields, FieldId::Te).take(OPTIONS_MAX).any(|m| m.eq_ignore_ascii_case(b"trailers"))
}

fn is_h2c(protocol: &[u8]) -> bool {
    let name = protocol.split(|&b| b == b'/').next().unwrap_or_default();
    name.eq_ignore_ascii_case(b"h2c") || name.eq_ignore_ascii_case(b"h2")
}

/// RFC 9110 section 7.8: a token, and a version as another one after a slash.
fn is_protocol(protocol: &[u8]) -> bool {
    let mut parts = protocol.split(|&b| b == b'/');
    parts.next().is_some_and(is_token)
        && parts.next().is_none_or(is_token)
        && parts.next().is_none()
}

/// The members of a list field, all of its lines together (RFC 9110 section 5.6.1).
fn members(fields: &Fields, id: FieldId) -> impl Iterator<Item = &[u8]> {
    fields.all(id).flat_map(|line| line.split(|&b| b == b',').map(<[u8]>::trim_ascii))
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_tchar(b))
}
