//! What came of an attack, held against the bars, and how it is told.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    attacks::{Attack, Manner},
    options::Bars,
    watch::Taken,
};
use crate::{bench::report::Table, failure::Failure};

/// What the client felt who does nothing wrong, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Feeling {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) kept_p50: u64,
    pub(super) kept_p99: u64,
    pub(super) new_p50: u64,
    pub(super) new_p99: u64,
    /// How much later than planned the client itself was.
    pub(super) late_p99: u64,
    pub(super) reason: Option<String>,
}

impl Feeling {
    pub(super) fn read(line: &str) -> Result<Self, Failure> {
        let reason = line.trim().split_once(" reason=").map(|(_, reason)| reason.to_owned());
        let number = |name| number(line, name);
        Ok(Self {
            requests: number("requests")?,
            errors: number("errors")?,
            kept_p50: number("kept_p50")?,
            kept_p99: number("kept_p99")?,
            new_p50: number("new_p50")?,
            new_p99: number("new_p99")?,
            late_p99: number("late_p99")?,
            reason,
        })
    }
}

/// What attackers did, and what was done to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Toll {
    /// Connections that were tried.
    pub(super) begun: u64,
    /// Of those, how many doorman ended or did not take.
    pub(super) ended: u64,
    /// Requests, streams, frames or bytes.
    pub(super) done: u64,
    /// Connections that stood at once.
    pub(super) open: u64,
    /// Statuses and how often each came, as `404=12`.
    pub(super) statuses: String,
    pub(super) reason: Option<String>,
}

impl Toll {
    pub(super) fn read(line: &str) -> Result<Self, Failure> {
        let (figures, reason) = match line.trim().split_once(" reason=") {
            Some((figures, reason)) => (figures, Some(reason.to_owned())),
            None => (line.trim(), None),
        };
        let statuses =
            figures.split(' ').filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        Ok(Self {
            begun: number(line, "begun")?,
            ended: number(line, "ended")?,
            done: number(line, "done")?,
            open: number(line, "open")?,
            statuses: statuses.collect::<Vec<_>>().join(" "),
            reason,
        })
    }
}

fn number(line: &str, name: &str) -> Result<u64, Failure> {
    let value =
        line.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Failure::new(format!("no {name} in {line:?}")))
}

/// One attack.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) attack: Attack,
    pub(super) seconds: u64,
    pub(super) calm: Feeling,
    pub(super) attacked: Feeling,
    pub(super) toll: Toll,
    pub(super) before: Taken,
    pub(super) most: Taken,
    pub(super) after: Taken,
    /// What memory may be at most.
    pub(super) bound_kib: u64,
    /// Bars that were missed.
    pub(super) faults: Vec<String>,
}

impl Outcome {
    /// Fills in which bars were missed.
    pub(super) fn judge(&mut self, bars: Bars, files_spare: u64) {
        let (calm, attacked) = (&self.calm, &self.attacked);
        let rows = [
            ("kept connections", calm.kept_p99, attacked.kept_p99),
            ("new connections", calm.new_p99, attacked.new_p99),
        ];
        for (what, before, now) in rows {
            let most = (before as f64 * bars.ratio).max(bars.floor_us as f64);
            if now as f64 > most {
                let mut fault = format!("p99 of {what} {} ms, from {}", ms(now), ms(before));
                if attacked.late_p99 > bars.floor_us {
                    let late = ms(attacked.late_p99);
                    _ = write!(fault, "; but the client itself was late by {late} ms: try again");
                }
                self.faults.push(fault);
            }
        }
        if attacked.errors * bars.one_error_in > attacked.requests || attacked.requests == 0 {
            let reason = attacked.reason.as_deref().unwrap_or("no request");
            let (errors, requests) = (attacked.errors, attacked.requests);
            self.faults.push(format!("{errors} of {requests} failed: {reason}"));
        }
        self.bound_kib = self.before.kib + bars.slack_kib + self.attack.kib_bound();
        if self.most.kib > self.bound_kib {
            let [most, bound] = [self.most.kib, self.bound_kib].map(mib);
            self.faults.push(format!("{most} MiB of memory, where {bound} are the bound"));
        }
        if self.after.files > self.before.files + files_spare {
            let (after, before) = (self.after.files, self.before.files);
            self.faults.push(format!("{after} open files when all had left, {before} before"));
        }
        if self.toll.begun == 0 || (self.toll.done == 0 && self.toll.open == 0) {
            self.faults.push("no attack came about".to_owned());
        }
    }

