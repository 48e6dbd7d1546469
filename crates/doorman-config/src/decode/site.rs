//! The `site` and `route` blocks.

use std::collections::HashMap;

use super::Decoder;
use super::options::{Line, apply, inspected};
use crate::address::{self, Written};
use crate::item::{Item, Text};
use crate::{
    Diagnostic, Global, HostPattern, PathPattern, Route, RouteOptions, Scheme, Site, SiteAddress,
    Spanned,
};

/// A site while its addresses are put in order.
type Taken = HashMap<(u16, HostPattern), (crate::Span, Scheme)>;

impl Decoder<'_> {
    pub(super) fn sites(&mut self, items: &[Item], global: &Global) -> Vec<Site> {
        let mut sites = Vec::new();
        let mut taken = Taken::new();
        for item in items.iter().filter(|item| item.directive.name == "site") {
            let site = self.site(item, global);
            if let Some(site) = site.filter(|_| !item.is_off()) {
                self.take(&site, &mut taken);
                sites.push(site);
            }
        }
        for address in sites.iter_mut().flat_map(|site: &mut Site| &mut site.addresses) {
            let address = &mut address.value;
            // A site that takes the host on the plain port itself, or any TLS there, goes before our redirect.
            let own = address
                .redirect_from
                .is_some_and(|port| taken.contains_key(&(port, address.host.clone())));
            if own {
                address.redirect_from = None;
            }
        }
        sites
    }

    /// Notes the addresses of a site and reports those that another site has.
    fn take(&mut self, site: &Site, taken: &mut Taken) {
        for address in &site.addresses {
            let key = (address.value.port, address.value.host.clone());
            let Some((first, scheme)) = taken.get(&key) else {
                taken.insert(key, (address.span, address.value.scheme));
                continue;
            };
            let (port, host) = key;
            let error = if *scheme == address.value.scheme {
                let message = format!("{host} on port {port} belongs to another site already");
                Diagnostic::error("E0211", address.span, message)
                    .help("put the routes of both into one site")
            } else {
                let message =
                    format!("{host} on port {port} would be plain HTTP and HTTPS at once");
                Diagnostic::error("E0212", address.span, message)
            };
            self.say(error.also(*first, "here"));
        }
    }

    fn site(&mut self, block: &Item, global: &Global) -> Option<Site> {
        let before = self.diagnostics.count();
        let written: Vec<(Written, &Text)> = block
            .values
            .iter()
            .filter_map(|text| Some((self.ok(address::site(text))?.value, text)))
            .collect();
        let lines = self.lines(&block.children);
        let wish = self.tls_lines(&block.children, global);
        let addresses: Vec<Spanned<SiteAddress>> = written
            .into_iter()
            .map(|(written, text)| {
                Spanned::new(place(written, &text.text, &wish, global), text.span)
            })
            .collect();
        let tls = self.site_tls(block, &addresses, wish);
        let mut routes = Vec::new();
        for item in block.children.iter().filter(|item| item.directive.name == "route") {
            let route = self.route(item, &lines, global);
            routes.extend(route.filter(|_| !item.is_off()));
        }
        let last = self.site_ending(block, &lines, global);
        routes.extend(last);
        self.check_cached(block, routes.iter().map(|route| &route.ending.value));
        self.check_hinted(block, routes.iter().map(|route| &route.ending.value));
        let first = addresses.first()?;
        let sound = !block.damaged && self.diagnostics.count() == before;
        if routes.is_empty() && sound && !block.is_off() {
            self.say(
                Diagnostic::error("E0216", block.span, "this site answers nothing")
                    .help("add a route, such as `route * { proxy 127.0.0.1:3000 }`"),
            );
        }
        let name = first.value.written.clone();
        let site = Site { name, addresses, tls, routes, span: block.span };
        self.check_clients(&site);
        Some(site)
    }

    /// An ending in the site itself is a last route for every path.
    fn site_ending(&mut self, block: &Item, lines: &[Line], global: &Global) -> Option<Route> {
        let before = self.diagnostics.count();
        let (ending, own) = self.one_ending(&block.children)?;
        if self.diagnostics.count() > before {
            return None;
        }
        let path = Spanned::new(PathPattern::Any, ending.span);
        let options = merged(&[lines, &own], global);
        self.check_optimized(&options, &ending.value, &[lines]);
        self.check_excluded(&options, &[lines]);
        let span = ending.span;
        let (methods, conditions) = (Vec::new(), Vec::new());
        Some(Route { name: "*".to_owned(), methods, path, conditions, ending, options, span })
    }

    fn route(&mut self, block: &Item, site: &[Line], global: &Global) -> Option<Route> {
        let head = self.route_head(block);
        let lines = self.lines(&block.children);
        let mut conditions = Vec::new();
        let mut lost = false;
        for item in block.children.iter().filter(|item| item.directive.name == "when") {
            let condition = self.condition(item);
            lost |= condition.is_none();
            conditions.extend(condition.filter(|_| !item.is_off()));
        }
        let before = self.diagnostics.count();
        let ending = self.one_ending(&block.children);
        let failed = self.diagnostics.count() > before;
        if ending.is_none() && !failed && !block.damaged && !block.is_off() {
            self.say(
                Diagnostic::error("E0214", block.span, "this route has no ending")
                    .help("end it with `proxy`, `redirect` or `respond`"),
            );
        }
        let (methods, path) = head?;
        let (ending, own) = ending?;
        if lost {
            return None;
        }
        self.check_cached(block, std::iter::once(&ending.value));
        self.check_hinted(block, std::iter::once(&ending.value));
        let options = merged(&[site, &lines, &own], global);
        if !block.is_off() {
            self.check_optimized(&options, &ending.value, &[site, &lines]);
            self.check_excluded(&options, &[site, &lines]);
        }
        let name = name_of(block);
        Some(Route { name, methods, path, conditions, ending, options, span: block.span })
    }

    /// The ending of a block, and what it brings besides; a second one is reported.
    fn one_ending(&mut self, items: &[Item]) -> Option<(Spanned<crate::Ending>, Vec<Line>)> {
        let mut first: Option<crate::Span> = None;
        let mut found = None;
        for item in items {
            if !matches!(item.directive.name, "proxy" | "redirect" | "respond") {
                continue;
            }
            let ending = self.ending(item);
            if item.is_off() {
                continue;
            }
            match first {
                None => {
                    first = Some(item.span);
                    found = ending;
                }
                Some(first) => self.say(
                    Diagnostic::error("E0215", item.span, "a second ending")
                        .also(first, "the request ends here already")
                        .help("keep one of `proxy`, `redirect` and `respond`"),
                ),
            }
        }
        found
    }
}

