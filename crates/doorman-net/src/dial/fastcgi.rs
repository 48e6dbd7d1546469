//! Requests to FastCGI applications.
//!
//! The mirror of HTTP/1.1 towards an origin: the connection is the response's body, and goes back to
//! its pool when the request has ended in order. What differs is who frames: records do, in both
//! directions, so a body that an application breaks off in is always seen to be cut.
//!
//! ```text
//! idle --ask--> sending --head--> receiving --end of request, all sent, nothing left over--> idle
//!                  \---- any error, any doubt ----> closed
//! ```

mod connection;
mod pool;
mod sending;

use std::rc::Rc;
use std::time::Duration;

use doorman_fastcgi::{KeepConnection, ReplyLimits};
use doorman_http::{Conn, Instant};

pub use connection::Connection;
pub use pool::Pool;

use super::{DialError, DialManner, DialTimeouts, PoolLimits, open};
use crate::alarm::Alarm;
use crate::link::Link;
use crate::seam::{Address, Net};
use crate::{Clock, within};

/// Who wants to hear what an application complains of (its `STDERR`).
pub trait Complaints {
    /// A part of a complaint, as it came.
    fn heard(&self, text: &[u8]);
}

/// A request to an application.
pub struct Asking<'a> {
    /// The meta-variables, as name-value pairs.
    pub variables: &'a [u8],
    /// Whether the response has no content whatever it says: it answers HEAD.
    pub is_head: bool,
    /// Where complaints go.
    pub complaints: Rc<dyn Complaints>,
    /// Bounds of the response's head.
    pub limits: ReplyLimits,
    /// Deadlines.
    pub timeouts: DialTimeouts,
}

/// A way to one application: its address, and the connections to it that this core keeps.
pub struct Dialler<N: Net> {
    net: N,
    clock: Clock,
    address: Address,
    manner: DialManner,
    pool: Rc<Pool<N::Stream>>,
}

impl<N: Net> Dialler<N> {
    /// A way to the application at `address`, with connections kept in `pool`.
    pub const fn new(
        net: N,
        clock: Clock,
        address: Address,
        manner: DialManner,
        pool: Rc<Pool<N::Stream>>,
    ) -> Self {
        Self { net, clock, address, manner, pool }
    }

    /// An idle connection, if one is fit.
    #[must_use]
    pub fn pooled(&self, now: Instant) -> Option<Box<Connection<N::Stream>>> {
        self.pool.take(now)
    }

    /// A new connection, for a request of this client.
    ///
    /// # Errors
    /// [`DialError::Connect`] or [`DialError::ConnectTimeout`].
    pub async fn connect(
        &self,
        limit: Duration,
        client: &Conn,
    ) -> Result<Box<Connection<N::Stream>>, DialError> {
        let mut alarm = Alarm::new(self.clock);
        alarm.set(self.clock.instant() + limit);
        let opened = Box::pin(open(&self.net, &self.address, &self.manner, Some(client)));
        let stream = match within(&mut alarm, opened).await {
            Some(opened) => opened.map_err(|error| DialError::of_connect(&error))?,
            None => return Err(DialError::ConnectTimeout),
        };
        // A connection that names its client is for that one.
        let kept = self.pool.keeps() && self.manner.announce.is_none();
        let keep = if kept { KeepConnection::Yes } else { KeepConnection::No };
        Ok(Connection::new(Link::Plain(stream), Rc::clone(&self.pool), self.clock, keep))
    }
}

/// Bounds of idle connections to an application.
///
/// None are kept unless the configuration says so: an application such as php-fpm gives a whole
/// process to each connection, so an idle one would lock everybody else out of it.
#[must_use]
pub const fn limits(written: PoolLimits, kept: Option<usize>) -> PoolLimits {
    PoolLimits {
        idle: match kept {
            Some(idle) => idle,
            None => 0,
        },
        ..written
    }
}
