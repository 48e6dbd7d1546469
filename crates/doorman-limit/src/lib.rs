//! Key, cost and now become pass or wait.
//!
//! Its directives come with a later version; none is in the configuration's table yet.

#![forbid(unsafe_code)]
