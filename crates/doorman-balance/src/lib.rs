//! Which server takes a request, and whether it may be tried again.

#![forbid(unsafe_code)]
