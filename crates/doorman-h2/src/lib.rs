//! HTTP/2 frames (RFC 9113) and header compression (HPACK, RFC 7541) to messages and back, in the
//! server's role, without IO.
//!
//! One decision shaped this crate: a connection is one value with one output buffer. Reading a frame,
//! sending a head or a piece of content append to that buffer, so all that is ready in one turn
//! leaves in one write, in the order in which the compression's table saw it. Content is copied once
//! each way: into the buffer, and out of what was read.
//!
//! ```text
//! bytes  -> Connection::read    -> Event: a request, news of a stream, room in a window
//! Stream -> Connection::content -> content, trailers, the end
//!        <- head, data, trailers, reset
//! output <- Connection::output
//! ```
//!
//! Whatever a client can make grow has its bound here, or in [`Limits`].

#![forbid(unsafe_code)]

mod budget;
mod code;
mod connection;
mod expansion;
mod frame;
mod hpack;
mod inbox;
mod request;
mod response;
mod settings;
mod streams;
mod window;

use doorman_http::{RequestHead, Scheme};

pub use code::{Code, Fault};
pub use connection::{Connection, Event, Opened};
pub use inbox::Content;
pub use request::RequestFault;
pub use response::End;
pub use streams::Stream;
pub use window::{CONNECTION_MAX, STREAM_MAX};

/// What messages may cost. Every number is a bound on memory or work that a peer can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of a header list as RFC 9113 section 6.5.2 counts it: names, values, and 32 bytes
    /// for each field.
    pub head_bytes: usize,
    /// Field lines of a head or of trailers, pseudo-header fields not counted.
    pub fields: usize,
    /// Streams that may be open at once.
    pub streams: u32,
}

/// How a connection is served.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The bounds.
    pub limits: Limits,
    /// The scheme that requests on this connection have.
    pub scheme: Scheme,
    /// Where empty heads come from.
    pub head: fn() -> Box<RequestHead>,
    /// Whether a field of that name may stand in trailers.
    pub may_trail: fn(&[u8]) -> bool,
}
