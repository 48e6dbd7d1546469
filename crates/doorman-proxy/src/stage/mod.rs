//! The stages of the corridor. Each is one call deep into a room and back; none calls another.

pub(crate) mod admit;
pub(crate) mod answer;
pub(crate) mod deadline;
pub(crate) mod edit;
pub(crate) mod fetch;
