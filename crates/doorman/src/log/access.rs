//! The access log: lines gather in a buffer of the core, buffers go to one writer thread through
//! a bounded ring, and a line that finds the ring full is dropped and counted. A request never
//! waits for a log, and neither does a reload or a stop: what the writer is told goes beside the
//! ring, so that it may hang in a pipe that nobody reads without holding anybody up.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorman_config::{AccessFormat, AccessLog as Written, LogTarget, WafLog};
use doorman_proxy::plan::BreakerStep;
use doorman_proxy::{Journal, Record, RelayRecord, ServerPlace};
use tokio::sync::Notify;

use super::line::{Line, Look, Stamp};
use super::relay::RelayLine;
use super::rules;
use super::sink::Sink;

/// A buffer is handed over when it holds this much, bytes.
const BATCH: usize = 56 * 1024;
/// Room of a buffer, bytes: a batch and the line that fills it.
const BUFFER: usize = 64 * 1024;
/// Buffers under way to the writer, over all cores: with [`BUFFER`], 16 MiB at the most.
const RING: usize = 256;
/// How long a stop waits for the writer: a disk is done by then, a reader that hangs never is.
const FINISH_MAX: Duration = Duration::from_secs(3);

/// Where lines go and how they look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target(Option<(AccessFormat, LogTarget)>);

impl Target {
    /// What a configuration says.
    #[must_use]
    pub(crate) fn of(written: &Written) -> Self {
        match written {
            Written::Off => Self(None),
            Written::On { format, to } => Self(Some((*format, to.clone()))),
        }
    }

    /// What a configuration says of the log of rules.
    #[must_use]
    pub(crate) fn of_rules(written: &WafLog) -> Self {
        match written {
            WafLog::Off => Self(None),
            WafLog::On(to) => Self(Some((AccessFormat::Json, to.clone()))),
        }
    }
}

enum Message {
    /// Lines, and how many.
    Lines(Vec<u8>, u64),
    /// Only to wake the writer.
    Wake,
}

/// What the writer and those who steer it share.
struct Shared {
    next: Mutex<Option<Option<Sink>>>,
    ending: AtomicBool,
    dropped: AtomicU64,
}

/// The access log of the process, or the log of what rules matched: lines of requests that are over.
pub(crate) struct AccessLog {
    /// For people.
    name: &'static str,
    ring: SyncSender<Message>,
    state: Mutex<State>,
    shared: Arc<Shared>,
    done: Mutex<Receiver<()>>,
}

struct State {
    target: Target,
    look: Option<Look>,
}

impl AccessLog {
    /// Opens the target and starts the writer.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread be started.
    pub(crate) fn start(target: Target, name: &'static str) -> io::Result<Arc<Self>> {
        let sink = open(&target)?;
        let look = look(&target, sink.as_ref());
        let (ring, lines) = sync_channel(RING);
        let (finished, done) = sync_channel(1);
        let shared = Arc::new(Shared {
            next: Mutex::new(None),
            ending: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        });
        let own = Arc::clone(&shared);
        std::thread::Builder::new().name(name.replace(' ', "-")).spawn(move || {
            write(&lines, sink, &own, name);
            let _ = finished.send(());
        })?;
        let (state, done) = (Mutex::new(State { target, look }), Mutex::new(done));
        Ok(Arc::new(Self { name, ring, state, shared, done }))
    }

    /// Writes to another target from now on.
    ///
    /// # Errors
    /// The file cannot be opened; the old target stays.
    pub(crate) fn retarget(&self, target: Target) -> io::Result<()> {
        let mut state = self.state();
        if state.target != target {
            let sink = open(&target)?;
            state.look = look(&target, sink.as_ref());
            state.target = target;
            self.change(sink);
        }
        Ok(())
    }

    /// Opens the file again, after it was moved away. If that fails, the old one stays.
    pub(crate) fn reopen(&self) {
        match open(&self.state().target) {
            Ok(sink) => self.change(sink),
            Err(error) => tracing::error!("cannot reopen the {}: {error}", self.name),
        }
    }

    /// Lines that are lost: the writer was too slow, or could not write them.
    #[must_use]
    pub(crate) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is left and stops the writer. Gives up after three seconds.
    pub(crate) fn finish(&self) {
        self.shared.ending.store(true, Ordering::Release);
        let _ = self.ring.try_send(Message::Wake);
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.recv_timeout(FINISH_MAX).is_err() {
            tracing::warn!("the {} could not be written to its end", self.name);
        }
    }

    /// A core's end of the log.
    fn lines(self: &Arc<Self>) -> Lines {
        Lines {
            log: Arc::clone(self),
            look: Cell::new(self.state().look),
            lines: RefCell::new(Vec::new()),
            count: Cell::new(0),
        }
    }

