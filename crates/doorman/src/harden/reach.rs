//! The files that the process can reach from its start on, by Landlock: what its configuration names, and what the
//! libraries that it is made of read of the system.
//!
//! Reach is granted by folders and not by files: files are replaced by others of the same name, and Landlock knows
//! them by what they are. Nothing can be executed anywhere. What a later configuration names elsewhere is refused by
//! the reload that brings it, with the path and what helps.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use doorman_config::{AcmeDnsWay, Config, DiscoverSource, SourceMap, WafBase};
use landlock::{
    ABI, Access, AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, path_beneath_rules,
};

use super::folders::Written;
use super::{Measure, Standing};
use crate::files;

/// What is asked of the kernel; of an older one, what it has. Later versions bound what nobody has thought of here.
const VERSION: ABI = ABI::V6;

pub(super) const NAME: &str = "files";

/// What libraries read: how names are looked up, who is trusted, the time zone, what the machine has. Of `/etc` all,
/// since its files are replaced, and rights of their own keep its secrets.
const SYSTEM: [&str; 14] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/proc",
    "/sys",
    "/dev/null",
    "/dev/urandom",
    "/dev/random",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/connman",
    "/var/lib/ca-certificates",
];

/// Folders that may be read, and folders that may be written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    read: BTreeSet<PathBuf>,
    write: BTreeSet<PathBuf>,
}

/// What a configuration needs to reach.
struct Needed {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

impl Needed {
    fn of(config: &Config, sources: &SourceMap) -> Self {
        let written = Written::of(config);
        let mut read: Vec<PathBuf> = sources.paths().map(PathBuf::from).collect();
        read.extend(files::named(config));
        read.extend(files::secret_folders());
        read.extend(
            config
                .global
                .admin
                .iter()
                .filter_map(|admin| admin.value.token_file.as_ref().map(|file| file.value.clone())),
        );
        read.extend(config.upstreams.iter().flat_map(|upstream| &upstream.discover).filter_map(
            |discover| match &discover.source.value {
                DiscoverSource::File(path) => Some(path.clone()),
                DiscoverSource::Dns { .. } | DiscoverSource::Srv { .. } => None,
            },
        ));
        read.extend(rules(config));
        let mut write = vec![written.data];
        write.extend(written.stores);
        write.extend(written.logs);
        write.extend(written.sockets);
        Self { read, write }
    }
}

/// Folders of rules, in which files are looked for.
fn rules(config: &Config) -> impl Iterator<Item = PathBuf> {
    let wafs = config.sites.iter().flat_map(|site| &site.routes);
    wafs.filter_map(|route| match &route.options.waf.as_ref()?.base.value {
        WafBase::Folder(folder) => Some(folder.clone()),
        _ => None,
    })
}

/// Whether a configuration has programs run, which need what they need.
pub(super) fn runs_programs(config: &Config) -> bool {
    let ways =
        config.global.acme.iter().filter_map(|acme| acme.dns.as_ref()).map(|dns| &dns.value.way);
    ways.into_iter().any(|way| matches!(way, AcmeDnsWay::Exec(_)))
}

/// Keeps this thread and all that it starts to what a configuration needs.
pub(super) fn keep_to(config: &Config, sources: &SourceMap) -> (Measure, Option<Reach>) {
    let needed = Needed::of(config, sources);
    make(&Written::of(config));
    let mut reach = Reach::default();
    for path in needed.read {
        reach.read.extend(homes(&path));
    }
    reach.read.extend(SYSTEM.iter().filter_map(|path| Path::new(path).canonicalize().ok()));
    for path in needed.write {
        reach.write.extend(homes(&path));
    }
    match restrict(&reach) {
        Ok(RulesetStatus::FullyEnforced) => {
            (Measure::new(NAME, Standing::On, "Landlock"), Some(reach))
        }
        Ok(RulesetStatus::PartiallyEnforced) => {
            let detail = "an older Landlock than 6";
            (Measure::new(NAME, Standing::Partial, detail), Some(reach))
        }
        Ok(RulesetStatus::NotEnforced) => {
            (Measure::new(NAME, Standing::Missing, "the kernel has no Landlock"), None)
        }
        Err(error) => (Measure::new(NAME, Standing::Missing, error.to_string()), None),
    }
}

fn restrict(reach: &Reach) -> Result<RulesetStatus, landlock::RulesetError> {
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    let others = devices | AccessFs::MakeFifo | AccessFs::MakeSym;
    let write = (read | AccessFs::from_write(VERSION)) & !others;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?
        .create()?
        .add_rules(path_beneath_rules(&reach.read, read))?
        .add_rules(path_beneath_rules(&reach.write, write))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// Makes what would be made soon, so that it can be reached. Whoever needs it says why it could not be made.
fn make(written: &Written) {
    let sockets = written.own_sockets.iter().filter_map(|socket| socket.parent());
    for folder in std::iter::once(written.data.as_path()).chain(sockets) {
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    }
    for folder in &written.stores {
        let _ = DirBuilder::new().mode(0o700).create(folder);
    }
}

/// The folders in which a path is, as it is written and as links in it lead.
fn homes(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        return path.canonicalize().into_iter().collect();
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    let target = path.canonicalize().ok();
    let target = target.as_deref().and_then(Path::parent).map(Path::to_owned);
    parent.canonicalize().ok().into_iter().chain(target).collect()
}

impl Reach {
    /// What of a configuration is out of reach, in a line.
    pub(super) fn lacks(&self, config: &Config, sources: &SourceMap) -> Option<String> {
        let needed = Needed::of(config, sources);
        let unread = needed.read.iter().find(|path| !self.may_read(path)).map(|at| ("read", at));
        let unwritten = || needed.write.iter().find(|path| !self.may_write(path));
        let (what, path) = unread.or_else(|| unwritten().map(|at| ("write", at)))?;
        Some(format!("{}: {}", path.display(), out_of_reach(what)))
    }

    pub(super) fn may_read(&self, path: &Path) -> bool {
        let within =
            |home: &PathBuf| self.read.iter().chain(&self.write).any(|at| home.starts_with(at));
        homes(path).iter().all(within)
    }

    fn may_write(&self, path: &Path) -> bool {
        let within = |home: &PathBuf| self.write.iter().any(|at| home.starts_with(at));
        homes(path).iter().all(within)
    }
}

/// Why something is out of reach, and what helps.
pub(super) fn out_of_reach(what: &str) -> String {
    format!(
        "doorman can {what} only in the folders of the configuration that it started with (`harden`)\n  \
         help: restart doorman, which takes no more than this configuration needs"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_is_by_folders_and_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["in", "out", "in/deep"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        for name in ["in/file", "out/file"] {
            std::fs::write(at(name), "").unwrap();
        }
        std::os::unix::fs::symlink(at("out/file"), at("in/link")).unwrap();
        let home = at("in").canonicalize().unwrap();
        let reach = Reach { read: BTreeSet::from([home.clone()]), write: BTreeSet::new() };
        for (name, expect) in [
            ("in", true),
            ("in/file", true),
            ("in/missing", true),
            ("in/deep/missing", true),
            ("out", false),
            ("out/file", false),
            ("in/../out/file", false),
            ("in/link", false),
        ] {
            assert_eq!(reach.may_read(&at(name)), expect, "{name}");
            assert!(!reach.may_write(&at(name)), "{name}");
        }
        let reach = Reach { write: BTreeSet::from([home]), read: BTreeSet::new() };
        assert!(reach.may_write(&at("in/file")) && reach.may_read(&at("in/file")));
    }
}
