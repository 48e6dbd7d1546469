//! What opens a WebSocket to a client that asked by extended CONNECT (RFC 8441, RFC 9220): one place for
//! both wires, since they differ in frames only.

use doorman_http::{FieldId, ResponseHead};

use crate::http2::websocket;

/// What came of a tunnel that was asked for.
pub(super) enum Opening {
    /// It is open.
    Done,
    /// It is not, as the response says.
    None,
    /// The response means something else than it says to this client.
    Wrong(&'static str),
}

/// Turns the switch of protocols that the house knows into the 2xx that opens a tunnel, if the hash
/// proves that the origin understood the key that we sent (RFC 8441 section 5).
pub(super) fn open(key: Option<&[u8]>, head: &mut ResponseHead) -> Opening {
    let Some(key) = key else { return Opening::None };
    match head.status {
        101 if head.fields.first(FieldId::SecWebSocketAccept) != Some(&websocket::accept(key)) => {
            Opening::Wrong("Sec-WebSocket-Accept is not the key's")
        }
        101 => {
            head.status = 200;
            head.fields.remove_id(FieldId::SecWebSocketAccept);
            Opening::Done
        }
        // The client would take any 2xx for its tunnel.
        200..=299 => Opening::Wrong("2xx in place of the switch that was asked for"),
        _ => Opening::None,
    }
}
