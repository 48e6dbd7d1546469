//! What the loader needs from outside: the text of files, variables, secrets. The crate itself touches no disk; the
//! binary gives it one implementation of [`Source`] and tests another.

use std::collections::BTreeMap;

/// Where texts come from. All paths are as written, relative ones already joined to the folder of the file that
/// names them.
pub trait Source {
    /// The whole text of a file, or why it can't be had. An implementation should refuse to read more than
    /// [`FILE_BYTES_MAX`](crate::FILE_BYTES_MAX).
    ///
    /// # Errors
    /// A sentence for the operator, such as "no such file".
    fn read(&self, path: &str) -> Result<String, String>;

    /// The value of an environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// The value of a secret. It is never printed.
    ///
    /// # Errors
    /// A sentence for the operator that says where it was looked for.
    fn secret(&self, name: &str) -> Result<String, String>;

    /// The files that a pattern (`*` and `?` within a path's parts) names, sorted. A pattern without wild cards that
    /// names nothing gives an empty list.
    ///
    /// # Errors
    /// A sentence for the operator, such as "permission denied".
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String>;
}

/// A [`Source`] in memory: for tests, for `doorman proxy` and for texts that came over the admin API.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    files: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
}

impl MemorySource {
    /// An empty source.
    #[must_use]
    pub fn new() -> MemorySource {
        MemorySource::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, text: impl Into<String>) -> MemorySource {
        self.files.insert(path.into(), text.into());
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> MemorySource {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Adds a secret.
    #[must_use]
    pub fn with_secret(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> MemorySource {
        self.secrets.insert(name.into(), value.into());
        self
    }
}

impl Source for MemorySource {
    fn read(&self, path: &str) -> Result<String, String> {
        self.files.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }

    fn env(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn secret(&self, name: &str) -> Result<String, String> {
        self.secrets.get(name).cloned().ok_or_else(|| "no such secret".to_owned())
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        Ok(self
            .files
            .keys()
            .filter(|path| fits(pattern.as_bytes(), path.as_bytes()))
            .cloned()
            .collect())
    }
}

/// Whether a path fits a pattern of `*` and `?`, neither of which takes a `/`. Quadratic at worst: the last `*` is the
/// only one that is ever tried again.
fn fits(pattern: &[u8], path: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while here < path.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, here));
                at += 1;
                continue;
            }
            Some(b'?') if path[here] != b'/' => {
                at += 1;
                here += 1;
                continue;
            }
            Some(byte) if *byte == path[here] => {
                at += 1;
                here += 1;
                continue;
            }
            _ => {}
        }
        match star {
            Some((star_at, taken)) if path[taken] != b'/' => {
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                here = taken + 1;
            }
            _ => return false,
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_stay_within_a_folder() {
        let check = |pattern: &str, path: &str, expect: bool| {
            assert_eq!(fits(pattern.as_bytes(), path.as_bytes()), expect, "{pattern} on {path}");
        };
        check("a.conf", "a.conf", true);
        check("a.conf", "b.conf", false);
        check("sites/*.conf", "sites/a.conf", true);
        check("sites/*.conf", "sites/x/a.conf", false);
        check("sites/*", "sites/", true);
        check("*/a?.conf", "x/ab.conf", true);
        check("*/a?.conf", "x/a/.conf", false);
        check("*a*b", "xaab", true);
        check("*a*b", "xaac", false);
    }
}
