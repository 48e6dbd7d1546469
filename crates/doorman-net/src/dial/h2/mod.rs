//! HTTP/2 to origins, over the `h2` crate.
//!
//! What an origin certainly did not process (RFC 9113 section 8.7) is told apart from what it may
//! have processed ([`DialError::Unprocessed`]); only the former may be repeated whatever it asks for.
//!
//! No type of the crate leaves this module.

mod convert;
mod exchange;
mod pulse;
mod session;
mod upload;

use std::rc::Rc;

use doorman_http::Body;

pub(super) use self::session::{Session, open};
use super::{Answer, Asking, DialError};
use crate::Clock;

/// Streams at once on one connection, whatever more the origin allows. The windows of a connection
/// hold what so many slow clients leave standing; beyond it another connection is cheaper.
const STREAMS_MAX: u32 = 128;

/// A stream on a shared connection, before it is opened. The place is given back when it is dropped.
pub struct Seat {
    session: Rc<Session>,
    /// Whether requests had gone over the connection before.
    reused: bool,
    clock: Clock,
}

impl Seat {
    /// Whether requests have gone over its connection before.
    #[must_use]
    pub const fn is_reused(&self) -> bool {
        self.reused
    }

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

impl Drop for Seat {
    fn drop(&mut self) {
        self.session.leave(self.clock);
    }
}