    /// Told while others still go on.
    pub(super) fn sentence(&self) -> String {
        let reason = self.toll.reason.as_deref().unwrap_or("");
        let mut text = format!(
            "{}; attackers ended {} times {reason}; client late {} ms",
            self.load(),
            self.toll.ended,
            ms(self.attacked.late_p99)
        );
        for fault in &self.faults {
            _ = write!(text, "\n  MISSED: {fault}");
        }
        text
    }

    /// What attackers achieved.
    fn load(&self) -> String {
        let Toll { begun, done, open, statuses, .. } = &self.toll;
        let statuses = if statuses.is_empty() { String::new() } else { format!(" ({statuses})") };
        let each_second = done / self.seconds.max(1);
        match self.attack.manner {
            Manner::Held(_) => format!("{open} at once, {each_second}/s{statuses}"),
            Manner::PerSecond(_) => format!("{}/s{statuses}", begun / self.seconds.max(1)),
        }
    }
}

pub(super) fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(&[
        "attack",
        "cases",
        "attackers",
        "p99 kept, ms",
        "p99 new, ms",
        "failed",
        "memory, MiB",
        "bound",
        "open files",
        "",
    ]);
    for outcome in outcomes {
        let Outcome { attack, calm, attacked, before, most, after, .. } = outcome;
        table.add(vec![
            attack.name.to_owned(),
            attack.cases.to_owned(),
            outcome.load(),
            format!("{} to {}", ms(calm.kept_p99), ms(attacked.kept_p99)),
            format!("{} to {}", ms(calm.new_p99), ms(attacked.new_p99)),
            format!("{} of {}", attacked.errors, attacked.requests),
            format!("{} to {}", mib(before.kib), mib(most.kib)),
            mib(outcome.bound_kib),
            format!("{}, {}, {}", before.files, most.files, after.files),
            if outcome.faults.is_empty() { "held" } else { "MISSED" }.to_owned(),
        ]);
    }
    table
}

pub(super) fn markdown(facts: &[String], outcomes: &[Outcome], tables: &[Table]) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    for fact in facts {
        _ = writeln!(text, "- {fact}");
    }
    for table in tables {
        _ = write!(text, "\n{}", table.markdown());
    }
    for outcome in outcomes {
        for fault in &outcome.faults {
            _ = write!(text, "\n- `{}` missed: {fault}", outcome.attack.name);
        }
    }
    text
}

pub(super) fn json(facts: &[String], outcomes: &[Outcome]) -> String {
    let feeling = |of: &Feeling| {
        json!({
            "requests": of.requests, "errors": of.errors,
            "kept_p50_us": of.kept_p50, "kept_p99_us": of.kept_p99,
            "new_p50_us": of.new_p50, "new_p99_us": of.new_p99, "late_p99_us": of.late_p99,
        })
    };
    let taken = |of: &Taken| json!({ "kib": of.kib, "open_files": of.files });
    let rows: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "attack": outcome.attack.name,
                "cases": outcome.attack.cases,
                "seconds": outcome.seconds,
                "attackers": {
                    "begun": outcome.toll.begun, "ended": outcome.toll.ended,
                    "done": outcome.toll.done, "open": outcome.toll.open,
                    "statuses": outcome.toll.statuses,
                },
                "calm": feeling(&outcome.calm),
                "attacked": feeling(&outcome.attacked),
                "before": taken(&outcome.before),
                "most": taken(&outcome.most),
                "after": taken(&outcome.after),
                "bound_kib": outcome.bound_kib,
                "missed": outcome.faults,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "facts": facts, "attacks": rows }))
}

/// Microseconds as milliseconds.
fn ms(us: u64) -> String {
    format!("{:.2}", us as f64 / 1000.0)
}

