//! Which script a path names (RFC 3875 sections 4.1.5, 4.1.13).
//!
//! Routes and rules judged the path in its normal form, so the script must be one that they saw too:
//! an escaped slash, which they took for a part of a name, is never decoded into one that separates.

/// Why a path names no script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptFault {
    /// An escape that would make another path of it, or a byte that no file's name should have.
    Path,
    /// Nothing in it is a script.
    Missing,
}

/// A script and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// `SCRIPT_NAME`, decoded; begins with a slash.
    pub name: Vec<u8>,
    /// `PATH_INFO`, decoded but for slashes; empty or begins with a slash.
    pub info: Vec<u8>,
}

/// Finds the script in a path in its normal form. With `split`, it ends with the first such suffix
/// that a slash or the path's end follows; what follows is the path info. Without, it is the whole
/// path. A path that ends with a slash and names no script so far stands for its `index`.
///
/// # Errors
/// There is no script in it, or the path cannot be one of a file.
pub fn find_script(
    path: &[u8],
    split: Option<&str>,
    index: Option<&str>,
) -> Result<Script, ScriptFault> {
    let (mut decoded, escaped_slash) = decode(path)?;
    let ends = match split {
        Some(suffix) => end_of_script(&decoded, suffix.as_bytes()),
        None if decoded.ends_with(b"/") => None,
        None => Some(decoded.len()),
    };
    let end = match (ends, index) {
        (Some(end), _) => end,
        (None, Some(index)) if decoded.ends_with(b"/") => {
            decoded.extend_from_slice(index.as_bytes());
            decoded.len()
        }
        (None, _) => return Err(ScriptFault::Missing),
    };
    if escaped_slash.is_some_and(|at| at < end) {
        return Err(ScriptFault::Path);
    }
    let info = decoded.split_off(end);
    Ok(Script { name: decoded, info })
}

fn end_of_script(path: &[u8], suffix: &[u8]) -> Option<usize> {
    if suffix.is_empty() {
        return None;
    }
    let ends =
        (1..=path.len().saturating_sub(suffix.len())).filter(|at| path[*at..].starts_with(suffix));
    ends.map(|at| at + suffix.len()).find(|end| matches!(path.get(*end), None | Some(b'/')))
}

/// Decodes once, but for slashes; says where the first of those stands.
fn decode(path: &[u8]) -> Result<(Vec<u8>, Option<usize>), ScriptFault> {
    if path.first() != Some(&b'/') {
        // `OPTIONS *` is for nobody's script.
        return Err(ScriptFault::Missing);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut escaped_slash = None;
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (&[high, low], after) = after.split_first_chunk().ok_or(ScriptFault::Path)?;
        let digit =
            |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(high), digit(low)) else {
            return Err(ScriptFault::Path);
        };
        rest = after;
        match high << 4 | low {
            b'/' => {
                escaped_slash.get_or_insert(decoded.len());
                decoded.extend_from_slice(b"%2F");
            }
            byte => decoded.push(byte),
        }
    }
    let strange = |byte: &u8| byte.is_ascii_control();
    let climbs = decoded.split(|&byte| byte == b'/').any(|segment| matches!(segment, b"." | b".."));
    if climbs || decoded.iter().any(strange) {
        return Err(ScriptFault::Path);
    }
    Ok((decoded, escaped_slash))
}
