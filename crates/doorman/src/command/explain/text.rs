//! An explanation for people: a label and its lines.

use std::fmt::Write;
use std::time::Duration;

use doorman_config::{Balance, Span};
use doorman_net::tls::{CertificateName, Served, ServedBy};
use doorman_proxy::Verdict;
use doorman_proxy::explain::{Answer, Forward, Line, Outcome, Way};

use super::Told;
use crate::command::screen::Screen;

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
    let client = explanation.client.map_or_else(|| "nobody".to_owned(), |ip| ip.to_string());
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
            let why = format!(
                "nothing listens on port {} with {}",
                question.port,
                question.scheme.as_str()
            );
            page.line("listener", &why);
        }
    }
    if let Some(served) = &explanation.certificate {
        page.line("tls", &certificate(served, told.looked.clock.now().unix_seconds()));
    }
    if let Outcome::NoCertificate = explanation.outcome {
        page.line("tls", "no certificate fits this name: the handshake is refused");
    }
    if let Some(site) = told.site() {
        page.placed("site", told.site_name().unwrap_or_default(), Some(site.span), told, "");
    }
    routes(told, &mut page);
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

struct Page<'a> {
    text: String,
    screen: &'a Screen,
}

impl Page<'_> {
    fn line(&mut self, label: &str, text: &str) {
        let label = self.screen.strong(&format!("{label:<LABEL$}"));
        let _ = writeln!(self.text, "{}", format!("{label}{text}").trim_end());
    }

    /// A subject, where it was written, and a remark.
    fn placed(
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
    for way in &passed.ways {
        upstream(way, told, page);
    }
}

fn upstream(way: &Way, told: &Told<'_>, page: &mut Page<'_>) {
    let planned = &told.looked.plan.upstreams[way.upstream];
    let written = &told.looked.config.upstreams[way.upstream];
    let share = match way.share {
        10_000 => String::new(),
        share if share % 100 == 0 => format!("{}% of requests", share / 100),
        share => format!("{}.{:02}% of requests", share / 100, share % 100),
    };
    page.placed("proxy", &planned.name, Some(written.span), told, &share);
    let mut servers = String::new();
    for (server, host) in planned.servers.iter().zip(&way.hosts) {
        let tls = if server.tls.is_some() { "https://" } else { "" };
        servers.clear();
        let _ = write!(servers, "{tls}{}  Host: {host}", server.address);
        if server.weight != 1 {
            let _ = write!(servers, "  weight {}", server.weight);
        }
        page.line("", &servers);
    }
    if planned.servers.len() > 1 {
        page.line("", balance(written.balance.value));
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

/// The word for a way to balance.
pub const fn balance(balance: Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "round-robin",
        Balance::LeastRequests => "least-requests",
    }
}

/// A duration as configurations write it.
fn span(duration: Duration) -> String {
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