fn mib(kib: u64) -> String {
    format!("{:.0}", kib as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let calm = Feeling { requests: 1000, kept_p99: 1000, new_p99: 4000, ..Feeling::default() };
        let taken = Taken { kib: 20_000, files: 30 };
        Outcome {
            attack: *Attack::named("idle").unwrap(),
            seconds: 2,
            attacked: calm.clone(),
            calm,
            toll: Toll { begun: 10, done: 10, open: 10, ..Toll::default() },
            before: taken,
            most: taken,
            after: taken,
            bound_kib: 0,
            faults: Vec::new(),
        }
    }

    #[track_caller]
    fn check(change: impl Fn(&mut Outcome), wanted: Option<&str>) {
        let mut outcome = outcome();
        change(&mut outcome);
        outcome.judge(Bars { ratio: 2.0, floor_us: 3000, one_error_in: 1000, slack_kib: 100 }, 24);
        match wanted {
            None => assert!(outcome.faults.is_empty(), "{:?}", outcome.faults),
            Some(wanted) => {
                assert_eq!(outcome.faults.len(), 1, "{:?}", outcome.faults);
                assert!(outcome.faults[0].contains(wanted), "{:?}", outcome.faults);
            }
        }
    }

    #[test]
    fn bars_are_reached_or_missed() {
        check(|_| {}, None);
        check(|outcome| outcome.attacked.kept_p99 = 3000, None);
        check(|outcome| outcome.attacked.kept_p99 = 3001, Some("p99 of kept connections"));
        check(|outcome| outcome.attacked.new_p99 = 8000, None);
        check(|outcome| outcome.attacked.new_p99 = 8001, Some("p99 of new connections"));
        let busy = |outcome: &mut Outcome| {
            outcome.attacked.new_p99 = 9000;
            outcome.attacked.late_p99 = 4000;
        };
        check(busy, Some("the client itself was late by 4.00 ms"));
        check(|outcome| outcome.attacked.errors = 1, None);
        check(|outcome| outcome.attacked.errors = 2, Some("2 of 1000 failed"));
        check(|outcome| outcome.attacked.requests = 0, Some("0 of 0 failed"));
        check(|outcome| outcome.most.kib += outcome.attack.kib_bound() + 100, None);
        check(|outcome| outcome.most.kib += outcome.attack.kib_bound() + 101, Some("of memory"));
        check(|outcome| outcome.after.files = 54, None);
        check(|outcome| outcome.after.files = 55, Some("55 open files"));
        check(|outcome| outcome.toll.begun = 0, Some("no attack"));
    }

    #[test]
    fn lines_of_parts_are_read() {
        let line = "requests=3 errors=1 kept_p50=3 kept_p99=4 new_p50=7 new_p99=8 late_p50=0 late_p99=2 \
                    reason=New: status 503\n";
        let read = Feeling::read(line).unwrap();
        let wanted = Feeling {
            requests: 3,
            errors: 1,
            kept_p50: 3,
            kept_p99: 4,
            new_p50: 7,
            new_p99: 8,
            late_p99: 2,
            reason: Some("New: status 503".into()),
        };
        assert_eq!(read, wanted);
        assert!(Feeling::read("requests=3").is_err());
        let read = Toll::read("begun=5 ended=2 done=9 open=3 200=4 404=5 reason=x y\n").unwrap();
        assert_eq!((read.begun, read.ended, read.done, read.open), (5, 2, 9, 3));
        assert_eq!((read.statuses.as_str(), read.reason.as_deref()), ("200=4 404=5", Some("x y")));
        assert!(Toll::read("").is_err());
    }

    #[test]
    fn tables_and_json_have_a_row_for_each() {
        let outcomes = [outcome()];
        let text = markdown(&["machine: a".into()], &outcomes, &[table(&outcomes)]);
        assert!(text.contains("| idle | RXC-07 |") && text.contains("| held |"), "{text}");
        let read: Value = serde_json::from_str(&json(&[], &outcomes)).unwrap();
        assert_eq!(read["attacks"][0]["attack"], "idle");
        assert_eq!(read["attacks"][0]["before"]["open_files"], 30);
    }
}
