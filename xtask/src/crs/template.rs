//! The one thing that tests ask of templates: `{{ "1" | repeat 152 }}` and `{{ repeat 152 "1" }}`, so that
//! long bodies need no long files.

/// Bytes that a template may become.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// `text` with its templates replaced.
///
/// # Errors
/// A template of another form, told.
pub(crate) fn expand(text: &str) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let end = rest[start..].find("}}").ok_or("a template that does not end")? + start + 2;
        let unknown = || format!("a template that is unknown: {}", &rest[start..end]);
        let (word, times) = repeated(&rest[start + 2..end - 2]).ok_or_else(unknown)?;
        if word.len().saturating_mul(times) > BYTES_MAX {
            return Err(format!("a template of more than {BYTES_MAX} bytes"));
        }
        expanded.push_str(&rest[..start]);
        expanded.push_str(&word.repeat(times));
        rest = &rest[end..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn repeated(inside: &str) -> Option<(&str, usize)> {
    let inside = inside.trim();
    if let Some(call) = inside.strip_prefix("repeat ") {
        let (times, word) = call.trim().split_once(' ')?;
        return Some((quoted(word)?, times.parse().ok()?));
    }
    let (word, call) = inside.rsplit_once('|')?;
    Some((quoted(word)?, call.trim().strip_prefix("repeat ")?.trim().parse().ok()?))
}

fn quoted(word: &str) -> Option<&str> {
    let inside = word.trim().strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains(['"', '\\'])).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        assert_eq!(expand(text).as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn both_forms_repeat() {
        check("none { } here", Ok("none { } here"));
        check("a{{ \"xy\" | repeat 3 }}b", Ok("axyxyxyb"));
        check("{{repeat 2 \"|\"}}{{ \"1\" | repeat 0 }}", Ok("||"));
    }

    #[test]
    fn all_else_is_told() {
        check("{{ now }}", Err("a template that is unknown: {{ now }}"));
        check("{{ \"a\" | repeat x }}", Err("a template that is unknown: {{ \"a\" | repeat x }}"));
        check("{{ \"a", Err("a template that does not end"));
        check("{{ \"aaaa\" | repeat 9999999999 }}", Err("a template of more than 16777216 bytes"));
    }
}
