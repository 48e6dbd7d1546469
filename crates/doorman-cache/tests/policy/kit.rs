//! Heads from text, and moments in time.

use std::time::{Duration, UNIX_EPOCH};

use doorman_cache::{Admission, Asked, CacheRules, Meta, NotStored, admit};
use doorman_http::{Instant, Method, Now, RequestHead, ResponseHead};

/// 19 November 2026: the moment at which most responses come.
pub(crate) const NOW: u64 = 1_795_046_400;

/// So many seconds after [`NOW`], by both clocks.
pub(crate) fn after(seconds: i64) -> Now {
    clocks(seconds, seconds)
}

/// So many seconds after [`NOW`] by the monotonic clock, and by the wall clock.
pub(crate) fn clocks(monotonic: i64, wall: i64) -> Now {
    // The monotonic clock began a million seconds ago.
    let instant =
        Instant(u64::try_from(1_000_000 + monotonic).expect("after the start") * 1_000_000_000);
    Now { instant, unix_nanos: (NOW.checked_add_signed(wall).expect("a time")) * 1_000_000_000 }
}

/// A date so many seconds after [`NOW`], written by somebody else.
pub(crate) fn date(seconds: i64) -> String {
    let unix = NOW.checked_add_signed(seconds).expect("a time");
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix))
}

/// Fills in dates: `{-60}` is the date of a minute before [`NOW`].
pub(crate) fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (number, behind) = behind.split_once('}').expect("a closing brace");
        out.push_str(before);
        out.push_str(&date(number.parse().expect("a number of seconds")));
        rest = behind;
    }
    out + rest
}

/// Field lines, parted by ` | `, their dates filled in: `Date: {0} | ETag: "a"`.
pub(crate) fn lines(text: &str) -> Vec<(String, String)> {
    let text = filled(text);
    let lines = text.split(" | ").filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').expect("a name and a value");
            (name.to_owned(), value.trim().to_owned())
        })
        .collect()
}

pub(crate) fn response(status: u16, text: &str) -> ResponseHead {
    let mut head = ResponseHead::new(status);
    for (name, value) in lines(text) {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head
}

pub(crate) fn request(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    head.fields.push(b"Host", b"example.com");
    for (name, value) in lines(text) {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head.set_target(b"/a/b?c=d").expect("a target");
    head
}

/// The kept fields of a head as text, like that of [`response`].
pub(crate) fn shown(head: &ResponseHead) -> String {
    let lines = head.fields.iter().map(|(_, name, value)| {
        format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    });
    lines.collect::<Vec<_>>().join(" | ")
}

/// Judges a response to a plain GET that came at once, at [`NOW`].
pub(crate) fn judge(status: u16, text: &str, rules: &CacheRules) -> Result<Meta, NotStored> {
    judge_for("", status, text, rules)
}

/// The same for a request with these fields.
pub(crate) fn judge_for(
    asked: &str,
    status: u16,
    text: &str,
    rules: &CacheRules,
) -> Result<Meta, NotStored> {
    let asked = Asked::of(&request(asked), rules);
    let response = response(status, text);
    match admit(&Method::Get, &asked, &response, rules, after(0), after(0)) {
        Admission::Store(meta) => Ok(meta),
        Admission::Refuse(reason) => Err(reason),
    }
}

/// A response that is stored under rules that allow what they can.
pub(crate) fn stored(text: &str) -> Meta {
    judge(200, text, &CacheRules::default()).unwrap_or_else(|why| panic!("{text}: {why:?}"))
}
