//! SecLang parsed, compiled and run over a transaction.
//!
//! Its directives come with a later version; none is in the configuration's table yet.

#![forbid(unsafe_code)]
