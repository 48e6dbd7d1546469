//! The running proxy: one thread and runtime per core, and the control that starts, reloads and
//! stops them.
//!
//! A reload does everything that can fail before it changes anything: it reads, compiles, loads
//! keys and binds new sockets. Only then do the cores hear of it, each by one message; what did
//! not change (listeners, pools, counters, connections, tunnels) is never touched.

mod bind;
mod certificates;
mod discovery;
mod errands;
mod history;
mod holds;
mod memory;
mod overrides;
mod probes;
mod staples;
mod stores;
mod worker;
mod workshop;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use doorman_config::{Config, Diagnostic, FileId, Global, SourceMap, Workers, render};
use doorman_control::acme::Keeper;
use doorman_control::discovery::{Discovery, SourceReport};
use doorman_control::ocsp::Stapler;
use doorman_control::probe::Prober;
use doorman_http::{Instant, Now};
use doorman_net::Clock;
use doorman_net::os::{Bound, ListenAddress};
use doorman_net::serve::{Lane, Quic};
use doorman_net::tls::TicketKeys;
use doorman_proxy::{CoreCounters, Ground, Plan};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::admin;
use crate::files::{self, Files, Look};
use crate::harden;
use crate::log::access::{AccessLog, Target};
use crate::log::error;

pub(crate) use bind::BindError;
pub(crate) use history::History;
use holds::{Hold, Holds};
pub(crate) use memory::Memory;
pub(crate) use overrides::{NotSet, Overrides, Wish};
use worker::Command;

/// A running proxy.
pub(crate) struct Engine {
    origin: Origin,
    ground: Ground,
    clock: Clock,
    cores: Vec<Core>,
    access_log: Arc<AccessLog>,
    /// The log of what rules matched.
    rule_log: Arc<AccessLog>,
    quic: Arc<Quic>,
    admin: admin::Handle,
    keeper: Mutex<Option<Keeper>>,
    discovery: Discovery,
    overrides: Overrides,
    stapler: Mutex<Option<Stapler>>,
    prober: Mutex<Option<Prober>>,
    stores: stores::Threads,
    errands: errands::Runner,
    memory: memory::Seen,
    started: Now,
    current: Mutex<Current>,
    /// Held for as long as a reload takes: two at once could end with the older configuration.
    reloading: Mutex<()>,
    history: Mutex<History>,
    news: Notify,
}

