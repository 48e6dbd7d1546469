//! The table of all sites and routes: built once for a plan, then only read.

use std::fmt;
use std::net::IpAddr;

use doorman_http::{Method, RequestHead, TargetError};

use crate::condition::{Check, Methods};
use crate::host::Hosts;
use crate::index::Index;
use crate::pattern::Path;
use crate::{
    Capture, Captures, Condition, HostPattern, PathPattern, Reason, RegexError, Tried, Verdict,
};

/// Routes that one site may have. Far more than anybody writes by hand; bounds what a generated
/// configuration can cost when it is loaded.
pub const ROUTES_MAX: usize = 10_000;

/// Place of a site in the list that the table was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteIndex(pub usize);

/// Place of a route in its site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteIndex(pub usize);

/// A site: where it is reached, and its routes in file order.
#[derive(Clone, Debug, Default)]
pub struct SiteSpec {
    /// Its addresses. Two sites of one listener cannot have the same host.
    pub addresses: Vec<Address>,
    /// Its routes; the first that matches wins.
    pub routes: Vec<RouteSpec>,
}

/// One address of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Id of the listener, as in [`doorman_http::Conn::listener`].
    pub listener: usize,
    /// Which hosts.
    pub host: HostPattern,
}

/// What a request must look like for a route to take it.
#[derive(Clone, Debug)]
pub struct RouteSpec {
    /// Methods; empty: all. GET does not stand for HEAD: what is written is what counts.
    pub methods: Vec<Method>,
    /// Which paths.
    pub path: PathPattern,
    /// All of these must hold.
    pub when: Vec<Condition>,
    /// Whether what the path's pattern catches is kept.
    pub capture: Capture,
}

/// Why a table cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableError {
    /// A route is faulty.
    Route(SiteIndex, RouteIndex, Fault),
    /// Two sites take one host on one listener: the earlier and the later.
    SameHost(SiteIndex, SiteIndex, HostPattern),
    /// A site has more than [`ROUTES_MAX`] routes.
    TooManyRoutes(SiteIndex),
}

/// What is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its path is not one that a request could have.
    Path(TargetError),
    /// An expression.
    Regex(RegexError),
    /// The name of a header field.
    FieldName(Box<str>),
    /// `not` is nested too deep.
    NotDepth,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(error) => write!(f, "path pattern: {error}"),
            Self::Regex(error) => error.fmt(f),
            Self::FieldName(name) => write!(f, "`{name}` is not a header field's name"),
            Self::NotDepth => f.write_str("`not` is nested too deep"),
        }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(_, _, fault) => fault.fmt(f),
            Self::SameHost(_, _, host) => write!(f, "two sites take the same host: {host:?}"),
            Self::TooManyRoutes(_) => write!(f, "a site has more than {ROUTES_MAX} routes"),
        }
    }
}

impl std::error::Error for TableError {}

/// A request as routing sees it.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Id of the listener that accepted the connection.
    pub listener: usize,
    /// The request.
    pub head: &'a RequestHead,
    /// The client's address, with what trusted proxies say of it taken in; `None` behind a Unix
    /// socket.
    pub client: Option<IpAddr>,
}

/// Who answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Found {
    /// This route of this site, with what its pattern caught.
    Route(SiteIndex, RouteIndex, Captures),
    /// The site takes the host, but none of its routes the request.
    NoRoute(SiteIndex),
    /// No site of this listener takes the host.
    NoSite,
}

/// All sites and routes, ready for look-ups.
#[derive(Debug, Default)]
pub struct Table {
    /// By listener.
    hosts: Vec<Hosts>,
    sites: Vec<Site>,
}

#[derive(Debug)]
struct Site {
    routes: Vec<Route>,
    index: Index,
}

#[derive(Debug)]
struct Route {
    methods: Methods,
    path: Path,
    when: Box<[Check]>,
    capture: Capture,
}

