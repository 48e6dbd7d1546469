//! One line of the access log, in each of its formats.
//!
//! Everything in a line may come from the network, so nothing reaches it unescaped that could end
//! the line, the field, or speak to the terminal of whoever reads it. No line allocates: it is
//! appended to a buffer that its core keeps.

use std::net::IpAddr;

use doorman_http::coding::Coding;
use doorman_http::desync::Anomaly;
use doorman_http::scan::is_plain;
use doorman_http::{FieldId, IpText};
use doorman_proxy::{Again, End, Inspected, Record, WafAction};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// One JSON object.
    Json,
    /// What log analysers read.
    Combined,
    /// For people.
    Pretty,
    /// For people at a terminal: the status has a colour.
    Colourful,
}

/// Bytes of a field that goes into a line; longer ones are cut, so that no client makes lines at will.
const VALUE_MAX: usize = 2048;

/// Bytes of a usual line in JSON.
const LINE_USUAL: usize = 768;

/// What a line may tell, gathered from where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    /// Start, nanoseconds since the epoch.
    pub unix_nanos: u64,
    /// The request's id.
    pub request_id: &'a [u8],
    /// Site and route.
    pub place: Option<(&'a str, &'a str)>,
    /// Who asked.
    pub client: Option<IpAddr>,
    /// The request's head, as far as there was one.
    pub head: Option<Head<'a>>,
    /// Status sent.
    pub status: u16,
    /// Content bytes received.
    pub bytes_in: u64,
    /// Content bytes sent.
    pub bytes_out: u64,
    /// Until a server was connected.
    pub connect_micros: Option<u64>,
    /// From there to the head of its response.
    pub answer_micros: Option<u64>,
    /// All of it.
    pub total_micros: u64,
    /// How it ended.
    pub end: End,
    /// Words for a person about a fault.
    pub detail: Option<&'a str>,
    /// Upstream, server and tries.
    pub server: Option<(&'a str, &'a str, u32)>,
    /// What became of the client's tie to a server.
    pub sticky: Option<&'a str>,
    /// What the cache had to do with it, and why.
    pub cached: Option<(&'a str, Option<&'a str>)>,
    /// How its answer was coded: the coding, and bytes taken in.
    pub coded: Option<(&'a str, u64)>,
    /// The coding of the form of a stored answer that it was given.
    pub kept_coding: Option<&'a str>,
    /// The coding that was taken off its answer.
    pub decoded: Option<&'a str>,
    /// Why its answer was not coded.
    pub code_reason: Option<&'a str>,
    /// What its answer was made smaller as.
    pub optimized: Option<&'a str>,
    /// Why it was not.
    pub optimize_reason: Option<&'a str>,
    /// What rules made of it.
    pub inspected: Option<&'a Inspected>,
    /// Links that the client was told of in early hints.
    pub hinted: u8,
    /// Why further tries were made.
    pub again: &'a [Again],
    /// How long it waited for a server.
    pub waited_micros: u64,
    /// Version of TLS.
    pub tls: Option<&'a str>,
    /// Whether it came in early data.
    pub early: bool,
    /// Subject of the certificate that the client showed.
    pub client_cert: Option<&'a str>,
    /// How two readers could understand it in different ways.
    pub anomaly: Option<Anomaly>,
    /// Who asked, where the route wants to know.
    pub user: Option<&'a str>,
}

/// What a line tells of a request's head.
#[derive(Clone, Debug)]
pub(crate) struct Head<'a> {
    /// Method.
    pub method: &'a [u8],
    /// Authority.
    pub host: &'a [u8],
    /// Path as it was received.
    pub path: &'a [u8],
    /// Query as it was received.
    pub query: Option<&'a [u8]>,
    /// `HTTP/1.1` and so on.
    pub version: &'a str,
    /// `User-Agent`.
    pub agent: Option<&'a [u8]>,
    /// `Referer`.
    pub referer: Option<&'a [u8]>,
}

