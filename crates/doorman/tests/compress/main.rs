//! Compression over real sockets: what a client gets must be, once its coding is undone, what the
//! origin sent, as soon as the origin sent it, and no more of it than there was.
//!
//! One decision shaped the stories: what an answer says of itself is never believed. Every body is
//! decoded with the coding that its head names, and compared with what the origin has. Ids in names
//! are those of the reliability plan.

#![expect(
    clippy::disallowed_methods,
    reason = "stories stand outside the proxy: they have real sockets and real time"
)]

mod bodies;
mod bombs;
mod choice;
mod decode;
mod fields;
mod rig;
mod secrets;
mod seen;
mod streams;
