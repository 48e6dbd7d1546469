//! The running proxy: one thread and runtime per core, and the control that starts, reloads and
//! stops them.
//!
//! A reload does everything that can fail before it changes anything: it reads, compiles, loads
//! keys and binds new sockets. Only then do the cores hear of it, each by one message; what did
//! not change (listeners, pools, counters, connections, tunnels) is never touched.

mod bind;
mod history;
mod worker;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use doorman_config::{Config, Diagnostic, FileId, SourceMap, Workers, render};
use doorman_http::{Instant, Now};
use doorman_net::Clock;
use doorman_net::os::{Bound, ListenAddress};
use doorman_net::tls::TicketKeys;
use doorman_proxy::{CoreCounters, Ground, Plan};
use tokio::sync::mpsc::UnboundedSender;

use crate::admin;
use crate::files::Files;
use crate::log::access::{AccessLog, Target};
use crate::log::error;

pub(crate) use bind::BindError;
pub(crate) use history::History;
use worker::Command;

/// A running proxy.
pub(crate) struct Engine {
    origin: Origin,
    ground: Ground,
    clock: Clock,
    cores: Vec<Core>,
    access_log: Arc<AccessLog>,
    admin: admin::Handle,
    started: Now,
    current: Mutex<Current>,
    /// Held for as long as a reload takes: two at once could end with the older configuration.
    reloading: Mutex<()>,
    history: Mutex<History>,
}

struct Core {
    commands: UnboundedSender<Command>,
    counters: Arc<CoreCounters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Current {
    plan: Arc<Plan>,
    bound: BTreeSet<ListenAddress>,
    hash: String,
    generation: u64,
    loaded_at: u64,
    stopping: bool,
    deadline: Option<Instant>,
}

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A file.
    File(PathBuf),
    /// Text that a command made, and the name that diagnostics give it.
    Text(String, String),
}

/// Why a start or a reload did not happen.
pub(crate) enum Refused {
    /// The configuration is faulty; all faults.
    Config(Vec<Diagnostic>, SourceMap),
    /// A socket cannot be bound.
    Bind(Vec<BindError>),
    /// The access log cannot be opened, or the system gave no randomness.
    System(String),
    /// The proxy is stopping.
    Stopping,
}

impl Refused {
    /// The reason in one line; of several faults the first, and how many there are.
    #[must_use]
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Config(diagnostics, sources) => {
                let mut errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
                let first = errors.next().map(|error| render::short(error, sources));
                first_of(first, 1 + errors.count())
            }
            Self::Bind(errors) => {
                let first =
                    errors.first().map(|e| format!("cannot listen on {}: {}", e.address, e.error));
                first_of(first, errors.len())
            }
            Self::System(why) => why.clone(),
            Self::Stopping => "doorman is stopping".to_owned(),
        }
    }
}

fn first_of(first: Option<String>, count: usize) -> String {
    match (first, count) {
        (None, _) => "unknown".to_owned(),
        (Some(first), 0 | 1) => first,
        (Some(first), count) => format!("{first} (and {} more)", count - 1),
    }
}

