//! How much memory there is, and what is done when it runs out: before the system ends the process, and with it
//! everything that is under way (RXC-26).

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use doorman_proxy::Squeeze;
use doorman_proxy::plan::MemoryBound;

use super::{Command, Engine};

/// How often memory is looked at while there is a bound on it. A client that sends with a gigabit a second, and makes
/// us keep all of it, fills 30 MB in that time.
const LOOK: Duration = Duration::from_millis(250);
/// How often somebody looks whether there is a bound.
const LOOK_FOR_BOUND: Duration = Duration::from_secs(2);

/// Shares of the bound, in percent, from which each step is taken.
const STEPS: [(u64, Squeeze); 4] =
    [(100, Squeeze::All), (95, Squeeze::Low), (90, Squeeze::Connections), (85, Squeeze::Stores)];
/// How far below that a step is taken back.
const SLACK: u64 = 4;

/// How it stands with memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Bytes in use; of the process, or of its control group with all that is in it.
    pub used: u64,
    /// Bytes that may be.
    pub bound: u64,
    /// What is done for it.
    pub step: Squeeze,
}

impl Memory {
    /// In words, if there is anything to say.
    pub(crate) fn trouble(&self) -> Option<String> {
        let mebibytes = |bytes: u64| bytes >> 20;
        (self.step >= Squeeze::Stores).then(|| {
            format!(
                "memory is scarce, {} of {} MiB are in use: {}",
                mebibytes(self.used),
                mebibytes(self.bound),
                self.step.words()
            )
        })
    }
}

/// What was seen last; `None` while there is no bound.
#[derive(Default)]
pub(super) struct Seen(Mutex<Option<Memory>>);

impl Seen {
    pub(super) fn get(&self) -> Option<Memory> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, memory: Option<Memory>) -> Option<Memory> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut seen, memory)
    }
}

/// Looks at memory for as long as the engine is there. Without it nothing is done when memory runs out.
pub(super) fn start(engine: &Arc<Engine>) {
    let engine = Arc::downgrade(engine);
    let named = thread::Builder::new().name("memory".to_owned());
    if let Err(error) = named.spawn(move || watch(&engine)) {
        tracing::error!("memory is not watched: no thread: {error}");
    }
}

fn watch(engine: &Weak<Engine>) {
    loop {
        let Some(engine) = engine.upgrade() else { return };
        let is_bound = engine.look_at_memory();
        drop(engine);
        thread::park_timeout(if is_bound { LOOK } else { LOOK_FOR_BOUND });
    }
}

impl Engine {
    /// Takes the steps that memory calls for now. Whether there is a bound on it.
    fn look_at_memory(&self) -> bool {
        let plan = self.plan();
        let now = plan.memory.and_then(look);
        let before = self.memory.get().map_or(Squeeze::None, |memory| memory.step);
        let memory =
            now.map(|(used, bound)| Memory { used, bound, step: step(used, bound, before) });
        let step = memory.map_or(Squeeze::None, |memory| memory.step);
        self.memory.set(memory);
        // Each time: a plan that has come in meanwhile has given stores their own bounds.
        if step > Squeeze::None {
            plan.squeeze_stores(step);
        }
        if step == before {
            return plan.memory.is_some();
        }
        self.tell(|| Command::Squeeze(step));
        if step == Squeeze::None {
            plan.bound_stores();
        }
        match memory.and_then(|memory| memory.trouble()) {
            Some(trouble) if step > before => tracing::warn!("{trouble}"),
            Some(trouble) => tracing::info!("{trouble}"),
            None => tracing::info!("memory is no longer scarce"),
        }
        plan.memory.is_some()
    }
}

/// The step that so much calls for. It is kept for a while when memory comes back, so that it does not swing.
fn step(used: u64, bound: u64, before: Squeeze) -> Squeeze {
    let reaches = |percent: u64| u128::from(used) * 100 >= u128::from(bound) * u128::from(percent);
    let taken = |(percent, step): &(u64, Squeeze)| {
        reaches(*percent) || (*step <= before && reaches(percent - SLACK))
    };
    STEPS.iter().find(|one| taken(one)).map_or(Squeeze::None, |(_, step)| *step)
}

/// Bytes in use, and bytes that may be.
fn look(bound: MemoryBound) -> Option<(u64, u64)> {
    match bound {
        MemoryBound::Bytes(bytes) => Some((own()?, bytes)),
        MemoryBound::Share(share) => {
            let of = |all: u64| {
                u64::try_from(u128::from(all) * u128::from(share) / 10_000).unwrap_or(u64::MAX)
            };
            let machine = value(&read("/proc/meminfo")?, "MemTotal:")? * 1024;
            match group().filter(|(_, limit)| *limit < machine) {
                Some((used, limit)) => Some((used, of(limit))),
                None => Some((own()?, of(machine))),
            }
        }
    }
}

