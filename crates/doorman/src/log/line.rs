//! One line of the access log, in each of its formats.

use std::io::Write;

use doorman_config::AccessFormat;
use doorman_http::{FieldId, Instant};
use doorman_proxy::Record;

/// Appends a record's line.
pub fn write(format: AccessFormat, record: &Record, out: &mut Vec<u8>) {
    match format {
        AccessFormat::Json => json(record, out),
        AccessFormat::Combined => combined(record, out),
        AccessFormat::Pretty => pretty(record, out),
    }
}

/// Bytes of a field that goes into a line; longer ones are cut, so that no client makes lines at will.
const VALUE_MAX: usize = 2048;

fn json(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(&timestamp(record.started.unix_nanos));
    out.extend_from_slice(b"\",\"request_id\":\"");
    out.extend_from_slice(&record.request_id);
    out.push(b'"');
    if let Some(place) = &record.place {
        text(out, "site", place.site.as_bytes());
        text(out, "route", place.route.as_bytes());
    }
    if let Some(client) = record.client {
        out.extend_from_slice(b",\"client\":\"");
        let _ = write!(out, "{client}");
        out.push(b'"');
    }
    if let Some(head) = &record.head {
        text(out, "method", head.method.as_str().as_bytes());
        text(out, "host", head.authority());
        text(out, "path", head.received_path());
        if let Some(query) = head.received_query() {
            text(out, "query", query);
        }
        text(out, "proto", head.version.as_str().as_bytes());
    }
    number(out, "status", u64::from(record.status));
    number(out, "bytes_in", record.bytes_in);
    number(out, "bytes_out", record.bytes_out);
    let micros =
        |from: Instant, to: Instant| u64::try_from(to.since(from).as_micros()).unwrap_or(u64::MAX);
    let started = record.started.instant;
    if let Some(connected) = record.connected {
        number(out, "connect_us", micros(started, connected));
        if let Some(answered) = record.answered {
            number(out, "answer_us", micros(connected, answered));
        }
    }
    number(out, "total_us", micros(started, record.ended));
    text(out, "end", record.end.as_str().as_bytes());
    if let Some(detail) = &record.detail {
        text(out, "detail", detail.as_bytes());
    }
    if let Some(server) = &record.server {
        text(out, "upstream", server.upstream.as_bytes());
        text(out, "server", server.server.as_bytes());
        number(out, "attempts", u64::from(record.attempts));
    }
    if let Some(tls) = &record.conn.tls {
        text(out, "tls", tls.version.as_bytes());
    }
    if let Some(head) = &record.head {
        if let Some(agent) = head.fields.first(FieldId::UserAgent) {
            text(out, "user_agent", agent);
        }
        if let Some(referer) = head.fields.first(FieldId::Referer) {
            text(out, "referer", referer);
        }
    }
    out.extend_from_slice(b"}\n");
}

fn number(out: &mut Vec<u8>, name: &str, mut value: u64) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    escaped(out, value);
    out.push(b'"');
}

/// JSON needs quotes, backslashes and control bytes escaped; bytes beyond ASCII that are no UTF-8
/// become replacement characters.
fn escaped(out: &mut Vec<u8>, value: &[u8]) {
    let value = &value[..value.len().min(VALUE_MAX)];
    if value.iter().all(|&b| matches!(b, 0x20..=0x7E) && b != b'"' && b != b'\\') {
        out.extend_from_slice(value);
        return;
    }
    for c in String::from_utf8_lossy(value).chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => {
                let _ = write!(out, "{c}");
            }
        }
    }
}

/// RFC 3339 in UTC with milliseconds.
fn timestamp(unix_nanos: u64) -> [u8; 24] {
    let seconds = unix_nanos / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let rest = seconds % 86_400;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], rest / 3600);
    put(&mut text[14..16], rest / 60 % 60);
    put(&mut text[17..19], rest % 60);
    put(&mut text[20..23], unix_nanos / 1_000_000 % 1000);
    text
}

fn put(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
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

fn combined(record: &Record, out: &mut Vec<u8>) {
    match record.client {
        Some(client) => {
            let _ = write!(out, "{client}");
        }
        None => out.push(b'-'),
    }
    let seconds = record.started.unix_nanos / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let rest = seconds % 86_400;
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month =
        usize::try_from(month - 1).ok().and_then(|m| MONTHS.get(m)).copied().unwrap_or("Jan");
    let _ = write!(
        out,
        " - - [{day:02}/{month}/{year}:{:02}:{:02}:{:02} +0000] \"",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    );
    if let Some(head) = &record.head {
        escaped(out, head.method.as_str().as_bytes());
        out.push(b' ');
        escaped(out, head.received_path());
        if let Some(query) = head.received_query() {
            out.push(b'?');
            escaped(out, query);
        }
        out.push(b' ');
        out.extend_from_slice(head.version.as_str().as_bytes());
    }
    let _ = write!(out, "\" {} {} \"", record.status, record.bytes_out);
    for id in [FieldId::Referer, FieldId::UserAgent] {
        match record.head.as_ref().and_then(|head| head.fields.first(id)) {
            Some(value) => escaped(out, value),
            None => out.push(b'-'),
        }
        out.extend_from_slice(if id == FieldId::Referer { b"\" \"" } else { b"\"\n" });
    }
}

fn pretty(record: &Record, out: &mut Vec<u8>) {
    let time = timestamp(record.started.unix_nanos);
    out.extend_from_slice(&time[11..23]);
    let _ = write!(out, " {} ", record.status);
    if let Some(head) = &record.head {
        let _ = write!(out, "{:<4} ", head.method.as_str());
        escaped(out, head.authority());
        escaped(out, head.received_path());
        if let Some(query) = head.received_query() {
            out.push(b'?');
            escaped(out, query);
        }
    }
    let total = record.ended.since(record.started.instant);
    let _ = write!(out, "  {:.1} ms  {} B", total.as_secs_f64() * 1000.0, record.bytes_out);
    if let Some(server) = &record.server {
        let _ = write!(out, "  -> {}", server.upstream);
        if server.upstream != server.server {
            let _ = write!(out, "/{}", server.server);
        }
    }
    if record.end != doorman_proxy::End::Ok {
        let _ = write!(out, "  {}", record.end.as_str());
        if let Some(detail) = &record.detail {
            out.extend_from_slice(b" (");
            escaped(out, detail.as_bytes());
            out.push(b')');
        }
    }
    out.push(b'\n');
}
