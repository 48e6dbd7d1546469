//! Servers that come and go by themselves: the addresses of a name in DNS, the SRV records of a service, a file.
//!
//! All looking is done by one thread of its own, never by a core that serves requests. It hands over lists and wakes
//! whoever makes plans of them. What is decided (how long an answer counts, what is kept when there is none, what is
//! worth a line in the log) is decided in [`ledger`] from arguments.

mod dns;
pub mod file;
pub mod ledger;
pub mod list;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use doorman_net::{Alarm, Clock, within_deadline};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{FileWatch, Looked};
use dns::Resolver;
use ledger::{Ledger, Pace};
use list::{Answer, Endpoint, Place, Trouble};

/// How long one look may take, with all its questions.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// Which addresses of a name count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// All.
    Any,
    /// Those of IPv4.
    Ipv4,
    /// Those of IPv6.
    Ipv6,
}

/// Where servers are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The addresses of a name, each with this port.
    Dns(String, u16),
    /// The SRV records of a name.
    Srv(String),
    /// A file.
    File(PathBuf),
}

/// A source that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub source: Source,
    /// Which addresses of a name count.
    pub family: Family,
    /// How often, and how long its list counts.
    pub pace: Pace,
    /// Servers that are taken of its list.
    pub most: usize,
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// DNS servers to ask; none: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// Sources, by the name under which their lists are found.
    pub wanted: BTreeMap<String, Wanted>,
}

/// How it stands with a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// Its name.
    pub key: String,
    /// Servers that it has given; `None`: none ever.
    pub count: Option<usize>,
    /// Why the last look failed, if it did.
    pub trouble: Option<String>,
    /// Looks that failed in a row.
    pub failures: u32,
    /// Looks that went well, and looks that failed, since it is looked at.
    pub looks: (u64, u64),
    /// The last look that went well, unix seconds.
    pub good_at: Option<u64>,
}

#[derive(Default)]
struct Known {
    ledger: Ledger,
    looks: (u64, u64),
    good_at: Option<u64>,
    /// Whether its first look is over, however it ended.
    is_looked: bool,
}

#[derive(Default)]
struct Book {
    known: BTreeMap<String, Known>,
}

struct Shared {
    clock: Clock,
    book: Mutex<Book>,
    /// Told whenever a look is over.
    looked: Condvar,
    changed: Notify,
}

enum Command {
    Follow(Settings),
    End,
}

/// The thread that looks.
pub struct Discovery {
    shared: Arc<Shared>,
    commands: UnboundedSender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Discovery {
    /// Starts the thread; it looks at nothing yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(clock: Clock) -> std::io::Result<Self> {
        let (commands, inbox) = unbounded_channel();
        let shared = Arc::new(Shared {
            clock,
            book: Mutex::default(),
            looked: Condvar::new(),
            changed: Notify::new(),
        });
        let own = Arc::clone(&shared);
        let body = move || match tokio::runtime::Builder::new_current_thread().enable_all().build()
        {
            Ok(runtime) => {
                runtime.block_on(run(own, inbox));
                runtime.shutdown_timeout(Duration::ZERO);
            }
            Err(error) => tracing::error!("servers cannot be discovered: {error}"),
        };
        let thread = std::thread::Builder::new().name("discovery".to_owned()).spawn(body)?;
        Ok(Self { shared, commands, thread: Mutex::new(Some(thread)) })
    }

    /// Looks at these from now on. What was looked at already keeps its list; of what is new the first look is waited
    /// for, so that whoever makes a plan next finds servers, but for no longer than `patience`: an unresolvable name
    /// stops nothing.
    pub fn follow(&self, settings: Settings, patience: Duration) {
        let mut book = lock(&self.shared.book);
        book.known.retain(|key, _| settings.wanted.contains_key(key));
        for key in settings.wanted.keys() {
            book.known.entry(key.clone()).or_default();
        }
        if self.commands.send(Command::Follow(settings)).is_err() {
            return;
        }
        let is_waiting = |book: &mut Book| book.known.values().any(|known| !known.is_looked);
        let waited = self.shared.looked.wait_timeout_while(book, patience, is_waiting);
        drop(waited);
    }

    /// The lists, by their sources' names; a source that has never answered has none.
    #[must_use]
    pub fn found(&self) -> HashMap<String, Arc<[Endpoint]>> {
        let book = lock(&self.shared.book);
        let lists = book
            .known
            .iter()
            .filter_map(|(key, known)| Some((key.clone(), Arc::clone(known.ledger.list()?))));
        lists.collect()
    }

    /// How it stands with each source.
    #[must_use]
    pub fn report(&self) -> Vec<SourceReport> {
        let book = lock(&self.shared.book);
        let reports = book.known.iter().map(|(key, known)| SourceReport {
            key: key.clone(),
            count: known.ledger.list().map(|list| list.len()),
            trouble: known.ledger.trouble().map(str::to_owned),
            failures: known.ledger.failures(),
            looks: known.looks,
            good_at: known.good_at,
        });
        reports.collect()
    }

