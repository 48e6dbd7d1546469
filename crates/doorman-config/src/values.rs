//! Values to types. Each function takes one value and gives the typed one or the diagnostic that says what was found,
//! what was expected and how to mend it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use doorman_http::template::{NAMES, Template};
use ipnet::IpNet;
use regex_automata::util::syntax;

use crate::item::Text;
use crate::load::{folder_of, join};
use crate::suggest::nearest;
use crate::{Diagnostic, SocketAddress, SourceMap, Spanned, StatusRange};

/// The longest time: a year. What is longer was a slip.
const SECONDS_MAX: u64 = 366 * 24 * 3600;

/// Nesting of a regex, so that no expression exhausts the stack of what compiles it.
const REGEX_NEST_MAX: u32 = 64;

/// Bytes of a regex as written.
const REGEX_BYTES_MAX: usize = 8 * 1024;

pub(crate) type Value<T> = Result<Spanned<T>, Diagnostic>;

fn wrong(code: &'static str, text: &Text, expected: &str) -> Diagnostic {
    Diagnostic::error(code, text.span, format!("`{}` is not {expected}", text.shown()))
}

/// `30s`, `1h30m`, `250ms`; zero only if the caller allows it.
pub(crate) fn duration(text: &Text) -> Value<Duration> {
    let span = duration_or_zero(text)?;
    if span.value.is_zero() {
        return Err(Diagnostic::error(
            "E0304",
            text.span,
            "a time of zero would end everything at once",
        )
        .help("write a time above zero, or remove the line for the default"));
    }
    Ok(span)
}

/// See [`duration`].
pub(crate) fn duration_or_zero(text: &Text) -> Value<Duration> {
    duration_up_to(text, SECONDS_MAX, "a year")
}

/// A time up to so many seconds, which messages call `most`; zero is one too.
pub(crate) fn duration_up_to(text: &Text, seconds_max: u64, most: &str) -> Value<Duration> {
    let expected =
        || wrong("E0302", text, "a time").help("times are written 250ms, 30s, 5m, 1h, 7d or 1h30m");
    if is_number(&text.text) {
        return Err(unit_missing(text, "time", &["ms", "s", "m"]));
    }
    let mut total = Duration::ZERO;
    let mut rest = text.text.as_str();
    let mut smaller_than = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let number: u64 = rest[..digits].parse().map_err(|_| expected())?;
        let unit = match &rest[digits..digits + letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(expected()),
        };
        if unit >= smaller_than {
            return Err(expected());
        }
        smaller_than = unit;
        let part = number.checked_mul(unit).map(Duration::from_millis);
        let sum = part.and_then(|part| total.checked_add(part));
        total = sum.filter(|sum| sum.as_secs() <= seconds_max).ok_or_else(|| longer(text, most))?;
        rest = &rest[digits + letters..];
    }
    if text.text.is_empty() { Err(expected()) } else { Ok(Spanned::new(total, text.span)) }
}

fn longer(text: &Text, most: &str) -> Diagnostic {
    Diagnostic::error("E0304", text.span, format!("a time of more than {most}"))
}

/// `10MiB`.
pub(crate) fn size(text: &Text) -> Value<u64> {
    if is_number(&text.text) {
        return Err(unit_missing(text, "size", &["B", "KiB", "MiB"]));
    }
    let digits = text.text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.text.split_at(digits);
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => {
            let error = wrong("E0303", text, "a size");
            let meant = match unit.to_ascii_lowercase().as_str() {
                "k" | "kib" | "kb" => Some("KiB"),
                "m" | "mib" | "mb" => Some("MiB"),
                "g" | "gib" | "gb" => Some("GiB"),
                "b" => Some("B"),
                _ => None,
            };
            return Err(match meant.filter(|_| digits > 0) {
                Some(meant) => error.help(format!("did you mean `{number}{meant}`?")),
                None => {
                    error.help("sizes are written 512B, 64KiB, 10MiB, 1GiB (or KB, MB, GB of 1000)")
                }
            });
        }
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    match bytes {
        Some(bytes) => Ok(Spanned::new(bytes, text.span)),
        None if digits == 0 => {
            Err(wrong("E0303", text, "a size").help("sizes are written 64KiB or 10MiB"))
        }
        None => Err(Diagnostic::error("E0304", text.span, "a size beyond what can be counted")),
    }
}

/// A size within bounds, both included.
pub(crate) fn size_within(text: &Text, least: u64, most: u64) -> Value<u64> {
    let bytes = size(text)?;
    if (least..=most).contains(&bytes.value) {
        return Ok(bytes);
    }
    let message = format!("`{}` is not within {least} to {most} bytes", text.shown());
    Err(Diagnostic::error("E0304", text.span, message))
}

pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(crate) fn unit_missing(text: &Text, what: &str, units: &[&str]) -> Diagnostic {
    let number = text.shown();
    let forms: Vec<String> = units.iter().map(|unit| format!("{number}{unit}")).collect();
    Diagnostic::error("E0301", text.span, format!("a {what} needs its unit: `{number}` of what?"))
        .help(format!("write {}", forms.join(" or ")))
}

/// A whole number within bounds, both included.
pub(crate) fn number<N: TryFrom<u64>>(text: &Text, least: u64, most: u64) -> Value<N> {
    let written = Some(text.text.as_str()).filter(|text| is_number(text));
    let number = written.and_then(|text| text.parse::<u64>().ok());
    let Some(number) = number else {
        return Err(wrong("E0304", text, "a whole number"));
    };
    let fits = Some(number).filter(|number| (least..=most).contains(number));
    match fits.and_then(|number| N::try_from(number).ok()) {
        Some(number) => Ok(Spanned::new(number, text.span)),
        None => Err(Diagnostic::error(
            "E0304",
            text.span,
            format!("{number} is not within {least} to {most}"),
        )),
    }
}

/// One of some words. What comes later is said plainly.
pub(crate) fn choice<T: Copy>(text: &Text, choices: &[(&str, T)], later: &[&str]) -> Value<T> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text.text) {
        return Ok(Spanned::new(*value, text.span));
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let one_of = format!("one of {}", words.join(", "));
    if later.contains(&text.text.as_str()) {
        let message = format!("`{}` comes with a later version of doorman", text.shown());
        return Err(Diagnostic::error("E0203", text.span, message).help(format!("here: {one_of}")));
    }
    let error = wrong("E0307", text, &one_of);
    Err(match nearest(&text.text, words) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    })
}

/// A name that the operator chooses.
pub(crate) fn name(text: &Text) -> Value<String> {
    const NAME_BYTES_MAX: usize = 64;
    let word = &text.text;
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let good = word.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && word.bytes().all(inner)
        && word.len() <= NAME_BYTES_MAX;
    if good {
        return Ok(Spanned::new(word.clone(), text.span));
    }
    Err(wrong("E0313", text, "a name")
        .help("a name begins with a letter and has letters, digits, `-`, `_` and `.`, at most 64"))
}

/// A path of a file, seen from the folder of the file that names it.
pub(crate) fn file(text: &Text, sources: &SourceMap) -> Value<PathBuf> {
    if text.text.is_empty() || text.text.chars().any(char::is_control) {
        return Err(wrong("E0314", text, "a path of a file"));
    }
    let folder = folder_of(sources.path(text.span.file));
    Ok(Spanned::new(PathBuf::from(join(folder, &text.text)), text.span))
}

/// An address to bind: `IP:PORT`, `:PORT`, `localhost:PORT`, `unix:PATH`.
pub(crate) fn socket(text: &Text, sources: &SourceMap) -> Value<SocketAddress> {
    let word = text.text.as_str();
    let address = if let Some(path) = word.strip_prefix("unix:") {
        return unix(text, path, sources).map(|path| path.map(SocketAddress::Unix));
    } else if let Some(port) = word.strip_prefix(':') {
        port_of(port).map(SocketAddress::Any)
    } else if let Some(port) = word.strip_prefix("localhost:") {
        port_of(port).map(|port| SocketAddress::Ip(SocketAddr::from(([127, 0, 0, 1], port))))
    } else {
        word.parse::<SocketAddr>().ok().filter(|at| at.port() > 0).map(SocketAddress::Ip)
    };
    address.map(|address| Spanned::new(address, text.span)).ok_or_else(|| {
        wrong("E0305", text, "an address to listen on")
            .help("write 127.0.0.1:8080, [::1]:8080, :8080 for all addresses, or unix:/path")
    })
}

/// The path of `unix:PATH`.
pub(crate) fn unix(text: &Text, path: &str, sources: &SourceMap) -> Value<PathBuf> {
    /// `sun_path` of Linux with its final NUL.
    const UNIX_PATH_BYTES_MAX: usize = 107;
    let named = !path.is_empty();
    let path = join(folder_of(sources.path(text.span.file)), path);
    if !named || path.len() > UNIX_PATH_BYTES_MAX || path.chars().any(char::is_control) {
        return Err(wrong("E0305", text, "a path of a Unix socket (1 to 107 bytes)"));
    }
    Ok(Spanned::new(PathBuf::from(path), text.span))
}

/// A TCP port that can be named.
pub(crate) fn port_of(text: &str) -> Option<u16> {
    is_number(text).then(|| text.parse::<u16>().ok()).flatten().filter(|port| *port > 0)
}

