//! From runs to figures. Contenders are compared round by round: the ratio of two runs that followed each
//! other cancels what the machine did to both, and the median over rounds drops the round it did not.

use std::fmt::Write;

use crate::bench::{
    contender::Contender,
    measure::{Reading, Sample},
    scenario::{Bar, Load, Scenario, Way},
    waf::Begun,
};

/// Who compresses to this share more than another is not compared with it.
const EXCESS_MAX: f64 = 0.03;
const MIB: f64 = 1024.0 * 1024.0;

/// All rounds of one contender in one scenario.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) who: Contender,
    /// One place for each round; empty where the run failed.
    pub(crate) readings: Vec<Option<Reading>>,
    /// Why runs failed.
    pub(crate) failures: Vec<String>,
}

/// All rows of one scenario.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) scenario: &'static Scenario,
    pub(crate) rows: Vec<Row>,
}

/// A figure over rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` for no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        };
        Some(Self { median, least, most })
    }
}

/// A comparison of two contenders, round by round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) of: Contender,
    pub(crate) to: Contender,
    pub(crate) spread: Spread,
}

/// A bar with what was measured; nothing where runs are missing.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) scenario: &'static str,
    pub(crate) bar: Bar,
    pub(crate) measured: Option<f64>,
}

impl Row {
    fn readings(&self) -> impl Iterator<Item = &Reading> {
        self.readings.iter().flatten()
    }

    pub(crate) fn cost(&self) -> Option<Spread> {
        Spread::of(self.readings().map(Reading::cost))
    }

    fn coded_bytes(&self) -> Option<f64> {
        let bytes = self.readings().filter_map(|reading| match reading {
            Reading::Load(sample) => sample.coded_bytes,
            Reading::Idle(_) | Reading::Begun(_) => None,
        });
        #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
        Some(Spread::of(bytes.map(|bytes| bytes as f64))?.median)
    }

    /// A figure of the starts.
    fn begun(&self, figure: impl Fn(&Begun) -> f64) -> Option<Spread> {
        Spread::of(self.readings().filter_map(|reading| match reading {
            Reading::Begun(begun) => Some(figure(begun)),
            Reading::Load(_) | Reading::Idle(_) => None,
        }))
    }

    fn begun_mib(&self) -> Option<Spread> {
        #[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^52")]
        self.begun(|begun| begun.resident_kib as f64 / 1024.0)
    }

    /// A figure of the runs under load.
    fn figure(&self, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.readings().filter_map(|reading| match reading {
            Reading::Load(sample) => Some(figure(sample)),
            Reading::Idle(_) | Reading::Begun(_) => None,
        }))
    }
}

impl Outcome {
    fn row(&self, who: Contender) -> Option<&Row> {
        self.rows.iter().find(|row| row.who == who)
    }

    fn cheaper_peer(&self) -> Option<Contender> {
        self.rows
            .iter()
            .filter(|row| row.who.is_peer())
            .filter_map(|row| Some((row.who, row.cost()?.median)))
            .min_by(|one, other| one.1.total_cmp(&other.1))
            .map(|(who, _)| who)
    }

    /// `None` also for one who compresses worse than the other, and spends less on it.
    pub(crate) fn ratio(&self, of: Contender, to: Contender) -> Option<Ratio> {
        let (upper, lower) = (self.row(of)?, self.row(to)?);
        if self.excess(of, to).is_some_and(|excess| excess > EXCESS_MAX) {
            return None;
        }
        let rounds = upper.readings.iter().zip(&lower.readings);
        let ratios = rounds.filter_map(|(upper, lower)| {
            let lower = lower.as_ref()?.cost();
            (lower > 0.0).then_some(upper.as_ref()?.cost() / lower)
        });
        Some(Ratio { of, to, spread: Spread::of(ratios)? })
    }

    /// By how much the coded bodies of one are longer than the other's, as a share.
    fn excess(&self, of: Contender, to: Contender) -> Option<f64> {
        Some(self.row(of)?.coded_bytes()? / self.row(to)?.coded_bytes()? - 1.0)
    }

