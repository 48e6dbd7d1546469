//! A name and a password (RFC 7617).

/// A password that is to be hashed.
#[derive(Debug)]
pub struct Job {}