    /// Waits until a list is another.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Ends the thread.
    pub fn end(&self) {
        let _ = self.commands.send(Command::End);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

/// Follows commands until the end; each source has a task.
async fn run(shared: Arc<Shared>, mut inbox: UnboundedReceiver<Command>) {
    let mut tasks: HashMap<String, (Wanted, tokio::task::JoinHandle<()>)> = HashMap::new();
    let mut resolvers = Arc::new(Vec::new());
    while let Some(Command::Follow(settings)) = inbox.recv().await {
        let is_same = *resolvers == settings.resolvers;
        resolvers = Arc::new(settings.resolvers);
        let mut kept = HashMap::new();
        for (key, wanted) in settings.wanted {
            let task = match tasks.remove(&key) {
                Some((before, task)) if is_same && before == wanted => task,
                before => {
                    if let Some((_, task)) = before {
                        task.abort();
                    }
                    let watching = Watching {
                        shared: Arc::clone(&shared),
                        resolvers: Arc::clone(&resolvers),
                        key: key.clone(),
                        wanted: wanted.clone(),
                    };
                    tokio::spawn(watching.run())
                }
            };
            kept.insert(key, (wanted, task));
        }
        for (_, task) in std::mem::replace(&mut tasks, kept).into_values() {
            task.abort();
        }
    }
}

struct Watching {
    shared: Arc<Shared>,
    resolvers: Arc<Vec<SocketAddr>>,
    key: String,
    wanted: Wanted,
}

impl Watching {
    async fn run(self) {
        let clock = self.shared.clock;
        let mut alarm = Alarm::new(clock);
        let mut resolver = None;
        let watched = Arc::new(Notify::new());
        let _watch = self.watch(&watched);
        loop {
            let outcome = self.look(&mut resolver).await;
            let Some(next) = self.take(outcome) else { return };
            if let Some(next) = next {
                alarm.set(clock.instant() + next);
            }
            tokio::select! {
                biased;
                () = watched.notified() => {}
                () = alarm.wait() => {}
            }
        }
    }

    /// A watch over the file, if it is one.
    fn watch(&self, watched: &Arc<Notify>) -> Option<FileWatch> {
        let Source::File(path) = &self.wanted.source else { return None };
        let told = Arc::clone(watched);
        let made = FileWatch::new(move || told.notify_one()).map(|mut watch| {
            let faults = watch.follow([path.clone()], &Looked::default());
            (watch, faults)
        });
        match made {
            Ok((watch, faults)) => {
                for fault in faults {
                    tracing::warn!("discover {}: cannot watch: {fault}", self.key);
                }
                Some(watch)
            }
            Err(error) => {
                tracing::warn!("discover {}: cannot watch: {error}", self.key);
                None
            }
        }
    }

    async fn look(&self, resolver: &mut Option<Resolver>) -> Result<Answer, Trouble> {
        if let Source::File(path) = &self.wanted.source {
            return read(path);
        }
        let looking = async {
            let asked = match resolver {
                Some(resolver) => resolver,
                None => resolver.insert(Resolver::new(&self.resolvers)?),
            };
            let known = |ip: IpAddr| self.is_known(ip.is_ipv4());
            match &self.wanted.source {
                Source::Dns(name, port) => asked.dns(name, *port, self.wanted.family, known).await,
                Source::Srv(name) => asked.srv(name, self.wanted.family, known).await,
                Source::File(path) => read(path),
            }
        };
        let outcome = within_deadline(self.shared.clock, LOOK_MAX, looking).await;
        let outcome = outcome.unwrap_or_else(|| Err(Trouble::new("no DNS server answers in time")));
        if outcome.is_err() {
            // The system's list of DNS servers may be another now.
            *resolver = None;
        }
        outcome
    }

    /// Whether servers of that family are in use.
    fn is_known(&self, is_ipv4: bool) -> bool {
        let book = lock(&self.shared.book);
        let list = book.known.get(&self.key).and_then(|known| known.ledger.list());
        list.is_some_and(|list| {
            list.iter().any(|one| matches!(one.place, Place::Ip(ip, _) if ip.is_ipv4() == is_ipv4))
        })
    }

    /// Takes an outcome down; when to look again. `None`: nobody wants the source any more.
    fn take(&self, outcome: Result<Answer, Trouble>) -> Option<Option<Duration>> {
        let now = self.shared.clock.now();
        let mut book = lock(&self.shared.book);
        let known = book.known.get_mut(&self.key)?;
        known.is_looked = true;
        match &outcome {
            Ok(_) => {
                known.looks.0 += 1;
                known.good_at = Some(now.unix_seconds());
            }
            Err(_) => known.looks.1 += 1,
        }
        let Wanted { most, pace, .. } = &self.wanted;
        let step = known.ledger.take(outcome, *most, pace, now.instant);
        drop(book);
        for news in &step.news {
            if news.is_bad() {
                tracing::warn!("discover {}: {news}", self.key);
            } else {
                tracing::info!("discover {}: {news}", self.key);
            }
        }
        self.shared.looked.notify_all();
        if step.is_changed {
            self.shared.changed.notify_one();
        }
        Some(step.next)
    }
}

fn read(path: &Path) -> Result<Answer, Trouble> {
    let fail = |why: String| Trouble::new(format!("{}: {why}", path.display()));
    let facts = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    if !facts.is_file() {
        return Err(fail("not a file".to_owned()));
    }
    if facts.len() > file::FILE_BYTES_MAX {
        return Err(fail(format!("larger than {} bytes", file::FILE_BYTES_MAX)));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    file::parse(&text).map(|endpoints| Answer { endpoints, ttl: None }).map_err(fail)
}