/// `10.0.0.0/8`, `::1`.
pub(crate) fn range(text: &Text) -> Value<IpNet> {
    let range = text
        .text
        .parse::<IpNet>()
        .ok()
        .or_else(|| text.text.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(range) = range else {
        return Err(wrong("E0306", text, "an address range")
            .help("write 10.0.0.0/8, 2001:db8::/32 or one address"));
    };
    if range.addr() != range.network() {
        return Err(wrong("E0306", text, "a range: bits behind the prefix are set")
            .help(format!("did you mean `{}`?", range.trunc())));
    }
    Ok(Spanned::new(range, text.span))
}

/// An IP address.
pub(crate) fn ip(text: &Text) -> Value<IpAddr> {
    match text.text.parse() {
        Ok(ip) => Ok(Spanned::new(ip, text.span)),
        Err(_) => Err(wrong("E0306", text, "an IP address")),
    }
}

/// Text with placeholders. What was loaded from elsewhere is read for placeholders too.
pub(crate) fn template(text: &Text) -> Value<Template> {
    match Template::parse(&text.text) {
        Ok(template) => Ok(Spanned::new(template, text.span)),
        Err(error) => Err(match error.name {
            None => Diagnostic::error("E0309", text.span, "a brace without its other half")
                .help("a literal brace is written twice: `{{` or `}}`"),
            Some(name) => {
                let message = match text.form {
                    crate::item::Form::Loaded(_) => {
                        "an unknown placeholder in a loaded value".to_owned()
                    }
                    _ => format!("`{{{}}}` is no placeholder", crate::lexer::printable(&name)),
                };
                let error = Diagnostic::error("E0309", text.span, message);
                match nearest(&name, NAMES.iter().copied()) {
                    Some(near) => error.help(format!("did you mean `{{{near}}}`?")),
                    None => error
                        .help(format!("placeholders are {{{}}}", NAMES.join("} {")))
                        .help("a literal brace is written twice: `{{` or `}}`"),
                }
            }
        }),
    }
}

/// A template whose value goes into a head: no line ends.
pub(crate) fn head_value(text: &Text) -> Value<Template> {
    if text.text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Diagnostic::error(
            "E0310",
            text.span,
            "a control character in the value of a field",
        )
        .help("a field's value is one line"));
    }
    template(text)
}

/// A regex, by its syntax.
pub(crate) fn regex(text: &Text) -> Value<String> {
    if text.text.len() > REGEX_BYTES_MAX {
        let message = format!("a regex of more than {REGEX_BYTES_MAX} bytes");
        return Err(Diagnostic::error("E0308", text.span, message));
    }
    let config = syntax::Config::new().nest_limit(REGEX_NEST_MAX);
    match syntax::parse_with(&text.text, &config) {
        Ok(_) => Ok(Spanned::new(text.text.clone(), text.span)),
        Err(error) => {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or("").trim_start_matches("error: ");
            let message = format!("`{}` is not a regex: {last}", text.shown());
            Err(Diagnostic::error("E0308", text.span, message)
                .help("look-around and back-references do not exist: they have no bound in time"))
        }
    }
}

/// The name of a header field, in lower case.
pub(crate) fn field(text: &Text) -> Value<String> {
    if text.text.is_empty() || !doorman_http::is_token(text.text.as_bytes()) {
        return Err(wrong("E0310", text, "the name of a header field"));
    }
    Ok(Spanned::new(text.text.to_ascii_lowercase(), text.span))
}

/// A status within bounds.
pub(crate) fn status(text: &Text, least: u16, most: u16) -> Value<u16> {
    let found = Some(&text.text).filter(|text| is_number(text)).and_then(|text| text.parse().ok());
    match found.filter(|status| (least..=most).contains(status)) {
        Some(status) => Ok(Spanned::new(status, text.span)),
        None => Err(wrong("E0312", text, &format!("a status from {least} to {most}"))),
    }
}

/// `502` or `500-599`, errors only.
pub(crate) fn statuses(text: &Text) -> Value<StatusRange> {
    let bounds = text.text.split_once('-').unwrap_or((&text.text, &text.text));
    let read = |word: &str| word.parse::<u16>().ok().filter(|_| word.len() == 3);
    match (read(bounds.0), read(bounds.1)) {
        (Some(first), Some(last)) if first <= last && first >= 400 && last <= 599 => {
            Ok(Spanned::new(StatusRange { first, last }, text.span))
        }
        _ => Err(wrong("E0312", text, "a status of an error")
            .help("write statuses from 400 to 599, or a range such as 500-599")),
    }
}

/// `95%`, `0.5%`: hundredths of a percent.
pub(crate) fn share(text: &Text) -> Value<u32> {
    let expected = || wrong("E0316", text, "a share").help("write 95% or 0.5%");
    let number = text.text.strip_suffix('%').ok_or_else(expected)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = is_number(whole) && is_number(part) && part.len() <= 2 && whole.len() <= 3;
    if !digits {
        return Err(expected());
    }
    let whole: u32 = whole.parse().map_err(|_| expected())?;
    let part: u32 = format!("{part:0<2}").parse().map_err(|_| expected())?;
    let share = whole * 100 + part;
    if (1..=10_000).contains(&share) { Ok(Spanned::new(share, text.span)) } else { Err(expected()) }
}
