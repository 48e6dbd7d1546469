//! What changes a plan: the watch over files; certificates, discovery and probes come with later issues.
//!
//! It hands over values and wakes whoever asked; the request path never calls it.

mod debounce;
mod watch;

pub use debounce::Debounce;
pub use watch::{FILES_MAX, FileWatch};
