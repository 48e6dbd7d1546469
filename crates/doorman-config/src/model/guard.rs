//! What a request must pass before anything is done for it. Each word has a field here, and a field that is empty
//! costs nothing.

mod access;

pub use access::{Access, BuiltInList, Country, Geo, WhoList};

/// The guards of a route, merged from its policies, its site and itself.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// `allow` and `deny`, together for each policy, site and route that has some. All of them must let a client pass.
    pub access: Vec<Access>,
}
