//! From a request head to the route that answers it.
//!
//! One decision shaped this room: the meaning is a list in file order of which the first match
//! wins, and everything fast is derived from that list when it is built. A request's host selects a
//! site by a hash; its path selects, by the longest literal it begins with, the few routes of the
//! site that can still match; only those are tried, in order. A property test holds the answer
//! against the plain scan.

#![forbid(unsafe_code)]

pub mod access;
mod address;
mod agents;
mod captures;
mod condition;
mod explain;
mod geo;
mod hash;
mod host;
mod index;
pub mod list;
mod pattern;
mod range;
mod ranks;
mod table;
mod value;

pub use access::Access;
pub use address::AddressSet;
pub use agents::AgentList;
pub use captures::{CAPTURES_MAX, Captures};
pub use condition::{Check, Condition};
pub use explain::{Miss, Reason, Tried, Verdict};
pub use geo::{About, Countries, CountryError, CountrySet, GEO_BYTES_MAX, Geo, GeoError, Networks};
pub use host::HostPattern;
pub use list::ListError;
pub use pattern::{Capture, PathPattern, Segment};
pub use range::{AddressRange, PrefixError, RangeError};
pub use table::{
    Address, Fault, Found, Query, ROUTES_MAX, RouteIndex, RouteSpec, SiteIndex, SiteSpec, Table,
    TableError,
};
pub use value::{REGEX_BYTES_MAX, RegexError, ValueMatch};
