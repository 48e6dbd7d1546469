//! What operators decide, as pure functions over bytes.

mod bytes;
mod ip;
mod phrases;

pub use bytes::ByteSet;
pub use ip::IpSet;
pub use phrases::PhraseSet;
