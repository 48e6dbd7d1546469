//! HTTP/1.1 messages, bytes to events and back, in both roles, without IO.

#![forbid(unsafe_code)]
