//! The stages of the corridor. Each is one call deep into a room and back; none calls another.

pub(crate) mod admit;
pub(crate) mod answer;
pub(crate) mod cache;
pub(crate) mod cgi;
pub(crate) mod clients;
pub(crate) mod code;
pub(crate) mod cookies;
pub(crate) mod deadline;
pub(crate) mod deliver;
pub(crate) mod early;
pub(crate) mod edit;
pub(crate) mod fetch;
pub(crate) mod forward;
pub(crate) mod grpc;
pub(crate) mod hint;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod mirror;
pub(crate) mod optimize;
pub(crate) mod share;
pub(crate) mod stick;
