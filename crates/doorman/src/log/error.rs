//! The log of the process itself. It begins on standard error before any configuration is read;
//! a configuration may then change its level and its target, and a reload may do so again.

use std::fmt;
use std::io;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, OnceLock, PoisonError};

use doorman_config::{ErrorLog, LogLevel, LogTarget};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

use super::sink::Sink;

struct State {
    target: LogTarget,
    sink: Option<Sink>,
}

static STATE: Mutex<State> = Mutex::new(State { target: LogTarget::Stderr, sink: None });
static FILTER: OnceLock<reload::Handle<Targets, tracing_subscriber::Registry>> = OnceLock::new();
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Starts it on standard error at level info, and makes it hear of panics.
pub(crate) fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let (filter, handle) = reload::Layer::new(filter(LevelFilter::INFO));
        let layer = tracing_subscriber::fmt::layer().event_format(Line).with_writer(Out);
        let subscriber = tracing_subscriber::registry().with(filter).with(layer);
        state().sink = Sink::open(&LogTarget::Stderr).ok();
        if tracing::subscriber::set_global_default(subscriber).is_ok() {
            let _ = FILTER.set(handle);
        }
        std::panic::set_hook(Box::new(note_panic));
    });
}

/// Panics since the start. Each is a fault of ours.
#[must_use]
pub(crate) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// A target that was opened and not yet written to, so that a reload can fail before it changes
/// anything.
pub(crate) struct Opened {
    level: LevelFilter,
    target: LogTarget,
    sink: Option<Sink>,
}

impl Opened {
    /// Opens what a configuration says.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(written: &ErrorLog) -> io::Result<Self> {
        let level = match written.level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        };
        let same = {
            let state = state();
            state.sink.is_some() && state.target == written.to
        };
        let sink = if same { None } else { Some(Sink::open(&written.to)?) };
        Ok(Self { level, target: written.to.clone(), sink })
    }
}

/// Writes there from now on.
pub(crate) fn retarget(opened: Opened) {
    if let Some(sink) = opened.sink {
        *state() = State { target: opened.target, sink: Some(sink) };
    }
    if let Some(handle) = FILTER.get() {
        let _ = handle.modify(|current| *current = filter(opened.level));
    }
}

/// What is told at a level. Libraries warn of what clients do (a packet that breaks QUIC's rules is a
/// warning to its library), and a client must not fill the log: they are heard from debug on.
fn filter(level: LevelFilter) -> Targets {
    let others = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
    Targets::new().with_target("doorman", level).with_default(others)
}

/// Opens a file again, after it was moved away. If that fails, the old one stays.
pub(crate) fn reopen() {
    let target = state().target.clone();
    match Sink::open(&target) {
        Ok(sink) => state().sink = Some(sink),
        Err(error) => tracing::error!("cannot reopen the error log: {error}"),
    }
}

fn state() -> std::sync::MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A panic ends the task that it happens in; the connection is closed and everything else goes on.
fn note_panic(info: &PanicHookInfo<'_>) {
    PANICS.fetch_add(1, Ordering::Relaxed);
    let place = info.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let what = info.payload_as_str().unwrap_or("no message");
    tracing::error!("panic in {thread} at {place}: {what}");
}

/// `TIME LEVEL message`, one line each.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut writer)?;
        let colour = state().sink.as_ref().is_some_and(|sink| sink.is_terminal);
        let level = *event.metadata().level();
        match (colour, paint(level)) {
            (true, Some(paint)) => write!(writer, " \x1b[{paint}m{level:>5}\x1b[0m ")?,
            _ => write!(writer, " {level:>5} ")?,
        }
        let mut message = String::new();
        ctx.field_format().format_fields(Writer::new(&mut message), event)?;
        for c in message.chars() {
            match c {
                '\t' => writer.write_char(' ')?,
                c if super::line::is_risky(c) => write!(writer, "\\u{{{:x}}}", u32::from(c))?,
                c => writer.write_char(c)?,
            }
        }
        writer.write_char('\n')
    }
}

const fn paint(level: Level) -> Option<&'static str> {
    match level {
        Level::ERROR => Some("31"),
        Level::WARN => Some("33"),
        Level::INFO => Some("32"),
        _ => None,
    }
}

/// Writes to the target of the moment. What cannot be written is given up: there is nobody left
/// to tell.
struct Out;

impl<'a> MakeWriter<'a> for Out {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl io::Write for Out {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(sink) = &mut state().sink {
            let _ = sink.write(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: &str = "DOORMAN_ERROR_LOG_ALONE";

    /// The log, its level and the panic hook are one for the process, and so is what they count:
    /// the test runs in a process of its own, where no other test panics or logs.
    #[test]
    fn levels_targets_panics_and_control_bytes() {
        if std::env::var_os(ALONE).is_some() {
            return the_log_of_a_process();
        }
        let (_, module) = module_path!().split_once("::").unwrap();
        let name = format!("{module}::levels_targets_panics_and_control_bytes");
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
    }

    fn the_log_of_a_process() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let path = folder.join("error.log");
        start();
        let to = LogTarget::File(path.clone());
        retarget(Opened::open(&ErrorLog { level: LogLevel::Warn, to }).unwrap());
        tracing::info!("below the level");
        tracing::warn!("two\nlines \x1b[31m and \u{2028}");
        let thread = std::thread::Builder::new().name("broken".to_owned());
        assert!(thread.spawn(|| panic!("ouch")).unwrap().join().is_err());
        // Failing assertions speak through the usual hook again.
        drop(std::panic::take_hook());
        assert_eq!(panics(), 1);
        std::fs::rename(&path, folder.join("old.log")).unwrap();
        reopen();
        tracing::error!("after the rotation");
        let read = |name: &str| {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            text.lines().map(|line| line[28..].to_owned()).collect::<Vec<_>>()
        };
        let lines = read("old.log");
        assert_eq!(lines.len(), 2, "{lines:#?}");
        // The library escapes the terminal's escape itself, in its own way.
        assert!(lines[0].starts_with(" WARN two\\u{a}lines \\x1b[31m and "), "{}", lines[0]);
        assert!(lines[0].ends_with(" and \\u{2028}"), "{}", lines[0]);
        assert!(lines[1].starts_with("ERROR panic in broken at "), "{}", lines[1]);
        assert!(lines[1].ends_with(": ouch"), "{}", lines[1]);
        assert_eq!(read("error.log"), ["ERROR after the rotation"]);
        let missing = LogTarget::File(folder.join("no/such/error.log"));
        assert!(Opened::open(&ErrorLog { level: LogLevel::Info, to: missing }).is_err());
    }
}
