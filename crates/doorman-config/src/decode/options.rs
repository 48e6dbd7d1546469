//! Options that policies, sites and routes share. Each statement is decoded once to a [`Line`] and applied to every
//! route that it is for, in order: policies, site, route.

use super::guard::GuardLine;
use super::optimize::{self, OptimizeLine};
use super::waf::{Inspection, WafLine};
use super::{Decoder, Policy, delivery};
use crate::item::Item;
use crate::values;
use crate::{
    Buffering, Cache, ClientCert, Compress, CookiePart, CookieRewrite, Decompress, Diagnostic,
    ErrorAction, ErrorPage, Forwarded, HeaderEdit, LocationRewrite, LocationRule, Mirror, Rewrite,
    RewritePart, RouteOptions, RouteTimeouts, Setting, Span, Spanned, StickyShare, UpstreamHost,
};

/// Most a `buffer` may hold, for each request under way.
const BUFFER_BYTES_MAX: u64 = 1 << 30;

/// Fields that frame a message or that belong to one connection (RFC 9110 section 7.6.1, RFC 9112 section 6): the
/// codecs make them, and an edit would make two readers disagree about where a message ends.
pub(super) const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// A decoded option.
#[derive(Clone, Debug)]
pub(super) enum Line {
    StripPrefix(Spanned<String>),
    Rewrite(Spanned<Rewrite>),
    Host(Spanned<UpstreamHost>),
    RequestHeader(Spanned<HeaderEdit>),
    ResponseHeader(Spanned<HeaderEdit>),
    Forwarded(Spanned<Forwarded>),
    Hsts(Spanned<String>),
    Mtls(Span),
    ClientCert(Spanned<ClientCert>),
    Location(Spanned<LocationRewrite>),
    Cookie(Spanned<CookieRewrite>),
    ErrorPage(Spanned<ErrorPage>),
    BodyMax(Spanned<u64>),
    BufferRequest(Spanned<Buffering>),
    BufferResponse(Spanned<Buffering>),
    Timeouts(RouteTimeouts),
    StickyShare(Spanned<StickyShare>),
    Mirror(Option<Mirror>),
    Cache(Option<Box<Cache>>),
    Compress(Option<Compress>),
    Decompress(Option<Decompress>),
    Optimize(OptimizeLine),
    Delivery(delivery::Word),
    Waf(WafLine),
    Guard(Box<GuardLine>),
}

/// Applies lines to the options of a route.
pub(super) fn apply(options: &mut RouteOptions, lines: &[Line]) {
    for line in lines {
        match line.clone() {
            Line::StripPrefix(prefix) => options.strip_prefix = Some(prefix),
            Line::Rewrite(rewrite) => options.rewrites.push(rewrite),
            Line::Host(host) => options.host = host.into(),
            Line::RequestHeader(edit) => options.request_headers.push(edit),
            Line::ResponseHeader(edit) => options.response_headers.push(edit),
            Line::Forwarded(forwarded) => options.forwarded = forwarded.into(),
            Line::Hsts(value) => options.hsts = Some(value),
            Line::Mtls(span) => options.mtls = Some(span),
            Line::ClientCert(form) => options.client_cert = form.into(),
            Line::Location(location) => apply_location(&mut options.rewrite_location, location),
            Line::Cookie(cookie) => options.rewrite_cookies.push(cookie),
            Line::ErrorPage(page) => options.error_pages.push(page),
            Line::BodyMax(max) => options.body_max = Some(max),
            Line::BufferRequest(buffering) => options.buffer_request = buffering.into(),
            Line::BufferResponse(buffering) => options.buffer_response = buffering.into(),
            Line::Timeouts(timeouts) => options.timeouts = timeouts.or(options.timeouts),
            Line::StickyShare(share) => options.sticky_share = Some(share),
            Line::Mirror(mirror) => options.mirror = mirror,
            Line::Cache(cache) => options.cache = cache,
            Line::Compress(compress) => options.compress = compress,
            Line::Decompress(decompress) => options.decompress = decompress,
            Line::Optimize(line) => optimize::apply(&mut options.optimize, line),
            Line::Delivery(word) => word.apply(&mut options.delivery),
            Line::Guard(line) => line.apply(&mut options.guard),
            // Gathered by itself: exclusions hold for rules that are named behind them.
            Line::Waf(_) => {}
        }
    }
}

/// What of all these lines is about inspection.
pub(super) fn inspected(options: &mut RouteOptions, lines: &[&[Line]]) {
    let mut inspection = Inspection::default();
    for line in lines.iter().copied().flatten() {
        if let Line::Waf(line) = line {
            inspection.apply(line.clone());
        }
    }
    inspection.finish(options);
}