impl Route {
    fn new(spec: &RouteSpec) -> Result<Self, Fault> {
        Ok(Self {
            methods: Methods::new(&spec.methods),
            path: Path::new(&spec.path)?,
            when: spec.when.iter().map(Check::new).collect::<Result<_, _>>()?,
            capture: spec.capture,
        })
    }

    /// Whether the request is taken, once its path is known to begin with the pattern's text.
    fn takes_rest(&self, query: &Query<'_>) -> bool {
        (self.methods.is_empty() || self.methods.take(&query.head.method))
            && self.path.matches_rest(query.head.path())
            && self.when.iter().all(|check| check.holds(query))
    }

    fn why_lost(&self, query: &Query<'_>) -> Option<Reason> {
        if !self.path.matches(query.head.path()) {
            return Some(Reason::Path);
        }
        if !self.methods.is_empty() && !self.methods.take(&query.head.method) {
            return Some(Reason::Method);
        }
        let failed = self.when.iter().find(|check| !check.holds(query));
        failed.map(|check| check.reason(query))
    }
}

impl Table {
    /// Builds the table.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn new(specs: &[SiteSpec]) -> Result<Self, Vec<TableError>> {
        let mut errors = Vec::new();
        let mut table = Self::default();
        for (spec, site) in specs.iter().zip((0..).map(SiteIndex)) {
            if spec.routes.len() > ROUTES_MAX {
                errors.push(TableError::TooManyRoutes(site));
                continue;
            }
            for address in &spec.addresses {
                errors.extend(table.add_address(address, site));
            }
            let mut routes = Vec::with_capacity(spec.routes.len());
            for (route, number) in spec.routes.iter().zip((0..).map(RouteIndex)) {
                match Route::new(route) {
                    Ok(route) => routes.push(route),
                    Err(fault) => errors.push(TableError::Route(site, number, fault)),
                }
            }
            let index = Index::new(routes.iter().map(|route| &route.path));
            table.sites.push(Site { routes, index });
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    fn add_address(&mut self, address: &Address, site: SiteIndex) -> Option<TableError> {
        if self.hosts.len() <= address.listener {
            self.hosts.resize_with(address.listener + 1, Hosts::default);
        }
        let host = address.host.normal();
        let before = self.hosts[address.listener].add(&host, site).err()?;
        Some(TableError::SameHost(before, site, host))
    }

    /// The site that takes this host on this listener; `host` as [`RequestHead::host`] gives it.
    #[must_use]
    pub fn site(&self, listener: usize, host: &[u8]) -> Option<SiteIndex> {
        self.hosts.get(listener)?.find(host)
    }

    /// The route that answers a request. Allocates only for what a pattern catches.
    pub fn find(&self, query: &Query<'_>) -> Found {
        let Some(site) = self.site(query.listener, query.head.host()) else { return Found::NoSite };
        let Site { routes, index } = &self.sites[site.0];
        let path = query.head.path();
        let winner = index.find(path).find(|&number| routes[number].takes_rest(query));
        let Some(number) = winner else { return Found::NoRoute(site) };
        let captures = match routes[number].capture {
            Capture::Keep => routes[number].path.captures(path),
            Capture::Skip => Captures::default(),
        };
        Found::Route(site, RouteIndex(number), captures)
    }

    /// Every route of the site that takes the host, in order, with its verdict; empty if no site
    /// does. For people: it reads the list from the top as the configuration is read, without the
    /// index.
    #[must_use]
    pub fn explain(&self, query: &Query<'_>) -> Vec<Tried> {
        let Some(site) = self.site(query.listener, query.head.host()) else { return Vec::new() };
        let mut winner = None;
        let routes = self.sites[site.0].routes.iter().zip((0..).map(RouteIndex));
        routes
            .map(|(route, number)| {
                let verdict = match (winner, route.why_lost(query)) {
                    (Some(winner), _) => Verdict::Lost(Reason::Earlier(winner)),
                    (None, Some(reason)) => Verdict::Lost(reason),
                    (None, None) => {
                        winner = Some(number);
                        Verdict::Won
                    }
                };
                Tried { route: number, verdict }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
