//! Where stored responses are: in memory and on disk, with the index over both.
//!
//! The room `doorman-cache` says what may be stored and served; this crate keeps it. It knows no
//! configuration, no route, no origin and no runtime: whoever waits here waits by wakers, and the
//! threads that read and write the disk are run by the binary.

#![forbid(unsafe_code)]
