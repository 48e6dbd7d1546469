//! An explanation for people: a label and its lines.

use std::fmt::Write;
use std::time::Duration;

use doorman_config::{ClientAuthMode, Span, Upstream};
use doorman_net::dial::Protocol;
use doorman_net::tls::{CertificateName, Served, ServedBy};
use doorman_proxy::Verdict;
use doorman_proxy::explain::{Answer, Door, Forward, Line, Outcome, Way};
use doorman_proxy::plan::PlanUpstream;

use super::{Told, cache, form, running, waf};
use crate::command::screen::Screen;
use crate::log::printable;

/// Columns of the labels.
const LABEL: usize = 10;
/// Columns of what stands in front of a place.
const SUBJECT: usize = 28;
/// Bytes of a fixed answer's text that are shown.
const BODY_SHOWN: usize = 200;
/// Seconds of a day.
const DAY: u64 = 86_400;

/// The whole page.
pub fn render(told: &Told<'_>, screen: &Screen) -> String {
    let mut page = Page { text: String::new(), screen };
    let explanation = &told.explanation;
    let question = told.question;
    let client = explanation
        .client
        .map_or_else(|| "a process of this machine".to_owned(), |ip| ip.to_string());
    page.line(
        "request",
        &format!(
            "{} {}://{}{}  {} from {client}",
            question.method.as_str(),
            question.scheme.as_str(),
            question.authority,
            question.target,
            explanation.version.as_str()
        ),
    );
    match explanation.listener {
        Some(listener) => page.line("listener", &told.looked.plan.listeners[listener].name),
        None => {
            let door = match &question.door {
                Door::Port(port) => format!("port {port}"),
                Door::Unix(path) => format!("unix:{}", path.display()),
            };
            let why = format!("nothing listens on {door} with {}", question.scheme.as_str());
            page.line("listener", &why);
        }
    }
    if let Some(served) = &explanation.certificate {
        page.line("tls", &certificate(served, told.looked.clock.now().unix_seconds()));
    }
    if let Outcome::NoCertificate = explanation.outcome {
        page.line("tls", "no certificate fits this name: the handshake is refused");
    }
    if explanation.is_proof {
        page.line(
            "acme",
            "if an authority is proving the name by this token now, it is answered here; else:",
        );
    }
    if let Some(site) = told.site() {
        page.placed("site", told.site_name().unwrap_or_default(), Some(site.span), told, "");
    }
    if let Some(asked) = told.client_auth() {
        let asked = &asked.value;
        let must = match asked.mode {
            ClientAuthMode::Require => "must show a certificate",
            ClientAuthMode::Optional => "may show a certificate",
        };
        let mut line = format!("{must} by {}", asked.ca.value.display());
        if let Some(crl) = &asked.crl {
            let _ = write!(line, " that {} does not revoke", crl.value.display());
        }
        page.line("clients", &line);
    }
    if told.takes_early_data() {
        page.line("early", "safe requests may come ahead of the handshake, with Early-Data: 1");
    }
    routes(told, &mut page);
    if told.route().is_some_and(|route| route.options.mtls.is_some()) {
        page.line("mtls", "403 for clients that showed no certificate");
    }
    for guarded in &explanation.guards {
        let refuses = if guarded.refuses { ": refused" } else { "" };
        let rule = printable(guarded.rule.as_bytes());
        page.line(guarded.word, &format!("{rule}; {}{refuses}", guarded.says));
    }
    if let Some(waf) = &explanation.waf {
        waf::lines(waf, told, &mut page);
    }
    match &explanation.outcome {
        Outcome::NoListener | Outcome::NoCertificate | Outcome::Malformed(_) => {}
        Outcome::NoSite => page.line("answer", "404: no site takes this host"),
        Outcome::NoRoute => page.line("answer", "404: no route of the site takes the request"),
        Outcome::Fault(status, why) => page.line("answer", &format!("{status}: {why}")),
        Outcome::Answer(given) => answer(given, told, &mut page),
        Outcome::Forward(passed) => forward(passed, told, &mut page),
    }
    page.text
}

pub(super) struct Page<'a> {
    text: String,
    screen: &'a Screen,
}

impl Page<'_> {
    pub(super) fn line(&mut self, label: &str, text: &str) {
        let label = self.screen.strong(&format!("{label:<LABEL$}"));
        let _ = writeln!(self.text, "{}", format!("{label}{text}").trim_end());
    }

    /// A subject, where it was written, and a remark.
    pub(super) fn placed(
        &mut self,
        label: &str,
        subject: &str,
        span: Option<Span>,
        told: &Told<'_>,
        remark: &str,
    ) {
        let place = span.map(|span| told.place(span));
        let place = place.map(|place| format!("{}:{}", place.path, place.line));
        let place = place.unwrap_or_default();
        let remark = if remark.is_empty() { String::new() } else { format!("  {remark}") };
        let place = self.screen.faint(&place);
        self.line(label, &format!("{subject:<SUBJECT$} {place}{remark}"));
    }
}

