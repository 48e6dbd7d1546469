//! Sites and routes of the plan, and the table that finds them.

use doorman_config::{
    Buffering, Condition, Config, Ending, HostPattern, PathPattern, Protocol, Route, Scheme, Span,
    StickyShare, Transport, UpstreamProtocol, ValueMatch,
};
use doorman_http::template::Template;
use doorman_http::{Method, Version};
use doorman_limit::Priority;
use doorman_route::{Address, Capture, RouteSpec, SiteSpec, Table, TableError};

use super::compile::{self, Faults, code};
use super::waf::Maker;
use super::{
    ErrorPages, Ground, HostEdit, PlanCache, PlanCode, PlanDelivery, PlanEnding, PlanMirror,
    PlanRoute, PlanShare, PlanSite, RouteEdits, guard, optimize, overload, sign_in, sites,
    upstreams,
};

pub(super) fn compile(
    config: &Config,
    ground: &Ground,
    inspecting: &mut Maker<'_>,
    guarding: &mut guard::Maker<'_>,
    faults: &mut Faults,
) -> (Vec<PlanSite>, Option<Table>) {
    let mut specs = Vec::new();
    let mut plans = Vec::new();
    for site in &config.sites {
        specs.push(SiteSpec {
            addresses: Vec::new(),
            routes: site.routes.iter().map(|route| spec(config, route)).collect(),
        });
        let routes: Vec<_> = site
            .routes
            .iter()
            .map(|route| {
                let mut waf = inspecting.compile(route.options.waf.as_deref(), faults);
                if let Some(waf) = &mut waf {
                    waf.takes_calls = takes_calls(config, route);
                }
                let guard = guarding.compile(&route.options.guard, faults);
                PlanRoute { waf, guard, ..plan(config, ground, &site.name, route, faults) }
            })
            .collect();
        let early_data = sites::takes_early_data(site);
        let sign_ins = sign_in::own_paths(&routes);
        let name = site.name.as_str().into();
        plans.push(PlanSite { name, routes, clients: None, early_data, sign_ins });
    }
    for listener in &config.listeners {
        let id = ground.listener(listener);
        for (site, _, host) in sites::sites_of(config, listener) {
            specs[site].addresses.push(Address { listener: id, host: self::host(host) });
        }
    }
    redirects(config, ground, &mut specs, &mut plans);
    match Table::new(&specs) {
        Ok(table) => (plans, Some(table)),
        Err(errors) => {
            for error in errors {
                let (span, message) = place(config, &error);
                faults.error(code::ROUTES, span, message);
            }
            (plans, None)
        }
    }
}

/// Where a fault of the table was written.
fn place(config: &Config, error: &TableError) -> (Span, String) {
    let site =
        |index: usize| config.sites.get(index).map_or(config.sites[0].span, |site| site.span);
    let span = match error {
        TableError::Route(site_index, route, _) => config
            .sites
            .get(site_index.0)
            .and_then(|s| s.routes.get(route.0))
            .map_or_else(|| site(site_index.0), |route| route.path.span),
        TableError::SameHost(_, second, _) => site(second.0),
        TableError::TooManyRoutes(index) => site(index.0),
    };
    (span, error.to_string())
}

/// A site that lives on HTTPS takes its hosts on the HTTP port too, only to send them over.
fn redirects(
    config: &Config,
    ground: &Ground,
    specs: &mut Vec<SiteSpec>,
    plans: &mut Vec<PlanSite>,
) {
    for site in &config.sites {
        let mut addresses = Vec::new();
        let mut port = None;
        for address in &site.addresses {
            let Some(from) = address.value.redirect_from else { continue };
            port = Some(address.value.port);
            let plain = config.listeners.iter().filter(|listener| {
                listener.transport == Transport::Plain && listener.address.port() == Some(from)
            });
            addresses.extend(plain.map(|plain| Address {
                listener: ground.listener(plain),
                host: host(&address.value.host),
            }));
        }
        let Some(port) = port.filter(|_| !addresses.is_empty()) else { continue };
        let authority = if port == 443 {
            "https://{host}{uri}".to_owned()
        } else {
            format!("https://{{host}}:{port}{{uri}}")
        };
        let to = Template::parse(&authority).expect("a constant template is valid");
        specs.push(SiteSpec {
            addresses,
            routes: vec![RouteSpec {
                methods: Vec::new(),
                path: doorman_route::PathPattern::Any,
                when: Vec::new(),
                capture: Capture::Skip,
            }],
        });
        plans.push(PlanSite {
            name: site.name.as_str().into(),
            // 308 keeps the method: a POST that a client sends in the clear is not made a GET.
            routes: vec![PlanRoute::bare("_https", PlanEnding::Redirect(to, 308))],
            clients: None,
            early_data: false,
            sign_ins: Vec::new(),
        });
    }
}

