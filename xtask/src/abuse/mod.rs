//! `cargo xtask abuse`: what those who do nothing wrong feel of those who attack. For each attack doorman is
//! started anew; a client asks at a steady rate in calm and then under the attack, and memory and descriptors are
//! watched. What the client is answered, how fast, and what is left behind, is held against bars.

use std::{fs, process::ExitCode, time::Duration};

use crate::{
    bench::{self, Stage, machine, page, report::Table},
    failure::{During, Failure},
    process::{Core, Running, own_part, wait_until},
};

use self::{
    attacks::Attack,
    house::{House, Origins},
    options::{Options, Wish},
    outcome::{Feeling, Outcome, Toll},
    watch::{Taken, Watch},
};

pub(crate) mod attacks;
pub(crate) mod backend;
pub(crate) mod client;
mod house;
mod options;
mod outcome;
mod strange;
mod talk;
mod watch;

/// Requests a second of the client: some percent of what one core serves, so that calm is calm.
const PER_SECOND: u32 = 200;
/// How much longer than asked for a part may take to come to its end.
const GRACE: Duration = Duration::from_secs(20);
/// Time in which doorman lets go of what an attack held, once it is over.
const LEAVE: Duration = Duration::from_secs(15);
/// Descriptors that may be more than before: connections to the origin that are kept, and those of the admin
/// socket.
const FILES_SPARE: u64 = 24;
/// The markers between which a page has the table.
const MARKERS: [&str; 2] = ["<!-- abuse: begin -->", "<!-- abuse: end -->"];

pub(crate) fn run(words: &[&str]) -> Result<ExitCode, Failure> {
    let mut options = match options::read(words)? {
        Wish::Help => {
            print!("{}", options::HELP);
            return Ok(ExitCode::SUCCESS);
        }
        Wish::List => {
            print!("{}", list().aligned());
            return Ok(ExitCode::SUCCESS);
        }
        Wish::Attack(options) => options,
    };
    if options.cross_check && !strange::is_here() {
        return Err(Failure::new("slowhttptest is missing: apt-get install slowhttptest"));
    }
    if options.doorman.as_os_str().is_empty() {
        options.doorman = bench::build_doorman()?;
    }
    let lineup = bench::contender::Lineup::default();
    let stage = Stage::set(lineup, &[], options.urgency)?;
    let (_good, good) = bench::start_backend(&["backend", "0"], &stage.ground.guard)?;
    let (_prey, prey) = bench::start_backend(&["backend", "19"], &stage.ground.guard)?;
    let origins = Origins { good, prey };
    let facts = machine::basics("abuse", words)?;
    println!("{}\n", facts.join("\n"));
    let outcomes = play_all(&stage, origins, &options)?;
    let mut all = outcomes.iter().all(|outcome| outcome.faults.is_empty());
    let mut tables = Vec::new();
    if !outcomes.is_empty() {
        tables.push(outcome::table(&outcomes));
    }
    if options.cross_check {
        let (table, is_there) = strange::run(&stage, origins, &options)?;
        tables.push(table);
        all &= is_there;
    }
    for table in &tables {
        print!("\n{}", table.aligned());
    }
    if let Some(file) = &options.json {
        let text = outcome::json(&facts, &outcomes);
        fs::write(file, text).during(format!("writing {}", file.display()))?;
    }
    if let Some(file) = &options.markdown {
        page::write_between(file, MARKERS, &outcome::markdown(&facts, &outcomes, &tables))?;
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Each attack in its turn.
fn play_all(stage: &Stage, origins: Origins, options: &Options) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::new();
    for attack in &options.attacks {
        let manner = attack.manner.divided(options.divisor);
        let attack = Attack { manner, ..**attack };
        let outcome = play(stage, origins, options, attack).during(attack.name)?;
        eprintln!("{}: {}", attack.name, outcome.sentence());
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn list() -> Table {
    let mut table = Table::new(&["attack", "cases", "attackers", ""]);
    for attack in attacks::ALL {
        let [word, count] = attack.manner.words();
        let name = attack.name.to_owned();
        table.add(vec![name, attack.cases.into(), format!("{count} {word}"), attack.what.into()]);
    }
    table
}

/// One attack on a doorman of its own.
fn play(
    stage: &Stage,
    origins: Origins,
    options: &Options,
    attack: Attack,
) -> Result<Outcome, Failure> {
    let mut house = House::start(&stage.ground, origins, options, attack.open_files)?;
    let seconds = options.seconds;
    let [plain, tls] = [house.doors.plain, house.doors.tls].map(|door| door.port().to_string());
    let part =
        |words: &[&str]| Running::start(&mut own_part(words)?, Core::LOAD, &stage.ground.guard);
    let time = seconds.to_string();
    let rate = PER_SECOND.to_string();
    let good = ["good-client", &plain, &tls, &time, &rate];
    let limit = Duration::from_secs(seconds) + GRACE;
    // The first connections of a fresh process take longer than all that follow.
    part(&["good-client", &plain, &tls, "1", &rate])?.finish(limit)?;
    let calm = Feeling::read(&part(&good)?.finish(limit)?)?;
    let before = Taken::now(house.running.id());

    let watch = Watch::begin(house.running.id());
    let [manner, count] = attack.manner.words();
    let attacker = part(&["attacker", attack.name, &plain, &tls, &time, &manner, &count])?;
    let attacked = part(&good)?.finish(limit);
    let toll = attacker.finish(limit);
    let most = watch.end();
    let (attacked, toll) = (Feeling::read(&attacked?)?, Toll::read(&toll?)?);

    let mut after = Taken::default();
    wait_until(LEAVE, || {
        after = Taken::now(house.running.id());
        after.files <= before.files + FILES_SPARE
    });
    let has_ended = house.running.has_ended();
    let words = if has_ended { house.running.last_words() } else { String::new() };
    let mut outcome = Outcome {
        attack,
        seconds,
        calm,
        attacked,
        toll,
        before,
        most,
        after,
        bound_kib: 0,
        faults: Vec::new(),
    };
    outcome.judge(options.bars, FILES_SPARE);
    if has_ended {
        outcome.faults.push(format!("doorman ended: {words}"));
    }
    Ok(outcome)
}