    /// Everyone who is no peer against every peer, and against the cheaper one again, last.
    fn ratios(&self) -> Vec<(Ratio, Standing)> {
        // Where nobody else does what doorman does, it is held against the floor.
        let has_peer = self.rows.iter().any(|row| row.who.is_peer());
        let is_measure = move |who: &Contender| match who {
            Contender::Plain => true,
            _ if has_peer => who.is_peer(),
            _ => *who == Contender::Relay,
        };
        let subjects = || {
            let all = self.rows.iter().map(|row| row.who);
            all.filter(move |who| !who.is_peer() && !is_measure(who))
        };
        let peers = || self.rows.iter().map(|row| row.who).filter(is_measure);
        let cheaper = self.cheaper_peer();
        subjects()
            .flat_map(|subject| peers().filter_map(move |peer| self.ratio(subject, peer)))
            .map(|ratio| {
                let is_cheaper = Some(ratio.to) == cheaper;
                (ratio, if is_cheaper { Standing::Cheaper } else { Standing::Other })
            })
            .collect()
    }

    /// Each bar of the scenario, held against doorman.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let doorman = self.row(Contender::Doorman);
        let measure = |bar| match bar {
            Bar::RatioToCheaperPeer(_) => {
                Some(self.ratio(Contender::Doorman, self.cheaper_peer()?)?.spread.median)
            }
            Bar::RatioToNginx(_) => {
                Some(self.ratio(Contender::Doorman, Contender::Nginx)?.spread.median)
            }
            Bar::RatioToApache(_) => {
                Some(self.ratio(Contender::Doorman, Contender::Apache)?.spread.median)
            }
            Bar::RatioToRelay(_) => {
                Some(self.ratio(Contender::Doorman, Contender::Relay)?.spread.median)
            }
            Bar::RatioToPlain(_) => {
                Some(self.ratio(Contender::Doorman, Contender::Plain)?.spread.median)
            }
            Bar::UserMicroseconds(_) => Some(doorman?.figure(|sample| sample.user_us)?.median),
            Bar::KibPerConnection(_) => Some(doorman?.cost()?.median),
            Bar::ReadySeconds(_) => Some(doorman?.cost()?.median / 1e3),
            Bar::MibMore(_) => {
                let plain = self.row(Contender::Plain)?;
                Some(doorman?.begun_mib()?.median - plain.begun_mib()?.median)
            }
        };
        let bars = self.scenario.bars.iter();
        bars.map(|&bar| Verdict { scenario: self.scenario.name, bar, measured: measure(bar) })
            .collect()
    }

    pub(crate) fn table(&self) -> Table {
        match (self.scenario.load, self.scenario.way) {
            (Load::Idle, _) => self.idle_table(),
            (Load::Start, _) => self.start_table(),
            (_, Way::Coded(_)) => self.coded_table(),
            _ => self.load_table(),
        }
    }

    fn load_table(&self) -> Table {
        let mut table = Table::new(&[
            "proxy",
            "CPU us/req",
            "min-max",
            "user",
            "system",
            "req/s",
            "p50 us",
            "p99 us",
            "RSS MiB",
            "core %",
            "errors",
            "noise %",
        ]);
        for row in &self.rows {
            let plain = |decimals: usize, figure: &dyn Fn(&Sample) -> f64| {
                row.figure(figure)
                    .map_or("-".into(), |spread| format!("{:.decimals$}", spread.median))
            };
            #[expect(clippy::cast_precision_loss, reason = "memory and counts are far below 2^52")]
            table.add(vec![
                row.who.name().into(),
                row.cost().map_or("failed".into(), |cost| format!("{:.2}", cost.median)),
                row.cost().map_or("-".into(), |cost| format!("{:.2}-{:.2}", cost.least, cost.most)),
                plain(2, &|sample| sample.user_us),
                plain(2, &|sample| sample.system_us),
                plain(0, &|sample| sample.per_second),
                plain(0, &|sample| sample.p50_us),
                plain(0, &|sample| sample.p99_us),
                plain(1, &|sample| sample.resident_kib as f64 / 1024.0),
                plain(0, &|sample| sample.core_percent),
                row.figure(|sample| sample.errors as f64)
                    .map_or("-".into(), |errors| format!("{:.0}", errors.most)),
                plain(0, &|sample| sample.noise_percent),
            ]);
        }
        table
    }

    /// By the original's length instead of by request.
    #[expect(clippy::cast_precision_loss, reason = "lengths and counts are far below 2^52")]
    fn coded_table(&self) -> Table {
        let mut table = Table::new(&[
            "proxy",
            "CPU ms/MiB",
            "min-max",
            "user",
            "system",
            "MiB/s",
            "coded bytes",
            "ratio",
            "p50 us",
            "p99 us",
            "RSS MiB",
            "core %",
            "errors",
            "noise %",
        ]);
        let body_bytes = self.scenario.body_bytes as f64;
        let per_mib = 1e-3 * MIB / body_bytes;
        for row in &self.rows {
            let plain = |decimals: usize, figure: &dyn Fn(&Sample) -> f64| {
                row.figure(figure)
                    .map_or("-".into(), |spread| format!("{:.decimals$}", spread.median))
            };
            let coded = row.coded_bytes();
            let cost = row.cost();
            table.add(vec![
                row.who.name().into(),
                cost.map_or("failed".into(), |cost| format!("{:.2}", cost.median * per_mib)),
                cost.map_or("-".into(), |cost| {
                    format!("{:.2}-{:.2}", cost.least * per_mib, cost.most * per_mib)
                }),
                plain(2, &|sample| sample.user_us * per_mib),
                plain(2, &|sample| sample.system_us * per_mib),
                plain(1, &|sample| sample.per_second * body_bytes / MIB),
                coded.map_or("-".into(), |bytes| format!("{bytes:.0}")),
                coded.map_or("-".into(), |bytes| format!("{:.2}", body_bytes / bytes)),
                plain(0, &|sample| sample.p50_us),
                plain(0, &|sample| sample.p99_us),
                plain(1, &|sample| sample.resident_kib as f64 / 1024.0),
                plain(0, &|sample| sample.core_percent),
                row.figure(|sample| sample.errors as f64)
                    .map_or("-".into(), |errors| format!("{:.0}", errors.most)),
                plain(0, &|sample| sample.noise_percent),
            ]);
        }
        table
    }

    fn idle_table(&self) -> Table {
        let mut table =
            Table::new(&["proxy", "KiB/connection", "min-max", "RSS before MiB", "RSS after MiB"]);
        for row in &self.rows {
            #[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^52")]
            let memory = |kib: fn(&Reading) -> Option<u64>| {
                let values =
                    row.readings().filter_map(|reading| Some(kib(reading)? as f64 / 1024.0));
                Spread::of(values).map_or("-".into(), |spread| format!("{:.1}", spread.median))
            };
            table.add(vec![
                row.who.name().into(),
                row.cost().map_or("failed".into(), |cost| format!("{:.2}", cost.median)),
                row.cost().map_or("-".into(), |cost| format!("{:.2}-{:.2}", cost.least, cost.most)),
                memory(|reading| match reading {
                    Reading::Idle(held) => Some(held.before_kib),
                    Reading::Load(_) | Reading::Begun(_) => None,
                }),
                memory(|reading| match reading {
                    Reading::Idle(held) => Some(held.after_kib),
                    Reading::Load(_) | Reading::Begun(_) => None,
                }),
            ]);
        }
        table
    }

    fn start_table(&self) -> Table {
        let mut table = Table::new(&["proxy", "ready ms", "min-max", "CPU ms", "RSS MiB"]);
        for row in &self.rows {
            let cost = row.cost();
            let plain = |spread: Option<Spread>, decimals: usize| {
                spread.map_or("-".into(), |spread| format!("{:.decimals$}", spread.median))
            };
            table.add(vec![
                row.who.name().into(),
                cost.map_or("failed".into(), |cost| format!("{:.0}", cost.median)),
                cost.map_or("-".into(), |cost| format!("{:.0}-{:.0}", cost.least, cost.most)),
                plain(row.begun(|begun| begun.cpu_ms), 0),
                plain(row.begun_mib(), 1),
            ]);
        }
        table
    }

    /// One line for each comparison, and one for each run that failed.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (ratio, standing) in self.ratios() {
            let Spread { median, least, most } = ratio.spread;
            let mark = match standing {
                Standing::Cheaper => ", the cheaper peer",
                Standing::Other => "",
            };
            let (of, to) = (ratio.of.name(), ratio.to.name());
            lines.push(format!("{of} / {to}{mark}: {median:.2} ({least:.2}-{most:.2})"));
        }
        for row in &self.rows {
            if let Some(excess) = self.excess(Contender::Doorman, row.who)
                && row.who != Contender::Doorman
            {
                let (name, percent) = (row.who.name(), excess * 100.0);
                let refused = if excess > EXCESS_MAX { ": not compared" } else { "" };
                lines.push(format!(
                    "doorman's coded body beside {name}'s: {percent:+.1} %{refused}"
                ));
            }
            for failure in &row.failures {
                lines.push(format!("{} failed: {failure}", row.who.name()));
            }
        }
        lines
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Cheaper,
    Other,
}

