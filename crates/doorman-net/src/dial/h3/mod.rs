//! HTTP/3 to origins (RFC 9114), over QUIC from the `quinn` crate.
//!
//! QUIC is the crate's; frames, field sections and their bounds are ours (`doorman-h3`), as towards
//! clients. Requests share connections as over HTTP/2 ([`super::shared`]); what differs is how room
//! for one more is found: a server gives out streams one by one, so a place is a stream that has been
//! opened.
//!
//! Each connection has a socket of its own that is connected to the server's address. So the system
//! tells when nobody listens there, and a server that is down is passed over at once, as over TCP;
//! without that only silence would tell. These sockets are the operating system's and stand outside
//! of the seam.
//!
//! What an origin certainly did not process (a stream that GOAWAY leaves out, or that is reset with
//! H3_REQUEST_REJECTED: RFC 9114 sections 4.1.1 and 5.2) is told apart from what it may have
//! processed, as over HTTP/2.
//!
//! No type of the crate leaves this module.

mod connect;
mod control;
mod exchange;
mod incoming;
mod session;
mod socket;
mod upload;

use std::rc::Rc;

use doorman_http::Body;

pub(super) use self::connect::open;
pub(super) use self::session::Session;
use super::{Answer, Asking, DialError};
use crate::Clock;
use crate::http3::halves::{Reading, Writing};

/// Streams at once on one connection, whatever more the origin allows; as over HTTP/2.
const STREAMS_MAX: u32 = 128;

/// A stream on a shared connection, on which nothing was sent yet. The place is given back when it is
/// dropped, and the stream reset.
pub struct Seat {
    writing: Writing,
    reading: Reading,
    /// Whether requests had gone over the connection before.
    reused: bool,
    /// Last, so that it is given back when the stream is gone.
    place: Place,
}

/// One of those who are on a connection.
struct Place {
    session: Rc<Session>,
    /// The stream's number.
    stream: u64,
    clock: Clock,
}

impl Seat {
    /// Sends a request and waits for the head of its response. As long as it can be sent again,
    /// `body` is there when this fails.
    ///
    /// # Errors
    /// Why there is no response.
    pub(super) async fn ask(
        self,
        asking: Asking<'_>,
        body: &mut Option<Body>,
    ) -> Result<Answer, DialError> {
        exchange::ask(self, asking, body).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.session.leave(self.stream, self.clock);
    }
}