    fn change(&self, sink: Option<Sink>) {
        *self.shared.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
        let _ = self.ring.try_send(Message::Wake);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look(target: &Target, sink: Option<&Sink>) -> Option<Look> {
    let (format, _) = target.0.as_ref()?;
    Some(match format {
        AccessFormat::Json => Look::Json,
        AccessFormat::Combined => Look::Combined,
        AccessFormat::Pretty if sink.is_some_and(|sink| sink.is_terminal) => Look::Colourful,
        AccessFormat::Pretty => Look::Pretty,
    })
}

fn open(target: &Target) -> io::Result<Option<Sink>> {
    target.0.as_ref().map(|(_, to)| Sink::open(to)).transpose()
}

/// One core's lines of one log.
struct Lines {
    log: Arc<AccessLog>,
    look: Cell<Option<Look>>,
    lines: RefCell<Vec<u8>>,
    count: Cell<u64>,
}

impl Lines {
    fn follow(&self) {
        self.flush();
        self.look.set(self.log.state().look);
    }

    fn flush(&self) {
        let count = self.count.take();
        if count == 0 {
            return;
        }
        let lines = std::mem::replace(&mut *self.lines.borrow_mut(), Vec::with_capacity(BUFFER));
        match self.log.ring.try_send(Message::Lines(lines, count)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.log.shared.dropped.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// Appends a line; says whether it is the first since the last flush.
    fn push(&self, write: impl FnOnce(Look, &mut Vec<u8>)) -> bool {
        let Some(look) = self.look.get() else { return false };
        let mut lines = self.lines.borrow_mut();
        write(look, &mut lines);
        let length = lines.len();
        drop(lines);
        let count = self.count.get();
        self.count.set(count + 1);
        if length >= BATCH {
            self.flush();
        }
        count == 0
    }
}

/// One core's end of the logs.
pub(crate) struct CoreJournal {
    access: Lines,
    rules: Lines,
    stamp: RefCell<Stamp>,
    dirty: Notify,
}

impl CoreJournal {
    /// Of the access log, and of the log of what rules matched.
    #[must_use]
    pub(crate) fn new(access: &Arc<AccessLog>, rules: &Arc<AccessLog>) -> Rc<Self> {
        Rc::new(Self {
            access: access.lines(),
            rules: rules.lines(),
            stamp: RefCell::default(),
            dirty: Notify::new(),
        })
    }

    /// Whether lines wait to be handed over.
    #[must_use]
    pub(crate) fn is_dirty(&self) -> bool {
        self.access.count.get() > 0 || self.rules.count.get() > 0
    }

    /// Waits for the first line after a [`CoreJournal::flush`].
    pub(crate) async fn dirty(&self) {
        self.dirty.notified().await;
    }

    /// The format may have changed with a reload.
    pub(crate) fn follow(&self) {
        self.access.follow();
        self.rules.follow();
    }

    /// Hands the lines over; if the ring is full they are dropped and counted.
    pub(crate) fn flush(&self) {
        self.access.flush();
        self.rules.flush();
    }

    fn push(&self, write: impl FnOnce(Look, &mut Vec<u8>)) {
        if self.access.push(write) {
            self.dirty.notify_one();
        }
    }
}

impl Journal for CoreJournal {
    fn write(&self, record: &Record) {
        self.push(|look, lines| {
            Line::of(record).write(look, &mut self.stamp.borrow_mut(), lines);
        });
        if let Some(event) =
            record.inspected.as_ref().and_then(|inspected| inspected.event.as_ref())
        {
            for finding in &event.findings {
                if self.rules.push(|_, lines| rules::line(event, finding, lines)) {
                    self.dirty.notify_one();
                }
            }
        }
    }

    fn relayed(&self, record: &RelayRecord) {
        self.push(|look, lines| RelayLine::of(record).write(look, lines));
    }

    fn breaker(&self, upstream: &str, step: BreakerStep) {
        match step {
            BreakerStep::Stays => {}
            BreakerStep::Opened { failed, tries } => {
                tracing::warn!("breaker of {upstream} opened: {failed} of {tries} tries failed");
            }
            BreakerStep::Reopened => {
                tracing::warn!("breaker of {upstream} opened again: a trial failed");
            }
            BreakerStep::HalfOpened => {
                tracing::info!("breaker of {upstream} is half-open: it lets trials through");
            }
            BreakerStep::Closed => {
                tracing::info!("breaker of {upstream} closed: all trials went well");
            }
        }
    }

    /// One line of the error log for each line of the complaint; how much of it there may be was
    /// settled by who read it.
    fn complained(&self, server: &ServerPlace, request_id: &[u8], text: &[u8]) {
        let (text, id) = (String::from_utf8_lossy(text), String::from_utf8_lossy(request_id));
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let line = line.escape_debug();
            tracing::warn!("{} {} for request {id}: {line}", server.upstream, server.server);
        }
    }
}

/// The writer's thread.
fn write(lines: &Receiver<Message>, mut sink: Option<Sink>, shared: &Shared, name: &str) {
    let mut failing = false;
    loop {
        let message = if shared.ending.load(Ordering::Acquire) {
            match lines.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        } else {
            match lines.recv() {
                Ok(message) => message,
                Err(_) => return,
            }
        };
        let next = shared.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(next) = next {
            sink = next;
        }
        let Message::Lines(lines, count) = message else { continue };
        let written = sink.as_mut().map_or(Ok(()), |sink| sink.write(&lines));
        // Said once for each time it begins to fail: a full disk must not fill another.
        match written {
            Ok(()) => failing = false,
            Err((error, rest)) => {
                let lost = rest.iter().filter(|&&byte| byte == b'\n').count() as u64;
                shared.dropped.fetch_add(lost.min(count), Ordering::Relaxed);
                if !failing {
                    failing = true;
                    tracing::error!("cannot write the {name}: {error}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
