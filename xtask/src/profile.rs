//! `cargo xtask profile`: where a proxy's time goes under one load. System calls are counted in one run
//! and symbols sampled in another, because strace slows what it watches; both figures are shares and
//! counts for each request, never times.

use std::{
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    bench::{
        Stage,
        contender::{Choice, Contender, Ground, Lineup, program},
        options::{self, Urgency},
        scenario::{self, Load, Scenario},
    },
    failure::{During, Failure},
    process::{Core, Running, tree},
};

/// Length of each of the two loads.
const SECONDS: u64 = 3;
/// Samples a second; odd, so that it does not march in step with timers.
const FREQUENCY: &str = "1999";
/// Lines of the symbol table that are shown.
const SYMBOLS_MAX: usize = 40;
/// Time for a watcher to attach to the proxy, or to write what it saw.
const ATTACH: Duration = Duration::from_millis(500);
const SUM_UP: Duration = Duration::from_secs(30);

/// `words` are the proxy, if it is not doorman, and options of the benchmark that say which binaries run.
pub(crate) fn run(scenario: &str, words: &[&str]) -> Result<ExitCode, Failure> {
    let (proxy, words) = match words {
        [proxy, words @ ..] if !proxy.starts_with("--") => (*proxy, words),
        words => ("doorman", words),
    };
    let Some(options) = options::read(words)? else {
        print!("{}", options::HELP);
        return Ok(ExitCode::SUCCESS);
    };
    let scenario = scenario::named(scenario)
        .filter(|scenario| !matches!(scenario.load, Load::Idle | Load::Start))
        .ok_or_else(|| Failure::new(format!("no load {scenario:?} to profile")))?;
    let choice = Choice::named(proxy).ok_or_else(|| Failure::new(format!("no proxy {proxy:?}")))?;
    let lineup = Lineup { choices: vec![choice], ..options.lineup };
    for (file, package) in [("perf", "linux-perf"), ("strace", "strace")] {
        if !program(file).is_file() {
            let line = format!("apt-get install --no-install-recommends {package}");
            return Err(Failure::new(format!("{file} is missing; this installs it: {line}")));
        }
    }
    let stage = Stage::set(lineup, &[scenario], Urgency::Equal)?;
    for who in stage.ground.lineup.of(scenario) {
        let plain;
        let scenario = match who {
            Contender::Plain => {
                plain = stage.ground.as_plain(scenario)?;
                &plain
            }
            _ => scenario,
        };
        println!("{} under {}", who.name(), scenario.title);
        count_calls(&stage.ground, who, scenario)?;
        sample_symbols(&stage.ground, who, scenario)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn warm(ground: &Ground, who: Contender, scenario: &Scenario) -> Result<Running, Failure> {
    let mut proxy = ground.start(who, scenario)?;
    ground.await_right_answer(&mut proxy, scenario).during(who.name())?;
    ground.load(scenario, 1)?;
    Ok(proxy)
}

fn count_calls(ground: &Ground, who: Contender, scenario: &Scenario) -> Result<(), Failure> {
    let proxy = warm(ground, who, scenario)?;
    let file = ground.path("strace.out");
    let mut command = Command::new(program("strace"));
    command.args(["-f", "-c", "-o", &file]).stdin(Stdio::null()).stdout(Stdio::null());
    for stat in tree(proxy.id()) {
        command.args(["-p", &stat.id.to_string()]);
    }
    let mut strace = Running::start(&mut command, Core::LOAD, &ground.guard)?;
    if strace.wait(ATTACH) {
        return Err(Failure::new(format!("strace: {}", strace.last_words())));
    }
    let seen = ground.load(scenario, SECONDS)?;
    strace.signal(Signal::INT);
    strace.wait(SUM_UP);
    let text = std::fs::read_to_string(&file).during("reading strace's summary")?;
    println!("\nsystem calls per request, over {} requests", seen.requests);
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    for call in read_calls(&text) {
        let per_request = |count: u64| count as f64 / seen.requests.max(1) as f64;
        println!(
            "{:>9.4}  {}{}",
            per_request(call.count),
            call.name,
            if call.errors > 0 {
                format!(" ({:.4} failed)", per_request(call.errors))
            } else {
                String::new()
            }
        );
    }
    Ok(())
}

fn sample_symbols(ground: &Ground, who: Contender, scenario: &Scenario) -> Result<(), Failure> {
    let proxy = warm(ground, who, scenario)?;
    let file = ground.path("perf.data");
    let ids: Vec<String> = tree(proxy.id()).iter().map(|stat| stat.id.to_string()).collect();
    let mut command = Command::new(program("perf"));
    command.args(["record", "-q", "-e", "cpu-clock", "-F", FREQUENCY, "-o", &file]);
    command.args(["-p", &ids.join(",")]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut perf = Running::start(&mut command, Core::LOAD, &ground.guard)?;
    if perf.wait(ATTACH) {
        return Err(Failure::new(format!("perf: {}", perf.last_words())));
    }
    ground.load(scenario, SECONDS)?;
    perf.signal(Signal::INT);
    perf.wait(SUM_UP);
    let shares = report(&file, "dso")?;
    let symbols = report(&file, "symbol")?;
    print_samples("program or library", shares.iter());
    print_samples("symbol", symbols.iter());
    // The kernel's part is large and the same for all; what we can change is the rest.
    print_samples("symbol outside the kernel", symbols.iter().filter(|line| line.contains("[.]")));
    Ok(())
}

fn report(file: &str, sort: &str) -> Result<Vec<String>, Failure> {
    let output = Command::new(program("perf"))
        .args(["report", "-q", "--stdio", "--sort", sort, "-i", file])
        .stdin(Stdio::null())
        .output()
        .during("starting perf")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // Columns that have no value here are printed as dashes.
    let lines = text.lines().map(|line| line.trim_end_matches([' ', '-']).to_owned());
    Ok(lines.filter(|line| !line.is_empty()).collect())
}

fn print_samples<'a>(sorted_by: &str, lines: impl Iterator<Item = &'a String>) {
    println!("\nCPU samples by {sorted_by}");
    for line in lines.take(SYMBOLS_MAX) {
        println!("{line}");
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Calls {
    name: String,
    count: u64,
    errors: u64,
}

/// The table of `strace -c`: share, seconds, microseconds a call, calls, errors (may be empty), name.
fn read_calls(text: &str) -> Vec<Calls> {
    let mut all: Vec<Calls> = text
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let (count, errors, name) = match words[..] {
                [_, _, _, count, name] => (count, "0", name),
                [_, _, _, count, errors, name] => (count, errors, name),
                _ => return None,
            };
            let (count, errors) = (count.parse().ok()?, errors.parse().ok()?);
            (name != "total").then(|| Calls { name: name.into(), count, errors })
        })
        .collect();
    all.sort_by_key(|call| std::cmp::Reverse(call.count));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_table_of_calls() {
        let text = "% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.600000           6     10 recvfrom
 40.00    0.400000           4    200         7 sendto
------ ----------- ----------- --------- --------- ----------------
100.00    1.000000           5    210         7 total
";
        let calls = |name: &str, count, errors| Calls { name: name.into(), count, errors };
        assert_eq!(read_calls(text), [calls("sendto", 200, 7), calls("recvfrom", 10, 0)]);
        assert_eq!(read_calls(""), []);
    }
}
