//! The one normal form of a path.
//!
//! Routes match, rules decide, keys are built and origins are asked by the same bytes (invariant
//! 10), so whatever two readers could take for different paths is either made equal here or
//! refused: dot segments are resolved, empty segments merged, escapes of unreserved bytes decoded
//! and the rest written in upper case (RFC 3986 section 6.2.2). Forms on which servers are known
//! to disagree (`..;`, `..%2f`, a raw backslash, an encoded NUL) are refused. Decoding happens
//! once; its result is never decoded again.

use crate::scan::is_simple_path;
use crate::target::TargetError;

/// Appends the normal form of `path` to `out`. `path` is what stands before `?`, and begins with
/// a slash. Most paths are normal already: that is seen in one pass and they are copied as they are.
///
/// # Errors
/// [`TargetError::Escape`], [`TargetError::DotSegment`] or [`TargetError::Byte`].
pub fn normalise(path: &[u8], out: &mut Vec<u8>) -> Result<(), TargetError> {
    if is_simple_path(path) {
        out.extend_from_slice(path);
        return Ok(());
    }
    let base = out.len();
    let mut segments = path.split(|&b| b == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let start = out.len();
        out.push(b'/');
        decode_segment(segment, out)?;
        match &out[start + 1..] {
            b"." | b"" if !last => out.truncate(start),
            b"." => out.truncate(start + 1),
            b".." => {
                out.truncate(start);
                // Above the root stays at the root (RFC 3986 section 5.2.4).
                let parent =
                    out[base..].iter().rposition(|&b| b == b'/').map_or(base, |i| base + i);
                out.truncate(parent);
                if last {
                    out.push(b'/');
                }
            }
            b"" => {}
            other => {
                if is_ambiguous(other) {
                    return Err(TargetError::DotSegment);
                }
            }
        }
    }
    if out.len() == base {
        out.push(b'/');
    }
    Ok(())
}

/// A segment that some servers read as `.` or `..`: with path parameters (`..;x`), or with an
/// escaped separator next to the dots (`..%2F`).
fn is_ambiguous(segment: &[u8]) -> bool {
    let bare = segment.split(|&b| b == b';').next().unwrap_or_default();
    if bare != segment && (bare == b"." || bare == b"..") {
        return true;
    }
    if !segment.contains(&b'%') {
        return false;
    }
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut i = 0;
    while i < segment.len() {
        match segment.get(i..i + 3) {
            Some(b"%2F" | b"%5C") => {
                parts.push(std::mem::take(&mut part));
                i += 3;
            }
            _ => {
                part.push(segment[i]);
                i += 1;
            }
        }
    }
    parts.push(part);
    parts.len() > 1
        && parts.iter().any(|p| {
            let bare = p.split(|&b| b == b';').next().unwrap_or_default();
            bare == b"." || bare == b".."
        })
}

fn decode_segment(segment: &[u8], out: &mut Vec<u8>) -> Result<(), TargetError> {
    let mut i = 0;
    while i < segment.len() {
        let byte = segment[i];
        match byte {
            b'%' => {
                let (Some(high), Some(low)) = (
                    segment.get(i + 1).copied().and_then(hex),
                    segment.get(i + 2).copied().and_then(hex),
                ) else {
                    return Err(TargetError::Escape);
                };
                let decoded = high << 4 | low;
                if decoded == 0 {
                    return Err(TargetError::Escape);
                }
                if is_unreserved(decoded) {
                    out.push(decoded);
                } else {
                    out.extend([b'%', HEX[high as usize], HEX[low as usize]]);
                }
                i += 3;
            }
            b'\\' => return Err(TargetError::Byte),
            _ => {
                out.push(byte);
                i += 1;
            }
        }
    }
    Ok(())
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(path: &str) -> Result<String, TargetError> {
        let mut out = Vec::new();
        normalise(path.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).expect("ASCII in, ASCII out"))
    }

    #[test]
    fn paths() {
        for (path, expect) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a.b/.c", "/a.b/.c"),
            ("/...", "/..."),
            ("//", "/"),
            ("//a", "/a"),
            ("/a//b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/../b", "/b"),
            ("/a/b/../..", "/"),
            ("/../../etc", "/etc"),
            ("/a/%2e%2e/b", "/b"),
            ("/a/.%2E/b", "/b"),
            ("/%61dmin", "/admin"),
            ("/%7euser", "/~user"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%252fb", "/a%252fb"),
            ("/a%252e%252e/b", "/a%252e%252e/b"),
            ("/a%c3%a9", "/a%C3%A9"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/a%5cb", "/a%5Cb"),
            ("/a/..b", "/a/..b"),
        ] {
            assert_eq!(normal(path), Ok(expect.to_owned()), "{path}");
        }
        for (path, error) in [
            ("/a/..;/admin", TargetError::DotSegment),
            ("/a/..;x=1/admin", TargetError::DotSegment),
            ("/.;/a", TargetError::DotSegment),
            ("/a/..%2fadmin", TargetError::DotSegment),
            ("/a/%2e%2e%2fadmin", TargetError::DotSegment),
            ("/a%2f..%2fadmin", TargetError::DotSegment),
            ("/a/..%5cadmin", TargetError::DotSegment),
            ("/a%2F..;x", TargetError::DotSegment),
            ("/a\\b", TargetError::Byte),
            ("/a/..\\b", TargetError::Byte),
            ("/%", TargetError::Escape),
            ("/%4", TargetError::Escape),
            ("/%4g", TargetError::Escape),
            ("/a%00b", TargetError::Escape),
        ] {
            assert_eq!(normal(path), Err(error), "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_is_a_fixed_point(path in "/[a-c./;%25efEF2\\\\]{0,24}") {
            if let Ok(once) = normal(&path) {
                prop_assert!(once.starts_with('/'));
                prop_assert_eq!(normal(&once), Ok(once.clone()));
                prop_assert!(!once.split('/').any(|s| s == "." || s == ".."));
                prop_assert!(!once.contains("//"));
            }
        }
    }
}
