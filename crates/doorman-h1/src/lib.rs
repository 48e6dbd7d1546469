//! HTTP/1.1 messages, bytes to events and back, in both roles, without IO.
//!
//! One decision shaped this crate: nothing of a message's framing is ever passed on. Readers turn
//! it into a [`Framing`], refuse whatever two readers could frame in different ways, and writers
//! make it anew; so a request that an origin sees is always one that the proxy saw (RFC 9112
//! section 11.2). Where the RFC lets a recipient be lenient, this crate is strict.
//!
//! ```text
//! read_request  -> RequestHead  + Framing -> Decoder -> content, trailers
//! read_response -> ResponseHead + Framing -> Decoder -> content, trailers
//! write_request_head, write_response_head, write_interim, write_chunk_head, write_last_chunk
//! ```

#![forbid(unsafe_code)]

mod body;
mod connection;
mod framing;
mod lines;
mod request;
mod response;
mod trailer;
mod write;

pub use body::{BodyFault, Decoder, Step};
pub use framing::Framing;
pub use request::{Refusal, RequestFraming, read_request};
pub use response::{
    Asked, AskedMethod, AskedUpgrade, ResponseFault, ResponseFraming, read_response,
    websocket_accept,
};
pub use trailer::may_be_trailer;
pub use write::{
    CHUNK_END, Coding, Reply, RequestLine, write_chunk_head, write_interim, write_last_chunk,
    write_refusal, write_request_head, write_response_head,
};

/// What one message may cost. Every number is a bound on memory or work that a peer can cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, start line and final empty line included.
    pub head_bytes: usize,
    /// Field lines of a head.
    pub fields: usize,
    /// Bytes of a request line without its line end.
    pub request_line: usize,
    /// Empty lines ahead of a request line. Some clients send one after a body (RFC 9112
    /// section 2.2); more are an attempt to keep a connection busy.
    pub leading_lines: usize,
    /// Bytes of chunk extensions and surplus zeros that a body may hold before any content. Each
    /// content byte earns an eighth of a byte more, so that signed chunks of a long upload pass
    /// while a body that is mostly framing does not.
    pub chunk_overhead: usize,
    /// Bytes of a trailer section, its final empty line included.
    pub trailer_bytes: usize,
    /// Field lines of a trailer section.
    pub trailer_fields: usize,
}

impl Default for Limits {
    /// Room for what browsers and their cookies send, and little more.
    fn default() -> Self {
        Self {
            head_bytes: 32 * 1024,
            fields: 100,
            request_line: 8 * 1024,
            leading_lines: 4,
            chunk_overhead: 4 * 1024,
            trailer_bytes: 8 * 1024,
            trailer_fields: 32,
        }
    }
}

/// How far a head was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// The head goes on: call again with the same bytes and more behind them.
    Partial,
    /// The head is whole.
    Done {
        /// Bytes of the input that the head took; content or the next message follows.
        consumed: usize,
        /// What the head says about what follows.
        framing: T,
    },
}