/// A configuration that was read, with all that was said about it.
pub(crate) struct Prepared {
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
pub(crate) fn read(origin: &Origin) -> Result<(Arc<Config>, Vec<Diagnostic>, SourceMap), Refused> {
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
pub(crate) fn compile(
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
pub(crate) fn data_folder(config: &Config) -> PathBuf {
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
pub(crate) fn ground(config: &Config, clock: Clock) -> Result<Ground, Refused> {
    let tickets =
        TicketKeys::new(Arc::new(clock)).map_err(|error| Refused::System(error.to_string()))?;
    Ok(Ground::new(data_folder(config), clock, tickets))
}

/// The ground for plans that are only looked at.
///
/// # Errors
/// As [`ground`].
pub fn looking(config: &Config, clock: Clock) -> Result<Ground, Refused> {
    let tickets =
        TicketKeys::new(Arc::new(clock)).map_err(|error| Refused::System(error.to_string()))?;
    Ok(Ground::looking(data_folder(config), clock, tickets))
}

impl Engine {
    /// Starts a proxy: binds, starts a thread per core and one for the admin API, and serves.
    /// `origin` is where a reload reads the configuration from.
    ///
    /// # Errors
    /// Sockets that cannot be bound, or a log that cannot be opened. Nothing runs then.
    pub(crate) fn start(
        ground: Ground,
        prepared: Prepared,
        origin: Origin,
    ) -> Result<Arc<Self>, Refused> {
        let plan = Arc::new(prepared.plan);
        let clock = ground.clock;
        let cores = cores(&plan.config);
        let wanted = bind::wanted(&plan);
        let sockets = bind::bind(&wanted, cores, plan.backlog()).map_err(Refused::Bind)?;
        let error_log = open_error_log(&plan.config)?;
        let doors = admin::Change::prepare(&plan.config, &ground.data, &admin::Doors::default())?;
        let access_log = AccessLog::start(Target::of(&plan.config.global.access_log.value))
            .map_err(|error| Refused::System(format!("access log: {error}")))?;
        error::retarget(error_log);
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
        let now = clock.now();
        let current = Current {
            bound: wanted,
            hash: hash(&prepared.sources),
            generation: 1,
            loaded_at: now.unix_seconds(),
            stopping: false,
            deadline: None,
            plan,
        };
        let engine = Arc::new(Self {
            origin,
            ground,
            clock,
            cores: started,
            access_log,
            admin: admin::Handle::new(),
            started: now,
            current: Mutex::new(current),
            reloading: Mutex::new(()),
            history: Mutex::new(History::started(now.unix_seconds())),
        });
        engine.admin.start(&engine, doors);
        Ok(engine)
    }

    /// Reads the configuration again and takes it into force, or says why not; then nothing has
    /// changed. Reloads wait for each other, and the result of each is kept.
    ///
    /// # Errors
    /// All faults of the configuration, or the sockets that cannot be bound.
    pub(crate) fn reload(&self) -> Result<Reloaded, Refused> {
        let _turn = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.reload_once();
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.note(self.clock.now().unix_seconds(), result.as_ref().err());
        result
    }

    fn reload_once(&self) -> Result<Reloaded, Refused> {
        let (config, diagnostics, sources) = read(&self.origin)?;
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
        let doors = admin::Change::prepare(&plan.config, &self.ground.data, &self.admin.doors())?;
        let error_log = open_error_log(&plan.config)?;
        // The last step that can fail; nothing has changed before it.
        self.access_log
            .retarget(Target::of(&plan.config.global.access_log.value))
            .map_err(|error| Refused::System(format!("access log: {error}")))?;
        error::retarget(error_log);
        self.admin.follow(doors);
        for (core, sockets) in self.cores.iter().zip(sockets) {
            // A core that is gone has panicked outside of any request; the others go on.
            let _ = core.commands.send(Command::Follow(Arc::clone(&plan), sockets));
        }
        current.generation += 1;
        current.loaded_at = self.clock.now().unix_seconds();
        current.hash = hash(&prepared.sources);
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
    pub(crate) fn drain(&self) {
        let limit = self.plan().config.global.drain.value;
        self.end_within(limit);
        self.join();
    }

    /// Closes everything now.
    pub(crate) fn stop(&self) {
        self.end_within(Duration::ZERO);
        self.join();
    }

    /// Shortens a drain that is under way to nothing.
    pub(crate) fn hurry(&self) {
        self.end_within(Duration::ZERO);
    }

    fn end_within(&self, limit: Duration) {
        let mut current = self.current();
        current.stopping = true;
        let deadline = self.clock.instant() + limit;
        current.deadline = Some(current.deadline.map_or(deadline, |old| old.min(deadline)));
        drop(current);
        self.tell(|| Command::Drain(limit));
    }

    /// Opens log files again, after they were rotated.
    pub(crate) fn reopen_logs(&self) {
        self.access_log.reopen();
        error::reopen();
    }

    /// The plan in force.
    #[must_use]
    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.current().plan)
    }

    /// What is in force, and whether it is ending.
    #[must_use]
    pub(crate) fn state(&self) -> EngineState {
        let current = self.current();
        let now = self.clock.instant();
        EngineState {
            plan: Arc::clone(&current.plan),
            hash: current.hash.clone(),
            generation: current.generation,
            loaded_at: current.loaded_at,
            bound: current.bound.iter().cloned().collect(),
            stopping: current.stopping,
            drain_left: current.deadline.map(|deadline| deadline.since(now)),
        }
    }

    /// What became of reloads.
    #[must_use]
    pub(crate) fn history(&self) -> History {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When it started, and the time now.
    #[must_use]
    pub(crate) fn times(&self) -> (Now, Now) {
        (self.started, self.clock.now())
    }

    /// Where its configuration comes from.
    #[must_use]
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Each core's counters.
    pub(crate) fn counters(&self) -> impl Iterator<Item = &Arc<CoreCounters>> {
        self.cores.iter().map(|core| &core.counters)
    }

    /// The access log.
    #[must_use]
    pub(crate) const fn access_log(&self) -> &Arc<AccessLog> {
        &self.access_log
    }

    /// What plans are made on.
    #[must_use]
    pub(crate) const fn ground(&self) -> &Ground {
        &self.ground
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
        self.admin.end();
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

/// A look at what is in force.
pub(crate) struct EngineState {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Hash over the texts that it was made from, hexadecimal.
    pub hash: String,
    /// How many configurations have been in force.
    pub generation: u64,
    /// When this one came, unix seconds.
    pub loaded_at: u64,
    /// What it listens on.
    pub bound: Vec<ListenAddress>,
    /// Whether it is ending.
    pub stopping: bool,
    /// How long requests still have, if it is ending.
    pub drain_left: Option<Duration>,
}

/// What a reload did.
pub(crate) struct Reloaded {
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

fn open_error_log(config: &Config) -> Result<error::Opened, Refused> {
    error::Opened::open(&config.global.error_log.value)
        .map_err(|error| Refused::System(format!("error log: {error}")))
}

/// Tells configurations apart, over machines and restarts too. Files count in the order in which
/// they were read, each with its length, so that no two lists of files give the same bytes.
fn hash(sources: &SourceMap) -> String {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for index in 0..sources.len() {
        let text = sources.text(FileId(u32::try_from(index).unwrap_or(u32::MAX)));
        digest.update(&(text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    }
    // 64 bits tell two configurations apart; a label should stay readable.
    digest.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
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
