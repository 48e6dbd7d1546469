//! What a shared cache may store and serve (RFC 9111).
//!
//! Its directives come with a later version; none is in the configuration's table yet.

#![forbid(unsafe_code)]

mod key;

pub use key::{KeyRules, KeySeed, UrlKey, prefix, site, url_of};
