//! Whether a value would be SQL or HTML that somebody injects, as libinjection tells.
//!
//! Written anew, because the one crate that does it misses words in lower case, disagrees with the
//! original about NULs and long names, and takes quadratic time for some values. Its table of words
//! and fingerprints, which is the original's, is used. In one thing the original is not followed: a
//! byte 255 in a tag is not taken for the end of the value.

mod address;
mod fold;
mod html;
mod names;
mod sqli;
mod token;
mod words;
mod xss;

#[cfg(test)]
mod spliced;
#[cfg(test)]
mod tests;

pub use sqli::{Fingerprint, detect_sqli, may_be_sqli};
pub use xss::{detect_xss, may_be_xss};
