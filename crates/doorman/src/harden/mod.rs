//! What the process gives up before it serves anybody, so that whoever takes it over has little.
//!
//! All of it happens on the one thread that there is then: users, capabilities, Landlock and seccomp belong to
//! threads, and those that are started later have what the first one has left. And all of it happens before a socket
//! is bound or a key is read: what the user may not do fails at the start, and not at the first reload.

mod account;
mod folders;
mod privilege;
mod reach;
mod syscalls;

use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use doorman_config::{Config, Harden, ProcessUser, SocketAddress, SourceMap};
use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use crate::admin::user_name;
use crate::engine::Refused;
use account::Account;
use folders::Written;
use reach::Reach;
use syscalls::Refusal;

/// What has been given up. It belongs to the process, and is settled once.
static ENTERED: OnceLock<Entered> = OnceLock::new();

/// How the process began to serve.
struct Entered {
    hardened: Hardened,
    user: Option<ProcessUser>,
    mode: Harden,
    began_as_root: bool,
    /// What it can reach; `None`: everything.
    reach: Option<Reach>,
    runs_programs: bool,
}

/// What the process has given up. The names of the fields are a public contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hardened {
    /// The word of `harden` at the start.
    pub mode: String,
    /// As whom it runs.
    pub user: String,
    /// Each thing that could be given up.
    pub measures: Vec<Measure>,
}

/// A thing that can be given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Measure {
    /// What it is.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// What is left, or why it is not in force; empty if there is nothing to say.
    pub detail: String,
}

/// How a measure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// In force.
    On,
    /// In force, as far as this kernel can do it.
    Partial,
    /// Not in force: the kernel cannot do it.
    Missing,
    /// Not in force: what would be refused is logged.
    Report,
    /// Not in force: it is not wanted.
    Off,
}

impl Standing {
    /// The word in metrics and on screens.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Partial => "partial",
            Self::Missing => "missing",
            Self::Report => "report",
            Self::Off => "off",
        }
    }
}

impl Measure {
    fn new(name: &str, standing: Standing, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), standing, detail: detail.into() }
    }

    /// One that the kernel did or did not do.
    fn of(name: &str, result: rustix::io::Result<()>) -> Self {
        match result {
            Ok(()) => Self::new(name, Standing::On, ""),
            Err(error) => Self::new(name, Standing::Missing, error.to_string()),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match (self.standing, self.detail.as_str()) {
            (Standing::On, "") => Ok(()),
            (Standing::On, detail) => write!(f, " ({detail})"),
            (standing, "") => write!(f, " {}", standing.word()),
            (standing, detail) => write!(f, " {} ({detail})", standing.word()),
        }
    }
}

/// What this process has given up; `None` before it has, and in commands that do not serve.
#[must_use]
pub(crate) fn told() -> Option<&'static Hardened> {
    ENTERED.get().map(|entered| &entered.hardened)
}

