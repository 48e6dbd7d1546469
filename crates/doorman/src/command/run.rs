//! `doorman run`: the proxy in the foreground; and the way in which every command serves.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use doorman_config::SourceMap;
use doorman_control::{Debounce, FileWatch, Looked};
use doorman_net::{Alarm, Clock};
use doorman_proxy::Plan;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::screen::{self, Screen};
use super::{FILE, refuse};
use crate::engine::{self, Engine, Origin, Refused};
use crate::harden;

const EXAMPLES: &str = "\
Examples:
  doorman run
  doorman run -c /etc/doorman/doorman.conf
  doorman run --watch                  reload by itself when a file changes
";

/// The local authority's root certificate, in the data folder.
pub const LOCAL_ROOT: &str = "ca/ca/root.pem";

/// Run the proxy in the foreground
///
/// TERM lets requests end and stops, INT stops at once, HUP reads the configuration again, USR1
/// opens log files again.
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Run {
    /// The configuration
    #[arg(short, long, default_value = FILE)]
    config: PathBuf,
    /// Read the configuration again when it changes, or a file that it includes or names
    #[arg(long)]
    watch: bool,
}

impl Run {
    pub fn run(self, screen: &Screen) -> ExitCode {
        crate::log::error::start();
        let mut serving = Serving::new(Origin::File(self.config));
        if self.watch {
            serving.watching = Watching::Files;
        }
        serve(serving, screen)
    }
}

/// Whether files are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watching {
    Nothing,
    Files,
}

/// What is to be served, and what is said about it.
pub struct Serving {
    origin: Origin,
    watching: Watching,
    greet: Box<dyn FnOnce(&Engine)>,
    on_taken: Option<&'static str>,
    hardens: bool,
}

impl Serving {
    /// A configuration that says by itself that it is ready.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            watching: Watching::Nothing,
            greet: Box::new(|engine| eprintln!("doorman is ready: {}", listening(&engine.plan()))),
            on_taken: None,
            hardens: true,
        }
    }

    /// Says this instead when it runs.
    pub fn greet(mut self, greet: impl FnOnce(&Engine) + 'static) -> Self {
        self.greet = Box::new(greet);
        self
    }

    /// Gives nothing up: there is more to do than to serve.
    pub fn whole(mut self) -> Self {
        self.hardens = false;
        self
    }

    /// Says this when a port is taken.
    pub fn on_taken(mut self, help: &'static str) -> Self {
        self.on_taken = Some(help);
        self
    }
}

/// The addresses of a plan in one line.
fn listening(plan: &Plan) -> String {
    let one = |listener: &doorman_proxy::plan::PlanListener| {
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        format!("{scheme} on {}", listener.name)
    };
    let relays = plan.relays.iter().map(|relay| match relay.name.strip_prefix("udp:") {
        Some(address) => format!("udp relay on {address}"),
        None => format!("tcp relay on {}", relay.name),
    });
    plan.listeners.iter().map(one).chain(relays).collect::<Vec<_>>().join(", ")
}

/// Starts a proxy and serves until a signal ends it.
pub fn serve(serving: Serving, screen: &Screen) -> ExitCode {
    let clock = Clock::system();
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return screen::failed(&format!("no runtime: {error}")),
    };
    // Before anything runs: a signal that comes while it starts must not be lost.
    let signals = {
        let _inside = runtime.enter();
        Signals::new()
    };
    let mut signals = match signals {
        Ok(signals) => signals,
        Err(error) => return screen::failed(&format!("cannot listen for signals: {error}")),
    };
    let looked = RefCell::default();
    let look = looking(serving.watching, &looked);
    let read = engine::read(&serving.origin, &look);
    let started = read.and_then(|(config, diagnostics, sources)| {
        if serving.hardens {
            harden::enter(&config, &sources)?;
        }
        let ground = engine::ground(&config, clock)?;
        let discovery = engine::discover(&config, &ground)?;
        let prepared = engine::compile(&config, diagnostics, sources, &ground, &look)?;
        screen.tell(&prepared.warnings, &prepared.sources);
        let sources = prepared.sources.clone();
        Engine::start(ground, discovery, prepared, serving.origin.clone())
            .map(|engine| (engine, sources))
    });
    let (engine, sources) = match started {
        Ok(started) => started,
        Err(refused) => {
            let code = refuse(&refused, screen);
            if let (Refused::Bind(_), Some(help)) = (&refused, serving.on_taken) {
                eprintln!("  help: {help}");
            }
            return code;
        }
    };
    let watch = match serving.watching {
        Watching::Nothing => Watch::nothing(clock),
        Watching::Files => match Watch::files(clock, &sources, &looked.borrow(), &engine.plan()) {
            Ok(watch) => watch,
            Err(error) => {
                engine.stop();
                return screen::failed(&format!("cannot watch files: {error}"));
            }
        },
    };
    // Nothing depends on it: without a watch a reload takes certificates over.
    let mut materials = match Watch::materials(clock, &engine.plan()) {
        Ok(watch) => watch,
        Err(error) => {
            tracing::warn!("files of TLS and of guards are not watched: {error}");
            Watch::nothing(clock)
        }
    };
    harden::tell();
    (serving.greet)(&engine);
    runtime.block_on(heed(&engine, &mut signals, watch, &mut materials, screen));
    ExitCode::SUCCESS
}