/// The options of a route: site before route, and the defaults of `global` where nothing was written.
fn merged(lines: &[&[Line]], global: &Global) -> RouteOptions {
    let mut options = RouteOptions::default();
    for lines in lines {
        apply(&mut options, lines);
    }
    inspected(&mut options, lines);
    options.body_max = options.body_max.or(global.limits.body);
    options
}

/// The head of a route as written: path and methods, and its conditions wherever they stand.
fn name_of(block: &Item) -> String {
    let words = |item: &Item| {
        let shown: Vec<String> = item.values.iter().map(Text::shown).collect();
        shown.join(" ")
    };
    let mut name = words(block);
    for item in &block.children {
        if item.directive.name == "when" && !item.is_off() {
            name.push_str(" when ");
            name.push_str(&words(item));
        }
    }
    name
}

/// Works out scheme and port of an address.
fn place(written: Written, text: &str, wish: &super::tls::Wish, global: &Global) -> SiteAddress {
    let named = written.host != HostPattern::Any;
    let scheme = written.scheme.unwrap_or(match (wish.is_off(), wish.is_on(), named) {
        (true, _, _) => Scheme::Http,
        (_, true, _) | (_, _, true) => Scheme::Https,
        (false, false, false) => Scheme::Http,
    });
    let default = match scheme {
        Scheme::Http => global.http_port.value,
        Scheme::Https => global.https_port.value,
    };
    let port = written.port.unwrap_or(default);
    let redirects = scheme == Scheme::Https && port == global.https_port.value;
    SiteAddress {
        written: text.to_owned(),
        scheme,
        host: written.host,
        port,
        redirect_from: redirects.then_some(global.http_port.value),
    }
}