/// Memory of the process that is no file's: what is read of files can be read again.
fn own() -> Option<u64> {
    let text = read("/proc/self/status")?;
    let kibibytes = value(&text, "RssAnon:")? + value(&text, "RssShmem:").unwrap_or(0);
    Some(kibibytes * 1024)
}

/// Memory of the control group with the least of it, of those that the process is in, and what it may have. What files
/// have in memory does not count: the system takes it back before anybody is ended.
fn group() -> Option<(u64, u64)> {
    let groups = read("/proc/self/cgroup")?;
    let line = |prefix: &str| groups.lines().find_map(|line| line.split_once(prefix));
    let (root, path, [limit, used], [first, second]) = match line(":memory:") {
        Some((_, path)) => (
            "/sys/fs/cgroup/memory",
            path,
            ["memory.limit_in_bytes", "memory.usage_in_bytes"],
            ["total_inactive_file ", "total_active_file "],
        ),
        None => (
            "/sys/fs/cgroup",
            line("0::")?.1,
            ["memory.max", "memory.current"],
            ["inactive_file ", "active_file "],
        ),
    };
    let number = |folder: &str, file: &str| read(&format!("{folder}/{file}"))?.trim().parse().ok();
    let mut least: Option<(String, u64)> = None;
    for folder in ancestors(root, path) {
        let limit: Option<u64> = number(&folder, limit);
        if let Some(limit) = limit
            && least.as_ref().is_none_or(|(_, known)| limit < *known)
        {
            least = Some((folder, limit));
        }
    }
    let (folder, limit) = least?;
    let used: u64 = number(&folder, used)?;
    let facts = read(&format!("{folder}/memory.stat"))?;
    let files: u64 = [first, second].into_iter().filter_map(|name| value(&facts, name)).sum();
    Some((used.saturating_sub(files), limit))
}

/// The folder of a control group and those above it. In a container the path may be one of the world outside; then the
/// root is all that is there.
fn ancestors(root: &str, path: &str) -> Vec<String> {
    let mut folders = vec![root.to_owned()];
    for name in path.split('/').filter(|name| !name.is_empty() && *name != "..") {
        let above = folders.last().map_or(root, String::as_str);
        folders.push(format!("{above}/{name}"));
    }
    folders
}

/// The number behind a name at the beginning of a line.
fn value(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_taken_in_turn_and_kept_for_a_while() {
        let mut now = Squeeze::None;
        for (used, expect) in [
            (0, Squeeze::None),
            (849, Squeeze::None),
            (850, Squeeze::Stores),
            (820, Squeeze::Stores),
            (900, Squeeze::Connections),
            (970, Squeeze::Low),
            (1_200, Squeeze::All),
            (965, Squeeze::All),
            (955, Squeeze::Low),
            (905, Squeeze::Connections),
            (855, Squeeze::Stores),
            (815, Squeeze::Stores),
            (809, Squeeze::None),
            (840, Squeeze::None),
            (5_000, Squeeze::All),
            (0, Squeeze::None),
        ] {
            now = step(used, 1_000, now);
            assert_eq!(now, expect, "{used}");
        }
        assert_eq!(step(u64::MAX, u64::MAX, Squeeze::None), Squeeze::All);
    }

    #[test]
    fn the_system_is_read() {
        let used = own().expect("a system with /proc");
        assert!(used > 1 << 16, "{used}");
        let (_, bound) = look(MemoryBound::Share(5_000)).expect("a machine has memory");
        assert!(bound > 1 << 24, "{bound}");
        assert_eq!(look(MemoryBound::Bytes(7)).expect("the same").1, 7);
        let facts = "anon 1\ninactive_file 22\nactive_file 3\n";
        assert_eq!(value(facts, "active_file "), Some(3));
        assert_eq!(value("MemTotal:       16 kB\n", "MemTotal:"), Some(16));
        assert_eq!(value(facts, "nothing "), None);
        assert_eq!(ancestors("/r", "/a/../b"), ["/r", "/r/a", "/r/a/b"]);
        assert_eq!(ancestors("/r", "/"), ["/r"]);
    }

    #[test]
    fn trouble_is_told_in_a_line() {
        let memory = Memory { used: 95 << 20, bound: 100 << 20, step: Squeeze::Low };
        let expect =
            "memory is scarce, 95 of 100 MiB are in use: requests of low priority are refused";
        assert_eq!(memory.trouble().as_deref(), Some(expect));
        assert_eq!(Memory::default().trouble(), None);
    }
}
