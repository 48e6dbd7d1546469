//! `forward-auth`: another server is asked about each request.

use std::collections::HashSet;
use std::time::Duration;

use super::Decoder;
use super::identity::time_within;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    Diagnostic, ForwardAuth, ForwardAuthMethod, HostPattern, PathPattern, Route, ServerHost,
    Setting, Site, SiteAddress, Spanned, Upstream, UpstreamProtocol,
};

/// The longest wait for another server's word on a request.
const ASK_MAX: Duration = Duration::from_secs(60);

/// Bytes of the path and the query that it is asked for.
const TARGET_BYTES_MAX: usize = 2048;

/// Fields of one kind in one block: each is looked for in every request or every answer.
const FIELDS_MAX: usize = 64;

impl Decoder<'_> {
    #[expect(clippy::option_option, reason = "`forward-auth off` is such a line too")]
    pub(super) fn forward_auth(&mut self, block: &Item) -> Option<Option<ForwardAuth>> {
        if self.says_off(block, "forward-auth URL") {
            return Some(None);
        }
        let text = block.value(0)?;
        let (server, path) = split(text);
        let upstream = self.target(&server);
        let target = self.ok(asked_target(text, path));
        let mut auth = ForwardAuth {
            upstream: Spanned::new(upstream?, text.span),
            target: target?,
            request_fields: Vec::new(),
            response_fields: Vec::new(),
            user: None,
            method: Setting::default_of(ForwardAuthMethod::Get),
            timeout: Setting::default_of(Duration::from_secs(5)),
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "request-header" => self.forward_fields(item, &mut auth.request_fields),
                "response-header" => self.forward_fields(item, &mut auth.response_fields),
                "user" => {
                    let field = item.value(0).and_then(|text| self.identity_field(text));
                    auth.user = field.filter(|_| !item.is_off()).or(auth.user);
                }
                "method" => self.set(item, &mut auth.method, |text| {
                    let methods =
                        [("GET", ForwardAuthMethod::Get), ("same", ForwardAuthMethod::Same)];
                    values::choice(text, &methods, &[])
                }),
                _ => self.set(item, &mut auth.timeout, |text| {
                    time_within(text, Duration::from_millis(1), ASK_MAX, "1ms to 1m")
                }),
            }
        }
        self.check_asked_server(&auth);
        Some(Some(auth))
    }

    /// Fields that may be copied from one head to another. One that is named again changes nothing.
    fn forward_fields(&mut self, item: &Item, fields: &mut Vec<Spanned<String>>) {
        for text in &item.values {
            let Some(field) = self.identity_field(text).filter(|_| !item.is_off()) else {
                continue;
            };
            if fields.len() == FIELDS_MAX {
                let message = format!("more than {FIELDS_MAX} fields");
                return self.say(Diagnostic::error("E0110", field.span, message));
            }
            if !fields.iter().any(|known| known.value == field.value) {
                fields.push(field);
            }
        }
    }

    fn check_asked_server(&mut self, auth: &ForwardAuth) {
        let upstream = self.upstreams.get(auth.upstream.value.0 as usize);
        if upstream.is_some_and(|one| one.protocol.value == UpstreamProtocol::FastCgi) {
            let message = "a FastCGI application is not asked about requests";
            let error = Diagnostic::error("E0253", auth.upstream.span, message);
            self.say(error.help("name a server that speaks HTTP"));
        }
    }

    /// A server that is asked about a request, and that would have to ask itself about that.
    pub(super) fn check_asked(&mut self, site: &Site) {
        let mut said = HashSet::new();
        for route in &site.routes {
            let Some(auth) = &route.options.guard.forward_auth else { continue };
            let Some(upstream) = self.upstreams.get(auth.upstream.value.0 as usize) else {
                continue;
            };
            let is_here = site.addresses.iter().any(|address| is_of(&address.value, upstream));
            let first = site.routes.iter().find(|route| may_take(route, &auth.target.value));
            let asks = first
                .filter(|_| is_here)
                .and_then(|first| first.options.guard.forward_auth.as_ref())
                .is_some_and(|asks| asks.upstream.value == auth.upstream.value);
            if asks && said.insert(auth.span) {
                let message = "`forward-auth` asks a route that asks the same";
                let warning = Diagnostic::warning("W0326", auth.upstream.span, message);
                self.say(warning.help(
                    "name the server that decides by its own address, or give its path a route with `forward-auth off`",
                ));
            }
        }
    }
}

/// A server as `proxy` has it, and the path behind it. A socket's path cannot be told from another, so a server
/// behind one is an upstream with a name.
fn split(text: &Text) -> (Text, &str) {
    let written = text.text.as_str();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| written.starts_with(scheme));
    let begin = scheme.map_or(0, str::len);
    let end = match written.starts_with("unix:") {
        true => written.len(),
        false => written[begin..].find(['/', '?']).map_or(written.len(), |at| begin + at),
    };
    let (server, path) = written.split_at(end);
    (Text { text: server.to_owned(), span: text.span, form: text.form.clone() }, path)
}

fn asked_target(text: &Text, path: &str) -> Value<String> {
    let sign = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'\\');
    let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let bare = target.split('?').next().unwrap_or_default();
    let is_good = target.len() <= TARGET_BYTES_MAX
        && target.bytes().all(sign)
        && doorman_http::path::normalise(bare.as_bytes(), &mut Vec::new()).is_ok();
    if is_good {
        return Ok(Spanned::new(target, text.span));
    }
    let message = format!("`{}` is not a URL that can be asked", text.shown());
    Err(Diagnostic::error("E0317", text.span, message)
        .help("such as http://127.0.0.1:9091/verify, or the name of an upstream and a path"))
}

/// Whether a server of an upstream is this address.
fn is_of(address: &SiteAddress, upstream: &Upstream) -> bool {
    upstream.servers.iter().map(|server| &server.address.value).any(|server| {
        let (is_host, port) = match (&server.host, &address.host) {
            (ServerHost::Name { name, port }, HostPattern::Name(own)) => (name == own, *port),
            (ServerHost::Ip { ip, port }, HostPattern::Ip(own)) => (ip == own, *port),
            _ => return false,
        };
        is_host && port == address.port && server.scheme == address.scheme
    })
}

/// Whether a route certainly takes a target. One with conditions may leave it to the next.
fn may_take(route: &Route, target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let takes_path = match &route.path.value {
        PathPattern::Any => true,
        PathPattern::Exact(own) => own == path,
        PathPattern::Prefix(front) => path
            .strip_prefix(front.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        PathPattern::Wildcard { .. } | PathPattern::Regex(_) => false,
    };
    let takes_get = route.methods.is_empty() || route.methods.iter().any(|one| one.value == "GET");
    takes_path && takes_get && route.conditions.is_empty()
}