/// Takes as many descriptors as the system lets us have: two for each request that is under way. What systems give by
/// themselves, 1024, is for programs that could not handle more.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// As many as the kernel gives a process (fs.nr_open) where nobody has changed it.
    const MOST: u64 = 1 << 20;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(MOST).min(MOST);
    if current.is_some_and(|current| current < wanted) {
        // Who may not have more goes on with what there is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

/// Looks at files before they are read, if they are to be watched.
fn looking(watching: Watching, looked: &RefCell<Looked>) -> impl Fn(&Path) {
    move |file| {
        if watching == Watching::Files {
            looked.borrow_mut().at(file);
        }
    }
}

struct Signals {
    hup: Signal,
    usr1: Signal,
    term: Signal,
    int: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hup: signal(SignalKind::hangup())?,
            usr1: signal(SignalKind::user_defined1())?,
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }
}

/// How often disks of stores are asked what they have to say.
const DISKS: Duration = Duration::from_secs(5);

/// Follows signals: HUP reloads, USR1 reopens logs, TERM drains, INT or a second TERM ends now.
async fn heed(
    engine: &Arc<Engine>,
    signals: &mut Signals,
    mut watch: Watch,
    materials: &mut Watch,
    screen: &Screen,
) {
    let mut found = Found::new(engine.ground().clock);
    let mut disks = Alarm::new(engine.ground().clock);
    loop {
        disks.set_if_clear(DISKS);
        tokio::select! {
            biased;
            _ = signals.int.recv() => return stop(engine, End::Now, signals).await,
            _ = signals.term.recv() => return stop(engine, End::Drained, signals).await,
            _ = signals.hup.recv() => reload(engine, &mut watch, screen),
            _ = signals.usr1.recv() => engine.reopen_logs(),
            () = watch.settled() => reload(engine, &mut watch, screen),
            () = found.settled(engine) => engine.take_found(),
            () = engine.overrides().due() => engine.end_overrides(),
            () = disks.wait() => engine.tell_of_stores(),
            () = engine.reloaded() => materials.follow_materials(&engine.plan()),
            () = materials.settled() => {
                // A link among them may lead elsewhere now; then there is one more look.
                if engine.renew() {
                    materials.follow_materials(&engine.plan());
                }
            }
        }
    }
}

/// Servers that have come or gone, and when no more do for a moment.
struct Found {
    clock: Clock,
    debounce: Debounce,
}

impl Found {
    fn new(clock: Clock) -> Self {
        Self { clock, debounce: Debounce::default() }
    }

    async fn settled(&mut self, engine: &Engine) {
        loop {
            let mut alarm = Alarm::new(self.clock);
            if let Some(due) = self.debounce.due() {
                alarm.set(due);
            }
            tokio::select! {
                biased;
                () = engine.found() => self.debounce.touch(self.clock.instant()),
                () = alarm.wait() => {
                    self.debounce.settle();
                    return;
                }
            }
        }
    }
}

/// How a proxy ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Drained,
    Now,
}

