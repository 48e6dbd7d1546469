//! The command line of the attacks.

use std::path::PathBuf;

use super::attacks::{ALL, Attack, Size};
use crate::{bench::options::Urgency, failure::Failure};

/// What to attack, how hard, and where to write what came of it.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) attacks: Vec<&'static Attack>,
    pub(super) doorman: PathBuf,
    /// Of each attack: calm before it, and the attack itself.
    pub(super) seconds: u64,
    /// Every attack has one in so many of its attackers.
    pub(super) divisor: u32,
    pub(super) bars: Bars,
    pub(super) urgency: Urgency,
    /// By a program that others wrote, too.
    pub(super) cross_check: bool,
    pub(super) json: Option<PathBuf>,
    pub(super) markdown: Option<PathBuf>,
}

/// What others may feel of an attack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bars {
    /// Times that the 99th percentile may be what it is in calm.
    pub(super) ratio: f64,
    /// Below this nobody asks for a ratio: on a machine that does anything else, too, a process waits so long
    /// for a processor now and then.
    pub(super) floor_us: u64,
    /// One request in so many may fail.
    pub(super) one_error_in: u64,
    /// What memory may grow by whatever happens: buffers of the log, tables that fill, and pages that the
    /// allocator keeps.
    pub(super) slack_kib: u64,
}

impl Bars {
    const FULL: Self =
        Self { ratio: 2.0, floor_us: 5_000, one_error_in: 1_000, slack_kib: 48 * 1024 };
    /// For a build without optimisation, on a machine that builds and tests beside it: what is looked for is an
    /// attack that stops others, not one that slows them.
    const SMALL: Self =
        Self { ratio: 2.0, floor_us: 500_000, one_error_in: 50, slack_kib: 12 * 1024 };
}

pub(super) const HELP: &str = "\
usage: cargo xtask abuse [OPTIONS]

Attacks doorman, and measures meanwhile how those fare who do nothing wrong, and what memory and open files it
takes. doorman has core 0 for itself; attackers, client and origin share core 1, attackers at the lowest priority.

  --attack A,B        only these, or none (all)
  --seconds N         length of the calm before an attack, and of the attack (10)
  --divide N          one in N of the attackers (1)
  --small             the few attacks that every change has to stand, at a tenth, for 4 s each, with bars that
                      a slow machine reaches
  --doorman FILE      attack this binary instead of building one
  --json FILE         write all figures
  --markdown FILE     write the table between the markers of a page
  --cross-check       at last by slowhttptest, too, which must be there
  --priority          before everything else on the machine (root; for a machine that is never quiet)
  --list              say which attacks there are

The exit code is 1 when a bar is missed.
";

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Wish {
    Help,
    List,
    Attack(Options),
}

pub(super) fn read(words: &[&str]) -> Result<Wish, Failure> {
    let mut options = Options {
        attacks: ALL.iter().collect(),
        doorman: PathBuf::new(),
        seconds: 10,
        divisor: 1,
        bars: Bars::FULL,
        urgency: Urgency::Equal,
        cross_check: false,
        json: None,
        markdown: None,
    };
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--help" | "-h" => return Ok(Wish::Help),
            "--list" => return Ok(Wish::List),
            "--cross-check" => options.cross_check = true,
            "--priority" => options.urgency = Urgency::First,
            "--small" => {
                options.attacks.retain(|attack| attack.size == Size::Small);
                (options.seconds, options.divisor, options.bars) = (4, 10, Bars::SMALL);
            }
            _ => {
                let value = words
                    .next()
                    .ok_or_else(|| Failure::new(format!("{word} is unknown or needs a value")))?;
                set(&mut options, word, value)?;
            }
        }
    }
    Ok(Wish::Attack(options))
}

fn set(options: &mut Options, word: &str, value: &str) -> Result<(), Failure> {
    match word {
        "--attack" if value == "none" => options.attacks.clear(),
        "--attack" => {
            options.attacks = value
                .split(',')
                .map(|name| {
                    Attack::named(name).ok_or_else(|| {
                        Failure::new(format!("no attack {name:?}; --list says which there are"))
                    })
                })
                .collect::<Result<_, _>>()?;
        }
        "--seconds" => options.seconds = at_least_one(word, value)?.into(),
        "--divide" => options.divisor = at_least_one(word, value)?,
        "--doorman" => options.doorman = value.into(),
        "--json" => options.json = Some(value.into()),
        "--markdown" => options.markdown = Some(value.into()),
        _ => return Err(Failure::new(format!("unknown option {word}"))),
    }
    Ok(())
}

fn at_least_one(word: &str, value: &str) -> Result<u32, Failure> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Failure::new(format!("{word} needs a number of at least 1, not {value:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_asked_for() {
        let words = ["--attack", "pings,idle", "--seconds", "3", "--doorman", "x"];
        let Ok(Wish::Attack(options)) = read(&words) else { panic!("no attack") };
        let names: Vec<&str> = options.attacks.iter().map(|attack| attack.name).collect();
        assert_eq!((names, options.seconds, options.divisor), (vec!["pings", "idle"], 3, 1));
        assert_eq!((options.bars, options.doorman.to_str()), (Bars::FULL, Some("x")));
        let Ok(Wish::Attack(options)) = read(&["--small", "--seconds", "2"]) else {
            panic!("none")
        };
        assert_eq!((options.bars, options.divisor, options.seconds), (Bars::SMALL, 10, 2));
        assert!(options.attacks.len() < ALL.len());
        assert!(matches!(read(&["--list"]), Ok(Wish::List)));
        assert!(matches!(read(&["--help"]), Ok(Wish::Help)));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for words in [
            &["--attack"][..],
            &["--attack", "nothing"],
            &["--seconds", "0"],
            &["--divide", "x"],
            &["--fast", "1"],
            &["idle"],
        ] {
            assert!(read(words).is_err(), "{words:?}");
        }
    }
}