impl<'a> Line<'a> {
    /// The line of a record.
    #[must_use]
    #[inline]
    pub(crate) fn of(record: &'a Record) -> Self {
        let started = record.started.instant;
        let head = record.head.as_ref().map(|head| Head {
            method: head.method.as_str().as_bytes(),
            host: head.authority(),
            path: head.received_path(),
            query: head.received_query(),
            version: head.version.as_str(),
            agent: head.fields.first(FieldId::UserAgent),
            referer: head.fields.first(FieldId::Referer),
        });
        Self {
            unix_nanos: record.started.unix_nanos,
            request_id: &record.request_id,
            place: record.place.as_ref().map(|place| (&*place.site, &*place.route)),
            client: record.client,
            head,
            status: record.status,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            connect_micros: record.connected.map(|connected| connected.micros_since(started)),
            answer_micros: record.connected.zip(record.answered).map(|(c, a)| a.micros_since(c)),
            total_micros: record.ended.micros_since(started),
            end: record.end,
            detail: record.detail.as_deref(),
            server: record.server.as_ref().map(|s| (&*s.upstream, &*s.server, record.attempts)),
            sticky: record.sticky.map(doorman_proxy::Sticky::as_str),
            cached: record.cached.map(|cached| (cached.as_str(), record.cache_reason)),
            coded: record.coded.as_ref().map(|tally| (tally.coding.token(), tally.bytes_in())),
            kept_coding: record.kept_coding.map(Coding::token),
            decoded: record.decoded.as_ref().map(|tally| tally.coding.token()),
            code_reason: record.code_reason,
            optimized: record.optimized,
            optimize_reason: record.optimize_reason,
            inspected: record.inspected.as_deref(),
            hinted: record.hinted,
            again: &record.again,
            waited_micros: record.waited_micros,
            tls: record.conn.tls.as_ref().map(|tls| tls.version),
            early: record.head.as_ref().is_some_and(|head| head.early),
            anomaly: record.anomaly,
            user: record.user.as_deref(),
            client_cert: record
                .conn
                .tls
                .as_ref()
                .and_then(|tls| tls.client.as_ref())
                .map(|client| &*client.subject),
        }
    }

    /// Appends the line.
    pub(crate) fn write(&self, look: Look, stamp: &mut Stamp, out: &mut Vec<u8>) {
        match look {
            Look::Json => self.json(stamp, out),
            Look::Combined => self.combined(out),
            Look::Pretty => self.pretty(out, None),
            Look::Colourful => self.pretty(out, Some(paint(self.status))),
        }
    }

    fn json(&self, stamp: &mut Stamp, out: &mut Vec<u8>) {
        // What a usual line takes: the buffer then grows once, not for each part.
        out.reserve(LINE_USUAL);
        out.extend_from_slice(b"{\"time\":\"");
        out.extend_from_slice(stamp.at(self.unix_nanos));
        word(out, b"\",\"request_id\":\"", self.request_id);
        if let Some((site, route)) = self.place {
            field(out, b",\"site\":\"", site.as_bytes());
            field(out, b",\"route\":\"", route.as_bytes());
        }
        if let Some(client) = self.client {
            out.extend_from_slice(b",\"client\":\"");
            out.extend_from_slice(IpText::new(client).as_bytes());
            out.push(b'"');
        }
        if let Some(head) = &self.head {
            field(out, b",\"method\":\"", head.method);
            field(out, b",\"host\":\"", head.host);
            field(out, b",\"path\":\"", head.path);
            if let Some(query) = head.query {
                field(out, b",\"query\":\"", query);
            }
            word(out, b",\"proto\":\"", head.version.as_bytes());
        }
        number(out, b",\"status\":", u64::from(self.status));
        number(out, b",\"bytes_in\":", self.bytes_in);
        number(out, b",\"bytes_out\":", self.bytes_out);
        if let Some(micros) = self.connect_micros {
            number(out, b",\"connect_us\":", micros);
        }
        if let Some(micros) = self.answer_micros {
            number(out, b",\"answer_us\":", micros);
        }
        number(out, b",\"total_us\":", self.total_micros);
        word(out, b",\"end\":\"", self.end.as_str().as_bytes());
        if let Some(detail) = self.detail {
            field(out, b",\"detail\":\"", detail.as_bytes());
        }
        if let Some((upstream, server, attempts)) = self.server {
            field(out, b",\"upstream\":\"", upstream.as_bytes());
            field(out, b",\"server\":\"", server.as_bytes());
            number(out, b",\"attempts\":", u64::from(attempts));
        }
        if let Some(sticky) = self.sticky {
            word(out, b",\"sticky\":\"", sticky.as_bytes());
        }
        if let Some((cached, reason)) = self.cached {
            word(out, b",\"cache\":\"", cached.as_bytes());
            if let Some(reason) = reason {
                word(out, b",\"cache_reason\":\"", reason.as_bytes());
            }
        }
        if let Some((coding, bytes)) = self.coded {
            word(out, b",\"coding\":\"", coding.as_bytes());
            number(out, b",\"coded_bytes\":", bytes);
        }
        if let Some(coding) = self.kept_coding {
            word(out, b",\"coding\":\"", coding.as_bytes());
        }
        if let Some(coding) = self.decoded {
            word(out, b",\"decoded\":\"", coding.as_bytes());
        }
        if let Some(kind) = self.optimized {
            word(out, b",\"optimized\":\"", kind.as_bytes());
        }
        if let Some(reason) = self.optimize_reason {
            word(out, b",\"optimize_reason\":\"", reason.as_bytes());
        }
        if let Some(reason) = self.code_reason {
            word(out, b",\"code_reason\":\"", reason.as_bytes());
        }
        if let Some(inspected) = self.inspected {
            self::inspected(out, inspected);
        }
        if self.hinted > 0 {
            number(out, b",\"early_hints\":", u64::from(self.hinted));
        }
        if !self.again.is_empty() {
            retries(out, self.again);
        }
        if self.waited_micros > 0 {
            number(out, b",\"waited_us\":", self.waited_micros);
        }
        if let Some(anomaly) = self.anomaly {
            word(out, b",\"desync\":\"", anomaly.class().word().as_bytes());
            word(out, b",\"desync_reason\":\"", anomaly.word().as_bytes());
        }
        if let Some(version) = self.tls {
            field(out, b",\"tls\":\"", version.as_bytes());
        }
        if self.early {
            out.extend_from_slice(b",\"early\":true");
        }
        if let Some(subject) = self.client_cert {
            field(out, b",\"client_cert\":\"", subject.as_bytes());
        }
        if let Some(user) = self.user {
            field(out, b",\"user\":\"", user.as_bytes());
        }
        if let Some(agent) = self.head.as_ref().and_then(|head| head.agent) {
            field(out, b",\"user_agent\":\"", agent);
        }
        if let Some(referer) = self.head.as_ref().and_then(|head| head.referer) {
            field(out, b",\"referer\":\"", referer);
        }
        out.extend_from_slice(b"}\n");
    }

