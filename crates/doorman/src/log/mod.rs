//! Logs: the access log of requests, and the log of the process itself.

pub(crate) mod access;
pub(crate) mod error;
mod line;
mod relay;
mod rules;
mod sink;

pub(crate) use line::{printable, timestamp};
pub(crate) use sink::MODE;
