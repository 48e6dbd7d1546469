//! doorman as it is attacked: started anew for each attack, with the defaults of its bounds and timeouts, so that
//! what is measured is what an operator gets who writes nothing. Only what is kept of connections to the origin
//! is little, so that a descriptor that stays open is one that was lost.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use super::{attacks::Doors, options::Options};
use crate::{
    bench::contender::{Ground, certificate_files},
    failure::{During, Failure},
    process::{Core, Running, wait_until},
    wire::{self, Dialer, KeyKind},
};

/// How long doorman may take to listen.
const START: Duration = Duration::from_secs(20);
/// The access log's name in the guard's folder.
const LOG: &str = "abuse-access.log";

/// Ports of the origins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origins {
    /// Of the one that answers who does nothing wrong.
    pub(super) good: u16,
    /// Of the one that answers attackers.
    pub(super) prey: u16,
}

/// A running doorman.
pub(super) struct House {
    pub(super) running: Running,
    pub(super) doors: Doors,
}

impl House {
    pub(super) fn start(
        ground: &Ground,
        origins: Origins,
        options: &Options,
        open_files: Option<u32>,
    ) -> Result<Self, Failure> {
        let file = ground.path("abuse.conf");
        fs::write(&file, configuration(ground, origins)?).during(format!("writing {file}"))?;
        let doorman = options.doorman.display().to_string();
        let words = [doorman.as_str(), "run", "-c", &file];
        let mut command = match open_files {
            // The shell sets what it hands on, for which a program needs code between fork and exec.
            Some(count) => {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("ulimit -n {count}; exec \"$0\" \"$@\"")]).args(words);
                command
            }
            None => {
                let mut command = Command::new(words[0]);
                command.args(&words[1..]);
                command
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut running = Running::start(&mut command, Core::PROXY, &ground.guard)?;
        let dialer = Dialer::new(ground.ports.plain)?;
        let answers = || {
            let answer =
                dialer.plain().and_then(|mut stream| wire::ask(&mut stream, &wire::get("/b/1")));
            answer.is_ok_and(|answer| answer.status == 200)
        };
        let mut has_ended = false;
        let stands = wait_until(START, || {
            has_ended = running.has_ended();
            has_ended || answers()
        });
        if !stands || has_ended {
            return Err(Failure::new(format!("doorman does not serve: {}", running.last_words())));
        }
        Ok(Self { running, doors: Doors::new(ground.ports.plain, ground.ports.tls) })
    }
}

fn configuration(ground: &Ground, origins: Origins) -> Result<String, Failure> {
    let (folder, log) = (ground.path("doorman"), ground.path(LOG));
    let [certificate, key] = certificate_files(KeyKind::Ecdsa).map(|name| ground.path(name));
    let crate::bench::contender::Ports { plain, tls, metrics } = ground.ports;
    let Origins { good, prey } = origins;
    let hash = password_hash()?;
    // Every run would add to the log of the one before.
    _ = fs::remove_file(&log);
    Ok(format!(
        "doorman 1
global {{
    bind    127.0.0.1
    workers 1
    data    {folder}
    admin   unix:{folder}.sock
    metrics 127.0.0.1:{metrics}
    log     access json {log}
}}
listen 127.0.0.1:{plain} {{ protocols h1 h2c }}
upstream good {{ server 127.0.0.1:{good}; pool {{ idle 16; idle-timeout 2s }} }}
upstream prey {{ server 127.0.0.1:{prey}; pool {{ idle 16; idle-timeout 2s }} }}
site http://*:{plain} {{
    route /keyed     {{ limit 1/s per header X-Key; respond 204 }}
    route /private   {{ basic-auth {{ user admin {hash} }}; proxy prey }}
    route /inspected {{ waf starter; proxy prey }}
    route /good/*    {{ proxy good }}
    route *          {{ proxy prey }}
}}
site https://localhost:{tls} {{
    tls cert {certificate} key {key}
    route /good/* {{ proxy good }}
    route *       {{ proxy prey }}
}}
"
    ))
}

/// Of a password that nobody guesses here.
fn password_hash() -> Result<String, Failure> {
    let output = Command::new("openssl")
        .args(["passwd", "-6", "-salt", "abuse", "a password that is long"])
        .output()
        .during("starting openssl")?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().into()),
        false => Err(Failure::new(String::from_utf8_lossy(&output.stderr))),
    }
}
