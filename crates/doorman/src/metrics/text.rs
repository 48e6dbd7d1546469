//! The text format 0.0.4 of Prometheus.

use std::fmt::Write;

/// What a family counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only ever more.
    Counter,
    /// More or less.
    Gauge,
    /// Counts per bound.
    Histogram,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A page under way. Samples belong to the family that was begun last; one without samples is
/// not shown.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    name: &'static str,
    head: String,
}

impl Page {
    /// Begins a family.
    pub(super) fn family(&mut self, name: &'static str, help: &str, kind: Kind) {
        self.name = name;
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.head = format!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.word());
    }

    /// A family of one sample.
    pub(super) fn one(
        &mut self,
        name: &'static str,
        help: &str,
        kind: Kind,
        labels: &[(&str, &str)],
        value: u64,
    ) {
        self.family(name, help, kind);
        self.sample("", labels, value);
    }

    /// A sample.
    pub(super) fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: u64) {
        self.line(suffix, labels, None, value);
    }

    /// A sample whose value is written already.
    pub(super) fn text(&mut self, suffix: &str, labels: &[(&str, &str)], value: &str) {
        self.line(suffix, labels, None, value);
    }

    /// A bucket of a histogram.
    pub(super) fn bucket(&mut self, labels: &[(&str, &str)], bound: &str, value: u64) {
        self.line("_bucket", labels, Some(bound), value);
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        bound: Option<&str>,
        value: impl std::fmt::Display,
    ) {
        self.text.push_str(&std::mem::take(&mut self.head));
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut separator = '{';
        for (name, value) in labels.iter().copied().chain(bound.map(|bound| ("le", bound))) {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(&mut self.text, value);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

/// Microseconds as seconds, exactly.
pub(super) fn seconds(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:06}").trim_end_matches('0').to_owned()
}
