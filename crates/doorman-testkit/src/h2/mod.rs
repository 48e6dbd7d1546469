//! HTTP/2 clients: a well-behaved one for stories ([`H2`]), and frames by hand ([`Frame`]).

mod client;
mod frames;
pub mod hpack;
#[cfg(test)]
mod tests;

pub use client::{H2, H2Reply};
pub use frames::{Frame, PREFACE, flag, kind};
