//! `cargo xtask bench`: what a request costs doorman, beside what it costs its peers, on the same machine
//! in the same run. The figure that counts is CPU time per request, because the load generator saturates
//! before a good proxy does; requests per second only show who starved whom.

use std::{
    fs::File,
    path::PathBuf,
    process::{Command, ExitCode},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    bench::{
        contender::{Choice, Contender, Ground, Lineup, Ports},
        measure::Reading,
        options::{After, Options, Urgency},
        report::{Outcome, Row, Table},
        scenario::{Load, Scenario},
    },
    failure::{During, Failure},
    guard::Guard,
    process::{Core, Running, own_part},
};

mod cache;
mod coded;
mod configuration;
pub(crate) mod contender;
pub(crate) mod gates;
mod load;
pub(crate) mod machine;
mod measure;
pub(crate) mod options;
pub(crate) mod page;
pub(crate) mod report;
pub(crate) mod scenario;
pub(crate) mod waf;

/// Descriptors for 10,000 clients and as many upstream connections, and HAProxy's wish for two each.
const OPEN_FILES_WANTED: u64 = 65_536;
/// Bytes of each of the FastCGI application's answers, as `fastcgi-1k` asks for them.
const RESPONDER_BYTES: u64 = 1024;
/// Rounds of the idle scenarios and of starts: memory varies less than time, and opening takes long.
const IDLE_ROUNDS_MAX: usize = 3;

