//! The configuration language: text to `Config` and diagnostics, formatter, JSON twin, schema.

#![forbid(unsafe_code)]
