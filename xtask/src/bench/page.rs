//! Where figures go: a page for people, between two markers that the rest of the page survives, and JSON
//! with every single run for other programs.

use std::{fmt::Write, fs, path::Path};

use crate::{
    bench::{
        measure::Reading,
        report::{Outcome, Table},
        scenario::Group,
    },
    failure::{During, Failure},
};

/// The lines between which a group's figures stand.
fn markers(group: Group) -> [String; 2] {
    let name = match group {
        Group::Main => String::new(),
        _ => format!(" {}", group.name()),
    };
    ["begin", "end"].map(|word| format!("<!-- bench{name}: {word} -->"))
}

/// Replaces what stands between the markers of `file`.
pub(crate) fn write_markdown(
    file: &Path,
    group: Group,
    facts: &[String],
    outcomes: &[Outcome],
    bars: &Table,
) -> Result<(), Failure> {
    let [begin, end] = markers(group);
    write_between(file, [&begin, &end], &markdown(facts, outcomes, bars))
}

/// Puts a text in the place of what a page has between two markers.
pub(crate) fn write_between(
    file: &Path,
    [begin, end]: [&str; 2],
    text: &str,
) -> Result<(), Failure> {
    let name = file.display();
    let page = fs::read_to_string(file).during(format!("reading {name}"))?;
    let page = replace_between(&page, [begin, end], text)
        .ok_or_else(|| Failure::new(format!("{name} has no lines {begin} and {end}")))?;
    fs::write(file, page).during(format!("writing {name}"))
}

fn replace_between(page: &str, [begin, end]: [&str; 2], text: &str) -> Option<String> {
    let (before, rest) = page.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n\n{text}\n{end}{after}"))
}

fn markdown(facts: &[String], outcomes: &[Outcome], bars: &Table) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    for fact in facts {
        let _ = writeln!(text, "- {fact}");
    }
    let _ = write!(text, "\n### Bars\n\n{}", bars.markdown());
    for outcome in outcomes {
        let _ = write!(
            text,
            "\n### {}\n\n{}.\n\n{}\n",
            outcome.scenario.name,
            outcome.scenario.title,
            outcome.table().markdown()
        );
        for line in outcome.remarks() {
            let _ = writeln!(text, "- {line}");
        }
    }
    text
}

/// All facts and all runs.
pub(crate) fn json(facts: &[String], outcomes: &[Outcome]) -> String {
    let facts: Vec<String> = facts.iter().map(|fact| quoted(fact)).collect();
    let mut runs = Vec::new();
    for outcome in outcomes {
        for row in &outcome.rows {
            for (round, reading) in row.readings.iter().enumerate() {
                let Some(reading) = reading else { continue };
                runs.push(format!(
                    "{{\"scenario\":{},\"proxy\":{},\"round\":{},{}}}",
                    quoted(outcome.scenario.name),
                    quoted(row.who.name()),
                    round + 1,
                    members(reading)
                ));
            }
        }
    }
    format!("{{\"facts\":[{}],\n\"runs\":[\n{}\n]}}\n", facts.join(","), runs.join(",\n"))
}

fn members(reading: &Reading) -> String {
    match reading {
        Reading::Load(sample) => {
            let coded = sample.coded_bytes;
            let coded = coded.map_or_else(String::new, |count| format!(",\"coded_bytes\":{count}"));
            format!(
                "\"requests\":{},\"user_us\":{:.3},\"system_us\":{:.3},\"per_second\":{:.1},\
             \"p50_us\":{:.0},\"p99_us\":{:.0},\"resident_kib\":{},\"errors\":{},\
             \"core_percent\":{:.1},\"noise_percent\":{:.1}{coded}",
                sample.requests,
                sample.user_us,
                sample.system_us,
                sample.per_second,
                sample.p50_us,
                sample.p99_us,
                sample.resident_kib,
                sample.errors,
                sample.core_percent,
                sample.noise_percent
            )
        }
        Reading::Idle(held) => format!(
            "\"kib_per_connection\":{:.3},\"before_kib\":{},\"after_kib\":{}",
            held.kib_per_connection, held.before_kib, held.after_kib
        ),
        Reading::Begun(begun) => format!(
            "\"ready_ms\":{:.1},\"cpu_ms\":{:.0},\"resident_kib\":{}",
            begun.ready_ms, begun.cpu_ms, begun.resident_kib
        ),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_page_around_the_markers() {
        let [begin, end] = &markers(Group::Main);
        let both = [begin.as_str(), end.as_str()];
        let page = format!("before\n{begin}\nold\n{end}\nafter\n");
        let wanted = format!("before\n{begin}\n\nnew\n{end}\nafter\n");
        assert_eq!(replace_between(&page, both, "new"), Some(wanted.clone()));
        assert_eq!(replace_between(&wanted, both, "new"), Some(wanted));
        for page in ["", begin, end, "<!-- bench: end --> <!-- bench: begin -->"] {
            assert_eq!(replace_between(page, both, "new"), None, "{page}");
        }
        let other = markers(Group::Wires);
        assert_eq!(other, ["<!-- bench wires: begin -->", "<!-- bench wires: end -->"]);
    }

    #[test]
    fn quotes_for_json() {
        for (text, wanted) in
            [("a", "\"a\""), ("a\"b\\", "\"a\\\"b\\\\\""), ("\n", "\"\\u000a\""), ("", "\"\"")]
        {
            assert_eq!(quoted(text), wanted);
        }
    }
}
