//! The table of crates in ARCHITECTURE.md, and whether it keeps to the directions of the house.

use std::collections::BTreeMap;

use super::{complains, none, read};

/// What stands where. A crate uses only what stands lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Words,
    Room,
    Net,
    Store,
    Corridor,
    Control,
    Door,
    Kit,
    Chores,
}

impl Kind {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "words" => Self::Words,
            "room" => Self::Room,
            "net" => Self::Net,
            "store" => Self::Store,
            "corridor" => Self::Corridor,
            "control" => Self::Control,
            "door" => Self::Door,
            "kit" => Self::Kit,
            "chores" => Self::Chores,
            _ => return None,
        })
    }

    /// The corridor and control stand side by side: neither uses the other.
    const fn storey(self) -> u8 {
        match self {
            Self::Words => 0,
            Self::Room => 1,
            Self::Net | Self::Store => 2,
            Self::Corridor | Self::Control => 3,
            Self::Door | Self::Kit => 4,
            Self::Chores => 5,
        }
    }

    /// Whether its crates forbid unsafe code and know no outside.
    pub(crate) const fn is_pure(self) -> bool {
        matches!(self, Self::Words | Self::Room)
    }
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) uses: Vec<String>,
    pub(crate) uses_in_tests: Vec<String>,
}

/// The rows by crate: every line of `page` whose first cell names a crate and whose second a kind.
pub(crate) fn rows(page: &str) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (Some(kind), Some(uses), Some(uses_in_tests)) =
            (cells.get(2).and_then(|word| Kind::read(word)), cells.get(3), cells.get(4))
        else {
            continue;
        };
        let row = Row { kind, uses: names(uses), uses_in_tests: names(uses_in_tests) };
        rows.insert(cells[1].trim_matches('`').to_owned(), row);
    }
    rows
}

fn names(cell: &str) -> Vec<String> {
    cell.split(',')
        .map(|name| name.trim().trim_matches('`'))
        .filter(|name| !name.is_empty() && *name != "-")
        .map(str::to_owned)
        .collect()
}

/// Whether the table itself keeps to the directions.
fn directions(rows: &BTreeMap<String, Row>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, row) in rows {
        for used in &row.uses {
            let Some(other) = rows.get(used) else {
                complaints.push(format!("{name} uses {used}, which has no row"));
                continue;
            };
            if matches!(other.kind, Kind::Kit | Kind::Chores | Kind::Door) {
                complaints.push(format!("{name} uses {used}, which is for tests and chores only"));
            } else if other.kind.storey() >= row.kind.storey() {
                complaints.push(format!("{name} uses {used}, which does not stand below it"));
            } else if row.kind == Kind::Room && other.kind != Kind::Words {
                complaints.push(format!("{name} is a room and uses {used}"));
            }
        }
        if row.kind.is_pure() && !row.uses_in_tests.is_empty() {
            complaints.push(format!("{name} needs other crates of the house for its tests"));
        }
    }
    complaints
}

#[test]
fn the_table_keeps_to_the_directions() {
    let rows = rows(&read("ARCHITECTURE.md"));
    assert!(rows.len() > 10, "the table was not found: {rows:?}");
    none(&directions(&rows));
}

#[test]
fn a_wrong_table_is_noticed() {
    let table = "
| Crate | Kind | May use | In tests also | Never knows |
|---|---|---|---|---|
| `words` | words | - | - | anything |
| `a` | room | `words` | - | b |
| `b` | room | `words`, `a` | - | a |
| `c` | room | `words` | `kit` | a |
| `net` | net | `words`, `a`, `corridor` | - | plans |
| `corridor` | corridor | `net`, `control` | `kit` | sockets |
| `control` | control | `net`, `kit`, `nobody` | - | requests |
| `kit` | kit | `net` | - | - |
";
    complains(
        &directions(&rows(table)),
        &[
            "b uses a, which does not stand below it",
            "c needs other crates",
            "control uses kit, which is for tests",
            "control uses nobody, which has no row",
            "corridor uses control, which does not stand below it",
            "net uses corridor, which does not stand below it",
        ],
    );
}