impl PlanRoute {
    /// What questions about requests go by: to their server they are requests of a client of its own.
    pub(super) fn asking() -> Self {
        let edits = RouteEdits { host: HostEdit::Upstream, ..RouteEdits::default() };
        Self { edits, ..Self::bare("_forward-auth", PlanEnding::Proxy(Vec::new())) }
    }

    fn bare(name: &str, ending: PlanEnding) -> Self {
        Self {
            name: name.into(),
            ending,
            share: None,
            cache: None,
            code: None,
            guard: None,
            priority: Priority::Normal,
            waf: None,
            html: false,
            mirror: None,
            delivery: None,
            edits: RouteEdits::default(),
            pages: ErrorPages::default(),
            mtls: false,
            body_max: None,
            buffer_request: None,
            buffer_response: None,
            timeouts: super::RouteTimes::default(),
        }
    }
}

fn plan(
    config: &Config,
    ground: &Ground,
    site: &str,
    route: &Route,
    faults: &mut Faults,
) -> PlanRoute {
    let options = &route.options;
    let ending = match &route.ending.value {
        Ending::Proxy(targets) => PlanEnding::Proxy(
            targets.iter().map(|t| (t.value.upstream.0 as usize, t.value.share)).collect(),
        ),
        Ending::Redirect(redirect) => {
            PlanEnding::Redirect(redirect.to.value.clone(), redirect.status)
        }
        Ending::Respond(respond) => PlanEnding::Respond(
            respond.status,
            respond.body.as_ref().map(|body| body.value.clone()),
        ),
    };
    PlanRoute {
        name: route.name.as_str().into(),
        share: PlanShare::compile(config, ground, route, faults),
        cache: match &ending {
            PlanEnding::Proxy(targets) => {
                let label = (site, route.name.as_str());
                PlanCache::compile(config, ground, label, options, targets, faults)
            }
            _ => None,
        },
        html: optimize::makes_pages(&options.optimize) && matches!(ending, PlanEnding::Proxy(_)),
        code: match &ending {
            PlanEnding::Proxy(_) => PlanCode::compile(options, faults),
            _ => None,
        },
        // Without an origin there is nothing to compare an answer with.
        mirror: match &ending {
            PlanEnding::Proxy(_) => options.mirror.as_ref().map(PlanMirror::compile),
            _ => None,
        },
        delivery: PlanDelivery::compile(
            ground,
            (site, route.name.as_str()),
            &options.delivery,
            &ending,
            faults,
        ),
        ending,
        guard: None,
        priority: overload::priority(&options.guard),
        waf: None,
        edits: RouteEdits::compile(options, faults),
        pages: ErrorPages::compile(options, faults),
        mtls: options.mtls.is_some(),
        body_max: options.body_max.as_ref().map(|max| max.value),
        buffer_request: buffering(options.buffer_request.value),
        buffer_response: buffering(options.buffer_response.value),
        timeouts: upstreams::route_times(&options.timeouts),
    }
}

fn buffering(buffering: Buffering) -> Option<usize> {
    match buffering {
        Buffering::Off => None,
        Buffering::UpTo(bytes) => Some(usize::try_from(bytes).unwrap_or(usize::MAX)),
    }
}

fn spec(config: &Config, route: &Route) -> RouteSpec {
    RouteSpec {
        methods: route.methods.iter().filter_map(|m| method(&m.value)).collect(),
        path: path(&route.path.value),
        when: route.conditions.iter().map(|condition| self::condition(&condition.value)).collect(),
        capture: if names_groups(config, route) { Capture::Keep } else { Capture::Skip },
    }
}

/// Whether all servers of the route may be spoken to in what gRPC needs.
fn takes_calls(config: &Config, route: &Route) -> bool {
    let Ending::Proxy(targets) = &route.ending.value else { return false };
    let mut upstreams = targets.iter().filter_map(|t| config.upstream(t.value.upstream));
    upstreams.all(|upstream| match upstream.protocol.value {
        UpstreamProtocol::H2 | UpstreamProtocol::H2c | UpstreamProtocol::H3 => true,
        UpstreamProtocol::Auto => upstream.may_have(Scheme::Https),
        UpstreamProtocol::H1 | UpstreamProtocol::FastCgi => false,
    })
}

