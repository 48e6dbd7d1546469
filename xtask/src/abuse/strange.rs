//! A cross-check by a program that others wrote: slowhttptest makes its own slow heads, bodies, reads and ranges, and
//! asks from time to time by itself whether the service is there.

use std::{fs, process::Command, time::Duration};

use super::{
    house::{House, Origins},
    options::Options,
};
use crate::{
    bench::{Stage, contender::program, report::Table},
    failure::{During, Failure},
    process::{Core, Running},
};

/// Connections of each test, and how many are opened in a second.
const CONNECTIONS: u32 = 4000;
const PER_SECOND: u32 = 800;
/// How long the program may take beyond what it was told.
const GRACE: Duration = Duration::from_secs(30);

/// Its tests, by the letters that it knows them by.
const TESTS: [(&str, &str, &str); 4] = [
    ("-H", "slow heads", "/b/100"),
    ("-B", "slow bodies", "/b/100"),
    ("-X", "slow reads", "/b/200000"),
    ("-R", "many ranges", "/b/100000"),
];

/// Whether it is here.
pub(super) fn is_here() -> bool {
    program("slowhttptest").is_file()
}

/// All of its tests, one after the other, each before a doorman of its own: a table, and whether the service was there
/// throughout.
pub(super) fn run(
    stage: &Stage,
    origins: Origins,
    options: &Options,
) -> Result<(Table, bool), Failure> {
    let mut table = Table::new(&["slowhttptest", "connections", "seconds", "not available, s", ""]);
    let mut all = true;
    for (letter, what, path) in TESTS {
        let house = House::start(&stage.ground, origins, options, None)?;
        let file = stage.ground.path("slowhttptest");
        let seconds = options.seconds.to_string();
        let port = house.doors.plain.port();
        let url = format!("http://127.0.0.1:{port}{path}");
        let count = (CONNECTIONS / options.divisor).to_string();
        let rate = (PER_SECOND / options.divisor).max(1).to_string();
        let mut command = Command::new("nice");
        command
            .args(["-n", "19"])
            .arg(program("slowhttptest"))
            .args([letter, "-c", &count, "-r", &rate, "-i", "5", "-p", "3", "-l", &seconds])
            .args(["-u", &url, "-g", "-o", &file])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped());
        let limit = Duration::from_secs(options.seconds) + GRACE;
        Running::start(&mut command, Core::LOAD, &stage.ground.guard)?
            .finish(limit)
            .during(what)?;
        let file = format!("{file}.csv");
        let text = fs::read_to_string(&file).during(format!("reading {file}"))?;
        let told = Told::read(&text)
            .ok_or_else(|| Failure::new(format!("{what}: no figures in {text:?}")))?;
        all &= told.missing == 0;
        table.add(vec![
            format!("{letter} ({what})"),
            told.connected.to_string(),
            told.seconds.to_string(),
            told.missing.to_string(),
            if told.missing == 0 { "held" } else { "MISSED" }.to_owned(),
        ]);
    }
    Ok((table, all))
}

/// What it writes of a test: a row a second.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    seconds: u64,
    /// The most connections that stood at once.
    connected: u64,
    /// Seconds in which the service was not there.
    missing: u64,
}

impl Told {
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next()?.split(',').collect();
        let column = |name| head.iter().position(|column| *column == name);
        let (connected, available) = (column("Connected")?, column("Service Available")?);
        let mut told = Self::default();
        for line in lines.filter(|line| !line.is_empty()) {
            let cells: Vec<u64> =
                line.split(',').filter_map(|cell| cell.trim().parse().ok()).collect();
            told.seconds += 1;
            told.connected = told.connected.max(*cells.get(connected)?);
            // So many per cent of what was asked came: all of it or nothing.
            told.missing += u64::from(*cells.get(available)? == 0);
        }
        (told.seconds > 0).then_some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read() {
        let head = "Seconds,Closed,Pending,Connected,Service Available\n";
        let read = |rows: &str| Told::read(&format!("{head}{rows}"));
        let wanted = Told { seconds: 3, connected: 97, missing: 1 };
        assert_eq!(read("0,0,1,0,100\n5,97,1,97,0\n9,97,0,3,100\n"), Some(wanted));
        assert_eq!(read(""), None);
        assert_eq!(read("0,0\n"), None);
        assert_eq!(Told::read("no figures"), None);
    }
}
