//! The running proxy: one thread and runtime per core, and the control that starts, reloads and
//! stops them.
//!
//! A reload does everything that can fail before it changes anything: it reads, compiles, loads
//! keys and binds new sockets. Only then do the cores hear of it, each by one message; what did
//! not change (listeners, pools, counters, connections, tunnels) is never touched.

mod bind;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use doorman_config::{Config, Diagnostic, SourceMap, Workers};
use doorman_net::Clock;
use doorman_net::os::{Bound, ListenAddress};
use doorman_net::tls::TicketKeys;
use doorman_proxy::{CoreCounters, Ground, Plan};
use tokio::sync::mpsc::UnboundedSender;

use crate::files::Files;
use crate::log::access::{AccessLog, Target};

pub use bind::BindError;
use worker::Command;

/// A running proxy.
pub struct Engine {
    ground: Ground,
    clock: Clock,
    cores: Vec<Core>,
    access_log: Arc<AccessLog>,
    current: Mutex<Current>,
}

struct Core {
    commands: UnboundedSender<Command>,
    counters: Arc<CoreCounters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Current {
    plan: Arc<Plan>,
    bound: BTreeSet<ListenAddress>,
    generation: u64,
    loaded_at: u64,
    stopping: bool,
}

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// Text that a command made, and the name that diagnostics give it.
    Text(String, String),
}

/// Why a start or a reload did not happen.
pub enum Refused {
    /// The configuration is faulty; all faults.
    Config(Vec<Diagnostic>, SourceMap),
    /// A socket cannot be bound.
    Bind(Vec<BindError>),
    /// The access log cannot be opened, or the system gave no randomness.
    System(String),
    /// The proxy is stopping.
    Stopping,
}

/// A configuration that was read, with all that was said about it.
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// The texts they refer to.
    pub sources: SourceMap,
}

/// Reads a configuration.
///
/// # Errors
/// All its faults.
pub fn read(origin: &Origin) -> Result<(Arc<Config>, Vec<Diagnostic>, SourceMap), Refused> {
    let loaded = match origin {
        Origin::File(path) => doorman_config::load(&Files, &path.to_string_lossy()),
        Origin::Text(name, text) => {
            let source = doorman_config::MemorySource::new().file(name.clone(), text.clone());
            doorman_config::load(&source, name)
        }
    };
    match loaded.config {
        Some(config) => Ok((Arc::new(config), loaded.diagnostics, loaded.sources)),
        None => Err(Refused::Config(loaded.diagnostics, loaded.sources)),
    }
}

/// Compiles a configuration that was read.
///
/// # Errors
/// All that stands against it: files, certificates, expressions.
pub fn compile(
    config: &Arc<Config>,
    mut diagnostics: Vec<Diagnostic>,
    sources: SourceMap,
    ground: &Ground,
) -> Result<Prepared, Refused> {
    let compiled = Plan::compile(config, ground);
    diagnostics.extend(compiled.diagnostics);
    match compiled.plan {
        Some(plan) => Ok(Prepared { plan, warnings: diagnostics, sources }),
        None => Err(Refused::Config(diagnostics, sources)),
    }
}

/// Folder for what doorman keeps by itself.
#[must_use]
pub fn data_folder(config: &Config) -> PathBuf {
    if let Some(data) = &config.global.data {
        return data.value.clone();
    }
    let own = |variable: &str, rest: &str| {
        std::env::var_os(variable).map(|home| PathBuf::from(home).join(rest))
    };
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/doorman");
    }
    own("XDG_DATA_HOME", "doorman")
        .or_else(|| own("HOME", ".local/share/doorman"))
        .unwrap_or_else(|| PathBuf::from("doorman-data"))
}

/// The ground that plans are made on.
///
/// # Errors
/// The system gave no randomness for ticket keys.
pub fn ground(config: &Config, clock: Clock) -> Result<Ground, Refused> {
    let tickets =
        TicketKeys::new(Arc::new(clock)).map_err(|error| Refused::System(error.to_string()))?;
    Ok(Ground::new(data_folder(config), clock, tickets))
}

impl Engine {
    /// Starts a proxy: binds, starts a thread per core, and serves.
    ///
    /// # Errors
    /// Sockets that cannot be bound, or a log that cannot be opened. Nothing runs then.
    pub fn start(ground: Ground, prepared: Prepared) -> Result<Arc<Self>, Refused> {
        let plan = Arc::new(prepared.plan);
        let clock = ground.clock;
        let cores = cores(&plan.config);
        let wanted = bind::wanted(&plan);
        let sockets = bind::bind(&wanted, cores, plan.backlog()).map_err(Refused::Bind)?;
        let access_log = AccessLog::start(Target::of(&plan.config.global.access_log.value))
            .map_err(|error| Refused::System(format!("access log: {error}")))?;
        let mut started = Vec::new();
        for (index, sockets) in sockets.into_iter().enumerate() {
            let seed = seed().map_err(Refused::System)?;
            started.push(worker::start(
                index,
                clock,
                seed,
                Arc::clone(&plan),
                sockets,
                &access_log,
            ));
        }
        let current = Current {
            bound: wanted,
            generation: 1,
            loaded_at: clock.now().unix_seconds(),
            stopping: false,
            plan,
        };
        Ok(Arc::new(Self {
            ground,
            clock,
            cores: started,
            access_log,
            current: Mutex::new(current),
        }))
    }

