//! Rust text without its comments and literals.
//!
//! Just enough of a lexer to know what is code: comments (nested too), strings, raw strings, byte
//! strings and characters become spaces; lines keep their numbers.

/// `text` with everything that isn't code blanked out; same lines, one space a character.
pub(crate) fn code_of(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end =
            at + skipped(&characters[at..], at.checked_sub(1).map(|before| characters[before]));
        if end == at {
            code.push(characters[at]);
            at += 1;
            continue;
        }
        code.extend(characters[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    code
}

/// How many characters from here on are a comment or a literal; 0 if code stands here.
fn skipped(rest: &[char], before: Option<char>) -> usize {
    let follows_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match rest {
        ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment(rest),
        ['"', ..] => quoted(rest, '"'),
        ['\'', ..] => character(rest),
        ['r', '"' | '#', ..] if !follows_name => raw(rest, 1),
        ['b' | 'c', 'r', '"' | '#', ..] if !follows_name => raw(rest, 2),
        _ => 0,
    }
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => depth += 1,
            ['*', '/', ..] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// A literal with escapes, from its opening to its closing mark.
fn quoted(rest: &[char], mark: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == mark => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character literal; 0 for a lifetime.
fn character(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', ..] => quoted(rest, '\''),
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

/// A raw string whose `r` ends before `start`; 0 for a raw name such as `r#type`.
fn raw(rest: &[char], start: usize) -> usize {
    let hashes = rest[start..].iter().take_while(|&&c| c == '#').count();
    let open = start + hashes;
    if rest.get(open) != Some(&'"') {
        return 0;
    }
    let is_close = |window: &[char]| window[0] == '"' && window[1..].iter().all(|&c| c == '#');
    let body = &rest[open + 1..];
    body.windows(hashes + 1).position(is_close).map_or(rest.len(), |at| open + 1 + at + hashes + 1)
}

#[test]
fn only_code_is_left() {
    for (text, expect) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("a \"b\\\"c\" d", "a        d"),
        ("'x' 'a", "    'a"),
        ("&'a str, '\\'' b", "&'a str,      b"),
        ("r\"a\\\" b", "      b"),
        ("r#\"a\"b\"# c", "         c"),
        ("br#\"a\"# c", "        c"),
        ("r#type x", "r#type x"),
        ("bar\"x\"y", "bar   y"),
        ("\"// no\" b", "        b"),
        ("\"a\nb\" c", "  \n   c"),
        ("/* open", "       "),
        ("\"open", "     "),
    ] {
        assert_eq!(code_of(text), expect, "{text}");
    }
}
