//! The access log: lines gather in a buffer of the core, buffers go to one writer thread through
//! a bounded ring, and a line that finds the ring full is dropped and counted. A request never
//! waits for a log.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use doorman_config::{AccessFormat, AccessLog as Written, LogTarget};
use doorman_proxy::{Journal, Record};
use tokio::sync::Notify;

use super::line;

/// A buffer is handed over when it holds this much, bytes.
const BATCH: usize = 64 * 1024;
/// Buffers under way to the writer, over all cores: with [`BATCH`], 16 MiB at the most.
const RING: usize = 256;

/// Where lines go and how they look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Option<(AccessFormat, LogTarget)>);

impl Target {
    /// What a configuration says.
    #[must_use]
    pub fn of(written: &Written) -> Self {
        match written {
            Written::Off => Self(None),
            Written::On { format, to } => Self(Some((*format, to.clone()))),
        }
    }
}

enum Message {
    Lines(Vec<u8>),
    To(Output),
    Flush(SyncSender<()>),
    End,
}

enum Output {
    Nothing,
    Stdout,
    Stderr,
    File(File),
}

/// The access log of the process.
pub struct AccessLog {
    ring: SyncSender<Message>,
    target: Mutex<Target>,
    dropped: AtomicU64,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl AccessLog {
    /// Opens the target and starts the writer.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread be started.
    pub fn start(target: Target) -> io::Result<Arc<Self>> {
        let output = open(&target)?;
        let (ring, lines) = sync_channel(RING);
        let writer = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write(&lines, output))?;
        Ok(Arc::new(Self {
            ring,
            target: Mutex::new(target),
            dropped: AtomicU64::new(0),
            writer: Mutex::new(Some(writer)),
        }))
    }

    /// Writes to another target from now on.
    ///
    /// # Errors
    /// The file cannot be opened; the old target stays.
    pub fn retarget(&self, target: Target) -> io::Result<()> {
        let mut current = self.target();
        if *current != target {
            let output = open(&target)?;
            *current = target;
            let _ = self.ring.send(Message::To(output));
        }
        Ok(())
    }

    /// Opens the file again, after it was moved away.
    pub fn reopen(&self) {
        match open(&self.target()) {
            Ok(output) => {
                let _ = self.ring.send(Message::To(output));
            }
            Err(error) => tracing::error!("cannot reopen the access log: {error}"),
        }
    }

    /// Lines that were dropped because the writer was too slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is left and stops the writer.
    pub fn finish(&self) {
        let _ = self.ring.send(Message::End);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }

    /// Waits until everything handed over so far is written.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.ring.send(Message::Flush(done)).is_ok() {
            let _ = wait.recv();
        }
    }

    /// A core's end of the log.
    #[must_use]
    pub fn journal(self: &Arc<Self>) -> Rc<CoreJournal> {
        Rc::new(CoreJournal {
            log: Arc::clone(self),
            format: Cell::new(self.format()),
            lines: RefCell::new(Vec::new()),
            count: Cell::new(0),
            dirty: Notify::new(),
        })
    }

    fn format(&self) -> Option<AccessFormat> {
        self.target().0.as_ref().map(|(format, _)| *format)
    }

    fn target(&self) -> std::sync::MutexGuard<'_, Target> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One core's lines.
pub struct CoreJournal {
    log: Arc<AccessLog>,
    format: Cell<Option<AccessFormat>>,
    lines: RefCell<Vec<u8>>,
    count: Cell<u64>,
    dirty: Notify,
}

impl CoreJournal {
    /// Whether lines wait to be handed over.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.count.get() > 0
    }

    /// Waits for the first line after a [`CoreJournal::flush`].
    pub async fn dirty(&self) {
        self.dirty.notified().await;
    }

    /// The format may have changed with a reload.
    pub fn follow(&self) {
        self.flush();
        self.format.set(self.log.format());
    }

    /// Hands the lines over; if the ring is full they are dropped and counted.
    pub fn flush(&self) {
        let count = self.count.take();
        if count == 0 {
            return;
        }
        let lines = std::mem::replace(&mut *self.lines.borrow_mut(), Vec::with_capacity(BATCH));
        match self.log.ring.try_send(Message::Lines(lines)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.log.dropped.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

impl Journal for CoreJournal {
    fn write(&self, record: &Record) {
        let Some(format) = self.format.get() else { return };
        line::write(format, record, &mut self.lines.borrow_mut());
        let count = self.count.get();
        self.count.set(count + 1);
        if count == 0 {
            self.dirty.notify_one();
        }
        if self.lines.borrow().len() >= BATCH {
            self.flush();
        }
    }
}

fn open(target: &Target) -> io::Result<Output> {
    Ok(match &target.0 {
        None => Output::Nothing,
        Some((_, LogTarget::Stdout)) => Output::Stdout,
        Some((_, LogTarget::Stderr)) => Output::Stderr,
        Some((_, LogTarget::File(path))) => Output::File(append(path)?),
    })
}

fn append(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write(lines: &Receiver<Message>, mut output: Output) {
    let mut failing = false;
    while let Ok(message) = lines.recv() {
        match message {
            Message::Lines(lines) => {
                let written = match &mut output {
                    Output::Nothing => Ok(()),
                    Output::Stdout => io::stdout().lock().write_all(&lines),
                    Output::Stderr => io::stderr().lock().write_all(&lines),
                    Output::File(file) => file.write_all(&lines),
                };
                // Said once for each time it begins to fail: a full disk must not fill another.
                match written {
                    Ok(()) => failing = false,
                    Err(error) if !failing => {
                        failing = true;
                        tracing::error!("cannot write the access log: {error}");
                    }
                    Err(_) => {}
                }
            }
            Message::To(next) => output = next,
            Message::Flush(done) => {
                let _ = done.send(());
            }
            Message::End => return,
        }
    }
}
