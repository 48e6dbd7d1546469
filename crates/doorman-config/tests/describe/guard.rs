//! The guards of a route, in one line each: all that the model has, without places.

use std::fmt::{Debug, Write as _};

use doorman_config::{Global, Guard};

/// Each value of a list, or the one that is there.
fn lines<T: Debug>(word: &str, values: impl IntoIterator<Item = T>, text: &mut String) {
    for value in values {
        let shown = plain(&format!("{value:?}"));
        writeln!(text, "    {word} {shown}").expect("a String takes all");
    }
}

pub(crate) fn describe(guard: &Guard, text: &mut String) {
    lines("access", &guard.access, text);
    lines("limit", &guard.limits, text);
    lines("connections", &guard.connections, text);
    lines("concurrency", &guard.concurrency, text);
    lines("throttle", &guard.throttle, text);
    if let Some(priority) = guard.priority {
        lines("priority", [priority.value], text);
    }
    lines("basic-auth", &guard.basic_auth, text);
    lines("api-key", &guard.api_key, text);
    lines("jwt", &guard.jwt, text);
    lines("forward-auth", &guard.forward_auth, text);
    lines("oidc", &guard.oidc, text);
    lines("cors", &guard.cors, text);
    lines("csrf", &guard.csrf, text);
    lines("security-headers", guard.security_headers, text);
    lines("challenge", &guard.challenge, text);
    lines("ban", &guard.bans, text);
}

pub(crate) fn describe_overload(global: &Global, text: &mut String) {
    if let Some(overload) = &global.overload {
        writeln!(text, "{}", plain(&format!("{overload:?}"))).expect("a String takes all");
    }
}

/// The text of a value without places: `Spanned { value: 1, span: ... }` is shown as `1`, and what is neither written
/// nor a default is left out.
pub(crate) fn plain(shown: &str) -> String {
    let mut text = without_spans(shown);
    for wrapper in ["Spanned { value: ", "Setting { value: "] {
        while let Some(at) = text.find(wrapper) {
            let inner = at + wrapper.len();
            let end = inner + closing(&text[inner..]);
            let value = text[inner..end].trim_end().to_owned();
            text.replace_range(at..=end, &value);
        }
    }
    text
}

fn without_spans(shown: &str) -> String {
    let mut text = shown.replace(", span: None }", " }");
    for start in [", span: Some(Span {", ", span: Span {"] {
        while let Some(at) = text.find(start) {
            let inner = at + start.len();
            let end = inner + closing(&text[inner..]);
            let more = usize::from(start.contains("Some("));
            text.replace_range(at..=end + more, "");
        }
    }
    text
}

/// Where the brace is that closes what stands open in front of a text.
fn closing(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, sign) in text.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => return at,
            '}' => depth -= 1,
            _ => {}
        }
    }
    panic!("no brace closes {text}");
}