pub(crate) fn run(words: &[&str]) -> Result<ExitCode, Failure> {
    let Some(options) = options::read(words)? else {
        print!("{}", options::HELP);
        return Ok(ExitCode::SUCCESS);
    };
    let group = options.group()?;
    let stage = Stage::set(options.lineup.clone(), &options.scenarios, options.urgency)?;
    let facts = machine::facts(words, &options.lineup)?;
    println!("{}", facts.join("\n"));
    let mut outcomes = Vec::new();
    for scenario in &options.scenarios {
        println!("\n{} - {}", scenario.name, scenario.title);
        let outcome = stage.play(scenario, &options);
        print!("{}", outcome.table().aligned());
        for line in outcome.remarks() {
            println!("{line}");
        }
        outcomes.push(outcome);
    }
    let verdicts: Vec<_> = outcomes.iter().flat_map(Outcome::verdicts).collect();
    let mut bars = Table::new(&["scenario", "bar", "limit", "doorman", ""]);
    for verdict in &verdicts {
        bars.add(verdict.cells());
    }
    if options.lineup.choices.contains(&Choice::Doorman) {
        print!("\n{}", bars.aligned());
    }
    if let Some(file) = &options.json {
        std::fs::write(file, page::json(&facts, &outcomes))
            .during(format!("writing {}", file.display()))?;
    }
    if let Some(file) = &options.markdown {
        page::write_markdown(file, group, &facts, &outcomes, &bars)?;
    }
    let whole =
        outcomes.iter().flat_map(|outcome| &outcome.rows).all(|row| row.failures.is_empty());
    let reached = options.after == After::Report || verdicts.iter().all(report::Verdict::is_met);
    Ok(if whole && reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that stands ready for the runs: folder, certificate, origin.
pub(crate) struct Stage {
    pub(crate) ground: Ground,
    // Held for their ends: dropping these stops them, and the last lets the next benchmark begin.
    _origin: Running,
    _responder: Running,
    _alone: File,
}

impl Stage {
    pub(crate) fn set(
        mut lineup: Lineup,
        scenarios: &[&'static Scenario],
        urgency: Urgency,
    ) -> Result<Self, Failure> {
        let missing = contender::missing_packages(&lineup, scenarios);
        if !missing.is_empty() {
            let line = format!("apt-get install --no-install-recommends {}", missing.join(" "));
            return Err(Failure::new(format!("programs are missing; this installs them: {line}")));
        }
        if lineup.doorman.as_os_str().is_empty() && lineup.choices.contains(&Choice::Doorman) {
            lineup.doorman = build_doorman()?;
        }
        let open_files = raise_open_files();
        let alone = wait_for_others()?;
        let guard = Guard::start()?;
        if urgency == Urgency::First {
            guard.come_first()?;
        }
        let (origin, origin_port) = start_backend(&["origin", "0"], &guard)?;
        let bytes = RESPONDER_BYTES.to_string();
        let (responder, responder_port) = start_backend(&["responder", "0", &bytes], &guard)?;
        let ports = Ports::choose()?;
        let ground = Ground { guard, lineup, origin_port, responder_port, ports, open_files };
        ground.make_certificates()?;
        Ok(Self { ground, _origin: origin, _responder: responder, _alone: alone })
    }

    /// All rounds of a scenario. Who goes first moves on with each round.
    fn play(&self, scenario: &'static Scenario, options: &Options) -> Outcome {
        let rounds = match scenario.load {
            Load::Idle | Load::Start => options.rounds.min(IDLE_ROUNDS_MAX),
            _ => options.rounds,
        };
        let contenders = self.ground.lineup.of(scenario);
        let row = |&who| Row { who, readings: vec![None; rounds], failures: Vec::new() };
        let mut rows: Vec<Row> = contenders.iter().map(row).collect();
        for round in 0..rounds {
            for turn in 0..rows.len() {
                let place = (round + turn) % rows.len();
                let row = &mut rows[place];
                match self.ground.measure(row.who, scenario, options.seconds) {
                    Ok(reading) => {
                        progress(round, row.who, &reading);
                        row.readings[round] = Some(reading);
                    }
                    Err(failure) => {
                        let failure = format!("round {}: {failure}", round + 1);
                        eprintln!("{} failed: {failure}", row.who.name());
                        row.failures.push(failure.trim_end().replace('\n', "; "));
                    }
                }
            }
        }
        Outcome { scenario, rows }
    }
}

fn progress(round: usize, who: Contender, reading: &Reading) {
    let (name, round) = (who.name(), round + 1);
    match reading {
        Reading::Load(sample) => eprintln!(
            "round {round}: {name:12} {:8.2} us/req, {:6.0} req/s, core {:3.0} %, noise {:3.0} %",
            reading.cost(),
            sample.per_second,
            sample.core_percent,
            sample.noise_percent,
        ),
        Reading::Idle(_) => {
            eprintln!("round {round}: {name:12} {:8.2} KiB/connection", reading.cost());
        }
        Reading::Begun(_) => eprintln!("round {round}: {name:12} {:8.0} ms", reading.cost()),
    }
}

/// Raises the limit for this process and all that it starts, as far as it may.
fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(OPEN_FILES_WANTED);
    let wanted = Rlimit { current: Some(OPEN_FILES_WANTED), maximum: Some(OPEN_FILES_WANTED) };
    if hard < OPEN_FILES_WANTED && setrlimit(Resource::Nofile, wanted).is_ok() {
        return OPEN_FILES_WANTED;
    }
    let reachable = hard.min(OPEN_FILES_WANTED);
    let most = Rlimit { current: Some(reachable), maximum: limit.maximum };
    if setrlimit(Resource::Nofile, most).is_ok() {
        return reachable;
    }
    limit.current.unwrap_or(reachable)
}

/// Two measurements at a time would measure each other.
fn wait_for_others() -> Result<File, Failure> {
    let path = std::env::temp_dir().join("doorman-bench.lock");
    let file = File::create(&path).during(format!("making {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("another benchmark runs on this machine; waiting for its end");
        file.lock().during(format!("locking {}", path.display()))?;
    }
    Ok(file)
}

pub(crate) fn build_doorman() -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "doorman"])
        .current_dir(root())
        .status()
        .during("starting cargo")?;
    if !status.success() {
        return Err(Failure::new("doorman does not build"));
    }
    // This program was built by the same workspace, and lies where the release binaries are.
    let mut file = std::env::current_exe()?;
    file.set_file_name("doorman");
    match file.parent().and_then(std::path::Path::file_name) {
        Some(folder) if folder == "release" => Ok(file),
        _ => Ok(root().join("target/release/doorman")),
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), PathBuf::from)
}

/// Starts one of this program's servers, which says the port that it chose.
pub(crate) fn start_backend(words: &[&str], guard: &Guard) -> Result<(Running, u16), Failure> {
    let mut running = Running::start(&mut own_part(words)?, Core::LOAD, guard)?;
    let port = first_line(&mut running)?
        .parse()
        .map_err(|_| Failure::new(format!("the {} did not say its port", words[0])))?;
    Ok((running, port))
}

fn first_line(running: &mut Running) -> Result<String, Failure> {
    use std::io::{BufRead, BufReader};

    let stdout = running.take_stdout().ok_or_else(|| Failure::new("no output to read"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok(line.trim().into())
}
