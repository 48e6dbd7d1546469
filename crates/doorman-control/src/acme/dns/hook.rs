//! A program of the operator's that adds and removes TXT records.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use doorman_net::{Clock, within_deadline};
use rustix::process::{Pid, Signal, kill_process};

use super::update::Change;

/// How long the program may take: some wait until every server of the zone has the record.
const PATIENCE: Duration = Duration::from_secs(300);
/// What is kept of its words.
const WORDS_MAX: u64 = 4096;

/// Runs `PROGRAM add|remove NAME VALUE`; it says by its exit code whether it is done.
pub(super) async fn run(
    program: &Path,
    clock: Clock,
    change: Change,
    name: &str,
    value: &str,
) -> Result<(), String> {
    let verb = match change {
        Change::Add => "add",
        Change::Remove => "remove",
    };
    let shown = program.display();
    let mut child = Command::new(program)
        .args([verb, name, value])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{shown} cannot be started: {error}"))?;
    let errors = child.stderr.take();
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let ended = tokio::task::spawn_blocking(move || {
        let mut words = Vec::new();
        if let Some(errors) = errors {
            // Until it ends, or closes its end: what it says beyond the bound is read and dropped.
            let mut errors = errors.take(WORDS_MAX);
            let _ = errors.read_to_end(&mut words);
            let _ = std::io::copy(&mut errors.into_inner(), &mut std::io::sink());
        }
        let status = child.wait();
        (status, String::from_utf8_lossy(&words).trim().to_owned())
    });
    let Some(ended) = within_deadline(clock, PATIENCE, ended).await else {
        // It has not been waited for to its end, so the id is still its own.
        let _ = id.map(|id| kill_process(id, Signal::KILL));
        return Err(format!("{shown} has not ended within {} s", PATIENCE.as_secs()));
    };
    match ended.map_err(|error| error.to_string())? {
        (Ok(status), _) if status.success() => Ok(()),
        (Ok(status), words) => Err(format!("{shown} {verb} failed ({status}): {words}")),
        (Err(error), _) => Err(format!("{shown}: {error}")),
    }
}
