//! Files of rules: where they are, and what was read of them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorman_http::KeyHash;
use doorman_waf::assemble::{crs_places, crs_setup_places};
use doorman_waf::seclang::{FILE_MAX, FILES_MAX, Files, Source};

use crate::plan::compile;

/// A hash that tells texts apart: two of 64 bits. Nobody gains anything by two that are alike.
pub(super) fn hash(text: &[u8]) -> (u64, u64) {
    (KeyHash::of(0, text), KeyHash::of(u64::MAX, text))
}

/// The files of a set.
pub(super) struct Found {
    pub(super) root: Arc<str>,
    pub(super) setup: Option<Source>,
    /// What stands beside the setup to be run ahead of the rules.
    pub(super) before: Vec<Source>,
    pub(super) plugins_before: Vec<Source>,
    pub(super) rules: Vec<Source>,
    pub(super) plugins_after: Vec<Source>,
    /// What stands beside the setup to be run behind the rules.
    pub(super) after: Vec<Source>,
}

impl Found {
    /// Names of all files.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let lists =
            [&self.before, &self.plugins_before, &self.rules, &self.plugins_after, &self.after];
        self.setup.iter().chain(lists.into_iter().flatten()).map(|source| &*source.name)
    }
}

/// Files beside a setup in a folder of its own, which distributions load ahead of the rules and behind them.
const BESIDE: [&str; 2] =
    ["REQUEST-900-EXCLUSION-RULES-BEFORE-CRS.conf", "RESPONSE-999-EXCLUSION-RULES-AFTER-CRS.conf"];

/// The Core Rule Set of this machine.
pub(super) fn crs() -> Result<Found, String> {
    let has_rules = |place: &&&str| Path::new(place).join("rules").is_dir();
    let Some(place) = crs_places().iter().find(has_rules) else {
        let places = crs_places().join(", ");
        return Err(format!("the Core Rule Set is not on this machine: it is in none of {places}"));
    };
    laid_out(Path::new(place), crs_setup_places())
}

/// A folder: laid out as the Core Rule Set is, or one with files of rules in it.
pub(super) fn folder(folder: &Path) -> Result<Found, String> {
    if folder.join("rules").is_dir() {
        return laid_out(folder, &[]);
    }
    let mut rules = listed(folder, |name| name.ends_with(".conf"))?;
    let setup = rules.iter().position(|source| source.name.ends_with("/crs-setup.conf"));
    let setup = setup.map(|at| rules.remove(at));
    if rules.is_empty() {
        return Err(format!("there are no rules in {}: no file ends in .conf", folder.display()));
    }
    Ok(Found {
        root: folder.to_string_lossy().into(),
        setup,
        before: Vec::new(),
        plugins_before: Vec::new(),
        rules,
        plugins_after: Vec::new(),
        after: Vec::new(),
    })
}

fn laid_out(root: &Path, setups: &[&str]) -> Result<Found, String> {
    let rules = listed(&root.join("rules"), |name| name.ends_with(".conf"))?;
    if rules.is_empty() {
        let rules = root.join("rules");
        return Err(format!("there are no rules in {}: no file ends in .conf", rules.display()));
    }
    let places = std::iter::once(root.to_owned()).chain(setups.iter().map(PathBuf::from));
    let setup = places.map(|place| place.join("crs-setup.conf")).find(|file| file.is_file());
    let read = |file: PathBuf| {
        source(&file).map_err(|why| format!("cannot read {}: {why}", file.display()))
    };
    let beside = |name: &str| {
        let folder = setup.as_deref().and_then(Path::parent).filter(|folder| *folder != root)?;
        Some(folder.join(name)).filter(|file| file.is_file())
    };
    let [before, after] = BESIDE.map(|name| beside(name).map(read).transpose());
    let plugins = root.join("plugins");
    let (mut plugins_before, mut plugins_after) = (Vec::new(), Vec::new());
    if plugins.is_dir() {
        plugins_before = listed(&plugins, |name| name.ends_with("-config.conf"))?;
        plugins_before.extend(listed(&plugins, |name| name.ends_with("-before.conf"))?);
        plugins_after = listed(&plugins, |name| name.ends_with("-after.conf"))?;
    }
    Ok(Found {
        root: root.to_string_lossy().into(),
        before: before?.into_iter().collect(),
        after: after?.into_iter().collect(),
        setup: setup.map(read).transpose()?,
        plugins_before,
        rules,
        plugins_after,
    })
}

