//! What a shared cache may store and serve (RFC 9111).
//!
//! Its directives come with a later version; none is in the configuration's table yet.

#![forbid(unsafe_code)]

mod key;
mod packed;
mod selector;
mod vary;

pub use key::{KeyRules, KeySeed, UrlKey, prefix, site, url_of};
pub use packed::{Damaged, PackedHead};
pub use selector::{
    Chosen, coding_is_acceptable, is_selected, normal_accept_encoding, selector, vary_of,
};
pub use vary::{Star, VARY_BYTES_MAX, VARY_MAX, Vary, VaryNames};
