//! Who may come.

use std::fmt;
use std::path::PathBuf;

use ipnet::IpNet;

use crate::{Setting, Span, Spanned};

/// The `allow` and `deny` lines of one block. `deny` goes first.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Who alone may come; `None`: everybody.
    pub allow: Option<WhoList>,
    /// Who may not; `None`: nobody.
    pub deny: Option<WhoList>,
}

/// Clients: those that any of these names.
#[derive(Clone, Debug)]
pub struct WhoList {
    /// Addresses.
    pub ranges: Vec<Spanned<IpNet>>,
    /// Files with an address or a range on each line.
    pub files: Vec<Spanned<PathBuf>>,
    /// Countries of their addresses.
    pub countries: Vec<Spanned<Country>>,
    /// Numbers of the autonomous systems of their addresses.
    pub networks: Vec<Spanned<u32>>,
    /// Lists that are built in.
    pub lists: Vec<Spanned<BuiltInList>>,
    /// What those get who are refused, from 400 to 499; 403.
    pub status: Setting<u16>,
    /// The first line.
    pub span: Span,
}

impl WhoList {
    /// Whether clients are named by the addresses that are written here and by nothing else.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.files.is_empty()
            && self.countries.is_empty()
            && self.networks.is_empty()
            && self.lists.is_empty()
    }
}

/// Two letters of ISO 3166-1, in upper case. Whether a country has them is not checked: the database decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country(pub [u8; 2]);

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or("??"))
    }
}

/// A list that is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltInList {
    /// What names itself as a tool for scraping or for attacks in `User-Agent`.
    BadBots,
}

impl BuiltInList {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadBots => "bad-bots",
        }
    }
}

/// `geo`: databases that say where addresses are. At least one is there.
#[derive(Clone, Debug)]
pub struct Geo {
    /// A MaxMind database of countries.
    pub country: Option<Spanned<PathBuf>>,
    /// A MaxMind database of autonomous systems.
    pub asn: Option<Spanned<PathBuf>>,
    /// The line.
    pub span: Span,
}