/// A rule joins the rules before it; `auto` and `off` replace everything before them.
fn apply_location(slot: &mut Setting<LocationRewrite>, line: Spanned<LocationRewrite>) {
    match (&mut slot.value, line.value) {
        (LocationRewrite::Rules(rules), LocationRewrite::Rules(more)) => rules.extend(more),
        (_, value) => *slot = Setting::written(value, line.span),
    }
}

impl Decoder<'_> {
    /// The lines of a policy, a site or a route: those of the policies it uses first, then its own. Statements that
    /// are no options are left for the caller.
    pub(super) fn lines(&mut self, items: &[Item]) -> Vec<Line> {
        let mut lines = Vec::new();
        for item in items.iter().filter(|item| item.directive.name == "use") {
            for text in &item.values {
                let Some(policy) = self.policies.get_mut(&text.text) else {
                    self.unknown_policy(text);
                    continue;
                };
                policy.used = true;
                if !item.is_off() {
                    lines.extend(policy.lines.iter().cloned());
                }
            }
        }
        for item in items {
            let line = self.line(item);
            lines.extend(line.into_iter().flatten().filter(|_| !item.is_off()));
        }
        lines.extend(self.guard_lines(items));
        self.check_optimize_lines(items);
        self.check_waf_lines(items);
        lines
    }

    fn unknown_policy(&mut self, text: &crate::item::Text) {
        let error =
            Diagnostic::error("E0210", text.span, format!("there is no policy `{}`", text.shown()));
        if let Some(off) = self.switched_off.get(&text.text) {
            let help = "take the `off` in front of it away";
            return self.say(error.also(*off, "it is switched off here").help(help));
        }
        if let Some(below) = self.policy_places.get(&text.text) {
            let help = "a policy uses only what stands above it: move this one below";
            return self.say(error.also(*below, "it stands here").help(help));
        }
        if self.diagnostics.count() > super::upstream::SUGGESTED_MAX {
            return self.say(error);
        }
        let near = {
            let names = super::names_of(self.policies.keys());
            crate::suggest::nearest(&text.text, names).map(str::to_owned)
        };
        let error = match near {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!("write `policy {} {{ ... }}`", text.shown())),
        };
        self.say(error);
    }

    /// Policies in file order, so that one can only use what stands above it and no circle can be made.
    pub(super) fn policies(&mut self, items: &[Item]) {
        let policies = || items.iter().filter(|item| item.directive.name == "policy");
        for text in policies().filter(|item| !item.is_off()).filter_map(|item| item.value(0)) {
            self.policy_places.insert(text.text.clone(), text.span);
        }
        for item in policies() {
            let Some(text) = item.value(0) else { continue };
            let Some(name) = self.ok(values::name(text)) else { continue };
            let lines = self.lines(&item.children);
            if item.is_off() {
                self.switched_off.insert(name.value, name.span);
                continue;
            }
            if let Some(first) = self.policies.get(&name.value) {
                let first = first.name;
                let message = format!("a second policy `{}`", name.value);
                self.say(Diagnostic::error("E0208", name.span, message).also(first, "the first"));
                continue;
            }
            self.policies.insert(name.value, Policy { name: name.span, lines, used: false });
        }
    }

    /// The lines of one statement; `None` if it is no option.
    fn line(&mut self, item: &Item) -> Option<Vec<Line>> {
        let line = match item.directive.name {
            "strip-prefix" => self.strip_prefix(item).map(Line::StripPrefix),
            "rewrite" => self.rewrite(item).map(Line::Rewrite),
            "host" => self.upstream_host(item).map(Line::Host),
            "request-header" => self.header_edit(item).map(Line::RequestHeader),
            "response-header" => self.header_edit(item).map(Line::ResponseHeader),
            "forwarded" => self.forwarded(item).map(Line::Forwarded),
            "hsts" => self.hsts(item).map(Line::Hsts),
            "mtls" => Some(Line::Mtls(item.span)),
            "client-cert" => self.client_cert(item).map(Line::ClientCert),
            "rewrite-location" => self.location(item).map(Line::Location),
            "rewrite-cookie" => self.cookie(item).map(Line::Cookie),
            "error-page" => self.error_page(item).map(Line::ErrorPage),
            "body" => return Some(self.body(item)),
            "buffer" => return Some(self.buffer(item)),
            "timeout" => Some(Line::Timeouts(self.timeout(item))),
            "mirror" => self.mirror(item).map(Line::Mirror),
            "cache" => self.cache(item).map(Line::Cache),
            "compress" => self.compress(item).map(Line::Compress),
            "decompress" => self.decompress(item).map(Line::Decompress),
            "optimize" => self.optimize(item).map(Line::Optimize),
            "waf" => self.waf(item).map(Line::Waf),
            "early-hints" | "server-timing" | "immutable" | "sniff-guard" => {
                self.delivery(item).map(Line::Delivery)
            }
            _ => return self.guard_line(item),
        };
        Some(line.into_iter().collect())
    }

    fn strip_prefix(&mut self, item: &Item) -> Option<Spanned<String>> {
        let text = item.value(0)?;
        let good = text.text.starts_with('/')
            && !text.text.ends_with('/')
            && !text.text.contains(['*', '?', '#'])
            && !text.text.chars().any(char::is_control);
        if good {
            return Some(Spanned::new(text.text.clone(), item.span));
        }
        let message = format!("`{}` is not a prefix of a path", text.shown());
        self.say(
            Diagnostic::error("E0311", text.span, message)
                .help("it begins with / and doesn't end with one: `strip-prefix /app`"),
        );
        None
    }

    fn rewrite(&mut self, item: &Item) -> Option<Spanned<Rewrite>> {
        let parts = [
            ("path", RewritePart::Path),
            ("query", RewritePart::Query),
            ("host", RewritePart::Host),
        ];
        let (part, rest) = match item.values.as_slice() {
            [part, rest @ ..] if rest.len() == 2 => {
                (self.ok(values::choice(part, &parts, &[]))?.value, rest)
            }
            values => (RewritePart::Path, values),
        };
        let [from, to] = rest else {
            self.say(
                Diagnostic::error("E0204", item.span, "`rewrite` takes FROM and TO")
                    .help("it is written `rewrite [path|query|host] FROM TO`"),
            );
            return None;
        };
        let from = self.ok(values::regex(from));
        let to = self.ok(values::head_value(to));
        Some(Spanned::new(Rewrite { part, from: from?, to: to? }, item.span))
    }

    fn upstream_host(&mut self, item: &Item) -> Option<Spanned<UpstreamHost>> {
        let text = item.value(0)?;
        let host = match text.text.as_str() {
            "preserve" => UpstreamHost::Preserve,
            "upstream" => UpstreamHost::Upstream,
            _ => UpstreamHost::Value(self.ok(values::head_value(text))?.value),
        };
        Some(Spanned::new(host, item.span))
    }

    fn header_edit(&mut self, item: &Item) -> Option<Spanned<HeaderEdit>> {
        let actions = [("set", 0), ("add", 1), ("remove", 2)];
        let action = self.ok(values::choice(item.value(0)?, &actions, &[]))?.value;
        let name = self.ok(values::field(item.value(1)?))?;
        let field = name.value;
        if FRAMING.contains(&field.as_str()) || field == "host" {
            let help = match field.as_str() {
                "host" => "use `host preserve|upstream|VALUE`",
                _ => {
                    "doorman makes this field itself, so that both sides agree where a message ends"
                }
            };
            let message = format!("`{field}` cannot be edited");
            self.say(Diagnostic::error("E0222", name.span, message).help(help));
            return None;
        }
        let (value, extra) = (item.value(2), action == 2);
        let edit = match (value, extra) {
            (None, true) => HeaderEdit::Remove { name: field },
            (Some(value), false) => {
                let value = self.ok(values::head_value(value))?.value;
                match action {
                    0 => HeaderEdit::Set { name: field, value },
                    _ => HeaderEdit::Add { name: field, value },
                }
            }
            (Some(value), true) => {
                self.say(Diagnostic::error("E0204", value.span, "`remove` takes no value"));
                return None;
            }
            (None, false) => {
                let message = format!("`{}` misses a value", item.directive.name);
                let help = format!("it is written `{}`", item.directive.syntax());
                self.say(Diagnostic::error("E0204", item.span, message).help(help));
                return None;
            }
        };
        Some(Spanned::new(edit, item.span))
    }

    fn forwarded(&mut self, item: &Item) -> Option<Spanned<Forwarded>> {
        let forms = [
            ("x-forwarded", Forwarded::XForwarded),
            ("rfc7239", Forwarded::Rfc7239),
            ("both", Forwarded::Both),
            ("off", Forwarded::Off),
        ];
        self.ok(values::choice(item.value(0)?, &forms, &[]))
    }

    /// `Strict-Transport-Security` (RFC 6797 section 6.1).
    fn hsts(&mut self, item: &Item) -> Option<Spanned<String>> {
        let time = self.ok(values::duration_or_zero(item.value(0)?))?;
        let mut value = format!("max-age={}", time.value.as_secs());
        let words = [("include-subdomains", "; includeSubDomains"), ("preload", "; preload")];
        for text in item.values.iter().skip(1) {
            let word = self.ok(values::choice(text, &words, &[]))?;
            if value.contains(word.value) {
                let message = format!("`{}` stands here twice", text.shown());
                self.say(Diagnostic::error("E0208", text.span, message));
                return None;
            }
            value.push_str(word.value);
        }
        Some(Spanned::new(value, item.span))
    }

    fn client_cert(&mut self, item: &Item) -> Option<Spanned<ClientCert>> {
        let forms = [("rfc9440", ClientCert::Rfc9440), ("off", ClientCert::Off)];
        self.ok(values::choice(item.value(0)?, &forms, &[]))
    }

    fn location(&mut self, item: &Item) -> Option<Spanned<LocationRewrite>> {
        let from = item.value(0)?;
        let rewrite = match (from.text.as_str(), item.value(1)) {
            ("auto", None) => LocationRewrite::Auto,
            ("off", None) => LocationRewrite::Off,
            (_, None) => {
                self.say(
                    Diagnostic::error("E0204", item.span, "`rewrite-location` takes FROM and TO")
                        .help("it is written `rewrite-location auto|off` or `rewrite-location FROM TO`"),
                );
                return None;
            }
            (_, Some(to)) => {
                let to = self.ok(values::head_value(to))?.value;
                let rule = LocationRule { from: from.text.clone(), to };
                LocationRewrite::Rules(vec![Spanned::new(rule, item.span)])
            }
        };
        Some(Spanned::new(rewrite, item.span))
    }

    fn cookie(&mut self, item: &Item) -> Option<Spanned<CookieRewrite>> {
        let parts = [("domain", CookiePart::Domain), ("path", CookiePart::Path)];
        let part = self.ok(values::choice(item.value(0)?, &parts, &[]))?.value;
        let from = item.value(1)?.text.clone();
        let text = item.value(2)?;
        if text.text.contains(';') {
            let message = "an attribute of a cookie has no `;`";
            self.say(Diagnostic::error("E0310", text.span, message));
            return None;
        }
        let to = self.ok(values::head_value(text))?.value;
        Some(Spanned::new(CookieRewrite { part, from, to }, item.span))
    }

    fn error_page(&mut self, item: &Item) -> Option<Spanned<ErrorPage>> {
        let status =
            |text: &crate::item::Text| text.text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let count = item.values.iter().take_while(|text| status(text)).count();
        let (codes, rest) = item.values.split_at(count);
        let mut statuses = Vec::new();
        for code in codes {
            statuses.push(self.ok(values::statuses(code))?.value);
        }
        let responds = rest.first().and_then(crate::item::Text::word) == Some("respond");
        let counts = if responds { 2..=3 } else { 1..=1 };
        if statuses.is_empty() || !counts.contains(&rest.len()) {
            self.say(
                Diagnostic::error("E0204", item.span, "`error-page` takes statuses and a file or a text")
                    .help("it is written `error-page 502 503 FILE` or `error-page 502 respond [STATUS] TEXT`"),
            );
            return None;
        }
        let action = match rest {
            [file] => ErrorAction::File(self.ok(values::file(file, self.sources))?),
            _ => self.error_respond(&rest[1..])?,
        };
        Some(Spanned::new(ErrorPage { statuses, action }, item.span))
    }

    fn error_respond(&mut self, rest: &[crate::item::Text]) -> Option<ErrorAction> {
        let (status, body) = match rest {
            [body] => (None, body),
            [status, body] => (Some(self.ok(values::status(status, 200, 599))?.value), body),
            _ => return None,
        };
        Some(ErrorAction::Respond { status, body: self.ok(values::template(body))? })
    }

    fn body(&mut self, block: &Item) -> Vec<Line> {
        let mut max = None;
        for item in &block.children {
            self.fill(item, &mut max, values::size);
        }
        if block.children.is_empty() && !block.damaged {
            let error = Diagnostic::error("E0204", block.span, "`body` misses a value");
            self.say(error.help("it is written `body max SIZE`"));
        }
        max.into_iter().map(Line::BodyMax).collect()
    }

    fn buffer(&mut self, block: &Item) -> Vec<Line> {
        let (mut request, mut response) = (None, None);
        for item in &block.children {
            let slot = if item.directive.name == "request" { &mut request } else { &mut response };
            self.fill(item, slot, |text| match text.text.as_str() {
                "on" => Ok(Spanned::new(Buffering::ON, text.span)),
                "off" => Ok(Spanned::new(Buffering::Off, text.span)),
                _ => values::size_within(text, 1, BUFFER_BYTES_MAX)
                    .map(|size| size.map(Buffering::UpTo))
                    .map_err(|error| error.help("write on, off or a size up to 1GiB")),
            });
        }
        if block.children.is_empty() && !block.damaged {
            let error = Diagnostic::error("E0204", block.span, "`buffer` misses a value");
            self.say(error.help("it is written `buffer request|response on|off|SIZE`"));
        }
        let request = request.into_iter().map(Line::BufferRequest);
        request.chain(response.into_iter().map(Line::BufferResponse)).collect()
    }
}
