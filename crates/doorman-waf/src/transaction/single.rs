//! Variables that have one value, or none.

use std::borrow::Cow;

use doorman_http::date;

use super::live::Live;
use super::seen::Seen;
use crate::body::{Fault, Pair};
use crate::rule::Variable;

/// What rules read as the engine's name.
const BUILD: &[u8] = b"doorman";

/// A value that is borrowed from what was told, or made here.
type Text<'s> = Option<Cow<'s, [u8]>>;

/// The value of a variable that is no collection; `None` where nothing is known of it yet.
pub(crate) fn single<'s>(seen: &'s Seen, live: &Live, variable: Variable) -> Text<'s> {
    use Variable as V;
    let request = &seen.request;
    match variable {
        V::RequestLine => text(&request.line),
        V::RequestMethod => text(&request.method),
        V::RequestProtocol => text(&request.protocol),
        V::RequestUri => text(request.uri()),
        V::RequestUriRaw => text(&request.target),
        V::RequestFilename => text(&request.filename),
        V::RequestBasename => text(request.basename()),
        V::QueryString => request.query.as_deref().and_then(text),
        V::ArgsCombinedSize => number(sizes(request.all_arguments())),
        V::RequestBody => request.body.raw.as_deref().and_then(text),
        V::RequestBodyLength => number(request.body.length),
        V::FullRequest => Some(Cow::Owned(full(seen))),
        V::FullRequestLength => number(full(seen).len()),
        V::InboundDataError => flag(request.body.over),
        V::RemoteAddr | V::RemoteHost => number(seen.facts.client.ip().to_canonical()),
        V::RemotePort => number(seen.facts.client.port()),
        V::ServerAddr => number(seen.facts.server.ip().to_canonical()),
        V::ServerPort => number(seen.facts.server.port()),
        V::ServerName => text(request.server_name()),
        V::UniqueId => text(seen.facts.unique_id.as_bytes()),
        V::ResponseBody => seen.response.body.as_deref().and_then(text),
        V::ResponseContentLength => number(seen.response.length),
        V::ResponseContentType => seen.response.content_type().and_then(text),
        V::ResponseProtocol => seen.response.status.and_then(|_| text(&seen.response.protocol)),
        V::ResponseStatus => number(seen.response.status?),
        V::StatusLine => status_line(seen),
        V::OutboundDataError => flag(seen.response.over),
        V::HighestSeverity => number(live.journal.highest_severity),
        V::MatchedVar => live.matched().map(|last| Cow::Owned(last.value.clone())),
        V::MatchedVarName => live.matched().map(|last| Cow::Owned(last.name.clone())),
        V::ModsecBuild => text(BUILD),
        V::MscPcreError | V::MscPcreLimitsExceeded => flag(live.over_match_limit),
        V::SessionId => live.opened_key(crate::rule::Collection::Session),
        V::UserId => live.opened_key(crate::rule::Collection::User),
        _ => body(seen, live, variable).or_else(|| time(seen, live, variable)),
    }
}

fn text(bytes: &[u8]) -> Text<'_> {
    Some(Cow::Borrowed(bytes))
}

fn number<'s>(value: impl ToString) -> Text<'s> {
    Some(Cow::Owned(value.to_string().into_bytes()))
}

fn flag<'s>(set: bool) -> Text<'s> {
    Some(Cow::Borrowed(if set { b"1" } else { b"0" }))
}

/// Bytes of names and values.
fn sizes<'a>(pairs: impl Iterator<Item = &'a Pair>) -> usize {
    pairs.map(|pair| pair.name.len() + pair.value.len()).sum()
}

fn status_line<'s>(seen: &Seen) -> Text<'s> {
    let mut line = seen.response.protocol.clone();
    line.push(b' ');
    line.extend_from_slice(seen.response.status?.to_string().as_bytes());
    Some(Cow::Owned(line))
}

/// The request as it may have been on a wire of HTTP/1.
fn full(seen: &Seen) -> Vec<u8> {
    let request = &seen.request;
    let mut full = [request.line.as_slice(), b"\n"].concat();
    for field in &request.fields {
        for piece in [&field.name, &b": "[..], &field.value, b"\n"] {
            full.extend_from_slice(piece);
        }
    }
    full.push(b'\n');
    full.extend_from_slice(request.body.raw.as_deref().unwrap_or_default());
    full
}

/// Variables of time, in UTC: the room knows no place.
fn time<'s>(seen: &Seen, live: &Live, variable: Variable) -> Text<'s> {
    use Variable as V;
    let seconds = live.now.unix_seconds();
    let written = date::write(seconds);
    let digits = |range| Some(Cow::Owned(without_zeros(&written[range])));
    match variable {
        V::Duration => number(live.now.instant.micros_since(seen.facts.now.instant)),
        V::TimeEpoch => number(seconds),
        V::Time => Some(Cow::Owned(written[17..25].to_vec())),
        V::TimeDay => digits(5..7),
        V::TimeYear => digits(12..16),
        V::TimeHour => digits(17..19),
        V::TimeMin => digits(20..22),
        V::TimeSec => digits(23..25),
        V::TimeMon => number(index_of(&written[8..11], b"JanFebMarAprMayJunJulAugSepOctNovDec")),
        V::TimeWday => number(index_of(&written[..3], b"SunMonTueWedThuFriSat")),
        _ => None,
    }
}

fn without_zeros(digits: &[u8]) -> Vec<u8> {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits[zeros.min(digits.len() - 1)..].to_vec()
}

/// Which of words of three letters it is, from 0.
fn index_of(word: &[u8], words: &[u8]) -> usize {
    words.chunks(3).position(|each| each == word).unwrap_or_default()
}

/// Variables of how the request's body was read.
fn body<'s>(seen: &'s Seen, live: &Live, variable: Variable) -> Text<'s> {
    use Variable as V;
    let read = &seen.request.body.read;
    let flags = &read.flags;
    match variable {
        V::ReqbodyProcessor => {
            text(live.controls.processor.map_or(b"", |processor| processor.word().as_bytes()))
        }
        V::ReqbodyError => flag(read.fault.is_some()),
        V::ReqbodyProcessorError => flag(matches!(read.fault, Some(Fault::Malformed(_)))),
        V::ReqbodyErrorMsg | V::ReqbodyProcessorErrorMsg => {
            text(read.fault.as_ref().map_or(b"", |fault| fault.message().as_bytes()))
        }
        V::UrlencodedError => flag(seen.request.query_error || flags.urlencoded_error),
        V::FilesCombinedSize => number(read.files_size()),
        V::MultipartBoundaryQuoted => flag(flags.boundary_quoted),
        V::MultipartBoundaryWhitespace => flag(flags.boundary_whitespace),
        V::MultipartCrlfLfLines => flag(read.mixed_lines()),
        V::MultipartDataAfter => flag(flags.data_after),
        V::MultipartDataBefore => flag(flags.data_before),
        V::MultipartFileLimitExceeded => flag(flags.file_limit_exceeded),
        V::MultipartHeaderFolding => flag(flags.header_folding),
        V::MultipartInvalidHeaderFolding => flag(flags.invalid_header_folding),
        V::MultipartInvalidPart => flag(flags.invalid_part),
        V::MultipartInvalidQuoting => flag(flags.invalid_quoting),
        V::MultipartLfLine => flag(flags.lf_line),
        V::MultipartMissingSemicolon | V::MultipartSemicolonMissing => {
            flag(flags.missing_semicolon)
        }
        V::MultipartStrictError => flag(read.strict_error()),
        V::MultipartUnmatchedBoundary => number(flags.unmatched_boundary),
        _ => None,
    }
}