/// Whether root started the process, and it goes on as somebody else.
#[must_use]
pub(crate) fn left_root() -> bool {
    ENTERED.get().is_some_and(|entered| entered.began_as_root) && !is_root()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Goes on as the user that a configuration names, and gives up what it says.
///
/// # Errors
/// The user is not there, or this process may not become it, or it may not do what it must. What the kernel cannot
/// do is no error: it is told.
pub(crate) fn enter(config: &Config, sources: &SourceMap) -> Result<(), Refused> {
    if threads() > 1 {
        return Err(Refused::System("threads run already, nothing can be given up".to_owned()));
    }
    let began_as_root = is_root();
    let ports = ports(config);
    let user = take_user(config, sources, ports).map_err(Refused::System)?;
    let mode = config.global.harden.value;
    let runs_programs = reach::runs_programs(config);
    let mut reach = None;
    let measures = match mode {
        Harden::On => {
            let mut measures = give_up(ports);
            if runs_programs {
                // What they need is not known, and they would be under the same bounds.
                let why = "`dns exec` runs programs";
                measures.push(Measure::new(reach::NAME, Standing::Off, why));
                measures.push(Measure::new(syscalls::NAME, Standing::Off, why));
            } else {
                let (files, bounds) = reach::keep_to(config, sources);
                reach = bounds;
                // Last: what makes the others can then not be called any more.
                measures.extend([files, syscalls::bound(Refusal::Refuse)]);
            }
            measures
        }
        Harden::Report => left_alone(syscalls::bound(Refusal::Log)),
        Harden::Off => left_alone(Measure::new(syscalls::NAME, Standing::Off, "")),
    };
    let hardened = Hardened { mode: mode.word().to_owned(), user, measures };
    let user = config.global.user.as_ref().map(|user| user.value.clone());
    // It is entered once; a second time would find it settled, and change nothing.
    let _ = ENTERED.set(Entered { hardened, user, mode, began_as_root, reach, runs_programs });
    Ok(())
}

/// Says in one line what is in force, and in one what the kernel cannot do.
pub(crate) fn tell() {
    let Some(hardened) = told() else { return };
    let are = |wanted: fn(Standing) -> bool| {
        let lines = hardened.measures.iter().filter(|one| wanted(one.standing));
        lines.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let force = are(|standing| matches!(standing, Standing::On | Standing::Partial));
    let hint = if is_root() { " (`user NAME` in `global` would give that up)" } else { "" };
    let (user, mode) = (&hardened.user, &hardened.mode);
    let force = if force.is_empty() { String::new() } else { format!(": {force}") };
    tracing::info!("runs as {user}{hint}; harden {mode}{force}");
    let missing = are(|standing| standing == Standing::Missing);
    if !missing.is_empty() {
        tracing::warn!("not all is hardened: {missing}");
    }
}

/// Whether a configuration wants what only a start can do.
#[must_use]
pub(crate) fn wants_start(config: &Config) -> bool {
    ENTERED.get().is_some_and(|entered| {
        let user = config.global.user.as_ref().map(|user| &user.value);
        user != entered.user.as_ref() || config.global.harden.value != entered.mode
    })
}

/// What a configuration wants that this process cannot do any more, in a line.
#[must_use]
pub(crate) fn lacks(config: &Config, sources: &SourceMap) -> Option<String> {
    let entered = ENTERED.get()?;
    if entered.mode == Harden::On && !entered.runs_programs && reach::runs_programs(config) {
        let why =
            "`dns exec` runs a program, and this process gave that up when it started (`harden`)";
        return Some(format!("{why}\n  help: restart doorman"));
    }
    entered.reach.as_ref()?.lacks(config, sources)
}

/// Whether only some files can be reached.
#[must_use]
pub(crate) fn is_bounded() -> bool {
    ENTERED.get().is_some_and(|entered| entered.reach.is_some())
}

/// What helps if a file cannot be read that nobody could know of.
pub(crate) const BOUNDS_HELP: &str = "doorman keeps to the folders of its configuration: put the file \
     into one of them, or write `harden off` in `global`";

/// Why a file cannot be read, if it is out of reach for this process.
#[must_use]
pub(crate) fn out_of_reach(path: &Path) -> Option<String> {
    let reach = ENTERED.get()?.reach.as_ref()?;
    (!reach.may_read(path)).then(|| reach::out_of_reach("read"))
}

fn threads() -> usize {
    // Where there is no /proc, nothing has been started before this either.
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// Becomes the user that the configuration names; who it is now.
fn take_user(config: &Config, sources: &SourceMap, ports: bool) -> Result<String, String> {
    let now = rustix::process::geteuid();
    let Some(written) = &config.global.user else {
        return Ok(user_name(now.as_raw()));
    };
    let account = Account::find(&written.value)?;
    if now.as_raw() == account.user {
        return Ok(account.name);
    }
    if !now.is_root() {
        return Err(format!(
            "cannot go on as user {}: this process was started by {}, and only root can\n  \
             help: start it as root, or take `user` out",
            account.name,
            user_name(now.as_raw())
        ));
    }
    let written = Written::of(config);
    written.make_for(&account)?;
    let keep = if ports { CapabilitySet::NET_BIND_SERVICE } else { CapabilitySet::empty() };
    privilege::go_on_as(&account, keep)?;
    written.check(&account, sources)?;
    Ok(account.name)
}

fn give_up(ports: bool) -> Vec<Measure> {
    let mut keep = if ports { CapabilitySet::NET_BIND_SERVICE } else { CapabilitySet::empty() };
    if is_root() {
        keep |= privilege::OF_ROOT | CapabilitySet::NET_BIND_SERVICE;
    }
    let mut capabilities = Measure::of("capabilities", privilege::keep_only(keep));
    if capabilities.standing == Standing::On {
        let left = privilege::left();
        capabilities.detail =
            if left.is_empty() { "none left".to_owned() } else { left.join(" ") + " left" };
    }
    let privileges = Measure::of("no-new-privileges", privilege::no_new_privileges());
    let dumps = Measure::of("no-dumps", privilege::no_dumps());
    privilege::private_files();
    let umask = Measure::new("private-files", Standing::On, "");
    vec![capabilities, privileges, dumps, umask]
}

fn left_alone(calls: Measure) -> Vec<Measure> {
    let names = ["capabilities", "no-new-privileges", "no-dumps", "private-files", reach::NAME];
    let mut all: Vec<_> = names.map(|name| Measure::new(name, Standing::Off, "")).into();
    all.push(calls);
    all
}

/// Whether a configuration has a port that only a privileged process may bind.
fn ports(config: &Config) -> bool {
    let least = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let least = least.ok().and_then(|text| text.trim().parse::<u16>().ok()).unwrap_or(1024);
    let listeners = config.listeners.iter().map(|listener| &listener.address);
    let relays = config.relays.iter().map(|relay| &relay.address.value);
    let own = config.global.admin.iter().map(|admin| &admin.value.address);
    let own = own.chain(config.global.metrics.iter().map(|metrics| &metrics.value));
    listeners.chain(relays).chain(own).filter_map(SocketAddress::port).any(|port| port < least)
}

#[cfg(test)]
mod tests;
