//! `doorman test`: what requests must become, held in a file and checked without starting anything.
//!
//! The files are written in the language of configurations, so its quotes, comments and errors are
//! theirs too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use doorman_config::tree::Statement;
use doorman_config::{SourceMap, Span};
use doorman_proxy::explain::{Forward, Line, Outcome, Question};
use serde_json::json;

use super::explain::{Protocol, Told, question};
use super::screen::{self, Screen};
use super::{FILE, Looked, exit, fmt::read, look};

const EXAMPLES: &str = "\
Examples:
  doorman test routes.test
  doorman test routes.test -c doorman.conf --json

  A file reads like this (see `doorman help tests`):
    GET https://shop.example.com/static/app.js
    expect route /static/* upstream web
";

/// Check what requests would become, offline
///
/// Exit code 0 if every expectation holds, 1 if one fails, 3 if the configuration is faulty.
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Test {
    /// Files of requests and expectations
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The configuration
    #[arg(short, long, default_value = FILE)]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A request and what must come of it.
struct Case {
    span: Span,
    question: Question,
    shown: String,
    expectations: Vec<Expectation>,
}

struct Expectation {
    span: Span,
    what: What,
}

/// What can be expected.
enum What {
    Site(String),
    Route(String),
    Upstream(String),
    Status(String),
    Location(String),
    Header(String, String),
    RequestHeader(String, String),
    Path(String),
    Host(String),
    Body(String),
}

/// An expectation that does not hold.
struct Miss {
    at: String,
    request: String,
    message: String,
}

impl Test {
    pub fn run(self, screen: &Screen) -> ExitCode {
        let looked = match look(&self.config, screen) {
            Ok(looked) => looked,
            Err(code) => return code,
        };
        let (mut cases, mut misses) = (0, Vec::new());
        for file in &self.files {
            match run_file(file, &looked, screen) {
                Ok((count, missed)) => {
                    cases += count;
                    misses.extend(missed);
                }
                Err(code) => return code,
            }
        }
        let shown = if self.json {
            let failures = misses.iter().map(
                |miss| json!({ "at": miss.at, "request": miss.request, "message": miss.message }),
            );
            let failures: Vec<_> = failures.collect();
            screen::json(&json!({ "requests": cases, "failures": failures }))
        } else {
            let lines = misses.iter().map(|miss| {
                format!("{}: {}\n    {}\n", miss.at, screen.strong(&miss.message), miss.request)
            });
            screen::data(&lines.collect::<String>())
        };
        if misses.is_empty() {
            eprintln!("{cases} requests became what was expected");
            return shown;
        }
        eprintln!("{} expectations failed, {cases} requests", misses.len());
        ExitCode::from(exit::FAILED)
    }
}

fn run_file(file: &Path, looked: &Looked, screen: &Screen) -> Result<(usize, Vec<Miss>), ExitCode> {
    let name = file.to_string_lossy();
    let text = read(file).map_err(|why| screen::failed(&format!("cannot read {name}: {why}")))?;
    let tree = doorman_config::parse_text(&name, &text).map_err(|(diagnostics, sources)| {
        screen.tell(&diagnostics, &sources);
        ExitCode::from(exit::USAGE)
    })?;
    let mut sources = SourceMap::new();
    sources.add(name, text);
    let at = |span: Span| {
        let place = sources.place(span);
        format!("{}:{}", place.path, place.line)
    };
    let cases = cases(tree.statements())
        .map_err(|fault| screen::usage(&format!("{}: {}", at(fault.span), fault.message)))?;
    let mut misses = Vec::new();
    for case in &cases {
        let told = Told::new(looked, &case.question);
        for expectation in &case.expectations {
            if let Err(message) = expectation.what.holds(&told) {
                misses.push(Miss {
                    at: at(expectation.span),
                    request: case.shown.clone(),
                    message,
                });
            }
        }
        if case.expectations.is_empty() {
            let message = "nothing is expected of this request".to_owned();
            misses.push(Miss { at: at(case.span), request: case.shown.clone(), message });
        }
    }
    Ok((cases.len(), misses))
}

/// What is wrong with a file of tests.
struct Fault {
    span: Span,
    message: String,
}

impl Fault {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }
}

fn cases<'a>(statements: impl Iterator<Item = &'a Statement>) -> Result<Vec<Case>, Fault> {
    let mut cases: Vec<Case> = Vec::new();
    for statement in statements {
        if statement.off.is_some() {
            continue;
        }
        if statement.block.is_some() {
            return Err(Fault::new(statement.span, "a test takes no block"));
        }
        let mut words = Words::of(statement)?;
        if statement.name.text == "expect" {
            let Some(case) = cases.last_mut() else {
                return Err(Fault::new(statement.span, "`expect` stands under a request"));
            };
            while let Some((span, word)) = words.next() {
                let what = expectation(&word, span, &mut words)?;
                case.expectations.push(Expectation { span, what });
            }
        } else if statement.name.text.bytes().all(|b| b.is_ascii_uppercase()) {
            cases.push(request(statement, &mut words)?);
        } else {
            let message = format!("`{}` is neither a method nor `expect`", statement.name.text);
            return Err(Fault::new(statement.name.span, message));
        }
    }
    Ok(cases)
}

/// The values of a line, one after the other.
struct Words {
    words: std::vec::IntoIter<(Span, String)>,
    end: Span,
}

impl Words {
    fn of(statement: &Statement) -> Result<Self, Fault> {
        let words = statement.values.iter().map(|value| match value.plain() {
            Some(text) => Ok((value.span, text.to_owned())),
            None => Err(Fault::new(value.span, "nothing is loaded from elsewhere in a test")),
        });
        let words: Vec<_> = words.collect::<Result<_, _>>()?;
        Ok(Self { words: words.into_iter(), end: statement.span })
    }

    fn next(&mut self) -> Option<(Span, String)> {
        self.words.next()
    }

    /// The value that must follow.
    fn value(&mut self, what: &str) -> Result<String, Fault> {
        match self.next() {
            Some((_, word)) => Ok(word),
            None => Err(Fault::new(self.end, format!("`{what}` misses its value"))),
        }
    }
}

fn request(statement: &Statement, words: &mut Words) -> Result<Case, Fault> {
    let url = words.value(&statement.name.text)?;
    let (mut from, mut protocol, mut fields) = (IpAddr::V4(Ipv4Addr::LOCALHOST), None, Vec::new());
    while let Some((span, word)) = words.next() {
        match word.as_str() {
            "from" => {
                let written = words.value("from")?;
                from = written
                    .parse()
                    .map_err(|_| Fault::new(span, format!("`{written}` is not an IP address")))?;
            }
            "header" => fields.push((words.value("header")?, words.value("header")?)),
            "protocol" => {
                protocol = Some(match words.value("protocol")?.as_str() {
                    "h1" => Protocol::H1,
                    "h2" => Protocol::H2,
                    "h3" => Protocol::H3,
                    other => {
                        return Err(Fault::new(
                            span,
                            format!("`{other}` is none of h1, h2 and h3"),
                        ));
                    }
                });
            }
            other => {
                let message =
                    format!("`{other}` is none of: from IP, header NAME VALUE, protocol h1|h2|h3");
                return Err(Fault::new(span, message));
            }
        }
    }
    let shown = format!("{} {url}", statement.name.text);
    let question = question(&statement.name.text, &url, fields, from, protocol)
        .map_err(|why| Fault::new(statement.span, why))?;
    Ok(Case { span: statement.span, question, shown, expectations: Vec::new() })
}

fn expectation(word: &str, span: Span, words: &mut Words) -> Result<What, Fault> {
    Ok(match word {
        "site" => What::Site(words.value(word)?),
        "route" => What::Route(words.value(word)?),
        "upstream" => What::Upstream(words.value(word)?),
        "status" => What::Status(words.value(word)?),
        "location" => What::Location(words.value(word)?),
        "header" => What::Header(words.value(word)?, words.value(word)?),
        "request-header" => What::RequestHeader(words.value(word)?, words.value(word)?),
        "path" => What::Path(words.value(word)?),
        "host" => What::Host(words.value(word)?),
        "body" => What::Body(words.value(word)?),
        other => {
            let message = format!(
                "`{other}` is none of: site, route, upstream, status, location, header, request-header, path, host, body"
            );
            return Err(Fault::new(span, message));
        }
    })
}

impl What {
    /// Whether it holds, or what came instead.
    fn holds(&self, told: &Told<'_>) -> Result<(), String> {
        let outcome = &told.explanation.outcome;
        match self {
            Self::Site(name) => {
                same("site", name, told.site_name().ok_or_else(|| instead("site", name, outcome))?)
            }
            Self::Route(name) => {
                let route =
                    told.explanation.route.ok_or_else(|| instead("route", name, outcome))?;
                same("route", name, told.route_name(route))
            }
            Self::Upstream(name) => {
                let passed = forward(outcome, "upstream", name)?;
                let names: Vec<&str> = passed
                    .ways
                    .iter()
                    .map(|way| &*told.looked.plan.upstreams[way.upstream].name)
                    .collect();
                if names.contains(&name.as_str()) {
                    return Ok(());
                }
                same("upstream", name, &names.join(" or "))
            }
            Self::Status(code) => {
                let status = status(outcome).ok_or_else(|| instead("status", code, outcome))?;
                same("status", code, &status.to_string())
            }
            Self::Location(to) => has_line("header", "location", to, response(outcome, to)?),
            Self::Header(name, value) => has_line("header", name, value, response(outcome, name)?),
            Self::RequestHeader(name, value) => {
                let passed = forward(outcome, "request-header", name)?;
                let kept =
                    told.question.fields.iter().filter(|line| !passed.removed.contains(line));
                let lines: Vec<Line> = kept.chain(&passed.added).cloned().collect();
                has_line("request-header", name, value, &lines)
            }
            Self::Path(path) => same("path", path, &forward(outcome, "path", path)?.after),
            Self::Host(host) => {
                let passed = forward(outcome, "host", host)?;
                let mut hosts = passed.ways.iter().flat_map(|way| &way.hosts);
                let other = hosts.find(|sent| *sent != host);
                other.map_or(Ok(()), |other| same("host", host, other))
            }
            Self::Body(text) => match outcome {
                Outcome::Answer(answer) => {
                    same("body", text, &String::from_utf8_lossy(&answer.body))
                }
                other => Err(instead("body", text, other)),
            },
        }
    }
}

fn same(what: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("expected {what} `{expected}`, found `{found}`"))
}

fn instead(what: &str, expected: &str, outcome: &Outcome) -> String {
    format!("expected {what} `{expected}`, but {}", Ending(outcome))
}

fn forward<'a>(outcome: &'a Outcome, what: &str, expected: &str) -> Result<&'a Forward, String> {
    match outcome {
        Outcome::Forward(forward) => Ok(forward),
        other => Err(instead(what, expected, other)),
    }
}

/// The fields of the response as far as the house makes them.
fn response<'a>(outcome: &'a Outcome, expected: &str) -> Result<&'a [Line], String> {
    match outcome {
        Outcome::Answer(answer) => Ok(&answer.fields),
        Outcome::Forward(forward) => Ok(&forward.response),
        other => Err(instead("header", expected, other)),
    }
}

fn has_line(what: &str, name: &str, value: &str, lines: &[Line]) -> Result<(), String> {
    let named = lines.iter().filter(|line| line.0.eq_ignore_ascii_case(name));
    let values: Vec<&str> = named.map(|line| line.1.as_str()).collect();
    if values.contains(&value) {
        return Ok(());
    }
    let found = if values.is_empty() {
        "there is none".to_owned()
    } else {
        format!("found `{}`", values.join("`, `"))
    };
    Err(format!("expected {what} `{name}: {value}`, {found}"))
}

/// The status that the house gives; an origin's is not known.
fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answer(answer) => Some(answer.status),
        Outcome::NoSite | Outcome::NoRoute => Some(404),
        Outcome::Fault(status, _) => Some(*status),
        Outcome::NoListener
        | Outcome::NoCertificate
        | Outcome::Malformed(_)
        | Outcome::Forward(_) => None,
    }
}

/// An outcome in words.
struct Ending<'a>(&'a Outcome);

impl fmt::Display for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::NoListener => f.write_str("nothing listens there"),
            Outcome::NoCertificate => f.write_str("the handshake is refused: no certificate fits"),
            Outcome::Malformed(why) => write!(f, "the request is malformed: {why}"),
            Outcome::NoSite => f.write_str("no site takes the host (404)"),
            Outcome::NoRoute => f.write_str("no route takes the request (404)"),
            Outcome::Fault(status, why) => write!(f, "the answer is {status}: {why}"),
            Outcome::Answer(answer) => write!(f, "the answer is {}", answer.status),
            Outcome::Forward(_) => f.write_str("the request is passed on to an origin"),
        }
    }
}
