//! Contents made smaller that show the same: images, and the texts of the web.
//!
//! Bytes go in and bytes come out, or the reason why the original is to be served. What comes in is
//! the worst that an origin could send, so everything here is bounded in memory and in steps, and
//! whatever cannot be read is left as it is.

#![forbid(unsafe_code)]

pub mod image;
pub mod text;