/// The certificate that a handshake gets.
pub fn certificate(served: &Served, now: u64) -> String {
    let names = |names: &[CertificateName]| {
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let by = match served.by {
        ServedBy::Exact | ServedBy::Wildcard | ServedBy::OnDemand => "",
        ServedBy::Address => " (for clients that name an address)",
        ServedBy::Default => " (the default: no certificate has this name)",
    };
    let Some(first) = served.certificates.first() else {
        if served.local.is_empty() && served.by == ServedBy::OnDemand {
            return "an automatic certificate, got when a client asks for the name and `ask` says yes"
                .to_owned();
        }
        if served.local.is_empty() {
            return "an automatic certificate, which is not there yet: until it is, handshakes are refused".to_owned();
        }
        return format!("certificate {} of the local authority{by}", names(&served.local));
    };
    let facts = first.facts();
    let life = match facts.not_after.checked_sub(now) {
        Some(left) => format!("expires in {} days", left / DAY),
        None => format!("expired {} days ago", (now - facts.not_after) / DAY),
    };
    format!("certificate {}, {}, {life}{by}", names(&facts.names), facts.key)
}

fn routes(told: &Told<'_>, page: &mut Page<'_>) {
    if told.is_made() {
        page.line("route", "made by doorman: HTTPS sites take plain requests over to HTTPS");
        return;
    }
    for tried in &told.explanation.tried {
        let index = tried.route.0;
        let remark = match &tried.verdict {
            Verdict::Won => "<- answers".to_owned(),
            Verdict::Lost(reason) => reason.to_string(),
        };
        page.placed("route", told.route_name(index), told.route_span(index), told, &remark);
    }
}

fn answer(given: &Answer, told: &Told<'_>, page: &mut Page<'_>) {
    let span = told.route().map(|route| route.ending.span);
    let location = given.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
    let subject = match location {
        Some((_, location)) => format!("{} to {location}", given.status),
        None => given.status.to_string(),
    };
    page.placed("answer", &subject, span, told, "");
    let fields: Vec<&Line> = given.fields.iter().collect();
    for (name, value) in fields {
        page.line("", &format!("{name}: {value}"));
    }
    if !given.body.is_empty() {
        let shown = &given.body[..given.body.len().min(BODY_SHOWN)];
        page.line("body", &format!("{:?}", String::from_utf8_lossy(shown)));
    }
}

fn forward(passed: &Forward, told: &Told<'_>, page: &mut Page<'_>) {
    if passed.before == passed.after {
        page.line("path", &format!("{} as it came", passed.after));
    } else {
        page.line("path", &format!("{} -> {}", passed.before, passed.after));
    }
    let mut label = "request";
    for (name, value) in &passed.added {
        let made = name.eq_ignore_ascii_case("x-request-id");
        let value = if made { "a new id for every request" } else { value };
        page.line(std::mem::take(&mut label), &format!("+ {name}: {value}"));
    }
    for (name, value) in &passed.removed {
        page.line(std::mem::take(&mut label), &format!("- {name}: {value}"));
    }
    let mut label = "response";
    for (name, value) in &passed.response {
        page.line(std::mem::take(&mut label), &format!("+ {name}: {value}"));
    }
    for name in told.response_removed() {
        page.line(std::mem::take(&mut label), &format!("- {name}"));
    }
    if let Some(max) = passed.body_max {
        page.line("body", &format!("at most {max} bytes, else 413"));
    }
    let (request, response) = passed.buffers;
    for (what, size) in [("request", request), ("response", response)] {
        if let Some(size) = size {
            page.line("buffer", &format!("{what}, up to {size} bytes"));
        }
    }
    if let Some(cache) = &passed.cache {
        cache::lines(cache, told, page);
    }
    form::lines(passed, told, page);
    let mut label = "delivery";
    for (word, what) in &passed.delivery {
        page.line(std::mem::take(&mut label), &format!("{word}: {what}"));
    }
    if let Some(side) = &passed.side {
        let way = side.way.and_then(|way| passed.ways.get(way));
        let name = way.map(|way| &*told.looked.plan.upstreams[way.upstream].name);
        let to = name.map_or(String::new(), |name| format!("{name}, "));
        page.line("side", &format!("{to}{}", side.why));
    }
    for way in &passed.ways {
        upstream(way, told, page);
    }
    if let Some((upstream, share)) = passed.mirror {
        let name = &told.looked.plan.upstreams[upstream].name;
        page.line("mirror", &format!("{name}, {} of requests", percent(share)));
    }
}

fn upstream(way: &Way, told: &Told<'_>, page: &mut Page<'_>) {
    let planned = &told.looked.plan.upstreams[way.upstream];
    let written = &told.looked.config.upstreams[way.upstream];
    let share = match way.share {
        10_000 => String::new(),
        share => format!("{} of requests", percent(share)),
    };
    page.placed("proxy", &planned.name, Some(written.span), told, &share);
    let standing = told.standing(way.upstream);
    let mut servers = String::new();
    for (at, (server, host)) in planned.servers.iter().zip(&way.hosts).enumerate() {
        let tls = if server.tls.is_some() { "https://" } else { "" };
        servers.clear();
        let _ = write!(servers, "{tls}{}  Host: {host}", server.address);
        if server.protocol != Protocol::H1 {
            let _ = write!(servers, "  over {}", server.spoken());
        }
        if server.weight != 1 {
            let _ = write!(servers, "  weight {}", server.weight);
        }
        servers.push_str(&server.part());
        page.line("", &servers);
        if let Some(one) = standing.as_ref().and_then(|all| all.get(at)) {
            page.line(
                "",
                &format!("  {}; {} in flight, picked {} times", one.why, one.in_flight, one.picks),
            );
        }
    }
    for source in &written.discover {
        page.line("", &format!("discover {}", source.source.value));
    }
    if let Some(all) = &standing {
        page.line("pick", &running::pick(&balance(written), all).0);
    }
    if planned.servers.len() > 1 {
        page.line("", &balance(written));
    }
    if let Some(sticky) = &way.sticky {
        page.line("sticky", sticky);
    }
    for line in health(planned) {
        page.line("health", &line);
    }
    if let Some(script) = &way.script {
        page.line("script", script);
    }
    if let Some(source) = way.source {
        page.line("source", &source.to_string());
    }
    if let Some(version) = way.proxy_protocol {
        page.line("PROXY", &format!("{version}; a connection for each request"));
    }
    for (name, words) in planned.resilience_words() {
        page.line(name, &words);
    }
    let times = &way.times;
    let mut line = format!(
        "connect {}, response {}, idle {}",
        span(times.connect),
        span(times.head),
        span(times.idle)
    );
    if let Some(whole) = times.whole {
        let _ = write!(line, ", whole {}", span(whole));
    }
    page.line("timeouts", &line);
}

/// How ill servers are found, in lines.
pub(super) fn health(upstream: &PlanUpstream) -> Vec<String> {
    let checks = upstream.checks.iter().map(|check| {
        let pace = &check.pace;
        let (fall, rise) = (pace.fall, pace.rise);
        format!("{} every {}, fall {fall}, rise {rise}", check.words(), span(pace.every))
    });
    let passive = upstream.passive.iter().map(|rules| {
        let (within, eject) = (span(rules.within), span(rules.eject));
        format!("{} failures within {within} take a server out for {eject}", rules.fails)
    });
    let outlier = upstream
        .outlier
        .iter()
        .map(|rules| format!("outliers are looked for every {}", span(rules.every)));
    let slow = upstream.slow_start().map(|time| format!("slow start of {}", span(time)));
    let open = upstream.fails_open().then(|| "ill servers are used if none is well".to_owned());
    checks.chain(passive).chain(outlier).chain(slow).chain(open).collect()
}

/// How a server is chosen, as the configuration has it.
pub(super) fn balance(upstream: &Upstream) -> String {
    let mitigate = if upstream.balancing.mitigate { " mitigate" } else { "" };
    let key = upstream.balancing.key.as_ref();
    let key = key.map_or_else(String::new, |key| format!(" {}", key.value));
    format!("{}{key}{mitigate}", upstream.balance.value.word())
}

/// A share of 10,000 as configurations write it.
fn percent(share: u32) -> String {
    match (share / 100, share % 100) {
        (whole, 0) => format!("{whole}%"),
        (whole, part) => format!("{whole}.{part:02}%"),
    }
}

/// A duration as configurations write it.
pub(super) fn span(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (minutes, seconds) = (millis / 60_000, millis / 1000 % 60);
    match (minutes, seconds, millis % 1000) {
        (0, 0, millis) => format!("{millis}ms"),
        (0, seconds, 0) => format!("{seconds}s"),
        (0, seconds, millis) => format!("{seconds}s{millis}ms"),
        (minutes, 0, 0) => format!("{minutes}m"),
        (minutes, seconds, _) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_configurations_write_them() {
        let check =
            |millis: u64, expect: &str| assert_eq!(span(Duration::from_millis(millis)), expect);
        check(0, "0ms");
        check(250, "250ms");
        check(5000, "5s");
        check(5250, "5s250ms");
        check(60_000, "1m");
        check(90_000, "1m30s");
    }
}
