//! Logs: the access log of requests, and the log of the process itself.

pub mod access;
mod line;