async fn stop(engine: &Arc<Engine>, end: End, signals: &mut Signals) {
    let draining = Arc::clone(engine);
    let mut done = tokio::task::spawn_blocking(move || match end {
        End::Drained => draining.drain(),
        End::Now => draining.stop(),
    });
    loop {
        tokio::select! {
            biased;
            _ = &mut done => return,
            _ = signals.term.recv() => engine.hurry(),
            _ = signals.int.recv() => engine.hurry(),
        }
    }
}

fn reload(engine: &Engine, watch: &mut Watch, screen: &Screen) {
    let looked = RefCell::default();
    match engine.reload(&looking(watch.watching(), &looked)) {
        Ok(done) => {
            screen.tell(&done.warnings, &done.sources);
            watch.follow(&done.sources, &looked.borrow(), &engine.plan());
            tracing::info!("configuration {} is in force", done.generation);
        }
        Err(refused) => {
            refuse(&refused, screen);
            // Files that a faulty configuration names are where its fault will be mended.
            if let Refused::Config(_, sources) = &refused {
                watch.follow_all(sources, &looked.borrow());
            }
            tracing::error!("the configuration was not reloaded; the old one stays in force");
        }
    }
}

/// The watch over files, and when what changed has settled.
struct Watch {
    clock: Clock,
    files: Option<FileWatch>,
    changed: Arc<Notify>,
    debounce: Debounce,
}

impl Watch {
    fn nothing(clock: Clock) -> Self {
        Self { clock, files: None, changed: Arc::default(), debounce: Debounce::default() }
    }

    const fn watching(&self) -> Watching {
        if self.files.is_some() { Watching::Files } else { Watching::Nothing }
    }

    fn files(
        clock: Clock,
        sources: &SourceMap,
        looked: &Looked,
        plan: &Plan,
    ) -> Result<Self, String> {
        let mut watch = Self::nothing(clock);
        let changed = Arc::clone(&watch.changed);
        watch.files = Some(FileWatch::new(move || changed.notify_one())?);
        watch.follow(sources, looked, plan);
        Ok(watch)
    }

    /// A watch over what TLS is made of: it is taken over without a reload.
    fn materials(clock: Clock, plan: &Plan) -> Result<Self, String> {
        let mut watch = Self::nothing(clock);
        let changed = Arc::clone(&watch.changed);
        watch.files = Some(FileWatch::new(move || changed.notify_one())?);
        watch.follow_materials(plan);
        Ok(watch)
    }

    /// Watches the files of TLS and of guards that a plan has. A link that leads elsewhere now is followed there.
    /// What has changed since the plan was made is found by one more look at all of them.
    fn follow_materials(&mut self, plan: &Plan) {
        let materials = crate::files::materials(&plan.config);
        if self.files.is_some() && !materials.is_empty() {
            self.debounce.touch(self.clock.instant());
        }
        self.follow_these(materials.into_iter(), &Looked::default());
    }

    /// Watches what a plan was made from and what was looked at for it, but for what is taken over
    /// without a reload.
    fn follow(&mut self, sources: &SourceMap, looked: &Looked, plan: &Plan) {
        let materials: HashSet<PathBuf> =
            crate::files::materials(&plan.config).into_iter().collect();
        let paths = sources.paths().map(PathBuf::from);
        self.follow_these(paths.filter(|path| !materials.contains(path)), looked);
    }

    /// Watches all that a plan would be made from, and what was looked at for it.
    fn follow_all(&mut self, sources: &SourceMap, looked: &Looked) {
        self.follow_these(sources.paths().map(PathBuf::from), looked);
    }

    fn follow_these(&mut self, paths: impl Iterator<Item = PathBuf>, looked: &Looked) {
        let Some(files) = &mut self.files else { return };
        for fault in files.follow(paths, looked) {
            tracing::warn!("cannot watch: {fault}");
        }
    }

    /// Waits until something has changed and nothing has changed for a moment.
    async fn settled(&mut self) {
        loop {
            let mut alarm = Alarm::new(self.clock);
            if let Some(due) = self.debounce.due() {
                alarm.set(due);
            }
            tokio::select! {
                biased;
                () = self.changed.notified() => self.debounce.touch(self.clock.instant()),
                () = alarm.wait() => {
                    self.debounce.settle();
                    return;
                }
            }
        }
    }
}