    /// The format that Apache's httpd calls so: client, two unknown names, time, request line,
    /// status, bytes, referrer, agent.
    fn combined(&self, out: &mut Vec<u8>) {
        match self.client {
            Some(client) => out.extend_from_slice(IpText::new(client).as_bytes()),
            None => out.push(b'-'),
        }
        out.extend_from_slice(b" - - [");
        out.extend_from_slice(&common_time(self.unix_nanos));
        out.extend_from_slice(b"] \"");
        match &self.head {
            Some(head) => {
                plain_text(out, head.method);
                out.push(b' ');
                target(out, head);
                out.push(b' ');
                out.extend_from_slice(head.version.as_bytes());
            }
            None => out.push(b'-'),
        }
        number(out, b"\" ", u64::from(self.status));
        number(out, b" ", self.bytes_out);
        for value in [
            self.head.as_ref().and_then(|head| head.referer),
            self.head.as_ref().and_then(|head| head.agent),
        ] {
            out.extend_from_slice(b" \"");
            plain_text(out, value.unwrap_or(b"-"));
            out.push(b'"');
        }
        out.push(b'\n');
    }

    fn pretty(&self, out: &mut Vec<u8>, paint: Option<&[u8]>) {
        out.extend_from_slice(&timestamp(self.unix_nanos)[11..23]);
        out.push(b' ');
        if let Some(paint) = paint {
            out.extend_from_slice(paint);
        }
        number(out, b"", u64::from(self.status));
        if paint.is_some() {
            out.extend_from_slice(b"\x1b[0m");
        }
        out.push(b' ');
        if let Some(head) = &self.head {
            plain_text(out, head.method);
            let pad = 5usize.saturating_sub(head.method.len()).max(1);
            out.extend_from_slice(&b"     "[..pad]);
            plain_text(out, head.host);
            target(out, head);
        }
        number(out, b"  ", self.total_micros / 1000);
        number(out, b".", self.total_micros % 1000 / 100);
        number(out, b" ms  ", self.bytes_out);
        out.extend_from_slice(b" B");
        if let Some((upstream, server, _)) = self.server {
            out.extend_from_slice(b"  -> ");
            plain_text(out, upstream.as_bytes());
            if upstream != server {
                out.push(b'/');
                plain_text(out, server.as_bytes());
            }
        }
        if self.end != End::Ok {
            out.extend_from_slice(b"  ");
            out.extend_from_slice(self.end.as_str().as_bytes());
            if let Some(detail) = self.detail {
                out.extend_from_slice(b" (");
                plain_text(out, detail.as_bytes());
                out.push(b')');
            }
        }
        out.push(b'\n');
    }
}

