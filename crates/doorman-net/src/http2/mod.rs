//! What HTTP/2 needs on both sides, to clients and to origins.

pub(crate) mod fields;
pub(crate) mod gather;
pub(crate) mod io;
pub(crate) mod websocket;
