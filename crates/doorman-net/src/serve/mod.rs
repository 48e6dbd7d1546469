//! To the clients: accept, handshake, and the wires.
//!
//! A wire knows one thing about the house, the [`Handler`]. Each wire does the same steps: read a
//! head, make a [`Request`], call the handler, write the head, pull frames until the end.

mod accept;
mod h1;
mod h2;

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use doorman_http::{Conn, Request, RequestHead, Response};

pub use accept::{Gate, accept};

use crate::core::ServeSettings;
use crate::tls::ServerTls;

/// Why a wire refuses a message before it is a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status it is answered with.
    pub status: u16,
    /// The reason, for the log.
    pub reason: &'static str,
}

/// Why a connection ended before it brought a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The TLS handshake failed.
    Handshake,
    /// The TLS handshake took too long.
    HandshakeTimeout,
    /// It was over a connection limit.
    Limit,
    /// HTTP/2 went wrong as a whole: a protocol error, or a flood.
    Protocol,
}

/// The house, as a wire sees it.
pub trait Handler: 'static {
    /// What a connection holds while it lasts; dropping it counts the connection out.
    type Place;

    /// Answers a request. It cannot fail: whatever happens inside, there is a response to write.
    fn handle(&self, conn: &Rc<Conn>, request: Request) -> impl Future<Output = Response>;

    /// Answers a message that is no request, and records it. `head` is as far as it was read.
    fn refuse(&self, conn: &Rc<Conn>, head: Box<RequestHead>, refused: Refused) -> Response;

    /// Gives a connection that came its place, or turns it away (a connection limit).
    fn admit(&self, conn: &Conn) -> Option<Self::Place>;

    /// Hears of a connection that was lost before it brought a request.
    fn lost(&self, conn: &Conn, why: Lost);
}

/// What a listener's connections get; swapped when the configuration changes.
#[derive(Clone)]
pub struct Doorway {
    /// The listener's id, which stays the same over reloads.
    pub listener: usize,
    /// Timeouts and bounds.
    pub settings: Rc<ServeSettings>,
    /// TLS, if the listener speaks it.
    pub tls: Option<Arc<ServerTls>>,
}

/// A doorway that can be swapped under an accept loop.
pub type SharedDoorway = Rc<RefCell<Doorway>>;
