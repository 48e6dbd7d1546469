//! A request with its body, and its response: what a wire hands to the house and gets back.
//!
//! Heads are boxed because they travel far and are reused: a move is one word.

use std::rc::Rc;

use crate::{Body, RequestHead, ResponseHead};

/// Sends 1xx responses to the client ahead of the final one (RFC 9110 section 15.2). The wire
/// decides how; on HTTP/1.0 it sends nothing.
pub trait Interim {
    /// Sends one interim response. Best effort: a client that is gone is noticed elsewhere.
    fn send(&self, head: &ResponseHead);

    /// Whether one that the client did not ask for and no origin sent may go this way: clients of HTTP/1.1,
    /// and boxes before them, may take it for the answer (RFC 8297 section 3).
    fn takes_hints(&self) -> bool;
}

/// A request as a wire read it.
pub struct Request {
    /// Method, target and fields.
    pub head: Box<RequestHead>,
    /// Content, or what the client sends through a tunnel after an upgrade.
    pub body: Body,
    /// The way back for 1xx responses.
    pub interim: Option<Rc<dyn Interim>>,
}

/// The answer that the house gives a wire to write.
#[derive(Debug)]
pub struct Response {
    /// Status and fields.
    pub head: Box<ResponseHead>,
    /// Content, or what the client receives through a tunnel after an upgrade.
    pub body: Body,
}