/// What rules made of a request.
fn inspected(out: &mut Vec<u8>, inspected: &Inspected) {
    word(out, b",\"waf\":\"", inspected.action.as_str().as_bytes());
    if inspected.scores.is_any() {
        signed(out, b",\"waf_score\":", inspected.scores.inbound);
        if inspected.scores.outbound != 0 {
            signed(out, b",\"waf_outbound_score\":", inspected.scores.outbound);
        }
    }
    if inspected.action == WafAction::Shadow {
        signed(
            out,
            b",\"waf_shadow_score\":",
            inspected.scores.inbound_run.max(inspected.scores.outbound_run),
        );
    }
    for (n, rule) in inspected.rules.iter().enumerate() {
        out.extend_from_slice(if n == 0 { b",\"waf_rules\":[" } else { b"," });
        number(out, b"", u64::from(*rule));
    }
    if !inspected.rules.is_empty() {
        out.push(b']');
    }
    number(out, b",\"waf_us\":", inspected.nanos / 1_000);
}

/// A number that may be below zero.
pub(super) fn signed<const N: usize>(out: &mut Vec<u8>, before: &[u8; N], value: i64) {
    out.extend_from_slice(before);
    if value < 0 {
        out.push(b'-');
    }
    number(out, b"", value.unsigned_abs());
}

/// Why further tries were made: our own words, and statuses as they are.
#[cold]
fn retries(out: &mut Vec<u8>, again: &[Again]) {
    for (n, why) in again.iter().enumerate() {
        out.extend_from_slice(if n == 0 { b",\"retries\":[\"" } else { b",\"" });
        match why {
            Again::Status(status) => number(out, b"", u64::from(*status)),
            why => out.extend_from_slice(Again::WORDS[why.place()].as_bytes()),
        }
        out.push(b'"');
    }
    out.push(b']');
}

/// Green, cyan, yellow, red by class.
const fn paint(status: u16) -> &'static [u8] {
    match status {
        0..300 => b"\x1b[32m",
        300..400 => b"\x1b[36m",
        400..500 => b"\x1b[33m",
        _ => b"\x1b[31m",
    }
}

fn target(out: &mut Vec<u8>, head: &Head<'_>) {
    plain_text(out, head.path);
    if let Some(query) = head.query {
        out.push(b'?');
        plain_text(out, query);
    }
}

/// Constants have their length in their type, so that they are written in place, not copied by a call.
#[inline]
pub(super) fn number<const N: usize>(out: &mut Vec<u8>, before: &[u8; N], value: u64) {
    out.extend_from_slice(before);
    if value < 100_000_000 {
        short_number(out, value);
    } else {
        long_number(out, value);
    }
}

/// A number of at most eight digits: all eight are made side by side in a word, and those in front
/// that are zeros shifted out of it.
#[inline]
fn short_number(out: &mut Vec<u8>, value: u64) {
    // Halves of four digits, of two, of one, each in a lane of its own; the divisions by 100 and by
    // 10 are multiplications that are exact for numbers this small.
    let halves = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((halves * 5243) >> 19) & 0x0000_007F_0000_007F;
    let pairs = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000F_000F_000F_000F;
    let digits = tens | ((pairs - tens * 10) << 8);
    let zeros = (digits.trailing_zeros() / 8).min(7);
    let text = (digits | 0x3030_3030_3030_3030) >> (zeros * 8);
    let end = out.len() + 8 - zeros as usize;
    out.extend_from_slice(&text.to_le_bytes());
    out.truncate(end);
}