    /// Takes another configuration into force, or says why not; then nothing has changed.
    ///
    /// # Errors
    /// All faults of the configuration, or the sockets that cannot be bound.
    pub fn reload(&self, origin: &Origin) -> Result<Reloaded, Refused> {
        let (config, diagnostics, sources) = read(origin)?;
        let prepared = compile(&config, diagnostics, sources, &self.ground)?;
        let plan = Arc::new(prepared.plan);
        let mut current = self.current();
        if current.stopping {
            return Err(Refused::Stopping);
        }
        let wanted = bind::wanted(&plan);
        let fresh: BTreeSet<_> = wanted.difference(&current.bound).cloned().collect();
        let closed = current.bound.difference(&wanted).cloned().collect();
        let sockets =
            bind::bind(&fresh, self.cores.len(), plan.backlog()).map_err(Refused::Bind)?;
        self.access_log
            .retarget(Target::of(&plan.config.global.access_log.value))
            .map_err(|error| Refused::System(format!("access log: {error}")))?;
        for (core, sockets) in self.cores.iter().zip(sockets) {
            // A core that is gone has panicked outside of any request; the others go on.
            let _ = core.commands.send(Command::Follow(Arc::clone(&plan), sockets));
        }
        current.generation += 1;
        current.loaded_at = self.clock.now().unix_seconds();
        current.bound = wanted;
        current.plan = plan;
        Ok(Reloaded {
            generation: current.generation,
            opened: fresh.into_iter().collect(),
            closed,
            warnings: prepared.warnings,
            sources: prepared.sources,
        })
    }

    /// Stops accepting, lets requests end for as long as the configuration says, then closes.
    /// Returns when all cores are done.
    pub fn drain(&self) {
        let limit = {
            let mut current = self.current();
            current.stopping = true;
            current.plan.config.global.drain.value
        };
        self.tell(|| Command::Drain(limit));
        self.join();
    }

    /// Closes everything now.
    pub fn stop(&self) {
        self.current().stopping = true;
        self.tell(|| Command::Drain(Duration::ZERO));
        self.join();
    }

    /// Shortens a drain that is under way to nothing.
    pub fn hurry(&self) {
        self.tell(|| Command::Drain(Duration::ZERO));
    }

    /// Opens log files again, after they were rotated.
    pub fn reopen_logs(&self) {
        self.access_log.reopen();
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.current().plan)
    }

    /// How many configurations have been in force, and when the last came, unix seconds.
    #[must_use]
    pub fn generation(&self) -> (u64, u64) {
        let current = self.current();
        (current.generation, current.loaded_at)
    }

    /// Each core's counters.
    pub fn counters(&self) -> impl Iterator<Item = &Arc<CoreCounters>> {
        self.cores.iter().map(|core| &core.counters)
    }

    /// The access log.
    #[must_use]
    pub const fn access_log(&self) -> &Arc<AccessLog> {
        &self.access_log
    }

    /// What plans are made on.
    #[must_use]
    pub const fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Addresses that are listened on, with the ports that the system chose.
    #[must_use]
    pub fn bound(&self) -> BTreeMap<ListenAddress, ()> {
        self.current().bound.iter().map(|address| (address.clone(), ())).collect()
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for core in &self.cores {
            let _ = core.commands.send(command());
        }
    }

    fn join(&self) {
        for core in &self.cores {
            let thread = core.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        }
        self.access_log.finish();
        for address in &self.current().bound {
            if let ListenAddress::Unix(path) = address {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a reload did.
pub struct Reloaded {
    /// Number of the configuration now in force.
    pub generation: u64,
    /// Addresses that are new.
    pub opened: Vec<ListenAddress>,
    /// Addresses that are no longer listened on.
    pub closed: Vec<ListenAddress>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// The texts they refer to.
    pub sources: SourceMap,
}

fn cores(config: &Config) -> usize {
    match config.global.workers.value {
        Workers::Count(n) => usize::from(n),
        Workers::Auto => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn seed() -> Result<u64, String> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| format!("no randomness: {error}"))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Sockets for one core.
type Sockets = Vec<(ListenAddress, Bound)>;
