//! `allow` and `deny`: who may come in.
//!
//! What is denied stays out, whatever else allows it. Where something is allowed, everybody else stays out too.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use doorman_http::{FieldId, RequestHead};

use crate::{AddressSet, AgentList, CountrySet, Geo};

/// Who is meant by one entry of `allow` or `deny`.
///
/// What is not known of somebody is in no entry: the country or network of an address that no file names, the
/// address of who comes by a Unix socket, the user agent of who sends none.
#[derive(Clone, Debug)]
pub enum Who {
    /// Whose address is in the set.
    Addresses(Arc<AddressSet>),
    /// Whose address is in one of these countries.
    Countries(CountrySet),
    /// Whose address is announced by one of these autonomous systems.
    Networks(Box<[u32]>),
    /// Who sends a user agent, in one of the fields of that name, that holds a word of the list.
    Agents(Arc<AgentList>),
}

/// One entry, and what it is called.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The operator's words, for the log and for `explain`: `192.0.2.0/24`, `country DE`, `file bad.txt`.
    pub name: Box<str>,
    /// Who is meant.
    pub who: Who,
}

/// The entries of one block.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Who stays out.
    pub deny: Vec<Entry>,
    /// Who may come in; if there is no entry, all.
    pub allow: Vec<Entry>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict<'a> {
    /// Nothing is denied, and what must be allowed is. Tells the entry that allows it, if one must.
    Pass {
        /// The name of the first entry of `allow` that holds.
        by: Option<&'a str>,
    },
    /// An entry of `deny` holds.
    Denied {
        /// The name of the first that does.
        by: &'a str,
    },
    /// There are entries of `allow`, and none holds.
    NotAllowed,
}

impl Verdict<'_> {
    /// Whether the request may go on.
    #[must_use]
    pub const fn is_pass(&self) -> bool {
        matches!(self, Self::Pass { .. })
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass { by: None } => f.write_str("nothing denies it"),
            Self::Pass { by: Some(by) } => write!(f, "allowed by `{by}`"),
            Self::Denied { by } => write!(f, "denied by `{by}`"),
            Self::NotAllowed => f.write_str("nothing allows it"),
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// The client's address, if there is one.
    pub address: Option<IpAddr>,
    /// The head of the request; none before there is one.
    pub head: Option<&'a RequestHead>,
}

impl Access {
    /// Whether there is nothing to decide.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.deny.is_empty() && self.allow.is_empty()
    }

    /// Decides. Allocates nothing.
    pub fn judge(&self, visitor: &Visitor<'_>, geo: &Geo) -> Verdict<'_> {
        let first =
            |entries: &'_ [Entry]| entries.iter().position(|entry| entry.who.holds(visitor, geo));
        if let Some(at) = first(&self.deny) {
            return Verdict::Denied { by: &self.deny[at].name };
        }
        if self.allow.is_empty() {
            return Verdict::Pass { by: None };
        }
        match first(&self.allow) {
            Some(at) => Verdict::Pass { by: Some(&self.allow[at].name) },
            None => Verdict::NotAllowed,
        }
    }

    /// Whether an entry asks for countries, so that a file of them is needed.
    #[must_use]
    pub fn needs_countries(&self) -> bool {
        self.entries().any(|entry| matches!(entry.who, Who::Countries(_)))
    }

    /// Whether an entry asks for networks, so that a file of them is needed.
    #[must_use]
    pub fn needs_networks(&self) -> bool {
        self.entries().any(|entry| matches!(entry.who, Who::Networks(_)))
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.deny.iter().chain(&self.allow)
    }
}

impl Who {
    fn holds(&self, visitor: &Visitor<'_>, geo: &Geo) -> bool {
        let address = visitor.address;
        match self {
            Self::Addresses(set) => address.is_some_and(|ip| set.contains(ip)),
            Self::Countries(set) => {
                address.and_then(|ip| geo.country(ip)).is_some_and(|country| set.contains(country))
            }
            Self::Networks(asns) => {
                address.and_then(|ip| geo.asn(ip)).is_some_and(|asn| asns.contains(&asn))
            }
            Self::Agents(list) => visitor.head.is_some_and(|head| {
                head.fields.all(FieldId::UserAgent).any(|agent| list.find(agent).is_some())
            }),
        }
    }
}

#[cfg(test)]
mod tests;