struct Core {
    commands: UnboundedSender<Command>,
    counters: Arc<CoreCounters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Current {
    plan: Arc<Plan>,
    bound: BTreeSet<ListenAddress>,
    holds: Holds,
    hash: String,
    /// The texts that it was made from.
    sources: Arc<SourceMap>,
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
    /// The texts they refer to, and all files that count.
    pub sources: SourceMap,
}

/// For whom it does not matter how files were before they were read.
pub(crate) const NOBODY: Look<'static> = &|_| {};

/// Reads a configuration. `look` is called for each file before it is read.
///
/// # Errors
/// All its faults.
pub(crate) fn read(
    origin: &Origin,
    look: Look<'_>,
) -> Result<(Arc<Config>, Vec<Diagnostic>, SourceMap), Refused> {
    let loaded = match origin {
        Origin::File(path) => {
            let files = Files::watched(look);
            let mut loaded = doorman_config::load(&files, &path.to_string_lossy());
            for file in files.noted() {
                loaded.sources.note(file.to_string_lossy());
            }
            loaded
        }
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

/// Compiles a configuration that was read. `look` is called for each file that it names before that
/// is read.
///
/// # Errors
/// All that stands against it: files, certificates, expressions.
pub(crate) fn compile(
    config: &Arc<Config>,
    mut diagnostics: Vec<Diagnostic>,
    mut sources: SourceMap,
    ground: &Ground,
    look: Look<'_>,
) -> Result<Prepared, Refused> {
    for file in files::named(config) {
        look(&file);
        sources.note(file.to_string_lossy());
    }
    certificates::fill(config, ground);
    let compiled = Plan::compile(config, ground);
    diagnostics.extend(compiled.diagnostics);
    match compiled.plan {
        Some(plan) => Ok(Prepared { plan, warnings: diagnostics, sources }),
        None => Err(Refused::Config(diagnostics, sources)),
    }
}

/// Whether a configuration is of a service of the machine, and not of somebody who works on it: root runs it, or it
/// says as whom root lets it run. So commands find it whoever gives them.
#[must_use]
pub(crate) fn is_service(global: &Global) -> bool {
    global.user.is_some() || rustix::process::geteuid().is_root() || harden::left_root()
}

/// Folder for what doorman keeps by itself.
#[must_use]
pub(crate) fn data_folder(global: &Global) -> PathBuf {
    if let Some(data) = &global.data {
        return data.value.clone();
    }
    let own = |variable: &str, rest: &str| {
        std::env::var_os(variable).map(|home| PathBuf::from(home).join(rest))
    };
    if is_service(global) {
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
    Ok(Ground::new(data_folder(&config.global), clock, tickets))
}

/// The ground for plans that are only looked at.
///
/// # Errors
/// As [`ground`].
pub fn looking(config: &Config, clock: Clock) -> Result<Ground, Refused> {
    let tickets =
        TicketKeys::new(Arc::new(clock)).map_err(|error| Refused::System(error.to_string()))?;
    Ok(Ground::looking(data_folder(&config.global), clock, tickets))
}

/// Starts looking for the servers that a configuration wants to be found, and puts those that are found in time on the
/// ground.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn discover(config: &Config, ground: &Ground) -> Result<Discovery, Refused> {
    let found = Discovery::start(ground.clock)
        .map_err(|error| Refused::System(format!("no thread for discovery: {error}")))?;
    found.follow(discovery::settings(config), discovery::PATIENCE);
    ground.find(discovery::lists(&found));
    Ok(found)
}

impl Engine {
    /// Starts a proxy: binds, starts a thread per core and one for the admin API, and serves.
    /// `origin` is where a reload reads the configuration from.
    ///
    /// # Errors
    /// Sockets that cannot be bound, or a log that cannot be opened. Nothing runs then.
    pub(crate) fn start(
        ground: Ground,
        discovery: Discovery,
        prepared: Prepared,
        origin: Origin,
    ) -> Result<Arc<Self>, Refused> {
        let plan = Arc::new(prepared.plan);
        let clock = ground.clock;
        let overrides = Overrides::load(&ground.data, clock);
        let cores = cores(&plan.config);
        let wanted = bind::wanted(&plan);
        let quic = Quic::new().map_err(|error| Refused::System(error.to_string()))?;
        let quic = Arc::new(quic);
        let mut holds = Holds::default();
        let sockets =
            bind::bind(&wanted, cores, plan.backlog(), &quic, &mut holds).map_err(Refused::Bind)?;
        let error_log = open_error_log(&plan.config)?;
        let doors = admin::Change::prepare(&plan.config, &admin::Doors::default())?;
        let logs = &plan.config.global;
        let access_log = AccessLog::start(Target::of(&logs.access_log.value), "access log")
            .map_err(|error| Refused::System(format!("access log: {error}")))?;
        let rule_log = AccessLog::start(Target::of_rules(&logs.waf_log.value), "waf log")
            .map_err(|error| Refused::System(format!("waf log: {error}")))?;
        error::retarget(error_log);
        overrides.follow(&plan);
        staples::fill(&plan, &ground);
        let mut prober = None;
        probes::follow(&mut prober, clock, None, &plan);
        let errands = errands::Runner::start(&ground)
            .map_err(|error| Refused::System(format!("no thread for errands: {error}")))?;
        let stores = stores::Threads::default();
        stores.follow(&plan, &ground, clock);
        let mut started = Vec::new();
        for (index, sockets) in sockets.into_iter().enumerate() {
            let seed = seed().map_err(Refused::System)?;
            started.push(worker::start(
                index,
                clock,
                seed,
                Arc::clone(&plan),
                sockets,
                (&access_log, &rule_log),
            ));
        }
        let keeper = certificates::start(&plan.config, &ground);
        let stapler = staples::start(&plan, &ground);
        let now = clock.now();
        let current = Current {
            bound: wanted,
            holds,
            hash: hash(&prepared.sources),
            sources: Arc::new(prepared.sources),
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
            rule_log,
            quic,
            admin: admin::Handle::new(),
            keeper: Mutex::new(keeper),
            discovery,
            overrides,
            stapler: Mutex::new(stapler),
            prober: Mutex::new(prober),
            stores,
            errands,
            memory: memory::Seen::default(),
            started: now,
            current: Mutex::new(current),
            reloading: Mutex::new(()),
            history: Mutex::new(History::started(now.unix_seconds())),
            news: Notify::new(),
        });
        engine.admin.start(&engine, doors);
        memory::start(&engine);
        Ok(engine)
    }

    /// Reads the configuration again and takes it into force, or says why not; then nothing has
    /// changed. Reloads wait for each other, and the result of each is kept. `look` is called for each
    /// file before it is read.
    ///
    /// # Errors
    /// All faults of the configuration, or the sockets that cannot be bound.
    pub(crate) fn reload(&self, look: Look<'_>) -> Result<Reloaded, Refused> {
        let _turn = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.reload_once(look);
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.note(self.clock.now().unix_seconds(), result.as_ref().err());
        if result.is_ok() {
            self.news.notify_one();
        }
        result
    }

    /// Takes over files of TLS and of guards that have changed, without reading the configuration again. One that is
    /// broken leaves what was made of its predecessor in force. Says whether there was anything new.
    pub(crate) fn renew(&self) -> bool {
        let _turn = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.plan();
        let compiled = Plan::renew(&old.config, &self.ground);
        let Some(plan) = compiled.plan else {
            let mut errors = compiled.diagnostics.iter().filter(|found| found.is_error());
            let first = errors.next().map_or_else(String::new, |error| error.message.clone());
            tracing::error!("changed files are not taken over: {first}");
            return false;
        };
        let mut current = self.current();
        if current.stopping || (plan.remade == 0 && plan.stale == old.stale) {
            return false;
        }
        for stale in plan.stale.iter().filter(|stale| !old.stale.contains(stale)) {
            tracing::error!("{stale}; what was there before stays in force");
        }
        for healed in old.stale.iter().filter(|stale| !plan.stale.contains(stale)) {
            tracing::info!("mended: {healed}");
        }
        self.put_in_force(&mut current, plan);
        tracing::info!("changed files were taken over");
        true
    }

    /// Looks for servers from now on as these settings say, and waits a moment for what is new among them.
    fn look_for(&self, settings: doorman_control::discovery::Settings) {
        self.discovery.follow(settings, discovery::PATIENCE);
        self.ground.find(discovery::lists(&self.discovery));
    }

    /// Waits until servers have come or gone by themselves.
    pub(crate) async fn found(&self) {
        self.discovery.changed().await;
    }

    /// Makes the plan anew with the servers that are there now. Nothing else of it changes.
    pub(crate) fn take_found(&self) {
        let _turn = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        self.ground.find(discovery::lists(&self.discovery));
        let compiled = Plan::renew(&self.plan().config, &self.ground);
        let Some(plan) = compiled.plan else {
            let mut errors = compiled.diagnostics.iter().filter(|found| found.is_error());
            let first = errors.next().map_or_else(String::new, |error| error.message.clone());
            tracing::error!("servers that were found are not taken over: {first}");
            return;
        };
        let mut current = self.current();
        if !current.stopping {
            self.put_in_force(&mut current, plan);
        }
    }

    /// How it stands with servers that are found.
    #[must_use]
    pub(crate) fn discoveries(&self) -> Vec<SourceReport> {
        self.discovery.report()
    }

    /// What operators have changed on servers.
    #[must_use]
    pub(crate) const fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// Does what is due of it.
    pub(crate) fn end_overrides(&self) {
        let plan = self.plan();
        let due = self.overrides.tick(&plan);
        for object in &due {
            tracing::info!("{object}: its time to drain is over, its last connections end");
            self.tell(|| Command::Release(object.upstream.clone(), object.server.clone()));
        }
    }

    /// How it stands with memory; `None` while there is no bound on it.
    #[must_use]
    pub(crate) fn memory(&self) -> Option<Memory> {
        self.memory.get()
    }

    /// Takes what disks of stores have to say into the error log.
    pub(crate) fn tell_of_stores(&self) {
        stores::tell(&self.plan());
    }

    /// Has the cores follow a plan of the same configuration: with the same sockets.
    fn put_in_force(&self, current: &mut Current, plan: Plan) {
        let plan = Arc::new(plan);
        self.overrides.follow(&plan);
        self.stores.follow(&plan, &self.ground, self.clock);
        probes::follow(&mut self.prober(), self.clock, Some(&current.plan), &plan);
        for core in &self.cores {
            let _ = core.commands.send(Command::Follow(Arc::clone(&plan), Sockets::new()));
        }
        self.staple(&plan);
        current.plan = plan;
    }

    /// Waits until another configuration has come into force, by whatever way.
    pub(crate) async fn reloaded(&self) {
        self.news.notified().await;
    }

    fn reload_once(&self, look: Look<'_>) -> Result<Reloaded, Refused> {
        let (config, diagnostics, sources) = read(&self.origin, look)?;
        if let Some(why) = harden::lacks(&config, &sources) {
            return Err(Refused::System(why));
        }
        let (before, next) =
            (discovery::settings(&self.plan().config), discovery::settings(&config));
        // What the old plan needs is looked at on, until it is sure that the new one comes into force.
        self.look_for(discovery::both(before.clone(), &next));
        let result = self.take_over(&config, diagnostics, sources, look);
        self.look_for(if result.is_ok() { next } else { before });
        result
    }

    fn take_over(
        &self,
        config: &Arc<Config>,
        diagnostics: Vec<Diagnostic>,
        sources: SourceMap,
        look: Look<'_>,
    ) -> Result<Reloaded, Refused> {
        let prepared = compile(config, diagnostics, sources, &self.ground, look)?;
        let plan = Arc::new(prepared.plan);
        let mut current = self.current();
        if current.stopping {
            return Err(Refused::Stopping);
        }
        if harden::wants_start(config) {
            tracing::warn!("`user` and `harden` are as they were: they change when doorman starts");
        }
        let wanted = bind::wanted(&plan);
        let moved = bind::handed_over(&current.plan, &plan);
        if !moved.is_empty() {
            return Err(Refused::Bind(moved));
        }
        let fresh: BTreeSet<_> = wanted.difference(&current.bound).cloned().collect();
        let closed = current.bound.difference(&wanted).cloned().collect();
        let (cores, backlog) = (self.cores.len(), plan.backlog());
        let sockets = bind::bind(&fresh, cores, backlog, &self.quic, &mut current.holds)
            .map_err(Refused::Bind)?;
        let doors = admin::Change::prepare(&plan.config, &self.admin.doors())?;
        let error_log = open_error_log(&plan.config)?;
        // The last steps that can fail; nothing but where lines go has changed before them.
        self.access_log
            .retarget(Target::of(&plan.config.global.access_log.value))
            .map_err(|error| Refused::System(format!("access log: {error}")))?;
        self.rule_log
            .retarget(Target::of_rules(&plan.config.global.waf_log.value))
            .map_err(|error| Refused::System(format!("waf log: {error}")))?;
        error::retarget(error_log);
        self.admin.follow(doors);
        let notices = self.overrides.follow(&plan);
        self.stores.follow(&plan, &self.ground, self.clock);
        probes::follow(&mut self.prober(), self.clock, Some(&current.plan), &plan);
        for (core, sockets) in self.cores.iter().zip(sockets) {
            // A core that is gone has panicked outside of any request; the others go on.
            let _ = core.commands.send(Command::Follow(Arc::clone(&plan), sockets));
        }
        self.keep(&plan.config);
        self.staple(&plan);
        current.generation += 1;
        current.loaded_at = self.clock.now().unix_seconds();
        current.hash = hash(&prepared.sources);
        current.sources = Arc::new(prepared.sources.clone());
        current.bound = wanted;
        current.plan = plan;
        Ok(Reloaded {
            generation: current.generation,
            opened: fresh.into_iter().collect(),
            closed,
            notices,
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
        self.rule_log.reopen();
        error::reopen();
    }

    /// The plan in force.
    #[must_use]
    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.current().plan)
    }

    /// The plan in force, and the texts that it was made from.
    #[must_use]
    pub(crate) fn in_force(&self) -> (Arc<Plan>, Arc<SourceMap>) {
        let current = self.current();
        (Arc::clone(&current.plan), Arc::clone(&current.sources))
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

    /// What all sockets for HTTP/3 share.
    #[must_use]
    pub(crate) fn quic(&self) -> &Quic {
        &self.quic
    }

    /// The access log.
    #[must_use]
    pub(crate) const fn access_log(&self) -> &Arc<AccessLog> {
        &self.access_log
    }

    /// The log of what rules matched.
    #[must_use]
    pub(crate) const fn rule_log(&self) -> &Arc<AccessLog> {
        &self.rule_log
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
        self.errands.end();
        self.stores.end(&self.plan());
        self.access_log.finish();
        self.rule_log.finish();
        self.discovery.end();
        self.admin.end();
        if let Some(keeper) = &*self.keeper() {
            keeper.end();
        }
        if let Some(stapler) = &*self.stapler() {
            stapler.end();
        }
        if let Some(prober) = self.prober().take() {
            prober.end();
        }
        for address in &self.current().bound {
            if let ListenAddress::Unix(path) = address {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// The keeper of automatic certificates, if there are any.
    pub(crate) fn keeper(&self) -> std::sync::MutexGuard<'_, Option<Keeper>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prober(&self) -> std::sync::MutexGuard<'_, Option<Prober>> {
        self.prober.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the keeper what is to be kept from now on.
    fn keep(&self, config: &Config) {
        let mut keeper = self.keeper();
        match &*keeper {
            Some(keeper) => keeper.follow(certificates::settings(config)),
            None => *keeper = certificates::start(config, &self.ground),
        }
    }

    /// Whoever asks about certificates over OCSP, if there is anything to ask.
    pub(crate) fn stapler(&self) -> std::sync::MutexGuard<'_, Option<Stapler>> {
        self.stapler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the stapler which certificates serve from now on.
    fn staple(&self, plan: &Plan) {
        let mut stapler = self.stapler();
        match &*stapler {
            Some(stapler) => stapler.follow(staples::sources(plan)),
            None => *stapler = staples::start(plan, &self.ground),
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
    /// Overrides of servers that were dropped, each in a line.
    pub notices: Vec<String>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// The texts they refer to, and all files that count.
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

/// A socket for one core.
struct Socket {
    address: ListenAddress,
    bound: Bound,
    /// The core's place among those that read datagrams, if it is a socket for them.
    lane: Option<Lane>,
    /// Kept until it is closed.
    hold: Hold,
}

/// Sockets for one core.
type Sockets = Vec<Socket>;
