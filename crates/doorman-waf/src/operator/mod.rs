//! What operators decide, as pure functions over bytes.
//!
//! Whatever a value is, an operator takes time in proportion to it. Those that need a set made at load
//! are methods of it; the others are functions. The ones that validate answer `true` for what is
//! invalid, as they do in rules.

mod bytes;
mod injection;
mod ip;
mod phrases;
mod text;
mod validate;

pub use bytes::ByteSet;
pub use injection::{Fingerprint, detect_sqli, detect_xss, may_be_sqli, may_be_xss};
pub use ip::IpSet;
pub use phrases::PhraseSet;
pub use text::{contains_word, is_within, number};
pub use validate::{validate_url_encoding, validate_utf8};
