//! The rules that tests are about: where they are, and an engine made of them and of a setup of our own
//! words. Rules are never part of the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorman_waf::rule::Notice;
use doorman_waf::seclang::{self, Files, Source};
use doorman_waf::{Engine, Way};

use crate::failure::{During, Failure};

/// Where distributions and people put them.
const PLACES: &[&str] = &[
    "/usr/share/modsecurity-crs/rules",
    "/usr/share/coreruleset/rules",
    "/usr/share/crs/rules",
    "/opt/coreruleset/rules",
    "/opt/owasp-crs/rules",
    "/etc/modsecurity.d/owasp-crs/rules",
];

/// The file by which a directory of rules is known.
const FIRST: &str = "REQUEST-901-INITIALIZATION.conf";

/// What rules are set up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// What the suite assumes.
    Suite,
    /// Refusing, at the first level.
    Ordinary,
    /// Refusing nothing, at the second level.
    Second,
    /// The same, with rules taken away by what requests say.
    Excluding,
}

impl Setup {
    /// Its directives.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Suite => include_str!("setup/suite.conf"),
            Self::Ordinary => include_str!("setup/ordinary.conf"),
            Self::Second => include_str!("setup/second.conf"),
            Self::Excluding => include_str!("setup/excluding.conf"),
        }
    }
}

/// The directory with the rules: the given one or its `rules`, else that of the checkout which `tests` is
/// in, else a usual place.
///
/// # Errors
/// There is none.
pub(crate) fn find(given: Option<&Path>, tests: Option<&Path>) -> Result<PathBuf, Failure> {
    let has_rules = |path: &PathBuf| path.join(FIRST).is_file();
    if let Some(given) = given {
        let found = [given.to_owned(), given.join("rules")].into_iter().find(has_rules);
        return found.ok_or_else(|| {
            Failure::new(format!("no {FIRST} in {} or its rules", given.display()))
        });
    }
    let checkout = tests.into_iter().flat_map(|tests| tests.ancestors().take(4));
    let checkout = checkout.map(|path| path.join("rules"));
    let places = PLACES.iter().map(PathBuf::from);
    checkout.chain(places).find(has_rules).ok_or_else(|| {
        Failure::new("no Core Rule Set found: say with --rules DIR where its *.conf are")
    })
}

/// Rules that are ready to run, and which they are.
pub(crate) struct Loaded {
    pub(crate) engine: Arc<Engine>,
    /// `3.3.4`; empty if the set does not say.
    pub(crate) version: String,
    /// What is odd in them.
    pub(crate) warnings: Vec<String>,
}

/// Loads the rules of a directory behind a setup, to be run as they are in a server.
///
/// # Errors
/// Every fault of the rules.
pub(crate) fn load(directory: &Path, setup: Setup) -> Result<Loaded, Failure> {
    load_for(directory, setup, Way::Plan)
}

/// The same, to be run in a given way.
///
/// # Errors
/// Every fault of the rules.
pub(crate) fn load_for(directory: &Path, setup: Setup, way: Way) -> Result<Loaded, Failure> {
    let mut sources = vec![
        embedded("setup/engine.conf", include_str!("setup/engine.conf")),
        embedded("setup", setup.text()),
    ];
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).during(format!("reading {}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "conf") {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        let text = fs::read(&path).during(format!("reading {}", path.display()))?;
        sources.push(Source { name: Arc::from(path.to_string_lossy()), text });
    }
    let rules = seclang::load(&sources, &Disk).map_err(|faults| told(&faults))?;
    let version = rules.signatures.iter().find_map(|signature| version(signature));
    let warnings = rules.warnings.iter().map(one_line).collect();
    let options = doorman_waf::Options { way, ..doorman_waf::Options::default() };
    let engine = Engine::with(rules, options, Arc::default()).map_err(|faults| told(&faults))?;
    Ok(Loaded { engine: Arc::new(engine), version: version.unwrap_or_default(), warnings })
}

fn embedded(name: &str, text: &str) -> Source {
    Source { name: Arc::from(name), text: text.as_bytes().to_vec() }
}

/// `OWASP_CRS/3.3.4` says 3.3.4.
fn version(signature: &str) -> Option<String> {
    let (_, rest) = signature.split_once("OWASP_CRS/")?;
    Some(rest.split_whitespace().next().unwrap_or_default().to_owned())
}

fn told(faults: &[Notice]) -> Failure {
    Failure::new(faults.iter().map(one_line).collect::<Vec<_>>().join("\n"))
}

fn one_line(notice: &Notice) -> String {
    let id = notice.id.map(|id| format!(" rule {id}:")).unwrap_or_default();
    format!("{}:{id} {}", notice.place, notice.text)
}

/// Files beside the one that names them.
struct Disk;

impl Disk {
    fn beside(base: &str, name: &str) -> PathBuf {
        Path::new(base).parent().unwrap_or(Path::new("")).join(name)
    }
}

impl Files for Disk {
    fn read(&self, base: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
        let path = Self::beside(base, name);
        let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((Arc::from(path.to_string_lossy()), text))
    }

    /// One star, in the last part of the path.
    fn list(&self, base: &str, pattern: &str) -> Result<Vec<String>, String> {
        let path = Self::beside(base, pattern);
        let directory = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((start, end)) = name.split_once('*') else { return Ok(vec![pattern.to_owned()]) };
        let told = |error| format!("{}: {error}", directory.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(told)? {
            let found = entry.map_err(told)?.path();
            let is = found.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if is.len() >= start.len() + end.len() && is.starts_with(start) && is.ends_with(end) {
                names.push(found.to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}
