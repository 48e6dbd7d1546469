//! What stands ahead of a protocol on a connection: the PROXY protocol's header, which says who the
//! client of a balancer is, and the first message of TLS, which says what server it wants.
//!
//! One decision shaped this crate: a reader is given all bytes that have come so far and answers
//! "more", "this" or "never". It keeps no state between calls, so that a cut can change nothing,
//! and it says how many bytes are its own, so that what follows is read by who it is for.

#![forbid(unsafe_code)]

mod checksum;
mod hello;
mod proxy;

pub use hello::{HELLO_BYTES_MAX, Hello, HelloFault, read_hello};
pub use proxy::{
    Claim, HEADER_BYTES_MAX, Header, HeaderFault, ProxyVersion, Transport, read_header,
    write_header,
};
