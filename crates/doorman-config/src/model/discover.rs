//! Servers that are found at run time.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Scheme;
use crate::{Setting, Span, Spanned};

/// A `discover` line.
#[derive(Clone, Debug)]
pub struct Discover {
    /// Where servers are found.
    pub source: Spanned<DiscoverSource>,
    /// Whether TLS is spoken to what DNS finds; a file says it of each server.
    pub scheme: Setting<Scheme>,
    /// Which addresses of a name count.
    pub family: Setting<Family>,
    /// The least time for which an answer of DNS counts, whatever it says; 1 s.
    pub ttl_least: Setting<Duration>,
    /// The longest; 5 min.
    pub ttl_most: Setting<Duration>,
    /// How long a list counts after the last look that went well; 24 h.
    pub keep: Setting<Duration>,
    /// Servers that are taken of a list; 1024.
    pub most: Setting<u32>,
    /// The line.
    pub span: Span,
}

/// Where servers are found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DiscoverSource {
    /// The addresses of a name, each with this port.
    Dns {
        /// The name, in lower case.
        name: String,
        /// The port.
        port: u16,
    },
    /// The SRV records of a name.
    Srv {
        /// The name, in lower case.
        name: String,
    },
    /// A file.
    File(PathBuf),
}

impl fmt::Display for DiscoverSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns { name, port } => write!(f, "dns {name} {port}"),
            Self::Srv { name } => write!(f, "srv {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// Which addresses of a name count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// All.
    Any,
    /// Those of IPv4.
    Ipv4,
    /// Those of IPv6.
    Ipv6,
}
