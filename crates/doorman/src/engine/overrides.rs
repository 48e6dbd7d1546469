//! What operators change on servers while the proxy runs: kept on disk, over the file, and put into the states that all
//! cores share.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use doorman_control::overrides::{Book, Change, Object, Override, Refusal, Store, Use, Written};
use doorman_net::{Alarm, Clock};
use doorman_proxy::Plan;
use doorman_proxy::balance::Admin;
use doorman_proxy::plan::{PlanServer, PlanUpstream, is_discovered};
use tokio::sync::Notify;

/// The overrides of a process.
pub(crate) struct Overrides {
    clock: Clock,
    store: Store,
    kept: Mutex<Kept>,
    woken: Notify,
}

struct Kept {
    book: Book,
    /// Deadlines up to here have been acted upon, unix seconds.
    seen: u64,
    /// Overrides that the file has won over, and those that have ended by themselves.
    counts: Counts,
}

/// How overrides went, since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The file won.
    pub dropped: u64,
    /// Their time was over.
    pub expired: u64,
}

/// Why a change is not made.
#[derive(Debug)]
pub(crate) enum NotSet {
    /// There is nothing of that name.
    Unknown(String),
    /// It is not taken.
    Refused(Refusal),
    /// It cannot be kept.
    Disk(std::io::Error),
}

impl fmt::Display for NotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(target) => write!(f, "there is no upstream and no server `{target}`"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Disk(error) => write!(f, "it cannot be kept, so nothing was changed: {error}"),
        }
    }
}

/// A change that somebody wants.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// What is to be.
    pub change: Change,
    /// Who wants it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// For how many seconds; `None`: for good.
    pub life: Option<u64>,
    /// After how many seconds the last connections of a drained server are ended.
    pub within: Option<u64>,
}

impl Overrides {
    /// What is kept below a data folder.
    pub(super) fn load(data: &Path, clock: Clock) -> Self {
        let store = Store::new(data);
        let book = store.read().unwrap_or_else(|why| {
            tracing::error!("overrides of servers are lost: {why}");
            Book::default()
        });
        let kept = Kept { book, seen: clock.now().unix_seconds(), counts: Counts::default() };
        Self { clock, store, kept: Mutex::new(kept), woken: Notify::new() }
    }

    /// All of them, and how they went.
    pub(crate) fn report(&self) -> (Vec<Override>, Counts) {
        let kept = self.kept();
        (kept.book.all().to_vec(), kept.counts)
    }

    /// Puts what counts into the states of a plan that is about to come into force, after dropping what the file has
    /// won over; says what was dropped.
    pub(super) fn follow(&self, plan: &Plan) -> Vec<String> {
        let now = self.clock.now().unix_seconds();
        let mut kept = self.kept();
        let ended = kept.book.expire(now);
        tell_ended(&ended);
        kept.counts.expired += ended.len() as u64;
        let dropped = kept.book.reconcile(|one| written(plan, one));
        kept.counts.dropped += dropped.len() as u64;
        let notices: Vec<String> = dropped.iter().map(ToString::to_string).collect();
        for notice in &notices {
            tracing::warn!("{notice}");
        }
        if !ended.is_empty() || !dropped.is_empty() {
            self.keep(&kept.book);
        }
        self.put(plan, &kept.book, now);
        drop(kept);
        self.woken.notify_one();
        notices
    }

    /// Makes a change at a server, or at all servers of an upstream; says at which.
    pub(crate) fn set(
        &self,
        plan: &Plan,
        target: &str,
        wish: &Wish,
    ) -> Result<Vec<Object>, NotSet> {
        let servers = find(plan, target).ok_or_else(|| NotSet::Unknown(target.to_owned()))?;
        let now = self.clock.now().unix_seconds();
        let mut kept = self.kept();
        let mut next = kept.book.clone();
        let mut objects = Vec::new();
        for (upstream, server) in servers {
            let object = object(upstream, server);
            let one = Override {
                object: object.clone(),
                change: wish.change,
                replaced: said(server, wish.change),
                author: wish.author.clone(),
                reason: wish.reason.clone(),
                created: now,
                expires: wish.life.map(|life| now.saturating_add(life)),
                deadline: wish.within.map(|within| now.saturating_add(within)),
            };
            next.set(one).map_err(NotSet::Refused)?;
            objects.push(object);
        }
        self.store.write(&next).map_err(NotSet::Disk)?;
        kept.book = next;
        self.put(plan, &kept.book, now);
        drop(kept);
        for object in &objects {
            let Wish { change, author, reason, .. } = wish;
            let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            tracing::info!("{object}: {change} by {author}{why}");
        }
        self.woken.notify_one();
        Ok(objects)
    }

