//! What HTTP/3 to clients and to origins share.

pub(crate) mod budget;
pub(crate) mod halves;
pub(crate) mod runtime;
