//! A request head becomes an identity or a challenge.
//!
//! Its directives come with a later version; none is in the configuration's table yet.

#![forbid(unsafe_code)]
