//! The Core Rule Set's own regression tests, run over its own unmodified files.

mod base64;
mod request;
mod suite;
mod template;
mod yaml;
