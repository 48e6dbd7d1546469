//! What changes a plan: the watch over files, certificates that come by themselves, servers that are found by
//! themselves, checks of servers, and what operators change at run time.
//!
//! It hands over values and wakes whoever asked; the request path never calls it.

pub mod acme;
mod debounce;
pub mod discovery;
pub mod errand;
pub mod ocsp;
pub mod overrides;
pub mod probe;
mod watch;
mod whole;

pub use debounce::Debounce;
pub use watch::{FILES_MAX, FileWatch, Looked};