/// The files of a folder whose names are wanted, sorted.
fn listed(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Source>, String> {
    let names = names(folder, is_wanted)
        .map_err(|why| format!("cannot look into {}: {why}", folder.display()))?;
    let read = |name: &String| {
        let file = folder.join(name);
        source(&file).map_err(|why| format!("cannot read {}: {why}", file.display()))
    };
    names.iter().map(read).collect()
}

/// Files of a folder that rules take phrases from, as they are called by custom.
pub(super) fn data(folder: &Path) -> Vec<PathBuf> {
    let names = names(folder, |name| name.ends_with(".data")).unwrap_or_default();
    names.iter().map(|name| folder.join(name)).collect()
}

fn names(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_wanted(name))
        .take(FILES_MAX + 1)
        .collect();
    if names.len() > FILES_MAX {
        return Err(format!("more than {FILES_MAX} files"));
    }
    names.sort();
    Ok(names)
}

/// A file of rules.
pub(super) fn source(file: &Path) -> Result<Source, String> {
    let text = compile::read(file, FILE_MAX as u64)?;
    Ok(Source { name: file.to_string_lossy().into(), text })
}

/// What rules asked for, and what they were told, so that it can be asked again.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    read: Vec<(String, String, (u64, u64))>,
    listed: Vec<(String, String, Vec<String>)>,
}

impl Seen {
    /// Whether they would be told the same now.
    pub(super) fn still_holds(&self) -> bool {
        let disk = Disk::default();
        let read = |(base, name, known): &(String, String, (u64, u64))| {
            disk.read(base, name).is_ok_and(|(_, text)| hash(&text) == *known)
        };
        let listed = |(base, pattern, known): &(String, String, Vec<String>)| {
            disk.list(base, pattern).is_ok_and(|names| names == *known)
        };
        self.read.iter().all(read) && self.listed.iter().all(listed)
    }
}

/// The disk, for rules that name files.
#[derive(Debug, Default)]
pub(super) struct Disk {
    seen: RefCell<Seen>,
}

impl Disk {
    /// What was read.
    pub(super) fn into_seen(self) -> Seen {
        self.seen.into_inner()
    }
}

/// A name as it is seen from the file that has it.
fn resolved(base: &str, name: &str) -> PathBuf {
    Path::new(base).parent().unwrap_or(Path::new("")).join(name)
}

impl Files for Disk {
    fn read(&self, base: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
        let path = resolved(base, name);
        let text = compile::read(&path, FILE_MAX as u64)?;
        let seen = (base.to_owned(), name.to_owned(), hash(&text));
        self.seen.borrow_mut().read.push(seen);
        Ok((path.to_string_lossy().into(), text))
    }

    /// A `*` or `?` may stand in the last part of the pattern, as people write it.
    fn list(&self, base: &str, pattern: &str) -> Result<Vec<String>, String> {
        let path = Path::new(pattern);
        let part = path.file_name().and_then(|part| part.to_str()).unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        if folder.to_string_lossy().contains(['*', '?']) {
            return Err("a `*` stands in the name of a file, not of a folder".to_owned());
        }
        let looked = resolved(base, &folder.to_string_lossy());
        let looked = if looked.as_os_str().is_empty() { Path::new(".") } else { &looked };
        let names = names(looked, |name| matches(part.as_bytes(), name.as_bytes()))?;
        let full = |name: &String| folder.join(name).to_string_lossy().into_owned();
        let names: Vec<String> = names.iter().map(full).collect();
        let seen = (base.to_owned(), pattern.to_owned(), names.clone());
        self.seen.borrow_mut().listed.push(seen);
        Ok(names)
    }
}

/// `*` and `?`, in time proportional to the product of both lengths at the most; a leading dot is matched
/// only by a dot, as in a shell.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&b) if b == b'?' || b == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_order_and_watched_for_changes() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("b.conf", "two");
        write("a.conf", "one");
        write("crs-setup.conf", "setup");
        write("x.data", "words");
        let found = super::folder(folder.path()).unwrap_or_else(|why| panic!("{why}"));
        let rules: Vec<&[u8]> = found.rules.iter().map(|source| &*source.text).collect();
        assert_eq!(rules, [b"one", b"two"]);
        assert_eq!(found.setup.as_ref().map(|source| &*source.text), Some(&b"setup"[..]));
        let disk = Disk::default();
        let (_, text) = disk.read(&found.rules[0].name, "x.data").unwrap();
        assert_eq!(text, b"words");
        let listed = disk.list(&found.rules[0].name, "*.conf").unwrap();
        assert_eq!(listed, ["a.conf", "b.conf", "crs-setup.conf"]);
        let seen = disk.into_seen();
        assert!(seen.still_holds());
        write("c.conf", "three");
        assert!(!seen.still_holds());
        std::fs::remove_file(folder.path().join("c.conf")).unwrap();
        assert!(seen.still_holds());
        write("x.data", "others");
        assert!(!seen.still_holds());
    }

    #[test]
    fn a_folder_without_rules_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(super::folder(folder.path()).is_err_and(|why| why.contains("no file ends in")));
        assert!(super::folder(&folder.path().join("none")).is_err());
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        assert!(super::folder(folder.path()).is_err_and(|why| why.contains("no file ends in")));
    }
}