impl Verdict {
    /// A bar that could not be measured is missed.
    pub(crate) fn is_met(&self) -> bool {
        self.measured.is_some_and(|measured| measured <= self.limit())
    }

    fn limit(&self) -> f64 {
        match self.bar {
            Bar::RatioToCheaperPeer(limit)
            | Bar::RatioToNginx(limit)
            | Bar::RatioToApache(limit)
            | Bar::RatioToRelay(limit)
            | Bar::RatioToPlain(limit)
            | Bar::UserMicroseconds(limit)
            | Bar::KibPerConnection(limit)
            | Bar::MibMore(limit)
            | Bar::ReadySeconds(limit) => limit,
        }
    }

    pub(crate) fn cells(&self) -> Vec<String> {
        let what = match self.bar {
            Bar::RatioToCheaperPeer(_) => "CPU per request / cheaper peer",
            Bar::RatioToNginx(_) => "CPU per request / nginx",
            Bar::RatioToApache(_) => "CPU per request / Apache",
            Bar::RatioToRelay(_) => "CPU per request / byte relay",
            Bar::RatioToPlain(_) => "CPU per request / plain hit",
            Bar::UserMicroseconds(_) => "user time per request, us",
            Bar::KibPerConnection(_) => "memory per idle connection, KiB",
            Bar::MibMore(_) => "memory at rest beside none, MiB",
            Bar::ReadySeconds(_) => "start to first answers, s",
        };
        let measured = self.measured.map_or("not measured".into(), |value| format!("{value:.2}"));
        let verdict = if self.is_met() { "met" } else { "missed" };
        let limit = format!("<= {:.2}", self.limit());
        vec![self.scenario.into(), what.into(), limit, measured, verdict.into()]
    }
}

/// Rows of text under a head, for a terminal or a page.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.into()).collect()] }
    }

    pub(crate) fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Columns of even width, the first one to the left and the others to the right.
    pub(crate) fn aligned(&self) -> String {
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| Some(row.get(column)?.len())).max().unwrap_or(0)
        };
        let mut text = String::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let width = width(column);
                // Writing to a string can't fail.
                let _ = match column {
                    0 => write!(text, "{cell:width$}"),
                    _ => write!(text, "  {cell:>width$}"),
                };
            }
            text.push('\n');
        }
        text
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if index == 0 {
                let _ = writeln!(text, "|---{}|", "|---:".repeat(row.len().saturating_sub(1)));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
