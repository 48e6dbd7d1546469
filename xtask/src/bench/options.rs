//! The command line of the benchmark.

use std::path::PathBuf;

use crate::{
    bench::{
        contender::{Choice, Lineup},
        scenario::{self, Group, Scenario},
    },
    failure::Failure,
};

/// What to run and where to write it.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) scenarios: Vec<&'static Scenario>,
    pub(crate) lineup: Lineup,
    pub(crate) json: Option<PathBuf>,
    pub(crate) markdown: Option<PathBuf>,
    pub(crate) after: After,
    pub(crate) urgency: Urgency,
}

/// How the measurement stands to everything else that runs on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    Equal,
    First,
}

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Whether all runs succeeded.
    Report,
    /// Also whether all bars were reached.
    Check,
}

pub(crate) const HELP: &str = "\
usage: cargo xtask bench [OPTIONS]

Measures doorman beside nginx, HAProxy, Varnish, Apache and a byte relay: one run, contenders alternating, the proxy
alone on core 0, origin and load generator on core 1.

  --rounds N          runs of each contender in each scenario (5; idle scenarios at most 3)
  --seconds N         length of the measured load of each run (3)
  --group NAME        main (HTTP/1.1 and HTTP/2 against Debian's peers), wires (HTTP/3, relay, FastCGI),
                      handshakes (full and resumed, TLS 1.3 and 1.2, against nginx), cache (hits, against
                      nginx and Varnish), compress (gzip and brotli, against nginx and Apache), waf (the
                      Core Rule Set, against nginx with ModSecurity) or guard (gates, against none and
                      nginx's limit); main
  --scenario A,B      only these (all of the group)
  --proxy A,B         of doorman, nginx, haproxy, varnish, apache, relay (all)
  --doorman FILE      measure this binary instead of building one
  --before FILE       run another build of doorman beside it, to see what a change did
  --nginx-h3 FILE     the nginx for HTTP/3, which Debian's does not speak; without it HTTP/3 has no peer
  --json FILE         write every run
  --markdown FILE     write the tables between the markers of a page
  --priority          before everything else on the machine (root; for a machine that is never quiet)
  --check             exit 1 when a bar is missed
";

/// `None` asks for the help text.
pub(crate) fn read(words: &[&str]) -> Result<Option<Options>, Failure> {
    let mut options = Options {
        rounds: 5,
        seconds: 3,
        scenarios: Group::Main.scenarios(),
        lineup: Lineup { choices: Choice::ALL.to_vec(), ..Lineup::default() },
        json: None,
        markdown: None,
        after: After::Report,
        urgency: Urgency::Equal,
    };
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--check" => options.after = After::Check,
            "--priority" => options.urgency = Urgency::First,
            "--help" | "-h" => return Ok(None),
            _ => {
                let value = words
                    .next()
                    .ok_or_else(|| Failure::new(format!("{word} is unknown or needs a value")))?;
                set(&mut options, word, value)?;
            }
        }
    }
    Ok(Some(options))
}

impl Options {
    /// Where the page has these figures; a page can't have those of two groups at once.
    pub(crate) fn group(&self) -> Result<Group, Failure> {
        let first = self.scenarios.first().map_or(Group::Main, |scenario| scenario.group);
        if self.markdown.is_some() && self.scenarios.iter().any(|one| one.group != first) {
            return Err(Failure::new("--markdown takes scenarios of one group"));
        }
        Ok(first)
    }
}

fn set(options: &mut Options, word: &str, value: &str) -> Result<(), Failure> {
    match word {
        "--rounds" => options.rounds = at_least_one(word, value)?,
        "--seconds" => options.seconds = at_least_one(word, value)? as u64,
        "--scenario" => {
            options.scenarios = each(value, |name| {
                scenario::named(name).ok_or_else(|| {
                    let names: Vec<&str> = scenario::ALL.iter().map(|one| one.name).collect();
                    Failure::new(format!("no scenario {name:?}; there are {}", names.join(", ")))
                })
            })?;
        }
        "--proxy" => {
            options.lineup.choices = each(value, |name| {
                Choice::named(name).ok_or_else(|| Failure::new(format!("no proxy {name:?}")))
            })?;
        }
        "--group" => {
            options.scenarios = Group::ALL
                .into_iter()
                .find(|group| group.name() == value)
                .ok_or_else(|| Failure::new(format!("no group {value:?}")))?
                .scenarios();
        }
        "--doorman" => options.lineup.doorman = value.into(),
        "--before" => options.lineup.before = Some(value.into()),
        "--nginx-h3" => options.lineup.nginx_h3 = Some(value.into()),
        "--json" => options.json = Some(value.into()),
        "--markdown" => options.markdown = Some(value.into()),
        _ => return Err(Failure::new(format!("unknown option {word}"))),
    }
    Ok(())
}

fn each<T>(list: &str, one: impl Fn(&str) -> Result<T, Failure>) -> Result<Vec<T>, Failure> {
    list.split(',').map(one).collect()
}

fn at_least_one(word: &str, value: &str) -> Result<usize, Failure> {
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
        let words = ["--rounds", "7", "--proxy", "nginx,relay", "--check", "--scenario", "h2-1k"];
        let options = read(&words).unwrap().unwrap();
        assert_eq!((options.rounds, options.seconds, options.after), (7, 3, After::Check));
        assert_eq!(options.lineup.choices, [Choice::Nginx, Choice::Relay]);
        assert_eq!(options.scenarios[0].name, "h2-1k");
        let options = read(&["--group", "wires"]).unwrap().unwrap();
        assert_eq!((options.group().unwrap(), options.scenarios[0].name), (Group::Wires, "h3-1k"));
        let mixed = ["--scenario", "h3-1k,h2-1k", "--markdown", "x"];
        assert!(read(&mixed).unwrap().unwrap().group().is_err());
        assert!(read(&["--help"]).unwrap().is_none());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for words in [
            &["--rounds"][..],
            &["--rounds", "0"],
            &["--rounds", "x"],
            &["--scenario", "h9"],
            &["--group", "all"],
            &["--proxy", "nginx,"],
            &["--fast", "1"],
            &["h2-1k"],
        ] {
            assert!(read(words).is_err(), "{words:?}");
        }
    }
}
