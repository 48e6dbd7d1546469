//! HTTP/3 frames (RFC 9114) and field sections (QPACK, RFC 9204) to messages and back, in both
//! roles, without IO.
//!
//! One decision shaped this crate: there is no dynamic table. A table of capacity zero is what
//! QPACK starts with, so no field section ever waits for another stream, no peer can make us hold
//! bytes outside of flow control, and the instructions that would fill a table are an error. What it
//! costs is bytes in requests, not work.
//!
//! ```text
//! unidirectional stream -> stream_kind -> ControlReader | EncoderReader | DecoderReader
//! request stream        -> MessageReader -> field section -> read_request | read_response | read_trailers
//!                                        -> content
//! write_client_preface, write_server_preface, write_request, write_response, write_interim,
//! write_data_head, write_trailers, write_goaway
//! ```

#![forbid(unsafe_code)]

mod ask;
mod code;
mod control;
mod message;
mod qpack;
mod reply;
mod request;
mod response;
mod varint;

pub use ask::write_request;
pub use code::{Code, Fault};
pub use control::{Control, ControlReader, StreamKind, stream_kind};
pub use message::{MessageReader, Piece};
pub use qpack::{DecoderReader, EncoderReader};
pub use reply::{ResponseFault, read_response};
pub use request::{RequestFault, read_request, read_trailers};
pub use response::{
    write_client_preface, write_data_head, write_goaway, write_interim, write_response,
    write_server_preface, write_trailers,
};

/// Whose messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A client's: requests.
    Client,
    /// A server's: responses, interim ones among them.
    Server,
}

/// What one field section may cost. Every number is a bound on memory or work that a peer can
/// cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of a field section as RFC 9114 section 4.2.2 counts it: names, values, and 32 bytes
    /// for each field. A section that is longer on the wire is not even read.
    pub section_bytes: usize,
    /// Field lines of a section, pseudo-header fields not counted.
    pub fields: usize,
}
