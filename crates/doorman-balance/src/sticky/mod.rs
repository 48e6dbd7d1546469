//! What binds a client to a server, as values: the token that a cookie carries and the table
//! of sessions that servers named themselves.

mod learned;
mod token;

pub use learned::{ENTRIES_MAX, Known, Learned};
pub use token::{SEAL_BYTES, TOKEN_BYTES, Token};
