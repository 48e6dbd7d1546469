//! Header compression (RFC 7541).

mod decoder;
mod encoder;
mod name;
mod table;

pub(crate) use decoder::{Bounds, Decoder, Line, Trouble};
pub(crate) use encoder::Encoder;
pub(crate) use name::{Name, Value};

/// Bytes of a dynamic table (section 4.2): the default, which is also the most that we take of what
/// a peer offers.
pub(crate) const TABLE_MAX: usize = 4096;
/// What an entry counts beside its bytes (section 4.1).
const OVERHEAD: usize = 32;

#[cfg(test)]
mod tests;
