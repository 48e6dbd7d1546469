//! What an explanation says of the form of an answer.

use doorman_proxy::explain::{Codes, Decodes, Forward, Optimizes};
use serde_json::{Value, json};

use super::Told;
use super::text::Page;

/// The lines for people.
pub(super) fn lines(passed: &Forward, told: &Told<'_>, page: &mut Page<'_>) {
    let options = told.route().map(|route| &route.options);
    if let Some(codes) = &passed.codes {
        let span = options.and_then(|options| options.compress.as_ref()).map(|line| line.span);
        let (what, how) = coding(codes, passed.cache.is_some());
        page.placed("compress", &what, span, told, &how);
    }
    if let Some(Decodes { ratio, max }) = passed.decodes {
        let span = options.and_then(|options| options.decompress.as_ref()).map(|line| line.span);
        let how = format!("to at most {max} bytes and {ratio} times the length");
        page.placed("decompress", "if the client cannot read it", span, told, &how);
    }
    if let Some(optimizes) = &passed.optimizes {
        for line in optimized(optimizes) {
            page.line("optimize", &line);
        }
    }
}

/// The coding, and how it is done or why it is not.
fn coding(codes: &Codes, is_kept: bool) -> (String, String) {
    let Some((coding, first, kept)) = codes.coding else {
        let why = match codes.why {
            Some("not-accepted") => "the client takes none of those that are offered",
            Some("no-transform") => "the client does not want anything changed",
            Some("secret") => "the request has credentials (`breach careful`)",
            Some("method") => "its method has no such answer",
            other => other.unwrap_or_default(),
        };
        return ("none".to_owned(), why.to_owned());
    };
    let later = if is_kept { format!(", {kept} in the store later") } else { String::new() };
    let how = format!("at level {first}{later}; not below {} bytes", codes.min);
    (coding.token().to_owned(), how)
}

fn optimized(optimizes: &Optimizes) -> Vec<String> {
    let mut lines = Vec::new();
    if !optimizes.texts.is_empty() {
        lines.push(optimizes.texts.join(", "));
    }
    let made = |(from, to): &(&str, &str)| {
        if from == to { format!("{from} stays {to}") } else { format!("{from} becomes {to}") }
    };
    if !optimizes.images.is_empty() {
        let formats: Vec<String> = optimizes.images.iter().map(made).collect();
        let size = match optimizes.size {
            (None, None) => String::new(),
            (Some(width), None) => format!(", at most {width} pixels wide"),
            (None, Some(height)) => format!(", at most {height} pixels high"),
            (Some(width), Some(height)) => format!(", within {width} by {height} pixels"),
        };
        lines.push(format!("{}{size}", formats.join(", ")));
    }
    lines
}

/// The same for programs.
pub(super) fn value(passed: &Forward) -> Value {
    let codes = passed.codes.as_ref().map(|codes| {
        let offered: Vec<&str> = codes.offered.iter().map(|coding| coding.token()).collect();
        json!({
            "coding": codes.coding.map(|(coding, ..)| coding.token()),
            "level": codes.coding.map(|(_, first, _)| first),
            "kept_level": codes.coding.map(|(.., kept)| kept),
            "why": codes.why,
            "offered": offered,
            "min": codes.min,
        })
    });
    let decodes =
        passed.decodes.map(|Decodes { ratio, max }| json!({ "ratio": ratio, "max": max }));
    let optimizes = passed.optimizes.as_ref().map(|optimizes| {
        let image = |(from, to): &(&str, &str)| json!({ "from": from, "to": to });
        json!({
            "texts": optimizes.texts,
            "images": optimizes.images.iter().map(image).collect::<Vec<_>>(),
            "width": optimizes.size.0,
            "height": optimizes.size.1,
        })
    });
    json!({ "compress": codes, "decompress": decodes, "optimize": optimizes })
}