/// Whether any template of the route asks for what its path caught. Copying groups out costs an
/// allocation, so it is done only where somebody asks.
fn names_groups(config: &Config, route: &Route) -> bool {
    use doorman_http::template::{Part, Placeholder};
    let asks = |template: &Template| {
        template.parts().iter().any(|part| matches!(part, Part::Value(Placeholder::Group(_))))
    };
    let options = &route.options;
    let ending = match &route.ending.value {
        Ending::Proxy(targets) => {
            let upstreams = targets.iter().filter_map(|t| config.upstream(t.value.upstream));
            let mut keys = upstreams.filter_map(|upstream| upstream.balancing.key.as_ref());
            let shares = match options.sticky_share.as_ref().map(|share| &share.value) {
                Some(StickyShare::Key(template)) => asks(template),
                _ => false,
            };
            shares || keys.any(|key| asks(&key.value))
        }
        Ending::Redirect(redirect) => asks(&redirect.to.value),
        Ending::Respond(respond) => respond.body.as_ref().is_some_and(|body| asks(&body.value)),
    };
    let edits = options.request_headers.iter().chain(&options.response_headers);
    ending || edits.filter_map(|edit| super::edits::value_of(&edit.value)).any(asks)
}

fn method(name: &str) -> Option<Method> {
    Method::from_bytes(name.as_bytes())
}

fn path(pattern: &PathPattern) -> doorman_route::PathPattern {
    use doorman_route::PathPattern as Pattern;
    match pattern {
        PathPattern::Any => Pattern::Any,
        PathPattern::Exact(path) => Pattern::Exact(path.as_str().into()),
        PathPattern::Prefix(prefix) => Pattern::Prefix(prefix.as_str().into()),
        PathPattern::Wildcard { segments, open } => {
            Pattern::Wildcard { segments: segments.iter().map(segment).collect(), open: *open }
        }
        PathPattern::Regex(regex) => Pattern::Regex(regex.as_str().into()),
    }
}

fn segment(segment: &doorman_config::Segment) -> doorman_route::Segment {
    match segment {
        doorman_config::Segment::Text(text) => doorman_route::Segment::Text(text.as_str().into()),
        doorman_config::Segment::Any => doorman_route::Segment::Any,
    }
}

pub(super) fn condition(condition: &Condition) -> doorman_route::Condition {
    use doorman_route::Condition as Check;
    match condition {
        Condition::Header { name, value } => {
            Check::Header(name.as_str().into(), self::value(value))
        }
        Condition::Query { name, value } => Check::Query(name.as_str().into(), self::value(value)),
        Condition::Cookie { name, value } => {
            Check::Cookie(name.as_str().into(), self::value(value))
        }
        Condition::Method(names) => Check::Method(names.iter().filter_map(|n| method(n)).collect()),
        Condition::Client(ranges) => Check::Client(compile::address_set(ranges.iter().copied())),
        Condition::Host(pattern) => Check::Host(host(pattern)),
        Condition::Protocol(protocols) => {
            Check::Version(protocols.iter().flat_map(|p| versions(*p)).copied().collect())
        }
        Condition::Not(inner) => Check::Not(Box::new(self::condition(inner))),
    }
}

const fn versions(protocol: Protocol) -> &'static [Version] {
    match protocol {
        Protocol::H1 => &[Version::Http10, Version::Http11],
        Protocol::H2 | Protocol::H2c => &[Version::Http2],
        Protocol::H3 => &[Version::Http3],
    }
}

fn value(value: &ValueMatch) -> doorman_route::ValueMatch {
    match value {
        ValueMatch::Present => doorman_route::ValueMatch::Present,
        ValueMatch::Exact(text) => doorman_route::ValueMatch::Exact(text.as_str().into()),
        ValueMatch::Regex(regex) => doorman_route::ValueMatch::Regex(regex.as_str().into()),
    }
}

fn host(pattern: &HostPattern) -> doorman_route::HostPattern {
    use doorman_route::HostPattern as Pattern;
    match pattern {
        HostPattern::Any => Pattern::Any,
        HostPattern::Name(name) => Pattern::Name(name.as_str().into()),
        HostPattern::Wildcard(suffix) => Pattern::Wildcard(suffix.as_str().into()),
        HostPattern::Ip(ip) => Pattern::Ip(*ip),
    }
}