fn long_number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    while value > 0 {
        at -= 1;
        digits[at] = digit(value % 10);
        value /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

const fn digit(value: u64) -> u8 {
    b'0' + (value % 10) as u8
}

/// A value that cannot hold what needs an escape: one of our own words, or an id.
#[inline]
fn word<const N: usize>(out: &mut Vec<u8>, before: &[u8; N], value: &[u8]) {
    debug_assert!(is_plain(value), "a word holds only what needs no escape");
    out.extend_from_slice(before);
    out.extend_from_slice(value);
    out.push(b'"');
}

#[inline]
pub(super) fn field<const N: usize>(out: &mut Vec<u8>, before: &[u8; N], value: &[u8]) {
    out.extend_from_slice(before);
    json_text(out, value);
    out.push(b'"');
}

/// A character that could end a line, move a cursor or turn the direction of writing: control
/// characters, line and paragraph separators, marks and overrides of direction, byte order marks.
#[must_use]
pub(crate) fn is_risky(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}')
        || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The first bytes of a value, without half a character at the end.
fn cut(value: &[u8]) -> &[u8] {
    if value.len() <= VALUE_MAX {
        return value;
    }
    // A character has at most three bytes behind its first; more of them are no UTF-8 anyway.
    let is_inner = |at: usize| value[at] & 0xC0 == 0x80;
    let end = (VALUE_MAX - 3..=VALUE_MAX).rev().find(|&at| !is_inner(at)).unwrap_or(VALUE_MAX);
    &value[..end]
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Content of a JSON string (RFC 8259 section 7). Bytes that are no UTF-8 become replacement
/// characters, one for each broken sequence.
fn json_text(out: &mut Vec<u8>, value: &[u8]) {
    if value.len() <= VALUE_MAX && is_plain(value) {
        out.extend_from_slice(value);
    } else {
        json_escaped(out, cut(value));
    }
}

#[cold]
fn json_escaped(out: &mut Vec<u8>, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => {
                    out.push(b'\\');
                    push(out, c);
                }
                c if is_risky(c) => escape(out, c),
                c => push(out, c),
            }
        }
        if !chunk.invalid().is_empty() {
            push(out, char::REPLACEMENT_CHARACTER);
        }
    }
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// `\u001b`; all risky characters are in the basic plane.
fn escape(out: &mut Vec<u8>, c: char) {
    let code = u32::from(c);
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(HEX[(code >> shift & 15) as usize]);
    }
}

/// Text between quotes for analysers and terminals: printable ASCII as it is, quotes and
/// backslashes behind a backslash, any other byte as `\xHH`.
pub(super) fn plain_text(out: &mut Vec<u8>, value: &[u8]) {
    let value = &value[..value.len().min(VALUE_MAX)];
    if is_plain(value) {
        out.extend_from_slice(value);
        return;
    }
    for &byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x20..=0x7E => out.push(byte),
            _ => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'\\', b'x', HEX[high], HEX[low]]);
            }
        }
    }
}

/// Bytes for people at a terminal, with nothing in them that could speak to it.
#[must_use]
pub(crate) fn printable(value: &[u8]) -> String {
    let mut out = Vec::new();
    plain_text(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}

/// A time as lines write it. A core keeps one: all but the milliseconds stays the same for a second.
#[derive(Debug)]
pub(crate) struct Stamp {
    second: u64,
    text: [u8; 24],
}

impl Default for Stamp {
    fn default() -> Self {
        Self { second: 0, text: timestamp(0) }
    }
}

impl Stamp {
    fn at(&mut self, unix_nanos: u64) -> &[u8; 24] {
        if self.second == unix_nanos / 1_000_000_000 {
            put(&mut self.text[20..23], unix_nanos / 1_000_000 % 1000);
        } else {
            *self = Self { second: unix_nanos / 1_000_000_000, text: timestamp(unix_nanos) };
        }
        &self.text
    }
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn timestamp(unix_nanos: u64) -> [u8; 24] {
    let seconds = unix_nanos / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    clock(&mut text[11..19], seconds);
    put(&mut text[20..23], unix_nanos / 1_000_000 % 1000);
    text
}

/// `10/Oct/2000:13:55:36 +0000`.
fn common_time(unix_nanos: u64) -> [u8; 26] {
    const MONTHS: [&[u8; 3]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    let seconds = unix_nanos / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let name = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month));
    let mut text = *b"00/Jan/0000:00:00:00 +0000";
    put(&mut text[0..2], day);
    text[3..6].copy_from_slice(name.copied().unwrap_or(MONTHS[0]));
    put(&mut text[7..11], year);
    clock(&mut text[12..20], seconds);
    text
}

/// `HH:MM:SS` of the day.
fn clock(place: &mut [u8], seconds: u64) {
    let rest = seconds % 86_400;
    put(&mut place[0..2], rest / 3600);
    put(&mut place[3..5], rest / 60 % 60);
    put(&mut place[6..8], rest % 60);
}

fn put(place: &mut [u8], mut value: u64) {
    for place in place.iter_mut().rev() {
        *place = digit(value % 10);
        value /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01 (Howard Hinnant's `civil_from_days`).
const fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests;
