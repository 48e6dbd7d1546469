//! What the targets of the firewall share: a transaction, told to rules and written down.
#![allow(dead_code, reason = "each target takes what it needs")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use doorman_http::{Instant, Now};
use doorman_waf::rule::{Phase, RuleSet};
use doorman_waf::seclang::Files;
use doorman_waf::{Engine, Facts, Fault, FaultKind, Options, Refusal, Report, Scores, Transaction, Verdict, Way, Worker};

/// Steps of one transaction: far more than the inputs here take, and soon spent.
const STEPS_MAX: u64 = 1 << 26;

/// No file but these: phrases, addresses, and rules.
pub struct Shelf<'a>(pub &'a [(&'a str, &'a [u8])]);

impl Files for Shelf<'_> {
    fn read(&self, _: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
        let file = self.0.iter().find(|(known, _)| *known == name);
        file.map(|(name, text)| (Arc::from(*name), text.to_vec())).ok_or_else(|| format!("{name} is not there"))
    }

    fn list(&self, _: &str, _: &str) -> Result<Vec<String>, String> {
        Ok(self.0.iter().map(|(name, _)| (*name).to_owned()).collect())
    }
}

/// A request and its response: `METHOD TARGET`, fields by line, an empty line, the body; a NUL on a line of its own;
/// the same for the response, whose first line is its status.
pub struct Story<'a> {
    first: &'a [u8],
    fields: Vec<(&'a [u8], &'a [u8])>,
    body: &'a [u8],
}

fn halves<'a>(text: &'a [u8], at: &[u8]) -> (&'a [u8], &'a [u8]) {
    match text.windows(at.len()).position(|window| window == at) {
        Some(place) => (&text[..place], &text[place + at.len()..]),
        None => (text, &[]),
    }
}

impl<'a> Story<'a> {
    fn read(text: &'a [u8]) -> Self {
        let (head, body) = halves(text, b"\n\n");
        let (first, rest) = halves(head, b"\n");
        let lines = rest.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        Self { first, fields: lines.map(|line| halves(line, b": ")).collect(), body }
    }

    pub fn both(text: &'a [u8]) -> [Self; 2] {
        let (request, response) = halves(text, b"\n\0\n");
        [Self::read(request), Self::read(response)]
    }
}

/// All that is observed of a transaction, in what can be compared.
#[derive(Debug, PartialEq)]
pub struct Told {
    verdicts: Vec<Verdict>,
    matches: Vec<Found>,
    refused: Option<Refusal>,
    would_refuse: Option<Refusal>,
    score: Scores,
    pub faults: Vec<Fault>,
    audit: bool,
    tx: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, PartialEq)]
struct Found {
    rule: u32,
    variable: String,
    others: Vec<String>,
    value: Vec<u8>,
    raw: Vec<u8>,
    msg: String,
    data: String,
    score: i64,
    phase: Phase,
}

impl Told {
    fn new(report: Report, verdicts: Vec<Verdict>, transaction: &Transaction) -> Self {
        let found = |found: doorman_waf::Match| Found {
            rule: found.rule.id,
            variable: found.variable,
            others: found.others,
            value: found.value,
            raw: found.raw,
            msg: found.msg,
            data: found.data,
            score: found.score,
            phase: found.phase,
        };
        let tx = transaction.tx_all().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        let Report { matches, refused, would_refuse, score, faults, audit } = report;
        let matches = matches.into_iter().map(found).collect();
        Self { verdicts, matches, refused, would_refuse, score, faults, audit, tx }
    }

    /// Whether a bound on work or memory was met: where that is differs between the two ways.
    pub fn is_over(&self) -> bool {
        use FaultKind::{OverMatchLimit, OverMemory, OverSteps};
        self.faults.iter().any(|fault| matches!(fault.kind, OverSteps | OverMemory | OverMatchLimit))
    }
}

/// An engine whose collections begin empty.
pub fn engine(set: &RuleSet, way: Way) -> Arc<Engine> {
    let options = Options { way, steps_max: STEPS_MAX, ..Options::default() };
    Arc::new(Engine::with(set.clone(), options, Arc::default()).expect("every rule that is read has a link"))
}

/// How a transaction is told: in which pieces bodies come, and which phases never come, since a client or an origin
/// is gone.
#[derive(Clone, Copy, Debug)]
pub struct Pace(pub u8);

impl Pace {
    const fn cut(self) -> usize {
        1 + 3 * (self.0 as usize % 16)
    }

    const fn has(self, phase: u8) -> bool {
        self.0 & (8 << phase) == 0
    }
}

/// Tells a request and its response.
pub fn tell(engine: &Arc<Engine>, worker: &mut Worker, [request, response]: &[Story<'_>; 2], pace: Pace) -> Told {
    let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 8080));
    let now = Now { instant: Instant(0), unix_nanos: 1_700_000_000_000_000_000 };
    let facts = Facts { client: address, server: address, now, unique_id: "u-1".to_owned() };
    let mut transaction = Transaction::new(Arc::clone(engine), facts);
    let mut verdicts = Vec::new();
    let (method, target) = halves(request.first, b" ");
    transaction.request_line(method, target, b"HTTP/1.1");
    request.fields.iter().for_each(|(name, value)| transaction.request_field(name, value));
    verdicts.push(transaction.request_head(worker));
    for piece in request.body.chunks(pace.cut()) {
        verdicts.extend(transaction.request_body(piece).err());
    }
    if pace.has(2) {
        verdicts.push(transaction.request_end(worker));
    }
    let status = std::str::from_utf8(response.first).ok().and_then(|status| status.parse().ok());
    transaction.response_line(status.unwrap_or(200), b"HTTP/1.1");
    response.fields.iter().for_each(|(name, value)| transaction.response_field(name, value));
    if pace.has(3) {
        verdicts.push(transaction.response_head(worker));
    }
    for piece in response.body.chunks(pace.cut()) {
        verdicts.extend(transaction.response_body(piece).err());
    }
    if pace.has(4) {
        verdicts.push(transaction.response_end(worker));
    }
    let report = transaction.finish(worker);
    Told::new(report, verdicts, &transaction)
}

/// The same transaction both ways says the same, unless it takes too much.
pub fn agree(engines: &[Arc<Engine>; 2], workers: &mut [Worker; 2], story: &[Story<'_>; 2], pace: Pace) {
    let [planned, literal] = engines;
    let [one, other] = workers;
    let planned = tell(planned, one, story, pace);
    let literal = tell(literal, other, story, pace);
    if !planned.is_over() && !literal.is_over() {
        assert_eq!(planned, literal);
    }
}

/// Both ways of one set.
pub fn engines(set: &RuleSet) -> [Arc<Engine>; 2] {
    [Way::Plan, Way::Reference].map(|way| engine(set, way))
}

/// A worker for each.
pub fn workers(engines: &[Arc<Engine>; 2]) -> [Worker; 2] {
    engines.each_ref().map(|engine| Worker::new(engine))
}
