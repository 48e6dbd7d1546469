//! The words that all of doorman's rooms share: heads, fields, bodies, time.
//!
//! One decision shaped this crate: there is only one parsed request. Every wire turns what it
//! read into a [`RequestHead`] and a [`Body`]; routes, limits, the log and the bytes sent
//! upstream all derive from that value, so two parts of the proxy cannot disagree about it.
//!
//! Nothing here knows a runtime, a socket, a clock or a logger.

#![forbid(unsafe_code)]

mod body;
mod buffer;
pub mod coding;
pub mod date;
pub mod desync;
mod exchange;
mod field;
mod field_id;
mod head;
pub mod huffman;
pub mod integer;
mod key;
mod method;
pub mod path;
mod peer;
pub mod scan;
pub mod target;
pub mod template;
mod time;

pub use body::{Body, BodyError, Frame, Length, Source, Watch};
pub use buffer::{Chunk, Data, LARGE, SMALL};
pub use exchange::{Interim, Request, Response};
pub use field::{Field, FieldLine, Fields, imitation, is_field_value, is_token};
pub use field_id::{FieldId, FieldSet};
pub use head::{HeadError, RequestHead, ResponseHead, Upgrade};
pub use key::{KeyHash, mix};
pub use method::Method;
pub use peer::{
    ClientCertificate, ClientRules, Conn, Holding, IpText, Peer, TlsFacts, Version, WIRES, Wire,
};
pub use target::{Scheme, TargetError};
pub use time::{Instant, Now};