    /// Waits until something is due by itself.
    pub(crate) async fn due(&self) {
        loop {
            let now = self.clock.now();
            let next = {
                let kept = self.kept();
                kept.book.next(kept.seen)
            };
            let mut alarm = Alarm::new(self.clock);
            if let Some(next) = next {
                let left = next.saturating_sub(now.unix_seconds());
                if left == 0 {
                    return;
                }
                // The wall's clock may be set: it is read again every minute.
                let left = left.min(CLOCK_TRUSTED_SECONDS);
                alarm.set(now.instant + std::time::Duration::from_secs(left));
            }
            tokio::select! {
                biased;
                () = self.woken.notified() => {}
                () = alarm.wait() => {}
            }
        }
    }

    /// Does what is due: overrides end, and the servers are given whose last connections are to end.
    pub(super) fn tick(&self, plan: &Plan) -> Vec<Object> {
        let now = self.clock.now().unix_seconds();
        let mut kept = self.kept();
        let due = kept.book.due(kept.seen, now);
        kept.seen = kept.seen.max(now);
        let ended = kept.book.expire(now);
        tell_ended(&ended);
        kept.counts.expired += ended.len() as u64;
        if !ended.is_empty() {
            self.keep(&kept.book);
        }
        self.put(plan, &kept.book, now);
        due
    }

    /// Puts what counts into the states. A server whose deadline has passed takes nobody any more; one that comes back
    /// does so slowly, where its upstream says so.
    fn put(&self, plan: &Plan, book: &Book, now: u64) {
        for (upstream, server) in servers(plan) {
            let effect = book.of(&upstream.name, &server.name);
            let is_over = effect.deadline.is_some_and(|deadline| deadline <= now);
            let admin = effect.usage.map(|usage| match usage {
                Use::Drain if is_over => Admin::Down,
                Use::Ready => Admin::Ready,
                Use::Drain => Admin::Drain,
                Use::Down => Admin::Down,
            });
            let before = server.state.admin();
            server.state.set_admin(admin);
            if before != Admin::Ready && server.state.admin() == Admin::Ready {
                server.state.begin_slow_start(self.clock.instant());
            }
            server.state.set_weight(effect.weight);
        }
    }

    /// What has ended is put on disk at the next chance if not now: read back it would end again at once.
    fn keep(&self, book: &Book) {
        if let Err(error) = self.store.write(book) {
            tracing::error!("overrides of servers cannot be kept: {error}");
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long one reading of the wall's clock is believed.
const CLOCK_TRUSTED_SECONDS: u64 = 60;

fn tell_ended(ended: &[Override]) {
    for Override { object, change, replaced, .. } in ended {
        tracing::info!("{object}: the override `{change}` has ended, `{replaced}` counts again");
    }
}

/// Every server of a plan.
fn servers(plan: &Plan) -> impl Iterator<Item = (&PlanUpstream, &PlanServer)> {
    let servers = |upstream| -> _ {
        let upstream: &PlanUpstream = upstream;
        upstream.servers.iter().map(move |server| (upstream, server))
    };
    plan.upstreams.iter().flat_map(servers)
}

fn object(upstream: &PlanUpstream, server: &PlanServer) -> Object {
    Object { upstream: upstream.name.to_string(), server: server.name.to_string() }
}

/// `UPSTREAM` or `UPSTREAM/SERVER`. Names of servers may have slashes in them, and so may those of upstreams that a
/// bare address made.
fn find<'p>(plan: &'p Plan, target: &str) -> Option<Vec<(&'p PlanUpstream, &'p PlanServer)>> {
    let whole: Vec<_> = servers(plan).filter(|(upstream, _)| &*upstream.name == target).collect();
    if !whole.is_empty() {
        return Some(whole);
    }
    let is_meant = |(upstream, server): &(&PlanUpstream, &PlanServer)| {
        let rest = target.strip_prefix(&*upstream.name).and_then(|rest| rest.strip_prefix('/'));
        rest == Some(&*server.name)
    };
    servers(plan).find(is_meant).map(|one| vec![one])
}

/// What the file says of the property of a server that a change is about.
fn said(server: &PlanServer, about: Change) -> Change {
    match about {
        Change::Use(_) => Change::Use(match server.admin {
            Admin::Ready => Use::Ready,
            Admin::Drain => Use::Drain,
            Admin::Down => Use::Down,
        }),
        Change::Weight(_) => Change::Weight(server.weight),
    }
}

fn written(plan: &Plan, one: &Override) -> Written {
    let is_it = |(upstream, server): &(&PlanUpstream, &PlanServer)| {
        *upstream.name == *one.object.upstream && *server.name == *one.object.server
    };
    if let Some((_, server)) = servers(plan).find(is_it) {
        return Written::As(said(server, one.change));
    }
    let mut upstreams = plan.config.upstreams.iter();
    let is_away = upstreams
        .find(|upstream| upstream.name.value == one.object.upstream)
        .is_some_and(is_discovered);
    if is_away { Written::Away } else { Written::Gone }
}
