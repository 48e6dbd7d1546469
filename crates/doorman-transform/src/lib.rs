//! Edits of heads, targets, redirects and cookies.

#![forbid(unsafe_code)]
